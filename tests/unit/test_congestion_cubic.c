/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 9438. */
#include "support/path.h"
#include "support/test.h"
#include "tcp/congestion.h"

#define MSS    1460u
#define RTT_US 100000u

static const struct congestion_ops *const cubic = &congestion_cubic;
static struct congestion c;
static uint64_t now_us;

static void begin_with(uint32_t mss_bytes)
{
	c = (struct congestion){.mss_bytes = mss_bytes};
	now_us = 1000000;
	cubic->init(&c, now_us, false);
}

/* In congestion avoidance, after a loss with so many segments in flight. */
static void begin_after_loss(uint32_t mss_bytes, uint32_t segments)
{
	begin_with(mss_bytes);
	c.cwnd_bytes = segments * mss_bytes;
	cubic->reduce(&c, CONGESTION_LOSS, segments * mss_bytes, now_us);
	c.cwnd_bytes = c.ssthresh_bytes;
	cubic->recovered(&c, c.ssthresh_bytes, now_us);
	c.cwnd_bytes = c.ssthresh_bytes;
}

static void acked_as(uint32_t bytes, bool limited, bool in_recovery)
{
	cubic->acked(&c, &(struct congestion_ack){.now_us = now_us,
						  .acked_bytes = bytes,
						  .srtt_us = RTT_US,
						  .cwnd_limited = limited,
						  .in_recovery = in_recovery});
}

static void acked(uint32_t bytes)
{
	acked_as(bytes, true, false);
}

/* A round trip: the whole window is acknowledged, a segment at a time. */
static void round_trip(void)
{
	uint32_t acks = c.cwnd_bytes / c.mss_bytes;

	for (uint32_t i = 0; i < acks; i++) {
		now_us += RTT_US / acks;
		acked(c.mss_bytes);
	}
	now_us += RTT_US % acks;
}

static void loss_takes_three_tenths(void)
{
	begin_with(MSS);
	c.cwnd_bytes = 100 * MSS;
	cubic->reduce(&c, CONGESTION_LOSS, 100 * MSS, now_us); /* section 4.6 */
	CHECK_EQ(c.ssthresh_bytes, 70 * MSS);
	cubic->reduce(&c, CONGESTION_ECN, 50 * MSS, now_us);
	CHECK_EQ(c.ssthresh_bytes, 35 * MSS);
	cubic->reduce(&c, CONGESTION_LOSS, MSS, now_us);
	CHECK_EQ(c.ssthresh_bytes, 2 * MSS);
}

/* Section 4.2, figure 2: with W_max 1000, K is cbrt(300 / 0.4) = 9.086 s. */
static void the_window_is_back_at_w_max_after_k(void)
{
	uint64_t begin_us;

	begin_after_loss(MSS, 1000);
	begin_us = now_us;
	while (c.cwnd_bytes < 997 * MSS && now_us < 60000000)
		round_trip();
	/* Three segments below W_max, W_cubic is 1.96 s before K; and it aims an RTT ahead. */
	CHECK_RANGE(now_us - begin_us, 9086000 - 1960000 - 2 * RTT_US, 9086000 - 1960000 + RTT_US);
	while (c.cwnd_bytes < 1003 * MSS && now_us < 60000000)
		round_trip();
	CHECK_RANGE(now_us - begin_us, 9086000 + 1960000 - 2 * RTT_US, 9086000 + 1960000 + RTT_US);
}

static void k_does_not_depend_on_the_segment_size(void)
{
	static const uint32_t sizes[] = {88, 1460, 8960, 65495};

	for (unsigned i = 0; i < 4; i++) {
		uint64_t begin_us;

		begin_after_loss(sizes[i], 1000);
		begin_us = now_us;
		while (c.cwnd_bytes < 1000 * sizes[i] && now_us < 60000000)
			round_trip();
		CHECK_RANGE(now_us - begin_us, 8500000, 9300000);
	}
}

/* Section 4.4: never more than half a window more in a round trip. */
static void growth_in_a_round_trip_is_at_most_half(void)
{
	begin_after_loss(MSS, 100);
	acked(MSS);
	now_us += 3000000000u; /* the curve is far above */
	acked(MSS);
	for (int i = 0; i < 5; i++) {
		uint32_t before = c.cwnd_bytes;

		round_trip();
		CHECK_RANGE(c.cwnd_bytes, before + before / 3, (uint64_t)before * 166 / 100);
	}
}

