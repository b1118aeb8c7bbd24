/* SPDX-License-Identifier: BSD-3-Clause */
/* Listeners: credits, offers and claims. */
#include "sock/connection.h"

#include <errno.h>
#include <sys/socket.h>

#include "sock/holders.h"
#include "support/fakeproto.h"

static struct host *h;
static struct app_sock listener;

static struct arena *arena(void)
{
	return &h->session->arenas[0];
}

static struct listener *state(void)
{
	return fake_ics(host_sock(&listener))->listener;
}

static void open_context(uint16_t context, uint16_t process)
{
	channel_open(h->w, arena(), context, process, -1);
	app_open_context(&h->app, context);
}

static void begin(int backlog)
{
	h = host_new(NULL);
	fake_use(h);
	fake_listen(h, &listener, 80, backlog);
}

static void end(void)
{
	host_end(h);
}

/* The next offer: to which context, and its completion.  False: none. */
static bool next_offer(struct leat_cqe *cqe, uint16_t *context)
{
	host_poll(h);
	return app_take_accept(&h->app, &listener, cqe, context);
}

/* The context gives credits; a connection comes in and is offered to it. */
static void offer_one(uint16_t context, int credits, struct leat_cqe *cqe)
{
	uint16_t offered_to;

	app_credit(&listener, context, credits);
	REQUIRE_EQ(fake_establish(&listener, 1, NULL), 0);
	REQUIRE(next_offer(cqe, &offered_to));
	CHECK_EQ(offered_to, context);
}

static void queue_holds_backlog_plus_one(void)
{
	begin(2);
	for (uint16_t port = 1; port <= 3; port++) {
		CHECK(listener_has_room(h->w, fake_ics(host_sock(&listener))));
		REQUIRE_EQ(fake_establish(&listener, port, NULL), 0);
	}
	CHECK(!listener_has_room(h->w, fake_ics(host_sock(&listener))));
	end();
}

static void a_second_listen_changes_the_backlog(void)
{
	begin(1);
	REQUIRE_EQ(app_listen(&listener, 5), 0);
	CHECK_EQ(state()->backlog, 5);
	REQUIRE_EQ(app_listen(&listener, -1), 0);
	CHECK_EQ(state()->backlog, SOMAXCONN);
	end();
}

static void claimed_connections_make_room(void)
{
	struct app_sock s;

	begin(0);
	REQUIRE_EQ(fake_establish(&listener, 1, NULL), 0);
	CHECK(!listener_has_room(h->w, fake_ics(host_sock(&listener))));
	CHECK_EQ(app_accept(&listener, &s), 0);
	host_advance_ms(h, 1); /* after a look in vain it looks again, but not at once */
	CHECK(listener_has_room(h->w, fake_ics(host_sock(&listener))));
	end();
}

static void a_connection_waits_until_somebody_has_credit(void)
{
	struct leat_cqe cqe;
	uint16_t context;
	struct app_sock s;

	begin(8);
	REQUIRE_EQ(fake_establish(&listener, 4321, NULL), 0);
	CHECK(!next_offer(&cqe, &context));
	app_credit(&listener, 0, 1);
	REQUIRE(next_offer(&cqe, &context));
	CHECK_EQ(cqe.addr.port, htons(4321));
	CHECK(app_claim(&h->app, &cqe, context, &s));
	CHECK(host_sock(&s) != NULL);
	end();
}

static void credit_given_before_is_used_at_once(void)
{
	struct leat_cqe cqe;
	uint16_t context;

	begin(8);
	app_credit(&listener, 0, 2);
	for (uint16_t port = 1; port <= 3; port++)
		REQUIRE_EQ(fake_establish(&listener, port, NULL), 0);
	CHECK(next_offer(&cqe, &context));
	CHECK(next_offer(&cqe, &context));
	CHECK(!next_offer(&cqe, &context)); /* two credits, two offers */
	end();
}

static void each_connection_goes_to_one_context_in_turn(void)
{
	unsigned told[3] = {0};
	struct leat_cqe cqe;
	uint16_t context;

	begin(64);
	open_context(1, 0);
	open_context(2, 0);
	for (uint16_t c = 0; c < 3; c++)
		app_credit(&listener, c, 10);
	for (uint16_t port = 1; port <= 12; port++) {
		REQUIRE_EQ(fake_establish(&listener, port, NULL), 0);
		REQUIRE(next_offer(&cqe, &context));
		told[context]++;
		CHECK(!next_offer(&cqe, &context)); /* nobody else */
	}
	CHECK_EQ(told[0], 4);
	CHECK_EQ(told[1], 4);
	CHECK_EQ(told[2], 4);
	CHECK_EQ(host_counter(h, CNT_offers), 12);
	end();
}

