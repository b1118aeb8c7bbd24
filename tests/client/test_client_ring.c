/* SPDX-License-Identifier: BSD-3-Clause */
/* <leat/cq.h>: queues, rings and chunks, below the socket API. */
#include <errno.h>
#include <leat/cq.h>
#include <string.h>

#include "helpers.h"
#include "ring.h"
#include "support/test.h"

#define CHUNK 256

struct queue {
	struct fake_daemon *d;
	struct leat_cq *cq;
	struct leat_handle h;
};

/* The next completion of a type; others are passed over. */
static struct leat_cqe next_of(struct queue *q, unsigned type)
{
	struct leat_cqe *cqe;

	while (leat_cq_wait(q->cq, &cqe, 1000000) == 0) {
		struct leat_cqe copy = *cqe;

		leat_cq_seen(q->cq);
		if (copy.type == type)
			return copy;
	}
	CHECK(!"a completion came");
	return (struct leat_cqe){0};
}

static struct leat_cqe call(struct queue *q, struct leat_sqe sqe)
{
	sqe.user_data = 77;
	REQUIRE_EQ(leat_cq_submit(q->cq, 0, &sqe), 0);
	return next_of(q, LEAT_CQE_RESULT);
}

static struct queue open_queue(void)
{
	struct queue q = {.d = fake_start_default()};
	struct leat_cqe cqe;

	REQUIRE_EQ(leat_cq_open(&q.cq), 0);
	CHECK_EQ(leat_cq_workers(q.cq), 1);
	cqe = call(&q,
		   (struct leat_sqe){.op = LEAT_OP_SOCKET, .family = AF_INET, .type = SOCK_STREAM});
	CHECK_EQ(cqe.result, 0);
	q.h = cqe.handle;
	fake_settle(q.d); /* chunks are granted */
	return q;
}

static void close_queue(struct queue *q)
{
	CHECK_EQ(call(q, (struct leat_sqe){.op = LEAT_OP_CLOSE, .handle = q->h}).result, 0);
	fake_settle(q->d);
	/* What it kept must be accounted for before it goes. */
	fake_stop(q->d);
	leat_cq_close(q->cq);
}

/* Reserves, writes the pattern, commits; how much. */
static size_t send_some(struct queue *q, size_t bytes, size_t offset)
{
	struct iovec iov[8];
	int count = 8;
	ssize_t n = leat_cq_send_reserve(q->cq, q->h, bytes, iov, &count);
	size_t done = 0;

	if (n < 0)
		return 0;
	for (int i = 0; i < count; i++) {
		fill_pattern(iov[i].iov_base, iov[i].iov_len, offset + done);
		done += iov[i].iov_len;
	}
	CHECK_EQ(done, n);
	CHECK_EQ(leat_cq_send_commit(q->cq, q->h, done), 0);
	return done;
}

/* Receives what is there and checks it. */
static size_t receive_some(struct queue *q, size_t limit, size_t offset)
{
	struct iovec iov[8];
	int count = 8;
	ssize_t n = leat_cq_recv_peek(q->cq, q->h, iov, &count);
	size_t done = 0;

	for (int i = 0; n > 0 && i < count && done < limit; i++) {
		size_t length = iov[i].iov_len < limit - done ? iov[i].iov_len : limit - done;

		CHECK(is_pattern(iov[i].iov_base, length, offset + done));
		done += length;
	}
	CHECK_EQ(leat_cq_recv_consume(q->cq, q->h, done), 0);
	return done;
}

static void deliver_pattern(struct queue *q, size_t length, size_t offset)
{
	uint8_t bytes[4096];

	fill_pattern(bytes, length, offset);
	fake_deliver(q->d, q->h, bytes, length);
}

static void receive_crosses_chunks(void)
{
	static const size_t steps[] = {1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 7, 2 * CHUNK - 8};
	struct queue q = open_queue();
	size_t offset = 0;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		deliver_pattern(&q, steps[i], offset);
		CHECK_EQ(receive_some(&q, SIZE_MAX, offset), steps[i]);
		offset += steps[i];
	}
	close_queue(&q);
}

