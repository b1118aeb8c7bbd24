/* SPDX-License-Identifier: BSD-3-Clause */
/* poll over leat's and the kernel's descriptors. */
#include <errno.h>
#include <leat/leat.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "socket.h"

#define FEW 32 /* descriptors that need no allocation */

/* What is polled of one descriptor. */
struct polled {
	struct socket *socket; /* NULL: the kernel's, or none */
	nfds_t kernel; /* index in wait.kernel, for the kernel's */
};

struct poll_wait {
	struct wait wait;
	struct session *session;
	struct leat_cq *own;
	struct pollfd *fds;
	struct polled *polled;
	nfds_t count;
	bool at_once; /* the caller does not wait */
	int ready;
};

/* Looks each descriptor up.  Those that are in error are ready at once. */
static void poll_begin(struct poll_wait *w)
{
	for (nfds_t i = 0; i < w->count; i++) {
		struct pollfd *fd = &w->fds[i];
		struct polled *p = &w->polled[i];
		int r;

		p->socket = NULL;
		fd->revents = 0;
		if (!leat_is_fd(fd->fd)) {
			p->kernel = w->wait.kernel_count;
			w->wait.kernel[w->wait.kernel_count++] = *fd;
			continue;
		}
		r = socket_get(fd->fd, &p->socket);
		if (r == 0 && w->session == NULL) {
			w->session = p->socket->session;
			session_get(w->session);
		}
		if (r == 0 && socket_has(p->socket, SOCKET_SHARED)) {
			socket_claim_events(p->socket);
			w->wait.nap_us = SHARED_NAP_US;
		}
		if (r != 0)
			p->socket = NULL;
		if (r == -ENETDOWN)
			fd->revents = POLLERR | POLLHUP;
		else if (r != 0)
			fd->revents = POLLNVAL;
	}
}

/* After the queues were emptied: what came may have been taken back, its credit spent. */
static void poll_credit(const struct poll_wait *w, struct socket *so, short events)
{
	if (socket_has(so, SOCKET_LISTENING) && events & (POLLIN | POLLRDNORM))
		listener_credit(so, w->own, LISTENER_CREDITS);
}

static bool poll_check(struct wait *wait)
{
	struct poll_wait *w = (struct poll_wait *)wait;

	wait->contexts = w->own != NULL ? context_bit(w->own) : 0;
	for (nfds_t i = 0; i < w->count; i++) {
		struct socket *so = w->polled[i].socket;

		if (so != NULL)
			wait->contexts |= socket_contexts(so);
	}
	if (w->session != NULL)
		contexts_drain(w->session, wait->contexts);
	w->ready = 0;
	for (nfds_t i = 0; i < w->count; i++) {
		struct socket *so = w->polled[i].socket;
		uint32_t wanted = (uint16_t)w->fds[i].events | POLLERR | POLLHUP;

		if (so != NULL) {
			poll_credit(w, so, w->fds[i].events);
			w->fds[i].revents = (short)(socket_poll(so, wanted) & wanted);
		}
		if (w->fds[i].revents != 0)
			w->ready++;
	}
	return w->ready > 0;
}

/* What the kernel has to say, without waiting again. */
static void poll_add_kernel(struct poll_wait *w)
{
	if (w->wait.kernel_count == 0 || poll(w->wait.kernel, w->wait.kernel_count, 0) <= 0)
		return;
	for (nfds_t i = 0; i < w->count; i++) {
		if (leat_is_fd(w->fds[i].fd))
			continue;
		w->fds[i].revents = w->wait.kernel[w->polled[i].kernel].revents;
		if (w->fds[i].revents != 0)
			w->ready++;
	}
}

static void poll_end(struct poll_wait *w)
{
	for (nfds_t i = 0; i < w->count; i++) {
		struct socket *so = w->polled[i].socket;

		if (so == NULL)
			continue;
		/* One that only looked comes by again for what its credit brings. */
		if (!w->at_once && w->own != NULL && socket_has(so, SOCKET_LISTENING) &&
		    !socket_is_dead(so) && !listener_has_offer(so))
			listener_uncredit(so, w->own);
		socket_put(so);
	}
	if (w->session != NULL)
		session_put(w->session);
}

static int poll_run(struct poll_wait *w)
{
	int r = 0;

	poll_begin(w);
	if (w->session != NULL)
		r = context_self(w->session, &w->own);
	if (r == 0 && w->own != NULL)
		(void)context_is_alive(w->own);
	if (r == 0)
		r = wait_run(w->session, &w->wait);
	if (r == -ENETDOWN) {
		/* They tell of it themselves. */
		for (nfds_t i = 0; i < w->count; i++) {
			if (w->polled[i].socket != NULL)
				w->fds[i].revents = POLLERR | POLLHUP;
			if (w->fds[i].revents != 0)
				w->ready++;
		}
		r = 0;
	}
	if (r == 0 || r == -ETIMEDOUT) {
		poll_add_kernel(w);
		r = w->ready;
	}
	poll_end(w);
	return r;
}

int leat_poll(struct pollfd *fds, nfds_t nfds, int timeout)
{
	struct polled few[FEW];
	struct pollfd few_kernel[FEW];
	struct poll_wait w = {
		.wait = {.check = poll_check,
			 .deadline_us = timeout < 0 ? WAIT_FOREVER
						    : now_us() + (int64_t)timeout * 1000,
			 .kernel = few_kernel},
		.fds = fds,
		.polled = few,
		.count = nfds,
		.at_once = timeout == 0,
	};
	int r;

	if (nfds > INT32_MAX)
		return (int)posix_result(-EINVAL);
	if (nfds > FEW) {
		w.polled = malloc(nfds * sizeof(*w.polled));
		w.wait.kernel = malloc(nfds * sizeof(*w.wait.kernel));
	}
	r = w.polled == NULL || w.wait.kernel == NULL ? -ENOMEM : poll_run(&w);
	if (nfds > FEW) {
		free(w.polled);
		free(w.wait.kernel);
	}
	return (int)posix_result(r);
}
