/* SPDX-License-Identifier: BSD-3-Clause */
/* Submissions, completions, grants, the doorbell and the wake-up. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/fakeproto.h"

#define ENTRIES 8 /* of each queue */

static struct host *h;

static void begin_with(uint32_t chunks, uint32_t grants)
{
	struct host_config config = host_config_default();

	config.session.queue_entries = ENTRIES;
	config.session.chunks_per_worker = chunks;
	config.session.grant_entries = grants;
	config.session.chunk_shift = 12;
	h = host_new(&config);
	fake_use(h);
}

static void begin(void)
{
	begin_with(64, 8);
}

static void end(void)
{
	host_end(h);
}

static struct channel *channel(void)
{
	return &h->session->arenas[0].channels[0];
}

static struct app_channel *shared(void)
{
	return &h->app.channel[0][0];
}

static void submit_socket(uint64_t user_data)
{
	struct leat_sqe sqe = {
		.op = LEAT_OP_SOCKET,
		.family = AF_INET,
		.type = SOCK_STREAM,
		.user_data = user_data,
	};

	CHECK(app_submit(&h->app, 0, 0, &sqe));
}

/* ---- submissions ----------------------------------------------------------- */

static void results_come_in_order_with_their_user_data(void)
{
	struct leat_cqe cqe;

	begin();
	h->app.manual = true;
	for (uint64_t i = 1; i <= ENTRIES; i++)
		submit_socket(1000 + i);
	host_poll(h);
	for (uint64_t i = 1; i <= ENTRIES; i++) {
		REQUIRE(app_reap(&h->app, 0, 0, &cqe));
		CHECK_EQ(cqe.type, LEAT_CQE_RESULT);
		CHECK_EQ(cqe.user_data, 1000 + i);
		CHECK_EQ(cqe.result, 0);
	}
	CHECK(!app_reap(&h->app, 0, 0, &cqe));
	CHECK_EQ(fake_calls.created, ENTRIES);
	end();
}

static void queue_positions_wrap_at_32_bits(void)
{
	struct app_channel *c;

	begin();
	c = shared();
	/* As if so many entries had gone through. */
	c->shared->sq_tail = c->shared->sq_head = c->sq_tail = channel()->sq_head = UINT32_MAX - 2;
	c->shared->cq_tail = c->shared->cq_head = c->cq_head = channel()->cq_tail = UINT32_MAX - 2;
	for (int i = 0; i < 20; i++) {
		struct app_sock s;

		CHECK_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
		CHECK_EQ(app_close(&s), 0);
	}
	CHECK_EQ(h->condemned, 0);
	end();
}

static void a_socket_of_unknown_kind_is_refused(void)
{
	struct leat_sqe sqe = {.op = LEAT_OP_SOCKET, .family = AF_UNIX, .type = SOCK_STREAM};

	begin();
	CHECK_EQ(app_call(&h->app, 0, 0, &sqe, NULL), -EAFNOSUPPORT);
	sqe.family = AF_INET;
	sqe.type = SOCK_RAW;
	CHECK_EQ(app_call(&h->app, 0, 0, &sqe, NULL), -ESOCKTNOSUPPORT);
	sqe.type = SOCK_STREAM;
	sqe.protocol = 17;
	CHECK_EQ(app_call(&h->app, 0, 0, &sqe, NULL), -EPROTONOSUPPORT);
	fake_calls.fail_create = 1;
	sqe.protocol = 0;
	CHECK_EQ(app_call(&h->app, 0, 0, &sqe, NULL), -ENOBUFS);
	CHECK_EQ(h->condemned, 0);
	end();
}

static void a_stale_handle_gets_ebadf(void)
{
	struct app_sock first, second;

	begin();
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &first), 0);
	REQUIRE_EQ(app_close(&first), 0);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &second), 0);
	CHECK_EQ(second.handle.slot, first.handle.slot); /* the same slot, another generation */
	CHECK(second.handle.generation != first.handle.generation);
	CHECK_EQ(app_bind(&first, HOST_ADDR, 1000), -EBADF);
	CHECK_EQ(app_close(&first), -EBADF);
	app_kick(&first); /* without a result it is no news to anyone */
	host_poll(h);
	CHECK_EQ(fake_calls.synced, 0);
	CHECK(host_sock(&second) != NULL);
	CHECK_EQ(h->condemned, 0);
	end();
}

