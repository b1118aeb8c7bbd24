/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a worker did between two answers to /leat/stat, and what that cost.
 *
 * leatd measures a sample of its iterations (stack/core/cost.h): a stage's
 * share of what was measured is its share of the time awake.
 */
#ifndef LEAT_RATES_H
#define LEAT_RATES_H

#include <stdbool.h>
#include <stdint.h>

#include "json.h"

/* The first ones are what `leat stat` shows apart. */
enum stage {
	STAGE_RECEIVE,
	STAGE_SUBMISSIONS,
	STAGE_TIMERS,
	STAGE_OUTPUT,
	STAGE_PUBLISH,
	STAGE_TRANSMIT,
	STAGE_STEERED,
	STAGE_MESSAGES,
	STAGE_IDLE,
	STAGE_MAX
};

/* One worker's life so far; all zero: its start. */
struct sample {
	uint64_t cycles; /* of the TSC */
	uint64_t cycles_per_second;
	uint64_t asleep; /* cycles */
	uint64_t stage[STAGE_MAX]; /* cycles measured */
	uint64_t polls;
	uint64_t rx_packets, rx_bursts;
	uint64_t tx_packets, tx_bursts;
};

struct rates {
	double seconds;
	/* shares of that time, 0 to 1 */
	double busy, idle, asleep;
	double stage[STAGE_MAX];
	/* per second */
	double polls, rx_packets, tx_packets;
	/* 0 when there was none */
	double rx_per_burst, tx_per_burst;
	double rx_cycles, tx_cycles; /* per packet: receive; output and transmit */
};

/* From an answer to /leat/stat. */
void sample_read(struct sample *s, const struct json *counters);

void rates_between(const struct sample *from, const struct sample *to, struct rates *r);

#endif
