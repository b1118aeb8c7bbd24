/* SPDX-License-Identifier: BSD-3-Clause */
/* Real ethdevs that need no hardware and no rights: net_ring, net_null.  And steering. */
#include "dev/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <rte_dev.h>
#include <stdio.h>
#include <stdlib.h>

#include "dev/port_impair.h"
#include "lib/pool.h"
#include "support/clock.h"
#include "support/test.h"

static struct flow flow_v4(const char *remote, uint16_t remote_port, const char *local,
			   uint16_t local_port)
{
	struct flow flow = {.family = AF_INET,
			    .protocol = IPPROTO_TCP,
			    .remote_port = rte_cpu_to_be_16(remote_port),
			    .local_port = rte_cpu_to_be_16(local_port)};

	REQUIRE(inet_pton(AF_INET, remote, &flow.remote) == 1);
	REQUIRE(inet_pton(AF_INET, local, &flow.local) == 1);
	return flow;
}

/* The published vectors: with a table of 128 different entries the low seven bits of the hash are
 * to be seen. */
static void the_hash_is_what_a_nic_computes(void)
{
	static const struct {
		const char *source, *destination;
		uint16_t source_port, destination_port;
		uint32_t with_ports, without;
	} vectors[] = {
		{"66.9.149.187", "161.142.100.80", 2794, 1766, 0x51ccc178, 0x323e8fc2},
		{"199.92.111.2", "65.69.140.83", 14230, 4739, 0xc626b0ea, 0xd718262a},
		{"24.19.198.95", "12.22.207.184", 12898, 38024, 0x5c2b394a, 0xd2d0a5de},
		{"38.27.205.30", "209.142.163.6", 48228, 2217, 0xafc7327f, 0x82989176},
		{"153.39.163.191", "202.188.127.2", 44251, 1303, 0x10e828a2, 0x5d1809c5},
	};
	struct port *port = calloc(1, sizeof(*port));

	REQUIRE(port != NULL);
	port_steer_init(port, 2);
	for (uint16_t i = 0; i < port->reta_size; i++)
		port->reta[i] = i;
	for (unsigned i = 0; i < RTE_DIM(vectors); i++) {
		struct flow flow = flow_v4(vectors[i].source, vectors[i].source_port,
					   vectors[i].destination, vectors[i].destination_port);

		CHECK_EQ(port_flow_worker(port, &flow), vectors[i].with_ports & 127);
		flow.protocol = IPPROTO_UDP;
		CHECK_EQ(port_flow_worker(port, &flow), vectors[i].with_ports & 127);
		flow.protocol = IPPROTO_ICMP;
		CHECK_EQ(port_flow_worker(port, &flow), vectors[i].without & 127);
	}
	free(port);
}

static void the_hash_of_ipv6_is_what_a_nic_computes(void)
{
	struct port *port = calloc(1, sizeof(*port));
	struct flow flow = {.family = AF_INET6,
			    .protocol = IPPROTO_TCP,
			    .remote_port = RTE_BE16(2794),
			    .local_port = RTE_BE16(1766)};

	REQUIRE(port != NULL);
	REQUIRE(inet_pton(AF_INET6, "3ffe:2501:200:1fff::7", &flow.remote) == 1);
	REQUIRE(inet_pton(AF_INET6, "3ffe:2501:200:3::1", &flow.local) == 1);
	port_steer_init(port, 2);
	for (uint16_t i = 0; i < port->reta_size; i++)
		port->reta[i] = i;
	CHECK_EQ(port_flow_worker(port, &flow), 0x40207d3d & 127);
	flow.protocol = IPPROTO_ICMPV6;
	CHECK_EQ(port_flow_worker(port, &flow), 0x2cc18cd5 & 127);
	free(port);
}

static void flows_spread_evenly(void)
{
	struct port *port = calloc(1, sizeof(*port));
	unsigned count[3] = {0};

	REQUIRE(port != NULL);
	port_steer_init(port, 3);
	for (uint32_t i = 0; i < 9000; i++) {
		struct flow flow = flow_v4("198.18.0.1", 1024 + i, "198.18.0.2", 80);
		uint16_t worker = port_flow_worker(port, &flow);

		REQUIRE(worker < 3);
		count[worker]++;
	}
	for (unsigned i = 0; i < 3; i++)
		CHECK_RANGE(count[i], 2400, 3600);
	free(port);
}

