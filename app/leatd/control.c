/* SPDX-License-Identifier: BSD-3-Clause */
#include "control.h"

#include <errno.h>
#include <rte_lcore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "application.h"
#include "attach.h"
#include "log.h"
#include "net/arp.h"

#define EVENTS_PER_ROUND 64
#define LETTER_RETRY_MS  1
#define NEIGH_NOTICES    256

RTE_LOG_REGISTER(leatd_logtype, leatd, INFO);

uint64_t control_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- Descriptors -------------------------------------------------------- */

int watch_add(struct control *c, struct watch *watch, int fd, uint32_t events,
	      void (*ready)(struct control *, struct watch *, uint32_t))
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	*watch = (struct watch){.ready = ready, .fd = fd};
	if (epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0)
		return 0;
	watch->fd = -1;
	return -errno;
}

void watch_change(struct control *c, struct watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	if (watch->fd >= 0)
		epoll_ctl(c->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event);
}

void watch_remove(struct control *c, struct watch *watch)
{
	if (watch->fd >= 0)
		epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	watch->fd = -1;
}

void watch_close(struct control *c, struct watch *watch)
{
	int fd = watch->fd;

	watch_remove(c, watch);
	if (fd >= 0)
		close(fd);
}

/* ---- From workers: mail ------------------------------------------------- */

void mail_send(struct control *c, struct mail *mail)
{
	uint64_t one = 1;

	mail->next = __atomic_load_n(&c->mail, __ATOMIC_RELAXED);
	/* Release: what the mail tells is visible to whoever takes it (mail_deliver). */
	while (!__atomic_compare_exchange_n(&c->mail, &mail->next, mail, true, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED)) {
	}
	/* Fails only when the counter is full, and then the control thread is awake. */
	if (write(c->mail_watch.fd, &one, sizeof(one)) < 0)
		return;
}

static void mail_deliver(struct control *c, struct watch *watch, uint32_t events)
{
	struct mail *mail, *first = NULL;
	uint64_t count;

	(void)events;
	if (read(watch->fd, &count, sizeof(count)) < 0)
		return;
	/* Acquire: pairs with the release in mail_send. */
	mail = __atomic_exchange_n(&c->mail, NULL, __ATOMIC_ACQUIRE);
	while (mail != NULL) { /* oldest first */
		struct mail *next = mail->next;

		mail->next = first;
		first = mail;
		mail = next;
	}
	while (first != NULL) {
		mail = first;
		first = mail->next;
		mail->deliver(c, mail);
	}
}

/* ---- To workers: letters and tasks -------------------------------------- */

/* Posts what waits; true: all of it. */
static bool letters_flush(struct control *c)
{
	bool all = true;

	for (uint16_t i = 0; i < c->leatd->workers; i++) {
		struct letter_queue *queue = &c->letters[i];
		struct letter *letter;

		while ((letter = STAILQ_FIRST(queue)) != NULL) {
			STAILQ_REMOVE_HEAD(queue, link); /* the worker may reuse it at once */
			if (worker_post(c->leatd->worker[i], &letter->message) != 0) {
				STAILQ_INSERT_HEAD(queue, letter, link);
				all = false;
				break;
			}
		}
	}
	return all;
}

void letter_post(struct control *c, uint16_t worker, struct letter *letter)
{
	STAILQ_INSERT_TAIL(&c->letters[worker], letter, link);
}

static void task_deliver(struct control *c, struct mail *mail)
{
	struct task *task = container_of(mail, struct task, mail);

	task->done(c, task);
}

static void task_run_part(struct worker *w, struct message *m)
{
	struct task *task = container_of(m, struct task_part, letter.message)->task;

	task->run(w, task);
	/* Release and acquire: the last one has seen what the others did. */
	if (__atomic_sub_fetch(&task->remaining, 1, __ATOMIC_ACQ_REL) == 0)
		mail_send(task->control, &task->mail);
}

