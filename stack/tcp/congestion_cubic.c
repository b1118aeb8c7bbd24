/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CUBIC (RFC 9438), with HyStart++ in the first slow start.
 *
 * Windows are bytes here, the RFC counts segments: C is 0.4 segments per cubic
 * second, so C times mss_bytes.  Time runs in milliseconds where it is cubed.
 */
#include "tcp/congestion_steps.h"
#include "tcp/hystart.h"

/* Section 4.6 and 5: beta 0.7, C 0.4, as fractions. */
#define BETA_NUM 7u
#define BETA_DEN 10u
#define C_NUM    4u
#define C_DEN    10u
/* Section 4.3: 3 (1 - beta) / (1 + beta) = 9 / 17. */
#define ALPHA_NUM 9u
#define ALPHA_DEN 17u
/* Beyond it any W_cubic is larger than any window; so no product overflows. */
#define OFFSET_MAX_MS (1u << 19)
#define MS3_PER_S3    1000000000ull /* cubic milliseconds in a cubic second */
#define FRACTION_BITS 16

/* What describes one stage of congestion avoidance. */
struct epoch {
	uint32_t w_max_bytes;
	uint32_t k_ms; /* from the beginning until W_cubic is W_max */
	uint32_t elapsed_us; /* t, without the time in which the application held cwnd back */
	uint32_t w_est_bytes; /* what Reno would have, section 4.3 */
	uint32_t prior_bytes; /* cwnd_prior: before the last reduction */
	bool begun; /* not yet: slow start or recovery before it */
	bool after_loss; /* W_max is where the loss was; else this stage begins on its own */
};

struct cubic {
	uint64_t last_us; /* the last ACK, or where time goes on after idleness */
	struct epoch epoch;
	union {
		struct hystart hystart; /* ssthresh is infinite: the first slow start */
		struct epoch undo; /* else: the epoch before the last reduction, section 4.9 */
	};
	/* Bytes below one, of cwnd and W_est. */
	uint16_t cwnd_fraction;
	uint16_t w_est_fraction;
	uint8_t last; /* enum congestion_event: after a timeout slow start repairs, not PRR */
};
_Static_assert(sizeof(struct cubic) <= CONGESTION_PRIVATE_BYTES, "fits into the connection");

static struct cubic *cubic(struct congestion *c)
{
	return (struct cubic *)c->private.words;
}

static bool in_first_slow_start(const struct congestion *c)
{
	return c->ssthresh_bytes == SSTHRESH_INFINITE;
}

static void cubic_init(struct congestion *c, uint64_t now_us, bool handshake_lost)
{
	congestion_begin(c, handshake_lost);
	cubic(c)->last_us = now_us;
	hystart_begin(&cubic(c)->hystart);
}

/* ---- the curve ---------------------------------------------------------------- */

/* The largest integer whose cube is no larger; a binary digit of it at a time. */
static uint32_t cube_root(uint64_t n)
{
	uint64_t root = 0;

	for (int bit = 20; bit >= 0; bit--) {
		uint64_t next = root | 1ull << bit;

		if (next * next * next <= n)
			root = next;
	}
	return (uint32_t)root;
}

/* Figure 2: K = cbrt((W_max - cwnd_epoch) / C). */
static uint32_t cubic_k_ms(uint32_t below_bytes, uint32_t mss_bytes)
{
	uint64_t ms3 = (uint64_t)below_bytes * (MS3_PER_S3 * C_DEN / C_NUM);

	return cube_root(ms3 / mss_bytes);
}

/* C * |t - K|^3 in bytes, cut off where it is larger than any window. */
static uint32_t cubic_offset_bytes(uint32_t ms, uint32_t mss_bytes)
{
	uint64_t cube, bytes;

	ms = min_u32(ms, OFFSET_MAX_MS);
	/* Divided in two steps: neither the product overflows, nor are small ones rounded away. */
	cube = (uint64_t)ms * ms * ms / (1000 * C_DEN);
	bytes = cube * (mss_bytes * C_NUM) / (MS3_PER_S3 / 1000);
	return (uint32_t)min_u64(bytes, CONGESTION_WINDOW_MAX_BYTES);
}

/* Figure 1: W_cubic(t) = C * (t - K)^3 + W_max. */
static uint32_t w_cubic(const struct epoch *e, uint64_t t_us, uint32_t mss_bytes)
{
	uint32_t t_ms = (uint32_t)min_u64(t_us / 1000, UINT32_MAX);
	uint32_t bytes;

	if (t_ms >= e->k_ms)
		return e->w_max_bytes + cubic_offset_bytes(t_ms - e->k_ms, mss_bytes);
	bytes = cubic_offset_bytes(e->k_ms - t_ms, mss_bytes);
	return e->w_max_bytes - min_u32(bytes, e->w_max_bytes);
}

