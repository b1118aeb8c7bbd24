/* SPDX-License-Identifier: BSD-3-Clause */
#include "frame.h"

#include <rte_arp.h>
#include <string.h>

#define WINDOW 65535
#define TTL    64

static uint16_t fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

void frame_template_init(struct frame_template *t, const struct rte_ether_addr *from,
			 uint32_t server, uint16_t server_port, uint8_t protocol,
			 const void *payload, uint32_t payload_bytes)
{
	struct frame_tcp *f = &t->tcp;

	memset(t, 0, sizeof(*t));
	t->server = server;
	t->payload = payload;
	t->payload_bytes = payload_bytes;
	t->payload_sum = rte_raw_cksum(payload, payload_bytes);
	f->eth.src_addr = *from;
	f->eth.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	f->ip.version_ihl = RTE_IPV4_VHL_DEF;
	f->ip.fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
	f->ip.time_to_live = TTL;
	f->ip.next_proto_id = protocol;
	f->ip.dst_addr = rte_cpu_to_be_32(server);
	f->tcp.dst_port = rte_cpu_to_be_16(server_port);
	f->tcp.rx_win = RTE_BE16(WINDOW);
	t->ip_sum = rte_raw_cksum(&f->ip, sizeof(f->ip));
	t->pseudo_sum = (uint64_t)rte_raw_cksum(&f->ip.dst_addr, sizeof(f->ip.dst_addr)) +
			f->tcp.dst_port + RTE_BE16(protocol);
}

void frame_template_resolve(struct frame_template *t, const struct rte_ether_addr *to)
{
	t->tcp.eth.dst_addr = *to;
}

static void make_ip(const struct frame_template *t, struct rte_ipv4_hdr *ip, rte_be32_t from,
		    uint32_t bytes)
{
	ip->src_addr = from;
	ip->total_length = rte_cpu_to_be_16((uint16_t)bytes);
	ip->hdr_checksum = fold(t->ip_sum + from + ip->total_length);
}

void frame_make_tcp(const struct frame_template *t, struct rte_mbuf *m, rte_be32_t from,
		    rte_be16_t from_port, uint32_t seq, uint32_t ack, uint8_t flags, bool data)
{
	struct frame_tcp *f = rte_pktmbuf_mtod(m, struct frame_tcp *);
	bool syn = flags & RTE_TCP_SYN_FLAG;
	uint32_t header_bytes = sizeof(f->tcp) + (syn ? FRAME_SYN_OPTION_BYTES : 0);
	uint32_t tcp_bytes = header_bytes + (data ? t->payload_bytes : 0);
	uint32_t *option = (uint32_t *)(f + 1);
	uint64_t sum = t->pseudo_sum + from + rte_cpu_to_be_16((uint16_t)tcp_bytes);

	*f = t->tcp;
	make_ip(t, &f->ip, from, (uint32_t)sizeof(f->ip) + tcp_bytes);
	f->tcp.src_port = from_port;
	f->tcp.sent_seq = rte_cpu_to_be_32(seq);
	f->tcp.recv_ack = rte_cpu_to_be_32(ack);
	f->tcp.data_off = (uint8_t)(header_bytes / 4 << 4);
	f->tcp.tcp_flags = flags;
	sum += (uint64_t)from_port + f->tcp.sent_seq + f->tcp.recv_ack + f->tcp.rx_win;
	sum += (uint16_t)(f->tcp.data_off | flags << 8);
	if (syn) {
		*option = rte_cpu_to_be_32(2u << 24 | 4u << 16 | FRAME_MSS);
		sum += *option;
	}
	if (data) {
		memcpy(rte_pktmbuf_mtod_offset(m, void *,
					       sizeof(f->eth) + sizeof(f->ip) + header_bytes),
		       t->payload, t->payload_bytes);
		sum += t->payload_sum;
	}
	f->tcp.cksum = fold(sum);
	m->data_len = (uint16_t)(sizeof(f->eth) + sizeof(f->ip) + tcp_bytes);
	m->pkt_len = m->data_len;
}

void frame_make_udp(const struct frame_template *t, struct rte_mbuf *m, rte_be32_t from,
		    rte_be16_t from_port)
{
	struct frame_udp *f = rte_pktmbuf_mtod(m, struct frame_udp *);
	uint32_t udp_bytes = (uint32_t)sizeof(f->udp) + t->payload_bytes;

	memcpy(f, &t->tcp, sizeof(*f));
	make_ip(t, &f->ip, from, (uint32_t)sizeof(f->ip) + udp_bytes);
	f->udp.src_port = from_port;
	f->udp.dgram_len = rte_cpu_to_be_16((uint16_t)udp_bytes);
	f->udp.dgram_cksum = fold(t->pseudo_sum + from + from_port +
				  2 * (uint64_t)f->udp.dgram_len + t->payload_sum);
	memcpy(f + 1, t->payload, t->payload_bytes);
	m->data_len = (uint16_t)(sizeof(f->eth) + sizeof(f->ip) + udp_bytes);
	m->pkt_len = m->data_len;
}

void frame_make_arp(struct rte_mbuf *m, uint16_t operation, const struct rte_ether_addr *from_mac,
		    uint32_t from, const struct rte_ether_addr *to_mac, uint32_t to)
{
	static const struct rte_ether_addr broadcast = {
		.addr_bytes = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	struct rte_arp_hdr *arp = (struct rte_arp_hdr *)(eth + 1);

	memset(eth, 0, sizeof(*eth) + sizeof(*arp));
	eth->src_addr = *from_mac;
	eth->dst_addr = to_mac != NULL ? *to_mac : broadcast;
	eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_ARP);
	arp->arp_hardware = RTE_BE16(RTE_ARP_HRD_ETHER);
	arp->arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	arp->arp_hlen = RTE_ETHER_ADDR_LEN;
	arp->arp_plen = sizeof(uint32_t);
	arp->arp_opcode = rte_cpu_to_be_16(operation);
	arp->arp_data.arp_sha = *from_mac;
	arp->arp_data.arp_sip = rte_cpu_to_be_32(from);
	if (to_mac != NULL)
		arp->arp_data.arp_tha = *to_mac;
	arp->arp_data.arp_tip = rte_cpu_to_be_32(to);
	m->data_len = sizeof(*eth) + sizeof(*arp);
	m->pkt_len = m->data_len;
}
