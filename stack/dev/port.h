/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A port: one DPDK ethdev, configured for the workers.  Only files in
 * stack/dev call rte_eth_*.  Tests put an in-memory link in its place by
 * filling struct port_ops.
 */
#ifndef LEAT_DEV_PORT_H
#define LEAT_DEV_PORT_H

#include <rte_ether.h>
#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/addr.h"

#define PORT_MAX           16
#define PORT_BURST         32
#define PORT_RSS_KEY_BYTES 40
#define PORT_RETA_MAX      512

struct impair_config;
struct port;
struct port_impair;

struct port_ops {
	/* Up to n received frames; the caller owns them. */
	uint16_t (*rx_burst)(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
	/* Takes the first of them, returns how many; the caller keeps the rest. */
	uint16_t (*tx_burst)(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
};

struct port {
	const struct port_ops *ops;
	struct port_impair *impair; /* NULL: packets pass as they are */
	void *link; /* the test link's own */
	uint16_t id; /* DPDK's port id */
	uint16_t
		queues; /* receive queues = transmit queues; worker w polls queue w if w < queues */
	uint16_t mtu;
	uint16_t tso_max_segs;
	struct rte_ether_addr mac;
	char name[64];
	char driver[32];

	/* What the port does; what is false is done in software. */
	bool rx_checksum; /* verifies IPv4, TCP, UDP checksums: RTE_MBUF_F_RX_*_CKSUM_* are meaningful */
	bool tx_checksum; /* computes IPv4 header, TCP and UDP checksums on request */
	bool tso;
	bool tx_multi_segs;
	bool external_buffers; /* mbufs may point into session regions (multi segs and IOVA as VA) */
	bool rx_wakes; /* it has a descriptor to sleep on */

	/* Which worker a flow belongs to: entry softrss(flow) modulo reta_size names it. */
	bool steer_by_nic; /* the NIC steers with this key and table; else workers hand packets over */
	uint16_t workers;
	uint16_t reta_size; /* a power of two */
	uint16_t reta[PORT_RETA_MAX];
	uint8_t rss_key[PORT_RSS_KEY_BYTES];
	uint8_t rss_key_be[PORT_RSS_KEY_BYTES] __rte_aligned(4); /* converted for rte_softrss_be */
};

struct port_config {
	const char *device; /* DPDK name of the ethdev, e.g. net_tap0 */
	uint16_t workers;
	uint16_t mtu; /* 0: the device's own */
	uint16_t rx_descriptors; /* 0: default */
	uint16_t tx_descriptors;
	bool software_checksum; /* use no checksum or segmentation offload */
	/* What happens to its packets, each way; NULL: nothing.  Then no offload is used, so that
	 * these are packets as on the wire, and the clock, the workers' own, says when one is due. */
	const struct impair_config *impair;
	uint64_t (*clock_us)(void *arg);
	void *clock_arg;
	/* One mempool per worker, for its receive queue (queue q is filled from pools[q]). */
	struct rte_mempool *pools[LEAT_MAX_WORKERS];
};

/* Configures and starts the device.  0 or -errno: -ENODEV no such device, -ENOTSUP, -EINVAL. */
int port_open(struct port *port, const struct port_config *config);
/* Stops and closes the device. */
void port_close(struct port *port);
/* One line for the log: driver, queues, offloads used, steering. */
int port_describe(const struct port *port, char *out, size_t len);

/* A file descriptor that becomes readable when packets wait on queue, or -1: sleep with a bound. */
int port_rx_fd(const struct port *port, uint16_t queue);
/* Asks for (or stops) readability of that descriptor. */
int port_rx_notify(struct port *port, uint16_t queue, bool on);

static inline uint16_t port_rx_burst(struct port *port, uint16_t queue, struct rte_mbuf **pkts,
				     uint16_t n)
{
	return port->ops->rx_burst(port, queue, pkts, n);
}

static inline uint16_t port_tx_burst(struct port *port, uint16_t queue, struct rte_mbuf **pkts,
				     uint16_t n)
{
	return port->ops->tx_burst(port, queue, pkts, n);
}

/* Fills reta and rss_key so that flows spread evenly over workers by software. */
void port_steer_init(struct port *port, uint16_t workers);

/* The worker that owns packets received for this flow. */
uint16_t port_flow_worker(const struct port *port, const struct flow *flow);

#endif
