/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control thread, whole: it runs as in leatd and serves a socket in a
 * directory of the test's own, while the test polls the workers by hand.
 */
#include "attach.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "application.h"
#include "support/test.h"

#define WORKERS     2
#define CONTEXTS    3
#define APPS        4
#define PATIENCE_US 5000000

static struct leatd leatd;
static bool worker_stop[LEAT_MAX_WORKERS];
static int signal_pipe[2];
static char directory[64];
static uint64_t now_us;
static bool running;

/* An answer with its descriptors. */
struct answer {
	struct leat_attach_reply reply;
	int fds[LEAT_MAX_WORKERS + 2];
	int fd_count;
	bool ended; /* the connection was closed instead */
};

/* ---- A leatd without EAL arguments and main ------------------------------- */

static uint64_t clock_us(void *arg)
{
	(void)arg;
	return now_us += 10;
}

static void random_bytes(void *arg, void *out, size_t length)
{
	(void)arg;
	memset(out, 0x5a, length);
}

static void workers_poll(void)
{
	for (uint16_t i = 0; i < WORKERS; i++)
		worker_poll(leatd.worker[i]);
	sched_yield(); /* the control thread is a real one */
}

static void make_workers(void)
{
	const struct worker_env env = {.clock_us = clock_us, .random = random_bytes};

	for (uint16_t i = 0; i < WORKERS; i++) {
		struct worker_config config = leatd.config.worker;

		config.id = i;
		config.workers = WORKERS;
		config.socket_id = 0;
		config.name = "attach";
		leatd.worker[i] = worker_create(&config, &env);
		REQUIRE(leatd.worker[i] != NULL);
	}
}

static void start_control(void)
{
	leatd.control = control_create(&leatd, signal_pipe[0], worker_stop);
	REQUIRE(leatd.control != NULL);
	for (uint16_t i = 0; i < WORKERS; i++)
		leatd.worker[i]->listener = &leatd.control->listener;
	REQUIRE_EQ(control_start(leatd.control), 0);
	running = true;
}

static void begin(void)
{
	struct session_config session;

	snprintf(directory, sizeof(directory), "/tmp/leat-attach-XXXXXX");
	REQUIRE(mkdtemp(directory) != NULL);
	REQUIRE(pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) == 0);
	memset(&leatd, 0, sizeof(leatd));
	memset(worker_stop, 0, sizeof(worker_stop));
	leatd.workers = WORKERS;
	leatd.config = (struct config){
		.path = "leat.conf",
		.max_applications = APPS,
		.worker = WORKER_CONFIG_DEFAULT,
		.session = SESSION_CONFIG_DEFAULT,
		.access.uids = {.count = 1, .id = {geteuid()}},
	};
	snprintf(leatd.config.socket, sizeof(leatd.config.socket), "%s/run/leatd.sock", directory);
	leatd.config.worker.max_socks = 64;
	leatd.config.worker.max_listeners = 4;
	leatd.config.worker.max_requests = 64;
	leatd.config.worker.max_time_wait = 64;
	leatd.config.worker.mbufs = 1024;
	leatd.config.session.contexts = CONTEXTS;
	leatd.config.session.chunks_per_worker = 64;
	leatd.config.session.slots_per_worker = 64;
	leatd.config.session.grant_entries = 16;
	make_workers();
	session = leatd.config.session;
	session.workers = WORKERS;
	REQUIRE_EQ(
		regions_open(&leatd.regions, session_region_bytes(&session), APPS, false, NULL, 0),
		0);
	start_control();
}

/* SIGTERM, as leatd's signalfd would tell it. */
static void stop(void)
{
	struct signalfd_siginfo info = {.ssi_signo = SIGTERM};

	REQUIRE(write(signal_pipe[1], &info, sizeof(info)) == sizeof(info));
	for (int i = 0; i < PATIENCE_US / 50 && !(worker_stop[0] && worker_stop[1]); i++)
		workers_poll();
	CHECK(worker_stop[0] && worker_stop[1]);
	control_join(leatd.control);
	running = false;
}

static void end(void)
{
	if (running)
		stop();
	for (uint16_t i = 0; i < WORKERS; i++) {
		CHECK_EQ(leatd.worker[i]->sock_count, 0);
		CHECK(LIST_EMPTY(&leatd.worker[i]->arenas));
		worker_destroy(leatd.worker[i]);
	}
	control_free(leatd.control);
	regions_close(&leatd.regions);
	close(signal_pipe[0]);
	close(signal_pipe[1]);
	CHECK_EQ(rmdir(directory), 0); /* nothing is left in it */
}

