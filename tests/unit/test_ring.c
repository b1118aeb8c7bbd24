/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon's end of the byte rings: growth, placement, and what it believes of the other end. */
#include "shm/ring.h"

#include <string.h>
#include <sys/socket.h>

#include "net/checksum.h"
#include "shm/ring_rx.h"
#include "shm/ring_tx.h"
#include "support/fakeproto.h"

#define CHUNK_SHIFT 12
#define CHUNK       (1u << CHUNK_SHIFT)
#define CHUNKS      32

static struct host *h;
static struct app_sock s;
static struct sock *sk;

static void begin_with(uint32_t chunks, uint32_t grants)
{
	struct host_config config = host_config_default();

	config.session.chunk_shift = CHUNK_SHIFT;
	config.session.chunks_per_worker = chunks;
	config.session.grant_entries = grants;
	h = host_new(&config);
	fake_use(h);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	sk = host_sock(&s);
	REQUIRE(sk != NULL);
}

static void begin(void)
{
	begin_with(CHUNKS, 8);
}

static void end(void)
{
	CHECK(sk == NULL || ring_is_sane(&sk->ring));
	host_end(h);
}

static struct arena *arena(void)
{
	return &h->session->arenas[0];
}

static uint32_t chunks_in(enum chunk_state state)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < arena()->chunk_count; i++)
		count += arena()->chunks[i].state == state ? 1 : 0;
	return count;
}

/* The pattern's bytes [offset, offset + length) are placed there. */
static int place(uint64_t offset, uint32_t length)
{
	uint8_t bytes[4 * CHUNK];

	pattern_fill(bytes, offset, length);
	return rx_ring_write_bytes(h->w, &sk->ring, offset, bytes, length);
}

static void publish(uint32_t length)
{
	rx_ring_advance(&sk->ring, length);
	sock_raise(h->w, sk, LEAT_EV_IN);
	host_poll(h);
	CHECK(ring_is_sane(&sk->ring));
}

static int place_and_read(uint32_t length)
{
	if (place(sk->ring.rx_tail, length) != 0)
		return -1;
	publish(length);
	return app_read_pattern(&s, length) == length ? 0 : -1;
}

/* ---- receive --------------------------------------------------------------- */

static void bytes_arrive_as_they_were_placed(void)
{
	begin();
	REQUIRE_EQ(place(0, 100), 0);
	CHECK_EQ(app_readable(&s), 0); /* not before it is advanced and published */
	publish(100);
	CHECK_EQ(app_read_pattern(&s, 1000), 100);
	CHECK_EQ(app_readable(&s), 0);
	end();
}

static void receive_ring_wraps_at_every_chunk_edge(void)
{
	begin();
	for (uint32_t i = 0; i < 4 * CHUNKS; i++) {
		static const uint32_t sizes[] = {CHUNK - 1, 1, 1, CHUNK, CHUNK + 1, 3, 2 * CHUNK};
		uint32_t n = sizes[i % 7];

		REQUIRE_EQ(place(sk->ring.rx_tail, n), 0);
		publish(n);
		CHECK_EQ(app_read_pattern(&s, n), n);
		REQUIRE_EQ(rx_ring_sync(h->w, &sk->ring), 0);
		CHECK(chunks_in(CHUNK_RX) <= 4); /* what was read is given back */
	}
	end();
}

