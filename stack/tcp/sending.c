/* SPDX-License-Identifier: BSD-3-Clause */
/* A connection begins to send, rests, changes how congestion is controlled. */
#include "tcp/sending.h"

#include <errno.h>

#include "lib/pool.h"
#include "shm/ring.h"
#include "tcp/congestion_steps.h"
#include "tcp/tcp.h"
#include "tcp/tcp_sock.h"

#define SENDING_RETRY_MS 10u /* with the pool empty: a look whether another connection rests */
#define MAKE_ROOM_LOOKS  16

/* ---- congestion control ------------------------------------------------------- */

/* The state of an algorithm that does not fit into the connection; without one left it falls back
 * to the default. */
static void congestion_take_state(struct worker *w, struct tcp_sock *tp)
{
	struct congestion *c = &tp->sending->congestion;

	if (tp->congestion_ops->pooled_bytes == 0)
		return;
	c->private.pooled = pool_get(w->tcp->congestions);
	if (c->private.pooled == NULL)
		tp->congestion_ops = &congestion_cubic;
}

static void congestion_drop_state(struct worker *w, struct tcp_sock *tp)
{
	struct congestion *c = &tp->sending->congestion;

	if (tp->congestion_ops->pooled_bytes != 0 && c->private.pooled != NULL)
		pool_put(w->tcp->congestions, c->private.pooled);
	memset(&c->private, 0, sizeof(c->private));
}

/* Where it rested, or for the first time. */
static void congestion_start(struct worker *w, struct tcp_sock *tp)
{
	const struct congestion_ops *ops;
	struct congestion *c = &tp->sending->congestion;

	congestion_take_state(w, tp);
	ops = tp->congestion_ops;
	c->mss_bytes = tp->mss_bytes;
	if (tp->rest.cwnd_bytes != 0) /* a window that init leaves as it is */
		c->cwnd_bytes = RTE_MAX(tp->rest.cwnd_bytes, tp->mss_bytes);
	c->ssthresh_bytes = tp->rest.ssthresh_bytes;
	ops->init(c, w->now_us, (tp->flags & TCP_SOCK_SYN_RESENT) != 0);
	if (tp->rest.memory != 0)
		ops->resume(c, tp->rest.memory);
}

/* The algorithm's state lies in the object, so one that has much needs both. */
static int change_running(struct worker *w, struct tcp_sock *tp, const struct congestion_ops *ops)
{
	void *state = NULL;

	if (ops->pooled_bytes != 0) {
		state = pool_get(w->tcp->congestions);
		if (state == NULL)
			return -ENOBUFS;
	}
	congestion_drop_state(w, tp);
	if (state != NULL)
		tp->sending->congestion.private.pooled = state;
	tp->congestion_ops = ops;
	ops->init(&tp->sending->congestion, w->now_us, false);
	ring_hold(w, &tcp_sock_sk(tp)->ring); /* it may rest now, if it could not */
	return 0;
}

int tcp_set_congestion(struct worker *w, struct tcp_sock *tp, const struct congestion_ops *ops)
{
	if (ops == tp->congestion_ops)
		return 0;
	/* One with much state holds it from now on, if there is a connection. */
	if (ops->pooled_bytes != 0 && tcp_state_in(tp, TCP_STATES_KNOWN) &&
	    !tcp_sending_take(w, tp))
		return -ENOBUFS;
	if (tp->sending != NULL)
		return change_running(w, tp, ops);
	tp->congestion_ops = ops;
	tp->rest.memory = 0;
	return 0;
}

uint32_t tcp_cwnd_bytes(const struct tcp_sock *tp)
{
	struct congestion c = {.cwnd_bytes = tp->rest.cwnd_bytes, .mss_bytes = tp->mss_bytes};

	if (tp->sending != NULL)
		return tp->sending->congestion.cwnd_bytes;
	congestion_begin(&c, (tp->flags & TCP_SOCK_SYN_RESENT) != 0);
	return c.cwnd_bytes;
}

uint32_t tcp_ssthresh_bytes(const struct tcp_sock *tp)
{
	if (tp->sending != NULL)
		return tp->sending->congestion.ssthresh_bytes;
	return tp->rest.ssthresh_bytes != 0 ? tp->rest.ssthresh_bytes : SSTHRESH_INFINITE;
}

/* ---- resting -------------------------------------------------------- */

void tcp_sending_drop(struct worker *w, struct tcp_sock *tp)
{
	struct tcp_sending *s = tp->sending;

	if (s == NULL)
		return;
	flight_clear(&s->flight, &w->tcp->flights);
	congestion_drop_state(w, tp);
	calendar_cancel(&w->calendar, &s->paced);
	pool_put(w->tcp->sendings, s);
	tp->sending = NULL;
}

