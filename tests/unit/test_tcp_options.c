/* SPDX-License-Identifier: BSD-3-Clause */
/* What the options of TCP do, with Linux's meaning. */
#include <errno.h>
#include <sys/socket.h>

#include "support/tcp_fixture.h"

#define MSS 1460u

static int set(struct app_sock *sock, int level, int name, int value)
{
	return app_setsockopt(sock, level, name, &value, sizeof(value));
}

static int get(struct app_sock *sock, int level, int name)
{
	int value = -1;

	CHECK_EQ(app_getsockopt(sock, level, name, &value, sizeof(value)), 0);
	return value;
}

static void open_socket(void)
{
	begin_unconnected(NULL);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
}

/* ---- TCP_CONGESTION ------------------------------------------------------------ */

static int set_congestion(struct app_sock *sock, const char *name)
{
	return app_setsockopt(sock, IPPROTO_TCP, TCP_CONGESTION, name, (uint32_t)strlen(name));
}

static void congestion_is(struct app_sock *sock, const char *name)
{
	char answer[CONGESTION_NAME_MAX];

	memset(answer, 'x', sizeof(answer));
	CHECK_EQ(app_getsockopt(sock, IPPROTO_TCP, TCP_CONGESTION, answer, sizeof(answer)), 0);
	CHECK_EQ(sock->last.option.length_bytes, sizeof(answer));
	CHECK(strcmp(answer, name) == 0);
}

static void congestion_control_is_chosen_by_name(void)
{
	open_socket();
	congestion_is(&s, "cubic");
	CHECK_EQ(set_congestion(&s, "bbr"), 0);
	congestion_is(&s, "bbr");
	CHECK_EQ(set_congestion(&s, "reno"), 0);
	congestion_is(&s, congestion_newreno.name);
	end();
}

static void an_unknown_congestion_control_is_not_found(void)
{
	open_socket();
	CHECK_EQ(set_congestion(&s, "vegas"), -ENOENT);
	CHECK_EQ(set_congestion(&s, "cubicc"), -ENOENT);
	CHECK_EQ(set_congestion(&s, ""), -EINVAL);
	congestion_is(&s, "cubic");
	end();
}

static void congestion_control_changes_on_an_open_connection(void)
{
	uint32_t cwnd_bytes;

	begin_connected(NULL);
	cwnd_bytes = tcp_cwnd_bytes(tcp());
	CHECK_EQ(set_congestion(&s, "bbr"), 0);
	congestion_is(&s, "bbr");
	CHECK_EQ(tcp_cwnd_bytes(tcp()), cwnd_bytes);
	CHECK_EQ(set_congestion(&s, "cubic"), 0);
	CHECK_EQ(tcp_cwnd_bytes(tcp()), cwnd_bytes);
	end();
}

static void a_listener_passes_its_congestion_control_on(void)
{
	begin_unconnected(NULL);
	host_listen(h, 4);
	CHECK_EQ(set_congestion(&h->listener, "bbr"), 0);
	host_established(h, &peer, &s);
	congestion_is(&s, "bbr");
	end();
}

static void the_default_congestion_control_is_configured(void)
{
	struct host_config config = host_config_default();

	config.worker.congestion = &congestion_newreno;
	begin_connected(&config);
	congestion_is(&s, congestion_newreno.name);
	end();
}

/* ---- what waits for more ---------------------------------------------------------- */

static void write_bytes(uint32_t length)
{
	CHECK_EQ(app_write_pattern(&s, length), length);
	host_settle(h);
}

/* The bytes, and word that more follows them. */
static void write_more(uint32_t length)
{
	struct leat_sqe sqe = {.op = LEAT_OP_SYNC, .value = LEAT_SYNC_MORE, .handle = s.handle};

	CHECK_EQ(app_write_pattern(&s, length), length);
	sqe.offset = s.tx_tail;
	s.slot->kick++;
	CHECK(app_submit(&h->app, s.context, s.worker, &sqe));
	host_settle(h);
}

static void acknowledge(void)
{
	peer_send(&peer, TH_ACK, NULL, 0);
	host_settle(h);
}

