/* SPDX-License-Identifier: BSD-3-Clause */
#include "tcp/plpmtud.h"

#include "lib/random.h"
#include "support/test.h"

#define FULL 1500

static struct plpmtud p;
static uint64_t minute;

static void begin(void)
{
	minute = 250; /* its low 8 bits will go round */
	plpmtud_init(&p, FULL);
}

/* Full packets vanish, and those of the base size pass. */
static void fall_into_a_black_hole(void)
{
	for (unsigned i = 1; i < PLPMTUD_TIMEOUTS; i++)
		CHECK(!plpmtud_timeout(&p, FULL, FULL, i));
	CHECK(plpmtud_timeout(&p, FULL, FULL, PLPMTUD_TIMEOUTS));
	CHECK_EQ(p.mtu, PLPMTUD_BASE_MTU);
	plpmtud_packet_acked(&p, PLPMTUD_BASE_MTU);
	CHECK_EQ(p.state, PLPMTUD_SEARCH);
}

/* Probes until the search ends, on a path that takes so much; how many. */
static unsigned search(uint16_t path_mtu)
{
	unsigned probes = 0;
	uint16_t size;

	while ((size = plpmtud_probe_size(&p, FULL, minute)) != 0) {
		CHECK(size > p.mtu && size <= FULL);
		plpmtud_probe_sent(&p, size);
		CHECK_EQ(plpmtud_probe_size(&p, FULL, minute), 0); /* one at a time */
		if (size <= path_mtu)
			plpmtud_probe_acked(&p, minute);
		else
			plpmtud_probe_lost(&p, minute);
		if (++probes > 100)
			break;
	}
	CHECK_EQ(p.state, PLPMTUD_COMPLETE);
	return probes;
}

static void what_the_interface_takes_goes_until_something_speaks_against_it(void)
{
	begin();
	CHECK_EQ(p.mtu, FULL);
	CHECK_EQ(p.state, PLPMTUD_DISABLED);
	plpmtud_packet_acked(&p, FULL);
	CHECK_EQ(plpmtud_probe_size(&p, FULL, minute + 1000), 0);
	CHECK_EQ(p.state, PLPMTUD_DISABLED);
}

/* RFC 4821 section 7.7; small packets that vanish say nothing. */
static void timeouts_of_full_packets_are_a_black_hole(void)
{
	begin();
	CHECK(!plpmtud_timeout(&p, 500, FULL, 3));
	CHECK(!plpmtud_timeout(&p, PLPMTUD_BASE_MTU, FULL, 4));
	CHECK_EQ(p.mtu, FULL);
	CHECK(plpmtud_timeout(&p, PLPMTUD_BASE_MTU + 1, FULL, 4));
	CHECK_EQ(p.state, PLPMTUD_BASE);
	CHECK_EQ(plpmtud_probe_size(&p, FULL, minute), 0); /* not before the base is confirmed */
	plpmtud_packet_acked(&p, 100);
	CHECK_EQ(p.state, PLPMTUD_BASE);
	plpmtud_packet_acked(&p, PLPMTUD_BASE_MTU);
	CHECK_EQ(p.state, PLPMTUD_SEARCH);
}

static void a_black_hole_may_be_deeper(void)
{
	static const uint16_t sizes[] = {1064, 532, 266, 133, 128};
	uint16_t full = FULL;

	begin();
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		unsigned timeouts = (i + 1) * PLPMTUD_TIMEOUTS;

		if (i > 0) /* it may be an outage */
			CHECK(!plpmtud_timeout(&p, full, full, timeouts - 1));
		CHECK(plpmtud_timeout(&p, full, full, timeouts));
		CHECK_EQ(p.mtu, sizes[i]);
		CHECK_EQ(p.state, i == 0 ? PLPMTUD_BASE : PLPMTUD_ERROR);
		full = p.mtu;
	}
	CHECK(!plpmtud_timeout(&p, full, full, 18));
	plpmtud_packet_acked(&p, full);
	search(700);
	CHECK_RANGE(p.mtu, 700 - (int)PLPMTUD_STEP, 700);
}

static void a_search_finds_what_the_path_takes(void)
{
	for (uint16_t path_mtu = PLPMTUD_BASE_MTU; path_mtu < FULL; path_mtu++) {
		begin();
		fall_into_a_black_hole();
		CHECK(search(path_mtu) < 30);
		CHECK_RANGE(p.mtu, path_mtu - (int)PLPMTUD_STEP, path_mtu);
	}
}

/* The peer was away, no more. */
static void the_first_probe_asks_whether_all_was_a_mistake(void)
{
	begin();
	fall_into_a_black_hole();
	CHECK_EQ(search(FULL), 1);
	CHECK_EQ(p.mtu, FULL);
}

