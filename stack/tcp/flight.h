/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is in flight: records of what was sent and when, in sequence order,
 * with what the peer said about each (SACK, RFC 2018 and RFC 6675's
 * scoreboard) and what was concluded (lost, sent again).  Records come from a
 * worker's pool and exist only while their bytes are not acknowledged.
 *
 * All that one iteration sends of a stream shares one record: it was sent at
 * one time and under one state of the path.  A record is split where a SACK
 * block or a retransmission ends within it; neighbours the peer has are joined
 * again, so that the list is as long as there are holes, not segments.
 *
 * Searches remember where they were, and no ACK makes one visit more than
 * FLIGHT_WALK_MAX records: a peer that fragments the list does not get the
 * worker to itself.  What a search did not reach waits for the next ACK.
 */
#ifndef LEAT_TCP_FLIGHT_H
#define LEAT_TCP_FLIGHT_H

#include <rte_branch_prediction.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/assert.h"
#include "lib/seq.h"

#define FLIGHT_NONE UINT32_MAX
/* Of one connection, whose peer may say what it likes.  More are joined, not split: what is
 * selectively acknowledged beyond that counts as not. */
#define FLIGHT_RECORDS_MAX 16384u
/* The last quarter of a pool is for those that have few: a peer that fragments what it says cannot
 * keep others from sending. */
#define FLIGHT_RECORDS_FEW      16u
#define FLIGHT_RECORD_MAX_BYTES (1u << 20)
/* What a gigabit per second over 100 ms needs when its queue overflowed in slow start; with half of
 * it some of what had arrived passed for lost. */
#define FLIGHT_WALK_MAX 4096u

enum flight_flag {
	FLIGHT_SACKED = 1u << 0, /* the peer has it, out of order */
	FLIGHT_LOST = 1u << 1, /* taken for lost, to be sent again */
	FLIGHT_RESENT = 1u << 2, /* sent again, and not known to be lost again */
	FLIGHT_EVER_RESENT = 1u << 3, /* which copy is acknowledged is not known */
	FLIGHT_APP_LIMITED = 1u << 4, /* sent while there was too little to send */
	FLIGHT_MTU_PROBE =
		1u << 5, /* one packet, larger than others (plpmtud.h); not once sent again */
};

struct flight_record {
	uint32_t next; /* index in the pool; FLIGHT_NONE: last */
	uint32_t seq; /* first sequence number, ... */
	uint32_t end; /* ... and the one after the last, FIN included */
	uint32_t sent_us; /* when it was last sent */
	uint32_t delivered; /* flight.delivered when it was sent, low 32 bits */
	uint32_t delivered_us; /* flight.delivered_us then */
	uint32_t first_sent_us; /* flight.first_sent_us then */
	uint32_t in_flight; /* bytes in flight then, itself included */
	uint32_t lost; /* flight.lost then, low 32 bits */
	uint32_t flags; /* enum flight_flag */
};

struct flight_pool {
	struct flight_record *record;
	uint32_t capacity;
	uint32_t plenty; /* with fewer in use nobody has to do with few */
	uint32_t used;
	uint32_t unused; /* first of the unused ones */
};

struct flight {
	uint32_t first; /* record of the oldest byte; FLIGHT_NONE: nothing in flight */
	uint32_t last;
	uint32_t records;
	uint32_t sacked_bytes; /* in records with FLIGHT_SACKED */
	uint32_t lost_bytes; /* FLIGHT_LOST */
	uint32_t resent_bytes; /* FLIGHT_RESENT */
	uint32_t delivered_us; /* when delivered last grew */
	uint32_t first_sent_us; /* when what was delivered last had been sent */
	uint64_t delivered; /* bytes over the connection's life */
	uint64_t lost; /* bytes found lost over its life */
	uint64_t app_limited; /* until delivered reaches this, too little was sent; 0: no */
	/* Where searches go on; FLIGHT_NONE: at first. */
	uint32_t sack_at; /* the farthest place so far at which a SACK block began */
	uint32_t lost_at; /* nothing before it is lost and not sent again */
	uint32_t rack_at; /* rack_detect_loss stopped here */
};

