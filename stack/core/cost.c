/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/cost.h"

#define CALIBRATIONS 32

static uint64_t cost_now(const struct worker *w)
{
	return w->env.cycles(w->env.arg);
}

/* The shortest of some: the others were interrupted, or found a cold cache. */
static uint64_t cost_of_reading(const struct worker *w)
{
	uint64_t shortest = UINT64_MAX;

	for (int i = 0; i < CALIBRATIONS; i++) {
		uint64_t before = cost_now(w);
		uint64_t taken = cost_now(w) - before;

		shortest = RTE_MIN(shortest, taken);
	}
	return shortest;
}

void cost_init(struct worker *w)
{
	if (w->env.cycles == NULL)
		return;
	w->cost.reading = cost_of_reading(w);
	w->cost.sample_in = COST_PERIOD;
	w->cost.created = cost_now(w);
}

/* Between 1 and twice the period, so that it is the period on average (and a half, as nobody scales
 * by it). */
void cost_sample(struct worker *w)
{
	w->cost.sample_in = 1 + (uint32_t)(random_next(&w->random) & (2 * COST_PERIOD - 1));
	w->cost.sampled = true;
	w->cost.stamp = cost_now(w);
}

unsigned cost_add(struct worker *w, enum counter stage, unsigned work)
{
	uint64_t now = cost_now(w);
	uint64_t taken = now - w->cost.stamp;

	w->cost.stamp = now;
	if (taken > w->cost.reading)
		w->counter[work != 0 ? stage : CNT_cycles_idle] += taken - w->cost.reading;
	return work;
}

/* ---- asleep -------------------------------------------------------------- */

void cost_fall_asleep(struct worker *w)
{
	if (w->env.cycles != NULL)
		__atomic_store_n(&w->cost.asleep_since, cost_now(w), __ATOMIC_RELAXED);
}

void cost_wake_up(struct worker *w)
{
	if (w->env.cycles == NULL)
		return;
	w->counter[CNT_cycles_asleep] += cost_now(w) - w->cost.asleep_since;
	__atomic_store_n(&w->cost.asleep_since, 0, __ATOMIC_RELAXED);
}

uint64_t cost_elapsed(const struct worker *w)
{
	return w->env.cycles != NULL ? cost_now(w) - w->cost.created : 0;
}

/* The two are not read as one: an answer may miss a sleep that ends just now; the next has it. */
uint64_t cost_asleep(const struct worker *w)
{
	uint64_t since = __atomic_load_n(&w->cost.asleep_since, __ATOMIC_RELAXED);
	uint64_t before = __atomic_load_n(&w->counter[CNT_cycles_asleep], __ATOMIC_RELAXED);

	return since != 0 ? before + cost_now(w) - since : before;
}
