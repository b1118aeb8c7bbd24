/* SPDX-License-Identifier: BSD-3-Clause */
#include "telemetry.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_mempool.h>
#include <rte_telemetry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control.h"
#include "core/cost.h"
#include "lib/pool.h"
#include "log.h"

#define ROWS_PER_ANSWER 40 /* at most some 300 bytes each */
#define ANSWER_MS       1000 /* so long a worker may take */
#define LINK_SUFFIX     ".telemetry"

/* A slice of a worker's socks, filled on its thread. */
struct listing {
	struct message message;
	struct sock_info rows[ROWS_PER_ANSWER];
	uint32_t count;
	bool first;
	bool last;
	bool posted; /* on its way; an answer that came too late is thrown away */
	uint32_t next; /* what continues this listing */
};

static struct {
	pthread_mutex_t lock; /* telemetry threads among each other */
	struct leatd *leatd; /* NULL: stopped */
	char link[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int done_fd; /* eventfd: a listing is filled */
	struct listing listings[LEAT_MAX_WORKERS];
} telemetry = {.lock = PTHREAD_MUTEX_INITIALIZER, .done_fd = -1};

/* ---- Parameters --------------------------------------------------------- */

/* Up to two numbers, separated by a comma; how many, or -1. */
static int parse_parameters(const char *params, uint32_t out[2])
{
	char *end;
	int count = 0;

	if (params == NULL || *params == '\0')
		return 0;
	for (;;) {
		unsigned long value = strtoul(params, &end, 10);

		if (end == params || value > UINT32_MAX || count == 2)
			return -1;
		out[count++] = (uint32_t)value;
		if (*end == '\0')
			return count;
		if (*end != ',')
			return -1;
		params = end + 1;
	}
}

/* ---- /leat/info --------------------------------------------------------- */

static void info_port(const struct port *port, const char *key, struct rte_tel_data *info)
{
	struct rte_tel_data *d = rte_tel_data_alloc();

	if (d == NULL)
		return;
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_string(d, "device", port->name);
	rte_tel_data_add_dict_int(d, "mtu", port->mtu);
	rte_tel_data_add_dict_int(d, "queues", port->queues);
	rte_tel_data_add_dict_string(d, "steering", port->steer_by_nic ? "port" : "software");
	rte_tel_data_add_dict_string(d, "tx_checksum", port->tx_checksum ? "port" : "software");
	rte_tel_data_add_dict_string(d, "rx_checksum", port->rx_checksum ? "port" : "software");
	rte_tel_data_add_dict_string(d, "segmentation", port->tso ? "port" : "none");
	if (rte_tel_data_add_dict_container(info, key, d, 0) != 0)
		rte_tel_data_free(d);
}

static void info_fill(const struct leatd *leatd, struct rte_tel_data *d)
{
	const struct control *c = leatd->control;

	rte_tel_data_add_dict_int(d, "abi", LEAT_ABI_VERSION);
	rte_tel_data_add_dict_int(d, "pid", getpid());
	rte_tel_data_add_dict_string(d, "socket", leatd->config.socket);
	rte_tel_data_add_dict_int(d, "workers", leatd->workers);
	rte_tel_data_add_dict_u64(d, "applications",
				  __atomic_load_n(&c->live_applications, __ATOMIC_RELAXED));
	rte_tel_data_add_dict_u64(d, "quarantined",
				  __atomic_load_n(&c->quarantined_applications, __ATOMIC_RELAXED));
	rte_tel_data_add_dict_u64(d, "region_bytes", leatd->regions.region_bytes);
	for (uint32_t i = 0; i < leatd->port_count; i++) {
		char key[16];

		snprintf(key, sizeof(key), "port%u", leatd->config.ports[i].number);
		info_port(&leatd->ports[i], key, d);
	}
}

static int info_call(const char *cmd, const char *params, struct rte_tel_data *d)
{
	int ret = -ESHUTDOWN;

	(void)cmd;
	(void)params;
	rte_tel_data_start_dict(d);
	pthread_mutex_lock(&telemetry.lock);
	if (telemetry.leatd != NULL) {
		info_fill(telemetry.leatd, d);
		ret = 0;
	}
	pthread_mutex_unlock(&telemetry.lock);
	return ret;
}

/* ---- /leat/stat --------------------------------------------------------- */

/* Beside the counters: what turns cycles into shares and seconds. */
static void stat_fill(const struct worker *w, struct rte_tel_data *d)
{
	rte_tel_data_add_dict_u64(d, "cycles", cost_elapsed(w));
	rte_tel_data_add_dict_u64(d, "cycles_per_second", rte_get_tsc_hz());
	for (int i = 0; i < CNT_MAX; i++) {
		uint64_t value = __atomic_load_n(&w->counter[i], __ATOMIC_RELAXED);

		if (i == CNT_cycles_asleep)
			value = cost_asleep(w);
		rte_tel_data_add_dict_u64(d, counter_name(i), value);
	}
}

static int stat_call(const char *cmd, const char *params, struct rte_tel_data *d)
{
	uint32_t args[2];
	int ret = -EINVAL;

	(void)cmd;
	rte_tel_data_start_dict(d);
	pthread_mutex_lock(&telemetry.lock);
	if (telemetry.leatd != NULL && parse_parameters(params, args) == 1 &&
	    args[0] < telemetry.leatd->workers) {
		stat_fill(telemetry.leatd->worker[args[0]], d);
		ret = 0;
	}
	pthread_mutex_unlock(&telemetry.lock);
	return ret;
}

/* ---- /leat/pools -------------------------------------------------------- */

static void mbufs_add(struct rte_mempool *pool, void *arg)
{
	(void)rte_tel_data_add_dict_u64(arg, pool->name, rte_mempool_in_use_count(pool));
}

/* Its worker goes on using it: the number is one of a moment just past. */
static void pool_add(const struct pool *pool, void *arg)
{
	(void)rte_tel_data_add_dict_u64(arg, pool->name, pool_used(pool));
}

static int pools_call(const char *cmd, const char *params, struct rte_tel_data *d)
{
	int ret = -ESHUTDOWN;

	(void)cmd;
	(void)params;
	rte_tel_data_start_dict(d);
	pthread_mutex_lock(&telemetry.lock);
	if (telemetry.leatd != NULL) {
		pool_walk(pool_add, d);
		rte_mempool_walk(mbufs_add, d);
		ret = 0;
	}
	pthread_mutex_unlock(&telemetry.lock);
	return ret;
}

/* ---- /leat/ss ----------------------------------------------------------- */

static void row_fill(const struct sock *sk, struct sock_info *row)
{
	const struct inet_sock *inet = (const struct inet_sock *)sk;

	*row = (struct sock_info){
		.local = leat_addr_make(sk->family, &inet->flow.local, inet->flow.local_port),
		.remote = leat_addr_make(sk->family, &inet->flow.remote, inet->flow.remote_port),
		.rx_queued = sk->ring.rx_tail - sk->ring.rx_head,
		.tx_queued = sk->ring.tx_tail - sk->ring.tx_head,
		.session = UINT32_MAX,
		.process = UINT32_MAX,
	};
	snprintf(row->protocol, sizeof(row->protocol), "%s", sk->proto->name);
	if (sk->holders != 0) {
		row->session = sk->ring.arena->session->config.id;
		row->process = (uint32_t)__builtin_ctz(sk->holders);
	}
	sk->proto->describe(sk, row);
}

/* On the worker's thread. */
static void listing_run(struct worker *w, struct message *m)
{
	struct listing *l = container_of(m, struct listing, message);
	uint64_t one = 1;

	if (l->first)
		w->listing = LIST_FIRST(&w->socks);
	l->count = 0;
	while (w->listing != NULL && l->count < ROWS_PER_ANSWER) {
		row_fill(w->listing, &l->rows[l->count++]);
		w->listing = LIST_NEXT(w->listing, worker_link);
	}
	l->last = w->listing == NULL;
	/* Release: the rows come before it; pairs with the acquire in listing_wait. */
	__atomic_store_n(&l->posted, false, __ATOMIC_RELEASE);
	if (write(telemetry.done_fd, &one, sizeof(one)) < 0)
		return; /* full: the telemetry thread is awake */
}

/* 0 once the worker has filled it. */
static int listing_wait(struct listing *l)
{
	struct pollfd poll_fd = {.fd = telemetry.done_fd, .events = POLLIN};
	uint64_t deadline_us = control_now_us() + ANSWER_MS * 1000;
	uint64_t count;

	while (__atomic_load_n(&l->posted, __ATOMIC_ACQUIRE)) {
		uint64_t now_us = control_now_us();

		if (now_us >= deadline_us)
			return -ETIMEDOUT;
		poll(&poll_fd, 1, (int)((deadline_us - now_us) / 1000 + 1));
		if (read(telemetry.done_fd, &count, sizeof(count)) < 0)
			continue;
	}
	return 0;
}

static void format_address(const struct leat_addr *a, char *out, size_t out_bytes)
{
	char text[INET6_ADDRSTRLEN];

	if (a->family != AF_INET && a->family != AF_INET6) {
		snprintf(out, out_bytes, "*");
		return;
	}
	inet_ntop(a->family, a->addr, text, sizeof(text));
	snprintf(out, out_bytes, a->family == AF_INET6 ? "[%s]:%u" : "%s:%u", text, ntohs(a->port));
}

/* "pid": of a process that holds the sock, 0: nobody does. */
static uint32_t row_pid(const struct leatd *leatd, const struct sock_info *row)
{
	if (row->session == UINT32_MAX)
		return 0;
	return __atomic_load_n(
		&leatd->control->pids[row->session * LEAT_MAX_PROCESSES + row->process],
		__ATOMIC_RELAXED);
}

static void row_add(const struct leatd *leatd, const struct sock_info *row, uint32_t number,
		    struct rte_tel_data *rows)
{
	struct rte_tel_data *d = rte_tel_data_alloc();
	char key[16], address[INET6_ADDRSTRLEN + 16];

