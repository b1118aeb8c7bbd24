/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The library's end of a sock's receive and send rings (struct leat_slot):
 * the mirror image of stack/shm/ring.c.  Offsets are 64-bit and wrap, so they
 * are compared by difference.
 */
#include <errno.h>

#include "ring.h"

struct leat_slot *session_slot(const struct session *s, struct leat_handle h)
{
	struct leat_slot *slot;

	if (h.slot >= s->slot_count)
		return NULL;
	slot = &s->slots[h.slot];
	return load_relaxed(&slot->generation) == h.generation ? slot : NULL;
}

/* Describes [offset, end) from chunk on, following links; how many bytes found a piece. */
static size_t describe(const struct session *s, const uint32_t *link, uint32_t chunk,
		       uint64_t offset, uint64_t end, struct iovec *iov, int *iov_count)
{
	uint64_t from = offset;
	int used = 0;

	while (offset != end && used < *iov_count) {
		uint64_t length = chunk_end(s, offset) - offset;

		if (length > end - offset)
			length = end - offset;
		iov[used].iov_base = chunk_byte(s, chunk, offset);
		iov[used].iov_len = length;
		used++;
		offset += length;
		if (offset != end)
			chunk = link[chunk];
	}
	*iov_count = used;
	return offset - from;
}

/* ---- Telling the worker ------------------------------------------------- */

/* One more kick than these.  False: another thread was quicker; a queue of leat_cq_open and its socks
 * belong to one. */
static inline bool count_kick(const struct leat_cq *cq, struct leat_slot *slot, uint32_t kick)
{
	if (!cq->raw)
		return compare_and_swap(&slot->kick, kick, kick + 1);
	store_relaxed(&slot->kick, kick + 1);
	return true;
}

/*
 * The worker has to look at the sock's rings: submits LEAT_OP_SYNC unless one
 * is under way that it has not taken yet, or it is to hear that more follows.
 * 0; -EAGAIN: the queue is full.
 */
static int slot_kick(struct leat_cq *cq, struct leat_handle h, struct leat_slot *slot, bool more)
{
	unsigned worker = session_worker(cq->session, h);
	struct leat_sqe *sqe;
	uint32_t kick;

	do {
		kick = load_relaxed(&slot->kick);
		if (!more && kick_is_pending(h.slot, slot, kick))
			return 0;
		if (load_relaxed(&cq->session->dead))
			return -ENETDOWN;
		sqe = channel_entry(cq, &cq->channel[worker]);
		if (sqe == NULL)
			return -EAGAIN;
	} while (!count_kick(cq, slot, kick));
	kick_submit(cq, worker, h, slot, sqe, more ? LEAT_SYNC_MORE : 0);
	return 0;
}

int ring_kick(struct leat_cq *cq, struct leat_handle h)
{
	struct leat_slot *slot = session_slot(cq->session, h);

	return slot == NULL ? -EBADF : slot_kick(cq, h, slot, false);
}

/* ---- Receive ------------------------------------------------------------ */

ssize_t leat_cq_recv_peek(struct leat_cq *cq, struct leat_handle handle, struct iovec *iov,
			  int *iov_count)
{
	const struct session *s = cq->session;
	struct leat_slot *slot = session_slot(s, handle);
	uint64_t head, tail;
	uint32_t events;

	if (slot == NULL)
		return -EBADF;
	/* Events first: once they tell of the end, rx_tail is final. */
	events = load_acquire(&slot->events);
	head = slot->rx_head;
	/* acquire: pairs with the worker's release after bytes, links and restart */
	tail = load_acquire(&slot->rx_tail);
	if (head == tail) {
		*iov_count = 0;
		return events & (LEAT_EV_RDHUP | LEAT_EV_HUP) ? 0 : -EAGAIN;
	}
	return (ssize_t)describe(s, s->rx_link, rx_chunk(s, slot, head), head, tail, iov,
				 iov_count);
}

uint8_t ring_rx_byte(const struct session *s, const struct leat_slot *slot, uint64_t offset)
{
	uint64_t head = slot->rx_head;
	uint32_t chunk = chunk_walk(s, s->rx_link, rx_chunk(s, slot, head), head,
				    offset - head + 1);

	return *chunk_byte(s, chunk, offset);
}

