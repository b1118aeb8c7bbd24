/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which worker a flow belongs to: the Toeplitz hash a NIC computes over a
 * received packet, its low bits an index into a table of workers.  Where the
 * NIC steers, it uses the same key and table; where it does not, workers hand
 * packets to each other by the same rule.
 */
#include <netinet/in.h>
#include <rte_thash.h>

#include "dev/port.h"

/* The key of the published RSS verification suite, so that any NIC can be checked against it. */
static const uint8_t steer_key[PORT_RSS_KEY_BYTES] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
	0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
	0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

#define STEER_RETA_SIZE 128

void port_steer_init(struct port *port, uint16_t workers)
{
	port->steer_by_nic = false;
	port->workers = workers;
	port->reta_size = STEER_RETA_SIZE;
	for (uint16_t i = 0; i < port->reta_size; i++)
		port->reta[i] = i % workers;
	memcpy(port->rss_key, steer_key, sizeof(steer_key));
	for (size_t i = 0; i < sizeof(steer_key); i += sizeof(uint32_t)) {
		rte_be32_t word;
		uint32_t converted;

		memcpy(&word, steer_key + i, sizeof(word));
		converted = rte_be_to_cpu_32(word);
		memcpy(port->rss_key_be + i, &converted, sizeof(converted));
	}
}

/* As received: source is remote.  Returns the tuple's length in 32-bit words. */
static uint32_t steer_tuple(const struct flow *flow, union rte_thash_tuple *tuple)
{
	bool ports = flow->protocol == IPPROTO_TCP || flow->protocol == IPPROTO_UDP;

	if (flow->family == AF_INET) {
		tuple->v4.src_addr = rte_be_to_cpu_32(flow->remote.v4);
		tuple->v4.dst_addr = rte_be_to_cpu_32(flow->local.v4);
		tuple->v4.sport = rte_be_to_cpu_16(flow->remote_port);
		tuple->v4.dport = rte_be_to_cpu_16(flow->local_port);
		return ports ? RTE_THASH_V4_L4_LEN : RTE_THASH_V4_L3_LEN;
	}
	for (unsigned i = 0; i < 4; i++) {
		rte_be32_t from, to;

		memcpy(&from, flow->remote.bytes + 4 * i, sizeof(from));
		memcpy(&to, flow->local.bytes + 4 * i, sizeof(to));
		from = rte_be_to_cpu_32(from);
		to = rte_be_to_cpu_32(to);
		memcpy(tuple->v6.src_addr + 4 * i, &from, sizeof(from));
		memcpy(tuple->v6.dst_addr + 4 * i, &to, sizeof(to));
	}
	tuple->v6.sport = rte_be_to_cpu_16(flow->remote_port);
	tuple->v6.dport = rte_be_to_cpu_16(flow->local_port);
	return ports ? RTE_THASH_V6_L4_LEN : RTE_THASH_V6_L3_LEN;
}

uint16_t port_flow_worker(const struct port *port, const struct flow *flow)
{
	union rte_thash_tuple tuple;
	uint32_t words, hash;

	if (port->workers == 1)
		return 0;
	words = steer_tuple(flow, &tuple);
	hash = rte_softrss_be((uint32_t *)&tuple, words, port->rss_key_be);
	return port->reta[hash & (port->reta_size - 1)];
}
