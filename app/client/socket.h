/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a descriptor names: a socket, made of one sock, or for listeners and
 * bound datagram sockets of one per worker; or an epoll instance.
 *
 * Files are counted.  Their memory is never given back to the heap, only used
 * again for files of the same kind, so a look-up that races with a close may
 * touch it, and finds the count 0 or the table changed: the descriptor was closed.
 */
#ifndef LEAT_CLIENT_SOCKET_H
#define LEAT_CLIENT_SOCKET_H

#include <errno.h>
#include <leat/leat.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "session.h"

struct epoll;
struct socket;
struct watch;
struct cork;
struct listener;
struct option_log;
struct transfer;

/* ---- Files and descriptors (fdtable.c) ---------------------------------- */

enum file_kind { FILE_SOCKET, FILE_EPOLL };

struct file {
	uint32_t refs; /* atomic; 0: free */
	uint8_t kind; /* enum file_kind */
};

/* What a file keeps when it is used again: the end of its struct. */
struct file_memory {
	struct file *next_free;
	void *kept[2]; /* more memory for whoever uses it next, for the same reason */
};

/* A file with one reference, zeroed beyond its struct file; NULL: no memory. */
struct file *file_alloc(enum file_kind kind);
void file_put(struct file *f);
/* One that nobody has a reference to is used again: zeroed, with one; or is free. */
void file_reset(struct file *f);
void file_free(struct file *f);
/* Enters f (whose reference the table takes); the descriptor or -errno. */
int fd_install(struct file *f);
/* The same in two steps: a descriptor that names nothing yet, or -errno; then one of the others. */
int fd_reserve(void);
void fd_publish(int fd, struct file *f);
void fd_unreserve(int fd);
/* A reference to what fd names; 0, -EBADF. */
int fd_get(int fd, struct file **out);

#define FDS_PER_BLOCK 1024
#define FD_BLOCKS     16384 /* 2^24 descriptors */

struct fd_block {
	struct file *file[FDS_PER_BLOCK]; /* atomic */
	uint64_t used[FDS_PER_BLOCK / 64];
	uint32_t count;
};
extern struct fd_block *fd_blocks[FD_BLOCKS]; /* atomic; never freed */

/* Where fd is entered; NULL: nowhere. */
static inline struct file **fd_place(int fd)
{
	uint32_t number = (uint32_t)fd - LEAT_FD_BASE; /* lower ones become very high */
	struct fd_block *block;

	if (number / FDS_PER_BLOCK >= FD_BLOCKS)
		return NULL;
	block = load_acquire(&fd_blocks[number / FDS_PER_BLOCK]);
	return block == NULL ? NULL : &block->file[number % FDS_PER_BLOCK];
}

/* What fd names, without a reference: inside a context, if it belongs to it.  NULL: nothing. */
static inline struct file *fd_look(int fd)
{
	struct file **place = fd_place(fd);

	return place == NULL ? NULL : load_acquire(place);
}

/* fd, which stays reserved, names f no more: the table's reference is the caller's.  False: it does
 * not name f. */
static inline bool fd_take(int fd, struct file *f)
{
	return compare_and_swap(fd_place(fd), f, NULL);
}

/* fd is free again; its reference is the caller's. 0 or -EBADF. */
int fd_remove(int fd, struct file **out);
/* Calls visit for each open file, with the table locked. */
void fd_for_each(void (*visit)(struct file *f, void *arg), void *arg);
void fd_lock(void);
void fd_unlock(void);
void fd_reset_lock(void);

/* ---- Sockets ------------------------------------------------------------ */

/* One worker's sock, as the library sees it. */
struct sock {
	struct leat_handle handle;
	struct leat_slot *shared;
	struct socket *socket;
	uint32_t error_seen; /* atomic; of error_seq, what was reported */
	uint32_t worker; /* whose it is */
};

enum socket_flag {
	SOCKET_NONBLOCK = 1u << 0,
	SOCKET_BOUND = 1u << 1,
	SOCKET_LISTENING = 1u << 2,
	SOCKET_CONNECTING = 1u << 3, /* stream: connect was asked for and is not known to be over */
	SOCKET_CONNECTED = 1u << 4, /* datagram: has a peer; stream: is or was connected */
	SOCKET_RX_SHUT = 1u << 5,
	SOCKET_TX_SHUT = 1u << 6,
	SOCKET_SHARED = 1u << 7, /* inherited or passed on by fork */
	SOCKET_CLOSED = 1u << 8, /* its descriptor is; under watch_lock */
	SOCKET_OOBINLINE = 1u << 9, /* SO_OOBINLINE */
	SOCKET_TX_URGENT = 1u << 10, /* leatd looks at what it sends as urgent (LEAT_OP_URGENT) */
	SOCKET_CORK = 1u << 11, /* datagram: UDP_CORK */
	SOCKET_MOVED = 1u << 12, /* had another context, whose threads may still use it */
	SOCKET_LOWAT = 1u << 13, /* receive_lowat says more than one byte */
};

