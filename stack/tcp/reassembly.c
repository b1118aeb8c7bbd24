/* SPDX-License-Identifier: BSD-3-Clause */
#include "tcp/reassembly.h"

#include <errno.h>
#include <string.h>

#include "lib/assert.h"
#include "lib/seq.h"

void reassembly_init(struct reassembly *r)
{
	r->has_end = false;
	r->count = 0;
	r->recent_count = 0;
	r->capacity = REASSEMBLY_RANGES;
	r->range = r->few;
}

void reassembly_expand(struct reassembly *r, struct seq_range *many)
{
	memcpy(many, r->range, r->count * sizeof(many[0]));
	r->range = many;
	r->capacity = REASSEMBLY_MANY;
}

/* The first range that ends at or after seq. */
static unsigned range_from(const struct reassembly *r, uint32_t seq)
{
	unsigned low = 0, high = r->count;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (seq_lt(r->range[middle].end, seq))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Replaces the ranges [first, last) by one, which may be no range yet (first == last). */
static void reassembly_replace(struct reassembly *r, unsigned first, unsigned last, uint32_t start,
			       uint32_t end)
{
	memmove(&r->range[first + 1], &r->range[last], (r->count - last) * sizeof(r->range[0]));
	r->count = (uint16_t)(r->count + 1 - (last - first));
	r->range[first].start = start;
	r->range[first].end = end;
}

/* No range begins in [start, end) any more. */
static void forget_recent(struct reassembly *r, uint32_t start, uint32_t end)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < r->recent_count; i++)
		if (!seq_in_window(r->recent[i], start, end - start))
			r->recent[kept++] = r->recent[i];
	r->recent_count = (uint8_t)kept;
}

/* The range that begins at start is the latest that grew. */
static void note_recent(struct reassembly *r, uint32_t start)
{
	if (r->recent_count < REASSEMBLY_RECENT)
		r->recent_count++;
	memmove(&r->recent[1], &r->recent[0], (r->recent_count - 1u) * sizeof(r->recent[0]));
	r->recent[0] = start;
}

int reassembly_add(struct reassembly *r, uint32_t start, uint32_t end)
{
	unsigned first = range_from(r, start);
	unsigned last = first;

	leat_assert(seq_lt(start, end));
	while (last < r->count && seq_le(r->range[last].start, end))
		last++;
	/* Ranges first .. last - 1 overlap or touch the new one. */
	if (first == last) {
		if (r->count == r->capacity)
			return -ENOBUFS;
	} else {
		start = seq_min(start, r->range[first].start);
		end = seq_max(end, r->range[last - 1].end);
	}
	reassembly_replace(r, first, last, start, end);
	forget_recent(r, start, end);
	note_recent(r, start);
	return 0;
}

bool reassembly_covers(const struct reassembly *r, uint32_t start, uint32_t end)
{
	unsigned i = range_from(r, end);

	return i < r->count && seq_le(r->range[i].start, start);
}

/* The range that begins at start; -1: none. */
static int range_at(const struct reassembly *r, uint32_t start)
{
	unsigned i = range_from(r, start + 1);

	return i < r->count && r->range[i].start == start ? (int)i : -1;
}

bool reassembly_recent(const struct reassembly *r, unsigned nth, uint32_t *start, uint32_t *end)
{
	for (unsigned i = 0; i < r->recent_count; i++) {
		int at = range_at(r, r->recent[i]);

		if (at < 0 || nth-- > 0)
			continue;
		*start = r->range[at].start;
		*end = r->range[at].end;
		return true;
	}
	return false;
}

uint32_t reassembly_take(struct reassembly *r, uint32_t next)
{
	unsigned taken = 0;

	while (taken < r->count && seq_le(r->range[taken].start, next)) {
		next = seq_max(next, r->range[taken].end);
		forget_recent(r, r->range[taken].start, next);
		taken++;
	}
	r->count = (uint16_t)(r->count - taken);
	memmove(&r->range[0], &r->range[taken], r->count * sizeof(r->range[0]));
	return next;
}

void reassembly_set_end(struct reassembly *r, uint32_t end)
{
	r->stream_end = end;
	r->has_end = true;
}
