/* SPDX-License-Identifier: BSD-3-Clause */
/* BBR's state machine (draft section 5.3): when to speed up, slow down and cruise. */
#include "tcp/congestion_bbr.h"

/* ---- randomness ---------------------------------------------------------------- */

/* xorshift64*; it need not be unpredictable, only different from flow to flow. */
static uint32_t random_below(struct bbr *b, uint64_t now_us, uint32_t bound)
{
	uint64_t x = b->random ^ now_us;

	if (x == 0)
		x = 1;
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	b->random = x;
	return (uint32_t)((x * 0x2545f4914f6cdd1dull >> 32) % bound);
}

/* ---- Startup and Drain, 5.3.1 and 5.3.2 ------------------------------------------- */

void bbr_enter_startup(struct bbr *b)
{
	b->state = BBR_STARTUP;
}

static void enter_drain(struct bbr *b)
{
	b->state = BBR_DRAIN;
	b->drain_start_round = b->round_count;
}

/* 5.3.1.3: a round of recovery, with many losses. */
static bool startup_loses_too_much(const struct bbr *b, const struct congestion_ack *ack)
{
	return b->loss_round_start && b->in_recovery && b->round_count > b->recovery_round &&
	       b->losses_in_round >= BBR_STARTUP_LOSSES && bbr_is_inflight_too_high(ack);
}

static void check_startup_high_loss(struct bbr *b, const struct congestion_ack *ack)
{
	if (b->full_bw_reached || !startup_loses_too_much(b, ack))
		return;
	b->full_bw_reached = true;
	b->inflight_longterm = max_u32(bbr_bdp(b, b->bw, 100), b->inflight_latest);
}

void bbr_check_startup_done(struct bbr *b, const struct congestion_ack *ack)
{
	if (b->state == BBR_STARTUP)
		check_startup_high_loss(b, ack);
	if (b->loss_round_start)
		b->losses_in_round = 0;
	if (b->state == BBR_STARTUP && b->full_bw_reached)
		enter_drain(b);
}

/* ---- ProbeBW, 5.3.3 ------------------------------------------------------------------ */

static uint32_t target_inflight(const struct congestion *c, const struct bbr *b)
{
	return min_u32(bbr_bdp(b, b->bw, 100), c->cwnd_bytes);
}

/* 5.3.3.5.3 */
static void pick_probe_wait(struct bbr *b, uint64_t now_us)
{
	b->rounds_since_bw_probe = random_below(b, now_us, 2);
	b->bw_probe_wait_us = BBR_PROBE_WAIT_US + random_below(b, now_us, BBR_PROBE_WAIT_RANDOM_US);
}

static void start_probe_bw_down(struct bbr *b, uint64_t now_us)
{
	bbr_reset_congestion_signals(b);
	b->probe_up_cnt = UINT32_MAX;
	pick_probe_wait(b, now_us);
	b->cycle_stamp_us = now_us;
	b->ack_phase = BBR_ACKS_PROBE_STOPPING;
	bbr_start_round(b);
	b->state = BBR_PROBE_BW_DOWN;
}

static void start_probe_bw_refill(struct bbr *b)
{
	bbr_reset_shortterm(b);
	b->bw_probe_up_rounds = 0;
	b->bw_probe_up_acks = 0;
	b->ack_phase = BBR_ACKS_REFILLING;
	bbr_start_round(b);
	b->state = BBR_PROBE_BW_REFILL;
}

/* inflight_longterm grows by 1, 2, 4, ... segments a round. */
static void raise_longterm_slope(const struct congestion *c, struct bbr *b)
{
	uint64_t growth_bytes = (uint64_t)c->mss_bytes << b->bw_probe_up_rounds;

	b->bw_probe_up_rounds = (uint8_t)min_u32(b->bw_probe_up_rounds + 1u, 30);
	b->probe_up_cnt = (uint32_t)max_u64(c->cwnd_bytes / growth_bytes, 1);
}

void bbr_start_probe_bw_up(const struct congestion *c, struct bbr *b)
{
	b->ack_phase = BBR_ACKS_PROBE_STARTING;
	bbr_start_round(b);
	bbr_reset_full_bw(b);
	b->full_bw = b->delivery_rate;
	b->state = BBR_PROBE_BW_UP;
	raise_longterm_slope(c, b);
}

