/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inline mode: threads that run a worker themselves.  The daemon's thread plays
 * the worker here, so the thread's own "iterations" are the test's to count and
 * to fill.
 */
#include <errno.h>
#include <leat/leat.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "helpers.h"
#include "socket.h"
#include "support/test.h"

/* What the thread's worker does. */
static struct {
	unsigned polls;
	unsigned bells;
	int64_t limit_us; /* of the last iteration */
	bool stopping;
	unsigned act_at; /* the iteration in which act is called; 0: never */
	void (*act)(void *arg);
	void *arg;
} own;

static int own_poll(void *arg, int64_t limit_us)
{
	(void)arg;
	own.limit_us = limit_us;
	if (++own.polls == own.act_at)
		own.act(own.arg);
	(void)sched_yield(); /* the daemon's thread is a real one */
	return own.stopping ? -EINTR : 0;
}

static void own_bell(void *arg)
{
	(void)arg;
	own.bells++;
}

/* The calling thread runs worker of a daemon with two. */
static struct fake_daemon *begin(uint32_t worker)
{
	const struct leat_own_worker w = {.number = worker, .poll = own_poll, .bell = own_bell};
	struct fake_config config = FAKE_CONFIG_DEFAULT;
	struct fake_daemon *d;

	config.workers = 2;
	d = fake_start(&config);
	memset(&own, 0, sizeof(own));
	leat_own_worker_set(&w);
	return d;
}

static void end(struct fake_daemon *d)
{
	leat_own_worker_set(NULL);
	fake_stop(d);
}

/* In the iteration that many from now on. */
static void act_in(unsigned iterations, void (*act)(void *arg), void *arg)
{
	own.polls = 0;
	own.act_at = iterations;
	own.act = act;
	own.arg = arg;
}

struct delivery {
	struct fake_daemon *d;
	int fd;
};

static void deliver(void *arg)
{
	const struct delivery *delivery = arg;

	fake_deliver(delivery->d, fake_handle(delivery->fd, 0), "x", 1);
}

/* ---- Waiting ------------------------------------------------------------ */

static void a_call_that_waits_runs_the_worker(void)
{
	struct fake_daemon *d = begin(1);
	struct delivery x = {d, connected_stream()};
	unsigned wakeups = d->wakeups;
	char byte = 0;

	act_in(1000, deliver, &x);
	CHECK_EQ(leat_recv(x.fd, &byte, 1, 0), 1);
	CHECK_EQ(byte, 'x');
	CHECK(own.polls >= 1000);
	CHECK_EQ(own.limit_us, INT64_MAX);
	CHECK_EQ(d->wakeups, wakeups); /* it never slept */
	leat_close(x.fd);
	end(d);
}

static void a_call_with_a_deadline_lets_the_worker_sleep_no_longer(void)
{
	struct fake_daemon *d = begin(0);
	struct timeval timeout = {.tv_usec = 3000};
	struct leat_cq *cq;
	struct leat_cqe *cqe;
	int fd = connected_stream();
	char byte = 0;

	CHECK_EQ(leat_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), 0);
	act_in(0, NULL, NULL);
	CHECK_EQ(leat_recv(fd, &byte, 1, 0), -1);
	CHECK_EQ(errno, EAGAIN);
	CHECK(own.polls > 0);
	CHECK_RANGE(own.limit_us, 1, 3000);
	REQUIRE_EQ(leat_cq_open(&cq), 0);
	CHECK_EQ(leat_cq_wait(cq, &cqe, 2000), -ETIME);
	CHECK_RANGE(own.limit_us, 1, 2000);
	leat_close(fd);
	end(d); /* which accounts for the queue's chunks */
	leat_cq_close(cq);
}

static void a_call_that_does_not_wait_leaves_the_worker_alone(void)
{
	struct fake_daemon *d = begin(0);
	int fd = connected_stream(), ep = leat_epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN};
	char byte = 0;

	CHECK_EQ(leat_epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event), 0);
	own.polls = 0;
	CHECK_EQ(leat_recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	CHECK_EQ(leat_epoll_wait(ep, &event, 1, 0), 0);
	CHECK_EQ(leat_send(fd, "x", 1, 0), 1);
	CHECK_EQ(own.polls, 0);
	leat_close(ep);
	leat_close(fd);
	end(d);
}

static void stopping_ends_a_wait_but_not_the_way_to_an_answer(void)
{
	struct fake_daemon *d = begin(0);
	int fd = connected_stream(), yes = 1;
	char byte = 0;

	own.stopping = true;
	CHECK_EQ(leat_recv(fd, &byte, 1, 0), -1);
	CHECK_EQ(errno, EINTR);
	CHECK_EQ(leat_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)), 0);
	CHECK_EQ(leat_shutdown(fd, SHUT_WR), 0);
	leat_close(fd);
	end(d);
}

static void die(void *arg)
{
	(void)arg;
	leat_inside_detach();
}

static void the_end_of_the_control_thread_ends_a_wait(void)
{
	struct fake_daemon *d = begin(0);
	int fd = connected_stream();
	char byte = 0;

	act_in(10, die, NULL);
	CHECK_EQ(leat_recv(fd, &byte, 1, 0), -1);
	CHECK_EQ(errno, ENETDOWN);
	leat_close(fd);
	leat_own_worker_set(NULL);
	fake_die(d);
}

