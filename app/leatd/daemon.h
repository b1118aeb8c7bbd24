/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stack from its arguments to its end, whatever runs the workers: leatd
 * (main.c), or a program that has it inside (app/inline).
 *
 * Each function says on standard error or in the log what is wrong.
 */
#ifndef LEATD_DAEMON_H
#define LEATD_DAEMON_H

#include "leatd.h"

/* Reads the configuration at path (kept by the caller) before EAL starts with argv and touches any
 * device.  0 or -errno. */
int daemon_init(struct leatd *d, const char *path, int argc, char **argv);

/* Workers, one for each lcore, on their ports, and room for applications.  0, or -errno and all is
 * closed again. */
int daemon_open(struct leatd *d);

/* The control thread: applications may come.  It ends, and sets each d->worker_stop on its worker's
 * thread, once stop_fd (kept by the caller) is readable.  0 or -errno. */
int daemon_start(struct leatd *d, int stop_fd);

/* After the workers have stopped and the control thread was joined. */
void daemon_close(struct leatd *d);

#endif
