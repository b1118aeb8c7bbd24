/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Contexts: submissions out, completions in.  The first half is <leat/cq.h>
 * and takes no lock; the second half is what the socket API makes of it,
 * where threads may share a context.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ring.h"
#include "socket.h"

struct leat_cq *context_create(struct session *s, uint32_t index, int wake_fd)
{
	uint32_t workers = s->layout.workers;
	struct leat_cq *cq = calloc(1, sizeof(*cq) + workers * sizeof(cq->channel[0]));

	if (cq == NULL)
		return NULL;
	cq->session = s;
	cq->index = index;
	cq->workers = workers;
	cq->wake_fd = wake_fd;
	cq->shared = (struct leat_context *)(void *)(s->base + s->layout.context_offset) + index;
	/* The index may have been another's, who may have died asleep. */
	store_relaxed(&cq->shared->sleep_seq, (cq->shared->sleep_seq + 1) & ~1u);
	pthread_mutex_init(&cq->sq_lock, NULL);
	pthread_mutex_init(&cq->cq_lock, NULL);
	pthread_mutex_init(&cq->answer_lock, NULL);
	LIST_INIT(&cq->calls);
	for (uint32_t i = 0; i < workers; i++) {
		struct channel *ch = &cq->channel[i];

		ch->shared = (void *)(s->base + s->layout.channel_offset +
				      (index * (uint64_t)workers + i) * s->layout.channel_stride);
		ch->sq = leat_channel_sq(ch->shared);
		ch->cq = leat_channel_cq(ch->shared, s->layout.queue_entries);
		ch->grants = leat_channel_grants(ch->shared, s->layout.queue_entries);
		ch->sq_tail = ch->sq_head = ch->shared->sq_tail;
		ch->cq_head = ch->shared->cq_head;
		ch->grant_head = ch->shared->grant_head;
	}
	return cq;
}

void context_free(struct leat_cq *cq)
{
	for (uint32_t i = 0; i < cq->spare_count; i++) {
		fd_unreserve(cq->spare[i].fd);
		file_free(&cq->spare[i].socket->file);
	}
	close(cq->wake_fd);
	pthread_mutex_destroy(&cq->sq_lock);
	pthread_mutex_destroy(&cq->cq_lock);
	pthread_mutex_destroy(&cq->answer_lock);
	free(cq);
}

/* ---- <leat/cq.h> -------------------------------------------------------- */

int leat_cq_open(struct leat_cq **out)
{
	struct session *s;
	int r = session_init(NULL, &s);

	if (r != 0)
		return r;
	session_get(s);
	lock_polling(&s->lock);
	r = session_add_context(s, out);
	if (r == 0)
		(*out)->raw = true;
	pthread_mutex_unlock(&s->lock);
	if (r != 0)
		session_put(s);
	return r;
}

void leat_cq_close(struct leat_cq *cq)
{
	struct session *s = cq->session;
	uint64_t token = 0;

	lock_polling(&s->lock);
	store_release(&s->contexts[cq->index], NULL);
	if (!load_acquire(&s->dead))
		(void)session_request(s, LEAT_ATTACH_DETACH, cq->index, &token);
	pthread_mutex_unlock(&s->lock);
	context_free(cq);
	session_put(s);
}

unsigned leat_cq_workers(const struct leat_cq *cq)
{
	return cq->workers;
}

unsigned leat_cq_worker(const struct leat_cq *cq, struct leat_handle handle)
{
	return session_worker(cq->session, handle);
}

int leat_cq_submit(struct leat_cq *cq, unsigned worker, const struct leat_sqe *sqe)
{
	struct leat_sqe *entry;

	if (worker >= cq->workers)
		return -EINVAL;
	if (load_relaxed(&cq->session->dead))
		return -ENETDOWN;
	entry = channel_entry(cq, &cq->channel[worker]);
	if (entry == NULL)
		return -EAGAIN;
	*entry = *sqe;
	context_push(cq, worker);
	return 0;
}

void context_ring_bell(struct leat_cq *cq, unsigned worker)
{
	if (worker == own_worker.worker.number)
		own_worker.worker.bell(own_worker.worker.arg);
	else
		(void)eventfd_write(cq->session->bell[worker], 1);
}

