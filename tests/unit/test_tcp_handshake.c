/* SPDX-License-Identifier: BSD-3-Clause */
/* From CLOSED to ESTABLISHED: RFC 9293 section 3.5, RFC 5961, and what happens when there are too
 * many. */
#include <errno.h>
#include <sys/socket.h>

#include "lib/pool.h"
#include "support/tcp_fixture.h"

static void begin(void)
{
	begin_unconnected(NULL);
}

/* ---- passive open ---------------------------------------------------------- */

static void passive_open_offers_what_the_syn_offered(void)
{
	begin();
	host_listen(h, 16);
	peer.window_scale = 7;
	peer.timestamps = true;
	peer_send(&peer, TH_SYN, NULL, 0);
	PEER_EXPECT(&peer, IS_TCP, ETH_TO(&peer_mac), ETH_FROM(&host_mac), IP_SOURCE_IS(HOST_ADDR),
		    IP_DESTINATION_IS(PEER_ADDR), SOURCE_PORT_IS(HOST_PORT),
		    DESTINATION_PORT_IS(peer.port), TCP_FLAGS_ARE(TH_SYN | TH_ACK),
		    TCP_ACK_IS(peer.isn + 1), TCP_MSS_IS(1460), TCP_HAS_TIMESTAMP(true),
		    TCP_WINDOW_SCALE_IS(7), PAYLOAD_IS(0));
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(app_accept(&h->listener, &s), 0);
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	CHECK_EQ(s.peer.port, htons(peer.port));
	CHECK_EQ(host_counter(h, CNT_tcp_passive_open), 1);
	CHECK(app_has(&s, LEAT_EV_CONNECTED));
	HOST_EXPECT_NOTHING(h);
	end();
}

/* RFC 7323 section 2.2 and 3.2: an option goes into the SYN-ACK only if it was in the SYN. */
static void passive_open_offers_nothing_the_syn_did_not(void)
{
	begin();
	host_listen(h, 16);
	peer.mss = 0;
	peer_send(&peer, TH_SYN, NULL, 0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_SYN | TH_ACK), TCP_HAS_TIMESTAMP(false),
		    TCP_WINDOW_SCALE_IS(-1), TCP_MSS_IS(1460));
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(app_accept(&h->listener, &s), 0);
	/* RFC 9293 section 3.7.1: without an MSS option segments stay below 536 (MUST-15). */
	app_write_pattern(&s, 1000);
	host_poll(h);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, 536));
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(536, 464));
	end();
}

static void text_with_the_third_segment_is_taken(void)
{
	begin();
	host_syn_received(h, &peer);
	peer_send_pattern(&peer, 100);
	CHECK_EQ(app_accept(&h->listener, &s), 0);
	CHECK_EQ(app_read_pattern(&s, 1000), 100);
	host_advance_ms(h, 1000);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(peer.seq));
	end();
}

/* What the third segment, of these flags, leaves behind. */
static struct tcp_sock opened_by(uint8_t flags)
{
	struct tcp_sock opened;

	clock_reset();
	begin();
	peer.timestamps = true;
	peer.window_scale = 3;
	host_syn_received(h, &peer);
	peer.window = 1234;
	host_advance_ms(h, 7);
	peer_send(&peer, flags, NULL, 0);
	CHECK_EQ(app_accept(&h->listener, &s), 0);
	HOST_EXPECT_NOTHING(h);
	opened = *tcp();
	end();
	return opened;
}

