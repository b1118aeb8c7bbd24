/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes of a send ring into a packet, summed on the way: inline where they are few. */
#ifndef LEAT_SHM_RING_TX_H
#define LEAT_SHM_RING_TX_H

#include "core/worker.h"
#include "net/checksum_copy.h"
#include "shm/ring.h"
#include "shm/session.h"

/* The bytes [offset, offset + length), if the chunk that was looked at last holds them all; else
 * NULL. */
static inline const uint8_t *tx_ring_peek(const struct ring_pair *r, uint64_t offset,
					  uint32_t length)
{
	uint64_t within = offset - r->tx_cursor_base; /* huge where it lies before that chunk */
	uint32_t bytes;

	leat_assert(offset >= r->tx_head && offset + length <= r->tx_tail);
	if (unlikely(r->tx_cursor == LEAT_NO_CHUNK))
		return NULL;
	bytes = r->arena->chunk_bytes;
	if (unlikely(within >= bytes || length > bytes - within))
		return NULL;
	return arena_chunk_memory(r->arena, r->tx_cursor) + within;
}

/* tx_ring_append_summed that does not call it for few bytes in one place. */
static inline int tx_ring_append_short(struct worker *w, struct ring_pair *r, struct rte_mbuf *m,
				       uint64_t offset, uint32_t length, bool copy, bool no_sum,
				       uint64_t *sum)
{
	const uint8_t *data = tx_ring_peek(r, offset, length);

	if (unlikely(data == NULL || length >= w->config.copybreak_bytes ||
		     length > rte_pktmbuf_tailroom(m)))
		return tx_ring_append_summed(w, r, m, offset, length, copy, no_sum, sum);
	*sum = checksum_add(
		*sum, checksum_copy(rte_pktmbuf_mtod_offset(m, void *, m->data_len), data, length));
	m->data_len += (uint16_t)length;
	m->pkt_len += length;
	return 0;
}

#endif
