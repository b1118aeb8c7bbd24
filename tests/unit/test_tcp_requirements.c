/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requirements of RFC 9293 (appendix B) that no other suite shows: docs/tcp.md
 * lists them all.
 */
#include <errno.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>

#include "lib/seq.h"
#include "support/tcp_fixture.h"
#include "tcp/segment.h"

#define MSS      1460u
#define OPT_END  0
#define OPT_NOP  1
#define OPT_MSS  2
#define BUFFER   20000u
#define TWO_H_MS (2u * 3600 * 1000)

static void begin(void)
{
	begin_connected(NULL);
}

/* All that was sent is taken; how many segments. */
static uint32_t take_all(void)
{
	uint32_t count = 0;

	for (; host_tx_count(h) > 0; count++)
		PEER_TAKE(&peer);
	return count;
}

/* An empty sock that tries to listen on port. */
static int listen_on(struct app_sock *sock, uint16_t port)
{
	int on = 1;
	int result;

	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, sock), 0);
	CHECK_EQ(app_setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	result = app_bind(sock, HOST_ADDR, port);
	return result != 0 ? result : app_listen(sock, 4);
}

/* ---- windows --------------------------------------------------------------------- */

/* MUST-1: read as a signed number this window would be negative. */
static void a_window_above_32767_is_used_whole(void)
{
	uint32_t most = 0;

	begin_unconnected(NULL);
	peer.window = 50000;
	host_connected(h, &peer, &s);
	for (int round = 0; round < 6; round++) {
		uint32_t flight;

		(void)app_write_pattern(&s, 60000);
		host_settle(h);
		flight = tcp()->snd_nxt - tcp()->snd_una;
		most = RTE_MAX(most, flight);
		take_all();
		peer_send(&peer, TH_ACK, NULL, 0);
	}
	CHECK_RANGE(most, 50000 - MSS, 50000);
	host_drain(h);
	end();
}

/* MUST-66, and an ACK is taken as well. */
static void a_shut_window_does_not_keep_rst_out(void)
{
	struct host_config config = host_config_default();

	config.worker.rcvbuf_bytes = BUFFER;
	config.worker.rcvbuf_max_bytes = BUFFER;
	begin_connected(&config);
	for (uint32_t at = 0; at < BUFFER; at += 1000)
		peer_send_pattern(&peer, 1000);
	host_advance_ms(h, 100);
	CHECK_EQ(tcp()->rcv_edge, tcp()->rcv_nxt);
	host_drain(h);

	app_write_pattern(&s, 100);
	host_poll(h);
	take_all();
	peer_send(&peer, TH_ACK | TH_URG, NULL, 0);
	CHECK_EQ(tcp()->snd_una, peer.ack);
	peer_send(&peer, TH_RST, NULL, 0);
	CHECK_EQ(host_state(&s), TCP_CLOSE);
	CHECK_EQ(s.slot->error, ECONNRESET);
	end();
}

/* SHLD-29 and SHLD-30 */
static void probes_begin_after_a_timeout_and_back_off(void)
{
	uint32_t wait_ms;

	begin();
	wait_ms = rtt_rto_ms(&tcp()->rtt);
	peer.window = 0;
	peer_send(&peer, TH_ACK, NULL, 0);
	app_write_pattern(&s, 100);
	host_settle(h);
	for (int i = 0; i < 6; i++, wait_ms *= 2) {
		host_advance_ms(h, wait_ms - 1);
		HOST_EXPECT_NOTHING(h);
		host_advance_ms(h, 1);
		HOST_EXPECT(h, TCP_SEQ_IS(peer.host_isn + 1), PAYLOAD_IS_PATTERN(0, 1));
		peer_send(&peer, TH_ACK, NULL, 0);
	}
	end();
}

/* SHLD-27, MUST-61: of what was written in many pieces too. */
static void only_the_last_segment_is_pushed(void)
{
	begin();
	for (int i = 0; i < 6; i++)
		CHECK_EQ(app_write_pattern(&s, MSS / 2), MSS / 2);
	host_settle(h);
	CHECK_EQ(PEER_TAKE(&peer).flags & TCP_FLAG_PSH, 0);
	CHECK_EQ(PEER_TAKE(&peer).flags & TCP_FLAG_PSH, 0);
	CHECK_EQ(PEER_TAKE(&peer).flags & TCP_FLAG_PSH, TCP_FLAG_PSH);
	HOST_EXPECT_NOTHING(h);
	end();
}