void task_start(struct control *c, struct task *task, void (*run)(struct worker *, struct task *),
		void (*done)(struct control *, struct task *))
{
	task->mail.deliver = task_deliver;
	task->control = c;
	task->run = run;
	task->done = done;
	task->remaining = c->leatd->workers;
	for (uint16_t i = 0; i < c->leatd->workers; i++) {
		task->part[i].letter.message.run = task_run_part;
		task->part[i].task = task;
		letter_post(c, i, &task->part[i].letter);
	}
}

/* ---- Neighbours: what one worker learned, the others are told ----------- */

struct neigh_notice {
	struct mail mail;
	struct task task;
	struct inet_addr address;
	struct rte_ether_addr mac;
	uint16_t learned_by;
	uint8_t netif;
};

static void neigh_notice_run(struct worker *w, struct task *task)
{
	struct neigh_notice *notice = container_of(task, struct neigh_notice, task);

	if (w->id != notice->learned_by && notice->netif < w->netif_count)
		neigh_update(w, w->netif[notice->netif], &notice->address, &notice->mac);
}

static void neigh_notice_done(struct control *c, struct task *task)
{
	rte_mempool_put(c->neigh_notices, container_of(task, struct neigh_notice, task));
}

static void neigh_notice_deliver(struct control *c, struct mail *mail)
{
	struct neigh_notice *notice = container_of(mail, struct neigh_notice, mail);

	task_start(c, &notice->task, neigh_notice_run, neigh_notice_done);
}

/* On the worker's thread. */
static void neigh_learned(void *arg, struct worker *w, uint8_t netif, const struct inet_addr *a,
			  const struct rte_ether_addr *mac)
{
	struct control *c = arg;
	struct neigh_notice *notice;
	void *object;

	if (c->leatd->workers == 1)
		return;
	/* None left: the other workers will ask the neighbour themselves. */
	if (rte_mempool_get(c->neigh_notices, &object) != 0)
		return;
	notice = object;
	notice->mail.deliver = neigh_notice_deliver;
	notice->address = *a;
	notice->mac = *mac;
	notice->learned_by = w->id;
	notice->netif = netif;
	mail_send(c, &notice->mail);
}

/* ---- Stopping ----------------------------------------------------------- */

/* What outlived its application (unsent data) is reset, while the ports still run. */
static void quit_run(struct worker *w, struct message *m)
{
	struct sock *sk;

	while ((sk = LIST_FIRST(&w->socks)) != NULL)
		sk->proto->close(w, sk, true);
	*container_of(m, struct quit, letter.message)->stop = true;
}

/* Applications are reset first, so that their peers learn of it; then the workers leave. */
static void stop(struct control *c)
{
	if (c->stopping)
		return;
	c->stopping = true;
	attach_stop(c);
	applications_abort(c);
	for (uint16_t i = 0; i < c->leatd->workers; i++) {
		c->quit[i].letter.message.run = quit_run;
		c->quit[i].stop = &c->worker_stop[i];
		letter_post(c, i, &c->quit[i].letter);
	}
}

static void stop_ready(struct control *c, struct watch *watch, uint32_t events)
{
	struct signalfd_siginfo info; /* an eventfd's count is shorter */
	ssize_t n = read(watch->fd, &info, sizeof(info));

	(void)events;
	if (n <= 0)
		return;
	if (n == sizeof(info))
		leatd_log(NOTICE, "%s: stopping", strsignal((int)info.ssi_signo));
	stop(c);
}

/* ---- The thread --------------------------------------------------------- */

static void fault_ready(struct control *c, struct watch *watch, uint32_t events)
{
	uint32_t place;

	(void)watch;
	(void)events;
	while ((place = regions_next_fault(&c->leatd->regions)) != UINT32_MAX)
		application_faulted(c, place);
}

