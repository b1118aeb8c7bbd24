/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a server's stack is: in leatd, or inside the program. */
#ifndef LEAT_EXAMPLES_PLACEMENT_H
#define LEAT_EXAMPLES_PLACEMENT_H

#include <leat/inline.h>
#include <stdbool.h>

/* For usage texts. */
#define INLINE_USAGE                                                  \
	"Without leatd, with the stack inside, once on each lcore:\n" \
	"  PROGRAM --inline EAL-ARGS -- --config FILE OPTIONS\n"      \
	"  EAL-ARGS are DPDK's (-l, -a, --vdev ...), FILE is a configuration as leatd's\n"

/* When the first argument is --inline, starts the stack in this program and leaves the options that
 * follow. */
void begin(int *argc, char ***argv);
bool is_inline(void);
/* Calls loop until it returns a negative value: with worker 0 and leatd's sockets, or inline on
 * each worker. */
void run(leat_inline_loop *loop, void *arg);

#endif
