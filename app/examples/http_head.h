/* SPDX-License-Identifier: BSD-3-Clause */
/* The head of an HTTP/1.1 response, written out. */
#ifndef LEAT_EXAMPLES_HTTP_HEAD_H
#define LEAT_EXAMPLES_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define HTTP_RESPONSE_HEAD_MAX 512 /* what we put into one is bounded, and fits */

/* A second, as Date and Last-Modified tell it. */
struct http_date {
	time_t second;
	char text[32];
};

struct http_head {
	int status;
	bool close; /* the connection, after this response */
	const struct http_date *date;
	uint64_t length; /* of the body */

	/* of a file's content; type NULL: the body is a line of text that tells the status */
	const char *type;
	time_t modified;

	/* 206: what part of the file, length bytes long; 416: the file's size alone */
	uint64_t first;
	uint64_t size;
};

void http_date_set(struct http_date *date, time_t second);
/* What a status is called. */
const char *http_status_text(int status);
/* Writes the head with its empty line to out, HTTP_RESPONSE_HEAD_MAX bytes; its length. */
size_t http_head_format(char *out, const struct http_head *head);

#endif
