/* SPDX-License-Identifier: BSD-3-Clause */
#include "tcp/flight.h"

#include <errno.h>
#include <rte_malloc.h>

#include "lib/assert.h"
#include "lib/seq.h"

_Static_assert(sizeof(struct flight_record) == 40, "three records in two lines");

/* ---- the pool ------------------------------------------------------------ */

int flight_pool_init(struct flight_pool *pool, uint32_t capacity, int socket_id)
{
	pool->record = rte_malloc_socket("flight", capacity * sizeof(pool->record[0]),
					 RTE_CACHE_LINE_SIZE, socket_id);
	if (pool->record == NULL)
		return -ENOMEM;
	pool->capacity = capacity;
	pool->plenty = capacity - capacity / 4;
	pool->used = 0;
	pool->unused = 0;
	for (uint32_t i = 0; i < capacity; i++)
		pool->record[i].next = i + 1 < capacity ? i + 1 : FLIGHT_NONE;
	return 0;
}

void flight_pool_free(struct flight_pool *pool)
{
	rte_free(pool->record);
	pool->record = NULL;
}

static inline uint32_t record_get(struct flight *f, struct flight_pool *pool)
{
	uint32_t index = pool->unused;

	if (!flight_has_record(f, pool))
		return FLIGHT_NONE;
	pool->unused = flight_at(pool, index)->next;
	pool->used++;
	f->records++;
	return index;
}

/* ---- the list -------------------------------------------------------------- */

static uint32_t record_bytes(const struct flight_record *r)
{
	return r->end - r->seq;
}

/* Takes r's bytes off the sums, or adds them, as its flags say. */
static void account(struct flight *f, const struct flight_record *r, bool add)
{
	uint32_t bytes = add ? record_bytes(r) : -record_bytes(r);

	if (r->flags & FLIGHT_SACKED)
		f->sacked_bytes += bytes;
	if (r->flags & FLIGHT_LOST)
		f->lost_bytes += bytes;
	if (r->flags & FLIGHT_RESENT)
		f->resent_bytes += bytes;
}

static void set_flags(struct flight *f, struct flight_record *r, uint32_t flags)
{
	account(f, r, false);
	r->flags = flags;
	account(f, r, true);
}

/* A record for what lies at and after at; false: none left. */
static bool split(struct flight *f, struct flight_pool *pool, uint32_t index, uint32_t at)
{
	uint32_t after = record_get(f, pool);
	struct flight_record *r = flight_at(pool, index);

	if (after == FLIGHT_NONE)
		return false;
	leat_assert(seq_gt(at, r->seq) && seq_lt(at, r->end));
	*flight_at(pool, after) = *r;
	flight_at(pool, after)->seq = at;
	r->end = at;
	r->next = after;
	if (f->last == index)
		f->last = after;
	return true;
}

/* The record after index becomes part of it. */
static void join_next(struct flight *f, struct flight_pool *pool, uint32_t index)
{
	struct flight_record *r = flight_at(pool, index);
	uint32_t next = r->next;

	r->end = flight_at(pool, next)->end;
	r->next = flight_at(pool, next)->next;
	if (f->last == next)
		f->last = index;
	flight_record_put(f, pool, next, index);
}

static bool is_sacked(const struct flight_pool *pool, uint32_t index)
{
	return index != FLIGHT_NONE && flight_at(pool, index)->flags & FLIGHT_SACKED;
}

void flight_init(struct flight *f)
{
	*f = (struct flight){.first = FLIGHT_NONE,
			     .last = FLIGHT_NONE,
			     .sack_at = FLIGHT_NONE,
			     .lost_at = FLIGHT_NONE,
			     .rack_at = FLIGHT_NONE};
}

static inline void drop_first(struct flight *f, struct flight_pool *pool)
{
	uint32_t index = f->first;
	struct flight_record *r = flight_at(pool, index);

	account(f, r, false);
	f->first = r->next;
	if (f->first == FLIGHT_NONE)
		f->last = FLIGHT_NONE;
	flight_record_put(f, pool, index, FLIGHT_NONE);
}

void flight_clear(struct flight *f, struct flight_pool *pool)
{
	while (f->first != FLIGHT_NONE)
		drop_first(f, pool);
}

/* ---- sending ------------------------------------------------------------------ */

/* May what is sent now share the last record? */
static bool may_extend(const struct flight_record *last, uint32_t now_us, uint32_t flags)
{
	return last->sent_us == now_us && last->flags == flags &&
	       record_bytes(last) < FLIGHT_RECORD_MAX_BYTES;
}

