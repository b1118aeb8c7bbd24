/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection-oriented protocol that speaks to nobody: it lets tests of
 * stack/shm and stack/sock make, feed and end socks by hand, and counts what
 * it is asked to do.
 */
#ifndef LEAT_SUPPORT_FAKEPROTO_H
#define LEAT_SUPPORT_FAKEPROTO_H

#include "sock/connection.h"
#include "support/host.h"

struct fake_sock {
	struct inet_connection_sock ics;
};

/* What was asked of all fake socks since fake_use. */
struct fake_calls {
	unsigned created, closed, aborted;
	unsigned synced, output, shutdown;
	int last_how; /* of shutdown */
	int fail_create; /* so many coming creations find the pool empty */
};

extern struct fake_calls fake_calls;

/* LEAT_OP_SOCKET on h's workers makes fake socks (SOCK_STREAM) from now on. */
void fake_use(struct host *h);

static inline struct inet_connection_sock *fake_ics(struct sock *sk)
{
	return (struct inet_connection_sock *)sk;
}

/* A listening sock of context 0. */
void fake_listen(struct host *h, struct app_sock *s, uint16_t port, int backlog);
/* A connection from a peer's port is established: 0, or what listener_add said (it is gone). */
int fake_establish(struct app_sock *listener, uint16_t peer_port, struct sock **out);
/* The connection ends by itself, as on a reset. */
void fake_end(struct worker *w, struct sock *sk);
/* length bytes of the pattern arrive in order, and are published with the next poll. */
int fake_receive(struct worker *w, struct sock *sk, uint32_t length);

#endif