static void offsets_pass_32_bits(void)
{
	const uint64_t start = ((uint64_t)1 << 32) - CHUNK - 10;

	begin();
	/* As if so many bytes had gone through: both sides stand at start with empty rings. */
	sk->ring.rx_head = sk->ring.rx_tail = sk->ring.rx_end = sk->ring.rx_placed = start;
	sk->ring.tx_head = sk->ring.tx_tail = sk->ring.tx_end = start;
	s.slot->rx_head = s.rx_head = start;
	s.slot->tx_tail = s.tx_tail = start;
	sock_raise(h->w, sk, 0);
	host_poll(h);

	for (int i = 0; i < 4; i++) {
		REQUIRE_EQ(place(sk->ring.rx_tail, CHUNK), 0);
		publish(CHUNK);
	}
	CHECK_EQ(app_read_pattern(&s, 5 * CHUNK), 4 * CHUNK);
	CHECK(s.rx_head > UINT32_MAX);

	CHECK_EQ(app_write_pattern(&s, 4 * CHUNK), 4 * CHUNK);
	host_poll(h);
	CHECK_EQ(tx_ring_used(&sk->ring), 4 * CHUNK);
	tx_ring_done(h->w, &sk->ring, start + 4 * CHUNK);
	CHECK_EQ(h->condemned, 0);
	end();
}

/* A reader that stands at the edge has yet to follow the link of the chunk before it. */
static void a_chunk_is_kept_until_its_link_was_followed(void)
{
	static const uint8_t zeroes[3 * CHUNK];
	struct app_sock other;

	begin();
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &other), 0);
	REQUIRE_EQ(place(0, CHUNK + 10), 0);
	publish(CHUNK + 10);
	CHECK_EQ(app_read_pattern(&s, CHUNK), CHUNK);
	REQUIRE_EQ(rx_ring_sync(h->w, &sk->ring), 0);
	/* Another ring takes what is free, and writes its own links there. */
	REQUIRE_EQ(rx_ring_write_bytes(h->w, &host_sock(&other)->ring, 0, zeroes, sizeof(zeroes)),
		   0);
	CHECK_EQ(app_read_pattern(&s, 10), 10);
	end();
}

static void out_of_order_bytes_go_straight_to_their_place(void)
{
	begin();
	/* [2 chunks + 5, + 100) first, then what is before it, in two steps. */
	REQUIRE_EQ(place(2 * CHUNK + 5, 100), 0);
	host_poll(h);
	CHECK_EQ(app_readable(&s), 0);
	REQUIRE_EQ(place(0, CHUNK), 0);
	publish(CHUNK);
	CHECK_EQ(app_readable(&s), CHUNK);
	REQUIRE_EQ(place(CHUNK, CHUNK + 5), 0);
	publish(CHUNK + 5 + 100);
	CHECK_EQ(app_read_pattern(&s, 3 * CHUNK), 2 * CHUNK + 105);
	end();
}

static void a_packet_of_many_segments_is_placed_whole(void)
{
	struct rte_mbuf *m, *head = NULL, **link = &head;
	uint8_t bytes[900];

	begin();
	pattern_fill(bytes, 0, sizeof(bytes));
	for (int i = 0; i < 3; i++) {
		m = worker_mbuf(h->w);
		REQUIRE(m != NULL);
		memcpy(rte_pktmbuf_append(m, 300), bytes + (size_t)i * 300, 300);
		*link = m;
		link = &m->next;
	}
	head->nb_segs = 3;
	head->pkt_len = 900;
	/* The first 350 bytes are known already: skip ends within the second segment. */
	REQUIRE_EQ(place(0, 350), 0);
	REQUIRE_EQ(rx_ring_write(h->w, &sk->ring, 350, head, 350, 550), 0);
	rte_pktmbuf_free(head);
	publish(900);
	CHECK_EQ(app_read_pattern(&s, 900), 900);
	end();
}

/* A packet whose data are skip bytes of something else and the stream's next length bytes, the last
 * part of them in a segment of its own. */
static void append(uint32_t skip, uint32_t length, uint32_t part)
{
	struct rte_mbuf *m = worker_mbuf(h->w);
	struct rte_mbuf *rest = part > 0 ? worker_mbuf(h->w) : NULL;
	uint8_t bytes[CHUNK];

	pattern_fill(bytes, sk->ring.rx_tail, length);
	memset(rte_pktmbuf_append(m, (uint16_t)skip), 0xee, skip);
	memcpy(rte_pktmbuf_append(m, (uint16_t)(length - part)), bytes, length - part);
	if (rest != NULL) {
		memcpy(rte_pktmbuf_append(rest, (uint16_t)part), bytes + length - part, part);
		m->next = rest;
		m->nb_segs = 2;
		m->pkt_len += part;
	}
	CHECK_EQ(rx_ring_append(h->w, &sk->ring, m, skip, length), 0);
	rte_pktmbuf_free(m);
	sock_raise(h->w, sk, LEAT_EV_IN);
	host_poll(h);
	CHECK(ring_is_sane(&sk->ring));
}

