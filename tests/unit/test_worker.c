/* SPDX-License-Identifier: BSD-3-Clause */
/* The loop itself: time, messages, steering, sleep. */
#include "core/worker.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "support/fakeproto.h"

static void impossible_configurations_are_refused(void)
{
	struct worker_config config = WORKER_CONFIG_DEFAULT;
	struct worker_env env = {.clock_us = clock_read, .random = clock_random};

	config.id = 1;
	errno = 0;
	CHECK(worker_create(&config, &env) == NULL);
	CHECK_EQ(errno, EINVAL);
	config.workers = LEAT_MAX_WORKERS + 1;
	CHECK(worker_create(&config, &env) == NULL);
}

static uint64_t late_clock(void *arg)
{
	*(unsigned *)arg += 1;
	return UINT64_C(0x100000000) * 1000 - 500; /* the 32-bit millisecond is about to wrap */
}

static void time_is_read_once_an_iteration(void)
{
	struct host *h = host_new(NULL);
	unsigned reads = 0;

	h->w->env.clock_us = late_clock;
	h->w->env.arg = &reads;
	worker_poll(h->w);
	CHECK_EQ(reads, 1);
	CHECK_EQ(h->w->now_ms, UINT32_MAX);
	h->w->env.clock_us = clock_read;
	host_end(h);
}

static void an_idle_poll_finds_no_work(void)
{
	struct host *h = host_new(NULL);
	uint64_t polls = host_counter(h, CNT_polls), busy = host_counter(h, CNT_busy_polls);

	CHECK_EQ(worker_poll(h->w), 0);
	CHECK_EQ(host_counter(h, CNT_polls), polls + 1);
	CHECK_EQ(host_counter(h, CNT_busy_polls), busy);
	host_end(h);
}

/* ---- messages -------------------------------------------------------------- */

struct note {
	struct message message;
	struct worker *ran_on;
	unsigned order;
};

static unsigned notes_run;

static void note_run(struct worker *w, struct message *m)
{
	struct note *n = container_of(m, struct note, message);

	n->ran_on = w;
	n->order = ++notes_run;
	CHECK(worker_current() == w);
}

static void messages_run_on_the_worker_in_order(void)
{
	struct host *h = host_new(NULL);
	struct note notes[200];

	notes_run = 0;
	for (int i = 0; i < 200; i++) {
		notes[i] = (struct note){.message.run = note_run};
		REQUIRE_EQ(worker_post(h->w, &notes[i].message), 0);
	}
	CHECK_EQ(notes_run, 0);
	host_poll(h);
	CHECK_RANGE(notes_run, 1, 199); /* a bounded number in one iteration */
	host_settle(h);
	for (unsigned i = 0; i < 200; i++) {
		CHECK(notes[i].ran_on == h->w);
		CHECK_EQ(notes[i].order, i + 1);
	}
	CHECK(worker_current() == NULL);
	host_end(h);
}

static void a_full_inbox_refuses(void)
{
	struct host *h = host_new(NULL);
	struct note note = {.message.run = note_run};
	unsigned posted = 0;

	while (worker_post(h->w, &note.message) == 0)
		posted++;
	CHECK(posted > 100);
	CHECK_EQ(worker_post(h->w, &note.message), -ENOSPC);
	host_settle(h);
	CHECK_EQ(worker_post(h->w, &note.message), 0);
	host_settle(h);
	host_end(h);
}

/* ---- mbufs ----------------------------------------------------------------- */

static void an_empty_pool_is_counted(void)
{
	struct host *h = host_new(NULL);
	struct rte_mbuf *m[4096];
	unsigned count = 0;

	while ((m[count] = worker_mbuf(h->w)) != NULL) {
		CHECK_EQ(rte_pktmbuf_headroom(m[count]), RTE_PKTMBUF_HEADROOM);
		count++;
	}
	CHECK_EQ(count, h->config.worker.mbufs);
	CHECK_EQ(host_counter(h, CNT_mbuf_empty), 1);
	rte_pktmbuf_free_bulk(m, count);
	host_end(h);
}

static void frames_a_full_port_does_not_take_are_counted(void)
{
	struct host *h = host_new(NULL);
	struct build b;

	h->link.tx_room = 0;
	host_build_ipv4(h, &b, IPPROTO_ICMP);
	build_icmp(&b, RTE_IP_ICMP_ECHO_REQUEST, 0, 0x00010001);
	build_bytes(&b, "ping", 4);
	build_finish(&b);
	host_inject(h, &b);
	host_poll(h);
	host_poll(h);
	CHECK_EQ(host_counter(h, CNT_tx_full), 1);
	HOST_EXPECT_NOTHING(h);
	h->link.tx_room = MEMPORT_UNLIMITED;
	host_inject(h, &b);
	host_poll(h);
	HOST_EXPECT(h, IS_ICMP, ICMP_TYPE_IS(RTE_IP_ICMP_ECHO_REPLY));
	host_end(h);
}

