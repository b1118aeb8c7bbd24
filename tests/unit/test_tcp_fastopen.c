/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 7413, TCP Fast Open, as server: section 4.2.2.  Its bounds are in test_tcp_fastopen_limits.c,
 * the client is in test_tcp_fastopen_client.c. */
#include <errno.h>
#include <sys/socket.h>

#include "lib/pool.h"
#include "shm/session.h"
#include "support/fastopen_fixture.h"

/* ---- cookies ------------------------------------------------------------------------ */

static void a_cookie_is_given_for_the_asking(void)
{
	struct tcp_segment t;

	begin_serving();
	peer.fastopen = true;
	send_syn(&peer, TEXT_BYTES); /* without one its text counts for nothing */
	t = take_synack(&peer, 0);
	keep_cookie(&peer, &t);
	CHECK_EQ(host_counter(h, CNT_tcp_fastopen_asked), 1);
	CHECK_EQ(connections(), 0);
	host_advance_ms(h, 1500);
	t = take_synack(&peer, 0);
	CHECK(!t.has_fastopen); /* section 4.2.2: sent again, without */
	peer_send_pattern(&peer, TEXT_BYTES);
	REQUIRE_EQ(app_accept(&h->listener, &s), 0);
	CHECK_EQ(app_read_pattern(&s, 1000), TEXT_BYTES);
	host_drain(h);
	end();
}

static void who_does_not_ask_gets_none(void)
{
	begin_serving();
	send_syn(&peer, TEXT_BYTES);
	CHECK(!take_synack(&peer, 0).has_fastopen);
	end();
}

/* TCP_FASTOPEN 0, or a daemon that does not: as if the option were unknown. */
static void without_being_wanted_the_option_is_ignored(void)
{
	for (int mode = 0; mode < 2; mode++) {
		struct host_config config = serving_config();

		config.worker.fast_open = mode == 0 ? FAST_OPEN_CLIENT : FAST_OPEN_SERVER;
		begin_unconnected(&config);
		serve(16, mode == 0 ? LIMIT : 0);
		peer.fastopen = true;
		send_syn(&peer, 0);
		CHECK(!take_synack(&peer, 0).has_fastopen);
		CHECK_EQ(host_counter(h, CNT_tcp_fastopen_asked), 0);
		CHECK_EQ(host_counter(h, CNT_tcp_fastopen_overflow), 0);
		end();
	}
}

static void a_wrong_cookie_gets_a_good_one(void)
{
	struct tcp_segment t;

	begin_serving();
	fetch_cookie(&peer);
	peer.cookie[3] ^= 1;
	connect_anew(&peer);
	send_syn(&peer, TEXT_BYTES);
	t = take_synack(&peer, 0);
	keep_cookie(&peer, &t);
	CHECK_EQ(host_counter(h, CNT_tcp_fastopen_passive_fail), 1);
	CHECK_EQ(connections(), 0);
	CHECK_EQ(app_accept(&h->listener, &s), -EAGAIN);
	peer_send_pattern(&peer, TEXT_BYTES);
	REQUIRE_EQ(app_accept(&h->listener, &s), 0);
	CHECK_EQ(app_read_pattern(&s, 1000), TEXT_BYTES);
	host_drain(h);
	open_fast(&peer);
	CHECK_EQ(connections(), 1);
	end();
}

static void a_cookie_of_another_address_is_refused(void)
{
	begin_serving();
	fetch_cookie(&peer);
	peer.address++;
	connect_anew(&peer);
	send_syn(&peer, TEXT_BYTES);
	CHECK_EQ(host_counter(h, CNT_tcp_fastopen_passive_fail), 1);
	CHECK_EQ(connections(), 0);
	end();
}

/* A day later the cookie of yesterday is worth nothing; half a day later it is. */
static void cookies_grow_old(void)
{
	begin_serving();
	fetch_cookie(&peer);
	host_advance_ms(h, 12 * 3600 * 1000u);
	open_fast(&peer);
	host_advance_ms(h, 12 * 3600 * 1000u);
	host_drain(h);
	connect_anew(&peer);
	send_syn(&peer, TEXT_BYTES);
	CHECK(take_synack(&peer, 0).has_fastopen);
	end();
}

