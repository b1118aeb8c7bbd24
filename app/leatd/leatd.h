/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon as a whole: what daemon.c makes and the other files use. */
#ifndef LEATD_LEATD_H
#define LEATD_LEATD_H

#include "config.h"
#include "core/worker.h"
#include "dev/port.h"
#include "region.h"

struct control;

struct leatd {
	struct config config;
	uint16_t workers;
	struct worker *worker[LEAT_MAX_WORKERS];
	uint32_t port_count;
	struct port ports[PORT_MAX];
	struct regions regions;
	struct control *control;
	bool worker_stop[LEAT_MAX_WORKERS]; /* each its worker's own while it runs */
};

#endif
