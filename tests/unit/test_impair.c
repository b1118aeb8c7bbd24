/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets here carry their number, so that one sees which arrive, when, and in what order. */
#include "dev/impair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/pool.h"
#include "support/test.h"

#define MBUFS       4096
#define PACKETS_MAX 100000
#define BYTES       1000 /* of a packet, unless a test says otherwise */
#define PERCENT     10000 /* parts per million */

static struct rte_mempool *pool;
static struct rte_mempool *copies;
static struct impair *impair;
static uint64_t sums[IMPAIR_COUNTERS];

/* Numbers of the packets that arrived. */
static uint32_t arrived[2 * PACKETS_MAX];
static uint32_t arrived_count;

static struct impair_config config_of(const char *text)
{
	struct impair_config config;
	char error[256] = "";

	if (impair_parse(text, &config, error, sizeof(error)) != 0)
		test_fail(__FILE__, __LINE__, "%s: %s", text, error);
	return config;
}

static void begin_stream(const char *text, uint32_t stream)
{
	struct impair_config config = config_of(text);

	pool = pool_create_mbufs("impair", MBUFS, 2048, -1);
	copies = pool_create_mbufs("copies", 256, 2048, -1);
	REQUIRE(pool != NULL && copies != NULL);
	impair = impair_create(&config, stream, copies, -1);
	REQUIRE(impair != NULL);
	memset(sums, 0, sizeof(sums));
	arrived_count = 0;
}

static void begin(const char *text)
{
	begin_stream(text, 0);
}

static void end(void)
{
	impair_free(impair);
	CHECK_EQ(pool_mbufs_used(pool), 0);
	CHECK_EQ(pool_mbufs_used(copies), 0);
	rte_mempool_free(pool);
	rte_mempool_free(copies);
}

static struct rte_mbuf *packet(uint32_t number, uint16_t bytes)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	char *data;

	REQUIRE(m != NULL);
	data = rte_pktmbuf_append(m, bytes);
	REQUIRE(data != NULL);
	memset(data, 0, bytes);
	memcpy(data, &number, sizeof(number));
	return m;
}

static void put(uint32_t number, uint64_t now_us)
{
	struct rte_mbuf *m = packet(number, BYTES);

	impair_put(impair, &m, 1, now_us);
}

/* Takes what is due; how many. */
static uint32_t take(uint64_t now_us)
{
	struct rte_mbuf *pkts[32];
	uint32_t total = 0, count;

	while ((count = impair_get(impair, pkts, RTE_DIM(pkts), now_us)) > 0) {
		for (uint32_t k = 0; k < count; k++) {
			REQUIRE(arrived_count < RTE_DIM(arrived));
			memcpy(&arrived[arrived_count++], rte_pktmbuf_mtod(pkts[k], void *),
			       sizeof(arrived[0]));
			rte_pktmbuf_free(pkts[k]);
		}
		total += count;
	}
	return total;
}

/* count packets, one each microsecond, and all that is still held. */
static void run(uint32_t count)
{
	for (uint32_t k = 0; k < count; k++) {
		put(k, k);
		take(k);
	}
	take(UINT64_MAX / 2);
	CHECK_EQ(impair_held(impair), 0);
	impair_take_counters(impair, sums);
}

/* ---- nothing, and each thing by itself ---- */

static void without_impairment_packets_pass_at_once_and_in_order(void)
{
	begin("limit=32");
	CHECK_EQ(impair_next_us(impair), UINT64_MAX);
	for (uint32_t k = 0; k < 32; k++)
		put(k, 7);
	CHECK_EQ(impair_next_us(impair), 7);
	CHECK_EQ(take(7), 32);
	for (uint32_t k = 0; k < 32; k++)
		CHECK_EQ(arrived[k], k);
	impair_take_counters(impair, sums);
	for (int c = 0; c < IMPAIR_COUNTERS; c++)
		CHECK_EQ(sums[c], 0);
	end();
}

/* The seed is fixed, so the count is always the same; the bounds are four standard deviations. */
static void loss_takes_its_share(void)
{
	begin("loss=1%");
	run(PACKETS_MAX);
	CHECK_RANGE(sums[IMPAIR_LOST], 1000 - 126, 1000 + 126);
	CHECK_EQ(arrived_count, PACKETS_MAX - sums[IMPAIR_LOST]);
	for (uint32_t k = 1; k < arrived_count; k++)
		REQUIRE(arrived[k] > arrived[k - 1]);
	end();
}