/* RFC 7413 section 4.1.1 */
static void a_cookie_of_impossible_length_is_ignored(void)
{
	begin_serving();
	fetch_cookie(&peer);
	for (uint8_t bytes = 1; bytes <= 3; bytes++) {
		peer.cookie_bytes = bytes;
		connect_anew(&peer);
		send_syn(&peer, TEXT_BYTES);
		CHECK(!take_synack(&peer, 0).has_fastopen);
	}
	CHECK_EQ(host_counter(h, CNT_tcp_fastopen_passive_fail), 0);
	end();
}

/* A flow's worker is chosen by its ports, which its next connection changes. */
static void workers_honour_each_others_cookies(void)
{
	struct host_config config = serving_config();
	uint64_t opened[2] = {0, 0};

	config.workers = 2;
	config.worker.fast_open_key = (struct siphash_key){{5, 6}};
	begin_unconnected(&config);
	for (uint16_t id = 0; id < 2; id++) {
		struct app_sock listener;
		int limit = 64;

		REQUIRE_EQ(app_socket_on(&h->app, 0, id, SOCK_STREAM, &listener), 0);
		REQUIRE_EQ(app_bind(&listener, HOST_ADDR, HOST_PORT), 0);
		REQUIRE_EQ(
			app_setsockopt(&listener, IPPROTO_TCP, TCP_FASTOPEN, &limit, sizeof(limit)),
			0);
		REQUIRE_EQ(app_listen(&listener, 64), 0);
	}
	fetch_cookie(&peer);
	for (int i = 0; i < 16; i++) {
		connect_anew(&peer);
		send_syn(&peer, TEXT_BYTES);
		host_settle(h);
		take_synack(&peer, TEXT_BYTES);
	}
	for (uint16_t id = 0; id < 2; id++)
		opened[id] = h->worker[id]->counter[CNT_tcp_fastopen_passive];
	CHECK_EQ(opened[0] + opened[1], 16);
	CHECK(opened[0] > 0 && opened[1] > 0);
	end();
}

/* ---- a connection before its handshake is over ------------------------------------------ */

static void text_is_read_before_the_handshake_is_over(void)
{
	begin_opened();
	CHECK_EQ(app_read_pattern(&s, 1000), TEXT_BYTES);
	CHECK(app_has(&s, LEAT_EV_CONNECTED));
	CHECK_EQ(host_counter(h, CNT_tcp_passive_open), 0);
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	CHECK_EQ(host_counter(h, CNT_tcp_passive_open), 1);
	HOST_EXPECT_NOTHING(h);
	peer_send_pattern(&peer, 500);
	CHECK_EQ(app_read_pattern(&s, 1000), 500);
	host_drain(h);
	end();
}

/* RFC 7413 section 4.2.2: more data packets, as many as the initial window lets. */
static void the_answer_does_not_wait_for_the_ack(void)
{
	begin_opened();
	app_write_pattern(&s, 100000);
	host_settle(h);
	for (uint32_t i = 0; i < 10; i++)
		PEER_EXPECT(&peer, TCP_FLAGS_HAVE(TH_ACK), TCP_ACK_IS(peer.seq),
			    TCP_SEQ_IS(peer.host_isn + 1 + i * 1460),
			    PAYLOAD_IS_PATTERN(i * 1460, 1460));
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(host_state(&s), TCP_SYN_RECV);
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	CHECK_EQ(tcp()->snd_una, peer.host_isn + 1 + 14600);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(14600, 1460));
	host_drain(h);
	end();
}

/* The ACK of the SYN-ACK alone, while data is in flight. */
static void an_ack_of_the_syn_alone_is_no_duplicate(void)
{
	begin_opened();
	app_write_pattern(&s, 3000);
	host_settle(h);
	CHECK_EQ(host_drain(h), 3);
	peer.ack = peer.host_isn + 1;
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	CHECK_EQ(tcp()->dupacks, 0);
	CHECK_EQ(tcp()->snd_nxt - tcp()->snd_una, 3000);
	HOST_EXPECT_NOTHING(h);
	peer.ack += 3000;
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(tcp()->snd_una, tcp()->snd_nxt);
	end();
}

static void options_are_negotiated_as_ever(void)
{
	begin_serving();
	fetch_cookie(&peer);
	peer.timestamps = peer.sack_permitted = true;
	peer.window_scale = 7;
	connect_anew(&peer);
	send_syn(&peer, 1200);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_SYN | TH_ACK), TCP_MSS_IS(1460),
		    TCP_HAS_TIMESTAMP(true),
		    TCP_WINDOW_SCALE_IS(tcp_window_scale(h->w, host_sock(&h->listener))));
	peer.seq = peer.isn + 1201;
	host_advance_ms(h, 20);
	peer_send(&peer, TH_ACK, NULL, 0);
	REQUIRE_EQ(app_accept(&h->listener, &s), 0);
	CHECK_EQ(app_read_pattern(&s, 2000), 1200);
	CHECK(tcp_has_sack(tcp()));
	CHECK(tcp()->flags & TCP_SOCK_TIMESTAMPS);
	CHECK(tcp()->syn_data);
	CHECK_EQ(tcp()->snd_wnd, 65535u << 7);
	CHECK_EQ(rtt_smoothed_us(&tcp()->rtt), 20000);
	end();
}