static void cork(bool on)
{
	CHECK_EQ(set(&s, IPPROTO_TCP, TCP_CORK, on), 0);
	CHECK_EQ(get(&s, IPPROTO_TCP, TCP_CORK), on);
	host_settle(h);
}

static void a_cork_lets_full_segments_pass(void)
{
	begin_connected(NULL);
	cork(true);
	write_bytes(2 * MSS + 100);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, MSS));
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(MSS, MSS));
	HOST_EXPECT_NOTHING(h);
	acknowledge();
	HOST_EXPECT_NOTHING(h);
	write_bytes(MSS);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(2 * MSS, MSS));
	HOST_EXPECT_NOTHING(h);
	end();
}

static void pulling_the_cork_sends_the_rest(void)
{
	begin_connected(NULL);
	cork(true);
	write_bytes(100);
	write_bytes(100);
	HOST_EXPECT_NOTHING(h);
	cork(false);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, 200));
	end();
}

/* tcp(7): there is a ceiling of 200 milliseconds. */
static void a_cork_holds_for_200_ms(void)
{
	begin_connected(NULL);
	cork(true);
	write_bytes(100);
	host_advance_ms(h, TCP_CORK_MS - 5);
	HOST_EXPECT_NOTHING(h);
	host_advance_ms(h, 10);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, 100));
	acknowledge();
	write_bytes(100); /* and again */
	host_advance_ms(h, TCP_CORK_MS - 5);
	HOST_EXPECT_NOTHING(h);
	host_advance_ms(h, 10);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(100, 100));
	end();
}

/* The cork's time is not the retransmission's. */
static void what_leaves_before_the_ceiling_has_its_whole_timeout(void)
{
	uint32_t rto_ms;

	begin_connected(NULL);
	tcp()->rtt = (struct rtt){.srtt_us_8 = 8 * 400000, .rttvar_us_4 = 4 * 50000};
	rto_ms = rtt_rto_ms(&tcp()->rtt);
	cork(true);
	write_bytes(100);
	host_advance_ms(h, TCP_CORK_MS - 50);
	write_bytes(MSS - 100);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, MSS));
	tcp_timer_stop(tcp(), TCP_TIMER_LOSS); /* no probe */
	host_advance_ms(h, rto_ms - 10);
	HOST_EXPECT_NOTHING(h);
	host_advance_ms(h, 20);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, MSS));
	end();
}

static void fin_pulls_the_cork(void)
{
	begin_connected(NULL);
	cork(true);
	write_bytes(100);
	CHECK_EQ(app_shutdown(&s, SHUT_WR), 0);
	host_settle(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_FIN | TH_ACK), PAYLOAD_IS_PATTERN(0, 100));
	end();
}

/* tcp(7): it is remembered until the cork is pulled, but what waits goes at once. */
static void nodelay_pushes_once_past_a_cork(void)
{
	begin_connected(NULL);
	cork(true);
	write_bytes(100);
	CHECK_EQ(set(&s, IPPROTO_TCP, TCP_NODELAY, 1), 0);
	host_settle(h);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, 100));
	write_bytes(100);
	HOST_EXPECT_NOTHING(h);
	end();
}

static void more_waits_for_what_follows(void)
{
	begin_connected(NULL);
	write_more(100);
	HOST_EXPECT_NOTHING(h);
	write_bytes(100);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, 200));
	end();
}

static void more_waits_for_200_ms(void)
{
	begin_connected(NULL);
	write_more(100);
	host_advance_ms(h, TCP_CORK_MS - 5);
	HOST_EXPECT_NOTHING(h);
	host_advance_ms(h, 10);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, 100));
	end();
}

static void more_does_not_hold_full_segments(void)
{
	begin_connected(NULL);
	write_more(MSS + 1);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, MSS));
	HOST_EXPECT_NOTHING(h);
	host_advance_ms(h, 10);
	write_more(MSS - 1);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(MSS, MSS));
	end();
}