/* ---- steering -------------------------------------------------------------- */

/* A UDP datagram from the peer's port, that worker id owns. */
static void build_for_worker(struct host *h, struct build *b, uint16_t id, uint16_t *source)
{
	struct flow f = {
		.family = AF_INET,
		.protocol = IPPROTO_UDP,
		.local = inet_addr_v4(htonl(h->config.address)),
		.local_port = htons(9),
		.remote = inet_addr_v4(htonl(h->config.peer_address)),
	};

	do
		f.remote_port = htons(++*source);
	while (port_flow_worker(&h->link.port, &f) != id);
	host_build_ipv4(h, b, IPPROTO_UDP);
	build_udp(b, *source, 9);
	build_bytes(b, "hello", 5);
	build_finish(b);
}

static struct host *two_workers(void)
{
	struct host_config config = host_config_default();

	config.workers = 2;
	config.queues = 1;
	return host_new(&config);
}

static void packets_reach_the_worker_that_owns_their_flow(void)
{
	struct host *h = two_workers();
	uint16_t source = 1000;
	struct build b;

	for (int i = 0; i < 40; i++) {
		build_for_worker(h, &b, (uint16_t)(i % 2), &source);
		host_inject(h, &b);
		host_settle(h);
	}
	/* Nobody listens there: the worker that owns the flow is the one that says so. */
	CHECK_EQ(h->worker[0]->counter[CNT_udp_no_sock], 20);
	CHECK_EQ(h->worker[1]->counter[CNT_udp_no_sock], 20);
	CHECK_EQ(h->worker[0]->counter[CNT_steered_out], 20);
	CHECK_EQ(h->worker[1]->counter[CNT_steered_in], 20);
	CHECK_EQ(h->worker[1]->counter[CNT_rx_packets], 0);
	for (int i = 0; i < 40; i++) /* and both can transmit */
		HOST_EXPECT(h, IS_ICMP, ICMP_TYPE_IS(3), ICMP_CODE_IS(3));
	host_end(h);
}

static void a_full_steering_ring_drops_and_counts(void)
{
	struct host *h = two_workers();
	uint16_t source = 1000;
	uint32_t sent = 0;
	struct build b;

	build_for_worker(h, &b, 1, &source);
	while (h->worker[0]->counter[CNT_steer_full] == 0 && sent < 6000) {
		host_inject(h, &b);
		worker_poll(h->worker[0]); /* worker 1 stands still */
		sent++;
	}
	CHECK(h->worker[0]->counter[CNT_steer_full] > 0);
	CHECK_EQ(h->worker[0]->counter[CNT_steered_out] + h->worker[0]->counter[CNT_steer_full],
		 sent);
	host_settle(h);
	CHECK_EQ(h->worker[1]->counter[CNT_steered_in], h->worker[0]->counter[CNT_steered_out]);
	host_drain(h);
	host_end(h);
}

static void a_broken_packet_dies_where_it_was_received(void)
{
	struct host *h = two_workers();
	uint16_t source = 1000;
	struct build b;

	build_for_worker(h, &b, 1, &source);
	build_ipv4_header(&b)->hdr_checksum ^= 1;
	host_inject(h, &b);
	host_settle(h);
	CHECK_EQ(h->worker[0]->counter[CNT_ip_checksum], 1);
	CHECK_EQ(h->worker[1]->counter[CNT_steered_in], 0);
	host_end(h);
}

/* ---- sleep ----------------------------------------------------------------- */

static struct host *sleeper(uint32_t idle_us)
{
	struct host_config config = host_config_default();

	config.worker.idle_us = idle_us;
	return host_new(&config);
}

static void sleeps_only_after_its_idle_time(void)
{
	struct host *h = sleeper(1000);
	struct app_sock s;

	fake_use(h);
	CHECK_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0); /* work */
	host_settle(h);
	CHECK(!worker_should_sleep(h->w));
	clock_us += 999;
	host_poll(h);
	CHECK(!worker_should_sleep(h->w));
	clock_us += 1;
	host_poll(h);
	CHECK(worker_should_sleep(h->w));
	sock_raise(h->w, host_sock(&s), LEAT_EV_IN);
	CHECK_EQ(app_bind(&s, 0, 1), 0);
	CHECK(!worker_should_sleep(h->w));
	host_end(h);
}

