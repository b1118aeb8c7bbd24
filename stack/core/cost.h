/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the stages of an iteration cost, in cycles of the environment's counter.
 *
 * Reading that counter after each stage takes some 400 cycles, as much as a
 * short iteration itself, so one iteration in COST_PERIOD is measured, drawn at
 * random: a fixed step would meet the same phase of a periodic load again and
 * again.
 * What is measured adds up to all the cycles of those iterations, idle ones
 * too, so a stage's share of the sum is its share of the time awake, and
 * whoever shows it scales by that.  A stage that looked for work in vain was
 * idle.
 */
#ifndef LEAT_CORE_COST_H
#define LEAT_CORE_COST_H

#include "core/worker.h"

#define COST_PERIOD 64 /* a power of two */

/* At creation: what reading the counter takes, and where it stands. */
void cost_init(struct worker *w);

/* From now on this iteration is measured, and the next one to be is drawn. */
void cost_sample(struct worker *w);

/* An iteration begins.  Those that are not measured pay for this count and for one look at
 * sampled after each stage. */
static inline void cost_begin(struct worker *w)
{
	if (unlikely(w->env.cycles != NULL && --w->cost.sample_in == 0))
		cost_sample(w);
}

/* A stage ended; stage is its counter, work what it found, which is returned. */
unsigned cost_add(struct worker *w, enum counter stage, unsigned work);

static inline unsigned cost_charge(struct worker *w, enum counter stage, unsigned work)
{
	return likely(!w->cost.sampled) ? work : cost_add(w, stage, work);
}

/* An iteration ended. */
static inline void cost_end(struct worker *w)
{
	w->cost.sampled = false;
}

/* Around the sleep itself, which is not sampled: it is seldom, and long. */
void cost_fall_asleep(struct worker *w);
void cost_wake_up(struct worker *w);

/* From any thread: cycles since the worker was created, and how many of them it was asleep, the
 * sleep it is in included.  0 without a counter. */
uint64_t cost_elapsed(const struct worker *w);
uint64_t cost_asleep(const struct worker *w);

#endif
