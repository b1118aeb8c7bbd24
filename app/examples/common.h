/* SPDX-License-Identifier: BSD-3-Clause */
/* What the examples share: the way to the daemon, addresses, the end of a program. */
#ifndef LEAT_EXAMPLES_COMMON_H
#define LEAT_EXAMPLES_COMMON_H

#include <netinet/in.h>
#include <stdint.h>

/* Prints "PROGRAM: message" and exits with status 1. */
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* The same with the text of errno behind it. */
void die_errno(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Attaches to the daemon at socket_path (NULL: LEAT_SOCKET or the default); when there is none,
 * says what to do and exits. */
void attach(const char *socket_path);

/* An IPv4 address and a port; exits when they are none. */
struct sockaddr_in parse_address(const char *address, const char *port);
/* The same from ADDR:PORT. */
struct sockaddr_in parse_endpoint(const char *text);

/* A socket that listens (SOCK_STREAM) or is bound (SOCK_DGRAM); flags as for leat_socket. */
int open_server(const struct sockaddr_in *address, int type_and_flags);

/* Monotonic. */
uint64_t now_ms(void);

#endif
