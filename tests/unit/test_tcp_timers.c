/* SPDX-License-Identifier: BSD-3-Clause */
/* Retransmission (RFC 6298), zero-window probes, keepalive, and giving up, in virtual time. */
#include <errno.h>
#include <sys/socket.h>

#include "lib/pool.h"
#include "support/tcp_fixture.h"

#define MSS 1460u

static void begin(void)
{
	begin_connected(NULL);
}

/* How long until the next frame, at most limit_ms; it stays queued. */
static uint32_t wait_for_frame_ms(uint32_t limit_ms)
{
	uint32_t waited = 0;

	while (host_tx_count(h) == 0 && waited < limit_ms) {
		host_advance_ms(h, 1);
		waited++;
	}
	return waited;
}

/* ---- retransmission ---------------------------------------------------------- */

/* RFC 6298 section 5: the timeout doubles each time, up to its bound. */
static void the_timeout_doubles(void)
{
	uint32_t rto_ms;

	begin();
	rto_ms = rtt_rto_ms(&tcp()->rtt); /* after the handshake, which took no time */
	CHECK_EQ(rto_ms, RTO_MIN_MS);
	app_write_pattern(&s, 100);
	host_settle(h);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, 100));
	for (int i = 0; i < 8; i++) {
		CHECK_EQ(wait_for_frame_ms(2 * rto_ms), rto_ms);
		PEER_EXPECT(&peer, TCP_SEQ_IS(peer.host_isn + 1), PAYLOAD_IS_PATTERN(0, 100));
		rto_ms = RTE_MIN(2 * rto_ms, RTO_MAX_MS);
	}
	CHECK_EQ(host_counter(h, CNT_tcp_rto), 8);
	/* (5.3) and (5.2): an ACK ends it. */
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(wait_for_frame_ms(300000), 300000);
	end();
}

/* RFC 5681 section 3.1: one segment, and CUBIC's part of the flight remembered. */
static void a_timeout_collapses_the_window(void)
{
	begin();
	app_write_pattern(&s, 10 * MSS); /* nothing new to send: no F-RTO */
	host_settle(h);
	CHECK_EQ(host_drain(h), 10);
	wait_for_frame_ms(1000);
	CHECK_EQ(host_tx_count(h), 1);
	CHECK_EQ(tcp_cwnd_bytes(tcp()), MSS);
	CHECK_EQ(tcp_ssthresh_bytes(tcp()), 7 * MSS);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, MSS));
	peer_send(&peer, TH_ACK, NULL, 0); /* then slowly: the next ones again, too */
	CHECK_EQ(host_tx_count(h), 2);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(MSS, MSS));
	end();
}

/* Section 3, Karn: what was retransmitted is not measured. */
static void retransmitted_segments_are_not_measured(void)
{
	uint32_t srtt_us;

	begin();
	app_write_pattern(&s, 100);
	host_settle(h);
	host_advance_ms(h, 50);
	peer.ack += 100;
	host_drain(h);
	peer_send(&peer, TH_ACK, NULL, 0);
	srtt_us = rtt_smoothed_us(&tcp()->rtt);
	CHECK(srtt_us > 1000);
	app_write_pattern(&s, 100);
	host_advance_ms(h, 3000); /* several times */
	CHECK(host_counter(h, CNT_tcp_retransmit) > 1);
	host_drain(h);
	peer.ack += 100;
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(rtt_smoothed_us(&tcp()->rtt), srtt_us);
	end();
}

/* RFC 9293 section 3.8.3: given up after R2, with ETIMEDOUT. */
static void an_unanswered_connection_is_given_up(void)
{
	uint64_t start_us;

	begin();
	start_us = clock_us;
	app_write_pattern(&s, 100);
	host_settle(h);
	host_drain(h);
	while (host_state(&s) == TCP_ESTABLISHED && clock_us - start_us < 3600000000u) {
		host_advance_ms(h, 1000);
		host_drain(h);
	}
	CHECK_EQ(host_state(&s), TCP_CLOSE);
	CHECK_EQ(s.slot->error, ETIMEDOUT);
	CHECK_RANGE((clock_us - start_us) / 1000000, 100, 1200); /* at least 100 s (SHLD-11) */
	CHECK_EQ(host_counter(h, CNT_tcp_timeout), 1);
	end();
}

