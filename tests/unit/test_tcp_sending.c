/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a connection has only while it sends: taken, given back after a pause,
 * and what outlasts that.
 */
#include "lib/pool.h"
#include "support/recovery_fixture.h"

#define PAUSE_MS 600u /* two looks for idle socks, and more than an RTO */

static char buffer[2000];
static struct peer other; /* of t */
static struct app_sock t;

static uint32_t in_use(const struct pool *pool, const char *what)
{
	return strstr(pool->name, what) != NULL ? pool_used(pool) : 0;
}

static uint32_t others;
static void add_others(const struct pool *pool, void *arg)
{
	if (strncmp(pool->name, arg, strlen(arg)) == 0)
		others += pool_used(pool) - in_use(pool, "_tcp_");
}

/* Objects of any pool of the worker but socks. */
static uint32_t objects(void)
{
	others = 0;
	pool_walk(add_others, (void *)(uintptr_t)h->w->config.name);
	return others;
}

static uint32_t chunks_held(void)
{
	const struct ring_pair *r = &host_sock(&s)->ring;

	return (r->rx_first != LEAT_NO_CHUNK) + (r->tx_first != LEAT_NO_CHUNK);
}

static uint32_t sendings(void)
{
	return pool_used(h->w->tcp->sendings);
}

/* The peer asks, s answers, the peer acknowledges that. */
static void request(void)
{
	peer_send(&peer, TH_ACK | TH_PUSH, "hello", 5);
	CHECK_EQ(app_readable(&s), 5);
	(void)app_read(&s, buffer, sizeof(buffer));
	host_drain(h); /* an ACK, if it went at once */
	CHECK_EQ(app_write(&s, "world", 5), 5);
	host_settle(h);
	PEER_EXPECT(&peer, PAYLOAD_IS(5));
	peer_send(&peer, TH_ACK, NULL, 0);
	host_drain(h);
}

static void begin_accepted(void)
{
	begin_unconnected(NULL);
	peer.timestamps = peer.sack_permitted = true;
	host_established(h, &peer, &s);
	host_drain(h);
}

static void an_idle_connection_costs_its_sock_alone(void)
{
	uint32_t before, socks;

	begin_accepted();
	before = objects(); /* a listener and its credit */
	socks = pool_used(h->w->tcp->socks);
	peer_init(&other, h);
	host_established(h, &other, &t);
	host_drain(h);
	CHECK_EQ(pool_used(h->w->tcp->socks), socks + 1);
	CHECK_EQ(objects(), before);
	request();
	CHECK_EQ(pool_used(h->w->tcp->socks), socks + 1);
	CHECK_EQ(sendings(), 1);
	CHECK_EQ(objects(), before + 1);
	CHECK_EQ(h->w->tcp->flights.used, 0);
	CHECK_EQ(chunks_held(), 2);
	host_advance_ms(h, PAUSE_MS);
	CHECK_EQ(objects(), before);
	CHECK_EQ(sendings(), 0);
	CHECK_EQ(h->app.idle_count, 1); /* the last chunk is the application's to give back */
	app_release(&s);
	host_settle(h);
	CHECK_EQ(chunks_held(), 0);
	request(); /* and again */
	CHECK_EQ(sendings(), 1);
	host_advance_ms(h, PAUSE_MS);
	CHECK_EQ(objects(), before);
	end();
}

static void who_only_receives_takes_nothing(void)
{
	begin_accepted();
	for (int i = 0; i < 20; i++) {
		peer_send_pattern(&peer, 1000);
		(void)app_read(&s, buffer, sizeof(buffer));
	}
	CHECK_EQ(sendings(), 0);
	host_drain(h);
	end();
}

/* However long it receives meanwhile. */
static void who_goes_on_receiving_gives_it_back(void)
{
	begin_accepted();
	request();
	for (int i = 0; i < 30; i++) {
		host_advance_ms(h, 20);
		peer_send_pattern(&peer, 100);
		(void)app_read(&s, buffer, sizeof(buffer));
	}
	CHECK_EQ(sendings(), 0);
	host_drain(h);
	end();
}

static void what_is_in_flight_keeps_it(void)
{
	begin_accepted();
	CHECK_EQ(app_write(&s, "hello", 5), 5);
	host_settle(h);
	host_advance_ms(h, 5000);
	CHECK_EQ(sendings(), 1);
	host_drain(h);
	end();
}

