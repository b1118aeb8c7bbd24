/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/app.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "support/build.h"
#include "support/host.h"
#include "support/test.h"

#define CALL_POLLS 20

void app_init(struct app *a, struct host *h, void *base)
{
	const struct leat_region *r = base;

	*a = (struct app){
		.host = h,
		.base = base,
		.region = r,
		.next_user_data = 1,
	};
	CHECK_EQ(r->magic, LEAT_ABI_MAGIC);
	CHECK_EQ(r->version, LEAT_ABI_VERSION);
	a->contexts = (void *)(a->base + r->context_offset);
	a->slots = (void *)(a->base + r->slot_offset);
	a->rx_link = (void *)(a->base + r->rx_link_offset);
	a->tx_link = (void *)(a->base + r->tx_link_offset);
	a->rx_urgent = (void *)(a->base + r->rx_urgent_offset);
	a->tx_urgent = (void *)(a->base + r->tx_urgent_offset);
	a->chunks = a->base + r->chunk_offset;
}

void app_open_context(struct app *a, uint16_t context)
{
	const struct leat_region *r = a->region;

	for (uint16_t worker = 0; worker < r->workers; worker++) {
		struct app_channel *c = &a->channel[context][worker];
		uint64_t index = (uint64_t)context * r->workers + worker;

		c->shared = (void *)(a->base + r->channel_offset + index * r->channel_stride);
		c->sq = leat_channel_sq(c->shared);
		c->cq = leat_channel_cq(c->shared, r->queue_entries);
		c->grants = leat_channel_grants(c->shared, r->queue_entries);
		c->sq_tail = c->shared->sq_tail;
		c->cq_head = c->shared->cq_head;
		c->grant_head = c->shared->grant_head;
		c->open = true;
	}
}

/* ---- queues -------------------------------------------------------------- */

bool app_submit(struct app *a, uint16_t context, uint16_t worker, const struct leat_sqe *sqe)
{
	struct app_channel *c = &a->channel[context][worker];
	/* acquire: pairs with the worker's release after it copied the entry */
	uint32_t head = __atomic_load_n(&c->shared->sq_head, __ATOMIC_ACQUIRE);

	if (c->sq_tail - head >= a->region->queue_entries)
		return false;
	c->sq[c->sq_tail & (a->region->queue_entries - 1)] = *sqe;
	c->sq_tail++;
	/* release: pairs with the worker's acquire before it copies the entry */
	__atomic_store_n(&c->shared->sq_tail, c->sq_tail, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&c->shared->doorbell, __ATOMIC_RELAXED) != 0)
		host_ring_bell(a->host, worker);
	return true;
}

bool app_reap(struct app *a, uint16_t context, uint16_t worker, struct leat_cqe *cqe)
{
	struct app_channel *c = &a->channel[context][worker];

	if (!c->open || c->cq_head == __atomic_load_n(&c->shared->cq_tail, __ATOMIC_ACQUIRE))
		return false;
	*cqe = c->cq[c->cq_head & (a->region->queue_entries - 1)];
	c->cq_head++;
	__atomic_store_n(&c->shared->cq_head, c->cq_head, __ATOMIC_RELEASE);
	return true;
}

static void keep(struct app *a, uint16_t context, const struct leat_cqe *cqe)
{
	if (cqe->type == LEAT_CQE_IDLE)
		a->idle_count++;
	if (cqe->type == LEAT_CQE_CHUNKS)
		a->chunks_count++;
	if (a->kept_count == APP_KEPT) { /* forget the oldest: nobody asked for it */
		memmove(&a->kept[0], &a->kept[1], (APP_KEPT - 1) * sizeof(a->kept[0]));
		memmove(&a->kept_context[0], &a->kept_context[1],
			(APP_KEPT - 1) * sizeof(a->kept_context[0]));
		a->kept_count--;
	}
	a->kept[a->kept_count] = *cqe;
	a->kept_context[a->kept_count++] = context;
}

static void forget(struct app *a, uint32_t index)
{
	a->kept_count--;
	memmove(&a->kept[index], &a->kept[index + 1], (a->kept_count - index) * sizeof(a->kept[0]));
	memmove(&a->kept_context[index], &a->kept_context[index + 1],
		(a->kept_count - index) * sizeof(a->kept_context[0]));
}

void app_pump(struct app *a)
{
	struct leat_cqe cqe;

	for (uint16_t context = 0; context < APP_CONTEXTS; context++)
		for (uint16_t worker = 0; worker < a->region->workers; worker++)
			while (app_reap(a, context, worker, &cqe))
				keep(a, context, &cqe);
}

