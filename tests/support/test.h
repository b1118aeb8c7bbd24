/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CUnit, with checks that print what they saw.  A suite file looks like this:
 *
 *     static void retransmission_doubles_the_timeout(void)
 *     {
 *             ...
 *             CHECK_EQ(host_tx_count(h), 1);
 *     }
 *
 *     TEST_SUITE(tcp_timers)
 *     {
 *             TEST(retransmission_doubles_the_timeout);
 *     }
 *
 * and one line, SUITE(tcp_timers), in unit/suites.def.
 */
#ifndef LEAT_SUPPORT_TEST_H
#define LEAT_SUPPORT_TEST_H

#include <CUnit/CUnit.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEST_SUITE(name)                    \
	void suite_##name(CU_pSuite suite); \
	void suite_##name(CU_pSuite suite)
#define TEST(function) CU_add_test(suite, #function, function)

/* CHECK goes on after a failure, REQUIRE ends the test case. */
#define CHECK(cond)   test_check((cond), #cond, __FILE__, __LINE__)
#define REQUIRE(cond) test_require((cond), #cond, __FILE__, __LINE__)
/* Integers of any type; both values are printed when they differ. */
#define CHECK_EQ(actual, expected) \
	test_check_eq((long long)(actual), (long long)(expected), #actual, __FILE__, __LINE__)
#define REQUIRE_EQ(actual, expected) \
	test_require(CHECK_EQ(actual, expected), #actual " == " #expected, __FILE__, __LINE__)
#define CHECK_MEM(actual, expected, length) \
	test_check_mem(actual, expected, length, #actual, __FILE__, __LINE__)
/* Lies in [low, high]. */
#define CHECK_RANGE(actual, low, high)                                                      \
	test_check_range((long long)(actual), (long long)(low), (long long)(high), #actual, \
			 __FILE__, __LINE__)

bool test_check(bool good, const char *what, const char *file, int line);
/* Records the failure and leaves the test case. */
void test_leave(const char *what, const char *file, int line) __attribute__((noreturn));
static inline void test_require(bool good, const char *what, const char *file, int line)
{
	if (!good)
		test_leave(what, file, line);
}
bool test_check_eq(long long actual, long long expected, const char *what, const char *file,
		   int line);
bool test_check_range(long long actual, long long low, long long high, const char *what,
		      const char *file, int line);
bool test_check_mem(const void *actual, const void *expected, size_t length, const char *what,
		    const char *file, int line);
/* Records a failure with a printf message. */
void test_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Called by the runner after each case: tears down what a failed case left behind, and makes a
 * failure of what a case that passed forgot.  Support files register here. */
typedef void (*test_cleanup_fn)(void);
void test_on_cleanup(test_cleanup_fn fn);
void test_cleanup(void);

/*
 * EAL for tests: no huge pages, no devices, no files left behind, no network, any user.  Call once
 * per process.  0 or -1.
 */
int test_eal_init(const char *program);
void test_eal_cleanup(void);

#endif
