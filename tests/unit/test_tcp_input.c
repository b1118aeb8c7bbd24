/* SPDX-License-Identifier: BSD-3-Clause */
/* Segments that arrive at a connection: RFC 9293 section 3.10.7.4, with RFC 5961 and RFC 7323. */
#include <errno.h>
#include <sys/socket.h>

#include "lib/pool.h"
#include "support/tcp_fixture.h"

static void begin_with(bool timestamps)
{
	begin_unconnected(NULL);
	peer.timestamps = timestamps;
	host_connected(h, &peer, &s);
}

static void begin(void)
{
	begin_with(false);
}

static uint32_t window(void)
{
	const struct tcp_segment t = PEER_TAKE(&peer);

	return t.window;
}

/* ---- text ------------------------------------------------------------------ */

static void text_in_order_is_delivered_and_acknowledged(void)
{
	begin();
	for (uint32_t i = 0; i < 20; i++)
		peer_send_pattern(&peer, 700 + i);
	host_advance_ms(h, 100);
	while (host_tx_count(h) > 1)
		PEER_TAKE(&peer);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(peer.seq), PAYLOAD_IS(0));
	CHECK_EQ(app_read_pattern(&s, 1u << 20), 20 * 700 + 190);
	CHECK(app_take_events(&s) & LEAT_EV_IN);
	end();
}

/* Over the quick start; no ACK is owed. */
static void receive_for_a_while(void)
{
	for (int i = 0; i < 40; i++) {
		peer_send_pattern(&peer, 1460);
		app_read_pattern(&s, 1460);
	}
	host_advance_ms(h, 100);
	host_drain(h);
}

/* Section 3.8.6.3: at least every second full segment at once, the rest within 500 ms. */
static void acks_are_delayed_but_not_for_long(void)
{
	begin();
	receive_for_a_while();

	peer_send_pattern(&peer, 1460);
	HOST_EXPECT_NOTHING(h);
	peer_send_pattern(&peer, 1460);
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.seq));
	peer_send_pattern(&peer, 1460);
	host_advance_ms(h, 20);
	HOST_EXPECT_NOTHING(h);
	host_advance_ms(h, 480);
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.seq));
	host_advance_ms(h, 1000);
	HOST_EXPECT_NOTHING(h);
	end();
}

/* The peer's timeout ran out, or it begins anew: its window is one segment. */
static void after_a_pause_full_segments_are_acknowledged_at_once(void)
{
	begin();
	receive_for_a_while();
	host_advance_ms(h, RTO_MIN_MS);
	peer_send_pattern(&peer, 1460);
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.seq));
	peer_send_pattern(&peer, 1460);
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.seq));
	end();
}

/* A request after a pause: its ACK rides on the answer. */
static void after_a_pause_a_short_segment_is_not(void)
{
	begin();
	receive_for_a_while();
	host_advance_ms(h, 10 * RTO_MIN_MS);
	peer_send_pattern(&peer, 100);
	HOST_EXPECT_NOTHING(h);
	host_advance_ms(h, 100);
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.seq));
	end();
}

static void after_a_gap_was_filled_acks_are_not_delayed(void)
{
	begin();
	receive_for_a_while();
	peer_inject_pattern(&peer, peer.seq + 1000, 1000);
	host_poll(h);
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.seq));
	peer_send_pattern(&peer, 1000);
	peer.seq += 1000;
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.seq));
	peer_send_pattern(&peer, 1000);
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.seq));
	app_read_pattern(&s, UINT32_MAX);
	end();
}

/* ---- what comes first on a connection ---------------------------------------- */

static void begin_accepted(void)
{
	begin_unconnected(NULL);
	host_listen(h, 10);
	host_established(h, &peer, &s);
}

static void the_first_ack_rides_on_the_answer(void)
{
	begin_accepted();
	peer_send_pattern(&peer, 100);
	HOST_EXPECT_NOTHING(h);
	app_write_pattern(&s, 60);
	host_poll(h);
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.seq), PAYLOAD_IS_PATTERN(0, 60));
	HOST_EXPECT_NOTHING(h);
	app_read_pattern(&s, 100);
	end();
}

