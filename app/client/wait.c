/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Waiting: a short spin, then asleep.
 *
 * A sleeper that waits for a context is its leader (the first to come), which
 * sleeps on the context's wake-up socket, or a follower, which is poked by
 * whoever drains the context, or by a leader that leaves.  In a process with
 * one thread there is only ever a leader and nothing here takes a lock.
 *
 * No wake-up is lost: a leader makes sleep_seq odd, runs a full fence and then
 * looks once more; a follower enters the list (a full fence as well) and then
 * looks once more.  Both only sleep if there was nothing.
 *
 * A thread that runs a worker (inline mode) does neither: it polls the worker.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/single_threaded.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "session.h"

#define SPIN_MAX_US   50
#define SPIN_FIRST_US 10
#define NAP_US        1000 /* when a submission queue was full */
#define KERNEL_FDS    16 /* of the caller, that need no allocation */

struct waiter {
	LIST_ENTRY(waiter) link;
	uint64_t contexts; /* it waits for, as bits; under wait_lock, like the next three */
	uint64_t leads;
	uint64_t follows;
	bool listed;
	bool poked; /* atomic */
	int poke_fd; /* made when a second thread shows up; -1 */
};

static __thread struct waiter self = {.poke_fd = -1};
static __thread uint32_t spin_us = SPIN_FIRST_US;

static pthread_once_t poke_once = PTHREAD_ONCE_INIT;
static pthread_key_t poke_key;

int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- Leaders and followers ---------------------------------------------- */

static void poke_close(void *waiter)
{
	close(((struct waiter *)waiter)->poke_fd);
}

static void poke_init(void)
{
	(void)pthread_key_create(&poke_key, poke_close);
}

/* Without one, the thread naps instead of sleeping. */
static void waiter_need_poke(void)
{
	if (self.poke_fd >= 0 || __libc_single_threaded)
		return;
	self.poke_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	(void)pthread_once(&poke_once, poke_init);
	if (self.poke_fd >= 0)
		(void)pthread_setspecific(poke_key, &self);
}

static void waiter_poke(struct waiter *waiter)
{
	if (!__atomic_exchange_n(&waiter->poked, true, __ATOMIC_SEQ_CST) && waiter->poke_fd >= 0)
		(void)eventfd_write(waiter->poke_fd, 1);
}

static void waiters_poke(struct session *s, uint64_t contexts)
{
	struct waiter *waiter;

	LIST_FOREACH (waiter, &s->waiters, link) {
		if (waiter != &self && (waiter->leads | waiter->follows) & contexts)
			waiter_poke(waiter);
	}
}

static struct leat_cq *context_at(struct session *s, uint64_t *contexts)
{
	unsigned i = (unsigned)__builtin_ctzll(*contexts);

	*contexts &= *contexts - 1;
	return load_acquire(&s->contexts[i]);
}

/* Leads what nobody leads of contexts, follows the rest. */
static void waiter_enter(struct session *s, uint64_t contexts)
{
	pthread_mutex_lock(&s->wait_lock);
	self.contexts = contexts;
	while (contexts != 0) {
		uint64_t bit = contexts & -contexts;
		struct leat_cq *cq = context_at(s, &contexts);

		if (cq == NULL)
			continue;
		if (cq->leader == NULL) {
			cq->leader = &self;
			self.leads |= bit;
		} else {
			__atomic_add_fetch(&cq->followers, 1, __ATOMIC_SEQ_CST);
			self.follows |= bit;
		}
	}
	LIST_INSERT_HEAD(&s->waiters, &self, link);
	self.listed = true;
	pthread_mutex_unlock(&s->wait_lock);
}

/* Hands over what it led to a follower. */
static void waiter_leave(struct session *s)
{
	uint64_t contexts;

	if (!self.listed)
		return;
	pthread_mutex_lock(&s->wait_lock);
	LIST_REMOVE(&self, link);
	self.listed = false;
	for (contexts = self.leads; contexts != 0;) {
		uint64_t bit = contexts & -contexts;
		struct leat_cq *cq = context_at(s, &contexts);

		if (cq == NULL)
			continue;
		cq->leader = NULL;
		if (load_relaxed(&cq->followers) != 0)
			waiters_poke(s, bit);
	}
	for (contexts = self.follows; contexts != 0;) {
		struct leat_cq *cq = context_at(s, &contexts);

		if (cq != NULL)
			__atomic_sub_fetch(&cq->followers, 1, __ATOMIC_SEQ_CST);
	}
	self.leads = self.follows = 0;
	pthread_mutex_unlock(&s->wait_lock);
}

void wait_tell_followers(struct leat_cq *cq)
{
	struct session *s = cq->session;
	struct waiter *waiter;

	if (__libc_single_threaded)
		return;
	/* Pairs with the entry of a follower, who then looks once more. */
	fence_full();
	if (load_relaxed(&cq->followers) == 0)
		return;
	pthread_mutex_lock(&s->wait_lock);
	LIST_FOREACH (waiter, &s->waiters, link) {
		if (waiter != &self && waiter->follows & context_bit(cq))
			waiter_poke(waiter);
	}
	pthread_mutex_unlock(&s->wait_lock);
}

