/* SPDX-License-Identifier: BSD-3-Clause */
#include "dev/port_rss.h"

#include <errno.h>

#define RSS_FLOWS  (RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV4_UDP)
#define RSS_GROUPS (PORT_RETA_MAX / RTE_ETH_RETA_GROUP_SIZE)

void port_rss_configure(const struct port *port, const struct rte_eth_dev_info *info,
			struct rte_eth_conf *conf)
{
	uint64_t flows = info->flow_type_rss_offloads & RSS_FLOWS;

	if (flows == 0)
		return;
	conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	conf->rx_adv_conf.rss_conf.rss_hf = flows;
	if (info->hash_key_size == PORT_RSS_KEY_BYTES) {
		conf->rx_adv_conf.rss_conf.rss_key = (uint8_t *)(uintptr_t)port->rss_key;
		conf->rx_adv_conf.rss_conf.rss_key_len = PORT_RSS_KEY_BYTES;
	}
}

/* Does the device hash both protocols, with our key? */
static bool rss_key_is_ours(const struct port *port)
{
	uint8_t key[PORT_RSS_KEY_BYTES] = {0};
	struct rte_eth_rss_conf conf = {.rss_key = key, .rss_key_len = sizeof(key)};

	return rte_eth_dev_rss_hash_conf_get(port->id, &conf) == 0 &&
	       (conf.rss_hf & RSS_FLOWS) == RSS_FLOWS &&
	       memcmp(key, port->rss_key, sizeof(key)) == 0;
}

static bool rss_table_is_ours(const struct port *port,
			      const struct rte_eth_rss_reta_entry64 *wanted)
{
	struct rte_eth_rss_reta_entry64 table[RSS_GROUPS] = {0};

	for (uint16_t i = 0; i < port->reta_size; i++)
		table[i / RTE_ETH_RETA_GROUP_SIZE].mask = UINT64_MAX;
	if (rte_eth_dev_rss_reta_query(port->id, table, port->reta_size) != 0)
		return false;
	for (uint16_t i = 0; i < port->reta_size; i++) {
		uint16_t group = i / RTE_ETH_RETA_GROUP_SIZE;
		uint16_t at = i % RTE_ETH_RETA_GROUP_SIZE;

		if (table[group].reta[at] != wanted[group].reta[at])
			return false;
	}
	return true;
}

int port_rss_program(struct port *port, const struct rte_eth_dev_info *info)
{
	struct rte_eth_rss_reta_entry64 table[RSS_GROUPS] = {0};
	uint16_t size = info->reta_size;

	/* Both the table and the rule "low bits of the hash" need a power of two. */
	if (size == 0 || size > PORT_RETA_MAX || (size & (size - 1)) != 0 ||
	    info->hash_key_size != PORT_RSS_KEY_BYTES || !rss_key_is_ours(port))
		return -ENOTSUP;
	port->reta_size = size;
	for (uint16_t i = 0; i < size; i++) {
		port->reta[i] = i % port->workers;
		table[i / RTE_ETH_RETA_GROUP_SIZE].mask |= UINT64_C(1)
							   << i % RTE_ETH_RETA_GROUP_SIZE;
		table[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE] =
			port->reta[i];
	}
	if (rte_eth_dev_rss_reta_update(port->id, table, size) != 0)
		return -ENOTSUP;
	return rss_table_is_ours(port, table) ? 0 : -ENOTSUP;
}
