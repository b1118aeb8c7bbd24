/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a thread does with what is its own, without locks (own.c, quick.c), and
 * what becomes of it when other threads come.
 */
#include <errno.h>
#include <fcntl.h>
#include <leat/leat.h>
#include <sys/uio.h>

#include "epoll.h"
#include "helpers.h"
#include "support/test.h"

#define RECORDS 20000

static uint8_t use_of(int fd)
{
	struct socket *so;
	uint8_t use;

	REQUIRE_EQ(socket_get(fd, &so), 0);
	use = load_acquire(&socket_context(so)->use);
	socket_put(so);
	return use;
}

static void run_elsewhere(void *(*what)(void *arg), void *arg)
{
	pthread_t thread;

	REQUIRE_EQ(pthread_create(&thread, NULL, what, arg), 0);
	pthread_join(thread, NULL);
}

/* ---- Alone -------------------------------------------------------------- */

static void a_context_stays_the_own_of_one_thread(void)
{
	struct fake_daemon *d = fake_start_default();
	int ep = leat_epoll_create1(0), fd = connected_stream();
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	char bytes[8];

	CHECK_EQ(leat_epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event), 0);
	for (int i = 0; i < 100; i++) {
		fake_deliver(d, fake_handle(fd, 0), "ping", 4);
		CHECK_EQ(leat_epoll_wait(ep, &event, 1, 1000), 1);
		CHECK_EQ(leat_recv(fd, bytes, sizeof(bytes), 0), 4);
		CHECK_EQ(leat_recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT), -1);
		CHECK_EQ(errno, EAGAIN);
		CHECK_EQ(leat_send(fd, "pong", 4, 0), 4);
		fake_settle(d);
		fake_acknowledge(d, fake_handle(fd, 0), 4);
	}
	CHECK_EQ(use_of(fd), CONTEXT_OWN);
	leat_close(fd);
	leat_close(ep);
	fake_stop(d);
}

static void the_quick_way_crosses_chunks_both_ways(void)
{
	struct fake_daemon *d = fake_start_default(); /* chunks of 256 bytes */
	int fd = connected_stream();
	uint8_t sent[600], got[600];
	struct iovec iov[3] = {{sent, 100}, {sent + 100, 1}, {sent + 101, 499}};

	fill_pattern(sent, sizeof(sent), 0);
	for (int i = 0; i < 20; i++) {
		fake_deliver(d, fake_handle(fd, 0), sent, sizeof(sent));
		memset(got, 0, sizeof(got));
		CHECK_EQ(leat_recv(fd, got, sizeof(got), 0), (ssize_t)sizeof(got));
		CHECK(is_pattern(got, sizeof(got), 0));
		CHECK_EQ(leat_writev(fd, iov, 3), (ssize_t)sizeof(sent));
		fake_settle(d);
		memset(got, 0, sizeof(got));
		CHECK_EQ(fake_sent(d, fake_handle(fd, 0), got, sizeof(got)), sizeof(got));
		CHECK(is_pattern(got, sizeof(got), 0));
		fake_acknowledge(d, fake_handle(fd, 0), sizeof(got));
	}
	leat_close(fd);
	fake_stop(d);
	CHECK_EQ(d->condemned[0], 0);
}

