/* SPDX-License-Identifier: BSD-3-Clause */
/* draft-ietf-ccwg-bbr-05. */
#include "support/path.h"
#include "support/test.h"
#include "tcp/congestion_bbr.h"

#define MSS    1460u
#define RTT_US 40000u

static const struct congestion_ops *const bbr = &congestion_bbr;

/* ---- without a path: one connection that is told of ACKs -------------------------- */

static struct bbr state;
static struct congestion c;

static void begin(void)
{
	c = (struct congestion){.mss_bytes = MSS, .private.pooled = &state};
	bbr->init(&c, 1000000, false);
}

static struct path path;
static struct path_flow *flow;

/* 100 Mb/s, 40 ms, a queue of two BDPs. */
static void begin_path(void)
{
	path = (struct path){.rate = 12500000, .rtt_us = RTT_US, .queue_segments = 700};
	path_begin(&path);
	flow = path_flow_begin(&path, bbr, MSS);
}

static struct bbr *model(const struct path_flow *f)
{
	return f->c.private.pooled;
}

/* Runs until the flow is in this state, for so long at most. */
static bool run_to(enum bbr_state wanted, uint64_t at_most_us)
{
	uint64_t end_us = path.now_us + at_most_us;

	while (model(flow)->state != wanted && path.now_us < end_us)
		path_run(&path, path.now_us + 1000);
	return model(flow)->state == wanted;
}

/* ---- beginning ------------------------------------------------------------------------ */

static void it_owns_its_window_and_paces_from_the_beginning(void)
{
	begin();
	CHECK(bbr->owns_window);
	CHECK_EQ(c.cwnd_bytes, 10 * MSS);
	/* Section 5.6.2: 2.77 initial windows in a millisecond. */
	CHECK_EQ(c.pacing_rate, 10ull * MSS * 1000 * 277 / 100);
	CHECK_EQ(state.state, BBR_STARTUP);
}

static void the_first_round_trip_sets_the_rate(void)
{
	begin();
	bbr->acked(&c, &(struct congestion_ack){.now_us = 1100000,
						.acked_bytes = MSS,
						.rtt_us = 100000,
						.srtt_us = 100000,
						.delivered_total = MSS});
	CHECK_EQ(c.pacing_rate, 10ull * MSS * 10 * 277 / 100);
}

static void startup_ends_when_the_pipe_is_full(void)
{
	begin_path();
	REQUIRE(run_to(BBR_DRAIN, 2000000));
	CHECK_RANGE(model(flow)->max_bw, 12400000, 12600000);
	CHECK_RANGE(path.now_us, 300000, 700000); /* log2(34) round trips to fill, three to see */
	CHECK_EQ(path.drops, 0); /* section 5.3.1.1: cwnd_gain 2 bounds the queue to a BDP */
	path_end(&path);
}

/* Section 5.3.1.3 */
static void startup_ends_when_much_is_lost(void)
{
	begin_path();
	path.queue_segments = 20;
	REQUIRE(run_to(BBR_DRAIN, 2000000));
	CHECK_RANGE(model(flow)->inflight_longterm, path_bdp(&path) * 9 / 10,
		    path_bdp(&path) * 15 / 10);
	path_end(&path);
}

static void drain_empties_the_queue_in_about_a_round_trip(void)
{
	uint64_t begin_us;

	begin_path();
	REQUIRE(run_to(BBR_DRAIN, 2000000));
	begin_us = path.now_us;
	while (model(flow)->state == BBR_DRAIN && path.now_us < begin_us + 1000000)
		path_run(&path, path.now_us + 1000);
	CHECK(bbr_in_probe_bw(model(flow)));
	CHECK(path.now_us - begin_us < 3 * RTT_US); /* one, of those with a full queue */
	CHECK(path_queue(&path, MSS) < 20);
	path_end(&path);
}

/* ---- steady ------------------------------------------------------------------------------ */

static void the_path_is_full_and_the_queue_short(void)
{
	begin_path();
	path_run(&path, 1000000);
	path_watch(&path);
	path_run(&path, 31000000);
	CHECK_RANGE(path_share(&path, flow), 93, 100);
	CHECK(path.queue_max < path_bdp(&path) / MSS);
	CHECK_EQ(path.drops, 0);
	CHECK(flow->rtt_min_us < RTT_US + 500);
	path_end(&path);
}

