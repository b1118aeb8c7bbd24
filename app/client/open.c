/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opening, binding, listening, connecting.  A socket begins with one sock on
 * its home worker.  When it is bound it gets one on each worker, all with the
 * same address, because packets for it may arrive at any; a connection only
 * ever has the one.  A socket that is opened on a worker's own thread (inline
 * mode) lives on that worker alone: nothing crosses cores.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "socket.h"

#define BIND_ATTEMPTS 16 /* to find a port that is free on every worker */

/* ---- Options set so far ------------------------------------------------- */

struct option_log {
	uint32_t count;
	struct leat_option option[];
};

int socket_log_option(struct socket *so, const struct leat_option *option)
{
	uint32_t count = so->options == NULL ? 0 : so->options->count;
	struct option_log *log;

	if (so->session->layout.workers == 1 || socket_has(so, SOCKET_BOUND | SOCKET_CONNECTED))
		return 0;
	log = realloc(so->options, sizeof(*log) + (count + 1) * sizeof(log->option[0]));
	if (log == NULL)
		return -ENOMEM;
	log->option[count] = *option;
	log->count = count + 1;
	so->options = log;
	return 0;
}

/* ---- Socks -------------------------------------------------------------- */

/* Opens a sock of so's on worker as sk, with the options set so far. */
static int sock_open(struct socket *so, unsigned worker, struct sock *sk)
{
	struct leat_cq *cq = socket_context(so);
	struct leat_sqe sqe = {
		.op = LEAT_OP_SOCKET,
		.family = so->family,
		.type = so->type,
		.protocol = so->protocol,
	};
	struct leat_cqe cqe;
	int r = context_call(cq, worker, &sqe, &cqe);

	if (r != 0)
		return r;
	sock_enter(sk, so, cqe.handle);
	for (uint32_t i = 0; so->options != NULL && i < so->options->count; i++) {
		sqe = (struct leat_sqe){.op = LEAT_OP_SETSOCKOPT,
					.handle = sk->handle,
					.option = so->options->option[i]};
		(void)context_call(cq, worker, &sqe, NULL);
	}
	return 0;
}

int socket_open(struct socket *so)
{
	unsigned workers = so->session->layout.workers;
	unsigned worker = own_worker.worker.number;
	int r;

	if (worker >= workers)
		worker = __atomic_fetch_add(&so->session->next_worker, 1, __ATOMIC_RELAXED) %
			 workers;
	r = sock_open(so, worker, &so->one);

	if (r == 0)
		store_release(&so->sock_count, (uint8_t)1);
	return r;
}

/* Room for a sock on each worker; NULL: no memory. */
static struct sock *socket_room_for_all(struct socket *so)
{
	/* Kept with the file: completions under way may still look at them. */
	struct sock *all = so->memory.kept[0];

	if (all == NULL)
		all = so->memory.kept[0] = calloc(LEAT_MAX_WORKERS, sizeof(*all));
	return all;
}

/* The one sock becomes one on each worker; on a thread that runs the worker it stays the one. */
static int socket_spread(struct socket *so)
{
	unsigned workers = so->session->layout.workers;
	unsigned home = sock_worker(socket_home(so));
	struct leat_handle h = socket_home(so)->handle;
	struct sock *all;

	if (socket_count(so) == workers || slot_is_own(h.slot))
		return 0;
	all = socket_room_for_all(so);
	if (all == NULL)
		return -ENOMEM;
	for (unsigned w = 0; w < workers; w++) {
		int r = w == home ? 0 : sock_open(so, w, &all[w]);

		if (r != 0) {
			while (w-- > 0) {
				if (w != home)
					sock_leave(&all[w]);
			}
			return r;
		}
	}
	sock_enter(&all[home], so, h);
	/* In this order, for threads that are just using it. */
	store_release(&so->home, &all[home]);
	store_release(&so->socks, all);
	store_release(&so->sock_count, (uint8_t)workers);
	return 0;
}

/* Back to the sock on the home worker: a connection has no others. */
static void socket_gather(struct socket *so)
{
	struct sock *home = socket_home(so);
	unsigned count = socket_count(so);

	if (count == 1)
		return;
	sock_enter(&so->one, so, home->handle);
	store_release(&so->sock_count, (uint8_t)1);
	for (unsigned i = 0; i < count; i++) {
		if (&so->socks[i] != home)
			sock_leave(&so->socks[i]);
	}
	store_release(&so->socks, &so->one);
	store_release(&so->home, &so->one);
}

/* ---- Bind --------------------------------------------------------------- */

/* Binds worker after worker, the later ones to the port the first one chose.  *bound: how many. */
static int socket_bind_each(struct socket *so, struct leat_addr addr, unsigned *bound)
{
	for (*bound = 0; *bound < socket_count(so); ++*bound) {
		struct sock *sk = &so->socks[*bound];
		struct leat_sqe sqe = {.op = LEAT_OP_BIND, .handle = sk->handle, .addr = addr};
		struct leat_cqe cqe;
		int r = context_call(socket_context(so), sock_worker(sk), &sqe, &cqe);

		if (r != 0)
			return r;
		addr.port = cqe.addr.port;
	}
	return 0;
}

/* There is no unbind: the first count socks are opened anew. */
static int socket_unbind(struct socket *so, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		unsigned worker = sock_worker(&so->socks[i]);
		int r;

		sock_leave(&so->socks[i]);
		r = sock_open(so, worker, &so->socks[i]);
		if (r != 0) {
			/* Its place holds a stale handle; what uses it gets EBADF. */
			return r;
		}
	}
	return 0;
}

