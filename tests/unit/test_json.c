/* SPDX-License-Identifier: BSD-3-Clause */
#include "json.h"

#include <stdlib.h>
#include <string.h>

#include "support/test.h"

/* In a heap block of its exact size, so that a sanitizer sees any step beyond it. */
static char *text_of(const char *text)
{
	char *copy = strdup(text);

	REQUIRE(copy != NULL);
	return copy;
}

static void an_answer_is_taken_apart(void)
{
	char *text = text_of(
		"{\"/leat/ss\":{\"next\":7, \"socks\" : {\"0\":{\"local\":\"1.2.3.4:5\","
		"\"rx\":18446744073709551615},\"1\":{}}, \"list\":[1,2,3]}}");
	struct json *value = json_parse(text);
	const struct json *answer, *socks, *list;

	REQUIRE(value != NULL);
	answer = json_get(value, "/leat/ss");
	REQUIRE(answer != NULL);
	CHECK_EQ(json_number(answer, "next"), 7);
	socks = json_get(answer, "socks");
	REQUIRE(socks != NULL && socks->first != NULL);
	CHECK(strcmp(socks->first->key, "0") == 0);
	CHECK(strcmp(json_string(socks->first, "local"), "1.2.3.4:5") == 0);
	CHECK(json_number(socks->first, "rx") == UINT64_MAX);
	CHECK(json_get(socks, "1") == socks->first->next);
	CHECK(json_get(socks, "1")->first == NULL);
	list = json_get(answer, "list");
	REQUIRE(list != NULL && list->type == JSON_ARRAY);
	CHECK_EQ(list->first->next->next->number, 3);
	json_free(value);
	free(text);
}

static void what_is_not_there_is_empty(void)
{
	char *text = text_of("{\"a\":\"x\",\"b\":null,\"c\":4}");
	struct json *value = json_parse(text);

	REQUIRE(value != NULL);
	CHECK(json_get(value, "d") == NULL);
	CHECK_EQ(json_number(value, "a"), 0);
	CHECK(strcmp(json_string(value, "c"), "") == 0);
	CHECK_EQ(json_get(value, "b")->type, JSON_NULL);
	CHECK(json_get(json_get(value, "c"), "e") == NULL);
	CHECK(json_get(NULL, "e") == NULL);
	json_free(value);
	free(text);
}

static void escapes_are_undone(void)
{
	char *text = text_of("{\"a\":\"x\\\"y\\\\z\\n\"}");
	struct json *value = json_parse(text);

	REQUIRE(value != NULL);
	CHECK(strcmp(json_string(value, "a"), "x\"y\\z\n") == 0);
	json_free(value);
	free(text);
}

static void what_is_not_json_is_refused(void)
{
	static const char *const wrong[] = {
		"",     "{",     "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":\"x",
		"[1,2", "{1:2}", "nul",    "x",       "{\"a\":}", "\"x\\",     "[[[[[[[[[[[[[[[[[[",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char *text = text_of(wrong[i]);

		if (json_parse(text) != NULL)
			test_fail(__FILE__, __LINE__, "taken: %s", wrong[i]);
		free(text);
	}
}

TEST_SUITE(json)
{
	TEST(an_answer_is_taken_apart);
	TEST(what_is_not_there_is_empty);
	TEST(escapes_are_undone);
	TEST(what_is_not_json_is_refused);
}
