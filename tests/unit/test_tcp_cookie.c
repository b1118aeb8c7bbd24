/* SPDX-License-Identifier: BSD-3-Clause */
/* SYN cookies: RFC 4987 section 3.6. */
#include <sys/socket.h>

#include "support/tcp_fixture.h"

#define MINUTE_MS 60000u

/* A listener whose half-open connections are as many as may be, of peers that stay silent. */
static void begin_flooded(void)
{
	begin_unconnected(NULL);
	host_listen(h, 2);
	for (int i = 0; i < 3; i++) {
		struct peer silent;

		peer_init(&silent, h);
		host_syn_received(h, &silent);
	}
}

/* The peer's SYN is answered with a cookie. */
static void take_cookie(struct peer *p)
{
	uint64_t sent = host_counter(h, CNT_tcp_cookie_sent);

	peer_send(p, TH_SYN, NULL, 0);
	PEER_EXPECT(p, TCP_FLAGS_ARE(TH_SYN | TH_ACK), TCP_ACK_IS(p->isn + 1), PAYLOAD_IS(0));
	CHECK_EQ(host_counter(h, CNT_tcp_cookie_sent), sent + 1);
}

/* The ACK of a cookie is refused. */
static void expect_refused(uint32_t seq, uint32_t ack)
{
	uint64_t failed = host_counter(h, CNT_tcp_cookie_failed);

	host_drain(h);
	peer_inject(&peer, TH_ACK, seq, ack, NULL, 0);
	host_settle(h);
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_RST), TCP_SEQ_IS(ack));
	CHECK_EQ(host_counter(h, CNT_tcp_cookie_failed), failed + 1);
	CHECK_EQ(host_counter(h, CNT_tcp_cookie_accepted), 0);
}

static void an_honest_peer_connects_while_the_table_is_full(void)
{
	uint32_t requests;

	begin_flooded();
	requests = tcp_sk(host_sock(&h->listener))->ics.listener->request_count;
	take_cookie(&peer);
	CHECK_EQ(tcp_sk(host_sock(&h->listener))->ics.listener->request_count, requests);
	peer_send(&peer, TH_ACK, NULL, 0);
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(host_counter(h, CNT_tcp_cookie_accepted), 1);
	CHECK_EQ(host_counter(h, CNT_tcp_passive_open), 1);
	REQUIRE_EQ(app_accept(&h->listener, &s), 0);
	CHECK_EQ(s.peer.port, htons(peer.port));
	peer_send_pattern(&peer, 100);
	CHECK_EQ(app_read_pattern(&s, 200), 100);
	host_drain(h);
	app_write_pattern(&s, 3000);
	host_settle(h);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, 1460)); /* its MSS was remembered */
	host_drain(h);
	end();
}

static void text_with_the_cookies_ack_is_taken(void)
{
	begin_flooded();
	take_cookie(&peer);
	peer_send_pattern(&peer, 100);
	REQUIRE_EQ(app_accept(&h->listener, &s), 0);
	CHECK_EQ(app_read_pattern(&s, 200), 100);
	host_drain(h);
	end();
}

/* Eight sizes, the largest that is not above the peer's. */
static void the_mss_is_rounded_down(void)
{
	static const uint16_t offered[] = {0, 1, 88, 535, 1300, 1459, 1460, 9000};
	static const uint16_t kept[] = {536, 88, 88, 88, 1220, 1452, 1460, 1460};

	begin_flooded();
	for (size_t i = 0; i < RTE_DIM(offered); i++) {
		peer_init(&peer, h);
		peer.mss = offered[i];
		take_cookie(&peer);
		peer_send(&peer, TH_ACK, NULL, 0);
		REQUIRE_EQ(app_accept(&h->listener, &s), 0);
		CHECK_EQ(tcp()->mss_bytes, kept[i]);
		host_advance_ms(h, 2); /* claims are looked for once a millisecond */
	}
	end();
}

