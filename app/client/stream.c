/* SPDX-License-Identifier: BSD-3-Clause */
/* Sending and receiving: what all sockets share, and streams. */
#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "socket.h"

#define PIECES 16 /* of a ring, described at a time */

/* ---- The rings of a sock, through its socket's context ------------------ */

ssize_t sock_reserve(struct sock *sk, size_t bytes, struct iovec *iov, int *iov_count)
{
	struct leat_cq *cq = socket_context(sk->socket);
	ssize_t n;

	pthread_mutex_lock(&cq->sq_lock);
	n = leat_cq_send_reserve(cq, sk->handle, bytes, iov, iov_count);
	pthread_mutex_unlock(&cq->sq_lock);
	return n;
}

int sock_commit(struct sock *sk, size_t bytes, bool more)
{
	struct leat_cq *cq = socket_context(sk->socket);
	int r;

	for (;;) {
		pthread_mutex_lock(&cq->sq_lock);
		r = more ? leat_cq_send_commit_more(cq, sk->handle, bytes)
			 : leat_cq_send_commit(cq, sk->handle, bytes);
		pthread_mutex_unlock(&cq->sq_lock);
		if (r != -EAGAIN)
			return r;
		context_relieve(cq, sock_worker(sk));
		bytes = 0;
	}
}

int sock_consume(struct sock *sk, size_t bytes)
{
	struct leat_cq *cq = socket_context(sk->socket);
	int r;

	for (;;) {
		pthread_mutex_lock(&cq->sq_lock);
		r = leat_cq_recv_consume(cq, sk->handle, bytes);
		pthread_mutex_unlock(&cq->sq_lock);
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
	pthread_mutex_lock(&cq->sq_lock);
	(void)leat_cq_send_release(cq, h);
	pthread_mutex_unlock(&cq->sq_lock);
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
	pthread_mutex_lock(&cq->sq_lock);
	writable = channel_has_chunks(cq, sk->handle, bytes);
	pthread_mutex_unlock(&cq->sq_lock);
	return writable;
}

/* ---- Receive ------------------------------------------------------------ */

/* Are there bytes to read, or will there never be? */
static bool stream_is_readable(struct socket *so, uint64_t bytes)
{
	return sock_readable_bytes(socket_home(so)) >= bytes ||
	       socket_poll(so, 0) & (POLLERR | POLLHUP | POLLRDHUP);
}

/* Moves what is there; how much, 0 at the end of the stream, -EAGAIN, -EIO. */
static ssize_t stream_take(struct sock *sk, struct transfer *t, size_t wanted)
{
	struct leat_cq *cq = socket_context(sk->socket);
	struct iovec iov[PIECES];
	struct ring_lock lock;
	int pieces = PIECES;
	size_t moved = 0;
	ssize_t n = ring_lock(sk, RING_RX, &lock);

	if (n != 0)
		return n;
	n = leat_cq_recv_peek(cq, sk->handle, iov, &pieces);
	for (int i = 0; n > 0 && i < pieces && moved < wanted; i++) {
		size_t length = iov[i].iov_len < wanted - moved ? iov[i].iov_len : wanted - moved;

		if (!(t->flags & MSG_TRUNC))
			(void)transfer_out(t, iov[i].iov_base, length);
		moved += length;
	}
	if (moved > 0 && !(t->flags & MSG_PEEK))
		(void)sock_consume(sk, moved);
	ring_unlock(&lock);
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

	while (sock_readable_bytes(sk) < wanted && !(sock_events(sk) & LEAT_EV_RDHUP) &&
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

	if (peek)
		stream_await_peek(so, t, wanted, deadline_us);
	while (got < t->length) {
		n = stream_take(sk, t, t->length - got);
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
