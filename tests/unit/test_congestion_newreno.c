/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 5681, RFC 6928, RFC 3465. */
#include "support/test.h"
#include "tcp/congestion.h"

#define MSS 1460u

static const struct congestion_ops *const newreno = &congestion_newreno;

static struct congestion begun_with(uint32_t mss_bytes, bool handshake_lost)
{
	struct congestion c = {.mss_bytes = mss_bytes};

	newreno->init(&c, 0, handshake_lost);
	return c;
}

static struct congestion begun(void)
{
	return begun_with(MSS, false);
}

static void acked(struct congestion *c, uint32_t bytes)
{
	newreno->acked(c, &(struct congestion_ack){.acked_bytes = bytes, .cwnd_limited = true});
}

static void acked_in_recovery(struct congestion *c, uint32_t bytes)
{
	newreno->acked(c, &(struct congestion_ack){
				  .acked_bytes = bytes, .cwnd_limited = true, .in_recovery = true});
}

static void initial_window_is_ten_segments_or_what_rfc_6928_says(void)
{
	CHECK_EQ(begun().cwnd_bytes, 10 * MSS);
	CHECK_EQ(begun_with(536, false).cwnd_bytes, 5360);
	CHECK_EQ(begun_with(8960, false).cwnd_bytes, 17920); /* two are more than 14600 bytes */
	CHECK_EQ(begun_with(2000, false).cwnd_bytes, 14600);
	CHECK_EQ(begun().ssthresh_bytes, SSTHRESH_INFINITE);
}

static void lost_handshake_segment_leaves_one_segment(void)
{
	CHECK_EQ(begun_with(MSS, true).cwnd_bytes, MSS);
}

static void slow_start_grows_by_what_is_acknowledged(void)
{
	struct congestion c = begun();

	acked(&c, 100);
	CHECK_EQ(c.cwnd_bytes, 10 * MSS + 100);
	acked(&c, 10 * MSS);
	CHECK_EQ(c.cwnd_bytes, 20 * MSS + 100);
}

static void a_window_that_was_not_in_use_does_not_grow(void)
{
	struct congestion c = begun();

	newreno->acked(&c, &(struct congestion_ack){.acked_bytes = MSS});
	CHECK_EQ(c.cwnd_bytes, 10 * MSS);
}

static void congestion_avoidance_grows_by_one_segment_a_window(void)
{
	struct congestion c = begun();
	uint32_t window;

	newreno->reduce(&c, CONGESTION_LOSS, 20 * MSS, 0);
	newreno->recovered(&c, 20 * MSS, 0);
	CHECK_EQ(c.cwnd_bytes, 10 * MSS);
	window = c.cwnd_bytes;
	for (unsigned i = 0; i < 9; i++)
		acked(&c, MSS);
	CHECK_EQ(c.cwnd_bytes, window);
	acked(&c, MSS);
	CHECK_EQ(c.cwnd_bytes, window + MSS);
}

static void loss_halves_what_is_in_flight(void)
{
	struct congestion c = begun();

	newreno->reduce(&c, CONGESTION_LOSS, 30 * MSS, 0);
	CHECK_EQ(c.ssthresh_bytes, 15 * MSS);
	newreno->reduce(&c, CONGESTION_LOSS, MSS, 0); /* RFC 5681 equation 4: two at least */
	CHECK_EQ(c.ssthresh_bytes, 2 * MSS);
}

static void congestion_notification_halves_as_loss_does(void)
{
	struct congestion c = begun();

	newreno->reduce(&c, CONGESTION_ECN, 30 * MSS, 0); /* RFC 3168 section 6.1.2 */
	CHECK_EQ(c.ssthresh_bytes, 15 * MSS);
}

static void fast_recovery_leaves_the_window_to_prr(void)
{
	struct congestion c = begun();

	newreno->reduce(&c, CONGESTION_LOSS, 10 * MSS, 0);
	c.cwnd_bytes = 7 * MSS;
	acked_in_recovery(&c, 2 * MSS);
	CHECK_EQ(c.cwnd_bytes, 7 * MSS);
}

/* RFC 9937 section 6.3 */
static void recovery_ends_at_ssthresh(void)
{
	struct congestion c = begun();

	newreno->reduce(&c, CONGESTION_LOSS, 30 * MSS, 0);
	newreno->recovered(&c, 3 * MSS, 0);
	CHECK_EQ(c.cwnd_bytes, 15 * MSS);
}

