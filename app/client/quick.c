/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The quick way to hear of events, receive and send: for what belongs to the
 * calling thread alone (own.c), when the bytes are there or there is room for
 * all of them.  Everything else takes the way of context.c, socket.c, stream.c
 * and datagram.c, which also say what is right.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "epoll.h"
#include "ring.h"
#include "socket.h"

#define PIECES          16 /* of the caller's, and of a ring, in one send */
#define QUICK_MAX_BYTES (1u << 16) /* of one piece: then a sum cannot be too large */
#define LOOK_AFTER      64 /* calls that found nothing, until one looks whether leatd lives */

/* The socket that fd names, if it is one and belongs to cq; NULL: not so. */
static inline struct socket *quick_socket(const struct leat_cq *cq, int fd)
{
	struct socket *so = (struct socket *)fd_look(fd);

	return so != NULL && so->file.kind == FILE_SOCKET && socket_is_own(so, cq) ? so : NULL;
}

bool quick_may_find_nothing(struct leat_cq *cq)
{
	return own_worker_runs() || ++cq->fruitless % LOOK_AFTER != 0;
}

/* There was no room to say that the worker has to look at sk's rings; it is waited for outside. */
static __attribute__((noinline)) void kick_later(struct leat_cq *cq, struct sock *sk)
{
	struct socket *so = sk->socket;

	__atomic_add_fetch(&so->file.refs, 1, __ATOMIC_RELAXED);
	context_leave(cq);
	(void)sock_kick(sk); /* another thread may have reserved something meanwhile */
	socket_put(so);
}

/* The worker has to look at sk's rings. */
static inline void quick_kick(struct leat_cq *cq, struct sock *sk)
{
	struct leat_slot *slot = sk->shared;
	uint32_t kick = slot->kick;
	struct leat_sqe *sqe;

	if (kick_is_pending(sk->handle.slot, slot, kick))
		return;
	sqe = channel_entry(cq, &cq->channel[sk->worker]);
	if (sqe == NULL) {
		kick_later(cq, sk);
		return;
	}
	store_relaxed(&slot->kick, kick + 1);
	kick_submit(cq, sk->worker, sk->handle, slot, sqe, 0);
}

/* ---- Receive ------------------------------------------------------------ */

/* Nothing is there to read.  events: from before the look. */
static __attribute__((noinline)) ssize_t receive_nothing(struct leat_cq *cq, const struct sock *sk,
							 uint32_t events, int flags)
{
	if (sock_has_error(sk) || socket_has(sk->socket, SOCKET_RX_SHUT))
		return QUICK_NOT;
	if (events & (LEAT_EV_RDHUP | LEAT_EV_HUP))
		return 0;
	if (!(events & LEAT_EV_CONNECTED) ||
	    !(flags & MSG_DONTWAIT || socket_has(sk->socket, SOCKET_NONBLOCK)) ||
	    !quick_may_find_nothing(cq))
		return QUICK_NOT;
	return posix_result(-EAGAIN);
}

/* Copies length bytes out that lie in several chunks; that of the last one. */
static __attribute__((noinline)) uint32_t copy_out_pieces(const struct session *s, uint32_t chunk,
							  uint64_t offset, uint8_t *to,
							  size_t length)
{
	for (;;) {
		size_t n = chunk_end(s, offset) - offset;

		if (n >= length) {
			memcpy(to, chunk_byte(s, chunk, offset), length);
			return chunk;
		}
		memcpy(to, chunk_byte(s, chunk, offset), n);
		to += n;
		offset += n;
		length -= n;
		chunk = s->rx_link[chunk];
	}
}

/* The same of bytes that mostly lie in one. */
static inline uint32_t copy_out(const struct session *s, uint32_t chunk, uint64_t offset, void *to,
				size_t length)
{
	if (chunk_end(s, offset) - offset < length)
		return copy_out_pieces(s, chunk, offset, to, length);
	memcpy(to, chunk_byte(s, chunk, offset), length);
	return chunk;
}

