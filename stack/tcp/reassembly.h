/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which sequence ranges beyond the next expected one have arrived.  The bytes
 * themselves lie already where they belong; this is only the bookkeeping: a
 * sorted, bounded set of disjoint [start, end), all within 2^31 of each other.
 */
#ifndef LEAT_TCP_REASSEMBLY_H
#define LEAT_TCP_REASSEMBLY_H

#include <stdbool.h>
#include <stdint.h>

#define REASSEMBLY_RANGES 63 /* which every one has room for */
#define REASSEMBLY_MANY   8192 /* of one that was given more: a window with a hole for each segment */
#define REASSEMBLY_RECENT 4

struct seq_range {
	uint32_t start, end;
};

struct reassembly {
	uint32_t stream_end; /* where the peer's stream ends, if has_end */
	bool has_end;
	uint8_t recent_count;
	uint16_t count;
	uint16_t capacity;
	struct seq_range *range; /* few, or what reassembly_expand was given */
	uint32_t recent[REASSEMBLY_RECENT]; /* starts of ranges, the one that grew last first */
	struct seq_range few[REASSEMBLY_RANGES];
};

void reassembly_init(struct reassembly *r);

/* More room: REASSEMBLY_MANY ranges, the caller's to take back when it is through with r. */
void reassembly_expand(struct reassembly *r, struct seq_range *many);
static inline bool reassembly_is_expanded(const struct reassembly *r)
{
	return r->range != r->few;
}

/* Adds [start, end), start before end, merging what overlaps or touches.  0, or -ENOBUFS with
 * nothing changed when one more separate range does not fit. */
int reassembly_add(struct reassembly *r, uint32_t start, uint32_t end);

/* All before next has arrived in order: forgets that, and returns how far the stream is complete
 * now (next itself when there is still a gap). */
uint32_t reassembly_take(struct reassembly *r, uint32_t next);

/* Has all of [start, end) arrived? */
bool reassembly_covers(const struct reassembly *r, uint32_t start, uint32_t end);

/* The ranges by when they last grew, for RFC 2018's blocks: the latest is 0.  False: no more, or
 * none that is remembered. */
bool reassembly_recent(const struct reassembly *r, unsigned nth, uint32_t *start, uint32_t *end);

/* The peer said that its stream ends here. */
void reassembly_set_end(struct reassembly *r, uint32_t end);

static inline bool reassembly_is_empty(const struct reassembly *r)
{
	return r->count == 0 && !r->has_end;
}

#endif
