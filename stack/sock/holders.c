/* SPDX-License-Identifier: BSD-3-Clause */
/* All of this is rare, so each function walks the arena's slots. */
#include "sock/holders.h"

#include <rte_atomic.h>
#include <sys/socket.h>

#include "core/worker.h"
#include "shm/ring.h"
#include "shm/session.h"
#include "sock/connection.h"
#include "sock/submission.h"

/* Any open channel of a process in holders; NULL: none. */
static struct channel *arena_channel_of(struct arena *a, uint32_t holders)
{
	for (uint16_t c = 0; c < a->session->layout.contexts; c++) {
		struct channel *ch = &a->channels[c];

		if (ch->open && holders >> ch->process & 1)
			return ch;
	}
	return NULL;
}

static void channel_shut(struct worker *w, struct channel *ch)
{
	ch->open = false;
	channel_drain(w, ch); /* what was asked for before still happens */
	channel_unlist(w, ch);
	ch->starved = false;
	ch->wake_fd = -1;
}

/* Credits and offers of channels that were shut go back to their listeners. */
static void arena_withdraw_offers(struct worker *w, struct arena *a)
{
	for (uint32_t i = 0; i < a->slot_count; i++) {
		struct sock *sk = a->slots[i].sk;

		if (sk == NULL || !(sk->flags & SOCK_LISTENER))
			continue;
		for (uint16_t c = 0; c < a->session->layout.contexts; c++) {
			if (!a->channels[c].open)
				listener_uncredit(w, (struct inet_connection_sock *)sk,
						  &a->channels[c]);
		}
	}
}

/*
 * A thread (or process) may have ended between counting a kick and submitting
 * it: whoever shares the sock would wait for the worker to see it.
 */
static void sock_see_lost_kick(struct worker *w, struct sock *sk)
{
	struct leat_slot *shared = sk->ring.shared;

	__atomic_store_n(&shared->kick_seen, __atomic_load_n(&shared->kick, __ATOMIC_RELAXED),
			 __ATOMIC_RELAXED);
	rte_smp_mb();
	if (tx_ring_sync(w, &sk->ring) == 0 && rx_ring_sync(w, &sk->ring) == 0 && sk->holders != 0)
		sk->proto->sync(w, sk);
}

/* Chunks granted to channels that were shut are free again. */
static void arena_ungrant(struct worker *w, struct arena *a)
{
	for (uint32_t i = 0; i < a->chunk_count; i++) {
		if (a->chunks[i].state == CHUNK_GRANTED && !a->channels[a->chunks[i].context].open)
			chunk_put(w, a, a->first_chunk + i);
	}
}

/* Socks of channels that were shut get another one. */
static void arena_forget_shut(struct worker *w, struct arena *a)
{
	for (uint32_t i = 0; i < a->slot_count; i++) {
		struct sock *sk = a->slots[i].sk;

		if (sk == NULL)
			continue;
		sock_see_lost_kick(w, sk);
		sk = a->slots[i].sk;
		if (sk == NULL || sk->channel == NULL || sk->channel->open)
			continue;
		sock_set_channel(w, sk, arena_channel_of(a, sk->holders));
		/* Whatever the old one was told counts anew for the new one. */
		sock_raise(w, sk, LEAT_EV_IN | LEAT_EV_OUT);
	}
	arena_ungrant(w, a);
}

void channel_close(struct worker *w, struct arena *a, uint16_t context)
{
	if (!a->channels[context].open)
		return;
	channel_shut(w, &a->channels[context]);
	arena_withdraw_offers(w, a);
	arena_forget_shut(w, a);
}

void arena_fork(struct worker *w, struct arena *a, uint16_t parent, uint16_t child)
{
	for (uint32_t i = 0; i < a->slot_count; i++) {
		if (a->slots[i].sk != NULL && a->slots[i].sk->flags & SOCK_LISTENER)
			listener_settle(w, (struct inet_connection_sock *)a->slots[i].sk);
	}
	for (uint32_t i = 0; i < a->slot_count; i++) {
		struct sock *sk = a->slots[i].sk;

		/* What is only offered to the parent is the parent's alone. */
		if (sk != NULL && sk->holders >> parent & 1 && !(sk->flags & SOCK_OFFERED))
			sk->holders |= 1u << child;
	}
}

void arena_process_exit(struct worker *w, struct arena *a, uint16_t process)
{
	for (uint16_t c = 0; c < a->session->layout.contexts; c++) {
		if (a->channels[c].open && a->channels[c].process == process)
			channel_shut(w, &a->channels[c]);
	}
	arena_withdraw_offers(w, a);
	for (uint32_t i = 0; i < a->slot_count; i++) {
		struct sock *sk = a->slots[i].sk;

		if (sk != NULL && sk->holders >> process & 1)
			sock_release(w, sk, process);
	}
	arena_forget_shut(w, a);
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
	for (uint16_t c = 0; c < a->session->layout.contexts; c++) {
		if (a->channels[c].open)
			channel_shut(w, &a->channels[c]);
	}
	/* Listeners first: they end the connections nobody claimed. */
	for (uint32_t i = 0; i < a->slot_count; i++) {
		if (a->slots[i].sk != NULL && a->slots[i].sk->flags & SOCK_LISTENER)
			arena_close_sock(w, a->slots[i].sk, abort);
	}
	for (uint32_t i = 0; i < a->slot_count; i++) {
		if (a->slots[i].sk != NULL)
			arena_close_sock(w, a->slots[i].sk, abort);
	}
	arena_ungrant(w, a);
	a->closing = true; /* not before: it may be gone as soon as its last sock is */
	arena_check_drained(w, a);
}
