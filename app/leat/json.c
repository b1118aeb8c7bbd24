/* SPDX-License-Identifier: BSD-3-Clause */
#include "json.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 16

static struct json *parse_value(char **at, int depth);

static void skip_space(char **at)
{
	while (isspace((unsigned char)**at))
		(*at)++;
}

static bool take(char **at, char c)
{
	skip_space(at);
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

/* Unescapes in place; NULL: no string here. */
static char *parse_string(char **at)
{
	char *start, *out;

	if (!take(at, '"'))
		return NULL;
	start = out = *at;
	for (char *in = start; *in != '\0'; in++) {
		if (*in == '"') {
			*out = '\0';
			*at = in + 1;
			return start;
		}
		if (*in == '\\') {
			in++;
			if (*in == '\0')
				return NULL;
			*out++ = *in == 'n' ? '\n' : *in == 't' ? '\t' : *in;
		} else {
			*out++ = *in;
		}
	}
	return NULL;
}

/* The members of an object or array, up to its end: true when all is well. */
static bool parse_members(char **at, struct json *parent, char end, int depth)
{
	struct json **link = &parent->first;

	if (take(at, end))
		return true;
	do {
		char *key = NULL;

		if (parent->type == JSON_OBJECT) {
			key = parse_string(at);
			if (key == NULL || !take(at, ':'))
				return false;
		}
		*link = parse_value(at, depth + 1);
		if (*link == NULL)
			return false;
		(*link)->key = key;
		link = &(*link)->next;
	} while (take(at, ','));
	return take(at, end);
}

static bool parse_number(char **at, struct json *value)
{
	char *end;

	value->type = JSON_NUMBER;
	value->number = strtoull(*at, &end, 10);
	if (end == *at)
		return false;
	*at = end;
	return true;
}

static bool parse_into(char **at, struct json *value, int depth)
{
	if (take(at, '{')) {
		value->type = JSON_OBJECT;
		return parse_members(at, value, '}', depth);
	}
	if (take(at, '[')) {
		value->type = JSON_ARRAY;
		return parse_members(at, value, ']', depth);
	}
	if (**at == '"') {
		value->type = JSON_STRING;
		value->string = parse_string(at);
		return value->string != NULL;
	}
	if (strncmp(*at, "null", 4) == 0) {
		*at += 4;
		return true;
	}
	return parse_number(at, value);
}

static struct json *parse_value(char **at, int depth)
{
	struct json *value = depth < DEPTH_MAX ? calloc(1, sizeof(*value)) : NULL;

	if (value == NULL)
		return NULL;
	skip_space(at);
	if (parse_into(at, value, depth))
		return value;
	json_free(value);
	return NULL;
}

struct json *json_parse(char *text)
{
	return parse_value(&text, 0);
}

void json_free(struct json *value)
{
	while (value != NULL) {
		struct json *next = value->next;

		json_free(value->first);
		free(value);
		value = next;
	}
}

const struct json *json_get(const struct json *object, const char *key)
{
	if (object == NULL || object->type != JSON_OBJECT)
		return NULL;
	for (const struct json *member = object->first; member != NULL; member = member->next) {
		if (strcmp(member->key, key) == 0)
			return member;
	}
	return NULL;
}

const char *json_string(const struct json *object, const char *key)
{
	const struct json *member = json_get(object, key);

	return member != NULL && member->type == JSON_STRING ? member->string : "";
}

uint64_t json_number(const struct json *object, const char *key)
{
	const struct json *member = json_get(object, key);

	return member != NULL && member->type == JSON_NUMBER ? member->number : 0;
}
