/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 8257. */
#include "support/path.h"
#include "support/test.h"
#include "tcp/congestion.h"

#define MSS 1460u

static const struct congestion_ops *const dctcp = &congestion_dctcp;
static struct congestion c;
static uint32_t una;

static void begin(void)
{
	c = (struct congestion){.mss_bytes = MSS};
	una = UINT32_MAX - 100 * MSS; /* sequence numbers wrap */
	dctcp->init(&c, 0, false);
}

/* An observation window of 100 segments, so many of them marked. */
static void window_of(unsigned marked)
{
	for (unsigned i = 0; i < 100; i++) {
		una += MSS;
		dctcp->acked(&c, &(struct congestion_ack){.snd_una = una,
							  .snd_max = una + 99 * MSS,
							  .acked_bytes = MSS,
							  .ce_bytes = i < marked ? MSS : 0,
							  .in_recovery = true});
	}
}

/* Percent of cwnd that a mark takes now. */
static unsigned reduction(void)
{
	c.cwnd_bytes = 1000 * MSS;
	dctcp->reduce(&c, CONGESTION_ECN, 1000 * MSS, 0);
	dctcp->recovered(&c, 1000 * MSS, 0);
	return 100 - (c.cwnd_bytes + MSS) / (10 * MSS); /* rounded */
}

static void it_asks_for_ecn(void)
{
	CHECK(dctcp->wants_ecn);
}

static void the_first_mark_halves(void)
{
	begin();
	CHECK_EQ(reduction(), 50); /* section 4.2: Alpha begins with 1 */
}

static void without_marks_alpha_goes_to_zero(void)
{
	begin();
	for (int i = 0; i < 16; i++)
		window_of(0);
	CHECK_RANGE(reduction(), 17, 19); /* (15/16)^16 = 0.356 */
	for (int i = 0; i < 300; i++)
		window_of(0);
	CHECK_EQ(reduction(), 0);
}

static void alpha_follows_the_fraction_of_marked_bytes(void)
{
	begin();
	for (int i = 0; i < 200; i++)
		window_of(20);
	CHECK_RANGE(reduction(), 9, 11); /* Alpha / 2 */
	for (int i = 0; i < 200; i++)
		window_of(100);
	CHECK_RANGE(reduction(), 49, 50);
}

static void alpha_changes_once_in_a_window(void)
{
	begin();
	for (unsigned i = 0; i < 50; i++) /* of which the end is never acknowledged */
		dctcp->acked(&c, &(struct congestion_ack){.snd_una = una,
							  .snd_max = una + 100 * MSS,
							  .acked_bytes = MSS});
	CHECK_EQ(reduction(), 50);
}

static void loss_halves_whatever_alpha_is(void)
{
	begin();
	for (int i = 0; i < 300; i++)
		window_of(0);
	c.cwnd_bytes = 100 * MSS;
	dctcp->reduce(&c, CONGESTION_LOSS, 100 * MSS, 0); /* section 3.5 */
	CHECK_EQ(c.ssthresh_bytes, 50 * MSS);
	dctcp->reduce(&c, CONGESTION_TIMEOUT, 100 * MSS, 0);
	CHECK_EQ(c.cwnd_bytes, MSS);
}

static void undo_restores_exactly(void)
{
	begin();
	dctcp->reduce(&c, CONGESTION_ECN, 10 * MSS, 0);
	c.cwnd_bytes = c.ssthresh_bytes;
	dctcp->undo(&c);
	CHECK_EQ(c.cwnd_bytes, 10 * MSS);
	CHECK_EQ(c.ssthresh_bytes, SSTHRESH_INFINITE);
}

static void extremes_do_not_overflow(void)
{
	begin();
	for (int i = 0; i < 1000; i++) {
		una += 1u << 30;
		dctcp->acked(&c, &(struct congestion_ack){.snd_una = una,
							  .snd_max = una,
							  .acked_bytes = 1u << 30,
							  .ce_bytes = UINT32_MAX,
							  .cwnd_limited = true});
	}
	CHECK_EQ(reduction(), 50);
	c.cwnd_bytes = 1u << 30;
	dctcp->reduce(&c, CONGESTION_ECN, 1u << 30, 0);
	CHECK_RANGE(c.ssthresh_bytes, 1u << 29, (1u << 29) + 20000);
}

/* Section 4.1 and what it is for: the queue stays at the threshold, the link stays busy. */
static void the_queue_stays_at_the_threshold(void)
{
	struct path p = {
		.rate = 125000000, .rtt_us = 500, .queue_segments = 500, .mark_segments = 20};
	struct path_flow *a, *b;

	path_begin(&p);
	a = path_flow_begin(&p, dctcp, MSS);
	b = path_flow_begin(&p, dctcp, MSS);
	path_run(&p, 500000);
	path_watch(&p);
	path_run(&p, 3000000);
	CHECK_RANGE(p.queue_max, 20, 30);
	CHECK_EQ(p.drops, 0);
	CHECK_RANGE(path_share(&p, a) + path_share(&p, b), 97, 100);
	CHECK_RANGE(path_share(&p, a), 35, 65);
	path_end(&p);
}

static void alpha_outlasts_a_pause(void)
{
	uint32_t memory;
	unsigned before;

	begin();
	for (unsigned i = 0; i < 200; i++)
		window_of(40);
	before = reduction();
	memory = dctcp->rest(&c);
	begin();
	dctcp->resume(&c, memory);
	CHECK_EQ(reduction(), before);
	begin();
	for (unsigned i = 0; i < 400; i++)
		window_of(0);
	CHECK(dctcp->rest(&c) != 0); /* none is something to remember, too */
}

TEST_SUITE(congestion_dctcp)
{
	TEST(it_asks_for_ecn);
	TEST(the_first_mark_halves);
	TEST(without_marks_alpha_goes_to_zero);
	TEST(alpha_follows_the_fraction_of_marked_bytes);
	TEST(alpha_changes_once_in_a_window);
	TEST(loss_halves_whatever_alpha_is);
	TEST(alpha_outlasts_a_pause);
	TEST(undo_restores_exactly);
	TEST(extremes_do_not_overflow);
	TEST(the_queue_stays_at_the_threshold);
}
