/* SPDX-License-Identifier: BSD-3-Clause */
/* Values of the configuration file, as text. */
#ifndef LEATD_CONFIG_PARSE_H
#define LEATD_CONFIG_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A number; bytes: K, M or G may follow.  0, -EINVAL, -ERANGE. */
int parse_u64(const char *text, bool bytes, uint64_t *out);
/* A number or a name; group: of a group.  0, -ERANGE, -ENOENT. */
int parse_id(const char *text, bool group, uint32_t *id);

/* These say in error what is wrong and what would be right.  0 or -EINVAL; target is ... */
int parse_impair(const char *text, void *target, char *error,
		 size_t error_bytes); /* impair_config */
/* ... const struct congestion_ops * */
int parse_congestion(const char *text, void *target, char *error, size_t error_bytes);
/* ... uint8_t, enum ecn_mode */
int parse_ecn(const char *text, void *target, char *error, size_t error_bytes);
/* ... uint8_t, enum mtu_probing */
int parse_mtu_probing(const char *text, void *target, char *error, size_t error_bytes);
/* ... uint8_t, enum fast_open_mode */
int parse_fast_open(const char *text, void *target, char *error, size_t error_bytes);

#endif
