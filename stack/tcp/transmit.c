/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One segment: made of what the connection's state is, handed down, and what
 * has changed by that.
 */
#include "tcp/transmit.h"

#include "tcp/segment.h"
#include "tcp/transmit_plain.h"

/* ---- one segment --------------------------------------------------------- */

static inline void fill_timestamp(const struct worker *w, const struct tcp_sock *tp,
				  struct tcp_segment *seg)
{
	seg->has_timestamp = true;
	seg->ts_value = w->now_ms + tp->ts_offset;
	seg->ts_echo = seg->flags & TCP_FLAG_ACK ? tp->ts_recent : 0;
}

/* RFC 2018 section 4: what has arrived beyond a gap, the latest first; a duplicate before all. */
static void fill_sack(const struct tcp_sock *tp, struct tcp_segment *seg)
{
	unsigned room = tp->flags & TCP_SOCK_TIMESTAMPS ? TCP_SACK_BLOCKS - 1 : TCP_SACK_BLOCKS;

	if (tp->flags & TCP_SOCK_DSACK) {
		seg->sack[0].start = tp->dsack_start;
		seg->sack[0].end = tp->dsack_end;
		seg->sack_count = 1;
	}
	if (tp->reassembly == NULL)
		return;
	while (seg->sack_count < room) {
		unsigned i = seg->sack_count - ((tp->flags & TCP_SOCK_DSACK) != 0);

		if (!reassembly_recent(tp->reassembly, i, &seg->sack[seg->sack_count].start,
				       &seg->sack[seg->sack_count].end))
			return;
		seg->sack_count++;
	}
}

/* RFC 3168 section 6.1: new data is ECN-capable, nothing else; RFC 8257 section 3.1 asks for it on
 * everything. */
static inline uint8_t ecn_codepoint(const struct tcp_sock *tp, uint32_t seq, uint32_t length)
{
	if (likely(!(tp->flags & TCP_SOCK_ECN)))
		return 0;
	if (tp->congestion_ops->wants_ecn || (length > 0 && seq == tp->snd_nxt))
		return ECN_ECT0;
	return 0;
}

/* RFC 3168 section 6.1.2 and 6.1.3: what we saw, and that we have heard. */
static uint16_t ecn_flags(struct tcp_sock *tp, uint32_t seq, uint32_t length)
{
	uint16_t flags = 0;

	if (likely(!(tp->flags & TCP_SOCK_ECN)))
		return 0;
	if (tp->flags & TCP_SOCK_ECN_ECHO)
		flags |= TCP_FLAG_ECE;
	if (tp->flags & TCP_SOCK_ECN_CWR && length > 0 && seq == tp->snd_nxt) {
		tp->flags &= ~(uint32_t)TCP_SOCK_ECN_CWR;
		flags |= TCP_FLAG_CWR;
	}
	return flags;
}

/* mss: payload of one segment, if the port is to cut it; 0 until the peer's SYN told. */
static int hand_down(struct worker *w, struct tcp_sock *tp, struct rte_mbuf *m,
		     uint32_t payload_bytes, uint32_t mss, uint8_t ecn)
{
	struct ip_tx how = tcp_how_to_send(tp, ecn);
	uint32_t segments = 1;

	if (mss != 0 && payload_bytes > mss) {
		how.tso_segment = (uint16_t)mss;
		segments = (payload_bytes + mss - 1) / mss;
	}
	w->counter[CNT_tcp_tx_segments] += segments;
	tp->segments_out += segments;
	return ip_tx(w, &how, m);
}

static inline uint8_t *append_header(struct rte_mbuf *m, uint32_t bytes)
{
	return (uint8_t *)rte_pktmbuf_append(m, (uint16_t)bytes);
}

/* With all that may be told; how much of it SACK blocks take. */
static uint32_t write_header(const struct worker *w, struct tcp_sock *tp, struct rte_mbuf *m,
			     struct tcp_segment seg)
{
	seg.flags |= ecn_flags(tp, seg.seq, seg.length);
	if (tp->flags & TCP_SOCK_TIMESTAMPS)
		fill_timestamp(w, tp, &seg);
	if (tcp_has_sack_to_send(tp))
		fill_sack(tp, &seg);
	if (tp->flags & TCP_SOCK_URGENT)
		tcp_urgent_fill(tp, &seg);
	tcp_segment_write(&seg, &tp->ics.inet.flow,
			  append_header(m, tcp_segment_header_bytes(&seg)));
	return tcp_sack_bytes(seg.sack_count);
}

static inline bool port_takes_copies(const struct port *port)
{
	return !port->external_buffers || !port->tx_multi_segs;
}

int tcp_append_long(struct worker *w, struct tcp_sock *tp, struct rte_mbuf *m, uint32_t seq,
		    uint32_t length, uint64_t *sum)
{
	const struct port *port = w->netif[tp->ics.inet.dst.netif]->port;
	struct ring_pair *ring = &tp->ics.inet.sk.ring;
	bool copy = port_takes_copies(port);

	*sum = 0;
	if (port->tx_checksum)
		return tx_ring_append(w, ring, m, tcp_ring_offset(tp, seq), length, copy);
	return tx_ring_append_summed(w, ring, m, tcp_ring_offset(tp, seq), length, copy, sum);
}

