/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every state of TCP meets every kind of segment, with sequence and ACK
 * numbers on each side of each border: what the model (support/tcp_model.h)
 * says is what the stack must do.  Each cell is a fresh connection; all cells
 * of a state share a host.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "sock/sock_table.h"
#include "support/tcp_fixture.h"
#include "support/tcp_model.h"
#include "tcp/tcp.h"

#define LOCAL_PORT     5000 /* of connections opened from here */
#define PEER_PORTS     4096u /* from PEER_PORT_FIRST on: one for each connection, in turn */
#define PEER_PORT_MIN  10000u
#define WRITTEN        200u /* bytes in flight before the segment comes, but for ... */
#define ACKNOWLEDGED   100u /* ... these */
#define TEXT_BYTES     10u
#define FAILURES_SHOWN 20 /* of a table that is wrong, the first cells tell enough */
#define ACK_DELAY_MS   500u /* RFC 9293 section 3.8.6.3 */
#define ISN_TICK_US    4u /* RFC 9293 section 3.4.1 */

/* ---- the axes of the table ------------------------------------------------------ */

/* In this order: ESTABLISHED and after it, CLOSE-WAIT (the peer's FIN is in) and after it. */
enum start {
	START_CLOSED,
	START_LISTEN,
	START_SYN_SENT,
	START_SYN_RECEIVED_PASSIVE,
	START_SYN_RECEIVED_ACTIVE,
	START_ESTABLISHED,
	START_FIN_WAIT1,
	START_FIN_WAIT1_ORPHAN,
	START_FIN_WAIT2,
	START_FIN_WAIT2_ORPHAN,
	START_CLOSE_WAIT,
	START_CLOSING,
	START_LAST_ACK,
	START_TIME_WAIT,
	START_TIME_WAIT_LISTENER,
};

static const char *const start_name[] = {
	[START_CLOSED] = "CLOSED",
	[START_LISTEN] = "LISTEN",
	[START_SYN_SENT] = "SYN-SENT",
	[START_SYN_RECEIVED_PASSIVE] = "SYN-RECEIVED (passive)",
	[START_SYN_RECEIVED_ACTIVE] = "SYN-RECEIVED (active)",
	[START_ESTABLISHED] = "ESTABLISHED",
	[START_FIN_WAIT1] = "FIN-WAIT-1",
	[START_FIN_WAIT1_ORPHAN] = "FIN-WAIT-1 (closed)",
	[START_FIN_WAIT2] = "FIN-WAIT-2",
	[START_FIN_WAIT2_ORPHAN] = "FIN-WAIT-2 (closed)",
	[START_CLOSE_WAIT] = "CLOSE-WAIT",
	[START_CLOSING] = "CLOSING",
	[START_LAST_ACK] = "LAST-ACK",
	[START_TIME_WAIT] = "TIME-WAIT",
	[START_TIME_WAIT_LISTENER] = "TIME-WAIT (with listener)",
};

#define TH_ALL 0xffu /* a christmas tree */

struct event {
	const char *name;
	uint8_t flags;
	uint8_t text; /* bytes */
};

static const struct event events[] = {
	{"nothing", 0, 0},
	{"text without flags", 0, TEXT_BYTES},
	{"SYN", TH_SYN, 0},
	{"SYN with text", TH_SYN, TEXT_BYTES},
	{"SYN-ACK", TH_SYN | TH_ACK, 0},
	{"SYN-ACK with text", TH_SYN | TH_ACK, TEXT_BYTES},
	{"SYN-FIN", TH_SYN | TH_FIN, 0},
	{"SYN-FIN-ACK", TH_SYN | TH_FIN | TH_ACK, 0},
	{"SYN-RST", TH_SYN | TH_RST, 0},
	{"ACK", TH_ACK, 0},
	{"text", TH_ACK | TH_PUSH, TEXT_BYTES},
	{"urgent text", TH_ACK | TH_URG, TEXT_BYTES},
	{"FIN", TH_FIN, 0},
	{"FIN-ACK", TH_FIN | TH_ACK, 0},
	{"text and FIN", TH_FIN | TH_ACK, TEXT_BYTES},
	{"FIN-PSH-URG", TH_FIN | TH_PUSH | TH_URG, 0},
	{"RST", TH_RST, 0},
	{"RST with text", TH_RST, TEXT_BYTES},
	{"RST-ACK", TH_RST | TH_ACK, 0},
	{"RST-FIN-ACK", TH_RST | TH_FIN | TH_ACK, 0},
	{"all flags", TH_ALL, 0},
	{"all flags with text", TH_ALL, TEXT_BYTES},
	{"all flags but RST", TH_ALL & ~TH_RST, TEXT_BYTES},
};