static void an_orphan_is_given_up_sooner(void)
{
	uint64_t start_us;

	begin();
	start_us = clock_us;
	app_write_pattern(&s, 100);
	CHECK_EQ(app_close(&s), 0);
	while (h->w->sock_count > 0 && clock_us - start_us < 3600000000u) {
		host_advance_ms(h, 100);
		host_drain(h);
	}
	CHECK_RANGE((clock_us - start_us) / 1000000, 10, 300);
	HOST_CHECK_QUIET(h);
	end();
}

/* RFC 5482. */
static void the_user_timeout_ends_it(void)
{
	int ms = 3000;

	begin();
	CHECK_EQ(app_setsockopt(&s, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms)), 0);
	app_write_pattern(&s, 100);
	host_advance_ms(h, 2990);
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	host_advance_ms(h, 20);
	CHECK_EQ(host_state(&s), TCP_CLOSE);
	CHECK_EQ(s.slot->error, ETIMEDOUT);
	host_drain(h);
	end();
}

static void fin_is_retransmitted(void)
{
	begin();
	CHECK_EQ(app_shutdown(&s, SHUT_WR), 0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_FIN | TH_ACK));
	CHECK_EQ(wait_for_frame_ms(1000), RTO_MIN_MS);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_FIN | TH_ACK), TCP_SEQ_IS(peer.host_isn + 1));
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(host_state(&s), TCP_FIN_WAIT2);
	CHECK_EQ(wait_for_frame_ms(10000), 10000);
	end();
}

/* No mbuf at the moment: sent as soon as there are some. */
static void without_mbufs_sending_waits(void)
{
	struct rte_mbuf *m[4096];
	unsigned count = 0;

	begin();
	while ((m[count] = worker_mbuf(h->w)) != NULL)
		count++;
	app_write_pattern(&s, 100);
	host_settle(h);
	HOST_EXPECT_NOTHING(h);
	peer_inject_pattern(&peer, peer.seq, 10);
	host_settle(h);
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(app_readable(&s), 10);
	rte_pktmbuf_free_bulk(m, count);
	host_advance_ms(h, 1000);
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.seq + 10), PAYLOAD_IS_PATTERN(0, 100));
	host_drain(h);
	end();
}

/* One mbuf is left: enough for a header, not for what comes behind it. */
static void with_one_mbuf_sending_waits_too(void)
{
	struct rte_mbuf *m[4096];
	unsigned count = 0;

	begin();
	while ((m[count] = worker_mbuf(h->w)) != NULL)
		count++;
	REQUIRE(count > 0);
	rte_pktmbuf_free(m[--count]);
	app_write_pattern(&s, MSS);
	host_settle(h);
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(pool_mbufs_used(h->w->mbufs), count);
	rte_pktmbuf_free_bulk(m, count);
	host_advance_ms(h, 1000);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, MSS));
	host_drain(h);
	end();
}

static void without_an_mbuf_the_syn_waits(void)
{
	struct rte_mbuf *m[4096];
	unsigned count = 0;

	begin();
	while ((m[count] = worker_mbuf(h->w)) != NULL)
		count++;
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	CHECK_EQ(app_connect(&s, PEER_ADDR, 80), 0);
	host_settle(h);
	HOST_EXPECT_NOTHING(h);
	rte_pktmbuf_free_bulk(m, count);
	host_advance_ms(h, 1000);
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_SYN));
	end();
}

/* ---- zero window ---------------------------------------------------------------- */

