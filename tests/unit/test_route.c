/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/route.h"

#include <errno.h>

#include "net/arp.h"
#include "support/host.h"

static struct host *h;

static struct inet_addr address(uint32_t host_order)
{
	return inet_addr_v4(rte_cpu_to_be_32(host_order));
}

static int add(uint32_t prefix, uint8_t length, uint32_t gateway)
{
	struct inet_addr p = address(prefix);
	struct route r = {.gateway = address(gateway)};

	return route_add(h->w, &p, length, &r);
}

static int delete (uint32_t prefix, uint8_t length)
{
	struct inet_addr p = address(prefix);

	return route_delete(h->w, &p, length);
}

/* The gateway, host order; 0: on link; UINT32_MAX: no route. */
static uint32_t lookup(uint32_t to)
{
	struct inet_addr a = address(to);
	struct route r;

	if (route_lookup(h->w, AF_INET, &a, &r) != 0)
		return UINT32_MAX;
	return rte_be_to_cpu_32(r.gateway.v4);
}

static void the_longest_prefix_wins(void)
{
	h = host_new(NULL);
	CHECK_EQ(add(0, 0, HOST_ADDR + 1), 0);
	CHECK_EQ(add(0x0a000000, 8, HOST_ADDR + 2), 0);
	CHECK_EQ(add(0x0a010000, 16, HOST_ADDR + 3), 0);
	CHECK_EQ(add(0x0a010203, 32, HOST_ADDR + 4), 0);
	CHECK_EQ(lookup(0x08080808), HOST_ADDR + 1);
	CHECK_EQ(lookup(0x0a020304), HOST_ADDR + 2);
	CHECK_EQ(lookup(0x0a010204), HOST_ADDR + 3);
	CHECK_EQ(lookup(0x0a010203), HOST_ADDR + 4);
	CHECK_EQ(lookup(PEER_ADDR), 0);
	host_end(h);
}

static void what_is_deleted_is_covered_by_the_shorter(void)
{
	h = host_new(NULL);
	CHECK_EQ(add(0x0a000000, 8, HOST_ADDR + 2), 0);
	CHECK_EQ(add(0x0a010000, 16, HOST_ADDR + 3), 0);
	CHECK_EQ(delete (0x0a010000, 16), 0);
	CHECK_EQ(lookup(0x0a010204), HOST_ADDR + 2);
	CHECK_EQ(delete (0x0a000000, 8), 0);
	CHECK_EQ(lookup(0x0a010204), UINT32_MAX);
	CHECK_EQ(delete (0x0a000000, 8), -ENOENT);
	host_end(h);
}

static void bits_behind_the_prefix_do_not_count(void)
{
	h = host_new(NULL);
	CHECK_EQ(add(0x0a010203, 16, HOST_ADDR + 2), 0);
	CHECK_EQ(lookup(0x0a01ffff), HOST_ADDR + 2);
	CHECK_EQ(add(0x0a010000, 16, HOST_ADDR + 3), -EEXIST);
	CHECK_EQ(delete (0x0a01ff00, 16), 0);
	host_end(h);
}

static void impossible_routes_are_refused(void)
{
	struct inet_addr p = address(0x0a000000);
	struct route r = {.netif = 1};

	h = host_new(NULL);
	CHECK_EQ(route_add(h->w, &p, 8, &r), -EINVAL); /* no such netif */
	CHECK_EQ(add(0x0a000000, 33, HOST_ADDR + 2), -EINVAL);
	CHECK_EQ(delete (0x0a000000, 33), -EINVAL);
	host_end(h);
}

static void a_full_table_says_so(void)
{
	int err = 0;
	uint32_t i;

	h = host_new(NULL);
	for (i = 0; i < 4 * ROUTE_MAX && err == 0; i++)
		err = add(0x0a000000 + i, 32, HOST_ADDR + 2);
	CHECK_EQ(err, -ENOSPC);
	CHECK(i > ROUTE_MAX / 2);
	CHECK_EQ(lookup(0x0a000000), HOST_ADDR + 2);
	host_end(h);
}

static void a_dst_is_kept_until_something_changes(void)
{
	struct inet_addr to = address(0x0a000001);
	struct inet_addr gateway = address(PEER_ADDR);
	struct dst dst = {0};

	h = host_new(NULL);
	CHECK_EQ(dst_resolve(h->w, &dst, AF_INET, &to), -ENETUNREACH);
	CHECK_EQ(add(0, 0, PEER_ADDR), 0);
	CHECK_EQ(dst_resolve(h->w, &dst, AF_INET, &to), 0);
	CHECK_EQ(dst.mtu, 1500);
	CHECK_EQ(dst.generation, h->w->route_generation);
	CHECK(dst.neigh == neigh_get(h->w, h->w->netif[0], &gateway));
	CHECK_EQ(delete (0, 0), 0);
	CHECK(dst.generation != h->w->route_generation);
	CHECK_EQ(dst_resolve(h->w, &dst, AF_INET, &to), -ENETUNREACH);
	host_end(h);
}

static void only_unicast_to_others_has_a_way(void)
{
	static const uint32_t none[] = {0, 0xe0000001, 0xffffffff, HOST_ADDR | 0xff, HOST_ADDR};

	h = host_new(NULL);
	CHECK_EQ(add(0, 0, PEER_ADDR), 0);
	for (unsigned i = 0; i < RTE_DIM(none); i++) {
		struct inet_addr to = address(none[i]);
		struct dst dst = {0};

		CHECK_EQ(dst_resolve(h->w, &dst, AF_INET, &to), -ENETUNREACH);
	}
	host_end(h);
}

TEST_SUITE(route)
{
	TEST(the_longest_prefix_wins);
	TEST(what_is_deleted_is_covered_by_the_shorter);
	TEST(bits_behind_the_prefix_do_not_count);
	TEST(impossible_routes_are_refused);
	TEST(a_full_table_says_so);
	TEST(a_dst_is_kept_until_something_changes);
	TEST(only_unicast_to_others_has_a_way);
}
