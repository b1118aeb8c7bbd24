/* SPDX-License-Identifier: BSD-3-Clause */
/* The window we offer: RFC 9293 section 3.8.6. */
#include <sys/socket.h>

#include "support/tcp_fixture.h"

#define BUFFER 20000

static void begin(void)
{
	struct host_config config = host_config_default();

	config.worker.rcvbuf_bytes = BUFFER;
	config.worker.rcvbuf_max_bytes = BUFFER;
	begin_connected(&config);
}

/* The right edge of the last segment's window, as an offset in the peer's stream. */
static uint32_t edge(void)
{
	struct tcp_segment t = {.ack = 0};

	REQUIRE(host_tx_count(h) > 0);
	while (host_tx_count(h) > 0)
		t = PEER_TAKE(&peer);
	return t.ack + t.window - peer.isn - 1;
}

static void the_buffer_is_the_window(void)
{
	begin();
	peer_send_pattern(&peer, 1000);
	CHECK_EQ(edge(), BUFFER);
	end();
}

/* MUST-34 and section 3.8.6.2.2: never back, and forward in worthwhile steps only. */
static void the_edge_moves_forward_in_steps(void)
{
	uint32_t last = BUFFER;

	begin();
	for (int i = 0; i < 200; i++) {
		uint32_t now;

		peer_send_pattern(&peer, 100);
		app_read_pattern(&s, 100);
		host_advance_ms(h, 100);
		if (host_tx_count(h) == 0)
			continue;
		now = edge();
		CHECK(now >= last);
		CHECK(now == last || now - last >= 1460);
		last = now;
	}
	end();
}

static void unread_text_shuts_the_window(void)
{
	begin();
	for (uint32_t at = 0; at < BUFFER; at += 1000)
		peer_send_pattern(&peer, 1000);
	host_advance_ms(h, 100);
	CHECK_EQ(edge(), BUFFER);
	CHECK_EQ(app_readable(&s), BUFFER); /* so the window is shut */
	end();
}

/* A reader that makes room is the peer's only hope: it is told. */
static void reading_opens_a_shut_window(void)
{
	begin();
	for (uint32_t at = 0; at < BUFFER; at += 1000)
		peer_send_pattern(&peer, 1000);
	host_advance_ms(h, 100);
	host_drain(h);
	CHECK_EQ(app_read_pattern(&s, 1000), 1000);
	host_advance_ms(h, 10);
	HOST_EXPECT_NOTHING(h); /* not worth it */
	CHECK_EQ(app_read_pattern(&s, BUFFER), BUFFER - 1000);
	host_advance_ms(h, 10);
	CHECK_EQ(edge(), 2 * BUFFER);
	end();
}

/* Section 3.8.6.1: a probe into a shut window is answered. */
static void a_probe_of_the_peer_is_answered(void)
{
	begin();
	for (uint32_t at = 0; at < BUFFER; at += 1000)
		peer_send_pattern(&peer, 1000);
	host_advance_ms(h, 100);
	host_drain(h);
	peer_inject_pattern(&peer, peer.seq, 1);
	host_poll(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(peer.seq), TCP_WINDOW_IS(0));
	CHECK_EQ(app_read_pattern(&s, 2 * BUFFER), BUFFER);
	host_settle(h);
	host_drain(h);
	peer_inject_pattern(&peer, peer.seq, 1); /* and taken once there is room */
	peer.seq++;
	host_advance_ms(h, 100);
	CHECK_EQ(app_read_pattern(&s, 10), 1);
	host_drain(h);
	end();
}

static void a_fin_at_the_edge_is_taken(void)
{
	begin();
	for (uint32_t at = 0; at < BUFFER; at += 1000)
		peer_send_pattern(&peer, 1000);
	peer_send(&peer, TH_FIN | TH_ACK, NULL, 0);
	CHECK_EQ(host_state(&s), TCP_CLOSE_WAIT);
	while (host_tx_count(h) > 1)
		PEER_TAKE(&peer);
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.seq));
	CHECK_EQ(app_read_pattern(&s, 2 * BUFFER), BUFFER);
	host_settle(h);
	host_drain(h);
	end();
}

static void a_large_buffer_is_scaled(void)
{
	struct tcp_segment t;

	begin_unconnected(NULL);
	peer.window_scale = 0; /* willing, without need of its own */
	host_connected(h, &peer, &s);
	peer_send_pattern(&peer, 1000);
	t = PEER_TAKE(&peer);
	CHECK_RANGE((uint32_t)t.window << tcp()->rcv_scale, (1 << 18) - 1000 - 128, 1 << 18);
	end();
}

TEST_SUITE(tcp_window)
{
	TEST(the_buffer_is_the_window);
	TEST(the_edge_moves_forward_in_steps);
	TEST(unread_text_shuts_the_window);
	TEST(reading_opens_a_shut_window);
	TEST(a_probe_of_the_peer_is_answered);
	TEST(a_fin_at_the_edge_is_taken);
	TEST(a_large_buffer_is_scaled);
}
