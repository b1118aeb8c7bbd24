/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What may be sent, and sending it.  proto->output runs once per iteration
 * for each sock that asked: data first, which carries the ACK; a pure ACK
 * only when nothing else went out.
 */
#include "net/ipv4.h"
#include "shm/ring.h"
#include "tcp/segment.h"
#include "tcp/tcp_sock.h"

#define IP_PACKET_MAX_BYTES 65535u

/* ---- one segment --------------------------------------------------------- */

static void fill_timestamp(const struct worker *w, const struct tcp_sock *tp,
			   struct tcp_segment *seg)
{
	seg->has_timestamp = true;
	seg->ts_value = w->now_ms + tp->ts_offset;
	seg->ts_echo = seg->flags & TCP_FLAG_ACK ? tp->ts_recent : 0;
}

/* Bookkeeping for a segment that occupies sequence numbers [seq, end). */
static void note_sent(struct worker *w, struct tcp_sock *tp, uint32_t seq, uint32_t end)
{
	if (seq_lt(seq, tp->snd_max)) {
		worker_count(w, CNT_tcp_retransmit);
		tp->flags &= (uint16_t)~TCP_SOCK_TIMING; /* Karn: ambiguous now */
	} else if (!(tp->flags & TCP_SOCK_TIMING)) {
		tp->flags |= TCP_SOCK_TIMING;
		tp->rtt_seq = end;
		tp->rtt_start_us = (uint32_t)w->now_us;
	}
	if (tp->snd_una == tp->snd_max)
		tp->progress_ms = w->now_ms;
	tp->snd_max = seq_max(tp->snd_max, end);
	tp->sent_ms = w->now_ms;
	if (!tcp_timer_armed(tp, TCP_TIMER_RETRANSMIT)) /* RFC 6298 (5.1) */
		tcp_timer_set_retransmit(w, tp);
}

/* The peer knows now what we have received. */
static void note_acked(struct worker *w, struct tcp_sock *tp)
{
	tp->rcv_acked = tp->rcv_nxt;
	tp->flags &= (uint16_t)~TCP_SOCK_ACK_NOW;
	tcp_timer_stop(tp, TCP_TIMER_DELACK);
	tcp_window_watch(w, tp);
}

static int hand_down(struct worker *w, struct tcp_sock *tp, struct rte_mbuf *m,
		     uint32_t payload_bytes)
{
	struct ip_tx how = {
		.dst = &tp->ics.inet.dst,
		.flow = &tp->ics.inet.flow,
		.ttl = tp->ics.inet.ttl,
		.traffic_class = tp->ics.inet.traffic_class,
		.dont_fragment = true,
	};
	uint32_t mss = tp->congestion.mss_bytes; /* 0 until the peer's SYN told */
	uint32_t segments = 1;

	if (mss != 0 && payload_bytes > mss) {
		how.tso_segment = (uint16_t)mss;
		segments = (payload_bytes + mss - 1) / mss;
	}
	w->counter[CNT_tcp_tx_segments] += segments;
	return ip_tx(w, &how, m);
}

/*
 * Sends length bytes of the stream at seq with these flags.  -ENOBUFS: nothing
 * happened.  A packet that the layers below refuse counts as sent: it is lost
 * like any other.
 */
static int tx_segment(struct worker *w, struct tcp_sock *tp, uint32_t seq, uint32_t length,
		      uint16_t flags)
{
	struct sock *sk = tcp_sock_sk(tp);
	struct tcp_segment seg = {
		.seq = seq, .ack = tp->rcv_nxt, .flags = flags, .window_scale = -1};
	struct netif *n = w->netif[tp->ics.inet.dst.netif];
	struct rte_mbuf *m = worker_mbuf(w);
	uint32_t header_bytes, end;

	if (unlikely(m == NULL))
		return -ENOBUFS;
	seg.window = tcp_window_field(w, tp);
	if (tp->flags & TCP_SOCK_TIMESTAMPS)
		fill_timestamp(w, tp, &seg);
	header_bytes = tcp_segment_header_bytes(&seg);
	tcp_segment_write(&seg, &tp->ics.inet.flow,
			  (uint8_t *)rte_pktmbuf_append(m, (uint16_t)header_bytes));
	if (length > 0 &&
	    tx_ring_append(w, &sk->ring, m, sk->ring.tx_head + (seq - tp->snd_una), length,
			   !n->port->external_buffers || !n->port->tx_multi_segs) != 0) {
		rte_pktmbuf_free(m);
		return -ENOBUFS;
	}
	end = seq + length + ((flags & TCP_FLAG_FIN) != 0);
	if (end != seq)
		note_sent(w, tp, seq, end);
	note_acked(w, tp);
	(void)hand_down(w, tp, m, length);
	return 0;
}