static void one_worker_owns_everything(void)
{
	struct port *port = calloc(1, sizeof(*port));
	struct flow flow = flow_v4("198.18.0.1", 7, "198.18.0.2", 80);

	REQUIRE(port != NULL);
	port_steer_init(port, 1);
	CHECK_EQ(port_flow_worker(port, &flow), 0);
	free(port);
}

/* ---- devices ---- */

static struct port *port;
static struct port_config config;

static void begin(const char *device, uint16_t workers)
{
	char name[RTE_MEMPOOL_NAMESIZE];

	REQUIRE_EQ(rte_eal_hotplug_add("vdev", device, ""), 0);
	port = calloc(1, sizeof(*port));
	REQUIRE(port != NULL);
	config = (struct port_config){.device = device, .workers = workers};
	for (uint16_t i = 0; i < workers; i++) {
		snprintf(name, sizeof(name), "port_%u", i);
		config.pools[i] = pool_create_mbufs(name, 2048, 2048, -1);
		REQUIRE(config.pools[i] != NULL);
	}
	config.rx_descriptors = config.tx_descriptors = 128;
}

static void end(void)
{
	for (uint16_t i = 0; i < config.workers; i++) {
		CHECK_EQ(pool_mbufs_used(config.pools[i]), 0);
		rte_mempool_free(config.pools[i]);
	}
	free(port);
}

static void a_missing_device_is_refused(void)
{
	begin("net_null7", 1);
	config.device = "net_null8";
	CHECK_EQ(port_open(port, &config), -ENODEV);
	config.device = "net_null7";
	config.workers = 0;
	CHECK_EQ(port_open(port, &config), -EINVAL);
	config.workers = 1;
	CHECK_EQ(rte_eal_hotplug_remove("vdev", "net_null7"), 0);
	end();
}

static void a_ring_carries_packets(void)
{
	struct rte_mbuf *m, *got[4];
	char line[512];

	begin("net_ring7", 1);
	REQUIRE_EQ(port_open(port, &config), 0);
	CHECK_EQ(port->queues, 1);
	CHECK_EQ(port->mtu, 1500);
	CHECK(port->tx_multi_segs);
	CHECK(port->external_buffers);
	CHECK(!port->steer_by_nic);
	CHECK(!rte_is_zero_ether_addr(&port->mac));
	CHECK(!rte_is_multicast_ether_addr(&port->mac));
	m = rte_pktmbuf_alloc(config.pools[0]);
	REQUIRE(m != NULL);
	rte_pktmbuf_append(m, 60);
	CHECK_EQ(port_tx_burst(port, 0, &m, 1), 1);
	CHECK_EQ(port_rx_burst(port, 0, got, 4), 1);
	CHECK(got[0] == m);
	rte_pktmbuf_free(got[0]);
	/* Nothing to sleep on. */
	CHECK_EQ(port_rx_fd(port, 0), -1);
	CHECK_EQ(port_rx_notify(port, 0, true), -ENOTSUP);
	CHECK(port_describe(port, line, sizeof(line)) > 0);
	CHECK(strstr(line, "net_ring7 (net_ring)") != NULL);
	CHECK(strstr(line, "1 queue for 1 worker") != NULL);
	port_close(port);
	end();
}

/* ---- impairment ---- */

/* Each test has a device of its own: the ring of a closed one stays. */
static void begin_impaired(const char *device, const char *text, struct impair_config *impair)
{
	char error[256];

	begin(device, 1);
	REQUIRE_EQ(impair_parse(text, impair, error, sizeof(error)), 0);
	config.impair = impair;
	config.clock_us = clock_read;
	REQUIRE_EQ(port_open(port, &config), 0);
	CHECK(port->impair != NULL);
	CHECK(!port->tx_checksum && !port->rx_checksum && !port->tso);
}