static inline void stamp(struct flight *f, struct flight_record *r, uint32_t pipe, uint32_t now_us)
{
	if (pipe == 0) /* BBR draft, section 4.1.2.2: nothing in flight, a sample begins here */
		f->first_sent_us = f->delivered_us = now_us;
	r->sent_us = now_us;
	r->delivered = (uint32_t)f->delivered;
	r->delivered_us = f->delivered_us;
	r->first_sent_us = f->first_sent_us;
	r->in_flight = pipe + record_bytes(r);
	r->lost = (uint32_t)f->lost;
}

/* Without a record left the last one can stand for more, unless it has a story of its own. */
bool flight_may_share(const struct flight *f, const struct flight_pool *pool)
{
	return f->last != FLIGHT_NONE &&
	       !(flight_at(pool, f->last)->flags &
		 (FLIGHT_SACKED | FLIGHT_LOST | FLIGHT_RESENT | FLIGHT_MTU_PROBE));
}

/* A record at the end of the list; false: none left. */
static inline bool append(struct flight *f, struct flight_pool *pool, uint32_t seq, uint32_t end,
			  uint32_t flags, uint32_t una, uint32_t now_us)
{
	uint32_t index = record_get(f, pool);
	struct flight_record *r;

	if (index == FLIGHT_NONE)
		return false;
	r = flight_at(pool, index);
	r->next = FLIGHT_NONE;
	r->seq = seq;
	r->end = end;
	r->flags = flags;
	stamp(f, r, flight_pipe(f, una, seq), now_us);
	if (f->last != FLIGHT_NONE)
		flight_at(pool, f->last)->next = index;
	else
		f->first = index;
	f->last = index;
	return true;
}

static uint32_t app_limited_flag(const struct flight *f)
{
	return f->app_limited != 0 ? FLIGHT_APP_LIMITED : 0;
}

bool flight_sent(struct flight *f, struct flight_pool *pool, uint32_t seq, uint32_t end,
		 uint32_t una, uint32_t now_us)
{
	uint32_t flags = app_limited_flag(f);
	struct flight_record *r;

	if (f->last != FLIGHT_NONE) {
		r = flight_at(pool, f->last);
		leat_assert(r->end == seq);
		if (may_extend(r, now_us, flags)) {
			r->in_flight += end - seq;
			r->end = end;
			return true;
		}
	}
	if (append(f, pool, seq, end, flags, una, now_us))
		return true;
	/* Coarser: the last record stands for these bytes too, as if sent now; no round trip is
	 * measured with it. */
	if (!flight_has_room(f, pool))
		return false;
	r = flight_at(pool, f->last);
	r->end = end;
	r->sent_us = now_us;
	r->flags |= FLIGHT_EVER_RESENT;
	return true;
}

bool flight_sent_mtu_probe(struct flight *f, struct flight_pool *pool, uint32_t seq, uint32_t end,
			   uint32_t una, uint32_t now_us)
{
	return append(f, pool, seq, end, app_limited_flag(f) | FLIGHT_MTU_PROBE, una, now_us);
}

uint32_t flight_mtu_probe(const struct flight *f, const struct flight_pool *pool)
{
	uint32_t index = f->first;

	while (index != FLIGHT_NONE && !(flight_at(pool, index)->flags & FLIGHT_MTU_PROBE))
		index = flight_at(pool, index)->next;
	return index;
}

uint32_t flight_tail(struct flight *f, struct flight_pool *pool, uint32_t length)
{
	const struct flight_record *last = flight_at(pool, f->last);

	if (record_bytes(last) > length)
		(void)split(f, pool, f->last, last->end - length);
	return f->last;
}

void flight_resent(struct flight *f, struct flight_pool *pool, uint32_t index, uint32_t length,
		   uint32_t una, uint32_t now_us)
{
	struct flight_record *r = flight_at(pool, index);
	uint32_t nxt = flight_at(pool, f->last)->end;

	/* Without a record for the rest all of it passes for sent again: if it is missing, that is
	 * found out once more. */
	if (length < record_bytes(r))
		(void)split(f, pool, index, r->seq + length);
	r = flight_at(pool, index);
	stamp(f, r, flight_pipe(f, una, nxt), now_us);
	set_flags(f, r,
		  (r->flags & ~(uint32_t)(FLIGHT_APP_LIMITED | FLIGHT_MTU_PROBE)) | FLIGHT_RESENT |
			  FLIGHT_EVER_RESENT | app_limited_flag(f));
}

/* ---- what an ACK delivers ------------------------------------------------------- */

bool flight_sent_after(uint32_t us_a, uint32_t end_a, uint32_t us_b, uint32_t end_b)
{
	return us_a != us_b ? (int32_t)(us_a - us_b) > 0 : seq_gt(end_a, end_b);
}