int leat_cq_recv_urgent(struct leat_cq *cq, struct leat_handle handle, uint64_t *bytes)
{
	const struct session *s = cq->session;
	const struct leat_slot *slot = session_slot(s, handle);
	uint64_t mark;

	if (slot == NULL)
		return -EBADF;
	if (!(load_acquire(&slot->events) & LEAT_EV_PRI))
		return -ENODATA;
	mark = load_acquire(&s->rx_urgent[handle.slot].mark);
	if ((int64_t)(mark - slot->rx_head) < 0)
		return -ENODATA;
	*bytes = mark - slot->rx_head;
	return 0;
}

int leat_cq_recv_consume(struct leat_cq *cq, struct leat_handle handle, size_t bytes)
{
	const struct session *s = cq->session;
	struct leat_slot *slot = session_slot(s, handle);
	uint64_t head;

	if (slot == NULL)
		return -EBADF;
	head = slot->rx_head;
	if (bytes > load_acquire(&slot->rx_tail) - head)
		return -EINVAL;
	if (bytes > 0) {
		slot->rx_chunk = chunk_walk(s, s->rx_link, rx_chunk(s, slot, head), head, bytes);
		head += bytes;
		/* release: what was read was read before the worker takes the bytes back */
		store_release(&slot->rx_head, head);
	}
	return slot_wants_consumed(handle.slot, slot, head) ? slot_kick(cq, handle, slot, false)
							    : 0;
}

/* ---- Chunks to send with ------------------------------------------------ */

/* LEAT_CQE_CHUNKS is to be told to h. */
static void channel_note_starved(struct channel *ch, struct leat_handle h)
{
	for (uint32_t i = 0; i < ch->starved_count && i < STARVED_MAX; i++) {
		if (ch->starved[i].slot == h.slot)
			return;
	}
	if (ch->starved_count < STARVED_MAX)
		ch->starved[ch->starved_count] = h;
	if (ch->starved_count <= STARVED_MAX)
		ch->starved_count++;
}

bool channel_has_chunks(struct leat_cq *cq, struct leat_handle h, size_t bytes)
{
	struct session *s = cq->session;
	const struct leat_slot *slot = &s->slots[h.slot];
	unsigned worker = session_worker(s, h);
	struct channel *ch = &cq->channel[worker];
	uint64_t tail = load_relaxed(&slot->tx_tail);
	struct leat_sqe sqe = {.op = LEAT_OP_WANT_CHUNKS};

	if (load_relaxed(&slot->tx_chunk) == LEAT_NO_CHUNK)
		bytes += tail & s->chunk_mask;
	else if ((tail & s->chunk_mask) != 0 && bytes <= chunk_end(s, tail) - tail)
		return true;
	else if ((tail & s->chunk_mask) != 0)
		bytes -= chunk_end(s, tail) - tail;
	if ((uint64_t)channel_chunks(ch) << s->layout.chunk_shift >= bytes)
		return true;
	channel_note_starved(ch, h);
	if (!load_relaxed(&ch->asked)) {
		/* Before the submission: its completion clears it. */
		store_relaxed(&ch->asked, true);
		if (leat_cq_submit(cq, worker, &sqe) != 0) {
			store_relaxed(&ch->asked, false);
			store_relaxed(&cq->napping, true);
		}
	}
	return false;
}

static void channel_keep_chunk(struct session *s, struct channel *ch, uint32_t chunk)
{
	s->tx_link[chunk] = ch->spare;
	ch->spare = chunk;
	ch->spare_count++;
}

/* ---- Send --------------------------------------------------------------- */

/*
 * Up to where the send ring has chunks.  tx_end is only ahead of the current
 * chunk's end between a reservation and its commit.
 */
static uint64_t tx_linked_end(const struct session *s, const struct leat_slot *slot, uint64_t tail)
{
	if ((int64_t)(slot->tx_end - tail) > 0)
		return slot->tx_end;
	if (slot->tx_chunk == LEAT_NO_CHUNK || (tail & s->chunk_mask) == 0)
		return tail;
	return chunk_end(s, tail);
}

