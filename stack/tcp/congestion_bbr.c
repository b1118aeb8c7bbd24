/* SPDX-License-Identifier: BSD-3-Clause */
/* BBR: the interface (draft section 5.2), and rate and window from the model (5.6). */
#include "tcp/congestion_bbr.h"

#include <string.h>

#include "tcp/pacing.h"

#define US_PER_S 1000000u

/* 5.6.1 */
static const struct {
	uint16_t pacing_percent;
	uint16_t cwnd_percent;
} gains[] = {
	[BBR_STARTUP] = {BBR_STARTUP_PACING_PERCENT, BBR_CWND_PERCENT},
	[BBR_DRAIN] = {BBR_DRAIN_PACING_PERCENT, BBR_CWND_PERCENT},
	[BBR_PROBE_BW_DOWN] = {BBR_DOWN_PACING_PERCENT, BBR_CWND_PERCENT},
	[BBR_PROBE_BW_CRUISE] = {100, BBR_CWND_PERCENT},
	[BBR_PROBE_BW_REFILL] = {100, BBR_CWND_PERCENT},
	[BBR_PROBE_BW_UP] = {BBR_UP_PACING_PERCENT, BBR_UP_CWND_PERCENT},
	[BBR_PROBE_RTT] = {100, BBR_PROBE_RTT_CWND_PERCENT},
};

/* ---- volumes -------------------------------------------------------------------- */

uint32_t bbr_bdp(const struct bbr *b, uint64_t bw, uint32_t gain_percent)
{
	uint64_t bytes = b->initial_cwnd_bytes;

	if (b->min_rtt_us != BBR_RTT_INFINITE) /* in two parts: the product might overflow */
		bytes = bw / US_PER_S * b->min_rtt_us + bw % US_PER_S * b->min_rtt_us / US_PER_S;
	bytes = min_u64(bytes, BBR_BYTES_MAX) * gain_percent / 100;
	return (uint32_t)min_u64(bytes, BBR_BYTES_MAX);
}

/* 5.5.8 and 5.6.4.2, BBRQuantizationBudget: what offloads hold back must fit, too. */
static uint32_t quantization_budget(const struct congestion *c, const struct bbr *b, uint32_t bytes)
{
	bytes = max_u32(bytes, BBR_OFFLOAD_QUANTA * pacing_quantum(c->pacing_rate, c->mss_bytes));
	bytes = max_u32(bytes, bbr_min_pipe_bytes(c));
	return b->state == BBR_PROBE_BW_UP ? bytes + 2 * c->mss_bytes : bytes;
}

uint32_t bbr_inflight(const struct congestion *c, const struct bbr *b, uint64_t bw,
		      uint32_t gain_percent)
{
	return quantization_budget(c, b, bbr_bdp(b, bw, gain_percent));
}

/* 5.3.3.6 */
uint32_t bbr_inflight_with_headroom(const struct congestion *c, const struct bbr *b)
{
	uint32_t headroom;

	if (b->inflight_longterm == BBR_INFINITE)
		return BBR_INFINITE;
	headroom = (uint32_t)((uint64_t)b->inflight_longterm * BBR_HEADROOM_PERCENT / 100);
	headroom = min_u32(max_u32(headroom, c->mss_bytes), b->inflight_longterm);
	return max_u32(b->inflight_longterm - headroom, bbr_min_pipe_bytes(c));
}

uint32_t bbr_probe_rtt_cwnd(const struct congestion *c, const struct bbr *b)
{
	return max_u32(bbr_bdp(b, b->bw, BBR_PROBE_RTT_CWND_PERCENT), bbr_min_pipe_bytes(c));
}

static uint32_t max_inflight(const struct congestion *c, const struct bbr *b)
{
	uint32_t bytes = bbr_bdp(b, b->bw, gains[b->state].cwnd_percent);

	return quantization_budget(c, b, bytes + max_u32(b->extra_acked[0], b->extra_acked[1]));
}

