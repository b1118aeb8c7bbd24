/* SPDX-License-Identifier: BSD-3-Clause */
/* setsockopt and getsockopt: Linux's names and units. SO_ERROR is answered above. */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tcp/segment.h"
#include "tcp/tcp_sock.h"

#define BUFFER_MIN_BYTES 2304 /* Linux's least SO_RCVBUF */
#define KEEP_MAX_S       32767
#define KEEP_COUNT_MAX   127

static int get_int(const struct leat_option *option, int *value)
{
	if (option->length_bytes < sizeof(*value))
		return -EINVAL;
	memcpy(value, option->value, sizeof(*value));
	return 0;
}

static int put_value(struct leat_option *option, const void *value, uint32_t bytes)
{
	/* As under Linux: a shorter buffer gets the beginning. */
	option->length_bytes = RTE_MIN(option->length_bytes, bytes);
	memcpy(option->value, value, option->length_bytes);
	return 0;
}

static int put_int(struct leat_option *option, int value)
{
	return put_value(option, &value, sizeof(value));
}

static void set_sock_flag(struct sock *sk, uint32_t flag, int on)
{
	sk->flags = on ? sk->flags | flag : sk->flags & ~flag;
}

static uint32_t buffer_bytes(int value, uint32_t max_bytes)
{
	if (value < BUFFER_MIN_BYTES)
		return BUFFER_MIN_BYTES;
	return RTE_MIN((uint32_t)value, max_bytes);
}

/* ---- SOL_SOCKET ------------------------------------------------------------- */

static int set_linger(struct tcp_sock *tp, const struct leat_option *option)
{
	struct linger l;

	if (option->length_bytes < sizeof(l))
		return -EINVAL;
	memcpy(&l, option->value, sizeof(l));
	tp->linger_s = l.l_onoff ? (int16_t)RTE_MIN((unsigned)l.l_linger, (unsigned)INT16_MAX) : -1;
	return 0;
}

