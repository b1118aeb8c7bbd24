/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How fast do bytes flow?  One application sends all it can, another receives
 * and looks at it, each on one core with its worker, over net_ring (mbufs by
 * pointer), without offloads, or with those of pair.h.  With copies each application has a buffer of its own.
 * In place it hands over and takes back the chunks of the rings themselves: after
 * the first bytes, which are written and compared, it only marks where a chunk
 * begins and looks at the mark, as if somebody else made and used the bytes.
 *
 *     bulk [--flows N] [--mtu N] [--seconds S] [--in-place] [--piece BYTES]
 *          [--copybreak BYTES] [--chunk-shift N] [--buffer BYTES] [--offloads checksums|tso]
 *          [--cores A,B] [--json]
 *
 * Time is cut into slots, and the figures are medians over these.  A side's
 * busy cycles are those of the turns that found something to do; of turns so
 * long that the machine must have run somebody else neither cycles nor packets
 * count.  A core that is not shared has none.
 */
#include <errno.h>
#include <leat/cq.h>
#include <leat/leat.h>
#include <netinet/in.h>
#include <rte_cycles.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "bench.h"
#include "pair.h"

#define MEGABYTES     512
#define PORT          5001
#define FLOWS_MAX     1024
#define PATTERN_BYTES (1u << 16) /* after which the stream repeats itself */
#define EXACT_BYTES   (1u << 20) /* each byte of these is compared; later a word of each piece */
#define SLOT_MS       20
#define SLOTS_MAX     4096
#define WARM_UP_SLOTS 25
#define EVENTS        64
#define PIECES        8
#define TRIES         4 /* of one flow in one turn */
#define TURN_MAX_US   500

static struct {
	uint32_t flows;
	double seconds;
	bool in_place;
	uint32_t piece_bytes;
	struct pair_config pair;
} options = {
	.flows = 1,
	.seconds = 3,
	.piece_bytes = 1u << 15,
	.pair = {.mtu = 1500,
		 .copybreak_bytes = 512,
		 .chunk_shift = 14,
		 .buffer_bytes = 1u << 20,
		 .core = {0, 1}},
};

enum { SENDER, RECEIVER };

struct flow_end {
	int fd; /* with copies */
	struct leat_handle handle; /* in place */
	uint64_t offset; /* in the stream */
};

/* What a side has done by the end of a slot. */
struct sample {
	uint64_t bytes, packets;
	uint64_t busy, busy_packets; /* cycles, and the packets of the same turns */
};

static struct side {
	struct flow_end flow[FLOWS_MAX];
	uint32_t flows;
	bool open;
	int epoll, listener;
	struct leat_cq *cq; /* in place */
	char *buffer; /* of the application's own */
	uint64_t last; /* the counter when the last turn ended */
	uint64_t last_packets;
	struct sample now;
	uint64_t slot_end;
	uint32_t disturbed; /* turns */
	uint32_t slots;
	struct sample sample[SLOTS_MAX];
} __attribute__((aligned(64))) sides[PAIR_SIDES];

static uint32_t listening, over; /* atomic */
static uint64_t slot_cycles, turn_max_cycles;
static uint32_t slots_wanted;
static char pattern[2 * PATTERN_BYTES + 64];

/* ---- the stream ----------------------------------------------------------------- */

static void make_pattern(void)
{
	uint32_t x = 1;

	for (uint32_t i = 0; i < PATTERN_BYTES; i++) {
		x = x * 1664525 + 1013904223;
		pattern[i] = pattern[i + PATTERN_BYTES] = (char)(x >> 24);
	}
}

static const char *pattern_at(uint64_t offset)
{
	return pattern + offset % PATTERN_BYTES;
}

/* All of the first bytes, then what a piece begins with. */
static void check(const char *data, size_t length, uint64_t offset)
{
	size_t looked = length;

	if (offset >= EXACT_BYTES)
		looked = RTE_MIN(looked, sizeof(uint64_t));
	for (size_t at = 0; at < looked; at += PATTERN_BYTES)
		if (memcmp(data + at, pattern_at(offset + at),
			   RTE_MIN(looked - at, (size_t)PATTERN_BYTES)) != 0)
			bench_fail("what arrived is not what was sent, at %lu", offset);
}

