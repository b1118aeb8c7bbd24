/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 768; RFC 1122, section 4.1; what sockets of Linux do. */
#include "udp/udp.h"

#include <errno.h>
#include <sys/socket.h>

#include "net/ipv4.h"
#include "support/packet_fixture.h"

#define PORT      53
#define PEER_PORT 4000

static void open_bound(struct app_sock *s)
{
	REQUIRE_EQ(app_socket(&h->app, SOCK_DGRAM, s), 0);
	REQUIRE_EQ(app_bind(s, 0, PORT), 0);
}

static void open_sharing(struct app_sock *s)
{
	int on = 1;

	REQUIRE_EQ(app_socket(&h->app, SOCK_DGRAM, s), 0);
	CHECK_EQ(app_setsockopt(s, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
	REQUIRE_EQ(app_bind(s, 0, PORT), 0);
}

static void open_connected(struct app_sock *s)
{
	open_bound(s);
	REQUIRE_EQ(app_connect(s, PEER_ADDR, PEER_PORT), 0);
}

/* A datagram of the pattern from the peer. */
static void build_datagram(uint16_t from, uint16_t to, uint32_t length)
{
	host_build_ipv4(h, &b, IPPROTO_UDP);
	build_udp(&b, from, to);
	build_pattern(&b, 0, length);
	build_finish(&b);
}

static void arrives(uint32_t length)
{
	build_datagram(PEER_PORT, PORT, length);
	receive();
}

/* The next datagram is the pattern of that length. */
static void expect_record(struct app_sock *s, uint32_t length)
{
	static uint8_t got[65536], pattern[65536];
	struct leat_addr from;
	uint32_t full;

	REQUIRE_EQ(app_receive_from(s, &from, got, sizeof(got), &full), length);
	pattern_fill(pattern, 0, length);
	CHECK_MEM(got, pattern, length);
	CHECK_EQ(full, length);
	CHECK_EQ(from.port, rte_cpu_to_be_16(PEER_PORT));
	CHECK_EQ(from.family, AF_INET);
}

static bool send_pattern(struct app_sock *s, const struct leat_addr *to, uint32_t length)
{
	static uint8_t data[65536];

	pattern_fill(data, 0, length);
	return app_send_to(s, to, data, length);
}

static struct leat_addr peer(void)
{
	return app_addr(PEER_ADDR, PEER_PORT);
}

/* ---- up ---- */

static void datagrams_keep_their_boundaries(void)
{
	struct app_sock s;

	begin();
	open_bound(&s);
	for (uint32_t length = 0; length < 40; length++)
		arrives(length);
	arrives(1472);
	CHECK(app_take_events(&s) & LEAT_EV_IN);
	for (uint32_t length = 0; length < 40; length++)
		expect_record(&s, length);
	expect_record(&s, 1472);
	CHECK_EQ(host_counter(h, CNT_udp_rx), 41);
	CHECK_EQ(app_close(&s), 0);
	end();
}

static void records_cross_chunks(void)
{
	struct app_sock s;

	begin();
	open_bound(&s);
	for (unsigned round = 0; round < 40; round++) {
		for (uint32_t length = 1000; length < 1010; length++)
			arrives(length);
		for (uint32_t length = 1000; length < 1010; length++)
			expect_record(&s, length);
	}
	CHECK_EQ(host_counter(h, CNT_udp_rx), 400);
	/* What was read is given back as new datagrams arrive. */
	CHECK(h->session->arenas[0].free_chunk_count > h->session->arenas[0].chunk_count - 24);
	CHECK_EQ(app_close(&s), 0);
	end();
}

static void malformed_datagrams_are_counted(void)
{
	struct app_sock s;

	begin();
	open_bound(&s);
	for (uint32_t bytes = 0; bytes < 8; bytes++) {
		host_build_ipv4(h, &b, IPPROTO_UDP);
		build_pattern(&b, 0, bytes);
		build_lengths(&b);
		build_ipv4_header(&b)->hdr_checksum = 0;
		build_ipv4_header(&b)->hdr_checksum = rte_ipv4_cksum(build_ipv4_header(&b));
		receive();
	}
	CHECK_EQ(host_counter(h, CNT_udp_short), 8);
	static const uint16_t lengths[] = {0, 7, 19, 65535};
	for (unsigned i = 0; i < RTE_DIM(lengths); i++) {
		build_datagram(PEER_PORT, PORT, 10);
		build_udp_header(&b)->dgram_len = rte_cpu_to_be_16(lengths[i]);
		receive();
	}
	CHECK_EQ(host_counter(h, CNT_udp_length), 4);
	build_datagram(PEER_PORT, PORT, 10);
	b.data[b.length - 1] ^= 1;
	receive();
	CHECK_EQ(host_counter(h, CNT_udp_checksum), 1);
	CHECK_EQ(app_readable(&s), 0);
	CHECK_EQ(app_close(&s), 0);
	end();
}

/* RFC 768: the sender may leave the checksum out. */
static void no_checksum_is_a_good_checksum(void)
{
	struct app_sock s;

	begin();
	open_bound(&s);
	build_datagram(PEER_PORT, PORT, 9);
	build_udp_header(&b)->dgram_cksum = 0;
	receive();
	expect_record(&s, 9);
	CHECK_EQ(app_close(&s), 0);
	end();
}

/* The datagram is shorter than the packet that carries it. */
static void bytes_behind_the_datagram_are_cut(void)
{
	struct app_sock s;

	begin();
	open_bound(&s);
	build_datagram(PEER_PORT, PORT, 30);
	build_udp_header(&b)->dgram_len = RTE_BE16(8 + 12);
	build_udp_header(&b)->dgram_cksum = 0;
	receive();
	expect_record(&s, 12);
	CHECK_EQ(app_close(&s), 0);
	end();
}

static void full_buffer_drops_and_counts(void)
{
	struct app_sock s;
	int bytes = 4000; /* doubled */
	unsigned fit = 8000 / (32 + 1000);

	begin();
	open_bound(&s);
	CHECK_EQ(app_setsockopt(&s, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)), 0);
	for (unsigned i = 0; i < fit + 3; i++)
		arrives(1000);
	CHECK_EQ(host_counter(h, CNT_udp_ring_full), 3);
	expect_record(&s, 1000);
	arrives(1000);
	CHECK_EQ(host_counter(h, CNT_udp_ring_full), 3);
	for (unsigned i = 0; i < fit; i++)
		expect_record(&s, 1000);
	CHECK_EQ(app_readable(&s), 0);
	CHECK_EQ(app_close(&s), 0);
	end();
}

static void an_exhausted_session_loses_datagrams_whole(void)
{
	struct host_config c = host_config_default();
	struct app_sock s, t;

	c.session.chunks_per_worker = 18; /* 16 are granted for sending */
	h = host_new(&c);
	open_bound(&s);
	REQUIRE_EQ(app_socket(&h->app, SOCK_DGRAM, &t), 0);
	REQUIRE_EQ(app_bind(&t, 0, PORT + 1), 0);
	for (unsigned i = 0; i < 40; i++)
		arrives(1000);
	CHECK_EQ(host_counter(h, CNT_udp_rx), 2 * 16384 / 1032);
	CHECK_EQ(host_counter(h, CNT_udp_ring_full), 40 - 2 * 16384 / 1032);
	build_datagram(PEER_PORT, PORT + 1, 5);
	receive();
	CHECK_EQ(app_readable(&t), 0);
	for (unsigned i = 0; i < 2 * 16384 / 1032; i++)
		expect_record(&s, 1000);
	arrives(1000);
	expect_record(&s, 1000);
	CHECK_EQ(app_close(&s), 0);
	CHECK_EQ(app_close(&t), 0);
	end();
}

static void nobody_on_the_port_is_told(void)
{
	begin();
	arrives(3);
	CHECK_EQ(host_counter(h, CNT_udp_no_sock), 1);
	HOST_EXPECT(h, IS_ICMP, ICMP_TYPE_IS(ICMP_DEST_UNREACH), ICMP_CODE_IS(ICMP_PORT_UNREACH));
	end();
}

static void a_connected_sock_hears_its_peer_only(void)
{
	struct app_sock s;

	begin();
	open_connected(&s);
	arrives(3);
	expect_record(&s, 3);
	build_datagram(PEER_PORT + 1, PORT, 3);
	receive();
	CHECK_EQ(app_readable(&s), 0);
	HOST_EXPECT(h, IS_ICMP, ICMP_CODE_IS(ICMP_PORT_UNREACH));
	CHECK_EQ(app_close(&s), 0);
	end();
}

static void a_bound_sock_hears_what_no_connected_one_does(void)
{
	struct app_sock s, t;

	begin();
	open_sharing(&s);
	open_sharing(&t);
	for (int i = 0; i < 2; i++) {
		REQUIRE_EQ(app_connect(&t, PEER_ADDR, PEER_PORT), 0);
		arrives(3);
		expect_record(&t, 3);
	}
	CHECK_EQ(app_close(&t), 0);
	arrives(5);
	expect_record(&s, 5);
	CHECK_EQ(app_close(&s), 0);
	end();
}

static void shut_for_reading_nothing_arrives(void)
{
	struct app_sock s;

	begin();
	open_connected(&s);
	CHECK_EQ(app_shutdown(&s, SHUT_RD), 0);
	CHECK(app_has(&s, LEAT_EV_RDHUP));
	arrives(3);
	CHECK_EQ(app_readable(&s), 0);
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(app_close(&s), 0);
	end();
}

/* ---- down ---- */

static void sends_to_whom_the_record_names(void)
{
	struct app_sock s;
	struct leat_addr to = peer();

	begin();
	open_bound(&s);
	for (uint32_t length = 0; length < 40; length++)
		CHECK(send_pattern(&s, &to, length));
	CHECK(send_pattern(&s, &to, 1472));
	host_settle(h);
	for (uint32_t length = 0; length < 40; length++)
		HOST_EXPECT(h, IS_UDP, IP_SOURCE_IS(HOST_ADDR), IP_DESTINATION_IS(PEER_ADDR),
			    SOURCE_PORT_IS(PORT), DESTINATION_PORT_IS(PEER_PORT),
			    PAYLOAD_IS_PATTERN(0, length));
	HOST_EXPECT(h, IS_UDP, PAYLOAD_IS_PATTERN(0, 1472));
	CHECK_EQ(host_counter(h, CNT_udp_tx), 41);
	CHECK_EQ(s.slot->tx_head, s.slot->tx_tail);
	CHECK_EQ(app_close(&s), 0);
	end();
}

static void copies_where_the_port_needs_it(void)
{
	struct host_config c = host_config_default();
	struct app_sock s;
	struct leat_addr to = peer();

	c.tx_multi_segs = false;
	c.external_buffers = false;
	h = host_new(&c);
	open_bound(&s);
	CHECK(send_pattern(&s, &to, 1472));
	host_settle(h);
	HOST_EXPECT(h, IS_UDP, PAYLOAD_IS_PATTERN(0, 1472));
	CHECK_EQ(app_close(&s), 0);
	end();
}

static uint16_t checksum_sent(struct app_sock *s, uint16_t data)
{
	const struct leat_addr to = peer();
	struct frame *f;
	uint16_t checksum;

	REQUIRE(app_send_to(s, &to, &data, sizeof(data)));
	host_settle(h);
	f = host_pop(h);
	REQUIRE(f != NULL);
	memcpy(&checksum, f->data + RTE_ETHER_HDR_LEN + IP_HEADER_BYTES + 6, sizeof(checksum));
	free(f);
	return checksum;
}

/* RFC 768: 0 would say that there is none. */
static void a_checksum_of_zero_is_sent_as_all_ones(void)
{
	struct app_sock s;
	uint16_t rest;

	begin();
	open_bound(&s);
	rest = checksum_sent(&s, 0);
	CHECK_EQ(checksum_sent(&s, rest), 0xffff);
	CHECK_EQ(app_close(&s), 0);
	end();
}

static void a_connected_sock_sends_to_its_peer(void)
{
	struct app_sock s;

	begin();
	open_connected(&s);
	CHECK(send_pattern(&s, NULL, 5));
	host_settle(h);
	HOST_EXPECT(h, IS_UDP, IP_DESTINATION_IS(PEER_ADDR), DESTINATION_PORT_IS(PEER_PORT),
		    PAYLOAD_IS(5));
	CHECK_EQ(app_close(&s), 0);
	end();
}

static void an_unbound_sock_gets_a_port_when_it_sends(void)
{
	struct app_sock s;
	struct leat_addr to = peer(), local;
	struct frame *f;
	struct seen seen;

	begin();
	REQUIRE_EQ(app_socket(&h->app, SOCK_DGRAM, &s), 0);
	CHECK(send_pattern(&s, &to, 5));
	host_settle(h);
	f = host_pop(h);
	seen = FRAME_SEE(f);
	free(f);
	REQUIRE_EQ(app_getname(&s, false, &local), 0);
	CHECK_EQ(seen.source_port, rte_be_to_cpu_16(local.port));
	CHECK(seen.source_port >= 32768);
	build_datagram(PEER_PORT, seen.source_port, 7);
	receive();
	expect_record(&s, 7);
	CHECK_EQ(app_close(&s), 0);
	end();
}

static int error_of(struct app_sock *s)
{
	int error = 0;

	CHECK_EQ(app_getsockopt(s, SOL_SOCKET, SO_ERROR, &error, sizeof(error)), 0);
	return error;
}

static void what_cannot_be_sent_is_an_error(void)
{
	struct app_sock s;
	struct leat_addr to = peer();

	begin();
	open_bound(&s);
	CHECK(send_pattern(&s, NULL, 5));
	host_settle(h);
	CHECK_EQ(error_of(&s), EDESTADDRREQ);
	CHECK_EQ(error_of(&s), 0); /* fetched */
	CHECK(!app_has(&s, LEAT_EV_ERR));
	to.port = 0;
	CHECK(send_pattern(&s, &to, 5));
	host_settle(h);
	CHECK_EQ(error_of(&s), EINVAL);
	to = peer();
	to.family = AF_INET6;
	CHECK(send_pattern(&s, &to, 5));
	host_settle(h);
	CHECK_EQ(error_of(&s), EAFNOSUPPORT);
	to = peer();
	CHECK(send_pattern(&s, &to, 1473));
	host_settle(h);
	CHECK_EQ(error_of(&s), EMSGSIZE);
	to = app_addr(0x08080808, PEER_PORT);
	CHECK(send_pattern(&s, &to, 5));
	host_settle(h);
	CHECK_EQ(error_of(&s), ENETUNREACH);
	to = app_addr(HOST_ADDR | 0xff, PEER_PORT);
	CHECK(send_pattern(&s, &to, 5));
	host_settle(h);
	CHECK_EQ(error_of(&s), EACCES);
	/* and the next one goes out */
	to = peer();
	CHECK(send_pattern(&s, &to, 5));
	host_settle(h);
	HOST_EXPECT(h, IS_UDP, PAYLOAD_IS(5));
	CHECK_EQ(s.slot->tx_head, s.slot->tx_tail);
	CHECK_EQ(app_close(&s), 0);
	end();
}

static void a_bounded_number_goes_out_in_one_iteration(void)
{
	struct app_sock s;
	struct leat_addr to = peer();

	begin();
	open_bound(&s);
	for (unsigned i = 0; i < UDP_OUTPUT_MAX + 5; i++)
		CHECK(send_pattern(&s, &to, 1));
	host_poll(h);
	CHECK_EQ(host_drain(h), UDP_OUTPUT_MAX);
	host_poll(h);
	CHECK_EQ(host_drain(h), 5);
	CHECK_EQ(app_close(&s), 0);
	end();
}

static void without_mbufs_datagrams_wait(void)
{
	struct app_sock s;
	struct leat_addr to = peer();
	struct rte_mbuf *taken[4096];
	unsigned n = 0;

	begin();
	open_bound(&s);
	while ((taken[n] = rte_pktmbuf_alloc(h->w->mbufs)) != NULL)
		n++;
	CHECK(send_pattern(&s, &to, 1000));
	for (int i = 0; i < 5; i++)
		host_poll(h);
	HOST_EXPECT_NOTHING(h);
	rte_pktmbuf_free(taken[--n]); /* enough for the header, not for the data */
	host_poll(h);
	HOST_EXPECT_NOTHING(h);
	rte_pktmbuf_free_bulk(taken, n);
	host_settle(h);
	HOST_EXPECT(h, IS_UDP, PAYLOAD_IS_PATTERN(0, 1000));
	CHECK_EQ(app_close(&s), 0);
	end();
}

/* A record written by hand over what the application's side would write. */
static void write_record(struct app_sock *s, const void *data, uint32_t length)
{
	REQUIRE_EQ(app_write(s, data, length), length);
	host_settle(h);
}

static void impossible_records_condemn_the_session(void)
{
	static uint8_t zeroes[64];
	struct leat_record record = {.addr = app_addr(PEER_ADDR, PEER_PORT)};
	struct app_sock s;

	for (unsigned i = 0; i < 3; i++) {
		begin();
		open_bound(&s);
		if (i == 0) {
			write_record(&s, zeroes, sizeof(record) - 8); /* half a header */
		} else {
			record.length_bytes = i == 1 ? UDP_DATAGRAM_MAX + 1 : 1;
			write_record(&s, &record, sizeof(record)); /* and no data */
		}
		CHECK_EQ(h->condemned, 1);
		HOST_EXPECT_NOTHING(h);
		end();
	}
}

static void what_was_written_before_close_is_sent(void)
{
	struct app_sock s, t;
	struct leat_addr to = peer();

	begin();
	open_bound(&s);
	for (unsigned i = 0; i < UDP_OUTPUT_MAX + 5; i++)
		CHECK(send_pattern(&s, &to, i));
	CHECK_EQ(app_close(&s), 0);
	open_bound(&t); /* the port is free at once */
	host_settle(h);
	for (unsigned i = 0; i < UDP_OUTPUT_MAX + 5; i++)
		HOST_EXPECT(h, IS_UDP, SOURCE_PORT_IS(PORT), PAYLOAD_IS_PATTERN(0, i));
	CHECK_EQ(app_close(&t), 0);
	end();
}

static void shut_for_writing_sends_what_was_written(void)
{
	struct app_sock s;

	begin();
	open_connected(&s);
	CHECK(send_pattern(&s, NULL, 5));
	CHECK_EQ(app_shutdown(&s, SHUT_WR), 0);
	CHECK(send_pattern(&s, NULL, 6));
	host_settle(h);
	HOST_EXPECT(h, IS_UDP, PAYLOAD_IS(5));
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(error_of(&s), EPIPE);
	CHECK_EQ(app_close(&s), 0);
	end();
}

/* ---- names ---- */

static void bind_follows_linux(void)
{
	struct app_sock s, t;
	int on = 1;

	begin();
	REQUIRE_EQ(app_socket(&h->app, SOCK_DGRAM, &s), 0);
	REQUIRE_EQ(app_socket(&h->app, SOCK_DGRAM, &t), 0);
	CHECK_EQ(app_bind(&s, HOST_ADDR + 9, PORT), -EADDRNOTAVAIL);
	CHECK_EQ(app_bind(&s, HOST_ADDR, PORT), 0);
	CHECK_EQ(app_bind(&s, HOST_ADDR, PORT + 1), -EINVAL);
	CHECK_EQ(app_bind(&t, 0, PORT), -EADDRINUSE);
	CHECK_EQ(app_setsockopt(&s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	CHECK_EQ(app_setsockopt(&t, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	CHECK_EQ(app_bind(&t, 0, PORT), 0);
	/* The more specific address wins. */
	arrives(4);
	expect_record(&s, 4);
	CHECK_EQ(app_close(&s), 0);
	arrives(5);
	expect_record(&t, 5);
	CHECK_EQ(app_close(&t), 0);
	end();
}

static void bind_chooses_a_port(void)
{
	struct app_sock s;
	struct leat_addr local;

	begin();
	REQUIRE_EQ(app_socket(&h->app, SOCK_DGRAM, &s), 0);
	CHECK_EQ(app_bind(&s, 0, 0), 0);
	REQUIRE_EQ(app_getname(&s, false, &local), 0);
	CHECK(local.port != 0);
	CHECK_EQ(app_close(&s), 0);
	end();
}

static void connect_names_both_ends(void)
{
	struct app_sock s;
	struct leat_addr name;

	begin();
	REQUIRE_EQ(app_socket(&h->app, SOCK_DGRAM, &s), 0);
	CHECK_EQ(app_getname(&s, true, &name), -ENOTCONN);
	CHECK_EQ(app_connect(&s, PEER_ADDR, 0), -EINVAL);
	CHECK_EQ(app_connect(&s, 0x08080808, 1), -ENETUNREACH);
	REQUIRE_EQ(app_connect(&s, PEER_ADDR, PEER_PORT), 0);
	CHECK(app_has(&s, LEAT_EV_CONNECTED));
	REQUIRE_EQ(app_getname(&s, false, &name), 0);
	CHECK_EQ(leat_addr_inet(&name).v4, rte_cpu_to_be_32(HOST_ADDR));
	CHECK(name.port != 0);
	REQUIRE_EQ(app_getname(&s, true, &name), 0);
	CHECK_EQ(leat_addr_inet(&name).v4, rte_cpu_to_be_32(PEER_ADDR));
	/* Again, to another one. */
	REQUIRE_EQ(app_connect(&s, PEER_ADDR, PEER_PORT + 1), 0);
	CHECK(send_pattern(&s, NULL, 1));
	host_settle(h);
	HOST_EXPECT(h, IS_UDP, DESTINATION_PORT_IS(PEER_PORT + 1));
	CHECK_EQ(app_close(&s), 0);
	end();
}

static void disconnected_it_hears_everybody_again(void)
{
	struct app_sock s;
	struct leat_sqe sqe = {.op = LEAT_OP_CONNECT};
	struct leat_addr local;

	begin();
	open_connected(&s);
	sqe.handle = s.handle; /* addr: AF_UNSPEC */
	REQUIRE_EQ(app_call(&h->app, 0, 0, &sqe, NULL), 0);
	CHECK(!app_has(&s, LEAT_EV_CONNECTED));
	REQUIRE_EQ(app_getname(&s, false, &local), 0);
	CHECK_EQ(leat_addr_inet(&local).v4, 0);
	CHECK_EQ(local.port, rte_cpu_to_be_16(PORT));
	build_datagram(PEER_PORT + 1, PORT, 3);
	receive();
	CHECK(app_readable(&s) > 0);
	CHECK_EQ(app_shutdown(&s, SHUT_RDWR), -ENOTCONN);
	CHECK_EQ(app_close(&s), 0);
	end();
}

static void two_socks_cannot_connect_alike(void)
{
	struct app_sock s, t;

	begin();
	open_sharing(&s);
	open_sharing(&t);
	CHECK_EQ(app_connect(&s, PEER_ADDR, PEER_PORT), 0);
	CHECK_EQ(app_connect(&t, PEER_ADDR, PEER_PORT), -EADDRINUSE);
	CHECK_EQ(app_connect(&t, PEER_ADDR, PEER_PORT + 1), 0);
	CHECK_EQ(app_close(&s), 0);
	CHECK_EQ(app_close(&t), 0);
	end();
}

static void an_unreachable_port_is_refused_to_a_connected_sock(void)
{
	struct app_sock s;
	struct build e;
	struct frame *f;

	begin();
	open_connected(&s);
	CHECK(send_pattern(&s, NULL, 5));
	host_settle(h);
	f = host_pop(h);
	REQUIRE(f != NULL);
	host_build_ipv4(h, &e, IPPROTO_ICMP);
	build_icmp(&e, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0);
	build_bytes(&e, f->data + RTE_ETHER_HDR_LEN, 28);
	build_finish(&e);
	free(f);
	host_inject(h, &e);
	host_settle(h);
	CHECK(app_take_events(&s) & LEAT_EV_ERR);
	CHECK_EQ(s.slot->error, ECONNREFUSED);
	CHECK_EQ(error_of(&s), ECONNREFUSED);
	CHECK_EQ(app_close(&s), 0);
	end();
}

/* RFC 1191: only who asked for it hears that its datagrams are too big for the path. */
static void a_smaller_path_mtu_is_told_to_who_asked(void)
{
	struct app_sock s;
	int how = IP_PMTUDISC_DO, mtu = 0;
	struct build e;
	struct frame *f;
	struct seen seen;

	begin();
	open_connected(&s);
	CHECK_EQ(app_setsockopt(&s, IPPROTO_IP, IP_MTU_DISCOVER, &how, sizeof(how)), 0);
	CHECK(send_pattern(&s, NULL, 1400));
	host_settle(h);
	f = host_pop(h);
	REQUIRE(f != NULL);
	seen = FRAME_SEE(f);
	CHECK(seen.ip_dont_fragment);
	host_build_ipv4(h, &e, IPPROTO_ICMP);
	build_icmp(&e, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, 1280);
	build_bytes(&e, f->data + RTE_ETHER_HDR_LEN, 28);
	build_finish(&e);
	free(f);
	host_inject(h, &e);
	host_settle(h);
	CHECK_EQ(error_of(&s), EMSGSIZE);
	CHECK_EQ(app_getsockopt(&s, IPPROTO_IP, IP_MTU, &mtu, sizeof(mtu)), 0);
	CHECK_EQ(mtu, 1280);
	CHECK(send_pattern(&s, NULL, 1253));
	CHECK(send_pattern(&s, NULL, 1252));
	host_settle(h);
	HOST_EXPECT(h, IS_UDP, PAYLOAD_IS(1252));
	CHECK_EQ(error_of(&s), EMSGSIZE);
	CHECK_EQ(app_close(&s), 0);
	end();
}

static void options_are_kept(void)
{
	static const struct {
		int level, name, set, get;
	} options[] = {
		{SOL_SOCKET, SO_REUSEADDR, 7, 1},
		{SOL_SOCKET, SO_REUSEPORT, 1, 1},
		{SOL_SOCKET, SO_BROADCAST, 1, 1},
		{SOL_SOCKET, SO_RCVBUF, 5000, 10000},
		{SOL_SOCKET, SO_RCVBUF, 0, 2304},
		{SOL_SOCKET, SO_RCVBUF, INT32_MAX, 6 << 20},
		{SOL_SOCKET, SO_SNDBUF, 5000, 10000},
		{IPPROTO_IP, IP_TTL, 3, 3},
		{IPPROTO_IP, IP_TTL, -1, IP_TTL_DEFAULT},
		{IPPROTO_IP, IP_TOS, 0x10, 0x10},
		{IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_WANT, IP_PMTUDISC_WANT},
	};
	struct app_sock s;
	int value;

	begin();
	open_bound(&s);
	for (unsigned i = 0; i < RTE_DIM(options); i++) {
		value = options[i].set;
		CHECK_EQ(app_setsockopt(&s, options[i].level, options[i].name, &value,
					sizeof(value)),
			 0);
		CHECK_EQ(app_getsockopt(&s, options[i].level, options[i].name, &value,
					sizeof(value)),
			 0);
		CHECK_EQ(value, options[i].get);
	}
	value = 0;
	CHECK_EQ(app_setsockopt(&s, IPPROTO_IP, IP_TTL, &value, sizeof(value)), -EINVAL);
	CHECK_EQ(app_setsockopt(&s, IPPROTO_IP, IP_TTL, &value, 1), -EINVAL);
	CHECK_EQ(app_setsockopt(&s, IPPROTO_IP, 9999, &value, sizeof(value)), -ENOPROTOOPT);
	CHECK_EQ(app_setsockopt(&s, SOL_SOCKET, SO_TYPE, &value, sizeof(value)), -ENOPROTOOPT);
	CHECK_EQ(app_getsockopt(&s, IPPROTO_IP, IP_MTU, &value, sizeof(value)), -ENOTCONN);
	CHECK_EQ(app_getsockopt(&s, SOL_SOCKET, SO_TYPE, &value, sizeof(value)), 0);
	CHECK_EQ(value, SOCK_DGRAM);
	CHECK_EQ(app_close(&s), 0);
	end();
}

static void header_options_reach_the_wire(void)
{
	struct app_sock s;
	int ttl = 3, tos = 0x28;

	begin();
	open_connected(&s);
	CHECK_EQ(app_setsockopt(&s, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl)), 0);
	CHECK_EQ(app_setsockopt(&s, IPPROTO_IP, IP_TOS, &tos, sizeof(tos)), 0);
	CHECK(send_pattern(&s, NULL, 1));
	host_settle(h);
	HOST_EXPECT(h, IS_UDP, IP_TTL_IS(3), IP_TRAFFIC_CLASS_IS(0x28));
	CHECK_EQ(app_close(&s), 0);
	end();
}

static void an_empty_pool_is_an_error(void)
{
	struct app_sock s[130];
	unsigned n = 0;
	int err = 0;

	begin();
	while (n < RTE_DIM(s) && (err = app_socket(&h->app, SOCK_DGRAM, &s[n])) == 0)
		n++;
	CHECK_EQ(n, h->config.worker.max_socks);
	CHECK(err == -ENOBUFS || err == -ENFILE);
	for (unsigned i = 0; i < n; i++)
		CHECK_EQ(app_close(&s[i]), 0);
	CHECK_EQ(app_socket(&h->app, SOCK_DGRAM, &s[0]), 0);
	CHECK_EQ(app_close(&s[0]), 0);
	end();
}

TEST_SUITE(udp)
{
	TEST(datagrams_keep_their_boundaries);
	TEST(records_cross_chunks);
	TEST(malformed_datagrams_are_counted);
	TEST(no_checksum_is_a_good_checksum);
	TEST(bytes_behind_the_datagram_are_cut);
	TEST(full_buffer_drops_and_counts);
	TEST(an_exhausted_session_loses_datagrams_whole);
	TEST(nobody_on_the_port_is_told);
	TEST(a_connected_sock_hears_its_peer_only);
	TEST(a_bound_sock_hears_what_no_connected_one_does);
	TEST(shut_for_reading_nothing_arrives);
	TEST(sends_to_whom_the_record_names);
	TEST(copies_where_the_port_needs_it);
	TEST(a_checksum_of_zero_is_sent_as_all_ones);
	TEST(a_connected_sock_sends_to_its_peer);
	TEST(an_unbound_sock_gets_a_port_when_it_sends);
	TEST(what_cannot_be_sent_is_an_error);
	TEST(a_bounded_number_goes_out_in_one_iteration);
	TEST(without_mbufs_datagrams_wait);
	TEST(impossible_records_condemn_the_session);
	TEST(what_was_written_before_close_is_sent);
	TEST(shut_for_writing_sends_what_was_written);
	TEST(bind_follows_linux);
	TEST(bind_chooses_a_port);
	TEST(connect_names_both_ends);
	TEST(disconnected_it_hears_everybody_again);
	TEST(two_socks_cannot_connect_alike);
	TEST(an_unreachable_port_is_refused_to_a_connected_sock);
	TEST(a_smaller_path_mtu_is_told_to_who_asked);
	TEST(options_are_kept);
	TEST(header_options_reach_the_wire);
	TEST(an_empty_pool_is_an_error);
}
