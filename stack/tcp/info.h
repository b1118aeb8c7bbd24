/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What TCP_INFO answers: Linux's struct tcp_info (linux/tcp.h, which cannot
 * stand beside netinet/tcp.h; the C library's is shorter).  Later versions
 * only append, and a shorter buffer gets the beginning.
 */
#ifndef LEAT_TCP_INFO_H
#define LEAT_TCP_INFO_H

#include <stddef.h>
#include <stdint.h>

struct sock_option;
struct tcp_sock;
struct worker;

struct tcp_info_answer {
	uint8_t state, ca_state, retransmits, probes, backoff, options;
	uint8_t snd_wscale : 4, rcv_wscale : 4;
	uint8_t delivery_rate_app_limited : 1, fastopen_client_fail : 2;
	uint32_t rto, ato; /* us */
	uint32_t snd_mss, rcv_mss; /* bytes */
	uint32_t unacked, sacked, lost, retrans, fackets; /* segments */
	uint32_t last_data_sent, last_ack_sent, last_data_recv, last_ack_recv; /* ms ago */
	uint32_t pmtu, rcv_ssthresh; /* bytes */
	uint32_t rtt, rttvar; /* us */
	uint32_t snd_ssthresh, snd_cwnd; /* segments */
	uint32_t advmss, reordering, rcv_rtt, rcv_space, total_retrans;
	uint64_t pacing_rate, max_pacing_rate; /* bytes per second */
	uint64_t bytes_acked, bytes_received;
	uint32_t segs_out, segs_in;
	uint32_t notsent_bytes, min_rtt;
	uint32_t data_segs_in, data_segs_out;
	uint64_t delivery_rate;
	uint64_t busy_time, rwnd_limited, sndbuf_limited;
	uint32_t delivered, delivered_ce; /* segments */
	uint64_t bytes_sent, bytes_retrans;
	uint32_t dsack_dups, reord_seen;
	uint32_t rcv_ooopack, snd_wnd;
	uint32_t rcv_wnd, rehash;
};
_Static_assert(offsetof(struct tcp_info_answer, rto) == 8, "as in linux/tcp.h");
_Static_assert(offsetof(struct tcp_info_answer, pacing_rate) == 104, "as in linux/tcp.h");
_Static_assert(offsetof(struct tcp_info_answer, delivery_rate) == 160, "as in linux/tcp.h");
_Static_assert(offsetof(struct tcp_info_answer, bytes_sent) == 200, "as in linux/tcp.h");
_Static_assert(offsetof(struct tcp_info_answer, snd_wnd) == 228, "as in linux/tcp.h");
_Static_assert(sizeof(struct tcp_info_answer) == 240, "as in linux/tcp.h");

/* getsockopt TCP_INFO; 0. */
int tcp_get_info(struct worker *w, struct tcp_sock *tp, struct sock_option *option);

#endif
