/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * leat's socket API: the calls of <sys/socket.h>, <poll.h> and <sys/epoll.h>
 * with the prefix leat_, served by leatd over shared memory instead of by the
 * kernel.
 *
 *	int s = leat_socket(AF_INET, SOCK_STREAM, 0);
 *	leat_connect(s, (struct sockaddr *)&peer, sizeof(peer));
 *	leat_send(s, "hello\n", 6, 0);
 *
 * What holds for every call unless its comment says otherwise:
 *
 * - Meaning, return value and errno are POSIX's, in doubt Linux's.  A call
 *   that fails returns -1 and sets errno.
 * - Any thread may call, also several on one descriptor at a time.  No call is
 *   async-signal-safe.
 * - Descriptors are ints from LEAT_FD_BASE on, so they never collide with the
 *   kernel's.  They mean nothing to the kernel.  Where a call takes kernel
 *   descriptors as well, its comment says so.
 * - A call that blocks returns early with EINTR after a signal handler ran,
 *   also when the handler was installed with SA_RESTART.
 * - EBADF: the descriptor is not open.  ENOTSOCK: it is an epoll instance.
 *   EFAULT is not detected: a bad pointer faults.
 * - ENETDOWN: leatd ended.  Every pending and later call on a descriptor that
 *   was open then fails with it, within 50 ms for callers that do not sleep and
 *   at once for those that do; only leat_close still succeeds.  New descriptors
 *   can be opened as soon as leatd runs again.
 *
 * A DPDK program can have the stack inside instead of in leatd: <leat/inline.h>.
 *
 * After fork the child uses the descriptors it inherited like the parent; a
 * connection ends when the last process closes it.  Descriptors do not survive
 * exec.  A child made by vfork or a bare clone must not call leat.
 */
#ifndef LEAT_LEAT_H
#define LEAT_LEAT_H

#include <poll.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The first descriptor; above any the kernel gives out (its limit, fs.nr_open, is below 2^30). */
#define LEAT_FD_BASE 0x40000000

/* Could fd be one of leat's?  (Says nothing about whether it is open.) */
static inline bool leat_is_fd(int fd)
{
	return fd >= LEAT_FD_BASE;
}

/*
 * Attaches the process to leatd.  socket_path names leatd's UNIX socket; NULL: the value of
 * the environment variable LEAT_SOCKET, or if it is unset or empty, /run/leat/leatd.sock.
 *
 * leat_socket calls leat_init(NULL) by itself; a program calls it first to name another socket or
 * to tell its user early that there is no daemon.  While attached, a second call does nothing
 * and returns 0, whatever the path.  After ENETDOWN it attaches anew.
 *
 * Returns 0, or -1 with errno:
 *   ENOENT            no such socket: leatd does not run, or runs with another [leatd] socket
 *   ECONNREFUSED      the socket is a leftover: leatd does not run any more
 *   EACCES, EPERM     the file's mode, or leatd's configuration, keeps this user out
 *   EPROTONOSUPPORT   leatd is of another version than this library
 *   EPROTO            what answers there is not leatd
 *   EUSERS, ENOSPC    leatd serves as many applications as it is configured for
 *   ENAMETOOLONG      socket_path does not fit a UNIX socket address
 *   ETIMEDOUT         no answer within 5 seconds
 *   ENOMEM, EMFILE, ENFILE   this process is out of memory or descriptors
 * May block for up to 5 seconds.
 */
int leat_init(const char *socket_path);

/*
 * One sentence, without a full stop, for what leat_init failed with and what the user can do about
 * it; to print after the program's name.  error is an errno value, socket_path what leat_init was
 * called with (NULL included).  The text belongs to the calling thread until its next call.
 */
const char *leat_init_strerror(int error, const char *socket_path);