/* The inline way, at every distance from a chunk's edge, whoever looked there last. */
static void what_is_appended_inline_continues_the_stream(void)
{
	static const uint32_t sizes[] = {1500, 1500, 1095, 1, 1024, 1024, 1024, 1024, 900, 1300, 7};

	begin();
	for (uint32_t i = 0; i < 10 * RTE_DIM(sizes); i++) {
		uint32_t n = sizes[i % RTE_DIM(sizes)];
		struct rte_mbuf *m = worker_mbuf(h->w);

		pattern_fill(rte_pktmbuf_append(m, (uint16_t)n), sk->ring.rx_tail, n);
		REQUIRE_EQ(rx_ring_append_here(h->w, &sk->ring, m, n), 0);
		rte_pktmbuf_free(m);
		sock_raise(h->w, sk, LEAT_EV_IN);
		host_poll(h);
		CHECK(ring_is_sane(&sk->ring));
		CHECK_EQ(app_read_pattern(&s, n), n);
	}
	end();
}

static void a_record_has_a_place_only_within_a_chunk(void)
{
	const uint32_t header = sizeof(struct leat_record);
	struct leat_record *place;
	struct rte_mbuf *m;

	begin();
	m = worker_mbuf(h->w);
	pattern_fill(rte_pktmbuf_append(m, 64), CHUNK - 96 + header, 64);
	CHECK(rx_ring_record_here(&sk->ring, m, 64) == NULL); /* no chunk yet */
	REQUIRE_EQ(place_and_read(CHUNK - 96), 0);
	CHECK(rx_ring_record_here(&sk->ring, m, 65) == NULL); /* more than m's first segment */
	CHECK(rx_ring_record_here(&sk->ring, m, 64) == NULL); /* none is left behind it */
	CHECK_EQ(sk->ring.rx_tail, CHUNK - 96);
	place = rx_ring_record_here(&sk->ring, m, 56);
	REQUIRE(place != NULL);
	CHECK_EQ(sk->ring.rx_tail, CHUNK - 8);
	pattern_fill(place, CHUNK - 96, header);
	sock_raise(h->w, sk, LEAT_EV_IN);
	host_poll(h);
	CHECK_EQ(app_read_pattern(&s, CHUNK), header + 56);
	rte_pktmbuf_free(m);
	end();
}

static void what_is_appended_continues_the_stream(void)
{
	/* Ends within a chunk, one byte before its end, at it, beyond it. */
	static const uint32_t sizes[] = {1500, 1500, 1095, 1, 1024, 1024, 1024, 1024, 900, 1300, 7};

	begin();
	for (uint32_t i = 0; i < 10 * RTE_DIM(sizes); i++) {
		uint32_t n = sizes[i % RTE_DIM(sizes)];
		uint64_t readable;

		append(i % 5, n, i % 3 == 2 ? n / 2 : 0);
		if (i % 4 != 0)
			continue;
		readable = app_readable(&s);
		CHECK_EQ(app_read_pattern(&s, 8 * CHUNK), readable);
		CHECK_EQ(sk->ring.rx_placed, (uint32_t)sk->ring.rx_tail);
		REQUIRE_EQ(rx_ring_sync(h->w, &sk->ring), 0);
	}
	end();
}

