/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/pool.h"
#include "net/arp.h"
#include "shm/ring.h"
#include "sock/holders.h"
#include "sock/sock_table.h"
#include "tcp/tcp.h"
#include "tcp/tcp_sock.h"

#define SETTLE_POLLS 1000
/* The longest anything takes to end by itself once its application is gone. */
#define END_MS 600000u

const struct rte_ether_addr host_mac = {{0x02, 0, 0, 0, 0, 0x01}};
const struct rte_ether_addr peer_mac = {{0x02, 0, 0, 0, 0, 0x02}};

static LIST_HEAD(, host) hosts = LIST_HEAD_INITIALIZER(hosts);

struct host_config host_config_default(void)
{
	struct host_config c = {
		.worker = WORKER_CONFIG_DEFAULT,
		.session = SESSION_CONFIG_DEFAULT,
		.address = HOST_ADDR,
		.peer_address = PEER_ADDR,
		.mac = host_mac,
		.peer_mac = peer_mac,
		.workers = 1,
		.queues = 1,
		.mtu = 1500,
		.tx_multi_segs = true,
		.external_buffers = true,
		.know_peer = true,
		.answer_arp = true,
	};

	c.worker.max_socks = 128;
	c.worker.max_listeners = 8;
	c.worker.max_requests = 128;
	c.worker.max_time_wait = 128;
	c.worker.max_flight_records = 1024;
	c.worker.mbufs = 2048;
	c.worker.rcvbuf_bytes = 1u << 18;
	c.worker.sndbuf_bytes = 1u << 18;
	c.worker.rcvbuf_max_bytes = 6u << 20;
	c.worker.sndbuf_max_bytes = 4u << 20;
	c.session.contexts = APP_CONTEXTS;
	c.session.slots_per_worker = 128;
	c.session.chunks_per_worker = 256;
	c.session.chunk_shift = 14;
	c.session.queue_entries = 64;
	c.session.grant_entries = 16;
	c.session.sndbuf_bytes = 1u << 18;
	return c;
}

/* ---- making one ----------------------------------------------------------- */

static void on_condemned(void *arg, struct worker *w, struct arena *arena, const char *reason)
{
	struct host *h = arg;

	(void)w;
	(void)arena;
	h->condemned++;
	h->condemned_reason = reason;
}

static void on_drained(void *arg, struct worker *w, struct arena *arena)
{
	struct host *h = arg;

	(void)w;
	(void)arena;
	h->drained++;
}

static struct worker_listener listeners[2] = {
	{.session_condemned = on_condemned, .arena_drained = on_drained},
	{.session_condemned = on_condemned, .arena_drained = on_drained},
};

static void host_fill_port(struct host *h)
{
	struct port *port = &h->link.port;

	memport_init(&h->link);
	port->id = h->index;
	port->queues = h->config.queues;
	port->workers = h->config.workers;
	port->mtu = h->config.mtu;
	port->mac = h->config.mac;
	port->rx_checksum = h->config.rx_checksum;
	port->tx_checksum = h->config.tx_checksum;
	port->tso = h->config.tso;
	port->tso_max_segs = 64;
	port->tx_multi_segs = h->config.tx_multi_segs;
	port->external_buffers = h->config.external_buffers;
	snprintf(port->name, sizeof(port->name), "mem%u", h->index);
	port_steer_init(port, h->config.workers);
}

static struct inet_addr inet(uint32_t address)
{
	return inet_addr_v4(htonl(address));
}

static void host_add_worker(struct host *h, uint16_t id)
{
	struct worker_config config = h->config.worker;
	struct worker_env env = {.clock_us = clock_read, .random = clock_random, .arg = h};
	struct netif_config netif = {
		.port = &h->link.port,
		.address = inet(h->config.address),
		.prefix_length = HOST_PREFIX,
		.gateway = inet(h->config.gateway),
	};
	struct inet_addr peer = inet(h->config.peer_address);
	static char name[HOST_WORKERS_MAX * 2][16];
	struct worker *w;

	config.id = id;
	config.workers = h->config.workers;
	config.name = name[h->index * HOST_WORKERS_MAX + id];
	snprintf(name[h->index * HOST_WORKERS_MAX + id], sizeof(name[0]), "host%u-%u", h->index,
		 id);
	w = worker_create(&config, &env);
	REQUIRE(w != NULL);
	h->worker[id] = w;
	w->listener = &listeners[h->index];
	REQUIRE(worker_add_netif(w, &netif) >= 0);
	if (h->config.know_peer)
		neigh_update(w, w->netif[0], &peer, &h->config.peer_mac);
}