/*
 * Opens a socket.  domain: AF_INET.  type: SOCK_STREAM or SOCK_DGRAM, | SOCK_NONBLOCK; SOCK_CLOEXEC
 * is accepted and always so.  protocol: 0, IPPROTO_TCP or IPPROTO_UDP to match.
 *
 * Returns the descriptor, or -1 with errno: whatever leat_init fails with; EAFNOSUPPORT,
 * EPROTONOSUPPORT, ESOCKTNOSUPPORT: domain, protocol or type not served; EINVAL: unknown bits in
 * type; ENFILE: the share of socks leatd grants is used up; EMFILE: 2^24 descriptors are open;
 * ENOBUFS: leatd is out of socks; ENOMEM.  Blocks for one answer of leatd.
 */
int leat_socket(int domain, int type, int protocol);

/*
 * Gives the socket a local address.  Port 0 chooses one (see leat_getsockname).  The address must
 * be INADDR_ANY or one of leatd's interfaces.
 *
 * 0, or -1 with errno: EADDRINUSE (SO_REUSEADDR and SO_REUSEPORT as under Linux), EADDRNOTAVAIL,
 * EACCES (a port below 1024 and leatd does not allow it), EINVAL (bound already, or addrlen too
 * short), EAFNOSUPPORT, ENFILE, ENOBUFS, ENOMEM.  Blocks for one answer of each worker.
 */
int leat_bind(int fd, const struct sockaddr *addr, socklen_t addrlen);

/*
 * Makes a stream socket accept connections.  backlog bounds both the half-open and the
 * established ones that nobody accepted yet, per worker; values below 0 count as 0.  A second call
 * changes the backlog.  An unbound socket is bound to a chosen port first.
 *
 * 0, or -1 with errno: EADDRINUSE (another socket listens there), EOPNOTSUPP (not a stream socket),
 * EINVAL (connected), ENOBUFS, ENFILE, ENOMEM.  Blocks for one answer of each worker.
 */
int leat_listen(int fd, int backlog);

/*
 * Takes the next connection of a listening socket.  addr and addrlen (both may be NULL) receive the
 * peer's address, cut to *addrlen; *addrlen its full length.  leat_accept4's flags: SOCK_NONBLOCK,
 * SOCK_CLOEXEC (always so).
 *
 * Of several threads or processes blocked here on one socket exactly one wakes per connection.
 *
 * The new descriptor, or -1 with errno: EAGAIN (non-blocking, none there; or SO_RCVTIMEO passed),
 * EINTR, EINVAL (not listening, unknown flags), EOPNOTSUPP (not a stream socket), EMFILE, ENOMEM
 * (the connection stays in the queue).  Blocks unless O_NONBLOCK.
 */
int leat_accept(int fd, struct sockaddr *addr, socklen_t *addrlen);
int leat_accept4(int fd, struct sockaddr *addr, socklen_t *addrlen, int flags);

/*
 * Connects a stream socket, or sets a datagram socket's peer (AF_UNSPEC: removes it).
 *
 * A stream socket that is not bound gets the address of the interface that leads to the peer, and a
 * port of 32768 to 60999 that has no connection to the same peer yet and that no bind has: so many
 * connections there can be to one address and port, and as many to each other one.  Then it is
 * EADDRNOTAVAIL, as under Linux; when fewer than some thirty ports are left, sometimes before (it
 * looks at 4096 of them).  Of several workers each has a part of the ports.  A socket that leat_bind
 * gave a port has it for itself.
 *
 * 0, or -1 with errno: EINPROGRESS (non-blocking, or SO_SNDTIMEO passed: EPOLLOUT tells when it is
 * decided, SO_ERROR how), EALREADY (still in progress), EISCONN, ECONNREFUSED, ETIMEDOUT,
 * EHOSTUNREACH, ENETUNREACH, ECONNRESET, EADDRNOTAVAIL (no local port left), EAFNOSUPPORT, EINVAL
 * (addrlen too short), EOPNOTSUPP (listening), EINTR (the attempt goes on).  Blocks unless
 * O_NONBLOCK; a datagram socket only for one answer of leatd.
 *
 * With TCP_FASTOPEN_CONNECT, and a server that gave leatd a cookie before, it returns 0 at once: the
 * connection begins with the first bytes sent, which go with its SYN, and what it would have failed
 * with the next calls do.
 */
