/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets on their way down.  ip_tx takes any.  ip_tx_ready is for those who
 * know the sum of what they made: where nothing has to be found out or
 * awaited, it writes all that comes before the transport header in one go.
 */
#ifndef LEAT_NET_IP_TX_H
#define LEAT_NET_IP_TX_H

#include <netinet/in.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>
#include <rte_udp.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/worker.h"
#include "net/addr.h"
#include "net/arp.h"
#include "net/checksum.h"
#include "net/eth.h"
#include "net/ipv4.h"
#include "net/route.h"

/* How to send a packet. */
struct ip_tx {
	struct dst *dst;
	const struct flow *flow; /* flow->protocol is the IP protocol */
	uint8_t ttl;
	uint8_t traffic_class;
	bool dont_fragment;
	uint16_t tso_segment; /* non-zero: m is to be cut into segments with so much payload (only
	                         on a netif whose port does TSO) */
};

/*
 * Sends m, whose data begins at the transport header; that header's checksum field is filled
 * here (offloaded or in software).  m may have several segments; the first holds the whole
 * transport header and has the usual headroom.  Consumes m, also on failure:
 * 0, -ENETUNREACH, -ENOBUFS, -EMSGSIZE (longer than dst->mtu).
 */
int ip_tx(struct worker *w, const struct ip_tx *how, struct rte_mbuf *m);

/* Writes the IPv4 header of a packet of total_bytes; its checksum is 0 where the port makes it. */
static inline void ipv4_write_header(struct worker *w, const struct ip_tx *how, uint8_t protocol,
				     uint32_t total_bytes, bool port_sums, void *at)
{
	uint64_t first = (uint64_t)RTE_IPV4_VHL_DEF << 56 | (uint64_t)how->traffic_class << 48 |
			 (uint64_t)total_bytes << 32;
	uint16_t lifetime = rte_cpu_to_be_16((uint16_t)(how->ttl << 8 | protocol));
	rte_be32_t local = how->flow->local.v4;
	rte_be32_t remote = how->flow->remote.v4;
	struct rte_ipv4_hdr *ip = at;

	/* RFC 6864: a packet that may not be fragmented needs no identification. */
	if (likely(how->dont_fragment))
		first |= RTE_IPV4_HDR_DF_FLAG;
	else
		first |= (random_next(&w->random) & UINT16_MAX) << 16;
	first = rte_cpu_to_be_64(first);
	memcpy(ip, &first, sizeof(first));
	memcpy(&ip->time_to_live, &lifetime, sizeof(lifetime));
	ip->src_addr = local;
	ip->dst_addr = remote;
	if (port_sums)
		ip->hdr_checksum = 0;
	else
		ip->hdr_checksum =
			~checksum_fold(checksum_add(first, (uint64_t)local + remote + lifetime));
}

/* Of the pseudo header (RFC 9293, section 3.1; RFC 768). */
static inline uint64_t ipv4_sum_pseudo_header(const struct flow *flow, uint8_t protocol,
					      uint32_t length)
{
	return (uint64_t)flow->local.v4 + flow->remote.v4 + rte_cpu_to_be_16(protocol) +
	       rte_cpu_to_be_32(length);
}

/* Where that protocol's header keeps its checksum. */
static inline uint32_t ip_checksum_offset(uint8_t protocol)
{
	return protocol == IPPROTO_TCP ? offsetof(struct rte_tcp_hdr, cksum)
				       : offsetof(struct rte_udp_hdr, dgram_cksum);
}

/* The inverted sum as it is sent. */
static inline rte_be16_t ip_checksum_of(uint64_t sum, uint8_t protocol)
{
	rte_be16_t checksum = ~checksum_fold(sum);

	if (protocol == IPPROTO_UDP && unlikely(checksum == 0))
		return 0xffff; /* RFC 768: 0 would mean that there is none */
	return checksum;
}

/* Does the port of dst make checksums? */
static inline bool ip_tx_port_sums(const struct worker *w, const struct dst *dst)
{
	return w->netif[dst->netif]->port->tx_checksum;
}