/* ---- pacing rate, 5.6.2 ------------------------------------------------------------- */

static void set_pacing_rate(struct congestion *c, const struct bbr *b, uint32_t gain_percent)
{
	uint64_t rate = b->bw * gain_percent / 100 * (100 - BBR_PACING_MARGIN_PERCENT) / 100;

	if (rate != 0 && (b->full_bw_reached || rate > c->pacing_rate))
		c->pacing_rate = rate;
}

/* Before anything is measured a round trip is taken for a millisecond. */
static void init_pacing_rate(struct congestion *c, const struct bbr *b, uint32_t srtt_us)
{
	uint64_t window = (uint64_t)b->initial_cwnd_bytes * US_PER_S;

	c->pacing_rate = window / (srtt_us == 0 ? 1000 : srtt_us) * BBR_STARTUP_PACING_PERCENT /
			 100;
	c->pacing_rate = max_u64(c->pacing_rate, 1);
}

static void note_first_rtt(struct congestion *c, struct bbr *b, const struct congestion_ack *ack)
{
	if (b->has_seen_rtt || ack->srtt_us == 0)
		return;
	b->has_seen_rtt = true;
	init_pacing_rate(c, b, ack->srtt_us);
}

/* ---- window, 5.6.4 --------------------------------------------------------------------- */

void bbr_save_cwnd(struct congestion *c, struct bbr *b)
{
	if (b->in_recovery || b->state == BBR_PROBE_RTT)
		b->saved_cwnd_bytes = max_u32(b->saved_cwnd_bytes, c->cwnd_bytes);
	else
		b->saved_cwnd_bytes = c->cwnd_bytes;
}

void bbr_restore_cwnd(struct congestion *c, struct bbr *b)
{
	c->cwnd_bytes = max_u32(c->cwnd_bytes, b->saved_cwnd_bytes);
}

/* 5.6.4.7 */
static void bound_cwnd_for_model(struct congestion *c, const struct bbr *b)
{
	uint32_t cap = BBR_INFINITE;

	if (b->state == BBR_PROBE_RTT || b->state == BBR_PROBE_BW_CRUISE)
		cap = bbr_inflight_with_headroom(c, b);
	else if (bbr_in_probe_bw(b))
		cap = b->inflight_longterm;
	cap = min_u32(cap, b->inflight_shortterm);
	cap = max_u32(cap, bbr_min_pipe_bytes(c));
	c->cwnd_bytes = min_u32(c->cwnd_bytes, cap);
}

static void bound_cwnd(struct congestion *c, const struct bbr *b)
{
	if (b->state == BBR_PROBE_RTT)
		c->cwnd_bytes = min_u32(c->cwnd_bytes, bbr_probe_rtt_cwnd(c, b));
	bound_cwnd_for_model(c, b);
}

/* 5.6.4.6 */
static void set_cwnd(struct congestion *c, const struct bbr *b, const struct congestion_ack *ack)
{
	uint32_t most = max_inflight(c, b);

	if (b->full_bw_reached || c->cwnd_bytes < most || b->delivered < b->initial_cwnd_bytes)
		congestion_grow(c, ack->acked_bytes);
	if (b->full_bw_reached)
		c->cwnd_bytes = min_u32(c->cwnd_bytes, most);
	c->cwnd_bytes = max_u32(c->cwnd_bytes, bbr_min_pipe_bytes(c));
	bound_cwnd(c, b);
}

/* ---- the interface, 5.2 -------------------------------------------------------------------- */

static void bbr_init(struct congestion *c, uint64_t now_us, bool handshake_lost)
{
	void *pooled = c->private.pooled;
	struct bbr *b = pooled;

	congestion_begin(c, handshake_lost);
	c->private.pooled = pooled;
	c->ssthresh_bytes = SSTHRESH_INFINITE; /* there is none */
	memset(b, 0, sizeof(*b));
	b->initial_cwnd_bytes = congestion_initial_window(c->mss_bytes);
	b->random = now_us;
	bbr_model_begin(b, now_us);
	init_pacing_rate(c, b, 0);
	bbr_enter_startup(b);
}

