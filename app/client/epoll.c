/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * epoll: level state comes from the shared slots, edges from completions.  A
 * completion puts the watches of its socket on their epoll's ready list;
 * leat_epoll_wait looks at the list and reports what is ready now.
 *
 * Kernel descriptors are left to an epoll instance of the kernel's.
 */
#include "epoll.h"

#include <errno.h>
#include <leat/leat.h>
#include <stdlib.h>
#include <unistd.h>

#define WATCH_LOCKS 64
#define USERS_NOTED 16 /* sockets of other contexts noted in one call */

static pthread_mutex_t watch_locks[WATCH_LOCKS] = {
	[0 ... WATCH_LOCKS - 1] = PTHREAD_MUTEX_INITIALIZER};

/* Guards so->watches. */
static pthread_mutex_t *watch_lock(const struct socket *so)
{
	return &watch_locks[(uintptr_t)so / sizeof(*so) % WATCH_LOCKS];
}

/* What watches_unlock lets go of; NULL: nothing, the caller is inside.  (Asked only once: so's
 * context may become another.) */
static pthread_mutex_t *watches_lock(struct socket *so)
{
	struct leat_cq *cq = socket_context(so);
	pthread_mutex_t *lock = watch_lock(so);

	if (context_is_inside(cq))
		return NULL;
	context_touch(cq);
	pthread_mutex_lock(lock);
	return lock;
}

static void watches_unlock(pthread_mutex_t *lock)
{
	if (lock != NULL)
		pthread_mutex_unlock(lock);
}

static void epoll_lock(struct epoll *ep)
{
	if (context_is_inside(load_relaxed(&ep->owner)))
		return;
	pthread_mutex_lock(&ep->lock);
	/* After it: who is to own it became so under the lock. */
	context_touch(load_relaxed(&ep->owner));
}

static void epoll_unlock(struct epoll *ep)
{
	context_unlock(load_relaxed(&ep->owner), &ep->lock);
}

/* ---- Events ------------------------------------------------------------- */

static void socket_event(struct socket *so, uint32_t events)
{
	pthread_mutex_t *lock = watches_lock(so);

	for (struct watch *watch = so->watches; watch != NULL; watch = watch->next) {
		epoll_lock(watch->epoll);
		if (watch_wants(watch, events))
			watch_make_ready(watch);
		epoll_unlock(watch->epoll);
	}
	watches_unlock(lock);
}

void sock_event(struct sock *sk, uint32_t events)
{
	struct socket *so = load_acquire(&sk->socket);

	if (so != NULL)
		socket_event(so, events);
}

static void event_of_dead(struct file *f, void *arg)
{
	if (f->kind == FILE_SOCKET && ((struct socket *)f)->session == arg)
		socket_event((struct socket *)f, LEAT_EV_ERR | LEAT_EV_HUP);
}

void sockets_of_dead_session(struct session *s)
{
	fd_lock();
	fd_for_each(event_of_dead, s);
	fd_unlock();
}

struct context_event {
	struct leat_cq *cq;
	uint32_t events;
};

static void event_of_context(struct file *f, void *arg)
{
	const struct context_event *e = arg;

	if (f->kind == FILE_SOCKET && socket_context((struct socket *)f) == e->cq)
		socket_event((struct socket *)f, e->events);
}

void sockets_of_context(struct leat_cq *cq, uint32_t events)
{
	struct context_event e = {cq, events};

	fd_lock();
	fd_for_each(event_of_context, &e);
	fd_unlock();
}

/* ---- What is watched ---------------------------------------------------- */

static struct watch *watch_find(const struct epoll *ep, const struct socket *so)
{
	struct watch *watch = so->watches;

	while (watch != NULL && watch->epoll != ep)
		watch = watch->next;
	return watch;
}

