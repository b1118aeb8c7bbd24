/* SPDX-License-Identifier: BSD-3-Clause */
/* UDP (RFC 768, RFC 1122 section 4.1). */
#ifndef LEAT_UDP_UDP_H
#define LEAT_UDP_UDP_H

#include "net/packet.h"
#include "sock/sock.h"

#define UDP_HEADER_BYTES 8
#define UDP_DATAGRAM_MAX 65507 /* data of the largest datagram IPv4 can carry */
#define UDP_OUTPUT_MAX   32 /* datagrams of one sock in one iteration */

struct udp_sock {
	struct inet_sock inet;
	struct inet_addr dst_remote; /* whom inet.dst leads to */
	bool address_bound; /* bind named the local address */
	bool tx_shut; /* SHUT_WR, of what comes after ... */
	bool broadcast; /* SO_BROADCAST */
	uint64_t tx_shut_offset; /* ... this send ring offset */
};

struct udp_worker;

extern const struct proto udp_proto;
extern const struct ip_protocol udp_ip_protocol;

/* The protocol's per-worker state (pool of socks); NULL: no memory. */
struct udp_worker *udp_worker_create(struct worker *w);
void udp_worker_free(struct worker *w);

/* proto->setsockopt and getsockopt. */
int udp_setsockopt(struct worker *w, struct sock *sk, const struct sock_option *option);
int udp_getsockopt(struct worker *w, struct sock *sk, struct sock_option *option);

/* proto->sync and output: takes datagrams out of the send ring. */
void udp_sync(struct worker *w, struct sock *sk);
void udp_output(struct worker *w, struct sock *sk);

/* Makes inet.dst lead to remote: 0, -ENETUNREACH, -EACCES (broadcast), -ENOBUFS. */
int udp_resolve(struct worker *w, struct udp_sock *udp, const struct inet_addr *remote);

/* Off every table and list, back into the pool. */
void udp_free(struct worker *w, struct udp_sock *udp);

static inline struct udp_sock *udp_sock(struct sock *sk)
{
	return (struct udp_sock *)sk;
}

#endif
