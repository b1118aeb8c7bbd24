/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bad cable for tests: passes frames between two devices, each way with an
 * impairment of its own (stack/dev/impair.h), until SIGINT or SIGTERM; then
 * prints what it did.
 *
 *     impair_bridge EAL-ARGS -- [--forward IMPAIR] [--backward IMPAIR] [--mtu N]
 *
 * The devices are the two that EAL knows; forward is from the first to the
 * second.  It polls, on one lcore.
 *
 * Without impairment, between two veths on two cores that the sender, the
 * receiver and Linux's work on the packets had to share with it, it carried
 * 1.1 Gb/s of TCP with an MTU of 1500 and 2.4 Gb/s with 9000, at 0.1 ms more
 * round trip.  What is offered beyond that overflows the packet socket's ring,
 * which nobody counts, so a path to be measured has a rate below it.
 */
#include <getopt.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dev/impair.h"
#include "dev/port.h"
#include "lib/pool.h"

#define MTU_MAX      9000
#define MBUFS_BESIDE 2048 /* beside those that impairments hold */
/* A frame lies in one mbuf, and net_af_packet wants room in it for all of its framesz. */
#define ROOM       2048
#define ROOM_JUMBO 9216

/* One way. */
struct way {
	const char *name;
	struct port *from;
	struct port *to;
	struct impair_config config;
	struct impair *impair;
	uint16_t unsent_count;
	struct rte_mbuf *unsent[PORT_BURST];
	uint64_t taken;
	uint64_t passed;
	uint64_t passed_bytes;
};

static struct port ports[2];
static struct way ways[2] = {{.name = "forward"}, {.name = "backward"}};
static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* ---- the bridge ---------------------------------------------------------- */

static void way_send(struct way *way)
{
	uint16_t sent = port_tx_burst(way->to, 0, way->unsent, way->unsent_count);

	way->passed += sent;
	way->unsent_count -= sent;
	memmove(way->unsent, way->unsent + sent, way->unsent_count * sizeof(way->unsent[0]));
}

/* How many packets moved. */
static unsigned way_poll(struct way *way)
{
	struct rte_mbuf *pkts[PORT_BURST];
	uint16_t taken = port_rx_burst(way->from, 0, pkts, PORT_BURST);
	uint64_t now = now_us(); /* not before they came, or their delay would be cut short */
	uint32_t due;

	way->taken += taken;
	impair_put(way->impair, pkts, taken, now);
	due = impair_get(way->impair, way->unsent + way->unsent_count,
			 PORT_BURST - way->unsent_count, now);
	for (uint32_t i = 0; i < due; i++)
		way->passed_bytes += way->unsent[way->unsent_count + i]->pkt_len;
	way->unsent_count += (uint16_t)due;
	if (way->unsent_count > 0)
		way_send(way);
	return taken + due;
}

/* Cores may be fewer than those who want one: who has nothing to do lets others go first. */
static void bridge_run(void)
{
	while (!stopped) {
		if (way_poll(&ways[0]) + way_poll(&ways[1]) == 0)
			sched_yield();
	}
}

static void way_report(struct way *way)
{
	uint64_t sums[IMPAIR_COUNTERS] = {0};

	impair_take_counters(way->impair, sums);
	printf("%s: %llu packets in, %llu out (%llu bytes)", way->name,
	       (unsigned long long)way->taken, (unsigned long long)way->passed,
	       (unsigned long long)way->passed_bytes);
	for (int c = 0; c < IMPAIR_COUNTERS; c++)
		printf(", %llu %s", (unsigned long long)sums[c],
		       impair_counter_text((enum impair_counter)c));
	printf(", %u held at the end\n", impair_held(way->impair));
}

/* ---- life ---------------------------------------------------------------- */

/* With the MTU it comes with: net_af_packet passes on whatever fits into its frames, but refuses to
 * be told of more than 1500. */
