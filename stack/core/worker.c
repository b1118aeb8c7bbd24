/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/worker.h"

#include <errno.h>
#include <rte_malloc.h>
#include <stdio.h>

#include "core/cost.h"
#include "core/protocols.h"
#include "core/sleep.h"
#include "dev/port_impair.h"
#include "lib/pool.h"
#include "net/arp.h"
#include "net/eth.h"
#include "net/ipv4.h"
#include "shm/session.h"
#include "sock/connection.h"
#include "sock/holders.h"
#include "sock/port_table.h"
#include "sock/sock_table.h"
#include "sock/submission.h"

#define INBOX_SIZE             1024
#define STEERED_SIZE           4096
#define MESSAGES_PER_POLL      64

#define TRANSPORT_HEADER_BYTES 60u /* at most: TCP's */

static __thread struct worker *current;

struct worker *worker_current(void)
{
	return current;
}

/* ---- packets that have done their work ------------------------------------ */

/* Is it one piece of its own pool's memory, to which nobody else refers? */
static inline bool mbuf_is_plain(const struct rte_mbuf *m)
{
	return RTE_MBUF_DIRECT(m) && rte_mbuf_refcnt_read(m) == 1 && m->next == NULL;
}

/* Nearly all are such, and of one pool: they go back to it at once. */
void worker_free_done(struct worker *w)
{
	void *plain[TRANSPORT_BURST];
	struct rte_mempool *pool = NULL;
	unsigned count = 0;

	for (uint16_t i = 0; i < w->done_count; i++) {
		struct rte_mbuf *m = w->done[i];

		if (count == 0)
			pool = m->pool;
		if (likely(mbuf_is_plain(m) && m->pool == pool))
			plain[count++] = m;
		else
			rte_pktmbuf_free(m);
	}
	w->done_count = 0;
	if (count > 0)
		rte_mempool_put_bulk(pool, plain, count);
}

void worker_drop(struct worker *w, struct rte_mbuf *m, enum counter why)
{
	w->counter[why]++;
	rte_pktmbuf_free(m);
}

/* ---- the loop ------------------------------------------------------------ */

static void worker_take_time(struct worker *w)
{
	w->now_us = w->env.clock_us(w->env.arg);
	w->now_ms = (uint32_t)(w->now_us / 1000);
}

static unsigned worker_receive(struct worker *w)
{
	unsigned total = 0;

	for (uint16_t i = 0; i < w->netif_count; i++) {
		struct netif *n = w->netif[i];
		struct rte_mbuf *pkts[PORT_BURST];
		uint16_t count;

		if (!n->polls)
			continue;
		count = port_rx_burst(n->port, n->queue, pkts, PORT_BURST);
		if (count == 0)
			continue;
		total += count;
		eth_rx(w, n, pkts, count);
	}
	return total;
}

/* Packets other workers received for flows of this one. */
static unsigned worker_take_steered(struct worker *w)
{
	struct rte_mbuf *pkts[PORT_BURST];
	unsigned count;

	if (w->workers == 1)
		return 0;
	count = rte_ring_sc_dequeue_burst(w->steered, (void **)pkts, PORT_BURST, NULL);
	if (count == 0)
		return 0;
	w->counter[CNT_steered_in] += count;
	ip_rx_steered(w, pkts, (uint16_t)count);
	return count;
}

static unsigned worker_take_messages(struct worker *w)
{
	struct message *m;
	unsigned count = 0;

	while (count < MESSAGES_PER_POLL && rte_ring_sc_dequeue(w->inbox, (void **)&m) == 0) {
		m->run(w, m);
		count++;
	}
	return count;
}

/* Each sock that wants to send, once; those that want again wait for the next iteration. */
static unsigned worker_output(struct worker *w)
{
	uint32_t count = w->output_count;
	struct sock *sk;

	for (uint32_t i = 0; i < count && (sk = TAILQ_FIRST(&w->output)) != NULL; i++) {
		TAILQ_REMOVE(&w->output, sk, output_link);
		w->output_count--;
		sk->flags &= ~(uint32_t)SOCK_ON_OUTPUT;
		sk->proto->output(w, sk);
	}
	return count;
}

/* The impairment of a port is this worker's own on its queue. */
static void worker_count_impaired(struct worker *w, const struct netif *n)
{
	_Static_assert(CNT_impair_corrupted - CNT_impair_lost == IMPAIR_CORRUPTED,
		       "counters.def has them in the same order");
	port_impair_take_counters(n->port, n->queue, &w->counter[CNT_impair_lost]);
}

static void worker_transmit(struct worker *w)
{
	for (uint16_t i = 0; i < w->netif_count; i++) {
		struct netif *n = w->netif[i];

		eth_tx_flush(w, n);
		if (unlikely(n->port->impair != NULL) && n->polls)
			worker_count_impaired(w, n);
	}
}

