/* SPDX-License-Identifier: BSD-3-Clause */
/* The calls of <leat/leat.h>: what they check, and which part of the library does the work. */
#include <errno.h>
#include <fcntl.h>
#include <leat/leat.h>
#include <stdarg.h>
#include <sys/ioctl.h>

#include "socket.h"

#define SOCKET_TYPE_FLAGS (SOCK_NONBLOCK | SOCK_CLOEXEC)
#define SEND_FLAGS \
	(MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE | MSG_EOR | MSG_CONFIRM | MSG_OOB | MSG_FASTOPEN)
#define RECEIVE_FLAGS                                                                          \
	(MSG_PEEK | MSG_DONTWAIT | MSG_WAITALL | MSG_TRUNC | MSG_NOSIGNAL | MSG_CMSG_CLOEXEC | \
	 MSG_OOB)

/* The socket that a call is about, held until socket_result; NULL: none, errno says why. */
static struct socket *socket_of(int fd)
{
	struct socket *so;
	int r = socket_get(fd, &so);

	if (r == 0)
		return so;
	posix_result(r);
	return NULL;
}

/* What the call returns of r, which is a result or -errno.  Lets go of the socket. */
static ssize_t socket_result(struct socket *so, ssize_t r)
{
	socket_put(so);
	return posix_result(r);
}

/* ---- Opening and closing ------------------------------------------------ */

static int socket_create(int domain, int type, int protocol)
{
	int kind = type & ~SOCKET_TYPE_FLAGS;
	struct session *s;
	struct leat_cq *cq;
	struct socket *so;
	int r;

	if (domain != AF_INET && domain != AF_INET6)
		return -EAFNOSUPPORT;
	if (kind < 0 || kind > UINT8_MAX)
		return -EINVAL;
	if (protocol < 0 || protocol > UINT8_MAX)
		return -EPROTONOSUPPORT;
	if (kind != SOCK_STREAM && kind != SOCK_DGRAM)
		return -ESOCKTNOSUPPORT;
	r = session_init(NULL, &s);
	if (r == 0)
		r = context_self(s, &cq);
	if (r != 0)
		return r;
	so = socket_alloc(s, cq, kind, type);
	if (so == NULL)
		return -ENOMEM;
	so->family = (uint8_t)domain;
	if (protocol != 0)
		so->protocol = (uint8_t)protocol;
	r = socket_open(so);
	if (r == 0)
		r = fd_install(&so->file);
	if (r < 0)
		socket_put(so);
	return r;
}

int leat_socket(int domain, int type, int protocol)
{
	return (int)posix_result(socket_create(domain, type, protocol));
}

int leat_close(int fd)
{
	struct file *f;
	int r = quick_close(fd);

	if (r == 0)
		return 0;
	r = fd_remove(fd, &f);
	if (r == 0) {
		if (f->kind == FILE_SOCKET) {
			context_touch(socket_context((struct socket *)f));
			epoll_forget((struct socket *)f);
			socket_linger((struct socket *)f);
		}
		file_put(f);
	}
	return (int)posix_result(r);
}

/* ---- Connections -------------------------------------------------------- */

static int bind_sockaddr(struct socket *so, const struct sockaddr *addr, socklen_t addrlen)
{
	struct leat_addr address;
	int r = addr_from_sockaddr(&address, addr, addrlen);

	if (r != 0)
		return r;
	return address.family == so->family ? socket_bind(so, &address) : -EAFNOSUPPORT;
}

int leat_bind(int fd, const struct sockaddr *addr, socklen_t addrlen)
{
	struct socket *so = socket_of(fd);

	return so == NULL ? -1 : (int)socket_result(so, bind_sockaddr(so, addr, addrlen));
}

int leat_listen(int fd, int backlog)
{
	struct socket *so = socket_of(fd);

	return so == NULL ? -1 : (int)socket_result(so, socket_listen(so, backlog));
}

int leat_accept4(int fd, struct sockaddr *addr, socklen_t *addrlen, int flags)
{
	struct leat_addr peer;
	struct socket *so;
	int r;

	if (flags & ~SOCKET_TYPE_FLAGS)
		return (int)posix_result(-EINVAL);
	r = quick_accept(fd, flags, &peer);
	if (r == QUICK_NOT) {
		so = socket_of(fd);
		if (so == NULL)
			return -1;
		r = socket_accept(so, flags, &peer);
		socket_put(so);
	}
	if (r >= 0)
		addr_to_sockaddr(&peer, addr, addrlen);
	return (int)posix_result(r);
}