/* ---- options --------------------------------------------------------------------- */

/* A segment with an option nobody knows, an MSS out of its place and odd alignment. */
static void send_with_options(uint8_t flags, uint32_t length)
{
	static const uint8_t options[] = {0xfd, 5, 1, 2, 3, OPT_NOP, OPT_MSS, 4, 0, 100};
	struct build b;

	peer_build(&peer, &b, flags, peer.seq, peer.ack);
	build_tcp_option(&b, options, sizeof(options));
	build_pattern(&b, peer_offset(&peer, peer.seq), length);
	build_finish(&b);
	host_inject(h, &b);
	host_poll(h);
	peer.seq += length + ((flags & TH_FIN) != 0);
}

/* MUST-5, and MUST-6 and MUST-64 beside it. */
static void every_segment_may_carry_options(void)
{
	begin();
	send_with_options(TH_ACK, 100);
	CHECK_EQ(app_read_pattern(&s, 1000), 100);
	app_write_pattern(&s, MSS);
	host_settle(h);
	take_all();
	send_with_options(TH_ACK, 0);
	CHECK_EQ(tcp()->snd_una, tcp()->snd_nxt);
	CHECK_EQ(tcp()->mss_bytes, MSS); /* only a SYN tells */
	send_with_options(TH_ACK | TH_FIN, 0);
	CHECK_EQ(host_state(&s), TCP_CLOSE_WAIT);
	send_with_options(TH_RST, 20); /* text beside it (SHLD-2) says nothing */
	CHECK_EQ(host_state(&s), TCP_CLOSE);
	host_drain(h);
	end();
}

/* MUST-65, MUST-68 and MUST-69, of one frame. */
static void options_are_well_formed(const struct frame *f)
{
	const uint8_t *tcp_header = f->data + sizeof(struct rte_ether_hdr) + 20;
	const uint8_t *at = tcp_header + TCP_HEADER_BYTES;
	const uint8_t *last = tcp_header + (tcp_header[12] >> 4) * 4;

	while (at < last && *at != OPT_END) {
		if (*at == OPT_NOP) {
			at++;
			continue;
		}
		CHECK(*at != OPT_MSS || tcp_header[13] & TCP_FLAG_SYN);
		REQUIRE(last - at >= 2 && at[1] >= 2 && at[1] <= last - at);
		at += at[1];
	}
	for (; at < last; at++)
		CHECK_EQ(*at, 0);
}

/* How many were looked at. */
static uint32_t look_at_all(void)
{
	uint32_t count = 0;
	struct frame *f;

	for (; (f = host_pop(h)) != NULL; count++) {
		options_are_well_formed(f);
		free(f);
	}
	return count;
}

/* A connection in which leat sends every option it knows, and one without any. */
static void live_through(bool all)
{
	peer_init(&peer, h);
	peer.timestamps = peer.sack_permitted = all;
	peer.window_scale = all ? 7 : -1;
	host_established(h, &peer, &s);
	app_write_pattern(&s, 3 * MSS);
	host_settle(h);
	peer_inject_pattern(&peer, peer.seq + 1000, 500); /* a gap: SACK */
	peer_inject_pattern(&peer, peer.seq + 1000, 500); /* DSACK */
	host_poll(h);
	CHECK_EQ(app_shutdown(&s, SHUT_WR), 0);
	host_advance_ms(h, 1000);
	CHECK_EQ(app_close(&s), 0);
	peer_send_pattern(&peer, 10); /* RST */
	CHECK(look_at_all() > 6);
}

static void what_options_leat_sends_are_well_formed(void)
{
	begin_unconnected(NULL);
	host_listen(h, 4);
	live_through(true);
	live_through(false);

	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	CHECK_EQ(app_connect(&s, PEER_ADDR, 8080), 0);
	host_settle(h);
	CHECK_EQ(look_at_all(), 1); /* the SYN */
	end();
}

