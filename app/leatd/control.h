/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control thread.  Asleep in epoll, it attaches applications, notices
 * their death and passes on what workers tell it.  It never waits for a
 * worker and no worker waits for it: toward workers it posts messages, back
 * comes mail, a list anybody can push to without a lock.
 *
 * Messages to one worker run in the order they were posted, so whatever is
 * posted for a session after arena_attach finds it attached, and nothing
 * follows arena_close.
 */
#ifndef LEATD_CONTROL_H
#define LEATD_CONTROL_H

#include <pthread.h>
#include <rte_mempool.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/queue.h>

#include "core/worker.h"
#include "leatd.h"

struct application;
struct control;
struct guests;

/* A descriptor in the control thread's epoll.  An event is a hint: it may be stale, so ready looks
 * for itself.  The memory lives until the end of the round (control_after_round). */
struct watch {
	void (*ready)(struct control *c, struct watch *watch, uint32_t events);
	int fd; /* -1: none */
};

/* 0 or -errno. */
int watch_add(struct control *c, struct watch *watch, int fd, uint32_t events,
	      void (*ready)(struct control *, struct watch *, uint32_t));
void watch_change(struct control *c, struct watch *watch, uint32_t events);
/* Leaves the descriptor open.  Needed before close: one that was passed to an application stays
 * in the epoll as long as the application has it. */
void watch_remove(struct control *c, struct watch *watch);
/* Removes and closes it. */
void watch_close(struct control *c, struct watch *watch);

/* Something a worker tells the control thread. */
struct mail {
	struct mail *next;
	void (*deliver)(struct control *c, struct mail *mail);
};

/* From any thread, never blocks, never fails.  The mail is the sender's again once delivered. */
void mail_send(struct control *c, struct mail *mail);

/* A message to a worker, which waits here while the worker's inbox is full. */
struct letter {
	struct message message;
	STAILQ_ENTRY(letter) link;
};
STAILQ_HEAD(letter_queue, letter);

void letter_post(struct control *c, uint16_t worker, struct letter *letter);

/* Something to do on every worker: run there, then done on the control thread. */
struct task {
	struct mail mail;
	struct control *control;
	void (*run)(struct worker *w, struct task *task);
	void (*done)(struct control *c, struct task *task);
	uint32_t remaining;
	struct task_part {
		struct letter letter;
		struct task *task;
	} part[LEAT_MAX_WORKERS];
};

/* The task must not be started again before it is done. */
void task_start(struct control *c, struct task *task, void (*run)(struct worker *, struct task *),
		void (*done)(struct control *, struct task *));

struct control {
	struct leatd *leatd;
	pthread_t thread;
	int epoll_fd;
	struct watch mail_watch; /* eventfd */
	struct watch stop_watch;
	struct watch fault_watch;
	struct mail *mail; /* pushed by anybody, latest first */
	struct letter_queue letters[LEAT_MAX_WORKERS];
	struct worker_listener listener;
	struct rte_mempool *neigh_notices;

	struct guests *guests; /* attach.c */
	struct application **applications; /* [config.max_applications], by session id */
	struct application *inside; /* this process's own (attach_inside); NULL: none */
	void (*inside_ended)(void); /* it is told here */
	uint32_t reserved_processes; /* of all of them */
	struct application *dead; /* freed at the end of the round */

	/* Read by other threads. */
	uint32_t live_applications;
	uint32_t quarantined_applications; /* closed, but mbufs still refer to their memory */
	uint32_t *pids; /* [max_applications * LEAT_MAX_PROCESSES], 0: none */

	/* stopping */
	bool stopping;
	bool *worker_stop; /* [workers], each set on its worker's thread */
	struct quit {
		struct letter letter;
		bool *stop;
	} quit[LEAT_MAX_WORKERS];
};

/* Makes everything but the thread; what stop_fd delivers ends it: a signalfd's signal, or an
 * eventfd's count.  NULL: errno, and what is wrong is logged. */
struct control *control_create(struct leatd *leatd, int stop_fd, bool *worker_stop);
/* Lets applications in and starts the thread, which ends after it has told every worker to stop.
 * 0 or -errno; logs what is wrong. */
int control_start(struct control *c);
void control_join(struct control *c);
/* After the workers are gone. */
void control_free(struct control *c);

/* Monotonic. */
uint64_t control_now_us(void);

#endif
