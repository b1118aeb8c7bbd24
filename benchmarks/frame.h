/* SPDX-License-Identifier: BSD-3-Clause */
/* Ethernet, IPv4, TCP and UDP frames of the load generator, made from a template. */
#ifndef LEAT_BENCHMARKS_FRAME_H
#define LEAT_BENCHMARKS_FRAME_H

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>
#include <rte_udp.h>
#include <stdbool.h>
#include <stdint.h>

#define FRAME_SYN_OPTION_BYTES 4 /* maximum segment size */
#define FRAME_MSS              1460

struct frame_tcp {
	struct rte_ether_hdr eth;
	struct rte_ipv4_hdr ip;
	struct rte_tcp_hdr tcp;
} __rte_packed __rte_aligned(2);

struct frame_udp {
	struct rte_ether_hdr eth;
	struct rte_ipv4_hdr ip;
	struct rte_udp_hdr udp;
} __rte_packed __rte_aligned(2);

/* Who sends to whom, what is the same in all frames, and its checksums. */
struct frame_template {
	struct frame_tcp tcp;
	uint32_t server; /* host order */
	const uint8_t *payload;
	uint32_t payload_bytes;
	uint32_t payload_sum;
	uint64_t ip_sum; /* of the IPv4 header without source and length */
	uint64_t pseudo_sum; /* of addresses and ports, without the source's */
};

void frame_template_init(struct frame_template *t, const struct rte_ether_addr *from,
			 uint32_t server, uint16_t server_port, uint8_t protocol,
			 const void *payload, uint32_t payload_bytes);
/* The server's address was learned. */
void frame_template_resolve(struct frame_template *t, const struct rte_ether_addr *to);

/* A segment with these RTE_TCP_*_FLAG; data: with the payload. */
void frame_make_tcp(const struct frame_template *t, struct rte_mbuf *m, rte_be32_t from,
		    rte_be16_t from_port, uint32_t seq, uint32_t ack, uint8_t flags, bool data);
/* A datagram with the payload. */
void frame_make_udp(const struct frame_template *t, struct rte_mbuf *m, rte_be32_t from,
		    rte_be16_t from_port);
/* Who has to? from_mac and from ask; operation is RTE_ARP_OP_*. */
void frame_make_arp(struct rte_mbuf *m, uint16_t operation, const struct rte_ether_addr *from_mac,
		    uint32_t from, const struct rte_ether_addr *to_mac, uint32_t to);

#endif
