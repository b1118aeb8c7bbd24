/* SPDX-License-Identifier: BSD-3-Clause */
/* A NIC's receive-side scaling, told to follow the port's own key and table. */
#ifndef LEAT_DEV_PORT_RSS_H
#define LEAT_DEV_PORT_RSS_H

#include <rte_ethdev.h>

#include "dev/port.h"

/* Before rte_eth_dev_configure: asks for RSS over the 4-tuple where the device has it. */
void port_rss_configure(const struct port *port, const struct rte_eth_dev_info *info,
			struct rte_eth_conf *conf);

/* After the start: writes key and table and reads them back.  0: the NIC steers as
 * port_flow_worker says; else it may spread packets, but not as told. */
int port_rss_program(struct port *port, const struct rte_eth_dev_info *info);

#endif