/* RFC 7323 section 2.2: a scale of 0 is told, or the peer would not scale its windows. */
static void a_small_buffer_scales_too(void)
{
	struct host_config config = serving_config();

	config.worker.rcvbuf_bytes = config.worker.rcvbuf_max_bytes = 32768;
	begin_unconnected(&config);
	serve(16, LIMIT);
	peer.window_scale = 7;
	fetch_cookie(&peer);
	connect_anew(&peer);
	send_syn(&peer, TEXT_BYTES);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_SYN | TH_ACK), TCP_WINDOW_SCALE_IS(0),
		    TCP_WINDOW_IS(32768 - TEXT_BYTES));
	end();
}

/* A cookie is enough: who serves may speak first. */
static void a_syn_without_text_opens_too(void)
{
	begin_serving();
	fetch_cookie(&peer);
	connect_anew(&peer);
	send_syn(&peer, 0);
	take_synack(&peer, 0);
	REQUIRE_EQ(app_accept(&h->listener, &s), 0);
	CHECK_EQ(host_state(&s), TCP_SYN_RECV);
	CHECK_EQ(app_readable(&s), 0);
	app_write_pattern(&s, 10);
	host_settle(h);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, 10));
	end();
}

/* TCP_DEFER_ACCEPT */
static void what_waits_for_data_is_not_opened_by_a_cookie_alone(void)
{
	int seconds = 10;

	begin_serving();
	CHECK_EQ(app_setsockopt(&h->listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds,
				sizeof(seconds)),
		 0);
	fetch_cookie(&peer);
	connect_anew(&peer);
	send_syn(&peer, 0);
	take_synack(&peer, 0);
	CHECK_EQ(app_accept(&h->listener, &s), -EAGAIN);
	open_fast(&peer);
	CHECK_EQ(app_accept(&h->listener, &s), 0);
	end();
}

/* ---- what comes again ---------------------------------------------------------------------- */

static void the_same_syn_is_answered_and_delivers_nothing_twice(void)
{
	begin_opened();
	host_advance_ms(h, 10);
	send_syn(&peer, TEXT_BYTES);
	take_synack(&peer, TEXT_BYTES);
	host_advance_ms(h, 10);
	peer.fastopen = false; /* as a client sends it after a timeout */
	send_syn(&peer, 0);
	take_synack(&peer, TEXT_BYTES);
	CHECK_EQ(connections(), 1);
	CHECK_EQ(app_readable(&s), TEXT_BYTES);
	peer_send_pattern(&peer, 50);
	CHECK_EQ(app_read_pattern(&s, 1000), TEXT_BYTES + 50);
	CHECK_EQ(rtt_smoothed_us(&tcp()->rtt), 20000); /* since the first SYN-ACK */
	host_drain(h);
	end();
}

/* Both were on their way at once: their flows were looked up together. */
static void the_same_syn_in_one_burst_delivers_nothing_twice(void)
{
	uint8_t text[TEXT_BYTES];

	begin_serving();
	fetch_cookie(&peer);
	connect_anew(&peer);
	pattern_fill(text, 0, sizeof(text));
	for (int i = 0; i < 3; i++)
		peer_inject(&peer, TH_SYN, peer.isn, 0, text, sizeof(text));
	host_settle(h);
	take_synack(&peer, TEXT_BYTES);
	CHECK_EQ(connections(), 1);
	REQUIRE_EQ(app_accept(&h->listener, &s), 0);
	CHECK_EQ(app_read_pattern(&s, 1000), TEXT_BYTES);
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	host_drain(h);
	end();
}

