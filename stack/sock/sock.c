/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every sock does: it is held by an application through a slot, raises
 * events, asks for output, and gives its chunks back when it falls idle.
 */
#include "sock/sock.h"

#include <errno.h>
#include <rte_atomic.h>
#include <string.h>
#include <sys/socket.h>

#include "core/worker.h"
#include "shm/ring.h"
#include "shm/session.h"
#include "sock/connection.h"

void sock_init(struct worker *w, struct sock *sk, const struct proto *proto, uint8_t family)
{
	sk->proto = proto;
	sk->family = family;
	sk->rcvbuf_bytes = w->config.rcvbuf_bytes;
	sk->sndbuf_bytes = w->config.sndbuf_bytes;
	sk->tx_more = LEAT_NO_OFFSET;
	ring_init(&sk->ring);
	LIST_INSERT_HEAD(&w->socks, sk, worker_link);
	w->sock_count++;
}

void sock_fini(struct worker *w, struct sock *sk)
{
	sock_detach(w, sk);
	if (sk->flags & SOCK_ON_OUTPUT) {
		TAILQ_REMOVE(&w->output, sk, output_link);
		w->output_count--;
	}
	sk->flags &= ~(uint32_t)SOCK_ON_OUTPUT;
	if (w->listing == sk)
		w->listing = LIST_NEXT(sk, worker_link);
	LIST_REMOVE(sk, worker_link);
	w->sock_count--;
	ring_free(w, &sk->ring);
}

void sock_list_output(struct worker *w, struct sock *sk)
{
	sk->flags |= SOCK_ON_OUTPUT;
	TAILQ_INSERT_TAIL(&w->output, sk, output_link);
	w->output_count++;
}

/* ---- the application's hold on it --------------------------------------- */

static void sock_publish_limit(struct sock *sk)
{
	uint32_t limit_bytes = sk->sndbuf_bytes, mark_bytes = sk->sndbuf_bytes / 3;

	if (unlikely(sk->flags & SOCK_TX_LIMIT))
		sk->proto->tx_limit(sk, &limit_bytes, &mark_bytes);
	sk->ring.shared->tx_limit_bytes = limit_bytes;
	sk->ring.shared->tx_mark_bytes = RTE_MAX(mark_bytes, 1u);
}

static void slot_init(struct leat_slot *shared, const struct sock *sk, uint32_t generation)
{
	*shared = (struct leat_slot){
		.tx_restart = LEAT_NO_OFFSET,
		.tx_wake = LEAT_NO_OFFSET,
		.tx_restart_chunk = LEAT_NO_CHUNK,
		.tx_chunk = LEAT_NO_CHUNK,
		.rx_chunk = LEAT_NO_CHUNK,
		.rx_restart = LEAT_NO_OFFSET,
		.rx_wake = LEAT_NO_OFFSET,
		.rx_restart_chunk = LEAT_NO_CHUNK,
		.generation = generation,
		.events = sk->state_events,
	};
}

int sock_attach(struct worker *w, struct sock *sk, struct arena *a, struct channel *ch)
{
	uint32_t index = a->free_slot;
	struct slot *slot;

	(void)w;
	if (index == UINT32_MAX || a->condemned || a->closing)
		return -ENFILE;
	slot = &a->slots[index];
	a->free_slot = slot->next_free;
	slot->sk = sk;
	slot->generation++;
	sk->slot = a->first_slot + index;
	sk->generation = slot->generation;
	ring_attach(&sk->ring, a, &a->shared_slots[sk->slot]);
	sk->channel = ch;
	sk->holders = ch != NULL ? 1u << ch->process : 0;
	slot_init(sk->ring.shared, sk, slot->generation);
	sock_publish_limit(sk);
	return 0;
}

static void sock_unraise(struct sock *sk)
{
	if (sk->flags & SOCK_RAISED)
		TAILQ_REMOVE(&sk->channel->raised, sk, raised_link);
	sk->flags &= ~(uint32_t)SOCK_RAISED;
}

void sock_detach(struct worker *w, struct sock *sk)
{
	struct arena *a = sk->ring.arena;
	struct slot *slot;

	if (sk->ring.shared == NULL)
		return;
	slot = &a->slots[sk->slot - a->first_slot];
	sock_unraise(sk);
	sk->ring.shared->events |= LEAT_EV_HUP;
	sk->channel = NULL;
	sk->holders = 0;
	sk->raised = 0;
	slot->sk = NULL;
	slot->next_free = a->free_slot;
	a->free_slot = (uint32_t)(slot - a->slots);
	ring_detach(w, &sk->ring);
}

