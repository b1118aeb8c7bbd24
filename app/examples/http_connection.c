/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection is a small machine: it receives a request, sends the response,
 * receives the next one.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "http_server.h"

#define STEPS_PER_TURN 16 /* then other connections get their turn */
#define PIECES         4 /* of the receive ring: more than HTTP_HEAD_MAX bytes, as chunks have 4096 */

/* ---- Lists -------------------------------------------------------------- */

void connection_move(struct server *s, struct connection *c)
{
	c->touched_s = s->now_s;
	TAILQ_REMOVE(&s->by_deadline, c, deadline_link);
	TAILQ_INSERT_TAIL(&s->by_deadline, c, deadline_link);
}

void connection_wait(struct server *s, struct connection *c, enum waiting where)
{
	if (c->waiting == where)
		return;
	if (c->waiting != NOT_WAITING)
		TAILQ_REMOVE(c->waiting == ON_READY ? &s->ready : &s->starved, c, waiting_link);
	if (where != NOT_WAITING)
		TAILQ_INSERT_TAIL(where == ON_READY ? &s->ready : &s->starved, c, waiting_link);
	c->waiting = where;
}

/* ---- Beginning and end -------------------------------------------------- */

static int submit(struct server *s, const struct connection *c, uint8_t op, int32_t value)
{
	struct leat_sqe sqe = {.op = op, .handle = c->handle, .value = value};

	return leat_cq_submit(s->cq, leat_cq_worker(s->cq, c->handle), &sqe);
}

void connection_open(struct server *s, struct connection *c, struct leat_handle handle)
{
	*c = (struct connection){.handle = handle, .phase = RECEIVING, .touched_s = s->now_s};
	TAILQ_INSERT_TAIL(&s->by_deadline, c, deadline_link);
}

void connection_close(struct server *s, struct connection *c)
{
	response_drop(s, c);
	/* What is reserved would be lost with the sock.  The close tells the worker enough. */
	(void)leat_cq_send_commit(s->cq, c->handle, 0);
	/* No answer is asked for. */
	if (submit(s, c, LEAT_OP_CLOSE, 1) == -EAGAIN) {
		c->phase = CLOSING;
		connection_touch(s, c);
		connection_wait(s, c, ON_READY);
		return;
	}
	connection_wait(s, c, NOT_WAITING);
	TAILQ_REMOVE(&s->by_deadline, c, deadline_link);
	c->phase = CLOSED;
}

/* ---- A request ---------------------------------------------------------- */

/* A request's bytes as one text. */
struct text {
	const char *start;
	size_t length;
};

static struct remembered *remembered_place(struct server *s, size_t length)
{
	return &s->remembered[length % REMEMBERED_HEADS];
}

/* The same request again, alone, while its file is fresh. */
static bool answer_remembered(struct server *s, struct connection *c, struct text in)
{
	const struct remembered *r = remembered_place(s, in.length);

	if (r->length != in.length || !http_file_is_fresh(r->file, &s->now) ||
	    memcmp(r->head, in.start, in.length) != 0)
		return false;
	c->close_after = r->close;
	respond_whole(s, c, r->file);
	return true;
}

static void remember(struct server *s, const struct connection *c, struct text in,
		     struct http_file *file)
{
	struct remembered *r = remembered_place(s, in.length);

	if (in.length > sizeof(r->head))
		return;
	http_file_hold(file);
	if (r->file != NULL)
		http_file_put(r->file);
	r->file = file;
	r->length = (uint32_t)in.length;
	r->close = c->close_after;
	memcpy(r->head, in.start, in.length);
}

/* An ordinary request; how long its head was, or 0: it is none. */
static size_t answer_plain(struct server *s, struct connection *c, struct text in)
{
	struct http_plain plain;
	struct http_file *file;
	size_t used;
	int status;

	used = http_request_parse_plain(&plain, in.start, in.length);
	if (used == 0)
		return 0;
	c->close_after = !plain.keep_alive;
	status = http_file_get(s->files, plain.path, plain.path_length, &s->now, &file);
	if (status != 200) {
		respond_error(s, c, status, 0, true);
		return used;
	}
	if (used == in.length)
		remember(s, c, in, file);
	respond_whole(s, c, file);
	return used;
}

static void answer_parsed(struct server *s, struct connection *c, struct http_request *r)
{
	bool get = r->method == HTTP_GET;
	struct http_head head = {.close = !r->keep_alive, .date = &s->now};
	struct http_file *file;

	c->close_after = !r->keep_alive;
	head.status = http_file_get(s->files, r->path, strlen(r->path), &s->now, &file);
	if (head.status != 200) {
		respond_error(s, c, head.status, 0, get);
		return;
	}
	if (!get) /* RFC 9110, section 14.2: ranges are defined for GET alone */
		r->range = HTTP_RANGE_NONE;
	head.status = http_request_range(r, file->size, &head.first, &head.length);
	head.size = file->size;
	head.type = file->type;
	head.modified = file->modified;
	if (head.status == 416) {
		respond_error(s, c, 416, head.size, true);
	} else if (head.status == 200 && get) {
		respond_whole(s, c, file);
	} else {
		respond_part(s, c, file, &head, get);
	}
}

