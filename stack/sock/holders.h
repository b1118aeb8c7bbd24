/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who holds a session's socks: contexts that end, processes that fork, exit
 * or are killed, sessions that close.  On the worker's thread.
 */
#ifndef LEAT_SOCK_HOLDERS_H
#define LEAT_SOCK_HOLDERS_H

#include <stdbool.h>
#include <stdint.h>

struct worker;
struct arena;

/* A context ended: its socks' events go to another context of a holder, or nowhere; what it was
 * offered and did not claim goes to others. */
void channel_close(struct worker *w, struct arena *a, uint16_t context);
/* child holds every sock that parent holds. */
void arena_fork(struct worker *w, struct arena *a, uint16_t parent, uint16_t child);
/* A process died or detached: its contexts end and it lets go of every sock. */
void arena_process_exit(struct worker *w, struct arena *a, uint16_t process);
/* All processes are gone, or the session is condemned: closes (or aborts) every sock.  When the
 * last mbuf that refers to its memory is gone, listener->arena_drained is called, maybe at once. */
void arena_close(struct worker *w, struct arena *a, bool abort);

#endif
