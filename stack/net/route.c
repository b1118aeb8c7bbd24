/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A host has few routes, and a sock keeps the answer: so the trie alone
 * (RTE_FIB_DUMMY) is used, which takes no 16 MiB per worker as the direct
 * look-up table of a router does.
 */
#include "net/route.h"

#include <errno.h>
#include <rte_fib.h>
#include <rte_rib.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/worker.h"
#include "net/arp.h"

#define ROUTE_NONE       UINT64_MAX
#define ROUTE_NAME_BYTES 32

/* Connections come and go between few hosts, or through one gateway's: what was resolved last. */
#define DST_CACHE_SIZE 256u /* a power of two */

struct dst_cached {
	struct inet_addr remote;
	struct dst dst;
};

struct route_table {
	struct rte_fib *fib;
	struct dst_cached cache[DST_CACHE_SIZE]; /* by the last bits of the address */
};

struct route_table *route_table_create(uint16_t id, int socket_id)
{
	static atomic_uint serial; /* several stacks of one process may use the same ids */
	struct rte_fib_conf conf = {
		.type = RTE_FIB_DUMMY, .default_nh = ROUTE_NONE, .max_routes = ROUTE_MAX};
	struct route_table *t = calloc(1, sizeof(*t));
	char name[ROUTE_NAME_BYTES];

	if (t == NULL)
		return NULL;
	snprintf(name, sizeof(name), "leat_route_%u_%u", id, atomic_fetch_add(&serial, 1));
	t->fib = rte_fib_create(name, socket_id, &conf);
	if (t->fib == NULL) {
		free(t);
		return NULL;
	}
	return t;
}

void route_table_free(struct route_table *t)
{
	if (t == NULL)
		return;
	rte_fib_free(t->fib);
	free(t);
}

/* A next hop is the route itself: netif above, IPv4 gateway below. */
static uint64_t route_pack(const struct route *route)
{
	return (uint64_t)route->netif << 32 | route->gateway.v4;
}

static void route_unpack(uint64_t next_hop, struct route *route)
{
	route->netif = next_hop >> 32;
	route->gateway = inet_addr_v4((uint32_t)next_hop);
}

void route_changed(struct worker *w)
{
	if (++w->route_generation == 0)
		w->route_generation = 1;
}

static bool route_exists(const struct route_table *t, uint32_t prefix, uint8_t prefix_length)
{
	return rte_rib_lookup_exact(rte_fib_get_rib(t->fib), prefix, prefix_length) != NULL;
}

/* The prefix in host order, without the bits behind its length. */
static uint32_t route_prefix(const struct inet_addr *prefix, uint8_t prefix_length)
{
	return rte_be_to_cpu_32(prefix->v4 & inet_mask_v4(prefix_length));
}

int route_add(struct worker *w, const struct inet_addr *prefix, uint8_t prefix_length,
	      const struct route *route)
{
	uint32_t address;
	int err;

	if (prefix_length > 32 || route->netif >= w->netif_count)
		return -EINVAL;
	address = route_prefix(prefix, prefix_length);
	if (route_exists(w->routes, address, prefix_length))
		return -EEXIST;
	err = rte_fib_add(w->routes->fib, address, prefix_length, route_pack(route));
	if (err != 0)
		return err == -ENOMEM ? -ENOSPC : err;
	route_changed(w);
	return 0;
}

int route_delete(struct worker *w, const struct inet_addr *prefix, uint8_t prefix_length)
{
	uint32_t address;
	int err;

	if (prefix_length > 32)
		return -EINVAL;
	address = route_prefix(prefix, prefix_length);
	if (!route_exists(w->routes, address, prefix_length))
		return -ENOENT;
	err = rte_fib_delete(w->routes->fib, address, prefix_length);
	if (err == 0)
		route_changed(w);
	return err;
}

int route_lookup(struct worker *w, uint8_t family, const struct inet_addr *to, struct route *route)
{
	uint32_t address = rte_be_to_cpu_32(to->v4);
	uint64_t next_hop;

	if (family != AF_INET)
		return -ENETUNREACH;
	if (rte_fib_lookup_bulk(w->routes->fib, &address, &next_hop, 1) != 0 ||
	    next_hop == ROUTE_NONE)
		return -ENETUNREACH;
	route_unpack(next_hop, route);
	return 0;
}

static int dst_look_up(struct worker *w, struct dst *dst, uint8_t family,
		       const struct inet_addr *remote)
{
	struct route route;
	struct netif *n;
	struct neigh *neigh;
	int err = route_lookup(w, family, remote, &route);

	if (err != 0)
		return err;
	n = w->netif[route.netif];
	/* Only unicast is sent, and not to oneself: no neighbour would answer. */
	if (inet_addr_is_any(remote) || inet_addr_is_multicast(family, remote) ||
	    netif_is_broadcast(n, remote) || netif_is_local(w, remote))
		return -ENETUNREACH;
	neigh = neigh_get(w, n, inet_addr_is_any(&route.gateway) ? remote : &route.gateway);
	if (neigh == NULL)
		return -ENOBUFS;
	dst->neigh = neigh;
	dst->netif = route.netif;
	dst->mtu = n->mtu;
	dst->generation = w->route_generation;
	return 0;
}

int dst_resolve_slow(struct worker *w, struct dst *dst, uint8_t family,
		     const struct inet_addr *remote)
{
	struct dst_cached *c = &w->routes->cache[remote->bytes[3] % DST_CACHE_SIZE];
	int err;

	if (family != AF_INET)
		return dst_look_up(w, dst, family, remote);
	if (c->dst.generation == w->route_generation && inet_addr_eq(&c->remote, remote)) {
		*dst = c->dst;
		return 0;
	}
	err = dst_look_up(w, dst, family, remote);
	if (err == 0)
		*c = (struct dst_cached){*remote, *dst};
	return err;
}
