/* SPDX-License-Identifier: BSD-3-Clause */
/* What is in flight: the records' list, its sums, and what an ACK delivers. */
#include <rte_common.h>
#include <string.h>

#include "lib/random.h"
#include "lib/seq.h"
#include "support/test.h"
#include "tcp/flight.h"

#define POOL_RECORDS 64

static struct flight f;
static struct flight_pool pool;
static struct flight_delivery d;
static uint32_t una, nxt;

static void begin_with(uint32_t records, uint32_t seq)
{
	CHECK_EQ(flight_pool_init(&pool, records, -1), 0);
	flight_init(&f);
	una = nxt = seq;
}

static void begin(void)
{
	begin_with(POOL_RECORDS, 1000);
}

static void end(void)
{
	flight_clear(&f, &pool);
	CHECK_EQ(pool.used, 0);
	CHECK_EQ(f.records, 0);
	CHECK_EQ(f.sacked_bytes, 0);
	CHECK_EQ(f.lost_bytes, 0);
	CHECK_EQ(f.resent_bytes, 0);
	flight_pool_free(&pool);
}

static void check_sane(void)
{
	CHECK(flight_is_sane(&f, &pool, una, nxt));
}

static bool send(uint32_t bytes, uint32_t now_us)
{
	if (!flight_sent(&f, &pool, nxt, nxt + bytes, una, now_us))
		return false;
	nxt += bytes;
	check_sane();
	return true;
}

static void delivery_begin(uint64_t now_us)
{
	d = (struct flight_delivery){.now_us = now_us};
}

static void ack(uint32_t bytes, uint64_t now_us)
{
	delivery_begin(now_us);
	flight_ack(&f, &pool, una + bytes, &d);
	una += bytes;
	check_sane();
}

/* [from, to), counted from una. */
static void sack(uint32_t from, uint32_t to, uint64_t now_us)
{
	delivery_begin(now_us);
	flight_sack(&f, &pool, una + from, una + to, &d);
	check_sane();
}

/* The record that holds the byte at this distance from una. */
static uint32_t index_at(uint32_t distance)
{
	uint32_t i = f.first;

	while (i != FLIGHT_NONE && seq_le(flight_at(&pool, i)->end, una + distance))
		i = flight_at(&pool, i)->next;
	REQUIRE(i != FLIGHT_NONE);
	return i;
}

static uint32_t pipe_bytes(void)
{
	return flight_pipe(&f, una, nxt);
}

/* ---- sending --------------------------------------------------------------- */

static void one_iteration_shares_one_record(void)
{
	begin();
	for (int i = 0; i < 10; i++)
		send(100, 5);
	CHECK_EQ(f.records, 1);
	CHECK_EQ(flight_at(&pool, f.first)->in_flight, 1000);
	send(100, 6);
	CHECK_EQ(f.records, 2);
	CHECK_EQ(flight_at(&pool, f.last)->in_flight, 1100);
	CHECK_EQ(pipe_bytes(), 1100);
	end();
}

static void send_mtu_probe(uint32_t bytes, uint32_t now_us)
{
	CHECK(flight_sent_mtu_probe(&f, &pool, nxt, nxt + bytes, una, now_us));
	nxt += bytes;
	check_sane();
}

static void an_mtu_probe_gets_a_record_of_its_own(void)
{
	begin();
	send(100, 5);
	send_mtu_probe(150, 5);
	send(100, 5);
	CHECK_EQ(f.records, 3);
	CHECK_EQ(flight_mtu_probe(&f, &pool), index_at(100));
	CHECK_EQ(flight_at(&pool, index_at(100))->end - flight_at(&pool, index_at(100))->seq, 150);
	ack(100, 20);
	CHECK(!d.mtu_probe);
	ack(150, 20);
	CHECK(d.mtu_probe);
	CHECK_EQ(flight_mtu_probe(&f, &pool), FLIGHT_NONE);
	end();
}

static void a_selectively_acknowledged_mtu_probe_is_told_once(void)
{
	begin();
	send(100, 5);
	send_mtu_probe(150, 5);
	sack(100, 250, 20);
	CHECK(d.mtu_probe);
	CHECK_EQ(flight_mtu_probe(&f, &pool), FLIGHT_NONE);
	ack(250, 30);
	CHECK(!d.mtu_probe);
	end();
}

