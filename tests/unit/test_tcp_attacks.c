/* SPDX-License-Identifier: BSD-3-Clause */
/* What has been tried against TCP stacks, by name: each costs the attacker more than us, and ends
 * no connection but his own. */
#include <errno.h>
#include <sys/socket.h>

#include "sock/sock_table.h"
#include "support/tcp_fixture.h"

#define HOUR_MS 3600000u

static void begin(void)
{
	begin_connected(NULL);
}

/* The peer agrees to SACK. */
static void begin_sack(const struct host_config *config)
{
	begin_unconnected(config);
	peer.sack_permitted = true;
	host_connected(h, &peer, &s);
}

/* ---- forged segments -------------------------------------------------------------- */

/* LAND (1997): a SYN from the host's own address and port made stacks talk to themselves. */
static void a_syn_from_our_own_address_is_dropped(void)
{
	struct build b;

	begin_unconnected(NULL);
	host_listen(h, 4);
	peer.address = HOST_ADDR;
	peer.port = HOST_PORT;
	peer_build(&peer, &b, TH_SYN, peer.isn, 0);
	build_finish(&b);
	host_inject(h, &b);
	host_settle(h);
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(host_counter(h, CNT_ip_source), 1);
	CHECK_EQ(sock_table_count(h->w->socks_by_flow), 0);
	end();
}

/* RFC 7126 sections 4.3 and 4.4: with one, a packet seems to come from where it does not, and the
 * answer goes where its sender likes (MUST-51 to 53, which leat differs from for that). */
static void source_routes_are_neither_taken_nor_made(void)
{
	static const uint8_t routes[][8] = {{131, 7, 4, 198, 18, 0, 9, 0},
					    {137, 7, 4, 198, 18, 0, 9, 0}};
	struct build b;

	begin_unconnected(NULL);
	host_listen(h, 4);
	for (unsigned i = 0; i < RTE_DIM(routes); i++) {
		host_build_ipv4(h, &b, IPPROTO_TCP);
		build_ip_option(&b, routes[i], sizeof(routes[i]));
		build_tcp(&b, peer.port, HOST_PORT, peer.isn, 0, TH_SYN, 65535);
		build_finish(&b);
		host_inject(h, &b);
		host_settle(h);
		HOST_EXPECT_NOTHING(h);
		CHECK_EQ(host_counter(h, CNT_ip_source_route), i + 1);
		REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
		CHECK_EQ(app_setsockopt(&s, IPPROTO_IP, IP_OPTIONS, routes[i], sizeof(routes[i])),
			 -ENOPROTOOPT);
		CHECK_EQ(app_close(&s), 0);
	}
	CHECK_EQ(sock_table_count(h->w->socks_by_flow), 0);
	end();
}

/* Sends so many blind SYNs into p's connection; how many challenge ACKs come back. */
static uint32_t challenges(const struct peer *p, int count)
{
	host_drain(h);
	for (int i = 0; i < count; i++) {
		peer_inject(p, TH_SYN, p->seq + (uint32_t)i * 1000, 0, NULL, 0);
		host_poll(h);
	}
	return host_drain(h);
}

/* RFC 5961 section 7, and what a limit shared by all connections gave away (CVE-2016-5696): whether
 * somebody else's connection was challenged could be read off one's own. */
static void challenges_of_one_connection_tell_nothing_of_another(void)
{
	struct app_sock other_sock;
	struct peer other;
	uint32_t alone;

	begin();
	alone = challenges(&peer, 100);
	CHECK_EQ(alone, TCP_CHALLENGE_LIMIT);
	peer_init(&other, h);
	host_connected(h, &other, &other_sock);
	CHECK_EQ(challenges(&other, 100), alone);
	CHECK_EQ(challenges(&peer, 1), 0);
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	CHECK_EQ(host_state(&other_sock), TCP_ESTABLISHED);
	end();
}

/* The same before the handshake is complete: no amplifier for whoever forges the peer's address. */
static void challenges_of_a_half_open_connection_are_limited(void)
{
	begin_unconnected(NULL);
	host_syn_received(h, &peer);
	peer.seq += 10; /* else it is the SYN again, which gets its SYN-ACK */
	CHECK_EQ(challenges(&peer, 100), TCP_CHALLENGE_LIMIT);
	peer.seq -= 10;
	host_advance_ms(h, TCP_CHALLENGE_MS);
	CHECK(challenges(&peer, 1) > 0);
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(app_accept(&h->listener, &s), 0);
	end();
}

/* RFC 5961 section 1: an attacker who knows both ends but not the numbers tries one segment for
 * each window.  Of a thousand of each kind none gets through. */
