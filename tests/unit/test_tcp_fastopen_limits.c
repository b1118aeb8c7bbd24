/* SPDX-License-Identifier: BSD-3-Clause */
/* How much Fast Open lets anybody have: RFC 7413 section 5.1. */
#include <errno.h>
#include <sys/socket.h>

#include "lib/pool.h"
#include "support/fastopen_fixture.h"

static void no_more_are_pending_than_may_be(void)
{
	struct peer open[LIMIT];

	begin_serving();
	fetch_cookie(&peer);
	for (int i = 0; i < LIMIT; i++) {
		open_fast(&peer);
		open[i] = peer;
	}
	connect_anew(&peer);
	send_syn(&peer, TEXT_BYTES);
	CHECK(!take_synack(&peer, 0).has_fastopen); /* an ordinary handshake */
	CHECK_EQ(connections(), LIMIT);
	CHECK_EQ(host_counter(h, CNT_tcp_fastopen_overflow), 1);
	peer_send_pattern(&peer, TEXT_BYTES);
	CHECK_EQ(host_counter(h, CNT_tcp_passive_open), 1);
	host_drain(h);
	/* One of them ends its handshake. */
	peer_send(&open[2], TH_ACK, NULL, 0);
	open_fast(&peer);
	CHECK_EQ(connections(), LIMIT + 1);
	end();
}

/* RFC 7413 section 5.1: else the victims of spoofed SYNs would make room by their RSTs. */
static void what_was_reset_counts_for_a_while(void)
{
	begin_serving();
	fetch_cookie(&peer);
	for (int i = 0; i < LIMIT; i++) {
		open_fast(&peer);
		peer_send(&peer, TH_RST, NULL, 0);
	}
	connect_anew(&peer);
	send_syn(&peer, TEXT_BYTES);
	take_synack(&peer, 0);
	peer_send(&peer, TH_RST, NULL, 0);
	CHECK_EQ(connections(), LIMIT);
	host_advance_ms(h, 2 * MINUTE_MS);
	open_fast(&peer);
	CHECK_EQ(connections(), LIMIT + 1);
	end();
}

/* It is over when the SYN-ACK was sent often enough, whatever the client repeats. */
static void a_client_that_repeats_its_syn_does_not_stay(void)
{
	uint64_t waited_ms = 0;

	begin_opened();
	while (host_state(&s) == TCP_SYN_RECV && waited_ms < 10 * MINUTE_MS) {
		host_advance_ms(h, 500);
		waited_ms += 500;
		peer_inject(&peer, TH_SYN, peer.isn, 0, NULL, 0);
		host_poll(h);
		host_drain(h);
	}
	CHECK_EQ(host_state(&s), TCP_CLOSE);
	end();
}

/* Whatever their cookies are good for, the accept queue bounds them as it bounds all. */
static void the_backlog_bounds_them(void)
{
	struct host_config config = serving_config();

	begin_unconnected(&config);
	serve(2, 100);
	fetch_cookie(&peer);
	for (int i = 0; i < 3; i++)
		open_fast(&peer);
	for (int i = 0; i < 50; i++) {
		connect_anew(&peer);
		send_syn(&peer, TEXT_BYTES);
	}
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(host_counter(h, CNT_tcp_backlog), 50);
	CHECK_EQ(h->w->sock_count, 4);
	end();
}

/* Connections that an application takes at once do not count in the accept queue, but here. */
static void a_flood_with_good_cookies_takes_bounded_memory(void)
{
	struct app_sock taken[LIMIT];

	begin_serving();
	fetch_cookie(&peer);
	for (int i = 0; i < LIMIT; i++) {
		open_fast(&peer);
		REQUIRE_EQ(app_accept(&h->listener, &taken[i]), 0);
	}
	for (int i = 0; i < 500; i++) {
		connect_anew(&peer);
		send_syn(&peer, TEXT_BYTES);
	}
	CHECK_EQ(connections(), LIMIT);
	CHECK_EQ(h->w->sock_count, LIMIT + 1);
	CHECK_EQ(pool_used(h->w->tcp->requests), 17); /* backlog + 1 */
	CHECK(host_counter(h, CNT_tcp_cookie_sent) > 400);
	host_drain(h);
	end();
}

/* While the half-open connections are as many as may be, a SYN cookie answers, and a Fast Open
 * cookie needs no memory either. */
static void a_flood_without_cookies_does_not_shut_it_out(void)
{
	begin_serving();
	fetch_cookie(&peer);
	for (int i = 0; i < 100; i++) {
		struct peer silent;

		peer_init(&silent, h);
		peer_send(&silent, TH_SYN, NULL, 0);
	}
	host_drain(h);
	CHECK(host_counter(h, CNT_tcp_cookie_sent) > 0);
	open_fast(&peer);
	CHECK_EQ(connections(), 1);
	connect_anew(&peer);
	peer.cookie_bytes = 0;
	send_syn(&peer, 0);
	CHECK(take_synack(&peer, 0).has_fastopen);
	end();
}

static void without_a_sock_left_nothing_is_answered(void)
{
	struct host_config config = serving_config();
	struct app_sock taken[8];
	int count = 0;

	config.worker.max_socks = 4;
	config.worker.max_listeners = 1;
	begin_unconnected(&config);
	serve(16, LIMIT);
	fetch_cookie(&peer);
	while (app_socket(&h->app, SOCK_STREAM, &taken[count]) == 0)
		count++;
	connect_anew(&peer);
	send_syn(&peer, TEXT_BYTES);
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(host_counter(h, CNT_tcp_sock_pool), 1);
	CHECK_EQ(app_close(&taken[0]), 0);
	open_fast(&peer);
	end();
}

static void the_option_is_kept_and_checked(void)
{
	int value = 5000;

	begin_serving();
	CHECK_EQ(app_setsockopt(&h->listener, IPPROTO_TCP, TCP_FASTOPEN, &value, sizeof(value)), 0);
	value = 0;
	CHECK_EQ(app_getsockopt(&h->listener, IPPROTO_TCP, TCP_FASTOPEN, &value, sizeof(value)), 0);
	CHECK_EQ(value, SOMAXCONN);
	value = -1;
	CHECK_EQ(app_setsockopt(&h->listener, IPPROTO_TCP, TCP_FASTOPEN, &value, sizeof(value)),
		 -EINVAL);
	value = 1;
	host_connected(h, &peer, &s);
	CHECK_EQ(app_setsockopt(&s, IPPROTO_TCP, TCP_FASTOPEN, &value, sizeof(value)), -EINVAL);
	end();
}

TEST_SUITE(tcp_fastopen_limits)
{
	TEST(no_more_are_pending_than_may_be);
	TEST(what_was_reset_counts_for_a_while);
	TEST(a_client_that_repeats_its_syn_does_not_stay);
	TEST(the_backlog_bounds_them);
	TEST(a_flood_with_good_cookies_takes_bounded_memory);
	TEST(a_flood_without_cookies_does_not_shut_it_out);
	TEST(without_a_sock_left_nothing_is_answered);
	TEST(the_option_is_kept_and_checked);
}
