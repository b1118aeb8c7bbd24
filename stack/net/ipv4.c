/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/ipv4.h"

#include <errno.h>
#include <netinet/ip_icmp.h>
#include <rte_ip.h>
#include <rte_prefetch.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "core/worker.h"
#include "net/arp.h"
#include "net/checksum.h"
#include "net/eth.h"
#include "net/icmp.h"
#include "net/netif.h"
#include "sock/sock_table.h"

#define SOCK_HOT_LINES 7 /* of a TCP sock: what a segment in order meets */
#define SOCK_PREFETCH  4 /* packets ahead of the one in hand */

#define IP_OPTION_END  0
#define IP_OPTION_NOP  1
#define IP_OPTION_LSRR 131
#define IP_OPTION_SSRR 137

/* ---- up ---- */

static bool ipv4_checksum_good(const struct rte_mbuf *m, const struct rte_ipv4_hdr *ip)
{
	switch (m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) {
	case RTE_MBUF_F_RX_IP_CKSUM_GOOD:
	case RTE_MBUF_F_RX_IP_CKSUM_NONE:
		return true;
	case RTE_MBUF_F_RX_IP_CKSUM_BAD:
		return false;
	default:
		return checksum_bytes(ip, rte_ipv4_hdr_len(ip)) == 0xffff;
	}
}

/* Options are passed over, but a source route is refused (RFC 7126, section 4.3) and a list that
 * leaves the header is an error. */
static enum counter ipv4_check_options(const struct rte_ipv4_hdr *ip)
{
	const uint8_t *option = (const uint8_t *)(ip + 1);
	uint8_t left = rte_ipv4_hdr_len(ip) - sizeof(*ip);

	while (left > 0 && option[0] != IP_OPTION_END) {
		uint8_t length = 1;

		if (option[0] != IP_OPTION_NOP) {
			if (left < 2 || option[1] < 2 || option[1] > left)
				return CNT_ip_header_length;
			length = option[1];
		}
		if (option[0] == IP_OPTION_LSRR || option[0] == IP_OPTION_SSRR)
			return CNT_ip_source_route;
		option += length;
		left -= length;
	}
	return CNT_MAX;
}

/* RFC 1122, section 3.2.1.3: what no packet from elsewhere may have as its source. */
static bool ipv4_source_valid(const struct worker *w, const struct netif *n, rte_be32_t source)
{
	struct inet_addr a = inet_addr_v4(source);
	uint32_t host = rte_be_to_cpu_32(source);

	return host >> 24 != 0 && host >> 24 != IN_LOOPBACKNET && host >> 28 < 0xe &&
	       source != n->address.v4 && !(n->prefix_length < 31 && source == n->broadcast) &&
	       (w->netif_count == 1 || !netif_is_local(w, &a));
}

/* Of this host, or of all; nearly always it is the interface's own. */
static bool ipv4_is_ours(const struct worker *w, const struct netif *n, rte_be32_t address)
{
	struct inet_addr to = inet_addr_v4(address);

	return likely(address == n->address.v4) || netif_is_local(w, &to) ||
	       netif_is_broadcast(n, &to);
}

/* The header, once; trims the frame to the packet.  CNT_MAX: good. */
static enum counter ipv4_check(struct worker *w, struct netif *n, struct rte_mbuf *m)
{
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *);
	enum counter why = CNT_MAX;
	uint16_t total;
	uint8_t header_length;

	if (m->data_len < sizeof(*ip))
		return CNT_ip_short;
	if (ip->version != IPVERSION)
		return CNT_ip_version;
	header_length = rte_ipv4_hdr_len(ip);
	if (header_length < sizeof(*ip) || header_length > m->data_len)
		return CNT_ip_header_length;
	total = rte_be_to_cpu_16(ip->total_length);
	if (total < header_length || total > m->pkt_len)
		return CNT_ip_total_length;
	if (total < m->pkt_len)
		eth_trim(m, total);
	if (!n->port->rx_checksum)
		m->ol_flags &= ~(RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK);
	if (!ipv4_checksum_good(m, ip))
		return CNT_ip_checksum;
	if (!ipv4_source_valid(w, n, ip->src_addr))
		return CNT_ip_source;
	if (!ipv4_is_ours(w, n, ip->dst_addr))
		return CNT_ip_not_ours;
	if ((ip->fragment_offset & RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)) != 0)
		return CNT_ip_fragment;
	if (header_length > sizeof(*ip))
		why = ipv4_check_options(ip);
	return why;
}

