/* SPDX-License-Identifier: BSD-3-Clause */
#include "sock/sock_table.h"

#include <errno.h>
#include <sys/socket.h>

#include "support/test.h"

#define CAPACITY 1000

static const struct siphash_key key = {{1, 2}};

static struct flow flow_v4(uint32_t n)
{
	struct flow f = {
		.local = inet_addr_v4(htonl(0xc6120001)),
		.remote = inet_addr_v4(htonl(0xc6120002 + n / 50000)),
		.local_port = htons(80),
		.remote_port = htons((uint16_t)(1024 + n % 50000)),
		.family = AF_INET,
		.protocol = IPPROTO_TCP,
	};

	return f;
}

static struct flow flow_v6(uint32_t n)
{
	struct flow f = flow_v4(n);

	f.family = AF_INET6;
	f.local.bytes[15] = 1;
	f.remote.bytes[15] = 2;
	return f;
}

static sock_entry entry(uintptr_t n)
{
	return (n + 1) << 6;
}

static void kind_and_pointer_survive(void)
{
	uint64_t object;

	for (int kind = SOCK_ENTRY_SOCK; kind <= SOCK_ENTRY_TIME_WAIT; kind++) {
		sock_entry e = sock_entry_make(&object, (enum sock_entry_kind)kind);

		CHECK_EQ(sock_entry_kind(e), kind);
		CHECK(sock_entry_pointer(e) == &object);
	}
}

static void finds_what_was_added_and_nothing_else(void)
{
	struct sock_table *t = sock_table_create("t_", CAPACITY, &key, SOCKET_ID_ANY);
	struct flow a = flow_v4(1), b = flow_v4(2);

	REQUIRE(t != NULL);
	CHECK_EQ(sock_table_add(t, &a, entry(1)), 0);
	CHECK_EQ(sock_table_find(t, &a), entry(1));
	CHECK_EQ(sock_table_find(t, &b), 0);
	CHECK_EQ(sock_table_add(t, &a, entry(1)), 0); /* the same again: no news */
	CHECK_EQ(sock_table_add(t, &a, entry(2)), -EEXIST);
	CHECK_EQ(sock_table_find(t, &a), entry(1));
	CHECK_EQ(sock_table_count(t), 1);
	sock_table_replace(t, &a, entry(3));
	CHECK_EQ(sock_table_find(t, &a), entry(3));
	CHECK_EQ(sock_table_count(t), 1);
	sock_table_delete(t, &a);
	sock_table_delete(t, &a); /* of what is not there: no effect */
	CHECK_EQ(sock_table_find(t, &a), 0);
	CHECK_EQ(sock_table_count(t), 0);
	sock_table_free(t);
}

static void every_part_of_a_flow_counts(void)
{
	struct sock_table *t = sock_table_create("t_", CAPACITY, &key, SOCKET_ID_ANY);
	struct flow f = flow_v4(1), other;

	REQUIRE(t != NULL);
	CHECK_EQ(sock_table_add(t, &f, entry(1)), 0);
	other = f;
	other.local = inet_addr_v4(htonl(1));
	CHECK_EQ(sock_table_find(t, &other), 0);
	other = f;
	other.remote = inet_addr_v4(htonl(1));
	CHECK_EQ(sock_table_find(t, &other), 0);
	other = f;
	other.local_port++;
	CHECK_EQ(sock_table_find(t, &other), 0);
	other = f;
	other.remote_port++;
	CHECK_EQ(sock_table_find(t, &other), 0);
	other = f;
	other.protocol = IPPROTO_UDP;
	CHECK_EQ(sock_table_find(t, &other), 0);
	other = f;
	other.family = AF_INET6;
	CHECK_EQ(sock_table_find(t, &other), 0);
	/* Both ends swapped is another connection. */
	other = f;
	other.local = f.remote;
	other.remote = f.local;
	other.local_port = f.remote_port;
	other.remote_port = f.local_port;
	CHECK_EQ(sock_table_find(t, &other), 0);
	sock_table_free(t);
}

