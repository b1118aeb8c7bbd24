/* SPDX-License-Identifier: BSD-3-Clause */
/* What the examples share: options, the way to the daemon, addresses, the end of a program. */
#ifndef LEAT_EXAMPLES_COMMON_H
#define LEAT_EXAMPLES_COMMON_H

#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>

/* Prints "PROGRAM: message" and exits with status 1. */
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* The same with the text of errno behind it. */
void die_errno(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* ---- options ---- */

/* What stands in every example's table of options. */
/* clang-format off */
#define COMMON_OPTIONS \
	{"socket", required_argument, NULL, 's'}, \
	{"help", no_argument, NULL, 'h'}
/* clang-format on */

/* The next option of the command line, as getopt_long says; -1: no more.  COMMON_OPTIONS are seen
 * to here: --socket is kept for attach, --help shows the usage and exits, and so does what is in
 * no table, with status 2. */
int next_option(int argc, char **argv, const char *letters, const struct option *options,
		const char *usage);
/* For a command line that is incomplete: shows the usage and exits with status 2. */
void usage_error(const char *usage) __attribute__((noreturn));

/* ---- the daemon ---- */

/* Attaches to the daemon at --socket (without it: LEAT_SOCKET or the default); when there is none,
 * says what to do and exits. */
void attach(void);

/* ---- signals ---- */

/* Set by SIGINT and SIGTERM once stop_on_signals was called; blocking calls end with EINTR. */
extern volatile sig_atomic_t stopped;
void stop_on_signals(void);
/* Called by the signal handler as well. */
void on_stop(void (*call)(void));

/* ---- addresses ---- */

/* An IPv4 address and a port; exits when they are none. */
struct sockaddr_in parse_address(const char *address, const char *port);
/* The same from ADDR:PORT. */
struct sockaddr_in parse_endpoint(const char *text);

/* A socket that listens (SOCK_STREAM) or is bound (SOCK_DGRAM); flags as for leat_socket. */
int open_server(const struct sockaddr_in *address, int type_and_flags);

/* Monotonic. */
uint64_t now_ms(void);

#endif
