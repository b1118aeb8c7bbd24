/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/counters.h"

static const struct {
	const char *name;
	const char *text;
	bool drop;
} counters[CNT_MAX] = {
#define COUNTER(name, text) {#name, text, false},
#define DROP(name, text)    {#name, text, true},
#include "lib/counters.def"
};

const char *counter_name(enum counter c)
{
	return counters[c].name;
}

const char *counter_text(enum counter c)
{
	return counters[c].text;
}

bool counter_is_drop(enum counter c)
{
	return counters[c].drop;
}
