/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/fakeproto.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "shm/ring.h"
#include "sock/port_table.h"

struct fake_calls fake_calls;

static const struct proto fake_proto;

static struct sock *fake_create(struct worker *w, uint8_t family)
{
	struct fake_sock *f;

	if (fake_calls.fail_create > 0) {
		fake_calls.fail_create--;
		return NULL;
	}
	f = calloc(1, sizeof(*f));
	sock_init(w, &f->ics.inet.sk, &fake_proto, family);
	f->ics.inet.flow.family = family;
	f->ics.inet.flow.protocol = IPPROTO_TCP;
	fake_calls.created++;
	return &f->ics.inet.sk;
}

static int fake_bind(struct worker *w, struct sock *sk, const struct leat_addr *addr)
{
	struct inet_sock *inet = &fake_ics(sk)->inet;

	inet->flow.local = leat_addr_inet(addr);
	inet->flow.local_port = addr->port;
	return port_bind(w, inet);
}

static int fake_listen_op(struct worker *w, struct sock *sk, int backlog)
{
	return listener_open(w, fake_ics(sk), backlog);
}

static int fake_connect(struct worker *w, struct sock *sk, const struct leat_addr *addr)
{
	struct inet_sock *inet = &fake_ics(sk)->inet;

	inet->flow.remote = leat_addr_inet(addr);
	inet->flow.remote_port = addr->port;
	sock_raise(w, sk, LEAT_EV_OUT | LEAT_EV_CONNECTED);
	return 0;
}

static int fake_shutdown(struct worker *w, struct sock *sk, int how)
{
	(void)w;
	(void)sk;
	fake_calls.shutdown++;
	fake_calls.last_how = how;
	return 0;
}

static int fake_option(struct worker *w, struct sock *sk, const struct sock_option *option)
{
	(void)w;
	(void)sk;
	(void)option;
	return -ENOPROTOOPT;
}

static int fake_get_option(struct worker *w, struct sock *sk, struct sock_option *option)
{
	(void)w;
	(void)sk;
	(void)option;
	return -ENOPROTOOPT;
}

static void fake_sync(struct worker *w, struct sock *sk)
{
	(void)w;
	(void)sk;
	fake_calls.synced++;
}

static void fake_free(struct worker *w, struct sock *sk)
{
	listener_remove(w, fake_ics(sk));
	port_unbind(w, &fake_ics(sk)->inet);
	sock_fini(w, sk);
	free(sk);
}

static void fake_close(struct worker *w, struct sock *sk, bool abort)
{
	if (abort)
		fake_calls.aborted++;
	else
		fake_calls.closed++;
	if (sk->flags & SOCK_LISTENER)
		listener_close(w, fake_ics(sk));
	fake_free(w, sk);
}

static void fake_output(struct worker *w, struct sock *sk)
{
	(void)w;
	(void)sk;
	fake_calls.output++;
}

static const struct proto fake_proto = {
	.name = "fake",
	.protocol = IPPROTO_TCP,
	.type = SOCK_STREAM,
	.create = fake_create,
	.bind = fake_bind,
	.listen = fake_listen_op,
	.connect = fake_connect,
	.shutdown = fake_shutdown,
	.setsockopt = fake_option,
	.getsockopt = fake_get_option,
	.sync = fake_sync,
	.close = fake_close,
	.output = fake_output,
};

static const struct proto *const fake_protos[] = {&fake_proto, NULL};

void fake_use(struct host *h)
{
	for (uint16_t id = 0; id < h->config.workers; id++)
		h->worker[id]->protos = fake_protos;
	fake_calls = (struct fake_calls){.created = 0};
}

void fake_listen(struct host *h, struct app_sock *s, uint16_t port, int backlog)
{
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, s), 0);
	REQUIRE_EQ(app_bind(s, h->config.address, port), 0);
	REQUIRE_EQ(app_listen(s, backlog), 0);
}

int fake_establish(struct app_sock *listener, uint16_t peer_port, struct sock **out)
{
	struct host *h = listener->app->host;
	struct worker *w = h->worker[listener->worker];
	struct inet_connection_sock *parent = fake_ics(host_sock(listener));
	struct sock *sk = fake_create(w, AF_INET);
	struct inet_connection_sock *child = fake_ics(sk);
	int result;

	child->inet.flow.local = parent->inet.flow.local;
	child->inet.flow.local_port = parent->inet.flow.local_port;
	child->inet.flow.remote = inet_addr_v4(htonl(h->config.peer_address));
	child->inet.flow.remote_port = htons(peer_port);
	result = listener_add(w, parent, child);
	if (result != 0) {
		fake_free(w, sk);
		sk = NULL;
	}
	if (out != NULL)
		*out = sk;
	return result;
}

void fake_end(struct worker *w, struct sock *sk)
{
	listener_remove(w, fake_ics(sk));
	if (!sock_is_detached(sk)) {
		sock_raise(w, sk, LEAT_EV_HUP);
		return; /* an application has it: freed when that closes */
	}
	fake_free(w, sk);
}

int fake_receive(struct worker *w, struct sock *sk, uint32_t length)
{
	uint8_t *bytes = malloc(length);
	int result;

	pattern_fill(bytes, sk->ring.rx_tail, length);
	result = rx_ring_write_bytes(w, &sk->ring, sk->ring.rx_tail, bytes, length);
	free(bytes);
	if (result == 0) {
		rx_ring_advance(&sk->ring, length);
		sock_raise(w, sk, LEAT_EV_IN);
	}
	return result;
}
