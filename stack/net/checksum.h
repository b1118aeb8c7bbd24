/* SPDX-License-Identifier: BSD-3-Clause */
/* The Internet checksum (RFC 1071) over plain memory and over mbufs. */
#ifndef LEAT_NET_CHECKSUM_H
#define LEAT_NET_CHECKSUM_H

#include <rte_mbuf.h>
#include <stdint.h>

/* One's complement sum of length bytes, folded to 16 bits, not inverted, in memory order.  An odd
 * last byte counts as the first of a pair. */
uint16_t checksum_bytes(const void *data, uint32_t length);

/* The same over length bytes of m, from byte offset of its data on, across segments; all of them
 * must be there. */
uint16_t checksum_mbuf(const struct rte_mbuf *m, uint32_t offset, uint32_t length);

/* The same over plain memory, not folded yet: for long runs, whose vectors take a while to begin. */
uint64_t checksum_sum_long(const void *data, uint32_t length);

/* A sum of wider words folds to the same 16 bits as a sum of 16-bit words (RFC 1071, section 2), as
 * long as a carry goes around. */
static inline uint64_t checksum_add(uint64_t sum, uint64_t word)
{
	sum += word;
	return sum + (sum < word);
}

/* The upper half of a sum and its own rotation is the sum of the halves, carry gone around. */
static inline uint16_t checksum_fold(uint64_t sum)
{
	uint32_t half = (uint32_t)((sum + (sum << 32 | sum >> 32)) >> 32);

	return (uint16_t)((half + (half << 16 | half >> 16)) >> 16);
}

#endif
