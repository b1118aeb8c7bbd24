/* SPDX-License-Identifier: BSD-3-Clause */
#include "dev/impair.h"

#include <rte_malloc.h>
#include <stdbool.h>

#include "lib/random.h"

#define MILLION 1000000

/* A packet on its way. */
struct transit {
	struct rte_mbuf *m;
	uint64_t due_us;
};

/* A packet that others shall overtake. */
struct straggler {
	struct rte_mbuf *m;
	uint64_t until_us;
	uint32_t gap; /* packets that still have to come */
};

struct impair {
	struct impair_config config;
	struct random random;
	struct rte_mempool *copies;
	uint64_t link_free_ns; /* the packets before have been sent by then */
	uint64_t last_due_us;
	uint64_t counter[IMPAIR_COUNTERS];

	/* In the order of arrival.  Each packet that comes brings every gap closer to its end, so
	 * there are never more. */
	uint32_t straggler_count;
	struct straggler straggler[IMPAIR_GAP_MAX];

	/* A ring; since no packet is due before the one before it, the first is due first. */
	uint32_t head;
	uint32_t tail;
	uint32_t mask;
	struct transit transit[];
};

/* ---- life ---------------------------------------------------------------- */

/* splitmix64, which fills a generator's state from any seed. */
static uint64_t seed_next(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static void impair_seed(struct impair *i, uint32_t stream)
{
	uint64_t state = i->config.seed;

	state = seed_next(&state) + stream;
	for (unsigned k = 0; k < RTE_DIM(i->random.s); k++)
		i->random.s[k] = seed_next(&state);
	i->random.s[0] |= 1; /* all zero is the one state it cannot leave */
}

struct impair *impair_create(const struct impair_config *config, uint32_t stream,
			     struct rte_mempool *copies, int socket_id)
{
	uint32_t size = rte_align32pow2((uint32_t)config->limit);
	struct impair *i = rte_zmalloc_socket("impair", sizeof(*i) + size * sizeof(i->transit[0]),
					      RTE_CACHE_LINE_SIZE, socket_id);

	if (i == NULL)
		return NULL;
	i->config = *config;
	i->copies = copies;
	i->mask = size - 1;
	impair_seed(i, stream);
	return i;
}

void impair_free(struct impair *i)
{
	if (i == NULL)
		return;
	for (uint32_t k = 0; k < i->straggler_count; k++)
		rte_pktmbuf_free(i->straggler[k].m);
	for (; i->head != i->tail; i->head++)
		rte_pktmbuf_free(i->transit[i->head & i->mask].m);
	rte_free(i);
}

/* ---- chance -------------------------------------------------------------- */

/* 0 to bound - 1, for bounds below 2^32. */
static uint64_t draw(struct impair *i, uint64_t bound)
{
	return (random_next(&i->random) >> 32) * bound >> 32;
}

static bool happens(struct impair *i, uint64_t ppm)
{
	return ppm != 0 && draw(i, MILLION) < ppm;
}

/* ---- in ------------------------------------------------------------------ */

uint32_t impair_held(const struct impair *i)
{
	return i->tail - i->head + i->straggler_count;
}

static void impair_drop(struct impair *i, struct rte_mbuf *m, enum impair_counter why)
{
	i->counter[why]++;
	rte_pktmbuf_free(m);
}

/* A copy that shares no byte with m, whose data may be an application's. */
static struct rte_mbuf *impair_copy(struct impair *i, const struct rte_mbuf *m)
{
	struct rte_mbuf *copy = rte_pktmbuf_copy(m, i->copies, 0, UINT32_MAX);

	if (copy == NULL)
		i->counter[IMPAIR_NO_MBUF]++;
	return copy;
}

static void flip_bit(struct rte_mbuf *m, uint64_t bit)
{
	uint32_t at = (uint32_t)(bit / 8);

	while (at >= m->data_len) {
		at -= m->data_len;
		m = m->next;
	}
	*rte_pktmbuf_mtod_offset(m, uint8_t *, at) ^= (uint8_t)(1u << bit % 8);
}

/* In the place of m: a copy with one bit flipped, or NULL. */
static struct rte_mbuf *impair_corrupt(struct impair *i, struct rte_mbuf *m)
{
	struct rte_mbuf *copy = impair_copy(i, m);

	rte_pktmbuf_free(m);
	if (copy == NULL)
		return NULL;
	/* What a port found out about its checksums is no longer true. */
	copy->ol_flags &= ~(RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK);
	if (copy->pkt_len > 0)
		flip_bit(copy, draw(i, (uint64_t)copy->pkt_len * 8));
	i->counter[IMPAIR_CORRUPTED]++;
	return copy;
}

/* When the last bit of it has left the link. */
static uint64_t link_send(struct impair *i, uint32_t bytes, uint64_t now_us)
{
	if (i->config.rate_bps == 0)
		return now_us;
	i->link_free_ns = RTE_MAX(i->link_free_ns, now_us * 1000) +
			  bytes * UINT64_C(8000000000) / i->config.rate_bps;
	return (i->link_free_ns + 999) / 1000;
}

static void impair_send(struct impair *i, struct rte_mbuf *m, uint64_t now_us)
{
	uint64_t due_us = link_send(i, m->pkt_len, now_us) + i->config.delay_us;

	if (i->config.jitter_us != 0)
		due_us += draw(i, i->config.jitter_us + 1);
	i->last_due_us = RTE_MAX(i->last_due_us, due_us);
	i->transit[i->tail++ & i->mask] = (struct transit){.m = m, .due_us = i->last_due_us};
}

static void straggler_add(struct impair *i, struct rte_mbuf *m, uint64_t now_us)
{
	i->straggler[i->straggler_count++] = (struct straggler){
		.m = m,
		.until_us = now_us + IMPAIR_HOLD_US,
		.gap = (uint32_t)draw(i, IMPAIR_GAP_MAX) + 1,
	};
	i->counter[IMPAIR_REORDERED]++;
}

/* Sends those that have waited for enough packets, passed more, or for long enough. */
static void stragglers_send(struct impair *i, uint32_t passed, uint64_t now_us)
{
	uint32_t kept = 0;

	for (uint32_t k = 0; k < i->straggler_count; k++) {
		struct straggler s = i->straggler[k];

		s.gap -= passed;
		if (s.gap == 0 || s.until_us <= now_us)
			impair_send(i, s.m, now_us);
		else
			i->straggler[kept++] = s;
	}
	i->straggler_count = kept;
}

static void impair_admit(struct impair *i, struct rte_mbuf *m, uint64_t now_us)
{
	bool straggles;

	if (impair_held(i) >= i->config.limit) {
		impair_drop(i, m, IMPAIR_OVER_LIMIT);
		return;
	}
	if (happens(i, i->config.corrupt_ppm)) {
		m = impair_corrupt(i, m);
		if (m == NULL)
			return;
	}
	straggles = happens(i, i->config.reorder_ppm);
	if (!straggles)
		impair_send(i, m, now_us);
	stragglers_send(i, 1, now_us);
	if (straggles)
		straggler_add(i, m, now_us);
}

static void impair_put_one(struct impair *i, struct rte_mbuf *m, uint64_t now_us)
{
	struct rte_mbuf *twin = NULL;

	if (happens(i, i->config.loss_ppm)) {
		impair_drop(i, m, IMPAIR_LOST);
		return;
	}
	if (happens(i, i->config.dup_ppm))
		twin = impair_copy(i, m);
	impair_admit(i, m, now_us);
	if (twin == NULL)
		return;
	i->counter[IMPAIR_DUPLICATED]++;
	impair_admit(i, twin, now_us);
}

void impair_put(struct impair *i, struct rte_mbuf **pkts, uint32_t n, uint64_t now_us)
{
	/* Whose time is over goes before those that come only now. */
	stragglers_send(i, 0, now_us);
	for (uint32_t k = 0; k < n; k++)
		impair_put_one(i, pkts[k], now_us);
}

/* ---- out ----------------------------------------------------------------- */

uint32_t impair_get(struct impair *i, struct rte_mbuf **pkts, uint32_t n, uint64_t now_us)
{
	uint32_t count = 0;

	stragglers_send(i, 0, now_us);
	while (count < n && i->head != i->tail && i->transit[i->head & i->mask].due_us <= now_us)
		pkts[count++] = i->transit[i->head++ & i->mask].m;
	return count;
}

uint64_t impair_next_us(const struct impair *i)
{
	uint64_t next_us = UINT64_MAX;

	if (i->head != i->tail)
		next_us = i->transit[i->head & i->mask].due_us;
	if (i->straggler_count != 0)
		next_us = RTE_MIN(next_us, i->straggler[0].until_us);
	return next_us;
}

/* ---- counters ------------------------------------------------------------ */

void impair_take_counters(struct impair *i, uint64_t sums[IMPAIR_COUNTERS])
{
	for (int c = 0; c < IMPAIR_COUNTERS; c++) {
		sums[c] += i->counter[c];
		i->counter[c] = 0;
	}
}

const char *impair_counter_text(enum impair_counter c)
{
	static const char *const text[] = {
		[IMPAIR_LOST] = "lost",
		[IMPAIR_OVER_LIMIT] = "over the limit",
		[IMPAIR_NO_MBUF] = "without an mbuf for a copy",
		[IMPAIR_REORDERED] = "reordered",
		[IMPAIR_DUPLICATED] = "duplicated",
		[IMPAIR_CORRUPTED] = "corrupted",
	};

	return text[c];
}
