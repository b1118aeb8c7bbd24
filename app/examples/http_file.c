/* SPDX-License-Identifier: BSD-3-Clause */
#include "http_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CACHE_ENTRIES    256u /* a power of two */
#define SMALL_FILE_BYTES 65536

struct http_files {
	int root;
	struct http_file *cache[CACHE_ENTRIES]; /* by a hash of the path */
};

static const struct {
	const char *suffix;
	const char *type;
} types[] = {
	{".html", "text/html; charset=utf-8"},
	{".htm", "text/html; charset=utf-8"},
	{".txt", "text/plain; charset=utf-8"},
	{".css", "text/css"},
	{".js", "text/javascript"},
	{".json", "application/json"},
	{".xml", "application/xml"},
	{".pdf", "application/pdf"},
	{".svg", "image/svg+xml"},
	{".png", "image/png"},
	{".jpg", "image/jpeg"},
	{".jpeg", "image/jpeg"},
	{".gif", "image/gif"},
	{".wasm", "application/wasm"},
};

static const char *type_of(const char *path)
{
	const char *suffix = strrchr(path, '.');

	for (size_t i = 0; suffix != NULL && i < sizeof(types) / sizeof(types[0]); i++)
		if (strcasecmp(suffix, types[i].suffix) == 0)
			return types[i].type;
	return "application/octet-stream";
}

struct http_files *http_files_open(const char *root)
{
	struct http_files *files = calloc(1, sizeof(*files));

	if (files == NULL)
		return NULL;
	files->root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (files->root < 0) {
		free(files);
		return NULL;
	}
	return files;
}

/*
 * The kernel resolves the path beneath the root: no "..", absolute symbolic
 * link or mount trick leads out of it.  O_NONBLOCK, since opening a FIFO would
 * wait for its other end.
 */
static int open_beneath(int root, const char *path)
{
	struct open_how how = {
		.flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

static int status_of_errno(int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
		return 403;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EAGAIN:
		return 503;
	case EIO:
	case ENOSYS:
		return 500;
	default:
		return 404;
	}
}

/* Reads a small file whole, to bytes; 0 or an HTTP status. */
static int load(struct http_file *file, char *bytes)
{
	uint64_t done = 0;

	while (done < file->size) {
		ssize_t got = pread(file->fd, bytes + done, file->size - done, (off_t)done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return 500;
		if (got == 0)
			file->size = done; /* it shrank meanwhile */
		done += (uint64_t)got;
	}
	return 0;
}

/* A response with the whole file, or with its head alone when bytes is NULL; its length, 0: no
 * memory. */
static size_t compose(const struct http_file *file, const struct http_date *now, bool close,
		      const char *bytes, char **out)
{
	const struct http_head head = {.status = 200,
				       .close = close,
				       .date = now,
				       .length = file->size,
				       .type = file->type,
				       .modified = file->modified};
	char text[HTTP_RESPONSE_HEAD_MAX];
	size_t length = http_head_format(text, &head);
	size_t size = bytes != NULL ? file->size : 0;

	*out = malloc(length + size);
	if (*out == NULL)
		return 0;
	memcpy(*out, text, length);
	if (size > 0)
		memcpy(*out + length, bytes, size);
	return length + size;
}

/* All that a response needs, where it can be sent from; 0 or an HTTP status. */
static int prepare(struct http_file *file, const struct http_date *now)
{
	bool small = file->size <= SMALL_FILE_BYTES;
	char *bytes = small ? malloc(file->size + 1) : NULL;
	int status = 0;

	if (small && bytes == NULL)
		return 503;
	if (small)
		status = load(file, bytes);
	for (int close = 0; close < 2 && status == 0; close++) {
		struct http_whole *whole = &file->whole[close];

		whole->length = compose(file, now, close, bytes, &whole->text);
		status = whole->length == 0 ? 503 : 0;
	}
	if (small && status == 0)
		file->bytes = file->whole[false].text + (file->whole[false].length - file->size);
	free(bytes);
	return status;
}

/* Opens what path names, and looks at it; 0 or an HTTP status. */
static int open_file(struct http_files *files, const char *path, struct http_file *file)
{
	struct stat st;

	file->fd = open_beneath(files->root, path);
	if (file->fd < 0 || fstat(file->fd, &st) != 0)
		return status_of_errno(errno);
	if (!S_ISREG(st.st_mode))
		return 404;
	file->size = (uint64_t)st.st_size;
	file->modified = st.st_mtime;
	file->type = type_of(path);
	return 0;
}

static int file_create(struct http_files *files, const char *path, size_t length,
		       const struct http_date *now, struct http_file **out)
{
	bool directory = length == 0 || path[length - 1] == '/';
	char name[PATH_MAX];
	struct http_file *file;
	int status;

	if ((size_t)snprintf(name, sizeof(name), "%.*s%s", (int)length, path,
			     directory ? "index.html" : "") >= sizeof(name))
		return 404;
	file = calloc(1, sizeof(*file) + length);
	if (file == NULL)
		return 503;
	memcpy(file->path, path, length);
	file->path_length = length;
	file->references = 1;
	file->second = now->second;
	status = open_file(files, name, file);
	if (status == 0)
		status = prepare(file, now);
	if (status != 0) {
		http_file_put(file);
		return status;
	}
	*out = file;
	return 200;
}

static struct http_file **cache_place(struct http_files *files, const char *path, size_t length)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (uint8_t)path[i]) * 16777619u;
	return &files->cache[hash & (CACHE_ENTRIES - 1)];
}

int http_file_get(struct http_files *files, const char *path, size_t length,
		  const struct http_date *now, struct http_file **out)
{
	struct http_file **place = cache_place(files, path, length);
	struct http_file *file = *place;
	int status;

	if (file == NULL || !http_file_is_fresh(file, now) || file->path_length != length ||
	    memcmp(file->path, path, length) != 0) {
		status = file_create(files, path, length, now, &file);
		if (status != 200)
			return status;
		if (*place != NULL)
			http_file_put(*place);
		*place = file;
	}
	*out = file;
	return 200;
}

void http_file_put(struct http_file *file)
{
	if (--file->references > 0)
		return;
	if (file->fd >= 0)
		close(file->fd);
	free(file->whole[0].text);
	free(file->whole[1].text);
	free(file);
}

void http_files_close(struct http_files *files)
{
	for (size_t i = 0; i < CACHE_ENTRIES; i++)
		if (files->cache[i] != NULL)
			http_file_put(files->cache[i]);
	close(files->root);
	free(files);
}