/* Who holds back the rest of a request until its beginning is acknowledged hardly waits, and once. */
static void the_first_ack_waits_for_a_millisecond(void)
{
	begin_accepted();
	peer_send_pattern(&peer, 100);
	HOST_EXPECT_NOTHING(h);
	host_advance_ms(h, 1);
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.seq), PAYLOAD_IS(0));
	peer_send_pattern(&peer, 100);
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.seq), PAYLOAD_IS(0));
	app_read_pattern(&s, 200);
	end();
}

static void the_first_ack_does_not_wait_for_more_data(void)
{
	begin_accepted();
	peer_send_pattern(&peer, 100);
	HOST_EXPECT_NOTHING(h);
	peer_send_pattern(&peer, 100);
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.seq), PAYLOAD_IS(0));
	app_read_pattern(&s, 200);
	end();
}

/* RFC 5681 section 3.1: the peer's window grows with each ACK. */
static void a_full_first_segment_is_acknowledged_at_once(void)
{
	begin_accepted();
	peer_send_pattern(&peer, tcp()->mss_bytes);
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.seq), PAYLOAD_IS(0));
	app_read_pattern(&s, UINT32_MAX);
	end();
}

static void an_ack_rides_on_data(void)
{
	begin();
	peer_send_pattern(&peer, 10);
	host_drain(h);
	app_write_pattern(&s, 50);
	host_poll(h);
	host_drain(h);
	peer.ack += 50;
	peer_send(&peer, TH_ACK, "request", 7); /* a dialogue: the answer carries the ACK */
	HOST_EXPECT_NOTHING(h);
	app_write_pattern(&s, 60);
	host_poll(h);
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.seq), PAYLOAD_IS_PATTERN(50, 60));
	host_advance_ms(h, 100);
	HOST_EXPECT_NOTHING(h);
	end();
}

/* RFC 5681 section 4.2. */
static void a_gap_is_acknowledged_at_once_and_filled(void)
{
	begin();
	peer_inject_pattern(&peer, peer.seq + 1000, 500);
	host_poll(h);
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.seq));
	peer_inject_pattern(&peer, peer.seq + 2000, 500);
	host_poll(h);
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.seq));
	CHECK_EQ(app_readable(&s), 0);
	peer_inject_pattern(&peer, peer.seq, 1000);
	host_poll(h);
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.seq + 1500));
	peer_inject_pattern(&peer, peer.seq + 1500, 500);
	host_poll(h);
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.seq + 2500));
	CHECK_EQ(app_read_pattern(&s, 5000), 2500);
	CHECK_EQ(host_counter(h, CNT_tcp_out_of_order), 2);
	end();
}

static void overlapping_text_is_delivered_once(void)
{
	begin();
	peer_inject_pattern(&peer, peer.seq, 100);
	peer_inject_pattern(&peer, peer.seq + 50, 100); /* half of it old */
	peer_inject_pattern(&peer, peer.seq, 200); /* new at its end only */
	peer_inject_pattern(&peer, peer.seq + 300, 100);
	peer_inject_pattern(&peer, peer.seq + 250, 300); /* covers the last one */
	peer_inject_pattern(&peer, peer.seq + 180, 100); /* closes the gap, overlapping both */
	host_settle(h);
	CHECK_EQ(app_readable(&s), 550);
	CHECK_EQ(app_read_pattern(&s, 1000), 550);
	host_drain(h);
	end();
}

static void a_duplicate_is_acknowledged_and_dropped(void)
{
	begin();
	peer_send_pattern(&peer, 100);
	host_drain(h);
	peer_inject_pattern(&peer, peer.seq - 100, 100);
	host_poll(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(peer.seq));
	CHECK_EQ(host_counter(h, CNT_tcp_duplicate), 1);
	CHECK_EQ(app_read_pattern(&s, 1000), 100);
	end();
}

static void text_beyond_the_window_is_cut(void)
{
	uint32_t offered;
	int buffer = 4096;

	begin_unconnected(NULL);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	REQUIRE_EQ(app_setsockopt(&s, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer)), 0);
	REQUIRE_EQ(app_connect(&s, PEER_ADDR, peer.port), 0);
	host_settle(h);
	{
		struct leat_addr local;

		app_getname(&s, false, &local);
		peer.host_port = ntohs(local.port);
	}
	PEER_TAKE(&peer);
	peer_send(&peer, TH_SYN | TH_ACK, NULL, 0);
	offered = window(); /* no scale: the peer did not offer it */
	CHECK_EQ(offered, 4096);
	for (uint32_t at = 0; at < 6000; at += 1000)
		peer_inject_pattern(&peer, peer.seq + at, 1000);
	host_settle(h);
	CHECK_EQ(app_readable(&s), 4096);
	while (host_tx_count(h) > 1)
		PEER_TAKE(&peer);
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.seq + 4096), TCP_WINDOW_IS(0));
	CHECK_EQ(app_read_pattern(&s, 10000), 4096);
	end();
}

