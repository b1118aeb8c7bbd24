/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hierarchical timer wheel: 1 ms ticks, four levels of 256 buckets, which
 * spans 2^32 ms.  Arming, cancelling and firing are O(1); an entry far away
 * moves down at most three times.  An entry is embedded in what it times and
 * is owned by it: cancel it before freeing that.
 */
#ifndef LEAT_LIB_WHEEL_H
#define LEAT_LIB_WHEEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct timer;
/* context is what wheel_init was given: the worker. */
typedef void (*timer_fn)(void *context, struct timer *timer);

struct timer {
	LIST_ENTRY(timer) link;
	timer_fn fire; /* NULL: never armed */
	uint32_t expiry_ms; /* of the wheel's time; wraps */
	bool armed;
};

LIST_HEAD(timer_list, timer);

#define WHEEL_LEVELS  4
#define WHEEL_BITS    8
#define WHEEL_BUCKETS (1u << WHEEL_BITS)

struct wheel {
	uint32_t now_ms;
	uint32_t armed; /* number of entries, for tests and for the sleep decision */
	void *context;
	struct timer_list bucket[WHEEL_LEVELS][WHEEL_BUCKETS];
};

void wheel_init(struct wheel *w, uint32_t now_ms, void *context);

/* Arms or re-arms: fires in the first wheel_run whose time is at or past expiry_ms (at the
 * earliest in the next tick, so that a timer re-arming itself for now does not spin). */
void wheel_arm(struct wheel *w, struct timer *t, uint32_t expiry_ms, timer_fn fire);

/* No effect when not armed. */
void wheel_cancel(struct wheel *w, struct timer *t);

/* Fires what is due up to now_ms; returns how many fired.  A timer may arm, cancel and free any
 * timer, itself included, while it fires. */
unsigned wheel_run(struct wheel *w, uint32_t now_ms);

/* Milliseconds from now until something may be due, at most limit_ms.  It may be early
 * (an entry that only moves down a level), never late. */
uint32_t wheel_next(const struct wheel *w, uint32_t limit_ms);

#endif
