/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/eth.h"

#include <sys/socket.h>

#include "support/packet_fixture.h"

static void frame_shorter_than_its_header_is_counted(void)
{
	begin();
	build_echo(0);
	build_truncate(&b, RTE_ETHER_HDR_LEN - 1);
	receive();
	CHECK_EQ(host_counter(h, CNT_eth_short), 1);
	end();
}

static void frame_for_another_station_is_dropped(void)
{
	begin();
	build_echo(0);
	build_eth_header(&b)->dst_addr.addr_bytes[5] ^= 0x10;
	receive();
	CHECK_EQ(host_counter(h, CNT_eth_address), 1);
	HOST_EXPECT_NOTHING(h);
	end();
}

static void other_protocols_are_dropped(void)
{
	begin();
	build_echo(0);
	build_eth_header(&b)->ether_type = RTE_BE16(RTE_ETHER_TYPE_VLAN);
	receive();
	build_eth_header(&b)->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV6);
	receive();
	CHECK_EQ(host_counter(h, CNT_eth_type), 2);
	end();
}

static void padding_of_a_short_frame_is_cut(void)
{
	begin();
	build_echo(1);
	memset(b.data + b.length, 0xee, 64);
	b.length = 64;
	receive();
	HOST_EXPECT(h, IS_ICMP, IP_LENGTH_IS(29), PAYLOAD_IS_PATTERN(0, 1));
	end();
}

static void trimming_frees_segments_behind_the_end(void)
{
	struct rte_mbuf *m;

	begin();
	m = worker_mbuf(h->w);
	rte_pktmbuf_append(m, 100);
	for (int i = 0; i < 2; i++) {
		struct rte_mbuf *more = worker_mbuf(h->w);

		rte_pktmbuf_append(more, 100);
		rte_pktmbuf_chain(m, more);
	}
	eth_trim(m, 150);
	CHECK_EQ(m->pkt_len, 150);
	CHECK_EQ(m->nb_segs, 2);
	CHECK_EQ(m->next->data_len, 50);
	eth_trim(m, 100);
	CHECK_EQ(m->nb_segs, 1);
	CHECK_EQ(m->data_len, 100);
	rte_pktmbuf_free(m);
	end();
}

static void counters_tell_packets_and_bytes(void)
{
	begin();
	build_echo(100);
	receive();
	CHECK_EQ(host_counter(h, CNT_rx_packets), 1);
	CHECK_EQ(host_counter(h, CNT_rx_bytes), b.length);
	/* and before that its own announcement */
	CHECK_EQ(host_counter(h, CNT_tx_packets), 2);
	CHECK_EQ(host_counter(h, CNT_tx_bytes), b.length + RTE_ETHER_HDR_LEN + 28);
	end();
}

static void full_transmit_queue_drops_and_counts(void)
{
	begin();
	h->link.tx_room = 3;
	for (int i = 0; i < 5; i++) {
		build_echo(i);
		host_inject(h, &b);
	}
	host_settle(h);
	CHECK_EQ(host_tx_count(h), 3);
	CHECK_EQ(host_counter(h, CNT_tx_full), 2);
	h->link.tx_room = MEMPORT_UNLIMITED;
	end();
}

/* More frames in one iteration than the netif queues. */
static void long_bursts_are_flushed_in_parts(void)
{
	struct netif *n;

	begin();
	n = h->w->netif[0];
	for (unsigned i = 0; i < RTE_DIM(n->tx) + 5; i++) {
		struct rte_mbuf *m = worker_mbuf(h->w);

		memset(rte_pktmbuf_append(m, 46), 0, 46);
		eth_tx(h->w, n, &(struct rte_ether_hdr){.ether_type = 0xffff}, m);
	}
	CHECK_EQ(n->tx_count, 5);
	host_settle(h);
	CHECK_EQ(host_drain(h), RTE_DIM(n->tx) + 5);
	end();
}

/* Two workers on a port with one queue: the other's frames go out all the same. */
static void worker_without_a_queue_sends_through_its_owner(void)
{
	struct host_config c = host_config_default();
	struct rte_mbuf *m;

	c.workers = 2;
	h = host_new(&c);
	m = worker_mbuf(h->worker[1]);
	memset(rte_pktmbuf_append(m, 46), 0, 46);
	eth_tx(h->worker[1], h->worker[1]->netif[0], &(struct rte_ether_hdr){.ether_type = 0xffff},
	       m);
	host_poll(h);
	host_settle(h);
	CHECK_EQ(host_drain(h), 1);
	CHECK_EQ(h->worker[1]->counter[CNT_steered_out], 1);
	CHECK_EQ(h->worker[1]->counter[CNT_tx_packets], 0);
	CHECK_EQ(h->worker[0]->counter[CNT_steered_in], 1);
	end();
}