static void a_closed_descriptor_names_nothing_until_it_is_used_again(void)
{
	struct fake_daemon *d = fake_start_default();
	int ep = leat_epoll_create1(0), listener = listening_stream(), fds[3];
	struct epoll_event event = {.events = EPOLLIN};

	CHECK_EQ(leat_fcntl(listener, F_SETFL, O_NONBLOCK), 0);
	CHECK_EQ(leat_epoll_ctl(ep, EPOLL_CTL_ADD, listener, &event), 0);
	CHECK_EQ(leat_epoll_wait(ep, &event, 1, 0), 0);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 3; i++) {
			(void)fake_connect(d, fake_handle(listener, 0), (uint16_t)(4000 + i));
			CHECK_EQ(leat_epoll_wait(ep, &event, 1, 1000), 1);
			fds[i] = leat_accept(listener, NULL, NULL);
			CHECK(leat_is_fd(fds[i]));
			event = (struct epoll_event){.events = EPOLLIN | EPOLLET};
			CHECK_EQ(leat_epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &event), 0);
			CHECK_EQ(leat_epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &event), -1);
			CHECK_EQ(errno, EEXIST);
		}
		CHECK_EQ(leat_accept(listener, NULL, NULL), -1);
		CHECK_EQ(errno, EAGAIN);
		CHECK(fds[0] != fds[1] && fds[1] != fds[2] && fds[0] != fds[2]);
		for (int i = 0; i < 3; i++) {
			fake_deliver(d, fake_handle(fds[i], 0), "x", 1);
			CHECK_EQ(leat_close(fds[i]), 0);
			CHECK_EQ(leat_close(fds[i]), -1);
			CHECK_EQ(errno, EBADF);
			CHECK_EQ(leat_send(fds[i], "x", 1, 0), -1);
			CHECK_EQ(errno, EBADF);
		}
		/* What came for them before is not told any more. */
		CHECK_EQ(leat_epoll_wait(ep, &event, 1, 0), 0);
	}
	leat_close(listener);
	leat_close(ep);
	fake_stop(d);
}

static void the_end_of_leatd_ends_the_quick_way(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	char byte;

	fake_deliver(d, fake_handle(fd, 0), "ab", 2);
	CHECK_EQ(leat_recv(fd, &byte, 1, 0), 1);
	fake_die(d);
	session_mark_dead(session_current());
	CHECK_EQ(leat_recv(fd, &byte, 1, 0), -1);
	CHECK_EQ(errno, ENETDOWN);
	CHECK_EQ(leat_send(fd, "x", 1, 0), -1);
	CHECK_EQ(errno, ENETDOWN);
	leat_close(fd);
}

static void the_end_of_leatd_leaves_contexts_of_the_program_alone(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	const struct leat_cq *own = thread_context;
	struct leat_cq *cq;

	REQUIRE_EQ(leat_cq_open(&cq), 0);
	fake_die(d);
	session_mark_dead(session_current());
	CHECK_EQ(own->use, CONTEXT_COMMON);
	CHECK_EQ(cq->use, CONTEXT_OWN); /* it may have been closed, and be gone */
	leat_cq_close(cq);
	leat_close(fd);
}

