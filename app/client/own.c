/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A context, with the sockets and epoll sets that belong to it, is mostly used
 * by one thread alone, which then has no need of locks: it says that it is
 * inside, looks whether it is still alone, and goes ahead.
 *
 * Another thread that comes to use something of it says so first, and waits
 * until the owner is not inside.  This needs a full fence on both sides, between
 * what each says and its look at what the other says.  As the owner comes by
 * millions of times a second and another thread hardly ever for the first time,
 * that one has the kernel run the fence on all threads of the process
 * (membarrier).  From then on everybody takes the locks, the owner too.
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "session.h"

#define YIELDS       16 /* until one sleeps for an owner who is still inside */
#define OWNER_NAP_NS 50000

__thread struct leat_cq *thread_context;
static bool registered; /* atomic: some thread of the process relies on the kernel's fence */

void context_own(struct leat_cq *cq)
{
	/* Each process once; a child's registration is its parent's. */
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) != 0)
		store_release(&cq->use, CONTEXT_COMMON);
	else
		__atomic_store_n(&registered, true, __ATOMIC_SEQ_CST);
	thread_context = cq;
}

/* A full fence on all threads of the process. */
static void fence_everybody(void)
{
	/* Nobody owns a context yet (they are opened before); who comes to own one looks at its use
	 * after it said so, with a full fence on either side. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!load_relaxed(&registered))
		return;
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0)
		return;
	/* Owners who rely on it cannot be told otherwise: from here on rings would break. */
	(void)fprintf(stderr, "leat: membarrier: %s\n", strerror(errno));
	abort();
}

/* The owner may have been preempted, by the caller even, if that has a higher priority. */
static void await_owner(const struct leat_cq *cq)
{
	const struct timespec nap = {.tv_nsec = OWNER_NAP_NS};

	/* acquire: pairs with context_leave; what was done inside is seen here */
	for (unsigned i = 0; load_acquire(&cq->inside); i++) {
		if (i < YIELDS)
			(void)sched_yield();
		else
			(void)nanosleep(&nap, NULL);
	}
}

void context_share(struct leat_cq *cq)
{
	if (load_acquire(&cq->use) == CONTEXT_COMMON)
		return;
	store_relaxed(&cq->use, CONTEXT_BECOMES_COMMON);
	fence_everybody();
	if (cq != thread_context)
		await_owner(cq);
	store_release(&cq->use, CONTEXT_COMMON);
}

void contexts_share(struct session *s)
{
	for (unsigned i = 0; i < LEAT_MAX_CONTEXTS; i++) {
		/* Nobody enters those of leat_cq_open, which their owners may free meanwhile. */
		struct leat_cq *cq = load_acquire(&s->own[i]);

		if (cq != NULL)
			context_share(cq);
	}
}