	if (d == NULL)
		return;
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_string(d, "protocol", row->protocol);
	rte_tel_data_add_dict_string(d, "state", row->state);
	format_address(&row->local, address, sizeof(address));
	rte_tel_data_add_dict_string(d, "local", address);
	format_address(&row->remote, address, sizeof(address));
	rte_tel_data_add_dict_string(d, "remote", address);
	rte_tel_data_add_dict_u64(d, "rx", row->rx_queued);
	rte_tel_data_add_dict_u64(d, "tx", row->tx_queued);
	rte_tel_data_add_dict_u64(d, "pid", row_pid(leatd, row));
	snprintf(key, sizeof(key), "%u", number);
	if (rte_tel_data_add_dict_container(rows, key, d, 0) != 0)
		rte_tel_data_free(d);
}

/* "socks": {"0": row, "1": row ...}, since DPDK prints a dictionary in a dictionary but no array of
 * them. */
static int rows_add(const struct leatd *leatd, const struct listing *l, struct rte_tel_data *d)
{
	struct rte_tel_data *rows = rte_tel_data_alloc();

	if (rows == NULL)
		return -ENOMEM;
	rte_tel_data_start_dict(rows);
	for (uint32_t i = 0; i < l->count; i++)
		row_add(leatd, &l->rows[i], i, rows);
	if (rte_tel_data_add_dict_container(d, "socks", rows, 0) != 0) {
		rte_tel_data_free(rows);
		return -ENOSPC;
	}
	return 0;
}

/* A worker has one place where a listing goes on, so a second reader makes the first one start
 * over: -ESTALE. */
static int ss_slice(struct leatd *leatd, uint32_t worker, uint32_t next, struct rte_tel_data *d)
{
	struct listing *l = &telemetry.listings[worker];
	int ret;

	if (__atomic_load_n(&l->posted, __ATOMIC_ACQUIRE))
		return -EBUSY;
	if (next != 0 && next != l->next)
		return -ESTALE;
	l->first = next == 0;
	l->next = l->next == UINT32_MAX ? 1 : l->next + 1;
	l->message.run = listing_run;
	l->posted = true;
	ret = worker_post(leatd->worker[worker], &l->message);
	if (ret != 0) {
		l->posted = false;
		return ret;
	}
	ret = listing_wait(l);
	if (ret != 0)
		return ret;
	rte_tel_data_add_dict_u64(d, "next", l->last ? 0 : l->next);
	return rows_add(leatd, l, d);
}

static int ss_call(const char *cmd, const char *params, struct rte_tel_data *d)
{
	uint32_t args[2] = {0, 0};
	int ret = -EINVAL;

	(void)cmd;
	rte_tel_data_start_dict(d);
	pthread_mutex_lock(&telemetry.lock);
	if (telemetry.leatd != NULL && parse_parameters(params, args) >= 1 &&
	    args[0] < telemetry.leatd->workers)
		ret = ss_slice(telemetry.leatd, args[0], args[1], d);
	pthread_mutex_unlock(&telemetry.lock);
	if (ret != 0)
		rte_tel_data_add_dict_string(d, "error", strerror(-ret));
	return 0;
}

/* ---- Start and stop ----------------------------------------------------- */

/*
 * The path of DPDK's telemetry socket.  It may carry a suffix when another process uses the same
 * file prefix, and DPDK does not tell, so the answer is taken from the socket itself.
 */
static int find_socket(char *path, size_t path_bytes)
{
	char prefix[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct dirent *entry;
	DIR *dir = opendir("/proc/self/fd");
	int ret = -ENOENT;

	if (dir == NULL)
		return -errno;
	snprintf(prefix, sizeof(prefix), "%s/dpdk_telemetry.", rte_eal_get_runtime_dir());
	while (ret != 0 && (entry = readdir(dir)) != NULL) {
		struct sockaddr_un address = {.sun_family = AF_UNSPEC};
		socklen_t length = sizeof(address) - 1;

		if (getsockname(atoi(entry->d_name), (struct sockaddr *)&address, &length) != 0 ||
		    address.sun_family != AF_UNIX ||
		    strncmp(address.sun_path, prefix, strlen(prefix)) != 0)
			continue;
		snprintf(path, path_bytes, "%s", address.sun_path);
		ret = 0;
	}
	closedir(dir);
	return ret;
}

static int make_link(const struct leatd *leatd)
{
	char target[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char link[sizeof(telemetry.link)];
	int ret;

	if (!config_serves(&leatd->config))
		return 0;
	if ((size_t)snprintf(link, sizeof(link), "%s" LINK_SUFFIX, leatd->config.socket) >=
	    sizeof(link))
		return -ENAMETOOLONG;
	/* The socket is ours, so what an earlier leatd left there is stale. */
	if (unlink(link) != 0 && errno != ENOENT)
		return -errno;
	ret = find_socket(target, sizeof(target));
	if (ret != 0)
		return ret;
	if (symlink(target, link) != 0)
		return -errno;
	strcpy(telemetry.link, link);
	return 0;
}

int telemetry_start(struct leatd *leatd)
{
	int ret;

	telemetry.done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (telemetry.done_fd < 0)
		return -errno;
	telemetry.leatd = leatd;
	if (rte_telemetry_register_cmd("/leat/info", info_call,
				       "leatd itself: workers, ports, applications") != 0 ||
	    rte_telemetry_register_cmd("/leat/stat", stat_call, "counters; parameter: worker") !=
		    0 ||
	    rte_telemetry_register_cmd("/leat/pools", pools_call,
				       "objects in use of each pool; exact while all is quiet") !=
		    0 ||
	    rte_telemetry_register_cmd("/leat/ss", ss_call,
				       "socks; parameters: worker, 0 or the last answer's next") !=
		    0)
		return -ENOMEM;
	ret = make_link(leatd);
	if (ret == -ENOENT) {
		leatd_log(WARNING, "telemetry is off (--no-telemetry?): `leat` will not work");
		return 0;
	}
	return ret;
}

void telemetry_stop(void)
{
	if (telemetry.link[0] != '\0')
		unlink(telemetry.link);
	telemetry.link[0] = '\0';
	pthread_mutex_lock(&telemetry.lock);
	telemetry.leatd = NULL;
	pthread_mutex_unlock(&telemetry.lock);
}
