/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inline mode, seen from the library: worker and application in one process,
 * and on one thread.  What is here is between libleat and libleat-inline of
 * the same version, and is not for programs.
 */
#ifndef LEAT_CLIENT_INSIDE_H
#define LEAT_CLIENT_INSIDE_H

#include <stdint.h>

/* How a process gets to the control thread that is in it. */
struct leat_inside {
	/* A connection as accepted from leatd's UNIX socket, or -errno. */
	int (*connect)(void *arg);
	/* Where the region of the application that attached is mapped. */
	void *(*region)(void *arg);
	void *arg;
};

/* Attaches the process; inside is kept.  0 or -errno. */
int leat_inside_attach(const struct leat_inside *inside);
/* The control thread ended: every later call fails with ENETDOWN. */
void leat_inside_detach(void);

#define LEAT_NO_WORKER UINT32_MAX

/*
 * What a thread that runs workers itself tells the library, which then never
 * sleeps on it: it polls until what it waits for is there.
 */
struct leat_own_worker {
	uint32_t number; /* of the thread's own worker; LEAT_NO_WORKER: none, or several */
	/* Runs one iteration, and if it found no work may sleep, limit_us at most.  How much work it
	 * found, or -EINTR (after an iteration like any other): the caller is to end its wait. */
	int (*poll)(void *arg, int64_t limit_us);
	/* The worker left the queues of this process alone, and is to look at them again. */
	void (*bell)(void *arg);
	void *arg;
};

/* The calling thread runs w (copied) from now on; NULL: none any more.  The process is attached,
 * unless w has no number. */
void leat_own_worker_set(const struct leat_own_worker *w);

#endif
