/* SPDX-License-Identifier: BSD-3-Clause */
/* Urgent data, both ways: RFC 9293 section 3.8.5, RFC 6093. */
#include <errno.h>
#include <sys/socket.h>

#include "lib/seq.h"
#include "support/tcp_fixture.h"

#define MSS 1460u

static void begin(void)
{
	begin_connected(NULL);
}

/* length bytes of the pattern at seq, with URG and this pointer; polled. */
static void send_urgent_at(uint32_t seq, uint32_t length, uint16_t pointer)
{
	struct build b;

	peer_build(&peer, &b, TH_ACK | TH_URG, seq, peer.ack);
	build_pattern(&b, peer_offset(&peer, seq), length);
	build_tcp_header(&b)->tcp_urp = htons(pointer);
	build_finish(&b);
	host_inject(h, &b);
	host_poll(h);
}

static void send_urgent(uint32_t length, uint16_t pointer)
{
	send_urgent_at(peer.seq, length, pointer);
	peer.seq += length;
}

static void write_urgent(uint32_t length)
{
	static const uint8_t bytes[4096];

	CHECK_EQ(app_write_urgent(&s, bytes, length), length);
	host_settle(h);
}

/* ---- receiving ------------------------------------------------------------------- */

/* RFC 6093 section 3.1, RFC 9293 section 3.1 (MUST-62): the pointer leads to the byte after. */
static void the_pointer_leads_past_the_last_urgent_byte(void)
{
	begin();
	CHECK_EQ(app_mark(&s), -1);
	send_urgent(20, 10);
	CHECK_EQ(app_mark(&s), 9);
	CHECK_EQ(app_read_pattern(&s, 9), 9);
	CHECK_EQ(app_mark(&s), 0);
	CHECK_EQ(app_read_pattern(&s, 100), 11);
	CHECK_EQ(app_mark(&s), -1);
	host_advance_ms(h, 100);
	host_drain(h);
	end();
}

/* MUST-32: at the first pointer, and whenever it advances; not for what is known. */
static void the_application_is_told_when_the_pointer_advances(void)
{
	begin();
	app_take_events(&s);
	send_urgent(0, 100);
	CHECK(app_take_events(&s) & LEAT_EV_PRI);
	CHECK_EQ(app_mark(&s), 99);
	CHECK_EQ(app_readable(&s), 0);
	send_urgent(0, 100);
	CHECK_EQ(app_take_events(&s), 0);
	send_urgent(0, 99);
	CHECK_EQ(app_take_events(&s), 0);
	CHECK_EQ(app_mark(&s), 99);
	send_urgent(0, 101);
	CHECK(app_take_events(&s) & LEAT_EV_PRI);
	CHECK_EQ(app_mark(&s), 100);
	send_urgent(101, 101); /* the text it was about */
	CHECK_EQ(app_take_events(&s), LEAT_EV_IN);
	CHECK_EQ(app_mark(&s), 100); /* MUST-33: so much is still to come */
	CHECK_EQ(app_read_pattern(&s, 200), 101);
	host_advance_ms(h, 100);
	host_drain(h);
	end();
}

/* MUST-31: however long it is, and though the pointer has only 16 bits. */
static void urgent_data_may_be_longer_than_the_pointer_tells(void)
{
	uint32_t total = 60 * MSS, left = total;

	begin();
	for (; left > 0; left -= MSS) {
		send_urgent(MSS, (uint16_t)RTE_MIN(left, 0xffffu));
		CHECK_EQ(app_mark(&s), RTE_MIN(left, 0xffffu) - 1);
		CHECK_EQ(app_read_pattern(&s, MSS), MSS);
	}
	CHECK_EQ(app_mark(&s), -1);
	host_advance_ms(h, 100);
	host_drain(h);
	end();
}

