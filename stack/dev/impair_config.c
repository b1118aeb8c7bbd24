/* SPDX-License-Identifier: BSD-3-Clause */
/* How an impairment is written down. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dev/impair.h"

#define TEXT_MAX_BYTES 256
#define NUMBER_DIGITS  12 /* of a number, before its point and behind it */
#define SECOND_US      UINT64_C(1000000)
#define PERCENT_PPM    UINT64_C(10000)
#define GIGABIT        UINT64_C(1000000000)
#define LIMIT_MAX      (UINT64_C(1) << 20)
#define SEED_MAX       UINT64_C(999999999999)
#define SEED_DEFAULT   1

struct unit {
	const char *suffix;
	uint64_t scale;
};

/* The smallest first. */
static const struct unit percentages[] = {{"%", PERCENT_PPM}, {NULL, 0}};
static const struct unit times[] = {{"us", 1}, {"ms", 1000}, {"s", SECOND_US}, {NULL, 0}};
static const struct unit rates[] = {{"K", 1000}, {"M", 1000000}, {"G", GIGABIT}, {NULL, 0}};
static const struct unit numbers[] = {{"", 1}, {NULL, 0}};

#define IN(member) offsetof(struct impair_config, member)
static const struct key {
	const char *name;
	const struct unit *units;
	size_t offset;
	uint64_t min;
	uint64_t max;
	const char *right; /* what its value looks like */
} keys[] = {
	{"loss", percentages, IN(loss_ppm), 0, 100 * PERCENT_PPM, "0% to 100%, such as 0.5%"},
	{"reorder", percentages, IN(reorder_ppm), 0, 100 * PERCENT_PPM, "0% to 100%, such as 0.5%"},
	{"dup", percentages, IN(dup_ppm), 0, 100 * PERCENT_PPM, "0% to 100%, such as 0.5%"},
	{"corrupt", percentages, IN(corrupt_ppm), 0, 100 * PERCENT_PPM, "0% to 100%, such as 0.5%"},
	{"delay", times, IN(delay_us), 0, 10 * SECOND_US, "0s to 10s, such as 20ms or 500us"},
	{"jitter", times, IN(jitter_us), 0, 10 * SECOND_US, "0s to 10s, such as 20ms or 500us"},
	{"rate", rates, IN(rate_bps), 1000, 1000 * GIGABIT,
	 "1K to 1000G (bits per second), such as 100M"},
	{"limit", numbers, IN(limit), 1, LIMIT_MAX, "1 to 1048576 (packets)"},
	{"seed", numbers, IN(seed), 0, SEED_MAX, "0 to 999999999999"},
	{NULL, NULL, 0, 0, 0, NULL},
};

static uint64_t *key_target(const struct key *key, struct impair_config *config)
{
	return (uint64_t *)((char *)config + key->offset);
}

/* ---- reading ------------------------------------------------------------- */

/* Digits from *text on, as part of *value; how many, or -1: too many. */
static int read_digits(const char **text, uint64_t *value)
{
	int count = 0;

	for (; isdigit((unsigned char)**text); (*text)++) {
		if (count++ == NUMBER_DIGITS)
			return -1;
		*value = *value * 10 + (uint64_t)(**text - '0');
	}
	return count;
}

static const struct unit *find_unit(const struct unit *units, const char *suffix)
{
	while (units->suffix != NULL && strcmp(units->suffix, suffix) != 0)
		units++;
	return units->suffix != NULL ? units : NULL;
}

/* "0.5ms": what is finer than the unit counts is refused rather than rounded. */
static int read_value(const struct key *key, const char *text, uint64_t *value)
{
	uint64_t whole = 0, fraction = 0, parts = 1;
	const struct unit *unit;
	int digits = 0;

	if (read_digits(&text, &whole) <= 0)
		return -EINVAL;
	if (*text == '.') {
		text++;
		digits = read_digits(&text, &fraction);
		if (digits <= 0 || digits > NUMBER_DIGITS / 2)
			return -EINVAL;
	}
	for (int k = 0; k < digits; k++)
		parts *= 10;
	unit = find_unit(key->units, text);
	if (unit == NULL || fraction * unit->scale % parts != 0 || whole > key->max / unit->scale)
		return -EINVAL;
	*value = whole * unit->scale + fraction * unit->scale / parts;
	return *value >= key->min && *value <= key->max ? 0 : -ERANGE;
}

static int refuse_key(const char *name, char *error, size_t error_bytes)
{
	char known[128] = "";
	size_t used = 0;

	for (const struct key *k = keys; k->name != NULL && used < sizeof(known); k++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
					 used != 0 ? ", " : "", k->name);
	snprintf(error, error_bytes, "there is no \"%s\"; there are %s", name, known);
	return -EINVAL;
}

/* One name=value; seen has a bit for each key that came before. */
static int read_item(char *item, struct impair_config *config, unsigned *seen, char *error,
		     size_t error_bytes)
{
	const struct key *key = keys;
	char *equals = strchr(item, '=');

	if (equals == NULL) {
		snprintf(error, error_bytes,
			 "\"%s\" is not name=value, such as loss=1%%; commas separate several",
			 item);
		return -EINVAL;
	}
	*equals = '\0';
	while (key->name != NULL && strcmp(key->name, item) != 0)
		key++;
	if (key->name == NULL)
		return refuse_key(item, error, error_bytes);
	if (*seen & 1u << (key - keys)) {
		snprintf(error, error_bytes, "%s is given twice; remove one", key->name);
		return -EINVAL;
	}
	*seen |= 1u << (key - keys);
	if (read_value(key, equals + 1, key_target(key, config)) != 0) {
		snprintf(error, error_bytes, "%s: \"%s\" is not %s", key->name, equals + 1,
			 key->right);
		return -EINVAL;
	}
	return 0;
}

int impair_parse(const char *text, struct impair_config *config, char *error, size_t error_bytes)
{
	char copy[TEXT_MAX_BYTES];
	char *rest = copy, *item;
	unsigned seen = 0;
	int ret = 0;

	*config = (struct impair_config){.limit = IMPAIR_LIMIT_DEFAULT, .seed = SEED_DEFAULT};
	if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy)) {
		snprintf(error, error_bytes, "longer than %d characters", TEXT_MAX_BYTES - 1);
		return -EINVAL;
	}
	while (ret == 0 && (item = strsep(&rest, ",")) != NULL)
		ret = read_item(item, config, &seen, error, error_bytes);
	return ret;
}

/* ---- writing ------------------------------------------------------------- */

static int describe_key(const struct key *key, uint64_t value, char *out, size_t out_bytes)
{
	const struct unit *unit = key->units;

	while (unit[1].suffix != NULL && value >= unit[1].scale)
		unit++;
	/* Twelve digits lose nothing: values lie below 2^40. */
	return snprintf(out, out_bytes, "%s=%.12g%s", key->name,
			(double)value / (double)unit->scale, unit->suffix);
}

int impair_describe(const struct impair_config *config, char *out, size_t out_bytes)
{
	size_t used = 0;

	for (const struct key *k = keys; k->name != NULL; k++) {
		uint64_t value;

		memcpy(&value, (const char *)config + k->offset, sizeof(value));
		if (value == 0 && k->offset != IN(seed))
			continue;
		if (used != 0)
			used += (size_t)snprintf(out + RTE_MIN(used, out_bytes),
						 out_bytes - RTE_MIN(used, out_bytes), ",");
		used += (size_t)describe_key(k, value, out + RTE_MIN(used, out_bytes),
					     out_bytes - RTE_MIN(used, out_bytes));
	}
	return (int)used;
}
