/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets, built from the outside in.  build_finish fills lengths and
 * checksums; afterwards a test may make any byte wrong, and mend the checksums
 * alone with build_checksums where the wrong byte is to be seen behind them:
 *
 *     struct build b;
 *
 *     build_start(&b);
 *     build_eth(&b, &to, &from, RTE_ETHER_TYPE_IPV4);
 *     build_ipv4(&b, IPPROTO_TCP, source, destination);
 *     build_tcp(&b, 40000, 80, seq, ack, TH_SYN, 65535);
 *     build_tcp_mss(&b, 1460);
 *     build_finish(&b);
 *     build_tcp_header(&b)->data_off = 0xf0;
 *     build_checksums(&b);
 *
 * Addresses, ports and numbers are in host order.
 */
#ifndef LEAT_SUPPORT_BUILD_H
#define LEAT_SUPPORT_BUILD_H

#include <netinet/in.h>
#include <rte_arp.h>
#include <rte_ether.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>
#include <stdint.h>

#define BUILD_BYTES_MAX 70000

struct build {
	uint32_t length;
	/* Where each part begins; 0: there is none. */
	uint32_t network;
	uint32_t transport;
	uint32_t payload;
	uint8_t protocol;
	uint8_t data[BUILD_BYTES_MAX] __rte_aligned(2);
};

void build_start(struct build *b);
void build_eth(struct build *b, const struct rte_ether_addr *to, const struct rte_ether_addr *from,
	       uint16_t type);
void build_arp(struct build *b, uint16_t operation, const struct rte_ether_addr *sender_mac,
	       uint32_t sender, const struct rte_ether_addr *target_mac, uint32_t target);
void build_ipv4(struct build *b, uint8_t protocol, uint32_t source, uint32_t destination);
/* Before the transport header; padded to four bytes by build_finish's view of the header length. */
void build_ip_option(struct build *b, const void *option, uint32_t length);
void build_udp(struct build *b, uint16_t source, uint16_t destination);
void build_icmp(struct build *b, uint8_t type, uint8_t code, uint32_t rest_of_header);
void build_tcp(struct build *b, uint16_t source, uint16_t destination, uint32_t seq, uint32_t ack,
	       uint8_t flags, uint16_t window);
/* Options, before the payload; build_finish pads them to four bytes with zeroes. */
void build_tcp_option(struct build *b, const void *option, uint32_t length);
void build_tcp_mss(struct build *b, uint16_t mss);
void build_tcp_window_scale(struct build *b, uint8_t shift);
void build_tcp_timestamp(struct build *b, uint32_t value, uint32_t echo);
void build_tcp_sack_permitted(struct build *b);
/* cookie_bytes 0: the option that asks for one. */
void build_tcp_fastopen(struct build *b, const uint8_t *cookie, uint8_t cookie_bytes);
/* count pairs of start and end. */
void build_tcp_sack(struct build *b, const uint32_t (*blocks)[2], unsigned count);
void build_bytes(struct build *b, const void *data, uint32_t length);
/* The pattern at stream offset (see pattern_byte). */
void build_pattern(struct build *b, uint64_t offset, uint32_t length);

void build_lengths(struct build *b);
void build_checksums(struct build *b);
void build_finish(struct build *b);
/* Cuts the frame itself, whatever its headers say. */
void build_truncate(struct build *b, uint32_t length);

struct rte_ether_hdr *build_eth_header(struct build *b);
struct rte_arp_hdr *build_arp_header(struct build *b);
struct rte_ipv4_hdr *build_ipv4_header(struct build *b);
struct rte_udp_hdr *build_udp_header(struct build *b);
struct rte_tcp_hdr *build_tcp_header(struct build *b);
struct rte_icmp_hdr *build_icmp_header(struct build *b);

/* The byte at offset of the stream all bulk tests send: different at every small distance. */
static inline uint8_t pattern_byte(uint64_t offset)
{
	uint64_t x = offset * 0x9e3779b97f4a7c15;

	return (uint8_t)(x >> 56);
}

void pattern_fill(void *out, uint64_t offset, size_t length);

#endif
