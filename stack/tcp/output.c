/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What may be sent, and sending it.  proto->output runs once per iteration
 * for each sock that asked: data first, which carries the ACK; a pure ACK
 * only when nothing else went out.
 */
#include <netinet/in.h>

#include "shm/ring.h"
#include "tcp/segment.h"
#include "tcp/tcp_sock.h"
#include "tcp/transmit.h"
#include "tcp/transmit_plain.h"

#define IP_PACKET_MAX_BYTES 65535u

/* ---- what to send -------------------------------------------------------- */

/* The sequence number where what the application wrote ends. */
static inline uint32_t stream_end(const struct tcp_sock *tp)
{
	if (tp->flags & TCP_SOCK_FIN_QUEUED)
		return tp->write_end;
	return tp->snd_una + (uint32_t)tx_ring_used(&tp->ics.inet.sk.ring);
}

/* Bytes of the stream from snd_nxt on. */
static inline uint32_t unsent_bytes(const struct tcp_sock *tp)
{
	uint32_t end = stream_end(tp);

	return seq_gt(end, tp->snd_nxt) ? end - tp->snd_nxt : 0;
}

static bool fin_is_unsent(const struct tcp_sock *tp)
{
	return tp->flags & TCP_SOCK_FIN_QUEUED && seq_le(tp->snd_nxt, tp->write_end);
}

static inline bool has_unsent(const struct tcp_sock *tp)
{
	return unsent_bytes(tp) > 0 || fin_is_unsent(tp);
}

bool tcp_has_unsent(const struct tcp_sock *tp)
{
	return has_unsent(tp);
}

/* The most one call of tcp_tx_segment takes: whole segments if the port cuts them. */
static uint32_t segment_limit(const struct worker *w, const struct tcp_sock *tp, uint32_t mss)
{
	const struct port *port = w->netif[tp->ics.inet.dst.netif]->port;
	uint32_t segments;

	/* Each segment has an urgent pointer of its own, which a port would not make. */
	if (!port->tso || tcp_is_urgent(tp))
		return mss;
	segments = (IP_PACKET_MAX_BYTES - TCP_IPV4_HEADERS - TCP_HEADER_MAX_BYTES) / mss;
	if (port->tso_max_segs != 0)
		segments = RTE_MIN(segments, (uint32_t)port->tso_max_segs);
	return RTE_MAX(segments, 1u) * mss;
}

/* What the congestion window has room for. */
static inline uint32_t cwnd_room(const struct tcp_sock *tp)
{
	uint32_t in_flight = tcp_in_flight(tp);

	return tp->sending->congestion.cwnd_bytes > in_flight
		       ? tp->sending->congestion.cwnd_bytes - in_flight
		       : 0;
}

/* Asked of both ends: after 2 GiB without one, snd_small would seem to lie ahead of snd_una. */
static inline bool small_in_flight(const struct tcp_sock *tp)
{
	return seq_gt(tp->snd_small, tp->snd_una) && seq_le(tp->snd_small, tp->snd_nxt);
}

/*
 * May a segment below a full one go now?  RFC 9293 sections 3.7.4 (Nagle, in
 * Minshall's form: only an unacknowledged small segment holds the next one
 * back) and 3.8.6.2.1 (silly windows).
 */
static inline bool small_may_go(const struct tcp_sock *tp, uint32_t length, bool all)
{
	if (tp->flags & TCP_SOCK_FORCE)
		return true;
	if (all && (tp->flags & TCP_SOCK_FIN_QUEUED || tcp_is_urgent(tp)))
		return true;
	if (all)
		return !tcp_is_corked(tp) && (tp->flags & TCP_SOCK_NODELAY || !small_in_flight(tp));
	return length >= tp->snd_wnd_max / 2;
}

/* Is the byte at seq inside the peer's window? */
static bool peer_takes(const struct tcp_sock *tp, uint32_t seq)
{
	return seq_lt(seq, tp->snd_una + tp->snd_wnd);
}