/* Where the segment begins: from RCV.NXT, or from the end of the window. */
static const struct {
	const char *name;
	bool from_edge;
	int32_t offset;
} places[] = {
	{"far before the window", false, -(1 << 30)},
	{"wholly before the window", false, -2 * (int32_t)TEXT_BYTES},
	{"just before the window", false, -1},
	{"at RCV.NXT", false, 0},
	{"inside the window", false, 1000},
	{"at the window's last byte", true, -1},
	{"at the window's edge", true, 0},
	{"just beyond the window", true, 1},
	{"far beyond the window", true, 1 << 30},
};

enum ack_base { ACK_FROM_OLDEST, ACK_FROM_UNA, ACK_FROM_NXT };

static const struct {
	const char *name;
	enum ack_base base;
	int32_t offset;
	bool rare; /* only with sequence numbers at or about RCV.NXT */
} acks[] = {
	{"duplicate", ACK_FROM_UNA, 0, false},
	{"of all sent", ACK_FROM_NXT, 0, false},
	{"beyond SND.NXT", ACK_FROM_NXT, 1, false},
	{"too old", ACK_FROM_OLDEST, -1, true},
	{"as old as may be", ACK_FROM_OLDEST, 0, true},
	{"just old", ACK_FROM_UNA, -1, true},
	{"of one byte", ACK_FROM_UNA, 1, true},
	{"far beyond SND.NXT", ACK_FROM_NXT, 1 << 30, true},
};

struct cell {
	enum start start;
	const struct event *event;
	size_t place;
	size_t ack;
	bool wraps; /* both ends' sequence numbers */
};

/* ---- the state before ---------------------------------------------------------------- */

static uint32_t cells_run, cells_failed;
static uint16_t next_peer_port;
static struct model_connection before;
static bool eof_before;
static bool sock_open; /* s is the application's to close */

static struct flow flow_of(uint16_t peer_port, uint16_t local_port)
{
	return (struct flow){
		.local = inet_addr_v4(htonl(HOST_ADDR)),
		.remote = inet_addr_v4(htonl(PEER_ADDR)),
		.local_port = htons(local_port),
		.remote_port = htons(peer_port),
		.family = AF_INET,
		.protocol = IPPROTO_TCP,
	};
}

/*
 * Lets time pass until a connection of some port of the peer begins with this
 * sequence number, which depends on both: of all ports the one whose turn
 * comes first.
 */
static void wait_for_isn(uint32_t isn, uint16_t local_port)
{
	uint32_t wait = UINT32_MAX;

	for (uint32_t port = PEER_PORT_MIN; port < PEER_PORT_MIN + PEER_PORTS; port++) {
		struct flow flow = flow_of((uint16_t)port, local_port);
		uint32_t missing = isn - tcp_initial_sequence(h->w, tcp_flow_secret(h->w, &flow));

		if (missing < wait) {
			wait = missing;
			peer.port = (uint16_t)port;
		}
	}
	host_advance_us(h, (uint64_t)wait * ISN_TICK_US);
}

