/* SPDX-License-Identifier: BSD-3-Clause */
/* The load generator's command line, and what it prints. */
#ifndef LEAT_BENCHMARKS_LOAD_H
#define LEAT_BENCHMARKS_LOAD_H

#include <stdio.h>

#include "generator.h"

#define LOAD_USAGE                                                                                \
	"  --server ADDR:PORT  whom to ask\n"                                                     \
	"  --from ADDR         its own first address (default 198.18.1.1); with more than\n"      \
	"                      60,000 connections the ones after it, too\n"                       \
	"  --connections N     at the same time (default 512)\n"                                  \
	"  --window N          requests without an answer at the same time (default: all)\n"      \
	"  --mode MODE         keep-alive (default), close (connect, request, response, close), " \
	"\n"                                                                                      \
	"                      server-close (the server closes first), udp\n"                     \
	"  --bytes N           of a request that comes back as it was (default 64)\n"             \
	"  --http PATH         request PATH over HTTP instead\n"                                  \
	"  --rate N            requests per second whatever comes back (default: as many as\n"    \
	"                      are answered)\n"                                                   \
	"  --seconds N         how long to measure (default 3), after --warmup N (default 1)\n"   \
	"  --rest N            seconds that bench-request goes on when nobody asks any more\n"    \
	"  --json              one JSON object instead of text\n"

struct load_options {
	struct generator_config generator;
	double rest_s;
	bool json;
};

/* Reads the options of argv, or prints what is wrong and exits. */
void load_parse(struct load_options *options, int argc, char **argv, const char *usage);

/* What the server was seen to spend; 0: not known. */
struct load_server {
	const char *name; /* of the variant */
	const char *driver;
	double cycles; /* of its core, per request */
	double busy_cycles; /* the same without iterations that found nothing or were disturbed */
	uint64_t disturbed; /* iterations so long that somebody else must have had the core */
	double idle_cycles; /* of an iteration that found nothing */
	double ceiling_cycles; /* of the driver alone, per frame in and out */
	double pause_cycles; /* the longest between the ends of two turns, or iterations */

	/* Worker and application are two processes that take turns on one core: the generator's
	 * latencies are not those of a server that has its cores. */
	bool takes_turns;
	double worker_cycles; /* their parts of busy_cycles */
	double application_cycles;
	double trip_cycles; /* of both, for a request alone, the median; 0: it was not alone ... */
	double driver_trip_cycles; /* ... and of the generator and the driver, for a frame alone */
};

void load_print(const struct load_options *options, const struct generator_result *result,
		const struct load_server *server);

#endif