/* Polls until done(arg), at most PATIENCE_US. */
static bool wait_until(bool (*done)(void *arg), void *arg)
{
	uint64_t end_us = control_now_us() + PATIENCE_US;

	while (!done(arg)) {
		if (control_now_us() > end_us)
			return false;
		workers_poll();
	}
	return true;
}

static bool all_are_free(void *arg)
{
	(void)arg;
	return __atomic_load_n(&leatd.control->live_applications, __ATOMIC_RELAXED) == 0 &&
	       __atomic_load_n(&leatd.control->quarantined_applications, __ATOMIC_RELAXED) == 0;
}

/* ---- An application, hand-made ------------------------------------------- */

static int knock(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", leatd.config.socket);
	REQUIRE(fd >= 0);
	REQUIRE(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	return fd;
}

static void answer_fds(struct answer *a, struct msghdr *message)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);

	if (header == NULL)
		return;
	a->fd_count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	memcpy(a->fds, CMSG_DATA(header), (size_t)a->fd_count * sizeof(int));
}

static struct answer answer(int fd)
{
	struct answer a = {.fd_count = 0};
	char control[CMSG_SPACE(sizeof(a.fds))];
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	struct iovec iov = {.iov_base = &a.reply, .iov_len = sizeof(a.reply)};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	uint64_t end_us = control_now_us() + PATIENCE_US;
	ssize_t n;

	while (poll(&readable, 1, 0) == 0 && control_now_us() < end_us)
		workers_poll();
	n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	a.ended = n <= 0;
	if (n > 0) {
		CHECK_EQ(n, sizeof(a.reply));
		CHECK_EQ(a.reply.version, LEAT_ABI_VERSION);
		answer_fds(&a, &message);
	}
	CHECK(n != -1 || errno != EAGAIN);
	return a;
}

static struct answer ask(int fd, enum leat_attach_op op, uint32_t value, uint64_t token)
{
	struct leat_attach_request request = {
		.version = LEAT_ABI_VERSION, .op = op, .value = value, .token = token};

	REQUIRE(send(fd, &request, sizeof(request), MSG_NOSIGNAL) == sizeof(request));
	return answer(fd);
}

static void close_fds(struct answer *a)
{
	for (int i = 0; i < a->fd_count; i++)
		close(a->fds[i]);
	a->fd_count = 0;
}

/* The result; descriptors are closed. */
static int ask_result(int fd, enum leat_attach_op op, uint32_t value, uint64_t token)
{
	struct answer a = ask(fd, op, value, token);

	close_fds(&a);
	return a.ended ? -ECONNRESET : a.reply.result;
}

static int attached(void)
{
	int fd = knock();

	REQUIRE_EQ(ask_result(fd, LEAT_ATTACH_NEW, 0, 0), 0);
	return fd;
}

/* ---- Attaching ------------------------------------------------------------ */

