/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 9406 section 4.2, in its order. */
#include "tcp/hystart.h"

#include "lib/seq.h"

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

void hystart_begin(struct hystart *h)
{
	*h = (struct hystart){0};
}

uint32_t hystart_growth(const struct hystart *h, uint32_t acked_bytes)
{
	return h->css_baseline_us != 0 ? acked_bytes / HYSTART_CSS_GROWTH_DIVISOR : acked_bytes;
}

static void round_begin(struct hystart *h, uint32_t snd_max)
{
	h->in_round = true;
	h->window_end = snd_max;
	h->last_min_us = h->round_min_us;
	h->round_min_us = 0;
	h->samples = 0;
}

static void take_sample(struct hystart *h, uint32_t rtt_us)
{
	if (rtt_us == 0)
		return;
	if (h->round_min_us == 0 || rtt_us < h->round_min_us)
		h->round_min_us = rtt_us;
	if (h->samples < HYSTART_SAMPLES)
		h->samples++;
}

static uint32_t rtt_threshold_us(const struct hystart *h)
{
	uint32_t thresh_us = h->last_min_us / HYSTART_RTT_DIVISOR;

	if (thresh_us < HYSTART_RTT_THRESH_MIN_US)
		return HYSTART_RTT_THRESH_MIN_US;
	return min_u32(thresh_us, HYSTART_RTT_THRESH_MAX_US);
}

/* In slow start: has the round trip grown since the last round? */
static void look_for_delay(struct hystart *h)
{
	if (h->last_min_us == 0 || h->round_min_us < rtt_threshold_us(h) ||
	    h->round_min_us - rtt_threshold_us(h) < h->last_min_us)
		return;
	h->css_baseline_us = h->round_min_us;
	h->css_rounds = 1; /* what is left of this round counts too */
}

/* In CSS: was the delay a passing one? */
static void look_for_relief(struct hystart *h)
{
	if (h->round_min_us < h->css_baseline_us)
		h->css_baseline_us = 0;
}

enum hystart_verdict hystart_ack(struct hystart *h, uint32_t snd_una, uint32_t snd_max,
				 uint32_t rtt_us)
{
	/* While the window is not in use nothing is told, for as long as that lasts. */
	bool round_ends = h->in_round &&
			  (seq_ge(snd_una, h->window_end) || seq_gt(h->window_end, snd_max));

	take_sample(h, rtt_us);
	if (h->samples >= HYSTART_SAMPLES) {
		if (h->css_baseline_us == 0)
			look_for_delay(h);
		else
			look_for_relief(h);
	}
	if (round_ends && h->css_baseline_us != 0 && h->css_rounds++ >= HYSTART_CSS_ROUNDS)
		return HYSTART_DONE;
	if (round_ends || !h->in_round)
		round_begin(h, snd_max);
	return HYSTART_GOES_ON;
}
