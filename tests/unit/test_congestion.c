/* SPDX-License-Identifier: BSD-3-Clause */
/* What holds for each algorithm. */
#include <string.h>

#include "support/test.h"
#include "tcp/congestion.h"
#include "tcp/congestion_bbr.h"

static const char *const names[] = {"cubic", "newreno", "dctcp", "bbr"};
static const uint32_t sizes[] = {88, 1460, 65495};

static void algorithms_are_found_by_name(void)
{
	for (unsigned i = 0; i < 4; i++) {
		const struct congestion_ops *ops = congestion_find(names[i]);

		REQUIRE(ops != NULL);
		CHECK(strcmp(ops->name, names[i]) == 0);
		CHECK(strlen(ops->name) < CONGESTION_NAME_MAX);
	}
	CHECK(congestion_find("reno") == &congestion_newreno);
	CHECK(congestion_find("vegas") == NULL);
	CHECK(congestion_find("") == NULL);
}

static void a_connection_that_changes_algorithm_keeps_its_window(void)
{
	struct bbr pooled;

	for (unsigned i = 0; i < 4; i++) {
		const struct congestion_ops *ops = congestion_find(names[i]);
		struct congestion c = {.mss_bytes = 1460,
				       .cwnd_bytes = 77 * 1460,
				       .ssthresh_bytes = 50 * 1460,
				       .prior_cwnd_bytes = 200 * 1460,
				       .pacing_rate = 1000};

		c.private.pooled = &pooled;
		ops->init(&c, 0, false);
		CHECK_EQ(c.cwnd_bytes, 77 * 1460);
		CHECK_EQ(c.pacing_rate != 0, ops == &congestion_bbr);
		ops->undo(&c); /* of the reduction of another one: none */
		CHECK_EQ(c.cwnd_bytes, 77 * 1460);
	}
}

/* ---- chance ------------------------------------------------------------------- */

static uint64_t random_state;

static uint64_t draw(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* Small, middle, any and extreme numbers. */
static uint32_t draw_number(void)
{
	static const uint32_t extremes[] = {0, 1, 1u << 30, 1u << 31, UINT32_MAX};

	switch (draw() % 4) {
	case 0:
		return extremes[draw() % 5];
	case 1:
		return (uint32_t)(draw() % 100000);
	case 2:
		return (uint32_t)(draw() % 10000000);
	default:
		return (uint32_t)draw();
	}
}

static void random_ack(const struct congestion_ops *ops, struct congestion *c, uint64_t now_us)
{
	static uint64_t delivered;
	struct congestion_ack ack = {
		.now_us = now_us,
		.snd_una = draw_number(),
		.snd_max = draw_number(),
		.acked_bytes = draw_number() | 1,
		.lost_bytes = draw() % 3 == 0 ? draw_number() : 0,
		.in_flight_bytes = draw_number(),
		.prior_in_flight_bytes = draw_number(),
		.rtt_us = draw_number(),
		.srtt_us = draw_number(),
		.ce_bytes = draw_number(),
		.cwnd_limited = draw() % 2 == 0,
		.in_recovery = draw() % 4 == 0,
		.app_limited = draw() % 4 == 0,
		.interval_us = draw_number(),
		.delivered_bytes = draw_number(),
		.tx_in_flight_bytes = draw_number(),
		.lost_since_sent_bytes = draw_number(),
	};

	delivered += ack.acked_bytes;
	ack.delivered_total = delivered;
	ack.prior_delivered = delivered - draw_number() % (delivered + 1);
	ops->acked(c, &ack);
}

static void random_call(const struct congestion_ops *ops, struct congestion *c, uint64_t now_us)
{
	switch (draw() % 20) {
	case 0:
		ops->reduce(c, (enum congestion_event)(draw() % 3), draw_number(), now_us);
		break;
	case 1:
		ops->recovered(c, draw_number() % (1u << 30), now_us);
		break;
	case 2:
		ops->undo(c);
		break;
	case 3:
		ops->restart(c, draw_number(), draw_number(), now_us);
		break;
	default:
		random_ack(ops, c, now_us);
	}
}

/* For the sanitizers, too: no overflow, no division by zero, whatever comes. */
static void no_ack_leads_to_a_senseless_window(void)
{
	struct bbr pooled;

	for (unsigned i = 0; i < 4; i++) {
		const struct congestion_ops *ops = congestion_find(names[i]);

		for (unsigned j = 0; j < 3; j++) {
			struct congestion c = {.mss_bytes = sizes[j], .private.pooled = &pooled};
			uint64_t now_us = 1;

			random_state = i * 3 + j + 1;
			ops->init(&c, now_us, j == 1);
			for (int k = 0; k < 200000; k++) {
				now_us += draw_number() % (draw() % 2 ? 1000 : UINT32_MAX);
				random_call(ops, &c, now_us);
				REQUIRE(c.cwnd_bytes >= sizes[j] && c.cwnd_bytes <= 1u << 30);
				REQUIRE(c.ssthresh_bytes >= 2 * sizes[j]);
			}
		}
	}
}

TEST_SUITE(congestion)
{
	TEST(algorithms_are_found_by_name);
	TEST(a_connection_that_changes_algorithm_keeps_its_window);
	TEST(no_ack_leads_to_a_senseless_window);
}
