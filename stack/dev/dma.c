/* SPDX-License-Identifier: BSD-3-Clause */
/* rte_dev_dma_map is marked experimental, in 22.11 as in later releases. */
#define ALLOW_EXPERIMENTAL_API
#include "dev/dma.h"

#include <errno.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include "dev/port.h"

static struct rte_device *port_device(const struct port *port)
{
	struct rte_eth_dev_info info;

	if (!port->external_buffers || !rte_eth_dev_is_valid_port(port->id) ||
	    rte_eth_dev_info_get(port->id, &info) != 0)
		return NULL;
	return info.device;
}

int port_dma_map(const struct port *port, void *base, size_t bytes)
{
	struct rte_device *device = port_device(port);

	if (device == NULL || rte_dev_dma_map(device, base, (uintptr_t)base, bytes) == 0)
		return 0;
	/* A virtual device copies with the processor: its bus has nothing to map. */
	return rte_errno == ENOTSUP ? 0 : -rte_errno;
}

void port_dma_unmap(const struct port *port, void *base, size_t bytes)
{
	struct rte_device *device = port_device(port);

	if (device != NULL)
		rte_dev_dma_unmap(device, base, (uintptr_t)base, bytes);
}
