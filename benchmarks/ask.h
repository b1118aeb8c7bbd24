/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The load generator on a core of its own, in the server's process: it asks
 * over net_ring (mbufs by pointer), after the driver was asked alone.
 *
 *     ask_begin(argc, argv, usage);
 *     ask_driver(512, &driver);
 *     ask_write_config(path, sizeof(path), "none", connections);
 *     ask_start();
 *     ... the server starts, and listens on ECHO_PORT ...
 *     ask_listening();
 *     while (!ask_is_over())
 *             ...
 *     result = ask_result();
 */
#ifndef LEAT_BENCHMARKS_ASK_H
#define LEAT_BENCHMARKS_ASK_H

#include "load.h"

/* Starts EAL with the arguments before "--", reads those after it (--core N first, then load.h's)
 * and makes the ports.  Exits when something is wrong, like all here. */
void ask_begin(int argc, char **argv, const char *usage);
const struct load_options *ask_options(void);

void ask_fail(const char *what) __attribute__((noreturn));

struct ask_driver {
	double cycles; /* of the server's core, a frame in and out */
	uint64_t trip_cycles; /* from a frame's departure to its return, the median */
};
/* Frames that come back as they were, so many at a time. */
void ask_driver(uint32_t connections, struct ask_driver *driver);

/* leatd's configuration, as the load needs it: room for its connections, of which so many are busy at
 * a time, and for nothing more.  The file is in memory and has no name but path. */
void ask_write_config(char *path, size_t path_bytes, const char *socket, uint32_t busy);

/* The generator begins once the server listens. */
void ask_start(void);
void ask_listening(void);
bool ask_is_measuring(void);
bool ask_is_over(void);
/* Takes what comes for the generator when it is over. */
void ask_drain(void);
/* Did a turn of the server's take so long that the machine must have run somebody else meanwhile?
 * Then it does not count as busy.  Such turns are few, and what they did is little. */
bool ask_was_disturbed(uint64_t cycles);
/* When it is over. */
const struct generator_result *ask_result(void);

#endif