/* It goes in ordinary segments then. */
static void an_mtu_probe_sent_again_is_none(void)
{
	begin();
	send_mtu_probe(150, 5);
	flight_mark_lost(&f, &pool, f.first);
	CHECK_EQ(flight_mtu_probe(&f, &pool), f.first);
	flight_resent(&f, &pool, f.first, 100, una, 20);
	flight_resent(&f, &pool, index_at(100), 50, una, 20);
	CHECK_EQ(flight_mtu_probe(&f, &pool), FLIGHT_NONE);
	ack(150, 30);
	CHECK(!d.mtu_probe);
	CHECK_EQ(d.largest_bytes, 0);
	end();
}

static void the_largest_stretch_delivered_is_told(void)
{
	begin();
	send(100, 5);
	send(300, 6);
	send(200, 7);
	sack(100, 300, 20);
	CHECK_EQ(d.largest_bytes, 200);
	ack(600, 21);
	CHECK_EQ(d.largest_bytes, 200); /* the 300 were told of, or cut */
	end();
}

static void what_is_app_limited_gets_a_record_of_its_own(void)
{
	begin();
	send(100, 5);
	f.app_limited = 1;
	send(100, 5);
	CHECK_EQ(f.records, 2);
	CHECK(!(flight_at(&pool, f.first)->flags & FLIGHT_APP_LIMITED));
	CHECK(flight_at(&pool, f.last)->flags & FLIGHT_APP_LIMITED);
	end();
}

static void what_was_sacked_or_resent_is_not_extended(void)
{
	begin();
	send(100, 5);
	sack(0, 100, 5);
	send(100, 5);
	CHECK_EQ(f.records, 2);
	flight_mark_lost(&f, &pool, f.last);
	flight_resent(&f, &pool, f.last, 100, una, 5);
	send(100, 5);
	CHECK_EQ(f.records, 3);
	end();
}

static void a_record_does_not_grow_for_ever(void)
{
	begin();
	send(FLIGHT_RECORD_MAX_BYTES, 5);
	send(100, 5);
	CHECK_EQ(f.records, 2);
	end();
}

/* ---- acknowledging ---------------------------------------------------------- */

static void an_ack_takes_records_and_shortens_the_next(void)
{
	begin();
	send(100, 1);
	send(100, 2);
	ack(150, 10);
	CHECK_EQ(f.records, 1);
	CHECK_EQ(d.acked_bytes, 150);
	CHECK_EQ(f.delivered, 150);
	CHECK_EQ(pipe_bytes(), 50);
	CHECK(d.any);
	CHECK_EQ(d.newest.sent_us, 2);
	CHECK_EQ(d.newest.end, una); /* what arrived of it */
	CHECK(d.original);
	CHECK_EQ(d.oldest_original_us, 1);
	ack(50, 11);
	CHECK_EQ(f.records, 0);
	CHECK_EQ(f.first, FLIGHT_NONE);
	CHECK_EQ(f.last, FLIGHT_NONE);
	end();
}

static void what_was_sacked_is_not_delivered_twice(void)
{
	begin();
	send(300, 1);
	sack(100, 200, 10);
	CHECK_EQ(d.acked_bytes, 100);
	CHECK_EQ(d.sacked_bytes, 100);
	CHECK_EQ(f.sacked_bytes, 100);
	CHECK_EQ(pipe_bytes(), 200);
	sack(100, 200, 11);
	CHECK_EQ(d.acked_bytes, 0);
	CHECK(!d.any);
	ack(300, 12);
	CHECK_EQ(d.acked_bytes, 200);
	CHECK_EQ(f.delivered, 300);
	end();
}

static void a_sack_block_splits_at_both_ends(void)
{
	begin();
	send(300, 1);
	sack(100, 200, 10);
	CHECK_EQ(f.records, 3);
	CHECK_EQ(d.newest.end, una + 200);
	CHECK_EQ(d.lowest_original_end, una + 200);
	end();
}

