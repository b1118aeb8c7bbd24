/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Slow start and congestion avoidance (RFC 5681) with byte counting (RFC 3465);
 * what RFC 6582 says of the window in recovery is PRR's (RFC 9937) here.
 */
#include "tcp/congestion_steps.h"

static struct newreno *newreno(struct congestion *c)
{
	return (struct newreno *)c->private.words;
}

static void newreno_init(struct congestion *c, uint64_t now_us, bool handshake_lost)
{
	(void)now_us;
	congestion_begin(c, handshake_lost);
}

void newreno_acked(struct congestion *c, const struct congestion_ack *ack)
{
	if (ack->in_recovery && newreno(c)->last != CONGESTION_TIMEOUT)
		return; /* PRR's */
	if (!ack->cwnd_limited)
		return;
	if (c->cwnd_bytes >= c->ssthresh_bytes)
		congestion_avoid(c, ack->acked_bytes);
	else
		congestion_slow_start(c, ack->acked_bytes, ack->in_recovery);
}

void newreno_reduce(struct congestion *c, enum congestion_event why, uint32_t in_flight_bytes,
		    uint64_t now_us)
{
	(void)now_us;
	congestion_remember(c);
	congestion_reduce_to(c, in_flight_bytes / 2, why); /* RFC 5681 equation 4 */
	newreno(c)->last = why;
}

void newreno_recovered(struct congestion *c, uint32_t in_flight_bytes, uint64_t now_us)
{
	(void)in_flight_bytes;
	(void)now_us;
	congestion_recover(c, newreno(c)->last);
}

static void newreno_undo(struct congestion *c)
{
	congestion_restore(c);
}

void newreno_restart(struct congestion *c, uint32_t idle_us, uint32_t rto_us, uint64_t now_us)
{
	(void)now_us;
	congestion_restart(c, idle_us, rto_us);
}

const struct congestion_ops congestion_newreno = {
	.name = "newreno",
	.init = newreno_init,
	.only_in_use = true,
	.acked = newreno_acked,
	.reduce = newreno_reduce,
	.recovered = newreno_recovered,
	.undo = newreno_undo,
	.restart = newreno_restart,
};