/* 5.2.3 */
static void bbr_acked(struct congestion *c, const struct congestion_ack *ack)
{
	struct bbr *b = bbr_of(c);

	note_first_rtt(c, b, ack);
	bbr_take_sample(b, ack);
	bbr_handle_losses(c, b, ack);
	bbr_update_latest_signals(b, ack);
	bbr_update_congestion_signals(c, b, ack);
	bbr_update_ack_aggregation(c, b, ack);
	bbr_check_full_bw(b);
	bbr_check_startup_done(b, ack);
	bbr_check_drain_done(c, b, ack);
	bbr_update_probe_bw(c, b, ack);
	bbr_update_min_rtt(b, ack);
	bbr_check_probe_rtt(c, b, ack);
	bbr_advance_latest_signals(b, ack);
	bbr_bound_bw(b);
	set_pacing_rate(c, b, gains[b->state].pacing_percent);
	set_cwnd(c, b, ack);
}

/* 5.6.4.4.  ECN counts as loss: section 3.7 leaves it open, RFC 3168 does not. */
static void bbr_reduce(struct congestion *c, enum congestion_event why, uint32_t in_flight_bytes,
		       uint64_t now_us)
{
	struct bbr *b = bbr_of(c);

	(void)in_flight_bytes;
	(void)now_us;
	congestion_remember(c);
	bbr_save_cwnd(c, b);
	bbr_note_loss(b); /* saves the state, as it was before the first loss of the round */
	if (why == CONGESTION_TIMEOUT) /* C.inflight + 1, where all that was in flight is lost */
		c->cwnd_bytes = c->mss_bytes;
}

static void bbr_recovered(struct congestion *c, uint32_t in_flight_bytes, uint64_t now_us)
{
	struct bbr *b = bbr_of(c);

	(void)in_flight_bytes; /* pacing sees to it that no burst follows */
	(void)now_us;
	b->in_recovery = false;
	bbr_restore_cwnd(c, b);
	bound_cwnd(c, b);
}

/* 5.5.11.2 */
static void bbr_undo(struct congestion *c)
{
	struct bbr *b = bbr_of(c);

	if (!congestion_restore(c))
		return;
	b->in_recovery = false;
	b->loss_in_round = false;
	bbr_reset_full_bw(b);
	b->bw_shortterm = max_u64(b->bw_shortterm, b->undo_bw_shortterm);
	b->inflight_shortterm = max_u32(b->inflight_shortterm, b->undo_inflight_shortterm);
	b->inflight_longterm = max_u32(b->inflight_longterm, b->undo_inflight_longterm);
	if (b->state == BBR_PROBE_RTT || b->state == b->undo_state)
		return;
	if (b->undo_state == BBR_STARTUP)
		bbr_enter_startup(b);
	else if (b->undo_state == BBR_PROBE_BW_UP)
		bbr_start_probe_bw_up(c, b);
}

/* 5.4.1; that nothing was in flight for lack of data is the caller's word. */
static void bbr_restart(struct congestion *c, uint32_t idle_us, uint32_t rto_us, uint64_t now_us)
{
	struct bbr *b = bbr_of(c);

	(void)idle_us;
	(void)rto_us;
	b->idle_restart = true;
	b->extra_acked_start_us = now_us;
	if (bbr_in_probe_bw(b))
		set_pacing_rate(c, b, 100);
	else if (b->state == BBR_PROBE_RTT)
		bbr_check_probe_rtt_done(c, b, now_us);
}

const struct congestion_ops congestion_bbr = {
	.name = "bbr",
	.pooled_bytes = sizeof(struct bbr),
	.owns_window = true,
	.init = bbr_init,
	.acked = bbr_acked,
	.reduce = bbr_reduce,
	.recovered = bbr_recovered,
	.undo = bbr_undo,
	.restart = bbr_restart,
};