static void a_full_arena_refuses_without_loss(void)
{
	uint32_t placed = 0;

	begin_with(12, 8); /* eight are granted, four are left to receive with */
	while (place(placed, CHUNK) == 0) {
		rx_ring_advance(&sk->ring, CHUNK);
		placed += CHUNK;
	}
	CHECK_EQ(placed, 4 * CHUNK);
	CHECK(host_counter(h, CNT_chunks_exhausted) > 0);
	sock_raise(h->w, sk, LEAT_EV_IN);
	host_poll(h);
	CHECK_EQ(app_read_pattern(&s, 2 * CHUNK + 1), 2 * CHUNK + 1);
	REQUIRE_EQ(rx_ring_sync(h->w, &sk->ring), 0);
	CHECK_EQ(place(placed, CHUNK), 0); /* what was read made room */
	publish(CHUNK);
	CHECK_EQ(app_read_pattern(&s, 9 * CHUNK), 3 * CHUNK - 1);
	end();
}

static void an_idle_ring_holds_no_chunk_and_restarts_anywhere(void)
{
	begin();
	for (int i = 0; i < 3; i++) {
		REQUIRE_EQ(place(sk->ring.rx_tail, 100), 0);
		publish(100);
		CHECK_EQ(app_read_pattern(&s, 100), 100);
		CHECK(chunks_in(CHUNK_RX) > 0);
		host_advance_ms(h, 1000);
		CHECK_EQ(chunks_in(CHUNK_RX), 0);
	}
	end();
}

static void bytes_that_wait_are_not_released(void)
{
	begin();
	REQUIRE_EQ(place(0, 100), 0);
	publish(100);
	host_advance_ms(h, 1000);
	CHECK_EQ(app_read_pattern(&s, 100), 100); /* unread bytes stayed */
	REQUIRE_EQ(place(200, 50), 0); /* out of order */
	host_advance_ms(h, 1000);
	REQUIRE_EQ(place(100, 100), 0);
	publish(150);
	CHECK_EQ(app_read_pattern(&s, 150), 150);
	end();
}

static void consumption_is_told_when_asked_for(void)
{
	begin();
	REQUIRE_EQ(place(0, 1000), 0);
	publish(1000);
	rx_ring_ask(h->w, &sk->ring, 600);
	CHECK_EQ(app_read_pattern(&s, 599), 599);
	host_poll(h);
	CHECK_EQ(fake_calls.synced, 0);
	CHECK_EQ(app_read_pattern(&s, 1), 1);
	host_poll(h);
	CHECK_EQ(fake_calls.synced, 1);
	CHECK_EQ(rx_ring_used(&sk->ring), 400);
	end();
}

/* ---- send ------------------------------------------------------------------ */

/* What would go into a packet: [offset, offset + length), compared with the pattern. */
static void check_append(uint64_t offset, uint32_t length, bool copy)
{
	struct rte_mbuf *m = worker_mbuf(h->w);
	uint8_t actual[4 * CHUNK], expected[4 * CHUNK];

	REQUIRE(m != NULL);
	REQUIRE_EQ(tx_ring_append(h->w, &sk->ring, m, offset, length, copy), 0);
	CHECK_EQ(m->pkt_len, length);
	rte_mbuf_sanity_check(m, 1);
	pattern_fill(expected, offset, length);
	CHECK_MEM(rte_pktmbuf_read(m, 0, length, actual), expected, length);
	rte_pktmbuf_free(m);
}

static void written_bytes_are_sent_by_reference_or_by_copy(void)
{
	begin();
	CHECK_EQ(app_write_pattern(&s, 3 * CHUNK), 3 * CHUNK);
	host_poll(h);
	CHECK_EQ(fake_calls.synced, 1);
	CHECK_EQ(tx_ring_used(&sk->ring), 3 * CHUNK);
	for (int copy = 0; copy < 2; copy++) {
		check_append(0, 1448, copy != 0);
		check_append(CHUNK - 1, 2, copy != 0);
		check_append(CHUNK - 700, 1448, copy != 0);
		check_append(2 * CHUNK, CHUNK, copy != 0);
		check_append(10, 3 * CHUNK - 10, copy != 0); /* over two edges, many mbufs */
	}
	check_append(5, 20, false); /* below the copy-break: copied */
	end();
}