/* In the low bits of the timestamp, which the peer echoes. */
static void with_timestamps_all_options_are_kept(void)
{
	for (int8_t scale = -1; scale <= 14; scale++) {
		begin_flooded();
		clock_us += 1000u * (uint32_t)(scale + 1) * 7; /* other low bits of our clock */
		peer.timestamps = true;
		peer.sack_permitted = scale % 2 == 0;
		peer.window_scale = scale;
		take_cookie(&peer);
		peer_send(&peer, TH_ACK, NULL, 0);
		REQUIRE_EQ(app_accept(&h->listener, &s), 0);
		CHECK_EQ(tcp()->snd_scale, scale >= 0 ? scale : 0);
		CHECK_EQ(tcp()->rcv_scale, scale >= 0 ? tcp_window_scale(h->w, host_sock(&s)) : 0);
		CHECK_EQ(tcp_has_sack(tcp()), peer.sack_permitted);
		CHECK(tcp()->flags & TCP_SOCK_TIMESTAMPS);
		peer_send_pattern(&peer, 100);
		CHECK_EQ(app_read_pattern(&s, 200), 100);
		end();
	}
}

/* RFC 7323 section 4.3 and 5: timestamps never run backwards. */
static void the_cookies_timestamp_is_not_ahead(void)
{
	struct tcp_segment t;
	uint32_t first;

	begin_flooded();
	for (int i = 0; i < 100; i++) {
		peer_init(&peer, h);
		peer.timestamps = true;
		take_cookie(&peer);
		first = peer.ts_recent;
		/* Anything at all makes it say where its clock is. */
		peer_send(&peer, TH_ACK, NULL, 0);
		REQUIRE_EQ(app_accept(&h->listener, &s), 0);
		app_write_pattern(&s, 1);
		host_settle(h);
		t = PEER_TAKE(&peer);
		CHECK_RANGE(t.ts_value - first, 0, 64);
		peer_send(&peer, TH_RST, NULL, 0);
		CHECK_EQ(app_close(&s), 0);
		host_advance_ms(h, 3);
		host_drain(h);
	}
	end();
}

/* RFC 3168 section 6.1 */
static void ecn_is_kept_with_timestamps(void)
{
	begin_flooded();
	peer.timestamps = true;
	peer_send(&peer, TH_SYN | 0xc0, NULL, 0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_SYN | TH_ACK | 0x40));
	peer_send(&peer, TH_ACK, NULL, 0);
	REQUIRE_EQ(app_accept(&h->listener, &s), 0);
	CHECK(tcp()->flags & TCP_SOCK_ECN);
	end();
}

static void without_timestamps_options_are_not_agreed_to(void)
{
	begin_flooded();
	peer.window_scale = 7;
	peer.sack_permitted = true;
	peer_send(&peer, TH_SYN | 0xc0, NULL, 0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_SYN | TH_ACK), TCP_WINDOW_SCALE_IS(-1),
		    TCP_HAS_TIMESTAMP(false));
	peer_send(&peer, TH_ACK, NULL, 0);
	REQUIRE_EQ(app_accept(&h->listener, &s), 0);
	CHECK_EQ(tcp()->snd_scale, 0);
	CHECK_EQ(tcp()->rcv_scale, 0);
	CHECK(!(tcp()->flags & (TCP_SOCK_SACK | TCP_SOCK_ECN | TCP_SOCK_TIMESTAMPS)));
	CHECK_EQ(tcp()->mss_bytes, 1460);
	end();
}

/* Each bit of it, another sequence number of the peer, another flow. */
static void a_forged_cookie_is_refused(void)
{
	begin_flooded();
	take_cookie(&peer);
	for (int bit = 0; bit < 32; bit++)
		expect_refused(peer.seq, peer.ack ^ 1u << bit);
	expect_refused(peer.seq + 1, peer.ack);
	peer.port += 100;
	expect_refused(peer.seq, peer.ack);
	peer.port -= 100;
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(app_accept(&h->listener, &s), 0);
	end();
}

/* Each minute has cookies of its own, good until the end of the next. */
static void a_cookie_is_good_for_one_to_two_minutes(void)
{
	uint32_t cookie;

	begin_flooded();
	take_cookie(&peer);
	cookie = peer.host_isn;
	host_advance_ms(h, MINUTE_MS - 1000);
	peer_send(&peer, TH_ACK, NULL, 0);
	REQUIRE_EQ(app_accept(&h->listener, &s), 0);
	CHECK_EQ(tcp()->snd_una, cookie + 1);
	end();
}