/* The SYN, or the SYN-ACK of a simultaneous open. */
static void tx_syn(struct worker *w, struct tcp_sock *tp)
{
	bool first = tcp_state(tp) == TCP_SYN_SENT;
	struct tcp_segment seg = {
		.seq = tp->snd_una,
		.ack = first ? 0 : tp->rcv_nxt,
		.flags = first ? TCP_FLAG_SYN : TCP_FLAG_SYN | TCP_FLAG_ACK,
		.window = (uint16_t)RTE_MIN(tp->rcv_edge - tp->rcv_nxt, TCP_WINDOW_MAX),
		.mss = tcp_advertised_mss(tp, tp->ics.inet.dst.mtu),
		/* RFC 7323 section 2.2: in a SYN-ACK only when the SYN had it. */
		.window_scale = first || tp->rcv_scale != 0 ? (int8_t)tp->rcv_scale : -1,
	};
	struct rte_mbuf *m = worker_mbuf(w);

	tp->flags &= (uint16_t)~TCP_SOCK_SEND_SYN;
	if (first || tp->flags & TCP_SOCK_TIMESTAMPS)
		fill_timestamp(w, tp, &seg);
	note_sent(w, tp, tp->snd_una, tp->snd_una + 1);
	tp->snd_nxt = tp->snd_max;
	if (unlikely(m == NULL))
		return; /* the timer sends it again */
	tcp_segment_write(
		&seg, &tp->ics.inet.flow,
		(uint8_t *)rte_pktmbuf_append(m, (uint16_t)tcp_segment_header_bytes(&seg)));
	(void)hand_down(w, tp, m, 0);
}

/* ---- what to send -------------------------------------------------------- */

/* The sequence number where what the application wrote ends. */
static uint32_t stream_end(const struct tcp_sock *tp)
{
	if (tp->flags & TCP_SOCK_FIN_QUEUED)
		return tp->write_end;
	return tp->snd_una + (uint32_t)tx_ring_used(&tp->ics.inet.sk.ring);
}

/* Bytes of the stream from snd_nxt on. */
static uint32_t unsent_bytes(const struct tcp_sock *tp)
{
	uint32_t end = stream_end(tp);

	return seq_gt(end, tp->snd_nxt) ? end - tp->snd_nxt : 0;
}

static bool fin_is_unsent(const struct tcp_sock *tp)
{
	return tp->flags & TCP_SOCK_FIN_QUEUED && seq_le(tp->snd_nxt, tp->write_end);
}

bool tcp_has_unsent(const struct tcp_sock *tp)
{
	return fin_is_unsent(tp) || unsent_bytes(tp) > 0;
}

/* The most one call of tx_segment takes: whole segments if the port cuts them. */
static uint32_t segment_limit(const struct worker *w, const struct tcp_sock *tp)
{
	const struct port *port = w->netif[tp->ics.inet.dst.netif]->port;
	uint32_t mss = tp->congestion.mss_bytes;
	uint32_t segments;

	if (!port->tso)
		return mss;
	segments = (IP_PACKET_MAX_BYTES - TCP_IPV4_HEADERS - TCP_HEADER_MAX_BYTES) / mss;
	if (port->tso_max_segs != 0)
		segments = RTE_MIN(segments, (uint32_t)port->tso_max_segs);
	return RTE_MAX(segments, 1u) * mss;
}

/* Asked of both ends: after 2 GiB without one, snd_small would seem to lie ahead of snd_una. */
static bool small_in_flight(const struct tcp_sock *tp)
{
	return seq_gt(tp->snd_small, tp->snd_una) && seq_le(tp->snd_small, tp->snd_max);
}

/*
 * May a segment below a full one go now?  RFC 9293 sections 3.7.4 (Nagle, in
 * Minshall's form: only an unacknowledged small segment holds the next one
 * back) and 3.8.6.2.1 (silly windows).
 */
static bool small_may_go(const struct tcp_sock *tp, uint32_t length, bool all)
{
	if (tp->flags & TCP_SOCK_FORCE || seq_lt(tp->snd_nxt, tp->snd_max))
		return true;
	if (all)
		return tp->flags & (TCP_SOCK_NODELAY | TCP_SOCK_FIN_QUEUED) || !small_in_flight(tp);
	return length >= tp->snd_wnd_max / 2;
}

