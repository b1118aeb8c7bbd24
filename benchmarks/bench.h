/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the benchmarks share: a program asks one question and prints one line
 * for each figure, with --json one object a line.  A leaf of the stack is
 * measured in rounds like this:
 *
 *     bench_begin(argc, argv, 256);
 *     figure.cycles_per_op = bench_measure(&(struct bench_work){.run = find, .ops = 1000});
 *     bench_report(&figure);
 *     return bench_end();
 *
 * Cycles are the TSC's, which runs at the same rate whatever the core does.  A
 * figure is the median over rounds: rounds in which the machine ran somebody
 * else do not count while they are fewer than half.
 */
#ifndef LEAT_BENCH_H
#define LEAT_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#define BENCH_MORE 8

/* A measured value that only some benchmarks have. */
struct bench_more {
	const char *name;
	double value;
};

/* One figure; what is 0 or NULL does not apply and is not printed. */
struct bench_figure {
	const char *benchmark; /* the question: "table" */
	const char *variant; /* "find hit" */
	double cycles_per_op;
	double ops_per_s; /* 0: what one core does that spends cycles_per_op */
	uint32_t burst; /* operations, or packets, taken at once */
	uint64_t connections; /* or entries, timers, ... */
	const char *driver; /* of the port */
	double ceiling_cycles_per_op; /* what the driver alone takes for it, receive and transmit */
	struct bench_more more[BENCH_MORE];
};

struct bench_work {
	void (*prepare)(void *arg); /* before each round, not measured; NULL: nothing */
	void (*run)(void *arg); /* one round */
	void *arg;
	uint64_t ops; /* that a round does */
};

/* Is it one of --json, --quick?  For programs with options of their own. */
bool bench_option(const char *argument);
/* Fewer rounds, rougher figures: --quick. */
bool bench_is_quick(void);

/* Starts EAL with so much memory and no devices, on huge pages if they are wanted and enough are
 * free.  Exits when it cannot. */
void bench_eal(char *program, unsigned megabytes, bool huge_pages);
/* Takes the command line, which may only have bench_option's, and starts EAL. */
void bench_begin(int argc, char **argv, unsigned megabytes);
/* The exit status. */
int bench_end(void);
/* Says why there are no figures, and exits. */
void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

uint64_t bench_tsc(void);
uint64_t bench_hz(void);

/* Cycles per operation, the median over rounds. */
double bench_measure(const struct bench_work *work);
/* Of n values, which are sorted. */
double bench_median(double *values, unsigned n);

void bench_report(const struct bench_figure *figure);

#endif