static void *control_main(void *arg)
{
	struct control *c = arg;
	struct epoll_event events[EVENTS_PER_ROUND];
	int timeout_ms = -1;

	for (;;) {
		int count = epoll_wait(c->epoll_fd, events, EVENTS_PER_ROUND, timeout_ms);
		bool all_posted;

		for (int i = 0; i < count; i++) {
			struct watch *watch = events[i].data.ptr;

			if (watch->fd >= 0)
				watch->ready(c, watch, events[i].events);
		}
		timeout_ms = attach_expire(c);
		all_posted = letters_flush(c);
		applications_free_dead(c);
		if (all_posted && c->stopping)
			return NULL;
		if (!all_posted)
			timeout_ms = LETTER_RETRY_MS;
	}
}

static int create_watches(struct control *c, int stop_fd)
{
	int mail_fd, ret;

	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll_fd < 0)
		return -errno;
	mail_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (mail_fd < 0)
		return -errno;
	ret = watch_add(c, &c->mail_watch, mail_fd, EPOLLIN, mail_deliver);
	if (ret != 0) {
		close(mail_fd);
		return ret;
	}
	ret = watch_add(c, &c->stop_watch, stop_fd, EPOLLIN, stop_ready);
	if (ret != 0)
		return ret;
	return watch_add(c, &c->fault_watch, c->leatd->regions.fault_fd, EPOLLIN, fault_ready);
}

static int create_tables(struct control *c)
{
	uint32_t applications = c->leatd->config.max_applications;

	c->applications = calloc(applications, sizeof(*c->applications));
	c->pids = calloc((size_t)applications * LEAT_MAX_PROCESSES, sizeof(*c->pids));
	if (c->applications == NULL || c->pids == NULL)
		return -ENOMEM;
	if (c->leatd->workers == 1)
		return 0;
	c->neigh_notices = rte_mempool_create("leatd_neigh", NEIGH_NOTICES,
					      sizeof(struct neigh_notice), 0, 0, NULL, NULL, NULL,
					      NULL, SOCKET_ID_ANY, 0);
	return c->neigh_notices != NULL ? 0 : -ENOMEM;
}

struct control *control_create(struct leatd *leatd, int stop_fd, bool *worker_stop)
{
	struct control *c = calloc(1, sizeof(*c));
	int ret;

	if (c == NULL)
		return NULL;
	c->leatd = leatd;
	c->worker_stop = worker_stop;
	c->epoll_fd = -1;
	c->mail_watch.fd = -1;
	c->stop_watch.fd = -1;
	c->fault_watch.fd = -1;
	c->listener = (struct worker_listener){
		.arg = c,
		.neigh_learned = neigh_learned,
		.session_condemned = application_condemned,
		.arena_drained = application_arena_drained,
	};
	for (uint16_t i = 0; i < LEAT_MAX_WORKERS; i++)
		STAILQ_INIT(&c->letters[i]);
	ret = create_watches(c, stop_fd);
	if (ret == 0)
		ret = create_tables(c);
	if (ret != 0)
		leatd_log(ERR, "cannot set up the control thread: %s", strerror(-ret));
	else
		ret = attach_prepare(c);
	if (ret != 0) {
		control_free(c);
		errno = -ret;
		return NULL;
	}
	return c;
}

int control_start(struct control *c)
{
	int ret = attach_listen(c);

	if (ret != 0)
		return ret;
	ret = rte_ctrl_thread_create(&c->thread, "leat-control", NULL, control_main, c);
	if (ret != 0)
		leatd_log(ERR, "cannot start the control thread: %s", strerror(abs(ret)));
	return -abs(ret);
}

void control_join(struct control *c)
{
	pthread_join(c->thread, NULL);
}

void control_free(struct control *c)
{
	attach_free(c);
	if (c->applications != NULL)
		applications_free(c);
	watch_close(c, &c->mail_watch);
	watch_remove(c, &c->stop_watch);
	watch_remove(c, &c->fault_watch);
	if (c->epoll_fd >= 0)
		close(c->epoll_fd);
	rte_mempool_free(c->neigh_notices);
	free(c->applications);
	free(c->pids);
	free(c);
}
