/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fork.  Before it, leatd counts a further holder of every sock and gives a
 * token; with it the child attaches as a process of the same session, with a
 * context of its own.  From then on parent and child take the locks in the
 * region when they move a ring's cursor.
 *
 * All locks are held across the fork, and all contexts are common then, so that
 * the child finds every list in order; it then makes the locks anew, because
 * only one thread came along.
 */
#include <errno.h>

#include "epoll.h"
#include "socket.h"

static struct {
	struct session *session; /* NULL: nothing to do */
	uint64_t token; /* 0: leatd gave none */
} fork_state;

/* ---- Before ------------------------------------------------------------- */

static void share_file(struct file *f, void *arg)
{
	struct socket *so = (struct socket *)f;

	if (f->kind == FILE_SOCKET && so->session == arg)
		socket_set(so, SOCKET_SHARED);
}

static void lock_epoll(struct file *f, void *arg)
{
	struct epoll *ep = (struct epoll *)f;
	struct watch *watch;

	(void)arg;
	if (f->kind != FILE_EPOLL)
		return;
	pthread_mutex_lock(&ep->lock);
	LIST_FOREACH (watch, &ep->watches, link)
		ep->shared |= socket_has(watch->socket, SOCKET_SHARED) &&
			      !socket_has(watch->socket, SOCKET_LISTENING);
}

static void each_context(struct session *s, int (*apply)(pthread_mutex_t *))
{
	for (unsigned i = 0; i < LEAT_MAX_CONTEXTS; i++) {
		if (s->contexts[i] != NULL)
			(void)apply(&s->contexts[i]->cq_lock);
	}
}

static void fork_prepare(void)
{
	struct session *s = session_current();

	fork_state.session = NULL;
	if (s == NULL || load_acquire(&s->dead))
		return;
	fork_state.session = s;
	fork_state.token = 0;
	pthread_mutex_lock(&s->lock);
	contexts_share(s);
	ring_locks_take_all();
	each_context(s, pthread_mutex_lock);
	fd_lock();
	epoll_fork_prepare();
	if (!s->locks_ready)
		ring_locks_init_shared(s);
	s->locks_ready = true;
	if (session_request(s, LEAT_ATTACH_FORK, 0, &fork_state.token) != 0)
		fork_state.token = 0;
	fd_for_each(share_file, s);
	fd_for_each(lock_epoll, NULL);
}

/* ---- After, in the parent ----------------------------------------------- */

static void unlock_epoll(struct file *f, void *arg)
{
	(void)arg;
	if (f->kind == FILE_EPOLL)
		pthread_mutex_unlock(&((struct epoll *)f)->lock);
}

static void forget_credits(struct file *f, void *arg)
{
	struct socket *so = (struct socket *)f;

	if (f->kind == FILE_SOCKET && so->session == arg && so->listener != NULL)
		listener_forget_credits(so);
}

static void fork_parent(void)
{
	struct session *s = fork_state.session;

	if (s == NULL)
		return;
	fd_for_each(unlock_epoll, NULL);
	epoll_fork_release();
	/* The child may be the one that waits for connections now. */
	fd_for_each(forget_credits, s);
	fd_unlock();
	each_context(s, pthread_mutex_unlock);
	ring_locks_release_all();
	pthread_mutex_unlock(&s->lock);
	wait_wake(s, UINT64_MAX); /* threads in accept post theirs again */
}

/* ---- After, in the child ------------------------------------------------ */

/* What belonged to the parent's threads is void. */
static void drop_contexts(struct session *s)
{
	context_forget_thread(s);
	wait_forget();
	for (unsigned i = 0; i < LEAT_MAX_CONTEXTS; i++) {
		struct leat_cq *cq = s->contexts[i];

		s->contexts[i] = NULL;
		s->own[i] = NULL;
		if (cq == NULL || cq->raw)
			continue; /* a raw one is the program's to forget */
		s->refs -= cq->threads;
		context_free(cq);
	}
}

static void inherit_file(struct file *f, void *arg)
{
	struct socket *so = (struct socket *)f;
	struct leat_cq *cq = arg;

	f->refs = 1; /* other threads' references stayed behind */
	if (f->kind == FILE_EPOLL) {
		epoll_fork_child((struct epoll *)f, cq);
		return;
	}
	if (so->session != fork_state.session)
		return;
	so->context = cq;
	if (cq != NULL && so->listener != NULL)
		listener_reset_in_child(so);
}

static void fork_child(void)
{
	struct session *s = fork_state.session;
	struct leat_cq *cq = NULL;

	if (s == NULL)
		return;
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->wait_lock, NULL);
	LIST_INIT(&s->waiters);
	fd_reset_lock();
	epoll_fork_release();
	ring_locks_reset();
	drop_contexts(s);
	if (fork_state.token == 0 || session_attach_child(s, fork_state.token, &cq) != 0)
		cq = NULL;
	fd_for_each(inherit_file, cq);
	if (cq != NULL)
		context_adopt(cq);
	else
		session_mark_dead(s);
}

/* ---- */

static pthread_once_t watch_once = PTHREAD_ONCE_INIT;
static int watch_result;

static void fork_register(void)
{
	watch_result = -pthread_atfork(fork_prepare, fork_parent, fork_child);
}

int fork_watch(void)
{
	(void)pthread_once(&watch_once, fork_register);
	return watch_result;
}