static void receive_in_parts_stops_at_and_goes_on_from_boundaries(void)
{
	struct queue q = open_queue();

	deliver_pattern(&q, 4 * CHUNK, 0);
	CHECK_EQ(receive_some(&q, CHUNK, 0), CHUNK);
	CHECK_EQ(receive_some(&q, 1, CHUNK), 1);
	CHECK_EQ(receive_some(&q, 2 * CHUNK - 1, CHUNK + 1), 2 * CHUNK - 1);
	deliver_pattern(&q, CHUNK, 4 * CHUNK);
	CHECK_EQ(receive_some(&q, SIZE_MAX, 3 * CHUNK), 2 * CHUNK);
	CHECK_EQ(leat_cq_recv_consume(q.cq, q.h, 1), -EINVAL);
	close_queue(&q);
}

static void offsets_wrap(void)
{
	struct queue q = open_queue();
	uint8_t out[2048];
	size_t sent = 0, received = 0;

	fake_set_offsets(q.d, q.h, UINT64_MAX - 1000);
	while (sent < 4000) {
		size_t n = send_some(&q, 333, sent);

		CHECK_EQ(fake_sent(q.d, q.h, out, sizeof(out)), n);
		CHECK(is_pattern(out, n, sent));
		fake_acknowledge(q.d, q.h, n);
		sent += n;
		deliver_pattern(&q, 333, received);
		received += receive_some(&q, SIZE_MAX, received);
	}
	CHECK_EQ(received, sent);
	close_queue(&q);
}

static void send_grows_over_chunks_and_stops_at_the_limit(void)
{
	struct queue q = open_queue();
	uint8_t out[8192];
	size_t sent = 0, n;

	while ((n = send_some(&q, 1000, sent)) > 0) {
		sent += n;
		fake_settle(q.d); /* grants more chunks */
	}
	CHECK_EQ(sent, 4096);
	CHECK_EQ(fake_sent(q.d, q.h, out, sizeof(out)), sent);
	CHECK(is_pattern(out, sent, 0));
	CHECK_EQ(leat_cq_send_wake(q.cq, q.h, 1000), 0);
	fake_acknowledge(q.d, q.h, 999);
	CHECK_EQ(leat_cq_events(q.cq, q.h) & LEAT_EV_OUT, 0);
	fake_acknowledge(q.d, q.h, 1);
	CHECK(next_of(&q, LEAT_CQE_EVENT).events & LEAT_EV_OUT);
	CHECK_EQ(leat_cq_send_wake(q.cq, q.h, 1000), 1);
	CHECK_EQ(send_some(&q, 4096, sent), 1000);
	fake_acknowledge(q.d, q.h, 4096);
	CHECK(leat_cq_events(q.cq, q.h) & LEAT_EV_OUT);
	close_queue(&q);
}

static void room_is_told_of_once(void)
{
	struct queue q = open_queue();
	struct leat_cqe *cqe;
	size_t sent = 0;

	while (sent < 4096) {
		sent += send_some(&q, 4096 - sent, sent);
		fake_settle(q.d); /* grants more chunks */
	}
	CHECK_EQ(leat_cq_send_wake(q.cq, q.h, 1000), 0);
	fake_acknowledge(q.d, q.h, 1000);
	CHECK(next_of(&q, LEAT_CQE_EVENT).events & LEAT_EV_OUT);
	fake_acknowledge(q.d, q.h, 1000);
	fake_settle(q.d);
	while (leat_cq_peek(q.cq, &cqe) == 0) {
		CHECK_EQ(cqe->type == LEAT_CQE_EVENT ? cqe->events & LEAT_EV_OUT : 0, 0);
		leat_cq_seen(q.cq);
	}
	fake_acknowledge(q.d, q.h, 2096);
	close_queue(&q);
}

static void a_kick_leaves_what_is_reserved_alone(void)
{
	struct queue q = open_queue();
	struct iovec iov[8];
	int count = 8;

	CHECK_EQ(leat_cq_send_reserve(q.cq, q.h, 600, iov, &count), 600);
	CHECK_EQ(ring_kick(q.cq, q.h), 0);
	fake_settle(q.d);
	CHECK_EQ(leat_cq_send_commit(q.cq, q.h, 600), 0);
	fake_settle(q.d);
	fake_acknowledge(q.d, q.h, 600);
	close_queue(&q);
}

static void small_writes_share_a_chunk(void)
{
	struct queue q = open_queue();
	uint32_t free_before = 0, free_after = 0;

	fake_settle(q.d);
	for (int i = 0; i < FAKE_CHUNKS; i++)
		free_before += q.d->chunk_state[i] == FAKE_TX;
	for (size_t i = 0; i < CHUNK / 4; i++)
		CHECK_EQ(send_some(&q, 4, i * 4), 4);
	fake_settle(q.d);
	for (int i = 0; i < FAKE_CHUNKS; i++)
		free_after += q.d->chunk_state[i] == FAKE_TX;
	CHECK_EQ(free_after - free_before, 1);
	close_queue(&q);
}

