/* SPDX-License-Identifier: BSD-3-Clause */
/* All of this is rare, so each function walks the arena's slots. */
#include "sock/holders.h"

#include <sys/socket.h>

#include "core/worker.h"
#include "shm/ring.h"
#include "shm/session.h"
#include "sock/connection.h"

/* Any open channel of the process but not (may be NULL); NULL: none. */
static struct channel *arena_channel_of(struct arena *a, uint16_t process,
					const struct channel * not )
{
	for (uint16_t c = 0; c < a->session->layout.contexts; c++) {
		struct channel *ch = &a->channels[c];

		if (ch != not &&ch->open && ch->process == process)
			return ch;
	}
	return NULL;
}

static struct channel *arena_channel_of_holders(struct arena *a, uint32_t holders,
						const struct channel * not )
{
	for (uint16_t p = 0; p < LEAT_MAX_PROCESSES; p++) {
		struct channel *ch = holders >> p & 1 ? arena_channel_of(a, p, not ) : NULL;

		if (ch != NULL)
			return ch;
	}
	return NULL;
}

/* Chunks granted to a context that is gone are free again. */
static void channel_ungrant(struct worker *w, struct channel *ch)
{
	struct arena *a = ch->arena;

	for (uint32_t i = 0; i < a->chunk_count; i++) {
		if (a->chunks[i].state == CHUNK_GRANTED && a->chunks[i].context == ch->context)
			chunk_put(w, a, a->first_chunk + i);
	}
	ch->grant_tail = 0;
}

void channel_close(struct worker *w, struct arena *a, uint16_t context)
{
	struct channel *ch = &a->channels[context];

	if (!ch->open)
		return;
	ch->open = false;
	for (uint32_t i = 0; i < a->slot_count; i++) {
		struct sock *sk = a->slots[i].sk;

		if (sk == NULL)
			continue;
		if (sk->flags & SOCK_LISTENER)
			listener_uncredit(w, (struct inet_connection_sock *)sk, ch);
		/* Chunks of ch that are in use are not granted any more. */
		(void)tx_ring_sync(w, &sk->ring);
		if (sk->channel == ch) {
			sock_set_channel(w, sk, arena_channel_of_holders(a, sk->holders, ch));
			/* Whatever the old one was told counts anew for the new one. */
			sock_raise(w, sk, LEAT_EV_IN | LEAT_EV_OUT);
		}
	}
	channel_ungrant(w, ch);
	if (ch->active)
		LIST_REMOVE(ch, active_link);
	if (ch->to_publish)
		TAILQ_REMOVE(&w->raised, ch, raised_link);
	ch->active = false;
	ch->to_publish = false;
	ch->wake_fd = -1;
}

void arena_fork(struct worker *w, struct arena *a, uint16_t parent, uint16_t child)
{
	(void)w;
	for (uint32_t i = 0; i < a->slot_count; i++) {
		struct sock *sk = a->slots[i].sk;

		if (sk != NULL && sk->holders >> parent & 1)
			sk->holders |= 1u << child;
	}
}

/* Offers to a process that is gone go back to their listener, unless it had claimed them. */
static void arena_withdraw_offers(struct worker *w, struct arena *a, uint16_t process)
{
	for (uint16_t c = 0; c < a->session->layout.contexts; c++) {
		if (a->channels[c].open && a->channels[c].process == process)
			channel_close(w, a, c);
	}
}

void arena_process_exit(struct worker *w, struct arena *a, uint16_t process)
{
	arena_withdraw_offers(w, a, process);
	for (uint32_t i = 0; i < a->slot_count; i++) {
		struct sock *sk = a->slots[i].sk;

		if (sk != NULL && sk->holders >> process & 1)
			sock_release(w, sk, process);
	}
}

/* One sock of a closing arena. */
static void arena_close_sock(struct worker *w, struct sock *sk, bool abort)
{
	if (!abort) {
		(void)tx_ring_sync(w, &sk->ring);
		(void)rx_ring_sync(w, &sk->ring);
	}
	abort = abort || (sk->proto->type == SOCK_STREAM && rx_ring_used(&sk->ring) > 0);
	sock_detach(w, sk);
	sk->proto->close(w, sk, abort);
}

void arena_close(struct worker *w, struct arena *a, bool abort)
{
	for (uint16_t c = 0; c < a->session->layout.contexts; c++)
		channel_close(w, a, c);
	a->closing = true;
	/* Listeners first: they end the connections nobody claimed. */
	for (uint32_t i = 0; i < a->slot_count; i++) {
		if (a->slots[i].sk != NULL && a->slots[i].sk->flags & SOCK_LISTENER)
			arena_close_sock(w, a->slots[i].sk, abort);
	}
	for (uint32_t i = 0; i < a->slot_count; i++) {
		if (a->slots[i].sk != NULL)
			arena_close_sock(w, a->slots[i].sk, abort);
	}
	arena_check_drained(w, a);
}