static void timeout_begins_again_with_one_segment(void)
{
	struct congestion c = begun();

	newreno->reduce(&c, CONGESTION_TIMEOUT, 30 * MSS, 0);
	CHECK_EQ(c.cwnd_bytes, MSS);
	CHECK_EQ(c.ssthresh_bytes, 15 * MSS);
	acked_in_recovery(&c, 2 * MSS); /* slow start repairs; RFC 3465 section 2.3: L = 1 */
	CHECK_EQ(c.cwnd_bytes, 2 * MSS);
	newreno->recovered(&c, 0, 0);
	CHECK_EQ(c.cwnd_bytes, 2 * MSS);
	acked(&c, 2 * MSS);
	CHECK_EQ(c.cwnd_bytes, 4 * MSS);
}

static void undo_restores_window_and_threshold(void)
{
	struct congestion c = begun();

	newreno->undo(&c);
	CHECK_EQ(c.cwnd_bytes, 10 * MSS); /* nothing to undo */
	newreno->reduce(&c, CONGESTION_TIMEOUT, 10 * MSS, 0);
	newreno->undo(&c);
	CHECK_EQ(c.cwnd_bytes, 10 * MSS);
	CHECK_EQ(c.ssthresh_bytes, SSTHRESH_INFINITE);
	newreno->reduce(&c, CONGESTION_LOSS, 10 * MSS, 0);
	newreno->recovered(&c, 10 * MSS, 0);
	newreno->undo(&c);
	CHECK_EQ(c.cwnd_bytes, 10 * MSS);
	CHECK_EQ(c.prior_cwnd_bytes, 0);
}

static void recovery_that_was_undone_ends_without_a_trace(void)
{
	struct congestion c = begun();

	newreno->reduce(&c, CONGESTION_ECN, 10 * MSS, 0);
	newreno->undo(&c);
	newreno->recovered(&c, 5 * MSS, 0);
	CHECK_EQ(c.cwnd_bytes, 10 * MSS);
}

static void idle_time_takes_a_large_window_back(void)
{
	struct congestion c = begun();

	while (c.cwnd_bytes < 100 * MSS)
		acked(&c, 2 * MSS);
	newreno->restart(&c, 200000, 200000, 0);
	CHECK_EQ(c.cwnd_bytes, 100 * MSS);
	newreno->restart(&c, 200001, 200000, 0);
	CHECK_EQ(c.cwnd_bytes, 10 * MSS); /* RFC 5681 section 4.1 */
	c.cwnd_bytes = 3 * MSS;
	newreno->restart(&c, 200001, 200000, 0);
	CHECK_EQ(c.cwnd_bytes, 3 * MSS);
}

static void window_does_not_overflow(void)
{
	struct congestion c = begun_with(65495, false);

	for (unsigned i = 0; i < 10000; i++)
		acked(&c, UINT32_MAX);
	CHECK_EQ(c.cwnd_bytes, 1u << 30);
	newreno->reduce(&c, CONGESTION_LOSS, c.cwnd_bytes, 0);
	newreno->recovered(&c, c.cwnd_bytes, 0);
	for (unsigned i = 0; i < 10000; i++)
		acked(&c, UINT32_MAX);
	CHECK_EQ(c.cwnd_bytes, 1u << 30);
}

TEST_SUITE(congestion_newreno)
{
	TEST(initial_window_is_ten_segments_or_what_rfc_6928_says);
	TEST(lost_handshake_segment_leaves_one_segment);
	TEST(slow_start_grows_by_what_is_acknowledged);
	TEST(a_window_that_was_not_in_use_does_not_grow);
	TEST(congestion_avoidance_grows_by_one_segment_a_window);
	TEST(loss_halves_what_is_in_flight);
	TEST(congestion_notification_halves_as_loss_does);
	TEST(fast_recovery_leaves_the_window_to_prr);
	TEST(recovery_ends_at_ssthresh);
	TEST(timeout_begins_again_with_one_segment);
	TEST(undo_restores_window_and_threshold);
	TEST(recovery_that_was_undone_ends_without_a_trace);
	TEST(idle_time_takes_a_large_window_back);
	TEST(window_does_not_overflow);
}
