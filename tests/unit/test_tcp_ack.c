/* SPDX-License-Identifier: BSD-3-Clause */
/* What acknowledgments do: RFC 5681 and RFC 6582, in virtual time. */
#include <sys/socket.h>

#include "lib/pool.h"
#include "support/clock.h"
#include "support/tcp_fixture.h"

#define MSS 1460u

static void begin(void)
{
	begin_connected(NULL);
}

/* The peer acknowledges the stream up to offset. */
static void ack(uint64_t offset)
{
	peer_inject(&peer, TH_ACK, peer.seq, peer.host_isn + 1 + (uint32_t)offset, NULL, 0);
	host_poll(h);
}

/* Takes segments that continue the stream at *offset; how many. */
static uint32_t take(uint64_t *offset)
{
	uint32_t count = 0;

	while (host_tx_count(h) > 0) {
		struct tcp_segment t = PEER_TAKE(&peer);

		CHECK_EQ(t.seq, peer.host_isn + 1 + (uint32_t)*offset);
		*offset += t.length;
		count++;
	}
	return count;
}

/* RFC 6928 section 2: ten segments at first. */
static void the_initial_window_is_ten_segments(void)
{
	uint64_t sent = 0;

	begin();
	app_write_pattern(&s, 60 * MSS);
	host_settle(h);
	CHECK_EQ(take(&sent), 10);
	CHECK_EQ(sent, 10 * MSS);
	end();
}

/* RFC 5681 section 3.1: in slow start each acknowledged segment lets two go. */
static void slow_start_doubles_the_window_each_round(void)
{
	uint64_t sent = 0, acked = 0;

	begin();
	app_write_pattern(&s, 150 * MSS);
	host_settle(h);
	CHECK_EQ(take(&sent), 10);
	while (acked < 10 * MSS) {
		acked += 2 * MSS; /* every second segment is acknowledged */
		ack(acked);
	}
	/* 20, or what the peer's window takes. */
	CHECK_EQ(take(&sent), 20);
	CHECK_EQ(sent - acked, 20 * MSS);
	end();
}

static void acknowledged_bytes_make_room_for_the_application(void)
{
	int buffer = 10000;

	begin();
	CHECK_EQ(app_setsockopt(&s, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer)), 0);
	host_poll(h);
	CHECK_EQ(app_write_pattern(&s, 20000), 10000);
	s.slot->tx_wake = 5000;
	host_poll(h);
	app_take_events(&s);
	ack(4999);
	CHECK_EQ(app_take_events(&s) & LEAT_EV_OUT, 0);
	ack(5000);
	CHECK(app_take_events(&s) & LEAT_EV_OUT);
	s.slot->tx_wake = LEAT_NO_OFFSET;
	CHECK_EQ(app_write_pattern(&s, 20000), 5000);
	end();
}

/* RFC 5681 section 3.2 and RFC 6582 section 3.2, step by step, with RFC 3042 before and PRR
 * (RFC 9937) instead of an inflated window. */
static void three_duplicates_start_fast_retransmit(void)
{
	uint64_t sent = 0;

	begin();
	app_write_pattern(&s, 60 * MSS);
	host_settle(h);
	take(&sent);
	/* The first segment is lost, the nine behind it arrive. */
	ack(0);
	CHECK_EQ(take(&sent), 1); /* limited transmit */
	ack(0);
	CHECK_EQ(take(&sent), 1);
	ack(0);
	PEER_EXPECT(&peer, TCP_SEQ_IS(peer.host_isn + 1), PAYLOAD_IS_PATTERN(0, MSS));
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(host_counter(h, CNT_tcp_fast_retransmit), 1);
	CHECK_EQ(host_counter(h, CNT_tcp_rto), 0);
	CHECK_EQ(tcp_ssthresh_bytes(tcp()), 7 * MSS); /* CUBIC: 0.7 of the flight */
	for (int i = 0; i < 8; i++)
		ack(0); /* seven for ten that leave the network */
	CHECK_EQ(take(&sent), 6);
	CHECK_EQ(tcp_in_flight(tcp()), 7 * MSS);
	ack(12 * MSS); /* all that was in flight when it began: recovery ends */
	CHECK(tcp()->recovery == RECOVERY_NONE);
	CHECK_RANGE(tcp_cwnd_bytes(tcp()), 7 * MSS, 8 * MSS); /* ssthresh and growth */
	host_drain(h);
	end();
}