static void the_key_covers_all_of_an_ipv6_address(void)
{
	struct sock_table *t = sock_table_create("t_", CAPACITY, &key, SOCKET_ID_ANY);
	struct flow f = flow_v6(1), other = f;

	REQUIRE(t != NULL);
	CHECK_EQ(sock_table_add(t, &f, entry(1)), 0);
	for (int i = 0; i < 16; i++) {
		other = f;
		other.remote.bytes[i] ^= 1;
		CHECK_EQ(sock_table_find(t, &other), 0);
	}
	CHECK_EQ(sock_table_find(t, &f), entry(1));
	sock_table_free(t);
}

static void holds_its_capacity_of_each_family(void)
{
	struct sock_table *t = sock_table_create("t_", CAPACITY, &key, SOCKET_ID_ANY);

	REQUIRE(t != NULL);
	for (uint32_t i = 0; i < CAPACITY; i++) {
		struct flow v4 = flow_v4(i), v6 = flow_v6(i);

		REQUIRE_EQ(sock_table_add(t, &v4, entry(i)), 0);
		REQUIRE_EQ(sock_table_add(t, &v6, entry(i)), 0);
	}
	CHECK_EQ(sock_table_count(t), 2 * CAPACITY);
	for (uint32_t i = 0; i < 4 * CAPACITY; i++) { /* full is an ordinary result */
		struct flow f = flow_v4(CAPACITY + i);

		if (sock_table_add(t, &f, entry(i)) == -ENOSPC)
			break;
		CHECK(i < 4 * CAPACITY - 1);
	}
	for (uint32_t i = 0; i < CAPACITY; i++) {
		struct flow f = flow_v4(i);

		CHECK_EQ(sock_table_find(t, &f), entry(i));
	}
	sock_table_free(t);
}

static void a_burst_finds_what_single_look_ups_find(void)
{
	struct sock_table *t = sock_table_create("t_", CAPACITY, &key, SOCKET_ID_ANY);
	struct flow flows[SOCK_TABLE_BURST];
	const struct flow *pointers[SOCK_TABLE_BURST];
	sock_entry found[SOCK_TABLE_BURST];

	REQUIRE(t != NULL);
	for (uint32_t i = 0; i < SOCK_TABLE_BURST; i++) {
		flows[i] = i % 5 == 0 ? flow_v6(i) : flow_v4(i);
		pointers[i] = &flows[i];
		if (i % 3 != 0)
			REQUIRE_EQ(sock_table_add(t, &flows[i], entry(i)), 0);
	}
	for (uint32_t count = 0; count <= SOCK_TABLE_BURST; count++) {
		sock_table_find_burst(t, pointers, count, found);
		for (uint32_t i = 0; i < count; i++)
			CHECK_EQ(found[i], i % 3 != 0 ? entry(i) : 0);
	}
	sock_table_free(t);
}

/* found: what the burst said, and might still say if nothing had been done to the flow. */
static void after_a_burst_a_change_is_seen(uint32_t at)
{
	struct sock_table *t = sock_table_create("t_", CAPACITY, &key, SOCKET_ID_ANY);
	struct flow flows[SOCK_TABLE_BURST];
	const struct flow *pointers[SOCK_TABLE_BURST];
	sock_entry found[SOCK_TABLE_BURST];

	REQUIRE(t != NULL);
	for (uint32_t i = 0; i < SOCK_TABLE_BURST; i++) {
		flows[i] = i % 5 == 0 ? flow_v6(i) : flow_v4(i);
		pointers[i] = &flows[i];
	}
	sock_table_find_burst(t, pointers, SOCK_TABLE_BURST, found);
	CHECK_EQ(sock_table_find_again(t, at, &flows[at], found[at]), 0);
	REQUIRE_EQ(sock_table_add(t, &flows[at], entry(1)), 0);
	CHECK_EQ(sock_table_find_again(t, at, &flows[at], 0), entry(1));

	sock_table_find_burst(t, pointers, SOCK_TABLE_BURST, found);
	CHECK_EQ(found[at], entry(1));
	sock_table_replace(t, &flows[at], entry(2));
	CHECK_EQ(sock_table_find_again(t, at, &flows[at], found[at]), entry(2));

	sock_table_find_burst(t, pointers, SOCK_TABLE_BURST, found);
	sock_table_delete(t, &flows[at]);
	CHECK_EQ(sock_table_find_again(t, at, &flows[at], found[at]), 0);
	sock_table_free(t);
}

