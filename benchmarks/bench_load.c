/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench-load: load for a server behind any DPDK port, such as a net_memif
 * that leads to leatd or leat-http --inline in another process.
 */
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <stdlib.h>
#include <unistd.h>

#include "link.h"
#include "load.h"

#define MBUFS        65535
#define MBUF_CACHE   512
#define LINK_WAIT_MS 10000

static const char usage[] = "usage: bench-load EAL-ARGS -- OPTIONS\n"
			    "Asks a server behind DPDK's first port.\n";

static void fail(const char *what)
{
	fprintf(stderr, "bench-load: %s\n", what);
	exit(1);
}

/* Two processes on a net_memif find each other in their own time. */
static void wait_for_link(uint16_t port)
{
	struct rte_eth_link link = {0};

	for (int i = 0; i < LINK_WAIT_MS && link.link_status != RTE_ETH_LINK_UP; i++) {
		usleep(1000);
		(void)rte_eth_link_get_nowait(port, &link);
	}
	if (link.link_status != RTE_ETH_LINK_UP)
		fail("the link does not come up");
}

int main(int argc, char **argv)
{
	int used = rte_eal_init(argc, argv);
	struct load_options options = {0};
	struct load_server server = {.name = "server"};
	struct rte_eth_dev_info info;
	struct generator *g;
	uint16_t port = 0;

	if (used < 0)
		fail("EAL refused its arguments");
	load_parse(&options, argc - used, argv + used, usage);
	if (options.generator.server == 0)
		fail("--server is missing");
	options.generator.port = port;
	options.generator.pool = rte_pktmbuf_pool_create("load", MBUFS, MBUF_CACHE, 0,
							 RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (options.generator.pool == NULL)
		fail("no memory for mbufs");
	if (rte_eth_dev_info_get(port, &info) != 0 || link_start(port, options.generator.pool) != 0)
		fail("cannot start the first port");
	wait_for_link(port);
	g = generator_create(&options.generator);
	if (g == NULL)
		fail("no memory for connections");
	while (generator_step(g))
		;
	server.driver = info.driver_name;
	load_print(&options, generator_result(g), &server);
	used = generator_result(g)->requests > 0 ? 0 : 1;
	generator_free(g);
	(void)rte_eth_dev_stop(port);
	(void)rte_eth_dev_close(port);
	rte_eal_cleanup();
	return used;
}