static void blind_segments_change_nothing(void)
{
	begin();
	for (uint32_t i = 1; i < 1000; i++) {
		uint32_t seq = peer.seq + i * 4294967u;

		peer_inject(&peer, TH_RST, seq, 0, NULL, 0);
		peer_inject(&peer, TH_SYN, seq, 0, NULL, 0);
		peer_inject(&peer, TH_ACK, seq, peer.ack + i * 4294967u, "evil", 4);
		/* The right place with a guessed ACK: section 5. */
		peer_inject(&peer, TH_ACK, peer.seq, peer.ack + i * 4294967u - 100000, "evil", 4);
		host_settle(h);
		host_drain(h);
	}
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	CHECK_EQ(app_readable(&s), 0);
	peer_send_pattern(&peer, 100);
	CHECK_EQ(app_read_pattern(&s, 200), 100);
	host_drain(h);
	end();
}

/* A pointer past the text, before it, at its edge; with text and without (RFC 6093). */
static void urgent_pointers_are_harmless(void)
{
	static const uint16_t pointers[] = {0, 1, 9, 10, 11, 0x7fff, 0x8000, 0xffff};
	struct build b;

	begin();
	for (size_t i = 0; i < RTE_DIM(pointers); i++) {
		for (uint32_t length = 0; length <= 10; length += 10) {
			peer_build(&peer, &b, TH_ACK | TH_URG, peer.seq, peer.ack);
			build_pattern(&b, peer_offset(&peer, peer.seq), length);
			build_tcp_header(&b)->tcp_urp = htons(pointers[i]);
			build_finish(&b);
			host_inject(h, &b);
			host_settle(h);
			peer.seq += length;
		}
	}
	CHECK_EQ(app_read_pattern(&s, 1000), RTE_DIM(pointers) * 10);
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	host_drain(h);
	end();
}

/* ---- options that cannot be read ---------------------------------------------------- */

/* Options of length 0, 1 and past the end, on every kind of segment: each dies for that reason, and
 * nothing is said. */
static void send_malformed(void)
{
	static const char *const options[] = {"\x02\x00\x01\x01", "\x08\x01\x01\x01",
					      "\x01\x01\x05\x0a", "\x03\x28\x00\x00"};
	static const uint8_t flags[] = {TH_SYN, TH_SYN | TH_ACK, TH_ACK, TH_FIN | TH_ACK, TH_RST};
	uint64_t before = host_counter(h, CNT_tcp_option);
	uint32_t socks = h->w->sock_count;
	struct build b;

	host_drain(h);
	for (size_t o = 0; o < RTE_DIM(options); o++) {
		for (size_t f = 0; f < RTE_DIM(flags); f++) {
			peer_build(&peer, &b, flags[f], peer.seq, peer.ack);
			build_tcp_option(&b, options[o], 4);
			build_finish(&b);
			host_inject(h, &b);
		}
	}
	host_settle(h);
	CHECK_EQ(host_counter(h, CNT_tcp_option) - before, RTE_DIM(options) * RTE_DIM(flags));
	CHECK_EQ(h->w->sock_count, socks);
	HOST_EXPECT_NOTHING(h);
}

/* One connection after the other walks through the states. */
static void malformed_options_die_in_every_state(void)
{
	begin_unconnected(NULL);
	send_malformed(); /* CLOSED */
	host_listen(h, 4);
	send_malformed();
	host_syn_received(h, &peer);
	send_malformed();
	peer_send(&peer, TH_ACK, NULL, 0);
	REQUIRE_EQ(app_accept(&h->listener, &s), 0);
	send_malformed();
	CHECK_EQ(app_shutdown(&s, SHUT_WR), 0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_FIN | TH_ACK));
	send_malformed();
	CHECK_EQ(host_state(&s), TCP_FIN_WAIT1);
	peer_send(&peer, TH_ACK, NULL, 0);
	send_malformed();
	CHECK_EQ(host_state(&s), TCP_FIN_WAIT2);
	peer_send(&peer, TH_FIN | TH_ACK, NULL, 0);
	send_malformed(); /* TIME-WAIT */
	CHECK_EQ(sock_table_count(h->w->socks_by_flow), 1);

	peer_init(&peer, h);
	host_syn_sent(h, &peer, &s);
	send_malformed();
	CHECK_EQ(host_state(&s), TCP_SYN_SENT);
	peer_send(&peer, TH_SYN | TH_ACK, NULL, 0);
	peer_send(&peer, TH_FIN | TH_ACK, NULL, 0);
	send_malformed();
	CHECK_EQ(host_state(&s), TCP_CLOSE_WAIT);
	CHECK_EQ(app_shutdown(&s, SHUT_WR), 0);
	send_malformed();
	CHECK_EQ(host_state(&s), TCP_LAST_ACK);

	peer_init(&peer, h);
	host_connected(h, &peer, &s);
	CHECK_EQ(app_shutdown(&s, SHUT_WR), 0);
	peer_send(&peer, TH_FIN | TH_ACK, NULL, 0);
	send_malformed();
	CHECK_EQ(host_state(&s), TCP_CLOSING);
	end();
}