static void a_handle_never_given_out_gets_ebadf(void)
{
	struct app_sock s;

	begin();
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	s.handle.slot++;
	CHECK_EQ(app_listen(&s, 1), -EBADF);
	s.handle.slot = UINT32_MAX;
	CHECK_EQ(app_listen(&s, 1), -EBADF);
	end();
}

static void an_unknown_operation_condemns(void)
{
	struct app_sock s;
	struct leat_sqe sqe = {.op = 200};

	begin();
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	sqe.handle = s.handle;
	CHECK(app_submit(&h->app, 0, 0, &sqe));
	host_poll(h);
	CHECK_EQ(h->condemned, 1);
	submit_socket(1); /* nothing of it is served any more */
	host_poll(h);
	CHECK_EQ(fake_calls.created, 1);
	CHECK_EQ(h->condemned, 1);
	end();
}

static void an_impossible_sq_tail_condemns(void)
{
	begin();
	shared()->shared->sq_tail = shared()->sq_tail + ENTRIES + 1;
	host_poll(h);
	CHECK_EQ(h->condemned, 1);
	CHECK_EQ(fake_calls.created, 0);
	end();
}

/* It is looked at when there may be something to complete. */
static void an_impossible_cq_head_condemns(void)
{
	begin();
	shared()->shared->cq_head = shared()->shared->cq_tail + 1;
	shared()->shared->sq_tail = shared()->sq_tail + 1;
	host_poll(h);
	CHECK_EQ(fake_calls.created, 0);
	CHECK_EQ(h->condemned, 1);
	end();
}

static void an_impossible_grant_head_condemns(void)
{
	begin();
	shared()->shared->grant_head = shared()->shared->grant_tail + 1;
	host_poll(h);
	CHECK_EQ(h->condemned, 1);
	end();
}

static void close_without_a_completion_is_possible(void)
{
	struct leat_sqe sqe = {.op = LEAT_OP_CLOSE, .value = 1};
	struct app_sock s;
	struct leat_cqe cqe;

	begin();
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	h->app.manual = true;
	sqe.handle = s.handle;
	CHECK(app_submit(&h->app, 0, 0, &sqe));
	host_poll(h);
	CHECK_EQ(fake_calls.closed, 1);
	CHECK(!app_reap(&h->app, 0, 0, &cqe));
	end();
}

static void a_moved_sock_tells_its_new_context(void)
{
	struct leat_sqe sqe = {.op = LEAT_OP_MOVE};
	struct app_sock s;

	begin();
	channel_open(h->w, &h->session->arenas[0], 1, 0, -1);
	app_open_context(&h->app, 1);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	fake_receive(h->w, host_sock(&s), 10);
	host_poll(h);
	CHECK(app_take_events(&s) & LEAT_EV_IN); /* told to context 0 */
	sqe.handle = s.handle;
	CHECK_EQ(app_call(&h->app, 1, 0, &sqe, NULL), 0);
	host_poll(h);
	CHECK(host_sock(&s)->channel == &h->session->arenas[0].channels[1]);
	CHECK(app_take_events(&s) & LEAT_EV_IN); /* it counts anew for context 1 */
	end();
}

/* ---- completions ----------------------------------------------------------- */

static void a_full_queue_holds_submissions_back(void)
{
	struct leat_cqe cqe;

	begin();
	h->app.manual = true;
	for (int i = 0; i < ENTRIES; i++)
		submit_socket(1);
	host_settle(h);
	for (int i = 0; i < 3; i++)
		submit_socket(2);
	host_settle(h);
	CHECK_EQ(fake_calls.created, ENTRIES); /* no room to tell of more */
	CHECK(app_reap(&h->app, 0, 0, &cqe));
	CHECK(app_reap(&h->app, 0, 0, &cqe));
	host_settle(h);
	CHECK_EQ(fake_calls.created, ENTRIES + 2);
	end();
}

