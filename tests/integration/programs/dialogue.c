/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dialogue ADDR PORT: connects; dialogue -l ADDR PORT: accepts one connection; dialogue -u ADDR
 * PORT: has a datagram socket with that peer.  Then does with its socket, which does not block, what
 * each line of its input says, and answers with one line:
 *
 *	send WORD       with flags 0             ->  how many bytes
 *	more WORD       with MSG_MORE            ->  how many bytes
 *	urgent WORD     with MSG_OOB             ->  how many bytes
 *	receive         up to 100000 bytes       ->  =BYTES, or the error's name
 *	take            with MSG_OOB             ->  =BYTES, or the error's name
 *	inline 0|1      SO_OOBINLINE             ->  0
 *	cork 0|1        UDP_CORK                 ->  0
 *	state           FIONREAD, SIOCATMARK, poll for POLLIN and POLLPRI
 */
#include <arpa/inet.h>
#include <errno.h>
#include <leat/leat.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

static char bytes[100000];

static int open_socket(int argc, char **argv)
{
	bool listens = argc > 1 && strcmp(argv[1], "-l") == 0;
	bool datagrams = argc > 1 && strcmp(argv[1], "-u") == 0;
	struct sockaddr_in address = {.sin_family = AF_INET};
	int options = listens || datagrams;
	int fd;

	argv += options;
	if (argc != 3 + options || inet_pton(AF_INET, argv[1], &address.sin_addr) != 1)
		return -1;
	address.sin_port = htons((uint16_t)atoi(argv[2]));
	fd = leat_socket(AF_INET, datagrams ? SOCK_DGRAM : SOCK_STREAM, 0);
	if (!listens)
		return leat_connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ? fd
											   : -1;
	if (leat_bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    leat_listen(fd, 1) != 0)
		return -1;
	return leat_accept(fd, NULL, NULL);
}

static void show_number(long n)
{
	if (n >= 0)
		printf("%ld\n", n);
	else
		printf("%s\n", strerrorname_np(errno));
}

static void receive(int fd, int flags)
{
	ssize_t n = leat_recv(fd, bytes, sizeof(bytes), flags);

	if (n < 0)
		show_number(n);
	else
		printf("=%.*s\n", (int)n, bytes);
}

static void show_state(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLPRI};
	int queued = -1, at_mark = -1;

	if (leat_ioctl(fd, FIONREAD, &queued) != 0 || leat_ioctl(fd, SIOCATMARK, &at_mark) != 0 ||
	    leat_poll(&p, 1, 0) < 0)
		perror("dialogue");
	printf("%d %d%s%s\n", queued, at_mark, p.revents & POLLIN ? " in" : "",
	       p.revents & POLLPRI ? " pri" : "");
}

static void answer(int fd, const char *verb, const char *word)
{
	int on = atoi(word);

	if (strcmp(verb, "send") == 0)
		show_number(leat_send(fd, word, strlen(word), 0));
	else if (strcmp(verb, "more") == 0)
		show_number(leat_send(fd, word, strlen(word), MSG_MORE));
	else if (strcmp(verb, "urgent") == 0)
		show_number(leat_send(fd, word, strlen(word), MSG_OOB));
	else if (strcmp(verb, "receive") == 0)
		receive(fd, 0);
	else if (strcmp(verb, "take") == 0)
		receive(fd, MSG_OOB);
	else if (strcmp(verb, "inline") == 0)
		show_number(leat_setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)));
	else if (strcmp(verb, "cork") == 0)
		show_number(leat_setsockopt(fd, IPPROTO_UDP, UDP_CORK, &on, sizeof(on)));
	else if (strcmp(verb, "state") == 0)
		show_state(fd);
	else
		puts("what?");
}

int main(int argc, char **argv)
{
	int fd = open_socket(argc, argv);
	static char line[sizeof(bytes) + 100];

	if (fd < 0) {
		perror("dialogue");
		return 1;
	}
	(void)leat_ioctl(fd, FIONBIO, &(int){1});
	while (fgets(line, sizeof(line), stdin) != NULL) {
		char *verb = strtok(line, " \n");
		char *word = strtok(NULL, " \n");

		if (verb != NULL)
			answer(fd, verb, word != NULL ? word : "");
		fflush(stdout);
	}
	return leat_close(fd) == 0 ? 0 : 1;
}
