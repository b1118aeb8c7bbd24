/* SPDX-License-Identifier: BSD-3-Clause */
#include "shm/ring.h"

#include <errno.h>
#include <rte_atomic.h>
#include <string.h>

#include "core/worker.h"
#include "lib/seq.h"
#include "shm/ring_rx.h"
#include "shm/ring_tx.h"
#include "shm/session.h"

void ring_init(struct ring_pair *r)
{
	*r = (struct ring_pair){
		.rx_first = LEAT_NO_CHUNK,
		.rx_chunk = LEAT_NO_CHUNK,
		.rx_last = LEAT_NO_CHUNK,
		.tx_first = LEAT_NO_CHUNK,
		.tx_last = LEAT_NO_CHUNK,
		.tx_cursor = LEAT_NO_CHUNK,
	};
}

void ring_hold(struct worker *w, struct ring_pair *r)
{
	if (r->holding)
		return;
	r->holding = true;
	r->looked_ms = (uint16_t)w->now_ms;
	TAILQ_INSERT_TAIL(&w->holding, r, holding_link);
}

static inline void ring_note_activity(struct worker *w, struct ring_pair *r)
{
	r->active = true;
	if (unlikely(!r->holding))
		ring_hold(w, r);
}

/* Frees the chunks from first to the end of its list. */
static void ring_put_list(struct worker *w, struct arena *a, uint32_t first)
{
	while (first != LEAT_NO_CHUNK) {
		uint32_t next = arena_chunk(a, first)->next;

		chunk_put(w, a, first);
		first = next;
	}
}

/* Nobody reads it and nothing is left to send: the pair has no more to do with its arena. */
static void ring_leave(struct worker *w, struct ring_pair *r)
{
	struct arena *a = r->arena;

	if (a == NULL || r->tx_first != LEAT_NO_CHUNK)
		return;
	leat_assert(r->shared == NULL && r->rx_first == LEAT_NO_CHUNK);
	r->arena = NULL;
	a->ring_users--;
	arena_check_drained(w, a);
}

/* ---- receive ------------------------------------------------------------- */

int rx_ring_sync(struct worker *w, struct ring_pair *r)
{
	uint64_t head;

	if (r->shared == NULL)
		return 0;
	/* acquire: pairs with the application's release after it read the bytes */
	head = __atomic_load_n(&r->shared->rx_head, __ATOMIC_ACQUIRE);
	if (head - r->rx_head > r->rx_tail - r->rx_head) {
		arena_condemn(w, r->arena, "rx_head outside the receive ring");
		return -EPROTO;
	}
	r->rx_head = head;
	/* Strictly past its end: a reader at the boundary still follows the link. */
	while (r->rx_first != r->rx_chunk && head - r->rx_first_base > r->arena->chunk_bytes) {
		uint32_t next = arena_chunk(r->arena, r->rx_first)->next;

		chunk_put(w, r->arena, r->rx_first);
		r->rx_first = next;
		r->rx_first_base += r->arena->chunk_bytes;
	}
	return 0;
}

/* Links one more chunk at rx_end. */
static int rx_ring_grow(struct worker *w, struct ring_pair *r)
{
	struct arena *a = r->arena;
	uint32_t c = chunk_alloc(w, a, CHUNK_RX);

	if (c == LEAT_NO_CHUNK)
		return -ENOBUFS;
	if (r->rx_last == LEAT_NO_CHUNK) {
		leat_assert(r->rx_head == r->rx_tail);
		r->shared->rx_restart_chunk = c;
		r->shared->rx_restart = r->rx_tail;
		r->rx_first = r->rx_chunk = c;
		r->rx_first_base = r->rx_chunk_base = r->rx_tail & ~(uint64_t)a->chunk_mask;
		r->rx_end = r->rx_first_base;
	} else {
		arena_chunk(a, r->rx_last)->next = c;
		a->rx_link[r->rx_last] = c;
	}
	r->rx_last = c;
	r->rx_end += a->chunk_bytes;
	ring_note_activity(w, r);
	return 0;
}

