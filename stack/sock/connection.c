/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Listeners: from an established connection to an application that takes it.
 *
 * A connection waits in the queue until a context with a credit is found.  It
 * is then offered to that context alone; the offer word, compared and swapped
 * by both sides, decides whether the application took it or the worker took
 * it back.
 */
#include "sock/connection.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "core/worker.h"
#include "lib/pool.h"
#include "shm/session.h"

#define LISTENER_REAP_US 1000

static struct sock *ics_sock(struct inet_connection_sock *ics)
{
	return &ics->inet.sk;
}

int listener_open(struct worker *w, struct inet_connection_sock *ics, int backlog)
{
	struct listener *l = ics->listener;

	if (!(ics_sock(ics)->flags & SOCK_LISTENER)) {
		l = pool_get(w->listeners);
		if (l == NULL)
			return -ENOBUFS;
		memset(l, 0, sizeof(*l));
		TAILQ_INIT(&l->queue);
		TAILQ_INIT(&l->offered);
		TAILQ_INIT(&l->credits);
		l->ics = ics;
		ics->listener = l;
		ics_sock(ics)->flags |= SOCK_LISTENER;
	}
	if (backlog < 0 || backlog > SOMAXCONN)
		backlog = SOMAXCONN;
	l->backlog = (uint32_t)backlog;
	return 0;
}

/* ---- offers -------------------------------------------------------------- */

static uint32_t claim_state(const struct sock *sk)
{
	return __atomic_load_n(&sk->ring.shared->claim, __ATOMIC_ACQUIRE);
}

