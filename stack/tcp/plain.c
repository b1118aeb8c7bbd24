/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fast path: what an established connection sees all day, the next text or
 * an ACK of ours that brings no news but that.  Everything else takes the spine
 * (input.c), which would do the same with these, in more steps.
 */
#include "shm/ring_rx.h"
#include "shm/ring_tx.h"
#include "tcp/segment.h"
#include "tcp/tcp_sock.h"

/* ---- the ACK -------------------------------------------------------------------- */

/* Does it say no more than that one record, or its first part, arrived as it was sent? */
static inline bool ack_is_ordinary(const struct worker *w, const struct tcp_sock *tp, uint32_t ack)
{
	const struct flight *f = &tp->sending->flight;
	const struct flight_record *first = flight_at(&w->tcp->flights, f->first);

	return seq_le(ack, first->end) && /* of one record? */
	       !(first->flags & ~(uint32_t)FLIGHT_APP_LIMITED) && /* sent once, and no probe? */
	       flight_is_whole(f) && /* nothing missing? */
	       !(tp->flags & TCP_SOCK_PROBE_SENT) && /* no loss probe to answer? */
	       tp->plpmtud.claimed == 0 && /* no news of the path's MTU? */
	       (tp->plpmtud.state == PLPMTUD_DISABLED ||
		tcp_packet_bytes(tp, ack - tp->snd_una) <= tp->plpmtud.acked);
}

/* What is left in flight is waited for; nothing of it was sent before what arrived now, so RACK
 * finds no loss. */
static inline void wait_for_rest(struct worker *w, struct tcp_sock *tp)
{
	tcp_timer_set_retransmit(w, tp); /* RFC 6298 (5.3) */
	tcp_probe_schedule(w, tp);
	if (!(tp->flags & TCP_SOCK_PROBE_DUE))
		tcp_timer_stop(tp, TCP_TIMER_LOSS);
}

static inline void wait_for_nothing(struct tcp_sock *tp, struct rack *rack)
{
	tcp_timer_stop(tp, TCP_TIMER_RETRANSMIT);
	tcp_timer_stop(tp, TCP_TIMER_LOSS);
	rack_idle(rack);
}

static inline void tell_congestion_control(struct worker *w, struct tcp_sock *tp,
					   uint32_t acked_bytes, uint32_t prior_in_flight,
					   const struct flight_record *newest)
{
	bool used = tcp_window_was_used(tp, prior_in_flight);

	flight_check_app_limited(&tp->sending->flight);
	if (likely(!used && tp->congestion_ops->only_in_use)) {
		tp->sending->congestion.unused_us = w->now_us;
	} else {
		struct congestion_ack c = {
			.acked_bytes = acked_bytes,
			.prior_in_flight_bytes = prior_in_flight,
			.cwnd_limited = used,
		};

		tcp_tell_congestion(w, tp, &c, newest);
	}
}

/* What tcp_ack_take does with such an ACK; what it raises is the caller's to raise. */
static inline void take_ordinary(struct worker *w, struct tcp_sock *tp, uint32_t ack)
{
	struct sock *sk = tcp_sock_sk(tp);
	struct tcp_sending *s = tp->sending;
	uint32_t acked_bytes = ack - tp->snd_una;
	uint32_t prior_in_flight = tp->snd_nxt - tp->snd_una;
	uint32_t now_us = (uint32_t)w->now_us;
	const struct flight_record *r = flight_ack_first(&s->flight, &w->tcp->flights, ack, now_us);
	uint32_t sent_us = r->sent_us;
	uint32_t text_bytes;

	tp->snd_una = ack;
	text_bytes = acked_bytes - tcp_fin_is_acked(tp);
	tp->backoff = 0;
	tp->ics.inet.soft_error = 0;
	tp->progress_ms = w->now_ms;
	if (likely(text_bytes > 0))
		tx_ring_done_here(w, &sk->ring, sk->ring.tx_head + text_bytes);
	tp->plpmtud.acked = RTE_MAX(tp->plpmtud.acked, tcp_packet_bytes(tp, acked_bytes));
	tcp_take_rtt(tp, now_us - sent_us);
	min_rtt_sample(&tp->min_rtt, now_us - sent_us, w->now_ms);
	if (likely(tcp_has_sack(tp)))
		rack_advance(&s->rack, sent_us, ack, now_us);
	if (seq_gt(ack, s->recover))
		s->recover = ack - 1;
	if (ack == tp->snd_nxt)
		wait_for_nothing(tp, &s->rack);
	else
		wait_for_rest(w, tp);
	tell_congestion_control(w, tp, acked_bytes, prior_in_flight, r);
	if (tcp_has_unsent(tp))
		sock_want_output(w, sk);
}

