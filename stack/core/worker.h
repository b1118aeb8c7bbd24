/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker: one per lcore.  It owns its receive and transmit queues, tables,
 * timers and pools, shares nothing on the data path and takes no lock.
 *
 * Any program can create one and poll it, with a clock, a random source and
 * devices of its own:
 *
 *     struct worker_config config = WORKER_CONFIG_DEFAULT;
 *     struct worker *w = worker_create(&config, &env);
 *     worker_add_netif(w, &netif_config);
 *     while (running)
 *             worker_poll(w);
 *     worker_destroy(w);
 *
 * All functions here except worker_post are for the thread that polls.
 */
#ifndef LEAT_CORE_WORKER_H
#define LEAT_CORE_WORKER_H

#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/assert.h"
#include "lib/calendar.h"
#include "lib/counters.h"
#include "lib/random.h"
#include "lib/siphash.h"
#include "lib/wheel.h"
#include "net/netif.h"
#include "net/packet.h"
#include "net/route.h"
#include "sock/sock.h"

struct pool;
struct sock_table;
struct port_table;
struct neigh_table;
struct tcp_worker;
struct udp_worker;
struct arena;
struct channel;
struct chunk;
struct congestion_ops;

/* Where a worker's time and randomness come from. */
struct worker_env {
	uint64_t (*clock_us)(void *arg); /* monotonic microseconds; read once per iteration */
	void (*random)(void *arg, void *out, size_t len); /* for secrets; read at creation */
	uint64_t (*cycles)(void *arg); /* counts what the stages cost (core/cost.h); NULL: nobody */
	void *arg;
};

/* Explicit congestion notification (RFC 3168). */
enum ecn_mode {
	ECN_ACCEPT, /* when the peer asks for it */
	ECN_REQUEST, /* ask for it, too */
	ECN_OFF,
};

/* Does TCP look for the path's MTU with probes (RFC 4821)? */
enum mtu_probing {
	MTU_PROBING_BLACK_HOLE, /* after large packets vanished without a message */
	MTU_PROBING_ALWAYS, /* it begins small, and looks for more */
	MTU_PROBING_OFF,
};

/* TCP Fast Open (RFC 7413), a set; whether it is used an application says for each sock. */
enum fast_open_mode {
	FAST_OPEN_OFF = 0,
	FAST_OPEN_CLIENT = 1,
	FAST_OPEN_SERVER = 2,
	FAST_OPEN_BOTH = FAST_OPEN_CLIENT | FAST_OPEN_SERVER,
};

struct worker_config {
	uint16_t id; /* 0 .. workers - 1 */
	uint16_t workers; /* in this stack */
	int socket_id; /* NUMA node, or -1 */
	uint32_t max_socks; /* TCP connections and UDP socks */
	uint32_t max_listeners;
	uint32_t max_requests; /* half-open connections */
	uint32_t max_time_wait;
	uint32_t max_sending; /* TCP connections that send at a time, others wait; 0: all may */
	uint32_t max_flight_records; /* of what TCP has in flight; without one, they get coarser */
	uint32_t mbufs;
	uint16_t mbuf_bytes; /* room in each for a packet, or a part of it */
	uint32_t rcvbuf_bytes; /* default of SO_RCVBUF */
	uint32_t sndbuf_bytes; /* default of SO_SNDBUF */
	uint32_t rcvbuf_max_bytes; /* to which it may grow by itself or be set */
	uint32_t sndbuf_max_bytes;
	uint32_t copybreak_bytes; /* sends shorter than this are copied into the mbuf; a worker has
				     less where one and its headers would not fit */
	const struct congestion_ops *congestion; /* default of TCP_CONGESTION; NULL: CUBIC */
	uint8_t ecn; /* enum ecn_mode */
	uint8_t mtu_probing; /* enum mtu_probing */
	uint8_t fast_open; /* enum fast_open_mode */
	struct siphash_key fast_open_key; /* of cookies, for all workers; 0: one of its own */
	bool syn_cookies; /* TCP: when there is no room for a half-open connection */
	uint32_t idle_us; /* sleep after so long without work; 0: never */
	const char *name; /* unique prefix of pool names; NULL: "leat" */
};

