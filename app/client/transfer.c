/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes between the caller's buffers and the pieces of a ring. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "socket.h"

int transfer_init(struct transfer *t, const struct iovec *iov, size_t iov_count, int flags)
{
	*t = (struct transfer){.iov = iov, .iov_count = iov_count, .flags = flags};
	if (iov_count > IOV_MAX)
		return -EINVAL;
	for (size_t i = 0; i < iov_count; i++) {
		if (iov[i].iov_len > SSIZE_MAX - t->length)
			return -EINVAL;
		t->length += iov[i].iov_len;
	}
	return 0;
}

/* The next piece of the caller's, at most bytes long; 0: there is none. */
static size_t transfer_next(struct transfer *t, void **data, size_t bytes)
{
	while (t->at < t->iov_count && t->within == t->iov[t->at].iov_len) {
		t->at++;
		t->within = 0;
	}
	if (t->at == t->iov_count)
		return 0;
	if (bytes > t->iov[t->at].iov_len - t->within)
		bytes = t->iov[t->at].iov_len - t->within;
	*data = (char *)t->iov[t->at].iov_base + t->within;
	t->within += bytes;
	t->done += bytes;
	return bytes;
}

size_t transfer_in(struct transfer *t, void *ring, size_t bytes)
{
	size_t copied = 0;
	void *data;
	size_t n;

	while (copied < bytes && (n = transfer_next(t, &data, bytes - copied)) > 0) {
		memcpy((char *)ring + copied, data, n);
		copied += n;
	}
	return copied;
}

size_t transfer_out(struct transfer *t, const void *ring, size_t bytes)
{
	size_t copied = 0;
	void *data;
	size_t n;

	while (copied < bytes && (n = transfer_next(t, &data, bytes - copied)) > 0) {
		memcpy(data, (const char *)ring + copied, n);
		copied += n;
	}
	return copied;
}
