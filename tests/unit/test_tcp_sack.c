/* SPDX-License-Identifier: BSD-3-Clause */
/* What our ACKs tell of what came out of order (RFC 2018) or twice (RFC 2883). */
#include <stdlib.h>

#include "support/tcp_fixture.h"

#define SEGMENT 100u

static void begin_with(const struct host_config *config, bool sack, bool timestamps)
{
	begin_unconnected(config);
	peer.sack_permitted = sack;
	peer.timestamps = timestamps;
	host_connected(h, &peer, &s);
}

static void begin(void)
{
	begin_with(NULL, true, false);
}

static uint32_t seq_of(uint32_t segment)
{
	return peer.isn + 1 + segment * SEGMENT;
}

/* A segment of the peer's stream arrives, not polled. */
static void inject(uint32_t segment)
{
	peer_inject_pattern(&peer, seq_of(segment), SEGMENT);
}

static void arrive(uint32_t segment)
{
	inject(segment);
	host_poll(h);
}

/* The next frame acknowledges the first upto segments and has just these blocks, in segments. */
static void check_blocks(uint32_t upto, const uint32_t (*blocks)[2], unsigned count, int line)
{
	struct tcp_segment t = peer_take(&peer, __FILE__, line);

	test_check_eq(t.ack, seq_of(upto), "ack", __FILE__, line);
	test_check_eq(t.sack_count, count, "blocks", __FILE__, line);
	for (unsigned i = 0; i < count && i < t.sack_count; i++) {
		test_check_eq(t.sack[i].start, seq_of(blocks[i][0]), "start", __FILE__, line);
		test_check_eq(t.sack[i].end, seq_of(blocks[i][1]), "end", __FILE__, line);
	}
}
#define BLOCKS(upto, ...)                                                                 \
	check_blocks(upto, (const uint32_t[][2]){__VA_ARGS__},                            \
		     sizeof((const uint32_t[][2]){__VA_ARGS__}) / (2 * sizeof(uint32_t)), \
		     __LINE__)
#define NO_BLOCKS(upto) check_blocks(upto, NULL, 0, __LINE__)

/* ---- RFC 2018 -------------------------------------------------------------- */

/* Section 4: each segment beyond a gap is told of at once, the latest first. */
static void the_latest_block_comes_first(void)
{
	begin();
	arrive(1);
	BLOCKS(0, {1, 2});
	arrive(2);
	BLOCKS(0, {1, 3});
	arrive(6);
	BLOCKS(0, {6, 7}, {1, 3});
	arrive(4);
	BLOCKS(0, {4, 5}, {6, 7}, {1, 3});
	arrive(3);
	BLOCKS(0, {1, 5}, {6, 7});
	arrive(0);
	BLOCKS(5, {6, 7});
	arrive(5);
	NO_BLOCKS(7);
	CHECK_EQ(app_read_pattern(&s, 7 * SEGMENT), 7 * SEGMENT);
	end();
}

static void four_blocks_fit(void)
{
	begin();
	for (uint32_t i = 1; i <= 9; i += 2) {
		host_drain(h);
		arrive(i);
	}
	BLOCKS(0, {9, 10}, {7, 8}, {5, 6}, {3, 4});
	end();
}

/* Section 3. */
static void three_blocks_fit_beside_a_timestamp(void)
{
	begin_with(NULL, true, true);
	for (uint32_t i = 1; i <= 9; i += 2) {
		host_drain(h);
		arrive(i);
	}
	BLOCKS(0, {9, 10}, {7, 8}, {5, 6});
	end();
}

static void a_peer_that_did_not_ask_gets_no_blocks(void)
{
	begin_with(NULL, false, false);
	arrive(1);
	NO_BLOCKS(0);
	arrive(1);
	NO_BLOCKS(0);
	arrive(0);
	NO_BLOCKS(2);
	arrive(0);
	NO_BLOCKS(2);
	end();
}

/* ---- RFC 2883 ----------------------------------------------------------------- */

/* Section 4: a full duplicate, below the acknowledgment number. */
static void a_duplicate_of_what_is_acknowledged_is_told_once(void)
{
	begin();
	arrive(0);
	host_drain(h);
	arrive(0);
	BLOCKS(1, {0, 1});
	arrive(2);
	BLOCKS(1, {2, 3}); /* told already */
	arrive(0);
	BLOCKS(1, {0, 1}, {2, 3});
	end();
}

/* The block that holds the duplicate is the second one. */
static void a_duplicate_beyond_a_gap_is_told_with_its_block(void)
{
	begin();
	arrive(1);
	arrive(2);
	arrive(5);
	host_drain(h);
	arrive(1);
	BLOCKS(0, {1, 2}, {1, 3}, {5, 6});
	arrive(5);
	BLOCKS(0, {5, 6}, {5, 6}, {1, 3});
	end();
}

static void a_duplicate_takes_the_place_of_a_block(void)
{
	begin_with(NULL, true, true);
	for (uint32_t i = 1; i <= 7; i += 2)
		arrive(i);
	host_drain(h);
	arrive(1);
	BLOCKS(0, {1, 2}, {1, 2}, {7, 8});
	end();
}

/* Each is of one packet: two in one burst take two ACKs. */
static void duplicates_in_one_burst_are_all_told(void)
{
	begin();
	arrive(0);
	arrive(1);
	host_drain(h);
	inject(0);
	inject(1);
	host_poll(h);
	BLOCKS(2, {0, 1});
	BLOCKS(2, {1, 2});
	end();
}

/* ---- with data ------------------------------------------------------------------- */

static void check_data_fits(bool tso)
{
	struct host_config config = host_config_default();
	uint32_t bytes = 0;

	config.tso = config.tx_checksum = tso;
	begin_with(&config, true, true);
	for (uint32_t i = 1; i <= 5; i += 2)
		arrive(i);
	host_drain(h);
	/* One a little above what fits beside the blocks, then many. */
	CHECK_EQ(app_write_pattern(&s, 1440), 1440);
	host_settle(h);
	CHECK_EQ(app_write_pattern(&s, 10 * 1440), 10 * 1440);
	host_settle(h);
	while (host_tx_count(h) > 0) {
		struct frame *f = host_pop(h);
		struct seen seen = FRAME_SEE(f);

		CHECK(seen.ip_length <= 1500);
		CHECK_EQ(seen.tcp.sack_count, 3);
		bytes += seen.tcp.length;
		free(f);
	}
	CHECK(bytes >= 8 * 1440);
	end();
}

/* RFC 6691: options take their room from the data. */
static void data_beside_blocks_fits_the_path(void)
{
	check_data_fits(false);
}

static void data_beside_blocks_is_cut_to_fit_the_path(void)
{
	check_data_fits(true);
}

TEST_SUITE(tcp_sack)
{
	TEST(the_latest_block_comes_first);
	TEST(four_blocks_fit);
	TEST(three_blocks_fit_beside_a_timestamp);
	TEST(a_peer_that_did_not_ask_gets_no_blocks);
	TEST(a_duplicate_of_what_is_acknowledged_is_told_once);
	TEST(a_duplicate_beyond_a_gap_is_told_with_its_block);
	TEST(a_duplicate_takes_the_place_of_a_block);
	TEST(duplicates_in_one_burst_are_all_told);
	TEST(data_beside_blocks_fits_the_path);
	TEST(data_beside_blocks_is_cut_to_fit_the_path);
}
