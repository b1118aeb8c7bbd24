/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Step 5 of segment arrival: what the ACK field says about what we sent, about
 * the peer's window, about the path's round trip and about losses (NewReno
 * fast recovery, RFC 5681 and RFC 6582).
 */
#include "shm/ring.h"
#include "tcp/segment.h"
#include "tcp/tcp_sock.h"

/* ---- measurement and window ------------------------------------------------ */

void tcp_measure_rtt(struct worker *w, struct tcp_sock *tp, const struct tcp_segment *seg)
{
	if (tp->flags & TCP_SOCK_TIMING) {
		if (seq_lt(seg->ack, tp->rtt_seq))
			return;
		tp->flags &= (uint16_t)~TCP_SOCK_TIMING;
		rtt_sample(&tp->rtt, (uint32_t)w->now_us - tp->rtt_start_us);
		return;
	}
	/* After a retransmission only the echoed timestamp tells which copy was acknowledged. */
	if (tp->flags & TCP_SOCK_TIMESTAMPS && seg->has_timestamp && seg->ts_echo != 0) {
		uint32_t elapsed_ms = w->now_ms + tp->ts_offset - seg->ts_echo;

		if (elapsed_ms < RTO_MAX_MS)
			rtt_sample(&tp->rtt, elapsed_ms * 1000);
	}
}

void tcp_update_window(struct worker *w, struct tcp_sock *tp, const struct tcp_segment *seg)
{
	uint32_t window = (uint32_t)seg->window << tp->snd_scale;

	if (!(seq_lt(tp->snd_wl1, seg->seq) ||
	      (tp->snd_wl1 == seg->seq && seq_le(tp->snd_wl2, seg->ack))))
		return;
	tp->snd_wl1 = seg->seq;
	tp->snd_wl2 = seg->ack;
	if (window == tp->snd_wnd)
		return;
	if (window > tp->snd_wnd) {
		if (tp->snd_nxt == tp->snd_una) { /* what waited for it may go: no probe is due */
			tp->backoff = 0;
			tcp_timer_stop(tp, TCP_TIMER_RETRANSMIT);
		}
		if (tcp_has_unsent(tp))
			sock_want_output(w, tcp_sock_sk(tp));
	}
	tp->snd_wnd = window;
	tp->snd_wnd_max = RTE_MAX(tp->snd_wnd_max, window);
}

/* ---- loss ------------------------------------------------------------------ */

static void recovery_enter(struct worker *w, struct tcp_sock *tp)
{
	struct congestion *c = &tp->congestion;

	tp->congestion_ops->reduce(c, CONGESTION_LOSS, tp->snd_max - tp->snd_una, w->now_us);
	c->cwnd_bytes = c->ssthresh_bytes + TCP_DUPACK_LIMIT * c->mss_bytes;
	tp->recover = tp->snd_max;
	tp->flags &= (uint16_t)~TCP_SOCK_PARTIAL_ACK;
	tp->flags |= TCP_SOCK_RECOVERY | TCP_SOCK_RETRANSMIT;
	worker_count(w, CNT_tcp_fast_retransmit);
}

/* RFC 6582 section 3.2, steps 3 and 4: new data is acknowledged during recovery. */
static void recovery_ack(struct worker *w, struct tcp_sock *tp, uint32_t acked_bytes)
{
	struct congestion *c = &tp->congestion;

	if (seq_ge(tp->snd_una, tp->recover)) {
		tp->congestion_ops->recovered(c, tp->snd_max - tp->snd_una, w->now_us);
		tp->flags &= (uint16_t)~TCP_SOCK_RECOVERY;
		tp->dupacks = 0;
		return;
	}
	/* A partial acknowledgment: the next hole is lost too. */
	c->cwnd_bytes -= RTE_MIN(acked_bytes, c->cwnd_bytes);
	if (acked_bytes >= c->mss_bytes)
		c->cwnd_bytes += c->mss_bytes;
	c->cwnd_bytes = RTE_MAX(c->cwnd_bytes, c->mss_bytes);
	tp->flags |= TCP_SOCK_RETRANSMIT;
}

static void duplicate_ack(struct worker *w, struct tcp_sock *tp)
{
	if (tp->dupacks < UINT8_MAX)
		tp->dupacks++;
	if (tp->flags & TCP_SOCK_RECOVERY) /* a segment left the network */
		tp->congestion.cwnd_bytes += tp->congestion.mss_bytes;
	else if (tp->dupacks == TCP_DUPACK_LIMIT && seq_gt(tp->snd_una, tp->recover))
		recovery_enter(w, tp);
	else
		return;
	sock_want_output(w, tcp_sock_sk(tp));
}

/* RFC 5681 section 2.  Behind a shut window it answers a probe. */
static bool is_duplicate_ack(const struct tcp_sock *tp, const struct tcp_segment *seg,
			     uint32_t old_window)
{
	return seg->ack == tp->snd_una && tp->snd_una != tp->snd_max && seg->length == 0 &&
	       !(seg->flags & TCP_FLAG_FIN) && tp->snd_wnd == old_window && old_window != 0;
}

/* ---- new data acknowledged --------------------------------------------------- */

