/* SPDX-License-Identifier: BSD-3-Clause */
/* After J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF" (2012), with one
 * compression round and three finalization rounds. */
#include "lib/siphash.h"

#include <string.h>

static inline uint64_t rotl64(uint64_t x, unsigned b)
{
	return x << b | x >> (64 - b);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotl64(v[1], 13) ^ v[0];
	v[3] = rotl64(v[3], 16) ^ v[2];
	v[0] = rotl64(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotl64(v[1], 17) ^ v[2];
	v[3] = rotl64(v[3], 21) ^ v[0];
	v[2] = rotl64(v[2], 32);
}

uint64_t siphash13(const struct siphash_key *key, const void *data, size_t len)
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
		sip_round(v);
		v[0] ^= word;
	}
	word = 0;
	memcpy(&word, p, len); /* little-endian machines only, as DPDK's x86 and Arm builds are */
	last |= word;

	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;

	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
