/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Buffers that grow with the path: the send buffer with the congestion window,
 * the receive buffer with what the application reads in a round trip (dynamic
 * right-sizing).  Limits only: memory is taken chunk by chunk as bytes come,
 * and an idle connection holds none.  A size the application chose stays.
 */
#include "shm/ring.h"
#include "tcp/tcp_sock.h"

/* ---- receiving ------------------------------------------------------------ */

/*
 * What the window must hold for a sender that doubles in each round trip: the
 * next round's twice over, and more while rounds still grow.
 */
static uint64_t wanted_bytes(uint64_t read_bytes, uint64_t before_bytes)
{
	uint64_t bytes = 2 * read_bytes;

	if (before_bytes != 0)
		bytes += 2 * bytes * (read_bytes - before_bytes) / before_bytes;
	return bytes;
}

void tcp_tune_rcvbuf_round(struct worker *w, struct tcp_sock *tp)
{
	struct sock *sk = tcp_sock_sk(tp);
	struct tcp_round *round = &tp->read_round;
	uint32_t took_us = (uint32_t)w->now_us - round->start_us;
	uint32_t rtt_us = tcp_round_trip_us(tp);
	uint64_t read_bytes = (uint32_t)sk->ring.rx_head - round->offset;
	uint64_t bytes;

	/* In one round trip of those since the last look; not if even all were no more than before. */
	if (read_bytes > round->bytes)
		read_bytes = read_bytes * rtt_us / took_us;
	if (read_bytes > round->bytes && !(sk->flags & SOCK_RCVBUF_SET)) {
		bytes = wanted_bytes(read_bytes, round->bytes);
		bytes = RTE_MIN(bytes, (uint64_t)w->config.rcvbuf_max_bytes);
		sk->rcvbuf_bytes = RTE_MAX(sk->rcvbuf_bytes, (uint32_t)bytes);
	}
	if (read_bytes > round->bytes)
		round->bytes = (uint32_t)RTE_MIN(read_bytes, (uint64_t)UINT32_MAX);
	round->offset = (uint32_t)sk->ring.rx_head;
	round->start_us = (uint32_t)w->now_us;
}

/* ---- sending --------------------------------------------------------------- */

void tcp_tune_sndbuf(struct worker *w, struct tcp_sock *tp)
{
	struct sock *sk = tcp_sock_sk(tp);
	/* A window in flight, and another one that waits for its acknowledgments. */
	uint64_t bytes = 2 * (uint64_t)tp->sending->congestion.cwnd_bytes;

	if (bytes <= sk->sndbuf_bytes || sk->flags & SOCK_SNDBUF_SET)
		return;
	bytes = RTE_MIN(bytes, (uint64_t)w->config.sndbuf_max_bytes);
	sk->sndbuf_bytes = RTE_MAX(sk->sndbuf_bytes, (uint32_t)bytes);
}
