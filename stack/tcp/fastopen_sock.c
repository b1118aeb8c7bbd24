/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fast Open (RFC 7413) where it touches socks.
 *
 * A server's connection is made by its SYN: a sock in SYN-RECEIVED with
 * TCP_SOCK_FASTOPEN, in the accept queue, which sends and has its SYN's data.
 * Its SYN counts as acknowledged already (snd_una lies after it); what is left
 * of the handshake is that the SYN-ACK goes again until an ACK comes.
 *
 * A client's connect with a cookie at hand says "connected" at once, with the
 * sock in SYN-SENT; the first write sends the SYN.  Its data has no record in
 * flight: what the SYN-ACK does not acknowledge was never sent.
 */
#include "lib/pool.h"
#include "shm/ring.h"
#include "tcp/segment.h"
#include "tcp/tcp_sock.h"

/* Linux's enum tcp_fastopen_client_fail: why the data did not go with the SYN. */
enum fastopen_fail {
	FAIL_NONE,
	FAIL_NO_COOKIE,
	FAIL_NOT_TAKEN,
	FAIL_SYN_LOST,
};

/* ---- server ---------------------------------------------------------------------- */

void tcp_fastopen_fill_cookie(const struct worker *w, const struct flow *flow,
			      struct tcp_segment *synack)
{
	synack->has_fastopen = true;
	synack->cookie_bytes = FASTOPEN_COOKIE_BYTES;
	fastopen_cookie_make(&w->tcp->fastopen_key, flow, w->now_us, synack->cookie);
}

/* With no more memory for queues it is as if this one were full. */
static bool queue_has_room(struct worker *w, struct tcp_sock *listener)
{
	if (listener->fastopen == NULL) {
		listener->fastopen = pool_get(w->tcp->fastopen_queues);
		if (listener->fastopen == NULL)
			return false;
		*listener->fastopen = (struct fastopen_queue){.listening = true};
	}
	return fastopen_queue_has_room(listener->fastopen, listener->ics.fastopen_limit, w->now_ms);
}

static void queue_release(struct worker *w, struct fastopen_queue *q)
{
	if (!q->listening && q->pending == 0)
		pool_put(w->tcp->fastopen_queues, q);
}

/* As Linux: over the bound nobody gets a cookie, either. */
enum tcp_fastopen_verdict tcp_fastopen_listen(struct worker *w, struct tcp_sock *listener,
					      const struct packet *p)
{
	const struct tcp_segment *syn = &p->tcp;

	if (likely(!syn->has_fastopen) || !(w->config.fast_open & FAST_OPEN_SERVER) ||
	    listener->ics.fastopen_limit == 0)
		return FASTOPEN_ORDINARY;
	if (!queue_has_room(w, listener)) {
		worker_count(w, CNT_tcp_fastopen_overflow);
		return FASTOPEN_ORDINARY;
	}
	if (syn->cookie_bytes == 0) {
		worker_count(w, CNT_tcp_fastopen_asked);
		return FASTOPEN_GRANT;
	}
	if (!fastopen_cookie_check(&w->tcp->fastopen_key, &p->flow, w->now_us, syn->cookie,
				   syn->cookie_bytes)) {
		worker_count(w, CNT_tcp_fastopen_passive_fail);
		return FASTOPEN_GRANT;
	}
	/* TCP_DEFER_ACCEPT: not before there is data. */
	return syn->length == 0 && listener->defer_retries != 0 ? FASTOPEN_ORDINARY
								: FASTOPEN_ACCEPT;
}

void tcp_fastopen_enter(struct tcp_sock *listener, struct tcp_sock *child)
{
	child->flags |= TCP_SOCK_FASTOPEN;
	child->fastopen = listener->fastopen;
	fastopen_queue_enter(child->fastopen);
}

void tcp_fastopen_leave(struct worker *w, struct tcp_sock *child, bool reset)
{
	if (!(child->flags & TCP_SOCK_FASTOPEN))
		return;
	child->flags &= ~(uint32_t)TCP_SOCK_FASTOPEN;
	fastopen_queue_leave(child->fastopen, reset, w->now_ms);
	queue_release(w, child->fastopen);
	child->fastopen = NULL;
}

