/* SPDX-License-Identifier: BSD-3-Clause */
/* One flight and its pool, and what happens to it, checked after each step. */
#ifndef LEAT_SUPPORT_FLIGHT_FIXTURE_H
#define LEAT_SUPPORT_FLIGHT_FIXTURE_H

#include <rte_common.h>

#include "lib/seq.h"
#include "support/test.h"
#include "tcp/flight.h"

#define POOL_RECORDS 64

static struct flight f;
static struct flight_pool pool;
static struct flight_delivery d;
static uint32_t una, nxt;

static inline void begin_with(uint32_t records, uint32_t seq)
{
	CHECK_EQ(flight_pool_init(&pool, records, -1), 0);
	flight_init(&f);
	una = nxt = seq;
}

static inline void begin(void)
{
	begin_with(POOL_RECORDS, 1000);
}

static inline void end(void)
{
	flight_clear(&f, &pool);
	CHECK_EQ(pool.used, 0);
	CHECK_EQ(f.records, 0);
	CHECK_EQ(f.sacked_bytes, 0);
	CHECK_EQ(f.lost_bytes, 0);
	CHECK_EQ(f.resent_bytes, 0);
	flight_pool_free(&pool);
}

static inline void check_sane(void)
{
	CHECK(flight_is_sane(&f, &pool, una, nxt));
}

static inline bool send(uint32_t bytes, uint32_t now_us)
{
	if (!flight_sent(&f, &pool, nxt, nxt + bytes, una, now_us))
		return false;
	nxt += bytes;
	check_sane();
	return true;
}

static inline void delivery_begin(uint64_t now_us)
{
	d = (struct flight_delivery){.now_us = now_us};
}

static inline void ack(uint32_t bytes, uint64_t now_us)
{
	delivery_begin(now_us);
	flight_ack(&f, &pool, una + bytes, &d);
	una += bytes;
	check_sane();
}

/* [from, to), counted from una. */
static inline void sack(uint32_t from, uint32_t to, uint64_t now_us)
{
	delivery_begin(now_us);
	flight_sack(&f, &pool, una + from, una + to, &d);
	check_sane();
}

/* The record that holds the byte at this distance from una. */
static inline uint32_t index_at(uint32_t distance)
{
	uint32_t i = f.first;

	while (i != FLIGHT_NONE && seq_le(flight_at(&pool, i)->end, una + distance))
		i = flight_at(&pool, i)->next;
	REQUIRE(i != FLIGHT_NONE);
	return i;
}

#endif