/* Under both locks. */
static void watch_unlink(struct watch *watch)
{
	struct watch **place = &watch->socket->watches;

	while (*place != watch)
		place = &(*place)->next;
	*place = watch->next;
	LIST_REMOVE(watch, link);
	if (watch->is_listener)
		LIST_REMOVE(watch, listener_link);
	if (watch->is_ready)
		TAILQ_REMOVE(&watch->epoll->ready, watch, ready_link);
	if (watch == &watch->socket->first_watch)
		watch->epoll = NULL;
	else
		free(watch);
}

/* For one more of so's; NULL: no memory. */
static struct watch *watch_alloc(struct socket *so)
{
	struct watch *watch = &so->first_watch;

	if (watch->epoll != NULL)
		return calloc(1, sizeof(*watch));
	*watch = (struct watch){0};
	return watch;
}

/* Under epoll.lock. */
static void watch_note_listener(struct watch *watch)
{
	if (watch->is_listener || !socket_has(watch->socket, SOCKET_LISTENING))
		return;
	watch->is_listener = true;
	LIST_INSERT_HEAD(&watch->epoll->listeners, watch, listener_link);
}

/* Under epoll.lock. */
static void watch_arm(struct watch *watch, const struct epoll_event *event)
{
	struct epoll *ep = watch->epoll;
	struct socket *so = watch->socket;

	watch->events = event->events;
	watch->data = event->data;
	watch->disarmed = false;
	if (ep->session != so->session)
		store_relaxed(&ep->contexts, UINT64_C(0));
	ep->session = so->session;
	__atomic_or_fetch(&ep->contexts, socket_contexts(so), __ATOMIC_RELAXED);
	if (socket_has(so, SOCKET_SHARED)) {
		ep->shared = true;
		socket_claim_events(so);
	}
	watch_note_listener(watch);
	/* leat_epoll_wait finds out whether it is. */
	watch_make_ready(watch);
}

static int epoll_add(struct epoll *ep, struct socket *so, const struct epoll_event *event)
{
	struct watch *watch;

	if (socket_has(so, SOCKET_CLOSED))
		return -EBADF;
	if (watch_find(ep, so) != NULL)
		return -EEXIST;
	watch = watch_alloc(so);
	if (watch == NULL)
		return -ENOMEM;
	watch->epoll = ep;
	watch->socket = so;
	watch->next = so->watches;
	so->watches = watch;
	epoll_lock(ep);
	LIST_INSERT_HEAD(&ep->watches, watch, link);
	watch_arm(watch, event);
	epoll_unlock(ep);
	return 0;
}

static int epoll_change(struct epoll *ep, struct socket *so, const struct epoll_event *event)
{
	struct watch *watch = watch_find(ep, so);

	if (watch == NULL)
		return -ENOENT;
	epoll_lock(ep);
	if (event != NULL)
		watch_arm(watch, event);
	else
		watch_unlink(watch);
	epoll_unlock(ep);
	return 0;
}

/* Who sleeps on ep may not look where it is to look now. */
static void epoll_wake(struct epoll *ep, struct session *s)
{
	/* Pairs with the count's increment before the sleeper's check. */
	fence_full();
	if (s != NULL && load_relaxed(&ep->sleepers) != 0)
		wait_wake(s, UINT64_MAX);
}

static int epoll_control(struct epoll *ep, int op, struct socket *so,
			 const struct epoll_event *event)
{
	pthread_mutex_t *lock = watches_lock(so);
	int r = -EINVAL;

	if (op == EPOLL_CTL_ADD)
		r = epoll_add(ep, so, event);
	else if (op == EPOLL_CTL_MOD)
		r = epoll_change(ep, so, event);
	else if (op == EPOLL_CTL_DEL)
		r = epoll_change(ep, so, NULL);
	watches_unlock(lock);
	return r;
}

void epoll_forget(struct socket *so)
{
	pthread_mutex_t *lock = watches_lock(so);

	socket_set(so, SOCKET_CLOSED);
	while (so->watches != NULL) {
		struct epoll *ep = so->watches->epoll;

		epoll_lock(ep);
		watch_unlink(so->watches);
		epoll_unlock(ep);
	}
	watches_unlock(lock);
}