static void all_and_nothing_are_exact(void)
{
	begin("loss=100%");
	run(1000);
	CHECK_EQ(arrived_count, 0);
	CHECK_EQ(sums[IMPAIR_LOST], 1000);
	end();
	begin("loss=0%,dup=0%,corrupt=0%,reorder=0%");
	run(1000);
	CHECK_EQ(arrived_count, 1000);
	end();
}

static void duplicates_follow_their_originals(void)
{
	uint32_t twice = 0;

	begin("dup=2%");
	run(PACKETS_MAX);
	CHECK_RANGE(sums[IMPAIR_DUPLICATED], 2000 - 178, 2000 + 178);
	CHECK_EQ(arrived_count, PACKETS_MAX + sums[IMPAIR_DUPLICATED]);
	for (uint32_t k = 1; k < arrived_count; k++) {
		REQUIRE(arrived[k] == arrived[k - 1] || arrived[k] == arrived[k - 1] + 1);
		twice += arrived[k] == arrived[k - 1];
	}
	CHECK_EQ(twice, sums[IMPAIR_DUPLICATED]);
	end();
}

static void reordered_packets_fall_back_by_one_to_eight_places(void)
{
	uint32_t late = 0, furthest = 0;

	begin("reorder=2%");
	run(PACKETS_MAX);
	CHECK_RANGE(sums[IMPAIR_REORDERED], 2000 - 178, 2000 + 178);
	REQUIRE_EQ(arrived_count, PACKETS_MAX);
	for (uint32_t k = 0; k < arrived_count; k++) {
		/* Overtaken by as many as stand before it with a higher number. */
		uint32_t overtaken = 0;

		for (uint32_t b = k >= 16 ? k - 16 : 0; b < k; b++)
			overtaken += arrived[b] > arrived[k];
		late += overtaken > 0;
		furthest = RTE_MAX(furthest, overtaken);
	}
	CHECK_EQ(furthest, IMPAIR_GAP_MAX);
	/* But for those whose overtakers were held back themselves. */
	CHECK_RANGE(late, sums[IMPAIR_REORDERED] * 95 / 100, sums[IMPAIR_REORDERED]);
	end();
}

static void nobody_is_left_when_all_are_reordered(void)
{
	bool seen[1000] = {false};

	begin("reorder=100%");
	run(1000);
	REQUIRE_EQ(arrived_count, 1000);
	for (uint32_t k = 0; k < arrived_count; k++)
		seen[arrived[k]] = true;
	for (uint32_t k = 0; k < 1000; k++)
		CHECK(seen[k]);
	end();
}

static void a_packet_that_nobody_overtakes_waits_no_longer_than_its_bound(void)
{
	begin("reorder=100%,delay=1ms");
	put(0, 100);
	CHECK_EQ(impair_next_us(impair), 100 + IMPAIR_HOLD_US);
	CHECK_EQ(take(100 + IMPAIR_HOLD_US - 1), 0);
	CHECK_EQ(take(100 + IMPAIR_HOLD_US), 0); /* it goes on as if it came now */
	CHECK_EQ(impair_next_us(impair), 100 + IMPAIR_HOLD_US + 1000);
	CHECK_EQ(take(100 + IMPAIR_HOLD_US + 1000), 1);
	end();
}

/* ---- the path ---- */

static void a_delay_is_exact(void)
{
	begin("delay=20ms");
	put(0, 1000);
	put(1, 1500);
	CHECK_EQ(impair_next_us(impair), 21000);
	CHECK_EQ(take(20999), 0);
	CHECK_EQ(take(21000), 1);
	CHECK_EQ(impair_next_us(impair), 21500);
	CHECK_EQ(take(21499), 0);
	CHECK_EQ(take(21500), 1);
	CHECK_EQ(impair_next_us(impair), UINT64_MAX);
	end();
}

