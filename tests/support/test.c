/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/test.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLEANUP_MAX 8

static test_cleanup_fn cleanups[CLEANUP_MAX];
static unsigned cleanup_count;

bool test_check(bool good, const char *what, const char *file, int line)
{
	return CU_assertImplementation(good, (unsigned)line, what, file, "", CU_FALSE);
}

void test_leave(const char *what, const char *file, int line)
{
	CU_assertImplementation(CU_FALSE, (unsigned)line, what, file, "", CU_TRUE);
	abort(); /* CUnit jumped out */
}

void test_fail(const char *file, int line, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	test_check(false, text, file, line);
}

bool test_check_eq(long long actual, long long expected, const char *what, const char *file,
		   int line)
{
	char text[256];

	snprintf(text, sizeof(text), "%s is %lld (0x%llx), expected %lld (0x%llx)", what, actual,
		 (unsigned long long)actual, expected, (unsigned long long)expected);
	return test_check(actual == expected, text, file, line);
}

bool test_check_range(long long actual, long long low, long long high, const char *what,
		      const char *file, int line)
{
	char text[256];

	snprintf(text, sizeof(text), "%s is %lld, expected %lld to %lld", what, actual, low, high);
	return test_check(low <= actual && actual <= high, text, file, line);
}

bool test_check_mem(const void *actual, const void *expected, size_t length, const char *what,
		    const char *file, int line)
{
	const uint8_t *a = actual, *e = expected;
	char text[256];
	size_t i = 0;

	while (i < length && a[i] == e[i])
		i++;
	if (i == length)
		return test_check(true, what, file, line);
	snprintf(text, sizeof(text), "%s: byte %zu of %zu is 0x%02x, expected 0x%02x", what, i,
		 length, a[i], e[i]);
	return test_check(false, text, file, line);
}

void test_on_cleanup(test_cleanup_fn fn)
{
	for (unsigned i = 0; i < cleanup_count; i++)
		if (cleanups[i] == fn)
			return;
	if (cleanup_count < CLEANUP_MAX)
		cleanups[cleanup_count++] = fn;
}

void test_cleanup(void)
{
	for (unsigned i = 0; i < cleanup_count; i++)
		cleanups[i]();
}