/* A bit that means nothing here (CWR, without ECN) keeps an ACK off the short way. */
static void the_ack_that_opens_changes_what_any_other_would(void)
{
	struct tcp_sock a = opened_by(TH_ACK), b = opened_by(TH_ACK | RTE_TCP_CWR_FLAG);

	CHECK_EQ(a.snd_wnd, 1234u << 3);
	CHECK_EQ(a.snd_wnd, b.snd_wnd);
	CHECK_EQ(a.snd_wnd_max, b.snd_wnd_max);
	CHECK_EQ(a.snd_wl1, b.snd_wl1);
	CHECK_EQ(a.snd_wl2 - a.snd_una, b.snd_wl2 - b.snd_una);
	CHECK_EQ(a.snd_nxt - a.snd_una, b.snd_nxt - b.snd_una);
	CHECK_EQ(a.ts_recent, b.ts_recent);
	CHECK_EQ(a.rcv_nxt, b.rcv_nxt);
	CHECK_EQ(a.rcv_edge, b.rcv_edge);
	CHECK_EQ(a.rcv_acked, b.rcv_acked);
	CHECK_EQ(a.rcv_time_ms, b.rcv_time_ms);
	CHECK_EQ(a.segments_in, b.segments_in);
	CHECK_EQ(a.flags, b.flags);
	CHECK_EQ(a.timers, b.timers);
	CHECK_EQ(a.quick_acks, b.quick_acks);
	CHECK(memcmp(&a.rtt, &b.rtt, sizeof(a.rtt)) == 0);
}

static void fin_with_the_third_segment_is_taken(void)
{
	begin();
	host_syn_received(h, &peer);
	peer_send(&peer, TH_ACK | TH_FIN, NULL, 0);
	CHECK_EQ(app_accept(&h->listener, &s), 0);
	CHECK_EQ(host_state(&s), TCP_CLOSE_WAIT);
	CHECK(app_has(&s, LEAT_EV_RDHUP));
	end();
}

/* RFC 6298 section 2.1 and 5.5: after 1, 2, 4 ... seconds; given up in the end. */
static void syn_ack_is_sent_again_and_given_up(void)
{
	static const uint32_t waits_ms[] = {1000, 2000, 4000, 8000, 16000};

	begin();
	host_syn_received(h, &peer);
	for (int i = 0; i < 5; i++) {
		host_advance_ms(h, waits_ms[i] - 1);
		HOST_EXPECT_NOTHING(h);
		host_advance_ms(h, 1);
		PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_SYN | TH_ACK), TCP_SEQ_IS(peer.host_isn));
	}
	host_advance_ms(h, 32000);
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(host_counter(h, CNT_tcp_timeout), 1);
	/* It is forgotten: its ACK meets no connection (RFC 9293 section 3.10.7.2). */
	peer_send(&peer, TH_ACK, NULL, 0);
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_RST), TCP_SEQ_IS(peer.ack));
	end();
}

static void a_repeated_syn_gets_the_same_syn_ack(void)
{
	begin();
	host_syn_received(h, &peer);
	peer_inject(&peer, TH_SYN, peer.isn, 0, NULL, 0);
	host_poll(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_SYN | TH_ACK), TCP_SEQ_IS(peer.host_isn),
		    TCP_ACK_IS(peer.isn + 1));
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(app_accept(&h->listener, &s), 0);
	end();
}

/* RFC 9293 section 3.10.7.4, SYN-RECEIVED: a wrong ACK is answered with RST. */
static void a_wrong_ack_of_the_syn_ack_is_reset(void)
{
	begin();
	host_syn_received(h, &peer);
	peer_inject(&peer, TH_ACK, peer.seq, peer.ack + 1, NULL, 0);
	host_poll(h);
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_RST), TCP_SEQ_IS(peer.ack + 1));
	CHECK_EQ(host_counter(h, CNT_tcp_ack), 1);
	peer_send(&peer, TH_ACK, NULL, 0); /* the right one still does */
	CHECK_EQ(app_accept(&h->listener, &s), 0);
	end();
}

/* Section 3.10.7.4, first, in SYN-RECEIVED. */
static void a_segment_outside_the_window_does_not_complete_it(void)
{
	begin();
	host_syn_received(h, &peer);
	peer_inject(&peer, TH_ACK, peer.seq + (1u << 20), peer.ack, NULL, 0);
	host_poll(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_SEQ_IS(peer.ack), TCP_ACK_IS(peer.seq));
	CHECK_EQ(host_counter(h, CNT_tcp_seq), 1);
	CHECK_EQ(host_counter(h, CNT_tcp_passive_open), 0);
	peer_inject(&peer, TH_SYN, peer.seq + 5, 0, NULL, 0); /* RFC 5961: another SYN neither */
	host_poll(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK));
	peer_inject(&peer, TH_FIN, peer.seq, 0, NULL, 0); /* fifth: no ACK bit, dropped */
	host_poll(h);
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(host_counter(h, CNT_tcp_no_ack), 1);
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(app_accept(&h->listener, &s), 0);
	end();
}

