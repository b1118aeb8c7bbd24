/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 6298. */
#include "support/test.h"
#include "tcp/rtt.h"

static struct rtt sampled(uint32_t first_us)
{
	struct rtt r = {0};

	rtt_sample(&r, first_us);
	return r;
}

static void before_any_sample_the_timeout_is_one_second(void)
{
	struct rtt r = {0};

	CHECK_EQ(rtt_rto_ms(&r), 1000); /* (2.1) */
}

static void first_sample_sets_variation_to_half_of_it(void)
{
	struct rtt r = sampled(400000);

	CHECK_EQ(rtt_smoothed_us(&r), 400000); /* (2.2): SRTT = R, RTTVAR = R / 2 */
	CHECK_EQ(rtt_rto_ms(&r), 1200); /* R + 4 * R / 2 */
}

static void later_samples_are_smoothed_by_an_eighth_and_a_quarter(void)
{
	struct rtt r = sampled(400000);

	rtt_sample(&r, 480000);
	/* (2.3): RTTVAR = 3/4 * 200 + 1/4 * 80 = 170; SRTT = 7/8 * 400 + 1/8 * 480 = 410 */
	CHECK_EQ(rtt_smoothed_us(&r), 410000);
	CHECK_EQ(rtt_rto_ms(&r), 410 + 4 * 170);
}

/* As in Linux: the minimum lies above the round trip, for a repair takes another one. */
static void steady_samples_bring_the_timeout_to_its_minimum_above_the_round_trip(void)
{
	struct rtt r = sampled(500000);

	for (int i = 0; i < 200; i++)
		rtt_sample(&r, 500000);
	CHECK_EQ(rtt_smoothed_us(&r), 500000);
	CHECK_EQ(rtt_rto_ms(&r), 500 + RTO_MIN_MS);
}

static void timeout_is_never_below_its_minimum(void)
{
	struct rtt r = sampled(50);

	CHECK_EQ(rtt_rto_ms(&r), RTO_MIN_MS);
	rtt_sample(&r, 0); /* a round trip within one look at the clock */
	CHECK_EQ(rtt_rto_ms(&r), RTO_MIN_MS);
	CHECK(r.srtt_us_8 != 0);
}

static void timeout_is_never_above_its_maximum(void)
{
	struct rtt r = sampled(UINT32_MAX);

	for (int i = 0; i < 10; i++)
		rtt_sample(&r, UINT32_MAX);
	CHECK_EQ(rtt_rto_ms(&r), RTO_MAX_MS);
}

static void each_timeout_doubles_up_to_the_maximum(void)
{
	CHECK_EQ(rtt_backed_off_ms(1000, 0), 1000);
	CHECK_EQ(rtt_backed_off_ms(1000, 1), 2000); /* (5.5) */
	CHECK_EQ(rtt_backed_off_ms(1000, 6), 64000);
	CHECK_EQ(rtt_backed_off_ms(1000, 7), RTO_MAX_MS);
	CHECK_EQ(rtt_backed_off_ms(RTO_MAX_MS, 255), RTO_MAX_MS);
}

/* RFC 8985 section 6.2, step 1: a windowed minimum. */
static void the_shortest_round_trip_is_kept_for_minutes(void)
{
	struct min_rtt m = {0};
	uint32_t now_ms = 0u - 1000; /* over the wrap */

	min_rtt_sample(&m, 5000, now_ms);
	min_rtt_sample(&m, 3000, now_ms += 10);
	min_rtt_sample(&m, 9000, now_ms += 10);
	CHECK_EQ(m.us, 3000);
	min_rtt_sample(&m, 8000, now_ms += MIN_RTT_WINDOW_MS - 30);
	CHECK_EQ(m.us, 3000);
	min_rtt_sample(&m, 0, now_ms); /* faster than the clock */
	CHECK_EQ(m.us, 1);
}

static void a_path_that_became_longer_is_noticed(void)
{
	struct min_rtt m = {0};
	uint32_t now_ms = 1000;

	min_rtt_sample(&m, 3000, now_ms);
	for (uint32_t i = 0; i < 11; i++)
		min_rtt_sample(&m, 8000 + i, now_ms += 60000);
	CHECK_RANGE(m.us, 8000, 8010);
}

TEST_SUITE(tcp_rtt)
{
	TEST(before_any_sample_the_timeout_is_one_second);
	TEST(first_sample_sets_variation_to_half_of_it);
	TEST(later_samples_are_smoothed_by_an_eighth_and_a_quarter);
	TEST(steady_samples_bring_the_timeout_to_its_minimum_above_the_round_trip);
	TEST(timeout_is_never_below_its_minimum);
	TEST(timeout_is_never_above_its_maximum);
	TEST(each_timeout_doubles_up_to_the_maximum);
	TEST(the_shortest_round_trip_is_kept_for_minutes);
	TEST(a_path_that_became_longer_is_noticed);
}
