/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a sent frame must look like, in parts that compose:
 *
 *     CHECK_FRAME(f, IS_TCP, TCP_FLAGS_ARE(TH_SYN | TH_ACK), TCP_ACK_IS(peer.isn + 1),
 *                 TCP_MSS_IS(1460), PAYLOAD_IS(0));
 *
 * Lengths and all checksums are checked in any case.  Values are in host order.
 */
#ifndef LEAT_SUPPORT_CHECK_H
#define LEAT_SUPPORT_CHECK_H

#include <netinet/tcp.h> /* TH_SYN and its like */
#include <rte_ether.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/packet.h"
#include "support/memport.h"

/* A frame taken apart; pointers lead into it. */
struct seen {
	bool good; /* lengths and checksums are right */
	uint32_t length;
	const struct rte_ether_hdr *eth;
	uint16_t ether_type;

	uint16_t arp_operation;
	struct rte_ether_addr arp_sender_mac, arp_target_mac;
	uint32_t arp_sender, arp_target;

	uint8_t ip_protocol, ip_ttl, ip_traffic_class;
	uint16_t ip_id;
	bool ip_dont_fragment;
	uint32_t ip_source, ip_destination;
	uint32_t ip_length;

	uint16_t source_port, destination_port;
	struct tcp_segment tcp; /* its flags are TH_* bits */
	uint8_t icmp_type, icmp_code;
	uint32_t icmp_rest;
	const uint8_t *payload;
	uint32_t payload_length;
};

/* Parses; records a failure at file and line for every length or checksum that is wrong. */
struct seen frame_see(const struct frame *f, const char *file, int line);
#define FRAME_SEE(f) frame_see(f, __FILE__, __LINE__)

enum check_field {
	CHECK_END,
	CHECK_LENGTH,
	CHECK_ETHER_TYPE,
	CHECK_ARP_OPERATION,
	CHECK_ARP_SENDER,
	CHECK_ARP_TARGET,
	CHECK_IP_PROTOCOL,
	CHECK_IP_TTL,
	CHECK_IP_TRAFFIC_CLASS,
	CHECK_IP_SOURCE,
	CHECK_IP_DESTINATION,
	CHECK_IP_LENGTH,
	CHECK_SOURCE_PORT,
	CHECK_DESTINATION_PORT,
	CHECK_TCP_SEQ,
	CHECK_TCP_ACK,
	CHECK_TCP_FLAGS,
	CHECK_TCP_FLAGS_SET,
	CHECK_TCP_WINDOW,
	CHECK_TCP_URGENT,
	CHECK_TCP_MSS,
	CHECK_TCP_WINDOW_SCALE,
	CHECK_TCP_HAS_TIMESTAMP,
	CHECK_TCP_TS_ECHO,
	CHECK_ICMP_TYPE,
	CHECK_ICMP_CODE,
	CHECK_PAYLOAD_LENGTH,
	CHECK_PAYLOAD_PATTERN,
	CHECK_ETH_TO,
	CHECK_ETH_FROM,
};

struct check {
	enum check_field field;
	uint64_t value;
	uint64_t more;
};

/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define IS(which, is)          ((struct check){.field = CHECK_##which, .value = (uint64_t)(is)})

#define LENGTH_IS(n)           IS(LENGTH, n)
#define IS_ARP                 IS(ETHER_TYPE, RTE_ETHER_TYPE_ARP)
#define IS_IPV4                IS(ETHER_TYPE, RTE_ETHER_TYPE_IPV4)
#define ARP_OPERATION_IS(n)    IS(ARP_OPERATION, n)
#define ARP_SENDER_IS(a)       IS(ARP_SENDER, a)
#define ARP_TARGET_IS(a)       IS(ARP_TARGET, a)
#define IS_TCP                 IS(IP_PROTOCOL, IPPROTO_TCP)
#define IS_UDP                 IS(IP_PROTOCOL, IPPROTO_UDP)
#define IS_ICMP                IS(IP_PROTOCOL, IPPROTO_ICMP)
#define IP_TTL_IS(n)           IS(IP_TTL, n)
#define IP_TRAFFIC_CLASS_IS(n) IS(IP_TRAFFIC_CLASS, n)
#define IP_SOURCE_IS(a)        IS(IP_SOURCE, a)
#define IP_DESTINATION_IS(a)   IS(IP_DESTINATION, a)
#define IP_LENGTH_IS(n)        IS(IP_LENGTH, n)
#define SOURCE_PORT_IS(n)      IS(SOURCE_PORT, n)
#define DESTINATION_PORT_IS(n) IS(DESTINATION_PORT, n)
#define TCP_SEQ_IS(n)          IS(TCP_SEQ, (uint32_t)(n))
#define TCP_ACK_IS(n)          IS(TCP_ACK, (uint32_t)(n))
/* Exactly these flags, PSH aside. */
#define TCP_FLAGS_ARE(n) IS(TCP_FLAGS, n)
/* At least these flags. */
#define TCP_FLAGS_HAVE(n) IS(TCP_FLAGS_SET, n)
#define TCP_WINDOW_IS(n)  IS(TCP_WINDOW, n)
/* The urgent pointer; 0: no URG. */
#define TCP_URGENT_IS(n)       IS(TCP_URGENT, n)
#define TCP_MSS_IS(n)          IS(TCP_MSS, n) /* 0: no such option */
#define TCP_WINDOW_SCALE_IS(n) IS(TCP_WINDOW_SCALE, (int64_t)(n)) /* -1: no such option */
#define TCP_HAS_TIMESTAMP(yes) IS(TCP_HAS_TIMESTAMP, yes)
#define TCP_TS_ECHO_IS(n)      IS(TCP_TS_ECHO, (uint32_t)(n))
#define ICMP_TYPE_IS(n)        IS(ICMP_TYPE, n)
#define ICMP_CODE_IS(n)        IS(ICMP_CODE, n)
#define PAYLOAD_IS(n)          IS(PAYLOAD_LENGTH, n)
/* n bytes of the pattern, from stream offset on. */
#define PAYLOAD_IS_PATTERN(offset, n) \
	((struct check){.field = CHECK_PAYLOAD_PATTERN, .value = (offset), .more = (n)})
#define ETH_TO(mac)   ((struct check){.field = CHECK_ETH_TO, .value = (uintptr_t)(mac)})
#define ETH_FROM(mac) ((struct check){.field = CHECK_ETH_FROM, .value = (uintptr_t)(mac)})
/* NOLINTEND(bugprone-macro-parentheses) */

/* True when all hold. f may be NULL: one failure. */
bool frame_check(const struct frame *f, const struct check *checks, const char *file, int line);
#define CHECK_FRAME(f, ...)                                                                 \
	frame_check(f, (const struct check[]){__VA_ARGS__, {.field = CHECK_END}}, __FILE__, \
		    __LINE__)

#endif
