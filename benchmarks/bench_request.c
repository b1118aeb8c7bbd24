/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench-request: an echo server with the stack inside on one core, asked by
 * the load generator on another, over net_ring (mbufs by pointer).  First the
 * driver alone: frames that come back as they were.
 */
#include <errno.h>
#include <leat/inline.h>
#include <leat/leat.h>
#include <netinet/in.h>
#include <pthread.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "link.h"
#include "load.h"

#define SERVER_ADDRESS 0xc6120001u /* 198.18.0.1, in 198.18.0.0/15 */
#define SERVER_PORT    7
#define MBUFS          65535
#define MBUF_CACHE     512
#define CEILING_S      0.5
#define EVENTS         256
#define REQUEST_BYTES  2048
/* Two for each connection that sent or received lately; those at rest hold none. */
#define CHUNKS_MAX     700000
#define CHUNKS_GRANTED 16384 /* in advance, to each context */

static const char usage[] =
	"usage: bench-request EAL-ARGS -- --core N OPTIONS\n"
	"An echo server on EAL's main core (one is enough), the generator on core N.\n";

static struct {
	struct load_options options;
	int core; /* of the generator */
	pthread_t thread;
	struct generator *generator;
	uint32_t ready; /* atomic: the server listens */

	/* the server's */
	int listener; /* or the UDP socket */
	int epoll;
	uint64_t last; /* the counter when the last turn ended */
	uint64_t began; /* measuring; 0: not yet */
	uint64_t cycles;
	uint64_t busy;
	struct histogram
		idle; /* turns that found nothing; their median, as some were interrupted */
} bench;

static void fail(const char *what)
{
	fprintf(stderr, "bench-request: %s\n", what);
	exit(1);
}

/* ---- the generator's thread ---- */

static void *generate(void *arg)
{
	cpu_set_t set;

	(void)arg;
	CPU_ZERO(&set);
	CPU_SET(bench.core, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set) != 0 ||
	    rte_thread_register() != 0)
		fail("the generator's thread cannot start on its core");
	while (__atomic_load_n(&bench.ready, __ATOMIC_ACQUIRE) == 0)
		rte_pause();
	while (generator_step(bench.generator))
		;
	rte_thread_unregister();
	return NULL;
}

static void generator_start(const struct generator_config *config)
{
	bench.generator = generator_create(config);
	if (bench.generator == NULL)
		fail("no memory for the connections");
	if (pthread_create(&bench.thread, NULL, generate, NULL) != 0)
		fail("no thread for the generator");
}

static bool is_over(void)
{
	return generator_phase(bench.generator) == GENERATOR_ENDED;
}

/* ---- the driver alone ---- */

/* Cycles of one frame in and out. */
static double measure_ceiling(uint16_t port, const struct generator_config *config)
{
	struct generator_config c = *config;
	uint64_t frames = 0, busy = 0, last = rte_rdtsc();

	c.mode = GENERATOR_UDP;
	c.http = false;
	c.connections = 512;
	c.addresses = 1;
	c.window = 0;
	c.rate = 0;
	c.warmup_s = 0;
	c.seconds = CEILING_S;
	if (link_start(port, c.pool) != 0)
		fail("cannot start the server's port");
	generator_start(&c);
	__atomic_store_n(&bench.ready, 1, __ATOMIC_RELEASE);
	while (!is_over()) {
		uint16_t count = link_reflect(port);
		uint64_t now = rte_rdtsc();

		frames += count;
		busy += count > 0 ? now - last : 0;
		last = now;
	}
	pthread_join(bench.thread, NULL);
	generator_free(bench.generator);
	link_stop(port);
	__atomic_store_n(&bench.ready, 0, __ATOMIC_RELEASE);
	return frames > 0 ? (double)busy / (double)frames : 0;
}

/* ---- the server ---- */

static void server_open(void)
{
	bool udp = bench.options.generator.mode == GENERATOR_UDP;
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(SERVER_PORT)};
	struct epoll_event event = {.events = EPOLLIN, .data.fd = -1};

	bench.listener = leat_socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK, 0);
	bench.epoll = leat_epoll_create1(0);
	if (bench.listener < 0 || bench.epoll < 0 ||
	    leat_bind(bench.listener, (struct sockaddr *)&any, sizeof(any)) != 0 ||
	    (!udp && leat_listen(bench.listener, 4096) != 0) ||
	    leat_epoll_ctl(bench.epoll, EPOLL_CTL_ADD, bench.listener, &event) != 0)
		fail("the server cannot listen");
	__atomic_store_n(&bench.ready, 1, __ATOMIC_RELEASE);
}

static void echo_datagrams(void)
{
	char buffer[REQUEST_BYTES];
	struct sockaddr_storage peer;

	for (;;) {
		socklen_t length = sizeof(peer);
		ssize_t n = leat_recvfrom(bench.listener, buffer, sizeof(buffer), 0,
					  (struct sockaddr *)&peer, &length);

		if (n < 0)
			return;
		(void)leat_sendto(bench.listener, buffer, (size_t)n, 0, (struct sockaddr *)&peer,
				  length);
	}
}

