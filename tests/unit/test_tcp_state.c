/* SPDX-License-Identifier: BSD-3-Clause */
/* Closing, in every order: RFC 9293 section 3.6. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "sock/holders.h"
#include "support/tcp_fixture.h"
#include "tcp/tcp.h"

static void begin(void)
{
	begin_connected(NULL);
}

/* Is the connection in TIME-WAIT: no sock, but still known? */
static bool is_time_wait(void)
{
	return host_counter(h, CNT_tcp_no_sock) == 0 && h->w->sock_count == 0;
}

static void states_are_named_as_the_rfc_does(void)
{
	CHECK(strcmp(tcp_state_name(TCP_ESTABLISHED), "ESTABLISHED") == 0);
	CHECK(strcmp(tcp_state_name(TCP_SYN_RECV), "SYN-RECEIVED") == 0);
	CHECK(strcmp(tcp_state_name(TCP_FIN_WAIT2), "FIN-WAIT-2") == 0);
	CHECK(strcmp(tcp_state_name(0), "?") == 0);
	CHECK(strcmp(tcp_state_name(200), "?") == 0);
}

/* Section 3.6, figure 12. */
static void we_close_first(void)
{
	begin();
	CHECK_EQ(app_shutdown(&s, SHUT_WR), 0);
	CHECK_EQ(host_state(&s), TCP_FIN_WAIT1);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_FIN | TH_ACK), TCP_SEQ_IS(peer.host_isn + 1));
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(host_state(&s), TCP_FIN_WAIT2);
	peer_send(&peer, TH_FIN | TH_ACK, NULL, 0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(peer.seq));
	CHECK_EQ(host_state(&s), TCP_CLOSE);
	CHECK(app_has(&s, LEAT_EV_RDHUP | LEAT_EV_HUP));
	CHECK_EQ(s.slot->error, 0);
	CHECK_EQ(app_close(&s), 0);
	HOST_EXPECT_NOTHING(h);
	CHECK(is_time_wait());
	end();
}

static void the_peer_closes_first(void)
{
	begin();
	peer_send(&peer, TH_FIN | TH_ACK, NULL, 0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(peer.seq));
	CHECK_EQ(host_state(&s), TCP_CLOSE_WAIT);
	CHECK(app_has(&s, LEAT_EV_RDHUP));
	CHECK(!app_has(&s, LEAT_EV_HUP));
	CHECK_EQ(app_close(&s), 0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_FIN | TH_ACK));
	CHECK_EQ(h->w->sock_count, 1); /* LAST-ACK */
	peer_send(&peer, TH_ACK, NULL, 0);
	HOST_CHECK_QUIET(h); /* no TIME-WAIT on this side */
	end();
}

/* Section 3.6, figure 13. */
static void both_close_at_once(void)
{
	begin();
	CHECK_EQ(app_shutdown(&s, SHUT_RDWR), 0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_FIN | TH_ACK));
	peer.ack--; /* the peer's FIN was sent before ours arrived there */
	peer_send(&peer, TH_FIN | TH_ACK, NULL, 0);
	peer.ack++;
	CHECK_EQ(host_state(&s), TCP_CLOSING);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(peer.seq));
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(host_state(&s), TCP_CLOSE);
	CHECK_EQ(app_close(&s), 0);
	CHECK(is_time_wait());
	end();
}

static void fin_and_ack_of_ours_in_one_segment(void)
{
	begin();
	CHECK_EQ(app_shutdown(&s, SHUT_WR), 0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_FIN | TH_ACK));
	peer_send(&peer, TH_FIN | TH_ACK, NULL, 0); /* straight from FIN-WAIT-1 */
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(peer.seq));
	CHECK_EQ(host_state(&s), TCP_CLOSE);
	CHECK_EQ(app_close(&s), 0);
	CHECK(is_time_wait());
	end();
}

static void a_half_closed_connection_still_receives(void)
{
	begin();
	CHECK_EQ(app_shutdown(&s, SHUT_WR), 0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_FIN | TH_ACK));
	for (int i = 0; i < 5; i++)
		peer_send_pattern(&peer, 1000);
	host_settle(h);
	CHECK_EQ(host_state(&s), TCP_FIN_WAIT2);
	CHECK_EQ(app_read_pattern(&s, 10000), 5000);
	host_drain(h);
	end();
}