int app_result(struct app *a, uint64_t user_data, struct leat_cqe *cqe)
{
	for (uint32_t i = 0; i < a->kept_count; i++) {
		struct leat_cqe found = a->kept[i];

		if (found.type != LEAT_CQE_RESULT || found.user_data != user_data)
			continue;
		forget(a, i);
		if (cqe != NULL)
			*cqe = found;
		return found.result;
	}
	return -ETIMEDOUT;
}

int app_call(struct app *a, uint16_t context, uint16_t worker, struct leat_sqe *sqe,
	     struct leat_cqe *cqe)
{
	int result = -ETIMEDOUT;

	sqe->user_data = a->next_user_data++;
	if (!app_submit(a, context, worker, sqe))
		return -EBUSY;
	for (int i = 0; i < CALL_POLLS && result == -ETIMEDOUT; i++) {
		host_poll(a->host);
		app_pump(a);
		result = app_result(a, sqe->user_data, cqe);
	}
	return result;
}

bool app_take_accept(struct app *a, const struct app_sock *listener, struct leat_cqe *cqe,
		     uint16_t *context)
{
	app_pump(a);
	for (uint32_t i = 0; i < a->kept_count; i++) {
		if (a->kept[i].type != LEAT_CQE_ACCEPT ||
		    a->kept[i].listener.slot != listener->handle.slot)
			continue;
		*cqe = a->kept[i];
		*context = a->kept_context[i];
		forget(a, i);
		return true;
	}
	return false;
}

uint32_t app_take_events(struct app_sock *s)
{
	struct app *a = s->app;
	uint32_t events = 0;

	app_pump(a);
	for (uint32_t i = 0; i < a->kept_count;) {
		const struct leat_cqe *cqe = &a->kept[i];

		if (cqe->type != LEAT_CQE_EVENT || cqe->handle.slot != s->handle.slot ||
		    cqe->handle.generation != s->handle.generation) {
			i++;
			continue;
		}
		events |= cqe->events;
		s->event_count++;
		forget(a, i);
	}
	s->events |= events;
	return events;
}

/* ---- socks --------------------------------------------------------------- */

static int sock_call(struct app_sock *s, struct leat_sqe *sqe)
{
	sqe->handle = s->handle;
	return app_call(s->app, s->context, s->worker, sqe, &s->last);
}

/* A sock the application just came to hold. */
static void sock_begin(struct app *a, uint16_t context, struct leat_handle handle,
		       struct app_sock *s)
{
	*s = (struct app_sock){
		.app = a,
		.handle = handle,
		.slot = &a->slots[handle.slot],
		.context = context,
		.worker = (uint16_t)(handle.slot / a->region->slots_per_worker),
		.tx_chunk = LEAT_NO_CHUNK,
		.rx_chunk = LEAT_NO_CHUNK,
		.tx_fresh = true,
	};
}

int app_socket_on(struct app *a, uint16_t context, uint16_t worker, int type, struct app_sock *s)
{
	struct leat_sqe sqe = {
		.op = LEAT_OP_SOCKET,
		.family = AF_INET,
		.type = (uint8_t)type,
	};
	struct leat_cqe cqe;
	int result = app_call(a, context, worker, &sqe, &cqe);

	if (result == 0)
		sock_begin(a, context, cqe.handle, s);
	return result;
}

int app_socket(struct app *a, int type, struct app_sock *s)
{
	return app_socket_on(a, 0, 0, type, s);
}

struct leat_addr app_addr(uint32_t address, uint16_t port)
{
	struct leat_addr out = {.family = AF_INET, .port = htons(port)};
	uint32_t be = htonl(address);

	memcpy(out.addr, &be, sizeof(be));
	return out;
}

int app_bind(struct app_sock *s, uint32_t address, uint16_t port)
{
	struct leat_sqe sqe = {.op = LEAT_OP_BIND, .addr = app_addr(address, port)};

	return sock_call(s, &sqe);
}

int app_listen(struct app_sock *s, int backlog)
{
	struct leat_sqe sqe = {.op = LEAT_OP_LISTEN, .value = backlog};

	return sock_call(s, &sqe);
}

int app_connect(struct app_sock *s, uint32_t address, uint16_t port)
{
	struct leat_sqe sqe = {.op = LEAT_OP_CONNECT, .addr = app_addr(address, port)};

	return sock_call(s, &sqe);
}

int app_shutdown(struct app_sock *s, int how)
{
	struct leat_sqe sqe = {.op = LEAT_OP_SHUTDOWN, .value = how, .offset = s->tx_tail};

	return sock_call(s, &sqe);
}

