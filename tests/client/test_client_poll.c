/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <leat/leat.h>
#include <unistd.h>

#include "helpers.h"
#include "support/test.h"

static void state_is_reported(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	struct leat_handle h = fake_handle(fd, 0);
	struct pollfd pollfd = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP};

	CHECK_EQ(leat_poll(&pollfd, 1, 0), 1);
	CHECK_EQ(pollfd.revents, POLLOUT);
	fake_deliver(d, h, "x", 1);
	CHECK_EQ(leat_poll(&pollfd, 1, 0), 1);
	CHECK_EQ(pollfd.revents, POLLIN | POLLOUT);
	fake_finish(d, h);
	CHECK_EQ(leat_poll(&pollfd, 1, 0), 1);
	CHECK_EQ(pollfd.revents, POLLIN | POLLOUT | POLLRDHUP);
	CHECK_EQ(leat_shutdown(fd, SHUT_WR), 0);
	CHECK_EQ(leat_poll(&pollfd, 1, 0), 1);
	CHECK_EQ(pollfd.revents, POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
	fake_reset(d, h, ECONNRESET);
	pollfd.events = 0;
	CHECK_EQ(leat_poll(&pollfd, 1, 0), 1);
	CHECK_EQ(pollfd.revents, POLLERR | POLLHUP);
	leat_close(fd);
	CHECK_EQ(leat_poll(&pollfd, 1, -1), 1);
	CHECK_EQ(pollfd.revents, POLLNVAL);
	fake_stop(d);
}

static void a_socket_that_never_connected_hangs_up(void)
{
	struct fake_daemon *d = fake_start_default();
	struct pollfd pollfd = {.fd = leat_socket(AF_INET, SOCK_STREAM, 0), .events = POLLOUT};

	CHECK_EQ(leat_poll(&pollfd, 1, -1), 1);
	CHECK_EQ(pollfd.revents, POLLOUT | POLLHUP);
	leat_close(pollfd.fd);
	fake_stop(d);
}

static void kernel_descriptors_mix_with_leats(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	struct pollfd pollfd[3];
	int pipe_fds[2];

	REQUIRE_EQ(pipe(pipe_fds), 0);
	pollfd[0] = (struct pollfd){.fd = pipe_fds[0], .events = POLLIN};
	pollfd[1] = (struct pollfd){.fd = -1, .events = POLLIN};
	pollfd[2] = (struct pollfd){.fd = fd, .events = POLLIN};
	CHECK_EQ(leat_poll(pollfd, 3, 10), 0);
	CHECK_EQ(write(pipe_fds[1], "x", 1), 1);
	CHECK_EQ(leat_poll(pollfd, 3, -1), 1);
	CHECK_EQ(pollfd[0].revents, POLLIN);
	CHECK_EQ(pollfd[2].revents, 0);
	fake_deliver(d, fake_handle(fd, 0), "y", 1);
	fake_settle(d);
	CHECK_EQ(leat_poll(pollfd, 3, -1), 2);
	CHECK_EQ(pollfd[2].revents, POLLIN);
	CHECK_EQ(leat_poll(pollfd, 1, -1), 1); /* kernel descriptors alone */
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	leat_close(fd);
	fake_stop(d);
}

struct writer {
	struct fake_daemon *d;
	struct leat_handle h;
	int fd;
};

static void *write_later(void *arg)
{
	struct writer *writer = arg;

	sleep_ms(20);
	if (writer->fd >= 0)
		CHECK_EQ(write(writer->fd, "x", 1), 1);
	else
		fake_deliver(writer->d, writer->h, "x", 1);
	return NULL;
}

static void either_kind_wakes_a_sleeping_poll(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	struct pollfd pollfd[2];
	struct writer writer = {.d = d, .h = fake_handle(fd, 0)};
	pthread_t thread;
	int pipe_fds[2];

	REQUIRE_EQ(pipe(pipe_fds), 0);
	pollfd[0] = (struct pollfd){.fd = pipe_fds[0], .events = POLLIN};
	pollfd[1] = (struct pollfd){.fd = fd, .events = POLLIN};
	writer.fd = pipe_fds[1];
	pthread_create(&thread, NULL, write_later, &writer);
	CHECK_EQ(leat_poll(pollfd, 2, -1), 1);
	CHECK_EQ(pollfd[0].revents, POLLIN);
	pthread_join(thread, NULL);
	writer.fd = -1;
	pollfd[0].events = 0;
	pthread_create(&thread, NULL, write_later, &writer);
	CHECK_EQ(leat_poll(pollfd, 2, -1), 1);
	CHECK_EQ(pollfd[1].revents, POLLIN);
	pthread_join(thread, NULL);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	leat_close(fd);
	fake_stop(d);
}

static void many_descriptors_are_polled(void)
{
	enum { COUNT = 50 };
	struct fake_daemon *d = fake_start_default();
	struct pollfd pollfd[COUNT];

	for (int i = 0; i < COUNT; i++)
		pollfd[i] = (struct pollfd){.fd = connected_stream(), .events = POLLIN};
	CHECK_EQ(leat_poll(pollfd, COUNT, 0), 0);
	fake_deliver(d, fake_handle(pollfd[40].fd, 0), "x", 1);
	fake_deliver(d, fake_handle(pollfd[7].fd, 0), "x", 1);
	CHECK_EQ(leat_poll(pollfd, COUNT, 1000), 2);
	CHECK_EQ(pollfd[7].revents, POLLIN);
	CHECK_EQ(pollfd[40].revents, POLLIN);
	for (int i = 0; i < COUNT; i++)
		leat_close(pollfd[i].fd);
	fake_stop(d);
}

static void a_listener_is_readable_when_a_connection_waits(void)
{
	struct fake_daemon *d = fake_start_default();
	struct pollfd pollfd = {.fd = listening_stream(), .events = POLLIN};
	int fd;

	CHECK_EQ(leat_poll(&pollfd, 1, 5), 0);
	fake_connect(d, fake_handle(pollfd.fd, 0), 1);
	CHECK_EQ(leat_poll(&pollfd, 1, 1000), 1);
	CHECK_EQ(pollfd.revents, POLLIN);
	fd = leat_accept(pollfd.fd, NULL, NULL);
	CHECK(fd >= 0);
	CHECK_EQ(leat_poll(&pollfd, 1, 0), 0);
	leat_close(fd);
	leat_close(pollfd.fd);
	fake_stop(d);
}

TEST_SUITE(client_poll)
{
	TEST(state_is_reported);
	TEST(a_socket_that_never_connected_hangs_up);
	TEST(kernel_descriptors_mix_with_leats);
	TEST(either_kind_wakes_a_sleeping_poll);
	TEST(many_descriptors_are_polled);
	TEST(a_listener_is_readable_when_a_connection_waits);
}