static void an_unclaimed_offer_goes_to_another_after_a_while(void)
{
	struct leat_cqe first, second;
	uint16_t other;
	struct app_sock s;

	begin(8);
	open_context(1, 0);
	offer_one(0, 1, &first);
	app_credit(&listener, 1, 1);
	host_advance_ms(h, OFFER_TIMEOUT_MS - 10);
	CHECK(!next_offer(&second, &other)); /* context 0 still has time */
	host_advance_ms(h, 2 * OFFER_TIMEOUT_MS);
	REQUIRE(next_offer(&second, &other));
	CHECK_EQ(other, 1);
	CHECK_EQ(second.handle.slot, first.handle.slot);
	CHECK_EQ(host_counter(h, CNT_offers_revoked), 1);
	CHECK(!app_claim(&h->app, &first, 0, &s)); /* too late */
	CHECK(app_claim(&h->app, &second, other, &s));
	end();
}

static void an_offer_stays_while_nobody_else_wants_it(void)
{
	struct leat_cqe cqe, another;
	uint16_t context;
	struct app_sock s;

	begin(8);
	offer_one(0, 1, &cqe);
	host_advance_ms(h, 10 * OFFER_TIMEOUT_MS);
	CHECK(!next_offer(&another, &context));
	CHECK(app_claim(&h->app, &cqe, 0, &s));
	host_advance_ms(h, 2 * OFFER_TIMEOUT_MS);
	CHECK_EQ(state()->queue_count, 0); /* the claim was noticed */
	end();
}

static void a_claim_beats_the_revocation(void)
{
	struct leat_cqe cqe;
	uint16_t context;
	struct app_sock s;

	begin(8);
	open_context(1, 0);
	offer_one(0, 1, &cqe);
	CHECK(app_claim(&h->app, &cqe, 0, &s));
	app_credit(&listener, 1, 1);
	host_advance_ms(h, 3 * OFFER_TIMEOUT_MS);
	CHECK(!next_offer(&cqe, &context));
	CHECK_EQ(host_counter(h, CNT_offers_revoked), 0);
	CHECK_EQ(app_close(&s), 0);
	end();
}

static void withdrawn_credit_gives_the_offer_to_another(void)
{
	struct leat_cqe first, second;
	uint16_t context;
	struct app_sock s;

	begin(8);
	open_context(1, 0);
	offer_one(0, 5, &first);
	app_credit(&listener, 1, 1);
	app_uncredit(&listener, 0);
	REQUIRE(next_offer(&second, &context)); /* at once */
	CHECK_EQ(context, 1);
	CHECK(!app_claim(&h->app, &first, 0, &s));
	REQUIRE_EQ(fake_establish(&listener, 2, NULL), 0);
	CHECK(!next_offer(&first, &context)); /* nobody has credit any more */
	end();
}

static void nonsense_in_the_claim_word_costs_only_its_writer(void)
{
	struct leat_cqe cqe;

	begin(8);
	offer_one(0, 1, &cqe);
	h->app.slots[cqe.handle.slot].claim = 0xdeadbeef;
	host_advance_ms(h, 3 * OFFER_TIMEOUT_MS);
	CHECK(arena_sock(arena(), cqe.handle) != NULL); /* counts as taken */
	end();
}

static void an_exited_process_gives_its_offers_back(void)
{
	struct leat_cqe first, second;
	uint16_t context;
	struct app_sock s;

	begin(8);
	arena_fork(h->w, arena(), 0, 1);
	open_context(1, 1); /* a forked child shares the listener */
	offer_one(1, 5, &first);
	app_credit(&listener, 0, 1);
	h->app.channel[1][0].open = false;
	arena_process_exit(h->w, arena(), 1);
	REQUIRE(next_offer(&second, &context));
	CHECK_EQ(context, 0);
	CHECK_EQ(second.handle.slot, first.handle.slot);
	CHECK(app_claim(&h->app, &second, context, &s));
	CHECK_EQ(fake_calls.aborted + fake_calls.closed, 0);
	end();
}

static void an_exited_process_takes_what_it_claimed_with_it(void)
{
	struct leat_cqe cqe;
	struct app_sock s;

	begin(8);
	arena_fork(h->w, arena(), 0, 1);
	open_context(1, 1);
	offer_one(1, 5, &cqe);
	CHECK(app_claim(&h->app, &cqe, 1, &s)); /* and the worker has not noticed */
	h->app.channel[1][0].open = false;
	arena_process_exit(h->w, arena(), 1);
	host_poll(h);
	CHECK(arena_sock(arena(), cqe.handle) == NULL);
	CHECK_EQ(fake_calls.closed, 1);
	CHECK_EQ(state()->queue_count, 0);
	end();
}