static void packet_init(struct packet *p, struct netif *n, struct rte_mbuf *m, bool link_broadcast)
{
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *);

	p->m = m;
	p->netif = n;
	p->network_header = (const uint8_t *)ip;
	p->network_header_length = rte_ipv4_hdr_len(ip);
	p->flow = (struct flow){
		.local = inet_addr_v4(ip->dst_addr),
		.remote = inet_addr_v4(ip->src_addr),
		.family = AF_INET,
		.protocol = ip->next_proto_id,
	};
	p->ttl = ip->time_to_live;
	p->traffic_class = ip->type_of_service;
	p->to_broadcast = link_broadcast || (unlikely(ip->dst_addr != n->address.v4) &&
					     netif_is_broadcast(n, &p->flow.local));
	p->length = m->pkt_len - p->network_header_length;
	p->entry = 0;
	rte_pktmbuf_adj(m, p->network_header_length);
}

/* A packet whose IP header is good, to its protocol: ICMP at once, others into the burst. */
static void ipv4_deliver(struct worker *w, struct netif *n, struct rte_mbuf *m, bool link_broadcast)
{
	struct packet *p = &w->burst[w->burst_count];
	const struct ip_protocol *protocol;
	enum counter why;

	leat_assert(w->burst_count < TRANSPORT_BURST);
	packet_init(p, n, m, link_broadcast);
	if (p->flow.protocol == IPPROTO_ICMP) {
		icmp_rx(w, p);
		return;
	}
	protocol = w->protocols[p->flow.protocol];
	if (protocol == NULL) {
		icmp_tx_error(w, p, ICMP_DEST_UNREACH, ICMP_PROT_UNREACH);
		worker_drop(w, m, CNT_ip_protocol);
		return;
	}
	why = protocol->parse(w, p);
	if (why != CNT_MAX) {
		worker_drop(w, m, why);
		return;
	}
	w->burst_count++;
}

void ipv4_rx(struct worker *w, struct netif *n, struct rte_mbuf *m, bool link_broadcast)
{
	enum counter why = ipv4_check(w, n, m);

	if (why != CNT_MAX) {
		worker_drop(w, m, why);
		return;
	}
	ipv4_deliver(w, n, m, link_broadcast);
	if (w->burst_count == TRANSPORT_BURST)
		ip_rx_flush(w);
}

void ip_hand_over(struct worker *w, struct packet *p, uint16_t owner)
{
	struct rte_mbuf *m = p->m;
	struct worker *peer = w->peers[owner];

	rte_pktmbuf_prepend(m, rte_pktmbuf_mtod(m, const uint8_t *) - p->network_header);
	m->ol_flags &= ~RTE_MBUF_F_RX_L4_CKSUM_MASK;
	m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	m->port = p->netif->index | (p->to_broadcast ? STEERED_BROADCAST : 0);
	if (rte_ring_enqueue(peer->steered, m) != 0) {
		worker_drop(w, m, CNT_steer_full);
		return;
	}
	worker_count(w, CNT_steered_out);
}

/* Hands over what belongs to other workers; collects what is ours, returns how many. */
static uint32_t ip_steer_burst(struct worker *w, struct packet *own[])
{
	uint64_t given = 0; /* one bit per worker */
	uint32_t count = 0;

	for (uint16_t i = 0; i < w->burst_count; i++) {
		struct packet *p = &w->burst[i];
		const struct port *port = p->netif->port;
		uint16_t owner = port->steer_by_nic ? w->id : port_flow_worker(port, &p->flow);

		if (owner == w->id) {
			own[count++] = p;
			continue;
		}
		ip_hand_over(w, p, owner);
		given |= UINT64_C(1) << owner;
	}
	for (; given != 0; given &= given - 1)
		worker_wake(w->peers[__builtin_ctzll(given)]);
	return count;
}

/* One bulk look-up for all that ask for it, and one look for neighbours of the same flow; their
 * socks are on their way into the cache then. */
static void ip_find_burst(struct worker *w, struct packet *const own[], uint32_t count)
{
	struct packet *asked[TRANSPORT_BURST];
	const struct flow *flows[TRANSPORT_BURST];
	sock_entry entries[TRANSPORT_BURST];
	uint32_t askers = 0, n = 0;

	for (uint32_t i = 0; i < count; i++) {
		const struct flow *flow = &own[i]->flow;

		if (!own[i]->lookup)
			continue;
		if (n == 0 || !flow_eq(flow, flows[n - 1]))
			flows[n++] = flow;
		own[i]->asked = (uint16_t)(n - 1);
		asked[askers++] = own[i];
	}
	if (n == 0)
		return;
	sock_table_find_burst(w->socks_by_flow, flows, n, entries);
	for (uint32_t i = 0; i < n; i++)
		rte_prefetch0(sock_entry_pointer(entries[i]));
	for (uint32_t i = 0; i < askers; i++)
		asked[i]->entry = entries[asked[i]->asked];
}

