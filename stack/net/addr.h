/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses and flows of both families, in network byte order. */
#ifndef LEAT_NET_ADDR_H
#define LEAT_NET_ADDR_H

#include <leat/abi.h>
#include <netinet/in.h>
#include <rte_byteorder.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* IPv4: the first four bytes, the rest 0, so that comparing 16 bytes compares either family. */
struct inet_addr {
	union {
		uint8_t bytes[16];
		uint64_t words[2];
		rte_be32_t v4;
	};
};

/*
 * The two ends of a packet or of a connection, seen from here: of a received
 * packet, local is the destination.  Also the IPv6 key of sock_table, so it
 * has no padding that is not zero.
 */
struct flow {
	struct inet_addr local;
	struct inet_addr remote;
	rte_be16_t local_port;
	rte_be16_t remote_port;
	uint8_t family; /* AF_INET, AF_INET6 */
	uint8_t protocol; /* IPPROTO_* */
	uint16_t zero;
};
_Static_assert(sizeof(struct flow) == 40, "a flow is 40 bytes");

/* The rest of a flow that has its addresses; the ports are 0. */
static inline void flow_set_protocol(struct flow *f, uint8_t family, uint8_t protocol)
{
	f->local_port = 0;
	f->remote_port = 0;
	f->family = family;
	f->protocol = protocol;
	f->zero = 0;
}

/* Source and destination port are what TCP's and UDP's headers begin with. */
static inline void flow_set_ports_received(struct flow *f, const void *header)
{
	rte_be16_t ports[2];

	memcpy(ports, header, sizeof(ports));
	f->local_port = ports[1];
	f->remote_port = ports[0];
}

/* Ports first: they tell most flows apart. */
static inline bool flow_eq(const struct flow *a, const struct flow *b)
{
	return a->local_port == b->local_port && a->remote_port == b->remote_port &&
	       a->family == b->family && a->protocol == b->protocol &&
	       a->remote.words[0] == b->remote.words[0] &&
	       a->remote.words[1] == b->remote.words[1] && a->local.words[0] == b->local.words[0] &&
	       a->local.words[1] == b->local.words[1];
}

static inline struct inet_addr inet_addr_v4(rte_be32_t v4)
{
	struct inet_addr a = {.words = {0, 0}};

	a.v4 = v4;
	return a;
}

static inline bool inet_addr_eq(const struct inet_addr *a, const struct inet_addr *b)
{
	return a->words[0] == b->words[0] && a->words[1] == b->words[1];
}

/* 0.0.0.0 or :: */
static inline bool inet_addr_is_any(const struct inet_addr *a)
{
	return a->words[0] == 0 && a->words[1] == 0;
}

static inline bool inet_addr_is_multicast(uint8_t family, const struct inet_addr *a)
{
	return family == AF_INET ? (a->bytes[0] & 0xf0) == 0xe0 : a->bytes[0] == 0xff;
}

/* The bits of an IPv4 address that a prefix of this length, at most 32, covers. */
static inline rte_be32_t inet_mask_v4(uint8_t prefix_length)
{
	return prefix_length == 0 ? 0 : rte_cpu_to_be_32(UINT32_MAX << (32 - prefix_length));
}

static inline struct inet_addr leat_addr_inet(const struct leat_addr *a)
{
	struct inet_addr out;

	memcpy(out.bytes, a->addr, sizeof(out.bytes));
	return out;
}

static inline struct leat_addr leat_addr_make(uint8_t family, const struct inet_addr *a,
					      rte_be16_t port)
{
	struct leat_addr out = {.family = family, .port = port};

	memcpy(out.addr, a->bytes, sizeof(out.addr));
	return out;
}

#endif
