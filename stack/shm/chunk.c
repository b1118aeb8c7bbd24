/* SPDX-License-Identifier: BSD-3-Clause */
/* Chunks of a region: who has which, and when one may be used again. */
#include "core/worker.h"
#include "shm/session.h"

static void chunk_free(struct arena *a, struct chunk *c)
{
	leat_assert(c->state == CHUNK_RETIRED);
	c->state = CHUNK_FREE;
	a->retired_count--;
	a->free_chunks[a->free_chunk_count++] = a->first_chunk + (uint32_t)(c - a->chunks);
}

/* The last mbuf that pointed into a retired chunk was freed, on whichever thread. */
static void chunk_unreferenced(void *buffer, void *opaque)
{
	struct chunk *c = opaque;
	struct worker *w = c->arena->worker;

	(void)buffer;
	if (worker_current() == w) {
		chunk_free(c->arena, c);
		arena_check_drained(w, c->arena);
		return;
	}
	/* A stack that others push to and its owner empties as a whole. */
	c->returned_next = __atomic_load_n(&w->returned, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&w->returned, &c->returned_next, c, true,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
}

unsigned chunks_take_returned(struct worker *w)
{
	unsigned count = 0;
	struct chunk *c;

	if (__atomic_load_n(&w->returned, __ATOMIC_RELAXED) == NULL)
		return 0;
	c = __atomic_exchange_n(&w->returned, NULL, __ATOMIC_ACQUIRE);
	while (c != NULL) {
		struct chunk *next = c->returned_next;
		struct arena *a = c->arena;

		chunk_free(a, c);
		arena_check_drained(w, a); /* may end the arena, and c with it */
		c = next;
		count++;
	}
	return count;
}

uint32_t chunk_alloc(struct worker *w, struct arena *a, enum chunk_state state)
{
	uint32_t number;
	struct chunk *c;

	if (a->free_chunk_count == 0) {
		worker_count(w, CNT_chunks_exhausted);
		return LEAT_NO_CHUNK;
	}
	number = a->free_chunks[--a->free_chunk_count];
	c = arena_chunk(a, number);
	leat_assert(c->state == CHUNK_FREE);
	c->state = (uint8_t)state;
	c->next = LEAT_NO_CHUNK;
	c->arena = a;
	c->shinfo.free_cb = chunk_unreferenced;
	c->shinfo.fcb_opaque = c;
	rte_mbuf_ext_refcnt_set(&c->shinfo, 1);
	return number;
}

void chunk_put(struct worker *w, struct arena *a, uint32_t chunk)
{
	struct chunk *c = arena_chunk(a, chunk);

	(void)w;
	leat_assert(c->state != CHUNK_FREE && c->state != CHUNK_RETIRED);
	c->state = CHUNK_RETIRED;
	a->retired_count++;
	if (rte_mbuf_ext_refcnt_update(&c->shinfo, -1) == 0)
		chunk_free(a, c);
}
