/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory that leatd and one application share, and the messages that set
 * it up.  This file is the only thing both sides have in common.
 *
 * Trust runs one way.  The application believes what the daemon writes.  The
 * daemon believes nothing: it keeps a private copy of every index, offset and
 * chunk owner, reads each shared value once into a local, checks it, and ends
 * the session when the value cannot be right.
 *
 * Each cache line has one writer, named above it.  Positions in byte rings
 * are 64-bit and free-running; positions in entry rings are 32-bit and wrap.
 */
#ifndef LEAT_ABI_H
#define LEAT_ABI_H

#include <stddef.h>
#include <stdint.h>

#define LEAT_ABI_MAGIC      0x7461656cu /* "leat" */
#define LEAT_ABI_VERSION    4u

#define LEAT_CACHE_LINE     64
#define LEAT_MAX_WORKERS    64
#define LEAT_MAX_CONTEXTS   64 /* contexts of one session */
#define LEAT_MAX_PROCESSES  32 /* processes of one session: parent and forked children */
#define LEAT_OPTION_BYTES   24 /* longest value of an option that is set */
#define LEAT_ANSWER_BYTES   256 /* longest value of an option that is asked for */
#define LEAT_NO_CHUNK       UINT32_MAX
#define LEAT_NO_OFFSET      UINT64_MAX

#define LEAT_DEFAULT_SOCKET "/run/leat/leatd.sock"
#define LEAT_SOCKET_ENV     "LEAT_SOCKET"

/* An address and port of either family, in network byte order. */
struct leat_addr {
	uint16_t family; /* AF_INET, AF_INET6; AF_UNSPEC (0): none */
	uint16_t port; /* network byte order */
	uint32_t scope;
	uint8_t addr[16]; /* IPv4: the first four bytes, the rest 0 */
};
_Static_assert(sizeof(struct leat_addr) == 24, "leat_addr is 24 bytes");

/*
 * A sock, named.  Slots are numbered across the whole session: slot number
 * divided by slots_per_worker is the worker that owns the sock.  A generation
 * that does not match the daemon's gets EBADF.
 */
struct leat_handle {
	uint32_t slot;
	uint32_t generation;
};

/* ---- The region: one memfd per session, in this order ------------------ */

/* From the end of one chunk to the beginning of the next.  Connections that do the same thing are at
 * the same place of their chunks, which would lie in the same few sets of a cache if chunks began a
 * power of two apart. */
#define LEAT_CHUNK_APART 64u

/* Offset 0.  Written by the daemon before it hands the region over. */
struct leat_region {
	uint32_t magic;
	uint32_t version;
	uint64_t size_bytes;
	uint32_t workers;
	uint32_t contexts;
	uint32_t slots_per_worker;
	uint32_t chunks_per_worker;
	uint32_t chunk_shift; /* a chunk is 1 << chunk_shift bytes */
	uint32_t queue_entries; /* entries of each SQ and of each CQ, a power of two */
	uint32_t grant_entries; /* entries of each grant ring, a power of two */
	uint32_t send_limit_bytes; /* default of SO_SNDBUF */
	uint64_t context_offset; /* struct leat_context [contexts] */
	uint64_t channel_offset; /* channel [contexts][workers], channel_stride apart */
	uint64_t channel_stride;
	uint64_t slot_offset; /* struct leat_slot [workers * slots_per_worker] */
	uint64_t
		rx_link_offset; /* uint32_t [workers * chunks_per_worker], written by the workers */
	uint64_t tx_link_offset; /* the same, written by the application */
	uint64_t rx_urgent_offset; /* struct leat_urgent, one per slot, written by the workers */
	uint64_t tx_urgent_offset; /* uint64_t, one per slot, written by the application */
	uint64_t lock_offset; /* LEAT_LOCKS_BYTES for the library's process-shared locks */
	uint64_t
		chunk_offset; /* the chunks, workers * chunks_per_worker of them, chunk_stride apart */
	uint64_t chunk_stride; /* more than a chunk's bytes: see LEAT_CHUNK_APART */
};

/* Room for the library's robust mutexes; the daemon never looks at it. */
#define LEAT_LOCKS_BYTES 16384u

/*
 * One application thread's attachment.  Before it sleeps the thread makes
 * sleep_seq odd, runs a full fence and looks at every CQ of the context once
 * more; awake again it makes it even.  A worker publishes, runs a full fence
 * and reads sleep_seq; for each odd value it sends at most one byte to the
 * context's wake-up socket.
 */
struct leat_context {
	/* application */
	uint32_t sleep_seq;
	uint32_t reserved[15];
};
_Static_assert(sizeof(struct leat_context) == LEAT_CACHE_LINE, "one line");

