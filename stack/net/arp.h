/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Neighbours and ARP (RFC 826, RFC 1122 section 2.3.2, RFC 5227 announcement).
 *
 * Each worker resolves what it needs itself: it asks, retries, holds a
 * bounded number of packets meanwhile.  What it learns it applies at once and
 * reports through listener->neigh_learned, so that the control thread can
 * pass it to the other workers, who call neigh_update.
 *
 * INCOMPLETE: asked, no answer yet; packets wait.  REACHABLE: confirmed within
 * NEIGH_REACHABLE_MS.  STALE: to be asked again, by unicast, when next used;
 * meanwhile packets go where it last was; without an answer it becomes
 * INCOMPLETE.  FAILED: did not answer; while its timer runs nobody is asked
 * and packets die.
 */
#ifndef LEAT_NET_ARP_H
#define LEAT_NET_ARP_H

#include <rte_ether.h>
#include <rte_mbuf.h>
#include <stdint.h>

#include "core/worker.h"
#include "lib/wheel.h"
#include "net/addr.h"
#include "net/eth.h"

#define NEIGH_PENDING_MAX  16 /* packets held for one unresolved neighbour */
#define NEIGH_TABLE_MAX    4096 /* neighbours of one worker */
#define ARP_RETRY_MS       1000 /* between requests for one neighbour (RFC 1122: at most 1/s) */
#define ARP_RETRIES        3 /* then its packets die and EHOSTUNREACH is told */
#define NEIGH_REACHABLE_MS 60000 /* unused or unconfirmed for so long: asked again */

enum neigh_state { NEIGH_FREE, NEIGH_INCOMPLETE, NEIGH_REACHABLE, NEIGH_STALE, NEIGH_FAILED };

struct neigh {
	struct rte_ether_hdr header; /* ready to copy before a packet */
	uint8_t state; /* enum neigh_state */
	uint8_t netif;
	uint8_t tries;
	uint8_t pending_count;
	struct inet_addr address;
	struct rte_mbuf *pending[NEIGH_PENDING_MAX];
	struct timer timer;
	uint64_t confirmed_us;
};

struct neigh_table;

struct neigh_table *neigh_table_create(struct worker *w, uint32_t capacity);
/* Frees pending packets too. */
void neigh_table_free(struct worker *w, struct neigh_table *t);

/* The entry for an on-link IPv4 address, made when there was none; NULL: table full of neighbours
 * in use.  Valid while w->route_generation stays the same. */
struct neigh *neigh_get(struct worker *w, struct netif *n, const struct inet_addr *a);

static inline bool neigh_is_confirmed(const struct worker *w, const struct neigh *neigh)
{
	return neigh->state == NEIGH_REACHABLE &&
	       w->now_us - neigh->confirmed_us < NEIGH_REACHABLE_MS * UINT64_C(1000);
}

/* neigh_tx to one that is not confirmed. */
void neigh_tx_slow(struct worker *w, struct neigh *neigh, struct rte_mbuf *m);

/* Sends m (data at the network header) to the neighbour, now or once it is resolved.
 * Consumes m. */
static inline void neigh_tx(struct worker *w, struct neigh *neigh, struct rte_mbuf *m)
{
	if (likely(neigh_is_confirmed(w, neigh)))
		eth_tx(w, w->netif[neigh->netif], &neigh->header, m);
	else
		neigh_tx_slow(w, neigh, m);
}

/* Packets to it are not answered (RFC 1122 section 3.3.1.4): it is asked when next used, unless it
 * was confirmed in the last ARP_RETRY_MS. */
void neigh_doubt(struct worker *w, struct neigh *neigh);

/* Somebody learned that a is at mac. */
void neigh_update(struct worker *w, struct netif *n, const struct inet_addr *a,
		  const struct rte_ether_addr *mac);

/* A frame of type ARP, data at the ARP header.  Consumes m. */
void arp_rx(struct worker *w, struct netif *n, struct rte_mbuf *m);

/* Announces our own address on n (gratuitous request). */
void arp_announce(struct worker *w, struct netif *n);

#endif
