/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A port in memory.  What a test puts in is received by the worker: each
 * packet's bytes lie in a heap block of their exact length, attached to an
 * mbuf as an external buffer, so that AddressSanitizer sees any read past the
 * end.  What the worker sends is captured as flat copies.  The port does what
 * a NIC would do for the offloads it claims (checksums, segmentation) and
 * fails the test when it is asked for more than it claimed.
 */
#ifndef LEAT_SUPPORT_MEMPORT_H
#define LEAT_SUPPORT_MEMPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "dev/port.h"

#define MEMPORT_QUEUES_MAX 4
#define MEMPORT_UNLIMITED  UINT32_MAX

/* A frame outside any mbuf. */
struct frame {
	TAILQ_ENTRY(frame) link;
	uint64_t at_us; /* when it was sent, or is to arrive */
	uint32_t length;
	uint32_t rx_flags; /* RTE_MBUF_F_RX_* the receiver sees, beside what the port adds */
	uint8_t data[];
};

TAILQ_HEAD(frame_queue, frame);

struct memport {
	struct port port;
	struct frame_queue rx[MEMPORT_QUEUES_MAX];
	struct frame_queue tx;
	uint32_t tx_count; /* length of tx */
	uint32_t tx_room; /* frames it takes before its queue is full; MEMPORT_UNLIMITED */
	uint32_t rx_segment_bytes; /* received packets are cut into mbufs of so many; 0: one mbuf */
	bool lazy; /* sent mbufs are freed when more are sent, as many drivers do */
	bool hold; /* sent mbufs stay with the "hardware" until memport_release */
	uint64_t segmented; /* frames the port itself cut, as TSO does */
	struct rte_mbuf **held;
	uint32_t held_count, held_capacity;
};

/* The rest of port is filled by the caller. */
void memport_init(struct memport *p);
/* Frees frames and held mbufs. */
void memport_fini(struct memport *p);

/* A copy of data waits to be received on queue. */
void memport_inject(struct memport *p, uint16_t queue, const void *data, uint32_t length);
/* The same, with RTE_MBUF_F_RX_* flags of its own. */
void memport_inject_flags(struct memport *p, uint16_t queue, const void *data, uint32_t length,
			  uint32_t rx_flags);

/* The oldest frame sent, which is the caller's to free; NULL: none. */
struct frame *memport_pop(struct memport *p);
/* Frees all frames captured so far; how many they were. */
uint32_t memport_drain(struct memport *p);
/* Frees the mbufs it held. */
void memport_release(struct memport *p);

/* Mbufs of received packets that nobody has freed yet. */
uint32_t memport_mbufs_in_use(void);

struct frame *frame_new(const void *data, uint32_t length);

#endif