/* Peer takes two segments at a time, what is not sent yet shall stay below 1000 bytes. */
static void what_is_not_sent_is_bounded(void)
{
	begin_unconnected(NULL);
	peer.window = 2 * MSS;
	host_connected(h, &peer, &s);
	CHECK_EQ(set(&s, IPPROTO_TCP, TCP_NODELAY, 1), 0);
	CHECK_EQ(set(&s, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 1000), 0);
	CHECK_EQ(get(&s, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 1000);
	host_settle(h);
	CHECK_EQ(s.slot->tx_limit_bytes, 1000);
	CHECK_EQ(s.slot->tx_mark_bytes, 500);
	for (int i = 0; i < 20 && app_write_pattern(&s, 500) == 500; i++)
		host_settle(h);
	CHECK_RANGE(s.tx_tail, 2 * MSS, 2 * MSS + 1000);
	(void)app_take_events(&s);
	while (host_tx_count(h) > 0)
		(void)PEER_TAKE(&peer);
	acknowledge();
	CHECK(app_take_events(&s) & LEAT_EV_OUT); /* what waited left: there is room */
	host_drain(h);
	end();
}

/* ---- acknowledging ------------------------------------------------------------------- */

static void quickack_acknowledges_at_once(void)
{
	begin_connected(NULL);
	CHECK_EQ(set(&s, IPPROTO_TCP, TCP_QUICKACK, 0), 0);
	CHECK_EQ(get(&s, IPPROTO_TCP, TCP_QUICKACK), 0);
	peer_send_pattern(&peer, 10);
	host_settle(h);
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(set(&s, IPPROTO_TCP, TCP_QUICKACK, 1), 0);
	CHECK_EQ(get(&s, IPPROTO_TCP, TCP_QUICKACK), 1);
	host_settle(h);
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.seq), PAYLOAD_IS(0)); /* what was delayed, too */
	peer_send_pattern(&peer, 10);
	host_settle(h);
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.seq), PAYLOAD_IS(0));
	end();
}

static void a_window_clamp_bounds_what_is_offered(void)
{
	open_socket();
	CHECK_EQ(set(&s, IPPROTO_TCP, TCP_WINDOW_CLAMP, -1), -EINVAL);
	CHECK_EQ(set(&s, IPPROTO_TCP, TCP_WINDOW_CLAMP, 1), 0);
	CHECK_EQ(get(&s, IPPROTO_TCP, TCP_WINDOW_CLAMP), TCP_CLAMP_MIN_BYTES);
	CHECK_EQ(set(&s, IPPROTO_TCP, TCP_WINDOW_CLAMP, 5000), 0);
	CHECK_EQ(app_connect(&s, PEER_ADDR, peer.port), 0);
	host_settle(h);
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_SYN), TCP_WINDOW_IS(5000));
	end();
}

static void a_clamped_window_still_moves(void)
{
	begin_unconnected(NULL);
	host_listen(h, 4);
	CHECK_EQ(set(&h->listener, IPPROTO_TCP, TCP_WINDOW_CLAMP, 4000), 0);
	host_established(h, &peer, &s);
	for (int i = 0; i < 20; i++) {
		peer_send_pattern(&peer, 1000);
		CHECK_EQ(app_read_pattern(&s, 1000), 1000);
		host_settle(h);
		CHECK(tcp()->rcv_edge - tcp()->rcv_nxt <= 4000);
	}
	host_drain(h);
	CHECK_EQ(tcp()->ics.inet.sk.ring.rx_tail, 20000);
	CHECK_EQ(set(&s, IPPROTO_TCP, TCP_WINDOW_CLAMP, 0), -EINVAL);
	end();
}

/* ---- opening --------------------------------------------------------------------------- */

