/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the suites of TCP play with: one host, its peer, and one sock between
 * them.  A suite includes this once, in place of support/host.h, and has them
 * as h, peer and s.  Each case begins with one of the functions below, or
 * with a begin of the suite that calls one, and ends with end.
 */
#ifndef LEAT_SUPPORT_TCP_FIXTURE_H
#define LEAT_SUPPORT_TCP_FIXTURE_H

#include "support/host.h"
#include "tcp/tcp_sock.h"

static struct host *h;
static struct peer peer;
static struct app_sock s;

/* Nothing is open yet.  config NULL: the default. */
static inline void begin_unconnected(const struct host_config *config)
{
	h = host_new(config);
	peer_init(&peer, h);
}

/* s is connected to the peer. */
static inline void begin_connected(const struct host_config *config)
{
	begin_unconnected(config);
	host_connected(h, &peer, &s);
}

static inline void end(void)
{
	host_end(h);
}

/* The daemon's sock behind s. */
static inline struct tcp_sock *tcp(void)
{
	return tcp_sk(host_sock(&s));
}

#endif