static bool channel_has_completions(const struct channel *ch)
{
	/* acquire: pairs with the worker's release after it filled the entries */
	return load_acquire(&ch->shared->cq_tail) != load_relaxed(&ch->cq_head);
}

bool context_has_completions(const struct leat_cq *cq)
{
	for (uint32_t i = 0; i < cq->workers; i++) {
		if (channel_has_completions(&cq->channel[i]))
			return true;
	}
	return false;
}

/* Before the event is told, not once it was seen: the wish that follows it must not be lost. */
static void event_grants_room(const struct session *s, const struct leat_cqe *event)
{
	struct leat_slot *slot = session_slot(s, event->handle);

	if (slot != NULL)
		slot_grant_room(slot);
}

static bool context_peek(struct leat_cq *cq, struct leat_cqe **cqe)
{
	for (uint32_t i = 0; i < cq->workers; i++) {
		uint32_t worker = cq->turn + i < cq->workers ? cq->turn + i
							     : cq->turn + i - cq->workers;
		struct channel *ch = &cq->channel[worker];

		if (!channel_has_completions(ch))
			continue;
		*cqe = &ch->cq[ch->cq_head & (cq->session->layout.queue_entries - 1)];
		if ((*cqe)->type == LEAT_CQE_CHUNKS)
			store_relaxed(&ch->asked, false);
		else if ((*cqe)->type == LEAT_CQE_EVENT && (*cqe)->events & LEAT_EV_OUT)
			event_grants_room(cq->session, *cqe);
		cq->peeked = worker;
		return true;
	}
	return false;
}

int leat_cq_peek(struct leat_cq *cq, struct leat_cqe **cqe)
{
	if (context_peek(cq, cqe))
		return 0;
	return context_is_alive(cq) ? -EAGAIN : -ENETDOWN;
}

void leat_cq_seen(struct leat_cq *cq)
{
	struct channel *ch = &cq->channel[cq->peeked];

	store_relaxed(&ch->cq_head, ch->cq_head + 1);
	/* release: what was read of the entry was read before the worker fills it again */
	store_release(&ch->shared->cq_head, ch->cq_head);
	cq->turn = cq->peeked + 1 < cq->workers ? cq->peeked + 1 : 0;
}

struct peek_wait {
	struct wait wait;
	struct leat_cq *cq;
	struct leat_cqe *cqe;
};

static bool peek_check(struct wait *w)
{
	struct peek_wait *p = (struct peek_wait *)w;

	return context_peek(p->cq, &p->cqe);
}

int leat_cq_wait(struct leat_cq *cq, struct leat_cqe **cqe, int64_t timeout_us)
{
	struct peek_wait p = {
		.wait = {.check = peek_check,
			 .contexts = context_bit(cq),
			 .deadline_us = timeout_us < 0 ? WAIT_FOREVER : now_us() + timeout_us},
		.cq = cq,
	};
	int r = wait_run(cq->session, &p.wait);

	*cqe = p.cqe;
	return r == -ETIMEDOUT ? -ETIME : r;
}

int leat_cq_claim(struct leat_cq *cq, const struct leat_cqe *accept)
{
	struct leat_slot *slot = session_slot(cq->session, accept->handle);
	uint32_t taken = (accept->claim & ~LEAT_CLAIM_STATE) | LEAT_CLAIM_TAKEN;

	if (slot == NULL || !compare_and_swap(&slot->claim, accept->claim, taken))
		return -ECONNABORTED;
	return 0;
}

/* ---- The calling thread's context --------------------------------------- */

static pthread_once_t thread_once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_key;

/* The thread ends: the next that needs a context may have it.  Socks stay with it. */
static void thread_leaves(void *arg)
{
	struct leat_cq *cq = arg;
	struct session *s = cq->session;

	lock_polling(&s->lock);
	cq->threads--;
	pthread_mutex_unlock(&s->lock);
	thread_context = NULL;
	session_put(s);
}

static void thread_init(void)
{
	(void)pthread_key_create(&thread_key, thread_leaves);
}

static void thread_joins(struct leat_cq *cq)
{
	if (thread_context != NULL)
		thread_leaves(thread_context);
	session_get(cq->session);
	context_own(cq);
	(void)pthread_setspecific(thread_key, cq);
}

