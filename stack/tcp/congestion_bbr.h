/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * BBR (draft-ietf-ccwg-bbr-05), what its files share.  Names are the draft's;
 * the numbers at functions are its sections.
 *
 *   congestion_bbr.c        the interface; pacing rate and cwnd from the model (5.6)
 *   congestion_bbr_model.c  the model of the path: rates, round trips, losses (5.5)
 *   congestion_bbr_state.c  the state machine (5.3)
 *
 * Where we differ, because the interface tells of ACKs, not of packets:
 * - A lost segment's own tx_in_flight is not known.  The loss rate is judged
 *   with the newest segment delivered (5.5.10.2, IsInflightTooHigh with RS), so
 *   BBRInflightAtLoss is left out.
 * - Lost ranges are not counted one by one; an ACK that tells of losses counts
 *   as one (5.3.1.3).
 * - SACK is taken for granted (C.has_selective_acks).
 * - BBR cannot mark the connection application-limited in ProbeRTT; it ignores
 *   the samples of that time itself (5.3.4.3).
 * - Randomness (5.3.3.5.3) comes from a generator of its own, seeded with the
 *   time of init and stirred with the time of each use; a leaf draws from nobody.
 */
#ifndef LEAT_TCP_CONGESTION_BBR_H
#define LEAT_TCP_CONGESTION_BBR_H

#include "tcp/congestion_steps.h"

#define BBR_RATE_MAX     (1ull << 44) /* bytes per second; so no product overflows */
#define BBR_BYTES_MAX    CONGESTION_WINDOW_MAX_BYTES
#define BBR_INFINITE     UINT32_MAX /* inflight_longterm, inflight_shortterm: not set */
#define BBR_BW_INFINITE  UINT64_MAX /* bw_shortterm */
#define BBR_RTT_INFINITE UINT32_MAX

/* 2.4 to 2.13, in percent, microseconds and segments. */
#define BBR_STARTUP_PACING_PERCENT  277u
#define BBR_DRAIN_PACING_PERCENT    50u
#define BBR_DOWN_PACING_PERCENT     90u
#define BBR_UP_PACING_PERCENT       125u
#define BBR_CWND_PERCENT            200u
#define BBR_UP_CWND_PERCENT         225u
#define BBR_PROBE_RTT_CWND_PERCENT  50u
#define BBR_PACING_MARGIN_PERCENT   1u
#define BBR_LOSS_THRESH_PERCENT     2u
#define BBR_BETA_PERCENT            70u
#define BBR_HEADROOM_PERCENT        15u
#define BBR_FULL_BW_PERCENT         125u
#define BBR_FULL_BW_ROUNDS          3
#define BBR_STARTUP_LOSSES          6 /* BBRStartupFullLossCnt */
#define BBR_MIN_PIPE_SEGMENTS       4u
#define BBR_OFFLOAD_QUANTA          3u
#define BBR_MIN_RTT_FILTER_US       10000000u
#define BBR_PROBE_RTT_INTERVAL_US   5000000u
#define BBR_PROBE_RTT_DURATION_US   200000u
#define BBR_PROBE_WAIT_US           2000000u /* and up to a second more */
#define BBR_PROBE_WAIT_RANDOM_US    1000000u
#define BBR_PROBE_ROUNDS            63u /* T_reno_bound */
#define BBR_EXTRA_ACKED_HALF_ROUNDS 5u /* half of ExtraAckedFilterLen */

enum bbr_state {
	BBR_STARTUP,
	BBR_DRAIN,
	BBR_PROBE_BW_DOWN,
	BBR_PROBE_BW_CRUISE,
	BBR_PROBE_BW_REFILL,
	BBR_PROBE_BW_UP,
	BBR_PROBE_RTT,
};

enum bbr_ack_phase {
	BBR_ACKS_INIT,
	BBR_ACKS_REFILLING,
	BBR_ACKS_PROBE_STARTING,
	BBR_ACKS_PROBE_FEEDBACK,
	BBR_ACKS_PROBE_STOPPING,
};

struct bbr {
	/* rounds, 5.5.1 */
	uint64_t delivered; /* C.delivered */
	uint64_t next_round_delivered;
	uint32_t round_count;
	uint32_t rounds_since_bw_probe;

	/* rate, 5.5.2 to 5.5.6; bytes per second */
	uint64_t bw;
	uint64_t max_bw;
	uint64_t max_bw_filter[2]; /* of the cycle before, of this one */
	uint64_t bw_shortterm;
	uint64_t bw_latest;
	uint64_t full_bw;
	uint64_t ignore_until; /* delivered: samples of segments sent before count as app-limited */

	/* the sample of this ACK */
	uint64_t delivery_rate; /* 0: none */
	bool app_limited;

	/* volume, 5.5.8 to 5.5.10; bytes */
	uint32_t inflight_longterm;
	uint32_t inflight_shortterm;
	uint32_t inflight_latest;
	uint32_t extra_acked[2]; /* maxima of the half window before, of this one */
	uint32_t extra_acked_round; /* when this half began */
	uint64_t extra_acked_delivered;
	uint64_t extra_acked_start_us;

	/* round-trip time, 5.5.7 */
	uint64_t min_rtt_stamp_us;
	uint64_t probe_rtt_min_stamp_us;
	uint64_t probe_rtt_done_stamp_us; /* 0: not in flight yet what shall be */
	uint32_t min_rtt_us;
	uint32_t probe_rtt_min_us;

