/* SPDX-License-Identifier: BSD-3-Clause */
/* What is in flight, when it is much: searches are short, and sums are those of the bytes. */
#include <string.h>

#include "lib/random.h"
#include "support/flight_fixture.h"

/* ---- bounded work ---------------------------------------------------------------------- */

enum { MANY = 10000 }; /* records of a byte each */

static void begin_with_many(void)
{
	begin_with(2 * MANY, 0xfffff000u);
	for (uint32_t i = 0; i < MANY; i++)
		CHECK(flight_sent(&f, &pool, nxt + i, nxt + i + 1, una, i));
	nxt += MANY;
	check_sane();
}

static void blocks_that_go_up_are_found_from_where_the_last_one_was(void)
{
	begin_with_many();
	for (uint32_t i = 1; i < MANY; i += 2) {
		delivery_begin(MANY);
		flight_sack(&f, &pool, una + i, una + i + 1, &d);
		CHECK_EQ(d.sacked_bytes, 1);
		CHECK(d.walked <= 4);
	}
	check_sane();
	end();
}

static void one_ack_makes_so_many_records_be_visited(void)
{
	begin_with_many();
	delivery_begin(MANY);
	for (uint32_t block = 0; block < 4; block++)
		flight_sack(&f, &pool, una + MANY - 100 * (4 - block), nxt, &d);
	CHECK(d.walked <= FLIGHT_WALK_MAX + 4);
	CHECK_EQ(d.sacked_bytes, 0); /* not that far yet */
	check_sane();
	end();
}

static void a_block_said_again_is_reached_in_the_end(void)
{
	uint32_t acks = 0;

	begin_with_many();
	do {
		sack(MANY - 100, MANY, MANY);
		REQUIRE(++acks <= MANY / FLIGHT_WALK_MAX + 2);
	} while (f.sacked_bytes < 100);
	sack(1, 2, MANY); /* a low one is found from the beginning ... */
	CHECK(d.walked <= 4);
	sack(MANY - 90, MANY, MANY); /* ... while the place of the high ones is kept */
	CHECK_EQ(f.sacked_bytes, 101);
	CHECK(d.walked <= 4);
	end();
}

/* What was sent again arrives in the middle, behind what arrived last. */
static void a_block_near_what_is_repaired_is_found_from_there(void)
{
	const uint32_t middle = FLIGHT_WALK_MAX + 100;

	begin_with_many();
	for (uint32_t i = 0; i <= MANY / FLIGHT_WALK_MAX; i++)
		sack(MANY - 100, MANY, MANY);
	CHECK_EQ(f.sacked_bytes, 100);
	flight_mark_lost(&f, &pool, index_at(middle));
	for (uint32_t i = 0; i <= MANY / FLIGHT_WALK_MAX; i++)
		(void)flight_next_lost(&f, &pool);
	sack(middle + 10, middle + 11, MANY);
	CHECK_EQ(f.sacked_bytes, 101);
	CHECK(d.walked <= 20);
	end();
}

static void what_is_lost_and_far_away_is_found_in_the_end(void)
{
	unsigned calls = 0;

	begin_with_many();
	flight_mark_lost(&f, &pool, index_at(MANY - 1));
	while (flight_next_lost(&f, &pool) == FLIGHT_NONE) {
		CHECK(flight_search_goes_on(&f));
		REQUIRE(++calls <= MANY / FLIGHT_WALK_MAX + 1);
	}
	CHECK(calls >= MANY / FLIGHT_WALK_MAX);
	CHECK_EQ(flight_next_lost(&f, &pool), index_at(MANY - 1));
	flight_resent(&f, &pool, index_at(MANY - 1), 1, una, MANY);
	CHECK_EQ(flight_next_lost(&f, &pool), FLIGHT_NONE);
	CHECK(!flight_search_goes_on(&f));
	end();
}

static void what_is_lost_is_found_from_where_the_last_one_was(void)
{
	begin_with_many();
	flight_mark_lost(&f, &pool, index_at(MANY - 1));
	while (flight_next_lost(&f, &pool) == FLIGHT_NONE)
		REQUIRE(flight_search_goes_on(&f));
	CHECK_EQ(flight_next_lost(&f, &pool), index_at(MANY - 1));
	flight_mark_lost(&f, &pool, index_at(MANY / 2)); /* below it */
	CHECK_EQ(flight_next_lost(&f, &pool), index_at(MANY / 2));
	flight_resent(&f, &pool, index_at(MANY / 2), 1, una, MANY);
	while (flight_next_lost(&f, &pool) == FLIGHT_NONE)
		REQUIRE(flight_search_goes_on(&f));
	CHECK_EQ(flight_next_lost(&f, &pool), index_at(MANY - 1));
	flight_resent(&f, &pool, index_at(MANY - 1), 1, una, MANY);
	CHECK_EQ(flight_next_lost(&f, &pool), FLIGHT_NONE);
	flight_mark_lost(&f, &pool, index_at(0)); /* and lost once more */
	CHECK_EQ(flight_next_lost(&f, &pool), index_at(0));
	check_sane();
	end();
}

/* ---- against a plain array of bytes ------------------------------------------------------ */

enum { SPAN = 4000 };

struct model {
	uint8_t state[SPAN]; /* flags of each byte, FLIGHT_SACKED, LOST, RESENT */
	uint32_t una, nxt;
};

static uint32_t model_count(const struct model *m, uint32_t mask)
{
	uint32_t count = 0;

	for (uint32_t i = m->una; i < m->nxt; i++)
		count += (m->state[i] & mask) != 0;
	return count;
}