/* MUST-67: leat puts no fragments together, so MMS_R is what one packet holds. */
static void the_offered_mss_follows_the_mtu(void)
{
	static const uint16_t mtus[] = {576, 900, 1500};

	for (unsigned i = 0; i < RTE_DIM(mtus); i++) {
		struct host_config config = host_config_default();

		config.mtu = mtus[i];
		begin_unconnected(&config);
		host_listen(h, 4);
		peer_send(&peer, TH_SYN, NULL, 0);
		PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_SYN | TH_ACK), TCP_MSS_IS(mtus[i] - 40));
		REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
		CHECK_EQ(app_connect(&s, PEER_ADDR, 8080), 0);
		host_settle(h);
		HOST_EXPECT(h, TCP_FLAGS_ARE(TH_SYN), TCP_MSS_IS(mtus[i] - 40));
		end();
	}
}

/* ---- initial sequence numbers ------------------------------------------------------ */

/* MUST-8: a tick of M is four microseconds. */
static void initial_sequence_numbers_follow_the_clock(void)
{
	const struct flow *flow;
	uint32_t first;

	begin();
	flow = &tcp()->ics.inet.flow;
	host_poll(h);
	first = tcp_initial_sequence(h->w, tcp_flow_secret(h->w, flow));
	host_advance_ms(h, 1000);
	CHECK_EQ(tcp_initial_sequence(h->w, tcp_flow_secret(h->w, flow)) - first, 250000);
	end();
}

/* MUST-9: each bit of a key that never leaves the worker changes them all. */
static void initial_sequence_numbers_depend_on_the_key(void)
{
	const struct flow *flow;
	uint32_t first;

	begin();
	flow = &tcp()->ics.inet.flow;
	first = tcp_initial_sequence(h->w, tcp_flow_secret(h->w, flow));
	for (unsigned bit = 0; bit < 8 * sizeof(h->w->secret_key); bit++) {
		uint8_t *key = (uint8_t *)&h->w->secret_key;

		key[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CHECK(tcp_initial_sequence(h->w, tcp_flow_secret(h->w, flow)) != first);
		key[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	CHECK_EQ(tcp_initial_sequence(h->w, tcp_flow_secret(h->w, flow)), first);
	end();
}

/* ---- opening ----------------------------------------------------------------------- */

/* MUST-11: after a passive open a RST leads back to LISTEN, ... */
static void a_refused_passive_open_goes_back_to_listen(void)
{
	struct peer other;

	begin_unconnected(NULL);
	host_syn_received(h, &peer);
	peer_send(&peer, TH_RST, NULL, 0);
	CHECK_EQ(host_state(&h->listener), TCP_LISTEN);
	CHECK_EQ(h->listener.slot->error, 0);
	peer_init(&other, h);
	host_established(h, &other, &s);
	end();
}

/* ... and after an active one to CLOSED. */
static void a_refused_simultaneous_open_is_told(void)
{
	begin_unconnected(NULL);
	host_syn_sent(h, &peer, &s);
	peer_send(&peer, TH_SYN, NULL, 0);
	CHECK_EQ(host_state(&s), TCP_SYN_RECV);
	host_drain(h);
	peer_send(&peer, TH_RST, NULL, 0);
	CHECK_EQ(host_state(&s), TCP_CLOSE);
	CHECK_EQ(s.slot->error, ECONNREFUSED);
	end();
}

/* MUST-41 */
static void listening_leaves_other_connections_alone(void)
{
	struct app_sock other, refused, accepted;
	struct peer half_open;

	begin_unconnected(NULL);
	host_established(h, &peer, &s);
	peer_init(&half_open, h);
	host_syn_received(h, &half_open);
	CHECK_EQ(listen_on(&other, 81), 0);
	CHECK_EQ(listen_on(&refused, HOST_PORT), -EADDRINUSE);

	peer_send_pattern(&peer, 10);
	CHECK_EQ(app_read_pattern(&s, 100), 10);
	peer_send(&half_open, TH_ACK, NULL, 0);
	CHECK_EQ(app_accept(&h->listener, &accepted), 0);
	host_drain(h);
	end();
}

/* MUST-42, with SO_REUSEADDR on both as under Linux. */
static void one_may_listen_where_another_connects_from(void)
{
	struct app_sock listener, accepted;
	struct peer caller;
	int on = 1;

	begin_unconnected(NULL);
	peer.port = 8080;
	peer.host_port = 5555;
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	CHECK_EQ(app_setsockopt(&s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	CHECK_EQ(app_bind(&s, HOST_ADDR, 5555), 0);
	CHECK_EQ(app_connect(&s, PEER_ADDR, 8080), 0);
	host_settle(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_SYN));
	CHECK_EQ(listen_on(&listener, 5555), 0);

	peer_init(&caller, h);
	caller.host_port = 5555;
	peer_send(&caller, TH_SYN, NULL, 0);
	PEER_EXPECT(&caller, TCP_FLAGS_ARE(TH_SYN | TH_ACK));
	peer_send(&caller, TH_ACK, NULL, 0);
	CHECK_EQ(app_accept(&listener, &accepted), 0);
	peer_send(&peer, TH_SYN | TH_ACK, NULL, 0);
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	host_drain(h);
	end();
}

/* MUST-44: who did not bind has the interface's address; MUST-45: and keeps it. */
static void a_connection_keeps_its_address(void)
{
	begin_unconnected(NULL);
	peer.port = 8080;
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	CHECK_EQ(app_bind(&s, 0, 5555), 0);
	CHECK_EQ(app_connect(&s, PEER_ADDR, 8080), 0);
	peer.host_port = 5555;
	host_settle(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_SYN), IP_SOURCE_IS(HOST_ADDR), SOURCE_PORT_IS(5555));
	host_advance_ms(h, 1000);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_SYN), IP_SOURCE_IS(HOST_ADDR), SOURCE_PORT_IS(5555));
	peer_send(&peer, TH_SYN | TH_ACK, NULL, 0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), IP_SOURCE_IS(HOST_ADDR), SOURCE_PORT_IS(5555));
	app_write_pattern(&s, 10);
	host_settle(h);
	PEER_EXPECT(&peer, PAYLOAD_IS(10), IP_SOURCE_IS(HOST_ADDR), SOURCE_PORT_IS(5555));
	end();
}