static void choose_numbers(bool wraps, uint16_t local_port)
{
	peer_init(&peer, h);
	peer.port = (uint16_t)(PEER_PORT_MIN + next_peer_port++ % PEER_PORTS);
	if (!wraps)
		return;
	/* The peer's wrap inside the window, ours between SND.UNA and SND.NXT. */
	peer.isn = peer.seq = 0 - 500u;
	wait_for_isn(UINT32_MAX - ACKNOWLEDGED - (WRITTEN - ACKNOWLEDGED) / 2, local_port);
}

static void connect_from_local_port(void)
{
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	sock_open = true;
	REQUIRE_EQ(app_bind(&s, HOST_ADDR, LOCAL_PORT), 0);
	REQUIRE_EQ(app_connect(&s, PEER_ADDR, peer.port), 0);
	host_settle(h);
	peer.host_port = LOCAL_PORT;
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_SYN));
}

/* ESTABLISHED with bytes in flight. */
static void establish(bool passive)
{
	if (passive) {
		host_established(h, &peer, &s);
		sock_open = true;
	} else {
		connect_from_local_port();
		peer_send(&peer, TH_SYN | TH_ACK, NULL, 0);
		host_drain(h);
		peer.ack = peer.host_isn + 1;
	}
	REQUIRE_EQ(app_write_pattern(&s, WRITTEN), WRITTEN);
	host_settle(h);
	host_drain(h);
	peer.ack = peer.host_isn + 1 + ACKNOWLEDGED;
	peer_send(&peer, TH_ACK, NULL, 0);
	host_settle(h);
}

static void send_fin(bool close)
{
	if (close) {
		REQUIRE_EQ(app_close(&s), 0);
		sock_open = false;
	} else {
		REQUIRE_EQ(app_shutdown(&s, SHUT_WR), 0);
	}
	host_settle(h);
}

static void receive_fin(void)
{
	peer_send(&peer, TH_FIN | TH_ACK, NULL, 0);
	host_settle(h);
}

static void acknowledge_all(bool fin)
{
	peer.ack = peer.host_isn + 1 + WRITTEN + fin;
	peer_send(&peer, TH_ACK, NULL, 0);
	host_settle(h);
}

static void reach_time_wait(bool passive)
{
	establish(passive);
	send_fin(true);
	acknowledge_all(true);
	receive_fin();
}

static void reach(enum start start)
{
	bool closes = start == START_FIN_WAIT1_ORPHAN || start == START_FIN_WAIT2_ORPHAN;

	switch (start) {
	case START_CLOSED:
	case START_LISTEN:
		return;
	case START_SYN_SENT:
		connect_from_local_port();
		return;
	case START_SYN_RECEIVED_PASSIVE:
		host_syn_received(h, &peer);
		return;
	case START_SYN_RECEIVED_ACTIVE:
		connect_from_local_port();
		peer_send(&peer, TH_SYN, NULL, 0);
		return;
	case START_ESTABLISHED:
		establish(false);
		return;
	case START_FIN_WAIT1:
	case START_FIN_WAIT1_ORPHAN:
		establish(false);
		send_fin(closes);
		return;
	case START_FIN_WAIT2:
	case START_FIN_WAIT2_ORPHAN:
		establish(false);
		send_fin(closes);
		acknowledge_all(true);
		return;
	case START_CLOSE_WAIT:
		establish(false);
		receive_fin();
		return;
	case START_CLOSING:
		establish(false);
		send_fin(false);
		receive_fin();
		return;
	case START_LAST_ACK:
		establish(false);
		receive_fin();
		send_fin(false);
		return;
	case START_TIME_WAIT:
	case START_TIME_WAIT_LISTENER:
		reach_time_wait(start == START_TIME_WAIT_LISTENER);
		return;
	}
}