/* The first byte that is lost and not sent again; nxt: there is none. */
static uint32_t model_next_lost(const struct model *m)
{
	uint32_t i = m->una;

	while (i < m->nxt && (m->state[i] & (FLIGHT_LOST | FLIGHT_RESENT)) != FLIGHT_LOST)
		i++;
	return i;
}

static void model_agrees(const struct model *m)
{
	check_sane();
	CHECK_EQ(f.sacked_bytes, model_count(m, FLIGHT_SACKED));
	CHECK_EQ(f.lost_bytes, model_count(m, FLIGHT_LOST));
	CHECK_EQ(f.resent_bytes, model_count(m, FLIGHT_RESENT));
}

/* Sets the bytes of one record as the record has it after an operation named by add and clear. */
static void model_set(struct model *m, uint32_t from, uint32_t to, uint32_t add, uint32_t clear)
{
	for (uint32_t i = from; i < to; i++)
		m->state[i] = (uint8_t)((m->state[i] & ~clear) | add);
}

static void random_step(struct model *m, struct random *random, uint32_t base, uint32_t now_us)
{
	uint32_t a = m->una + (uint32_t)(random_next(random) % (m->nxt - m->una + 1));
	uint32_t b = m->una + (uint32_t)(random_next(random) % (m->nxt - m->una + 1));
	uint32_t low = RTE_MIN(a, b), high = RTE_MAX(a, b);
	uint32_t sacked = 0, index;

	delivery_begin(now_us);
	switch (random_next(random) % 6) {
	case 0:
	case 1:
		high = RTE_MIN(m->nxt + 1 + (uint32_t)(random_next(random) % 60), (uint32_t)SPAN);
		if (high > m->nxt && send(high - m->nxt, now_us))
			m->nxt = high;
		return;
	case 2:
		for (uint32_t i = low; i < high; i++)
			sacked += !(m->state[i] & FLIGHT_SACKED);
		if (low == high)
			return;
		flight_sack(&f, &pool, base + low, base + high, &d);
		model_set(m, low, high, FLIGHT_SACKED, FLIGHT_LOST | FLIGHT_RESENT);
		CHECK_EQ(d.sacked_bytes, sacked);
		return;
	case 3:
		low = m->una + (low - m->una) / 4; /* not too much at once */
		for (uint32_t i = m->una; i < low; i++)
			sacked += !(m->state[i] & FLIGHT_SACKED);
		flight_ack(&f, &pool, base + low, &d);
		CHECK_EQ(d.acked_bytes, sacked);
		m->una = low;
		una = base + low;
		return;
	case 4:
		if (low == m->nxt || m->state[low] & FLIGHT_SACKED)
			return;
		index = index_at(low - m->una);
		flight_mark_lost(&f, &pool, index);
		model_set(m, flight_at(&pool, index)->seq - base,
			  flight_at(&pool, index)->end - base, FLIGHT_LOST, FLIGHT_RESENT);
		return;
	default:
		index = flight_next_lost(&f, &pool);
		CHECK_EQ(index == FLIGHT_NONE, model_next_lost(m) == m->nxt);
		if (index == FLIGHT_NONE)
			return;
		CHECK_EQ(flight_at(&pool, index)->seq - base, model_next_lost(m));
		low = flight_at(&pool, index)->seq - base;
		high = RTE_MIN(flight_at(&pool, index)->end - base,
			       low + 1 + (uint32_t)(random_next(random) % 40));
		flight_resent(&f, &pool, index, high - low, una, now_us);
		model_set(m, low, high, FLIGHT_RESENT, 0);
		return;
	}
}

static void random_operations_agree_with_an_array_of_bytes(void)
{
	struct random random = {.s = {1, 2, 3, 4}};

	for (int round = 0; round < 100; round++) {
		static struct model m;
		uint32_t base = 0u - SPAN / 2; /* over the wrap */

		memset(&m, 0, sizeof(m));
		begin_with(SPAN, base);
		for (uint32_t step = 0; step < 300; step++) {
			random_step(&m, &random, base, 0xffffff80u + step / 3);
			model_agrees(&m);
		}
		end();
	}
}

/* With too few records the sums differ from what is true, but agree with the records. */
static void random_operations_with_few_records_stay_sane(void)
{
	struct random random = {.s = {5, 6, 7, 8}};

	for (int round = 0; round < 100; round++) {
		begin_with(5, 0xfffff800u);
		for (uint32_t step = 0; step < 300; step++) {
			uint32_t bytes = 1 + (uint32_t)(random_next(&random) % 50);
			uint32_t at = (uint32_t)(random_next(&random) % (nxt - una + 1));
			uint32_t index = flight_next_lost(&f, &pool);

			switch (random_next(&random) % 5) {
			case 0:
				CHECK_EQ(flight_has_room(&f, &pool), send(bytes, step));
				break;
			case 1:
				sack(at, RTE_MIN(at + bytes, nxt - una), step);
				break;
			case 2:
				ack(at / 4, step);
				break;
			case 3:
				flight_mark_head_lost(&f, &pool, bytes);
				break;
			default:
				if (index != FLIGHT_NONE)
					flight_resent(&f, &pool, index, 1, una, step);
				break;
			}
			check_sane();
			CHECK(pool.used <= 5);
		}
		end();
	}
}

TEST_SUITE(flight_search)
{
	TEST(blocks_that_go_up_are_found_from_where_the_last_one_was);
	TEST(one_ack_makes_so_many_records_be_visited);
	TEST(a_block_said_again_is_reached_in_the_end);
	TEST(a_block_near_what_is_repaired_is_found_from_there);
	TEST(what_is_lost_and_far_away_is_found_in_the_end);
	TEST(what_is_lost_is_found_from_where_the_last_one_was);
	TEST(random_operations_agree_with_an_array_of_bytes);
	TEST(random_operations_with_few_records_stay_sane);
}
