/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loop: completions in, a turn for each connection they tell of, credits
 * for new ones, deadlines.
 */
#include <errno.h>
#include <leat/leat.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "common.h"
#include "http_server.h"
#include "placement.h"

#define BACKLOG         4096
#define CREDITS         256 /* connections that may be offered at once; renewed by halves */
#define EVENTS_PER_TURN 128 /* then the worker gets its turn */
#define ANSWER_US       5000000

/* ---- The clock ---------------------------------------------------------- */

/* Seconds count here, and the coarse clock tells them without reading the hardware. */
static void clock_read(struct server *s)
{
	struct timespec now;
	time_t second = time(NULL);

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	s->now_s = (uint32_t)now.tv_sec;
	if (second != s->now.second)
		http_date_set(&s->now, second);
}

/* ---- Connections by slot ------------------------------------------------ */

/* NULL: there was none yet whose slot is near that one. */
static struct connection *connection_at(const struct server *s, uint32_t slot)
{
	uint32_t block = slot >> BLOCK_SHIFT;

	if (block >= s->block_count || s->blocks[block] == NULL)
		return NULL;
	return &s->blocks[block][slot % BLOCK_CONNECTIONS];
}

static bool blocks_grow(struct server *s, uint32_t block)
{
	uint32_t count = block + 1 > 2 * s->block_count ? block + 1 : 2 * s->block_count;
	struct connection **blocks = realloc(s->blocks, count * sizeof(blocks[0]));

	if (blocks == NULL)
		return false;
	memset(blocks + s->block_count, 0, (count - s->block_count) * sizeof(blocks[0]));
	s->blocks = blocks;
	s->block_count = count;
	return true;
}

/* The same, but makes room; NULL: no memory. */
static struct connection *connection_place(struct server *s, uint32_t slot)
{
	uint32_t block = slot >> BLOCK_SHIFT;
	const size_t bytes = BLOCK_CONNECTIONS * sizeof(struct connection);

	if (block >= s->block_count && !blocks_grow(s, block))
		return NULL;
	if (s->blocks[block] == NULL) {
		s->blocks[block] = aligned_alloc(LEAT_CACHE_LINE, bytes);
		if (s->blocks[block] == NULL)
			return NULL;
		memset(s->blocks[block], 0, bytes); /* CLOSED */
	}
	return connection_at(s, slot);
}

/* ---- Listening ---------------------------------------------------------- */

/* Some ports' drivers send themselves signals. */
static int await_answer(struct server *s, struct leat_cqe **cqe)
{
	int r;

	do {
		r = leat_cq_wait(s->cq, cqe, ANSWER_US);
	} while (r == -EINTR && !stopped);
	return r;
}

/* Submits and waits for the answer, whose handle goes to *handle: before the first connection,
 * nothing else can arrive. */
static void call(struct server *s, unsigned worker, struct leat_sqe *sqe,
		 struct leat_handle *handle)
{
	struct leat_cqe *cqe;
	int r = leat_cq_submit(s->cq, worker, sqe);

	if (r == 0)
		r = await_answer(s, &cqe);
	if (r == 0) {
		r = cqe->result;
		*handle = cqe->handle;
		leat_cq_seen(s->cq);
	}
	if (r == 0)
		return;
	errno = -r;
	die_errno("listener");
}

static void listener_open(struct server *s, unsigned worker, const struct sockaddr_in *address)
{
	struct listener *l = &s->listeners[s->listener_count++];
	const int yes = 1;
	struct leat_sqe sqe = {.op = LEAT_OP_SOCKET, .family = AF_INET, .type = SOCK_STREAM};

	l->worker = worker;
	call(s, worker, &sqe, &l->handle);
	sqe = (struct leat_sqe){
		.op = LEAT_OP_SETSOCKOPT,
		.handle = l->handle,
		.option = {.level = SOL_SOCKET, .name = SO_REUSEADDR, .length_bytes = sizeof(yes)}};
	memcpy(sqe.option.value, &yes, sizeof(yes));
	call(s, worker, &sqe, &l->handle);
	sqe = (struct leat_sqe){.op = LEAT_OP_BIND,
				.handle = l->handle,
				.addr = {.family = AF_INET, .port = address->sin_port}};
	memcpy(sqe.addr.addr, &address->sin_addr, sizeof(address->sin_addr));
	call(s, worker, &sqe, &l->handle);
	sqe = (struct leat_sqe){.op = LEAT_OP_LISTEN, .handle = l->handle, .value = BACKLOG};
	call(s, worker, &sqe, &l->handle);
	l->spent = CREDITS;
}