/* FIN-WAIT-2 without an application lasts for a minute. */
static void an_orphan_gives_it_back(void)
{
	begin_accepted();
	CHECK_EQ(app_close(&s), 0);
	host_settle(h);
	PEER_EXPECT(&peer, TCP_FLAGS_HAVE(TH_FIN));
	CHECK_EQ(sendings(), 1);
	peer_send(&peer, TH_ACK, NULL, 0);
	host_advance_ms(h, PAUSE_MS);
	CHECK_EQ(h->w->sock_count, 2);
	CHECK_EQ(sendings(), 0);
	end();
}

static void the_window_outlasts_a_pause(void)
{
	begin();
	begin_ten_of(10);
	SACK(0, {1, 10});
	SENT(0);
	host_advance_ms(h, RTT_MS);
	ack(10);
	CHECK_EQ(cwnd(), 7 * mss);
	host_advance_ms(h, PAUSE_MS);
	CHECK_EQ(sendings(), 0);
	CHECK_EQ(cwnd(), 7 * mss);
	CHECK_EQ(ssthresh(), 7 * mss);
	CHECK_EQ(tcp()->rest.memory, 10 * mss); /* CUBIC: where the loss was */
	write_segments(10);
	SENT(10, 11, 12, 13, 14, 15, 16);
	CHECK_EQ(ssthresh(), 7 * mss);
	end();
}

static void losses_after_a_pause_are_found(void)
{
	begin();
	begin_ten_of(10);
	ack(10);
	host_advance_ms(h, PAUSE_MS);
	write_segments(10);
	host_drain(h);
	host_advance_ms(h, RTT_MS);
	CHECK_EQ(tcp()->sending->rack.fack, tcp()->snd_una);
	CHECK_EQ(tcp()->sending->flight.delivered, 10 * mss);
	SACK(10, {11, 20});
	SENT(10);
	host_drain(h);
	end();
}

/* Its model of the path lasts for longer. */
static void bbr_keeps_its_state(void)
{
	begin_accepted();
	CHECK_EQ(app_setsockopt(&s, IPPROTO_TCP, TCP_CONGESTION, "bbr", 3), 0);
	request();
	host_advance_ms(h, 10 * PAUSE_MS);
	CHECK_EQ(sendings(), 1);
	CHECK_EQ(pool_used(h->w->tcp->congestions), 1);
	app_release(&s);
	host_advance_ms(h, PAUSE_MS);
	CHECK(!host_sock(&s)->ring.holding); /* nobody asks it again and again */
	CHECK_EQ(app_setsockopt(&s, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5), 0);
	host_advance_ms(h, PAUSE_MS);
	CHECK_EQ(sendings(), 0);
	CHECK_EQ(pool_used(h->w->tcp->congestions), 0);
	end();
}

/* ---- with none left --------------------------------------------------------------- */

/* Two connections, one of which at a time may send; s has something in flight. */
static void begin_crowded(void)
{
	struct host_config config = host_config_default();

	config.worker.max_sending = 1;
	begin_unconnected(&config);
	host_listen(h, 4);
	host_established(h, &peer, &s);
	peer_init(&other, h);
	host_established(h, &other, &t);
	host_drain(h);
	CHECK_EQ(app_write(&s, "first", 5), 5);
	host_settle(h);
	PEER_EXPECT(&peer, PAYLOAD_IS(5));
}

static void without_one_left_new_data_waits(void)
{
	begin_crowded();
	CHECK_EQ(app_write(&t, "second", 6), 6);
	host_advance_ms(h, 100);
	HOST_EXPECT_NOTHING(h);
	CHECK_RANGE(host_counter(h, CNT_tcp_sending_pool), 5, 15);
	peer_send(&peer, TH_ACK, NULL, 0);
	host_advance_ms(h, 11);
	PEER_EXPECT(&other, PAYLOAD_IS(6));
	CHECK_EQ(sendings(), 1);
	peer_send(&other, TH_ACK, NULL, 0);
	end();
}