static uint8_t state_of(enum start start)
{
	static const uint8_t states[] = {
		[START_CLOSED] = TCP_CLOSE,
		[START_LISTEN] = TCP_LISTEN,
		[START_SYN_SENT] = TCP_SYN_SENT,
		[START_SYN_RECEIVED_PASSIVE] = TCP_SYN_RECV,
		[START_SYN_RECEIVED_ACTIVE] = TCP_SYN_RECV,
		[START_ESTABLISHED] = TCP_ESTABLISHED,
		[START_FIN_WAIT1] = TCP_FIN_WAIT1,
		[START_FIN_WAIT1_ORPHAN] = TCP_FIN_WAIT1,
		[START_FIN_WAIT2] = TCP_FIN_WAIT2,
		[START_FIN_WAIT2_ORPHAN] = TCP_FIN_WAIT2,
		[START_CLOSE_WAIT] = TCP_CLOSE_WAIT,
		[START_CLOSING] = TCP_CLOSING,
		[START_LAST_ACK] = TCP_LAST_ACK,
		[START_TIME_WAIT] = TCP_TIME_WAIT,
		[START_TIME_WAIT_LISTENER] = TCP_TIME_WAIT,
	};

	return states[start];
}

static bool listens(enum start start)
{
	return start == START_LISTEN || start == START_SYN_RECEIVED_PASSIVE ||
	       start == START_TIME_WAIT_LISTENER;
}

/* The state of the connection as the stack's table has it; without one, TCP_CLOSE. */
static uint8_t state_now(void)
{
	struct flow flow = flow_of(peer.port, peer.host_port);
	sock_entry entry = sock_table_find(h->w->socks_by_flow, &flow);

	if (entry == 0)
		return TCP_CLOSE;
	switch (sock_entry_kind(entry)) {
	case SOCK_ENTRY_REQUEST:
		return TCP_SYN_RECV;
	case SOCK_ENTRY_TIME_WAIT:
		return TCP_TIME_WAIT;
	default:
		return tcp_state(sock_entry_pointer(entry));
	}
}

/* What both ends know, from what was said so far. */
static void describe_before(enum start start)
{
	uint32_t sent = peer.host_isn + 1; /* before any byte */
	bool has_data = start >= START_ESTABLISHED;
	bool acked = start == START_FIN_WAIT2 || start == START_FIN_WAIT2_ORPHAN ||
		     start == START_TIME_WAIT || start == START_TIME_WAIT_LISTENER;
	bool offered = start != START_CLOSED && start != START_LISTEN && start != START_SYN_SENT;
	struct sock *sk = sock_open ? host_sock(&s) : NULL;

	before = (struct model_connection){
		.state = state_of(start),
		.listener = listens(start),
		.passive = start == START_SYN_RECEIVED_PASSIVE,
		.orphan = start == START_FIN_WAIT1_ORPHAN || start == START_FIN_WAIT2_ORPHAN,
		.snd_wnd_max = offered ? peer.window : 0,
		.irs = peer.isn,
		.rcv_nxt = offered ? peer.seq : 0,
		.rcv_wnd = 65535, /* neither end scales; the buffer is larger */
	};
	before.fin_sent = has_data && start != START_ESTABLISHED && start != START_CLOSE_WAIT;
	before.snd_nxt = sent + (has_data ? WRITTEN : 0) + before.fin_sent;
	before.snd_una = has_data ? sent + ACKNOWLEDGED : sent - 1;
	if (acked)
		before.snd_una = before.snd_nxt;
	if (start >= START_CLOSE_WAIT)
		before.rcv_wnd -= 1; /* the FIN took its place in it */
	eof_before = sk != NULL && app_has(&s, LEAT_EV_RDHUP);
}

/* ---- the state after -------------------------------------------------------------------- */

struct seen_outcome {
	struct model_outcome outcome;
	uint32_t frames;
	uint32_t drops; /* segments that died */
};

static enum model_reply reply_kind(uint8_t flags)
{
	switch (flags & (TH_SYN | TH_ACK | TH_RST | TH_FIN)) {
	case TH_ACK:
		return REPLY_ACK;
	case TH_SYN | TH_ACK:
		return REPLY_SYN_ACK;
	case TH_RST:
		return REPLY_RST;
	case TH_RST | TH_ACK:
		return REPLY_RST_ACK;
	default:
		return REPLY_NONE;
	}
}

