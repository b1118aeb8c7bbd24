/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <leat/leat.h>

#include "helpers.h"
#include "support/test.h"

static void a_waiting_connection_is_accepted(void)
{
	struct fake_daemon *d = fake_start_default();
	int listener = listening_stream();
	struct sockaddr_in peer;
	socklen_t length = sizeof(peer);
	struct leat_handle h;
	char bytes[4];
	int fd;

	CHECK_EQ(fake_sock(d, fake_handle(listener, 0))->backlog, 16);
	h = fake_connect(d, fake_handle(listener, 0), 1234);
	fake_deliver(d, h, "hi", 2); /* before anybody took it */
	fd = leat_accept4(listener, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK);
	REQUIRE(fd >= 0);
	CHECK_EQ(ntohs(peer.sin_port), 1234);
	CHECK_EQ(length, sizeof(peer));
	CHECK_EQ(leat_fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
	CHECK_EQ(fake_slot(d, h)->claim & LEAT_CLAIM_STATE, LEAT_CLAIM_TAKEN);
	CHECK_EQ(leat_recv(fd, bytes, 4, 0), 2);
	CHECK_EQ(leat_send(fd, "yo", 2, 0), 2);
	leat_close(fd);
	leat_close(listener);
	fake_stop(d);
}

struct caller {
	struct fake_daemon *d;
	struct leat_handle listener;
	unsigned count;
};

static void *connect_later(void *arg)
{
	struct caller *caller = arg;

	for (unsigned i = 0; i < caller->count; i++) {
		sleep_ms(5);
		fake_connect(caller->d, caller->listener, (uint16_t)(1000 + i));
	}
	return NULL;
}

static void a_blocked_accept_is_woken(void)
{
	struct fake_daemon *d = fake_start_default();
	int listener = listening_stream();
	struct caller caller = {d, fake_handle(listener, 0), 3};
	pthread_t thread;

	pthread_create(&thread, NULL, connect_later, &caller);
	for (int i = 0; i < 3; i++) {
		int fd = leat_accept(listener, NULL, NULL);

		CHECK(fd >= 0);
		leat_close(fd);
	}
	pthread_join(thread, NULL);
	leat_close(listener);
	fake_stop(d);
}

static void without_blocking_a_queued_connection_is_found_at_once(void)
{
	struct fake_config config = FAKE_CONFIG_DEFAULT;
	struct fake_daemon *d;
	struct fake_sock *l;
	int listener, fds[40];

	config.queue_entries = 64;
	d = fake_start(&config);
	listener = listening_stream();
	l = fake_sock(d, fake_handle(listener, 0));
	leat_fcntl(listener, F_SETFL, O_NONBLOCK);
	for (uint16_t i = 0; i < 40; i++)
		fake_connect(d, fake_handle(listener, 0), i);
	for (int i = 0; i < 40; i++) {
		fds[i] = leat_accept(listener, NULL, NULL);
		CHECK(fds[i] >= 0);
	}
	CHECK_EQ(leat_accept(listener, NULL, NULL), -1);
	CHECK_EQ(errno, EAGAIN);
	CHECK_RANGE(l->credits[0], 1, 16);
	for (int i = 0; i < 40; i++)
		leat_close(fds[i]);
	leat_close(listener);
	fake_stop(d);
}

static void an_offer_taken_back_is_passed_over(void)
{
	struct fake_daemon *d = fake_start_default();
	int listener = listening_stream();
	struct pollfd pollfd = {.fd = listener, .events = POLLIN};
	struct leat_handle first, second;
	int fd;

	first = fake_connect(d, fake_handle(listener, 0), 1);
	second = fake_connect(d, fake_handle(listener, 0), 2);
	CHECK_EQ(leat_poll(&pollfd, 1, 1000), 1);
	CHECK(fake_revoke(d, first));
	fd = leat_accept(listener, NULL, NULL);
	CHECK_EQ(fake_handle(fd, 0).slot, second.slot);
	CHECK(!fake_revoke(d, second));
	leat_close(fd);

	/* A listener whose only offer went away has nothing. */
	first = fake_connect(d, fake_handle(listener, 0), 3);
	CHECK_EQ(leat_poll(&pollfd, 1, 1000), 1);
	CHECK(fake_revoke(d, first));
	CHECK_EQ(leat_poll(&pollfd, 1, 0), 0);
	leat_fcntl(listener, F_SETFL, O_NONBLOCK);
	CHECK_EQ(leat_accept(listener, NULL, NULL), -1);
	CHECK_EQ(errno, EAGAIN);
	leat_close(listener);
	for (int i = 0; i < FAKE_SLOTS; i++)
		d->sock[i].open = false; /* those nobody took */
	fake_stop(d);
}

#define CREDITS 16 /* of a context that watches */

/* All that a context's credits brought was reset before it looked: it still hears of the next. */
static void credits_spent_on_what_was_taken_back_are_posted_again(void)
{
	struct fake_daemon *d = fake_start_default();
	struct leat_handle listener_handle, offered[CREDITS - 1];
	int listener = listening_stream();
	int epoll = leat_epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN};

	listener_handle = fake_handle(listener, 0);
	CHECK_EQ(leat_epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event), 0);
	CHECK_EQ(leat_epoll_wait(epoll, &event, 1, 0), 0);
	fake_settle(d);
	CHECK_EQ(fake_sock(d, listener_handle)->credits[0], CREDITS);
	for (int i = 0; i < CREDITS - 1; i++)
		offered[i] = fake_connect(d, listener_handle, (uint16_t)(1 + i));
	for (int i = 0; i < CREDITS - 1; i++) {
		CHECK(fake_revoke(d, offered[i]));
		fake_sock(d, offered[i])->open = false;
	}
	CHECK_EQ(leat_epoll_wait(epoll, &event, 1, 0), 0);
	fake_settle(d);
	CHECK(fake_sock(d, listener_handle)->credits[0] > CREDITS / 2);
	leat_close(listener);
	leat_close(epoll);
	fake_stop(d);
}

