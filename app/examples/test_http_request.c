/* SPDX-License-Identifier: BSD-3-Clause */
#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_request.h"

static struct http_request request;

/* Parses from a heap block of the exact length, so that a sanitizer sees a read past its end. */
static int parse_bytes(const char *text, size_t length)
{
	char *exact = malloc(length > 0 ? length : 1);
	int result;

	if (exact == NULL)
		abort();
	memcpy(exact, text, length);
	result = http_request_parse(&request, exact, length);
	free(exact);
	return result;
}

static int parse(const char *text)
{
	return parse_bytes(text, strlen(text));
}

static int parse_with_field(const char *field)
{
	char text[512];

	snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n", field);
	return parse(text);
}

static int parse_target(const char *target)
{
	char text[512];

	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", target);
	return parse(text);
}

static void plain_get_is_understood(void)
{
	const char *text = "GET /dir/file.txt?x=1 HTTP/1.1\r\nHost: example\r\n\r\n";

	CU_ASSERT_EQUAL(parse(text), (int)strlen(text));
	CU_ASSERT_EQUAL(request.method, HTTP_GET);
	CU_ASSERT_STRING_EQUAL(request.path, "dir/file.txt");
	CU_ASSERT_TRUE(request.keep_alive);
	CU_ASSERT_EQUAL(request.range, HTTP_RANGE_NONE);
	CU_ASSERT_EQUAL(request.body_bytes, 0);
}

static void head_and_absolute_form_are_understood(void)
{
	CU_ASSERT_TRUE(parse("HEAD http://example/a HTTP/1.1\r\nHost: example\r\n\r\n") > 0);
	CU_ASSERT_EQUAL(request.method, HTTP_HEAD);
	CU_ASSERT_STRING_EQUAL(request.path, "a");
	CU_ASSERT_TRUE(parse_target("http://example") > 0);
	CU_ASSERT_STRING_EQUAL(request.path, "");
}

static void every_prefix_is_incomplete(void)
{
	const char *text = "GET /a HTTP/1.1\r\nHost: example\r\nRange: bytes=1-2\r\n\r\n";

	for (size_t length = 0; length < strlen(text); length++)
		CU_ASSERT_EQUAL(parse_bytes(text, length), 0);
}

static void pipelined_request_is_left_alone(void)
{
	const char *one = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
	char two[128];

	snprintf(two, sizeof(two), "%s%s", one, one);
	CU_ASSERT_EQUAL(parse(two), (int)strlen(one));
}

