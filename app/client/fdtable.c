/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of leat's descriptors, and the memory of what they name. */
#include <errno.h>
#include <leat/leat.h>
#include <stdlib.h>
#include <string.h>

#include "epoll.h"
#include "socket.h"

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
struct fd_block *fd_blocks[FD_BLOCKS];
static uint32_t first_open_block; /* all before it are full */
static struct file *free_files[2]; /* by kind */

static size_t file_size(enum file_kind kind)
{
	return kind == FILE_SOCKET ? sizeof(struct socket) : sizeof(struct epoll);
}

static struct file_memory *file_memory(struct file *f)
{
	return f->kind == FILE_SOCKET ? &((struct socket *)f)->memory
				      : &((struct epoll *)f)->memory;
}

/* A new one, on cache lines of its own; NULL: no memory. */
static struct file *file_make(enum file_kind kind)
{
	size_t size = (file_size(kind) + LEAT_CACHE_LINE - 1) & ~(size_t)(LEAT_CACHE_LINE - 1);
	struct file *f = aligned_alloc(LEAT_CACHE_LINE, size);

	if (f == NULL)
		return NULL;
	memset(f, 0, size);
	f->kind = (uint8_t)kind;
	return f;
}

/* ---- Files -------------------------------------------------------------- */

struct file *file_alloc(enum file_kind kind)
{
	struct file *f;

	pthread_mutex_lock(&table_lock);
	f = free_files[kind];
	if (f != NULL)
		free_files[kind] = file_memory(f)->next_free;
	pthread_mutex_unlock(&table_lock);
	if (f == NULL)
		f = file_make(kind);
	if (f == NULL)
		return NULL;
	file_reset(f);
	return f;
}

void file_reset(struct file *f)
{
	memset(f + 1, 0, (size_t)((char *)file_memory(f) - (char *)(f + 1)));
	store_release(&f->refs, 1u);
}

void file_free(struct file *f)
{
	pthread_mutex_lock(&table_lock);
	file_memory(f)->next_free = free_files[f->kind];
	free_files[f->kind] = f;
	pthread_mutex_unlock(&table_lock);
}

static bool file_get(struct file *f)
{
	uint32_t refs = load_relaxed(&f->refs);

	while (refs != 0) {
		if (__atomic_compare_exchange_n(&f->refs, &refs, refs + 1, true, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return true;
	}
	return false;
}

void file_put(struct file *f)
{
	if (__atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	if (f->kind == FILE_SOCKET)
		socket_destroy((struct socket *)f);
	else
		epoll_destroy((struct epoll *)f);
	file_free(f);
}

/* ---- Descriptors -------------------------------------------------------- */

/* The lowest free place: its block (made if need be) and index there; 0 or -errno. */
static int table_find_free(uint32_t *block, uint32_t *index)
{
	for (uint32_t b = first_open_block; b < FD_BLOCKS; b++) {
		if (fd_blocks[b] == NULL) {
			struct fd_block *fresh = calloc(1, sizeof(*fresh));

			if (fresh == NULL)
				return -ENOMEM;
			store_release(&fd_blocks[b], fresh);
		}
		if (fd_blocks[b]->count == FDS_PER_BLOCK)
			continue;
		first_open_block = b;
		for (uint32_t word = 0;; word++) {
			if (~fd_blocks[b]->used[word] == 0)
				continue;
			*block = b;
			*index = word * 64 + (uint32_t)__builtin_ctzll(~fd_blocks[b]->used[word]);
			return 0;
		}
	}
	return -EMFILE;
}

int fd_reserve(void)
{
	uint32_t block, index;
	int r;

	pthread_mutex_lock(&table_lock);
	r = table_find_free(&block, &index);
	if (r == 0) {
		fd_blocks[block]->used[index / 64] |= UINT64_C(1) << (index % 64);
		fd_blocks[block]->count++;
		r = (int)(LEAT_FD_BASE + block * FDS_PER_BLOCK + index);
	}
	pthread_mutex_unlock(&table_lock);
	return r;
}

int fd_get(int fd, struct file **out)
{
	struct file **place = fd_place(fd);
	struct file *f;

	if (place == NULL)
		return -EBADF;
	f = load_acquire(place);
	/* A file leaves the table before its last reference goes: fd was closed just now. */
	if (f == NULL || !file_get(f))
		return -EBADF;
	/* The same, and the file was used again for another. */
	if (load_acquire(place) != f) {
		file_put(f);
		return -EBADF;
	}
	*out = f;
	return 0;
}

void fd_publish(int fd, struct file *f)
{
	store_release(fd_place(fd), f);
}

/* Under table_lock. */
static void table_free(int fd)
{
	uint32_t number = (uint32_t)fd - LEAT_FD_BASE;
	uint32_t index = number % FDS_PER_BLOCK;
	struct fd_block *block = fd_blocks[number / FDS_PER_BLOCK];

	block->used[index / 64] &= ~(UINT64_C(1) << (index % 64));
	block->count--;
	if (number / FDS_PER_BLOCK < first_open_block)
		first_open_block = number / FDS_PER_BLOCK;
}

void fd_unreserve(int fd)
{
	pthread_mutex_lock(&table_lock);
	table_free(fd);
	pthread_mutex_unlock(&table_lock);
}

int fd_install(struct file *f)
{
	int fd = fd_reserve();

	if (fd >= 0)
		fd_publish(fd, f);
	return fd;
}

int fd_remove(int fd, struct file **out)
{
	struct file **place = fd_place(fd);

	if (place == NULL)
		return -EBADF;
	pthread_mutex_lock(&table_lock);
	*out = __atomic_exchange_n(place, NULL, __ATOMIC_ACQ_REL);
	if (*out != NULL)
		table_free(fd);
	pthread_mutex_unlock(&table_lock);
	return *out == NULL ? -EBADF : 0;
}

void fd_for_each(void (*visit)(struct file *f, void *arg), void *arg)
{
	for (uint32_t b = 0; b < FD_BLOCKS && fd_blocks[b] != NULL; b++) {
		for (uint32_t i = 0; i < FDS_PER_BLOCK && fd_blocks[b]->count > 0; i++) {
			struct file *f = load_acquire(&fd_blocks[b]->file[i]);

			/* The table's reference goes only after the lock. */
			if (f != NULL)
				visit(f, arg);
		}
	}
}

void fd_lock(void)
{
	pthread_mutex_lock(&table_lock);
}

void fd_unlock(void)
{
	pthread_mutex_unlock(&table_lock);
}

void fd_reset_lock(void)
{
	pthread_mutex_init(&table_lock, NULL);
}
