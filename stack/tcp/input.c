/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A segment arrives at a connection (RFC 9293 section 3.10.7): the spine with
 * the RFC's steps for everything.  What an established connection sees nearly
 * always has a path of its own (plain.c).
 */
#include <errno.h>

#include "lib/pool.h"
#include "net/ipv4.h"
#include "shm/ring.h"
#include "sock/sock_table.h"
#include "tcp/segment.h"
#include "tcp/tcp.h"
#include "tcp/tcp_sock.h"

/* ---- acknowledging what arrived --------------------------------------------- */

/*
 * RFC 9293 section 3.8.6.3: at once for every second full segment and while the peer may be in
 * slow start, else a little later, in the hope of data to ride on.
 *
 * So is what comes first on a connection, if that is no full segment: most likely a request, all
 * of it, whose answer follows within microseconds and would be a second packet.  A peer in slow
 * start is not held up by this: with more to send than it may it sends full segments, the first of
 * which is acknowledged at once.  One that sends the rest of a request only when its beginning is
 * acknowledged (Nagle) waits for the next millisecond, once.
 */
void tcp_schedule_ack(struct worker *w, struct tcp_sock *tp, uint32_t length)
{
	if (length > tp->rcv_mss_bytes)
		tp->rcv_mss_bytes = (uint16_t)length;
	if (tp->quick_acks == TCP_FIRST_ACK && length < tp->mss_bytes &&
	    !tcp_timer_armed(tp, TCP_TIMER_DELACK))
		tcp_timer_set(w, tp, TCP_TIMER_DELACK, TCP_ANSWER_MS);
	else if (tp->quick_acks > 0 || tp->rcv_nxt - tp->rcv_acked >= 2u * tp->rcv_mss_bytes)
		tcp_ack_now(w, tp);
	else if (!tcp_timer_armed(tp, TCP_TIMER_DELACK))
		tcp_timer_set(w, tp, TCP_TIMER_DELACK, TCP_DELACK_MS);
}

/* ---- step 7: text ------------------------------------------------------------- */

/* length bytes that begin at rcv_nxt, after skip bytes of p's data. */
static enum counter text_in_order(struct worker *w, struct tcp_sock *tp, struct packet *p,
				  uint32_t skip, uint32_t length)
{
	struct sock *sk = tcp_sock_sk(tp);

	if (sk->flags & SOCK_RX_SHUT) { /* acknowledged, for nobody */
		tp->rcv_nxt += length;
		tcp_schedule_ack(w, tp, length);
		return TCP_GO_ON;
	}
	if (rx_ring_append(w, &sk->ring, p->m, skip, length) != 0)
		return CNT_tcp_rx_ring;
	tp->rcv_nxt += length;
	sock_raise(w, sk, LEAT_EV_IN);
	tcp_schedule_ack(w, tp, length);
	return TCP_GO_ON;
}

static struct reassembly *reassembly_of(struct worker *w, struct tcp_sock *tp)
{
	if (tp->reassembly == NULL) {
		tp->reassembly = pool_get(w->tcp->reassemblies);
		if (tp->reassembly != NULL)
			reassembly_init(tp->reassembly);
	}
	return tp->reassembly;
}

void tcp_reassembly_free(struct worker *w, struct tcp_sock *tp)
{
	struct reassembly *r = tp->reassembly;

	if (r == NULL)
		return;
	if (reassembly_is_expanded(r))
		pool_put(w->tcp->many_ranges, r->range);
	pool_put(w->tcp->reassemblies, r);
	tp->reassembly = NULL;
}

static void reassembly_release(struct worker *w, struct tcp_sock *tp)
{
	if (tp->reassembly != NULL && reassembly_is_empty(tp->reassembly))
		tcp_reassembly_free(w, tp);
}