void wait_wake(struct session *s, uint64_t contexts)
{
	pthread_mutex_lock(&s->wait_lock);
	waiters_poke(s, contexts);
	pthread_mutex_unlock(&s->wait_lock);
}

void wait_forget(void)
{
	if (self.poke_fd >= 0)
		close(self.poke_fd);
	self = (struct waiter){.poke_fd = -1};
}

/* ---- Sleeping ----------------------------------------------------------- */

static void contexts_set_sleeping(struct session *s, uint64_t contexts)
{
	while (contexts != 0) {
		struct leat_cq *cq = context_at(s, &contexts);

		if (cq != NULL)
			store_relaxed(&cq->shared->sleep_seq, cq->shared->sleep_seq + 1);
	}
}

/* A hint did not fit into a submission queue, or nobody could poke this thread? */
static bool wait_must_nap(struct session *s, const struct wait *w)
{
	uint64_t contexts = w->contexts;
	bool nap = self.poke_fd < 0 && !__libc_single_threaded;

	while (contexts != 0) {
		struct leat_cq *cq = context_at(s, &contexts);

		if (cq != NULL && load_relaxed(&cq->napping)) {
			store_relaxed(&cq->napping, false);
			nap = true;
		}
	}
	return nap;
}

struct sleep {
	struct pollfd fixed[2 + LEAT_MAX_CONTEXTS + KERNEL_FDS];
	struct pollfd *fds; /* fixed, or allocated */
	nfds_t count; /* of leat's own; the caller's follow */
};

static int sleep_build(struct session *s, const struct wait *w, struct sleep *sleep)
{
	uint64_t contexts = self.leads;

	if (w->kernel_count > KERNEL_FDS)
		sleep->fds =
			malloc((2 + LEAT_MAX_CONTEXTS + w->kernel_count) * sizeof(*sleep->fds));
	if (sleep->fds == NULL)
		return -ENOMEM;
	sleep->fds[0] = (struct pollfd){.fd = s->transport.control_fd}; /* for POLLHUP */
	sleep->fds[1] = (struct pollfd){.fd = self.poke_fd, .events = POLLIN};
	sleep->count = 2;
	while (contexts != 0) {
		struct leat_cq *cq = context_at(s, &contexts);

		if (cq != NULL)
			sleep->fds[sleep->count++] = (struct pollfd){.fd = cq->wake_fd,
								     .events = POLLIN};
	}
	if (w->kernel_count > 0)
		memcpy(sleep->fds + sleep->count, w->kernel, w->kernel_count * sizeof(*w->kernel));
	return 0;
}

static int sleep_poll(struct sleep *sleep, nfds_t more, int64_t timeout_us)
{
	struct timespec timeout = {.tv_sec = timeout_us / 1000000,
				   .tv_nsec = timeout_us % 1000000 * 1000};

	if (ppoll(sleep->fds, sleep->count + more, timeout_us < 0 ? NULL : &timeout, NULL) < 0)
		return -errno;
	return 0;
}