void epoll_moved(struct socket *so, struct leat_cq *cq)
{
	pthread_mutex_t *lock = watches_lock(so);

	for (struct watch *watch = so->watches; watch != NULL; watch = watch->next)
		__atomic_or_fetch(&watch->epoll->contexts, context_bit(cq), __ATOMIC_RELAXED);
	watches_unlock(lock);
}

void epoll_listening(struct socket *so)
{
	pthread_mutex_t *lock = watches_lock(so);

	for (struct watch *watch = so->watches; watch != NULL; watch = watch->next) {
		epoll_lock(watch->epoll);
		watch_note_listener(watch);
		epoll_unlock(watch->epoll);
	}
	watches_unlock(lock);
}

void epoll_destroy(struct epoll *ep)
{
	struct watch *watch;

	epoll_lock(ep);
	while ((watch = LIST_FIRST(&ep->watches)) != NULL) {
		struct socket *so = watch->socket;
		pthread_mutex_t *lock;

		/* In the order of the locks; the socket may be closed in between. */
		epoll_unlock(ep);
		lock = watches_lock(so);
		epoll_lock(ep);
		if (LIST_FIRST(&ep->watches) == watch)
			watch_unlink(watch);
		watches_unlock(lock);
	}
	epoll_unlock(ep);
	if (ep->owner_session != NULL)
		session_put(ep->owner_session);
	if (ep->kernel_fd >= 0)
		close(ep->kernel_fd);
	pthread_mutex_destroy(&ep->lock);
}

/* ---- What is ready ------------------------------------------------------ */

/* Sockets of other contexts that were reported; their events may be had cheaper. */
struct users {
	struct socket *socket[USERS_NOTED];
	unsigned count;
};

static void users_note(struct users *users, struct socket *so, const struct leat_cq *own)
{
	if (own == NULL || users->count == USERS_NOTED || so->session != own->session ||
	    socket_context(so) == own)
		return;
	__atomic_add_fetch(&so->file.refs, 1, __ATOMIC_RELAXED); /* its watch holds it up to here */
	users->socket[users->count++] = so;
}

static void users_tell(struct users *users)
{
	for (unsigned i = 0; i < users->count; i++) {
		socket_note_user(users->socket[i]);
		socket_put(users->socket[i]);
	}
}

/*
 * Takes up to count ready watches off the list; level-triggered ones go back.
 * users NULL: inside own, and the list is left from the first socket on that
 * does not belong to it.
 */
static int epoll_collect(struct epoll *ep, struct epoll_event *events, int count,
			 const struct leat_cq *own, struct users *users)
{
	struct ready_list again = TAILQ_HEAD_INITIALIZER(again);
	struct watch *watch;
	int n = 0;

	while (n < count && (watch = TAILQ_FIRST(&ep->ready)) != NULL) {
		uint32_t wanted = watch->events | EPOLLERR | EPOLLHUP;
		uint32_t mask = 0;

		if (users == NULL && !socket_is_own(watch->socket, own))
			break;
		if (!watch->disarmed)
			mask = users == NULL ? quick_poll(watch->socket, wanted)
					     : socket_poll(watch->socket, wanted);
		mask &= wanted;
		TAILQ_REMOVE(&ep->ready, watch, ready_link);
		watch->is_ready = false;
		if (mask == 0)
			continue;
		events[n++] = (struct epoll_event){.events = mask, .data = watch->data};
		if (users != NULL)
			users_note(users, watch->socket, own);
		if (watch->events & EPOLLONESHOT) {
			watch->disarmed = true;
		} else if (!(watch->events & EPOLLET)) {
			watch->is_ready = true;
			TAILQ_INSERT_TAIL(&again, watch, ready_link);
		}
	}
	TAILQ_CONCAT(&ep->ready, &again, ready_link);
	return n;
}

static bool watch_waits_for_connections(const struct watch *watch, const struct leat_cq *own)
{
	return !watch->disarmed && watch->events & (EPOLLIN | EPOLLRDNORM) &&
	       watch->socket->session == own->session;
}

