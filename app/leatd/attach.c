/* SPDX-License-Identifier: BSD-3-Clause */
#include "attach.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "application.h"
#include "log.h"

#define GUESTS_MAX      64
#define STRANGERS_MAX   16 /* guests that may not open a session: they cannot crowd out others */
#define GUEST_US        5000000 /* so long a guest may take to say what it wants */
#define LISTEN_BACKLOG  256
#define ACCEPT_PAUSE_US 100000 /* when no descriptor is left */

/* A connection that has not said yet what it wants. */
struct guest {
	struct watch watch;
	struct peer peer;
	bool stranger;
	uint64_t deadline_us;
};

struct guests {
	struct watch listener;
	bool socket_made;
	bool directory_made;
	bool paused; /* until resume_us */
	uint64_t resume_us;
	struct guest guest[GUESTS_MAX];
};

/* ---- Answers ------------------------------------------------------------ */

int attach_reply(int connection, const struct leat_attach_reply *reply, const int *fds,
		 uint32_t fd_count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE((LEAT_MAX_WORKERS + 2) * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = (void *)(uintptr_t)reply, .iov_len = sizeof(*reply)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd_count != 0) {
		struct cmsghdr *header;

		memset(&control, 0, sizeof(control));
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(header), fds, fd_count * sizeof(int));
	}
	if (sendmsg(connection, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(*reply))
		return 0;
	return -errno;
}

static void reply_error(struct control *c, int connection, int error)
{
	struct leat_attach_reply reply = {
		.result = error,
		.version = LEAT_ABI_VERSION,
		.workers = c->leatd->workers,
	};

	/* Somebody who does not listen is noticed when his connection ends. */
	(void)attach_reply(connection, &reply, NULL, 0);
}

/* ---- Requests ----------------------------------------------------------- */

enum received { RECEIVED_REQUEST, RECEIVED_NOTHING, RECEIVED_END, RECEIVED_BAD };

/* BAD: answered with what is wrong; the connection is to be closed.  Descriptors somebody sends
 * along are closed by the kernel, since no room is offered for them. */
static enum received receive(struct control *c, int connection, struct leat_attach_request *request)
{
	ssize_t n = recv(connection, request, sizeof(*request), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? RECEIVED_NOTHING : RECEIVED_END;
	if (n == 0)
		return RECEIVED_END;
	if ((size_t)n >= sizeof(request->version) && request->version != LEAT_ABI_VERSION) {
		reply_error(c, connection, -EPROTONOSUPPORT);
		return RECEIVED_BAD;
	}
	if (n != sizeof(*request) || request->reserved != 0) {
		reply_error(c, connection, -EINVAL);
		return RECEIVED_BAD;
	}
	return RECEIVED_REQUEST;
}

void attach_process_ready(struct control *c, struct watch *watch, uint32_t events)
{
	struct process *p = container_of(watch, struct process, connection);
	struct leat_attach_request request;
	int ret;

	if (p->busy) {
		if (events & (EPOLLHUP | EPOLLERR))
			process_gone(c, p);
		return;
	}
	switch (receive(c, watch->fd, &request)) {
	case RECEIVED_REQUEST:
		break;
	case RECEIVED_NOTHING:
		return;
	default:
		process_gone(c, p);
		return;
	}
	switch (request.op) {
	case LEAT_ATTACH_CONTEXT:
		ret = process_context(c, p);
		break;
	case LEAT_ATTACH_DETACH:
		ret = process_detach(c, p, request.value);
		break;
	case LEAT_ATTACH_FORK:
		ret = process_fork(c, p);
		break;
	case LEAT_ATTACH_UNFORK:
		ret = process_unfork(c, p, request.token);
		break;
	default:
		ret = -EINVAL;
	}
	if (ret != 0)
		reply_error(c, watch->fd, ret);
}

/* ---- Guests ------------------------------------------------------------- */

static void guest_ready(struct control *c, struct watch *watch, uint32_t events)
{
	struct guest *guest = container_of(watch, struct guest, watch);
	struct leat_attach_request request;
	int connection = watch->fd;
	enum received received = receive(c, connection, &request);
	int ret;

	(void)events;
	if (received == RECEIVED_NOTHING)
		return;
	watch_remove(c, watch); /* the place is free again */
	if (received != RECEIVED_REQUEST) {
		close(connection);
		return;
	}
	if (request.op == LEAT_ATTACH_NEW)
		ret = guest->stranger ? -EACCES : application_new(c, connection, &guest->peer);
	else if (request.op == LEAT_ATTACH_CHILD)
		ret = application_child(c, connection, &guest->peer, request.token);
	else
		ret = -EINVAL;
	if (ret != 0) {
		reply_error(c, connection, ret);
		close(connection);
	}
}

static bool gids_allowed(const struct config_access *access, int connection, gid_t gid)
{
	gid_t groups[256];
	socklen_t length = sizeof(groups);

	if (access->gids.count == 0)
		return false;
	if (config_ids_contain(&access->gids, gid))
		return true;
	if (getsockopt(connection, SOL_SOCKET, SO_PEERGROUPS, groups, &length) != 0)
		return false;
	for (size_t i = 0; i < length / sizeof(groups[0]); i++) {
		if (config_ids_contain(&access->gids, groups[i]))
			return true;
	}
	return false;
}

/* A free place.  When there is none, or too many of his kind, the oldest stranger goes, or else
 * the oldest of all. */
static struct guest *guest_place(struct control *c, bool stranger)
{
	struct guest *free_place = NULL, *oldest = NULL, *oldest_stranger = NULL;
	uint32_t strangers = 0;