void tcp_hand_down_plain(struct worker *w, struct tcp_sock *tp, struct rte_mbuf *m, uint32_t length,
			 uint32_t mss)
{
	(void)hand_down(w, tp, m, length, mss, 0);
}

/* Any segment, whatever its header tells. */
static int tx_any(struct worker *w, struct tcp_sock *tp, uint32_t seq, uint32_t length,
		  uint16_t flags, uint32_t mss)
{
	struct sock *sk = tcp_sock_sk(tp);
	const struct port *port = w->netif[tp->ics.inet.dst.netif]->port;
	struct rte_mbuf *m = worker_mbuf(w);
	struct tcp_segment seg = {.seq = seq,
				  .ack = tp->rcv_nxt,
				  .length = length,
				  .flags = flags,
				  .window_scale = -1};

	if (unlikely(m == NULL))
		return -ENOBUFS;
	seg.window = tcp_window_field(w, tp);
	/* Each piece carries the SACK blocks: their room goes off it. */
	mss -= write_header(w, tp, m, seg);
	if (length > 0 && tx_ring_append(w, &sk->ring, m, tcp_ring_offset(tp, seq), length,
					 port_takes_copies(port)) != 0) {
		rte_pktmbuf_free(m);
		return -ENOBUFS;
	}
	if (length > 0 || flags & TCP_FLAG_FIN)
		tcp_note_sent(w, tp);
	tcp_note_acked(tp);
	tcp_window_watch(w, tp);
	(void)hand_down(w, tp, m, length, mss, ecn_codepoint(tp, seq, length));
	return 0;
}

/* A plain segment that the port cuts into some of mss. */
static __rte_noinline int tx_train(struct worker *w, struct tcp_sock *tp, uint32_t seq,
				   uint32_t length, uint16_t flags, uint32_t mss)
{
	leat_assert(mss > 0);
	return tcp_tx_plain(w, tp, seq, length, flags, mss);
}

int tcp_tx_pieces(struct worker *w, struct tcp_sock *tp, uint32_t seq, uint32_t length,
		  uint16_t flags, uint32_t mss)
{
	if (likely(tcp_header_is_plain(tp) && flags & TCP_FLAG_ACK))
		return likely(length <= mss) ? tcp_tx_plain(w, tp, seq, length, flags, 0)
					     : tx_train(w, tp, seq, length, flags, mss);
	return tx_any(w, tp, seq, length, flags, mss);
}

/* RFC 3168 section 6.1.1; a SYN that had no answer is repeated without (6.1.1.1): some middlebox may
 * not let it pass. */
static uint16_t syn_ecn_flags(const struct worker *w, const struct tcp_sock *tp, bool first)
{
	bool wanted = w->config.ecn == ECN_REQUEST || tp->congestion_ops->wants_ecn;

	if (!first)
		return tp->flags & TCP_SOCK_ECN ? TCP_FLAG_ECE : 0;
	return wanted && !(tp->flags & TCP_SOCK_SYN_RESENT) ? TCP_FLAG_ECE | TCP_FLAG_CWR : 0;
}

/* The option and the data of a Fast Open, where they belong into this SYN or SYN-ACK. */
static uint32_t syn_fill_fastopen(struct worker *w, struct tcp_sock *tp, struct tcp_segment *seg)
{
	if (tcp_state(tp) == TCP_SYN_SENT)
		return tcp_fastopen_fill_syn(w, tp, seg);
	if (tp->flags & TCP_SOCK_FASTOPEN && !(tp->flags & TCP_SOCK_SYN_RESENT))
		tcp_fastopen_fill_cookie(w, &tp->ics.inet.flow, seg);
	return 0;
}

/* The SYN-ACK of a Fast Open: how often the peer repeats its SYN does not put off the end. */
static void note_synack_sent(struct worker *w, struct tcp_sock *tp)
{
	tp->sent_ms = w->now_ms;
	if (tcp_timer_armed(tp, TCP_TIMER_RETRANSMIT))
		return;
	if (!(tp->flags & TCP_SOCK_SYN_RESENT))
		tp->progress_ms = w->now_ms;
	tcp_timer_set_retransmit(w, tp);
}

/* The SYN's sequence number is in use from now on. */
static void note_syn_sent(struct worker *w, struct tcp_sock *tp)
{
	bool ours = tcp_syn_is_unacked(tp); /* else a Fast Open's SYN-ACK, whose time is known */

	if (ours ? tp->snd_nxt != tp->snd_una : (tp->flags & TCP_SOCK_SYN_RESENT) != 0)
		worker_count(w, CNT_tcp_retransmit);
	else if (ours)
		tp->syn_us = (uint32_t)w->now_us;
	if (ours) {
		tcp_note_sent(w, tp);
		tp->snd_nxt = tp->snd_una + 1;
	} else {
		note_synack_sent(w, tp);
		tcp_note_acked(tp);
		tcp_window_watch(w, tp);
	}
}

