/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <leat/leat.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/ioctl.h>

#include "helpers.h"
#include "support/test.h"

static void messages_keep_their_bounds_and_sender(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_datagram();
	struct leat_handle h = fake_handle(fd, 0);
	struct sockaddr_in from;
	socklen_t length = sizeof(from);
	uint8_t bytes[1500];
	int next;

	fill_pattern(bytes, 1000, 0);
	fake_deliver_datagram(d, h, bytes, 1000, 1000, 5000);
	fake_deliver_datagram(d, h, "", 0, 0, 5001);
	fake_deliver_datagram(d, h, "abc", 3, 3, 5002);
	CHECK_EQ(leat_ioctl(fd, FIONREAD, &next), 0);
	CHECK_EQ(next, 1000);
	CHECK_EQ(leat_recvfrom(fd, bytes, sizeof(bytes), MSG_PEEK, NULL, NULL), 1000);
	memset(bytes, 0, sizeof(bytes));
	CHECK_EQ(leat_recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &length),
		 1000);
	CHECK(is_pattern(bytes, 1000, 0));
	CHECK_EQ(length, sizeof(from));
	CHECK_EQ(from.sin_family, AF_INET);
	CHECK_EQ(ntohs(from.sin_port), 5000);
	CHECK_EQ(from.sin_addr.s_addr, htonl(0xc0000201));
	CHECK_EQ(leat_recv(fd, bytes, sizeof(bytes), 0), 0);
	CHECK_EQ(leat_recv(fd, bytes, sizeof(bytes), 0), 3);
	CHECK_MEM(bytes, "abc", 3);
	CHECK_EQ(leat_recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT), -1);
	CHECK_EQ(errno, EAGAIN);
	leat_close(fd);
	fake_stop(d);
}

static void what_does_not_fit_is_lost(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_datagram();
	struct leat_handle h = fake_handle(fd, 0);
	uint8_t bytes[600];
	struct iovec iov = {bytes, 100};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_controllen = 0};

	fill_pattern(bytes, 600, 0);
	fake_deliver_datagram(d, h, bytes, 600, 600, 1);
	fake_deliver_datagram(d, h, bytes, 600, 600, 1);
	fake_deliver_datagram(d, h, bytes, 600, 9000, 1);
	fake_deliver_datagram(d, h, "next", 4, 4, 1);
	memset(bytes, 0, sizeof(bytes));
	CHECK_EQ(leat_recvmsg(fd, &msg, 0), 100);
	CHECK(msg.msg_flags & MSG_TRUNC);
	CHECK(is_pattern(bytes, 100, 0));
	CHECK_EQ(bytes[100], 0);
	CHECK_EQ(leat_recv(fd, bytes, 100, MSG_TRUNC), 600);
	/* Cut short before it came here. */
	iov.iov_len = 600;
	CHECK_EQ(leat_recvmsg(fd, &msg, 0), 600);
	CHECK(msg.msg_flags & MSG_TRUNC);
	CHECK_EQ(leat_recvmsg(fd, &msg, 0), 4);
	CHECK_EQ(msg.msg_flags & MSG_TRUNC, 0);
	leat_close(fd);
	fake_stop(d);
}

static void records_carry_address_and_length(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = leat_socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in to = ipv4_address(7);
	struct leat_handle h = fake_handle(fd, 0);
	struct leat_record record;
	uint8_t bytes[2048], sent[901];
	struct iovec iov[] = {{sent, 400}, {sent + 400, 501}};
	struct msghdr msg = {
		.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = iov, .msg_iovlen = 2};

	fill_pattern(sent, sizeof(sent), 0);
	CHECK_EQ(leat_send(fd, "x", 1, 0), -1);
	CHECK_EQ(errno, EDESTADDRREQ);
	CHECK_EQ(leat_sendmsg(fd, &msg, 0), 901);
	CHECK_EQ(fake_sock(d, h)->port, 40000); /* bound by the first send */
	CHECK_EQ(fake_sent(d, h, bytes, sizeof(bytes)), 32 + 904);
	memcpy(&record, bytes, sizeof(record));
	CHECK_EQ(record.length_bytes, 901);
	CHECK_EQ(record.addr.family, AF_INET);
	CHECK_EQ(ntohs(record.addr.port), 7);
	CHECK(is_pattern(bytes + 32, 901, 0));
	leat_close(fd);
	fake_stop(d);
}

