/* SPDX-License-Identifier: BSD-3-Clause */
/* What `leat stat` makes of two answers. */
#include "rates.h"

#include <math.h>
#include <string.h>

#include "support/test.h"

static bool near(double value, double expected)
{
	return fabs(value - expected) < 1e-9 * (1 + fabs(expected));
}

/* Two seconds, half of the time asleep; one iteration in ten measured. */
static const struct sample after = {
	.cycles = 2000000,
	.cycles_per_second = 1000000,
	.asleep = 1000000,
	.stage = {[STAGE_RECEIVE] = 10000,
		  [STAGE_SUBMISSIONS] = 5000,
		  [STAGE_OUTPUT] = 4000,
		  [STAGE_TRANSMIT] = 1000,
		  [STAGE_IDLE] = 80000},
	.polls = 3000,
	.rx_packets = 1000,
	.rx_bursts = 250,
	.tx_packets = 500,
	.tx_bursts = 500,
};

static void shares_are_of_all_the_time(void)
{
	struct sample start = {.cycles = 0};
	struct rates r;

	rates_between(&start, &after, &r);
	CHECK(near(r.seconds, 2));
	CHECK(near(r.asleep, 0.5));
	CHECK(near(r.idle, 0.4));
	CHECK(near(r.busy, 0.1));
	CHECK(near(r.stage[STAGE_RECEIVE], 0.05));
	CHECK(near(r.stage[STAGE_SUBMISSIONS], 0.025));
	CHECK(near(r.stage[STAGE_OUTPUT], 0.02));
	CHECK(near(r.stage[STAGE_TIMERS], 0));
}

static void packets_cost_what_their_stages_do(void)
{
	struct sample start = {.cycles = 0};
	struct rates r;

	rates_between(&start, &after, &r);
	CHECK(near(r.polls, 1500));
	CHECK(near(r.rx_packets, 500));
	CHECK(near(r.rx_per_burst, 4));
	CHECK(near(r.rx_cycles, 100)); /* a twentieth of the two seconds, for 1000 */
	CHECK(near(r.tx_packets, 250));
	CHECK(near(r.tx_per_burst, 1));
	CHECK(near(r.tx_cycles, 100)); /* a fortieth, for 500 */
}

static void only_the_interval_counts(void)
{
	struct sample later = after;
	struct rates r;

	later.cycles += 1000000;
	later.stage[STAGE_TIMERS] += 300;
	later.stage[STAGE_IDLE] += 700;
	later.polls += 42;
	rates_between(&after, &later, &r);
	CHECK(near(r.seconds, 1));
	CHECK(near(r.busy, 0.3));
	CHECK(near(r.idle, 0.7));
	CHECK(near(r.asleep, 0));
	CHECK(near(r.stage[STAGE_TIMERS], 0.3));
	CHECK(near(r.polls, 42));
	CHECK(near(r.rx_packets, 0));
	CHECK(near(r.rx_cycles, 0)); /* not a division by no packet */
}

static void without_a_sample_it_was_idle(void)
{
	struct sample later = after;
	struct rates r;

	later.cycles += 1000;
	later.asleep += 900;
	rates_between(&after, &later, &r);
	CHECK(near(r.busy, 0));
	CHECK(near(r.idle, 0.1));
	CHECK(near(r.asleep, 0.9));
}

/* The same answer twice; and a sleep that the second one missed in part, or told too long. */
static void shares_stay_between_none_and_all(void)
{
	struct sample later = after;
	struct rates r;

	rates_between(&after, &later, &r);
	CHECK(near(r.seconds, 0));
	CHECK(near(r.asleep, 0));
	later.cycles += 1000;
	later.asleep -= 10;
	rates_between(&after, &later, &r);
	CHECK(near(r.asleep, 0));
	later.asleep = after.asleep + 1010;
	rates_between(&after, &later, &r);
	CHECK(near(r.asleep, 1));
	CHECK(near(r.busy, 0));
	CHECK(near(r.idle, 0));
}

static void a_sample_is_read_from_an_answer(void)
{
	char text[] = "{\"cycles\":1,\"cycles_per_second\":2,\"cycles_asleep\":3,\"polls\":4,"
		      "\"rx_packets\":5,\"rx_bursts\":6,\"tx_packets\":7,\"tx_bursts\":8,"
		      "\"cycles_receive\":10,\"cycles_steered\":11,\"cycles_messages\":12,"
		      "\"cycles_submissions\":13,\"cycles_timers\":14,\"cycles_output\":15,"
		      "\"cycles_publish\":16,\"cycles_transmit\":17,\"cycles_idle\":18}";
	const struct sample expected = {
		.cycles = 1,
		.cycles_per_second = 2,
		.asleep = 3,
		.polls = 4,
		.rx_packets = 5,
		.rx_bursts = 6,
		.tx_packets = 7,
		.tx_bursts = 8,
		.stage = {[STAGE_RECEIVE] = 10,
			  [STAGE_STEERED] = 11,
			  [STAGE_MESSAGES] = 12,
			  [STAGE_SUBMISSIONS] = 13,
			  [STAGE_TIMERS] = 14,
			  [STAGE_OUTPUT] = 15,
			  [STAGE_PUBLISH] = 16,
			  [STAGE_TRANSMIT] = 17,
			  [STAGE_IDLE] = 18},
	};
	struct json *value = json_parse(text);
	struct sample s;

	REQUIRE(value != NULL);
	sample_read(&s, value);
	CHECK(memcmp(&s, &expected, sizeof(s)) == 0);
	json_free(value);
}

TEST_SUITE(rates)
{
	TEST(shares_are_of_all_the_time);
	TEST(packets_cost_what_their_stages_do);
	TEST(only_the_interval_counts);
	TEST(without_a_sample_it_was_idle);
	TEST(shares_stay_between_none_and_all);
	TEST(a_sample_is_read_from_an_answer);
}
