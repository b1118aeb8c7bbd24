/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 9937. */
#include "support/test.h"
#include "tcp/prr.h"

#define MSS 1000u

static struct prr p;
static uint32_t in_flight;

static void begin(uint32_t outstanding_segments, uint32_t lost_segments, uint32_t ssthresh_segments)
{
	prr_begin(&p, outstanding_segments * MSS, ssthresh_segments * MSS);
	in_flight = (outstanding_segments - lost_segments) * MSS;
}

/* An ACK for one segment; sends what may be sent, in whole segments; returns how many. */
static unsigned ack(bool lost, bool advanced)
{
	unsigned sent = 0;
	uint32_t cwnd;

	in_flight -= MSS;
	cwnd = prr_ack(&p, MSS, in_flight, lost, MSS, advanced);
	for (; in_flight + MSS <= cwnd; sent++) {
		in_flight += MSS;
		prr_sent(&p, MSS);
	}
	return sent;
}

static void one_segment_goes_for_two_that_arrive_when_the_window_is_halved(void)
{
	unsigned sent = 0;

	begin(100, 1, 50);
	for (int i = 0; i < 90; i++) {
		unsigned now = ack(false, false);

		CHECK(now <= 1);
		sent += now;
	}
	CHECK_RANGE(sent, 44, 46);
}

static void the_share_is_rounded_up(void)
{
	prr_begin(&p, 3 * MSS, MSS);
	CHECK_EQ(prr_ack(&p, MSS, 2 * MSS, false, MSS, true), 2 * MSS + 334); /* CEIL */
}

static void recovery_ends_with_ssthresh_in_flight(void)
{
	begin(100, 1, 70);
	for (int i = 0; i < 99; i++)
		ack(false, false);
	CHECK_RANGE(in_flight, 69 * MSS, 70 * MSS);
}

/* Section 6.2: half of the window was lost; what is in flight is below ssthresh at once. */
static void heavy_loss_is_followed_by_no_more_than_arrives(void)
{
	begin(100, 60, 70);
	for (int i = 0; i < 20; i++)
		CHECK_EQ(ack(true, true), 1); /* PRR-CRB: further losses */
	CHECK_EQ(in_flight, 40 * MSS);
}

static void progress_lets_the_window_grow_back_as_slow_start_would(void)
{
	begin(100, 60, 70);
	for (int i = 0; i < 20; i++)
		CHECK_EQ(ack(false, true), 2); /* PRR-SSRB: SafeACK */
	CHECK_EQ(in_flight, 60 * MSS);
	for (int i = 0; i < 20; i++)
		ack(false, true);
	CHECK_EQ(in_flight, 70 * MSS); /* never above ssthresh */
}

static void an_ack_that_does_not_advance_is_no_progress(void)
{
	begin(100, 60, 70);
	CHECK_EQ(ack(false, false), 1);
}

static void the_first_retransmission_goes_always(void)
{
	prr_begin(&p, 100 * MSS, 2 * MSS);
	/* 1 of 100 delivered: 20 bytes may go, less than a segment; in flight far above. */
	CHECK_EQ(prr_ack(&p, 0, 99 * MSS, true, MSS, false), 100 * MSS);
	prr_sent(&p, MSS);
	CHECK_EQ(prr_ack(&p, 0, 99 * MSS, true, MSS, false), 99 * MSS);
}

static void extremes_neither_divide_by_zero_nor_overflow(void)
{
	prr_begin(&p, 0, 2 * MSS);
	CHECK_EQ(prr_ack(&p, MSS, 0, false, MSS, true), 2 * MSS);
	prr_begin(&p, 0, 2 * MSS);
	CHECK(prr_ack(&p, MSS, 10 * MSS, false, MSS, true) > 10 * MSS);
	prr_begin(&p, 1, 1u << 30);
	CHECK_EQ(prr_ack(&p, UINT32_MAX, UINT32_MAX - 1, false, 65495, true), UINT32_MAX);
	prr_begin(&p, 1u << 30, 1u << 29);
	for (int i = 0; i < 8; i++) {
		uint32_t cwnd = prr_ack(&p, 1u << 30, 1u << 28, false, 65495, true);

		CHECK_RANGE(cwnd, 1u << 28, 1u << 29);
		prr_sent(&p, 1u << 30);
	}
}

TEST_SUITE(prr)
{
	TEST(one_segment_goes_for_two_that_arrive_when_the_window_is_halved);
	TEST(the_share_is_rounded_up);
	TEST(recovery_ends_with_ssthresh_in_flight);
	TEST(heavy_loss_is_followed_by_no_more_than_arrives);
	TEST(progress_lets_the_window_grow_back_as_slow_start_would);
	TEST(an_ack_that_does_not_advance_is_no_progress);
	TEST(the_first_retransmission_goes_always);
	TEST(extremes_neither_divide_by_zero_nor_overflow);
}