/* RFC 6191: a flow that lies in TIME-WAIT may begin anew. */
static void a_flow_in_time_wait_is_opened_fast(void)
{
	begin_opened();
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(app_read_pattern(&s, 1000), TEXT_BYTES);
	CHECK_EQ(app_close(&s), 0);
	host_settle(h);
	(void)PEER_TAKE(&peer);
	peer_send(&peer, TH_ACK | TH_FIN, NULL, 0);
	host_drain(h);
	peer.isn = peer.seq + 1000;
	send_syn(&peer, TEXT_BYTES);
	take_synack(&peer, TEXT_BYTES);
	CHECK_EQ(host_counter(h, CNT_tcp_time_wait_reused), 1);
	CHECK_EQ(connections(), 2);
	REQUIRE_EQ(app_accept(&h->listener, &s), 0);
	CHECK_EQ(app_read_pattern(&s, 1000), TEXT_BYTES);
	end();
}

static void the_synack_goes_again_without_option_until_given_up(void)
{
	uint32_t wait_ms = 1000;

	begin_opened();
	host_advance_ms(h, 5);
	for (int i = 0; i < TCP_SYNACK_RETRIES; i++) {
		host_advance_ms(h, wait_ms - 10);
		HOST_EXPECT_NOTHING(h);
		host_advance_ms(h, 10);
		CHECK(!take_synack(&peer, TEXT_BYTES).has_fastopen);
		wait_ms *= 2;
	}
	CHECK_EQ(host_counter(h, CNT_tcp_retransmit), TCP_SYNACK_RETRIES);
	CHECK_EQ(app_read_pattern(&s, 1000), TEXT_BYTES);
	host_advance_ms(h, 2 * MINUTE_MS);
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(host_state(&s), TCP_CLOSE);
	CHECK_EQ(s.slot->error, ETIMEDOUT);
	end();
}

/* A peer in SYN-SENT throws away what comes before the SYN-ACK. */
static void data_sent_before_a_lost_synack_goes_again(void)
{
	for (int sack = 0; sack < 2; sack++) {
		begin_serving();
		peer.sack_permitted = sack;
		fetch_cookie(&peer);
		open_fast(&peer);
		REQUIRE_EQ(app_accept(&h->listener, &s), 0);
		app_write_pattern(&s, 3000);
		host_settle(h);
		CHECK_EQ(host_drain(h), 3);
		host_advance_ms(h, 1010);
		take_synack(&peer, TEXT_BYTES);
		HOST_EXPECT_NOTHING(h); /* not before the SYN-ACK is acknowledged */
		peer_send(&peer, TH_ACK, NULL, 0);
		host_settle(h);
		PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, 1460));
		HOST_EXPECT_NOTHING(h); /* RFC 5681 section 3.1: one segment */
		peer_send(&peer, TH_ACK, NULL, 0);
		host_settle(h);
		PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(1460, 1460));
		PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(2920, 80));
		end();
	}
}

/* Nothing holds the text: the connection stands, and the peer sends it again. */
static void without_a_chunk_the_text_comes_again(void)
{
	struct arena *arena;
	uint32_t chunks[256];
	uint32_t count = 0;

	begin_serving();
	fetch_cookie(&peer);
	arena = &h->session->arenas[0];
	while (arena->free_chunk_count > 0)
		chunks[count++] = chunk_alloc(h->w, arena, CHUNK_RX);
	connect_anew(&peer);
	send_syn(&peer, TEXT_BYTES);
	take_synack(&peer, 0);
	CHECK_EQ(connections(), 1);
	CHECK_EQ(host_counter(h, CNT_tcp_rx_ring), 1);
	while (count > 0)
		chunk_put(h->w, arena, chunks[--count]);
	peer_send_pattern(&peer, TEXT_BYTES);
	REQUIRE_EQ(app_accept(&h->listener, &s), 0);
	CHECK_EQ(app_read_pattern(&s, 1000), TEXT_BYTES);
	host_drain(h);
	end();
}

/* ---- how it ends early ------------------------------------------------------------------------ */

static void close_before_the_ack_sends_all_and_fin(void)
{
	begin_opened();
	CHECK_EQ(app_read_pattern(&s, 1000), TEXT_BYTES);
	app_write_pattern(&s, 1000);
	CHECK_EQ(app_close(&s), 0);
	host_settle(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK | TH_FIN), PAYLOAD_IS_PATTERN(0, 1000));
	peer_send(&peer, TH_ACK | TH_FIN, NULL, 0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(peer.seq));
	CHECK_EQ(host_counter(h, CNT_tcp_reset), 0);
	end();
}

static void close_with_unread_text_is_a_reset(void)
{
	begin_opened();
	CHECK_EQ(app_close(&s), 0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_RST | TH_ACK), TCP_SEQ_IS(peer.host_isn + 1));
	CHECK_EQ(h->w->sock_count, 1);
	end();
}

