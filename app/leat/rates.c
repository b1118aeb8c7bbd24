/* SPDX-License-Identifier: BSD-3-Clause */
#include "rates.h"

static const char *const stage_counter[STAGE_MAX] = {
	[STAGE_RECEIVE] = "cycles_receive", [STAGE_SUBMISSIONS] = "cycles_submissions",
	[STAGE_TIMERS] = "cycles_timers",   [STAGE_OUTPUT] = "cycles_output",
	[STAGE_PUBLISH] = "cycles_publish", [STAGE_TRANSMIT] = "cycles_transmit",
	[STAGE_STEERED] = "cycles_steered", [STAGE_MESSAGES] = "cycles_messages",
	[STAGE_IDLE] = "cycles_idle",
};

void sample_read(struct sample *s, const struct json *counters)
{
	*s = (struct sample){
		.cycles = json_number(counters, "cycles"),
		.cycles_per_second = json_number(counters, "cycles_per_second"),
		.asleep = json_number(counters, "cycles_asleep"),
		.polls = json_number(counters, "polls"),
		.rx_packets = json_number(counters, "rx_packets"),
		.rx_bursts = json_number(counters, "rx_bursts"),
		.tx_packets = json_number(counters, "tx_packets"),
		.tx_bursts = json_number(counters, "tx_bursts"),
	};
	for (int i = 0; i < STAGE_MAX; i++)
		s->stage[i] = json_number(counters, stage_counter[i]);
}

/* A worker counts on while it is read, so a value may even seem to go back a little. */
static double gone_by(uint64_t from, uint64_t to)
{
	return to > from ? (double)(to - from) : 0;
}

static double ratio(double part, double whole)
{
	return whole > 0 ? part / whole : 0;
}

/* Shares of the time; no sample may mean that there were few iterations: then it was idle. */
static void rate_stages(const struct sample *from, const struct sample *to, double cycles,
			struct rates *r)
{
	double measured = 0, awake;

	r->asleep = ratio(gone_by(from->asleep, to->asleep), cycles);
	if (r->asleep > 1)
		r->asleep = 1;
	awake = 1 - r->asleep;
	for (int i = 0; i < STAGE_MAX; i++)
		measured += gone_by(from->stage[i], to->stage[i]);
	for (int i = 0; i < STAGE_MAX; i++)
		r->stage[i] = awake * ratio(gone_by(from->stage[i], to->stage[i]), measured);
	r->idle = measured > 0 ? r->stage[STAGE_IDLE] : awake;
	r->busy = awake - r->idle;
}

void rates_between(const struct sample *from, const struct sample *to, struct rates *r)
{
	double cycles = gone_by(from->cycles, to->cycles);
	double rx_packets = gone_by(from->rx_packets, to->rx_packets);
	double tx_packets = gone_by(from->tx_packets, to->tx_packets);

	*r = (struct rates){.seconds = ratio(cycles, (double)to->cycles_per_second)};
	rate_stages(from, to, cycles, r);
	r->polls = ratio(gone_by(from->polls, to->polls), r->seconds);
	r->rx_packets = ratio(rx_packets, r->seconds);
	r->tx_packets = ratio(tx_packets, r->seconds);
	r->rx_per_burst = ratio(rx_packets, gone_by(from->rx_bursts, to->rx_bursts));
	r->tx_per_burst = ratio(tx_packets, gone_by(from->tx_bursts, to->tx_bursts));
	r->rx_cycles = ratio(r->stage[STAGE_RECEIVE] * cycles, rx_packets);
	r->tx_cycles = ratio((r->stage[STAGE_OUTPUT] + r->stage[STAGE_TRANSMIT]) * cycles,
			     tx_packets);
}
