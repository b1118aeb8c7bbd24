/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Local ports of a worker: who is bound where, which sock a packet without a
 * connection belongs to, and the choice of ephemeral ports (RFC 6056).
 */
#ifndef LEAT_SOCK_PORT_TABLE_H
#define LEAT_SOCK_PORT_TABLE_H

#include "sock/sock.h"

struct packet;
struct port_table;

#define PORT_EPHEMERAL_FIRST 32768
#define PORT_EPHEMERAL_LAST  60999

struct port_table *port_table_create(int socket_id);
void port_table_free(struct port_table *t);

/*
 * Binds inet to flow.local and flow.local_port (host order 0: choose one).
 * 0, -EADDRINUSE, with Linux's rules: SO_REUSEADDR on both lets two socks share
 * unless one listens; SO_REUSEPORT on both always.
 */
int port_bind(struct worker *w, struct inet_sock *inet);
/* May inet begin to listen where it is bound?  0 or -EADDRINUSE. */
int port_may_listen(struct worker *w, const struct inet_sock *inet);
void port_unbind(struct worker *w, struct inet_sock *inet);

/*
 * Chooses a local port for a connection to inet->flow.remote such that
 * replies arrive at this worker and the flow is not in sock_table.
 * 0 or -EADDRNOTAVAIL.  The port is not bound: connections share ephemeral
 * ports to different remotes.
 */
int port_choose(struct worker *w, struct inet_sock *inet);

/*
 * The bound sock for an incoming flow (UDP datagram or TCP SYN) that is not in
 * sock_table: the most specific address wins; among SO_REUSEPORT socks the
 * flow's hash chooses.  listeners: only SOCK_LISTENER ones.  NULL: none.
 */
struct inet_sock *port_find(struct worker *w, const struct flow *flow, bool listeners);

#endif
