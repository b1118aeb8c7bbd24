/* SPDX-License-Identifier: BSD-3-Clause */
/* What the application submits, and the chunks it is granted. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "fake_parts.h"

static int op_bind(struct fake_daemon *d, struct fake_sock *sk, const struct leat_sqe *sqe,
		   struct leat_cqe *cqe)
{
	if (sk->worker > 0 && d->bind_conflicts > 0) {
		d->bind_conflicts--;
		return -EADDRINUSE;
	}
	cqe->addr = sqe->addr;
	if (cqe->addr.port == 0)
		cqe->addr.port = htons(d->next_port++);
	sk->port = ntohs(cqe->addr.port);
	return 0;
}

static int op_connect(struct fake_daemon *d, struct fake_sock *sk, const struct leat_sqe *sqe)
{
	if (sk->type != SOCK_STREAM || d->connect_hangs)
		return 0;
	if (d->connect_error != 0) {
		fake_fail(d, sqe->handle, d->connect_error);
	} else {
		fake_set_state(d, sqe->handle, LEAT_EV_CONNECTED);
		fake_publish(d, sqe->handle, LEAT_EV_OUT | LEAT_EV_CONNECTED);
	}
	return 0;
}

static int op_with_result(struct fake_daemon *d, unsigned context, unsigned worker,
			  const struct leat_sqe *sqe, struct leat_cqe *cqe)
{
	struct fake_sock *sk = fake_sock(d, sqe->handle);

	if (sqe->op == LEAT_OP_SOCKET) {
		if (sqe->type != SOCK_STREAM && sqe->type != SOCK_DGRAM)
			return -ESOCKTNOSUPPORT;
		cqe->handle = fake_sock_open(d, worker, sqe->type, (int)context,
					     d->context[context].process);
		return 0;
	}
	if (!sk->open || sk->generation != sqe->handle.generation || sk->worker != worker)
		return -EBADF;
	cqe->handle = sqe->handle;
	switch (sqe->op) {
	case LEAT_OP_BIND:
		return op_bind(d, sk, sqe, cqe);
	case LEAT_OP_LISTEN:
		sk->listening = true;
		sk->backlog = sqe->value;
		return 0;
	case LEAT_OP_CONNECT:
		return op_connect(d, sk, sqe);
	case LEAT_OP_SHUTDOWN:
		fake_tx_sync(d, sqe->handle);
		sk->shutdowns++;
		return 0;
	case LEAT_OP_CLOSE:
		d->closes++;
		sk->holders &= ~(1u << d->context[context].process);
		if (sk->holders == 0)
			fake_sock_close(d, sqe->handle);
		return 0;
	case LEAT_OP_SETSOCKOPT:
		sk->option = sqe->option;
		return 0;
	case LEAT_OP_GETSOCKOPT:
		if (sk->option.name != sqe->option.name)
			return -ENOPROTOOPT;
		cqe->option = sk->option;
		if (sk->long_option) {
			cqe->option.length_bytes = LEAT_ANSWER_BYTES;
			memset(fake_channel(d, context, worker)->answer, sk->option.value[0],
			       LEAT_ANSWER_BYTES);
		}
		return 0;
	case LEAT_OP_GETNAME:
		cqe->addr = (struct leat_addr){.family = AF_INET, .port = htons(sk->port)};
		return 0;
	case LEAT_OP_URGENT:
		sk->urgent = true;
		return 0;
	case LEAT_OP_MOVE:
		sk->moves++;
		if (sk->context != (int)context) {
			sk->context = (int)context;
			fake_publish(d, sqe->handle, LEAT_EV_IN | LEAT_EV_OUT);
		}
		return 0;
	default:
		fake_condemn(d, "unknown operation");
		return -EINVAL;
	}
}

static void op_uncredit(struct fake_daemon *d, unsigned context, struct leat_handle listener)
{
	struct fake_sock *l = fake_sock(d, listener);

	l->uncredits++;
	l->credits[context] = 0;
	for (uint32_t i = 0; i < FAKE_SLOTS; i++) {
		struct leat_handle h = {l->worker * FAKE_SLOTS + i, 0};
		struct fake_sock *sk = fake_sock(d, h);

		h.generation = sk->generation;
		if (sk->open && sk->context == (int)context && sk->offer != 0 &&
		    fake_take_back(d, h))
			l->queue[l->queue_count++] = h;
	}
	fake_offer_queued(d, listener);
}

static bool op_without_result(struct fake_daemon *d, unsigned context, unsigned worker,
			      const struct leat_sqe *sqe)
{
	struct fake_sock *sk = fake_sock(d, sqe->handle);
	bool valid = sk->open && sk->generation == sqe->handle.generation;

	switch (sqe->op) {
	case LEAT_OP_WANT_CHUNKS:
		d->context[context].starved[worker] = true;
		return true;
	case LEAT_OP_SYNC:
		if (!valid)
			return true;
		sk->syncs++;
		if (sqe->value == LEAT_SYNC_MORE) {
			sk->mores++;
			sk->more_offset = sqe->offset;
		}
		__atomic_add_fetch(&fake_slot(d, sqe->handle)->kick_seen, 1, __ATOMIC_RELEASE);
		if (__atomic_load_n(&fake_slot(d, sqe->handle)->kick, __ATOMIC_RELAXED) -
				    fake_slot(d, sqe->handle)->kick_seen >
			    1 &&
		    sk->mores == 0) /* that more follows is told at any time */
			fake_condemn(d, "more than one kick under way");
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		fake_tx_sync(d, sqe->handle);
		fake_rx_sync(d, sqe->handle);
		return true;
	case LEAT_OP_RELEASE:
		if (!valid)
			return true;
		fake_tx_sync(d, sqe->handle);
		sk->releases++;
		if (sqe->offset == sk->tx_tail && sk->tx_head == sk->tx_tail)
			fake_chunks_free(d, fake_tx_link(d), &sk->tx_first, &sk->tx_last);
		return true;
	case LEAT_OP_CREDIT:
		if (valid && sk->listening)
			sk->credits[context] += (uint32_t)sqe->value;
		if (valid)
			fake_offer_queued(d, sqe->handle);
		return true;
	case LEAT_OP_UNCREDIT:
		if (valid)
			op_uncredit(d, context, sqe->handle);
		return true;
	default:
		return false;
	}
}