/* Nothing was retransmitted meanwhile, and nothing counts as if it had been. */
static void waiting_is_no_timeout(void)
{
	begin_crowded();
	CHECK_EQ(app_write(&t, "second", 6), 6);
	for (int i = 0; i < 40; i++)
		host_advance_ms(h, 10);
	CHECK_EQ(tcp_sk(host_sock(&t))->backoff, 0);
	peer_send(&peer, TH_ACK, NULL, 0);
	host_drain(h);
	host_advance_ms(h, 11);
	PEER_EXPECT(&other, PAYLOAD_IS(6));
	peer_send(&other, TH_ACK, NULL, 0);
	end();
}

/* RFC 5482 counts from when the byte began to wait. */
static void a_wait_without_end_times_out(void)
{
	uint32_t limit_ms = 3000;

	begin_crowded();
	peer.window = 0; /* so that s waits as well, but for its peer */
	CHECK_EQ(app_setsockopt(&t, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit_ms, sizeof(limit_ms)), 0);
	CHECK_EQ(app_write(&t, "second", 6), 6);
	host_advance_ms(h, limit_ms - 100);
	CHECK_EQ(host_state(&t), TCP_ESTABLISHED);
	host_advance_ms(h, 200);
	CHECK_EQ(host_state(&t), TCP_CLOSE);
	host_drain(h);
	end();
}

/* A probe that did not go is none that nobody answered. */
static void a_shut_window_is_probed_when_there_is_one(void)
{
	begin_crowded();
	other.window = 0;
	peer_send(&other, TH_ACK, NULL, 0);
	CHECK_EQ(app_write(&t, "second", 6), 6);
	host_advance_ms(h, 5000);
	CHECK_EQ(tcp_sk(host_sock(&t))->probes, 0);
	host_drain(h);
	peer_send(&peer, TH_ACK, NULL, 0);
	host_advance_ms(h, 10000);
	PEER_EXPECT(&other, PAYLOAD_IS(1));
	host_drain(h);
	end();
}

static void one_that_is_settled_makes_room_at_once(void)
{
	begin_crowded();
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(app_write(&t, "second", 6), 6);
	host_settle(h);
	PEER_EXPECT(&other, PAYLOAD_IS(6));
	CHECK_EQ(host_counter(h, CNT_tcp_sending_pool), 0);
	CHECK(tcp()->sending == NULL);
	peer_send(&other, TH_ACK, NULL, 0);
	end();
}

static void without_one_left_a_model_is_refused(void)
{
	begin_crowded();
	CHECK_EQ(app_setsockopt(&t, IPPROTO_TCP, TCP_CONGESTION, "bbr", 3), -ENOBUFS);
	peer_send(&peer, TH_ACK, NULL, 0);
	CHECK_EQ(app_setsockopt(&t, IPPROTO_TCP, TCP_CONGESTION, "bbr", 3), 0);
	end();
}

/* RFC 8985 section 7.4.2 waits for an answer that shows who repaired the loss; of a connection that
 * says nothing more none ever comes. */
static void a_loss_probe_does_not_keep_it(void)
{
	begin_accepted();
	request();
	CHECK_EQ(app_write(&s, "world", 5), 5);
	host_settle(h);
	PEER_EXPECT(&peer, PAYLOAD_IS(5));
	for (int ms = 0; ms < 1000 && host_counter(h, CNT_tcp_loss_probe) == 0; ms++)
		host_advance_ms(h, 1);
	CHECK_EQ(host_counter(h, CNT_tcp_loss_probe), 1);
	host_drain(h);
	peer_send(&peer, TH_ACK, NULL, 0);
	host_drain(h);
	CHECK_EQ(sendings(), 1);
	host_advance_ms(h, 2 * PAUSE_MS);
	CHECK_EQ(sendings(), 0);
	end();
}

TEST_SUITE(tcp_sending)
{
	TEST(an_idle_connection_costs_its_sock_alone);
	TEST(who_only_receives_takes_nothing);
	TEST(who_goes_on_receiving_gives_it_back);
	TEST(what_is_in_flight_keeps_it);
	TEST(a_loss_probe_does_not_keep_it);
	TEST(an_orphan_gives_it_back);
	TEST(the_window_outlasts_a_pause);
	TEST(losses_after_a_pause_are_found);
	TEST(bbr_keeps_its_state);
	TEST(without_one_left_new_data_waits);
	TEST(waiting_is_no_timeout);
	TEST(a_wait_without_end_times_out);
	TEST(a_shut_window_is_probed_when_there_is_one);
	TEST(one_that_is_settled_makes_room_at_once);
	TEST(without_one_left_a_model_is_refused);
}