static void gaps_are_remembered_in_hundreds(void)
{
	begin();
	for (uint32_t i = 1; i <= 200; i++) /* every second hundred is missing */
		peer_inject_pattern(&peer, peer.seq + 200 * i, 100);
	host_settle(h);
	CHECK_EQ(host_counter(h, CNT_tcp_reassembly), 0);
	CHECK_EQ(pool_used(h->w->tcp->many_ranges), 1);
	peer_inject_pattern(&peer, peer.seq, 200 + 100);
	for (uint32_t i = 1; i <= 200; i++)
		peer_inject_pattern(&peer, peer.seq + 200 * i + 100, 100);
	host_settle(h);
	CHECK_EQ(app_read_pattern(&s, 65000), 201 * 200);
	CHECK_EQ(pool_used(h->w->tcp->many_ranges), 0);
	host_drain(h);
	end();
}

static void more_gaps_than_can_be_remembered_lose_nothing(void)
{
	void *taken[8];
	uint32_t count = 0;

	begin();
	while (count < RTE_DIM(taken) && (taken[count] = pool_get(h->w->tcp->many_ranges)) != NULL)
		count++;
	for (uint32_t i = 1; i <= 90; i++) /* every second hundred is missing */
		peer_inject_pattern(&peer, peer.seq + 200 * i, 100);
	host_settle(h);
	CHECK(host_counter(h, CNT_tcp_reassembly) > 0);
	for (uint32_t i = 0; i <= 90; i++) /* then all of it, as a retransmission */
		peer_inject_pattern(&peer, peer.seq + 200 * i, 200);
	host_settle(h);
	CHECK_EQ(app_read_pattern(&s, 20000), 91 * 200);
	while (count > 0)
		pool_put(h->w->tcp->many_ranges, taken[--count]);
	host_drain(h);
	end();
}

static void without_a_chunk_left_text_is_dropped_and_comes_again(void)
{
	struct host_config config = host_config_default();
	uint32_t readable;

	config.session.chunk_shift = 12;
	config.session.chunks_per_worker = 12;
	config.session.grant_entries = 8;
	begin_connected(&config);
	for (uint32_t i = 0; i < 20; i++)
		peer_inject_pattern(&peer, peer.seq + 1000 * i, 1000);
	host_settle(h);
	readable = (uint32_t)app_readable(&s);
	CHECK_RANGE(readable, 12000, 16384);
	CHECK(host_counter(h, CNT_tcp_rx_ring) > 0);
	CHECK(host_counter(h, CNT_chunks_exhausted) > 0);
	CHECK_EQ(app_read_pattern(&s, readable), readable);
	peer.seq += readable;
	for (uint32_t i = 0; i < 10; i++)
		peer_send_pattern(&peer, 1000);
	CHECK_EQ(app_read_pattern(&s, 10000), 10000);
	host_drain(h);
	end();
}

static void sequence_numbers_wrap_while_receiving(void)
{
	begin_unconnected(NULL);
	peer.isn = peer.seq = 0xffffff00;
	host_connected(h, &peer, &s);
	peer_inject_pattern(&peer, peer.seq + 1000, 1000); /* beyond the wrap, out of order */
	host_poll(h);
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.seq));
	peer_inject_pattern(&peer, peer.seq + 100, 900); /* over it */
	peer_inject_pattern(&peer, peer.seq, 100);
	host_settle(h);
	while (host_tx_count(h) > 1)
		PEER_TAKE(&peer);
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.seq + 2000));
	CHECK_EQ(app_read_pattern(&s, 5000), 2000);
	end();
}

/* RFC 6093 section 4: urgent data is text in the stream. */
static void urgent_data_is_delivered_in_line(void)
{
	struct build b;

	begin();
	peer_build(&peer, &b, TH_ACK | TH_URG, peer.seq, peer.ack);
	build_pattern(&b, 0, 20);
	build_tcp_header(&b)->tcp_urp = htons(10);
	build_finish(&b);
	host_inject(h, &b);
	host_poll(h);
	CHECK_EQ(app_read_pattern(&s, 100), 20);
	end();
}