int leat_connect(int fd, const struct sockaddr *addr, socklen_t addrlen);

/*
 * Send.  Stream: the bytes are copied into the send ring; blocks while it is full until all are
 * in, or returns how many are when O_NONBLOCK, MSG_DONTWAIT, SO_SNDTIMEO or a signal ended
 * the wait; an address is ignored.  Datagram: one message of at most 65507 bytes, all or
 * nothing; an unbound socket is bound to a chosen port.
 *
 * flags: MSG_DONTWAIT, MSG_NOSIGNAL; MSG_MORE (stream: what does not fill a segment may wait for
 * what follows, up to 200 ms; datagram: it goes as one with what follows, when a piece comes without
 * MSG_MORE, and where the first piece was to go); MSG_OOB (stream: the last byte is urgent, once all
 * of them are in; RFC 6093 advises new programs against it); MSG_FASTOPEN (stream, not connected,
 * with an address: leat_connect with TCP_FASTOPEN_CONNECT comes first, and may fail as it does;
 * EOPNOTSUPP: leatd does no Fast Open as client); MSG_EOR and MSG_CONFIRM are accepted and ignored.
 * leat_sendmsg ignores control data.  leat_write and leat_writev are send with flags 0.
 *
 * The bytes sent, or -1 with errno: EAGAIN (would block, or SO_SNDTIMEO passed), EINTR, EPIPE (shut
 * down for writing, or the connection is gone; stream sockets also raise SIGPIPE in the calling
 * thread unless MSG_NOSIGNAL), ENOTCONN (stream, never connected), EDESTADDRREQ (datagram without
 * address), EMSGSIZE (datagram larger than that or than SO_SNDBUF; pieces that waited are dropped), EINVAL (addrlen; more than 1024
 * buffers), EAFNOSUPPORT, EOPNOTSUPP (other flags; datagram: MSG_OOB), EIO (a process that shares the
 * socket died in the middle of a send), and once each error the connection had: ECONNRESET,
 * ETIMEDOUT, ECONNREFUSED, EHOSTUNREACH, ENETUNREACH.
 */
ssize_t leat_send(int fd, const void *buf, size_t len, int flags);
ssize_t leat_sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *addr,
		    socklen_t addrlen);
ssize_t leat_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t leat_write(int fd, const void *buf, size_t len);
ssize_t leat_writev(int fd, const struct iovec *iov, int iovcnt);

/*
 * Receive.  Stream: what is there, at least one byte (or SO_RCVLOWAT); 0 at the end of the stream.
 * Datagram: one message; what does not fit is lost, and leat_recvmsg sets MSG_TRUNC in msg_flags.
 *
 * flags: MSG_PEEK (of a stream at most what lies in 16 chunks), MSG_DONTWAIT, MSG_WAITALL (stream:
 * until len bytes, the end, an error or a signal; with MSG_PEEK also), MSG_TRUNC (datagram: return
 * the message's full length; stream: drop bytes instead of copying them), MSG_OOB (stream: the last
 * byte of the peer's urgent data, without blocking; each process can read it once), MSG_NOSIGNAL
 * (ignored).  A read stops before that byte, which the next one passes over (see SO_OOBINLINE).
 * leat_recvmsg sets msg_controllen to 0.  leat_read and leat_readv are receive with flags 0.
 *
 * The bytes received, or -1 with errno: EAGAIN (would block, or SO_RCVTIMEO passed), EINTR, ENOTCONN
 * (stream, never connected), EINVAL (more than 1024 buffers; MSG_OOB: nothing is urgent, it was read,
 * or it is in line), EAGAIN also with MSG_OOB (announced, but not here yet), EOPNOTSUPP (other flags,
 * MSG_ERRQUEUE), EIO (a process that shares the socket died in the middle of a receive), and once
 * each error the connection had: ECONNRESET, ETIMEDOUT, ECONNREFUSED (datagram: nobody listens at
 * the connected peer), EHOSTUNREACH, ENETUNREACH.
 */
ssize_t leat_recv(int fd, void *buf, size_t len, int flags);
ssize_t leat_recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *addr,
		      socklen_t *addrlen);