static void a_half_closed_connection_still_sends(void)
{
	begin();
	peer_send(&peer, TH_FIN | TH_ACK, NULL, 0);
	host_drain(h);
	for (int i = 0; i < 5; i++) {
		app_write_pattern(&s, 1000);
		host_settle(h);
		PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(1000 * i, 1000));
		peer_send(&peer, TH_ACK, NULL, 0);
	}
	CHECK_EQ(host_state(&s), TCP_CLOSE_WAIT);
	CHECK_EQ(app_close(&s), 0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_FIN | TH_ACK));
	peer_send(&peer, TH_ACK, NULL, 0);
	HOST_CHECK_QUIET(h);
	end();
}

/* Section 3.10.4: close sends all that was written, then FIN. */
static void what_was_written_before_close_is_sent(void)
{
	begin();
	CHECK_EQ(app_write_pattern(&s, 3000), 3000);
	CHECK_EQ(app_close(&s), 0);
	host_settle(h);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, 1460));
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(1460, 1460));
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_FIN | TH_ACK), PAYLOAD_IS_PATTERN(2920, 80));
	peer_send(&peer, TH_ACK, NULL, 0);
	peer_send(&peer, TH_FIN | TH_ACK, NULL, 0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(peer.seq));
	CHECK(is_time_wait());
	end();
}

static void a_closed_connections_bytes_are_retransmitted(void)
{
	begin();
	CHECK_EQ(app_write_pattern(&s, 1000), 1000);
	CHECK_EQ(app_close(&s), 0);
	host_settle(h);
	host_drain(h); /* all lost */
	host_advance_ms(h, 1000);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_FIN | TH_ACK), PAYLOAD_IS_PATTERN(0, 1000));
	host_drain(h);
	peer_send(&peer, TH_FIN | TH_ACK, NULL, 0);
	host_drain(h);
	CHECK(is_time_wait());
	end();
}

static void fin_comes_with_text(void)
{
	begin();
	peer_inject_pattern(&peer, peer.seq, 500);
	host_poll(h);
	peer.seq += 500;
	peer_inject(&peer, TH_FIN | TH_ACK, peer.seq, peer.ack, "tail", 4);
	host_poll(h);
	peer.seq += 5;
	CHECK_EQ(app_readable(&s), 504);
	CHECK_EQ(host_state(&s), TCP_CLOSE_WAIT);
	while (host_tx_count(h) > 1)
		PEER_TAKE(&peer);
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.seq));
	end();
}

static void fin_beyond_a_gap_waits(void)
{
	begin();
	peer_inject(&peer, TH_FIN | TH_ACK, peer.seq + 100, peer.ack, NULL, 0);
	host_poll(h);
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(peer.seq));
	peer_send_pattern(&peer, 100);
	CHECK_EQ(host_state(&s), TCP_CLOSE_WAIT);
	CHECK_EQ(app_read_pattern(&s, 200), 100);
	peer.seq++;
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.seq));
	end();
}

static void a_repeated_fin_is_acknowledged_again(void)
{
	begin();
	peer_send(&peer, TH_FIN | TH_ACK, NULL, 0);
	host_drain(h);
	peer_inject(&peer, TH_FIN | TH_ACK, peer.seq - 1, peer.ack, NULL, 0);
	host_poll(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(peer.seq));
	CHECK_EQ(host_state(&s), TCP_CLOSE_WAIT);
	end();
}

/* RFC 1122 section 4.2.2.13: data that nobody can read any more is answered with RST. */
static void text_after_close_is_reset(void)
{
	begin();
	CHECK_EQ(app_close(&s), 0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_FIN | TH_ACK));
	peer_send(&peer, TH_ACK, NULL, 0);
	peer_send_pattern(&peer, 10);
	HOST_EXPECT(h, TCP_FLAGS_HAVE(TH_RST));
	HOST_CHECK_QUIET(h);
	end();
}

