/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/socket.h>

#include "lib/pool.h"
#include "support/tcp_fixture.h"

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

/* Those there are can still be used, and what was set stays. */
static void without_a_set_left_options_cannot_differ_more(void)
{
	struct app_sock sock[100];
	unsigned taken = 0;

	begin_unconnected(NULL);
	while (REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &sock[taken]), 0),
	       set_timeout(&sock[taken], 1000 + taken) == 0)
		REQUIRE(++taken < 99);
	CHECK_EQ(taken, h->w->tcp->options.pool->count);
	CHECK_EQ(set_timeout(&sock[taken], 5000), -ENOBUFS);
	CHECK_EQ(get_timeout(&sock[taken]), 0);
	CHECK_EQ(set_timeout(&sock[taken], 1000), 0);
	end();
}

TEST_SUITE(shared_options)
{
	TEST(who_sets_nothing_costs_nothing);
	TEST(equal_options_are_one_set);
	TEST(a_set_goes_with_its_last_user);
	TEST(an_accepted_sock_shares_its_listeners);
	TEST(without_a_set_left_options_cannot_differ_more);
}
