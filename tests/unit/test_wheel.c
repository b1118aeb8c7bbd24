/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/wheel.h"

#include <rte_common.h>
#include <stdlib.h>

#include "support/test.h"

/* A timer that remembers when it fired and may do something then. */
struct probe {
	struct timer timer;
	uint32_t fired_ms;
	unsigned fired;
	void (*action)(struct wheel *w, struct probe *p);
	struct probe *other;
};

static struct wheel wheel;

static void probe_fire(void *context, struct timer *t)
{
	struct probe *p = container_of(t, struct probe, timer);

	CHECK(context == &wheel);
	CHECK(!t->armed);
	p->fired++;
	p->fired_ms = wheel.now_ms;
	if (p->action != NULL)
		p->action(&wheel, p);
}

static void arm(struct probe *p, uint32_t expiry_ms)
{
	wheel_arm(&wheel, &p->timer, expiry_ms, probe_fire);
}

/* Runs in steps until now_ms, never further than wheel_next allows. */
static void run_until(uint32_t now_ms)
{
	while (wheel.now_ms != now_ms)
		wheel_run(&wheel, wheel.now_ms + wheel_next(&wheel, now_ms - wheel.now_ms));
}

/* Arms one timer distance_ms after start_ms, and sees it fire at that very millisecond. */
static void check_fires_exactly(uint32_t start_ms, uint32_t distance_ms)
{
	struct probe p = {.fired = 0};

	wheel_init(&wheel, start_ms, &wheel);
	arm(&p, start_ms + distance_ms);
	CHECK_EQ(wheel.armed, 1);
	run_until(start_ms + distance_ms - 1);
	CHECK_EQ(p.fired, 0);
	run_until(start_ms + distance_ms);
	CHECK_EQ(p.fired, 1);
	CHECK_EQ(p.fired_ms, start_ms + distance_ms);
	CHECK_EQ(wheel.armed, 0);
}

static const uint32_t distances[] = {2,     3,     255,   256,   257,    511,   512,
				     65535, 65536, 65537, 70000, 131071, 131072};

static const uint32_t starts[] = {0,          1,          255,        256,        65535, 65536,
				  0x7fffffff, 0x80000000, 0xffffff00, 0xffffffff, 12345};

static void fires_at_its_millisecond_at_every_level_border(void)
{
	for (size_t s = 0; s < RTE_DIM(starts); s++)
		for (size_t d = 0; d < RTE_DIM(distances); d++)
			check_fires_exactly(starts[s], distances[d]);
}

static void fires_after_the_clock_wraps(void)
{
	check_fires_exactly(0xffffffff - 10, 20);
	check_fires_exactly(0xffffffff - 300, 70000);
}

static void far_expiry_fires_in_time(void)
{
	check_fires_exactly(0xff000000, 1u << 24);
	check_fires_exactly(77, (1u << 24) + 12345);
}

static void a_late_run_fires_all_that_was_due(void)
{
	struct probe p[3] = {{.fired = 0}};

	wheel_init(&wheel, 1000, &wheel);
	arm(&p[0], 1010);
	arm(&p[1], 1500);
	arm(&p[2], 9000);
	CHECK_EQ(wheel_run(&wheel, 8999), 2);
	CHECK_EQ(p[0].fired_ms, 1010);
	CHECK_EQ(p[1].fired_ms, 1500);
	CHECK_EQ(p[2].fired, 0);
	CHECK_EQ(wheel.now_ms, 8999);
	CHECK_EQ(wheel_run(&wheel, 9000), 1);
}

static void expiry_in_the_past_fires_in_the_next_tick(void)
{
	struct probe now = {.fired = 0}, past = {.fired = 0};

	wheel_init(&wheel, 5, &wheel);
	arm(&now, 5);
	arm(&past, 0xfffffff0);
	CHECK_EQ(wheel_run(&wheel, 5), 0);
	CHECK_EQ(wheel_run(&wheel, 6), 2);
	CHECK_EQ(now.fired_ms, 6);
	CHECK_EQ(past.fired_ms, 6);
}

static void arming_again_moves_the_expiry(void)
{
	struct probe p = {.fired = 0};

	wheel_init(&wheel, 0, &wheel);
	arm(&p, 10);
	arm(&p, 70000);
	CHECK_EQ(wheel.armed, 1);
	run_until(69999);
	CHECK_EQ(p.fired, 0);
	arm(&p, 70010);
	arm(&p, 70002);
	run_until(70002);
	CHECK_EQ(p.fired, 1);
	run_until(80000);
	CHECK_EQ(p.fired, 1);
}

static void cancelled_timer_does_not_fire(void)
{
	struct probe p = {.fired = 0};

	wheel_init(&wheel, 0, &wheel);
	wheel_cancel(&wheel, &p.timer); /* never armed: no effect */
	CHECK_EQ(wheel.armed, 0);
	arm(&p, 300);
	wheel_cancel(&wheel, &p.timer);
	wheel_cancel(&wheel, &p.timer);
	CHECK_EQ(wheel.armed, 0);
	run_until(1000);
	CHECK_EQ(p.fired, 0);
}

