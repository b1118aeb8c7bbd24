/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads that share sockets and contexts, and the end of the daemon. */
#include <errno.h>
#include <leat/leat.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "helpers.h"
#include "socket.h"
#include "support/test.h"

struct receiver {
	int fd;
	unsigned *done;
	ssize_t result;
	int error;
	char byte;
};

static void *receive_one(void *arg)
{
	struct receiver *r = arg;

	r->result = leat_recv(r->fd, &r->byte, 1, 0);
	r->error = errno;
	__atomic_add_fetch(r->done, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void two_threads_block_on_one_socket(void)
{
	struct fake_daemon *d = fake_start_default();
	unsigned done = 0;
	struct receiver r[2] = {{.fd = connected_stream(), .done = &done}};
	pthread_t thread[2];

	r[1] = r[0];
	for (int i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, receive_one, &r[i]);
	sleep_ms(20);
	CHECK_EQ(done, 0);
	fake_deliver(d, fake_handle(r[0].fd, 0), "a", 1);
	CHECK(wait_for(&done, 1));
	sleep_ms(20);
	CHECK_EQ(done, 1);
	fake_deliver(d, fake_handle(r[0].fd, 0), "b", 1);
	CHECK(wait_for(&done, 2));
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	CHECK_EQ(r[0].byte + r[1].byte, 'a' + 'b');
	leat_close(r[0].fd);
	fake_stop(d);
}

static void threads_block_on_sockets_of_one_context(void)
{
	enum { COUNT = 6 };
	struct fake_daemon *d = fake_start_default();
	struct receiver r[COUNT];
	pthread_t thread[COUNT];
	unsigned done = 0;

	for (int i = 0; i < COUNT; i++)
		r[i] = (struct receiver){.fd = connected_stream(), .done = &done};
	for (int i = 0; i < COUNT; i++)
		pthread_create(&thread[i], NULL, receive_one, &r[i]);
	sleep_ms(20);
	for (int i = COUNT - 1; i >= 0; i--) {
		fake_deliver(d, fake_handle(r[i].fd, 0), "x", 1);
		CHECK(wait_for(&done, (unsigned)(COUNT - i)));
	}
	for (int i = 0; i < COUNT; i++) {
		pthread_join(thread[i], NULL);
		CHECK_EQ(r[i].result, 1);
		leat_close(r[i].fd);
	}
	fake_stop(d);
}

static void shutdown_wakes_who_receives(void)
{
	struct fake_daemon *d = fake_start_default();
	unsigned done = 0;
	struct receiver r = {.fd = connected_stream(), .done = &done};
	pthread_t thread;

	pthread_create(&thread, NULL, receive_one, &r);
	sleep_ms(20);
	CHECK_EQ(leat_shutdown(r.fd, SHUT_RD), 0);
	CHECK(wait_for(&done, 1));
	pthread_join(thread, NULL);
	CHECK_EQ(r.result, 0);
	leat_close(r.fd);
	fake_stop(d);
}

static void *receive_often(void *arg)
{
	int fd = *(int *)arg;
	char byte = 0;

	while (leat_recv(fd, &byte, 1, 0) == 1)
		;
	return NULL;
}

static void events_move_to_the_thread_that_uses_a_socket(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	struct leat_handle h = fake_handle(fd, 0);
	int before = fake_sock(d, h)->context;
	pthread_t thread;

	pthread_create(&thread, NULL, receive_often, &fd);
	for (int i = 0; i < 30; i++) {
		sleep_ms(2);
		fake_deliver(d, h, "x", 1);
	}
	sleep_ms(5);
	CHECK_EQ(fake_sock(d, h)->moves, 1);
	CHECK(fake_sock(d, h)->context != before);
	fake_finish(d, h);
	pthread_join(thread, NULL);
	leat_close(fd);
	fake_stop(d);
}

static void *open_and_close(void *arg)
{
	int fd = connected_stream();

	(void)arg;
	CHECK_EQ(leat_send(fd, "x", 1, 0), 1);
	CHECK_EQ(leat_close(fd), 0);
	return NULL;
}

static void threads_that_end_leave_their_context_to_others(void)
{
	struct fake_daemon *d = fake_start_default();
	unsigned open = 0;

	for (int i = 0; i < 3 * FAKE_CONTEXTS; i++) {
		pthread_t thread;

		pthread_create(&thread, NULL, open_and_close, NULL);
		pthread_join(thread, NULL);
	}
	for (int i = 0; i < FAKE_CONTEXTS; i++)
		open += d->context[i].open;
	CHECK_EQ(open, 1);
	fake_stop(d);
}

static void more_threads_than_contexts_share_them(void)
{
	enum { COUNT = 2 * FAKE_CONTEXTS };
	struct fake_daemon *d = fake_start_default();
	struct receiver r[COUNT];
	pthread_t thread[COUNT];
	unsigned done = 0;

	for (int i = 0; i < COUNT; i++) {
		r[i] = (struct receiver){.fd = connected_stream(), .done = &done};
		pthread_create(&thread[i], NULL, receive_one, &r[i]);
	}
	sleep_ms(30);
	for (int i = 0; i < COUNT; i++)
		fake_deliver(d, fake_handle(r[i].fd, 0), "x", 1);
	CHECK(wait_for(&done, COUNT));
	for (int i = 0; i < COUNT; i++) {
		pthread_join(thread[i], NULL);
		leat_close(r[i].fd);
	}
	fake_stop(d);
}

static int64_t cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void waiting_sleeps(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};
	int64_t before = cpu_us();

	CHECK_EQ(leat_poll(&pollfd, 1, 200), 0);
	CHECK_RANGE(cpu_us() - before, 0, 20000);
	leat_close(fd);
	fake_stop(d);
}

/* ---- The end of the daemon ---------------------------------------------- */

static void a_blocked_call_fails_when_the_daemon_dies(void)
{
	struct fake_daemon *d = fake_start_default();
	unsigned done = 0;
	struct receiver r[3] = {{.fd = connected_stream(), .done = &done},
				{.fd = connected_datagram(), .done = &done}};
	pthread_t thread[3];
	int64_t start;

	r[2] = r[0];
	for (int i = 0; i < 3; i++)
		pthread_create(&thread[i], NULL, receive_one, &r[i]);
	sleep_ms(20);
	fake_die(d);
	start = now_us();
	for (int i = 0; i < 3; i++) {
		pthread_join(thread[i], NULL);
		CHECK_EQ(r[i].result, -1);
		CHECK_EQ(r[i].error, ENETDOWN);
	}
	CHECK_RANGE(now_us() - start, 0, 500000);
	CHECK_EQ(leat_send(r[0].fd, "x", 1, 0), -1);
	CHECK_EQ(errno, ENETDOWN);
	CHECK_EQ(leat_close(r[0].fd), 0);
	CHECK_EQ(leat_close(r[1].fd), 0);
}

static void who_does_not_sleep_notices_as_well(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	int64_t start;
	char byte = 0;

	fake_die(d);
	start = now_us();
	while (leat_recv(fd, &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN)
		;
	CHECK_EQ(errno, ENETDOWN);
	CHECK_RANGE(now_us() - start, 0, 200000);
	CHECK_EQ(leat_close(fd), 0);
}

static void poll_and_epoll_report_dead_sockets(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream(), ep = leat_epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};

	CHECK_EQ(leat_epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event), 0);
	CHECK_EQ(leat_epoll_wait(ep, &event, 1, 0), 0);
	fake_die(d);
	CHECK_EQ(leat_epoll_wait(ep, &event, 1, 1000), 1);
	CHECK_EQ(event.events, EPOLLIN | EPOLLERR | EPOLLHUP);
	CHECK_EQ(leat_epoll_wait(ep, &event, 1, 1000), 1);
	CHECK_EQ(leat_poll(&pollfd, 1, 1000), 1);
	CHECK_EQ(pollfd.revents, POLLERR | POLLHUP);
	CHECK_EQ(leat_epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL), 0);
	CHECK_EQ(leat_close(fd), 0);
	CHECK_EQ(leat_close(ep), 0);
}

static void a_new_daemon_serves_new_sockets(void)
{
	struct fake_daemon *d = fake_start_default();
	int old = connected_stream(), new;

	fake_die(d);
	CHECK(!session_is_alive(session_current())); /* as leat_socket looks before it attaches */
	d = fake_start_default();
	new = connected_stream();
	CHECK_EQ(leat_send(new, "x", 1, 0), 1);
	CHECK_EQ(leat_send(old, "x", 1, 0), -1);
	CHECK_EQ(errno, ENETDOWN);
	leat_close(old);
	leat_close(new);
	fake_stop(d);
}

TEST_SUITE(client_wait)
{
	TEST(two_threads_block_on_one_socket);
	TEST(threads_block_on_sockets_of_one_context);
	TEST(shutdown_wakes_who_receives);
	TEST(events_move_to_the_thread_that_uses_a_socket);
	TEST(threads_that_end_leave_their_context_to_others);
	TEST(more_threads_than_contexts_share_them);
	TEST(waiting_sleeps);
	TEST(a_blocked_call_fails_when_the_daemon_dies);
	TEST(who_does_not_sleep_notices_as_well);
	TEST(poll_and_epoll_report_dead_sockets);
	TEST(a_new_daemon_serves_new_sockets);
}
