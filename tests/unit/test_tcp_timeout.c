/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Timeouts, reductions that are taken back (DSACK, Eifel, F-RTO), and what goes
 * again for other reasons than congestion.
 */
#include <errno.h>
#include <sys/socket.h>

#include "support/recovery_fixture.h"
#include "tcp/tcp.h"

/* ---- taking it back ----------------------------------------------------------------- */

/* RFC 3708: only what it says of what was sent again counts. */
static void an_older_duplicate_undoes_nothing(void)
{
	begin();
	begin_ten_of(30);
	ack(2);
	host_drain(h);
	SACK(2, {3, 6});
	CHECK_EQ(tcp()->recovery, RECOVERY_FAST);
	CHECK_EQ(count_of(CNT_tcp_retransmit), 1);
	SACK(2, {0, 1}, {3, 6}); /* the network doubled it */
	CHECK_EQ(count_of(CNT_tcp_dsack), 1);
	CHECK_EQ(count_of(CNT_tcp_undo), 0);
	SACK(3, {2, 3}, {3, 6});
	CHECK_EQ(count_of(CNT_tcp_undo), 1);
	host_drain(h);
	end();
}

/* RFC 3522: an echo older than the retransmission, of an ACK that advances. */
static void an_old_echo_undoes_a_fast_retransmission(void)
{
	uint32_t echo;

	begin_with(NULL, true, true);
	begin_ten_of(30);
	echo = peer.ts_recent;
	SACK(0, {1, 4});
	SENT(0);
	CHECK(cwnd() < 10 * mss);
	peer.ts_recent = echo;
	ack(4);
	CHECK_EQ(count_of(CNT_tcp_undo), 1);
	CHECK(cwnd() >= 10 * mss);
	CHECK_EQ(tcp()->recovery, RECOVERY_NONE);
	host_drain(h);
	end();
}

static void a_fresh_echo_undoes_nothing(void)
{
	begin_with(NULL, true, true);
	begin_ten_of(30);
	SACK(0, {1, 4});
	SENT(0); /* its timestamp is echoed */
	host_advance_ms(h, RTT_MS);
	ack(4);
	CHECK_EQ(count_of(CNT_tcp_undo), 0);
	CHECK_EQ(tcp()->recovery, RECOVERY_FAST);
	host_drain(h);
	end();
}

/* ---- timeouts -------------------------------------------------------------------------- */

static void begin_without_sack(void)
{
	begin_with(NULL, false, false);
}

/* Runs into the timeout of what is in flight. */
static void time_out(void)
{
	uint64_t before = count_of(CNT_tcp_rto);

	for (int ms = 0; ms < 2000 && count_of(CNT_tcp_rto) == before; ms++)
		host_advance_ms(h, 1);
	CHECK_EQ(count_of(CNT_tcp_rto), before + 1);
}

/* RFC 6298 (5.4) and RFC 5681 section 3.1: the first one, then slow start. */
static void a_timeout_is_followed_by_slow_start(void)
{
	begin_without_sack();
	begin_ten_of(10);
	time_out();
	SENT(0);
	CHECK_EQ(ssthresh(), 7 * mss);
	ack(1);
	SENT(1, 2);
	ack(2);
	SENT(3, 4);
	ack(4);
	SENT(5, 6, 7);
	ack(10);
	CHECK_EQ(tcp()->recovery, RECOVERY_NONE);
	CHECK_EQ(count_of(CNT_tcp_undo), 0);
	end();
}

/* RFC 6298 (5.5). */
static void timeouts_in_a_row_take_twice_as_long(void)
{
	struct host_config config = host_config_default();
	uint32_t rto_ms;

	config.worker.mtu_probing = MTU_PROBING_OFF; /* it would try smaller segments */
	begin_with(&config, false, false);
	begin_ten_of(10);
	time_out();
	host_drain(h);
	for (rto_ms = 2 * rtt_rto_ms(&tcp()->rtt); rto_ms < 5000; rto_ms *= 2) {
		uint32_t before = ssthresh();

		host_advance_ms(h, rto_ms - 1);
		HOST_EXPECT_NOTHING(h);
		host_advance_ms(h, 1);
		SENT(0);
		CHECK_EQ(ssthresh(), before); /* RFC 5681 section 3.1 */
		CHECK_EQ(cwnd(), mss);
	}
	end();
}

/* RFC 5682 section 3.1: an original arrives after the timeout. */
static void a_spurious_timeout_is_undone(void)
{
	begin();
	begin_ten_of(30);
	time_out();
	SENT(10, 0); /* the loss probe before */
	CHECK_EQ(cwnd(), mss);
	ack(2);
	CHECK_EQ(count_of(CNT_tcp_undo), 1);
	CHECK(cwnd() >= 10 * mss);
	CHECK_EQ(tcp()->sending->flight.lost_bytes, 0);
	CHECK_EQ(count_of(CNT_tcp_retransmit), 1);
	host_drain(h);
	end();
}