/* The same with the sum, behind an even number of bytes. */
static void check_append_summed(uint64_t offset, uint32_t length, bool copy)
{
	struct rte_mbuf *m = worker_mbuf(h->w);
	uint8_t actual[4 * CHUNK], expected[4 * CHUNK];
	uint64_t sum;

	REQUIRE(m != NULL);
	memset(rte_pktmbuf_append(m, 20), 0xee, 20);
	REQUIRE_EQ(tx_ring_append_summed(h->w, &sk->ring, m, offset, length, copy, &sum), 0);
	CHECK_EQ(m->pkt_len, 20 + length);
	rte_mbuf_sanity_check(m, 1);
	pattern_fill(expected, offset, length);
	CHECK_MEM(rte_pktmbuf_read(m, 20, length, actual), expected, length);
	CHECK_EQ(checksum_fold(sum), checksum_bytes(expected, length));
	rte_pktmbuf_free(m);
}

static void what_is_appended_is_summed(void)
{
	/* Within a chunk, up to its end, over one edge and two, odd on both sides. */
	static const struct {
		uint32_t offset, length;
	} parts[] = {{0, 1448},
		     {1, 1447},
		     {CHUNK - 1448, 1448},
		     {CHUNK - 701, 1448},
		     {CHUNK - 1, 2},
		     {2 * CHUNK, CHUNK},
		     {11, 3 * CHUNK - 11},
		     {3, 511},
		     {4, 512},
		     {7, 1}};

	begin();
	CHECK_EQ(app_write_pattern(&s, 3 * CHUNK), 3 * CHUNK);
	host_poll(h);
	for (uint32_t i = 0; i < RTE_DIM(parts); i++) {
		check_append_summed(parts[i].offset, parts[i].length, false);
		check_append_summed(parts[i].offset, parts[i].length, true);
	}
	CHECK_EQ(h->condemned, 0);
	end();
}

/* Copied only out of the chunk that was looked at last, and only what is short. */
static void a_short_copy_is_of_one_chunk(void)
{
	uint8_t actual[CHUNK], expected[CHUNK];
	uint32_t limit;

	begin();
	limit = h->w->config.copybreak_bytes;
	CHECK_EQ(app_write_pattern(&s, 2 * CHUNK), 2 * CHUNK);
	host_poll(h);
	for (uint32_t length = 1; length < limit; length++) {
		uint64_t offset = CHUNK - length; /* up to its end */
		uint64_t sum = 0xffff;

		REQUIRE(tx_ring_copy_short(h->w, &sk->ring, actual, offset, length, false, &sum));
		pattern_fill(expected, offset, length);
		CHECK_MEM(actual, expected, length);
		CHECK_EQ(checksum_fold(sum), checksum_bytes(expected, length));
		CHECK(!tx_ring_copy_short(h->w, &sk->ring, actual, offset + 1, length, false,
					  &sum));
	}
	CHECK(!tx_ring_copy_short(h->w, &sk->ring, actual, 0, limit, false, &(uint64_t){0}));
	/* One step on, what lies before is not seen any more. */
	check_append(CHUNK, 1, true);
	CHECK(tx_ring_peek(&sk->ring, CHUNK - 1, 1) == NULL);
	CHECK(tx_ring_peek(&sk->ring, CHUNK, CHUNK) != NULL);
	tx_ring_done(h->w, &sk->ring, 2 * CHUNK);
	end();
}