/* RFC 9293 section 3.6 (RFC 2525 section 2.17): close with unread text is a reset. */
static void close_with_unread_text_is_a_reset(void)
{
	begin();
	peer_send_pattern(&peer, 10);
	host_drain(h);
	CHECK_EQ(app_close(&s), 0);
	HOST_EXPECT(h, TCP_FLAGS_HAVE(TH_RST), TCP_SEQ_IS(peer.ack));
	HOST_CHECK_QUIET(h);
	end();
}

static void linger_zero_makes_close_a_reset(void)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	begin();
	CHECK_EQ(app_setsockopt(&s, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	CHECK_EQ(app_close(&s), 0);
	HOST_EXPECT(h, TCP_FLAGS_HAVE(TH_RST), TCP_SEQ_IS(peer.ack));
	HOST_CHECK_QUIET(h);
	end();
}

static void an_accepted_connection_nobody_claimed_is_reset(void)
{
	begin();
	peer_init(&peer, h);
	host_syn_received(h, &peer);
	peer_send_pattern(&peer, 100);
	host_drain(h);
	CHECK_EQ(app_close(&h->listener), 0);
	HOST_EXPECT(h, TCP_FLAGS_HAVE(TH_RST), DESTINATION_PORT_IS(peer.port));
	end();
}

static void shutdown_for_reading_only_keeps_quiet(void)
{
	begin();
	CHECK_EQ(app_shutdown(&s, SHUT_RD), 0);
	CHECK(app_has(&s, LEAT_EV_RDHUP));
	HOST_EXPECT_NOTHING(h);
	app_write_pattern(&s, 10);
	host_poll(h);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, 10));
	end();
}

static void shutdown_of_an_unconnected_sock_is_refused(void)
{
	begin();
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	CHECK_EQ(app_shutdown(&s, SHUT_WR), -ENOTCONN);
	end();
}

static void shutting_down_twice_sends_one_fin(void)
{
	begin();
	CHECK_EQ(app_shutdown(&s, SHUT_WR), 0);
	CHECK_EQ(app_shutdown(&s, SHUT_WR), 0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_FIN | TH_ACK));
	HOST_EXPECT_NOTHING(h);
	end();
}

static void a_dead_application_ends_its_connections(void)
{
	begin();
	app_write_pattern(&s, 100); /* not even a submission was seen */
	arena_process_exit(h->w, &h->session->arenas[0], 0);
	host_settle(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_FIN | TH_ACK), PAYLOAD_IS_PATTERN(0, 100));
	peer_send(&peer, TH_FIN | TH_ACK, NULL, 0);
	host_drain(h);
	CHECK_EQ(h->w->sock_count, 0);
	end();
}

static void shutdown_of_a_listener_ends_listening(void)
{
	begin();
	host_listen(h, 4);
	CHECK_EQ(app_shutdown(&h->listener, SHUT_WR), -ENOTCONN);
	CHECK_EQ(host_state(&h->listener), TCP_LISTEN);
	CHECK_EQ(app_shutdown(&h->listener, SHUT_RD), 0); /* as Linux does */
	CHECK_EQ(host_state(&h->listener), TCP_CLOSE);
	peer_init(&peer, h);
	peer_send(&peer, TH_SYN, NULL, 0);
	HOST_EXPECT(h, TCP_FLAGS_HAVE(TH_RST));
	end();
}

static void shutdown_while_connecting_gives_up(void)
{
	begin();
	peer_init(&peer, h);
	host_syn_sent(h, &peer, &s);
	CHECK_EQ(app_shutdown(&s, SHUT_RD), 0);
	CHECK_EQ(host_state(&s), TCP_SYN_SENT);
	CHECK_EQ(app_shutdown(&s, SHUT_WR), 0);
	CHECK_EQ(host_state(&s), TCP_CLOSE);
	end();
}

