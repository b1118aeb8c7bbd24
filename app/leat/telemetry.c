/* SPDX-License-Identifier: BSD-3-Clause */
#include "telemetry.h"

#include <err.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_BYTES     65536
#define ANSWER_TIMEOUT_S 5

static int connection = -1;
static char answer[ANSWER_BYTES];
static struct json *parsed;

static void receive(void)
{
	ssize_t n = recv(connection, answer, sizeof(answer) - 1, 0);

	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		errx(EXIT_FAILURE, "leatd does not answer");
	if (n < 0)
		err(EXIT_FAILURE, "leatd");
	if (n == 0)
		errx(EXIT_FAILURE, "leatd ended the connection");
	answer[n] = '\0';
	json_free(parsed);
	parsed = json_parse(answer);
	if (parsed == NULL)
		errx(EXIT_FAILURE, "cannot understand leatd's answer");
}

void telemetry_open(const char *path)
{
	const struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_S};
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if ((size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s.telemetry", path) >=
	    sizeof(address.sun_path))
		errx(EXIT_FAILURE, "%s: path too long", path);
	connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (connection < 0)
		err(EXIT_FAILURE, "socket");
	if (connect(connection, (struct sockaddr *)&address, sizeof(address)) != 0) {
		if (errno == EACCES)
			errx(EXIT_FAILURE,
			     "%s: not permitted; run leat as the user that leatd runs as", path);
		if (errno == ENOENT || errno == ECONNREFUSED)
			errx(EXIT_FAILURE,
			     "no leatd serves %s; start leatd, or name its socket with --socket "
			     "or LEAT_SOCKET",
			     path);
		err(EXIT_FAILURE, "%s", path);
	}
	setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	receive(); /* DPDK introduces itself */
}

const struct json *telemetry_ask(const char *format, ...)
{
	char command[64];
	const struct json *value;
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	if (send(connection, command, (size_t)length, MSG_NOSIGNAL) != length)
		err(EXIT_FAILURE, "leatd");
	receive();
	command[strcspn(command, ",")] = '\0';
	value = json_get(parsed, command);
	if (value == NULL || value->type == JSON_NULL)
		errx(EXIT_FAILURE, "leatd does not answer %s", command);
	return value;
}