static int set_socket(struct worker *w, struct tcp_sock *tp, const struct leat_option *option)
{
	struct sock *sk = tcp_sock_sk(tp);
	int value;

	if (option->name == SO_LINGER)
		return set_linger(tp, option);
	if (get_int(option, &value) != 0)
		return -EINVAL;
	switch (option->name) {
	case SO_REUSEADDR:
		set_sock_flag(sk, SOCK_REUSEADDR, value);
		return 0;
	case SO_REUSEPORT:
		set_sock_flag(sk, SOCK_REUSEPORT, value);
		return 0;
	case SO_KEEPALIVE:
		set_sock_flag(sk, SOCK_KEEPALIVE, value);
		tcp_timer_set_idle(w, tp);
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

static int get_socket(struct tcp_sock *tp, struct leat_option *option)
{
	const struct sock *sk = tcp_sock_sk(tp);
	struct linger l = {.l_onoff = tp->linger_s >= 0, .l_linger = RTE_MAX(tp->linger_s, 0)};

	switch (option->name) {
	case SO_REUSEADDR:
		return put_int(option, (sk->flags & SOCK_REUSEADDR) != 0);
	case SO_REUSEPORT:
		return put_int(option, (sk->flags & SOCK_REUSEPORT) != 0);
	case SO_KEEPALIVE:
		return put_int(option, (sk->flags & SOCK_KEEPALIVE) != 0);
	case SO_RCVBUF:
		return put_int(option, (int)sk->rcvbuf_bytes);
	case SO_SNDBUF:
		return put_int(option, (int)sk->sndbuf_bytes);
	case SO_LINGER:
		return put_value(option, &l, sizeof(l));
	case SO_TYPE:
		return put_int(option, SOCK_STREAM);
	case SO_PROTOCOL:
		return put_int(option, IPPROTO_TCP);
	case SO_DOMAIN:
		return put_int(option, sk->family);
	case SO_ACCEPTCONN:
		return put_int(option, sk->state == TCP_LISTEN);
	default:
		return -ENOPROTOOPT;
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
	if (value < 1 || value > (name == TCP_KEEPCNT ? KEEP_COUNT_MAX : KEEP_MAX_S))
		return -EINVAL;
	if (name == TCP_KEEPIDLE)
		tp->keep_idle_s = (uint16_t)value;
	else if (name == TCP_KEEPINTVL)
		tp->keep_interval_s = (uint16_t)value;
	else
		tp->keep_count = (uint8_t)value;
	tcp_timer_set_idle(w, tp);
	return 0;
}

static int set_maxseg(struct tcp_sock *tp, int value)
{
	if (value != 0 && (value < (int)TCP_MSS_MIN_BYTES || value > (int)TCP_WINDOW_MAX))
		return -EINVAL;
	tp->user_mss_bytes = (uint16_t)value;
	return 0;
}

static int set_tcp(struct worker *w, struct tcp_sock *tp, const struct leat_option *option)
{
	int value;

	if (get_int(option, &value) != 0)
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
	case TCP_USER_TIMEOUT:
		if (value < 0)
			return -EINVAL;
		tp->user_timeout_ms = (uint32_t)value;
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

/* The first 24 bytes of Linux's struct tcp_info, which is what an option holds. */
static int get_info(struct tcp_sock *tp, struct leat_option *option)
{
	static const uint8_t ca_state[] = {
		[RECOVERY_NONE] = TCP_CA_Open,
		[RECOVERY_ECN] = TCP_CA_CWR,
		[RECOVERY_FAST] = TCP_CA_Recovery,
		[RECOVERY_TIMEOUT] = TCP_CA_Loss,
	};
	struct tcp_info info = {
		.tcpi_state = tcp_state(tp),
		.tcpi_ca_state = ca_state[tp->recovery],
		.tcpi_retransmits = tp->backoff,
		.tcpi_probes = tp->probes,
		.tcpi_backoff = tp->backoff,
		.tcpi_options = (tp->flags & TCP_SOCK_TIMESTAMPS ? TCPI_OPT_TIMESTAMPS : 0) |
				(tcp_has_sack(tp) ? TCPI_OPT_SACK : 0) |
				(tp->snd_scale | tp->rcv_scale ? TCPI_OPT_WSCALE : 0),
		.tcpi_snd_wscale = tp->snd_scale & 15,
		.tcpi_rcv_wscale = tp->rcv_scale & 15,
		.tcpi_rto = rtt_rto_ms(&tp->rtt) * 1000,
		.tcpi_ato = TCP_DELACK_MS * 1000,
		.tcpi_snd_mss = tp->congestion.mss_bytes,
		.tcpi_rcv_mss = tp->rcv_mss_bytes,
	};

	return put_value(option, &info, sizeof(option->value));
}

static int get_tcp(struct tcp_sock *tp, struct leat_option *option)
{
	uint32_t mss_bytes = tp->congestion.mss_bytes;

	switch (option->name) {
	case TCP_NODELAY:
		return put_int(option, (tp->flags & TCP_SOCK_NODELAY) != 0);
	case TCP_KEEPIDLE:
		return put_int(option, tp->keep_idle_s);
	case TCP_KEEPINTVL:
		return put_int(option, tp->keep_interval_s);
	case TCP_KEEPCNT:
		return put_int(option, tp->keep_count);
	case TCP_USER_TIMEOUT:
		return put_int(option, (int)tp->user_timeout_ms);
	case TCP_MAXSEG:
		if (mss_bytes == 0)
			mss_bytes = tp->user_mss_bytes != 0 ? tp->user_mss_bytes
							    : TCP_MSS_DEFAULT_BYTES;
		return put_int(option, (int)mss_bytes);
	case TCP_INFO:
		return get_info(tp, option);
	default:
		return -ENOPROTOOPT;
	}
}

int tcp_setsockopt(struct worker *w, struct sock *sk, const struct leat_option *option)
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

int tcp_getsockopt(struct worker *w, struct sock *sk, struct leat_option *option)
{
	(void)w;
	switch (option->level) {
	case SOL_SOCKET:
		return get_socket(tcp_sk(sk), option);
	case IPPROTO_TCP:
		return get_tcp(tcp_sk(sk), option);
	default:
		return -ENOPROTOOPT;
	}
}
