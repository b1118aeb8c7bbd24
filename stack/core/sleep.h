/* SPDX-License-Identifier: BSD-3-Clause */
/* How an idle worker sleeps; worker.h has what a program calls. */
#ifndef LEAT_CORE_SLEEP_H
#define LEAT_CORE_SLEEP_H

struct worker_sleep;

struct worker_sleep *worker_sleep_create(void);
void worker_sleep_free(struct worker_sleep *s);

#endif
