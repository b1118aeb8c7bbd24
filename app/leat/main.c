/* SPDX-License-Identifier: BSD-3-Clause */
/* leat: what a running leatd does. */
#include <err.h>
#include <getopt.h>
#include <leat/abi.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stat.h"
#include "telemetry.h"

#define SS_TRIES       5
#define INTERVAL_MIN_S 0.001
#define INTERVAL_MAX_S 86400

static void usage(FILE *out)
{
	fprintf(out,
		"usage: leat [--socket PATH] COMMAND\n"
		"\n"
		"  stat [--all]  what each worker costs; its counters that are not zero, or all;\n"
		"                why packets were dropped last\n"
		"  stat --interval SECONDS [--count N]\n"
		"                what each worker costs, again and again\n"
		"  ss            socks: queued bytes, both ends, the process that holds them\n"
		"  info          workers, ports and applications\n"
		"\n"
		"  --socket PATH the socket leatd serves; else $" LEAT_SOCKET_ENV ",\n"
		"                else " LEAT_DEFAULT_SOCKET "\n");
}

/* ---- leat ss ------------------------------------------------------------ */

static void print_socks(const struct json *socks, uint64_t worker)
{
	if (socks == NULL)
		return;
	for (const struct json *s = socks->first; s != NULL; s = s->next)
		printf("%-5s %-12s %10llu %10llu  %-22s %-22s %8llu %6u\n",
		       json_string(s, "protocol"), json_string(s, "state"),
		       (unsigned long long)json_number(s, "rx"),
		       (unsigned long long)json_number(s, "tx"), json_string(s, "local"),
		       json_string(s, "remote"), (unsigned long long)json_number(s, "pid"),
		       (unsigned)worker);
}

/* False: somebody else's listing got in between, before anything was printed. */
static bool list_worker(uint64_t worker)
{
	uint64_t next = 0;
	bool printed = false;

	do {
		const struct json *answer = telemetry_ask("/leat/ss,%u,%u", (unsigned)worker,
							  (unsigned)next);

		if (json_get(answer, "error") != NULL) {
			if (!printed)
				return false;
			errx(EXIT_FAILURE, "worker %u: %s; ask again", (unsigned)worker,
			     json_string(answer, "error"));
		}
		next = json_number(answer, "next");
		print_socks(json_get(answer, "socks"), worker);
		printed = true;
	} while (next != 0);
	return true;
}

static void command_ss(void)
{
	uint64_t workers = json_number(telemetry_ask("/leat/info"), "workers");

	printf("%-5s %-12s %10s %10s  %-22s %-22s %8s %6s\n", "proto", "state", "rx-queue",
	       "tx-queue", "local", "remote", "pid", "worker");
	for (uint64_t i = 0; i < workers; i++) {
		int tries = 0;

		while (!list_worker(i)) {
			if (++tries == SS_TRIES)
				errx(EXIT_FAILURE, "worker %u is busy; ask again", (unsigned)i);
		}
	}
}

/* ---- leat info ---------------------------------------------------------- */

static void print_members(const struct json *object, int indent)
{
	for (const struct json *m = object->first; m != NULL; m = m->next) {
		printf("%*s%s: ", indent, "", m->key);
		if (m->type == JSON_OBJECT) {
			printf("\n");
			print_members(m, indent + 2);
		} else if (m->type == JSON_STRING) {
			printf("%s\n", m->string);
		} else {
			printf("%llu\n", (unsigned long long)m->number);
		}
	}
}

/* ------------------------------------------------------------------------- */

static double parse_between(const char *text, double least, double most)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end != '\0' || !(value >= least && value <= most))
		errx(2, "%s: not a number from %g to %.0f", text, least, most);
	return value;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"socket", required_argument, NULL, 's'},   {"all", no_argument, NULL, 'a'},
		{"interval", required_argument, NULL, 'i'}, {"count", required_argument, NULL, 'n'},
		{"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
	};
	const char *path = getenv(LEAT_SOCKET_ENV), *command;
	double interval = 0;
	uint64_t count = 0;
	bool all = false;
	int opt;

	if (path == NULL || *path == '\0')
		path = LEAT_DEFAULT_SOCKET;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 's') {
			path = optarg;
		} else if (opt == 'a') {
			all = true;
		} else if (opt == 'i') {
			interval = parse_between(optarg, INTERVAL_MIN_S, INTERVAL_MAX_S);
		} else if (opt == 'n') {
			count = (uint64_t)parse_between(optarg, 1, UINT32_MAX);
		} else {
			usage(opt == 'h' ? stdout : stderr);
			return opt == 'h' ? EXIT_SUCCESS : 2;
		}
	}
	command = optind + 1 == argc ? argv[optind] : "";
	if (strcmp(command, "stat") != 0 && strcmp(command, "ss") != 0 &&
	    strcmp(command, "info") != 0) {
		usage(stderr);
		return 2;
	}
	telemetry_open(path);
	if (strcmp(command, "stat") == 0 && interval > 0)
		command_stat_interval(interval, count);
	else if (strcmp(command, "stat") == 0)
		command_stat(all);
	else if (strcmp(command, "ss") == 0)
		command_ss();
	else
		print_members(telemetry_ask("/leat/info"), 0);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