/* The chunk of the byte at tx_tail; linked already. */
static uint32_t tx_chunk(const struct session *s, const struct leat_slot *slot, uint64_t tail)
{
	if (slot->tx_chunk == LEAT_NO_CHUNK)
		return slot->tx_restart_chunk;
	if ((tail & s->chunk_mask) == 0)
		return s->tx_link[slot->tx_chunk];
	return slot->tx_chunk;
}

/* Links chunks until [tail, tail + bytes) has some, or there are no more; where they end. */
static uint64_t tx_link_chunks(struct leat_cq *cq, struct channel *ch, struct leat_slot *slot,
			       uint64_t tail, uint64_t bytes)
{
	struct session *s = cq->session;
	uint64_t end = tx_linked_end(s, slot, tail);
	uint32_t last = slot->tx_chunk;

	if (end != tail)
		last = chunk_walk(s, s->tx_link, tx_chunk(s, slot, tail), tail, end - tail);
	while (end - tail < bytes) {
		uint32_t chunk = channel_take_chunk(cq, ch);

		if (chunk == LEAT_NO_CHUNK)
			break;
		if (last == LEAT_NO_CHUNK) {
			/* The worker looks at these once tx_tail has moved. */
			slot->tx_restart_chunk = chunk;
			slot->tx_restart = tail;
		} else {
			s->tx_link[last] = chunk;
		}
		last = chunk;
		end = chunk_end(s, end);
	}
	slot->tx_end = end;
	return end;
}

ssize_t leat_cq_send_reserve(struct leat_cq *cq, struct leat_handle handle, size_t bytes,
			     struct iovec *iov, int *iov_count)
{
	struct session *s = cq->session;
	struct leat_slot *slot = session_slot(s, handle);
	unsigned worker = session_worker(s, handle);
	uint64_t tail, used, limit, end;

	if (slot == NULL)
		return -EBADF;
	if (bytes == 0)
		return -EINVAL;
	tail = slot->tx_tail;
	/* acquire: pairs with the worker's release; what lies before is free to be written again */
	used = tail - load_acquire(&slot->tx_head);
	limit = load_relaxed(&slot->tx_limit_bytes);
	if (used >= limit)
		return -EAGAIN;
	if (bytes > limit - used)
		bytes = limit - used;
	end = tx_link_chunks(cq, &cq->channel[worker], slot, tail, bytes);
	if (end == tail) {
		(void)channel_has_chunks(cq, handle, 1);
		return -EAGAIN;
	}
	if (bytes > end - tail)
		bytes = end - tail;
	return (ssize_t)describe(s, s->tx_link, tx_chunk(s, slot, tail), tail, tail + bytes, iov,
				 iov_count);
}

/* Gives the chunks linked past the one that holds the byte before offset back. */
static void tx_unlink_rest(struct session *s, struct channel *ch, struct leat_slot *slot,
			   uint32_t chunk, uint64_t offset)
{
	uint64_t end = (offset & s->chunk_mask) == 0 ? offset : chunk_end(s, offset);

	if (chunk == LEAT_NO_CHUNK) {
		chunk = slot->tx_restart_chunk;
		end = chunk_end(s, offset);
	} else if (end != slot->tx_end) {
		chunk = s->tx_link[chunk];
		end += s->chunk_mask + 1;
	} else {
		return;
	}
	for (;;) {
		uint32_t next = s->tx_link[chunk];

		channel_keep_chunk(s, ch, chunk);
		if (end == slot->tx_end)
			return;
		chunk = next;
		end += s->chunk_mask + 1;
	}
}

static int send_commit(struct leat_cq *cq, struct leat_handle handle, size_t bytes, bool more)
{
	struct session *s = cq->session;
	struct leat_slot *slot = session_slot(s, handle);
	struct channel *ch;
	uint64_t tail;
	uint32_t last;

	if (slot == NULL)
		return -EBADF;
	tail = slot->tx_tail;
	if ((int64_t)(slot->tx_end - tail) > 0) {
		ch = &cq->channel[session_worker(s, handle)];
		if (bytes > slot->tx_end - tail)
			return -EINVAL;
		last = slot->tx_chunk;
		if (bytes > 0)
			last = chunk_walk(s, s->tx_link, tx_chunk(s, slot, tail), tail, bytes);
		tx_unlink_rest(s, ch, slot, last, tail + bytes);
		slot->tx_chunk = last;
		slot->tx_end = tail + bytes;
		/* release: pairs with the worker's acquire; bytes, links and restart come first */
		store_release(&slot->tx_tail, tail + bytes);
	} else if (bytes > 0) {
		return -EINVAL;
	}
	return slot_kick(cq, handle, slot, more);
}

