/* SPDX-License-Identifier: BSD-3-Clause */
/* Slow start and congestion avoidance (RFC 5681) with byte counting (RFC 3465). */
#include "tcp/congestion.h"

#define ABC_LIMIT_SEGMENTS 2u /* RFC 3465 section 2.2: L, growth in slow start per ACK */
#define CWND_MAX_BYTES     (1u << 30)

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static void newreno_init(struct congestion *c, uint32_t mss_bytes, bool handshake_lost)
{
	c->mss_bytes = mss_bytes;
	c->acked_bytes = 0;
	c->ssthresh_bytes = SSTHRESH_INFINITE;
	/* RFC 6928 section 2: one segment when SYN or SYN-ACK was lost. */
	c->cwnd_bytes = handshake_lost ? mss_bytes : congestion_initial_window(mss_bytes);
}

static void newreno_acked(struct congestion *c, uint32_t bytes)
{
	if (c->cwnd_bytes >= CWND_MAX_BYTES)
		return;
	if (c->cwnd_bytes < c->ssthresh_bytes) {
		c->cwnd_bytes += min_u32(bytes, ABC_LIMIT_SEGMENTS * c->mss_bytes);
		return;
	}
	/* One segment for each window's worth acknowledged. */
	c->acked_bytes = min_u32(c->acked_bytes + bytes, 2 * c->cwnd_bytes);
	if (c->acked_bytes >= c->cwnd_bytes) {
		c->acked_bytes -= c->cwnd_bytes;
		c->cwnd_bytes += c->mss_bytes;
	}
}

static void newreno_loss(struct congestion *c, uint32_t flight_bytes)
{
	c->ssthresh_bytes = max_u32(flight_bytes / 2, 2 * c->mss_bytes);
	c->cwnd_bytes = c->ssthresh_bytes;
	c->acked_bytes = 0;
}

static void newreno_timeout(struct congestion *c, uint32_t flight_bytes)
{
	newreno_loss(c, flight_bytes);
	c->cwnd_bytes = c->mss_bytes;
}

static void newreno_restart(struct congestion *c)
{
	/* RFC 5681 section 4.1 */
	c->cwnd_bytes = min_u32(c->cwnd_bytes, congestion_initial_window(c->mss_bytes));
}

const struct congestion_ops congestion_newreno = {
	.name = "newreno",
	.init = newreno_init,
	.acked = newreno_acked,
	.loss = newreno_loss,
	.timeout = newreno_timeout,
	.restart = newreno_restart,
};