/* What would wake it cannot be waited for: too short a sleep saves nothing. */
static void without_a_descriptor_it_sleeps_later(void)
{
	struct host *h = sleeper(100);

	host_settle(h);
	clock_us += 100;
	host_poll(h);
	CHECK(worker_should_sleep(h->w));
	worker_sleep(h->w, 1000); /* it sees that the port has none */
	CHECK(!worker_should_sleep(h->w));
	clock_us += 300;
	host_poll(h);
	CHECK(worker_should_sleep(h->w));
	host_end(h);
}

static void never_sleeps_when_told_so(void)
{
	struct host *h = sleeper(0);

	clock_us += 10000000;
	host_settle(h);
	CHECK(!worker_should_sleep(h->w));
	host_end(h);
}

static void does_not_sleep_past_work_that_waits(void)
{
	struct host *h = sleeper(1);
	struct app_sock s;
	struct note note = {.message.run = note_run};
	struct leat_sqe sqe = {.op = LEAT_OP_SOCKET, .family = AF_INET, .type = SOCK_STREAM};

	fake_use(h);
	CHECK_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	host_settle(h);
	app_submit(&h->app, 0, 0, &sqe);
	worker_sleep(h->w, 10000000); /* would hang for ten seconds */
	CHECK_EQ(fake_calls.created, 2);
	CHECK_EQ(host_counter(h, CNT_sleeps), 0);
	notes_run = 0;
	worker_post(h->w, &note.message);
	worker_sleep(h->w, 10000000);
	CHECK_EQ(notes_run, 1);
	CHECK_EQ(host_counter(h, CNT_sleeps), 0);
	app_pump(&h->app);
	host_end(h);
}

static void an_idle_sleep_turns_channels_over_to_their_doorbell(void)
{
	struct host *h = sleeper(1);
	struct app_sock s;

	fake_use(h);
	worker_sleep(h->w, 100);
	CHECK_EQ(host_counter(h, CNT_sleeps), 1);
	CHECK(h->app.channel[0][0].shared->doorbell != 0);
	CHECK_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	CHECK_EQ(h->bells, 1);
	CHECK_EQ(h->app.channel[0][0].shared->doorbell, 0);
	host_end(h);
}

/* The bell's byte was written before the worker went to sleep. */
static void a_bell_ends_the_sleep(void)
{
	struct host *h = sleeper(1);
	int bell = eventfd(0, EFD_NONBLOCK);
	uint64_t one = 1;

	REQUIRE(bell >= 0);
	REQUIRE_EQ(worker_watch(h->w, bell, &h->session->arenas[0]), 0);
	CHECK_EQ(write(bell, &one, sizeof(one)), sizeof(one));
	worker_sleep(h->w, 10000000);
	CHECK_EQ(host_counter(h, CNT_sleeps), 1);
	CHECK_EQ(host_counter(h, CNT_bells), 1);
	worker_unwatch(h->w, bell);
	close(bell);
	host_end(h);
}

/* ---- the end --------------------------------------------------------------- */

static void destroying_a_busy_worker_leaves_nothing(void)
{
	struct host *h = host_new(NULL);
	struct app_sock s, other;
	struct peer p, q;

	peer_init(&p, h);
	host_established(h, &p, &s);
	app_write_pattern(&s, 100000);
	peer_inject_pattern(&p, p.seq + 100, 100); /* out of order */
	host_poll(h);
	peer_init(&q, h);
	host_drain(h);
	host_connected(h, &q, &other);
	host_abandon(h); /* under AddressSanitizer a leak or a stale pointer would show */
	CHECK_EQ(memport_mbufs_in_use(), 0);
}

TEST_SUITE(worker)
{
	TEST(impossible_configurations_are_refused);
	TEST(time_is_read_once_an_iteration);
	TEST(an_idle_poll_finds_no_work);
	TEST(messages_run_on_the_worker_in_order);
	TEST(a_full_inbox_refuses);
	TEST(an_empty_pool_is_counted);
	TEST(frames_a_full_port_does_not_take_are_counted);
	TEST(packets_reach_the_worker_that_owns_their_flow);
	TEST(a_full_steering_ring_drops_and_counts);
	TEST(a_broken_packet_dies_where_it_was_received);
	TEST(sleeps_only_after_its_idle_time);
	TEST(without_a_descriptor_it_sleeps_later);
	TEST(never_sleeps_when_told_so);
	TEST(does_not_sleep_past_work_that_waits);
	TEST(a_bell_ends_the_sleep);
	TEST(destroying_a_busy_worker_leaves_nothing);
	TEST(an_idle_sleep_turns_channels_over_to_their_doorbell);
}
