/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 9293 section 3.4: sequence numbers compare modulo 2^32. */
#include "lib/seq.h"

#include "support/test.h"

static const uint32_t points[] = {0,          1,          2,          0x7ffffffe, 0x7fffffff,
				  0x80000000, 0x80000001, 0xfffffffe, 0xffffffff};

#define POINTS (sizeof(points) / sizeof(points[0]))

static void order_holds_across_the_wrap(void)
{
	CHECK(seq_lt(0xffffffff, 0));
	CHECK(seq_gt(0, 0xffffffff));
	CHECK(seq_le(0xfffffff0, 0x10));
	CHECK(seq_ge(0x10, 0xfffffff0));
	CHECK(!seq_lt(5, 5));
	CHECK(!seq_gt(5, 5));
	CHECK(seq_le(5, 5));
	CHECK(seq_ge(5, 5));
}

static void order_depends_on_distance_only(void)
{
	for (size_t i = 0; i < POINTS; i++) {
		uint32_t base = points[i];

		for (uint32_t distance = 1; distance < 0x80000000; distance = distance * 2 + 1) {
			CHECK(seq_lt(base, base + distance));
			CHECK(seq_gt(base + distance, base));
			CHECK(!seq_ge(base, base + distance));
			CHECK(!seq_le(base + distance, base));
		}
	}
}

static void max_and_min_follow_the_order(void)
{
	CHECK_EQ(seq_max(0xfffffff0, 0x10), 0x10);
	CHECK_EQ(seq_min(0xfffffff0, 0x10), 0xfffffff0);
	CHECK_EQ(seq_max(7, 7), 7);
	CHECK_EQ(seq_min(7, 7), 7);
}

static void window_is_half_open_and_wraps(void)
{
	CHECK(seq_in_window(0xfffffff0, 0xfffffff0, 0x20));
	CHECK(seq_in_window(0x0f, 0xfffffff0, 0x20));
	CHECK(!seq_in_window(0x10, 0xfffffff0, 0x20));
	CHECK(!seq_in_window(0xffffffef, 0xfffffff0, 0x20));
}

static void empty_window_holds_nothing(void)
{
	for (size_t i = 0; i < POINTS; i++)
		CHECK(!seq_in_window(points[i], points[i], 0));
}

TEST_SUITE(seq)
{
	TEST(order_holds_across_the_wrap);
	TEST(order_depends_on_distance_only);
	TEST(max_and_min_follow_the_order);
	TEST(window_is_half_open_and_wraps);
	TEST(empty_window_holds_nothing);
}
