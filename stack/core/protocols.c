/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/protocols.h"

#include <errno.h>
#include <netinet/in.h>

#include "core/worker.h"
#include "tcp/tcp.h"
#include "udp/udp.h"

static const struct ip_protocol *const ip_protocols[256] = {
	[IPPROTO_TCP] = &tcp_ip_protocol,
	[IPPROTO_UDP] = &udp_ip_protocol,
};

static const struct proto *const protos[] = {&tcp_proto, &udp_proto, NULL};

int protocols_create(struct worker *w)
{
	w->protocols = ip_protocols;
	w->protos = protos;
	w->tcp = tcp_worker_create(w);
	w->udp = udp_worker_create(w);
	return w->tcp == NULL || w->udp == NULL ? -ENOMEM : 0;
}

void protocols_free(struct worker *w)
{
	if (w->tcp != NULL)
		tcp_worker_free(w);
	if (w->udp != NULL)
		udp_worker_free(w);
}