/* MUST-63 */
static void a_syn_from_an_impossible_address_is_ignored(void)
{
	static const uint32_t sources[] = {0x00000000, 0x7f000001, 0xe0000001,
					   0xf0000001, 0xffffffff, HOST_ADDR | 0xff};

	begin_unconnected(NULL);
	host_listen(h, 4);
	for (unsigned i = 0; i < RTE_DIM(sources); i++) {
		peer.address = sources[i];
		peer_send(&peer, TH_SYN, NULL, 0);
	}
	CHECK_EQ(host_counter(h, CNT_tcp_rx_segments), 0);
	HOST_EXPECT_NOTHING(h);
	end();
}

/* ---- receiving --------------------------------------------------------------------- */

/* MUST-58 and MUST-59: what came together is acknowledged together, at the start too. */
static void what_comes_in_one_burst_gets_one_ack(void)
{
	begin();
	for (int burst = 0; burst < 3; burst++) {
		for (int i = 0; i < 10; i++, peer.seq += MSS)
			peer_inject_pattern(&peer, peer.seq, MSS);
		host_poll(h);
		CHECK_EQ(host_tx_count(h), 1);
		PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(peer.seq));
	}
	CHECK_EQ(app_read_pattern(&s, 100000), 30 * MSS);
	host_drain(h);
	end();
}

/* MUST-31, as far as leat knows urgent data: it is text. */
static void urgent_data_of_any_length_is_text(void)
{
	begin();
	for (uint32_t left = 10 * MSS; left > 0; left -= MSS, peer.seq += MSS) {
		struct build b;

		peer_build(&peer, &b, TH_ACK | TH_URG, peer.seq, peer.ack);
		build_pattern(&b, peer_offset(&peer, peer.seq), MSS);
		build_tcp_header(&b)->tcp_urp = htons((uint16_t)left);
		build_finish(&b);
		host_inject(h, &b);
		host_poll(h);
	}
	CHECK_EQ(app_read_pattern(&s, 100000), 10 * MSS);
	host_advance_ms(h, 100);
	host_drain(h);
	end();
}

/* ---- keepalive --------------------------------------------------------------------- */

