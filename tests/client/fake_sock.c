/* SPDX-License-Identifier: BSD-3-Clause */
/* Socks: their beginning and end, and what the application is told of them. */
#include <string.h>
#include <sys/socket.h>

#include "fake_parts.h"
#include "socket.h"

struct leat_handle fake_handle(int fd, unsigned at)
{
	struct leat_handle h;
	struct socket *so;

	if (socket_get_any(fd, &so) != 0)
		return (struct leat_handle){0};
	h = so->socks[at].handle;
	socket_put(so);
	return h;
}

/* ---- Completions -------------------------------------------------------- */

uint32_t fake_cq_room(struct fake_daemon *d, unsigned context, unsigned worker)
{
	uint32_t used = d->context[context].cq_tail[worker] -
			__atomic_load_n(&fake_channel(d, context, worker)->cq_head,
					__ATOMIC_ACQUIRE);

	if (used > d->config.queue_entries)
		fake_condemn(d, "cq_head beyond the completion queue");
	return d->config.queue_entries - used;
}

static void wake(struct fake_daemon *d, unsigned context)
{
	uint32_t seq;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	seq = __atomic_load_n(&fake_context(d, context)->sleep_seq, __ATOMIC_RELAXED);
	if ((seq & 1) == 0 || seq == d->context[context].woken_seq)
		return;
	d->context[context].woken_seq = seq;
	d->wakeups++;
	(void)send(d->wake[context][0], "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void fake_complete(struct fake_daemon *d, unsigned context, unsigned worker,
		   const struct leat_cqe *cqe)
{
	struct leat_channel *ch = fake_channel(d, context, worker);
	uint32_t *tail = &d->context[context].cq_tail[worker];

	leat_channel_cq(ch, d->config.queue_entries)[*tail & (d->config.queue_entries - 1)] = *cqe;
	++*tail;
	__atomic_store_n(&ch->cq_tail, *tail, __ATOMIC_RELEASE);
	wake(d, context);
}

void fake_publish(struct fake_daemon *d, struct leat_handle h, uint32_t events)
{
	struct fake_sock *sk = fake_sock(d, h);
	struct leat_slot *slot = fake_slot(d, h);
	uint64_t wake;

	__atomic_store_n(&slot->tx_head, sk->tx_head, __ATOMIC_RELEASE);
	__atomic_store_n(&slot->rx_tail, sk->rx_tail, __ATOMIC_RELEASE);
	sk->raised |= events;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	wake = __atomic_load_n(&slot->tx_wake, __ATOMIC_RELAXED);
	if (wake != LEAT_NO_OFFSET && (int64_t)(sk->tx_head - wake) >= 0)
		sk->raised |= LEAT_EV_OUT;
	if (sk->raised == 0 || sk->context < 0 ||
	    fake_cq_room(d, (unsigned)sk->context, sk->worker) < 2)
		return;
	fake_complete(
		d, (unsigned)sk->context, sk->worker,
		&(struct leat_cqe){.type = LEAT_CQE_EVENT, .handle = h, .events = sk->raised});
	sk->raised = 0;
}

/* ---- Socks -------------------------------------------------------------- */

struct leat_handle fake_sock_open(struct fake_daemon *d, unsigned worker, uint8_t type, int context,
				  uint32_t process)
{
	uint32_t slot = worker * FAKE_SLOTS;
	struct leat_handle h;
	struct fake_sock *sk;

	while (d->sock[slot].open)
		slot++;
	sk = &d->sock[slot];
	h = (struct leat_handle){slot, sk->generation + 1};
	*sk = (struct fake_sock){
		.open = true,
		.type = type,
		.worker = (uint8_t)worker,
		.generation = h.generation,
		.holders = 1u << process,
		.context = context,
		.rx_first = LEAT_NO_CHUNK,
		.rx_last = LEAT_NO_CHUNK,
		.tx_first = LEAT_NO_CHUNK,
		.tx_last = LEAT_NO_CHUNK,
	};
	*fake_slot(d, h) = (struct leat_slot){
		.tx_restart = LEAT_NO_OFFSET,
		.tx_wake = LEAT_NO_OFFSET,
		.tx_restart_chunk = LEAT_NO_CHUNK,
		.tx_chunk = LEAT_NO_CHUNK,
		.rx_chunk = LEAT_NO_CHUNK,
		.rx_restart = LEAT_NO_OFFSET,
		.rx_wake = LEAT_NO_OFFSET,
		.rx_restart_chunk = LEAT_NO_CHUNK,
		.tx_limit_bytes = d->config.tx_limit_bytes,
		.tx_mark_bytes = d->config.tx_limit_bytes / 3,
		.generation = h.generation,
	};
	return h;
}

void fake_sock_close(struct fake_daemon *d, struct leat_handle h)
{
	struct fake_sock *sk = fake_sock(d, h);

	fake_chunks_free(d, fake_rx_link(d), &sk->rx_first, &sk->rx_last);
	fake_chunks_free(d, fake_tx_link(d), &sk->tx_first, &sk->tx_last);
	sk->open = false;
}

/* ---- What happens to one ------------------------------------------------ */

void fake_set_state(struct fake_daemon *d, struct leat_handle h, uint32_t state)
{
	__atomic_or_fetch(&fake_slot(d, h)->events, state, __ATOMIC_RELEASE);
}

void fake_finish(struct fake_daemon *d, struct leat_handle h)
{
	pthread_mutex_lock(&d->lock);
	fake_set_state(d, h, LEAT_EV_RDHUP);
	fake_publish(d, h, LEAT_EV_IN | LEAT_EV_RDHUP);
	pthread_mutex_unlock(&d->lock);
}

void fake_fail(struct fake_daemon *d, struct leat_handle h, int error)
{
	struct leat_slot *slot = fake_slot(d, h);

	slot->error = error;
	__atomic_store_n(&slot->error_seq, slot->error_seq + 1, __ATOMIC_RELEASE);
	fake_set_state(d, h, LEAT_EV_HUP | LEAT_EV_ERR);
	fake_publish(d, h, LEAT_EV_IN | LEAT_EV_ERR | LEAT_EV_HUP);
}

void fake_reset(struct fake_daemon *d, struct leat_handle h, int error)
{
	pthread_mutex_lock(&d->lock);
	fake_fail(d, h, error);
	pthread_mutex_unlock(&d->lock);
}

void fake_establish(struct fake_daemon *d, struct leat_handle h)
{
	pthread_mutex_lock(&d->lock);
	fake_set_state(d, h, LEAT_EV_CONNECTED);
	fake_publish(d, h, LEAT_EV_OUT | LEAT_EV_CONNECTED);
	pthread_mutex_unlock(&d->lock);
}

void fake_raise(struct fake_daemon *d, struct leat_handle h, uint32_t events)
{
	pthread_mutex_lock(&d->lock);
	fake_publish(d, h, events);
	pthread_mutex_unlock(&d->lock);
}

void fake_tell_idle(struct fake_daemon *d, struct leat_handle h)
{
	struct fake_sock *sk = fake_sock(d, h);

	pthread_mutex_lock(&d->lock);
	fake_complete(d, (unsigned)sk->context, sk->worker,
		      &(struct leat_cqe){.type = LEAT_CQE_IDLE, .handle = h});
	pthread_mutex_unlock(&d->lock);
}
