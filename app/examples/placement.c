/* SPDX-License-Identifier: BSD-3-Clause */
#include "placement.h"

#include <leat/abi.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

static bool inside;

void begin(int *argc, char ***argv)
{
	int used;

	if (*argc < 2 || strcmp((*argv)[1], "--inline") != 0)
		return;
	/* What follows --inline is as if it were the whole command line. */
	(*argv)[1] = (*argv)[0];
	used = leat_inline_init(*argc - 1, *argv + 1);
	if (used < 0)
		exit(1);
	*argc -= 1 + used;
	*argv += 1 + used;
	optind = 1;
	inside = true;
}

bool is_inline(void)
{
	return inside;
}

void run(leat_inline_loop *loop, void *arg)
{
	if (inside) {
		on_stop(leat_inline_stop);
		if (leat_inline_run(loop, arg) != 0)
			exit(1);
		return;
	}
	attach();
	while (loop(0, arg) >= 0)
		;
}
