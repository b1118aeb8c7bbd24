/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * leatd: one worker on each lcore, a control thread beside them.
 *
 *     leatd EAL-ARGS -- --config FILE
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "control.h"
#include "leatd.h"
#include "log.h"
#include "net/route.h"
#include "telemetry.h"

#define SLEEP_LIMIT_US 1000000

static struct leatd leatd;
static bool worker_stop[LEAT_MAX_WORKERS]; /* each its worker's own while it runs */

/* ---- What workers are given --------------------------------------------- */

struct tsc_clock {
	uint64_t start;
	uint64_t us_per_cycle; /* 64-bit fraction */
};
static struct tsc_clock tsc_clock;

static void tsc_clock_init(struct tsc_clock *clock)
{
	clock->start = rte_rdtsc();
	clock->us_per_cycle = (uint64_t)(((unsigned __int128)1000000 << 64) / rte_get_tsc_hz());
}

/* Begins at one second, so that 0 stays free for "never". */
static uint64_t tsc_clock_us(void *arg)
{
	const struct tsc_clock *clock = arg;
	uint64_t cycles = rte_rdtsc() - clock->start;

	return 1000000 + (uint64_t)(((unsigned __int128)cycles * clock->us_per_cycle) >> 64);
}

static uint64_t tsc_cycles(void *arg)
{
	(void)arg;
	return rte_rdtsc();
}

static void random_bytes(void *arg, void *out, size_t length)
{
	uint8_t *at = out;

	(void)arg;
	while (length > 0) {
		ssize_t n = getrandom(at, length, 0);

		if (n < 0 && errno != EINTR) {
			leatd_log(CRIT, "no random numbers: %s", strerror(errno));
			abort();
		}
		if (n > 0) {
			at += n;
			length -= (size_t)n;
		}
	}
}

/* ---- Workers ------------------------------------------------------------ */

static int workers_create(struct leatd *d)
{
	const struct worker_env env = {.clock_us = tsc_clock_us,
				       .random = random_bytes,
				       .cycles = tsc_cycles,
				       .arg = &tsc_clock};
	unsigned lcore;
	uint16_t id = 0;

	if (rte_lcore_count() > LEAT_MAX_WORKERS) {
		leatd_log(ERR, "%u lcores; leatd uses at most %d, see EAL's option -l",
			  rte_lcore_count(), LEAT_MAX_WORKERS);
		return -EINVAL;
	}
	d->workers = (uint16_t)rte_lcore_count();
	RTE_LCORE_FOREACH(lcore)
	{
		struct worker_config config = d->config.worker;

		config.id = id;
		config.workers = d->workers;
		config.socket_id = (int)rte_lcore_to_socket_id(lcore);
		d->worker[id] = worker_create(&config, &env);
		if (d->worker[id] == NULL) {
			leatd_log(ERR,
				  "worker %u: %s; give DPDK more memory (EAL's -m), or lower "
				  "max_socks, max_requests, max_time_wait or mbufs in %s",
				  id, strerror(errno), d->config.path);
			return -errno;
		}
		id++;
	}
	for (id = 0; id < d->workers; id++)
		worker_set_peers(d->worker[id], d->worker);
	return 0;
}

/* The last first: those without a transmit queue of their own send through lower ones. */
static void workers_destroy(struct leatd *d)
{
	for (uint16_t i = d->workers; i-- > 0;)
		worker_destroy(d->worker[i]);
}

static int worker_main(void *arg)
{
	struct leatd *d = arg;
	uint16_t id = (uint16_t)rte_lcore_index(-1);
	struct worker *w = d->worker[id];

	/* In ns: the kernel's 50 us would come on top of each short sleep. */
	(void)prctl(PR_SET_TIMERSLACK, 1ul, 0, 0, 0);
	while (!worker_stop[id]) {
		if (worker_poll(w) == 0 && worker_should_sleep(w))
			worker_sleep(w, SLEEP_LIMIT_US);
	}
	return 0;
}

/* ---- Ports and routes --------------------------------------------------- */

