/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two workers on two cores, each with one port of net_ring that leads to the
 * other's, and the application inside both.  To the stack the other is a
 * stranger on the network: all goes through the ports.
 *
 *     pair_begin(&config);
 *     pair_run(turn);
 *     pair_end();
 *
 * The ports offer nothing, so that checksums are the workers' work and there is no TSO; or, as between
 * virtual machines on one host, that nobody computes checksums, as nothing can go wrong; or on top
 * that packets of up to 64 KiB go over in one piece (TSO at one end, LRO at the other).
 */
#ifndef LEAT_BENCH_PAIR_H
#define LEAT_BENCH_PAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "core/worker.h"

#define PAIR_SIDES 2

enum pair_offloads { PAIR_NO_OFFLOADS, PAIR_CHECKSUMS, PAIR_TSO };

struct pair_config {
	enum pair_offloads offloads;
	uint16_t mtu;
	uint32_t copybreak_bytes;
	uint8_t chunk_shift;
	uint32_t buffer_bytes; /* the largest send and receive buffer */
	int core[PAIR_SIDES];
};

/* Exits when something is wrong, like all here.  EAL runs. */
void pair_begin(const struct pair_config *config);

/* The application's part of a side, called between two iterations of its worker on its core; work is
 * what the last one found.  False: it is over. */
typedef bool pair_turn(unsigned side, unsigned work);

/* Side 0 on the calling thread, side 1 on another, until both are over. */
void pair_run(pair_turn *turn);

/* Frees all; side 0's thread, after pair_run. */
void pair_end(void);

struct worker *pair_worker(unsigned side);
/* Host order. */
uint32_t pair_address(unsigned side);

#endif
