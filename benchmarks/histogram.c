/* SPDX-License-Identifier: BSD-3-Clause */
#include "histogram.h"

/* The middle of a bucket. */
static uint64_t bucket_value(uint32_t bucket)
{
	uint32_t power = bucket / HISTOGRAM_STEPS;
	uint64_t step = bucket % HISTOGRAM_STEPS;

	if (power == 0)
		return step;
	return ((HISTOGRAM_STEPS + step) << (power - 1)) + (UINT64_C(1) << (power - 1)) / 2;
}

uint64_t histogram_quantile(const struct histogram *h, double share)
{
	uint64_t rank = (uint64_t)(share * (double)h->count);
	uint64_t seen = 0;

	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->buckets[i];
		if (seen > rank)
			return bucket_value(i);
	}
	return 0;
}
