/* SPDX-License-Identifier: BSD-3-Clause */
/* Where in the chunks of a sock's rings its bytes are, for ring.c and the quick way. */
#ifndef LEAT_CLIENT_RING_H
#define LEAT_CLIENT_RING_H

#include "session.h"

/* The first offset past the chunk that holds offset. */
static inline uint64_t chunk_end(const struct session *s, uint64_t offset)
{
	return (offset | s->chunk_mask) + 1;
}

static inline uint8_t *chunk_byte(const struct session *s, uint32_t chunk, uint64_t offset)
{
	return s->chunks + chunk * s->layout.chunk_stride + (offset & s->chunk_mask);
}

/* The chunk of byte offset + length - 1, where chunk is that of offset; length > 0. */
static inline uint32_t chunk_walk(const struct session *s, const uint32_t *link, uint32_t chunk,
				  uint64_t offset, uint64_t length)
{
	uint64_t chunks = ((offset & s->chunk_mask) + length - 1) >> s->layout.chunk_shift;

	while (chunks-- > 0)
		chunk = link[chunk];
	return chunk;
}

/* The chunk of the byte at rx_head; there is one. */
static inline uint32_t rx_chunk(const struct session *s, const struct leat_slot *slot,
				uint64_t head)
{
	if (head == slot->rx_restart)
		return slot->rx_restart_chunk;
	if ((head & s->chunk_mask) == 0)
		return s->rx_link[slot->rx_chunk];
	return slot->rx_chunk;
}

/* ---- Telling the worker ------------------------------------------------- */

/* Is a LEAT_OP_SYNC under way that the worker has not taken yet? */
static inline bool kick_is_pending(uint32_t number, const struct leat_slot *slot, uint32_t kick)
{
	/* What it has taken is no longer pending: that needs no fence to be true. */
	if (kick == load_acquire(&slot->kick_seen))
		return false;
	/* Pairs with the worker's fence between kick_seen and its look at the rings. */
	fence_worker(number);
	return kick != load_acquire(&slot->kick_seen);
}

/* Submits LEAT_OP_SYNC in sqe, which is the next free entry of worker's queue. */
static inline void kick_submit(struct leat_cq *cq, unsigned worker, struct leat_handle h,
			       const struct leat_slot *slot, struct leat_sqe *sqe, int value)
{
	*sqe = (struct leat_sqe){
		.op = LEAT_OP_SYNC,
		.value = value,
		.handle = h,
		.offset = load_relaxed(&slot->tx_tail),
	};
	context_push(cq, worker);
}

/* Has h's worker look at its rings, whose cursors others may be moving: 0; -EAGAIN: the queue is
 * full; -EBADF; -ENETDOWN.  Under sq_lock. */
int ring_kick(struct leat_cq *cq, struct leat_handle h);

/* Is the worker to hear that the bytes before head were read? */
static inline bool slot_wants_consumed(uint32_t number, const struct leat_slot *slot, uint64_t head)
{
	uint64_t wake;

	/* Pairs with the worker's fence between rx_wake and its look at rx_head. */
	fence_worker(number);
	wake = load_relaxed(&slot->rx_wake);
	return wake != LEAT_NO_OFFSET && (int64_t)(head - wake) >= 0;
}

/* Grants the wish for room that the event tells of; a newer one stays. */
static inline void slot_grant_room(struct leat_slot *slot)
{
	uint64_t wake = load_relaxed(&slot->tx_wake);

	if (wake != LEAT_NO_OFFSET && (int64_t)(load_acquire(&slot->tx_head) - wake) >= 0)
		(void)compare_and_swap(&slot->tx_wake, wake, LEAT_NO_OFFSET);
}

/* ---- Chunks to send with ------------------------------------------------ */

/* Chunks that can be taken now. */
static inline uint32_t channel_chunks(const struct channel *ch)
{
	/* acquire: pairs with the worker's release after it wrote the grants */
	return ch->spare_count + (load_acquire(&ch->shared->grant_tail) - ch->grant_head);
}

/* LEAT_NO_CHUNK: none granted. */
static inline uint32_t channel_take_chunk(struct leat_cq *cq, struct channel *ch)
{
	struct session *s = cq->session;
	uint32_t chunk = ch->spare;

	if (channel_chunks(ch) == 0)
		return LEAT_NO_CHUNK;
	if (ch->spare_count > 0) {
		ch->spare = s->tx_link[chunk];
		ch->spare_count--;
		return chunk;
	}
	chunk = ch->grants[ch->grant_head & (s->layout.grant_entries - 1)];
	ch->grant_head++;
	store_release(&ch->shared->grant_head, ch->grant_head);
	return chunk;
}

#endif
