/* SPDX-License-Identifier: BSD-3-Clause */
/* RACK, step by step as RFC 8985 section 6.2 has them. */
#include "support/test.h"
#include "tcp/rack.h"

#define MSS     1000u
#define ISS     5000u
#define RTT_US  40000u
#define START   0x40000000u /* when the first record is sent */
#define WINDOW  (RTT_US / 4)
#define RECORDS 16384 /* a quarter is for those with few */

static struct flight f;
static struct flight_pool pool;
static struct flight_delivery d;
static struct rack rack;
static struct rack_path path;
static uint32_t una, nxt;

static void begin(void)
{
	CHECK_EQ(flight_pool_init(&pool, RECORDS, -1), 0);
	flight_init(&f);
	rack_init(&rack, ISS);
	path = (struct rack_path){.min_rtt_us = RTT_US, .srtt_us = RTT_US};
	una = nxt = ISS;
}

static void end(void)
{
	CHECK(flight_is_sane(&f, &pool, una, nxt));
	flight_clear(&f, &pool);
	CHECK_EQ(pool.used, 0);
	flight_pool_free(&pool);
}

/* count segments leave, each so much later than the one before. */
static void send(uint32_t count, uint32_t at_us, uint32_t apart_us)
{
	for (uint32_t i = 0; i < count; i++) {
		CHECK(flight_sent(&f, &pool, nxt, nxt + MSS, una, at_us + i * apart_us));
		nxt += MSS;
	}
}

static void ack_begin(uint32_t now_us)
{
	d = (struct flight_delivery){.now_us = now_us, .min_rtt_us = path.min_rtt_us};
	path.now_us = now_us;
}

/* Segments [from, to), counted from ISS, arrive out of order. */
static void sack(uint32_t from, uint32_t to, uint32_t now_us)
{
	ack_begin(now_us);
	flight_sack(&f, &pool, ISS + from * MSS, ISS + to * MSS, &d);
	rack_update(&rack, &d, una);
}

static void ack(uint32_t to, uint32_t now_us)
{
	ack_begin(now_us);
	flight_ack(&f, &pool, ISS + to * MSS, &d);
	una = ISS + to * MSS;
	rack_update(&rack, &d, una);
}

static uint32_t detect(uint32_t now_us)
{
	path.now_us = now_us;
	return rack_detect_loss(&rack, &path, &f, &pool);
}

static uint32_t lost(void)
{
	return f.lost_bytes - f.resent_bytes;
}

static void resend_lost(uint32_t now_us)
{
	uint32_t i;

	while ((i = flight_next_lost(&f, &pool)) != FLIGHT_NONE)
		flight_resent(&f, &pool, i, MSS, una, now_us);
}

/* ---- step 2 ---------------------------------------------------------------- */

static void nothing_is_lost_before_something_arrived(void)
{
	begin();
	send(3, START, 0);
	CHECK_EQ(detect(START + 10 * RTT_US), 0);
	CHECK_EQ(lost(), 0);
	end();
}

static void the_latest_delivered_is_remembered(void)
{
	begin();
	send(4, START, 10);
	sack(2, 3, START + RTT_US);
	CHECK_EQ(rack.sent_us, START + 20);
	CHECK_EQ(rack.end, ISS + 3 * MSS);
	CHECK_EQ(rack.rtt_us, RTT_US - 20);
	CHECK_EQ(rack.fack, ISS + 3 * MSS);
	sack(1, 2, START + RTT_US + 5); /* sent before: of it only the round trip counts */
	CHECK_EQ(rack.sent_us, START + 20);
	CHECK_EQ(rack.rtt_us, RTT_US - 5);
	end();
}

/* The clock counts microseconds in 32 bits: at any time of it a connection may begin, ... */
static void a_connection_may_begin_at_any_time_of_the_clock(void)
{
	for (uint32_t at = 0; at < 8; at++) {
		uint32_t start_us = at << 29;

		begin();
		send(3, start_us, 10);
		sack(1, 3, start_us + RTT_US);
		CHECK_EQ(rack.sent_us, start_us + 20);
		detect(start_us + RTT_US + WINDOW);
		CHECK_EQ(lost(), MSS);
		end();
	}
}