static int port_start(struct leatd *d, const struct config_port *from)
{
	struct port *port = &d->ports[d->port_count];
	struct port_config config = {
		.device = from->device,
		.workers = d->workers,
		.mtu = from->mtu,
		.software_checksum = from->software_checksum,
		.impair = from->impair.limit != 0 ? &from->impair : NULL,
		.clock_us = tsc_clock_us,
		.clock_arg = &tsc_clock,
	};
	char line[256], address[INET_ADDRSTRLEN];
	int ret;

	for (uint16_t i = 0; i < d->workers; i++)
		config.pools[i] = d->worker[i]->mbufs;
	ret = port_open(port, &config);
	if (ret == -ENODEV)
		leatd_log(ERR,
			  "%s:%u: [port%u] device: there is no DPDK device \"%s\"; make it with "
			  "EAL's --vdev, or bind the network card to vfio-pci and allow it with -a",
			  d->config.path, from->device_line, from->number, from->device);
	else if (ret != 0)
		leatd_log(ERR, "%s:%u: [port%u] device: cannot start \"%s\": %s", d->config.path,
			  from->device_line, from->number, from->device, strerror(-ret));
	if (ret != 0)
		return ret;
	d->port_count++;
	port_describe(port, line, sizeof(line));
	inet_ntop(AF_INET, &from->address.v4, address, sizeof(address));
	leatd_log(INFO, "port %u: %s/%u on %s", from->number, address, from->prefix_length, line);
	if (config.impair != NULL) {
		impair_describe(config.impair, line, sizeof(line));
		leatd_log(WARNING, "port %u: packets are impaired on purpose, each way: %s",
			  from->number, line);
	}
	return 0;
}

static int netif_add(struct leatd *d, uint32_t index)
{
	const struct config_port *from = &d->config.ports[index];
	const struct netif_config config = {
		.port = &d->ports[index],
		.address = from->address,
		.prefix_length = from->prefix_length,
		.gateway = from->gateway,
		.mtu = from->mtu,
	};

	for (uint16_t i = 0; i < d->workers; i++) {
		int ret = worker_add_netif(d->worker[i], &config);

		if (ret < 0) {
			leatd_log(ERR, "%s:%u: [port%u]: cannot be added: %s", d->config.path,
				  from->line, from->number, strerror(-ret));
			return ret;
		}
	}
	return 0;
}

static int route_start(struct leatd *d, const struct config_route *from)
{
	const struct route route = {
		.netif = (uint8_t)from->port_index,
		.gateway = from->gateway,
	};

	for (uint16_t i = 0; i < d->workers; i++) {
		int ret = route_add(d->worker[i], &from->prefix, from->prefix_length, &route);

		if (ret != 0) {
			leatd_log(ERR, "%s:%u: [route%u]: cannot be added: %s", d->config.path,
				  from->line, from->number,
				  ret == -EEXIST ? "there is a route for this prefix already, "
						   "by a port's address or gateway"
						 : strerror(-ret));
			return ret;
		}
	}
	return 0;
}

static int network_start(struct leatd *d)
{
	int ret = 0;

	for (uint32_t i = 0; i < d->config.port_count && ret == 0; i++) {
		ret = port_start(d, &d->config.ports[i]);
		if (ret == 0)
			ret = netif_add(d, i);
	}
	for (uint32_t i = 0; i < d->config.route_count && ret == 0; i++)
		ret = route_start(d, &d->config.routes[i]);
	return ret;
}

/* ---- The whole ---------------------------------------------------------- */

static int regions_start(struct leatd *d)
{
	struct session_config session = d->config.session;
	uint64_t bytes;
	int ret;

	session.workers = d->workers;
	bytes = session_region_bytes(&session);
	ret = regions_open(&d->regions, bytes, d->config.max_applications, d->config.huge_pages,
			   d->ports, d->port_count);
	if (ret == -E2BIG)
		leatd_log(ERR,
			  "%s: [leatd]: %u applications of %llu MiB each are more than can be "
			  "addressed; lower max_applications or chunks_per_worker",
			  d->config.path, d->config.max_applications,
			  (unsigned long long)(bytes >> 20));
	else if (ret != 0)
		leatd_log(ERR, "cannot reserve memory for applications: %s", strerror(-ret));
	return ret;
}

static int control_begin(struct leatd *d, int signal_fd)
{
	int ret;

	d->control = control_create(d, signal_fd, worker_stop);
	if (d->control == NULL)
		return -errno;
	for (uint16_t i = 0; i < d->workers; i++)
		d->worker[i]->listener = &d->control->listener;
	ret = telemetry_start(d);
	if (ret != 0)
		leatd_log(ERR, "cannot offer telemetry: %s", strerror(-ret));
	return ret;
}

