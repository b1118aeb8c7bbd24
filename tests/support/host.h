/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A host for tests: workers on an in-memory port, polled by hand in virtual
 * time, with one fake application attached.  Every test ends with host_end,
 * which closes everything and fails the test for anything left behind:
 *
 *     struct host *h = host_new(NULL);
 *     struct peer peer;
 *     struct app_sock s;
 *
 *     host_established(h, &peer, &s);
 *     peer_send(&peer, TH_ACK, "hello", 5);
 *     CHECK_EQ(app_readable(&s), 5);
 *     host_end(h);
 */
#ifndef LEAT_SUPPORT_HOST_H
#define LEAT_SUPPORT_HOST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/worker.h"
#include "shm/session.h"
#include "support/app.h"
#include "support/build.h"
#include "support/check.h"
#include "support/clock.h"
#include "support/memport.h"
#include "support/peer.h"
#include "support/test.h"

#define HOST_WORKERS_MAX APP_WORKERS
#define HOST_ADDR        0xc6120001u /* 198.18.0.1 */
#define PEER_ADDR        0xc6120002u /* 198.18.0.2 */
#define HOST_PREFIX      24
#define HOST_PORT        80

extern const struct rte_ether_addr host_mac; /* of a host at HOST_ADDR */
extern const struct rte_ether_addr peer_mac; /* of a host, or a test, at PEER_ADDR */

struct host_config {
	struct worker_config worker; /* id and name are filled in */
	struct session_config session;
	uint32_t address; /* host order */
	uint32_t peer_address; /* its neighbour, already known to it */
	uint32_t gateway; /* 0: none */
	struct rte_ether_addr mac;
	struct rte_ether_addr peer_mac;
	uint16_t workers; /* up to HOST_WORKERS_MAX */
	uint16_t queues; /* of the port; fewer than workers: steered in software */
	uint16_t mtu;
	bool rx_checksum;
	bool tx_checksum;
	bool tso;
	bool tx_multi_segs;
	bool external_buffers;
	bool know_peer; /* the neighbour is resolved from the start */
	bool check_seldom; /* invariants once in a while, for tests that poll millions of times */
	bool answer_arp; /* requests for peer_address are answered, and not captured */
};

/* Everything in software but multi-segment transmit and external buffers; small pools. */
struct host_config host_config_default(void);

struct host {
	struct worker *w; /* worker[0] */
	struct worker *worker[HOST_WORKERS_MAX];
	struct memport link;
	struct session *session; /* NULL once ended */
	struct app app;
	struct app_sock listener; /* of host_listen and what builds on it */
	struct host_config config;
	uint16_t index;
	unsigned bells;
	uint32_t polls;
	unsigned condemned; /* times session_condemned was called */
	const char *condemned_reason;
	unsigned drained; /* arenas that arena_drained told about */
	void *region;
	uint64_t region_bytes;
	uint16_t next_peer_port;
	LIST_ENTRY(host) hosts;
};

/* config NULL: the default.  Never NULL: fails the test. */
struct host *host_new(const struct host_config *config);
/* Ends the session, lets every timer run out, checks that nothing is left, frees it all. */
void host_end(struct host *h);
/* Destroys the workers with whatever is open, checks nothing. */
void host_abandon(struct host *h);
/* Ends the session: aborts every sock as arena_close(abort) does. */
void host_end_session(struct host *h);
/* Nothing left: mbufs, socks, requests, TIME_WAIT, timers, chunks, pending packets, steered
 * packets; every pool of this host is full. */
void host_check_no_leaks(struct host *h, const char *file, int line);
/* The same while the session lives and its socks are closed: granted chunks may be out. */
#define HOST_CHECK_QUIET(h) host_check_quiet(h, __FILE__, __LINE__)
void host_check_quiet(struct host *h, const char *file, int line);

/* ---- time ---- */

/* One iteration of each worker, then the application takes its completions. */
void host_poll(struct host *h);
/* Polls until no worker finds work. */
void host_settle(struct host *h);
/* Lets time pass, polling whenever a timer may be due. */
void host_advance_ms(struct host *h, uint64_t ms);
void host_advance_us(struct host *h, uint64_t us);
/* When the next timer may be due, at most limit_ms away. */
uint32_t host_next_ms(const struct host *h, uint32_t limit_ms);
void host_ring_bell(struct host *h, uint16_t worker);

/* ---- frames ---- */

void host_inject(struct host *h, const struct build *b);
/* Starts a frame from the peer to the host, up to the IPv4 header. */
void host_build_ipv4(const struct host *h, struct build *b, uint8_t protocol);
/* The oldest frame sent; the test frees it. NULL: none. */
struct frame *host_pop(struct host *h);
/* Forgets what was sent; how many frames. */
uint32_t host_drain(struct host *h);
static inline uint32_t host_tx_count(const struct host *h)
{
	return h->link.tx_count;
}

/* Pops a frame and compares it. */
#define HOST_EXPECT(h, ...)                          \
	do {                                         \
		struct frame *expect_ = host_pop(h); \
		CHECK_FRAME(expect_, __VA_ARGS__);   \
		free(expect_);                       \
	} while (0)
#define HOST_EXPECT_NOTHING(h) CHECK_EQ(host_tx_count(h), 0)

static inline uint64_t host_counter(const struct host *h, enum counter c)
{
	return h->w->counter[c];
}

/* ---- states ---- */

/* The daemon's sock behind an application's. */
struct sock *host_sock(const struct app_sock *s);
uint8_t host_state(const struct app_sock *s);

/* h->listener listens on HOST_PORT. */
void host_listen(struct host *h, int backlog);
/* The peer's SYN is answered and its SYN-ACK taken. */
void host_syn_received(struct host *h, struct peer *p);
/* A connection from the peer, accepted as s (listens first if need be). */
void host_established(struct host *h, struct peer *p, struct app_sock *s);
/* s sent its SYN, which the peer took. */
void host_syn_sent(struct host *h, struct peer *p, struct app_sock *s);
/* A connection to the peer. */
void host_connected(struct host *h, struct peer *p, struct app_sock *s);

#endif
