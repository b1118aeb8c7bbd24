/* SPDX-License-Identifier: BSD-3-Clause */
/* Binding, the choice of ephemeral ports (RFC 6056), and who gets an incoming flow. */
#include "sock/port_table.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "sock/sock_table.h"
#include "support/host.h"

static struct host *h;

static struct inet_sock *sock_at(struct inet_sock *inet, uint32_t address, uint16_t port)
{
	memset(inet, 0, sizeof(*inet));
	inet->sk.family = inet->flow.family = AF_INET;
	inet->flow.protocol = IPPROTO_TCP;
	inet->flow.local = inet_addr_v4(htonl(address));
	inet->flow.local_port = htons(port);
	return inet;
}

static int bind_at(struct inet_sock *inet, uint32_t address, uint16_t port, uint32_t flags)
{
	sock_at(inet, address, port)->sk.flags = flags;
	return port_bind(h->w, inet);
}

static struct flow flow_to(uint32_t address, uint16_t port, uint16_t from)
{
	struct flow f = {
		.family = AF_INET,
		.protocol = IPPROTO_TCP,
		.local = inet_addr_v4(htonl(address)),
		.local_port = htons(port),
		.remote = inet_addr_v4(htonl(PEER_ADDR)),
		.remote_port = htons(from),
	};

	return f;
}

static void one_port_and_address_is_bound_once(void)
{
	struct inet_sock a, b;

	h = host_new(NULL);
	CHECK_EQ(bind_at(&a, HOST_ADDR, 80, 0), 0);
	CHECK_EQ(bind_at(&b, HOST_ADDR, 80, 0), -EADDRINUSE);
	CHECK_EQ(bind_at(&b, 0, 80, 0), -EADDRINUSE); /* any overlaps every address */
	CHECK_EQ(bind_at(&b, HOST_ADDR + 7, 80, 0), 0);
	port_unbind(h->w, &b);
	CHECK_EQ(bind_at(&b, HOST_ADDR, 81, 0), 0);
	port_unbind(h->w, &b);
	sock_at(&b, HOST_ADDR, 80)->flow.protocol = IPPROTO_UDP; /* a space of its own */
	CHECK_EQ(port_bind(h->w, &b), 0);
	port_unbind(h->w, &b);
	port_unbind(h->w, &a);
	port_unbind(h->w, &a); /* not bound any more: no effect */
	CHECK_EQ(bind_at(&b, HOST_ADDR, 80, 0), 0);
	port_unbind(h->w, &b);
	host_end(h);
}

static void reuseaddr_on_both_shares_unless_one_listens(void)
{
	struct inet_sock a, b;

	h = host_new(NULL);
	CHECK_EQ(bind_at(&a, HOST_ADDR, 80, SOCK_REUSEADDR), 0);
	CHECK_EQ(bind_at(&b, HOST_ADDR, 80, 0), -EADDRINUSE);
	CHECK_EQ(bind_at(&b, HOST_ADDR, 80, SOCK_REUSEADDR), 0);
	CHECK_EQ(port_may_listen(h->w, &a), 0);
	a.sk.flags |= SOCK_LISTENER;
	CHECK_EQ(port_may_listen(h->w, &b), -EADDRINUSE);
	port_unbind(h->w, &b);
	CHECK_EQ(bind_at(&b, HOST_ADDR, 80, SOCK_REUSEADDR), -EADDRINUSE);
	port_unbind(h->w, &a);
	host_end(h);
}

static void reuseport_on_both_always_shares(void)
{
	struct inet_sock a, b;

	h = host_new(NULL);
	CHECK_EQ(bind_at(&a, HOST_ADDR, 80, SOCK_REUSEPORT | SOCK_LISTENER), 0);
	CHECK_EQ(bind_at(&b, HOST_ADDR, 80, SOCK_REUSEADDR), -EADDRINUSE);
	CHECK_EQ(bind_at(&b, HOST_ADDR, 80, SOCK_REUSEPORT), 0);
	CHECK_EQ(port_may_listen(h->w, &b), 0);
	port_unbind(h->w, &a);
	port_unbind(h->w, &b);
	host_end(h);
}