/* Those that are used up are given anew, many at a time. */
static void listeners_credit(struct server *s)
{
	for (unsigned i = 0; i < s->listener_count; i++) {
		struct listener *l = &s->listeners[i];
		struct leat_sqe sqe = {
			.op = LEAT_OP_CREDIT, .handle = l->handle, .value = l->spent};

		if (l->spent >= CREDITS / 2 && leat_cq_submit(s->cq, l->worker, &sqe) == 0)
			l->spent = 0;
	}
}

static void listener_spend(struct server *s, unsigned worker)
{
	for (unsigned i = 0; i < s->listener_count; i++)
		s->listeners[i].spent += s->listeners[i].worker == worker;
}

/* ---- Completions -------------------------------------------------------- */

static void take_offer(struct server *s, const struct leat_cqe *cqe)
{
	struct connection *c;

	listener_spend(s, leat_cq_worker(s->cq, cqe->handle));
	if (leat_cq_claim(s->cq, cqe) != 0)
		return;
	c = connection_place(s, cqe->handle.slot);
	if (c == NULL) {
		struct leat_sqe sqe = {.op = LEAT_OP_CLOSE, .handle = cqe->handle, .value = 1};

		(void)leat_cq_submit(s->cq, leat_cq_worker(s->cq, cqe->handle), &sqe);
		return;
	}
	connection_open(s, c, cqe->handle);
}

/* Who waited for chunks tries again. */
static void starved_to_ready(struct server *s)
{
	struct connection *c;

	while ((c = TAILQ_FIRST(&s->starved)) != NULL)
		connection_wait(s, c, ON_READY);
}

/* An event, copied so that the next can be fetched while this one's connection is. */
struct event {
	struct connection *connection;
	uint32_t generation;
	uint32_t events;
};

/* What the completion has to say of a connection; false: nothing. */
static bool take_completion(struct server *s, const struct leat_cqe *cqe, struct event *event)
{
	switch (cqe->type) {
	case LEAT_CQE_EVENT:
		event->connection = connection_at(s, cqe->handle.slot);
		event->generation = cqe->handle.generation;
		event->events = cqe->events;
		__builtin_prefetch(event->connection);
		return event->connection != NULL;
	case LEAT_CQE_ACCEPT:
		take_offer(s, cqe);
		break;
	case LEAT_CQE_CHUNKS:
		starved_to_ready(s);
		break;
	case LEAT_CQE_IDLE:
		(void)leat_cq_send_release(s->cq, cqe->handle);
		break;
	default: /* answers: that the stream will end */
		break;
	}
	return false;
}

/* How long to sleep for: until somebody's time is over, or who waits for chunks is to try again. */
static int64_t wait_us(const struct server *s)
{
	const struct connection *c = TAILQ_FIRST(&s->by_deadline);
	int64_t seconds;

	if (c == NULL)
		return -1;
	seconds = (int64_t)c->touched_s + s->timeout_s + 1 - s->now_s;
	if (seconds > 1 && !TAILQ_EMPTY(&s->starved))
		seconds = 1;
	return seconds > 0 ? seconds * 1000000 : 0;
}

/* The first completion; waits for it when there is nothing else to do. */
static int first_completion(struct server *s, struct leat_cqe **cqe)
{
	int r = leat_cq_peek(s->cq, cqe);

	/* Inline nobody waits here: the stack's turn comes when this one's is over. */
	if (r == -EAGAIN && !is_inline() && TAILQ_EMPTY(&s->ready))
		r = leat_cq_wait(s->cq, cqe, wait_us(s));
	return r;
}

/* Takes completions, up to so many events; *count: how many of these.  How many it took. */
static int take_completions(struct server *s, struct event *events, int *count)
{
	struct leat_cqe *cqe;
	int taken = 0;
	int r = first_completion(s, &cqe);

	*count = 0;
	clock_read(s);
	while (r == 0) {
		*count += take_completion(s, cqe, &events[*count]);
		leat_cq_seen(s->cq);
		if (++taken == EVENTS_PER_TURN)
			return taken;
		r = leat_cq_peek(s->cq, &cqe);
	}
	if (r == -ENETDOWN) {
		errno = ENETDOWN;
		die_errno("the daemon");
	}
	return taken;
}

