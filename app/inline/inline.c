/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inline mode: what leatd is, with the application's loop between the workers'
 * iterations.  The program is an application of the control thread in the same
 * process, and attaches to it like any other.
 */
#include <leat/inline.h>

#include <errno.h>
#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "application.h"
#include "attach.h"
#include "client/inside.h"
#include "control.h"
#include "daemon.h"
#include "log.h"

#define LOOP_SLEEP_US 1000 /* the longest; answers of other workers do not wake */
#define LAST_POLLS    3 /* after the loop is over: what it closed is sent */

enum phase { PHASE_NONE, PHASE_INITIALIZED, PHASE_RUNNING, PHASE_ENDED };

static struct {
	struct leatd leatd;
	uint32_t phase; /* atomic, enum phase; the main thread writes it */
	bool started_eal; /* else the program did, and ends it */
	int stop_fd; /* tells the control thread to end */
	leat_inline_loop *loop;
	void *arg;
	uint32_t looping; /* atomic; workers where the loop is not over */
	bool stopping; /* atomic */
	struct application *inside; /* the program as an application */
} program = {.stop_fd = -1};

static bool is_stopping(void)
{
	return __atomic_load_n(&program.stopping, __ATOMIC_RELAXED);
}

/* ---- A worker and the application on it --------------------------------- */

static void sleep_if_idle(struct worker *w, int64_t limit_us)
{
	if (limit_us > LOOP_SLEEP_US)
		limit_us = LOOP_SLEEP_US;
	if (limit_us > 0 && !is_stopping() && worker_should_sleep(w))
		worker_sleep(w, (uint32_t)limit_us);
}

/* struct leat_own_worker's, while a call of the application waits. */
static int poll_own(void *arg, int64_t limit_us)
{
	struct worker *w = arg;
	unsigned work = worker_poll(w);

	if (work == 0)
		sleep_if_idle(w, limit_us);
	return is_stopping() ? -EINTR : (int)work;
}

static void bell_own(void *arg)
{
	struct worker *w = arg;

	arena_bell(w, &program.inside->session->arenas[w->id]);
}

/* The last one ends the control thread, which ends the workers. */
static void loop_over(struct worker *w)
{
	for (int i = 0; i < LAST_POLLS; i++)
		worker_poll(w);
	if (__atomic_sub_fetch(&program.looping, 1, __ATOMIC_ACQ_REL) == 0)
		(void)eventfd_write(program.stop_fd, 1);
}

/* Until the loop is over on this worker. */
static void run_loop(struct worker *w)
{
	for (;;) {
		unsigned work = worker_poll(w);
		bool last = is_stopping();
		int found = program.loop(w->id, program.arg);

		if (found < 0 || last)
			return;
		if (work == 0 && found == 0)
			sleep_if_idle(w, LOOP_SLEEP_US);
	}
}

static int worker_main(void *unused)
{
	uint16_t id = (uint16_t)rte_lcore_index(-1);
	struct worker *w = program.leatd.worker[id];
	const struct leat_own_worker own = {
		.number = id, .poll = poll_own, .bell = bell_own, .arg = w};

	(void)unused;
	/* In ns: the kernel's 50 us would come on top of each short sleep. */
	(void)prctl(PR_SET_TIMERSLACK, 1ul, 0, 0, 0);
	leat_own_worker_set(&own);
	run_loop(w);
	loop_over(w);
	while (!program.leatd.worker_stop[id]) {
		if (worker_poll(w) == 0 && worker_should_sleep(w))
			worker_sleep(w, LOOP_SLEEP_US);
	}
	leat_own_worker_set(NULL);
	return 0;
}

/* ---- The application inside --------------------------------------------- */

static int inside_connect(void *arg)
{
	int ends[2], ret;

	(void)arg;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return -errno;
	ret = attach_inside(program.leatd.control, ends[1]);
	if (ret == 0)
		return ends[0];
	close(ends[0]);
	close(ends[1]);
	return ret;
}

static void *inside_region(void *arg)
{
	(void)arg;
	program.inside = program.leatd.control->inside;
	return program.inside->region.base;
}

/* No lcore runs yet: the calling thread polls all workers in turn. */
static int poll_all(void *arg, int64_t limit_us)
{
	struct leatd *d = arg;
	unsigned work = 0;

	(void)limit_us;
	for (uint16_t i = 0; i < d->workers; i++)
		work += worker_poll(d->worker[i]);
	return (int)work;
}