static void send_ring_wraps_at_every_chunk_edge(void)
{
	begin();
	for (uint32_t i = 0; i < 4 * CHUNKS; i++) {
		static const uint32_t sizes[] = {CHUNK - 1, 1, 1, CHUNK, CHUNK + 1, 3, 2 * CHUNK};
		uint32_t n = sizes[i % 7];
		uint64_t at = sk->ring.tx_tail;

		CHECK_EQ(app_write_pattern(&s, n), n);
		host_poll(h);
		CHECK_EQ(sk->ring.tx_tail, at + n);
		check_append(at, n, false);
		tx_ring_done(h->w, &sk->ring, at + n);
		sock_raise(h->w, sk, 0);
		host_poll(h);
		CHECK_EQ(s.slot->tx_head, at + n);
		CHECK(chunks_in(CHUNK_TX) <= 4);
	}
	CHECK_EQ(h->condemned, 0);
	end();
}

static void acknowledged_bytes_free_chunks_only_when_no_mbuf_points_there(void)
{
	struct rte_mbuf *m;

	begin();
	CHECK_EQ(app_write_pattern(&s, 3 * CHUNK), 3 * CHUNK);
	host_poll(h);
	m = worker_mbuf(h->w);
	REQUIRE_EQ(tx_ring_append(h->w, &sk->ring, m, 0, 1448, false), 0);
	tx_ring_done(h->w, &sk->ring, 2 * CHUNK + 1);
	CHECK_EQ(chunks_in(CHUNK_RETIRED), 1); /* the first one is still "on the wire" */
	CHECK_EQ(arena()->retired_count, 1);
	CHECK_EQ(chunks_in(CHUNK_TX), 1);
	rte_pktmbuf_free(m); /* not on the worker's thread: comes back by its list */
	host_poll(h);
	CHECK_EQ(arena()->retired_count, 0);
	end();
}

static void append_without_mbufs_leaves_the_packet_as_it_was(void)
{
	struct rte_mbuf *taken[4096], *m;
	unsigned count = 0;

	begin();
	CHECK_EQ(app_write_pattern(&s, 3 * CHUNK), 3 * CHUNK);
	host_poll(h);
	m = worker_mbuf(h->w);
	rte_pktmbuf_append(m, 10);
	while ((taken[count] = worker_mbuf(h->w)) != NULL)
		count++;
	REQUIRE(count > 0);
	rte_pktmbuf_free(taken[--count]); /* one is left: enough for the first of two segments */
	CHECK_EQ(tx_ring_append(h->w, &sk->ring, m, CHUNK - 700, 1448, false), -ENOBUFS);
	CHECK_EQ(tx_ring_append(h->w, &sk->ring, m, 0, 3 * CHUNK, true), -ENOBUFS);
	CHECK_EQ(m->pkt_len, 10);
	CHECK_EQ(m->data_len, 10);
	CHECK_EQ(m->nb_segs, 1);
	CHECK(m->next == NULL);
	while (count > 0)
		rte_pktmbuf_free(taken[--count]);
	rte_pktmbuf_free(m);
	end();
}

static void an_idle_send_ring_is_given_back_and_restarts(void)
{
	begin();
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(app_write_pattern(&s, 100), 100);
		host_poll(h);
		CHECK_EQ(chunks_in(CHUNK_TX), 1);
		tx_ring_done(h->w, &sk->ring, sk->ring.tx_tail);
		sock_raise(h->w, sk, 0);
		host_advance_ms(h, 1000);
		CHECK(h->app.idle_count > 0); /* LEAT_CQE_IDLE asked for it */
		h->app.idle_count = 0;
		app_release(&s);
		host_poll(h);
		CHECK_EQ(chunks_in(CHUNK_TX), 0);
	}
	CHECK_EQ(h->condemned, 0);
	end();
}

static void a_write_that_crosses_a_release_is_kept(void)
{
	begin();
	CHECK_EQ(app_write_pattern(&s, 100), 100);
	host_poll(h);
	tx_ring_done(h->w, &sk->ring, 100);
	sock_raise(h->w, sk, 0);
	host_poll(h);
	app_release(&s); /* and, before the worker sees it, new bytes */
	CHECK_EQ(app_write_pattern(&s, 200), 200);
	host_poll(h);
	CHECK_EQ(tx_ring_used(&sk->ring), 200);
	check_append(100, 200, true);
	CHECK_EQ(h->condemned, 0);
	end();
}