/* ... or go on, after a pause of more than half its range. */
static void a_pause_of_an_hour_changes_nothing(void)
{
	uint32_t later_us = START + 0x90000000u;

	begin();
	send(1, START, 0);
	ack(1, START + RTT_US);
	rack_idle(&rack);
	send(3, later_us, RTT_US / 2);
	ack(2, later_us + RTT_US);
	CHECK_EQ(rack.sent_us, later_us);
	detect(later_us + RTT_US + WINDOW);
	detect(later_us + 3 * RTT_US);
	CHECK_EQ(lost(), 0); /* what was sent later may be late */
	end();
}

/* ---- step 3 ----------------------------------------------------------------- */

static void an_original_below_the_highest_tells_of_reordering(void)
{
	begin();
	send(4, START, 10);
	sack(2, 3, START + RTT_US);
	CHECK(!rack.reordering_seen);
	sack(3, 4, START + RTT_US + 1);
	CHECK(!rack.reordering_seen);
	sack(1, 2, START + RTT_US + 2);
	CHECK(rack.reordering_seen);
	end();
}

static void a_retransmission_below_the_highest_does_not(void)
{
	begin();
	send(4, START, 10);
	sack(1, 4, START + RTT_US);
	detect(START + RTT_US + WINDOW);
	CHECK_EQ(lost(), MSS);
	resend_lost(START + RTT_US + WINDOW);
	ack(4, START + 2 * RTT_US + WINDOW);
	CHECK(!rack.reordering_seen);
	end();
}

/* One ACK that tells of much is no reordering, in whatever order it does. */
static void what_one_ack_tells_is_not_reordered(void)
{
	begin();
	send(6, START, 10);
	ack_begin(START + RTT_US);
	flight_sack(&f, &pool, ISS + 4 * MSS, ISS + 5 * MSS, &d);
	flight_sack(&f, &pool, ISS + 2 * MSS, ISS + 3 * MSS, &d);
	rack_update(&rack, &d, una);
	CHECK(!rack.reordering_seen);
	end();
}

/* RACK.fack is the highest that arrived, even if something sent later arrived with it. */
static void the_highest_counts_beside_a_retransmission(void)
{
	begin();
	send(4, START, 10);
	flight_mark_lost(&f, &pool, f.first);
	resend_lost(START + 100);
	ack_begin(START + 100 + RTT_US);
	flight_ack(&f, &pool, ISS + MSS, &d);
	una = ISS + MSS;
	flight_sack(&f, &pool, ISS + 3 * MSS, ISS + 4 * MSS, &d);
	rack_update(&rack, &d, una);
	CHECK_EQ(rack.sent_us, START + 100);
	CHECK_EQ(rack.fack, ISS + 4 * MSS);
	sack(2, 3, START + 110 + RTT_US);
	CHECK(rack.reordering_seen);
	end();
}

/* ---- step 4 -------------------------------------------------------------------- */

/* How long a record sent just before what arrived at once is given. */
static uint32_t window_us(void)
{
	uint32_t left_us;

	begin();
	path.recovering = false;
	send(2, START, 0);
	sack(1, 2, START + RTT_US);
	left_us = detect(START + RTT_US);
	end();
	return left_us;
}

static void the_window_is_a_quarter_of_the_shortest_round_trip(void)
{
	CHECK_EQ(window_us(), WINDOW);
}

static void without_reordering_there_is_no_window_in_recovery(void)
{
	begin();
	send(3, START, 0);
	sack(1, 2, START + RTT_US);
	path.recovering = true;
	CHECK_EQ(detect(START + RTT_US), 0);
	CHECK_EQ(lost(), MSS);
	end();
}

static void without_reordering_three_sacked_end_the_window(void)
{
	begin();
	send(5, START, 0);
	sack(1, 4, START + RTT_US);
	path.enough_sacked = true;
	CHECK_EQ(detect(START + RTT_US), 0);
	CHECK_EQ(lost(), MSS);
	end();
}

static void with_reordering_the_window_stays_in_recovery(void)
{
	begin();
	send(5, START, 0);
	sack(1, 4, START + RTT_US);
	rack.reordering_seen = true;
	path.enough_sacked = path.recovering = true;
	CHECK_EQ(detect(START + RTT_US), WINDOW);
	CHECK_EQ(lost(), 0);
	CHECK_EQ(detect(START + RTT_US + WINDOW), 0);
	CHECK_EQ(lost(), MSS);
	end();
}

