/* SPDX-License-Identifier: BSD-3-Clause */
/* What the suites of the client library share. */
#ifndef LEAT_TEST_CLIENT_HELPERS_H
#define LEAT_TEST_CLIENT_HELPERS_H

#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#include "fake_daemon.h"

/* A daemon with the default configuration. */
struct fake_daemon *fake_start_default(void);
/* A connected stream socket; a connected datagram socket. */
int connected_stream(void);
int connected_datagram(void);
/* A listening one. */
int listening_stream(void);

/* leat_bind and leat_connect of an ipv4_address. */
int bind_port(int fd, uint16_t port);
int connect_port(int fd, uint16_t port);
/* SO_ERROR, which this takes; -1: the call failed. */
int socket_error(int fd);

struct sockaddr_in ipv4_address(uint16_t port);
/* Bytes that differ from their neighbours; checks that data are those from offset on. */
void fill_pattern(void *data, size_t length, size_t offset);
bool is_pattern(const void *data, size_t length, size_t offset);
/* Waits up to a second for *value to reach at least wanted. */
bool wait_for(const unsigned *value, unsigned wanted);
void sleep_ms(unsigned ms);

#endif
