/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LEAT_SOCK_SUBMISSION_H
#define LEAT_SOCK_SUBMISSION_H

struct worker;

/* Takes and runs the submissions of active channels, a bounded number of each; how many. */
unsigned channels_poll(struct worker *w);

#endif