static void a_real_timeout_is_not_undone(void)
{
	begin();
	begin_ten_of(30);
	time_out();
	SENT(10, 0);
	ack(1);
	SENT(11, 12); /* new data asks */
	SACK(1, {11, 12});
	CHECK_EQ(count_of(CNT_tcp_undo), 0);
	PEER_EXPECT(&peer, TCP_SEQ_IS(seq_of(1)));
	CHECK_EQ(tcp()->recovery, RECOVERY_TIMEOUT);
	CHECK_EQ(ssthresh(), 11 * mss * 7 / 10);
	host_drain(h);
	end();
}

/* RFC 5682 section 2.1. */
static void without_sack_the_second_ack_tells_of_a_spurious_timeout(void)
{
	begin_without_sack();
	begin_ten_of(30);
	time_out();
	SENT(0);
	ack(1);
	SENT(10, 11);
	CHECK_EQ(count_of(CNT_tcp_undo), 0);
	ack(2);
	CHECK_EQ(count_of(CNT_tcp_undo), 1);
	CHECK_EQ(count_of(CNT_tcp_retransmit), 1);
	host_drain(h);
	end();
}

static void without_sack_a_duplicate_tells_of_a_real_one(void)
{
	begin_without_sack();
	begin_ten_of(30);
	time_out();
	SENT(0);
	ack(1);
	SENT(10, 11);
	ack(1);
	PEER_EXPECT(&peer, TCP_SEQ_IS(seq_of(1)));
	ack(3);
	CHECK_EQ(count_of(CNT_tcp_undo), 0);
	host_drain(h);
	end();
}

/* Step 2 b: with no room for new data nothing can be told, for an ACK may jump over what had
 * arrived. */
static void without_room_for_new_data_no_timeout_is_spurious(void)
{
	begin_without_sack();
	peer.window = (uint16_t)(10 * mss);
	ack(0);
	begin_ten_of(30);
	time_out();
	SENT(0);
	peer.window = (uint16_t)(5 * mss);
	ack(5); /* 5 is lost, too */
	SENT(5, 6);
	peer.window = 65535;
	ack(10);
	CHECK_EQ(count_of(CNT_tcp_undo), 0);
	CHECK_EQ(ssthresh(), 7 * mss);
	host_drain(h);
	end();
}

/* RFC 2018 section 8. */
static void a_peer_that_threw_away_gets_all_again(void)
{
	begin();
	begin_ten_of(10);
	SACK(0, {1, 10});
	SENT(0);
	host_advance_ms(h, RTT_MS);
	ack(1);
	time_out();
	SENT(1);
	CHECK_EQ(tcp()->sending->flight.sacked_bytes, 0);
	for (uint32_t i = 2; i <= 10; i++)
		ack(i);
	CHECK_EQ(tcp()->snd_una, seq_of(10));
	CHECK_EQ(count_of(CNT_tcp_rto), 1);
	host_drain(h);
	end();
}

static void a_shut_window_over_what_was_thrown_away_is_probed(void)
{
	begin();
	begin_ten_of(10);
	SACK(0, {1, 10});
	host_drain(h);
	peer.window = 0;
	ack(1);
	host_advance_ms(h, 3000);
	PEER_EXPECT(&peer, TCP_SEQ_IS(seq_of(1)), PAYLOAD_IS_PATTERN(mss, 1));
	host_drain(h);
	peer.window = 65535;
	ack(1);
	PEER_EXPECT(&peer, TCP_SEQ_IS(seq_of(1)));
	for (uint32_t i = 2; i <= 10; i++)
		ack(i);
	CHECK_EQ(tcp()->snd_una, seq_of(10));
	host_drain(h);
	end();
}

/* RFC 6937 section 2: each duplicate is one segment delivered, and counts once. */
static void without_sack_what_is_delivered_counts_once(void)
{
	begin_without_sack();
	begin_ten_of(10);
	for (int i = 0; i < 9; i++)
		ack(0);
	SENT(0);
	ack(10);
	CHECK_EQ(tcp()->sending->flight.delivered, 10 * mss);
	end();
}

/* ---- window, path MTU, FIN --------------------------------------------------------------- */