/* Takes an offer back; false: the application was faster (or wrote nonsense, its own loss). */
static bool offer_revoke(struct worker *w, struct listener *l, struct inet_connection_sock *child)
{
	struct sock *sk = ics_sock(child);
	uint32_t expected = sk->offer;

	if (!__atomic_compare_exchange_n(&sk->ring.shared->claim, &expected,
					 (sk->offer & ~LEAT_CLAIM_STATE) | LEAT_CLAIM_REVOKED,
					 false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return false;
	worker_count(w, CNT_offers_revoked);
	TAILQ_REMOVE(&l->offered, child, inet.accept_link);
	TAILQ_INSERT_HEAD(&l->queue, child, inet.accept_link);
	sk->flags &= ~(uint32_t)SOCK_OFFERED;
	sk->holders = 0;
	sock_set_channel(w, sk, NULL);
	/* What the old context was told counts anew for the next one. */
	sk->raised |= LEAT_EV_IN | LEAT_EV_OUT;
	return true;
}

/* The application has it: from now on a connection like any other. */
static void offer_taken(struct listener *l, struct inet_connection_sock *child)
{
	TAILQ_REMOVE(&l->offered, child, inet.accept_link);
	ics_sock(child)->flags &= ~(uint32_t)SOCK_OFFERED;
	child->parent = NULL;
	l->queue_count--;
}

/* Forgets the offers that were taken.  It looks at each, so after a look in vain the next one comes
 * a millisecond later at the earliest. */
static void listener_reap(struct worker *w, struct listener *l)
{
	struct inet_connection_sock *child, *next;
	bool any = false;

	if (l->reaped_us != 0 && w->now_us - l->reaped_us < LISTENER_REAP_US)
		return;
	for (child = TAILQ_FIRST(&l->offered); child != NULL; child = next) {
		next = TAILQ_NEXT(child, inet.accept_link);
		if (claim_state(ics_sock(child)) == ics_sock(child)->offer)
			continue;
		offer_taken(l, child);
		any = true;
	}
	l->reaped_us = any ? 0 : w->now_us;
}

/* The next context that wants a connection and can be told of one. */
static struct accept_credit *listener_next_credit(struct worker *w, struct listener *l)
{
	struct accept_credit *credit;

	TAILQ_FOREACH (credit, &l->credits, link) {
		if (credit->credits > 0 && channel_cq_room(w, credit->channel) > 1)
			return credit;
	}
	return NULL;
}

static void offer_tell(struct worker *w, struct channel *ch, struct inet_connection_sock *child,
		       const struct sock *listener)
{
	const struct sock *sk = ics_sock(child);
	struct leat_cqe *cqe = channel_complete(w, ch);

	cqe->type = LEAT_CQE_ACCEPT;
	cqe->handle = (struct leat_handle){sk->slot, sk->generation};
	cqe->listener = (struct leat_handle){listener->slot, listener->generation};
	cqe->claim = sk->offer;
	cqe->addr = leat_addr_make(sk->family, &child->inet.flow.remote,
				   child->inet.flow.remote_port);
}

static void offer_make(struct worker *w, struct listener *l, struct inet_connection_sock *child,
		       struct accept_credit *credit)
{
	struct sock *sk = ics_sock(child);
	struct sock *parent = ics_sock(l->ics);
	struct channel *ch = credit->channel;

	credit->credits--;
	TAILQ_REMOVE(&l->credits, credit, link);
	TAILQ_INSERT_TAIL(&l->credits, credit, link);
	TAILQ_REMOVE(&l->queue, child, inet.accept_link);
	TAILQ_INSERT_TAIL(&l->offered, child, inet.accept_link);
	/* Numbered per arena: a word read late fits no later offer, whatever slot that has. */
	sk->offer = ++sk->ring.arena->offers << 2 | LEAT_CLAIM_OFFERED;
	sk->flags |= SOCK_OFFERED;
	sk->holders = 1u << ch->process;
	child->offered_ms = w->now_ms;
	child->offered_to = ch->context;
	__atomic_store_n(&sk->ring.shared->claim, sk->offer, __ATOMIC_RELEASE);
	sock_set_channel(w, sk, ch);
	worker_count(w, CNT_offers);
	offer_tell(w, ch, child, parent);
}

/* Takes back offers that were not claimed in time, while somebody else wants them. */
static void listener_fire(void *context, struct timer *timer)
{
	struct worker *w = context;
	struct listener *l = container_of(timer, struct listener, timer);
	struct inet_connection_sock *child, *next;

	listener_reap(w, l);
	for (child = TAILQ_FIRST(&l->offered); child != NULL; child = next) {
		next = TAILQ_NEXT(child, inet.accept_link);
		if (w->now_ms - child->offered_ms < OFFER_TIMEOUT_MS ||
		    listener_next_credit(w, l) == NULL)
			break;
		if (!offer_revoke(w, l, child))
			offer_taken(l, child);
	}
	listener_offer(w, l);
}

void listener_offer(struct worker *w, struct listener *l)
{
	struct inet_connection_sock *child;
	struct accept_credit *credit;

	while ((child = TAILQ_FIRST(&l->queue)) != NULL &&
	       (credit = listener_next_credit(w, l)) != NULL)
		offer_make(w, l, child, credit);
	if (l->queue_count > 0 && !l->timer.armed)
		wheel_arm(&w->wheel, &l->timer, w->now_ms + OFFER_TIMEOUT_MS, listener_fire);
}

/* ---- queue --------------------------------------------------------------- */

bool listener_has_room(struct worker *w, const struct inet_connection_sock *listener)
{
	struct listener *l = listener->listener;

	if (l->queue_count > l->backlog)
		listener_reap(w, l);
	return l->queue_count <= l->backlog;
}

int listener_add(struct worker *w, struct inet_connection_sock *listener,
		 struct inet_connection_sock *child)
{
	struct listener *l = listener->listener;
	struct arena *a = ics_sock(listener)->ring.arena;

	if (ics_sock(listener)->ring.shared == NULL ||
	    sock_attach(w, ics_sock(child), a, NULL) != 0)
		return -ENOBUFS;
	child->parent = listener;
	l->queue_count++;
	TAILQ_INSERT_TAIL(&l->queue, child, inet.accept_link);
	listener_offer(w, l);
	return 0;
}

void listener_forget(struct inet_connection_sock *child)
{
	if (ics_sock(child)->flags & SOCK_OFFERED)
		offer_taken(child->parent->listener, child);
}

void listener_remove(struct worker *w, struct inet_connection_sock *child)
{
	struct listener *l;

	if (child->parent == NULL)
		return;
	l = child->parent->listener;
	if (ics_sock(child)->flags & SOCK_OFFERED && !offer_revoke(w, l, child)) {
		offer_taken(l, child);
		return;
	}
	TAILQ_REMOVE(&l->queue, child, inet.accept_link);
	child->parent = NULL;
	l->queue_count--;
	sock_detach(w, ics_sock(child));
}

void listener_close(struct worker *w, struct inet_connection_sock *listener)
{
	struct listener *l = listener->listener;
	struct inet_connection_sock *child;
	struct accept_credit *credit;

	while ((child = TAILQ_FIRST(&l->offered)) != NULL) {
		if (!offer_revoke(w, l, child))
			offer_taken(l, child);
	}
	while ((child = TAILQ_FIRST(&l->queue)) != NULL) {
		listener_remove(w, child);
		ics_sock(child)->proto->close(w, ics_sock(child), true);
	}
	while ((credit = TAILQ_FIRST(&l->credits)) != NULL) {
		TAILQ_REMOVE(&l->credits, credit, link);
		pool_put(w->credits, credit);
	}
	wheel_cancel(&w->wheel, &l->timer);
	pool_put(w->listeners, l);
	listener->listener = NULL;
	ics_sock(listener)->flags &= ~(uint32_t)SOCK_LISTENER;
}

/* ---- credits ------------------------------------------------------------- */

static struct accept_credit *listener_find_credit(struct listener *l, const struct channel *ch)
{
	struct accept_credit *credit;

	TAILQ_FOREACH (credit, &l->credits, link) {
		if (credit->channel == ch)
			return credit;
	}
	return NULL;
}

int listener_credit(struct worker *w, struct inet_connection_sock *listener, struct channel *ch,
		    uint32_t credits)
{
	struct listener *l = listener->listener;
	struct accept_credit *credit = listener_find_credit(l, ch);

	if (credit == NULL) {
		credit = pool_get(w->credits);
		if (credit == NULL)
			return -ENOBUFS;
		credit->channel = ch;
		credit->credits = 0;
		TAILQ_INSERT_TAIL(&l->credits, credit, link);
	}
	credit->credits = RTE_MIN(credit->credits + credits, (uint32_t)SOMAXCONN);
	listener_reap(w, l);
	listener_offer(w, l);
	return 0;
}

void listener_uncredit(struct worker *w, struct inet_connection_sock *listener, struct channel *ch)
{
	struct listener *l = listener->listener;
	struct accept_credit *credit = listener_find_credit(l, ch);
	struct inet_connection_sock *child, *next;

	if (credit != NULL) {
		TAILQ_REMOVE(&l->credits, credit, link);
		pool_put(w->credits, credit);
	}
	for (child = TAILQ_FIRST(&l->offered); child != NULL; child = next) {
		next = TAILQ_NEXT(child, inet.accept_link);
		if (child->offered_to == ch->context && !offer_revoke(w, l, child))
			offer_taken(l, child);
	}
	listener_offer(w, l);
}

void listener_settle(struct worker *w, struct inet_connection_sock *listener)
{
	listener->listener->reaped_us = 0;
	listener_reap(w, listener->listener);
}
