/* SPDX-License-Identifier: BSD-3-Clause */
/* Round-trip time and retransmission timeout (RFC 6298). */
#ifndef LEAT_TCP_RTT_H
#define LEAT_TCP_RTT_H

#include <stdint.h>

#define RTO_INITIAL_MS  1000u /* RFC 6298 section 2.1 */
#define RTO_FALLBACK_MS 3000u /* section 5.7: the handshake itself needed a retransmission */
/* Section 2.4 asks for 1 s; like Linux and for the same reason (recovery within a LAN or data
 * centre), 200 ms above the round trip, which is more than any delayed acknowledgment takes; the
 * first repair of a loss takes another round trip, which must not pass for a timeout. */
#define RTO_MIN_MS   200u
#define RTO_MAX_MS   120000u
#define RTT_CLOCK_US 1000u /* G: granularity of the timer wheel */
#define RTT_MAX_US   (RTO_MAX_MS * 1000u)

/* All zero: no sample yet. */
struct rtt {
	uint32_t srtt_us_8; /* smoothed RTT, times 8 */
	uint32_t rttvar_us_4; /* variation, times 4 */
};

/* The shortest round trip of the last minutes (RFC 8985 section 6.2, step 1: a windowed minimum,
 * so that a longer path is noticed). All zero: no sample yet. */
struct min_rtt {
	uint32_t us;
	uint32_t next_us; /* the shortest since start_ms: takes over when the window ends */
	uint32_t start_ms;
};

#define MIN_RTT_WINDOW_MS (5u * 60 * 1000)

static inline void min_rtt_sample(struct min_rtt *m, uint32_t sample_us, uint32_t now_ms)
{
	/* Nearly always it is no news. */
	if (m->us != 0 && now_ms - m->start_ms < MIN_RTT_WINDOW_MS && sample_us >= m->next_us)
		return;
	if (sample_us == 0)
		sample_us = 1;
	if (m->us != 0 && now_ms - m->start_ms >= MIN_RTT_WINDOW_MS)
		*m = (struct min_rtt){.us = m->next_us};
	if (m->next_us == 0) {
		m->next_us = sample_us;
		m->start_ms = now_ms;
	}
	if (sample_us < m->next_us)
		m->next_us = sample_us;
	if (m->us == 0 || sample_us < m->us)
		m->us = sample_us;
}

/* A measured round trip; 0 counts as one microsecond. */
static inline void rtt_sample(struct rtt *r, uint32_t sample_us)
{
	uint32_t srtt_us = r->srtt_us_8 / 8;
	uint32_t error_us;

	if (sample_us == 0)
		sample_us = 1;
	if (sample_us > RTT_MAX_US)
		sample_us = RTT_MAX_US;
	if (r->srtt_us_8 == 0) { /* section 2.2 */
		r->srtt_us_8 = sample_us * 8;
		r->rttvar_us_4 = sample_us * 2;
		return;
	}
	/* Section 2.3, alpha 1/8 and beta 1/4; the variation first, with the old SRTT. */
	error_us = srtt_us > sample_us ? srtt_us - sample_us : sample_us - srtt_us;
	r->rttvar_us_4 = r->rttvar_us_4 - r->rttvar_us_4 / 4 + error_us;
	r->srtt_us_8 = r->srtt_us_8 - srtt_us + sample_us;
}

/* The retransmission timeout before any back-off. */
static inline uint32_t rtt_rto_ms(const struct rtt *r)
{
	uint32_t floor_us = RTO_MIN_MS * 1000; /* G is far below it */
	uint32_t variation_us = r->rttvar_us_4 > floor_us ? r->rttvar_us_4 : floor_us;
	uint32_t rto_ms;

	if (r->srtt_us_8 == 0)
		return RTO_INITIAL_MS;
	rto_ms = (r->srtt_us_8 / 8 + variation_us + RTT_CLOCK_US / 2) / RTT_CLOCK_US;
	return rto_ms > RTO_MAX_MS ? RTO_MAX_MS : rto_ms;
}

/* RTO after so many timeouts in a row (section 5.5). */
static inline uint32_t rtt_backed_off_ms(uint32_t rto_ms, unsigned timeouts)
{
	while (timeouts-- > 0 && rto_ms < RTO_MAX_MS)
		rto_ms *= 2;
	return rto_ms > RTO_MAX_MS ? RTO_MAX_MS : rto_ms;
}

static inline uint32_t rtt_smoothed_us(const struct rtt *r)
{
	return r->srtt_us_8 / 8;
}

#endif