/* Section 4.3: on short paths it grows as Reno with beta 0.7 does: 9/17 of a segment per round
 * trip until it is where it was, then one. */
static void on_a_short_path_it_grows_as_reno_does(void)
{
	uint32_t window;

	begin_after_loss(MSS, 20);
	now_us = 2000000;
	cubic->recovered(&c, c.ssthresh_bytes, now_us);
	c.cwnd_bytes = c.ssthresh_bytes;
	window = c.cwnd_bytes;
	for (unsigned i = 0; i < 10 * 14; i++) { /* some ten windows, in ten milliseconds */
		now_us += 71;
		acked(MSS);
	}
	CHECK_RANGE(c.cwnd_bytes, window + 4 * MSS, window + 6 * MSS);
	for (unsigned i = 0; i < 200; i++)
		acked(MSS);
	window = c.cwnd_bytes;
	CHECK(window > 20 * MSS);
	for (unsigned i = 0; i < window / MSS * 5; i++)
		acked(MSS);
	CHECK_RANGE(c.cwnd_bytes, window + 4 * MSS, window + 5 * MSS);
}

/* Section 4.7: W_max falls to 0.85 of cwnd when a flow did not get back to its last W_max. */
static void a_flow_that_loses_ground_makes_room(void)
{
	uint64_t begin_us;

	begin_after_loss(MSS, 1000);
	c.cwnd_bytes = 800 * MSS;
	cubic->reduce(&c, CONGESTION_LOSS, 800 * MSS, now_us);
	c.cwnd_bytes = 560 * MSS;
	begin_us = now_us;
	/* 0.85 * 800 = 680; K = cbrt(120 / 0.4) = 6.69 s; 800 would take 8.43 s. */
	while (c.cwnd_bytes < 681 * MSS && now_us < 60000000)
		round_trip();
	CHECK_RANGE(now_us - begin_us, 6690000 + 1000000, 6690000 + 1600000);
}

static void time_in_which_the_application_was_the_limit_does_not_count(void)
{
	uint32_t window;

	begin_after_loss(MSS, 1000);
	round_trip();
	window = c.cwnd_bytes;
	for (int i = 0; i < 100; i++) { /* section 4.2 */
		now_us += 1000000;
		acked_as(MSS, false, false);
	}
	CHECK_EQ(c.cwnd_bytes, window);
	round_trip(); /* K is 9 s: at its beginning the curve climbs by 10 segments in 100 ms */
	CHECK_RANGE(c.cwnd_bytes, window + MSS, window + 25 * MSS);
}

static void idleness_shifts_the_epoch(void)
{
	uint32_t window;

	begin_after_loss(MSS, 1000);
	round_trip();
	window = c.cwnd_bytes;
	now_us += 100000000;
	cubic->restart(&c, 100000, 300000, now_us); /* less than an RTO: the window stays */
	CHECK_EQ(c.cwnd_bytes, window);
	round_trip();
	CHECK_RANGE(c.cwnd_bytes, window + MSS, window + 25 * MSS);
	cubic->restart(&c, 300001, 300000, now_us);
	CHECK_EQ(c.cwnd_bytes, 10 * MSS); /* RFC 5681 section 4.1 */
	acked(MSS);
	CHECK_EQ(c.cwnd_bytes, 11 * MSS); /* slow start up to ssthresh */
}

static void timeout_begins_with_one_segment_and_a_new_curve(void)
{
	begin_after_loss(MSS, 1000);
	round_trip();
	cubic->reduce(&c, CONGESTION_TIMEOUT, 100 * MSS, now_us);
	CHECK_EQ(c.cwnd_bytes, MSS);
	CHECK_EQ(c.ssthresh_bytes, 70 * MSS);
	acked_as(2 * MSS, true, true);
	CHECK_EQ(c.cwnd_bytes, 2 * MSS);
	while (c.cwnd_bytes < c.ssthresh_bytes)
		acked(2 * MSS);
	acked(MSS); /* the stage of congestion avoidance begins */
	/* Section 4.8: K = 0, W_max = cwnd: the old W_max does not pull. */
	now_us += 1000000;
	for (int i = 0; i < 100; i++)
		acked(MSS);
	CHECK_RANGE(c.cwnd_bytes, 70 * MSS, 75 * MSS);
}