static void jitter_lies_between_nothing_and_its_bound(void)
{
	uint64_t least = UINT64_MAX, most = 0;

	begin("delay=10ms,jitter=2ms");
	for (uint32_t k = 0; k < 10000; k++) {
		uint64_t sent = k * UINT64_C(100000);
		uint64_t due;

		put(k, sent);
		due = impair_next_us(impair) - sent;
		least = RTE_MIN(least, due);
		most = RTE_MAX(most, due);
		CHECK_EQ(take(sent + due), 1);
	}
	CHECK_RANGE(least, 10000, 10002);
	CHECK_RANGE(most, 11998, 12000);
	end();
}

static void jitter_alone_reorders_nothing(void)
{
	begin("delay=1ms,jitter=1ms,limit=4000");
	run(PACKETS_MAX);
	REQUIRE_EQ(arrived_count, PACKETS_MAX);
	for (uint32_t k = 0; k < PACKETS_MAX; k++)
		REQUIRE(arrived[k] == k);
	end();
}

/* 1000 bytes at 100 Mb/s take 80 us. */
static void a_rate_sends_one_packet_after_the_other(void)
{
	begin("rate=100M,delay=1ms");
	put(0, 0);
	put(1, 0);
	put(2, 100);
	CHECK_EQ(impair_next_us(impair), 1080);
	CHECK_EQ(take(1159), 1);
	CHECK_EQ(take(1160), 1);
	CHECK_EQ(impair_next_us(impair), 1240);
	CHECK_EQ(take(1240), 1);
	put(3, 10000); /* the link was idle */
	CHECK_EQ(impair_next_us(impair), 11080);
	CHECK_EQ(take(11080), 1);
	end();
}

/* 8000 bits at 3 Gb/s take 2666.7 ns; the link counts in whole ones. */
static void a_rate_holds_over_many_packets(void)
{
	uint64_t last = 0;

	begin("rate=3G,limit=3000");
	for (uint32_t k = 0; k < 3000; k++)
		put(k, 0);
	while (impair_next_us(impair) != UINT64_MAX) {
		last = impair_next_us(impair);
		take(last);
	}
	CHECK_EQ(last, 7998);
	CHECK_EQ(arrived_count, 3000);
	end();
}

static void what_is_over_the_limit_is_dropped_at_the_tail(void)
{
	begin("delay=1ms,limit=10");
	for (uint32_t k = 0; k < 15; k++)
		put(k, 0);
	CHECK_EQ(impair_held(impair), 10);
	CHECK_EQ(take(1000), 10);
	CHECK_EQ(arrived[9], 9);
	impair_take_counters(impair, sums);
	CHECK_EQ(sums[IMPAIR_OVER_LIMIT], 5);
	put(15, 1000); /* there is room again */
	CHECK_EQ(take(2000), 1);
	CHECK_EQ(arrived[10], 15);
	impair_take_counters(impair, sums);
	CHECK_EQ(sums[IMPAIR_OVER_LIMIT], 5);
	end();
}

static void packets_held_back_count_for_the_limit(void)
{
	begin("reorder=100%,limit=4");
	for (uint32_t k = 0; k < 8; k++) {
		put(k, 0);
		CHECK(impair_held(impair) <= 4);
	}
	CHECK_EQ(impair_held(impair), 4);
	impair_take_counters(impair, sums);
	CHECK_EQ(sums[IMPAIR_OVER_LIMIT], 4);
	end();
}

static void what_is_held_at_the_end_is_freed(void)
{
	begin("reorder=50%,dup=10%,corrupt=10%,delay=1s");
	for (uint32_t k = 0; k < 500; k++)
		put(k, k);
	CHECK(impair_held(impair) > 500);
	end();
}

/* ---- corruption ---- */

static unsigned bits_different(const struct rte_mbuf *m, const uint8_t *expected)
{
	uint8_t flat[4096];
	const uint8_t *got = rte_pktmbuf_read(m, 0, m->pkt_len, flat);
	unsigned count = 0;

	REQUIRE(got != NULL);
	for (uint32_t k = 0; k < m->pkt_len; k++)
		count += (unsigned)__builtin_popcount(got[k] ^ expected[k]);
	return count;
}

static void buffer_keep(void *buffer, void *opaque)
{
	(void)buffer;
	(*(unsigned *)opaque)++;
}

