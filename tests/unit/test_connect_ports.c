/* SPDX-License-Identifier: BSD-3-Clause */
/* More connections out than one address has ports: it is the four-tuple that tells them apart. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sock/port_table.h"
#include "support/host.h"

#define PORTS       (PORT_EPHEMERAL_LAST - PORT_EPHEMERAL_FIRST + 1u)
#define SECOND_ADDR 0xc6120101u /* 198.18.1.1, the host's as well */
#define SERVER_PORT 80 /* and the ones after it */
#define SERVER_ISN  0x20000000u
#define CONNECTIONS 100000u
#define LOOKS       8 /* calls of connect that together look at every port */

static struct host *h;
static struct app_sock socks[CONNECTIONS];
static uint32_t count; /* of them */

static void begin(void)
{
	struct host_config config = host_config_default();
	struct netif_config second = {.prefix_length = HOST_PREFIX,
				      .address = inet_addr_v4(htonl(SECOND_ADDR))};

	config.worker.max_socks = CONNECTIONS + 128;
	config.session.slots_per_worker = CONNECTIONS + 8;
	config.check_seldom = true;
	h = host_new(&config);
	second.port = &h->link.port;
	REQUIRE(worker_add_netif(h->w, &second) > 0);
	host_settle(h);
	host_drain(h); /* its announcement */
	count = 0;
}

/* The server's SYN-ACK for the SYN just sent, and its end of the handshake; the port it came from. */
static uint16_t shake_hands(uint32_t from, uint16_t to)
{
	struct frame *f = host_pop(h);
	struct seen syn = FRAME_SEE(f);
	struct build b;

	free(f);
	REQUIRE_EQ(syn.tcp.flags, TH_SYN);
	CHECK_EQ(syn.ip_source, from);
	CHECK_EQ(syn.destination_port, to);
	build_start(&b);
	build_eth(&b, &host_mac, &peer_mac, RTE_ETHER_TYPE_IPV4);
	build_ipv4(&b, IPPROTO_TCP, PEER_ADDR, from);
	build_tcp(&b, to, syn.source_port, SERVER_ISN, syn.tcp.seq + 1, TH_SYN | TH_ACK, 65535);
	build_finish(&b);
	host_inject(h, &b);
	host_poll(h);
	HOST_EXPECT(h, IS_TCP, TCP_FLAGS_ARE(TH_ACK));
	CHECK_RANGE(syn.source_port, PORT_EPHEMERAL_FIRST, PORT_EPHEMERAL_LAST);
	return syn.source_port;
}

static uint16_t port_of(const struct app_sock *s)
{
	return ntohs(((const struct inet_sock *)host_sock(s))->flow.local_port);
}

/* One more sock connects, bound to the second address if it is to come from there: its port. */
static uint16_t connect_from(uint32_t from, uint16_t to)
{
	struct app_sock *s = &socks[count++];

	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, s), 0);
	if (from != HOST_ADDR)
		REQUIRE_EQ(app_bind(s, from, 0), 0);
	REQUIRE_EQ(app_connect(s, PEER_ADDR, to), 0);
	return shake_hands(from, to);
}

static void connect_many(uint32_t from, uint16_t to, uint32_t how_many)
{
	static bool used[UINT16_MAX + 1];

	memset(used, 0, sizeof(used));
	for (uint32_t i = 0; i < how_many; i++) {
		uint16_t port = connect_from(from, to);

		CHECK(!used[port]);
		used[port] = true;
	}
}

/* From here on the test is over soon: no FIN is waited for. */
static void end(void)
{
	host_end_session(h);
	host_drain(h);
	host_end(h);
}

