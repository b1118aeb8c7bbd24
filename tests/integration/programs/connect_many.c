/* SPDX-License-Identifier: BSD-3-Clause */
/* connect_many ADDR PORT COUNT: connections one after the other, each with a few bytes, closed
 * from this side first. */
#include <arpa/inet.h>
#include <leat/leat.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	struct sockaddr_in peer = {.sin_family = AF_INET};

	if (argc != 4 || inet_pton(AF_INET, argv[1], &peer.sin_addr) != 1)
		return 2;
	peer.sin_port = htons((uint16_t)atoi(argv[2]));
	for (int i = 0; i < atoi(argv[3]); i++) {
		int fd = leat_socket(AF_INET, SOCK_STREAM, 0);

		if (fd < 0 || leat_connect(fd, (struct sockaddr *)&peer, sizeof(peer)) != 0 ||
		    leat_send(fd, "hello", 5, 0) != 5 || leat_close(fd) != 0) {
			perror("connect_many");
			return 1;
		}
	}
	return 0;
}
