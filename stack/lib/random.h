/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker's random numbers for ports, identifiers and jitter (not for secrets:
 * those come from the source the worker was created with). xoshiro256**. */
#ifndef LEAT_LIB_RANDOM_H
#define LEAT_LIB_RANDOM_H

#include <stdint.h>

struct random {
	uint64_t s[4]; /* not all zero */
};

static inline uint64_t random_next(struct random *r)
{
	uint64_t x = r->s[1] * 5;
	uint64_t result = (x << 7 | x >> 57) * 9;
	uint64_t t = r->s[1] << 17;

	r->s[2] ^= r->s[0];
	r->s[3] ^= r->s[1];
	r->s[1] ^= r->s[2];
	r->s[0] ^= r->s[3];
	r->s[2] ^= t;
	r->s[3] = r->s[3] << 45 | r->s[3] >> 19;
	return result;
}

#endif
