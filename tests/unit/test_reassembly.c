/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "lib/random.h"
#include "support/test.h"
#include "tcp/reassembly.h"

static struct reassembly r;

static void check_range(unsigned i, uint32_t start, uint32_t end)
{
	CHECK_EQ(r.range[i].start, start);
	CHECK_EQ(r.range[i].end, end);
}

static void separate_ranges_are_kept_sorted(void)
{
	reassembly_init(&r);
	CHECK(reassembly_is_empty(&r));
	CHECK_EQ(reassembly_add(&r, 300, 400), 0);
	CHECK_EQ(reassembly_add(&r, 100, 200), 0);
	CHECK_EQ(reassembly_add(&r, 500, 600), 0);
	CHECK_EQ(r.count, 3);
	check_range(0, 100, 200);
	check_range(1, 300, 400);
	check_range(2, 500, 600);
}

static void touching_ranges_become_one(void)
{
	reassembly_init(&r);
	reassembly_add(&r, 100, 200);
	reassembly_add(&r, 300, 400);
	reassembly_add(&r, 200, 300);
	CHECK_EQ(r.count, 1);
	check_range(0, 100, 400);
}

static void overlaps_extend_on_either_side(void)
{
	reassembly_init(&r);
	reassembly_add(&r, 100, 200);
	reassembly_add(&r, 50, 150);
	reassembly_add(&r, 180, 220);
	CHECK_EQ(r.count, 1);
	check_range(0, 50, 220);
	reassembly_add(&r, 60, 70); /* inside */
	CHECK_EQ(r.count, 1);
	check_range(0, 50, 220);
}

static void one_range_may_swallow_many(void)
{
	reassembly_init(&r);
	for (uint32_t i = 0; i < 10; i++)
		reassembly_add(&r, 100 + 20 * i, 110 + 20 * i);
	CHECK_EQ(r.count, 10);
	reassembly_add(&r, 115, 265); /* into the last but one, from behind the first */
	CHECK_EQ(r.count, 3);
	check_range(0, 100, 110);
	check_range(1, 115, 270);
	check_range(2, 280, 290);
}

static void take_stops_at_the_first_gap(void)
{
	reassembly_init(&r);
	reassembly_add(&r, 100, 200);
	reassembly_add(&r, 300, 400);
	CHECK_EQ(reassembly_take(&r, 50), 50);
	CHECK_EQ(r.count, 2);
	CHECK_EQ(reassembly_take(&r, 100), 200);
	CHECK_EQ(r.count, 1);
	CHECK_EQ(reassembly_take(&r, 350), 400); /* what arrived overlaps the range */
	CHECK(reassembly_is_empty(&r));
}

static void take_forgets_what_lies_behind(void)
{
	reassembly_init(&r);
	reassembly_add(&r, 100, 200);
	CHECK_EQ(reassembly_take(&r, 250), 250);
	CHECK(reassembly_is_empty(&r));
}

static void sequence_numbers_wrap(void)
{
	reassembly_init(&r);
	reassembly_add(&r, 0x10, 0x20);
	reassembly_add(&r, 0xfffffff0, 0xfffffff8);
	CHECK_EQ(r.count, 2);
	check_range(0, 0xfffffff0, 0xfffffff8);
	reassembly_add(&r, 0xfffffff8, 0x10);
	CHECK_EQ(r.count, 1);
	check_range(0, 0xfffffff0, 0x20);
	CHECK_EQ(reassembly_take(&r, 0xfffffff0), 0x20);
}

static void full_set_refuses_a_new_range_but_still_merges(void)
{
	struct reassembly before;

	reassembly_init(&r);
	for (uint32_t i = 0; i < REASSEMBLY_RANGES; i++)
		CHECK_EQ(reassembly_add(&r, 100 * i, 100 * i + 50), 0);
	before = r;
	CHECK_EQ(reassembly_add(&r, 100 * REASSEMBLY_RANGES, 100 * REASSEMBLY_RANGES + 50),
		 -ENOBUFS);
	CHECK_EQ(reassembly_add(&r, 60, 70), -ENOBUFS);
	CHECK_MEM(&r, &before, sizeof(r));
	CHECK_EQ(reassembly_add(&r, 50, 100), 0);
	CHECK_EQ(r.count, REASSEMBLY_RANGES - 1);
	check_range(0, 0, 150);
}

static void end_of_stream_is_remembered(void)
{
	reassembly_init(&r);
	reassembly_set_end(&r, 500);
	CHECK(!reassembly_is_empty(&r));
	CHECK(r.has_end);
	CHECK_EQ(r.stream_end, 500);
}

static void check_recent(unsigned nth, uint32_t start, uint32_t end)
{
	uint32_t at, to;

	REQUIRE(reassembly_recent(&r, nth, &at, &to));
	CHECK_EQ(at, start);
	CHECK_EQ(to, end);
}