/* rx_chunk follows rx_tail, into the next chunk as soon as there is one. */
static void rx_ring_seek(struct ring_pair *r)
{
	while (r->rx_tail - r->rx_chunk_base >= r->arena->chunk_bytes &&
	       r->rx_chunk != r->rx_last) {
		r->rx_chunk = arena_chunk(r->arena, r->rx_chunk)->next;
		r->rx_chunk_base += r->arena->chunk_bytes;
	}
}

static int rx_ring_reserve(struct worker *w, struct ring_pair *r, uint64_t end)
{
	while (r->rx_last == LEAT_NO_CHUNK || end > r->rx_end) {
		if (rx_ring_grow(w, r) == 0)
			continue;
		/* What was read since the last look can be used again. */
		if (rx_ring_sync(w, r) != 0 || rx_ring_grow(w, r) != 0)
			return -ENOBUFS;
	}
	rx_ring_seek(r);
	rx_ring_note_placed(r, (uint32_t)end);
	return 0;
}

/* Where writing goes on. */
struct ring_position {
	uint32_t chunk;
	uint64_t base;
};

static void rx_ring_copy(struct ring_pair *r, struct ring_position *at, uint64_t offset,
			 const uint8_t *data, uint32_t length)
{
	struct arena *a = r->arena;

	while (length > 0) {
		uint32_t within, room;

		while (offset - at->base >= a->chunk_bytes) {
			at->chunk = arena_chunk(a, at->chunk)->next;
			at->base += a->chunk_bytes;
		}
		within = (uint32_t)(offset - at->base);
		room = RTE_MIN(a->chunk_bytes - within, length);
		memcpy(arena_chunk_memory(a, at->chunk) + within, data, room);
		data += room;
		offset += room;
		length -= room;
	}
}

int rx_ring_write(struct worker *w, struct ring_pair *r, uint64_t offset, const struct rte_mbuf *m,
		  uint32_t skip, uint32_t length)
{
	struct ring_position at;

	if (r->shared == NULL || rx_ring_reserve(w, r, offset + length) != 0)
		return -ENOBUFS;
	at = (struct ring_position){r->rx_chunk, r->rx_chunk_base};
	for (; m != NULL && length > 0; m = m->next) {
		uint32_t n;

		if (skip >= m->data_len) {
			skip -= m->data_len;
			continue;
		}
		n = RTE_MIN(length, m->data_len - skip);
		rx_ring_copy(r, &at, offset, rte_pktmbuf_mtod_offset(m, const uint8_t *, skip), n);
		skip = 0;
		offset += n;
		length -= n;
	}
	leat_assert(length == 0);
	return 0;
}

int rx_ring_write_bytes(struct worker *w, struct ring_pair *r, uint64_t offset, const void *data,
			uint32_t length)
{
	struct ring_position at;

	if (r->shared == NULL || rx_ring_reserve(w, r, offset + length) != 0)
		return -ENOBUFS;
	at = (struct ring_position){r->rx_chunk, r->rx_chunk_base};
	rx_ring_copy(r, &at, offset, data, length);
	return 0;
}

void rx_ring_advance(struct ring_pair *r, uint32_t length)
{
	r->rx_tail += length;
	r->active = true;
	leat_assert(r->rx_tail <= r->rx_end);
	rx_ring_seek(r);
}

int rx_ring_append(struct worker *w, struct ring_pair *r, const struct rte_mbuf *m, uint32_t skip,
		   uint32_t length)
{
	uint8_t *to = rx_ring_room(r, length);

	if (likely(to != NULL && skip + length <= m->data_len)) { /* in one piece? */
		memcpy(to, rte_pktmbuf_mtod_offset(m, const uint8_t *, skip), length);
		rx_ring_took(r, length);
		return 0;
	}
	if (rx_ring_write(w, r, r->rx_tail, m, skip, length) != 0)
		return -ENOBUFS;
	rx_ring_advance(r, length);
	return 0;
}

