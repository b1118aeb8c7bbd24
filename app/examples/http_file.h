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

/* A response with the file: its head, and after it all the bytes of a small one. */
struct http_whole {
	char *text;
	size_t length;
};

struct http_file {
	time_t second; /* when it was opened */
	unsigned references;
	int fd;
	struct http_whole whole[2]; /* [0] keeps the connection, [1] closes it */
	const char *bytes; /* all of a small file; NULL: read from fd */
	uint64_t size;
	time_t modified;
	const char *type; /* for Content-Type */
	size_t path_length;
	char path[]; /* as it was asked for */
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
 * index.html).  Returns 200, or 403, 404, 500, 503.  The file may be gone after the next call; who
 * needs it for longer holds it.
 */
int http_file_get(struct http_files *files, const char *path, size_t length,
		  const struct http_date *now, struct http_file **file);

static inline void http_file_hold(struct http_file *file)
{
	file->references++;
}

/* Lets go of what was held. */
void http_file_put(struct http_file *file);

#endif
