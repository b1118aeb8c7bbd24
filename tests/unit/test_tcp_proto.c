/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP's two faces: what applications may ask, and what the network tells it (ICMP). */
#include "tcp/tcp.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "support/tcp_fixture.h"

static void begin(void)
{
	begin_unconnected(NULL);
}

/* An ICMP error of a router about the segment with seq that the host sent to the peer. */
static void icmp_error(uint8_t type, uint8_t code, uint32_t rest, uint32_t seq)
{
	struct build quoted, b;

	build_start(&quoted);
	build_ipv4(&quoted, IPPROTO_TCP, HOST_ADDR, peer.address);
	quoted.network = 0;
	build_tcp(&quoted, peer.host_port, peer.port, seq, 0, TH_ACK, 1000);
	quoted.data[2] = 0x05; /* total length 1500 */
	quoted.data[3] = 0xdc;
	host_build_ipv4(h, &b, IPPROTO_ICMP);
	build_ipv4_header(&b)->src_addr = htonl(PEER_ADDR + 7);
	build_icmp(&b, type, code, rest);
	build_bytes(&b, quoted.data, 28);
	build_finish(&b);
	host_inject(h, &b);
	host_poll(h);
}

/* ---- ICMP ------------------------------------------------------------------------ */

/* RFC 1122 section 4.2.3.9: while connecting an unreachable ends it. */
static void unreachable_fails_a_connect(void)
{
	begin();
	host_syn_sent(h, &peer, &s);
	icmp_error(3, 1, 0, peer.host_isn);
	CHECK_EQ(host_state(&s), TCP_CLOSE);
	CHECK_EQ(s.slot->error, EHOSTUNREACH);
	CHECK_EQ(host_counter(h, CNT_icmp_error_rx), 1);
	end();
}

static void port_unreachable_refuses_a_connect(void)
{
	begin();
	host_syn_sent(h, &peer, &s);
	icmp_error(3, 3, 0, peer.host_isn);
	CHECK_EQ(s.slot->error, ECONNREFUSED);
	end();
}

static void unreachable_ends_a_half_open_connection(void)
{
	begin();
	host_syn_received(h, &peer);
	icmp_error(3, 1, 0, peer.host_isn + 1); /* quotes something else */
	icmp_error(3, 1, 0, peer.host_isn);
	host_advance_ms(h, 5000);
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(app_close(&h->listener), 0);
	HOST_CHECK_QUIET(h);
	end();
}

/* RFC 5927 section 4.1: an error must quote something in flight. */
static void an_error_about_nothing_in_flight_is_ignored(void)
{
	begin();
	host_syn_sent(h, &peer, &s);
	icmp_error(3, 1, 0, peer.host_isn + 1);
	icmp_error(3, 1, 0, peer.host_isn - 1);
	CHECK_EQ(host_state(&s), TCP_SYN_SENT);
	end();
}

/* RFC 1122 section 4.2.3.9: on a connection it is only a hint. */
static void unreachable_does_not_end_a_connection(void)
{
	begin_connected(NULL);
	app_write_pattern(&s, 100);
	host_settle(h);
	host_drain(h);
	icmp_error(3, 1, 0, peer.host_isn + 1);
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	CHECK_EQ(s.slot->error, 0);
	while (host_state(&s) == TCP_ESTABLISHED && clock_us < 3600000000u) {
		host_advance_ms(h, 1000);
		host_drain(h);
	}
	CHECK_EQ(s.slot->error, EHOSTUNREACH); /* why it timed out */
	end();
}

/* RFC 1191. */
static void fragmentation_needed_makes_segments_smaller(void)
{
	begin_connected(NULL);
	app_write_pattern(&s, 5000);
	host_settle(h);
	host_drain(h);
	icmp_error(3, 4, 1000, peer.host_isn + 1);
	host_settle(h);
	PEER_EXPECT(&peer, IP_LENGTH_IS(1000), PAYLOAD_IS_PATTERN(0, 960));
	host_drain(h);
	end();
}

static void an_absurd_path_mtu_is_not_believed(void)
{
	begin_connected(NULL);
	app_write_pattern(&s, 5000);
	host_settle(h);
	host_drain(h);
	icmp_error(3, 4, 67, peer.host_isn + 1);
	icmp_error(3, 4, 9000, peer.host_isn + 1);
	icmp_error(3, 4, 0, peer.host_isn + 1);
	host_settle(h);
	host_advance_ms(h, 400);
	PEER_EXPECT(&peer, IP_LENGTH_IS(1500));
	host_drain(h);
	end();
}

/* ---- a neighbour that does not answer ------------------------------------------------ */

