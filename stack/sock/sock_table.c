/* SPDX-License-Identifier: BSD-3-Clause */
#include "sock/sock_table.h"

#include <errno.h>
#include <rte_branch_prediction.h>
#include <rte_hash.h>
#include <rte_malloc.h>
#include <stdio.h>

#include "lib/assert.h"
#include "lib/block_hash.h"

/* The IPv4 key: what of a flow differs between two IPv4 flows. */
struct flow4 {
	rte_be32_t local;
	rte_be32_t remote;
	rte_be16_t local_port;
	rte_be16_t remote_port;
	uint32_t protocol;
};
_Static_assert(sizeof(struct flow4) == BLOCK_HASH_BYTES, "rte_hash compares 16-byte keys fast");

#define TOUCHED_WORDS 4

#define NO_PROTOCOL   UINT32_MAX /* of a flow4 that is none: equal to no flow's */

/* A packet is nearly always about its own flow: what the burst found out of it (hash, and what became
 * of its entry) need not be found out again. */
struct sock_table {
	struct rte_hash *v4;
	struct rte_hash *v6;
	struct siphash_key key; /* of v6 ... */
	struct block_hash hash; /* ... and v4 */
	struct flow4 burst_flow[SOCK_TABLE_BURST]; /* of the last burst */
	const void *burst_key[SOCK_TABLE_BURST]; /* where those are, as rte_hash asks for them */
	uint32_t burst_hash[SOCK_TABLE_BURST];
	uint32_t current; /* the place in it of the packet in hand */
	uint32_t changed; /* ... of the flow whose entry was changed last, by its own packet ... */
	sock_entry changed_entry; /* ... to this */
	uint64_t touched[TOUCHED_WORDS]; /* since then: a bit for each hash modulo their number */
};

static inline struct flow4 flow4_of(const struct flow *f)
{
	return (struct flow4){f->local.v4, f->remote.v4, f->local_port, f->remote_port,
			      f->protocol};
}

static inline bool flow4_eq(const struct flow4 *a, const struct flow4 *b)
{
	return a->remote_port == b->remote_port && a->local_port == b->local_port &&
	       a->remote == b->remote && a->local == b->local && a->protocol == b->protocol;
}

/* rte_hash wants a function of its own although every call here brings the hash along. */
static uint32_t hash_unused(const void *key, uint32_t length, uint32_t seed)
{
	(void)key;
	return length ^ seed;
}

static struct rte_hash *hash_create(const char *name, const char *family, uint32_t key_bytes,
				    uint32_t capacity, int socket_id)
{
	char full_name[RTE_HASH_NAMESIZE];
	struct rte_hash_parameters p = {
		.name = full_name,
		.entries = capacity,
		.key_len = key_bytes,
		.hash_func = hash_unused,
		.socket_id = socket_id,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_EXT_TABLE,
	};

	snprintf(full_name, sizeof(full_name), "%s%s", name, family);
	return rte_hash_create(&p);
}

struct sock_table *sock_table_create(const char *name, uint32_t capacity,
				     const struct siphash_key *key, int socket_id)
{
	struct sock_table *t = rte_zmalloc_socket("sock_table", sizeof(*t), 0, socket_id);

	if (t == NULL)
		return NULL;
	t->key = *key;
	block_hash_init(&t->hash, key);
	for (uint32_t i = 0; i < SOCK_TABLE_BURST; i++)
		t->burst_key[i] = &t->burst_flow[i];
	t->burst_flow[0].protocol = NO_PROTOCOL;
	t->v4 = hash_create(name, "4", sizeof(struct flow4), capacity, socket_id);
	t->v6 = hash_create(name, "6", sizeof(struct flow), capacity, socket_id);
	if (t->v4 == NULL || t->v6 == NULL) {
		sock_table_free(t);
		return NULL;
	}
	return t;
}

void sock_table_free(struct sock_table *t)
{
	if (t == NULL)
		return;
	rte_hash_free(t->v4);
	rte_hash_free(t->v6);
	rte_free(t);
}

static bool is_touched(const struct sock_table *t, uint32_t hash)
{
	return (t->touched[hash / 64 % TOUCHED_WORDS] >> hash % 64 & 1) != 0;
}

/* A flow's table, key and hash. */
struct lookup {
	struct rte_hash *table;
	const void *key;
	uint32_t hash;
	bool current; /* the flow of the packet in hand */
	struct flow4 flow4;
};

