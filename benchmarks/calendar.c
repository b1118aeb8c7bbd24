/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What do appointments cost that are kept in microseconds?  The calendar alone,
 * from the few paced flows of a small server to a million.
 */
#include <rte_common.h>
#include <rte_malloc.h>

#include "bench.h"
#include "lib/calendar.h"
#include "lib/random.h"

#define MEGABYTES 256u
#define OPS       4096u /* of a round */
#define SPAN_US   10000u /* appointments are at most so far away */

struct entry {
	struct appointment appointment;
} __rte_aligned(RTE_CACHE_LINE_SIZE);

static struct calendar calendar;
static struct random rnd = {{1, 2, 3, 4}};
static struct entry *entries;
static uint32_t count;
static uint64_t now_us;
static uint32_t chosen[OPS];
static uint64_t fired;

static uint64_t some_time(void)
{
	return now_us + 1 + random_next(&rnd) % SPAN_US;
}

static void keep(void *context, struct appointment *a)
{
	(void)context;
	fired++;
	(void)calendar_set(&calendar, a, some_time(), keep);
}

static void choose(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < OPS; i++)
		chosen[i] = (uint32_t)(random_next(&rnd) % count);
}

static void move(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < OPS; i++)
		(void)calendar_set(&calendar, &entries[chosen[i]].appointment, some_time(), keep);
}

static void cancel_and_set(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < OPS; i++) {
		calendar_cancel(&calendar, &entries[chosen[i]].appointment);
		(void)calendar_set(&calendar, &entries[chosen[i]].appointment, some_time(), keep);
	}
}

/* Until as many were kept.  Those due in one microsecond are kept together, so it may be a hundredth
 * more. */
static void pass_time(void *arg)
{
	uint64_t before = fired;

	(void)arg;
	while (fired - before < OPS) {
		now_us = calendar_next_us(&calendar);
		(void)calendar_run(&calendar, now_us, NULL);
	}
}

static void report(const char *variant, const struct bench_work *work)
{
	bench_report(&(struct bench_figure){
		.benchmark = "calendar",
		.variant = variant,
		.cycles_per_op = bench_measure(work),
		.connections = count,
	});
}

static void measure(uint32_t appointments)
{
	count = appointments;
	entries = rte_zmalloc("calendar", count * sizeof(entries[0]), RTE_CACHE_LINE_SIZE);
	if (entries == NULL || calendar_init(&calendar, count, -1) != 0)
		bench_fail("no memory for %u appointments", count);
	for (uint32_t i = 0; i < count; i++)
		(void)calendar_set(&calendar, &entries[i].appointment, some_time(), keep);
	report("fire and set again", &(struct bench_work){NULL, pass_time, NULL, OPS});
	report("move", &(struct bench_work){choose, move, NULL, OPS});
	report("cancel and set", &(struct bench_work){choose, cancel_and_set, NULL, OPS});
	calendar_free(&calendar);
	rte_free(entries);
}

int main(int argc, char **argv)
{
	bench_begin(argc, argv, MEGABYTES);
	measure(64);
	measure(10000);
	measure(1000000);
	return bench_end();
}
