/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * HyStart++ (RFC 9406): leaves the first slow start when round trips grow
 * longer, before the queue overflows; through a phase of slower growth (CSS)
 * in which it may find that it was wrong.
 */
#ifndef LEAT_TCP_HYSTART_H
#define LEAT_TCP_HYSTART_H

#include <stdbool.h>
#include <stdint.h>

/* RFC 9406 section 4.3. */
#define HYSTART_RTT_THRESH_MIN_US  4000u
#define HYSTART_RTT_THRESH_MAX_US  16000u
#define HYSTART_RTT_DIVISOR        8
#define HYSTART_SAMPLES            8 /* N_RTT_SAMPLE: fewer in a round prove nothing */
#define HYSTART_CSS_GROWTH_DIVISOR 4
#define HYSTART_CSS_ROUNDS         5

struct hystart {
	uint32_t window_end; /* the round ends when this sequence number is acknowledged */
	uint32_t last_min_us; /* shortest round trip of the last round; 0: none */
	uint32_t round_min_us; /* of this one; 0: none */
	uint32_t css_baseline_us; /* 0: in slow start; else in CSS, since the RTT was that */
	uint8_t samples; /* in this round, up to HYSTART_SAMPLES */
	uint8_t css_rounds; /* begun */
	bool in_round;
};

enum hystart_verdict { HYSTART_GOES_ON, HYSTART_DONE /* ssthresh is where cwnd is */ };

/* Slow start begins; the first ACK begins the first round. */
void hystart_begin(struct hystart *h);
/* How much cwnd grows by, for so many bytes acknowledged.  L of RFC 9406 is infinite: see
 * congestion_slow_start. */
uint32_t hystart_growth(const struct hystart *h, uint32_t acked_bytes);
/* An ACK of slow start, after cwnd grew; rtt_us 0: not measured. */
enum hystart_verdict hystart_ack(struct hystart *h, uint32_t snd_una, uint32_t snd_max,
				 uint32_t rtt_us);

#endif