/*
 * A context's queues to and from one worker.  After it follow SQ entries, CQ
 * entries and grants (see leat_channel_sq and friends).
 */
struct leat_channel {
	/* application */
	uint32_t sq_tail; /* release; pairs with the worker's acquire in channel_poll */
	uint32_t cq_head; /* release; pairs with the worker's acquire before it fills an entry */
	uint32_t grant_head; /* chunks taken from the grant ring so far; release */
	uint32_t application_reserved[13];
	/* worker */
	uint32_t sq_head; /* release; pairs with the library's acquire before it fills an entry */
	uint32_t cq_tail; /* release; pairs with the library's acquire in leat_cq_peek */
	uint32_t grant_tail; /* release; pairs with the library's acquire when it takes a chunk */
	uint32_t doorbell; /* non-zero: nobody polls this SQ; after publishing sq_tail and a full
	                        fence, write 8 bytes to the worker's bell */
	uint32_t worker_reserved[12];
	/* The value of the last LEAT_OP_GETSOCKOPT that is longer than LEAT_OPTION_BYTES; written
	 * before its completion, and kept until the next such submission. */
	uint8_t answer[LEAT_ANSWER_BYTES];
};
_Static_assert(sizeof(struct leat_channel) == 2 * LEAT_CACHE_LINE + LEAT_ANSWER_BYTES,
	       "two lines and whole ones");
_Static_assert(LEAT_ANSWER_BYTES % LEAT_CACHE_LINE == 0, "whole lines");
_Static_assert(offsetof(struct leat_channel, sq_head) == LEAT_CACHE_LINE, "one writer per line");

/* State bits of a sock, in leat_slot.events; sticky, so level-triggered polling reads them. */
#define LEAT_EV_IN        0x001u /* raised: data, a datagram or end of stream arrived */
#define LEAT_EV_PRI       0x002u /* state: there is or was urgent data, see leat_urgent */
#define LEAT_EV_OUT       0x004u /* raised: connected, or tx_head reached tx_wake */
#define LEAT_EV_ERR       0x008u /* state: error holds an errno nobody has fetched */
#define LEAT_EV_HUP       0x010u /* state: both directions ended, or reset */
#define LEAT_EV_RDHUP     0x2000u /* state: peer's FIN is in; rx_tail is final */
#define LEAT_EV_CONNECTED 0x4000u /* state: connection established */

/*
 * The shared half of a sock.
 *
 * Receive ring: bytes [rx_head, rx_tail) are the application's to read.  Byte
 * o lies in a chunk at offset o modulo the chunk size.  Reading on from o:
 * when o == rx_restart its chunk is rx_restart_chunk; else when o is at a
 * chunk boundary it is rx_link[chunk before]; else the chunk does not change.
 * rx_restart is checked first.  The worker publishes links and restart before
 * rx_tail; it moves rx_restart only while the ring is empty.
 *
 * Send ring: the mirror image, with the application as producer:
 * [tx_head, tx_tail), chunks taken from grants of the sock's worker, linked
 * by tx_link, tx_restart and tx_restart_chunk.  The application may restart
 * only when it has seen tx_head == tx_tail.  The first write to a sock is
 * a restart at 0.
 *
 * Datagrams lie in the same rings as records (struct leat_record).
 */
struct leat_slot {
	/* application */
	uint64_t tx_tail; /* release; pairs with the acquire in tx_ring_sync */
	uint64_t rx_head; /* release; pairs with the acquire in rx_ring_sync */
	uint64_t tx_restart; /* LEAT_NO_OFFSET: never started */
	uint64_t tx_wake; /* raise LEAT_EV_OUT once tx_head reaches this; LEAT_NO_OFFSET: never */
	uint32_t tx_restart_chunk;
	uint32_t tx_chunk; /* the library's own: chunk that holds byte tx_tail - 1 */
	uint32_t rx_chunk; /* the library's own: chunk that holds byte rx_head - 1 */
	uint32_t kick; /* number of LEAT_OP_SYNC submitted for this sock */
	uint32_t claim; /* offer word, see LEAT_CLAIM_*; both sides compare-and-swap it */
	uint32_t holder; /* the library's own */
	uint64_t tx_end; /* the library's own: chunks are reserved up to here, if past tx_tail */
	/* worker */
	uint64_t rx_tail; /* release; pairs with the library's acquire */
	uint64_t tx_head; /* release; bytes acknowledged (stream) or sent (datagrams) */
	uint64_t rx_restart;
	uint64_t rx_wake; /* submit LEAT_OP_SYNC once rx_head reaches this; LEAT_NO_OFFSET: never */
	uint32_t rx_restart_chunk;
	uint32_t kick_seen; /* of kick, how many the worker has taken */
	uint32_t events; /* sticky state, LEAT_EV_*; release */
	uint32_t tx_limit_bytes; /* tx_tail - tx_head may not exceed this */
	uint32_t generation;
	int32_t error; /* SO_ERROR, an errno value */
	uint32_t error_seq; /* grows with each new error, so that each is reported once */
	uint32_t tx_mark_bytes; /* from so much room on the sock counts as writable */
};
_Static_assert(sizeof(struct leat_slot) == 2 * LEAT_CACHE_LINE, "two lines");
_Static_assert(offsetof(struct leat_slot, rx_tail) == LEAT_CACHE_LINE, "one writer per line");

