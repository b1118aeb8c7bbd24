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

#ifndef TCP_NOTSENT_LOWAT
#define TCP_NOTSENT_LOWAT 25 /* of linux/tcp.h */
#endif

#define KEEP_MAX_S        32767
#define KEEP_COUNT_MAX    127
#define SYN_RETRIES_MAX   127
#define DEFER_RETRIES_MAX 8 /* 255 s */

static const struct option_field tcp_fields[] = {
	OPTION_FIELD(TCP_KEEPIDLE, struct tcp_options, keep_idle_s, 1, KEEP_MAX_S),
	OPTION_FIELD(TCP_KEEPINTVL, struct tcp_options, keep_interval_s, 1, KEEP_MAX_S),
	OPTION_FIELD(TCP_KEEPCNT, struct tcp_options, keep_count, 1, KEEP_COUNT_MAX),
	OPTION_FIELD(TCP_SYNCNT, struct tcp_options, syn_retries, 1, SYN_RETRIES_MAX),
	OPTION_FIELD(TCP_USER_TIMEOUT, struct tcp_options, user_timeout_ms, 0, INT_MAX),
	{.bytes = 0},
};

/* From now on tp's options are these; 0 or -ENOBUFS. */
static int change_options(struct worker *w, struct tcp_sock *tp, const struct tcp_options *values)
{
	const struct tcp_options *o = shared_options_get(&w->tcp->options, values);

	if (o == NULL)
		return -ENOBUFS;
	shared_options_put(&w->tcp->options, tp->options);
	tp->options = o;
	return 0;
}

/* ---- SOL_SOCKET ------------------------------------------------------------- */

