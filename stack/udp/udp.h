/* SPDX-License-Identifier: BSD-3-Clause */
/* UDP (RFC 768, RFC 1122 section 4.1). */
#ifndef LEAT_UDP_UDP_H
#define LEAT_UDP_UDP_H

#include "net/packet.h"
#include "sock/sock.h"

struct udp_sock {
	struct inet_sock inet;
};

struct udp_worker;

extern const struct proto udp_proto;
extern const struct ip_protocol udp_ip_protocol;

/* The protocol's per-worker state (pool of socks); NULL: no memory. */
struct udp_worker *udp_worker_create(struct worker *w);
void udp_worker_free(struct worker *w);

#endif