int app_close(struct app_sock *s)
{
	struct leat_sqe sqe = {.op = LEAT_OP_CLOSE};

	return sock_call(s, &sqe);
}

int app_setsockopt(struct app_sock *s, int level, int name, const void *value, uint32_t length)
{
	struct leat_sqe sqe = {
		.op = LEAT_OP_SETSOCKOPT,
		.option = {.level = (int16_t)level, .name = (int16_t)name, .length_bytes = length},
	};

	memcpy(sqe.option.value, value, length);
	return sock_call(s, &sqe);
}

int app_getsockopt(struct app_sock *s, int level, int name, void *value, uint32_t length)
{
	struct leat_sqe sqe = {
		.op = LEAT_OP_GETSOCKOPT,
		.option = {.level = (int16_t)level, .name = (int16_t)name, .length_bytes = length},
	};
	int result = sock_call(s, &sqe);
	uint32_t given = s->last.option.length_bytes;

	if (result == 0)
		memcpy(value,
		       given > LEAT_OPTION_BYTES
			       ? s->app->channel[s->context][s->worker].shared->answer
			       : s->last.option.value,
		       given < length ? given : length);
	return result;
}

int app_getname(struct app_sock *s, bool peer, struct leat_addr *out)
{
	struct leat_sqe sqe = {.op = LEAT_OP_GETNAME, .value = peer ? 1 : 0};
	int result = sock_call(s, &sqe);

	if (result == 0)
		*out = s->last.addr;
	return result;
}

void app_credit(struct app_sock *listener, uint16_t context, int credits)
{
	struct leat_sqe sqe = {
		.op = LEAT_OP_CREDIT,
		.handle = listener->handle,
		.value = credits,
	};

	CHECK(app_submit(listener->app, context, listener->worker, &sqe));
	host_poll(listener->app->host);
}

void app_uncredit(struct app_sock *listener, uint16_t context)
{
	struct leat_sqe sqe = {.op = LEAT_OP_UNCREDIT, .handle = listener->handle};

	CHECK(app_submit(listener->app, context, listener->worker, &sqe));
	host_poll(listener->app->host);
}

