/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A session: one application (a process and the children it forks), its
 * region, and each worker's share of it, the arena.  The control thread makes
 * and unmaps sessions; between those, an arena belongs to its worker.
 */
#ifndef LEAT_SHM_SESSION_H
#define LEAT_SHM_SESSION_H

#include <leat/abi.h>
#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct worker;
struct sock;
TAILQ_HEAD(sock_queue, sock);

#define CHUNK_SHIFT_MAX   15 /* a chunk is one mbuf segment, whose length has 16 bits */
#define QUEUE_ENTRIES_MIN 4

struct session_config {
	uint16_t workers;
	uint16_t contexts;
	uint32_t slots_per_worker;
	uint32_t chunks_per_worker;
	uint8_t chunk_shift;
	uint32_t queue_entries; /* power of two */
	uint32_t grant_entries; /* power of two */
	uint32_t sndbuf_bytes;
	bool low_ports; /* may bind ports below 1024 */
	uint32_t uid; /* SO_REUSEPORT is shared among equal ones only */
	uint32_t id;
};

#define SESSION_CONFIG_DEFAULT                                                       \
	{                                                                            \
		.workers = 1, .contexts = 16, .slots_per_worker = 16384,             \
		.chunks_per_worker = 8192, .chunk_shift = 14, .queue_entries = 1024, \
		.grant_entries = 64, .sndbuf_bytes = 1u << 20, .low_ports = true,    \
	}

enum chunk_state { CHUNK_FREE, CHUNK_GRANTED, CHUNK_TX, CHUNK_RX, CHUNK_RETIRED };

/* The daemon's knowledge of one chunk.  shinfo's reference count is one for its owner plus one
 * for each mbuf that points into it; it lives here, never in the region. */
struct chunk {
	struct rte_mbuf_ext_shared_info shinfo;
	struct arena *arena;
	struct chunk *returned_next; /* on worker.returned */
	uint32_t next; /* in its sock's ring, session-wide number */
	uint8_t state; /* enum chunk_state */
	uint8_t context; /* CHUNK_GRANTED: whom to */
};

/* The daemon's half of a channel. */
struct channel {
	struct leat_channel *shared;
	struct leat_sqe *sq;
	struct leat_cqe *cq;
	uint32_t *grants;
	struct leat_context *context_shared;
	struct arena *arena;
	uint32_t queue_entries; /* of sq, and of cq */
	uint32_t grant_entries;
	uint32_t sq_head;
	uint32_t cq_tail;
	uint32_t cq_published; /* cq_tail when the context was last looked at for a wake-up */
	uint32_t cq_owed; /* entries kept for the results of submissions already taken */
	uint32_t grant_tail;
	uint32_t woken_seq;
	uint32_t idle_polls;
	uint16_t context; /* index in the session */
	uint16_t process;
	bool open;
	bool active; /* on worker.active */
	bool armed; /* its shared doorbell word is set */
	bool to_publish; /* on worker.raised */
	bool starved; /* asked for chunks there were not */
	int wake_fd; /* the daemon's end of the wake-up socket; -1: none */
	struct sock_queue raised;
	TAILQ_ENTRY(channel) active_link; /* on worker.active or worker.silent */
	TAILQ_ENTRY(channel) raised_link;
};

struct slot {
	struct sock *sk;
	uint32_t generation;
	uint32_t next_free;
};

/* One worker's share of a session. */
struct arena {
	struct session *session;
	struct worker *worker;
	uint16_t worker_id;
	bool condemned;
	bool closing; /* waits for mbufs that still refer to its chunks */
	uint32_t first_chunk; /* session-wide number of chunks[0] */
	uint32_t first_slot;
	uint32_t chunk_count;
	uint32_t slot_count;
	uint32_t free_chunk_count;
	uint32_t free_slot; /* head of the list of free slots; UINT32_MAX: none */
	uint32_t retired_count; /* chunks only mbufs still refer to */
	uint32_t ring_users; /* ring pairs that may use chunks */
	uint32_t offers; /* numbers offer words */
	uint32_t chunk_bytes;
	uint32_t chunk_mask;
	uint32_t chunk_stride; /* from one to the next */
	uint8_t chunk_shift;
	uint8_t *chunk_memory; /* of chunk 0 of the session */
	uint32_t *rx_link;
	uint32_t *tx_link;
	struct leat_slot *shared_slots; /* of slot 0 of the session, ... */
	struct leat_urgent *rx_urgent; /* ... as these */
	uint64_t *tx_urgent;
	struct chunk *chunks; /* [chunk_count] */
	uint32_t *free_chunks; /* a stack */
	struct slot *slots; /* [slot_count] */
	struct channel *channels; /* [contexts] */
	LIST_ENTRY(arena) link;
};

