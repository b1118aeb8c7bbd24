/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/block_hash.h"

#include <rte_common.h>
#include <string.h>

#include "support/test.h"

#define BLOCKS  4096
#define BUCKETS 1024

static const struct siphash_key key = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}};

/* Like flows: few bits differ between two of them. */
static void fill(uint8_t blocks[][BLOCK_HASH_BYTES])
{
	for (uint32_t i = 0; i < BLOCKS; i++) {
		memset(blocks[i], 0, BLOCK_HASH_BYTES);
		memcpy(blocks[i] + 4, &i, sizeof(i));
	}
}

static void check_spread(const struct block_hash *h)
{
	static uint8_t blocks[BLOCKS][BLOCK_HASH_BYTES];
	static uint32_t hashes[BLOCKS];
	uint32_t low[BUCKETS] = {0}, high[BUCKETS] = {0};

	fill(blocks);
	block_hash_many(h, blocks, BLOCKS, hashes);
	for (uint32_t i = 0; i < BLOCKS; i++) {
		CHECK_EQ(hashes[i], block_hash_one(h, blocks[i]));
		low[hashes[i] % BUCKETS]++;
		high[hashes[i] / (UINT32_MAX / BUCKETS + 1)]++;
	}
	/* Of 4 on average: more than 20 would be one chance in a million for any of them. */
	for (uint32_t i = 0; i < BUCKETS; i++) {
		CHECK(low[i] <= 20);
		CHECK(high[i] <= 20);
	}
}

static void spreads_blocks_that_are_alike(void)
{
	struct block_hash h;

	block_hash_init(&h, &key);
	check_spread(&h);
	block_hash_init_portable(&h, &key);
	check_spread(&h);
}

/* Half of the bits of a hash, on average, for each bit of the block and each of the key. */
static void every_bit_counts(void)
{
	uint8_t block[BLOCK_HASH_BYTES] = {0};
	struct block_hash h;
	uint32_t before, changed = 0;

	block_hash_init(&h, &key);
	before = block_hash_one(&h, block);
	for (unsigned bit = 0; bit < 8 * BLOCK_HASH_BYTES; bit++) {
		struct siphash_key other = key;
		uint32_t by_block, by_key;

		block[bit / 8] ^= (uint8_t)(1u << bit % 8);
		by_block = before ^ block_hash_one(&h, block);
		block[bit / 8] ^= (uint8_t)(1u << bit % 8);
		other.k[bit / 64] ^= UINT64_C(1) << bit % 64;
		block_hash_init(&h, &other);
		by_key = before ^ block_hash_one(&h, block);
		block_hash_init(&h, &key);
		CHECK(by_block != 0 && by_key != 0);
		changed += (uint32_t)__builtin_popcount(by_block);
		changed += (uint32_t)__builtin_popcount(by_key);
	}
	/* Of 256 changes with 16 bits each: within six standard deviations. */
	CHECK(changed > 4096 - 270 && changed < 4096 + 270);
}

static void without_aes_it_is_siphash(void)
{
	uint8_t block[BLOCK_HASH_BYTES];
	struct block_hash h;

	for (uint8_t i = 0; i < sizeof(block); i++)
		block[i] = i;
	block_hash_init_portable(&h, &key);
	CHECK_EQ(block_hash_one(&h, block), (uint32_t)siphash13(&key, block, sizeof(block)));
}

TEST_SUITE(block_hash)
{
	TEST(spreads_blocks_that_are_alike);
	TEST(every_bit_counts);
	TEST(without_aes_it_is_siphash);
}
