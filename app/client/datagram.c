/* SPDX-License-Identifier: BSD-3-Clause */
/* Datagrams: records in the rings of one sock per worker. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "socket.h"

#define PIECES 72 /* a record of the largest size in chunks of 1 KiB */

/* Where copying goes on in a list of pieces. */
struct pieces {
	struct iovec *iov;
	int count;
};

/* The next piece, at most bytes long. */
static size_t pieces_next(struct pieces *p, void **data, size_t bytes)
{
	while (p->count > 0 && p->iov->iov_len == 0) {
		p->iov++;
		p->count--;
	}
	if (p->count == 0)
		return 0;
	if (bytes > p->iov->iov_len)
		bytes = p->iov->iov_len;
	*data = p->iov->iov_base;
	p->iov->iov_base = (char *)p->iov->iov_base + bytes;
	p->iov->iov_len -= bytes;
	return bytes;
}

static void pieces_read(struct pieces *p, void *out, size_t bytes)
{
	void *data;
	size_t n;

	for (; bytes > 0 && (n = pieces_next(p, &data, bytes)) > 0; bytes -= n) {
		memcpy(out, data, n);
		out = (char *)out + n;
	}
}

static void pieces_write(struct pieces *p, const void *in, size_t bytes)
{
	void *data;
	size_t n;

	for (; bytes > 0 && (n = pieces_next(p, &data, bytes)) > 0; bytes -= n) {
		memcpy(data, in, n);
		in = (const char *)in + n;
	}
}

/* ---- Receive ------------------------------------------------------------ */

/* Moves the record that is next in sk; its length as the caller sees it, or -EAGAIN, -EIO. */
static ssize_t datagram_take(struct sock *sk, struct transfer *t)
{
	struct leat_cq *cq = socket_context(sk->socket);
	struct iovec iov[PIECES];
	struct pieces pieces = {iov, PIECES};
	struct leat_record record = {0};
	struct ring_lock lock;
	size_t left, n;
	void *data;
	ssize_t r = ring_lock(sk, RING_RX, &lock);

	if (r != 0)
		return r;
	r = leat_cq_recv_peek(cq, sk->handle, iov, &pieces.count);
	if (r < (ssize_t)sizeof(record)) {
		ring_unlock(&lock);
		return -EAGAIN;
	}
	pieces_read(&pieces, &record, sizeof(record));
	for (left = record.length_bytes; left > 0 && (n = pieces_next(&pieces, &data, left)) > 0;
	     left -= n) {
		if (transfer_out(t, data, n) < n)
			break;
	}
	if (!(t->flags & MSG_PEEK))
		(void)sock_consume(sk, record_bytes(record.length_bytes));
	ring_unlock(&lock);
	t->addr = record.addr;
	if (t->done < record.full_bytes)
		t->msg_flags |= MSG_TRUNC;
	return t->flags & MSG_TRUNC ? (ssize_t)record.full_bytes : (ssize_t)t->done;
}

/* From the socks in turn, so that none starves. */
static ssize_t datagram_take_any(struct socket *so, struct transfer *t)
{
	unsigned count = socket_count(so);

	for (unsigned i = 0; i < count; i++) {
		unsigned at = (load_relaxed(&so->next_rx) + i) % count;
		ssize_t n = datagram_take(&so->socks[at], t);

		if (n != -EAGAIN) {
			store_relaxed(&so->next_rx, (uint8_t)((at + 1) % count));
			return n;
		}
	}
	return -EAGAIN;
}

static bool datagram_is_readable(struct socket *so, uint64_t arg)
{
	(void)arg;
	return socket_poll(so, POLLIN) & (POLLIN | POLLERR);
}

ssize_t datagram_receive(struct socket *so, struct transfer *t)
{
	int64_t deadline_us = deadline_after(so->receive_timeout_us);

	for (;;) {
		ssize_t n = socket_take_error(so);

		if (n == 0)
			n = datagram_take_any(so, t);
		if (n != -EAGAIN)
			return n;
		if (socket_has(so, SOCKET_RX_SHUT))
			return 0;
		if (socket_has(so, SOCKET_NONBLOCK) || t->flags & MSG_DONTWAIT)
			return context_is_alive(socket_context(so)) ? -EAGAIN : -ENETDOWN;
		n = socket_wait(so, datagram_is_readable, 0, deadline_us);
		if (n != 0)
			return n;
	}
}