int rx_ring_append_record(struct worker *w, struct ring_pair *r, const struct leat_record *record,
			  const struct rte_mbuf *m)
{
	uint32_t length = record->length_bytes;
	uint32_t bytes = sizeof(*record) + RTE_ALIGN(length, LEAT_RECORD_ALIGN);
	struct leat_record *place = rx_ring_record_here(r, m, length);

	if (likely(place != NULL)) {
		*place = *record;
		return 0;
	}
	/* The data first: when there are chunks for it, there is one for the header. */
	if (rx_ring_write(w, r, r->rx_tail + sizeof(*record), m, 0, length) != 0 ||
	    rx_ring_write_bytes(w, r, r->rx_tail, record, sizeof(*record)) != 0)
		return -ENOBUFS;
	rx_ring_advance(r, bytes);
	return 0;
}

void rx_ring_ask(struct worker *w, struct ring_pair *r, uint64_t offset)
{
	(void)w;
	if (r->shared == NULL)
		return;
	__atomic_store_n(&r->shared->rx_wake, offset, __ATOMIC_RELAXED);
	/* Pairs with the fence between the application's rx_head and its look at rx_wake. */
	if (offset != LEAT_NO_OFFSET)
		rte_smp_mb();
}

void rx_ring_release(struct worker *w, struct ring_pair *r)
{
	if (r->rx_first == LEAT_NO_CHUNK || rx_ring_sync(w, r) != 0)
		return;
	if (r->rx_head != r->rx_tail || seq_gt(r->rx_placed, (uint32_t)r->rx_tail))
		return;
	ring_put_list(w, r->arena, r->rx_first);
	r->rx_first = r->rx_chunk = r->rx_last = LEAT_NO_CHUNK;
	r->rx_end = r->rx_tail;
}

/* ---- send ---------------------------------------------------------------- */

/* Makes a chunk the application named part of the send ring. */
static int tx_ring_claim(struct worker *w, struct ring_pair *r, uint32_t number)
{
	struct arena *a = r->arena;
	struct chunk *c;

	if (number - a->first_chunk >= a->chunk_count) {
		arena_condemn(w, a, "send chunk number out of range");
		return -EPROTO;
	}
	c = arena_chunk(a, number);
	if (c->state != CHUNK_GRANTED) {
		arena_condemn(w, a, "send chunk was not granted");
		return -EPROTO;
	}
	c->state = CHUNK_TX;
	c->next = LEAT_NO_CHUNK;
	return 0;
}

/* The application began anew at tx_tail, with a chunk of its choice. */
static int tx_ring_restart(struct worker *w, struct ring_pair *r)
{
	uint32_t c = __atomic_load_n(&r->shared->tx_restart_chunk, __ATOMIC_RELAXED);

	if (r->tx_head != r->tx_tail) {
		arena_condemn(w, r->arena, "send ring restarted with bytes in it");
		return -EPROTO;
	}
	if (tx_ring_claim(w, r, c) != 0)
		return -EPROTO;
	ring_put_list(w, r->arena, r->tx_first);
	r->tx_first = r->tx_last = r->tx_cursor = c;
	r->tx_first_base = r->tx_cursor_base = r->tx_tail & ~(uint64_t)r->arena->chunk_mask;
	r->tx_end = r->tx_first_base + r->arena->chunk_bytes;
	return 0;
}

/* tx_ring_sync where chunks are to be taken over, or the session is to end. */
static __rte_noinline int tx_ring_sync_slow(struct worker *w, struct ring_pair *r, uint64_t tail)
{
	struct arena *a = r->arena;

	if (tail - r->tx_head < r->tx_tail - r->tx_head ||
	    tail - r->tx_head > (uint64_t)a->chunk_count << a->chunk_shift) {
		arena_condemn(w, a, "tx_tail outside the send ring");
		return -EPROTO;
	}
	if (__atomic_load_n(&r->shared->tx_restart, __ATOMIC_RELAXED) == r->tx_tail &&
	    tx_ring_restart(w, r) != 0)
		return -EPROTO;
	if (r->tx_last == LEAT_NO_CHUNK) {
		arena_condemn(w, a, "send ring written without a chunk");
		return -EPROTO;
	}
	while (tail > r->tx_end) {
		uint32_t c = __atomic_load_n(&a->tx_link[r->tx_last], __ATOMIC_RELAXED);

		if (tx_ring_claim(w, r, c) != 0)
			return -EPROTO;
		arena_chunk(a, r->tx_last)->next = c;
		r->tx_last = c;
		r->tx_end += a->chunk_bytes;
	}
	r->tx_tail = tail;
	ring_note_activity(w, r);
	return 0;
}

