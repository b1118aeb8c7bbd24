/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps that the window-based algorithms share (RFC 5681, 3465, 6582). */
#ifndef LEAT_TCP_CONGESTION_STEPS_H
#define LEAT_TCP_CONGESTION_STEPS_H

#include "tcp/congestion.h"

#define CONGESTION_WINDOW_MAX_BYTES (1u << 30) /* RFC 7323 section 2.3: no window is larger */

/* What NewReno keeps, and algorithms that lose as NewReno does: first in their own state. */
struct newreno {
	enum congestion_event last; /* after a timeout slow start repairs, not PRR */
};

static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static inline uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Initial window and ssthresh, no private state, no pacing; what a connection brings stays. */
void congestion_begin(struct congestion *c, bool handshake_lost);
/* Adds to cwnd, up to the largest window there is. */
void congestion_grow(struct congestion *c, uint32_t bytes);
/* By what is acknowledged.  RFC 3465 section 2.3 would allow two segments for an ACK; as Linux we
 * set no limit, or a peer that acknowledges a burst at once (GRO, LRO, leat itself) would starve.
 * While a timeout is repaired the limit is one segment. */
void congestion_slow_start(struct congestion *c, uint32_t acked_bytes, bool after_timeout);
/* RFC 3465 section 2.1: one segment for each window's worth acknowledged. */
void congestion_avoid(struct congestion *c, uint32_t acked_bytes);
/* cwnd and ssthresh, for undo. */
void congestion_remember(struct congestion *c);
/* Is there something to undo?  Then cwnd and ssthresh are what they were. */
bool congestion_restore(struct congestion *c);
/* ssthresh to so many bytes, two segments at least (RFC 5681 equation 4); after a timeout cwnd to
 * one segment. */
void congestion_reduce_to(struct congestion *c, uint32_t bytes, enum congestion_event why);
/* The end of a recovery that this event began. */
void congestion_recover(struct congestion *c, enum congestion_event why);
/* RFC 5681 section 4.1: idle for more than an RTO leaves the restart window. */
void congestion_restart(struct congestion *c, uint32_t idle_us, uint32_t rto_us);

/* NewReno's, for those that do the same. */
void newreno_acked(struct congestion *c, const struct congestion_ack *ack);
void newreno_reduce(struct congestion *c, enum congestion_event why, uint32_t in_flight_bytes,
		    uint64_t now_us);
void newreno_recovered(struct congestion *c, uint32_t in_flight_bytes, uint64_t now_us);
void newreno_restart(struct congestion *c, uint32_t idle_us, uint32_t rto_us, uint64_t now_us);

#endif