static int run(struct leatd *d)
{
	int ret = control_start(d->control);

	if (ret != 0)
		return ret;
	leatd_log(INFO, "serving applications on %s with %u worker%s, %llu MiB for each",
		  d->config.socket, d->workers, d->workers > 1 ? "s" : "",
		  (unsigned long long)(d->regions.region_bytes >> 20));
	rte_eal_mp_remote_launch(worker_main, d, CALL_MAIN);
	rte_eal_mp_wait_lcore();
	control_join(d->control);
	return 0;
}

/* A port gives back its mbufs before the workers' pools go, and a region goes last: until then
 * mbufs may point into it. */
static void end(struct leatd *d)
{
	telemetry_stop();
	for (uint32_t i = 0; i < d->port_count; i++)
		port_close(&d->ports[i]);
	workers_destroy(d);
	if (d->control != NULL)
		control_free(d->control);
	if (d->regions.base != NULL)
		regions_close(&d->regions);
}

static int start(struct leatd *d, int signal_fd)
{
	int ret;

	tsc_clock_init(&tsc_clock);
	ret = workers_create(d);
	if (ret == 0)
		ret = network_start(d);
	if (ret == 0)
		ret = regions_start(d);
	if (ret == 0)
		ret = control_begin(d, signal_fd);
	if (ret == 0)
		ret = run(d);
	end(d);
	return ret;
}

static char eal_directory[PATH_MAX];

/* EAL leaves the directory it made.  When another process shares the file prefix it is not empty
 * and stays. */
static void remove_eal_directory(void)
{
	if (eal_directory[0] != '\0')
		(void)rmdir(eal_directory);
}

/* Blocked in every thread made from here on; the control thread reads them. */
static int signals_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return -1;
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Each application needs a descriptor per worker and per context. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void usage(FILE *out)
{
	fprintf(out, "usage: leatd EAL-ARGS -- --config FILE\n"
		     "\n"
		     "  EAL-ARGS       DPDK's: lcores (-l), devices (-a, --vdev), memory (-m,\n"
		     "                 --no-huge) ...; one worker runs on each lcore\n"
		     "  --config FILE  config/leat.conf shows every option\n"
		     "\n"
		     "example: leatd -l 0 --no-pci --no-huge --no-shconf -m 512 \\\n"
		     "               --vdev net_tap0 -- --config leat.conf\n");
}

/* What follows "--". */
static const char *parse_arguments(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char *path = NULL;
	int opt;

	optind = 1;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'h') {
			usage(stdout);
			exit(EXIT_SUCCESS);
		}
		if (opt != 'c')
			return NULL;
		path = optarg;
	}
	return optind == argc ? path : NULL;
}

int main(int argc, char **argv)
{
	char error[1024] = "";
	const char *path;
	int split = 1, signal_fd, ret;

	while (split < argc && strcmp(argv[split], "--") != 0)
		split++;
	if (split == argc && argc == 2 && strcmp(argv[1], "--help") == 0) {
		usage(stdout);
		return EXIT_SUCCESS;
	}
	path = split < argc ? parse_arguments(argc - split, argv + split) : NULL;
	if (path == NULL) {
		usage(stderr);
		return 2;
	}
	/* Before EAL touches any device. */
	if (config_load(path, &leatd.config, error, sizeof(error)) != 0) {
		fprintf(stderr, "leatd: %s\n", error);
		return EXIT_FAILURE;
	}
	signal_fd = signals_open();
	if (signal_fd < 0) {
		fprintf(stderr, "leatd: signals: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	raise_descriptor_limit();
	/* Before EAL's own such functions are registered, so that it runs after them: one removes the
	 * telemetry socket. */
	atexit(remove_eal_directory);
	optind = 1;
	if (rte_eal_init(split, argv) < 0) {
		fprintf(stderr, "leatd: EAL refused its arguments or cannot start: %s\n",
			rte_strerror(rte_errno));
		return EXIT_FAILURE;
	}
	snprintf(eal_directory, sizeof(eal_directory), "%s", rte_eal_get_runtime_dir());
	ret = start(&leatd, signal_fd);
	rte_eal_cleanup();
	close(signal_fd);
	if (ret == 0)
		fprintf(stderr, "leatd: stopped\n");
	return ret == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
