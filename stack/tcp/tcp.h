/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP as the rest of the stack sees it. */
#ifndef LEAT_TCP_TCP_H
#define LEAT_TCP_TCP_H

#include "net/packet.h"
#include "sock/sock.h"

extern const struct proto tcp_proto;
extern const struct ip_protocol tcp_ip_protocol;

/* The protocol's per-worker state (pools of socks, requests, TIME_WAIT); NULL: no memory. */
struct tcp_worker *tcp_worker_create(struct worker *w);
void tcp_worker_free(struct worker *w);

/* The state's name as RFC 9293 writes it. */
const char *tcp_state_name(uint8_t state);

#endif
