/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Datagrams written in pieces (MSG_MORE, UDP_CORK), as under Linux: pieces
 * wait here until one comes without MSG_MORE while UDP_CORK is off, or it is
 * switched off; then all go as one datagram, to whom the first was for.  One
 * that gets too long is dropped whole, one that is unfinished with its socket.
 */
#include <errno.h>
#include <stdlib.h>

#include "socket.h"

/* A datagram in the making; under the send ring's lock. */
struct cork {
	struct leat_addr addr;
	size_t length;
	uint8_t bytes[];
};

/* Adds what t has; 0, -EMSGSIZE, -ENOMEM. */
static int cork_append(struct socket *so, struct transfer *t)
{
	size_t before = so->cork != NULL ? so->cork->length : 0;
	struct cork *cork;

	if (t->length > DATAGRAM_MAX_BYTES - before)
		return -EMSGSIZE;
	cork = realloc(so->cork, sizeof(*cork) + before + t->length);
	if (cork == NULL)
		return -ENOMEM;
	if (so->cork == NULL)
		cork->addr = t->addr;
	cork->length = before + transfer_in(t, cork->bytes + before, t->length);
	so->cork = cork;
	return 0;
}

static struct cork *cork_take(struct socket *so)
{
	struct cork *cork = so->cork;

	so->cork = NULL;
	return cork;
}

/* Sends it, as one that was written whole, and frees it. */
static ssize_t cork_send(struct socket *so, struct cork *cork, int flags)
{
	struct iovec iov = {cork->bytes, cork->length};
	struct transfer t;
	ssize_t n;

	(void)transfer_init(&t, &iov, 1, flags);
	t.addr = cork->addr;
	n = datagram_send_whole(so, &t);
	free(cork);
	return n;
}

ssize_t cork_add(struct socket *so, struct transfer *t)
{
	bool more = t->flags & MSG_MORE || socket_has(so, SOCKET_CORK);
	struct cork *ready = NULL;
	struct ring_lock lock;
	ssize_t n = ring_lock(socket_home(so), RING_TX, &lock);

	if (n != 0)
		return n;
	n = cork_append(so, t);
	if (n != 0)
		free(cork_take(so));
	else if (!more)
		ready = cork_take(so);
	ring_unlock(&lock);
	if (ready != NULL)
		n = cork_send(so, ready, t->flags);
	return n < 0 ? n : (ssize_t)t->length;
}

void cork_set(struct socket *so, bool on)
{
	struct cork *ready;
	struct ring_lock lock;

	if (on) {
		socket_set(so, SOCKET_CORK);
		return;
	}
	socket_clear(so, SOCKET_CORK);
	if (ring_lock(socket_home(so), RING_TX, &lock) != 0)
		return;
	ready = cork_take(so);
	ring_unlock(&lock);
	if (ready != NULL)
		(void)cork_send(so, ready, 0);
}

void cork_drop(struct socket *so)
{
	free(cork_take(so));
}
