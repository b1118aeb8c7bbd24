/* SPDX-License-Identifier: BSD-3-Clause */
/* The handshake over a real UNIX socket, as far as it goes wrong. */
#include <errno.h>
#include <fcntl.h>
#include <leat/leat.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/un.h>
#include <unistd.h>

#include "helpers.h"
#include "socket.h"
#include "support/test.h"

/* Answers one request with what the test says. */
struct server {
	char path[64];
	int listener;
	struct leat_attach_reply reply;
	size_t reply_bytes; /* 0: hangs up instead */
	unsigned fd_count; /* copies of fd */
	int fd;
	pthread_t thread;
	struct leat_attach_request request;
};

static void *serve(void *arg)
{
	struct server *s = arg;
	int connection = accept(s->listener, NULL, NULL);
	union {
		char bytes[CMSG_SPACE(8 * sizeof(int))];
		struct cmsghdr header;
	} control = {0};
	struct iovec iov = {&s->reply, s->reply_bytes};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	CHECK_EQ(recv(connection, &s->request, sizeof(s->request), 0), sizeof(s->request));
	if (s->fd_count > 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(s->fd_count * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(s->fd_count * sizeof(int));
		for (unsigned i = 0; i < s->fd_count; i++)
			memcpy(CMSG_DATA(&control.header) + i * sizeof(int), &s->fd, sizeof(int));
	}
	if (s->reply_bytes > 0)
		CHECK_EQ(sendmsg(connection, &msg, 0), s->reply_bytes);
	close(connection);
	return NULL;
}

static void server_start(struct server *s)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(s->path, sizeof(s->path), "/tmp/leat-test-%d.sock", (int)getpid());
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", s->path);
	unlink(s->path);
	s->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	REQUIRE_EQ(bind(s->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	REQUIRE_EQ(listen(s->listener, 1), 0);
	pthread_create(&s->thread, NULL, serve, s);
}

static void server_stop(struct server *s)
{
	pthread_join(s->thread, NULL);
	close(s->listener);
	unlink(s->path);
}

static int count_fds(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Attaches to a server that answers so: errno. */
static int attach_to(struct server *s)
{
	int fds = count_fds();
	int r;

	server_start(s);
	r = leat_init(s->path);
	server_stop(s);
	CHECK_EQ(r, -1);
	CHECK_EQ(s->request.op, LEAT_ATTACH_NEW);
	CHECK_EQ(s->request.version, LEAT_ABI_VERSION);
	r = errno;
	CHECK_EQ(count_fds(), fds); /* no descriptor is left behind */
	return r;
}

static void without_a_daemon_the_reason_is_told(void)
{
	char path[200];
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/tmp/leat-test-gone"};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	CHECK_EQ(leat_init("/nonexistent/leatd.sock"), -1);
	CHECK_EQ(errno, ENOENT);
	unlink(address.sun_path);
	CHECK_EQ(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	CHECK_EQ(leat_init(address.sun_path), -1);
	CHECK_EQ(errno, ECONNREFUSED);
	unlink(address.sun_path);
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	CHECK_EQ(leat_init(path), -1);
	CHECK_EQ(errno, ENAMETOOLONG);
}

static void the_environment_names_the_socket(void)
{
	setenv(LEAT_SOCKET_ENV, "/nonexistent/from-environment", 1);
	CHECK_EQ(leat_socket(AF_INET, SOCK_STREAM, 0), -1);
	CHECK_EQ(errno, ENOENT);
	CHECK(strstr(leat_init_strerror(ENOENT, NULL), "/nonexistent/from-environment") != NULL);
	CHECK(strstr(leat_init_strerror(ECONNREFUSED, "/a/b"), "/a/b") != NULL);
	CHECK(strstr(leat_init_strerror(ENOMEM, "/a/b"), "memory") != NULL);
	unsetenv(LEAT_SOCKET_ENV);
	CHECK(strstr(leat_init_strerror(ENOENT, NULL), LEAT_DEFAULT_SOCKET) != NULL);
}

static void refusals_are_passed_on(void)
{
	struct server s = {.reply = {.result = -EPERM}, .reply_bytes = sizeof(s.reply)};

	CHECK_EQ(attach_to(&s), EPERM);
	s.reply.result = -EUSERS;
	CHECK_EQ(attach_to(&s), EUSERS);
	s.reply = (struct leat_attach_reply){.result = -EPROTONOSUPPORT, .version = 2};
	CHECK_EQ(attach_to(&s), EPROTONOSUPPORT);
}

static void strange_answers_are_refused(void)
{
	struct server s = {.reply_bytes = 0};
	struct leat_region *region;

	CHECK_EQ(attach_to(&s), ECONNREFUSED);
	s.reply_bytes = 8;
	CHECK_EQ(attach_to(&s), EPROTO);
	s.reply_bytes = sizeof(s.reply);
	s.reply = (struct leat_attach_reply){.version = LEAT_ABI_VERSION + 1};
	CHECK_EQ(attach_to(&s), EPROTONOSUPPORT);
	/* Descriptors that do not belong. */
	s.reply = (struct leat_attach_reply){
		.version = LEAT_ABI_VERSION, .workers = 2, .region_bytes = 4096};
	s.fd = memfd_create("leat-test", MFD_CLOEXEC);
	s.fd_count = 3;
	CHECK_EQ(attach_to(&s), EPROTO);
	/* A region that is too small, then one that is none. */
	s.fd_count = 4;
	CHECK_EQ(attach_to(&s), EPROTO);
	CHECK_EQ(ftruncate(s.fd, 4096), 0);
	CHECK_EQ(attach_to(&s), EPROTO);
	region = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, s.fd, 0);
	*region = (struct leat_region){.magic = LEAT_ABI_MAGIC,
				       .version = LEAT_ABI_VERSION,
				       .size_bytes = 4096,
				       .workers = 3};
	CHECK_EQ(attach_to(&s), EPROTO); /* another number of workers than the answer says */
	munmap(region, 4096);
	close(s.fd);
}

TEST_SUITE(client_attach)
{
	TEST(without_a_daemon_the_reason_is_told);
	TEST(the_environment_names_the_socket);
	TEST(refusals_are_passed_on);
	TEST(strange_answers_are_refused);
}
