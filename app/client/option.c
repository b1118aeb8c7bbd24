/* SPDX-License-Identifier: BSD-3-Clause */
/* Socket options: a few of the library's own, the rest of leatd's. */
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/time.h>

#include "socket.h"

/* ---- Get ---------------------------------------------------------------- */

static int give(void *value, socklen_t *length, const void *from, socklen_t from_length)
{
	if (*length > from_length)
		*length = from_length;
	memcpy(value, from, *length);
	return 0;
}

static int get_timeout(int64_t timeout_us, void *value, socklen_t *length)
{
	struct timeval t = {.tv_sec = timeout_us / 1000000, .tv_usec = timeout_us % 1000000};

	return give(value, length, &t, sizeof(t));
}

static int get_int(int number, void *value, socklen_t *length)
{
	return give(value, length, &number, sizeof(number));
}

/* Asks leatd, through cq; the value is cut to *length. */
static int ask_remote(struct socket *so, struct leat_cq *cq, struct leat_option option, void *value,
		      socklen_t *length)
{
	unsigned worker = sock_worker(socket_home(so));
	struct leat_sqe sqe = {
		.op = LEAT_OP_GETSOCKOPT, .handle = socket_home(so)->handle, .option = option};
	struct leat_cqe cqe;
	int r = context_call(cq, worker, &sqe, &cqe);

	if (r != 0)
		return r;
	if (cqe.option.length_bytes <= LEAT_OPTION_BYTES)
		return give(value, length, cqe.option.value, cqe.option.length_bytes);
	if (cqe.option.length_bytes > LEAT_ANSWER_BYTES)
		return -EPROTO;
	return give(value, length, cq->channel[worker].shared->answer, cqe.option.length_bytes);
}

static int get_remote(struct socket *so, int level, int name, void *value, socklen_t *length)
{
	struct leat_option option = {
		.level = (int16_t)level, .name = (int16_t)name, .length_bytes = *length};
	struct leat_cq *cq = socket_context(so);
	int r;

	if (level != option.level || name != option.name)
		return -ENOPROTOOPT;
	if (*length <= LEAT_OPTION_BYTES)
		return ask_remote(so, cq, option, value, length);
	/* One at a time: a context has one place for a long answer of each worker. */
	lock_polling(&cq->answer_lock);
	r = ask_remote(so, cq, option, value, length);
	pthread_mutex_unlock(&cq->answer_lock);
	return r;
}

/* ---- Set ---------------------------------------------------------------- */

static int set_timeout(int64_t *timeout_us, const void *value, socklen_t length)
{
	struct timeval t;

	if (length < sizeof(t))
		return -EINVAL;
	memcpy(&t, value, sizeof(t));
	if (t.tv_usec < 0 || t.tv_usec >= 1000000)
		return -EDOM;
	/* As under Linux: a negative one does not wait at all. */
	if (t.tv_sec < 0)
		*timeout_us = 1;
	else if (t.tv_sec > INT32_MAX)
		*timeout_us = 0;
	else
		*timeout_us = (int64_t)t.tv_sec * 1000000 + t.tv_usec;
	return 0;
}

static int set_cork(struct socket *so, const void *value, socklen_t length)
{
	int on;

	if (length < sizeof(on))
		return -EINVAL;
	memcpy(&on, value, sizeof(on));
	cork_set(so, on != 0);
	return 0;
}

static int set_remote(struct socket *so, int level, int name, const void *value, socklen_t length)
{
	/* Of a longer one nobody looks at more: no option that can be set is longer. */
	struct leat_option option = {
		.level = (int16_t)level,
		.name = (int16_t)name,
		.length_bytes = length < LEAT_OPTION_BYTES ? length : LEAT_OPTION_BYTES,
	};

	if (level != option.level || name != option.name)
		return -ENOPROTOOPT;
	memcpy(option.value, value, option.length_bytes);
	for (unsigned i = 0; i < socket_count(so); i++) {
		struct leat_sqe sqe = {
			.op = LEAT_OP_SETSOCKOPT, .handle = so->socks[i].handle, .option = option};
		int r = context_call(socket_context(so), sock_worker(&so->socks[i]), &sqe, NULL);

		if (r != 0)
			return r;
	}
	return socket_log_option(so, &option);
}

/* What the library has to know of the options that are leatd's. */
static void note_option(struct socket *so, int name, const void *value, socklen_t length)
{
	struct linger linger;
	int lowat, on;

	if (name == SO_LINGER && length >= sizeof(linger)) {
		memcpy(&linger, value, sizeof(linger));
		so->linger_s = linger.l_onoff && linger.l_linger > 0 ? (uint32_t)linger.l_linger
								     : 0;
	}
	if (name == SO_OOBINLINE && length >= sizeof(on)) {
		memcpy(&on, value, sizeof(on));
		if (on != 0)
			socket_set(so, SOCKET_OOBINLINE);
		else
			socket_clear(so, SOCKET_OOBINLINE);
	}
	if (name == SO_RCVLOWAT) { /* leatd may have cut it */
		length = sizeof(lowat);
		if (get_remote(so, SOL_SOCKET, name, &lowat, &length) == 0)
			socket_set_lowat(so, (uint32_t)lowat);
	}
}

int socket_set_option(struct socket *so, int level, int name, const void *value, socklen_t length)
{
	int r;

	if (level == SOL_SOCKET) {
		switch (name) {
		case SO_RCVTIMEO:
			return set_timeout(&so->receive_timeout_us, value, length);
		case SO_SNDTIMEO:
			return set_timeout(&so->send_timeout_us, value, length);
		case SO_ERROR:
		case SO_TYPE:
		case SO_DOMAIN:
		case SO_PROTOCOL:
		case SO_ACCEPTCONN:
			return -ENOPROTOOPT;
		default:
			break;
		}
	}
	if (level == IPPROTO_UDP && name == UDP_CORK && so->type == SOCK_DGRAM)
		return set_cork(so, value, length);
	r = set_remote(so, level, name, value, length);
	if (r == 0 && level == SOL_SOCKET)
		note_option(so, name, value, length);
	return r;
}

int socket_get_option(struct socket *so, int level, int name, void *value, socklen_t *length)
{
	if ((int)*length < 0)
		return -EINVAL;
	if (level == SOL_SOCKET) {
		switch (name) {
		case SO_RCVTIMEO:
			return get_timeout(so->receive_timeout_us, value, length);
		case SO_SNDTIMEO:
			return get_timeout(so->send_timeout_us, value, length);
		case SO_ERROR:
			return get_int(-socket_take_error(so), value, length);
		case SO_TYPE:
			return get_int(so->type, value, length);
		case SO_DOMAIN:
			return get_int(so->family, value, length);
		case SO_PROTOCOL:
			return get_int(so->protocol, value, length);
		case SO_ACCEPTCONN:
			return get_int(socket_has(so, SOCKET_LISTENING), value, length);
		default:
			break;
		}
	}
	if (level == IPPROTO_UDP && name == UDP_CORK && so->type == SOCK_DGRAM)
		return get_int(socket_has(so, SOCKET_CORK), value, length);
	return get_remote(so, level, name, value, length);
}