/* RFC 9293 section 3.8.6.1. */
static void a_shut_window_is_probed(void)
{
	uint32_t last_ms = 0;

	begin();
	peer.window = 0;
	peer_send(&peer, TH_ACK, NULL, 0);
	app_write_pattern(&s, 100);
	host_settle(h);
	HOST_EXPECT_NOTHING(h);
	for (int i = 0; i < 10; i++) {
		uint32_t waited_ms = wait_for_frame_ms(100000);

		CHECK(waited_ms >= last_ms); /* slower and slower */
		CHECK(waited_ms <= TCP_PERSIST_MAX_MS);
		last_ms = waited_ms;
		HOST_EXPECT(h, TCP_SEQ_IS(peer.host_isn + 1), PAYLOAD_IS_PATTERN(0, 1));
		peer_send(&peer, TH_ACK, NULL, 0); /* still shut */
	}
	CHECK_EQ(host_counter(h, CNT_tcp_zero_window_probe), 10);
	/* However long it takes: the peer answers. */
	for (int i = 0; i < 100; i++) {
		host_advance_ms(h, 60000);
		host_drain(h);
		peer_send(&peer, TH_ACK, NULL, 0);
	}
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	peer.window = 1000;
	peer_send(&peer, TH_ACK, NULL, 0);
	host_settle(h);
	CHECK(host_tx_count(h) >= 1);
	host_drain(h);
	end();
}

static void an_unanswered_probe_gives_up_in_the_end(void)
{
	uint64_t start_us;

	begin();
	peer.window = 0;
	peer_send(&peer, TH_ACK, NULL, 0);
	app_write_pattern(&s, 100);
	start_us = clock_us;
	while (host_state(&s) == TCP_ESTABLISHED && clock_us - start_us < 3600000000u) {
		host_advance_ms(h, 1000);
		host_drain(h);
	}
	CHECK_EQ(s.slot->error, ETIMEDOUT);
	CHECK((clock_us - start_us) / 1000000 >= 100);
	end();
}

static void a_probe_the_peer_takes_goes_on(void)
{
	begin();
	peer.window = 0;
	peer_send(&peer, TH_ACK, NULL, 0);
	app_write_pattern(&s, 100);
	CHECK(wait_for_frame_ms(10000) < 10000);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, 1));
	peer.window = 1000;
	peer_send(&peer, TH_ACK, NULL, 0); /* took the byte, and has room */
	host_settle(h);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(1, 99));
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(wait_for_frame_ms(10000), 10000);
	end();
}

static void a_window_shut_over_data_in_flight_is_probed(void)
{
	begin();
	app_write_pattern(&s, 5 * MSS);
	host_settle(h);
	host_drain(h);
	peer.window = 0;
	peer_inject(&peer, TH_ACK, peer.seq, peer.host_isn + 1, NULL, 0); /* it took nothing */
	host_poll(h);
	host_advance_ms(h, 5000);
	CHECK(host_counter(h, CNT_tcp_zero_window_probe) > 0);
	host_drain(h);
	peer.window = 65535;
	peer_inject(&peer, TH_ACK, peer.seq, peer.host_isn + 1, NULL, 0);
	host_advance_ms(h, 5000);
	peer.ack = peer.host_isn + 1;
	while (host_tx_count(h) > 0)
		PEER_TAKE(&peer);
	CHECK(peer.ack != peer.host_isn + 1);
	end();
}

/* ---- keepalive ------------------------------------------------------------------- */

static void keep_alive(int idle_s, int interval_s, int count)
{
	int on = 1;

	CHECK_EQ(app_setsockopt(&s, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(int)), 0);
	CHECK_EQ(app_setsockopt(&s, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(int)), 0);
	CHECK_EQ(app_setsockopt(&s, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(int)), 0);
	CHECK_EQ(app_setsockopt(&s, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(int)), 0);
}

