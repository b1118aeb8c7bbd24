/* SPDX-License-Identifier: BSD-3-Clause */
#include "stat.h"

#include <leat/abi.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/counters.h"
#include "rates.h"
#include "telemetry.h"

#define ROWS_PER_HEADER 20

/* ---- what it costs ------------------------------------------------------- */

static void print_rates_header(void)
{
	printf("worker  busy%%  idle%% sleep%%     polls/s      rx/s /burst cycles"
	       "      tx/s /burst cycles  recv%%  subm%% timer%%  outp%%  publ%%  xmit%% "
	       "other%%\n");
}

static void print_rates(unsigned worker, const struct rates *r)
{
	printf("%6u %6.1f %6.1f %6.1f %11.0f %9.0f %6.1f %6.0f %9.0f %6.1f %6.0f", worker,
	       100 * r->busy, 100 * r->idle, 100 * r->asleep, r->polls, r->rx_packets,
	       r->rx_per_burst, r->rx_cycles, r->tx_packets, r->tx_per_burst, r->tx_cycles);
	for (int i = STAGE_RECEIVE; i <= STAGE_TRANSMIT; i++)
		printf(" %6.1f", 100 * r->stage[i]);
	printf(" %6.1f\n", 100 * (r->stage[STAGE_STEERED] + r->stage[STAGE_MESSAGES]));
}

static unsigned ask_workers(void)
{
	uint64_t workers = json_number(telemetry_ask("/leat/info"), "workers");

	return workers < LEAT_MAX_WORKERS ? (unsigned)workers : LEAT_MAX_WORKERS;
}

/* One row for each worker, of what happened since last, which becomes what is now. */
static void print_interval(struct sample *last, unsigned workers)
{
	for (unsigned i = 0; i < workers; i++) {
		struct sample now;
		struct rates rates;

		sample_read(&now, telemetry_ask("/leat/stat,%u", i));
		rates_between(&last[i], &now, &rates);
		print_rates(i, &rates);
		last[i] = now;
	}
	fflush(stdout);
}

void command_stat_interval(double seconds, uint64_t count)
{
	const struct timespec pause = {
		.tv_sec = (time_t)seconds,
		.tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
	struct sample last[LEAT_MAX_WORKERS];
	unsigned workers = ask_workers(), rows = 0;

	for (unsigned i = 0; i < workers; i++)
		sample_read(&last[i], telemetry_ask("/leat/stat,%u", i));
	for (uint64_t i = 0; count == 0 || i < count; i++) {
		nanosleep(&pause, NULL);
		if (rows == 0)
			print_rates_header();
		print_interval(last, workers);
		rows = rows + workers < ROWS_PER_HEADER ? rows + workers : 0;
	}
}

/* ---- counters ------------------------------------------------------------ */

/* What this build knows of a counter; CNT_MAX: leatd is of another version. */
static enum counter find_counter(const char *name)
{
	int i = 0;

	while (i < CNT_MAX && strcmp(counter_name(i), name) != 0)
		i++;
	return i;
}

static const char *text_of(const char *name, enum counter known)
{
	if (known != CNT_MAX)
		return counter_text(known);
	if (strcmp(name, "cycles") == 0)
		return "cycles of the TSC since the worker was created";
	if (strcmp(name, "cycles_per_second") == 0)
		return "the frequency of the TSC";
	return "";
}

static void print_counters(const struct json *counters, bool drops, bool all)
{
	bool titled = false;

	for (const struct json *c = counters->first; c != NULL; c = c->next) {
		enum counter known = find_counter(c->key);

		if ((c->number == 0 && !all) ||
		    drops != (known != CNT_MAX && counter_is_drop(known)))
			continue;
		if (drops && !titled)
			printf("  dropped packets:\n");
		titled = true;
		printf("  %-24s %20llu  %s\n", c->key, (unsigned long long)c->number,
		       text_of(c->key, known));
	}
}

void command_stat(bool all)
{
	struct sample start[LEAT_MAX_WORKERS] = {{.cycles = 0}};
	unsigned workers = ask_workers();

	print_rates_header();
	print_interval(start, workers);
	for (unsigned i = 0; i < workers; i++) {
		const struct json *counters = telemetry_ask("/leat/stat,%u", i);

		printf("worker %u\n", i);
		print_counters(counters, false, all);
		print_counters(counters, true, all);
	}
}
