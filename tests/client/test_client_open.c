/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening, binding and connecting, on one worker and on two. */
#include <errno.h>
#include <fcntl.h>
#include <leat/leat.h>
#include <netinet/tcp.h>
#include <string.h>

#include "helpers.h"
#include "socket.h"
#include "support/test.h"

static struct fake_daemon *start_two_workers(void)
{
	struct fake_config config = FAKE_CONFIG_DEFAULT;

	config.workers = 2;
	return fake_start(&config);
}

static unsigned open_socks(const struct fake_daemon *d)
{
	unsigned count = 0;

	for (unsigned i = 0; i < FAKE_WORKERS * FAKE_SLOTS; i++)
		count += d->sock[i].open;
	return count;
}

/* A stream socket whose attempt to connect stays undecided. */
static int hanging_stream(struct fake_daemon *d)
{
	int fd = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	d->connect_hangs = true;
	CHECK_EQ(connect_port(fd, 80), -1);
	CHECK_EQ(errno, EINPROGRESS);
	return fd;
}

static void what_is_not_served_is_refused(void)
{
	struct fake_daemon *d = fake_start_default();

	CHECK_EQ(leat_socket(AF_UNIX, SOCK_STREAM, 0), -1);
	CHECK_EQ(errno, EAFNOSUPPORT);
	CHECK_EQ(leat_socket(AF_INET, SOCK_RAW, 0), -1);
	CHECK_EQ(errno, ESOCKTNOSUPPORT);
	CHECK_EQ(leat_socket(AF_INET, SOCK_STREAM | (1 << 20), 0), -1);
	CHECK_EQ(errno, EINVAL);
	fake_stop(d);
}

static void sockets_begin_on_one_worker_in_turn(void)
{
	struct fake_daemon *d = start_two_workers();
	int a = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int b = leat_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK_EQ(open_socks(d), 2);
	CHECK_EQ(fake_sock(d, fake_handle(a, 0))->worker, 0);
	CHECK_EQ(fake_sock(d, fake_handle(b, 0))->worker, 1);
	CHECK_EQ(leat_fcntl(a, F_GETFL), O_RDWR | O_NONBLOCK);
	CHECK_EQ(leat_fcntl(b, F_GETFL), O_RDWR);
	leat_close(a);
	leat_close(b);
	fake_stop(d);
}