/* What the peer's window has room for from snd_nxt on. */
static inline uint32_t window_room(const struct tcp_sock *tp)
{
	uint32_t flight = tp->snd_nxt - tp->snd_una;

	return tp->snd_wnd > flight ? tp->snd_wnd - flight : 0;
}

/* How many bytes to send from snd_nxt on now; 0: none. */
static uint32_t next_length(struct worker *w, struct tcp_sock *tp, uint32_t mss)
{
	uint32_t cwnd = cwnd_room(tp);
	uint32_t unsent = unsent_bytes(tp);
	uint32_t length, rest;

	length = RTE_MIN(unsent, window_room(tp));
	if (cwnd < length) {
		tp->flags |= TCP_SOCK_CWND_LIMITED;
		length = cwnd;
	}
	length = RTE_MIN(length, segment_limit(w, tp, mss));
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

/* ---- pacing ------------------------------------------------------------------ */

static void paced_fire(void *context, struct appointment *a)
{
	struct tcp_sending *s = container_of(a, struct tcp_sending, paced);

	sock_want_output(context, tcp_sock_sk(s->tp));
}

/* May a segment go now?  If not, output comes by again when it may. */
static bool pace_allows(struct worker *w, struct tcp_sock *tp)
{
	uint64_t rate = tcp_pacing_rate(tp);
	uint64_t next_us;

	if (likely(rate == 0))
		return true;
	next_us = pacing_next_us(&tp->sending->pacing, rate, w->now_us);
	/* With the calendar full it goes early. */
	return next_us <= w->now_us ||
	       !calendar_set(&w->calendar, &tp->sending->paced, next_us, paced_fire);
}

static void pace_sent(struct worker *w, struct tcp_sock *tp, uint32_t bytes)
{
	uint64_t rate = tcp_pacing_rate(tp);

	if (unlikely(rate != 0))
		pacing_sent(&tp->sending->pacing, rate, tp->mss_bytes, bytes, w->now_us);
}

/* [snd_nxt, end) left, and tp->sending->flight knows. */
static inline void new_data_sent(struct worker *w, struct tcp_sock *tp, uint32_t end)
{
	if (tp->recovery != RECOVERY_NONE)
		prr_sent(&tp->sending->prr, end - tp->snd_nxt);
	pace_sent(w, tp, end - tp->snd_nxt);
	tp->snd_nxt = end;
	tp->flags &= ~(uint32_t)TCP_SOCK_FORCE;
	tp->quick_acks = 0; /* it is a dialogue: ACKs ride on what we send */
}

/* [snd_nxt, end) left. */
static inline void advance_snd_nxt(struct worker *w, struct tcp_sock *tp, uint32_t end)
{
	(void)flight_sent(&tp->sending->flight, &w->tcp->flights, tp->snd_nxt, end, tp->snd_una,
			  (uint32_t)w->now_us);
	new_data_sent(w, tp, end);
}

/* Does a probe for a larger MTU make sense now?  RFC 4821 section 7.4: with enough behind it that
 * its loss is noticed at once; but when all may have been a mistake it need not be, or those who
 * send little would send it in small pieces for ever. */
static bool mtu_probe_is_worthwhile(const struct tcp_sock *tp, uint32_t length)
{
	uint32_t behind = tp->plpmtud.top ? 0 : TCP_DUPACK_LIMIT * tp->mss_bytes;
	uint32_t needed = length + behind;

	return length != 0 && unsent_bytes(tp) >= needed && tp->snd_wnd >= needed &&
	       tp->sending->congestion.cwnd_bytes >= needed && !tcp_has_sack_to_send(tp);
}

/* New data in one packet larger than others.  True: nothing else is to go before it does. */
static bool send_mtu_probe(struct worker *w, struct tcp_sock *tp)
{
	uint32_t length = tcp_mtu_probe_bytes(w, tp);
	uint32_t end = tp->snd_nxt + length;

	if (!mtu_probe_is_worthwhile(tp, length))
		return false;
	/* What is in flight makes room soon. */
	if (RTE_MIN(cwnd_room(tp), window_room(tp)) < length) {
		tp->flags |= TCP_SOCK_CWND_LIMITED;
		return true;
	}
	if (!pace_allows(w, tp) ||
	    tcp_tx_pieces(w, tp, tp->snd_nxt, length, TCP_FLAG_ACK, length) != 0)
		return true;
	(void)flight_sent_mtu_probe(&tp->sending->flight, &w->tcp->flights, tp->snd_nxt, end,
				    tp->snd_una, (uint32_t)w->now_us);
	new_data_sent(w, tp, end);
	tcp_mtu_probe_sent(w, tp, length);
	return false;
}

/* True: something went out. */
static bool send_next(struct worker *w, struct tcp_sock *tp)
{
	uint32_t mss = tcp_payload_limit(tp);
	uint32_t length = next_length(w, tp, mss);
	uint16_t flags = TCP_FLAG_ACK;

	if (fin_goes_with(tp, length))
		flags |= TCP_FLAG_FIN;
	else if (length == 0)
		return false;
	if (!pace_allows(w, tp) || !flight_has_room(&tp->sending->flight, &w->tcp->flights))
		return false;
	if (length == unsent_bytes(tp))
		flags |= TCP_FLAG_PSH;
	if (tcp_tx_segment(w, tp, tp->snd_nxt, length, flags) != 0)
		return false;
	if (length % mss != 0)
		tp->snd_small = tp->snd_nxt + length;
	advance_snd_nxt(w, tp, tp->snd_nxt + length + ((flags & TCP_FLAG_FIN) != 0));
	return true;
}

static void send_all_new(struct worker *w, struct tcp_sock *tp)
{
	bool sent = false;

	if (unlikely(tp->plpmtud.state >= PLPMTUD_SEARCH) && send_mtu_probe(w, tp))
		return;
	while (send_next(w, tp))
		sent = true;
	if (sent)
		tcp_probe_schedule(w, tp);
}

/* New data is about to go, for the first time or after all was acknowledged: does the window still
 * hold? */
static inline void begin_sending(struct worker *w, struct tcp_sock *tp)
{
	uint32_t idle_ms = w->now_ms - tp->sent_ms;
	uint32_t rto_ms = RTO_MIN_MS; /* it is no less: that does for a pause that is shorter */

	if (tp->snd_una != tp->snd_nxt)
		return;
	if (unlikely(idle_ms >= RTO_MIN_MS)) {
		idle_ms = RTE_MIN(idle_ms, TCP_IDLE_MAX_MS);
		rto_ms = rtt_rto_ms(&tp->rtt);
	}
	tp->congestion_ops->restart(&tp->sending->congestion, idle_ms * 1000, rto_ms * 1000,
				    w->now_us);
}

/* What is left waits for an ACK, for the window or for an mbuf; the timer sees to it that the wait
 * ends. */
static inline void watch_unsent(struct worker *w, struct tcp_sock *tp)
{
	if (likely(tcp_timer_armed(tp, TCP_TIMER_RETRANSMIT)) ||
	    (tp->snd_una == tp->snd_nxt && !has_unsent(tp)))
		return;
	if (tp->snd_una == tp->snd_nxt)
		tp->progress_ms = w->now_ms;
	if (tp->snd_una == tp->snd_nxt && tp->snd_wnd > 0 && tcp_is_corked(tp))
		tcp_timer_set(w, tp, TCP_TIMER_RETRANSMIT, TCP_CORK_MS);
	else
		tcp_timer_set_retransmit(w, tp);
}

static void send_new(struct worker *w, struct tcp_sock *tp)
{
	if (has_unsent(tp))
		begin_sending(w, tp);
	send_all_new(w, tp);
	watch_unsent(w, tp);
}

/* The first length sequence numbers of what this record holds, once more.  False: no mbuf. */
static bool resend(struct worker *w, struct tcp_sock *tp, uint32_t index, uint32_t length)
{
	uint32_t seq = flight_at(&w->tcp->flights, index)->seq;
	uint32_t end = seq + length;
	bool fin = tp->flags & TCP_SOCK_FIN_QUEUED && end == tp->write_end + 1;

	if (tcp_tx_segment(w, tp, seq, length - fin, TCP_FLAG_ACK | (fin ? TCP_FLAG_FIN : 0)) != 0)
		return false;
	prr_sent(&tp->sending->prr, length);
	pace_sent(w, tp, length);
	tp->resent_bytes += length - fin;
	tp->resent_segments += RTE_MAX(length / tp->mss_bytes, 1u);
	tcp_recovery_resent(w, tp, index, length);
	return true;
}

/* What is lost and has its place in the window goes again. */
static void send_lost(struct worker *w, struct tcp_sock *tp)
{
	uint32_t mss = tcp_payload_limit(tp);
	uint32_t limit = segment_limit(w, tp, mss);
	uint32_t index;

	while ((index = flight_next_lost(&tp->sending->flight, &w->tcp->flights)) != FLIGHT_NONE) {
		const struct flight_record *r = flight_at(&w->tcp->flights, index);
		uint32_t length = RTE_MIN(r->end - r->seq, limit);
		uint32_t room = cwnd_room(tp);
		uint32_t whole = RTE_MAX(room / mss, 1u) * mss;

		if (room < RTE_MIN(length, mss) || !peer_takes(tp, r->seq)) {
			tp->flags |= TCP_SOCK_CWND_LIMITED;
			return;
		}
		if (!pace_allows(w, tp) || !resend(w, tp, index, RTE_MIN(length, whole)))
			return;
	}
	if (flight_search_goes_on(&tp->sending->flight))
		sock_want_output(w, tcp_sock_sk(tp));
}

/* The BBR draft's section 4.1.2.4: the path could have carried more than there was to send. */
static inline void note_app_limited(struct tcp_sock *tp)
{
	struct flight *f = &tp->sending->flight;

	if (tp->flags & TCP_SOCK_CWND_LIMITED || has_unsent(tp) || f->lost_bytes > f->resent_bytes)
		return;
	f->app_limited = RTE_MAX(f->delivered + tcp_in_flight(tp), UINT64_C(1));
}

/* F-RTO's question: new data alone, which the next ACK is to tell of.  False: the peer's window or
 * the sender's own rules let none go, so the question is dropped (RFC 5682 section 2.1, 2 b). */
static bool send_new_first(struct worker *w, struct tcp_sock *tp)
{
	send_new(w, tp);
	if (seq_gt(tp->snd_nxt, tp->sending->recover))
		return true;
	tp->flags &= ~(uint32_t)(TCP_SOCK_FRTO | TCP_SOCK_PREFER_NEW);
	return false;
}

static void send_data(struct worker *w, struct tcp_sock *tp)
{
	if (tp->sending == NULL && !(has_unsent(tp) && tcp_sending_begin(w, tp)))
		return;
	tp->flags &= ~(uint32_t)TCP_SOCK_CWND_LIMITED;
	if (unlikely(tp->flags & TCP_SOCK_PREFER_NEW) && send_new_first(w, tp))
		return;
	if (tp->sending->flight.lost_bytes > 0)
		send_lost(w, tp);
	send_new(w, tp);
	note_app_limited(tp);
}

void tcp_tx_loss_probe(struct worker *w, struct tcp_sock *tp)
{
	uint32_t mss = tcp_payload_limit(tp);
	uint32_t length = RTE_MIN(unsent_bytes(tp), window_room(tp));

	length = RTE_MIN(length, mss);
	tp->flags &= ~(uint32_t)TCP_SOCK_PROBE_RESENT;
	if (length > 0 && flight_has_room(&tp->sending->flight, &w->tcp->flights)) {
		if (tcp_tx_segment(w, tp, tp->snd_nxt, length, TCP_FLAG_ACK | TCP_FLAG_PSH) != 0)
			return;
		advance_snd_nxt(w, tp, tp->snd_nxt + length);
	} else {
		uint32_t last = flight_tail(&tp->sending->flight, &w->tcp->flights, mss);
		const struct flight_record *r = flight_at(&w->tcp->flights, last);

		if (!resend(w, tp, last, RTE_MIN(r->end - r->seq, mss)))
			return;
		tp->flags |= TCP_SOCK_PROBE_RESENT;
	}
	worker_count(w, CNT_tcp_loss_probe);
	tp->sending->probe_end = tp->snd_nxt;
	tp->flags |= TCP_SOCK_PROBE_SENT;
	tp->flags &= ~(uint32_t)TCP_SOCK_RTT_TAKEN;
}

/* ---- the ordinary case --------------------------------------------------------- */

/* What output does not do when it sends what there is, segment by segment. */
#define OUTPUT_FLAGS                                                                      \
	(TCP_SOCK_SEND_SYN | TCP_SOCK_FORCE | TCP_SOCK_FIN_QUEUED | TCP_SOCK_PREFER_NEW | \
	 TCP_SOCK_URGENT | TCP_SOCK_DSACK)

static inline bool nothing_special(const struct worker *w, const struct tcp_sock *tp)
{
	const struct sock *sk = &tp->ics.inet.sk;

	return sk->state == TCP_ESTABLISHED && !(tp->flags & OUTPUT_FLAGS) &&
	       !(sk->flags & (SOCK_TX_LIMIT | SOCK_TX_URGENT)) &&
	       tp->ics.inet.dst.generation == w->route_generation &&
	       tp->plpmtud.state < PLPMTUD_SEARCH && tp->reassembly == NULL &&
	       tp->recovery == RECOVERY_NONE;
}

/* Is all that is in flight on its way, and may more go at any time? */
static inline bool sending_is_smooth(const struct tcp_sock *tp)
{
	const struct flight *f = &tp->sending->flight;

	return (f->sacked_bytes | f->lost_bytes | f->resent_bytes | tp->dupacks) == 0 &&
	       tcp_pacing_rate(tp) == 0;
}

/* How much of unsent bytes goes now: whole segments, and what is left if it may, too. */
static inline uint32_t smooth_length(struct tcp_sock *tp, uint32_t unsent)
{
	uint32_t flight = tp->snd_nxt - tp->snd_una;
	uint32_t cwnd_bytes = tp->sending->congestion.cwnd_bytes;
	uint32_t length = RTE_MIN(unsent, window_room(tp));

	if (unlikely(flight + length > cwnd_bytes)) {
		tp->flags |= TCP_SOCK_CWND_LIMITED;
		length = cwnd_bytes > flight ? cwnd_bytes - flight : 0;
	}
	return length;
}

/* [start, snd_nxt) left. */
static inline void note_flight(struct worker *w, struct tcp_sock *tp, uint32_t start)
{
	struct flight *f = &tp->sending->flight;
	struct flight_pool *pool = &w->tcp->flights;

	if (tp->snd_una == start)
		flight_sent_first(f, pool, start, tp->snd_nxt, (uint32_t)w->now_us);
	else
		(void)flight_sent(f, pool, start, tp->snd_nxt, tp->snd_una, (uint32_t)w->now_us);
}

/* One segment, with no special flag.  False: no mbuf. */
static inline bool send_smooth(struct worker *w, struct tcp_sock *tp, uint32_t length, bool last)
{
	uint16_t flags = last ? TCP_FLAG_ACK | TCP_FLAG_PSH : TCP_FLAG_ACK;
	int err;

	if (likely(!(tp->flags & TCP_SOCK_ECN)))
		err = tcp_tx_plain(w, tp, tp->snd_nxt, length, flags, 0);
	else
		err = tcp_tx_segment(w, tp, tp->snd_nxt, length, flags);
	if (err != 0)
		return false;
	tp->snd_nxt += length;
	return true;
}

/* small_may_go where no flag of OUTPUT_FLAGS is set. */
static inline bool rest_may_go(const struct tcp_sock *tp, uint32_t length, bool all)
{
	if (unlikely(!all))
		return length >= tp->snd_wnd_max / 2;
	return !tcp_is_corked(tp) && (tp->flags & TCP_SOCK_NODELAY || !small_in_flight(tp));
}

/* Whole segments of these length bytes, of unsent ones, and the rest if it may go. */
static inline void send_segments(struct worker *w, struct tcp_sock *tp, uint32_t length,
				 uint32_t unsent)
{
	uint32_t mss = tp->mss_bytes;

	while (length > 0) {
		uint32_t bytes = RTE_MIN(length, mss);

		if (bytes < mss && !rest_may_go(tp, bytes, bytes == unsent))
			return;
		if (!send_smooth(w, tp, bytes, bytes == unsent))
			return;
		if (bytes < mss)
			tp->snd_small = tp->snd_nxt;
		length -= bytes;
		unsent -= bytes;
	}
}

/* What send_new does of these bytes, a record's worth at most.  True: all that was unsent left. */
static inline bool send_smoothly(struct worker *w, struct tcp_sock *tp, uint32_t length,
				 uint32_t unsent)
{
	uint32_t start = tp->snd_nxt;

	begin_sending(w, tp);
	send_segments(w, tp, length, unsent);
	if (tp->snd_nxt == start)
		return false;
	note_flight(w, tp, start);
	tp->quick_acks = 0;
	if ((tp->flags & (TCP_SOCK_SACK | TCP_SOCK_PROBE_SENT)) == TCP_SOCK_SACK)
		tcp_probe_arm(w, tp);
	return tp->snd_nxt - start == unsent;
}

/* May it go like that? */
static inline bool goes_smoothly(const struct worker *w, const struct tcp_sock *tp, uint32_t length)
{
	return length <= FLIGHT_RECORD_MAX_BYTES &&
	       flight_has_record(&tp->sending->flight, &w->tcp->flights) &&
	       (length <= tp->mss_bytes || !w->netif[tp->ics.inet.dst.netif]->port->tso);
}

/* note_app_limited where all is sent and nothing is lost. */
static inline void all_is_sent(struct tcp_sock *tp)
{
	struct flight *f = &tp->sending->flight;

	f->app_limited = RTE_MAX(f->delivered + (tp->snd_nxt - tp->snd_una), UINT64_C(1));
}

/* What send_data does where nothing asks for more.  False: it has not. */
static inline bool send_ordinary(struct worker *w, struct tcp_sock *tp)
{
	uint32_t unsent;

	if (!nothing_special(w, tp))
		return false;
	unsent = unsent_bytes(tp);
	if (tp->sending == NULL)
		return unsent == 0;
	if (!sending_is_smooth(tp))
		return false;
	tp->flags &= ~(uint32_t)TCP_SOCK_CWND_LIMITED;
	if (likely(unsent > 0)) {
		uint32_t length = smooth_length(tp, unsent);

		if (!goes_smoothly(w, tp, length))
			return false;
		if (likely(send_smoothly(w, tp, length, unsent))) {
			all_is_sent(tp);
			return true;
		}
	}
	watch_unsent(w, tp);
	note_app_limited(tp);
	return true;
}

/* ---- output ---------------------------------------------------------------------- */

/* Routes may have changed, and the MTU with them.  One that is gone is ip_tx's to tell. */
static void refresh_route(struct worker *w, struct tcp_sock *tp)
{
	struct inet_sock *inet = &tp->ics.inet;

	if (inet->dst.generation == w->route_generation)
		return;
	if (dst_resolve_slow(w, &inet->dst, inet->sk.family, &inet->flow.remote) == 0)
		tcp_mtu_route_changed(w, tp);
}

void tcp_tx_limit(const struct sock *sk, uint32_t *limit_bytes, uint32_t *mark_bytes)
{
	const struct tcp_sock *tp = container_of(sk, const struct tcp_sock, ics.inet.sk);
	uint32_t flight = tp->snd_nxt - tp->snd_una;
	uint32_t room = sk->sndbuf_bytes > flight ? sk->sndbuf_bytes - flight : 0;

	room = RTE_MIN(room, tp->options->notsent_lowat_bytes);
	*limit_bytes = flight + room;
	*mark_bytes = RTE_MIN(sk->sndbuf_bytes / 3, tp->options->notsent_lowat_bytes / 2);
}

/* What left makes room for the application to write, where that counts. */
static void tell_limit(struct worker *w, struct tcp_sock *tp)
{
	bool writable = unsent_bytes(tp) <= tp->options->notsent_lowat_bytes / 2;

	sock_raise(w, tcp_sock_sk(tp), writable ? LEAT_EV_OUT : 0);
}

static void output_any(struct worker *w, struct tcp_sock *tp)
{
	struct sock *sk = tcp_sock_sk(tp);

	switch (sk->state) {
	case TCP_CLOSE:
	case TCP_LISTEN:
		return;
	case TCP_SYN_SENT:
	case TCP_SYN_RECV:
		refresh_route(w, tp);
		if (tp->flags & TCP_SOCK_SEND_SYN)
			tcp_tx_syn(w, tp);
		else if (tp->flags & TCP_SOCK_ACK_NOW)
			tcp_tx_ack(w, tp);
		if (!(tp->flags & TCP_SOCK_FASTOPEN))
			return;
		break;
	default:
		break;
	}
	refresh_route(w, tp);
	tcp_urgent_look(w, tp);
	send_data(w, tp);
	if (unlikely(sk->flags & SOCK_TX_LIMIT))
		tell_limit(w, tp);
	if (tp->flags & TCP_SOCK_ACK_NOW)
		tcp_tx_ack(w, tp);
}

void tcp_output(struct worker *w, struct sock *sk)
{
	struct tcp_sock *tp = tcp_sk(sk);

	if (!send_ordinary(w, tp))
		output_any(w, tp);
	else if (tp->flags & TCP_SOCK_ACK_NOW)
		tcp_tx_ack(w, tp);
}

/* ---- segments that tell something but data -------------------------------- */

void tcp_ack_now(struct worker *w, struct tcp_sock *tp)
{
	tp->flags |= TCP_SOCK_ACK_NOW;
	sock_want_output(w, tcp_sock_sk(tp));
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

void tcp_tx_window_probe(struct worker *w, struct tcp_sock *tp)
{
	bool has_byte = stream_end(tp) != tp->snd_una;
	uint16_t flags = has_byte ? TCP_FLAG_ACK : TCP_FLAG_ACK | TCP_FLAG_FIN;

	worker_count(w, CNT_tcp_zero_window_probe);
	/* RFC 9293 section 3.8.6.1: at least one byte of new data, if there is any (MUST-35). */
	if (tp->snd_una != tp->snd_nxt) {
		struct flight_pool *pool = &w->tcp->flights;

		/* What the peer had and does not acknowledge it threw away (RFC 2018 section 8). */
		if (flight_at(pool, tp->sending->flight.first)->flags & FLIGHT_SACKED)
			flight_mark_all_lost(&tp->sending->flight, pool, true);
		(void)resend(w, tp, tp->sending->flight.first, 1);
	} else if (flight_has_room(&tp->sending->flight, &w->tcp->flights) &&
		   tcp_tx_segment(w, tp, tp->snd_una, has_byte ? 1 : 0, flags) == 0) {
		advance_snd_nxt(w, tp, tp->snd_una + 1);
	}
}