/* A header and a segment in memory that is not ours, as leat sends them. */
static struct rte_mbuf *packet_of_shared(const uint8_t *header, uint16_t header_bytes,
					 uint8_t *data, uint16_t bytes,
					 struct rte_mbuf_ext_shared_info *info)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	struct rte_mbuf *payload = rte_pktmbuf_alloc(pool);

	REQUIRE(m != NULL && payload != NULL);
	memcpy(rte_pktmbuf_append(m, header_bytes), header, header_bytes);
	rte_mbuf_ext_refcnt_set(info, 1);
	rte_pktmbuf_attach_extbuf(payload, data, RTE_BAD_IOVA, bytes, info);
	payload->data_off = 0;
	payload->data_len = bytes;
	payload->pkt_len = bytes;
	REQUIRE_EQ(rte_pktmbuf_chain(m, payload), 0);
	return m;
}

static void corruption_flips_one_bit_and_leaves_the_original_alone(void)
{
	uint8_t expected[40 + 1000], data[1000], before[1000];
	unsigned freed = 0;
	struct rte_mbuf_ext_shared_info info = {.free_cb = buffer_keep, .fcb_opaque = &freed};
	unsigned in_header = 0;

	begin("corrupt=100%");
	for (unsigned k = 0; k < sizeof(expected); k++)
		expected[k] = (uint8_t)(k * 7);
	memcpy(data, expected + 40, sizeof(data));
	memcpy(before, data, sizeof(data));
	for (unsigned k = 0; k < 2000; k++) {
		struct rte_mbuf *m = packet_of_shared(expected, 40, data, sizeof(data), &info);

		impair_put(impair, &m, 1, 0);
		CHECK_EQ(freed, k + 1); /* the application's bytes are not held any more */
		REQUIRE_EQ(impair_get(impair, &m, 1, 0), 1);
		CHECK_EQ(m->pkt_len, sizeof(expected));
		CHECK(RTE_MBUF_DIRECT(m));
		CHECK_EQ(bits_different(m, expected), 1);
		in_header += memcmp(rte_pktmbuf_mtod(m, void *), expected, 40) != 0;
		rte_pktmbuf_free(m);
	}
	CHECK_MEM(data, before, sizeof(data));
	CHECK_RANGE(in_header, 77 - 35, 77 + 35); /* 40 of 1040 bytes: anywhere in the packet */
	impair_take_counters(impair, sums);
	CHECK_EQ(sums[IMPAIR_CORRUPTED], 2000);
	end();
}

static void corruption_takes_its_share(void)
{
	begin("corrupt=0.1%");
	run(PACKETS_MAX);
	CHECK_RANGE(sums[IMPAIR_CORRUPTED], 100 - 40, 100 + 40);
	CHECK_EQ(arrived_count, PACKETS_MAX);
	end();
}

static void a_corrupted_packet_is_no_longer_known_to_be_good(void)
{
	struct rte_mbuf *m;

	begin("corrupt=100%");
	m = packet(1, 64);
	m->ol_flags = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	impair_put(impair, &m, 1, 0);
	REQUIRE_EQ(impair_get(impair, &m, 1, 0), 1);
	CHECK_EQ(m->ol_flags, 0);
	rte_pktmbuf_free(m);
	end();
}

static void a_duplicate_has_bytes_of_its_own(void)
{
	uint8_t expected[40 + 1000] = {1, 2, 3}, data[1000] = {0};
	unsigned freed = 0;
	struct rte_mbuf_ext_shared_info info = {.free_cb = buffer_keep, .fcb_opaque = &freed};
	struct rte_mbuf *pkts[2];

	begin("dup=100%");
	pkts[0] = packet_of_shared(expected, 40, data, sizeof(data), &info);
	impair_put(impair, pkts, 1, 0);
	REQUIRE_EQ(impair_get(impair, pkts, 2, 0), 2);
	rte_pktmbuf_free(pkts[0]);
	CHECK_EQ(freed, 1);
	memset(data, 0xff, sizeof(data));
	CHECK_EQ(bits_different(pkts[1], expected), 0);
	rte_pktmbuf_free(pkts[1]);
	end();
}