static void to_one_server_there_are_as_many_connections_as_ports(void)
{
	const struct linger abort = {.l_onoff = 1};
	struct app_sock *s = &socks[PORTS], one_more;
	int result = -EADDRNOTAVAIL;
	uint16_t port;

	begin();
	connect_many(HOST_ADDR, SERVER_PORT, PORTS);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, s), 0);
	CHECK_EQ(app_connect(s, PEER_ADDR, SERVER_PORT), -EADDRNOTAVAIL);
	CHECK_EQ(app_connect(s, PEER_ADDR, SERVER_PORT), -EADDRNOTAVAIL);
	HOST_EXPECT_NOTHING(h);
	/* All ports have a connection; towards another server each can be used once more. */
	CHECK_EQ(app_connect(s, PEER_ADDR, SERVER_PORT + 1), 0);
	(void)shake_hands(HOST_ADDR, SERVER_PORT + 1);
	CHECK_EQ(host_state(s), TCP_ESTABLISHED);

	/* A port that came free is found again. */
	port = port_of(&socks[7]);
	REQUIRE_EQ(app_setsockopt(&socks[7], SOL_SOCKET, SO_LINGER, &abort, sizeof(abort)), 0);
	REQUIRE_EQ(app_close(&socks[7]), 0);
	HOST_EXPECT(h, IS_TCP, TCP_FLAGS_ARE(TH_RST | TH_ACK), SOURCE_PORT_IS(port));
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &one_more), 0);
	/* Each call looks at a part of them, so that none keeps the worker from its other work. */
	for (int i = 0; i < LOOKS && result == -EADDRNOTAVAIL; i++)
		result = app_connect(&one_more, PEER_ADDR, SERVER_PORT);
	CHECK_EQ(result, 0);
	CHECK_EQ(shake_hands(HOST_ADDR, SERVER_PORT), port);
	end();
}

static void every_address_and_every_server_has_ports_of_its_own(void)
{
	struct app_sock one_more;

	begin();
	connect_many(HOST_ADDR, SERVER_PORT, PORTS);
	connect_many(HOST_ADDR, SERVER_PORT + 1, PORTS);
	connect_many(HOST_ADDR, SERVER_PORT + 2, CONNECTIONS - 3 * PORTS);
	connect_many(SECOND_ADDR, SERVER_PORT, PORTS);
	/* What bind chose no connection borrows, not even from another address. */
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &one_more), 0);
	CHECK_EQ(app_connect(&one_more, PEER_ADDR, SERVER_PORT + 3), -EADDRNOTAVAIL);
	REQUIRE_EQ(app_close(&one_more), 0);
	CHECK_EQ(h->w->sock_count, CONNECTIONS);
	for (uint32_t i = 0; i < count; i++)
		CHECK_EQ(host_state(&socks[i]), TCP_ESTABLISHED);
	end();
}

/* As under Linux without IP_BIND_ADDRESS_NO_PORT: bind does not know to whom the sock will connect. */
static void a_port_chosen_by_bind_is_the_socks_alone(void)
{
	struct app_sock *s = &socks[PORTS];

	begin();
	for (count = 0; count < PORTS; count++) {
		REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &socks[count]), 0);
		REQUIRE_EQ(app_bind(&socks[count], SECOND_ADDR, 0), 0);
	}
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, s), 0);
	CHECK_EQ(app_bind(s, SECOND_ADDR, 0), -EADDRINUSE);
	CHECK_EQ(app_bind(s, HOST_ADDR, 0), 0);
	/* One of the two who had that port is gone: it still has an owner. */
	REQUIRE_EQ(app_close(s), 0);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, s), 0);
	CHECK_EQ(app_bind(s, SECOND_ADDR, 0), -EADDRINUSE);
	end();
}

static void bind_finds_the_one_port_that_came_free_wherever_it_is(void)
{
	/* The first one, the last one, and such at the ends of words of 64. */
	static const uint32_t places[] = {0, PORTS - 1, 63, 64, PORTS - 8, PORTS / 2};
	struct app_sock *last = &socks[PORTS];
	static uint32_t owner[UINT16_MAX + 1];

	begin();
	for (count = 0; count < PORTS; count++) {
		REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &socks[count]), 0);
		REQUIRE_EQ(app_bind(&socks[count], SECOND_ADDR, 0), 0);
		owner[port_of(&socks[count])] = count;
	}
	for (uint32_t i = 0; i < RTE_DIM(places); i++) {
		uint16_t port = (uint16_t)(PORT_EPHEMERAL_FIRST + places[i]);

		REQUIRE_EQ(app_close(&socks[owner[port]]), 0);
		REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, last), 0);
		CHECK_EQ(app_bind(last, SECOND_ADDR, 0), 0);
		CHECK_EQ(port_of(last), port);
		socks[owner[port]] = *last;
	}
	end();
}

TEST_SUITE(connect_ports)
{
	TEST(to_one_server_there_are_as_many_connections_as_ports);
	TEST(every_address_and_every_server_has_ports_of_its_own);
	TEST(a_port_chosen_by_bind_is_the_socks_alone);
	TEST(bind_finds_the_one_port_that_came_free_wherever_it_is);
}
