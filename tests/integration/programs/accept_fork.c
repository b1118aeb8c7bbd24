/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * accept_fork ADDR PORT PROCESSES CONNECTIONS: processes that forked after
 * listen and are all blocked in accept.  Each greets a connection with one
 * byte, its number, and closes it.  When all CONNECTIONS are served each prints
 *
 *     connections  sleeps in accept  returns from accept without a connection
 */
#include <arpa/inet.h>
#include <errno.h>
#include <leat/leat.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_PROCESSES 16

/* Shared by all processes. */
static struct {
	atomic_long served;
	long connections[MAX_PROCESSES], sleeps[MAX_PROCESSES], empty_returns[MAX_PROCESSES];
} * shared;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* How often this process gave its core away to wait. */
static long sleeps_so_far(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_nvcsw;
}

static void serve(int listener, int number)
{
	char greeting = (char)number;

	for (;;) {
		long before = sleeps_so_far();
		int fd = leat_accept(listener, NULL, NULL);

		/* Of an accept that fails, as it does when the parent ends this process, the sleep
		 * does not count. */
		if (fd < 0) {
			shared->empty_returns[number]++;
			continue;
		}
		shared->sleeps[number] += sleeps_so_far() - before;
		shared->connections[number]++;
		if (leat_send(fd, &greeting, 1, MSG_NOSIGNAL) != 1)
			fail("send");
		leat_close(fd);
		atomic_fetch_add(&shared->served, 1);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	pid_t children[MAX_PROCESSES];
	int listener, processes, connections;

	if (argc != 5)
		return 2;
	processes = atoi(argv[3]);
	connections = atoi(argv[4]);
	if (processes < 1 || processes > MAX_PROCESSES ||
	    inet_pton(AF_INET, argv[1], &address.sin_addr) != 1)
		return 2;
	address.sin_port = htons((uint16_t)atoi(argv[2]));
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	listener = leat_socket(AF_INET, SOCK_STREAM, 0);
	if (listener < 0)
		fail("socket");
	if (leat_bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0)
		fail("bind");
	if (leat_listen(listener, 1024) != 0)
		fail("listen");
	for (int i = 0; i < processes; i++) {
		children[i] = fork();
		if (children[i] < 0)
			fail("fork");
		if (children[i] == 0)
			serve(listener, i);
	}
	printf("ready\n");
	fflush(stdout);
	while (atomic_load(&shared->served) < connections)
		usleep(1000);
	for (int i = 0; i < processes; i++) {
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
		printf("%ld %ld %ld\n", shared->connections[i], shared->sleeps[i],
		       shared->empty_returns[i]);
	}
	return 0;
}
