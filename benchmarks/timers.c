/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What do timers cost when there are a million?  The wheel alone: every timer
 * lies in two cache lines of its own, as in a sock, and they are touched in an
 * order without any pattern.  When one fires it is armed again, so there are
 * always as many.
 */
#include <rte_common.h>
#include <rte_malloc.h>
#include <string.h>

#include "bench.h"
#include "lib/random.h"
#include "lib/wheel.h"

#define MEGABYTES 512u
#define TIMERS    (1u << 20)
#define PERIOD_MS (1u << 16) /* as many expire in each millisecond of it */
#define OPS       (1u << 14) /* of a round; not armed but by it */
#define LATER_MS  200u
#define ROUND_MS  256u /* in which timers fire */
#define FIRED     (TIMERS / PERIOD_MS * ROUND_MS)

struct entry {
	struct timer timer;
} __rte_aligned(2 * RTE_CACHE_LINE_SIZE);

static struct wheel wheel;
static struct random rnd = {{1, 2, 3, 4}};
static struct entry *standing; /* [TIMERS] */
static struct entry *batch; /* [OPS] */
static struct timer *chosen[OPS];

static void fire(void *context, struct timer *t)
{
	wheel_arm(context, t, t->expiry_ms + PERIOD_MS, fire);
}

static uint32_t some_time(void)
{
	return wheel.now_ms + 1 + (uint32_t)(random_next(&rnd) % PERIOD_MS);
}

static void arm_batch(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < OPS; i++)
		wheel_arm(&wheel, chosen[i], some_time(), fire);
}

static void cancel_batch(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < OPS; i++)
		wheel_cancel(&wheel, chosen[i]);
}

/* Those of the batch, as they were made. */
static void choose_batch(void)
{
	for (uint32_t i = 0; i < OPS; i++)
		chosen[i] = &batch[i].timer;
}

static void choose_any(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < OPS; i++)
		chosen[i] = &standing[random_next(&rnd) % TIMERS].timer;
}

static void push_later(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < OPS; i++)
		wheel_arm(&wheel, chosen[i], chosen[i]->expiry_ms + LATER_MS, fire);
}

/* Back, or they would no longer be spread evenly. */
static void push_back(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < OPS; i++)
		wheel_arm(&wheel, chosen[i], chosen[i]->expiry_ms - LATER_MS, fire);
	choose_any(NULL);
}

static void pass_time(void *arg)
{
	unsigned fired = 0;

	(void)arg;
	for (uint32_t i = 0; i < ROUND_MS; i++)
		fired += wheel_run(&wheel, wheel.now_ms + 1);
	if (fired != FIRED)
		bench_fail("%u timers fired instead of %u", fired, FIRED);
}

static void report(const char *variant, const struct bench_work *work)
{
	bench_report(&(struct bench_figure){
		.benchmark = "timers",
		.variant = variant,
		.cycles_per_op = bench_measure(work),
		.connections = TIMERS,
	});
}

static struct entry *make_entries(uint32_t count)
{
	struct entry *e = rte_zmalloc("timers", count * sizeof(*e), RTE_CACHE_LINE_SIZE);

	if (e == NULL)
		bench_fail("no memory for %u timers", count);
	return e;
}

/* Timer number i expires in a millisecond that has nothing to do with where it lies. */
static void arm_standing(void)
{
	const uint32_t odd = 0x9e3779b1;

	for (uint32_t i = 0; i < TIMERS; i++)
		wheel_arm(&wheel, &standing[i].timer, 1 + (i * odd) % PERIOD_MS, fire);
}

int main(int argc, char **argv)
{
	bench_begin(argc, argv, MEGABYTES);
	standing = make_entries(TIMERS);
	batch = make_entries(OPS);
	wheel_init(&wheel, 0, &wheel);
	arm_standing();
	report("fire and set again", &(struct bench_work){NULL, pass_time, NULL, FIRED});
	choose_batch();
	report("set", &(struct bench_work){cancel_batch, arm_batch, NULL, OPS});
	report("cancel", &(struct bench_work){arm_batch, cancel_batch, NULL, OPS});
	choose_any(NULL);
	push_later(NULL);
	report("push later", &(struct bench_work){push_back, push_later, NULL, OPS});
	return bench_end();
}
