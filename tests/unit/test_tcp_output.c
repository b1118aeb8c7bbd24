/* SPDX-License-Identifier: BSD-3-Clause */
/* What is sent when: segmentation, Nagle, silly windows, offloads. */
#include <sys/socket.h>

#include "support/tcp_fixture.h"

#define MSS 1460u

static void begin(void)
{
	begin_connected(NULL);
}

static void write_bytes(uint32_t length)
{
	CHECK_EQ(app_write_pattern(&s, length), length);
	host_settle(h);
}

static void ack_all(void)
{
	peer_send(&peer, TH_ACK, NULL, 0);
	host_settle(h);
}

/* ---- segments ---------------------------------------------------------------- */

static void text_is_cut_at_the_mss(void)
{
	begin();
	write_bytes(2 * MSS + 100);
	PEER_EXPECT(&peer, IP_LENGTH_IS(1500), TCP_FLAGS_ARE(TH_ACK), PAYLOAD_IS_PATTERN(0, MSS));
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(MSS, MSS));
	PEER_EXPECT(&peer, TCP_FLAGS_HAVE(TH_PUSH), PAYLOAD_IS_PATTERN(2 * MSS, 100));
	end();
}

/* RFC 6691: the room that options take comes off the payload. */
static void options_make_segments_smaller(void)
{
	begin_unconnected(NULL);
	peer.timestamps = true;
	host_connected(h, &peer, &s);
	write_bytes(3000);
	PEER_EXPECT(&peer, IP_LENGTH_IS(1500), PAYLOAD_IS_PATTERN(0, MSS - 12));
	host_drain(h);
	end();
}

static void the_peers_mss_is_respected(void)
{
	begin_unconnected(NULL);
	peer.mss = 500;
	host_connected(h, &peer, &s);
	write_bytes(1200);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, 500));
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(500, 500));
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(1000, 200));
	end();
}

static void an_absurd_mss_is_not_obeyed(void)
{
	begin_unconnected(NULL);
	peer.mss = 1;
	host_connected(h, &peer, &s);
	write_bytes(1000);
	CHECK_RANGE(host_drain(h), 1, 20);
	end();
}

static void the_interfaces_mtu_is_respected(void)
{
	struct host_config config = host_config_default();

	config.mtu = 900;
	begin_connected(&config);
	write_bytes(2000);
	PEER_EXPECT(&peer, IP_LENGTH_IS(900), PAYLOAD_IS_PATTERN(0, 860));
	host_drain(h);
	end();
}

/* ---- Nagle -------------------------------------------------------------------- */

/* RFC 9293 section 3.7.4: one small segment at a time. */
static void small_writes_wait_for_an_ack(void)
{
	begin();
	write_bytes(10);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, 10));
	write_bytes(10);
	write_bytes(10);
	HOST_EXPECT_NOTHING(h);
	ack_all();
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(10, 20)); /* joined */
	end();
}

static void full_segments_do_not_wait(void)
{
	begin();
	write_bytes(10);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, 10));
	write_bytes(MSS + 5);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(10, MSS));
	HOST_EXPECT_NOTHING(h); /* the rest is small again */
	ack_all();
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(10 + MSS, 5));
	end();
}

static void nodelay_sends_at_once(void)
{
	int on = 1;

	begin();
	write_bytes(10);
	write_bytes(10);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, 10));
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(app_setsockopt(&s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
	host_settle(h);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(10, 10)); /* what Nagle held back, too */
	write_bytes(10);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(20, 10));
	end();
}

static void fin_does_not_wait_for_nagle(void)
{
	begin();
	write_bytes(10);
	write_bytes(10);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, 10));
	CHECK_EQ(app_shutdown(&s, SHUT_WR), 0);
	host_settle(h);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_FIN | TH_ACK), PAYLOAD_IS_PATTERN(10, 10));
	end();
}

/* ---- the peer's window ----------------------------------------------------------- */

static void no_byte_goes_beyond_the_window(void)
{
	begin_unconnected(NULL);
	peer.window = 4000;
	host_connected(h, &peer, &s);
	write_bytes(10000);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, MSS));
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(MSS, MSS));
	while (host_tx_count(h) > 0)
		PEER_TAKE(&peer);
	CHECK(peer.ack - peer.host_isn - 1 <= 4000);
	host_advance_ms(h, 150); /* below any timeout */
	HOST_EXPECT_NOTHING(h);
	end();
}

