/* SPDX-License-Identifier: BSD-3-Clause */
/* Ethernet II framing: first stop up, last stop down. */
#ifndef LEAT_NET_ETH_H
#define LEAT_NET_ETH_H

#include <rte_ether.h>
#include <rte_mbuf.h>
#include <stdint.h>
#include <string.h>

#include "lib/assert.h"
#include "net/netif.h"

struct worker;

/* A burst as the port delivered it.  Consumes all of them: hands each to arp_rx or ipv4_rx, then
 * runs what collected in the worker's transport burst (ip_rx_flush). */
void eth_rx(struct worker *w, struct netif *n, struct rte_mbuf **pkts, uint16_t count);

/* Cuts what follows the first length bytes of m, the padding of a short frame; m has as many. */
void eth_trim(struct rte_mbuf *m, uint32_t length);

/* Moves m's data behind a header of so many bytes, which the caller has seen to be there. */
static inline void eth_skip(struct rte_mbuf *m, uint32_t bytes)
{
	leat_assert(bytes <= m->data_len);
	m->data_off += (uint16_t)bytes;
	m->data_len -= (uint16_t)bytes;
	m->pkt_len -= bytes;
}

/* Hands queued frames to the port, or to the worker that transmits for this one when the port has
 * fewer queues than there are workers; what it does not take after a retry is dropped and counted. */
void eth_tx_flush(struct worker *w, struct netif *n);

/* Queues a frame that has its header on n; flushed when the queue is full and at the end of the
 * iteration.  Consumes m. */
static inline void eth_tx_frame(struct worker *w, struct netif *n, struct rte_mbuf *m)
{
	if (unlikely(n->tx_count == RTE_DIM(n->tx)))
		eth_tx_flush(w, n);
	n->tx[n->tx_count++] = m;
}

/* The same after header is put before it, for which m has the headroom. */
static inline void eth_tx(struct worker *w, struct netif *n, const struct rte_ether_hdr *header,
			  struct rte_mbuf *m)
{
	void *front = rte_pktmbuf_prepend(m, sizeof(*header));

	leat_assert(front != NULL);
	memcpy(front, header, sizeof(*header));
	eth_tx_frame(w, n, m);
}

#endif