static void without_mbufs_for_copies_corrupted_packets_die_and_duplicates_are_not_made(void)
{
	struct rte_mbuf *all[256];

	begin("corrupt=100%,dup=100%");
	REQUIRE_EQ(rte_pktmbuf_alloc_bulk(copies, all, 256), 0);
	put(0, 0);
	impair_take_counters(impair, sums);
	CHECK_EQ(sums[IMPAIR_NO_MBUF], 2);
	CHECK_EQ(sums[IMPAIR_DUPLICATED], 0);
	CHECK_EQ(sums[IMPAIR_CORRUPTED], 0);
	CHECK_EQ(impair_held(impair), 0);
	rte_pktmbuf_free_bulk(all, 256);
	end();
}

/* ---- the same way each time ---- */

#define EVERYTHING "loss=5%,reorder=5%,dup=5%,corrupt=5%,delay=100us,jitter=50us,rate=10G"

/* A value that tells two runs apart. */
static uint64_t outcome(const char *text, uint32_t stream)
{
	uint64_t sum = 0;

	begin_stream(text, stream);
	run(5000);
	for (uint32_t k = 0; k < arrived_count; k++)
		sum = sum * 0x9e3779b97f4a7c15 + arrived[k];
	end();
	return sum;
}

static void the_same_seed_decides_the_same(void)
{
	CHECK(outcome(EVERYTHING, 0) == outcome(EVERYTHING, 0));
	CHECK(outcome(EVERYTHING ",seed=9", 3) == outcome(EVERYTHING ",seed=9", 3));
}

static void another_seed_or_stream_decides_otherwise(void)
{
	CHECK(outcome(EVERYTHING ",seed=1", 0) != outcome(EVERYTHING ",seed=2", 0));
	CHECK(outcome(EVERYTHING ",seed=1", 0) != outcome(EVERYTHING ",seed=1", 1));
	CHECK(outcome(EVERYTHING ",seed=1", 1) != outcome(EVERYTHING ",seed=2", 0));
}

/* ---- the configuration ---- */

static void every_key_is_read(void)
{
	struct impair_config c = config_of("loss=1%,reorder=5.25%,delay=20ms,jitter=0.5ms,dup=100%,"
					   "corrupt=0.0001%,rate=2.5G,limit=10000,seed=7");

	CHECK_EQ(c.loss_ppm, 1 * PERCENT);
	CHECK_EQ(c.reorder_ppm, 52500);
	CHECK_EQ(c.dup_ppm, 100 * PERCENT);
	CHECK_EQ(c.corrupt_ppm, 1);
	CHECK_EQ(c.delay_us, 20000);
	CHECK_EQ(c.jitter_us, 500);
	CHECK_EQ(c.rate_bps, 2500000000);
	CHECK_EQ(c.limit, 10000);
	CHECK_EQ(c.seed, 7);
	c = config_of("delay=1.5s");
	CHECK_EQ(c.delay_us, 1500000);
	CHECK_EQ(c.limit, IMPAIR_LIMIT_DEFAULT);
}

static void what_is_described_is_read_again(void)
{
	static const char *const texts[] = {
		"loss=1%,limit=1000,seed=1",
		"loss=0.0001%,reorder=99.9999%,dup=3.5%,corrupt=100%,delay=1.234567s,jitter=17us,"
		"rate=123.456789M,limit=1048576,seed=999999999999",
		"rate=1000G,limit=1,seed=0",
	};

	for (unsigned k = 0; k < RTE_DIM(texts); k++) {
		struct impair_config config = config_of(texts[k]);
		char text[256];

		impair_describe(&config, text, sizeof(text));
		if (strcmp(text, texts[k]) != 0)
			test_fail(__FILE__, __LINE__, "%s, expected %s", text, texts[k]);
	}
}

static void a_short_buffer_is_not_overrun(void)
{
	struct impair_config config = config_of("loss=1%,delay=1ms");
	char small[16];

	memset(small, 'z', sizeof(small));
	CHECK_EQ(impair_describe(&config, small, 10),
		 strlen("loss=1%,delay=1ms,limit=1000,seed=1"));
	CHECK(memcmp(small, "loss=1%,d", 10) == 0);
	CHECK_EQ(small[10], 'z');
	CHECK_EQ(impair_parse("what", &config, small, 10), -EINVAL);
	CHECK_EQ(small[10], 'z');
}