static void neighbours_the_peer_has_become_one(void)
{
	begin();
	for (uint32_t i = 0; i < 10; i++)
		send(100, i);
	sack(100, 200, 10);
	sack(300, 400, 10);
	sack(200, 300, 10);
	CHECK_EQ(f.records, 1 + 1 + 6);
	sack(100, 1000, 10);
	CHECK_EQ(f.records, 2);
	CHECK_EQ(f.sacked_bytes, 900);
	CHECK_EQ(d.sacked_bytes, 600);
	CHECK_EQ(f.last, flight_at(&pool, f.first)->next);
	ack(1000, 11);
	CHECK_EQ(f.sacked_bytes, 0);
	end();
}

/* The list is as long as there are holes. */
static void every_other_segment_sacked_then_the_rest(void)
{
	begin();
	for (uint32_t i = 0; i < 20; i++)
		send(100, i);
	for (uint32_t i = 1; i < 20; i += 2)
		sack(i * 100, i * 100 + 100, 50);
	CHECK_EQ(f.records, 20);
	for (uint32_t i = 2; i < 20; i += 2)
		sack(i * 100, i * 100 + 100, 50);
	CHECK_EQ(f.records, 2);
	end();
}

/* RFC 8985 section 6.2, step 2: whose copy it is decides. */
static void the_newest_is_the_one_sent_last(void)
{
	begin();
	send(100, 1);
	send(100, 2);
	send(100, 3);
	flight_mark_lost(&f, &pool, f.first);
	flight_resent(&f, &pool, f.first, 100, una, 9);
	ack(300, 20);
	CHECK_EQ(d.newest.sent_us, 9);
	CHECK(d.resent);
	CHECK(d.original);
	CHECK_EQ(d.oldest_original_us, 2);
	end();
}

static void an_ambiguous_copy_is_not_the_newest(void)
{
	begin();
	send(100, 1);
	flight_mark_lost(&f, &pool, f.first);
	flight_resent(&f, &pool, f.first, 100, una, 5000);
	delivery_begin(5500);
	d.min_rtt_us = 1000; /* half a round trip after the second copy left */
	flight_ack(&f, &pool, una + 50, &d);
	una += 50;
	CHECK(!d.any);
	CHECK_EQ(d.acked_bytes, 50);
	/* Old enough, but the echo is of the first copy. */
	delivery_begin(9000);
	d.min_rtt_us = 1000;
	d.has_echo = true;
	d.echo_ms = 4;
	flight_ack(&f, &pool, una + 20, &d);
	una += 20;
	CHECK(!d.any);
	delivery_begin(9000);
	d.has_echo = true;
	d.echo_ms = 5;
	flight_ack(&f, &pool, una + 10, &d);
	una += 10;
	CHECK(d.any);
	end();
}

/* ---- losses -------------------------------------------------------------------- */

static void lost_and_resent_count_in_the_pipe(void)
{
	uint32_t first;

	begin();
	send(300, 1);
	sack(200, 300, 2);
	first = index_at(0);
	flight_mark_lost(&f, &pool, first);
	CHECK_EQ(f.lost_bytes, 200);
	CHECK_EQ(f.lost, 200);
	CHECK_EQ(pipe_bytes(), 0);
	CHECK_EQ(flight_next_lost(&f, &pool), first);
	flight_resent(&f, &pool, first, 100, una, 3);
	check_sane();
	CHECK_EQ(f.records, 3);
	CHECK_EQ(pipe_bytes(), 100);
	CHECK_EQ(flight_at(&pool, first)->in_flight, 100);
	CHECK_EQ(flight_next_lost(&f, &pool), index_at(100));
	flight_resent(&f, &pool, index_at(100), 100, una, 3);
	CHECK_EQ(pipe_bytes(), 200);
	CHECK_EQ(flight_next_lost(&f, &pool), FLIGHT_NONE);
	flight_mark_lost(&f, &pool, first); /* once more */
	CHECK_EQ(pipe_bytes(), 100);
	CHECK_EQ(f.lost, 300);
	CHECK_EQ(flight_next_lost(&f, &pool), first);
	check_sane();
	flight_clear_lost(&f, &pool);
	CHECK_EQ(pipe_bytes(), 200);
	CHECK_EQ(flight_next_lost(&f, &pool), FLIGHT_NONE);
	check_sane();
	end();
}

