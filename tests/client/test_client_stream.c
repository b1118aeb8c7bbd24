/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <leat/leat.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "helpers.h"
#include "support/test.h"

#define CHUNK 256

static void bytes_arrive_in_order(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	struct leat_handle h = fake_handle(fd, 0);
	uint8_t in[2000], out[2000];
	size_t got = 0;

	fill_pattern(in, sizeof(in), 0);
	fake_deliver(d, h, in, sizeof(in));
	for (size_t step = 1; got < sizeof(out); step = step * 3 + 1) {
		ssize_t n = leat_recv(fd, out + got,
				      step < sizeof(out) - got ? step : sizeof(out) - got, 0);

		REQUIRE(n > 0);
		got += (size_t)n;
	}
	CHECK(is_pattern(out, got, 0));
	CHECK_EQ(leat_close(fd), 0);
	fake_stop(d);
}

static void iovecs_are_filled_and_sent_in_order(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	struct leat_handle h = fake_handle(fd, 0);
	uint8_t a[10], b[500], c[90], out[600];
	struct iovec iov[] = {{a, sizeof(a)}, {NULL, 0}, {b, sizeof(b)}, {c, sizeof(c)}};

	fill_pattern(a, sizeof(a), 0);
	fill_pattern(b, sizeof(b), 10);
	fill_pattern(c, sizeof(c), 510);
	CHECK_EQ(leat_writev(fd, iov, 4), 600);
	CHECK_EQ(fake_sent(d, h, out, sizeof(out)), 600);
	CHECK(is_pattern(out, 600, 0));
	fill_pattern(out, 600, 1000);
	fake_deliver(d, h, out, 600);
	CHECK_EQ(leat_readv(fd, iov, 4), 600);
	CHECK(is_pattern(a, sizeof(a), 1000));
	CHECK(is_pattern(b, sizeof(b), 1010));
	CHECK(is_pattern(c, sizeof(c), 1510));
	CHECK_EQ(leat_readv(fd, iov, -1), -1);
	CHECK_EQ(errno, EINVAL);
	leat_close(fd);
	fake_stop(d);
}

