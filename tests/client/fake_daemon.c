/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake_daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "socket.h"
#include "support/test.h"

#define FIRST_PORT 40000

static void condemn(struct fake_daemon *d, const char *reason)
{
	if (d->condemned[0] == '\0')
		snprintf(d->condemned, sizeof(d->condemned), "%s", reason);
}

/* ---- The region --------------------------------------------------------- */

static uint64_t reserve(uint64_t *at, uint64_t bytes)
{
	uint64_t offset = *at;

	*at = (*at + bytes + 4095) & ~UINT64_C(4095);
	return offset;
}

static void lay_out(struct fake_daemon *d)
{
	const struct fake_config *c = &d->config;
	struct leat_region r = {
		.magic = LEAT_ABI_MAGIC,
		.version = LEAT_ABI_VERSION,
		.workers = c->workers,
		.contexts = FAKE_CONTEXTS,
		.slots_per_worker = FAKE_SLOTS,
		.chunks_per_worker = c->chunks,
		.chunk_shift = c->chunk_shift,
		.queue_entries = c->queue_entries,
		.grant_entries = c->grant_entries,
		.send_limit_bytes = c->tx_limit_bytes,
	};
	uint64_t chunks = (uint64_t)c->workers * c->chunks;
	uint64_t at = 0;

	reserve(&at, sizeof(r));
	r.context_offset = reserve(&at, FAKE_CONTEXTS * sizeof(struct leat_context));
	r.channel_stride = (leat_channel_size(c->queue_entries, c->grant_entries) + 63) & ~63ull;
	r.channel_offset = reserve(&at, FAKE_CONTEXTS * c->workers * r.channel_stride);
	r.slot_offset = reserve(&at, c->workers * FAKE_SLOTS * sizeof(struct leat_slot));
	r.rx_link_offset = reserve(&at, chunks * sizeof(uint32_t));
	r.tx_link_offset = reserve(&at, chunks * sizeof(uint32_t));
	r.lock_offset = reserve(&at, LEAT_LOCKS_BYTES);
	r.chunk_offset = reserve(&at, chunks << c->chunk_shift);
	r.size_bytes = at;
	d->base = mmap(NULL, at, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	d->region = (struct leat_region *)(void *)d->base;
	*d->region = r;
}

static struct leat_channel *channel(struct fake_daemon *d, unsigned context, unsigned worker)
{
	return (void *)(d->base + d->region->channel_offset +
			(context * d->config.workers + worker) * d->region->channel_stride);
}

static struct leat_context *shared_context(struct fake_daemon *d, unsigned context)
{
	return (struct leat_context *)(void *)(d->base + d->region->context_offset) + context;
}

static uint32_t *rx_link(struct fake_daemon *d)
{
	return (void *)(d->base + d->region->rx_link_offset);
}

static uint32_t *tx_link(struct fake_daemon *d)
{
	return (void *)(d->base + d->region->tx_link_offset);
}

static uint32_t chunk_bytes(const struct fake_daemon *d)
{
	return 1u << d->config.chunk_shift;
}

static uint8_t *chunk_memory(struct fake_daemon *d, uint32_t chunk)
{
	return d->base + d->region->chunk_offset + ((uint64_t)chunk << d->config.chunk_shift);
}

static uint32_t chunk_alloc(struct fake_daemon *d, unsigned worker, enum fake_chunk_state state)
{
	for (uint32_t i = 0; i < d->config.chunks; i++) {
		uint32_t chunk = worker * d->config.chunks + i;

		if (d->chunk_state[chunk] != FAKE_FREE)
			continue;
		d->chunk_state[chunk] = (uint8_t)state;
		return chunk;
	}
	return LEAT_NO_CHUNK;
}

static void chunk_free(struct fake_daemon *d, uint32_t chunk)
{
	d->chunk_state[chunk] = FAKE_FREE;
	memset(chunk_memory(d, chunk), 0xee, chunk_bytes(d));
}

struct fake_sock *fake_sock(struct fake_daemon *d, struct leat_handle h)
{
	return &d->sock[h.slot];
}

struct leat_slot *fake_slot(struct fake_daemon *d, struct leat_handle h)
{
	return (struct leat_slot *)(void *)(d->base + d->region->slot_offset) + h.slot;
}

struct leat_handle fake_handle(int fd, unsigned at)
{
	struct leat_handle h;
	struct socket *so;

	if (socket_get_any(fd, &so) != 0)
		return (struct leat_handle){0};
	h = so->socks[at].handle;
	socket_put(so);
	return h;
}

/* ---- Completions -------------------------------------------------------- */

static uint32_t cq_room(struct fake_daemon *d, unsigned context, unsigned worker)
{
	uint32_t used = d->context[context].cq_tail[worker] -
			__atomic_load_n(&channel(d, context, worker)->cq_head, __ATOMIC_ACQUIRE);

	if (used > d->config.queue_entries)
		condemn(d, "cq_head beyond the completion queue");
	return d->config.queue_entries - used;
}

static void wake(struct fake_daemon *d, unsigned context)
{
	uint32_t seq;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	seq = __atomic_load_n(&shared_context(d, context)->sleep_seq, __ATOMIC_RELAXED);
	if ((seq & 1) == 0 || seq == d->context[context].woken_seq)
		return;
	d->context[context].woken_seq = seq;
	d->wakeups++;
	(void)send(d->wake[context][0], "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void complete(struct fake_daemon *d, unsigned context, unsigned worker,
		     const struct leat_cqe *cqe)
{
	struct leat_channel *ch = channel(d, context, worker);
	uint32_t *tail = &d->context[context].cq_tail[worker];

	leat_channel_cq(ch, d->config.queue_entries)[*tail & (d->config.queue_entries - 1)] = *cqe;
	++*tail;
	__atomic_store_n(&ch->cq_tail, *tail, __ATOMIC_RELEASE);
	wake(d, context);
}

/* Positions and state first, then the event, if there is room for it; else later. */
static void publish(struct fake_daemon *d, struct leat_handle h, uint32_t events)
{
	struct fake_sock *sk = fake_sock(d, h);
	struct leat_slot *slot = fake_slot(d, h);
	uint64_t wake;

	__atomic_store_n(&slot->tx_head, sk->tx_head, __ATOMIC_RELEASE);
	__atomic_store_n(&slot->rx_tail, sk->rx_tail, __ATOMIC_RELEASE);
	sk->raised |= events;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	wake = __atomic_load_n(&slot->tx_wake, __ATOMIC_RELAXED);
	if (wake != LEAT_NO_OFFSET && (int64_t)(sk->tx_head - wake) >= 0)
		sk->raised |= LEAT_EV_OUT;
	if (sk->raised == 0 || sk->context < 0 || cq_room(d, (unsigned)sk->context, sk->worker) < 2)
		return;
	complete(d, (unsigned)sk->context, sk->worker,
		 &(struct leat_cqe){.type = LEAT_CQE_EVENT, .handle = h, .events = sk->raised});
	sk->raised = 0;
}

/* ---- Socks -------------------------------------------------------------- */

static struct leat_handle sock_open(struct fake_daemon *d, unsigned worker, uint8_t type,
				    int context, uint32_t process)
{
	uint32_t slot = worker * FAKE_SLOTS;
	struct leat_handle h;
	struct fake_sock *sk;

	while (d->sock[slot].open)
		slot++;
	sk = &d->sock[slot];
	h = (struct leat_handle){slot, sk->generation + 1};
	*sk = (struct fake_sock){
		.open = true,
		.type = type,
		.worker = (uint8_t)worker,
		.generation = h.generation,
		.holders = 1u << process,
		.context = context,
		.rx_first = LEAT_NO_CHUNK,
		.rx_last = LEAT_NO_CHUNK,
		.tx_first = LEAT_NO_CHUNK,
		.tx_last = LEAT_NO_CHUNK,
	};
	*fake_slot(d, h) = (struct leat_slot){
		.tx_restart = LEAT_NO_OFFSET,
		.tx_wake = LEAT_NO_OFFSET,
		.tx_restart_chunk = LEAT_NO_CHUNK,
		.tx_chunk = LEAT_NO_CHUNK,
		.rx_chunk = LEAT_NO_CHUNK,
		.rx_restart = LEAT_NO_OFFSET,
		.rx_wake = LEAT_NO_OFFSET,
		.rx_restart_chunk = LEAT_NO_CHUNK,
		.tx_limit_bytes = d->config.tx_limit_bytes,
		.generation = h.generation,
	};
	return h;
}

/* Frees the chunks from *first to last, where each link is followed. */
static void free_list(struct fake_daemon *d, const uint32_t *link, uint32_t *first, uint32_t *last)
{
	while (*first != LEAT_NO_CHUNK) {
		uint32_t next = *first == *last ? LEAT_NO_CHUNK : link[*first];

		chunk_free(d, *first);
		*first = next;
	}
	*last = LEAT_NO_CHUNK;
}

static void sock_close(struct fake_daemon *d, struct leat_handle h)
{
	struct fake_sock *sk = fake_sock(d, h);

	free_list(d, rx_link(d), &sk->rx_first, &sk->rx_last);
	free_list(d, tx_link(d), &sk->tx_first, &sk->tx_last);
	sk->open = false;
}

void fake_set_offsets(struct fake_daemon *d, struct leat_handle h, uint64_t offset)
{
	struct fake_sock *sk = fake_sock(d, h);
	struct leat_slot *slot = fake_slot(d, h);

	pthread_mutex_lock(&d->lock);
	sk->rx_tail = sk->rx_end = sk->tx_head = sk->tx_tail = sk->tx_end = offset;
	slot->tx_tail = slot->rx_head = slot->tx_head = slot->rx_tail = slot->tx_end = offset;
	pthread_mutex_unlock(&d->lock);
}

/* ---- Receive ring ------------------------------------------------------- */

static void rx_sync(struct fake_daemon *d, struct leat_handle h)
{
	struct fake_sock *sk = fake_sock(d, h);
	uint64_t head = __atomic_load_n(&fake_slot(d, h)->rx_head, __ATOMIC_ACQUIRE);

	if (sk->rx_tail - head > (uint64_t)d->config.chunks << d->config.chunk_shift)
		condemn(d, "rx_head outside the receive ring");
	while (sk->rx_first != sk->rx_last && head - sk->rx_first_base > chunk_bytes(d)) {
		uint32_t next = rx_link(d)[sk->rx_first];

		chunk_free(d, sk->rx_first);
		sk->rx_first = next;
		sk->rx_first_base += chunk_bytes(d);
	}
}

static void rx_write(struct fake_daemon *d, struct leat_handle h, const void *data, size_t length)
{
	struct fake_sock *sk = fake_sock(d, h);
	struct leat_slot *slot = fake_slot(d, h);
	const uint8_t *from = data;

	rx_sync(d, h);
	while (length > 0) {
		uint32_t within = (uint32_t)sk->rx_tail & (chunk_bytes(d) - 1);
		size_t n;

		if (sk->rx_last == LEAT_NO_CHUNK) {
			sk->rx_first = sk->rx_last = chunk_alloc(d, sk->worker, FAKE_RX);
			sk->rx_first_base = sk->rx_tail - within;
			sk->rx_end = sk->rx_first_base + chunk_bytes(d);
			slot->rx_restart_chunk = sk->rx_first;
			slot->rx_restart = sk->rx_tail;
		} else if (sk->rx_tail == sk->rx_end) {
			uint32_t chunk = chunk_alloc(d, sk->worker, FAKE_RX);

			rx_link(d)[sk->rx_last] = chunk;
			sk->rx_last = chunk;
			sk->rx_end += chunk_bytes(d);
		}
		n = chunk_bytes(d) - within < length ? chunk_bytes(d) - within : length;
		memcpy(chunk_memory(d, sk->rx_last) + within, from, n);
		from += n;
		length -= n;
		sk->rx_tail += n;
	}
}

void fake_deliver(struct fake_daemon *d, struct leat_handle h, const void *data, size_t length)
{
	pthread_mutex_lock(&d->lock);
	rx_write(d, h, data, length);
	publish(d, h, LEAT_EV_IN);
	pthread_mutex_unlock(&d->lock);
}

void fake_deliver_datagram(struct fake_daemon *d, struct leat_handle h, const void *data,
			   size_t length, size_t full_length, uint16_t port)
{
	static const char padding[LEAT_RECORD_ALIGN];
	struct leat_record record = {
		.length_bytes = (uint32_t)length,
		.full_bytes = (uint32_t)full_length,
		.addr = {.family = AF_INET, .port = htons(port), .addr = {192, 0, 2, 1}}};

	pthread_mutex_lock(&d->lock);
	rx_write(d, h, &record, sizeof(record));
	rx_write(d, h, data, length);
	rx_write(d, h, padding, -length & (LEAT_RECORD_ALIGN - 1));
	publish(d, h, LEAT_EV_IN);
	pthread_mutex_unlock(&d->lock);
}

static void set_state(struct fake_daemon *d, struct leat_handle h, uint32_t state)
{
	__atomic_or_fetch(&fake_slot(d, h)->events, state, __ATOMIC_RELEASE);
}

void fake_finish(struct fake_daemon *d, struct leat_handle h)
{
	pthread_mutex_lock(&d->lock);
	set_state(d, h, LEAT_EV_RDHUP);
	publish(d, h, LEAT_EV_IN | LEAT_EV_RDHUP);
	pthread_mutex_unlock(&d->lock);
}

static void reset(struct fake_daemon *d, struct leat_handle h, int error)
{
	struct leat_slot *slot = fake_slot(d, h);

	slot->error = error;
	__atomic_store_n(&slot->error_seq, slot->error_seq + 1, __ATOMIC_RELEASE);
	set_state(d, h, LEAT_EV_HUP | LEAT_EV_ERR);
	publish(d, h, LEAT_EV_IN | LEAT_EV_ERR | LEAT_EV_HUP);
}

void fake_reset(struct fake_daemon *d, struct leat_handle h, int error)
{
	pthread_mutex_lock(&d->lock);
	reset(d, h, error);
	pthread_mutex_unlock(&d->lock);
}

void fake_establish(struct fake_daemon *d, struct leat_handle h)
{
	pthread_mutex_lock(&d->lock);
	set_state(d, h, LEAT_EV_CONNECTED);
	publish(d, h, LEAT_EV_OUT | LEAT_EV_CONNECTED);
	pthread_mutex_unlock(&d->lock);
}

void fake_raise(struct fake_daemon *d, struct leat_handle h, uint32_t events)
{
	pthread_mutex_lock(&d->lock);
	publish(d, h, events);
	pthread_mutex_unlock(&d->lock);
}

void fake_tell_idle(struct fake_daemon *d, struct leat_handle h)
{
	struct fake_sock *sk = fake_sock(d, h);

	pthread_mutex_lock(&d->lock);
	complete(d, (unsigned)sk->context, sk->worker,
		 &(struct leat_cqe){.type = LEAT_CQE_IDLE, .handle = h});
	pthread_mutex_unlock(&d->lock);
}

/* ---- Send ring ---------------------------------------------------------- */

static bool tx_claim(struct fake_daemon *d, struct fake_sock *sk, uint32_t chunk)
{
	if (chunk / d->config.chunks != sk->worker || d->chunk_state[chunk] != FAKE_GRANTED) {
		condemn(d, "send chunk was not granted");
		return false;
	}
	d->chunk_state[chunk] = FAKE_TX;
	return true;
}

static void tx_sync(struct fake_daemon *d, struct leat_handle h)
{
	struct fake_sock *sk = fake_sock(d, h);
	struct leat_slot *slot = fake_slot(d, h);
	uint64_t tail = __atomic_load_n(&slot->tx_tail, __ATOMIC_ACQUIRE);

	if (tail == sk->tx_tail)
		return;
	if (tail - sk->tx_head > d->config.tx_limit_bytes) {
		condemn(d, "tx_tail beyond the limit");
		return;
	}
	if (slot->tx_restart == sk->tx_tail) {
		if (sk->tx_head != sk->tx_tail)
			condemn(d, "send ring restarted with bytes in it");
		if (!tx_claim(d, sk, slot->tx_restart_chunk))
			return;
		free_list(d, tx_link(d), &sk->tx_first, &sk->tx_last);
		sk->tx_first = sk->tx_last = slot->tx_restart_chunk;
		sk->tx_first_base = sk->tx_tail & ~(uint64_t)(chunk_bytes(d) - 1);
		sk->tx_end = sk->tx_first_base + chunk_bytes(d);
	}
	if (sk->tx_last == LEAT_NO_CHUNK) {
		condemn(d, "send ring written without a chunk");
		return;
	}
	while ((int64_t)(tail - sk->tx_end) > 0) {
		uint32_t chunk = tx_link(d)[sk->tx_last];

		if (!tx_claim(d, sk, chunk))
			return;
		sk->tx_last = chunk;
		sk->tx_end += chunk_bytes(d);
	}
	sk->tx_tail = tail;
}

size_t fake_sent(struct fake_daemon *d, struct leat_handle h, void *out, size_t size)
{
	struct fake_sock *sk = fake_sock(d, h);
	uint32_t chunk;
	uint64_t base, at;
	size_t copied = 0;

	fake_settle(d);
	pthread_mutex_lock(&d->lock);
	chunk = sk->tx_first;
	base = sk->tx_first_base;
	at = sk->tx_head;
	while (at != sk->tx_tail && copied < size) {
		if (at - base >= chunk_bytes(d)) {
			chunk = tx_link(d)[chunk];
			base += chunk_bytes(d);
			continue;
		}
		((uint8_t *)out)[copied++] = chunk_memory(d, chunk)[at - base];
		at++;
	}
	pthread_mutex_unlock(&d->lock);
	return copied;
}

void fake_acknowledge(struct fake_daemon *d, struct leat_handle h, size_t bytes)
{
	struct fake_sock *sk = fake_sock(d, h);

	fake_settle(d);
	pthread_mutex_lock(&d->lock);
	sk->tx_head += bytes;
	while (sk->tx_first != sk->tx_last && sk->tx_head - sk->tx_first_base > chunk_bytes(d)) {
		uint32_t next = tx_link(d)[sk->tx_first];

		chunk_free(d, sk->tx_first);
		sk->tx_first = next;
		sk->tx_first_base += chunk_bytes(d);
	}
	publish(d, h, 0);
	pthread_mutex_unlock(&d->lock);
}

/* ---- Listeners ---------------------------------------------------------- */

static void offer_queued(struct fake_daemon *d, struct leat_handle listener)
{
	struct fake_sock *l = fake_sock(d, listener);

	for (unsigned c = 0; c < FAKE_CONTEXTS && l->queue_count > 0; c++) {
		while (l->credits[c] > 0 && l->queue_count > 0 && cq_room(d, c, l->worker) > 1) {
			struct leat_handle h = l->queue[0];
			struct fake_sock *sk = fake_sock(d, h);

			memmove(l->queue, l->queue + 1, --l->queue_count * sizeof(l->queue[0]));
			l->credits[c]--;
			sk->context = (int)c;
			sk->holders = 1u << d->context[c].process;
			sk->offer = ((sk->offer & ~3u) + 4) | LEAT_CLAIM_OFFERED;
			__atomic_store_n(&fake_slot(d, h)->claim, sk->offer, __ATOMIC_RELEASE);
			complete(d, c, l->worker,
				 &(struct leat_cqe){.type = LEAT_CQE_ACCEPT,
						    .handle = h,
						    .listener = listener,
						    .claim = sk->offer,
						    .addr = {.family = AF_INET,
							     .port = htons(sk->port),
							     .addr = {192, 0, 2, 1}}});
		}
	}
}

struct leat_handle fake_connect(struct fake_daemon *d, struct leat_handle listener,
				uint16_t peer_port)
{
	struct fake_sock *l = fake_sock(d, listener);
	struct leat_handle h;

	pthread_mutex_lock(&d->lock);
	h = sock_open(d, l->worker, SOCK_STREAM, -1, 0);
	fake_sock(d, h)->holders = 0;
	fake_sock(d, h)->port = peer_port;
	set_state(d, h, LEAT_EV_CONNECTED);
	l->queue[l->queue_count++] = h;
	offer_queued(d, listener);
	pthread_mutex_unlock(&d->lock);
	return h;
}

static bool take_back(struct fake_daemon *d, struct leat_handle h)
{
	struct fake_sock *sk = fake_sock(d, h);
	uint32_t expected = sk->offer;

	if (!__atomic_compare_exchange_n(&fake_slot(d, h)->claim, &expected,
					 (sk->offer & ~3u) | LEAT_CLAIM_REVOKED, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return false;
	sk->context = -1;
	sk->holders = 0;
	return true;
}

bool fake_revoke(struct fake_daemon *d, struct leat_handle h)
{
	bool revoked;

	pthread_mutex_lock(&d->lock);
	revoked = take_back(d, h);
	pthread_mutex_unlock(&d->lock);
	return revoked;
}

/* ---- Submissions -------------------------------------------------------- */

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
		reset(d, sqe->handle, d->connect_error);
	} else {
		set_state(d, sqe->handle, LEAT_EV_CONNECTED);
		publish(d, sqe->handle, LEAT_EV_OUT | LEAT_EV_CONNECTED);
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
		cqe->handle = sock_open(d, worker, sqe->type, (int)context,
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
		tx_sync(d, sqe->handle);
		sk->shutdowns++;
		return 0;
	case LEAT_OP_CLOSE:
		d->closes++;
		sk->holders &= ~(1u << d->context[context].process);
		if (sk->holders == 0)
			sock_close(d, sqe->handle);
		return 0;
	case LEAT_OP_SETSOCKOPT:
		sk->option = sqe->option;
		return 0;
	case LEAT_OP_GETSOCKOPT:
		if (sk->option.name != sqe->option.name)
			return -ENOPROTOOPT;
		cqe->option = sk->option;
		return 0;
	case LEAT_OP_GETNAME:
		cqe->addr = (struct leat_addr){.family = AF_INET, .port = htons(sk->port)};
		return 0;
	case LEAT_OP_MOVE:
		sk->moves++;
		if (sk->context != (int)context) {
			sk->context = (int)context;
			publish(d, sqe->handle, LEAT_EV_IN | LEAT_EV_OUT);
		}
		return 0;
	default:
		condemn(d, "unknown operation");
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
		if (sk->open && sk->context == (int)context && sk->offer != 0 && take_back(d, h))
			l->queue[l->queue_count++] = h;
	}
	offer_queued(d, listener);
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
		__atomic_add_fetch(&fake_slot(d, sqe->handle)->kick_seen, 1, __ATOMIC_RELEASE);
		if (__atomic_load_n(&fake_slot(d, sqe->handle)->kick, __ATOMIC_RELAXED) -
			    fake_slot(d, sqe->handle)->kick_seen >
		    1)
			condemn(d, "more than one kick under way");
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		tx_sync(d, sqe->handle);
		rx_sync(d, sqe->handle);
		return true;
	case LEAT_OP_RELEASE:
		if (!valid)
			return true;
		tx_sync(d, sqe->handle);
		sk->releases++;
		if (sqe->offset == sk->tx_tail && sk->tx_head == sk->tx_tail)
			free_list(d, tx_link(d), &sk->tx_first, &sk->tx_last);
		return true;
	case LEAT_OP_CREDIT:
		if (valid && sk->listening)
			sk->credits[context] += (uint32_t)sqe->value;
		if (valid)
			offer_queued(d, sqe->handle);
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
	struct leat_channel *ch = channel(d, context, worker);
	uint32_t *tail = &d->context[context].grant_tail[worker];
	uint32_t held = *tail - __atomic_load_n(&ch->grant_head, __ATOMIC_ACQUIRE);

	if (held > d->config.grant_entries)
		condemn(d, "grant_head beyond the grant ring");
	while (!d->no_chunks && held < d->config.grant_entries) {
		uint32_t chunk = chunk_alloc(d, worker, FAKE_GRANTED);

		if (chunk == LEAT_NO_CHUNK)
			break;
		leat_channel_grants(
			ch, d->config.queue_entries)[*tail & (d->config.grant_entries - 1)] = chunk;
		++*tail;
		held++;
	}
	__atomic_store_n(&ch->grant_tail, *tail, __ATOMIC_RELEASE);
	if (held > 0 && d->context[context].starved[worker] && cq_room(d, context, worker) > 0) {
		d->context[context].starved[worker] = false;
		complete(d, context, worker, &(struct leat_cqe){.type = LEAT_CQE_CHUNKS});
	}
}

static void poll_channel(struct fake_daemon *d, unsigned context, unsigned worker)
{
	struct leat_channel *ch = channel(d, context, worker);
	uint32_t *head = &d->context[context].sq_head[worker];
	uint32_t waiting = __atomic_load_n(&ch->sq_tail, __ATOMIC_ACQUIRE) - *head;

	if (waiting > d->config.queue_entries)
		condemn(d, "sq_tail beyond the submission queue");
	while (waiting-- > 0 && cq_room(d, context, worker) > 0) {
		struct leat_sqe sqe = leat_channel_sq(ch)[*head & (d->config.queue_entries - 1)];
		struct leat_cqe cqe = {.type = LEAT_CQE_RESULT, .user_data = sqe.user_data};

		++*head;
		d->submissions++;
		if (op_without_result(d, context, worker, &sqe))
			continue;
		cqe.result = op_with_result(d, context, worker, &sqe, &cqe);
		if (sqe.op != LEAT_OP_CLOSE || sqe.value == 0)
			complete(d, context, worker, &cqe);
	}
	__atomic_store_n(&ch->sq_head, *head, __ATOMIC_RELEASE);
	grant(d, context, worker);
}

static void poll_once(struct fake_daemon *d)
{
	for (unsigned c = 0; c < FAKE_CONTEXTS; c++) {
		for (unsigned w = 0; w < d->config.workers && d->context[c].open; w++)
			poll_channel(d, c, w);
	}
	/* What found no room in a completion queue. */
	for (uint32_t i = 0; i < d->config.workers * FAKE_SLOTS; i++) {
		struct leat_handle h = {i, d->sock[i].generation};

		if (d->sock[i].open && d->sock[i].raised != 0)
			publish(d, h, 0);
		if (d->sock[i].open && d->sock[i].listening)
			offer_queued(d, h);
	}
}

static void *fake_run(void *arg)
{
	struct fake_daemon *d = arg;

	while (!__atomic_load_n(&d->stop, __ATOMIC_ACQUIRE)) {
		pthread_mutex_lock(&d->lock);
		if (!d->paused)
			poll_once(d);
		pthread_mutex_unlock(&d->lock);
		usleep(20);
	}
	return NULL;
}

void fake_pause(struct fake_daemon *d)
{
	pthread_mutex_lock(&d->lock);
	d->paused = true;
	pthread_mutex_unlock(&d->lock);
}

void fake_resume(struct fake_daemon *d)
{
	pthread_mutex_lock(&d->lock);
	d->paused = false;
	pthread_mutex_unlock(&d->lock);
}

void fake_grant(struct fake_daemon *d, bool grants)
{
	pthread_mutex_lock(&d->lock);
	d->no_chunks = !grants;
	pthread_mutex_unlock(&d->lock);
}

void fake_settle(struct fake_daemon *d)
{
	pthread_mutex_lock(&d->lock);
	poll_once(d);
	pthread_mutex_unlock(&d->lock);
}

/* ---- Attaching ---------------------------------------------------------- */

/* The one a test runs with. */
static struct fake_daemon *fake;

static int transport_open(struct transport *t)
{
	t->control_fd = fcntl(fake->control[1], F_DUPFD_CLOEXEC, 0);
	return t->control_fd < 0 ? -errno : 0;
}

static void transport_close(struct transport *t)
{
	if (t->control_fd >= 0)
		close(t->control_fd);
	t->control_fd = -1;
}

static int open_context(struct fake_daemon *d, uint32_t process)
{
	for (unsigned c = 0; c < FAKE_CONTEXTS; c++) {
		if (d->context[c].open)
			continue;
		d->context[c].process = process;
		d->context[c].woken_seq = shared_context(d, c)->sleep_seq & ~1u;
		for (unsigned w = 0; w < d->config.workers; w++) {
			struct leat_channel *ch = channel(d, c, w);

			d->context[c].sq_head[w] = ch->sq_head = ch->sq_tail;
			d->context[c].cq_tail[w] = ch->cq_tail = ch->cq_head;
			d->context[c].grant_tail[w] = ch->grant_tail = ch->grant_head;
			d->context[c].starved[w] = false;
		}
		d->context[c].open = true;
		return (int)c;
	}
	return -EMFILE;
}

static int fork_holders(struct fake_daemon *d, uint32_t parent)
{
	uint32_t child = d->processes++;

	for (unsigned i = 0; i < FAKE_WORKERS * FAKE_SLOTS; i++) {
		if (d->sock[i].open && d->sock[i].holders >> parent & 1)
			d->sock[i].holders |= 1u << child;
	}
	return (int)child;
}

static int answer(struct fake_daemon *d, const struct leat_attach_request *request,
		  struct leat_attach_reply *reply, int *fds, unsigned *fd_count)
{
	bool whole = request->op == LEAT_ATTACH_NEW || request->op == LEAT_ATTACH_CHILD;
	int context;

	*reply = (struct leat_attach_reply){.version = LEAT_ABI_VERSION,
					    .workers = d->config.workers,
					    .region_bytes = d->region->size_bytes};
	if (request->op == LEAT_ATTACH_FORK) {
		reply->token = 1000 + (uint64_t)fork_holders(d, 0);
		return 0;
	}
	if (request->op == LEAT_ATTACH_DETACH) {
		d->context[request->value].open = false;
		for (unsigned i = 0; i < d->config.workers * FAKE_SLOTS; i++) {
			if (d->sock[i].context == (int)request->value)
				d->sock[i].context = -1;
		}
		return 0;
	}
	reply->process = request->op == LEAT_ATTACH_CHILD ? (uint32_t)(request->token - 1000) : 0;
	context = open_context(d, reply->process);
	if (context < 0)
		return context;
	reply->context = (uint32_t)context;
	if (whole) {
		fds[(*fd_count)++] = open("/dev/null", O_RDWR | O_CLOEXEC);
		for (unsigned w = 0; w < d->config.workers; w++)
			fds[(*fd_count)++] = fcntl(d->bell[w], F_DUPFD_CLOEXEC, 0);
	}
	fds[(*fd_count)++] = fcntl(d->wake[context][1], F_DUPFD_CLOEXEC, 0);
	return 0;
}

static int transport_request(struct transport *t, const struct leat_attach_request *request,
			     struct leat_attach_reply *reply, int *fds, unsigned *fd_count)
{
	struct fake_daemon *d = fake;

	(void)t;
	*fd_count = 0;
	pthread_mutex_lock(&d->lock);
	reply->result = answer(d, request, reply, fds, fd_count);
	pthread_mutex_unlock(&d->lock);
	return 0;
}

/* ---- Begin and end ------------------------------------------------------ */

static void abandon(void)
{
	if (fake != NULL)
		fake_die(fake);
	fake = NULL;
}

struct fake_daemon *fake_start(const struct fake_config *config)
{
	struct transport t = {
		.open = transport_open, .request = transport_request, .close = transport_close};
	pthread_mutexattr_t attr;
	struct fake_daemon *d;
	struct session *s;

	d = mmap(NULL, sizeof(*d), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	d->config = *config;
	d->processes = 1;
	d->next_port = FIRST_PORT;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&d->lock, &attr);
	lay_out(d);
	for (unsigned c = 0; c < FAKE_CONTEXTS; c++)
		REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, d->wake[c]) == 0);
	for (unsigned w = 0; w < d->config.workers; w++)
		d->bell[w] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, d->control) == 0);
	fake = d;
	test_on_cleanup(abandon);
	REQUIRE(pthread_create(&d->thread, NULL, fake_run, d) == 0);
	t.region = d->base;
	REQUIRE_EQ(fork_watch(), 0);
	REQUIRE_EQ(session_attach(&t, &s), 0);
	session_install(s);
	return d;
}