/*
 * Leaves checksums, and the cutting of what is too long, to the port: tells it
 * in m.  bytes: from the transport header on.  What it expects in place of that
 * header's checksum: the pseudo header's sum, without the length if it cuts.
 */
static inline rte_be16_t ip_tx_offload(const struct ip_tx *how, uint8_t protocol,
				       struct rte_mbuf *m, const void *transport, uint32_t bytes)
{
	uint64_t flags = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
	uint32_t header_bytes = 0;

	if (protocol == IPPROTO_TCP) {
		header_bytes = (((const struct rte_tcp_hdr *)transport)->data_off >> 4) * 4u;
		flags |= RTE_MBUF_F_TX_TCP_CKSUM;
		if (how->tso_segment != 0) {
			flags |= RTE_MBUF_F_TX_TCP_SEG;
			bytes = 0;
		}
	} else if (protocol == IPPROTO_UDP) {
		header_bytes = sizeof(struct rte_udp_hdr);
		flags |= RTE_MBUF_F_TX_UDP_CKSUM;
	}
	m->ol_flags |= flags;
	m->tx_offload = rte_mbuf_tx_offload(RTE_ETHER_HDR_LEN, IP_HEADER_BYTES, header_bytes,
					    how->tso_segment, 0, 0, 0);
	return checksum_fold(ipv4_sum_pseudo_header(how->flow, protocol, bytes));
}

/* May a packet of so many bytes from the transport header on go like that? */
static inline bool ip_tx_is_ready(const struct worker *w, const struct ip_tx *how,
				  const struct rte_mbuf *m, uint32_t bytes)
{
	const struct dst *dst = how->dst;
	const struct port *port = w->netif[dst->netif]->port;

	return how->flow->family == AF_INET &&
	       dst->generation == w->route_generation && /* is the route still the one? */
	       neigh_is_confirmed(w, dst->neigh) && /* does the neighbour answer? */
	       (how->tso_segment != 0 || /* is it cut, or does it fit? */
		bytes + IP_HEADER_BYTES <= dst->mtu) &&
	       (m->nb_segs == 1 || port->tx_multi_segs); /* does the port take its pieces? */
}

/*
 * ip_tx of what is ready: of an mbuf from worker_mbuf with bytes in all, of
 * them head_bytes in m itself, which m need not say yet.  protocol:
 * flow->protocol, TCP or UDP, a constant where this is called.  sum: of the
 * transport header, checksum 0, and the data; unless ip_tx_port_sums.
 */
static __rte_always_inline void ip_tx_ready(struct worker *w, const struct ip_tx *how,
					    uint8_t protocol, struct rte_mbuf *m,
					    uint32_t head_bytes, uint32_t bytes, uint64_t sum)
{
	const uint32_t front_bytes = RTE_ETHER_HDR_LEN + IP_HEADER_BYTES;
	struct netif *n = w->netif[how->dst->netif];
	const struct neigh *neigh = how->dst->neigh;
	uint8_t *transport = (uint8_t *)m->buf_addr + RTE_PKTMBUF_HEADROOM;
	uint8_t *ip = transport - IP_HEADER_BYTES;
	rte_be16_t checksum;

	if (n->port->tx_checksum) {
		checksum = ip_tx_offload(how, protocol, m, transport, bytes);
		ipv4_write_header(w, how, protocol, bytes + IP_HEADER_BYTES, true, ip);
	} else {
		sum = checksum_add(sum, ipv4_sum_pseudo_header(how->flow, protocol, bytes));
		checksum = ip_checksum_of(sum, protocol);
		ipv4_write_header(w, how, protocol, bytes + IP_HEADER_BYTES, false, ip);
	}
	memcpy(transport + ip_checksum_offset(protocol), &checksum, sizeof(checksum));
	memcpy(transport - front_bytes, &neigh->header, sizeof(neigh->header));
	m->data_off = (uint16_t)(RTE_PKTMBUF_HEADROOM - front_bytes);
	m->data_len = (uint16_t)(head_bytes + front_bytes);
	m->pkt_len = bytes + front_bytes;
	eth_tx_frame(w, n, m);
}

#endif
