/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker's connections by their two ends: two rte_hash tables, one with
 * IPv4 and one with IPv6 keys, hashed with a secret key so that collisions
 * cannot be crafted.  One look-up returns a tagged entry: an established or
 * opening sock, a request (half open) or a TIME_WAIT object.
 */
#ifndef LEAT_SOCK_SOCK_TABLE_H
#define LEAT_SOCK_SOCK_TABLE_H

#include <stdint.h>

#include "lib/siphash.h"
#include "net/addr.h"
#include "net/packet.h"

enum sock_entry_kind { SOCK_ENTRY_SOCK, SOCK_ENTRY_REQUEST, SOCK_ENTRY_TIME_WAIT };
#define SOCK_ENTRY_MASK ((sock_entry)3)

struct sock_table;

static inline sock_entry sock_entry_make(const void *p, enum sock_entry_kind kind)
{
	return (sock_entry)p | (sock_entry)kind;
}

static inline enum sock_entry_kind sock_entry_kind(sock_entry e)
{
	return (enum sock_entry_kind)(e & SOCK_ENTRY_MASK);
}

static inline void *sock_entry_pointer(sock_entry e)
{
	return (void *)(e & ~SOCK_ENTRY_MASK); /* NOLINT(performance-no-int-to-ptr) */
}

/* capacity: connections in each family's table; name unique in the process; NULL: no memory. */
struct sock_table *sock_table_create(const char *name, uint32_t capacity,
				     const struct siphash_key *key, int socket_id);
void sock_table_free(struct sock_table *t);

/* 0, -EEXIST (a different entry is there), -ENOSPC. */
int sock_table_add(struct sock_table *t, const struct flow *flow, sock_entry e);
/* The same for a flow of which it is known that it is not in the table. */
int sock_table_add_new(struct sock_table *t, const struct flow *flow, sock_entry e);
/* Replaces the entry of a flow that is in the table (request becomes sock, sock TIME_WAIT). */
void sock_table_replace(struct sock_table *t, const struct flow *flow, sock_entry e);
void sock_table_delete(struct sock_table *t, const struct flow *flow);
/* 0: none. */
sock_entry sock_table_find(const struct sock_table *t, const struct flow *flow);
uint32_t sock_table_count(const struct sock_table *t);

#define SOCK_TABLE_BURST 64
/* Looks count <= SOCK_TABLE_BURST flows up; entries[i] is 0 where there is none. */
void sock_table_find_burst(struct sock_table *t, const struct flow *const flows[], uint32_t count,
			   sock_entry entries[]);
/* The last burst's flow i once more: found is what it was then, and still is unless an entry was
 * added, replaced or deleted that may be its own.  In the burst's order; until the next call this is
 * the flow in hand, whose hash is known to all the others. */
sock_entry sock_table_find_again(struct sock_table *t, uint32_t i, const struct flow *flow,
				 sock_entry found);

#endif