static inline ssize_t receive(struct leat_cq *cq, struct sock *sk, void *data, size_t length,
			      int flags)
{
	const struct session *s = cq->session;
	struct leat_slot *slot = sk->shared;
	/* Before the look at what is there: nothing will follow it. */
	uint32_t events = load_acquire(&slot->events);
	uint64_t head = slot->rx_head;
	uint64_t there = load_acquire(&slot->rx_tail) - head;

	if (there == 0)
		return receive_nothing(cq, sk, events, flags);
	if (length > there)
		length = there;
	/* After it: what there is to know of urgent data is known before the bytes are. */
	if (load_relaxed(&slot->events) & LEAT_EV_PRI || length < sk->socket->receive_lowat)
		return QUICK_NOT;
	slot->rx_chunk = copy_out(s, rx_chunk(s, slot, head), head, data, length);
	head += length;
	/* release: what was read was read before the worker takes the bytes back */
	store_release(&slot->rx_head, head);
	if (slot_wants_consumed(sk->handle.slot, slot, head))
		quick_kick(cq, sk);
	return (ssize_t)length;
}

/* ---- Receive a datagram ------------------------------------------------- */

/* An error comes before data, whichever of the socks has it. */
static inline bool socket_has_error(const struct socket *so, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (sock_has_error(&so->socks[i]))
			return true;
	return false;
}

/* Takes the next record of sk, which is there; so much of it was asked for. */
static inline ssize_t take_record(struct leat_cq *cq, struct sock *sk, void *data, size_t length,
				  struct leat_addr *from)
{
	const struct session *s = cq->session;
	struct leat_slot *slot = sk->shared;
	uint64_t head = slot->rx_head, at = head + sizeof(struct leat_record);
	uint32_t first = rx_chunk(s, slot, head);
	struct leat_record record;
	uint32_t chunk = copy_out(s, first, head, &record, sizeof(record));

	if (length > record.length_bytes)
		length = record.length_bytes;
	if (length > 0)
		(void)copy_out(s, (at & s->chunk_mask) == 0 ? s->rx_link[chunk] : chunk, at, data,
			       length);
	if (from != NULL)
		*from = record.addr;
	at = head + record_bytes(record.length_bytes);
	slot->rx_chunk = chunk_walk(s, s->rx_link, first, head, at - head);
	/* release: what was read was read before the worker takes the bytes back */
	store_release(&slot->rx_head, at);
	if (slot_wants_consumed(sk->handle.slot, slot, at))
		quick_kick(cq, sk);
	return (ssize_t)length;
}

/* From the socks in turn, so that none starves. */
static inline ssize_t receive_datagram(struct leat_cq *cq, struct socket *so, void *data,
				       size_t length, int flags, struct leat_addr *from)
{
	unsigned count = socket_count(so);
	unsigned at = so->next_rx;

	if (socket_has_error(so, count))
		return QUICK_NOT;
	for (unsigned i = 0; i < count; i++) {
		struct sock *sk = &so->socks[at];

		at = at + 1 < count ? at + 1 : 0;
		/* acquire: pairs with the worker's release after bytes, links and restart */
		if (load_acquire(&sk->shared->rx_tail) == sk->shared->rx_head)
			continue;
		store_relaxed(&so->next_rx, (uint8_t)at);
		return take_record(cq, sk, data, length, from);
	}
	if (socket_has(so, SOCKET_RX_SHUT) ||
	    !(flags & MSG_DONTWAIT || socket_has(so, SOCKET_NONBLOCK)) ||
	    !quick_may_find_nothing(cq))
		return QUICK_NOT;
	return posix_result(-EAGAIN);
}

ssize_t quick_receive(int fd, void *data, size_t length, int flags, struct leat_addr *from)
{
	struct leat_cq *cq;
	struct socket *so;
	ssize_t n = QUICK_NOT;

	if (flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL) || length == 0)
		return QUICK_NOT;
	cq = context_enter();
	if (cq == NULL)
		return QUICK_NOT;
	if (from != NULL)
		from->family = AF_UNSPEC;
	so = quick_socket(cq, fd);
	if (so != NULL)
		n = so->type == SOCK_STREAM ? receive(cq, socket_home(so), data, length, flags)
					    : receive_datagram(cq, so, data, length, flags, from);
	context_leave(cq);
	return n;
}

/* ---- Send --------------------------------------------------------------- */

/* A stream that is connected? */
static inline bool may_send(const struct sock *sk)
{
	uint32_t events = load_acquire(&sk->shared->events);

	return (events & (LEAT_EV_CONNECTED | LEAT_EV_HUP)) == LEAT_EV_CONNECTED &&
	       !sock_has_error(sk) && !socket_has(sk->socket, SOCKET_TX_SHUT);
}

