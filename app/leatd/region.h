/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory of applications.  One address range is reserved and registered
 * with DPDK once, since only some hundred registrations fit; it is divided
 * into equal places, and application number i has its region, a sealed memfd,
 * mapped at place i.
 */
#ifndef LEATD_REGION_H
#define LEATD_REGION_H

#include <stdbool.h>
#include <stdint.h>

#include "dev/port.h"
#include "shm/session.h"

struct worker_config;

struct regions {
	uint8_t *base;
	uint64_t bytes; /* of the whole range */
	uint64_t region_bytes; /* of one place: whole huge pages */
	uint32_t count;
	bool registered;
	bool huge_pages; /* try them */
	int fault_fd; /* readable once a region faulted: see regions_next_fault */
	uint8_t *faulted; /* [count], set by the signal handler */
	const struct port *ports; /* for DMA */
	uint32_t port_count;
};

struct region {
	uint32_t place;
	int memfd; /* -1: closed */
	uint8_t *base;
	uint64_t bytes;
	bool huge;
};

/* Reserves and registers room for count regions, and handles SIGBUS inside it from now on.
 * 0 or -errno. */
int regions_open(struct regions *rs, uint64_t region_bytes, uint32_t count, bool huge_pages,
		 const struct port *ports, uint32_t port_count);
void regions_close(struct regions *rs);

/* A fresh zeroed region at a free place: 0 or -errno. */
int region_open(struct regions *rs, uint32_t place, struct region *r);
/* Unmaps it; no mbuf may refer to it any more. */
void region_close(struct regions *rs, struct region *r);

/* Puts each worker's chunks on its NUMA node, where there are several. */
void region_place(const struct region *r, const struct leat_region *layout,
		  const struct worker_config *const workers[]);

/* A region that faulted and has been replaced by anonymous memory; UINT32_MAX: none (any more). */
uint32_t regions_next_fault(struct regions *rs);

#endif
