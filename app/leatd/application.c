/* SPDX-License-Identifier: BSD-3-Clause */
#include "application.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attach.h"
#include "log.h"
#include "sock/holders.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5; older headers lack it */
#endif

static void application_close(struct control *c, struct application *app, bool abort);

static struct arena *arena_of(struct application *app, const struct worker *w)
{
	return &app->session->arenas[w->id];
}

/* Read by the telemetry thread. */
static void set_pid(struct process *p, pid_t pid)
{
	struct application *app = p->application;

	p->pid = pid;
	__atomic_store_n(&app->control->pids[app->id * LEAT_MAX_PROCESSES + p->index],
			 (uint32_t)pid, __ATOMIC_RELAXED);
}

static void set_state(struct process *p, enum process_state state)
{
	struct control *c = p->application->control;

	c->reserved_processes += (state == PROCESS_RESERVED ? 1u : 0u);
	c->reserved_processes -= (p->state == PROCESS_RESERVED ? 1u : 0u);
	p->state = state;
}

/* ---- Bells -------------------------------------------------------------- */

static void bell_run(struct worker *w, struct message *m)
{
	struct bell *bell = container_of(m, struct bell, letter.message);

	/* Cleared before the look at the queues, so that a ring after it posts again. */
	__atomic_store_n(&bell->pending, false, __ATOMIC_SEQ_CST);
	arena_bell(w, arena_of(bell->application, w));
}

static void bell_ready(struct control *c, struct watch *watch, uint32_t events)
{
	struct bell *bell = container_of(watch, struct bell, watch);

	(void)events;
	if (__atomic_exchange_n(&bell->pending, true, __ATOMIC_SEQ_CST))
		return;
	letter_post(c, (uint16_t)(bell - bell->application->bells), &bell->letter);
}

static int bells_open(struct control *c, struct application *app)
{
	for (uint16_t i = 0; i < c->leatd->workers; i++) {
		struct bell *bell = &app->bells[i];
		int ret;

		bell->application = app;
		bell->letter.message.run = bell_run;
		bell->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (bell->fd < 0)
			return -errno;
		ret = watch_add(c, &bell->watch, bell->fd, EPOLLIN | EPOLLET, bell_ready);
		if (ret != 0)
			return ret;
	}
	return 0;
}

/* The control thread listens no more; the descriptors stay open for the workers. */
static void bells_silence(struct control *c, struct application *app)
{
	for (uint16_t i = 0; i < c->leatd->workers; i++)
		watch_remove(c, &app->bells[i].watch);
}

static void bells_close(struct control *c, struct application *app)
{
	bells_silence(c, app);
	for (uint16_t i = 0; i < c->leatd->workers; i++) {
		if (app->bells[i].fd >= 0)
			close(app->bells[i].fd);
		app->bells[i].fd = -1;
	}
}

/* ---- Contexts ----------------------------------------------------------- */

/* A free context with its wake-up socket, for process: its index or -errno.  The application's
 * end goes to *application_end. */
static int context_open(struct application *app, uint16_t process, int *application_end)
{
	int ends[2];

	for (uint16_t i = 0; i < app->session->config.contexts; i++) {
		struct context *context = &app->contexts[i];

		if (context->state != CONTEXT_FREE)
			continue;
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
			return -errno;
		/* Bytes only go toward the application. */
		shutdown(ends[0], SHUT_RD);
		*context = (struct context){
			.state = CONTEXT_OPEN,
			.process = process,
			.wake_fd = ends[0],
		};
		*application_end = ends[1];
		return i;
	}
	return -EMFILE;
}

static void context_free(struct context *context)
{
	if (context->wake_fd >= 0)
		close(context->wake_fd);
	*context = (struct context){.state = CONTEXT_FREE, .wake_fd = -1};
}

/* ---- Processes ---------------------------------------------------------- */

static struct process *process_free_one(struct application *app)
{
	for (uint16_t i = 0; i < LEAT_MAX_PROCESSES; i++) {
		if (app->processes[i].state == PROCESS_FREE)
			return &app->processes[i];
	}
	return NULL;
}

