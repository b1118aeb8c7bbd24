/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What setsockopt and getsockopt of every protocol are made of: values in and
 * out of a struct sock_option, options that are no more than a number kept in
 * a sock (one line in a table), and SOL_SOCKET as far as it is common.
 */
#ifndef LEAT_SOCK_OPTION_H
#define LEAT_SOCK_OPTION_H

#include <leat/abi.h>
#include <rte_common.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sock;
struct worker;

/* An option on its way, in the daemon's own memory. */
struct sock_option {
	int16_t level;
	int16_t name;
	uint32_t length_bytes; /* of value; asked for: how much there is room for */
	uint8_t value[LEAT_ANSWER_BYTES];
};

/* Copies what a submission says; -EINVAL: it claims a longer value than there can be. */
int option_take(const struct leat_option *from, struct sock_option *option);
/* The other way, a long value to answer, which the application shares. */
void option_give(const struct sock_option *option, struct leat_option *to, uint8_t *answer);

/* The application's value: 0, or -EINVAL when it is shorter than bytes. */
int option_read(const struct sock_option *option, void *value, uint32_t bytes);
/* Answers; as under Linux a shorter buffer gets the beginning.  Always 0. */
int option_write(struct sock_option *option, const void *value, uint32_t bytes);

static inline int option_read_int(const struct sock_option *option, int *value)
{
	return option_read(option, value, sizeof(*value));
}

static inline int option_write_int(struct sock_option *option, int value)
{
	return option_write(option, &value, sizeof(value));
}

/* An option that is a number, kept in an unsigned field of a sock, or of what a sock refers to. */
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

/* Options in table of object, which is of the type the table was made for: 0, -EINVAL (out of
 * range), -ENOPROTOOPT (not in the table). */
int option_set_field(const struct option_field *table, void *object, int name, int value);
int option_get_field(const struct option_field *table, const void *object,
		     struct sock_option *option);

/* The SOL_SOCKET options that mean the same to every protocol: 0, -EINVAL, -ENOPROTOOPT. */
int sock_setsockopt(struct worker *w, struct sock *sk, const struct sock_option *option);
int sock_getsockopt(const struct worker *w, const struct sock *sk, struct sock_option *option);

/* The same for IPPROTO_IP, of socks that are struct inet_sock: IP_TTL, IP_MTU_DISCOVER, and IP_TOS,
 * of which the two bits of ECN are not the application's where keep_ecn (RFC 3168 section 6.1:
 * TCP's). */
int inet_setsockopt(struct sock *sk, const struct sock_option *option, bool keep_ecn);
int inet_getsockopt(const struct sock *sk, struct sock_option *option);

#endif
