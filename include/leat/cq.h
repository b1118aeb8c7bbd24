/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * leat's completion API: the layer the socket API is built on.  One queue
 * carries submissions to every worker and brings back completions; received
 * bytes are read, and bytes to send written, where they lie, without a copy.
 *
 *	struct leat_cq *cq;
 *	struct leat_cqe *cqe;
 *	leat_cq_open(&cq);
 *	leat_cq_submit(cq, 0, &(struct leat_sqe){.op = LEAT_OP_SOCKET, .family = AF_INET,
 *						 .type = SOCK_STREAM, .user_data = 1});
 *	while (leat_cq_wait(cq, &cqe, -1) == 0) {
 *		...
 *		leat_cq_seen(cq);
 *	}
 *
 * Submissions and completions are those of <leat/abi.h>, where each opcode's
 * and completion's fields are described.  A sock is named by its handle, which
 * the LEAT_CQE_RESULT of LEAT_OP_SOCKET or a claimed LEAT_CQE_ACCEPT brings.  It
 * lives on one worker: a listener that is to hear all connections is opened and
 * bound on each worker (leat_cq_workers), in order, on the same port.
 *
 * What arrives as a completion:
 *   LEAT_CQE_RESULT  the answer to a submission, found by user_data
 *   LEAT_CQE_EVENT   events: LEAT_EV_IN data or end of stream to receive,
 *                    LEAT_EV_OUT connected or room to send (leat_cq_send_wake),
 *                    LEAT_EV_ERR an error (leat_cq_error)
 *   LEAT_CQE_ACCEPT  a connection, offered against LEAT_OP_CREDIT: leat_cq_claim
 *   LEAT_CQE_CHUNKS  a worker has chunks again: repeat leat_cq_send_reserve
 *   LEAT_CQE_IDLE    the send ring has been empty for a while: leat_cq_send_release
 *
 * What holds for every call unless its comment says otherwise:
 *
 * - Functions return 0 or more, or a negative errno value; they do not set errno.
 * - A queue and the socks used through it belong to one thread at a time.
 *   Different queues are independent.
 * - -ENETDOWN: leatd ended; only leat_cq_close is still of use.
 * - -EBADF: the handle is out of range or stale.
 * - Nothing but leat_cq_open, leat_cq_close and leat_cq_wait blocks.
 * - After fork the queue belongs to the parent.  The child opens its own and
 *   brings a sock's events to it with LEAT_OP_MOVE.
 */
#ifndef LEAT_CQ_H
#define LEAT_CQ_H

#include <leat/abi.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct leat_cq;

/*
 * Opens a queue (a context of this process); attaches to leatd first if need be (see leat_init in
 * <leat/leat.h>).  *out is the caller's until leat_cq_close.
 *
 * 0, or what leat_init fails with; -ENOSPC: the session has no context left; -ENOMEM, -EMFILE.
 */
int leat_cq_open(struct leat_cq **out);

/* Closes the queue.  Socks opened through it stay open, without events; close them before. */
void leat_cq_close(struct leat_cq *cq);

/* How many workers leatd has, 1 to LEAT_MAX_WORKERS. */
unsigned leat_cq_workers(const struct leat_cq *cq);

/* The worker that owns the sock, 0 to leat_cq_workers - 1. */
unsigned leat_cq_worker(const struct leat_cq *cq, struct leat_handle handle);

/*
 * Hands *sqe (copied) to a worker: the sock's own for operations on a handle, any for
 * LEAT_OP_SOCKET.
 *
 * 0; -EAGAIN: the submission queue is full; take completions, then try again (a worker that cannot
 * deliver completions takes no submissions); -EINVAL: no such worker; -ENETDOWN.
 */
int leat_cq_submit(struct leat_cq *cq, unsigned worker, const struct leat_sqe *sqe);

/*
 * The oldest completion of some worker, without taking it: valid until leat_cq_seen.  Workers
 * take turns.
 *
 * 0; -EAGAIN: there is none (about every 50 ms of such calls it looks whether leatd lives);
 * -ENETDOWN.
 */
int leat_cq_peek(struct leat_cq *cq, struct leat_cqe **cqe);

/*
 * The same, but waits up to timeout_us microseconds (negative: without end) for one: a short
 * adaptive spin, then asleep.
 *
 * 0; -ETIME: none came in time; -EINTR: a signal handler ran; -ENETDOWN.
 */
int leat_cq_wait(struct leat_cq *cq, struct leat_cqe **cqe, int64_t timeout_us);

/* Gives the completion leat_cq_peek or leat_cq_wait showed last back to the worker. */
void leat_cq_seen(struct leat_cq *cq);

