/* SPDX-License-Identifier: BSD-3-Clause */
/* How well TCP does over bad paths, in virtual time: each run is the same. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "support/link.h"
#include "tcp/tcp_sock.h"

#define RATE_BPS        20000000ull
#define SHARED_RATE_BPS 10000000ull
#define SECONDS         5
#define QUEUE_MIN       30000u
#define REORDER_US      3000 /* a reordered frame is late by so much */

/* The sanitizers make it ten times slower and see the same code in a part of the cases. */
#ifdef __SANITIZE_ADDRESS__
#define CASE_STEP 7
#else
#define CASE_STEP 1
#endif

struct path_case {
	const char *congestion;
	uint32_t rtt_ms;
	uint32_t loss, reorder, duplicate, corrupt; /* per mille */
	uint32_t rcvbuf_kib;
	uint32_t kbps;
};

static struct host *first, *second;
static struct link l;
static struct app_sock client, server;

static void set_path(uint64_t rate_bps, uint32_t rtt_ms)
{
	for (int i = 0; i < 2; i++) {
		uint64_t round_trip_bytes = rate_bps / 8 * rtt_ms / 1000;

		l.way[i].rate_bps = rate_bps;
		l.way[i].queue_bytes = (uint32_t)RTE_MAX(round_trip_bytes, (uint64_t)QUEUE_MIN);
	}
}

static struct host_config config_of(struct host_config c)
{
	const struct worker_config defaults = WORKER_CONFIG_DEFAULT;

	c.session.chunks_per_worker = 4096;
	c.check_seldom = true;
	c.worker.mbufs = 8192;
	c.worker.max_flight_records = 16384;
	c.worker.rcvbuf_bytes = defaults.rcvbuf_bytes;
	c.worker.sndbuf_bytes = c.session.sndbuf_bytes = defaults.sndbuf_bytes;
	c.worker.rcvbuf_max_bytes = defaults.rcvbuf_max_bytes;
	c.worker.sndbuf_max_bytes = defaults.sndbuf_max_bytes;
	return c;
}

static void begin(const char *congestion, uint64_t rate_bps, uint32_t rtt_ms)
{
	struct host_config a = config_of(host_config_default());
	struct host_config b = config_of(link_peer_config());

	clock_reset(); /* what was run before makes no difference */
	first = host_new(&a);
	second = host_new(&b);
	link_init(&l, first, second, rtt_ms * 500);
	set_path(rate_bps, rtt_ms);
	link_connect(&l, &client, &server);
	CHECK_EQ(tcp_set_congestion(first->w, tcp_sk(host_sock(&client)),
				    congestion_find(congestion)),
		 0);
}

static void clear_path(void)
{
	for (int i = 0; i < 2; i++) {
		l.way[i].loss_per_mille = l.way[i].reorder_per_mille = 0;
		l.way[i].duplicate_per_mille = l.way[i].corrupt_per_mille = 0;
	}
}

/* The rest is read, then both close. */
static void end(void)
{
	clear_path();
	link_transfer(&l, &client, &server, 0, 600000000);
	link_close(&l, &client, &server);
}

/* kb/s that arrive in so many seconds; every byte is compared. */
static uint32_t goodput_kbps(uint32_t seconds)
{
	uint64_t before = server.rx_head;

	link_transfer(&l, &client, &server, UINT64_C(1) << 40, seconds * 1000000ull);
	return (uint32_t)((server.rx_head - before) * 8 / 1000 / seconds);
}

static uint32_t run_case(const struct path_case *c)
{
	int buffer = (int)c->rcvbuf_kib * 1024;
	uint32_t kbps;

	begin(c->congestion, RATE_BPS, c->rtt_ms);
	if (buffer != 0)
		CHECK_EQ(app_setsockopt(&server, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer)),
			 0);
	for (int i = 0; i < 2; i++) {
		l.way[i].loss_per_mille = c->loss;
		l.way[i].reorder_per_mille = c->reorder;
		l.way[i].reorder_us = REORDER_US;
		l.way[i].duplicate_per_mille = c->duplicate;
		l.way[i].corrupt_per_mille = c->corrupt;
	}
	kbps = goodput_kbps(SECONDS);
	end();
	return kbps;
}

