/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Submissions: what system calls are to a kernel.  Each is copied out of the
 * shared queue once; nothing in it is believed.
 */
#include "sock/submission.h"

#include <errno.h>
#include <netinet/in.h>
#include <rte_atomic.h>
#include <string.h>
#include <sys/socket.h>

#include "core/worker.h"
#include "shm/ring.h"
#include "shm/session.h"
#include "sock/connection.h"
#include "sock/option.h"

#define SUBMISSION_BATCH   64 /* taken from one channel in one iteration */
#define CHANNEL_IDLE_POLLS 10000 /* silent for so many: over to the doorbell */
#define LOW_PORTS          1024

/* The sock a submission names, if the submitting process holds it. */
static struct sock *channel_sock(struct channel *ch, struct leat_handle handle)
{
	struct sock *sk = arena_sock(ch->arena, handle);

	return sk != NULL && sk->holders >> ch->process & 1 ? sk : NULL;
}

/* ---- one function an operation; the result is what the application gets ---- */

static int op_socket(struct worker *w, struct channel *ch, const struct leat_sqe *sqe,
		     struct leat_cqe *cqe)
{
	int result = -ESOCKTNOSUPPORT;

	if (sqe->family != AF_INET)
		return -EAFNOSUPPORT;
	for (const struct proto *const *p = w->protos; *p != NULL; p++) {
		struct sock *sk;

		if ((*p)->type != sqe->type)
			continue;
		if (sqe->protocol != 0 && sqe->protocol != (*p)->protocol) {
			result = -EPROTONOSUPPORT;
			continue;
		}
		sk = (*p)->create(w, sqe->family);
		if (sk == NULL)
			return -ENOBUFS;
		result = sock_attach(w, sk, ch->arena, ch);
		if (result != 0)
			(*p)->close(w, sk, true);
		else
			cqe->handle = (struct leat_handle){sk->slot, sk->generation};
		return result;
	}
	return result;
}

static void name_of(const struct sock *sk, bool peer, struct leat_addr *addr)
{
	const struct flow *flow = &((const struct inet_sock *)sk)->flow;

	*addr = peer ? leat_addr_make(sk->family, &flow->remote, flow->remote_port)
		     : leat_addr_make(sk->family, &flow->local, flow->local_port);
}

static int op_bind(struct worker *w, struct channel *ch, struct sock *sk, struct leat_sqe *sqe,
		   struct leat_cqe *cqe)
{
	uint16_t port = rte_be_to_cpu_16(sqe->addr.port);
	int result;

	if (sqe->addr.family != sk->family)
		return -EAFNOSUPPORT;
	if (port != 0 && port < LOW_PORTS && !ch->arena->session->config.low_ports)
		return -EACCES;
	if (sk->family == AF_INET)
		memset(sqe->addr.addr + 4, 0, sizeof(sqe->addr.addr) - 4);
	result = sk->proto->bind(w, sk, &sqe->addr);
	if (result == 0)
		name_of(sk, false, &cqe->addr);
	return result;
}

static int op_connect(struct worker *w, struct sock *sk, struct leat_sqe *sqe, struct leat_cqe *cqe)
{
	int result;

	if (sqe->addr.family != sk->family &&
	    !(sqe->addr.family == AF_UNSPEC && sk->proto->type == SOCK_DGRAM))
		return -EAFNOSUPPORT;
	if (sk->family == AF_INET)
		memset(sqe->addr.addr + 4, 0, sizeof(sqe->addr.addr) - 4);
	result = sk->proto->connect(w, sk, &sqe->addr);
	if (result == 0)
		name_of(sk, false, &cqe->addr);
	return result;
}

static int op_getname(struct sock *sk, const struct leat_sqe *sqe, struct leat_cqe *cqe)
{
	const struct inet_sock *inet = (const struct inet_sock *)sk;

	if (sqe->value != 0 && inet->flow.remote_port == 0)
		return -ENOTCONN;
	name_of(sk, sqe->value != 0, &cqe->addr);
	return 0;
}

static int op_listen(struct worker *w, struct sock *sk, const struct leat_sqe *sqe)
{
	return sk->proto->listen == NULL ? -EOPNOTSUPP : sk->proto->listen(w, sk, sqe->value);
}

static int op_shutdown(struct worker *w, struct sock *sk, const struct leat_sqe *sqe)
{
	if (sqe->value < SHUT_RD || sqe->value > SHUT_RDWR)
		return -EINVAL;
	if (tx_ring_sync(w, &sk->ring) != 0)
		return -EPROTO;
	return sk->proto->shutdown(w, sk, sqe->value);
}

