/* SPDX-License-Identifier: BSD-3-Clause */
/* How a process becomes an application of leatd, and how it notices that leatd ended. */
#include <errno.h>
#include <leat/leat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "session.h"
#include "socket.h"

/* ---- Requests over leatd's UNIX socket ---------------------------------- */

static int unix_open(struct transport *t)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = REQUEST_TIMEOUT_S};
	int fd;

	_Static_assert(sizeof(t->path) == sizeof(address.sun_path), "a path fits if it fits");
	memcpy(address.sun_path, t->path, sizeof(address.sun_path));
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0 ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		int error = errno;

		close(fd);
		return error == EAGAIN ? -ETIMEDOUT : -error;
	}
	t->control_fd = fd;
	return 0;
}

/* Takes the descriptors out of msg; what does not fit is closed. */
static void take_descriptors(struct msghdr *msg, int *fds, unsigned *fd_count)
{
	struct cmsghdr *c;

	*fd_count = 0;
	for (c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (*fd_count < ATTACH_MAX_FDS)
				fds[(*fd_count)++] = fd;
			else
				close(fd);
		}
	}
}

/* As recvmsg; where the answer comes by way of the caller's own worker, it goes on running. */
static ssize_t receive_answer(int fd, struct msghdr *msg)
{
	int64_t deadline_us = now_us() + (int64_t)REQUEST_TIMEOUT_S * 1000000;
	ssize_t n;

	if (!own_worker_runs())
		return recvmsg(fd, msg, MSG_CMSG_CLOEXEC);
	for (;;) {
		n = recvmsg(fd, msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
		if (n >= 0 || errno != EAGAIN || now_us() >= deadline_us)
			return n;
		(void)own_worker_poll(0);
	}
}

static int unix_request(struct transport *t, const struct leat_attach_request *request,
			struct leat_attach_reply *reply, int *fds, unsigned *fd_count)
{
	union {
		char bytes[CMSG_SPACE(ATTACH_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {reply, sizeof(*reply)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	ssize_t n;

	*fd_count = 0;
	do
		n = send(t->control_fd, request, sizeof(*request), MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : errno == EPIPE ? -ENETDOWN : -errno;
	do
		n = receive_answer(t->control_fd, &msg);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : errno == ECONNRESET ? -ENETDOWN : -errno;
	if (n == 0)
		return -ENETDOWN;
	take_descriptors(&msg, fds, fd_count);
	if (n != sizeof(*reply) || msg.msg_flags & MSG_CTRUNC) {
		while (*fd_count > 0)
			close(fds[--*fd_count]);
		return msg.msg_flags & MSG_CTRUNC ? -EMFILE : -EPROTO;
	}
	return 0;
}

static void unix_close(struct transport *t)
{
	if (t->control_fd >= 0)
		close(t->control_fd);
	t->control_fd = -1;
}

void transport_unix(struct transport *t, const char *path)
{
	*t = (struct transport){
		.open = unix_open, .request = unix_request, .close = unix_close, .control_fd = -1};
	strncpy(t->path, path, sizeof(t->path) - 1);
}

/* ---- The session -------------------------------------------------------- */

/* One request; on success *fd_count descriptors are the caller's. */
static int session_ask(struct session *s, const struct leat_attach_request *request,
		       struct leat_attach_reply *reply, int *fds, unsigned *fd_count)
{
	int r = s->transport.request(&s->transport, request, reply, fds, fd_count);

	if (r == 0 && reply->result != 0)
		r = reply->result < 0 ? reply->result : -EPROTO;
	if (r != 0) {
		while (*fd_count > 0)
			close(fds[--*fd_count]);
	}
	return r;
}

int session_request(struct session *s, uint32_t op, uint32_t value, uint64_t *token)
{
	struct leat_attach_request request = {
		.version = LEAT_ABI_VERSION, .op = op, .value = value, .token = *token};
	struct leat_attach_reply reply = {0};
	int fds[ATTACH_MAX_FDS];
	unsigned fd_count = 0;
	int r = session_ask(s, &request, &reply, fds, &fd_count);

	while (fd_count > 0)
		close(fds[--fd_count]);
	if (r == 0)
		*token = reply.token;
	return r;
}

static bool layout_is_sane(const struct leat_region *l, const struct leat_attach_reply *reply)
{
	return l->magic == LEAT_ABI_MAGIC && l->version == LEAT_ABI_VERSION &&
	       l->size_bytes == reply->region_bytes && l->workers == reply->workers &&
	       l->workers >= 1 && l->workers <= LEAT_MAX_WORKERS && l->contexts >= 1 &&
	       l->contexts <= LEAT_MAX_CONTEXTS && reply->context < l->contexts &&
	       l->slots_per_worker >= 1 && l->chunk_shift >= 6 && l->chunk_shift < 31 &&
	       l->chunk_stride >= 1u << l->chunk_shift;
}

/* Reads the region's header; base is mapped. */
static int session_lay_out(struct session *s, const struct leat_attach_reply *reply)
{
	memcpy(&s->layout, s->base, sizeof(s->layout));
	if (!layout_is_sane(&s->layout, reply))
		return -EPROTO;
	s->slots = (void *)(s->base + s->layout.slot_offset);
	s->rx_link = (void *)(s->base + s->layout.rx_link_offset);
	s->tx_link = (void *)(s->base + s->layout.tx_link_offset);
	s->rx_urgent = (void *)(s->base + s->layout.rx_urgent_offset);
	s->tx_urgent = (void *)(s->base + s->layout.tx_urgent_offset);
	s->chunks = s->base + s->layout.chunk_offset;
	s->chunk_mask = (1u << s->layout.chunk_shift) - 1;
	s->slot_count = s->layout.workers * s->layout.slots_per_worker;
	s->process = reply->process;
	/* Touched only where there are socks. */
	s->socks = mmap(NULL, s->slot_count * sizeof(s->socks[0]), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s->socks == MAP_FAILED) {
		s->socks = NULL;
		return -ENOMEM;
	}
	return 0;
}

static int session_map(struct session *s, int fd, uint64_t bytes)
{
	struct stat st;
	void *base;

	if (s->transport.inside != NULL)
		s->transport.region = s->transport.inside->region(s->transport.inside->arg);
	if (s->transport.region != NULL) {
		s->base = s->transport.region;
		s->size_bytes = bytes;
		return 0;
	}
	if (bytes < sizeof(struct leat_region) || fstat(fd, &st) != 0 ||
	    (uint64_t)st.st_size < bytes)
		return -EPROTO;
	base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	s->base = base;
	s->size_bytes = bytes;
	return 0;
}

/* The descriptors of LEAT_ATTACH_NEW and LEAT_ATTACH_CHILD: region, bells, wake-up socket. */
static int session_take_fds(struct session *s, const struct leat_attach_reply *reply, int *fds,
			    unsigned fd_count)
{
	int r = 0;

	if (reply->version != LEAT_ABI_VERSION)
		r = -EPROTONOSUPPORT;
	else if (reply->workers == 0 || reply->workers > LEAT_MAX_WORKERS ||
		 fd_count != reply->workers + 2)
		r = -EPROTO;
	else if (s->base == NULL)
		r = session_map(s, fds[0], reply->region_bytes);
	if (r != 0) {
		while (fd_count > 0)
			close(fds[--fd_count]);
		return r;
	}
	close(fds[0]);
	for (unsigned i = 0; i < reply->workers; i++) {
		if (s->bell[i] >= 0)
			close(s->bell[i]);
		s->bell[i] = fds[1 + i];
	}
	return 0;
}

static void session_free(struct session *s)
{
	for (unsigned i = 0; i < LEAT_MAX_CONTEXTS; i++) {
		if (s->contexts[i] != NULL)
			context_free(s->contexts[i]);
	}
	s->transport.close(&s->transport);
	for (unsigned i = 0; i < LEAT_MAX_WORKERS; i++) {
		if (s->bell[i] >= 0)
			close(s->bell[i]);
	}
	if (s->socks != NULL)
		munmap(s->socks, s->slot_count * sizeof(s->socks[0]));
	if (s->base != NULL && s->transport.region == NULL)
		munmap(s->base, s->size_bytes);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->wait_lock);
	free(s);
}

void session_get(struct session *s)
{
	__atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
}

void session_put(struct session *s)
{
	if (__atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) == 0)
		session_free(s);
}

/* Opens the connection, asks to be let in, and makes the one context that comes with it. */
static int session_enter(struct session *s, uint32_t op, uint64_t token, struct leat_cq **out)
{
	struct leat_attach_request request = {
		.version = LEAT_ABI_VERSION, .op = op, .token = token};
	struct leat_attach_reply reply = {0};
	int fds[ATTACH_MAX_FDS];
	unsigned fd_count = 0;
	int wake_fd;
	int r = s->transport.open(&s->transport);

	if (r != 0)
		return r;
	r = session_ask(s, &request, &reply, fds, &fd_count);
	if (r != 0)
		return r == -ENETDOWN ? -ECONNREFUSED : r;
	wake_fd = fd_count > 0 ? fds[fd_count - 1] : -1;
	r = session_take_fds(s, &reply, fds, fd_count);
	if (r != 0)
		return r;
	if (s->socks == NULL)
		r = session_lay_out(s, &reply);
	else
		s->process = reply.process;
	if (r == 0 && reply.context >= s->layout.contexts)
		r = -EPROTO;
	if (r == 0) {
		*out = context_create(s, reply.context, wake_fd);
		if (*out == NULL)
			r = -ENOMEM;
	}
	if (r != 0) {
		close(wake_fd);
		return r;
	}
	s->contexts[reply.context] = *out;
	store_release(&s->own[reply.context], *out);
	return 0;
}

int session_attach(const struct transport *t, struct session **out)
{
	struct session *s = calloc(1, sizeof(*s));
	struct leat_cq *first;
	int r;

	if (s == NULL)
		return -ENOMEM;
	s->transport = *t;
	s->refs = 1;
	for (unsigned i = 0; i < LEAT_MAX_WORKERS; i++)
		s->bell[i] = -1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->wait_lock, NULL);
	LIST_INIT(&s->waiters);
	r = session_enter(s, LEAT_ATTACH_NEW, 0, &first);
	if (r != 0) {
		session_free(s);
		return r;
	}
	*out = s;
	return 0;
}

int session_attach_child(struct session *s, uint64_t token, struct leat_cq **out)
{
	s->transport.close(&s->transport);
	return session_enter(s, LEAT_ATTACH_CHILD, token, out);
}

int session_add_context(struct session *s, struct leat_cq **out)
{
	struct leat_attach_request request = {.version = LEAT_ABI_VERSION,
					      .op = LEAT_ATTACH_CONTEXT};
	struct leat_attach_reply reply = {0};
	int fds[ATTACH_MAX_FDS];
	unsigned fd_count = 0;
	int r = session_ask(s, &request, &reply, fds, &fd_count);

	if (r != 0)
		return r;
	if (fd_count != 1 || reply.context >= s->layout.contexts ||
	    s->contexts[reply.context] != NULL) {
		while (fd_count > 0)
			close(fds[--fd_count]);
		return -EPROTO;
	}
	*out = context_create(s, reply.context, fds[0]);
	if (*out == NULL) {
		close(fds[0]);
		return -ENOMEM;
	}
	store_release(&s->contexts[reply.context], *out);
	return 0;
}

/* ---- The process's session ---------------------------------------------- */

static pthread_mutex_t init_lock = PTHREAD_MUTEX_INITIALIZER;
static struct session *current; /* atomic */

struct session *session_current(void)
{
	return load_acquire(&current);
}

void session_install(struct session *s)
{
	struct session *old = __atomic_exchange_n(&current, s, __ATOMIC_ACQ_REL);

	if (old != NULL)
		session_put(old);
}

/* The path socket_path stands for. */
static const char *resolve_path(const char *socket_path)
{
	const char *path = socket_path != NULL ? socket_path : getenv(LEAT_SOCKET_ENV);

	return path != NULL && path[0] != '\0' ? path : LEAT_DEFAULT_SOCKET;
}

int session_init(const char *socket_path, struct session **out)
{
	const char *path = resolve_path(socket_path);
	struct session *s = session_current();
	struct transport t;
	int r = 0;

	if (s != NULL && session_is_alive(s)) {
		*out = s;
		return 0;
	}
	if (strlen(path) >= sizeof(t.path))
		return -ENAMETOOLONG;
	pthread_mutex_lock(&init_lock);
	s = session_current();
	if (s == NULL || !session_is_alive(s)) {
		transport_unix(&t, path);
		r = fork_watch();
		if (r == 0)
			r = session_attach(&t, &s);
		if (r == 0)
			session_install(s);
	}
	pthread_mutex_unlock(&init_lock);
	*out = s;
	return r;
}

int leat_init(const char *socket_path)
{
	struct session *s;
	int r = session_init(socket_path, &s);

	if (r == 0)
		return 0;
	errno = -r;
	return -1;
}

const char *leat_init_strerror(int error, const char *socket_path)
{
	static __thread char text[512];
	static const struct {
		int error;
		const char *format;
	} advice[] = {
		{ENOENT, "leatd does not run: there is no socket %s; start leatd, or name its "
			 "socket with " LEAT_SOCKET_ENV},
		{ECONNREFUSED, "leatd does not run any more: nobody answers at %s; start it again"},
		{EACCES, "no permission to use leatd's socket %s; see its mode, or leatd's "
			 "configuration of who may attach"},
		{EPERM, "leatd at %s does not let this user attach; see its configuration"},
		{EPROTONOSUPPORT, "leatd at %s is of another version than this program's libleat"},
		{EPROTO, "what answers at %s is not leatd"},
		{EUSERS, "leatd at %s serves as many applications as it is configured for"},
		{ENOSPC, "leatd at %s has no room for one more application"},
		{ENAMETOOLONG, "the socket's path is too long for a UNIX socket: %s"},
		{ETIMEDOUT, "leatd at %s does not answer"},
	};
	const char *path = resolve_path(socket_path);

	for (size_t i = 0; i < sizeof(advice) / sizeof(advice[0]); i++) {
		if (advice[i].error == error) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			snprintf(text, sizeof(text), advice[i].format, path);
#pragma GCC diagnostic pop
			return text;
		}
	}
	snprintf(text, sizeof(text), "cannot attach to leatd at %s: %s", path,
		 strerrordesc_np(error));
	return text;
}

/* ---- leatd's end -------------------------------------------------------- */

void session_mark_dead(struct session *s)
{
	if (__atomic_exchange_n(&s->dead, true, __ATOMIC_SEQ_CST))
		return;
	/* Who takes locks looks whether leatd is there. */
	contexts_share(s);
	sockets_of_dead_session(s);
	wait_wake(s, UINT64_MAX);
}

bool session_is_alive(struct session *s)
{
	struct pollfd control = {.fd = s->transport.control_fd};

	if (load_acquire(&s->dead))
		return false;
	if (s->transport.inside != NULL) /* leat_inside_detach tells */
		return true;
	if (poll(&control, 1, 0) != 1 || !(control.revents & (POLLHUP | POLLERR)))
		return true;
	session_mark_dead(s);
	return false;
}

bool context_is_alive(struct leat_cq *cq)
{
	int64_t now;

	if (load_relaxed(&cq->session->dead))
		return false;
	if (own_worker_runs()) /* what would tell is on this thread */
		return true;
	now = now_us();
	if (now - load_relaxed(&cq->alive_us) < LIVENESS_CHECK_US)
		return true;
	store_relaxed(&cq->alive_us, now);
	return session_is_alive(cq->session);
}