/* How many bytes to send from snd_nxt on now; 0: none. */
static uint32_t next_length(const struct worker *w, const struct tcp_sock *tp)
{
	uint32_t window = RTE_MIN(tp->congestion.cwnd_bytes, tp->snd_wnd);
	uint32_t flight = tp->snd_nxt - tp->snd_una;
	uint32_t unsent = unsent_bytes(tp);
	uint32_t mss = tp->congestion.mss_bytes;
	uint32_t length, rest;

	if (window <= flight)
		return 0;
	length = RTE_MIN(unsent, window - flight);
	length = RTE_MIN(length, segment_limit(w, tp));
	rest = length % mss;
	if (rest != 0 && !small_may_go(tp, rest, length == unsent))
		length -= rest;
	return length;
}

/* The FIN goes with (or after) the last byte, if the peer's window has room for it. */
static bool fin_goes_with(const struct tcp_sock *tp, uint32_t length)
{
	return fin_is_unsent(tp) && tp->snd_nxt + length == tp->write_end &&
	       (length > 0 || seq_lt(tp->write_end, tp->snd_una + tp->snd_wnd));
}

/* True: something went out. */
static bool send_next(struct worker *w, struct tcp_sock *tp)
{
	uint32_t length = next_length(w, tp);
	uint16_t flags = TCP_FLAG_ACK;

	if (fin_goes_with(tp, length))
		flags |= TCP_FLAG_FIN;
	else if (length == 0)
		return false;
	if (length == unsent_bytes(tp))
		flags |= TCP_FLAG_PSH;
	if (tx_segment(w, tp, tp->snd_nxt, length, flags) != 0)
		return false;
	tp->snd_nxt += length;
	if (length % tp->congestion.mss_bytes != 0)
		tp->snd_small = tp->snd_nxt;
	if (flags & TCP_FLAG_FIN)
		tp->snd_nxt++;
	tp->flags &= (uint16_t)~TCP_SOCK_FORCE;
	tp->quick_acks = 0; /* it is a dialogue: ACKs ride on what we send */
	return true;
}

static void send_data(struct worker *w, struct tcp_sock *tp)
{
	if (tp->snd_una == tp->snd_max)
		tp->congestion_ops->restart(&tp->congestion,
					    RTE_MIN(w->now_ms - tp->sent_ms, RTO_MAX_MS * 2) * 1000,
					    rtt_rto_ms(&tp->rtt) * 1000, w->now_us);
	while (send_next(w, tp))
		;
	/* What is left waits for an ACK, for the window or for an mbuf; the timer sees to it that
	 * the wait ends. */
	if (!tcp_timer_armed(tp, TCP_TIMER_RETRANSMIT) &&
	    (tp->snd_una != tp->snd_max || tcp_has_unsent(tp))) {
		if (tp->snd_una == tp->snd_max)
			tp->progress_ms = w->now_ms;
		tcp_timer_set_retransmit(w, tp);
	}
}

/* The segment at snd_una once more, whatever was sent since. */
static void retransmit_head(struct worker *w, struct tcp_sock *tp)
{
	uint32_t length = RTE_MIN(stream_end(tp) - tp->snd_una, tp->congestion.mss_bytes);
	uint16_t flags = TCP_FLAG_ACK;

	tp->flags &= (uint16_t)~TCP_SOCK_RETRANSMIT;
	if (tp->snd_una == tp->snd_max)
		return;
	length = RTE_MIN(length, tp->snd_max - tp->snd_una);
	if (tp->flags & TCP_SOCK_FIN_QUEUED && tp->snd_una + length == tp->write_end &&
	    seq_gt(tp->snd_max, tp->write_end))
		flags |= TCP_FLAG_FIN;
	(void)tx_segment(w, tp, tp->snd_una, length, flags);
}

/* Routes may have changed, and the MTU with them.  One that is gone is ip_tx's to tell. */
static void refresh_route(struct worker *w, struct tcp_sock *tp)
{
	struct inet_sock *inet = &tp->ics.inet;

	if (inet->dst.generation == w->route_generation)
		return;
	if (dst_resolve_slow(w, &inet->dst, inet->sk.family, &inet->flow.remote) == 0 &&
	    tp->peer_mss_bytes != 0)
		tcp_update_mss(tp, inet->dst.mtu);
}

