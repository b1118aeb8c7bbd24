/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What does it cost to find the sock of a packet?  sock_table alone, from the
 * few entries that caches hold to a million that they do not; flows are looked
 * up in an order without any pattern, as packets of many clients come.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "lib/random.h"
#include "sock/sock_table.h"

#define OPS        4096u /* lookups of a round */
#define CHURN      1024u /* entries added or deleted by a round */
#define OTHERS     16384u /* looked up in between */
#define NEWCOMERS  50000000u /* flows that are drawn from to add */
#define MEGABYTES  1024u
#define PORTS      50000u
#define FIRST_PORT 1024u
#define SERVER     0xc6120001u
#define CLIENTS    0x0a000000u

static const struct siphash_key key = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}};
static struct random rnd = {{1, 2, 3, 4}};

static struct sock_table *table;
static uint32_t entries;
static uint32_t burst;
static struct flow flows[OPS]; /* that a round looks up, adds or deletes */
static sock_entry found[SOCK_TABLE_BURST];

static struct flow flow_of(uint32_t n)
{
	return (struct flow){
		.local = inet_addr_v4(htonl(SERVER)),
		.remote = inet_addr_v4(htonl(CLIENTS + n / PORTS)),
		.local_port = htons(80),
		.remote_port = htons((uint16_t)(FIRST_PORT + n % PORTS)),
		.family = AF_INET,
		.protocol = IPPROTO_TCP,
	};
}

static sock_entry entry_of(uint32_t n)
{
	return (sock_entry)(n + 1) << 6;
}

/* ---- looking up ------------------------------------------------------------ */

static void draw_hits(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < OPS; i++)
		flows[i] = flow_of((uint32_t)(random_next(&rnd) % entries));
}

static void draw_misses(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < OPS; i++)
		flows[i] = flow_of(entries + (uint32_t)(random_next(&rnd) % entries));
}

static void find(void *arg)
{
	const struct flow *at[SOCK_TABLE_BURST];

	(void)arg;
	for (uint32_t i = 0; i < OPS; i += burst) {
		for (uint32_t k = 0; k < burst; k++)
			at[k] = &flows[i + k];
		sock_table_find_burst(table, at, burst, found);
	}
}

/* ---- changing -------------------------------------------------------------- */

/* Looks others up, until the caches hold those. */
static void forget(void)
{
	sock_entry e = 0;

	for (uint32_t i = 0; i < OTHERS; i++) {
		struct flow f = flow_of((uint32_t)(random_next(&rnd) % entries));

		e |= sock_table_find(table, &f);
	}
	if (e == 0)
		bench_fail("the entries are gone");
}

static void add(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < CHURN; i++)
		(void)sock_table_add(table, &flows[i], entry_of(entries + i));
}

static void delete (void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < CHURN; i++)
		sock_table_delete(table, &flows[i]);
}

static void prepare_add(void *arg)
{
	delete (arg);
	for (uint32_t i = 0; i < CHURN; i++)
		flows[i] = flow_of(entries + (uint32_t)(random_next(&rnd) % NEWCOMERS));
	forget();
}

static void prepare_delete(void *arg)
{
	prepare_add(arg);
	add(arg);
	forget();
}

/* ---- all --------------------------------------------------------------------- */

static void report(const char *variant, const struct bench_work *work)
{
	bench_report(&(struct bench_figure){
		.benchmark = "table",
		.variant = variant,
		.cycles_per_op = bench_measure(work),
		.burst = burst,
		.connections = entries,
	});
}

static void measure_finding(void)
{
	static const uint32_t bursts[] = {1, 8, 32};

	for (unsigned i = 0; i < sizeof(bursts) / sizeof(bursts[0]); i++) {
		burst = bursts[i];
		report("find hit", &(struct bench_work){draw_hits, find, NULL, OPS});
		report("find miss", &(struct bench_work){draw_misses, find, NULL, OPS});
	}
}

static void measure_changing(void)
{
	burst = 1;
	report("add", &(struct bench_work){prepare_add, add, NULL, CHURN});
	report("delete", &(struct bench_work){prepare_delete, delete, NULL, CHURN});
}

static void measure(uint32_t count)
{
	entries = count;
	table = sock_table_create("bench", entries + CHURN, &key, -1);
	if (table == NULL)
		bench_fail("no memory for a table of %u", entries);
	for (uint32_t i = 0; i < entries; i++) {
		struct flow f = flow_of(i);

		if (sock_table_add(table, &f, entry_of(i)) != 0)
			bench_fail("the table is full with %u", i);
	}
	measure_finding();
	measure_changing();
	sock_table_free(table);
}

int main(int argc, char **argv)
{
	bench_begin(argc, argv, MEGABYTES);
	measure(64);
	measure(10000);
	measure(1000000);
	return bench_end();
}