static int op_setsockopt(struct worker *w, struct sock *sk, const struct leat_sqe *sqe)
{
	struct sock_option option;
	int result = option_take(&sqe->option, &option);

	if (result != 0)
		return result;
	result = sk->proto->setsockopt(w, sk, &option);
	sock_raise(w, sk, 0); /* a limit may have changed */
	return result;
}

static int op_getsockopt(struct worker *w, struct channel *ch, struct sock *sk,
			 const struct leat_sqe *sqe, struct leat_cqe *cqe)
{
	struct sock_option option = {
		.level = sqe->option.level,
		.name = sqe->option.name,
		.length_bytes = RTE_MIN(sqe->option.length_bytes, (uint32_t)LEAT_ANSWER_BYTES),
	};
	int result = sk->proto->getsockopt(w, sk, &option);

	if (result == 0)
		option_give(&option, &cqe->option, ch->shared->answer);
	return result;
}

/* Like a slot's first values tx_urgent is written here, before the application uses it: what a
 * sock that had the slot left there is none of this one's. */
static int op_urgent(struct sock *sk)
{
	if (sk->proto->type != SOCK_STREAM)
		return -EOPNOTSUPP;
	if (!(sk->flags & SOCK_TX_URGENT))
		sk->ring.arena->tx_urgent[sk->slot] = 0;
	sk->flags |= SOCK_TX_URGENT;
	return 0;
}

static int op_move(struct worker *w, struct channel *ch, struct sock *sk)
{
	if (sk->channel != ch) {
		sock_set_channel(w, sk, ch);
		sock_raise(w, sk,
			   LEAT_EV_IN | LEAT_EV_OUT); /* what the old one was told counts anew */
	}
	return 0;
}

/* ---- dispatch ------------------------------------------------------------ */

static int op_with_result(struct worker *w, struct channel *ch, struct leat_sqe *sqe,
			  struct leat_cqe *cqe)
{
	struct sock *sk;

	if (sqe->op == LEAT_OP_SOCKET)
		return op_socket(w, ch, sqe, cqe);
	sk = channel_sock(ch, sqe->handle);
	if (sk == NULL)
		return -EBADF;
	cqe->handle = sqe->handle;
	switch (sqe->op) {
	case LEAT_OP_BIND:
		return op_bind(w, ch, sk, sqe, cqe);
	case LEAT_OP_LISTEN:
		return op_listen(w, sk, sqe);
	case LEAT_OP_CONNECT:
		return op_connect(w, sk, sqe, cqe);
	case LEAT_OP_SHUTDOWN:
		return op_shutdown(w, sk, sqe);
	case LEAT_OP_CLOSE:
		sock_release(w, sk, ch->process);
		return 0;
	case LEAT_OP_SETSOCKOPT:
		return op_setsockopt(w, sk, sqe);
	case LEAT_OP_GETSOCKOPT:
		return op_getsockopt(w, ch, sk, sqe, cqe);
	case LEAT_OP_GETNAME:
		return op_getname(sk, sqe, cqe);
	case LEAT_OP_URGENT:
		return op_urgent(sk);
	case LEAT_OP_MOVE:
		return op_move(w, ch, sk);
	default:
		arena_condemn(w, ch->arena, "unknown operation");
		return -EINVAL;
	}
}

static void op_sync(struct worker *w, struct sock *sk, const struct leat_sqe *sqe)
{
	if (tx_ring_sync(w, &sk->ring) != 0 || rx_ring_sync(w, &sk->ring) != 0)
		return;
	if (sqe->value & LEAT_SYNC_MORE)
		sk->tx_more = sqe->offset;
	sk->proto->sync(w, sk);
}

/* Operations whose effect is seen elsewhere; a stale handle is no news to anyone. */
static bool op_without_result(struct worker *w, struct channel *ch, const struct leat_sqe *sqe)
{
	struct sock *sk;

	switch (sqe->op) {
	case LEAT_OP_WANT_CHUNKS:
		ch->starved = true;
		return true;
	case LEAT_OP_SYNC:
	case LEAT_OP_CREDIT:
	case LEAT_OP_UNCREDIT:
	case LEAT_OP_RELEASE:
		break;
	case LEAT_OP_CLOSE:
		if (sqe->value == 0)
			return false;
		break;
	default:
		return false;
	}
	sk = channel_sock(ch, sqe->handle);
	if (sk == NULL)
		return true;
	if (sqe->op == LEAT_OP_SYNC) {
		op_sync(w, sk, sqe);
	} else if (sqe->op == LEAT_OP_RELEASE) {
		if (tx_ring_sync(w, &sk->ring) == 0)
			tx_ring_release(w, &sk->ring, sqe->offset);
	} else if (sqe->op == LEAT_OP_CLOSE) {
		sock_release(w, sk, ch->process);
	} else if (sk->flags & SOCK_LISTENER) {
		struct inet_connection_sock *ics = (struct inet_connection_sock *)sk;

		if (sqe->op == LEAT_OP_CREDIT && sqe->value > 0)
			(void)listener_credit(w, ics, ch, (uint32_t)sqe->value);
		else if (sqe->op == LEAT_OP_UNCREDIT)
			listener_uncredit(w, ics, ch);
	}
	return true;
}

