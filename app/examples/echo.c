/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * leat-echo: sends back what it receives, over TCP (many connections on one
 * thread, edge-triggered epoll) or UDP.
 */
#include <errno.h>
#include <leat/leat.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common.h"
#include "placement.h"

#define BUFFER_BYTES 16384
#define DATAGRAM_MAX 65536

struct connection {
	int fd;
	bool ended; /* the peer has sent all */
	size_t start, end; /* of buffer: received and not yet sent back */
	char buffer[BUFFER_BYTES];
};

/* Takes the connection as far as it gets without blocking.  False: it is over. */
static bool connection_run(struct connection *c)
{
	ssize_t n;

	for (;;) {
		if (c->start < c->end) {
			n = leat_send(c->fd, c->buffer + c->start, c->end - c->start, MSG_NOSIGNAL);
			if (n < 0)
				return errno == EAGAIN;
			c->start += (size_t)n;
			continue;
		}
		if (c->ended)
			return false;
		n = leat_recv(c->fd, c->buffer, sizeof(c->buffer), 0);
		if (n < 0)
			return errno == EAGAIN;
		c->ended = n == 0;
		c->start = 0;
		c->end = (size_t)n;
	}
}

static void accept_connection(int epoll, int listener)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
	int fd = leat_accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	struct connection *c;

	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			die_errno("accept");
		return;
	}
	c = malloc(sizeof(*c));
	if (c == NULL)
		die_errno("malloc");
	c->fd = fd;
	c->ended = false;
	c->start = 0;
	c->end = 0;
	event.data.ptr = c;
	if (leat_epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		die_errno("epoll_ctl");
}

static void serve_tcp(int listener)
{
	int epoll = leat_epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN},
			   events[64]; /* data.ptr NULL: the listener */

	if (epoll < 0 || leat_epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) != 0)
		die_errno("epoll");
	while (!stopped) {
		int count = leat_epoll_wait(epoll, events, 64, -1);

		if (count < 0 && errno != EINTR)
			die_errno("epoll_wait");
		for (int i = 0; i < count; i++) {
			struct connection *c = events[i].data.ptr;

			if (c == NULL) {
				accept_connection(epoll, listener);
			} else if (!connection_run(c)) {
				leat_close(c->fd);
				free(c);
			}
		}
	}
}

static void serve_udp(int fd)
{
	static __thread char datagram[DATAGRAM_MAX];

	while (!stopped) {
		struct sockaddr_storage peer;
		socklen_t peer_length = sizeof(peer);
		ssize_t n = leat_recvfrom(fd, datagram, sizeof(datagram), 0,
					  (struct sockaddr *)&peer, &peer_length);

		if (n < 0 && errno != EINTR)
			die_errno("recvfrom");
		/* Like any datagram, the answer may get lost; whoever asked will ask again. */
		if (n >= 0)
			leat_sendto(fd, datagram, (size_t)n, 0, (struct sockaddr *)&peer,
				    peer_length);
	}
}

static const char usage[] = "usage: leat-echo --listen ADDR:PORT [--udp] [--socket PATH]\n"
			    "Sends back what it receives, through leatd.\n"
			    "  --listen ADDR:PORT  where to listen (0.0.0.0 for any address)\n"
			    "  --udp               datagrams instead of connections\n"
			    "  --socket PATH       leatd's socket (default: LEAT_SOCKET, or the "
			    "built-in path)\n" INLINE_USAGE;

/* Where to serve what. */
struct service {
	const char *listen_at;
	struct sockaddr_in address;
	bool udp;
};

/* The whole of the program, in calls that wait: a loop that runs once. */
static int serve(unsigned worker, void *arg)
{
	const struct service *s = arg;
	int fd = open_server(&s->address, s->udp ? SOCK_DGRAM : SOCK_STREAM | SOCK_NONBLOCK);

	(void)worker;
	printf("leat-echo: serving %s at %s\n", s->udp ? "udp" : "tcp", s->listen_at);
	fflush(stdout);
	if (s->udp)
		serve_udp(fd);
	else
		serve_tcp(fd);
	leat_close(fd);
	return -1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"listen", required_argument, NULL, 'l'},
		{"udp", no_argument, NULL, 'u'},
		COMMON_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	struct service service = {0};
	int option;

	begin(&argc, &argv);
	while ((option = next_option(argc, argv, "uh", options, usage)) != -1) {
		switch (option) {
		case 'l':
			service.listen_at = optarg;
			break;
		case 'u':
			service.udp = true;
			break;
		}
	}
	if (service.listen_at == NULL || optind != argc)
		usage_error(usage);
	service.address = parse_endpoint(service.listen_at);
	stop_on_signals();
	run(serve, &service);
	return 0;
}
