/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 9293 section 3.1, RFC 7323, RFC 2018. */
#include <rte_ip.h>
#include <stdlib.h>
#include <string.h>

#include "net/checksum.h"
#include "support/test.h"
#include "tcp/segment.h"

/* A header with these options, in a heap block of its exact length, then payload bytes. */
static enum counter read_with(const uint8_t *options, uint32_t option_bytes, uint32_t payload,
			      struct tcp_segment *seg)
{
	uint32_t header = TCP_HEADER_BYTES + option_bytes;
	uint8_t *data = calloc(1, header);
	enum counter why;

	REQUIRE(data != NULL);
	data[12] = (uint8_t)(header / 4 << 4);
	if (option_bytes > 0)
		memcpy(data + TCP_HEADER_BYTES, options, option_bytes);
	why = tcp_segment_read(data, header, header + payload, seg);
	free(data);
	return why;
}

#define READ_WITH(seg, ...) \
	read_with((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), 0, (seg))

static void fields_come_in_host_order(void)
{
	static const uint8_t data[20] = {0, 80, 0x9c, 0x40, 1,    2,    3, 4, 5,    6,
					 7, 8,  0x50, 0x12, 0xab, 0xcd, 0, 0, 0x12, 0x34};
	struct tcp_segment seg;

	CHECK_EQ(tcp_segment_read(data, sizeof(data), sizeof(data) + 100, &seg), CNT_MAX);
	CHECK_EQ(seg.seq, 0x01020304);
	CHECK_EQ(seg.ack, 0x05060708);
	CHECK_EQ(seg.flags, TCP_FLAG_SYN | TCP_FLAG_ACK);
	CHECK_EQ(seg.window, 0xabcd);
	CHECK_EQ(seg.urgent, 0x1234);
	CHECK_EQ(seg.length, 100);
	CHECK_EQ(seg.mss, 0);
	CHECK_EQ(seg.window_scale, -1);
	CHECK(!seg.has_timestamp);
	CHECK(!seg.sack_permitted);
	CHECK_EQ(seg.sack_count, 0);
	CHECK_EQ(tcp_segment_end(&seg), seg.seq + 101);
}

static void short_segment_is_refused(void)
{
	static const uint8_t data[20] = {[12] = 0x50};
	struct tcp_segment seg;

	CHECK_EQ(tcp_segment_read(data, 20, 19, &seg), CNT_tcp_short);
	CHECK_EQ(tcp_segment_read(data, 0, 0, &seg), CNT_tcp_short);
	CHECK_EQ(tcp_segment_read(data, 19, 40, &seg), CNT_tcp_short); /* in pieces */
}

static void data_offset_must_lie_between_header_and_end(void)
{
	uint8_t data[20] = {[12] = 0x40};
	struct tcp_segment seg;

	CHECK_EQ(tcp_segment_read(data, 20, 20, &seg), CNT_tcp_offset);
	data[12] = 0x60;
	CHECK_EQ(tcp_segment_read(data, 20, 20, &seg), CNT_tcp_offset);
	CHECK_EQ(tcp_segment_read(data, 20, 24, &seg), CNT_tcp_offset); /* in pieces */
	data[12] = 0xf0;
	CHECK_EQ(tcp_segment_read(data, 20, 59, &seg), CNT_tcp_offset);
}

static void all_options_of_a_syn_are_read(void)
{
	struct tcp_segment seg;

	CHECK_EQ(READ_WITH(&seg, 2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0, 1, 0, 0, 0, 0, 2, 1, 3, 3, 7),
		 CNT_MAX);
	CHECK_EQ(seg.mss, 1460);
	CHECK(seg.sack_permitted);
	CHECK(seg.has_timestamp);
	CHECK_EQ(seg.ts_value, 256);
	CHECK_EQ(seg.ts_echo, 2);
	CHECK_EQ(seg.window_scale, 7);
}

static void timestamp_alone_is_read_in_any_layout(void)
{
	struct tcp_segment seg;

	CHECK_EQ(READ_WITH(&seg, 1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8), CNT_MAX);
	CHECK(seg.has_timestamp);
	CHECK_EQ(seg.ts_value, 0x01020304);
	CHECK_EQ(seg.ts_echo, 0x05060708);
	CHECK_EQ(READ_WITH(&seg, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0), CNT_MAX);
	CHECK(seg.has_timestamp);
	CHECK_EQ(seg.ts_value, 0x01020304);
}

static void sack_blocks_are_read(void)
{
	struct tcp_segment seg;

	CHECK_EQ(READ_WITH(&seg, 1, 1, 5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 9),
		 CNT_MAX);
	CHECK_EQ(seg.sack_count, 2);
	CHECK_EQ(seg.sack[0].start, 1);
	CHECK_EQ(seg.sack[0].end, 2);
	CHECK_EQ(seg.sack[1].start, 5);
	CHECK_EQ(seg.sack[1].end, 9);
}

