/* SPDX-License-Identifier: BSD-3-Clause */
/* SipHash-1-3: a keyed hash whose collisions cannot be crafted without the key. */
#ifndef LEAT_LIB_SIPHASH_H
#define LEAT_LIB_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
	uint64_t k[2];
};

/* data: any alignment, len bytes. */
uint64_t siphash13(const struct siphash_key *key, const void *data, size_t len);

#endif