/* Under epoll.lock: connections may be offered to own while somebody watches for them. */
static void epoll_credit(struct epoll *ep, struct leat_cq *own)
{
	struct watch *watch;

	LIST_FOREACH (watch, &ep->listeners, listener_link) {
		if (!watch_waits_for_connections(watch, own))
			continue;
		listener_credit(watch->socket, own, LISTENER_CREDITS);
		__atomic_or_fetch(&ep->contexts, context_bit(own), __ATOMIC_RELAXED);
	}
}

/* Under epoll.lock: events of shared sockets may have gone elsewhere. */
static void epoll_look_at_shared(struct epoll *ep)
{
	int64_t now = now_us();
	struct watch *watch;

	if (now - ep->shared_us < SHARED_NAP_US)
		return;
	ep->shared_us = now;
	LIST_FOREACH (watch, &ep->watches, link) {
		if (socket_has(watch->socket, SOCKET_SHARED))
			watch_make_ready(watch);
	}
}

struct epoll_wait {
	struct wait wait;
	struct pollfd kernel;
	struct epoll *ep;
	struct session *session; /* NULL: none that lives */
	struct leat_cq *own;
	struct epoll_event *events;
	int count;
	int ready;
	struct users users;
};

static bool epoll_check(struct wait *wait)
{
	struct epoll_wait *w = (struct epoll_wait *)wait;
	struct epoll *ep = w->ep;

	w->kernel = (struct pollfd){.fd = ep->kernel_fd, .events = POLLIN};
	wait->kernel = &w->kernel;
	wait->kernel_count = load_acquire(&ep->has_kernel) ? 1 : 0;
	epoll_lock(ep);
	if (w->session != NULL) {
		wait->contexts = context_bit(w->own);
		if (ep->session == w->session)
			wait->contexts |= load_relaxed(&ep->contexts);
		wait->nap_us = ep->shared ? SHARED_NAP_US : 0;
	}
	if (ep->shared)
		epoll_look_at_shared(ep);
	epoll_unlock(ep);
	if (w->session != NULL)
		contexts_drain(w->session, wait->contexts);
	epoll_lock(ep);
	/* After the queues were emptied: what came may have been taken back, its credit spent. */
	if (w->session != NULL)
		epoll_credit(ep, w->own);
	w->ready = epoll_collect(ep, w->events, w->count, w->own, &w->users);
	epoll_unlock(ep);
	return w->ready > 0;
}

/* Adds what the kernel has to say, if there is room for it. */
static int epoll_add_kernel(struct epoll *ep, struct epoll_event *events, int count, int ready)
{
	int n;

	if (!load_relaxed(&ep->has_kernel) || ready == count)
		return ready;
	n = epoll_wait(ep->kernel_fd, events + ready, count - ready, 0);
	return n > 0 ? ready + n : ready;
}

/* The session whose events to wait for, with a reference, and this thread's context in it. */
static struct session *epoll_session(struct leat_cq **own)
{
	struct session *s = session_current();

	if (s == NULL || context_self(s, own) != 0 || !context_is_alive(*own))
		return NULL; /* sockets of one that is dead are ready; nothing else comes from there */
	session_get(s);
	return s;
}

/* Sets that no thread has yet become the first one's who waits for them. */
static void epoll_adopt(struct epoll *ep, struct leat_cq *own)
{
	if (load_relaxed(&ep->owner) != NULL || load_relaxed(&own->use) != CONTEXT_OWN)
		return;
	epoll_lock(ep);
	if (load_relaxed(&ep->owner) == NULL) {
		session_get(own->session);
		ep->owner_session = own->session;
		store_release(&ep->owner, own);
	}
	epoll_unlock(ep);
}

