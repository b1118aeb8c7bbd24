/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 7413, TCP Fast Open, as client: sections 4.1.3 and 4.2; calls with Linux's meaning. */
#include <errno.h>
#include <sys/socket.h>

#include "support/link.h"
#include "support/tcp_fixture.h"
#include "tcp/info.h"

#define MINUTE_MS  60000u
#define TEXT_BYTES 300u
/* What fits into a SYN to a server whose MSS is 1460: options take MSS 4, timestamp and SACK 12,
 * scale 4, and a cookie of eight bytes 12. */
#define SYN_ROOM (1460u - 32)

static const uint8_t cookie[8] = {1, 2, 3, 4, 5, 6, 7, 8};

/* s, not connected yet, wants Fast Open. */
static void open_sock(void)
{
	int on = 1;

	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	REQUIRE_EQ(app_setsockopt(&s, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on)), 0);
}

/* s begins to connect to the peer. */
static void connect_sock(void)
{
	struct leat_addr local;

	open_sock();
	REQUIRE_EQ(app_connect(&s, peer.address, peer.port), 0);
	host_settle(h);
	REQUIRE_EQ(app_getname(&s, false, &local), 0);
	peer.host_port = ntohs(local.port);
	peer.seq = peer.isn;
}

/* The peer answers: acknowledges p->ack, gives its cookie while it has one. */
static void send_synack(void)
{
	peer.fastopen = peer.cookie_bytes != 0;
	peer_send(&peer, TH_SYN | TH_ACK, NULL, 0);
	host_settle(h);
}

static void close_sock(void)
{
	peer_send(&peer, TH_RST, NULL, 0);
	CHECK_EQ(app_close(&s), 0);
	host_drain(h);
}

/* leat got a cookie of the peer in a connection that is over. */
static void fetch_cookie(void)
{
	struct tcp_segment t;

	connect_sock();
	t = PEER_TAKE(&peer);
	CHECK(t.has_fastopen);
	CHECK_EQ(t.cookie_bytes, 0);
	CHECK_EQ(t.length, 0);
	memcpy(peer.cookie, cookie, sizeof(cookie));
	peer.cookie_bytes = sizeof(cookie);
	send_synack();
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK));
	close_sock();
	peer.cookie_bytes = 0;
}

static void begin_known(void)
{
	begin_unconnected(NULL);
	fetch_cookie();
}

/* The SYN carries the cookie and this much of the stream. */
static void take_fast_syn(uint32_t length)
{
	struct tcp_segment t;

	if (host_tx_count(h) > 0 && length > 0) {
		struct frame *f = TAILQ_FIRST(&h->link.tx);

		CHECK_FRAME(f, PAYLOAD_IS_PATTERN(0, length));
	}
	t = PEER_TAKE(&peer);
	CHECK_EQ(t.flags & ~TH_PUSH, TH_SYN);
	CHECK(t.has_fastopen);
	CHECK_EQ(t.cookie_bytes, sizeof(cookie));
	CHECK_MEM(t.cookie, cookie, sizeof(cookie));
	CHECK_EQ(t.length, length);
}

/* s, which knew the cookie, sent its SYN with text. */
static void begin_sent(void)
{
	begin_known();
	connect_sock();
	CHECK_EQ(app_write_pattern(&s, TEXT_BYTES), TEXT_BYTES);
	host_settle(h);
	take_fast_syn(TEXT_BYTES);
}

static struct tcp_info_answer info(void)
{
	struct tcp_info_answer answer;

	REQUIRE_EQ(app_getsockopt(&s, IPPROTO_TCP, TCP_INFO, &answer, sizeof(answer)), 0);
	return answer;
}

/* ---- the calls -------------------------------------------------------------------------- */

static void the_first_connection_asks_for_a_cookie(void)
{
	struct tcp_segment t;

	begin_unconnected(NULL);
	connect_sock();
	CHECK(!app_has(&s, LEAT_EV_CONNECTED)); /* an ordinary connect */
	t = PEER_TAKE(&peer);
	CHECK(t.has_fastopen);
	CHECK_EQ(t.cookie_bytes, 0);
	CHECK_EQ(info().fastopen_client_fail, 1); /* TFO_COOKIE_UNAVAILABLE */
	send_synack();
	CHECK(app_has(&s, LEAT_EV_CONNECTED));
	CHECK_EQ(host_counter(h, CNT_tcp_fastopen_active), 0);
	host_drain(h);
	end();
}

