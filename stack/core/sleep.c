/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sleep: on the ports' descriptors where they have one, on the sessions' bells
 * and on an eventfd that other threads write.  A port without a descriptor
 * bounds the sleep instead, by a share of the time it has been quiet: so a
 * path is slowed down by no more than that share, and an idle worker looks
 * seldom.
 *
 * No event is lost: everything that could wake is armed first, then looked at
 * once more.
 */
#include "core/sleep.h"

#include <errno.h>
#include <rte_atomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "core/cost.h"
#include "core/worker.h"
#include "dev/port_impair.h"
#include "shm/session.h"

#define SLEEP_NO_DESCRIPTOR_US 200 /* at most, while a port has nothing to wait on ... */
#define SLEEP_QUIET_SHARE      8 /* ... and no more than an eighth of how long it was quiet, */
#define SLEEP_SHORTEST_US      50 /* which is not worth it when it is less */
#define SLEEP_UNPUBLISHED_US   1000 /* at most, while a completion queue is full */
#define SLEEP_EVENTS           16

struct worker_sleep {
	int epoll_fd;
	int wake_fd;
	bool asleep; /* atomic: others look at it after they published */
	bool ports_added;
	bool port_without_fd;
};

struct worker_sleep *worker_sleep_create(void)
{
	struct worker_sleep *s = calloc(1, sizeof(*s));
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};

	if (s == NULL)
		return NULL;
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->epoll_fd < 0 || s->wake_fd < 0 ||
	    epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->wake_fd, &event) != 0) {
		worker_sleep_free(s);
		return NULL;
	}
	return s;
}

void worker_sleep_free(struct worker_sleep *s)
{
	if (s == NULL)
		return;
	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
	if (s->wake_fd >= 0)
		close(s->wake_fd);
	free(s);
}

int worker_watch(struct worker *w, int fd, struct arena *arena)
{
	/* Edge-triggered and never read: the application can fill or drain it as it likes. */
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = arena};

	return epoll_ctl(w->sleep->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

void worker_unwatch(struct worker *w, int fd)
{
	(void)epoll_ctl(w->sleep->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

void worker_wake(struct worker *w)
{
	/* What was published comes before the look at asleep; pairs with worker_sleep. */
	rte_smp_mb();
	if (__atomic_load_n(&w->sleep->asleep, __ATOMIC_RELAXED))
		(void)eventfd_write(w->sleep->wake_fd, 1);
}

void worker_interrupt(struct worker *w)
{
	/* Stays readable until the next look, since nobody reads it. */
	(void)eventfd_write(w->sleep->wake_fd, 1);
}

/* Ports are there from the first sleep on; a descriptor is waited on level-triggered. */
static void sleep_add_ports(struct worker *w)
{
	struct worker_sleep *s = w->sleep;

	s->ports_added = true;
	for (uint16_t i = 0; i < w->netif_count; i++) {
		struct netif *n = w->netif[i];
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
		int fd;

		if (!n->polls)
			continue;
		fd = port_rx_fd(n->port, n->queue);
		if (fd < 0 || epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
			s->port_without_fd = true;
	}
}

static void sleep_notify_ports(struct worker *w, bool on)
{
	for (uint16_t i = 0; i < w->netif_count; i++) {
		if (w->netif[i]->polls)
			(void)port_rx_notify(w->netif[i]->port, w->netif[i]->queue, on);
	}
}

/* Until a paced send, or a packet that a port holds back, is due; UINT64_MAX: there is none. */
static uint64_t sleep_until_due(const struct worker *w)
{
	uint64_t next_us = calendar_next_us(&w->calendar);

	for (uint16_t i = 0; i < w->netif_count; i++) {
		const struct netif *n = w->netif[i];

		if (n->polls && n->port->impair != NULL)
			next_us = RTE_MIN(next_us, port_impair_next_us(n->port, n->queue));
	}
	if (next_us == CALENDAR_NEVER)
		return next_us;
	return next_us > w->now_us ? next_us - w->now_us : 0;
}

/* Until the ports that cannot wake are looked at again. */
static uint64_t sleep_without_descriptor(const struct worker *w)
{
	uint64_t quiet_us = w->now_us - w->idle_since_us;

	return RTE_MIN(quiet_us / SLEEP_QUIET_SHARE, (uint64_t)SLEEP_NO_DESCRIPTOR_US);
}

bool worker_should_sleep(const struct worker *w)
{
	if (w->config.idle_us == 0 || w->idle_since_us == 0 ||
	    w->now_us - w->idle_since_us < w->config.idle_us)
		return false;
	return !w->sleep->port_without_fd || sleep_without_descriptor(w) >= SLEEP_SHORTEST_US;
}

/* How long it may last, in microseconds. */
static uint64_t sleep_bound(struct worker *w, uint32_t limit_us, bool blocked)
{
	uint64_t us = (uint64_t)wheel_next(&w->wheel, limit_us / 1000 + 1) * 1000;

	us = RTE_MIN(us, (uint64_t)limit_us);
	us = RTE_MIN(us, sleep_until_due(w));
	if (w->sleep->port_without_fd)
		us = RTE_MIN(us, sleep_without_descriptor(w));
	if (blocked || !TAILQ_EMPTY(&w->raised))
		us = RTE_MIN(us, (uint64_t)SLEEP_UNPUBLISHED_US);
	return us;
}

static void sleep_wait(struct worker *w, uint64_t us)
{
	struct epoll_event events[SLEEP_EVENTS];
	struct timespec timeout = {.tv_sec = (time_t)(us / 1000000),
				   .tv_nsec = (long)(us % 1000000 * 1000)};
	int count = epoll_pwait2(w->sleep->epoll_fd, events, SLEEP_EVENTS, &timeout, NULL);

	for (int i = 0; i < count; i++) {
		if (events[i].data.ptr != NULL)
			arena_bell(w, events[i].data.ptr);
	}
}

void worker_sleep(struct worker *w, uint32_t limit_us)
{
	struct worker_sleep *s = w->sleep;
	bool blocked;

	if (!s->ports_added)
		sleep_add_ports(w);
	sleep_notify_ports(w, true);
	__atomic_store_n(&s->asleep, true, __ATOMIC_RELAXED);
	/* Pairs with the fence in worker_wake; channels_arm brings those of the doorbells. */
	rte_smp_mb();
	if (worker_poll(w) == 0 && channels_arm(w, &blocked) && rte_ring_empty(w->inbox) &&
	    rte_ring_empty(w->steered)) {
		worker_count(w, CNT_sleeps);
		cost_fall_asleep(w);
		sleep_wait(w, sleep_bound(w, limit_us, blocked));
		cost_wake_up(w);
	}
	__atomic_store_n(&s->asleep, false, __ATOMIC_RELAXED);
	sleep_notify_ports(w, false);
}
