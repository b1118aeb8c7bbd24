/* SPDX-License-Identifier: BSD-3-Clause */
#include "lab.h"

#include <errno.h>
#include <leat/leat.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "application.h"
#include "attach.h"
#include "bench.h"
#include "client/inside.h"
#include "control.h"
#include "leatd.h"
#include "net/arp.h"

#define START_US    1000000000u
#define QUEUE       4096u /* packets the wire holds, each way; a power of two */
#define PREFIX      24
#define SEED        0x6c656174u
#define COST_CYCLES 25 /* that pass between two looks at the worker's counter */

const struct rte_ether_addr lab_mac = {{0x02, 0, 0, 0, 0, 0x01}};
const struct rte_ether_addr lab_far_mac = {{0x02, 0, 0, 0, 0, 0x02}};

struct queue {
	struct rte_mbuf *packet[QUEUE];
	uint32_t head, tail;
};

static struct leatd leatd;
static struct port port;
static struct queue to_worker, from_worker;
static uint64_t time_us = START_US;
static uint64_t cycles;
static bool worker_stop[LEAT_MAX_WORKERS];
static int stop_fd;

/* ---- time and chance --------------------------------------------------------- */

/* In place of the C library's, for the client library, which asks it how long leatd has been
 * silent.  Real time would make a run differ from the next. */
int clock_gettime(clockid_t clock, struct timespec *t)
{
	(void)clock;
	t->tv_sec = (time_t)(time_us / 1000000);
	t->tv_nsec = (long)(time_us % 1000000 * 1000);
	return 0;
}

static uint64_t read_clock(void *arg)
{
	(void)arg;
	return time_us;
}

static uint64_t read_cycles(void *arg)
{
	(void)arg;
	return cycles += COST_CYCLES;
}

static void fill_random(void *arg, void *out, size_t length)
{
	(void)arg;
	memset(out, 0x5a, length);
}

uint64_t lab_now_us(void)
{
	return time_us;
}

void lab_advance_us(uint64_t us)
{
	time_us += us;
}

/* ---- the wire ------------------------------------------------------------------ */

static void queue_put(struct queue *q, struct rte_mbuf *m)
{
	if (q->tail - q->head == QUEUE)
		bench_fail("the wire is full");
	q->packet[q->tail++ % QUEUE] = m;
}

static struct rte_mbuf *queue_take(struct queue *q)
{
	return q->head != q->tail ? q->packet[q->head++ % QUEUE] : NULL;
}

static uint16_t wire_rx(struct port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t count = 0;

	(void)p;
	(void)queue;
	while (count < n && (pkts[count] = queue_take(&to_worker)) != NULL)
		count++;
	return count;
}

static uint16_t wire_tx(struct port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	(void)p;
	(void)queue;
	for (uint16_t i = 0; i < n; i++)
		queue_put(&from_worker, pkts[i]);
	return n;
}

struct rte_mbuf *lab_mbuf(void)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(leatd.worker[0]->mbufs);

	if (m == NULL)
		bench_fail("no mbuf is left");
	return m;
}

void lab_receive(struct rte_mbuf *m)
{
	queue_put(&to_worker, m);
}

struct rte_mbuf *lab_sent(void)
{
	return queue_take(&from_worker);
}

/* ---- the worker ------------------------------------------------------------------ */

struct worker *lab_worker(uint16_t id)
{
	return leatd.worker[id];
}

struct arena *lab_arena(void)
{
	return &leatd.control->inside->session->arenas[0];
}

unsigned lab_poll(void)
{
	unsigned work = 0;

	time_us += LAB_POLL_US;
	for (uint16_t i = 0; i < leatd.workers; i++)
		work += worker_poll(leatd.worker[i]);
	return work;
}

static void make_workers(uint16_t workers)
{
	const struct worker_env env = {
		.clock_us = read_clock, .random = fill_random, .cycles = read_cycles};
	struct worker_config *config = &leatd.config.worker;

	config->max_socks = 4096;
	config->max_listeners = 16;
	config->max_requests = 1024;
	config->max_time_wait = 1024;
	config->max_flight_records = 4096;
	config->mbufs = 8192;
	config->socket_id = 0;
	config->workers = leatd.workers = workers;
	for (uint16_t i = 0; i < workers; i++) {
		config->id = i;
		leatd.worker[i] = worker_create(config, &env);
		if (leatd.worker[i] == NULL)
			bench_fail("a worker cannot be made: %s", strerror(errno));
	}
	for (uint16_t i = 0; i < workers; i++)
		worker_set_peers(leatd.worker[i], leatd.worker);
}