/* RFC 9293 section 3.8.6.2.1: no small segments into a window that opens bit by bit. */
static void a_silly_window_is_not_used(void)
{
	begin_unconnected(NULL);
	peer.window = 5840;
	host_connected(h, &peer, &s);
	write_bytes(50000);
	while (host_tx_count(h) > 0)
		PEER_TAKE(&peer);
	CHECK_EQ(peer.ack - peer.host_isn - 1, 5840);
	for (uint16_t room = 100; room < 1000; room = (uint16_t)(room + 100)) {
		peer.window = room;
		ack_all();
		HOST_EXPECT_NOTHING(h);
	}
	peer.window = MSS + 20;
	ack_all();
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(5840, MSS));
	HOST_EXPECT_NOTHING(h);
	end();
}

/* RFC 9293 section 3.8.6.2.1: half of the largest window will do, or nobody could send to a peer
 * with small buffers. */
static void a_peer_with_small_buffers_gets_its_bytes(void)
{
	begin_unconnected(NULL);
	peer.window = 500;
	host_connected(h, &peer, &s);
	write_bytes(1000);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(0, 500));
	ack_all();
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(500, 500));
	end();
}

/* RFC 9293 section 3.8.6 (SHLD-16, MUST-34): a window that shrinks takes nothing back. */
static void a_shrinking_window_is_survived(void)
{
	begin();
	write_bytes(5 * MSS);
	CHECK_EQ(host_tx_count(h), 5);
	PEER_TAKE(&peer);
	host_drain(h);
	peer.window = 100;
	ack_all();
	write_bytes(1000);
	HOST_EXPECT_NOTHING(h);
	peer.window = 65535;
	peer.ack = peer.host_isn + 1 + 5 * MSS;
	ack_all();
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(5 * MSS, 1000));
	end();
}

/* RFC 5681 section 4.1: after a pause the window is the initial one again. */
static void after_a_pause_it_starts_slowly(void)
{
	begin();
	for (int i = 0; i < 5; i++) {
		write_bytes(30 * MSS);
		for (int round = 0; round < 10; round++) {
			while (host_tx_count(h) > 0)
				PEER_TAKE(&peer);
			ack_all();
		}
	}
	CHECK(tcp_cwnd_bytes(tcp()) > 20 * MSS);
	host_advance_ms(h, 10000);
	write_bytes(30 * MSS);
	CHECK_EQ(host_drain(h), 10);
	end();
}

/* ---- offloads -------------------------------------------------------------------- */

static void check_sent_whole(uint32_t length)
{
	uint32_t at = 0;

	while (host_tx_count(h) > 0) {
		struct frame *f = host_pop(h);
		struct seen seen = FRAME_SEE(f);

		CHECK_FRAME(f, TCP_SEQ_IS(peer.host_isn + 1 + at),
			    PAYLOAD_IS_PATTERN(at, seen.payload_length));
		at += seen.payload_length;
		free(f);
	}
	CHECK_EQ(at, length);
	peer.ack = peer.host_isn + 1 + length;
	ack_all();
}

static void a_port_with_checksums_gets_them_right(void)
{
	struct host_config config = host_config_default();

	config.tx_checksum = config.rx_checksum = true;
	begin_connected(&config);
	write_bytes(8 * MSS);
	check_sent_whole(8 * MSS);
	peer_send_pattern(&peer, 1000);
	CHECK_EQ(app_read_pattern(&s, 1000), 1000);
	end();
}

/* What is cut, and that nothing is lost: the port's cut frames are complete segments. */
static void a_port_with_tso_gets_large_segments(void)
{
	struct host_config config = host_config_default();

	config.tx_checksum = config.tso = true;
	begin_connected(&config);
	write_bytes(10 * MSS);
	CHECK_EQ(h->link.segmented, 10);
	CHECK_EQ(host_counter(h, CNT_tcp_tx_segments), 2 + 10); /* SYN, ACK, and those */
	check_sent_whole(10 * MSS);
	end();
}

static void a_port_without_segments_gets_copies(void)
{
	struct host_config config = host_config_default();

	config.tx_multi_segs = config.external_buffers = false;
	begin_connected(&config);
	write_bytes(8 * MSS);
	check_sent_whole(8 * MSS);
	end();
}

