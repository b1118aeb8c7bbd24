/* SPDX-License-Identifier: BSD-3-Clause */
#include "sock/option.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "core/worker.h"
#include "net/ipv4.h"
#include "sock/sock.h"

#define BUFFER_MIN_BYTES 2304 /* Linux's least SO_RCVBUF */

/* ---- between submissions and protocols ---- */

int option_take(const struct leat_option *from, struct sock_option *option)
{
	option->level = from->level;
	option->name = from->name;
	option->length_bytes = from->length_bytes;
	if (from->length_bytes > sizeof(from->value))
		return -EINVAL;
	memcpy(option->value, from->value, sizeof(from->value));
	return 0;
}

void option_give(const struct sock_option *option, struct leat_option *to, uint8_t *answer)
{
	uint8_t *value = option->length_bytes > sizeof(to->value) ? answer : to->value;

	to->level = option->level;
	to->name = option->name;
	to->length_bytes = option->length_bytes;
	memcpy(value, option->value, option->length_bytes);
}

int option_read(const struct sock_option *option, void *value, uint32_t bytes)
{
	if (option->length_bytes < bytes)
		return -EINVAL;
	memcpy(value, option->value, bytes);
	return 0;
}

int option_write(struct sock_option *option, const void *value, uint32_t bytes)
{
	option->length_bytes = RTE_MIN(option->length_bytes, bytes);
	memcpy(option->value, value, option->length_bytes);
	return 0;
}

/* ---- numbers in fields ---- */

static const struct option_field *find_field(const struct option_field *table, int name)
{
	const struct option_field *f;

	for (f = table; f->bytes != 0; f++)
		if (f->name == name)
			return f;
	return NULL;
}

int option_set_field(const struct option_field *table, void *object, int name, int value)
{
	const struct option_field *f = find_field(table, name);
	void *at;

	if (f == NULL)
		return -ENOPROTOOPT;
	if (value < f->min || value > f->max)
		return -EINVAL;
	at = RTE_PTR_ADD(object, f->offset);
	if (f->bytes == sizeof(uint8_t))
		*(uint8_t *)at = (uint8_t)value;
	else if (f->bytes == sizeof(uint16_t))
		*(uint16_t *)at = (uint16_t)value;
	else
		*(uint32_t *)at = (uint32_t)value;
	return 0;
}

int option_get_field(const struct option_field *table, const void *object,
		     struct sock_option *option)
{
	const struct option_field *f = find_field(table, option->name);
	const void *at;

	if (f == NULL)
		return -ENOPROTOOPT;
	at = RTE_PTR_ADD(object, f->offset);
	if (f->bytes == sizeof(uint8_t))
		return option_write_int(option, *(const uint8_t *)at);
	if (f->bytes == sizeof(uint16_t))
		return option_write_int(option, *(const uint16_t *)at);
	return option_write_int(option, (int)*(const uint32_t *)at);
}

/* ---- SOL_SOCKET ---- */

/*
 * Linux keeps twice what was asked for, as its bookkeeping counts too, and
 * answers with that (socket(7)); programs expect both.  Records of datagrams
 * have bookkeeping here, too, so their rings hold twice as much.  A stream's
 * ring holds nothing but its bytes: as many as were asked for, which is what
 * Linux makes of it as well, and only the answer is doubled.
 */
static int buffer_answer(const struct sock *sk, uint32_t bytes)
{
	return (int)(sk->proto->type == SOCK_DGRAM ? bytes : RTE_MIN(bytes, INT32_MAX / 2u) * 2);
}

static uint32_t buffer_bytes(const struct sock *sk, int value, uint32_t max_bytes)
{
	int64_t bytes = sk->proto->type == SOCK_DGRAM ? 2 * (int64_t)value : value;

	if (bytes < BUFFER_MIN_BYTES)
		return BUFFER_MIN_BYTES;
	return (uint32_t)RTE_MIN(bytes, (int64_t)max_bytes);
}

