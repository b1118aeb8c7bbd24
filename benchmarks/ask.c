/* SPDX-License-Identifier: BSD-3-Clause */
#include "ask.h"

#include <errno.h>
#include <pthread.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "echo.h"
#include "link.h"

#define SERVER_ADDRESS 0xc6120001u /* 198.18.0.1, in 198.18.0.0/15 */
#define MBUFS          65535
#define MBUF_CACHE     512
#define DRIVER_S       0.5
#define BURST          64
#define TURN_MAX_US    500
#define SPARE          1024 /* socks */
/* Two for each connection that sent or received lately; those at rest hold none. */
#define CHUNKS_MAX     700000
#define CHUNKS_GRANTED 16384 /* in advance, to each context */

static struct {
	struct load_options options;
	int core; /* of the generator */
	uint16_t server_port;
	pthread_t thread;
	struct generator *generator;
	uint32_t listening; /* atomic: the server */
	uint64_t turn_max_cycles;
} ask;

void ask_fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", program_invocation_short_name, what);
	exit(1);
}

const struct load_options *ask_options(void)
{
	return &ask.options;
}

/* ---- the generator's thread ---- */

static void *generate(void *arg)
{
	cpu_set_t set;

	(void)arg;
	CPU_ZERO(&set);
	CPU_SET(ask.core, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set) != 0 ||
	    rte_thread_register() != 0)
		ask_fail("the generator's thread cannot start on its core");
	while (__atomic_load_n(&ask.listening, __ATOMIC_ACQUIRE) == 0)
		rte_pause();
	while (generator_step(ask.generator))
		;
	rte_thread_unregister();
	return NULL;
}

static void start(const struct generator_config *config)
{
	ask.generator = generator_create(config);
	if (ask.generator == NULL)
		ask_fail("no memory for the connections");
	if (pthread_create(&ask.thread, NULL, generate, NULL) != 0)
		ask_fail("no thread for the generator");
}

void ask_start(void)
{
	start(&ask.options.generator);
}

void ask_listening(void)
{
	__atomic_store_n(&ask.listening, 1, __ATOMIC_RELEASE);
}

bool ask_is_measuring(void)
{
	return generator_phase(ask.generator) == GENERATOR_MEASURING;
}

bool ask_is_over(void)
{
	return generator_phase(ask.generator) == GENERATOR_ENDED;
}

bool ask_was_disturbed(uint64_t cycles)
{
	return cycles > ask.turn_max_cycles;
}

void ask_drain(void)
{
	struct rte_mbuf *pkts[BURST];
	uint16_t count = rte_eth_rx_burst(ask.options.generator.port, 0, pkts, BURST);

	rte_pktmbuf_free_bulk(pkts, count);
}

const struct generator_result *ask_result(void)
{
	pthread_join(ask.thread, NULL);
	return generator_result(ask.generator);
}

/* ---- the driver alone ---- */

void ask_driver(uint32_t connections, struct ask_driver *driver)
{
	struct generator_config c = ask.options.generator;
	uint64_t frames = 0, busy = 0, last = rte_rdtsc();

	c.mode = GENERATOR_UDP;
	c.http = false;
	c.connections = connections;
	c.addresses = 1;
	c.window = 0;
	c.rate = 0;
	c.warmup_s = 0;
	c.seconds = DRIVER_S;
	if (link_start(ask.server_port, c.pool) != 0)
		ask_fail("cannot start the server's port");
	start(&c);
	ask_listening();
	while (!ask_is_over()) {
		uint16_t count = link_reflect(ask.server_port);
		uint64_t now = rte_rdtsc();

		if (count > 0 && !ask_was_disturbed(now - last)) {
			frames += count;
			busy += now - last;
		}
		last = now;
	}
	driver->cycles = frames > 0 ? (double)busy / (double)frames : 0;
	driver->trip_cycles = histogram_quantile(&ask_result()->latency, 0.5);
	generator_free(ask.generator);
	link_stop(ask.server_port);
	ask.listening = 0;
}

/* ---- the whole ---- */

void ask_write_config(char *path, size_t path_bytes, const char *socket, uint32_t busy)
{
	uint32_t socks = ask.options.generator.connections + SPARE;
	uint32_t chunks = RTE_MIN(2 * (busy + SPARE), (uint32_t)CHUNKS_MAX);
	int fd = memfd_create("leat.conf", 0);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (f == NULL)
		ask_fail("no memory file for the configuration");
	fprintf(f,
		"[leatd]\nsocket = %s\nidle_us = 0\nmax_applications = 1\nmax_socks = %u\n"
		"slots_per_worker = %u\nchunks_per_worker = %u\nchunk_size = 4K\n"
		"max_flight_records = %u\nmax_sending = %u\nqueue_entries = 4096\nhuge_pages = "
		"yes\n"
		"[port0]\ndevice = net_ring_%s\naddress = 198.18.0.1/15\n",
		socket, socks + 64, socks, chunks + CHUNKS_GRANTED, 2 * (busy + SPARE) + 4096,
		chunks, LINK_SERVER);
	fflush(f);
	snprintf(path, path_bytes, "/proc/self/fd/%d", fd);
}

static struct rte_mempool *make_pool(const char *name)
{
	struct rte_mempool *pool = rte_pktmbuf_pool_create(
		name, MBUFS, MBUF_CACHE, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);

	if (pool == NULL)
		ask_fail("no memory for mbufs");
	return pool;
}

static void parse(int argc, char **argv, const char *usage)
{
	if (argc < 3 || strcmp(argv[1], "--core") != 0)
		load_parse(&ask.options, 2, (char *[]){argv[0], (char *)"--core", NULL}, usage);
	ask.core = atoi(argv[2]);
	argv[2] = argv[0];
	load_parse(&ask.options, argc - 2, argv + 2, usage);
	ask.options.generator.server = SERVER_ADDRESS;
	ask.options.generator.server_port = ECHO_PORT;
}

void ask_begin(int argc, char **argv, const char *usage)
{
	struct generator_config *c = &ask.options.generator;
	int used = rte_eal_init(argc, argv);

	if (used < 0)
		ask_fail("EAL refused its arguments");
	parse(argc - used, argv + used, usage);
	ask.turn_max_cycles = rte_get_tsc_hz() / 1000000 * TURN_MAX_US;
	if (link_create(&ask.server_port, &c->port) != 0)
		ask_fail("no rings");
	c->pool = make_pool("load");
	if (link_start(c->port, c->pool) != 0)
		ask_fail("cannot start the generator's port");
}
