/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The window we offer: what is free of the receive buffer, moved forward only
 * in steps worth an ACK (RFC 9293 section 3.8.6.2.2) and never back.
 */
#include "shm/ring.h"
#include "tcp/segment.h"
#include "tcp/tcp_sock.h"

/* By how much the window would grow if it were offered anew; <= 0: not at all. */
static int32_t window_gain(const struct tcp_sock *tp, uint32_t limit)
{
	const struct sock *sk = &tp->ics.inet.sk;
	uint64_t used = rx_ring_used(&sk->ring);
	uint32_t space = used < sk->rcvbuf_bytes ? sk->rcvbuf_bytes - (uint32_t)used : 0;

	return (int32_t)(RTE_MIN(space, limit) - (tp->rcv_edge - tp->rcv_nxt));
}

/* Growth worth an ACK of its own. */
static int32_t window_step(const struct tcp_sock *tp)
{
	uint32_t limit = tcp_window_limit(tp);
	uint32_t segment = RTE_MIN(tp->mss_bytes, limit / 2);

	return (int32_t)RTE_MAX(limit / 4, segment);
}

static bool window_is_worth_it(const struct tcp_sock *tp)
{
	return window_gain(tp, tcp_window_limit(tp)) >= window_step(tp);
}

/* Does anybody read, and may more come? */
static bool window_is_live(const struct tcp_sock *tp)
{
	const struct sock *sk = &tp->ics.inet.sk;

	return !sock_is_detached(sk) && !(sk->flags & (SOCK_RX_EOF | SOCK_RX_SHUT));
}

uint8_t tcp_window_scale(const struct worker *w, const struct sock *sk)
{
	/* Of the largest buffer this connection may grow to: the scale cannot change later. */
	uint32_t buffer = RTE_MAX(sk->rcvbuf_bytes, w->config.rcvbuf_max_bytes);
	uint32_t scale = rte_fls_u32(buffer >> 16);

	if (TCP_WINDOW_MAX << scale < buffer) /* a full window is a little less than 2^16 */
		scale++;
	return (uint8_t)RTE_MIN(scale, (uint32_t)TCP_SCALE_MAX);
}

static void window_open(struct worker *w, struct tcp_sock *tp)
{
	uint32_t limit;
	int32_t gain;

	if (rx_ring_moved(&tcp_sock_sk(tp)->ring))
		(void)rx_ring_sync(w, &tcp_sock_sk(tp)->ring);
	tcp_tune_rcvbuf(w, tp);
	limit = tcp_window_limit(tp);
	gain = window_gain(tp, limit);
	if (gain > 0 && (uint32_t)gain >= RTE_MIN(tp->mss_bytes, limit / 2))
		tp->rcv_edge += (uint32_t)gain;
}

uint16_t tcp_window_field_slow(struct worker *w, struct tcp_sock *tp)
{
	uint32_t offered;

	if (!sock_is_detached(tcp_sock_sk(tp)))
		window_open(w, tp);
	if (seq_gt(tp->rcv_nxt, tp->rcv_edge)) /* the FIN lay one beyond */
		return 0;
	offered = (tp->rcv_edge - tp->rcv_nxt) >> tp->rcv_scale;
	return (uint16_t)RTE_MIN(offered, TCP_WINDOW_MAX);
}

static void window_stop_watch(struct worker *w, struct tcp_sock *tp)
{
	tp->flags &= ~(uint32_t)TCP_SOCK_WINDOW_ASKED;
	rx_ring_ask(w, &tcp_sock_sk(tp)->ring, LEAT_NO_OFFSET);
}

void tcp_window_watch_small(struct worker *w, struct tcp_sock *tp)
{
	struct sock *sk = tcp_sock_sk(tp);
	uint32_t offered = tp->rcv_edge - tp->rcv_nxt;
	uint64_t wake;

	if (offered >= tcp_window_limit(tp) / 2 || tp->flags & TCP_SOCK_WINDOW_ASKED ||
	    !window_is_live(tp))
		return;
	/* Where the reader is when the window may grow by a step; at the latest with all read. */
	wake = sk->ring.rx_tail + offered + (uint32_t)window_step(tp) - sk->rcvbuf_bytes;
	if ((int64_t)(wake - sk->ring.rx_tail) > 0)
		wake = sk->ring.rx_tail;
	tp->flags |= TCP_SOCK_WINDOW_ASKED;
	rx_ring_ask(w, &sk->ring, wake);
	if (rx_ring_sync(w, &sk->ring) == 0 && window_is_worth_it(tp)) {
		window_stop_watch(w, tp);
		tcp_ack_now(w, tp);
	}
}

void tcp_window_reopen(struct worker *w, struct tcp_sock *tp)
{
	if (!(tp->flags & TCP_SOCK_WINDOW_ASKED))
		return;
	window_stop_watch(w, tp);
	if (!window_is_live(tp))
		return;
	if (window_is_worth_it(tp))
		tcp_ack_now(w, tp);
	else
		tcp_window_watch(w, tp);
}
