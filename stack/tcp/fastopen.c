/* SPDX-License-Identifier: BSD-3-Clause */
#include "tcp/fastopen.h"

#include <rte_common.h>

/* ---- a server's cookies ------------------------------------------------------ */

static uint64_t cookie_value(const struct siphash_key *key, const struct flow *flow,
			     uint64_t half_day)
{
	struct {
		struct inet_addr local;
		struct inet_addr remote;
		uint64_t family;
		uint64_t half_day;
	} of = {flow->local, flow->remote, flow->family, half_day};

	return siphash13(key, &of, sizeof(of));
}

void fastopen_cookie_make(const struct siphash_key *key, const struct flow *flow, uint64_t now_us,
			  uint8_t cookie[FASTOPEN_COOKIE_BYTES])
{
	uint64_t value = cookie_value(key, flow, now_us / FASTOPEN_COOKIE_LIFE_US);

	memcpy(cookie, &value, FASTOPEN_COOKIE_BYTES);
}

/* Compared in one step, of eight bytes; and who tries bytes one by one would have to measure
 * nanoseconds over a network, for a cookie that any host gets for the asking. */
bool fastopen_cookie_check(const struct siphash_key *key, const struct flow *flow, uint64_t now_us,
			   const uint8_t *cookie, uint32_t bytes)
{
	uint64_t half_day = now_us / FASTOPEN_COOKIE_LIFE_US;
	uint64_t value;

	if (bytes != FASTOPEN_COOKIE_BYTES)
		return false;
	memcpy(&value, cookie, FASTOPEN_COOKIE_BYTES);
	return value == cookie_value(key, flow, half_day) ||
	       value == cookie_value(key, flow, half_day - 1);
}

/* ---- a server's bound -------------------------------------------------------- */

static void queue_take_time(struct fastopen_queue *q, uint32_t now_ms)
{
	uint32_t period = now_ms / FASTOPEN_RESET_MS;

	if (period == q->period)
		return;
	q->resets[1] = period == q->period + 1 ? q->resets[0] : 0;
	q->resets[0] = 0;
	q->period = period;
}

bool fastopen_queue_has_room(struct fastopen_queue *q, uint32_t limit, uint32_t now_ms)
{
	queue_take_time(q, now_ms);
	return q->pending + q->resets[0] + q->resets[1] < limit;
}

void fastopen_queue_enter(struct fastopen_queue *q)
{
	q->pending++;
}

void fastopen_queue_leave(struct fastopen_queue *q, bool reset, uint32_t now_ms)
{
	q->pending--;
	queue_take_time(q, now_ms);
	q->resets[0] += reset;
}

/* ---- what a client remembers --------------------------------------------------- */

static struct fastopen_entry *cache_set(struct fastopen_cache *c, const struct flow *flow)
{
	struct inet_addr of[2] = {flow->local, flow->remote};

	return c->entries[siphash13(&c->key, of, sizeof(of)) % FASTOPEN_CACHE_SETS];
}

/* NULL: nothing is known. */
static struct fastopen_entry *cache_find(struct fastopen_cache *c, const struct flow *flow)
{
	struct fastopen_entry *set = cache_set(c, flow);

	for (unsigned i = 0; i < FASTOPEN_CACHE_WAYS; i++) {
		if (set[i].used && inet_addr_eq(&set[i].local, &flow->local) &&
		    inet_addr_eq(&set[i].remote, &flow->remote))
			return &set[i];
	}
	return NULL;
}

/* The entry of these addresses, in place of the one not used for the longest time if need be. */
static struct fastopen_entry *cache_enter(struct fastopen_cache *c, const struct flow *flow,
					  uint32_t now_ms)
{
	struct fastopen_entry *e = cache_find(c, flow);
	struct fastopen_entry *set = cache_set(c, flow);

	if (e == NULL) {
		e = set;
		for (unsigned i = 0; i < FASTOPEN_CACHE_WAYS && e->used; i++) {
			if (!set[i].used || now_ms - set[i].used_ms > now_ms - e->used_ms)
				e = &set[i];
		}
		*e = (struct fastopen_entry){
			.local = flow->local, .remote = flow->remote, .used = true};
	}
	e->used_ms = now_ms;
	return e;
}

enum fastopen_advice fastopen_cache_look(struct fastopen_cache *c, const struct flow *flow,
					 uint32_t now_ms, struct fastopen_grant *grant)
{
	struct fastopen_entry *e = cache_find(c, flow);

	if (e == NULL)
		return FASTOPEN_ASK;
	e->used_ms = now_ms;
	if (e->blocked && (int32_t)(now_ms - e->unblock_ms) < 0)
		return FASTOPEN_AVOID;
	e->blocked = false;
	if (e->grant.cookie_bytes == 0)
		return FASTOPEN_ASK;
	*grant = e->grant;
	return FASTOPEN_SEND;
}

void fastopen_cache_keep(struct fastopen_cache *c, const struct flow *flow, uint32_t now_ms,
			 const struct fastopen_grant *grant)
{
	struct fastopen_entry *e = cache_enter(c, flow, now_ms);

	if (grant->cookie_bytes != 0)
		e->grant = *grant;
	e->grant.mss_bytes = RTE_MIN(grant->mss_bytes, FASTOPEN_MSS_MAX_BYTES);
	e->blocked = false;
	e->failures = 0;
}

void fastopen_cache_forget(struct fastopen_cache *c, const struct flow *flow)
{
	struct fastopen_entry *e = cache_find(c, flow);

	if (e != NULL)
		e->grant.cookie_bytes = 0;
}

void fastopen_cache_block(struct fastopen_cache *c, const struct flow *flow, uint32_t now_ms)
{
	struct fastopen_entry *e = cache_enter(c, flow, now_ms);

	e->blocked = true;
	e->unblock_ms = now_ms + (FASTOPEN_BLOCK_MS << e->failures);
	if (e->failures < FASTOPEN_BLOCK_SHIFT)
		e->failures++;
}