static void what_was_reserved_and_not_sent_is_given_back(void)
{
	struct queue q = open_queue();
	struct iovec iov[8];
	uint8_t out[64];
	int count = 8;

	CHECK_EQ(leat_cq_send_reserve(q.cq, q.h, 5 * CHUNK, iov, &count), 5 * CHUNK);
	CHECK_EQ(count, 5);
	CHECK_EQ(leat_cq_send_commit(q.cq, q.h, 5 * CHUNK + 1), -EINVAL);
	fill_pattern(iov[0].iov_base, 10, 0);
	CHECK_EQ(leat_cq_send_commit(q.cq, q.h, 10), 0);
	CHECK_EQ(q.cq->channel[0].spare_count, 4);
	CHECK_EQ(fake_sent(q.d, q.h, out, sizeof(out)), 10);
	CHECK(is_pattern(out, 10, 0));
	CHECK_EQ(leat_cq_send_commit(q.cq, q.h, 1), -EINVAL);

	/* A second reservation takes the place of the first; nothing sent gives all back. */
	count = 8;
	CHECK_EQ(leat_cq_send_reserve(q.cq, q.h, CHUNK, iov, &count), CHUNK);
	count = 8;
	CHECK_EQ(leat_cq_send_reserve(q.cq, q.h, 3 * CHUNK, iov, &count), 3 * CHUNK);
	CHECK_EQ(leat_cq_send_commit(q.cq, q.h, 0), 0);
	CHECK_EQ(q.cq->channel[0].spare_count, 4);
	close_queue(&q);
}

static void a_first_reservation_can_be_given_back(void)
{
	struct queue q = open_queue();
	struct iovec iov[8];
	uint8_t out[CHUNK];
	int count = 8;

	CHECK_EQ(leat_cq_send_reserve(q.cq, q.h, 2 * CHUNK, iov, &count), 2 * CHUNK);
	CHECK_EQ(leat_cq_send_commit(q.cq, q.h, 0), 0);
	CHECK_EQ(q.cq->channel[0].spare_count, 2);
	CHECK_EQ(send_some(&q, CHUNK, 0), CHUNK);
	CHECK_EQ(fake_sent(q.d, q.h, out, sizeof(out)), CHUNK);
	CHECK(is_pattern(out, CHUNK, 0));
	close_queue(&q);
}

static void pieces_limit_what_is_described(void)
{
	struct queue q = open_queue();
	struct iovec iov[2];
	int count = 2;

	CHECK_EQ(leat_cq_send_reserve(q.cq, q.h, 4 * CHUNK, iov, &count), 2 * CHUNK);
	CHECK_EQ(leat_cq_send_commit(q.cq, q.h, 2 * CHUNK), 0);
	deliver_pattern(&q, 4 * CHUNK, 0);
	count = 1;
	CHECK_EQ(leat_cq_recv_peek(q.cq, q.h, iov, &count), CHUNK);
	CHECK_EQ(count, 1);
	close_queue(&q);
}

static void an_idle_ring_is_released_and_starts_again(void)
{
	struct queue q = open_queue();
	uint8_t out[2 * CHUNK];

	CHECK_EQ(send_some(&q, 100, 0), 100);
	/* Too early: not all is acknowledged. */
	CHECK_EQ(leat_cq_send_release(q.cq, q.h), 0);
	fake_settle(q.d);
	CHECK_EQ(fake_sock(q.d, q.h)->releases, 0);
	fake_acknowledge(q.d, q.h, 100);
	fake_tell_idle(q.d, q.h);
	next_of(&q, LEAT_CQE_IDLE);
	CHECK_EQ(leat_cq_send_release(q.cq, q.h), 0);
	fake_settle(q.d);
	CHECK_EQ(fake_sock(q.d, q.h)->releases, 1);
	CHECK_EQ(fake_sock(q.d, q.h)->tx_first, LEAT_NO_CHUNK);

	/* In the middle of a chunk's place, and once more before the worker has seen the release. */
	CHECK_EQ(send_some(&q, CHUNK, 100), CHUNK);
	CHECK_EQ(fake_sent(q.d, q.h, out, sizeof(out)), CHUNK);
	CHECK(is_pattern(out, CHUNK, 100));
	fake_acknowledge(q.d, q.h, CHUNK);
	fake_pause(q.d);
	CHECK_EQ(leat_cq_send_release(q.cq, q.h), 0);
	CHECK_EQ(send_some(&q, 50, 100 + CHUNK), 50);
	fake_resume(q.d);
	CHECK_EQ(fake_sent(q.d, q.h, out, sizeof(out)), 50);
	CHECK(is_pattern(out, 50, 100 + CHUNK));
	close_queue(&q);
}

