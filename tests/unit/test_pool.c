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
	struct rte_mempool *pool = pool_create("exact", OBJECTS, OBJECT_BYTES, SOCKET_ID_ANY);
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
	rte_mempool_free(pool);
}

static void counts_objects_in_a_cache_as_free(void)
{
	struct rte_mempool *pool = pool_create("cached", 4096, OBJECT_BYTES, SOCKET_ID_ANY);
	void *object[OBJECTS];

	REQUIRE(pool != NULL);
	for (int i = 0; i < OBJECTS; i++)
		object[i] = pool_get(pool);
	CHECK_EQ(pool_used(pool), OBJECTS);
	for (int i = 0; i < OBJECTS; i++)
		pool_put(pool, object[i]);
	CHECK_EQ(pool_used(pool), 0);
	rte_mempool_free(pool);
}

static void refuses_a_name_in_use(void)
{
	struct rte_mempool *pool = pool_create("twice", OBJECTS, OBJECT_BYTES, SOCKET_ID_ANY);

	REQUIRE(pool != NULL);
	CHECK(pool_create("twice", OBJECTS, OBJECT_BYTES, SOCKET_ID_ANY) == NULL);
	CHECK_EQ(rte_errno, EEXIST);
	rte_mempool_free(pool);
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
	CHECK_EQ(pool_used(pool), 1);
	rte_pktmbuf_free(m);
	CHECK_EQ(pool_used(pool), 0);
	rte_mempool_free(pool);
}

#if defined(__SANITIZE_ADDRESS__)
static void a_free_object_is_poisoned(void)
{
	struct rte_mempool *pool = pool_create("poison", OBJECTS, OBJECT_BYTES, SOCKET_ID_ANY);
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
	rte_mempool_free(pool);
	rte_mempool_free(mbufs);
}
#endif

TEST_SUITE(pool)
{
	TEST(gives_exactly_what_it_holds);
	TEST(counts_objects_in_a_cache_as_free);
	TEST(refuses_a_name_in_use);
	TEST(mbufs_have_headroom_and_room);
#if defined(__SANITIZE_ADDRESS__)
	TEST(a_free_object_is_poisoned);
#endif
}
