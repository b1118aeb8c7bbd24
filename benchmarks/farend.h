/* SPDX-License-Identifier: BSD-3-Clause */
/* The other ends of a lab's connections: they send what TCP would, on a network that loses
 * nothing, and believe what they get.  Their SYNs offer what Linux offers. */
#ifndef LEAT_BENCH_FAREND_H
#define LEAT_BENCH_FAREND_H

#include <rte_tcp.h>
#include <stdint.h>

struct rte_mbuf;

#define FAREND_PORT 80 /* that they connect to */
#define FAREND_MAX  8192
#define FAREND_MSS  1448 /* with timestamps on an MTU of 1500 */

struct farend {
	uint16_t port; /* its own, host order */
	uint32_t seq; /* of the next byte it sends */
	uint32_t ack; /* the next byte it expects */
	uint32_t ts_recent; /* of the worker's clock */
	uint64_t bytes; /* of data received so far */
};

/* Number n, for good: its port follows from it. */
struct farend *farend(uint32_t n);
/* A segment of it, with so many bytes. */
struct rte_mbuf *farend_segment(struct farend *f, uint8_t flags, uint32_t length);
/* ... that waits to be received. */
void farend_send(struct farend *f, uint8_t flags, uint32_t length);
/* Takes all that was sent to whoever it is for; how many packets. */
uint32_t farends_take(void);

/* A socket that listens for them. */
int farends_listen(void);
/* Farend n connects to listener; the descriptor of the connection. */
int farend_connect(uint32_t n, int listener);

/* A datagram from farend n's port. */
void farend_send_datagram(uint32_t n, uint32_t length);

#endif
