/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/checksum.h"

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

/* Four sums side by side. */
typedef uint64_t lanes __attribute__((vector_size(32)));

#define LANES_STEP ((uint32_t)(2 * sizeof(lanes)))

/* Compiled twice; which one is called the processor decides when the program is loaded. */
#if defined(__x86_64__)
#define BY_PROCESSOR __attribute__((target_clones("avx2", "default")))
#else
#define BY_PROCESSOR
#endif

/*
 * length is a multiple of LANES_STEP.  The upper halves of the words have a sum
 * of their own, so no carry has to be seen: what they have in the sum of the
 * whole words is taken off at the end, modulo 2^64.
 */
BY_PROCESSOR static uint64_t sum_lanes(const uint8_t *data, uint32_t length)
{
	lanes whole = {0};
	lanes upper = {0};
	lanes sum;

	for (; length > 0; length -= LANES_STEP, data += LANES_STEP) {
		lanes a, b;

		memcpy(&a, data, sizeof(a));
		memcpy(&b, data + sizeof(a), sizeof(b));
		whole += a + b;
		upper += (a >> 32) + (b >> 32);
	}
	sum = whole - (upper << 32) + upper;
	return sum[0] + sum[1] + sum[2] + sum[3];
}

static inline uint64_t sum_bytes(const uint8_t *data, uint32_t length)
{
	uint64_t sum = 0;

	if (length >= LANES_STEP) {
		uint32_t wide = length & ~(LANES_STEP - 1);

		sum = sum_lanes(data, wide);
		data += wide;
		length -= wide;
	}
	for (; length >= 8; length -= 8, data += 8)
		sum = checksum_add(sum, checksum_load(data));
	return checksum_add(sum, sum_tail(data, length));
}

uint64_t checksum_sum_long(const void *data, uint32_t length)
{
	return sum_bytes(data, length);
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
