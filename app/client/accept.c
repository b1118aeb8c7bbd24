/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Listeners.  A thread that wants connections posts credits through its own
 * context; the worker offers each connection to one context with a credit.
 * Offers wait here, in one queue for the process, until they are claimed with
 * a compare-and-swap, which fails if the worker took the connection back.
 *
 * Credits are withdrawn when the thread stops waiting while others (threads,
 * or processes that share the listener) may be waiting: an offer nobody
 * claims is taken back in the end, but only after a while.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/single_threaded.h>

#include "socket.h"

#define OFFERS_MAX 1024 /* a power of two; more than that go back to the worker by themselves */

struct listener {
	pthread_mutex_t lock;
	uint64_t contexts; /* atomic; that have or had credits */
	uint32_t head; /* of offers */
	uint32_t tail;
	uint8_t credits[LEAT_MAX_CONTEXTS][LEAT_MAX_WORKERS]; /* posted and not used */
	struct offer offers[OFFERS_MAX];
};

int listener_open(struct socket *so)
{
	/* Kept with the file: completions under way may still look at it. */
	struct listener *l = so->memory.kept[1];

	if (so->listener != NULL)
		return 0;
	if (l == NULL) {
		l = calloc(1, sizeof(*l));
		if (l == NULL)
			return -ENOMEM;
		pthread_mutex_init(&l->lock, NULL);
		so->memory.kept[1] = l;
	}
	pthread_mutex_lock(&l->lock);
	l->contexts = 0;
	l->head = l->tail = 0;
	memset(l->credits, 0, sizeof(l->credits));
	pthread_mutex_unlock(&l->lock);
	store_release(&so->listener, l);
	return 0;
}

static void listener_lock(struct socket *so)
{
	context_lock(socket_context(so), &so->listener->lock);
}

static void listener_unlock(struct socket *so)
{
	context_unlock(socket_context(so), &so->listener->lock);
}

/* ---- Offers ------------------------------------------------------------- */

void accept_offered(struct sock *listener, struct leat_cq *cq, const struct leat_cqe *cqe)
{
	struct socket *so = load_acquire(&listener->socket);
	struct listener *l = so == NULL ? NULL : load_acquire(&so->listener);
	unsigned worker = session_worker(cq->session, cqe->listener);

	if (l == NULL)
		return;
	listener_lock(so);
	if (l->credits[cq->index][worker] > 0)
		l->credits[cq->index][worker]--;
	if (l->tail - l->head < OFFERS_MAX)
		l->offers[l->tail++ % OFFERS_MAX] = (struct offer){.handle = cqe->handle,
								   .claim = cqe->claim,
								   .context = cq->index,
								   .peer = cqe->addr};
	listener_unlock(so);
}

static bool offer_stands(const struct session *s, const struct offer *offer)
{
	return offer->handle.slot < s->slot_count &&
	       load_acquire(&s->slots[offer->handle.slot].claim) == offer->claim;
}

bool listener_has_offer(struct socket *so)
{
	struct listener *l = so->listener;
	bool has;

	if (load_relaxed(&l->head) == load_relaxed(&l->tail))
		return false;
	listener_lock(so);
	while (l->head != l->tail && !offer_stands(so->session, &l->offers[l->head % OFFERS_MAX]))
		l->head++;
	has = l->head != l->tail;
	listener_unlock(so);
	return has;
}

static bool offer_take(const struct session *s, const struct offer *offer)
{
	const struct leat_cqe accept = {.handle = offer->handle, .claim = offer->claim};
	uint32_t taken = (offer->claim & ~LEAT_CLAIM_STATE) | LEAT_CLAIM_TAKEN;

	if (!slot_is_own(offer->handle.slot))
		return leat_cq_claim(s->contexts[offer->context], &accept) == 0;
	/* Its worker, who could take it back, is this thread. */
	if (!offer_stands(s, offer))
		return false;
	store_relaxed(&s->slots[offer->handle.slot].claim, taken);
	return true;
}

