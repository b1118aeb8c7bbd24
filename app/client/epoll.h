/* SPDX-License-Identifier: BSD-3-Clause */
/* An epoll instance: what it watches, and which of that is ready. */
#ifndef LEAT_CLIENT_EPOLL_H
#define LEAT_CLIENT_EPOLL_H

#include "socket.h"

TAILQ_HEAD(ready_list, watch);

struct epoll {
	struct file file;
	pthread_mutex_t lock;
	LIST_HEAD(, watch) watches;
	LIST_HEAD(, watch) listeners;
	struct ready_list ready;
	struct leat_cq *owner; /* atomic; the context it belongs to; NULL: to none (yet) */
	struct session *owner_session; /* held, for owner's sake */
	struct session *session; /* of contexts; only compared */
	uint64_t contexts; /* atomic; where events of its sockets may arrive */
	int64_t shared_us; /* when sockets shared with other processes were looked at */
	bool shared; /* there are such */
	bool has_kernel; /* atomic; kernel_fd watches something */
	uint32_t sleepers; /* atomic; threads in leat_epoll_wait */
	int kernel_fd; /* for kernel descriptors; -1: none yet */
	struct file_memory memory;
};

/* Are these LEAT_EV_* a reason to look at it? */
static inline bool watch_wants(const struct watch *watch, uint32_t events)
{
	if (watch->disarmed)
		return false;
	if (events & LEAT_EV_IN && watch->events & (EPOLLIN | EPOLLRDNORM | EPOLLRDHUP | EPOLLPRI))
		return true;
	if (events & LEAT_EV_OUT && watch->events & (EPOLLOUT | EPOLLWRNORM))
		return true;
	/* Urgent data that is only announced makes nothing ready: LEAT_EV_IN tells when it is there. */
	return events & ~(LEAT_EV_IN | LEAT_EV_OUT | LEAT_EV_PRI);
}

/* Under epoll.lock. */
static inline void watch_make_ready(struct watch *watch)
{
	if (watch->is_ready)
		return;
	watch->is_ready = true;
	TAILQ_INSERT_TAIL(&watch->epoll->ready, watch, ready_link);
}

#endif
