/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/block_hash.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static void run_siphash(const struct block_hash *h, const void *blocks, uint32_t count,
			uint32_t hashes[])
{
	const uint8_t *block = blocks;

	for (uint32_t i = 0; i < count; i++)
		hashes[i] = (uint32_t)siphash13(&h->key, block + (size_t)i * BLOCK_HASH_BYTES,
						BLOCK_HASH_BYTES);
}

void block_hash_init_portable(struct block_hash *h, const struct siphash_key *key)
{
	h->key = *key;
	h->run = run_siphash;
}

#if defined(__x86_64__)

__attribute__((target("aes"))) static void run_aes(const struct block_hash *h, const void *blocks,
						   uint32_t count, uint32_t hashes[])
{
	const __m128i *block = blocks;
	__m128i key[BLOCK_HASH_ROUNDS + 1];

	for (unsigned i = 0; i <= BLOCK_HASH_ROUNDS; i++)
		key[i] = _mm_loadu_si128((const __m128i *)h->round_key[i]);
	for (uint32_t i = 0; i < count; i++) {
		__m128i x = _mm_xor_si128(_mm_loadu_si128(block + i), key[0]);

		for (unsigned round = 1; round <= BLOCK_HASH_ROUNDS; round++)
			x = _mm_aesenc_si128(x, key[round]);
		hashes[i] = (uint32_t)_mm_cvtsi128_si32(x);
	}
}

void block_hash_init(struct block_hash *h, const struct siphash_key *key)
{
	block_hash_init_portable(h, key);
	for (uint64_t i = 0; i < sizeof(h->round_key) / sizeof(uint64_t); i++) {
		uint64_t half = siphash13(key, &i, sizeof(i));

		memcpy((uint8_t *)h->round_key + i * sizeof(half), &half, sizeof(half));
	}
	if (__builtin_cpu_supports("aes"))
		h->run = run_aes;
}

#else

void block_hash_init(struct block_hash *h, const struct siphash_key *key)
{
	block_hash_init_portable(h, key);
}

#endif