/* One more range, in a larger set if need be; what there is no room for the peer sends again. */
static enum counter reassembly_note(struct worker *w, struct reassembly *r, uint32_t start,
				    uint32_t end)
{
	struct seq_range *many;

	if (reassembly_add(r, start, end) == 0)
		return TCP_GO_ON;
	if (reassembly_is_expanded(r))
		return CNT_tcp_reassembly;
	many = pool_get(w->tcp->many_ranges);
	if (many == NULL)
		return CNT_tcp_reassembly;
	reassembly_expand(r, many);
	return reassembly_add(r, start, end) == 0 ? TCP_GO_ON : CNT_tcp_reassembly;
}

/* [start, end) came once more: the next ACK tells (RFC 2883). */
static void note_duplicate(struct worker *w, struct tcp_sock *tp, uint32_t start, uint32_t end)
{
	worker_count(w, CNT_tcp_duplicate);
	if (!tcp_has_sack(tp) || !seq_lt(start, end))
		return;
	if (tp->flags & TCP_SOCK_DSACK) /* each is of one packet */
		tcp_tx_ack(w, tp);
	tp->flags |= TCP_SOCK_DSACK;
	tp->dsack_start = start;
	tp->dsack_end = end;
}

/* length bytes at seq, beyond rcv_nxt: to their place in the ring, and remembered. */
static enum counter keep_out_of_order(struct worker *w, struct tcp_sock *tp, struct packet *p,
				      uint32_t seq, uint32_t skip, uint32_t length)
{
	struct sock *sk = tcp_sock_sk(tp);
	struct reassembly *r;

	if (sk->flags & SOCK_RX_SHUT)
		return CNT_tcp_reassembly;
	r = reassembly_of(w, tp);
	if (r == NULL)
		return CNT_tcp_reassembly;
	if (reassembly_covers(r, seq, seq + length)) {
		note_duplicate(w, tp, seq, seq + length);
		(void)reassembly_add(r, seq, seq + length); /* its range comes first now */
		return TCP_GO_ON;
	}
	if (rx_ring_write(w, &sk->ring, sk->ring.rx_tail + (seq - tp->rcv_nxt), p->m, skip,
			  length) != 0) {
		reassembly_release(w, tp);
		return CNT_tcp_rx_ring;
	}
	return reassembly_note(w, r, seq, seq + length);
}

static enum counter text_out_of_order(struct worker *w, struct tcp_sock *tp, struct packet *p,
				      uint32_t seq, uint32_t skip, uint32_t length)
{
	enum counter verdict = keep_out_of_order(w, tp, p, seq, skip, length);

	worker_count(w, CNT_tcp_out_of_order);
	/* RFC 5681 section 4.2: a duplicate ACK, at once, and one each, for the peer counts them. */
	tcp_tx_ack(w, tp);
	return verdict;
}

/* What waited and is in order now goes to the application too. */
static void text_join(struct worker *w, struct tcp_sock *tp)
{
	struct sock *sk = tcp_sock_sk(tp);
	uint32_t complete = reassembly_take(tp->reassembly, tp->rcv_nxt);

	if (complete == tp->rcv_nxt)
		return;
	if (!(sk->flags & SOCK_RX_SHUT))
		rx_ring_advance(&sk->ring, complete - tp->rcv_nxt);
	tp->rcv_nxt = complete;
	sock_raise(w, sk, LEAT_EV_IN);
	tcp_ack_now(w, tp); /* RFC 5681 section 4.2: a gap was filled */
	reassembly_release(w, tp);
	if (tp->reassembly == NULL) /* the peer goes on with a smaller window */
		tp->quick_acks = TCP_QUICK_ACKS;
}

/* Takes the part of p's data that is new and inside the window. */
static enum counter rx_text(struct worker *w, struct tcp_sock *tp, struct packet *p)
{
	uint32_t seq = p->tcp.seq;
	uint32_t length = p->tcp.length;
	uint32_t skip = 0;
	enum counter verdict;