static void a_pointer_into_old_text_says_nothing(void)
{
	begin();
	peer_send_pattern(&peer, 100);
	send_urgent_at(peer.seq - 100, 100, 50); /* sent again, now with a pointer */
	CHECK_EQ(app_mark(&s), -1);
	send_urgent_at(peer.seq - 100, 100, 100);
	CHECK_EQ(app_mark(&s), -1);
	send_urgent_at(peer.seq - 100, 101, 100); /* and with a byte more */
	CHECK_EQ(app_mark(&s), -1);
	peer.seq++;
	send_urgent_at(peer.seq - 100, 101, 101); /* which is what it is about */
	CHECK_EQ(app_mark(&s), 101);
	peer.seq++;
	CHECK_EQ(app_read_pattern(&s, 200), 102);
	host_advance_ms(h, 100);
	host_drain(h);
	end();
}

/* As Linux: it means what 1 does. */
static void a_pointer_of_zero_leads_to_the_first_byte(void)
{
	begin();
	send_urgent(5, 0);
	CHECK_EQ(app_mark(&s), 0);
	CHECK_EQ(app_read_pattern(&s, 10), 5);
	host_advance_ms(h, 100);
	host_drain(h);
	end();
}

/* Told at once, though the text with it has to wait. */
static void a_pointer_beyond_a_gap_is_told(void)
{
	begin();
	send_urgent_at(peer.seq + 100, 100, 100);
	CHECK_EQ(app_mark(&s), 199);
	CHECK_EQ(app_readable(&s), 0);
	peer_send_pattern(&peer, 100);
	CHECK_EQ(app_readable(&s), 200);
	CHECK_EQ(app_mark(&s), 199);
	CHECK_EQ(app_read_pattern(&s, 200), 200);
	host_drain(h);
	end();
}

/* MUST-66: with text there is no room for, or without. */
static void a_shut_window_does_not_keep_the_pointer_out(void)
{
	int buffer = 20000;

	begin_unconnected(NULL);
	host_listen(h, 4);
	CHECK_EQ(app_setsockopt(&h->listener, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer)), 0);
	host_established(h, &peer, &s);
	while (tcp()->rcv_edge != tcp()->rcv_nxt)
		peer_send_pattern(&peer, RTE_MIN(MSS, tcp()->rcv_edge - tcp()->rcv_nxt));
	buffer = (int)app_readable(&s);
	send_urgent(0, 10);
	CHECK_EQ(app_mark(&s), buffer + 9);
	send_urgent_at(peer.seq, 100, 100);
	CHECK_EQ(app_mark(&s), buffer + 99);
	CHECK_EQ(app_read_pattern(&s, 100000), buffer);
	host_advance_ms(h, 100);
	host_drain(h);
	end();
}

static void sequence_numbers_wrap_before_the_mark(void)
{
	begin_unconnected(NULL);
	peer.isn = peer.seq = 0xffffff00;
	host_connected(h, &peer, &s);
	send_urgent(100, 1000);
	CHECK_EQ(app_mark(&s), 999);
	send_urgent(1000, 900);
	CHECK_EQ(app_mark(&s), 999);
	send_urgent(10, 10);
	CHECK_EQ(app_mark(&s), 1109);
	CHECK_EQ(app_read_pattern(&s, 5000), 1110);
	host_advance_ms(h, 100);
	host_drain(h);
	end();
}

/* A byte nobody fetched is lost to the next one, as under Linux, where the reader stands at it; and
 * is data where the reader is still on its way. */
static void a_reader_at_the_mark_is_led_past_it_by_the_next(void)
{
	begin();
	send_urgent(1, 1);
	CHECK_EQ(app_hole(&s), 0);
	send_urgent(1, 1);
	CHECK_EQ(app_hole(&s), 1);
	CHECK_EQ(app_mark(&s), 1);
	send_urgent(1, 1);
	CHECK_EQ(app_hole(&s), 2);
	CHECK_EQ(app_mark(&s), 2);
	CHECK_EQ(app_read_pattern(&s, 3), 3);
	send_urgent(10, 10);
	CHECK_EQ(app_hole(&s), 0);
	send_urgent(1, 1);
	CHECK_EQ(app_hole(&s), 0);
	CHECK_EQ(app_mark(&s), 10);
	CHECK_EQ(app_read_pattern(&s, 100), 11);
	host_advance_ms(h, 100);
	host_drain(h);
	end();
}

