/* SPDX-License-Identifier: BSD-3-Clause */
/* What each stage of an iteration costs, in cycles that pass only where a test lets them. */
#include "core/cost.h"

#include "support/fakeproto.h"

/* What a stage uses up in these tests; each sum tells which stages are in it. */
enum {
	RECEIVE = 1,
	MESSAGE = 10,
	SUBMISSION = 100,
	TIMER = 1000,
	PACED = 10000,
	OUTPUT = 100000,
	TRANSMIT = 1000000,
};

static uint64_t cycles, cycles_per_reading;

static uint64_t cycles_read(void *arg)
{
	(void)arg;
	cycles += cycles_per_reading;
	return cycles;
}

/* ---- stages that take their time ------------------------------------------- */

static const struct port_ops *memport_ops;
static struct port_ops slow_ops;
static struct proto slow_proto;

static uint16_t slow_rx_burst(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	cycles += RECEIVE;
	return memport_ops->rx_burst(port, queue, pkts, n);
}

static uint16_t slow_tx_burst(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	cycles += TRANSMIT;
	return memport_ops->tx_burst(port, queue, pkts, n);
}

static void slow_sync(struct worker *w, struct sock *sk)
{
	cycles += SUBMISSION;
	sock_want_output(w, sk);
}

static void slow_output(struct worker *w, struct sock *sk)
{
	(void)w;
	(void)sk;
	cycles += OUTPUT;
}

static void slow_message(struct worker *w, struct message *m)
{
	(void)w;
	(void)m;
	cycles += MESSAGE;
}

static void slow_timer(void *context, struct timer *t)
{
	(void)context;
	(void)t;
	cycles += TIMER;
}

static void slow_appointment(void *context, struct appointment *a)
{
	(void)context;
	(void)a;
	cycles += PACED;
}

/* ---- a worker that is measured --------------------------------------------- */

static void measure(struct host *h)
{
	cycles = 0;
	cycles_per_reading = 0;
	h->w->env.cycles = cycles_read;
	cost_init(h->w);
}

static struct host *slow_host(void)
{
	struct host *h = host_new(NULL);

	memport_ops = h->link.port.ops;
	slow_ops = *memport_ops;
	slow_ops.rx_burst = slow_rx_burst;
	slow_ops.tx_burst = slow_tx_burst;
	h->link.port.ops = &slow_ops;
	measure(h);
	return h;
}

static void open_slow_sock(struct host *h, struct app_sock *s)
{
	fake_use(h);
	slow_proto = *h->w->protos[0];
	slow_proto.sync = slow_sync;
	slow_proto.output = slow_output;
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, s), 0);
	host_sock(s)->proto = &slow_proto;
	host_settle(h);
	measure(h);
}

static void poll_sampled(struct host *h)
{
	h->w->cost.sample_in = 1;
	worker_poll(h->w);
}

static void inject_ping(struct host *h)
{
	struct build b;

	host_build_ipv4(h, &b, IPPROTO_ICMP);
	build_icmp(&b, RTE_IP_ICMP_ECHO_REQUEST, 0, 0x00010001);
	build_bytes(&b, "ping", 4);
	build_finish(&b);
	host_inject(h, &b);
}

/* Of all stages, idle included; not of sleep. */
static uint64_t cost_sum(const struct host *h)
{
	uint64_t sum = 0;

	for (int i = CNT_cycles_receive; i <= CNT_cycles_idle; i++)
		sum += host_counter(h, i);
	return sum;
}

/* ---- cases ----------------------------------------------------------------- */

static void an_idle_iteration_is_idle(void)
{
	struct host *h = slow_host();

	poll_sampled(h);
	CHECK_EQ(host_counter(h, CNT_cycles_idle), RECEIVE);
	CHECK_EQ(cost_sum(h), RECEIVE);
	host_end(h);
}

