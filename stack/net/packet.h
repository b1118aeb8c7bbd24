/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A received packet on its way up.  Parsing fills it once, in host order;
 * every length is checked there, so that what comes after can trust it.
 */
#ifndef LEAT_NET_PACKET_H
#define LEAT_NET_PACKET_H

#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/counters.h"
#include "net/addr.h"

/* The low bits of traffic_class: RFC 3168 section 5. */
#define ECN_MASK 3u
#define ECN_ECT0 2u /* the transport is capable */
#define ECN_CE   3u /* congestion experienced */

struct worker;
struct netif;

/* A TCP header in host order with its options; parsing it touches no sock. */
struct tcp_segment {
	uint32_t seq;
	uint32_t ack;
	uint32_t length; /* of the data, without SYN and FIN */
	uint16_t window; /* as sent, unscaled */
	uint16_t urgent;
	uint16_t flags; /* TCP_FLAG_*, see tcp/segment.h */
	/* Options; together, so that parsing sets them with one store. */
	uint16_t mss; /* 0: no option */
	int8_t window_scale; /* -1: no option */
	bool has_timestamp;
	bool sack_permitted;
	uint8_t sack_count;
	bool has_fastopen;
	uint8_t cookie_bytes; /* of has_fastopen; 0: it asks for a cookie */
	uint32_t ts_value;
	uint32_t ts_echo;
	union {
		struct {
			uint32_t start, end;
		} sack[4];
		uint8_t cookie[16]; /* has_fastopen: in a SYN alone, which has no SACK blocks */
	};
};

/* What sock_table holds for a flow: a tagged pointer. */
typedef uintptr_t sock_entry;

struct packet {
	struct rte_mbuf *m; /* data begins at the transport's payload once parsed */
	struct netif *netif;
	const uint8_t *network_header; /* in m's headroom, for ICMP errors */
	struct flow flow;
	uint64_t pseudo_sum; /* of the pseudo header without the length (net/checksum.h) */
	uint32_t length; /* of the transport's payload after parsing */
	uint16_t network_header_length;
	uint16_t asked; /* where it stood in the burst look-up */
	uint8_t ttl;
	uint8_t traffic_class; /* DSCP and ECN */
	bool to_broadcast; /* link or network destination is broadcast or multicast */
	bool lookup; /* may it be for a sock in sock_table? */
	sock_entry entry; /* filled by the burst lookup; 0: none */
	union {
		struct tcp_segment tcp;
	};
};

/*
 * A transport protocol as the network layer sees it.
 */
struct ip_protocol {
	/* p->m's data begins at the transport header, p->length bytes long.  Checks lengths and
	 * checksum, fills p->flow's ports, p->lookup and the protocol's part of p, moves m's data
	 * to the payload.  CNT_MAX: good; else the reason to drop it. */
	enum counter (*parse)(struct worker *w, struct packet *p);
	/* Consumes p->m. */
	void (*rx)(struct worker *w, struct packet *p);
	/* An ICMP error arrived that quotes a packet of ours with this flow (as we sent it:
	 * local is us); sequence is the quoted TCP sequence number, error an errno value, mtu is
	 * non-zero for "fragmentation needed". */
	void (*error)(struct worker *w, const struct flow *flow, uint32_t sequence, int error,
		      uint16_t mtu);
};

#endif