static void host_add_session(struct host *h)
{
	h->config.session.workers = h->config.workers;
	h->region_bytes = session_region_bytes(&h->config.session);
	h->region = mmap(NULL, h->region_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	REQUIRE(h->region != MAP_FAILED);
	h->session = session_create(&h->config.session, h->region);
	REQUIRE(h->session != NULL);
	for (uint16_t id = 0; id < h->config.workers; id++) {
		arena_attach(h->worker[id], &h->session->arenas[id]);
		channel_open(h->worker[id], &h->session->arenas[id], 0, 0, -1);
	}
	app_init(&h->app, h, h->region);
	app_open_context(&h->app, 0);
}

static void hosts_abandon(void);

struct host *host_new(const struct host_config *config)
{
	struct host *h = calloc(1, sizeof(*h));

	REQUIRE(h != NULL);
	test_on_cleanup(hosts_abandon);
	h->config = config != NULL ? *config : host_config_default();
	h->index = LIST_EMPTY(&hosts) ? 0 : (uint16_t)(1 - LIST_FIRST(&hosts)->index);
	h->next_peer_port = 40000;
	LIST_INSERT_HEAD(&hosts, h, hosts);
	listeners[h->index].arg = h;
	host_fill_port(h);
	for (uint16_t id = 0; id < h->config.workers; id++)
		host_add_worker(h, id);
	h->w = h->worker[0];
	if (h->config.workers > 1)
		for (uint16_t id = 0; id < h->config.workers; id++)
			worker_set_peers(h->worker[id], h->worker);
	host_add_session(h);
	host_settle(h);
	host_drain(h); /* announcements */
	return h;
}

/* ---- ending one ----------------------------------------------------------- */

void host_abandon(struct host *h)
{
	LIST_REMOVE(h, hosts);
	for (uint16_t id = 0; id < HOST_WORKERS_MAX; id++)
		if (h->worker[id] != NULL)
			worker_destroy(h->worker[id]);
	memport_fini(&h->link);
	session_free(h->session);
	if (h->region != NULL)
		munmap(h->region, h->region_bytes);
	free(h);
}

/* A case that failed left hosts behind, or one that passed forgot host_end. */
static void hosts_abandon(void)
{
	struct host *h;

	while ((h = LIST_FIRST(&hosts)) != NULL) {
		test_fail(__FILE__, __LINE__, "host %u was not ended", h->index);
		host_abandon(h);
	}
	clock_reset();
}

void host_end_session(struct host *h)
{
	unsigned before = h->drained;

	if (h->session == NULL)
		return;
	for (uint16_t id = 0; id < h->config.workers; id++)
		arena_close(h->worker[id], &h->session->arenas[id], true);
	host_settle(h);
	memport_release(&h->link);
	host_settle(h);
	CHECK_EQ(h->drained - before, h->config.workers);
	for (uint16_t id = 0; id < h->config.workers; id++) {
		struct arena *a = &h->session->arenas[id];

		CHECK_EQ(a->free_chunk_count, a->chunk_count);
		CHECK_EQ(a->retired_count, 0);
		CHECK_EQ(a->ring_users, 0);
	}
	h->app = (struct app){.host = h, .region = h->app.region, .manual = true};
	session_free(h->session);
	h->session = NULL;
}

/* Timers that belong to nobody's connection: a neighbour's entry lives as long as its worker, and
 * the look for idle socks notices in its own time that there are none. */
static uint32_t standing_timers(struct host *h, struct worker *w)
{
	struct inet_addr peer = inet(h->config.peer_address);
	uint32_t armed = w->holding_timer.armed && TAILQ_EMPTY(&w->holding) ? 1 : 0;
	struct neigh *n;

	if (!h->config.know_peer)
		return armed;
	n = neigh_get(w, w->netif[0], &peer);
	CHECK_EQ(n->pending_count, 0);
	return armed + (n->timer.armed ? 1 : 0);
}

struct pool_check {
	const char *prefix;
	const char *file;
	int line;
};

static void check_pool(const struct pool *pool, void *arg)
{
	const struct pool_check *c = arg;

	if (strncmp(pool->name, c->prefix, strlen(c->prefix)) != 0 || pool_used(pool) == 0)
		return;
	test_fail(c->file, c->line, "%u objects of pool %s were not returned", pool_used(pool),
		  pool->name);
}

void host_check_quiet(struct host *h, const char *file, int line)
{
	for (uint16_t id = 0; id < h->config.workers; id++) {
		struct worker *w = h->worker[id];

		test_check_eq(w->sock_count, 0, "socks left", file, line);
		test_check_eq(sock_table_count(w->socks_by_flow), 0, "flows left", file, line);
		test_check_eq(w->wheel.armed - standing_timers(h, w), 0, "timers left", file, line);
		test_check_eq(rte_ring_count(w->steered), 0, "steered packets left", file, line);
		test_check_eq(pool_mbufs_used(w->mbufs), 0, "mbufs left", file, line);
		test_check_eq(w->tcp->flights.used, 0, "flight records left", file, line);
	}
	test_check_eq(memport_mbufs_in_use(), 0, "received mbufs left", file, line);
}

void host_check_no_leaks(struct host *h, const char *file, int line)
{
	host_check_quiet(h, file, line);
	for (uint16_t id = 0; id < h->config.workers; id++) {
		struct pool_check c = {h->worker[id]->config.name, file, line};

		pool_walk(check_pool, &c);
		test_check_eq(pool_mbufs_used(h->worker[id]->mbufs), 0, "mbufs left", file, line);
		test_check(LIST_EMPTY(&h->worker[id]->arenas), "no arena left", file, line);
	}
}

static bool host_is_quiet(struct host *h)
{
	for (uint16_t id = 0; id < h->config.workers; id++)
		if (h->worker[id]->wheel.armed > standing_timers(h, h->worker[id]))
			return false;
	return true;
}

void host_end(struct host *h)
{
	uint64_t end_us = clock_us + END_MS * 1000ull;

	host_end_session(h);
	while (!host_is_quiet(h) && clock_us < end_us)
		host_advance_ms(h, 1000);
	host_drain(h);
	memport_release(&h->link);
	host_check_no_leaks(h, __FILE__, __LINE__);
	host_abandon(h);
}

/* ---- time ------------------------------------------------------------------ */

/* Plays the neighbour: answers ARP requests for its address, takes them out of what was sent. */
static void host_answer_arp(struct host *h)
{
	struct frame *f, *next;

	for (f = TAILQ_FIRST(&h->link.tx); f != NULL; f = next) {
		struct build b;
		struct seen s;

		next = TAILQ_NEXT(f, link);
		if (f->length < RTE_ETHER_HDR_LEN || f->data[12] != 8 || f->data[13] != 6)
			continue;
		s = FRAME_SEE(f);
		if (s.arp_operation != RTE_ARP_OP_REQUEST || s.arp_target != h->config.peer_address)
			continue;
		TAILQ_REMOVE(&h->link.tx, f, link);
		h->link.tx_count--;
		free(f);
		build_start(&b);
		build_eth(&b, &h->config.mac, &h->config.peer_mac, RTE_ETHER_TYPE_ARP);
		build_arp(&b, RTE_ARP_OP_REPLY, &h->config.peer_mac, h->config.peer_address,
			  &h->config.mac, h->config.address);
		host_inject(h, &b);
	}
}

#define SELDOM_POLLS 1000

/* Every sock's invariants hold after every iteration. */
static void check_socks_are_sane(struct worker *w)
{
	struct sock *sk;

	LIST_FOREACH (sk, &w->socks, worker_link) {
		if (!ring_is_sane(&sk->ring))
			test_fail(__FILE__, __LINE__, "rings of a sock in state %u are not sane",
				  sk->state);
		if (sk->proto == &tcp_proto && !tcp_sock_is_sane(w, tcp_sk(sk)))
			test_fail(__FILE__, __LINE__, "a TCP sock in state %s is not sane",
				  tcp_state_name(sk->state));
	}
}

static unsigned host_poll_once(struct host *h)
{
	unsigned work = 0;

	for (uint16_t id = 0; id < h->config.workers; id++)
		work += worker_poll(h->worker[id]);
	if (!h->config.check_seldom || h->polls++ % SELDOM_POLLS == 0) {
		for (uint16_t id = 0; id < h->config.workers; id++)
			check_socks_are_sane(h->worker[id]);
	}
	if (h->config.answer_arp)
		host_answer_arp(h);
	if (!h->app.manual)
		app_pump(&h->app);
	return work;
}

void host_poll(struct host *h)
{
	host_poll_once(h);
}

void host_settle(struct host *h)
{
	for (int i = 0; i < SETTLE_POLLS; i++)
		if (host_poll_once(h) == 0)
			return;
	test_fail(__FILE__, __LINE__, "host finds work for ever");
}

uint32_t host_next_ms(const struct host *h, uint32_t limit_ms)
{
	for (uint16_t id = 0; id < h->config.workers; id++)
		limit_ms = wheel_next(&h->worker[id]->wheel, limit_ms);
	return limit_ms;
}

void host_advance_us(struct host *h, uint64_t us)
{
	uint64_t end_us = clock_us + us;

	host_settle(h);
	while (clock_us < end_us) {
		uint64_t step_us = host_next_ms(h, 10000) * 1000ull;
		/* Timers fire on whole milliseconds. */
		uint64_t at_us = (clock_us + step_us) / 1000 * 1000;

		clock_us = at_us < end_us ? at_us : end_us;
		host_settle(h);
	}
}

void host_advance_ms(struct host *h, uint64_t ms)
{
	host_advance_us(h, ms * 1000);
}

void host_ring_bell(struct host *h, uint16_t worker)
{
	h->bells++;
	arena_bell(h->worker[worker], &h->session->arenas[worker]);
}

/* ---- frames ---------------------------------------------------------------- */

void host_inject(struct host *h, const struct build *b)
{
	memport_inject(&h->link, 0, b->data, b->length);
}

void host_build_ipv4(const struct host *h, struct build *b, uint8_t protocol)
{
	build_start(b);
	build_eth(b, &h->config.mac, &h->config.peer_mac, RTE_ETHER_TYPE_IPV4);
	build_ipv4(b, protocol, h->config.peer_address, h->config.address);
}

struct frame *host_pop(struct host *h)
{
	return memport_pop(&h->link);
}

uint32_t host_drain(struct host *h)
{
	return memport_drain(&h->link);
}

/* ---- states ---------------------------------------------------------------- */

struct sock *host_sock(const struct app_sock *s)
{
	return arena_sock(&s->app->host->session->arenas[s->worker], s->handle);
}

uint8_t host_state(const struct app_sock *s)
{
	const struct sock *sk = host_sock(s);

	return sk != NULL ? sk->state : TCP_CLOSE;
}

void host_listen(struct host *h, int backlog)
{
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &h->listener), 0);
	REQUIRE_EQ(app_bind(&h->listener, h->config.address, HOST_PORT), 0);
	REQUIRE_EQ(app_listen(&h->listener, backlog), 0);
}

