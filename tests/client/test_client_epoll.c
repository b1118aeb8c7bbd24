/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <leat/leat.h>
#include <stdlib.h>
#include <unistd.h>

#include "helpers.h"
#include "support/test.h"

static int watch(int ep, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	return leat_epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event);
}

static int rewatch(int ep, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	return leat_epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event);
}

static void level_triggered_ones_are_told_until_read(void)
{
	struct fake_daemon *d = fake_start_default();
	int ep = leat_epoll_create1(EPOLL_CLOEXEC), fd = connected_stream();
	struct epoll_event events[4];
	char byte = 0;

	CHECK_EQ(watch(ep, fd, EPOLLIN), 0);
	CHECK_EQ(leat_epoll_wait(ep, events, 4, 0), 0);
	fake_deliver(d, fake_handle(fd, 0), "ab", 2);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(leat_epoll_wait(ep, events, 4, 1000), 1);
		CHECK_EQ(events[0].events, EPOLLIN);
		CHECK_EQ(events[0].data.fd, fd);
	}
	CHECK_EQ(leat_recv(fd, &byte, 1, 0), 1);
	CHECK_EQ(leat_epoll_wait(ep, events, 4, 0), 1);
	CHECK_EQ(leat_recv(fd, &byte, 1, 0), 1);
	CHECK_EQ(leat_epoll_wait(ep, events, 4, 0), 0);
	fake_deliver(d, fake_handle(fd, 0), "c", 1);
	CHECK_EQ(leat_epoll_wait(ep, events, 4, 1000), 1);
	leat_close(ep);
	leat_close(fd);
	fake_stop(d);
}

static void edge_triggered_ones_need_a_new_event(void)
{
	struct fake_daemon *d = fake_start_default();
	int ep = leat_epoll_create1(0), fd = connected_stream();
	struct epoll_event events[4];

	CHECK_EQ(watch(ep, fd, EPOLLIN | EPOLLET), 0);
	fake_deliver(d, fake_handle(fd, 0), "a", 1);
	CHECK_EQ(leat_epoll_wait(ep, events, 4, 1000), 1);
	CHECK_EQ(leat_epoll_wait(ep, events, 4, 0), 0);
	fake_deliver(d, fake_handle(fd, 0), "b", 1);
	CHECK_EQ(leat_epoll_wait(ep, events, 4, 1000), 1);
	CHECK_EQ(leat_epoll_wait(ep, events, 4, 0), 0);
	/* Changing it arms it again. */
	CHECK_EQ(rewatch(ep, fd, EPOLLIN | EPOLLET), 0);
	CHECK_EQ(leat_epoll_wait(ep, events, 4, 0), 1);
	leat_close(ep);
	leat_close(fd);
	fake_stop(d);
}