/* RFC 6298 section 3, Karn: whose ACK it is cannot be known. */
static void a_fast_retransmission_is_not_measured(void)
{
	uint64_t sent = 0;
	uint32_t srtt_us;

	begin();
	app_write_pattern(&s, 10 * MSS);
	host_settle(h);
	take(&sent);
	srtt_us = rtt_smoothed_us(&tcp()->rtt);
	for (int i = 0; i < 3; i++)
		ack(0);
	CHECK_EQ(host_counter(h, CNT_tcp_fast_retransmit), 1);
	host_advance_ms(h, 100);
	ack(10 * MSS);
	CHECK_EQ(rtt_smoothed_us(&tcp()->rtt), srtt_us);
	host_drain(h);
	end();
}

/* RFC 6582 section 3.2, step 3: a partial ACK tells of the next hole. */
static void a_partial_ack_retransmits_the_next_hole(void)
{
	uint64_t sent = 0;

	begin();
	app_write_pattern(&s, 10 * MSS);
	host_settle(h);
	CHECK_EQ(take(&sent), 10);
	for (int i = 0; i < 3; i++) /* 0 and 4 are lost */
		ack(0);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, MSS));
	ack(4 * MSS);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(4 * MSS, MSS));
	CHECK(tcp()->recovery == RECOVERY_FAST);
	ack(10 * MSS);
	CHECK(!(tcp()->recovery == RECOVERY_FAST));
	CHECK_EQ(host_counter(h, CNT_tcp_retransmit), 2);
	CHECK_EQ(host_counter(h, CNT_tcp_fast_retransmit), 1);
	host_advance_ms(h, 5000);
	HOST_EXPECT_NOTHING(h);
	end();
}

/* Sequence numbers compare within 2 GiB: recover must not stay behind. */
static void recover_follows_what_is_acknowledged(void)
{
	uint64_t sent = 0;

	begin();
	app_write_pattern(&s, 20 * MSS);
	host_settle(h);
	take(&sent);
	ack(sent);
	CHECK_EQ(tcp()->sending->recover, tcp()->snd_una - 1);
	host_drain(h);
	end();
}

/* RFC 6582 section 4: duplicates of segments sent before a timeout start no recovery. */
static void duplicates_after_a_timeout_start_no_recovery(void)
{
	uint64_t sent = 0;

	begin();
	app_write_pattern(&s, 10 * MSS);
	host_settle(h);
	take(&sent);
	host_advance_ms(h, 1100); /* RTO */
	host_drain(h);
	for (int i = 0; i < 5; i++)
		ack(0);
	CHECK_EQ(host_counter(h, CNT_tcp_fast_retransmit), 0);
	end();
}

/* RFC 5681 section 2: what is not a duplicate ACK. */
static void window_updates_and_text_are_no_duplicates(void)
{
	uint64_t sent = 0;

	begin();
	app_write_pattern(&s, 10 * MSS);
	host_settle(h);
	take(&sent);
	for (int i = 0; i < 5; i++) {
		peer.window--;
		ack(0); /* another window */
	}
	for (int i = 0; i < 5; i++) {
		peer_inject(&peer, TH_ACK, peer.seq, peer.host_isn + 1, "x", 1);
		peer.seq++;
		host_poll(h);
	}
	CHECK_EQ(host_counter(h, CNT_tcp_fast_retransmit), 0);
	host_drain(h);
	end();
}

/* RFC 9293 section 3.10.7.4, fifth: an older segment does not set the window. */
static void an_older_segment_does_not_shrink_the_window(void)
{
	begin();
	peer_send_pattern(&peer, 100);
	host_drain(h);
	CHECK_EQ(tcp()->snd_wnd, 65535);
	peer.window = 10;
	peer_inject(&peer, TH_ACK, peer.seq - 100, peer.ack, NULL, 0);
	host_poll(h);
	CHECK_EQ(tcp()->snd_wnd, 65535);
	peer_inject(&peer, TH_ACK, peer.seq, peer.ack, NULL, 0);
	host_poll(h);
	CHECK_EQ(tcp()->snd_wnd, 10);
	host_drain(h);
	end();
}

/* RFC 7323 section 2.3: the window is scaled, that of the SYN is not. */
static void windows_are_scaled_after_the_syn(void)
{
	begin_unconnected(NULL);
	peer.window_scale = 4;
	peer.window = 1000;
	host_connected(h, &peer, &s);
	CHECK_EQ(tcp()->snd_wnd, 1000);
	peer_send_pattern(&peer, 1);
	CHECK_EQ(tcp()->snd_wnd, 16000);
	host_drain(h);
	end();
}