static void a_round_with_dsack_widens_the_window_once(void)
{
	begin();
	rack_saw_dsack(&rack, 1000, 3000);
	rack_saw_dsack(&rack, 2000, 4000);
	CHECK_EQ(rack.window_mult, 2);
	rack_saw_dsack(&rack, 3000, 5000); /* the next round */
	CHECK_EQ(rack.window_mult, 3);
	send(2, START, 0);
	sack(1, 2, START + RTT_US);
	CHECK_EQ(detect(START + RTT_US), 3 * WINDOW);
	end();
}

static void the_window_is_a_smoothed_round_trip_at_most(void)
{
	begin();
	rack.window_mult = 255;
	path.srtt_us = RTT_US + 500;
	send(2, START, 0);
	sack(1, 2, START + RTT_US);
	CHECK_EQ(detect(START + RTT_US), RTT_US + 500);
	end();
}

static void the_widest_window_does_not_wrap(void)
{
	begin();
	for (uint32_t i = 0; i < 1000; i++)
		rack_saw_dsack(&rack, i * 1000, i * 1000 + 1000);
	CHECK_EQ(rack.window_mult, UINT8_MAX);
	end();
}

static void sixteen_recoveries_without_dsack_narrow_it_again(void)
{
	begin();
	rack_saw_dsack(&rack, 1000, 3000);
	for (int i = 0; i < 15; i++)
		rack_recovered(&rack);
	CHECK_EQ(rack.window_mult, 2);
	rack_recovered(&rack);
	CHECK_EQ(rack.window_mult, 1);
	rack_recovered(&rack);
	CHECK_EQ(rack.window_mult, 1);
	end();
}

/* ---- step 5 ----------------------------------------------------------------------- */

static void what_was_sent_before_is_lost_after_the_window(void)
{
	begin();
	send(3, START, 1000);
	sack(2, 3, START + RTT_US + 2000);
	/* The second may come later than the first. */
	CHECK_EQ(detect(START + RTT_US + 2000), WINDOW - 1000);
	CHECK_EQ(lost(), 0);
	CHECK_EQ(detect(START + RTT_US + WINDOW), 1000);
	CHECK_EQ(lost(), MSS);
	CHECK_EQ(detect(START + RTT_US + WINDOW + 999), 1);
	CHECK_EQ(lost(), MSS);
	CHECK_EQ(detect(START + RTT_US + WINDOW + 1000), 0);
	CHECK_EQ(lost(), 2 * MSS);
	end();
}

static void what_was_sent_after_is_not(void)
{
	begin();
	send(3, START, 1000);
	sack(1, 2, START + RTT_US + 1000);
	detect(START + 10 * RTT_US);
	CHECK_EQ(lost(), MSS);
	CHECK(!(flight_at(&pool, f.last)->flags & FLIGHT_LOST));
	end();
}

/* Sent at one time: the sequence number decides. */
static void ties_go_by_sequence(void)
{
	begin();
	send(5, START, 0);
	sack(2, 3, START + RTT_US);
	detect(START + RTT_US + WINDOW);
	CHECK_EQ(lost(), 2 * MSS);
	CHECK_EQ(flight_at(&pool, f.first)->end, ISS + 2 * MSS);
	end();
}

/* RFC 8985 section 3: a retransmission that is lost is found as an original is. */
static void a_lost_retransmission_is_found(void)
{
	uint32_t now_us = START + RTT_US;

	begin();
	path.recovering = true;
	send(4, START, 0);
	sack(1, 4, now_us);
	detect(now_us);
	CHECK_EQ(lost(), MSS);
	resend_lost(now_us);
	send(2, now_us + 10, 0); /* new, and behind it */
	CHECK_EQ(detect(now_us + 20), 0);
	CHECK_EQ(lost(), 0);
	now_us += RTT_US + 10;
	sack(4, 5, now_us);
	CHECK_EQ(detect(now_us), 0);
	CHECK_EQ(lost(), MSS);
	end();
}

/* The walk ends early, but not before what was sent again. */
static void a_resent_one_behind_newer_ones_is_found(void)
{
	begin();
	path.recovering = true;
	send(4, START, 0); /* 0 to 3 */
	flight_mark_lost(&f, &pool, flight_tail(&f, &pool, MSS));
	resend_lost(START + 100); /* 3 */
	flight_mark_head_lost(&f, &pool, MSS);
	resend_lost(START + 200); /* 0 */
	ack(1, START + 200 + RTT_US);
	detect(START + 200 + RTT_US);
	CHECK_EQ(lost(), 3 * MSS); /* all left the sender before the second copy of 0 did */
	end();
}

