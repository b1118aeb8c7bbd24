/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sock -> inet_sock -> inet_connection_sock -> tcp_sock, each embedding its
 * parent; what a protocol does is a struct proto of functions.
 *
 * A sock belongs to one worker for life.  Two sides hold it: the protocol
 * (until its state machine ends) and the application (through a slot of its
 * session, until the last process closes it).  sock_detach ends the second;
 * a protocol frees with sock_free when it is through and sock_is_detached.
 */
#ifndef LEAT_SOCK_SOCK_H
#define LEAT_SOCK_SOCK_H

#include <leat/abi.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "lib/wheel.h"
#include "net/addr.h"
#include "net/route.h"
#include "shm/ring.h"
#include "shm/session.h"

struct worker;
struct sock_info;
struct sock_option;
struct inet_connection_sock;

struct proto {
	const char *name;
	uint8_t protocol; /* IPPROTO_* */
	uint8_t type; /* SOCK_* */

	/* A closed sock, not yet in any table; NULL: pool empty (ENOBUFS). */
	struct sock *(*create)(struct worker *w, uint8_t family);

	/* What an application asks for; 0 or -errno. */
	int (*bind)(struct worker *w, struct sock *sk, const struct leat_addr *addr);
	int (*listen)(struct worker *w, struct sock *sk, int backlog);
	int (*connect)(struct worker *w, struct sock *sk, const struct leat_addr *addr);
	int (*shutdown)(struct worker *w, struct sock *sk, int how);
	int (*setsockopt)(struct worker *w, struct sock *sk, const struct sock_option *option);
	int (*getsockopt)(struct worker *w, struct sock *sk, struct sock_option *option);

	/* The application moved tx_tail or rx_head (already synced into sk->ring). */
	void (*sync)(struct worker *w, struct sock *sk);
	/* The application is gone from this sock (detached already): close, or abort where Linux
	 * would send RST.  The protocol frees the sock when its state machine allows, maybe now. */
	void (*close)(struct worker *w, struct sock *sk, bool abort);

	/* sk was put on the output list (sock_want_output): send what there is to send. */
	void (*output)(struct worker *w, struct sock *sk);

	/* Gives back what a sock needs only while it sends, if it has not for a while.  True: it has
	 * such a thing still, and is to be asked again.  NULL: there is nothing. */
	bool (*rest)(struct worker *w, struct sock *sk);

	/* SOCK_TX_LIMIT: how much may wait to be acknowledged now, and from which room on the sock is
	 * writable. */
	void (*tx_limit)(const struct sock *sk, uint32_t *limit_bytes, uint32_t *mark_bytes);

	/* Fills the protocol's part of a `leat ss` row. */
	void (*describe)(const struct sock *sk, struct sock_info *info);
};

enum sock_flag {
	SOCK_ON_OUTPUT = 1u << 0, /* on worker.output */
	SOCK_RAISED = 1u << 1, /* on its channel's raised list */
	SOCK_REUSEADDR = 1u << 2,
	SOCK_REUSEPORT = 1u << 3,
	SOCK_BOUND = 1u << 4, /* in port_table */
	SOCK_HASHED = 1u << 5, /* in sock_table */
	SOCK_LISTENER = 1u << 6,
	SOCK_RX_SHUT = 1u << 7, /* SHUT_RD: arriving data is dropped or reset */
	SOCK_RX_EOF = 1u << 8, /* peer's FIN delivered */
	SOCK_KEEPALIVE = 1u << 9,
	SOCK_OFFERED = 1u << 10, /* offered to a context, not known to be claimed */
	SOCK_BOUND_PORT = 1u << 11, /* the port was asked for by bind, not chosen */
	SOCK_TELL_IDLE = 1u << 12, /* LEAT_CQE_IDLE is to be published */
	SOCK_RCVBUF_SET = 1u << 13, /* by the application: it does not grow by itself */
	SOCK_SNDBUF_SET = 1u << 14,
	SOCK_OOBINLINE = 1u << 15, /* urgent data is part of the stream */
	SOCK_TX_LIMIT = 1u << 16, /* how much may be written is for proto->tx_limit to say */
	SOCK_TX_URGENT = 1u << 17, /* the application sends urgent data: arena.tx_urgent counts */
};

struct sock {
	/* hot: delivery */
	const struct proto *proto;
	struct channel *channel; /* who gets its events; NULL: nobody yet */
	uint32_t flags; /* enum sock_flag */
	uint16_t raised; /* LEAT_EV_* not yet published */
	uint16_t state_events; /* sticky part, as in shared->events */
	uint8_t state; /* the protocol's, TCP_* values for all */
	uint8_t family;
	uint16_t error; /* last error raised, an errno value */
	uint32_t error_seq;
	uint32_t slot; /* in the session */
	uint32_t generation;
	uint32_t rcvbuf_bytes; /* receive buffer limit */
	uint32_t sndbuf_bytes;
	TAILQ_ENTRY(sock) raised_link;
	struct ring_pair ring;
	TAILQ_ENTRY(sock) output_link;
	uint64_t tx_more; /* more is to come (MSG_MORE) while this is where the stream ends */