static void restart_retransmit_timer(struct worker *w, struct tcp_sock *tp)
{
	if (tp->snd_una == tp->snd_max) {
		tcp_timer_stop(tp, TCP_TIMER_RETRANSMIT);
		return;
	}
	/* RFC 6582 section 3.2 step 3: in recovery only the first partial ACK restarts it. */
	if (tp->flags & TCP_SOCK_RECOVERY && tp->flags & TCP_SOCK_PARTIAL_ACK)
		return;
	if (tp->flags & TCP_SOCK_RECOVERY)
		tp->flags |= TCP_SOCK_PARTIAL_ACK;
	tcp_timer_set_retransmit(w, tp);
}

static void congestion_acked(struct worker *w, struct tcp_sock *tp, uint32_t acked_bytes,
			     uint32_t prior_flight)
{
	struct congestion_ack ack = {
		.now_us = w->now_us,
		.snd_una = tp->snd_una,
		.snd_max = tp->snd_max,
		.acked_bytes = acked_bytes,
		.in_flight_bytes = tp->snd_max - tp->snd_una,
		.prior_in_flight_bytes = prior_flight,
		.srtt_us = rtt_smoothed_us(&tp->rtt),
		/* A window that was not in use proves nothing about a larger one. */
		.cwnd_limited = prior_flight >= tp->congestion.cwnd_bytes / 2,
	};

	if (acked_bytes > 0)
		tp->congestion_ops->acked(&tp->congestion, &ack);
}

void tcp_ack_advance(struct worker *w, struct tcp_sock *tp, const struct tcp_segment *seg)
{
	struct sock *sk = tcp_sock_sk(tp);
	uint32_t flight = tp->snd_max - tp->snd_una;
	uint32_t acked_bytes = seg->ack - tp->snd_una;

	tcp_measure_rtt(w, tp, seg);
	tp->snd_una = seg->ack;
	tp->snd_nxt = seq_max(tp->snd_nxt, tp->snd_una);
	if (tp->snd_wnd != 0) /* a byte taken from a probe does not hasten the next one */
		tp->backoff = 0;
	tp->soft_error = 0;
	tp->progress_ms = w->now_ms;
	if (tcp_fin_is_acked(tp))
		acked_bytes--;
	if (acked_bytes > 0) {
		tx_ring_done(w, &sk->ring, sk->ring.tx_head + acked_bytes);
		sock_raise(w, sk, 0);
	}
	if (tp->flags & TCP_SOCK_RECOVERY) {
		recovery_ack(w, tp, acked_bytes);
	} else {
		tp->dupacks = 0;
		if (seq_gt(tp->snd_una, tp->recover)) /* or it would lie ahead after 2 GiB */
			tp->recover = tp->snd_una - 1;
		congestion_acked(w, tp, acked_bytes, flight);
	}
	restart_retransmit_timer(w, tp);
	if (tp->flags & TCP_SOCK_RETRANSMIT || tcp_has_unsent(tp))
		sock_want_output(w, sk);
}

/* ---- the step ------------------------------------------------------------------ */

/* In SYN-RECEIVED after a simultaneous open. */
static enum counter ack_opens(struct worker *w, struct tcp_sock *tp, const struct tcp_segment *seg)
{
	tcp_measure_rtt(w, tp, seg);
	tp->snd_una = tp->snd_nxt = seg->ack;
	worker_count(w, CNT_tcp_active_open);
	tcp_established(w, tp);
	if (tp->flags & TCP_SOCK_FIN_QUEUED) /* closed meanwhile */
		tcp_set_state(tp, TCP_FIN_WAIT1);
	tcp_update_window(w, tp, seg);
	sock_want_output(w, tcp_sock_sk(tp));
	return TCP_GO_ON;
}

/* Our FIN may be acknowledged now. */
static enum counter ack_closes(struct worker *w, struct tcp_sock *tp)
{
	if (!tcp_fin_is_acked(tp))
		return TCP_GO_ON;
	switch (tcp_state(tp)) {
	case TCP_FIN_WAIT1:
		tcp_set_state(tp, TCP_FIN_WAIT2);
		tcp_timer_set_idle(w, tp);
		return TCP_GO_ON;
	case TCP_CLOSING:
		tcp_time_wait(w, tp);
		return TCP_ACCEPTED;
	case TCP_LAST_ACK:
		tcp_done(w, tp);
		return TCP_ACCEPTED;
	default:
		return TCP_GO_ON;
	}
}

enum counter tcp_rx_ack(struct worker *w, struct tcp_sock *tp, const struct tcp_segment *seg)
{
	uint32_t old_window = tp->snd_wnd;

	if (!(seg->flags & TCP_FLAG_ACK))
		return CNT_tcp_no_ack;
	if (tcp_state(tp) == TCP_SYN_RECV) {
		if (seq_gt(seg->ack, tp->snd_una) && seq_le(seg->ack, tp->snd_max))
			return ack_opens(w, tp, seg);
		return CNT_tcp_ack; /* the caller answers with RST */
	}
	/* RFC 5961 section 5.2: neither the future nor the distant past. */
	if (seq_gt(seg->ack, tp->snd_max) || seq_lt(seg->ack, tp->snd_una - tp->snd_wnd_max)) {
		tcp_challenge_ack(w, tp);
		return CNT_tcp_ack;
	}
	if (seq_lt(seg->ack, tp->snd_una)) /* an old one: nothing new in it, but maybe text */
		return TCP_GO_ON;
	tcp_update_window(w, tp, seg);
	if (seg->ack != tp->snd_una)
		tcp_ack_advance(w, tp, seg);
	else if (is_duplicate_ack(tp, seg, old_window))
		duplicate_ack(w, tp);
	return ack_closes(w, tp);
}