static void syncnt_bounds_the_attempts(void)
{
	open_socket();
	CHECK_EQ(get(&s, IPPROTO_TCP, TCP_SYNCNT), TCP_SYN_RETRIES);
	CHECK_EQ(set(&s, IPPROTO_TCP, TCP_SYNCNT, 0), -EINVAL);
	CHECK_EQ(set(&s, IPPROTO_TCP, TCP_SYNCNT, 128), -EINVAL);
	CHECK_EQ(set(&s, IPPROTO_TCP, TCP_SYNCNT, 2), 0);
	CHECK_EQ(app_connect(&s, PEER_ADDR, peer.port), 0);
	host_advance_ms(h, 6900);
	CHECK_EQ(host_state(&s), TCP_SYN_SENT);
	host_advance_ms(h, 200);
	CHECK_EQ(host_state(&s), TCP_CLOSE);
	CHECK_EQ(s.slot->error, ETIMEDOUT);
	CHECK_EQ(host_drain(h), 3);
	end();
}

/* The peer's SYN came, the SYN-ACK left, and the listener waits for data for seconds. */
static void begin_deferred(int seconds)
{
	begin_unconnected(NULL);
	host_listen(h, 4);
	CHECK_EQ(set(&h->listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, seconds), 0);
	host_syn_received(h, &peer);
}

static void deferred_seconds_are_whole_timeouts(void)
{
	static const int cases[][2] = {{0, 0}, {1, 1}, {2, 3}, {3, 3}, {4, 7}, {7, 7}, {-1, 0}};

	open_socket();
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		CHECK_EQ(set(&s, IPPROTO_TCP, TCP_DEFER_ACCEPT, cases[i][0]), 0);
		CHECK_EQ(get(&s, IPPROTO_TCP, TCP_DEFER_ACCEPT), cases[i][1]);
	}
	CHECK_EQ(set(&s, IPPROTO_TCP, TCP_DEFER_ACCEPT, INT32_MAX), 0);
	CHECK_EQ(get(&s, IPPROTO_TCP, TCP_DEFER_ACCEPT), 255);
	end();
}

static void a_deferred_connection_waits_for_data(void)
{
	begin_deferred(3);
	acknowledge();
	CHECK_EQ(app_accept(&h->listener, &s), -EAGAIN);
	host_advance_ms(h, 500);
	HOST_EXPECT_NOTHING(h);
	peer_send_pattern(&peer, 10);
	host_settle(h);
	CHECK_EQ(app_accept(&h->listener, &s), 0);
	CHECK_EQ(app_read_pattern(&s, 10), 10);
	/* The wait is no round trip, and nothing was lost. */
	CHECK_RANGE(rtt_smoothed_us(&tcp()->rtt), 0, 100000);
	CHECK_EQ(tcp_cwnd_bytes(tcp()), 10 * MSS);
	host_drain(h);
	end();
}

static void the_end_of_a_stream_is_worth_an_accept(void)
{
	begin_deferred(3);
	peer_send(&peer, TH_ACK | TH_FIN, NULL, 0);
	host_settle(h);
	CHECK_EQ(app_accept(&h->listener, &s), 0);
	host_drain(h);
	end();
}

static void deferring_ends(void)
{
	begin_deferred(3);
	acknowledge();
	host_advance_ms(h, 2900);
	HOST_EXPECT_NOTHING(h); /* no SYN-ACK for who has answered */
	host_advance_ms(h, 200);
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_SYN | TH_ACK));
	acknowledge();
	CHECK_EQ(app_accept(&h->listener, &s), 0);
	CHECK_EQ(tcp_cwnd_bytes(tcp()), 10 * MSS);
	host_drain(h);
	end();
}

static void who_does_not_answer_is_asked_again(void)
{
	begin_deferred(3);
	host_advance_ms(h, 1100);
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_SYN | TH_ACK));
	host_advance_ms(h, 120000);
	CHECK_EQ(tcp_sk(host_sock(&h->listener))->ics.listener->request_count, 0);
	host_drain(h);
	end();
}

/* ---- closing --------------------------------------------------------------------------- */

/* FIN-WAIT-2, and nobody holds it. */
static void orphan(int linger2)
{
	begin_connected(NULL);
	CHECK_EQ(set(&s, IPPROTO_TCP, TCP_LINGER2, linger2), 0);
	CHECK_EQ(app_close(&s), 0);
	host_settle(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_FIN | TH_ACK));
	acknowledge();
}