	/* losses, 5.5.10 and 5.5.11 */
	uint64_t loss_round_delivered;
	uint64_t undo_bw_shortterm;
	uint32_t undo_inflight_shortterm;
	uint32_t undo_inflight_longterm;
	uint32_t recovery_round; /* round_count when recovery began */
	uint8_t undo_state;
	uint8_t losses_in_round; /* ACKs that told of some, up to BBR_STARTUP_LOSSES */
	bool loss_round_start;
	bool loss_in_round;
	bool in_recovery;

	/* the state machine, 5.3 */
	uint8_t state; /* enum bbr_state */
	uint8_t ack_phase;
	uint8_t full_bw_count;
	uint8_t bw_probe_up_rounds;
	bool round_start;
	bool full_bw_reached;
	bool full_bw_now;
	bool bw_probe_samples;
	bool idle_restart;
	bool probe_rtt_expired;
	bool probe_rtt_round_done;
	bool has_seen_rtt;
	uint32_t drain_start_round;
	uint32_t bw_probe_wait_us;
	uint64_t cycle_stamp_us;
	uint32_t probe_up_cnt; /* so many bytes acknowledged raise inflight_longterm by one */
	uint32_t bw_probe_up_acks;
	uint64_t random;

	uint32_t saved_cwnd_bytes; /* BBR.prior_cwnd */
	uint32_t initial_cwnd_bytes;
};

static inline struct bbr *bbr_of(struct congestion *c)
{
	return c->private.pooled;
}

static inline bool bbr_in_probe_bw(const struct bbr *b)
{
	return b->state >= BBR_PROBE_BW_DOWN && b->state <= BBR_PROBE_BW_UP;
}

/* IsProbingBW: the model takes losses for its own doing. */
static inline bool bbr_is_probing_bw(const struct bbr *b)
{
	return b->state == BBR_STARTUP || b->state == BBR_PROBE_BW_REFILL ||
	       b->state == BBR_PROBE_BW_UP;
}

static inline uint32_t bbr_min_pipe_bytes(const struct congestion *c)
{
	return BBR_MIN_PIPE_SEGMENTS * c->mss_bytes;
}

/* ---- congestion_bbr.c: volumes and rates from the model ---- */

/* 5.6.4.2: what is in flight at this rate in a min_rtt, times a gain. */
uint32_t bbr_bdp(const struct bbr *b, uint64_t bw, uint32_t gain_percent);
/* The same with what offloads need (BBRInflight). */
uint32_t bbr_inflight(const struct congestion *c, const struct bbr *b, uint64_t bw,
		      uint32_t gain_percent);
uint32_t bbr_inflight_with_headroom(const struct congestion *c, const struct bbr *b);
uint32_t bbr_probe_rtt_cwnd(const struct congestion *c, const struct bbr *b);
void bbr_save_cwnd(struct congestion *c, struct bbr *b);
void bbr_restore_cwnd(struct congestion *c, struct bbr *b);

/* ---- congestion_bbr_model.c ---- */

void bbr_model_begin(struct bbr *b, uint64_t now_us);
void bbr_start_round(struct bbr *b);
void bbr_reset_congestion_signals(struct bbr *b);
void bbr_reset_shortterm(struct bbr *b);
void bbr_reset_full_bw(struct bbr *b);
void bbr_save_state_upon_loss(struct bbr *b);
void bbr_note_loss(struct bbr *b);
/* Was too much in flight, by the losses since the newest segment delivered was sent? */
bool bbr_is_inflight_too_high(const struct congestion_ack *ack);
/* What an ACK says about the path, in the order of 5.2.3. */
void bbr_take_sample(struct bbr *b, const struct congestion_ack *ack);
void bbr_update_latest_signals(struct bbr *b, const struct congestion_ack *ack);
void bbr_update_congestion_signals(struct congestion *c, struct bbr *b,
				   const struct congestion_ack *ack);
void bbr_update_ack_aggregation(struct congestion *c, struct bbr *b,
				const struct congestion_ack *ack);
void bbr_check_full_bw(struct bbr *b);
void bbr_advance_max_bw_filter(struct bbr *b);
void bbr_update_min_rtt(struct bbr *b, const struct congestion_ack *ack);
void bbr_advance_latest_signals(struct bbr *b, const struct congestion_ack *ack);
void bbr_bound_bw(struct bbr *b);

/* ---- congestion_bbr_state.c ---- */

void bbr_enter_startup(struct bbr *b);
void bbr_start_probe_bw_up(const struct congestion *c, struct bbr *b);
void bbr_handle_losses(struct congestion *c, struct bbr *b, const struct congestion_ack *ack);
void bbr_check_startup_done(struct bbr *b, const struct congestion_ack *ack);
void bbr_check_drain_done(struct congestion *c, struct bbr *b, const struct congestion_ack *ack);
void bbr_update_probe_bw(struct congestion *c, struct bbr *b, const struct congestion_ack *ack);
void bbr_check_probe_rtt(struct congestion *c, struct bbr *b, const struct congestion_ack *ack);
/* Leaves ProbeRTT when its time is over. */
void bbr_check_probe_rtt_done(struct congestion *c, struct bbr *b, uint64_t now_us);

#endif
