/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/pool.h"

#include <rte_errno.h>
#include <rte_mbuf.h>
#include <string.h>

#include "support/test.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

#define OBJECTS      100
#define OBJECT_BYTES 72

static void gives_exactly_what_it_holds(void)
{
	struct pool *pool = pool_create("exact", OBJECTS, OBJECT_BYTES, SOCKET_ID_ANY);
	void *object[OBJECTS];

	REQUIRE(pool != NULL);
	CHECK_EQ(pool_used(pool), 0);
	for (int i = 0; i < OBJECTS; i++) {
		object[i] = pool_get(pool);
		REQUIRE(object[i] != NULL);
		memset(object[i], i, OBJECT_BYTES);
	}
	CHECK(pool_get(pool) == NULL);
	CHECK_EQ(pool_used(pool), OBJECTS);
	for (int i = 0; i < OBJECTS; i++) {
		const uint8_t *bytes = object[i];

		for (int b = 0; b < OBJECT_BYTES; b++)
			CHECK_EQ(bytes[b], i); /* objects do not overlap */
		pool_put(pool, object[i]);
	}
	CHECK_EQ(pool_used(pool), 0);
	CHECK(pool_get(pool) != NULL);
	pool_free(pool);
}

static void what_was_freed_last_comes_first(void)
{
	struct pool *pool = pool_create("last", OBJECTS, OBJECT_BYTES, SOCKET_ID_ANY);
	void *object[3];

	REQUIRE(pool != NULL);
	for (int i = 0; i < 3; i++)
		object[i] = pool_get(pool);
	pool_put(pool, object[0]);
	pool_put(pool, object[2]);
	CHECK_EQ(pool_used(pool), 1);
	CHECK(pool_get(pool) == object[2]);
	CHECK(pool_get(pool) == object[0]);
	pool_free(pool);
}

static void objects_begin_cache_lines_and_cost_nothing_else(void)
{
	struct pool *pool = pool_create("lines", OBJECTS, OBJECT_BYTES, SOCKET_ID_ANY);
	uint8_t *first, *second;

	REQUIRE(pool != NULL);
	first = pool_get(pool);
	second = pool_get(pool);
	CHECK_EQ((uintptr_t)first % RTE_CACHE_LINE_SIZE, 0);
	CHECK_EQ(second - first, RTE_CACHE_LINE_ROUNDUP(OBJECT_BYTES));
	pool_free(pool);
}

static void count_it(const struct pool *pool, void *arg)
{
	if (strcmp(pool->name, "walked") == 0)
		*(uint32_t *)arg += 1 + pool_used(pool);
}

static void a_walk_meets_every_pool(void)
{
	struct pool *pool = pool_create("walked", OBJECTS, OBJECT_BYTES, SOCKET_ID_ANY);
	uint32_t met = 0;

	REQUIRE(pool != NULL);
	(void)pool_get(pool);
	pool_walk(count_it, &met);
	CHECK_EQ(met, 2);
	pool_free(pool);
	met = 0;
	pool_walk(count_it, &met);
	CHECK_EQ(met, 0);
	pool_free(NULL);
}

static void refuses_a_name_in_use(void)
{
	struct pool *pool = pool_create("twice", OBJECTS, OBJECT_BYTES, SOCKET_ID_ANY);

	REQUIRE(pool != NULL);
	CHECK(pool_create("twice", OBJECTS, OBJECT_BYTES, SOCKET_ID_ANY) == NULL);
	CHECK_EQ(rte_errno, EEXIST);
	pool_free(pool);
}

static void mbufs_have_headroom_and_room(void)
{
	struct rte_mempool *pool = pool_create_mbufs("mbufs", 64, 2048, SOCKET_ID_ANY);
	struct rte_mbuf *m;

	REQUIRE(pool != NULL);
	m = rte_pktmbuf_alloc(pool);
	REQUIRE(m != NULL);
	CHECK_EQ(rte_pktmbuf_headroom(m), RTE_PKTMBUF_HEADROOM);
	CHECK_EQ(rte_pktmbuf_tailroom(m), 2048);
	memset(rte_pktmbuf_append(m, 2048), 0x5a, 2048);
	CHECK_EQ(pool_mbufs_used(pool), 1);
	rte_pktmbuf_free(m);
	CHECK_EQ(pool_mbufs_used(pool), 0);
	rte_mempool_free(pool);
}

#if defined(__SANITIZE_ADDRESS__)
static void a_free_object_is_poisoned(void)
{
	struct pool *pool = pool_create("poison", OBJECTS, OBJECT_BYTES, SOCKET_ID_ANY);
	struct rte_mempool *mbufs = pool_create_mbufs("poisonm", 64, 2048, SOCKET_ID_ANY);
	struct rte_mbuf *m;
	char *object;

	REQUIRE(pool != NULL && mbufs != NULL);
	object = pool_get(pool);
	CHECK(__asan_region_is_poisoned(object, OBJECT_BYTES) == NULL);
	pool_put(pool, object);
	CHECK(__asan_address_is_poisoned(object));
	CHECK(__asan_address_is_poisoned(object + OBJECT_BYTES - 1));

	m = rte_pktmbuf_alloc(mbufs);
	CHECK(!__asan_address_is_poisoned(rte_pktmbuf_mtod(m, char *)));
	rte_pktmbuf_free(m);
	CHECK(__asan_address_is_poisoned(m));
	pool_free(pool);
	rte_mempool_free(mbufs);
}
#endif

TEST_SUITE(pool)
{
	TEST(gives_exactly_what_it_holds);
	TEST(what_was_freed_last_comes_first);
	TEST(objects_begin_cache_lines_and_cost_nothing_else);
	TEST(a_walk_meets_every_pool);
	TEST(refuses_a_name_in_use);
	TEST(mbufs_have_headroom_and_room);
#if defined(__SANITIZE_ADDRESS__)
	TEST(a_free_object_is_poisoned);
#endif
}