ssize_t leat_recvmsg(int fd, struct msghdr *msg, int flags);
ssize_t leat_read(int fd, void *buf, size_t len);
ssize_t leat_readv(int fd, const struct iovec *iov, int iovcnt);

/*
 * Ends one or both directions; how: SHUT_RD, SHUT_WR, SHUT_RDWR.  SHUT_WR sends everything written
 * before, then the end of the stream.
 *
 * 0, or -1 with errno: ENOTCONN, EINVAL.  Blocks for one answer of leatd.
 */
int leat_shutdown(int fd, int how);

/*
 * Closes the descriptor.  Data already written is still delivered; a connection with unread data
 * is reset.  Calls that other threads are blocked in go on with the socket until they return.
 * With SO_LINGER on and a time above 0 it blocks, also when O_NONBLOCK is set, until the peer has
 * acknowledged all data, the time is over or a signal handler ran; not while another process or
 * thread uses the socket.  Else it never blocks.  0, or -1 with EBADF.
 */
int leat_close(int fd);

/*
 * Socket options, with Linux's meaning and units.  An accepted socket has its listener's.
 *
 * SOL_SOCKET, the library's: SO_ERROR (fetches and clears), SO_TYPE, SO_DOMAIN, SO_PROTOCOL,
 * SO_ACCEPTCONN, SO_RCVTIMEO and SO_SNDTIMEO (struct timeval; 0: none).
 * SOL_SOCKET, leatd's: SO_REUSEADDR, SO_REUSEPORT, SO_OOBINLINE (the last urgent byte is
 * read in its place in the stream, and not with MSG_OOB), SO_INCOMING_CPU (read only: the number of the worker), SO_SNDLOWAT
 * (read only: 1), SO_SNDBUF and SO_RCVBUF (bytes, cut to leatd's sndbuf_max and rcvbuf_max; answered
 * doubled, as by Linux: a stream holds as many as were asked for, datagrams share twice as much
 * with their headers); of stream sockets also SO_KEEPALIVE, SO_LINGER (0 s: close resets; more:
 * see leat_close), SO_RCVLOWAT (cut to half the receive buffer), SO_MAX_PACING_RATE (bytes per
 * second in 32 or 64 bits; all ones: none).
 * IPPROTO_UDP: UDP_CORK (pieces of a datagram wait until it is off; this process's).
 * IPPROTO_TCP: TCP_NODELAY, TCP_CORK (held back for 200 ms at most), TCP_QUICKACK (for now, not
 * for good), TCP_MAXSEG, TCP_CONGESTION (a name: cubic, newreno or reno, dctcp, bbr; ENOENT:
 * unknown), TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_USER_TIMEOUT, TCP_SYNCNT, TCP_LINGER2,
 * TCP_DEFER_ACCEPT (up to 255 s), TCP_WINDOW_CLAMP, TCP_NOTSENT_LOWAT, TCP_INFO (read only),
 * TCP_FASTOPEN (how many connections of each worker may be in use before their handshake is over; 0,
 * the default: none; needs leatd's fast_open = server or both) and TCP_FASTOPEN_CONNECT (see
 * leat_connect; EOPNOTSUPP: leatd does no Fast Open as client), both before connect and accept.
 *
 * IPPROTO_IP: IP_TTL, IP_TOS (of stream sockets without ECN's two bits), IP_MTU_DISCOVER, IP_MTU
 * (read only, of connected sockets); of stream sockets also IP_RECVERR: unreachables that may pass
 * are told at once, as the socket's error, and the connection goes on.
 *
 * TCP_INFO is Linux's struct tcp_info; a shorter buffer gets the beginning.  What leat counts in
 * bytes is rounded to segments of the current MSS where Linux counts segments; last_data_recv and
 * last_ack_recv both tell of the last segment; rcv_ssthresh and rcv_space are the receive buffer;
 * reordering is 3; ECN_SEEN is certain only of packets that were marked.  Not kept, and 0: fackets,
 * last_ack_sent, rcv_rtt, data_segs_in, data_segs_out, delivery_rate, busy_time, rwnd_limited,
 * sndbuf_limited, delivered_ce, dsack_dups, rcv_ooopack, rehash.
 *
 * 0, or -1 with errno: ENOPROTOOPT (unknown), EINVAL (*optlen too short, bad value), EDOM (timeout
 * out of range), ENOENT (see above), ENOBUFS (leatd is out of memory for that congestion control),
 * ENOMEM.  Blocks for one answer of leatd, or when set one of each worker that has part of the
 * socket.
 */