/* RFC 6093 section 6 recommends it. */
static void in_line_nothing_is_passed_over(void)
{
	int on = 1;

	begin();
	CHECK_EQ(app_setsockopt(&s, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)), 0);
	send_urgent(1, 1);
	send_urgent(1, 1);
	CHECK_EQ(app_hole(&s), 0);
	CHECK_EQ(app_mark(&s), 1);
	CHECK_EQ(app_read_pattern(&s, 3), 2);
	host_advance_ms(h, 100);
	host_drain(h);
	end();
}

/* Nobody hears of it, and the stream goes on. */
static void after_shutdown_urgent_data_is_nobodys(void)
{
	begin();
	CHECK_EQ(app_shutdown(&s, SHUT_RD), 0);
	app_take_events(&s);
	send_urgent(10, 10);
	CHECK_EQ(app_mark(&s), -1);
	CHECK(!(app_take_events(&s) & LEAT_EV_PRI));
	host_advance_ms(h, 100);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(peer.seq));
	end();
}

/* What is announced and never sent leaves nothing behind when the stream ends. */
static void a_mark_that_is_never_reached_is_harmless(void)
{
	begin();
	send_urgent(10, 0xffff);
	CHECK_EQ(app_mark(&s), 0xfffe);
	peer_send(&peer, TH_FIN | TH_ACK, NULL, 0);
	CHECK(app_has(&s, LEAT_EV_RDHUP));
	CHECK_EQ(app_read_pattern(&s, 100), 10);
	send_urgent(0, 10); /* beyond the end */
	CHECK_EQ(host_state(&s), TCP_CLOSE_WAIT);
	host_drain(h);
	end();
}

/* Another's marks are none of a sock's that gets its slot. */
static void a_slot_used_again_has_no_mark(void)
{
	struct leat_sqe sqe = {.op = LEAT_OP_URGENT};
	uint32_t slot;

	begin();
	send_urgent(1, 1);
	send_urgent(1, 1);
	send_urgent(1, 1);
	CHECK_EQ(app_hole(&s), 2);
	write_urgent(3);
	slot = s.handle.slot;
	CHECK_EQ(app_close(&s), 0); /* unread: a reset */
	host_drain(h);
	peer_init(&peer, h);
	host_connected(h, &peer, &s);
	CHECK_EQ(s.handle.slot, slot);
	CHECK_EQ(app_mark(&s), -1);
	send_urgent(1, 1);
	CHECK_EQ(app_mark(&s), 0);
	CHECK_EQ(app_hole(&s), 0);
	CHECK_EQ(app_read_pattern(&s, 100), 1);
	host_drain(h);

	sqe.handle = s.handle;
	CHECK_EQ(app_call(s.app, s.context, s.worker, &sqe, NULL), 0);
	CHECK_EQ(app_write_pattern(&s, 5), 5);
	host_settle(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), PAYLOAD_IS(5));
	peer_send(&peer, TH_ACK, NULL, 0);
	end();
}

/* ---- sending --------------------------------------------------------------------- */

/* MUST-30, MUST-62. */
static void urgent_data_is_sent_with_its_pointer(void)
{
	begin();
	write_urgent(1);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK | TH_URG), TCP_URGENT_IS(1), PAYLOAD_IS(1));
	write_urgent(100);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK | TH_URG), TCP_URGENT_IS(100), PAYLOAD_IS(100));
	HOST_EXPECT_NOTHING(h);
	peer_send(&peer, TH_ACK, NULL, 0);
	end();
}