bool listener_claim(struct socket *so, struct offer *out)
{
	struct listener *l = so->listener;

	for (;;) {

		listener_lock(so);
		if (l->head == l->tail) {
			listener_unlock(so);
			return false;
		}
		*out = l->offers[l->head++ % OFFERS_MAX];
		listener_unlock(so);
		if (offer_take(so->session, out))
			return true;
	}
}

/* ---- Credits ------------------------------------------------------------ */

/* Topped up when half are used. */
static bool credits_suffice(unsigned credits, unsigned count)
{
	return credits >= count || (credits > 0 && credits > count / 2);
}

bool listener_has_credit(struct socket *so, const struct leat_cq *cq, unsigned count)
{
	const uint8_t *credits = so->listener->credits[cq->index];

	for (unsigned i = 0; i < socket_count(so); i++) {
		if (!credits_suffice(credits[sock_worker(&so->socks[i])], count))
			return false;
	}
	return true;
}

void listener_credit(struct socket *so, struct leat_cq *cq, unsigned count)
{
	struct listener *l = so->listener;

	listener_lock(so);
	__atomic_or_fetch(&l->contexts, context_bit(cq), __ATOMIC_RELAXED);
	for (unsigned i = 0; i < socket_count(so); i++) {
		uint8_t *credits = &l->credits[cq->index][sock_worker(&so->socks[i])];
		struct leat_sqe sqe = {.op = LEAT_OP_CREDIT, .handle = so->socks[i].handle};

		if (credits_suffice(*credits, count))
			continue;
		sqe.value = (int32_t)(count - *credits);
		/* Else the caller comes by again. */
		if (context_try_submit(cq, sock_worker(&so->socks[i]), &sqe))
			*credits = (uint8_t)count;
	}
	listener_unlock(so);
}

void listener_uncredit(struct socket *so, struct leat_cq *cq)
{
	struct listener *l = so->listener;

	if (__libc_single_threaded && !socket_has(so, SOCKET_SHARED))
		return;
	listener_lock(so);
	for (unsigned i = 0; i < socket_count(so); i++) {
		uint8_t *credits = &l->credits[cq->index][sock_worker(&so->socks[i])];
		struct leat_sqe sqe = {.op = LEAT_OP_UNCREDIT, .handle = so->socks[i].handle};

		if (*credits > 0 && context_try_submit(cq, sock_worker(&so->socks[i]), &sqe))
			*credits = 0;
	}
	listener_unlock(so);
}

uint64_t listener_contexts(struct socket *so)
{
	return load_relaxed(&so->listener->contexts);
}

bool listener_lacks_credit(struct socket *so, const struct leat_cq *cq)
{
	for (unsigned i = 0; i < socket_count(so); i++) {
		if (load_relaxed(&so->listener->credits[cq->index][sock_worker(&so->socks[i])]) ==
		    0)
			return true;
	}
	return false;
}

/* Each worker has taken what was submitted to it before, and its offers are here. */
static int listener_settle(struct socket *so, struct leat_cq *cq)
{
	for (unsigned i = 0; i < socket_count(so); i++) {
		struct leat_sqe sqe = {.op = LEAT_OP_GETNAME, .handle = so->socks[i].handle};
		int r = context_call(cq, sock_worker(&so->socks[i]), &sqe, NULL);

		if (r != 0)
			return r;
	}
	return 0;
}

/* ---- Accept ------------------------------------------------------------- */

struct accept_wait {
	struct wait wait;
	struct socket *so;
	struct leat_cq *cq;
};

static bool accept_check(struct wait *wait)
{
	struct accept_wait *w = (struct accept_wait *)wait;

	contexts_drain(w->so->session, wait->contexts);
	if (listener_has_offer(w->so))
		return true;
	/* Another thread may have taken what this one's credit brought. */
	listener_credit(w->so, w->cq, 1);
	return false;
}

