/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * leatd: one worker on each lcore, a control thread beside them.
 *
 *     leatd EAL-ARGS -- --config FILE
 */
#include <errno.h>
#include <getopt.h>
#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "control.h"
#include "daemon.h"
#include "log.h"

#define SLEEP_LIMIT_US 1000000

static struct leatd leatd;

static int worker_main(void *arg)
{
	struct leatd *d = arg;
	uint16_t id = (uint16_t)rte_lcore_index(-1);
	struct worker *w = d->worker[id];

	/* In ns: the kernel's 50 us would come on top of each short sleep. */
	(void)prctl(PR_SET_TIMERSLACK, 1ul, 0, 0, 0);
	while (!d->worker_stop[id]) {
		if (worker_poll(w) == 0 && worker_should_sleep(w))
			worker_sleep(w, SLEEP_LIMIT_US);
	}
	return 0;
}

static int run(struct leatd *d, int signal_fd)
{
	int ret;

	if (!config_serves(&d->config)) {
		leatd_log(ERR,
			  "%s: [leatd] socket: none is for programs with the stack inside; "
			  "nobody could attach",
			  d->config.path);
		return -EINVAL;
	}
	ret = daemon_open(d);
	if (ret != 0)
		return ret;
	ret = daemon_start(d, signal_fd);
	if (ret == 0) {
		leatd_log(INFO, "serving applications on %s with %u worker%s, %llu MiB for each",
			  d->config.socket, d->workers, d->workers > 1 ? "s" : "",
			  (unsigned long long)(d->regions.region_bytes >> 20));
		rte_eal_mp_remote_launch(worker_main, d, CALL_MAIN);
		rte_eal_mp_wait_lcore();
		control_join(d->control);
	}
	daemon_close(d);
	return ret;
}

/* Blocked in every thread made from here on; the control thread reads them. */
static int signals_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return -1;
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void usage(FILE *out)
{
	fprintf(out, "usage: leatd EAL-ARGS -- --config FILE\n"
		     "\n"
		     "  EAL-ARGS       DPDK's: lcores (-l), devices (-a, --vdev), memory (-m,\n"
		     "                 --no-huge) ...; one worker runs on each lcore\n"
		     "  --config FILE  config/leat.conf shows every option\n"
		     "\n"
		     "example: leatd -l 0 --no-pci --no-huge --no-shconf -m 512 \\\n"
		     "               --vdev net_tap0 -- --config leat.conf\n");
}

/* What follows "--". */
static const char *parse_arguments(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char *path = NULL;
	int opt;

	optind = 1;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'h') {
			usage(stdout);
			exit(EXIT_SUCCESS);
		}
		if (opt != 'c')
			return NULL;
		path = optarg;
	}
	return optind == argc ? path : NULL;
}

int main(int argc, char **argv)
{
	const char *path;
	int split = 1, signal_fd, ret;

	while (split < argc && strcmp(argv[split], "--") != 0)
		split++;
	if (split == argc && argc == 2 && strcmp(argv[1], "--help") == 0) {
		usage(stdout);
		return EXIT_SUCCESS;
	}
	path = split < argc ? parse_arguments(argc - split, argv + split) : NULL;
	if (path == NULL) {
		usage(stderr);
		return 2;
	}
	signal_fd = signals_open();
	if (signal_fd < 0) {
		fprintf(stderr, "leatd: signals: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	ret = daemon_init(&leatd, path, split, argv);
	if (ret != 0)
		return EXIT_FAILURE;
	ret = run(&leatd, signal_fd);
	rte_eal_cleanup();
	close(signal_fd);
	if (ret == 0)
		fprintf(stderr, "leatd: stopped\n");
	return ret == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