static void linger2_bounds_fin_wait_2(void)
{
	orphan(5);
	CHECK_EQ(h->w->sock_count, 1);
	host_advance_ms(h, 4900);
	CHECK_EQ(h->w->sock_count, 1);
	host_advance_ms(h, 200);
	CHECK_EQ(h->w->sock_count, 0);
	HOST_EXPECT_NOTHING(h);
	end();
}

static void without_linger2_there_is_no_fin_wait_2(void)
{
	orphan(-1);
	host_advance_ms(h, 1);
	CHECK_EQ(h->w->sock_count, 0);
	HOST_EXPECT(h, TCP_FLAGS_HAVE(TH_RST));
	end();
}

static void linger2_is_bounded_itself(void)
{
	open_socket();
	CHECK_EQ(get(&s, IPPROTO_TCP, TCP_LINGER2), 60);
	CHECK_EQ(set(&s, IPPROTO_TCP, TCP_LINGER2, 100000), 0);
	CHECK_EQ(get(&s, IPPROTO_TCP, TCP_LINGER2), TCP_LINGER2_MAX_S);
	CHECK_EQ(set(&s, IPPROTO_TCP, TCP_LINGER2, -7), 0);
	CHECK_EQ(get(&s, IPPROTO_TCP, TCP_LINGER2), -1);
	end();
}

/* ---- SOL_SOCKET ------------------------------------------------------------------------ */

static void the_rate_has_32_bits_or_64(void)
{
	uint64_t wide = 10000000000, back = 0;

	open_socket();
	CHECK_EQ(get(&s, SOL_SOCKET, SO_MAX_PACING_RATE), -1);
	CHECK_EQ(app_setsockopt(&s, SOL_SOCKET, SO_MAX_PACING_RATE, &wide, sizeof(wide)), 0);
	CHECK_EQ(tcp()->options->max_pacing_rate, wide);
	CHECK_EQ(app_getsockopt(&s, SOL_SOCKET, SO_MAX_PACING_RATE, &back, sizeof(back)), 0);
	CHECK_EQ(back, wide);
	CHECK_EQ(get(&s, SOL_SOCKET, SO_MAX_PACING_RATE), -1); /* cut */
	CHECK_EQ(set(&s, SOL_SOCKET, SO_MAX_PACING_RATE, 1000), 0);
	CHECK_EQ(tcp()->options->max_pacing_rate, 1000);
	CHECK_EQ(set(&s, SOL_SOCKET, SO_MAX_PACING_RATE, -1), 0);
	CHECK_EQ(tcp()->options->max_pacing_rate, 0);
	end();
}

static void a_rate_spreads_what_is_sent(void)
{
	begin_connected(NULL);
	CHECK_EQ(set(&s, SOL_SOCKET, SO_MAX_PACING_RATE, (int)(100 * MSS)), 0);
	write_bytes(10 * MSS);
	CHECK_RANGE(host_drain(h), 1, 4);
	host_advance_ms(h, 50);
	CHECK_RANGE(host_drain(h), 3, 7);
	end();
}

static void rcvlowat_keeps_to_half_the_buffer(void)
{
	open_socket();
	CHECK_EQ(get(&s, SOL_SOCKET, SO_RCVLOWAT), 1);
	CHECK_EQ(set(&s, SOL_SOCKET, SO_RCVLOWAT, 1000), 0);
	CHECK_EQ(get(&s, SOL_SOCKET, SO_RCVLOWAT), 1000);
	CHECK_EQ(set(&s, SOL_SOCKET, SO_RCVLOWAT, 0), 0);
	CHECK_EQ(get(&s, SOL_SOCKET, SO_RCVLOWAT), 1);
	CHECK_EQ(set(&s, SOL_SOCKET, SO_RCVLOWAT, -1), 0);
	CHECK_EQ(get(&s, SOL_SOCKET, SO_RCVLOWAT), host_sock(&s)->rcvbuf_bytes / 2);
	end();
}