/* ---- what is not believed ---------------------------------------------------- */

/* RFC 5961 section 3.2: three cases of a RST. */
static void rst_must_be_exact(void)
{
	begin();
	peer_inject(&peer, TH_RST, peer.seq - 1, 0, NULL, 0); /* before the window */
	host_poll(h);
	HOST_EXPECT_NOTHING(h);
	peer_inject(&peer, TH_RST, peer.seq + (64u << 20), 0, NULL, 0); /* beyond it */
	host_poll(h);
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(host_counter(h, CNT_tcp_rst), 2);
	peer_inject(&peer, TH_RST, peer.seq + 1, 0, NULL, 0); /* inside: a challenge */
	host_poll(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(peer.seq));
	CHECK_EQ(host_counter(h, CNT_tcp_challenge_ack), 1);
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	peer_inject(&peer, TH_RST, peer.seq, 0, NULL, 0); /* exact */
	host_poll(h);
	CHECK_EQ(host_state(&s), TCP_CLOSE);
	CHECK_EQ(s.slot->error, ECONNRESET);
	CHECK(app_has(&s, LEAT_EV_HUP | LEAT_EV_ERR));
	CHECK_EQ(host_counter(h, CNT_tcp_rx_rst), 1);
	HOST_EXPECT_NOTHING(h);
	end();
}

/* RFC 5961 section 4.2: a SYN is challenged wherever its sequence number lies. */
static void syn_on_a_connection_is_challenged(void)
{
	static const int32_t offsets[] = {-100000, -1, 0, 1, 1000, 1 << 28};

	begin();
	for (size_t i = 0; i < RTE_DIM(offsets); i++) {
		peer_inject(&peer, TH_SYN, peer.seq + (uint32_t)offsets[i], 0, NULL, 0);
		host_poll(h);
		PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_SEQ_IS(peer.ack),
			    TCP_ACK_IS(peer.seq));
	}
	CHECK_EQ(host_state(&s), TCP_ESTABLISHED);
	CHECK_EQ(host_counter(h, CNT_tcp_challenge_ack), RTE_DIM(offsets));
	end();
}

/* RFC 5961 section 7: challenge ACKs are limited, per connection. */
static void challenges_are_limited(void)
{
	uint32_t answers;

	begin();
	for (int i = 0; i < 100; i++) {
		peer_inject(&peer, TH_SYN, peer.seq, 0, NULL, 0);
		host_poll(h);
	}
	answers = host_drain(h);
	CHECK_RANGE(answers, 1, 20);
	host_advance_ms(h, 10000);
	peer_inject(&peer, TH_SYN, peer.seq, 0, NULL, 0);
	host_poll(h);
	CHECK_EQ(host_drain(h), 1);
	end();
}

/* Section 3.10.7.4, first. */
static void text_outside_the_window_is_answered_and_dropped(void)
{
	begin();
	peer_inject(&peer, TH_ACK, peer.seq + (64u << 20), peer.ack, "x", 1);
	host_poll(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(peer.seq));
	CHECK_EQ(host_counter(h, CNT_tcp_seq), 1);
	CHECK_EQ(app_readable(&s), 0);
	end();
}

/* RFC 9293 section 3.8.4: a keepalive of the peer is old text, which is answered. */
static void a_keepalive_of_the_peer_is_answered(void)
{
	begin();
	peer_inject(&peer, TH_ACK, peer.seq - 1, peer.ack, NULL, 0);
	host_poll(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(peer.seq));
	peer_inject(&peer, TH_ACK, peer.seq - 1, peer.ack, "x", 1);
	host_poll(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(peer.seq));
	end();
}

static void segments_without_ack_are_dropped(void)
{
	begin();
	peer_inject(&peer, 0, peer.seq, 0, "x", 1);
	host_poll(h);
	CHECK_EQ(host_counter(h, CNT_tcp_no_ack), 1);
	CHECK_EQ(app_readable(&s), 0);
	HOST_EXPECT_NOTHING(h);
	end();
}

