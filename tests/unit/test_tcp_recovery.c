/* SPDX-License-Identifier: BSD-3-Clause */
/* Losses, as a peer with SACK tells of them: RACK-TLP (RFC 8985) and PRR (RFC 9937). */
#include "support/recovery_fixture.h"

/* ---- fast recovery ------------------------------------------------------------- */

/* RFC 8985 section 6.2; before, RFC 3042's limited transmit. */
static void one_loss_is_repaired_in_a_round_trip(void)
{
	begin();
	begin_ten_of(30);
	SACK(0, {1, 2});
	SENT(10);
	SACK(0, {1, 3});
	SENT(11);
	SACK(0, {1, 4});
	SENT(0);
	CHECK_EQ(count_of(CNT_tcp_fast_retransmit), 1);
	CHECK_EQ(ssthresh(), 7 * mss);
	SACK(0, {1, 10});
	host_drain(h);
	CHECK_EQ(tcp_in_flight(tcp()), 7 * mss);
	host_advance_ms(h, RTT_MS);
	ack(12);
	CHECK_EQ(tcp()->recovery, RECOVERY_NONE);
	CHECK_RANGE(cwnd(), 7 * mss, 9 * mss);
	CHECK_EQ(count_of(CNT_tcp_retransmit), 1);
	CHECK_EQ(count_of(CNT_tcp_rto), 0);
	end();
}

static void many_losses_are_repaired_in_a_round_trip(void)
{
	begin();
	begin_ten_of(10);
	SACK(0, {1, 2}); /* 0, 2, 4 and 6 are lost */
	SACK(0, {3, 4}, {1, 2});
	SACK(0, {5, 6}, {3, 4}, {1, 2});
	SENT(0);
	SACK(0, {7, 8}, {5, 6}, {3, 4}, {1, 2});
	SENT(2);
	SACK(0, {7, 9}, {5, 6}, {3, 4});
	SACK(0, {7, 10}, {5, 6}, {3, 4});
	SENT(4, 6);
	host_advance_ms(h, RTT_MS);
	ack(2);
	ack(4);
	ack(6);
	ack(10);
	CHECK_EQ(tcp()->recovery, RECOVERY_NONE);
	CHECK_EQ(count_of(CNT_tcp_retransmit), 4);
	CHECK_EQ(count_of(CNT_tcp_fast_retransmit), 1);
	CHECK_EQ(count_of(CNT_tcp_rto), 0);
	HOST_EXPECT_NOTHING(h);
	end();
}

/* RFC 8985 section 3.3: what was sent after the retransmission arrives, it does not. */
static void a_lost_retransmission_is_sent_again_without_a_timeout(void)
{
	begin();
	begin_ten_of(30);
	SACK(0, {1, 4});
	SENT(0);
	SACK(0, {1, 10});
	host_drain(h);
	host_advance_ms(h, RTT_MS);
	SACK(0, {1, 11});
	PEER_EXPECT(&peer, TCP_SEQ_IS(seq_of(0)));
	CHECK_EQ(count_of(CNT_tcp_retransmit), 2);
	CHECK_EQ(count_of(CNT_tcp_rto), 0);
	CHECK_EQ(count_of(CNT_tcp_fast_retransmit), 1);
	host_drain(h);
	end();
}

/* RFC 9937 section 6.2: no more goes out than arrived. */
static void one_ack_of_many_starts_no_burst(void)
{
	begin();
	begin_ten_of(40);
	SACK(0, {8, 10});
	CHECK_EQ(host_drain(h), 2);
	host_advance_ms(h, RTT_MS / 4); /* 0 to 7 are lost */
	CHECK(tcp()->recovery == RECOVERY_FAST);
	CHECK_RANGE(host_drain(h), 1, 2);
	ack(1);
	CHECK_RANGE(host_drain(h), 1, 2);
	CHECK(tcp_in_flight(tcp()) <= 7 * mss);
	host_drain(h);
	end();
}

/* RFC 5681 section 3.2: FlightSize, not what is left of it when the timer sees the loss. */
static void a_loss_found_by_the_timer_halves_what_was_in_flight(void)
{
	begin();
	begin_ten_of(10);
	rack_saw_dsack(&tcp()->sending->rack, tcp()->snd_una, tcp()->snd_nxt);
	tcp()->sending->rack.reordering_seen = true;
	for (uint32_t i = 1; i < 10; i++)
		SACK(0, {1, i + 1});
	HOST_EXPECT_NOTHING(h);
	host_advance_ms(h, RTT_MS / 2 + 1);
	SENT(0);
	CHECK_EQ(ssthresh(), 7 * mss);
	end();
}

/* RFC 6675 section 5: what was lost of what was sent in recovery is a congestion event of its
 * own. */