static int bridge_open_port(uint16_t id, struct rte_mempool *pool)
{
	char device[RTE_ETH_NAME_MAX_LEN];
	struct port_config config = {
		.device = device,
		.workers = 1,
		.software_checksum = true,
		.pools = {pool},
	};
	int ret = rte_eth_dev_get_name_by_port(id, device);

	if (ret == 0)
		ret = port_open(&ports[id], &config);
	if (ret != 0)
		fprintf(stderr, "impair_bridge: device %u: %s\n", id, strerror(-ret));
	return ret;
}

static int bridge_open(uint16_t mtu)
{
	uint32_t mbufs = (uint32_t)(ways[0].config.limit + ways[1].config.limit) + MBUFS_BESIDE;
	uint16_t room = mtu <= RTE_ETHER_MTU ? ROOM : ROOM_JUMBO;
	struct rte_mempool *pool = pool_create_mbufs("bridge", mbufs, room, -1);

	if (pool == NULL) {
		fprintf(stderr, "impair_bridge: no memory for %u packets; see EAL's -m\n", mbufs);
		return -1;
	}
	for (uint16_t i = 0; i < 2; i++) {
		struct way *way = &ways[i];

		if (bridge_open_port(i, pool) != 0)
			return -1;
		way->from = &ports[i];
		way->to = &ports[1 - i];
		way->impair = impair_create(&way->config, i, pool, -1);
		if (way->impair == NULL) {
			fprintf(stderr, "impair_bridge: no memory; see EAL's -m\n");
			return -1;
		}
	}
	return 0;
}

static int usage(void)
{
	fprintf(stderr,
		"usage: impair_bridge EAL-ARGS -- [--forward IMPAIR] [--backward IMPAIR] "
		"[--mtu N]\n"
		"  IMPAIR  such as loss=1%%,delay=20ms; config/leat.conf says what there is\n"
		"  N       the largest packet, 576 to 9000; 1500 if not given\n");
	return 2;
}

static int parse_way(struct way *way, const char *text)
{
	char error[256];

	if (impair_parse(text, &way->config, error, sizeof(error)) == 0)
		return 0;
	fprintf(stderr, "impair_bridge: --%s: %s\n", way->name, error);
	return -1;
}

/* The MTU, or -1. */
static int parse_arguments(int argc, char **argv)
{
	static const struct option options[] = {
		{"forward", required_argument, NULL, 0},
		{"backward", required_argument, NULL, 1},
		{"mtu", required_argument, NULL, 'm'},
		{NULL, 0, NULL, 0},
	};
	long mtu = RTE_ETHER_MTU;
	int opt;

	for (int i = 0; i < 2; i++)
		ways[i].config.limit = IMPAIR_LIMIT_DEFAULT;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'm')
			mtu = strtol(optarg, NULL, 10);
		else if (opt > 1 || parse_way(&ways[opt], optarg) != 0)
			return -1;
	}
	return optind == argc && mtu >= 576 && mtu <= MTU_MAX ? (int)mtu : -1;
}

int main(int argc, char **argv)
{
	int split = rte_eal_init(argc, argv);
	int mtu;

	if (split < 0)
		return EXIT_FAILURE;
	mtu = parse_arguments(argc - split, argv + split);
	if (mtu < 0)
		return usage();
	if (rte_eth_dev_count_avail() != 2) {
		fprintf(stderr, "impair_bridge: two devices are needed; see EAL's --vdev\n");
		return usage();
	}
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	if (bridge_open((uint16_t)mtu) != 0)
		return EXIT_FAILURE;
	printf("bridging %s and %s\n", ports[0].name, ports[1].name);
	fflush(stdout);
	bridge_run();
	for (int i = 0; i < 2; i++) {
		way_report(&ways[i]);
		rte_pktmbuf_free_bulk(ways[i].unsent, ways[i].unsent_count);
		impair_free(ways[i].impair);
		port_close(&ports[i]);
	}
	rte_eal_cleanup();
	return EXIT_SUCCESS;
}
