/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/socket.h>

#include "lib/pool.h"
#include "support/tcp_fixture.h"

#define TAKEN_MAX 100000 /* more than any test's pool has */

static uint32_t sets(void)
{
	return pool_used(h->w->tcp->options.pool);
}

static int set_timeout(struct app_sock *sock, uint32_t ms)
{
	return app_setsockopt(sock, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

static uint32_t get_timeout(struct app_sock *sock)
{
	uint32_t ms = 0;

	CHECK_EQ(app_getsockopt(sock, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms)), 0);
	return ms;
}

static void who_sets_nothing_costs_nothing(void)
{
	begin_connected(NULL);
	CHECK_EQ(sets(), 0);
	CHECK(tcp()->options == &h->w->tcp->default_options.values);
	end();
}

static void equal_options_are_one_set(void)
{
	struct app_sock a, b;

	begin_unconnected(NULL);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &a), 0);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &b), 0);
	CHECK_EQ(set_timeout(&a, 5000), 0);
	CHECK_EQ(set_timeout(&b, 5000), 0);
	CHECK_EQ(sets(), 1);
	CHECK_EQ(set_timeout(&b, 6000), 0); /* a's stay as they are */
	CHECK_EQ(sets(), 2);
	CHECK_EQ(get_timeout(&a), 5000);
	CHECK_EQ(get_timeout(&b), 6000);
	end();
}

static void a_set_goes_with_its_last_user(void)
{
	struct app_sock a, b;

	begin_unconnected(NULL);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &a), 0);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &b), 0);
	CHECK_EQ(set_timeout(&a, 5000), 0);
	CHECK_EQ(set_timeout(&b, 5000), 0);
	CHECK_EQ(app_close(&a), 0);
	CHECK_EQ(sets(), 1);
	CHECK_EQ(set_timeout(&b, 0), 0); /* as if it had not been set */
	CHECK_EQ(sets(), 0);
	end();
}

static void an_accepted_sock_shares_its_listeners(void)
{
	begin_unconnected(NULL);
	host_listen(h, 4);
	CHECK_EQ(set_timeout(&h->listener, 5000), 0);
	host_established(h, &peer, &s);
	CHECK_EQ(sets(), 1);
	CHECK_EQ(get_timeout(&s), 5000);
	CHECK_EQ(set_timeout(&h->listener, 7000), 0);
	CHECK_EQ(get_timeout(&s), 5000);
	end();
}

/* There is one for each sock, so this does not happen; if it did, those there are could still be used,
 * and what was set stays. */
static void without_a_set_left_options_cannot_differ_more(void)
{
	struct app_sock a, b;
	struct pool *pool;
	static void *taken[TAKEN_MAX];
	unsigned count = 0;

	begin_unconnected(NULL);
	pool = h->w->tcp->options.pool;
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &a), 0);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &b), 0);
	CHECK_EQ(set_timeout(&a, 1000), 0);
	while ((taken[count] = pool_get(pool)) != NULL)
		REQUIRE(++count < TAKEN_MAX);
	CHECK_EQ(set_timeout(&b, 5000), -ENOBUFS);
	CHECK_EQ(get_timeout(&b), 0);
	CHECK_EQ(set_timeout(&b, 1000), 0);
	while (count > 0)
		pool_put(pool, taken[--count]);
	end();
}

static void each_sock_may_have_options_of_its_own(void)
{
	const struct worker_config *config;
	struct pool *pool;

	begin_unconnected(NULL);
	config = &h->w->config;
	pool = h->w->tcp->options.pool;
	CHECK(pool->count > config->max_socks + config->max_listeners);
	end();
}

TEST_SUITE(shared_options)
{
	TEST(who_sets_nothing_costs_nothing);
	TEST(equal_options_are_one_set);
	TEST(a_set_goes_with_its_last_user);
	TEST(an_accepted_sock_shares_its_listeners);
	TEST(each_sock_may_have_options_of_its_own);
	TEST(without_a_set_left_options_cannot_differ_more);
}