static bool has_recent(unsigned nth)
{
	uint32_t start, end;

	return reassembly_recent(&r, nth, &start, &end);
}

/* RFC 2018 section 4: the block of the segment that came last is the first. */
static void the_range_that_grew_last_comes_first(void)
{
	reassembly_init(&r);
	CHECK(!has_recent(0));
	reassembly_add(&r, 100, 200);
	reassembly_add(&r, 500, 600);
	reassembly_add(&r, 300, 400);
	check_recent(0, 300, 400);
	check_recent(1, 500, 600);
	check_recent(2, 100, 200);
	CHECK(!has_recent(3));
	reassembly_add(&r, 600, 700);
	check_recent(0, 500, 700);
	check_recent(1, 300, 400);
	reassembly_add(&r, 100, 150); /* nothing new, and yet what came last */
	check_recent(0, 100, 200);
}

/* As many blocks as there are and fit: what is merged or taken keeps no place. */
static void ranges_that_are_no_more_are_forgotten(void)
{
	reassembly_init(&r);
	for (uint32_t i = 0; i < 4; i++)
		reassembly_add(&r, 1000 * i + 500, 1000 * i + 600);
	reassembly_add(&r, 3400, 3500); /* downward, three times */
	reassembly_add(&r, 3300, 3400);
	reassembly_add(&r, 3200, 3300);
	check_recent(0, 3200, 3600);
	check_recent(1, 2500, 2600);
	check_recent(2, 1500, 1600);
	check_recent(3, 500, 600);
	CHECK_EQ(reassembly_take(&r, 500), 600);
	CHECK(!has_recent(3));
	reassembly_add(&r, 5000, 5100);
	check_recent(0, 5000, 5100);
	check_recent(3, 1500, 1600);
	reassembly_add(&r, 1000, 4000);
	check_recent(0, 1000, 4000);
	check_recent(1, 5000, 5100);
	CHECK(!has_recent(2));
}

static void more_ranges_than_are_remembered_push_out_the_oldest(void)
{
	reassembly_init(&r);
	for (uint32_t i = 0; i < 6; i++)
		reassembly_add(&r, 1000 * i, 1000 * i + 100);
	check_recent(0, 5000, 5100);
	check_recent(3, 2000, 2100);
	CHECK(!has_recent(4));
}

static void covers_asks_for_all_of_it(void)
{
	reassembly_init(&r);
	reassembly_add(&r, 0xfffffff0, 0x10);
	reassembly_add(&r, 0x20, 0x30);
	CHECK(reassembly_covers(&r, 0xfffffff0, 0x10));
	CHECK(reassembly_covers(&r, 0, 1));
	CHECK(reassembly_covers(&r, 0x20, 0x30));
	CHECK(!reassembly_covers(&r, 0xffffffef, 0));
	CHECK(!reassembly_covers(&r, 0, 0x11));
	CHECK(!reassembly_covers(&r, 0, 0x30)); /* a hole in it */
	CHECK(!reassembly_covers(&r, 0x40, 0x41));
}

/* Against a plain array of bytes, over the wrap. */
static void random_ranges_agree_with_a_bitmap(void)
{
	enum { SPAN = 600, BASE = 300 };
	struct random random = {.s = {1, 2, 3, 4}};

	for (int round = 0; round < 200; round++) {
		uint32_t base = 0u - BASE;
		bool have[SPAN] = {false};
		uint32_t expected = 0;

		reassembly_init(&r);
		for (int i = 0; i < 40; i++) {
			uint32_t start = (uint32_t)(random_next(&random) % (SPAN - 20));
			uint32_t length = 1 + (uint32_t)(random_next(&random) % 20);

			if (reassembly_add(&r, base + start, base + start + length) == 0)
				memset(have + start, 1, length);
		}
		for (uint32_t next = 0; next < SPAN; next = expected + 1) {
			expected = next;
			while (expected < SPAN && have[expected])
				expected++;
			CHECK_EQ(reassembly_take(&r, base + next), base + expected);
		}
		CHECK(reassembly_is_empty(&r));
	}
}

TEST_SUITE(reassembly)
{
	TEST(separate_ranges_are_kept_sorted);
	TEST(touching_ranges_become_one);
	TEST(overlaps_extend_on_either_side);
	TEST(one_range_may_swallow_many);
	TEST(take_stops_at_the_first_gap);
	TEST(take_forgets_what_lies_behind);
	TEST(sequence_numbers_wrap);
	TEST(full_set_refuses_a_new_range_but_still_merges);
	TEST(end_of_stream_is_remembered);
	TEST(the_range_that_grew_last_comes_first);
	TEST(ranges_that_are_no_more_are_forgotten);
	TEST(more_ranges_than_are_remembered_push_out_the_oldest);
	TEST(covers_asks_for_all_of_it);
	TEST(random_ranges_agree_with_a_bitmap);
}