/* MUST-28 */
static void keepalive_waits_two_hours_unless_told(void)
{
	int on = 1;

	begin();
	CHECK_EQ(app_setsockopt(&s, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)), 0);
	host_advance_ms(h, TWO_H_MS - 1000);
	HOST_EXPECT_NOTHING(h);
	host_advance_ms(h, 2000);
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_ACK), TCP_SEQ_IS(peer.host_isn), PAYLOAD_IS(0));
	end();
}

/* MUST-29 */
static void probes_that_got_lost_do_not_end_a_connection(void)
{
	int on = 1, idle_s = 100, interval_s = 10, count = 3;

	begin();
	CHECK_EQ(app_setsockopt(&s, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(int)), 0);
	CHECK_EQ(app_setsockopt(&s, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(int)), 0);
	CHECK_EQ(app_setsockopt(&s, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(int)), 0);
	CHECK_EQ(app_setsockopt(&s, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(int)), 0);
	for (int i = 0; i < 4; i++) { /* two of three are lost each time */
		host_advance_ms(h, 125000);
		CHECK_EQ(host_drain(h), 3);
		peer_send(&peer, TH_ACK, NULL, 0);
		CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	}
	end();
}

/* ---- ICMP -------------------------------------------------------------------------- */

/* An error about the oldest byte in flight. */
static void icmp_about_us(uint8_t type, uint8_t code)
{
	struct build quoted, b;

	build_start(&quoted);
	build_ipv4(&quoted, IPPROTO_TCP, HOST_ADDR, peer.address);
	quoted.network = 0;
	build_tcp(&quoted, peer.host_port, peer.port, tcp()->snd_una, 0, TH_ACK, 1000);
	quoted.data[3] = 40; /* total length */
	host_build_ipv4(h, &b, IPPROTO_ICMP);
	build_icmp(&b, type, code, 0);
	build_bytes(&b, quoted.data, 28);
	build_finish(&b);
	host_inject(h, &b);
	host_poll(h);
}

static void begin_in_flight(void)
{
	begin();
	app_write_pattern(&s, 5 * MSS);
	host_settle(h);
	CHECK_EQ(take_all(), 5);
}

/* MUST-56 */
static void soft_errors_abort_nothing(void)
{
	static const uint8_t errors[][2] = {
		{ICMP_DEST_UNREACH, ICMP_NET_UNREACH},
		{ICMP_DEST_UNREACH, ICMP_HOST_UNREACH},
		{ICMP_DEST_UNREACH, ICMP_SR_FAILED},
		{ICMP_TIME_EXCEEDED, ICMP_EXC_TTL},
		{ICMP_TIME_EXCEEDED, ICMP_EXC_FRAGTIME},
		{ICMP_PARAMETERPROB, 0},
		{ICMP_PARAMETERPROB, 1},
		{ICMP_PARAMETERPROB, 2},
	};

	begin_in_flight();
	for (unsigned i = 0; i < RTE_DIM(errors); i++) {
		icmp_about_us(errors[i][0], errors[i][1]);
		CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
		CHECK(tcp()->ics.inet.soft_error != 0); /* it was heard */
		tcp()->ics.inet.soft_error = 0;
	}
	CHECK_EQ(s.slot->error, 0);
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(tcp()->snd_una, tcp()->snd_nxt);
	end();
}

/* MUST-47, SHLD-25: who says that he wants to know hears of it, and the connection goes on. */
static void soft_errors_are_told_who_asked(void)
{
	int on = 1;

	begin_in_flight();
	icmp_about_us(ICMP_DEST_UNREACH, ICMP_NET_UNREACH);
	CHECK_EQ(s.slot->error, 0);
	CHECK_EQ(app_setsockopt(&s, IPPROTO_IP, IP_RECVERR, &on, sizeof(on)), 0);
	icmp_about_us(ICMP_DEST_UNREACH, ICMP_HOST_UNREACH);
	CHECK_EQ(s.slot->error, EHOSTUNREACH);
	CHECK_EQ(s.slot->error_seq, 1);
	CHECK(app_has(&s, LEAT_EV_ERR));
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	icmp_about_us(ICMP_DEST_UNREACH, ICMP_NET_UNREACH);
	CHECK_EQ(s.slot->error, ENETUNREACH);
	CHECK_EQ(s.slot->error_seq, 2);
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(tcp()->snd_una, tcp()->snd_nxt);
	end();
}

