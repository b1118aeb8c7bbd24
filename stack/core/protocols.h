/* SPDX-License-Identifier: BSD-3-Clause */
/* Which protocols there are: the one place that names them all. */
#ifndef LEAT_CORE_PROTOCOLS_H
#define LEAT_CORE_PROTOCOLS_H

struct worker;

/* Sets w->protocols and w->protos and makes each protocol's per-worker state: 0 or -ENOMEM. */
int protocols_create(struct worker *w);
void protocols_free(struct worker *w);

#endif
