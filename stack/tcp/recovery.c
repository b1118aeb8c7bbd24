/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Losses and what follows from them: RACK-TLP (RFC 8985) finds them, or three
 * duplicate ACKs where the peer has no SACK (RFC 6582); PRR (RFC 6937) moves
 * the window while they are repaired; F-RTO (RFC 5682), the Eifel algorithm
 * (RFC 3522 and 4015) and DSACK (RFC 2883, 3708) take a needless reduction back.
 * output.c sends what is marked lost.
 */
#include "tcp/segment.h"
#include "tcp/tcp_sock.h"

/* ---- what is known of the path ------------------------------------------------ */

static struct rack_path path_of(const struct worker *w, const struct tcp_sock *tp)
{
	return (struct rack_path){
		.now_us = w->now_us,
		.min_rtt_us = tp->min_rtt.us,
		.srtt_us = rtt_smoothed_us(&tp->rtt),
		.recovering = tp->recovery >= RECOVERY_FAST,
		.enough_sacked = tp->sending->flight.sacked_bytes >=
				 TCP_DUPACK_LIMIT * tp->mss_bytes,
	};
}

/* RFC 5681's FlightSize, without what limited transmit added (RFC 3042): what to halve. */
static uint32_t flight_size(const struct tcp_sock *tp, uint32_t prior_in_flight)
{
	uint32_t sent = RTE_MIN(tp->snd_nxt - tp->snd_una, tp->sending->congestion.cwnd_bytes);

	return RTE_MAX(sent, prior_in_flight);
}

/* ---- beginning and end ---------------------------------------------------------- */

static void recovery_enter(struct worker *w, struct tcp_sock *tp, enum tcp_recovery kind,
			   uint32_t in_flight)
{
	struct congestion *c = &tp->sending->congestion;

	/* What an ECN-Echo began goes on: one reduction in a round trip. */
	if (tp->recovery == RECOVERY_NONE) {
		tp->congestion_ops->reduce(c,
					   kind == RECOVERY_ECN ? CONGESTION_ECN : CONGESTION_LOSS,
					   flight_size(tp, in_flight), w->now_us);
		prr_begin(&tp->sending->prr, in_flight, c->ssthresh_bytes);
		tp->flags |= TCP_SOCK_ECN_CWR;
	} else {
		c->prior_cwnd_bytes = 0; /* the path's word cannot be taken back */
	}
	if (tp->flags & TCP_SOCK_PROBE_DUE)
		tcp_timer_stop(tp, TCP_TIMER_LOSS);
	tp->sending->recover = tp->snd_nxt;
	tp->recovery = (uint8_t)kind;
	tp->flags &= ~(uint32_t)(TCP_SOCK_PROBE_SENT | TCP_SOCK_PROBE_DUE | TCP_SOCK_UNDO);
}

static void recovery_leave(struct worker *w, struct tcp_sock *tp, bool dsack)
{
	tp->congestion_ops->recovered(&tp->sending->congestion, tcp_in_flight(tp), w->now_us);
	if (tp->recovery != RECOVERY_ECN && !dsack)
		rack_recovered(&tp->sending->rack);
	tp->recovery = RECOVERY_NONE;
	tp->dupacks = 0;
	tp->flags &= ~(uint32_t)(TCP_SOCK_UNDO | TCP_SOCK_FRTO | TCP_SOCK_PREFER_NEW);
}

/* Nothing was lost: as if the reduction had not been. */
static void recovery_undo(struct worker *w, struct tcp_sock *tp)
{
	worker_count(w, CNT_tcp_undo);
	flight_clear_lost(&tp->sending->flight, &w->tcp->flights);
	tp->congestion_ops->undo(&tp->sending->congestion);
	tp->backoff = 0;
	tp->recovery = RECOVERY_NONE;
	tp->dupacks = 0;
	tp->flags &= ~(uint32_t)(TCP_SOCK_UNDO | TCP_SOCK_FRTO | TCP_SOCK_PREFER_NEW);
}