int tx_ring_sync(struct worker *w, struct ring_pair *r)
{
	uint64_t tail;

	if (r->shared == NULL)
		return 0;
	/* acquire: pairs with the application's release after bytes, links and restart */
	tail = __atomic_load_n(&r->shared->tx_tail, __ATOMIC_ACQUIRE);
	if (tail == r->tx_tail)
		return 0;
	if (unlikely(tail - r->tx_tail >
			     r->tx_end - r->tx_tail || /* beyond the chunks there are? */
		     !r->holding || /* the first after a pause? */
		     __atomic_load_n(&r->shared->tx_restart, __ATOMIC_RELAXED) == r->tx_tail))
		return tx_ring_sync_slow(w, r, tail);
	r->tx_tail = tail;
	r->active = true;
	return 0;
}

/* The chunk that holds offset; the cursor remembers it for the next, probably following, look. */
static inline struct ring_position tx_ring_seek(struct ring_pair *r, uint64_t offset)
{
	struct arena *a = r->arena;

	leat_assert(offset >= r->tx_first_base && offset < r->tx_end);
	if (r->tx_cursor == LEAT_NO_CHUNK || offset < r->tx_cursor_base ||
	    r->tx_cursor_base < r->tx_first_base) {
		r->tx_cursor = r->tx_first;
		r->tx_cursor_base = r->tx_first_base;
	}
	while (offset - r->tx_cursor_base >= a->chunk_bytes) {
		r->tx_cursor = arena_chunk(a, r->tx_cursor)->next;
		r->tx_cursor_base += a->chunk_bytes;
	}
	return (struct ring_position){r->tx_cursor, r->tx_cursor_base};
}

/* The bytes at offset that lie in one chunk. */
static inline uint32_t tx_ring_span(struct ring_pair *r, uint64_t offset, uint32_t length,
				    uint32_t *chunk, uint8_t **data)
{
	struct ring_position at = tx_ring_seek(r, offset);
	uint32_t within = (uint32_t)(offset - at.base);

	*chunk = at.chunk;
	*data = arena_chunk_memory(r->arena, at.chunk) + within;
	return RTE_MIN(length, r->arena->chunk_bytes - within);
}

/* Copies into m's tailroom and, when that is full, into further mbufs behind it. */
static int tx_ring_append_copy(struct worker *w, struct ring_pair *r, struct rte_mbuf *head,
			       uint64_t offset, uint32_t length)
{
	struct rte_mbuf *m = head;

	while (length > 0) {
		uint32_t chunk, n;
		uint8_t *data;

		if (rte_pktmbuf_tailroom(m) == 0) {
			struct rte_mbuf *more = worker_mbuf(w);

			if (more == NULL)
				return -ENOBUFS;
			more->data_off = 0;
			m->next = more;
			head->nb_segs++;
			m = more;
		}
		n = tx_ring_span(r, offset, RTE_MIN(length, rte_pktmbuf_tailroom(m)), &chunk,
				 &data);
		memcpy(rte_pktmbuf_mtod_offset(m, void *, m->data_len), data, n);
		m->data_len += n;
		head->pkt_len += n;
		offset += n;
		length -= n;
	}
	return 0;
}

