/* SPDX-License-Identifier: BSD-3-Clause */
/* give_up ADDR PORT MS: sends without end, with a user timeout of so many milliseconds, until that
 * fails; prints the error. */
#include <arpa/inet.h>
#include <errno.h>
#include <leat/leat.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	static const char data[65536];
	struct sockaddr_in peer = {.sin_family = AF_INET};
	unsigned timeout_ms;
	int fd;

	if (argc != 4 || inet_pton(AF_INET, argv[1], &peer.sin_addr) != 1)
		return 2;
	peer.sin_port = htons((uint16_t)atoi(argv[2]));
	timeout_ms = (unsigned)atoi(argv[3]);
	fd = leat_socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || leat_connect(fd, (struct sockaddr *)&peer, sizeof(peer)) != 0 ||
	    leat_setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms)) !=
		    0) {
		perror("give_up");
		return 1;
	}
	while (leat_send(fd, data, sizeof(data), MSG_NOSIGNAL) > 0)
		;
	puts(strerror(errno));
	return 0;
}