/* RFC 5961 section 5.2: neither what was never sent nor what was acknowledged long ago. */
static void an_impossible_ack_is_challenged(void)
{
	begin();
	peer_inject(&peer, TH_ACK, peer.seq, peer.ack + 1, "x", 1);
	host_poll(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(peer.seq));
	CHECK_EQ(app_readable(&s), 0);
	peer_inject(&peer, TH_ACK, peer.seq, peer.ack - (1u << 30), "x", 1);
	host_poll(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(peer.seq));
	CHECK_EQ(app_readable(&s), 0);
	CHECK_EQ(host_counter(h, CNT_tcp_ack), 2);
	end();
}

/* RFC 5961 section 5.2: MAX.SND.WND is the largest window there ever was. */
static void an_old_ack_within_the_largest_window_is_accepted(void)
{
	begin_unconnected(NULL);
	peer.window = 10;
	host_connected(h, &peer, &s);
	peer.window = 30000;
	peer_send_pattern(&peer, 10);
	peer_inject(&peer, TH_ACK, peer.seq, peer.ack - 20000, NULL, 0);
	peer_inject_pattern(&peer, peer.seq, 10);
	host_poll(h);
	CHECK_EQ(host_counter(h, CNT_tcp_ack), 0);
	CHECK_EQ(app_read_pattern(&s, 100), 20);
	host_drain(h);
	end();
}

/* RFC 7323 section 5.3: text with an older timestamp is not new text. */
static void paws_refuses_old_text(void)
{
	begin_with(true);
	host_advance_ms(h, 500);
	peer_send_pattern(&peer, 100);
	host_drain(h);
	peer.ts_offset -= 300;
	peer_inject_pattern(&peer, peer.seq, 100);
	host_poll(h);
	CHECK_EQ(app_readable(&s), 100);
	CHECK_EQ(host_counter(h, CNT_tcp_paws), 1);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(peer.seq));
	peer.ts_offset += 300;
	peer_send_pattern(&peer, 100);
	CHECK_EQ(app_read_pattern(&s, 1000), 200);
	end();
}

/* RFC 7323 section 5.5: after 24 days of silence an old timestamp proves nothing. */
static void paws_forgets_after_24_days(void)
{
	begin_with(true);
	peer_send_pattern(&peer, 100);
	CHECK_EQ(app_read_pattern(&s, 1000), 100);
	host_drain(h);
	host_advance_ms(h, 25ull * 24 * 3600 * 1000);
	peer_send_pattern(&peer, 100); /* its clock, in milliseconds, has passed half its range */
	CHECK_EQ(app_read_pattern(&s, 1000), 100);
	host_drain(h);
	end();
}

/* RFC 7323 section 3.2: once negotiated they must be there. */
static void a_missing_timestamp_is_refused_except_on_a_rst(void)
{
	begin_with(true);
	peer.send_timestamps = false;
	peer_inject(&peer, TH_ACK, peer.seq, peer.ack, "x", 1);
	host_poll(h);
	CHECK_EQ(app_readable(&s), 0);
	host_drain(h);
	peer_inject(&peer, TH_RST, peer.seq, 0, NULL, 0);
	host_poll(h);
	CHECK_EQ(host_state(&s), TCP_CLOSE);
	end();
}

/* RFC 7323 section 4.3: the timestamp echoed is that of the earliest unacknowledged text. */
static void the_right_timestamp_is_echoed(void)
{
	uint32_t first;

	begin_with(true);
	receive_for_a_while();
	first = (uint32_t)(clock_us / 1000) + peer.ts_offset;
	peer_send_pattern(&peer, 1460); /* its ACK is delayed */
	host_advance_ms(h, 20);
	peer_send_pattern(&peer, 1460);
	PEER_EXPECT(&peer, TCP_ACK_IS(peer.seq), TCP_TS_ECHO_IS(first));
	app_read_pattern(&s, 1u << 20);
	end();
}

/* ---- malformed segments, as the host sees them ---------------------------------- */

struct malformed {
	const char *options;
	uint32_t length;
	enum counter counter;
};

