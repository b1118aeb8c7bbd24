/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The files a server hands out: opened beneath one directory, never outside
 * it, and kept open with all that a response needs for the rest of the second,
 * so that a popular file costs no system call.  In the next second it is opened
 * anew: a replaced file is seen, and the prepared heads tell the right Date.
 */
#ifndef LEAT_EXAMPLES_HTTP_FILE_H
#define LEAT_EXAMPLES_HTTP_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "http_head.h"

struct http_file {
	time_t second; /* when it was opened */
	unsigned references;
	/* Of the response with the whole file: [0] keeps the connection, [1] closes it.  After
	 * head[0].text come the bytes of a small file, so that both are sent as one. */
	struct {
		const char *text;
		size_t length;
	} head[2];
	const char *bytes; /* all of a small file; NULL: read from fd */
	uint64_t size;
	int fd;
	time_t modified;
	const char *type; /* for Content-Type */
	char *memory; /* of the bytes and the head before them */
	char closing[HTTP_RESPONSE_HEAD_MAX];
};

struct http_files;

/* NULL with errno: root is not a directory we can read. */
struct http_files *http_files_open(const char *root);
void http_files_close(struct http_files *files);

/* May it still be handed out? */
static inline bool http_file_is_fresh(const struct http_file *file, const struct http_date *now)
{
	return file->second == now->second;
}

/*
 * The regular file at path (length bytes), relative to the root ("" or a name that ends in '/': its
 * index.html).  Returns 200 and a reference, or 403, 404, 500, 503.
 */
int http_file_get(struct http_files *files, const char *path, size_t length,
		  const struct http_date *now, struct http_file **file);
/* Gives the reference back. */
void http_file_put(struct http_file *file);

#endif