static void no_room_for_events_is_an_error(void)
{
	struct fake_daemon *d = fake_start_default();
	int ep = leat_epoll_create1(0);
	struct epoll_event event;

	CHECK_EQ(leat_epoll_wait(ep, &event, 1, 0), 0);
	CHECK_EQ(leat_epoll_wait(ep, &event, 0, 0), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(leat_epoll_wait(ep, &event, -1, 0), -1);
	CHECK_EQ(errno, EINVAL);
	leat_close(ep);
	fake_stop(d);
}

static void what_the_quick_way_could_not_send_whole_it_gives_back(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	struct leat_handle h = fake_handle(fd, 0);
	struct leat_slot *slot = fake_slot(d, h);
	static uint8_t bytes[4000];

	fake_settle(d);
	fake_grant(d, false); /* 8 chunks of 256 bytes are there, or a few less */
	CHECK_EQ(quick_send(fd, bytes, sizeof(bytes), 0, NULL, 0), QUICK_NOT);
	CHECK_EQ(slot->tx_end, slot->tx_tail);
	CHECK_EQ(quick_send(fd, bytes, 600, 0, NULL, 0), 600); /* those given back */
	fake_grant(d, true);
	fake_reset(d, h, ECONNRESET);
	leat_close(fd);
	fake_stop(d);
	CHECK_EQ(d->condemned[0], 0);
}

/* ---- Datagrams, compared with those that go the other way ----------------- */

/* Sizes around those of a chunk (256 bytes), with and without padding. */
static const size_t lengths[] = {1, 7, 8, 100, 191, 192, 223, 224, 225, 256, 600, 1000};
#define LENGTHS (sizeof(lengths) / sizeof(lengths[0]))

/* One that was delivered twice, received both ways, with room for so many bytes. */
static void receive_alike(int fd, size_t length, size_t room)
{
	uint8_t quick[1500] = {0}, other[1500] = {0};
	struct sockaddr_in from = {0}, other_from = {0};
	socklen_t from_length = sizeof(from);
	struct iovec iov = {other, room};
	struct msghdr msg = {.msg_name = &other_from,
			     .msg_namelen = sizeof(other_from),
			     .msg_iov = &iov,
			     .msg_iovlen = 1};
	struct leat_addr address;
	size_t expected = length < room ? length : room;

	CHECK_EQ(quick_receive(fd, quick, room, 0, &address), (ssize_t)expected);
	addr_to_sockaddr(&address, (struct sockaddr *)&from, &from_length);
	CHECK_EQ(leat_recvmsg(fd, &msg, 0), (ssize_t)expected);
	CHECK(is_pattern(quick, expected, 0));
	CHECK_MEM(quick, other, sizeof(quick));
	CHECK_MEM(&from, &other_from, sizeof(from));
	CHECK_EQ(from_length, msg.msg_namelen);
}

static void datagrams_come_alike_both_ways(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_datagram();
	struct leat_handle h = fake_handle(fd, 0);
	struct leat_addr from;
	uint8_t bytes[1500];

	fill_pattern(bytes, sizeof(bytes), 0);
	for (size_t i = 0; i < 3 * LENGTHS; i++) {
		size_t length = lengths[i % LENGTHS];

		for (int n = 0; n < 2; n++)
			fake_deliver_datagram(d, h, bytes, length, length, (uint16_t)(5000 + i));
		receive_alike(fd, length, i < LENGTHS ? sizeof(bytes) : length / 2 + 1);
	}
	CHECK_EQ(quick_receive(fd, bytes, sizeof(bytes), MSG_DONTWAIT, &from), -1);
	CHECK_EQ(errno, EAGAIN);
	leat_close(fd);
	fake_stop(d);
}

/* What was written for one datagram; it counts as sent. */
static size_t take_sent(struct fake_daemon *d, struct leat_handle h, uint8_t *bytes, size_t size)
{
	size_t n;

	fake_settle(d);
	n = fake_sent(d, h, bytes, size);
	fake_acknowledge(d, h, n);
	fake_settle(d);
	return n;
}

static void datagrams_go_alike_both_ways(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_datagram();
	struct leat_handle h = fake_handle(fd, 0);
	struct sockaddr_in to = ipv4_address(7);
	uint8_t bytes[1500], quick[1500], other[1500];

	fill_pattern(bytes, sizeof(bytes), 0);
	fake_settle(d);
	for (size_t i = 0; i < 2 * LENGTHS; i++) {
		size_t length = lengths[i % LENGTHS], n;
		struct iovec iov = {bytes, length};
		struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

		if (i < LENGTHS) {
			msg.msg_name = &to;
			msg.msg_namelen = sizeof(to);
		}
		CHECK_EQ(quick_send(fd, bytes, length, 0, msg.msg_name, msg.msg_namelen),
			 (ssize_t)length);
		n = take_sent(d, h, quick, sizeof(quick));
		CHECK_EQ(leat_sendmsg(fd, &msg, 0), (ssize_t)length);
		CHECK_EQ(take_sent(d, h, other, sizeof(other)), n);
		CHECK(n > length);
		CHECK_MEM(quick, other, n);
	}
	leat_close(fd);
	fake_stop(d);
	CHECK_EQ(d->condemned[0], 0);
}

static void a_datagram_that_is_not_simple_goes_the_other_way(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = leat_socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in to = ipv4_address(7);
	const struct sockaddr *peer = (const struct sockaddr *)&to;
	static uint8_t bytes[DATAGRAM_MAX_BYTES + 1];
	struct leat_addr from;

	CHECK_EQ(quick_send(fd, "x", 1, 0, peer, sizeof(to)), QUICK_NOT); /* has no port */
	CHECK_EQ(leat_sendto(fd, "x", 1, 0, peer, sizeof(to)), 1);
	CHECK_EQ(quick_send(fd, "x", 1, 0, peer, sizeof(to)), 1);
	CHECK_EQ(quick_send(fd, "x", 1, 0, NULL, 0), QUICK_NOT); /* to whom? */
	CHECK_EQ(quick_send(fd, "x", 1, 0, peer, 3), QUICK_NOT);
	CHECK_EQ(quick_send(fd, bytes, sizeof(bytes), 0, peer, sizeof(to)), QUICK_NOT);
	CHECK_EQ(quick_send(fd, bytes, 5000, 0, peer, sizeof(to)), QUICK_NOT);
	CHECK_EQ(quick_receive(fd, bytes, 1, 0, &from), QUICK_NOT); /* has to wait */
	CHECK_EQ(leat_sendto(fd, "a", 1, MSG_MORE, peer, sizeof(to)), 1);
	CHECK_EQ(quick_send(fd, "x", 1, 0, peer, sizeof(to)), QUICK_NOT); /* the end of "a" */
	leat_close(fd);
	fake_stop(d);
}

/* ---- Not alone any more ------------------------------------------------- */

static void *receive_one(void *arg)
{
	char byte;

	CHECK_EQ(leat_recv(*(int *)arg, &byte, 1, 0), 1);
	return NULL;
}

static void another_thread_makes_a_context_common(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_stream();
	char byte;

	fake_deliver(d, fake_handle(fd, 0), "abc", 3);
	CHECK_EQ(leat_recv(fd, &byte, 1, 0), 1);
	CHECK_EQ(use_of(fd), CONTEXT_OWN);
	run_elsewhere(receive_one, &fd);
	CHECK_EQ(use_of(fd), CONTEXT_COMMON);
	CHECK_EQ(leat_recv(fd, &byte, 1, 0), 1);
	CHECK_EQ(byte, 'c');
	leat_close(fd);
	fake_stop(d);
}

struct sender {
	int fd;
	uint32_t id;
	unsigned sent; /* atomic */
};

struct record {
	uint32_t id;
	uint32_t number;
};

static void *send_records(void *arg)
{
	struct sender *s = arg;

	for (uint32_t i = 0; i < RECORDS; i++) {
		struct record r = {s->id, i};

		CHECK_EQ(leat_send(s->fd, &r, sizeof(r), 0), (ssize_t)sizeof(r));
		__atomic_add_fetch(&s->sent, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Takes what was sent and checks that each sender's records are whole and in order. */
static void *take_records(void *arg)
{
	struct fake_daemon *d = arg;
	struct leat_handle h = {.slot = 0};
	uint32_t next[2] = {0, 0};

	h.generation = fake_sock(d, h)->generation;
	while (next[0] < RECORDS || next[1] < RECORDS) {
		struct record r[64];
		size_t n = fake_sent(d, h, r, sizeof(r)) / sizeof(r[0]);

		for (size_t i = 0; i < n; i++) {
			REQUIRE(r[i].id < 2);
			REQUIRE_EQ(r[i].number, next[r[i].id]++);
		}
		fake_acknowledge(d, h, n * sizeof(r[0]));
	}
	return NULL;
}

static void a_stream_that_a_second_thread_comes_to_use_stays_whole(void)
{
	struct fake_daemon *d = fake_start_default();
	struct sender first = {.fd = connected_stream(), .id = 0}, second = first;
	pthread_t sender, taker;

	second.id = 1;
	CHECK_EQ(fake_handle(first.fd, 0).slot, 0);
	CHECK_EQ(use_of(first.fd), CONTEXT_OWN);
	pthread_create(&taker, NULL, take_records, d);
	/* It comes in the midst of what the owner does. */
	pthread_create(&sender, NULL, send_records, &second);
	(void)send_records(&first);
	pthread_join(sender, NULL);
	pthread_join(taker, NULL);
	CHECK_EQ(use_of(first.fd), CONTEXT_COMMON);
	leat_close(first.fd);
	fake_stop(d);
	CHECK_EQ(d->condemned[0], 0);
}

static void *close_it(void *arg)
{
	CHECK_EQ(leat_close(*(int *)arg), 0);
	return NULL;
}

static void a_socket_closed_by_another_thread_is_gone_for_its_owner(void)
{
	struct fake_daemon *d = fake_start_default();
	struct epoll_event event = {.events = EPOLLIN};
	int ep = leat_epoll_create1(0);

	for (int round = 0; round < 50; round++) {
		int fd = connected_stream();
		pthread_t thread;
		char byte;

		CHECK_EQ(leat_epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event), 0);
		pthread_create(&thread, NULL, close_it, &fd);
		while (leat_recv(fd, &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN)
			(void)leat_epoll_wait(ep, &event, 1, 0);
		CHECK_EQ(errno, EBADF);
		pthread_join(thread, NULL);
		CHECK_EQ(leat_epoll_wait(ep, &event, 1, 0), 0);
	}
	leat_close(ep);
	fake_stop(d);
}

struct closer {
	int fd;
	unsigned ready; /* atomic; threads */
	unsigned closed; /* atomic */
};

static void *try_to_close(void *arg)
{
	struct closer *c = arg;

	__atomic_add_fetch(&c->ready, 1, __ATOMIC_SEQ_CST);
	while (load_relaxed(&c->ready) < 2)
		;
	if (leat_close(c->fd) == 0)
		__atomic_add_fetch(&c->closed, 1, __ATOMIC_RELAXED);
	else
		CHECK_EQ(errno, EBADF);
	return NULL;
}

static void of_two_threads_that_close_a_descriptor_one_does(void)
{
	for (int round = 0; round < 50; round++) {
		struct fake_daemon *d =
			fake_start_default(); /* with a context that is not common */
		struct closer c = {.fd = connected_stream()};
		pthread_t thread;
		int fds[2];

		pthread_create(&thread, NULL, try_to_close, &c);
		(void)try_to_close(&c);
		pthread_join(thread, NULL);
		CHECK_EQ(c.closed, 1);
		for (int i = 0; i < 2; i++)
			fds[i] = connected_stream();
		CHECK(fds[0] != fds[1]);
		for (int i = 0; i < 2; i++)
			CHECK_EQ(leat_close(fds[i]), 0);
		fake_stop(d);
	}
}

struct addition {
	int ep, fd;
};

static void *watch_elsewhere(void *arg)
{
	const struct addition *a = arg;
	struct epoll_event event = {.events = EPOLLIN, .data.fd = a->fd};

	CHECK_EQ(leat_epoll_ctl(a->ep, EPOLL_CTL_ADD, a->fd, &event), 0);
	return NULL;
}

static void a_set_that_another_thread_adds_to_tells_its_owner(void)
{
	struct fake_daemon *d = fake_start_default();
	struct addition a = {leat_epoll_create1(0), connected_stream()};
	struct epoll_event event;

	CHECK_EQ(leat_epoll_wait(a.ep, &event, 1, 0), 0); /* it is its own now */
	run_elsewhere(watch_elsewhere, &a);
	CHECK_EQ(leat_epoll_wait(a.ep, &event, 1, 0), 0);
	fake_deliver(d, fake_handle(a.fd, 0), "x", 1);
	CHECK_EQ(leat_epoll_wait(a.ep, &event, 1, 1000), 1);
	CHECK_EQ(event.data.fd, a.fd);
	leat_close(a.fd);
	leat_close(a.ep);
	fake_stop(d);
}

TEST_SUITE(client_own)
{
	TEST(a_context_stays_the_own_of_one_thread);
	TEST(the_quick_way_crosses_chunks_both_ways);
	TEST(a_closed_descriptor_names_nothing_until_it_is_used_again);
	TEST(the_end_of_leatd_ends_the_quick_way);
	TEST(the_end_of_leatd_leaves_contexts_of_the_program_alone);
	TEST(no_room_for_events_is_an_error);
	TEST(what_the_quick_way_could_not_send_whole_it_gives_back);
	TEST(datagrams_come_alike_both_ways);
	TEST(datagrams_go_alike_both_ways);
	TEST(a_datagram_that_is_not_simple_goes_the_other_way);
	TEST(another_thread_makes_a_context_common);
	TEST(a_stream_that_a_second_thread_comes_to_use_stays_whole);
	TEST(a_socket_closed_by_another_thread_is_gone_for_its_owner);
	TEST(of_two_threads_that_close_a_descriptor_one_does);
	TEST(a_set_that_another_thread_adds_to_tells_its_owner);
}