	for (uint32_t i = 0; i < GUESTS_MAX; i++) {
		struct guest *g = &c->guests->guest[i];

		if (g->watch.fd < 0) {
			free_place = g;
			continue;
		}
		if (oldest == NULL || g->deadline_us < oldest->deadline_us)
			oldest = g;
		if (!g->stranger)
			continue;
		strangers++;
		if (oldest_stranger == NULL || g->deadline_us < oldest_stranger->deadline_us)
			oldest_stranger = g;
	}
	if (free_place != NULL && !(stranger && strangers >= STRANGERS_MAX))
		return free_place;
	if (oldest_stranger != NULL)
		oldest = oldest_stranger;
	watch_close(c, &oldest->watch);
	return oldest;
}

/* inside: a process may always attach to the leatd that it is. */
static void guest_add(struct control *c, int connection, bool inside)
{
	const struct config_access *access = &c->leatd->config.access;
	struct ucred cred;
	socklen_t length = sizeof(cred);
	struct guest *guest;
	bool stranger;

	if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &cred, &length) != 0) {
		close(connection);
		return;
	}
	stranger = !inside && !config_ids_contain(&access->uids, cred.uid) &&
		   !gids_allowed(access, connection, cred.gid);
	guest = guest_place(c, stranger);
	guest->peer =
		(struct peer){.pid = cred.pid, .uid = cred.uid, .gid = cred.gid, .inside = inside};
	guest->stranger = stranger;
	guest->deadline_us = control_now_us() + GUEST_US;
	if (watch_add(c, &guest->watch, connection, EPOLLIN, guest_ready) != 0)
		close(connection);
}

static void listener_ready(struct control *c, struct watch *watch, uint32_t events)
{
	int connection = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (connection >= 0) {
		guest_add(c, connection, false);
		return;
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
		leatd_log(WARNING, "cannot accept an application: %s", strerror(errno));
		watch_change(c, watch, 0);
		c->guests->paused = true;
		c->guests->resume_us = control_now_us() + ACCEPT_PAUSE_US;
	}
}

struct inside_mail {
	struct mail mail;
	int connection;
};

static void inside_deliver(struct control *c, struct mail *mail)
{
	struct inside_mail *m = container_of(mail, struct inside_mail, mail);

	guest_add(c, m->connection, true);
	free(m);
}

int attach_inside(struct control *c, int connection)
{
	struct inside_mail *m = malloc(sizeof(*m));

	if (m == NULL)
		return -ENOMEM;
	m->mail.deliver = inside_deliver;
	m->connection = connection;
	mail_send(c, &m->mail);
	return 0;
}

/* ---- Deadlines ---------------------------------------------------------- */

static uint64_t guests_expire(struct control *c, uint64_t now_us)
{
	struct guests *guests = c->guests;
	uint64_t next_us = UINT64_MAX;

	for (uint32_t i = 0; i < GUESTS_MAX; i++) {
		struct guest *guest = &guests->guest[i];

		if (guest->watch.fd < 0)
			continue;
		if (guest->deadline_us <= now_us)
			watch_close(c, &guest->watch);
		else if (guest->deadline_us < next_us)
			next_us = guest->deadline_us;
	}
	if (guests->paused && guests->resume_us <= now_us) {
		guests->paused = false;
		watch_change(c, &guests->listener, EPOLLIN);
	} else if (guests->paused && guests->resume_us < next_us) {
		next_us = guests->resume_us;
	}
	return next_us;
}