/* What a shut window did not let in is no loss: no reduction. */
static void what_a_shut_window_refused_goes_again_when_it_opens(void)
{
	uint32_t before;

	begin();
	begin_ten_of(10);
	peer.window = 0;
	ack(2);
	before = cwnd();
	host_advance_ms(h, 700);
	CHECK(count_of(CNT_tcp_zero_window_probe) > 0);
	CHECK_EQ(count_of(CNT_tcp_rto), 0);
	host_drain(h);
	peer.window = 65535;
	ack(2);
	CHECK_EQ(tcp()->sending->flight.lost_bytes, 8 * mss);
	CHECK_EQ(tcp()->sending->flight.resent_bytes, 8 * mss);
	host_drain(h);
	ack(10);
	CHECK(cwnd() >= before);
	CHECK_EQ(ssthresh(), SSTHRESH_INFINITE);
	end();
}

static void ack_bytes(uint32_t bytes)
{
	peer_inject(&peer, TH_ACK, peer.seq, seq_of(0) + bytes, NULL, 0);
	host_poll(h);
}

/* RFC 1191 section 6.3. */
static void a_smaller_path_mtu_resends_in_smaller_pieces(void)
{
	uint32_t large, at = 0;

	begin();
	large = mss;
	write_segments(9);
	app_write_pattern(&s, 500);
	host_settle(h);
	host_advance_ms(h, RTT_MS);
	peer.sack[0][0] = seq_of(9); /* the last one was small enough */
	peer.sack[0][1] = seq_of(9) + 500;
	peer.sack_count = 1;
	peer_inject(&peer, TH_ACK, peer.seq, seq_of(0), NULL, 0);
	peer.sack_count = 0;
	host_poll(h);
	host_drain(h);
	tcp_ip_protocol.error(h->w, &tcp()->ics.inet.flow, seq_of(0), EMSGSIZE, 1000);
	host_settle(h);
	while (host_tx_count(h) > 0) {
		struct tcp_segment t = PEER_TAKE(&peer);

		CHECK_EQ(t.seq, seq_of(0) + at);
		CHECK(t.length <= 960);
		at += t.length;
		if (host_tx_count(h) == 0 && at < 9 * large)
			ack_bytes(at);
	}
	CHECK_EQ(at, 9 * large);
	CHECK_EQ(ssthresh(), SSTHRESH_INFINITE);
	CHECK_EQ(count_of(CNT_tcp_rto), 0);
	ack_bytes(9 * large + 500);
	end();
}

static void a_lost_fin_goes_again(void)
{
	begin();
	write_segments(1);
	SENT(0);
	CHECK_EQ(app_shutdown(&s, SHUT_WR), 0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_FIN | TH_ACK), TCP_SEQ_IS(seq_of(1)));
	host_advance_ms(h, RTT_MS);
	ack(1);
	host_advance_ms(h, 1000);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_FIN | TH_ACK), TCP_SEQ_IS(seq_of(1)), PAYLOAD_IS(0));
	host_drain(h);
	ack_bytes(mss + 1);
	CHECK_EQ(host_state(&s), TCP_FIN_WAIT2);
	end();
}

static void lost_data_and_fin_go_again(void)
{
	begin();
	write_segments(3);
	SENT(0, 1, 2);
	CHECK_EQ(app_shutdown(&s, SHUT_WR), 0);
	host_drain(h);
	time_out();
	host_drain(h);
	ack(1);
	ack(3);
	CHECK_EQ(host_state(&s), TCP_FIN_WAIT1);
	host_advance_ms(h, 1000);
	CHECK(host_drain(h) > 0);
	ack_bytes(3 * mss + 1);
	CHECK_EQ(host_state(&s), TCP_FIN_WAIT2);
	end();
}

TEST_SUITE(tcp_timeout)
{
	TEST(an_older_duplicate_undoes_nothing);
	TEST(an_old_echo_undoes_a_fast_retransmission);
	TEST(a_fresh_echo_undoes_nothing);
	TEST(a_timeout_is_followed_by_slow_start);
	TEST(timeouts_in_a_row_take_twice_as_long);
	TEST(a_spurious_timeout_is_undone);
	TEST(a_real_timeout_is_not_undone);
	TEST(without_sack_the_second_ack_tells_of_a_spurious_timeout);
	TEST(without_sack_a_duplicate_tells_of_a_real_one);
	TEST(without_room_for_new_data_no_timeout_is_spurious);
	TEST(a_peer_that_threw_away_gets_all_again);
	TEST(a_shut_window_over_what_was_thrown_away_is_probed);
	TEST(without_sack_what_is_delivered_counts_once);
	TEST(what_a_shut_window_refused_goes_again_when_it_opens);
	TEST(a_smaller_path_mtu_resends_in_smaller_pieces);
	TEST(a_lost_fin_goes_again);
	TEST(lost_data_and_fin_go_again);
}
