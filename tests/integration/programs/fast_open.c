/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP Fast Open through leatd, one request and one answer for each connection.
 *
 *     fast_open serve ADDR PORT           echoes what each connection says
 *     fast_open send ADDR PORT TEXT       sendto with MSG_FASTOPEN
 *     fast_open connect ADDR PORT TEXT    TCP_FASTOPEN_CONNECT, connect, send
 *
 * The clients print the answer and what TCP_INFO says: whether the data went with the SYN.
 */
#include <arpa/inet.h>
#include <err.h>
#include <leat/leat.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static char answer[65536];

static int serve(const struct sockaddr_in *address)
{
	int listener = leat_socket(AF_INET, SOCK_STREAM, 0);
	int limit = 16;

	if (listener < 0 ||
	    leat_setsockopt(listener, IPPROTO_TCP, TCP_FASTOPEN, &limit, sizeof(limit)) != 0 ||
	    leat_bind(listener, (const struct sockaddr *)address, sizeof(*address)) != 0 ||
	    leat_listen(listener, 16) != 0)
		err(1, "listen");
	for (;;) {
		int fd = leat_accept(listener, NULL, NULL);
		ssize_t n = fd < 0 ? -1 : leat_recv(fd, answer, sizeof(answer), MSG_WAITALL);

		if (n < 0 || leat_send(fd, answer, (size_t)n, 0) != n)
			err(1, "answer");
		leat_close(fd);
	}
}

static void connect_and_send(int fd, const char *how, const struct sockaddr_in *address,
			     const char *text)
{
	const struct sockaddr *to = (const struct sockaddr *)address;
	int on = 1;
	ssize_t n;

	if (strcmp(how, "send") == 0) {
		n = leat_sendto(fd, text, strlen(text), MSG_FASTOPEN, to, sizeof(*address));
	} else {
		if (leat_setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on)) != 0 ||
		    leat_connect(fd, to, sizeof(*address)) != 0)
			err(1, "connect");
		n = leat_send(fd, text, strlen(text), 0);
	}
	if (n != (ssize_t)strlen(text))
		err(1, "send");
}

static int request(const char *how, const struct sockaddr_in *address, const char *text)
{
	int fd = leat_socket(AF_INET, SOCK_STREAM, 0);
	struct tcp_info info;
	socklen_t length = sizeof(info);
	size_t got = 0;
	ssize_t n;

	if (fd < 0)
		err(1, "socket");
	connect_and_send(fd, how, address, text);
	if (leat_shutdown(fd, SHUT_WR) != 0)
		err(1, "shutdown");
	while ((n = leat_recv(fd, answer + got, sizeof(answer) - got, 0)) > 0)
		got += (size_t)n;
	if (n < 0 || leat_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0)
		err(1, "answer");
	printf("%.*s %s\n", (int)got, answer,
	       info.tcpi_options & TCPI_OPT_SYN_DATA ? "in the SYN" : "after the SYN");
	leat_close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET};

	if (argc < 4 || inet_pton(AF_INET, argv[2], &address.sin_addr) != 1)
		errx(2, "usage: fast_open serve|send|connect ADDR PORT [TEXT]");
	address.sin_port = htons((uint16_t)strtoul(argv[3], NULL, 10));
	if (strcmp(argv[1], "serve") == 0)
		return serve(&address);
	return request(argv[1], &address, argc > 4 ? argv[4] : "");
}