void host_syn_received(struct host *h, struct peer *p)
{
	if (h->listener.slot == NULL)
		host_listen(h, 16);
	peer_send(p, TH_SYN, NULL, 0);
	PEER_EXPECT(p, IS_TCP, TCP_FLAGS_ARE(TH_SYN | TH_ACK), TCP_ACK_IS(p->seq), PAYLOAD_IS(0));
}

void host_established(struct host *h, struct peer *p, struct app_sock *s)
{
	host_syn_received(h, p);
	peer_send(p, TH_ACK, NULL, 0);
	REQUIRE_EQ(app_accept(&h->listener, s), 0);
	CHECK_EQ(host_state(s), TCP_ESTABLISHED);
	HOST_EXPECT_NOTHING(h);
}

void host_syn_sent(struct host *h, struct peer *p, struct app_sock *s)
{
	struct leat_addr local;

	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, s), 0);
	REQUIRE_EQ(app_connect(s, p->address, p->port), 0);
	host_settle(h);
	REQUIRE_EQ(app_getname(s, false, &local), 0);
	p->host_port = ntohs(local.port);
	PEER_EXPECT(p, IS_TCP, TCP_FLAGS_ARE(TH_SYN), SOURCE_PORT_IS(p->host_port), PAYLOAD_IS(0));
	CHECK_EQ(host_state(s), TCP_SYN_SENT);
}

void host_connected(struct host *h, struct peer *p, struct app_sock *s)
{
	host_syn_sent(h, p, s);
	peer_send(p, TH_SYN | TH_ACK, NULL, 0);
	PEER_EXPECT(p, IS_TCP, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(p->seq), PAYLOAD_IS(0));
	CHECK_EQ(host_state(s), TCP_ESTABLISHED);
	CHECK(app_has(s, LEAT_EV_CONNECTED));
}
