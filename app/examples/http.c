/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * leat-http: static files over HTTP/1.1, many connections on one thread (with
 * the stack inside: on each lcore), through completions and in-place buffers
 * (<leat/cq.h>).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common.h"
#include "http_server.h"
#include "placement.h"

static const char usage[] =
	"usage: leat-http --listen ADDR:PORT --root DIR [--timeout SECONDS] [--socket PATH]\n"
	"Serves the files beneath DIR over HTTP/1.1, through leatd.\n"
	"  --listen ADDR:PORT  where to listen (0.0.0.0 for any address)\n"
	"  --root DIR          what to serve; nothing outside DIR can be reached\n"
	"  --timeout SECONDS   close a connection silent for so long (default 30)\n"
	"  --socket PATH       leatd's socket (default: LEAT_SOCKET, or the built-in "
	"path)\n" INLINE_USAGE;

/* What to serve, and who does it on each worker. */
struct service {
	const char *listen_at;
	const char *root;
	uint32_t timeout_s;
	struct server *server[LEAT_MAX_WORKERS];
};

static struct server *serve(const struct service *service, unsigned worker)
{
	struct sockaddr_in address = parse_endpoint(service->listen_at);
	struct server *s = server_open(&address, service->root, service->timeout_s, worker);

	printf("leat-http: serving %s at %s\n", service->root, service->listen_at);
	fflush(stdout);
	return s;
}

static int loop(unsigned worker, void *arg)
{
	struct service *service = arg;

	if (service->server[worker] == NULL)
		service->server[worker] = serve(service, worker);
	if (!stopped)
		return server_turn(service->server[worker]);
	server_close(service->server[worker]);
	return -1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"listen", required_argument, NULL, 'l'},
		{"root", required_argument, NULL, 'r'},
		{"timeout", required_argument, NULL, 't'},
		COMMON_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	static struct service service = {.timeout_s = 30};
	unsigned long seconds;
	int option;

	begin(&argc, &argv);
	while ((option = next_option(argc, argv, "h", options, usage)) != -1) {
		switch (option) {
		case 'l':
			service.listen_at = optarg;
			break;
		case 'r':
			service.root = optarg;
			break;
		case 't':
			seconds = strtoul(optarg, NULL, 10);
			if (seconds == 0 || seconds > 86400)
				die("--timeout %s: between 1 and 86400 seconds", optarg);
			service.timeout_s = (uint32_t)seconds;
			break;
		}
	}
	if (service.listen_at == NULL || service.root == NULL || optind != argc)
		usage_error(usage);
	stop_on_signals();
	run(loop, &service);
	return 0;
}