struct sock *arena_sock(struct arena *a, struct leat_handle handle)
{
	uint32_t index = handle.slot - a->first_slot;
	struct slot *slot;

	if (index >= a->slot_count)
		return NULL;
	slot = &a->slots[index];
	return slot->generation == handle.generation ? slot->sk : NULL;
}

void sock_release(struct worker *w, struct sock *sk, uint16_t process)
{
	bool abort;

	sk->holders &= ~(1u << process);
	if (sk->holders != 0)
		return;
	if (sk->flags & SOCK_OFFERED)
		listener_forget((struct inet_connection_sock *)sk);
	/* What was written before close is sent; what was not read makes it a reset (as in Linux). */
	(void)tx_ring_sync(w, &sk->ring);
	(void)rx_ring_sync(w, &sk->ring);
	abort = sk->proto->type == SOCK_STREAM && rx_ring_used(&sk->ring) > 0;
	sock_detach(w, sk);
	sk->proto->close(w, sk, abort);
}

/* ---- events -------------------------------------------------------------- */

void sock_list_raised(struct worker *w, struct sock *sk)
{
	sk->flags |= SOCK_RAISED;
	TAILQ_INSERT_TAIL(&sk->channel->raised, sk, raised_link);
	channel_want_publish(w, sk->channel);
}

void sock_raise_error(struct worker *w, struct sock *sk, int error)
{
	sk->error = error;
	sk->error_seq++;
	if (sk->ring.shared != NULL) {
		sk->ring.shared->error = error;
		sk->ring.shared->error_seq = sk->error_seq;
	}
	sock_raise(w, sk, LEAT_EV_ERR);
}

void sock_set_channel(struct worker *w, struct sock *sk, struct channel *ch)
{
	sock_unraise(sk);
	sk->channel = ch;
	if (ch != NULL)
		sock_raise(w, sk, 0);
}

/* ---- idle socks ---------------------------------------------------------- */

#define HOLDING_PERIOD_MS 250
#define HOLDING_LOOKS     2048 /* in a millisecond: a few for each of 500,000 socks a second */

/*
 * A sock through which nothing moved for a whole period gives its empty
 * chunks back: the receive side at once, the send side by asking the
 * application, which may be about to write into its last chunk.
 */
static void sock_release_idle(struct worker *w, struct sock *sk)
{
	rx_ring_release(w, &sk->ring);
	if (sk->ring.shared != NULL && sk->ring.tx_first != LEAT_NO_CHUNK &&
	    tx_ring_used(&sk->ring) == 0) {
		sk->flags |= SOCK_TELL_IDLE;
		sock_raise(w, sk, 0);
	}
}

/* Gives back what sk does not need now; does it hold something still? */
static bool sock_rest(struct worker *w, struct sock *sk)
{
	struct ring_pair *r = &sk->ring;
	bool sending;

	if (!r->active)
		sock_release_idle(w, sk);
	r->active = false;
	sending = sk->proto->rest != NULL && sk->proto->rest(w, sk);
	return sending || r->rx_first != LEAT_NO_CHUNK || r->tx_first != LEAT_NO_CHUNK;
}

static uint32_t holding_waited_ms(const struct worker *w, const struct ring_pair *r)
{
	return (uint16_t)(w->now_ms - r->looked_ms);
}

/* Who was looked at longest ago comes first. */
static void holding_fire(void *context, struct timer *timer)
{
	struct worker *w = context;
	struct ring_pair *r;

	(void)timer;
	for (unsigned looks = 0; looks < HOLDING_LOOKS; looks++) {
		r = TAILQ_FIRST(&w->holding);
		if (r == NULL || holding_waited_ms(w, r) < HOLDING_PERIOD_MS)
			break;
		TAILQ_REMOVE(&w->holding, r, holding_link);
		r->holding = false;
		if (sock_rest(w, container_of(r, struct sock, ring)))
			ring_hold(w, r);
	}
	sock_watch_holding(w);
}