void tcp_output(struct worker *w, struct sock *sk)
{
	struct tcp_sock *tp = tcp_sk(sk);

	switch (sk->state) {
	case TCP_CLOSE:
	case TCP_LISTEN:
		return;
	case TCP_SYN_SENT:
	case TCP_SYN_RECV:
		refresh_route(w, tp);
		if (tp->flags & TCP_SOCK_SEND_SYN)
			tx_syn(w, tp);
		else if (tp->flags & TCP_SOCK_ACK_NOW)
			tcp_tx_ack(w, tp);
		return;
	default:
		break;
	}
	refresh_route(w, tp);
	if (tp->flags & TCP_SOCK_RETRANSMIT)
		retransmit_head(w, tp);
	send_data(w, tp);
	if (tp->flags & TCP_SOCK_ACK_NOW)
		tcp_tx_ack(w, tp);
}

/* ---- segments without data ----------------------------------------------- */

void tcp_ack_now(struct worker *w, struct tcp_sock *tp)
{
	tp->flags |= TCP_SOCK_ACK_NOW;
	sock_want_output(w, tcp_sock_sk(tp));
}

/*
 * The sequence number of a segment without data: after all we sent (a timeout
 * takes snd_nxt back), but inside the peer's window, or a peer that closed it
 * over what is in flight (or refused a probe) would not look at the ACK.
 */
static uint32_t bare_seq(const struct tcp_sock *tp)
{
	return seq_min(tp->snd_max, tp->snd_una + tp->snd_wnd);
}

void tcp_tx_ack(struct worker *w, struct tcp_sock *tp)
{
	if (tp->quick_acks > 0)
		tp->quick_acks--;
	if (tx_segment(w, tp, bare_seq(tp), 0, TCP_FLAG_ACK) != 0) /* no mbuf: soon again */
		tcp_timer_set(w, tp, TCP_TIMER_DELACK, TCP_DELACK_MS);
}

void tcp_challenge_ack(struct worker *w, struct tcp_sock *tp)
{
	if (w->now_ms - tp->challenge_ms >= TCP_CHALLENGE_MS) {
		tp->challenge_ms = w->now_ms;
		tp->challenges = 0;
	}
	if (tp->challenges == TCP_CHALLENGE_LIMIT)
		return;
	tp->challenges++;
	worker_count(w, CNT_tcp_challenge_ack);
	tcp_ack_now(w, tp);
}

void tcp_tx_reset(struct worker *w, struct tcp_sock *tp)
{
	worker_count(w, CNT_tcp_tx_rst);
	(void)tx_segment(w, tp, bare_seq(tp), 0, TCP_FLAG_RST | TCP_FLAG_ACK);
}

void tcp_tx_keepalive(struct worker *w, struct tcp_sock *tp)
{
	/* RFC 9293 section 3.8.4: a sequence number the peer has acknowledged makes it answer. */
	(void)tx_segment(w, tp, tp->snd_una - 1, 0, TCP_FLAG_ACK);
}

void tcp_tx_window_probe(struct worker *w, struct tcp_sock *tp)
{
	bool has_byte = stream_end(tp) != tp->snd_una;

	worker_count(w, CNT_tcp_zero_window_probe);
	/* RFC 9293 section 3.8.6.1: at least one byte of new data, if there is any (MUST-35). */
	(void)tx_segment(w, tp, tp->snd_una, has_byte ? 1 : 0,
			 has_byte ? TCP_FLAG_ACK : TCP_FLAG_ACK | TCP_FLAG_FIN);
}

void tcp_tx_bare(struct worker *w, const struct flow *flow, struct dst *dst,
		 const struct tcp_segment *seg)
{
	struct ip_tx how = {.dst = dst, .flow = flow, .ttl = IP_TTL_DEFAULT, .dont_fragment = true};
	struct rte_mbuf *m = worker_mbuf(w);

	if (unlikely(m == NULL))
		return;
	worker_count(w, CNT_tcp_tx_segments);
	if (seg->flags & TCP_FLAG_RST)
		worker_count(w, CNT_tcp_tx_rst);
	tcp_segment_write(
		seg, flow,
		(uint8_t *)rte_pktmbuf_append(m, (uint16_t)tcp_segment_header_bytes(seg)));
	(void)ip_tx(w, &how, m);
}

void tcp_tx_reset_unknown(struct worker *w, struct packet *p)
{
	struct tcp_segment seg = {.window_scale = -1};
	struct dst dst = {.generation = 0};

	if (p->tcp.flags & TCP_FLAG_RST)
		return;
	if (p->tcp.flags & TCP_FLAG_ACK) {
		seg.seq = p->tcp.ack;
		seg.flags = TCP_FLAG_RST;
	} else {
		seg.ack = tcp_segment_end(&p->tcp);
		seg.flags = TCP_FLAG_RST | TCP_FLAG_ACK;
	}
	tcp_tx_bare(w, &p->flow, &dst, &seg);
}