/* Takes in what poll found; true: a kernel descriptor of the caller is ready. */
static bool sleep_collect(struct session *s, struct wait *w, struct sleep *sleep)
{
	bool ready = false;
	char bytes[64];

	if (sleep->fds[0].revents & (POLLHUP | POLLERR))
		session_mark_dead(s);
	if (sleep->fds[1].revents != 0) {
		eventfd_t value;

		(void)eventfd_read(self.poke_fd, &value);
	}
	for (nfds_t i = 2; i < sleep->count; i++) {
		if (sleep->fds[i].revents != 0)
			(void)recv(sleep->fds[i].fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	}
	for (nfds_t i = 0; i < w->kernel_count; i++) {
		w->kernel[i].revents = sleep->fds[sleep->count + i].revents;
		ready |= w->kernel[i].revents != 0;
	}
	return ready;
}

static int64_t wait_timeout_us(struct session *s, const struct wait *w)
{
	int64_t timeout_us = -1;

	if (w->deadline_us != WAIT_FOREVER) {
		timeout_us = w->deadline_us - now_us();
		if (timeout_us < 0)
			timeout_us = 0;
	}
	if (w->nap_us != 0 && (timeout_us < 0 || timeout_us > w->nap_us))
		timeout_us = w->nap_us;
	if (wait_must_nap(s, w) && (timeout_us < 0 || timeout_us > NAP_US))
		timeout_us = NAP_US;
	return timeout_us;
}

/* Sleeps once.  1: the wait is over; 0: look again; or -errno. */
static int wait_sleep(struct session *s, struct wait *w)
{
	struct sleep sleep;
	uint64_t leads;
	int r;

	/* Enters anew when it was poked (a leader may have left) or waits for other contexts. */
	if (__atomic_exchange_n(&self.poked, false, __ATOMIC_SEQ_CST) ||
	    self.contexts != w->contexts)
		waiter_leave(s);
	if (!self.listed) {
		waiter_need_poke();
		waiter_enter(s, w->contexts);
	}
	sleep.fds = sleep.fixed;
	leads = self.leads;
	contexts_set_sleeping(s, leads);
	/* Pairs with the worker's fence between its completions and its look at sleep_seq. */
	fence_full();
	r = w->check(w) ? 1 : load_acquire(&s->dead) ? -ENETDOWN : 0;
	if (r == 0)
		r = sleep_build(s, w, &sleep);
	if (r == 0 && self.contexts == w->contexts) { /* the check may have found others */
		r = sleep_poll(&sleep, w->kernel_count, wait_timeout_us(s, w));
		if (r == 0 && sleep_collect(s, w, &sleep))
			r = 1;
	}
	if (sleep.fds != sleep.fixed)
		free(sleep.fds);
	contexts_set_sleeping(s, leads);
	return r;
}

/* ---- Waiting ------------------------------------------------------------ */

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static bool spin_pays(void)
{
	static long cpus; /* atomic */
	long n = load_relaxed(&cpus);

	if (n == 0) {
		n = sysconf(_SC_NPROCESSORS_ONLN);
		store_relaxed(&cpus, n);
	}
	return n > 1;
}

/* Spins for a moment; true: the wait is over. */
static bool wait_spin(struct session *s, struct wait *w, int64_t start_us)
{
	int64_t end_us = start_us + spin_us;

	if (end_us > w->deadline_us)
		end_us = w->deadline_us;
	while (now_us() < end_us && !load_relaxed(&s->dead)) {
		if (w->check(w))
			return true;
		relax();
	}
	return false;
}

/* Spinning pays when what is waited for tends to come soon. */
static void spin_adapt(int64_t waited_us)
{
	if (waited_us <= SPIN_MAX_US)
		spin_us = spin_us * 2 + 1 < SPIN_MAX_US ? spin_us * 2 + 1 : SPIN_MAX_US;
	else
		spin_us /= 2;
}

static int wait_kernel_only(struct wait *w)
{
	int64_t left_us = w->deadline_us == WAIT_FOREVER ? -1 : w->deadline_us - now_us();
	struct timespec timeout = {.tv_sec = left_us / 1000000,
				   .tv_nsec = left_us % 1000000 * 1000};
	int n;

	if (left_us < 0 && w->deadline_us != WAIT_FOREVER)
		timeout = (struct timespec){0};
	n = ppoll(w->kernel, w->kernel_count, w->deadline_us == WAIT_FOREVER ? NULL : &timeout,
		  NULL);
	return n < 0 ? -errno : n == 0 ? -ETIMEDOUT : 0;
}

/* Is a kernel descriptor of the caller's ready? */
static bool wait_look_at_kernel(const struct wait *w)
{
	return w->kernel_count > 0 && poll(w->kernel, w->kernel_count, 0) > 0;
}

/* On a thread that runs a worker: what is waited for comes from there. */
static int wait_polling(struct session *s, struct wait *w)
{
	for (;;) {
		int64_t left_us = INT64_MAX;
		int r;

		if (w->deadline_us != WAIT_FOREVER)
			left_us = w->deadline_us - now_us();
		if (left_us <= 0)
			return wait_look_at_kernel(w) ? 0 : -ETIMEDOUT;
		r = own_worker_poll(left_us);
		if (w->check(w) || (r == 0 && wait_look_at_kernel(w)))
			return 0;
		if (r < 0)
			return r;
		if (s != NULL && load_relaxed(&s->dead))
			return -ENETDOWN;
	}
}

int wait_run(struct session *s, struct wait *w)
{
	int64_t start_us;
	int r = 0;

	if (w->check(w))
		return 0;
	if (own_worker_runs())
		return wait_polling(s, w);
	if (s == NULL)
		return wait_kernel_only(w);
	start_us = now_us();
	if (start_us < w->deadline_us && spin_pays() && wait_spin(s, w, start_us)) {
		spin_adapt(now_us() - start_us);
		return 0;
	}
	do {
		if (load_acquire(&s->dead))
			r = -ENETDOWN;
		else if (w->deadline_us != WAIT_FOREVER && w->kernel_count == 0 &&
			 now_us() >= w->deadline_us)
			r = -ETIMEDOUT;
		else
			r = wait_sleep(s, w);
		if (r == 0 && w->deadline_us != WAIT_FOREVER && now_us() >= w->deadline_us)
			r = w->check(w) ? 1 : -ETIMEDOUT;
	} while (r == 0);
	waiter_leave(s);
	spin_adapt(now_us() - start_us);
	return r == 1 ? 0 : r;
}
