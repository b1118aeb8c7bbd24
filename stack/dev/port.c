/* SPDX-License-Identifier: BSD-3-Clause */
#include "dev/port.h"

#include <errno.h>
#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <stdio.h>

#include "dev/port_impair.h"
#include "dev/port_rss.h"

#define PORT_RX_DESCRIPTORS 1024
#define PORT_TX_DESCRIPTORS 1024
/* What a frame has around the network packet: header, one VLAN tag, checksum. */
#define PORT_FRAME_OVERHEAD (RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN + RTE_ETHER_CRC_LEN)

#define TX_CHECKSUMS                                                    \
	(RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM | \
	 RTE_ETH_TX_OFFLOAD_UDP_CKSUM)
#define RX_CHECKSUMS                                                    \
	(RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM | \
	 RTE_ETH_RX_OFFLOAD_UDP_CKSUM)

/* ---- the data path ---- */

static uint16_t ethdev_rx_burst(struct port *port, uint16_t queue, struct rte_mbuf **pkts,
				uint16_t n)
{
	return rte_eth_rx_burst(port->id, queue, pkts, n);
}

static uint16_t ethdev_tx_burst(struct port *port, uint16_t queue, struct rte_mbuf **pkts,
				uint16_t n)
{
	return rte_eth_tx_burst(port->id, queue, pkts, n);
}

/* With offloads, a NIC's driver may want to look at the headers first. */
static uint16_t ethdev_tx_burst_prepared(struct port *port, uint16_t queue, struct rte_mbuf **pkts,
					 uint16_t n)
{
	uint16_t ready = rte_eth_tx_prepare(port->id, queue, pkts, n);
	uint16_t sent = rte_eth_tx_burst(port->id, queue, pkts, ready);

	/* The frame that stopped it cannot be sent, now or later. */
	if (sent == ready && ready < n)
		rte_pktmbuf_free(pkts[sent++]);
	return sent;
}

static const struct port_ops ethdev_ops = {ethdev_rx_burst, ethdev_tx_burst};
static const struct port_ops ethdev_prepared_ops = {ethdev_rx_burst, ethdev_tx_burst_prepared};

/* A closed port has nothing and takes nothing, so that workers may end after it. */
static uint16_t closed_burst(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	(void)port;
	(void)queue;
	(void)pkts;
	(void)n;
	return 0;
}

static const struct port_ops closed_ops = {closed_burst, closed_burst};

/* ---- what the device can do ---- */

static bool device_is(const struct rte_eth_dev_info *info, const char *driver)
{
	return strcmp(info->driver_name, driver) == 0;
}

/* No hardware behind it: it neither steers as told nor reads memory by itself. */
static bool device_is_virtual(const struct rte_eth_dev_info *info)
{
	const struct rte_bus *bus = info->device != NULL ? rte_dev_bus(info->device) : NULL;

	return bus != NULL && strcmp(rte_bus_name(bus), "vdev") == 0;
}

/* May mbufs of this port point into memory that DPDK did not allocate? */
static bool device_reads_any_memory(const struct rte_eth_dev_info *info)
{
	/* These hand, or may be told to hand, the memory itself to another process or to the
	 * kernel, and know only DPDK's. */
	if (device_is(info, "net_virtio_user") || device_is(info, "net_af_xdp") ||
	    device_is(info, "net_vhost") || device_is(info, "net_memif"))
		return false;
	return device_is_virtual(info) || rte_eal_iova_mode() == RTE_IOVA_VA;
}

