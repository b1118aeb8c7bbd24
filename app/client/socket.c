/* SPDX-License-Identifier: BSD-3-Clause */
/* A socket from its first reference to its last: state, errors, waiting. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "socket.h"

#define MOVE_AFTER 8 /* uses in a row by a thread whose context it is not */

/* ---- Begin and end ------------------------------------------------------ */

struct socket *socket_alloc(struct session *s, struct leat_cq *cq, int type, int flags)
{
	struct socket *so = (struct socket *)file_alloc(FILE_SOCKET);

	if (so == NULL)
		return NULL;
	socket_begin(so, s, cq, type, flags);
	return so;
}

void socket_begin(struct socket *so, struct session *s, struct leat_cq *cq, int type, int flags)
{
	session_get(s);
	so->session = s;
	so->context = cq;
	so->type = (uint8_t)type;
	so->family = AF_INET;
	so->protocol = type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
	so->flags = flags & SOCK_NONBLOCK ? SOCKET_NONBLOCK : 0;
	so->home = so->socks = &so->one;
}

void sock_enter(struct sock *sk, struct socket *so, struct leat_handle h)
{
	sk->handle = h;
	sk->shared = &so->session->slots[h.slot];
	sk->socket = so;
	sk->worker = session_worker(so->session, h);
	sk->error_seen = 0;
	store_release(&so->session->socks[h.slot], sk);
}

void sock_leave(struct sock *sk)
{
	struct session *s = sk->socket->session;
	struct leat_cq *cq = socket_context(sk->socket);
	struct leat_sqe sqe = {
		.op = LEAT_OP_CLOSE,
		.value = 1, /* nobody waits for it */
		.handle = sk->handle,
		.offset = load_relaxed(&sk->shared->tx_tail),
	};

	store_release(&s->socks[sk->handle.slot], NULL);
	if (socket_is_dead(sk->socket))
		return;
	(void)context_submit(cq, sock_worker(sk), &sqe);
}

void socket_destroy(struct socket *so)
{
	for (unsigned i = 0; i < socket_count(so); i++)
		sock_leave(&so->socks[i]);
	listener_free(so);
	cork_drop(so);
	free(so->options);
	session_put(so->session);
}

int socket_get_any(int fd, struct socket **out)
{
	struct file *f;
	int r = fd_get(fd, &f);

	if (r != 0)
		return r;
	*out = (struct socket *)f;
	if (f->kind == FILE_SOCKET) {
		context_touch(socket_context(*out));
		return 0;
	}
	file_put(f);
	return -ENOTSOCK;
}

int socket_get(int fd, struct socket **out)
{
	int r = socket_get_any(fd, out);

	if (r != 0 || !socket_is_dead(*out))
		return r;
	socket_put(*out);
	return -ENETDOWN;
}

/* ---- Errors ------------------------------------------------------------- */

int sock_take_error(struct sock *sk)
{
	uint32_t seen = load_relaxed(&sk->error_seen);
	uint32_t seq = load_acquire(&sk->shared->error_seq);

	/* One of several threads reports it. */
	if (seq == seen || !compare_and_swap(&sk->error_seen, seen, seq))
		return 0;
	return -load_relaxed(&sk->shared->error);
}

int socket_take_error(struct socket *so)
{
	for (unsigned i = 0; i < socket_count(so); i++) {
		int error = sock_take_error(&so->socks[i]);

		if (error != 0)
			return error;
	}
	return 0;
}

/* ---- State -------------------------------------------------------------- */

static bool sock_has_bytes(const struct sock *sk)
{
	return sock_readable_bytes(sk) != 0;
}