#define GOODPUT(congestion, rtt, loss, reorder, duplicate, corrupt, rcvbuf, kbps) \
	{#congestion, rtt, loss, reorder, duplicate, corrupt, rcvbuf, kbps},
static const struct path_case cases[] = {
#include "goodput.def"
};
#undef GOODPUT

static void goodput_is_what_it_was(void)
{
	bool print = getenv("GOODPUT_PRINT") != NULL;

	for (size_t i = 0; i < RTE_DIM(cases); i += CASE_STEP) {
		const struct path_case *c = &cases[i];
		uint32_t kbps = run_case(c);

		if (print)
			printf("GOODPUT(%s, %u, %u, %u, %u, %u, %u, %u)\n", c->congestion,
			       c->rtt_ms, c->loss, c->reorder, c->duplicate, c->corrupt,
			       c->rcvbuf_kib, kbps);
		else if (kbps != c->kbps)
			test_fail(__FILE__, __LINE__,
				  "%s, %u ms, loss %u, reordering %u, duplication %u, corruption "
				  "%u, buffer %u: %u kb/s, it was %u",
				  c->congestion, c->rtt_ms, c->loss, c->reorder, c->duplicate,
				  c->corrupt, c->rcvbuf_kib, kbps, c->kbps);
	}
}

/* Default settings, 12.5 MB in flight: the buffers have to grow. */
static void a_long_fat_path_is_filled(void)
{
	begin("cubic", 1000000000, 100);
	goodput_kbps(2);
	CHECK_RANGE(goodput_kbps(1), 900000, 1000000);
	end();
}

struct pair {
	struct app_sock *from[2], *to[2];
};

static bool both_write_and_read(void *arg)
{
	struct pair *p = arg;

	for (int i = 0; i < 2; i++) {
		app_write_pattern(p->from[i], UINT32_MAX);
		app_read_pattern(p->to[i], UINT32_MAX);
	}
	return false;
}

/* The second one comes some seconds late; in the twenty seconds after it has settled neither has
 * less than a third of what passes. */
static void two_flows_share(const char *congestion)
{
	struct app_sock second_client, second_server;
	struct pair p = {{&client, &second_client}, {&server, &second_server}};
	uint64_t before[2], got[2];

	begin(congestion, SHARED_RATE_BPS, 40);
	goodput_kbps(3);
	link_connect(&l, &second_client, &second_server);
	CHECK_EQ(tcp_set_congestion(first->w, tcp_sk(host_sock(&second_client)),
				    congestion_find(congestion)),
		 0);
	link_run(&l, 15000000, both_write_and_read, &p);
	for (int i = 0; i < 2; i++)
		before[i] = p.to[i]->rx_head;
	link_run(&l, 20000000, both_write_and_read, &p);
	for (int i = 0; i < 2; i++)
		got[i] = p.to[i]->rx_head - before[i];
	CHECK(got[0] + got[1] > SHARED_RATE_BPS / 8 * 20 * 9 / 10);
	CHECK_RANGE(got[0] * 100 / (got[0] + got[1]), 33, 67);
	CHECK_EQ(app_close(&second_client), 0);
	CHECK_EQ(app_close(&second_server), 0);
	end();
}

static void two_cubic_flows_share_fairly(void)
{
	two_flows_share("cubic");
}

static void two_newreno_flows_share_fairly(void)
{
	two_flows_share("newreno");
}

static void two_bbr_flows_share_fairly(void)
{
	two_flows_share("bbr");
}

TEST_SUITE(tcp_goodput)
{
	TEST(goodput_is_what_it_was);
	TEST(a_long_fat_path_is_filled);
	TEST(two_cubic_flows_share_fairly);
	if (CASE_STEP == 1) {
		TEST(two_newreno_flows_share_fairly);
		TEST(two_bbr_flows_share_fairly);
	}
}