static inline bool has_room(const struct leat_slot *slot, size_t length)
{
	/* acquire: pairs with the worker's release; what lies before is free to be written again */
	uint64_t used = slot->tx_tail - load_acquire(&slot->tx_head);

	return used + length <= load_relaxed(&slot->tx_limit_bytes);
}

/* Does it fit into the chunk that is being written? */
static inline bool fits_in_chunk(const struct session *s, const struct leat_slot *slot,
				 size_t length)
{
	uint64_t tail = slot->tx_tail;

	return slot->tx_chunk != LEAT_NO_CHUNK && (tail & s->chunk_mask) != 0 &&
	       length <= chunk_end(s, tail) - tail;
}

/* Does it fit into one that begins the ring anew?  Then there is one now. */
static bool begins_anew(struct leat_cq *cq, const struct sock *sk, size_t length)
{
	const struct session *s = cq->session;
	struct leat_slot *slot = sk->shared;
	uint64_t tail = slot->tx_tail;
	uint32_t chunk;

	if (slot->tx_chunk != LEAT_NO_CHUNK || (int64_t)(slot->tx_end - tail) > 0 ||
	    length > chunk_end(s, tail) - tail)
		return false;
	chunk = channel_take_chunk(cq, &cq->channel[sk->worker]);
	if (chunk == LEAT_NO_CHUNK)
		return false;
	/* The worker looks at these once tx_tail has moved. */
	slot->tx_restart_chunk = chunk;
	slot->tx_restart = tail;
	slot->tx_chunk = chunk;
	return true;
}

static inline void copy_in(uint8_t *to, const struct iovec *iov, int iov_count)
{
	for (int i = 0; i < iov_count; i++) {
		memcpy(to, iov[i].iov_base, iov[i].iov_len);
		to += iov[i].iov_len;
	}
}

/* A first chunk, or one more, is needed. */
static __attribute__((noinline)) ssize_t send_pieces(struct leat_cq *cq, struct sock *sk,
						     const struct iovec *iov, int iov_count,
						     size_t length)
{
	struct iovec pieces[PIECES];
	struct transfer t;
	int count = PIECES;
	ssize_t n = leat_cq_send_reserve(cq, sk->handle, length, pieces, &count);

	if (n != (ssize_t)length || transfer_init(&t, iov, (size_t)iov_count, 0) != 0) {
		/* Nobody may come to use it: the stream may be reset, and closed. */
		if (n > 0)
			(void)leat_cq_send_commit(cq, sk->handle, 0);
		return QUICK_NOT;
	}
	for (int i = 0; i < count; i++)
		(void)transfer_in(&t, pieces[i].iov_base, pieces[i].iov_len);
	if (leat_cq_send_commit(cq, sk->handle, length) == -EAGAIN)
		quick_kick(cq, sk);
	return n;
}

/* Where the next bytes go; NULL: not all of them into one chunk at hand. */
static inline uint8_t *place(struct leat_cq *cq, const struct sock *sk, size_t length)
{
	const struct leat_slot *slot = sk->shared;

	if (!fits_in_chunk(cq->session, slot, length) && !begins_anew(cq, sk, length))
		return NULL;
	return chunk_byte(cq->session, slot->tx_chunk, slot->tx_tail);
}

/* They are there. */
static inline void publish(struct leat_cq *cq, struct sock *sk, size_t length)
{
	struct leat_slot *slot = sk->shared;

	/* release: pairs with the worker's acquire; the bytes come first */
	store_release(&slot->tx_tail, slot->tx_tail + length);
	quick_kick(cq, sk);
}

static inline ssize_t send_stream(struct leat_cq *cq, struct sock *sk, const struct iovec *iov,
				  int iov_count, size_t length)
{
	uint8_t *to;

	if (!may_send(sk) || !has_room(sk->shared, length))
		return QUICK_NOT;
	to = place(cq, sk, length);
	if (to == NULL)
		return send_pieces(cq, sk, iov, iov_count, length);
	copy_in(to, iov, iov_count);
	publish(cq, sk, length);
	return (ssize_t)length;
}

/* ---- Send a datagram ---------------------------------------------------- */

/* Open, with a port, and nothing that waits to become part of it? */
static inline bool may_send_datagram(const struct socket *so)
{
	return socket_has(so, SOCKET_BOUND | SOCKET_CONNECTED) &&
	       !socket_has(so, SOCKET_TX_SHUT | SOCKET_CORK) && !cork_is_pending(so) &&
	       !socket_has_error(so, socket_count(so));
}