static void a_full_queue_loses_no_event(void)
{
	struct app_sock s[3 * ENTRIES];
	struct leat_cqe cqe;
	unsigned told[3 * ENTRIES] = {0};

	begin();
	for (int i = 0; i < 3 * ENTRIES; i++)
		REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s[i]), 0);
	h->app.manual = true;
	for (int round = 0; round < 3; round++) /* raised again while it waits: still one entry */
		for (int i = 0; i < 3 * ENTRIES; i++) {
			REQUIRE_EQ(fake_receive(h->w, host_sock(&s[i]), 10), 0);
			host_poll(h);
		}
	for (int polls = 0; polls < 10; polls++) {
		while (app_reap(&h->app, 0, 0, &cqe)) {
			CHECK_EQ(cqe.type, LEAT_CQE_EVENT);
			CHECK(cqe.events & LEAT_EV_IN);
			for (int i = 0; i < 3 * ENTRIES; i++)
				told[i] += s[i].handle.slot == cqe.handle.slot ? 1 : 0;
		}
		host_poll(h);
	}
	for (int i = 0; i < 3 * ENTRIES; i++) {
		CHECK_RANGE(told[i], 1, 3);
		CHECK_EQ(app_read_pattern(&s[i], 100), 30);
	}
	end();
}

static void offers_leave_room_for_results(void)
{
	struct app_sock listener;
	struct leat_sqe credit = {.op = LEAT_OP_CREDIT, .value = 100};
	struct leat_cqe cqe;
	uint32_t results = 0, accepts = 0;

	begin();
	fake_listen(h, &listener, 80, 64);
	for (uint16_t port = 1; port <= 2 * ENTRIES; port++)
		REQUIRE_EQ(fake_establish(&listener, port, NULL), 0);
	h->app.manual = true;
	/* The credit comes first: its offers must not use the room of the results behind it. */
	credit.handle = listener.handle;
	CHECK(app_submit(&h->app, 0, 0, &credit));
	for (int i = 0; i < ENTRIES - 1; i++)
		submit_socket(7);
	for (int polls = 0; polls < 20; polls++) {
		host_poll(h);
		CHECK(shared()->shared->cq_tail - shared()->shared->cq_head <= ENTRIES);
		while (polls > 2 && app_reap(&h->app, 0, 0, &cqe)) {
			results += cqe.type == LEAT_CQE_RESULT && cqe.user_data == 7 ? 1 : 0;
			accepts += cqe.type == LEAT_CQE_ACCEPT ? 1 : 0;
		}
		host_advance_ms(h, 10);
	}
	CHECK_EQ(results, ENTRIES - 1);
	CHECK(accepts >= 2 * ENTRIES); /* some were taken back and offered again */
	end();
}

static void events_of_one_iteration_are_one_completion(void)
{
	struct app_sock s;

	begin();
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	sock_raise(h->w, host_sock(&s), LEAT_EV_IN);
	sock_raise(h->w, host_sock(&s), LEAT_EV_RDHUP | LEAT_EV_IN);
	host_poll(h);
	CHECK_EQ(app_take_events(&s), LEAT_EV_IN | LEAT_EV_RDHUP);
	CHECK_EQ(s.event_count, 1);
	CHECK(app_has(&s, LEAT_EV_RDHUP)); /* sticky */
	CHECK(!app_has(&s, LEAT_EV_IN));
	end();
}

static void out_is_raised_once_tx_head_reaches_tx_wake(void)
{
	struct app_sock s;
	struct sock *sk;

	begin();
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	sk = host_sock(&s);
	app_write_pattern(&s, 100);
	s.slot->tx_wake = 60;
	host_poll(h);
	tx_ring_done(h->w, &sk->ring, 59);
	sock_raise(h->w, sk, 0);
	host_poll(h);
	CHECK_EQ(app_take_events(&s), 0);
	CHECK_EQ(s.slot->tx_head, 59); /* the position is told without a completion */
	tx_ring_done(h->w, &sk->ring, 60);
	sock_raise(h->w, sk, 0);
	host_poll(h);
	CHECK_EQ(app_take_events(&s), LEAT_EV_OUT);
	end();
}