/* RFC 9293 section 3.8.4. */
static void keepalive_asks_and_is_answered(void)
{
	begin();
	keep_alive(100, 10, 3);
	for (int i = 0; i < 5; i++) {
		CHECK_RANGE(wait_for_frame_ms(200000), 99000, 100100);
		HOST_EXPECT(h, TCP_FLAGS_ARE(TH_ACK), TCP_SEQ_IS(peer.host_isn), PAYLOAD_IS(0));
		peer_send(&peer, TH_ACK, NULL, 0);
	}
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	end();
}

static void keepalive_gives_up_after_its_count(void)
{
	begin();
	keep_alive(100, 10, 3);
	host_advance_ms(h, 100000 + 25000);
	CHECK_EQ(host_drain(h), 3);
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	host_advance_ms(h, 10000);
	HOST_EXPECT(h, TCP_FLAGS_HAVE(TH_RST));
	CHECK_EQ(host_state(&s), TCP_CLOSE);
	CHECK_EQ(s.slot->error, ETIMEDOUT);
	end();
}

static void keepalive_is_off_by_default(void)
{
	begin();
	CHECK_EQ(wait_for_frame_ms(20000), 20000);
	host_advance_ms(h, 10u * 3600 * 1000);
	HOST_EXPECT_NOTHING(h);
	end();
}

static void traffic_puts_keepalive_off(void)
{
	begin();
	keep_alive(100, 10, 3);
	for (int i = 0; i < 10; i++) {
		host_advance_ms(h, 90000);
		peer_send_pattern(&peer, 1);
		host_advance_ms(h, 1000);
		host_drain(h);
	}
	CHECK_EQ(app_read_pattern(&s, 100), 10);
	HOST_EXPECT_NOTHING(h);
	end();
}

/* ---- FIN-WAIT-2 ------------------------------------------------------------------- */

static void an_orphan_does_not_wait_for_a_fin_for_ever(void)
{
	begin();
	CHECK_EQ(app_close(&s), 0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_FIN | TH_ACK));
	peer_send(&peer, TH_ACK, NULL, 0);
	host_advance_ms(h, TCP_FIN_TIMEOUT_MS - 100);
	CHECK_EQ(h->w->sock_count, 1);
	host_advance_ms(h, 200);
	HOST_CHECK_QUIET(h);
	end();
}

static void an_application_may_wait_for_a_fin_as_long_as_it_likes(void)
{
	begin();
	CHECK_EQ(app_shutdown(&s, SHUT_WR), 0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_FIN | TH_ACK));
	peer_send(&peer, TH_ACK, NULL, 0);
	host_advance_ms(h, 10 * TCP_FIN_TIMEOUT_MS);
	CHECK_EQ(host_state(&s), TCP_FIN_WAIT2);
	peer_send_pattern(&peer, 10);
	CHECK_EQ(app_read_pattern(&s, 10), 10);
	host_drain(h);
	end();
}

TEST_SUITE(tcp_timers)
{
	TEST(the_timeout_doubles);
	TEST(a_timeout_collapses_the_window);
	TEST(retransmitted_segments_are_not_measured);
	TEST(an_unanswered_connection_is_given_up);
	TEST(an_orphan_is_given_up_sooner);
	TEST(the_user_timeout_ends_it);
	TEST(fin_is_retransmitted);
	TEST(without_mbufs_sending_waits);
	TEST(with_one_mbuf_sending_waits_too);
	TEST(without_an_mbuf_the_syn_waits);
	TEST(a_shut_window_is_probed);
	TEST(an_unanswered_probe_gives_up_in_the_end);
	TEST(a_probe_the_peer_takes_goes_on);
	TEST(a_window_shut_over_data_in_flight_is_probed);
	TEST(keepalive_asks_and_is_answered);
	TEST(keepalive_gives_up_after_its_count);
	TEST(keepalive_is_off_by_default);
	TEST(traffic_puts_keepalive_off);
	TEST(an_orphan_does_not_wait_for_a_fin_for_ever);
	TEST(an_application_may_wait_for_a_fin_as_long_as_it_likes);
}