static uint32_t stream_poll(struct socket *so, uint32_t want)
{
	struct sock *sk = socket_home(so);
	uint32_t events = load_acquire(&sk->shared->events);
	uint32_t mask = sock_has_error(sk) ? POLLERR | POLLIN | POLLOUT : 0;
	uint64_t data;

	if (!socket_has(so, SOCKET_CONNECTING | SOCKET_CONNECTED))
		return mask | POLLOUT | POLLHUP;
	data = stream_data_bytes(so);
	if (data != 0 && data >= so->receive_lowat)
		mask |= POLLIN;
	if (want & POLLPRI)
		mask |= stream_poll_urgent(so);
	if (socket_has(so, SOCKET_RX_SHUT) || events & LEAT_EV_RDHUP)
		mask |= POLLIN | POLLRDHUP;
	if (events & LEAT_EV_HUP)
		return mask | POLLIN | POLLOUT | POLLRDHUP | POLLHUP;
	if (socket_has(so, SOCKET_TX_SHUT)) {
		if (mask & POLLRDHUP)
			mask |= POLLHUP;
		return mask | POLLOUT;
	}
	if (want & POLLOUT && events & LEAT_EV_CONNECTED &&
	    sock_is_writable(sk, sock_writable_mark(sk), 1))
		mask |= POLLOUT;
	return mask;
}

static uint32_t datagram_poll(struct socket *so, uint32_t want)
{
	uint32_t mask = socket_has(so, SOCKET_RX_SHUT) ? POLLIN | POLLRDHUP : 0;

	for (unsigned i = 0; i < socket_count(so); i++) {
		if (sock_has_bytes(&so->socks[i]))
			mask |= POLLIN;
		if (sock_has_error(&so->socks[i]))
			mask |= POLLERR | POLLIN | POLLOUT;
	}
	if (want & POLLOUT &&
	    sock_is_writable(socket_home(so), sock_writable_mark(socket_home(so)), 1))
		mask |= POLLOUT;
	return mask;
}

uint32_t socket_poll(struct socket *so, uint32_t want)
{
	uint32_t mask;

	if (socket_is_dead(so))
		return POLLIN | POLLOUT | POLLERR | POLLHUP;
	if (socket_has(so, SOCKET_LISTENING))
		mask = listener_has_offer(so) ? POLLIN : 0;
	else if (so->type == SOCK_STREAM)
		mask = stream_poll(so, want);
	else
		mask = datagram_poll(so, want);
	if (mask & POLLIN)
		mask |= POLLRDNORM;
	if (mask & POLLOUT)
		mask |= POLLWRNORM;
	return mask;
}

/* ---- Whose context gets the events -------------------------------------- */

static void socket_move(struct socket *so, struct leat_cq *to)
{
	struct leat_cq *from = socket_context(so);

	/* Once it has moved, nobody asks its owner any more, who may be inside. */
	context_touch(from);
	for (unsigned i = 0; i < socket_count(so); i++) {
		struct leat_sqe sqe = {.op = LEAT_OP_MOVE, .handle = so->socks[i].handle};

		if (!context_try_submit(to, sock_worker(&so->socks[i]), &sqe))
			return; /* another time; events that moved already come to both */
	}
	socket_set(so, SOCKET_MOVED);
	store_release(&so->context, to);
	epoll_moved(so, to);
	/* Whoever waits for it has to wait elsewhere. */
	wait_wake(so->session, context_bit(from));
}

void socket_note_user(struct socket *so)
{
	struct leat_cq *own = context_self_or_null(so->session);

	if (own == NULL || own == socket_context(so) ||
	    socket_has(so, SOCKET_LISTENING | SOCKET_SHARED))
		return;
	if (load_relaxed(&so->user) != own->index || load_relaxed(&so->user_count) == 0) {
		store_relaxed(&so->user, (uint8_t)own->index);
		store_relaxed(&so->user_count, (uint8_t)1);
	} else if (__atomic_add_fetch(&so->user_count, 1, __ATOMIC_RELAXED) >= MOVE_AFTER) {
		store_relaxed(&so->user_count, (uint8_t)0);
		socket_move(so, own);
	}
}

#define HOLDER_CONTEXT 0xffu /* in slot.holder: index of the context that gets the events, + 1 */