/* Until something is ready or deadline_us: how many of events were filled, or -errno. */
static int epoll_await(struct epoll *ep, struct epoll_event *events, int count, int64_t deadline_us)
{
	struct epoll_wait w = {
		.wait = {.check = epoll_check, .deadline_us = deadline_us},
		.ep = ep,
		.events = events,
		.count = count,
	};
	int64_t look_us = now_us() + LIVENESS_CHECK_US;
	int r;

	w.session = epoll_session(&w.own);
	if (w.session == NULL) {
		w.own = NULL;
		/* Another thread may attach meanwhile. */
		if (deadline_us > look_us)
			w.wait.deadline_us = look_us;
	}
	if (w.session != NULL)
		epoll_adopt(ep, w.own);
	__atomic_add_fetch(&ep->sleepers, 1, __ATOMIC_SEQ_CST);
	r = wait_run(w.session, &w.wait);
	__atomic_sub_fetch(&ep->sleepers, 1, __ATOMIC_RELAXED);
	if (r == -ENETDOWN)
		(void)epoll_check(&w.wait); /* they tell of it themselves */
	users_tell(&w.users);
	if (w.session != NULL)
		session_put(w.session);
	if (r == -EINTR)
		return r;
	return epoll_add_kernel(ep, events, count, w.ready);
}

/* ---- The quick way ------------------------------------------------------ */

/* The set that epfd names, if all there is to know of it is in cq's own queues. */
static struct epoll *quick_epoll(const struct leat_cq *cq, int epfd)
{
	struct epoll *ep = (struct epoll *)fd_look(epfd);

	if (ep == NULL || ep->file.kind != FILE_EPOLL || load_acquire(&ep->owner) != cq ||
	    ep->shared || load_relaxed(&ep->has_kernel) || ep->session != cq->session ||
	    load_relaxed(&ep->contexts) & ~context_bit(cq))
		return NULL;
	return ep;
}

/* leat_epoll_ctl of a set and a socket that both belong to the calling thread. */
static int quick_control(int epfd, int op, int fd, const struct epoll_event *event)
{
	struct leat_cq *cq = context_enter();
	struct epoll *ep = (struct epoll *)fd_look(epfd);
	struct socket *so = (struct socket *)fd_look(fd);
	int r = QUICK_NOT;

	if (cq == NULL)
		return QUICK_NOT;
	if (ep != NULL && ep->file.kind == FILE_EPOLL && load_relaxed(&ep->owner) == cq &&
	    so != NULL && so->file.kind == FILE_SOCKET && socket_is_own(so, cq))
		r = epoll_control(ep, op, so, event); /* nobody else sleeps on the set */
	context_leave(cq);
	return r;
}

bool quick_forget(struct socket *so, const struct leat_cq *cq)
{
	for (struct watch *watch = so->watches; watch != NULL; watch = watch->next) {
		if (load_relaxed(&watch->epoll->owner) != cq)
			return false;
	}
	while (so->watches != NULL)
		watch_unlink(so->watches);
	return true;
}

/* As epoll_credit, inside cq; false: not done, one of the listeners does not belong to it. */
static bool quick_credit(struct epoll *ep, struct leat_cq *cq)
{
	struct watch *watch;

	LIST_FOREACH (watch, &ep->listeners, listener_link) {
		if (!socket_is_own(watch->socket, cq))
			return false;
		if (watch_waits_for_connections(watch, cq) &&
		    !listener_has_credit(watch->socket, cq, LISTENER_CREDITS))
			listener_credit(watch->socket, cq, LISTENER_CREDITS);
	}
	return true;
}

/* What is ready now; QUICK_NOT: not that simple, and nothing was told. */
static int quick_wait(int epfd, struct epoll_event *events, int count, int timeout)
{
	struct leat_cq *cq = context_enter();
	struct epoll *ep;
	int n = QUICK_NOT;

	if (cq == NULL)
		return QUICK_NOT;
	ep = quick_epoll(cq, epfd);
	if (ep != NULL && context_drain_own(cq) && quick_credit(ep, cq))
		n = epoll_collect(ep, events, count, cq, NULL);
	if (n == 0 && (timeout != 0 || !TAILQ_EMPTY(&ep->ready) || !quick_may_find_nothing(cq)))
		n = QUICK_NOT;
	context_leave(cq);
	return n;
}

