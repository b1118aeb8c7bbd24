/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A plain segment, from the sock's state to the port in one function: no more
 * in its header than each has, and a timestamp.
 */
#ifndef LEAT_TCP_TRANSMIT_PLAIN_H
#define LEAT_TCP_TRANSMIT_PLAIN_H

#include <errno.h>
#include <netinet/in.h>

#include "net/ip_tx.h"
#include "shm/ring_tx.h"
#include "tcp/tcp_sock.h"

/* ---- what each segment changes ---------------------------------------------- */

/* Something that occupies sequence numbers left: a timer watches it. */
static inline void tcp_note_sent(struct worker *w, struct tcp_sock *tp)
{
	if (tp->snd_una == tp->snd_nxt)
		tp->progress_ms = w->now_ms;
	tp->sent_ms = w->now_ms;
	/* RFC 6298 (5.1); with nothing in flight before, the timer was not about a retransmission. */
	if (!tcp_timer_armed(tp, TCP_TIMER_RETRANSMIT) || tp->snd_una == tp->snd_nxt)
		tcp_timer_set_retransmit(w, tp);
}

/* The peer knows now what we have received. */
static inline void tcp_note_acked(struct tcp_sock *tp)
{
	tp->rcv_acked = tp->rcv_nxt;
	tp->flags &= ~(uint32_t)(TCP_SOCK_ACK_NOW | TCP_SOCK_DSACK);
	tcp_timer_stop(tp, TCP_TIMER_DELACK);
}

/* ---- what it is made of --------------------------------------------------------- */

static inline struct ip_tx tcp_how_to_send(struct tcp_sock *tp, uint8_t ecn)
{
	return (struct ip_tx){
		.dst = &tp->ics.inet.dst,
		.flow = &tp->ics.inet.flow,
		.ttl = tp->ics.inet.ttl,
		.traffic_class = tp->ics.inet.traffic_class | ecn,
		.dont_fragment = tp->ics.inet.mtu_discover != IP_PMTUDISC_DONT,
	};
}

/* Where in the send ring seq lies. */
static inline uint64_t tcp_ring_offset(const struct tcp_sock *tp, uint32_t seq)
{
	return tp->ics.inet.sk.ring.tx_head + (seq - tp->snd_una);
}

/* No more than the header each segment has, and a timestamp?  Nearly always. */
static inline bool tcp_header_is_plain(const struct tcp_sock *tp)
{
	return !(tp->flags & (TCP_SOCK_ECN | TCP_SOCK_DSACK | TCP_SOCK_URGENT)) &&
	       tp->reassembly == NULL;
}

/* ---- transmit.c: where it is not so simple ------------------------------------- */

/* The payload of a plain segment, many bytes of it, or in several places; its sum, unless the port
 * makes checksums.  0 or -ENOBUFS. */
int tcp_append_long(struct worker *w, struct tcp_sock *tp, struct rte_mbuf *m, uint32_t seq,
		    uint32_t length, uint64_t *sum);
/* A segment that is not ready to go (ip_tx_is_ready). */
void tcp_hand_down_plain(struct worker *w, struct tcp_sock *tp, struct rte_mbuf *m, uint32_t length,
			 uint32_t mss);

/* ---- the segment ------------------------------------------------------------------ */

/* The header of a plain segment, with the timestamp or without; its sum. */
static inline uint64_t tcp_write_plain(const struct worker *w, const struct tcp_sock *tp,
				       uint8_t *at, uint32_t header_bytes, uint32_t seq,
				       uint16_t flags, uint16_t window)
{
	uint32_t value = w->now_ms + tp->ts_offset;
	uint32_t echo = tp->ts_recent;
	uint64_t sum = tcp_write_fixed(at, &tp->ics.inet.flow, header_bytes, seq, tp->rcv_nxt,
				       (uint8_t)flags, window);

	if (likely(header_bytes > TCP_HEADER_BYTES))
		sum += tcp_write_timestamp(at + TCP_HEADER_BYTES, value, echo);
	return sum;
}

/*
 * tcp_tx_pieces with TCP_FLAG_ACK where tcp_header_is_plain: summed as it is
 * written, unless the port makes checksums.  mss: payload of one segment, if
 * the port is to cut it; else 0, a constant where this is called.
 */
static __rte_always_inline int tcp_tx_plain(struct worker *w, struct tcp_sock *tp, uint32_t seq,
					    uint32_t length, uint16_t flags, uint32_t mss)
{
	uint32_t header_bytes = TCP_HEADER_BYTES +
				(tp->flags & TCP_SOCK_TIMESTAMPS ? TCP_TIMESTAMP_BYTES : 0);
	uint32_t head_bytes = header_bytes + length;
	uint32_t segments = mss == 0 ? 1 : (length + mss - 1) / mss;
	bool port_sums = ip_tx_port_sums(w, &tp->ics.inet.dst);
	struct rte_mbuf *m = worker_mbuf(w);
	struct ip_tx how;
	uint8_t *at;
	uint64_t sum;

	if (unlikely(m == NULL))
		return -ENOBUFS;
	at = rte_pktmbuf_mtod(m, uint8_t *);
	sum = tcp_write_plain(w, tp, at, header_bytes, seq, flags, tcp_window_field(w, tp));
	if (length > 0 &&
	    unlikely(!tx_ring_copy_short(w, &tp->ics.inet.sk.ring, at + header_bytes,
					 tcp_ring_offset(tp, seq), length, port_sums, &sum))) {
		uint64_t part;

		m->data_len = (uint16_t)header_bytes;
		m->pkt_len = header_bytes;
		if (tcp_append_long(w, tp, m, seq, length, &part) != 0) {
			rte_pktmbuf_free(m);
			return -ENOBUFS;
		}
		sum = checksum_add(sum, part);
		head_bytes = m->data_len;
	}
	if (length > 0 || flags & TCP_FLAG_FIN)
		tcp_note_sent(w, tp);
	tcp_note_acked(tp);
	tcp_window_watch(w, tp);
	how = tcp_how_to_send(tp, 0);
	how.tso_segment = (uint16_t)mss;
	if (unlikely(!ip_tx_is_ready(w, &how, m, header_bytes + length))) {
		m->data_len = (uint16_t)head_bytes;
		m->pkt_len = header_bytes + length;
		tcp_hand_down_plain(w, tp, m, length, mss);
		return 0;
	}
	w->counter[CNT_tcp_tx_segments] += segments;
	tp->segments_out += segments;
	ip_tx_ready(w, &how, IPPROTO_TCP, m, head_bytes, header_bytes + length, sum);
	return 0;
}

#endif