/* One ACK: what is known of it, and what flight_ack and flight_sack find that it delivered. */
struct flight_delivery {
	/* given */
	uint64_t now_us;
	uint32_t min_rtt_us; /* of the path; 0: not known */
	uint32_t echo_ms; /* has_echo: when the segment that caused it was sent, as now_us / 1000 */
	bool has_echo;
	uint32_t walked; /* records its SACK blocks made us visit */

	/* found */
	bool any; /* newest is filled */
	bool original; /* something that was sent only once was delivered */
	bool resent; /* something that was sent again was delivered */
	bool mtu_probe; /* the MTU probe was delivered */
	uint32_t acked_bytes; /* newly acknowledged, cumulatively or selectively */
	uint32_t sacked_bytes; /* of these, selectively */
	uint32_t largest_bytes; /* original: of the stretches of them that were sent at one time */
	uint32_t oldest_original_us; /* original: when the first of those was sent */
	uint32_t lowest_original_end; /* original: for RACK's view of reordering */
	uint32_t highest_end; /* acked_bytes > 0: likewise, whichever copy arrived */
	struct flight_record
		newest; /* of what was delivered the one sent last, if it can be told */
};

/* 0 or -ENOMEM. */
int flight_pool_init(struct flight_pool *pool, uint32_t capacity, int socket_id);
void flight_pool_free(struct flight_pool *pool);

void flight_init(struct flight *f);
/* Forgets everything. */
void flight_clear(struct flight *f, struct flight_pool *pool);

/* [seq, end) leaves for the first time, at the end of what is in flight.  False: no record. */
bool flight_sent(struct flight *f, struct flight_pool *pool, uint32_t seq, uint32_t end,
		 uint32_t una, uint32_t now_us);

/* The same where nothing else is in flight, and there is a record (flight_has_record). */
static inline void flight_sent_first(struct flight *f, struct flight_pool *pool, uint32_t seq,
				     uint32_t end, uint32_t now_us);

/* The same of an MTU probe, which has a record of its own.  False: there is none. */
bool flight_sent_mtu_probe(struct flight *f, struct flight_pool *pool, uint32_t seq, uint32_t end,
			   uint32_t una, uint32_t now_us);

/* The MTU probe in flight, which the peer does not have; FLIGHT_NONE: there is none. */
uint32_t flight_mtu_probe(const struct flight *f, const struct flight_pool *pool);

/* Is there a record of its own for what comes next? */
static inline bool flight_has_record(const struct flight *f, const struct flight_pool *pool)
{
	if (likely(pool->used < pool->plenty))
		return f->records < FLIGHT_RECORDS_MAX;
	return pool->unused != FLIGHT_NONE && f->records < FLIGHT_RECORDS_FEW;
}

/* For want of one, may it share the last one's? */
bool flight_may_share(const struct flight *f, const struct flight_pool *pool);

/* Can more be sent? */
static inline bool flight_has_room(const struct flight *f, const struct flight_pool *pool)
{
	return flight_has_record(f, pool) || flight_may_share(f, pool);
}

/* The record of the last length bytes, at most, of what is in flight, which is not nothing. */
uint32_t flight_tail(struct flight *f, struct flight_pool *pool, uint32_t length);

/* The first length bytes of this record leave again. */
void flight_resent(struct flight *f, struct flight_pool *pool, uint32_t index, uint32_t length,
		   uint32_t una, uint32_t now_us);

/* All before una is acknowledged. */
void flight_ack(struct flight *f, struct flight_pool *pool, uint32_t una,
		struct flight_delivery *d);

/* [start, end), within what is in flight, has arrived; without effect, or with a part of it, when
 * d->walked has reached its bound. */
void flight_sack(struct flight *f, struct flight_pool *pool, uint32_t start, uint32_t end,
		 struct flight_delivery *d);

/* A record is taken for lost; sent again later, it may be lost again. */
void flight_mark_lost(struct flight *f, struct flight_pool *pool, uint32_t index);
/* The first length bytes of what is in flight, if nothing was heard of them yet. */
void flight_mark_head_lost(struct flight *f, struct flight_pool *pool, uint32_t length);
/* After a timeout: all that the peer does not have; it is believed no more (reneging) when
 * forget_sacks. */
