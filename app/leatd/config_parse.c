/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_parse.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/worker.h"
#include "dev/impair.h"
#include "tcp/congestion.h"

int parse_u64(const char *text, bool bytes, uint64_t *out)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	*out = strtoull(text, &end, 10);
	if (errno != 0)
		return -ERANGE;
	if (bytes && *end != '\0' && strchr("KMG", *end) != NULL) {
		int shift = *end == 'K' ? 10 : *end == 'M' ? 20 : 30;

		if (*out > UINT64_MAX >> shift)
			return -ERANGE;
		*out <<= shift;
		end++;
	}
	return *end == '\0' ? 0 : -EINVAL;
}

int parse_id(const char *text, bool group, uint32_t *id)
{
	uint64_t number;

	if (parse_u64(text, false, &number) == 0) {
		*id = (uint32_t)number;
		return number < UINT32_MAX ? 0 : -ERANGE;
	}
	if (group) {
		const struct group *g = getgrnam(text);

		if (g == NULL)
			return -ENOENT;
		*id = g->gr_gid;
	} else {
		const struct passwd *p = getpwnam(text);

		if (p == NULL)
			return -ENOENT;
		*id = p->pw_uid;
	}
	return 0;
}

int parse_impair(const char *text, void *target, char *error, size_t error_bytes)
{
	return impair_parse(text, target, error, error_bytes);
}

int parse_congestion(const char *text, void *target, char *error, size_t error_bytes)
{
	const struct congestion_ops **ops = target;

	*ops = congestion_find(text);
	if (*ops != NULL)
		return 0;
	snprintf(error, error_bytes, "\"%s\" is not one of %s, %s (or reno), %s, %s", text,
		 congestion_cubic.name, congestion_newreno.name, congestion_dctcp.name,
		 congestion_bbr.name);
	return -EINVAL;
}

/* One of count words, kept as its uint8_t index. */
static int parse_mode(const char *const *names, uint8_t count, const char *text, uint8_t *target,
		      char *error, size_t error_bytes, const char *known)
{
	for (uint8_t mode = 0; mode < count; mode++) {
		if (strcmp(text, names[mode]) == 0) {
			*target = mode;
			return 0;
		}
	}
	snprintf(error, error_bytes, "\"%s\" is not %s", text, known);
	return -EINVAL;
}

int parse_fast_open(const char *text, void *target, char *error, size_t error_bytes)
{
	static const char *const names[] = {
		[FAST_OPEN_OFF] = "off",
		[FAST_OPEN_CLIENT] = "client",
		[FAST_OPEN_SERVER] = "server",
		[FAST_OPEN_BOTH] = "both",
	};

	return parse_mode(names, RTE_DIM(names), text, target, error, error_bytes,
			  "off, client, server or both");
}

int parse_ecn(const char *text, void *target, char *error, size_t error_bytes)
{
	static const char *const names[] = {
		[ECN_ACCEPT] = "accept",
		[ECN_REQUEST] = "request",
		[ECN_OFF] = "off",
	};

	return parse_mode(names, RTE_DIM(names), text, target, error, error_bytes,
			  "accept, request or off");
}

int parse_mtu_probing(const char *text, void *target, char *error, size_t error_bytes)
{
	static const char *const names[] = {
		[MTU_PROBING_BLACK_HOLE] = "blackhole",
		[MTU_PROBING_ALWAYS] = "always",
		[MTU_PROBING_OFF] = "off",
	};

	return parse_mode(names, RTE_DIM(names), text, target, error, error_bytes,
			  "blackhole, always or off");
}
