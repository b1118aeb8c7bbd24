/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/eth.h"

#include "support/host.h"

static struct host *h;
static struct build b;

static void begin(void)
{
	h = host_new(NULL);
}

static void receive(void)
{
	host_inject(h, &b);
	host_settle(h);
}

static void build_echo(uint32_t bytes)
{
	host_build_ipv4(h, &b, IPPROTO_ICMP);
	build_icmp(&b, RTE_IP_ICMP_ECHO_REQUEST, 0, 0);
	build_pattern(&b, 0, bytes);
	build_finish(&b);
}

static void frame_shorter_than_its_header_is_counted(void)
{
	begin();
	build_echo(0);
	build_truncate(&b, RTE_ETHER_HDR_LEN - 1);
	receive();
	CHECK_EQ(host_counter(h, CNT_eth_short), 1);
	host_end(h);
}

static void frame_for_another_station_is_dropped(void)
{
	begin();
	build_echo(0);
	build_eth_header(&b)->dst_addr.addr_bytes[5] ^= 0x10;
	receive();
	CHECK_EQ(host_counter(h, CNT_eth_address), 1);
	HOST_EXPECT_NOTHING(h);
	host_end(h);
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
	host_end(h);
}

static void padding_of_a_short_frame_is_cut(void)
{
	begin();
	build_echo(1);
	memset(b.data + b.length, 0xee, 64);
	b.length = 64;
	receive();
	HOST_EXPECT(h, IS_ICMP, IP_LENGTH_IS(29), PAYLOAD_IS_PATTERN(0, 1));
	host_end(h);
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
	host_end(h);
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
	host_end(h);
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
	host_end(h);
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
	host_end(h);
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
	host_end(h);
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
}