static void a_message_goes_whole_or_not_at_all(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_datagram();
	struct leat_handle h = fake_handle(fd, 0);
	struct pollfd pollfd = {.fd = fd, .events = POLLOUT};
	uint8_t bytes[65508] = {0};
	size_t ring = 0;

	CHECK_EQ(leat_send(fd, bytes, 65508, 0), -1);
	CHECK_EQ(errno, EMSGSIZE);
	CHECK_EQ(leat_send(fd, bytes, 5000, 0), -1); /* than the send buffer */
	CHECK_EQ(errno, EMSGSIZE);
	while (leat_send(fd, bytes, 968, MSG_DONTWAIT) == 968) {
		ring += 1000;
		fake_settle(d);
	}
	CHECK_EQ(errno, EAGAIN);
	CHECK_EQ(ring, 4000);
	CHECK_EQ(fake_sock(d, h)->tx_tail, ring);
	CHECK_EQ(leat_poll(&pollfd, 1, 0), 0);
	CHECK_EQ(leat_send(fd, bytes, 64, MSG_DONTWAIT), 64);
	fake_acknowledge(d, h, 3000);
	CHECK_EQ(leat_poll(&pollfd, 1, 1000), 1);
	CHECK_EQ(leat_send(fd, bytes, 968, 0), 968);
	leat_close(fd);
	fake_stop(d);
}

static void a_message_waits_for_enough_chunks(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_datagram();
	struct timeval timeout = {.tv_usec = 30000};
	uint8_t bytes[1000] = {0};

	fake_settle(d);
	fake_grant(d, false);
	CHECK_EQ(leat_send(fd, bytes, 1000, MSG_DONTWAIT), 1000); /* five of eight chunks */
	leat_setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	CHECK_EQ(leat_send(fd, bytes, 1000, 0), -1);
	CHECK_EQ(errno, EAGAIN);
	fake_grant(d, true);
	timeout.tv_sec = 1;
	leat_setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	CHECK_EQ(leat_send(fd, bytes, 1000, 0), 1000);
	leat_close(fd);
	fake_stop(d);
}

static void an_error_comes_before_messages_and_once(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_datagram();
	struct leat_handle h = fake_handle(fd, 0);
	char bytes[8];

	fake_deliver_datagram(d, h, "abc", 3, 3, 80);
	fake_slot(d, h)->error = ECONNREFUSED;
	fake_slot(d, h)->error_seq++;
	fake_raise(d, h, LEAT_EV_ERR);
	CHECK_EQ(leat_recv(fd, bytes, 8, 0), -1);
	CHECK_EQ(errno, ECONNREFUSED);
	CHECK_EQ(leat_recv(fd, bytes, 8, 0), 3);
	leat_close(fd);
	fake_stop(d);
}

static void all_workers_of_a_bound_socket_are_read_in_turn(void)
{
	struct fake_config config = FAKE_CONFIG_DEFAULT;
	struct sockaddr_in local = ipv4_address(53);
	struct fake_daemon *d;
	char bytes[8];
	int fd;

	config.workers = 2;
	d = fake_start(&config);
	fd = leat_socket(AF_INET, SOCK_DGRAM, 0);
	CHECK_EQ(leat_bind(fd, (struct sockaddr *)&local, sizeof(local)), 0);
	CHECK_EQ(fake_sock(d, fake_handle(fd, 0))->worker, 0);
	CHECK_EQ(fake_sock(d, fake_handle(fd, 1))->worker, 1);
	for (int i = 0; i < 2; i++) {
		fake_deliver_datagram(d, fake_handle(fd, 0), "0", 1, 1, 9);
		fake_deliver_datagram(d, fake_handle(fd, 1), "1", 1, 1, 9);
	}
	for (int i = 0; i < 4; i++) {
		CHECK_EQ(leat_recv(fd, bytes, 8, 0), 1);
		CHECK_EQ(bytes[0], '0' + i % 2);
	}
	leat_close(fd);
	fake_stop(d);
}

/* ---- In pieces ---------------------------------------------------------- */

/* The only datagram that was sent is these bytes, to this port; it is acknowledged. */
static void expect_sent(struct fake_daemon *d, struct leat_handle h, const char *bytes,
			uint16_t port)
{
	size_t length = strlen(bytes);
	struct leat_record record;
	uint8_t sent[1000];
	size_t n = fake_sent(d, h, sent, sizeof(sent));

	if (!CHECK_EQ(n, sizeof(record) + (length + 7) / 8 * 8))
		return;
	memcpy(&record, sent, sizeof(record));
	CHECK_EQ(record.length_bytes, length);
	CHECK_EQ(record.full_bytes, length);
	CHECK_EQ(ntohs(record.addr.port), port);
	CHECK_MEM(sent + sizeof(record), bytes, length);
	fake_acknowledge(d, h, n);
}

static void expect_nothing_sent(struct fake_daemon *d, struct leat_handle h)
{
	uint8_t byte;

	CHECK_EQ(fake_sent(d, h, &byte, 1), 0);
}