/* One that no thread has, a new one, or where leatd gives no more, the least shared. */
static int context_choose(struct session *s, struct leat_cq **out)
{
	struct leat_cq *least = NULL;
	int r;

	for (unsigned i = 0; i < s->layout.contexts; i++) {
		struct leat_cq *cq = s->contexts[i];

		if (cq != NULL && !cq->raw && (least == NULL || cq->threads < least->threads))
			least = cq;
	}
	*out = least;
	if (least != NULL && least->threads == 0)
		return 0;
	r = session_add_context(s, out);
	if (r == 0)
		store_release(&s->own[(*out)->index], *out);
	if (r == 0 || r == -ENETDOWN || least == NULL)
		return r;
	*out = least;
	return 0;
}

int context_self(struct session *s, struct leat_cq **out)
{
	int r;

	*out = thread_context;
	if (thread_context != NULL && thread_context->session == s)
		return load_relaxed(&s->dead) ? -ENETDOWN : 0;
	if (load_acquire(&s->dead))
		return -ENETDOWN;
	(void)pthread_once(&thread_once, thread_init);
	lock_polling(&s->lock);
	r = context_choose(s, out);
	if (r == 0 && (*out)->threads++ > 0)
		context_share(*out);
	pthread_mutex_unlock(&s->lock);
	if (r != 0)
		return r;
	thread_joins(*out);
	/* Pairs with session_mark_dead, which may have come too early for this context. */
	fence_full();
	if (load_relaxed(&s->dead))
		context_share(*out);
	return 0;
}

struct leat_cq *context_self_or_null(struct session *s)
{
	return thread_context != NULL && thread_context->session == s ? thread_context : NULL;
}

void context_forget_thread(struct session *s)
{
	if (thread_context != NULL && thread_context->session == s)
		thread_context = NULL;
}

void context_adopt(struct leat_cq *cq)
{
	(void)pthread_once(&thread_once, thread_init);
	thread_joins(cq);
	cq->threads = 1;
}

/* ---- Completions -------------------------------------------------------- */

static void dispatch_result(struct leat_cq *cq, const struct leat_cqe *cqe)
{
	struct call *call;

	LIST_FOREACH (call, &cq->calls, link) {
		if (call->id != cqe->user_data)
			continue;
		call->cqe = *cqe;
		store_release(&call->done, true);
		return;
	}
}

static void dispatch_chunks(struct leat_cq *cq, struct channel *ch)
{
	struct leat_handle starved[STARVED_MAX];
	uint32_t count;

	context_lock_sq(cq);
	count = ch->starved_count;
	memcpy(starved, ch->starved, sizeof(starved));
	ch->starved_count = 0;
	context_unlock_sq(cq);
	if (count > STARVED_MAX) {
		sockets_of_context(cq, LEAT_EV_OUT);
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		struct sock *sk = session_sock(cq->session, starved[i]);

		if (sk != NULL)
			sock_event(sk, LEAT_EV_OUT);
	}
}

static void context_dispatch_one(struct leat_cq *cq, const struct leat_cqe *cqe)
{
	struct session *s = cq->session;
	struct sock *sk;

	switch (cqe->type) {
	case LEAT_CQE_RESULT:
		dispatch_result(cq, cqe);
		break;
	case LEAT_CQE_CHUNKS:
		dispatch_chunks(cq, &cq->channel[cq->peeked]);
		break;
	case LEAT_CQE_ACCEPT:
		sk = session_sock(s, cqe->listener);
		if (sk == NULL)
			break;
		accept_offered(sk, cq, cqe);
		sock_event(sk, LEAT_EV_IN);
		break;
	case LEAT_CQE_EVENT:
		sk = session_sock(s, cqe->handle);
		if (sk != NULL)
			sock_event(sk, cqe->events);
		break;
	case LEAT_CQE_IDLE:
		if (cq->idle_count < IDLE_MAX)
			cq->idle[cq->idle_count++] = cqe->handle;
		break;
	default:
		break;
	}
}

