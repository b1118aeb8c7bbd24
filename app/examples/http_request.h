/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A parser for the head of an HTTP/1.1 request (RFC 9112), by itself: bytes
 * in, a struct out.  It knows no sockets and allocates nothing.
 */
#ifndef LEAT_EXAMPLES_HTTP_REQUEST_H
#define LEAT_EXAMPLES_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_LINE_MAX 4096 /* bytes of a request line; beyond: 414 */
#define HTTP_HEAD_MAX 8192 /* bytes of a request's head; beyond: 431 */
#define HTTP_BODY_MAX 65536 /* bytes of a body we read and ignore; beyond: 413 */

enum http_method { HTTP_GET, HTTP_HEAD };

enum http_range_kind {
	HTTP_RANGE_NONE,
	HTTP_RANGE_FROM, /* first to last, both included */
	HTTP_RANGE_SUFFIX, /* the last `last` bytes */
};

struct http_request {
	enum http_method method;
	bool keep_alive;
	enum http_range_kind range;
	uint64_t range_first;
	uint64_t range_last; /* UINT64_MAX: to the end */
	uint64_t body_bytes; /* to skip before the next request */
	char path[HTTP_LINE_MAX]; /* decoded, without the leading slash and the query */
};

/*
 * Parses a request's head at the start of data.  Returns its length in bytes;
 * 0 when it is not complete yet (never at or beyond HTTP_HEAD_MAX bytes); or
 * the negative status of the answer due, after which the connection cannot go
 * on, as the next request's beginning is not known.
 */
int http_request_parse(struct http_request *r, const char *data, size_t length);

/* What an ordinary request comes to; path lies in the request's bytes. */
struct http_plain {
	const char *path; /* without the leading slash and the query; nothing in it was encoded */
	size_t path_length;
	bool keep_alive;
};

/*
 * The same in one pass for the requests there are most of: GET, HTTP/1.1, and no field that says
 * more than Host and Connection do.  Returns the head's length, or 0: incomplete, wrong or not one
 * of them, which is for http_request_parse to tell.
 */
size_t http_request_parse_plain(struct http_plain *p, const char *data, size_t length);

/*
 * What a request wants of a file of size bytes: 200 and the whole file, 206
 * and a part of it, or 416.
 */
int http_request_range(const struct http_request *r, uint64_t size, uint64_t *first,
		       uint64_t *count);

#endif