static void grant(struct fake_daemon *d, unsigned context, unsigned worker)
{
	struct leat_channel *ch = fake_channel(d, context, worker);
	uint32_t *tail = &d->context[context].grant_tail[worker];
	uint32_t held = *tail - __atomic_load_n(&ch->grant_head, __ATOMIC_ACQUIRE);

	if (held > d->config.grant_entries)
		fake_condemn(d, "grant_head beyond the grant ring");
	while (!d->no_chunks && held < d->config.grant_entries) {
		uint32_t chunk = fake_chunk_alloc(d, worker, FAKE_GRANTED);

		if (chunk == LEAT_NO_CHUNK)
			break;
		leat_channel_grants(
			ch, d->config.queue_entries)[*tail & (d->config.grant_entries - 1)] = chunk;
		++*tail;
		held++;
	}
	__atomic_store_n(&ch->grant_tail, *tail, __ATOMIC_RELEASE);
	if (held > 0 && d->context[context].starved[worker] &&
	    fake_cq_room(d, context, worker) > 0) {
		d->context[context].starved[worker] = false;
		fake_complete(d, context, worker, &(struct leat_cqe){.type = LEAT_CQE_CHUNKS});
	}
}

static void poll_channel(struct fake_daemon *d, unsigned context, unsigned worker)
{
	struct leat_channel *ch = fake_channel(d, context, worker);
	uint32_t *head = &d->context[context].sq_head[worker];
	uint32_t waiting = __atomic_load_n(&ch->sq_tail, __ATOMIC_ACQUIRE) - *head;

	if (waiting > d->config.queue_entries)
		fake_condemn(d, "sq_tail beyond the submission queue");
	while (waiting-- > 0 && fake_cq_room(d, context, worker) > 0) {
		struct leat_sqe sqe = leat_channel_sq(ch)[*head & (d->config.queue_entries - 1)];
		struct leat_cqe cqe = {.type = LEAT_CQE_RESULT, .user_data = sqe.user_data};

		++*head;
		d->submissions++;
		if (op_without_result(d, context, worker, &sqe))
			continue;
		cqe.result = op_with_result(d, context, worker, &sqe, &cqe);
		if (sqe.op != LEAT_OP_CLOSE || sqe.value == 0)
			fake_complete(d, context, worker, &cqe);
	}
	__atomic_store_n(&ch->sq_head, *head, __ATOMIC_RELEASE);
	grant(d, context, worker);
}

void fake_poll(struct fake_daemon *d)
{
	for (unsigned c = 0; c < FAKE_CONTEXTS; c++) {
		for (unsigned w = 0; w < d->config.workers && d->context[c].open; w++)
			poll_channel(d, c, w);
	}
	/* What found no room in a completion queue. */
	for (uint32_t i = 0; i < d->config.workers * FAKE_SLOTS; i++) {
		struct leat_handle h = {i, d->sock[i].generation};

		if (d->sock[i].open && d->sock[i].raised != 0)
			fake_publish(d, h, 0);
		if (d->sock[i].open && d->sock[i].listening)
			fake_offer_queued(d, h);
	}
}