/* Whom it is for; false: the other way knows what is wrong with that. */
static inline bool record_name_peer(struct leat_record *record, const struct socket *so,
				    const struct sockaddr *addr, socklen_t addrlen)
{
	if (addr == NULL)
		return socket_has(so, SOCKET_CONNECTED);
	return addr_from_sockaddr(&record->addr, addr, addrlen) == 0 &&
	       record->addr.family == so->family;
}

/* The record, piece by piece. */
static __attribute__((noinline)) ssize_t send_record(struct leat_cq *cq, struct sock *sk,
						     const struct leat_record *record,
						     const void *data, size_t length)
{
	static const char padding[LEAT_RECORD_ALIGN];
	size_t bytes = record_bytes(length);
	struct iovec iov[] = {{(void *)(uintptr_t)record, sizeof(*record)},
			      {(void *)(uintptr_t)data, length},
			      {(void *)(uintptr_t)padding, bytes - sizeof(*record) - length}};

	return send_pieces(cq, sk, iov, 3, bytes) == QUICK_NOT ? QUICK_NOT : (ssize_t)length;
}

static inline ssize_t send_datagram(struct leat_cq *cq, const struct socket *so, const void *data,
				    size_t length, const struct sockaddr *addr, socklen_t addrlen)
{
	struct sock *sk = socket_home(so);
	size_t bytes = record_bytes(length);
	struct leat_record record = {.length_bytes = (uint32_t)length,
				     .full_bytes = (uint32_t)length};
	uint8_t *to;

	if (length > DATAGRAM_MAX_BYTES || !may_send_datagram(so) ||
	    !record_name_peer(&record, so, addr, addrlen) || !has_room(sk->shared, bytes))
		return QUICK_NOT;
	to = place(cq, sk, bytes);
	if (to == NULL)
		return send_record(cq, sk, &record, data, length);
	memcpy(to, &record, sizeof(record));
	/* The padding, and what the data then overwrites, of which there is some. */
	memset(to + bytes - LEAT_RECORD_ALIGN, 0, LEAT_RECORD_ALIGN);
	memcpy(to + sizeof(record), data, length);
	publish(cq, sk, bytes);
	return (ssize_t)length;
}

ssize_t quick_send(int fd, const void *data, size_t length, int flags, const struct sockaddr *addr,
		   socklen_t addrlen)
{
	struct iovec iov = {(void *)(uintptr_t)data, length};
	ssize_t n = QUICK_NOT;
	struct leat_cq *cq;
	struct socket *so;

	if (flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL) || length - 1 >= QUICK_MAX_BYTES)
		return QUICK_NOT;
	cq = context_enter();
	if (cq == NULL)
		return QUICK_NOT;
	so = quick_socket(cq, fd);
	if (so != NULL)
		n = so->type == SOCK_STREAM ? send_stream(cq, socket_home(so), &iov, 1, length)
					    : send_datagram(cq, so, data, length, addr, addrlen);
	context_leave(cq);
	return n;
}

ssize_t quick_send_pieces(int fd, const struct iovec *iov, int iov_count)
{
	size_t length = 0;
	ssize_t n = QUICK_NOT;
	struct leat_cq *cq;
	struct socket *so;

	if (iov_count > PIECES)
		return QUICK_NOT;
	for (int i = 0; i < iov_count; i++) {
		if (iov[i].iov_len > QUICK_MAX_BYTES)
			return QUICK_NOT;
		length += iov[i].iov_len;
	}
	if (length == 0)
		return QUICK_NOT;
	cq = context_enter();
	if (cq == NULL)
		return QUICK_NOT;
	so = quick_socket(cq, fd);
	if (so != NULL && so->type == SOCK_STREAM)
		n = send_stream(cq, socket_home(so), iov, iov_count, length);
	context_leave(cq);
	return n;
}

/* ---- State -------------------------------------------------------------- */

/* Room for as much as makes the stream writable, and a chunk for it? */
static bool is_writable(const struct sock *sk)
{
	const struct leat_cq *cq = socket_context(sk->socket);
	const struct leat_slot *slot = sk->shared;
	uint64_t used = slot->tx_tail - load_acquire(&slot->tx_head);

	return used + load_relaxed(&slot->tx_mark_bytes) <= load_relaxed(&slot->tx_limit_bytes) &&
	       (fits_in_chunk(cq->session, slot, 1) ||
		channel_chunks(&cq->channel[sk->worker]) != 0);
}