/* Each segment up to it tells, the ones after it do not. */
static void each_segment_before_the_mark_points_at_it(void)
{
	begin();
	write_urgent(2 * MSS + 10);
	PEER_EXPECT(&peer, TCP_URGENT_IS(2 * MSS + 10), PAYLOAD_IS(MSS));
	PEER_EXPECT(&peer, TCP_URGENT_IS(MSS + 10), PAYLOAD_IS(MSS));
	PEER_EXPECT(&peer, TCP_URGENT_IS(10), PAYLOAD_IS(10));
	CHECK_EQ(app_write(&s, "after", 5), 5);
	host_settle(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), PAYLOAD_IS(5));
	peer_send_pattern(&peer, 1);
	host_advance_ms(h, 100);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), PAYLOAD_IS(0)); /* nor does a bare ACK */
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(app_read_pattern(&s, 1), 1);
	end();
}

static void what_is_sent_again_points_at_it_too(void)
{
	begin();
	write_urgent(50);
	PEER_EXPECT(&peer, TCP_URGENT_IS(50), PAYLOAD_IS(50));
	peer.ack -= 50;
	host_advance_ms(h, 1500);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK | TH_URG), TCP_URGENT_IS(50), PAYLOAD_IS(50));
	host_drain(h);
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(app_write(&s, "after", 5), 5); /* acknowledged: it is over */
	host_settle(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), PAYLOAD_IS(5));
	peer_send(&peer, TH_ACK, NULL, 0);
	end();
}

/* RFC 9293 section 3.8.5: the peer is told of it though it takes no text. */
static void a_shut_window_does_not_hold_the_pointer_back(void)
{
	begin();
	peer.window = 0;
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(app_write_pattern(&s, 10), 10);
	host_settle(h);
	HOST_EXPECT_NOTHING(h);
	write_urgent(1);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK | TH_URG), TCP_URGENT_IS(11), PAYLOAD_IS(0));
	host_advance_ms(h, 1000); /* the probe too */
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK | TH_URG), TCP_URGENT_IS(11), PAYLOAD_IS(1));
	host_drain(h);
	peer.window = 1000;
	peer_send(&peer, TH_ACK, NULL, 0);
	host_settle(h);
	PEER_EXPECT(&peer, TCP_URGENT_IS(10), PAYLOAD_IS(10));
	peer_send(&peer, TH_ACK, NULL, 0);
	end();
}

/* MUST-31, sending: beyond its reach the pointer says the most it can. */
static void a_mark_out_of_reach_is_told_as_far_as_it_goes(void)
{
	int buffer = 200000;
	uint32_t total = 0;

	begin_unconnected(NULL);
	peer.window_scale = 4;
	host_connected(h, &peer, &s);
	CHECK_EQ(app_setsockopt(&s, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer)), 0);
	peer.window = 0;
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(app_write_pattern(&s, 99999), 99999);
	write_urgent(1);
	PEER_EXPECT(&peer, TCP_URGENT_IS(0xffff), PAYLOAD_IS(0));
	peer.window = 65535;
	while (total < 100000) {
		uint32_t left = 100000 - total;
		struct tcp_segment seg;

		if (host_tx_count(h) == 0)
			peer_send(&peer, TH_ACK, NULL, 0);
		REQUIRE(host_tx_count(h) > 0);
		seg = PEER_TAKE(&peer);
		CHECK(seg.flags & TH_URG);
		CHECK_EQ(seg.urgent, RTE_MIN(left, 0xffffu));
		total += seg.length;
	}
	peer_send(&peer, TH_ACK, NULL, 0);
	host_drain(h);
	end();
}

