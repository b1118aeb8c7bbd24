/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/calendar.h"

#include "lib/random.h"
#include "support/test.h"

#define MANY 500

static struct calendar calendar;
static struct appointment kept[MANY];
static uint64_t last_us; /* of what fired */
static struct random dice;

static void begin(uint32_t capacity)
{
	memset(kept, 0, sizeof(kept));
	last_us = 0;
	dice = (struct random){{1, 2, 3, 4}};
	REQUIRE_EQ(calendar_init(&calendar, capacity, -1), 0);
}

static void end(void)
{
	CHECK_EQ(calendar.count, 0);
	calendar_free(&calendar);
}

static uint32_t throw(uint32_t sides)
{
	return (uint32_t)(random_next(&dice) % sides);
}

static void fire(void *context, struct appointment *a)
{
	(void)context;
	CHECK_EQ(a->place, 0);
	CHECK(a->due_us >= last_us);
	last_us = a->due_us;
}

static bool set(struct appointment *a, uint64_t due_us)
{
	return calendar_set(&calendar, a, due_us, fire);
}

static void nothing_fires_before_its_time(void)
{
	begin(MANY);
	CHECK_EQ(calendar_next_us(&calendar), CALENDAR_NEVER);
	CHECK(set(&kept[0], 100));
	CHECK_EQ(calendar_next_us(&calendar), 100);
	CHECK_EQ(calendar_run(&calendar, 99, NULL), 0);
	CHECK_EQ(calendar_run(&calendar, 100, NULL), 1);
	CHECK_EQ(last_us, 100);
	end();
}

static void they_fire_in_the_order_of_time(void)
{
	begin(MANY);
	for (int i = 0; i < MANY; i++)
		CHECK(set(&kept[i], throw(1000)));
	CHECK_EQ(calendar_run(&calendar, 1000, NULL), MANY);
	end();
}

static void appointments_are_moved_and_cancelled(void)
{
	uint32_t left = 0;

	begin(MANY);
	for (int i = 0; i < 20 * MANY; i++) {
		struct appointment *a = &kept[throw(MANY)];

		if (throw(3) == 0)
			calendar_cancel(&calendar, a);
		else
			CHECK(set(a, throw(1000)));
	}
	for (int i = 0; i < MANY; i++)
		left += kept[i].place != 0;
	CHECK_EQ(calendar.count, left);
	CHECK_EQ(calendar_run(&calendar, 1000, NULL), left);
	end();
}

static void a_full_calendar_is_an_ordinary_result(void)
{
	begin(2);
	CHECK(set(&kept[0], 1));
	CHECK(set(&kept[1], 2));
	CHECK(!set(&kept[2], 3));
	CHECK_EQ(kept[2].place, 0);
	CHECK(set(&kept[0], 5)); /* moved, not added */
	calendar_cancel(&calendar, &kept[0]);
	calendar_cancel(&calendar, &kept[1]);
	calendar_cancel(&calendar, &kept[1]);
	end();
}

static void again(void *context, struct appointment *a)
{
	(void)context;
	if (a->due_us < 10)
		CHECK(calendar_set(&calendar, a, a->due_us + 1, again));
}

static void what_fires_may_make_an_appointment(void)
{
	begin(2);
	CHECK(calendar_set(&calendar, &kept[0], 1, again));
	for (uint64_t us = 1; us <= 10; us++)
		CHECK_EQ(calendar_run(&calendar, us, NULL), 1);
	end();
}

TEST_SUITE(calendar)
{
	TEST(nothing_fires_before_its_time);
	TEST(they_fire_in_the_order_of_time);
	TEST(appointments_are_moved_and_cancelled);
	TEST(a_full_calendar_is_an_ordinary_result);
	TEST(what_fires_may_make_an_appointment);
}
