/* SPDX-License-Identifier: BSD-3-Clause */
#include "echo.h"

#include <errno.h>
#include <leat/leat.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define EVENTS        256
#define REQUEST_BYTES 2048
#define BACKLOG       4096

static bool datagrams;
static int listener; /* or the UDP socket */
static int epoll;

bool echo_open(bool udp)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(ECHO_PORT)};
	struct epoll_event event = {.events = EPOLLIN, .data.fd = -1};

	datagrams = udp;
	listener = leat_socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK, 0);
	epoll = leat_epoll_create1(0);
	return listener >= 0 && epoll >= 0 &&
	       leat_bind(listener, (struct sockaddr *)&any, sizeof(any)) == 0 &&
	       (udp || leat_listen(listener, BACKLOG) == 0) &&
	       leat_epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) == 0;
}

static void echo_datagrams(void)
{
	char buffer[REQUEST_BYTES];
	struct sockaddr_storage peer;

	for (;;) {
		socklen_t length = sizeof(peer);
		ssize_t n = leat_recvfrom(listener, buffer, sizeof(buffer), 0,
					  (struct sockaddr *)&peer, &length);

		if (n < 0)
			return;
		(void)leat_sendto(listener, buffer, (size_t)n, 0, (struct sockaddr *)&peer, length);
	}
}

static void accept_all(void)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET};

	while ((event.data.fd = leat_accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		if (leat_epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event) != 0)
			leat_close(event.data.fd); /* its client is told, and counts it */
	}
}

static void echo(int fd)
{
	char buffer[REQUEST_BYTES];
	ssize_t n;

	while ((n = leat_recv(fd, buffer, sizeof(buffer), 0)) > 0) {
		if (leat_send(fd, buffer, (size_t)n, MSG_NOSIGNAL) != n)
			break;
		if ((size_t)n < sizeof(buffer))
			return; /* an edge tells of more */
	}
	if (n == 0 || errno != EAGAIN)
		leat_close(fd);
}

int echo_serve(void)
{
	struct epoll_event events[EVENTS];
	int count = leat_epoll_wait(epoll, events, EVENTS, 0);

	for (int i = 0; i < count; i++) {
		if (events[i].data.fd >= 0)
			echo(events[i].data.fd);
		else if (datagrams)
			echo_datagrams();
		else
			accept_all();
	}
	return count;
}