static void the_head_is_marked_lost_once(void)
{
	begin();
	send(300, 1);
	flight_mark_head_lost(&f, &pool, 100);
	CHECK_EQ(f.lost_bytes, 100);
	flight_mark_head_lost(&f, &pool, 100);
	CHECK_EQ(f.lost_bytes, 100);
	ack(100, 2);
	flight_mark_head_lost(&f, &pool, 1000);
	CHECK_EQ(f.lost_bytes, 200);
	check_sane();
	end();
}

/* RFC 2018 section 8. */
static void all_lost_spares_or_forgets_what_was_sacked(void)
{
	begin();
	send(300, 1);
	sack(100, 200, 2);
	flight_mark_all_lost(&f, &pool, false);
	check_sane();
	CHECK_EQ(f.lost_bytes, 200);
	CHECK_EQ(f.sacked_bytes, 100);
	flight_mark_all_lost(&f, &pool, true);
	check_sane();
	CHECK_EQ(f.lost_bytes, 300);
	CHECK_EQ(f.sacked_bytes, 0);
	CHECK_EQ(f.lost, 300);
	end();
}

static void the_tail_is_cut_to_length(void)
{
	uint32_t tail;

	begin();
	send(300, 1);
	tail = flight_tail(&f, &pool, 100);
	CHECK_EQ(flight_at(&pool, tail)->seq, una + 200);
	CHECK_EQ(flight_at(&pool, tail)->end, nxt);
	CHECK_EQ(flight_tail(&f, &pool, 100), tail);
	check_sane();
	end();
}

/* ---- no record left ---------------------------------------------------------------- */

static void without_a_record_the_last_one_stands_for_more(void)
{
	begin_with(2, 1000);
	send(100, 1);
	send(100, 2);
	CHECK(flight_has_room(&f, &pool));
	CHECK(send(100, 3));
	CHECK_EQ(f.records, 2);
	CHECK_EQ(flight_at(&pool, f.last)->sent_us, 3); /* no sooner lost than it was sent */
	sack(150, 250, 4); /* it cannot be told: it counts as not there */
	CHECK_EQ(f.sacked_bytes, 0);
	CHECK_EQ(d.acked_bytes, 0);
	sack(100, 300, 4);
	CHECK_EQ(f.sacked_bytes, 200);
	CHECK(!flight_has_room(&f, &pool)); /* the peer has it, what is new it has not */
	CHECK(!send(100, 5));
	check_sane();
	ack(100, 6);
	CHECK(flight_has_room(&f, &pool));
	CHECK(send(100, 5));
	end();
}

/* Karn's rule: what of it was sent when is not known. */
static void what_a_coarser_record_holds_is_not_measured(void)
{
	begin_with(1, 1000);
	send(100, 1000);
	send(100, 9000);
	delivery_begin(9500);
	d.min_rtt_us = 5000;
	flight_ack(&f, &pool, una + 100, &d);
	una += 100;
	CHECK_EQ(d.acked_bytes, 100);
	CHECK(!d.original);
	CHECK(!d.any);
	end();
}

static void without_a_record_a_part_sent_again_stands_for_all(void)
{
	begin_with(1, 1000);
	send(300, 1);
	flight_mark_head_lost(&f, &pool, 100);
	CHECK_EQ(f.lost_bytes, 300);
	flight_resent(&f, &pool, f.first, 100, una, 2);
	CHECK_EQ(f.resent_bytes, 300);
	CHECK_EQ(flight_next_lost(&f, &pool), FLIGHT_NONE);
	check_sane();
	end();
}

static void one_connection_gets_so_many_records(void)
{
	begin_with(2 * (FLIGHT_RECORDS_MAX + 10), 1000);
	for (uint32_t i = 0; i < FLIGHT_RECORDS_MAX + 5; i++)
		CHECK(send(1, i));
	CHECK_EQ(f.records, FLIGHT_RECORDS_MAX);
	CHECK_EQ(pool.used, FLIGHT_RECORDS_MAX);
	end();
}

/* Others leave the last quarter to those that have few. */
static void a_pool_that_runs_low_is_for_those_that_have_few(void)
{
	struct flight other;

	begin_with(64, 1000);
	for (uint32_t i = 0; i < 100; i++)
		CHECK(send(100, 10 * i));
	CHECK_EQ(f.records, 48);
	flight_init(&other);
	for (uint32_t i = 0; i < FLIGHT_RECORDS_FEW; i++)
		CHECK(flight_sent(&other, &pool, 100 * i, 100 * (i + 1), 0, 10 * i));
	CHECK_EQ(other.records, FLIGHT_RECORDS_FEW);
	CHECK_EQ(pool.used, 64);
	flight_clear(&other, &pool);
	end();
}

