/* SPDX-License-Identifier: BSD-3-Clause */
/* Initial sequence numbers (RFC 6528) and timestamp offsets nobody can guess from outside. */
#include "lib/siphash.h"
#include "tcp/tcp_sock.h"

/* RFC 9293 section 3.4.1: M, a clock that ticks every 4 microseconds. */
#define ISN_TICK_SHIFT 2

/* What else is hashed with this key has another length. */
uint64_t tcp_flow_secret(const struct worker *w, const struct flow *flow)
{
	return siphash13(&w->secret_key, flow, sizeof(*flow));
}

uint32_t tcp_initial_sequence(const struct worker *w, uint64_t secret)
{
	return (uint32_t)secret + (uint32_t)(w->now_us >> ISN_TICK_SHIFT);
}