	if (seq_lt(seq, tp->rcv_nxt)) {
		skip = RTE_MIN(tp->rcv_nxt - seq, length);
		seq += skip;
		length -= skip;
	}
	if (seq_gt(seq + length, tp->rcv_edge)) {
		length = seq_lt(seq, tp->rcv_edge) ? tp->rcv_edge - seq : 0;
		p->tcp.flags &= (uint16_t)~TCP_FLAG_FIN;
	}
	if (length == 0) { /* a duplicate, or beyond a shut window: say where we are */
		if (p->tcp.length > 0) {
			note_duplicate(w, tp, p->tcp.seq, seq_min(seq, tp->rcv_nxt));
			tcp_ack_now(w, tp);
		}
		return TCP_GO_ON;
	}
	if (seq != tp->rcv_nxt)
		return text_out_of_order(w, tp, p, seq, skip, length);
	verdict = text_in_order(w, tp, p, skip, length);
	if (verdict == TCP_GO_ON && tp->reassembly != NULL)
		text_join(w, tp);
	return verdict;
}

/* ---- step 8: FIN ----------------------------------------------------------------- */

/* rcv_nxt has reached the peer's FIN. */
static enum counter take_fin(struct worker *w, struct tcp_sock *tp)
{
	struct sock *sk = tcp_sock_sk(tp);

	tp->rcv_nxt++;
	tcp_reassembly_free(w, tp);
	sk->flags |= SOCK_RX_EOF;
	sock_raise(w, sk,
		   LEAT_EV_RDHUP | LEAT_EV_IN |
			   (tp->flags & TCP_SOCK_FIN_QUEUED ? LEAT_EV_HUP : 0));
	tcp_ack_now(w, tp);
	switch (tcp_state(tp)) {
	case TCP_ESTABLISHED:
		tcp_set_state(tp, TCP_CLOSE_WAIT);
		return TCP_ACCEPTED;
	case TCP_FIN_WAIT1: /* our FIN is not acknowledged, or step 5 had moved on */
		tcp_set_state(tp, TCP_CLOSING);
		return TCP_ACCEPTED;
	default:
		leat_assert(tcp_state(tp) == TCP_FIN_WAIT2);
		tcp_time_wait(w, tp);
		return TCP_ACCEPTED;
	}
}

/* A FIN in order ends the stream; one beyond a gap is remembered. */
static enum counter rx_fin(struct worker *w, struct tcp_sock *tp, const struct tcp_segment *seg)
{
	uint32_t fin = seg->seq + seg->length;
	struct reassembly *r = tp->reassembly;

	if (seg->flags & TCP_FLAG_FIN && seq_gt(fin, tp->rcv_nxt)) {
		r = reassembly_of(w, tp);
		if (seg->length == 0) /* else its text had its duplicate ACK: one each */
			tcp_ack_now(w, tp);
		if (r != NULL)
			reassembly_set_end(r, fin);
		return TCP_ACCEPTED;
	}
	if (seg->flags & TCP_FLAG_FIN ? fin == tp->rcv_nxt
				      : r != NULL && r->has_end && r->stream_end == tp->rcv_nxt)
		return take_fin(w, tp);
	return TCP_ACCEPTED;
}

/* Data that nobody can read any more: RFC 9293 section 3.10.4 and RFC 1122 section 4.2.2.13. */
static bool text_is_refused(const struct tcp_sock *tp, const struct tcp_segment *seg)
{
	const struct sock *sk = &tp->ics.inet.sk;

	if (seg->length == 0 || seq_le(seg->seq + seg->length, tp->rcv_nxt))
		return false;
	return sock_is_detached(sk) ||
	       (sk->flags & SOCK_RX_SHUT && tcp_state(tp) != TCP_ESTABLISHED);
}

enum counter tcp_rx_text_and_fin(struct worker *w, struct tcp_sock *tp, struct packet *p)
{
	struct tcp_segment *seg = &p->tcp;
	enum counter verdict;