/* A pointer that can say no more than 65535 does not seem to be about text sent already. */
static void old_text_far_before_the_mark_does_not_point(void)
{
	int buffer = 300000;
	uint32_t first;

	begin_unconnected(NULL);
	peer.window_scale = 4;
	host_connected(h, &peer, &s);
	CHECK_EQ(app_setsockopt(&s, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer)), 0);
	peer_send(&peer, TH_ACK, NULL, 0); /* its window, scaled */
	tcp()->rest.cwnd_bytes = 200000;
	CHECK_EQ(app_write_pattern(&s, 150000), 150000);
	host_settle(h);
	first = peer.ack;
	host_drain(h);
	write_urgent(1);
	host_drain(h);
	host_advance_ms(h, 1500);
	REQUIRE(host_tx_count(h) > 0);
	for (bool seen = false; host_tx_count(h) > 0;) {
		struct tcp_segment seg = PEER_TAKE(&peer);

		if (seg.seq == first && !seen)
			CHECK(!(seg.flags & TH_URG));
		seen |= seg.seq == first;
	}
	peer.ack = tcp()->snd_nxt;
	peer_send(&peer, TH_ACK, NULL, 0);
	host_drain(h);
	end();
}

/* Neither Nagle nor a cork holds it back. */
static void urgent_data_does_not_wait_for_an_ack(void)
{
	int on = 1;

	begin();
	CHECK_EQ(app_write_pattern(&s, 10), 10);
	host_settle(h);
	PEER_EXPECT(&peer, PAYLOAD_IS(10));
	CHECK_EQ(app_write_pattern(&s, 10), 10);
	host_settle(h);
	HOST_EXPECT_NOTHING(h);
	write_urgent(1);
	PEER_EXPECT(&peer, TCP_URGENT_IS(11), PAYLOAD_IS(11));
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(app_setsockopt(&s, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)), 0);
	write_urgent(1);
	PEER_EXPECT(&peer, TCP_URGENT_IS(1), PAYLOAD_IS(1));
	peer_send(&peer, TH_ACK, NULL, 0);
	end();
}

/* A port that cuts would give each piece the same pointer. */
static void a_port_with_tso_gets_urgent_data_in_segments(void)
{
	struct host_config config = host_config_default();

	config.tx_checksum = config.tso = true;
	begin_connected(&config);
	write_urgent(2 * MSS);
	PEER_EXPECT(&peer, TCP_URGENT_IS(2 * MSS), PAYLOAD_IS(MSS));
	PEER_EXPECT(&peer, TCP_URGENT_IS(MSS), PAYLOAD_IS(MSS));
	peer_send(&peer, TH_ACK, NULL, 0);
	end();
}

/* Closing loses none of it. */
static void what_was_urgent_stays_so_after_close(void)
{
	begin();
	peer.window = 0;
	peer_send(&peer, TH_ACK, NULL, 0);
	write_urgent(5);
	PEER_EXPECT(&peer, TCP_URGENT_IS(5), PAYLOAD_IS(0));
	CHECK_EQ(app_close(&s), 0);
	peer.window = 1000;
	peer_send(&peer, TH_ACK, NULL, 0);
	host_settle(h);
	PEER_EXPECT(&peer, TCP_FLAGS_HAVE(TH_URG), TCP_URGENT_IS(5), PAYLOAD_IS(5));
	peer_send(&peer, TH_RST, NULL, 0);
	host_drain(h);
	end();
}

/* Also when the worker hears of both at once. */
static void what_is_urgent_is_so_when_it_is_closed_at_once(void)
{
	begin();
	CHECK_EQ(app_write_urgent(&s, "hello", 5), 5);
	CHECK_EQ(app_close(&s), 0);
	host_settle(h);
	PEER_EXPECT(&peer, TCP_FLAGS_HAVE(TH_URG), TCP_URGENT_IS(5), PAYLOAD_IS(5));
	peer_send(&peer, TH_RST, NULL, 0);
	host_drain(h);
	end();
}

static void sequence_numbers_wrap_while_sending_urgent_data(void)
{
	begin();
	/* As if 4 GiB, less a little, had been sent. */
	tcp()->snd_una = tcp()->snd_nxt = tcp()->snd_wl2 = tcp()->snd_small = 0xffffffc0;
	peer.ack = 0xffffffc0;
	write_urgent(100);
	PEER_EXPECT(&peer, TCP_SEQ_IS(0xffffffc0), TCP_URGENT_IS(100), PAYLOAD_IS(100));
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK(!tcp_is_urgent(tcp()));
	CHECK_EQ(app_write(&s, "after", 5), 5);
	host_settle(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), PAYLOAD_IS(5));
	peer_send(&peer, TH_ACK, NULL, 0);
	end();
}

