/* SPDX-License-Identifier: BSD-3-Clause */
/* leatd's log lines, through rte_log (--log-level=leatd:debug shows all). */
#ifndef LEATD_LOG_H
#define LEATD_LOG_H

#include <rte_log.h>

extern int leatd_logtype;

#define leatd_log(level, format, ...) \
	rte_log(RTE_LOG_##level, leatd_logtype, "leatd: " format "\n", ##__VA_ARGS__)

#endif