/* Says that these kicks were seen, before any of the rings is looked at. */
static void submissions_see_kicks(struct channel *ch, const struct leat_sqe *sqe, unsigned count)
{
	bool any = false;

	for (unsigned i = 0; i < count; i++) {
		struct sock *sk;

		if (sqe[i].op != LEAT_OP_SYNC)
			continue;
		sk = channel_sock(ch, sqe[i].handle);
		if (sk == NULL)
			continue;
		__atomic_store_n(&sk->ring.shared->kick_seen, sk->ring.shared->kick_seen + 1,
				 __ATOMIC_RELAXED);
		any = true;
	}
	/* Pairs with the fence between the application's tx_tail and its look at kick_seen.  (When it
	 * finds its last kick seen it submits another, which needs no fence.) */
	if (any)
		rte_smp_mb();
}

/* Runs submissions that were copied out. */
static void submissions_run(struct worker *w, struct channel *ch, struct leat_sqe *sqe,
			    unsigned count)
{
	/* What these raise on the way (offers) must leave room for their results. */
	ch->cq_owed = count;
	submissions_see_kicks(ch, sqe, count);
	for (unsigned i = 0; i < count && !ch->arena->condemned; i++) {
		struct leat_cqe cqe;

		ch->cq_owed--;
		if (op_without_result(w, ch, &sqe[i]))
			continue;
		memset(&cqe, 0, sizeof(cqe)); /* all of its unions: an application reads it */
		cqe.type = LEAT_CQE_RESULT;
		cqe.user_data = sqe[i].user_data;
		cqe.result = op_with_result(w, ch, &sqe[i], &cqe);
		if (ch->open)
			*channel_complete(w, ch) = cqe;
	}
	ch->cq_owed = 0;
	w->counter[CNT_submissions] += count;
}

/* Takes and runs what there is; how many. */
static __rte_noinline unsigned channel_run(struct worker *w, struct channel *ch)
{
	struct leat_sqe sqe[SUBMISSION_BATCH];
	/* Each may need a completion; without room for it the submission stays where it is. */
	unsigned limit = RTE_MIN(channel_cq_room(w, ch), (uint32_t)SUBMISSION_BATCH);
	unsigned count = channel_take(w, ch, sqe, limit);

	if (count > 0)
		submissions_run(w, ch, sqe, count);
	return count;
}

static inline unsigned channel_poll(struct worker *w, struct channel *ch)
{
	unsigned count = channel_has_submissions(ch) ? channel_run(w, ch) : 0;

	channel_grant(w, ch);
	return count;
}

void channel_drain(struct worker *w, struct channel *ch)
{
	struct leat_sqe sqe;

	for (uint32_t i = 0; i < ch->queue_entries; i++) {
		if (ch->arena->condemned || channel_take(w, ch, &sqe, 1) == 0)
			break;
		submissions_run(w, ch, &sqe, 1);
	}
}

/* A channel that fell silent rings its bell when it has something; one of them is looked at in
 * each iteration all the same, for programs that watch no bells. */
static void channels_look_at_silent(struct worker *w)
{
	struct channel *ch = TAILQ_FIRST(&w->silent);

	if (ch == NULL)
		return;
	if (channel_has_submissions(ch)) {
		channel_activate(w, ch);
		return;
	}
	TAILQ_REMOVE(&w->silent, ch, active_link);
	TAILQ_INSERT_TAIL(&w->silent, ch, active_link);
}

unsigned channels_poll(struct worker *w)
{
	struct channel *ch, *next;
	unsigned taken = 0;

	channels_look_at_silent(w);
	for (ch = TAILQ_FIRST(&w->active); ch != NULL; ch = next) {
		unsigned count;

		next = TAILQ_NEXT(ch, active_link);
		if (ch->armed)
			channel_activate(w, ch);
		count = ch->arena->condemned ? 0 : channel_poll(w, ch);
		taken += count;
		/* One that waits for chunks is visited until it has some. */
		ch->idle_polls = count != 0 || ch->to_publish || ch->starved ? 0
									     : ch->idle_polls + 1;
		if (ch->idle_polls >= CHANNEL_IDLE_POLLS && channel_arm(w, ch))
			channel_silence(w, ch);
	}
	return taken;
}
