/* SPDX-License-Identifier: BSD-3-Clause */
/* BBR draft, sections 5.6.2 and 5.6.3. */
#include "support/test.h"
#include "tcp/pacing.h"

#define MSS     1460u
#define GIGABIT 125000000ull /* bytes per second */

/* Sends as fast as it may for so long, looking late by late_us each time; returns the bytes. */
static uint64_t send_for(struct pacing *p, uint64_t rate, uint32_t mss_bytes, uint64_t start_us,
			 uint64_t duration_us, uint64_t late_us)
{
	uint64_t now_us = start_us, sent = 0;

	for (;;) {
		uint64_t next_us = pacing_next_us(p, rate, now_us);

		if (next_us > now_us)
			now_us = next_us + late_us;
		if (now_us >= start_us + duration_us)
			return sent;
		pacing_sent(p, rate, mss_bytes, mss_bytes, now_us);
		sent += mss_bytes;
	}
}

static void the_quantum_is_a_millisecond_within_bounds(void)
{
	CHECK_EQ(pacing_quantum(5000000, MSS), 5000);
	CHECK_EQ(pacing_quantum(1000, MSS), 2 * MSS);
	CHECK_EQ(pacing_quantum(100 * GIGABIT, MSS), 65536);
	CHECK_EQ(pacing_quantum(100 * GIGABIT, 65495), 2 * 65495);
}

static void without_a_rate_nothing_waits(void)
{
	struct pacing p = {0};

	pacing_sent(&p, 0, MSS, 1u << 30, 1000);
	CHECK_EQ(pacing_next_us(&p, 0, 1000), 1000);
	pacing_sent(&p, 1000, MSS, MSS, 1000); /* and what went unpaced is no debt */
	CHECK_EQ(pacing_next_us(&p, 1000, 1000), 1000);
}

static void a_burst_of_one_quantum_goes_then_waits_for_its_time(void)
{
	struct pacing p = {.next_us = 5000};
	unsigned sent = 0;

	while (pacing_next_us(&p, 1460000, 5000) == 5000) {
		pacing_sent(&p, 1460000, MSS, MSS, 5000); /* a segment takes a millisecond */
		REQUIRE(++sent < 10);
	}
	CHECK_EQ(sent, 2);
	CHECK_EQ(pacing_next_us(&p, 1460000, 5000), 7000);
	CHECK_EQ(pacing_next_us(&p, 1460000, 8000), 8000);
}

/* Parts of a microsecond add up: at 100 Gb/s a segment takes 0.1168 of one. */
static void the_rate_is_exact_over_a_long_time(void)
{
	static const uint64_t rates[] = {10007, 1000003, GIGABIT, 100 * GIGABIT};
	static const uint64_t seconds[] = {1000, 100, 10, 1};

	for (unsigned i = 0; i < 4; i++) {
		struct pacing p = {0};
		uint64_t sent = send_for(&p, rates[i], MSS, 1000000, seconds[i] * 1000000, 0);
		uint64_t due = rates[i] * seconds[i];

		CHECK_RANGE(sent, due - MSS, due + 2 * pacing_quantum(rates[i], MSS));
	}
}

static void a_late_worker_does_not_lower_the_rate(void)
{
	struct pacing p = {0};
	uint64_t sent = send_for(&p, GIGABIT, MSS, 1000000, 1000000, 50);

	CHECK_RANGE(sent, GIGABIT - MSS, GIGABIT + 65536 * 2);
}

static void idle_time_is_not_saved_up(void)
{
	struct pacing p = {0};
	uint64_t quantum = pacing_quantum(GIGABIT, MSS), sent;

	send_for(&p, GIGABIT, MSS, 1000000, 10000, 0);
	sent = send_for(&p, GIGABIT, MSS, 3600000000, 1, 0); /* an hour later, at one instant */
	CHECK_RANGE(sent, quantum, quantum * 3 / 2 + 2 * MSS);
}

static void a_lower_rate_counts_from_the_next_burst_on(void)
{
	struct pacing p = {0};
	uint64_t wait_us;

	send_for(&p, 100 * GIGABIT, MSS, 1000000, 100, 0);
	wait_us = pacing_next_us(&p, 1000, 1000100) - 1000100;
	CHECK_RANGE(wait_us, 0, 10); /* what was left over is a microsecond at most */
	pacing_sent(&p, 1000, MSS, 2 * MSS, 1000100 + wait_us);
	/* 2920 bytes at 1000 a second; half of that may have been lateness. */
	CHECK_RANGE(pacing_next_us(&p, 1000, 1000200), 1000100 + 1460000, 1000200 + 2920001);
}

static void extremes_do_not_overflow(void)
{
	struct pacing p = {0};

	pacing_sent(&p, 1, 65495, 1u << 30, 0);
	CHECK_EQ(p.next_us, (1ull << 30) * 1000000);
	p = (struct pacing){0};
	pacing_sent(&p, 1ull << 44, 65495, UINT32_MAX, UINT64_MAX / 2);
	CHECK(p.next_us > UINT64_MAX / 2 - 1000);
	CHECK(p.next_us < UINT64_MAX / 2 + 1000);
}

TEST_SUITE(pacing)
{
	TEST(the_quantum_is_a_millisecond_within_bounds);
	TEST(without_a_rate_nothing_waits);
	TEST(a_burst_of_one_quantum_goes_then_waits_for_its_time);
	TEST(the_rate_is_exact_over_a_long_time);
	TEST(a_late_worker_does_not_lower_the_rate);
	TEST(idle_time_is_not_saved_up);
	TEST(a_lower_rate_counts_from_the_next_burst_on);
	TEST(extremes_do_not_overflow);
}
