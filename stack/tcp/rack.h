/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RACK (RFC 8985 section 6): what was sent before something that has arrived
 * is lost, once a reordering window has passed.  A leaf: it reads and marks
 * the records of a struct flight and knows no sock.
 */
#ifndef LEAT_TCP_RACK_H
#define LEAT_TCP_RACK_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/seq.h"
#include "tcp/flight.h"

#define RACK_PERSIST 16 /* recoveries for which a widened reordering window lasts */

/* All zero, but for rack_init, at the start of a connection. */
struct rack {
	uint32_t sent_us; /* RACK.xmit_ts: when RACK.segment was sent */
	uint32_t end; /* RACK.end_seq */
	uint32_t rtt_us; /* RACK.rtt; 0: nothing was delivered yet */
	uint32_t fack; /* highest sequence number that has arrived */
	uint32_t dsack_round; /* in_dsack_round: until this is acknowledged */
	bool in_dsack_round;
	bool has_sent; /* sent_us and end are of what is in flight now, or was with it */
	bool reordering_seen;
	uint8_t window_mult;
	uint8_t window_persist;
};

/* What the reordering window depends on. */
struct rack_path {
	uint64_t now_us;
	uint32_t min_rtt_us;
	uint32_t srtt_us;
	bool recovering; /* in fast or RTO recovery */
	bool enough_sacked; /* DupThresh segments or more are selectively acknowledged */
};

void rack_init(struct rack *r, uint32_t iss);

/* Steps 2 and 3: an ACK delivered something. */
void rack_update(struct rack *r, const struct flight_delivery *d, uint32_t una);

/* The same when all that was delivered had been sent once, at one time, and ends at una. */
static inline void rack_advance(struct rack *r, uint32_t sent_us, uint32_t una, uint32_t now_us)
{
	if (seq_lt(una, r->fack))
		r->reordering_seen = true;
	else
		r->fack = una;
	r->rtt_us = now_us != sent_us ? now_us - sent_us : 1;
	if (!r->has_sent || flight_sent_after(sent_us, una, r->sent_us, r->end)) {
		r->has_sent = true;
		r->sent_us = sent_us;
		r->end = una;
	}
	if (r->in_dsack_round && seq_ge(una, r->dsack_round))
		r->in_dsack_round = false;
}

/* Nothing is in flight: what is sent next is sent after all that has arrived, even if the clock's 32
 * bits come around before. */
void rack_idle(struct rack *r);

/* Step 4: the ACK came with a DSACK, or recovery ended without one. */
void rack_saw_dsack(struct rack *r, uint32_t una, uint32_t nxt);
void rack_recovered(struct rack *r);

/* Step 5: marks what is lost.  Returns in how many microseconds more may be (the reordering
 * timer), 0: there is nothing to wait for. */
uint32_t rack_detect_loss(const struct rack *r, const struct rack_path *path, struct flight *f,
			  struct flight_pool *pool);

/* Section 6.3: the retransmission timer ran out. */
void rack_mark_timeout(const struct rack *r, const struct rack_path *path, struct flight *f,
		       struct flight_pool *pool);

#endif
