/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/checksum.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif
#include <rte_common.h>
#include <string.h>

#include "net/addr.h"
#include "net/ipv4.h"

/* What is left after the last eight bytes. */
static inline uint64_t sum_tail(const uint8_t *data, uint32_t length)
{
	uint64_t sum = 0;
	uint32_t half;
	uint16_t pair;

	if (length & 4) {
		memcpy(&half, data, sizeof(half));
		sum += half;
		data += sizeof(half);
	}
	if (length & 2) {
		memcpy(&pair, data, sizeof(pair));
		sum += pair;
		data += sizeof(pair);
	}
	if (length & 1) {
		uint8_t last[2] = {*data, 0};

		memcpy(&pair, last, sizeof(pair));
		sum += pair;
	}
	return sum;
}

/* How many bytes a step of the sums below takes, which do whole steps only. */
#define STEP_BYTES 128u

/* Four sums side by side. */
typedef uint64_t lanes __attribute__((vector_size(32)));

/*
 * The upper halves of the words have a sum of their own, so no carry has to be
 * seen: what they have in the sum of the whole words is taken off at the end,
 * modulo 2^64.
 */
static uint64_t sum_steps_any(const uint8_t *data, uint32_t length)
{
	lanes whole = {0};
	lanes upper = {0};
	lanes sum;

	for (; length > 0; length -= (uint32_t)sizeof(sum), data += sizeof(sum)) {
		memcpy(&sum, data, sizeof(sum));
		whole += sum;
		upper += sum >> 32;
	}
	sum = whole - (upper << 32) + upper;
	return sum[0] + sum[1] + sum[2] + sum[3];
}

#if defined(__x86_64__)

/* Tuned, too, or GCC reads 32 bytes in two halves, as processors before AVX2 liked it. */
#define AVX2 __attribute__((target("avx2,tune=haswell")))

/* Two neighbours among 16-bit words, added to a sum of 32 bits; words are signed in that instruction,
 * so half their range is taken off first. */
AVX2 static inline __m256i add_words(__m256i sum, const uint8_t *data)
{
	const __m256i half_range = _mm256_set1_epi16(INT16_MIN);
	const __m256i ones = _mm256_set1_epi16(1);
	__m256i words = _mm256_loadu_si256((const __m256i *)data);

	return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_xor_si256(words, half_range), ones));
}

/* length: up to 1 MiB. */
AVX2 static uint64_t sum_steps_avx2(const uint8_t *data, uint32_t length)
{
	uint64_t taken_off = (uint64_t)(length / 2) << 15;
	__m256i a = _mm256_setzero_si256();
	__m256i b = _mm256_setzero_si256();
	__m128i sum;

	for (; length > 0; length -= STEP_BYTES, data += STEP_BYTES) {
		a = add_words(a, data);
		b = add_words(b, data + 32);
		a = add_words(a, data + 64);
		b = add_words(b, data + 96);
	}
	/* 64 bits each from here on: what a lane has may be negative. */
	a = _mm256_add_epi64(_mm256_cvtepi32_epi64(_mm256_castsi256_si128(a)),
			     _mm256_cvtepi32_epi64(_mm256_extracti128_si256(a, 1)));
	b = _mm256_add_epi64(_mm256_cvtepi32_epi64(_mm256_castsi256_si128(b)),
			     _mm256_cvtepi32_epi64(_mm256_extracti128_si256(b, 1)));
	a = _mm256_add_epi64(a, b);
	sum = _mm_add_epi64(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
	return taken_off + (uint64_t)_mm_cvtsi128_si64(sum) + (uint64_t)_mm_extract_epi64(sum, 1);
}

static uint64_t (*sum_steps)(const uint8_t *data, uint32_t length) = sum_steps_any;

/* When the program is loaded: which one is called the processor decides. */
RTE_INIT(choose_sum_steps)
{
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx2"))
		sum_steps = sum_steps_avx2;
}

#else
#define sum_steps sum_steps_any
#endif

static inline uint64_t sum_bytes(const uint8_t *data, uint32_t length)
{
	uint64_t sum = 0;

	if (length >= STEP_BYTES) {
		uint32_t wide = length & ~(STEP_BYTES - 1);

		sum = sum_steps(data, wide);
		data += wide;
		length -= wide;
	}
	for (; length >= 32; length -= 32, data += 32) {
		sum = checksum_add(sum, checksum_load(data));
		sum = checksum_add(sum, checksum_load(data + 8));
		sum = checksum_add(sum, checksum_load(data + 16));
		sum = checksum_add(sum, checksum_load(data + 24));
	}
	for (; length >= 8; length -= 8, data += 8)
		sum = checksum_add(sum, checksum_load(data));
	if (length == 0)
		return sum;
	return checksum_add(sum, sum_tail(data, length));
}

uint64_t checksum_sum_long(const void *data, uint32_t length)
{
	return sum_bytes(data, length);
}

uint64_t checksum_add_long(uint64_t sum, const void *data, uint32_t length)
{
	return checksum_add(sum, sum_bytes(data, length));
}

uint16_t checksum_bytes(const void *data, uint32_t length)
{
	return checksum_fold(sum_bytes(data, length));
}

uint16_t checksum_mbuf(const struct rte_mbuf *m, uint32_t offset, uint32_t length)
{
	uint64_t sum = 0;
	bool swapped = false;

	while (m != NULL && offset >= m->data_len) {
		offset -= m->data_len;
		m = m->next;
	}
	for (; m != NULL && length > 0; m = m->next) {
		uint32_t here = RTE_MIN(length, m->data_len - offset);
		uint64_t part = sum_bytes(rte_pktmbuf_mtod_offset(m, const uint8_t *, offset),
					  here);

		/* After an odd number of bytes the pairs are the other way round. */
		if (unlikely(swapped))
			part = rte_bswap16(checksum_fold(part));
		sum = checksum_add(sum, part);
		swapped ^= here & 1;
		length -= here;
		offset = 0;
	}
	return checksum_fold(sum);
}

/* Of the pseudo header (RFC 9293, section 3.1; RFC 768).  An unused half of an address is 0. */
static inline uint64_t sum_pseudo_header(const struct flow *flow, uint32_t length)
{
	uint64_t sum = (uint64_t)rte_cpu_to_be_16(flow->protocol) + rte_cpu_to_be_32(length);

	sum = checksum_add(sum, flow->local.words[0]);
	sum = checksum_add(sum, flow->local.words[1]);
	sum = checksum_add(sum, flow->remote.words[0]);
	return checksum_add(sum, flow->remote.words[1]);
}

uint16_t ip_transport_sum(const struct flow *flow, const struct rte_mbuf *m, uint32_t length)
{
	uint64_t sum;

	if (likely(m->next == NULL))
		sum = sum_bytes(rte_pktmbuf_mtod(m, const uint8_t *), length);
	else
		sum = checksum_mbuf(m, 0, length);
	return checksum_fold(checksum_add(sum, sum_pseudo_header(flow, length)));
}
