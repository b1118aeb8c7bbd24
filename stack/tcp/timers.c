/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A sock's deadlines share one entry in the wheel.  Setting a deadline later
 * than the entry's expiry touches nothing: the entry fires, sees, and is armed
 * again for what is due next.
 */
#include <errno.h>

#include "net/arp.h"
#include "shm/ring.h"
#include "tcp/tcp_sock.h"

static bool is_due(uint32_t deadline_ms, uint32_t now_ms)
{
	return (int32_t)(deadline_ms - now_ms) <= 0;
}

/* ---- retransmission, zero-window probes ----------------------------------- */

static uint32_t retransmit_delay_ms(const struct tcp_sock *tp)
{
	uint32_t rto_ms = rtt_rto_ms(&tp->rtt);

	if (likely(tp->backoff == 0 && tp->rtt.srtt_us_8 != 0))
		return rto_ms;
	if (tp->rtt.srtt_us_8 == 0 && tp->flags & TCP_SOCK_SYN_RESENT &&
	    !tcp_state_in(tp, TCP_STATE(TCP_SYN_SENT) | TCP_STATE(TCP_SYN_RECV)))
		rto_ms = RTO_FALLBACK_MS;
	return rtt_backed_off_ms(rto_ms, tp->backoff);
}

/* Is everything sent acknowledged, or the window shut over it? */
static bool is_persisting(const struct tcp_sock *tp)
{
	return !tcp_state_in(tp, TCP_STATE(TCP_SYN_SENT) | TCP_STATE(TCP_SYN_RECV)) &&
	       (tp->snd_una == tp->snd_nxt || tp->snd_wnd == 0);
}

/* How long a byte may wait: RFC 5482, and a bound for what no application holds; 0: as long as
 * there are retries. */
static uint32_t wait_limit_ms(const struct tcp_sock *tp)
{
	if (!sock_is_detached(&tp->ics.inet.sk))
		return tp->options->user_timeout_ms;
	return tp->options->user_timeout_ms != 0
		       ? RTE_MIN(tp->options->user_timeout_ms, TCP_ORPHAN_MS)
		       : TCP_ORPHAN_MS;
}

static bool wait_is_over(const struct worker *w, const struct tcp_sock *tp)
{
	uint32_t limit_ms = wait_limit_ms(tp);

	return limit_ms != 0 && w->now_ms - tp->progress_ms >= limit_ms;
}

void tcp_timer_set_retransmit_slow(struct worker *w, struct tcp_sock *tp)
{
	uint32_t delay_ms = retransmit_delay_ms(tp);
	uint32_t limit_ms = wait_limit_ms(tp);

	if (unlikely(delay_ms > TCP_PERSIST_MAX_MS) && is_persisting(tp))
		delay_ms = TCP_PERSIST_MAX_MS;
	if (unlikely(limit_ms != 0)) {
		uint32_t waited_ms = w->now_ms - tp->progress_ms;

		delay_ms = waited_ms < limit_ms ? RTE_MIN(delay_ms, limit_ms - waited_ms) : 0;
	}
	tcp_timer_set(w, tp, TCP_TIMER_RETRANSMIT, delay_ms);
}

/* What the application hears when nobody answers: what ICMP said meanwhile, if anything. */
static bool give_up(struct worker *w, struct tcp_sock *tp)
{
	worker_count(w, CNT_tcp_timeout);
	tcp_fail(w, tp, tp->ics.inet.soft_error != 0 ? tp->ics.inet.soft_error : ETIMEDOUT);
	return false;
}

static uint8_t retry_limit(const struct tcp_sock *tp)
{
	switch (tcp_state(tp)) {
	case TCP_SYN_SENT:
		return tp->options->syn_retries;
	case TCP_SYN_RECV:
		return TCP_SYNACK_RETRIES;
	default:
		return TCP_RETRIES;
	}
}

/* RFC 9293 section 3.8.3, MUST-20: R1 is passed, and IP is to diagnose a dead gateway.  There is one
 * route to choose, so what can be wrong is who is next on it. */
