/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 7413 sections 4.1.2 and 4.1.3: cookies, their cache; section 5.1: the bound. */
#include <stdlib.h>
#include <string.h>

#include "support/test.h"
#include "tcp/fastopen.h"

#define CLIENT    0xc6120002u
#define SERVER    0xc6120001u
#define MINUTE_MS 60000u

static const struct siphash_key key = {{1, 2}};

static struct flow flow_of(uint32_t local, uint32_t remote)
{
	return (struct flow){.local = inet_addr_v4(htonl(local)),
			     .remote = inet_addr_v4(htonl(remote)),
			     .local_port = 1,
			     .remote_port = 2,
			     .family = AF_INET};
}

/* ---- cookies ------------------------------------------------------------------- */

#define NOW_US (5 * FASTOPEN_COOKIE_LIFE_US + 1000)

static bool check_at(const struct flow *flow, uint64_t now_us, const uint8_t *cookie)
{
	return fastopen_cookie_check(&key, flow, now_us, cookie, FASTOPEN_COOKIE_BYTES);
}

static void a_cookie_is_good_for_its_two_addresses(void)
{
	struct flow flow = flow_of(SERVER, CLIENT), other_client = flow_of(SERVER, CLIENT + 1);
	struct flow other_server = flow_of(SERVER + 1, CLIENT), other_port = flow;
	struct flow other_family = flow;
	uint8_t cookie[FASTOPEN_COOKIE_BYTES];

	other_port.local_port = other_port.remote_port = 77;
	other_family.family = AF_INET6;
	fastopen_cookie_make(&key, &flow, NOW_US, cookie);
	CHECK(check_at(&flow, NOW_US, cookie));
	CHECK(check_at(&other_port, NOW_US, cookie));
	CHECK(!check_at(&other_client, NOW_US, cookie));
	CHECK(!check_at(&other_server, NOW_US, cookie));
	CHECK(!check_at(&other_family, NOW_US, cookie));
}

