/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What does it cost to hand bytes over through shared memory?  A sock's two
 * rings alone, without any protocol: the worker's side in the stack, the
 * application's in libleat, taking turns on one core, so each finds in the
 * cache what the other wrote there.  On two cores the lines have to travel as
 * well.
 */
#include <leat/cq.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "bench.h"
#include "farend.h"
#include "lab.h"
#include "shm/ring.h"
#include "shm/session.h"
#include "sock/sock.h"

#define MEGABYTES 256
#define OPS       64u /* pieces of a round */
#define PIECES    4

static struct leat_cq *cq;
static struct leat_handle handle;
static struct sock *sk;
static uint32_t bytes; /* of a piece */
static bool copies; /* what is sent, whatever its size */
static struct rte_mbuf *packet; /* a received one, with so many */
static struct rte_mbuf *sent[OPS];
static char buffer[FAREND_MSS];

/* What the worker did reaches the application, and the other way round. */
static void publish(uint32_t events)
{
	struct leat_cqe *cqe;

	sock_raise(lab_worker(0), sk, events);
	(void)lab_poll();
	while (leat_cq_peek(cq, &cqe) == 0)
		leat_cq_seen(cq);
}

/* ---- receive --------------------------------------------------------------- */

static void worker_writes(void *arg)
{
	struct worker *w = lab_worker(0);
	struct ring_pair *r = &sk->ring;

	(void)arg;
	for (uint32_t i = 0; i < OPS; i++) {
		if (rx_ring_sync(w, r) != 0 ||
		    rx_ring_write(w, r, r->rx_tail, packet, 0, bytes) != 0)
			bench_fail("the receive ring is full");
		rx_ring_advance(r, bytes);
	}
}

static void application_reads(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < OPS; i++) {
		struct iovec iov[PIECES];
		int count = PIECES;
		uint32_t taken = 0;

		if (leat_cq_recv_peek(cq, handle, iov, &count) < (ssize_t)bytes)
			bench_fail("nothing to read");
		for (int k = 0; k < count && taken < bytes; k++) {
			uint32_t n = RTE_MIN(bytes - taken, (uint32_t)iov[k].iov_len);

			memcpy(buffer + taken, iov[k].iov_base, n);
			taken += n;
		}
		(void)leat_cq_recv_consume(cq, handle, bytes);
	}
}

static void empty_receive(void *arg)
{
	(void)rx_ring_sync(lab_worker(0), &sk->ring);
	if (rx_ring_used(&sk->ring) == 0)
		return;
	publish(LEAT_EV_IN);
	application_reads(arg);
	(void)rx_ring_sync(lab_worker(0), &sk->ring);
}

static void fill_receive(void *arg)
{
	empty_receive(arg);
	worker_writes(arg);
	publish(LEAT_EV_IN);
}

/* ---- send ------------------------------------------------------------------- */

static void application_writes(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < OPS; i++) {
		struct iovec iov[PIECES];
		int count = PIECES;
		uint32_t given = 0;

		if (leat_cq_send_reserve(cq, handle, bytes, iov, &count) != (ssize_t)bytes)
			bench_fail("the send ring is full");
		for (int k = 0; k < count; k++) {
			memcpy(iov[k].iov_base, buffer + given, iov[k].iov_len);
			given += (uint32_t)iov[k].iov_len;
		}
		(void)leat_cq_send_commit(cq, handle, bytes);
	}
}

static void worker_sends(void *arg)
{
	struct worker *w = lab_worker(0);
	struct ring_pair *r = &sk->ring;
	uint64_t offset = r->tx_head;

	(void)arg;
	for (uint32_t i = 0; i < OPS; i++) {
		sent[i] = worker_mbuf(w);
		if (tx_ring_sync(w, r) != 0 ||
		    tx_ring_append(w, r, sent[i], offset, bytes, copies) != 0)
			bench_fail("nothing to send");
		offset += bytes;
	}
	rte_pktmbuf_free_bulk(sent, OPS);
	tx_ring_done(w, r, offset);
}

static void empty_send(void *arg)
{
	(void)tx_ring_sync(lab_worker(0), &sk->ring);
	if (tx_ring_used(&sk->ring) > 0)
		worker_sends(arg);
	publish(0); /* and new chunks are granted */
}

static void fill_send(void *arg)
{
	empty_send(arg);
	application_writes(arg);
}

/* ---- both --------------------------------------------------------------------- */

static void report(const char *variant, void (*prepare)(void *), void (*run)(void *))
{
	const struct bench_work work = {prepare, run, NULL, OPS};

	bench_report(&(struct bench_figure){
		.benchmark = "ring",
		.variant = variant,
		.cycles_per_op = bench_measure(&work),
		.burst = OPS,
		.more = {{"bytes", bytes}},
	});
}

static void measure(uint32_t piece)
{
	bytes = piece;
	packet = lab_mbuf();
	memset(rte_pktmbuf_append(packet, (uint16_t)bytes), 'x', bytes);
	report("receive, worker", empty_receive, worker_writes);
	report("receive, application", fill_receive, application_reads);
	empty_receive(NULL);
	report("send, application", empty_send, application_writes);
	report("send, worker", fill_send, worker_sends);
	empty_send(NULL);
	rte_pktmbuf_free(packet);
}

/* ---- copy or point at it? ------------------------------------------------------ */

static void worker_sends_copies(void *arg)
{
	copies = true;
	worker_sends(arg);
	copies = false;
}

/* The worker's side alone.  What the port reads of an mbuf is not in it, nor what a checksum reads. */
static void compare_copies(void)
{
	static const uint32_t sizes[] = {64, 128, 256, 512, 1024, FAREND_MSS};
	uint32_t copybreak = lab_worker(0)->config.copybreak_bytes;

	lab_worker(0)->config.copybreak_bytes = 0;
	for (unsigned i = 0; i < RTE_DIM(sizes); i++) {
		bytes = sizes[i];
		report("send, worker, in place", fill_send, worker_sends);
		report("send, worker, copied", fill_send, worker_sends_copies);
	}
	empty_send(NULL);
	lab_worker(0)->config.copybreak_bytes = copybreak;
}

/* ---- the program ---------------------------------------------------------------- */

/* A sock that is not connected: nobody but this program uses its rings. */
static void open_sock(void)
{
	struct leat_sqe sqe = {.op = LEAT_OP_SOCKET, .family = AF_INET, .type = SOCK_STREAM};
	struct leat_cqe *cqe;

	if (leat_cq_open(&cq) != 0 || leat_cq_submit(cq, 0, &sqe) != 0 ||
	    leat_cq_wait(cq, &cqe, -1) != 0 || cqe->result != 0)
		bench_fail("no sock");
	handle = cqe->handle;
	leat_cq_seen(cq);
	sk = arena_sock(lab_arena(), handle);
}

int main(int argc, char **argv)
{
	bench_begin(argc, argv, MEGABYTES);
	lab_begin(1);
	open_sock();
	measure(64);
	measure(FAREND_MSS);
	compare_copies();
	lab_end();
	return bench_end();
}