static void a_packet_costs_receive_and_transmit(void)
{
	struct host *h = slow_host();
	uint64_t rx_bursts = host_counter(h, CNT_rx_bursts);
	uint64_t tx_bursts = host_counter(h, CNT_tx_bursts);

	inject_ping(h);
	poll_sampled(h);
	CHECK_EQ(host_tx_count(h), 1);
	CHECK_EQ(host_counter(h, CNT_cycles_receive), RECEIVE);
	CHECK_EQ(host_counter(h, CNT_cycles_transmit), TRANSMIT);
	CHECK_EQ(cost_sum(h), RECEIVE + TRANSMIT);
	CHECK_EQ(host_counter(h, CNT_rx_bursts), rx_bursts + 1);
	CHECK_EQ(host_counter(h, CNT_tx_bursts), tx_bursts + 1);
	host_drain(h);
	host_end(h);
}

static void a_submission_costs_submissions_and_output(void)
{
	struct host *h = slow_host();
	struct leat_sqe sqe = {.op = LEAT_OP_SYNC};
	struct app_sock s;

	open_slow_sock(h, &s);
	sqe.handle = s.handle;
	REQUIRE(app_submit(&h->app, 0, 0, &sqe));
	poll_sampled(h);
	CHECK_EQ(host_counter(h, CNT_cycles_submissions), SUBMISSION);
	CHECK_EQ(host_counter(h, CNT_cycles_output), OUTPUT);
	/* The look at the port in vain is not the submission's. */
	CHECK_EQ(host_counter(h, CNT_cycles_idle), RECEIVE);
	CHECK_EQ(cost_sum(h), RECEIVE + SUBMISSION + OUTPUT);
	app_pump(&h->app);
	CHECK_EQ(app_close(&s), 0);
	host_end(h);
}

static void messages_and_timers_cost_their_own(void)
{
	struct host *h = slow_host();
	struct message m = {.run = slow_message};
	struct appointment a = {.place = 0};
	struct timer t = {.armed = false};

	host_settle(h);
	measure(h);
	wheel_arm(&h->w->wheel, &t, h->w->now_ms + 1, slow_timer);
	REQUIRE(calendar_set(&h->w->calendar, &a, clock_us + 1, slow_appointment));
	REQUIRE_EQ(worker_post(h->w, &m), 0);
	clock_us += 2000;
	poll_sampled(h);
	CHECK_EQ(host_counter(h, CNT_cycles_messages), MESSAGE);
	CHECK_EQ(host_counter(h, CNT_cycles_timers), TIMER + PACED);
	CHECK_EQ(cost_sum(h), RECEIVE + MESSAGE + TIMER + PACED);
	host_end(h);
}

/* Whatever happens in it: nothing is counted twice, nothing is left out. */
static void stages_add_up_to_the_iteration(void)
{
	struct host *h = slow_host();
	struct message m = {.run = slow_message};

	for (int i = 0; i < 50; i++) {
		uint64_t before = cycles, sum = cost_sum(h);

		if (i % 2 == 0)
			inject_ping(h);
		if (i % 3 == 0)
			REQUIRE_EQ(worker_post(h->w, &m), 0);
		poll_sampled(h);
		CHECK(cycles > before);
		CHECK_EQ(cost_sum(h) - sum, cycles - before);
		host_drain(h);
	}
	host_end(h);
}

static void reading_the_counter_is_not_charged(void)
{
	struct host *h = slow_host();

	cycles_per_reading = 27;
	cost_init(h->w);
	CHECK_EQ(h->w->cost.reading, 27);
	inject_ping(h);
	poll_sampled(h);
	CHECK_EQ(cost_sum(h), RECEIVE + TRANSMIT);
	host_drain(h);
	host_end(h);
}

