/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports for benchmarks. */
#ifndef LEAT_BENCHMARKS_LINK_H
#define LEAT_BENCHMARKS_LINK_H

#include <rte_mempool.h>
#include <stdint.h>

#define LINK_SERVER    "bench_server"
#define LINK_GENERATOR "bench_generator"

/* Two ports of net_ring that lead to each other, by the names above: mbufs go by pointer.
 * 0 or -errno; *generator is DPDK's number of that port, *server of the other. */
int link_create(uint16_t *server, uint16_t *generator);

/* Configures and starts a port with one queue each way.  0 or -errno. */
int link_start(uint16_t port, struct rte_mempool *pool);
void link_stop(uint16_t port);

/* Sends back one burst as it came, with sender and receiver exchanged: what a port costs by itself.
 * How many frames. */
uint16_t link_reflect(uint16_t port);

#endif