static void bind_takes_one_port_on_every_worker(void)
{
	struct fake_daemon *d = start_two_workers();
	struct sockaddr_in any = {.sin_family = AF_INET}, got;
	socklen_t length = sizeof(got);
	int fd, on = 1;

	leat_close(leat_socket(AF_INET, SOCK_STREAM, 0)); /* so that the home is worker 1 */
	fd = leat_socket(AF_INET, SOCK_STREAM, 0);
	CHECK_EQ(leat_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	d->bind_conflicts = 2; /* twice the port that worker 0 chose is taken on worker 1 */
	CHECK_EQ(leat_bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
	CHECK_EQ(open_socks(d), 2);
	for (unsigned w = 0; w < 2; w++) {
		CHECK_EQ(fake_sock(d, fake_handle(fd, w))->worker, w);
		CHECK_EQ(fake_sock(d, fake_handle(fd, w))->port, 40002);
		/* Set before there was a second sock. */
		CHECK_EQ(fake_sock(d, fake_handle(fd, w))->option.name, SO_REUSEADDR);
	}
	CHECK_EQ(leat_getsockname(fd, (struct sockaddr *)&got, &length), 0);
	CHECK_EQ(ntohs(got.sin_port), 40002);
	CHECK_EQ(leat_bind(fd, (struct sockaddr *)&any, sizeof(any)), -1);
	CHECK_EQ(errno, EINVAL);
	leat_close(fd);
	fake_stop(d);
}

static void a_port_taken_on_one_worker_is_in_use(void)
{
	struct fake_daemon *d = start_two_workers();
	struct sockaddr_in local = ipv4_address(80);
	int fd = leat_socket(AF_INET, SOCK_STREAM, 0);

	d->bind_conflicts = 1;
	CHECK_EQ(bind_port(fd, 80), -1);
	CHECK_EQ(errno, EADDRINUSE);
	CHECK_EQ(fake_sock(d, fake_handle(fd, 0))->port, 0); /* not bound there any more */
	CHECK_EQ(bind_port(fd, 80), 0);
	CHECK_EQ(fake_sock(d, fake_handle(fd, 0))->port, 80);
	CHECK_EQ(leat_bind(fd, (struct sockaddr *)&local, 3), -1);
	CHECK_EQ(errno, EINVAL);
	leat_close(fd);
	fake_stop(d);
}

static void a_bound_stream_connects_from_its_home_alone(void)
{
	struct fake_daemon *d = start_two_workers();
	int fd = leat_socket(AF_INET, SOCK_STREAM, 0);

	CHECK_EQ(bind_port(fd, 1000), 0);
	CHECK_EQ(connect_port(fd, 80), 0);
	fake_settle(d);
	CHECK_EQ(open_socks(d), 1);
	CHECK_EQ(leat_send(fd, "x", 1, 0), 1);
	leat_close(fd);
	fake_stop(d);
}

static void a_bound_datagram_socket_connects_everywhere(void)
{
	struct fake_daemon *d = start_two_workers();
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	int fd = leat_socket(AF_INET, SOCK_DGRAM, 0);

	CHECK_EQ(bind_port(fd, 1000), 0);
	CHECK_EQ(connect_port(fd, 80), 0);
	CHECK_EQ(open_socks(d), 2);
	CHECK_EQ(leat_send(fd, "x", 1, 0), 1);
	CHECK_EQ(leat_connect(fd, &none, sizeof(none)), 0);
	CHECK_EQ(leat_send(fd, "x", 1, 0), -1);
	CHECK_EQ(errno, EDESTADDRREQ);
	leat_close(fd);
	fake_stop(d);
}

static void a_refused_connection_tells_why(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = leat_socket(AF_INET, SOCK_STREAM, 0);

	d->connect_error = ECONNREFUSED;
	CHECK_EQ(connect_port(fd, 80), -1);
	CHECK_EQ(errno, ECONNREFUSED);
	leat_close(fd);
	fake_stop(d);
}

static void connecting_without_blocking(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = hanging_stream(d);
	struct pollfd pollfd = {.fd = fd, .events = POLLOUT};

	CHECK_EQ(connect_port(fd, 80), -1);
	CHECK_EQ(errno, EALREADY);
	CHECK_EQ(leat_send(fd, "x", 1, 0), -1);
	CHECK_EQ(errno, EAGAIN);
	CHECK_EQ(leat_poll(&pollfd, 1, 5), 0);
	fake_establish(d, fake_handle(fd, 0));
	CHECK_EQ(leat_poll(&pollfd, 1, 1000), 1);
	CHECK_EQ(pollfd.revents, POLLOUT);
	CHECK_EQ(socket_error(fd), 0);
	CHECK_EQ(connect_port(fd, 80), 0);
	CHECK_EQ(connect_port(fd, 80), -1);
	CHECK_EQ(errno, EISCONN);
	leat_close(fd);
	fake_stop(d);
}

static void a_failed_attempt_shows_in_poll(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = hanging_stream(d);
	struct pollfd pollfd = {.fd = fd, .events = POLLOUT};

	fake_reset(d, fake_handle(fd, 0), EHOSTUNREACH);
	CHECK_EQ(leat_poll(&pollfd, 1, 1000), 1);
	CHECK_EQ(pollfd.revents, POLLOUT | POLLERR | POLLHUP);
	CHECK_EQ(socket_error(fd), EHOSTUNREACH);
	leat_close(fd);
	fake_stop(d);
}

static void a_send_timeout_bounds_connect(void)
{
	struct fake_daemon *d = fake_start_default();
	struct timeval timeout = {.tv_usec = 20000};
	int fd = leat_socket(AF_INET, SOCK_STREAM, 0);

	d->connect_hangs = true;
	leat_setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	CHECK_EQ(connect_port(fd, 80), -1);
	CHECK_EQ(errno, EINPROGRESS);
	leat_close(fd);
	fake_stop(d);
}

/* ---- MSG_FASTOPEN ------------------------------------------------------------ */

static ssize_t send_fast(int fd, const char *text, int flags)
{
	struct sockaddr_in peer = ipv4_address(80);

	return leat_sendto(fd, text, strlen(text), flags | MSG_FASTOPEN, (struct sockaddr *)&peer,
			   sizeof(peer));
}

static void a_fast_open_connects_and_sends(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = leat_socket(AF_INET, SOCK_STREAM, 0);
	struct leat_handle h = fake_handle(fd, 0);
	char out[16];

	CHECK_EQ(send_fast(fd, "hello", 0), 5);
	CHECK_EQ(fake_sock(d, h)->option.level, IPPROTO_TCP);
	CHECK_EQ(fake_sock(d, h)->option.name, TCP_FASTOPEN_CONNECT);
	CHECK_EQ(fake_sent(d, h, out, sizeof(out)), 5);
	CHECK_MEM(out, "hello", 5);
	CHECK_EQ(send_fast(fd, "again", MSG_NOSIGNAL), -1);
	CHECK_EQ(errno, EISCONN);
	leat_close(fd);
	fake_stop(d);
}

/* As under Linux: without a cookie nothing is queued. */
static void an_undecided_fast_open_sends_nothing(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = leat_socket(AF_INET, SOCK_STREAM, 0);
	char out[16];

	d->connect_hangs = true;
	CHECK_EQ(send_fast(fd, "hello", MSG_DONTWAIT), -1);
	CHECK_EQ(errno, EINPROGRESS);
	CHECK_EQ(send_fast(fd, "hello", MSG_DONTWAIT), -1);
	CHECK_EQ(errno, EALREADY);
	CHECK_EQ(fake_sent(d, fake_handle(fd, 0), out, sizeof(out)), 0);
	leat_close(fd);
	fake_stop(d);
}

static void a_refused_fast_open_says_so(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = leat_socket(AF_INET, SOCK_STREAM, 0);

	d->connect_error = ECONNREFUSED;
	CHECK_EQ(send_fast(fd, "hello", 0), -1);
	CHECK_EQ(errno, ECONNREFUSED);
	leat_close(fd);
	fake_stop(d);
}

static void a_fast_open_needs_a_stream_and_an_address(void)
{
	struct fake_daemon *d = fake_start_default();
	int stream = leat_socket(AF_INET, SOCK_STREAM, 0);
	int datagram = leat_socket(AF_INET, SOCK_DGRAM, 0), listener = listening_stream();
	struct sockaddr none = {.sa_family = AF_UNSPEC};

	CHECK_EQ(leat_send(stream, "x", 1, MSG_FASTOPEN), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(leat_sendto(stream, "x", 1, MSG_FASTOPEN, &none, sizeof(none)), -1);
	CHECK_EQ(errno, EOPNOTSUPP);
	CHECK_EQ(send_fast(datagram, "x", 0), -1);
	CHECK_EQ(errno, EOPNOTSUPP);
	CHECK_EQ(send_fast(listener, "x", 0), -1);
	CHECK_EQ(errno, EOPNOTSUPP);
	leat_close(stream);
	leat_close(datagram);
	leat_close(listener);
	fake_stop(d);
}

TEST_SUITE(client_open)
{
	TEST(what_is_not_served_is_refused);
	TEST(sockets_begin_on_one_worker_in_turn);
	TEST(bind_takes_one_port_on_every_worker);
	TEST(a_port_taken_on_one_worker_is_in_use);
	TEST(a_bound_stream_connects_from_its_home_alone);
	TEST(a_bound_datagram_socket_connects_everywhere);
	TEST(a_refused_connection_tells_why);
	TEST(connecting_without_blocking);
	TEST(a_failed_attempt_shows_in_poll);
	TEST(a_send_timeout_bounds_connect);
	TEST(a_fast_open_connects_and_sends);
	TEST(an_undecided_fast_open_sends_nothing);
	TEST(a_refused_fast_open_says_so);
	TEST(a_fast_open_needs_a_stream_and_an_address);
}