static void bandwidth_is_probed_every_two_to_three_seconds(void)
{
	begin_path();
	REQUIRE(run_to(BBR_PROBE_BW_CRUISE, 2000000));
	for (int i = 0; i < 5; i++) {
		uint64_t begin_us = model(flow)->cycle_stamp_us;

		path.rtt_us -= 300; /* a new minimum puts ProbeRTT off */
		REQUIRE(run_to(BBR_PROBE_BW_REFILL, 9000000));
		CHECK_RANGE(path.now_us - begin_us, 2000000, 3010000);
		REQUIRE(run_to(BBR_PROBE_BW_UP, 200000));
		CHECK_EQ(flow->c.pacing_rate, model(flow)->bw * 125 / 100 * 99 / 100);
		REQUIRE(run_to(BBR_PROBE_BW_DOWN, 1000000));
		CHECK_EQ(flow->c.pacing_rate, model(flow)->bw * 90 / 100 * 99 / 100);
		REQUIRE(run_to(BBR_PROBE_BW_CRUISE, 1000000));
	}
	path_end(&path);
}

/* Section 5.3.3.5: T_reno is as many round trips as the BDP has segments. */
static void a_short_path_is_probed_as_often_as_reno_loses(void)
{
	path = (struct path){.rate = 2500000, .rtt_us = 10000, .queue_segments = 100};
	path_begin(&path);
	flow = path_flow_begin(&path, bbr, MSS);
	REQUIRE(run_to(BBR_PROBE_BW_CRUISE, 2000000));
	for (int i = 0; i < 5; i++) {
		uint64_t begin_us = path.now_us;

		REQUIRE(run_to(BBR_PROBE_BW_REFILL, 3000000));
		CHECK_RANGE(path.now_us - begin_us, 50000, 300000); /* BDP: 17 segments */
		REQUIRE(run_to(BBR_PROBE_BW_CRUISE, 3000000));
	}
	path_end(&path);
}

static void round_trips_are_probed_every_five_seconds(void)
{
	uint64_t last_us;

	begin_path();
	path.rtt_us = RTT_US;
	REQUIRE(run_to(BBR_PROBE_RTT, 8000000));
	for (int i = 0; i < 4; i++) {
		uint64_t least = UINT64_MAX;

		last_us = path.now_us;
		while (model(flow)->state == BBR_PROBE_RTT && path.now_us < last_us + 1000000) {
			uint32_t now = path_flow_in_flight(flow);

			least = now < least ? now : least;
			path_run(&path, path.now_us + 1000);
		}
		/* Section 5.3.4.1: half of the BDP, for 200 ms and a round trip at least. */
		CHECK_RANGE(path.now_us - last_us, 200000, 200000 + 3 * RTT_US);
		CHECK_RANGE(least, path_bdp(&path) * 40 / 100, path_bdp(&path) * 52 / 100);
		last_us = path.now_us;
		path.rtt_us += 50; /* or a lower sample might put it off */
		REQUIRE(run_to(BBR_PROBE_RTT, 8000000));
		CHECK_RANGE(path.now_us - last_us, 4900000, 5200000);
	}
	path_end(&path);
}

static void what_probe_rtt_measures_does_not_lower_the_rate(void)
{
	uint64_t before;

	begin_path();
	REQUIRE(run_to(BBR_PROBE_RTT, 8000000));
	before = model(flow)->max_bw;
	REQUIRE(run_to(BBR_PROBE_BW_CRUISE, 1000000));
	path_run(&path, path.now_us + 1000000);
	CHECK_RANGE(model(flow)->max_bw, before * 99 / 100, before * 101 / 100);
	path_end(&path);
}

/* ---- change ---------------------------------------------------------------------------------- */

static void a_faster_path_is_found_within_two_probes(void)
{
	begin_path();
	path_run(&path, 5000000);
	path.rate *= 4;
	path_run(&path, 13000000);
	path_watch(&path);
	path_run(&path, 23000000);
	CHECK_RANGE(path_share(&path, flow), 90, 100);
	path_end(&path);
}

static void a_slower_path_is_found_within_two_cycles(void)
{
	begin_path();
	path_run(&path, 5000000);
	path.rate /= 4;
	path_run(&path, 15000000);
	CHECK_RANGE(model(flow)->bw, path.rate * 95 / 100, path.rate * 105 / 100);
	path_watch(&path);
	path_run(&path, 25000000);
	CHECK_RANGE(path_share(&path, flow), 90, 100);
	CHECK(path.queue_max < 2 * path_bdp(&path) / MSS);
	path_end(&path);
}