static void empty_lines_before_a_request_are_skipped(void)
{
	CU_ASSERT_EQUAL(parse("\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 30);
	CU_ASSERT_EQUAL(parse("\r\n"), 0);
}

static void bare_line_feeds_end_lines(void)
{
	CU_ASSERT_TRUE(parse("GET /a HTTP/1.1\nHost: a\n\n") > 0);
	CU_ASSERT_STRING_EQUAL(request.path, "a");
}

static void connection_persists_by_version_and_option(void)
{
	CU_ASSERT_TRUE(parse("GET / HTTP/1.0\r\n\r\n") > 0);
	CU_ASSERT_FALSE(request.keep_alive);
	CU_ASSERT_TRUE(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n") > 0);
	CU_ASSERT_TRUE(request.keep_alive);
	CU_ASSERT_TRUE(parse_with_field("Connection: foo, close") > 0);
	CU_ASSERT_FALSE(request.keep_alive);
}

static void percent_encoding_is_decoded_once(void)
{
	CU_ASSERT_TRUE(parse_target("/a%20b%2Fc%252e") > 0);
	CU_ASSERT_STRING_EQUAL(request.path, "a b/c%2e");
	CU_ASSERT_EQUAL(parse_target("/%"), -400);
	CU_ASSERT_EQUAL(parse_target("/%1"), -400);
	CU_ASSERT_EQUAL(parse_target("/%zz"), -400);
	CU_ASSERT_EQUAL(parse_target("/%00"), -400);
}

static void ranges_are_parsed(void)
{
	CU_ASSERT_TRUE(parse_with_field("Range: bytes=5-9") > 0);
	CU_ASSERT_EQUAL(request.range, HTTP_RANGE_FROM);
	CU_ASSERT_EQUAL(request.range_first, 5);
	CU_ASSERT_EQUAL(request.range_last, 9);
	CU_ASSERT_TRUE(parse_with_field("range: bytes=5-") > 0);
	CU_ASSERT_EQUAL(request.range, HTTP_RANGE_FROM);
	CU_ASSERT_EQUAL(request.range_last, UINT64_MAX);
	CU_ASSERT_TRUE(parse_with_field("Range: bytes=-7") > 0);
	CU_ASSERT_EQUAL(request.range, HTTP_RANGE_SUFFIX);
	CU_ASSERT_EQUAL(request.range_last, 7);
}

static void unusable_ranges_are_ignored(void)
{
	static const char *const fields[] = {
		"Range: bytes=",      "Range: bytes=-",    "Range: bytes=9-5",
		"Range: bytes=1-2,4", "Range: lines=1-2",  "Range: bytes=a-b",
		"Range: bytes=1",     "Range: bytes=1-2x", "If-Range: \"x\"\r\nRange: bytes=1-2",
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		CU_ASSERT_TRUE(parse_with_field(fields[i]) > 0);
		CU_ASSERT_EQUAL(request.range, HTTP_RANGE_NONE);
	}
}

static void check_range(const char *field, uint64_t size, int status, uint64_t first,
			uint64_t count)
{
	uint64_t got_first, got_count;

	CU_ASSERT_TRUE(parse_with_field(field) > 0);
	CU_ASSERT_EQUAL(http_request_range(&request, size, &got_first, &got_count), status);
	if (status != 416) {
		CU_ASSERT_EQUAL(got_first, first);
		CU_ASSERT_EQUAL(got_count, count);
	}
}

static void ranges_are_cut_to_the_file(void)
{
	check_range("X: none", 100, 200, 0, 100);
	check_range("Range: bytes=0-0", 100, 206, 0, 1);
	check_range("Range: bytes=10-", 100, 206, 10, 90);
	check_range("Range: bytes=10-5000", 100, 206, 10, 90);
	check_range("Range: bytes=99-99", 100, 206, 99, 1);
	check_range("Range: bytes=100-", 100, 416, 0, 0);
	check_range("Range: bytes=-1", 100, 206, 99, 1);
	check_range("Range: bytes=-1000", 100, 206, 0, 100);
	check_range("Range: bytes=-0", 100, 416, 0, 0);
	check_range("Range: bytes=0-", 0, 416, 0, 0);
	check_range("Range: bytes=99999999999999999999999-", 100, 416, 0, 0);
	check_range("Range: bytes=1-99999999999999999999999", 100, 206, 1, 99);
}

static void malformed_requests_get_400(void)
{
	static const char *const texts[] = {
		"GET\r\n\r\n",
		"GET /\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"GET a HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
		"G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTX/1.1\r\nHost: a\r\n\r\n",
		"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		CU_ASSERT_EQUAL(parse(texts[i]), -400);
	CU_ASSERT_EQUAL(parse_with_field("Content-Length: x"), -400);
	CU_ASSERT_EQUAL(parse_with_field("Content-Length: 1\r\nContent-Length: 1"), -400);
	CU_ASSERT_EQUAL(parse_with_field("Content-Length: 1\r\nTransfer-Encoding: chunked"), -400);
}

static void what_we_do_not_do_gets_its_status(void)
{
	CU_ASSERT_EQUAL(parse("POST / HTTP/1.1\r\nHost: a\r\n\r\n"), -405);
	CU_ASSERT_EQUAL(parse("get / HTTP/1.1\r\nHost: a\r\n\r\n"), -405);
	CU_ASSERT_EQUAL(parse("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), -505);
	CU_ASSERT_EQUAL(parse_with_field("Transfer-Encoding: chunked"), -501);
	CU_ASSERT_EQUAL(parse_with_field("Content-Length: 65537"), -413);
	CU_ASSERT_EQUAL(parse_with_field("Content-Length: 99999999999999999999999"), -413);
	CU_ASSERT_TRUE(parse_with_field("Content-Length: 65536") > 0);
	CU_ASSERT_EQUAL(request.body_bytes, 65536);
}

static void long_requests_get_414_or_431(void)
{
	static char text[HTTP_HEAD_MAX + 1];
	int line;

	memset(text, 'a', sizeof(text));
	memcpy(text, "GET /", 5);
	CU_ASSERT_EQUAL(parse_bytes(text, HTTP_LINE_MAX - 1), 0);
	CU_ASSERT_EQUAL(parse_bytes(text, HTTP_LINE_MAX), -414);

	line = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\nX: ");
	text[line] = 'a';
	CU_ASSERT_EQUAL(parse_bytes(text, HTTP_HEAD_MAX - 1), 0);
	CU_ASSERT_EQUAL(parse_bytes(text, HTTP_HEAD_MAX), -431);
	CU_ASSERT_EQUAL(parse_bytes(text, HTTP_HEAD_MAX + 1), -431);

	memset(text, '\n', sizeof(text));
	CU_ASSERT_EQUAL(parse_bytes(text, HTTP_HEAD_MAX), -431);
}

/* ---- The ordinary request ---- */

static struct http_plain plain;

/* Parses a copy, to which plain.path then points; 0: it is for the other parser. */
static int parse_plain(const char *text, size_t length)
{
	static char *exact;

	free(exact);
	exact = malloc(length > 0 ? length : 1);
	if (exact == NULL)
		abort();
	memcpy(exact, text, length);
	return (int)http_request_parse_plain(&plain, exact, length);
}

/* What the one pass understands, both parsers understand the same way. */
static void check_plain_agrees(const char *text, size_t length)
{
	int used = parse_plain(text, length);

	if (used == 0)
		return;
	CU_ASSERT_EQUAL(parse_bytes(text, length), used);
	CU_ASSERT_EQUAL(request.method, HTTP_GET);
	CU_ASSERT_EQUAL(request.keep_alive, plain.keep_alive);
	CU_ASSERT_EQUAL(request.range, HTTP_RANGE_NONE);
	CU_ASSERT_EQUAL(request.body_bytes, 0);
	CU_ASSERT_EQUAL(strlen(request.path), plain.path_length);
	CU_ASSERT_EQUAL(memcmp(request.path, plain.path, plain.path_length), 0);
}

static void ordinary_requests_take_one_pass(void)
{
	static const char *const texts[] = {
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /dir/file.txt HTTP/1.1\r\nhost:a\r\nAccept: */*\r\n\r\n",
		"GET /a HTTP/1.1\r\nX: (y; z) \xe4\r\nHOST: a\r\nConnection: Keep-Alive\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: a\r\nX-Empty:\r\n\r\n",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		size_t length = strlen(texts[i]);

		CU_ASSERT_EQUAL(parse_plain(texts[i], length), (int)length);
		check_plain_agrees(texts[i], length);
		for (size_t part = 0; part < length; part++)
			CU_ASSERT_EQUAL(parse_plain(texts[i], part), 0);
	}
	CU_ASSERT_EQUAL(plain.path_length, 1);
}

/* Each of them means more, or is wrong: the other parser tells. */
static void other_requests_are_left_to_the_whole_parser(void)
{
	static const char *const texts[] = {
		"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
		"GET //a HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /a%20b HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /a HTTP/1.1\nHost: a\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: a\n\r\n",
		"GET /a HTTP/1.1\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: a\r\nrange: bytes=0-1\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: a\r\nIf-Range: x\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: a\r\nConnection: x, close\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: a\r\nX: long value with \x01 in it\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		CU_ASSERT_EQUAL(parse_plain(texts[i], strlen(texts[i])), 0);
}

static void long_requests_are_left_to_the_whole_parser(void)
{
	static char text[HTTP_HEAD_MAX + 64];
	int path;

	for (path = HTTP_LINE_MAX - 64; path < HTTP_LINE_MAX + 64; path++) {
		int length = snprintf(text, sizeof(text), "GET /%0*d HTTP/1.1\r\nHost: a\r\n\r\n",
				      path, 0);

		check_plain_agrees(text, (size_t)length);
	}
	for (int field = HTTP_HEAD_MAX - 64; field < HTTP_HEAD_MAX; field++) {
		int length = snprintf(text, sizeof(text),
				      "GET /a HTTP/1.1\r\nHost: a\r\nX: %0*d\r\n\r\n", field, 0);

		check_plain_agrees(text, (size_t)length);
	}
}

static void corrupted_requests_are_understood_alike(void)
{
	const char *text = "GET /ab HTTP/1.1\r\nHost: a\r\nX-Some-Field: with a longer value\r\n"
			   "Connection: keep-alive\r\n\r\n";
	size_t length = strlen(text);
	char copy[256];

	for (size_t at = 0; at < length; at++) {
		for (int byte = 0; byte < 256; byte++) {
			memcpy(copy, text, length);
			copy[at] = (char)byte;
			check_plain_agrees(copy, length);
		}
	}
}

/* Whatever the bytes are, parsing stays within them and says something sensible. */
static void corrupted_requests_do_no_harm(void)
{
	const char *text = "GET /a%41b?c HTTP/1.1\r\nHost: a\r\nRange: bytes=1-2\r\n"
			   "Connection: close, x\r\nContent-Length: 3\r\n\r\n";
	size_t length = strlen(text);
	char copy[256];

	for (size_t at = 0; at < length; at++) {
		for (int byte = 0; byte < 256; byte++) {
			int result;

			memcpy(copy, text, length);
			copy[at] = (char)byte;
			result = parse_bytes(copy, length);
			CU_ASSERT_TRUE(result <= (int)length);
			CU_ASSERT_TRUE(result >= 0 || (result <= -400 && result >= -505));
		}
	}
}

int main(void)
{
	CU_pSuite suite;
	unsigned failed;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	suite = CU_add_suite("http_request", NULL, NULL);
	CU_ADD_TEST(suite, plain_get_is_understood);
	CU_ADD_TEST(suite, head_and_absolute_form_are_understood);
	CU_ADD_TEST(suite, every_prefix_is_incomplete);
	CU_ADD_TEST(suite, pipelined_request_is_left_alone);
	CU_ADD_TEST(suite, empty_lines_before_a_request_are_skipped);
	CU_ADD_TEST(suite, bare_line_feeds_end_lines);
	CU_ADD_TEST(suite, connection_persists_by_version_and_option);
	CU_ADD_TEST(suite, percent_encoding_is_decoded_once);
	CU_ADD_TEST(suite, ranges_are_parsed);
	CU_ADD_TEST(suite, unusable_ranges_are_ignored);
	CU_ADD_TEST(suite, ranges_are_cut_to_the_file);
	CU_ADD_TEST(suite, malformed_requests_get_400);
	CU_ADD_TEST(suite, what_we_do_not_do_gets_its_status);
	CU_ADD_TEST(suite, long_requests_get_414_or_431);
	CU_ADD_TEST(suite, corrupted_requests_do_no_harm);
	CU_ADD_TEST(suite, ordinary_requests_take_one_pass);
	CU_ADD_TEST(suite, other_requests_are_left_to_the_whole_parser);
	CU_ADD_TEST(suite, long_requests_are_left_to_the_whole_parser);
	CU_ADD_TEST(suite, corrupted_requests_are_understood_alike);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	failed = CU_get_number_of_tests_failed();
	printf("%u passed, %u failed\n", CU_get_number_of_tests_run() - failed, failed);
	CU_cleanup_registry();
	return failed > 0;
}
