/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions to a running leatd (app/leatd/telemetry.h says which). */
#ifndef LEAT_TELEMETRY_H
#define LEAT_TELEMETRY_H

#include "json.h"

/* Connects to the leatd that serves the socket at path; ends the program when there is none. */
void telemetry_open(const char *path);

/* The answer to a command such as "/leat/stat,0"; ends the program when there is none.  Good until
 * the next call. */
__attribute__((format(printf, 1, 2))) const struct json *telemetry_ask(const char *format, ...);

#endif