/* RFC 8985 section 6.2, step 2: of something sent more than once, is it the last copy that
 * arrived? */
static bool last_copy_arrived(const struct flight_record *r, const struct flight_delivery *d)
{
	uint32_t age_us = (uint32_t)d->now_us - r->sent_us;

	if (!(r->flags & FLIGHT_EVER_RESENT))
		return true;
	if (d->has_echo && (int32_t)(d->echo_ms - (uint32_t)((d->now_us - age_us) / 1000)) < 0)
		return false;
	return age_us >= d->min_rtt_us;
}

/* The bytes of r arrived; end: where what arrived of it ends. */
static void deliver(struct flight *f, const struct flight_record *r, uint32_t end,
		    struct flight_delivery *d)
{
	uint32_t bytes = end - r->seq;

	f->delivered += bytes;
	f->delivered_us = (uint32_t)d->now_us;
	if (d->acked_bytes == 0 || seq_gt(end, d->highest_end))
		d->highest_end = end;
	d->acked_bytes += bytes;
	if (r->flags & FLIGHT_EVER_RESENT) {
		d->resent = true;
	} else {
		if (!d->original || (int32_t)(r->sent_us - d->oldest_original_us) < 0)
			d->oldest_original_us = r->sent_us;
		if (!d->original || seq_lt(end, d->lowest_original_end))
			d->lowest_original_end = end;
		if (bytes > d->largest_bytes)
			d->largest_bytes = bytes;
		d->mtu_probe |= (r->flags & FLIGHT_MTU_PROBE) != 0;
		d->original = true;
	}
	if (!last_copy_arrived(r, d))
		return;
	if (d->any && !flight_sent_after(r->sent_us, end, d->newest.sent_us, d->newest.end))
		return;
	d->any = true;
	d->newest = *r;
	d->newest.end = end;
	f->first_sent_us = r->sent_us;
}

void flight_ack(struct flight *f, struct flight_pool *pool, uint32_t una, struct flight_delivery *d)
{
	while (f->first != FLIGHT_NONE) {
		struct flight_record *r = flight_at(pool, f->first);

		if (seq_ge(r->seq, una))
			return;
		if (!(r->flags & FLIGHT_SACKED))
			deliver(f, r, seq_min(r->end, una), d);
		if (seq_gt(r->end, una)) {
			account(f, r, false);
			r->seq = una;
			account(f, r, true);
			return;
		}
		drop_first(f, pool);
	}
}

/* The record at index lies within what the peer has. */
static void sack_record(struct flight *f, struct flight_record *r, struct flight_delivery *d)
{
	deliver(f, r, r->end, d);
	d->sacked_bytes += record_bytes(r);
	set_flags(f, r, FLIGHT_SACKED);
}

static bool begins_before(const struct flight_pool *pool, uint32_t index, uint32_t seq)
{
	return index != FLIGHT_NONE && seq_lt(flight_at(pool, index)->seq, seq);
}

/*
 * The last record that begins before start, or the first one.  Most blocks are
 * of what arrived last: they begin where the farthest one did, or behind it;
 * or of what was sent again: near the place of the next one to be sent again.
 */
static uint32_t sack_search(struct flight *f, const struct flight_pool *pool, uint32_t start,
			    struct flight_delivery *d)
{
	bool onward = begins_before(pool, f->sack_at, start);
	uint32_t back = begins_before(pool, f->lost_at, start) ? f->lost_at : f->first;
	uint32_t index = onward ? f->sack_at : back;
	uint32_t next = flight_at(pool, index)->next;

	while (next != FLIGHT_NONE && seq_lt(flight_at(pool, next)->seq, start) &&
	       d->walked < FLIGHT_WALK_MAX) {
		index = next;
		next = flight_at(pool, index)->next;
		d->walked++;
	}
	if (onward || f->sack_at == FLIGHT_NONE)
		f->sack_at = index;
	return index;
}

void flight_sack(struct flight *f, struct flight_pool *pool, uint32_t start, uint32_t end,
		 struct flight_delivery *d)
{
	uint32_t before = FLIGHT_NONE;
	uint32_t index = FLIGHT_NONE;