/*
 * One socket in one epoll.  It is on the ready list when an event came since
 * it was last found not ready; level-triggered ones stay there while they are
 * ready.
 */
struct watch {
	struct epoll *epoll; /* NULL: not in use */
	/* under epoll.lock */
	TAILQ_ENTRY(watch) ready_link;
	epoll_data_t data;
	uint32_t events; /* EPOLL* asked for */
	bool is_ready;
	bool is_listener;
	bool disarmed; /* EPOLLONESHOT, and it was told */
	struct socket *socket;
	struct watch *next; /* of the socket; under its watch lock */
	LIST_ENTRY(watch) link;
	LIST_ENTRY(watch) listener_link;
};

struct socket {
	/* hot: to receive and send */
	struct file file;
	uint32_t flags; /* atomic; enum socket_flag */
	uint8_t sock_count; /* atomic */
	uint8_t next_rx; /* index of the sock to receive from first */
	uint8_t type; /* SOCK_STREAM, SOCK_DGRAM */
	uint8_t family;
	struct leat_cq *context; /* atomic; where events of its socks arrive */
	struct sock *home; /* atomic; the one that sends and answers */
	struct sock one;

	/* hot: to hear of events */
	struct watch *watches; /* epoll entries; under watch_lock */
	struct watch first_watch; /* the first of them; most have no other */

	struct session *session;
	struct sock *socks; /* atomic; [sock_count]: &one, or one per worker in their order */
	uint8_t protocol;
	uint8_t user; /* index of the foreign context that used it last, and ... */
	uint8_t user_count; /* ... how often in a row */
	int64_t receive_timeout_us; /* 0: none */
	int64_t send_timeout_us;
	uint32_t receive_lowat; /* SO_RCVLOWAT; 0: 1 */
	uint32_t linger_s; /* how long close waits; 0: not at all */
	uint64_t urgent_read; /* atomic; offset after the last byte MSG_OOB read; 0: none */
	struct listener *listener;
	struct cork *cork; /* atomic; a datagram in the making; under the send ring's lock */
	struct option_log *options; /* set before there was a sock on each worker */
	struct file_memory memory;
};
_Static_assert(offsetof(struct socket, watches) == LEAT_CACHE_LINE, "receiving takes one line");
_Static_assert(offsetof(struct socket, first_watch.socket) <= 2 * LEAT_CACHE_LINE,
	       "hearing of events takes one more");

static inline struct sock *socket_home(const struct socket *so)
{
	return load_acquire(&so->home);
}

/* To be read before so->socks. */
static inline unsigned socket_count(const struct socket *so)
{
	return load_acquire(&so->sock_count);
}

static inline bool socket_has(const struct socket *so, uint32_t flag)
{
	return (load_relaxed(&so->flags) & flag) != 0;
}

static inline void socket_set(struct socket *so, uint32_t flag)
{
	__atomic_or_fetch(&so->flags, flag, __ATOMIC_RELAXED);
}

static inline void socket_clear(struct socket *so, uint32_t flag)
{
	__atomic_and_fetch(&so->flags, ~flag, __ATOMIC_RELAXED);
}

static inline struct leat_cq *socket_context(const struct socket *so)
{
	return load_acquire(&so->context);
}

static inline bool socket_is_dead(const struct socket *so)
{
	return load_acquire(&so->session->dead);
}

static inline unsigned sock_worker(const struct sock *sk)
{
	return sk->worker;
}

/* Does so belong to cq alone?  Then who is inside cq may use it. */
static inline bool socket_is_own(const struct socket *so, const struct leat_cq *cq)
{
	return socket_context(so) == cq && !socket_has(so, SOCKET_SHARED | SOCKET_MOVED);
}