int sock_setsockopt(struct worker *w, struct sock *sk, const struct sock_option *option)
{
	int value;

	if (option_read_int(option, &value) != 0)
		return -EINVAL;
	switch (option->name) {
	case SO_REUSEADDR:
		sock_set_flag(sk, SOCK_REUSEADDR, value != 0);
		return 0;
	case SO_REUSEPORT:
		sock_set_flag(sk, SOCK_REUSEPORT, value != 0);
		return 0;
	case SO_OOBINLINE:
		sock_set_flag(sk, SOCK_OOBINLINE, value != 0);
		return 0;
	case SO_RCVBUF:
		sk->rcvbuf_bytes = buffer_bytes(sk, value, w->config.rcvbuf_max_bytes);
		sk->flags |= SOCK_RCVBUF_SET;
		return 0;
	case SO_SNDBUF:
		sk->sndbuf_bytes = buffer_bytes(sk, value, w->config.sndbuf_max_bytes);
		sk->flags |= SOCK_SNDBUF_SET;
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

int sock_getsockopt(const struct worker *w, const struct sock *sk, struct sock_option *option)
{
	switch (option->name) {
	case SO_REUSEADDR:
		return option_write_int(option, (sk->flags & SOCK_REUSEADDR) != 0);
	case SO_REUSEPORT:
		return option_write_int(option, (sk->flags & SOCK_REUSEPORT) != 0);
	case SO_OOBINLINE:
		return option_write_int(option, (sk->flags & SOCK_OOBINLINE) != 0);
	case SO_INCOMING_CPU:
		return option_write_int(option, w->config.id);
	case SO_SNDLOWAT:
		return option_write_int(option, 1);
	case SO_RCVBUF:
		return option_write_int(option, buffer_answer(sk, sk->rcvbuf_bytes));
	case SO_SNDBUF:
		return option_write_int(option, buffer_answer(sk, sk->sndbuf_bytes));
	case SO_TYPE:
		return option_write_int(option, sk->proto->type);
	case SO_DOMAIN:
		return option_write_int(option, sk->family);
	case SO_PROTOCOL:
		return option_write_int(option, sk->proto->protocol);
	case SO_ACCEPTCONN:
		return option_write_int(option, sk->state == TCP_LISTEN);
	default:
		return -ENOPROTOOPT;
	}
}

/* ---- IPPROTO_IP ------------------------------------------------------------------ */

static int set_ttl(struct inet_sock *inet, int value)
{
	if (value != -1 && (value < 1 || value > UINT8_MAX))
		return -EINVAL;
	inet->ttl = value == -1 ? IP_TTL_DEFAULT : (uint8_t)value;
	return 0;
}

static int set_mtu_discover(struct inet_sock *inet, int value)
{
	if (value < IP_PMTUDISC_DONT || value > IP_PMTUDISC_PROBE)
		return -EINVAL;
	inet->mtu_discover = (uint8_t)value;
	return 0;
}

int inet_setsockopt(struct sock *sk, const struct sock_option *option, bool keep_ecn)
{
	struct inet_sock *inet = container_of(sk, struct inet_sock, sk);
	int value;

	if (option_read_int(option, &value) != 0)
		return -EINVAL;
	switch (option->name) {
	case IP_TTL:
		return set_ttl(inet, value);
	case IP_TOS: /* as Linux, the low byte of whatever comes */
		inet->traffic_class = (uint8_t)(keep_ecn ? value & (int)~ECN_MASK : value);
		return 0;
	case IP_MTU_DISCOVER:
		return set_mtu_discover(inet, value);
	default:
		return -ENOPROTOOPT;
	}
}

int inet_getsockopt(const struct sock *sk, struct sock_option *option)
{
	const struct inet_sock *inet = container_of(sk, const struct inet_sock, sk);

	switch (option->name) {
	case IP_TTL:
		return option_write_int(option, inet->ttl);
	case IP_TOS:
		return option_write_int(option, inet->traffic_class);
	case IP_MTU_DISCOVER:
		return option_write_int(option, inet->mtu_discover);
	default:
		return -ENOPROTOOPT;
	}
}