/* RFC 7323 section 3.2: a third segment without the timestamp that was agreed on. */
static void a_third_segment_without_its_timestamp_is_dropped(void)
{
	begin();
	peer.timestamps = true;
	host_syn_received(h, &peer);
	peer.send_timestamps = false;
	peer_inject(&peer, TH_ACK, peer.seq, peer.ack, NULL, 0);
	host_poll(h);
	CHECK_EQ(host_counter(h, CNT_tcp_paws), 1);
	peer.send_timestamps = true;
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(app_accept(&h->listener, &s), 0);
	end();
}

static void rst_ends_a_half_open_connection(void)
{
	begin();
	host_syn_received(h, &peer);
	peer_inject(&peer, TH_RST, peer.seq + 1, 0, NULL, 0); /* inside the window: RFC 5961 */
	host_poll(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(peer.seq));
	CHECK_EQ(host_counter(h, CNT_tcp_rst), 1);
	peer_inject(&peer, TH_RST, peer.seq, 0, NULL, 0);
	host_poll(h);
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(host_counter(h, CNT_tcp_rx_rst), 1);
	CHECK_EQ(app_close(&h->listener), 0);
	HOST_CHECK_QUIET(h);
	end();
}

static void a_syn_to_a_shut_port_is_refused(void)
{
	begin();
	peer_send(&peer, TH_SYN, NULL, 0);
	/* RFC 9293 section 3.10.7.1: sequence 0, acknowledging the SYN. */
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_RST | TH_ACK), TCP_SEQ_IS(0), TCP_ACK_IS(peer.isn + 1));
	peer_inject(&peer, TH_ACK, 5, 77, NULL, 0);
	host_poll(h);
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_RST), TCP_SEQ_IS(77));
	peer_inject(&peer, TH_RST, 5, 0, NULL, 0);
	host_poll(h);
	HOST_EXPECT_NOTHING(h); /* never a RST for a RST */
	CHECK_EQ(host_counter(h, CNT_tcp_no_sock), 3);
	end();
}

static void an_ack_to_a_listener_is_reset(void)
{
	begin();
	host_listen(h, 4);
	peer_inject(&peer, TH_ACK, 5, 77, NULL, 0);
	host_poll(h);
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_RST), TCP_SEQ_IS(77)); /* RFC 9293 section 3.10.7.2 */
	peer_inject(&peer, TH_SYN | TH_ACK, 5, 77, NULL, 0);
	host_poll(h);
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_RST), TCP_SEQ_IS(77));
	peer_inject(&peer, TH_FIN, 5, 0, NULL, 0);
	peer_inject(&peer, 0, 5, 0, NULL, 0);
	host_poll(h);
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(host_counter(h, CNT_tcp_state), 2);
	end();
}

static void segments_to_broadcast_are_not_answered(void)
{
	struct build b;

	begin();
	host_listen(h, 4);
	peer_build(&peer, &b, TH_SYN, peer.isn, 0);
	build_ipv4_header(&b)->dst_addr = htonl(0xc61200ff); /* 198.18.0.255 */
	build_finish(&b);
	host_inject(h, &b);
	host_poll(h);
	HOST_EXPECT_NOTHING(h); /* RFC 9293 section 3.9.2.3 (MUST-57) */
	CHECK_EQ(host_counter(h, CNT_tcp_broadcast), 1);
	end();
}

/* ---- too many --------------------------------------------------------------- */

/* Makes count connections wait in the accept queue. */
static void fill_accept_queue(int count)
{
	for (int i = 0; i < count; i++) {
		struct peer p;

		peer_init(&p, h);
		host_syn_received(h, &p);
		peer_send(&p, TH_ACK, NULL, 0);
	}
}

