/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A load generator on a port of its own: many TCP connections (or UDP flows)
 * with hardly any state each, so that what is measured is the server.  It
 * checks what comes back, sends again what was lost, and counts that.
 *
 * It belongs to one thread, which calls generator_step until it returns false.
 */
#ifndef LEAT_BENCHMARKS_GENERATOR_H
#define LEAT_BENCHMARKS_GENERATOR_H

#include <rte_byteorder.h>
#include <rte_mempool.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "histogram.h"

#define GENERATOR_PORTS         60000u /* of each address, from GENERATOR_FIRST_PORT on */
#define GENERATOR_FIRST_PORT    1024u
#define GENERATOR_REQUEST_BYTES 1400u /* at most */

enum generator_mode {
	GENERATOR_KEEP_ALIVE, /* requests over connections that stay */
	GENERATOR_CLOSE, /* connect, request, response, close */
	GENERATOR_UDP, /* datagrams */
};

struct generator_config {
	uint16_t port; /* DPDK's number of a started port */
	struct rte_mempool *pool;
	uint32_t server; /* address, host order */
	uint16_t server_port;
	uint32_t first_address; /* its own addresses, host order ... */
	uint32_t addresses; /* ... so many, 60,000 connections from each */
	uint32_t connections; /* at the same time */
	uint32_t window; /* requests waiting for an answer at the same time; 0: as connections */
	enum generator_mode mode;
	bool server_closes; /* GENERATOR_CLOSE: the server sends the first FIN */
	const void *request;
	uint32_t request_bytes;
	bool http; /* the answer is a response; else it is the request once more */
	uint64_t rate; /* requests per second whatever comes back (open loop); 0: closed loop */
	double warmup_s;
	double seconds;
};

enum generator_phase {
	GENERATOR_RESOLVING,
	GENERATOR_OPENING,
	GENERATOR_WARMING,
	GENERATOR_MEASURING,
	GENERATOR_CLOSING,
	GENERATOR_ENDED,
};

struct generator_result {
	uint64_t requests; /* answered, while measuring */
	double seconds; /* that it measured */
	uint64_t sent_again; /* segments, by the generator, over the whole run */
	uint64_t got_again; /* segments that had come before, or not in order */
	uint64_t resets; /* connections that ended before their time */
	uint64_t wrong; /* answers that were not what they should be */
	uint32_t established; /* connections, when it began to measure */
	uint32_t response_bytes;
	struct histogram latency; /* of the answered ones, in TSC cycles */
	uint64_t
		pause; /* the longest between two of its iterations, from the first SYN on, in cycles */
};

struct generator;

/* NULL with errno: EINVAL, ENOMEM. */
struct generator *generator_create(const struct generator_config *config);
void generator_free(struct generator *g);
/* What it holds for each connection. */
size_t generator_connection_bytes(void);

/* One iteration; false: the run is over. */
bool generator_step(struct generator *g);

/* From any thread. */
enum generator_phase generator_phase(const struct generator *g);

/* After the run. */
const struct generator_result *generator_result(const struct generator *g);

#endif
