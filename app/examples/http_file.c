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
#define CACHE_VALID_MS   1000 /* then it is opened anew, so a replaced file is seen */
#define SMALL_FILE_BYTES 65536

struct cache_entry {
	struct http_file *file; /* NULL: empty */
	uint64_t opened_ms;
	char *path;
};

struct http_files {
	int root;
	struct cache_entry cache[CACHE_ENTRIES];
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

/* Reads a small file whole; 0 or an HTTP status. */
static int load(struct http_file *file)
{
	char *bytes = malloc(file->size > 0 ? file->size : 1);
	uint64_t done = 0;

	if (bytes == NULL)
		return 503;
	while (done < file->size) {
		ssize_t got = pread(file->fd, bytes + done, file->size - done, (off_t)done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			free(bytes);
			return 500;
		}
		if (got == 0)
			file->size = done; /* it shrank meanwhile */
		done += (uint64_t)got;
	}
	file->bytes = bytes;
	return 0;
}

static int open_file(struct http_files *files, const char *path, struct http_file **out)
{
	struct http_file *file = calloc(1, sizeof(*file));
	char index[PATH_MAX];
	struct stat st;
	size_t length = strlen(path);
	int status;

	if (file == NULL)
		return 503;
	if (length == 0 || path[length - 1] == '/') {
		snprintf(index, sizeof(index), "%sindex.html", path);
		path = index;
	}
	file->references = 1;
	file->fd = open_beneath(files->root, path);
	if (file->fd < 0 || fstat(file->fd, &st) != 0) {
		status = status_of_errno(errno);
		goto fail;
	}
	if (!S_ISREG(st.st_mode)) {
		status = 404;
		goto fail;
	}
	file->size = (uint64_t)st.st_size;
	file->modified = st.st_mtime;
	file->type = type_of(path);
	if (file->size <= SMALL_FILE_BYTES) {
		status = load(file);
		if (status != 0)
			goto fail;
	}
	*out = file;
	return 200;
fail:
	http_file_put(file);
	return status;
}

static struct cache_entry *cache_entry_of(struct http_files *files, const char *path)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (const char *c = path; *c != '\0'; c++)
		hash = (hash ^ (uint8_t)*c) * 16777619u;
	return &files->cache[hash & (CACHE_ENTRIES - 1)];
}

static void cache_entry_clear(struct cache_entry *e)
{
	if (e->file == NULL)
		return;
	http_file_put(e->file);
	free(e->path);
	e->file = NULL;
	e->path = NULL;
}

int http_file_get(struct http_files *files, const char *path, uint64_t now_ms,
		  struct http_file **file)
{
	struct cache_entry *e = cache_entry_of(files, path);
	int status;

	if (e->file != NULL && now_ms - e->opened_ms < CACHE_VALID_MS &&
	    strcmp(e->path, path) == 0) {
		e->file->references++;
		*file = e->file;
		return 200;
	}
	status = open_file(files, path, file);
	if (status != 200)
		return status;
	cache_entry_clear(e);
	e->path = strdup(path);
	if (e->path != NULL) {
		e->file = *file;
		e->file->references++;
		e->opened_ms = now_ms;
	}
	return 200;
}

void http_file_put(struct http_file *file)
{
	if (--file->references > 0)
		return;
	if (file->fd >= 0)
		close(file->fd);
	free((char *)file->bytes);
	free(file);
}

void http_files_close(struct http_files *files)
{
	for (size_t i = 0; i < CACHE_ENTRIES; i++)
		cache_entry_clear(&files->cache[i]);
	close(files->root);
	free(files);
}