/* ---- wrap ----------------------------------------------------------------------------- */

static void sequence_numbers_and_time_wrap(void)
{
	begin_with(POOL_RECORDS, 0xffffff00u);
	send(200, 0xfffffff0u);
	send(200, 0x10);
	sack(100, 300, 0x100000100ull);
	CHECK_EQ(f.records, 3);
	CHECK_EQ(d.newest.sent_us, 0x10);
	CHECK_EQ(d.oldest_original_us, 0xfffffff0u);
	CHECK_EQ(d.lowest_original_end, una + 200);
	CHECK(flight_sent_after(0x10, 1, 0xfffffff0u, 2));
	CHECK(flight_sent_after(5, 0x10, 5, 0xfffffff0u));
	CHECK(!flight_sent_after(5, 5, 5, 5));
	ack(400, 0x100000200ull);
	CHECK_EQ(f.records, 0);
	end();
}

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
		CHECK(++acks <= MANY / FLIGHT_WALK_MAX + 2);
	} while (f.sacked_bytes < 100);
	sack(1, 2, MANY); /* a low one is found from the beginning ... */
	CHECK(d.walked <= 4);
	sack(MANY - 90, MANY, MANY); /* ... while the place of the high ones is kept */
	CHECK_EQ(f.sacked_bytes, 101);
	CHECK(d.walked <= 4);
	end();
}

static void what_is_lost_is_found_from_where_the_last_one_was(void)
{
	begin_with_many();
	flight_mark_lost(&f, &pool, index_at(MANY - 1));
	CHECK_EQ(flight_next_lost(&f, &pool), index_at(MANY - 1));
	flight_mark_lost(&f, &pool, index_at(MANY / 2)); /* below it */
	CHECK_EQ(flight_next_lost(&f, &pool), index_at(MANY / 2));
	flight_resent(&f, &pool, index_at(MANY / 2), 1, una, MANY);
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

TEST_SUITE(flight)
{
	TEST(one_iteration_shares_one_record);
	TEST(an_mtu_probe_gets_a_record_of_its_own);
	TEST(a_selectively_acknowledged_mtu_probe_is_told_once);
	TEST(an_mtu_probe_sent_again_is_none);
	TEST(the_largest_stretch_delivered_is_told);
	TEST(what_is_app_limited_gets_a_record_of_its_own);
	TEST(what_was_sacked_or_resent_is_not_extended);
	TEST(a_record_does_not_grow_for_ever);
	TEST(an_ack_takes_records_and_shortens_the_next);
	TEST(what_was_sacked_is_not_delivered_twice);
	TEST(a_sack_block_splits_at_both_ends);
	TEST(neighbours_the_peer_has_become_one);
	TEST(every_other_segment_sacked_then_the_rest);
	TEST(the_newest_is_the_one_sent_last);
	TEST(an_ambiguous_copy_is_not_the_newest);
	TEST(lost_and_resent_count_in_the_pipe);
	TEST(the_head_is_marked_lost_once);
	TEST(all_lost_spares_or_forgets_what_was_sacked);
	TEST(the_tail_is_cut_to_length);
	TEST(without_a_record_the_last_one_stands_for_more);
	TEST(what_a_coarser_record_holds_is_not_measured);
	TEST(without_a_record_a_part_sent_again_stands_for_all);
	TEST(one_connection_gets_so_many_records);
	TEST(a_pool_that_runs_low_is_for_those_that_have_few);
	TEST(sequence_numbers_and_time_wrap);
	TEST(blocks_that_go_up_are_found_from_where_the_last_one_was);
	TEST(one_ack_makes_so_many_records_be_visited);
	TEST(a_block_said_again_is_reached_in_the_end);
	TEST(what_is_lost_is_found_from_where_the_last_one_was);
	TEST(random_operations_agree_with_an_array_of_bytes);
	TEST(random_operations_with_few_records_stay_sane);
}