/* whole: also what there is no room to note of idle send rings; the worker tells of those again. */
static bool context_dispatch(struct leat_cq *cq, bool whole)
{
	uint32_t limit = cq->session->layout.queue_entries * cq->workers;
	struct leat_cqe *cqe;
	bool any = false;

	context_lock_cq(cq);
	while ((whole || cq->idle_count < IDLE_MAX) && limit-- > 0 && context_peek(cq, &cqe)) {
		context_dispatch_one(cq, cqe);
		leat_cq_seen(cq);
		any = true;
	}
	context_unlock_cq(cq);
	if (any)
		wait_tell_followers(cq);
	return any;
}

/* Apart from the dispatch, because it takes ring locks. */
static void context_release_idle(struct leat_cq *cq)
{
	struct leat_handle idle[IDLE_MAX];
	uint32_t count;

	context_lock_cq(cq);
	count = cq->idle_count;
	memcpy(idle, cq->idle, count * sizeof(idle[0]));
	cq->idle_count = 0;
	context_unlock_cq(cq);
	for (uint32_t i = 0; i < count; i++)
		sock_release_ring(cq, idle[i]);
}

bool context_drain(struct leat_cq *cq)
{
	bool any = false;
	uint32_t idle;

	if (!context_has_completions(cq))
		return false;
	do {
		any |= context_dispatch(cq, false);
		idle = load_relaxed(&cq->idle_count);
		if (idle != 0)
			context_release_idle(cq);
	} while (idle == IDLE_MAX);
	return any;
}

void contexts_drain(struct session *s, uint64_t contexts)
{
	while (contexts != 0) {
		unsigned i = (unsigned)__builtin_ctzll(contexts);
		struct leat_cq *cq = load_acquire(&s->contexts[i]);

		contexts &= contexts - 1;
		if (cq != NULL && !cq->raw)
			(void)context_drain(cq);
	}
}

/* ---- Submissions -------------------------------------------------------- */

bool context_try_submit(struct leat_cq *cq, unsigned worker, const struct leat_sqe *sqe)
{
	int r;

	context_lock_sq(cq);
	r = leat_cq_submit(cq, worker, sqe);
	context_unlock_sq(cq);
	if (r == -EAGAIN)
		store_relaxed(&cq->napping, true);
	return r == 0;
}

void context_relieve(struct leat_cq *cq, unsigned worker)
{
	(void)context_dispatch(cq, true);
	if (own_worker_runs()) /* a worker elsewhere may wait for this thread's */
		(void)own_worker_poll(0);
	(void)eventfd_write(cq->session->bell[worker], 1);
	(void)context_is_alive(cq);
	(void)sched_yield();
}

int context_submit(struct leat_cq *cq, unsigned worker, const struct leat_sqe *sqe)
{
	for (;;) {
		int r;

		context_lock_sq(cq);
		r = leat_cq_submit(cq, worker, sqe);
		context_unlock_sq(cq);
		if (r != -EAGAIN)
			return r;
		context_relieve(cq, worker);
	}
}

struct call_wait {
	struct wait wait;
	struct leat_cq *cq;
	struct call call;
};

static bool call_check(struct wait *w)
{
	struct call_wait *c = (struct call_wait *)w;

	(void)context_drain(c->cq);
	return load_acquire(&c->call.done);
}

int context_call(struct leat_cq *cq, unsigned worker, struct leat_sqe *sqe, struct leat_cqe *out)
{
	struct call_wait c = {
		.wait = {.check = call_check,
			 .contexts = context_bit(cq),
			 .deadline_us = WAIT_FOREVER},
		.cq = cq,
		.call.id = __atomic_add_fetch(&cq->session->next_call, 1, __ATOMIC_RELAXED),
	};
	int r;

	sqe->user_data = c.call.id;
	context_lock_cq(cq);
	LIST_INSERT_HEAD(&cq->calls, &c.call, link);
	context_unlock_cq(cq);
	r = context_submit(cq, worker, sqe);
	while (r == 0) {
		r = wait_run(cq->session, &c.wait);
		if (r == 0)
			break;
		if (r == -EINTR)
			r = 0;
	}
	context_lock_cq(cq);
	LIST_REMOVE(&c.call, link);
	context_unlock_cq(cq);
	if (r != 0)
		return r;
	if (out != NULL)
		*out = c.call.cqe;
	return c.call.cqe.result;
}