/* ---- The calls ---------------------------------------------------------- */

int leat_epoll_create1(int flags)
{
	struct epoll *ep;
	int fd;

	if (flags & ~EPOLL_CLOEXEC)
		return (int)posix_result(-EINVAL);
	ep = (struct epoll *)file_alloc(FILE_EPOLL);
	if (ep == NULL)
		return (int)posix_result(-ENOMEM);
	pthread_mutex_init(&ep->lock, NULL);
	TAILQ_INIT(&ep->ready);
	ep->kernel_fd = -1;
	fd = fd_install(&ep->file);
	if (fd < 0)
		file_put(&ep->file);
	return (int)posix_result(fd);
}

static int epoll_get(int fd, struct epoll **out)
{
	struct file *f;
	int r = fd_get(fd, &f);

	if (r != 0)
		return r;
	if (f->kind != FILE_EPOLL) {
		file_put(f);
		return -EINVAL;
	}
	*out = (struct epoll *)f;
	return 0;
}

static int epoll_control_kernel(struct epoll *ep, int op, int fd, struct epoll_event *event)
{
	epoll_lock(ep);
	if (ep->kernel_fd < 0)
		ep->kernel_fd = epoll_create1(EPOLL_CLOEXEC);
	epoll_unlock(ep);
	if (ep->kernel_fd < 0 || epoll_ctl(ep->kernel_fd, op, fd, event) != 0)
		return -errno;
	store_release(&ep->has_kernel, true);
	epoll_wake(ep, session_current());
	return 0;
}

int leat_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	struct epoll *ep;
	struct socket *so;
	int r = quick_control(epfd, op, fd, event);

	if (r != QUICK_NOT)
		return (int)posix_result(r);
	r = epoll_get(epfd, &ep);
	if (r != 0)
		return (int)posix_result(r);
	if (!leat_is_fd(fd)) {
		r = epoll_control_kernel(ep, op, fd, event);
	} else {
		r = socket_get_any(fd, &so);
		if (r == 0) {
			r = epoll_control(ep, op, so, event);
			if (r == 0 && op != EPOLL_CTL_DEL)
				epoll_wake(ep, so->session);
			socket_put(so);
		} else if (r == -ENOTSOCK) {
			r = -EINVAL;
		}
	}
	file_put(&ep->file);
	return (int)posix_result(r);
}

int leat_epoll_wait(int epfd, struct epoll_event *events, int maxevents, int timeout)
{
	int64_t deadline_us;
	struct epoll *ep;
	int r;

	if (maxevents <= 0)
		return (int)posix_result(-EINVAL);
	r = quick_wait(epfd, events, maxevents, timeout);
	if (r != QUICK_NOT)
		return r;
	deadline_us = timeout < 0 ? WAIT_FOREVER : now_us() + (int64_t)timeout * 1000;
	r = epoll_get(epfd, &ep);
	if (r != 0)
		return (int)posix_result(r);
	while (r == 0) {
		r = epoll_await(ep, events, maxevents, deadline_us);
		if (now_us() >= deadline_us)
			break;
	}
	file_put(&ep->file);
	return (int)posix_result(r);
}

/* ---- fork --------------------------------------------------------------- */

void epoll_fork_prepare(void)
{
	for (unsigned i = 0; i < WATCH_LOCKS; i++)
		pthread_mutex_lock(&watch_locks[i]);
}

void epoll_fork_release(void)
{
	for (unsigned i = 0; i < WATCH_LOCKS; i++)
		pthread_mutex_unlock(&watch_locks[i]);
}

void epoll_fork_child(struct epoll *ep, struct leat_cq *cq)
{
	struct watch *watch;

	pthread_mutex_init(&ep->lock, NULL);
	store_relaxed(&ep->owner, NULL); /* the parent's */
	store_relaxed(&ep->contexts, context_bit(cq));
	LIST_FOREACH (watch, &ep->watches, link)
		ep->shared |= !socket_has(watch->socket, SOCKET_LISTENING);
}
