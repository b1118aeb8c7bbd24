/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/clock.h"

#include <string.h>

#define SEED 0x6c656174u

uint64_t clock_us = CLOCK_START_US;

static uint64_t random_state = SEED;

uint64_t clock_read(void *arg)
{
	(void)arg;
	return clock_us;
}

uint64_t clock_random_next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

void clock_random(void *arg, void *out, size_t length)
{
	uint8_t *to = out;

	(void)arg;
	while (length > 0) {
		uint64_t word = clock_random_next(&random_state);
		size_t n = length < sizeof(word) ? length : sizeof(word);

		memcpy(to, &word, n);
		to += n;
		length -= n;
	}
}

void clock_reset(void)
{
	clock_us = CLOCK_START_US;
	random_state = SEED;
}
