/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Applications as the control thread knows them: a process and the children
 * it forked, their contexts, one session.
 */
#ifndef LEATD_APPLICATION_H
#define LEATD_APPLICATION_H

#include <sys/types.h>

#include "control.h"
#include "region.h"
#include "shm/session.h"

#define FORK_TOKEN_US  10000000 /* so long a forked child may take to attach */
#define FORK_ORPHAN_US 1000000 /* once its parent is gone */

enum process_state {
	PROCESS_FREE,
	PROCESS_RESERVED, /* forked, not attached yet */
	PROCESS_LIVE,
	PROCESS_EXITING, /* the workers are letting go of its socks */
};

struct process {
	struct watch connection;
	struct watch death; /* pidfd */
	struct application *application;
	enum process_state state;
	uint16_t index;
	uint16_t parent; /* of a reserved one */
	uint64_t token; /* of a reserved one */
	uint64_t deadline_us; /* of a reserved one */
	pid_t pid;
	bool busy; /* a request is being carried out */
	struct task request_task;
	uint16_t request_context; /* what it is about */
	uint16_t request_child;
	int reply_fd; /* the application's end of a wake-up socket; -1: none */
	struct task exit_task;
	uint64_t exit_contexts; /* one bit each */
};

enum context_state { CONTEXT_FREE, CONTEXT_OPEN, CONTEXT_CLOSING };

struct context {
	enum context_state state;
	uint16_t process;
	int wake_fd; /* the daemon's end; the workers use it until the context is free again */
};

/* An application rings: one per worker. */
struct bell {
	struct watch watch; /* eventfd, edge-triggered and never read */
	int fd;
	struct application *application;
	struct letter letter;
	bool pending; /* letter is on its way; cleared by the worker */
};

/* A worker's arena holds nothing of the application any more. */
struct drain {
	struct mail mail;
	struct application *application;
	bool done; /* the worker's own */
};

struct application {
	struct control *control;
	uint32_t id; /* of its session, and its region's place */
	uid_t uid;
	struct region region;
	struct session *session;
	struct bell bells[LEAT_MAX_WORKERS];
	struct context contexts[LEAT_MAX_CONTEXTS];
	struct process processes[LEAT_MAX_PROCESSES];

	/* end */
	bool closing;
	bool close_aborts; /* what close_task does */
	bool aborting;
	uint32_t closing_tasks; /* of the two below, under way */
	struct task close_task;
	struct task abort_task; /* when it turns out later that closing was not enough */
	uint32_t drained_count;
	struct drain drains[LEAT_MAX_WORKERS];
	bool condemned; /* set by the first worker to find something */
	const char *reason;
	struct mail condemned_mail;
	struct application *next_dead;
};

/* Who is at the other end of a connection. */
struct peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	bool inside; /* this process itself */
};

/* LEAT_ATTACH_*: each answers the request, at once or later; result 0 or -errno, with which the
 * caller answers.  They take the connection over when they succeed. */
int application_new(struct control *c, int connection, const struct peer *peer);
int application_child(struct control *c, int connection, const struct peer *peer, uint64_t token);
/* The same for a process that is attached. */
int process_context(struct control *c, struct process *p);
int process_detach(struct control *c, struct process *p, uint32_t context);
int process_fork(struct control *c, struct process *p);
int process_unfork(struct control *c, struct process *p, uint64_t token);

/* The process died, hung up or misbehaved. */
void process_gone(struct control *c, struct process *p);
/* Drops reserved processes whose time is up; microseconds when the next is due, UINT64_MAX: none. */
uint64_t processes_expire(struct control *c, uint64_t now_us);

/* worker_listener's calls, on a worker's thread; arg is the control. */
void application_condemned(void *arg, struct worker *w, struct arena *arena, const char *reason);
void application_arena_drained(void *arg, struct worker *w, struct arena *arena);

/* Its region faulted. */
void application_faulted(struct control *c, uint32_t id);
/* leatd stops: resets every application's connections. */
void applications_abort(struct control *c);
/* Frees those that ended. */
void applications_free_dead(struct control *c);
/* Frees all, once no worker runs. */
void applications_free(struct control *c);

#endif