/* socket(7): the answer is twice what was asked for.  A stream holds what was asked for. */
static void buffers_are_answered_doubled(void)
{
	open_socket();
	CHECK_EQ(set(&s, SOL_SOCKET, SO_RCVBUF, 100000), 0);
	CHECK_EQ(get(&s, SOL_SOCKET, SO_RCVBUF), 200000);
	CHECK_EQ(host_sock(&s)->rcvbuf_bytes, 100000);
	CHECK_EQ(set(&s, SOL_SOCKET, SO_SNDBUF, 50000), 0);
	CHECK_EQ(get(&s, SOL_SOCKET, SO_SNDBUF), 100000);
	CHECK_EQ(s.slot->tx_limit_bytes, 50000);
	end();
}

static void the_cpu_is_the_worker(void)
{
	struct host_config config = host_config_default();

	config.workers = 2;
	begin_unconnected(&config);
	REQUIRE_EQ(app_socket_on(&h->app, 0, 1, SOCK_STREAM, &s), 0);
	CHECK_EQ(get(&s, SOL_SOCKET, SO_INCOMING_CPU), 1);
	CHECK_EQ(set(&s, SOL_SOCKET, SO_INCOMING_CPU, 0), -ENOPROTOOPT);
	end();
}

static void a_listener_passes_its_options_on(void)
{
	static const struct {
		int level, name, value;
	} cases[] = {
		{IPPROTO_TCP, TCP_CORK, 1},
		{IPPROTO_TCP, TCP_LINGER2, 9},
		{IPPROTO_TCP, TCP_SYNCNT, 3},
		{IPPROTO_TCP, TCP_WINDOW_CLAMP, 30000},
		{SOL_SOCKET, SO_OOBINLINE, 1},
		{SOL_SOCKET, SO_RCVLOWAT, 77},
		{SOL_SOCKET, SO_MAX_PACING_RATE, 99999},
	};

	begin_unconnected(NULL);
	host_listen(h, 4);
	for (size_t i = 0; i < RTE_DIM(cases); i++)
		CHECK_EQ(set(&h->listener, cases[i].level, cases[i].name, cases[i].value), 0);
	host_established(h, &peer, &s);
	for (size_t i = 0; i < RTE_DIM(cases); i++)
		CHECK_EQ(get(&s, cases[i].level, cases[i].name), cases[i].value);
	end();
}

TEST_SUITE(tcp_options)
{
	TEST(congestion_control_is_chosen_by_name);
	TEST(an_unknown_congestion_control_is_not_found);
	TEST(congestion_control_changes_on_an_open_connection);
	TEST(a_listener_passes_its_congestion_control_on);
	TEST(the_default_congestion_control_is_configured);
	TEST(a_cork_lets_full_segments_pass);
	TEST(pulling_the_cork_sends_the_rest);
	TEST(a_cork_holds_for_200_ms);
	TEST(what_leaves_before_the_ceiling_has_its_whole_timeout);
	TEST(fin_pulls_the_cork);
	TEST(nodelay_pushes_once_past_a_cork);
	TEST(more_waits_for_what_follows);
	TEST(more_waits_for_200_ms);
	TEST(more_does_not_hold_full_segments);
	TEST(what_is_not_sent_is_bounded);
	TEST(quickack_acknowledges_at_once);
	TEST(a_window_clamp_bounds_what_is_offered);
	TEST(a_clamped_window_still_moves);
	TEST(syncnt_bounds_the_attempts);
	TEST(deferred_seconds_are_whole_timeouts);
	TEST(a_deferred_connection_waits_for_data);
	TEST(the_end_of_a_stream_is_worth_an_accept);
	TEST(deferring_ends);
	TEST(who_does_not_answer_is_asked_again);
	TEST(linger2_bounds_fin_wait_2);
	TEST(without_linger2_there_is_no_fin_wait_2);
	TEST(linger2_is_bounded_itself);
	TEST(the_rate_has_32_bits_or_64);
	TEST(a_rate_spreads_what_is_sent);
	TEST(rcvlowat_keeps_to_half_the_buffer);
	TEST(buffers_are_answered_doubled);
	TEST(the_cpu_is_the_worker);
	TEST(a_listener_passes_its_options_on);
}