static void doubt_route(struct worker *w, struct tcp_sock *tp)
{
	const struct dst *dst = &tp->ics.inet.dst;

	if (dst->generation == w->route_generation)
		neigh_doubt(w, dst->neigh);
}

static void back_off(struct worker *w, struct tcp_sock *tp)
{
	if (tp->backoff < UINT8_MAX)
		tp->backoff++;
	tcp_timer_set_retransmit(w, tp);
}

/* The window is shut and bytes wait: a peer that answers may keep it shut for as long as it
 * likes (RFC 9293 section 3.8.6.1), unless no application is left to wait. */
static bool persist_fire(struct worker *w, struct tcp_sock *tp)
{
	if (!tcp_has_unsent(tp) && tp->snd_una == tp->snd_nxt)
		return true;
	if (tp->probes >= TCP_RETRIES || wait_is_over(w, tp))
		return give_up(w, tp);
	if (tp->snd_wnd > 0) {
		/* A window too small for comfort, a cork (or no mbuf last time): what fits goes now. */
		tp->flags |= TCP_SOCK_FORCE;
		sock_want_output(w, tcp_sock_sk(tp));
		if (tcp_is_corked(tp) || tp->sending == NULL)
			return true;
	} else if (tcp_sending_take(w, tp)) { /* else no probe went that could be answered */
		tp->probes++;
		tcp_tx_window_probe(w, tp);
	}
	back_off(w, tp);
	return true;
}

static void data_timed_out(struct worker *w, struct tcp_sock *tp)
{
	tcp_mtu_timeout(w, tp);
	tcp_recovery_timeout(w, tp, tp->backoff > 0);
}

/* RFC 6298 (5.4) to (5.7): go back to the first unacknowledged byte, slowly. */
static bool retransmit_fire(struct worker *w, struct tcp_sock *tp)
{
	bool opening = tcp_state_in(tp, TCP_STATE(TCP_SYN_SENT) | TCP_STATE(TCP_SYN_RECV));

	if (is_persisting(tp))
		return persist_fire(w, tp);
	if (tp->backoff >= retry_limit(tp) || wait_is_over(w, tp))
		return give_up(w, tp);
	worker_count(w, CNT_tcp_rto);
	if (tcp_state(tp) == TCP_SYN_SENT)
		tcp_fastopen_syn_lost(w, tp);
	if (opening)
		tp->flags |= TCP_SOCK_SEND_SYN | TCP_SOCK_SYN_RESENT;
	else
		data_timed_out(w, tp);
	back_off(w, tp);
	if (tp->backoff == TCP_RETRIES_DOUBT)
		doubt_route(w, tp);
	sock_want_output(w, tcp_sock_sk(tp));
	return true;
}

static bool loss_fire(struct worker *w, struct tcp_sock *tp)
{
	tcp_recovery_timer(w, tp);
	return true;
}

/* ---- delayed ACK ---------------------------------------------------------- */

static bool delack_fire(struct worker *w, struct tcp_sock *tp)
{
	tcp_ack_now(w, tp);
	return true;
}

/* ---- keepalive, FIN-WAIT-2 ------------------------------------------------ */

static bool wants_keepalive(const struct tcp_sock *tp)
{
	return tp->ics.inet.sk.flags & SOCK_KEEPALIVE &&
	       tcp_state_in(tp, TCP_STATE(TCP_ESTABLISHED) | TCP_STATE(TCP_CLOSE_WAIT) |
					TCP_STATE(TCP_FIN_WAIT1) | TCP_STATE(TCP_FIN_WAIT2) |
					TCP_STATE(TCP_CLOSING) | TCP_STATE(TCP_LAST_ACK));
}

static bool is_lingering(const struct tcp_sock *tp)
{
	return tcp_state(tp) == TCP_FIN_WAIT2 && sock_is_detached(&tp->ics.inet.sk);
}

