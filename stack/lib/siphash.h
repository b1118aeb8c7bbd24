/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SipHash-1-3: a keyed hash whose collisions cannot be crafted without the key.
 * After J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF"
 * (2012), with one compression round and three finalization rounds.
 */
#ifndef LEAT_LIB_SIPHASH_H
#define LEAT_LIB_SIPHASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct siphash_key {
	uint64_t k[2];
};

static inline uint64_t siphash_rotate(uint64_t x, unsigned b)
{
	return x << b | x >> (64 - b);
}

static inline void siphash_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = siphash_rotate(v[1], 13) ^ v[0];
	v[3] = siphash_rotate(v[3], 16) ^ v[2];
	v[0] = siphash_rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = siphash_rotate(v[1], 17) ^ v[2];
	v[3] = siphash_rotate(v[3], 21) ^ v[0];
	v[2] = siphash_rotate(v[2], 32);
}

/* data: any alignment, len bytes.  Inline, because with a length that is known the loop unrolls. */
static inline uint64_t siphash13(const struct siphash_key *key, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t v[4] = {
		key->k[0] ^ 0x736f6d6570736575,
		key->k[1] ^ 0x646f72616e646f6d,
		key->k[0] ^ 0x6c7967656e657261,
		key->k[1] ^ 0x7465646279746573,
	};
	uint64_t last = (uint64_t)len << 56;
	uint64_t word;

	for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		v[3] ^= word;
		siphash_round(v);
		v[0] ^= word;
	}
	word = 0;
	memcpy(&word, p, len); /* little-endian machines only, as DPDK's x86 and Arm builds are */
	last |= word;

	v[3] ^= last;
	siphash_round(v);
	v[0] ^= last;

	v[2] ^= 0xff;
	siphash_round(v);
	siphash_round(v);
	siphash_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
