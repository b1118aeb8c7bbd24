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

#define IPV4_FRAGMENT  RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)

#define IP_OPTION_END  0
#define IP_OPTION_NOP  1
#define IP_OPTION_LSRR 131
#define IP_OPTION_SSRR 137

/* ---- up ---- */

static inline bool ipv4_checksum_good(const struct rte_mbuf *m, const struct rte_ipv4_hdr *ip,
				      uint32_t header_length)
{
	uint64_t said = m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;

	if (said != RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN)
		return said != RTE_MBUF_F_RX_IP_CKSUM_BAD;
	return checksum_is_good(header_length == sizeof(*ip) ? checksum_sum_ipv4(ip)
							     : checksum_sum(0, ip, header_length));
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

static inline bool ipv4_is_local(const struct worker *w, rte_be32_t address)
{
	for (uint16_t i = 0; i < w->netif_count; i++)
		if (w->netif[i]->address.v4 == address)
			return true;
	return false;
}

/* RFC 1122, section 3.2.1.3: what no packet from elsewhere may have as its source. */
static inline bool ipv4_source_valid(const struct worker *w, const struct netif *n,
				     rte_be32_t source)
{
	uint32_t host = rte_be_to_cpu_32(source);

	return host >> 24 != 0 && host >> 24 != IN_LOOPBACKNET && host >> 28 < 0xe &&
	       source != n->address.v4 && !(n->prefix_length < 31 && source == n->broadcast) &&
	       (w->netif_count == 1 || !ipv4_is_local(w, source));
}

/* Of this host, or of all; nearly always it is the interface's own. */
static bool ipv4_is_ours(const struct worker *w, const struct netif *n, rte_be32_t address)
{
	struct inet_addr to = inet_addr_v4(address);

	return ipv4_is_local(w, address) || netif_is_broadcast(n, &to);
}

/* Is it what nearly every packet is, and good? */
static inline bool ipv4_is_ordinary(const struct worker *w, const struct netif *n,
				    const struct rte_mbuf *m)
{
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *);

	return m->data_len >= sizeof(*ip) && /* a header? */
	       ip->version_ihl == RTE_IPV4_VHL_DEF && /* without options? */
	       rte_be_to_cpu_16(ip->total_length) == m->pkt_len && /* nothing behind it? */
	       !(ip->fragment_offset & IPV4_FRAGMENT) && /* whole? */
	       ip->dst_addr == n->address.v4 && /* for us? */
	       ipv4_source_valid(w, n, ip->src_addr) && /* from somebody else? */
	       ipv4_checksum_good(m, ip, sizeof(*ip));
}

/* The header of any, once; trims the frame to the packet.  CNT_MAX: good. */
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
	if (!ipv4_checksum_good(m, ip, header_length))
		return CNT_ip_checksum;
	if (!ipv4_source_valid(w, n, ip->src_addr))
		return CNT_ip_source;
	if (!ipv4_is_ours(w, n, ip->dst_addr))
		return CNT_ip_not_ours;
	if ((ip->fragment_offset & IPV4_FRAGMENT) != 0)
		return CNT_ip_fragment;
	if (header_length > sizeof(*ip))
		why = ipv4_check_options(ip);
	return why;
}

/* What is read is read before anything is written: they might be the same to the compiler. */
static inline void packet_init(struct packet *p, struct netif *n, struct rte_mbuf *m,
			       uint16_t header_length, bool to_broadcast)
{
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *);
	rte_be32_t local = ip->dst_addr, remote = ip->src_addr;
	uint8_t protocol = ip->next_proto_id;

	p->flow.local = inet_addr_v4(local);
	p->flow.remote = inet_addr_v4(remote);
	flow_set_protocol(&p->flow, AF_INET, protocol);
	p->pseudo_sum = checksum_sum_pseudo_v4(local, remote, protocol);
	p->ttl = ip->time_to_live;
	p->traffic_class = ip->type_of_service;
	p->to_broadcast = to_broadcast;
	p->network_header = (const uint8_t *)ip;
	p->network_header_length = header_length;
	p->entry = 0;
	p->m = m;
	p->netif = n;
	eth_skip(m, header_length);
	p->length = m->pkt_len;
}

/* Its protocol does not want it, or there is none. */
static __rte_noinline void ipv4_refuse(struct worker *w, struct packet *p, enum counter why)
{
	if (why == CNT_ip_protocol)
		icmp_tx_error(w, p, ICMP_DEST_UNREACH, ICMP_PROT_UNREACH);
	worker_drop(w, p->m, why);
}