static void sequence_numbers_wrap_while_sending(void)
{
	uint64_t sent = 0, acked = 0;

	begin();
	/* As if so much had been sent: everything of ours moves by the same distance. */
	{
		uint32_t by = 0xffffff00u - tcp()->snd_una;

		tcp()->snd_una += by;
		tcp()->snd_nxt += by;
		tcp()->snd_wl2 += by;
		tcp()->snd_small += by;
		peer.host_isn += by;
		peer.ack += by;
	}
	app_write_pattern(&s, 40 * MSS);
	host_settle(h);
	while (acked < 40 * MSS) {
		CHECK(take(&sent) > 0);
		acked = sent;
		ack(acked);
	}
	CHECK_EQ(s.slot->tx_head, 40 * MSS);
	CHECK_EQ(host_counter(h, CNT_tcp_retransmit), 0);
	CHECK_EQ(app_shutdown(&s, SHUT_WR), 0);
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_FIN | TH_ACK));
	end();
}

static void a_reset_connection_frees_what_was_in_flight(void)
{
	begin();
	h->link.hold = true; /* the hardware has not sent it yet */
	app_write_pattern(&s, 20 * MSS);
	host_settle(h);
	peer_inject(&peer, TH_RST, peer.seq, 0, NULL, 0);
	host_poll(h);
	CHECK_EQ(host_state(&s), TCP_CLOSE);
	CHECK_EQ(app_close(&s), 0);
	CHECK(h->session->arenas[0].retired_count > 0); /* only mbufs refer to it */
	memport_release(&h->link);
	host_settle(h);
	CHECK_EQ(h->session->arenas[0].retired_count, 0);
	host_drain(h);
	end();
}

/* The last reference to a chunk ends inside the worker's own iteration. */
static void a_lazy_port_gives_chunks_back_as_it_sends(void)
{
	struct app_sock other;
	struct peer p;

	begin();
	h->link.lazy = true;
	app_write_pattern(&s, 5 * MSS);
	host_settle(h);
	peer_inject(&peer, TH_RST, peer.seq, 0, NULL, 0);
	host_poll(h);
	CHECK_EQ(app_close(&s), 0);
	CHECK_EQ(h->session->arenas[0].retired_count, 1);
	host_drain(h);
	peer_init(&p, h);
	host_connected(h, &p, &other);
	CHECK_EQ(h->session->arenas[0].retired_count, 0);
	end();
}

static void a_reset_connection_forgets_what_was_out_of_order(void)
{
	begin();
	peer_inject_pattern(&peer, peer.seq + 1000, 100);
	host_poll(h);
	peer_inject(&peer, TH_RST, peer.seq, 0, NULL, 0);
	host_poll(h);
	CHECK_EQ(host_state(&s), TCP_CLOSE);
	CHECK_EQ(pool_used(h->w->tcp->reassemblies), 0);
	host_drain(h);
	end();
}

/* ---- the ordinary case and the general one ------------------------------------------ */

#define LOOKS 256

/* What an ACK changes. */
struct look {
	uint32_t una, nxt, flags, progress_ms, deadline_ms[TCP_TIMERS], recover;
	uint64_t tx_head, sndbuf_bytes;
	struct rtt rtt;
	struct min_rtt min_rtt;
	struct flight flight;
	struct rack rack;
	struct congestion congestion;
	struct plpmtud plpmtud;
	uint8_t timers, backoff, recovery, state;
};

static struct look looks[2][LOOKS];
static unsigned run, looks_taken; /* at how many moments of this run */
static bool sack_permitted, timestamps; /* the peer's options in it */
static uint8_t ack_flags; /* of the peer's ACKs in it */

static void look(void)
{
	const struct tcp_sock *tp = tcp();
	struct look *l = &looks[run][looks_taken++];

	CHECK(looks_taken < LOOKS);
	l->una = tp->snd_una - peer.host_isn;
	l->nxt = tp->snd_nxt - peer.host_isn;
	l->flags = tp->flags;
	l->progress_ms = tp->progress_ms;
	for (unsigned i = 0; i < TCP_TIMERS; i++)
		l->deadline_ms[i] = tp->timers >> i & 1 ? tp->deadline_ms[i] : 0;
	l->tx_head = host_sock(&s)->ring.tx_head;
	l->sndbuf_bytes = host_sock(&s)->sndbuf_bytes;
	l->rtt = tp->rtt;
	l->min_rtt = tp->min_rtt;
	l->timers = tp->timers;
	l->backoff = tp->backoff;
	l->recovery = tp->recovery;
	l->plpmtud = tp->plpmtud;
	l->state = tcp_state(tp);
	if (tp->sending == NULL)
		return;
	l->recover = tp->sending->recover;
	l->flight = tp->sending->flight;
	l->rack = tp->sending->rack;
	l->congestion = tp->sending->congestion;
	if (tp->congestion_ops->pooled_bytes != 0)
		l->congestion.private.pooled = NULL;
}