static void see_reply(struct seen_outcome *got)
{
	struct frame *f;

	while ((f = host_pop(h)) != NULL) {
		struct seen seen = FRAME_SEE(f);

		got->frames++;
		got->outcome.reply = reply_kind((uint8_t)seen.tcp.flags);
		got->outcome.seq = seen.tcp.seq;
		got->outcome.ack = seen.tcp.ack;
		free(f);
	}
}

static void see_counters(struct seen_outcome *got, const uint64_t *counters)
{
	got->outcome.drop = CNT_MAX;
	for (unsigned i = 0; i < CNT_MAX; i++) {
		if (!counter_is_drop((enum counter)i) || h->w->counter[i] == counters[i])
			continue;
		got->drops += (uint32_t)(h->w->counter[i] - counters[i]);
		got->outcome.drop = (enum counter)i;
	}
	got->outcome.challenge = host_counter(h, CNT_tcp_challenge_ack) !=
				 counters[CNT_tcp_challenge_ack];
}

static void see_application(struct seen_outcome *got, enum start start)
{
	/* A listener's request may have become a connection. */
	if (start == START_SYN_RECEIVED_PASSIVE && got->outcome.state != TCP_SYN_RECV &&
	    got->outcome.state != TCP_CLOSE)
		sock_open = app_accept(&h->listener, &s) == 0;
	if (!sock_open)
		return;
	got->outcome.text = (uint32_t)app_readable(&s);
	got->outcome.eof = app_has(&s, LEAT_EV_RDHUP);
	got->outcome.error = (int)s.slot->error;
}

/* The segment arrives. */
static struct seen_outcome run_event(enum start start, const struct model_segment *seg)
{
	static uint64_t counters[CNT_MAX];
	struct seen_outcome got = {.frames = 0};

	host_drain(h);
	memcpy(counters, h->w->counter, sizeof(counters));
	peer_inject(&peer, seg->flags, seg->seq, seg->ack, "0123456789", seg->length);
	host_settle(h);
	got.outcome.state = state_now();
	see_reply(&got);
	see_counters(&got, counters);
	see_application(&got, start);
	return got;
}

/* Is all up to ack acknowledged in time? */
static bool acknowledges_soon(struct seen_outcome *got, uint32_t ack)
{
	if (got->frames == 0) {
		host_advance_ms(h, ACK_DELAY_MS);
		see_reply(got);
	}
	return got->frames > 0 && got->outcome.ack == ack; /* it may ride on a retransmission */
}

static bool reply_is_right(const struct model_outcome *want, struct seen_outcome *got)
{
	const struct model_outcome *g = &got->outcome;

	if (want->reply == REPLY_ACK_SOON)
		return acknowledges_soon(got, want->ack);
	if (want->reply == REPLY_NONE)
		return got->frames == 0;
	return got->frames == 1 && g->reply == want->reply &&
	       (want->seq_free || g->seq == want->seq) &&
	       (want->reply == REPLY_RST || g->ack == want->ack);
}

static bool outcome_is_right(const struct model_outcome *want, struct seen_outcome *got)
{
	const struct model_outcome *g = &got->outcome;
	uint8_t state = want->state == TCP_LISTEN ? TCP_CLOSE : want->state;

	return g->state == state && g->drop == want->drop &&
	       got->drops == (want->drop != CNT_MAX) && (!want->challenge || g->challenge) &&
	       (!sock_open || (g->text == want->text && g->eof == (want->eof || eof_before) &&
			       g->error == want->error)) &&
	       reply_is_right(want, got);
}

/* ---- one cell ------------------------------------------------------------------------------ */

static void print_outcome(char *out, size_t room, const struct model_outcome *o)
{
	static const char *const names[] = {
		[REPLY_NONE] = "nothing",    [REPLY_ACK] = "ACK", [REPLY_ACK_SOON] = "ACK soon",
		[REPLY_SYN_ACK] = "SYN-ACK", [REPLY_RST] = "RST", [REPLY_RST_ACK] = "RST-ACK",
	};

	snprintf(out, room, "%s%s seq %u ack %u, %s, %u bytes%s, error %d, drop %s",
		 o->challenge ? "challenge " : "", names[o->reply], o->seq, o->ack,
		 tcp_state_name(o->state), o->text, o->eof ? " and end" : "", o->error,
		 o->drop == CNT_MAX ? "none" : counter_name(o->drop));
}

