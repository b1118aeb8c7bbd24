/* SPDX-License-Identifier: BSD-3-Clause */
/* What is in flight: the records' list, its sums, and what an ACK delivers. */
#include "support/flight_fixture.h"

static uint32_t pipe_bytes(void)
{
	return flight_pipe(&f, una, nxt);
}

/* ---- sending --------------------------------------------------------------- */

static void one_iteration_shares_one_record(void)
{
	begin();
	for (int i = 0; i < 10; i++)
		send(100, 5);
	CHECK_EQ(f.records, 1);
	CHECK_EQ(flight_at(&pool, f.first)->in_flight, 1000);
	send(100, 6);
	CHECK_EQ(f.records, 2);
	CHECK_EQ(flight_at(&pool, f.last)->in_flight, 1100);
	CHECK_EQ(pipe_bytes(), 1100);
	end();
}

static void send_mtu_probe(uint32_t bytes, uint32_t now_us)
{
	CHECK(flight_sent_mtu_probe(&f, &pool, nxt, nxt + bytes, una, now_us));
	nxt += bytes;
	check_sane();
}

static void an_mtu_probe_gets_a_record_of_its_own(void)
{
	begin();
	send(100, 5);
	send_mtu_probe(150, 5);
	send(100, 5);
	CHECK_EQ(f.records, 3);
	CHECK_EQ(flight_mtu_probe(&f, &pool), index_at(100));
	CHECK_EQ(flight_at(&pool, index_at(100))->end - flight_at(&pool, index_at(100))->seq, 150);
	ack(100, 20);
	CHECK(!d.mtu_probe);
	ack(150, 20);
	CHECK(d.mtu_probe);
	CHECK_EQ(flight_mtu_probe(&f, &pool), FLIGHT_NONE);
	end();
}

static void a_selectively_acknowledged_mtu_probe_is_told_once(void)
{
	begin();
	send(100, 5);
	send_mtu_probe(150, 5);
	sack(100, 250, 20);
	CHECK(d.mtu_probe);
	CHECK_EQ(flight_mtu_probe(&f, &pool), FLIGHT_NONE);
	ack(250, 30);
	CHECK(!d.mtu_probe);
	end();
}

/* It goes in ordinary segments then. */
static void an_mtu_probe_sent_again_is_none(void)
{
	begin();
	send_mtu_probe(150, 5);
	flight_mark_lost(&f, &pool, f.first);
	CHECK_EQ(flight_mtu_probe(&f, &pool), f.first);
	flight_resent(&f, &pool, f.first, 100, una, 20);
	flight_resent(&f, &pool, index_at(100), 50, una, 20);
	CHECK_EQ(flight_mtu_probe(&f, &pool), FLIGHT_NONE);
	ack(150, 30);
	CHECK(!d.mtu_probe);
	CHECK_EQ(d.largest_bytes, 0);
	end();
}

static void the_largest_stretch_delivered_is_told(void)
{
	begin();
	send(100, 5);
	send(300, 6);
	send(200, 7);
	sack(100, 300, 20);
	CHECK_EQ(d.largest_bytes, 200);
	ack(600, 21);
	CHECK_EQ(d.largest_bytes, 200); /* the 300 were told of, or cut */
	end();
}

static void what_is_app_limited_gets_a_record_of_its_own(void)
{
	begin();
	send(100, 5);
	f.app_limited = 1;
	send(100, 5);
	CHECK_EQ(f.records, 2);
	CHECK(!(flight_at(&pool, f.first)->flags & FLIGHT_APP_LIMITED));
	CHECK(flight_at(&pool, f.last)->flags & FLIGHT_APP_LIMITED);
	end();
}

static void what_was_sacked_or_resent_is_not_extended(void)
{
	begin();
	send(100, 5);
	sack(0, 100, 5);
	send(100, 5);
	CHECK_EQ(f.records, 2);
	flight_mark_lost(&f, &pool, f.last);
	flight_resent(&f, &pool, f.last, 100, una, 5);
	send(100, 5);
	CHECK_EQ(f.records, 3);
	end();
}

static void a_record_does_not_grow_for_ever(void)
{
	begin();
	send(FLIGHT_RECORD_MAX_BYTES, 5);
	send(100, 5);
	CHECK_EQ(f.records, 2);
	end();
}

/* ---- acknowledging ---------------------------------------------------------- */