static void shutdown_before_the_ack_sends_fin(void)
{
	begin_opened();
	CHECK_EQ(app_shutdown(&s, SHUT_WR), 0);
	host_settle(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK | TH_FIN), TCP_SEQ_IS(peer.host_isn + 1));
	peer.ack = peer.host_isn + 1;
	peer_send(&peer, TH_ACK, NULL, 0); /* of the SYN-ACK, it crossed the FIN */
	CHECK_EQ(host_state(&s), TCP_FIN_WAIT1);
	peer.ack++;
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(host_state(&s), TCP_FIN_WAIT2);
	end();
}

static void a_listener_that_closes_resets_what_nobody_took(void)
{
	begin_serving();
	fetch_cookie(&peer);
	open_fast(&peer);
	CHECK_EQ(app_close(&h->listener), 0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_RST | TH_ACK));
	h->listener = (struct app_sock){0};
	HOST_CHECK_QUIET(h);
	end();
}

static void what_was_taken_outlives_its_listener(void)
{
	begin_opened();
	CHECK_EQ(app_close(&h->listener), 0);
	CHECK_EQ(pool_used(h->w->tcp->fastopen_queues), 1);
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	CHECK_EQ(pool_used(h->w->tcp->fastopen_queues), 0);
	end();
}

static void rst_ends_it(void)
{
	begin_opened();
	peer_send(&peer, TH_RST, NULL, 0);
	CHECK_EQ(host_state(&s), TCP_CLOSE);
	CHECK_EQ(s.slot->error, ECONNRESET);
	CHECK_EQ(app_read_pattern(&s, 1000), TEXT_BYTES);
	end();
}

static void rst_ends_what_nobody_took(void)
{
	begin_serving();
	fetch_cookie(&peer);
	open_fast(&peer);
	peer_send(&peer, TH_RST, NULL, 0);
	CHECK_EQ(app_accept(&h->listener, &s), -EAGAIN);
	CHECK_EQ(h->w->sock_count, 1);
	end();
}

/* RFC 9293 section 3.10.7.4, fifth, and RFC 5961. */
static void guesses_do_not_end_it(void)
{
	begin_opened();
	peer_inject(&peer, TH_ACK, peer.seq, peer.host_isn, NULL, 0);
	host_settle(h);
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_RST));
	peer_inject(&peer, TH_RST, peer.seq + 1, 0, NULL, 0);
	host_settle(h);
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_ACK));
	peer_inject(&peer, TH_SYN, peer.seq + 1, 0, NULL, 0);
	host_settle(h);
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_ACK));
	CHECK_EQ(host_state(&s), TCP_SYN_RECV);
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	end();
}

TEST_SUITE(tcp_fastopen)
{
	TEST(a_cookie_is_given_for_the_asking);
	TEST(who_does_not_ask_gets_none);
	TEST(without_being_wanted_the_option_is_ignored);
	TEST(a_wrong_cookie_gets_a_good_one);
	TEST(a_cookie_of_another_address_is_refused);
	TEST(cookies_grow_old);
	TEST(a_cookie_of_impossible_length_is_ignored);
	TEST(workers_honour_each_others_cookies);
	TEST(text_is_read_before_the_handshake_is_over);
	TEST(the_answer_does_not_wait_for_the_ack);
	TEST(an_ack_of_the_syn_alone_is_no_duplicate);
	TEST(options_are_negotiated_as_ever);
	TEST(a_small_buffer_scales_too);
	TEST(a_syn_without_text_opens_too);
	TEST(what_waits_for_data_is_not_opened_by_a_cookie_alone);
	TEST(the_same_syn_is_answered_and_delivers_nothing_twice);
	TEST(the_same_syn_in_one_burst_delivers_nothing_twice);
	TEST(a_flow_in_time_wait_is_opened_fast);
	TEST(the_synack_goes_again_without_option_until_given_up);
	TEST(data_sent_before_a_lost_synack_goes_again);
	TEST(without_a_chunk_the_text_comes_again);
	TEST(close_before_the_ack_sends_all_and_fin);
	TEST(close_with_unread_text_is_a_reset);
	TEST(shutdown_before_the_ack_sends_fin);
	TEST(a_listener_that_closes_resets_what_nobody_took);
	TEST(what_was_taken_outlives_its_listener);
	TEST(rst_ends_it);
	TEST(rst_ends_what_nobody_took);
	TEST(guesses_do_not_end_it);
}