static void a_new_application_gets_region_bells_and_wake_up(void)
{
	struct leat_region *region;
	struct answer a;
	int fd;

	begin();
	fd = knock();
	a = ask(fd, LEAT_ATTACH_NEW, 0, 0);
	CHECK_EQ(a.reply.result, 0);
	CHECK_EQ(a.reply.workers, WORKERS);
	CHECK_EQ(a.reply.context, 0);
	CHECK_EQ(a.reply.process, 0);
	REQUIRE_EQ(a.fd_count, 1 + WORKERS + 1);
	region = mmap(NULL, a.reply.region_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, a.fds[0], 0);
	REQUIRE(region != MAP_FAILED);
	CHECK_EQ(region->magic, LEAT_ABI_MAGIC);
	CHECK_EQ(region->workers, WORKERS);
	CHECK_EQ(region->contexts, CONTEXTS);
	CHECK_EQ(region->size_bytes, a.reply.region_bytes);
	CHECK_EQ(fcntl(a.fds[0], F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	munmap(region, a.reply.region_bytes);
	close_fds(&a);
	close(fd);
	CHECK(wait_until(all_are_free, NULL));
	end();
}

static bool bells_answered(void *arg)
{
	return leatd.worker[1]->counter[CNT_bells] >= *(uint64_t *)arg;
}

static void a_bell_reaches_its_worker_each_time(void)
{
	struct answer a;
	uint64_t one = 1, before, wanted;
	int fd;

	begin();
	fd = knock();
	a = ask(fd, LEAT_ATTACH_NEW, 0, 0);
	REQUIRE_EQ(a.fd_count, 1 + WORKERS + 1);
	before = leatd.worker[0]->counter[CNT_bells];
	for (wanted = 1; wanted <= 3; wanted++) {
		REQUIRE(write(a.fds[2], &one, sizeof(one)) == sizeof(one));
		CHECK(wait_until(bells_answered, &wanted));
	}
	CHECK_EQ(leatd.worker[0]->counter[CNT_bells], before);
	/* Filled to the brim, it harms only whoever filled it. */
	one = UINT64_MAX - 1 - 3;
	CHECK(write(a.fds[2], &one, sizeof(one)) == sizeof(one));
	CHECK(wait_until(bells_answered, &wanted));
	CHECK_EQ(ask_result(fd, LEAT_ATTACH_CONTEXT, 0, 0), 0);
	close_fds(&a);
	close(fd);
	end();
}

static void another_version_is_told_ours(void)
{
	struct leat_attach_request request = {.version = LEAT_ABI_VERSION + 1,
					      .op = LEAT_ATTACH_NEW};
	struct answer a;
	int fd;

	begin();
	fd = knock();
	/* Its request may well be of another size. */
	REQUIRE(send(fd, &request, sizeof(request) - 8, 0) > 0);
	a = answer(fd);
	CHECK_EQ(a.reply.result, -EPROTONOSUPPORT);
	CHECK(answer(fd).ended);
	close(fd);
	end();
}

static void malformed_requests_end_the_connection(void)
{
	struct leat_attach_request request = {.version = LEAT_ABI_VERSION, .op = LEAT_ATTACH_NEW};
	char large[4096] = {LEAT_ABI_VERSION};
	int fd;

	begin();
	fd = knock();
	REQUIRE(send(fd, &request, sizeof(request) - 1, 0) > 0);
	CHECK_EQ(answer(fd).reply.result, -EINVAL);
	CHECK(answer(fd).ended);
	close(fd);
	fd = knock();
	REQUIRE(send(fd, large, sizeof(large), 0) > 0);
	CHECK_EQ(answer(fd).reply.result, -EINVAL);
	CHECK(answer(fd).ended);
	close(fd);
	fd = knock();
	request.reserved = 1;
	REQUIRE(send(fd, &request, sizeof(request), 0) > 0);
	CHECK_EQ(answer(fd).reply.result, -EINVAL);
	close(fd);
	fd = knock();
	REQUIRE(send(fd, "x", 1, 0) > 0);
	CHECK_EQ(answer(fd).reply.result, -EINVAL);
	close(fd);
	fd = knock();
	CHECK_EQ(ask_result(fd, LEAT_ATTACH_CONTEXT, 0, 0), -EINVAL);
	close(fd);
	fd = knock();
	CHECK_EQ(ask_result(fd, 12345, 0, 0), -EINVAL);
	close(fd);
	/* An attached one is thrown out, too, and its session ends. */
	fd = attached();
	REQUIRE(send(fd, "x", 1, 0) > 0);
	CHECK_EQ(answer(fd).reply.result, -EINVAL);
	CHECK(answer(fd).ended);
	CHECK(wait_until(all_are_free, NULL));
	close(fd);
	end();
}

static int count_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
	return count;
}

static void descriptors_sent_along_are_not_kept(void)
{
	struct leat_attach_request request = {.version = LEAT_ABI_VERSION, .op = 12345};
	struct iovec iov = {.iov_base = &request, .iov_len = sizeof(request)};
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	int fd, before;

	begin();
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	fd = attached();
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	/* With this answer leatd is through with attaching and what it held for it. */
	CHECK_EQ(ask_result(fd, 12345, 0, 0), -EINVAL);
	before = count_descriptors();
	for (int i = 0; i < 10; i++) {
		REQUIRE(sendmsg(fd, &message, 0) > 0);
		CHECK_EQ(answer(fd).reply.result, -EINVAL);
	}
	CHECK_EQ(count_descriptors(), before);
	close(fd);
	end();
}

static void strangers_get_eacces(void)
{
	int fd;

	begin();
	leatd.config.access.uids.id[0] = geteuid() + 1;
	fd = knock();
	CHECK_EQ(ask_result(fd, LEAT_ATTACH_NEW, 0, 0), -EACCES);
	close(fd);
	leatd.config.access.gids = (struct config_ids){.count = 1, .id = {getegid()}};
	fd = attached();
	close(fd);
	end();
}

static void a_crowd_at_the_door_keeps_nobody_out(void)
{
	int crowd[200], fd;

	begin();
	for (int i = 0; i < 200; i++)
		crowd[i] = knock();
	fd = attached();
	close(fd);
	for (int i = 0; i < 200; i++)
		close(crowd[i]);
	end();
}

/* ---- A worker that does not keep up --------------------------------------- */

static unsigned nothing_runs;

static void run_nothing(struct worker *w, struct message *m)
{
	(void)w;
	(void)m;
	nothing_runs++;
}

static void a_full_inbox_delays_and_loses_nothing(void)
{
	struct leat_attach_request request = {.version = LEAT_ABI_VERSION, .op = LEAT_ATTACH_NEW};
	struct message nothing = {.run = run_nothing};
	struct pollfd readable = {.events = POLLIN};
	unsigned posted = 0;
	struct answer a;

	begin();
	nothing_runs = 0;
	while (worker_post(leatd.worker[1], &nothing) == 0)
		posted++;
	readable.fd = knock();
	REQUIRE(send(readable.fd, &request, sizeof(request), 0) == sizeof(request));
	CHECK_EQ(poll(&readable, 1, 20), 0);
	worker_poll(leatd.worker[0]); /* its half is done, the other's is not */
	CHECK_EQ(poll(&readable, 1, 20), 0);
	a = answer(readable.fd);
	CHECK_EQ(a.reply.result, 0);
	CHECK_EQ(a.fd_count, 1 + WORKERS + 1);
	CHECK_EQ(nothing_runs, posted);
	close_fds(&a);
	close(readable.fd);
	CHECK(wait_until(all_are_free, NULL));
	end();
}

/* ---- Limits --------------------------------------------------------------- */

static void contexts_are_limited_and_used_again(void)
{
	struct answer a;
	int fd, other;

	begin();
	fd = attached();
	other = attached();
	for (uint32_t i = 1; i < CONTEXTS; i++) {
		a = ask(fd, LEAT_ATTACH_CONTEXT, 0, 0);
		CHECK_EQ(a.reply.result, 0);
		CHECK_EQ(a.reply.context, i);
		CHECK_EQ(a.fd_count, 1);
		close_fds(&a);
	}
	CHECK_EQ(ask_result(fd, LEAT_ATTACH_CONTEXT, 0, 0), -EMFILE);
	CHECK_EQ(ask_result(fd, LEAT_ATTACH_DETACH, 1, 0), 0);
	CHECK_EQ(ask_result(fd, LEAT_ATTACH_DETACH, 1, 0), -EINVAL);
	CHECK_EQ(ask_result(fd, LEAT_ATTACH_DETACH, 1000000, 0), -EINVAL);
	CHECK_EQ(ask_result(other, LEAT_ATTACH_DETACH, 2, 0), -EINVAL);
	a = ask(fd, LEAT_ATTACH_CONTEXT, 0, 0);
	CHECK_EQ(a.reply.context, 1);
	close_fds(&a);
	close(fd);
	close(other);
	end();
}

static void applications_are_limited_and_their_places_used_again(void)
{
	int fd[APPS], extra;

	begin();
	for (int i = 0; i < APPS; i++)
		fd[i] = attached();
	extra = knock();
	CHECK_EQ(ask_result(extra, LEAT_ATTACH_NEW, 0, 0), -EUSERS);
	close(extra);
	for (int i = 0; i < APPS; i++)
		close(fd[i]);
	CHECK(wait_until(all_are_free, NULL));
	close(attached());
	end();
}

/* ---- Fork ----------------------------------------------------------------- */

static void a_token_admits_one_child_once(void)
{
	struct answer token, child;
	int fd, child_fd;

	begin();
	fd = attached();
	token = ask(fd, LEAT_ATTACH_FORK, 0, 0);
	CHECK_EQ(token.reply.result, 0);
	CHECK(token.reply.token != 0);
	child_fd = knock();
	CHECK_EQ(ask_result(child_fd, LEAT_ATTACH_CHILD, 0, token.reply.token + 1), -EINVAL);
	close(child_fd);
	child_fd = knock();
	child = ask(child_fd, LEAT_ATTACH_CHILD, 0, token.reply.token);
	CHECK_EQ(child.reply.result, 0);
	CHECK_EQ(child.reply.process, 1);
	CHECK_EQ(child.reply.context, 1);
	CHECK_EQ(child.fd_count, 1 + WORKERS + 1);
	close_fds(&child);
	CHECK_EQ(ask_result(fd, LEAT_ATTACH_UNFORK, 0, token.reply.token), -EINVAL);
	/* The parent goes, the child stays. */
	close(fd);
	CHECK_EQ(ask_result(child_fd, LEAT_ATTACH_CONTEXT, 0, 0), 0);
	CHECK_EQ(leatd.control->live_applications, 1);
	close(child_fd);
	CHECK(wait_until(all_are_free, NULL));
	end();
}

static void a_failed_fork_gives_its_token_back(void)
{
	struct answer token;
	int fd, child_fd;

	begin();
	fd = attached();
	for (int i = 0; i < 2 * LEAT_MAX_PROCESSES; i++) {
		token = ask(fd, LEAT_ATTACH_FORK, 0, 0);
		CHECK_EQ(token.reply.result, 0);
		CHECK_EQ(ask_result(fd, LEAT_ATTACH_UNFORK, 0, token.reply.token), 0);
		workers_poll();
	}
	child_fd = knock();
	CHECK_EQ(ask_result(child_fd, LEAT_ATTACH_CHILD, 0, token.reply.token), -EINVAL);
	close(child_fd);
	close(fd);
	end();
}

static void processes_are_limited(void)
{
	int fd;

	begin();
	fd = attached();
	for (int i = 1; i < LEAT_MAX_PROCESSES; i++)
		CHECK_EQ(ask_result(fd, LEAT_ATTACH_FORK, 0, 0), 0);
	CHECK_EQ(ask_result(fd, LEAT_ATTACH_FORK, 0, 0), -EAGAIN);
	close(fd);
	/* Children that never came are given up soon after their parent went. */
	CHECK(wait_until(all_are_free, NULL));
	end();
}

/* ---- The end -------------------------------------------------------------- */

/* Its connection stays open here, so the death alone must tell. */
static void a_dead_process_is_noticed_though_its_connection_is_held(void)
{
	struct leat_attach_request request = {.version = LEAT_ABI_VERSION, .op = LEAT_ATTACH_NEW};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct answer a;
	int connected[2];
	pid_t child;
	char byte;
	int fd;

	begin();
	REQUIRE_EQ(pipe(connected), 0);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", leatd.config.socket);
	child = fork();
	if (child == 0) {
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
			_exit(1);
		if (write(connected[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(connected[1]);
	REQUIRE_EQ(read(connected[0], &byte, 1), 1); /* the child has connected */
	close(connected[0]);
	REQUIRE(send(fd, &request, sizeof(request), MSG_NOSIGNAL) > 0);
	a = answer(fd);
	CHECK_EQ(a.reply.result, 0);
	close_fds(&a);
	CHECK_EQ(leatd.control->pids[0], child);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	CHECK(wait_until(all_are_free, NULL));
	CHECK_EQ(leatd.control->pids[0], 0);
	close(fd);
	end();
}

static void an_impossible_value_ends_only_that_session(void)
{
	struct leat_region *region;
	struct answer a;
	uint64_t one = 1;
	int fd, innocent;

	begin();
	fd = knock();
	a = ask(fd, LEAT_ATTACH_NEW, 0, 0);
	innocent = attached();
	region = mmap(NULL, a.reply.region_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, a.fds[0], 0);
	REQUIRE(region != MAP_FAILED);
	((struct leat_channel *)((char *)region + region->channel_offset))->sq_tail = 1u << 30;
	REQUIRE(write(a.fds[1], &one, sizeof(one)) == sizeof(one));
	CHECK(answer(fd).ended);
	CHECK_EQ(leatd.worker[0]->counter[CNT_sessions_condemned], 1);
	CHECK_EQ(ask_result(innocent, LEAT_ATTACH_CONTEXT, 0, 0), 0);
	munmap(region, a.reply.region_bytes);
	close_fds(&a);
	close(fd);
	close(innocent);
	CHECK(wait_until(all_are_free, NULL));
	end();
}

static void a_fault_in_a_region_ends_that_session(void)
{
	int file = memfd_create("short", MFD_CLOEXEC);
	int fd, innocent;
	uint8_t *base;

	begin();
	fd = attached();
	innocent = attached();
	base = leatd.control->applications[0]->region.base;
	REQUIRE(mmap(base, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) == base);
	*(volatile uint8_t *)base = 1;
	CHECK(answer(fd).ended);
	CHECK_EQ(ask_result(innocent, LEAT_ATTACH_CONTEXT, 0, 0), 0);
	close(file);
	close(fd);
	close(innocent);
	CHECK(wait_until(all_are_free, NULL));
	end();
}

/* ---- The process that has the control thread inside ------------------------ */

static int inside_ended; /* atomic */

static void note_inside_ended(void)
{
	__atomic_add_fetch(&inside_ended, 1, __ATOMIC_SEQ_CST);
}

static void a_process_always_attaches_to_its_own_control_thread(void)
{
	struct leat_attach_request request = {.version = LEAT_ABI_VERSION, .op = LEAT_ATTACH_NEW};
	struct answer a;
	int ends[2];

	begin();
	leatd.config.access.uids.count = 0;
	leatd.control->inside_ended = note_inside_ended;
	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
	REQUIRE_EQ(attach_inside(leatd.control, ends[1]), 0);
	REQUIRE(send(ends[0], &request, sizeof(request), 0) == sizeof(request));
	a = answer(ends[0]);
	CHECK_EQ(a.reply.result, 0);
	CHECK_EQ(leatd.control->inside->region.bytes, a.reply.region_bytes);
	close_fds(&a);
	CHECK_EQ(ask_result(ends[0], LEAT_ATTACH_CONTEXT, 0, 0), 0);
	CHECK_EQ(__atomic_load_n(&inside_ended, __ATOMIC_SEQ_CST), 0);
	stop();
	CHECK_EQ(__atomic_load_n(&inside_ended, __ATOMIC_SEQ_CST), 1);
	close(ends[0]);
	end();
}

static void stopping_lets_go_of_everything(void)
{
	struct stat status;
	struct answer a;
	int fd, forked;

	begin();
	fd = attached();
	forked = attached();
	a = ask(forked, LEAT_ATTACH_FORK, 0, 0);
	CHECK_EQ(a.reply.result, 0);
	CHECK_EQ(stat(leatd.config.socket, &status), 0);
	stop();
	CHECK(answer(fd).ended);
	CHECK(answer(forked).ended);
	CHECK(stat(leatd.config.socket, &status) != 0);
	close(fd);
	close(forked);
	end();
}

/* ---- The socket's path ---------------------------------------------------- */

static void what_a_killed_leatd_left_is_replaced(void)
{
	static struct control second;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int stale, fd;

	begin();
	stop();
	/* A file that nobody listens on any more. */
	stale = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", leatd.config.socket);
	REQUIRE(bind(stale, (struct sockaddr *)&address, sizeof(address)) == 0);
	close(stale);
	control_free(leatd.control);
	memset(worker_stop, 0, sizeof(worker_stop));
	start_control();
	fd = attached();
	/* A living one's is not. */
	second.leatd = &leatd;
	CHECK_EQ(attach_prepare(&second), -EADDRINUSE);
	attach_free(&second);
	CHECK_EQ(ask_result(fd, LEAT_ATTACH_CONTEXT, 0, 0), 0);
	close(fd);
	stop();
	snprintf(directory + strlen(directory), sizeof(directory) - strlen(directory), "/run");
	CHECK_EQ(rmdir(directory), 0); /* it was there before the second one came */
	*strrchr(directory, '/') = '\0';
	end();
}

TEST_SUITE(attach)
{
	TEST(a_new_application_gets_region_bells_and_wake_up);
	TEST(a_bell_reaches_its_worker_each_time);
	TEST(another_version_is_told_ours);
	TEST(malformed_requests_end_the_connection);
	TEST(descriptors_sent_along_are_not_kept);
	TEST(strangers_get_eacces);
	TEST(a_crowd_at_the_door_keeps_nobody_out);
	TEST(a_full_inbox_delays_and_loses_nothing);
	TEST(contexts_are_limited_and_used_again);
	TEST(applications_are_limited_and_their_places_used_again);
	TEST(a_token_admits_one_child_once);
	TEST(a_failed_fork_gives_its_token_back);
	TEST(processes_are_limited);
	TEST(a_dead_process_is_noticed_though_its_connection_is_held);
	TEST(an_impossible_value_ends_only_that_session);
	TEST(a_fault_in_a_region_ends_that_session);
	TEST(a_process_always_attaches_to_its_own_control_thread);
	TEST(stopping_lets_go_of_everything);
	TEST(what_a_killed_leatd_left_is_replaced);
}