static void syns_are_dropped_while_the_accept_queue_is_full(void)
{
	begin();
	host_listen(h, 2);
	fill_accept_queue(3); /* backlog + 1, as in Linux */
	peer_send(&peer, TH_SYN, NULL, 0);
	HOST_EXPECT_NOTHING(h); /* silently: the peer tries again */
	CHECK_EQ(host_counter(h, CNT_tcp_backlog), 1);
	CHECK_EQ(app_accept(&h->listener, &s), 0);
	host_advance_ms(h, 2); /* claims are looked for once a millisecond */
	peer_inject(&peer, TH_SYN, peer.isn, 0, NULL, 0);
	host_poll(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_SYN | TH_ACK));
	end();
}

static void the_last_ack_is_dropped_while_the_accept_queue_is_full(void)
{
	begin();
	host_listen(h, 1);
	host_syn_received(h, &peer); /* while there was room */
	fill_accept_queue(2);
	peer_inject(&peer, TH_ACK, peer.seq, peer.ack, NULL, 0);
	host_poll(h);
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(host_counter(h, CNT_tcp_backlog), 1);
	CHECK_EQ(app_accept(&h->listener, &s), 0);
	CHECK_EQ(app_accept(&h->listener, &s), 0);
	host_advance_ms(h, 1000); /* the SYN-ACK goes out again, its ACK succeeds */
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_SYN | TH_ACK));
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(app_accept(&h->listener, &s), 0);
	CHECK_EQ(s.peer.port, htons(peer.port));
	end();
}

static void half_open_connections_are_bounded_by_the_backlog(void)
{
	struct host_config config = host_config_default();

	config.worker.syn_cookies = false;
	begin_unconnected(&config);
	host_listen(h, 2);
	for (int i = 0; i < 3; i++) {
		struct peer p;

		peer_init(&p, h);
		host_syn_received(h, &p);
	}
	peer_send(&peer, TH_SYN, NULL, 0);
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(host_counter(h, CNT_tcp_syn_table), 1);
	host_advance_ms(h, 70000); /* they time out, there is room again */
	host_drain(h);
	peer_inject(&peer, TH_SYN, peer.isn, 0, NULL, 0);
	host_poll(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_SYN | TH_ACK));
	end();
}

static void without_a_request_left_syns_are_dropped(void)
{
	struct host_config config = host_config_default();

	config.worker.max_requests = 2;
	config.worker.syn_cookies = false;
	h = host_new(&config);
	for (int i = 0; i < 2; i++) {
		peer_init(&peer, h);
		host_syn_received(h, &peer);
	}
	peer_init(&peer, h);
	peer_send(&peer, TH_SYN, NULL, 0);
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(host_counter(h, CNT_tcp_syn_table), 1);
	end();
}

static void without_a_sock_left_the_handshake_waits(void)
{
	struct host_config config = host_config_default();
	struct app_sock taken[8];
	int count = 0;

	config.worker.max_socks = 4;
	config.worker.max_listeners = 1;
	begin_unconnected(&config);
	host_listen(h, 16);
	while (app_socket(&h->app, SOCK_STREAM, &taken[count]) == 0)
		count++;
	CHECK_EQ(count, 4);
	host_syn_received(h, &peer);
	peer_inject(&peer, TH_ACK, peer.seq, peer.ack, NULL, 0);
	host_poll(h);
	CHECK_EQ(host_counter(h, CNT_tcp_sock_pool), 1);
	CHECK_EQ(app_close(&taken[0]), 0);
	host_advance_ms(h, 1000);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_SYN | TH_ACK));
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(app_accept(&h->listener, &s), 0);
	end();
}

static void without_a_slot_left_the_connection_is_reset(void)
{
	struct host_config config = host_config_default();

	config.session.slots_per_worker = 1; /* the listener has it */
	begin_unconnected(&config);
	host_syn_received(h, &peer);
	peer_send(&peer, TH_ACK, NULL, 0);
	HOST_EXPECT(h, TCP_FLAGS_HAVE(TH_RST));
	end();
}

static void a_connection_reset_before_accept_is_forgotten(void)
{
	begin();
	host_syn_received(h, &peer);
	peer_send(&peer, TH_ACK, NULL, 0);
	peer_send(&peer, TH_RST, NULL, 0);
	CHECK_EQ(app_accept(&h->listener, &s), -EAGAIN);
	CHECK_EQ(h->w->sock_count, 1); /* the listener */
	end();
}

