/* SPDX-License-Identifier: BSD-3-Clause */
/* Routes by prefix (rte_fib), and the answer a sock keeps. */
#ifndef LEAT_NET_ROUTE_H
#define LEAT_NET_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "net/addr.h"

struct worker;
struct neigh;
struct route_table;

struct route {
	uint8_t netif; /* index in worker.netif */
	struct inet_addr gateway; /* any: on link */
};

/*
 * A looked-up route, kept by whoever sends often.  Valid while generation
 * equals the worker's route_generation.  Zero it before first use.
 */
struct dst {
	uint32_t generation; /* 0: never resolved */
	uint16_t mtu;
	uint8_t netif;
	struct neigh *neigh;
};

/* Per worker.  NULL: out of memory.  id makes its name unique in the process. */
struct route_table *route_table_create(uint16_t id, int socket_id);
void route_table_free(struct route_table *t);

#define ROUTE_MAX 1024 /* routes of one worker */

/* 0, -EEXIST, -ENOENT, -ENOSPC, -EINVAL.  They raise w->route_generation; bits of
 * prefix behind its length do not count. */
int route_add(struct worker *w, const struct inet_addr *prefix, uint8_t prefix_length,
	      const struct route *route);
int route_delete(struct worker *w, const struct inet_addr *prefix, uint8_t prefix_length);

/* Routes, addresses or neighbours changed: no dst is valid any more. */
void route_changed(struct worker *w);

/* 0 or -ENETUNREACH. */
int route_lookup(struct worker *w, uint8_t family, const struct inet_addr *to, struct route *route);

/* Makes dst valid for this remote address: 0, -ENETUNREACH, -ENOBUFS (neighbour table full). */
int dst_resolve_slow(struct worker *w, struct dst *dst, uint8_t family,
		     const struct inet_addr *remote);

/* The same where dst may be valid already.  A macro because struct worker is not complete here;
 * w and dst are evaluated twice. */
#define dst_resolve(w, dst, family, remote)         \
	((dst)->generation == (w)->route_generation \
		 ? 0                                \
		 : dst_resolve_slow((w), (dst), (family), (remote)))

#endif
