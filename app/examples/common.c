/* SPDX-License-Identifier: BSD-3-Clause */
#include "common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <leat/leat.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BACKLOG 4096

static void complain(int error, const char *format, va_list arguments)
{
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, format, arguments);
	if (error != 0)
		fprintf(stderr, ": %s", strerror(error));
	fputc('\n', stderr);
}

void die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	complain(0, format, arguments);
	va_end(arguments);
	exit(1);
}

void die_errno(const char *format, ...)
{
	int error = errno;
	va_list arguments;

	va_start(arguments, format);
	complain(error, format, arguments);
	va_end(arguments);
	exit(1);
}

/* ---- options ---- */

static const char *socket_path; /* NULL: leat_init knows where to look */

int next_option(int argc, char **argv, const char *letters, const struct option *options,
		const char *usage)
{
	for (;;) {
		int option = getopt_long(argc, argv, letters, options, NULL);

		switch (option) {
		case 's':
			socket_path = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		case '?':
			usage_error(usage);
		default:
			return option;
		}
	}
}

void usage_error(const char *usage)
{
	fputs(usage, stderr);
	exit(2);
}

/* ---- the daemon ---- */

void attach(void)
{
	if (leat_init(socket_path) != 0)
		die("%s", leat_init_strerror(errno, socket_path));
}

/* ---- signals ---- */

volatile sig_atomic_t stopped;
static void (*stop_call)(void);

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
	if (stop_call != NULL)
		stop_call();
}

void on_stop(void (*call)(void))
{
	stop_call = call;
	if (stopped) /* by a signal that came before */
		call();
}

void stop_on_signals(void)
{
	struct sigaction stop = {.sa_handler = on_signal}; /* no SA_RESTART: calls end with EINTR */

	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
}

/* ---- addresses ---- */

struct sockaddr_in parse_address(const char *address, const char *port)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	char *end;
	unsigned long number = strtoul(port, &end, 10);

	if (inet_pton(AF_INET, address, &in.sin_addr) != 1)
		die("%s: not an IPv4 address", address);
	if (*port < '0' || *port > '9' || *end != '\0' || number > 65535)
		die("%s: not a port", port);
	in.sin_port = htons((uint16_t)number);
	return in;
}

struct sockaddr_in parse_endpoint(const char *text)
{
	const char *colon = strrchr(text, ':');
	char address[INET_ADDRSTRLEN];

	if (colon == NULL || (size_t)(colon - text) >= sizeof(address))
		die("%s: not ADDR:PORT", text);
	memcpy(address, text, (size_t)(colon - text));
	address[colon - text] = '\0';
	return parse_address(address, colon + 1);
}

int open_server(const struct sockaddr_in *address, int type_and_flags)
{
	int fd = leat_socket(AF_INET, type_and_flags, 0);
	bool stream = (type_and_flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) == SOCK_STREAM;
	int yes = 1;

	if (fd < 0)
		die_errno("socket");
	if (stream && leat_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0)
		die_errno("SO_REUSEADDR");
	if (leat_bind(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 ||
	    (stream && leat_listen(fd, BACKLOG) != 0))
		die_errno("%s:%u", inet_ntoa(address->sin_addr), ntohs(address->sin_port));
	return fd;
}

uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