static void closing_the_listener_ends_what_nobody_took(void)
{
	struct peer half, whole;

	begin();
	host_listen(h, 16);
	peer_init(&whole, h);
	host_syn_received(h, &whole);
	peer_send(&whole, TH_ACK, NULL, 0);
	peer_init(&half, h);
	host_syn_received(h, &half);
	CHECK_EQ(app_close(&h->listener), 0);
	/* RFC 9293 section 3.10.4, LISTEN: the established one is told. */
	HOST_EXPECT(h, TCP_FLAGS_HAVE(TH_RST), DESTINATION_PORT_IS(whole.port),
		    TCP_SEQ_IS(whole.ack));
	HOST_EXPECT_NOTHING(h);
	host_advance_ms(h, 5000);
	HOST_EXPECT_NOTHING(h); /* the half-open one is forgotten */
	HOST_CHECK_QUIET(h);
	end();
}

/* ---- active open ------------------------------------------------------------ */

static void active_open_offers_everything(void)
{
	struct leat_addr local, remote;

	begin();
	peer.port = 8080;
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	CHECK_EQ(app_connect(&s, PEER_ADDR, 8080), 0);
	host_settle(h);
	CHECK_EQ(app_getname(&s, false, &local), 0);
	CHECK_EQ(app_getname(&s, true, &remote), 0);
	CHECK_EQ(remote.port, htons(8080));
	peer.host_port = ntohs(local.port);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_SYN), TCP_MSS_IS(1460), TCP_HAS_TIMESTAMP(true),
		    TCP_WINDOW_SCALE_IS(7), DESTINATION_PORT_IS(8080),
		    SOURCE_PORT_IS(peer.host_port), TCP_ACK_IS(0), TCP_TS_ECHO_IS(0));
	CHECK_EQ(host_state(&s), TCP_SYN_SENT);
	peer_send(&peer, TH_SYN | TH_ACK, NULL, 0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(peer.isn + 1),
		    TCP_SEQ_IS(peer.host_isn + 1), TCP_HAS_TIMESTAMP(false));
	CHECK(app_take_events(&s) & LEAT_EV_OUT);
	CHECK_EQ(host_counter(h, CNT_tcp_active_open), 1);
	end();
}

static void each_connection_begins_elsewhere(void)
{
	uint32_t isn[3];

	begin();
	for (int i = 0; i < 3; i++) {
		struct app_sock sock;
		struct peer p;

		peer_init(&p, h);
		p.port = 80;
		host_syn_sent(h, &p, &sock);
		isn[i] = p.host_isn;
	}
	/* RFC 6528: offsets per connection that nobody can guess. */
	CHECK(isn[0] != isn[1] && isn[1] != isn[2]);
	CHECK(isn[1] - isn[0] != isn[2] - isn[1]);
	end();
}

/* RFC 6298 section 5.5; RFC 9293 section 3.8.3 (MUST-23): for at least three minutes. */
static void syn_is_sent_again_and_given_up(void)
{
	uint32_t wait_ms = 1000;

	begin();
	host_syn_sent(h, &peer, &s);
	for (int i = 0; i < 7; i++, wait_ms *= 2) {
		host_advance_ms(h, wait_ms - 1);
		HOST_EXPECT_NOTHING(h);
		host_advance_ms(h, 1);
		PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_SYN), TCP_SEQ_IS(peer.host_isn));
	}
	host_advance_ms(h, 120000); /* the bound of the timeout */
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(host_state(&s), TCP_CLOSE);
	CHECK_EQ(s.slot->error, ETIMEDOUT);
	CHECK(app_take_events(&s) & LEAT_EV_ERR);
	CHECK_EQ(host_counter(h, CNT_tcp_connect_failed), 1);
	end();
}

