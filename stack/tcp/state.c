/* SPDX-License-Identifier: BSD-3-Clause */
/* The states of RFC 9293 section 3.3.2 and the ways between them. */
#include "lib/assert.h"
#include "tcp/tcp.h"
#include "tcp/tcp_sock.h"

static const char *const state_names[] = {
	[TCP_ESTABLISHED] = "ESTABLISHED",
	[TCP_SYN_SENT] = "SYN-SENT",
	[TCP_SYN_RECV] = "SYN-RECEIVED",
	[TCP_FIN_WAIT1] = "FIN-WAIT-1",
	[TCP_FIN_WAIT2] = "FIN-WAIT-2",
	[TCP_TIME_WAIT] = "TIME-WAIT",
	[TCP_CLOSE] = "CLOSED",
	[TCP_CLOSE_WAIT] = "CLOSE-WAIT",
	[TCP_LAST_ACK] = "LAST-ACK",
	[TCP_LISTEN] = "LISTEN",
	[TCP_CLOSING] = "CLOSING",
};

/*
 * From each state, where to: figure 5 of RFC 9293, plus CLOSED from
 * everywhere (reset, abort, give up).  TIME-WAIT is an object of its own, so
 * no sock enters it.  Assertions alone read it.
 */
static const uint16_t transitions[] __rte_unused = {
	[TCP_CLOSE] = TCP_STATE(TCP_LISTEN) | TCP_STATE(TCP_SYN_SENT) | TCP_STATE(TCP_SYN_RECV) |
		      TCP_STATE(TCP_CLOSE),
	[TCP_LISTEN] = TCP_STATE(TCP_CLOSE),
	[TCP_SYN_SENT] = TCP_STATE(TCP_ESTABLISHED) | TCP_STATE(TCP_SYN_RECV) |
			 TCP_STATE(TCP_CLOSE),
	[TCP_SYN_RECV] = TCP_STATE(TCP_ESTABLISHED) | TCP_STATE(TCP_CLOSE),
	[TCP_ESTABLISHED] = TCP_STATE(TCP_FIN_WAIT1) | TCP_STATE(TCP_CLOSE_WAIT) |
			    TCP_STATE(TCP_CLOSE),
	[TCP_FIN_WAIT1] = TCP_STATE(TCP_FIN_WAIT2) | TCP_STATE(TCP_CLOSING) | TCP_STATE(TCP_CLOSE),
	[TCP_FIN_WAIT2] = TCP_STATE(TCP_CLOSE),
	[TCP_CLOSING] = TCP_STATE(TCP_CLOSE),
	[TCP_CLOSE_WAIT] = TCP_STATE(TCP_LAST_ACK) | TCP_STATE(TCP_CLOSE),
	[TCP_LAST_ACK] = TCP_STATE(TCP_CLOSE),
	[TCP_TIME_WAIT] = 0,
};

const char *tcp_state_name(uint8_t state)
{
	return state < RTE_DIM(state_names) && state_names[state] != NULL ? state_names[state]
									  : "?";
}

void tcp_set_state(struct tcp_sock *tp, uint8_t state)
{
	leat_assert(transitions[tcp_state(tp)] >> state & 1);
	tp->ics.inet.sk.state = state;
}

static bool tcp_sender_is_sane(const struct worker *w, const struct tcp_sock *tp)
{
	/* A SYN has no record. */
	uint32_t una = tcp_syn_is_unacked(tp) ? tp->snd_nxt : tp->snd_una;

	if (seq_gt(tp->snd_una, tp->snd_nxt))
		return false;
	if (tp->sending == NULL
		    ? una != tp->snd_nxt
		    : !flight_is_sane(&tp->sending->flight, &w->tcp->flights, una, tp->snd_nxt))
		return false;
	if (tp->flags & TCP_SOCK_FIN_QUEUED && seq_gt(tp->snd_nxt, tp->write_end + 1))
		return false;
	/* Something in flight is watched by a timer. */
	return tp->snd_una == tp->snd_nxt || tcp_timer_armed(tp, TCP_TIMER_RETRANSMIT) ||
	       tp->ics.inet.sk.flags & SOCK_ON_OUTPUT;
}

bool tcp_sock_is_sane(const struct worker *w, const struct tcp_sock *tp)
{
	const struct sock *sk = &tp->ics.inet.sk;

	switch (sk->state) {
	case TCP_CLOSE:
		return !(sk->flags & (SOCK_HASHED | SOCK_LISTENER)) && tp->timers == 0 &&
		       !tp->ics.timer.armed && tp->sending == NULL;
	case TCP_LISTEN:
		return sk->flags & SOCK_LISTENER && sk->flags & SOCK_BOUND;
	case TCP_TIME_WAIT:
		return false;
	case TCP_SYN_SENT:
		return sk->flags & SOCK_HASHED && tcp_sender_is_sane(w, tp);
	default:
		break;
	}
	/* The peer's FIN may lie one beyond the window. */
	if (seq_gt(tp->rcv_nxt, tp->rcv_edge + 1))
		return false;
	if (tp->timers != 0 && !tp->ics.timer.armed)
		return false;
	return sk->flags & SOCK_HASHED && tcp_sender_is_sane(w, tp);
}