static void an_empty_ring_would_block(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	char byte = 0;

	CHECK_EQ(leat_recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	CHECK_EQ(errno, EAGAIN);
	CHECK_EQ(leat_fcntl(fd, F_GETFL), O_RDWR);
	CHECK_EQ(leat_fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	CHECK_EQ(leat_fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
	CHECK_EQ(leat_read(fd, &byte, 1), -1);
	CHECK_EQ(errno, EAGAIN);
	CHECK_EQ(leat_ioctl(fd, FIONBIO, &(int){0}), 0);
	CHECK_EQ(leat_fcntl(fd, F_GETFL), O_RDWR);
	leat_close(fd);
	fake_stop(d);
}

static void peeking_leaves_the_bytes(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	char bytes[8] = {0};
	int available;

	fake_deliver(d, fake_handle(fd, 0), "abcdef", 6);
	CHECK_EQ(leat_recv(fd, bytes, 3, MSG_PEEK), 3);
	CHECK_EQ(leat_recv(fd, bytes, 8, MSG_PEEK | MSG_WAITALL | MSG_DONTWAIT), 6);
	CHECK_MEM(bytes, "abcdef", 6);
	CHECK_EQ(leat_ioctl(fd, FIONREAD, &available), 0);
	CHECK_EQ(available, 6);
	/* Dropped without being copied. */
	CHECK_EQ(leat_recv(fd, NULL, 2, MSG_TRUNC), 2);
	CHECK_EQ(leat_recv(fd, bytes, 8, 0), 4);
	CHECK_MEM(bytes, "cdef", 4);
	leat_close(fd);
	fake_stop(d);
}

struct delivery {
	struct fake_daemon *d;
	struct leat_handle h;
	unsigned after_ms;
	unsigned times;
	size_t length;
};

static void *deliver_later(void *arg)
{
	struct delivery *delivery = arg;
	uint8_t bytes[CHUNK];
	size_t offset = 0;

	for (unsigned i = 0; i < delivery->times; i++) {
		sleep_ms(delivery->after_ms);
		fill_pattern(bytes, delivery->length, offset);
		fake_deliver(delivery->d, delivery->h, bytes, delivery->length);
		offset += delivery->length;
	}
	return NULL;
}

static void a_blocked_receive_is_woken(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	struct delivery delivery = {d, fake_handle(fd, 0), 20, 1, 5};
	unsigned wakeups = d->wakeups;
	pthread_t thread;
	char bytes[8];

	pthread_create(&thread, NULL, deliver_later, &delivery);
	CHECK_EQ(leat_recv(fd, bytes, sizeof(bytes), 0), 5);
	CHECK(is_pattern(bytes, 5, 0));
	pthread_join(thread, NULL);
	CHECK(d->wakeups > wakeups);
	leat_close(fd);
	fake_stop(d);
}

static void waitall_waits_for_all(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	struct delivery delivery = {d, fake_handle(fd, 0), 5, 4, 100};
	uint8_t bytes[500];
	pthread_t thread;

	pthread_create(&thread, NULL, deliver_later, &delivery);
	CHECK_EQ(leat_recv(fd, bytes, 400, MSG_WAITALL), 400);
	CHECK(is_pattern(bytes, 400, 0));
	pthread_join(thread, NULL);
	/* The end comes first. */
	fake_deliver(d, fake_handle(fd, 0), "xyz", 3);
	fake_finish(d, fake_handle(fd, 0));
	CHECK_EQ(leat_recv(fd, bytes, 400, MSG_WAITALL), 3);
	CHECK_EQ(leat_recv(fd, bytes, 400, MSG_WAITALL), 0);
	leat_close(fd);
	fake_stop(d);
}

/* As under Linux: all there is to peek at is there at once. */
static void peeking_waits_for_all_too(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	struct delivery delivery = {d, fake_handle(fd, 0), 20, 3, 10};
	pthread_t thread;
	char bytes[30];

	pthread_create(&thread, NULL, deliver_later, &delivery);
	CHECK_EQ(leat_recv(fd, bytes, 30, MSG_PEEK | MSG_WAITALL), 30);
	CHECK_EQ(leat_recv(fd, bytes, 30, MSG_DONTWAIT), 30);
	pthread_join(thread, NULL);
	leat_close(fd);
	fake_stop(d);
}

static void a_low_water_mark_holds_a_receive_back(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream(), lowat = 25;
	struct delivery delivery = {d, fake_handle(fd, 0), 20, 3, 10};
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	pthread_t thread;
	char bytes[100];

	CHECK_EQ(leat_setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &lowat, sizeof(lowat)), 0);
	fake_deliver(d, delivery.h, "0123456789", 10);
	CHECK_EQ(leat_poll(&pfd, 1, 0), 0);
	CHECK_EQ(leat_recv(fd, bytes, 5, 0), 5); /* it asks for less */
	CHECK_EQ(leat_recv(fd, bytes, 100, MSG_DONTWAIT), 5); /* it does not wait */
	pthread_create(&thread, NULL, deliver_later, &delivery);
	CHECK_EQ(leat_recv(fd, bytes, 100, 0), 30);
	pthread_join(thread, NULL);
	leat_close(fd);
	fake_stop(d);
}

static void more_is_told_once_all_is_in(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	struct leat_handle h = fake_handle(fd, 0);

	CHECK_EQ(leat_send(fd, "head", 4, MSG_MORE), 4);
	fake_settle(d);
	CHECK_EQ(fake_sock(d, h)->mores, 1);
	CHECK_EQ(fake_sock(d, h)->more_offset, 4);
	CHECK_EQ(leat_send(fd, "body", 4, 0), 4);
	fake_settle(d);
	CHECK_EQ(fake_sock(d, h)->mores, 1);
	leat_close(fd);
	fake_stop(d);
}

static int64_t close_takes_us(int fd)
{
	int64_t start_us = now_us();

	CHECK_EQ(leat_close(fd), 0);
	return now_us() - start_us;
}

struct late_ack {
	struct fake_daemon *d;
	struct leat_handle h;
};

static void *acknowledge_late(void *arg)
{
	struct late_ack *late = arg;

	sleep_ms(50);
	fake_acknowledge(late->d, late->h, 4);
	return NULL;
}

static void close_lingers_until_all_is_delivered(void)
{
	struct fake_daemon *d = fake_start_default();
	struct linger linger = {.l_onoff = 1, .l_linger = 30};
	int fd = connected_stream();
	struct late_ack late = {d, fake_handle(fd, 0)};
	pthread_t thread;

	CHECK_EQ(leat_setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	CHECK_EQ(leat_send(fd, "last", 4, 0), 4);
	pthread_create(&thread, NULL, acknowledge_late, &late);
	CHECK_RANGE(close_takes_us(fd), 40000, 5000000);
	pthread_join(thread, NULL);
	CHECK_EQ(fake_sock(d, late.h)->shutdowns, 1);
	fake_stop(d);
}

static void close_lingers_no_longer_than_told(void)
{
	struct fake_daemon *d = fake_start_default();
	struct linger linger = {.l_onoff = 1, .l_linger = 1};
	int fd = connected_stream();

	CHECK_EQ(leat_setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	CHECK_EQ(leat_send(fd, "last", 4, 0), 4);
	CHECK_RANGE(close_takes_us(fd), 900000, 5000000);
	fake_stop(d);
}

static void close_does_not_linger_over_unread_bytes(void)
{
	struct fake_daemon *d = fake_start_default();
	struct linger linger = {.l_onoff = 1, .l_linger = 30};
	int fd = connected_stream();
	struct leat_handle h = fake_handle(fd, 0);

	CHECK_EQ(leat_setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	CHECK_EQ(leat_send(fd, "last", 4, 0), 4);
	fake_deliver(d, h, "unread", 6);
	CHECK_RANGE(close_takes_us(fd), 0, 5000000);
	CHECK_EQ(fake_sock(d, h)->shutdowns, 0);
	fake_stop(d);
}

static void a_receive_timeout_passes(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	struct timeval timeout = {.tv_usec = 20000}, got;
	socklen_t length = sizeof(got);
	int64_t start = now_us();
	char byte = 0;

	CHECK_EQ(leat_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), 0);
	CHECK_EQ(leat_getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &got, &length), 0);
	CHECK_EQ(got.tv_usec, 20000);
	CHECK_EQ(leat_recv(fd, &byte, 1, 0), -1);
	CHECK_EQ(errno, EAGAIN);
	CHECK_RANGE(now_us() - start, 20000, 500000);
	leat_close(fd);
	fake_stop(d);
}

static void on_alarm(int signal)
{
	(void)signal;
}

static void a_signal_interrupts(void)
{
	struct sigaction action = {.sa_handler = on_alarm}, old;
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	char byte = 0;

	sigaction(SIGALRM, &action, &old);
	ualarm(20000, 0);
	CHECK_EQ(leat_recv(fd, &byte, 1, 0), -1);
	CHECK_EQ(errno, EINTR);
	sigaction(SIGALRM, &old, NULL);
	leat_close(fd);
	fake_stop(d);
}

static void the_end_comes_after_the_bytes(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	char bytes[8];

	fake_deliver(d, fake_handle(fd, 0), "last", 4);
	fake_finish(d, fake_handle(fd, 0));
	CHECK_EQ(leat_recv(fd, bytes, 8, 0), 4);
	CHECK_EQ(leat_recv(fd, bytes, 8, 0), 0);
	CHECK_EQ(leat_recv(fd, bytes, 8, 0), 0);
	/* The other direction is open. */
	CHECK_EQ(leat_send(fd, "reply", 5, 0), 5);
	leat_close(fd);
	fake_stop(d);
}

static void a_reset_is_reported_once(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	char bytes[8];

	fake_deliver(d, fake_handle(fd, 0), "data", 4);
	fake_reset(d, fake_handle(fd, 0), ECONNRESET);
	CHECK_EQ(leat_recv(fd, bytes, 8, 0), 4);
	CHECK_EQ(leat_recv(fd, bytes, 8, 0), -1);
	CHECK_EQ(errno, ECONNRESET);
	CHECK_EQ(leat_recv(fd, bytes, 8, 0), 0);
	CHECK_EQ(leat_send(fd, "x", 1, MSG_NOSIGNAL), -1);
	CHECK_EQ(errno, EPIPE);
	leat_close(fd);
	fake_stop(d);
}

static void so_error_fetches_the_error(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	char byte = 0;

	fake_reset(d, fake_handle(fd, 0), ETIMEDOUT);
	CHECK_EQ(socket_error(fd), ETIMEDOUT);
	CHECK_EQ(socket_error(fd), 0);
	CHECK_EQ(leat_recv(fd, &byte, 1, 0), 0);
	leat_close(fd);
	fake_stop(d);
}

static volatile sig_atomic_t pipes;

static void on_pipe(int signal)
{
	(void)signal;
	pipes++;
}

static void a_broken_stream_raises_sigpipe(void)
{
	struct sigaction action = {.sa_handler = on_pipe}, old;
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();

	sigaction(SIGPIPE, &action, &old);
	pipes = 0;
	CHECK_EQ(leat_shutdown(fd, SHUT_WR), 0);
	CHECK_EQ(fake_sock(d, fake_handle(fd, 0))->shutdowns, 1);
	CHECK_EQ(leat_send(fd, "x", 1, 0), -1);
	CHECK_EQ(errno, EPIPE);
	CHECK_EQ(pipes, 1);
	CHECK_EQ(leat_send(fd, "x", 1, MSG_NOSIGNAL), -1);
	CHECK_EQ(errno, EPIPE);
	CHECK_EQ(pipes, 1);
	sigaction(SIGPIPE, &old, NULL);
	CHECK_EQ(leat_shutdown(fd, SHUT_RD), 0);
	CHECK_EQ(leat_recv(fd, &(char){0}, 1, 0), 0);
	CHECK_EQ(leat_shutdown(fd, 7), -1);
	CHECK_EQ(errno, EINVAL);
	leat_close(fd);
	fake_stop(d);
}

static void a_socket_that_never_connected_is_told_so(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = leat_socket(AF_INET, SOCK_STREAM, 0);
	char byte = 0;

	CHECK_EQ(leat_recv(fd, &byte, 1, 0), -1);
	CHECK_EQ(errno, ENOTCONN);
	CHECK_EQ(leat_send(fd, &byte, 1, 0), -1);
	CHECK_EQ(errno, ENOTCONN);
	CHECK_EQ(leat_send(fd, &byte, 1, MSG_ZEROCOPY), -1);
	CHECK_EQ(errno, EOPNOTSUPP);
	CHECK_EQ(leat_recv(fd, &byte, 1, MSG_ERRQUEUE), -1);
	CHECK_EQ(errno, EOPNOTSUPP);
	leat_close(fd);
	fake_stop(d);
}

static void a_full_ring_takes_what_fits(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	uint8_t *bytes = calloc(1, 10000);
	ssize_t n, sent = 0;

	while ((n = leat_send(fd, bytes, 10000, MSG_DONTWAIT)) > 0 || sent < 4096) {
		sent += n > 0 ? n : 0;
		fake_settle(d);
	}
	CHECK_EQ(sent, 4096);
	CHECK_EQ(errno, EAGAIN);
	free(bytes);
	leat_close(fd);
	fake_stop(d);
}

struct acknowledger {
	struct fake_daemon *d;
	struct leat_handle h;
	size_t total;
	bool good;
};

/* Takes what is sent, checks it and acknowledges it, bit by bit. */
static void *acknowledge_all(void *arg)
{
	struct acknowledger *a = arg;
	uint8_t bytes[700];
	size_t done = 0;

	a->good = true;
	for (int i = 0; i < 20000 && done < a->total; i++) {
		size_t n = fake_sent(a->d, a->h, bytes, sizeof(bytes));

		a->good &= is_pattern(bytes, n, done);
		fake_acknowledge(a->d, a->h, n);
		done += n;
		usleep(50);
	}
	a->good &= done == a->total;
	return NULL;
}

static void a_blocked_send_goes_on_as_the_peer_acknowledges(void)
{
	enum { TOTAL = 100000 };
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	struct acknowledger a = {.d = d, .h = fake_handle(fd, 0), .total = TOTAL};
	uint8_t *bytes = malloc(TOTAL);
	pthread_t thread;

	fill_pattern(bytes, TOTAL, 0);
	pthread_create(&thread, NULL, acknowledge_all, &a);
	CHECK_EQ(leat_send(fd, bytes, TOTAL, 0), TOTAL);
	pthread_join(thread, NULL);
	CHECK(a.good);
	free(bytes);
	leat_close(fd);
	fake_stop(d);
}

static void a_send_waits_for_chunks(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	struct timeval timeout = {.tv_usec = 30000};
	uint8_t bytes[4096] = {0};

	fake_settle(d);
	fake_grant(d, false);
	CHECK_EQ(leat_send(fd, bytes, sizeof(bytes), MSG_DONTWAIT), 8 * CHUNK);
	CHECK_EQ(leat_send(fd, bytes, sizeof(bytes), MSG_DONTWAIT), -1);
	CHECK_EQ(errno, EAGAIN);
	leat_setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	CHECK_EQ(leat_send(fd, bytes, 1, 0), -1);
	CHECK_EQ(errno, EAGAIN);
	fake_grant(d, true);
	timeout.tv_usec = 0;
	leat_setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	CHECK_EQ(leat_send(fd, bytes, 2048, 0), 2048);
	leat_close(fd);
	fake_stop(d);
}

static void *resume_later(void *arg)
{
	sleep_ms(20);
	fake_resume(arg);
	return NULL;
}

static void a_full_submission_queue_delays_a_send_only(void)
{
	struct fake_config config = FAKE_CONFIG_DEFAULT;
	struct fake_daemon *d;
	pthread_t thread;
	int fds[24];

	config.grant_entries = 32;
	d = fake_start(&config);
	for (int i = 0; i < 24; i++)
		fds[i] = connected_stream();
	fake_settle(d);
	fake_pause(d);
	pthread_create(&thread, NULL, resume_later, d);
	for (int i = 0; i < 24; i++)
		CHECK_EQ(leat_send(fds[i], "x", 1, 0), 1);
	pthread_join(thread, NULL);
	fake_settle(d);
	for (int i = 0; i < 24; i++) {
		CHECK_EQ(fake_sock(d, fake_handle(fds[i], 0))->tx_tail, 1);
		leat_close(fds[i]);
	}
	fake_stop(d);
}

static void closing_with_a_full_queue_loses_no_sock(void)
{
	struct fake_daemon *d = fake_start_default();
	int fds[40];

	for (int i = 0; i < 40; i++)
		fds[i] = connected_stream();
	for (int i = 0; i < 40; i++)
		CHECK_EQ(leat_close(fds[i]), 0);
	fake_stop(d);
	CHECK_EQ(d->closes, 40);
}

static void an_idle_socket_gives_its_chunk_back(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	struct leat_handle h = fake_handle(fd, 0);
	uint8_t out[16];

	CHECK_EQ(leat_send(fd, "ab", 2, 0), 2);
	fake_acknowledge(d, h, 2);
	fake_tell_idle(d, h);
	CHECK_EQ(leat_poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 1), 0);
	fake_settle(d);
	CHECK_EQ(fake_sock(d, h)->releases, 1);
	CHECK_EQ(fake_sock(d, h)->tx_first, LEAT_NO_CHUNK);
	CHECK_EQ(leat_send(fd, "cd", 2, 0), 2);
	CHECK_EQ(fake_sent(d, h, out, sizeof(out)), 2);
	CHECK_MEM(out, "cd", 2);
	leat_close(fd);
	fake_stop(d);
}

TEST_SUITE(client_stream)
{
	TEST(bytes_arrive_in_order);
	TEST(iovecs_are_filled_and_sent_in_order);
	TEST(an_empty_ring_would_block);
	TEST(peeking_leaves_the_bytes);
	TEST(a_blocked_receive_is_woken);
	TEST(waitall_waits_for_all);
	TEST(peeking_waits_for_all_too);
	TEST(a_low_water_mark_holds_a_receive_back);
	TEST(more_is_told_once_all_is_in);
	TEST(close_lingers_until_all_is_delivered);
	TEST(close_lingers_no_longer_than_told);
	TEST(close_does_not_linger_over_unread_bytes);
	TEST(a_receive_timeout_passes);
	TEST(a_signal_interrupts);
	TEST(the_end_comes_after_the_bytes);
	TEST(a_reset_is_reported_once);
	TEST(so_error_fetches_the_error);
	TEST(a_broken_stream_raises_sigpipe);
	TEST(a_socket_that_never_connected_is_told_so);
	TEST(a_full_ring_takes_what_fits);
	TEST(a_blocked_send_goes_on_as_the_peer_acknowledges);
	TEST(a_send_waits_for_chunks);
	TEST(a_full_submission_queue_delays_a_send_only);
	TEST(closing_with_a_full_queue_loses_no_sock);
	TEST(an_idle_socket_gives_its_chunk_back);
}