/* MUST-20: after R1 retransmissions (SHLD-10: 3) IP is told, which asks the neighbour again. */
static void with_the_third_retransmission_the_neighbour_is_asked(void)
{
	struct host_config config = host_config_default();
	uint32_t sent = 0, asked_after = 0;
	struct frame *f;

	config.answer_arp = false;
	begin_connected(&config);
	app_write_pattern(&s, 100);
	host_settle(h);
	host_drain(h);
	for (int ms = 0; ms < 20000 && asked_after == 0; ms++) {
		host_advance_ms(h, 1);
		while ((f = host_pop(h)) != NULL) {
			if (FRAME_SEE(f).ether_type == RTE_ETHER_TYPE_ARP) {
				asked_after = sent;
				CHECK_FRAME(f, ARP_OPERATION_IS(RTE_ARP_OP_REQUEST),
					    ARP_TARGET_IS(PEER_ADDR), ETH_TO(&peer_mac));
			} else {
				sent++;
			}
			free(f);
		}
	}
	CHECK_EQ(asked_after, 2); /* and with the third */
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	end();
}

/* MUST-55, RFC 6633 */
static void a_source_quench_changes_nothing(void)
{
	uint32_t cwnd_bytes;

	begin_in_flight();
	cwnd_bytes = tcp_cwnd_bytes(tcp());
	icmp_about_us(ICMP_SOURCE_QUENCH, 0);
	CHECK_EQ(tcp_cwnd_bytes(tcp()), cwnd_bytes);
	CHECK_EQ(tcp()->ics.inet.soft_error, 0);
	CHECK_EQ(s.slot->error, 0);
	CHECK_EQ(host_counter(h, CNT_icmp_type), 1);
	HOST_EXPECT_NOTHING(h);
	end();
}

/* ---- ECN ---------------------------------------------------------------------------- */

#define ECT0 2
#define CE   3

static void begin_with_ecn(const struct congestion_ops *ops)
{
	struct host_config config = host_config_default();
	struct leat_addr local;

	config.worker.ecn = ECN_REQUEST;
	begin_unconnected(&config);
	peer.port = 8080;
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	REQUIRE_EQ(tcp_set_congestion(h->w, tcp(), ops), 0);
	REQUIRE_EQ(app_connect(&s, PEER_ADDR, 8080), 0);
	host_settle(h);
	REQUIRE_EQ(app_getname(&s, false, &local), 0);
	peer.host_port = ntohs(local.port);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_SYN | TCP_FLAG_ECE | TCP_FLAG_CWR),
		    IP_TRAFFIC_CLASS_IS(0));
	peer_send(&peer, TH_SYN | TH_ACK | TCP_FLAG_ECE, NULL, 0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK));
}

/* SHLD-8, RFC 3168 section 6.1.2: once a window, and the peer is told. */
static void an_echoed_mark_reduces_the_window_once(void)
{
	uint32_t cwnd_bytes, ssthresh_bytes;

	begin_with_ecn(&congestion_cubic);
	app_write_pattern(&s, 5 * MSS);
	host_settle(h);
	for (int i = 0; i < 5; i++)
		PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), IP_TRAFFIC_CLASS_IS(ECT0));
	cwnd_bytes = tcp_cwnd_bytes(tcp());
	peer.ack -= 4 * MSS;
	peer_send(&peer, TH_ACK | TCP_FLAG_ECE, NULL, 0);
	ssthresh_bytes = tcp_ssthresh_bytes(tcp());
	CHECK(ssthresh_bytes < cwnd_bytes);
	peer.ack += MSS;
	peer_send(&peer, TH_ACK | TCP_FLAG_ECE, NULL, 0);
	peer.ack += 3 * MSS;
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(tcp_ssthresh_bytes(tcp()), ssthresh_bytes);
	CHECK(tcp_cwnd_bytes(tcp()) < cwnd_bytes);
	CHECK_EQ(host_counter(h, CNT_tcp_retransmit), 0);
	app_write_pattern(&s, 2 * MSS);
	host_settle(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK | TCP_FLAG_CWR), PAYLOAD_IS(MSS));
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), PAYLOAD_IS(MSS));
	end();
}

