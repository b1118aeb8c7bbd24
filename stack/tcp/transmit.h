/* SPDX-License-Identifier: BSD-3-Clause */
/* What output.c decides to send. */
#ifndef LEAT_TCP_TRANSMIT_H
#define LEAT_TCP_TRANSMIT_H

#include "tcp/tcp_sock.h"

static inline bool tcp_has_sack_to_send(const struct tcp_sock *tp)
{
	return tcp_has_sack(tp) && (tp->reassembly != NULL || tp->flags & TCP_SOCK_DSACK);
}

/* tcp_payload_limit when there are SACK blocks to send. */
uint32_t tcp_payload_limit_sack(const struct tcp_sock *tp);

/* Payload of a full segment now: SACK blocks take their room from it. */
static inline uint32_t tcp_payload_limit(const struct tcp_sock *tp)
{
	return likely(!tcp_has_sack_to_send(tp)) ? tp->mss_bytes : tcp_payload_limit_sack(tp);
}

/*
 * Sends length bytes of the stream at seq with these flags, in pieces of mss
 * (less where they carry SACK blocks).  -ENOBUFS: nothing happened.  A packet
 * that the layers below refuse counts as sent: it is lost like any other.
 */
int tcp_tx_pieces(struct worker *w, struct tcp_sock *tp, uint32_t seq, uint32_t length,
		  uint16_t flags, uint32_t mss);

static inline int tcp_tx_segment(struct worker *w, struct tcp_sock *tp, uint32_t seq,
				 uint32_t length, uint16_t flags)
{
	return tcp_tx_pieces(w, tp, seq, length, flags, tp->mss_bytes);
}

/* The SYN, or the SYN-ACK of a sock: after a simultaneous open or a Fast Open. */
void tcp_tx_syn(struct worker *w, struct tcp_sock *tp);

#endif
