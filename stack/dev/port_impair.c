/* SPDX-License-Identifier: BSD-3-Clause */
#include "dev/port_impair.h"

#include <errno.h>
#include <rte_malloc.h>
#include <string.h>

/* What one worker uses. */
struct impaired_queue {
	struct impair *rx;
	struct impair *tx;
	/* Due, but the device had no room. */
	uint16_t unsent_count;
	struct rte_mbuf *unsent[PORT_BURST];
} __rte_cache_aligned;

struct port_impair {
	const struct port_ops *device;
	uint64_t (*clock_us)(void *arg);
	void *clock_arg;
	uint16_t queues;
	struct impaired_queue queue[];
};

static uint64_t impaired_now_us(const struct port_impair *impair)
{
	return impair->clock_us(impair->clock_arg);
}

/* ---- the data path ------------------------------------------------------- */

/* As much of what is due as the device takes. */
static void impaired_send_due(struct port *port, uint16_t queue, uint64_t now_us)
{
	struct port_impair *impair = port->impair;
	struct impaired_queue *q = &impair->queue[queue];
	uint16_t sent;

	do {
		q->unsent_count += (uint16_t)impair_get(q->tx, q->unsent + q->unsent_count,
							PORT_BURST - q->unsent_count, now_us);
		if (q->unsent_count == 0)
			return;
		sent = impair->device->tx_burst(port, queue, q->unsent, q->unsent_count);
		q->unsent_count -= sent;
		memmove(q->unsent, q->unsent + sent, q->unsent_count * sizeof(q->unsent[0]));
	} while (sent > 0);
}

/* Workers look for packets in each iteration, so what became due is sent here, too. */
static uint16_t impaired_rx_burst(struct port *port, uint16_t queue, struct rte_mbuf **pkts,
				  uint16_t n)
{
	struct port_impair *impair = port->impair;
	uint16_t count = impair->device->rx_burst(port, queue, pkts, n);
	/* Not before they came, or their delay would be cut short. */
	uint64_t now_us = impaired_now_us(impair);

	impaired_send_due(port, queue, now_us);
	impair_put(impair->queue[queue].rx, pkts, count, now_us);
	return (uint16_t)impair_get(impair->queue[queue].rx, pkts, n, now_us);
}

static uint16_t impaired_tx_burst(struct port *port, uint16_t queue, struct rte_mbuf **pkts,
				  uint16_t n)
{
	struct port_impair *impair = port->impair;
	uint64_t now_us = impaired_now_us(impair);

	impair_put(impair->queue[queue].tx, pkts, n, now_us);
	impaired_send_due(port, queue, now_us);
	return n;
}

static const struct port_ops impaired_ops = {impaired_rx_burst, impaired_tx_burst};

/* ---- life ---------------------------------------------------------------- */

static void port_impair_free(struct port_impair *impair)
{
	for (uint16_t i = 0; i < impair->queues; i++) {
		struct impaired_queue *q = &impair->queue[i];

		impair_free(q->rx);
		impair_free(q->tx);
		rte_pktmbuf_free_bulk(q->unsent, q->unsent_count);
	}
	rte_free(impair);
}

int port_impair_open(struct port *port, const struct port_config *config)
{
	size_t bytes = sizeof(struct port_impair) + port->queues * sizeof(struct impaired_queue);
	struct port_impair *impair = rte_zmalloc("impair", bytes, RTE_CACHE_LINE_SIZE);

	if (impair == NULL)
		return -ENOMEM;
	impair->device = port->ops;
	impair->clock_us = config->clock_us;
	impair->clock_arg = config->clock_arg;
	impair->queues = port->queues;
	for (uint16_t i = 0; i < port->queues; i++) {
		struct impaired_queue *q = &impair->queue[i];
		struct rte_mempool *copies = config->pools[i];

		q->rx = impair_create(config->impair, 2u * i, copies, copies->socket_id);
		q->tx = impair_create(config->impair, 2u * i + 1, copies, copies->socket_id);
		if (q->rx == NULL || q->tx == NULL) {
			port_impair_free(impair);
			return -ENOMEM;
		}
	}
	port->impair = impair;
	port->ops = &impaired_ops;
	return 0;
}

void port_impair_close(struct port *port)
{
	if (port->impair == NULL)
		return;
	port->ops = port->impair->device;
	port_impair_free(port->impair);
	port->impair = NULL;
}

/* ---- what the worker asks ------------------------------------------------ */

uint64_t port_impair_next_us(const struct port *port, uint16_t queue)
{
	const struct impaired_queue *q = &port->impair->queue[queue];

	if (q->unsent_count > 0)
		return 0;
	return RTE_MIN(impair_next_us(q->rx), impair_next_us(q->tx));
}

void port_impair_take_counters(struct port *port, uint16_t queue, uint64_t sums[IMPAIR_COUNTERS])
{
	impair_take_counters(port->impair->queue[queue].rx, sums);
	impair_take_counters(port->impair->queue[queue].tx, sums);
}
