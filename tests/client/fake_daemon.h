/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small leatd for tests of the client library: a region laid out by
 * leat/abi.h, and a thread that plays control thread and workers.  It obeys
 * the rules of abi.h and notes in `condemned` when the library does not.
 *
 * Tests act as the worker through the functions below while the thread runs;
 * everything is under one lock.  State lies in shared memory, so that a
 * forked child can attach as well.
 */
#ifndef LEAT_TEST_FAKE_DAEMON_H
#define LEAT_TEST_FAKE_DAEMON_H

#include <leat/abi.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "session.h"

#define FAKE_WORKERS  2
#define FAKE_CONTEXTS 8
#define FAKE_SLOTS    64 /* per worker */
#define FAKE_CHUNKS   256 /* per worker, at most */
#define FAKE_QUEUED   64 /* connections in an accept queue */

struct fake_config {
	uint32_t workers;
	uint32_t chunks; /* per worker */
	uint32_t chunk_shift;
	uint32_t queue_entries;
	uint32_t grant_entries;
	uint32_t tx_limit_bytes;
};

#define FAKE_CONFIG_DEFAULT                                                                 \
	{                                                                                   \
		.workers = 1, .chunks = FAKE_CHUNKS, .chunk_shift = 8, .queue_entries = 16, \
		.grant_entries = 8, .tx_limit_bytes = 4096,                                 \
	}

enum fake_chunk_state { FAKE_FREE, FAKE_GRANTED, FAKE_TX, FAKE_RX };

struct fake_sock {
	bool open;
	uint8_t type;
	uint8_t worker;
	uint32_t generation;
	uint32_t holders; /* processes, by bit */
	int context; /* where events go; -1: nowhere */
	uint16_t port;
	uint64_t rx_tail, rx_first_base, rx_end;
	uint32_t rx_first, rx_last;
	uint64_t tx_head, tx_tail, tx_end, tx_first_base;
	uint32_t tx_first, tx_last;
	uint32_t raised;
	uint32_t offer;
	/* as a listener */
	bool listening;
	int backlog;
	uint32_t credits[FAKE_CONTEXTS];
	struct leat_handle queue[FAKE_QUEUED];
	unsigned queue_count;
	/* what was asked for */
	unsigned syncs;
	unsigned releases;
	unsigned shutdowns;
	unsigned moves;
	unsigned uncredits;
	bool urgent; /* LEAT_OP_URGENT */
	unsigned mores;
	uint64_t more_offset; /* of the last LEAT_SYNC_MORE */
	struct leat_option option; /* the last one set */
	bool long_option; /* it is answered with as much as there can be */
};

struct fake_daemon {
	struct fake_config config;
	pthread_mutex_t lock;
	pthread_t thread;
	bool stop;
	bool paused; /* takes no submissions, publishes nothing */
	bool no_chunks; /* grants none */
	unsigned bind_conflicts; /* so many binds to a given port on worker 1 fail */
	int connect_error; /* LEAT_OP_CONNECT of a stream: refused with this */
	bool connect_hangs; /* ... or stays undecided */
	unsigned wakeups;
	unsigned closes;
	unsigned submissions;
	char condemned[128];
	uint8_t *base;
	struct leat_region *region;
	struct fake_sock sock[FAKE_WORKERS * FAKE_SLOTS];
	uint8_t chunk_state[FAKE_WORKERS * FAKE_CHUNKS];
	struct {
		bool open;
		uint32_t process;
		uint32_t woken_seq;
		uint32_t sq_head[FAKE_WORKERS];
		uint32_t cq_tail[FAKE_WORKERS];
		uint32_t grant_tail[FAKE_WORKERS];
		bool starved[FAKE_WORKERS];
	} context[FAKE_CONTEXTS];
	int wake[FAKE_CONTEXTS][2]; /* 0: the daemon's end */
	int bell[FAKE_WORKERS];
	int control[2]; /* 0: the daemon's end */
	uint32_t processes;
	uint16_t next_port;
};

/* Starts it and makes it the process's session. */
struct fake_daemon *fake_start(const struct fake_config *config);
/* Checks that nothing is left, ends it. */
void fake_stop(struct fake_daemon *d);
/* It dies: the control socket hangs up, nothing is answered any more. */
void fake_die(struct fake_daemon *d);

void fake_pause(struct fake_daemon *d);
void fake_resume(struct fake_daemon *d);
/* Does it grant chunks? */
void fake_grant(struct fake_daemon *d, bool grants);
/* Returns once everything submitted before has been taken. */
void fake_settle(struct fake_daemon *d);

/* The sock behind one of leat's descriptors (its at-th). */
struct leat_handle fake_handle(int fd, unsigned at);
struct fake_sock *fake_sock(struct fake_daemon *d, struct leat_handle h);
struct leat_slot *fake_slot(struct fake_daemon *d, struct leat_handle h);
/* Both rings begin at offset; nothing was sent or received yet. */
void fake_set_offsets(struct fake_daemon *d, struct leat_handle h, uint64_t offset);

/* Bytes, a datagram, the end, an error arrive. */
void fake_deliver(struct fake_daemon *d, struct leat_handle h, const void *data, size_t length);
void fake_deliver_datagram(struct fake_daemon *d, struct leat_handle h, const void *data,
			   size_t length, size_t full_length, uint16_t port);
/* The peer's urgent data ends with the byte at offset mark of the stream; what lies before skip_to is
 * no data any more. */
void fake_urgent(struct fake_daemon *d, struct leat_handle h, uint64_t mark, uint64_t skip_to);
/* The offset after the last urgent byte that the application sent. */
uint64_t fake_sent_urgent(struct fake_daemon *d, struct leat_handle h);
void fake_finish(struct fake_daemon *d, struct leat_handle h);
void fake_reset(struct fake_daemon *d, struct leat_handle h, int error);
void fake_establish(struct fake_daemon *d, struct leat_handle h);
void fake_raise(struct fake_daemon *d, struct leat_handle h, uint32_t events);
void fake_tell_idle(struct fake_daemon *d, struct leat_handle h);

/* Copies what was sent and not acknowledged, from the oldest on; how much. */
size_t fake_sent(struct fake_daemon *d, struct leat_handle h, void *out, size_t size);
void fake_acknowledge(struct fake_daemon *d, struct leat_handle h, size_t bytes);

/* A connection from peer_port comes in at a listener. */
struct leat_handle fake_connect(struct fake_daemon *d, struct leat_handle listener,
				uint16_t peer_port);
/* Takes the offer of a connection back; false: it is claimed. */
bool fake_revoke(struct fake_daemon *d, struct leat_handle h);

#endif
