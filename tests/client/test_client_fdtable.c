/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <leat/leat.h>

#include "helpers.h"
#include "socket.h"
#include "support/test.h"

static void descriptors_are_the_lowest_free_ones(void)
{
	int fd[3];

	for (int i = 0; i < 3; i++) {
		fd[i] = leat_epoll_create1(0);
		CHECK_EQ(fd[i], LEAT_FD_BASE + i);
	}
	CHECK_EQ(leat_close(fd[1]), 0);
	CHECK_EQ(leat_epoll_create1(0), fd[1]);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(leat_close(fd[i]), 0);
}

static void table_grows_over_blocks(void)
{
	enum { COUNT = 3000 };

	for (int i = 0; i < COUNT; i++)
		CHECK_EQ(leat_epoll_create1(0), LEAT_FD_BASE + i);
	for (int i = 0; i < COUNT; i++)
		CHECK_EQ(leat_close(LEAT_FD_BASE + i), 0);
	CHECK_EQ(leat_close(LEAT_FD_BASE + COUNT - 1), -1);
}

static void closed_and_foreign_descriptors_are_bad(void)
{
	int fd = leat_epoll_create1(0);
	char byte = 0;

	CHECK_EQ(leat_recv(fd, &byte, 1, 0), -1);
	CHECK_EQ(errno, ENOTSOCK);
	CHECK_EQ(leat_close(fd), 0);
	CHECK_EQ(leat_close(fd), -1);
	CHECK_EQ(errno, EBADF);
	CHECK_EQ(leat_close(0), -1);
	CHECK_EQ(errno, EBADF);
	CHECK_EQ(leat_send(-1, &byte, 1, 0), -1);
	CHECK_EQ(errno, EBADF);
	CHECK_EQ(leat_send(INT32_MAX, &byte, 1, 0), -1);
	CHECK_EQ(errno, EBADF);
}

static void a_reference_outlives_the_descriptor(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	struct socket *so;

	REQUIRE_EQ(socket_get(fd, &so), 0);
	CHECK_EQ(leat_close(fd), 0);
	fake_settle(d);
	CHECK_EQ(d->closes, 0);
	socket_put(so);
	fake_settle(d);
	CHECK_EQ(d->closes, 1);
	fake_stop(d);
}

TEST_SUITE(client_fdtable)
{
	TEST(descriptors_are_the_lowest_free_ones);
	TEST(table_grows_over_blocks);
	TEST(closed_and_foreign_descriptors_are_bad);
	TEST(a_reference_outlives_the_descriptor);
}