void flight_mark_all_lost(struct flight *f, struct flight_pool *pool, bool forget_sacks);
/* It was a mistake: nothing is lost. */
void flight_clear_lost(struct flight *f, struct flight_pool *pool);

/* The first record that is lost and not sent again; FLIGHT_NONE: there is none, or
 * flight_search_goes_on and the next call may find it. */
uint32_t flight_next_lost(struct flight *f, const struct flight_pool *pool);

static inline bool flight_search_goes_on(const struct flight *f)
{
	return f->lost_bytes > 0 && f->lost_at != f->last;
}

/* Was (time a, end a) sent after (time b, end b)?  RFC 8985 section 6.2, RACK_sent_after. */
bool flight_sent_after(uint32_t us_a, uint32_t end_a, uint32_t us_b, uint32_t end_b);

static inline struct flight_record *flight_at(const struct flight_pool *pool, uint32_t index)
{
	return &pool->record[index];
}

static inline void flight_sent_first(struct flight *f, struct flight_pool *pool, uint32_t seq,
				     uint32_t end, uint32_t now_us)
{
	uint32_t index = pool->unused;
	struct flight_record *r = flight_at(pool, index);

	pool->unused = r->next;
	pool->used++;
	f->records++;
	f->first = f->last = index;
	/* BBR draft, section 4.1.2.2: a sample begins here. */
	f->first_sent_us = f->delivered_us = now_us;
	*r = (struct flight_record){
		.next = FLIGHT_NONE,
		.seq = seq,
		.end = end,
		.sent_us = now_us,
		.delivered = (uint32_t)f->delivered,
		.delivered_us = now_us,
		.first_sent_us = now_us,
		.in_flight = end - seq,
		.lost = (uint32_t)f->lost,
		.flags = f->app_limited != 0 ? FLIGHT_APP_LIMITED : 0,
	};
}

/* Bytes believed to be in the network, of those between una and nxt (RFC 6675's pipe). */
static inline uint32_t flight_pipe(const struct flight *f, uint32_t una, uint32_t nxt)
{
	return nxt - una - f->sacked_bytes - f->lost_bytes + f->resent_bytes;
}

/* Is all that is in flight on its way, as far as is known, and no search through it going on? */
static inline bool flight_is_whole(const struct flight *f)
{
	return (f->sacked_bytes | f->lost_bytes | f->resent_bytes) == 0 &&
	       f->rack_at == FLIGHT_NONE;
}

/* What was sent while there was too little to send is delivered. */
static inline void flight_check_app_limited(struct flight *f)
{
	if (f->app_limited != 0 && f->delivered > f->app_limited)
		f->app_limited = 0;
}

/* A record goes back to its pool; searches that stand at it go on at heir, which lies before it. */
static inline void flight_record_put(struct flight *f, struct flight_pool *pool, uint32_t index,
				     uint32_t heir)
{
	leat_assert(f->records > 0);
	if (f->sack_at == index)
		f->sack_at = heir;
	if (f->lost_at == index)
		f->lost_at = heir;
	if (f->rack_at == index)
		f->rack_at = heir;
	flight_at(pool, index)->next = pool->unused;
	pool->unused = index;
	pool->used--;
	f->records--;
}

/* Of the first record, which was sent once, all before una is acknowledged: what flight_ack does
 * then.  The record, which may be free now: read it at once. */
static inline const struct flight_record *
flight_ack_first(struct flight *f, struct flight_pool *pool, uint32_t una, uint32_t now_us)
{
	uint32_t index = f->first;
	struct flight_record *r = flight_at(pool, index);

	leat_assert(!(r->flags & ~(uint32_t)FLIGHT_APP_LIMITED) && seq_le(una, r->end));
	f->delivered += una - r->seq;
	f->delivered_us = now_us;
	f->first_sent_us = r->sent_us;
	if (una != r->end) {
		r->seq = una;
		return r;
	}
	f->first = r->next;
	if (f->first == FLIGHT_NONE)
		f->last = FLIGHT_NONE;
	flight_record_put(f, pool, index, FLIGHT_NONE);
	return r;
}

bool flight_is_sane(const struct flight *f, const struct flight_pool *pool, uint32_t una,
		    uint32_t nxt);

#endif
