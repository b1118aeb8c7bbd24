/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Step 5 of segment arrival: what the ACK field and the SACK option say about
 * what we sent, about the peer's window and about the path's round trip.
 * What follows from losses is recovery.c's.
 */
#include "shm/ring.h"
#include "tcp/segment.h"
#include "tcp/tcp_sock.h"

/* ---- the window ----------------------------------------------------------- */

void tcp_change_window(struct worker *w, struct tcp_sock *tp, uint32_t window)
{
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

/* The window was shut over what is in flight.  timed_out: the peer did not take it, nor a probe. */
static void window_opened(struct worker *w, struct tcp_sock *tp, bool timed_out)
{
	if (tp->snd_una == tp->snd_nxt)
		return;
	tp->backoff = 0;
	tp->probes = 0;
	if (timed_out) /* a walk of the whole list: no more than one for each timeout */
		flight_mark_all_lost(&tp->sending->flight, &w->tcp->flights, false);
	tcp_timer_set_retransmit(w, tp);
	sock_want_output(w, tcp_sock_sk(tp));
}

/* ---- measurement ------------------------------------------------------------ */

/* When the segment that caused this ACK was sent, by its echoed timestamp. */
static bool read_echo(const struct tcp_sock *tp, const struct tcp_segment *seg, uint32_t *echo_ms)
{
	*echo_ms = seg->ts_echo - tp->ts_offset;
	return tp->flags & TCP_SOCK_TIMESTAMPS && seg->has_timestamp && seg->ts_echo != 0;
}

void tcp_measure_syn(struct worker *w, struct tcp_sock *tp, const struct tcp_segment *seg)
{
	uint32_t echo_ms;

	if (!(tp->flags & TCP_SOCK_SYN_RESENT)) {
		uint32_t sample_us = (uint32_t)w->now_us - tp->syn_us;

		tcp_take_rtt(tp, sample_us);
		min_rtt_sample(&tp->min_rtt, sample_us, w->now_ms);
	} else if (read_echo(tp, seg, &echo_ms) && w->now_ms - echo_ms < RTO_MAX_MS) {
		tcp_take_rtt(tp, (w->now_ms - echo_ms) * 1000);
	}
}

/*
 * RFC 6298 section 3 with Karn's rule: only what was sent once tells, the
 * oldest of it for the timeout (the peer's delay counts), the newest for the
 * path.  After a retransmission the echoed timestamp does (RFC 7323).
 */
static void measure_rtt(struct worker *w, struct tcp_sock *tp, const struct tcp_ack *a)
{
	const struct flight_delivery *d = &a->delivered;

	if (d->original && !d->resent)
		tcp_take_rtt(tp, (uint32_t)w->now_us - d->oldest_original_us);
	else if (a->advanced && d->has_echo && w->now_ms - d->echo_ms < RTO_MAX_MS)
		tcp_take_rtt(tp, (w->now_ms - d->echo_ms) * 1000);
	if (d->any && !(d->newest.flags & FLIGHT_EVER_RESENT))
		min_rtt_sample(&tp->min_rtt, (uint32_t)w->now_us - d->newest.sent_us, w->now_ms);
}

/* ---- what is acknowledged ------------------------------------------------------ */

static void take_cumulative(struct worker *w, struct tcp_sock *tp, struct tcp_ack *a)
{
	struct sock *sk = tcp_sock_sk(tp);
	uint32_t acked_bytes = a->segment->ack - tp->snd_una;

	flight_ack(&tp->sending->flight, &w->tcp->flights, a->segment->ack, &a->delivered);
	tp->snd_una = a->segment->ack;
	if (tp->snd_wnd != 0) /* a byte taken from a probe does not hasten the next one */
		tp->backoff = 0;
	tp->ics.inet.soft_error = 0;
	tp->progress_ms = w->now_ms;
	if (tcp_fin_is_acked(tp))
		acked_bytes--;
	if (acked_bytes > 0) {
		tx_ring_done(w, &sk->ring, sk->ring.tx_head + acked_bytes);
		sock_raise(w, sk, 0);
	}
}

/* RFC 2883 section 4: the first block tells of a duplicate when it lies below the ACK or inside
 * the second one. */
static bool first_is_dsack(const struct tcp_segment *seg)
{
	if (seq_lt(seg->sack[0].start, seg->ack))
		return seq_le(seg->sack[0].end, seg->ack);
	return seg->sack_count > 1 && seq_ge(seg->sack[0].start, seg->sack[1].start) &&
	       seq_le(seg->sack[0].end, seg->sack[1].end);
}

/* Of what was sent again in this recovery, these bytes were not needed. */
static void take_dsack(struct worker *w, struct tcp_sock *tp, struct tcp_ack *a)
{
	uint32_t start = a->segment->sack[0].start;
	uint32_t end = a->segment->sack[0].end;

	if (!seq_lt(start, end) || seq_gt(end, tp->snd_nxt) ||
	    end - start > RTE_MAX(tp->snd_wnd_max, TCP_WINDOW_MAX))
		return; /* it cannot be about what we sent */
	a->dsack = true;
	worker_count(w, CNT_tcp_dsack);
	if (seq_ge(start, tp->sending->undo_start)) /* else the network doubled something older */
		tp->sending->undo_bytes -= RTE_MIN(tp->sending->undo_bytes, end - start);
}

static void take_sacks(struct worker *w, struct tcp_sock *tp, struct tcp_ack *a)
{
	const struct tcp_segment *seg = a->segment;
	unsigned first = 0;

	if (first_is_dsack(seg)) {
		take_dsack(w, tp, a);
		first = 1;
	}
	for (unsigned i = first; i < seg->sack_count; i++) {
		uint32_t start = seg->sack[i].start;
		uint32_t end = seg->sack[i].end;

		/* Old blocks and nonsense say nothing. */
		if (seq_lt(start, end) && seq_gt(start, tp->snd_una) && seq_le(end, tp->snd_nxt))
			flight_sack(&tp->sending->flight, &w->tcp->flights, start, end,
				    &a->delivered);
	}
}

/* Without SACK a duplicate ACK says that some segment has left the network (RFC 5681); when the
 * hole is filled, those segments are acknowledged for the second time (RFC 6937 section 2). */
static void count_duplicates(struct tcp_sock *tp, struct tcp_ack *a)
{
	uint32_t mss_bytes = tp->mss_bytes;
	/* RFC 5681 section 3.2: more than were sent before the loss was seen cannot have arrived. */
	uint32_t end = tp->recovery == RECOVERY_FAST ? tp->sending->recover : tp->snd_nxt;

	if (a->duplicate && tp->dupacks < (end - tp->snd_una) / mss_bytes) {
		tp->dupacks++;
		a->delivered.acked_bytes = mss_bytes;
		tp->sending->flight.delivered += mss_bytes;
	} else if (a->advanced && tp->dupacks > 0) {
		uint32_t acked = a->delivered.acked_bytes / mss_bytes;
		/* The one that filled the hole is new. */
		uint32_t known = RTE_MIN(tp->dupacks, acked - (acked > 0));

		tp->dupacks = tp->recovery == RECOVERY_FAST ? tp->dupacks - known : 0;
		a->delivered.acked_bytes -= known * mss_bytes;
		tp->sending->flight.delivered -= known * mss_bytes;
	}
}

/* ---- congestion control ---------------------------------------------------------- */

/* The BBR draft's section 4.1.2.3, GenerateRateSample. */
static void fill_rate_sample(const struct tcp_sock *tp, const struct flight_record *r,
			     struct congestion_ack *c)
{
	const struct flight *f = &tp->sending->flight;
	uint32_t interval_us;

	interval_us = RTE_MAX(r->sent_us - r->first_sent_us, f->delivered_us - r->delivered_us);
	c->app_limited = (r->flags & FLIGHT_APP_LIMITED) != 0;
	c->delivered_bytes = (uint32_t)f->delivered - r->delivered;
	c->prior_delivered = f->delivered - c->delivered_bytes;
	c->tx_in_flight_bytes = r->in_flight;
	c->lost_since_sent_bytes = (uint32_t)f->lost - r->lost;
	if (interval_us >= tp->min_rtt.us)
		c->interval_us = interval_us;
}

void tcp_tell_congestion(struct worker *w, struct tcp_sock *tp, struct congestion_ack *c,
			 const struct flight_record *newest)
{
	c->now_us = w->now_us;
	c->snd_una = tp->snd_una;
	c->snd_max = tp->snd_nxt;
	c->in_flight_bytes = tcp_in_flight(tp);
	c->srtt_us = rtt_smoothed_us(&tp->rtt);
	c->in_recovery = tp->recovery != RECOVERY_NONE;
	c->delivered_total = tp->sending->flight.delivered;
	if (newest != NULL) {
		if (!(newest->flags & FLIGHT_EVER_RESENT))
			c->rtt_us = RTE_MAX((uint32_t)w->now_us - newest->sent_us, 1u);
		fill_rate_sample(tp, newest, c);
	}
	tp->congestion_ops->acked(&tp->sending->congestion, c);
	if (c->cwnd_limited)
		tcp_tune_sndbuf(w, tp);
}

/* May its algorithm be left in peace?  A window that is not in use neither grows nor fills a queue
 * whose delay would tell something. */
static inline bool window_is_left(const struct tcp_sock *tp, bool used)
{
	return !used && tp->congestion_ops->only_in_use && tp->recovery == RECOVERY_NONE;
}

static void take_delivered(struct worker *w, struct tcp_sock *tp, const struct tcp_ack *a)
{
	const struct flight_delivery *d = &a->delivered;
	bool used = tcp_window_was_used(tp, a->prior_in_flight);
	struct congestion_ack c = {
		.acked_bytes = d->acked_bytes,
		.lost_bytes = (uint32_t)(tp->sending->flight.lost - a->prior_lost),
		.prior_in_flight_bytes = a->prior_in_flight,
		.ce_bytes = a->segment->flags & TCP_FLAG_ECE ? d->acked_bytes : 0,
		.cwnd_limited = a->advanced && used,
	};

	flight_check_app_limited(&tp->sending->flight);
	if (window_is_left(tp, used))
		tp->sending->congestion.unused_us = w->now_us;
	else
		tcp_tell_congestion(w, tp, &c, d->any ? &d->newest : NULL);
}

/* ---- an ACK that says something ----------------------------------------------------- */

static void restart_timers(struct worker *w, struct tcp_sock *tp, const struct tcp_ack *a)
{
	if (tp->snd_una == tp->snd_nxt) {
		tcp_timer_stop(tp, TCP_TIMER_RETRANSMIT);
		tcp_timer_stop(tp, TCP_TIMER_LOSS);
		return;
	}
	if (a->advanced)
		tcp_timer_set_retransmit(w, tp); /* RFC 6298 (5.3) */
}

void tcp_ack_take(struct worker *w, struct tcp_sock *tp, const struct tcp_segment *seg,
		  bool duplicate)
{
	struct tcp_ack a = {
		.segment = seg,
		.delivered.now_us = w->now_us,
		.delivered.min_rtt_us = tp->min_rtt.us,
		.prior_una = tp->snd_una,
		.prior_in_flight = tcp_in_flight(tp),
		.prior_lost = tp->sending->flight.lost,
		.advanced = seg->ack != tp->snd_una,
		.duplicate = duplicate,
	};

	a.delivered.has_echo = read_echo(tp, seg, &a.delivered.echo_ms);
	if (a.advanced)
		take_cumulative(w, tp, &a);
	if (seg->sack_count > 0 && tcp_has_sack(tp))
		take_sacks(w, tp, &a);
	else if (!tcp_has_sack(tp))
		count_duplicates(tp, &a);
	measure_rtt(w, tp, &a);
	if (unlikely(tcp_mtu_learns(tp, &a.delivered)))
		tcp_mtu_ack(w, tp, &a.delivered);
	restart_timers(w, tp, &a);
	tcp_recovery_ack(w, tp, &a);
	/* Unless RACK waits for something, or recovery goes on. */
	if (a.advanced && (!tcp_timer_armed(tp, TCP_TIMER_LOSS) || tp->flags & TCP_SOCK_PROBE_DUE))
		tcp_probe_schedule(w, tp);
	if (a.delivered.acked_bytes > 0)
		take_delivered(w, tp, &a);
	if (tp->sending->flight.lost_bytes > 0 || tcp_has_unsent(tp))
		sock_want_output(w, tcp_sock_sk(tp));
}

/* ---- the step ------------------------------------------------------------------ */

/* In SYN-RECEIVED, after a simultaneous open. */
static enum counter ack_opens(struct worker *w, struct tcp_sock *tp, const struct tcp_segment *seg)
{
	tcp_measure_syn(w, tp, seg);
	tcp_syn_acked(w, tp, seg->ack);
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

/* RFC 5681 section 2.  Behind a shut window it answers a probe.  A loss probe's duplicate may come
 * when all is acknowledged (RFC 8985 section 7.4.2). */
static bool is_duplicate_ack(const struct tcp_sock *tp, const struct tcp_segment *seg,
			     uint32_t old_window)
{
	return seg->ack == tp->snd_una &&
	       (tp->snd_una != tp->snd_nxt || tp->flags & TCP_SOCK_PROBE_SENT) &&
	       seg->length == 0 && !(seg->flags & TCP_FLAG_FIN) && tp->snd_wnd == old_window &&
	       old_window != 0;
}

/* What tcp_rx_segment knows of a plain segment: is all it says of ours that something arrived? */
static bool is_plain_ack(const struct tcp_sock *tp, const struct tcp_segment *seg,
			 uint32_t old_window)
{
	return (seg->flags & ~(TCP_FLAG_PSH | TCP_FLAG_FIN)) == TCP_FLAG_ACK && /* no other bit? */
	       seg->ack != tp->snd_una && /* something new? */
	       seg->sack_count == 0 && tp->recovery == RECOVERY_NONE && /* no loss suspected? */
	       tp->dupacks == 0 && old_window != 0 && tp->snd_wnd != 0; /* nothing held back? */
}

enum counter tcp_rx_ack(struct worker *w, struct tcp_sock *tp, const struct tcp_segment *seg)
{
	uint32_t old_window = tp->snd_wnd;
	bool timed_out = tp->backoff > 0;
	bool duplicate;

	if (!(seg->flags & TCP_FLAG_ACK))
		return CNT_tcp_no_ack;
	if (tcp_state(tp) == TCP_SYN_RECV) {
		if (!seq_ge(seg->ack, tp->snd_una + tcp_syn_is_unacked(tp)) ||
		    seq_gt(seg->ack, tp->snd_nxt + tp->syn_bytes))
			return CNT_tcp_ack; /* the caller answers with RST */
		if (tcp_syn_is_unacked(tp))
			return ack_opens(w, tp, seg);
		tcp_fastopen_opened(w, tp, seg);
		if (seg->ack == tp->snd_una) {
			tcp_update_window(w, tp, seg);
			return TCP_GO_ON;
		}
	}
	/* RFC 5961 section 5.2: neither the future nor the distant past. */
	if (seq_gt(seg->ack, tp->snd_nxt) || seq_lt(seg->ack, tp->snd_una - tp->snd_wnd_max)) {
		tcp_challenge_ack(w, tp);
		return CNT_tcp_ack;
	}
	if (seq_lt(seg->ack, tp->snd_una)) /* an old one: nothing new in it, but maybe text */
		return TCP_GO_ON;
	tcp_update_window(w, tp, seg);
	duplicate = is_duplicate_ack(tp, seg, old_window);
	/* At rest there is nothing it could tell about. */
	if (tp->sending != NULL && is_plain_ack(tp, seg, old_window))
		tcp_ack_take_plain(w, tp, seg);
	else if (tp->sending != NULL &&
		 (seg->ack != tp->snd_una || duplicate || seg->sack_count > 0))
		tcp_ack_take(w, tp, seg, duplicate);
	if (old_window == 0 && tp->snd_wnd != 0)
		window_opened(w, tp, timed_out);
	return ack_closes(w, tp);
}
