/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Urgent data (RFC 9293 section 3.8.5, RFC 6093): where it ends, told both
 * ways.  The bytes themselves are text like any other; what an application
 * makes of the last one (SO_OOBINLINE) its library sees to.
 *
 * The urgent pointer points after the last urgent byte, as both RFCs and
 * Linux (net.ipv4.tcp_stdurg = 0) have it.
 */
#include "shm/ring.h"
#include "shm/session.h"
#include "tcp/segment.h"
#include "tcp/tcp_sock.h"

#define POINTER_MAX 0xffffu

/* ---- receiving ------------------------------------------------------------ */

/*
 * As Linux: when the reader stands at the old mark, whose byte is not part of
 * the stream, a new one makes nobody's data of it.  A reader on its way there
 * gets the byte as data.  What the region holds is compared, no more: any
 * value in it is harmless.
 */
static void pass_old_mark(struct worker *w, struct tcp_sock *tp, struct leat_urgent *shared)
{
	struct sock *sk = tcp_sock_sk(tp);
	uint64_t skip_to = __atomic_load_n(&shared->skip_to, __ATOMIC_RELAXED);

	if (tp->rcv_up == 0)
		skip_to = 0;
	else if (!(sk->flags & SOCK_OOBINLINE) && tp->rcv_up <= sk->ring.rx_tail &&
		 rx_ring_sync(w, &sk->ring) == 0 &&
		 RTE_MAX(sk->ring.rx_head, skip_to) == tp->rcv_up - 1)
		skip_to = tp->rcv_up;
	__atomic_store_n(&shared->skip_to, skip_to, __ATOMIC_RELAXED);
}

void tcp_rx_urgent(struct worker *w, struct tcp_sock *tp, const struct tcp_segment *seg)
{
	struct sock *sk = tcp_sock_sk(tp);
	/* As Linux: 0 means what 1 does. */
	uint32_t after = seg->seq + RTE_MAX(seg->urgent, 1u);
	struct leat_urgent *shared;
	uint64_t up;

	if (sock_is_detached(sk) || sk->flags & SOCK_RX_SHUT || seq_le(after, tp->rcv_nxt))
		return; /* nobody to tell, or it is about text that was here before */
	up = sk->ring.rx_tail + (after - tp->rcv_nxt);
	if (up <= tp->rcv_up)
		return; /* known, or sent before what is known */
	shared = &sk->ring.arena->rx_urgent[sk->slot];
	pass_old_mark(w, tp, shared);
	tp->rcv_up = up;
	/* release: pairs with the library's acquire before it looks at skip_to */
	__atomic_store_n(&shared->mark, up - 1, __ATOMIC_RELEASE);
	/* Before the text it is about, which rx_tail tells of. */
	__atomic_store_n(&sk->ring.shared->events, sk->ring.shared->events | LEAT_EV_PRI,
			 __ATOMIC_RELEASE);
	sock_raise(w, sk, LEAT_EV_PRI);
}

/* ---- sending -------------------------------------------------------------- */

void tcp_urgent_look(struct worker *w, struct tcp_sock *tp)
{
	struct sock *sk = tcp_sock_sk(tp);
	uint64_t ahead;
	uint32_t up;

	if (likely(!(sk->flags & SOCK_TX_URGENT)) || sock_is_detached(sk))
		return;
	/* It was written before the tx_tail that was synced. */
	ahead = __atomic_load_n(&sk->ring.arena->tx_urgent[sk->slot], __ATOMIC_RELAXED) -
		sk->ring.tx_head;
	if (ahead == 0 || ahead > tx_ring_used(&sk->ring))
		return; /* acknowledged, or not written yet */
	up = tp->snd_una + (uint32_t)ahead;
	if (tcp_is_urgent(tp) && seq_le(up, tp->snd_up))
		return;
	tp->snd_up = up;
	tp->flags |= TCP_SOCK_URGENT;
	/* Where the window is shut, an ACK tells of it (section 3.8.5). */
	tcp_ack_now(w, tp);
}

void tcp_urgent_fill(struct tcp_sock *tp, struct tcp_segment *seg)
{
	uint32_t distance = tp->snd_up - seg->seq;

	if (!tcp_is_urgent(tp)) {
		tp->flags &= ~(uint32_t)TCP_SOCK_URGENT;
		return;
	}
	if (seq_ge(seg->seq, tp->snd_up) || seg->flags & TCP_FLAG_RST)
		return;
	/* The most there can be told may not seem to be about something that was sent already. */
	if (distance > POINTER_MAX && seq_le(seg->seq + POINTER_MAX, tp->snd_nxt))
		return;
	seg->flags |= TCP_FLAG_URG;
	seg->urgent = (uint16_t)RTE_MIN(distance, POINTER_MAX);
}
