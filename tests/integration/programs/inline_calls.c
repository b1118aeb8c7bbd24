/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * inline_calls EAL-ARGS -- --config FILE ADDR PORT OWN-PORT: a program with the
 * stack inside that uses both APIs on each worker, and the socket API on a
 * thread of its own besides.
 *
 * First, in calls that wait, connections to the echo server at ADDR PORT; then
 * an echo server at OWN-PORT over completions, in a loop that never waits.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <leat/cq.h>
#include <leat/inline.h>
#include <leat/leat.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS 20 /* of each worker, one after the other */
#define ANY_WORKER  UINT32_MAX
#define BYTES       60000
#define CREDITS     16
#define PIECES      8

static struct sockaddr_in echo_server;
static uint16_t own_port;
static pthread_t thread;
static struct leat_cq *queues[LEAT_MAX_WORKERS];
static volatile sig_atomic_t stopped;

static void need(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "inline_calls: %s: %s\n", what, strerror(errno));
	abort();
}

/* ---- Calls that wait ---------------------------------------------------- */

/* A connection of its own to the echo server; it must live on worker. */
static void ask_echo_server(uint32_t worker)
{
	int fd = leat_socket(AF_INET, SOCK_STREAM, 0), at;
	socklen_t length = sizeof(at);
	static __thread char sent[BYTES], got[BYTES];

	need(fd >= 0, "socket");
	need(leat_connect(fd, (struct sockaddr *)&echo_server, sizeof(echo_server)) == 0,
	     "connect");
	need(leat_getsockopt(fd, SOL_SOCKET, SO_INCOMING_CPU, &at, &length) == 0, "getsockopt");
	need(worker == ANY_WORKER || (uint32_t)at == worker, "it is on its own worker");
	memset(sent, 'a' + at, sizeof(sent));
	need(leat_send(fd, sent, sizeof(sent), 0) == sizeof(sent), "send");
	need(leat_recv(fd, got, sizeof(got), MSG_WAITALL) == sizeof(got), "recv");
	need(memcmp(sent, got, sizeof(sent)) == 0, "the echo");
	need(leat_close(fd) == 0, "close");
}

static void *ordinary_thread(void *arg)
{
	sigset_t all;

	(void)arg;
	/* net_tap's driver sends itself signals, which would end calls that wait. */
	sigfillset(&all);
	need(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0, "sigmask");
	for (int i = 0; i < CONNECTIONS; i++)
		ask_echo_server(ANY_WORKER);
	printf("inline_calls: serving on a thread\n");
	fflush(stdout);
	return NULL;
}

/* ---- Completions -------------------------------------------------------- */

static struct leat_cqe answer(struct leat_cq *cq, unsigned worker, struct leat_sqe sqe)
{
	struct leat_cqe *cqe, copy;

	sqe.user_data = 1;
	need(leat_cq_submit(cq, worker, &sqe) == 0, "submit");
	need(leat_cq_wait(cq, &cqe, 5000000) == 0, "wait");
	copy = *cqe;
	leat_cq_seen(cq);
	need(copy.type == LEAT_CQE_RESULT && copy.result == 0, "result");
	return copy;
}

static void credit(struct leat_cq *cq, unsigned worker, struct leat_handle listener, int count)
{
	struct leat_sqe sqe = {.op = LEAT_OP_CREDIT, .handle = listener, .value = count};

	need(leat_cq_submit(cq, worker, &sqe) == 0, "credit");
}

static struct leat_cq *open_listener(unsigned worker)
{
	struct leat_sqe sqe = {.op = LEAT_OP_SOCKET, .family = AF_INET, .type = SOCK_STREAM};
	struct leat_handle listener;
	struct leat_cq *cq;

	need(leat_cq_open(&cq) == 0, "leat_cq_open");
	listener = answer(cq, worker, sqe).handle;
	sqe = (struct leat_sqe){.op = LEAT_OP_BIND,
				.handle = listener,
				.addr = {.family = AF_INET, .port = htons(own_port)}};
	(void)answer(cq, worker, sqe);
	sqe = (struct leat_sqe){.op = LEAT_OP_LISTEN, .handle = listener, .value = 64};
	(void)answer(cq, worker, sqe);
	credit(cq, worker, listener, CREDITS);
	return cq;
}

/* What was received is sent back from where it lies; there is room: clients wait for their echo. */
static void send_back(struct leat_cq *cq, unsigned worker, struct leat_handle h)
{
	struct leat_sqe close = {.op = LEAT_OP_CLOSE, .handle = h, .value = 1};
	struct iovec in[PIECES], out;
	int pieces = PIECES, one = 1;
	ssize_t n = leat_cq_recv_peek(cq, h, in, &pieces);

	if (n == 0) {
		need(leat_cq_submit(cq, worker, &close) == 0, "close");
		return;
	}
	for (int i = 0; n > 0 && i < pieces; i++, one = 1) {
		n = leat_cq_send_reserve(cq, h, in[i].iov_len, &out, &one);
		need(n > 0 && out.iov_len <= in[i].iov_len, "reserve");
		memcpy(out.iov_base, in[i].iov_base, out.iov_len);
		need(leat_cq_send_commit(cq, h, out.iov_len) == 0, "commit");
		need(leat_cq_recv_consume(cq, h, out.iov_len) == 0, "consume");
		if (out.iov_len < in[i].iov_len) {
			send_back(cq, worker, h); /* the rest of it */
			return;
		}
	}
}

static int take_completions(struct leat_cq *cq, unsigned worker)
{
	struct leat_cqe *cqe;
	int count = 0;

	while (leat_cq_peek(cq, &cqe) == 0) {
		struct leat_cqe copy = *cqe;

		leat_cq_seen(cq);
		count++;
		if (copy.type == LEAT_CQE_ACCEPT) {
			need(leat_cq_claim(cq, &copy) == 0, "claim");
			need(leat_cq_worker(cq, copy.handle) == worker, "accepted where it lives");
			credit(cq, worker, copy.listener, 1);
		}
		if (copy.type == LEAT_CQE_ACCEPT || copy.type == LEAT_CQE_EVENT)
			send_back(cq, worker, copy.handle);
	}
	return count;
}

/* ---- The program -------------------------------------------------------- */

static int loop(unsigned worker, void *arg)
{
	(void)arg;
	if (stopped) {
		if (worker ==
		    0) /* it is done, else this would wait for a worker that does not run */
			need(pthread_join(thread, NULL) == 0, "join");
		return -1;
	}
	if (queues[worker] == NULL) {
		if (worker == 0)
			need(pthread_create(&thread, NULL, ordinary_thread, NULL) == 0, "thread");
		for (int i = 0; i < CONNECTIONS; i++)
			ask_echo_server(worker);
		queues[worker] = open_listener(worker);
		printf("inline_calls: serving on worker %u\n", worker);
		fflush(stdout);
	}
	return take_completions(queues[worker], worker);
}

static void on_sigterm(int number)
{
	(void)number;
	stopped = 1;
	leat_inline_stop();
}

int main(int argc, char **argv)
{
	int used = leat_inline_init(argc, argv);

	if (used < 0 || argc - used != 4)
		return 2;
	echo_server.sin_family = AF_INET;
	need(inet_pton(AF_INET, argv[used + 1], &echo_server.sin_addr) == 1, "ADDR");
	echo_server.sin_port = htons((uint16_t)atoi(argv[used + 2]));
	own_port = (uint16_t)atoi(argv[used + 3]);
	signal(SIGTERM, on_sigterm);
	return leat_inline_run(loop, NULL) == 0 ? 0 : 1;
}
