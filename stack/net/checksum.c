/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/checksum.h"

#include <string.h>

#include "net/addr.h"
#include "net/ipv4.h"

/* A sum of 32-bit words folds to the same 16 bits as a sum of 16-bit words (RFC 1071, section 2),
 * and 64 bits of room make carries a matter of the end. */
static uint64_t checksum_words(const uint8_t *data, uint32_t length)
{
	uint64_t even = 0;
	uint64_t odd = 0;
	uint64_t word;
	uint32_t half;
	uint16_t pair;

	for (; length >= 16; length -= 16, data += 16) {
		uint64_t next;

		memcpy(&word, data, sizeof(word));
		memcpy(&next, data + 8, sizeof(next));
		even += (word & 0xffffffff) + (next & 0xffffffff);
		odd += (word >> 32) + (next >> 32);
	}
	for (; length >= 4; length -= 4, data += 4) {
		memcpy(&half, data, sizeof(half));
		even += half;
	}
	if (length >= 2) {
		memcpy(&pair, data, sizeof(pair));
		even += pair;
		length -= 2;
		data += 2;
	}
	if (length == 1) {
		uint8_t last[2] = {*data, 0};

		memcpy(&pair, last, sizeof(pair));
		odd += pair;
	}
	return even + odd;
}

uint16_t checksum_bytes(const void *data, uint32_t length)
{
	return checksum_fold(checksum_words(data, length));
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
		uint16_t part = checksum_bytes(rte_pktmbuf_mtod_offset(m, const void *, offset),
					       here);

		/* After an odd number of bytes the pairs are the other way round. */
		sum += swapped ? rte_bswap16(part) : part;
		swapped ^= here & 1;
		length -= here;
		offset = 0;
	}
	return checksum_fold(sum);
}

uint16_t ip_transport_sum(const struct flow *flow, const struct rte_mbuf *m, uint32_t length)
{
	uint64_t sum = checksum_mbuf(m, 0, length);

	/* The pseudo header (RFC 9293, section 3.1; RFC 768).  An unused half of an address is 0. */
	sum += checksum_bytes(&flow->local, sizeof(flow->local));
	sum += checksum_bytes(&flow->remote, sizeof(flow->remote));
	sum += rte_cpu_to_be_16(flow->protocol);
	sum += rte_cpu_to_be_32(length);
	return checksum_fold(sum);
}

bool ip_transport_checksum_good(const struct packet *p)
{
	switch (p->m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) {
	case RTE_MBUF_F_RX_L4_CKSUM_GOOD:
	case RTE_MBUF_F_RX_L4_CKSUM_NONE: /* not in the packet, but the data is known to be good */
		return true;
	case RTE_MBUF_F_RX_L4_CKSUM_BAD:
		return false;
	default:
		return ip_transport_sum(&p->flow, p->m, p->length) == 0xffff;
	}
}
