/* SPDX-License-Identifier: BSD-3-Clause */
/* A TCP sock's life from its pool to its end: what shutdown, close and abort mean. */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "lib/pool.h"
#include "net/ipv4.h"
#include "shm/ring.h"
#include "sock/port_table.h"
#include "sock/sock_table.h"
#include "tcp/segment.h"
#include "tcp/tcp.h"
#include "tcp/tcp_sock.h"

/* ---- beginning ------------------------------------------------------------ */

struct tcp_sock *tcp_sock_create(struct worker *w, uint8_t family)
{
	struct tcp_sock *tp = pool_get(w->tcp->socks);

	if (tp == NULL)
		return NULL;
	memset(tp, 0, sizeof(*tp));
	sock_init(w, tcp_sock_sk(tp), &tcp_proto, family);
	tp->ics.inet.sk.state = TCP_CLOSE;
	tp->ics.inet.flow.family = family;
	tp->ics.inet.flow.protocol = IPPROTO_TCP;
	tp->ics.inet.ttl = IP_TTL_DEFAULT;
	tp->ics.inet.mtu_discover = IP_PMTUDISC_WANT;
	tp->congestion_ops = w->config.congestion != NULL ? w->config.congestion
							  : &congestion_cubic;
	tp->options = shared_options_share(&w->tcp->default_options.values);
	return tp;
}

uint16_t tcp_advertised_mss(const struct tcp_sock *tp, uint16_t mtu)
{
	uint16_t mss_bytes = (uint16_t)(mtu - TCP_IPV4_HEADERS);

	return tp->options->user_mss_bytes != 0 ? RTE_MIN(mss_bytes, tp->options->user_mss_bytes)
						: mss_bytes;
}

void tcp_update_mss(struct tcp_sock *tp)
{
	uint32_t mss_bytes = RTE_MIN(tcp_advertised_mss(tp, tp->plpmtud.mtu), tp->peer_mss_bytes);

	/* RFC 6691: the MSS does not count options; what every segment carries goes off it. */
	if (tp->flags & TCP_SOCK_TIMESTAMPS)
		mss_bytes -= TCP_TIMESTAMP_BYTES;
	tp->mss_bytes = (uint16_t)mss_bytes;
	if (tp->sending != NULL) {
		struct congestion *c = &tp->sending->congestion;

		c->mss_bytes = mss_bytes;
		c->cwnd_bytes = RTE_MAX(c->cwnd_bytes, mss_bytes);
	}
}

/* ---- established ------------------------------------------------------------ */

void tcp_open_stream(struct worker *w, struct tcp_sock *tp)
{
	tp->snd_small = tp->snd_una;
	tp->quick_acks = TCP_FIRST_ACK;
	tp->rcv_mss_bytes = TCP_MSS_DEFAULT_BYTES;
	tcp_sending_drop(w, tp); /* congestion control chosen during a simultaneous open */
	tp->rest = (struct tcp_rest){0};
	if (tp->congestion_ops->pooled_bytes != 0) /* it is the connection's for life */
		(void)tcp_sending_take(w, tp);
	tp->read_round.start_us = (uint32_t)w->now_us;
	sock_raise(w, tcp_sock_sk(tp), LEAT_EV_CONNECTED | LEAT_EV_OUT);
}

void tcp_established(struct worker *w, struct tcp_sock *tp)
{
	tcp_set_state(tp, TCP_ESTABLISHED);
	tp->backoff = 0;
	tcp_timer_stop(tp, TCP_TIMER_RETRANSMIT);
	tcp_open_stream(w, tp);
	tcp_timer_set_idle(w, tp);
}

/* ---- end ------------------------------------------------------------------ */

static void sock_free(struct worker *w, struct tcp_sock *tp)
{
	leat_assert(tcp_state(tp) == TCP_CLOSE && !tp->ics.timer.armed);
	sock_fini(w, tcp_sock_sk(tp));
	shared_options_put(&w->tcp->options, tp->options);
	pool_put(w->tcp->socks, tp);
}