ssize_t datagram_next_length(struct socket *so)
{
	struct transfer nothing = {.flags = MSG_PEEK | MSG_TRUNC};

	return datagram_take_any(so, &nothing);
}

/* ---- Send --------------------------------------------------------------- */

static bool datagram_is_writable(struct socket *so, uint64_t bytes)
{
	return sock_is_writable(socket_home(so), bytes, bytes);
}

/* Writes one record, whole or not at all: 0, -EAGAIN, -EIO, -ENETDOWN. */
static int datagram_put(struct sock *sk, struct transfer *t)
{
	static const char padding[LEAT_RECORD_ALIGN];
	size_t bytes = record_bytes(t->length);
	struct leat_record record = {.length_bytes = (uint32_t)t->length,
				     .full_bytes = (uint32_t)t->length,
				     .addr = t->addr};
	struct iovec iov[PIECES];
	struct pieces pieces = {iov, PIECES};
	struct ring_lock lock;
	size_t left, n;
	void *data;
	ssize_t r = ring_lock(sk, RING_TX, &lock);

	if (r != 0)
		return (int)r;
	r = sock_reserve(sk, bytes, iov, &pieces.count);
	if (r == (ssize_t)bytes) {
		pieces_write(&pieces, &record, sizeof(record));
		for (left = t->length; left > 0 && (n = pieces_next(&pieces, &data, left)) > 0;
		     left -= n)
			(void)transfer_in(t, data, n);
		pieces_write(&pieces, padding, bytes - sizeof(record) - t->length);
		r = sock_commit(sk, bytes, false);
	} else if (r > 0) {
		/* Not room enough: gives it back. */
		r = sock_commit(sk, 0, false);
		if (r == 0)
			r = -EAGAIN;
	}
	ring_unlock(&lock);
	return (int)r;
}

/* Before a datagram goes out: 0 or -errno. */
static int datagram_send_state(struct socket *so, const struct transfer *t)
{
	int error;

	if (socket_has(so, SOCKET_TX_SHUT))
		return -EPIPE;
	if (t->length > DATAGRAM_MAX_BYTES)
		return -EMSGSIZE;
	if (t->addr.family == AF_UNSPEC && !socket_has(so, SOCKET_CONNECTED))
		return -EDESTADDRREQ;
	error = socket_take_error(so);
	if (error != 0)
		return error;
	if (!socket_has(so, SOCKET_BOUND | SOCKET_CONNECTED)) {
		error = socket_bind_any(so);
		if (error != 0)
			return error;
	}
	if (record_bytes(t->length) > load_relaxed(&socket_home(so)->shared->tx_limit_bytes))
		return -EMSGSIZE;
	return 0;
}

ssize_t datagram_send_whole(struct socket *so, struct transfer *t)
{
	int64_t deadline_us = deadline_after(so->send_timeout_us);
	struct sock *sk;
	int r = datagram_send_state(so, t);

	while (r == 0) {
		sk = socket_home(so);
		r = datagram_put(sk, t);
		if (r == 0)
			return (ssize_t)t->length;
		if (r != -EAGAIN)
			return r;
		/* Writable after all: the room came meanwhile. */
		if (datagram_is_writable(so, record_bytes(t->length))) {
			r = 0;
			continue;
		}
		if (socket_has(so, SOCKET_NONBLOCK) || t->flags & MSG_DONTWAIT)
			return context_is_alive(socket_context(so)) ? -EAGAIN : -ENETDOWN;
		r = socket_wait(so, datagram_is_writable, record_bytes(t->length), deadline_us);
	}
	return r;
}

ssize_t datagram_send(struct socket *so, struct transfer *t)
{
	int r;

	if (t->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (cork_is_pending(so))
		return cork_add(so, t); /* it goes where the first piece goes */
	if (!(t->flags & MSG_MORE) && !socket_has(so, SOCKET_CORK))
		return datagram_send_whole(so, t);
	r = datagram_send_state(so, t);
	return r != 0 ? r : cork_add(so, t);
}
