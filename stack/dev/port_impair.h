/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A port whose packets meet impairment on their way: a layer between a port's
 * burst functions and those who call them, there only while it is wanted.
 * Each queue has an impairment of its own for each direction, used by the one
 * worker that owns the queue; nothing is shared.
 */
#ifndef LEAT_DEV_PORT_IMPAIR_H
#define LEAT_DEV_PORT_IMPAIR_H

#include "dev/impair.h"
#include "dev/port.h"

/* Puts the layer over an open port without transmit offloads.  0 or -ENOMEM. */
int port_impair_open(struct port *port, const struct port_config *config);
/* Takes it away with what it holds.  No effect on a port without it. */
void port_impair_close(struct port *port);

/* When a packet it holds for this queue is due, either way; UINT64_MAX: it holds none.  For ports
 * with port->impair. */
uint64_t port_impair_next_us(const struct port *port, uint16_t queue);
/* Adds what happened on this queue since the last call, both ways, to sums.  Likewise. */
void port_impair_take_counters(struct port *port, uint16_t queue, uint64_t sums[IMPAIR_COUNTERS]);

#endif
