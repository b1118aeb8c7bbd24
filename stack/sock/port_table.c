/* SPDX-License-Identifier: BSD-3-Clause */
#include "sock/port_table.h"

#include <errno.h>
#include <rte_malloc.h>

#include "core/worker.h"
#include "sock/sock_table.h"

#define PORT_TRIES           4096u /* candidates looked at for one sock, so that others' work goes on */
#define PORTS                (UINT16_MAX + 1)
#define WORD_BITS            64u
#define PORT_EPHEMERAL_COUNT (PORT_EPHEMERAL_LAST - PORT_EPHEMERAL_FIRST + 1)

LIST_HEAD(inet_list, inet_sock);

struct port_table {
	struct inet_list bucket[PORTS]; /* by port */
	uint64_t bound[PORTS / WORD_BITS]; /* a bit for each bucket that is not empty */
	uint32_t next_ephemeral; /* RFC 6056, algorithm 3: grows with each choice */
};

struct port_table *port_table_create(int socket_id)
{
	return rte_zmalloc_socket("port_table", sizeof(struct port_table), 0, socket_id);
}

void port_table_free(struct port_table *t)
{
	rte_free(t);
}

static struct inet_list *port_bucket(struct port_table *t, rte_be16_t port)
{
	return &t->bucket[rte_be_to_cpu_16(port)];
}

static bool port_same(const struct inet_sock *inet, const struct flow *flow)
{
	return inet->flow.local_port == flow->local_port && inet->flow.family == flow->family &&
	       inet->flow.protocol == flow->protocol;
}

static bool port_overlap(const struct flow *a, const struct flow *b)
{
	return inet_addr_is_any(&a->local) || inet_addr_is_any(&b->local) ||
	       inet_addr_eq(&a->local, &b->local);
}

/* Whose sock it is; one without an application shares with nobody who has one. */
static uint32_t sock_uid(const struct sock *sk)
{
	return sk->ring.arena != NULL ? sk->ring.arena->session->config.uid : UINT32_MAX;
}

/* SO_REUSEPORT on both, and of one user: they share the port's connections. */
static bool port_same_group(const struct inet_sock *a, const struct inet_sock *b)
{
	return a->sk.flags & b->sk.flags & SOCK_REUSEPORT && sock_uid(&a->sk) == sock_uid(&b->sk);
}

/* May two socks be bound to overlapping addresses and the same port?  Linux's rules. */
static bool port_may_share(const struct inet_sock *a, const struct inet_sock *b)
{
	uint32_t both = a->sk.flags & b->sk.flags;
	uint32_t either = a->sk.flags | b->sk.flags;

	if (both & SOCK_REUSEPORT)
		return port_same_group(a, b);
	return both & SOCK_REUSEADDR && !(either & SOCK_LISTENER);
}

static bool port_is_free(struct port_table *t, const struct inet_sock *inet)
{
	const struct inet_sock *other;

	LIST_FOREACH (other, port_bucket(t, inet->flow.local_port), port_link) {
		if (other != inet && port_same(other, &inet->flow) &&
		    port_overlap(&other->flow, &inet->flow) && !port_may_share(other, inet))
			return false;
	}
	return true;
}

/* The first ephemeral port from this on to which no sock is bound; 0: none. */
static uint32_t port_next_unbound(const struct port_table *t, uint32_t from)
{
	uint32_t word = from / WORD_BITS, port;
	uint64_t unbound = ~t->bound[word] & UINT64_MAX << from % WORD_BITS;

	while (unbound == 0 && word < PORT_EPHEMERAL_LAST / WORD_BITS)
		unbound = ~t->bound[++word];
	if (unbound == 0)
		return 0;
	port = word * WORD_BITS + (uint32_t)__builtin_ctzll(unbound);
	return port <= PORT_EPHEMERAL_LAST ? port : 0;
}

/* A port that nobody has, or that those who have it share: of another address, another protocol. */
static int port_bind_any(struct worker *w, struct inet_sock *inet)
{
	uint32_t start = (uint32_t)(random_next(&w->random) % PORT_EPHEMERAL_COUNT);
	uint32_t port = port_next_unbound(w->ports, PORT_EPHEMERAL_FIRST + start);

	if (port == 0)
		port = port_next_unbound(w->ports, PORT_EPHEMERAL_FIRST);
	inet->flow.local_port = rte_cpu_to_be_16((uint16_t)port);
	if (port != 0)
		return 0;
	for (uint32_t i = 0; i < PORT_TRIES; i++) {
		port = PORT_EPHEMERAL_FIRST + (start + i) % PORT_EPHEMERAL_COUNT;
		inet->flow.local_port = rte_cpu_to_be_16((uint16_t)port);
		if (port_is_free(w->ports, inet))
			return 0;
	}
	inet->flow.local_port = 0;
	return -EADDRINUSE;
}

static void port_note_bound(struct port_table *t, rte_be16_t be_port)
{
	uint16_t port = rte_be_to_cpu_16(be_port);
	uint64_t bit = UINT64_C(1) << port % WORD_BITS;

	if (LIST_EMPTY(&t->bucket[port]))
		t->bound[port / WORD_BITS] &= ~bit;
	else
		t->bound[port / WORD_BITS] |= bit;
}