/* What is told to be readable will be read, and answered. */
static inline void prefetch_rings(const struct session *s, const struct leat_slot *slot)
{
	const uint8_t *to;

	__builtin_prefetch(chunk_byte(s, rx_chunk(s, slot, slot->rx_head), slot->rx_head));
	if (slot->tx_chunk == LEAT_NO_CHUNK)
		return;
	to = chunk_byte(s, slot->tx_chunk, slot->tx_tail);
	__builtin_prefetch(to, 1);
	__builtin_prefetch(to + LEAT_CACHE_LINE, 1);
}

uint32_t quick_poll(struct socket *so, uint32_t want)
{
	const struct sock *sk = socket_home(so);
	const struct leat_cq *cq = socket_context(so);
	const struct leat_slot *slot = sk->shared;
	uint32_t flags = load_relaxed(&so->flags);
	uint64_t there = load_acquire(&slot->rx_tail) - slot->rx_head;
	uint32_t events = load_acquire(&slot->events);
	uint32_t mask = 0;

	if ((events & (LEAT_EV_CONNECTED | LEAT_EV_PRI | LEAT_EV_RDHUP | LEAT_EV_HUP)) !=
		    LEAT_EV_CONNECTED ||
	    !(flags & (SOCKET_CONNECTING | SOCKET_CONNECTED)) || so->type != SOCK_STREAM ||
	    flags & (SOCKET_RX_SHUT | SOCKET_TX_SHUT | SOCKET_LOWAT) || sock_has_error(sk))
		return socket_poll(so, want);
	if (there != 0) {
		mask = POLLIN | POLLRDNORM;
		prefetch_rings(cq->session, slot);
	}
	if (!(want & POLLOUT))
		return mask;
	/* If it is not, an event is asked for. */
	return is_writable(sk) ? mask | POLLOUT | POLLWRNORM : socket_poll(so, want);
}

/* ---- Events ------------------------------------------------------------- */

#define PREFETCH_SOCKS 8 /* so many completions ahead the sock is looked up, ... */
#define PREFETCH_SLOTS 4 /* ... and so many what the application will read of it */

static void dispatch_prefetch(const struct session *s, const struct leat_cqe *cqe)
{
	const struct sock *sk;

	if (cqe->handle.slot >= s->slot_count)
		return;
	sk = load_relaxed(&s->socks[cqe->handle.slot]);
	__builtin_prefetch(sk);
	__builtin_prefetch((const char *)sk + LEAT_CACHE_LINE); /* its socket's watch */
	__builtin_prefetch(&s->slots[cqe->handle.slot]);
	__builtin_prefetch(&s->slots[cqe->handle.slot].rx_tail);
}

/* The sets that watch sk hear of it; false: one of them does not belong to cq. */
static inline bool event_own(struct sock *sk, uint32_t events, const struct leat_cq *cq)
{
	struct watch *watch;

	for (watch = sk->socket->watches; watch != NULL; watch = watch->next) {
		if (load_relaxed(&watch->epoll->owner) != cq)
			return false;
		if (watch_wants(watch, events))
			watch_make_ready(watch);
	}
	return true;
}

/* False: it is for context_drain. */
static bool dispatch_own(struct leat_cq *cq, const struct leat_cqe *cqe)
{
	bool accept = cqe->type == LEAT_CQE_ACCEPT;
	struct sock *sk;

	if (!accept && cqe->type != LEAT_CQE_EVENT)
		return false;
	sk = session_sock(cq->session, accept ? cqe->listener : cqe->handle);
	if (sk == NULL)
		return true;
	if (!socket_is_own(sk->socket, cq))
		return false;
	if (cqe->events & LEAT_EV_OUT)
		slot_grant_room(sk->shared);
	if (!event_own(sk, accept ? LEAT_EV_IN : cqe->events, cq))
		return false;
	if (accept)
		accept_offered(sk, cq, cqe);
	return true;
}