	/* cold */
	uint32_t holders; /* one bit per process of the session */
	uint32_t offer; /* the last offer word */
	LIST_ENTRY(sock) worker_link; /* on worker.socks, for `leat ss` and counting */
};
_Static_assert((LEAT_EV_CONNECTED | LEAT_EV_RDHUP | LEAT_EV_HUP) <= UINT16_MAX, "events fit");
_Static_assert(sizeof(struct sock) == 4 * LEAT_CACHE_LINE, "whole lines");
_Static_assert(offsetof(struct sock, ring) == LEAT_CACHE_LINE, "what is published is one line");

LIST_HEAD(sock_list, sock);

struct inet_sock {
	struct sock sk;
	struct flow flow; /* local and remote, for tables and headers */
	struct dst dst;
	uint8_t ttl;
	uint8_t traffic_class;
	uint8_t mtu_discover; /* IP_PMTUDISC_* */
	bool recverr; /* IP_RECVERR, of a stream */
	uint8_t soft_error; /* last ICMP error that may pass, an errno value */
	/* A sock in an accept queue has its listener's port, and no place in port_table. */
	union {
		LIST_ENTRY(inet_sock) port_link; /* SOCK_BOUND: in port_table */
		TAILQ_ENTRY(inet_connection_sock) accept_link;
	};
};
_Static_assert(offsetof(struct inet_sock, flow) == sizeof(struct sock) &&
		       offsetof(struct inet_sock, port_link) == 5 * LEAT_CACHE_LINE,
	       "what headers are made of is one line");

/* A row of `leat ss`. */
struct sock_info {
	char protocol[8];
	char state[16];
	struct leat_addr local;
	struct leat_addr remote;
	uint64_t rx_queued; /* bytes not yet read; listener: accept queue */
	uint64_t tx_queued; /* bytes not yet acknowledged; listener: backlog */
	uint32_t session;
	uint32_t process; /* pid */
};

/* ---- For protocols ---- */

void sock_list_output(struct worker *w, struct sock *sk);

/* Puts sk on the worker's output list; proto->output runs later in this iteration. */
static inline void sock_want_output(struct worker *w, struct sock *sk)
{
	if (!(sk->flags & SOCK_ON_OUTPUT))
		sock_list_output(w, sk);
}

/* Events that last, as state. */
#define SOCK_STICKY_EVENTS \
	(LEAT_EV_PRI | LEAT_EV_ERR | LEAT_EV_HUP | LEAT_EV_RDHUP | LEAT_EV_CONNECTED)

void sock_list_raised(struct worker *w, struct sock *sk);

/* Raises LEAT_EV_* bits; published once at the end of the iteration.  Also publishes ring
 * positions that moved: call it with 0 when only tx_head moved. */
static inline void sock_raise(struct worker *w, struct sock *sk, uint32_t events)
{
	sk->raised |= events;
	sk->state_events |= events & SOCK_STICKY_EVENTS;
	if (!(sk->flags & SOCK_RAISED) && sk->channel != NULL)
		sock_list_raised(w, sk);
}

/* Records errno for SO_ERROR and raises LEAT_EV_ERR. */
void sock_raise_error(struct worker *w, struct sock *sk, int error);

static inline bool sock_is_detached(const struct sock *sk)
{
	return sk->ring.shared == NULL;
}

static inline void sock_set_flag(struct sock *sk, enum sock_flag flag, bool on)
{
	sk->flags = on ? sk->flags | flag : sk->flags & ~(uint32_t)flag;
}

/* Arms the worker's look for idle socks when some sock holds chunks. */
void sock_watch_holding(struct worker *w);

/* First initialization of an object fresh from its pool, zeroed by the caller: links it into
 * worker.socks. */
void sock_init(struct worker *w, struct sock *sk, const struct proto *proto, uint8_t family);

/* Last step: off every list, detached from its slot; the protocol then returns the object to its
 * pool. */
void sock_fini(struct worker *w, struct sock *sk);

/* ---- The application's hold on a sock ---- */

/* Gives sk a slot in a; ch's process becomes its first holder.  0 or -ENFILE. */
int sock_attach(struct worker *w, struct sock *sk, struct arena *a, struct channel *ch);
/* Takes sk's slot and receive chunks away; unsent bytes stay until they are acknowledged. */
void sock_detach(struct worker *w, struct sock *sk);
/* Gives sk's events to ch (NULL: to nobody for now). */
void sock_set_channel(struct worker *w, struct sock *sk, struct channel *ch);
/* The process lets go of sk; the last one closes it (sk may be gone afterwards). */
void sock_release(struct worker *w, struct sock *sk, uint16_t process);
/* NULL: stale or never given out. */
struct sock *arena_sock(struct arena *a, struct leat_handle handle);

/* Publishes raised events, completions and ring positions; wakes sleeping contexts. */
void channels_publish(struct worker *w);

#endif