static void ack_in_run(uint64_t offset)
{
	peer_inject(&peer, ack_flags, peer.seq, peer.host_isn + 1 + (uint32_t)offset, NULL, 0);
	host_poll(h);
	look();
}

/* Requests' answers, a transfer in which ACKs end within, at the end of and beyond what was sent at
 * one time, a pause, a FIN, with the last text or by itself. */
static void send_and_acknowledge(const char *algorithm, uint8_t flags, uint32_t last_bytes)
{
	uint64_t sent = 0, acked = 0;

	ack_flags = flags;
	looks_taken = 0;
	memset(looks[run], 0, sizeof(looks[run]));
	clock_reset();
	begin_unconnected(NULL);
	peer.sack_permitted = sack_permitted;
	peer.timestamps = timestamps;
	host_connected(h, &peer, &s);
	CHECK_EQ(tcp_set_congestion(h->w, tcp(), congestion_find(algorithm)), 0);
	for (unsigned i = 0; i < 10; i++) {
		app_write_pattern(&s, 64);
		host_poll(h);
		take(&sent);
		host_advance_ms(h, 1 + i % 3);
		ack_in_run(sent);
	}
	acked = sent;
	for (unsigned i = 0; i < 60; i++) {
		if (i % 8 == 0)
			app_write_pattern(&s, 20 * MSS);
		host_advance_us(h, 700);
		host_poll(h);
		take(&sent);
		acked += RTE_MIN(sent - acked, (1 + i % 4) * MSS);
		ack_in_run(acked);
	}
	while (acked < host_sock(&s)->ring.tx_tail) {
		host_advance_ms(h, 1);
		take(&sent);
		acked = sent;
		ack_in_run(acked);
	}
	host_advance_ms(h, 1500);
	app_write_pattern(&s, 64);
	host_poll(h);
	host_advance_ms(h, 2);
	ack_in_run(acked + 64);
	app_write_pattern(&s, last_bytes);
	CHECK_EQ(app_shutdown(&s, SHUT_WR), 0);
	host_poll(h);
	host_advance_ms(h, 2);
	ack_in_run(acked + 64 + last_bytes + 1);
	CHECK_EQ(tcp_state(tcp()), TCP_FIN_WAIT2);
	host_drain(h);
	end();
}

/* A bit that means nothing here (RFC 3168's CWR, without ECN) keeps a segment off the fast path. */
static void the_ordinary_ack_changes_what_any_other_would(void)
{
	static const char *const algorithms[] = {"cubic", "reno", "dctcp", "bbr"};

	for (unsigned i = 0; i < 4 * RTE_DIM(algorithms); i++) {
		const char *algorithm = algorithms[i % RTE_DIM(algorithms)];
		uint32_t last_bytes = i % 2 * 64;

		sack_permitted = i / RTE_DIM(algorithms) % 2 == 0;
		timestamps = i / RTE_DIM(algorithms) / 2 == 0;
		run = 0;
		send_and_acknowledge(algorithm, TH_ACK, last_bytes);
		run = 1;
		send_and_acknowledge(algorithm, TH_ACK | RTE_TCP_CWR_FLAG, last_bytes);
		for (unsigned n = 0; n < looks_taken; n++)
			CHECK(memcmp(&looks[0][n], &looks[1][n], sizeof(looks[0][n])) == 0);
	}
}

TEST_SUITE(tcp_ack)
{
	TEST(the_initial_window_is_ten_segments);
	TEST(slow_start_doubles_the_window_each_round);
	TEST(acknowledged_bytes_make_room_for_the_application);
	TEST(three_duplicates_start_fast_retransmit);
	TEST(a_fast_retransmission_is_not_measured);
	TEST(a_partial_ack_retransmits_the_next_hole);
	TEST(recover_follows_what_is_acknowledged);
	TEST(duplicates_after_a_timeout_start_no_recovery);
	TEST(window_updates_and_text_are_no_duplicates);
	TEST(an_older_segment_does_not_shrink_the_window);
	TEST(windows_are_scaled_after_the_syn);
	TEST(sequence_numbers_wrap_while_sending);
	TEST(a_lazy_port_gives_chunks_back_as_it_sends);
	TEST(a_reset_connection_forgets_what_was_out_of_order);
	TEST(a_reset_connection_frees_what_was_in_flight);
	TEST(the_ordinary_ack_changes_what_any_other_would);
}
