/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_eal.h>
#include <rte_errno.h>
#include <sched.h>
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
	cpu_set_t cpus;

	snprintf(name, sizeof(name), "%s", program);
	snprintf(prefix, sizeof(prefix), "leat-test-%d", (int)getpid());
	sched_getaffinity(0, sizeof(cpus), &cpus);
	if (rte_eal_init((int)(sizeof(argv) / sizeof(argv[0])) - 1, argv) < 0) {
		fprintf(stderr, "%s: EAL: %s\n", program, rte_strerror(rte_errno));
		return -1;
	}
	/* EAL pins the thread to a core; several test programs may run at a time. */
	sched_setaffinity(0, sizeof(cpus), &cpus);
	/* EAL makes this directory although it keeps nothing in it; gone now, a crash leaves none. */
	rmdir(rte_eal_get_runtime_dir());
	return 0;
}

void test_eal_cleanup(void)
{
	rte_eal_cleanup();
}