/* Here each stage uses up just one reading, which nobody takes off. */
static void completions_cost_publish(void)
{
	struct host *h = host_new(NULL);

	measure(h);
	cycles_per_reading = 7;
	poll_sampled(h);
	CHECK_EQ(host_counter(h, CNT_cycles_publish), 0); /* there was nothing to tell */
	inject_ping(h);
	poll_sampled(h);
	CHECK_EQ(host_counter(h, CNT_cycles_publish), 7);
	CHECK_EQ(host_counter(h, CNT_cycles_transmit), 7);
	CHECK_EQ(host_counter(h, CNT_cycles_receive), 7);
	host_drain(h);
	host_end(h);
}

static void one_iteration_in_a_period_is_measured(void)
{
	struct host *h = slow_host();
	uint64_t iterations = 500000, measured;

	for (uint64_t i = 0; i < iterations; i++)
		worker_poll(h->w);
	measured = host_counter(h, CNT_cycles_idle) / RECEIVE;
	CHECK_RANGE(measured, iterations / COST_PERIOD * 9 / 10,
		    iterations / COST_PERIOD * 11 / 10);
	host_end(h);
}

/* Work in every COST_PERIOD-th iteration alone: a fixed step would see all of it, or none. */
static void a_periodic_load_is_met_in_proportion(void)
{
	struct host *h = slow_host();
	struct message m = {.run = slow_message};
	uint64_t periods = 20000, measured;

	for (uint64_t i = 0; i < periods * COST_PERIOD; i++) {
		if (i % COST_PERIOD == 0)
			REQUIRE_EQ(worker_post(h->w, &m), 0);
		worker_poll(h->w);
	}
	measured = host_counter(h, CNT_cycles_messages) / MESSAGE;
	CHECK_RANGE(measured, periods / COST_PERIOD * 8 / 10, periods / COST_PERIOD * 12 / 10);
	host_end(h);
}

static void without_a_counter_nothing_is_measured(void)
{
	struct host *h = host_new(NULL);

	for (int i = 0; i < 100; i++)
		worker_poll(h->w);
	worker_sleep(h->w, 100);
	CHECK_EQ(cost_sum(h), 0);
	CHECK_EQ(cost_elapsed(h->w), 0);
	CHECK_EQ(cost_asleep(h->w), 0);
	host_end(h);
}

static void sleep_is_measured_while_it_lasts(void)
{
	struct host *h = host_new(NULL);

	measure(h);
	cycles = 1000;
	CHECK_EQ(cost_elapsed(h->w), 1000);
	CHECK_EQ(cost_asleep(h->w), 0);
	cost_fall_asleep(h->w);
	cycles += 500;
	CHECK_EQ(cost_asleep(h->w), 500);
	cycles += 200;
	cost_wake_up(h->w);
	cycles += 100;
	CHECK_EQ(cost_asleep(h->w), 700);
	CHECK_EQ(host_counter(h, CNT_cycles_asleep), 700);
	CHECK_EQ(cost_elapsed(h->w), 1800);
	host_end(h);
}

static void a_sleep_counts_as_asleep(void)
{
	struct host *h = host_new(NULL);

	measure(h);
	cycles = 1;
	cycles_per_reading = 5;
	worker_sleep(h->w, 100);
	CHECK_EQ(host_counter(h, CNT_sleeps), 1);
	CHECK_EQ(host_counter(h, CNT_cycles_asleep), 5);
	host_end(h);
}

TEST_SUITE(cost)
{
	TEST(an_idle_iteration_is_idle);
	TEST(a_packet_costs_receive_and_transmit);
	TEST(a_submission_costs_submissions_and_output);
	TEST(messages_and_timers_cost_their_own);
	TEST(stages_add_up_to_the_iteration);
	TEST(reading_the_counter_is_not_charged);
	TEST(completions_cost_publish);
	TEST(one_iteration_in_a_period_is_measured);
	TEST(a_periodic_load_is_met_in_proportion);
	TEST(without_a_counter_nothing_is_measured);
	TEST(sleep_is_measured_while_it_lasts);
	TEST(a_sleep_counts_as_asleep);
}
