/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_eal.h>
#include <rte_errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/test.h"

int test_eal_init(const char *program)
{
	char name[256], prefix[32];
	char *argv[] = {
		name, "--no-huge", "--no-shconf",   "--no-pci", "--no-telemetry", "-m",    "512",
		"-l", "0",         "--file-prefix", prefix,     "--log-level",    "error", NULL,
	};

	snprintf(name, sizeof(name), "%s", program);
	snprintf(prefix, sizeof(prefix), "leat-test-%d", (int)getpid());
	if (rte_eal_init((int)(sizeof(argv) / sizeof(argv[0])) - 1, argv) < 0) {
		fprintf(stderr, "%s: EAL: %s\n", program, rte_strerror(rte_errno));
		return -1;
	}
	/* EAL makes this directory although it keeps nothing in it; gone now, a crash leaves none. */
	rmdir(rte_eal_get_runtime_dir());
	return 0;
}

void test_eal_cleanup(void)
{
	rte_eal_cleanup();
}
