/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Urgent data (MSG_OOB), with Linux's meaning: of what the peer sends as
 * urgent the last byte counts.  A read stops before it; the next one passes
 * over it, unless SO_OOBINLINE makes it part of the stream.  Until then
 * MSG_OOB reads it, once in each process.
 */
#include <errno.h>
#include <poll.h>

#include "socket.h"

/* ---- Where it is -------------------------------------------------------- */

void sock_look_urgent(const struct sock *sk, struct urgent *u)
{
	const struct session *s = sk->socket->session;
	const struct leat_urgent *urgent = &s->rx_urgent[sk->handle.slot];
	uint64_t head = load_relaxed(&sk->shared->rx_head);
	uint64_t skip_to;

	*u = (struct urgent){.head = head};
	/* First: what the worker tells of urgent data it told before the bytes. */
	u->tail = load_acquire(&sk->shared->rx_tail);
	if (!(sock_events(sk) & LEAT_EV_PRI))
		return;
	/* acquire: pairs with the worker's release after skip_to */
	u->mark = load_acquire(&urgent->mark);
	skip_to = load_relaxed(&urgent->skip_to);
	if ((int64_t)(skip_to - head) > 0 && (int64_t)(u->tail - skip_to) >= 0)
		u->head = skip_to;
	u->hole = u->head - head;
	u->pending = (int64_t)(u->mark - u->head) >= 0;
	u->arrived = u->pending && (int64_t)(u->tail - u->mark) > 0;
}

/* Has its byte to be passed over by whoever reads on now? */
static bool urgent_is_next(const struct socket *so, const struct urgent *u)
{
	return u->arrived && u->mark == u->head && !socket_has(so, SOCKET_OOBINLINE);
}

uint64_t stream_data_bytes(const struct socket *so)
{
	struct urgent u;

	sock_look_urgent(socket_home(so), &u);
	return u.tail - u.head - urgent_is_next(so, &u);
}

bool stream_stops_ahead(const struct socket *so)
{
	struct urgent u;

	sock_look_urgent(socket_home(so), &u);
	return u.pending && u.mark != u.head && (int64_t)(u.tail - u.mark) >= 0;
}

uint64_t stream_queued_bytes(const struct socket *so)
{
	struct urgent u;

	sock_look_urgent(socket_home(so), &u);
	if (u.arrived && !socket_has(so, SOCKET_OOBINLINE))
		return u.mark - u.head;
	return u.tail - u.head;
}

bool stream_is_at_mark(const struct socket *so)
{
	struct urgent u;

	sock_look_urgent(socket_home(so), &u);
	return u.pending && u.mark == u.head;
}

static bool urgent_was_read(const struct socket *so, const struct urgent *u)
{
	return load_relaxed(&so->urgent_read) == u->mark + 1;
}

uint32_t stream_poll_urgent(const struct socket *so)
{
	struct urgent u;

	sock_look_urgent(socket_home(so), &u);
	return u.arrived && !urgent_was_read(so, &u) ? POLLPRI : 0;
}

/* ---- Receive ------------------------------------------------------------ */

/* Takes the byte at the mark, under the ring's lock. */
static ssize_t urgent_take(struct socket *so, struct transfer *t, const struct urgent *u)
{
	struct sock *sk = socket_home(so);
	uint8_t byte = ring_rx_byte(so->session, sk->shared, u->mark);

	if (!(t->flags & MSG_PEEK))
		store_relaxed(&so->urgent_read, u->mark + 1);
	t->msg_flags |= MSG_OOB;
	if (t->length == 0) {
		t->msg_flags |= MSG_TRUNC;
		return 0;
	}
	if (!(t->flags & MSG_TRUNC))
		(void)transfer_out(t, &byte, 1);
	return 1;
}

ssize_t stream_receive_urgent(struct socket *so, struct transfer *t)
{
	struct sock *sk = socket_home(so);
	/* Before the look: what is not there then will not come any more. */
	bool ended = socket_has(so, SOCKET_RX_SHUT) ||
		     sock_events(sk) & (LEAT_EV_RDHUP | LEAT_EV_HUP);
	struct ring_lock lock;
	struct urgent u;
	ssize_t n;

	if (socket_has(so, SOCKET_LISTENING))
		return -ENOTCONN;
	n = ring_lock(sk, RING_RX, &lock);
	if (n != 0)
		return n;
	sock_look_urgent(sk, &u);
	if (socket_has(so, SOCKET_OOBINLINE) || !u.pending || urgent_was_read(so, &u))
		n = -EINVAL;
	else if (u.arrived)
		n = urgent_take(so, t, &u);
	else
		n = ended ? 0 : -EAGAIN;
	ring_unlock(&lock);
	return n;
}

/* ---- Send --------------------------------------------------------------- */

int stream_begin_urgent(struct socket *so)
{
	struct sock *sk = socket_home(so);
	struct leat_sqe sqe = {.op = LEAT_OP_URGENT, .handle = sk->handle};
	int r;

	if (socket_has(so, SOCKET_TX_URGENT))
		return 0;
	r = context_call(socket_context(so), sock_worker(sk), &sqe, NULL);
	if (r == 0)
		socket_set(so, SOCKET_TX_URGENT);
	return r;
}