static bool channel_drain_own(struct leat_cq *cq, struct channel *ch)
{
	const struct session *s = cq->session;
	uint32_t mask = s->layout.queue_entries - 1;
	/* acquire: pairs with the worker's release after it filled the entries */
	uint32_t tail = load_acquire(&ch->shared->cq_tail);
	uint32_t head = ch->cq_head;
	bool all = true;

	if (head == tail)
		return true;
	for (; head != tail && all; head += all) {
		uint32_t ahead = tail - head;

		if (ahead > PREFETCH_SOCKS)
			__builtin_prefetch(
				&s->socks[ch->cq[(head + PREFETCH_SOCKS) & mask].handle.slot]);
		if (ahead > PREFETCH_SLOTS)
			dispatch_prefetch(s, &ch->cq[(head + PREFETCH_SLOTS) & mask]);
		all = dispatch_own(cq, &ch->cq[head & mask]);
	}
	store_relaxed(&ch->cq_head, head);
	/* release: what was read of the entries was read before the worker fills them again */
	store_release(&ch->shared->cq_head, head);
	return all;
}

bool context_drain_own(struct leat_cq *cq)
{
	bool all = true;

	for (uint32_t i = 0; i < cq->workers && all; i++)
		all = channel_drain_own(cq, &cq->channel[i]);
	return all;
}

/* ---- Connections come and go -------------------------------------------- */

/* Is a connection there, or known not to be there? */
static int find_offer(struct leat_cq *cq, struct socket *so)
{
	if (listener_has_offer(so))
		return 0;
	if (!context_drain_own(cq))
		return QUICK_NOT;
	if (listener_has_offer(so))
		return 0;
	if (listener_lacks_credit(so, cq) || !quick_may_find_nothing(cq))
		return QUICK_NOT;
	listener_credit(so, cq, LISTENER_CREDITS);
	return -EAGAIN;
}

static int accept_own(struct leat_cq *cq, struct socket *so, int flags, struct leat_addr *peer)
{
	struct spare *spare;
	struct offer offer;
	int r = find_offer(cq, so);

	if (r != 0)
		return r;
	if (cq->spare_count == 0 || !listener_claim(so, &offer))
		return QUICK_NOT;
	spare = &cq->spare[--cq->spare_count];
	file_reset(&spare->socket->file);
	socket_begin(spare->socket, cq->session, cq, SOCK_STREAM, flags);
	accept_enter(so, spare->socket, &offer);
	fd_publish(spare->fd, &spare->socket->file);
	*peer = offer.peer;
	return spare->fd;
}

int quick_accept(int fd, int flags, struct leat_addr *peer)
{
	struct leat_cq *cq = context_enter();
	struct socket *so = (struct socket *)fd_look(fd);
	int r = QUICK_NOT;

	if (cq == NULL)
		return QUICK_NOT;
	if (so != NULL && so->file.kind == FILE_SOCKET && so->type == SOCK_STREAM &&
	    socket_is_own(so, cq) && socket_has(so, SOCKET_LISTENING) &&
	    socket_has(so, SOCKET_NONBLOCK))
		r = accept_own(cq, so, flags, peer);
	context_leave(cq);
	return r;
}

/* Is there no more to its end than to tell the worker? */
static bool closes_quickly(const struct leat_cq *cq, const struct socket *so)
{
	return so->linger_s == 0 && so->listener == NULL && so->options == NULL &&
	       load_relaxed(&so->cork) == NULL && socket_count(so) == 1 &&
	       socket_home(so) == &so->one && cq->spare_count < SPARES_MAX;
}

/* so was taken from the table, where it was fd; QUICK_NOT: there is more to do to close it. */
static int close_taken(struct leat_cq *cq, int fd, struct socket *so)
{
	/* The table's reference is the last, unless another thread just looked it up. */
	if (!quick_forget(so, cq) || !compare_and_swap(&so->file.refs, 1u, 0u))
		return QUICK_NOT;
	sock_leave(&so->one);
	cq->spare[cq->spare_count++] = (struct spare){fd, so};
	session_put(cq->session); /* the thread has another reference */
	return 0;
}

int quick_close(int fd)
{
	struct leat_cq *cq = context_enter();
	struct socket *so = (struct socket *)fd_look(fd);
	struct leat_sqe *sqe = NULL;
	int r = QUICK_NOT;

	if (cq == NULL)
		return QUICK_NOT;
	if (so != NULL && so->file.kind == FILE_SOCKET && socket_is_own(so, cq) &&
	    closes_quickly(cq, so))
		sqe = channel_entry(cq, &cq->channel[so->one.worker]);
	/* Of several threads that close it one gets its place. */
	if (sqe != NULL && fd_take(fd, &so->file)) {
		r = close_taken(cq, fd, so);
		if (r != 0)
			fd_publish(fd, &so->file); /* for the other way */
	}
	context_leave(cq);
	return r;
}