	if (!tcp_state_in(tp, TCP_STATE(TCP_SYN_RECV) | TCP_STATE(TCP_ESTABLISHED) |
				      TCP_STATE(TCP_FIN_WAIT1) | TCP_STATE(TCP_FIN_WAIT2)))
		return TCP_ACCEPTED; /* the peer's FIN is in: there can be nothing more */
	if (text_is_refused(tp, seg)) {
		tcp_tx_reset(w, tp);
		worker_count(w, CNT_tcp_reset);
		tcp_fail(w, tp, ECONNRESET);
		return CNT_tcp_state;
	}
	/* 3.10.7.4, sixth, the URG bit. */
	if (seg->flags & TCP_FLAG_URG)
		tcp_rx_urgent(w, tp, seg);
	/* 3.10.7.4, seventh, the segment text. */
	if (seg->length > 0) {
		verdict = rx_text(w, tp, p);
		if (verdict != TCP_GO_ON)
			return verdict;
	}
	/* 3.10.7.4, eighth, the FIN bit. */
	return rx_fin(w, tp, seg);
}

/* ---- ECN ------------------------------------------------------------------------------ */

/*
 * RFC 3168 section 6.1.3: a mark is told in each ACK until the peer says it
 * has heard.  DCTCP (RFC 8257 section 3.2) tells exactly what was marked: when
 * that changes, what came before is acknowledged first.
 */
static void rx_ecn(struct worker *w, struct tcp_sock *tp, const struct packet *p)
{
	bool marked = (p->traffic_class & ECN_MASK) == ECN_CE;
	bool echoing = (tp->flags & TCP_SOCK_ECN_ECHO) != 0;

	if ((p->traffic_class & ECN_MASK) != 0)
		tp->flags |= TCP_SOCK_ECN_SEEN;
	if (tp->congestion_ops->wants_ecn) {
		if (p->tcp.length == 0 || marked == echoing)
			return;
		if (tp->rcv_nxt != tp->rcv_acked)
			tcp_tx_ack(w, tp);
		tp->flags ^= TCP_SOCK_ECN_ECHO;
		return;
	}
	if (p->tcp.flags & TCP_FLAG_CWR)
		tp->flags &= ~(uint32_t)TCP_SOCK_ECN_ECHO;
	if (marked) {
		tp->flags |= TCP_SOCK_ECN_ECHO;
		tcp_ack_now(w, tp);
	}
}

/* ---- steps 1 to 4 ------------------------------------------------------------------ */

/* RFC 7323 section 5.3, R1: is the segment older than what we have? */
static bool paws_refuses(const struct worker *w, const struct tcp_sock *tp,
			 const struct tcp_segment *seg)
{
	if (!(tp->flags & TCP_SOCK_TIMESTAMPS) || seg->flags & TCP_FLAG_RST)
		return false;
	if (!seg->has_timestamp) /* section 3.2: once negotiated, always there */
		return true;
	return seq_lt(seg->ts_value, tp->ts_recent) &&
	       w->now_ms - tp->rcv_time_ms < TCP_PAWS_IDLE_MS;
}

/*
 * 3.10.7.4, first.  Table 6 of RFC 9293, with two allowances: an ACK just
 * beyond the window is looked at (the peer has filled the window and some of
 * it was lost), but no RST there (RFC 5961 section 3.2); and text at rcv_nxt
 * before a shut window, of which only the ACK counts.
 */
bool tcp_segment_is_acceptable(const struct tcp_segment *seg, uint32_t rcv_nxt, uint32_t window)
{
	uint32_t length = tcp_segment_end(seg) - seg->seq;

	if (seg->seq == rcv_nxt || seq_in_window(seg->seq, rcv_nxt, window))
		return true;
	if (length > 0)
		return seq_in_window(seg->seq + length - 1, rcv_nxt, window);
	return seg->seq == rcv_nxt + window && !(seg->flags & TCP_FLAG_RST);
}

