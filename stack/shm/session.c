/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions: how a region is laid out, and the private half of it. */
#include "shm/session.h"

#include <stdlib.h>

#include "core/worker.h"

#define REGION_ALIGN 4096u
#define REGION_UNIT  (2u << 20) /* whole huge pages, so that it can be made of them */

static uint64_t align_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) & ~(to - 1);
}

/* The header of a region with this configuration: every offset and the size. */
static void region_layout(const struct session_config *config, struct leat_region *r)
{
	uint64_t slots = (uint64_t)config->workers * config->slots_per_worker;
	uint64_t chunks = (uint64_t)config->workers * config->chunks_per_worker;
	uint64_t at = sizeof(*r);

	*r = (struct leat_region){
		.magic = LEAT_ABI_MAGIC,
		.version = LEAT_ABI_VERSION,
		.workers = config->workers,
		.contexts = config->contexts,
		.slots_per_worker = config->slots_per_worker,
		.chunks_per_worker = config->chunks_per_worker,
		.chunk_shift = config->chunk_shift,
		.queue_entries = config->queue_entries,
		.grant_entries = config->grant_entries,
		.send_limit_bytes = config->sndbuf_bytes,
	};
	r->context_offset = at = align_up(at, REGION_ALIGN);
	at += (uint64_t)config->contexts * sizeof(struct leat_context);
	r->channel_offset = at = align_up(at, REGION_ALIGN);
	r->channel_stride = align_up(
		leat_channel_size(config->queue_entries, config->grant_entries), REGION_ALIGN);
	at += r->channel_stride * config->contexts * config->workers;
	r->slot_offset = at = align_up(at, REGION_ALIGN);
	at += slots * sizeof(struct leat_slot);
	r->rx_link_offset = at = align_up(at, REGION_ALIGN);
	at += chunks * sizeof(uint32_t);
	r->tx_link_offset = at = align_up(at, REGION_ALIGN);
	at += chunks * sizeof(uint32_t);
	r->rx_urgent_offset = at = align_up(at, REGION_ALIGN);
	at += slots * sizeof(struct leat_urgent);
	r->tx_urgent_offset = at = align_up(at, REGION_ALIGN);
	at += slots * sizeof(uint64_t);
	r->lock_offset = at = align_up(at, REGION_ALIGN);
	at += LEAT_LOCKS_BYTES;
	r->chunk_offset = at = align_up(at, 1u << config->chunk_shift);
	r->chunk_stride = (1u << config->chunk_shift) + LEAT_CHUNK_APART;
	at += chunks * r->chunk_stride;
	r->size_bytes = align_up(at, REGION_UNIT);
}

uint64_t session_region_bytes(const struct session_config *config)
{
	struct leat_region r;

	region_layout(config, &r);
	return r.size_bytes;
}

static void channel_init(struct channel *ch, struct arena *a, uint16_t context)
{
	const struct session *s = a->session;
	const struct leat_region *r = &s->layout;
	uint64_t index = (uint64_t)context * r->workers + a->worker_id;

	ch->arena = a;
	ch->context = context;
	ch->wake_fd = -1;
	ch->shared = (void *)(s->base + r->channel_offset + index * r->channel_stride);
	ch->sq = leat_channel_sq(ch->shared);
	ch->queue_entries = r->queue_entries;
	ch->grant_entries = r->grant_entries;
	ch->cq = leat_channel_cq(ch->shared, r->queue_entries);
	ch->grants = leat_channel_grants(ch->shared, r->queue_entries);
	ch->context_shared =
		(void *)(s->base + r->context_offset + context * sizeof(struct leat_context));
	TAILQ_INIT(&ch->raised);
}

