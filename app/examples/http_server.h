/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * leat-http's server: one completion queue and the connections whose events it
 * brings, on one thread.
 *
 * http_server.c takes completions and gives each connection its turn;
 * http_connection.c is what a connection does with it; http_response.c makes
 * and sends what a request gets.
 */
#ifndef LEAT_EXAMPLES_HTTP_SERVER_H
#define LEAT_EXAMPLES_HTTP_SERVER_H

#include <leat/abi.h>
#include <leat/cq.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "http_file.h"
#include "http_head.h"
#include "http_request.h"

/* ---- Connections -------------------------------------------------------- */

enum phase {
	CLOSED, /* no connection: zero */
	RECEIVING, /* a request's head, after the body of the one before */
	SENDING, /* what did not fit at once of a response */
	ENDING, /* all is sent; the end of the stream is to follow */
	LINGERING, /* wait for the client to close, so that no reset eats the end */
	CLOSING, /* to be closed */
};

/* How a step ended. */
enum progress {
	ON, /* there is more to do */
	BLOCKED, /* an event will tell */
	STARVED, /* LEAT_CQE_CHUNKS will tell */
	REFUSED, /* the submission queue is full: once more in the next turn */
	ENDED, /* nothing is left to be done */
};

enum waiting { NOT_WAITING, ON_READY, ON_STARVED };

/* The rest of a response, while there is one. */
struct response {
	struct http_file *file; /* NULL: no body beyond the head */
	uint64_t offset; /* next byte of the file */
	uint64_t end;
	const char *head; /* what is left of it: of own, or of the file's */
	size_t head_left;
	char own[HTTP_RESPONSE_HEAD_MAX];
	SLIST_ENTRY(response) free_link;
};

/*
 * What the server keeps of a connection: one cache line.  Bytes lie where leat
 * has them: received ones in the receive ring until a request is complete,
 * sent ones in the send ring.
 */
struct connection {
	struct leat_handle handle;
	uint8_t phase; /* enum phase */
	uint8_t waiting; /* enum waiting: on which list waiting_link is */
	bool close_after; /* the response */
	bool began; /* a request that is not complete */
	bool at_end; /* nothing will follow what was received */
	bool untold; /* the worker does not know what was sent or consumed */
	uint32_t touched_s; /* when there was progress; by_deadline is in this order */
	uint32_t skip_bytes; /* of a request's body, before the next request */
	struct response *response; /* SENDING */
	TAILQ_ENTRY(connection) deadline_link;
	TAILQ_ENTRY(connection) waiting_link;
} __attribute__((aligned(LEAT_CACHE_LINE)));
_Static_assert(sizeof(struct connection) == LEAT_CACHE_LINE, "one line");

TAILQ_HEAD(connection_list, connection);

/* Connections by slot number, in blocks that come when they are needed and stay. */
#define BLOCK_SHIFT       10
#define BLOCK_CONNECTIONS (1u << BLOCK_SHIFT)

/* ---- Requests seen before ----------------------------------------------- */

#define REMEMBERED_HEADS 16 /* a power of two */
#define REMEMBERED_BYTES 499 /* so that the size of all is one, too */

/* A plain request, byte by byte, and the file it gets: clients repeat themselves. */
struct remembered {
	struct http_file *file; /* NULL: nothing remembered */
	uint32_t length;
	bool close;
	char head[REMEMBERED_BYTES];
};
_Static_assert(sizeof(struct remembered) == 512, "found by a shift");

/* ---- The server --------------------------------------------------------- */

struct listener {
	struct leat_handle handle;
	unsigned worker;
	int spent; /* credits the worker has used */
};

struct server {
	struct leat_cq *cq;
	struct http_files *files;
	uint32_t timeout_s;

	/* the clock, read once per turn */
	uint32_t now_s; /* monotonic */
	struct http_date now;

	/* connections */
	struct connection **blocks;
	uint32_t block_count;
	struct connection_list by_deadline; /* all of them; the one silent for longest first */
	struct connection_list ready; /* have more to do without being woken */
	struct connection_list starved; /* wait for chunks to send with */
	SLIST_HEAD(, response) free_responses;

	struct remembered remembered[REMEMBERED_HEADS];
	char input[HTTP_HEAD_MAX]; /* a request's head that lies in pieces */

	unsigned listener_count;
	struct listener listeners[LEAT_MAX_WORKERS];
};

/* http_server.c; worker: where is_inline().  What goes wrong at the start ends the program. */
struct server *server_open(const struct sockaddr_in *address, const char *root, uint32_t timeout_s,
			   unsigned worker);
void server_close(struct server *s);
/* Everybody who is ready gets a turn; waits for somebody, unless inline.  How many did. */
int server_turn(struct server *s);

/* http_connection.c */
void connection_open(struct server *s, struct connection *c, struct leat_handle handle);
/* Takes c as far as it gets without waiting. */
void connection_run(struct server *s, struct connection *c);
/* There was no progress for too long. */
void connection_expire(struct server *s, struct connection *c);
void connection_close(struct server *s, struct connection *c);
/* To the end of server.by_deadline. */
void connection_move(struct server *s, struct connection *c);
/* Puts c on a list, if it is not there. */
void connection_wait(struct server *s, struct connection *c, enum waiting where);

/* There was progress.  As the timeout is the same for all, the list stays sorted; seconds are exact
 * enough, and spare the neighbours in it from being written to with each request. */
static inline void connection_touch(struct server *s, struct connection *c)
{
	if (c->touched_s != s->now_s)
		connection_move(s, c);
}

/*
 * http_response.c.  A response is sent as far as there is room, and c->phase says what comes next;
 * c->close_after is set before.
 */
void respond_whole(struct server *s, struct connection *c, struct http_file *file);
void respond_part(struct server *s, struct connection *c, struct http_file *file,
		  const struct http_head *head, bool with_body);
/* size: of the file that 416 is about. */
void respond_error(struct server *s, struct connection *c, int status, uint64_t size,
		   bool with_body);
/* SENDING: the rest. */
enum progress response_send(struct server *s, struct connection *c);
void response_drop(struct server *s, struct connection *c);

#endif
