/* SPDX-License-Identifier: BSD-3-Clause */
/* MSG_OOB and its company; each outcome is what Linux's TCP gives. */
#include <errno.h>
#include <leat/leat.h>
#include <string.h>
#include <sys/ioctl.h>

#include "helpers.h"
#include "support/test.h"

static struct fake_daemon *d;
static struct leat_handle h;
static int fd;

static void begin(void)
{
	d = fake_start_default();
	fd = connected_stream();
	h = fake_handle(fd, 0);
	REQUIRE_EQ(leat_ioctl(fd, FIONBIO, &(int){1}), 0);
}

static void end(void)
{
	CHECK_EQ(leat_close(fd), 0);
	fake_stop(d);
}

static int ask(unsigned long request)
{
	int value = -1;

	CHECK_EQ(leat_ioctl(fd, request, &value), 0);
	return value;
}

static short polled(short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	(void)leat_poll(&p, 1, 0);
	return p.revents;
}

static void set_inline(int on)
{
	CHECK_EQ(leat_setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)), 0);
}

/* The next receive gives these bytes, ... */
static void expect_bytes(const char *bytes, int flags)
{
	char got[100];
	size_t length = strlen(bytes);

	if (CHECK_EQ(leat_recv(fd, got, sizeof(got), flags), length))
		CHECK_MEM(got, bytes, length);
}

/* ... or this error. */
static void expect_error(int error, int flags)
{
	char byte;

	CHECK_EQ(leat_recv(fd, &byte, 1, flags), -1);
	CHECK_EQ(errno, error);
}

/* abc, an urgent X, def. */
static void deliver_urgent(void)
{
	fake_urgent(d, h, 3, 0);
	fake_deliver(d, h, "abcXdef", 7);
}

static void a_read_stops_at_the_mark_and_passes_over_it(void)
{
	begin();
	expect_error(EINVAL, MSG_OOB);
	deliver_urgent();
	CHECK_EQ(ask(SIOCATMARK), 0);
	CHECK_EQ(ask(FIONREAD), 3);
	expect_bytes("abc", 0);
	CHECK_EQ(ask(SIOCATMARK), 1);
	CHECK_EQ(ask(FIONREAD), 0);
	CHECK_EQ(polled(POLLIN), POLLIN);
	expect_bytes("X", MSG_OOB);
	expect_error(EINVAL, MSG_OOB);
	CHECK_EQ(ask(SIOCATMARK), 1);
	expect_bytes("def", 0);
	CHECK_EQ(ask(SIOCATMARK), 0);
	end();
}

static void in_line_the_byte_is_read_in_its_place(void)
{
	begin();
	set_inline(1);
	deliver_urgent();
	CHECK_EQ(ask(FIONREAD), 7);
	expect_error(EINVAL, MSG_OOB);
	CHECK_EQ(polled(POLLPRI), POLLPRI);
	expect_bytes("abc", MSG_WAITALL | MSG_DONTWAIT);
	CHECK_EQ(ask(SIOCATMARK), 1);
	CHECK_EQ(polled(POLLPRI), POLLPRI);
	expect_bytes("Xdef", 0);
	CHECK_EQ(ask(SIOCATMARK), 0);
	CHECK_EQ(polled(POLLPRI), 0);
	end();
}

static void the_option_may_change_before_the_mark_is_reached(void)
{
	begin();
	deliver_urgent();
	set_inline(1);
	expect_bytes("abc", 0);
	set_inline(0);
	expect_bytes("X", MSG_OOB);
	set_inline(1);
	expect_bytes("Xdef", 0);
	end();
}

static void what_is_announced_is_awaited(void)
{
	char bytes[4];

	begin();
	fake_urgent(d, h, 2, 0);
	expect_error(EAGAIN, MSG_OOB);
	CHECK_EQ(polled(POLLIN | POLLPRI), 0);
	CHECK_EQ(ask(SIOCATMARK), 0);
	fake_deliver(d, h, "ab", 2);
	CHECK_EQ(ask(FIONREAD), 2);
	expect_bytes("ab", 0);
	CHECK_EQ(ask(SIOCATMARK), 1);
	expect_error(EAGAIN, MSG_OOB);
	fake_deliver(d, h, "X", 1);
	CHECK_EQ(polled(POLLIN | POLLPRI), POLLPRI); /* there is nothing else */
	CHECK_EQ(leat_recv(fd, bytes, 4, MSG_OOB | MSG_PEEK), 1);
	expect_bytes("X", MSG_OOB);
	CHECK_EQ(polled(POLLIN | POLLPRI), 0);
	end();
}

