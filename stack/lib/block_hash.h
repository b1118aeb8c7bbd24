/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A keyed hash of blocks of 16 bytes, whose collisions cannot be crafted
 * without the key.  Where the processor has AES instructions it is 32 bits of
 * four of its rounds under five secret round keys; elsewhere it is SipHash-1-3.
 *
 * What is proved of the rounds is about all 128 bits: no difference between two
 * blocks leads to a given one between their results with a probability above
 * 2^-113, on average over the keys (L. Keliher and J. Sui, "Exact maximum
 * expected differential and linear probability for two-round AES", 2007).  2^96
 * differences are the same in 32 bits, so that alone would allow 2^-17; that no
 * two blocks do better than chance, 2^-32, is what is known of attacks, not a
 * proof.  It is enough for tables, whose hashes nobody sees; nothing that leaves
 * the stack may be made of it.
 */
#ifndef LEAT_LIB_BLOCK_HASH_H
#define LEAT_LIB_BLOCK_HASH_H

#include <stdint.h>

#include "lib/siphash.h"

#define BLOCK_HASH_BYTES  16
#define BLOCK_HASH_ROUNDS 4

struct block_hash {
	uint8_t round_key[BLOCK_HASH_ROUNDS + 1][BLOCK_HASH_BYTES];
	struct siphash_key key;
	void (*run)(const struct block_hash *h, const void *blocks, uint32_t count,
		    uint32_t hashes[]);
};

void block_hash_init(struct block_hash *h, const struct siphash_key *key);
/* The same on a processor that has no AES. */
void block_hash_init_portable(struct block_hash *h, const struct siphash_key *key);

/* Of count blocks, one behind the other. */
static inline void block_hash_many(const struct block_hash *h, const void *blocks, uint32_t count,
				   uint32_t hashes[])
{
	h->run(h, blocks, count, hashes);
}

static inline uint32_t block_hash_one(const struct block_hash *h, const void *block)
{
	uint32_t hash;

	h->run(h, block, 1, &hash);
	return hash;
}

#endif