/* BBR's model lasts for ten seconds and more: it never rests. */
static bool keeps_state(const struct congestion_ops *ops)
{
	return ops->pooled_bytes != 0;
}

/* Is nothing in flight, to be sent, or in question: who repaired what a loss probe did, when pacing
 * lets the next segment go? */
static bool is_settled(const struct worker *w, const struct tcp_sock *tp)
{
	const struct tcp_sending *s = tp->sending;

	return tp->snd_una == tp->snd_nxt && !tcp_has_unsent(tp) && tp->recovery == RECOVERY_NONE &&
	       !(tp->flags & TCP_SOCK_PROBE_SENT) && !keeps_state(tp->congestion_ops) &&
	       s->paced.place == 0 && s->pacing.next_us <= w->now_us;
}

static void rest(struct worker *w, struct tcp_sock *tp)
{
	const struct tcp_sending *s = tp->sending;
	const struct congestion *c = &s->congestion;

	tp->rest = (struct tcp_rest){
		.cwnd_bytes = c->cwnd_bytes,
		.ssthresh_bytes = c->ssthresh_bytes,
		.memory = tp->congestion_ops->rest != NULL ? tp->congestion_ops->rest(c) : 0,
		.reordering_seen = s->rack.reordering_seen,
		.window_mult = s->rack.window_mult,
		.window_persist = s->rack.window_persist,
	};
	tcp_sending_drop(w, tp);
}

/* After an RTO without anything in flight the window falls back to the initial one (RFC 5681 section
 * 4.1), and what a stage of CUBIC's has measured has lost its meaning: little is given up. */
bool tcp_rest(struct worker *w, struct sock *sk)
{
	struct tcp_sock *tp = tcp_sk(sk);

	if (tp->sending == NULL || keeps_state(tp->congestion_ops))
		return false;
	if (w->now_ms - tp->sent_ms <= rtt_rto_ms(&tp->rtt))
		return true;
	if (tp->snd_una ==
	    tp->snd_nxt) /* who repaired what the loss probe did: no answer will tell */
		tp->flags &= ~(uint32_t)TCP_SOCK_PROBE_SENT;
	if (!is_settled(w, tp))
		return true;
	rest(w, tp);
	return false;
}

/* The pool is empty: one of those that were looked at longest ago, if it is settled, rests early. */
static void make_room(struct worker *w)
{
	struct ring_pair *r;
	unsigned looks = 0;

	TAILQ_FOREACH (r, &w->holding, holding_link) {
		struct sock *sk = container_of(r, struct sock, ring);

		if (sk->proto == &tcp_proto && tcp_sk(sk)->sending != NULL &&
		    is_settled(w, tcp_sk(sk))) {
			rest(w, tcp_sk(sk));
			return;
		}
		if (++looks == MAKE_ROOM_LOOKS)
			return;
	}
}

/* ---- sending -------------------------------------------------------------------- */

static struct tcp_sending *sending_alloc(struct worker *w)
{
	struct tcp_sending *s = pool_get(w->tcp->sendings);

	if (likely(s != NULL))
		return s;
	make_room(w);
	s = pool_get(w->tcp->sendings);
	if (s == NULL)
		worker_count(w, CNT_tcp_sending_pool);
	return s;
}

bool tcp_sending_take(struct worker *w, struct tcp_sock *tp)
{
	struct tcp_sending *s = tp->sending;

	if (s != NULL)
		return true;
	s = sending_alloc(w);
	if (s == NULL)
		return false;
	*s = (struct tcp_sending){
		.tp = tp, .recover = tp->snd_una - 1, /* RFC 6582 section 3.2: all before is over */
	};
	tp->sending = s;
	flight_init(&s->flight);
	s->flight.delivered = tcp_sock_sk(tp)->ring.tx_head;
	rack_init(&s->rack, tp->snd_una);
	s->rack.reordering_seen = tp->rest.reordering_seen;
	s->rack.window_persist = tp->rest.window_persist;
	if (tp->rest.window_persist != 0)
		s->rack.window_mult = tp->rest.window_mult;
	congestion_start(w, tp);
	ring_hold(w, &tcp_sock_sk(tp)->ring); /* so that tcp_rest is asked */
	return true;
}

bool tcp_sending_begin(struct worker *w, struct tcp_sock *tp)
{
	if (tcp_sending_take(w, tp))
		return true;
	if (!(tp->flags & TCP_SOCK_FORCE)) /* else it has waited before */
		tp->progress_ms = w->now_ms;
	tcp_timer_set(w, tp, TCP_TIMER_RETRANSMIT, SENDING_RETRY_MS);
	return false;
}
