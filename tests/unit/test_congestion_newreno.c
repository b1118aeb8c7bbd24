/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 5681, RFC 6928, RFC 3465. */
#include "support/test.h"
#include "tcp/congestion.h"

#define MSS 1460u

static const struct congestion_ops *const newreno = &congestion_newreno;

static struct congestion begun(void)
{
	struct congestion c;

	newreno->init(&c, MSS, false);
	return c;
}

static void initial_window_is_ten_segments_or_what_rfc_6928_says(void)
{
	struct congestion c = begun();

	CHECK_EQ(c.cwnd_bytes, 10 * MSS);
	newreno->init(&c, 536, false);
	CHECK_EQ(c.cwnd_bytes, 5360);
	newreno->init(&c, 8960, false); /* jumbo frames: two of them are more than 14600 bytes */
	CHECK_EQ(c.cwnd_bytes, 17920);
	newreno->init(&c, 2000, false);
	CHECK_EQ(c.cwnd_bytes, 14600);
}

static void lost_handshake_segment_leaves_one_segment(void)
{
	struct congestion c;

	newreno->init(&c, MSS, true);
	CHECK_EQ(c.cwnd_bytes, MSS);
}

static void slow_start_grows_by_what_is_acknowledged_up_to_two_segments(void)
{
	struct congestion c = begun();

	newreno->acked(&c, 100);
	CHECK_EQ(c.cwnd_bytes, 10 * MSS + 100);
	newreno->acked(&c, 10 * MSS); /* RFC 3465 section 2.3: L = 2 */
	CHECK_EQ(c.cwnd_bytes, 12 * MSS + 100);
}

static void congestion_avoidance_grows_by_one_segment_a_window(void)
{
	struct congestion c = begun();
	uint32_t window;

	newreno->loss(&c, 20 * MSS);
	CHECK_EQ(c.cwnd_bytes, 10 * MSS);
	window = c.cwnd_bytes;
	for (unsigned i = 0; i < 9; i++)
		newreno->acked(&c, MSS);
	CHECK_EQ(c.cwnd_bytes, window);
	newreno->acked(&c, MSS);
	CHECK_EQ(c.cwnd_bytes, window + MSS);
}

static void loss_halves_what_is_in_flight(void)
{
	struct congestion c = begun();

	newreno->loss(&c, 30 * MSS);
	CHECK_EQ(c.ssthresh_bytes, 15 * MSS);
	newreno->loss(&c, MSS); /* RFC 5681 equation 4: two segments at least */
	CHECK_EQ(c.ssthresh_bytes, 2 * MSS);
}

static void timeout_begins_again_with_one_segment(void)
{
	struct congestion c = begun();

	newreno->timeout(&c, 30 * MSS);
	CHECK_EQ(c.cwnd_bytes, MSS);
	CHECK_EQ(c.ssthresh_bytes, 15 * MSS);
	newreno->acked(&c, MSS); /* in slow start again */
	CHECK_EQ(c.cwnd_bytes, 2 * MSS);
}

static void idle_time_takes_a_large_window_back(void)
{
	struct congestion c = begun();

	while (c.cwnd_bytes < 100 * MSS)
		newreno->acked(&c, 2 * MSS);
	newreno->restart(&c);
	CHECK_EQ(c.cwnd_bytes, 10 * MSS); /* RFC 5681 section 4.1 */
	c.cwnd_bytes = 3 * MSS;
	newreno->restart(&c);
	CHECK_EQ(c.cwnd_bytes, 3 * MSS);
}

static void window_does_not_overflow(void)
{
	struct congestion c = begun();

	for (unsigned i = 0; i < 1000000; i++)
		newreno->acked(&c, 2 * MSS);
	CHECK_RANGE(c.cwnd_bytes, 1u << 30, (1u << 30) + 2 * MSS);
}

TEST_SUITE(congestion_newreno)
{
	TEST(initial_window_is_ten_segments_or_what_rfc_6928_says);
	TEST(lost_handshake_segment_leaves_one_segment);
	TEST(slow_start_grows_by_what_is_acknowledged_up_to_two_segments);
	TEST(congestion_avoidance_grows_by_one_segment_a_window);
	TEST(loss_halves_what_is_in_flight);
	TEST(timeout_begins_again_with_one_segment);
	TEST(idle_time_takes_a_large_window_back);
	TEST(window_does_not_overflow);
}
