/* SPDX-License-Identifier: BSD-3-Clause */
#include "inside.h"

#include "session.h"

__thread struct own_worker own_worker = {.worker.number = LEAT_NO_WORKER};

/* ---- Attaching ---------------------------------------------------------- */

static int inside_open(struct transport *t)
{
	int fd = t->inside->connect(t->inside->arg);

	if (fd < 0)
		return fd;
	t->control_fd = fd;
	return 0;
}

int leat_inside_attach(const struct leat_inside *inside)
{
	struct transport t;
	struct session *s;
	int r;

	transport_unix(&t, "");
	t.open = inside_open;
	t.inside = inside;
	r = session_attach(&t, &s);
	if (r == 0)
		session_install(s);
	return r;
}

void leat_inside_detach(void)
{
	struct session *s = session_current();

	if (s != NULL)
		session_mark_dead(s);
}

/* ---- The thread's own worker -------------------------------------------- */

void leat_own_worker_set(const struct leat_own_worker *w)
{
	struct session *s = session_current();

	own_worker = (struct own_worker){.worker.number = LEAT_NO_WORKER};
	if (w == NULL)
		return;
	own_worker.worker = *w;
	if (w->number == LEAT_NO_WORKER || s == NULL)
		return;
	own_worker.first_slot = w->number * s->layout.slots_per_worker;
	own_worker.slot_count = s->layout.slots_per_worker;
}

int own_worker_poll(int64_t limit_us)
{
	return own_worker.worker.poll(own_worker.worker.arg, limit_us);
}

void lock_polling(pthread_mutex_t *mutex)
{
	if (!own_worker_runs()) {
		pthread_mutex_lock(mutex);
		return;
	}
	while (pthread_mutex_trylock(mutex) != 0)
		(void)own_worker_poll(0);
}