/* Until an offer is there: 0, -EAGAIN, -EINTR, -ENETDOWN. */
static int accept_await(struct socket *so, struct leat_cq *cq, int64_t deadline_us)
{
	struct accept_wait w = {
		.wait = {.check = accept_check,
			 .contexts = context_bit(cq),
			 .deadline_us = deadline_us},
		.so = so,
		.cq = cq,
	};
	int r = wait_run(so->session, &w.wait);

	return r == -ETIMEDOUT ? -EAGAIN : r;
}

/* 0: an offer is there, or was a moment ago; -EAGAIN, -EINTR, -ENETDOWN. */
static int accept_find(struct socket *so, struct leat_cq *cq, int64_t deadline_us)
{
	bool lacked;
	int r;

	if (listener_has_offer(so))
		return 0;
	contexts_drain(so->session, listener_contexts(so) | context_bit(cq));
	if (listener_has_offer(so))
		return 0;
	if (!socket_has(so, SOCKET_NONBLOCK))
		return accept_await(so, cq, deadline_us);
	lacked = listener_lacks_credit(so, cq);
	listener_credit(so, cq, LISTENER_CREDITS);
	if (lacked) {
		r = listener_settle(so, cq);
		if (r != 0)
			return r;
	}
	if (listener_has_offer(so))
		return 0;
	return context_is_alive(cq) ? -EAGAIN : -ENETDOWN;
}

void accept_enter(struct socket *so, struct socket *child, const struct offer *offer)
{
	/* Its events go where it was offered. */
	struct leat_cq *cq = load_acquire(&so->session->contexts[offer->context]);

	if (cq != NULL)
		store_release(&child->context, cq);
	socket_inherit(child, so);
	store_relaxed(&child->flags, load_relaxed(&child->flags) | SOCKET_CONNECTED);
	sock_enter(&child->one, child, offer->handle);
	child->sock_count = 1;
}

/* A descriptor for the connection; *out says which. */
static int accept_take(struct socket *so, int flags, struct offer *out)
{
	/* Made first: a connection that was claimed cannot be given back. */
	struct socket *child = socket_alloc(so->session, socket_context(so), SOCK_STREAM, flags);
	int fd;

	if (child == NULL)
		return -ENOMEM;
	fd = fd_reserve();
	if (fd < 0) {
		socket_put(child);
		return fd;
	}
	if (!listener_claim(so, out)) {
		fd_unreserve(fd);
		socket_put(child);
		return -EAGAIN;
	}
	accept_enter(so, child, out);
	fd_publish(fd, &child->file);
	return fd;
}

int socket_accept(struct socket *so, int flags, struct leat_addr *peer)
{
	int64_t deadline_us = deadline_after(so->receive_timeout_us);
	struct offer offer;
	struct leat_cq *cq;
	int r;

	if (so->type != SOCK_STREAM)
		return -EOPNOTSUPP;
	if (!socket_has(so, SOCKET_LISTENING))
		return -EINVAL;
	r = context_self(so->session, &cq);
	while (r == 0) {
		r = accept_find(so, cq, deadline_us);
		if (r != 0)
			break;
		r = accept_take(so, flags, &offer);
		if (r >= 0)
			*peer = offer.peer;
		if (r != -EAGAIN)
			break;
		r = 0;
	}
	if (!socket_has(so, SOCKET_NONBLOCK) && r != -ENETDOWN)
		listener_uncredit(so, cq);
	return r;
}

void listener_free(struct socket *so)
{
	so->listener = NULL;
}

/* ---- fork --------------------------------------------------------------- */

void listener_forget_credits(struct socket *so)
{
	for (unsigned i = 0; i < so->session->layout.contexts; i++) {
		struct leat_cq *cq = so->session->contexts[i];

		if (cq != NULL && listener_contexts(so) & context_bit(cq))
			listener_uncredit(so, cq);
	}
}

void listener_reset_in_child(struct socket *so)
{
	struct listener *l = so->listener;

	pthread_mutex_init(&l->lock, NULL);
	l->contexts = 0;
	l->head = l->tail = 0; /* the parent's to claim */
	memset(l->credits, 0, sizeof(l->credits));
}
