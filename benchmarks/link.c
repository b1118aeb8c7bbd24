/* SPDX-License-Identifier: BSD-3-Clause */
#include "link.h"

#include <errno.h>
#include <rte_arp.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_ring.h>

#include "frame.h"

#define RING_SIZE   4096
#define BURST       64
#define DESCRIPTORS 1024

static struct rte_ring *ring(const char *name)
{
	return rte_ring_create(name, RING_SIZE, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

int link_create(uint16_t *server, uint16_t *generator)
{
	struct rte_ring *to_server = ring("to_server");
	struct rte_ring *to_generator = ring("to_generator");
	int port;

	if (to_server == NULL || to_generator == NULL)
		return -ENOMEM;
	port = rte_eth_from_rings(LINK_SERVER, &to_server, 1, &to_generator, 1, 0);
	if (port < 0)
		return -rte_errno;
	*server = (uint16_t)port;
	port = rte_eth_from_rings(LINK_GENERATOR, &to_generator, 1, &to_server, 1, 0);
	if (port < 0)
		return -rte_errno;
	*generator = (uint16_t)port;
	return 0;
}

int link_start(uint16_t port, struct rte_mempool *pool)
{
	struct rte_eth_conf conf = {0};
	uint16_t rx = DESCRIPTORS, tx = DESCRIPTORS;
	int socket = rte_eth_dev_socket_id(port);
	int err = rte_eth_dev_configure(port, 1, 1, &conf);

	if (err == 0)
		err = rte_eth_dev_adjust_nb_rx_tx_desc(port, &rx, &tx);
	if (err == 0)
		err = rte_eth_rx_queue_setup(port, 0, rx, socket, NULL, pool);
	if (err == 0)
		err = rte_eth_tx_queue_setup(port, 0, tx, socket, NULL);
	return err != 0 ? err : rte_eth_dev_start(port);
}

void link_stop(uint16_t port)
{
	(void)rte_eth_dev_stop(port);
}

/* A station that has every address. */
static void reflect_arp(struct rte_arp_hdr *arp)
{
	rte_be32_t asked = arp->arp_data.arp_tip;

	arp->arp_opcode = RTE_BE16(RTE_ARP_OP_REPLY);
	arp->arp_data.arp_tip = arp->arp_data.arp_sip;
	arp->arp_data.arp_tha = arp->arp_data.arp_sha;
	arp->arp_data.arp_sip = asked;
}

static void reflect(struct rte_mbuf *m)
{
	struct frame_udp *f = rte_pktmbuf_mtod(m, struct frame_udp *);
	struct rte_ether_addr mac = f->eth.src_addr;
	rte_be32_t address = f->ip.src_addr;
	rte_be16_t port = f->udp.src_port;

	f->eth.src_addr = f->eth.dst_addr;
	f->eth.dst_addr = mac;
	if (f->eth.ether_type == RTE_BE16(RTE_ETHER_TYPE_ARP)) {
		reflect_arp((struct rte_arp_hdr *)(&f->eth + 1));
		return;
	}
	f->ip.src_addr = f->ip.dst_addr;
	f->ip.dst_addr = address;
	f->udp.src_port = f->udp.dst_port;
	f->udp.dst_port = port;
}

uint16_t link_reflect(uint16_t port)
{
	struct rte_mbuf *pkts[BURST];
	uint16_t count = rte_eth_rx_burst(port, 0, pkts, BURST);
	uint16_t sent = 0;

	for (uint16_t i = 0; i < count; i++) {
		if (i + 4 < count)
			rte_prefetch0(rte_pktmbuf_mtod(pkts[i + 4], void *));
		reflect(pkts[i]);
	}
	if (count > 0)
		sent = rte_eth_tx_burst(port, 0, pkts, count);
	for (uint16_t i = sent; i < count; i++)
		rte_pktmbuf_free(pkts[i]);
	return count;
}