static void window_scale_above_14_counts_as_14(void)
{
	struct tcp_segment seg;

	CHECK_EQ(READ_WITH(&seg, 3, 3, 15, 0), CNT_MAX); /* RFC 7323 section 2.3 */
	CHECK_EQ(seg.window_scale, 14);
	CHECK_EQ(READ_WITH(&seg, 3, 3, 255, 0), CNT_MAX);
	CHECK_EQ(seg.window_scale, 14);
}

static void unknown_options_are_skipped(void)
{
	struct tcp_segment seg;

	CHECK_EQ(READ_WITH(&seg, 254, 6, 1, 2, 3, 4, 2, 4, 0x02, 0x18, 0, 0), CNT_MAX);
	CHECK_EQ(seg.mss, 536);
}

static void nothing_is_read_after_the_end_option(void)
{
	struct tcp_segment seg;

	CHECK_EQ(READ_WITH(&seg, 0, 2, 4, 9, 8, 99, 0, 1), CNT_MAX);
	CHECK_EQ(seg.mss, 0);
}

static void impossible_option_lengths_are_refused(void)
{
	struct tcp_segment seg;

	CHECK_EQ(READ_WITH(&seg, 254, 0, 0, 0), CNT_tcp_option); /* length 0 */
	CHECK_EQ(READ_WITH(&seg, 254, 1, 0, 0), CNT_tcp_option); /* length 1 */
	CHECK_EQ(READ_WITH(&seg, 254, 5, 0, 0), CNT_tcp_option); /* past the end */
	CHECK_EQ(READ_WITH(&seg, 1, 1, 1, 254), CNT_tcp_option); /* no room for a length */
	CHECK_EQ(READ_WITH(&seg, 2, 3, 5, 0), CNT_tcp_option); /* an MSS of one byte */
	CHECK_EQ(READ_WITH(&seg, 2, 5, 5, 0, 0, 0, 0, 0), CNT_tcp_option);
	CHECK_EQ(READ_WITH(&seg, 3, 2, 0, 0), CNT_tcp_option);
	CHECK_EQ(READ_WITH(&seg, 4, 3, 0, 0), CNT_tcp_option);
	CHECK_EQ(READ_WITH(&seg, 5, 2, 0, 0), CNT_tcp_option);
	CHECK_EQ(READ_WITH(&seg, 5, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), CNT_tcp_option);
	CHECK_EQ(READ_WITH(&seg, 8, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), CNT_tcp_option);
}

static void every_option_cut_anywhere_is_refused_or_ends_clean(void)
{
	static const uint8_t options[40] = {2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0,
					    0, 2, 1,    3,    3, 7, 5, 18, 0, 0, 0, 1, 0, 0,
					    0, 2, 0,    0,    0, 5, 0, 0,  0, 9, 1, 0};
	struct tcp_segment seg;

	for (uint32_t bytes = 0; bytes <= sizeof(options); bytes += 4) {
		enum counter why = read_with(options, bytes, 0, &seg);

		CHECK(why == CNT_MAX || why == CNT_tcp_option);
	}
}

static void what_is_written_is_read_back(void)
{
	struct tcp_segment out = {
		.seq = 0xdeadbeef,
		.ack = 0x12345678,
		.flags = TCP_FLAG_SYN | TCP_FLAG_ACK,
		.window = 64240,
		.mss = 1460,
		.window_scale = 7,
		.has_timestamp = true,
		.ts_value = 1000,
		.ts_echo = 2000,
	};
	struct flow flow = {.local_port = RTE_BE16(80), .remote_port = RTE_BE16(40000)};
	uint8_t data[TCP_HEADER_MAX_BYTES];
	uint32_t bytes = tcp_segment_header_bytes(&out);
	struct tcp_segment in;
	uint64_t sum;

	CHECK_EQ(bytes, 40);
	sum = tcp_segment_write(&out, &flow, data);
	CHECK_EQ(checksum_fold(sum), rte_raw_cksum(data, bytes));
	CHECK_EQ(tcp_segment_read(data, bytes, bytes, &in), CNT_MAX);
	CHECK_EQ(data[0] << 8 | data[1], 80);
	CHECK_EQ(data[2] << 8 | data[3], 40000);
	CHECK_EQ(in.seq, out.seq);
	CHECK_EQ(in.ack, out.ack);
	CHECK_EQ(in.flags, out.flags);
	CHECK_EQ(in.window, out.window);
	CHECK_EQ(in.mss, out.mss);
	CHECK_EQ(in.window_scale, out.window_scale);
	CHECK(in.has_timestamp);
	CHECK_EQ(in.ts_value, out.ts_value);
	CHECK_EQ(in.ts_echo, out.ts_echo);
}

