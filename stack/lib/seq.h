/* SPDX-License-Identifier: BSD-3-Clause */
/* Arithmetic on 32-bit sequence numbers, which wrap (RFC 9293, section 3.4). */
#ifndef LEAT_LIB_SEQ_H
#define LEAT_LIB_SEQ_H

#include <stdbool.h>
#include <stdint.h>

static inline bool seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool seq_le(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

static inline bool seq_gt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static inline bool seq_ge(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) >= 0;
}

static inline uint32_t seq_max(uint32_t a, uint32_t b)
{
	return seq_gt(a, b) ? a : b;
}

static inline uint32_t seq_min(uint32_t a, uint32_t b)
{
	return seq_lt(a, b) ? a : b;
}

/* Is seq in [start, start + size)? */
static inline bool seq_in_window(uint32_t seq, uint32_t start, uint32_t size)
{
	return seq - start < size;
}

#endif
