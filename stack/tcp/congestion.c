/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of algorithms, and the steps that those with a window share. */
#include "tcp/congestion_steps.h"

#include <string.h>

static const struct congestion_ops *const algorithms[] = {
	&congestion_cubic,
	&congestion_newreno,
	&congestion_dctcp,
	&congestion_bbr,
};

const struct congestion_ops *congestion_find(const char *name)
{
	if (strcmp(name, "reno") == 0) /* Linux's name */
		return &congestion_newreno;
	for (unsigned i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
		if (strcmp(name, algorithms[i]->name) == 0)
			return algorithms[i];
	return NULL;
}

/* ---- begin and grow --------------------------------------------------------- */

void congestion_begin(struct congestion *c, bool handshake_lost)
{
	memset(&c->private, 0, sizeof(c->private));
	c->acked_bytes = 0;
	c->prior_cwnd_bytes = 0;
	c->prior_ssthresh_bytes = 0;
	c->pacing_rate = 0;
	if (c->ssthresh_bytes == 0)
		c->ssthresh_bytes = SSTHRESH_INFINITE;
	if (c->cwnd_bytes != 0)
		return;
	/* RFC 6928 section 2: one segment when SYN or SYN-ACK was lost. */
	c->cwnd_bytes = handshake_lost ? c->mss_bytes : congestion_initial_window(c->mss_bytes);
}

void congestion_grow(struct congestion *c, uint32_t bytes)
{
	if (c->cwnd_bytes >= CONGESTION_WINDOW_MAX_BYTES)
		return;
	c->cwnd_bytes += min_u32(bytes, CONGESTION_WINDOW_MAX_BYTES - c->cwnd_bytes);
}

void congestion_slow_start(struct congestion *c, uint32_t acked_bytes, bool after_timeout)
{
	congestion_grow(c, after_timeout ? min_u32(acked_bytes, c->mss_bytes) : acked_bytes);
}

void congestion_avoid(struct congestion *c, uint32_t acked_bytes)
{
	/* An ACK counts for two windows at most: growth is a matter of round trips. */
	c->acked_bytes = (uint32_t)min_u64((uint64_t)c->acked_bytes + acked_bytes,
					   2ull * c->cwnd_bytes);
	if (c->acked_bytes < c->cwnd_bytes)
		return;
	c->acked_bytes -= c->cwnd_bytes;
	congestion_grow(c, c->mss_bytes);
}

/* ---- reduce ------------------------------------------------------------------ */

void congestion_remember(struct congestion *c)
{
	c->prior_cwnd_bytes = c->cwnd_bytes;
	c->prior_ssthresh_bytes = c->ssthresh_bytes;
}

bool congestion_restore(struct congestion *c)
{
	if (c->prior_cwnd_bytes == 0)
		return false;
	c->cwnd_bytes = max_u32(c->cwnd_bytes, c->prior_cwnd_bytes);
	c->ssthresh_bytes = c->prior_ssthresh_bytes;
	c->prior_cwnd_bytes = 0;
	c->acked_bytes = 0;
	return true;
}

void congestion_reduce_to(struct congestion *c, uint32_t bytes, enum congestion_event why)
{
	c->ssthresh_bytes = max_u32(min_u32(bytes, CONGESTION_WINDOW_MAX_BYTES), 2 * c->mss_bytes);
	c->acked_bytes = 0;
	if (why == CONGESTION_TIMEOUT) /* RFC 5681 section 3.1: the loss window */
		c->cwnd_bytes = c->mss_bytes;
}

void congestion_recover(struct congestion *c, enum congestion_event why)
{
	if (c->prior_cwnd_bytes == 0) /* undone meanwhile */
		return;
	/* RFC 9937 section 6.3: PRR has brought what is in flight there already.  After a timeout
	 * slow start has brought it to where it belongs. */
	if (why != CONGESTION_TIMEOUT)
		c->cwnd_bytes = c->ssthresh_bytes;
}

void congestion_restart(struct congestion *c, uint32_t idle_us, uint32_t rto_us)
{
	if (idle_us > rto_us)
		c->cwnd_bytes = min_u32(c->cwnd_bytes, congestion_initial_window(c->mss_bytes));
}