int attach_expire(struct control *c)
{
	uint64_t now_us = control_now_us();
	uint64_t guests_us = guests_expire(c, now_us);
	uint64_t processes_us = processes_expire(c, now_us);
	uint64_t next_us = guests_us < processes_us ? guests_us : processes_us;

	return next_us == UINT64_MAX ? -1 : (int)((next_us - now_us) / 1000 + 1);
}

/* ---- The socket --------------------------------------------------------- */

/* A file left behind by a leatd that was killed is removed; a living one's is not. */
static int remove_stale(const struct sockaddr_un *address)
{
	struct stat status;
	int fd, ret;

	if (lstat(address->sun_path, &status) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(status.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	ret = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ? 0 : -errno;
	close(fd);
	if (ret != -ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(address->sun_path) == 0 ? 0 : -errno;
}

static int make_directory(struct guests *guests, const char *path)
{
	char copy[sizeof(((struct sockaddr_un *)0)->sun_path)];

	strcpy(copy, path);
	if (mkdir(dirname(copy), 0755) == 0)
		guests->directory_made = true;
	else if (errno != EEXIST)
		return -errno;
	return 0;
}

static void complain(const struct control *c, int error)
{
	const char *path = c->leatd->config.socket, *file = c->leatd->config.path;

	if (error == -EADDRINUSE)
		leatd_log(ERR, "another leatd serves %s; stop it, or set another socket= in %s",
			  path, file);
	else if (error == -EEXIST)
		leatd_log(ERR,
			  "%s exists and is no socket; remove it, or set another socket= in %s",
			  path, file);
	else
		leatd_log(ERR, "cannot listen on %s: %s", path, strerror(-error));
}

int attach_prepare(struct control *c)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int ret;

	c->guests = calloc(1, sizeof(*c->guests));
	if (c->guests == NULL)
		return -ENOMEM;
	c->guests->listener.fd = -1;
	for (uint32_t i = 0; i < GUESTS_MAX; i++)
		c->guests->guest[i].watch.fd = -1;
	if (!config_serves(&c->leatd->config))
		return 0;
	strcpy(address.sun_path, c->leatd->config.socket);
	ret = make_directory(c->guests, address.sun_path);
	if (ret == 0)
		ret = remove_stale(&address);
	if (ret != 0)
		complain(c, ret);
	return ret;
}

/* Under another name first, so that nobody finds the file before it can be connected to. */
static int listen_at(int fd, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int ret = 0;

	if ((size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s.new", path) >=
	    sizeof(address.sun_path))
		return -ENAMETOOLONG;
	if (unlink(address.sun_path) != 0 && errno != ENOENT)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		return -errno;
	/* Everybody may knock: who may come in is the configuration's [access]. */
	if (chmod(address.sun_path, 0666) != 0 || listen(fd, LISTEN_BACKLOG) != 0 ||
	    rename(address.sun_path, path) != 0)
		ret = -errno;
	if (ret != 0)
		unlink(address.sun_path);
	return ret;
}

int attach_listen(struct control *c)
{
	int fd, ret;

	if (!config_serves(&c->leatd->config))
		return 0;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ret = fd >= 0 ? 0 : -errno;
	if (ret == 0)
		ret = watch_add(c, &c->guests->listener, fd, 0, listener_ready);
	if (ret == 0)
		ret = listen_at(fd, c->leatd->config.socket);
	if (ret == 0) {
		c->guests->socket_made = true;
		watch_change(c, &c->guests->listener, EPOLLIN);
		return 0;
	}
	complain(c, ret);
	if (fd >= 0 && c->guests->listener.fd < 0)
		close(fd);
	return ret;
}

void attach_stop(struct control *c)
{
	struct guests *guests = c->guests;

	watch_close(c, &guests->listener);
	for (uint32_t i = 0; i < GUESTS_MAX; i++)
		watch_close(c, &guests->guest[i].watch);
	if (guests->socket_made)
		unlink(c->leatd->config.socket);
	guests->socket_made = false;
}

void attach_free(struct control *c)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];

	if (c->guests == NULL)
		return;
	attach_stop(c);
	strcpy(path, c->leatd->config.socket);
	if (c->guests->directory_made)
		rmdir(dirname(path));
	free(c->guests);
	c->guests = NULL;
}