static void an_old_cookie_is_refused(void)
{
	struct peer other;

	begin_flooded();
	take_cookie(&peer);
	host_advance_ms(h, MINUTE_MS);
	for (int i = 0; i < 3; i++) { /* the flood goes on */
		peer_init(&other, h);
		peer_send(&other, TH_SYN, NULL, 0);
	}
	host_drain(h);
	CHECK(host_counter(h, CNT_tcp_cookie_sent) > 1);
	host_advance_ms(h, MINUTE_MS);
	expect_refused(peer.seq, peer.ack);
	end();
}

/* The same SYN gets another cookie a minute later: what was learned of one does not help. */
static void cookies_change_from_minute_to_minute(void)
{
	uint32_t cookie;

	begin_flooded();
	take_cookie(&peer);
	cookie = peer.host_isn;
	peer.seq = peer.isn;
	take_cookie(&peer);
	CHECK_EQ(peer.host_isn, cookie);
	host_advance_ms(h, MINUTE_MS);
	host_drain(h);
	peer.seq = peer.isn;
	take_cookie(&peer);
	CHECK(peer.host_isn != cookie);
	end();
}

/* Who was not sent any is not asked for one: RFC 9293 section 3.10.7.2. */
static void without_a_flood_an_ack_is_no_cookie(void)
{
	begin_unconnected(NULL);
	host_listen(h, 2);
	peer_inject(&peer, TH_ACK, peer.seq, 77, NULL, 0);
	host_settle(h);
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_RST), TCP_SEQ_IS(77));
	CHECK_EQ(host_counter(h, CNT_tcp_no_sock), 1);
	CHECK_EQ(host_counter(h, CNT_tcp_cookie_failed), 0);
	end();
}

static void a_cookie_waits_while_the_accept_queue_is_full(void)
{
	struct peer more[4];

	begin_flooded();
	for (size_t i = 0; i < RTE_DIM(more); i++) {
		peer_init(&more[i], h);
		take_cookie(&more[i]);
	}
	for (size_t i = 0; i < RTE_DIM(more); i++)
		peer_inject(&more[i], TH_ACK, more[i].seq, more[i].ack, NULL, 0);
	host_settle(h);
	CHECK_EQ(host_counter(h, CNT_tcp_cookie_accepted), 3); /* backlog + 1 */
	CHECK_EQ(host_counter(h, CNT_tcp_backlog), 1);
	HOST_EXPECT_NOTHING(h);
	REQUIRE_EQ(app_accept(&h->listener, &s), 0);
	host_advance_ms(h, 2);
	peer_send_pattern(&more[3], 10); /* the peer, established for its part, sends */
	CHECK_EQ(host_counter(h, CNT_tcp_cookie_accepted), 4);
	host_drain(h);
	end();
}

static void without_a_sock_left_a_cookie_is_refused_quietly(void)
{
	struct host_config config = host_config_default();
	struct app_sock taken[8];
	int count = 0;

	config.worker.max_socks = 4;
	config.worker.max_listeners = 1;
	config.worker.max_requests = 1;
	begin_unconnected(&config);
	host_listen(h, 16);
	while (app_socket(&h->app, SOCK_STREAM, &taken[count]) == 0)
		count++;
	host_syn_received(h, &peer);
	peer_init(&peer, h);
	take_cookie(&peer);
	peer_inject(&peer, TH_ACK, peer.seq, peer.ack, NULL, 0);
	host_settle(h);
	CHECK_EQ(host_counter(h, CNT_tcp_sock_pool), 1);
	CHECK_EQ(app_close(&taken[0]), 0);
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(app_accept(&h->listener, &s), 0);
	end();
}

TEST_SUITE(tcp_cookie)
{
	TEST(an_honest_peer_connects_while_the_table_is_full);
	TEST(text_with_the_cookies_ack_is_taken);
	TEST(the_mss_is_rounded_down);
	TEST(with_timestamps_all_options_are_kept);
	TEST(the_cookies_timestamp_is_not_ahead);
	TEST(ecn_is_kept_with_timestamps);
	TEST(without_timestamps_options_are_not_agreed_to);
	TEST(a_forged_cookie_is_refused);
	TEST(a_cookie_is_good_for_one_to_two_minutes);
	TEST(an_old_cookie_is_refused);
	TEST(cookies_change_from_minute_to_minute);
	TEST(without_a_flood_an_ack_is_no_cookie);
	TEST(a_cookie_waits_while_the_accept_queue_is_full);
	TEST(without_a_sock_left_a_cookie_is_refused_quietly);
}
