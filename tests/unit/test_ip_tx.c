/* SPDX-License-Identifier: BSD-3-Clause */
/* The short way down and the general one. */
#include "net/ip_tx.h"

#include "support/tcp_fixture.h"
#include "tcp/transmit_plain.h"
#include "udp/udp.h"

#define PORT 4000

/* A port that keeps what is sent. */
static void begin_port(bool tx_checksum, bool tso, bool external_buffers)
{
	struct host_config config = host_config_default();

	config.tx_checksum = tx_checksum;
	config.tso = tso;
	config.external_buffers = external_buffers;
	begin_unconnected(&config);
	h->link.hold = true;
}

/* m as a protocol hands it down: without the headers of the layers below and what they say of it, its
 * checksum not made yet. */
static struct rte_mbuf *handed_down(const struct rte_mbuf *m, uint8_t protocol)
{
	struct rte_mbuf *copy = rte_pktmbuf_copy(m, h->w->mbufs,
						 RTE_ETHER_HDR_LEN + IP_HEADER_BYTES, UINT32_MAX);

	REQUIRE(copy != NULL);
	memset(rte_pktmbuf_mtod_offset(copy, uint8_t *, ip_checksum_offset(protocol)), 0,
	       sizeof(rte_be16_t));
	copy->ol_flags = 0;
	copy->tx_offload = 0;
	return copy;
}

static void check_same_bytes(const struct rte_mbuf *a, const struct rte_mbuf *b)
{
	static uint8_t room[2][UINT16_MAX];

	REQUIRE(a->pkt_len <= sizeof(room[0]));
	CHECK_EQ(a->pkt_len, b->pkt_len);
	CHECK_MEM(rte_pktmbuf_read(a, 0, a->pkt_len, room[0]),
		  rte_pktmbuf_read(b, 0, b->pkt_len, room[1]), a->pkt_len);
}

/* Lengths and checksums of all that left, as the port made them. */
static void check_frames(void)
{
	while (host_tx_count(h) > 0) {
		struct frame *f = host_pop(h);

		CHECK(FRAME_SEE(f).good);
		free(f);
	}
}

/* What was sent last went the short way; the general one leaves the same in its mbuf. */
static void check_last(uint8_t protocol, const struct ip_tx *how)
{
	const struct rte_mbuf *sent, *again;
	struct rte_mbuf *m;

	REQUIRE(h->link.held_count > 0);
	sent = h->link.held[h->link.held_count - 1];
	m = handed_down(sent, protocol);
	CHECK(ip_tx_is_ready(h->w, how, m, m->pkt_len));
	CHECK_EQ(ip_tx(h->w, how, m), 0);
	host_poll(h);
	again = h->link.held[h->link.held_count - 1];
	CHECK(again != sent);
	check_same_bytes(sent, again);
	CHECK_EQ(sent->ol_flags & ~RTE_MBUF_F_EXTERNAL, again->ol_flags);
	CHECK_EQ(sent->tx_offload, again->tx_offload);
	CHECK_EQ(sent->data_off, again->data_off);
	CHECK_EQ((sent->ol_flags & RTE_MBUF_F_TX_IP_CKSUM) != 0, h->link.port.tx_checksum);
	CHECK_EQ(sent->tx_offload != 0, h->link.port.tx_checksum);
	check_frames();
	memport_release(&h->link);
}

/* ---- TCP ---- */

static void check_segment(uint32_t mss)
{
	struct ip_tx how = tcp_how_to_send(tcp(), 0);

	how.tso_segment = (uint16_t)mss;
	check_last(IPPROTO_TCP, &how);
}

static void send_and_check(uint32_t length)
{
	CHECK_EQ(app_write_pattern(&s, length), length);
	host_settle(h);
	check_segment(length > tcp()->mss_bytes ? tcp()->mss_bytes : 0);
	peer.ack = tcp()->snd_nxt;
	peer_send(&peer, TH_ACK, NULL, 0);
}

static void check_segments(void)
{
	uint32_t copybreak_bytes = h->w->config.copybreak_bytes;

	for (uint32_t length = 1; length <= 70; length++)
		send_and_check(length);
	send_and_check(copybreak_bytes - 1);
	send_and_check(copybreak_bytes);
	send_and_check(copybreak_bytes + 1);
	send_and_check(tcp()->mss_bytes - 1);
	send_and_check(tcp()->mss_bytes);
	peer_send_pattern(&peer, 1000);
	peer_send_pattern(&peer, 1000); /* two: an ACK alone */
	check_segment(0);
	CHECK_EQ(app_read_pattern(&s, 2000), 2000);
}

/* With timestamps and without, the data in place and copied. */
static void check_connections(bool tx_checksum)
{
	for (unsigned kind = 0; kind < 4; kind++) {
		begin_port(tx_checksum, false, kind & 1);
		peer.timestamps = kind & 2;
		host_connected(h, &peer, &s);
		memport_release(&h->link);
		check_segments();
		end();
	}
}

static void segments_are_the_same_with_their_sums(void)
{
	check_connections(false);
}

static void segments_are_the_same_with_sums_left_to_the_port(void)
{
	check_connections(true);
}

static void trains_for_the_port_to_cut_are_the_same(void)
{
	for (unsigned kind = 0; kind < 4; kind++) {
		begin_port(true, true, kind & 1);
		peer.timestamps = kind & 2;
		host_connected(h, &peer, &s);
		memport_release(&h->link);
		send_and_check(2 * tcp()->mss_bytes);
		send_and_check(7 * tcp()->mss_bytes);
		CHECK_EQ(h->link.segmented, 2 * (2 + 7)); /* the short way and the general one */
		check_segments();
		end();
	}
}

/* ---- UDP ---- */

static void check_datagrams(bool tx_checksum)
{
	static uint8_t data[1472];
	int how_to_discover = IP_PMTUDISC_DO; /* no identification, which is random */
	struct inet_sock *inet;

	begin_port(tx_checksum, false, true);
	REQUIRE_EQ(app_socket(&h->app, SOCK_DGRAM, &s), 0);
	CHECK_EQ(app_setsockopt(&s, IPPROTO_IP, IP_MTU_DISCOVER, &how_to_discover,
				sizeof(how_to_discover)),
		 0);
	REQUIRE_EQ(app_connect(&s, PEER_ADDR, PORT), 0);
	pattern_fill(data, 0, sizeof(data));
	inet = &udp_sock(host_sock(&s))->inet;
	for (uint32_t length = 0; length <= sizeof(data); length += length < 70 ? 1 : 601) {
		struct ip_tx how = {.dst = &inet->dst,
				    .flow = &inet->flow,
				    .ttl = inet->ttl,
				    .dont_fragment = true};

		CHECK(app_send_to(&s, NULL, data, length));
		host_settle(h);
		check_last(IPPROTO_UDP, &how);
	}
	end();
}

static void datagrams_are_the_same_with_their_sums(void)
{
	check_datagrams(false);
}

static void datagrams_are_the_same_with_sums_left_to_the_port(void)
{
	check_datagrams(true);
}

TEST_SUITE(ip_tx)
{
	TEST(segments_are_the_same_with_their_sums);
	TEST(segments_are_the_same_with_sums_left_to_the_port);
	TEST(trains_for_the_port_to_cut_are_the_same);
	TEST(datagrams_are_the_same_with_their_sums);
	TEST(datagrams_are_the_same_with_sums_left_to_the_port);
}
