/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Congestion control: how much may be in flight.  An algorithm is a struct of
 * functions over struct congestion; it knows neither socks nor time.  What
 * happens to the window during fast recovery is ack.c's part.
 */
#ifndef LEAT_TCP_CONGESTION_H
#define LEAT_TCP_CONGESTION_H

#include <stdbool.h>
#include <stdint.h>

#define SSTHRESH_INFINITE UINT32_MAX

struct congestion {
	uint32_t cwnd_bytes;
	uint32_t ssthresh_bytes;
	uint32_t acked_bytes; /* congestion avoidance: acknowledged since cwnd last grew */
	uint32_t mss_bytes; /* payload of a full segment */
};

struct congestion_ops {
	const char *name;
	/* A connection begins (initial window, RFC 6928), or its handshake lost a segment. */
	void (*init)(struct congestion *c, uint32_t mss_bytes, bool handshake_lost);
	/* New data was acknowledged outside of recovery while the window was in use. */
	void (*acked)(struct congestion *c, uint32_t bytes);
	/* Fast retransmit: sets ssthresh and cwnd to what recovery aims at. */
	void (*loss)(struct congestion *c, uint32_t flight_bytes);
	/* The retransmission timer ran out for the first time in a row. */
	void (*timeout)(struct congestion *c, uint32_t flight_bytes);
	/* Sending resumes after an idle time of more than an RTO. */
	void (*restart)(struct congestion *c);
};

extern const struct congestion_ops congestion_newreno;

/* RFC 6928: min(10 segments, max(2 segments, 14600 bytes)). */
static inline uint32_t congestion_initial_window(uint32_t mss_bytes)
{
	uint32_t floor_bytes = 2 * mss_bytes > 14600 ? 2 * mss_bytes : 14600;

	return 10 * mss_bytes < floor_bytes ? 10 * mss_bytes : floor_bytes;
}

#endif
