/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Locks for the cursors of rings.  A socket of this process alone takes one of
 * a set of private mutexes; one that forked processes share takes one of the
 * robust mutexes in the region.  Both sets are chosen from by slot, so that a
 * sock costs no memory for it; nobody holds two.
 */
#include <errno.h>

#include "socket.h"

#define LOCKS 256

struct lock {
	pthread_mutex_t mutex;
	uint32_t slot; /* whose ring is being moved */
	uint32_t reserved[5];
};
_Static_assert(sizeof(struct lock) * LOCKS <= LEAT_LOCKS_BYTES, "they fit the region");

/* In slot.holder: a process died while it moved this cursor, which is of no use any more. */
#define HOLDER_BROKEN(side) (1u << (30 + (side)))

static pthread_mutex_t private_locks[LOCKS] = {[0 ... LOCKS - 1] = PTHREAD_MUTEX_INITIALIZER};

void ring_locks_reset(void)
{
	for (unsigned i = 0; i < LOCKS; i++)
		pthread_mutex_init(&private_locks[i], NULL);
}

void ring_locks_take_all(void)
{
	for (unsigned i = 0; i < LOCKS; i++)
		pthread_mutex_lock(&private_locks[i]);
}

void ring_locks_release_all(void)
{
	for (unsigned i = 0; i < LOCKS; i++)
		pthread_mutex_unlock(&private_locks[i]);
}

static struct lock *shared_locks(struct session *s)
{
	return (void *)(s->base + s->layout.lock_offset);
}

void ring_locks_init_shared(struct session *s)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	for (unsigned i = 0; i < LOCKS; i++)
		pthread_mutex_init(&shared_locks(s)[i].mutex, &attr);
	pthread_mutexattr_destroy(&attr);
}

static unsigned lock_index(const struct sock *sk, enum ring_side side)
{
	return (sk->handle.slot * 2 + (unsigned)side) % LOCKS;
}

static int ring_lock_shared(struct sock *sk, enum ring_side side, struct ring_lock *lock)
{
	struct session *s = sk->socket->session;
	struct lock *l = &shared_locks(s)[lock_index(sk, side)];

	if (pthread_mutex_lock(&l->mutex) == EOWNERDEAD) {
		__atomic_or_fetch(&s->slots[l->slot % s->slot_count].holder, HOLDER_BROKEN(side),
				  __ATOMIC_RELAXED);
		pthread_mutex_consistent(&l->mutex);
	}
	if (load_relaxed(&sk->shared->holder) & HOLDER_BROKEN(side)) {
		pthread_mutex_unlock(&l->mutex);
		return -EIO;
	}
	l->slot = sk->handle.slot;
	lock->mutex = &l->mutex;
	return 0;
}

int ring_lock(struct sock *sk, enum ring_side side, struct ring_lock *lock)
{
	if (socket_has(sk->socket, SOCKET_SHARED))
		return ring_lock_shared(sk, side, lock);
	lock->mutex = &private_locks[lock_index(sk, side)];
	lock_polling(lock->mutex); /* the holder may wait for room in a submission queue */
	/* fork may have made it shared meanwhile; it held all private locks then. */
	if (!socket_has(sk->socket, SOCKET_SHARED))
		return 0;
	pthread_mutex_unlock(lock->mutex);
	return ring_lock_shared(sk, side, lock);
}

void ring_unlock(struct ring_lock *lock)
{
	pthread_mutex_unlock(lock->mutex);
}
