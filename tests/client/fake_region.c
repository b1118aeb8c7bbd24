/* SPDX-License-Identifier: BSD-3-Clause */
/* The region, laid out by leat/abi.h, and its chunks. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "fake_parts.h"

void fake_condemn(struct fake_daemon *d, const char *reason)
{
	if (d->condemned[0] == '\0')
		snprintf(d->condemned, sizeof(d->condemned), "%s", reason);
}

static uint64_t reserve(uint64_t *at, uint64_t bytes)
{
	uint64_t offset = *at;

	*at = (*at + bytes + 4095) & ~UINT64_C(4095);
	return offset;
}

void fake_lay_out(struct fake_daemon *d)
{
	const struct fake_config *c = &d->config;
	struct leat_region r = {
		.magic = LEAT_ABI_MAGIC,
		.version = LEAT_ABI_VERSION,
		.workers = c->workers,
		.contexts = FAKE_CONTEXTS,
		.slots_per_worker = FAKE_SLOTS,
		.chunks_per_worker = c->chunks,
		.chunk_shift = c->chunk_shift,
		.chunk_stride = (1u << c->chunk_shift) + LEAT_CHUNK_APART,
		.queue_entries = c->queue_entries,
		.grant_entries = c->grant_entries,
		.send_limit_bytes = c->tx_limit_bytes,
	};
	uint64_t chunks = (uint64_t)c->workers * c->chunks;
	uint64_t at = 0;

	reserve(&at, sizeof(r));
	r.context_offset = reserve(&at, FAKE_CONTEXTS * sizeof(struct leat_context));
	r.channel_stride = (leat_channel_size(c->queue_entries, c->grant_entries) + 63) & ~63ull;
	r.channel_offset = reserve(&at, FAKE_CONTEXTS * c->workers * r.channel_stride);
	r.slot_offset = reserve(&at, c->workers * FAKE_SLOTS * sizeof(struct leat_slot));
	r.rx_link_offset = reserve(&at, chunks * sizeof(uint32_t));
	r.tx_link_offset = reserve(&at, chunks * sizeof(uint32_t));
	r.rx_urgent_offset = reserve(&at, c->workers * FAKE_SLOTS * sizeof(struct leat_urgent));
	r.tx_urgent_offset = reserve(&at, c->workers * FAKE_SLOTS * sizeof(uint64_t));
	r.lock_offset = reserve(&at, LEAT_LOCKS_BYTES);
	r.chunk_offset = reserve(&at, chunks * r.chunk_stride);
	r.size_bytes = at;
	d->base = mmap(NULL, at, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	d->region = (struct leat_region *)(void *)d->base;
	*d->region = r;
}

struct leat_channel *fake_channel(struct fake_daemon *d, unsigned context, unsigned worker)
{
	return (void *)(d->base + d->region->channel_offset +
			(context * d->config.workers + worker) * d->region->channel_stride);
}

struct leat_context *fake_context(struct fake_daemon *d, unsigned context)
{
	return (struct leat_context *)(void *)(d->base + d->region->context_offset) + context;
}

uint32_t *fake_rx_link(struct fake_daemon *d)
{
	return (void *)(d->base + d->region->rx_link_offset);
}

uint32_t *fake_tx_link(struct fake_daemon *d)
{
	return (void *)(d->base + d->region->tx_link_offset);
}

uint32_t fake_chunk_bytes(const struct fake_daemon *d)
{
	return 1u << d->config.chunk_shift;
}

uint8_t *fake_chunk_memory(struct fake_daemon *d, uint32_t chunk)
{
	return d->base + d->region->chunk_offset + chunk * d->region->chunk_stride;
}

uint32_t fake_chunk_alloc(struct fake_daemon *d, unsigned worker, enum fake_chunk_state state)
{
	for (uint32_t i = 0; i < d->config.chunks; i++) {
		uint32_t chunk = worker * d->config.chunks + i;

		if (d->chunk_state[chunk] != FAKE_FREE)
			continue;
		d->chunk_state[chunk] = (uint8_t)state;
		return chunk;
	}
	return LEAT_NO_CHUNK;
}

void fake_chunk_free(struct fake_daemon *d, uint32_t chunk)
{
	d->chunk_state[chunk] = FAKE_FREE;
	memset(fake_chunk_memory(d, chunk), 0xee, fake_chunk_bytes(d));
}

void fake_chunks_free(struct fake_daemon *d, const uint32_t *link, uint32_t *first, uint32_t *last)
{
	while (*first != LEAT_NO_CHUNK) {
		uint32_t next = *first == *last ? LEAT_NO_CHUNK : link[*first];

		fake_chunk_free(d, *first);
		*first = next;
	}
	*last = LEAT_NO_CHUNK;
}

struct fake_sock *fake_sock(struct fake_daemon *d, struct leat_handle h)
{
	return &d->sock[h.slot];
}

struct leat_slot *fake_slot(struct fake_daemon *d, struct leat_handle h)
{
	return (struct leat_slot *)(void *)(d->base + d->region->slot_offset) + h.slot;
}
