/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test-stack: runs the unit suites.
 *
 *     test-stack                 all of them
 *     test-stack wheel seq.wraps these suites, and that one case
 *     test-stack --list          what there is
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/test.h"

#ifndef SUITES_DEF /* which suites this program runs */
#define SUITES_DEF "suites.def"
#endif

#define SUITE(name) void suite_##name(CU_pSuite suite);
#include SUITES_DEF

static const struct {
	const char *name;
	void (*fill)(CU_pSuite suite);
} suites[] = {
#define SUITE(name) {#name, suite_##name},
#include SUITES_DEF
};

#define SUITE_COUNT (sizeof(suites) / sizeof(suites[0]))

static unsigned passed, failed;

static void print_failures(CU_pFailureRecord failure)
{
	for (; failure != NULL; failure = failure->pNext)
		printf("    %s:%u: %s\n", failure->strFileName, failure->uiLineNumber,
		       failure->strCondition);
}

static void on_case_start(const CU_pTest test, const CU_pSuite suite)
{
	printf("%s.%s ", suite->pName, test->pName);
	fflush(stdout); /* a crash must not hide which case it was */
}

static void on_case_complete(const CU_pTest test, const CU_pSuite suite,
			     const CU_pFailureRecord failure)
{
	(void)test;
	(void)suite;
	if (failure == NULL) {
		passed++;
		printf("ok\n");
		return;
	}
	failed++;
	printf("FAILED\n");
	print_failures(failure);
}

/* Is this case among those the arguments name?  No argument names all. */
static bool is_selected(int argc, char **argv, const char *suite, const char *name)
{
	size_t length = strlen(suite);

	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], suite, length) != 0)
			continue;
		if (argv[i][length] == '\0' ||
		    (argv[i][length] == '.' && strcmp(argv[i] + length + 1, name) == 0))
			return true;
	}
	return argc == 1;
}

static void tear_down(void)
{
	test_cleanup();
}

static unsigned fill_registry(int argc, char **argv)
{
	unsigned selected = 0;

	for (size_t i = 0; i < SUITE_COUNT; i++) {
		CU_pSuite suite = CU_add_suite_with_setup_and_teardown(suites[i].name, NULL, NULL,
								       NULL, tear_down);
		suites[i].fill(suite);
		for (CU_pTest test = suite->pTest; test != NULL; test = test->pNext) {
			test->fActive = is_selected(argc, argv, suite->pName, test->pName);
			selected += test->fActive ? 1 : 0;
		}
	}
	return selected;
}

static void list_registry(void)
{
	for (CU_pSuite suite = CU_get_registry()->pSuite; suite != NULL; suite = suite->pNext)
		for (CU_pTest test = suite->pTest; test != NULL; test = test->pNext)
			printf("%s.%s\n", suite->pName, test->pName);
}

int main(int argc, char **argv)
{
	unsigned selected;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return EXIT_FAILURE;
	selected = fill_registry(argc, argv);
	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		list_registry();
		CU_cleanup_registry();
		return EXIT_SUCCESS;
	}
	if (selected == 0) {
		fprintf(stderr, "%s: no such suite or case; --list shows them\n", argv[0]);
		return EXIT_FAILURE;
	}
	if (test_eal_init(argv[0]) != 0)
		return EXIT_FAILURE;

	CU_set_test_start_handler(on_case_start);
	CU_set_test_complete_handler(on_case_complete);
	CU_set_fail_on_inactive(CU_FALSE); /* a case not selected has not failed */
	if (CU_run_all_tests() != CUE_SUCCESS) {
		fprintf(stderr, "%s: %s\n", argv[0], CU_get_error_msg());
		failed++;
	}
	printf("%u passed, %u failed\n", passed, failed);

	CU_cleanup_registry();
	test_eal_cleanup();
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