void tcp_recovery_resent(struct worker *w, struct tcp_sock *tp, uint32_t index, uint32_t length)
{
	if (unlikely(tp->plpmtud.probe != 0))
		tcp_mtu_resent(w, tp, index);
	flight_resent(&tp->sending->flight, &w->tcp->flights, index, length, tp->snd_una,
		      (uint32_t)w->now_us);
	worker_count(w, CNT_tcp_retransmit);
	if (tp->recovery < RECOVERY_FAST)
		return;
	if (index ==
	    tp->sending->flight.first) /* its round trip is what the timeout waits for now */
		tcp_timer_set_retransmit(w, tp);
	if (!(tp->flags & TCP_SOCK_UNDO)) {
		tp->flags |= TCP_SOCK_UNDO;
		tp->sending->undo_start = tp->snd_una;
		tp->sending->undo_bytes = 0;
		tp->sending->resent_ms = w->now_ms;
	}
	tp->sending->undo_bytes += length;
}

/* ---- was it needless? -------------------------------------------------------------- */

/*
 * Either the peer told of each byte sent again that it had it already, or it
 * acknowledges something sent before the first retransmission although that
 * was the first byte missing (RFC 3522).
 */
static bool was_needless(const struct tcp_sock *tp, const struct tcp_ack *a)
{
	if (!(tp->flags & TCP_SOCK_UNDO))
		return false;
	if (tp->sending->undo_bytes == 0)
		return true;
	return a->advanced && a->delivered.has_echo &&
	       (int32_t)(a->delivered.echo_ms - tp->sending->resent_ms) < 0;
}

/*
 * RFC 5682 section 3.1, with SACK: an ACK of something that was sent only
 * once, before the timeout, says that the timeout was spurious.  The first
 * ACK that advances lets new data go instead of old, so that the next one
 * can tell.
 */
static bool frto_says_needless(struct tcp_sock *tp, const struct tcp_ack *a)
{
	const struct flight_delivery *d = &a->delivered;

	if (!(tp->flags & TCP_SOCK_FRTO))
		return false;
	/* Without SACK the first ACK may cover what had arrived behind a hole. */
	if (d->original && seq_le(d->lowest_original_end, tp->sending->recover) &&
	    (tcp_has_sack(tp) || tp->flags & TCP_SOCK_PREFER_NEW))
		return true;
	if (d->sacked_bytes > 0 || a->duplicate || tp->flags & TCP_SOCK_PREFER_NEW) {
		tp->flags &= ~(uint32_t)(TCP_SOCK_FRTO | TCP_SOCK_PREFER_NEW);
	} else if (a->advanced && seq_lt(tp->snd_una, tp->sending->recover) && tcp_has_unsent(tp)) {
		tp->flags |= TCP_SOCK_PREFER_NEW;
		tp->sending->recover = tp->snd_nxt;
	}
	return false;
}

/* ---- the loss probe (RFC 8985 section 7) --------------------------------------------- */

void tcp_probe_schedule(struct worker *w, struct tcp_sock *tp)
{
	/* In SYN-RECEIVED (RFC 7413) the SYN-ACK goes again, nothing else. */
	if (!tcp_has_sack(tp) || tp->recovery != RECOVERY_NONE ||
	    tp->sending->flight.sacked_bytes > 0 || tp->snd_wnd == 0 ||
	    tcp_state(tp) == TCP_SYN_RECV || tp->flags & TCP_SOCK_PROBE_SENT ||
	    !tcp_timer_armed(tp, TCP_TIMER_RETRANSMIT))
		return;
	tcp_probe_arm(w, tp);
}

/* Section 7.4: is the probe, or what it repaired, acknowledged? */
static void probe_ack(struct worker *w, struct tcp_sock *tp, const struct tcp_ack *a)
{
	const struct tcp_segment *seg = a->segment;

	if (!(tp->flags & TCP_SOCK_PROBE_SENT) || seq_lt(seg->ack, tp->sending->probe_end))
		return;
	if (tp->flags & TCP_SOCK_PROBE_RESENT && !a->dsack) {
		if (seg->ack == tp->sending->probe_end && !(a->duplicate && seg->sack_count == 0))
			return; /* not known yet which of the two copies it was for */
		if (seg->ack != tp->sending->probe_end && tp->recovery == RECOVERY_NONE) {
			/* The probe repaired a loss: it counts as one. */
			tp->congestion_ops->reduce(&tp->sending->congestion, CONGESTION_LOSS,
						   flight_size(tp, a->prior_in_flight), w->now_us);
			tp->congestion_ops->recovered(&tp->sending->congestion, tcp_in_flight(tp),
						      w->now_us);
		}
	}
	tp->flags &= ~(uint32_t)(TCP_SOCK_PROBE_SENT | TCP_SOCK_PROBE_RESENT);
}