int leat_cq_send_commit(struct leat_cq *cq, struct leat_handle handle, size_t bytes)
{
	return send_commit(cq, handle, bytes, false);
}

int leat_cq_send_commit_more(struct leat_cq *cq, struct leat_handle handle, size_t bytes)
{
	return send_commit(cq, handle, bytes, true);
}

int leat_cq_send_urgent(struct leat_cq *cq, struct leat_handle handle, size_t bytes)
{
	struct session *s = cq->session;
	struct leat_slot *slot = session_slot(s, handle);

	if (slot == NULL)
		return -EBADF;
	/* Seen by the worker at the latest with the tx_tail that the commit stores. */
	store_relaxed(&s->tx_urgent[handle.slot], slot->tx_tail + bytes);
	return 0;
}

int leat_cq_send_wake(struct leat_cq *cq, struct leat_handle handle, size_t bytes)
{
	struct leat_slot *slot = session_slot(cq->session, handle);
	uint64_t limit, wake;

	if (slot == NULL)
		return -EBADF;
	limit = load_relaxed(&slot->tx_limit_bytes);
	if (bytes > limit)
		bytes = limit;
	wake = load_relaxed(&slot->tx_tail) - (limit - bytes);
	if ((int64_t)(load_acquire(&slot->tx_head) - wake) >= 0)
		return 1;
	store_relaxed(&slot->tx_wake, wake);
	/* Pairs with the worker's fence between tx_head and its look at tx_wake. */
	fence_worker(handle.slot);
	return (int64_t)(load_acquire(&slot->tx_head) - wake) >= 0;
}

int leat_cq_send_release(struct leat_cq *cq, struct leat_handle handle)
{
	struct leat_slot *slot = session_slot(cq->session, handle);
	struct leat_sqe sqe = {.op = LEAT_OP_RELEASE, .handle = handle};

	if (slot == NULL)
		return -EBADF;
	if (slot->tx_chunk == LEAT_NO_CHUNK || (int64_t)(slot->tx_end - slot->tx_tail) > 0 ||
	    load_acquire(&slot->tx_head) != slot->tx_tail)
		return 0;
	sqe.offset = slot->tx_tail;
	/* Without the worker's knowledge the next write could not restart. */
	if (leat_cq_submit(cq, session_worker(cq->session, handle), &sqe) == 0)
		slot->tx_chunk = LEAT_NO_CHUNK;
	return 0;
}

/* ---- State -------------------------------------------------------------- */

int leat_cq_events(struct leat_cq *cq, struct leat_handle handle)
{
	struct leat_slot *slot = session_slot(cq->session, handle);
	uint64_t used, limit, urgent;
	uint32_t events;

	if (slot == NULL)
		return -EBADF;
	events = load_acquire(&slot->events) & ~(LEAT_EV_IN | LEAT_EV_OUT);
	if (load_acquire(&slot->rx_tail) != slot->rx_head || events & LEAT_EV_RDHUP)
		events |= LEAT_EV_IN;
	if (leat_cq_recv_urgent(cq, handle, &urgent) != 0)
		events &= ~LEAT_EV_PRI;
	used = load_relaxed(&slot->tx_tail) - load_acquire(&slot->tx_head);
	limit = load_relaxed(&slot->tx_limit_bytes);
	if (used + load_relaxed(&slot->tx_mark_bytes) <= limit)
		events |= LEAT_EV_OUT;
	return (int)events;
}

int leat_cq_error(struct leat_cq *cq, struct leat_handle handle)
{
	struct leat_slot *slot = session_slot(cq->session, handle);

	return slot == NULL ? -EBADF : load_relaxed(&slot->error);
}