unsigned worker_poll(struct worker *w)
{
	unsigned work;

	current = w;
	cost_begin(w);
	worker_take_time(w);
	work = cost_charge(w, CNT_cycles_receive, worker_receive(w));
	work += cost_charge(w, CNT_cycles_steered, worker_take_steered(w));
	work += cost_charge(w, CNT_cycles_messages, worker_take_messages(w));
	work += cost_charge(w, CNT_cycles_messages, chunks_take_returned(w));
	work += cost_charge(w, CNT_cycles_submissions, channels_poll(w));
	work += cost_charge(w, CNT_cycles_timers, wheel_run(&w->wheel, w->now_ms));
	work += cost_charge(w, CNT_cycles_timers, calendar_run(&w->calendar, w->now_us, w));
	work += cost_charge(w, CNT_cycles_output, worker_output(w));
	channels_publish(w);
	(void)cost_charge(w, CNT_cycles_publish, work);
	worker_transmit(w);
	sock_watch_holding(w);
	(void)cost_charge(w, CNT_cycles_transmit, work);
	cost_end(w);

	w->counter[CNT_polls]++;
	if (work != 0) {
		w->counter[CNT_busy_polls]++;
		w->idle_since_us = 0;
	} else if (w->idle_since_us == 0) {
		w->idle_since_us = w->now_us;
	}
	w->mbuf_cache = NULL;
	current = NULL;
	return work;
}

int worker_post(struct worker *w, struct message *m)
{
	if (rte_ring_mp_enqueue(w->inbox, m) != 0)
		return -ENOSPC;
	worker_wake(w);
	return 0;
}

struct rte_mbuf *worker_mbuf_slow(struct worker *w)
{
	void *m;

#ifndef RTE_LIBRTE_MEMPOOL_DEBUG /* there each get and put is marked and counted */
	/* From here to the end of the iteration the thread is this one. */
	if (current == w)
		w->mbuf_cache = rte_mempool_default_cache(w->mbufs, rte_lcore_id());
#endif
	if (rte_mempool_get(w->mbufs, &m) != 0) {
		worker_count(w, CNT_mbuf_empty);
		return NULL;
	}
	worker_mbuf_reset(m);
	return m;
}

/* ---- life ---------------------------------------------------------------- */

static struct rte_ring *worker_ring(const struct worker *w, const char *what, unsigned size)
{
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "%s_%s_%u", w->config.name, what, w->id);
	return rte_ring_create(name, size, w->config.socket_id, RING_F_SC_DEQ);
}

static struct pool *worker_pool(const struct worker *w, const char *what, uint32_t count,
				uint32_t bytes)
{
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "%s_%s_%u", w->config.name, what, w->id);
	return pool_create(name, count, bytes, w->config.socket_id);
}

static int worker_create_tables(struct worker *w)
{
	char name[RTE_MEMPOOL_NAMESIZE];
	const struct worker_config *c = &w->config;

	snprintf(name, sizeof(name), "%s_mbuf_%u", c->name, w->id);
	w->mbufs = pool_create_mbufs(name, c->mbufs, c->mbuf_bytes, c->socket_id);
	w->inbox = worker_ring(w, "in", INBOX_SIZE);
	w->steered = worker_ring(w, "st", STEERED_SIZE);
	w->listeners = worker_pool(w, "ln", c->max_listeners, sizeof(struct listener));
	w->credits = worker_pool(w, "cr", c->max_listeners * LEAT_MAX_CONTEXTS,
				 sizeof(struct accept_credit));
	snprintf(name, sizeof(name), "%s_t%u_", c->name, w->id);
	w->socks_by_flow = sock_table_create(name,
					     c->max_socks + c->max_requests + c->max_time_wait,
					     &w->flow_key, c->socket_id);
	w->ports = port_table_create(c->socket_id);
	w->routes = route_table_create(w->id, c->socket_id);
	w->neighbours = neigh_table_create(w, NEIGH_TABLE_MAX);
	w->sleep = worker_sleep_create();
	if (calendar_init(&w->calendar, c->max_socks, c->socket_id) != 0)
		return -ENOMEM;
	if (w->mbufs == NULL || w->inbox == NULL || w->steered == NULL || w->listeners == NULL ||
	    w->credits == NULL || w->socks_by_flow == NULL || w->ports == NULL ||
	    w->routes == NULL || w->neighbours == NULL || w->sleep == NULL)
		return -ENOMEM;
	return protocols_create(w);
}

struct worker *worker_create(const struct worker_config *config, const struct worker_env *env)
{
	struct worker *w;

