/* SPDX-License-Identifier: BSD-3-Clause */
/* Counts of values up to 2^40, each within a 64th of what it was. */
#ifndef LEAT_BENCHMARKS_HISTOGRAM_H
#define LEAT_BENCHMARKS_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEPS   64 /* between a power of two and the next */
#define HISTOGRAM_POWERS  35
#define HISTOGRAM_BUCKETS (HISTOGRAM_STEPS * HISTOGRAM_POWERS)

struct histogram {
	uint64_t count;
	uint32_t buckets[HISTOGRAM_BUCKETS];
};

static inline uint32_t histogram_bucket(uint64_t value)
{
	uint32_t power, bucket;

	if (value < HISTOGRAM_STEPS)
		return (uint32_t)value;
	power = 63 - (uint32_t)__builtin_clzll(value); /* 6 or more */
	bucket = (power - 5) * HISTOGRAM_STEPS + (uint32_t)(value >> (power - 6)) - HISTOGRAM_STEPS;
	return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static inline void histogram_add(struct histogram *h, uint64_t value)
{
	h->count++;
	h->buckets[histogram_bucket(value)]++;
}

/* The value that a share of all does not exceed, 0 to 1; 0 when there is none. */
uint64_t histogram_quantile(const struct histogram *h, double share);

#endif
