/* SPDX-License-Identifier: BSD-3-Clause */
/* Initial sequence numbers (RFC 6528) and timestamp offsets nobody can guess from outside. */
#include "lib/siphash.h"
#include "tcp/tcp_sock.h"

/* RFC 9293 section 3.4.1: M, a clock that ticks every 4 microseconds. */
#define ISN_TICK_SHIFT 2

/* Keeps the two uses of the one key apart. */
enum isn_use { ISN_SEQUENCE = 1, ISN_TIMESTAMP = 2 };

static uint32_t isn_hash(const struct worker *w, const struct flow *flow, enum isn_use use)
{
	struct flow key = *flow;

	key.zero = (uint16_t)use;
	return (uint32_t)siphash13(&w->secret_key, &key, sizeof(key));
}

uint32_t tcp_initial_sequence(const struct worker *w, const struct flow *flow)
{
	return isn_hash(w, flow, ISN_SEQUENCE) + (uint32_t)(w->now_us >> ISN_TICK_SHIFT);
}

/* The same for each connection between two ends, so that their timestamps grow from one
 * incarnation to the next. */
uint32_t tcp_timestamp_offset(const struct worker *w, const struct flow *flow)
{
	return isn_hash(w, flow, ISN_TIMESTAMP);
}
