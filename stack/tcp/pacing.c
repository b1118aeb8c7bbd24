/* SPDX-License-Identifier: BSD-3-Clause */
#include "tcp/pacing.h"

#define US_PER_S 1000000u

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

uint32_t pacing_quantum(uint64_t rate, uint32_t mss_bytes)
{
	uint64_t bytes = rate / (US_PER_S / PACING_QUANTUM_US);

	return (uint32_t)max_u64(min_u64(bytes, PACING_QUANTUM_MAX_BYTES), 2ull * mss_bytes);
}

uint64_t pacing_next_us(const struct pacing *p, uint64_t rate, uint64_t now_us)
{
	if (rate == 0 || p->burst_bytes > 0)
		return now_us;
	return max_u64(p->next_us, now_us);
}

/*
 * A burst begins.  A worker that looks late must not lower the rate: what it is late by counts,
 * up to half of a quantum's time.  More than that is idleness, which saves nothing up.
 */
static void burst_begin(struct pacing *p, uint64_t rate, uint32_t mss_bytes, uint64_t now_us)
{
	uint64_t quantum = pacing_quantum(rate, mss_bytes);
	uint64_t late_us = min_u64(quantum * US_PER_S / rate / 2, now_us);

	p->burst_bytes = (uint32_t)quantum;
	p->next_us = max_u64(p->next_us, now_us - late_us);
}

void pacing_sent(struct pacing *p, uint64_t rate, uint32_t mss_bytes, uint32_t bytes,
		 uint64_t now_us)
{
	uint64_t cost;

	if (rate == 0) {
		*p = (struct pacing){.next_us = now_us};
		return;
	}
	if (now_us >= p->next_us)
		burst_begin(p, rate, mss_bytes, now_us);
	p->burst_bytes -= (uint32_t)min_u64(bytes, p->burst_bytes);
	/* What the last division left belongs to its rate; at another it is a microsecond at most. */
	cost = (uint64_t)bytes * US_PER_S + min_u64(p->remainder, rate - 1);
	p->next_us += cost / rate;
	p->remainder = cost % rate;
}
