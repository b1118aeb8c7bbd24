/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pools of equal objects, sized at start, each used by one thread.  A free
 * object holds the link to the next one, so an object costs its size, in whole
 * cache lines, and nothing else: an rte_mempool's would cost 72 bytes and more
 * beside that.  The one freed last is given out first.
 *
 * Under AddressSanitizer an object is poisoned while it lies in its pool, so
 * that a use after free is seen; so are mbufs from pool_create_mbufs.
 */
#ifndef LEAT_LIB_POOL_H
#define LEAT_LIB_POOL_H

#include <rte_branch_prediction.h>
#include <rte_mempool.h>
#include <stdint.h>
#include <sys/queue.h>

#if defined(__SANITIZE_ADDRESS__)
#define POOL_POISON 1
#include <sanitizer/asan_interface.h>
#else
#define POOL_POISON                            0
#define ASAN_POISON_MEMORY_REGION(at, bytes)   ((void)(at), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#endif

#define POOL_NAME_MAX 26 /* with the end */

struct pool_object {
	struct pool_object *next;
};

struct pool {
	struct pool_object *unused; /* given back */
	uint8_t *fresh; /* from here on none was ever given out */
	uint8_t *end;
	uint32_t object_bytes; /* distance between two */
	uint32_t count;
	uint32_t used;
	uint8_t *memory;
	char name[POOL_NAME_MAX];
	LIST_ENTRY(pool) link; /* of all there are */
};

/* name: unique in the process.  NULL: no memory, or the name is in use (rte_errno). */
struct pool *pool_create(const char *name, uint32_t count, uint32_t object_bytes, int socket_id);
/* NULL: nothing. */
void pool_free(struct pool *pool);
/* Calls visit for each pool there is. */
void pool_walk(void (*visit)(const struct pool *pool, void *arg), void *arg);
/* Packet mbufs with the default headroom and data_room_bytes of room behind it; the pool may be
 * used from several threads. */
struct rte_mempool *pool_create_mbufs(const char *name, uint32_t count, uint16_t data_room_bytes,
				      int socket_id);

/* NULL: empty.  The object is not zeroed. */
static inline void *pool_get(struct pool *pool)
{
	struct pool_object *object = pool->unused;

	if (likely(object != NULL)) {
		ASAN_UNPOISON_MEMORY_REGION(object, pool->object_bytes);
		pool->unused = object->next;
	} else {
		if (pool->fresh == pool->end)
			return NULL;
		object = (struct pool_object *)(void *)pool->fresh;
		ASAN_UNPOISON_MEMORY_REGION(object, pool->object_bytes);
		pool->fresh += pool->object_bytes;
	}
	pool->used++;
	return object;
}

static inline void pool_put(struct pool *pool, void *put)
{
	struct pool_object *object = put;

	object->next = pool->unused; /* a second put of an object would be seen here */
	pool->unused = object;
	pool->used--;
	ASAN_POISON_MEMORY_REGION(object, pool->object_bytes);
}

/* Objects taken and not returned. */
static inline uint32_t pool_used(const struct pool *pool)
{
	return pool->used;
}

static inline uint32_t pool_mbufs_used(const struct rte_mempool *pool)
{
	return rte_mempool_in_use_count(pool);
}

#endif
