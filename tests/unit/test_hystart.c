/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 9406. */
#include "support/path.h"
#include "support/test.h"
#include "tcp/hystart.h"

#define MSS      1460u
#define ROUND    (20 * MSS)
#define BASE_US  40000u
#define DELAY_US 5000u /* an eighth of it, as MIN_RTT_DIVISOR says */

static struct hystart h;
static uint32_t una;

static void begin(void)
{
	hystart_begin(&h);
	una = UINT32_MAX - 3 * MSS; /* sequence numbers wrap during the second round */
	hystart_ack(&h, una, una + ROUND, 0);
}

/* A whole round of ACKs with this round trip. */
static enum hystart_verdict round_of(uint32_t rtt_us)
{
	enum hystart_verdict verdict = HYSTART_GOES_ON;

	for (uint32_t i = 0; i < ROUND / MSS && verdict == HYSTART_GOES_ON; i++) {
		una += MSS;
		verdict = hystart_ack(&h, una, una + ROUND, rtt_us);
	}
	return verdict;
}

static bool in_css(void)
{
	return hystart_growth(&h, 4 * MSS) == MSS;
}

static void steady_round_trips_leave_slow_start_alone(void)
{
	begin();
	for (int i = 0; i < 50; i++)
		CHECK_EQ(round_of(BASE_US), HYSTART_GOES_ON);
	CHECK(!in_css());
}

static void a_longer_round_trip_slows_growth_down(void)
{
	begin();
	round_of(BASE_US);
	round_of(BASE_US + DELAY_US - 1);
	CHECK(!in_css());
	round_of(BASE_US + DELAY_US - 1); /* no longer than the last one */
	CHECK(!in_css());
	round_of(BASE_US);
	round_of(BASE_US + DELAY_US);
	CHECK(in_css());
}

static void few_samples_prove_nothing(void)
{
	begin();
	round_of(BASE_US);
	for (unsigned i = 0; i < HYSTART_SAMPLES - 1; i++)
		hystart_ack(&h, una, una + ROUND, 2 * BASE_US);
	CHECK(!in_css());
	hystart_ack(&h, una, una + ROUND, 0); /* not measured: none */
	CHECK(!in_css());
	hystart_ack(&h, una, una + ROUND, 2 * BASE_US);
	CHECK(in_css());
}

static void the_threshold_lies_between_4_and_16_ms(void)
{
	begin();
	round_of(1000);
	round_of(1000 + HYSTART_RTT_THRESH_MIN_US - 1);
	CHECK(!in_css());
	begin();
	round_of(1000);
	round_of(1000 + HYSTART_RTT_THRESH_MIN_US);
	CHECK(in_css());
	begin();
	round_of(800000);
	round_of(800000 + HYSTART_RTT_THRESH_MAX_US);
	CHECK(in_css());
}

static void conservative_slow_start_ends_after_five_rounds(void)
{
	unsigned rounds = 0;

	begin();
	round_of(BASE_US);
	while (round_of(BASE_US + DELAY_US) == HYSTART_GOES_ON && rounds < 20)
		rounds++;
	/* The round in which it began counts. */
	CHECK_EQ(rounds, HYSTART_CSS_ROUNDS - 1);
}

static void a_passing_delay_brings_slow_start_back(void)
{
	begin();
	round_of(BASE_US);
	round_of(BASE_US + DELAY_US);
	CHECK(in_css());
	for (int i = 0; i < 20; i++)
		CHECK_EQ(round_of(BASE_US), HYSTART_GOES_ON);
	CHECK(!in_css());
}

static void all_that_is_acknowledged_counts(void)
{
	begin();
	CHECK_EQ(hystart_growth(&h, 100 * MSS), 100 * MSS);
}

static void extreme_round_trips_do_no_harm(void)
{
	begin();
	round_of(UINT32_MAX - 1);
	round_of(UINT32_MAX);
	CHECK(!in_css());
	round_of(1);
	round_of(UINT32_MAX);
	CHECK(in_css());
}

/* Runs a first slow start to its end on a path with a queue of ten bandwidth-delay products;
 * returns how many segments were dropped. */
static uint64_t drops_of_slow_start(const struct congestion_ops *ops, uint32_t *cwnd_bytes)
{
	struct path p = {.rate = 12500000, .rtt_us = 40000, .queue_segments = 3425};
	struct path_flow *f;
	uint64_t drops;

	path_begin(&p);
	f = path_flow_begin(&p, ops, MSS);
	while (f->c.ssthresh_bytes == SSTHRESH_INFINITE && p.now_us < 5000000)
		path_run(&p, p.now_us + 1000);
	CHECK(f->c.ssthresh_bytes != SSTHRESH_INFINITE);
	CHECK(f->c.cwnd_bytes > path_bdp(&p));
	*cwnd_bytes = f->c.cwnd_bytes;
	drops = p.drops;
	path_end(&p);
	return drops;
}

/* What it is for.  The delay of a round shows in the next one, and conservative slow start has five
 * rounds, so the queue must be a long one. */
static void slow_start_ends_before_a_long_queue_overflows(void)
{
	uint32_t with_bytes, without_bytes;

	CHECK_EQ(drops_of_slow_start(&congestion_cubic, &with_bytes), 0);
	CHECK(drops_of_slow_start(&congestion_newreno, &without_bytes) > 1000);
}

/* Nothing was told while two gigabytes were sent in small pieces: the end of the round before lies
 * ahead now, as sequence numbers go. */
static void a_round_long_ago_is_over(void)
{
	begin();
	round_of(BASE_US);
	una += (1u << 31) + ROUND;
	CHECK_EQ(hystart_ack(&h, una, una + ROUND, BASE_US), HYSTART_GOES_ON);
	round_of(BASE_US);
	round_of(BASE_US + DELAY_US);
	CHECK(in_css());
}

TEST_SUITE(hystart)
{
	TEST(steady_round_trips_leave_slow_start_alone);
	TEST(a_longer_round_trip_slows_growth_down);
	TEST(few_samples_prove_nothing);
	TEST(the_threshold_lies_between_4_and_16_ms);
	TEST(conservative_slow_start_ends_after_five_rounds);
	TEST(a_passing_delay_brings_slow_start_back);
	TEST(all_that_is_acknowledged_counts);
	TEST(extreme_round_trips_do_no_harm);
	TEST(slow_start_ends_before_a_long_queue_overflows);
	TEST(a_round_long_ago_is_over);
}