/* The sock with handle h; NULL: there is none. */
static inline struct sock *session_sock(const struct session *s, struct leat_handle h)
{
	struct sock *sk = h.slot < s->slot_count ? load_acquire(&s->socks[h.slot]) : NULL;

	return sk != NULL && load_relaxed(&sk->handle.generation) == h.generation ? sk : NULL;
}

/* A reference to fd's socket; 0, -EBADF, -ENOTSOCK, and only the first -ENETDOWN. */
int socket_get(int fd, struct socket **out);
int socket_get_any(int fd, struct socket **out);
static inline void socket_put(struct socket *so)
{
	file_put(&so->file);
}

/* The outcome of an internal function as POSIX reports it. */
static inline ssize_t posix_result(ssize_t r)
{
	if (r >= 0)
		return r;
	errno = (int)-r;
	return -1;
}

/* ---- socket.c ---- */

/* A sock with this handle becomes sk, and events find it. */
void sock_enter(struct sock *sk, struct socket *so, struct leat_handle h);
/* This process lets go of it. */
void sock_leave(struct sock *sk);
/* so, zeroed beyond its file, is a socket of cq's from now on. */
void socket_begin(struct socket *so, struct session *s, struct leat_cq *cq, int type, int flags);
/* The last reference is gone: closes the socks, never blocks. */
void socket_destroy(struct socket *so);
/* A socket without socks yet; NULL: no memory. */
struct socket *socket_alloc(struct session *s, struct leat_cq *cq, int type, int flags);
static inline uint32_t sock_events(const struct sock *sk)
{
	return load_acquire(&sk->shared->events);
}

static inline uint64_t sock_readable_bytes(const struct sock *sk)
{
	uint64_t head = load_relaxed(&sk->shared->rx_head);

	return load_acquire(&sk->shared->rx_tail) - head;
}

/* SO_RCVLOWAT. */
void socket_set_lowat(struct socket *so, uint32_t bytes);
/* An accepted socket has what was set on its listener and is the library's. */
void socket_inherit(struct socket *so, const struct socket *listener);
/* SO_LINGER: the descriptor is closed; waits until all is delivered, or the time is over. */
void socket_linger(struct socket *so);
/* -errno of the sock's error if it was not reported yet, which it is now; else 0. */
int sock_take_error(struct sock *sk);
static inline bool sock_has_error(const struct sock *sk)
{
	return load_acquire(&sk->shared->error_seq) != load_relaxed(&sk->error_seen);
}
int socket_take_error(struct socket *so);
/* The calling thread works with so; if it is the only one for a while, its context gets the
 * events. */
void socket_note_user(struct socket *so);
/* Before sleeping on a socket that other processes may use: the events come here. */
void socket_claim_events(struct socket *so);
/* Contexts to sleep on for so. */
uint64_t socket_contexts(struct socket *so);
/* POLLIN, POLLOUT, ... that hold now.  For those of want that do not, an event will come.  May be
 * called with an epoll locked. */
uint32_t socket_poll(struct socket *so, uint32_t want);
/* Waits until ready(so, arg), at most timeout_us (0: without end).  0, -EAGAIN after the timeout,
 * -EINTR, -ENETDOWN. */
int socket_wait(struct socket *so, bool (*ready)(struct socket *so, uint64_t arg), uint64_t arg,
		int64_t deadline_us);
int64_t deadline_after(int64_t timeout_us);

/* ---- open.c ---- */

/* Opens a sock on the next worker; 0 or -errno. */
int socket_open(struct socket *so);
/* Binds on every worker; 0 or -errno. */
int socket_bind(struct socket *so, const struct leat_addr *addr);
int socket_bind_any(struct socket *so);
int socket_listen(struct socket *so, int backlog);
int socket_connect(struct socket *so, const struct leat_addr *addr);
/* MSG_FASTOPEN: the same, but 0 at once when what is sent then goes with the SYN. */
int socket_fast_open(struct socket *so, const struct leat_addr *addr, bool wait);
/* Remembers an option for socks opened later; 0 or -ENOMEM. */
int socket_log_option(struct socket *so, const struct leat_option *option);

/* ---- option.c ---- */

int socket_set_option(struct socket *so, int level, int name, const void *value, socklen_t length);
int socket_get_option(struct socket *so, int level, int name, void *value, socklen_t *length);

/* ---- addr.c ---- */

/* 0, -EINVAL, -EAFNOSUPPORT. */
int addr_from_sockaddr(struct leat_addr *out, const struct sockaddr *addr, socklen_t addrlen);
void addr_to_sockaddr(const struct leat_addr *in, struct sockaddr *addr, socklen_t *addrlen);

