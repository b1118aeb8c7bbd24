/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The daemon's end of a sock's receive and send rings: 64-bit offsets over a
 * list of chunks in the session's region.  Which chunk belongs where is known
 * from private tables; what the application wrote is checked here, and a value
 * that cannot be right condemns its session (session_condemn) and returns
 * -EPROTO.
 */
#ifndef LEAT_SHM_RING_H
#define LEAT_SHM_RING_H

#include <leat/abi.h>
#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct worker;
struct arena;

/*
 * The daemon's half of a sock's two byte rings (shm/ring.h).  Offsets are
 * stream offsets, 64-bit and free-running; a chunk's base is the offset of its
 * first byte.
 */
struct ring_pair {
	struct leat_slot *shared; /* NULL: no application holds the sock */
	struct arena *arena; /* whose chunks; outlives shared until all is sent */
	/* receive: the worker produces */
	uint64_t rx_tail; /* bytes handed to the application */
	uint64_t rx_head; /* bytes it consumed, as last believed */
	uint64_t rx_end; /* chunks are linked up to here */
	uint64_t rx_chunk_base;
	uint32_t rx_chunk; /* the chunk where byte rx_tail goes, or ends */
	uint32_t rx_last; /* the chunk that ends at rx_end */
	uint32_t
		rx_placed; /* low 32 bits; no byte was placed at or beyond this: > rx_tail when some
	                       wait */
	bool holding; /* on worker.holding: it has (or had) chunks, or what proto->rest gives back */
	bool active; /* bytes moved since the last look for idle rings */
	uint16_t looked_ms; /* when it was put at the end of worker.holding, low 16 bits */
	/* send: the worker consumes */
	uint64_t tx_tail; /* bytes the application wrote, as last believed */
	uint64_t tx_head; /* bytes done with */
	uint64_t tx_end; /* chunks are known up to here */
	uint64_t tx_cursor_base;
	uint64_t tx_first_base;
	uint32_t tx_cursor; /* a chunk recently looked up */
	uint32_t tx_first; /* oldest chunk not freed; LEAT_NO_CHUNK: none at all */
	uint32_t tx_last; /* the chunk that ends at tx_end */
	/* receive: what becomes free */
	uint32_t rx_first; /* oldest chunk not freed; LEAT_NO_CHUNK: none at all */
	uint64_t rx_first_base;
	TAILQ_ENTRY(ring_pair) holding_link;
};
_Static_assert(offsetof(struct ring_pair, tx_tail) == LEAT_CACHE_LINE &&
		       offsetof(struct ring_pair, holding_link) == 2 * LEAT_CACHE_LINE,
	       "a line to receive, a line to send");

TAILQ_HEAD(ring_queue, ring_pair);

/* ---- receive: the worker produces ---- */

/* Reads how much the application consumed; frees chunks behind it.  0 or -EPROTO. */
int rx_ring_sync(struct worker *w, struct ring_pair *r);

/* Did it consume more since? */
static inline bool rx_ring_moved(const struct ring_pair *r)
{
	return r->shared != NULL &&
	       __atomic_load_n(&r->shared->rx_head, __ATOMIC_RELAXED) != r->rx_head;
}

/* Bytes between rx_head (as last synced) and rx_tail. */
static inline uint64_t rx_ring_used(const struct ring_pair *r)
{
	return r->rx_tail - r->rx_head;
}

/* Places length bytes of m, from byte skip of its data on, at stream offset, which is >= rx_tail;
 * links chunks as needed.  Not visible before rx_ring_advance.  0 or -ENOBUFS (session has no
 * chunk left; nothing lost, nothing linked is leaked). */
int rx_ring_write(struct worker *w, struct ring_pair *r, uint64_t offset, const struct rte_mbuf *m,
		  uint32_t skip, uint32_t length);
/* The same from plain memory. */
int rx_ring_write_bytes(struct worker *w, struct ring_pair *r, uint64_t offset, const void *data,
			uint32_t length);

/* The next length bytes are complete: publish with the coming sock_raise. */
void rx_ring_advance(struct ring_pair *r, uint32_t length);

/* Both, of the bytes that come next in the stream. */
int rx_ring_append(struct worker *w, struct ring_pair *r, const struct rte_mbuf *m, uint32_t skip,
		   uint32_t length);

/* The same of a datagram: its record header and its data, m's first record->length_bytes. */
int rx_ring_append_record(struct worker *w, struct ring_pair *r, const struct leat_record *record,
			  const struct rte_mbuf *m);

/* Tells the application to submit LEAT_OP_SYNC once it has consumed up to offset
 * (LEAT_NO_OFFSET: no need).  Full fence inside; afterwards rx_ring_sync sees a consumption that
 * the application may have done without noticing the wish. */
void rx_ring_ask(struct worker *w, struct ring_pair *r, uint64_t offset);

/* Frees every receive chunk if nothing waits in the ring, readable or out of order. */
void rx_ring_release(struct worker *w, struct ring_pair *r);

/* ---- send: the worker consumes ---- */

/* Reads tx_tail, takes over chunks the application linked.  0 or -EPROTO. */
int tx_ring_sync(struct worker *w, struct ring_pair *r);

static inline uint64_t tx_ring_used(const struct ring_pair *r)
{
	return r->tx_tail - r->tx_head;
}

/*
 * Appends the bytes [offset, offset + length) of the send ring to m: as external-buffer segments
 * or, when copy is true or length is below the copy-break, copied into m's tailroom (and further
 * mbufs of the worker's pool).  0 or -ENOBUFS with m unchanged.
 */
int tx_ring_append(struct worker *w, struct ring_pair *r, struct rte_mbuf *m, uint64_t offset,
		   uint32_t length, bool copy);

/* The same, with the sum of the bytes in *sum (net/checksum.h), which begins an even number of bytes
 * behind m's data. */
int tx_ring_append_summed(struct worker *w, struct ring_pair *r, struct rte_mbuf *m,
			  uint64_t offset, uint32_t length, bool copy, uint64_t *sum);

/* Copies bytes out (datagram headers); the range must lie within [tx_head, tx_tail). */
void tx_ring_read(const struct ring_pair *r, uint64_t offset, void *out, uint32_t length);

/* Bytes before offset are done with: chunks behind it are freed as soon as no mbuf refers to
 * them.  Publish with the coming sock_raise(…, 0). */
void tx_ring_done(struct worker *w, struct ring_pair *r, uint64_t offset);
/* Its second half: frees the chunks behind tx_head. */
void tx_ring_free_done(struct worker *w, struct ring_pair *r);

/* LEAT_OP_RELEASE: the application's next write restarts; frees the last chunk if all up to
 * offset is done with. */
void tx_ring_release(struct worker *w, struct ring_pair *r, uint64_t offset);

/* ---- both ---- */

/* An empty pair at offset 0. */
void ring_init(struct ring_pair *r);
/* An application holds the sock: its slot and the arena its chunks come from. */
void ring_attach(struct ring_pair *r, struct arena *a, struct leat_slot *shared);
/* The application is gone: frees the receive chunks; the send chunks stay until all is sent. */
void ring_detach(struct worker *w, struct ring_pair *r);
/* After ring_detach: frees the send chunks too, whatever is in them; mbufs that refer to one keep it retired. */
void ring_free(struct worker *w, struct ring_pair *r);
/* Puts it at the end of worker.holding, if it is not on it: it holds chunks, or its sock holds what
 * proto->rest gives back. */
void ring_hold(struct worker *w, struct ring_pair *r);
bool ring_is_sane(const struct ring_pair *r);

#endif