static void write_byte(void *arg)
{
	CHECK_EQ(write(*(int *)arg, "k", 1), 1);
}

static void kernel_descriptors_end_a_wait_as_well(void)
{
	struct fake_daemon *d = begin(0);
	int fd = connected_stream(), ends[2];
	struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.events = POLLIN}};

	REQUIRE_EQ(pipe(ends), 0);
	fds[1].fd = ends[0];
	act_in(10, write_byte, &ends[1]);
	CHECK_EQ(leat_poll(fds, 2, -1), 1);
	CHECK_EQ(fds[1].revents, POLLIN);
	CHECK_EQ(own.polls, 10);
	close(ends[0]);
	close(ends[1]);
	leat_close(fd);
	end(d);
}

static void unlock(void *mutex)
{
	pthread_mutex_unlock(mutex);
}

static void who_waits_for_a_lock_runs_the_worker(void)
{
	struct fake_daemon *d = begin(0);
	struct session *s = session_current();
	struct leat_cq *cq;

	/* As somebody would who waits for this worker's answer. */
	pthread_mutex_lock(&s->lock);
	act_in(20, unlock, &s->lock);
	CHECK_EQ(leat_cq_open(&cq), 0);
	CHECK_EQ(own.polls, 20);
	end(d);
	leat_cq_close(cq);
}

/* ---- Submitting --------------------------------------------------------- */

static uint64_t bell_rings(struct fake_daemon *d, unsigned worker)
{
	eventfd_t count = 0;

	(void)eventfd_read(d->bell[worker], &count);
	return count;
}

static void the_own_worker_needs_no_system_call_to_hear(void)
{
	struct fake_daemon *d = begin(1);
	struct leat_sqe sqe = {.op = LEAT_OP_UNCREDIT}; /* of a stale handle: nothing happens */
	struct leat_cq *cq;

	REQUIRE_EQ(leat_cq_open(&cq), 0);
	fake_pause(d);
	CHECK_EQ(leat_cq_submit(cq, 1, &sqe), 0);
	CHECK_EQ(own.bells, 0);
	for (unsigned worker = 0; worker < 2; worker++)
		cq->channel[worker].shared->doorbell = 1;
	(void)bell_rings(d, 0);
	(void)bell_rings(d, 1);
	CHECK_EQ(leat_cq_submit(cq, 1, &sqe), 0);
	CHECK_EQ(own.bells, 1);
	CHECK_EQ(bell_rings(d, 1), 0);
	CHECK_EQ(leat_cq_submit(cq, 0, &sqe), 0); /* another one does */
	CHECK_EQ(own.bells, 1);
	CHECK_EQ(bell_rings(d, 0), 1);
	for (unsigned worker = 0; worker < 2; worker++)
		cq->channel[worker].shared->doorbell = 0;
	fake_resume(d);
	fake_settle(d);
	end(d);
	leat_cq_close(cq);
}

/* ---- Where sockets live ------------------------------------------------- */

static void a_socket_lives_on_its_own_worker_alone(void)
{
	struct fake_daemon *d = begin(1);
	int fds[3] = {listening_stream(), connected_stream(), leat_socket(AF_INET, SOCK_DGRAM, 0)};

	CHECK_EQ(bind_port(fds[2], 53), 0);
	for (int i = 0; i < 3; i++) {
		struct socket *so;

		REQUIRE_EQ(socket_get(fds[i], &so), 0);
		CHECK_EQ(socket_count(so), 1);
		CHECK_EQ(sock_worker(socket_home(so)), 1);
		socket_put(so);
		leat_close(fds[i]);
	}
	end(d);
}

static void other_threads_of_the_program_are_ordinary_ones(void)
{
	struct fake_daemon *d = begin(1);
	struct socket *so;
	int fd;

	leat_own_worker_set(NULL);
	fd = listening_stream();
	REQUIRE_EQ(socket_get(fd, &so), 0);
	CHECK_EQ(socket_count(so), 2);
	CHECK_EQ(own.polls, 0);
	socket_put(so);
	leat_close(fd);
	end(d);
}

static void connections_are_offered_on_the_own_worker(void)
{
	struct fake_daemon *d = begin(1);
	int listener = listening_stream(), fd;
	struct leat_handle h = fake_handle(listener, 0);

	(void)fake_connect(d, h, 4000);
	fd = leat_accept(listener, NULL, NULL);
	CHECK(fd >= 0);
	CHECK_EQ(fake_sock(d, fake_handle(fd, 0))->worker, 1);
	leat_close(fd);
	leat_close(listener);
	end(d);
}

TEST_SUITE(client_inside)
{
	TEST(a_call_that_waits_runs_the_worker);
	TEST(a_call_with_a_deadline_lets_the_worker_sleep_no_longer);
	TEST(a_call_that_does_not_wait_leaves_the_worker_alone);
	TEST(stopping_ends_a_wait_but_not_the_way_to_an_answer);
	TEST(the_end_of_the_control_thread_ends_a_wait);
	TEST(kernel_descriptors_end_a_wait_as_well);
	TEST(who_waits_for_a_lock_runs_the_worker);
	TEST(the_own_worker_needs_no_system_call_to_hear);
	TEST(a_socket_lives_on_its_own_worker_alone);
	TEST(other_threads_of_the_program_are_ordinary_ones);
	TEST(connections_are_offered_on_the_own_worker);
}
