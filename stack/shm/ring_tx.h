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

/*
 * Copies length bytes at offset, behind a header in a fresh mbuf, to to; true
 * with their sum added to *sum, unless the port makes checksums.  False: they
 * are too many for a copy, or not in one place.
 */
static __rte_always_inline bool tx_ring_copy_short(const struct worker *w,
						   const struct ring_pair *r, void *to,
						   uint64_t offset, uint32_t length, bool port_sums,
						   uint64_t *sum)
{
	const uint8_t *data = tx_ring_peek(r, offset, length);

	if (unlikely(data == NULL || length >= w->config.copybreak_bytes))
		return false;
	if (port_sums)
		memcpy(to, data, length);
	else
		*sum = checksum_add(*sum, checksum_copy(to, data, length));
	return true;
}

/* tx_ring_done that does not call it while no chunk becomes free. */
static inline void tx_ring_done_here(struct worker *w, struct ring_pair *r, uint64_t offset)
{
	leat_assert(offset >= r->tx_head && offset <= r->tx_tail);
	r->tx_head = offset;
	r->active = true;
	if (unlikely(r->shared == NULL || offset - r->tx_first_base > r->arena->chunk_bytes))
		tx_ring_free_done(w, r);
}

#endif
