/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A channel's queues, from the worker's side: submissions in, completions and
 * grants out, the doorbell and the wake-up.
 */
#include <rte_atomic.h>
#include <string.h>
#include <sys/socket.h>

#include "core/worker.h"
#include "shm/session.h"

unsigned channel_take(struct worker *w, struct channel *ch, struct leat_sqe *sqe, unsigned limit)
{
	/* acquire: pairs with the application's release of sq_tail after it filled the entry */
	uint32_t tail = __atomic_load_n(&ch->shared->sq_tail, __ATOMIC_ACQUIRE);
	uint32_t waiting = tail - ch->sq_head;
	unsigned count = RTE_MIN(waiting, limit);

	if (waiting > ch->queue_entries) {
		arena_condemn(w, ch->arena, "sq_tail beyond the submission queue");
		return 0;
	}
	if (count == 0)
		return 0;
	for (unsigned i = 0; i < count; i++)
		sqe[i] = ch->sq[ch->sq_head++ & (ch->queue_entries - 1)];
	/* release: the copies above are done before the application reuses the entries */
	__atomic_store_n(&ch->shared->sq_head, ch->sq_head, __ATOMIC_RELEASE);
	return count;
}

uint32_t channel_cq_room(struct worker *w, struct channel *ch)
{
	/* acquire: pairs with the application's release after it read the entry */
	uint32_t head = __atomic_load_n(&ch->shared->cq_head, __ATOMIC_ACQUIRE);
	uint32_t used = ch->cq_tail - head;

	if (used > ch->queue_entries) {
		arena_condemn(w, ch->arena, "cq_head beyond the completion queue");
		return 0;
	}
	return ch->queue_entries - used - RTE_MIN(ch->cq_owed, ch->queue_entries - used);
}

struct leat_cqe *channel_complete(struct worker *w, struct channel *ch)
{
	struct leat_cqe *cqe = &ch->cq[ch->cq_tail++ & (ch->queue_entries - 1)];

	memset(cqe, 0, sizeof(*cqe)); /* all of its unions: an application reads it */
	worker_count(w, CNT_completions);
	channel_want_publish(w, ch);
	return cqe;
}

void channel_want_publish(struct worker *w, struct channel *ch)
{
	if (ch->to_publish || !ch->open)
		return;
	ch->to_publish = true;
	TAILQ_INSERT_TAIL(&w->raised, ch, raised_link);
}

/* Fills the grant ring up; held: how many are in it.  How many are in it now. */
static uint32_t channel_refill(struct worker *w, struct channel *ch, uint32_t held)
{
	uint32_t entries = ch->grant_entries;

	while (held < entries && ch->arena->free_chunk_count > 0) {
		uint32_t chunk = chunk_alloc(w, ch->arena, CHUNK_GRANTED);

		arena_chunk(ch->arena, chunk)->context = (uint8_t)ch->context;
		ch->grants[ch->grant_tail & (entries - 1)] = chunk;
		ch->grant_tail++;
		held++;
	}
	__atomic_store_n(&ch->shared->grant_tail, ch->grant_tail, __ATOMIC_RELEASE);
	return held;
}

void channel_grant(struct worker *w, struct channel *ch)
{
	uint32_t entries = ch->grant_entries;
	uint32_t head = __atomic_load_n(&ch->shared->grant_head, __ATOMIC_ACQUIRE);
	uint32_t held = ch->grant_tail - head;

	if (held > entries) {
		arena_condemn(w, ch->arena, "grant_head beyond the grant ring");
		return;
	}
	if (held <= entries / 2)
		held = channel_refill(w, ch, held);
	/* Also when it had been refilled before the application's wish arrived. */
	if (ch->starved && held > 0 && channel_cq_room(w, ch) > 0) {
		ch->starved = false;
		channel_complete(w, ch)->type = LEAT_CQE_CHUNKS;
	}
}

void channel_open(struct worker *w, struct arena *a, uint16_t context, uint16_t process,
		  int wake_fd)
{
	struct channel *ch = &a->channels[context];

	leat_assert(!ch->open);
	ch->open = true;
	ch->process = process;
	ch->wake_fd = wake_fd;
	ch->woken_seq = __atomic_load_n(&ch->context_shared->sleep_seq, __ATOMIC_RELAXED) & ~1u;
	ch->idle_polls = 0;
	ch->starved = false;
	/* A context index is used again: whatever the last one left in the queues is void. */
	ch->sq_head = __atomic_load_n(&ch->shared->sq_tail, __ATOMIC_RELAXED);
	ch->cq_tail = __atomic_load_n(&ch->shared->cq_head, __ATOMIC_RELAXED);
	ch->cq_published = ch->cq_tail;
	ch->grant_tail = __atomic_load_n(&ch->shared->grant_head, __ATOMIC_RELAXED);
	__atomic_store_n(&ch->shared->sq_head, ch->sq_head, __ATOMIC_RELEASE);
	__atomic_store_n(&ch->shared->cq_tail, ch->cq_tail, __ATOMIC_RELEASE);
	ch->armed = false;
	__atomic_store_n(&ch->shared->doorbell, 0, __ATOMIC_RELAXED);
	ch->active = true;
	TAILQ_INSERT_TAIL(&w->active, ch, active_link);
	channel_grant(w, ch);
}

void channel_activate(struct worker *w, struct channel *ch)
{
	ch->idle_polls = 0;
	if (ch->armed) {
		ch->armed = false;
		__atomic_store_n(&ch->shared->doorbell, 0, __ATOMIC_RELAXED);
	}
	if (ch->active || !ch->open)
		return;
	ch->active = true;
	TAILQ_REMOVE(&w->silent, ch, active_link);
	TAILQ_INSERT_TAIL(&w->active, ch, active_link);
}

void channel_silence(struct worker *w, struct channel *ch)
{
	leat_assert(ch->active);
	ch->active = false;
	TAILQ_REMOVE(&w->active, ch, active_link);
	TAILQ_INSERT_TAIL(&w->silent, ch, active_link);
}

void channel_unlist(struct worker *w, struct channel *ch)
{
	if (ch->active)
		TAILQ_REMOVE(&w->active, ch, active_link);
	else
		TAILQ_REMOVE(&w->silent, ch, active_link);
	if (ch->to_publish)
		TAILQ_REMOVE(&w->raised, ch, raised_link);
	ch->active = false;
	ch->to_publish = false;
}

bool channel_arm(struct worker *w, struct channel *ch)
{
	(void)w;
	ch->armed = true;
	__atomic_store_n(&ch->shared->doorbell, 1, __ATOMIC_RELAXED);
	/* Pairs with the fence between the application's sq_tail and its look at doorbell. */
	rte_smp_mb();
	if (!channel_has_submissions(ch))
		return true;
	ch->armed = false;
	__atomic_store_n(&ch->shared->doorbell, 0, __ATOMIC_RELAXED);
	return false;
}

bool channels_arm(struct worker *w, bool *blocked)
{
	struct channel *ch;

	*blocked = false;
	TAILQ_FOREACH (ch, &w->active, active_link) {
		if (channel_arm(w, ch))
			continue;
		/* An application that reads no completions keeps nobody awake. */
		if (channel_cq_room(w, ch) > 0)
			return false;
		*blocked = true;
	}
	return true;
}

void arena_bell(struct worker *w, struct arena *a)
{
	worker_count(w, CNT_bells);
	for (uint16_t c = 0; c < a->session->layout.contexts; c++) {
		if (a->channels[c].open)
			channel_activate(w, &a->channels[c]);
	}
}