/* ---- opening ---------------------------------------------------------------------- */

static void watch(struct side *s, int fd, uint32_t events, uint32_t number)
{
	struct epoll_event event = {.events = events, .data.u32 = number};

	if (leat_epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		bench_fail("epoll: %s", strerror(errno));
}

static struct sockaddr_in receiver_address(void)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons(PORT),
				    .sin_addr.s_addr = htonl(pair_address(RECEIVER))};
}

static int open_socket(void)
{
	int fd = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0)
		bench_fail("no socket: %s", strerror(errno));
	return fd;
}

static void open_receiver(struct side *s)
{
	struct sockaddr_in address = receiver_address();

	s->listener = open_socket();
	if (leat_bind(s->listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    leat_listen(s->listener, FLOWS_MAX) != 0)
		bench_fail("cannot listen: %s", strerror(errno));
	__atomic_store_n(&listening, 1, __ATOMIC_RELEASE);
}

static void accept_flows(struct side *s)
{
	int fd;

	while (s->flows < options.flows &&
	       (fd = leat_accept4(s->listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		s->flow[s->flows].fd = fd;
		watch(s, fd, EPOLLIN, s->flows++);
	}
}

static void connect_flows(struct side *s)
{
	struct sockaddr_in address = receiver_address();

	if (__atomic_load_n(&listening, __ATOMIC_ACQUIRE) == 0)
		return;
	while (s->flows < options.flows) {
		int fd = open_socket();

		if (leat_connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 &&
		    errno != EINPROGRESS)
			bench_fail("cannot connect: %s", strerror(errno));
		s->flow[s->flows].fd = fd;
		watch(s, fd, EPOLLOUT, s->flows++);
	}
}

static void open_copies(unsigned side)
{
	struct side *s = &sides[side];

	s->epoll = leat_epoll_create1(0);
	s->buffer = calloc(1, PATTERN_BYTES);
	if (s->epoll < 0 || s->buffer == NULL)
		bench_fail("no memory");
	if (side == RECEIVER)
		open_receiver(s);
}

/* ---- moving bytes ----------------------------------------------------------------- */

static ssize_t send_piece(struct side *s, struct flow_end *f)
{
	size_t length = options.piece_bytes;

	(void)s;
	return leat_send(f->fd, pattern_at(f->offset), length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static ssize_t receive_piece(struct side *s, struct flow_end *f)
{
	ssize_t n = leat_recv(f->fd, s->buffer, options.piece_bytes, MSG_DONTWAIT);

	if (n > 0)
		check(s->buffer, (size_t)n, f->offset);
	return n;
}

static uint64_t move(struct side *s, struct flow_end *f,
		     ssize_t (*piece)(struct side *s, struct flow_end *f))
{
	uint64_t moved = 0;

	for (int i = 0; i < TRIES; i++) {
		ssize_t n = piece(s, f);

		if (n < 0 && errno != EAGAIN)
			bench_fail("a connection failed: %s", strerror(errno));
		if (n == 0)
			bench_fail("a connection ended");
		if (n < 0)
			break;
		f->offset += (uint64_t)n;
		moved += (uint64_t)n;
		if (n < (ssize_t)options.piece_bytes)
			break;
	}
	return moved;
}

/* One turn with copies: how many bytes moved. */
static uint64_t turn_copies(unsigned side)
{
	struct side *s = &sides[side];
	struct epoll_event events[EVENTS];
	uint64_t moved = 0;
	int count;

	if (s->flows < options.flows && side == SENDER)
		connect_flows(s);
	else if (s->flows < options.flows)
		accept_flows(s);
	count = leat_epoll_wait(s->epoll, events, EVENTS, 0);
	for (int i = 0; i < count; i++)
		moved += move(s, &s->flow[events[i].data.u32],
			      side == SENDER ? send_piece : receive_piece);
	return moved;
}

/* ---- in place --------------------------------------------------------------------- */

static struct leat_handle submit(struct side *s, unsigned side, const struct leat_sqe *sqe)
{
	struct leat_handle handle;
	struct leat_cqe *cqe;

	if (leat_cq_submit(s->cq, side, sqe) != 0 || leat_cq_wait(s->cq, &cqe, -1) != 0 ||
	    cqe->type != LEAT_CQE_RESULT || (cqe->result != 0 && cqe->result != -EINPROGRESS))
		bench_fail("a submission failed");
	handle = cqe->handle;
	leat_cq_seen(s->cq);
	return handle;
}

static struct leat_handle make_sock(struct side *s, unsigned side)
{
	return submit(
		s, side,
		&(struct leat_sqe){.op = LEAT_OP_SOCKET, .family = AF_INET, .type = SOCK_STREAM});
}

static struct leat_addr receiver_addr(void)
{
	struct sockaddr_in from = receiver_address();
	struct leat_addr address = {.family = AF_INET, .port = from.sin_port};

	memcpy(address.addr, &from.sin_addr, sizeof(from.sin_addr));
	return address;
}

static void listen_in_place(struct side *s)
{
	struct leat_handle h = make_sock(s, RECEIVER);
	const struct leat_sqe credit = {
		.op = LEAT_OP_CREDIT, .handle = h, .value = (int32_t)options.flows};

	(void)submit(s, RECEIVER,
		     &(struct leat_sqe){.op = LEAT_OP_BIND, .handle = h, .addr = receiver_addr()});
	(void)submit(s, RECEIVER,
		     &(struct leat_sqe){.op = LEAT_OP_LISTEN, .handle = h, .value = FLOWS_MAX});
	if (leat_cq_submit(s->cq, RECEIVER, &credit) != 0)
		bench_fail("no credit");
	__atomic_store_n(&listening, 1, __ATOMIC_RELEASE);
}

static void open_in_place(unsigned side)
{
	struct side *s = &sides[side];

	if (leat_cq_open(&s->cq) != 0)
		bench_fail("no queue");
	if (side == RECEIVER)
		listen_in_place(s);
}

/* All socks before the first connects: then no completion is another's. */
static void connect_in_place(struct side *s)
{
	struct leat_sqe sqe = {.op = LEAT_OP_CONNECT, .addr = receiver_addr()};

	if (__atomic_load_n(&listening, __ATOMIC_ACQUIRE) == 0)
		return;
	for (; s->flows < options.flows; s->flows++)
		s->flow[s->flows].handle = make_sock(s, SENDER);
	for (uint32_t i = 0; i < s->flows; i++) {
		sqe.handle = s->flow[i].handle;
		if (leat_cq_submit(s->cq, SENDER, &sqe) != 0)
			bench_fail("cannot connect");
	}
}

/* Every flow is looked at in each turn, so no event has to tell of one. */
static void take_completions(struct side *s)
{
	struct leat_cqe *cqe;

	while (leat_cq_peek(s->cq, &cqe) == 0) {
		if (cqe->type == LEAT_CQE_ACCEPT && leat_cq_claim(s->cq, cqe) == 0)
			s->flow[s->flows++].handle = cqe->handle;
		leat_cq_seen(s->cq);
	}
}

static void fill(char *chunk, size_t length, uint64_t offset)
{
	size_t written = offset < EXACT_BYTES ? length : RTE_MIN(length, sizeof(uint64_t));

	memcpy(chunk, pattern_at(offset), written);
}

static void look(const char *chunk, size_t length, uint64_t offset)
{
	if (offset < EXACT_BYTES || (offset & ((1u << options.pair.chunk_shift) - 1)) == 0)
		check(chunk, length, offset);
}

static size_t fill_pieces(struct leat_cq *cq, struct flow_end *f)
{
	struct iovec iov[PIECES];
	int count = PIECES;
	ssize_t n = -EAGAIN;

	if (leat_cq_events(cq, f->handle) & LEAT_EV_CONNECTED)
		n = leat_cq_send_reserve(cq, f->handle, options.piece_bytes, iov, &count);
	if (n < 0)
		return 0;
	for (int i = 0; i < count; i++) {
		fill(iov[i].iov_base, iov[i].iov_len, f->offset);
		f->offset += iov[i].iov_len;
	}
	(void)leat_cq_send_commit(cq, f->handle, (size_t)n);
	return (size_t)n;
}

static size_t look_at_pieces(struct leat_cq *cq, struct flow_end *f)
{
	struct iovec iov[PIECES];
	int count = PIECES;
	ssize_t n = leat_cq_recv_peek(cq, f->handle, iov, &count);

	if (n <= 0)
		return 0;
	for (int i = 0; i < count; i++) {
		look(iov[i].iov_base, iov[i].iov_len, f->offset);
		f->offset += iov[i].iov_len;
	}
	(void)leat_cq_recv_consume(cq, f->handle, (size_t)n);
	return (size_t)n;
}

/* One turn in place: how many bytes moved. */
static uint64_t turn_in_place(unsigned side)
{
	struct side *s = &sides[side];
	uint64_t moved = 0;

	if (side == SENDER && s->flows < options.flows)
		connect_in_place(s);
	take_completions(s);
	for (uint32_t i = 0; i < s->flows; i++)
		for (int k = 0; k < TRIES; k++)
			moved += side == SENDER ? fill_pieces(s->cq, &s->flow[i])
						: look_at_pieces(s->cq, &s->flow[i]);
	return moved;
}

/* ---- measuring -------------------------------------------------------------------- */

/* Data packets, and next to none other, go this way. */
static uint64_t data_packets(unsigned side)
{
	const struct worker *w = pair_worker(side);

	return w->counter[side == SENDER ? CNT_tx_packets : CNT_rx_packets];
}

static void end_slot(unsigned side, uint64_t now)
{
	struct side *s = &sides[side];

	s->slot_end = now + slot_cycles;
	s->sample[s->slots++] = s->now;
	if (side == RECEIVER && s->slots == slots_wanted)
		__atomic_store_n(&over, 1, __ATOMIC_RELEASE);
}

/* Cycles from the end of one turn to the end of the next: the worker's iteration lies between. */
static void account(unsigned side, bool found)
{
	struct side *s = &sides[side];
	uint64_t now = rte_rdtsc();
	uint64_t cycles = now - s->last;

	s->now.packets = data_packets(side);
	if (cycles > turn_max_cycles) {
		s->disturbed++;
	} else if (found) {
		s->now.busy += cycles;
		s->now.busy_packets += s->now.packets - s->last_packets;
	}
	s->last = now;
	s->last_packets = s->now.packets;
	if (s->flows < options.flows)
		s->slot_end = now + slot_cycles;
	else if (now >= s->slot_end && s->slots < slots_wanted)
		end_slot(side, now);
}

static bool turn(unsigned side, unsigned work)
{
	struct side *s = &sides[side];
	uint64_t moved;

	if (!s->open) {
		s->open = true;
		(options.in_place ? open_in_place : open_copies)(side);
	}
	moved = (options.in_place ? turn_in_place : turn_copies)(side);
	s->now.bytes += moved;
	account(side, work != 0 || moved != 0);
	return __atomic_load_n(&over, __ATOMIC_ACQUIRE) == 0;
}

static double median_of(unsigned side,
			double (*value)(const struct sample *a, const struct sample *b))
{
	static double values[SLOTS_MAX];
	const struct side *s = &sides[side];
	unsigned n = 0;

	for (uint32_t i = WARM_UP_SLOTS + 1; i < s->slots; i++)
		values[n++] = value(&s->sample[i - 1], &s->sample[i]);
	return n > 0 ? bench_median(values, n) : 0;
}

static double busy_per_packet(const struct sample *a, const struct sample *b)
{
	uint64_t packets = b->busy_packets - a->busy_packets;

	return packets > 0 ? (double)(b->busy - a->busy) / (double)packets : 0;
}

static double bytes_per_s(const struct sample *a, const struct sample *b)
{
	return (double)(b->bytes - a->bytes) * 1000 / SLOT_MS;
}

static double packets_per_s(const struct sample *a, const struct sample *b)
{
	return (double)(b->packets - a->packets) * 1000 / SLOT_MS;
}

static double packets_per_busy_poll(unsigned side)
{
	const struct worker *w = pair_worker(side);
	uint64_t polls = w->counter[CNT_busy_polls];

	return polls > 0 ? (double)data_packets(side) / (double)polls : 0;
}

static void report(void)
{
	static const char *const offloads[] = {
		[PAIR_NO_OFFLOADS] = "",
		[PAIR_CHECKSUMS] = ", checksums by the port",
		[PAIR_TSO] = ", checksums and TSO by the port",
	};
	char variant[64];
	double sender = median_of(SENDER, busy_per_packet);
	double receiver = median_of(RECEIVER, busy_per_packet);
	double rate = median_of(RECEIVER, bytes_per_s) * 8 / 1e9;

	snprintf(variant, sizeof(variant), "mtu %u, %s%s", options.pair.mtu,
		 options.in_place ? "in place" : "copies", offloads[options.pair.offloads]);
	bench_report(&(struct bench_figure){
		.benchmark = "bulk",
		.variant = variant,
		.cycles_per_op = RTE_MAX(sender, receiver),
		.ops_per_s = median_of(RECEIVER, packets_per_s),
		.connections = options.flows,
		.driver = "net_ring",
		.more = {{"gbit_per_s", rate},
			 {"sender_cycles", sender},
			 {"receiver_cycles", receiver},
			 {"sender_burst", packets_per_busy_poll(SENDER)},
			 {"receiver_burst", packets_per_busy_poll(RECEIVER)},
			 {"disturbed_turns", sides[SENDER].disturbed + sides[RECEIVER].disturbed},
			 {"retransmitted",
			  (double)pair_worker(SENDER)->counter[CNT_tcp_retransmit]}},
	});
}

/* ---- the program ------------------------------------------------------------------- */

static void usage(const char *program)
{
	bench_fail("usage: %s [--flows N] [--mtu N] [--seconds S] [--in-place]\n"
		   "  [--piece BYTES] [--copybreak BYTES] [--chunk-shift N] [--buffer BYTES]\n"
		   "  [--offloads checksums|tso] [--cores A,B] [--json]",
		   program);
}

static void take_option(const char *program, const char *name, const char *value)
{
	struct pair_config *p = &options.pair;

	if (strcmp(name, "--flows") == 0)
		options.flows = (uint32_t)atoi(value);
	else if (strcmp(name, "--mtu") == 0)
		p->mtu = (uint16_t)atoi(value);
	else if (strcmp(name, "--seconds") == 0)
		options.seconds = atof(value);
	else if (strcmp(name, "--piece") == 0)
		options.piece_bytes = (uint32_t)atoi(value);
	else if (strcmp(name, "--copybreak") == 0)
		p->copybreak_bytes = (uint32_t)atoi(value);
	else if (strcmp(name, "--chunk-shift") == 0)
		p->chunk_shift = (uint8_t)atoi(value);
	else if (strcmp(name, "--buffer") == 0)
		p->buffer_bytes = (uint32_t)atoi(value);
	else if (strcmp(name, "--offloads") == 0 && strcmp(value, "checksums") == 0)
		p->offloads = PAIR_CHECKSUMS;
	else if (strcmp(name, "--offloads") == 0 && strcmp(value, "tso") == 0)
		p->offloads = PAIR_TSO;
	else if (strcmp(name, "--cores") != 0 ||
		 sscanf(value, "%d,%d", &p->core[0], &p->core[1]) != 2)
		usage(program);
}

static void parse(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (bench_option(argv[i]))
			continue;
		if (strcmp(argv[i], "--in-place") == 0) {
			options.in_place = true;
			continue;
		}
		if (i + 1 == argc)
			usage(argv[0]);
		take_option(argv[0], argv[i], argv[i + 1]);
		i++;
	}
	if (options.flows - 1 >= FLOWS_MAX || options.piece_bytes - 1 >= PATTERN_BYTES)
		usage(argv[0]);
	if (bench_is_quick())
		options.seconds = 1;
	slots_wanted = WARM_UP_SLOTS + (uint32_t)(options.seconds * 1000 / SLOT_MS);
	slots_wanted = RTE_MIN(slots_wanted, (uint32_t)SLOTS_MAX);
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	make_pattern();
	bench_eal(argv[0], MEGABYTES, true);
	slot_cycles = bench_hz() / 1000 * SLOT_MS;
	turn_max_cycles = bench_hz() / 1000000 * TURN_MAX_US;
	pair_begin(&options.pair);
	pair_run(turn);
	report();
	pair_end();
	return bench_end();
}