/* ---- lock.c: one process at a time moves a ring's cursor ---- */

enum ring_side { RING_RX, RING_TX };
struct ring_lock {
	pthread_mutex_t *mutex;
};
/* 0; -EIO: a process died while it moved this cursor. */
int ring_lock(struct sock *sk, enum ring_side side, struct ring_lock *lock);
void ring_unlock(struct ring_lock *lock);
void ring_locks_init_shared(struct session *s);
void ring_locks_take_all(void);
void ring_locks_release_all(void);
void ring_locks_reset(void);

/* ---- urgent.c: urgent data of streams ---- */

/* What of the receive ring is data, and where the urgent data in it ends. */
struct urgent {
	uint64_t head; /* rx_head, less what is no data any more ... */
	uint64_t hole; /* ... which is so many bytes */
	uint64_t tail;
	uint64_t mark; /* pending: offset of the last urgent byte */
	bool pending; /* there is some that was not read past */
	bool arrived; /* its last byte, too */
};
void sock_look_urgent(const struct sock *sk, struct urgent *u);
/* Bytes to read, the one to be passed over not counted; those FIONREAD tells of. */
uint64_t stream_data_bytes(const struct socket *so);
uint64_t stream_queued_bytes(const struct socket *so);
/* Would a read of all that is there stop at the mark?  Does the next read begin there? */
bool stream_stops_ahead(const struct socket *so);
bool stream_is_at_mark(const struct socket *so);
/* POLLPRI if MSG_OOB has something to read (or would have, but for SO_OOBINLINE). */
uint32_t stream_poll_urgent(const struct socket *so);
/* recv with MSG_OOB: never blocks. */
ssize_t stream_receive_urgent(struct socket *so, struct transfer *t);
/* Before the first urgent byte is sent: 0 or -errno. */
int stream_begin_urgent(struct socket *so);

/* ---- stream.c, datagram.c: data ---- */

/* The caller's bytes, on their way in or out. */
struct transfer {
	const struct iovec *iov;
	size_t iov_count;
	size_t length; /* bytes that iov holds, or has room for */
	size_t done; /* bytes that were copied */
	size_t at; /* where copying goes on: piece, ... */
	size_t within; /* ... and offset in it */
	int flags; /* MSG_* */
	int msg_flags; /* out: MSG_TRUNC */
	struct leat_addr addr; /* AF_UNSPEC: none */
};

/* 0 or -EINVAL. */
int transfer_init(struct transfer *t, const struct iovec *iov, size_t iov_count, int flags);
/* Copies the next bytes, as many as both have, between the caller and the ring. */
size_t transfer_in(struct transfer *t, void *ring, size_t bytes);
size_t transfer_out(struct transfer *t, const void *ring, size_t bytes);
/* What most calls are, for a socket that is the calling thread's own: QUICK_NOT, and nothing was
 * done, when it is not that simple. */
#define QUICK_NOT (-65536) /* no -errno */
ssize_t quick_receive(int fd, void *data, size_t length, int flags, struct leat_addr *from);
ssize_t quick_send(int fd, const void *data, size_t length, int flags, const struct sockaddr *addr,
		   socklen_t addrlen);
ssize_t quick_send_pieces(int fd, const struct iovec *iov, int iov_count);
int quick_accept(int fd, int flags, struct leat_addr *peer);
int quick_close(int fd);
/* As socket_poll, inside the context that so belongs to. */
uint32_t quick_poll(struct socket *so, uint32_t want);
/* A call the quick way may say that there is nothing; else it is time to look whether leatd lives. */
bool quick_may_find_nothing(struct leat_cq *cq);
ssize_t stream_send(struct socket *so, struct transfer *t);
ssize_t stream_receive(struct socket *so, struct transfer *t);
ssize_t datagram_send(struct socket *so, struct transfer *t);
ssize_t datagram_receive(struct socket *so, struct transfer *t);
#define DATAGRAM_MAX_BYTES 65507 /* IPv4: 65535 less the headers of IP and UDP */
/* What a datagram of so many bytes takes in a ring. */
static inline size_t record_bytes(size_t length)
{
	return sizeof(struct leat_record) +
	       ((length + LEAT_RECORD_ALIGN - 1) & ~(size_t)(LEAT_RECORD_ALIGN - 1));
}
/* Sends what is in t as a datagram, whatever waits in the cork. */
ssize_t datagram_send_whole(struct socket *so, struct transfer *t);
/* Bytes of the next message, or -EAGAIN. */
ssize_t datagram_next_length(struct socket *so);
/* The send ring is not needed for now (LEAT_CQE_IDLE). */
void sock_release_ring(struct leat_cq *cq, struct leat_handle h);
/* Commits and consumes on a context that may be full. */
int sock_commit(struct sock *sk, size_t bytes, bool more); /* more: it follows soon (MSG_MORE) */
int sock_consume(struct sock *sk, size_t bytes);
/* The worker is to look at sk's rings; no ring lock need be held. */
int sock_kick(struct sock *sk);
ssize_t sock_reserve(struct sock *sk, size_t bytes, struct iovec *iov, int *iov_count);
/* Room to write, and chunks to write bytes into; else an event will come. */
bool sock_is_writable(struct sock *sk, size_t room, size_t bytes);
/* Room from which on a socket counts as writable. */
size_t sock_writable_mark(const struct sock *sk);