/* A segment behind m that is length bytes of a chunk, to which it holds a reference; NULL: no mbuf. */
static inline struct rte_mbuf *tx_ring_attach(struct worker *w, struct ring_pair *r,
					      struct rte_mbuf *m, uint32_t chunk,
					      const uint8_t *data, uint32_t length)
{
	struct rte_mbuf *segment = worker_mbuf(w);
	struct chunk *c = arena_chunk(r->arena, chunk);

	if (unlikely(segment == NULL))
		return NULL;
	rte_mbuf_ext_refcnt_update(&c->shinfo, 1);
	rte_pktmbuf_attach_extbuf(segment, (void *)(uintptr_t)data, (rte_iova_t)(uintptr_t)data,
				  (uint16_t)length, &c->shinfo);
	segment->data_off = 0;
	segment->data_len = (uint16_t)length;
	m->next = segment;
	return segment;
}

/* Points further segments into the region. */
static int tx_ring_append_external(struct worker *w, struct ring_pair *r, struct rte_mbuf *head,
				   uint64_t offset, uint32_t length)
{
	struct rte_mbuf *m = head;

	while (length > 0) {
		uint32_t chunk, n;
		uint8_t *data;

		n = tx_ring_span(r, offset, length, &chunk, &data);
		m = tx_ring_attach(w, r, m, chunk, data, n);
		if (m == NULL)
			return -ENOBUFS;
		head->nb_segs++;
		head->pkt_len += n;
		offset += n;
		length -= n;
	}
	return 0;
}

/* Into m's tailroom, where there is room.  False: not all of it lies in one chunk. */
static inline bool tx_ring_append_at_once(struct ring_pair *r, struct rte_mbuf *m, uint64_t offset,
					  uint32_t length)
{
	uint32_t chunk;
	uint8_t *data;

	if (unlikely(tx_ring_span(r, offset, length, &chunk, &data) < length))
		return false;
	rte_memcpy(rte_pktmbuf_mtod_offset(m, void *, m->data_len), data, length);
	m->data_len += (uint16_t)length;
	m->pkt_len += length;
	return true;
}

/* Where they lie, if they may go as one segment that points there; else NULL. */
static inline const uint8_t *tx_ring_piece(const struct worker *w, const struct ring_pair *r,
					   uint64_t offset, uint32_t length, bool copy)
{
	if (copy || length < w->config.copybreak_bytes)
		return NULL;
	return tx_ring_peek(r, offset, length);
}

static inline int tx_ring_append_piece(struct worker *w, struct ring_pair *r, struct rte_mbuf *m,
				       const uint8_t *data, uint32_t length)
{
	if (unlikely(tx_ring_attach(w, r, m, r->tx_cursor, data, length) == NULL))
		return -ENOBUFS;
	m->nb_segs = 2;
	m->pkt_len += length;
	return 0;
}

static int tx_ring_append_any(struct worker *w, struct ring_pair *r, struct rte_mbuf *m,
			      uint64_t offset, uint32_t length, bool copy)
{
	uint16_t data_len = m->data_len;
	uint32_t pkt_len = m->pkt_len;
	bool is_short = length < w->config.copybreak_bytes && length <= rte_pktmbuf_tailroom(m);
	int result;

	leat_assert(m->next == NULL);
	leat_assert(offset >= r->tx_head && offset + length <= r->tx_tail);
	if (is_short && tx_ring_append_at_once(r, m, offset, length))
		return 0;
	if (copy || is_short)
		result = tx_ring_append_copy(w, r, m, offset, length);
	else
		result = tx_ring_append_external(w, r, m, offset, length);
	if (result != 0) {
		rte_pktmbuf_free(m->next);
		m->next = NULL;
		m->nb_segs = 1;
		m->data_len = data_len;
		m->pkt_len = pkt_len;
	}
	return result;
}

int tx_ring_append(struct worker *w, struct ring_pair *r, struct rte_mbuf *m, uint64_t offset,
		   uint32_t length, bool copy)
{
	const uint8_t *data = tx_ring_piece(w, r, offset, length, copy);

	if (likely(data != NULL))
		return tx_ring_append_piece(w, r, m, data, length);
	return tx_ring_append_any(w, r, m, offset, length, copy);
}

