/* SPDX-License-Identifier: BSD-3-Clause */
/* leat stat */
#ifndef LEAT_STAT_H
#define LEAT_STAT_H

#include <stdbool.h>
#include <stdint.h>

/* Each worker's whole life: what it costs, then its counters, those that are zero only with all. */
void command_stat(bool all);

/* What each worker costs in intervals of so many seconds: count of them, 0: until interrupted. */
void command_stat_interval(double seconds, uint64_t count);

#endif