static void malformed_segments_die_under_their_reason(void)
{
	static const struct malformed cases[] = {
		{"\x02\x00\x01\x01", 4, CNT_tcp_option}, /* length 0 */
		{"\x02\x01\x01\x01", 4, CNT_tcp_option}, /* length 1 */
		{"\x01\x01\x01\x02", 4, CNT_tcp_option}, /* no length at all */
		{"\x01\x01\x02\x04", 4, CNT_tcp_option}, /* past the end */
		{"\x02\x03\x05\x00", 4, CNT_tcp_option}, /* an MSS of one byte */
		{"\x03\x04\x05\x00", 4, CNT_tcp_option}, /* a scale of two */
		{"\x08\x09\0\0\0\0\0\0\0\0\0\0", 12, CNT_tcp_option},
		{"\x05\x03\x01\x00", 4, CNT_tcp_option}, /* a SACK block of one byte */
		{"\xfe\x28\x00\x00", 4, CNT_tcp_option},
	};
	struct build b;

	begin();
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		uint64_t before = host_counter(h, cases[i].counter);

		peer_build(&peer, &b, TH_ACK, peer.seq, peer.ack);
		build_tcp_option(&b, cases[i].options, cases[i].length);
		build_bytes(&b, "x", 1);
		build_finish(&b);
		host_inject(h, &b);
		host_poll(h);
		CHECK_EQ(host_counter(h, cases[i].counter), before + 1);
		CHECK_EQ(app_readable(&s), 0);
	}
	HOST_EXPECT_NOTHING(h);
	end();
}

/* The smallest possible frame with each impossible header length or size. */
static void impossible_lengths_die_under_their_reason(void)
{
	struct build b;

	begin();
	for (uint8_t words = 0; words < 5; words++) {
		peer_build(&peer, &b, TH_ACK, peer.seq, peer.ack);
		build_finish(&b);
		build_tcp_header(&b)->data_off = (uint8_t)(words << 4);
		build_checksums(&b);
		host_inject(h, &b);
	}
	for (uint8_t words = 6; words < 16; words++) { /* past the end */
		peer_build(&peer, &b, TH_ACK, peer.seq, peer.ack);
		build_finish(&b);
		build_tcp_header(&b)->data_off = (uint8_t)(words << 4);
		build_checksums(&b);
		host_inject(h, &b);
	}
	host_settle(h);
	CHECK_EQ(host_counter(h, CNT_tcp_offset), 15);
	for (uint32_t length = 0; length < 20; length++) {
		peer_build(&peer, &b, TH_ACK, peer.seq, peer.ack);
		build_truncate(&b, b.transport + length);
		build_ipv4_header(&b)->total_length = htons((uint16_t)(20 + length));
		build_ipv4_header(&b)->version_ihl = 0x45;
		build_checksums(&b);
		host_inject(h, &b);
	}
	host_settle(h);
	CHECK_EQ(host_counter(h, CNT_tcp_short), 20);
	peer_build(&peer, &b, TH_ACK, peer.seq, peer.ack);
	build_bytes(&b, "x", 1);
	build_finish(&b);
	build_tcp_header(&b)->cksum ^= 0x0100;
	host_inject(h, &b);
	host_poll(h);
	CHECK_EQ(host_counter(h, CNT_tcp_checksum), 1);
	CHECK_EQ(app_readable(&s), 0);
	HOST_EXPECT_NOTHING(h);
	end();
}

/* A port that cuts packets into small mbufs. */
static void segments_in_many_mbufs_are_taken(void)
{
	begin();
	h->link.rx_segment_bytes = 128;
	for (int i = 0; i < 10; i++)
		peer_send_pattern(&peer, 1460);
	peer_inject_pattern(&peer, peer.seq + 1000, 460); /* out of order too */
	peer_inject_pattern(&peer, peer.seq, 1000);
	host_settle(h);
	CHECK_EQ(app_read_pattern(&s, 1u << 20), 16060);
	host_drain(h);
	end();
}

/* ---- the plain segment and any other ------------------------------------------- */

#define SEGMENTS 60u

/* What a segment with text leaves. */
struct left {
	uint32_t nxt, acked, edge, flags, time_ms, delack_ms, ts_recent, sent, events;
	uint64_t tail;
	uint16_t mss;
	uint8_t timers, quick_acks;
};

static struct left lefts[2][SEGMENTS];

static struct left left_by_segment(void)
{
	const struct tcp_sock *tp = tcp();
	struct left l;