static void cancel_other(struct wheel *w, struct probe *p)
{
	wheel_cancel(w, &p->other->timer);
}

static void a_callback_may_cancel_another_due_in_the_same_tick(void)
{
	struct probe a = {.action = cancel_other}, b = {.action = cancel_other};

	a.other = &b;
	b.other = &a;
	wheel_init(&wheel, 0, &wheel);
	arm(&a, 10);
	arm(&b, 10);
	CHECK_EQ(wheel_run(&wheel, 20), 1); /* whichever came first cancelled the other */
	CHECK_EQ(a.fired + b.fired, 1);
	CHECK_EQ(wheel.armed, 0);
}

static void rearm_for_now(struct wheel *w, struct probe *p)
{
	wheel_arm(w, &p->timer, w->now_ms, probe_fire);
}

static void a_callback_rearming_itself_for_now_fires_once_a_tick(void)
{
	struct probe p = {.action = rearm_for_now};

	wheel_init(&wheel, 0, &wheel);
	arm(&p, 1);
	CHECK_EQ(wheel_run(&wheel, 10), 10);
	CHECK_EQ(p.fired, 10);
	wheel_cancel(&wheel, &p.timer);
}

static void free_other(struct wheel *w, struct probe *p)
{
	if (p->other == NULL)
		return;
	wheel_cancel(w, &p->other->timer);
	free(p->other);
	p->other = NULL;
}

static void a_callback_may_free_another_timer(void)
{
	struct probe p = {.action = free_other};

	p.other = calloc(1, sizeof(*p.other));
	REQUIRE(p.other != NULL);
	wheel_init(&wheel, 0, &wheel);
	arm(p.other, 10);
	arm(&p, 10); /* in front of it */
	wheel_run(&wheel, 20);
	CHECK_EQ(p.fired, 1);
	CHECK_EQ(wheel.armed, 0);
	free(p.other);
}

static void rearm_far(struct wheel *w, struct probe *p)
{
	p->action = NULL;
	wheel_arm(w, &p->timer, w->now_ms + 256, probe_fire);
}

static void rearming_one_turn_later_does_not_fire_twice(void)
{
	struct probe p = {.action = rearm_far};

	wheel_init(&wheel, 0, &wheel);
	arm(&p, 10); /* fires from bucket 10 and arms for 266, the same bucket one turn later */
	wheel_run(&wheel, 265);
	CHECK_EQ(p.fired, 1);
	wheel_run(&wheel, 266);
	CHECK_EQ(p.fired, 2);
}

static void next_is_never_late_and_makes_progress(void)
{
	struct probe p = {.fired = 0};

	for (size_t s = 0; s < RTE_DIM(starts); s++) {
		for (uint32_t distance = 1; distance < 1000; distance++) {
			wheel_init(&wheel, starts[s], &wheel);
			arm(&p, starts[s] + distance);
			CHECK_RANGE(wheel_next(&wheel, 1u << 20), 1, distance);
			CHECK_EQ(wheel_next(&wheel, 1), 1);
			wheel_cancel(&wheel, &p.timer);
		}
	}
}

static void next_is_the_limit_when_nothing_is_armed(void)
{
	wheel_init(&wheel, 42, &wheel);
	CHECK_EQ(wheel_next(&wheel, 5000), 5000);
	CHECK_EQ(wheel_next(&wheel, 0), 0);
	wheel_run(&wheel, 1u << 30); /* an empty wheel jumps */
	CHECK_EQ(wheel.now_ms, 1u << 30);
}

#define CROWD 2000

static void many_timers_fire_each_at_its_time(void)
{
	static struct probe crowd[CROWD];
	uint64_t state = 1;

	wheel_init(&wheel, 0xfffff000, &wheel);
	for (int i = 0; i < CROWD; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		crowd[i] = (struct probe){.fired = 0};
		arm(&crowd[i], 0xfffff000 + 1 + (uint32_t)(state >> 33) % 200000);
	}
	run_until(0xfffff000 + 200000);
	for (int i = 0; i < CROWD; i++) {
		CHECK_EQ(crowd[i].fired, 1);
		CHECK_EQ(crowd[i].fired_ms, crowd[i].timer.expiry_ms);
	}
	CHECK_EQ(wheel.armed, 0);
}

TEST_SUITE(wheel)
{
	TEST(fires_at_its_millisecond_at_every_level_border);
	TEST(fires_after_the_clock_wraps);
	TEST(far_expiry_fires_in_time);
	TEST(a_late_run_fires_all_that_was_due);
	TEST(expiry_in_the_past_fires_in_the_next_tick);
	TEST(arming_again_moves_the_expiry);
	TEST(cancelled_timer_does_not_fire);
	TEST(a_callback_may_cancel_another_due_in_the_same_tick);
	TEST(a_callback_rearming_itself_for_now_fires_once_a_tick);
	TEST(a_callback_may_free_another_timer);
	TEST(rearming_one_turn_later_does_not_fire_twice);
	TEST(next_is_never_late_and_makes_progress);
	TEST(next_is_the_limit_when_nothing_is_armed);
	TEST(many_timers_fire_each_at_its_time);
}