static int attach(struct leatd *d)
{
	static const struct leat_inside inside = {.connect = inside_connect,
						  .region = inside_region};
	const struct leat_own_worker all = {.number = LEAT_NO_WORKER, .poll = poll_all, .arg = d};
	int ret;

	d->control->inside_ended = leat_inside_detach;
	leat_own_worker_set(&all);
	ret = leat_inside_attach(&inside);
	leat_own_worker_set(NULL);
	if (ret != 0)
		leatd_log(ERR, "the program cannot attach to itself: %s", strerror(-ret));
	return ret;
}

/* ---- The whole ---------------------------------------------------------- */

static void set_phase(enum phase phase)
{
	__atomic_store_n(&program.phase, phase, __ATOMIC_RELEASE);
}

static int fail(int error)
{
	errno = -error;
	return -1;
}

/* Also at exit: what nobody ran. */
static void end(void)
{
	if (program.phase != PHASE_INITIALIZED)
		return;
	set_phase(PHASE_ENDED);
	daemon_close(&program.leatd);
	if (program.started_eal)
		rte_eal_cleanup();
	if (program.stop_fd >= 0)
		close(program.stop_fd);
}

unsigned leat_inline_workers(void)
{
	return program.leatd.workers;
}

/* The "--" that is followed by --config FILE; 0: there is none. */
static int find_config(int argc, char **argv)
{
	int i = 1;

	while (i < argc && strcmp(argv[i], "--") != 0)
		i++;
	return i + 2 < argc && strcmp(argv[i + 1], "--config") == 0 ? i : 0;
}

int leat_inline_init(int argc, char **argv)
{
	struct leatd *d = &program.leatd;
	int split = find_config(argc, argv), ret;
	char *name = argv[0];
	unsigned contexts;

	if (split == 0 || program.phase != PHASE_NONE) {
		fprintf(stderr, "%s: the stack inside needs: EAL-ARGS -- --config FILE\n",
			program_invocation_short_name);
		return fail(-EINVAL);
	}
	program.started_eal = rte_lcore_count() == 0;
	ret = daemon_init(d, argv[split + 2], split, argv);
	if (ret != 0)
		return fail(ret);
	/* The loop of each worker has a context, and may open a queue of its own beside it. */
	contexts = 2 * rte_lcore_count();
	contexts = RTE_MIN(contexts, (unsigned)LEAT_MAX_CONTEXTS);
	if (d->config.session.contexts < contexts)
		d->config.session.contexts = (uint16_t)contexts;
	set_phase(PHASE_INITIALIZED);
	ret = daemon_open(d);
	if (ret != 0) {
		end();
		return fail(ret);
	}
	atexit(end);
	argv[split + 2] = name;
	return split + 2;
}

/* 0 once the control thread runs and the program is attached. */
static int start(struct leatd *d)
{
	int ret;

	program.stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (program.stop_fd < 0)
		return -errno;
	ret = daemon_start(d, program.stop_fd);
	if (ret != 0)
		return ret;
	ret = attach(d);
	if (ret != 0) {
		(void)eventfd_write(program.stop_fd, 1);
		control_join(d->control);
	}
	return ret;
}

int leat_inline_run(leat_inline_loop *loop, void *arg)
{
	struct leatd *d = &program.leatd;
	int ret;

	if (program.phase != PHASE_INITIALIZED)
		return fail(-EINVAL);
	ret = start(d);
	if (ret == 0) {
		program.loop = loop;
		program.arg = arg;
		program.looping = d->workers;
		set_phase(PHASE_RUNNING);
		leatd_log(INFO, "the program runs on %u worker%s", d->workers,
			  d->workers > 1 ? "s" : "");
		rte_eal_mp_remote_launch(worker_main, NULL, CALL_MAIN);
		rte_eal_mp_wait_lcore();
		control_join(d->control);
		set_phase(PHASE_INITIALIZED);
	}
	end();
	return ret == 0 ? 0 : fail(ret);
}

void leat_inline_stop(void)
{
	if (__atomic_exchange_n(&program.stopping, true, __ATOMIC_SEQ_CST) ||
	    __atomic_load_n(&program.phase, __ATOMIC_ACQUIRE) != PHASE_RUNNING)
		return;
	for (uint16_t i = 0; i < program.leatd.workers; i++)
		worker_interrupt(program.leatd.worker[i]);
}
