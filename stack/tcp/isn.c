/* SPDX-License-Identifier: BSD-3-Clause */
/* Initial sequence numbers (RFC 6528) and timestamp offsets nobody can guess from outside. */
#include "lib/siphash.h"
#include "tcp/tcp_sock.h"

/* RFC 9293 section 3.4.1: M, a clock that ticks every 4 microseconds. */
#define ISN_TICK_SHIFT 2

/* What of a flow differs between two of TCP over IPv4. */
struct tcp_flow4 {
	rte_be32_t local;
	rte_be32_t remote;
	rte_be16_t local_port;
	rte_be16_t remote_port;
};
_Static_assert(sizeof(struct tcp_flow4) == 12, "there is no padding to hash");

/* What else is hashed with this key has another length. */
uint64_t tcp_flow_secret(const struct worker *w, const struct flow *flow)
{
	struct tcp_flow4 flow4 = {flow->local.v4, flow->remote.v4, flow->local_port,
				  flow->remote_port};

	if (flow->family == AF_INET)
		return siphash13(&w->secret_key, &flow4, sizeof(flow4));
	return siphash13(&w->secret_key, flow, sizeof(*flow));
}

uint32_t tcp_initial_sequence(const struct worker *w, uint64_t secret)
{
	return (uint32_t)secret + (uint32_t)(w->now_us >> ISN_TICK_SHIFT);
}