/* Section 3.10.4, SYN-RECEIVED: the FIN waits until the handshake is complete. */
static void close_during_a_simultaneous_open_waits_for_it(void)
{
	begin();
	peer_init(&peer, h);
	host_syn_sent(h, &peer, &s);
	peer_send(&peer, TH_SYN, NULL, 0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_SYN | TH_ACK));
	CHECK_EQ(app_close(&s), 0);
	HOST_EXPECT_NOTHING(h);
	peer_send(&peer, TH_ACK, NULL, 0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_FIN | TH_ACK), TCP_SEQ_IS(peer.host_isn + 1));
	peer_send(&peer, TH_FIN | TH_ACK, NULL, 0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(peer.seq));
	CHECK_EQ(h->w->sock_count, 1); /* that of the other connection */
	end();
}

/* As under Linux: text for a reader that said it would not read is taken and thrown away. */
static void text_after_shutdown_for_reading_is_discarded(void)
{
	begin();
	CHECK_EQ(app_shutdown(&s, SHUT_RD), 0);
	peer_send_pattern(&peer, 100);
	host_advance_ms(h, 100);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(peer.seq));
	CHECK_EQ(app_readable(&s), 0);
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	end();
}

/* Section 3.10.7.4, second, of each state. */
static void rst_means_what_the_state_says(void)
{
	begin();
	peer_send(&peer, TH_FIN | TH_ACK, NULL, 0);
	peer_inject(&peer, TH_RST, peer.seq, 0, NULL, 0); /* CLOSE-WAIT */
	host_poll(h);
	CHECK_EQ(s.slot->error, EPIPE);
	CHECK_EQ(app_close(&s), 0);
	host_drain(h);

	peer_init(&peer, h);
	host_connected(h, &peer, &s);
	CHECK_EQ(app_shutdown(&s, SHUT_RDWR), 0);
	peer_inject(&peer, TH_FIN | TH_ACK, peer.seq, peer.ack, NULL, 0);
	peer_inject(&peer, TH_RST, peer.seq + 1, 0, NULL, 0); /* CLOSING */
	host_poll(h);
	CHECK_EQ(host_state(&s), TCP_CLOSE);
	CHECK_EQ(s.slot->error, 0); /* all was said */
	CHECK_EQ(app_close(&s), 0);
	host_drain(h);
	HOST_CHECK_QUIET(h);
	end();
}

static void a_closing_session_sends_what_was_written(void)
{
	begin();
	app_write_pattern(&s, 100); /* no submission was seen yet */
	arena_close(h->w, &h->session->arenas[0], false);
	host_settle(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_FIN | TH_ACK), PAYLOAD_IS_PATTERN(0, 100));
	CHECK_EQ(h->drained, 0); /* its bytes are still needed */
	peer_send(&peer, TH_FIN | TH_ACK, NULL, 0);
	host_settle(h);
	CHECK_EQ(h->drained, 1);
	host_drain(h);
	session_free(h->session);
	h->session = NULL;
	h->app.manual = true;
	end();
}

TEST_SUITE(tcp_state)
{
	TEST(states_are_named_as_the_rfc_does);
	TEST(we_close_first);
	TEST(the_peer_closes_first);
	TEST(both_close_at_once);
	TEST(fin_and_ack_of_ours_in_one_segment);
	TEST(a_half_closed_connection_still_receives);
	TEST(a_half_closed_connection_still_sends);
	TEST(what_was_written_before_close_is_sent);
	TEST(a_closed_connections_bytes_are_retransmitted);
	TEST(fin_comes_with_text);
	TEST(fin_beyond_a_gap_waits);
	TEST(a_repeated_fin_is_acknowledged_again);
	TEST(text_after_close_is_reset);
	TEST(close_with_unread_text_is_a_reset);
	TEST(linger_zero_makes_close_a_reset);
	TEST(an_accepted_connection_nobody_claimed_is_reset);
	TEST(shutdown_for_reading_only_keeps_quiet);
	TEST(shutdown_of_an_unconnected_sock_is_refused);
	TEST(shutdown_of_a_listener_ends_listening);
	TEST(shutdown_while_connecting_gives_up);
	TEST(close_during_a_simultaneous_open_waits_for_it);
	TEST(text_after_shutdown_for_reading_is_discarded);
	TEST(rst_means_what_the_state_says);
	TEST(a_closing_session_sends_what_was_written);
	TEST(shutting_down_twice_sends_one_fin);
	TEST(a_dead_application_ends_its_connections);
}