static void with_a_cookie_the_first_write_connects(void)
{
	begin_known();
	connect_sock();
	CHECK(app_has(&s, LEAT_EV_CONNECTED));
	CHECK_EQ(host_state(&s), TCP_SYN_SENT);
	host_advance_ms(h, 10 * MINUTE_MS);
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(app_write_pattern(&s, TEXT_BYTES), TEXT_BYTES);
	host_settle(h);
	take_fast_syn(TEXT_BYTES);
	send_synack(); /* acknowledges it */
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_SEQ_IS(peer.host_isn + 1 + TEXT_BYTES),
		    PAYLOAD_IS(0));
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	CHECK_EQ(host_counter(h, CNT_tcp_fastopen_active), 1);
	CHECK_EQ(s.slot->tx_head, TEXT_BYTES);
	CHECK(info().options & TCPI_OPT_SYN_DATA);
	CHECK_EQ(info().fastopen_client_fail, 0);
	app_write_pattern(&s, 100);
	host_settle(h);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(TEXT_BYTES, 100));
	end();
}

static void the_option_needs_a_closed_sock_and_a_daemon_that_does_it(void)
{
	struct host_config config = host_config_default();
	int value = 2;

	begin_unconnected(NULL);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	CHECK_EQ(app_setsockopt(&s, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &value, sizeof(value)),
		 -EINVAL);
	CHECK_EQ(app_close(&s), 0);
	open_sock();
	CHECK_EQ(app_getsockopt(&s, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &value, sizeof(value)), 0);
	CHECK_EQ(value, 1);
	CHECK_EQ(app_close(&s), 0);
	host_connected(h, &peer, &s);
	CHECK_EQ(app_setsockopt(&s, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &value, sizeof(value)),
		 -EINVAL);
	end();
	config.worker.fast_open = FAST_OPEN_SERVER;
	begin_unconnected(&config);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	CHECK_EQ(app_setsockopt(&s, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &value, sizeof(value)),
		 -EOPNOTSUPP);
	end();
}

static void who_does_not_want_it_neither_asks_nor_remembers(void)
{
	begin_unconnected(NULL);
	memcpy(peer.cookie, cookie, sizeof(cookie));
	peer.cookie_bytes = sizeof(cookie);
	peer.fastopen = true; /* unasked */
	host_syn_sent(h, &peer, &s);
	peer_send(&peer, TH_SYN | TH_ACK, NULL, 0);
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	close_sock();
	connect_sock();
	CHECK_EQ(PEER_TAKE(&peer).cookie_bytes, 0);
	end();
}

/* ---- what the server takes ------------------------------------------------------------------- */

static void what_the_synack_does_not_acknowledge_goes_after_it(void)
{
	begin_sent();
	peer.ack = peer.host_isn + 1;
	send_synack();
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), PAYLOAD_IS_PATTERN(0, TEXT_BYTES));
	CHECK_EQ(host_counter(h, CNT_tcp_fastopen_active_fail), 1);
	CHECK_EQ(info().fastopen_client_fail, 2); /* TFO_DATA_NOT_ACKED */
	CHECK(!(info().options & TCPI_OPT_SYN_DATA));
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(s.slot->tx_head, TEXT_BYTES);
	close_sock();
	/* It gave no cookie, so the old one is worth nothing. */
	connect_sock();
	CHECK_EQ(PEER_TAKE(&peer).cookie_bytes, 0);
	end();
}

/* A SYN cannot say where it ends. */
static void urgent_data_does_not_go_with_the_syn(void)
{
	begin_known();
	connect_sock();
	CHECK_EQ(app_write_urgent(&s, "now", 3), 3);
	host_settle(h);
	take_fast_syn(0);
	send_synack();
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK | TH_URG), PAYLOAD_IS(3));
	close_sock();
	end();
}

static void a_part_of_it_may_be_taken(void)
{
	begin_sent();
	peer.ack = peer.host_isn + 1 + 100;
	send_synack();
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_SEQ_IS(peer.host_isn + 101),
		    PAYLOAD_IS_PATTERN(100, TEXT_BYTES - 100));
	CHECK_EQ(s.slot->tx_head, 100);
	end();
}

static void a_new_cookie_replaces_the_old_one(void)
{
	struct tcp_segment t;

	begin_sent();
	peer.ack = peer.host_isn + 1;
	memset(peer.cookie, 0x77, 16);
	peer.cookie_bytes = 16; /* RFC 7413 section 4.1.1: up to 16 bytes */
	send_synack();
	host_drain(h);
	close_sock();
	connect_sock();
	app_write_pattern(&s, TEXT_BYTES);
	host_settle(h);
	t = PEER_TAKE(&peer);
	CHECK_EQ(t.cookie_bytes, 16);
	CHECK_MEM(t.cookie, peer.cookie, 16);
	CHECK_EQ(t.length, TEXT_BYTES);
	end();
}

