/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection's path MTU: what its packets met is told to plpmtud.c, which
 * knows no socks, and what that concludes is done here.  output.c sends the
 * probes.
 */
#include <netinet/in.h>

#include "tcp/segment.h"
#include "tcp/tcp_sock.h"

#define MINUTE_US 60000000u

static uint64_t now_minute(const struct worker *w)
{
	return w->now_us / MINUTE_US;
}

/* In front of the text of a full segment. */
static uint32_t header_bytes(const struct tcp_sock *tp)
{
	return tcp_packet_bytes(tp, 0);
}

/* The largest packet that interface and peer take. */
static uint16_t packet_limit(const struct tcp_sock *tp)
{
	uint16_t mtu = tp->ics.inet.dst.mtu;
	uint32_t mss_bytes = RTE_MIN(tcp_advertised_mss(tp, mtu), tp->peer_mss_bytes);

	return (uint16_t)RTE_MIN(mss_bytes + TCP_IPV4_HEADERS, mtu);
}

/* Without the bit that forbids fragments a packet's arrival says nothing. */
static bool may_probe(const struct worker *w, const struct tcp_sock *tp)
{
	return w->config.mtu_probing != MTU_PROBING_OFF &&
	       tp->ics.inet.mtu_discover != IP_PMTUDISC_DONT;
}

/* As Linux: one who says DONT or PROBE does not heed messages. */
static bool heeds_messages(const struct tcp_sock *tp)
{
	return tp->ics.inet.mtu_discover == IP_PMTUDISC_WANT ||
	       tp->ics.inet.mtu_discover == IP_PMTUDISC_DO;
}

void tcp_mtu_init(const struct worker *w, struct tcp_sock *tp)
{
	if (w->config.mtu_probing == MTU_PROBING_ALWAYS)
		plpmtud_init_small(&tp->plpmtud, tp->ics.inet.dst.mtu);
	else
		plpmtud_init(&tp->plpmtud, tp->ics.inet.dst.mtu);
	tcp_update_mss(tp);
}

/* What is in flight as a probe, or as parts of one, goes on as ordinary data. */
static void forget_probe(struct worker *w, struct tcp_sock *tp)
{
	struct flight_pool *pool = &w->tcp->flights;
	uint32_t index;

	if (tp->sending == NULL)
		return;
	while ((index = flight_mtu_probe(&tp->sending->flight, pool)) != FLIGHT_NONE)
		flight_at(pool, index)->flags &= ~(uint32_t)FLIGHT_MTU_PROBE;
	plpmtud_probe_inconclusive(&tp->plpmtud);
}

void tcp_mtu_route_changed(struct worker *w, struct tcp_sock *tp)
{
	struct plpmtud *p = &tp->plpmtud;
	uint16_t mtu = tp->ics.inet.dst.mtu;

	if (tp->peer_mss_bytes == 0) /* the peer's SYN has not come */
		return;
	if (mtu == p->mtu) /* there is nothing larger to look for */
		return;
	forget_probe(w, tp);
	if (p->state == PLPMTUD_DISABLED || mtu < p->mtu ||
	    w->config.mtu_probing == MTU_PROBING_OFF)
		tcp_mtu_init(w, tp);
	else
		plpmtud_search(p);
}

/* ---- probes -------------------------------------------------------------------- */

/* RFC 4821 section 7.4: while nothing is missing, or it would not be known what the probe's fate
 * means. */
uint32_t tcp_mtu_probe_bytes(const struct worker *w, struct tcp_sock *tp)
{
	const struct flight *f = &tp->sending->flight;
	uint16_t size;

	if (!may_probe(w, tp) || tp->recovery != RECOVERY_NONE || f->sacked_bytes > 0 ||
	    f->lost_bytes > 0 || tp->dupacks > 0 || !flight_has_record(f, &w->tcp->flights))
		return 0;
	size = plpmtud_probe_size(&tp->plpmtud, packet_limit(tp), now_minute(w));
	return size != 0 ? size - header_bytes(tp) : 0;
}

void tcp_mtu_probe_sent(struct worker *w, struct tcp_sock *tp, uint32_t payload_bytes)
{
	worker_count(w, CNT_tcp_mtu_probe);
	plpmtud_probe_sent(&tp->plpmtud, (uint16_t)(payload_bytes + header_bytes(tp)));
}

static bool is_lost_alone(const struct worker *w, const struct tcp_sock *tp, uint64_t lost_bytes)
{
	uint32_t index = flight_mtu_probe(&tp->sending->flight, &w->tcp->flights);
	const struct flight_record *r;

	if (index == FLIGHT_NONE || tp->recovery >= RECOVERY_FAST)
		return false;
	r = flight_at(&w->tcp->flights, index);
	return r->flags & FLIGHT_LOST && r->end - r->seq == lost_bytes;
}