/* Coexistence with Reno: on short paths as often as it would lose (T_reno). */
static bool is_reno_probe_time(const struct congestion *c, const struct bbr *b)
{
	uint32_t rounds = target_inflight(c, b) / c->mss_bytes;

	return b->rounds_since_bw_probe >= min_u32(rounds, BBR_PROBE_ROUNDS);
}

static bool is_time_to_probe_bw(const struct congestion *c, const struct bbr *b, uint64_t now_us)
{
	return now_us > b->cycle_stamp_us + b->bw_probe_wait_us || is_reno_probe_time(c, b);
}

static bool is_time_to_cruise(const struct congestion *c, const struct bbr *b,
			      const struct congestion_ack *ack)
{
	return ack->in_flight_bytes <= bbr_inflight_with_headroom(c, b) &&
	       ack->in_flight_bytes <= bbr_inflight(c, b, b->max_bw, 100);
}

static bool is_time_to_go_down(const struct congestion *c, struct bbr *b,
			       const struct congestion_ack *ack)
{
	if (ack->cwnd_limited && c->cwnd_bytes >= b->inflight_longterm) {
		bbr_reset_full_bw(b); /* the bound is the limit, not the path */
		b->full_bw = b->delivery_rate;
		return false;
	}
	return b->full_bw_now;
}

static void probe_longterm_upward(const struct congestion *c, struct bbr *b,
				  const struct congestion_ack *ack)
{
	uint32_t delta;

	if (!ack->cwnd_limited || c->cwnd_bytes < b->inflight_longterm)
		return;
	b->bw_probe_up_acks += min_u32(ack->acked_bytes, BBR_BYTES_MAX);
	delta = b->bw_probe_up_acks / b->probe_up_cnt;
	b->bw_probe_up_acks -= delta * b->probe_up_cnt;
	b->inflight_longterm +=
		min_u32(delta, BBR_BYTES_MAX - min_u32(b->inflight_longterm, BBR_BYTES_MAX));
	if (b->round_start)
		raise_longterm_slope(c, b);
}

/* 5.3.3.6, BBRAdaptLongTermModel */
static void adapt_longterm_model(const struct congestion *c, struct bbr *b,
				 const struct congestion_ack *ack)
{
	if (b->ack_phase == BBR_ACKS_PROBE_STARTING && b->round_start)
		b->ack_phase = BBR_ACKS_PROBE_FEEDBACK;
	if (b->ack_phase == BBR_ACKS_PROBE_STOPPING && b->round_start) {
		b->ack_phase = BBR_ACKS_INIT; /* once in a cycle */
		if (bbr_in_probe_bw(b) && !b->app_limited)
			bbr_advance_max_bw_filter(b);
	}
	if (bbr_is_inflight_too_high(ack) || b->inflight_longterm == BBR_INFINITE)
		return;
	b->inflight_longterm = max_u32(b->inflight_longterm, ack->tx_in_flight_bytes);
	if (b->state == BBR_PROBE_BW_UP)
		probe_longterm_upward(c, b, ack);
}

void bbr_check_drain_done(struct congestion *c, struct bbr *b, const struct congestion_ack *ack)
{
	if (b->state == BBR_DRAIN && (ack->in_flight_bytes <= bbr_inflight(c, b, b->bw, 100) ||
				      b->round_count > b->drain_start_round + 3))
		start_probe_bw_down(b, ack->now_us);
}

void bbr_update_probe_bw(struct congestion *c, struct bbr *b, const struct congestion_ack *ack)
{
	if (!b->full_bw_reached)
		return;
	adapt_longterm_model(c, b, ack);
	switch (b->state) {
	case BBR_PROBE_BW_DOWN:
		if (is_time_to_probe_bw(c, b, ack->now_us))
			start_probe_bw_refill(b);
		else if (is_time_to_cruise(c, b, ack))
			b->state = BBR_PROBE_BW_CRUISE;
		break;
	case BBR_PROBE_BW_CRUISE:
		if (is_time_to_probe_bw(c, b, ack->now_us))
			start_probe_bw_refill(b);
		break;
	case BBR_PROBE_BW_REFILL:
		if (b->round_start) {
			b->bw_probe_samples = true;
			bbr_start_probe_bw_up(c, b);
		}
		break;
	case BBR_PROBE_BW_UP:
		if (is_time_to_go_down(c, b, ack))
			start_probe_bw_down(b, ack->now_us);
		break;
	default:
		break;
	}
}

