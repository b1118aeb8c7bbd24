/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What one worker knows of a port's network: address, routes, neighbours.
 * Each worker has its own copy; the control thread is the one who changes it,
 * by message.
 */
#ifndef LEAT_NET_NETIF_H
#define LEAT_NET_NETIF_H

#include <rte_ether.h>
#include <stdbool.h>
#include <stdint.h>

#include "dev/port.h"
#include "net/addr.h"

struct worker;

struct netif {
	struct port *port;
	uint16_t index; /* in worker.netif */
	uint16_t queue; /* this worker's transmit queue, and receive queue if polls is true */
	bool polls;
	uint16_t mtu;
	struct rte_ether_addr mac;
	uint8_t prefix_length;
	struct inet_addr address; /* IPv4 */
	struct inet_addr gateway; /* any: none */
	rte_be32_t broadcast; /* directed broadcast address */

	/* Frames waiting for the flush at the end of the iteration. */
	uint16_t tx_count;
	struct rte_mbuf *tx[PORT_BURST * 4];
};

struct netif_config {
	struct port *port;
	struct inet_addr address;
	uint8_t prefix_length;
	struct inet_addr gateway; /* any: none */
	uint16_t mtu; /* 0: the port's */
};

/*
 * What a packet on a worker's steered ring says in mbuf.port: the netif's
 * index and these bits.
 */
#define STEERED_TX        0x8000 /* a frame to transmit on that netif; else a packet received */
#define STEERED_BROADCAST 0x4000 /* received in a link-layer broadcast or multicast */
#define STEERED_NETIF     0x00ff

/* Is a (IPv4) one of this worker's own addresses? */
bool netif_is_local(const struct worker *w, const struct inet_addr *a);

/* Is a (IPv4) a broadcast address: 255.255.255.255, or n's directed one? */
bool netif_is_broadcast(const struct netif *n, const struct inet_addr *a);

/* The same for any interface of the worker. */
bool netif_is_any_broadcast(const struct worker *w, const struct inet_addr *a);

/* Is a (IPv4) within n's prefix? */
bool netif_is_on_link(const struct netif *n, const struct inet_addr *a);

#endif