bool tcp_mtu_probe_is_lost(struct worker *w, struct tcp_sock *tp, uint64_t lost_bytes)
{
	bool alone = is_lost_alone(w, tp, lost_bytes);

	if (alone) {
		tp->sending->flight.lost -=
			lost_bytes; /* the path's rate has nothing to do with it */
		worker_count(w, CNT_tcp_mtu_probe_lost);
		plpmtud_probe_lost(&tp->plpmtud, now_minute(w));
	}
	forget_probe(w, tp); /* else RFC 4821 section 7.6.4: inconclusive */
	return alone;
}

void tcp_mtu_resent(struct worker *w, struct tcp_sock *tp, uint32_t index)
{
	if (flight_at(&w->tcp->flights, index)->flags & FLIGHT_MTU_PROBE)
		forget_probe(w, tp);
}

/* ---- what arrived, what did not --------------------------------------------------- */

void tcp_mtu_ack(struct worker *w, struct tcp_sock *tp, const struct flight_delivery *d)
{
	if (d->mtu_probe && tp->plpmtud.probe != 0) {
		worker_count(w, CNT_tcp_mtu_probe_acked);
		plpmtud_probe_acked(&tp->plpmtud, now_minute(w));
		forget_probe(w, tp); /* a rest of it that is in flight still does not count twice */
		tcp_update_mss(tp);
	}
	if (d->original)
		plpmtud_packet_acked(&tp->plpmtud, tcp_packet_bytes(tp, d->largest_bytes));
}

/* RFC 4821 section 7.6.3: a probe that a timeout finds missing first is a failed one. */
static void probe_timed_out(struct worker *w, struct tcp_sock *tp)
{
	if (flight_mtu_probe(&tp->sending->flight, &w->tcp->flights) == tp->sending->flight.first)
		plpmtud_probe_lost(&tp->plpmtud, now_minute(w));
	forget_probe(w, tp);
}

void tcp_mtu_timeout(struct worker *w, struct tcp_sock *tp)
{
	struct plpmtud *p = &tp->plpmtud;

	if (p->probe != 0)
		probe_timed_out(w, tp);
	if (plpmtud_confirm(p, now_minute(w))) {
		worker_count(w, CNT_tcp_mtu_shrank);
	} else if (may_probe(w, tp) &&
		   plpmtud_timeout(p, tcp_packet_bytes(tp, tp->snd_nxt - tp->snd_una),
				   tcp_packet_bytes(tp, UINT32_MAX), tp->backoff + 1u)) {
		worker_count(w, CNT_tcp_mtu_black_hole);
	} else {
		return;
	}
	tcp_update_mss(tp);
}

/* ---- messages ------------------------------------------------------------------------ */

/* Not congestion: what was too big goes again in smaller pieces, nothing else changes. */
static void resend_smaller(struct worker *w, struct tcp_sock *tp)
{
	forget_probe(w, tp);
	if (tp->sending == NULL)
		return;
	flight_mark_all_lost(&tp->sending->flight, &w->tcp->flights, false);
	sock_want_output(w, tcp_sock_sk(tp));
}

static void resend_probe(struct worker *w, struct tcp_sock *tp)
{
	uint32_t index;

	if (tp->sending == NULL)
		return;
	index = flight_mtu_probe(&tp->sending->flight, &w->tcp->flights);
	forget_probe(w, tp);
	if (index == FLIGHT_NONE || flight_at(&w->tcp->flights, index)->flags & FLIGHT_LOST)
		return;
	flight_mark_lost(&tp->sending->flight, &w->tcp->flights, index);
	sock_want_output(w, tcp_sock_sk(tp));
}

void tcp_mtu_message(struct worker *w, struct tcp_sock *tp, uint16_t mtu)
{
	if (tcp_state(tp) == TCP_SYN_SENT && mtu >= PLPMTUD_CLAIM_MIN && mtu < tp->ics.inet.dst.mtu)
		tcp_fastopen_too_big(w, tp, mtu);
	if (tp->peer_mss_bytes == 0 || !heeds_messages(tp))
		return;
	switch (plpmtud_too_big(&tp->plpmtud, mtu, tp->backoff > 0, now_minute(w))) {
	case PLPMTUD_SMALLER:
		worker_count(w, CNT_tcp_mtu_shrank);
		tcp_update_mss(tp);
		resend_smaller(w, tp);
		break;
	case PLPMTUD_PROBE_FAILED:
		resend_probe(w, tp);
		break;
	default:
		worker_count(w, CNT_tcp_mtu_doubted);
		break;
	}
}
