/* SPDX-License-Identifier: BSD-3-Clause */
#include "tcp/rtt.h"

#define SAMPLE_MAX_US (RTO_MAX_MS * 1000u)

void rtt_sample(struct rtt *r, uint32_t sample_us)
{
	uint32_t srtt_us = r->srtt_us_8 / 8;
	uint32_t error_us;

	if (sample_us == 0)
		sample_us = 1;
	if (sample_us > SAMPLE_MAX_US)
		sample_us = SAMPLE_MAX_US;
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

void min_rtt_sample(struct min_rtt *m, uint32_t sample_us, uint32_t now_ms)
{
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