static void one_kick_is_under_way_at_a_time(void)
{
	struct queue q = open_queue();
	uint8_t out[64];

	fake_pause(q.d);
	for (size_t i = 0; i < 10; i++)
		CHECK_EQ(send_some(&q, 4, i * 4), 4);
	CHECK_EQ(fake_slot(q.d, q.h)->kick, 1);
	fake_resume(q.d);
	CHECK_EQ(fake_sent(q.d, q.h, out, sizeof(out)), 40);
	CHECK_EQ(fake_sock(q.d, q.h)->syncs, 1);
	CHECK_EQ(send_some(&q, 4, 40), 4);
	fake_settle(q.d);
	CHECK_EQ(fake_sock(q.d, q.h)->syncs, 2);
	close_queue(&q);
}

static void consumption_is_told_when_asked_for(void)
{
	struct queue q = open_queue();

	deliver_pattern(&q, 600, 0);
	fake_slot(q.d, q.h)->rx_wake = 500;
	CHECK_EQ(receive_some(&q, 499, 0), 499);
	fake_settle(q.d);
	CHECK_EQ(fake_sock(q.d, q.h)->syncs, 0);
	CHECK_EQ(receive_some(&q, 1, 499), 1);
	fake_settle(q.d);
	CHECK_EQ(fake_sock(q.d, q.h)->syncs, 1);
	fake_slot(q.d, q.h)->rx_wake = LEAT_NO_OFFSET;
	CHECK_EQ(receive_some(&q, SIZE_MAX, 500), 100);
	fake_settle(q.d);
	CHECK_EQ(fake_sock(q.d, q.h)->syncs, 1);
	close_queue(&q);
}

static void a_full_submission_queue_is_an_ordinary_result(void)
{
	struct queue q = open_queue();
	struct leat_sqe sqe = {.op = LEAT_OP_GETNAME, .handle = q.h};
	struct iovec iov[4];
	int count = 4;

	fake_pause(q.d);
	for (int i = 0; i < 16; i++)
		CHECK_EQ(leat_cq_submit(q.cq, 0, &sqe), 0);
	CHECK_EQ(leat_cq_submit(q.cq, 0, &sqe), -EAGAIN);
	CHECK_EQ(leat_cq_submit(q.cq, 1, &sqe), -EINVAL);
	CHECK_EQ(leat_cq_send_reserve(q.cq, q.h, 4, iov, &count), 4);
	CHECK_EQ(leat_cq_send_commit(q.cq, q.h, 4), -EAGAIN);
	CHECK_EQ(leat_cq_send_commit(q.cq, q.h, 0), -EAGAIN);
	fake_resume(q.d);
	for (int i = 0; i < 16; i++)
		next_of(&q, LEAT_CQE_RESULT);
	CHECK_EQ(leat_cq_send_commit(q.cq, q.h, 0), 0);
	fake_settle(q.d);
	CHECK_EQ(fake_sock(q.d, q.h)->tx_tail, 4);
	close_queue(&q);
}

static void a_full_completion_queue_loses_no_event(void)
{
	struct queue q = open_queue();
	struct leat_sqe sqe = {.op = LEAT_OP_GETNAME, .handle = q.h};

	for (int i = 0; i < 16; i++)
		CHECK_EQ(leat_cq_submit(q.cq, 0, &sqe), 0);
	fake_settle(q.d);
	deliver_pattern(&q, 10, 0); /* no room to tell of it */
	for (int i = 0; i < 16; i++)
		next_of(&q, LEAT_CQE_RESULT);
	CHECK(next_of(&q, LEAT_CQE_EVENT).events & LEAT_EV_IN);
	close_queue(&q);
}

