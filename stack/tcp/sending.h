/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a sock needs while it sends: what is in flight, and what is being found
 * out about it.  A pooled object, taken before something is sent and given
 * back after a pause so long that the congestion window begins anew as well;
 * a connection at rest keeps a few words of it in its sock.  Whatever has
 * something in flight has one.
 */
#ifndef LEAT_TCP_SENDING_H
#define LEAT_TCP_SENDING_H

#include <rte_common.h>

#include "lib/calendar.h"
#include "tcp/congestion.h"
#include "tcp/flight.h"
#include "tcp/pacing.h"
#include "tcp/prr.h"
#include "tcp/rack.h"

struct tcp_sock;

struct tcp_sending {
	/* each segment, each ACK */
	struct flight flight;
	struct rack rack;
	uint32_t recover; /* recovery ends when this is acknowledged */
	struct congestion congestion;
	struct prr prr;

	/* pacing */
	struct pacing pacing;
	struct appointment paced; /* output goes on then */
	struct tcp_sock *tp; /* whose it is */

	/* recovery */
	uint32_t probe_end; /* TCP_SOCK_PROBE_SENT: snd_nxt when the loss probe was sent */
	uint32_t undo_start; /* TCP_SOCK_UNDO: snd_una when first something was sent again */
	uint32_t
		undo_bytes; /* TCP_SOCK_UNDO: sent again in this recovery, not known to be needless */
	uint32_t
		resent_ms; /* TCP_SOCK_UNDO: when first something was sent again in this recovery */
};

/* What outlives a pause. */
struct tcp_rest {
	uint32_t cwnd_bytes; /* 0: nothing was sent yet */
	uint32_t ssthresh_bytes;
	uint32_t memory; /* what congestion_ops->rest said */
	bool reordering_seen; /* these of rack.h */
	uint8_t window_mult;
	uint8_t window_persist;
};

#endif
