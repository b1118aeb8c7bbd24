/* SPDX-License-Identifier: BSD-3-Clause */
/* ICMP (RFC 792, RFC 1122 section 3.2.2): echo, errors in, errors out. */
#ifndef LEAT_NET_ICMP_H
#define LEAT_NET_ICMP_H

#include <stdint.h>

struct worker;
struct packet;

#define ICMP_ERROR_RATE  1000 /* errors sent per second and worker */
#define ICMP_ERROR_BURST 50

/* p->m's data begins at the ICMP header.  Consumes it. */
void icmp_rx(struct worker *w, struct packet *p);

/* Sends an error about p (IP header plus 8 bytes or more quoted), rate-limited, never about a
 * broadcast, a fragment or another error.  Does not consume p->m. */
void icmp_tx_error(struct worker *w, const struct packet *p, uint8_t type, uint8_t code);

#endif