static void unsent_bytes_outlive_the_application(void)
{
	begin();
	CHECK_EQ(app_write_pattern(&s, 2 * CHUNK), 2 * CHUNK);
	host_poll(h);
	REQUIRE_EQ(rx_ring_write_bytes(h->w, &sk->ring, 0, "x", 1), 0);
	sock_detach(h->w, sk);
	CHECK_EQ(chunks_in(CHUNK_RX), 0);
	CHECK_EQ(chunks_in(CHUNK_TX), 2);
	check_append(0, 2 * CHUNK, false);
	tx_ring_done(h->w, &sk->ring, CHUNK);
	CHECK_EQ(chunks_in(CHUNK_TX), 2);
	tx_ring_done(h->w, &sk->ring, 2 * CHUNK);
	CHECK_EQ(chunks_in(CHUNK_TX), 0);
	sk->proto->close(h->w, sk, false);
	sk = NULL;
	end();
}

/* ---- what cannot be right -------------------------------------------------- */

static void check_condemned(void)
{
	CHECK_EQ(h->condemned, 1);
	CHECK(h->condemned_reason != NULL);
	CHECK_EQ(host_counter(h, CNT_sessions_condemned), 1);
	CHECK(arena()->condemned);
	CHECK(ring_is_sane(&sk->ring)); /* nothing impossible was taken over */
	end();
}

static void kick_and_check_condemned(void)
{
	app_kick(&s);
	host_poll(h);
	check_condemned();
}

static void tx_tail_far_beyond_is_refused(void)
{
	begin();
	app_write_pattern(&s, 10);
	s.slot->tx_tail = (uint64_t)CHUNKS * CHUNK + 1;
	kick_and_check_condemned();
}

static void tx_tail_going_back_is_refused(void)
{
	begin();
	app_write_pattern(&s, 100);
	host_poll(h);
	s.slot->tx_tail = 99;
	kick_and_check_condemned();
}

static void tx_tail_before_tx_head_is_refused(void)
{
	begin();
	app_write_pattern(&s, 100);
	host_poll(h);
	tx_ring_done(h->w, &sk->ring, 50);
	s.slot->tx_tail = 49;
	kick_and_check_condemned();
}

static void bytes_without_a_chunk_are_refused(void)
{
	begin();
	s.slot->tx_tail = 10; /* tx_restart says: never started */
	kick_and_check_condemned();
}

static void rx_head_beyond_tail_is_refused(void)
{
	begin();
	REQUIRE_EQ(place(0, 100), 0);
	publish(100);
	s.slot->rx_head = 101;
	kick_and_check_condemned();
}

static void rx_head_going_back_is_refused(void)
{
	begin();
	REQUIRE_EQ(place(0, 100), 0);
	publish(100);
	CHECK_EQ(app_read_pattern(&s, 50), 50);
	REQUIRE_EQ(rx_ring_sync(h->w, &sk->ring), 0);
	s.slot->rx_head = 49;
	kick_and_check_condemned();
}

static void a_restart_chunk_out_of_range_is_refused(void)
{
	begin();
	s.slot->tx_restart = 0;
	s.slot->tx_restart_chunk = CHUNKS;
	s.slot->tx_tail = 10;
	kick_and_check_condemned();
}

static void a_chunk_that_was_not_granted_is_refused(void)
{
	begin();
	s.slot->tx_restart = 0;
	s.slot->tx_restart_chunk = CHUNKS - 1; /* free: grants began with the first chunks */
	CHECK_EQ(arena_chunk(arena(), CHUNKS - 1)->state, CHUNK_FREE);
	s.slot->tx_tail = 10;
	kick_and_check_condemned();
}

