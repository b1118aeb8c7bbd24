/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that DPDK did not allocate, made reachable for a port's device. */
#ifndef LEAT_DEV_DMA_H
#define LEAT_DEV_DMA_H

#include <stddef.h>

struct port;

/* Lets the device read [base, base + bytes), if mbufs on this port may point there and the device
 * does its own memory accesses: 0 or -errno. */
int port_dma_map(const struct port *port, void *base, size_t bytes);
/* Once the port is closed the device reads nothing any more: no effect. */
void port_dma_unmap(const struct port *port, void *base, size_t bytes);

#endif
