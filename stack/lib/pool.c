/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/pool.h"

#include <pthread.h>
#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>
#include <stdio.h>
#include <string.h>

static LIST_HEAD(, pool) pools = LIST_HEAD_INITIALIZER(pools);
static pthread_mutex_t pools_lock = PTHREAD_MUTEX_INITIALIZER;

/* False: there is one of that name. */
static bool pool_enter(struct pool *pool)
{
	const struct pool *other;

	pthread_mutex_lock(&pools_lock);
	LIST_FOREACH (other, &pools, link) {
		if (strcmp(other->name, pool->name) == 0)
			break;
	}
	if (other == NULL)
		LIST_INSERT_HEAD(&pools, pool, link);
	pthread_mutex_unlock(&pools_lock);
	return other == NULL;
}

struct pool *pool_create(const char *name, uint32_t count, uint32_t object_bytes, int socket_id)
{
	struct pool *pool = rte_zmalloc_socket("pool", sizeof(*pool), 0, socket_id);
	size_t bytes;

	rte_errno = ENOMEM;
	if (pool == NULL)
		return NULL;
	snprintf(pool->name, sizeof(pool->name), "%s", name);
	pool->count = count;
	pool->object_bytes = RTE_CACHE_LINE_ROUNDUP(object_bytes);
	bytes = (size_t)count * pool->object_bytes;
	pool->memory = rte_malloc_socket("pool_objects", bytes, RTE_CACHE_LINE_SIZE, socket_id);
	if (pool->memory != NULL && !pool_enter(pool)) {
		rte_free(pool->memory);
		pool->memory = NULL;
		rte_errno = EEXIST;
	}
	if (pool->memory == NULL) {
		rte_free(pool);
		return NULL;
	}
	pool->fresh = pool->memory;
	pool->end = pool->memory + bytes;
	ASAN_POISON_MEMORY_REGION(pool->memory, bytes);
	return pool;
}

void pool_free(struct pool *pool)
{
	if (pool == NULL)
		return;
	pthread_mutex_lock(&pools_lock);
	LIST_REMOVE(pool, link);
	pthread_mutex_unlock(&pools_lock);
	ASAN_UNPOISON_MEMORY_REGION(pool->memory, (size_t)(pool->end - pool->memory));
	rte_free(pool->memory);
	rte_free(pool);
}

void pool_walk(void (*visit)(const struct pool *pool, void *arg), void *arg)
{
	const struct pool *pool;

	pthread_mutex_lock(&pools_lock);
	LIST_FOREACH (pool, &pools, link)
		visit(pool, arg);
	pthread_mutex_unlock(&pools_lock);
}

/* ---- mbufs ---------------------------------------------------------------- */

#if POOL_POISON
/*
 * A mempool backend that poisons what lies in it.  Objects must not stop in a
 * per-lcore cache on their way, or they would be seen as still in use.
 */
#include <stdlib.h>

struct poison_stack {
	pthread_mutex_t lock;
	uint32_t count;
	uint32_t size;
	void *objects[];
};

static int poison_alloc(struct rte_mempool *mp)
{
	struct poison_stack *s = calloc(1, sizeof(*s) + mp->size * sizeof(s->objects[0]));

	if (s == NULL)
		return -ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	s->size = mp->size;
	mp->pool_data = s;
	return 0;
}

static void poison_free(struct rte_mempool *mp)
{
	struct poison_stack *s = mp->pool_data;

	for (uint32_t i = 0; i < s->count; i++)
		ASAN_UNPOISON_MEMORY_REGION(s->objects[i], mp->elt_size);
	free(s);
}

static int poison_enqueue(struct rte_mempool *mp, void *const *objects, unsigned int n)
{
	struct poison_stack *s = mp->pool_data;

	pthread_mutex_lock(&s->lock);
	for (unsigned int i = 0; i < n; i++) {
		if (s->count == s->size)
			abort(); /* an object was put back twice */
		ASAN_POISON_MEMORY_REGION(objects[i], mp->elt_size);
		s->objects[s->count++] = objects[i];
	}
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int poison_dequeue(struct rte_mempool *mp, void **objects, unsigned int n)
{
	struct poison_stack *s = mp->pool_data;
	int result = -ENOBUFS;

	pthread_mutex_lock(&s->lock);
	if (s->count >= n) {
		for (unsigned int i = 0; i < n; i++) {
			objects[i] = s->objects[--s->count];
			ASAN_UNPOISON_MEMORY_REGION(objects[i], mp->elt_size);
		}
		result = 0;
	}
	pthread_mutex_unlock(&s->lock);
	return result;
}

static unsigned int poison_count(const struct rte_mempool *mp)
{
	return ((const struct poison_stack *)mp->pool_data)->count;
}

static const struct rte_mempool_ops poison_ops = {
	.name = "leat_poison",
	.alloc = poison_alloc,
	.free = poison_free,
	.enqueue = poison_enqueue,
	.dequeue = poison_dequeue,
	.get_count = poison_count,
};

RTE_MEMPOOL_REGISTER_OPS(poison_ops);

static void pool_unpoison(struct rte_mempool *mp, void *arg, void *object, unsigned int index)
{
	(void)arg;
	(void)index;
	ASAN_UNPOISON_MEMORY_REGION(object, mp->elt_size);
}

static void pool_repoison(struct rte_mempool *mp, void *arg, void *object, unsigned int index)
{
	(void)arg;
	(void)index;
	ASAN_POISON_MEMORY_REGION(object, mp->elt_size);
}
#endif /* POOL_POISON */

#define MBUF_CACHE 256

struct rte_mempool *pool_create_mbufs(const char *name, uint32_t count, uint16_t data_room_bytes,
				      int socket_id)
{
#if POOL_POISON
	struct rte_mempool *mp;
	uint32_t object = sizeof(struct rte_mbuf) + RTE_PKTMBUF_HEADROOM + data_room_bytes;
	struct rte_pktmbuf_pool_private priv = {
		.mbuf_data_room_size = RTE_PKTMBUF_HEADROOM + data_room_bytes,
	};

	mp = rte_mempool_create_empty(name, count, object, 0, sizeof(priv), socket_id, 0);
	if (mp == NULL)
		return NULL;
	rte_pktmbuf_pool_init(mp, &priv);
	if (rte_mempool_set_ops_byname(mp, "leat_poison", NULL) != 0 ||
	    rte_mempool_populate_default(mp) < 0) {
		rte_mempool_free(mp);
		return NULL;
	}
	rte_mempool_obj_iter(mp, pool_unpoison, NULL);
	rte_mempool_obj_iter(mp, rte_pktmbuf_init, NULL);
	rte_mempool_obj_iter(mp, pool_repoison, NULL);
	return mp;
#else
	return rte_pktmbuf_pool_create(name, count, count >= 2048 ? MBUF_CACHE : 0, 0,
				       RTE_PKTMBUF_HEADROOM + data_room_bytes, socket_id);
#endif
}