static void a_blocked_accept_posts_one_credit_for_each_worker(void)
{
	struct fake_config config = FAKE_CONFIG_DEFAULT;
	struct timeval timeout = {.tv_usec = 20000};
	struct fake_daemon *d;
	int listener;

	config.workers = 2;
	d = fake_start(&config);
	listener = listening_stream();
	leat_setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	CHECK_EQ(leat_accept(listener, NULL, NULL), -1);
	CHECK_EQ(errno, EAGAIN);
	fake_settle(d);
	for (unsigned w = 0; w < 2; w++) {
		/* Withdrawn, because another thread of this process might wait. */
		CHECK_EQ(fake_sock(d, fake_handle(listener, w))->credits[0], 0);
		CHECK_EQ(fake_sock(d, fake_handle(listener, w))->uncredits, 1);
	}
	leat_close(listener);
	fake_stop(d);
}

struct acceptors {
	struct fake_daemon *d;
	int listener;
	unsigned ready;
	unsigned accepted;
};

static void *accept_one(void *arg)
{
	struct acceptors *a = arg;
	int fd;

	__atomic_add_fetch(&a->ready, 1, __ATOMIC_SEQ_CST);
	fd = leat_accept(a->listener, NULL, NULL);
	if (fd >= 0) {
		__atomic_add_fetch(&a->accepted, 1, __ATOMIC_SEQ_CST);
		leat_close(fd);
	}
	return NULL;
}

static void one_of_several_threads_wakes_for_a_connection(void)
{
	enum { THREADS = 4 };
	struct fake_daemon *d = fake_start_default();
	struct acceptors a = {.d = d, .listener = listening_stream()};
	pthread_t thread[THREADS];

	for (int i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, accept_one, &a);
	CHECK(wait_for(&a.ready, THREADS));
	sleep_ms(20);
	for (unsigned i = 1; i <= THREADS; i++) {
		unsigned wakeups = d->wakeups;

		fake_connect(d, fake_handle(a.listener, 0), (uint16_t)i);
		CHECK(wait_for(&a.accepted, i));
		CHECK_EQ(d->wakeups - wakeups, 1);
		sleep_ms(5);
		CHECK_EQ(a.accepted, i);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	leat_close(a.listener);
	fake_stop(d);
}

static void what_does_not_listen_cannot_accept(void)
{
	struct fake_daemon *d = fake_start_default();
	int stream = leat_socket(AF_INET, SOCK_STREAM, 0);
	int datagram = leat_socket(AF_INET, SOCK_DGRAM, 0);

	CHECK_EQ(leat_accept(stream, NULL, NULL), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(leat_accept(datagram, NULL, NULL), -1);
	CHECK_EQ(errno, EOPNOTSUPP);
	CHECK_EQ(leat_listen(datagram, 1), -1);
	CHECK_EQ(errno, EOPNOTSUPP);
	CHECK_EQ(leat_accept4(stream, NULL, NULL, 1), -1);
	CHECK_EQ(errno, EINVAL);
	/* Listening unbound binds to a chosen port. */
	CHECK_EQ(leat_listen(stream, -1), 0);
	CHECK_EQ(fake_sock(d, fake_handle(stream, 0))->port, 40000);
	CHECK_EQ(fake_sock(d, fake_handle(stream, 0))->backlog, 0);
	CHECK_EQ(leat_listen(stream, 5), 0);
	CHECK_EQ(fake_sock(d, fake_handle(stream, 0))->backlog, 5);
	CHECK_EQ(leat_recv(stream, &(char){0}, 1, 0), -1);
	CHECK_EQ(errno, ENOTCONN);
	leat_close(stream);
	leat_close(datagram);
	fake_stop(d);
}

TEST_SUITE(client_accept)
{
	TEST(a_waiting_connection_is_accepted);
	TEST(a_blocked_accept_is_woken);
	TEST(without_blocking_a_queued_connection_is_found_at_once);
	TEST(an_offer_taken_back_is_passed_over);
	TEST(credits_spent_on_what_was_taken_back_are_posted_again);
	TEST(a_blocked_accept_posts_one_credit_for_each_worker);
	TEST(one_of_several_threads_wakes_for_a_connection);
	TEST(what_does_not_listen_cannot_accept);
}