	memset(&l, 0, sizeof(l));
	l.sent = host_tx_count(h);
	host_drain(h);
	l.nxt = tp->rcv_nxt - peer.isn;
	l.acked = tp->rcv_acked - peer.isn;
	l.edge = tp->rcv_edge - peer.isn;
	l.flags = tp->flags;
	l.time_ms = tp->rcv_time_ms;
	l.delack_ms = tcp_timer_armed(tp, TCP_TIMER_DELACK) ? tp->deadline_ms[TCP_TIMER_DELACK] : 0;
	l.ts_recent = tp->ts_recent;
	l.events = app_take_events(&s);
	l.tail = tp->ics.inet.sk.ring.rx_tail;
	l.mss = tp->rcv_mss_bytes;
	l.timers = tp->timers;
	l.quick_acks = tp->quick_acks;
	return l;
}

/* Requests, full segments, what does not fit into a chunk's rest, pauses, an application that reads
 * now and then. */
static void receive_in_run(unsigned run, uint8_t flags)
{
	static const uint16_t lengths[] = {100, 1448, 1448, 1,    1448, 1448,
					   700, 1448, 900,  1448, 1448};
	uint8_t text[1448];

	clock_reset();
	begin_unconnected(NULL);
	peer.timestamps = true;
	host_listen(h, 10);
	host_established(h, &peer, &s);
	for (uint32_t i = 0; i < SEGMENTS; i++) {
		uint16_t length = lengths[i % RTE_DIM(lengths)];

		pattern_fill(text, tcp_sock_sk(tcp())->ring.rx_tail, length);
		peer_send(&peer, flags, text, length);
		lefts[run][i] = left_by_segment();
		if (i % 7 == 6)
			app_read_pattern(&s, UINT32_MAX);
		host_advance_ms(h, i % 20 == 19 ? 300 : i % 4);
		host_drain(h);
	}
	app_read_pattern(&s, UINT32_MAX);
	host_advance_ms(h, 100);
	host_drain(h);
	end();
}

/* A bit that means nothing here (RFC 3168's CWR, without ECN) keeps a segment off the fast path. */
static void plain_text_leaves_what_any_other_would(void)
{
	receive_in_run(0, TH_ACK);
	receive_in_run(1, TH_ACK | RTE_TCP_CWR_FLAG);
	for (uint32_t i = 0; i < SEGMENTS; i++)
		CHECK_MEM(&lefts[0][i], &lefts[1][i], sizeof(lefts[0][i]));
}

TEST_SUITE(tcp_input)
{
	TEST(text_in_order_is_delivered_and_acknowledged);
	TEST(acks_are_delayed_but_not_for_long);
	TEST(after_a_pause_full_segments_are_acknowledged_at_once);
	TEST(after_a_pause_a_short_segment_is_not);
	TEST(after_a_gap_was_filled_acks_are_not_delayed);
	TEST(the_first_ack_rides_on_the_answer);
	TEST(the_first_ack_waits_for_a_millisecond);
	TEST(the_first_ack_does_not_wait_for_more_data);
	TEST(a_full_first_segment_is_acknowledged_at_once);
	TEST(an_ack_rides_on_data);
	TEST(a_gap_is_acknowledged_at_once_and_filled);
	TEST(overlapping_text_is_delivered_once);
	TEST(a_duplicate_is_acknowledged_and_dropped);
	TEST(text_beyond_the_window_is_cut);
	TEST(gaps_are_remembered_in_hundreds);
	TEST(more_gaps_than_can_be_remembered_lose_nothing);
	TEST(without_a_chunk_left_text_is_dropped_and_comes_again);
	TEST(sequence_numbers_wrap_while_receiving);
	TEST(urgent_data_is_delivered_in_line);
	TEST(rst_must_be_exact);
	TEST(syn_on_a_connection_is_challenged);
	TEST(challenges_are_limited);
	TEST(text_outside_the_window_is_answered_and_dropped);
	TEST(a_keepalive_of_the_peer_is_answered);
	TEST(segments_without_ack_are_dropped);
	TEST(an_impossible_ack_is_challenged);
	TEST(an_old_ack_within_the_largest_window_is_accepted);
	TEST(paws_refuses_old_text);
	TEST(paws_forgets_after_24_days);
	TEST(a_missing_timestamp_is_refused_except_on_a_rst);
	TEST(the_right_timestamp_is_echoed);
	TEST(malformed_segments_die_under_their_reason);
	TEST(impossible_lengths_die_under_their_reason);
	TEST(segments_in_many_mbufs_are_taken);
	TEST(plain_text_leaves_what_any_other_would);
}