static void end_thread(struct fake_daemon *d)
{
	if (__atomic_exchange_n(&d->stop, true, __ATOMIC_ACQ_REL))
		return;
	pthread_join(d->thread, NULL);
}

void fake_die(struct fake_daemon *d)
{
	end_thread(d);
	if (d->control[0] >= 0)
		close(d->control[0]);
	d->control[0] = -1;
}

/* Chunks granted and neither in a grant ring nor kept by the library. */
static uint32_t chunks_missing(struct fake_daemon *d)
{
	struct session *s = session_current();
	uint32_t granted = 0, held = 0;

	for (uint32_t i = 0; i < d->config.workers * d->config.chunks; i++)
		granted += d->chunk_state[i] == FAKE_GRANTED;
	for (unsigned c = 0; c < FAKE_CONTEXTS; c++) {
		for (unsigned w = 0; w < d->config.workers && d->context[c].open; w++) {
			held += d->context[c].grant_tail[w] - channel(d, c, w)->grant_head;
			if (s->contexts[c] != NULL)
				held += s->contexts[c]->channel[w].spare_count;
		}
	}
	return granted - held;
}

void fake_stop(struct fake_daemon *d)
{
	/* As the library's next calls would. */
	for (int i = 0; i < 8; i++) {
		contexts_drain(session_current(), UINT64_MAX);
		fake_settle(d);
	}
	pthread_mutex_lock(&d->lock);
	CHECK(d->condemned[0] == '\0');
	if (d->condemned[0] != '\0')
		test_fail(__FILE__, __LINE__, "condemned: %s", d->condemned);
	for (uint32_t i = 0; i < d->config.workers * FAKE_SLOTS; i++)
		CHECK_EQ(d->sock[i].open, false);
	for (uint32_t i = 0; i < d->config.workers * d->config.chunks; i++)
		CHECK(d->chunk_state[i] == FAKE_FREE || d->chunk_state[i] == FAKE_GRANTED);
	CHECK_EQ(chunks_missing(d), 0);
	pthread_mutex_unlock(&d->lock);
	fake_die(d);
	CHECK(!session_is_alive(session_current()));
	for (unsigned c = 0; c < FAKE_CONTEXTS; c++) {
		close(d->wake[c][0]);
		close(d->wake[c][1]);
	}
	for (unsigned w = 0; w < d->config.workers; w++)
		close(d->bell[w]);
	close(d->control[1]);
	fake = NULL;
}