static void port_decide_offloads(struct port *port, const struct port_config *config,
				 const struct rte_eth_dev_info *info, struct rte_eth_conf *conf)
{
	bool offload = !config->software_checksum && config->impair == NULL;
	uint64_t rx = info->rx_offload_capa;
	uint64_t tx = info->tx_offload_capa;

	port->tx_multi_segs = tx & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	port->external_buffers = port->tx_multi_segs && device_reads_any_memory(info);
	port->rx_checksum = offload && (rx & RX_CHECKSUMS) == RX_CHECKSUMS;
	/* What net_tap offers it does in software, and wrong: it sums up a packet's segments as if
	 * each had an even length, and cuts less than it should. */
	port->tx_checksum = offload && (tx & TX_CHECKSUMS) == TX_CHECKSUMS &&
			    !device_is(info, "net_tap");
	port->tso = port->tx_checksum && port->tx_multi_segs && tx & RTE_ETH_TX_OFFLOAD_TCP_TSO;
	port->tso_max_segs = info->tx_desc_lim.nb_seg_max != 0 ? info->tx_desc_lim.nb_seg_max
							       : UINT8_MAX;
	/* No MBUF_FAST_FREE: it skips the free callbacks of external buffers. */
	conf->txmode.offloads = (port->tx_multi_segs ? RTE_ETH_TX_OFFLOAD_MULTI_SEGS : 0) |
				(port->tx_checksum ? TX_CHECKSUMS : 0) |
				(port->tso ? RTE_ETH_TX_OFFLOAD_TCP_TSO : 0);
	conf->rxmode.offloads = port->rx_checksum ? RX_CHECKSUMS : 0;
	port->ops = port->tx_checksum && !device_is_virtual(info) ? &ethdev_prepared_ops
								  : &ethdev_ops;
}

/* ---- opening ---- */

/* What to tell the device: net_af_packet refuses to be told of more than Ethernet's own, but passes
 * on what fits into its frames. */
static uint16_t device_mtu(const struct port *port, const struct rte_eth_dev_info *info)
{
	return device_is(info, "net_af_packet") ? RTE_MIN(port->mtu, RTE_ETHER_MTU) : port->mtu;
}

/* A frame must fit into one mbuf, or the device must be able to spread it over several. */
static int port_decide_mtu(struct port *port, const struct port_config *config,
			   const struct rte_eth_dev_info *info, struct rte_eth_conf *conf)
{
	uint32_t room = rte_pktmbuf_data_room_size(config->pools[0]) - RTE_PKTMBUF_HEADROOM;
	int err = rte_eth_dev_get_mtu(port->id, &port->mtu);

	if (err != 0)
		return err;
	if (config->mtu != 0)
		port->mtu = config->mtu;
	if (info->max_mtu != 0 && port->mtu > info->max_mtu)
		return -EINVAL;
	if (room < port->mtu + (uint32_t)PORT_FRAME_OVERHEAD) {
		if (!(info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER))
			return -EINVAL;
		conf->rxmode.offloads |= RTE_ETH_RX_OFFLOAD_SCATTER;
	}
	conf->rxmode.mtu = device_mtu(port, info);
	return 0;
}

static int port_setup_queues(struct port *port, const struct port_config *config,
			     const struct rte_eth_dev_info *info, const struct rte_eth_conf *conf)
{
	uint16_t rx_descriptors = config->rx_descriptors != 0 ? config->rx_descriptors
							      : PORT_RX_DESCRIPTORS;
	uint16_t tx_descriptors = config->tx_descriptors != 0 ? config->tx_descriptors
							      : PORT_TX_DESCRIPTORS;
	struct rte_eth_rxconf rx = info->default_rxconf;
	struct rte_eth_txconf tx = info->default_txconf;
	int socket = rte_eth_dev_socket_id(port->id);
	int err;

	rx.offloads = conf->rxmode.offloads;
	tx.offloads = conf->txmode.offloads;
	err = rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &rx_descriptors, &tx_descriptors);
	for (uint16_t q = 0; err == 0 && q < port->queues; q++)
		err = rte_eth_rx_queue_setup(port->id, q, rx_descriptors, socket, &rx,
					     config->pools[q]);
	for (uint16_t q = 0; err == 0 && q < port->queues; q++)
		err = rte_eth_tx_queue_setup(port->id, q, tx_descriptors, socket, &tx);
	return err;
}

/* Asks the device for an MTU that is not its own; one that cannot be told may still be used below
 * what it takes anyway. */
static int port_set_mtu(const struct port *port, uint16_t mtu)
{
	uint16_t current;
	int err;

	if (rte_eth_dev_get_mtu(port->id, &current) == 0 && current == mtu)
		return 0;
	err = rte_eth_dev_set_mtu(port->id, mtu);
	return err == -ENOTSUP && mtu <= RTE_ETHER_MTU ? 0 : err;
}

static int port_learn_address(struct port *port, const struct rte_eth_dev_info *info)
{
	int err = rte_eth_macaddr_get(port->id, &port->mac);

	if (err != 0)
		return err;
	/* net_ring has none. */
	if (rte_is_zero_ether_addr(&port->mac))
		rte_eth_random_addr(port->mac.addr_bytes);
	/* net_tap gives the kernel's end of the link the address of this one; two stations on one
	 * link need two. */
	if (device_is(info, "net_tap"))
		port->mac.addr_bytes[RTE_ETHER_ADDR_LEN - 1] ^= 1;
	return 0;
}