static void reuseport_is_shared_within_one_user(void)
{
	static struct session session[3] = {
		{.config.uid = 7}, {.config.uid = 7}, {.config.uid = 8}};
	static struct arena arena[3];
	struct inet_sock s[3];

	h = host_new(NULL);
	for (int i = 0; i < 3; i++) {
		arena[i].session = &session[i];
		sock_at(&s[i], HOST_ADDR, 80)->sk.flags = SOCK_REUSEPORT;
		s[i].sk.ring.arena = &arena[i];
	}
	CHECK_EQ(port_bind(h->w, &s[0]), 0);
	CHECK_EQ(port_bind(h->w, &s[1]), 0);
	CHECK_EQ(port_bind(h->w, &s[2]), -EADDRINUSE); /* another user's */
	port_unbind(h->w, &s[0]);
	port_unbind(h->w, &s[1]);
	CHECK_EQ(port_bind(h->w, &s[2]), 0);
	port_unbind(h->w, &s[2]);
	host_end(h);
}

static void binding_to_port_zero_chooses_a_free_one(void)
{
	static struct inet_sock socks[200];

	h = host_new(NULL);
	for (int i = 0; i < 200; i++) {
		REQUIRE_EQ(bind_at(&socks[i], HOST_ADDR, 0, 0), 0);
		CHECK_RANGE(ntohs(socks[i].flow.local_port), PORT_EPHEMERAL_FIRST,
			    PORT_EPHEMERAL_LAST);
		for (int j = 0; j < i; j++)
			CHECK(socks[j].flow.local_port != socks[i].flow.local_port);
	}
	for (int i = 0; i < 200; i++)
		port_unbind(h->w, &socks[i]);
	host_end(h);
}

static void all_ephemeral_ports_taken_is_an_ordinary_result(void)
{
	static struct inet_sock socks[PORT_EPHEMERAL_LAST - PORT_EPHEMERAL_FIRST + 1];
	struct inet_sock one_more;
	uint32_t count = PORT_EPHEMERAL_LAST - PORT_EPHEMERAL_FIRST + 1;

	h = host_new(NULL);
	for (uint32_t i = 0; i < count; i++)
		REQUIRE_EQ(bind_at(&socks[i], HOST_ADDR, (uint16_t)(PORT_EPHEMERAL_FIRST + i), 0),
			   0);
	CHECK_EQ(bind_at(&one_more, HOST_ADDR, 0, 0), -EADDRINUSE);
	sock_at(&one_more, 0, 0);
	one_more.flow.remote = inet_addr_v4(htonl(PEER_ADDR));
	one_more.flow.remote_port = htons(80);
	CHECK_EQ(port_choose(h->w, &one_more), -EADDRNOTAVAIL); /* bound ones are not borrowed */
	for (uint32_t i = 0; i < count; i++)
		port_unbind(h->w, &socks[i]);
	host_end(h);
}

static void connections_get_distinct_ports_that_cannot_be_guessed(void)
{
	uint16_t last = 0, steps_of_one = 0;

	h = host_new(NULL);
	for (uint16_t i = 0; i < 100; i++) {
		struct inet_sock s;

		sock_at(&s, 0, 0);
		s.flow.remote = inet_addr_v4(htonl(PEER_ADDR));
		s.flow.remote_port = htons((uint16_t)(1 + i));
		REQUIRE_EQ(port_choose(h->w, &s), 0);
		CHECK_EQ(s.flow.local.v4, htonl(HOST_ADDR));
		CHECK_RANGE(ntohs(s.flow.local_port), PORT_EPHEMERAL_FIRST, PORT_EPHEMERAL_LAST);
		steps_of_one += ntohs(s.flow.local_port) == last + 1 ? 1 : 0;
		last = ntohs(s.flow.local_port);
	}
	/* RFC 6056, section 3.3.3: to different remotes the ports follow no simple sequence. */
	CHECK(steps_of_one < 5);
	host_end(h);
}

static void a_flow_in_use_is_not_chosen_again(void)
{
	struct inet_sock s[50];

	h = host_new(NULL);
	for (int i = 0; i < 50; i++) {
		sock_at(&s[i], 0, 0);
		s[i].flow.remote = inet_addr_v4(htonl(PEER_ADDR));
		s[i].flow.remote_port = htons(80);
		REQUIRE_EQ(port_choose(h->w, &s[i]), 0);
		REQUIRE_EQ(sock_table_add(h->w->socks_by_flow, &s[i].flow, 64), 0);
		for (int j = 0; j < i; j++)
			CHECK(s[j].flow.local_port != s[i].flow.local_port);
	}
	for (int i = 0; i < 50; i++)
		sock_table_delete(h->w->socks_by_flow, &s[i].flow);
	host_end(h);
}