bool app_claim(struct app *a, const struct leat_cqe *cqe, uint16_t context, struct app_sock *s)
{
	uint32_t offered = cqe->claim;
	uint32_t taken = (offered & ~LEAT_CLAIM_STATE) | LEAT_CLAIM_TAKEN;

	sock_begin(a, context, cqe->handle, s);
	s->peer = cqe->addr;
	return __atomic_compare_exchange_n(&s->slot->claim, &offered, taken, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

int app_accept(struct app_sock *listener, struct app_sock *s)
{
	struct leat_cqe cqe;
	uint16_t context;

	for (int tries = 0; tries < 2; tries++) {
		while (app_take_accept(listener->app, listener, &cqe, &context))
			if (app_claim(listener->app, &cqe, context, s))
				return 0;
		if (tries == 0) {
			app_credit(listener, listener->context, 1);
			host_poll(listener->app->host);
		}
	}
	return -EAGAIN;
}

/* ---- bytes --------------------------------------------------------------- */

void app_kick(struct app_sock *s)
{
	struct leat_sqe sqe = {.op = LEAT_OP_SYNC, .handle = s->handle};
	uint32_t seen = __atomic_load_n(&s->slot->kick_seen, __ATOMIC_ACQUIRE);

	if (s->slot->kick != seen)
		return; /* the one under way will see all of it */
	__atomic_store_n(&s->slot->kick, seen + 1, __ATOMIC_RELEASE);
	CHECK(app_submit(s->app, s->context, s->worker, &sqe));
}

static uint8_t *chunk_memory(const struct app *a, uint32_t chunk)
{
	return a->chunks + chunk * a->region->chunk_stride;
}

/* A chunk from the grants of the sock's worker; LEAT_NO_CHUNK: none now. */
static uint32_t take_grant(struct app_sock *s)
{
	struct app_channel *c = &s->app->channel[s->context][s->worker];
	struct leat_sqe want = {.op = LEAT_OP_WANT_CHUNKS};
	uint32_t chunk;

	/* acquire: pairs with the worker's release after it wrote the grant */
	if (c->grant_head == __atomic_load_n(&c->shared->grant_tail, __ATOMIC_ACQUIRE)) {
		app_submit(s->app, s->context, s->worker, &want);
		return LEAT_NO_CHUNK;
	}
	chunk = c->grants[c->grant_head & (s->app->region->grant_entries - 1)];
	c->grant_head++;
	__atomic_store_n(&c->shared->grant_head, c->grant_head, __ATOMIC_RELEASE);
	return chunk;
}

/* Room at tx_tail: bytes up to the end of the current chunk, after taking a new one if needed. */
static uint32_t tx_room(struct app_sock *s, uint64_t tail)
{
	uint32_t size = 1u << s->app->region->chunk_shift;
	uint32_t within = (uint32_t)(tail & (size - 1));
	uint32_t chunk;

	if (!s->tx_fresh && within != 0)
		return size - within;
	chunk = take_grant(s);
	if (chunk == LEAT_NO_CHUNK)
		return 0;
	if (s->tx_fresh) {
		s->slot->tx_restart_chunk = chunk;
		__atomic_store_n(&s->slot->tx_restart, tail, __ATOMIC_RELAXED);
		s->tx_fresh = false;
	} else {
		__atomic_store_n(&s->app->tx_link[s->tx_chunk], chunk, __ATOMIC_RELAXED);
	}
	s->tx_chunk = chunk;
	return size - within;
}

/* Copies into the ring without publishing; returns how many bytes. */
static uint32_t tx_place(struct app_sock *s, const void *data, uint32_t length)
{
	uint64_t limit = s->slot->tx_limit_bytes +
			 __atomic_load_n(&s->slot->tx_head, __ATOMIC_ACQUIRE);
	uint32_t size = 1u << s->app->region->chunk_shift;
	const uint8_t *from = data;
	uint32_t done = 0;

	while (done < length && s->tx_tail + done < limit) {
		uint64_t at = s->tx_tail + done;
		uint32_t n = tx_room(s, at);

		if (n == 0)
			break;
		n = n < length - done ? n : length - done;
		n = (uint32_t)(n < limit - at ? n : limit - at);
		memcpy(chunk_memory(s->app, s->tx_chunk) + (at & (size - 1)), from + done, n);
		done += n;
	}
	return done;
}

static void tx_publish(struct app_sock *s, uint32_t length)
{
	s->tx_tail += length;
	/* release: pairs with the worker's acquire in tx_ring_sync */
	__atomic_store_n(&s->slot->tx_tail, s->tx_tail, __ATOMIC_RELEASE);
	app_kick(s);
}

uint32_t app_write(struct app_sock *s, const void *data, uint32_t length)
{
	uint32_t done = tx_place(s, data, length);

	if (done > 0)
		tx_publish(s, done);
	return done;
}

uint32_t app_write_urgent(struct app_sock *s, const void *data, uint32_t length)
{
	struct leat_sqe sqe = {.op = LEAT_OP_URGENT};
	uint32_t done;

	CHECK_EQ(sock_call(s, &sqe), 0);
	done = tx_place(s, data, length);
	s->app->tx_urgent[s->handle.slot] = s->tx_tail + done;
	tx_publish(s, done);
	return done;
}

uint32_t app_write_pattern(struct app_sock *s, uint32_t length)
{
	uint8_t bytes[4096];
	uint32_t total = 0;

	while (total < length) {
		uint32_t n = length - total < sizeof(bytes) ? length - total : sizeof(bytes);
		uint32_t done;

		pattern_fill(bytes, s->tx_tail, n);
		done = app_write(s, bytes, n);
		total += done;
		if (done < n)
			break;
	}
	return total;
}

int64_t app_mark(const struct app_sock *s)
{
	const struct leat_urgent *u = &s->app->rx_urgent[s->handle.slot];

	if (!app_has(s, LEAT_EV_PRI) || u->mark < s->rx_head)
		return -1;
	return (int64_t)(u->mark - s->rx_head);
}

uint64_t app_hole(const struct app_sock *s)
{
	const struct leat_urgent *u = &s->app->rx_urgent[s->handle.slot];

	return app_has(s, LEAT_EV_PRI) && u->skip_to > s->rx_head ? u->skip_to - s->rx_head : 0;
}

uint64_t app_readable(const struct app_sock *s)
{
	/* acquire: pairs with the worker's release after bytes and links */
	return __atomic_load_n(&s->slot->rx_tail, __ATOMIC_ACQUIRE) - s->rx_head;
}

/* Copies from the ring, moves the private head only. */
static void rx_take(struct app_sock *s, void *out, uint32_t length)
{
	uint32_t size = 1u << s->app->region->chunk_shift;
	uint8_t *to = out;

	while (length > 0) {
		uint32_t within = (uint32_t)(s->rx_head & (size - 1));
		uint32_t n = size - within;

		if (s->rx_head == __atomic_load_n(&s->slot->rx_restart, __ATOMIC_RELAXED))
			s->rx_chunk = s->slot->rx_restart_chunk;
		else if (within == 0)
			s->rx_chunk = __atomic_load_n(&s->app->rx_link[s->rx_chunk],
						      __ATOMIC_RELAXED);
		n = n < length ? n : length;
		memcpy(to, chunk_memory(s->app, s->rx_chunk) + within, n);
		to += n;
		s->rx_head += n;
		length -= n;
	}
}

static void rx_publish(struct app_sock *s)
{
	uint64_t wake;

	/* release: pairs with the worker's acquire in rx_ring_sync */
	__atomic_store_n(&s->slot->rx_head, s->rx_head, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	wake = __atomic_load_n(&s->slot->rx_wake, __ATOMIC_RELAXED);
	if (wake != LEAT_NO_OFFSET && s->rx_head >= wake)
		app_kick(s);
}

uint32_t app_read(struct app_sock *s, void *out, uint32_t length)
{
	uint64_t readable = app_readable(s);

	if (length > readable)
		length = (uint32_t)readable;
	if (length == 0)
		return 0;
	rx_take(s, out, length);
	rx_publish(s);
	return length;
}

uint32_t app_read_pattern(struct app_sock *s, uint32_t length)
{
	uint8_t bytes[4096], expected[4096];
	uint32_t total = 0;

	while (total < length) {
		uint64_t offset = s->rx_head;
		uint32_t want = length - total < sizeof(bytes) ? length - total : sizeof(bytes);
		uint32_t n = app_read(s, bytes, want);

		if (n == 0)
			break;
		pattern_fill(expected, offset, n);
		if (!CHECK_MEM(bytes, expected, n))
			break;
		total += n;
	}
	return total;
}

void app_release(struct app_sock *s)
{
	struct leat_sqe sqe = {
		.op = LEAT_OP_RELEASE,
		.handle = s->handle,
		.offset = s->tx_tail,
	};

	CHECK_EQ(__atomic_load_n(&s->slot->tx_head, __ATOMIC_ACQUIRE), s->tx_tail);
	s->tx_fresh = true;
	CHECK(app_submit(s->app, s->context, s->worker, &sqe));
}

/* ---- datagrams ----------------------------------------------------------- */

static uint32_t record_padding(uint32_t length)
{
	return (LEAT_RECORD_ALIGN - length % LEAT_RECORD_ALIGN) % LEAT_RECORD_ALIGN;
}

bool app_send_to(struct app_sock *s, const struct leat_addr *to, const void *data, uint32_t length)
{
	static const uint8_t zeroes[LEAT_RECORD_ALIGN];
	struct leat_record record = {.length_bytes = length, .full_bytes = length};
	uint64_t used = s->tx_tail - __atomic_load_n(&s->slot->tx_head, __ATOMIC_ACQUIRE);
	uint32_t total = (uint32_t)sizeof(record) + length + record_padding(length);
	uint64_t tail = s->tx_tail;
	bool placed;

	if (to != NULL)
		record.addr = *to;
	if (used + total > s->slot->tx_limit_bytes)
		return false;
	placed = tx_place(s, &record, sizeof(record)) == sizeof(record);
	s->tx_tail += sizeof(record);
	placed = placed && tx_place(s, data, length) == length;
	s->tx_tail += length;
	placed = placed && tx_place(s, zeroes, record_padding(length)) == record_padding(length);
	s->tx_tail = tail;
	if (!placed)
		return false;
	tx_publish(s, total);
	return true;
}

int app_receive_from(struct app_sock *s, struct leat_addr *from, void *out, uint32_t room,
		     uint32_t *full_bytes)
{
	struct leat_record record;
	uint8_t padding[LEAT_RECORD_ALIGN], byte;

	if (app_readable(s) < sizeof(record))
		return -EAGAIN;
	rx_take(s, &record, sizeof(record));
	CHECK(record.length_bytes <= record.full_bytes);
	CHECK(s->rx_head + record.length_bytes + record_padding(record.length_bytes) <=
	      s->slot->rx_tail);
	for (uint32_t i = 0; i < record.length_bytes; i++) {
		rx_take(s, &byte, 1);
		if (i < room)
			((uint8_t *)out)[i] = byte;
	}
	rx_take(s, padding, record_padding(record.length_bytes));
	rx_publish(s);
	if (from != NULL)
		*from = record.addr;
	if (full_bytes != NULL)
		*full_bytes = record.full_bytes;
	return (int)record.length_bytes;
}