/* Section 5.5.7.2: the minimum is of ten seconds. */
static void a_longer_path_is_believed_after_ten_seconds(void)
{
	begin_path();
	path_run(&path, 5000000);
	path.rtt_us = 2 * RTT_US;
	path_run(&path, 9000000);
	CHECK_RANGE(model(flow)->min_rtt_us, RTT_US, RTT_US + 500);
	path_run(&path, 26000000);
	CHECK_RANGE(model(flow)->min_rtt_us, 2 * RTT_US, 2 * RTT_US + 2000);
	path_watch(&path);
	path_run(&path, 36000000);
	CHECK_RANGE(path_share(&path, flow), 90, 100);
	path_end(&path);
}

static void application_limited_samples_do_not_lower_the_rate(void)
{
	uint64_t before;

	begin_path();
	path_run(&path, 2000000);
	before = model(flow)->max_bw;
	flow->app_limited = true;
	flow->held_bytes = 10 * MSS;
	path_run(&path, 30000000);
	CHECK_RANGE(model(flow)->max_bw, before * 99 / 100, before * 101 / 100);
	path_end(&path);
}

static void idleness_is_followed_by_the_same_rate(void)
{
	uint64_t rate;

	begin_path();
	REQUIRE(run_to(BBR_PROBE_BW_UP, 5000000));
	rate = model(flow)->bw * 99 / 100;
	bbr->restart(&flow->c, 3000000, 200000, 5000000);
	CHECK_EQ(flow->c.pacing_rate, rate);
	CHECK(flow->c.cwnd_bytes > path_bdp(&path)); /* section 5.4.1: as it is */
	path_end(&path);
}

/* ---- loss --------------------------------------------------------------------------------------- */

static void a_shallow_queue_bounds_what_is_in_flight(void)
{
	begin_path();
	path.queue_segments = 30; /* a tenth of the BDP */
	path_run(&path, 10000000);
	CHECK(model(flow)->inflight_longterm != BBR_INFINITE);
	CHECK_RANGE(model(flow)->inflight_longterm, path_bdp(&path) * 7 / 10,
		    path_bdp(&path) * 13 / 10);
	path_watch(&path);
	path.drops = 0;
	while (path.now_us < 40000000) {
		path_run(&path, path.now_us + 1000);
		CHECK(flow->c.cwnd_bytes <= model(flow)->inflight_longterm);
	}
	CHECK_RANGE(path_share(&path, flow), 85, 100);
	CHECK(path.drops * MSS * 100 < flow->watched_bytes * 2); /* LossThresh */
	path_end(&path);
}

/* Section 5.5.10.3 */
static void loss_while_cruising_slows_down_until_the_next_probe(void)
{
	begin_path();
	REQUIRE(run_to(BBR_PROBE_BW_CRUISE, 2000000));
	path.loss_ppm = 10000;
	path_run(&path, path.now_us + 1000000);
	CHECK_EQ(model(flow)->state, BBR_PROBE_BW_CRUISE);
	CHECK_RANGE(model(flow)->bw, path.rate * 60 / 100, path.rate * 95 / 100);
	CHECK(flow->c.cwnd_bytes <= model(flow)->inflight_shortterm);
	REQUIRE(run_to(BBR_PROBE_BW_REFILL, 5000000));
	CHECK_RANGE(model(flow)->bw, path.rate * 98 / 100, path.rate * 101 / 100);
	path_end(&path);
}

static uint32_t share_with_random_loss(const struct congestion_ops *ops, uint64_t rate)
{
	struct path p = {.rate = rate, .rtt_us = RTT_US, .queue_segments = 700, .loss_ppm = 10000};
	struct path_flow *f;
	uint32_t share;

	path_begin(&p);
	f = path_flow_begin(&p, ops, MSS);
	path_run(&p, 5000000);
	path_watch(&p);
	path_run(&p, 65000000);
	share = path_share(&p, f);
	path_end(&p);
	return share;
}

/* Each round trip with a loss takes from bw_shortterm what was lost and the margin of pacing, until
 * the next probe (section 5.5.10.3): on a path where each round trip loses, a third or so. */
static void random_loss_of_one_percent_does_little_harm(void)
{
	CHECK_RANGE(share_with_random_loss(bbr, 12500000), 60, 99);
	CHECK_RANGE(share_with_random_loss(bbr, 1250000), 85, 99);
	CHECK(share_with_random_loss(&congestion_cubic, 12500000) < 10);
}