/* RFC 8899 section 5.1.2. */
static void one_lost_probe_says_little(void)
{
	begin();
	fall_into_a_black_hole();
	for (int i = 1; i < PLPMTUD_MAX_PROBES; i++) {
		CHECK_EQ(plpmtud_probe_size(&p, FULL, minute), FULL);
		plpmtud_probe_sent(&p, FULL);
		plpmtud_probe_lost(&p, minute);
	}
	plpmtud_probe_sent(&p, plpmtud_probe_size(&p, FULL, minute));
	plpmtud_probe_acked(&p, minute);
	CHECK_EQ(p.mtu, FULL);
}

/* RFC 4821 section 7.6.4. */
static void an_inconclusive_probe_says_nothing(void)
{
	begin();
	fall_into_a_black_hole();
	for (int i = 0; i < 10; i++) {
		CHECK_EQ(plpmtud_probe_size(&p, FULL, minute), FULL);
		plpmtud_probe_sent(&p, FULL);
		plpmtud_probe_inconclusive(&p);
	}
}

static void a_peer_that_takes_less_bounds_the_search(void)
{
	begin();
	fall_into_a_black_hole();
	CHECK_EQ(plpmtud_probe_size(&p, 1200, minute), 1200);
	CHECK_EQ(plpmtud_probe_size(&p, PLPMTUD_BASE_MTU, minute), 0);
	CHECK_EQ(p.state, PLPMTUD_COMPLETE);
}

static void after_ten_minutes_it_looks_again(void)
{
	begin();
	fall_into_a_black_hole();
	search(1300);
	CHECK_EQ(plpmtud_probe_size(&p, FULL, minute + PLPMTUD_RAISE_MINUTES), 0);
	CHECK_EQ(plpmtud_probe_size(&p, p.mtu, minute + PLPMTUD_RAISE_MINUTES + 1), 0);
	CHECK_EQ(plpmtud_probe_size(&p, FULL, minute + PLPMTUD_RAISE_MINUTES + 1), FULL);
	minute += PLPMTUD_RAISE_MINUTES + 1;
	search(FULL);
	CHECK_EQ(p.mtu, FULL);
}

static void another_route_is_looked_at_at_once(void)
{
	begin();
	fall_into_a_black_hole();
	search(1300);
	plpmtud_search(&p);
	CHECK_EQ(plpmtud_probe_size(&p, FULL, minute), FULL);
}

static void it_may_begin_small(void)
{
	plpmtud_init_small(&p, FULL);
	CHECK_EQ(p.mtu, PLPMTUD_BASE_MTU);
	CHECK_EQ(p.state, PLPMTUD_BASE);
	plpmtud_init_small(&p, 600);
	CHECK_EQ(p.mtu, 600);
	CHECK_EQ(p.state, PLPMTUD_DISABLED);
}

/* ---- messages (RFC 1191, RFC 5927 section 7.2) ------------------------------------- */

static enum plpmtud_verdict message(uint16_t claimed)
{
	return plpmtud_too_big(&p, claimed, false, minute);
}

static void a_message_about_a_new_path_is_believed(void)
{
	begin();
	plpmtud_packet_acked(&p, 1000);
	CHECK_EQ(message(1400), PLPMTUD_SMALLER);
	CHECK_EQ(p.mtu, 1400);
	CHECK_EQ(message(1300), PLPMTUD_SMALLER);
	CHECK_EQ(p.mtu, 1300);
	CHECK_EQ(p.state, PLPMTUD_COMPLETE);
	CHECK_EQ(plpmtud_probe_size(&p, FULL, minute + PLPMTUD_RAISE_MINUTES + 1), FULL);
}

static void a_message_against_what_was_acknowledged_waits_for_a_timeout(void)
{
	begin();
	plpmtud_packet_acked(&p, FULL);
	CHECK_EQ(message(1400), PLPMTUD_DELAYED);
	CHECK_EQ(p.mtu, FULL);
	CHECK(plpmtud_confirm(&p, minute));
	CHECK_EQ(p.mtu, 1400);
	CHECK(!plpmtud_confirm(&p, minute));
}

static void a_message_after_a_timeout_is_believed(void)
{
	begin();
	plpmtud_packet_acked(&p, FULL);
	CHECK_EQ(plpmtud_too_big(&p, 1400, true, minute), PLPMTUD_SMALLER);
	CHECK_EQ(p.mtu, 1400);
}