#define WORKER_CONFIG_DEFAULT                                                                     \
	{                                                                                         \
		.id = 0, .workers = 1, .socket_id = -1, .max_socks = 32768, .max_listeners = 256, \
		.max_requests = 16384, .max_time_wait = 16384, .max_flight_records = 131072,      \
		.max_sending = 0, .mbufs = 16384, .mbuf_bytes = 2048, .rcvbuf_bytes = 1u << 20,   \
		.sndbuf_bytes = 1u << 20, .rcvbuf_max_bytes = 32u << 20,                          \
		.sndbuf_max_bytes = 32u << 20, .copybreak_bytes = 512,                            \
		.fast_open = FAST_OPEN_CLIENT, .syn_cookies = true, .idle_us = 0, .name = "leat", \
	}

/* Run on a worker's thread on behalf of another one. */
struct message {
	void (*run)(struct worker *w, struct message *m);
};

/* What a worker tells the thread that controls it; NULL: nobody listens.  Must not block. */
struct worker_listener {
	void *arg;
	/* A neighbour was learned or changed; the others should call neigh_update. */
	void (*neigh_learned)(void *arg, struct worker *w, uint8_t netif, const struct inet_addr *a,
			      const struct rte_ether_addr *mac);
	/* A session must end: impossible value (reason), or fault. */
	void (*session_condemned)(void *arg, struct worker *w, struct arena *arena,
				  const char *reason);
	/* The last mbuf that referred to a closing arena is gone. */
	void (*arena_drained)(void *arg, struct worker *w, struct arena *arena);
};

/* Which iterations are measured, and the one that is (core/cost.h). */
struct worker_cost {
	uint32_t sample_in; /* iterations until the next that is measured */
	bool sampled; /* this one is */
	uint64_t stamp; /* the counter when the last stage ended */
	uint64_t reading; /* cycles that reading the counter takes itself */
	uint64_t created; /* the counter at the worker's creation */
	uint64_t asleep_since; /* atomic; 0: awake */
};

TAILQ_HEAD(channel_queue, channel);
LIST_HEAD(arena_list, arena);

#define TRANSPORT_BURST 64

struct worker {
	/* hot: time and the burst in hand */
	uint64_t now_us;
	uint32_t now_ms;
	uint16_t id;
	uint16_t workers;
	uint16_t burst_count;
	uint16_t netif_count;
	uint32_t route_generation; /* never 0; bumped by each change of routes or addresses */
	struct rte_mempool *mbufs;
	struct rte_mempool_cache *mbuf_cache; /* of mbufs, if this iteration needed it */
	struct sock_table *socks_by_flow;
	struct port_table *ports;
	struct sock_queue output;
	uint32_t output_count; /* socks on it */
	struct channel_queue active; /* channels polled each iteration */
	struct channel_queue silent; /* channels that ring a bell when they have something */
	struct channel_queue raised; /* channels with something to publish */
	struct ring_queue holding; /* rings with chunks, looked at when idle */
	struct chunk *returned; /* chunks freed on another thread (atomic) */
	const struct ip_protocol *const *protocols; /* [256] */
	const struct proto *const *protos; /* what LEAT_OP_SOCKET can make; ends with NULL */
	struct worker_cost cost;
	uint64_t counter[CNT_MAX];
	struct packet burst[TRANSPORT_BURST];
	struct rte_mbuf *done[TRANSPORT_BURST]; /* of the burst; freed at its end */
	uint16_t done_count;

	/* protocols' own */
	struct tcp_worker *tcp;
	struct udp_worker *udp;
	struct neigh_table *neighbours;
	struct route_table *routes;
	struct netif *netif[PORT_MAX];
	uint64_t icmp_tokens_us; /* ICMP error rate limit */

	/* timers and randomness */
	struct wheel wheel;
	struct calendar calendar; /* of paced sends */
	struct random random;
	struct siphash_key flow_key; /* sock_table */
	struct siphash_key secret_key; /* sequence numbers, ports */