static void pieces_go_as_one_datagram(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_datagram();
	struct leat_handle h = fake_handle(fd, 0);
	struct sockaddr_in first = ipv4_address(1000), second = ipv4_address(2000);

	CHECK_EQ(leat_sendto(fd, "ab", 2, MSG_MORE, (struct sockaddr *)&first, sizeof(first)), 2);
	CHECK_EQ(leat_send(fd, "cd", 2, MSG_MORE), 2);
	expect_nothing_sent(d, h);
	/* Where the first went. */
	CHECK_EQ(leat_sendto(fd, "ef", 2, 0, (struct sockaddr *)&second, sizeof(second)), 2);
	expect_sent(d, h, "abcdef", 1000);
	CHECK_EQ(leat_send(fd, "gh", 2, 0), 2);
	expect_sent(d, h, "gh", 0);
	CHECK_EQ(leat_send(fd, "", 0, MSG_MORE), 0);
	CHECK_EQ(leat_send(fd, "ij", 2, 0), 2);
	expect_sent(d, h, "ij", 0);
	leat_close(fd);
	fake_stop(d);
}

static void a_cork_holds_pieces_until_it_is_drawn(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_datagram();
	struct leat_handle h = fake_handle(fd, 0);
	int on = 1, off = 0, value = -1;
	socklen_t length = sizeof(value);

	CHECK_EQ(leat_getsockopt(fd, IPPROTO_UDP, UDP_CORK, &value, &length), 0);
	CHECK_EQ(value, 0);
	CHECK_EQ(leat_setsockopt(fd, IPPROTO_UDP, UDP_CORK, &on, sizeof(on)), 0);
	CHECK_EQ(leat_getsockopt(fd, IPPROTO_UDP, UDP_CORK, &value, &length), 0);
	CHECK_EQ(value, 1);
	CHECK_EQ(leat_send(fd, "ab", 2, 0), 2);
	CHECK_EQ(leat_send(fd, "cd", 2, 0), 2);
	expect_nothing_sent(d, h);
	CHECK_EQ(leat_setsockopt(fd, IPPROTO_UDP, UDP_CORK, &off, sizeof(off)), 0);
	expect_sent(d, h, "abcd", 0);
	CHECK_EQ(leat_setsockopt(fd, IPPROTO_UDP, UDP_CORK, &off, sizeof(off)), 0);
	expect_nothing_sent(d, h);
	CHECK_EQ(leat_setsockopt(fd, IPPROTO_UDP, UDP_CORK, &off, 2), -1);
	CHECK_EQ(errno, EINVAL);
	/* What waits when the socket is closed is forgotten. */
	CHECK_EQ(leat_send(fd, "ef", 2, MSG_MORE), 2);
	expect_nothing_sent(d, h);
	leat_close(fd);
	fake_stop(d);
}

static void pieces_that_are_too_much_are_dropped(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = connected_datagram();
	struct leat_handle h = fake_handle(fd, 0);
	static char bytes[40000];

	CHECK_EQ(leat_send(fd, bytes, sizeof(bytes), MSG_MORE), -1); /* SO_SNDBUF is less */
	CHECK_EQ(errno, EMSGSIZE);
	CHECK_EQ(leat_send(fd, bytes, 4000, MSG_MORE), 4000);
	CHECK_EQ(leat_send(fd, bytes, 4000, 0), -1);
	CHECK_EQ(errno, EMSGSIZE);
	CHECK_EQ(leat_send(fd, bytes, 1, MSG_MORE), 1);
	CHECK_EQ(leat_send(fd, bytes, sizeof(bytes), MSG_MORE), sizeof(bytes));
	CHECK_EQ(leat_send(fd, bytes, sizeof(bytes), MSG_MORE), -1);
	CHECK_EQ(errno, EMSGSIZE);
	CHECK_EQ(leat_send(fd, "y", 1, 0), 1);
	expect_sent(d, h, "y", 0);
	leat_close(fd);
	fake_stop(d);
}

static void who_has_no_peer_may_not_begin_a_datagram(void)
{
	struct fake_daemon *d = fake_start_default();
	int fd = leat_socket(AF_INET, SOCK_DGRAM, 0);

	CHECK_EQ(leat_send(fd, "ab", 2, MSG_MORE), -1);
	CHECK_EQ(errno, EDESTADDRREQ);
	leat_close(fd);
	fake_stop(d);
}

TEST_SUITE(client_datagram)
{
	TEST(messages_keep_their_bounds_and_sender);
	TEST(what_does_not_fit_is_lost);
	TEST(records_carry_address_and_length);
	TEST(a_message_goes_whole_or_not_at_all);
	TEST(a_message_waits_for_enough_chunks);
	TEST(an_error_comes_before_messages_and_once);
	TEST(all_workers_of_a_bound_socket_are_read_in_turn);
	TEST(pieces_go_as_one_datagram);
	TEST(a_cork_holds_pieces_until_it_is_drawn);
	TEST(pieces_that_are_too_much_are_dropped);
	TEST(who_has_no_peer_may_not_begin_a_datagram);
}