void tcp_done(struct worker *w, struct tcp_sock *tp)
{
	struct sock *sk = tcp_sock_sk(tp);
	struct inet_sock *inet = &tp->ics.inet;
	bool was_established = (sk->state_events & LEAT_EV_CONNECTED) != 0;

	tcp_timers_stop(w, tp);
	tcp_fastopen_leave(w, tp, false);
	if (sk->flags & SOCK_HASHED)
		sock_table_delete(w->socks_by_flow, &inet->flow);
	sk->flags &= ~(uint32_t)SOCK_HASHED;
	tcp_reassembly_free(w, tp);
	tcp_sending_drop(w, tp);
	tp->recovery = RECOVERY_NONE;
	tp->dupacks = 0;
	tp->flags &= TCP_SOCK_OPTIONS;
	tcp_set_state(tp, TCP_CLOSE);
	listener_remove(w, &tp->ics);
	if (sock_is_detached(sk)) {
		port_unbind(w, inet);
		sock_free(w, tp);
		return;
	}
	if (!was_established) { /* a failed connect: the sock may try again */
		memset(&inet->flow.remote, 0, sizeof(inet->flow.remote));
		inet->flow.remote_port = 0;
	}
	sock_raise(w, sk, LEAT_EV_HUP | LEAT_EV_RDHUP | LEAT_EV_IN | LEAT_EV_OUT);
}

void tcp_fail(struct worker *w, struct tcp_sock *tp, int error)
{
	if (tcp_state_in(tp, TCP_STATE(TCP_SYN_SENT) | TCP_STATE(TCP_SYN_RECV)))
		worker_count(w, CNT_tcp_connect_failed);
	if (!sock_is_detached(tcp_sock_sk(tp)))
		sock_raise_error(w, tcp_sock_sk(tp), error);
	tcp_done(w, tp);
}

void tcp_abort(struct worker *w, struct tcp_sock *tp)
{
	if (tcp_state_in(tp, TCP_STATES_KNOWN)) {
		tcp_tx_reset(w, tp);
		worker_count(w, CNT_tcp_reset);
	}
	tcp_done(w, tp);
}

/* ---- shutdown and close ----------------------------------------------------- */

/* RFC 9293 section 3.10.4: all written so far is sent, then a FIN. */
static void queue_fin(struct worker *w, struct tcp_sock *tp)
{
	struct sock *sk = tcp_sock_sk(tp);

	if (tp->flags & TCP_SOCK_FIN_QUEUED)
		return;
	tp->write_end = tp->snd_una + tcp_syn_is_unacked(tp) + (uint32_t)tx_ring_used(&sk->ring);
	tp->flags |= TCP_SOCK_FIN_QUEUED;
	if (tcp_state(tp) == TCP_ESTABLISHED)
		tcp_set_state(tp, TCP_FIN_WAIT1);
	else if (tcp_state(tp) == TCP_CLOSE_WAIT)
		tcp_set_state(tp, TCP_LAST_ACK);
	if (sk->flags & (SOCK_RX_EOF | SOCK_RX_SHUT) && !sock_is_detached(sk))
		sock_raise(w, sk, LEAT_EV_HUP);
	sock_want_output(w, sk);
}

int tcp_shutdown(struct worker *w, struct sock *sk, int how)
{
	struct tcp_sock *tp = tcp_sk(sk);

	switch (sk->state) {
	case TCP_CLOSE:
		return -ENOTCONN;
	case TCP_LISTEN:
		if (how == SHUT_WR)
			return -ENOTCONN;
		tcp_listen_stop(w, tp);
		tcp_done(w, tp);
		return 0;
	case TCP_SYN_SENT:
		if (how == SHUT_RD)
			return 0;
		if (tcp_fastopen_has_data(tp)) {
			tcp_fastopen_start(w, tp);
			break;
		}
		tcp_done(w, tp);
		return 0;
	default:
		break;
	}
	if (how != SHUT_WR && !(sk->flags & SOCK_RX_SHUT)) {
		sk->flags |= SOCK_RX_SHUT;
		sock_raise(w, sk, LEAT_EV_RDHUP | LEAT_EV_IN);
	}
	if (how != SHUT_RD)
		queue_fin(w, tp);
	return 0;
}

void tcp_close(struct worker *w, struct sock *sk, bool abort)
{
	struct tcp_sock *tp = tcp_sk(sk);

	if (sk->state == TCP_LISTEN)
		tcp_listen_stop(w, tp);
	if (tcp_state_in(tp, TCP_STATE(TCP_LISTEN) | TCP_STATE(TCP_CLOSE)) ||
	    (sk->state == TCP_SYN_SENT && !tcp_fastopen_has_data(tp))) {
		tcp_done(w, tp);
		return;
	}
	if (abort || tp->options->linger_s == 0) {
		tcp_abort(w, tp);
		return;
	}
	if (sk->state == TCP_SYN_SENT)
		tcp_fastopen_start(w, tp);
	queue_fin(w, tp);
	/* An orphan's waits are shorter. */
	tcp_timer_set_idle(w, tp);
}