static int set_linger(struct worker *w, struct tcp_sock *tp, const struct sock_option *option)
{
	struct tcp_options changed = *tp->options;
	struct linger l;

	if (option_read(option, &l, sizeof(l)) != 0)
		return -EINVAL;
	changed.linger_s = l.l_onoff ? (int16_t)RTE_MIN((unsigned)l.l_linger, (unsigned)INT16_MAX)
				     : -1;
	return change_options(w, tp, &changed);
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

/* As Linux: no more than half the buffer, or the window might shut before it is reached. */
static int set_rcvlowat(struct worker *w, struct tcp_sock *tp, const struct sock_option *option)
{
	struct tcp_options changed = *tp->options;
	uint32_t limit = tcp_sock_sk(tp)->rcvbuf_bytes / 2;
	int value;

	if (option_read_int(option, &value) != 0)
		return -EINVAL;
	if (value == 0)
		value = 1;
	changed.rcvlowat_bytes = value < 0 ? limit : RTE_MIN((uint32_t)value, limit);
	return change_options(w, tp, &changed);
}

/* 32 bits, or 64; all ones: as fast as it goes. */
static int set_max_pacing_rate(struct worker *w, struct tcp_sock *tp,
			       const struct sock_option *option)
{
	struct tcp_options changed = *tp->options;
	uint64_t rate;
	uint32_t narrow;

	if (option_read(option, &rate, sizeof(rate)) != 0) {
		if (option_read(option, &narrow, sizeof(narrow)) != 0)
			return -EINVAL;
		rate = narrow != UINT32_MAX ? narrow : UINT64_MAX;
	}
	changed.max_pacing_rate = rate != UINT64_MAX ? rate : 0;
	sock_want_output(w, tcp_sock_sk(tp));
	return change_options(w, tp, &changed);
}

static int set_socket(struct worker *w, struct tcp_sock *tp, const struct sock_option *option)
{
	switch (option->name) {
	case SO_LINGER:
		return set_linger(w, tp, option);
	case SO_KEEPALIVE:
		return set_keepalive(w, tp, option);
	case SO_RCVLOWAT:
		return set_rcvlowat(w, tp, option);
	case SO_MAX_PACING_RATE:
		return set_max_pacing_rate(w, tp, option);
	default:
		return sock_setsockopt(w, tcp_sock_sk(tp), option);
	}
}

static int get_linger(const struct tcp_sock *tp, struct sock_option *option)
{
	int16_t linger_s = tp->options->linger_s;
	struct linger l = {.l_onoff = linger_s >= 0, .l_linger = RTE_MAX(linger_s, 0)};

	return option_write(option, &l, sizeof(l));
}

static int get_max_pacing_rate(const struct tcp_sock *tp, struct sock_option *option)
{
	uint64_t limit = tp->options->max_pacing_rate;
	uint64_t rate = limit != 0 ? limit : UINT64_MAX;
	uint32_t narrow = (uint32_t)RTE_MIN(rate, UINT64_C(0xffffffff));

	if (option->length_bytes >= sizeof(rate))
		return option_write(option, &rate, sizeof(rate));
	return option_write(option, &narrow, sizeof(narrow));
}

static int get_socket(const struct worker *w, struct tcp_sock *tp, struct sock_option *option)
{
	const struct sock *sk = tcp_sock_sk(tp);

	switch (option->name) {
	case SO_LINGER:
		return get_linger(tp, option);
	case SO_KEEPALIVE:
		return option_write_int(option, (sk->flags & SOCK_KEEPALIVE) != 0);
	case SO_RCVLOWAT:
		return option_write_int(option, (int)tp->options->rcvlowat_bytes);
	case SO_MAX_PACING_RATE:
		return get_max_pacing_rate(tp, option);
	default:
		return sock_getsockopt(w, sk, option);
	}
}

/* ---- IPPROTO_TCP -------------------------------------------------------------- */

static int set_nodelay(struct worker *w, struct tcp_sock *tp, int on)
{
	tp->flags &= ~(uint32_t)TCP_SOCK_NODELAY;
	if (!on)
		return 0;
	tp->flags |= TCP_SOCK_NODELAY;
	/* What Nagle holds back goes now, and once (as Linux) what a cork does. */
	if (tcp_is_corked(tp) && tcp_has_unsent(tp))
		tp->flags |= TCP_SOCK_FORCE;
	sock_want_output(w, tcp_sock_sk(tp));
	return 0;
}

static int set_cork(struct worker *w, struct tcp_sock *tp, int on)
{
	if (on) {
		tp->flags |= TCP_SOCK_CORK;
	} else {
		tp->flags &= ~(uint32_t)TCP_SOCK_CORK;
		sock_want_output(w, tcp_sock_sk(tp));
	}
	return 0;
}

/* For now, as under Linux: what is sent and received later decides anew. */
static int set_quickack(struct worker *w, struct tcp_sock *tp, int on)
{
	tp->quick_acks = on ? TCP_QUICK_ACKS : 0;
	if (on && tcp_timer_armed(tp, TCP_TIMER_DELACK))
		tcp_ack_now(w, tp);
	return 0;
}

/* Seconds are kept as the time-outs of a SYN-ACK that they take. */
static int set_defer_accept(struct tcp_sock *tp, int seconds)
{
	int period_s = RTO_INITIAL_MS / 1000, waited_s = period_s;

	tp->defer_retries = seconds > 0;
	while (tp->defer_retries != 0 && waited_s < seconds &&
	       tp->defer_retries < DEFER_RETRIES_MAX) {
		tp->defer_retries++;
		period_s *= 2;
		waited_s += period_s;
	}
	return 0;
}

static int defer_accept_s(const struct tcp_sock *tp)
{
	return ((1 << tp->defer_retries) - 1) * (int)(RTO_INITIAL_MS / 1000);
}

static int set_linger2(struct worker *w, struct tcp_sock *tp, int seconds)
{
	struct tcp_options changed = *tp->options;

	changed.linger2_s = seconds < 0 ? -1 : (int16_t)RTE_MIN(seconds, TCP_LINGER2_MAX_S);
	return change_options(w, tp, &changed);
}

static int get_linger2(const struct tcp_sock *tp, struct sock_option *option)
{
	int linger2_s = tp->options->linger2_s;
	int seconds = linger2_s != 0 ? linger2_s : (int)(TCP_FIN_TIMEOUT_MS / 1000);

	return option_write_int(option, seconds);
}

/* The window that was offered stays: it may not be taken back. */
static int set_window_clamp(struct worker *w, struct tcp_sock *tp, int bytes)
{
	struct tcp_options changed = *tp->options;

	if (bytes < 0 || (bytes == 0 && tcp_state(tp) != TCP_CLOSE))
		return -EINVAL;
	changed.window_clamp_bytes = bytes == 0 ? 0 : (uint32_t)RTE_MAX(bytes, TCP_CLAMP_MIN_BYTES);
	return change_options(w, tp, &changed);
}

/* All ones: no limit of its own.  As under Linux 0 is the default, which is none. */
static int set_notsent_lowat(struct worker *w, struct tcp_sock *tp, int bytes)
{
	bool limited = bytes != 0 && bytes != -1;
	struct tcp_options changed = *tp->options;

	changed.notsent_lowat_bytes = (uint32_t)bytes;
	if (change_options(w, tp, &changed) != 0)
		return -ENOBUFS;
	sock_set_flag(tcp_sock_sk(tp), SOCK_TX_LIMIT, limited);
	sock_raise(w, tcp_sock_sk(tp), LEAT_EV_OUT);
	return 0;
}

static int set_field(struct worker *w, struct tcp_sock *tp, int name, int value)
{
	struct tcp_options changed = *tp->options;
	int err = option_set_field(tcp_fields, &changed, name, value);

	return err == 0 ? change_options(w, tp, &changed) : err;
}

static int set_keep(struct worker *w, struct tcp_sock *tp, int name, int value)
{
	int err = set_field(w, tp, name, value);

	if (err == 0)
		tcp_timer_set_idle(w, tp);
	return err;
}

static int set_maxseg(struct worker *w, struct tcp_sock *tp, int value)
{
	struct tcp_options changed = *tp->options;

	if (value != 0 && (value < (int)TCP_MSS_MIN_BYTES || value > (int)TCP_WINDOW_MAX))
		return -EINVAL;
	changed.user_mss_bytes = (uint16_t)value;
	return change_options(w, tp, &changed);
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

static int set_fastopen(struct tcp_sock *tp, int limit)
{
	if (limit < 0 || !tcp_state_in(tp, TCP_STATE(TCP_CLOSE) | TCP_STATE(TCP_LISTEN)))
		return -EINVAL;
	tp->ics.fastopen_limit = (uint16_t)RTE_MIN(limit, SOMAXCONN);
	return 0;
}

static int set_fastopen_connect(const struct worker *w, struct tcp_sock *tp, int on)
{
	if (on < 0 || on > 1)
		return -EINVAL;
	if (!(w->config.fast_open & FAST_OPEN_CLIENT))
		return -EOPNOTSUPP;
	if (tcp_state(tp) != TCP_CLOSE)
		return -EINVAL;
	tp->flags &= ~(uint32_t)TCP_SOCK_FASTOPEN_CONNECT;
	if (on)
		tp->flags |= TCP_SOCK_FASTOPEN_CONNECT;
	return 0;
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
	case TCP_CORK:
		return set_cork(w, tp, value);
	case TCP_QUICKACK:
		return set_quickack(w, tp, value);
	case TCP_DEFER_ACCEPT:
		return set_defer_accept(tp, value);
	case TCP_LINGER2:
		return set_linger2(w, tp, value);
	case TCP_WINDOW_CLAMP:
		return set_window_clamp(w, tp, value);
	case TCP_NOTSENT_LOWAT:
		return set_notsent_lowat(w, tp, value);
	case TCP_KEEPIDLE:
	case TCP_KEEPINTVL:
	case TCP_KEEPCNT:
		return set_keep(w, tp, option->name, value);
	case TCP_MAXSEG:
		return set_maxseg(w, tp, value);
	case TCP_FASTOPEN:
		return set_fastopen(tp, value);
	case TCP_FASTOPEN_CONNECT:
		return set_fastopen_connect(w, tp, value);
	default:
		return set_field(w, tp, option->name, value);
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
	uint32_t mss_bytes = tp->mss_bytes;

	if (mss_bytes == 0)
		mss_bytes = tp->options->user_mss_bytes != 0 ? tp->options->user_mss_bytes
							     : TCP_MSS_DEFAULT_BYTES;
	return option_write_int(option, (int)mss_bytes);
}

static int get_tcp(struct worker *w, struct tcp_sock *tp, struct sock_option *option)
{
	switch (option->name) {
	case TCP_NODELAY:
		return option_write_int(option, (tp->flags & TCP_SOCK_NODELAY) != 0);
	case TCP_CORK:
		return option_write_int(option, (tp->flags & TCP_SOCK_CORK) != 0);
	case TCP_QUICKACK:
		return option_write_int(option, tp->quick_acks > 0);
	case TCP_DEFER_ACCEPT:
		return option_write_int(option, defer_accept_s(tp));
	case TCP_LINGER2:
		return get_linger2(tp, option);
	case TCP_WINDOW_CLAMP:
		return option_write_int(option, (int)tp->options->window_clamp_bytes);
	case TCP_NOTSENT_LOWAT:
		return option_write_int(option, (int)tp->options->notsent_lowat_bytes);
	case TCP_MAXSEG:
		return get_maxseg(tp, option);
	case TCP_FASTOPEN:
		return option_write_int(option, tp->ics.fastopen_limit);
	case TCP_FASTOPEN_CONNECT:
		return option_write_int(option, (tp->flags & TCP_SOCK_FASTOPEN_CONNECT) != 0);
	case TCP_INFO:
		return tcp_get_info(w, tp, option);
	case TCP_CONGESTION:
		return get_congestion(tp, option);
	default:
		return option_get_field(tcp_fields, tp->options, option);
	}
}

/* ---- IPPROTO_IP ------------------------------------------------------------------ */

static int set_ip(struct tcp_sock *tp, const struct sock_option *option)
{
	int value;

	if (option->name != IP_RECVERR)
		return inet_setsockopt(tcp_sock_sk(tp), option, true);
	if (option_read_int(option, &value) != 0)
		return -EINVAL;
	tp->ics.inet.recverr = value != 0;
	return 0;
}

static int get_ip(const struct tcp_sock *tp, struct sock_option *option)
{
	switch (option->name) {
	case IP_RECVERR:
		return option_write_int(option, tp->ics.inet.recverr);
	case IP_MTU:
		if (tp->plpmtud.mtu == 0)
			return -ENOTCONN;
		return option_write_int(option, tp->plpmtud.mtu);
	default:
		return inet_getsockopt(&tp->ics.inet.sk, option);
	}
}

int tcp_setsockopt(struct worker *w, struct sock *sk, const struct sock_option *option)
{
	switch (option->level) {
	case SOL_SOCKET:
		return set_socket(w, tcp_sk(sk), option);
	case IPPROTO_TCP:
		return set_tcp(w, tcp_sk(sk), option);
	case IPPROTO_IP:
		return set_ip(tcp_sk(sk), option);
	default:
		return -ENOPROTOOPT;
	}
}

int tcp_getsockopt(struct worker *w, struct sock *sk, struct sock_option *option)
{
	switch (option->level) {
	case SOL_SOCKET:
		return get_socket(w, tcp_sk(sk), option);
	case IPPROTO_TCP:
		return get_tcp(w, tcp_sk(sk), option);
	case IPPROTO_IP:
		return get_ip(tcp_sk(sk), option);
	default:
		return -ENOPROTOOPT;
	}
}