void tcp_ack_take_plain(struct worker *w, struct tcp_sock *tp, const struct tcp_segment *seg)
{
	if (unlikely(!ack_is_ordinary(w, tp, seg->ack))) {
		tcp_ack_take(w, tp, seg, false);
		return;
	}
	take_ordinary(w, tp, seg->ack);
	sock_raise(w, tcp_sock_sk(tp), 0);
}

/* ---- the text ------------------------------------------------------------------- */

/* All of p's data, which begins at rcv_nxt; false: the session has no chunk for it. */
static inline bool take_text(struct worker *w, struct tcp_sock *tp, const struct packet *p,
			     uint32_t length)
{
	if (unlikely(rx_ring_append_here(w, &tcp_sock_sk(tp)->ring, p->m, length) != 0))
		return false;
	tp->rcv_nxt += length;
	if (unlikely(tp->quick_acks > 0 || length > tp->rcv_mss_bytes))
		tcp_schedule_ack(w, tp, length);
	else if (tp->rcv_nxt - tp->rcv_acked >= 2u * tp->rcv_mss_bytes)
		tcp_ack_now(w, tp);
	else if (!tcp_timer_armed(tp, TCP_TIMER_DELACK))
		tcp_timer_set(w, tp, TCP_TIMER_DELACK, TCP_DELACK_MS);
	return true;
}

/* ---- the segment ------------------------------------------------------------------ */

static inline bool timestamp_is_plain(const struct tcp_sock *tp, const struct tcp_segment *seg)
{
	if (!(tp->flags & TCP_SOCK_TIMESTAMPS))
		return true;
	return seg->has_timestamp && seq_ge(seg->ts_value, tp->ts_recent);
}

static inline bool is_plain(const struct tcp_sock *tp, const struct packet *p)
{
	const struct tcp_segment *seg = &p->tcp;
	const struct sock *sk = &tp->ics.inet.sk;

	return sk->state == TCP_ESTABLISHED && /* open both ways? */
	       (seg->flags & ~TCP_FLAG_PSH) == TCP_FLAG_ACK && /* no control bit? */
	       (p->traffic_class & ECN_MASK) != ECN_CE && /* not marked? */
	       !(tp->flags & TCP_SOCK_ECN_ECHO) && /* nor the last one? */
	       seg->seq == tp->rcv_nxt && /* in order? */
	       seg->length <= tp->rcv_edge - tp->rcv_nxt && /* inside the window? */
	       seg->ack - tp->snd_una <= tp->snd_nxt - tp->snd_una && /* acknowledges sent? */
	       (seg->length > 0 || seg->ack != tp->snd_una) && /* says something? */
	       tp->reassembly == NULL && /* no gap before it? */
	       seg->sack_count == 0 && tp->recovery == RECOVERY_NONE && /* no loss suspected? */
	       tp->dupacks == 0 && tp->snd_wnd != 0 && /* nothing held back? */
	       timestamp_is_plain(tp, seg) && /* not old? */
	       !(sk->flags & SOCK_RX_SHUT); /* does anybody read? */
}

enum counter tcp_rx_segment(struct worker *w, struct tcp_sock *tp, struct packet *p)
{
	const struct tcp_segment *seg = &p->tcp;
	uint32_t length = seg->length;

	tp->segments_in++;
	if (unlikely(!is_plain(tp, p)))
		return tcp_rx_any(w, tp, p);
	tcp_take_timestamp(tp, seg);
	tcp_take_time(w, tp, seg);
	tp->probes = 0;
	tcp_update_window(w, tp, seg);
	if (seg->ack != tp->snd_una) {
		if (likely(ack_is_ordinary(w, tp, seg->ack)))
			take_ordinary(w, tp, seg->ack);
		else
			tcp_ack_take(w, tp, seg, false);
	}
	if (length > 0 && unlikely(!take_text(w, tp, p, length))) {
		sock_raise(w, tcp_sock_sk(tp), 0);
		return CNT_tcp_rx_ring;
	}
	/* Also when only tx_head moved. */
	sock_raise(w, tcp_sock_sk(tp), length > 0 ? LEAT_EV_IN : 0);
	return TCP_ACCEPTED;
}