/* ---- what an application may not do ------------------------------------------------- */

/* Any value in the region is harmless: it is a mark in what was written, or it is none. */
static void a_wild_mark_of_the_application_is_none(void)
{
	static const uint64_t wild[] = {0, 1, 12, UINT64_MAX, UINT64_MAX / 2, 1ull << 32};

	begin();
	write_urgent(1);
	host_drain(h);
	peer.ack = tcp()->snd_nxt;
	peer_send(&peer, TH_ACK, NULL, 0);
	for (unsigned i = 0; i < RTE_DIM(wild); i++) {
		s.app->tx_urgent[s.handle.slot] = wild[i];
		CHECK_EQ(app_write(&s, "x", 1), 1);
		host_settle(h);
		PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), PAYLOAD_IS(1));
		peer_send(&peer, TH_ACK, NULL, 0);
	}
	s.app->rx_urgent[s.handle.slot] = (struct leat_urgent){UINT64_MAX, UINT64_MAX};
	send_urgent(1, 1);
	s.app->rx_urgent[s.handle.slot] = (struct leat_urgent){UINT64_MAX, UINT64_MAX};
	send_urgent(1, 1);
	CHECK_EQ(app_read_pattern(&s, 10), 2);
	CHECK_EQ(h->condemned, 0);
	host_advance_ms(h, 100);
	host_drain(h);
	end();
}

static void datagrams_have_no_urgent_data(void)
{
	struct leat_sqe sqe = {.op = LEAT_OP_URGENT};

	begin_unconnected(NULL);
	REQUIRE_EQ(app_socket(&h->app, SOCK_DGRAM, &s), 0);
	sqe.handle = s.handle;
	CHECK_EQ(app_call(&h->app, 0, 0, &sqe, NULL), -EOPNOTSUPP);
	sqe.handle.generation++;
	CHECK_EQ(app_call(&h->app, 0, 0, &sqe, NULL), -EBADF);
	end();
}

TEST_SUITE(tcp_urgent)
{
	TEST(the_pointer_leads_past_the_last_urgent_byte);
	TEST(the_application_is_told_when_the_pointer_advances);
	TEST(urgent_data_may_be_longer_than_the_pointer_tells);
	TEST(a_pointer_into_old_text_says_nothing);
	TEST(a_pointer_of_zero_leads_to_the_first_byte);
	TEST(a_pointer_beyond_a_gap_is_told);
	TEST(a_shut_window_does_not_keep_the_pointer_out);
	TEST(sequence_numbers_wrap_before_the_mark);
	TEST(a_reader_at_the_mark_is_led_past_it_by_the_next);
	TEST(in_line_nothing_is_passed_over);
	TEST(after_shutdown_urgent_data_is_nobodys);
	TEST(a_mark_that_is_never_reached_is_harmless);
	TEST(a_slot_used_again_has_no_mark);
	TEST(urgent_data_is_sent_with_its_pointer);
	TEST(each_segment_before_the_mark_points_at_it);
	TEST(what_is_sent_again_points_at_it_too);
	TEST(a_shut_window_does_not_hold_the_pointer_back);
	TEST(a_mark_out_of_reach_is_told_as_far_as_it_goes);
	TEST(old_text_far_before_the_mark_does_not_point);
	TEST(urgent_data_does_not_wait_for_an_ack);
	TEST(a_port_with_tso_gets_urgent_data_in_segments);
	TEST(what_was_urgent_stays_so_after_close);
	TEST(what_is_urgent_is_so_when_it_is_closed_at_once);
	TEST(sequence_numbers_wrap_while_sending_urgent_data);
	TEST(a_wild_mark_of_the_application_is_none);
	TEST(datagrams_have_no_urgent_data);
}