/* ---- losses, 5.5.10.2 ------------------------------------------------------------------ */

/* Once in a probe. */
static void handle_inflight_too_high(struct congestion *c, struct bbr *b,
				     const struct congestion_ack *ack)
{
	uint32_t least = (uint32_t)((uint64_t)target_inflight(c, b) * BBR_BETA_PERCENT / 100);

	b->bw_probe_samples = false;
	if (!b->app_limited)
		b->inflight_longterm = max_u32(ack->tx_in_flight_bytes, least);
	if (b->state == BBR_PROBE_BW_UP)
		start_probe_bw_down(b, ack->now_us);
}

void bbr_handle_losses(struct congestion *c, struct bbr *b, const struct congestion_ack *ack)
{
	if (ack->in_recovery && !b->in_recovery)
		b->recovery_round = b->round_count;
	b->in_recovery = ack->in_recovery;
	if (ack->lost_bytes == 0)
		return;
	bbr_note_loss(b);
	if (b->losses_in_round < BBR_STARTUP_LOSSES)
		b->losses_in_round++;
	if (b->bw_probe_samples && bbr_is_inflight_too_high(ack))
		handle_inflight_too_high(c, b, ack);
}

/* ---- ProbeRTT, 5.3.4 -------------------------------------------------------------------- */

static void enter_probe_rtt(struct congestion *c, struct bbr *b)
{
	bbr_save_cwnd(c, b); /* before the state says that the window is a modulated one */
	b->state = BBR_PROBE_RTT;
	b->probe_rtt_done_stamp_us = 0;
	b->ack_phase = BBR_ACKS_PROBE_STOPPING;
	bbr_start_round(b);
}

static void exit_probe_rtt(struct bbr *b, uint64_t now_us)
{
	bbr_reset_shortterm(b);
	if (!b->full_bw_reached) {
		bbr_enter_startup(b);
		return;
	}
	start_probe_bw_down(b, now_us);
	b->state = BBR_PROBE_BW_CRUISE; /* what is in flight is below the BDP already */
}

void bbr_check_probe_rtt_done(struct congestion *c, struct bbr *b, uint64_t now_us)
{
	if (b->probe_rtt_done_stamp_us == 0 || now_us <= b->probe_rtt_done_stamp_us)
		return;
	b->probe_rtt_min_stamp_us = now_us; /* when the next one is due */
	bbr_restore_cwnd(c, b);
	exit_probe_rtt(b, now_us);
}

static void handle_probe_rtt(struct congestion *c, struct bbr *b, const struct congestion_ack *ack)
{
	/* In place of MarkConnectionAppLimited: what is in flight now was sent slowly. */
	b->ignore_until = b->delivered + ack->in_flight_bytes;
	if (b->probe_rtt_done_stamp_us == 0) {
		if (ack->in_flight_bytes > bbr_probe_rtt_cwnd(c, b))
			return;
		b->probe_rtt_done_stamp_us = ack->now_us + BBR_PROBE_RTT_DURATION_US;
		b->probe_rtt_round_done = false;
		bbr_start_round(b);
		return;
	}
	if (b->round_start)
		b->probe_rtt_round_done = true;
	if (b->probe_rtt_round_done)
		bbr_check_probe_rtt_done(c, b, ack->now_us);
}

void bbr_check_probe_rtt(struct congestion *c, struct bbr *b, const struct congestion_ack *ack)
{
	if (b->state != BBR_PROBE_RTT && b->probe_rtt_expired && !b->idle_restart)
		enter_probe_rtt(c, b);
	if (b->state == BBR_PROBE_RTT)
		handle_probe_rtt(c, b, ack);
	if (ack->delivered_bytes > 0)
		b->idle_restart = false;
}