/* ---- cork.c: datagrams in pieces ---- */

static inline bool cork_is_pending(const struct socket *so)
{
	return load_relaxed(&so->cork) != NULL;
}
/* t is a piece of a datagram, maybe its last; its length or -errno. */
ssize_t cork_add(struct socket *so, struct transfer *t);
/* UDP_CORK; off: sends what waits. */
void cork_set(struct socket *so, bool on);
/* The socket goes, and what waits with it. */
void cork_drop(struct socket *so);

/* ---- accept.c ---- */

/* The connection of an offer that was claimed becomes child. */
struct offer {
	struct leat_handle handle;
	uint32_t claim;
	uint32_t context; /* index of the one it was made to */
	struct leat_addr peer;
};
void accept_enter(struct socket *so, struct socket *child, const struct offer *offer);
/* Claims the oldest offer that stands; false: there is none. */
bool listener_claim(struct socket *so, struct offer *out);
/* The next connection's descriptor, or -errno. */
int socket_accept(struct socket *so, int flags, struct leat_addr *peer);
int listener_open(struct socket *so);
void listener_free(struct socket *so);
/* A connection is offered; inside cq, if the listener belongs to it. */
void accept_offered(struct sock *listener, struct leat_cq *cq, const struct leat_cqe *cqe);
/* Is a connection there to be claimed? */
bool listener_has_offer(struct socket *so);
/* Has cq no credit at some worker?  Then a connection may be there that nobody was told of. */
bool listener_lacks_credit(struct socket *so, const struct leat_cq *cq);
/* Has cq so many credits that it is not yet to post more? */
bool listener_has_credit(struct socket *so, const struct leat_cq *cq, unsigned count);
/* Lets up to count connections of each worker be offered to cq. */
void listener_credit(struct socket *so, struct leat_cq *cq, unsigned count);
/* cq does not wait any more, and somebody else may. */
void listener_uncredit(struct socket *so, struct leat_cq *cq);
/* Contexts that have credits. */
uint64_t listener_contexts(struct socket *so);
void listener_forget_credits(struct socket *so);
void listener_reset_in_child(struct socket *so);

#define SHARED_NAP_US    20000 /* between looks at sockets whose events may go to another process */

#define LISTENER_CREDITS 16 /* of a context that does not block in accept */

/* ---- epoll.c ---- */

/* events (LEAT_EV_*) were raised for sk. */
void sock_event(struct sock *sk, uint32_t events);
/* so is closed: no epoll watches it any more. */
void epoll_forget(struct socket *so);
/* so's events arrive at cq from now on. */
void epoll_moved(struct socket *so, struct leat_cq *cq);
/* As epoll_forget, inside cq, to which so belongs; false: not done, a set of others watches it. */
bool quick_forget(struct socket *so, const struct leat_cq *cq);
/* so listens: who watches it posts credits. */
void epoll_listening(struct socket *so);
void epoll_destroy(struct epoll *ep);
/* Every socket of s reports an error now. */
void sockets_of_dead_session(struct session *s);
/* Raises events for every socket whose context is cq. */
void sockets_of_context(struct leat_cq *cq, uint32_t events);
void epoll_fork_prepare(void);
void epoll_fork_release(void);
void epoll_fork_child(struct epoll *ep, struct leat_cq *cq);

/* ---- fork.c ---- */

/* fork is noticed from now on; 0 or -errno. */
int fork_watch(void);

#endif
