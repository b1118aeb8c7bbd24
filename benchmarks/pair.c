/* SPDX-License-Identifier: BSD-3-Clause */
#include "pair.h"

#include <errno.h>
#include <leat/leat.h>
#include <netinet/in.h>
#include <pthread.h>
#include <rte_cycles.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "application.h"
#include "attach.h"
#include "bench.h"
#include "client/inside.h"
#include "control.h"
#include "leatd.h"
#include "link.h"
#include "net/arp.h"

#define ADDRESS    0xc6120001u /* 198.18.0.1, and the one after it */
#define PREFIX     24
#define CHUNKS     (64u << 20) /* bytes of them, for each worker */
#define MBUFS      32768u
#define LAST_POLLS 3

static struct leatd leatd;
static int core[PAIR_SIDES];
static int stop_fd;
static pair_turn *turn_of;
static uint32_t running; /* atomic: sides that are not over */

struct worker *pair_worker(unsigned side)
{
	return leatd.worker[side];
}

uint32_t pair_address(unsigned side)
{
	return ADDRESS + side;
}

/* ---- time and chance ---------------------------------------------------------- */

static uint64_t us_per_cycle; /* times 2^64 */

static uint64_t read_clock(void *arg)
{
	(void)arg;
	return (uint64_t)(((unsigned __int128)rte_rdtsc() * us_per_cycle) >> 64);
}

static uint64_t read_cycles(void *arg)
{
	(void)arg;
	return rte_rdtsc();
}

static void fill_random(void *arg, void *out, size_t length)
{
	(void)arg;
	if (getrandom(out, length, 0) != (ssize_t)length)
		bench_fail("no random bytes");
}

/* ---- ports -------------------------------------------------------------------- */

/* A port belongs to one worker, and its one queue as well, whatever the worker's number. */
static uint16_t port_rx(struct port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	(void)queue;
	return rte_eth_rx_burst(p->id, 0, pkts, n);
}

/* The same, of a sender that computed no checksums. */
static uint16_t port_rx_good(struct port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t count = port_rx(p, queue, pkts, n);

	for (uint16_t i = 0; i < count; i++) {
		pkts[i]->ol_flags &= ~RTE_MBUF_F_TX_OFFLOAD_MASK;
		pkts[i]->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	}
	return count;
}

static uint16_t port_tx(struct port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	(void)queue;
	return rte_eth_tx_burst(p->id, 0, pkts, n);
}

static void open_port(unsigned side, uint16_t id, const struct pair_config *config)
{
	static const struct port_ops ops = {.rx_burst = port_rx, .tx_burst = port_tx};
	static const struct port_ops good_ops = {.rx_burst = port_rx_good, .tx_burst = port_tx};
	bool checksums = config->offloads != PAIR_NO_OFFLOADS;
	struct port *p = &leatd.ports[side];

	if (link_start(id, leatd.worker[side]->mbufs) != 0)
		bench_fail("a port does not start");
	*p = (struct port){.ops = checksums ? &good_ops : &ops,
			   .id = id,
			   .queues = PAIR_SIDES,
			   .workers = PAIR_SIDES,
			   .mtu = config->mtu,
			   .rx_checksum = checksums,
			   .tx_checksum = checksums,
			   .tso = config->offloads == PAIR_TSO,
			   .mac = {{0x02, 0, 0, 0, 0, (uint8_t)side}},
			   .tx_multi_segs = true,
			   .external_buffers = true};
	port_steer_init(p, 1);
	p->steer_by_nic = true; /* to where it always leads */
	for (unsigned i = 0; i < p->reta_size; i++)
		p->reta[i] = (uint16_t)side;
}

static void add_netif(unsigned side)
{
	struct netif_config config = {
		.port = &leatd.ports[side],
		.address = inet_addr_v4(htonl(pair_address(side))),
		.prefix_length = PREFIX,
	};
	struct inet_addr other = inet_addr_v4(htonl(pair_address(1 - side)));
	struct worker *w = leatd.worker[side];

	if (worker_add_netif(w, &config) < 0)
		bench_fail("a port cannot be added");
	neigh_update(w, w->netif[0], &other, &leatd.ports[1 - side].mac);
}

static void make_ports(const struct pair_config *config)
{
	uint16_t id[PAIR_SIDES];

	if (link_create(&id[0], &id[1]) != 0)
		bench_fail("no rings");
	for (unsigned side = 0; side < PAIR_SIDES; side++)
		open_port(side, id[side], config);
	for (unsigned side = 0; side < PAIR_SIDES; side++)
		add_netif(side);
}

/* ---- workers ------------------------------------------------------------------ */

static void make_workers(const struct pair_config *config)
{
	static const struct worker_env env = {
		.clock_us = read_clock, .random = fill_random, .cycles = read_cycles};
	struct worker_config *c = &leatd.config.worker;

	us_per_cycle = (uint64_t)(((unsigned __int128)1000000 << 64) / rte_get_tsc_hz());
	c->workers = PAIR_SIDES;
	c->max_socks = 4096;
	c->max_requests = 1024;
	c->max_time_wait = 1024;
	c->mbufs = MBUFS;
	c->socket_id = 0;
	c->copybreak_bytes = config->copybreak_bytes;
	c->rcvbuf_max_bytes = config->buffer_bytes;
	c->sndbuf_max_bytes = config->buffer_bytes;
	for (uint16_t i = 0; i < PAIR_SIDES; i++) {
		c->id = i;
		leatd.worker[i] = worker_create(c, &env);
		if (leatd.worker[i] == NULL)
			bench_fail("a worker cannot be made: %s", strerror(errno));
		worker_set_peers(leatd.worker[i], leatd.worker);
	}
	leatd.workers = PAIR_SIDES;
}

