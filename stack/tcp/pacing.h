/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pacing: when the next segment of a connection may go.  Bursts of one quantum
 * leave at the connection's rate, so that the timer and the port are not
 * bothered for each segment (BBR draft, sections 5.6.2 and 5.6.3).
 */
#ifndef LEAT_TCP_PACING_H
#define LEAT_TCP_PACING_H

#include <stdint.h>

#define PACING_QUANTUM_US        1000u
#define PACING_QUANTUM_MAX_BYTES (64u << 10)

/* All zero: nothing sent yet. */
struct pacing {
	uint64_t next_us; /* when the burst after this one may begin */
	uint64_t remainder; /* of its division by the rate, in bytes times microseconds a second */
	uint32_t burst_bytes; /* what is left of this burst */
};

/* How much goes at once: what the rate gives in a millisecond, 64 KiB at most, but two segments. */
uint32_t pacing_quantum(uint64_t rate, uint32_t mss_bytes);

/* When the next segment may go: now_us, or later.  rate 0: not paced. */
uint64_t pacing_next_us(const struct pacing *p, uint64_t rate, uint64_t now_us);

/* So many bytes were sent now, at rate bytes per second. */
void pacing_sent(struct pacing *p, uint64_t rate, uint32_t mss_bytes, uint32_t bytes,
		 uint64_t now_us);

#endif