/* ---- congestion avoidance -------------------------------------------------------- */

static void epoch_begin(struct congestion *c, uint64_t now_us)
{
	struct cubic *cu = cubic(c);
	struct epoch *e = &cu->epoch;

	e->begun = true;
	cu->last_us = now_us;
	cu->cwnd_fraction = 0;
	cu->w_est_fraction = 0;
	e->elapsed_us = 0;
	e->w_est_bytes = c->cwnd_bytes; /* section 4.3: W_est is cwnd_epoch */
	e->k_ms = 0;
	if (e->after_loss && e->w_max_bytes > c->cwnd_bytes) {
		e->k_ms = cubic_k_ms(e->w_max_bytes - c->cwnd_bytes, c->mss_bytes);
		return;
	}
	/* Section 4.8, after a timeout; section 4.10, no loss yet: the convex half, from here. */
	e->w_max_bytes = c->cwnd_bytes;
	if (!e->after_loss)
		e->prior_bytes = max_u32(e->prior_bytes, c->cwnd_bytes);
}

/* Section 4.2: t does not count the time in which the application was the limit. */
static void epoch_time(struct congestion *c, const struct congestion_ack *ack)
{
	struct cubic *cu = cubic(c);
	uint64_t passed_us = ack->now_us - max_u64(cu->last_us, c->unused_us);

	if (ack->cwnd_limited)
		cu->epoch.elapsed_us = (uint32_t)min_u64(cu->epoch.elapsed_us + passed_us,
							 UINT32_MAX);
	cu->last_us = ack->now_us;
}

/* whole + fraction/2^16 grows by share_bytes * acked / cwnd. */
static uint32_t grow_by_share(uint64_t share_bytes, uint32_t acked_bytes, uint32_t cwnd_bytes,
			      uint16_t *fraction)
{
	uint64_t product = share_bytes * acked_bytes;
	uint64_t rest = ((product % cwnd_bytes) << FRACTION_BITS) / cwnd_bytes + *fraction;

	*fraction = (uint16_t)rest;
	return (uint32_t)min_u64(product / cwnd_bytes + (rest >> FRACTION_BITS),
				 CONGESTION_WINDOW_MAX_BYTES);
}

/* Section 4.3, figure 4: W_est = W_est + alpha * segments_acked / cwnd. */
static void reno_friendly(struct congestion *c, uint32_t acked_bytes)
{
	struct cubic *cu = cubic(c);
	struct epoch *e = &cu->epoch;
	uint32_t share_bytes = c->mss_bytes; /* alpha is 1 once W_est is back at cwnd_prior */

	if (e->w_est_bytes < e->prior_bytes)
		share_bytes = share_bytes * ALPHA_NUM / ALPHA_DEN;
	e->w_est_bytes += grow_by_share(share_bytes, acked_bytes, c->cwnd_bytes,
					&cu->w_est_fraction);
	e->w_est_bytes = min_u32(e->w_est_bytes, CONGESTION_WINDOW_MAX_BYTES);
}

/* Section 4.2: where cwnd shall be a round trip from now, between cwnd and 1.5 cwnd. */
static uint32_t target_bytes(const struct congestion *c, const struct epoch *e, uint32_t rtt_us)
{
	uint32_t bytes = w_cubic(e, (uint64_t)e->elapsed_us + rtt_us, c->mss_bytes);

	return min_u32(max_u32(bytes, c->cwnd_bytes), c->cwnd_bytes + c->cwnd_bytes / 2);
}

static void congestion_avoidance(struct congestion *c, const struct congestion_ack *ack)
{
	struct cubic *cu = cubic(c);
	uint32_t acked_bytes = min_u32(ack->acked_bytes, c->cwnd_bytes);
	uint32_t above_bytes;

	if (!cu->epoch.begun)
		epoch_begin(c, ack->now_us);
	epoch_time(c, ack);
	if (!ack->cwnd_limited)
		return;
	reno_friendly(c, acked_bytes);
	if (w_cubic(&cu->epoch, cu->epoch.elapsed_us, c->mss_bytes) < cu->epoch.w_est_bytes) {
		if (cu->epoch.w_est_bytes > c->cwnd_bytes)
			congestion_grow(c, cu->epoch.w_est_bytes - c->cwnd_bytes);
		return;
	}
	/* Sections 4.4 and 4.5: (target - cwnd) / cwnd for each segment. */
	above_bytes = target_bytes(c, &cu->epoch, ack->srtt_us) - c->cwnd_bytes;
	congestion_grow(c,
			grow_by_share(above_bytes, acked_bytes, c->cwnd_bytes, &cu->cwnd_fraction));
}