static void a_refused_connect_can_be_tried_again(void)
{
	begin();
	host_syn_sent(h, &peer, &s);
	peer_inject(&peer, TH_RST | TH_ACK, 0, peer.ack, NULL, 0);
	host_poll(h);
	CHECK_EQ(host_state(&s), TCP_CLOSE);
	CHECK_EQ(s.slot->error, ECONNREFUSED);
	CHECK_EQ(host_counter(h, CNT_tcp_rx_rst), 1);
	CHECK_EQ(app_connect(&s, PEER_ADDR, peer.port), 0);
	host_poll(h);
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_SYN));
	end();
}

/* RFC 9293 section 3.10.7.3, second: only a RST that acknowledges the SYN is believed. */
static void a_blind_reset_of_a_connect_is_ignored(void)
{
	begin();
	host_syn_sent(h, &peer, &s);
	peer_inject(&peer, TH_RST, 0, 0, NULL, 0);
	peer_inject(&peer, TH_RST | TH_ACK, 0, peer.ack + 1, NULL, 0);
	peer_inject(&peer, TH_RST | TH_ACK, 0, peer.ack - 1, NULL, 0);
	host_poll(h);
	CHECK_EQ(host_state(&s), TCP_SYN_SENT);
	HOST_EXPECT_NOTHING(h);
	end();
}

static void a_wrong_ack_of_the_syn_is_reset(void)
{
	begin();
	host_syn_sent(h, &peer, &s);
	peer_inject(&peer, TH_SYN | TH_ACK, peer.isn, peer.ack + 5, NULL, 0);
	host_poll(h);
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_RST), TCP_SEQ_IS(peer.ack + 5));
	peer_inject(&peer, TH_ACK, 0, peer.ack, NULL, 0); /* right, but neither SYN nor RST */
	host_poll(h);
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(host_state(&s), TCP_SYN_SENT);
	peer_send(&peer, TH_SYN | TH_ACK, NULL, 0);
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	end();
}

static void text_with_the_syn_ack_is_taken(void)
{
	begin();
	host_syn_sent(h, &peer, &s);
	peer_inject(&peer, TH_SYN | TH_ACK, peer.isn, peer.ack, "hello", 5);
	host_poll(h);
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	CHECK_EQ(app_readable(&s), 5);
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.isn + 6));
	end();
}

/* RFC 9293 section 3.5, figure 7. */
static void simultaneous_open_connects(void)
{
	begin();
	host_syn_sent(h, &peer, &s);
	peer_send(&peer, TH_SYN, NULL, 0);
	CHECK_EQ(host_state(&s), TCP_SYN_RECV);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_SYN | TH_ACK), TCP_SEQ_IS(peer.host_isn),
		    TCP_ACK_IS(peer.isn + 1), TCP_MSS_IS(1460));
	peer_inject(&peer, TH_SYN | TH_ACK, peer.isn, peer.host_isn + 1, NULL, 0);
	host_poll(h);
	host_drain(h);
	if (host_state(&s) == TCP_SYN_RECV) { /* its SYN bit is answered, the ACK comes next */
		peer.ack = peer.host_isn + 1;
		peer_send(&peer, TH_ACK, NULL, 0);
	}
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	peer.ack = peer.host_isn + 1;
	app_write_pattern(&s, 100);
	host_poll(h);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, 100));
	peer_send_pattern(&peer, 50);
	CHECK_EQ(app_read_pattern(&s, 100), 50);
	end();
}

static void the_syn_ack_of_a_simultaneous_open_is_sent_again(void)
{
	begin();
	host_syn_sent(h, &peer, &s);
	peer_send(&peer, TH_SYN, NULL, 0);
	host_drain(h);
	host_advance_ms(h, 2000);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_SYN | TH_ACK));
	peer_send(&peer, TH_RST, NULL, 0);
	CHECK_EQ(host_state(&s), TCP_CLOSE);
	CHECK_EQ(s.slot->error, ECONNREFUSED);
	end();
}

/* What it was chosen with is taken once. */
static void congestion_control_chosen_in_a_simultaneous_open(void)
{
	begin();
	host_syn_sent(h, &peer, &s);
	peer_send(&peer, TH_SYN, NULL, 0);
	CHECK_EQ(tcp_set_congestion(h->w, tcp_sk(host_sock(&s)), &congestion_bbr), 0);
	host_drain(h);
	peer.ack = peer.host_isn + 1;
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	CHECK_EQ(pool_used(h->w->tcp->congestions), 1);
	end();
}

