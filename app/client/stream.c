/* SPDX-License-Identifier: BSD-3-Clause */
/* Sending and receiving: what all sockets share, and streams. */
#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "ring.h"
#include "socket.h"

#define PIECES 16 /* of a ring, described at a time */

/* ---- The rings of a sock, through its socket's context ------------------ */

ssize_t sock_reserve(struct sock *sk, size_t bytes, struct iovec *iov, int *iov_count)
{
	struct leat_cq *cq = socket_context(sk->socket);
	ssize_t n;

	context_lock_sq(cq);
	n = leat_cq_send_reserve(cq, sk->handle, bytes, iov, iov_count);
	context_unlock_sq(cq);
	return n;
}

int sock_commit(struct sock *sk, size_t bytes, bool more)
{
	struct leat_cq *cq = socket_context(sk->socket);
	int r;

	for (;;) {
		context_lock_sq(cq);
		r = more ? leat_cq_send_commit_more(cq, sk->handle, bytes)
			 : leat_cq_send_commit(cq, sk->handle, bytes);
		context_unlock_sq(cq);
		if (r != -EAGAIN)
			return r;
		context_relieve(cq, sock_worker(sk));
		bytes = 0;
	}
}

int sock_kick(struct sock *sk)
{
	struct leat_cq *cq = socket_context(sk->socket);
	int r;

	for (;;) {
		context_lock_sq(cq);
		r = ring_kick(cq, sk->handle);
		context_unlock_sq(cq);
		if (r != -EAGAIN)
			return r;
		context_relieve(cq, sock_worker(sk));
	}
}

int sock_consume(struct sock *sk, size_t bytes)
{
	struct leat_cq *cq = socket_context(sk->socket);
	int r;

	for (;;) {
		context_lock_sq(cq);
		r = leat_cq_recv_consume(cq, sk->handle, bytes);
		context_unlock_sq(cq);
		if (r != -EAGAIN)
			return r;
		context_relieve(cq, sock_worker(sk));
		bytes = 0;
	}
}

void sock_release_ring(struct leat_cq *cq, struct leat_handle h)
{
	struct sock *sk = load_acquire(&cq->session->socks[h.slot]);
	struct ring_lock lock;

	if (sk == NULL || sk->socket == NULL || ring_lock(sk, RING_TX, &lock) != 0)
		return;
	context_lock_sq(cq);
	(void)leat_cq_send_release(cq, h);
	context_unlock_sq(cq);
	ring_unlock(&lock);
}

size_t sock_writable_mark(const struct sock *sk)
{
	return load_relaxed(&sk->shared->tx_mark_bytes);
}

bool sock_is_writable(struct sock *sk, size_t room, size_t bytes)
{
	struct leat_cq *cq = socket_context(sk->socket);
	bool writable;

	if (leat_cq_send_wake(cq, sk->handle, room) == 0)
		return false;
	context_lock_sq(cq);
	writable = channel_has_chunks(cq, sk->handle, bytes);
	context_unlock_sq(cq);
	return writable;
}

/* ---- Receive ------------------------------------------------------------ */

/* Are there bytes to read, or will there never be? */
static bool stream_is_readable(struct socket *so, uint64_t bytes)
{
	return stream_data_bytes(so) >= bytes || stream_stops_ahead(so) ||
	       socket_poll(so, 0) & (POLLERR | POLLHUP | POLLRDHUP);
}

/* What lies in the receive ring, as the next read sees it. */
struct view {
	struct iovec iov[PIECES];
	int pieces;
	size_t skip; /* of the first bytes: one that is no data for whoever reads on now */
	size_t limit; /* the read stops after so many others */
};

/* How many bytes there are to look at; 0 at the end of the stream or where a read that has got
 * something stops; -EAGAIN. */