/* ---- a peer that wastes our memory or time --------------------------------------------- */

/* SACK Panic and its kin (CVE-2019-11477 to 11479): an MSS of almost nothing makes many segments of
 * few bytes. */
static void a_tiny_mss_is_not_believed(void)
{
	struct tcp_segment t;
	uint32_t sent = 0;

	begin_unconnected(NULL);
	peer.mss = 1;
	peer.sack_permitted = true;
	host_connected(h, &peer, &s);
	app_write_pattern(&s, 10 * TCP_MSS_MIN_BYTES);
	host_settle(h);
	while (host_tx_count(h) > 0) {
		t = PEER_TAKE(&peer);
		CHECK_EQ(t.length, TCP_MSS_MIN_BYTES);
		sent += t.length;
	}
	CHECK_EQ(sent, 10 * TCP_MSS_MIN_BYTES);
	end();
}

/* An ACK of nothing new with one SACK block for each of these bytes. */
static void sack_bytes(uint32_t first, uint32_t step, uint32_t count)
{
	struct build b;
	uint8_t option[2 + 8 * 4] = {5, (uint8_t)(2 + 8 * count)};

	for (uint32_t i = 0; i < count; i++) {
		uint32_t start = htonl(first + step * i);
		uint32_t end = htonl(first + step * i + 1);

		memcpy(&option[2 + 8 * i], &start, 4);
		memcpy(&option[6 + 8 * i], &end, 4);
	}
	peer_build(&peer, &b, TH_ACK, peer.seq, peer.ack);
	build_tcp_option(&b, "\x01\x01", 2);
	build_tcp_option(&b, option, 2 + 8 * count);
	build_finish(&b);
	host_inject(h, &b);
	host_settle(h);
	host_drain(h);
}

/* SACK slowness (CVE-2019-11478): every second byte acknowledged, the scoreboard in as many pieces.
 * What one ACK costs is a walk along the records, so their number is what is bounded. */
static void a_scoreboard_in_pieces_is_bounded(void)
{
	struct host_config config = host_config_default();
	uint32_t first;

	config.worker.max_flight_records = 4 * FLIGHT_RECORDS_MAX;
	begin_sack(&config);
	app_write_pattern(&s, 14600);
	host_settle(h);
	CHECK_EQ(host_drain(h), 10);
	first = peer.ack;
	for (uint32_t at = 1; at + 8 < 14600; at += 8)
		sack_bytes(first + at, 2, 4);
	CHECK_RANGE(tcp()->sending->flight.records, FLIGHT_RECORDS_MAX / 2, FLIGHT_RECORDS_MAX);
	CHECK_EQ(h->w->tcp->flights.used, tcp()->sending->flight.records);
	peer.ack = first + 14600;
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(h->w->tcp->flights.used, 0);
	app_write_pattern(&s, 100); /* and it goes on */
	host_settle(h);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(14600, 100));
	end();
}

/* SegmentSmack (CVE-2018-5390): single bytes with holes between them. */
static void tiny_segments_with_holes_are_bounded(void)
{
	uint32_t chunks;

	begin();
	chunks = h->session->arenas[0].free_chunk_count;
	for (uint32_t i = 1; i <= 9000; i++) {
		peer_inject_pattern(&peer, peer.seq + 2 * i, 1);
		host_poll(h);
		host_drain(h);
	}
	CHECK_EQ(tcp()->reassembly->count, REASSEMBLY_MANY);
	CHECK_EQ(host_counter(h, CNT_tcp_reassembly), 9000 - REASSEMBLY_MANY);
	CHECK(chunks - h->session->arenas[0].free_chunk_count <= 2); /* in place, not one each */
	peer_send_pattern(&peer, 1400);
	CHECK_RANGE(app_read_pattern(&s, 2000), 1400, 1401);
	host_drain(h);
	end();
}

/* Savage et al., "TCP Congestion Control with a Misbehaving Receiver" (1999), section 3.3. */
static void optimistic_acks_do_not_hasten_us(void)
{
	uint32_t cwnd, una;

	begin();
	app_write_pattern(&s, 100000);
	host_settle(h);
	host_drain(h);
	cwnd = tcp_cwnd_bytes(tcp());
	una = tcp()->snd_una;
	for (uint32_t i = 0; i < 100; i++) {
		peer_inject(&peer, TH_ACK, peer.seq, tcp()->snd_nxt + 1 + 1460 * i, NULL, 0);
		host_settle(h);
	}
	CHECK_EQ(tcp_cwnd_bytes(tcp()), cwnd);
	CHECK_EQ(tcp()->snd_una, una);
	CHECK_EQ(host_drain(h), TCP_CHALLENGE_LIMIT); /* and not a byte */
	CHECK_EQ(host_counter(h, CNT_tcp_ack), 100);
	end();
}