static const struct {
	const char *text;
	const char *says;
} mistakes[] = {
	{"", "name=value"},
	{"loss", "name=value"},
	{"loss=1%,", "name=value"},
	{"loss=1% ,dup=1%", "0% to 100%"},
	{"lost=1%", "there are loss, reorder, dup, corrupt, delay, jitter, rate, limit, seed"},
	{"loss=1%,dup=1%,loss=1%", "twice"},
	{"loss=1", "\"1\" is not 0% to 100%"},
	{"loss=0.01", "0% to 100%"},
	{"loss=100.0001%", "0% to 100%"},
	{"loss=-1%", "0% to 100%"},
	{"loss=.5%", "0% to 100%"},
	{"loss=5.%", "0% to 100%"},
	{"loss=%", "0% to 100%"},
	{"loss=0.00001%", "0% to 100%"}, /* finer than one in a million */
	{"delay=20", "such as 20ms"},
	{"delay=20 ms", "such as 20ms"},
	{"delay=11s", "0s to 10s"},
	{"delay=0.5us", "0s to 10s"},
	{"jitter=1m", "0s to 10s"},
	{"delay=99999999999999999999s", "0s to 10s"},
	{"rate=0K", "such as 100M"},
	{"rate=100", "such as 100M"},
	{"rate=1001G", "1K to 1000G"},
	{"limit=0", "1 to 1048576"},
	{"limit=1048577", "1 to 1048576"},
	{"limit=1.5", "1 to 1048576"},
	{"limit=1K", "1 to 1048576"},
	{"seed=x", "0 to 999999999999"},
};

static void mistakes_are_refused_with_what_would_be_right(void)
{
	for (unsigned k = 0; k < RTE_DIM(mistakes); k++) {
		struct impair_config config;
		char error[256] = "";

		CHECK_EQ(impair_parse(mistakes[k].text, &config, error, sizeof(error)), -EINVAL);
		if (strstr(error, mistakes[k].says) == NULL)
			test_fail(__FILE__, __LINE__, "%s: \"%s\"", mistakes[k].text, error);
	}
}

static void a_text_too_long_is_refused(void)
{
	struct impair_config config;
	char text[512], error[256] = "";

	memset(text, '1', sizeof(text));
	memcpy(text, "loss=", 5);
	text[sizeof(text) - 1] = '\0';
	CHECK_EQ(impair_parse(text, &config, error, sizeof(error)), -EINVAL);
	CHECK(strstr(error, "longer than 255") != NULL);
}

static void every_counter_has_a_text(void)
{
	for (int c = 0; c < IMPAIR_COUNTERS; c++)
		CHECK(impair_counter_text((enum impair_counter)c) != NULL);
}

TEST_SUITE(impair)
{
	TEST(without_impairment_packets_pass_at_once_and_in_order);
	TEST(loss_takes_its_share);
	TEST(all_and_nothing_are_exact);
	TEST(duplicates_follow_their_originals);
	TEST(reordered_packets_fall_back_by_one_to_eight_places);
	TEST(nobody_is_left_when_all_are_reordered);
	TEST(a_packet_that_nobody_overtakes_waits_no_longer_than_its_bound);
	TEST(a_delay_is_exact);
	TEST(jitter_lies_between_nothing_and_its_bound);
	TEST(jitter_alone_reorders_nothing);
	TEST(a_rate_sends_one_packet_after_the_other);
	TEST(a_rate_holds_over_many_packets);
	TEST(what_is_over_the_limit_is_dropped_at_the_tail);
	TEST(packets_held_back_count_for_the_limit);
	TEST(what_is_held_at_the_end_is_freed);
	TEST(corruption_flips_one_bit_and_leaves_the_original_alone);
	TEST(corruption_takes_its_share);
	TEST(a_corrupted_packet_is_no_longer_known_to_be_good);
	TEST(a_duplicate_has_bytes_of_its_own);
	TEST(without_mbufs_for_copies_corrupted_packets_die_and_duplicates_are_not_made);
	TEST(the_same_seed_decides_the_same);
	TEST(another_seed_or_stream_decides_otherwise);
	TEST(every_key_is_read);
	TEST(what_is_described_is_read_again);
	TEST(a_short_buffer_is_not_overrun);
	TEST(mistakes_are_refused_with_what_would_be_right);
	TEST(a_text_too_long_is_refused);
	TEST(every_counter_has_a_text);
}