static void a_forged_cookie_is_refused(void)
{
	struct flow flow = flow_of(SERVER, CLIENT);
	const struct siphash_key other = {{1, 3}};
	uint8_t cookie[16] = {0};

	fastopen_cookie_make(&key, &flow, NOW_US, cookie);
	CHECK(!fastopen_cookie_check(&other, &flow, NOW_US, cookie, 8));
	for (uint32_t bytes = 4; bytes <= 16; bytes += 2)
		CHECK_EQ(fastopen_cookie_check(&key, &flow, NOW_US, cookie, bytes), bytes == 8);
	for (unsigned bit = 0; bit < 64; bit++) {
		cookie[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CHECK(!check_at(&flow, NOW_US, cookie));
		cookie[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void a_cookie_is_good_for_one_to_two_half_days(void)
{
	struct flow flow = flow_of(SERVER, CLIENT);
	uint8_t cookie[FASTOPEN_COOKIE_BYTES];

	fastopen_cookie_make(&key, &flow, NOW_US, cookie);
	CHECK(check_at(&flow, NOW_US + FASTOPEN_COOKIE_LIFE_US, cookie));
	CHECK(check_at(&flow, 7 * FASTOPEN_COOKIE_LIFE_US - 1, cookie));
	CHECK(!check_at(&flow, 7 * FASTOPEN_COOKIE_LIFE_US, cookie));
	CHECK(!check_at(&flow, 5 * FASTOPEN_COOKIE_LIFE_US - 1, cookie));
}

/* ---- the bound ------------------------------------------------------------------- */

static void as_many_are_pending_as_may_be(void)
{
	struct fastopen_queue q = {0};

	CHECK(!fastopen_queue_has_room(&q, 0, 0));
	CHECK(fastopen_queue_has_room(&q, 2, 0));
	fastopen_queue_enter(&q);
	CHECK(fastopen_queue_has_room(&q, 2, 0));
	fastopen_queue_enter(&q);
	CHECK(!fastopen_queue_has_room(&q, 2, 0));
	CHECK(fastopen_queue_has_room(&q, 3, 0));
	fastopen_queue_leave(&q, false, 0);
	CHECK(fastopen_queue_has_room(&q, 2, 0));
	CHECK_EQ(q.pending, 1);
}

static void what_was_reset_counts_for_one_to_two_minutes(void)
{
	struct fastopen_queue q = {0};

	fastopen_queue_enter(&q);
	fastopen_queue_leave(&q, true, 10 * MINUTE_MS);
	CHECK_EQ(q.pending, 0);
	CHECK(!fastopen_queue_has_room(&q, 1, 10 * MINUTE_MS));
	CHECK(!fastopen_queue_has_room(&q, 1, 12 * MINUTE_MS - 1));
	CHECK(fastopen_queue_has_room(&q, 1, 12 * MINUTE_MS));
	/* Nobody looked for a long time. */
	fastopen_queue_enter(&q);
	fastopen_queue_leave(&q, true, 20 * MINUTE_MS);
	CHECK(fastopen_queue_has_room(&q, 1, 22 * MINUTE_MS));
}

/* ---- the cache --------------------------------------------------------------------- */

static struct fastopen_cache *cache;
static const struct fastopen_grant granted = {
	.mss_bytes = 1400, .cookie_bytes = 8, .cookie = "cookie!"};

static void cache_begin(void)
{
	cache = calloc(1, sizeof(*cache));
	REQUIRE(cache != NULL);
	cache->key = key;
}

static void cache_end(void)
{
	free(cache);
}

static enum fastopen_advice look(const struct flow *flow, uint32_t now_ms)
{
	struct fastopen_grant grant;

	return fastopen_cache_look(cache, flow, now_ms, &grant);
}

static void an_unknown_server_is_asked(void)
{
	struct flow flow = flow_of(CLIENT, SERVER);

	cache_begin();
	CHECK_EQ(look(&flow, 0), FASTOPEN_ASK);
	fastopen_cache_forget(cache, &flow);
	CHECK_EQ(look(&flow, 0), FASTOPEN_ASK);
	cache_end();
}

static void what_was_granted_is_used_between_the_same_addresses(void)
{
	struct flow flow = flow_of(CLIENT, SERVER), from = flow_of(CLIENT + 1, SERVER);
	struct flow to = flow_of(CLIENT, SERVER + 1), port = flow;
	struct fastopen_grant grant;

	cache_begin();
	port.remote_port = 99;
	fastopen_cache_keep(cache, &flow, 0, &granted);
	CHECK_EQ(fastopen_cache_look(cache, &flow, 5, &grant), FASTOPEN_SEND);
	CHECK_EQ(grant.mss_bytes, 1400);
	CHECK_EQ(grant.cookie_bytes, 8);
	CHECK_MEM(grant.cookie, granted.cookie, 8);
	CHECK_EQ(look(&port, 5), FASTOPEN_SEND);
	CHECK_EQ(look(&from, 5), FASTOPEN_ASK);
	CHECK_EQ(look(&to, 5), FASTOPEN_ASK);
	fastopen_cache_forget(cache, &flow);
	CHECK_EQ(look(&flow, 5), FASTOPEN_ASK);
	cache_end();
}

static void a_later_mss_is_kept_and_bounded(void)
{
	struct flow flow = flow_of(CLIENT, SERVER);
	struct fastopen_grant grant;

	cache_begin();
	fastopen_cache_keep(cache, &flow, 0, &granted);
	fastopen_cache_keep(cache, &flow, 0, &(struct fastopen_grant){.mss_bytes = 500});
	CHECK_EQ(fastopen_cache_look(cache, &flow, 0, &grant), FASTOPEN_SEND);
	CHECK_EQ(grant.mss_bytes, 500);
	CHECK_MEM(grant.cookie, granted.cookie, 8);
	fastopen_cache_keep(cache, &flow, 0, &(struct fastopen_grant){.mss_bytes = 8960});
	CHECK_EQ(fastopen_cache_look(cache, &flow, 0, &grant), FASTOPEN_SEND);
	CHECK_EQ(grant.mss_bytes, FASTOPEN_MSS_MAX_BYTES);
	cache_end();
}

static void each_loss_in_a_row_blocks_twice_as_long(void)
{
	struct flow flow = flow_of(CLIENT, SERVER);
	uint32_t now_ms = UINT32_MAX - 90000; /* the clock may wrap */
	uint32_t block_ms = FASTOPEN_BLOCK_MS;

	cache_begin();
	fastopen_cache_keep(cache, &flow, now_ms, &granted);
	for (int i = 0; i < 9; i++) {
		fastopen_cache_block(cache, &flow, now_ms);
		CHECK_EQ(look(&flow, now_ms + block_ms - 1), FASTOPEN_AVOID);
		now_ms += block_ms;
		CHECK_EQ(look(&flow, now_ms), FASTOPEN_SEND);
		if (block_ms < FASTOPEN_BLOCK_MS << FASTOPEN_BLOCK_SHIFT)
			block_ms *= 2;
	}
	CHECK_EQ(look(&flow, now_ms + UINT32_MAX / 2 + 9), FASTOPEN_SEND);
	/* One success, and it begins anew. */
	fastopen_cache_block(cache, &flow, now_ms);
	fastopen_cache_keep(cache, &flow, now_ms, &granted);
	CHECK_EQ(look(&flow, now_ms), FASTOPEN_SEND);
	fastopen_cache_block(cache, &flow, now_ms);
	CHECK_EQ(look(&flow, now_ms + FASTOPEN_BLOCK_MS), FASTOPEN_SEND);
	cache_end();
}

/* There is room for a few hundred: what was used last stays. */
static void the_longest_unused_make_room(void)
{
	struct flow flow = flow_of(CLIENT, SERVER), other;
	unsigned known = 0;

	cache_begin();
	fastopen_cache_keep(cache, &flow, 0, &granted);
	for (uint32_t i = 1; i <= 5000; i++) {
		other = flow_of(CLIENT, SERVER + i);
		fastopen_cache_keep(cache, &other, i, &granted);
		CHECK_EQ(look(&other, i), FASTOPEN_SEND);
		CHECK_EQ(look(&flow, i), FASTOPEN_SEND); /* in use all the time */
	}
	for (uint32_t i = 1; i <= 5000; i++) {
		other = flow_of(CLIENT, SERVER + i);
		known += look(&other, 5000) == FASTOPEN_SEND;
	}
	CHECK_EQ(known, FASTOPEN_CACHE_SETS * FASTOPEN_CACHE_WAYS - 1);
	cache_end();
}

TEST_SUITE(fastopen)
{
	TEST(a_cookie_is_good_for_its_two_addresses);
	TEST(a_forged_cookie_is_refused);
	TEST(a_cookie_is_good_for_one_to_two_half_days);
	TEST(as_many_are_pending_as_may_be);
	TEST(what_was_reset_counts_for_one_to_two_minutes);
	TEST(an_unknown_server_is_asked);
	TEST(what_was_granted_is_used_between_the_same_addresses);
	TEST(a_later_mss_is_kept_and_bounded);
	TEST(each_loss_in_a_row_blocks_twice_as_long);
	TEST(the_longest_unused_make_room);
}
