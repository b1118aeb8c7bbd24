/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Options and limits that hardly any application sets.  They are not kept in
 * each sock: socks with the same values share one set of them, which is never
 * changed.  Setting an option moves a sock to the set with the new value, made
 * if nobody has it yet; an accepted sock shares its listener's.
 */
#ifndef LEAT_TCP_SHARED_OPTIONS_H
#define LEAT_TCP_SHARED_OPTIONS_H

#include <stdint.h>
#include <sys/queue.h>

#include "lib/siphash.h"

struct pool;

/* Without padding: compared as bytes. */
struct tcp_options {
	uint64_t max_pacing_rate; /* SO_MAX_PACING_RATE, bytes per second; 0: none */
	uint32_t user_timeout_ms; /* RFC 5482; 0: none */
	uint32_t window_clamp_bytes; /* TCP_WINDOW_CLAMP; 0: none */
	uint32_t rcvlowat_bytes; /* SO_RCVLOWAT, for the application's side */
	uint32_t notsent_lowat_bytes; /* TCP_NOTSENT_LOWAT, with SOCK_TX_LIMIT */
	uint16_t user_mss_bytes; /* TCP_MAXSEG; 0: none */
	uint16_t keep_idle_s;
	uint16_t keep_interval_s;
	int16_t linger_s; /* -1: SO_LINGER is off */
	int16_t linger2_s; /* TCP_LINGER2: FIN-WAIT-2 without an application; 0: default; -1: none */
	uint8_t keep_count;
	uint8_t syn_retries; /* TCP_SYNCNT */
	uint32_t zero;
};
_Static_assert(sizeof(struct tcp_options) == 40, "no padding");

struct shared_options {
	struct tcp_options values;
	uint32_t users;
	LIST_ENTRY(shared_options) link;
};
LIST_HEAD(shared_options_list, shared_options);

#define SHARED_OPTIONS_BUCKETS 4096

/* All sets of a worker. */
struct shared_options_table {
	struct pool *pool;
	struct siphash_key
		key; /* values are an application's choice: it must not make one list long */
	struct shared_options_list bucket[SHARED_OPTIONS_BUCKETS];
};

/* The set of those who set nothing, its memory the caller's: always there. */
void shared_options_keep(struct shared_options_table *t, struct shared_options *o);
/* The set with these values, with one user more; NULL: it would be a new one, and the pool is empty.
 * put ends each use. */
const struct tcp_options *shared_options_get(struct shared_options_table *t,
					     const struct tcp_options *values);
const struct tcp_options *shared_options_share(const struct tcp_options *o);
void shared_options_put(struct shared_options_table *t, const struct tcp_options *o);

#endif