static void losses_beyond_recovery_begin_another_one(void)
{
	begin();
	begin_ten_of(40);
	SACK(0, {1, 4});
	SENT(0);
	SACK(0, {1, 10}); /* more new data; its first one is lost */
	host_drain(h);
	host_advance_ms(h, RTT_MS);
	CHECK_EQ(tcp()->sending->recover, seq_of(10));
	CHECK_EQ(ssthresh(), 7 * mss);
	SACK(0, {12, 16}, {1, 10}); /* found during recovery ... */
	CHECK_EQ(count_of(CNT_tcp_fast_retransmit), 1);
	SACK(10, {12, 16}); /* ... which ends */
	CHECK_EQ(count_of(CNT_tcp_fast_retransmit), 2);
	CHECK(ssthresh() < 6 * mss);
	host_drain(h);
	end();
}

/* ---- reordering ------------------------------------------------------------------ */

static void reordering_within_a_quarter_round_trip_is_awaited(void)
{
	begin();
	begin_ten_of(10);
	SACK(0, {1, 2});
	host_advance_ms(h, RTT_MS / 4 - 1);
	ack(2);
	SACK(2, {3, 5});
	host_advance_ms(h, RTT_MS / 4 - 1);
	ack(10);
	host_advance_ms(h, 1000);
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(count_of(CNT_tcp_retransmit), 0);
	CHECK(tcp()->rest.reordering_seen); /* which is remembered */
	end();
}

static void more_reordering_is_learned_from_dsack(void)
{
	begin();
	begin_ten_of(10);
	SACK(0, {1, 2});
	host_advance_ms(h, RTT_MS / 4);
	SENT(0);
	CHECK(cwnd() < 10 * mss);
	ack(2); /* the first copy ... */
	SACK(2, {0, 1}); /* ... and the second */
	CHECK_EQ(count_of(CNT_tcp_dsack), 1);
	CHECK_EQ(count_of(CNT_tcp_undo), 1);
	CHECK_EQ(cwnd(), 10 * mss);
	CHECK_EQ(tcp()->sending->rack.window_mult, 2);
	ack(10);
	write_segments(10);
	host_drain(h);
	host_advance_ms(h, RTT_MS);
	SACK(10, {11, 12});
	host_advance_ms(h, RTT_MS / 2 - 1); /* twice as long */
	HOST_EXPECT_NOTHING(h);
	host_advance_ms(h, 1);
	SENT(10);
	end();
}

/* ---- the loss probe (RFC 8985 section 7) ------------------------------------------- */

static void a_lost_tail_is_repaired_by_a_probe_of_new_data(void)
{
	begin();
	write_segments(20);
	host_drain(h);
	host_advance_ms(h, 2 * RTT_MS + 1);
	HOST_EXPECT_NOTHING(h);
	host_advance_ms(h, 2);
	SENT(10);
	CHECK_EQ(count_of(CNT_tcp_loss_probe), 1);
	host_advance_ms(h, RTT_MS);
	SACK(7, {10, 11}); /* 7 to 9 are lost */
	host_advance_ms(h, RTT_MS / 4);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(7ull * mss, mss));
	CHECK_EQ(tcp()->recovery, RECOVERY_FAST);
	CHECK_EQ(count_of(CNT_tcp_rto), 0);
	host_drain(h);
	end();
}

/* Ten sent, 0 to 8 arrive; the probe is the last one again. */
static void begin_probed(void)
{
	begin_ten_of(10);
	ack(8);
	host_advance_ms(h, 2 * RTT_MS + 3);
	SENT(9);
	CHECK_EQ(count_of(CNT_tcp_loss_probe), 1);
	CHECK_EQ(count_of(CNT_tcp_rto), 0);
	host_advance_ms(h, RTT_MS);
}

static void a_lost_tail_is_repaired_by_a_probe_of_old_data(void)
{
	begin();
	begin_probed();
	SACK(8, {9, 10});
	host_advance_ms(h, RTT_MS / 4);
	SENT(8);
	ack(10);
	CHECK_EQ(count_of(CNT_tcp_rto), 0);
	CHECK_EQ(tcp()->recovery, RECOVERY_NONE);
	end();
}

/* Section 7.2: even a lone one, whose ACK may be delayed; the probe comes before the timeout. */
static void a_lone_segment_is_probed_before_its_timeout(void)
{
	begin();
	write_segments(1);
	SENT(0);
	host_advance_ms(h, 300);
	SENT(0);
	CHECK_EQ(count_of(CNT_tcp_loss_probe), 1);
	CHECK_EQ(count_of(CNT_tcp_rto), 0);
	host_advance_ms(h, 300);
	CHECK_EQ(count_of(CNT_tcp_rto), 1);
	host_drain(h);
	end();
}