void tcp_fastopen_unlisten(struct worker *w, struct tcp_sock *listener)
{
	if (listener->fastopen == NULL)
		return;
	listener->fastopen->listening = false;
	queue_release(w, listener->fastopen);
	listener->fastopen = NULL;
}

/* snd_wl1 is the peer's initial sequence number still. */
bool tcp_fastopen_is_old_syn(const struct tcp_sock *tp, const struct tcp_segment *seg)
{
	return tp->flags & TCP_SOCK_FASTOPEN && seg->flags & TCP_FLAG_SYN &&
	       !(seg->flags & (TCP_FLAG_ACK | TCP_FLAG_RST)) && seg->seq == tp->snd_wl1;
}

void tcp_fastopen_opened(struct worker *w, struct tcp_sock *tp, const struct tcp_segment *seg)
{
	tcp_fastopen_leave(w, tp, false);
	tcp_set_state(tp, TCP_ESTABLISHED);
	worker_count(w, CNT_tcp_passive_open);
	tcp_measure_syn(w, tp, seg);
	tp->backoff = 0;
	tcp_timer_stop(tp, TCP_TIMER_RETRANSMIT);
	if (tp->flags & TCP_SOCK_SYN_RESENT) {
		/* A peer in SYN-SENT has thrown data away that came before the SYN-ACK; and RFC 5681
		 * section 3.1 lets whose SYN-ACK was lost begin with one segment. */
		if (tp->sending != NULL) {
			flight_mark_all_lost(&tp->sending->flight, &w->tcp->flights, false);
			tp->sending->congestion.cwnd_bytes = tp->mss_bytes;
		}
	}
	tcp_timer_set_idle(w, tp);
	if (tp->flags & TCP_SOCK_FIN_QUEUED) /* closed meanwhile */
		tcp_set_state(tp, TCP_FIN_WAIT1);
	sock_want_output(w, tcp_sock_sk(tp));
}

/* ---- client ---------------------------------------------------------------------- */

static enum fastopen_advice client_advice(struct worker *w, const struct tcp_sock *tp,
					  struct fastopen_grant *grant)
{
	if (!(tp->flags & TCP_SOCK_FASTOPEN_CONNECT) || !(w->config.fast_open & FAST_OPEN_CLIENT))
		return FASTOPEN_AVOID;
	return fastopen_cache_look(&w->tcp->fastopen_cache, &tp->ics.inet.flow, w->now_ms, grant);
}

bool tcp_fastopen_defer(struct worker *w, struct tcp_sock *tp)
{
	struct fastopen_grant grant;

	if (client_advice(w, tp, &grant) != FASTOPEN_SEND)
		return false;
	tp->flags &= ~(uint32_t)TCP_SOCK_SEND_SYN;
	tp->flags |= TCP_SOCK_DEFERRED;
	sock_raise(w, tcp_sock_sk(tp), LEAT_EV_CONNECTED | LEAT_EV_OUT);
	return true;
}

void tcp_fastopen_start(struct worker *w, struct tcp_sock *tp)
{
	if (!(tp->flags & TCP_SOCK_DEFERRED))
		return;
	tp->flags &= ~(uint32_t)TCP_SOCK_DEFERRED;
	tp->flags |= TCP_SOCK_SEND_SYN;
	sock_want_output(w, tcp_sock_sk(tp));
}

bool tcp_fastopen_has_data(const struct tcp_sock *tp)
{
	const struct sock *sk = &tp->ics.inet.sk;

	return sk->state_events & LEAT_EV_CONNECTED && tx_ring_used(&sk->ring) > 0;
}

/* Data for a SYN with these options; RFC 7413 section 4.1.3: as much as the server took last time. */
static uint32_t syn_room(const struct tcp_sock *tp, const struct fastopen_grant *grant,
			 const struct tcp_segment *syn)
{
	uint32_t mss_bytes = tcp_advertised_mss(tp, tp->ics.inet.dst.mtu);
	uint32_t option_bytes = tcp_segment_header_bytes(syn) - TCP_HEADER_BYTES;

	if (mss_bytes > grant->mss_bytes)
		mss_bytes = RTE_MAX(grant->mss_bytes, TCP_MSS_MIN_BYTES);
	return mss_bytes - option_bytes;
}

