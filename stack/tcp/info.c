/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP_INFO: what is known of a connection, in Linux's units. */
#include "tcp/info.h"

#include "shm/ring.h"
#include "sock/option.h"
#include "tcp/tcp_sock.h"

#define INFO_SSTHRESH_INFINITE 0x7fffffffu /* Linux's TCP_INFINITE_SSTHRESH */

static uint32_t segments(const struct tcp_sock *tp, uint32_t bytes)
{
	uint32_t mss = RTE_MAX(tp->mss_bytes, 1u);

	return bytes / mss + (bytes % mss != 0);
}

static uint8_t ca_state(const struct tcp_sock *tp)
{
	static const uint8_t states[] = {
		[RECOVERY_NONE] = TCP_CA_Open,
		[RECOVERY_ECN] = TCP_CA_CWR,
		[RECOVERY_FAST] = TCP_CA_Recovery,
		[RECOVERY_TIMEOUT] = TCP_CA_Loss,
	};

	if (tp->recovery == RECOVERY_NONE && tp->sending != NULL &&
	    (tp->dupacks > 0 || tp->sending->flight.sacked_bytes > 0))
		return TCP_CA_Disorder;
	return states[tp->recovery];
}

static void fill_state(const struct tcp_sock *tp, struct tcp_info_answer *info)
{
	info->state = tcp_state(tp);
	info->ca_state = ca_state(tp);
	info->retransmits = tp->backoff;
	info->probes = tp->probes;
	info->backoff = tp->backoff;
	info->options = (tp->flags & TCP_SOCK_TIMESTAMPS ? TCPI_OPT_TIMESTAMPS : 0) |
			(tp->flags & TCP_SOCK_SACK ? TCPI_OPT_SACK : 0) |
			(tp->snd_scale | tp->rcv_scale ? TCPI_OPT_WSCALE : 0) |
			(tp->flags & TCP_SOCK_ECN ? TCPI_OPT_ECN : 0) |
			(tp->flags & TCP_SOCK_ECN_SEEN ? TCPI_OPT_ECN_SEEN : 0) |
			(tp->syn_data ? TCPI_OPT_SYN_DATA : 0);
	info->snd_wscale = tp->snd_scale & 15;
	info->rcv_wscale = tp->rcv_scale & 15;
	info->fastopen_client_fail = tp->fastopen_fail & 3;
}

static void fill_times(const struct worker *w, const struct tcp_sock *tp,
		       struct tcp_info_answer *info)
{
	info->rto = rtt_backed_off_ms(rtt_rto_ms(&tp->rtt), tp->backoff) * 1000;
	info->ato = TCP_DELACK_MS * 1000;
	info->last_data_sent = w->now_ms - tp->sent_ms;
	info->last_data_recv = w->now_ms - tp->rcv_time_ms;
	info->last_ack_recv = info->last_data_recv;
	info->rtt = rtt_smoothed_us(&tp->rtt);
	info->rttvar = tp->rtt.rttvar_us_4 / 4;
	info->min_rtt = tp->min_rtt.us != 0 ? tp->min_rtt.us : UINT32_MAX;
}

/* What is in flight, and how it goes. */
static void fill_sending(const struct tcp_sock *tp, struct tcp_info_answer *info)
{
	const struct tcp_sending *s = tp->sending;
	uint64_t rate = tcp_pacing_rate(tp);

	info->sacked = segments(tp, s->flight.sacked_bytes);
	info->lost = segments(tp, s->flight.lost_bytes);
	info->retrans = segments(tp, s->flight.resent_bytes);
	info->reord_seen = s->rack.reordering_seen;
	info->pacing_rate = rate != 0 ? rate : UINT64_MAX;
	info->delivered = segments(tp, (uint32_t)s->flight.delivered);
	info->delivery_rate_app_limited = s->flight.app_limited != 0;
}

static void fill_resting(const struct tcp_sock *tp, struct tcp_info_answer *info)
{
	uint64_t limit = tp->options->max_pacing_rate;

	info->reord_seen = tp->rest.reordering_seen;
	info->pacing_rate = limit != 0 ? limit : UINT64_MAX;
	info->delivered = segments(tp, (uint32_t)tp->ics.inet.sk.ring.tx_head);
	info->delivery_rate_app_limited = tp->rest.cwnd_bytes != 0;
}

static void fill_sender(const struct tcp_sock *tp, struct tcp_info_answer *info)
{
	const struct ring_pair *ring = &tp->ics.inet.sk.ring;
	uint64_t limit = tp->options->max_pacing_rate;
	uint32_t ssthresh_bytes = tcp_ssthresh_bytes(tp);
	uint32_t flight = tp->snd_nxt - tp->snd_una;
	uint32_t written = (uint32_t)tx_ring_used(ring);

	info->snd_mss = tp->mss_bytes;
	if (tp->sending != NULL)
		fill_sending(tp, info);
	else
		fill_resting(tp, info);
	info->unacked = segments(tp, flight);
	info->snd_ssthresh = ssthresh_bytes == SSTHRESH_INFINITE ? INFO_SSTHRESH_INFINITE
								 : segments(tp, ssthresh_bytes);
	info->snd_cwnd = tcp_cwnd_bytes(tp) / RTE_MAX(tp->mss_bytes, 1u);
	info->reordering = TCP_DUPACK_LIMIT;
	info->max_pacing_rate = limit != 0 ? limit : UINT64_MAX;
	info->bytes_acked = ring->tx_head;
	info->notsent_bytes = written > flight ? written - flight : 0;
	info->bytes_retrans = tp->resent_bytes;
	info->bytes_sent = ring->tx_tail - info->notsent_bytes + tp->resent_bytes;
	info->total_retrans = tp->resent_segments;
	info->snd_wnd = tp->snd_wnd;
	info->segs_out = tp->segments_out;
}

static void fill_receiver(const struct tcp_sock *tp, struct tcp_info_answer *info)
{
	const struct sock *sk = &tp->ics.inet.sk;

	info->rcv_mss = tp->rcv_mss_bytes;
	info->pmtu = tp->plpmtud.mtu != 0 ? tp->plpmtud.mtu : tp->ics.inet.dst.mtu;
	info->advmss = tcp_advertised_mss(tp, tp->ics.inet.dst.mtu);
	info->rcv_ssthresh = sk->rcvbuf_bytes;
	info->rcv_space = sk->rcvbuf_bytes;
	info->rcv_wnd = seq_gt(tp->rcv_edge, tp->rcv_nxt) ? tp->rcv_edge - tp->rcv_nxt : 0;
	info->bytes_received = sk->ring.rx_tail;
	info->segs_in = tp->segments_in;
}

/* As under Linux: of a listener, its accept queue and the queue's bound. */
static void fill_listener(struct worker *w, struct tcp_sock *tp, struct tcp_info_answer *info)
{
	listener_settle(w, &tp->ics);
	info->unacked = tp->ics.listener->queue_count;
	info->sacked = tp->ics.listener->backlog;
}

int tcp_get_info(struct worker *w, struct tcp_sock *tp, struct sock_option *option)
{
	struct tcp_info_answer info = {0};

	fill_state(tp, &info);
	if (tcp_state(tp) == TCP_LISTEN) {
		fill_listener(w, tp, &info);
	} else if (tp->ics.inet.dst.mtu != 0) { /* it was connected, or tried to */
		fill_times(w, tp, &info);
		fill_sender(tp, &info);
		fill_receiver(tp, &info);
	}
	return option_write(option, &info, sizeof(info));
}
