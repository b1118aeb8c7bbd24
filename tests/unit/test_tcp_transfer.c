/* SPDX-License-Identifier: BSD-3-Clause */
/* Two hosts on a link that loses, delays, reorders and duplicates: every byte is compared. */
#include <sys/socket.h>

#include "support/link.h"

#define MEGABYTE (1u << 20)

static struct host *first, *second;
static struct link l;
static struct app_sock client, server;

static void begin_with(const struct host_config *a, const struct host_config *b, uint32_t delay_us)
{
	struct host_config peer_config = link_peer_config();

	first = host_new(a);
	second = host_new(b != NULL ? b : &peer_config);
	link_init(&l, first, second, delay_us);
	link_connect(&l, &client, &server);
}

static void begin(uint32_t delay_us)
{
	begin_with(NULL, NULL, delay_us);
}

/* Both close; nothing may be left but TIME-WAIT. */
static void end(void)
{
	link_close(&l, &client, &server);
}

static uint64_t retransmissions(const struct host *h)
{
	return host_counter(h, CNT_tcp_retransmit);
}

static void a_good_link_needs_no_retransmission(void)
{
	begin(1000);
	CHECK(link_transfer(&l, &client, &server, 4 * MEGABYTE, 60000000));
	CHECK(link_transfer(&l, &server, &client, 4 * MEGABYTE, 60000000));
	CHECK_EQ(retransmissions(first) + retransmissions(second), 0);
	end();
}

static void each_kind_of_lost_segment_is_survived(void)
{
	/* SYN, SYN-ACK, ACK, the first text, and so on: each alone. */
	for (uint64_t index = 0; index < 14; index++) {
		for (int way = 0; way < 2; way++) {
			struct host_config peer_config = link_peer_config();

			first = host_new(NULL);
			second = host_new(&peer_config);
			link_init(&l, first, second, 500);
			link_lose(&l, way, index);
			link_connect(&l, &client, &server);
			CHECK(link_transfer(&l, &client, &server, 20000, 60000000));
			CHECK(link_transfer(&l, &server, &client, 20000, 60000000));
			end();
			test_cleanup(); /* the clock begins anew */
		}
	}
}

static void a_lossy_link_delivers_every_byte(void)
{
	static const uint32_t rates[] = {5, 20, 50};

	for (size_t i = 0; i < RTE_DIM(rates); i++) {
		begin(2000);
		l.way[0].loss_per_mille = l.way[1].loss_per_mille = rates[i];
		CHECK(link_transfer(&l, &client, &server, 2 * MEGABYTE, 3600000000u));
		CHECK(l.way[0].lost > 0);
		CHECK(retransmissions(first) > 0);
		l.way[0].loss_per_mille = l.way[1].loss_per_mille = 0;
		end();
		test_cleanup();
	}
}

static void reordering_and_duplicates_deliver_every_byte(void)
{
	begin(2000);
	l.way[0].reorder_per_mille = l.way[1].reorder_per_mille = 100;
	l.way[0].reorder_us = l.way[1].reorder_us = 3000;
	l.way[0].duplicate_per_mille = l.way[1].duplicate_per_mille = 50;
	CHECK(link_transfer(&l, &client, &server, 2 * MEGABYTE, 3600000000u));
	CHECK(link_transfer(&l, &server, &client, 2 * MEGABYTE, 3600000000u));
	l.way[0].reorder_per_mille = l.way[1].reorder_per_mille = 0;
	l.way[0].duplicate_per_mille = l.way[1].duplicate_per_mille = 0;
	end();
}

static void everything_wrong_at_once_delivers_every_byte(void)
{
	begin(5000);
	for (int way = 0; way < 2; way++) {
		l.way[way].loss_per_mille = 30;
		l.way[way].reorder_per_mille = 50;
		l.way[way].reorder_us = 12000;
		l.way[way].duplicate_per_mille = 20;
	}
	CHECK(link_transfer(&l, &client, &server, MEGABYTE, 3600000000u));
	CHECK(link_transfer(&l, &server, &client, MEGABYTE, 3600000000u));
	end();
}

/* A tail that is lost needs the timer. */
static void an_outage_is_survived(void)
{
	begin(1000);
	CHECK(link_transfer(&l, &client, &server, 100000, 60000000));
	app_write_pattern(&client, 50000);
	l.way[0].loss_per_mille = l.way[1].loss_per_mille = 1000;
	link_run(&l, 10000000, NULL, NULL);
	l.way[0].loss_per_mille = l.way[1].loss_per_mille = 0;
	link_run(&l, 60000000, NULL, NULL);
	CHECK_EQ(app_read_pattern(&server, MEGABYTE), 50000);
	end();
}

static bool has_stalled(void *arg)
{
	(void)arg;
	app_write_pattern(&client, MEGABYTE);
	return false;
}

/* The reader sleeps, the window shuts; when it reads again all goes on. */
static void a_slow_reader_loses_nothing(void)
{
	uint64_t got = 0;

	begin(1000);
	for (int i = 0; i < 10; i++) {
		link_run(&l, 3000000, has_stalled, NULL);
		CHECK_RANGE(app_readable(&server), 1, 1 << 18);
		got += app_read_pattern(&server, MEGABYTE);
		link_run(&l, 1000, NULL, NULL);
	}
	CHECK(got > MEGABYTE);
	link_run(&l, 5000000, NULL, NULL);
	while (app_read_pattern(&server, MEGABYTE) > 0)
		link_run(&l, 5000000, NULL, NULL);
	CHECK_EQ(server.rx_head, client.tx_tail);
	end();
}

