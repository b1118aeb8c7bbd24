/* SPDX-License-Identifier: BSD-3-Clause */
/* Invariants, asserted where they are relied on; compiled into test and debug builds. */
#ifndef LEAT_LIB_ASSERT_H
#define LEAT_LIB_ASSERT_H

/* The static analyzer takes them for granted. */
#if defined(LEAT_DEBUG) || defined(__clang_analyzer__)
#include <stdio.h>
#include <stdlib.h>
#define leat_assert(cond)                                                                        \
	do {                                                                                     \
		if (__builtin_expect(!(cond), 0)) {                                              \
			fprintf(stderr, "%s:%d: %s: assertion failed: %s\n", __FILE__, __LINE__, \
				__func__, #cond);                                                \
			abort();                                                                 \
		}                                                                                \
	} while (0)
#else
#define leat_assert(cond) ((void)sizeof(!(cond)))
#endif

#endif
