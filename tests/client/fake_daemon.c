/* SPDX-License-Identifier: BSD-3-Clause */
/* The thread that polls, attaching, begin and end. */
#include "fake_daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_parts.h"
#include "socket.h"
#include "support/test.h"

#define FIRST_PORT 40000

/* ---- The thread --------------------------------------------------------- */

static void *fake_run(void *arg)
{
	struct fake_daemon *d = arg;

	while (!__atomic_load_n(&d->stop, __ATOMIC_ACQUIRE)) {
		pthread_mutex_lock(&d->lock);
		if (!d->paused)
			fake_poll(d);
		pthread_mutex_unlock(&d->lock);
		usleep(20);
	}
	return NULL;
}

void fake_pause(struct fake_daemon *d)
{
	pthread_mutex_lock(&d->lock);
	d->paused = true;
	pthread_mutex_unlock(&d->lock);
}

void fake_resume(struct fake_daemon *d)
{
	pthread_mutex_lock(&d->lock);
	d->paused = false;
	pthread_mutex_unlock(&d->lock);
}

void fake_grant(struct fake_daemon *d, bool grants)
{
	pthread_mutex_lock(&d->lock);
	d->no_chunks = !grants;
	pthread_mutex_unlock(&d->lock);
}

void fake_settle(struct fake_daemon *d)
{
	pthread_mutex_lock(&d->lock);
	fake_poll(d);
	pthread_mutex_unlock(&d->lock);
}

/* ---- Attaching ---------------------------------------------------------- */

/* The one a test runs with. */
static struct fake_daemon *fake;

static int transport_open(struct transport *t)
{
	t->control_fd = fcntl(fake->control[1], F_DUPFD_CLOEXEC, 0);
	return t->control_fd < 0 ? -errno : 0;
}

static void transport_close(struct transport *t)
{
	if (t->control_fd >= 0)
		close(t->control_fd);
	t->control_fd = -1;
}

static int open_context(struct fake_daemon *d, uint32_t process)
{
	for (unsigned c = 0; c < FAKE_CONTEXTS; c++) {
		if (d->context[c].open)
			continue;
		d->context[c].process = process;
		d->context[c].woken_seq = fake_context(d, c)->sleep_seq & ~1u;
		for (unsigned w = 0; w < d->config.workers; w++) {
			struct leat_channel *ch = fake_channel(d, c, w);

			d->context[c].sq_head[w] = ch->sq_head = ch->sq_tail;
			d->context[c].cq_tail[w] = ch->cq_tail = ch->cq_head;
			d->context[c].grant_tail[w] = ch->grant_tail = ch->grant_head;
			d->context[c].starved[w] = false;
		}
		d->context[c].open = true;
		return (int)c;
	}
	return -EMFILE;
}

static int fork_holders(struct fake_daemon *d, uint32_t parent)
{
	uint32_t child = d->processes++;

	for (unsigned i = 0; i < FAKE_WORKERS * FAKE_SLOTS; i++) {
		if (d->sock[i].open && d->sock[i].holders >> parent & 1)
			d->sock[i].holders |= 1u << child;
	}
	return (int)child;
}

static int answer(struct fake_daemon *d, const struct leat_attach_request *request,
		  struct leat_attach_reply *reply, int *fds, unsigned *fd_count)
{
	bool whole = request->op == LEAT_ATTACH_NEW || request->op == LEAT_ATTACH_CHILD;
	int context;

	*reply = (struct leat_attach_reply){.version = LEAT_ABI_VERSION,
					    .workers = d->config.workers,
					    .region_bytes = d->region->size_bytes};
	if (request->op == LEAT_ATTACH_FORK) {
		reply->token = 1000 + (uint64_t)fork_holders(d, 0);
		return 0;
	}
	if (request->op == LEAT_ATTACH_DETACH) {
		d->context[request->value].open = false;
		for (unsigned i = 0; i < d->config.workers * FAKE_SLOTS; i++) {
			if (d->sock[i].context == (int)request->value)
				d->sock[i].context = -1;
		}
		return 0;
	}
	reply->process = request->op == LEAT_ATTACH_CHILD ? (uint32_t)(request->token - 1000) : 0;
	context = open_context(d, reply->process);
	if (context < 0)
		return context;
	reply->context = (uint32_t)context;
	if (whole) {
		fds[(*fd_count)++] = open("/dev/null", O_RDWR | O_CLOEXEC);
		for (unsigned w = 0; w < d->config.workers; w++)
			fds[(*fd_count)++] = fcntl(d->bell[w], F_DUPFD_CLOEXEC, 0);
	}
	fds[(*fd_count)++] = fcntl(d->wake[context][1], F_DUPFD_CLOEXEC, 0);
	return 0;
}

