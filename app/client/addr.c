/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses as applications write them, and as leatd does. */
#include <errno.h>
#include <string.h>

#include "socket.h"

int addr_from_sockaddr(struct leat_addr *out, const struct sockaddr *addr, socklen_t addrlen)
{
	const struct sockaddr_in *in = (const void *)addr;
	const struct sockaddr_in6 *in6 = (const void *)addr;

	*out = (struct leat_addr){0};
	if (addr == NULL || addrlen < sizeof(addr->sa_family))
		return -EINVAL;
	out->family = addr->sa_family;
	switch (addr->sa_family) {
	case AF_UNSPEC:
		return 0;
	case AF_INET:
		if (addrlen < sizeof(*in))
			return -EINVAL;
		out->port = in->sin_port;
		memcpy(out->addr, &in->sin_addr, sizeof(in->sin_addr));
		return 0;
	case AF_INET6:
		if (addrlen < offsetof(struct sockaddr_in6, sin6_scope_id))
			return -EINVAL;
		out->port = in6->sin6_port;
		memcpy(out->addr, &in6->sin6_addr, sizeof(in6->sin6_addr));
		if (addrlen >= sizeof(*in6))
			out->scope = in6->sin6_scope_id;
		return 0;
	default:
		return -EAFNOSUPPORT;
	}
}

void addr_to_sockaddr(const struct leat_addr *in, struct sockaddr *addr, socklen_t *addrlen)
{
	union {
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} full = {0};
	socklen_t length = 0;

	if (addr == NULL || addrlen == NULL)
		return;
	if (in->family == AF_INET) {
		full.in.sin_family = AF_INET;
		full.in.sin_port = in->port;
		memcpy(&full.in.sin_addr, in->addr, sizeof(full.in.sin_addr));
		length = sizeof(full.in);
	} else if (in->family == AF_INET6) {
		full.in6.sin6_family = AF_INET6;
		full.in6.sin6_port = in->port;
		full.in6.sin6_scope_id = in->scope;
		memcpy(&full.in6.sin6_addr, in->addr, sizeof(full.in6.sin6_addr));
		length = sizeof(full.in6);
	}
	memcpy(addr, &full, *addrlen < length ? *addrlen : length);
	*addrlen = length;
}
