/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "control.h"
#include "log.h"
#include "net/route.h"
#include "telemetry.h"

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
	struct siphash_key fast_open_key;
	unsigned lcore;
	uint16_t id = 0;

	/* A client's next SYN may arrive at another worker. */
	random_bytes(NULL, &fast_open_key, sizeof(fast_open_key));
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
		config.fast_open_key = fast_open_key;
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

/* A port gives back its mbufs before the workers' pools go, and a region goes last: until then
 * mbufs may point into it. */
void daemon_close(struct leatd *d)
{
	telemetry_stop();
	for (uint32_t i = 0; i < d->port_count; i++)
		port_close(&d->ports[i]);
	workers_destroy(d);
	if (d->control != NULL)
		control_free(d->control);
	if (d->regions.base != NULL)
		regions_close(&d->regions);
	*d = (struct leatd){.config = d->config};
}

int daemon_open(struct leatd *d)
{
	int ret;

	tsc_clock_init(&tsc_clock);
	ret = workers_create(d);
	if (ret == 0)
		ret = network_start(d);
	if (ret == 0)
		ret = regions_start(d);
	if (ret != 0)
		daemon_close(d);
	return ret;
}

int daemon_start(struct leatd *d, int stop_fd)
{
	int ret;

	d->control = control_create(d, stop_fd, d->worker_stop);
	if (d->control == NULL)
		return -errno;
	for (uint16_t i = 0; i < d->workers; i++)
		d->worker[i]->listener = &d->control->listener;
	ret = telemetry_start(d);
	if (ret != 0) {
		leatd_log(ERR, "cannot offer telemetry: %s", strerror(-ret));
		return ret;
	}
	return control_start(d->control);
}

/* ---- EAL ---------------------------------------------------------------- */

static char eal_directory[PATH_MAX];

/* EAL leaves the directory it made.  When another process shares the file prefix it is not empty
 * and stays. */
static void remove_eal_directory(void)
{
	if (eal_directory[0] != '\0')
		(void)rmdir(eal_directory);
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

int daemon_init(struct leatd *d, const char *path, int argc, char **argv)
{
	const char *program = program_invocation_short_name;
	char error[1024] = "";
	int ret = config_load(path, &d->config, error, sizeof(error));

	if (ret != 0) {
		fprintf(stderr, "%s: %s\n", program, error);
		return ret;
	}
	raise_descriptor_limit();
	/* Before EAL's own such functions are registered, so that it runs after them: one removes the
	 * telemetry socket. */
	atexit(remove_eal_directory);
	optind = 1;
	/* A program with the stack inside may have started EAL itself, to make ports. */
	if (rte_lcore_count() == 0 && rte_eal_init(argc, argv) < 0) {
		fprintf(stderr, "%s: EAL refused its arguments or cannot start: %s\n", program,
			rte_strerror(rte_errno));
		return rte_errno != 0 ? -rte_errno : -EINVAL;
	}
	snprintf(eal_directory, sizeof(eal_directory), "%s", rte_eal_get_runtime_dir());
	return 0;
}