/* A packet whose IP header is good, to its protocol: ICMP at once, others into the burst, in which
 * there is room. */
static void ipv4_deliver(struct worker *w, struct netif *n, struct rte_mbuf *m,
			 uint16_t header_length, bool to_broadcast)
{
	struct packet *p = &w->burst[w->burst_count];
	const struct ip_protocol *protocol;
	enum counter why;

	leat_assert(w->burst_count < TRANSPORT_BURST);
	packet_init(p, n, m, header_length, to_broadcast);
	if (unlikely(p->flow.protocol == IPPROTO_ICMP)) {
		icmp_rx(w, p);
		return;
	}
	protocol = w->protocols[p->flow.protocol];
	if (unlikely(protocol == NULL)) {
		ipv4_refuse(w, p, CNT_ip_protocol);
		return;
	}
	why = protocol->parse(w, p);
	if (unlikely(why != CNT_MAX))
		ipv4_refuse(w, p, why);
	else
		w->burst_count++;
}

/* The same of one that need not be ordinary, or to n's own address. */
static void ipv4_deliver_any(struct worker *w, struct netif *n, struct rte_mbuf *m,
			     bool link_broadcast)
{
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *);
	struct inet_addr to = inet_addr_v4(ip->dst_addr);

	ipv4_deliver(w, n, m, rte_ipv4_hdr_len(ip), link_broadcast || netif_is_broadcast(n, &to));
}

static __rte_noinline void ipv4_rx_any(struct worker *w, struct netif *n, struct rte_mbuf *m,
				       bool link_broadcast)
{
	enum counter why = ipv4_check(w, n, m);

	if (why != CNT_MAX)
		worker_drop(w, m, why);
	else
		ipv4_deliver_any(w, n, m, link_broadcast);
}

void ipv4_rx(struct worker *w, struct netif *n, struct rte_mbuf *m, bool link_broadcast)
{
	if (likely(ipv4_is_ordinary(w, n, m)))
		ipv4_deliver(w, n, m, sizeof(struct rte_ipv4_hdr), link_broadcast);
	else
		ipv4_rx_any(w, n, m, link_broadcast);
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
 * socks are on their way into the cache then.  What packet p is to find is entries[p->asked]. */
static void ip_find_burst(struct worker *w, struct packet *const own[], uint32_t count,
			  sock_entry entries[])
{
	const struct flow *flows[TRANSPORT_BURST];
	uint32_t n = 0;

	for (uint32_t i = 0; i < count; i++) {
		const struct flow *flow = &own[i]->flow;

		if (!own[i]->lookup)
			continue;
		if (n == 0 || !flow_eq(flow, flows[n - 1]))
			flows[n++] = flow;
		own[i]->asked = (uint16_t)(n - 1);
	}
	if (n == 0)
		return;
	sock_table_find_burst(w->socks_by_flow, flows, n, entries);
	for (uint32_t i = 0; i < n; i++)
		rte_prefetch0(sock_entry_pointer(entries[i]));
}

/* The lines after the first of what is about to be met. */
static inline void ip_prefetch(sock_entry entry)
{
	const uint8_t *object = sock_entry_pointer(entry);

#pragma GCC unroll 8
	for (uint32_t line = 1; line < SOCK_HOT_LINES; line++)
		rte_prefetch0(object + (size_t)line * RTE_CACHE_LINE_SIZE);
}

/* Each packet to its protocol, with the sock of a later one being fetched meanwhile. */
static void ip_rx_burst(struct worker *w, struct packet *own[], uint32_t count)
{
	sock_entry entries[TRANSPORT_BURST];

	ip_find_burst(w, own, count, entries);
	for (uint32_t i = 0; i < count; i++) {
		struct packet *p = own[i];

		if (i + SOCK_PREFETCH < count && own[i + SOCK_PREFETCH]->lookup)
			ip_prefetch(entries[own[i + SOCK_PREFETCH]->asked]);
		/* What an earlier packet of the burst opened or closed was looked up too soon. */
		if (p->lookup)
			p->entry = sock_table_find_again(w->socks_by_flow, p->asked, &p->flow,
							 entries[p->asked]);
		w->protocols[p->flow.protocol]->rx(w, p);
	}
	worker_free_done(w);
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
			if (w->burst_count == TRANSPORT_BURST)
				ip_rx_flush_steered(w);
			ipv4_deliver_any(w, w->netif[index], m, m->port & STEERED_BROADCAST);
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
