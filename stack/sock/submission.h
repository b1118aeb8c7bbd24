/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LEAT_SOCK_SUBMISSION_H
#define LEAT_SOCK_SUBMISSION_H

struct worker;
struct channel;

/* Takes and runs the submissions of active channels, a bounded number of each; how many. */
unsigned channels_poll(struct worker *w);

/* Runs what is left in the SQ of a channel that is being closed; nobody hears of the results. */
void channel_drain(struct worker *w, struct channel *ch);

#endif