static void an_ack_takes_records_and_shortens_the_next(void)
{
	begin();
	send(100, 1);
	send(100, 2);
	ack(150, 10);
	CHECK_EQ(f.records, 1);
	CHECK_EQ(d.acked_bytes, 150);
	CHECK_EQ(f.delivered, 150);
	CHECK_EQ(pipe_bytes(), 50);
	CHECK(d.any);
	CHECK_EQ(d.newest.sent_us, 2);
	CHECK_EQ(d.newest.end, una); /* what arrived of it */
	CHECK(d.original);
	CHECK_EQ(d.oldest_original_us, 1);
	ack(50, 11);
	CHECK_EQ(f.records, 0);
	CHECK_EQ(f.first, FLIGHT_NONE);
	CHECK_EQ(f.last, FLIGHT_NONE);
	end();
}

static void what_was_sacked_is_not_delivered_twice(void)
{
	begin();
	send(300, 1);
	sack(100, 200, 10);
	CHECK_EQ(d.acked_bytes, 100);
	CHECK_EQ(d.sacked_bytes, 100);
	CHECK_EQ(f.sacked_bytes, 100);
	CHECK_EQ(pipe_bytes(), 200);
	sack(100, 200, 11);
	CHECK_EQ(d.acked_bytes, 0);
	CHECK(!d.any);
	ack(300, 12);
	CHECK_EQ(d.acked_bytes, 200);
	CHECK_EQ(f.delivered, 300);
	end();
}

static void a_sack_block_splits_at_both_ends(void)
{
	begin();
	send(300, 1);
	sack(100, 200, 10);
	CHECK_EQ(f.records, 3);
	CHECK_EQ(d.newest.end, una + 200);
	CHECK_EQ(d.lowest_original_end, una + 200);
	end();
}

static void neighbours_the_peer_has_become_one(void)
{
	begin();
	for (uint32_t i = 0; i < 10; i++)
		send(100, i);
	sack(100, 200, 10);
	sack(300, 400, 10);
	sack(200, 300, 10);
	CHECK_EQ(f.records, 1 + 1 + 6);
	sack(100, 1000, 10);
	CHECK_EQ(f.records, 2);
	CHECK_EQ(f.sacked_bytes, 900);
	CHECK_EQ(d.sacked_bytes, 600);
	CHECK_EQ(f.last, flight_at(&pool, f.first)->next);
	ack(1000, 11);
	CHECK_EQ(f.sacked_bytes, 0);
	end();
}

/* The list is as long as there are holes. */
static void every_other_segment_sacked_then_the_rest(void)
{
	begin();
	for (uint32_t i = 0; i < 20; i++)
		send(100, i);
	for (uint32_t i = 1; i < 20; i += 2)
		sack(i * 100, i * 100 + 100, 50);
	CHECK_EQ(f.records, 20);
	for (uint32_t i = 2; i < 20; i += 2)
		sack(i * 100, i * 100 + 100, 50);
	CHECK_EQ(f.records, 2);
	end();
}

/* RFC 8985 section 6.2, step 2: whose copy it is decides. */
static void the_newest_is_the_one_sent_last(void)
{
	begin();
	send(100, 1);
	send(100, 2);
	send(100, 3);
	flight_mark_lost(&f, &pool, f.first);
	flight_resent(&f, &pool, f.first, 100, una, 9);
	ack(300, 20);
	CHECK_EQ(d.newest.sent_us, 9);
	CHECK(d.resent);
	CHECK(d.original);
	CHECK_EQ(d.oldest_original_us, 2);
	end();
}

static void an_ambiguous_copy_is_not_the_newest(void)
{
	begin();
	send(100, 1);
	flight_mark_lost(&f, &pool, f.first);
	flight_resent(&f, &pool, f.first, 100, una, 5000);
	delivery_begin(5500);
	d.min_rtt_us = 1000; /* half a round trip after the second copy left */
	flight_ack(&f, &pool, una + 50, &d);
	una += 50;
	CHECK(!d.any);
	CHECK_EQ(d.acked_bytes, 50);
	/* Old enough, but the echo is of the first copy. */
	delivery_begin(9000);
	d.min_rtt_us = 1000;
	d.has_echo = true;
	d.echo_ms = 4;
	flight_ack(&f, &pool, una + 20, &d);
	una += 20;
	CHECK(!d.any);
	delivery_begin(9000);
	d.has_echo = true;
	d.echo_ms = 5;
	flight_ack(&f, &pool, una + 10, &d);
	una += 10;
	CHECK(d.any);
	end();
}

