/* SPDX-License-Identifier: BSD-3-Clause */
/* IPv4 (RFC 791, RFC 1122) up; the way down is net/ip_tx.h. */
#ifndef LEAT_NET_IPV4_H
#define LEAT_NET_IPV4_H

#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/addr.h"
#include "net/packet.h"
#include "net/route.h"

struct worker;
struct netif;
struct neigh;

#define IP_TTL_DEFAULT  64
#define IP_HEADER_BYTES 20
#define IP_MTU_MIN      68 /* RFC 791: what every link carries */

/* A frame of type IPv4, data at the IP header.  Consumes m: to ICMP at once, TCP and UDP into the
 * worker's transport burst (w->burst, processed by ip_rx_flush), in which there must be room, or
 * dropped under its reason. */
void ipv4_rx(struct worker *w, struct netif *n, struct rte_mbuf *m, bool link_broadcast);

/* Looks the whole transport burst up at once, prefetches, then hands each packet to its
 * protocol's rx.  Packets that belong to another worker are handed over before that. */
void ip_rx_flush(struct worker *w);

/* Takes what other workers handed over (mbuf.port: see STEERED_TX): packets received, data at the
 * IP header, IP header and transport checksum already checked; and frames to transmit. */
void ip_rx_steered(struct worker *w, struct rte_mbuf **pkts, uint16_t count);

/* Passes a received packet on to worker owner: data back at the IP header, transport checksum known
 * to be good.  Consumes p->m. */
void ip_hand_over(struct worker *w, struct packet *p, uint16_t owner);

/* Sum over a transport header and payload with its pseudo header, in software, over all
 * segments; 0xffff: a received packet's checksum is good. */
uint16_t ip_transport_sum(const struct flow *flow, const struct rte_mbuf *m, uint32_t length);

#define IP_QUOTE_BYTES 8 /* of the transport header, at least (RFC 792) */

/* What a packet of ours, or the quotation of one in an ICMP error, says about its sender. */
struct ip_quote {
	struct flow flow; /* as we sent it: local is us */
	uint32_t sequence; /* TCP */
};

/* data begins at the IP header; false: too short, not IPv4, or not the first fragment. */
bool ip_quote_parse(const void *data, uint32_t length, struct ip_quote *quote);

/* Tells the packet's protocol that it met error (and "fragmentation needed" with mtu). */
void ip_quote_tell(struct worker *w, const struct ip_quote *quote, int error, uint16_t mtu);

#endif
