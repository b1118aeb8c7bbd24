/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What does an operation cost in instructions?  instructions.sh runs this under
 * callgrind, which counts inside counted() and nowhere else: not the way to the
 * state in which the operation happens, nor the far ends.
 *
 *     instructions OPERATION
 *
 * Two parts, each with as many operations: what the worker does for them, and
 * then, as OPERATION-inline, the same with what the application does on top, the
 * calls it makes included.
 *
 * Prints for each part how many operations were counted; without callgrind, what
 * one takes in cycles of the TSC.  Load is as on a busy server: while the worker receives one
 * burst it sends the answers to the one before.
 */
#include <errno.h>
#include <leat/leat.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <valgrind/callgrind.h>

#include "bench.h"
#include "farend.h"
#include "lab.h"
#include "sock/sock_table.h"

#define MEGABYTES      256
#define WARM_UP_ROUNDS 32 /* a burst each; of both parts' there are not FAREND_MAX connections */
#define ROUNDS         64
#define BURST          LAB_BURST
#define REQUEST_BYTES  64
#define EVENTS         64
#define BULK_BYTES     (BURST * FAREND_MSS)
#define TABLE_FLOWS    10000u
#define SERVED_POLLS   20 /* in which a burst of connections must have been served */

#define ACK            RTE_TCP_ACK_FLAG
#define SYN            RTE_TCP_SYN_FLAG
#define PUSH           (RTE_TCP_PSH_FLAG | ACK)
#define FIN            (RTE_TCP_FIN_FLAG | ACK)

static bool with_application; /* counts, too */
static bool counting;
static uint64_t cycles; /* counted */

static void counted(void (*run)(void))
{
	uint64_t before = bench_tsc();

	CALLGRIND_TOGGLE_COLLECT;
	run();
	CALLGRIND_TOGGLE_COLLECT;
	cycles += bench_tsc() - before;
}

static void poll_worker(void)
{
	(void)lab_poll();
}

static void iterate(void)
{
	if (counting)
		counted(poll_worker);
	else
		poll_worker();
}

/* ---- the application -------------------------------------------------------------- */

static int epoll, listener, bulk;
static bool closes; /* after each answer */
static uint32_t served; /* requests, datagrams or bytes so far */
static char buffer[BULK_BYTES];

static void watch(int fd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = fd};

	if (leat_epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		bench_fail("epoll: %s", strerror(errno));
}

static void answer(int fd)
{
	ssize_t got = leat_recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);

	if (got <= 0)
		return;
	served++;
	(void)leat_send(fd, buffer, (size_t)got, MSG_DONTWAIT);
	if (closes)
		leat_close(fd);
}