/* Everything starts free; the first chunks and slots are given out first. */
static int arena_init(struct arena *a, struct session *s, uint16_t worker_id)
{
	const struct leat_region *r = &s->layout;

	a->session = s;
	a->worker_id = worker_id;
	a->chunk_count = r->chunks_per_worker;
	a->slot_count = r->slots_per_worker;
	a->first_chunk = worker_id * r->chunks_per_worker;
	a->first_slot = worker_id * r->slots_per_worker;
	a->chunk_shift = (uint8_t)r->chunk_shift;
	a->chunk_bytes = 1u << r->chunk_shift;
	a->chunk_mask = a->chunk_bytes - 1;
	a->chunk_stride = (uint32_t)r->chunk_stride;
	a->chunk_memory = s->base + r->chunk_offset;
	a->rx_link = (void *)(s->base + r->rx_link_offset);
	a->tx_link = (void *)(s->base + r->tx_link_offset);
	a->rx_urgent = (void *)(s->base + r->rx_urgent_offset);
	a->tx_urgent = (void *)(s->base + r->tx_urgent_offset);
	a->shared_slots = (void *)(s->base + r->slot_offset);
	a->chunks = calloc(a->chunk_count, sizeof(a->chunks[0]));
	a->free_chunks = calloc(a->chunk_count, sizeof(a->free_chunks[0]));
	a->slots = calloc(a->slot_count, sizeof(a->slots[0]));
	a->channels = calloc(r->contexts, sizeof(a->channels[0]));
	if (a->chunks == NULL || a->free_chunks == NULL || a->slots == NULL || a->channels == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < a->chunk_count; i++)
		a->free_chunks[i] = a->first_chunk + a->chunk_count - 1 - i;
	a->free_chunk_count = a->chunk_count;
	for (uint32_t i = 0; i < a->slot_count; i++)
		a->slots[i].next_free = i + 1 < a->slot_count ? i + 1 : UINT32_MAX;
	for (uint16_t c = 0; c < r->contexts; c++)
		channel_init(&a->channels[c], a, c);
	return 0;
}

struct session *session_create(const struct session_config *config, void *base)
{
	struct session *s;

	if (config->chunk_shift > CHUNK_SHIFT_MAX || config->queue_entries < QUEUE_ENTRIES_MIN ||
	    config->contexts > LEAT_MAX_CONTEXTS || config->workers > LEAT_MAX_WORKERS)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->config = *config;
	s->base = base;
	region_layout(config, &s->layout);
	s->size_bytes = s->layout.size_bytes;
	*(struct leat_region *)base = s->layout;
	s->arenas = calloc(config->workers, sizeof(s->arenas[0]));
	if (s->arenas == NULL) {
		session_free(s);
		return NULL;
	}
	for (uint16_t i = 0; i < config->workers; i++) {
		if (arena_init(&s->arenas[i], s, i) != 0) {
			session_free(s);
			return NULL;
		}
	}
	return s;
}

void session_free(struct session *s)
{
	if (s == NULL)
		return;
	for (uint16_t i = 0; s->arenas != NULL && i < s->config.workers; i++) {
		free(s->arenas[i].chunks);
		free(s->arenas[i].free_chunks);
		free(s->arenas[i].slots);
		free(s->arenas[i].channels);
	}
	free(s->arenas);
	free(s);
}

void arena_attach(struct worker *w, struct arena *a)
{
	a->worker = w;
	LIST_INSERT_HEAD(&w->arenas, a, link);
}

void arena_condemn(struct worker *w, struct arena *a, const char *reason)
{
	if (a->condemned)
		return;
	a->condemned = true;
	worker_count(w, CNT_sessions_condemned);
	if (w->listener != NULL && w->listener->session_condemned != NULL)
		w->listener->session_condemned(w->listener->arg, w, a, reason);
}

void arena_check_drained(struct worker *w, struct arena *a)
{
	if (!a->closing || a->ring_users != 0 || a->retired_count != 0)
		return;
	a->closing = false;
	LIST_REMOVE(a, link);
	if (w->listener != NULL && w->listener->arena_drained != NULL)
		w->listener->arena_drained(w->listener->arg, w, a);
}