int leat_accept(int fd, struct sockaddr *addr, socklen_t *addrlen)
{
	return leat_accept4(fd, addr, addrlen, 0);
}

static int connect_sockaddr(struct socket *so, const struct sockaddr *addr, socklen_t addrlen)
{
	struct leat_addr address;
	int r = addr_from_sockaddr(&address, addr, addrlen);

	if (r != 0)
		return r;
	if (address.family != so->family &&
	    (address.family != AF_UNSPEC || so->type == SOCK_STREAM))
		return -EAFNOSUPPORT;
	return socket_connect(so, &address);
}

int leat_connect(int fd, const struct sockaddr *addr, socklen_t addrlen)
{
	struct socket *so = socket_of(fd);

	return so == NULL ? -1 : (int)socket_result(so, connect_sockaddr(so, addr, addrlen));
}

static int socket_shutdown(struct socket *so, int how)
{
	if (how < SHUT_RD || how > SHUT_RDWR)
		return -EINVAL;
	for (unsigned i = 0; i < socket_count(so); i++) {
		struct sock *sk = &so->socks[i];
		struct leat_sqe sqe = {.op = LEAT_OP_SHUTDOWN,
				       .handle = sk->handle,
				       .value = how,
				       .offset = load_relaxed(&sk->shared->tx_tail)};
		int r = context_call(socket_context(so), sock_worker(sk), &sqe, NULL);

		if (r != 0)
			return r;
	}
	socket_set(so, how == SHUT_RD   ? SOCKET_RX_SHUT
		       : how == SHUT_WR ? SOCKET_TX_SHUT
					: SOCKET_RX_SHUT | SOCKET_TX_SHUT);
	/* Threads blocked on it see the end now. */
	for (unsigned i = 0; i < socket_count(so); i++)
		sock_event(&so->socks[i], LEAT_EV_IN | LEAT_EV_OUT);
	wait_wake(so->session, socket_contexts(so));
	return 0;
}

int leat_shutdown(int fd, int how)
{
	struct socket *so = socket_of(fd);

	return so == NULL ? -1 : (int)socket_result(so, socket_shutdown(so, how));
}

/* ---- Send --------------------------------------------------------------- */

/* MSG_FASTOPEN: connects with what is to be sent. */
static int fast_open_sockaddr(struct socket *so, const struct msghdr *msg, int flags)
{
	struct leat_addr address;
	int r = addr_from_sockaddr(&address, msg->msg_name, msg->msg_namelen);

	if (r != 0)
		return r;
	if (address.family != so->family)
		return address.family == AF_UNSPEC ? -EOPNOTSUPP : -EAFNOSUPPORT;
	return socket_fast_open(so, &address,
				!(flags & MSG_DONTWAIT) && !socket_has(so, SOCKET_NONBLOCK));
}

static ssize_t socket_send(int fd, const struct msghdr *msg, int flags)
{
	struct socket *so = socket_of(fd);
	struct transfer t;
	ssize_t r;

	if (so == NULL)
		return -1;
	r = flags & ~SEND_FLAGS ? -EOPNOTSUPP
				: transfer_init(&t, msg->msg_iov, msg->msg_iovlen, flags);
	if (r == 0 && msg->msg_name != NULL && so->type == SOCK_DGRAM) {
		r = addr_from_sockaddr(&t.addr, msg->msg_name, msg->msg_namelen);
		if (r == 0 && t.addr.family != so->family)
			r = -EAFNOSUPPORT;
	}
	if (r == 0 && flags & MSG_FASTOPEN)
		r = fast_open_sockaddr(so, msg, flags);
	if (r == 0)
		r = so->type == SOCK_STREAM ? stream_send(so, &t) : datagram_send(so, &t);
	return socket_result(so, r);
}

ssize_t leat_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return socket_send(fd, msg, flags);
}