static void accept_all(void)
{
	int fd;

	while ((fd = leat_accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		watch(fd);
		answer(fd);
	}
}

/* One turn of a server's loop. */
static void serve_streams(void)
{
	struct epoll_event events[EVENTS];
	int n = leat_epoll_wait(epoll, events, EVENTS, 0);

	for (int i = 0; i < n; i++) {
		if (events[i].data.fd == listener)
			accept_all();
		else
			answer(events[i].data.fd);
	}
}

static void serve_datagrams(void)
{
	struct sockaddr_in from;
	socklen_t length = sizeof(from);
	ssize_t got;

	while ((got = leat_recvfrom(listener, buffer, sizeof(buffer), MSG_DONTWAIT,
				    (struct sockaddr *)&from, &length)) >= 0) {
		(void)leat_sendto(listener, buffer, (size_t)got, MSG_DONTWAIT,
				  (struct sockaddr *)&from, length);
		served++;
	}
}

static void read_all(void)
{
	ssize_t got;

	while ((got = leat_recv(bulk, buffer, sizeof(buffer), MSG_DONTWAIT)) > 0)
		served += (uint32_t)got;
}

static void write_burst(void)
{
	if (leat_send(bulk, buffer, BULK_BYTES, MSG_DONTWAIT) != BULK_BYTES)
		bench_fail("the send buffer is full");
}

static void take_turn(void (*turn)(void))
{
	if (counting && with_application)
		counted(turn);
	else
		turn();
}

/* ---- states ------------------------------------------------------------------------- */

static void listen_streams(void)
{
	listener = farends_listen();
	epoll = leat_epoll_create1(0);
	if (epoll < 0)
		bench_fail("epoll: %s", strerror(errno));
	watch(listener);
	serve_streams();
}

static void connect_farends(uint32_t count)
{
	listen_streams();
	for (uint32_t n = 0; n < count; n++) {
		bulk = farend_connect(n, listener);
		watch(bulk);
	}
}

/* ---- request and response -------------------------------------------------------------- */

static void begin_requests(void)
{
	connect_farends(2 * BURST);
}

/* Two halves of the connections take turns. */
static uint32_t round_requests(void)
{
	static uint32_t half;

	for (uint32_t n = 0; n < BURST; n++)
		farend_send(farend(half * BURST + n), PUSH, REQUEST_BYTES);
	half = 1 - half;
	iterate();
	take_turn(serve_streams);
	return farends_take(); /* an answer is one segment */
}

static void begin_request_alone(void)
{
	connect_farends(1);
}

static uint32_t round_request_alone(void)
{
	farend_send(farend(0), PUSH, REQUEST_BYTES);
	iterate();
	take_turn(serve_streams);
	iterate();
	return farends_take();
}

/* ---- the same with two workers behind one queue --------------------------------------------- */

#define STEERED_GROUPS 4 /* of connections: some answers take a round more, by way of the other */

static void begin_requests_steered(void)
{
	connect_farends(STEERED_GROUPS * BURST);
}

static uint32_t round_requests_steered(void)
{
	static uint32_t group;

	for (uint32_t n = 0; n < BURST; n++)
		farend_send(farend(group * BURST + n), PUSH, REQUEST_BYTES);
	group = (group + 1) % STEERED_GROUPS;
	iterate();
	take_turn(serve_streams);
	return farends_take();
}

/* ---- connect, request, response, close ---------------------------------------------------- */

static uint32_t next_farend;

static void begin_connects(void)
{
	listen_streams();
	closes = true;
}

static void send_all(uint8_t flags, uint32_t length)
{
	for (uint32_t n = 0; n < BURST; n++)
		farend_send(farend(next_farend + n), flags, length);
}

static uint32_t round_connects(void)
{
	uint32_t wanted = served + BURST;

	send_all(SYN, 0);
	iterate();
	farends_take();
	for (uint32_t n = 0; n < BURST; n++) {
		farend_send(farend(next_farend + n), ACK, 0);
		farend_send(farend(next_farend + n), PUSH, REQUEST_BYTES);
	}
	for (int i = 0; i < SERVED_POLLS && served != wanted; i++) {
		iterate();
		take_turn(serve_streams);
	}
	iterate();
	farends_take();
	send_all(FIN, 0);
	iterate();
	farends_take();
	next_farend += BURST;
	return served == wanted ? BURST : 0;
}

/* ---- datagrams ------------------------------------------------------------------------------ */

static void begin_datagrams(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(FAREND_PORT)};

	listener = leat_socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	if (listener < 0 || leat_bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0)
		bench_fail("no socket: %s", strerror(errno));
}

static uint32_t round_datagrams(void)
{
	for (uint32_t n = 0; n < BURST; n++)
		farend_send_datagram(n, REQUEST_BYTES);
	iterate();
	take_turn(serve_datagrams);
	return farends_take();
}

/* ---- bulk ------------------------------------------------------------------------------------ */

static void begin_bulk(void)
{
	connect_farends(1);
}

static uint32_t round_receive(void)
{
	uint32_t before = served;

	for (uint32_t n = 0; n < BURST; n++)
		farend_send(farend(0), ACK, FAREND_MSS);
	iterate();
	take_turn(read_all);
	farends_take();
	return (served - before) / FAREND_MSS;
}

/* The far end acknowledges every second segment, as all do. */
static uint32_t round_send(void)
{
	struct farend *f = farend(0);
	uint64_t before = f->bytes;
	uint32_t segments, end;

	take_turn(write_burst);
	iterate();
	farends_take();
	segments = (uint32_t)((f->bytes - before) / FAREND_MSS);
	end = f->ack;
	for (uint32_t n = 2; n <= segments; n += 2) {
		f->ack = end - (segments - n) * FAREND_MSS;
		farend_send(f, ACK, 0);
	}
	f->ack = end;
	return segments;
}

/* ---- parts -------------------------------------------------------------------------------------- */

static struct sock_table *table;
static struct flow flows[TABLE_FLOWS];
static const struct flow *asked[BURST];

static void begin_table(void)
{
	static const struct siphash_key key = {{1, 2}};

	table = sock_table_create("alone", TABLE_FLOWS, &key, -1);
	if (table == NULL)
		bench_fail("no memory for a table");
	for (uint32_t n = 0; n < TABLE_FLOWS; n++) {
		flows[n] = (struct flow){.local = inet_addr_v4(htonl(LAB_ADDRESS)),
					 .remote = inet_addr_v4(htonl(LAB_FAR)),
					 .local_port = htons(FAREND_PORT),
					 .remote_port = htons((uint16_t)(1024 + n)),
					 .family = AF_INET,
					 .protocol = IPPROTO_TCP};
		if (sock_table_add(table, &flows[n], (sock_entry)(n + 1) << 6) != 0)
			bench_fail("the table is full");
	}
}

static void find_asked(void)
{
	sock_entry found[BURST];

	sock_table_find_burst(table, asked, BURST, found);
}