void sock_watch_holding(struct worker *w)
{
	const struct ring_pair *r = TAILQ_FIRST(&w->holding);
	uint32_t waited_ms;

	if (r == NULL || w->holding_timer.armed)
		return;
	waited_ms = RTE_MIN(holding_waited_ms(w, r), HOLDING_PERIOD_MS - 1u);
	wheel_arm(&w->wheel, &w->holding_timer, w->now_ms + HOLDING_PERIOD_MS - waited_ms,
		  holding_fire);
}

/* ---- publishing ---------------------------------------------------------- */

/* Positions and state of every sock on the list, before any completion tells of them. */
static void channel_publish_positions(struct channel *ch)
{
	struct sock *sk;

	TAILQ_FOREACH (sk, &ch->raised, raised_link) {
		sock_publish_limit(sk);
		/* release: pairs with the library's acquire; the bytes and links come first */
		__atomic_store_n(&sk->ring.shared->tx_head, sk->ring.tx_head, __ATOMIC_RELEASE);
		__atomic_store_n(&sk->ring.shared->rx_tail, sk->ring.rx_tail, __ATOMIC_RELEASE);
		__atomic_store_n(&sk->ring.shared->events, sk->state_events, __ATOMIC_RELEASE);
	}
}

static void channel_tell(struct worker *w, struct channel *ch, const struct sock *sk, uint8_t type,
			 uint32_t events)
{
	struct leat_cqe *cqe = channel_complete(w, ch);

	cqe->type = type;
	cqe->events = events;
	cqe->handle = (struct leat_handle){sk->slot, sk->generation};
}

/* One completion for each sock that has something to tell; what finds no room stays listed. */
static void channel_publish_events(struct worker *w, struct channel *ch)
{
	uint32_t room = channel_cq_room(w, ch);
	struct sock *sk;

	while ((sk = TAILQ_FIRST(&ch->raised)) != NULL) {
		if (__atomic_load_n(&sk->ring.shared->tx_wake, __ATOMIC_RELAXED) <=
		    sk->ring.tx_head)
			sk->raised |= LEAT_EV_OUT;
		if (room < 2)
			return;
		if (sk->raised != 0) {
			channel_tell(w, ch, sk, LEAT_CQE_EVENT, sk->raised);
			room--;
		}
		if (sk->flags & SOCK_TELL_IDLE) {
			channel_tell(w, ch, sk, LEAT_CQE_IDLE, 0);
			room--;
		}
		sk->raised = 0;
		sk->flags &= ~(uint32_t)SOCK_TELL_IDLE;
		sock_unraise(sk);
	}
}

/* Wakes a context that sleeps, if it has a completion to wake for. */
static void channel_wake(struct worker *w, struct channel *ch)
{
	uint32_t seq = __atomic_load_n(&ch->context_shared->sleep_seq, __ATOMIC_RELAXED);

	if (ch->cq_published == ch->cq_tail)
		return;
	ch->cq_published = ch->cq_tail;
	if ((seq & 1) == 0 || seq == ch->woken_seq || ch->wake_fd < 0)
		return;
	ch->woken_seq = seq;
	worker_count(w, CNT_wakeups);
	/* A full socket buffer means that wake-ups are waiting already. */
	(void)send(ch->wake_fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void channels_publish(struct worker *w)
{
	struct channel *ch, *last, *next;

	if (TAILQ_EMPTY(&w->raised))
		return;
	TAILQ_FOREACH (ch, &w->raised, raised_link)
		channel_publish_positions(ch);
	/* Positions first, then the look at tx_wake: pairs with the fence between the library's
	 * tx_wake and its second look at tx_head. */
	rte_smp_mb();
	TAILQ_FOREACH (ch, &w->raised, raised_link) {
		channel_publish_events(w, ch);
		/* release: pairs with the library's acquire; the entries come first */
		__atomic_store_n(&ch->shared->cq_tail, ch->cq_tail, __ATOMIC_RELEASE);
	}
	/* Completions first, then the look at sleep_seq: pairs with the fence between the
	 * library's sleep_seq and its last look at the queues. */
	rte_smp_mb();
	last = TAILQ_LAST(&w->raised, channel_queue);
	for (ch = TAILQ_FIRST(&w->raised); ch != NULL; ch = next) {
		next = ch == last ? NULL : TAILQ_NEXT(ch, raised_link);
		channel_wake(w, ch);
		if (!TAILQ_EMPTY(&ch->raised))
			continue; /* the queue was full: again in the next iteration */
		ch->to_publish = false;
		TAILQ_REMOVE(&w->raised, ch, raised_link);
	}
}