uint32_t tcp_fastopen_fill_syn(struct worker *w, struct tcp_sock *tp, struct tcp_segment *syn)
{
	struct fastopen_grant grant = {0};
	enum fastopen_advice advice = client_advice(w, tp, &grant);
	uint64_t written = tx_ring_used(&tp->ics.inet.sk.ring);

	if (advice == FASTOPEN_AVOID || tp->flags & TCP_SOCK_SYN_RESENT)
		return 0;
	tp->flags |= TCP_SOCK_FASTOPEN_SENT;
	syn->has_fastopen = true;
	syn->cookie_bytes = grant.cookie_bytes;
	memcpy(syn->cookie, grant.cookie, grant.cookie_bytes);
	if (advice != FASTOPEN_SEND) {
		tp->fastopen_fail = FAIL_NO_COOKIE;
		return 0;
	}
	if (tcp_sock_sk(tp)->flags & SOCK_TX_URGENT) /* a SYN cannot say where urgent data ends */
		return 0;
	return (uint32_t)RTE_MIN(written, syn_room(tp, &grant, syn));
}

/* What the server's next SYN is to bring. */
static void remember(struct worker *w, const struct tcp_sock *tp, const struct tcp_segment *synack,
		     bool taken)
{
	const struct flow *flow = &tp->ics.inet.flow;
	struct fastopen_grant grant = {
		.mss_bytes = RTE_MIN(tp->peer_mss_bytes,
				     tcp_advertised_mss(tp, tp->ics.inet.dst.mtu))};

	if (synack->has_fastopen && synack->cookie_bytes > 0) {
		grant.cookie_bytes = synack->cookie_bytes;
		memcpy(grant.cookie, synack->cookie, synack->cookie_bytes);
	} else if (!taken) {
		/* The answer to a SYN sent again without data says nothing. */
		if (tp->syn_bytes > 0 && !(tp->flags & TCP_SOCK_SYN_RESENT))
			fastopen_cache_forget(&w->tcp->fastopen_cache, flow);
		return;
	}
	fastopen_cache_keep(&w->tcp->fastopen_cache, flow, w->now_ms, &grant);
}

void tcp_fastopen_answered(struct worker *w, struct tcp_sock *tp, const struct tcp_segment *synack)
{
	bool taken = synack->ack != tp->snd_una + 1;

	if (!(tp->flags & TCP_SOCK_FASTOPEN_SENT))
		return;
	remember(w, tp, synack, taken);
	if (taken) {
		worker_count(w, CNT_tcp_fastopen_active);
		tp->syn_data = true;
		tp->fastopen_fail = FAIL_NONE;
	} else if (tp->syn_bytes > 0) {
		worker_count(w, CNT_tcp_fastopen_active_fail);
		if (tp->fastopen_fail == FAIL_NONE)
			tp->fastopen_fail = FAIL_NOT_TAKEN;
	}
}

void tcp_fastopen_too_big(struct worker *w, struct tcp_sock *tp, uint16_t mtu)
{
	struct inet_sock *inet = &tp->ics.inet;
	struct fastopen_grant grant = {0};

	if (tp->syn_bytes == 0 || tp->flags & TCP_SOCK_SYN_RESENT)
		return;
	inet->dst.mtu = mtu;
	grant.mss_bytes = tcp_advertised_mss(tp, mtu);
	fastopen_cache_keep(&w->tcp->fastopen_cache, &inet->flow, w->now_ms, &grant);
	tp->fastopen_fail = FAIL_SYN_LOST;
	tp->flags |= TCP_SOCK_SEND_SYN | TCP_SOCK_SYN_RESENT;
	sock_want_output(w, &inet->sk);
}

/* RFC 7413 section 4.1.3.1: it may have been chance, but some paths lose each such SYN. */
void tcp_fastopen_syn_lost(struct worker *w, struct tcp_sock *tp)
{
	if (!(tp->flags & TCP_SOCK_FASTOPEN_SENT) || tp->flags & TCP_SOCK_SYN_RESENT)
		return;
	worker_count(w, CNT_tcp_fastopen_blocked);
	fastopen_cache_block(&w->tcp->fastopen_cache, &tp->ics.inet.flow, w->now_ms);
	tp->fastopen_fail = FAIL_SYN_LOST;
}