int leat_getsockopt(int fd, int level, int name, void *value, socklen_t *optlen);
int leat_setsockopt(int fd, int level, int name, const void *value, socklen_t optlen);

/*
 * The local and the peer's address.  *addrlen: in the room at addr, out the address' full length.
 *
 * 0, or -1 with errno: ENOTCONN (leat_getpeername), EINVAL (*addrlen negative).  Blocks for one
 * answer of leatd.
 */
int leat_getsockname(int fd, struct sockaddr *addr, socklen_t *addrlen);
int leat_getpeername(int fd, struct sockaddr *addr, socklen_t *addrlen);

/*
 * poll(2) over leat's and the kernel's descriptors, mixed as one likes.  timeout in milliseconds,
 * negative: none.  POLLIN, POLLPRI, POLLOUT, POLLRDHUP, POLLERR, POLLHUP, POLLNVAL.  POLLPRI: the last
 * urgent byte is there to be read with MSG_OOB, or in line.  POLLOUT: a third of the send buffer is
 * free, and less than half of TCP_NOTSENT_LOWAT unsent.
 *
 * How many are ready, 0 after timeout, or -1 with errno: EINTR, ENOMEM, EINVAL (nfds above the
 * limit).  A descriptor that died with leatd is POLLERR | POLLHUP.
 */
int leat_poll(struct pollfd *fds, nfds_t nfds, int timeout);

/*
 * epoll(7) over leat's and the kernel's descriptors; flags and size are checked as by epoll_create1.
 * events: EPOLLIN, EPOLLPRI, EPOLLOUT, EPOLLRDHUP, EPOLLERR, EPOLLHUP; EPOLLET (a new event re-arms),
 * EPOLLONESHOT.  EPOLLEXCLUSIVE is accepted: leat never wakes more than one for a connection.
 * Closing a descriptor removes it.  One epoll instance cannot watch another of leat's.
 *
 * leat_epoll_create1: the descriptor, or -1 with EINVAL, EMFILE, ENOMEM.
 * leat_epoll_ctl: 0, or -1 with EBADF, EEXIST, ENOENT, EINVAL (bad op, epfd not an epoll instance,
 * fd is one), EPERM (a kernel descriptor that cannot be polled), ENOMEM.
 * leat_epoll_wait: how many of events[maxevents] it filled, 0 after timeout milliseconds (negative:
 * none), or -1 with EBADF, EINTR, EINVAL.  Blocks as timeout says.
 */
int leat_epoll_create1(int flags);
int leat_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int leat_epoll_wait(int epfd, struct epoll_event *events, int maxevents, int timeout);

/*
 * fcntl: F_GETFL (O_RDWR and O_NONBLOCK), F_SETFL (O_NONBLOCK counts, the rest is ignored), F_GETFD
 * (FD_CLOEXEC) and F_SETFD (ignored).  Else -1 with EINVAL; so F_SETOWN, for there is no SIGURG.
 * Never blocks.
 */
int leat_fcntl(int fd, int cmd, ...);

/*
 * ioctl: FIONREAD (int *: bytes that can be read, before the urgent one if there is one; datagram: of
 * the next message; EINVAL when listening), SIOCATMARK (int *, stream: 1 if the next read begins at
 * the last urgent byte, which may not be here yet, else 0) and FIONBIO (const int *: non-zero sets
 * O_NONBLOCK).  Else -1 with ENOTTY.  Never blocks.
 */
int leat_ioctl(int fd, unsigned long request, ...);

#ifdef __cplusplus
}
#endif

#endif /* LEAT_LEAT_H */
