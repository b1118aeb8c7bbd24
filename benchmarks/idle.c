/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench-idle: what an idle established connection holds, by difference.  Two
 * processes, each with the stack inside an echo server and room for just the
 * connections it gets: a few, and so many more.  What the second is larger, less
 * what the load generator has for its connections, are the bytes of daemon and
 * library at one end, everything counted: pools, tables, slots, the heap.
 *
 * On ordinary pages, so that the resident size is what was touched.
 */
#include <leat/inline.h>
#include <rte_eal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ask.h"
#include "bench.h"
#include "echo.h"

#define FEW        10000u
#define MORE       100000u
#define MORE_QUICK 50000u
/* Room for what moves, whatever the number of those at rest. */
#define BUSY        1024
#define SERVER_CORE "1"
#define CLIENT_CORE "0"
#define REST_S      "2" /* until the last handshake's traces are gone */
#define MEGABYTES   "1024"

static bool is_open;
static uint64_t resident; /* while all rest; 0: not yet */

static uint64_t read_resident(void)
{
	unsigned long long kilobytes = 0;
	char line[256];
	FILE *f = fopen("/proc/self/smaps_rollup", "r");

	if (f == NULL)
		bench_fail("/proc/self/smaps_rollup cannot be read");
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "Rss: %llu kB", &kilobytes) == 1)
			break;
	fclose(f);
	return kilobytes * 1024;
}

static int loop(unsigned worker, void *arg)
{
	int found;

	(void)worker;
	(void)arg;
	if (!is_open) {
		if (!echo_open(false))
			bench_fail("the server cannot listen");
		is_open = true;
		ask_listening();
	}
	found = echo_serve();
	if (resident == 0 && ask_is_measuring())
		resident = read_resident();
	return ask_is_over() ? -1 : found;
}

/* Bytes of the whole process, without the generator's, once so many connections rest. */
static uint64_t measure(char *program, uint32_t connections)
{
	char path[64], count[16], prefix[32];
	char *argv[] = {program,
			"-l",
			SERVER_CORE,
			"--no-pci",
			"--no-huge",
			"--no-shconf",
			"-m",
			MEGABYTES,
			"--no-telemetry",
			"--log-level",
			"error",
			"--file-prefix",
			prefix,
			"--",
			"--core",
			CLIENT_CORE,
			"--connections",
			count,
			"--rate",
			"1",
			"--warmup",
			REST_S,
			"--seconds",
			"1",
			NULL};
	char *inside[] = {program, (char *)"--", (char *)"--config", path, NULL};
	const struct generator_result *result;

	snprintf(count, sizeof(count), "%u", connections);
	snprintf(prefix, sizeof(prefix), "leat-bench-%d", (int)getpid());
	ask_begin((int)(sizeof(argv) / sizeof(argv[0])) - 1, argv, "");
	ask_write_config(path, sizeof(path), "none", BUSY);
	if (leat_inline_init(4, inside) < 0)
		exit(1);
	ask_start();
	if (leat_inline_run(loop, NULL) != 0)
		exit(1);
	result = ask_result();
	if (result->established != connections || result->resets != 0)
		bench_fail("%u of %u connections were established", result->established,
			   connections);
	return resident - (uint64_t)connections * generator_connection_bytes();
}

/* The same in a process of its own. */
static uint64_t measure_apart(char *program, uint32_t connections)
{
	uint64_t *bytes = mmap(NULL, sizeof(*bytes), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = bytes != MAP_FAILED ? fork() : -1;
	int status;

	if (pid < 0)
		bench_fail("no second process");
	if (pid == 0) {
		*bytes = measure(program, connections);
		exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status != 0)
		exit(1); /* it said why */
	return *bytes;
}

int main(int argc, char **argv)
{
	struct bench_figure figure = {.benchmark = "idle connection", .variant = "by difference"};
	uint64_t few, all;

	for (int i = 1; i < argc; i++)
		if (!bench_option(argv[i]))
			bench_fail("usage: %s [--json] [--quick]", argv[0]);
	figure.connections = bench_is_quick() ? MORE_QUICK : MORE;
	few = measure_apart(argv[0], FEW);
	all = measure(argv[0], FEW + (uint32_t)figure.connections);
	figure.more[0].name = "bytes_per_connection";
	figure.more[0].value = (double)(all - few) / (double)figure.connections;
	bench_report(&figure);
	return 0;
}
