/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Responses.  What fits into the send ring at once is copied there and done
 * with; of what does not, c->response keeps where it stands.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "http_server.h"

#define PIECES     16 /* of the send ring, written to at a time */
#define TURN_BYTES 131072 /* of a large file at a time */
#define WAKE_BYTES 16384 /* of room in a send ring that was full */

/* ---- Room in the send ring ---------------------------------------------- */

struct room {
	struct iovec piece[PIECES];
	int count;
	int at; /* the first piece that is not full */
	ssize_t bytes;
};

/* Reserves up to bytes; false: there is none at all, and room->bytes says why (-errno). */
static bool room_take(struct server *s, struct connection *c, struct room *room, size_t bytes)
{
	room->count = PIECES;
	room->at = 0;
	room->bytes = leat_cq_send_reserve(s->cq, c->handle, bytes, room->piece, &room->count);
	return room->bytes > 0;
}

/* Copies to the front of the room that is left, which is enough. */
static void room_put(struct room *room, const char *bytes, size_t length)
{
	while (length > 0) {
		struct iovec *piece = &room->piece[room->at];
		size_t count = piece->iov_len < length ? piece->iov_len : length;

		memcpy(piece->iov_base, bytes, count);
		piece->iov_base = (char *)piece->iov_base + count;
		piece->iov_len -= count;
		room->at += piece->iov_len == 0;
		bytes += count;
		length -= count;
	}
}

static void send_commit(struct server *s, struct connection *c, size_t bytes)
{
	if (leat_cq_send_commit(s->cq, c->handle, bytes) == -EAGAIN)
		c->untold = true;
}

/* ---- Beginning and end -------------------------------------------------- */

static void response_done(struct server *s, struct connection *c)
{
	connection_touch(s, c);
	c->phase = c->close_after ? ENDING : RECEIVING;
}

/* NULL: no memory, and the connection ends. */
static struct response *response_begin(struct server *s, struct connection *c,
				       struct http_file *file)
{
	struct response *r = SLIST_FIRST(&s->free_responses);

	if (r != NULL)
		SLIST_REMOVE_HEAD(&s->free_responses, free_link);
	else
		r = malloc(sizeof(*r));
	c->phase = r != NULL ? SENDING : CLOSING;
	if (r == NULL)
		return NULL;
	c->response = r;
	r->file = file;
	if (file != NULL)
		http_file_hold(file);
	r->offset = r->end = 0;
	return r;
}

void response_drop(struct server *s, struct connection *c)
{
	struct response *r = c->response;

	if (r == NULL)
		return;
	if (r->file != NULL)
		http_file_put(r->file);
	SLIST_INSERT_HEAD(&s->free_responses, r, free_link);
	c->response = NULL;
}

/* ---- Making one --------------------------------------------------------- */

/* false: all of it does not fit now, or lies in more pieces. */
static bool send_at_once(struct server *s, struct connection *c, const struct http_whole *whole)
{
	struct iovec piece[2];
	int count = 2;
	ssize_t bytes = leat_cq_send_reserve(s->cq, c->handle, whole->length, piece, &count);

	if (bytes != (ssize_t)whole->length) {
		if (bytes > 0) /* others may need its chunks before this connection's next turn */
			send_commit(s, c, 0);
		return false;
	}
	memcpy(piece[0].iov_base, whole->text, piece[0].iov_len);
	if (count > 1)
		memcpy(piece[1].iov_base, whole->text + piece[0].iov_len, piece[1].iov_len);
	send_commit(s, c, whole->length);
	return true;
}

void respond_whole(struct server *s, struct connection *c, struct http_file *file)
{
	const struct http_whole *whole = &file->whole[c->close_after];
	struct response *r;

	if (file->bytes != NULL && send_at_once(s, c, whole)) {
		response_done(s, c);
		return;
	}
	r = response_begin(s, c, file);
	if (r == NULL)
		return;
	r->head = whole->text;
	r->head_left = whole->length;
	r->offset = file->bytes != NULL ? file->size : 0; /* a small one is part of the head */
	r->end = file->size;
}

void respond_part(struct server *s, struct connection *c, struct http_file *file,
		  const struct http_head *head, bool with_body)
{
	struct response *r = response_begin(s, c, file);

	if (r == NULL)
		return;
	r->head = r->own;
	r->head_left = http_head_format(r->own, head);
	r->offset = head->first;
	r->end = with_body ? head->first + head->length : head->first;
}

void respond_error(struct server *s, struct connection *c, int status, uint64_t size,
		   bool with_body)
{
	struct http_head head = {
		.status = status, .close = c->close_after, .date = &s->now, .size = size};
	struct response *r = response_begin(s, c, NULL);
	char body[64];

	if (r == NULL)
		return;
	head.length = (size_t)snprintf(body, sizeof(body), "%d %s\n", status,
				       http_status_text(status));
	r->head = r->own;
	r->head_left = http_head_format(r->own, &head);
	if (with_body && r->head_left + head.length <= sizeof(r->own)) {
		memcpy(r->own + r->head_left, body, head.length);
		r->head_left += head.length;
	}
}

/* ---- Sending what did not fit ------------------------------------------- */

/* Reserves up to bytes; ON: there is room, otherwise what will tell of it. */
static enum progress room_await(struct server *s, struct connection *c, struct room *room,
				size_t bytes)
{
	if (room_take(s, c, room, bytes))
		return ON;
	if (room->bytes != -EAGAIN)
		return ENDED;
	if (leat_cq_send_wake(s->cq, c->handle, bytes < WAKE_BYTES ? bytes : WAKE_BYTES) == 0)
		return BLOCKED;
	/* There is room in the ring now, but perhaps there was none: only a call that fails
	 * although there is has asked for chunks. */
	if (room_take(s, c, room, bytes))
		return ON;
	return room->bytes == -EAGAIN ? STARVED : ENDED;
}

/* Fills the room that is left with the next of the file's bytes; how many, or -1: they are gone. */
static ssize_t send_body(const struct response *r, struct room *room, size_t bytes)
{
	ssize_t got;

	if (bytes == 0)
		return 0;
	if (r->file->bytes != NULL) {
		room_put(room, r->file->bytes + r->offset, bytes);
		return (ssize_t)bytes;
	}
	got = preadv(r->file->fd, room->piece + room->at, room->count - room->at, (off_t)r->offset);
	return got > 0 ? got : -1;
}

enum progress response_send(struct server *s, struct connection *c)
{
	struct response *r = c->response;
	uint64_t left = r->head_left + (r->end - r->offset);
	enum progress progress;
	struct room room;
	size_t head;
	ssize_t body;

	if (left == 0) {
		response_drop(s, c);
		response_done(s, c);
		return ON;
	}
	progress = room_await(s, c, &room, left < TURN_BYTES ? left : TURN_BYTES);
	if (progress != ON)
		return progress;
	head = r->head_left < (size_t)room.bytes ? r->head_left : (size_t)room.bytes;
	room_put(&room, r->head, head);
	body = send_body(r, &room, (size_t)room.bytes - head);
	send_commit(s, c, head + (body > 0 ? (size_t)body : 0));
	if (body < 0)
		return ENDED; /* cut short: closing is how the client learns of it */
	r->head += head;
	r->head_left -= head;
	r->offset += (size_t)body;
	connection_touch(s, c);
	return ON;
}
