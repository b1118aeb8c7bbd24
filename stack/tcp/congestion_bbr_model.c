/* SPDX-License-Identifier: BSD-3-Clause */
/* BBR's model of the path (draft section 5.5). */
#include "tcp/congestion_bbr.h"

#define US_PER_S 1000000u

static uint64_t percent_of(uint64_t value, uint32_t percent)
{
	return value * percent / 100;
}

/* ---- begin ------------------------------------------------------------------- */

void bbr_start_round(struct bbr *b)
{
	b->next_round_delivered = b->delivered;
}

void bbr_reset_congestion_signals(struct bbr *b)
{
	b->loss_in_round = false;
	b->bw_latest = 0;
	b->inflight_latest = 0;
}

void bbr_reset_shortterm(struct bbr *b)
{
	b->bw_shortterm = BBR_BW_INFINITE;
	b->inflight_shortterm = BBR_INFINITE;
}

void bbr_reset_full_bw(struct bbr *b)
{
	b->full_bw = 0;
	b->full_bw_count = 0;
	b->full_bw_now = false;
}

void bbr_model_begin(struct bbr *b, uint64_t now_us)
{
	b->min_rtt_us = BBR_RTT_INFINITE;
	b->probe_rtt_min_us = BBR_RTT_INFINITE;
	b->min_rtt_stamp_us = now_us;
	b->probe_rtt_min_stamp_us = now_us;
	b->extra_acked_start_us = now_us;
	b->inflight_longterm = BBR_INFINITE;
	bbr_reset_congestion_signals(b);
	bbr_reset_shortterm(b);
	bbr_reset_full_bw(b);
	bbr_save_state_upon_loss(b);
}

/* ---- the sample, 4.1.2.3 ---------------------------------------------------------- */

void bbr_take_sample(struct bbr *b, const struct congestion_ack *ack)
{
	uint64_t rate = 0;

	b->delivered = ack->delivered_total;
	b->app_limited = ack->app_limited || ack->prior_delivered < b->ignore_until;
	/* Shorter than any round trip: the ACK of a segment sent again in vain. */
	if (ack->interval_us != 0 &&
	    (b->min_rtt_us == BBR_RTT_INFINITE || ack->interval_us >= b->min_rtt_us))
		rate = (uint64_t)ack->delivered_bytes * US_PER_S / ack->interval_us;
	b->delivery_rate = min_u64(rate, BBR_RATE_MAX);
}

/* ---- losses, 5.5.10 ----------------------------------------------------------------- */

void bbr_save_state_upon_loss(struct bbr *b)
{
	b->undo_state = b->state;
	b->undo_bw_shortterm = b->bw_shortterm;
	b->undo_inflight_shortterm = b->inflight_shortterm;
	b->undo_inflight_longterm = b->inflight_longterm;
}

void bbr_note_loss(struct bbr *b)
{
	if (b->loss_in_round)
		return;
	b->loss_in_round = true;
	b->loss_round_delivered = b->delivered;
	bbr_save_state_upon_loss(b);
}

bool bbr_is_inflight_too_high(const struct congestion_ack *ack)
{
	return ack->lost_since_sent_bytes >
	       percent_of(ack->tx_in_flight_bytes, BBR_LOSS_THRESH_PERCENT);
}

/* ---- delivery signals, 5.5.10.3 ------------------------------------------------------- */

void bbr_update_latest_signals(struct bbr *b, const struct congestion_ack *ack)
{
	b->loss_round_start = false;
	b->bw_latest = max_u64(b->bw_latest, b->delivery_rate);
	b->inflight_latest = max_u32(b->inflight_latest, ack->delivered_bytes);
	if (ack->prior_delivered < b->loss_round_delivered)
		return;
	b->loss_round_delivered = b->delivered;
	b->loss_round_start = true;
}

void bbr_advance_latest_signals(struct bbr *b, const struct congestion_ack *ack)
{
	if (!b->loss_round_start)
		return;
	b->bw_latest = b->delivery_rate;
	b->inflight_latest = ack->delivered_bytes;
}

/* 5.5.1 */
static void update_round(struct bbr *b, const struct congestion_ack *ack)
{
	b->round_start = ack->prior_delivered >= b->next_round_delivered;
	if (!b->round_start)
		return;
	bbr_start_round(b);
	b->round_count++;
	b->rounds_since_bw_probe++;
}

/* 5.5.5; the filter's time is the two cycles it keeps. */
static void update_max_bw(struct bbr *b, const struct congestion_ack *ack)
{
	update_round(b, ack);
	if (b->delivery_rate == 0 || (b->app_limited && b->delivery_rate < b->max_bw))
		return;
	b->max_bw_filter[1] = max_u64(b->max_bw_filter[1], b->delivery_rate);
	b->max_bw = max_u64(b->max_bw_filter[0], b->max_bw_filter[1]);
}

