/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pools of equal objects, sized at start: rte_mempool used by one thread.
 * Under AddressSanitizer an object is poisoned while it lies in its pool, so
 * that a use after free is seen; so are mbufs from pool_create_mbufs.
 */
#ifndef LEAT_LIB_POOL_H
#define LEAT_LIB_POOL_H

#include <rte_mempool.h>
#include <stdint.h>

/* name: unique in the process, at most 25 characters.  NULL: no memory (rte_errno). */
struct rte_mempool *pool_create(const char *name, uint32_t count, uint32_t object_bytes,
				int socket_id);
/* Packet mbufs with the default headroom and data_room_bytes of room behind it; the pool may be
 * used from several threads. */
struct rte_mempool *pool_create_mbufs(const char *name, uint32_t count, uint16_t data_room_bytes,
				      int socket_id);

/* NULL: empty.  The object is not zeroed. */
static inline void *pool_get(struct rte_mempool *pool)
{
	void *object;

	return rte_mempool_get(pool, &object) == 0 ? object : NULL;
}

static inline void pool_put(struct rte_mempool *pool, void *object)
{
	rte_mempool_put(pool, object);
}

/* Objects taken and not returned. */
static inline uint32_t pool_used(const struct rte_mempool *pool)
{
	return rte_mempool_in_use_count(pool);
}

#endif