static void an_ack_of_more_than_was_sent_is_refused(void)
{
	begin_sent();
	peer.ack = peer.host_isn + 1 + TEXT_BYTES + 1;
	send_synack();
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_RST), TCP_SEQ_IS(peer.ack));
	CHECK_EQ(host_state(&s), TCP_SYN_SENT);
	end();
}

static void what_does_not_fit_into_the_syn_follows(void)
{
	begin_known();
	connect_sock();
	app_write_pattern(&s, 5000);
	host_settle(h);
	take_fast_syn(SYN_ROOM);
	HOST_EXPECT_NOTHING(h);
	send_synack();
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(SYN_ROOM, 1460));
	host_drain(h);
	end();
}

/* RFC 7413 section 4.1.3 */
static void the_syn_holds_what_the_servers_mss_allows(void)
{
	begin_unconnected(NULL);
	peer.mss = 600;
	fetch_cookie();
	connect_sock();
	app_write_pattern(&s, 5000);
	host_settle(h);
	take_fast_syn(600 - 32);
	end();
}

static void the_server_may_answer_in_its_synack(void)
{
	uint8_t text[200];

	begin_sent();
	pattern_fill(text, 0, sizeof(text));
	peer_send(&peer, TH_SYN | TH_ACK, text, sizeof(text));
	CHECK_EQ(app_read_pattern(&s, 1000), sizeof(text));
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(peer.isn + 201));
	end();
}

static void a_refusal_is_told_after_the_write(void)
{
	begin_sent();
	peer_inject(&peer, TH_RST | TH_ACK, 0, peer.ack, NULL, 0);
	host_settle(h);
	CHECK_EQ(host_state(&s), TCP_CLOSE);
	CHECK_EQ(s.slot->error, ECONNREFUSED);
	end();
}

/* ---- paths that lose such SYNs: section 4.1.3.1 --------------------------------------------------- */

static void a_lost_syn_goes_again_without_data_and_option(void)
{
	struct tcp_segment t;

	begin_sent();
	host_advance_ms(h, 1100);
	t = PEER_TAKE(&peer);
	CHECK_EQ(t.flags, TH_SYN);
	CHECK(!t.has_fastopen);
	CHECK_EQ(t.length, 0);
	CHECK_EQ(host_counter(h, CNT_tcp_fastopen_blocked), 1);
	peer.ack = peer.host_isn + 1;
	send_synack();
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), PAYLOAD_IS_PATTERN(0, TEXT_BYTES));
	CHECK_EQ(info().fastopen_client_fail, 3); /* TFO_SYN_RETRANSMITTED */
	end();
}

static void after_a_loss_it_is_not_tried_for_a_while(void)
{
	begin_sent();
	host_advance_ms(h, 1100);
	(void)PEER_TAKE(&peer);
	peer.ack = peer.host_isn + 1;
	send_synack();
	close_sock();
	connect_sock();
	CHECK(!app_has(&s, LEAT_EV_CONNECTED));
	CHECK(!PEER_TAKE(&peer).has_fastopen);
	send_synack();
	close_sock();
	host_advance_ms(h, MINUTE_MS);
	connect_sock();
	app_write_pattern(&s, TEXT_BYTES);
	host_settle(h);
	take_fast_syn(TEXT_BYTES);
	end();
}

/* It was only late. */
static void the_answer_to_the_first_syn_may_come_after_the_second(void)
{
	begin_sent();
	host_advance_ms(h, 1100);
	host_drain(h);
	send_synack();
	CHECK_EQ(s.slot->tx_head, TEXT_BYTES);
	CHECK_EQ(host_counter(h, CNT_tcp_fastopen_active), 1);
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_ACK), PAYLOAD_IS(0));
	close_sock();
	connect_sock();
	CHECK(app_has(&s, LEAT_EV_CONNECTED)); /* Fast Open works there */
	end();
}

static void icmp_error(int error, uint16_t mtu)
{
	struct flow flow = tcp()->ics.inet.flow;

	h->w->protocols[IPPROTO_TCP]->error(h->w, &flow, peer.host_isn, error, mtu);
	host_settle(h);
}

static void an_icmp_error_counts_as_a_loss(void)
{
	begin_sent();
	icmp_error(EHOSTUNREACH, 0);
	CHECK_EQ(s.slot->error, EHOSTUNREACH);
	CHECK_EQ(host_counter(h, CNT_tcp_fastopen_blocked), 1);
	end();
}