	if (f->first != FLIGHT_NONE)
		index = sack_search(f, pool, start, d);
	while (index != FLIGHT_NONE && seq_lt(flight_at(pool, index)->seq, end) &&
	       d->walked++ < FLIGHT_WALK_MAX) {
		struct flight_record *r = flight_at(pool, index);
		bool inside = seq_gt(r->end, start) && !(r->flags & FLIGHT_SACKED);

		if (inside && seq_lt(r->seq, start)) {
			(void)split(f, pool, index, start); /* the rest is next */
			inside = false;
		}
		if (inside && seq_gt(r->end, end))
			inside = split(f, pool, index, end);
		if (inside)
			sack_record(f, r, d);
		if (is_sacked(pool, before) && is_sacked(pool, index)) {
			join_next(f, pool, before);
			index = before;
		}
		before = index;
		index = flight_at(pool, index)->next;
	}
	if (is_sacked(pool, before) && is_sacked(pool, index))
		join_next(f, pool, before);
}

/* ---- losses ------------------------------------------------------------------------ */

static bool is_to_be_resent(const struct flight_record *r)
{
	return (r->flags & (FLIGHT_LOST | FLIGHT_RESENT)) == FLIGHT_LOST;
}

void flight_mark_lost(struct flight *f, struct flight_pool *pool, uint32_t index)
{
	struct flight_record *r = flight_at(pool, index);

	leat_assert(!(r->flags & FLIGHT_SACKED));
	f->lost += record_bytes(r);
	if (f->lost_at != FLIGHT_NONE && seq_lt(r->seq, flight_at(pool, f->lost_at)->seq))
		f->lost_at = index;
	set_flags(f, r, (r->flags | FLIGHT_LOST) & ~(uint32_t)FLIGHT_RESENT);
}

void flight_mark_head_lost(struct flight *f, struct flight_pool *pool, uint32_t length)
{
	struct flight_record *r;

	if (f->first == FLIGHT_NONE)
		return;
	r = flight_at(pool, f->first);
	if (r->flags & (FLIGHT_SACKED | FLIGHT_LOST))
		return;
	if (length < record_bytes(r))
		(void)split(f, pool, f->first, r->seq + length);
	flight_mark_lost(f, pool, f->first);
}

void flight_mark_all_lost(struct flight *f, struct flight_pool *pool, bool forget_sacks)
{
	for (uint32_t i = f->first; i != FLIGHT_NONE; i = flight_at(pool, i)->next) {
		struct flight_record *r = flight_at(pool, i);

		if (r->flags & FLIGHT_SACKED) {
			if (!forget_sacks)
				continue;
			set_flags(f, r, FLIGHT_EVER_RESENT);
		}
		if (!is_to_be_resent(r))
			flight_mark_lost(f, pool, i);
	}
}

void flight_clear_lost(struct flight *f, struct flight_pool *pool)
{
	for (uint32_t i = f->first; i != FLIGHT_NONE; i = flight_at(pool, i)->next) {
		struct flight_record *r = flight_at(pool, i);

		set_flags(f, r, r->flags & ~(uint32_t)(FLIGHT_LOST | FLIGHT_RESENT));
	}
}

uint32_t flight_next_lost(struct flight *f, const struct flight_pool *pool)
{
	uint32_t index = f->lost_at != FLIGHT_NONE ? f->lost_at : f->first;

	if (f->lost_bytes == 0)
		return FLIGHT_NONE;
	for (uint32_t walked = 0; walked < FLIGHT_WALK_MAX && index != f->last; walked++) {
		if (is_to_be_resent(flight_at(pool, index)))
			break;
		index = flight_at(pool, index)->next;
	}
	f->lost_at = index;
	return is_to_be_resent(flight_at(pool, index)) ? index : FLIGHT_NONE;
}

/* ---- sanity --------------------------------------------------------------------------- */

bool flight_is_sane(const struct flight *f, const struct flight_pool *pool, uint32_t una,
		    uint32_t nxt)
{
	struct flight sum = {0};
	uint32_t seq = una;
	uint32_t last = FLIGHT_NONE;
	bool searched = f->lost_at != FLIGHT_NONE; /* for what is lost, this far */

	for (uint32_t i = f->first; i != FLIGHT_NONE; i = flight_at(pool, i)->next) {
		const struct flight_record *r = flight_at(pool, i);

		if (r->seq != seq || !seq_lt(r->seq, r->end))
			return false;
		if (r->flags & FLIGHT_SACKED && r->flags & (FLIGHT_LOST | FLIGHT_RESENT))
			return false;
		if (i == f->lost_at)
			searched = false;
		if (searched && is_to_be_resent(r))
			return false;
		account(&sum, r, true);
		sum.records++;
		seq = r->end;
		last = i;
	}
	return seq == nxt && last == f->last && !searched && sum.records == f->records &&
	       sum.sacked_bytes == f->sacked_bytes && sum.lost_bytes == f->lost_bytes &&
	       sum.resent_bytes == f->resent_bytes;
}
