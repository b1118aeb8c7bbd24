/* SPDX-License-Identifier: BSD-3-Clause */
/* The JSON that DPDK's telemetry answers with: objects, arrays, strings and whole numbers. */
#ifndef LEAT_JSON_H
#define LEAT_JSON_H

#include <stddef.h>
#include <stdint.h>

enum json_type { JSON_NULL, JSON_NUMBER, JSON_STRING, JSON_OBJECT, JSON_ARRAY };

struct json {
	enum json_type type;
	char *key; /* in an object, else NULL */
	char *string; /* JSON_STRING */
	uint64_t number;
	struct json *first; /* of an object or array, in order */
	struct json *next;
};

/* text is changed and lives as long as the value.  NULL: not JSON, or no memory.  json_free. */
struct json *json_parse(char *text);
void json_free(struct json *value);

/* NULL when object is none or has no such member. */
const struct json *json_get(const struct json *object, const char *key);
/* "" or 0 when it has none of that type. */
const char *json_string(const struct json *object, const char *key);
uint64_t json_number(const struct json *object, const char *key);

#endif