static void a_claimed_connection_can_be_closed_before_the_worker_notices(void)
{
	struct leat_cqe cqe;
	struct app_sock s;

	begin(8);
	offer_one(0, 1, &cqe);
	CHECK(app_claim(&h->app, &cqe, 0, &s));
	CHECK_EQ(app_close(&s), 0);
	CHECK_EQ(state()->queue_count, 0);
	CHECK_EQ(fake_calls.closed, 1);
	end();
}

static void closing_the_listener_aborts_what_nobody_claimed(void)
{
	struct leat_cqe cqe;
	uint16_t context;
	struct app_sock claimed;

	begin(8);
	app_credit(&listener, 0, 2);
	for (uint16_t port = 1; port <= 3; port++)
		REQUIRE_EQ(fake_establish(&listener, port, NULL), 0);
	REQUIRE(next_offer(&cqe, &context));
	CHECK(app_claim(&h->app, &cqe, context, &claimed));
	CHECK_EQ(app_close(&listener), 0);
	CHECK_EQ(fake_calls.aborted, 2); /* one offered, one queued */
	CHECK_EQ(fake_calls.closed, 1); /* the listener itself */
	CHECK(host_sock(&claimed) != NULL);
	CHECK_EQ(app_close(&claimed), 0);
	listener.slot = NULL;
	end();
}

static void a_connection_that_ends_leaves_the_queue(void)
{
	struct sock *queued, *offered;
	struct leat_cqe cqe;
	uint16_t context;
	struct app_sock s;

	begin(8);
	app_credit(&listener, 0, 1);
	REQUIRE_EQ(fake_establish(&listener, 1, &offered), 0);
	REQUIRE_EQ(fake_establish(&listener, 2, &queued), 0);
	REQUIRE(next_offer(&cqe, &context));
	fake_end(h->w, queued);
	CHECK_EQ(state()->queue_count, 1);
	fake_end(h->w, offered);
	CHECK_EQ(state()->queue_count, 0);
	CHECK(!app_claim(&h->app, &cqe, context, &s));
	end();
}

static void a_connection_without_a_slot_is_refused(void)
{
	struct host_config config = host_config_default();

	config.session.slots_per_worker = 2;
	h = host_new(&config);
	fake_use(h);
	fake_listen(h, &listener, 80, 8);
	CHECK_EQ(fake_establish(&listener, 1, NULL), 0);
	CHECK_EQ(fake_establish(&listener, 2, NULL), -ENOBUFS);
	CHECK_EQ(state()->queue_count, 1);
	end();
}

static void listeners_run_out_and_come_back(void)
{
	struct host_config config = host_config_default();
	struct app_sock more;

	config.worker.max_listeners = 1;
	h = host_new(&config);
	fake_use(h);
	fake_listen(h, &listener, 80, 8);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &more), 0);
	CHECK_EQ(app_listen(&more, 1), -ENOBUFS);
	CHECK_EQ(app_close(&listener), 0);
	CHECK_EQ(app_listen(&more, 1), 0);
	end();
}

static void nobody_waiting_is_woken_for_anothers_connection(void)
{
	struct leat_cqe cqe;

	begin(64);
	open_context(1, 0);
	open_context(2, 0);
	app_credit(&listener, 0, 100);
	app_credit(&listener, 1, 100);
	app_credit(&listener, 2, 100);
	h->app.manual = true;
	REQUIRE_EQ(fake_establish(&listener, 1, NULL), 0);
	host_poll(h);
	{
		unsigned completions = 0;

		for (uint16_t c = 0; c < 3; c++)
			while (app_reap(&h->app, c, 0, &cqe))
				completions++;
		CHECK_EQ(completions, 1);
	}
	end();
}

TEST_SUITE(connection)
{
	TEST(queue_holds_backlog_plus_one);
	TEST(a_second_listen_changes_the_backlog);
	TEST(claimed_connections_make_room);
	TEST(a_connection_waits_until_somebody_has_credit);
	TEST(credit_given_before_is_used_at_once);
	TEST(each_connection_goes_to_one_context_in_turn);
	TEST(an_unclaimed_offer_goes_to_another_after_a_while);
	TEST(an_offer_stays_while_nobody_else_wants_it);
	TEST(a_claim_beats_the_revocation);
	TEST(withdrawn_credit_gives_the_offer_to_another);
	TEST(nonsense_in_the_claim_word_costs_only_its_writer);
	TEST(an_exited_process_gives_its_offers_back);
	TEST(an_exited_process_takes_what_it_claimed_with_it);
	TEST(a_claimed_connection_can_be_closed_before_the_worker_notices);
	TEST(closing_the_listener_aborts_what_nobody_claimed);
	TEST(a_connection_that_ends_leaves_the_queue);
	TEST(a_connection_without_a_slot_is_refused);
	TEST(listeners_run_out_and_come_back);
	TEST(nobody_waiting_is_woken_for_anothers_connection);
}