/* The other way. */
static ssize_t send_to(int fd, const void *buf, size_t len, int flags, const struct sockaddr *addr,
		       socklen_t addrlen)
{
	struct iovec iov = {(void *)(uintptr_t)buf, len};
	struct msghdr msg = {.msg_name = (void *)(uintptr_t)addr,
			     .msg_namelen = addrlen,
			     .msg_iov = &iov,
			     .msg_iovlen = 1};

	return socket_send(fd, &msg, flags);
}

ssize_t leat_sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *addr,
		    socklen_t addrlen)
{
	ssize_t n = quick_send(fd, buf, len, flags, addr, addrlen);

	return n != QUICK_NOT ? n : send_to(fd, buf, len, flags, addr, addrlen);
}

ssize_t leat_send(int fd, const void *buf, size_t len, int flags)
{
	ssize_t n = quick_send(fd, buf, len, flags, NULL, 0);

	return n != QUICK_NOT ? n : send_to(fd, buf, len, flags, NULL, 0);
}

ssize_t leat_write(int fd, const void *buf, size_t len)
{
	return leat_send(fd, buf, len, 0);
}

ssize_t leat_writev(int fd, const struct iovec *iov, int iovcnt)
{
	struct msghdr msg = {.msg_iov = (void *)(uintptr_t)iov, .msg_iovlen = (size_t)iovcnt};
	ssize_t n = quick_send_pieces(fd, iov, iovcnt);

	if (n != QUICK_NOT)
		return n;
	return iovcnt < 0 ? posix_result(-EINVAL) : socket_send(fd, &msg, 0);
}

/* ---- Receive ------------------------------------------------------------ */

static ssize_t socket_receive(int fd, struct msghdr *msg, int flags)
{
	struct socket *so = socket_of(fd);
	struct transfer t;
	ssize_t r;

	if (so == NULL)
		return -1;
	r = flags & ~RECEIVE_FLAGS ? -EOPNOTSUPP
				   : transfer_init(&t, msg->msg_iov, msg->msg_iovlen, flags);
	if (r == 0)
		r = so->type == SOCK_STREAM ? stream_receive(so, &t) : datagram_receive(so, &t);
	if (r >= 0) {
		if (so->type == SOCK_DGRAM && msg->msg_name != NULL)
			addr_to_sockaddr(&t.addr, msg->msg_name, &msg->msg_namelen);
		else
			msg->msg_namelen = 0;
		msg->msg_flags = t.msg_flags;
		msg->msg_controllen = 0;
	}
	return socket_result(so, r);
}

ssize_t leat_recvmsg(int fd, struct msghdr *msg, int flags)
{
	return socket_receive(fd, msg, flags);
}

/* The other way. */
static ssize_t receive_from(int fd, void *buf, size_t len, int flags, struct sockaddr *addr,
			    socklen_t *addrlen)
{
	struct iovec iov = {buf, len};
	struct msghdr msg = {.msg_name = addrlen != NULL ? addr : NULL,
			     .msg_namelen = addr != NULL && addrlen != NULL ? *addrlen : 0,
			     .msg_iov = &iov,
			     .msg_iovlen = 1};
	ssize_t n = socket_receive(fd, &msg, flags);

	if (n >= 0 && addr != NULL && addrlen != NULL)
		*addrlen = msg.msg_namelen;
	return n;
}

ssize_t leat_recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *addr,
		      socklen_t *addrlen)
{
	struct leat_addr from;
	ssize_t n = quick_receive(fd, buf, len, flags, &from);

	if (n == QUICK_NOT)
		return receive_from(fd, buf, len, flags, addr, addrlen);
	if (n >= 0)
		addr_to_sockaddr(&from, addr, addrlen);
	return n;
}

ssize_t leat_recv(int fd, void *buf, size_t len, int flags)
{
	ssize_t n = quick_receive(fd, buf, len, flags, NULL);

	return n != QUICK_NOT ? n : receive_from(fd, buf, len, flags, NULL, NULL);
}

ssize_t leat_read(int fd, void *buf, size_t len)
{
	return leat_recv(fd, buf, len, 0);
}

ssize_t leat_readv(int fd, const struct iovec *iov, int iovcnt)
{
	struct msghdr msg = {.msg_iov = (void *)(uintptr_t)iov, .msg_iovlen = (size_t)iovcnt};

	return iovcnt < 0 ? posix_result(-EINVAL) : socket_receive(fd, &msg, 0);
}