static void each_error_is_reported_once(void)
{
	struct app_sock s;

	begin();
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	sock_raise_error(h->w, host_sock(&s), ECONNRESET);
	host_poll(h);
	CHECK_EQ(app_take_events(&s), LEAT_EV_ERR);
	CHECK_EQ(s.slot->error, ECONNRESET);
	CHECK_EQ(s.slot->error_seq, 1);
	sock_raise_error(h->w, host_sock(&s), ECONNRESET);
	host_poll(h);
	CHECK_EQ(s.slot->error_seq, 2);
	end();
}

/* ---- grants ---------------------------------------------------------------- */

static void grants_are_topped_up_as_they_are_used(void)
{
	struct app_sock s;
	struct sock *sk;

	begin_with(64, 8);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	sk = host_sock(&s);
	CHECK_EQ(shared()->shared->grant_tail - shared()->shared->grant_head, 8);
	for (int i = 0; i < 40; i++) {
		CHECK_EQ(app_write_pattern(&s, 4096), 4096);
		host_poll(h);
		tx_ring_done(h->w, &sk->ring, sk->ring.tx_tail);
		sock_raise(h->w, sk, 0);
		host_poll(h);
	}
	CHECK_EQ(s.tx_tail, 40 * 4096);
	CHECK_EQ(h->app.chunks_count, 0); /* never ran dry */
	end();
}

static void a_starved_context_is_told_of_chunks(void)
{
	struct app_sock s;
	struct sock *sk;

	begin_with(8, 8);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	sk = host_sock(&s);
	CHECK_EQ(app_write_pattern(&s, 10 * 4096), 8 * 4096); /* all there are; asks for more */
	host_settle(h);
	CHECK_EQ(h->app.chunks_count, 0);
	CHECK_EQ(app_write_pattern(&s, 1), 0);
	tx_ring_done(h->w, &sk->ring, 2 * 4096 + 1);
	sock_raise(h->w, sk, 0);
	host_settle(h);
	CHECK_EQ(h->app.chunks_count, 1);
	CHECK_EQ(app_write_pattern(&s, 3 * 4096), 2 * 4096);
	CHECK_EQ(h->condemned, 0);
	end();
}

/* ---- doorbell and wake-up -------------------------------------------------- */

static void a_silent_channel_goes_over_to_its_doorbell(void)
{
	struct app_sock s;

	begin();
	CHECK_EQ(shared()->shared->doorbell, 0);
	for (int i = 0; i < 20000; i++)
		host_poll(h);
	CHECK(!channel()->active);
	CHECK(shared()->shared->doorbell != 0);
	CHECK_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0); /* rings */
	CHECK_EQ(h->bells, 1);
	CHECK_EQ(host_counter(h, CNT_bells), 1);
	CHECK_EQ(shared()->shared->doorbell, 0);
	CHECK(channel()->active);
	end();
}

static void arming_sees_a_submission_made_meanwhile(void)
{
	bool blocked;
	begin();
	CHECK(channels_arm(h->w, &blocked));
	CHECK(shared()->shared->doorbell != 0);
	host_poll(h); /* awake again: polls without a bell */
	CHECK_EQ(shared()->shared->doorbell, 0);
	submit_socket(1);
	CHECK(!channels_arm(h->w, &blocked));
	CHECK_EQ(h->bells, 0);
	host_poll(h);
	CHECK_EQ(fake_calls.created, 1);
	end();
}

/* Context 0 again, with a wake-up socket; returns the application's end. */
static int open_with_wake_fd(int *daemon_end)
{
	int fds[2];
	struct arena *a = &h->session->arenas[0];

	REQUIRE_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds), 0);
	channel_open(h->w, a, 1, 0, fds[0]);
	app_open_context(&h->app, 1);
	*daemon_end = fds[0];
	return fds[1];
}

