/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What connection-oriented protocols share: a listener's two queues, one
 * timer, and the way a new connection reaches an application.
 */
#ifndef LEAT_SOCK_CONNECTION_H
#define LEAT_SOCK_CONNECTION_H

#include "sock/sock.h"

/* One context's wish for connections of a listener (LEAT_OP_CREDIT). */
struct accept_credit {
	TAILQ_ENTRY(accept_credit) link;
	struct channel *channel;
	uint32_t credits; /* connections it may still be offered */
};

struct listener {
	struct inet_connection_sock *ics; /* whose it is */
	uint32_t backlog; /* bound of the accept queue, and of requests */
	uint32_t request_count; /* half-open connections */
	uint32_t queue_count; /* established, not yet claimed (offered ones included) */
	TAILQ_HEAD(, inet_connection_sock) queue; /* established, not offered to anyone */
	TAILQ_HEAD(, inet_connection_sock) offered; /* offered, not known to be claimed */
	TAILQ_HEAD(, accept_credit) credits; /* round robin */
	struct timer timer; /* takes unclaimed offers back */
	uint64_t reaped_us; /* when a look for taken offers found none; 0: it found some */
};

struct inet_connection_sock {
	struct inet_sock inet;
	struct timer timer; /* the earliest of the protocol's deadlines */
	union {
		struct listener *listener; /* SOCK_LISTENER: from the worker's pool */
		struct inet_connection_sock *parent; /* while in parent's accept queue; else NULL */
	};
	uint32_t offered_ms; /* when, and ... */
	uint16_t offered_to; /* ... to which context, while SOCK_OFFERED */
	uint16_t fastopen_limit; /* TCP_FASTOPEN, of a listener */
};

#define OFFER_TIMEOUT_MS 50 /* an offer not claimed for so long may go to another context */

/* Makes ics a listener; 0, -ENOBUFS.  A second call changes the backlog. */
int listener_open(struct worker *w, struct inet_connection_sock *ics, int backlog);

/* May one more connection be established?  (Linux's rule: the queue holds backlog + 1.) */
bool listener_has_room(struct worker *w, const struct inet_connection_sock *listener);

/* A connection is established: gives it a slot in the listener's session, queues it, offers it to
 * a context with a credit.  -ENOBUFS: no slot left; the caller resets the connection. */
int listener_add(struct worker *w, struct inet_connection_sock *listener,
		 struct inet_connection_sock *child);

/* Offers queued connections while contexts have credits. */
void listener_offer(struct worker *w, struct listener *l);

/* A connection in an accept queue ended by itself: takes it out and detaches it, unless an
 * application has claimed it meanwhile (then it stays attached, like any accepted one). */
void listener_remove(struct worker *w, struct inet_connection_sock *child);

/* The application closes a connection it was offered: that settles the offer. */
void listener_forget(struct inet_connection_sock *child);

/* Closes a listener: calls abort for each connection nobody claimed, frees its state. */
void listener_close(struct worker *w, struct inet_connection_sock *listener);

/* LEAT_OP_CREDIT and LEAT_OP_UNCREDIT. */
int listener_credit(struct worker *w, struct inet_connection_sock *listener, struct channel *ch,
		    uint32_t credits);
void listener_uncredit(struct worker *w, struct inet_connection_sock *listener, struct channel *ch);
/* Learns which offers were taken, at once. */
void listener_settle(struct worker *w, struct inet_connection_sock *listener);

#endif