static void report(const struct cell *cell, const struct model_outcome *want,
		   const struct seen_outcome *got)
{
	char want_text[160], got_text[160];

	if (++cells_failed > FAILURES_SHOWN)
		return;
	print_outcome(want_text, sizeof(want_text), want);
	print_outcome(got_text, sizeof(got_text), &got->outcome);
	test_fail(__FILE__, __LINE__,
		  "%s: %s %s, ACK %s%s:\n        want %s\n        got  %s (%u frames, %u drops)",
		  start_name[cell->start], cell->event->name, places[cell->place].name,
		  cell->event->flags & TH_ACK ? acks[cell->ack].name : "-",
		  cell->wraps ? ", wrapping" : "", want_text, got_text, got->frames, got->drops);
}

static struct model_segment segment_of(const struct cell *cell)
{
	uint32_t start = before.rcv_nxt + (places[cell->place].from_edge ? before.rcv_wnd : 0);
	struct model_segment seg = {
		.flags = cell->event->flags,
		.seq = start + (uint32_t)places[cell->place].offset,
		.length = cell->event->text,
	};

	if (!(seg.flags & TH_ACK))
		return seg;
	if (acks[cell->ack].base == ACK_FROM_NXT)
		seg.ack = before.snd_nxt;
	else
		seg.ack = before.snd_una;
	if (acks[cell->ack].base == ACK_FROM_OLDEST)
		seg.ack -= before.snd_wnd_max;
	seg.ack += (uint32_t)acks[cell->ack].offset;
	return seg;
}