static enum counter rx_sequence(struct worker *w, struct tcp_sock *tp,
				const struct tcp_segment *seg)
{
	uint32_t window = seq_gt(tp->rcv_edge, tp->rcv_nxt) ? tp->rcv_edge - tp->rcv_nxt : 0;
	bool old = paws_refuses(w, tp, seg);

	if (!old && tcp_segment_is_acceptable(seg, tp->rcv_nxt, window))
		return TCP_GO_ON;
	if (seg->flags & TCP_FLAG_RST)
		return CNT_tcp_rst;
	/* Text sent again is answered always: the peer waits for that ACK.  What could bounce
	 * between two confused ends is limited. */
	if (seg->length > 0 && !(seg->flags & TCP_FLAG_SYN)) {
		note_duplicate(w, tp, seg->seq, seq_min(seg->seq + seg->length, tp->rcv_nxt));
		tcp_ack_now(w, tp);
	} else {
		tcp_challenge_ack(w, tp);
	}
	return old ? CNT_tcp_paws : CNT_tcp_seq;
}

/* 3.10.7.4, second, with RFC 5961 section 3.2: only the exact sequence number resets. */
static enum counter rx_rst(struct worker *w, struct tcp_sock *tp, const struct tcp_segment *seg)
{
	if (!(seg->flags & TCP_FLAG_RST))
		return TCP_GO_ON;
	if (seg->seq != tp->rcv_nxt) {
		tcp_challenge_ack(w, tp);
		return CNT_tcp_rst;
	}
	worker_count(w, CNT_tcp_rx_rst);
	worker_count(w, CNT_tcp_reset);
	tcp_fastopen_leave(w, tp, true);
	switch (tcp_state(tp)) {
	case TCP_SYN_RECV: /* an application has it already, or has opened it itself */
		tcp_fail(w, tp,
			 tcp_sock_sk(tp)->state_events & LEAT_EV_CONNECTED ? ECONNRESET
									   : ECONNREFUSED);
		break;
	case TCP_CLOSE_WAIT: /* as Linux: the peer had finished, what we write is lost */
		tcp_fail(w, tp, EPIPE);
		break;
	case TCP_CLOSING:
	case TCP_LAST_ACK:
		tcp_done(w, tp);
		break;
	default:
		tcp_fail(w, tp, ECONNRESET);
		break;
	}
	return TCP_ACCEPTED;
}

/* 3.10.7.4, fourth, with RFC 5961 section 4.2: a SYN is answered, never obeyed. */
static enum counter rx_syn(struct worker *w, struct tcp_sock *tp, const struct tcp_segment *seg)
{
	if (!(seg->flags & TCP_FLAG_SYN))
		return TCP_GO_ON;
	tcp_challenge_ack(w, tp);
	return CNT_tcp_syn;
}

/* ---- the spine ------------------------------------------------------------------------ */

enum counter tcp_rx_any(struct worker *w, struct tcp_sock *tp, struct packet *p)
{
	struct tcp_segment *seg = &p->tcp;
	enum counter verdict;

	if (tcp_state(tp) == TCP_SYN_SENT)
		return tcp_rx_syn_sent(w, tp, p); /* 3.10.7.3 */
	if (tcp_fastopen_is_old_syn(tp, seg)) {
		tp->flags |= TCP_SOCK_SEND_SYN;
		sock_want_output(w, tcp_sock_sk(tp));
		return CNT_tcp_syn;
	}

	verdict = rx_sequence(w, tp, seg); /* 3.10.7.4, first */
	if (verdict != TCP_GO_ON)
		return verdict;
	verdict = rx_rst(w, tp, seg); /* second; third, security, is of the past */
	if (verdict != TCP_GO_ON)
		return verdict;
	verdict = rx_syn(w, tp, seg); /* fourth */
	if (verdict != TCP_GO_ON)
		return verdict;
	tcp_take_timestamp(tp, seg);
	tcp_take_time(w, tp, seg);
	tp->probes = 0;
	if (tp->flags & TCP_SOCK_ECN)
		rx_ecn(w, tp, p);
	verdict = tcp_rx_ack(w, tp, seg); /* fifth */
	if (verdict == CNT_tcp_ack && tcp_state(tp) == TCP_SYN_RECV)
		tcp_tx_reset_unknown(w, p);
	if (verdict != TCP_GO_ON)
		return verdict;
	return tcp_rx_text_and_fin(w, tp, p); /* sixth to eighth */
}