static inline void lookup_init(struct lookup *l, const struct sock_table *t,
			       const struct flow *flow)
{
	l->current = false;
	if (flow->family == AF_INET) {
		l->flow4 = flow4_of(flow);
		l->table = t->v4;
		l->key = &l->flow4;
		l->current = flow4_eq(&l->flow4, &t->burst_flow[t->current]);
		l->hash = l->current ? t->burst_hash[t->current]
				     : block_hash_one(&t->hash, &l->flow4);
	} else {
		l->table = t->v6;
		l->key = flow;
		l->hash = (uint32_t)siphash13(&t->key, flow, sizeof(*flow));
	}
}

/* The entry becomes e: what the burst said of it does not hold any more. */
static inline void touch(struct sock_table *t, const struct lookup *l, sock_entry e)
{
	t->touched[l->hash / 64 % TOUCHED_WORDS] |= UINT64_C(1) << l->hash % 64;
	if (l->current) {
		t->changed = t->current;
		t->changed_entry = e;
	}
}

static sock_entry lookup_find(const struct lookup *l)
{
	void *data;

	return rte_hash_lookup_with_hash_data(l->table, l->key, l->hash, &data) < 0
		       ? 0
		       : (sock_entry)data;
}

static int lookup_add(struct sock_table *t, const struct lookup *l, sock_entry e)
{
	/* NOLINTNEXTLINE(performance-no-int-to-ptr) */
	int result = rte_hash_add_key_with_hash_data(l->table, l->key, l->hash, (void *)e);

	if (likely(result == 0))
		touch(t, l, e);
	return result;
}

int sock_table_add(struct sock_table *t, const struct flow *flow, sock_entry e)
{
	struct lookup l;
	sock_entry present;

	lookup_init(&l, t, flow);
	present = lookup_find(&l);
	if (present != 0)
		return present == e ? 0 : -EEXIST;
	return lookup_add(t, &l, e);
}

int sock_table_add_new(struct sock_table *t, const struct flow *flow, sock_entry e)
{
	struct lookup l;

	lookup_init(&l, t, flow);
	leat_assert(lookup_find(&l) == 0);
	return lookup_add(t, &l, e);
}

void sock_table_replace(struct sock_table *t, const struct flow *flow, sock_entry e)
{
	struct lookup l;
	int result;

	lookup_init(&l, t, flow);
	leat_assert(lookup_find(&l) != 0);
	/* An existing key is updated in place: this does not fail. */
	result = lookup_add(t, &l, e);
	leat_assert(result == 0);
	(void)result;
}

void sock_table_delete(struct sock_table *t, const struct flow *flow)
{
	struct lookup l;

	lookup_init(&l, t, flow);
	touch(t, &l, 0);
	(void)rte_hash_del_key_with_hash(l.table, l.key, l.hash);
}

sock_entry sock_table_find(const struct sock_table *t, const struct flow *flow)
{
	struct lookup l;

	lookup_init(&l, t, flow);
	return lookup_find(&l);
}

uint32_t sock_table_count(const struct sock_table *t)
{
	return (uint32_t)(rte_hash_count(t->v4) + rte_hash_count(t->v6));
}

static void burst_begin(struct sock_table *t)
{
	memset(t->touched, 0, sizeof(t->touched));
	t->current = 0;
	t->changed = SOCK_TABLE_BURST;
}

static sock_entry burst_find_v6(struct sock_table *t, uint32_t i, const struct flow *flow)
{
	struct lookup l;

	lookup_init(&l, t, flow);
	t->burst_hash[i] = l.hash;
	return lookup_find(&l);
}

void sock_table_find_burst(struct sock_table *t, const struct flow *const flows[], uint32_t count,
			   sock_entry entries[])
{
	uint64_t hits = 0, v6 = 0;

	leat_assert(count <= SOCK_TABLE_BURST);
	burst_begin(t);
	for (uint32_t i = 0; i < count; i++) {
		entries[i] = 0;
		t->burst_flow[i] = flow4_of(flows[i]);
		if (unlikely(flows[i]->family != AF_INET)) {
			t->burst_flow[i].protocol = NO_PROTOCOL; /* it will not be found */
			v6 |= UINT64_C(1) << i;
		}
	}
	block_hash_many(&t->hash, t->burst_flow, count, t->burst_hash);
	(void)rte_hash_lookup_with_hash_bulk_data(t->v4, t->burst_key, t->burst_hash, count, &hits,
						  (void **)entries);
	for (; v6 != 0; v6 &= v6 - 1) {
		uint32_t i = (uint32_t)__builtin_ctzll(v6);

		entries[i] = burst_find_v6(t, i, flows[i]);
	}
}

sock_entry sock_table_find_again(struct sock_table *t, uint32_t i, const struct flow *flow,
				 sock_entry found)
{
	t->current = i;
	if (likely(!is_touched(t, t->burst_hash[i])))
		return found;
	return t->changed == i ? t->changed_entry : sock_table_find(t, flow);
}