static void who_reads_past_it_has_lost_it(void)
{
	begin();
	fake_urgent(d, h, 0, 0);
	fake_deliver(d, h, "X", 1);
	CHECK_EQ(ask(SIOCATMARK), 1);
	expect_error(EAGAIN, MSG_PEEK); /* a look is no read */
	CHECK_EQ(ask(SIOCATMARK), 1);
	expect_error(EAGAIN, 0);
	CHECK_EQ(ask(SIOCATMARK), 0);
	expect_error(EINVAL, MSG_OOB);
	end();
}

static void peeking_sees_what_a_read_would_get(void)
{
	begin();
	deliver_urgent();
	expect_bytes("abc", MSG_PEEK);
	expect_bytes("abc", MSG_PEEK | MSG_WAITALL);
	expect_bytes("abc", 0);
	expect_bytes("def", MSG_PEEK);
	CHECK_EQ(ask(SIOCATMARK), 1);
	expect_bytes("X", MSG_OOB);
	expect_bytes("def", 0);
	end();
}

static void a_later_mark_takes_the_place_of_one_ahead(void)
{
	begin();
	fake_urgent(d, h, 2, 0);
	fake_deliver(d, h, "12a", 3);
	expect_bytes("a", MSG_OOB);
	fake_urgent(d, h, 3, 0);
	fake_deliver(d, h, "b", 1);
	CHECK_EQ(ask(FIONREAD), 3);
	expect_bytes("b", MSG_OOB);
	expect_bytes("12a", 0);
	CHECK_EQ(ask(SIOCATMARK), 1);
	end();
}

static void what_the_worker_calls_a_hole_is_passed_over(void)
{
	begin();
	fake_urgent(d, h, 0, 0);
	fake_deliver(d, h, "a", 1);
	fake_urgent(d, h, 1, 1);
	fake_deliver(d, h, "b", 1);
	CHECK_EQ(ask(FIONREAD), 0);
	CHECK_EQ(ask(SIOCATMARK), 1);
	expect_bytes("b", MSG_OOB);
	fake_urgent(d, h, 4, 2);
	fake_deliver(d, h, "cdX", 3);
	CHECK_EQ(ask(FIONREAD), 2);
	expect_bytes("cd", MSG_PEEK);
	expect_bytes("X", MSG_OOB);
	expect_bytes("cd", 0);
	expect_error(EAGAIN, 0);
	end();
}

/* The worker says so a moment before it says that the bytes are there. */
static void a_hole_may_be_told_before_it_is_there(void)
{
	begin();
	fake_urgent(d, h, 1, 1);
	CHECK_EQ(ask(FIONREAD), 0);
	CHECK_EQ(polled(POLLIN | POLLPRI), 0);
	expect_error(EAGAIN, 0);
	fake_deliver(d, h, "abc", 3);
	CHECK_EQ(ask(SIOCATMARK), 1);
	expect_bytes("b", MSG_OOB);
	expect_bytes("c", 0);
	end();
}

/* All that is wanted will not come before the mark: nobody waits for it. */
static void a_blocked_look_at_all_ends_at_the_mark(void)
{
	struct timeval timeout = {.tv_sec = 5};
	int64_t began_us = now_us();

	begin();
	CHECK_EQ(leat_ioctl(fd, FIONBIO, &(int){0}), 0);
	CHECK_EQ(leat_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), 0);
	deliver_urgent();
	expect_bytes("abc", MSG_PEEK | MSG_WAITALL);
	expect_bytes("abc", MSG_WAITALL);
	CHECK(now_us() - began_us < 2500000);
	end();
}

static void the_end_of_the_stream_ends_the_wait_for_it(void)
{
	char byte;

	begin();
	fake_urgent(d, h, 100, 0);
	fake_deliver(d, h, "abc", 3);
	fake_finish(d, h);
	CHECK_EQ(leat_recv(fd, &byte, 1, MSG_OOB), 0);
	expect_bytes("abc", 0);
	CHECK_EQ(leat_recv(fd, &byte, 1, 0), 0);
	end();
}

static void an_urgent_byte_may_be_the_last(void)
{
	char byte;

	begin();
	fake_urgent(d, h, 1, 0);
	fake_deliver(d, h, "aX", 2);
	fake_finish(d, h);
	expect_bytes("a", MSG_WAITALL);
	CHECK_EQ(leat_recv(fd, &byte, 1, MSG_PEEK), 0);
	expect_bytes("X", MSG_OOB);
	CHECK_EQ(leat_recv(fd, &byte, 1, 0), 0);
	CHECK_EQ(leat_recv(fd, &byte, 1, 0), 0);
	end();
}