/* ---- hostile frames ---- */

static void build_template(unsigned which)
{
	static const uint8_t option[] = {7, 7, 4, 0, 0, 0, 0, 0};
	static const struct rte_ether_addr none;

	host_build_ipv4(h, &b, which == 2 ? IPPROTO_UDP : which == 3 ? IPPROTO_TCP : IPPROTO_ICMP);
	switch (which) {
	case 0:
		build_start(&b);
		build_eth(&b, &host_mac, &peer_mac, RTE_ETHER_TYPE_ARP);
		build_arp(&b, RTE_ARP_OP_REQUEST, &peer_mac, PEER_ADDR, &none, HOST_ADDR);
		break;
	case 1: /* port unreachable, quoting 28 bytes */
		build_icmp(&b, 3, 3, 0);
		build_bytes(&b, (const uint8_t[28]){0x45, 0, 0, 28,  0,  0, 0, 0, 64, 17, 0, 0, 198,
						    18,   0, 1, 198, 18, 0, 2, 0, 7,  0,  9, 0, 8},
			    28);
		break;
	case 2:
		build_ip_option(&b, option, sizeof(option));
		build_udp(&b, 1000, 7);
		build_pattern(&b, 0, 13);
		break;
	case 3:
		build_tcp(&b, 1000, HOST_PORT, 1, 0, TH_SYN, 1000);
		build_tcp_mss(&b, 1460);
		build_tcp_timestamp(&b, 1, 0);
		break;
	default:
		build_icmp(&b, RTE_IP_ICMP_ECHO_REQUEST, 0, 0);
		build_pattern(&b, 0, 9);
		break;
	}
	build_finish(&b);
}

/* Somebody listens to both transports. */
static void begin_hostile(struct app_sock *s)
{
	begin();
	host_listen(h, 4);
	REQUIRE_EQ(app_socket(&h->app, SOCK_DGRAM, s), 0);
	REQUIRE_EQ(app_bind(s, 0, 7), 0);
}

static void end_hostile(struct app_sock *s)
{
	CHECK_EQ(app_close(s), 0);
	CHECK_EQ(app_close(&h->listener), 0);
	end();
}

/* Every byte of every kind of packet wrong in turn, seen by the checksum or behind it: whatever
 * becomes of it, nothing is read past the end (the sanitizers watch) and nothing is lost. */
static void any_byte_may_be_wrong(void)
{
	static const uint8_t flips[] = {0x01, 0x40, 0x80, 0xff};
	struct app_sock s;

	begin_hostile(&s);
	for (unsigned which = 0; which < 5; which++) {
		build_template(which);
		for (uint32_t i = 0; i < b.length * RTE_DIM(flips) * 2; i++) {
			uint32_t at = i / (RTE_DIM(flips) * 2);

			build_template(which);
			b.data[at] ^= flips[i % RTE_DIM(flips)];
			if (i / RTE_DIM(flips) % 2 == 0)
				build_checksums(&b);
			host_inject(h, &b);
			host_poll(h);
			host_drain(h);
		}
	}
	end_hostile(&s);
}

/* And every length, with headers that promise more. */
static void any_frame_may_be_cut(void)
{
	struct app_sock s;

	begin_hostile(&s);
	for (unsigned which = 0; which < 5; which++) {
		build_template(which);
		for (uint32_t length = 0; length < b.length; length++) {
			memport_inject(&h->link, 0, b.data, length);
			host_poll(h);
			CHECK_EQ(host_drain(h), 0);
		}
	}
	end_hostile(&s);
}

TEST_SUITE(eth)
{
	TEST(frame_shorter_than_its_header_is_counted);
	TEST(frame_for_another_station_is_dropped);
	TEST(other_protocols_are_dropped);
	TEST(padding_of_a_short_frame_is_cut);
	TEST(trimming_frees_segments_behind_the_end);
	TEST(counters_tell_packets_and_bytes);
	TEST(full_transmit_queue_drops_and_counts);
	TEST(long_bursts_are_flushed_in_parts);
	TEST(worker_without_a_queue_sends_through_its_owner);
	TEST(any_byte_may_be_wrong);
	TEST(any_frame_may_be_cut);
}
