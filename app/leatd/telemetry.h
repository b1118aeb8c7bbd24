/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What `leat` asks, through rte_telemetry, whose answers hold at most 16 KiB:
 *
 *   /leat/info            workers, ports, applications
 *   /leat/stat,WORKER     every counter of a worker; its life in "cycles", "cycles_per_second"
 *   /leat/pools           objects in use of each pool
 *   /leat/ss,WORKER,NEXT  some socks of a worker; NEXT is 0 to begin, then what the last answer
 *                         gave as "next", until that is 0
 *
 * Calls come on DPDK's telemetry threads.  Counters are read as they are; socks are listed by
 * their worker, a slice per message.
 */
#ifndef LEATD_TELEMETRY_H
#define LEATD_TELEMETRY_H

#include "leatd.h"

/* Once leatd->control is there.  Makes SOCKET.telemetry, a link to DPDK's telemetry socket.
 * 0 or -errno. */
int telemetry_start(struct leatd *leatd);
/* After this no call touches a worker any more. */
void telemetry_stop(void);

#endif
