/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parts of the small leatd, to each other; tests see fake_daemon.h alone.
 * Whoever calls holds the lock.
 */
#ifndef LEAT_TEST_FAKE_PARTS_H
#define LEAT_TEST_FAKE_PARTS_H

#include "fake_daemon.h"

/* ---- fake_region.c: shared memory, and which chunk is whose ---- */

/* The library broke a rule; the first one is kept. */
void fake_condemn(struct fake_daemon *d, const char *reason);
/* Makes the region for d->config. */
void fake_lay_out(struct fake_daemon *d);
struct leat_channel *fake_channel(struct fake_daemon *d, unsigned context, unsigned worker);
struct leat_context *fake_context(struct fake_daemon *d, unsigned context);
uint32_t *fake_rx_link(struct fake_daemon *d);
uint32_t *fake_tx_link(struct fake_daemon *d);
uint32_t fake_chunk_bytes(const struct fake_daemon *d);
uint8_t *fake_chunk_memory(struct fake_daemon *d, uint32_t chunk);
/* LEAT_NO_CHUNK: the worker has none left. */
uint32_t fake_chunk_alloc(struct fake_daemon *d, unsigned worker, enum fake_chunk_state state);
void fake_chunk_free(struct fake_daemon *d, uint32_t chunk);
/* Frees the chunks from *first to *last, where each link is followed. */
void fake_chunks_free(struct fake_daemon *d, const uint32_t *link, uint32_t *first, uint32_t *last);

/* ---- fake_sock.c: socks, and what their contexts hear of them ---- */

uint32_t fake_cq_room(struct fake_daemon *d, unsigned context, unsigned worker);
void fake_complete(struct fake_daemon *d, unsigned context, unsigned worker,
		   const struct leat_cqe *cqe);
/* Positions and state first, then the event, if there is room for it; else later. */
void fake_publish(struct fake_daemon *d, struct leat_handle h, uint32_t events);
struct leat_handle fake_sock_open(struct fake_daemon *d, unsigned worker, uint8_t type, int context,
				  uint32_t process);
void fake_sock_close(struct fake_daemon *d, struct leat_handle h);
/* LEAT_EV_* that last. */
void fake_set_state(struct fake_daemon *d, struct leat_handle h, uint32_t state);
/* fake_reset, under the lock. */
void fake_fail(struct fake_daemon *d, struct leat_handle h, int error);

/* ---- fake_ring.c: what the application moved is taken over ---- */

void fake_rx_sync(struct fake_daemon *d, struct leat_handle h);
void fake_tx_sync(struct fake_daemon *d, struct leat_handle h);

/* ---- fake_listener.c ---- */

/* Offers what waits to contexts with credit. */
void fake_offer_queued(struct fake_daemon *d, struct leat_handle listener);
/* fake_revoke, under the lock. */
bool fake_take_back(struct fake_daemon *d, struct leat_handle h);

/* ---- fake_submission.c ---- */

/* One iteration of all workers. */
void fake_poll(struct fake_daemon *d);

#endif