static void a_silent_neighbour_fails_a_connect(void)
{
	struct host_config config = host_config_default();

	config.know_peer = false;
	config.answer_arp = false;
	begin_unconnected(&config);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	CHECK_EQ(app_connect(&s, PEER_ADDR, 80), 0);
	host_advance_ms(h, 10000);
	CHECK_EQ(host_state(&s), TCP_CLOSE);
	CHECK_EQ(s.slot->error, EHOSTUNREACH);
	CHECK(host_counter(h, CNT_arp_unresolved) > 0);
	host_drain(h);
	end();
}

static void a_late_neighbour_gets_the_syn(void)
{
	struct host_config config = host_config_default();

	config.know_peer = false;
	begin_unconnected(&config);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	CHECK_EQ(app_connect(&s, PEER_ADDR, 80), 0);
	host_settle(h); /* asks, is answered, sends */
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_SYN), ETH_TO(&peer_mac));
	end();
}

/* ---- bind ------------------------------------------------------------------------------ */

static void bind_follows_posix(void)
{
	struct app_sock other;
	struct leat_addr name;

	begin();
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	CHECK_EQ(app_bind(&s, HOST_ADDR + 50, 80), -EADDRNOTAVAIL);
	CHECK_EQ(app_bind(&s, HOST_ADDR, 80), 0);
	CHECK_EQ(app_bind(&s, HOST_ADDR, 81), -EINVAL);
	CHECK_EQ(app_getname(&s, false, &name), 0);
	CHECK_EQ(name.port, htons(80));
	CHECK_EQ(app_getname(&s, true, &name), -ENOTCONN);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &other), 0);
	CHECK_EQ(app_bind(&other, 0, 80), -EADDRINUSE);
	CHECK_EQ(app_bind(&other, 0, 0), 0);
	CHECK_EQ(app_getname(&other, false, &name), 0);
	CHECK(name.port != 0);
	CHECK_EQ(app_close(&s), 0);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	CHECK_EQ(app_bind(&s, HOST_ADDR, 80), 0);
	end();
}

static void listening_without_bind_chooses_a_port(void)
{
	struct leat_addr name;

	begin();
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	CHECK_EQ(app_listen(&s, 1), 0);
	CHECK_EQ(app_getname(&s, false, &name), 0);
	CHECK(ntohs(name.port) >= 32768);
	CHECK_EQ(app_listen(&s, 7), 0); /* again: another backlog */
	CHECK_EQ(app_connect(&s, PEER_ADDR, 80), -EISCONN);
	end();
}

static void a_bound_port_is_the_one_that_connects(void)
{
	begin();
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	CHECK_EQ(app_bind(&s, HOST_ADDR, 5555), 0);
	CHECK_EQ(app_connect(&s, PEER_ADDR, 80), 0);
	host_settle(h);
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_SYN), SOURCE_PORT_IS(5555));
	end();
}

static void listening_twice_on_one_port_is_refused(void)
{
	struct app_sock other;
	int on = 1;

	begin();
	host_listen(h, 1);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &other), 0);
	CHECK_EQ(app_setsockopt(&other, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	CHECK_EQ(app_bind(&other, HOST_ADDR, HOST_PORT), -EADDRINUSE);
	end();
}

static void reuseport_listeners_share_the_connections(void)
{
	struct app_sock listener[2], accepted;
	unsigned got[2] = {0};
	int on = 1;

	begin();
	for (int i = 0; i < 2; i++) {
		REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &listener[i]), 0);
		CHECK_EQ(app_setsockopt(&listener[i], SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)),
			 0);
		CHECK_EQ(app_bind(&listener[i], HOST_ADDR, HOST_PORT), 0);
		CHECK_EQ(app_listen(&listener[i], 64), 0);
	}
	h->listener = listener[0];
	for (int i = 0; i < 40; i++) {
		struct peer p;

		peer_init(&p, h);
		host_syn_received(h, &p);
		peer_send(&p, TH_ACK, NULL, 0);
	}
	for (int i = 0; i < 2; i++)
		while (app_accept(&listener[i], &accepted) == 0)
			got[i]++;
	CHECK_EQ(got[0] + got[1], 40);
	CHECK_RANGE(got[0], 5, 35);
	end();
}

/* ---- options ------------------------------------------------------------------------------- */