/* The lines after the first of what is about to be met. */
static inline void ip_prefetch(const struct packet *p)
{
	const uint8_t *object = sock_entry_pointer(p->entry);

	for (uint32_t line = 1; line < SOCK_HOT_LINES; line++)
		rte_prefetch0(object + (size_t)line * RTE_CACHE_LINE_SIZE);
}

/* Each packet to its protocol, with the sock of a later one being fetched meanwhile. */
static void ip_rx_burst(struct worker *w, struct packet *own[], uint32_t count)
{
	ip_find_burst(w, own, count);
	for (uint32_t i = 0; i < count; i++) {
		struct packet *p = own[i];
		const struct ip_protocol *protocol = w->protocols[p->flow.protocol];

		if (i + SOCK_PREFETCH < count)
			ip_prefetch(own[i + SOCK_PREFETCH]);
		/* What an earlier packet of the burst opened or closed was looked up too soon. */
		if (p->lookup)
			p->entry = sock_table_find_again(w->socks_by_flow, p->asked, &p->flow,
							 p->entry);
		protocol->rx(w, p);
	}
	rte_pktmbuf_free_bulk(w->done, w->done_count);
	w->done_count = 0;
}

static uint32_t ip_burst_all(struct worker *w, struct packet *own[])
{
	for (uint16_t i = 0; i < w->burst_count; i++)
		own[i] = &w->burst[i];
	return w->burst_count;
}

void ip_rx_flush(struct worker *w)
{
	struct packet *own[TRANSPORT_BURST];
	uint32_t count;

	if (w->burst_count == 0)
		return;
	count = w->workers > 1 ? ip_steer_burst(w, own) : ip_burst_all(w, own);
	ip_rx_burst(w, own, count);
	w->burst_count = 0;
}

/* The transport burst of packets that were steered here. */
static void ip_rx_flush_steered(struct worker *w)
{
	struct packet *own[TRANSPORT_BURST];

	ip_rx_burst(w, own, ip_burst_all(w, own));
	w->burst_count = 0;
}

void ip_rx_steered(struct worker *w, struct rte_mbuf **pkts, uint16_t count)
{
	ip_rx_flush(w);
	for (uint16_t i = 0; i < count; i++) {
		struct rte_mbuf *m = pkts[i];
		uint16_t index = m->port & STEERED_NETIF;

		if (unlikely(index >= w->netif_count)) {
			worker_drop(w, m, CNT_ip_not_ours); /* the netif is only being added */
		} else if (m->port & STEERED_TX) {
			eth_tx_frame(w, w->netif[index], m);
		} else {
			ipv4_deliver(w, w->netif[index], m, m->port & STEERED_BROADCAST);
			if (w->burst_count == TRANSPORT_BURST)
				ip_rx_flush_steered(w);
		}
	}
	ip_rx_flush_steered(w);
}

/* ---- packets of ours that come back quoted ---- */

bool ip_quote_parse(const void *data, uint32_t length, struct ip_quote *quote)
{
	const struct rte_ipv4_hdr *ip = data;
	const uint8_t *transport;
	uint32_t header_length;

	if (length < sizeof(*ip) || ip->version != IPVERSION)
		return false;
	header_length = rte_ipv4_hdr_len(ip);
	if (header_length < sizeof(*ip) || length < header_length + IP_QUOTE_BYTES ||
	    (ip->fragment_offset & RTE_BE16(RTE_IPV4_HDR_OFFSET_MASK)) != 0)
		return false;
	transport = (const uint8_t *)data + header_length;
	quote->flow = (struct flow){
		.local = inet_addr_v4(ip->src_addr),
		.remote = inet_addr_v4(ip->dst_addr),
		.family = AF_INET,
		.protocol = ip->next_proto_id,
	};
	/* Both TCP and UDP begin with the ports; TCP goes on with the sequence number. */
	memcpy(&quote->flow.local_port, transport, sizeof(rte_be16_t));
	memcpy(&quote->flow.remote_port, transport + 2, sizeof(rte_be16_t));
	memcpy(&quote->sequence, transport + 4, sizeof(rte_be32_t));
	quote->sequence = rte_be_to_cpu_32(quote->sequence);
	return true;
}

void ip_quote_tell(struct worker *w, const struct ip_quote *quote, int error, uint16_t mtu)
{
	const struct ip_protocol *protocol = w->protocols[quote->flow.protocol];

	if (protocol != NULL && protocol->error != NULL)
		protocol->error(w, &quote->flow, quote->sequence, error, mtu);
}