static void fast_recovery_leaves_the_window_to_prr(void)
{
	begin_after_loss(MSS, 100);
	cubic->reduce(&c, CONGESTION_LOSS, 70 * MSS, now_us);
	c.cwnd_bytes = 60 * MSS;
	acked_as(MSS, true, true);
	CHECK_EQ(c.cwnd_bytes, 60 * MSS);
}

/* Section 4.9: the curve goes on as if nothing had been. */
/* Growth begins anew, toward where the loss was. */
static void the_place_of_a_loss_outlasts_a_pause(void)
{
	struct congestion before;
	uint32_t memory;

	begin_after_loss(MSS, 100);
	for (int i = 0; i < 3; i++)
		round_trip();
	memory = cubic->rest(&c);
	CHECK_EQ(memory, 100 * MSS);
	before = c;
	c = (struct congestion){.mss_bytes = MSS,
				.cwnd_bytes = before.cwnd_bytes,
				.ssthresh_bytes = before.ssthresh_bytes};
	cubic->init(&c, now_us, false);
	cubic->resume(&c, memory);
	CHECK_EQ(c.cwnd_bytes, before.cwnd_bytes);
	CHECK_EQ(c.ssthresh_bytes, before.ssthresh_bytes);
	for (int i = 0; i < 100 && c.cwnd_bytes < 99 * MSS; i++)
		round_trip();
	CHECK_RANGE(c.cwnd_bytes, 99 * MSS, 101 * MSS);
	before = c;
	round_trip(); /* flat there */
	CHECK(c.cwnd_bytes - before.cwnd_bytes < MSS);
}

static void without_a_loss_there_is_nothing_to_remember(void)
{
	begin_with(MSS);
	CHECK_EQ(cubic->rest(&c), 0);
}

static void undo_restores_exactly(void)
{
	struct congestion twin;

	begin_after_loss(MSS, 1000);
	for (int i = 0; i < 20; i++)
		round_trip();
	twin = c;
	cubic->reduce(&c, CONGESTION_LOSS, 900 * MSS, now_us);
	c.cwnd_bytes = c.ssthresh_bytes;
	acked_as(MSS, true, true);
	cubic->undo(&c);
	CHECK_EQ(c.cwnd_bytes, twin.cwnd_bytes);
	CHECK_EQ(c.ssthresh_bytes, twin.ssthresh_bytes);
	for (int i = 0; i < 1000; i++) {
		now_us += 1000;
		acked(MSS);
		cubic->acked(&twin, &(struct congestion_ack){.now_us = now_us,
							     .acked_bytes = MSS,
							     .srtt_us = RTT_US,
							     .cwnd_limited = true});
	}
	CHECK_EQ(c.cwnd_bytes, twin.cwnd_bytes);
	cubic->undo(&c); /* nothing is left to undo */
	CHECK_EQ(c.cwnd_bytes, twin.cwnd_bytes);
}

static void undo_in_the_first_slow_start_goes_back_to_it(void)
{
	begin_with(MSS);
	acked(MSS);
	cubic->reduce(&c, CONGESTION_TIMEOUT, 11 * MSS, now_us);
	cubic->undo(&c);
	CHECK_EQ(c.cwnd_bytes, 11 * MSS);
	CHECK_EQ(c.ssthresh_bytes, SSTHRESH_INFINITE);
	acked(MSS);
	CHECK_EQ(c.cwnd_bytes, 12 * MSS);
}

static void extremes_neither_overflow_nor_divide_by_zero(void)
{
	static const uint32_t sizes[] = {88, 65495};

	for (unsigned i = 0; i < 2; i++) {
		begin_with(sizes[i]);
		c.cwnd_bytes = 1u << 30;
		cubic->reduce(&c, CONGESTION_LOSS, 1u << 30, now_us);
		c.cwnd_bytes = 2 * sizes[i];
		c.ssthresh_bytes = 2 * sizes[i];
		for (int j = 0; j < 100000; j++) {
			now_us += 1000000;
			acked(UINT32_MAX);
			REQUIRE(c.cwnd_bytes >= 2 * sizes[i] && c.cwnd_bytes <= 1u << 30);
		}
		CHECK_EQ(c.cwnd_bytes, 1u << 30);
	}
}

/* ---- on a path --------------------------------------------------------------- */

/* A test may compute with floating point. */
static double cube_root(double x)
{
	double root = 1 + (x < 0 ? -x : x) / 3;

	for (int i = 0; i < 100; i++)
		root = (2 * root + (x < 0 ? -x : x) / (root * root)) / 3;
	return x < 0 ? -root : root;
}

