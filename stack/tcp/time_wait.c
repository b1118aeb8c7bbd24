/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TIME-WAIT: a small object per connection for 2 MSL, in a FIFO.  All wait
 * equally long, so one timer watches the oldest; when the table is full the
 * oldest goes early.
 */
#include <errno.h>

#include "lib/pool.h"
#include "shm/ring.h"
#include "sock/port_table.h"
#include "sock/sock_table.h"
#include "tcp/segment.h"
#include "tcp/tcp_sock.h"

#define ISN_REUSE_STEP 65537u /* a new incarnation begins clear of the old one's last window */

static void time_wait_free(struct worker *w, struct time_wait *tw)
{
	TAILQ_REMOVE(&w->tcp->time_wait_queue, tw, link);
	sock_table_delete(w->socks_by_flow, &tw->flow);
	pool_put(w->tcp->time_waits, tw);
}

static void time_wait_fire(void *context, struct timer *timer)
{
	struct worker *w = context;
	struct time_wait *tw;

	while ((tw = TAILQ_FIRST(&w->tcp->time_wait_queue)) != NULL &&
	       (int32_t)(tw->expiry_ms - w->now_ms) <= 0)
		time_wait_free(w, tw);
	if (tw != NULL)
		wheel_arm(&w->wheel, timer, tw->expiry_ms, time_wait_fire);
}

/* At the end of the queue, for 2 MSL from now. */
static void time_wait_start(struct worker *w, struct time_wait *tw)
{
	struct tcp_worker *tcp = w->tcp;

	tw->expiry_ms = w->now_ms + TCP_TIME_WAIT_MS;
	TAILQ_INSERT_TAIL(&tcp->time_wait_queue, tw, link);
	if (!tcp->time_wait_timer.armed)
		wheel_arm(&w->wheel, &tcp->time_wait_timer, tw->expiry_ms, time_wait_fire);
}

/* NULL only when there is to be no TIME-WAIT at all. */
static struct time_wait *time_wait_alloc(struct worker *w)
{
	struct time_wait *oldest = TAILQ_FIRST(&w->tcp->time_wait_queue);
	struct time_wait *tw = pool_get(w->tcp->time_waits);

	if (tw != NULL || oldest == NULL)
		return tw;
	worker_count(w, CNT_tcp_time_wait_evicted);
	time_wait_free(w, oldest);
	return pool_get(w->tcp->time_waits);
}

void tcp_time_wait(struct worker *w, struct tcp_sock *tp)
{
	struct sock *sk = tcp_sock_sk(tp);
	struct time_wait *tw = time_wait_alloc(w);

	if (tp->flags & TCP_SOCK_ACK_NOW)
		tcp_tx_ack(w, tp);
	if (tw != NULL) {
		*tw = (struct time_wait){
			.flow = tp->ics.inet.flow,
			.dst = tp->ics.inet.dst,
			.snd_nxt = tp->snd_nxt,
			.rcv_nxt = tp->rcv_nxt,
			.window = tcp_window_field(w, tp),
			.ts_recent = tp->ts_recent,
			.ts_offset = tp->ts_offset,
			.timestamps = (tp->flags & TCP_SOCK_TIMESTAMPS) != 0,
		};
		if (seq_gt(tp->rcv_edge, tp->rcv_nxt))
			tw->rcv_window = tp->rcv_edge - tp->rcv_nxt;
		time_wait_start(w, tw);
		sock_table_replace(w->socks_by_flow, &tw->flow,
				   sock_entry_make(tw, SOCK_ENTRY_TIME_WAIT));
		sk->flags &= ~(uint32_t)SOCK_HASHED;
	}
	tcp_done(w, tp);
}

static void time_wait_tx_ack(struct worker *w, struct time_wait *tw)
{
	struct tcp_segment seg = {
		.seq = tw->snd_nxt,
		.ack = tw->rcv_nxt,
		.flags = TCP_FLAG_ACK,
		.window = tw->window,
		.window_scale = -1,
		.has_timestamp = tw->timestamps,
		.ts_value = w->now_ms + tw->ts_offset,
		.ts_echo = tw->ts_recent,
	};

	tcp_tx_bare(w, &tw->flow, &tw->dst, &seg);
}

/* RFC 6191 and RFC 1122 section 4.2.2.13: a SYN that cannot be an old duplicate, and that a
 * listener takes. */
static bool is_newer_syn(const struct time_wait *tw, const struct tcp_segment *seg)
{
	if (!(seg->flags & TCP_FLAG_SYN) ||
	    seg->flags & (TCP_FLAG_ACK | TCP_FLAG_RST | TCP_FLAG_FIN))
		return false;
	if (tw->timestamps && seg->has_timestamp && seg->ts_value != tw->ts_recent)
		return seq_gt(seg->ts_value, tw->ts_recent);
	return seq_gt(seg->seq, tw->rcv_nxt);
}

static enum counter time_wait_reuse(struct worker *w, struct time_wait *tw, struct packet *p,
				    struct inet_sock *listener)
{
	uint32_t iss = tw->snd_nxt + ISN_REUSE_STEP;

	time_wait_free(w, tw);
	worker_count(w, CNT_tcp_time_wait_reused);
	return tcp_rx_listen(w, tcp_sk(&listener->sk), p, iss);
}

/* Is it the peer's FIN again, because our last ACK was lost? */
static bool is_repeated_fin(const struct time_wait *tw, const struct tcp_segment *seg)
{
	const uint16_t both = TCP_FLAG_FIN | TCP_FLAG_ACK;

	return (seg->flags & both) == both && tcp_segment_end(seg) == tw->rcv_nxt;
}

/*
 * RFC 9293 section 3.10.7.4, as far as it concerns TIME-WAIT.  Nothing new can
 * come, so what takes no sequence numbers needs no answer, wherever it lies:
 * two ends that disagree would bounce ACKs until this one forgets.  All else
 * gets one, text inside the window too.
 */
enum counter tcp_rx_time_wait(struct worker *w, struct time_wait *tw, struct packet *p)
{
	const struct tcp_segment *seg = &p->tcp;
	bool paws = tw->timestamps && seg->has_timestamp && seq_lt(seg->ts_value, tw->ts_recent);
	struct inet_sock *listener;

	/* RFC 1337: a RST does not end it, or an old duplicate could assassinate it. */
	if (seg->flags & TCP_FLAG_RST)
		return CNT_tcp_rst;
	if (!paws && is_newer_syn(tw, seg)) {
		listener = port_find(w, &p->flow, true);
		if (listener != NULL)
			return time_wait_reuse(w, tw, p, listener);
	}
	if (seg->length == 0 && !(seg->flags & (TCP_FLAG_SYN | TCP_FLAG_FIN))) {
		if (paws)
			return CNT_tcp_paws;
		return seg->flags & TCP_FLAG_ACK ? TCP_ACCEPTED : CNT_tcp_no_ack;
	}
	time_wait_tx_ack(w, tw);
	if (paws)
		return CNT_tcp_paws;
	if (!is_repeated_fin(tw, seg))
		return CNT_tcp_seq;
	TAILQ_REMOVE(&w->tcp->time_wait_queue, tw, link); /* 2 MSL begin again */
	time_wait_start(w, tw);
	return TCP_ACCEPTED;
}

void tcp_time_wait_free_all(struct worker *w)
{
	struct time_wait *tw;

	while ((tw = TAILQ_FIRST(&w->tcp->time_wait_queue)) != NULL)
		time_wait_free(w, tw);
	wheel_cancel(&w->wheel, &w->tcp->time_wait_timer);
}
