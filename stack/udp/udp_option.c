/* SPDX-License-Identifier: BSD-3-Clause */
/* Socket options of UDP socks, with Linux's meanings. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "core/worker.h"
#include "net/ipv4.h"
#include "udp/udp.h"

#define BUFFER_MIN_BYTES 2304u /* of SO_RCVBUF and SO_SNDBUF */

static void sock_set_flag(struct sock *sk, enum sock_flag flag, bool on)
{
	sk->flags = on ? sk->flags | flag : sk->flags & ~(uint32_t)flag;
}

/* Twice what was asked for, as bookkeeping counts too (socket(7)). */
static uint32_t buffer_bytes(int value, uint32_t max_bytes)
{
	uint32_t wanted = value < 0 ? 0 : (uint32_t)value;

	wanted = RTE_MIN(wanted, max_bytes / 2) * 2;
	return RTE_MAX(wanted, BUFFER_MIN_BYTES);
}

static int udp_set_socket(struct worker *w, struct sock *sk, int name, int value)
{
	switch (name) {
	case SO_REUSEADDR:
		sock_set_flag(sk, SOCK_REUSEADDR, value != 0);
		return 0;
	case SO_REUSEPORT:
		sock_set_flag(sk, SOCK_REUSEPORT, value != 0);
		return 0;
	case SO_BROADCAST:
		udp_sock(sk)->broadcast = value != 0;
		return 0;
	case SO_RCVBUF:
		sk->rcvbuf_bytes = buffer_bytes(value, w->config.rcvbuf_max_bytes);
		return 0;
	case SO_SNDBUF:
		sk->sndbuf_bytes = buffer_bytes(value, w->config.sndbuf_max_bytes);
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

static int udp_set_ip(struct sock *sk, int name, int value)
{
	struct udp_sock *udp = udp_sock(sk);

	switch (name) {
	case IP_TTL:
		if (value != -1 && (value < 1 || value > UINT8_MAX))
			return -EINVAL;
		udp->inet.ttl = value == -1 ? IP_TTL_DEFAULT : value;
		return 0;
	case IP_TOS:
		udp->inet.traffic_class = value;
		return 0;
	case IP_MTU_DISCOVER:
		if (value < IP_PMTUDISC_DONT || value > IP_PMTUDISC_PROBE)
			return -EINVAL;
		udp->mtu_discover = value;
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

int udp_setsockopt(struct worker *w, struct sock *sk, const struct leat_option *option)
{
	int value;

	if (option->length_bytes < sizeof(value))
		return -EINVAL;
	memcpy(&value, option->value, sizeof(value));
	if (option->level == SOL_SOCKET)
		return udp_set_socket(w, sk, option->name, value);
	if (option->level == IPPROTO_IP)
		return udp_set_ip(sk, option->name, value);
	return -ENOPROTOOPT;
}

/* SO_ERROR: the pending error, which is fetched by this. */
static int sock_fetch_error(struct worker *w, struct sock *sk)
{
	int error = sk->error;

	sk->error = 0;
	sk->state_events &= ~LEAT_EV_ERR;
	if (sk->ring.shared != NULL)
		sk->ring.shared->error = 0;
	sock_raise(w, sk, 0);
	return error;
}

static int udp_get_socket(struct worker *w, struct sock *sk, int name, int *value)
{
	switch (name) {
	case SO_REUSEADDR:
		*value = !!(sk->flags & SOCK_REUSEADDR);
		return 0;
	case SO_REUSEPORT:
		*value = !!(sk->flags & SOCK_REUSEPORT);
		return 0;
	case SO_BROADCAST:
		*value = udp_sock(sk)->broadcast;
		return 0;
	case SO_RCVBUF:
		*value = sk->rcvbuf_bytes;
		return 0;
	case SO_SNDBUF:
		*value = sk->sndbuf_bytes;
		return 0;
	case SO_ERROR:
		*value = sock_fetch_error(w, sk);
		return 0;
	case SO_TYPE:
		*value = SOCK_DGRAM;
		return 0;
	case SO_DOMAIN:
		*value = sk->family;
		return 0;
	case SO_PROTOCOL:
		*value = IPPROTO_UDP;
		return 0;
	case SO_ACCEPTCONN:
		*value = 0;
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

static int udp_get_ip(const struct sock *sk, int name, int *value)
{
	const struct udp_sock *udp = (const struct udp_sock *)sk;

	switch (name) {
	case IP_TTL:
		*value = udp->inet.ttl;
		return 0;
	case IP_TOS:
		*value = udp->inet.traffic_class;
		return 0;
	case IP_MTU_DISCOVER:
		*value = udp->mtu_discover;
		return 0;
	case IP_MTU:
		if (!(sk->flags & SOCK_HASHED))
			return -ENOTCONN;
		*value = udp->inet.dst.mtu;
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

int udp_getsockopt(struct worker *w, struct sock *sk, struct leat_option *option)
{
	int value = 0;
	int err = -ENOPROTOOPT;

	if (option->level == SOL_SOCKET)
		err = udp_get_socket(w, sk, option->name, &value);
	else if (option->level == IPPROTO_IP)
		err = udp_get_ip(sk, option->name, &value);
	if (err != 0)
		return err;
	memcpy(option->value, &value, sizeof(value));
	option->length_bytes = sizeof(value);
	return 0;
}