/* ---- the application ------------------------------------------------------------ */

static int poll_own(void *arg, int64_t limit_us)
{
	(void)limit_us;
	return (int)worker_poll(arg);
}

static void bell_own(void *arg)
{
	struct worker *w = arg;

	arena_bell(w, &leatd.control->inside->session->arenas[w->id]);
}

/* While no side runs: both. */
static int poll_both(void *arg, int64_t limit_us)
{
	(void)arg;
	(void)limit_us;
	(void)sched_yield(); /* to the control thread */
	return (int)(worker_poll(leatd.worker[0]) + worker_poll(leatd.worker[1]));
}

static int connect_inside(void *arg)
{
	int ends[2];

	(void)arg;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return -errno;
	return attach_inside(leatd.control, ends[1]) == 0 ? ends[0] : -ENOMEM;
}

static void *region_inside(void *arg)
{
	(void)arg;
	return leatd.control->inside->region.base;
}

static void start_control(void)
{
	struct session_config session = leatd.config.session;

	session.workers = PAIR_SIDES;
	stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (regions_open(&leatd.regions, session_region_bytes(&session), 1, false, NULL, 0) != 0)
		bench_fail("no room for a region");
	leatd.control = control_create(&leatd, stop_fd, leatd.worker_stop);
	if (leatd.control == NULL || control_start(leatd.control) != 0)
		bench_fail("the control thread does not start");
	for (unsigned i = 0; i < PAIR_SIDES; i++)
		leatd.worker[i]->listener = &leatd.control->listener;
}

static void attach(void)
{
	static const struct leat_inside inside = {.connect = connect_inside,
						  .region = region_inside};
	const struct leat_own_worker both = {.number = LEAT_NO_WORKER, .poll = poll_both};
	const struct region *r;

	leatd.control->inside_ended = leat_inside_detach;
	leat_own_worker_set(&both);
	if (leat_inside_attach(&inside) != 0)
		bench_fail("the application cannot attach");
	leat_own_worker_set(NULL);
	/* The first to touch a page would wait for it. */
	r = &leatd.control->inside->region;
	if (madvise(r->base, r->bytes, MADV_POPULATE_WRITE) != 0)
		bench_fail("no memory for the application: %s", strerror(errno));
}

/* ---- running -------------------------------------------------------------------- */

static void pin(int number)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(number, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set) != 0)
		bench_fail("there is no core %d", number);
}

static void run_side(unsigned side)
{
	struct worker *w = leatd.worker[side];
	const struct leat_own_worker own = {
		.number = side, .poll = poll_own, .bell = bell_own, .arg = w};

	pin(core[side]);
	leat_own_worker_set(&own);
	while (turn_of(side, worker_poll(w)))
		;
	for (int i = 0; i < LAST_POLLS; i++)
		(void)worker_poll(w);
	if (__atomic_sub_fetch(&running, 1, __ATOMIC_ACQ_REL) == 0)
		(void)eventfd_write(stop_fd, 1);
	while (!leatd.worker_stop[side]) {
		(void)worker_poll(w);
		(void)sched_yield();
	}
	leat_own_worker_set(NULL);
}

static void *run_other(void *arg)
{
	(void)arg;
	if (rte_thread_register() != 0)
		bench_fail("EAL does not take a second thread");
	run_side(1);
	rte_thread_unregister();
	return NULL;
}

void pair_run(pair_turn *turn)
{
	pthread_t other;

	turn_of = turn;
	running = PAIR_SIDES;
	if (pthread_create(&other, NULL, run_other, NULL) != 0)
		bench_fail("no second thread");
	run_side(0);
	pthread_join(other, NULL);
}

/* ---- the whole ------------------------------------------------------------------ */

void pair_begin(const struct pair_config *config)
{
	leatd.config = (struct config){
		.path = "none",
		.socket = CONFIG_NO_SOCKET,
		.max_applications = 1,
		.worker = WORKER_CONFIG_DEFAULT,
		.session = SESSION_CONFIG_DEFAULT,
		.access.low_ports_uids = {.count = 1, .id = {geteuid()}},
	};
	leatd.config.session.contexts = 2 * PAIR_SIDES;
	leatd.config.session.slots_per_worker = 2048;
	leatd.config.session.chunk_shift = config->chunk_shift;
	leatd.config.session.chunks_per_worker = CHUNKS >> config->chunk_shift;
	memcpy(core, config->core, sizeof(core));
	make_workers(config);
	make_ports(config);
	start_control();
	attach();
}

void pair_end(void)
{
	control_join(leatd.control);
	/* What is still on its way refers to chunks and to mbufs of the other. */
	for (unsigned i = 0; i < 2 * PAIR_SIDES; i++)
		(void)worker_poll(leatd.worker[i % PAIR_SIDES]);
	for (unsigned i = 0; i < PAIR_SIDES; i++)
		link_stop(leatd.ports[i].id);
	for (unsigned i = 0; i < PAIR_SIDES; i++)
		worker_destroy(leatd.worker[i]);
	control_free(leatd.control);
	regions_close(&leatd.regions);
	close(stop_fd);
}
