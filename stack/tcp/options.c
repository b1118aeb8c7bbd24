/* SPDX-License-Identifier: BSD-3-Clause */
/* setsockopt and getsockopt: Linux's names and units. SO_ERROR is answered above. */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "sock/option.h"
#include "tcp/info.h"
#include "tcp/segment.h"
#include "tcp/tcp_sock.h"

#define KEEP_MAX_S     32767
#define KEEP_COUNT_MAX 127

static const struct option_field tcp_fields[] = {
	OPTION_FIELD(TCP_KEEPIDLE, struct tcp_sock, keep_idle_s, 1, KEEP_MAX_S),
	OPTION_FIELD(TCP_KEEPINTVL, struct tcp_sock, keep_interval_s, 1, KEEP_MAX_S),
	OPTION_FIELD(TCP_KEEPCNT, struct tcp_sock, keep_count, 1, KEEP_COUNT_MAX),
	OPTION_FIELD(TCP_USER_TIMEOUT, struct tcp_sock, user_timeout_ms, 0, INT_MAX),
	{.bytes = 0},
};

/* ---- SOL_SOCKET ------------------------------------------------------------- */

static int set_linger(struct tcp_sock *tp, const struct sock_option *option)
{
	struct linger l;

	if (option_read(option, &l, sizeof(l)) != 0)
		return -EINVAL;
	tp->linger_s = l.l_onoff ? (int16_t)RTE_MIN((unsigned)l.l_linger, (unsigned)INT16_MAX) : -1;
	return 0;
}

static int set_keepalive(struct worker *w, struct tcp_sock *tp, const struct sock_option *option)
{
	int value;

	if (option_read_int(option, &value) != 0)
		return -EINVAL;
	sock_set_flag(tcp_sock_sk(tp), SOCK_KEEPALIVE, value != 0);
	tcp_timer_set_idle(w, tp);
	return 0;
}

static int set_socket(struct worker *w, struct tcp_sock *tp, const struct sock_option *option)
{
	switch (option->name) {
	case SO_LINGER:
		return set_linger(tp, option);
	case SO_KEEPALIVE:
		return set_keepalive(w, tp, option);
	default:
		return sock_setsockopt(w, tcp_sock_sk(tp), option);
	}
}

static int get_linger(const struct tcp_sock *tp, struct sock_option *option)
{
	struct linger l = {.l_onoff = tp->linger_s >= 0, .l_linger = RTE_MAX(tp->linger_s, 0)};

	return option_write(option, &l, sizeof(l));
}

static int get_socket(struct tcp_sock *tp, struct sock_option *option)
{
	const struct sock *sk = tcp_sock_sk(tp);

	switch (option->name) {
	case SO_LINGER:
		return get_linger(tp, option);
	case SO_KEEPALIVE:
		return option_write_int(option, (sk->flags & SOCK_KEEPALIVE) != 0);
	default:
		return sock_getsockopt(sk, option);
	}
}

/* ---- IPPROTO_TCP -------------------------------------------------------------- */

static int set_nodelay(struct worker *w, struct tcp_sock *tp, int on)
{
	tp->flags &= ~(uint32_t)TCP_SOCK_NODELAY;
	if (on) {
		tp->flags |= TCP_SOCK_NODELAY;
		sock_want_output(w, tcp_sock_sk(tp)); /* what Nagle holds back goes now */
	}
	return 0;
}

static int set_keep(struct worker *w, struct tcp_sock *tp, int name, int value)
{
	int err = option_set_field(tcp_fields, tcp_sock_sk(tp), name, value);

	if (err == 0)
		tcp_timer_set_idle(w, tp);
	return err;
}

static int set_maxseg(struct tcp_sock *tp, int value)
{
	if (value != 0 && (value < (int)TCP_MSS_MIN_BYTES || value > (int)TCP_WINDOW_MAX))
		return -EINVAL;
	tp->user_mss_bytes = (uint16_t)value;
	return 0;
}

/* As under Linux a name may do without its terminating 0. */
static int set_congestion(struct worker *w, struct tcp_sock *tp, const struct sock_option *option)
{
	char name[CONGESTION_NAME_MAX] = "";
	const struct congestion_ops *ops;

	if (option->length_bytes == 0)
		return -EINVAL;
	memcpy(name, option->value, RTE_MIN(option->length_bytes, sizeof(name) - 1));
	ops = congestion_find(name);
	return ops != NULL ? tcp_set_congestion(w, tp, ops) : -ENOENT;
}

static int set_tcp(struct worker *w, struct tcp_sock *tp, const struct sock_option *option)
{
	int value;

	if (option->name == TCP_CONGESTION)
		return set_congestion(w, tp, option);
	if (option_read_int(option, &value) != 0)
		return -EINVAL;
	switch (option->name) {
	case TCP_NODELAY:
		return set_nodelay(w, tp, value);
	case TCP_KEEPIDLE:
	case TCP_KEEPINTVL:
	case TCP_KEEPCNT:
		return set_keep(w, tp, option->name, value);
	case TCP_MAXSEG:
		return set_maxseg(tp, value);
	default:
		return option_set_field(tcp_fields, tcp_sock_sk(tp), option->name, value);
	}
}

static int get_congestion(const struct tcp_sock *tp, struct sock_option *option)
{
	char name[CONGESTION_NAME_MAX] = "";

	snprintf(name, sizeof(name), "%s", tp->congestion_ops->name);
	return option_write(option, name, sizeof(name));
}

static int get_maxseg(const struct tcp_sock *tp, struct sock_option *option)
{
	uint32_t mss_bytes = tp->congestion.mss_bytes;

	if (mss_bytes == 0)
		mss_bytes = tp->user_mss_bytes != 0 ? tp->user_mss_bytes : TCP_MSS_DEFAULT_BYTES;
	return option_write_int(option, (int)mss_bytes);
}

static int get_tcp(struct worker *w, struct tcp_sock *tp, struct sock_option *option)
{
	switch (option->name) {
	case TCP_NODELAY:
		return option_write_int(option, (tp->flags & TCP_SOCK_NODELAY) != 0);
	case TCP_MAXSEG:
		return get_maxseg(tp, option);
	case TCP_INFO:
		return tcp_get_info(w, tp, option);
	case TCP_CONGESTION:
		return get_congestion(tp, option);
	default:
		return option_get_field(tcp_fields, tcp_sock_sk(tp), option);
	}
}

int tcp_setsockopt(struct worker *w, struct sock *sk, const struct sock_option *option)
{
	switch (option->level) {
	case SOL_SOCKET:
		return set_socket(w, tcp_sk(sk), option);
	case IPPROTO_TCP:
		return set_tcp(w, tcp_sk(sk), option);
	default:
		return -ENOPROTOOPT;
	}
}

int tcp_getsockopt(struct worker *w, struct sock *sk, struct sock_option *option)
{
	switch (option->level) {
	case SOL_SOCKET:
		return get_socket(tcp_sk(sk), option);
	case IPPROTO_TCP:
		return get_tcp(w, tcp_sk(sk), option);
	default:
		return -ENOPROTOOPT;
	}
}