	/* other threads */
	struct rte_ring *inbox; /* struct message *, many producers */
	struct rte_ring *steered; /* mbufs from other workers, many producers */
	struct worker *const *peers; /* all workers, by id; NULL: alone */
	const struct worker_listener *listener;

	/* cold */
	struct worker_config config;
	struct worker_env env;
	struct sock_list socks;
	struct sock *listing; /* next of socks to be listed; a sock that goes moves it on */
	uint32_t sock_count;
	struct arena_list arenas;
	struct timer holding_timer;
	struct pool *listeners; /* struct listener */
	struct pool *credits; /* struct accept_credit */
	uint64_t idle_since_us; /* 0: the last iteration found work */
	struct worker_sleep *sleep;
};

/* NULL with errno: ENOMEM, EINVAL.  Needs EAL initialized. */
struct worker *worker_create(const struct worker_config *config, const struct worker_env *env);
/* Aborts what is still open, frees everything. */
void worker_destroy(struct worker *w);

/* Lets workers hand packets to each other; all[0..workers-1], kept by the caller. */
void worker_set_peers(struct worker *w, struct worker *const *all);

/* An interface on a port; its index, or -errno. */
int worker_add_netif(struct worker *w, const struct netif_config *config);

/* One iteration; how much work it found (0: idle). */
unsigned worker_poll(struct worker *w);

/* Sleeps until there may be work, at most until the next timer is due or limit_us have passed.
 * Loses no event: returns at once when something arrived meanwhile. */
void worker_sleep(struct worker *w, uint32_t limit_us);

/* A descriptor that ends worker_sleep when it becomes readable: a session's bell, edge-triggered
 * and never read.  arena_bell is called for arena then.  0 or -errno. */
int worker_watch(struct worker *w, int fd, struct arena *arena);
void worker_unwatch(struct worker *w, int fd);

/* Has it been idle for config.idle_us?  Then the loop may call worker_sleep. */
bool worker_should_sleep(const struct worker *w);

/* From any thread: m->run runs on w's thread soon.  -ENOSPC: the inbox is full. */
int worker_post(struct worker *w, struct message *m);

/* From any thread: ends worker_sleep, when w is asleep. */
void worker_wake(struct worker *w);
/* Ends the sleep it is in, or else the next one.  Also from a signal handler. */
void worker_interrupt(struct worker *w);

/* The worker whose iteration runs on this thread; NULL: none. */
struct worker *worker_current(void);

static inline void worker_count(struct worker *w, enum counter c)
{
	w->counter[c]++;
}

/* An mbuf from the pool, where it has one reference and no next segment, is as good as new. */
static inline void worker_mbuf_reset(struct rte_mbuf *m)
{
	leat_assert(m->next == NULL && m->nb_segs == 1 && rte_mbuf_refcnt_read(m) == 1);
	/* All neighbours of what matters, so that they are a store together. */
	m->data_off = RTE_PKTMBUF_HEADROOM;
	m->refcnt = 1;
	m->nb_segs = 1;
	m->port = RTE_MBUF_PORT_INVALID;
	m->ol_flags = 0;
	m->packet_type = 0;
	m->pkt_len = 0;
	m->data_len = 0;
	m->vlan_tci = 0;
	m->hash.rss = 0;
	m->tx_offload = 0;
}

/* worker_mbuf where the thread's cache has none. */
struct rte_mbuf *worker_mbuf_slow(struct worker *w);

/* An mbuf to send with, headroom for all headers; NULL: pool empty (counted). */
static __rte_always_inline struct rte_mbuf *worker_mbuf(struct worker *w)
{
	struct rte_mempool_cache *cache = w->mbuf_cache;
	struct rte_mbuf *m;

	if (unlikely(cache == NULL || cache->len == 0))
		return worker_mbuf_slow(w);
	m = cache->objs[--cache->len];
	worker_mbuf_reset(m);
	return m;
}

/* A packet of the burst has reached its end. */
static inline void worker_done(struct worker *w, struct rte_mbuf *m)
{
	w->done[w->done_count++] = m;
}

/* Frees what reached its end. */
void worker_free_done(struct worker *w);

/* The one place where a packet dies. */
void worker_drop(struct worker *w, struct rte_mbuf *m, enum counter why);

#endif
