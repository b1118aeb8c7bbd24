/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Data Center TCP (RFC 8257): the window is reduced by as much as the fraction
 * of marked bytes says.  Everything else is NewReno's.
 */
#include "lib/seq.h"
#include "tcp/congestion_steps.h"

#define ALPHA_BITS 20 /* DCTCP.Alpha is a fraction of 2^20 */
#define ALPHA_ONE  (1u << ALPHA_BITS)
#define G_SHIFT    4 /* section 4.2: g = 1/16 */

struct dctcp {
	struct newreno reno;
	bool observing; /* window_end is known */
	uint32_t alpha;
	uint32_t window_end; /* the observation window ends when this is acknowledged */
	uint64_t acked_bytes; /* in the window */
	uint64_t marked_bytes;
};
_Static_assert(sizeof(struct dctcp) <= CONGESTION_PRIVATE_BYTES, "fits into the connection");

static struct dctcp *dctcp(struct congestion *c)
{
	return (struct dctcp *)c->private.words;
}

static void dctcp_init(struct congestion *c, uint64_t now_us, bool handshake_lost)
{
	(void)now_us;
	congestion_begin(c, handshake_lost);
	dctcp(c)->alpha = ALPHA_ONE; /* section 4.2: the first mark halves, as RFC 3168 asks */
}

static void window_begin(struct dctcp *d, uint32_t snd_max)
{
	d->observing = true;
	d->window_end = snd_max;
	d->acked_bytes = 0;
	d->marked_bytes = 0;
}

/* Section 3.3 step 6: Alpha = Alpha * (1 - g) + g * M. */
static void update_alpha(struct dctcp *d)
{
	uint32_t marked = (uint32_t)((d->marked_bytes << ALPHA_BITS) / d->acked_bytes);

	/* Rounded down towards 0, so that without marks it gets there. */
	d->alpha = d->alpha - d->alpha / (1u << G_SHIFT) - (d->alpha % (1u << G_SHIFT) != 0) +
		   marked / (1u << G_SHIFT);
	d->alpha = min_u32(d->alpha, ALPHA_ONE);
}

/* Section 3.3, steps 1 to 7. */
static void observe(struct dctcp *d, const struct congestion_ack *ack)
{
	if (!d->observing)
		window_begin(d, ack->snd_max);
	d->acked_bytes += ack->acked_bytes;
	d->marked_bytes += min_u32(ack->ce_bytes, ack->acked_bytes);
	if (!seq_gt(ack->snd_una, d->window_end))
		return;
	update_alpha(d);
	window_begin(d, ack->snd_max);
}

static void dctcp_acked(struct congestion *c, const struct congestion_ack *ack)
{
	observe(dctcp(c), ack); /* in recovery too: section 3.5 asks for alpha all the time */
	newreno_acked(c, ack);
}

/* Section 3.3 step 9: cwnd * (1 - Alpha / 2), once in a window; section 3.5: loss as ever. */
static void dctcp_reduce(struct congestion *c, enum congestion_event why, uint32_t in_flight_bytes,
			 uint64_t now_us)
{
	uint64_t less;

	newreno_reduce(c, why, in_flight_bytes, now_us);
	if (why != CONGESTION_ECN)
		return;
	less = ((uint64_t)c->prior_cwnd_bytes * dctcp(c)->alpha) >> (ALPHA_BITS + 1);
	c->ssthresh_bytes = max_u32(c->prior_cwnd_bytes - (uint32_t)less, 2 * c->mss_bytes);
}

static void dctcp_undo(struct congestion *c)
{
	congestion_restore(c);
}

/* Alpha, plus one: it may be 0. */
static uint32_t dctcp_rest(const struct congestion *c)
{
	return ((const struct dctcp *)c->private.words)->alpha + 1;
}

static void dctcp_resume(struct congestion *c, uint32_t memory)
{
	dctcp(c)->alpha = memory - 1;
}

const struct congestion_ops congestion_dctcp = {
	.name = "dctcp",
	.wants_ecn = true,
	.init = dctcp_init,
	.acked = dctcp_acked,
	.reduce = dctcp_reduce,
	.recovered = newreno_recovered,
	.undo = dctcp_undo,
	.rest = dctcp_rest,
	.resume = dctcp_resume,
	.restart = newreno_restart,
};
