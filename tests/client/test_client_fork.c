/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <leat/leat.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helpers.h"
#include "socket.h"
#include "support/test.h"

/* Runs child in a forked process; what it returns is checked to be 0 by child_join. */
static pid_t child_run(int (*child)(void *arg), void *arg)
{
	pid_t pid = fork();

	REQUIRE(pid >= 0);
	if (pid == 0)
		_exit(child(arg));
	return pid;
}

static void child_join(pid_t pid)
{
	int status = -1;

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 0);
}

static int talk(void *arg)
{
	int fd = *(int *)arg;
	char bytes[8];

	if (leat_recv(fd, bytes, sizeof(bytes), 0) != 4 || memcmp(bytes, "ping", 4) != 0)
		return 1;
	if (leat_send(fd, "pong", 4, 0) != 4)
		return 2;
	if (leat_recv(fd, bytes, sizeof(bytes), 0) != 0)
		return 3;
	return leat_close(fd) == 0 ? 0 : 4;
}

static void a_child_uses_a_connection_it_inherited(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	struct leat_handle h = fake_handle(fd, 0);
	char bytes[8];
	pid_t pid;

	pid = child_run(talk, &fd);
	CHECK_EQ(leat_close(fd), 0); /* the child holds it */
	sleep_ms(20);
	CHECK(fake_sock(d, h)->open);
	fake_deliver(d, h, "ping", 4);
	for (int i = 0; i < 500 && fake_sent(d, h, bytes, sizeof(bytes)) < 4; i++)
		sleep_ms(1);
	CHECK_MEM(bytes, "pong", 4);
	fake_finish(d, h);
	child_join(pid);
	fake_settle(d);
	CHECK(!fake_sock(d, h)->open);
	CHECK(d->condemned[0] == '\0');
	fake_die(d);
}

static int accept_connections(void *arg)
{
	int listener = *(int *)arg;

	for (int i = 0; i < 5; i++) {
		int fd = leat_accept(listener, NULL, NULL);

		if (fd < 0 || leat_close(fd) != 0)
			return 1;
	}
	return leat_close(listener) == 0 ? 0 : 2;
}

static void one_of_several_processes_wakes_for_a_connection(void)
{
	enum { CHILDREN = 3 };
	struct fake_daemon *d = fake_start_default();
	int listener = listening_stream();
	struct leat_handle h = fake_handle(listener, 0);
	pid_t pid[CHILDREN];
	unsigned wakeups;

	for (int i = 0; i < CHILDREN; i++)
		pid[i] = child_run(accept_connections, &listener);
	sleep_ms(50);
	wakeups = d->wakeups;
	for (uint16_t i = 0; i < CHILDREN * 5; i++) {
		fake_connect(d, h, i);
		sleep_ms(3);
	}
	for (int i = 0; i < CHILDREN; i++)
		child_join(pid[i]);
	/* One for each connection, and the results of closing, which may find a child asleep. */
	CHECK_RANGE(d->wakeups - wakeups, CHILDREN * 5, CHILDREN * 5 * 2);
	CHECK_EQ(leat_close(listener), 0);
	fake_settle(d);
	CHECK(!fake_sock(d, h)->open);
	fake_die(d);
}

static int write_much(void *arg)
{
	int fd = *(int *)arg;

	for (int i = 0; i < 200; i++) {
		if (leat_send(fd, "cccccccc", 8, 0) != 8)
			return 1;
	}
	return 0;
}

static void parent_and_child_write_to_one_stream(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	struct leat_handle h = fake_handle(fd, 0);
	unsigned from_child = 0, from_parent = 0;
	pid_t pid = child_run(write_much, &fd);
	char bytes[4096];
	int sent = 0;

	for (int i = 0; i < 5000 && from_child + from_parent < 400 * 8; i++) {
		size_t n;

		if (sent < 200)
			sent += leat_send(fd, "pppppppp", 8, MSG_DONTWAIT) == 8;
		n = fake_sent(d, h, bytes, sizeof(bytes));
		fake_acknowledge(d, h, n);
		for (size_t at = 0; at < n; at++) {
			from_child += bytes[at] == 'c';
			from_parent += bytes[at] == 'p';
		}
		usleep(100);
	}
	CHECK_EQ(from_child, 200 * 8);
	CHECK_EQ(from_parent, 200 * 8);
	child_join(pid);
	CHECK(d->condemned[0] == '\0');
	leat_close(fd);
	fake_die(d);
}

static int open_own(void *arg)
{
	int ep = *(int *)arg;
	struct epoll_event event;
	int fd = connected_stream();

	if (leat_send(fd, "x", 1, 0) != 1 || leat_close(fd) != 0)
		return 1;
	return leat_epoll_wait(ep, &event, 1, 5) == 0 ? 0 : 2;
}

static void a_child_opens_sockets_of_its_own(void)
{
	struct fake_daemon *d = fake_start_default();
	int ep = leat_epoll_create1(0);

	child_join(child_run(open_own, &ep));
	CHECK_EQ(d->processes, 2);
	leat_close(ep);
	fake_die(d);
}

static void a_fork_without_leat_in_use_asks_nothing(void)
{
	struct fake_daemon *d = fake_start_default();
	unsigned processes = d->processes;
	pid_t pid;

	fake_die(d);
	CHECK(!session_is_alive(session_current()));
	pid = fork();
	if (pid == 0)
		_exit(0);
	child_join(pid);
	CHECK_EQ(d->processes, processes);
}

TEST_SUITE(client_fork)
{
	TEST(a_child_uses_a_connection_it_inherited);
	TEST(one_of_several_processes_wakes_for_a_connection);
	TEST(parent_and_child_write_to_one_stream);
	TEST(a_child_opens_sockets_of_its_own);
	TEST(a_fork_without_leat_in_use_asks_nothing);
}
