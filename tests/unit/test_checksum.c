/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 1071. */
#include "net/checksum.h"

#include "net/checksum_copy.h"
#include "net/ipv4.h"
#include "support/host.h"

/* The definition: 16-bit words, carries added back. */
static uint16_t slow_sum(const uint8_t *data, uint32_t length)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < length; i++)
		sum += i & 1 ? data[i] : data[i] << 8;
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return rte_cpu_to_be_16((uint16_t)sum);
}

/* Both forms of zero are the same sum. */
static uint16_t canonical(uint16_t sum)
{
	return sum == 0xffff ? 0 : sum;
}

static void the_example_of_rfc_1071_section_3(void)
{
	static const uint8_t example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

	CHECK_EQ(checksum_bytes(example, sizeof(example)), RTE_BE16(0xddf2));
}

static void every_length_and_alignment(void)
{
	uint8_t data[200];

	pattern_fill(data, 0, sizeof(data));
	for (uint32_t at = 0; at < 17; at++)
		for (uint32_t length = 0; length <= 180; length++)
			CHECK_EQ(canonical(checksum_bytes(data + at, length)),
				 canonical(slow_sum(data + at, length)));
}

/* Those that are summed as words and those that are not. */
static void a_copy_is_whole_and_summed(void)
{
	uint8_t data[2 * CHECKSUM_COPY_LONG_BYTES + 17];
	uint8_t copy[sizeof(data) + 1];

	pattern_fill(data, 0, sizeof(data));
	for (uint32_t at = 0; at < 17; at++) {
		for (uint32_t length = 0; length <= sizeof(data) - at; length++) {
			uint64_t sum;

			memset(copy, 0xee, sizeof(copy));
			sum = checksum_copy(copy, data + at, length);
			CHECK_EQ(memcmp(copy, data + at, length), 0);
			CHECK_EQ(copy[length], 0xee);
			CHECK_EQ(canonical(checksum_fold(sum)),
				 canonical(slow_sum(data + at, length)));
		}
	}
	memset(data, 0xff, sizeof(data));
	for (uint32_t length = 0; length <= sizeof(data); length++)
		CHECK_EQ(canonical(checksum_fold(checksum_copy(copy, data, length))),
			 canonical(slow_sum(data, length)));
}

static void carries_of_long_runs_of_ones(void)
{
	static uint8_t data[65535];

	memset(data, 0xff, sizeof(data));
	for (uint32_t length = 65500; length <= sizeof(data); length++)
		CHECK_EQ(canonical(checksum_bytes(data, length)),
			 canonical(slow_sum(data, length)));
}

/* A packet cut at every place, so that segments have odd lengths and are empty. */
static void segments_of_any_length_add_up(void)
{
	struct host *h = host_new(NULL);
	uint8_t data[40];

	pattern_fill(data, 7, sizeof(data));
	for (uint32_t first = 0; first <= sizeof(data); first++) {
		for (uint32_t second = 0; second <= sizeof(data) - first; second++) {
			const uint32_t cut[] = {first, second, sizeof(data) - first - second};
			struct rte_mbuf *m = NULL;
			uint32_t done = 0;

			for (unsigned i = 0; i < RTE_DIM(cut); i++) {
				struct rte_mbuf *s = worker_mbuf(h->w);

				memcpy(rte_pktmbuf_append(s, cut[i]), data + done, cut[i]);
				done += cut[i];
				if (m == NULL)
					m = s;
				else
					rte_pktmbuf_chain(m, s);
			}
			for (uint32_t skip = 0; skip < 3; skip++)
				CHECK_EQ(canonical(checksum_mbuf(m, skip, sizeof(data) - skip)),
					 canonical(slow_sum(data + skip, sizeof(data) - skip)));
			rte_pktmbuf_free(m);
		}
	}
	host_end(h);
}

static bool is_good(struct rte_mbuf *m, uint64_t flags)
{
	m->ol_flags = flags;
	return checksum_transport_good(m, m->pkt_len, 0);
}

/* The port's word counts; without one the sum is taken. */
static void the_port_may_have_checked_already(void)
{
	struct host *h = host_new(NULL);
	struct rte_mbuf *m = worker_mbuf(h->w);

	memset(rte_pktmbuf_append(m, 8), 0x11, 8);
	CHECK(is_good(m, RTE_MBUF_F_RX_L4_CKSUM_GOOD));
	CHECK(is_good(m, RTE_MBUF_F_RX_L4_CKSUM_NONE));
	CHECK(!is_good(m, RTE_MBUF_F_RX_L4_CKSUM_BAD));
	CHECK(!is_good(m, 0));
	memset(rte_pktmbuf_mtod(m, void *), 0, 8);
	*rte_pktmbuf_mtod(m, rte_be16_t *) = RTE_BE16(0xfff7); /* with the length, 8: all ones */
	CHECK(is_good(m, 0));
	rte_pktmbuf_free(m);
	host_end(h);
}

/* What is only verified is summed in another way than what is written. */
static void sums_to_verify_are_the_same_sums(void)
{
	uint8_t data[600];

	for (uint32_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 151 + 0xd0);
	for (uint32_t length = 1; length <= sizeof(data) - 8; length++) {
		for (uint32_t at = 0; at < 8; at++)
			CHECK_EQ(canonical(checksum_fold(checksum_sum(0, data + at, length))),
				 canonical(checksum_bytes(data + at, length)));
	}
	for (uint32_t at = 0; at < sizeof(data) - 20; at++)
		CHECK_EQ(canonical(checksum_fold(checksum_sum_ipv4(data + at))),
			 canonical(checksum_bytes(data + at, 20)));
}

/* Whatever a sum's carries: it is good when it folds to all ones, and only then. */
static void a_good_sum_folds_to_all_ones(void)
{
	uint64_t sum = 1;

	for (int i = 0; i < 100000; i++) {
		uint64_t good = sum - sum % 0xffff + 0xffff;

		CHECK_EQ(checksum_is_good(sum), checksum_fold(sum) == 0xffff);
		if (good > 0xffff) /* no overflow */
			CHECK(checksum_is_good(good) && checksum_fold(good) == 0xffff);
		sum = sum * UINT64_C(6364136223846793005) + 1442695040888963407u;
	}
	CHECK(checksum_is_good(UINT64_MAX));
	CHECK(!checksum_is_good(UINT64_MAX - 1));
	CHECK(checksum_is_good(0xffff));
	CHECK(!checksum_is_good(0xfffe) && !checksum_is_good(0x10000) && !checksum_is_good(1));
}

TEST_SUITE(checksum)
{
	TEST(the_example_of_rfc_1071_section_3);
	TEST(every_length_and_alignment);
	TEST(a_copy_is_whole_and_summed);
	TEST(carries_of_long_runs_of_ones);
	TEST(segments_of_any_length_add_up);
	TEST(the_port_may_have_checked_already);
	TEST(sums_to_verify_are_the_same_sums);
	TEST(a_good_sum_folds_to_all_ones);
}