static void timeout_leaves_one_segment_and_recovery_gives_the_window_back(void)
{
	uint32_t before;

	begin_path();
	path_run(&path, 2000000);
	before = flow->c.cwnd_bytes;
	bbr->reduce(&flow->c, CONGESTION_TIMEOUT, before, path.now_us);
	CHECK_EQ(flow->c.cwnd_bytes, MSS);
	bbr->recovered(&flow->c, 0, path.now_us);
	CHECK_EQ(flow->c.cwnd_bytes, before);
	path_end(&path);
}

static void undo_restores_exactly(void)
{
	struct bbr before;
	struct congestion window;

	begin_path();
	path_run(&path, 2000000);
	before = *model(flow);
	window = flow->c;
	bbr->reduce(&flow->c, CONGESTION_LOSS, window.cwnd_bytes, path.now_us);
	model(flow)->bw_shortterm = before.bw / 2;
	model(flow)->inflight_shortterm = 4 * MSS;
	model(flow)->inflight_longterm = 5 * MSS;
	flow->c.cwnd_bytes = 4 * MSS;
	bbr->undo(&flow->c);
	CHECK_EQ(flow->c.cwnd_bytes, window.cwnd_bytes);
	CHECK(model(flow)->bw_shortterm == before.bw_shortterm);
	CHECK_EQ(model(flow)->inflight_shortterm, before.inflight_shortterm);
	CHECK_EQ(model(flow)->inflight_longterm, before.inflight_longterm);
	CHECK_EQ(model(flow)->state, before.state);
	CHECK(!model(flow)->loss_in_round);
	path_end(&path);
}

/* ---- others -------------------------------------------------------------------------------------- */

static void two_flows_share(void)
{
	struct path_flow *b;

	begin_path();
	path_run(&path, 10000000);
	b = path_flow_begin(&path, bbr, MSS);
	path_run(&path, 50000000);
	path_watch(&path);
	path_run(&path, 150000000);
	CHECK_RANGE(path_share(&path, flow), 30, 70);
	CHECK_RANGE(path_share(&path, b), 30, 70);
	CHECK_RANGE(path_share(&path, flow) + path_share(&path, b), 92, 100);
	path_end(&path);
}

/* Section 5.5.8: three quanta, whatever the BDP. */
static void offloads_have_room_on_a_path_without_length(void)
{
	path = (struct path){.rate = 125000000, .rtt_us = 100, .queue_segments = 1000};
	path_begin(&path);
	flow = path_flow_begin(&path, bbr, MSS);
	path_run(&path, 1000000);
	CHECK(flow->c.cwnd_bytes >= 3 * 65536);
	path_end(&path);
}

static void a_hundred_gigabits_are_no_problem(void)
{
	path = (struct path){.rate = 12500000000, .rtt_us = 1000, .queue_segments = 1000};
	path_begin(&path);
	flow = path_flow_begin(&path, bbr, 8960);
	path_run(&path, 100000);
	path_watch(&path);
	path_run(&path, 500000);
	CHECK_RANGE(path_share(&path, flow), 90, 100);
	path_end(&path);
}

TEST_SUITE(congestion_bbr)
{
	TEST(it_owns_its_window_and_paces_from_the_beginning);
	TEST(the_first_round_trip_sets_the_rate);
	TEST(startup_ends_when_the_pipe_is_full);
	TEST(startup_ends_when_much_is_lost);
	TEST(drain_empties_the_queue_in_about_a_round_trip);
	TEST(the_path_is_full_and_the_queue_short);
	TEST(bandwidth_is_probed_every_two_to_three_seconds);
	TEST(a_short_path_is_probed_as_often_as_reno_loses);
	TEST(round_trips_are_probed_every_five_seconds);
	TEST(what_probe_rtt_measures_does_not_lower_the_rate);
	TEST(a_faster_path_is_found_within_two_probes);
	TEST(a_slower_path_is_found_within_two_cycles);
	TEST(a_longer_path_is_believed_after_ten_seconds);
	TEST(application_limited_samples_do_not_lower_the_rate);
	TEST(idleness_is_followed_by_the_same_rate);
	TEST(a_shallow_queue_bounds_what_is_in_flight);
	TEST(loss_while_cruising_slows_down_until_the_next_probe);
	TEST(random_loss_of_one_percent_does_little_harm);
	TEST(timeout_leaves_one_segment_and_recovery_gives_the_window_back);
	TEST(undo_restores_exactly);
	TEST(two_flows_share);
	TEST(offloads_have_room_on_a_path_without_length);
	TEST(a_hundred_gigabits_are_no_problem);
}