/* ---- Options, names, modes ---------------------------------------------- */

int leat_getsockopt(int fd, int level, int name, void *value, socklen_t *optlen)
{
	struct socket *so = socket_of(fd);

	if (so == NULL)
		return -1;
	return (int)socket_result(so, socket_get_option(so, level, name, value, optlen));
}

int leat_setsockopt(int fd, int level, int name, const void *value, socklen_t optlen)
{
	struct socket *so = socket_of(fd);

	if (so == NULL)
		return -1;
	return (int)socket_result(so, socket_set_option(so, level, name, value, optlen));
}

static int socket_name(struct socket *so, int peer, struct sockaddr *addr, socklen_t *addrlen)
{
	struct leat_sqe sqe = {
		.op = LEAT_OP_GETNAME, .value = peer, .handle = socket_home(so)->handle};
	struct leat_cqe cqe;
	int r = context_call(socket_context(so), sock_worker(socket_home(so)), &sqe, &cqe);

	if (r == 0)
		addr_to_sockaddr(&cqe.addr, addr, addrlen);
	return r;
}

static int get_name(int fd, int peer, struct sockaddr *addr, socklen_t *addrlen)
{
	struct socket *so;

	if ((int)*addrlen < 0)
		return (int)posix_result(-EINVAL);
	so = socket_of(fd);
	return so == NULL ? -1 : (int)socket_result(so, socket_name(so, peer, addr, addrlen));
}

int leat_getsockname(int fd, struct sockaddr *addr, socklen_t *addrlen)
{
	return get_name(fd, 0, addr, addrlen);
}

int leat_getpeername(int fd, struct sockaddr *addr, socklen_t *addrlen)
{
	return get_name(fd, 1, addr, addrlen);
}

static void socket_set_nonblock(struct socket *so, bool nonblock)
{
	if (nonblock)
		socket_set(so, SOCKET_NONBLOCK);
	else
		socket_clear(so, SOCKET_NONBLOCK);
}

static int socket_fcntl(struct socket *so, int cmd, int arg)
{
	switch (cmd) {
	case F_GETFL:
		return O_RDWR | (socket_has(so, SOCKET_NONBLOCK) ? O_NONBLOCK : 0);
	case F_SETFL:
		socket_set_nonblock(so, arg & O_NONBLOCK);
		return 0;
	case F_GETFD:
		return FD_CLOEXEC;
	case F_SETFD:
		return 0;
	default:
		return -EINVAL;
	}
}

int leat_fcntl(int fd, int cmd, ...)
{
	struct socket *so = socket_of(fd);
	va_list args;
	int arg = 0;

	if (so == NULL)
		return -1;
	va_start(args, cmd);
	if (cmd == F_SETFL || cmd == F_SETFD)
		arg = va_arg(args, int);
	va_end(args);
	return (int)socket_result(so, socket_fcntl(so, cmd, arg));
}

/* Bytes that can be read. */
static int socket_readable_bytes(struct socket *so, int *out)
{
	ssize_t n;

	if (socket_has(so, SOCKET_LISTENING))
		return -EINVAL;
	n = so->type == SOCK_STREAM ? (ssize_t)stream_queued_bytes(so) : datagram_next_length(so);
	*out = n == -EAGAIN ? 0 : n > INT32_MAX ? INT32_MAX : (int)n;
	return n < 0 && n != -EAGAIN ? (int)n : 0;
}

int leat_ioctl(int fd, unsigned long request, ...)
{
	struct socket *so = socket_of(fd);
	va_list args;
	int *arg;
	int r = 0;

	if (so == NULL)
		return -1;
	va_start(args, request);
	arg = va_arg(args, int *);
	va_end(args);
	if (request == FIONREAD)
		r = socket_readable_bytes(so, arg);
	else if (request == FIONBIO)
		socket_set_nonblock(so, *arg != 0);
	else if (request == SIOCATMARK && so->type == SOCK_STREAM)
		*arg = stream_is_at_mark(so);
	else
		r = -ENOTTY;
	return (int)socket_result(so, r);
}