static void an_edge_tells_of_room_to_send(void)
{
	struct fake_daemon *d = fake_start_default();
	int ep = leat_epoll_create1(0), fd = connected_stream();
	struct epoll_event events[4];
	uint8_t bytes[4096] = {0};
	ssize_t n, sent = 0;

	CHECK_EQ(watch(ep, fd, EPOLLOUT | EPOLLET), 0);
	CHECK_EQ(leat_epoll_wait(ep, events, 4, 0), 1);
	while (sent < 4096) {
		n = leat_send(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		sent += n > 0 ? n : 0;
		fake_settle(d);
	}
	CHECK_EQ(leat_send(fd, bytes, 1, MSG_DONTWAIT), -1);
	/* What the waits for chunks left behind. */
	while (leat_epoll_wait(ep, events, 4, 5) > 0)
		;
	fake_acknowledge(d, fake_handle(fd, 0), 1000);
	CHECK_EQ(leat_epoll_wait(ep, events, 4, 5), 0); /* less than a third */
	fake_acknowledge(d, fake_handle(fd, 0), 1000);
	CHECK_EQ(leat_epoll_wait(ep, events, 4, 1000), 1);
	CHECK_EQ(events[0].events, EPOLLOUT);
	leat_close(ep);
	leat_close(fd);
	fake_stop(d);
}

static void a_socket_without_chunks_is_told_when_there_are(void)
{
	struct fake_daemon *d = fake_start_default();
	int ep = leat_epoll_create1(0), fds[40];
	struct epoll_event events[64];
	uint8_t bytes[4096] = {0};

	for (int i = 0; i < 40; i++) /* more than a context notes one by one */
		fds[i] = connected_stream();
	fake_settle(d);
	fake_grant(d, false);
	CHECK(leat_send(fds[0], bytes, sizeof(bytes), MSG_DONTWAIT) > 0);
	for (int i = 0; i < 40; i++) {
		CHECK_EQ(leat_send(fds[i], bytes, 1, MSG_DONTWAIT), -1);
		CHECK_EQ(watch(ep, fds[i], EPOLLOUT), 0);
	}
	CHECK_EQ(leat_epoll_wait(ep, events, 64, 10), 0);
	fake_grant(d, true);
	CHECK_EQ(leat_epoll_wait(ep, events, 64, 1000), 40);
	for (int i = 0; i < 40; i++)
		leat_close(fds[i]);
	leat_close(ep);
	fake_stop(d);
}

static void one_shot_ones_are_told_once(void)
{
	struct fake_daemon *d = fake_start_default();
	int ep = leat_epoll_create1(0), fd = connected_stream();
	struct epoll_event events[4];

	CHECK_EQ(watch(ep, fd, EPOLLIN | EPOLLONESHOT), 0);
	fake_deliver(d, fake_handle(fd, 0), "a", 1);
	CHECK_EQ(leat_epoll_wait(ep, events, 4, 1000), 1);
	fake_deliver(d, fake_handle(fd, 0), "b", 1);
	CHECK_EQ(leat_epoll_wait(ep, events, 4, 5), 0);
	fake_reset(d, fake_handle(fd, 0), ECONNRESET);
	CHECK_EQ(leat_epoll_wait(ep, events, 4, 5), 0);
	CHECK_EQ(rewatch(ep, fd, EPOLLIN | EPOLLONESHOT), 0);
	CHECK_EQ(leat_epoll_wait(ep, events, 4, 0), 1);
	CHECK_EQ(events[0].events, EPOLLIN | EPOLLERR | EPOLLHUP);
	leat_close(ep);
	leat_close(fd);
	fake_stop(d);
}

static void no_ready_one_starves(void)
{
	struct fake_daemon *d = fake_start_default();
	int ep = leat_epoll_create1(0), fds[6], told[6] = {0};
	struct epoll_event events[2];

	for (int i = 0; i < 6; i++) {
		fds[i] = connected_stream();
		CHECK_EQ(watch(ep, fds[i], EPOLLIN), 0);
		fake_deliver(d, fake_handle(fds[i], 0), "x", 1);
	}
	for (int round = 0; round < 6; round++) {
		CHECK_EQ(leat_epoll_wait(ep, events, 2, 1000), 2);
		for (int i = 0; i < 2; i++)
			told[events[i].data.fd - fds[0]]++;
	}
	for (int i = 0; i < 6; i++) {
		CHECK_EQ(told[i], 2);
		leat_close(fds[i]);
	}
	CHECK_EQ(leat_epoll_wait(ep, events, 2, 0), 0); /* closed ones are gone */
	leat_close(ep);
	fake_stop(d);
}

static void mistakes_are_told(void)
{
	struct fake_daemon *d = fake_start_default();
	int ep = leat_epoll_create1(0), fd = connected_stream();
	struct epoll_event event;

	CHECK_EQ(leat_epoll_create1(1), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(rewatch(ep, fd, EPOLLIN), -1);
	CHECK_EQ(errno, ENOENT);
	CHECK_EQ(watch(ep, fd, EPOLLIN), 0);
	CHECK_EQ(watch(ep, fd, EPOLLIN), -1);
	CHECK_EQ(errno, EEXIST);
	CHECK_EQ(leat_epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL), 0);
	CHECK_EQ(leat_epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL), -1);
	CHECK_EQ(errno, ENOENT);
	CHECK_EQ(leat_epoll_ctl(ep, 9, fd, &event), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(watch(fd, fd, EPOLLIN), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(watch(ep, ep, EPOLLIN), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(leat_epoll_wait(ep, &event, 0, 0), -1);
	CHECK_EQ(errno, EINVAL);
	leat_close(fd);
	CHECK_EQ(watch(ep, fd, EPOLLIN), -1);
	CHECK_EQ(errno, EBADF);
	leat_close(ep);
	fake_stop(d);
}

static void kernel_descriptors_are_watched_as_well(void)
{
	struct fake_daemon *d = fake_start_default();
	int ep = leat_epoll_create1(0), fd = connected_stream(), pipe_fds[2];
	struct epoll_event events[4];

	REQUIRE_EQ(pipe(pipe_fds), 0);
	CHECK_EQ(watch(ep, pipe_fds[0], EPOLLIN), 0);
	CHECK_EQ(watch(ep, fd, EPOLLIN), 0);
	CHECK_EQ(leat_epoll_wait(ep, events, 4, 5), 0);
	CHECK_EQ(write(pipe_fds[1], "x", 1), 1);
	CHECK_EQ(leat_epoll_wait(ep, events, 4, 1000), 1);
	CHECK_EQ(events[0].data.fd, pipe_fds[0]);
	fake_deliver(d, fake_handle(fd, 0), "x", 1);
	CHECK_EQ(leat_epoll_wait(ep, events, 4, 1000), 2);
	CHECK_EQ(leat_epoll_ctl(ep, EPOLL_CTL_DEL, pipe_fds[0], NULL), 0);
	CHECK_EQ(leat_epoll_wait(ep, events, 4, 1000), 1);
	CHECK_EQ(events[0].data.fd, fd);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	leat_close(ep);
	leat_close(fd);
	fake_stop(d);
}

static void a_listener_gets_credits_while_watched(void)
{
	struct fake_daemon *d = fake_start_default();
	int ep = leat_epoll_create1(0), listener = leat_socket(AF_INET, SOCK_STREAM, 0);
	struct epoll_event events[4];
	int fd;

	CHECK_EQ(watch(ep, listener, EPOLLIN), 0);
	CHECK_EQ(leat_listen(listener, 4), 0); /* after it was added */
	leat_fcntl(listener, F_SETFL, O_NONBLOCK);
	while (leat_epoll_wait(ep, events, 4, 5) > 0)
		;
	CHECK_EQ(fake_sock(d, fake_handle(listener, 0))->credits[0], 16);
	for (uint16_t i = 0; i < 3; i++)
		fake_connect(d, fake_handle(listener, 0), i);
	CHECK_EQ(leat_epoll_wait(ep, events, 4, 1000), 1);
	CHECK_EQ(events[0].events, EPOLLIN);
	for (int i = 0; i < 3; i++) {
		fd = leat_accept(listener, NULL, NULL);
		CHECK(fd >= 0);
		leat_close(fd);
	}
	CHECK_EQ(leat_accept(listener, NULL, NULL), -1);
	CHECK_EQ(errno, EAGAIN);
	CHECK_EQ(leat_epoll_wait(ep, events, 4, 0), 0);
	leat_close(ep);
	leat_close(listener);
	fake_stop(d);
}

struct adder {
	int ep;
	int fd;
};

static void *add_later(void *arg)
{
	struct adder *adder = arg;

	sleep_ms(20);
	CHECK_EQ(watch(adder->ep, adder->fd, EPOLLIN), 0);
	return NULL;
}

static void adding_wakes_who_sleeps(void)
{
	struct fake_daemon *d = fake_start_default();
	struct adder adder = {leat_epoll_create1(0), connected_stream()};
	struct epoll_event events[4];
	pthread_t thread;

	fake_deliver(d, fake_handle(adder.fd, 0), "x", 1);
	fake_settle(d);
	pthread_create(&thread, NULL, add_later, &adder);
	CHECK_EQ(leat_epoll_wait(adder.ep, events, 4, 2000), 1);
	pthread_join(thread, NULL);
	leat_close(adder.ep);
	leat_close(adder.fd);
	fake_stop(d);
}

static void closing_an_instance_leaves_its_sockets(void)
{
	struct fake_daemon *d = fake_start_default();
	int a = leat_epoll_create1(0), b = leat_epoll_create1(0), fd = connected_stream();
	struct epoll_event events[4];

	CHECK_EQ(watch(a, fd, EPOLLIN), 0);
	CHECK_EQ(watch(b, fd, EPOLLIN), 0);
	leat_close(a);
	fake_deliver(d, fake_handle(fd, 0), "x", 1);
	CHECK_EQ(leat_epoll_wait(b, events, 4, 1000), 1);
	leat_close(b);
	leat_close(fd);
	fake_stop(d);
}

TEST_SUITE(client_epoll)
{
	TEST(level_triggered_ones_are_told_until_read);
	TEST(edge_triggered_ones_need_a_new_event);
	TEST(an_edge_tells_of_room_to_send);
	TEST(a_socket_without_chunks_is_told_when_there_are);
	TEST(one_shot_ones_are_told_once);
	TEST(no_ready_one_starves);
	TEST(mistakes_are_told);
	TEST(kernel_descriptors_are_watched_as_well);
	TEST(a_listener_gets_credits_while_watched);
	TEST(adding_wakes_who_sleeps);
	TEST(closing_an_instance_leaves_its_sockets);
}