/* ---- slow start --------------------------------------------------------------------- */

static void first_slow_start(struct congestion *c, const struct congestion_ack *ack)
{
	struct hystart *h = &cubic(c)->hystart;

	if (ack->cwnd_limited)
		congestion_grow(c, hystart_growth(h, ack->acked_bytes));
	if (hystart_ack(h, ack->snd_una, ack->snd_max, ack->rtt_us) == HYSTART_DONE)
		c->ssthresh_bytes = c->cwnd_bytes;
}

static void cubic_acked(struct congestion *c, const struct congestion_ack *ack)
{
	struct cubic *cu = cubic(c);

	if (ack->in_recovery && cu->last != CONGESTION_TIMEOUT)
		return; /* PRR's */
	if (c->cwnd_bytes >= c->ssthresh_bytes) {
		congestion_avoidance(c, ack);
		return;
	}
	/* Section 4.8: slow start after a timeout; RFC 9406 section 4.3: HyStart++ only in the
	 * first one. */
	if (in_first_slow_start(c))
		first_slow_start(c, ack);
	else if (ack->cwnd_limited)
		congestion_slow_start(c, ack->acked_bytes, ack->in_recovery);
}

/* ---- reduction ------------------------------------------------------------------------ */

static void cubic_reduce(struct congestion *c, enum congestion_event why, uint32_t in_flight_bytes,
			 uint64_t now_us)
{
	struct cubic *cu = cubic(c);
	struct epoch *e = &cu->epoch;

	(void)now_us;
	cu->undo = *e;
	congestion_remember(c);
	/* Section 4.7: below the last W_max another flow has come, it shall have room sooner. */
	if (c->cwnd_bytes < e->w_max_bytes)
		e->w_max_bytes = (uint32_t)((uint64_t)c->cwnd_bytes * (BETA_DEN + BETA_NUM) /
					    (2ull * BETA_DEN));
	else
		e->w_max_bytes = c->cwnd_bytes;
	e->prior_bytes = c->cwnd_bytes;
	/* Section 4.6; ECN counts as loss. */
	congestion_reduce_to(c, (uint32_t)((uint64_t)in_flight_bytes * BETA_NUM / BETA_DEN), why);
	cu->last = (uint8_t)why;
	e->begun = false;
	e->after_loss = why != CONGESTION_TIMEOUT;
}

static void cubic_recovered(struct congestion *c, uint32_t in_flight_bytes, uint64_t now_us)
{
	(void)in_flight_bytes;
	(void)now_us;
	congestion_recover(c, cubic(c)->last);
}

/* Section 4.9.  last_us is as it was: t_epoch is restored, too. */
static void cubic_undo(struct congestion *c)
{
	struct cubic *cu = cubic(c);

	if (!congestion_restore(c))
		return;
	cu->epoch = cu->undo;
	if (in_first_slow_start(c)) /* its state lay where undo did: rounds begin again */
		hystart_begin(&cu->hystart);
}

static void cubic_restart(struct congestion *c, uint32_t idle_us, uint32_t rto_us, uint64_t now_us)
{
	congestion_restart(c, idle_us, rto_us);
	cubic(c)->last_us = now_us; /* section 4.2 again: the epoch is shifted by idleness */
}

/* Where the last loss was lasts; time and W_est begin anew with the next stage. */
static uint32_t cubic_rest(const struct congestion *c)
{
	const struct cubic *cu = (const struct cubic *)c->private.words;

	return cu->epoch.after_loss ? cu->epoch.w_max_bytes : 0;
}

static void cubic_resume(struct congestion *c, uint32_t memory)
{
	struct epoch *e = &cubic(c)->epoch;

	e->w_max_bytes = e->prior_bytes = memory;
	e->after_loss = true;
}

const struct congestion_ops congestion_cubic = {
	.name = "cubic",
	.init = cubic_init,
	.only_in_use = true,
	.acked = cubic_acked,
	.reduce = cubic_reduce,
	.recovered = cubic_recovered,
	.undo = cubic_undo,
	.rest = cubic_rest,
	.resume = cubic_resume,
	.restart = cubic_restart,
};