/* ---- Turns -------------------------------------------------------------- */

static void run_event(struct server *s, const struct event *e)
{
	struct connection *c = e->connection;

	if (c->phase == CLOSED || c->handle.generation != e->generation)
		return; /* of one that was closed meanwhile */
	c->at_end |= (e->events & LEAT_EV_RDHUP) != 0;
	if (e->events & (LEAT_EV_ERR | LEAT_EV_HUP))
		connection_close(s, c);
	else if (c->phase == SENDING || e->events != LEAT_EV_OUT)
		connection_run(s, c);
}

/* Each that is ready at this moment gets one turn; were there any? */
static bool run_ready(struct server *s)
{
	struct connection *last = TAILQ_LAST(&s->ready, connection_list);
	struct connection *c;
	bool done = last == NULL;

	while (!done) {
		c = TAILQ_FIRST(&s->ready);
		done = c == last;
		connection_wait(s, c, NOT_WAITING);
		connection_run(s, c);
	}
	return last != NULL;
}

/* Once a second. */
static void expire_connections(struct server *s)
{
	struct connection *c;

	while ((c = TAILQ_FIRST(&s->by_deadline)) != NULL && s->now_s - c->touched_s > s->timeout_s)
		connection_expire(s, c);
	/* Should the wish for chunks have been lost, as to a queue that was full. */
	starved_to_ready(s);
}

int server_turn(struct server *s)
{
	struct event events[EVENTS_PER_TURN];
	uint32_t before_s = s->now_s;
	int count, taken = take_completions(s, events, &count);
	bool ran;

	for (int i = 0; i < count; i++)
		run_event(s, &events[i]);
	ran = run_ready(s);
	listeners_credit(s);
	if (s->now_s != before_s)
		expire_connections(s);
	return taken + ran;
}

/* ---- Beginning and end -------------------------------------------------- */

struct server *server_open(const struct sockaddr_in *address, const char *root, uint32_t timeout_s,
			   unsigned worker)
{
	struct server *s = calloc(1, sizeof(*s));
	int r;

	if (s == NULL)
		die_errno("calloc");
	TAILQ_INIT(&s->by_deadline);
	TAILQ_INIT(&s->ready);
	TAILQ_INIT(&s->starved);
	s->timeout_s = timeout_s;
	s->files = http_files_open(root);
	if (s->files == NULL)
		die_errno("%s", root);
	r = leat_cq_open(&s->cq);
	if (r != 0) {
		errno = -r;
		die_errno("queue");
	}
	if (is_inline()) {
		listener_open(s, worker, address);
	} else {
		for (unsigned i = 0; i < leat_cq_workers(s->cq); i++)
			listener_open(s, i, address);
	}
	clock_read(s);
	listeners_credit(s);
	return s;
}

void server_close(struct server *s)
{
	struct connection *c, *next;

	for (c = TAILQ_FIRST(&s->by_deadline); c != NULL; c = next) {
		next = TAILQ_NEXT(c, deadline_link);
		connection_close(s, c);
	}
	for (unsigned i = 0; i < s->listener_count; i++) {
		struct leat_sqe sqe = {
			.op = LEAT_OP_CLOSE, .handle = s->listeners[i].handle, .value = 1};

		(void)leat_cq_submit(s->cq, s->listeners[i].worker, &sqe);
	}
	leat_cq_close(s->cq);
	for (unsigned i = 0; i < REMEMBERED_HEADS; i++)
		if (s->remembered[i].file != NULL)
			http_file_put(s->remembered[i].file);
	http_files_close(s->files);
	while (!SLIST_EMPTY(&s->free_responses)) {
		struct response *r = SLIST_FIRST(&s->free_responses);

		SLIST_REMOVE_HEAD(&s->free_responses, free_link);
		free(r);
	}
	for (uint32_t i = 0; i < s->block_count; i++)
		free(s->blocks[i]);
	free(s->blocks);
	free(s);
}