/* Section 4.2: seconds from cwnd_epoch up to a window, all in segments. */
static double seconds_on_the_curve(double epoch, double w_max, double window)
{
	return cube_root((w_max - epoch) / 0.4) + cube_root((window - w_max) / 0.4);
}

static uint64_t next_reduction_us(struct path *p, const struct path_flow *f)
{
	uint64_t before = f->reductions, limit_us = p->now_us + 60000000;

	while (f->reductions == before && p->now_us < limit_us)
		path_run(p, p->now_us + 10000);
	return p->now_us;
}

/* 1 Gb/s and 100 ms, a queue of a quarter of the BDP. */
static void on_a_long_fat_path_losses_are_as_far_apart_as_the_curve_says(void)
{
	struct path p = {.rate = 125000000, .rtt_us = RTT_US, .queue_segments = 350};
	const uint32_t mss_bytes = 8960;
	struct path_flow *f;
	double w_max;
	uint64_t last_us;

	path_begin(&p);
	f = path_flow_begin(&p, cubic, mss_bytes);
	next_reduction_us(&p, f);
	next_reduction_us(&p, f); /* slow start's overshoot is over */
	last_us = next_reduction_us(&p, f);
	w_max = f->c.prior_cwnd_bytes / (double)mss_bytes;
	path_watch(&p);
	for (int i = 0; i < 5; i++) {
		double epoch = f->c.ssthresh_bytes / (double)mss_bytes, window, expected;
		uint64_t now = next_reduction_us(&p, f);

		window = f->c.prior_cwnd_bytes / (double)mss_bytes;
		expected = seconds_on_the_curve(epoch, w_max, window);
		CHECK_RANGE(now - last_us, expected * 950000, expected * 1050000);
		last_us = now;
		w_max = window < w_max ? window * 0.85 : window; /* section 4.7 */
	}
	CHECK_RANGE(path_share(&p, f), 97, 100);
	path_end(&p);
}

static void two_flows_converge(void)
{
	struct path p = {.rate = 12500000, .rtt_us = 20000, .queue_segments = 170};
	struct path_flow *a, *b;

	path_begin(&p);
	a = path_flow_begin(&p, cubic, MSS);
	path_run(&p, 20000000);
	b = path_flow_begin(&p, cubic, MSS);
	path_run(&p, 100000000);
	path_watch(&p);
	path_run(&p, 300000000);
	CHECK_RANGE(path_share(&p, a), 38, 62);
	CHECK_RANGE(path_share(&p, b), 38, 62);
	CHECK_RANGE(path_share(&p, a) + path_share(&p, b), 97, 100);
	path_end(&p);
}

static void a_short_path_is_shared_with_reno(void)
{
	struct path p = {.rate = 2500000, .rtt_us = 10000, .queue_segments = 20};
	struct path_flow *a, *b;

	path_begin(&p);
	a = path_flow_begin(&p, cubic, MSS);
	b = path_flow_begin(&p, &congestion_newreno, MSS);
	path_run(&p, 20000000);
	path_watch(&p);
	path_run(&p, 120000000);
	CHECK_RANGE(path_share(&p, a), 35, 68);
	CHECK_RANGE(path_share(&p, b), 32, 65);
	path_end(&p);
}

TEST_SUITE(congestion_cubic)
{
	TEST(loss_takes_three_tenths);
	TEST(the_window_is_back_at_w_max_after_k);
	TEST(k_does_not_depend_on_the_segment_size);
	TEST(growth_in_a_round_trip_is_at_most_half);
	TEST(on_a_short_path_it_grows_as_reno_does);
	TEST(a_flow_that_loses_ground_makes_room);
	TEST(time_in_which_the_application_was_the_limit_does_not_count);
	TEST(idleness_shifts_the_epoch);
	TEST(timeout_begins_with_one_segment_and_a_new_curve);
	TEST(fast_recovery_leaves_the_window_to_prr);
	TEST(the_place_of_a_loss_outlasts_a_pause);
	TEST(without_a_loss_there_is_nothing_to_remember);
	TEST(undo_restores_exactly);
	TEST(undo_in_the_first_slow_start_goes_back_to_it);
	TEST(extremes_neither_overflow_nor_divide_by_zero);
	TEST(on_a_long_fat_path_losses_are_as_far_apart_as_the_curve_says);
	TEST(two_flows_converge);
	TEST(a_short_path_is_shared_with_reno);
}