/* Whatever is left of the cell's connection goes. */
static void clear_cell(void)
{
	struct linger reset = {.l_onoff = 1, .l_linger = 0};
	struct flow flow = flow_of(peer.port, peer.host_port);
	sock_entry entry;

	if (sock_open) {
		REQUIRE_EQ(app_setsockopt(&s, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
		REQUIRE_EQ(app_close(&s), 0);
		sock_open = false;
	}
	tcp_time_wait_free_all(h->w);
	entry = sock_table_find(h->w->socks_by_flow, &flow);
	if (entry != 0) { /* half open, or closed by its application: only a RST ends it at once */
		uint32_t next;

		if (sock_entry_kind(entry) == SOCK_ENTRY_REQUEST)
			next = ((struct request_sock *)sock_entry_pointer(entry))->irs + 1;
		else
			next = ((struct tcp_sock *)sock_entry_pointer(entry))->rcv_nxt;
		peer_inject(&peer, TH_RST, next, 0, NULL, 0);
		host_settle(h);
	}
	REQUIRE_EQ(state_now(), TCP_CLOSE);
	host_drain(h);
}

static void run_cell(const struct cell *cell)
{
	bool local = !listens(cell->start) && cell->start != START_CLOSED;
	struct model_segment seg;
	struct model_outcome want;
	struct seen_outcome got;

	choose_numbers(cell->wraps, local ? LOCAL_PORT : HOST_PORT);
	reach(cell->start);
	describe_before(cell->start);
	REQUIRE_EQ(state_now(), before.state == TCP_LISTEN ? TCP_CLOSE : before.state);
	seg = segment_of(cell);
	want = model_segment_arrives(&before, &seg);
	got = run_event(cell->start, &seg);
	cells_run++;
	if (!outcome_is_right(&want, &got))
		report(cell, &want, &got);
	clear_cell();
}

/* ---- the table ------------------------------------------------------------------------------- */

/* Are the rarer ACK numbers worth trying here? */
static bool is_about_next(size_t place)
{
	return !places[place].from_edge && places[place].offset >= -1;
}

static void run_places(struct cell *cell)
{
	for (cell->place = 0; cell->place < RTE_DIM(places); cell->place++) {
		for (cell->ack = 0; cell->ack < RTE_DIM(acks); cell->ack++) {
			if (cell->ack > 0 && !(cell->event->flags & TH_ACK))
				break;
			if (!acks[cell->ack].rare || is_about_next(cell->place))
				run_cell(cell);
		}
	}
}

static void run_state(enum start start)
{
	struct cell cell = {.start = start};

	begin_unconnected(NULL);
	cells_run = cells_failed = 0;
	if (listens(start))
		host_listen(h, 16);
	for (size_t i = 0; i < RTE_DIM(events); i++) {
		cell.event = &events[i];
		cell.wraps = false;
		run_places(&cell);
		cell.wraps = true;
		run_places(&cell);
	}
	CHECK_EQ(cells_failed, 0);
	CHECK(cells_run > 500);
	if (h->listener.slot != NULL)
		CHECK_EQ(app_close(&h->listener), 0);
	HOST_CHECK_QUIET(h);
	end();
}

#define STATE_TEST(name, start)   \
	static void name(void)    \
	{                         \
		run_state(start); \
	}

STATE_TEST(closed_answers_as_section_3_10_7_1_says, START_CLOSED)
STATE_TEST(listen_answers_as_section_3_10_7_2_says, START_LISTEN)
STATE_TEST(syn_sent_answers_as_section_3_10_7_3_says, START_SYN_SENT)
STATE_TEST(syn_received_after_listen_answers_as_section_3_10_7_4_says, START_SYN_RECEIVED_PASSIVE)
STATE_TEST(syn_received_after_syn_sent_answers_as_section_3_10_7_4_says, START_SYN_RECEIVED_ACTIVE)
STATE_TEST(established_answers_as_section_3_10_7_4_says, START_ESTABLISHED)
STATE_TEST(fin_wait_1_answers_as_section_3_10_7_4_says, START_FIN_WAIT1)
STATE_TEST(fin_wait_1_without_application_resets_text, START_FIN_WAIT1_ORPHAN)
STATE_TEST(fin_wait_2_answers_as_section_3_10_7_4_says, START_FIN_WAIT2)
STATE_TEST(fin_wait_2_without_application_resets_text, START_FIN_WAIT2_ORPHAN)
STATE_TEST(close_wait_answers_as_section_3_10_7_4_says, START_CLOSE_WAIT)
STATE_TEST(closing_answers_as_section_3_10_7_4_says, START_CLOSING)
STATE_TEST(last_ack_answers_as_section_3_10_7_4_says, START_LAST_ACK)
STATE_TEST(time_wait_answers_as_section_3_10_7_4_says, START_TIME_WAIT)
STATE_TEST(time_wait_before_a_listener_lets_a_later_syn_in, START_TIME_WAIT_LISTENER)

TEST_SUITE(tcp_events)
{
	TEST(closed_answers_as_section_3_10_7_1_says);
	TEST(listen_answers_as_section_3_10_7_2_says);
	TEST(syn_sent_answers_as_section_3_10_7_3_says);
	TEST(syn_received_after_listen_answers_as_section_3_10_7_4_says);
	TEST(syn_received_after_syn_sent_answers_as_section_3_10_7_4_says);
	TEST(established_answers_as_section_3_10_7_4_says);
	TEST(fin_wait_1_answers_as_section_3_10_7_4_says);
	TEST(fin_wait_1_without_application_resets_text);
	TEST(fin_wait_2_answers_as_section_3_10_7_4_says);
	TEST(fin_wait_2_without_application_resets_text);
	TEST(close_wait_answers_as_section_3_10_7_4_says);
	TEST(closing_answers_as_section_3_10_7_4_says);
	TEST(last_ack_answers_as_section_3_10_7_4_says);
	TEST(time_wait_answers_as_section_3_10_7_4_says);
	TEST(time_wait_before_a_listener_lets_a_later_syn_in);
}