/* Any request; how long its head was, 0: incomplete, or all of it after an error. */
static size_t answer(struct server *s, struct connection *c, struct text in)
{
	struct http_request request;
	size_t plain = answer_plain(s, c, in);
	int used;

	if (plain > 0)
		return plain;
	used = http_request_parse(&request, in.start, in.length);
	if (used < 0) {
		c->close_after = true;
		respond_error(s, c, -used, 0, true);
		return in.length;
	}
	if (used > 0) {
		c->skip_bytes = (uint32_t)request.body_bytes;
		answer_parsed(s, c, &request);
	}
	return (size_t)used;
}

/* ---- The phases --------------------------------------------------------- */

static void consume(struct server *s, struct connection *c, size_t bytes)
{
	if (leat_cq_recv_consume(s->cq, c->handle, bytes) == -EAGAIN)
		c->untold = true;
}

/* The beginning of what was received, in one piece. */
static struct text gather(struct server *s, const struct iovec *piece, int count)
{
	struct text all = {s->input, 0};

	for (int i = 0; i < count && all.length < sizeof(s->input); i++) {
		size_t room = sizeof(s->input) - all.length;
		size_t length = piece[i].iov_len < room ? piece[i].iov_len : room;

		memcpy(s->input + all.length, piece[i].iov_base, length);
		all.length += length;
	}
	return all;
}

static enum progress skip_body(struct server *s, struct connection *c, size_t received)
{
	size_t skip = c->skip_bytes < received ? c->skip_bytes : received;

	c->skip_bytes -= (uint32_t)skip;
	consume(s, c, skip);
	return ON;
}

/* The whole request must come within one timeout of its first byte, however slowly the rest drips
 * in. */
static enum progress await_rest(struct server *s, struct connection *c)
{
	if (!c->began)
		connection_touch(s, c);
	c->began = true;
	return BLOCKED;
}

static enum progress receive_request(struct server *s, struct connection *c)
{
	struct iovec piece[PIECES];
	int count = PIECES;
	ssize_t received = leat_cq_recv_peek(s->cq, c->handle, piece, &count);
	struct text in;
	size_t used;

	if (received <= 0)
		return received == -EAGAIN ? BLOCKED : ENDED;
	if (c->skip_bytes > 0)
		return skip_body(s, c, (size_t)received);
	in = (struct text){piece[0].iov_base, piece[0].iov_len};
	used = answer_remembered(s, c, in) ? in.length : answer(s, c, in);
	if (used == 0 && count > 1) {
		in = gather(s, piece, count);
		used = answer(s, c, in);
	}
	if (used == 0)
		return await_rest(s, c);
	c->began = false;
	consume(s, c, used);
	/* When that was all, an event will tell of more; of the end it may have done so already. */
	return used == (size_t)received && c->phase == RECEIVING && !c->at_end ? BLOCKED : ON;
}

static enum progress send_end(struct server *s, struct connection *c)
{
	int r = submit(s, c, LEAT_OP_SHUTDOWN, SHUT_WR);

	if (r == -EAGAIN)
		return REFUSED;
	c->phase = LINGERING;
	return r == 0 ? ON : ENDED;
}

static enum progress linger(struct server *s, struct connection *c)
{
	struct iovec piece[PIECES];
	int count = PIECES;
	ssize_t received = leat_cq_recv_peek(s->cq, c->handle, piece, &count);

	if (received <= 0)
		return received == -EAGAIN ? BLOCKED : ENDED;
	consume(s, c, (size_t)received);
	return ON;
}

/* What was sent and consumed while the submission queue was full. */
static enum progress tell(struct server *s, struct connection *c)
{
	c->untold = leat_cq_send_commit(s->cq, c->handle, 0) == -EAGAIN;
	return c->untold ? REFUSED : ON;
}

static enum progress connection_step(struct server *s, struct connection *c)
{
	if (c->untold)
		return tell(s, c);
	switch ((enum phase)c->phase) {
	case RECEIVING:
		return receive_request(s, c);
	case SENDING:
		return response_send(s, c);
	case ENDING:
		return send_end(s, c);
	case LINGERING:
		return linger(s, c);
	case CLOSED:
	case CLOSING:
		return ENDED;
	}
	return ENDED;
}

void connection_run(struct server *s, struct connection *c)
{
	enum progress progress = ON;

	for (int step = 0; step < STEPS_PER_TURN && progress == ON; step++)
		progress = connection_step(s, c);
	if (progress == ENDED)
		connection_close(s, c);
	else if (progress == STARVED && !c->untold)
		connection_wait(s, c, ON_STARVED);
	else if (progress != BLOCKED || c->untold)
		connection_wait(s, c, ON_READY);
}

void connection_expire(struct server *s, struct connection *c)
{
	if (c->phase != RECEIVING || !c->began) {
		connection_close(s, c);
		return;
	}
	c->began = false;
	c->close_after = true;
	respond_error(s, c, 408, 0, true);
	connection_touch(s, c);
	connection_run(s, c);
}