static unsigned wakeups(int fd)
{
	unsigned count = 0;
	char byte[16];

	while (recv(fd, byte, sizeof(byte), MSG_DONTWAIT) == 1)
		count++;
	return count;
}

static void a_sleeping_context_is_woken_once_a_sleep(void)
{
	struct app_sock s;
	int mine, daemons;

	begin();
	mine = open_with_wake_fd(&daemons);
	REQUIRE_EQ(app_socket_on(&h->app, 1, 0, SOCK_STREAM, &s), 0);
	CHECK_EQ(wakeups(mine), 0); /* it was awake */

	h->app.contexts[1].sleep_seq = 1;
	for (int i = 0; i < 5; i++) {
		sock_raise(h->w, host_sock(&s), LEAT_EV_IN);
		host_poll(h);
	}
	CHECK_EQ(wakeups(mine), 1);
	CHECK_EQ(host_counter(h, CNT_wakeups), 1);

	h->app.contexts[1].sleep_seq = 2; /* awake */
	sock_raise(h->w, host_sock(&s), LEAT_EV_IN);
	host_poll(h);
	CHECK_EQ(wakeups(mine), 0);

	h->app.contexts[1].sleep_seq = 3; /* asleep again */
	sock_raise(h->w, host_sock(&s), LEAT_EV_IN);
	host_poll(h);
	CHECK_EQ(wakeups(mine), 1);
	end();
	close(mine);
	close(daemons);
}

static void others_are_not_woken(void)
{
	struct app_sock s;
	int mine, daemons;

	begin();
	mine = open_with_wake_fd(&daemons);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0); /* of context 0 */
	h->app.contexts[1].sleep_seq = 1;
	sock_raise(h->w, host_sock(&s), LEAT_EV_IN);
	host_poll(h);
	CHECK_EQ(wakeups(mine), 0);
	end();
	close(mine);
	close(daemons);
}

static void a_stuffed_wakeup_socket_blocks_nobody(void)
{
	struct app_sock s;
	int mine, daemons;

	begin();
	mine = open_with_wake_fd(&daemons);
	REQUIRE_EQ(app_socket_on(&h->app, 1, 0, SOCK_STREAM, &s), 0);
	for (uint32_t i = 0; i < 5000; i++) { /* the application never reads, and only pretends */
		h->app.contexts[1].sleep_seq = 2 * i + 1;
		sock_raise(h->w, host_sock(&s), LEAT_EV_IN);
		host_poll(h);
	}
	CHECK_EQ(h->condemned, 0);
	end();
	close(mine);
	close(daemons);
}

TEST_SUITE(channel)
{
	TEST(results_come_in_order_with_their_user_data);
	TEST(queue_positions_wrap_at_32_bits);
	TEST(a_socket_of_unknown_kind_is_refused);
	TEST(a_stale_handle_gets_ebadf);
	TEST(a_handle_never_given_out_gets_ebadf);
	TEST(an_unknown_operation_condemns);
	TEST(an_impossible_sq_tail_condemns);
	TEST(an_impossible_cq_head_condemns);
	TEST(an_impossible_grant_head_condemns);
	TEST(close_without_a_completion_is_possible);
	TEST(a_moved_sock_tells_its_new_context);
	TEST(a_full_queue_holds_submissions_back);
	TEST(a_full_queue_loses_no_event);
	TEST(offers_leave_room_for_results);
	TEST(events_of_one_iteration_are_one_completion);
	TEST(out_is_raised_once_tx_head_reaches_tx_wake);
	TEST(each_error_is_reported_once);
	TEST(grants_are_topped_up_as_they_are_used);
	TEST(a_starved_context_is_told_of_chunks);
	TEST(a_silent_channel_goes_over_to_its_doorbell);
	TEST(arming_sees_a_submission_made_meanwhile);
	TEST(a_sleeping_context_is_woken_once_a_sleep);
	TEST(others_are_not_woken);
	TEST(a_stuffed_wakeup_socket_blocks_nobody);
}