/*
 * Urgent data (RFC 6093), which few socks ever see; kept apart from the slot.
 *
 * Receiving: mark is the offset in the receive ring of the last urgent byte
 * the peer told of, which may not have arrived yet.  Once rx_head is past it
 * there is no urgent data.  Bytes before skip_to are no data any more: they
 * were the mark, nobody read them, and a later one took their place.  Both
 * count only with LEAT_EV_PRI in slot.events; the worker writes skip_to, mark
 * and events in this order, and all before the rx_tail that lies beyond the
 * mark, so the application looks after it has loaded rx_tail.  That the byte
 * at the mark is not part of the stream (unless SO_OOBINLINE) is for the
 * application to see to.
 *
 * Sending: the offset after the last urgent byte, written before the tx_tail
 * that lies there.  It counts once LEAT_OP_URGENT was answered.
 */
struct leat_urgent {
	uint64_t mark; /* release; pairs with the library's acquire */
	uint64_t skip_to;
};
_Static_assert(LEAT_CACHE_LINE % sizeof(struct leat_urgent) == 0, "none spans two lines");

/*
 * The offer word: (offer number << 2) | state.  The worker writes OFFERED
 * before the LEAT_CQE_ACCEPT that carries the word; whoever swaps it first,
 * application to TAKEN or worker to REVOKED, has the connection.
 */
#define LEAT_CLAIM_OFFERED 1u
#define LEAT_CLAIM_TAKEN   2u
#define LEAT_CLAIM_REVOKED 3u
#define LEAT_CLAIM_STATE   3u

/* A datagram in a ring: this header, then length bytes, padded to LEAT_RECORD_ALIGN. */
struct leat_record {
	uint32_t length_bytes; /* of the data stored after the header */
	uint32_t full_bytes; /* of the datagram as it was received */
	struct leat_addr
		addr; /* source (receive) or destination (send; AF_UNSPEC: connected peer) */
};
#define LEAT_RECORD_ALIGN 8u
_Static_assert(sizeof(struct leat_record) == 32, "a record header is 32 bytes");

/* ---- Submissions -------------------------------------------------------- */

enum leat_op {
	/*
	 * No completion: */
	LEAT_OP_SYNC = 1, /* the application moved tx_tail or rx_head; value LEAT_SYNC_* */
	LEAT_OP_CREDIT, /* listener handle: value more connections may be offered to this context */
	LEAT_OP_UNCREDIT, /* listener handle: no credits any more; unclaimed offers go elsewhere */
	LEAT_OP_RELEASE, /* the next write restarts: the worker may free the last send chunk once
	                     all up to offset is acknowledged */
	LEAT_OP_WANT_CHUNKS, /* the grant ring ran dry; LEAT_CQE_CHUNKS tells when it did not */
	LEAT_OP_MOVE, /* handle's events go to this context from now on; LEAT_CQE_RESULT */
	/*
	 * One LEAT_CQE_RESULT with the same user_data each; result is 0 or -errno: */
	LEAT_OP_SOCKET, /* arg family, type, protocol -> handle */
	LEAT_OP_BIND, /* handle, addr -> addr (with the port chosen) */
	LEAT_OP_LISTEN, /* handle, value = backlog */
	LEAT_OP_CONNECT, /* handle, addr -> addr (local); established: LEAT_EV_OUT */
	LEAT_OP_SHUTDOWN, /* handle, value = SHUT_RD, SHUT_WR, SHUT_RDWR; all up to offset is sent first */
	LEAT_OP_CLOSE, /* handle: this process lets go of it; value not 0: no completion */
	LEAT_OP_SETSOCKOPT, /* handle, option */
	LEAT_OP_GETSOCKOPT, /* handle, option -> option */
	LEAT_OP_GETNAME, /* handle, value = 0 local, 1 peer -> addr */
	LEAT_OP_URGENT, /* handle: from now on the worker looks at its tx_urgent, which is 0 */
};