/* How long to stay in FIN-WAIT-2 without an application. */
static uint32_t fin_timeout_ms(const struct tcp_sock *tp)
{
	if (tp->options->linger2_s == 0)
		return TCP_FIN_TIMEOUT_MS;
	return tp->options->linger2_s > 0 ? (uint32_t)tp->options->linger2_s * 1000 : 0;
}

void tcp_timer_set_idle(struct worker *w, struct tcp_sock *tp)
{
	if (is_lingering(tp)) {
		tcp_timer_set(w, tp, TCP_TIMER_IDLE, fin_timeout_ms(tp));
	} else if (wants_keepalive(tp)) {
		uint32_t idle_ms = w->now_ms - tp->rcv_time_ms;
		uint32_t limit_ms = tp->options->keep_idle_s * 1000u;

		tcp_timer_set(w, tp, TCP_TIMER_IDLE, idle_ms < limit_ms ? limit_ms - idle_ms : 0);
	} else {
		tcp_timer_stop(tp, TCP_TIMER_IDLE);
	}
}

static bool idle_fire(struct worker *w, struct tcp_sock *tp)
{
	if (is_lingering(tp)) {
		worker_count(w, CNT_tcp_timeout);
		if (tp->options->linger2_s <
		    0) /* as Linux: it is not worth the wait, and the peer hears */
			tcp_tx_reset(w, tp);
		tcp_done(w, tp);
		return false;
	}
	if (!wants_keepalive(tp))
		return true;
	/* While something waits to be acknowledged the retransmissions are the question. */
	if (tp->snd_una != tp->snd_nxt || tcp_has_unsent(tp)) {
		tcp_timer_set(w, tp, TCP_TIMER_IDLE, tp->options->keep_idle_s * 1000u);
		return true;
	}
	if (w->now_ms - tp->rcv_time_ms < tp->options->keep_idle_s * 1000u) {
		tcp_timer_set_idle(w, tp);
		return true;
	}
	if (tp->probes >= tp->options->keep_count) {
		tcp_tx_reset(w, tp);
		return give_up(w, tp);
	}
	tp->probes++;
	tcp_tx_keepalive(w, tp);
	tcp_timer_set(w, tp, TCP_TIMER_IDLE, tp->options->keep_interval_s * 1000u);
	return true;
}

/* ---- the wheel's entry ----------------------------------------------------- */

static bool (*const timer_handlers[TCP_TIMERS])(struct worker *w, struct tcp_sock *tp) = {
	[TCP_TIMER_LOSS] = loss_fire,
	[TCP_TIMER_RETRANSMIT] = retransmit_fire,
	[TCP_TIMER_DELACK] = delack_fire,
	[TCP_TIMER_IDLE] = idle_fire,
};

static void timer_fire(void *context, struct timer *timer)
{
	struct worker *w = context;
	struct tcp_sock *tp = container_of(timer, struct tcp_sock, ics.timer);

	for (unsigned which = 0; which < TCP_TIMERS; which++) {
		if (!tcp_timer_armed(tp, which) || !is_due(tp->deadline_ms[which], w->now_ms))
			continue;
		tcp_timer_stop(tp, which);
		if (!timer_handlers[which](w, tp))
			return;
	}
	/* Deadlines that were pushed later since the entry was armed. */
	for (unsigned which = 0; which < TCP_TIMERS; which++) {
		if (tcp_timer_armed(tp, which) &&
		    (!timer->armed || (int32_t)(tp->deadline_ms[which] - timer->expiry_ms) < 0))
			wheel_arm(&w->wheel, timer, tp->deadline_ms[which], timer_fire);
	}
}

void tcp_timer_arm(struct worker *w, struct tcp_sock *tp, uint32_t deadline_ms)
{
	wheel_arm(&w->wheel, &tp->ics.timer, deadline_ms, timer_fire);
}

void tcp_timers_stop(struct worker *w, struct tcp_sock *tp)
{
	tp->timers = 0;
	wheel_cancel(&w->wheel, &tp->ics.timer);
}