static uint32_t round_table(void)
{
	static uint32_t next;

	for (uint32_t i = 0; i < BURST; i++)
		asked[i] = &flows[next++ * 7919 % TABLE_FLOWS];
	if (counting)
		counted(find_asked);
	return BURST;
}

static uint32_t round_idle(void)
{
	iterate();
	return 1;
}

/* ---- all ------------------------------------------------------------------------------------------- */

struct operation {
	const char *name;
	void (*begin)(void);
	uint32_t (*round)(void); /* how many operations */
	bool has_application;
	uint16_t workers;
};

static const struct operation operations[] = {
	{"request", begin_requests, round_requests, true, 1},
	{"request-alone", begin_request_alone, round_request_alone, true, 1},
	{"request-steered", begin_requests_steered, round_requests_steered, true, LAB_WORKERS},
	{"connect", begin_connects, round_connects, true, 1},
	{"datagram", begin_datagrams, round_datagrams, true, 1},
	{"receive", begin_bulk, round_receive, true, 1},
	{"send", begin_bulk, round_send, true, 1},
	{"table", begin_table, round_table, false, 1},
	{"idle", begin_requests, round_idle, false, 1},
};

static const struct operation *find_operation(const char *name)
{
	for (unsigned i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		if (strcmp(operations[i].name, name) == 0)
			return &operations[i];
	bench_fail("no such operation: %s", name);
}

/* What one worker handed over the other took, and nothing else. */
static void check_steered(const struct operation *o)
{
	const uint64_t *first = lab_worker(0)->counter, *second;

	if (o->workers == 1)
		return;
	second = lab_worker(1)->counter;
	if (first[CNT_steered_out] == 0 || first[CNT_steered_out] != second[CNT_steered_in] ||
	    second[CNT_steered_out] == 0 || second[CNT_rx_packets] != 0)
		bench_fail("%s: not steered as it should be", o->name);
}

static void warm_up(const struct operation *o)
{
	for (uint32_t i = 0; i < WARM_UP_ROUNDS; i++)
		(void)o->round();
}

static uint32_t run_round(const struct operation *o)
{
	uint32_t count = o->round();

	if (count == 0)
		bench_fail("%s: nothing was done", o->name);
	return count;
}

/* Under callgrind: what was counted goes to a file, as a part of its own. */
static void count(const struct operation *o, const char *part)
{
	uint32_t operations_count = 0;

	for (uint32_t i = 0; i < ROUNDS; i++)
		operations_count += run_round(o);
	CALLGRIND_DUMP_STATS_AT(part);
	printf("%s %u\n", part, operations_count);
}

/* What of all that the first worker received and sent was the other's. */
static void add_shares(struct bench_figure *figure)
{
	const uint64_t *first = lab_worker(0)->counter, *second = lab_worker(1)->counter;

	figure->more[0] =
		(struct bench_more){"handed_over_share",
				    (double)first[CNT_steered_out] / (double)first[CNT_rx_packets]};
	figure->more[1] = (struct bench_more){"sent_for_other_share",
					      (double)second[CNT_steered_out] /
						      (double)first[CNT_tx_packets]};
}

/* Each round by itself, so that the median leaves out those that something disturbed. */
static void measure(const struct operation *o, const char *part)
{
	double per_operation[ROUNDS];
	struct bench_figure figure = {.benchmark = "lab", .variant = part, .driver = "memory"};

	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t operations_count;

		cycles = 0;
		operations_count = run_round(o);
		per_operation[i] = (double)cycles / operations_count;
	}
	figure.cycles_per_op = bench_median(per_operation, ROUNDS);
	if (o->workers > 1)
		add_shares(&figure);
	bench_report(&figure);
}

static void run_part(const struct operation *o, bool application)
{
	char part[64];

	snprintf(part, sizeof(part), "%s%s", o->name, application ? "-inline" : "");
	with_application = application;
	counting = true;
	if (RUNNING_ON_VALGRIND)
		count(o, part);
	else
		measure(o, part);
	counting = false;
}

static const char *take_options(int argc, char **argv)
{
	const char *operation = NULL;

	for (int i = 1; i < argc; i++)
		if (!bench_option(argv[i]))
			operation = argv[i];
	if (operation == NULL)
		bench_fail("usage: %s [--json] OPERATION", argv[0]);
	return operation;
}

int main(int argc, char **argv)
{
	const struct operation *o = find_operation(take_options(argc, argv));

	bench_eal(argv[0], MEGABYTES, !RUNNING_ON_VALGRIND);
	lab_begin(o->workers);
	o->begin();
	CALLGRIND_START_INSTRUMENTATION;
	warm_up(o);
	run_part(o, false);
	if (o->has_application)
		run_part(o, true);
	CALLGRIND_STOP_INSTRUMENTATION;
	check_steered(o);
	lab_end();
	return bench_end();
}
