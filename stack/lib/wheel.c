/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/wheel.h"

#include <rte_branch_prediction.h>
#include <stddef.h>

#include "lib/assert.h"

void wheel_init(struct wheel *w, uint32_t now_ms, void *context)
{
	w->now_ms = now_ms;
	w->armed = 0;
	w->context = context;
	for (unsigned level = 0; level < WHEEL_LEVELS; level++)
		for (unsigned b = 0; b < WHEEL_BUCKETS; b++)
			LIST_INIT(&w->bucket[level][b]);
}

/* The bucket of an expiry in the future: as low a level as its distance allows. */
static struct timer_list *wheel_bucket(struct wheel *w, uint32_t expiry_ms)
{
	uint32_t distance = expiry_ms - w->now_ms;
	unsigned level = (unsigned)__builtin_clz(distance | 1) / WHEEL_BITS ^ (WHEEL_LEVELS - 1);

	_Static_assert(WHEEL_LEVELS * WHEEL_BITS == 32, "a level for every distance");
	return &w->bucket[level][expiry_ms >> (WHEEL_BITS * level) & (WHEEL_BUCKETS - 1)];
}

static inline void wheel_remove(struct wheel *w, struct timer *t)
{
	leat_assert(w->armed > 0);
	LIST_REMOVE(t, link);
	w->armed--;
}

void wheel_arm(struct wheel *w, struct timer *t, uint32_t expiry_ms, timer_fn fire)
{
	struct timer_list *bucket;

	if ((int32_t)(expiry_ms - w->now_ms) <= 0)
		expiry_ms = w->now_ms + 1;
	if (unlikely(t->armed))
		wheel_remove(w, t);
	bucket = wheel_bucket(w, expiry_ms);
	t->expiry_ms = expiry_ms;
	t->fire = fire;
	t->armed = true;
	w->armed++;
	LIST_INSERT_HEAD(bucket, t, link);
}

void wheel_cancel(struct wheel *w, struct timer *t)
{
	if (!t->armed)
		return;
	wheel_remove(w, t);
	t->armed = false;
}

/* Moves all entries of bucket to the empty list out. */
static void wheel_take(struct timer_list *bucket, struct timer_list *out)
{
	LIST_INIT(out);
	if (LIST_EMPTY(bucket))
		return;
	out->lh_first = bucket->lh_first;
	out->lh_first->link.le_prev = &out->lh_first;
	LIST_INIT(bucket);
}

/* Moves the entries of the bucket that begins now at this level to where they belong now. */
static void wheel_cascade(struct wheel *w, unsigned level)
{
	struct timer_list moving;
	struct timer *t;

	wheel_take(&w->bucket[level][w->now_ms >> (WHEEL_BITS * level) & (WHEEL_BUCKETS - 1)],
		   &moving);
	while ((t = LIST_FIRST(&moving)) != NULL) {
		struct timer_list *bucket = wheel_bucket(w, t->expiry_ms);

		LIST_REMOVE(t, link);
		LIST_INSERT_HEAD(bucket, t, link);
	}
}

static unsigned wheel_tick(struct wheel *w)
{
	struct timer_list due;
	struct timer *t;
	unsigned fired = 0;

	w->now_ms++;
	for (unsigned level = 1; level < WHEEL_LEVELS; level++) {
		if ((w->now_ms & ((1u << (WHEEL_BITS * level)) - 1)) != 0)
			break;
		wheel_cascade(w, level);
	}
	/* Off the bucket first: what fires may arm and cancel as it likes. */
	wheel_take(&w->bucket[0][w->now_ms & (WHEEL_BUCKETS - 1)], &due);
	while ((t = LIST_FIRST(&due)) != NULL) {
		LIST_REMOVE(t, link);
		t->armed = false;
		w->armed--;
		fired++;
		t->fire(w->context, t);
	}
	return fired;
}

unsigned wheel_run(struct wheel *w, uint32_t now_ms)
{
	unsigned fired = 0;

	while (w->now_ms != now_ms && w->armed > 0)
		fired += wheel_tick(w);
	w->now_ms = now_ms;
	return fired;
}

uint32_t wheel_next(const struct wheel *w, uint32_t limit_ms)
{
	if (w->armed == 0)
		return limit_ms;
	for (uint32_t ms = 1; ms < limit_ms; ms++) {
		uint32_t at = w->now_ms + ms;

		/* At the turn of a level something may come down. */
		if ((at & (WHEEL_BUCKETS - 1)) == 0 ||
		    !LIST_EMPTY(&w->bucket[0][at & (WHEEL_BUCKETS - 1)]))
			return ms;
	}
	return limit_ms;
}
