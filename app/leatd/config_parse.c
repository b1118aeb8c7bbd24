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

/* target: uint8_t, the number of text among count names; what: the names as an error shows them. */
static int parse_name(const char *text, const char *const *names, uint8_t count, const char *what,
		      void *target, char *error, size_t error_bytes)
{
	for (uint8_t i = 0; i < count; i++) {
		if (strcmp(text, names[i]) == 0) {
			*(uint8_t *)target = i;
			return 0;
		}
	}
	snprintf(error, error_bytes, "\"%s\" is not %s", text, what);
	return -EINVAL;
}

int parse_ecn(const char *text, void *target, char *error, size_t error_bytes)
{
	static const char *const names[] = {
		[ECN_ACCEPT] = "accept",
		[ECN_REQUEST] = "request",
		[ECN_OFF] = "off",
	};

	return parse_name(text, names, RTE_DIM(names), "accept, request or off", target, error,
			  error_bytes);
}

int parse_mtu_probing(const char *text, void *target, char *error, size_t error_bytes)
{
	static const char *const names[] = {
		[MTU_PROBING_BLACK_HOLE] = "blackhole",
		[MTU_PROBING_ALWAYS] = "always",
		[MTU_PROBING_OFF] = "off",
	};

	return parse_name(text, names, RTE_DIM(names), "blackhole, always or off", target, error,
			  error_bytes);
}