void socket_claim_events(struct socket *so)
{
	struct leat_cq *cq = socket_context(so);

	if (!socket_has(so, SOCKET_SHARED) || socket_has(so, SOCKET_LISTENING))
		return;
	for (unsigned i = 0; i < socket_count(so); i++) {
		struct sock *sk = &so->socks[i];
		struct leat_sqe sqe = {.op = LEAT_OP_MOVE, .handle = sk->handle};
		uint32_t holder = load_relaxed(&sk->shared->holder);

		if ((holder & HOLDER_CONTEXT) == cq->index + 1 ||
		    !context_try_submit(cq, sock_worker(sk), &sqe))
			continue;
		while (!__atomic_compare_exchange_n(&sk->shared->holder, &holder,
						    (holder & ~HOLDER_CONTEXT) | (cq->index + 1),
						    true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			;
	}
}

uint64_t socket_contexts(struct socket *so)
{
	uint64_t contexts = context_bit(socket_context(so));

	return so->listener != NULL ? contexts | listener_contexts(so) : contexts;
}

/* ---- Waiting ------------------------------------------------------------ */

int64_t deadline_after(int64_t timeout_us)
{
	return timeout_us == 0 ? WAIT_FOREVER : now_us() + timeout_us;
}

struct socket_wait {
	struct wait wait;
	struct socket *so;
	bool (*ready)(struct socket *so, uint64_t arg);
	uint64_t arg;
};

static bool socket_wait_check(struct wait *wait)
{
	struct socket_wait *w = (struct socket_wait *)wait;

	wait->contexts = socket_contexts(w->so);
	contexts_drain(w->so->session, wait->contexts);
	return w->ready(w->so, w->arg);
}

int socket_wait(struct socket *so, bool (*ready)(struct socket *so, uint64_t arg), uint64_t arg,
		int64_t deadline_us)
{
	struct socket_wait w = {
		.wait = {.check = socket_wait_check, .deadline_us = deadline_us},
		.so = so,
		.ready = ready,
		.arg = arg,
	};
	struct leat_cq *own;
	int r;

	(void)context_self(so->session, &own); /* so that it may get the events */
	socket_note_user(so);
	if (socket_has(so, SOCKET_SHARED)) {
		socket_claim_events(so);
		w.wait.nap_us = SHARED_NAP_US;
	}
	r = wait_run(so->session, &w.wait);
	if (r == 0 && socket_is_dead(so)) /* then it is always ready, with nothing to take */
		return -ENETDOWN;
	return r == -ETIMEDOUT ? -EAGAIN : r;
}

/* ---- Closing ------------------------------------------------------------- */

void socket_set_lowat(struct socket *so, uint32_t bytes)
{
	so->receive_lowat = bytes;
	if (bytes > 1)
		socket_set(so, SOCKET_LOWAT);
	else if (socket_has(so, SOCKET_LOWAT))
		socket_clear(so, SOCKET_LOWAT);
}

void socket_inherit(struct socket *so, const struct socket *listener)
{
	so->family = listener->family;
	socket_set_lowat(so, listener->receive_lowat);
	so->linger_s = listener->linger_s;
	so->receive_timeout_us = listener->receive_timeout_us;
	so->send_timeout_us = listener->send_timeout_us;
	if (socket_has(listener, SOCKET_OOBINLINE))
		socket_set(so, SOCKET_OOBINLINE);
}

static bool stream_is_delivered(struct socket *so, uint64_t arg)
{
	struct sock *sk = socket_home(so);

	(void)arg;
	return sock_has_error(sk) || sock_events(sk) & LEAT_EV_HUP ||
	       leat_cq_send_wake(socket_context(so), sk->handle, SIZE_MAX) != 0;
}

void socket_linger(struct socket *so)
{
	struct sock *sk = socket_home(so);
	struct leat_sqe sqe = {.op = LEAT_OP_SHUTDOWN, .handle = sk->handle, .value = SHUT_WR};

	/* Others use it still, there is nothing to deliver, or unread data makes it a reset. */
	if (so->linger_s == 0 || socket_is_dead(so) || !socket_has(so, SOCKET_CONNECTED) ||
	    socket_has(so, SOCKET_SHARED) || load_relaxed(&so->file.refs) != 1 ||
	    sock_has_bytes(sk))
		return;
	sqe.offset = load_relaxed(&sk->shared->tx_tail);
	if (context_call(socket_context(so), sock_worker(sk), &sqe, NULL) != 0)
		return;
	socket_set(so, SOCKET_TX_SHUT);
	(void)socket_wait(so, stream_is_delivered, 0,
			  deadline_after((int64_t)so->linger_s * 1000000));
}
