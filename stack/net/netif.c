/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/netif.h"

#include "core/worker.h"

bool netif_is_local(const struct worker *w, const struct inet_addr *a)
{
	for (uint16_t i = 0; i < w->netif_count; i++)
		if (w->netif[i]->address.v4 == a->v4)
			return true;
	return false;
}

bool netif_is_broadcast(const struct netif *n, const struct inet_addr *a)
{
	/* RFC 3021: a 31-bit prefix has no broadcast address, nor has a host's own. */
	return a->v4 == RTE_BE32(INADDR_BROADCAST) ||
	       (n->prefix_length < 31 && a->v4 == n->broadcast);
}

bool netif_is_any_broadcast(const struct worker *w, const struct inet_addr *a)
{
	for (uint16_t i = 0; i < w->netif_count; i++)
		if (netif_is_broadcast(w->netif[i], a))
			return true;
	return false;
}

bool netif_is_on_link(const struct netif *n, const struct inet_addr *a)
{
	return ((a->v4 ^ n->address.v4) & inet_mask_v4(n->prefix_length)) == 0;
}
