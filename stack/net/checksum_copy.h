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

/* Two words side by side. */
typedef uint64_t checksum_pair __attribute__((vector_size(16)));

static inline checksum_pair checksum_copy_pair(uint8_t *to, const uint8_t *from)
{
	checksum_pair pair;

	memcpy(&pair, from, sizeof(pair));
	memcpy(to, &pair, sizeof(pair));
	return pair;
}

/* memcpy; the sum as checksum_sum_long has it. */
static inline uint64_t checksum_copy(void *to, const void *from, uint32_t length)
{
	const uint8_t *in = from;
	uint8_t *out = to;
	uint32_t wide = length & ~31u;
	checksum_pair whole = {0};
	checksum_pair upper = {0};
	uint32_t at;
	uint64_t sum;

	if (length >= CHECKSUM_COPY_LONG_BYTES) {
		memcpy(to, from, length);
		/* Of what was copied: who writes the source meanwhile spoils no sum. */
		return checksum_sum_long(to, length);
	}
	/* No carry is lost that the upper halves' own sum does not tell of (see sum_steps_any). */
	for (at = 0; at < wide; at += 32) {
		checksum_pair a = checksum_copy_pair(out + at, in + at);
		checksum_pair b = checksum_copy_pair(out + at + 16, in + at + 16);

		whole += a + b;
		upper += (a >> 32) + (b >> 32);
	}
	whole = whole - (upper << 32) + upper;
	sum = whole[0] + whole[1];
	for (; at + 8 <= length; at += 8)
		sum = checksum_copy_word(out + at, in + at, sum);
	if (at < length)
		sum = checksum_add(sum, checksum_copy_rest(out + at, in + at, length - at));
	return sum;
}

#endif