/* ---- losses -------------------------------------------------------------------- */

static void lost_and_resent_count_in_the_pipe(void)
{
	uint32_t first;

	begin();
	send(300, 1);
	sack(200, 300, 2);
	first = index_at(0);
	flight_mark_lost(&f, &pool, first);
	CHECK_EQ(f.lost_bytes, 200);
	CHECK_EQ(f.lost, 200);
	CHECK_EQ(pipe_bytes(), 0);
	CHECK_EQ(flight_next_lost(&f, &pool), first);
	flight_resent(&f, &pool, first, 100, una, 3);
	check_sane();
	CHECK_EQ(f.records, 3);
	CHECK_EQ(pipe_bytes(), 100);
	CHECK_EQ(flight_at(&pool, first)->in_flight, 100);
	CHECK_EQ(flight_next_lost(&f, &pool), index_at(100));
	flight_resent(&f, &pool, index_at(100), 100, una, 3);
	CHECK_EQ(pipe_bytes(), 200);
	CHECK_EQ(flight_next_lost(&f, &pool), FLIGHT_NONE);
	flight_mark_lost(&f, &pool, first); /* once more */
	CHECK_EQ(pipe_bytes(), 100);
	CHECK_EQ(f.lost, 300);
	CHECK_EQ(flight_next_lost(&f, &pool), first);
	check_sane();
	flight_clear_lost(&f, &pool);
	CHECK_EQ(pipe_bytes(), 200);
	CHECK_EQ(flight_next_lost(&f, &pool), FLIGHT_NONE);
	check_sane();
	end();
}

static void the_head_is_marked_lost_once(void)
{
	begin();
	send(300, 1);
	flight_mark_head_lost(&f, &pool, 100);
	CHECK_EQ(f.lost_bytes, 100);
	flight_mark_head_lost(&f, &pool, 100);
	CHECK_EQ(f.lost_bytes, 100);
	ack(100, 2);
	flight_mark_head_lost(&f, &pool, 1000);
	CHECK_EQ(f.lost_bytes, 200);
	check_sane();
	end();
}

/* RFC 2018 section 8. */
static void all_lost_spares_or_forgets_what_was_sacked(void)
{
	begin();
	send(300, 1);
	sack(100, 200, 2);
	flight_mark_all_lost(&f, &pool, false);
	check_sane();
	CHECK_EQ(f.lost_bytes, 200);
	CHECK_EQ(f.sacked_bytes, 100);
	flight_mark_all_lost(&f, &pool, true);
	check_sane();
	CHECK_EQ(f.lost_bytes, 300);
	CHECK_EQ(f.sacked_bytes, 0);
	CHECK_EQ(f.lost, 300);
	end();
}

static void the_tail_is_cut_to_length(void)
{
	uint32_t tail;

	begin();
	send(300, 1);
	tail = flight_tail(&f, &pool, 100);
	CHECK_EQ(flight_at(&pool, tail)->seq, una + 200);
	CHECK_EQ(flight_at(&pool, tail)->end, nxt);
	CHECK_EQ(flight_tail(&f, &pool, 100), tail);
	check_sane();
	end();
}

/* ---- no record left ---------------------------------------------------------------- */

static void without_a_record_the_last_one_stands_for_more(void)
{
	begin_with(2, 1000);
	send(100, 1);
	send(100, 2);
	CHECK(flight_has_room(&f, &pool));
	CHECK(send(100, 3));
	CHECK_EQ(f.records, 2);
	CHECK_EQ(flight_at(&pool, f.last)->sent_us, 3); /* no sooner lost than it was sent */
	sack(150, 250, 4); /* it cannot be told: it counts as not there */
	CHECK_EQ(f.sacked_bytes, 0);
	CHECK_EQ(d.acked_bytes, 0);
	sack(100, 300, 4);
	CHECK_EQ(f.sacked_bytes, 200);
	CHECK(!flight_has_room(&f, &pool)); /* the peer has it, what is new it has not */
	CHECK(!send(100, 5));
	check_sane();
	ack(100, 6);
	CHECK(flight_has_room(&f, &pool));
	CHECK(send(100, 5));
	end();
}