static void death_ready(struct control *c, struct watch *watch, uint32_t events)
{
	(void)events;
	process_gone(c, container_of(watch, struct process, death));
}

/* A pidfd of the process at the other end of the connection; -1: it is gone already, or belongs
 * to a PID namespace we do not see, which is why its hang-up counts too. */
static int peer_pidfd(int connection, pid_t pid)
{
	int fd;
	socklen_t length = sizeof(fd);

	/* Refers to the very process that connected, even if its number is used again. */
	if (getsockopt(connection, SOL_SOCKET, SO_PEERPIDFD, &fd, &length) == 0)
		return fd;
	if (errno != ENOPROTOOPT || pid <= 0)
		return -1;
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* Watches over the process at the other end of connection, which is p's when this succeeds. */
static int process_begin(struct control *c, struct process *p, int connection, pid_t pid)
{
	int pidfd = peer_pidfd(connection, pid);
	int ret = 0;

	if (pidfd < 0 && pid > 0)
		return -ESRCH;
	if (pidfd >= 0)
		ret = watch_add(c, &p->death, pidfd, EPOLLIN, death_ready);
	if (ret != 0) {
		close(pidfd);
		return ret;
	}
	ret = watch_add(c, &p->connection, connection, EPOLLIN, attach_process_ready);
	if (ret != 0) {
		watch_close(c, &p->death);
		return ret;
	}
	set_state(p, PROCESS_LIVE);
	p->busy = false;
	set_pid(p, pid);
	return 0;
}

static void process_disconnect(struct control *c, struct process *p)
{
	watch_close(c, &p->connection);
	watch_close(c, &p->death);
	set_pid(p, 0);
}

/* While a request is carried out, no further one is read. */
static void request_begin(struct control *c, struct process *p,
			  void (*run)(struct worker *, struct task *),
			  void (*done)(struct control *, struct task *))
{
	p->busy = true;
	watch_change(c, &p->connection, 0);
	task_start(c, &p->request_task, run, done);
}

/* Answers the request in hand with the wake-up socket and, for a new process, the session. */
static void request_end(struct control *c, struct process *p, struct leat_attach_reply reply,
			bool with_session)
{
	struct application *app = p->application;
	int fds[LEAT_MAX_WORKERS + 2];
	uint32_t count = 0;

	p->busy = false;
	if (p->state == PROCESS_LIVE) {
		reply.version = LEAT_ABI_VERSION;
		reply.workers = c->leatd->workers;
		reply.process = p->index;
		reply.region_bytes = app->region.bytes;
		if (with_session) {
			fds[count++] = app->region.memfd;
			for (uint16_t i = 0; i < c->leatd->workers; i++)
				fds[count++] = app->bells[i].fd;
		}
		if (p->reply_fd >= 0)
			fds[count++] = p->reply_fd;
		watch_change(c, &p->connection, EPOLLIN);
		if (attach_reply(p->connection.fd, &reply, fds, count) != 0)
			process_gone(c, p);
	}
	if (p->reply_fd >= 0)
		close(p->reply_fd);
	p->reply_fd = -1;
}

/* ---- LEAT_ATTACH_NEW ---------------------------------------------------- */

static void application_free(struct control *c, struct application *app)
{
	for (uint16_t i = 0; i < LEAT_MAX_CONTEXTS; i++)
		context_free(&app->contexts[i]);
	bells_close(c, app);
	if (app->session != NULL)
		session_free(app->session);
	if (app->region.memfd >= 0)
		region_close(&c->leatd->regions, &app->region);
	free(app);
}

static struct application *application_alloc(struct control *c, uint32_t id, uid_t uid)
{
	struct application *app = calloc(1, sizeof(*app));

	if (app == NULL)
		return NULL;
	app->control = c;
	app->id = id;
	app->uid = uid;
	app->region.memfd = -1;
	for (uint16_t i = 0; i < LEAT_MAX_WORKERS; i++) {
		app->bells[i].fd = -1;
		app->bells[i].watch.fd = -1;
	}
	for (uint16_t i = 0; i < LEAT_MAX_CONTEXTS; i++)
		app->contexts[i].wake_fd = -1;
	for (uint16_t i = 0; i < LEAT_MAX_PROCESSES; i++) {
		app->processes[i].application = app;
		app->processes[i].index = i;
		app->processes[i].connection.fd = -1;
		app->processes[i].death.fd = -1;
		app->processes[i].reply_fd = -1;
	}
	return app;
}

static int application_open_session(struct control *c, struct application *app)
{
	const struct worker_config *workers[LEAT_MAX_WORKERS];
	struct session_config config = c->leatd->config.session;
	int ret;

	config.workers = c->leatd->workers;
	config.id = app->id;
	config.uid = (uint32_t)app->uid;
	config.low_ports = config_ids_contain(&c->leatd->config.access.low_ports_uids, app->uid);
	ret = region_open(&c->leatd->regions, app->id, &app->region);
	if (ret != 0)
		return ret;
	app->session = session_create(&config, app->region.base);
	if (app->session == NULL)
		return -ENOMEM;
	for (uint16_t i = 0; i < c->leatd->workers; i++)
		workers[i] = &c->leatd->worker[i]->config;
	region_place(&app->region, &app->session->layout, workers);
	return bells_open(c, app);
}

static void new_run(struct worker *w, struct task *task)
{
	struct process *p = container_of(task, struct process, request_task);
	struct application *app = p->application;
	struct arena *arena = arena_of(app, w);

	arena_attach(w, arena);
	/* Without it a sleeping worker hears of a bell from the control thread. */
	(void)worker_watch(w, app->bells[w->id].fd, arena);
	channel_open(w, arena, p->request_context, p->index,
		     app->contexts[p->request_context].wake_fd);
}

static void new_done(struct control *c, struct task *task)
{
	struct process *p = container_of(task, struct process, request_task);

	request_end(c, p, (struct leat_attach_reply){.context = p->request_context}, true);
}

int application_new(struct control *c, int connection, const struct peer *peer)
{
	struct application *app;
	struct process *p;
	uint32_t id = 0;
	int ret;

	while (id < c->leatd->config.max_applications && c->applications[id] != NULL)
		id++;
	if (id == c->leatd->config.max_applications)
		return -EUSERS;
	app = application_alloc(c, id, peer->uid);
	if (app == NULL)
		return -ENOMEM;
	p = &app->processes[0];
	ret = application_open_session(c, app);
	if (ret == 0)
		ret = context_open(app, p->index, &p->reply_fd);
	if (ret >= 0) {
		p->request_context = (uint16_t)ret;
		ret = process_begin(c, p, connection, peer->pid);
	}
	if (ret != 0) {
		if (p->reply_fd >= 0)
			close(p->reply_fd);
		application_free(c, app);
		return ret;
	}
	c->applications[id] = app;
	if (peer->inside)
		c->inside = app;
	__atomic_add_fetch(&c->live_applications, 1, __ATOMIC_RELAXED);
	leatd_log(DEBUG, "application %u attached: pid %d, uid %u, %llu bytes%s", id,
		  (int)peer->pid, (unsigned)peer->uid, (unsigned long long)app->region.bytes,
		  app->region.huge ? " in huge pages" : "");
	request_begin(c, p, new_run, new_done);
	return 0;
}

/* ---- LEAT_ATTACH_CONTEXT, LEAT_ATTACH_CHILD, LEAT_ATTACH_DETACH --------- */

static void context_run(struct worker *w, struct task *task)
{
	struct process *p = container_of(task, struct process, request_task);

	channel_open(w, arena_of(p->application, w), p->request_context, p->index,
		     p->application->contexts[p->request_context].wake_fd);
}

static void context_done(struct control *c, struct task *task)
{
	struct process *p = container_of(task, struct process, request_task);

	request_end(c, p, (struct leat_attach_reply){.context = p->request_context}, false);
}

int process_context(struct control *c, struct process *p)
{
	int ret = context_open(p->application, p->index, &p->reply_fd);

	if (ret < 0)
		return ret;
	p->request_context = (uint16_t)ret;
	request_begin(c, p, context_run, context_done);
	return 0;
}

static struct process *find_token(struct control *c, uint64_t token)
{
	for (uint32_t id = 0; id < c->leatd->config.max_applications; id++) {
		struct application *app = c->applications[id];

		if (app == NULL || app->closing)
			continue;
		for (uint16_t i = 0; i < LEAT_MAX_PROCESSES; i++) {
			if (app->processes[i].state == PROCESS_RESERVED &&
			    app->processes[i].token == token)
				return &app->processes[i];
		}
	}
	return NULL;
}

/* The token is the child's right to attach: it may have changed its user since it was forked. */
int application_child(struct control *c, int connection, const struct peer *peer, uint64_t token)
{
	struct process *p = find_token(c, token);
	int ret;

	if (p == NULL)
		return -EINVAL;
	ret = context_open(p->application, p->index, &p->reply_fd);
	if (ret < 0)
		return ret;
	p->request_context = (uint16_t)ret;
	ret = process_begin(c, p, connection, peer->pid);
	if (ret != 0) {
		close(p->reply_fd);
		p->reply_fd = -1;
		context_free(&p->application->contexts[p->request_context]);
		return ret;
	}
	leatd_log(DEBUG, "application %u: pid %d attached as forked child", p->application->id,
		  (int)peer->pid);
	request_begin(c, p, context_run, new_done);
	return 0;
}

static void detach_run(struct worker *w, struct task *task)
{
	struct process *p = container_of(task, struct process, request_task);

	channel_close(w, arena_of(p->application, w), p->request_context);
}

static void detach_done(struct control *c, struct task *task)
{
	struct process *p = container_of(task, struct process, request_task);

	context_free(&p->application->contexts[p->request_context]);
	request_end(c, p, (struct leat_attach_reply){.context = p->request_context}, false);
}

int process_detach(struct control *c, struct process *p, uint32_t context)
{
	struct context *contexts = p->application->contexts;

	if (context >= LEAT_MAX_CONTEXTS || contexts[context].state != CONTEXT_OPEN ||
	    contexts[context].process != p->index)
		return -EINVAL;
	contexts[context].state = CONTEXT_CLOSING;
	p->request_context = (uint16_t)context;
	request_begin(c, p, detach_run, detach_done);
	return 0;
}

/* ---- LEAT_ATTACH_FORK, LEAT_ATTACH_UNFORK ------------------------------- */

static void fork_run(struct worker *w, struct task *task)
{
	struct process *p = container_of(task, struct process, request_task);

	arena_fork(w, arena_of(p->application, w), p->index, p->request_child);
}

static void fork_done(struct control *c, struct task *task)
{
	struct process *p = container_of(task, struct process, request_task);
	struct process *child = &p->application->processes[p->request_child];

	request_end(c, p, (struct leat_attach_reply){.token = child->token}, false);
}

int process_fork(struct control *c, struct process *p)
{
	struct process *child = process_free_one(p->application);

	if (child == NULL)
		return -EAGAIN;
	do {
		if (getrandom(&child->token, sizeof(child->token), 0) != sizeof(child->token))
			return -EIO;
	} while (child->token == 0 || find_token(c, child->token) != NULL);
	set_state(child, PROCESS_RESERVED);
	child->parent = p->index;
	child->deadline_us = control_now_us() + FORK_TOKEN_US;
	p->request_child = child->index;
	request_begin(c, p, fork_run, fork_done);
	return 0;
}

int process_unfork(struct control *c, struct process *p, uint64_t token)
{
	struct process *child = find_token(c, token);

	if (child == NULL || child->application != p->application || child->parent != p->index)
		return -EINVAL;
	process_gone(c, child);
	return attach_reply(p->connection.fd,
			    &(struct leat_attach_reply){.version = LEAT_ABI_VERSION,
							.workers = c->leatd->workers,
							.process = p->index},
			    NULL, 0);
}

uint64_t processes_expire(struct control *c, uint64_t now_us)
{
	uint64_t next_us = UINT64_MAX;

	if (c->reserved_processes == 0)
		return next_us;
	for (uint32_t id = 0; id < c->leatd->config.max_applications; id++) {
		struct application *app = c->applications[id];

		for (uint16_t i = 0; app != NULL && i < LEAT_MAX_PROCESSES; i++) {
			struct process *p = &app->processes[i];

			if (p->state != PROCESS_RESERVED)
				continue;
			if (p->deadline_us <= now_us)
				process_gone(c, p);
			else if (p->deadline_us < next_us)
				next_us = p->deadline_us;
		}
	}
	return next_us;
}

/* ---- The end of a process ----------------------------------------------- */

static void exit_run(struct worker *w, struct task *task)
{
	struct process *p = container_of(task, struct process, exit_task);

	arena_process_exit(w, arena_of(p->application, w), p->index);
}

static void exit_done(struct control *c, struct task *task)
{
	struct process *p = container_of(task, struct process, exit_task);

	(void)c;
	for (uint64_t left = p->exit_contexts; left != 0; left &= left - 1)
		context_free(&p->application->contexts[__builtin_ctzll(left)]);
	set_state(p, PROCESS_FREE);
}

/* Is any process left that holds socks or will? */
static bool application_has_process(const struct application *app)
{
	for (uint16_t i = 0; i < LEAT_MAX_PROCESSES; i++) {
		if (app->processes[i].state == PROCESS_LIVE ||
		    app->processes[i].state == PROCESS_RESERVED)
			return true;
	}
	return false;
}

/* Children it forked that have not attached yet get a last short time: it may have ended on
 * purpose right after the fork, as daemons do. */
static void process_orphan_children(struct process *parent)
{
	uint64_t deadline_us = control_now_us() + FORK_ORPHAN_US;

	for (uint16_t i = 0; i < LEAT_MAX_PROCESSES; i++) {
		struct process *p = &parent->application->processes[i];

		if (p->state == PROCESS_RESERVED && p->parent == parent->index &&
		    p->deadline_us > deadline_us)
			p->deadline_us = deadline_us;
	}
}

void process_gone(struct control *c, struct process *p)
{
	struct application *app = p->application;

	if (p->state != PROCESS_LIVE && p->state != PROCESS_RESERVED)
		return;
	process_disconnect(c, p);
	set_state(p, PROCESS_EXITING);
	p->exit_contexts = 0;
	for (uint16_t i = 0; i < LEAT_MAX_CONTEXTS; i++) {
		if (app->contexts[i].state == CONTEXT_OPEN &&
		    app->contexts[i].process == p->index) {
			app->contexts[i].state = CONTEXT_CLOSING;
			p->exit_contexts |= 1ull << i;
		}
	}
	process_orphan_children(p);
	task_start(c, &p->exit_task, exit_run, exit_done);
	if (!application_has_process(app))
		application_close(c, app, false);
}

/* ---- The end of an application ------------------------------------------ */

static void application_try_free(struct control *c, struct application *app)
{
	if (app->closing_tasks != 0 || app->drained_count != c->leatd->workers)
		return;
	c->applications[app->id] = NULL;
	__atomic_sub_fetch(&c->quarantined_applications, 1, __ATOMIC_RELAXED);
	app->next_dead = c->dead;
	c->dead = app;
}

static void close_on_worker(struct worker *w, struct application *app, bool abort)
{
	if (!app->drains[w->id].done)
		arena_close(w, arena_of(app, w), abort);
}

static void close_run(struct worker *w, struct task *task)
{
	struct application *app = container_of(task, struct application, close_task);

	worker_unwatch(w, app->bells[w->id].fd);
	close_on_worker(w, app, app->close_aborts);
}

static void abort_run(struct worker *w, struct task *task)
{
	close_on_worker(w, container_of(task, struct application, abort_task), true);
}

static void closing_done(struct control *c, struct application *app)
{
	app->closing_tasks--;
	application_try_free(c, app);
}

static void close_done(struct control *c, struct task *task)
{
	struct application *app = container_of(task, struct application, close_task);

	/* No worker uses these any more. */
	bells_close(c, app);
	for (uint16_t i = 0; i < LEAT_MAX_CONTEXTS; i++)
		context_free(&app->contexts[i]);
	closing_done(c, app);
}

static void abort_done(struct control *c, struct task *task)
{
	closing_done(c, container_of(task, struct application, abort_task));
}

static void application_silence(struct control *c, struct application *app)
{
	bells_silence(c, app);
	for (uint16_t i = 0; i < LEAT_MAX_PROCESSES; i++) {
		if (app->processes[i].state == PROCESS_FREE)
			continue;
		process_disconnect(c, &app->processes[i]);
		set_state(&app->processes[i], PROCESS_EXITING);
	}
}

/* A second call matters only when it asks to abort what the first one closed. */
static void application_close(struct control *c, struct application *app, bool abort)
{
	if (!app->closing) {
		app->closing = true;
		app->close_aborts = abort;
		app->aborting = abort;
		app->closing_tasks++;
		__atomic_sub_fetch(&c->live_applications, 1, __ATOMIC_RELAXED);
		__atomic_add_fetch(&c->quarantined_applications, 1, __ATOMIC_RELAXED);
		application_silence(c, app);
		if (app == c->inside) {
			c->inside = NULL;
			c->inside_ended();
		}
		task_start(c, &app->close_task, close_run, close_done);
		leatd_log(DEBUG, "application %u ended", app->id);
	} else if (abort && !app->aborting) {
		app->aborting = true;
		app->closing_tasks++;
		task_start(c, &app->abort_task, abort_run, abort_done);
	}
}

static void drained_deliver(struct control *c, struct mail *mail)
{
	struct application *app = container_of(mail, struct drain, mail)->application;

	app->drained_count++;
	application_try_free(c, app);
}

void application_arena_drained(void *arg, struct worker *w, struct arena *arena)
{
	struct control *c = arg;
	struct application *app = c->applications[arena->session->config.id];
	struct drain *drain = &app->drains[w->id];

	if (drain->done)
		return;
	drain->done = true;
	drain->application = app;
	drain->mail.deliver = drained_deliver;
	mail_send(c, &drain->mail);
}

static void condemned_deliver(struct control *c, struct mail *mail)
{
	struct application *app = container_of(mail, struct application, condemned_mail);

	leatd_log(NOTICE, "application %u (uid %u) ended: %s", app->id, (unsigned)app->uid,
		  app->reason);
	application_close(c, app, true);
}

void application_condemned(void *arg, struct worker *w, struct arena *arena, const char *reason)
{
	struct control *c = arg;
	struct application *app = c->applications[arena->session->config.id];

	(void)w;
	if (__atomic_exchange_n(&app->condemned, true, __ATOMIC_ACQ_REL))
		return;
	app->reason = reason;
	app->condemned_mail.deliver = condemned_deliver;
	mail_send(c, &app->condemned_mail);
}

void application_faulted(struct control *c, uint32_t id)
{
	struct application *app = c->applications[id];

	if (app == NULL || __atomic_exchange_n(&app->condemned, true, __ATOMIC_ACQ_REL))
		return;
	leatd_log(NOTICE, "application %u (uid %u) ended: its memory was taken away", app->id,
		  (unsigned)app->uid);
	application_close(c, app, true);
}

void applications_abort(struct control *c)
{
	for (uint32_t id = 0; id < c->leatd->config.max_applications; id++) {
		if (c->applications[id] != NULL)
			application_close(c, c->applications[id], true);
	}
}

void applications_free_dead(struct control *c)
{
	while (c->dead != NULL) {
		struct application *app = c->dead;

		c->dead = app->next_dead;
		application_free(c, app);
	}
}

void applications_free(struct control *c)
{
	applications_free_dead(c);
	for (uint32_t id = 0; id < c->leatd->config.max_applications; id++) {
		if (c->applications[id] == NULL)
			continue;
		for (uint16_t i = 0; i < LEAT_MAX_PROCESSES; i++) {
			struct process *p = &c->applications[id]->processes[i];

			process_disconnect(c, p);
			if (p->reply_fd >= 0)
				close(p->reply_fd);
		}
		application_free(c, c->applications[id]);
		c->applications[id] = NULL;
	}
}
