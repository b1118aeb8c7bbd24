/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The files a server hands out: opened beneath one directory, never outside
 * it, and kept open for a moment so that a popular file costs no system call.
 */
#ifndef LEAT_EXAMPLES_HTTP_FILE_H
#define LEAT_EXAMPLES_HTTP_FILE_H

#include <limits.h>
#include <stdint.h>
#include <time.h>

struct http_file {
	int fd;
	uint64_t size;
	time_t modified;
	const char *type; /* for Content-Type */
	const char *bytes; /* all of a small file; NULL: read from fd */
	unsigned references;
};

struct http_files;

/* NULL with errno: root is not a directory we can read. */
struct http_files *http_files_open(const char *root);
void http_files_close(struct http_files *files);

/*
 * The regular file at path, relative to the root ("" or a name that ends in
 * '/': its index.html).  Returns 200 and a reference, or 403, 404, 500, 503.
 */
int http_file_get(struct http_files *files, const char *path, uint64_t now_ms,
		  struct http_file **file);
/* Gives the reference back. */
void http_file_put(struct http_file *file);

#endif