static void a_receive_chunk_named_for_sending_is_refused(void)
{
	begin();
	REQUIRE_EQ(place(0, 10), 0);
	s.slot->tx_restart = 0;
	s.slot->tx_restart_chunk = sk->ring.rx_first;
	s.slot->tx_tail = 10;
	kick_and_check_condemned();
}

static void a_link_out_of_range_is_refused(void)
{
	begin();
	CHECK_EQ(app_write_pattern(&s, CHUNK), CHUNK);
	h->app.tx_link[s.tx_chunk] = UINT32_MAX;
	s.slot->tx_tail = CHUNK + 1;
	kick_and_check_condemned();
}

static void a_loop_of_links_is_refused(void)
{
	begin();
	CHECK_EQ(app_write_pattern(&s, 2 * CHUNK), 2 * CHUNK);
	h->app.tx_link[s.tx_chunk] = s.slot->tx_restart_chunk; /* back to the first one */
	s.slot->tx_tail = 5 * CHUNK;
	kick_and_check_condemned();
}

static void one_chunk_in_two_rings_is_refused(void)
{
	struct app_sock other;

	begin();
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &other), 0);
	CHECK_EQ(app_write_pattern(&s, 10), 10);
	host_poll(h);
	other.slot->tx_restart = 0;
	other.slot->tx_restart_chunk = s.tx_chunk;
	other.slot->tx_tail = 10;
	app_kick(&other);
	host_poll(h);
	check_condemned();
}

static void a_restart_with_bytes_in_the_ring_is_refused(void)
{
	begin();
	CHECK_EQ(app_write_pattern(&s, 10), 10);
	host_poll(h);
	s.tx_fresh = true; /* restarts although 10 bytes are unacknowledged */
	CHECK_EQ(app_write_pattern(&s, 10), 10);
	kick_and_check_condemned();
}

TEST_SUITE(ring)
{
	TEST(bytes_arrive_as_they_were_placed);
	TEST(receive_ring_wraps_at_every_chunk_edge);
	TEST(offsets_pass_32_bits);
	TEST(a_chunk_is_kept_until_its_link_was_followed);
	TEST(out_of_order_bytes_go_straight_to_their_place);
	TEST(a_packet_of_many_segments_is_placed_whole);
	TEST(what_is_appended_continues_the_stream);
	TEST(what_is_appended_inline_continues_the_stream);
	TEST(a_record_has_a_place_only_within_a_chunk);
	TEST(a_full_arena_refuses_without_loss);
	TEST(an_idle_ring_holds_no_chunk_and_restarts_anywhere);
	TEST(bytes_that_wait_are_not_released);
	TEST(consumption_is_told_when_asked_for);
	TEST(written_bytes_are_sent_by_reference_or_by_copy);
	TEST(what_is_appended_is_summed);
	TEST(a_short_copy_is_of_one_chunk);
	TEST(send_ring_wraps_at_every_chunk_edge);
	TEST(acknowledged_bytes_free_chunks_only_when_no_mbuf_points_there);
	TEST(append_without_mbufs_leaves_the_packet_as_it_was);
	TEST(an_idle_send_ring_is_given_back_and_restarts);
	TEST(a_write_that_crosses_a_release_is_kept);
	TEST(unsent_bytes_outlive_the_application);
	TEST(tx_tail_far_beyond_is_refused);
	TEST(tx_tail_going_back_is_refused);
	TEST(tx_tail_before_tx_head_is_refused);
	TEST(bytes_without_a_chunk_are_refused);
	TEST(rx_head_beyond_tail_is_refused);
	TEST(rx_head_going_back_is_refused);
	TEST(a_restart_chunk_out_of_range_is_refused);
	TEST(a_chunk_that_was_not_granted_is_refused);
	TEST(a_receive_chunk_named_for_sending_is_refused);
	TEST(a_link_out_of_range_is_refused);
	TEST(a_loop_of_links_is_refused);
	TEST(one_chunk_in_two_rings_is_refused);
	TEST(a_restart_with_bytes_in_the_ring_is_refused);
}
