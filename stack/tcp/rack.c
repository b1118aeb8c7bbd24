/* SPDX-License-Identifier: BSD-3-Clause */
#include "tcp/rack.h"

void rack_init(struct rack *r, uint32_t iss)
{
	*r = (struct rack){.end = iss, .fack = iss, .window_mult = 1};
}

void rack_update(struct rack *r, const struct flight_delivery *d, uint32_t una)
{
	/* Step 3, with what was known before this ACK. */
	if (d->original && seq_lt(d->lowest_original_end, r->fack))
		r->reordering_seen = true;
	if (d->any) {
		const struct flight_record *newest = &d->newest;

		/* Step 2. */
		r->rtt_us = (uint32_t)d->now_us - newest->sent_us;
		if (r->rtt_us == 0)
			r->rtt_us = 1;
		if (!r->has_sent ||
		    flight_sent_after(newest->sent_us, newest->end, r->sent_us, r->end)) {
			r->has_sent = true;
			r->sent_us = newest->sent_us;
			r->end = newest->end;
		}
	}
	if (d->acked_bytes > 0)
		r->fack = seq_max(r->fack, d->highest_end);
	r->fack = seq_max(r->fack, una);
	if (r->in_dsack_round && seq_ge(una, r->dsack_round))
		r->in_dsack_round = false;
}

void rack_idle(struct rack *r)
{
	r->has_sent = false;
}

void rack_saw_dsack(struct rack *r, uint32_t una, uint32_t nxt)
{
	if (r->in_dsack_round && seq_lt(una, r->dsack_round))
		return;
	r->in_dsack_round = true;
	r->dsack_round = nxt;
	if (r->window_mult < UINT8_MAX)
		r->window_mult++;
	r->window_persist = RACK_PERSIST;
}

void rack_recovered(struct rack *r)
{
	if (r->window_persist > 0)
		r->window_persist--;
	if (r->window_persist == 0)
		r->window_mult = 1;
}

/* RACK_update_reo_wnd, its result. */
static uint32_t reordering_window(const struct rack *r, const struct rack_path *path)
{
	uint64_t window_us = (uint64_t)r->window_mult * path->min_rtt_us / 4;

	if (!r->reordering_seen && (path->recovering || path->enough_sacked))
		return 0;
	return window_us < path->srtt_us ? (uint32_t)window_us : path->srtt_us;
}

/* For how long r may still be on its way; <= 0: it is lost. */
static int32_t remaining_us(const struct rack *r, const struct rack_path *path,
			    const struct flight_record *record, uint32_t window_us)
{
	return (int32_t)(record->sent_us + r->rtt_us + window_us - (uint32_t)path->now_us);
}

/* Is a copy of it in the network, as far as we know? */
static bool is_outstanding(const struct flight_record *record)
{
	if (record->flags & FLIGHT_SACKED)
		return false;
	return !(record->flags & FLIGHT_LOST) || record->flags & FLIGHT_RESENT;
}

/* One record of the walk: marks it if it is lost.  In how many microseconds it may be; 0: never. */
static uint32_t detect_one(const struct rack *r, const struct rack_path *path, uint32_t window_us,
			   struct flight *f, struct flight_pool *pool, uint32_t index)
{
	const struct flight_record *record = flight_at(pool, index);
	int32_t left_us;

	if (!is_outstanding(record))
		return 0;
	left_us = remaining_us(r, path, record, window_us);
	if (left_us > 0)
		return (uint32_t)left_us;
	flight_mark_lost(f, pool, index);
	return 0;
}

/* A walk that began at the first record and reached the end knows how long to wait; one in parts
 * comes back soon. */
uint32_t rack_detect_loss(const struct rack *r, const struct rack_path *path, struct flight *f,
			  struct flight_pool *pool)
{
	uint32_t window_us = reordering_window(r, path);
	uint32_t i = f->rack_at != FLIGHT_NONE ? f->rack_at : f->first;
	uint32_t wait_us = f->rack_at != FLIGHT_NONE;

	if (!r->has_sent)
		return 0;
	for (uint32_t walked = 0; i != FLIGHT_NONE; i = flight_at(pool, i)->next) {
		const struct flight_record *record = flight_at(pool, i);

		if (walked++ == FLIGHT_WALK_MAX) {
			f->rack_at = i;
			return 1;
		}
		if (flight_sent_after(r->sent_us, r->end, record->sent_us, record->end)) {
			uint32_t left_us = detect_one(r, path, window_us, f, pool, i);

			wait_us = left_us > wait_us ? left_us : wait_us;
		} else if (!(record->flags & (FLIGHT_EVER_RESENT | FLIGHT_SACKED))) {
			/* What follows was sent first after this one was, and sent again later
			 * still. */
			break;
		}
	}
	f->rack_at = FLIGHT_NONE;
	return wait_us;
}

void rack_mark_timeout(const struct rack *r, const struct rack_path *path, struct flight *f,
		       struct flight_pool *pool)
{
	uint32_t window_us = reordering_window(r, path);

	for (uint32_t i = f->first; i != FLIGHT_NONE; i = flight_at(pool, i)->next) {
		const struct flight_record *record = flight_at(pool, i);

		if (is_outstanding(record) &&
		    (i == f->first || remaining_us(r, path, record, window_us) <= 0))
			flight_mark_lost(f, pool, i);
	}
}