/* Karn's rule: what of it was sent when is not known. */
static void what_a_coarser_record_holds_is_not_measured(void)
{
	begin_with(1, 1000);
	send(100, 1000);
	send(100, 9000);
	delivery_begin(9500);
	d.min_rtt_us = 5000;
	flight_ack(&f, &pool, una + 100, &d);
	una += 100;
	CHECK_EQ(d.acked_bytes, 100);
	CHECK(!d.original);
	CHECK(!d.any);
	end();
}

static void without_a_record_a_part_sent_again_stands_for_all(void)
{
	begin_with(1, 1000);
	send(300, 1);
	flight_mark_head_lost(&f, &pool, 100);
	CHECK_EQ(f.lost_bytes, 300);
	flight_resent(&f, &pool, f.first, 100, una, 2);
	CHECK_EQ(f.resent_bytes, 300);
	CHECK_EQ(flight_next_lost(&f, &pool), FLIGHT_NONE);
	check_sane();
	end();
}

static void one_connection_gets_so_many_records(void)
{
	begin_with(2 * (FLIGHT_RECORDS_MAX + 10), 1000);
	for (uint32_t i = 0; i < FLIGHT_RECORDS_MAX + 5; i++)
		CHECK(send(1, i));
	CHECK_EQ(f.records, FLIGHT_RECORDS_MAX);
	CHECK_EQ(pool.used, FLIGHT_RECORDS_MAX);
	end();
}

/* Others leave the last quarter to those that have few. */
static void a_pool_that_runs_low_is_for_those_that_have_few(void)
{
	struct flight other;

	begin_with(64, 1000);
	for (uint32_t i = 0; i < 100; i++)
		CHECK(send(100, 10 * i));
	CHECK_EQ(f.records, 48);
	flight_init(&other);
	for (uint32_t i = 0; i < FLIGHT_RECORDS_FEW; i++)
		CHECK(flight_sent(&other, &pool, 100 * i, 100 * (i + 1), 0, 10 * i));
	CHECK_EQ(other.records, FLIGHT_RECORDS_FEW);
	CHECK_EQ(pool.used, 64);
	flight_clear(&other, &pool);
	end();
}

/* ---- wrap ----------------------------------------------------------------------------- */

static void sequence_numbers_and_time_wrap(void)
{
	begin_with(POOL_RECORDS, 0xffffff00u);
	send(200, 0xfffffff0u);
	send(200, 0x10);
	sack(100, 300, 0x100000100ull);
	CHECK_EQ(f.records, 3);
	CHECK_EQ(d.newest.sent_us, 0x10);
	CHECK_EQ(d.oldest_original_us, 0xfffffff0u);
	CHECK_EQ(d.lowest_original_end, una + 200);
	CHECK(flight_sent_after(0x10, 1, 0xfffffff0u, 2));
	CHECK(flight_sent_after(5, 0x10, 5, 0xfffffff0u));
	CHECK(!flight_sent_after(5, 5, 5, 5));
	ack(400, 0x100000200ull);
	CHECK_EQ(f.records, 0);
	end();
}

TEST_SUITE(flight)
{
	TEST(one_iteration_shares_one_record);
	TEST(an_mtu_probe_gets_a_record_of_its_own);
	TEST(a_selectively_acknowledged_mtu_probe_is_told_once);
	TEST(an_mtu_probe_sent_again_is_none);
	TEST(the_largest_stretch_delivered_is_told);
	TEST(what_is_app_limited_gets_a_record_of_its_own);
	TEST(what_was_sacked_or_resent_is_not_extended);
	TEST(a_record_does_not_grow_for_ever);
	TEST(an_ack_takes_records_and_shortens_the_next);
	TEST(what_was_sacked_is_not_delivered_twice);
	TEST(a_sack_block_splits_at_both_ends);
	TEST(neighbours_the_peer_has_become_one);
	TEST(every_other_segment_sacked_then_the_rest);
	TEST(the_newest_is_the_one_sent_last);
	TEST(an_ambiguous_copy_is_not_the_newest);
	TEST(lost_and_resent_count_in_the_pipe);
	TEST(the_head_is_marked_lost_once);
	TEST(all_lost_spares_or_forgets_what_was_sacked);
	TEST(the_tail_is_cut_to_length);
	TEST(without_a_record_the_last_one_stands_for_more);
	TEST(what_a_coarser_record_holds_is_not_measured);
	TEST(without_a_record_a_part_sent_again_stands_for_all);
	TEST(one_connection_gets_so_many_records);
	TEST(a_pool_that_runs_low_is_for_those_that_have_few);
	TEST(sequence_numbers_and_time_wrap);
}