static void lost_once_is_not_lost_again_before_it_is_resent(void)
{
	begin();
	path.recovering = true;
	send(3, START, 0);
	sack(1, 2, START + RTT_US);
	detect(START + RTT_US);
	detect(START + 2 * RTT_US);
	CHECK_EQ(f.lost, MSS);
	end();
}

/* Each walk takes a part of a long list, and asks to be called again soon. */
static void a_long_list_is_walked_in_parts(void)
{
	uint32_t segments = 2 * FLIGHT_WALK_MAX + 10;

	begin();
	send(segments, START, 1);
	for (int i = 0; i < 4 && f.sacked_bytes == 0; i++) /* which is found in parts, too */
		sack(segments - 1, segments, START + 10 * RTT_US);
	CHECK_EQ(detect(START + 20 * RTT_US), 1);
	CHECK_EQ(lost(), FLIGHT_WALK_MAX * MSS);
	CHECK_EQ(detect(START + 20 * RTT_US), 1);
	CHECK_EQ(lost(), 2 * FLIGHT_WALK_MAX * MSS);
	una += (FLIGHT_WALK_MAX + 10) * MSS; /* the place in the list stays */
	flight_ack(&f, &pool, una, &d);
	CHECK_EQ(detect(START + 20 * RTT_US), 1); /* of the first part nothing is known now */
	CHECK_EQ(lost(), (FLIGHT_WALK_MAX - 1) * MSS);
	CHECK_EQ(detect(START + 20 * RTT_US), 0); /* what is left is walked in one go */
	end();
}

static void time_wraps(void)
{
	uint32_t start_us = 0u - RTT_US / 2;

	begin();
	send(3, start_us, 0);
	sack(1, 2, start_us + RTT_US);
	CHECK_EQ(rack.rtt_us, RTT_US);
	CHECK_EQ(detect(start_us + RTT_US + 1), WINDOW - 1);
	CHECK_EQ(detect(start_us + RTT_US + WINDOW), 0);
	CHECK_EQ(lost(), MSS);
	end();
}

/* ---- section 6.3 ------------------------------------------------------------------- */

static void a_timeout_takes_the_first_and_what_is_overdue(void)
{
	begin();
	send(2, START, 0);
	ack(1, START + RTT_US);
	send(1, START + RTT_US, 0);
	send(1, START + 5 * RTT_US, 0);
	path.now_us = START + 5 * RTT_US + 1;
	rack_mark_timeout(&rack, &path, &f, &pool);
	CHECK_EQ(lost(), 2 * MSS);
	CHECK(!(flight_at(&pool, f.last)->flags & FLIGHT_LOST));
	resend_lost((uint32_t)path.now_us);
	rack_mark_timeout(&rack, &path, &f, &pool);
	CHECK_EQ(lost(), MSS); /* the first again, whenever it was sent */
	end();
}

TEST_SUITE(rack)
{
	TEST(nothing_is_lost_before_something_arrived);
	TEST(the_latest_delivered_is_remembered);
	TEST(a_connection_may_begin_at_any_time_of_the_clock);
	TEST(a_pause_of_an_hour_changes_nothing);
	TEST(an_original_below_the_highest_tells_of_reordering);
	TEST(a_retransmission_below_the_highest_does_not);
	TEST(what_one_ack_tells_is_not_reordered);
	TEST(the_highest_counts_beside_a_retransmission);
	TEST(the_window_is_a_quarter_of_the_shortest_round_trip);
	TEST(without_reordering_there_is_no_window_in_recovery);
	TEST(without_reordering_three_sacked_end_the_window);
	TEST(with_reordering_the_window_stays_in_recovery);
	TEST(a_round_with_dsack_widens_the_window_once);
	TEST(the_window_is_a_smoothed_round_trip_at_most);
	TEST(the_widest_window_does_not_wrap);
	TEST(sixteen_recoveries_without_dsack_narrow_it_again);
	TEST(what_was_sent_before_is_lost_after_the_window);
	TEST(what_was_sent_after_is_not);
	TEST(ties_go_by_sequence);
	TEST(a_lost_retransmission_is_found);
	TEST(a_resent_one_behind_newer_ones_is_found);
	TEST(lost_once_is_not_lost_again_before_it_is_resent);
	TEST(a_long_list_is_walked_in_parts);
	TEST(time_wraps);
	TEST(a_timeout_takes_the_first_and_what_is_overdue);
}