/* ---- finding losses ------------------------------------------------------------------ */

/* RACK; arms the reordering timer for what may be lost soon. */
static void detect_by_time(struct worker *w, struct tcp_sock *tp)
{
	struct rack_path path = path_of(w, tp);
	uint32_t wait_us = rack_detect_loss(&tp->sending->rack, &path, &tp->sending->flight,
					    &w->tcp->flights);

	if (wait_us != 0) {
		tp->flags &= ~(uint32_t)TCP_SOCK_PROBE_DUE;
		tcp_timer_set(w, tp, TCP_TIMER_LOSS, tcp_round_up_ms(wait_us));
	} else if (!(tp->flags & TCP_SOCK_PROBE_DUE)) {
		tcp_timer_stop(tp, TCP_TIMER_LOSS);
	}
}

/* The first segment in flight: full, or an MTU probe. */
static uint32_t head_bytes(const struct worker *w, const struct tcp_sock *tp)
{
	const struct flight_record *first = flight_at(&w->tcp->flights, tp->sending->flight.first);

	return first->flags & FLIGHT_MTU_PROBE ? first->end - first->seq : tp->mss_bytes;
}

/* RFC 6582 section 3.2: the third duplicate, and each partial ACK during recovery. */
static void detect_by_duplicates(struct worker *w, struct tcp_sock *tp, const struct tcp_ack *a)
{
	bool third = tp->dupacks >= TCP_DUPACK_LIMIT && tp->recovery < RECOVERY_FAST &&
		     seq_gt(tp->snd_una, tp->sending->recover);
	bool partial = tp->recovery == RECOVERY_FAST && a->advanced;

	if (third || partial)
		flight_mark_head_lost(&tp->sending->flight, &w->tcp->flights, head_bytes(w, tp));
}

/* True: something was found lost just now, and it means congestion. */
static bool detect_losses(struct worker *w, struct tcp_sock *tp, const struct tcp_ack *a)
{
	uint64_t before = tp->sending->flight.lost, lost;

	if (tcp_has_sack(tp))
		detect_by_time(w, tp);
	else
		detect_by_duplicates(w, tp, a);
	lost = tp->sending->flight.lost - before;
	if (unlikely(lost > 0 && tp->plpmtud.probe != 0 && tcp_mtu_probe_is_lost(w, tp, lost)))
		return false;
	return lost > 0;
}

/* ---- an ACK -------------------------------------------------------------------------- */

/* Recovery may be over, or never have been needed. */
static void recovery_check_end(struct worker *w, struct tcp_sock *tp, const struct tcp_ack *a)
{
	if (was_needless(tp, a) || (tp->recovery == RECOVERY_TIMEOUT && frto_says_needless(tp, a)))
		recovery_undo(w, tp);
	else if (seq_ge(tp->snd_una, tp->sending->recover))
		recovery_leave(w, tp, a->dsack);
}

static void reduce_window(struct tcp_sock *tp, const struct tcp_ack *a)
{
	struct congestion *c = &tp->sending->congestion;

	if (tp->recovery == RECOVERY_NONE || tp->recovery == RECOVERY_TIMEOUT ||
	    tp->congestion_ops->owns_window)
		return;
	c->cwnd_bytes = prr_ack(&tp->sending->prr, a->delivered.acked_bytes, tcp_in_flight(tp),
				tp->sending->flight.lost != a->prior_lost, c->mss_bytes,
				a->advanced);
}