/* The server's MSS says nothing of what lies between. */
static void a_syn_too_big_for_the_path_goes_again_at_once(void)
{
	struct tcp_segment t;

	begin_known();
	connect_sock();
	app_write_pattern(&s, 5000);
	host_settle(h);
	take_fast_syn(SYN_ROOM);
	icmp_error(EMSGSIZE, 1400);
	t = PEER_TAKE(&peer);
	CHECK_EQ(t.flags, TH_SYN);
	CHECK(!t.has_fastopen);
	CHECK_EQ(t.length, 0);
	CHECK_EQ(t.mss, 1360);
	icmp_error(EMSGSIZE, 1300); /* once is enough */
	HOST_EXPECT_NOTHING(h);
	peer.ack = peer.host_isn + 1;
	send_synack();
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, 1360));
	host_drain(h);
	close_sock();
	connect_sock();
	app_write_pattern(&s, 5000);
	host_settle(h);
	take_fast_syn(1360 - 32);
	end();
}

static void a_cookie_that_went_meanwhile_is_asked_for(void)
{
	struct tcp_segment t;

	begin_known();
	connect_sock();
	fastopen_cache_forget(&h->w->tcp->fastopen_cache, &tcp()->ics.inet.flow);
	app_write_pattern(&s, TEXT_BYTES);
	host_settle(h);
	t = PEER_TAKE(&peer);
	CHECK(t.has_fastopen);
	CHECK_EQ(t.cookie_bytes, 0);
	CHECK_EQ(t.length, 0);
	send_synack();
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, TEXT_BYTES));
	end();
}

/* ---- ends before the handshake's -------------------------------------------------------------------- */

static void close_after_the_write_delivers_it(void)
{
	begin_known();
	connect_sock();
	app_write_pattern(&s, TEXT_BYTES);
	CHECK_EQ(app_close(&s), 0);
	host_settle(h);
	take_fast_syn(TEXT_BYTES);
	send_synack();
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK | TH_FIN),
		    TCP_SEQ_IS(peer.host_isn + 1 + TEXT_BYTES));
	end();
}

/* More than the SYN held, and nothing of it taken. */
static void shutdown_after_the_write_delivers_it(void)
{
	begin_known();
	connect_sock();
	app_write_pattern(&s, SYN_ROOM + 100);
	CHECK_EQ(app_shutdown(&s, SHUT_WR), 0);
	host_settle(h);
	take_fast_syn(SYN_ROOM);
	peer.ack = peer.host_isn + 1;
	send_synack();
	CHECK_EQ(host_state(&s), TCP_FIN_WAIT1);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), PAYLOAD_IS_PATTERN(0, 1460));
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK | TH_FIN),
		    PAYLOAD_IS_PATTERN(1460, SYN_ROOM + 100 - 1460));
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(host_state(&s), TCP_FIN_WAIT2);
	end();
}

/* What was written is looked for, whether LEAT_OP_SYNC came or is still on another way. */
static void an_end_finds_what_was_written_just_before(void)
{
	for (int close = 0; close < 2; close++) {
		begin_known();
		connect_sock();
		s.slot->kick++; /* as if one were under way */
		app_write_pattern(&s, TEXT_BYTES);
		s.slot->kick--;
		CHECK_EQ(close ? app_close(&s) : app_shutdown(&s, SHUT_WR), 0);
		host_settle(h);
		take_fast_syn(TEXT_BYTES);
		send_synack();
		PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK | TH_FIN),
			    TCP_SEQ_IS(peer.host_isn + 1 + TEXT_BYTES));
		end();
	}
}

static void close_without_a_write_sends_nothing(void)
{
	begin_known();
	connect_sock();
	CHECK_EQ(app_close(&s), 0);
	host_settle(h);
	HOST_EXPECT_NOTHING(h);
	HOST_CHECK_QUIET(h);
	end();
}

static void nobody_answers_and_it_is_given_up(void)
{
	begin_sent();
	host_advance_ms(h, 5 * MINUTE_MS);
	CHECK_EQ(host_state(&s), TCP_CLOSE);
	CHECK_EQ(s.slot->error, ETIMEDOUT);
	CHECK_EQ(host_tx_count(h), TCP_SYN_RETRIES);
	while (host_tx_count(h) > 0) { /* also when the option might be tried again */
		struct tcp_segment t = PEER_TAKE(&peer);

		CHECK_EQ(t.flags, TH_SYN);
		CHECK(!t.has_fastopen);
		CHECK_EQ(t.length, 0);
	}
	end();
}

