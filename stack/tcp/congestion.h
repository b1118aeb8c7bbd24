/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Congestion control: how much may be in flight, and how fast it is sent.  An
 * algorithm is a struct of functions over struct congestion; it knows neither
 * socks nor clocks nor which segments were lost, only what it is told here.
 * During recovery PRR (prr.h) moves the window, unless the algorithm says that
 * the window is its own.
 */
#ifndef LEAT_TCP_CONGESTION_H
#define LEAT_TCP_CONGESTION_H

#include <stdbool.h>
#include <stdint.h>

#define SSTHRESH_INFINITE   UINT32_MAX
#define CONGESTION_NAME_MAX 16 /* TCP_CA_NAME_MAX, with the end */

/* What an algorithm keeps between calls lies here if it is small, else in a pooled object. */
#define CONGESTION_PRIVATE_BYTES 64

struct congestion {
	uint32_t cwnd_bytes;
	uint32_t ssthresh_bytes;
	uint32_t mss_bytes; /* payload of a full segment */
	uint32_t acked_bytes; /* congestion avoidance: acknowledged since cwnd last grew */
	uint32_t prior_cwnd_bytes; /* before the last reduction, for undo; 0: nothing to undo */
	uint32_t prior_ssthresh_bytes;
	uint64_t pacing_rate; /* bytes per second; 0: not paced */
	uint64_t unused_us; /* when last an ACK was not told because the window was not in use */
	union {
		uint64_t words[CONGESTION_PRIVATE_BYTES / 8];
		void *pooled; /* congestion_ops.pooled_bytes > 0: the worker's object */
	} private;
};

/* What one ACK told, all of it at once. */
struct congestion_ack {
	uint64_t now_us;
	uint32_t snd_una; /* after it */
	uint32_t snd_max; /* after the highest sequence number sent: where a round ends */
	uint32_t acked_bytes; /* newly delivered, cumulatively or selectively; never 0 */
	uint32_t lost_bytes; /* newly found lost */
	uint32_t in_flight_bytes; /* after it */
	uint32_t prior_in_flight_bytes; /* before it */
	uint32_t rtt_us; /* of the newest segment delivered; 0: not measured (ambiguous) */
	uint32_t srtt_us; /* 0: none yet */
	uint32_t ce_bytes; /* of acked_bytes those the peer saw marked (ECN-Echo) */
	bool cwnd_limited; /* the window was in use: growth is justified (RFC 9293 and 7661) */
	bool in_recovery; /* fast recovery, or after a timeout until it is repaired */

	/* The rate sample (BBR draft, "Delivery Rate Samples"), of the newest segment delivered. */
	bool app_limited;
	uint32_t interval_us; /* 0: no sample */
	uint32_t delivered_bytes; /* in that interval */
	uint64_t delivered_total; /* bytes delivered over the connection's life */
	uint64_t prior_delivered; /* the same when the segment was sent: round counting */
	uint32_t tx_in_flight_bytes; /* in flight when it was sent, itself included */
	uint32_t lost_since_sent_bytes; /* found lost since it was sent */
};

enum congestion_event {
	CONGESTION_LOSS, /* fast retransmit: recovery begins */
	CONGESTION_ECN, /* ECN-Echo: recovery begins without a loss (RFC 3168 section 6.1.2) */
	CONGESTION_TIMEOUT, /* RTO, the first in a row */
};

struct congestion_ops {
	const char *name;
	uint16_t pooled_bytes; /* size of private.pooled; 0: private.words are enough */
	bool wants_ecn; /* negotiate ECN whatever the default, and see ce_bytes (DCTCP) */
	bool owns_window; /* sets cwnd itself in recovery too */
	bool only_in_use; /* acked is called while the window is in use or something is repaired */

	/* c->mss_bytes is set, all else zero: initial window (RFC 6928; one segment if the handshake
	 * lost one, RFC 6298 section 5 and RFC 5681), ssthresh, private state.  Also when a
	 * connection changes to this algorithm: then cwnd_bytes is what it had and stays. */
	void (*init)(struct congestion *c, uint64_t now_us, bool handshake_lost);
	/* Every ACK that delivered something new, but for only_in_use. */
	void (*acked)(struct congestion *c, const struct congestion_ack *ack);
	/* Remembers cwnd and ssthresh for undo, then sets ssthresh, and cwnd where PRR does not
	 * (always after a timeout). */
	void (*reduce)(struct congestion *c, enum congestion_event why, uint32_t in_flight_bytes,
		       uint64_t now_us);
	/* Recovery ended: cwnd to ssthresh or where the algorithm wants it.  in_flight_bytes bounds
	 * the burst. */
	void (*recovered)(struct congestion *c, uint32_t in_flight_bytes, uint64_t now_us);
	/* The last reduction was for nothing (DSACK, F-RTO, Eifel): back to what was. */
	void (*undo)(struct congestion *c);
	/* A pause so long that private state is given up: what of it is to outlast that, in one number;
	 * 0, or no function: nothing.  After it init, which keeps cwnd and ssthresh, and then, unless
	 * it is 0, resume. */
	uint32_t (*rest)(const struct congestion *c);
	void (*resume)(struct congestion *c, uint32_t memory);
	/* Sending begins again after idle_us without anything in flight. */
	void (*restart)(struct congestion *c, uint32_t idle_us, uint32_t rto_us, uint64_t now_us);
};

extern const struct congestion_ops congestion_cubic; /* the default */
extern const struct congestion_ops congestion_newreno;
extern const struct congestion_ops congestion_dctcp;
extern const struct congestion_ops congestion_bbr;

/* The algorithm of that name ("cubic", "newreno" or as Linux calls it "reno", "dctcp", "bbr");
 * NULL: none. */
const struct congestion_ops *congestion_find(const char *name);

/* RFC 6928: min(10 segments, max(2 segments, 14600 bytes)). */
static inline uint32_t congestion_initial_window(uint32_t mss_bytes)
{
	uint32_t floor_bytes = 2 * mss_bytes > 14600 ? 2 * mss_bytes : 14600;

	return 10 * mss_bytes < floor_bytes ? 10 * mss_bytes : floor_bytes;
}

#endif