static int transport_request(struct transport *t, const struct leat_attach_request *request,
			     struct leat_attach_reply *reply, int *fds, unsigned *fd_count)
{
	struct fake_daemon *d = fake;

	(void)t;
	*fd_count = 0;
	pthread_mutex_lock(&d->lock);
	reply->result = answer(d, request, reply, fds, fd_count);
	pthread_mutex_unlock(&d->lock);
	return 0;
}

/* ---- Begin and end ------------------------------------------------------ */

static void abandon(void)
{
	if (fake != NULL)
		fake_die(fake);
	fake = NULL;
}

struct fake_daemon *fake_start(const struct fake_config *config)
{
	struct transport t = {
		.open = transport_open, .request = transport_request, .close = transport_close};
	pthread_mutexattr_t attr;
	struct fake_daemon *d;
	struct session *s;

	d = mmap(NULL, sizeof(*d), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	d->config = *config;
	d->processes = 1;
	d->next_port = FIRST_PORT;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&d->lock, &attr);
	fake_lay_out(d);
	for (unsigned c = 0; c < FAKE_CONTEXTS; c++)
		REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, d->wake[c]) == 0);
	for (unsigned w = 0; w < d->config.workers; w++)
		d->bell[w] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, d->control) == 0);
	fake = d;
	test_on_cleanup(abandon);
	REQUIRE(pthread_create(&d->thread, NULL, fake_run, d) == 0);
	t.region = d->base;
	REQUIRE_EQ(fork_watch(), 0);
	REQUIRE_EQ(session_attach(&t, &s), 0);
	session_install(s);
	return d;
}

static void end_thread(struct fake_daemon *d)
{
	if (__atomic_exchange_n(&d->stop, true, __ATOMIC_ACQ_REL))
		return;
	pthread_join(d->thread, NULL);
}

void fake_die(struct fake_daemon *d)
{
	end_thread(d);
	if (d->control[0] >= 0)
		close(d->control[0]);
	d->control[0] = -1;
}

/* Chunks granted and neither in a grant ring nor kept by the library. */
static uint32_t chunks_missing(struct fake_daemon *d)
{
	struct session *s = session_current();
	uint32_t granted = 0, held = 0;

	for (uint32_t i = 0; i < d->config.workers * d->config.chunks; i++)
		granted += d->chunk_state[i] == FAKE_GRANTED;
	for (unsigned c = 0; c < FAKE_CONTEXTS; c++) {
		for (unsigned w = 0; w < d->config.workers && d->context[c].open; w++) {
			held += d->context[c].grant_tail[w] - fake_channel(d, c, w)->grant_head;
			if (s->contexts[c] != NULL)
				held += s->contexts[c]->channel[w].spare_count;
		}
	}
	return granted - held;
}

void fake_stop(struct fake_daemon *d)
{
	/* As the library's next calls would. */
	for (int i = 0; i < 8; i++) {
		contexts_drain(session_current(), UINT64_MAX);
		fake_settle(d);
	}
	pthread_mutex_lock(&d->lock);
	CHECK(d->condemned[0] == '\0');
	if (d->condemned[0] != '\0')
		test_fail(__FILE__, __LINE__, "condemned: %s", d->condemned);
	for (uint32_t i = 0; i < d->config.workers * FAKE_SLOTS; i++)
		CHECK_EQ(d->sock[i].open, false);
	for (uint32_t i = 0; i < d->config.workers * d->config.chunks; i++)
		CHECK(d->chunk_state[i] == FAKE_FREE || d->chunk_state[i] == FAKE_GRANTED);
	CHECK_EQ(chunks_missing(d), 0);
	pthread_mutex_unlock(&d->lock);
	fake_die(d);
	CHECK(!session_is_alive(session_current()));
	for (unsigned c = 0; c < FAKE_CONTEXTS; c++) {
		close(d->wake[c][0]);
		close(d->wake[c][1]);
	}
	for (unsigned w = 0; w < d->config.workers; w++)
		close(d->bell[w]);
	close(d->control[1]);
	fake = NULL;
}
