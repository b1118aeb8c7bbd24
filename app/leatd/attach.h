/* SPDX-License-Identifier: BSD-3-Clause */
/* The UNIX socket on which applications attach, and what they ask there (leat/abi.h). */
#ifndef LEATD_ATTACH_H
#define LEATD_ATTACH_H

#include "control.h"

struct process;

/* Makes sure that the socket's path can be used: 0 or -errno; logs what is wrong. */
int attach_prepare(struct control *c);
/* Serves it: once the file exists, applications can connect.  Likewise. */
int attach_listen(struct control *c);
/* From any thread: connection, one end of a socketpair, is served like one that was accepted; it
 * comes from this process.  0 or -errno. */
int attach_inside(struct control *c, int connection);
/* No more applications: the socket's file is gone afterwards. */
void attach_stop(struct control *c);
/* Removes the socket's directory too, if it was made here and is empty. */
void attach_free(struct control *c);

/* Drops guests and fork tokens whose time is up; milliseconds until the next, -1: none. */
int attach_expire(struct control *c);

/* An attached process's connection has something to read. */
void attach_process_ready(struct control *c, struct watch *watch, uint32_t events);

/* Answers a request; fds go along.  Closes nothing. */
int attach_reply(int connection, const struct leat_attach_reply *reply, const int *fds,
		 uint32_t fd_count);

#endif