static void what_arrives_refutes_a_message(void)
{
	begin();
	plpmtud_packet_acked(&p, FULL);
	CHECK_EQ(message(1400), PLPMTUD_DELAYED);
	plpmtud_packet_acked(&p, 1400);
	CHECK_EQ(p.claimed, 1400);
	plpmtud_packet_acked(&p, FULL);
	CHECK(!plpmtud_confirm(&p, minute));
	CHECK_EQ(p.mtu, FULL);
}

static void impossible_claims_are_ignored_and_low_ones_bounded(void)
{
	begin();
	CHECK_EQ(message(0), PLPMTUD_IGNORED);
	CHECK_EQ(message(PLPMTUD_CLAIM_LEGAL - 1), PLPMTUD_IGNORED);
	CHECK_EQ(message(FULL), PLPMTUD_IGNORED);
	CHECK_EQ(message(9000), PLPMTUD_IGNORED);
	CHECK_EQ(p.mtu, FULL);
	CHECK_EQ(message(PLPMTUD_CLAIM_LEGAL), PLPMTUD_SMALLER);
	CHECK_EQ(p.mtu, PLPMTUD_CLAIM_MIN);
	CHECK_EQ(message(300), PLPMTUD_IGNORED);
}

/* RFC 8899 section 4.6.2: it saves the other probes. */
static void a_message_about_a_probe_ends_it(void)
{
	begin();
	fall_into_a_black_hole();
	plpmtud_probe_sent(&p, FULL);
	CHECK_EQ(message(1300), PLPMTUD_PROBE_FAILED);
	CHECK_EQ(p.mtu, PLPMTUD_BASE_MTU);
	CHECK_EQ(p.probe, 0);
	CHECK_EQ(p.high, 1300);
	CHECK(search(1300) < 10);
	CHECK_RANGE(p.mtu, 1300 - (int)PLPMTUD_STEP, 1300);
}

/* ---- anything in any order ------------------------------------------------------------ */

static void something_happens(struct random *random)
{
	uint16_t size = (uint16_t)(random_next(random) % 2000);

	switch (random_next(random) % 8) {
	case 0:
		plpmtud_packet_acked(&p, size < p.mtu ? size : p.mtu);
		break;
	case 1:
		(void)plpmtud_timeout(&p, p.mtu, p.mtu, 1 + size % 5);
		break;
	case 2:
		(void)plpmtud_too_big(&p, size, size % 2 != 0, minute);
		break;
	case 3:
		(void)plpmtud_confirm(&p, minute);
		break;
	case 4:
		plpmtud_search(&p);
		break;
	case 5:
		minute += size % 20;
		break;
	default:
		break;
	}
	if (p.probe != 0 && size % 3 == 0)
		plpmtud_probe_acked(&p, minute);
	else if (p.probe != 0 && size % 3 == 1)
		plpmtud_probe_lost(&p, minute);
	else if (p.probe != 0)
		plpmtud_probe_inconclusive(&p);
}

static void whatever_happens_sizes_stay_within_bounds(void)
{
	struct random random = {.s = {1, 2, 3, 4}};

	begin();
	for (int i = 0; i < 100000; i++) {
		uint16_t size;

		something_happens(&random);
		size = plpmtud_probe_size(&p, FULL, minute);
		if (size != 0) {
			if (!CHECK_RANGE(size, p.mtu + 1, FULL))
				break;
			plpmtud_probe_sent(&p, size);
		}
		if (!CHECK_RANGE(p.mtu, PLPMTUD_MIN_MTU, FULL) || !CHECK_RANGE(p.acked, 0, p.mtu) ||
		    !CHECK_RANGE(p.claimed, 0, FULL))
			break;
	}
}

TEST_SUITE(plpmtud)
{
	TEST(what_the_interface_takes_goes_until_something_speaks_against_it);
	TEST(timeouts_of_full_packets_are_a_black_hole);
	TEST(a_black_hole_may_be_deeper);
	TEST(a_search_finds_what_the_path_takes);
	TEST(the_first_probe_asks_whether_all_was_a_mistake);
	TEST(one_lost_probe_says_little);
	TEST(an_inconclusive_probe_says_nothing);
	TEST(a_peer_that_takes_less_bounds_the_search);
	TEST(after_ten_minutes_it_looks_again);
	TEST(another_route_is_looked_at_at_once);
	TEST(it_may_begin_small);
	TEST(a_message_about_a_new_path_is_believed);
	TEST(a_message_against_what_was_acknowledged_waits_for_a_timeout);
	TEST(a_message_after_a_timeout_is_believed);
	TEST(what_arrives_refutes_a_message);
	TEST(impossible_claims_are_ignored_and_low_ones_bounded);
	TEST(a_message_about_a_probe_ends_it);
	TEST(whatever_happens_sizes_stay_within_bounds);
}
