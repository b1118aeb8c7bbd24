/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * leat to leat inside one process: two stacks, each with an application, whose
 * DPDK ports are the two ends of a pair of memory rings (net_ring), in real
 * time.  Unlike the unit tests' in-memory link this takes the way through a
 * port driver.  Needs neither root nor network.
 */
#include <fcntl.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "sock/holders.h"
#include "support/host.h"

#define RING_ENTRIES      1024
#define TRANSFER_BYTES    (64u << 20)
#define SHORT_CONNECTIONS 1000
#define LIMIT_US          60000000 /* for each step */

/* One end: what a host of the unit tests is, but with a real port and the real clock. */
struct end {
	struct host host;
	struct port port;
};

static struct end client, server;

static uint64_t real_clock_us(void *arg)
{
	struct timespec now;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void on_drained(void *arg, struct worker *w, struct arena *a)
{
	struct end *e = arg;

	(void)w;
	(void)a;
	e->host.drained++;
}

static struct worker_listener listeners[2] = {
	{.arg = &client, .arena_drained = on_drained},
	{.arg = &server, .arena_drained = on_drained},
};

/* ---- two ends and what is between them ---- */

static void end_open_port(struct end *e, const char *name, struct rte_ring *rx, struct rte_ring *tx)
{
	struct port_config config = {.workers = 1, .pools = {e->host.w->mbufs}};
	char device[RTE_ETH_NAME_MAX_LEN];
	int id = rte_eth_from_rings(name, &rx, 1, &tx, 1, 0);

	REQUIRE(id >= 0);
	REQUIRE_EQ(rte_eth_dev_get_name_by_port((uint16_t)id, device), 0);
	config.device = device;
	REQUIRE_EQ(port_open(&e->port, &config), 0);
}

static void end_open(struct end *e, const char *name, uint32_t address, struct rte_ring *rx,
		     struct rte_ring *tx)
{
	struct worker_config config = WORKER_CONFIG_DEFAULT;
	struct session_config session = SESSION_CONFIG_DEFAULT;
	struct worker_env env = {.clock_us = real_clock_us, .random = clock_random};
	struct netif_config netif = {
		.port = &e->port,
		.address = inet_addr_v4(htonl(address)),
		.prefix_length = 24,
	};
	struct host *h = &e->host;

	config.name = name;
	config.mbufs = 8192;
	config.max_socks = 2048;
	config.max_time_wait = 2048;
	session.contexts = 1;
	session.slots_per_worker = 64;
	session.chunks_per_worker = 512;
	h->w = h->worker[0] = worker_create(&config, &env);
	REQUIRE(h->w != NULL);
	h->w->listener = e == &client ? &listeners[0] : &listeners[1];
	end_open_port(e, name, rx, tx);
	REQUIRE(worker_add_netif(h->w, &netif) >= 0);

	h->region_bytes = session_region_bytes(&session);
	h->region = mmap(NULL, h->region_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	REQUIRE(h->region != MAP_FAILED);
	h->session = session_create(&session, h->region);
	REQUIRE(h->session != NULL);
	h->config.workers = 1;
	h->config.address = address;
	arena_attach(h->w, &h->session->arenas[0]);
	channel_open(h->w, &h->session->arenas[0], 0, 0, -1);
	app_init(&h->app, h, h->region);
	app_open_context(&h->app, 0);
}

static void end_close(struct end *e)
{
	struct host *h = &e->host;

	port_close(&e->port);
	worker_destroy(h->w);
	session_free(h->session);
	munmap(h->region, h->region_bytes);
}

static void pair_open(void)
{
	struct rte_ring *there = rte_ring_create("there", RING_ENTRIES, SOCKET_ID_ANY, 0);
	struct rte_ring *back = rte_ring_create("back", RING_ENTRIES, SOCKET_ID_ANY, 0);

	REQUIRE(there != NULL && back != NULL);
	end_open(&client, "client", HOST_ADDR, back, there);
	end_open(&server, "server", PEER_ADDR, there, back);
}

static void pair_poll(void)
{
	host_poll(&client.host);
	host_poll(&server.host);
}

/* Polls both until done says so. */
static bool pair_run(bool (*done)(void *arg), void *arg)
{
	uint64_t end_us = real_clock_us(NULL) + LIMIT_US;

	while (!done(arg)) {
		if (real_clock_us(NULL) > end_us)
			return false;
		pair_poll();
	}
	return true;
}

/* ---- steps ---- */

struct connecting {
	struct app_sock *from, *to;
	bool accepted;
};

static bool is_connected(void *arg)
{
	struct connecting *c = arg;
	struct leat_cqe cqe;
	uint16_t context;

	if (!c->accepted &&
	    app_take_accept(&server.host.app, &server.host.listener, &cqe, &context))
		c->accepted = app_claim(&server.host.app, &cqe, context, c->to);
	return c->accepted && app_has(c->from, LEAT_EV_CONNECTED);
}

static void pair_connect(struct app_sock *from, struct app_sock *to)
{
	struct connecting c = {from, to, false};

	app_credit(&server.host.listener, 0, 1);
	REQUIRE_EQ(app_socket(&client.host.app, SOCK_STREAM, from), 0);
	REQUIRE_EQ(app_connect(from, PEER_ADDR, HOST_PORT), 0);
	REQUIRE(pair_run(is_connected, &c));
}

struct transfer {
	struct app_sock *from, *to;
	uint64_t write_end, read_end;
};

static bool is_transferred(void *arg)
{
	struct transfer *t = arg;
	uint64_t left = t->write_end - t->from->tx_tail;

	if (left > 0)
		app_write_pattern(t->from, (uint32_t)left);
	app_read_pattern(t->to, UINT32_MAX);
	return t->to->rx_head == t->read_end;
}

static void pair_transfer(struct app_sock *from, struct app_sock *to, uint32_t bytes)
{
	struct transfer t = {from, to, from->tx_tail + bytes, to->rx_head + bytes};

	REQUIRE(pair_run(is_transferred, &t));
}

static bool is_ended(void *arg)
{
	return app_has(arg, LEAT_EV_RDHUP);
}

static void pair_end(struct app_sock *first, struct app_sock *second)
{
	CHECK_EQ(app_shutdown(first, SHUT_WR), 0);
	REQUIRE(pair_run(is_ended, second));
	CHECK_EQ(app_close(second), 0);
	REQUIRE(pair_run(is_ended, first));
	CHECK_EQ(app_close(first), 0);
}

/* ---- cases ---- */

static void listener_opens(void)
{
	struct app_sock *listener = &server.host.listener;

	pair_open();
	REQUIRE_EQ(app_socket(&server.host.app, SOCK_STREAM, listener), 0);
	REQUIRE_EQ(app_bind(listener, 0, HOST_PORT), 0);
	REQUIRE_EQ(app_listen(listener, 128), 0);
}

static void bytes_arrive_both_ways(void)
{
	struct app_sock from, to;

	pair_connect(&from, &to);
	pair_transfer(&from, &to, TRANSFER_BYTES);
	pair_transfer(&to, &from, TRANSFER_BYTES);
	pair_end(&from, &to);
}

static void connections_come_and_go(void)
{
	for (int i = 0; i < SHORT_CONNECTIONS; i++) {
		struct app_sock from, to;

		pair_connect(&from, &to);
		pair_transfer(&from, &to, 100);
		pair_transfer(&to, &from, 100);
		if (i % 2 == 0)
			pair_end(&from, &to);
		else
			pair_end(&to, &from);
	}
	CHECK_EQ(host_counter(&server.host, CNT_tcp_passive_open), SHORT_CONNECTIONS + 1);
}

static void nothing_is_lost_on_the_way(void)
{
	/* The last ACKs may still be under way. */
	for (int i = 0; i < 10; i++)
		pair_poll();
	CHECK_EQ(host_counter(&server.host, CNT_rx_packets),
		 host_counter(&client.host, CNT_tx_packets));
	CHECK_EQ(host_counter(&client.host, CNT_rx_packets),
		 host_counter(&server.host, CNT_tx_packets));
	CHECK_EQ(host_counter(&server.host, CNT_tcp_checksum), 0);
	CHECK_EQ(host_counter(&client.host, CNT_tcp_checksum), 0);
}

static bool is_drained(void *arg)
{
	(void)arg;
	return client.host.drained == 1 && server.host.drained == 1;
}

static void memory_comes_back_when_both_end(void)
{
	CHECK_EQ(app_close(&server.host.listener), 0);
	arena_close(client.host.w, &client.host.session->arenas[0], true);
	arena_close(server.host.w, &server.host.session->arenas[0], true);
	client.host.app.manual = server.host.app.manual = true;
	CHECK(pair_run(is_drained, NULL));
	CHECK_EQ(client.host.session->arenas[0].ring_users, 0);
	CHECK_EQ(server.host.session->arenas[0].ring_users, 0);
	end_close(&client);
	end_close(&server);
}

int main(int argc, char **argv)
{
	CU_pSuite suite;
	unsigned failed;

	(void)argc;
	if (CU_initialize_registry() != CUE_SUCCESS || test_eal_init(argv[0]) != 0)
		return 2;
	suite = CU_add_suite("ring_pair", NULL, NULL);
	TEST(listener_opens);
	TEST(bytes_arrive_both_ways);
	TEST(connections_come_and_go);
	TEST(nothing_is_lost_on_the_way);
	TEST(memory_comes_back_when_both_end);
	CU_run_all_tests();
	for (CU_pFailureRecord f = CU_get_failure_list(); f != NULL; f = f->pNext)
		printf("%s: %s:%u: %s\n", f->pTest->pName, f->strFileName, f->uiLineNumber,
		       f->strCondition);
	failed = CU_get_number_of_tests_failed();
	printf("%u passed, %u failed\n", CU_get_number_of_tests_run() - failed, failed);
	CU_cleanup_registry();
	test_eal_cleanup();
	return failed > 0;
}