static void the_most_specific_address_wins(void)
{
	struct inet_sock any, exact;
	struct flow to_host = flow_to(HOST_ADDR, 80, 5000);
	struct flow to_other = flow_to(HOST_ADDR + 7, 80, 5000);

	h = host_new(NULL);
	CHECK_EQ(bind_at(&any, 0, 80, SOCK_REUSEPORT | SOCK_LISTENER), 0);
	CHECK_EQ(bind_at(&exact, HOST_ADDR, 80, SOCK_REUSEPORT | SOCK_LISTENER), 0);
	CHECK(port_find(h->w, &to_host, true) == &exact);
	CHECK(port_find(h->w, &to_other, true) == &any);
	port_unbind(h->w, &exact);
	CHECK(port_find(h->w, &to_host, true) == &any);
	port_unbind(h->w, &any);
	CHECK(port_find(h->w, &to_host, true) == NULL);
	host_end(h);
}

static void only_listeners_hear_a_syn(void)
{
	struct inet_sock s;
	struct flow f = flow_to(HOST_ADDR, 80, 5000);

	h = host_new(NULL);
	CHECK_EQ(bind_at(&s, HOST_ADDR, 80, 0), 0);
	CHECK(port_find(h->w, &f, true) == NULL);
	CHECK(port_find(h->w, &f, false) == &s);
	s.sk.flags |= SOCK_LISTENER;
	CHECK(port_find(h->w, &f, true) == &s);
	s.sk.flags &= ~(uint32_t)SOCK_LISTENER;
	f.protocol = IPPROTO_UDP;
	CHECK(port_find(h->w, &f, false) == NULL);
	port_unbind(h->w, &s);
	host_end(h);
}

static void a_flow_chooses_among_equals_evenly_and_always_the_same(void)
{
	struct inet_sock s[4];
	unsigned hits[4] = {0};

	h = host_new(NULL);
	for (int i = 0; i < 4; i++)
		REQUIRE_EQ(bind_at(&s[i], HOST_ADDR, 80, SOCK_REUSEPORT | SOCK_LISTENER), 0);
	for (uint16_t from = 1024; from < 2024; from++) {
		struct flow f = flow_to(HOST_ADDR, 80, from);
		struct inet_sock *found = port_find(h->w, &f, true);

		REQUIRE(found >= &s[0] && found <= &s[3]);
		CHECK(port_find(h->w, &f, true) == found);
		hits[found - s]++;
	}
	for (int i = 0; i < 4; i++) {
		CHECK_RANGE(hits[i], 150, 350);
		port_unbind(h->w, &s[i]);
	}
	host_end(h);
}

static void a_chosen_port_brings_the_answers_to_this_worker(void)
{
	struct host_config config = host_config_default();

	config.workers = 2;
	h = host_new(&config);
	for (uint16_t id = 0; id < 2; id++) {
		for (uint16_t i = 0; i < 50; i++) {
			struct inet_sock s;

			sock_at(&s, 0, 0);
			s.flow.remote = inet_addr_v4(htonl(PEER_ADDR));
			s.flow.remote_port = htons((uint16_t)(1000 + i));
			REQUIRE_EQ(port_choose(h->worker[id], &s), 0);
			CHECK_EQ(port_flow_worker(&h->link.port, &s.flow), id);
		}
	}
	host_end(h);
}

TEST_SUITE(port_table)
{
	TEST(one_port_and_address_is_bound_once);
	TEST(reuseaddr_on_both_shares_unless_one_listens);
	TEST(reuseport_on_both_always_shares);
	TEST(reuseport_is_shared_within_one_user);
	TEST(binding_to_port_zero_chooses_a_free_one);
	TEST(all_ephemeral_ports_taken_is_an_ordinary_result);
	TEST(connections_get_distinct_ports_that_cannot_be_guessed);
	TEST(a_flow_in_use_is_not_chosen_again);
	TEST(the_most_specific_address_wins);
	TEST(only_listeners_hear_a_syn);
	TEST(a_flow_chooses_among_equals_evenly_and_always_the_same);
	TEST(a_chosen_port_brings_the_answers_to_this_worker);
}
