/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench.h"

#include <errno.h>
#include <inttypes.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WARM_UP_ROUNDS 3
#define ROUNDS         31
#define ROUNDS_QUICK   7

static bool json;
static bool quick;

/* ---- the program ---------------------------------------------------------- */

bool bench_option(const char *argument)
{
	if (strcmp(argument, "--json") == 0)
		json = true;
	else if (strcmp(argument, "--quick") == 0)
		quick = true;
	else
		return false;
	return true;
}

bool bench_is_quick(void)
{
	return quick;
}

void bench_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

/* Megabytes on free huge pages of 2 MiB. */
static unsigned long huge_megabytes(void)
{
	FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r");
	unsigned long pages = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%lu", &pages) != 1) /* NOLINT(cert-err34-c) */
		pages = 0;
	fclose(f);
	return pages * 2;
}

void bench_eal(char *program, unsigned megabytes, bool huge_pages)
{
	bool huge = huge_pages && huge_megabytes() >= megabytes;
	char memory[16], prefix[32];
	char *argv[] = {
		program,       "--no-pci",    "--no-telemetry", huge ? "--in-memory" : "--no-huge",
		"--no-shconf", "-m",          memory,           "-l",
		"0",           "--log-level", "error",          "--file-prefix",
		prefix,        NULL,
	};
	cpu_set_t cpus;

	snprintf(memory, sizeof(memory), "%u", megabytes);
	snprintf(prefix, sizeof(prefix), "leat-bench-%d", (int)getpid());
	sched_getaffinity(0, sizeof(cpus), &cpus);
	if (rte_eal_init((int)(sizeof(argv) / sizeof(argv[0])) - 1, argv) < 0)
		bench_fail("EAL: %s", rte_strerror(rte_errno));
	/* EAL pins the thread to a core; whoever starts the program decides that. */
	sched_setaffinity(0, sizeof(cpus), &cpus);
	rmdir(rte_eal_get_runtime_dir());
}

void bench_begin(int argc, char **argv, unsigned megabytes)
{
	for (int i = 1; i < argc; i++)
		if (!bench_option(argv[i]))
			bench_fail("usage: %s [--json] [--quick]", argv[0]);
	bench_eal(argv[0], megabytes, true);
}

int bench_end(void)
{
	rte_eal_cleanup();
	return fflush(stdout) == 0 ? 0 : 1;
}

/* ---- measuring ------------------------------------------------------------ */

uint64_t bench_tsc(void)
{
	return rte_rdtsc_precise();
}

uint64_t bench_hz(void)
{
	return rte_get_tsc_hz();
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_median(double *values, unsigned n)
{
	qsort(values, n, sizeof(values[0]), compare);
	return n % 2 != 0 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static double measure_round(const struct bench_work *work)
{
	uint64_t before;

	if (work->prepare != NULL)
		work->prepare(work->arg);
	before = bench_tsc();
	work->run(work->arg);
	return (double)(bench_tsc() - before) / (double)work->ops;
}

double bench_measure(const struct bench_work *work)
{
	unsigned rounds = quick ? ROUNDS_QUICK : ROUNDS;
	double cycles[ROUNDS] = {0};

	for (unsigned i = 0; i < WARM_UP_ROUNDS; i++)
		(void)measure_round(work);
	for (unsigned i = 0; i < rounds; i++)
		cycles[i] = measure_round(work);
	return bench_median(cycles, rounds);
}

/* ---- reporting ------------------------------------------------------------ */

static void report_json(const struct bench_figure *f, double ops_per_s)
{
	printf("{\"benchmark\":\"%s\",\"variant\":\"%s\"", f->benchmark, f->variant);
	if (f->cycles_per_op > 0)
		printf(",\"cycles_per_op\":%.1f", f->cycles_per_op);
	if (ops_per_s > 0)
		printf(",\"ops_per_s\":%.0f", ops_per_s);
	printf(",\"clock_hz\":%" PRIu64, bench_hz());
	if (f->burst != 0)
		printf(",\"burst\":%" PRIu32, f->burst);
	if (f->connections != 0)
		printf(",\"connections\":%" PRIu64, f->connections);
	if (f->driver != NULL)
		printf(",\"driver\":\"%s\"", f->driver);
	if (f->ceiling_cycles_per_op > 0)
		printf(",\"ceiling_cycles_per_op\":%.1f", f->ceiling_cycles_per_op);
	for (unsigned i = 0; i < BENCH_MORE && f->more[i].name != NULL; i++)
		printf(",\"%s\":%.10g", f->more[i].name, f->more[i].value);
	printf("}\n");
}

static void report_text(const struct bench_figure *f, double ops_per_s)
{
	printf("%-10s %-24s", f->benchmark, f->variant);
	if (f->cycles_per_op > 0)
		printf(" %9.1f cycles", f->cycles_per_op);
	if (ops_per_s > 0)
		printf(" %9.3f M/s", ops_per_s / 1e6);
	if (f->burst != 0)
		printf("  burst %" PRIu32, f->burst);
	if (f->connections != 0)
		printf("  of %" PRIu64, f->connections);
	if (f->driver != NULL)
		printf("  %s", f->driver);
	if (f->ceiling_cycles_per_op > 0)
		printf(" (ceiling %.1f cycles)", f->ceiling_cycles_per_op);
	for (unsigned i = 0; i < BENCH_MORE && f->more[i].name != NULL; i++)
		printf("  %s %.10g", f->more[i].name, f->more[i].value);
	putchar('\n');
}

void bench_report(const struct bench_figure *f)
{
	double ops_per_s = f->ops_per_s;

	if (ops_per_s <= 0 && f->cycles_per_op > 0)
		ops_per_s = (double)bench_hz() / f->cycles_per_op;
	if (json)
		report_json(f, ops_per_s);
	else
		report_text(f, ops_per_s);
	fflush(stdout);
}