static void send_packets(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(config.pools[0]);

		REQUIRE(m != NULL);
		rte_pktmbuf_append(m, 60);
		REQUIRE_EQ(port_tx_burst(port, 0, &m, 1), 1);
	}
}

static unsigned receive_packets(void)
{
	struct rte_mbuf *got[PORT_BURST];
	uint16_t count = port_rx_burst(port, 0, got, PORT_BURST);

	rte_pktmbuf_free_bulk(got, count);
	return count;
}

/* What this port sends it receives. */
static void an_impaired_port_delays_each_way(void)
{
	struct impair_config impair;

	begin_impaired("net_ring10", "delay=10ms", &impair);
	CHECK_EQ(port_impair_next_us(port, 0), UINT64_MAX);
	send_packets(1);
	CHECK_EQ(port_impair_next_us(port, 0), clock_us + 10000);
	clock_us += 9999;
	CHECK_EQ(receive_packets(), 0);
	clock_us += 1;
	CHECK_EQ(receive_packets(), 0); /* sent now */
	CHECK_EQ(receive_packets(), 0); /* and on its way in */
	CHECK_EQ(port_impair_next_us(port, 0), clock_us + 10000);
	clock_us += 9999;
	CHECK_EQ(receive_packets(), 0);
	clock_us += 1;
	CHECK_EQ(receive_packets(), 1);
	port_close(port);
	end();
}

static void an_impaired_port_counts_both_ways_once(void)
{
	uint64_t sums[IMPAIR_COUNTERS] = {0};
	struct impair_config impair;
	unsigned received = 0;

	begin_impaired("net_ring11", "loss=20%", &impair);
	for (unsigned i = 0; i < 1000; i++) {
		send_packets(1);
		received += receive_packets();
	}
	port_impair_take_counters(port, 0, sums);
	CHECK_EQ(sums[IMPAIR_LOST], 1000 - received);
	CHECK_RANGE(received, 640 - 60, 640 + 60); /* the two ways decide for themselves */
	port_impair_take_counters(port, 0, sums);
	CHECK_EQ(sums[IMPAIR_LOST], 1000 - received);
	port_close(port);
	end();
}

/* The ring takes 1023. */
static void what_the_device_has_no_room_for_is_sent_later(void)
{
	struct impair_config impair;
	unsigned received = 0, count;

	begin_impaired("net_ring12", "limit=2000", &impair);
	send_packets(1500);
	CHECK(port_impair_next_us(port, 0) <= clock_us);
	while ((count = receive_packets()) > 0)
		received += count;
	CHECK_EQ(received, 1500);
	CHECK_EQ(port_impair_next_us(port, 0), UINT64_MAX);
	port_close(port);
	end();
}

static void a_closed_port_gives_back_what_was_on_its_way(void)
{
	struct impair_config impair;

	begin_impaired("net_ring13", "delay=1s,reorder=50%", &impair);
	send_packets(500);
	port_close(port);
	CHECK(port->impair == NULL);
	CHECK_EQ(receive_packets(), 0);
	end();
}

static void an_mtu_that_fits_no_mbuf_is_refused(void)
{
	begin("net_null7", 1);
	config.mtu = 9000;
	CHECK_EQ(port_open(port, &config), -EINVAL);
	CHECK_EQ(rte_eal_hotplug_remove("vdev", "net_null7"), 0);
	end();
}

TEST_SUITE(port)
{
	TEST(the_hash_is_what_a_nic_computes);
	TEST(the_hash_of_ipv6_is_what_a_nic_computes);
	TEST(flows_spread_evenly);
	TEST(one_worker_owns_everything);
	TEST(a_missing_device_is_refused);
	TEST(a_ring_carries_packets);
	TEST(an_impaired_port_delays_each_way);
	TEST(an_impaired_port_counts_both_ways_once);
	TEST(what_the_device_has_no_room_for_is_sent_later);
	TEST(a_closed_port_gives_back_what_was_on_its_way);
	TEST(an_mtu_that_fits_no_mbuf_is_refused);
}
