/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * leat-nc: standard input to the peer, the peer to standard output.  Each
 * direction has a thread and ends by itself: at the end of the input the
 * connection is shut down for sending, and what the peer still says is shown.
 */
#include <errno.h>
#include <leat/leat.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"

#define BUFFER_BYTES   65536
#define DATAGRAM_BYTES 1472 /* of input in each datagram: what fits one Ethernet frame */

static bool udp;
static int silence_ms = -1; /* give up after so long without hearing anything; -1: never */

static void write_all(const char *data, size_t length)
{
	while (length > 0) {
		ssize_t n = write(STDOUT_FILENO, data, length);

		if (n < 0 && errno != EINTR)
			die_errno("standard output");
		if (n > 0) {
			data += n;
			length -= (size_t)n;
		}
	}
}

static void *input_to_peer(void *argument)
{
	int fd = *(const int *)argument;
	static char buffer[BUFFER_BYTES];

	for (;;) {
		ssize_t n = read(STDIN_FILENO, buffer, udp ? DATAGRAM_BYTES : sizeof(buffer));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			die_errno("standard input");
		if (n == 0)
			break;
		/* A blocking send takes all of it. */
		if (leat_send(fd, buffer, (size_t)n, MSG_NOSIGNAL) < 0)
			die_errno("send");
	}
	if (!udp && leat_shutdown(fd, SHUT_WR) != 0)
		die_errno("shutdown");
	return NULL;
}

static void peer_to_output(int fd)
{
	static char buffer[BUFFER_BYTES];

	for (;;) {
		struct pollfd heard = {.fd = fd, .events = POLLIN};
		int ready = leat_poll(&heard, 1, silence_ms);
		ssize_t n;

		if (ready == 0)
			exit(0);
		n = ready < 0 ? -1 : leat_recv(fd, buffer, sizeof(buffer), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			die_errno("recv");
		if (n == 0 && !udp)
			return;
		write_all(buffer, (size_t)n);
	}
}

static int open_client(const struct sockaddr_in *peer)
{
	int fd = leat_socket(AF_INET, udp ? SOCK_DGRAM : SOCK_STREAM, 0);

	if (fd < 0)
		die_errno("socket");
	if (leat_connect(fd, (const struct sockaddr *)peer, sizeof(*peer)) != 0)
		die_errno("connect");
	return fd;
}

static int accept_one(const struct sockaddr_in *address)
{
	int listener = open_server(address, SOCK_STREAM);
	int fd = leat_accept4(listener, NULL, NULL, 0);

	if (fd < 0)
		die_errno("accept");
	leat_close(listener);
	return fd;
}

/* The sender of the first datagram becomes the peer. */
static int wait_for_datagram(const struct sockaddr_in *address)
{
	int fd = open_server(address, SOCK_DGRAM);
	struct sockaddr_storage peer;
	socklen_t length = sizeof(peer);

	if (leat_recvfrom(fd, NULL, 0, MSG_PEEK, (struct sockaddr *)&peer, &length) < 0)
		die_errno("recvfrom");
	if (leat_connect(fd, (struct sockaddr *)&peer, length) != 0)
		die_errno("connect");
	return fd;
}

static const char usage[] =
	"usage: leat-nc [-l] [-u] [-w SECONDS] [--socket PATH] ADDR PORT\n"
	"Sends standard input to the peer and shows what the peer sends, through leatd.\n"
	"  -l             listen at ADDR PORT for one peer instead of connecting\n"
	"  -u             datagrams instead of a connection\n"
	"  -w SECONDS     end after hearing nothing for so long\n"
	"  --socket PATH  leatd's socket (default: LEAT_SOCKET, or the built-in path)\n";

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"listen", no_argument, NULL, 'l'},
		{"udp", no_argument, NULL, 'u'},
		{"wait", required_argument, NULL, 'w'},
		COMMON_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	struct sockaddr_in address;
	bool listening = false;
	pthread_t sender;
	int option, fd;

	while ((option = next_option(argc, argv, "luw:h", options, usage)) != -1) {
		switch (option) {
		case 'l':
			listening = true;
			break;
		case 'u':
			udp = true;
			break;
		case 'w':
			silence_ms = 1000 * (int)strtol(optarg, NULL, 10);
			if (silence_ms <= 0)
				die("-w %s: a number of seconds", optarg);
			break;
		}
	}
	if (argc - optind != 2)
		usage_error(usage);
	address = parse_address(argv[optind], argv[optind + 1]);
	attach();
	if (!listening)
		fd = open_client(&address);
	else
		fd = udp ? wait_for_datagram(&address) : accept_one(&address);

	errno = pthread_create(&sender, NULL, input_to_peer, &fd);
	if (errno != 0)
		die_errno("thread");
	peer_to_output(fd);
	pthread_join(sender, NULL);
	leat_close(fd);
	return 0;
}