static void accept_all(void)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET};

	while ((event.data.fd = leat_accept4(bench.listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		if (leat_epoll_ctl(bench.epoll, EPOLL_CTL_ADD, event.data.fd, &event) != 0)
			fail("epoll_ctl");
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

static int serve(void)
{
	struct epoll_event events[EVENTS];
	int count = leat_epoll_wait(bench.epoll, events, EVENTS, 0);

	for (int i = 0; i < count; i++) {
		if (events[i].data.fd >= 0)
			echo(events[i].data.fd);
		else if (bench.options.generator.mode == GENERATOR_UDP)
			echo_datagrams();
		else
			accept_all();
	}
	return count;
}

/* Cycles from the end of one turn to the end of the next: the worker's iteration lies between. */
static void account(bool found)
{
	uint64_t now = rte_rdtsc();

	if (generator_phase(bench.generator) == GENERATOR_MEASURING) {
		if (bench.began != 0)
			bench.cycles = now - bench.began;
		else
			bench.began = now;
		if (found)
			bench.busy += now - bench.last;
		else
			histogram_add(&bench.idle, now - bench.last);
	}
	bench.last = now;
}

static int loop(unsigned worker, void *arg)
{
	int found;

	(void)worker;
	(void)arg;
	if (bench.epoll == 0)
		server_open();
	found = serve();
	account(found > 0);
	return is_over() ? -1 : found;
}

/* ---- the whole ---- */

/* Room for everything that the load needs, and for nothing more. */
static void write_config(char *path, size_t path_bytes)
{
	uint32_t socks = bench.options.generator.connections + 1024;
	uint32_t chunks = RTE_MIN(2 * socks, (uint32_t)CHUNKS_MAX);
	int fd = memfd_create("leat.conf", 0);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (f == NULL)
		fail("no memory file for the configuration");
	fprintf(f,
		"[leatd]\nsocket = none\nidle_us = 0\nmax_socks = %u\nslots_per_worker = %u\n"
		"chunks_per_worker = %u\nchunk_size = 4K\nmax_flight_records = %u\n"
		"max_sending = %u\nqueue_entries = 4096\nhuge_pages = yes\n"
		"[port0]\ndevice = net_ring_%s\naddress = 198.18.0.1/15\n",
		socks + 64, socks, chunks + CHUNKS_GRANTED, 2 * socks + 4096, chunks, LINK_SERVER);
	fflush(f);
	snprintf(path, path_bytes, "/proc/self/fd/%d", fd);
}

static struct rte_mempool *make_pool(const char *name)
{
	struct rte_mempool *pool = rte_pktmbuf_pool_create(
		name, MBUFS, MBUF_CACHE, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);

	if (pool == NULL)
		fail("no memory for mbufs");
	return pool;
}

static void parse(int argc, char **argv)
{
	if (argc < 3 || strcmp(argv[1], "--core") != 0)
		load_parse(&bench.options, 2, (char *[]){argv[0], (char *)"--core", NULL}, usage);
	bench.core = atoi(argv[2]);
	argv[2] = argv[0];
	load_parse(&bench.options, argc - 2, argv + 2, usage);
	bench.options.generator.server = SERVER_ADDRESS;
	bench.options.generator.server_port = SERVER_PORT;
}

int main(int argc, char **argv)
{
	struct load_server server = {.name = "inline echo", .driver = "net_ring"};
	struct generator_config *c = &bench.options.generator;
	const struct generator_result *result;
	char path[64];
	char *inside[] = {argv[0], (char *)"--", (char *)"--config", path, NULL};
	int used = rte_eal_init(argc, argv);
	uint16_t server_port;

	if (used < 0)
		fail("EAL refused its arguments");
	parse(argc - used, argv + used);
	if (link_create(&server_port, &c->port) != 0)
		fail("no rings");
	c->pool = make_pool("load");
	if (link_start(c->port, c->pool) != 0)
		fail("cannot start the generator's port");
	server.ceiling_cycles = measure_ceiling(server_port, c);
	write_config(path, sizeof(path));
	if (leat_inline_init(4, inside) < 0)
		exit(1);
	generator_start(c);
	if (leat_inline_run(loop, NULL) != 0)
		exit(1);
	pthread_join(bench.thread, NULL);
	result = generator_result(bench.generator);
	if (result->requests > 0) {
		server.cycles = (double)bench.cycles / (double)result->requests;
		server.busy_cycles = (double)bench.busy / (double)result->requests;
	}
	server.idle_cycles = (double)histogram_quantile(&bench.idle, 0.5);
	load_print(&bench.options, result, &server);
	return result->requests > 0 ? 0 : 1;
}