/* The mark lies many chunks away, beyond what a read looks at at a time. */
static void a_mark_far_ahead_is_found(void)
{
	uint8_t bytes[10000];

	begin();
	fill_pattern(bytes, sizeof(bytes), 0);
	fake_urgent(d, h, 9000, 0);
	fake_deliver(d, h, bytes, sizeof(bytes));
	CHECK_EQ(ask(FIONREAD), 9000);
	CHECK_EQ(leat_recv(fd, bytes, 1, MSG_OOB), 1);
	CHECK(is_pattern(bytes, 1, 9000));
	CHECK_EQ(leat_recv(fd, bytes, sizeof(bytes), MSG_WAITALL), 9000);
	CHECK(is_pattern(bytes, 9000, 0));
	CHECK_EQ(leat_recv(fd, bytes, sizeof(bytes), 0), 999);
	CHECK(is_pattern(bytes, 999, 9001));
	end();
}

static void offsets_may_wrap_before_the_mark(void)
{
	begin();
	fake_set_offsets(d, h, UINT64_MAX - 1);
	fake_urgent(d, h, 1, UINT64_MAX - 1);
	fake_deliver(d, h, "abcXdef", 7);
	CHECK_EQ(ask(FIONREAD), 3);
	expect_bytes("abc", 0);
	expect_bytes("X", MSG_OOB);
	expect_bytes("def", 0);
	CHECK_EQ(polled(POLLPRI), 0);
	end();
}

static void a_buffer_without_room_takes_the_byte_all_the_same(void)
{
	struct iovec iov = {NULL, 0};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	begin();
	deliver_urgent();
	CHECK_EQ(leat_recvmsg(fd, &msg, MSG_OOB), 0);
	CHECK_EQ(msg.msg_flags, MSG_OOB | MSG_TRUNC);
	expect_error(EINVAL, MSG_OOB);
	expect_bytes("abc", 0);
	end();
}

static void epoll_tells_of_urgent_data(void)
{
	struct epoll_event event = {.events = EPOLLPRI};
	int epoll;

	begin();
	epoll = leat_epoll_create1(0);
	CHECK_EQ(leat_epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
	fake_deliver(d, h, "ab", 2);
	CHECK_EQ(leat_epoll_wait(epoll, &event, 1, 0), 0);
	fake_urgent(d, h, 2, 0);
	CHECK_EQ(leat_epoll_wait(epoll, &event, 1, 0), 0);
	fake_deliver(d, h, "X", 1);
	CHECK_EQ(leat_epoll_wait(epoll, &event, 1, 1000), 1);
	CHECK_EQ(event.events, EPOLLPRI);
	expect_bytes("X", MSG_OOB);
	CHECK_EQ(leat_epoll_wait(epoll, &event, 1, 0), 0);
	leat_close(epoll);
	end();
}

static void an_accepted_socket_has_its_listeners_choice(void)
{
	struct timeval timeout = {.tv_sec = 3}, got;
	socklen_t length = sizeof(got);
	int on = 1, listener;

	d = fake_start_default();
	listener = listening_stream();
	CHECK_EQ(leat_setsockopt(listener, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)), 0);
	CHECK_EQ(leat_setsockopt(listener, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)), 0);
	timeout.tv_sec = 4;
	CHECK_EQ(leat_setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), 0);
	h = fake_connect(d, fake_handle(listener, 0), 1234);
	fd = leat_accept(listener, NULL, NULL);
	REQUIRE(fd >= 0);
	CHECK_EQ(leat_getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &got, &length), 0);
	CHECK_EQ(got.tv_sec, 3);
	CHECK_EQ(leat_getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &got, &length), 0);
	CHECK_EQ(got.tv_sec, 4);
	deliver_urgent();
	expect_bytes("abc", 0);
	expect_bytes("Xdef", 0);
	leat_close(listener);
	end();
}

/* ---- Send --------------------------------------------------------------- */

static void the_last_byte_sent_is_the_urgent_one(void)
{
	char bytes[16];

	begin();
	CHECK_EQ(leat_send(fd, "abc", 3, 0), 3);
	CHECK_EQ(fake_sent_urgent(d, h), 0);
	CHECK_EQ(leat_send(fd, "defX", 4, MSG_OOB), 4);
	CHECK_EQ(fake_sent_urgent(d, h), 7);
	CHECK_EQ(leat_send(fd, "gh", 2, 0), 2);
	CHECK_EQ(fake_sent_urgent(d, h), 7);
	CHECK_EQ(leat_send(fd, "Y", 1, MSG_OOB | MSG_MORE), 1);
	CHECK_EQ(fake_sent_urgent(d, h), 10);
	CHECK_EQ(leat_send(fd, "", 0, MSG_OOB), 0);
	CHECK_EQ(fake_sent_urgent(d, h), 10);
	CHECK_EQ(fake_sent(d, h, bytes, sizeof(bytes)), 10);
	CHECK_MEM(bytes, "abcdefXghY", 10);
	end();
}