/* Section 7.4, case 1. */
static void a_needless_probe_told_by_dsack_costs_nothing(void)
{
	uint32_t before;

	begin();
	begin_probed();
	before = cwnd();
	ack(10);
	SACK(10, {9, 10});
	write_segments(5);
	host_drain(h);
	ack(15);
	CHECK(cwnd() >= before);
	CHECK_EQ(ssthresh(), SSTHRESH_INFINITE);
	end();
}

/* Case 2: a peer without DSACK repeats its ACK. */
static void a_needless_probe_told_by_a_duplicate_costs_nothing(void)
{
	begin();
	begin_probed();
	ack(10);
	ack(10);
	write_segments(5);
	host_drain(h);
	ack(15);
	CHECK_EQ(ssthresh(), SSTHRESH_INFINITE);
	end();
}

/* Case 3: the probe repaired a loss nobody tells of. */
static void a_probe_that_repaired_a_loss_counts_as_one(void)
{
	begin();
	begin_probed();
	ack(10);
	write_segments(5);
	host_drain(h);
	ack(15);
	CHECK(ssthresh() != SSTHRESH_INFINITE);
	CHECK_EQ(cwnd(), ssthresh());
	end();
}

/* A probe that recovery overtook is forgotten whole. */
static void a_later_probe_of_new_data_is_not_taken_for_old(void)
{
	uint32_t before;

	begin();
	begin_probed();
	SACK(8, {9, 10}); /* recovery */
	host_advance_ms(h, RTT_MS / 4);
	SENT(8);
	host_advance_ms(h, RTT_MS);
	ack(10);
	before = ssthresh();
	write_segments(40);
	host_drain(h);
	ack(11);
	host_drain(h);
	host_advance_ms(h, 2 * RTT_MS + 30);
	CHECK_EQ(count_of(CNT_tcp_loss_probe), 2);
	CHECK(!(tcp()->flags & TCP_SOCK_PROBE_RESENT));
	CHECK_EQ(ssthresh(), before);
	host_drain(h);
	end();
}

/* No record for a new segment: the probe is an old one. */
static void a_probe_without_a_record_left_sends_nothing_new(void)
{
	struct host_config config = host_config_default();

	config.worker.max_flight_records = 1;
	begin_with(&config, true, false);
	write_segments(20);
	host_drain(h);
	host_advance_ms(h, RTT_MS);
	peer.window = 0;
	ack(1);
	peer.window = 65535;
	ack(1); /* all in flight goes again */
	host_drain(h);
	ack(2);
	host_drain(h);
	host_advance_ms(h, 1000); /* the sock stays sane */
	host_drain(h);
	ack(10);
	host_drain(h);
	end();
}

/* Section 7.2: after an ACK, the one that ends recovery too. */
static void a_tail_sent_in_recovery_is_probed(void)
{
	begin();
	begin_ten_of(12);
	SACK(0, {1, 4});
	SENT(0);
	SACK(0, {1, 10});
	SENT(10, 11);
	host_advance_ms(h, RTT_MS);
	ack(10); /* 10 and 11 are lost */
	CHECK_EQ(tcp()->recovery, RECOVERY_NONE);
	host_advance_ms(h, 2 * RTT_MS - 1);
	HOST_EXPECT_NOTHING(h);
	host_advance_ms(h, 20);
	CHECK_EQ(count_of(CNT_tcp_loss_probe), 1);
	CHECK_EQ(count_of(CNT_tcp_rto), 0);
	SENT(11);
	end();
}

TEST_SUITE(tcp_recovery)
{
	TEST(one_loss_is_repaired_in_a_round_trip);
	TEST(many_losses_are_repaired_in_a_round_trip);
	TEST(a_lost_retransmission_is_sent_again_without_a_timeout);
	TEST(one_ack_of_many_starts_no_burst);
	TEST(a_loss_found_by_the_timer_halves_what_was_in_flight);
	TEST(losses_beyond_recovery_begin_another_one);
	TEST(reordering_within_a_quarter_round_trip_is_awaited);
	TEST(more_reordering_is_learned_from_dsack);
	TEST(a_lost_tail_is_repaired_by_a_probe_of_new_data);
	TEST(a_lost_tail_is_repaired_by_a_probe_of_old_data);
	TEST(a_lone_segment_is_probed_before_its_timeout);
	TEST(a_needless_probe_told_by_dsack_costs_nothing);
	TEST(a_needless_probe_told_by_a_duplicate_costs_nothing);
	TEST(a_probe_that_repaired_a_loss_counts_as_one);
	TEST(a_later_probe_of_new_data_is_not_taken_for_old);
	TEST(a_probe_without_a_record_left_sends_nothing_new);
	TEST(a_tail_sent_in_recovery_is_probed);
}