/* The SYN, or the SYN-ACK of a sock: after a simultaneous open or a Fast Open. */
void tcp_tx_syn(struct worker *w, struct tcp_sock *tp)
{
	struct sock *sk = tcp_sock_sk(tp);
	bool first = tcp_state(tp) == TCP_SYN_SENT;
	struct tcp_segment seg = {
		.seq = tp->snd_una - !tcp_syn_is_unacked(tp),
		.ack = first ? 0 : tp->rcv_nxt,
		.flags = first ? TCP_FLAG_SYN : TCP_FLAG_SYN | TCP_FLAG_ACK,
		.window = (uint16_t)RTE_MIN(tp->rcv_edge - tp->rcv_nxt, TCP_WINDOW_MAX),
		.mss = tcp_advertised_mss(tp, tp->ics.inet.dst.mtu),
		/* RFC 7323 section 2.2: in a SYN-ACK only when the SYN had it. */
		.window_scale =
			first || (tp->rcv_scale | tp->snd_scale) != 0 ? (int8_t)tp->rcv_scale : -1,
	};
	struct rte_mbuf *m = worker_mbuf(w);
	uint32_t length;

	tp->flags &= ~(uint32_t)TCP_SOCK_SEND_SYN;
	if (first || tp->flags & TCP_SOCK_TIMESTAMPS)
		fill_timestamp(w, tp, &seg);
	seg.sack_permitted = first || tcp_has_sack(tp);
	seg.flags |= syn_ecn_flags(w, tp, first);
	length = syn_fill_fastopen(w, tp, &seg);
	note_syn_sent(w, tp);
	if (unlikely(m == NULL))
		return; /* the timer sends it again */
	tcp_segment_write(
		&seg, &tp->ics.inet.flow,
		(uint8_t *)rte_pktmbuf_append(m, (uint16_t)tcp_segment_header_bytes(&seg)));
	if (length > 0 && tx_ring_append(w, &sk->ring, m, sk->ring.tx_head, length, true) == 0)
		tp->syn_bytes = (uint16_t)length;
	(void)hand_down(w, tp, m, 0, 0, 0);
}

uint32_t tcp_payload_limit_sack(const struct tcp_sock *tp)
{
	struct tcp_segment sack = {.sack_count = 0};

	fill_sack(tp, &sack);
	return tp->mss_bytes - tcp_sack_bytes(sack.sack_count);
}

/* ---- segments without data ----------------------------------------------- */

/*
 * The sequence number of a segment without data: after all we sent, but inside
 * the peer's window, or a peer that closed it over what is in flight (or
 * refused a probe) would not look at the ACK.
 */
static uint32_t bare_seq(const struct tcp_sock *tp)
{
	return seq_min(tp->snd_nxt, tp->snd_una + tp->snd_wnd);
}

void tcp_tx_ack(struct worker *w, struct tcp_sock *tp)
{
	if (tp->quick_acks > 0)
		tp->quick_acks--;
	if (tcp_tx_segment(w, tp, bare_seq(tp), 0, TCP_FLAG_ACK) != 0) /* no mbuf: soon again */
		tcp_timer_set(w, tp, TCP_TIMER_DELACK, TCP_DELACK_MS);
}

void tcp_tx_reset(struct worker *w, struct tcp_sock *tp)
{
	worker_count(w, CNT_tcp_tx_rst);
	(void)tcp_tx_segment(w, tp, bare_seq(tp), 0, TCP_FLAG_RST | TCP_FLAG_ACK);
}

void tcp_tx_keepalive(struct worker *w, struct tcp_sock *tp)
{
	/* RFC 9293 section 3.8.4: a sequence number the peer has acknowledged makes it answer. */
	(void)tcp_tx_segment(w, tp, tp->snd_una - 1, 0, TCP_FLAG_ACK);
}

/* ---- without a sock -------------------------------------------------------- */

void tcp_tx_bare(struct worker *w, const struct flow *flow, struct dst *dst,
		 const struct tcp_segment *seg)
{
	struct ip_tx how = {.dst = dst, .flow = flow, .ttl = IP_TTL_DEFAULT, .dont_fragment = true};
	uint32_t bytes = tcp_segment_header_bytes(seg);
	struct rte_mbuf *m = worker_mbuf(w);
	uint64_t sum;

	if (unlikely(m == NULL))
		return;
	worker_count(w, CNT_tcp_tx_segments);
	if (seg->flags & TCP_FLAG_RST)
		worker_count(w, CNT_tcp_tx_rst);
	sum = tcp_segment_write(seg, flow, append_header(m, bytes));
	/* The answer to a packet of no connection has to find its route first. */
	if (likely(dst->neigh != NULL && ip_tx_is_ready(w, &how, m, bytes)))
		ip_tx_ready(w, &how, IPPROTO_TCP, m, bytes, bytes, sum);
	else
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
