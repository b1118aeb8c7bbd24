/* SPDX-License-Identifier: BSD-3-Clause */
/* The Internet checksum (RFC 1071), written apart from the stack's so that tests do not trust it. */
#ifndef LEAT_SUPPORT_SUM_H
#define LEAT_SUPPORT_SUM_H

#include <stddef.h>
#include <stdint.h>

/* Adds length bytes, as big-endian words, to a running sum. */
static inline uint32_t sum_add(uint32_t sum, const void *data, size_t length)
{
	const uint8_t *p = data;

	for (; length > 1; p += 2, length -= 2)
		sum += (uint32_t)p[0] << 8 | p[1];
	if (length == 1)
		sum += (uint32_t)p[0] << 8;
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Of the pseudo header; addresses in network order, length in host order. */
static inline uint32_t sum_pseudo(const void *source, const void *destination, uint8_t protocol,
				  uint32_t length)
{
	uint8_t words[4] = {0, protocol, (uint8_t)(length >> 8), (uint8_t)length};

	return sum_add(sum_add(sum_add(0, source, 4), destination, 4), words, sizeof(words));
}

#endif
