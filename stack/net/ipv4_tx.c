/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "net/ip_tx.h"

/* Where the transport header keeps its checksum; NULL: the protocol has filled it itself. */
static rte_be16_t *checksum_field(uint8_t protocol, uint8_t *transport)
{
	if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)
		return NULL;
	return (rte_be16_t *)(void *)(transport + ip_checksum_offset(protocol));
}

static void checksum_software(const struct ip_tx *how, struct rte_mbuf *m)
{
	uint8_t protocol = how->flow->protocol;
	rte_be16_t *field = checksum_field(protocol, rte_pktmbuf_mtod(m, uint8_t *));

	if (field == NULL)
		return;
	*field = 0;
	/* The sum is not inverted yet. */
	*field = ip_checksum_of(ip_transport_sum(how->flow, m, m->pkt_len), protocol);
}

/* m's data begins at the IP header. */
static void offload(const struct ip_tx *how, struct rte_mbuf *m)
{
	uint8_t protocol = how->flow->protocol;
	uint8_t *transport = rte_pktmbuf_mtod_offset(m, uint8_t *, IP_HEADER_BYTES);
	rte_be16_t *field = checksum_field(protocol, transport);
	rte_be16_t sum = ip_tx_offload(how, protocol, m, transport, m->pkt_len - IP_HEADER_BYTES);

	if (field != NULL)
		*field = sum;
}

static int refuse(struct worker *w, struct rte_mbuf *m, enum counter why, int error)
{
	worker_drop(w, m, why);
	return error;
}

int ip_tx(struct worker *w, const struct ip_tx *how, struct rte_mbuf *m)
{
	const struct port *port;
	uint32_t limit;
	void *ip;
	int err = dst_resolve(w, how->dst, how->flow->family, &how->flow->remote);

	if (unlikely(err != 0))
		return refuse(w, m, err == -ENOBUFS ? CNT_arp_table_full : CNT_ip_no_route, err);
	port = w->netif[how->dst->netif]->port;
	limit = how->tso_segment != 0 ? UINT16_MAX : how->dst->mtu;
	if (unlikely(m->pkt_len + IP_HEADER_BYTES > limit))
		return refuse(w, m, CNT_ip_too_big, -EMSGSIZE);
	if (unlikely(m->nb_segs > 1 && !port->tx_multi_segs && rte_pktmbuf_linearize(m) != 0))
		return refuse(w, m, CNT_mbuf_empty, -ENOBUFS);
	/* An mbuf that was received keeps nothing of what the port said about it. */
	m->ol_flags &= RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
	if (!port->tx_checksum)
		checksum_software(how, m);
	ip = rte_pktmbuf_prepend(m, IP_HEADER_BYTES);
	leat_assert(ip != NULL);
	ipv4_write_header(w, how, how->flow->protocol, m->pkt_len, port->tx_checksum, ip);
	if (port->tx_checksum)
		offload(how, m);
	neigh_tx(w, how->dst->neigh, m);
	return 0;
}