static void what_changed_since_the_burst_is_found_again(void)
{
	after_a_burst_a_change_is_seen(0); /* IPv6 */
	after_a_burst_a_change_is_seen(1);
	after_a_burst_a_change_is_seen(SOCK_TABLE_BURST - 1);
}

/* What a packet did to its own flow is seen by the flow's later ones, next to it or further on. */
static void a_flow_changes_more_than_once_in_a_burst(void)
{
	struct sock_table *t = sock_table_create("t_", CAPACITY, &key, SOCKET_ID_ANY);
	struct flow a = flow_v4(1), b = flow_v4(2);
	const struct flow *burst[] = {&a, &b, &a};
	sock_entry found[3];

	REQUIRE(t != NULL);
	sock_table_find_burst(t, burst, 3, found);
	CHECK_EQ(sock_table_find_again(t, 0, &a, found[0]), 0);
	CHECK_EQ(sock_table_add_new(t, &a, entry(1)), 0);
	CHECK_EQ(sock_table_find_again(t, 0, &a, found[0]), entry(1));
	sock_table_replace(t, &a, entry(2));
	CHECK_EQ(sock_table_find_again(t, 0, &a, found[0]), entry(2));

	CHECK_EQ(sock_table_find_again(t, 1, &b, found[1]), 0);
	sock_table_replace(t, &a, entry(3)); /* of another's packet */
	CHECK_EQ(sock_table_add_new(t, &b, entry(4)), 0);

	CHECK_EQ(sock_table_find_again(t, 2, &a, found[2]), entry(3));
	sock_table_delete(t, &a);
	CHECK_EQ(sock_table_find_again(t, 2, &a, found[2]), 0);
	CHECK_EQ(sock_table_find(t, &b), entry(4));
	CHECK_EQ(sock_table_count(t), 1);
	sock_table_free(t);
}

/* Else a burst of new connections would look everything up twice. */
static void what_did_not_change_is_not_looked_up_again(void)
{
	struct sock_table *t = sock_table_create("t_", CAPACITY, &key, SOCKET_ID_ANY);
	struct flow flows[SOCK_TABLE_BURST];
	const struct flow *pointers[SOCK_TABLE_BURST];
	sock_entry found[SOCK_TABLE_BURST];
	uint32_t kept = 0;

	REQUIRE(t != NULL);
	for (uint32_t i = 0; i < SOCK_TABLE_BURST; i++) {
		flows[i] = flow_v4(i);
		pointers[i] = &flows[i];
	}
	sock_table_find_burst(t, pointers, SOCK_TABLE_BURST, found);
	for (uint32_t i = 0; i < SOCK_TABLE_BURST / 4; i++)
		REQUIRE_EQ(sock_table_add(t, &flows[i], entry(i)), 0);
	/* A mark instead of what was found: only one that is looked up again loses it. */
	for (uint32_t i = SOCK_TABLE_BURST / 4; i < SOCK_TABLE_BURST; i++)
		kept += sock_table_find_again(t, i, &flows[i], entry(1000)) == entry(1000);
	CHECK(kept >= SOCK_TABLE_BURST / 2);
	sock_table_free(t);
}

TEST_SUITE(sock_table)
{
	TEST(kind_and_pointer_survive);
	TEST(finds_what_was_added_and_nothing_else);
	TEST(every_part_of_a_flow_counts);
	TEST(the_key_covers_all_of_an_ipv6_address);
	TEST(holds_its_capacity_of_each_family);
	TEST(a_burst_finds_what_single_look_ups_find);
	TEST(what_changed_since_the_burst_is_found_again);
	TEST(a_flow_changes_more_than_once_in_a_burst);
	TEST(what_did_not_change_is_not_looked_up_again);
}