static ssize_t stream_view(struct sock *sk, struct view *v, bool got)
{
	struct leat_cq *cq = socket_context(sk->socket);
	struct urgent u;
	ssize_t n;

	for (;;) {
		v->pieces = PIECES;
		n = leat_cq_recv_peek(cq, sk->handle, v->iov, &v->pieces);
		sock_look_urgent(sk, &u); /* now that rx_tail is loaded */
		if (u.hole == 0 || n <= 0)
			break;
		(void)sock_consume(sk, u.hole);
	}
	v->skip = 0;
	v->limit = SIZE_MAX;
	if (!u.pending)
		return n;
	if (u.mark != u.head)
		v->limit = u.mark - u.head;
	else if (got)
		return 0;
	else if (!socket_has(sk->socket, SOCKET_OOBINLINE))
		v->skip = 1;
	return n;
}

static size_t view_move(const struct view *v, struct transfer *t, size_t wanted)
{
	size_t skip = v->skip;
	size_t moved = 0;

	if (wanted > v->limit)
		wanted = v->limit;
	for (int i = 0; i < v->pieces && moved < wanted; i++) {
		size_t length = v->iov[i].iov_len - skip;

		if (length > wanted - moved)
			length = wanted - moved;
		if (!(t->flags & MSG_TRUNC))
			(void)transfer_out(t, (char *)v->iov[i].iov_base + skip, length);
		moved += length;
		skip = 0;
	}
	return moved;
}

/* Moves what is there, up to the mark of urgent data; got: not the first of this read.  How much, 0
 * at the end of the stream or of this read, -EAGAIN, -EIO. */
static ssize_t stream_take(struct sock *sk, struct transfer *t, size_t wanted, bool got)
{
	/* Before the look at what is there: nothing will follow it. */
	bool ended = sock_events(sk) & (LEAT_EV_RDHUP | LEAT_EV_HUP);
	struct ring_lock lock;
	struct view v;
	size_t moved = 0;
	ssize_t n = ring_lock(sk, RING_RX, &lock);

	if (n != 0)
		return n;
	n = stream_view(sk, &v, got);
	if (n > 0)
		moved = view_move(&v, t, wanted);
	if (n > 0 && !(t->flags & MSG_PEEK))
		(void)sock_consume(sk, v.skip + moved);
	ring_unlock(&lock);
	if (n > 0 && moved == 0) /* only the byte that was passed over */
		return ended ? 0 : -EAGAIN;
	return n > 0 ? (ssize_t)moved : n;
}

#define STREAM_ENDED 1

/* Fewer than bytes are there: 0 once it is worth another look, STREAM_ENDED, or -errno. */
static int stream_await_readable(struct socket *so, const struct transfer *t, size_t bytes,
				 int64_t deadline_us)
{
	if (socket_has(so, SOCKET_RX_SHUT) || sock_has_error(socket_home(so)))
		return STREAM_ENDED;
	if (!socket_has(so, SOCKET_CONNECTING | SOCKET_CONNECTED))
		return -ENOTCONN;
	if (socket_has(so, SOCKET_NONBLOCK) || t->flags & MSG_DONTWAIT)
		return context_is_alive(socket_context(so)) ? -EAGAIN : -ENETDOWN;
	return socket_wait(so, stream_is_readable, bytes, deadline_us);
}

/* What is peeked at stays where it is, so all that is wanted has to be there at once.  Whatever ends
 * the wait, the caller looks at what there is. */
static void stream_await_peek(struct socket *so, const struct transfer *t, size_t wanted,
			      int64_t deadline_us)
{
	struct sock *sk = socket_home(so);

	while (stream_data_bytes(so) < wanted && !stream_stops_ahead(so) &&
	       !(sock_events(sk) & LEAT_EV_RDHUP) &&
	       stream_await_readable(so, t, wanted, deadline_us) == 0)
		;
}

/* From how many bytes on a blocked receive returns: SO_RCVLOWAT at most, unless it wants them all. */
static size_t stream_wanted(const struct socket *so, const struct transfer *t)
{
	size_t lowat = so->receive_lowat > 1 ? so->receive_lowat : 1;

	return t->flags & MSG_WAITALL || t->length < lowat ? t->length : lowat;
}

