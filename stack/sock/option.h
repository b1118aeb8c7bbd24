/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What setsockopt and getsockopt of every protocol are made of: values in and
 * out of a struct leat_option, options that are no more than a number kept in
 * a sock (one line in a table), and SOL_SOCKET as far as it is common.  That
 * length_bytes is no more than value holds was checked with the submission.
 */
#ifndef LEAT_SOCK_OPTION_H
#define LEAT_SOCK_OPTION_H

#include <leat/abi.h>
#include <rte_common.h>
#include <stddef.h>
#include <stdint.h>

struct sock;
struct worker;

/* The application's value: 0, or -EINVAL when it is shorter than bytes. */
int option_read(const struct leat_option *option, void *value, uint32_t bytes);
/* Answers; as under Linux a shorter buffer gets the beginning.  Always 0. */
int option_write(struct leat_option *option, const void *value, uint32_t bytes);

static inline int option_read_int(const struct leat_option *option, int *value)
{
	return option_read(option, value, sizeof(*value));
}

static inline int option_write_int(struct leat_option *option, int value)
{
	return option_write(option, &value, sizeof(value));
}

/* An option that is a number, kept in an unsigned field of a sock. */
struct option_field {
	int name;
	uint32_t offset;
	uint32_t bytes; /* of the field: 1, 2 or 4; 0 ends a table */
	int min, max; /* what it may be set to */
};

#define OPTION_FIELD(name, type, field, min, max)                                          \
	{                                                                                  \
		(name), offsetof(type, field), RTE_SIZEOF_FIELD(type, field), (min), (max) \
	}

/* Options in table of sk, which begins with the type the table was made for: 0, -EINVAL (out of
 * range), -ENOPROTOOPT (not in the table). */
int option_set_field(const struct option_field *table, struct sock *sk, int name, int value);
int option_get_field(const struct option_field *table, const struct sock *sk,
		     struct leat_option *option);

/* The SOL_SOCKET options that mean the same to every protocol: 0, -EINVAL, -ENOPROTOOPT. */
int sock_setsockopt(struct worker *w, struct sock *sk, const struct leat_option *option);
int sock_getsockopt(const struct sock *sk, struct leat_option *option);

#endif