static void options_are_what_they_were_set_to(void)
{
	static const struct {
		int level, name, value;
	} cases[] = {
		{SOL_SOCKET, SO_REUSEADDR, 1},      {SOL_SOCKET, SO_REUSEPORT, 1},
		{SOL_SOCKET, SO_KEEPALIVE, 1},      {IPPROTO_TCP, TCP_NODELAY, 1},
		{IPPROTO_TCP, TCP_KEEPIDLE, 77},    {IPPROTO_TCP, TCP_KEEPINTVL, 7},
		{IPPROTO_TCP, TCP_KEEPCNT, 5},      {IPPROTO_TCP, TCP_MAXSEG, 1000},
		{IPPROTO_TCP, TCP_USER_TIMEOUT, 9},
	};
	int value;

	begin();
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		CHECK_EQ(app_setsockopt(&s, cases[i].level, cases[i].name, &cases[i].value,
					sizeof(int)),
			 0);
		CHECK_EQ(app_getsockopt(&s, cases[i].level, cases[i].name, &value, sizeof(value)),
			 0);
		CHECK_EQ(value, cases[i].value);
	}
	CHECK_EQ(app_getsockopt(&s, SOL_SOCKET, SO_TYPE, &value, sizeof(value)), 0);
	CHECK_EQ(value, SOCK_STREAM);
	CHECK_EQ(app_setsockopt(&s, SOL_SOCKET, 9999, &value, sizeof(value)), -ENOPROTOOPT);
	CHECK_EQ(app_setsockopt(&s, 77, 1, &value, sizeof(value)), -ENOPROTOOPT);
	CHECK_EQ(app_setsockopt(&s, SOL_SOCKET, SO_KEEPALIVE, &value, 1), -EINVAL);
	end();
}

static void an_option_longer_than_can_be_is_refused(void)
{
	struct leat_sqe sqe = {.op = LEAT_OP_SETSOCKOPT};

	begin();
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	sqe.handle = s.handle;
	sqe.option.level = SOL_SOCKET;
	sqe.option.name = SO_KEEPALIVE;
	sqe.option.length_bytes = 25;
	CHECK_EQ(app_call(&h->app, 0, 0, &sqe, NULL), -EINVAL);
	end();
}

static void accepted_connections_inherit_options(void)
{
	int on = 1, value = 0;

	begin();
	host_listen(h, 4);
	CHECK_EQ(app_setsockopt(&h->listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
	host_established(h, &peer, &s);
	CHECK_EQ(app_getsockopt(&s, IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value)), 0);
	CHECK_EQ(value, 1);
	end();
}

static void maxseg_bounds_what_is_offered_and_sent(void)
{
	int mss = 700;

	begin();
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	CHECK_EQ(app_setsockopt(&s, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss)), 0);
	CHECK_EQ(app_connect(&s, PEER_ADDR, peer.port), 0);
	host_settle(h);
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_SYN), TCP_MSS_IS(700));
	end();
}

/* ---- pools --------------------------------------------------------------------------------- */

static void without_a_sock_left_socket_fails(void)
{
	struct host_config config = host_config_default();
	struct app_sock socks[16];
	int count = 0, result;

	config.worker.max_socks = 4;
	config.worker.max_listeners = 1;
	h = host_new(&config);
	while ((result = app_socket(&h->app, SOCK_STREAM, &socks[count])) == 0)
		count++;
	CHECK_EQ(result, -ENOBUFS);
	CHECK_EQ(count, 5);
	CHECK_EQ(app_close(&socks[0]), 0);
	CHECK_EQ(app_socket(&h->app, SOCK_STREAM, &socks[0]), 0);
	end();
}

static void a_row_of_ss_tells_the_state(void)
{
	struct sock_info info = {.session = 0};

	begin_connected(NULL);
	app_write_pattern(&s, 100);
	peer_send_pattern(&peer, 50);
	host_settle(h);
	tcp_proto.describe(host_sock(&s), &info);
	CHECK(strcmp(info.protocol, "tcp") == 0);
	CHECK(strcmp(info.state, "ESTABLISHED") == 0);
	CHECK_EQ(info.tx_queued, 100);
	CHECK_EQ(info.rx_queued, 50);
	CHECK_EQ(info.remote.port, htons(peer.port));
	host_drain(h);
	end();
}

TEST_SUITE(tcp_proto)
{
	TEST(unreachable_fails_a_connect);
	TEST(port_unreachable_refuses_a_connect);
	TEST(unreachable_ends_a_half_open_connection);
	TEST(an_error_about_nothing_in_flight_is_ignored);
	TEST(unreachable_does_not_end_a_connection);
	TEST(fragmentation_needed_makes_segments_smaller);
	TEST(an_absurd_path_mtu_is_not_believed);
	TEST(a_silent_neighbour_fails_a_connect);
	TEST(a_late_neighbour_gets_the_syn);
	TEST(bind_follows_posix);
	TEST(listening_without_bind_chooses_a_port);
	TEST(a_bound_port_is_the_one_that_connects);
	TEST(listening_twice_on_one_port_is_refused);
	TEST(reuseport_listeners_share_the_connections);
	TEST(options_are_what_they_were_set_to);
	TEST(an_option_longer_than_can_be_is_refused);
	TEST(accepted_connections_inherit_options);
	TEST(maxseg_bounds_what_is_offered_and_sent);
	TEST(without_a_sock_left_socket_fails);
	TEST(a_row_of_ss_tells_the_state);
}