/* The bytes stay in the ring, so that a retransmission copies nothing either. */
static void bytes_are_sent_without_a_copy(void)
{
	begin();
	h->link.hold = true;
	write_bytes(5 * MSS);
	CHECK_EQ(h->link.held_count, 5);
	for (uint32_t i = 0; i < h->link.held_count; i++) {
		struct rte_mbuf *m = h->link.held[i];

		CHECK_EQ(m->nb_segs, 2);
		CHECK(RTE_MBUF_HAS_EXTBUF(m->next));
		CHECK((uint8_t *)m->next->buf_addr >= (uint8_t *)h->region &&
		      (uint8_t *)m->next->buf_addr < (uint8_t *)h->region + h->region_bytes);
	}
	host_drain(h);
	end();
}

/* Nothing timed out, so nothing says that the peer threw away what is in flight. */
static void a_window_shut_and_opened_repeats_nothing(void)
{
	begin();
	app_write_pattern(&s, 3 * 1460);
	host_settle(h);
	host_drain(h);
	peer.window = 0;
	peer_send(&peer, TH_ACK, NULL, 0);
	peer.window = 65535;
	peer_send(&peer, TH_ACK, NULL, 0);
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(host_counter(h, CNT_tcp_retransmit), 0);
	host_advance_ms(h, 2000); /* of a peer that did, the timer hears */
	CHECK(host_counter(h, CNT_tcp_retransmit) > 0);
	host_drain(h);
	end();
}

/* ---- the ordinary case and the general one ------------------------------------------ */

#define STEPS 40u

struct end {
	struct peer peer;
	struct app_sock s;
};

static struct tcp_sock *end_tcp(const struct end *e)
{
	return tcp_sk(host_sock(&e->s));
}

/* What a step leaves of a connection and of what is in flight, and the last segment it sent; all of
 * it counted from where the connection began. */
struct trace {
	uint32_t numbers[40];
	unsigned count;
};

static void trace_add(struct trace *t, uint32_t number)
{
	REQUIRE(t->count < RTE_DIM(t->numbers));
	t->numbers[t->count++] = number;
}

static void trace_flight(struct trace *t, const struct tcp_sending *sending, uint32_t isn)
{
	const struct flight *f = &sending->flight;
	const struct flight_record *r;

	trace_add(t, f->records);
	trace_add(t, f->delivered_us);
	trace_add(t, f->first_sent_us);
	trace_add(t, (uint32_t)f->delivered);
	trace_add(t, (uint32_t)f->app_limited);
	trace_add(t, sending->congestion.cwnd_bytes);
	trace_add(t, sending->congestion.ssthresh_bytes);
	if (f->last == FLIGHT_NONE)
		return;
	r = flight_at(&h->w->tcp->flights, f->last);
	trace_add(t, r->seq - isn);
	trace_add(t, r->end - isn);
	trace_add(t, r->sent_us);
	trace_add(t, r->delivered);
	trace_add(t, r->in_flight);
	trace_add(t, r->flags);
}

static void trace_connection(struct trace *t, const struct end *e)
{
	const struct tcp_sock *tp = end_tcp(e);
	uint32_t isn = e->peer.host_isn;

	trace_add(t, tp->snd_una - isn);
	trace_add(t, tp->snd_nxt - isn);
	trace_add(t, tp->snd_small - isn);
	trace_add(t, tp->rcv_edge);
	trace_add(t, tp->rcv_acked);
	trace_add(t, tp->flags);
	trace_add(t, tp->timers);
	for (unsigned i = 0; i < TCP_TIMERS; i++)
		trace_add(t, tcp_timer_armed(tp, i) ? tp->deadline_ms[i] : 0);
	trace_add(t, tp->quick_acks);
	trace_add(t, tp->sent_ms);
	trace_add(t, tp->progress_ms);
	trace_add(t, tp->segments_out);
	if (tp->sending != NULL)
		trace_flight(t, tp->sending, isn);
}

static void trace_segments(struct trace *t, struct end *e)
{
	struct tcp_segment seg = {.seq = e->peer.host_isn};
	uint32_t frames = 0;

	for (; host_tx_count(h) > 0; frames++)
		seg = PEER_TAKE(&e->peer);
	trace_add(t, frames);
	trace_add(t, seg.seq - e->peer.host_isn);
	trace_add(t, seg.ack);
	trace_add(t, seg.length);
	trace_add(t, seg.flags);
	trace_add(t, seg.window);
	trace_add(t, seg.has_timestamp ? seg.ts_value - end_tcp(e)->ts_offset : 0);
}