/* What was cut short is no message yet: its last byte is still to come. */
static void a_part_of_a_message_is_not_urgent(void)
{
	static char bytes[3000];
	ssize_t n;

	begin();
	n = leat_send(fd, bytes, sizeof(bytes), MSG_OOB);
	REQUIRE(n > 0 && n < (ssize_t)sizeof(bytes));
	CHECK_EQ(fake_sent_urgent(d, h), 0);
	fake_acknowledge(d, h, (size_t)n);
	CHECK_EQ(leat_send(fd, bytes + n, sizeof(bytes) - (size_t)n, MSG_OOB),
		 (ssize_t)sizeof(bytes) - n);
	CHECK_EQ(fake_sent_urgent(d, h), sizeof(bytes));
	end();
}

static void only_streams_have_urgent_data(void)
{
	int datagram, value;
	char byte = 0;

	begin();
	datagram = connected_datagram();
	CHECK_EQ(leat_send(datagram, &byte, 1, MSG_OOB), -1);
	CHECK_EQ(errno, EOPNOTSUPP);
	CHECK_EQ(leat_recv(datagram, &byte, 1, MSG_OOB | MSG_DONTWAIT), -1);
	CHECK_EQ(errno, EAGAIN); /* as Linux, which passes over the flag */
	CHECK_EQ(leat_ioctl(datagram, SIOCATMARK, &value), -1);
	CHECK_EQ(errno, ENOTTY);
	leat_close(datagram);
	end();
}

/* ---- In place ----------------------------------------------------------- */

static void in_place_the_mark_is_told(void)
{
	struct leat_cqe *cqe;
	struct leat_cq *cq;
	uint64_t bytes = 0;

	begin();
	REQUIRE_EQ(leat_cq_open(&cq), 0);
	CHECK_EQ(leat_cq_peek(cq, &cqe), -EAGAIN);
	CHECK_EQ(leat_cq_recv_urgent(cq, h, &bytes), -ENODATA);
	CHECK_EQ(leat_cq_events(cq, h) & LEAT_EV_PRI, 0);
	deliver_urgent();
	CHECK_EQ(leat_cq_recv_urgent(cq, h, &bytes), 0);
	CHECK_EQ(bytes, 3);
	CHECK_EQ(leat_cq_events(cq, h) & LEAT_EV_PRI, LEAT_EV_PRI);
	CHECK_EQ(leat_cq_recv_consume(cq, h, 3), 0);
	CHECK_EQ(leat_cq_recv_urgent(cq, h, &bytes), 0);
	CHECK_EQ(bytes, 0);
	CHECK_EQ(leat_cq_recv_consume(cq, h, 1), 0);
	CHECK_EQ(leat_cq_recv_urgent(cq, h, &bytes), -ENODATA);
	CHECK_EQ(leat_cq_events(cq, h) & LEAT_EV_PRI, 0);
	end(); /* the chunks it was granted are counted before it goes */
	leat_cq_close(cq);
}

TEST_SUITE(client_urgent)
{
	TEST(a_read_stops_at_the_mark_and_passes_over_it);
	TEST(in_line_the_byte_is_read_in_its_place);
	TEST(the_option_may_change_before_the_mark_is_reached);
	TEST(what_is_announced_is_awaited);
	TEST(who_reads_past_it_has_lost_it);
	TEST(peeking_sees_what_a_read_would_get);
	TEST(a_later_mark_takes_the_place_of_one_ahead);
	TEST(what_the_worker_calls_a_hole_is_passed_over);
	TEST(a_hole_may_be_told_before_it_is_there);
	TEST(a_blocked_look_at_all_ends_at_the_mark);
	TEST(the_end_of_the_stream_ends_the_wait_for_it);
	TEST(an_urgent_byte_may_be_the_last);
	TEST(a_mark_far_ahead_is_found);
	TEST(offsets_may_wrap_before_the_mark);
	TEST(a_buffer_without_room_takes_the_byte_all_the_same);
	TEST(epoll_tells_of_urgent_data);
	TEST(an_accepted_socket_has_its_listeners_choice);
	TEST(the_last_byte_sent_is_the_urgent_one);
	TEST(a_part_of_a_message_is_not_urgent);
	TEST(only_streams_have_urgent_data);
	TEST(in_place_the_mark_is_told);
}
