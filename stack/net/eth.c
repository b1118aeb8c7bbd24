/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/eth.h"

#include <rte_prefetch.h>
#include <string.h>

#include "core/worker.h"
#include "net/arp.h"
#include "net/ipv4.h"
#include "net/netif.h"

#define ETH_PREFETCH       4 /* frames ahead of the one in hand */

#define ETH_CHECKSUM_FLAGS ((uint64_t)(RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK))

static inline void eth_rx_frame(struct worker *w, struct netif *n, struct rte_mbuf *m,
				uint64_t own_mac)
{
	const struct rte_ether_hdr *header = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	bool group = false;
	uint64_t to;

	if (unlikely(m->data_len < sizeof(*header))) {
		worker_drop(w, m, CNT_eth_short);
		return;
	}
	memcpy(&to, header, sizeof(to)); /* and the first bytes of the source */
	if (unlikely((to ^ own_mac) << 16 != 0)) {
		group = rte_is_multicast_ether_addr(&header->dst_addr);
		if (!group) {
			worker_drop(w, m, CNT_eth_address);
			return;
		}
	}
	eth_skip(m, sizeof(*header));
	if (likely(header->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4)))
		ipv4_rx(w, n, m, group);
	else if (header->ether_type == RTE_BE16(RTE_ETHER_TYPE_ARP))
		arp_rx(w, n, m);
	else
		worker_drop(w, m, CNT_eth_type);
}

void eth_rx(struct worker *w, struct netif *n, struct rte_mbuf **pkts, uint16_t count)
{
	/* Of a port that verifies nothing such words mean nothing. */
	uint64_t believed = n->port->rx_checksum ? ~UINT64_C(0) : ~ETH_CHECKSUM_FLAGS;
	uint64_t own_mac = 0; /* in its first bytes, as in a frame */
	uint64_t bytes = 0;

	_Static_assert(PORT_BURST <= TRANSPORT_BURST, "a port's burst has room in the transport's");
	leat_assert(count <= PORT_BURST && w->burst_count == 0);
	memcpy(&own_mac, &n->mac, sizeof(n->mac));
	for (uint16_t i = 0; i < RTE_MIN(count, ETH_PREFETCH); i++)
		rte_prefetch0(rte_pktmbuf_mtod(pkts[i], void *));
	for (uint16_t i = 0; i < count; i++) {
		struct rte_mbuf *m = pkts[i];

		if (i + ETH_PREFETCH < count)
			rte_prefetch0(rte_pktmbuf_mtod(pkts[i + ETH_PREFETCH], void *));
		bytes += m->pkt_len;
		m->ol_flags &= believed;
		eth_rx_frame(w, n, m, own_mac);
	}
	w->counter[CNT_rx_packets] += count;
	worker_count(w, CNT_rx_bursts);
	w->counter[CNT_rx_bytes] += bytes;
	ip_rx_flush(w);
}

void eth_trim(struct rte_mbuf *m, uint32_t length)
{
	struct rte_mbuf *last = m;
	uint32_t left = length;

	m->pkt_len = length;
	m->nb_segs = 1;
	while (left > last->data_len) {
		left -= last->data_len;
		last = last->next;
		m->nb_segs++;
	}
	last->data_len = left;
	rte_pktmbuf_free(last->next);
	last->next = NULL;
}

/* This worker has no transmit queue on the port: the worker that has one sends for it. */
static void eth_tx_hand_over(struct worker *w, struct netif *n, uint16_t count)
{
	struct worker *owner = w->peers[w->id % n->port->queues];
	unsigned taken;

	for (uint16_t i = 0; i < count; i++)
		n->tx[i]->port = n->index | STEERED_TX;
	taken = rte_ring_enqueue_burst(owner->steered, (void **)n->tx, count, NULL);
	w->counter[CNT_steered_out] += taken;
	for (uint16_t i = taken; i < count; i++)
		worker_drop(w, n->tx[i], CNT_steer_full);
	worker_wake(owner);
}

void eth_tx_flush(struct worker *w, struct netif *n)
{
	uint16_t count = n->tx_count;
	uint64_t bytes = 0;
	uint16_t sent;

	if (count == 0)
		return;
	n->tx_count = 0;
	if (unlikely(w->id >= n->port->queues)) {
		eth_tx_hand_over(w, n, count);
		return;
	}
	for (uint16_t i = 0; i < count; i++)
		bytes += n->tx[i]->pkt_len;
	sent = port_tx_burst(n->port, n->queue, n->tx, count);
	if (unlikely(sent < count))
		sent += port_tx_burst(n->port, n->queue, n->tx + sent, count - sent);
	for (uint16_t i = sent; i < count; i++) {
		bytes -= n->tx[i]->pkt_len;
		worker_drop(w, n->tx[i], CNT_tx_full);
	}
	w->counter[CNT_tx_packets] += sent;
	worker_count(w, CNT_tx_bursts);
	w->counter[CNT_tx_bytes] += bytes;
}