static void closing_during_connect_forgets_it(void)
{
	begin();
	host_syn_sent(h, &peer, &s);
	CHECK_EQ(app_close(&s), 0);
	HOST_CHECK_QUIET(h);
	peer_send(&peer, TH_SYN | TH_ACK, NULL, 0);
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_RST));
	end();
}

static void connecting_twice_is_refused(void)
{
	begin();
	host_syn_sent(h, &peer, &s);
	CHECK_EQ(app_connect(&s, PEER_ADDR, 99), -EALREADY);
	peer_send(&peer, TH_SYN | TH_ACK, NULL, 0);
	CHECK_EQ(app_connect(&s, PEER_ADDR, 99), -EISCONN);
	CHECK_EQ(app_listen(&s, 1), -EINVAL);
	end();
}

static void impossible_destinations_are_refused(void)
{
	begin();
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	CHECK_EQ(app_connect(&s, 0x08080808, 80), -ENETUNREACH); /* there is no gateway */
	CHECK(app_connect(&s, 0xe0000001, 80) != 0); /* multicast: RFC 9293 MUST-46 */
	CHECK(app_connect(&s, 0xffffffff, 80) != 0);
	CHECK_EQ(host_state(&s), TCP_CLOSE);
	HOST_EXPECT_NOTHING(h);
	end();
}

static void bytes_written_during_connect_are_sent_after_it(void)
{
	begin();
	host_syn_sent(h, &peer, &s);
	CHECK_EQ(app_write_pattern(&s, 300), 300);
	host_settle(h);
	HOST_EXPECT_NOTHING(h);
	peer_send(&peer, TH_SYN | TH_ACK, NULL, 0);
	host_settle(h);
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.isn + 1), PAYLOAD_IS_PATTERN(0, 300));
	end();
}

TEST_SUITE(tcp_handshake)
{
	TEST(passive_open_offers_what_the_syn_offered);
	TEST(passive_open_offers_nothing_the_syn_did_not);
	TEST(text_with_the_third_segment_is_taken);
	TEST(the_ack_that_opens_changes_what_any_other_would);
	TEST(fin_with_the_third_segment_is_taken);
	TEST(syn_ack_is_sent_again_and_given_up);
	TEST(a_repeated_syn_gets_the_same_syn_ack);
	TEST(a_wrong_ack_of_the_syn_ack_is_reset);
	TEST(a_segment_outside_the_window_does_not_complete_it);
	TEST(a_third_segment_without_its_timestamp_is_dropped);
	TEST(rst_ends_a_half_open_connection);
	TEST(a_syn_to_a_shut_port_is_refused);
	TEST(an_ack_to_a_listener_is_reset);
	TEST(segments_to_broadcast_are_not_answered);
	TEST(syns_are_dropped_while_the_accept_queue_is_full);
	TEST(the_last_ack_is_dropped_while_the_accept_queue_is_full);
	TEST(half_open_connections_are_bounded_by_the_backlog);
	TEST(without_a_request_left_syns_are_dropped);
	TEST(without_a_sock_left_the_handshake_waits);
	TEST(without_a_slot_left_the_connection_is_reset);
	TEST(a_connection_reset_before_accept_is_forgotten);
	TEST(closing_the_listener_ends_what_nobody_took);
	TEST(active_open_offers_everything);
	TEST(each_connection_begins_elsewhere);
	TEST(syn_is_sent_again_and_given_up);
	TEST(a_refused_connect_can_be_tried_again);
	TEST(a_blind_reset_of_a_connect_is_ignored);
	TEST(a_wrong_ack_of_the_syn_is_reset);
	TEST(text_with_the_syn_ack_is_taken);
	TEST(simultaneous_open_connects);
	TEST(the_syn_ack_of_a_simultaneous_open_is_sent_again);
	TEST(congestion_control_chosen_in_a_simultaneous_open);
	TEST(closing_during_connect_forgets_it);
	TEST(connecting_twice_is_refused);
	TEST(impossible_destinations_are_refused);
	TEST(bytes_written_during_connect_are_sent_after_it);
}