static void inject_marked(uint8_t flags, uint8_t codepoint)
{
	struct build b;

	peer_build(&peer, &b, TH_ACK | flags, peer.seq, peer.ack);
	build_pattern(&b, peer_offset(&peer, peer.seq), 100);
	build_ipv4_header(&b)->type_of_service = codepoint;
	build_finish(&b);
	host_inject(h, &b);
	peer.seq += 100;
}

static void send_marked(uint8_t flags, uint8_t codepoint)
{
	inject_marked(flags, codepoint);
	host_poll(h);
}

/* SHLD-8, RFC 3168 section 6.1.3. */
static void a_mark_is_echoed_until_the_peer_heard(void)
{
	begin_with_ecn(&congestion_cubic);
	send_marked(0, ECT0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK));
	send_marked(0, CE);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK | TCP_FLAG_ECE));
	send_marked(0, ECT0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK | TCP_FLAG_ECE));
	send_marked(TCP_FLAG_CWR, ECT0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK));
	end();
}

/* RFC 8257 section 3.2: each ACK is for marked or for unmarked bytes, in one burst too. */
static void with_dctcp_exactly_what_was_marked_is_told(void)
{
	begin_with_ecn(&congestion_dctcp);
	inject_marked(0, ECT0);
	inject_marked(0, CE);
	inject_marked(0, CE);
	inject_marked(0, ECT0);
	host_poll(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(peer.seq - 300));
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK | TCP_FLAG_ECE), TCP_ACK_IS(peer.seq - 100));
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(peer.seq));
	HOST_EXPECT_NOTHING(h);
	end();
}

/* MUST-48 and MUST-49: the application chooses DS field and TTL; the bits of ECN stay TCP's. */
static void the_application_chooses_ttl_and_ds_field(void)
{
	int ttl = 3, tos = 0x2a;
	int value = 0;

	begin();
	CHECK_EQ(app_setsockopt(&s, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl)), 0);
	CHECK_EQ(app_setsockopt(&s, IPPROTO_IP, IP_TOS, &tos, sizeof(tos)), 0);
	CHECK_EQ(app_getsockopt(&s, IPPROTO_IP, IP_TOS, &value, sizeof(value)), 0);
	CHECK_EQ(value, 0x28);
	app_write_pattern(&s, 1);
	host_settle(h);
	HOST_EXPECT(h, IP_TTL_IS(3), IP_TRAFFIC_CLASS_IS(0x28));
	end();
}

TEST_SUITE(tcp_requirements)
{
	TEST(a_window_above_32767_is_used_whole);
	TEST(a_shut_window_does_not_keep_rst_out);
	TEST(probes_begin_after_a_timeout_and_back_off);
	TEST(only_the_last_segment_is_pushed);
	TEST(every_segment_may_carry_options);
	TEST(what_options_leat_sends_are_well_formed);
	TEST(the_offered_mss_follows_the_mtu);
	TEST(initial_sequence_numbers_follow_the_clock);
	TEST(initial_sequence_numbers_depend_on_the_key);
	TEST(a_refused_passive_open_goes_back_to_listen);
	TEST(a_refused_simultaneous_open_is_told);
	TEST(listening_leaves_other_connections_alone);
	TEST(one_may_listen_where_another_connects_from);
	TEST(a_connection_keeps_its_address);
	TEST(a_syn_from_an_impossible_address_is_ignored);
	TEST(what_comes_in_one_burst_gets_one_ack);
	TEST(urgent_data_of_any_length_is_text);
	TEST(keepalive_waits_two_hours_unless_told);
	TEST(probes_that_got_lost_do_not_end_a_connection);
	TEST(soft_errors_abort_nothing);
	TEST(soft_errors_are_told_who_asked);
	TEST(with_the_third_retransmission_the_neighbour_is_asked);
	TEST(a_source_quench_changes_nothing);
	TEST(an_echoed_mark_reduces_the_window_once);
	TEST(a_mark_is_echoed_until_the_peer_heard);
	TEST(with_dctcp_exactly_what_was_marked_is_told);
	TEST(the_application_chooses_ttl_and_ds_field);
}
