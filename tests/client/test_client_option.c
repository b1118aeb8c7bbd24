/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <leat/leat.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>

#include "helpers.h"
#include "support/test.h"

static int get_int(int fd, int name)
{
	socklen_t length = sizeof(int);
	int value = -1;

	CHECK_EQ(leat_getsockopt(fd, SOL_SOCKET, name, &value, &length), 0);
	CHECK_EQ(length, sizeof(int));
	return value;
}

static void the_library_knows_what_a_socket_is(void)
{
	struct fake_daemon *d = fake_start_default();
	int stream = listening_stream(), datagram = connected_datagram();

	CHECK_EQ(get_int(stream, SO_TYPE), SOCK_STREAM);
	CHECK_EQ(get_int(datagram, SO_TYPE), SOCK_DGRAM);
	CHECK_EQ(get_int(stream, SO_PROTOCOL), IPPROTO_TCP);
	CHECK_EQ(get_int(stream, SO_DOMAIN), AF_INET);
	CHECK_EQ(get_int(stream, SO_ACCEPTCONN), 1);
	CHECK_EQ(get_int(datagram, SO_ACCEPTCONN), 0);
	CHECK_EQ(leat_setsockopt(stream, SOL_SOCKET, SO_TYPE, &(int){1}, sizeof(int)), -1);
	CHECK_EQ(errno, ENOPROTOOPT);
	leat_close(stream);
	leat_close(datagram);
	fake_stop(d);
}

static void other_options_are_the_daemons(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream(), value = 1;
	socklen_t length = sizeof(value);

	CHECK_EQ(leat_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value)), 0);
	CHECK_EQ(fake_sock(d, fake_handle(fd, 0))->option.level, IPPROTO_TCP);
	value = 0;
	CHECK_EQ(leat_getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &length), 0);
	CHECK_EQ(value, 1);
	CHECK_EQ(leat_getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &value, &length), -1);
	CHECK_EQ(errno, ENOPROTOOPT);
	CHECK_EQ(leat_setsockopt(fd, 1 << 20, 1, &value, sizeof(value)), -1);
	CHECK_EQ(errno, ENOPROTOOPT);
	leat_close(fd);
	fake_stop(d);
}

/* As under Linux, which looks at no more than an option needs. */
static void of_a_long_value_the_beginning_counts(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	char value[100] = {7};

	CHECK_EQ(leat_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, value, sizeof(value)), 0);
	CHECK_EQ(fake_sock(d, fake_handle(fd, 0))->option.length_bytes, LEAT_OPTION_BYTES);
	CHECK_EQ(fake_sock(d, fake_handle(fd, 0))->option.value[0], 7);
	leat_close(fd);
	fake_stop(d);
}

static void a_long_answer_is_fetched(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	uint8_t value[LEAT_ANSWER_BYTES + 50] = {9};
	socklen_t length = 1;

	CHECK_EQ(leat_setsockopt(fd, IPPROTO_TCP, TCP_INFO, value, length), 0);
	fake_sock(d, fake_handle(fd, 0))->long_option = true;
	memset(value, 0, sizeof(value));
	length = sizeof(value);
	CHECK_EQ(leat_getsockopt(fd, IPPROTO_TCP, TCP_INFO, value, &length), 0);
	CHECK_EQ(length, LEAT_ANSWER_BYTES);
	CHECK_EQ(value[0], 9);
	CHECK_EQ(value[LEAT_ANSWER_BYTES - 1], 9);
	CHECK_EQ(value[LEAT_ANSWER_BYTES], 0);
	length = LEAT_OPTION_BYTES + 1; /* cut to the room there is */
	CHECK_EQ(leat_getsockopt(fd, IPPROTO_TCP, TCP_INFO, value, &length), 0);
	CHECK_EQ(length, LEAT_OPTION_BYTES + 1);
	leat_close(fd);
	fake_stop(d);
}

static void timeouts_are_checked(void)
{
	struct fake_daemon *d = fake_start_default();
	struct timeval bad = {.tv_usec = 1000000}, gone = {.tv_sec = -1};
	int fd = connected_stream();
	char byte = 0;

	CHECK_EQ(leat_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bad, sizeof(bad)), -1);
	CHECK_EQ(errno, EDOM);
	CHECK_EQ(leat_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bad, 4), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(leat_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &gone, sizeof(gone)), 0);
	CHECK_EQ(leat_recv(fd, &byte, 1, 0), -1);
	CHECK_EQ(errno, EAGAIN);
	leat_close(fd);
	fake_stop(d);
}

static void modes_that_do_not_exist_are_refused(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream(), listener = listening_stream(), value;

	CHECK_EQ(leat_fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(leat_fcntl(fd, F_SETFD, 0), 0);
	CHECK_EQ(leat_fcntl(fd, F_GETLK), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(leat_ioctl(fd, TIOCGWINSZ, &value), -1);
	CHECK_EQ(errno, ENOTTY);
	CHECK_EQ(leat_ioctl(listener, FIONREAD, &value), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(leat_ioctl(fd, FIONREAD, &value), 0);
	CHECK_EQ(value, 0);
	leat_close(fd);
	leat_close(listener);
	fake_stop(d);
}

static void names_are_cut_to_the_room_there_is(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = listening_stream();
	struct sockaddr_in name = {0};
	socklen_t length = 4;

	CHECK_EQ(leat_getsockname(fd, (struct sockaddr *)&name, &length), 0);
	CHECK_EQ(length, sizeof(name));
	CHECK_EQ(ntohs(name.sin_port), 8080);
	CHECK_EQ(name.sin_addr.s_addr, 0);
	length = (socklen_t)-1;
	CHECK_EQ(leat_getsockname(fd, (struct sockaddr *)&name, &length), -1);
	CHECK_EQ(errno, EINVAL);
	leat_close(fd);
	fake_stop(d);
}

TEST_SUITE(client_option)
{
	TEST(the_library_knows_what_a_socket_is);
	TEST(other_options_are_the_daemons);
	TEST(of_a_long_value_the_beginning_counts);
	TEST(a_long_answer_is_fetched);
	TEST(timeouts_are_checked);
	TEST(modes_that_do_not_exist_are_refused);
	TEST(names_are_cut_to_the_room_there_is);
}
