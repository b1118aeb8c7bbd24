/* SPDX-License-Identifier: BSD-3-Clause */
/* Virtual time, one clock for all hosts of a test; it moves only when a test moves it.  And the
 * random source of the hosts, the same in each run. */
#ifndef LEAT_SUPPORT_CLOCK_H
#define LEAT_SUPPORT_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define CLOCK_START_US 1000000000u

extern uint64_t clock_us;

/* For worker_env. */
uint64_t clock_read(void *arg);
void clock_random(void *arg, void *out, size_t length);

/* splitmix64: state may be anything. */
uint64_t clock_random_next(uint64_t *state);

/* Back to CLOCK_START_US and to the first random number; the runner does it after each case. */
void clock_reset(void);

#endif
