/* SPDX-License-Identifier: BSD-3-Clause */
/* Copies bytes and sums them on the way, so that they are read once. */
#ifndef LEAT_NET_CHECKSUM_COPY_H
#define LEAT_NET_CHECKSUM_COPY_H

#include <stdint.h>
#include <string.h>

#include "net/checksum.h"

/* From so many bytes on, vectors that read them a second time are faster than words. */
#define CHECKSUM_COPY_LONG_BYTES 160u

static inline uint64_t checksum_copy_word(uint8_t *to, const uint8_t *from, uint64_t sum)
{
	uint64_t word;

	memcpy(&word, from, sizeof(word));
	memcpy(to, &word, sizeof(word));
	return checksum_add(sum, word);
}

/* Fewer than eight; an odd last byte counts as the first of a pair. */
static inline uint64_t checksum_copy_rest(uint8_t *to, const uint8_t *from, uint32_t length)
{
	uint64_t sum = 0;

	if (length & 4) {
		uint32_t word;

		memcpy(&word, from, sizeof(word));
		memcpy(to, &word, sizeof(word));
		sum = word;
		to += sizeof(word);
		from += sizeof(word);
	}
	if (length & 2) {
		uint16_t pair;

		memcpy(&pair, from, sizeof(pair));
		memcpy(to, &pair, sizeof(pair));
		sum += pair;
		to += sizeof(pair);
		from += sizeof(pair);
	}
	if (length & 1) {
		*to = *from;
		sum += rte_cpu_to_be_16((uint16_t)(*from << 8));
	}
	return sum;
}

/* memcpy; the sum as checksum_sum_long has it. */
static inline uint64_t checksum_copy(void *to, const void *from, uint32_t length)
{
	const uint8_t *in = from;
	uint8_t *out = to;
	uint64_t sum = 0;

	if (length >= CHECKSUM_COPY_LONG_BYTES) {
		memcpy(to, from, length);
		return checksum_sum_long(from, length);
	}
	for (; length >= 4 * sizeof(sum); length -= 4 * sizeof(sum)) {
		sum = checksum_copy_word(out, in, sum);
		sum = checksum_copy_word(out + 8, in + 8, sum);
		sum = checksum_copy_word(out + 16, in + 16, sum);
		sum = checksum_copy_word(out + 24, in + 24, sum);
		out += 4 * sizeof(sum);
		in += 4 * sizeof(sum);
	}
	for (; length >= sizeof(sum); length -= sizeof(sum)) {
		sum = checksum_copy_word(out, in, sum);
		out += sizeof(sum);
		in += sizeof(sum);
	}
	return length == 0 ? sum : checksum_add(sum, checksum_copy_rest(out, in, length));
}

#endif