void tcp_recovery_ack(struct worker *w, struct tcp_sock *tp, struct tcp_ack *a)
{
	bool was_recovering = tp->recovery != RECOVERY_NONE;
	bool found, force;

	if (tcp_has_sack(tp)) {
		rack_update(&tp->sending->rack, &a->delivered, tp->snd_una);
		if (a->dsack)
			rack_saw_dsack(&tp->sending->rack, tp->snd_una, tp->snd_nxt);
	}
	probe_ack(w, tp, a);
	if (was_recovering)
		recovery_check_end(w, tp, a);
	else if (seq_gt(tp->snd_una, tp->sending->recover)) /* or it would lie ahead after 2 GiB */
		tp->sending->recover = tp->snd_una - 1;
	if (tp->snd_una == tp->snd_nxt) {
		rack_idle(&tp->sending->rack);
		return;
	}
	found = detect_losses(w, tp, a);
	/* What is lost still was sent in the recovery that ended: another window, another event. */
	if (was_recovering && tp->recovery == RECOVERY_NONE && tp->sending->flight.lost_bytes > 0)
		found = true;
	/* The first one goes whatever the window is, and RFC 6582's partial ACK sends one, too. */
	force = found && (tp->recovery < RECOVERY_FAST || !tcp_has_sack(tp));
	if (found && tp->recovery < RECOVERY_FAST) {
		worker_count(w, CNT_tcp_fast_retransmit);
		recovery_enter(w, tp, RECOVERY_FAST, a->prior_in_flight);
	} else if (a->segment->flags & TCP_FLAG_ECE && tp->flags & TCP_SOCK_ECN &&
		   tp->recovery == RECOVERY_NONE) {
		recovery_enter(w, tp, RECOVERY_ECN, a->prior_in_flight);
	}
	reduce_window(tp, a);
	if (force)
		tp->sending->congestion.cwnd_bytes = RTE_MAX(tp->sending->congestion.cwnd_bytes,
							     tcp_in_flight(tp) + tp->mss_bytes);
}

/* ---- timers ---------------------------------------------------------------------------- */

void tcp_recovery_timer(struct worker *w, struct tcp_sock *tp)
{
	struct tcp_segment none = {.ack = tp->snd_una};
	struct tcp_ack a = {.segment = &none};
	bool probe = (tp->flags & TCP_SOCK_PROBE_DUE) != 0;

	tp->flags &= ~(uint32_t)TCP_SOCK_PROBE_DUE;
	if (tp->snd_una == tp->snd_nxt)
		return;
	if (!probe) {
		a.prior_in_flight = tcp_in_flight(tp);
		a.prior_lost = tp->sending->flight.lost;
		tcp_recovery_ack(w, tp, &a);
		sock_want_output(w, tcp_sock_sk(tp));
		return;
	}
	if (tp->flags & TCP_SOCK_RTT_TAKEN && tp->recovery == RECOVERY_NONE)
		tcp_tx_loss_probe(w, tp);
	tcp_timer_set_retransmit(w, tp);
}

/*
 * RFC 6298 (5.4) and RFC 8985 section 6.3.  A first record that the peer said
 * it had, and yet does not acknowledge: it has thrown it away (RFC 2018
 * section 8), and nothing it said counts any more.
 */
void tcp_recovery_timeout(struct worker *w, struct tcp_sock *tp, bool again)
{
	struct flight *f = &tp->sending->flight;
	struct flight_pool *pool = &w->tcp->flights;
	struct congestion *c = &tp->sending->congestion;
	uint32_t in_flight = flight_size(tp, tcp_in_flight(tp));
	bool reneged = f->first != FLIGHT_NONE && flight_at(pool, f->first)->flags & FLIGHT_SACKED;

	if (tcp_has_sack(tp) && !reneged) {
		struct rack_path path = path_of(w, tp);

		rack_mark_timeout(&tp->sending->rack, &path, f, pool);
	} else {
		flight_mark_all_lost(f, pool, true);
	}
	/* RFC 5681 section 3.1: ssthresh stays for the second timeout in a row. */
	if (!again) {
		tp->congestion_ops->reduce(c, CONGESTION_TIMEOUT, in_flight, w->now_us);
		tp->flags &= ~(uint32_t)TCP_SOCK_UNDO;
		tp->flags |= TCP_SOCK_ECN_CWR;
	}
	tp->flags &= ~(uint32_t)(TCP_SOCK_FRTO | TCP_SOCK_PREFER_NEW | TCP_SOCK_PROBE_SENT |
				 TCP_SOCK_PROBE_DUE);
	if (!again && !reneged)
		tp->flags |= TCP_SOCK_FRTO;
	tcp_timer_stop(tp, TCP_TIMER_LOSS);
	tp->dupacks = 0;
	tp->sending->recover = tp->snd_nxt;
	tp->recovery = RECOVERY_TIMEOUT;
	/* What is still believed to be on its way does not hold the first one back. */
	c->cwnd_bytes = RTE_MAX(c->cwnd_bytes, tcp_in_flight(tp) + c->mss_bytes);
}
