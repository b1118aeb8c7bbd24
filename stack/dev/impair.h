/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Impairment: what a bad path does to packets, done on purpose and the same
 * way each time.  A struct impair is one direction of such a path: packets
 * are put in, and taken out again when they are due.  It knows neither ports
 * nor clocks, and belongs to one thread.
 *
 * In the order in which a packet meets them:
 *
 *   loss     it is gone
 *   dup      a copy follows it, which shares its fate from here on
 *   limit    it is gone, when so many packets are held already
 *   corrupt  one bit, anywhere in the frame, is flipped
 *   reorder  it is held back until 1 to IMPAIR_GAP_MAX more packets came, but at most
 *            IMPAIR_HOLD_US: then it goes on as if it came only now
 *   rate     it waits until those before it, and itself, have been sent at so many bits a second,
 *            counting frames without preamble and checksum
 *   delay    it arrives so much later
 *   jitter   and up to so much more, but never before one that was sent before it
 *
 * Decisions depend on the configuration, the stream and the packets' order
 * alone; time enters only where IMPAIR_HOLD_US or limit cut something short.
 */
#ifndef LEAT_DEV_IMPAIR_H
#define LEAT_DEV_IMPAIR_H

#include <rte_mbuf.h>
#include <stddef.h>
#include <stdint.h>

#define IMPAIR_GAP_MAX       8
#define IMPAIR_HOLD_US       5000
#define IMPAIR_LIMIT_DEFAULT 1000 /* packets; some 12 ms of them at 1 Gb/s and an MTU of 1500 */

struct impair_config {
	/* probabilities, in parts per million */
	uint64_t loss_ppm;
	uint64_t reorder_ppm;
	uint64_t dup_ppm;
	uint64_t corrupt_ppm;
	/* the path */
	uint64_t delay_us;
	uint64_t jitter_us;
	uint64_t rate_bps; /* bits per second; 0: no bound */
	uint64_t limit; /* packets held at a time: on the link, delayed, and held back */
	uint64_t seed;
};

enum impair_counter {
	IMPAIR_LOST,
	IMPAIR_OVER_LIMIT,
	IMPAIR_NO_MBUF, /* no mbuf for a copy: a duplicate was not made, or what was to be corrupted died */
	IMPAIR_REORDERED,
	IMPAIR_DUPLICATED,
	IMPAIR_CORRUPTED,
	IMPAIR_COUNTERS
};

struct impair;

/*
 * Reads "loss=1%,reorder=5%,dup=1%,corrupt=0.1%,delay=20ms,jitter=2ms,
 * rate=100M,limit=10000,seed=7": any of them, in any order, each at most once.
 * 0, or -EINVAL with what is wrong and what would be right in error.
 */
int impair_parse(const char *text, struct impair_config *config, char *error, size_t error_bytes);
/* The configuration as a text that impair_parse reads; like snprintf. */
int impair_describe(const struct impair_config *config, char *out, size_t out_bytes);

/*
 * copies: where mbufs of duplicates and corrupted packets come from.  Streams
 * with the same seed and different numbers decide independently of each
 * other.  NULL: no memory.
 */
struct impair *impair_create(const struct impair_config *config, uint32_t stream,
			     struct rte_mempool *copies, int socket_id);
/* Frees what it still holds, too. */
void impair_free(struct impair *i);

/* Takes all of them.  They must be as on the wire, with no checksum or segmentation left to do. */
void impair_put(struct impair *i, struct rte_mbuf **pkts, uint32_t n, uint64_t now_us);
/* Up to n packets that are due, in their order; the caller owns them. */
uint32_t impair_get(struct impair *i, struct rte_mbuf **pkts, uint32_t n, uint64_t now_us);
/* When impair_get has something; UINT64_MAX: it holds nothing. */
uint64_t impair_next_us(const struct impair *i);
/* Packets it holds. */
uint32_t impair_held(const struct impair *i);

/* Adds what happened since the last call to sums. */
void impair_take_counters(struct impair *i, uint64_t sums[IMPAIR_COUNTERS]);
/* A few words for one of them. */
const char *impair_counter_text(enum impair_counter c);

#endif
