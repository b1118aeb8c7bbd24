/* SPDX-License-Identifier: BSD-3-Clause */
/* What arrives in order, into a receive ring: inline where there is room for it at hand. */
#ifndef LEAT_SHM_RING_RX_H
#define LEAT_SHM_RING_RX_H

#include <rte_branch_prediction.h>
#include <string.h>

#include "lib/seq.h"
#include "shm/ring.h"
#include "shm/session.h"

static inline void rx_ring_note_placed(struct ring_pair *r, uint32_t end)
{
	if (seq_gt(end, r->rx_placed))
		r->rx_placed = end;
}

/* Where the next bytes go; NULL: not all of them into the chunk at hand. */
static inline uint8_t *rx_ring_room(const struct ring_pair *r, uint32_t bytes)
{
	uint64_t within = r->rx_tail - r->rx_chunk_base;

	if (likely(r->shared != NULL && /* does anybody read? */
		   r->rx_chunk != LEAT_NO_CHUNK && /* is there a chunk at hand? */
		   within + bytes < r->arena->chunk_bytes)) /* with room behind it? */
		return arena_chunk_memory(r->arena, r->rx_chunk) + within;
	return NULL;
}

/* Bytes were placed where there was room. */
static inline void rx_ring_took(struct ring_pair *r, uint32_t bytes)
{
	r->rx_tail += bytes;
	r->active = true;
	rx_ring_note_placed(r, (uint32_t)r->rx_tail);
}

/* rx_ring_append of the first length bytes of m's data. */
static inline int rx_ring_append_here(struct worker *w, struct ring_pair *r,
				      const struct rte_mbuf *m, uint32_t length)
{
	uint8_t *to = rx_ring_room(r, length);

	if (unlikely(to == NULL || length > m->data_len)) /* in one piece? */
		return rx_ring_append(w, r, m, 0, length);
	memcpy(to, rte_pktmbuf_mtod(m, const uint8_t *), length);
	rx_ring_took(r, length);
	return 0;
}

/* rx_ring_append_record that leaves the header, where it lies, to the caller to fill; NULL: this
 * takes rx_ring_append_record. */
static inline struct leat_record *rx_ring_record_here(struct ring_pair *r, const struct rte_mbuf *m,
						      uint32_t length)
{
	uint32_t bytes = sizeof(struct leat_record) + RTE_ALIGN(length, LEAT_RECORD_ALIGN);
	uint8_t *to = rx_ring_room(r, bytes);

	if (unlikely(to == NULL || length > m->data_len))
		return NULL;
	memcpy(to + sizeof(struct leat_record), rte_pktmbuf_mtod(m, const uint8_t *), length);
	rx_ring_took(r, bytes);
	return (struct leat_record *)to;
}

#endif