/* More follows what was written up to offset (MSG_MORE): while the stream ends there, a segment
 * that is not full may wait for it. */
#define LEAT_SYNC_MORE 1

struct leat_option {
	int16_t level;
	int16_t name;
	/* Of value; asking, how much there is room for; answered with more than LEAT_OPTION_BYTES,
	 * the value is leat_channel.answer. */
	uint32_t length_bytes;
	uint8_t value[LEAT_OPTION_BYTES];
};
_Static_assert(sizeof(struct leat_option) == 32, "an option is 32 bytes");

struct leat_sqe {
	uint8_t op; /* enum leat_op */
	uint8_t family; /* LEAT_OP_SOCKET: AF_INET */
	uint8_t type; /* LEAT_OP_SOCKET: SOCK_STREAM, SOCK_DGRAM */
	uint8_t protocol;
	int32_t value;
	struct leat_handle handle;
	uint64_t user_data;
	uint64_t offset;
	union {
		struct leat_addr addr;
		struct leat_option option;
	};
};
_Static_assert(sizeof(struct leat_sqe) == 64, "a submission is 64 bytes");

enum leat_cqe_type {
	LEAT_CQE_RESULT = 1, /* of the submission with the same user_data */
	LEAT_CQE_EVENT, /* events of handle, LEAT_EV_* */
	LEAT_CQE_ACCEPT, /* listener has a connection: handle, addr = peer, claim = offer word */
	LEAT_CQE_CHUNKS, /* the grant ring holds chunks again */
	LEAT_CQE_IDLE, /* handle's send ring has been empty for a while: restart and LEAT_OP_RELEASE */
};

struct leat_cqe {
	uint8_t type; /* enum leat_cqe_type */
	uint8_t reserved[3];
	int32_t result;
	struct leat_handle handle;
	union {
		uint64_t user_data; /* LEAT_CQE_RESULT */
		struct leat_handle listener; /* LEAT_CQE_ACCEPT */
	};
	uint32_t events;
	uint32_t claim;
	union {
		struct leat_addr addr;
		struct leat_option option;
	};
};
_Static_assert(sizeof(struct leat_cqe) == 64, "a completion is 64 bytes");

/* ---- Where things are --------------------------------------------------- */

static inline uint64_t leat_channel_size(uint32_t queue_entries, uint32_t grant_entries)
{
	return sizeof(struct leat_channel) +
	       (uint64_t)queue_entries * (sizeof(struct leat_sqe) + sizeof(struct leat_cqe)) +
	       (uint64_t)grant_entries * sizeof(uint32_t);
}

static inline struct leat_sqe *leat_channel_sq(struct leat_channel *c)
{
	return (struct leat_sqe *)(void *)(c + 1);
}

static inline struct leat_cqe *leat_channel_cq(struct leat_channel *c, uint32_t queue_entries)
{
	return (struct leat_cqe *)(void *)(leat_channel_sq(c) + queue_entries);
}

static inline uint32_t *leat_channel_grants(struct leat_channel *c, uint32_t queue_entries)
{
	return (uint32_t *)(void *)(leat_channel_cq(c, queue_entries) + queue_entries);
}

/* ---- Attaching: messages on the daemon's SOCK_SEQPACKET UNIX socket ------ */

enum leat_attach_op {
	LEAT_ATTACH_NEW = 1, /* a new session with one process and one context */
	LEAT_ATTACH_CONTEXT, /* one more context for this process */
	LEAT_ATTACH_DETACH, /* this context (value) is not used any more */
	LEAT_ATTACH_FORK, /* this process is about to fork: every sock gains a holder -> token */
	LEAT_ATTACH_UNFORK, /* the fork failed: forget the token */
	LEAT_ATTACH_CHILD, /* on a new connection: I am the child of token, with one context */
};

struct leat_attach_request {
	uint32_t version; /* LEAT_ABI_VERSION */
	uint32_t op;
	uint32_t value;
	uint32_t reserved;
	uint64_t token;
};

/*
 * The answer.  File descriptors come with it in this order:
 * LEAT_ATTACH_NEW and LEAT_ATTACH_CHILD: the region, one bell (eventfd) per
 * worker, the context's wake-up socket; LEAT_ATTACH_CONTEXT: the context's
 * wake-up socket.
 */
struct leat_attach_reply {
	int32_t result; /* 0 or -errno; -EPROTONOSUPPORT: version holds the daemon's */
	uint32_t version;
	uint32_t workers;
	uint32_t context; /* index of the new context */
	uint32_t process; /* index of this process in the session */
	uint32_t reserved;
	uint64_t token;
	uint64_t region_bytes;
};

#endif /* LEAT_ABI_H */