int port_bind(struct worker *w, struct inet_sock *inet)
{
	leat_assert(!(inet->sk.flags & SOCK_BOUND));
	if (inet->flow.local_port == 0) {
		if (port_bind_any(w, inet) != 0)
			return -EADDRINUSE;
	} else if (!port_is_free(w->ports, inet)) {
		return -EADDRINUSE;
	}
	LIST_INSERT_HEAD(port_bucket(w->ports, inet->flow.local_port), inet, port_link);
	port_note_bound(w->ports, inet->flow.local_port);
	inet->sk.flags |= SOCK_BOUND;
	return 0;
}

int port_may_listen(struct worker *w, const struct inet_sock *inet)
{
	const struct inet_sock *other;

	LIST_FOREACH (other, port_bucket(w->ports, inet->flow.local_port), port_link) {
		if (other != inet && port_same(other, &inet->flow) &&
		    port_overlap(&other->flow, &inet->flow) && !port_same_group(other, inet) &&
		    other->sk.flags & SOCK_LISTENER)
			return -EADDRINUSE;
	}
	return 0;
}

void port_unbind(struct worker *w, struct inet_sock *inet)
{
	if (!(inet->sk.flags & SOCK_BOUND))
		return;
	LIST_REMOVE(inet, port_link);
	port_note_bound(w->ports, inet->flow.local_port);
	inet->sk.flags &= ~(uint32_t)SOCK_BOUND;
}

/* Somebody asked for this port with bind: connections do not borrow it. */
static bool port_is_reserved(struct port_table *t, const struct flow *flow)
{
	const struct inet_sock *other;

	LIST_FOREACH (other, port_bucket(t, flow->local_port), port_link) {
		if (port_same(other, flow))
			return true;
	}
	return false;
}

int port_choose(struct worker *w, struct inet_sock *inet)
{
	struct {
		struct inet_addr local, remote;
		uint32_t remote_port, protocol;
	} key;
	const struct port *port;
	uint32_t offset;
	int result;

	result = dst_resolve(w, &inet->dst, inet->flow.family, &inet->flow.remote);
	if (result != 0)
		return result;
	if (inet_addr_is_any(&inet->flow.local))
		inet->flow.local = w->netif[inet->dst.netif]->address;
	port = w->netif[inet->dst.netif]->port;
	key.local = inet->flow.local;
	key.remote = inet->flow.remote;
	key.remote_port = inet->flow.remote_port;
	key.protocol = inet->flow.protocol;
	offset = (uint32_t)siphash13(&w->secret_key, &key, sizeof(key));
	for (uint32_t i = 0; i < PORT_TRIES; i++) {
		uint32_t choice = (offset + w->ports->next_ephemeral++) % PORT_EPHEMERAL_COUNT;

		inet->flow.local_port = rte_cpu_to_be_16((uint16_t)(PORT_EPHEMERAL_FIRST + choice));
		if (w->workers > 1 && port_flow_worker(port, &inet->flow) != w->id)
			continue;
		if (sock_table_find(w->socks_by_flow, &inet->flow) == 0 &&
		    !port_is_reserved(w->ports, &inet->flow))
			return 0;
	}
	inet->flow.local_port = 0;
	return -EADDRNOTAVAIL;
}

/* How well a bound sock fits an incoming flow; 0: not at all. */
static unsigned port_match(const struct inet_sock *inet, const struct flow *flow, bool listeners)
{
	if (!port_same(inet, flow) || listeners != !!(inet->sk.flags & SOCK_LISTENER))
		return 0;
	/* A connected one hears its peer only, and that is found in sock_table. */
	if (inet->flow.remote_port != 0)
		return 0;
	if (inet_addr_is_any(&inet->flow.local))
		return 1;
	return inet_addr_eq(&inet->flow.local, &flow->local) ? 2 : 0;
}

struct inet_sock *port_find(struct worker *w, const struct flow *flow, bool listeners)
{
	struct inet_list *bucket = port_bucket(w->ports, flow->local_port);
	struct inet_sock *inet, *best = NULL;
	unsigned best_match = 0, equals = 0, chosen;

	LIST_FOREACH (inet, bucket, port_link) {
		unsigned match = port_match(inet, flow, listeners);

		if (match == 0 || match < best_match)
			continue;
		equals = match > best_match ? 1 : equals + 1;
		if (match > best_match)
			best = inet; /* among equals the latest bound */
		best_match = match;
	}
	if (equals < 2 || !(best->sk.flags & SOCK_REUSEPORT))
		return best;
	/* Among equals the flow chooses, so that its packets meet the same sock again. */
	chosen = (unsigned)(siphash13(&w->flow_key, flow, sizeof(*flow)) % equals);
	LIST_FOREACH (inet, bucket, port_link) {
		if (port_match(inet, flow, listeners) == best_match && chosen-- == 0)
			return inet;
	}
	return best;
}