/* RFC 7413 section 4.2.2: both ends open at once. */
static void a_simultaneous_open_takes_the_data_or_not(void)
{
	for (uint32_t taken = 0; taken <= TEXT_BYTES; taken += TEXT_BYTES) {
		begin_sent();
		peer.fastopen = false;
		peer_send(&peer, TH_SYN, NULL, 0);
		PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_SYN | TH_ACK), PAYLOAD_IS(0));
		peer.ack = peer.host_isn + 1 + taken;
		peer_send(&peer, TH_ACK, NULL, 0);
		host_settle(h);
		CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
		CHECK_EQ(s.slot->tx_head, taken);
		if (taken == 0)
			PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, TEXT_BYTES));
		HOST_EXPECT_NOTHING(h);
		end();
	}
}

/* ---- both ends leat ------------------------------------------------------------------------------------- */

static bool has_answer(void *arg)
{
	struct app_sock *client = arg;

	return app_readable(client) >= 1000;
}

static void connect_to(struct host *from, struct app_sock *client)
{
	int on = 1;

	REQUIRE_EQ(app_socket(&from->app, SOCK_STREAM, client), 0);
	REQUIRE_EQ(app_setsockopt(client, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on)), 0);
	REQUIRE_EQ(app_connect(client, from->config.peer_address, HOST_PORT), 0);
}

/* An answer after one round trip, not two. */
static void a_request_is_answered_in_one_round_trip(void)
{
	struct host_config config = link_peer_config();
	struct host *first, *second;
	struct app_sock client, server;
	struct link l;
	int limit = 5;

	config.worker.fast_open = FAST_OPEN_SERVER;
	first = host_new(NULL);
	second = host_new(&config);
	link_init(&l, first, second, 10000);
	host_listen(second, 16);
	REQUIRE_EQ(
		app_setsockopt(&second->listener, IPPROTO_TCP, TCP_FASTOPEN, &limit, sizeof(limit)),
		0);
	for (int i = 0; i < 2; i++) {
		uint64_t start_us;

		connect_to(first, &client);
		if (i == 0)
			link_run(&l, 50000, NULL, NULL);
		start_us = clock_us;
		app_write_pattern(&client, 500);
		link_run(&l, 11000, NULL, NULL);
		REQUIRE_EQ(app_accept(&second->listener, &server), 0);
		CHECK_EQ(app_read_pattern(&server, 1000), 500);
		app_write_pattern(&server, 1000);
		CHECK(link_run(&l, 50000, has_answer, &client));
		CHECK_RANGE(clock_us - start_us, 20000, 23000);
		CHECK_EQ(app_read_pattern(&client, 2000), 1000);
		CHECK_EQ(second->w->counter[CNT_tcp_fastopen_passive], i);
		CHECK_EQ(first->w->counter[CNT_tcp_fastopen_active], i);
		if (i == 0) {
			CHECK_EQ(app_close(&client), 0);
			CHECK_EQ(app_close(&server), 0);
			link_run(&l, 1000000, NULL, NULL);
		}
	}
	link_close(&l, &client, &server);
}

TEST_SUITE(tcp_fastopen_client)
{
	TEST(the_first_connection_asks_for_a_cookie);
	TEST(with_a_cookie_the_first_write_connects);
	TEST(the_option_needs_a_closed_sock_and_a_daemon_that_does_it);
	TEST(who_does_not_want_it_neither_asks_nor_remembers);
	TEST(what_the_synack_does_not_acknowledge_goes_after_it);
	TEST(urgent_data_does_not_go_with_the_syn);
	TEST(a_part_of_it_may_be_taken);
	TEST(a_new_cookie_replaces_the_old_one);
	TEST(an_ack_of_more_than_was_sent_is_refused);
	TEST(what_does_not_fit_into_the_syn_follows);
	TEST(the_syn_holds_what_the_servers_mss_allows);
	TEST(the_server_may_answer_in_its_synack);
	TEST(a_refusal_is_told_after_the_write);
	TEST(a_lost_syn_goes_again_without_data_and_option);
	TEST(after_a_loss_it_is_not_tried_for_a_while);
	TEST(the_answer_to_the_first_syn_may_come_after_the_second);
	TEST(an_icmp_error_counts_as_a_loss);
	TEST(a_syn_too_big_for_the_path_goes_again_at_once);
	TEST(a_cookie_that_went_meanwhile_is_asked_for);
	TEST(close_after_the_write_delivers_it);
	TEST(shutdown_after_the_write_delivers_it);
	TEST(an_end_finds_what_was_written_just_before);
	TEST(close_without_a_write_sends_nothing);
	TEST(nobody_answers_and_it_is_given_up);
	TEST(a_simultaneous_open_takes_the_data_or_not);
	TEST(a_request_is_answered_in_one_round_trip);
}
