/* SPDX-License-Identifier: BSD-3-Clause */
/* The counters of a worker: one X-macro list, counters.def, names each and says what it counts. */
#ifndef LEAT_LIB_COUNTERS_H
#define LEAT_LIB_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

enum counter {
#define COUNTER(name, text) CNT_##name,
#include "lib/counters.def"
	CNT_MAX
};

/* The counter's name as `leat stat` shows it, what it counts, and whether it counts dead packets. */
const char *counter_name(enum counter c);
const char *counter_text(enum counter c);
bool counter_is_drop(enum counter c);

#endif
