/* SPDX-License-Identifier: BSD-3-Clause */
/* Socket options of UDP socks, with Linux's meanings. */
#include <errno.h>
#include <limits.h>
#include <sys/socket.h>

#include "core/worker.h"
#include "net/ipv4.h"
#include "sock/option.h"
#include "udp/udp.h"

static int set_broadcast(struct udp_sock *udp, const struct sock_option *option)
{
	int value;

	if (option_read_int(option, &value) != 0)
		return -EINVAL;
	udp->broadcast = value != 0;
	return 0;
}

int udp_setsockopt(struct worker *w, struct sock *sk, const struct sock_option *option)
{
	switch (option->level) {
	case SOL_SOCKET:
		if (option->name == SO_BROADCAST)
			return set_broadcast(udp_sock(sk), option);
		return sock_setsockopt(w, sk, option);
	case IPPROTO_IP:
		return inet_setsockopt(sk, option, false);
	default:
		return -ENOPROTOOPT;
	}
}

/* SO_ERROR: the pending error, which is fetched by this. */
static int fetch_error(struct worker *w, struct sock *sk)
{
	int error = sk->error;

	sk->error = 0;
	sk->state_events &= ~LEAT_EV_ERR;
	if (sk->ring.shared != NULL)
		sk->ring.shared->error = 0;
	sock_raise(w, sk, 0);
	return error;
}

static int get_socket(struct worker *w, struct sock *sk, struct sock_option *option)
{
	switch (option->name) {
	case SO_BROADCAST:
		return option_write_int(option, udp_sock(sk)->broadcast);
	case SO_ERROR:
		return option_write_int(option, fetch_error(w, sk));
	default:
		return sock_getsockopt(w, sk, option);
	}
}

static int get_ip(struct sock *sk, struct sock_option *option)
{
	const struct udp_sock *udp = udp_sock(sk);

	if (option->name != IP_MTU)
		return inet_getsockopt(sk, option);
	if (!(sk->flags & SOCK_HASHED))
		return -ENOTCONN;
	return option_write_int(option, udp->inet.dst.mtu);
}

int udp_getsockopt(struct worker *w, struct sock *sk, struct sock_option *option)
{
	switch (option->level) {
	case SOL_SOCKET:
		return get_socket(w, sk, option);
	case IPPROTO_IP:
		return get_ip(sk, option);
	default:
		return -ENOPROTOOPT;
	}
}