static void make_netif(void)
{
	static const struct port_ops ops = {.rx_burst = wire_rx, .tx_burst = wire_tx};
	struct netif_config config = {
		.port = &port,
		.address = inet_addr_v4(htonl(LAB_ADDRESS)),
		.prefix_length = PREFIX,
	};

	port = (struct port){.ops = &ops,
			     .queues = 1,
			     .workers = leatd.workers,
			     .mtu = LAB_MTU,
			     .mac = lab_mac,
			     .tx_multi_segs = true,
			     .external_buffers = true};
	port_steer_init(&port, leatd.workers);
	for (uint16_t i = 0; i < leatd.workers; i++)
		if (worker_add_netif(leatd.worker[i], &config) < 0)
			bench_fail("the port cannot be added");
}

/* ---- the application --------------------------------------------------------------- */

static int poll_own(void *arg, int64_t limit_us)
{
	(void)arg;
	(void)limit_us;
	(void)sched_yield(); /* the control thread is a real one */
	return (int)lab_poll();
}

static void bell_own(void *arg)
{
	(void)arg;
	arena_bell(leatd.worker[0], lab_arena());
}

static int connect_inside(void *arg)
{
	int ends[2];

	(void)arg;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return -errno;
	if (attach_inside(leatd.control, ends[1]) != 0)
		return -ENOMEM;
	return ends[0];
}

static void *region_inside(void *arg)
{
	(void)arg;
	return leatd.control->inside->region.base;
}

static void start_control(void)
{
	struct session_config session = leatd.config.session;

	session.workers = leatd.workers;
	stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (regions_open(&leatd.regions, session_region_bytes(&session), 1, false, NULL, 0) != 0)
		bench_fail("no room for a region");
	leatd.control = control_create(&leatd, stop_fd, worker_stop);
	if (leatd.control == NULL || control_start(leatd.control) != 0)
		bench_fail("the control thread does not start");
	for (uint16_t i = 0; i < leatd.workers; i++)
		leatd.worker[i]->listener = &leatd.control->listener;
}

static void attach(void)
{
	static const struct leat_inside inside = {.connect = connect_inside,
						  .region = region_inside};
	struct leat_own_worker own = {.number = LEAT_NO_WORKER, .poll = poll_own, .bell = bell_own};

	leatd.control->inside_ended = leat_inside_detach;
	leat_own_worker_set(&own);
	if (leat_inside_attach(&inside) != 0)
		bench_fail("the application cannot attach");
	own.number = leatd.workers == 1 ? 0 : LEAT_NO_WORKER;
	leat_own_worker_set(&own);
}

/* The first to touch a page would wait for it. */
static void touch_region(void)
{
	const struct region *r = &leatd.control->inside->region;

	if (madvise(r->base, r->bytes, MADV_POPULATE_WRITE) != 0)
		bench_fail("no memory for the application: %s", strerror(errno));
}

/* The thread's context is asked for with its first socket. */
static void make_context(void)
{
	int fd = leat_socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0)
		bench_fail("no socket: %s", strerror(errno));
	leat_close(fd);
}

/* How often the worker polled while the control thread answered is not the same in each run; what
 * came of it is forgotten. */
static void forget_start(void)
{
	const struct inet_addr far = inet_addr_v4(htonl(LAB_FAR));

	time_us = (time_us / 1000000 + 2) * 1000000;
	while (lab_poll() != 0)
		;
	time_us = 2 * (uint64_t)START_US;
	(void)lab_poll();
	for (uint16_t i = 0; i < leatd.workers; i++) {
		struct worker *w = leatd.worker[i];

		/* Not before: what was confirmed a minute ago is in doubt. */
		neigh_update(w, w->netif[0], &far, &lab_far_mac);
		w->random = (struct random){{SEED, 1, 2, 3}};
		w->cost.sample_in = 1;
	}
}

/* ---- the whole ------------------------------------------------------------------------ */

void lab_begin(uint16_t workers)
{
	leatd.config = (struct config){
		.path = "none",
		.socket = CONFIG_NO_SOCKET,
		.max_applications = 1,
		.worker = WORKER_CONFIG_DEFAULT,
		.session = SESSION_CONFIG_DEFAULT,
		.access.low_ports_uids = {.count = 1, .id = {geteuid()}},
	};
	leatd.config.session.contexts = 2;
	leatd.config.session.slots_per_worker = 2048;
	leatd.config.session.chunks_per_worker = 4096;
	make_workers(workers);
	make_netif();
	start_control();
	attach();
	touch_region();
	make_context();
	forget_start();
}

static bool all_stopped(void)
{
	for (uint16_t i = 0; i < leatd.workers; i++)
		if (!worker_stop[i])
			return false;
	return true;
}

void lab_end(void)
{
	struct rte_mbuf *m;

	leat_own_worker_set(NULL);
	(void)eventfd_write(stop_fd, 1);
	while (!all_stopped()) {
		(void)sched_yield();
		(void)lab_poll();
	}
	control_join(leatd.control);
	while ((m = lab_sent()) != NULL)
		rte_pktmbuf_free(m);
	for (uint16_t i = leatd.workers; i-- > 0;)
		worker_destroy(leatd.worker[i]);
	control_free(leatd.control);
	regions_close(&leatd.regions);
	close(stop_fd);
}