/* A header with flags and this Fast Open option of bytes in all. */
static struct tcp_segment read_fastopen(uint8_t flags, uint8_t bytes)
{
	uint8_t data[TCP_HEADER_MAX_BYTES] = {[13] = flags, [20] = 34, [21] = bytes};
	uint32_t header = (TCP_HEADER_BYTES + bytes + 3u) & ~3u;
	struct tcp_segment seg;

	data[12] = (uint8_t)(header / 4 << 4);
	for (uint8_t i = 2; i < bytes; i++)
		data[20 + i] = i;
	CHECK_EQ(tcp_segment_read(data, header, header, &seg), CNT_MAX);
	return seg;
}

/* RFC 7413 section 4.1.1: even, 4 to 16 bytes or none, and in a SYN; else it is ignored. */
static void a_fast_open_cookie_is_read_where_it_may_be(void)
{
	static const uint8_t expected[] = {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17};

	for (uint8_t bytes = 2; bytes <= 24; bytes++) {
		struct tcp_segment seg = read_fastopen(TCP_FLAG_SYN, bytes);
		bool good = bytes == 2 || (bytes >= 6 && bytes <= 18 && bytes % 2 == 0);

		CHECK_EQ(seg.has_fastopen, good);
		if (good) {
			CHECK_EQ(seg.cookie_bytes, bytes - 2);
			CHECK_MEM(seg.cookie, expected, seg.cookie_bytes);
		}
		CHECK(!read_fastopen(TCP_FLAG_ACK, bytes).has_fastopen);
	}
}

/* They share their place with the cookie. */
static void sack_blocks_of_a_syn_are_passed_over(void)
{
	uint8_t data[TCP_HEADER_MAX_BYTES] = {
		[13] = TCP_FLAG_SYN, [20] = 34, 6, 1, 2, 3, 4, 5, 10, 9, 9, 9, 9, 9, 9, 9, 9};
	struct tcp_segment seg;

	data[12] = 9 << 4;
	CHECK_EQ(tcp_segment_read(data, 36, 36, &seg), CNT_MAX);
	CHECK_EQ(seg.sack_count, 0);
	CHECK_MEM(seg.cookie, data + 22, 4);
}

static void a_cookie_of_any_length_is_written_aligned(void)
{
	const struct flow flow = {0};

	for (uint8_t bytes = 0; bytes <= 16; bytes += bytes == 0 ? 4 : 2) {
		struct tcp_segment in, out = {.flags = TCP_FLAG_SYN,
					      .window_scale = -1,
					      .has_fastopen = true,
					      .cookie_bytes = bytes,
					      .cookie = "0123456789abcde"};
		uint8_t data[TCP_HEADER_MAX_BYTES];
		uint32_t header = tcp_segment_header_bytes(&out);
		uint64_t sum;

		CHECK_EQ(header, (TCP_HEADER_BYTES + 2u + bytes + 3) & ~3u);
		memset(data, 0xff, sizeof(data));
		sum = tcp_segment_write(&out, &flow, data);
		CHECK_EQ(checksum_fold(sum), rte_raw_cksum(data, header));
		CHECK_EQ(data[header], 0xff);
		CHECK_EQ(tcp_segment_read(data, header, header, &in), CNT_MAX);
		CHECK(in.has_fastopen);
		CHECK_EQ(in.cookie_bytes, bytes);
		CHECK_MEM(in.cookie, out.cookie, bytes);
	}
}

static void plain_header_has_no_options(void)
{
	struct tcp_segment out = {.flags = TCP_FLAG_ACK, .window_scale = -1};

	CHECK_EQ(tcp_segment_header_bytes(&out), 20);
	out.has_timestamp = true;
	CHECK_EQ(tcp_segment_header_bytes(&out), 32);
}

TEST_SUITE(tcp_segment)
{
	TEST(fields_come_in_host_order);
	TEST(short_segment_is_refused);
	TEST(data_offset_must_lie_between_header_and_end);
	TEST(all_options_of_a_syn_are_read);
	TEST(timestamp_alone_is_read_in_any_layout);
	TEST(sack_blocks_are_read);
	TEST(window_scale_above_14_counts_as_14);
	TEST(unknown_options_are_skipped);
	TEST(nothing_is_read_after_the_end_option);
	TEST(impossible_option_lengths_are_refused);
	TEST(every_option_cut_anywhere_is_refused_or_ends_clean);
	TEST(what_is_written_is_read_back);
	TEST(a_fast_open_cookie_is_read_where_it_may_be);
	TEST(sack_blocks_of_a_syn_are_passed_over);
	TEST(a_cookie_of_any_length_is_written_aligned);
	TEST(plain_header_has_no_options);
}
