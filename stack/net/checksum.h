/* SPDX-License-Identifier: BSD-3-Clause */
/* The Internet checksum (RFC 1071) over plain memory and over mbufs. */
#ifndef LEAT_NET_CHECKSUM_H
#define LEAT_NET_CHECKSUM_H

#include <rte_byteorder.h>
#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* One's complement sum of length bytes, folded to 16 bits, not inverted, in memory order.  An odd
 * last byte counts as the first of a pair. */
uint16_t checksum_bytes(const void *data, uint32_t length);

/* The same over length bytes of m, from byte offset of its data on, across segments; all of them
 * must be there. */
uint16_t checksum_mbuf(const struct rte_mbuf *m, uint32_t offset, uint32_t length);

/* The same over plain memory, not folded yet: for long runs, whose vectors take a while to begin. */
uint64_t checksum_sum_long(const void *data, uint32_t length);

/* The same added to sum. */
uint64_t checksum_add_long(uint64_t sum, const void *data, uint32_t length);

/* A sum of wider words folds to the same 16 bits as a sum of 16-bit words (RFC 1071, section 2), as
 * long as a carry goes around. */
static inline uint64_t checksum_add(uint64_t sum, uint64_t word)
{
	bool carry = __builtin_add_overflow(sum, word, &sum);

	return sum + carry;
}

/* The upper half of a sum and its own rotation is the sum of the halves, carry gone around. */
static inline uint16_t checksum_fold(uint64_t sum)
{
	uint32_t half = (uint32_t)((sum + (sum << 32 | sum >> 32)) >> 32);

	return (uint16_t)((half + (half << 16 | half >> 16)) >> 16);
}

static inline uint64_t checksum_load(const void *data)
{
	uint64_t word;

	memcpy(&word, data, sizeof(word));
	return word;
}

/*
 * Sums that are only to be verified, not written: of any width, and not folded.
 */

/* Does a sum over data and its checksum fold to all ones?  2^16 is 1 modulo 0xffff, so it does when
 * 0xffff divides it, for data that has a checksum is not all zero; and of such numbers alone the product
 * with the inverse of 0xffff modulo 2^64 is no larger than their quotient may be. */
static inline bool checksum_is_good(uint64_t sum)
{
	return sum * UINT64_C(0xfffefffefffeffff) <= UINT64_MAX / 0xffff;
}

/* From so many bytes on checksum_sum_long is faster than words. */
#define CHECKSUM_LONG_BYTES 256u

/* Added to sum. */
static inline uint64_t checksum_sum(uint64_t sum, const void *data, uint32_t length)
{
	const uint8_t *at = data;

	if (unlikely(length >= CHECKSUM_LONG_BYTES || length < 8))
		return checksum_add_long(sum, data, length);
	for (; length >= 32; length -= 32, at += 32) {
		sum = checksum_add(sum, checksum_load(at));
		sum = checksum_add(sum, checksum_load(at + 8));
		sum = checksum_add(sum, checksum_load(at + 16));
		sum = checksum_add(sum, checksum_load(at + 24));
	}
	for (; length >= 8; length -= 8, at += 8)
		sum = checksum_add(sum, checksum_load(at));
	if (length > 0) /* the rest is the end of the last eight bytes */
		sum = checksum_add(sum, checksum_load(at + length - 8) >> (64 - 8 * length));
	return sum;
}

/* Of an IPv4 header without options. */
static inline uint64_t checksum_sum_ipv4(const void *header)
{
	const uint8_t *at = header;
	uint32_t last;

	memcpy(&last, at + 16, sizeof(last));
	return checksum_add(checksum_add(checksum_load(at), checksum_load(at + 8)), last);
}

/* Of the pseudo header (RFC 9293, section 3.1; RFC 768) without the length. */
static inline uint64_t checksum_sum_pseudo_v4(rte_be32_t local, rte_be32_t remote, uint8_t protocol)
{
	return (uint64_t)local + remote + rte_cpu_to_be_16(protocol);
}

/* Is the checksum of a received packet good, by the port's word (flags, its mbuf's) where it checks?
 * data: all from the transport header on, in one piece; pseudo_sum: struct packet's. */
static inline bool checksum_piece_good(uint64_t flags, const void *data, uint32_t length,
				       uint64_t pseudo_sum)
{
	uint64_t said = flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
	uint64_t sum;

	if (said != RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN) /* NONE: not in the packet, but that is good */
		return said != RTE_MBUF_F_RX_L4_CKSUM_BAD;
	sum = checksum_add(pseudo_sum, rte_cpu_to_be_32(length));
	return checksum_is_good(checksum_sum(sum, data, length));
}

/* The same of m's data, in whatever pieces. */
static inline bool checksum_transport_good(const struct rte_mbuf *m, uint32_t length,
					   uint64_t pseudo_sum)
{
	const void *data = rte_pktmbuf_mtod(m, const void *);
	uint64_t said = m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
	uint64_t sum;

	if (likely(length <= m->data_len || said != RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN))
		return checksum_piece_good(m->ol_flags, data, length, pseudo_sum);
	sum = checksum_add(pseudo_sum, rte_cpu_to_be_32(length));
	return checksum_is_good(checksum_add(sum, checksum_mbuf(m, 0, length)));
}

#endif