int socket_bind(struct socket *so, const struct leat_addr *addr)
{
	unsigned bound;
	int r;

	if (socket_has(so, SOCKET_BOUND | SOCKET_CONNECTED | SOCKET_CONNECTING))
		return -EINVAL;
	r = socket_spread(so);
	for (unsigned attempt = 0; r == 0 && attempt < BIND_ATTEMPTS; attempt++) {
		int undone;

		r = socket_bind_each(so, *addr, &bound);
		if (r == 0)
			break;
		undone = socket_unbind(so, bound);
		if (undone != 0)
			return undone;
		/* A port that was chosen may be taken on another worker. */
		if (r != -EADDRINUSE || addr->port != 0 || bound == 0)
			return r;
		if (attempt + 1 < BIND_ATTEMPTS)
			r = 0;
	}
	if (r == 0)
		socket_set(so, SOCKET_BOUND);
	return r;
}

int socket_bind_any(struct socket *so)
{
	struct leat_addr any = {.family = so->family};

	return socket_bind(so, &any);
}

/* ---- Listen ------------------------------------------------------------- */

int socket_listen(struct socket *so, int backlog)
{
	int r = 0;

	if (so->type != SOCK_STREAM)
		return -EOPNOTSUPP;
	if (socket_has(so, SOCKET_CONNECTED | SOCKET_CONNECTING))
		return -EINVAL;
	if (!socket_has(so, SOCKET_BOUND))
		r = socket_bind_any(so);
	if (r == 0)
		r = listener_open(so);
	for (unsigned i = 0; r == 0 && i < socket_count(so); i++) {
		struct leat_sqe sqe = {.op = LEAT_OP_LISTEN,
				       .handle = so->socks[i].handle,
				       .value = backlog < 0 ? 0 : backlog};

		r = context_call(socket_context(so), sock_worker(&so->socks[i]), &sqe, NULL);
	}
	if (r == 0) {
		socket_set(so, SOCKET_LISTENING);
		epoll_listening(so);
	}
	return r;
}

/* ---- Connect ------------------------------------------------------------ */

static int datagram_connect(struct socket *so, const struct leat_addr *addr)
{
	for (unsigned i = 0; i < socket_count(so); i++) {
		struct leat_sqe sqe = {
			.op = LEAT_OP_CONNECT, .handle = so->socks[i].handle, .addr = *addr};
		int r = context_call(socket_context(so), sock_worker(&so->socks[i]), &sqe, NULL);

		if (r != 0)
			return r;
	}
	if (addr->family == AF_UNSPEC)
		socket_clear(so, SOCKET_CONNECTED);
	else
		socket_set(so, SOCKET_CONNECTED);
	return 0;
}

static bool stream_is_decided(struct socket *so, uint64_t arg)
{
	struct sock *sk = socket_home(so);

	(void)arg;
	return sock_has_error(sk) ||
	       load_acquire(&sk->shared->events) & (LEAT_EV_CONNECTED | LEAT_EV_HUP);
}

/* What became of the attempt: 0, -errno, -EALREADY: nothing yet. */
static int stream_connect_outcome(struct socket *so)
{
	struct sock *sk = socket_home(so);
	int error = sock_take_error(sk);

	if (error == 0 && !stream_is_decided(so, 0))
		return -EALREADY;
	if (error == 0 && load_acquire(&sk->shared->events) & LEAT_EV_CONNECTED) {
		socket_set(so, SOCKET_CONNECTED);
		socket_clear(so, SOCKET_CONNECTING);
		return 0;
	}
	socket_clear(so, SOCKET_CONNECTING);
	return error != 0 ? error : -ECONNABORTED;
}

static int stream_connect(struct socket *so, const struct leat_addr *addr, bool wait)
{
	int64_t deadline_us = deadline_after(so->send_timeout_us);
	struct leat_sqe sqe = {.op = LEAT_OP_CONNECT, .addr = *addr};
	int r;

	if (socket_has(so, SOCKET_LISTENING))
		return -EOPNOTSUPP;
	if (socket_has(so, SOCKET_CONNECTED))
		return -EISCONN;
	if (!socket_has(so, SOCKET_CONNECTING)) {
		socket_gather(so);
		sqe.handle = socket_home(so)->handle;
		socket_set(so, SOCKET_CONNECTING);
		r = context_call(socket_context(so), sock_worker(socket_home(so)), &sqe, NULL);
		if (r != 0) {
			socket_clear(so, SOCKET_CONNECTING);
			return r;
		}
		r = stream_connect_outcome(so);
		if (r == -EALREADY)
			r = -EINPROGRESS;
	} else {
		r = stream_connect_outcome(so);
	}
	if ((r != -EINPROGRESS && r != -EALREADY) || !wait)
		return r;
	r = socket_wait(so, stream_is_decided, 0, deadline_us);
	if (r == -EAGAIN)
		return -EINPROGRESS;
	return r == 0 ? stream_connect_outcome(so) : r;
}

int socket_connect(struct socket *so, const struct leat_addr *addr)
{
	return so->type == SOCK_STREAM ? stream_connect(so, addr, !socket_has(so, SOCKET_NONBLOCK))
				       : datagram_connect(so, addr);
}

int socket_fast_open(struct socket *so, const struct leat_addr *addr, bool wait)
{
	int on = 1;
	int r = 0;

	if (so->type != SOCK_STREAM)
		return -EOPNOTSUPP;
	if (!socket_has(so, SOCKET_LISTENING | SOCKET_CONNECTING | SOCKET_CONNECTED))
		r = socket_set_option(so, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on));
	return r != 0 ? r : stream_connect(so, addr, wait);
}