static void take_step(struct end *e, uint32_t step)
{
	e->peer.ack = end_tcp(e)->snd_nxt;
	switch (step % 10) {
	case 0:
		app_write_pattern(&e->s, 64 + step);
		break;
	case 1: /* a question; an ACK is due */
		peer_send_pattern(&e->peer, 100);
		break;
	case 2: /* its answer carries the ACK */
		app_read_pattern(&e->s, 100);
		app_write_pattern(&e->s, MSS);
		break;
	case 3: /* behind what is in flight */
		app_write_pattern(&e->s, 200);
		break;
	case 4: /* an ACK alone */
		peer_send_pattern(&e->peer, MSS);
		peer_send_pattern(&e->peer, MSS);
		break;
	case 5:
		app_read_pattern(&e->s, 2 * MSS);
		app_write_pattern(&e->s, 1);
		break;
	case 6: /* full segments in a row, and what is left */
		app_write_pattern(&e->s, 4 * MSS + step);
		break;
	case 7: /* more than the congestion window takes */
		app_write_pattern(&e->s, 40 * MSS);
		break;
	case 8: /* more than the peer takes */
		e->peer.window = (uint16_t)(5 * MSS + step * 40);
		peer_send(&e->peer, TH_ACK, NULL, 0);
		break;
	default:
		e->peer.window = UINT16_MAX;
		peer_send(&e->peer, TH_ACK, NULL, 0);
		break;
	}
	host_settle(h);
}

static void begin_end(struct end *e, bool timestamps)
{
	peer_init(&e->peer, h);
	e->peer.timestamps = e->peer.sack_permitted = timestamps;
	host_connected(h, &e->peer, &e->s);
}

static void finish_end(struct end *e)
{
	do {
		e->peer.ack = end_tcp(e)->snd_nxt;
		peer_send(&e->peer, TH_ACK, NULL, 0);
		host_settle(h);
		host_drain(h);
	} while (tcp_has_unsent(end_tcp(e)));
	e->peer.ack = end_tcp(e)->snd_nxt;
	peer_send(&e->peer, TH_ACK, NULL, 0);
}

/* A sock that may not write without limit takes the general way, also when the limit is never
 * reached. */
static void the_ordinary_way_to_send_leaves_what_the_general_one_does(void)
{
	for (int timestamps = 0; timestamps < 2; timestamps++) {
		uint32_t lowat_bytes = 1u << 20;
		struct end ordinary, general;

		begin_unconnected(NULL);
		begin_end(&ordinary, timestamps);
		begin_end(&general, timestamps);
		CHECK_EQ(app_setsockopt(&general.s, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat_bytes,
					sizeof(lowat_bytes)),
			 0);
		CHECK(tcp_sock_sk(end_tcp(&general))->flags & SOCK_TX_LIMIT);
		for (uint32_t step = 0; step < STEPS; step++) {
			struct trace a = {.count = 0}, b = {.count = 0};

			take_step(&ordinary, step);
			trace_segments(&a, &ordinary);
			take_step(&general, step);
			trace_segments(&b, &general);
			trace_connection(&a, &ordinary);
			trace_connection(&b, &general);
			CHECK_EQ(a.count, b.count);
			CHECK_MEM(a.numbers, b.numbers, sizeof(a.numbers));
			host_advance_us(h, step % 5 == 4 ? 60000 : 700);
			host_drain(h); /* what timers sent */
		}
		finish_end(&ordinary);
		finish_end(&general);
		host_drain(h);
		end();
	}
}

TEST_SUITE(tcp_output)
{
	TEST(text_is_cut_at_the_mss);
	TEST(options_make_segments_smaller);
	TEST(the_peers_mss_is_respected);
	TEST(an_absurd_mss_is_not_obeyed);
	TEST(the_interfaces_mtu_is_respected);
	TEST(small_writes_wait_for_an_ack);
	TEST(full_segments_do_not_wait);
	TEST(nodelay_sends_at_once);
	TEST(fin_does_not_wait_for_nagle);
	TEST(no_byte_goes_beyond_the_window);
	TEST(a_silly_window_is_not_used);
	TEST(a_peer_with_small_buffers_gets_its_bytes);
	TEST(a_shrinking_window_is_survived);
	TEST(after_a_pause_it_starts_slowly);
	TEST(a_port_with_checksums_gets_them_right);
	TEST(a_port_with_tso_gets_large_segments);
	TEST(a_port_without_segments_gets_copies);
	TEST(bytes_are_sent_without_a_copy);
	TEST(a_window_shut_and_opened_repeats_nothing);
	TEST(the_ordinary_way_to_send_leaves_what_the_general_one_does);
}