/* 5.5.6.  A cycle without a sample is none: it would forget the path. */
void bbr_advance_max_bw_filter(struct bbr *b)
{
	if (b->max_bw_filter[1] == 0)
		return;
	b->max_bw_filter[0] = b->max_bw_filter[1];
	b->max_bw_filter[1] = 0;
	b->max_bw = b->max_bw_filter[0];
}

static void adapt_lower_bounds(struct congestion *c, struct bbr *b)
{
	if (bbr_is_probing_bw(b) || !b->loss_in_round)
		return;
	if (b->bw_shortterm == BBR_BW_INFINITE)
		b->bw_shortterm = b->max_bw;
	if (b->inflight_shortterm == BBR_INFINITE)
		b->inflight_shortterm = c->cwnd_bytes;
	b->bw_shortterm = max_u64(b->bw_latest, percent_of(b->bw_shortterm, BBR_BETA_PERCENT));
	b->inflight_shortterm = max_u32(
		b->inflight_latest, (uint32_t)percent_of(b->inflight_shortterm, BBR_BETA_PERCENT));
}

void bbr_update_congestion_signals(struct congestion *c, struct bbr *b,
				   const struct congestion_ack *ack)
{
	update_max_bw(b, ack);
	if (!b->loss_round_start)
		return;
	adapt_lower_bounds(c, b);
	b->loss_in_round = false;
}

void bbr_bound_bw(struct bbr *b)
{
	b->bw = min_u64(b->max_bw, b->bw_shortterm);
}

/* ---- aggregation, 5.5.9 ------------------------------------------------------------------ */

/* The maximum over the last ten rounds, by halves of five: of the last five to ten.  In Startup
 * over one. */
static void note_extra_acked(struct bbr *b, uint32_t extra_bytes)
{
	uint32_t half_rounds = b->full_bw_reached ? BBR_EXTRA_ACKED_HALF_ROUNDS : 1;

	if (b->round_count - b->extra_acked_round >= half_rounds) {
		b->extra_acked[0] = b->full_bw_reached ? b->extra_acked[1] : 0;
		b->extra_acked[1] = 0;
		b->extra_acked_round = b->round_count;
	}
	b->extra_acked[1] = max_u32(b->extra_acked[1], extra_bytes);
}

void bbr_update_ack_aggregation(struct congestion *c, struct bbr *b,
				const struct congestion_ack *ack)
{
	/* An interval of many seconds has long ended; it must not overflow meanwhile. */
	uint64_t interval_us = min_u64(ack->now_us - b->extra_acked_start_us, US_PER_S);
	uint64_t expected = b->bw * interval_us / US_PER_S;

	if (b->extra_acked_delivered <= expected || interval_us == US_PER_S) {
		b->extra_acked_delivered = 0;
		b->extra_acked_start_us = ack->now_us;
		expected = 0;
	}
	b->extra_acked_delivered += ack->acked_bytes;
	note_extra_acked(b, (uint32_t)min_u64(b->extra_acked_delivered - expected, c->cwnd_bytes));
}

/* ---- the full pipe, 5.3.1.2 ----------------------------------------------------------------- */

void bbr_check_full_bw(struct bbr *b)
{
	if (b->full_bw_now || !b->round_start || b->app_limited || b->delivery_rate == 0)
		return;
	if (b->delivery_rate >= percent_of(b->full_bw, BBR_FULL_BW_PERCENT)) {
		bbr_reset_full_bw(b);
		b->full_bw = b->delivery_rate;
		return;
	}
	b->full_bw_count++;
	b->full_bw_now = b->full_bw_count >= BBR_FULL_BW_ROUNDS;
	if (b->full_bw_now)
		b->full_bw_reached = true;
}

/* ---- round-trip time, 5.3.4.3 ------------------------------------------------------------------ */

void bbr_update_min_rtt(struct bbr *b, const struct congestion_ack *ack)
{
	uint64_t now_us = ack->now_us;

	b->probe_rtt_expired = now_us > b->probe_rtt_min_stamp_us + BBR_PROBE_RTT_INTERVAL_US;
	if (ack->rtt_us != 0 && (ack->rtt_us < b->probe_rtt_min_us || b->probe_rtt_expired)) {
		b->probe_rtt_min_us = ack->rtt_us;
		b->probe_rtt_min_stamp_us = now_us;
	}
	if (b->probe_rtt_min_us < b->min_rtt_us ||
	    now_us > b->min_rtt_stamp_us + BBR_MIN_RTT_FILTER_US) {
		b->min_rtt_us = b->probe_rtt_min_us;
		b->min_rtt_stamp_us = b->probe_rtt_min_stamp_us;
	}
}
