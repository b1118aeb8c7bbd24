/* SPDX-License-Identifier: BSD-3-Clause */
/* The application that is asked: it sends back what it gets.  For one thread. */
#ifndef LEAT_BENCHMARKS_ECHO_H
#define LEAT_BENCHMARKS_ECHO_H

#include <stdbool.h>

#define ECHO_PORT 7

/* A listener, or with udp a socket, on every address.  False: errno. */
bool echo_open(bool udp);

/* Takes the events there are and answers; how many, 0: there was nothing to do. */
int echo_serve(void);

#endif