static void offloads_change_nothing_for_the_peer(void)
{
	struct host_config config = host_config_default();

	config.tx_checksum = config.rx_checksum = config.tso = true;
	begin_with(&config, NULL, 1000);
	CHECK(link_transfer(&l, &client, &server, 4 * MEGABYTE, 60000000));
	CHECK(first->link.segmented > 0);
	CHECK(link_transfer(&l, &server, &client, 4 * MEGABYTE, 60000000));
	CHECK_EQ(retransmissions(first) + retransmissions(second), 0);
	end();
}

static void small_chunks_and_small_mtus_deliver_every_byte(void)
{
	struct host_config a = host_config_default(), b = link_peer_config();

	a.session.chunk_shift = b.session.chunk_shift = 12;
	a.mtu = 576;
	a.tx_multi_segs = a.external_buffers = false;
	begin_with(&a, &b, 1000);
	l.way[0].loss_per_mille = l.way[1].loss_per_mille = 5;
	CHECK(link_transfer(&l, &client, &server, MEGABYTE, 3600000000u));
	CHECK(link_transfer(&l, &server, &client, MEGABYTE, 3600000000u));
	l.way[0].loss_per_mille = l.way[1].loss_per_mille = 0;
	end();
}

static void two_workers_share_the_connections(void)
{
	struct host_config a = host_config_default(), b = link_peer_config();
	struct app_sock more_client[8], more_server[8];

	a.workers = 2; /* one queue: the other worker's packets are steered */
	begin_with(&a, &b, 1000);
	for (int i = 0; i < 8; i++) {
		struct leat_cqe cqe;
		uint16_t context;

		REQUIRE_EQ(app_socket_on(&first->app, 0, (uint16_t)(i % 2), SOCK_STREAM,
					 &more_client[i]),
			   0);
		app_credit(&second->listener, 0, 1);
		REQUIRE_EQ(app_connect(&more_client[i], PEER_ADDR, HOST_PORT), 0);
		link_run(&l, 10000, NULL, NULL);
		REQUIRE(app_take_accept(&second->app, &second->listener, &cqe, &context));
		REQUIRE(app_claim(&second->app, &cqe, context, &more_server[i]));
		CHECK_EQ(more_client[i].worker, i % 2);
		CHECK(link_transfer(&l, &more_client[i], &more_server[i], 200000, 60000000));
		CHECK(link_transfer(&l, &more_server[i], &more_client[i], 200000, 60000000));
	}
	CHECK(first->worker[1]->counter[CNT_steered_in] > 0);
	link_fini(&l);
	host_end(first);
	host_end(second);
}

static void lose_on_a_path_of(uint32_t delay_us)
{
	begin(delay_us);
	l.way[0].loss_per_mille = l.way[1].loss_per_mille = 20;
	CHECK(link_transfer(&l, &client, &server, 4 * MEGABYTE, 3600000000u));
	CHECK(host_counter(first, CNT_tcp_retransmit) > 40);
	/* A timeout because an ACK was lost is needless, a fast retransmission never is. */
	CHECK(host_counter(first, CNT_tcp_rto) <= 3);
	CHECK(host_counter(first, CNT_tcp_undo) <= host_counter(first, CNT_tcp_rto));
	l.way[0].loss_per_mille = l.way[1].loss_per_mille = 0;
	end();
}

/* RFC 8985: nearly all losses are found without a timeout. */
static void losses_are_repaired_without_timeouts(void)
{
	lose_on_a_path_of(10000);
}

static void losses_on_a_long_path_are_repaired_without_timeouts(void)
{
	lose_on_a_path_of(95000);
}

/* Records of what is in flight get coarser, then. */
static void few_flight_records_deliver_every_byte(void)
{
	for (uint32_t records = 1; records <= 16; records *= 4) {
		struct host_config a = host_config_default();
		struct host_config b = link_peer_config();

		a.worker.max_flight_records = b.worker.max_flight_records = records;
		begin_with(&a, &b, 2000);
		for (int way = 0; way < 2; way++) {
			l.way[way].loss_per_mille = 10;
			l.way[way].reorder_per_mille = 10;
			l.way[way].reorder_us = 3000;
		}
		CHECK(link_transfer(&l, &client, &server, MEGABYTE / 2, 3600000000u));
		CHECK(link_transfer(&l, &server, &client, MEGABYTE / 2, 3600000000u));
		for (int way = 0; way < 2; way++)
			l.way[way].loss_per_mille = l.way[way].reorder_per_mille = 0;
		end();
		test_cleanup();
	}
}

TEST_SUITE(tcp_transfer)
{
	TEST(a_good_link_needs_no_retransmission);
	TEST(each_kind_of_lost_segment_is_survived);
	TEST(a_lossy_link_delivers_every_byte);
	TEST(reordering_and_duplicates_deliver_every_byte);
	TEST(everything_wrong_at_once_delivers_every_byte);
	TEST(an_outage_is_survived);
	TEST(a_slow_reader_loses_nothing);
	TEST(offloads_change_nothing_for_the_peer);
	TEST(small_chunks_and_small_mtus_deliver_every_byte);
	TEST(two_workers_share_the_connections);
	TEST(losses_are_repaired_without_timeouts);
	TEST(losses_on_a_long_path_are_repaired_without_timeouts);
	TEST(few_flight_records_deliver_every_byte);
}