struct session {
	struct session_config config;
	uint8_t *base; /* the region, mapped */
	uint64_t size_bytes;
	struct leat_region layout; /* private copy of the header */
	struct arena *arenas; /* [workers] */
};

/* Bytes a region with this configuration has, whole huge pages. */
uint64_t session_region_bytes(const struct session_config *config);

/* Lays a zeroed region of that size out at base and makes the private half; NULL: no memory, or
 * a configuration out of bounds. */
struct session *session_create(const struct session_config *config, void *base);
void session_free(struct session *s);

/* ---- On the worker's thread ---- */

/* The worker begins to serve its arena. */
void arena_attach(struct worker *w, struct arena *a);
/* Opens context's channel for process; wake_fd stays the caller's; -1: it never sleeps. */
void channel_open(struct worker *w, struct arena *a, uint16_t context, uint16_t process,
		  int wake_fd);
/* Before sleeping: turns every active channel over to its doorbell.  False: one has work.
 * blocked: one has work that waits for room in its CQ, which no bell tells. */
bool channels_arm(struct worker *w, bool *blocked);
/* A bell rang: polls every channel of the arena again. */
void arena_bell(struct worker *w, struct arena *a);

/* A value from shared memory cannot be right: the session is over. */
void arena_condemn(struct worker *w, struct arena *a, const char *reason);

/* ---- chunks ---- */

/* LEAT_NO_CHUNK: none left (counted). Session-wide number. */
uint32_t chunk_alloc(struct worker *w, struct arena *a, enum chunk_state state);
/* The owner lets go; free at once or when the last mbuf does. */
void chunk_put(struct worker *w, struct arena *a, uint32_t chunk);
/* Takes back what other threads freed; how many. */
unsigned chunks_take_returned(struct worker *w);
/* A closing arena with nothing left in use is reported to the listener. */
void arena_check_drained(struct worker *w, struct arena *a);

/* ---- a channel's queues ---- */

/* Copies the next submissions out, up to limit; how many.  Condemns on an impossible sq_tail. */
unsigned channel_take(struct worker *w, struct channel *ch, struct leat_sqe *sqe, unsigned limit);
/* Free entries of the CQ that are not owed to a submission. */
uint32_t channel_cq_room(struct worker *w, struct channel *ch);
/* The next completion, all zero, for the caller, who checked that there is room, to fill.  Published
 * by channels_publish. */
struct leat_cqe *channel_complete(struct worker *w, struct channel *ch);
/* Tops the grant ring up. */
void channel_grant(struct worker *w, struct channel *ch);
/* Polls it every iteration again. */
void channel_activate(struct worker *w, struct channel *ch);
/* Leaves it to its (armed) doorbell. */
void channel_silence(struct worker *w, struct channel *ch);
/* Takes it off the worker's lists. */
void channel_unlist(struct worker *w, struct channel *ch);
/* Looks at it in channels_publish. */
void channel_want_publish(struct worker *w, struct channel *ch);
/* Turns it over to its doorbell; false (and not turned over): a submission came meanwhile. */
bool channel_arm(struct worker *w, struct channel *ch);

static inline bool channel_has_submissions(const struct channel *ch)
{
	return __atomic_load_n(&ch->shared->sq_tail, __ATOMIC_RELAXED) != ch->sq_head;
}

static inline struct chunk *arena_chunk(struct arena *a, uint32_t chunk)
{
	return &a->chunks[chunk - a->first_chunk];
}

static inline uint8_t *arena_chunk_memory(struct arena *a, uint32_t chunk)
{
	return a->chunk_memory + (uint64_t)chunk * a->chunk_stride;
}

#endif