	if (config->id >= config->workers || config->workers > LEAT_MAX_WORKERS) {
		errno = EINVAL;
		return NULL;
	}
	w = rte_zmalloc_socket("worker", sizeof(*w), RTE_CACHE_LINE_SIZE, config->socket_id);
	if (w == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	w->config = *config;
	w->config.copybreak_bytes = RTE_MIN(config->copybreak_bytes,
					    (uint32_t)config->mbuf_bytes - TRANSPORT_HEADER_BYTES);
	w->env = *env;
	w->id = config->id;
	w->workers = config->workers;
	w->route_generation = 1;
	TAILQ_INIT(&w->output);
	TAILQ_INIT(&w->raised);
	TAILQ_INIT(&w->holding);
	TAILQ_INIT(&w->active);
	TAILQ_INIT(&w->silent);
	LIST_INIT(&w->socks);
	LIST_INIT(&w->arenas);
	env->random(env->arg, &w->flow_key, sizeof(w->flow_key));
	env->random(env->arg, &w->secret_key, sizeof(w->secret_key));
	env->random(env->arg, &w->random, sizeof(w->random));
	w->random.s[0] |= 1; /* all zero is the one state it cannot leave */
	worker_take_time(w);
	cost_init(w);
	wheel_init(&w->wheel, w->now_ms, w);
	if (worker_create_tables(w) != 0) {
		worker_destroy(w);
		errno = ENOMEM;
		return NULL;
	}
	return w;
}

void worker_set_peers(struct worker *w, struct worker *const *all)
{
	w->peers = all;
}

static struct netif *worker_netif_create(struct worker *w, const struct netif_config *config)
{
	struct port *port = config->port;
	/* In 64 bits: a shift by 32 is one too far for 32. */
	uint32_t host_bits = (uint32_t)(UINT64_C(0xffffffff) >> config->prefix_length);
	struct netif *n = rte_zmalloc_socket("netif", sizeof(*n), RTE_CACHE_LINE_SIZE,
					     w->config.socket_id);

	if (n == NULL)
		return NULL;
	n->port = port;
	n->index = w->netif_count;
	n->polls = w->id < port->queues;
	n->queue = w->id % port->queues;
	n->mtu = config->mtu != 0 ? config->mtu : port->mtu;
	n->mac = port->mac;
	n->prefix_length = config->prefix_length;
	n->address = config->address;
	n->gateway = config->gateway;
	n->broadcast = config->address.v4 | rte_cpu_to_be_32(host_bits);
	return n;
}

int worker_add_netif(struct worker *w, const struct netif_config *config)
{
	struct netif *n;
	uint16_t index = w->netif_count;
	struct route link = {.netif = (uint8_t)index};
	struct route gateway = {.netif = (uint8_t)index, .gateway = config->gateway};
	struct inet_addr any = {.words = {0, 0}};
	int result;

	if (index == PORT_MAX)
		return -ENOSPC;
	n = worker_netif_create(w, config);
	if (n == NULL)
		return -ENOMEM;
	w->netif[index] = n;
	w->netif_count++;
	result = route_add(w, &config->address, config->prefix_length, &link);
	if (result == 0 && !inet_addr_is_any(&config->gateway))
		result = route_add(w, &any, 0, &gateway);
	if (result != 0)
		return result;
	if (n->polls)
		arp_announce(w, n);
	return index;
}

static void worker_end_socks(struct worker *w)
{
	struct arena *a, *next;
	struct sock *sk;

	for (a = LIST_FIRST(&w->arenas); a != NULL; a = next) {
		next = LIST_NEXT(a, link); /* a may be gone when it is closed */
		arena_close(w, a, true);
	}
	while ((sk = LIST_FIRST(&w->socks)) != NULL)
		sk->proto->close(w, sk, true);
}

void worker_destroy(struct worker *w)
{
	if (w == NULL)
		return;
	current = w;
	if (w->protocols != NULL) {
		worker_end_socks(w);
		worker_transmit(w);
		(void)chunks_take_returned(w);
		protocols_free(w);
	}
	if (w->neighbours != NULL)
		neigh_table_free(w, w->neighbours);
	for (uint16_t i = 0; i < w->netif_count; i++) {
		rte_pktmbuf_free_bulk(w->netif[i]->tx, w->netif[i]->tx_count);
		rte_free(w->netif[i]);
	}
	calendar_free(&w->calendar);
	route_table_free(w->routes);
	port_table_free(w->ports);
	sock_table_free(w->socks_by_flow);
	worker_sleep_free(w->sleep);
	pool_free(w->credits);
	pool_free(w->listeners);
	rte_ring_free(w->inbox);
	rte_ring_free(w->steered);
	rte_mempool_free(w->mbufs);
	rte_free(w);
	current = NULL;
}
