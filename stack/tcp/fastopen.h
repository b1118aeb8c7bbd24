/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fast Open (RFC 7413) as far as it knows no socks: cookies that a server
 * makes and checks, the bound on connections that are in use before their
 * handshake is over, and what a client remembers of servers.
 */
#ifndef LEAT_TCP_FASTOPEN_H
#define LEAT_TCP_FASTOPEN_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/siphash.h"
#include "net/addr.h"

/* ---- a server's cookies ------------------------------------------------------ */

#define FASTOPEN_COOKIE_BYTES     8 /* of ours */
#define FASTOPEN_COOKIE_MIN_BYTES 4 /* RFC 7413 section 4.1.1: of anybody's */
#define FASTOPEN_COOKIE_MAX_BYTES 16
#define FASTOPEN_COOKIE_LIFE_US   (12ull * 3600 * 1000000) /* good for so long, up to twice that */

/*
 * A keyed hash of the two addresses and the half-day.  No ports: RFC 7413's
 * cookie proves that the client receives what is sent to its address, and that
 * is so for every service.
 */
void fastopen_cookie_make(const struct siphash_key *key, const struct flow *flow, uint64_t now_us,
			  uint8_t cookie[FASTOPEN_COOKIE_BYTES]);
/* Was it made for these addresses, this half-day or the last one? */
bool fastopen_cookie_check(const struct siphash_key *key, const struct flow *flow, uint64_t now_us,
			   const uint8_t *cookie, uint32_t bytes);

/* ---- a server's bound -------------------------------------------------------- */

/* A connection that was reset still counts, for one to two of these (RFC 7413 section 5.1). */
#define FASTOPEN_RESET_MS 60000u

/*
 * RFC 7413's PendingFastOpenRequests, of one listener.  The connections that
 * count themselves here may outlive it; the last one frees.
 */
struct fastopen_queue {
	uint32_t pending; /* connections before the end of their handshake */
	uint32_t resets[2]; /* ended by RST in this FASTOPEN_RESET_MS, and in the one before */
	uint32_t period; /* which one this is */
	bool listening; /* there is a listener */
};

/* May one more begin, of limit at a time? */
bool fastopen_queue_has_room(struct fastopen_queue *q, uint32_t limit, uint32_t now_ms);
void fastopen_queue_enter(struct fastopen_queue *q);
/* reset: by the peer, or somebody who plays it. */
void fastopen_queue_leave(struct fastopen_queue *q, bool reset, uint32_t now_ms);

/* ---- what a client remembers --------------------------------------------------- */

#define FASTOPEN_CACHE_SETS    64
#define FASTOPEN_CACHE_WAYS    4
#define FASTOPEN_MSS_MAX_BYTES 1460 /* RFC 7413 section 4.1.3: larger SYNs meet trouble */
#define FASTOPEN_BLOCK_MS      60000u /* after a first failure, then twice that, and so on ... */
#define FASTOPEN_BLOCK_SHIFT   6 /* ... up to 64 times */

/* What a server gave. */
struct fastopen_grant {
	uint16_t mss_bytes;
	uint8_t cookie_bytes; /* 0: no cookie */
	uint8_t cookie[FASTOPEN_COOKIE_MAX_BYTES];
};

/* One pair of addresses. */
struct fastopen_entry {
	struct inet_addr local;
	struct inet_addr remote;
	struct fastopen_grant grant;
	bool used;
	bool blocked; /* until unblock_ms: something on the path loses such SYNs */
	uint8_t failures; /* in a row */
	uint32_t unblock_ms;
	uint32_t used_ms; /* the longest unused of a set makes room */
};

/* A few of the servers there are: whoever is not in it is asked for a cookie again. */
struct fastopen_cache {
	struct siphash_key key;
	struct fastopen_entry entries[FASTOPEN_CACHE_SETS][FASTOPEN_CACHE_WAYS];
};

enum fastopen_advice {
	FASTOPEN_ASK, /* for a cookie */
	FASTOPEN_SEND, /* data with the SYN */
	FASTOPEN_AVOID, /* the option at all */
};

/* What a SYN to flow's remote end should do; FASTOPEN_SEND: with *grant. */
enum fastopen_advice fastopen_cache_look(struct fastopen_cache *c, const struct flow *flow,
					 uint32_t now_ms, struct fastopen_grant *grant);
/* The server answered as one that does Fast Open; without a cookie the old one stays. */
void fastopen_cache_keep(struct fastopen_cache *c, const struct flow *flow, uint32_t now_ms,
			 const struct fastopen_grant *grant);
/* It did not take the data: its cookie is forgotten, the next SYN asks for one. */
void fastopen_cache_forget(struct fastopen_cache *c, const struct flow *flow);
/* Nothing came back (RFC 7413 section 4.1.3.1): for a while none such. */
void fastopen_cache_block(struct fastopen_cache *c, const struct flow *flow, uint32_t now_ms);

#endif