static int port_configure(struct port *port, const struct port_config *config,
			  const struct rte_eth_dev_info *info)
{
	struct rte_eth_conf conf = {0};
	int err;

	port_decide_offloads(port, config, info, &conf);
	err = port_decide_mtu(port, config, info, &conf);
	if (err != 0)
		return err;
	if (port->queues > 1)
		port_rss_configure(port, info, &conf);
	/* Only this driver's descriptor can be waited on without being read. */
	port->rx_wakes = device_is(info, "net_tap");
	conf.intr_conf.rxq = port->rx_wakes;
	err = rte_eth_dev_configure(port->id, port->queues, port->queues, &conf);
	if (err == 0)
		err = port_setup_queues(port, config, info, &conf);
	if (err == 0)
		err = port_set_mtu(port, device_mtu(port, info));
	return err;
}

int port_open(struct port *port, const struct port_config *config)
{
	struct rte_eth_dev_info info;
	int err;

	memset(port, 0, sizeof(*port));
	if (config->workers == 0 || config->workers > LEAT_MAX_WORKERS ||
	    config->pools[0] == NULL || strlen(config->device) >= sizeof(port->name))
		return -EINVAL;
	if (rte_eth_dev_get_port_by_name(config->device, &port->id) != 0)
		return -ENODEV;
	err = rte_eth_dev_info_get(port->id, &info);
	if (err != 0)
		return err;
	memcpy(port->name, config->device, strlen(config->device) + 1);
	snprintf(port->driver, sizeof(port->driver), "%s", info.driver_name);
	port_steer_init(port, config->workers);
	port->queues = RTE_MIN(info.max_rx_queues, info.max_tx_queues);
	port->queues = RTE_MIN(port->queues, config->workers);
	if (port->queues == 0)
		return -ENOTSUP;
	err = port_configure(port, config, &info);
	if (err == 0)
		err = port_learn_address(port, &info);
	if (err == 0)
		err = rte_eth_dev_start(port->id);
	if (err == 0 && config->impair != NULL)
		err = port_impair_open(port, config);
	if (err != 0)
		return err;
	/* Virtual devices have no such filter and refuse. */
	(void)rte_eth_promiscuous_disable(port->id);
	port->steer_by_nic = port->queues == config->workers && !device_is_virtual(&info) &&
			     port_rss_program(port, &info) == 0;
	return 0;
}

void port_close(struct port *port)
{
	if (port->ops == NULL || port->ops == &closed_ops)
		return;
	port_impair_close(port);
	(void)rte_eth_dev_stop(port->id);
	(void)rte_eth_dev_close(port->id);
	port->ops = &closed_ops;
}

static const char *port_steering(const struct port *port)
{
	if (port->workers == 1)
		return "one worker";
	return port->steer_by_nic ? "steered by the NIC" : "steered in software";
}

int port_describe(const struct port *port, char *out, size_t len)
{
	char mac[RTE_ETHER_ADDR_FMT_SIZE];

	rte_ether_format_addr(mac, sizeof(mac), &port->mac);
	return snprintf(out, len,
			"%s (%s): address %s, mtu %u, %u queue%s for %u worker%s, %s; checksums: "
			"receive %s, transmit %s; segmentation: %s; send buffers: %s; sleep: %s",
			port->name, port->driver, mac, port->mtu, port->queues,
			port->queues == 1 ? "" : "s", port->workers, port->workers == 1 ? "" : "s",
			port_steering(port), port->rx_checksum ? "port" : "software",
			port->tx_checksum ? "port" : "software", port->tso ? "port" : "none",
			port->external_buffers ? "in place" : "copied",
			port->rx_wakes ? "on the port" : "timed");
}

/* ---- sleeping ---- */

int port_rx_fd(const struct port *port, uint16_t queue)
{
	return port->rx_wakes ? rte_eth_dev_rx_intr_ctl_q_get_fd(port->id, queue) : -1;
}

int port_rx_notify(struct port *port, uint16_t queue, bool on)
{
	(void)queue;
	(void)on;
	/* net_tap's descriptor is readable whenever a packet waits. */
	return port->rx_wakes ? 0 : -ENOTSUP;
}
