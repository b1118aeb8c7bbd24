/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench-request: an echo server with the stack inside on one core, asked by
 * the load generator on another, over net_ring (mbufs by pointer).  First the
 * driver alone: frames that come back as they were.
 */
#include <leat/inline.h>
#include <rte_cycles.h>
#include <stdlib.h>

#include "ask.h"
#include "echo.h"

#define DRIVER_CONNECTIONS 512

static const char usage[] =
	"usage: bench-request EAL-ARGS -- --core N OPTIONS\n"
	"An echo server on EAL's main core (one is enough), the generator on core N.\n";

static struct {
	bool open;
	uint64_t over; /* the counter when the generator had gone; 0: it has not */
	uint64_t last; /* the counter when the last turn ended */
	uint64_t began; /* measuring; 0: not yet */
	uint64_t cycles;
	uint64_t busy;
	uint64_t pause; /* the longest turn since it is open */
	uint64_t disturbed; /* turns */
	struct histogram
		idle; /* turns that found nothing; their median, as some were interrupted */
} bench;

static void open_server(void)
{
	if (!echo_open(ask_options()->generator.mode == GENERATOR_UDP))
		ask_fail("the server cannot listen");
	bench.open = true;
	ask_listening();
}

/* Cycles from the end of one turn to the end of the next: the worker's iteration lies between. */
static void account(bool found)
{
	uint64_t now = rte_rdtsc(), cycles = now - bench.last;

	if (bench.last != 0)
		bench.pause = RTE_MAX(bench.pause, cycles);
	if (ask_is_measuring()) {
		if (bench.began != 0)
			bench.cycles = now - bench.began;
		else
			bench.began = now;
		if (ask_was_disturbed(cycles))
			bench.disturbed++;
		else if (found)
			bench.busy += cycles;
		else
			histogram_add(&bench.idle, cycles);
	}
	bench.last = now;
}

/* Nobody asks, and did not for --rest. */
static bool is_over(void)
{
	uint64_t now = rte_rdtsc();

	if (!ask_is_over())
		return false;
	if (bench.over == 0)
		bench.over = now;
	ask_drain();
	return (double)(now - bench.over) >= ask_options()->rest_s * (double)rte_get_tsc_hz();
}

static int loop(unsigned worker, void *arg)
{
	int found;

	(void)worker;
	(void)arg;
	if (!bench.open)
		open_server();
	found = echo_serve();
	account(found > 0);
	return is_over() ? -1 : found;
}

int main(int argc, char **argv)
{
	struct load_server server = {.name = "inline echo", .driver = "net_ring"};
	const struct generator_result *result;
	struct ask_driver driver;
	char path[64];
	char *inside[] = {argv[0], (char *)"--", (char *)"--config", path, NULL};

	ask_begin(argc, argv, usage);
	ask_driver(DRIVER_CONNECTIONS, &driver);
	ask_write_config(path, sizeof(path), "none", ask_options()->generator.connections);
	if (leat_inline_init(4, inside) < 0)
		exit(1);
	ask_start();
	if (leat_inline_run(loop, NULL) != 0)
		exit(1);
	result = ask_result();
	if (result->requests > 0) {
		server.cycles = (double)bench.cycles / (double)result->requests;
		server.busy_cycles = (double)bench.busy / (double)result->requests;
	}
	server.idle_cycles = (double)histogram_quantile(&bench.idle, 0.5);
	server.disturbed = bench.disturbed;
	server.ceiling_cycles = driver.cycles;
	server.pause_cycles = (double)bench.pause;
	load_print(ask_options(), result, &server);
	return result->requests > 0 ? 0 : 1;
}