int tx_ring_append_summed(struct worker *w, struct ring_pair *r, struct rte_mbuf *m,
			  uint64_t offset, uint32_t length, bool copy, uint64_t *sum)
{
	const uint8_t *data = tx_ring_piece(w, r, offset, length, copy);
	uint32_t before = m->pkt_len;

	if (likely(data != NULL)) {
		*sum = checksum_sum_long(data, length);
		return tx_ring_append_piece(w, r, m, data, length);
	}
	if (tx_ring_append_any(w, r, m, offset, length, copy) != 0)
		return -ENOBUFS;
	*sum = checksum_mbuf(m, before, length);
	return 0;
}

void tx_ring_read(const struct ring_pair *r, uint64_t offset, void *out, uint32_t length)
{
	uint8_t *to = out;

	leat_assert(offset >= r->tx_head && offset + length <= r->tx_tail);
	while (length > 0) {
		uint32_t chunk, n;
		uint8_t *data;

		/* Moving the cursor does not change what the sock says. */
		n = tx_ring_span((struct ring_pair *)(uintptr_t)r, offset, length, &chunk, &data);
		memcpy(to, data, n);
		to += n;
		offset += n;
		length -= n;
	}
}

void tx_ring_free_done(struct worker *w, struct ring_pair *r)
{
	uint64_t head = r->tx_head;

	if (r->tx_first == LEAT_NO_CHUNK)
		return;
	/* Strictly past its end: the application at the boundary may still write its link. */
	while (r->tx_first != r->tx_last && head - r->tx_first_base > r->arena->chunk_bytes) {
		uint32_t next = arena_chunk(r->arena, r->tx_first)->next;

		chunk_put(w, r->arena, r->tx_first);
		r->tx_first = next;
		r->tx_first_base += r->arena->chunk_bytes;
	}
	if (r->tx_cursor_base < r->tx_first_base) {
		r->tx_cursor = r->tx_first;
		r->tx_cursor_base = r->tx_first_base;
	}
	if (r->shared == NULL && head == r->tx_tail) {
		tx_ring_release(w, r, head);
		ring_leave(w, r);
	}
}

void tx_ring_done(struct worker *w, struct ring_pair *r, uint64_t offset)
{
	tx_ring_done_here(w, r, offset);
}

void tx_ring_release(struct worker *w, struct ring_pair *r, uint64_t offset)
{
	if (offset != r->tx_tail || r->tx_head != r->tx_tail || r->tx_first == LEAT_NO_CHUNK)
		return;
	ring_put_list(w, r->arena, r->tx_first);
	r->tx_first = r->tx_last = r->tx_cursor = LEAT_NO_CHUNK;
	r->tx_end = r->tx_tail;
}

/* ---- both ---------------------------------------------------------------- */

void ring_attach(struct ring_pair *r, struct arena *a, struct leat_slot *shared)
{
	leat_assert(r->arena == NULL);
	r->arena = a;
	r->shared = shared;
	a->ring_users++;
}

void ring_detach(struct worker *w, struct ring_pair *r)
{
	ring_put_list(w, r->arena, r->rx_first);
	r->rx_first = r->rx_chunk = r->rx_last = LEAT_NO_CHUNK;
	r->shared = NULL;
	tx_ring_release(w, r, r->tx_tail);
	ring_leave(w, r);
}

void ring_free(struct worker *w, struct ring_pair *r)
{
	leat_assert(r->shared == NULL);
	ring_put_list(w, r->arena, r->tx_first);
	r->tx_first = r->tx_last = r->tx_cursor = LEAT_NO_CHUNK;
	if (r->holding)
		TAILQ_REMOVE(&w->holding, r, holding_link);
	r->holding = false;
	ring_leave(w, r);
}

bool ring_is_sane(const struct ring_pair *r)
{
	if (r->rx_head > r->rx_tail || r->tx_head > r->tx_tail)
		return false;
	if (r->rx_first != LEAT_NO_CHUNK &&
	    (r->rx_tail > r->rx_end || r->rx_first_base > r->rx_head))
		return false;
	if (r->tx_first == LEAT_NO_CHUNK)
		return r->tx_head == r->tx_tail;
	return r->tx_tail <= r->tx_end && r->tx_first_base <= r->tx_head;
}