ssize_t stream_receive(struct socket *so, struct transfer *t)
{
	struct sock *sk = socket_home(so);
	int64_t deadline_us = deadline_after(so->receive_timeout_us);
	bool peek = t->flags & MSG_PEEK;
	size_t wanted = stream_wanted(so, t);
	size_t got = 0;
	ssize_t n = 0;

	if (t->flags & MSG_OOB)
		return stream_receive_urgent(so, t);
	if (peek)
		stream_await_peek(so, t, wanted, deadline_us);
	while (got < t->length) {
		n = stream_take(sk, t, t->length - got, got > 0);
		if (n > 0) {
			got += (size_t)n;
			if (peek)
				break;
			continue;
		}
		if (n != -EAGAIN || got >= wanted)
			break;
		n = stream_await_readable(so, t, 1, deadline_us);
		if (n != 0)
			break;
	}
	if (got > 0 || t->length == 0)
		return (ssize_t)got;
	if (n < 0)
		return n;
	/* The end; if an error was the reason, it is told first. */
	return sock_take_error(sk);
}

/* ---- Send --------------------------------------------------------------- */

static bool stream_is_writable(struct socket *so, uint64_t arg)
{
	(void)arg;
	return socket_poll(so, POLLOUT) & (POLLOUT | POLLERR | POLLHUP);
}

/* Why bytes cannot be sent, now or ever: -errno; 0: they can. */
static int stream_send_state(struct socket *so)
{
	struct sock *sk = socket_home(so);
	uint32_t events = load_acquire(&sk->shared->events);
	int error;

	if (socket_has(so, SOCKET_TX_SHUT))
		return -EPIPE;
	error = sock_take_error(sk);
	if (error != 0)
		return error;
	if (events & LEAT_EV_HUP)
		return -EPIPE;
	if (events & LEAT_EV_CONNECTED)
		return 0;
	return socket_has(so, SOCKET_CONNECTING | SOCKET_CONNECTED) ? -EAGAIN : -ENOTCONN;
}

/* Moves as much as there is room for; how much, or -EAGAIN, -EIO, -ENETDOWN. */
static ssize_t stream_put(struct sock *sk, struct transfer *t)
{
	struct iovec iov[PIECES];
	struct ring_lock lock;
	int pieces = PIECES;
	size_t moved = 0;
	ssize_t n = ring_lock(sk, RING_TX, &lock);

	if (n != 0)
		return n;
	n = sock_reserve(sk, t->length - t->done, iov, &pieces);
	for (int i = 0; n > 0 && i < pieces; i++)
		moved += transfer_in(t, iov[i].iov_base, iov[i].iov_len);
	if (n > 0 && t->flags & MSG_OOB && t->done == t->length)
		(void)leat_cq_send_urgent(socket_context(sk->socket), sk->handle, moved);
	if (n > 0) {
		int r = sock_commit(sk, moved, t->flags & MSG_MORE && t->done == t->length);

		n = r != 0 ? r : (ssize_t)moved;
	}
	ring_unlock(&lock);
	return n;
}

ssize_t stream_send(struct socket *so, struct transfer *t)
{
	struct sock *sk = socket_home(so);
	int64_t deadline_us = deadline_after(so->send_timeout_us);
	size_t sent = 0;
	ssize_t n = 0;

	while (sent < t->length) {
		if (sent > 0 && sock_has_error(sk))
			break; /* the next call tells it */
		n = stream_send_state(so);
		if (n == 0 && t->flags & MSG_OOB)
			n = stream_begin_urgent(so);
		if (n == 0)
			n = stream_put(sk, t);
		if (n > 0) {
			sent += (size_t)n;
			continue;
		}
		if (n != -EAGAIN)
			break;
		if (socket_has(so, SOCKET_NONBLOCK) || t->flags & MSG_DONTWAIT) {
			/* An event will tell when there is room. */
			(void)socket_poll(so, POLLOUT);
			if (!context_is_alive(socket_context(so)))
				n = -ENETDOWN;
			break;
		}
		n = socket_wait(so, stream_is_writable, 0, deadline_us);
		if (n != 0)
			break;
	}
	if (t->length == 0)
		n = stream_send_state(so);
	if (sent > 0)
		return (ssize_t)sent;
	if (n == -EPIPE && !(t->flags & MSG_NOSIGNAL))
		(void)raise(SIGPIPE);
	return n;
}
