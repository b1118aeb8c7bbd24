/* SPDX-License-Identifier: BSD-3-Clause */
#include "tcp/rtt.h"

uint32_t rtt_backed_off_ms(uint32_t rto_ms, unsigned timeouts)
{
	while (timeouts-- > 0 && rto_ms < RTO_MAX_MS)
		rto_ms *= 2;
	return rto_ms > RTO_MAX_MS ? RTO_MAX_MS : rto_ms;
}
