/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A leat under the microscope: a worker, an application that has it inside, and
 * a port in memory, all on one thread.  Time is virtual and chance has a fixed
 * seed, so that the same steps execute the same instructions in each run:
 *
 *     lab_begin(1);
 *     lab_receive(m);
 *     lab_poll();
 *     ... leat_recv(), leat_send() ...
 *     lab_poll();
 *     m = lab_sent();
 *     lab_end();
 *
 * The port has no offloads: checksums are the worker's work.
 */
#ifndef LEAT_BENCH_LAB_H
#define LEAT_BENCH_LAB_H

#include <rte_ether.h>
#include <rte_mbuf.h>
#include <stdint.h>

#include "core/worker.h"

#define LAB_ADDRESS 0xc6120001u /* 198.18.0.1; the worker's, */
#define LAB_FAR     0xc6120002u /* and its only neighbour's */
#define LAB_MTU     1500
#define LAB_BURST   32
#define LAB_POLL_US 10 /* passes from one iteration to the next */

extern const struct rte_ether_addr lab_mac;
extern const struct rte_ether_addr lab_far_mac;

#define LAB_WORKERS 2 /* at most */

/* Exits when something is wrong, like all here.  EAL runs.  With two workers the port has one queue,
 * the first one's: that hands over what is for the other, and sends for it. */
void lab_begin(uint16_t workers);
void lab_end(void);

struct worker *lab_worker(uint16_t id);
/* What the first worker has of the application. */
struct arena *lab_arena(void);
uint64_t lab_now_us(void);
/* Lets so much time pass at once. */
void lab_advance_us(uint64_t us);
/* One iteration of each worker, as it is between two turns of the application. */
unsigned lab_poll(void);

/* An mbuf as the port would have taken it for a packet. */
struct rte_mbuf *lab_mbuf(void);
/* The packet waits to be received. */
void lab_receive(struct rte_mbuf *m);
/* The oldest packet sent, which is the caller's to free; NULL: none. */
struct rte_mbuf *lab_sent(void);

#endif