static void chunks_are_asked_for_once(void)
{
	struct queue q = open_queue();
	struct iovec iov[8];
	int count = 8;

	fake_grant(q.d, false);
	CHECK_EQ(leat_cq_send_reserve(q.cq, q.h, 4096, iov, &count), 8 * CHUNK);
	CHECK_EQ(leat_cq_send_commit(q.cq, q.h, 8 * CHUNK), 0);
	fake_settle(q.d);
	for (int i = 0; i < 3; i++) {
		count = 8;
		CHECK_EQ(leat_cq_send_reserve(q.cq, q.h, 4, iov, &count), -EAGAIN);
	}
	CHECK(q.cq->channel[0].asked);
	CHECK_EQ(q.cq->channel[0].sq_tail, 3); /* socket, sync, one wish for chunks */
	fake_grant(q.d, true);
	next_of(&q, LEAT_CQE_CHUNKS);
	CHECK_EQ(send_some(&q, 4, 0), 4);
	close_queue(&q);
}

static void the_end_and_errors_show(void)
{
	struct queue q = open_queue();
	struct iovec iov[2];
	int count = 2;

	CHECK_EQ(leat_cq_recv_peek(q.cq, q.h, iov, &count), -EAGAIN);
	deliver_pattern(&q, 5, 0);
	fake_finish(q.d, q.h);
	CHECK_EQ(leat_cq_events(q.cq, q.h) & (LEAT_EV_IN | LEAT_EV_RDHUP),
		 LEAT_EV_IN | LEAT_EV_RDHUP);
	CHECK_EQ(receive_some(&q, SIZE_MAX, 0), 5);
	count = 2;
	CHECK_EQ(leat_cq_recv_peek(q.cq, q.h, iov, &count), 0);
	CHECK_EQ(leat_cq_error(q.cq, q.h), 0);
	fake_reset(q.d, q.h, ECONNRESET);
	CHECK_EQ(leat_cq_error(q.cq, q.h), ECONNRESET);
	close_queue(&q);
}

static void stale_handles_are_refused(void)
{
	struct queue q = open_queue();
	struct leat_handle stale = {q.h.slot, q.h.generation + 1}, wild = {1u << 30, 1};
	struct iovec iov[2];
	int count = 2;

	CHECK_EQ(leat_cq_recv_peek(q.cq, stale, iov, &count), -EBADF);
	CHECK_EQ(leat_cq_send_reserve(q.cq, stale, 1, iov, &count), -EBADF);
	CHECK_EQ(leat_cq_events(q.cq, wild), -EBADF);
	CHECK_EQ(leat_cq_send_commit(q.cq, wild, 0), -EBADF);
	CHECK_EQ(call(&q, (struct leat_sqe){.op = LEAT_OP_GETNAME, .handle = stale}).result,
		 -EBADF);
	close_queue(&q);
}

static void waiting_times_out_and_wakes(void)
{
	struct queue q = open_queue();
	struct leat_cqe *cqe;
	int64_t start = now_us();

	CHECK_EQ(leat_cq_peek(q.cq, &cqe), -EAGAIN);
	CHECK_EQ(leat_cq_wait(q.cq, &cqe, 20000), -ETIME);
	CHECK(now_us() - start >= 20000);
	deliver_pattern(&q, 1, 0);
	CHECK_EQ(leat_cq_wait(q.cq, &cqe, -1), 0);
	CHECK_EQ(cqe->type, LEAT_CQE_EVENT);
	leat_cq_seen(q.cq);
	close_queue(&q);
}

TEST_SUITE(client_ring)
{
	TEST(receive_crosses_chunks);
	TEST(receive_in_parts_stops_at_and_goes_on_from_boundaries);
	TEST(offsets_wrap);
	TEST(send_grows_over_chunks_and_stops_at_the_limit);
	TEST(room_is_told_of_once);
	TEST(a_kick_leaves_what_is_reserved_alone);
	TEST(small_writes_share_a_chunk);
	TEST(what_was_reserved_and_not_sent_is_given_back);
	TEST(a_first_reservation_can_be_given_back);
	TEST(pieces_limit_what_is_described);
	TEST(an_idle_ring_is_released_and_starts_again);
	TEST(one_kick_is_under_way_at_a_time);
	TEST(consumption_is_told_when_asked_for);
	TEST(a_full_submission_queue_is_an_ordinary_result);
	TEST(a_full_completion_queue_loses_no_event);
	TEST(chunks_are_asked_for_once);
	TEST(the_end_and_errors_show);
	TEST(stale_handles_are_refused);
	TEST(waiting_times_out_and_wakes);
}