/*
 * Takes the connection a LEAT_CQE_ACCEPT offers; its handle is then the caller's to close.
 *
 * 0; -ECONNABORTED: taken back meanwhile (it was offered for long, or ended); its credit is spent
 * all the same.
 */
int leat_cq_claim(struct leat_cq *cq, const struct leat_cqe *accept);

/*
 * The sock's state now, LEAT_EV_* (the sticky ones, LEAT_EV_IN when there is something to receive,
 * LEAT_EV_PRI when leat_cq_recv_urgent has something to tell, LEAT_EV_OUT when at least a third of the send buffer is free), or -EBADF.
 */
int leat_cq_events(struct leat_cq *cq, struct leat_handle handle);

/* The last error of the sock as a positive errno value, or 0; it stays until the next. */
int leat_cq_error(struct leat_cq *cq, struct leat_handle handle);

/* ---- Receive in place ---------------------------------------------------- */

/*
 * Describes received bytes where they lie, from the oldest on, in up to *iov_count pieces (set to
 * the number used).  They stay valid until leat_cq_recv_consume.  A datagram sock's bytes are
 * records: struct leat_record, the data, padding to LEAT_RECORD_ALIGN; a record may span pieces.
 *
 * How many bytes were described; 0: end of the stream; -EAGAIN: none there, LEAT_EV_IN will tell.
 */
ssize_t leat_cq_recv_peek(struct leat_cq *cq, struct leat_handle handle, struct iovec *iov,
			  int *iov_count);

/*
 * Where the peer's urgent data ends: *bytes lie between the oldest byte that was not consumed and
 * the last urgent one, which may not have arrived yet and is left where it is in the stream.
 * LEAT_EV_PRI tells when there is some and when its end moves on.
 *
 * 0; -ENODATA: there is none, or it was consumed.
 */
int leat_cq_recv_urgent(struct leat_cq *cq, struct leat_handle handle, uint64_t *bytes);

/*
 * The first bytes of what leat_cq_recv_peek described are done with, and their memory the
 * worker's again.
 *
 * 0; -EINVAL: more than is there; -EAGAIN: done, but the worker waits to be told and the submission
 * queue is full: take completions, then call again with bytes 0.
 */
int leat_cq_recv_consume(struct leat_cq *cq, struct leat_handle handle, size_t bytes);

/* ---- Send in place ------------------------------------------------------- */

/*
 * Reserves room in the send ring and describes it in up to *iov_count pieces (set to the number
 * used).  Write there, then leat_cq_send_commit.  A second call before that replaces the first.
 * Datagrams: whole records, see leat_cq_recv_peek; addr AF_UNSPEC: to the connected peer.
 *
 * How many bytes were reserved: at least 1, at most bytes, fewer if the ring has no more room, the
 * pieces ran out or chunks did; -EAGAIN: none; leat_cq_send_wake tells when there are (for chunks:
 * LEAT_CQE_CHUNKS, asked for by this call); -EINVAL: bytes is 0.
 */
ssize_t leat_cq_send_reserve(struct leat_cq *cq, struct leat_handle handle, size_t bytes,
			     struct iovec *iov, int *iov_count);

/*
 * Sends the first bytes of what is reserved and gives the rest back.  Call it with 0 to send
 * nothing (needed before LEAT_OP_CLOSE).
 *
 * 0; -EINVAL: more than was reserved; -EAGAIN: done, but the submission queue is full and the worker
 * does not know: take completions, then call again with bytes 0.
 */
int leat_cq_send_commit(struct leat_cq *cq, struct leat_handle handle, size_t bytes);

/*
 * The same, with word that more follows soon: what does not fill a segment may wait for it, up to
 * 200 ms (MSG_MORE).
 */
int leat_cq_send_commit_more(struct leat_cq *cq, struct leat_handle handle, size_t bytes);

/*
 * Before leat_cq_send_commit of that many bytes: they end urgent data, as MSG_OOB has it.
 * LEAT_OP_URGENT must have been answered before.  0 always.
 */
int leat_cq_send_urgent(struct leat_cq *cq, struct leat_handle handle, size_t bytes);

/*
 * Asks for one LEAT_EV_OUT when bytes (at most the send buffer's size) can be written.
 *
 * 1: they can now, no event will come; 0: the event will come.
 */
int leat_cq_send_wake(struct leat_cq *cq, struct leat_handle handle, size_t bytes);

/*
 * If all sent bytes are acknowledged, gives the memory of the send ring back; the next
 * leat_cq_send_reserve takes new.  0 always, also when it was too early.
 */
int leat_cq_send_release(struct leat_cq *cq, struct leat_handle handle);

#endif /* LEAT_CQ_H */