/* The window after the first ten segments were acknowledged in so many steps. */
static uint32_t window_after_acks(uint32_t steps)
{
	uint32_t cwnd, first;

	begin();
	app_write_pattern(&s, 100000);
	host_settle(h);
	host_drain(h);
	first = tcp()->snd_una;
	for (uint32_t i = 1; i <= steps; i++) {
		peer.ack = first + 14600 * i / steps;
		peer_send(&peer, TH_ACK, NULL, 0);
		host_settle(h);
		host_drain(h);
	}
	cwnd = tcp_cwnd_bytes(tcp());
	end();
	return cwnd;
}

/* The same, section 3.1 (RFC 3465): the window grows by bytes, not by ACKs. */
static void acks_in_pieces_open_no_more_than_whole_ones(void)
{
	uint32_t whole = window_after_acks(10);

	CHECK(whole > 14600);
	CHECK(window_after_acks(1000) <= whole);
}

/* The same, section 3.2.  (Of a peer without SACK each stands for a segment that arrived, so each
 * lets one out, up to the window the peer offers; RFC 5681 section 3.2 permits a limit.) */
static void forged_duplicates_do_not_open_the_window(void)
{
	uint32_t cwnd;

	begin_unconnected(NULL);
	peer.window_scale = 4;
	host_connected(h, &peer, &s);
	app_write_pattern(&s, 200000);
	host_settle(h);
	host_drain(h);
	cwnd = tcp_cwnd_bytes(tcp());
	for (int i = 0; i < 1000; i++) {
		peer_send(&peer, TH_ACK, NULL, 0);
		host_settle(h);
		host_drain(h);
	}
	CHECK(tcp_cwnd_bytes(tcp()) <= cwnd);
	end();
}

/* ---- a peer that keeps its window shut (CVE-2008-4609, sockstress) ------------------------ */

/* The peer answers every probe, and takes nothing, for so long. */
static void keep_shut(uint64_t ms)
{
	peer.window = 0;
	for (uint64_t end_us = clock_us + ms * 1000; clock_us < end_us;) {
		peer_inject(&peer, TH_ACK, peer.seq, peer.ack, NULL, 0);
		host_settle(h);
		host_drain(h);
		host_advance_ms(h, 1000);
	}
	host_drain(h);
}

static void write_into_a_shut_window(void)
{
	peer.window = 0;
	peer_send(&peer, TH_ACK, NULL, 0);
	app_write_pattern(&s, 5000);
	host_settle(h);
}

/* RFC 9293 section 3.8.6.1 (MUST-37): the connection stays, it is the application's to end. */
static void a_shut_window_does_not_end_what_an_application_holds(void)
{
	begin();
	write_into_a_shut_window();
	keep_shut(HOUR_MS);
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	end();
}

static void a_shut_window_ends_what_nobody_holds(void)
{
	begin();
	write_into_a_shut_window();
	CHECK_EQ(app_close(&s), 0);
	keep_shut(TCP_ORPHAN_MS / 2);
	CHECK_EQ(h->w->sock_count, 1);
	keep_shut(TCP_ORPHAN_MS);
	HOST_CHECK_QUIET(h);
	CHECK_EQ(host_counter(h, CNT_tcp_timeout), 1);
	end();
}

/* RFC 5482 section 3 */
static void a_shut_window_ends_at_the_user_timeout(void)
{
	int timeout_ms = 20000;

	begin();
	CHECK_EQ(app_setsockopt(&s, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms)),
		 0);
	write_into_a_shut_window();
	keep_shut(10000);
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	keep_shut(30000);
	CHECK_EQ(host_state(&s), TCP_CLOSE);
	CHECK_EQ(s.slot->error, ETIMEDOUT);
	end();
}

TEST_SUITE(tcp_attacks)
{
	TEST(a_syn_from_our_own_address_is_dropped);
	TEST(source_routes_are_neither_taken_nor_made);
	TEST(challenges_of_one_connection_tell_nothing_of_another);
	TEST(challenges_of_a_half_open_connection_are_limited);
	TEST(blind_segments_change_nothing);
	TEST(urgent_pointers_are_harmless);
	TEST(malformed_options_die_in_every_state);
	TEST(a_tiny_mss_is_not_believed);
	TEST(a_scoreboard_in_pieces_is_bounded);
	TEST(tiny_segments_with_holes_are_bounded);
	TEST(optimistic_acks_do_not_hasten_us);
	TEST(acks_in_pieces_open_no_more_than_whole_ones);
	TEST(forged_duplicates_do_not_open_the_window);
	TEST(a_shut_window_does_not_end_what_an_application_holds);
	TEST(a_shut_window_ends_what_nobody_holds);
	TEST(a_shut_window_ends_at_the_user_timeout);
}
