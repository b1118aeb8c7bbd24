/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 826; RFC 1122, section 2.3.2. */
#include "net/arp.h"

#include <rte_arp.h>

#include "net/ip_tx.h"
#include "net/route.h"
#include "support/host.h"

static struct host *h;
static struct build b;
static unsigned learned;

static const struct rte_ether_addr broadcast = {.addr_bytes = {255, 255, 255, 255, 255, 255}};
static const struct rte_ether_addr other_mac = {.addr_bytes = {2, 0, 0, 0, 0, 77}};
static const struct rte_ether_addr nobody;

static void on_learned(void *arg, struct worker *w, uint8_t netif, const struct inet_addr *a,
		       const struct rte_ether_addr *mac)
{
	(void)arg;
	(void)w;
	(void)netif;
	(void)a;
	(void)mac;
	learned++;
}

static const struct worker_listener listener = {.neigh_learned = on_learned};

/* A host that knows nobody. */
static void begin(void)
{
	struct host_config c = host_config_default();

	c.know_peer = false;
	c.answer_arp = false;
	h = host_new(&c);
	learned = 0;
}

static void listen_for_news(void)
{
	static struct worker_listener both;

	both = *h->w->listener;
	both.neigh_learned = listener.neigh_learned;
	h->w->listener = &both;
}

static void end(void)
{
	host_end(h);
}

static struct inet_addr address(uint32_t host_order)
{
	return inet_addr_v4(rte_cpu_to_be_32(host_order));
}

static struct neigh *neigh(uint32_t host_order)
{
	struct inet_addr a = address(host_order);

	return neigh_get(h->w, h->w->netif[0], &a);
}

static void receive(uint16_t operation, const struct rte_ether_addr *mac, uint32_t sender,
		    uint32_t target)
{
	build_start(&b);
	build_eth(&b, operation == RTE_ARP_OP_REQUEST ? &broadcast : &host_mac, mac,
		  RTE_ETHER_TYPE_ARP);
	build_arp(&b, operation, mac, sender, operation == RTE_ARP_OP_REQUEST ? &nobody : &host_mac,
		  target);
	build_finish(&b);
	host_inject(h, &b);
	host_settle(h);
}

/* One UDP packet whose payload is n, to be told from others. */
static void send_to(uint32_t to, uint8_t n)
{
	struct rte_mbuf *m = worker_mbuf(h->w);
	struct rte_udp_hdr *udp = (void *)rte_pktmbuf_append(m, sizeof(*udp) + 1);
	struct flow flow = {
		.local = address(HOST_ADDR),
		.remote = address(to),
		.local_port = RTE_BE16(1000),
		.remote_port = RTE_BE16(2000),
		.family = AF_INET,
		.protocol = IPPROTO_UDP,
	};
	struct dst dst = {0};
	struct ip_tx how = {.dst = &dst, .flow = &flow, .ttl = IP_TTL_DEFAULT};

	*udp = (struct rte_udp_hdr){.src_port = flow.local_port,
				    .dst_port = flow.remote_port,
				    .dgram_len = RTE_BE16(sizeof(*udp) + 1)};
	*(uint8_t *)(udp + 1) = n;
	CHECK_EQ(ip_tx(h->w, &how, m), 0);
	host_settle(h);
}

static void expect_packet(uint8_t n, const struct rte_ether_addr *to)
{
	struct frame *f = host_pop(h);

	if (CHECK_FRAME(f, IS_UDP, PAYLOAD_IS(1), ETH_TO(to)))
		CHECK_EQ(f->data[f->length - 1], n);
	free(f);
}

static void expect_request(const struct rte_ether_addr *to)
{
	HOST_EXPECT(h, IS_ARP, ARP_OPERATION_IS(RTE_ARP_OP_REQUEST), ARP_SENDER_IS(HOST_ADDR),
		    ARP_TARGET_IS(PEER_ADDR), ETH_TO(to));
}

static void resolve(void)
{
	send_to(PEER_ADDR, 0);
	expect_request(&broadcast);
	receive(RTE_ARP_OP_REPLY, &peer_mac, PEER_ADDR, HOST_ADDR);
	expect_packet(0, &peer_mac);
	CHECK_EQ(neigh(PEER_ADDR)->state, NEIGH_REACHABLE);
}

static void announces_itself_at_start(void)
{
	begin();
	arp_announce(h->w, h->w->netif[0]);
	host_settle(h);
	HOST_EXPECT(h, IS_ARP, ARP_OPERATION_IS(RTE_ARP_OP_REQUEST), ARP_SENDER_IS(HOST_ADDR),
		    ARP_TARGET_IS(HOST_ADDR), ETH_TO(&broadcast), ETH_FROM(&host_mac));
	end();
}

static void answers_requests_for_its_address(void)
{
	begin();
	receive(RTE_ARP_OP_REQUEST, &peer_mac, PEER_ADDR, HOST_ADDR);
	HOST_EXPECT(h, IS_ARP, ARP_OPERATION_IS(RTE_ARP_OP_REPLY), ARP_SENDER_IS(HOST_ADDR),
		    ARP_TARGET_IS(PEER_ADDR), ETH_TO(&peer_mac), LENGTH_IS(42));
	receive(RTE_ARP_OP_REQUEST, &peer_mac, PEER_ADDR, HOST_ADDR + 9);
	HOST_EXPECT_NOTHING(h);
	end();
}

/* RFC 5227: a probe has no sender address, and gets its answer without entering the table. */
static void answers_probes(void)
{
	begin();
	listen_for_news();
	receive(RTE_ARP_OP_REQUEST, &peer_mac, 0, HOST_ADDR);
	HOST_EXPECT(h, IS_ARP, ARP_OPERATION_IS(RTE_ARP_OP_REPLY), ARP_TARGET_IS(0));
	CHECK_EQ(learned, 0);
	end();
}

static void packets_wait_for_the_answer_in_order(void)
{
	begin();
	send_to(PEER_ADDR, 1);
	expect_request(&broadcast);
	send_to(PEER_ADDR, 2);
	HOST_EXPECT_NOTHING(h);
	receive(RTE_ARP_OP_REPLY, &peer_mac, PEER_ADDR, HOST_ADDR);
	expect_packet(1, &peer_mac);
	expect_packet(2, &peer_mac);
	CHECK_EQ(h->w->wheel.armed, 0);
	end();
}

/* RFC 1122, section 2.3.2.2: at least the latest is saved. */
static void the_oldest_waiting_packet_makes_room(void)
{
	begin();
	for (unsigned i = 0; i < NEIGH_PENDING_MAX + 3; i++)
		send_to(PEER_ADDR, i);
	CHECK_EQ(host_counter(h, CNT_arp_pending_full), 3);
	expect_request(&broadcast);
	receive(RTE_ARP_OP_REPLY, &peer_mac, PEER_ADDR, HOST_ADDR);
	for (unsigned i = 0; i < NEIGH_PENDING_MAX; i++)
		expect_packet(i + 3, &peer_mac);
	HOST_EXPECT_NOTHING(h);
	end();
}

/* RFC 1122, section 2.3.2.1: at most one request a second. */
static void asks_again_and_then_gives_up(void)
{
	begin();
	send_to(PEER_ADDR, 1);
	for (unsigned i = 0; i < ARP_RETRIES; i++) {
		expect_request(&broadcast);
		host_advance_ms(h, ARP_RETRY_MS - 1);
		HOST_EXPECT_NOTHING(h);
		host_advance_ms(h, 1);
	}
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(neigh(PEER_ADDR)->state, NEIGH_FAILED);
	CHECK_EQ(host_counter(h, CNT_arp_unresolved), 1);
	CHECK_EQ(host_counter(h, CNT_arp_tx_request), 1 + ARP_RETRIES);
	end();
}

static void a_failed_neighbour_is_asked_again_later(void)
{
	begin();
	send_to(PEER_ADDR, 1);
	host_advance_ms(h, ARP_RETRIES * ARP_RETRY_MS);
	host_drain(h);
	send_to(PEER_ADDR, 2);
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(host_counter(h, CNT_arp_unresolved), 2);
	host_advance_ms(h, ARP_RETRY_MS);
	send_to(PEER_ADDR, 3);
	expect_request(&broadcast);
	receive(RTE_ARP_OP_REPLY, &peer_mac, PEER_ADDR, HOST_ADDR);
	expect_packet(3, &peer_mac);
	end();
}

/* A connection attempt to a neighbour that is not there. */
static void the_protocol_learns_that_nobody_answered(void)
{
	struct app_sock s;

	begin();
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	REQUIRE_EQ(app_connect(&s, PEER_ADDR, 80), 0);
	host_settle(h);
	expect_request(&broadcast);
	host_advance_ms(h, ARP_RETRIES * ARP_RETRY_MS + 1);
	CHECK_EQ(host_sock(&s)->error, EHOSTUNREACH);
	CHECK_EQ(app_close(&s), 0);
	end();
}

/* RFC 1122 section 3.3.1.4: a transport's word that nothing comes back. */
static void a_doubted_neighbour_is_asked_while_packets_flow(void)
{
	begin();
	neigh_doubt(h->w, neigh(PEER_ADDR)); /* nobody knows it yet: nothing to doubt */
	resolve();
	neigh_doubt(h->w, neigh(PEER_ADDR)); /* it has just answered */
	send_to(PEER_ADDR, 0);
	expect_packet(0, &peer_mac);
	host_advance_ms(h, ARP_RETRY_MS);
	neigh_doubt(h->w, neigh(PEER_ADDR));
	HOST_EXPECT_NOTHING(h);
	send_to(PEER_ADDR, 1);
	expect_request(&peer_mac);
	expect_packet(1, &peer_mac);
	receive(RTE_ARP_OP_REPLY, &peer_mac, PEER_ADDR, HOST_ADDR);
	CHECK_EQ(neigh(PEER_ADDR)->state, NEIGH_REACHABLE);
	end();
}

static void an_old_answer_is_checked_while_packets_flow(void)
{
	begin();
	resolve();
	host_advance_ms(h, NEIGH_REACHABLE_MS);
	HOST_EXPECT_NOTHING(h); /* nobody sends, nobody asks */
	send_to(PEER_ADDR, 1);
	expect_request(&peer_mac); /* by unicast */
	expect_packet(1, &peer_mac);
	CHECK_EQ(neigh(PEER_ADDR)->state, NEIGH_STALE);
	receive(RTE_ARP_OP_REPLY, &peer_mac, PEER_ADDR, HOST_ADDR);
	CHECK_EQ(neigh(PEER_ADDR)->state, NEIGH_REACHABLE);
	send_to(PEER_ADDR, 2);
	expect_packet(2, &peer_mac);
	HOST_EXPECT_NOTHING(h);
	end();
}

static void a_neighbour_that_fell_silent_is_looked_for_and_lost(void)
{
	begin();
	resolve();
	host_advance_ms(h, NEIGH_REACHABLE_MS);
	send_to(PEER_ADDR, 1);
	for (unsigned i = 0; i < ARP_RETRIES; i++) {
		struct frame *f = host_pop(h);

		CHECK_FRAME(f, IS_ARP, ETH_TO(&peer_mac));
		free(f);
		if (i == 0)
			expect_packet(1, &peer_mac);
		host_advance_ms(h, ARP_RETRY_MS);
	}
	for (unsigned i = 0; i < ARP_RETRIES; i++) {
		expect_request(&broadcast);
		host_advance_ms(h, ARP_RETRY_MS);
	}
	CHECK_EQ(neigh(PEER_ADDR)->state, NEIGH_FAILED);
	end();
}

/* RFC 826: "if the pair is already in the table, update". */
static void a_neighbour_that_moved_is_followed(void)
{
	begin();
	listen_for_news();
	resolve();
	CHECK_EQ(learned, 1);
	receive(RTE_ARP_OP_REQUEST, &other_mac, PEER_ADDR, PEER_ADDR);
	CHECK_EQ(learned, 2);
	send_to(PEER_ADDR, 1);
	expect_request(&other_mac); /* unasked news is checked */
	expect_packet(1, &other_mac);
	receive(RTE_ARP_OP_REPLY, &other_mac, PEER_ADDR, HOST_ADDR);
	CHECK_EQ(neigh(PEER_ADDR)->state, NEIGH_REACHABLE);
	end();
}

/* ... "if target protocol address is mine, add". */
static void only_who_speaks_to_us_enters_the_table(void)
{
	begin();
	listen_for_news();
	receive(RTE_ARP_OP_REQUEST, &peer_mac, PEER_ADDR, HOST_ADDR + 50);
	receive(RTE_ARP_OP_REQUEST, &peer_mac, PEER_ADDR, PEER_ADDR);
	CHECK_EQ(learned, 0);
	receive(RTE_ARP_OP_REQUEST, &peer_mac, PEER_ADDR, HOST_ADDR);
	CHECK_EQ(learned, 1);
	CHECK_EQ(neigh(PEER_ADDR)->state, NEIGH_STALE);
	/* Not from outside the prefix, where ARP does not reach. */
	receive(RTE_ARP_OP_REQUEST, &other_mac, 0xc0000201, HOST_ADDR);
	CHECK_EQ(learned, 1);
	host_drain(h);
	end();
}

static void an_answer_is_passed_on_even_when_it_is_no_news(void)
{
	begin();
	listen_for_news();
	resolve();
	receive(RTE_ARP_OP_REPLY, &peer_mac, PEER_ADDR, HOST_ADDR);
	CHECK_EQ(learned, 2);
	end();
}

static void what_another_worker_learned_frees_waiting_packets(void)
{
	struct inet_addr peer = address(PEER_ADDR);

	begin();
	listen_for_news();
	send_to(PEER_ADDR, 1);
	expect_request(&broadcast);
	neigh_update(h->w, h->w->netif[0], &peer, &peer_mac);
	host_settle(h);
	expect_packet(1, &peer_mac);
	CHECK_EQ(learned, 0);
	end();
}

static void our_address_used_by_another_is_counted(void)
{
	begin();
	receive(RTE_ARP_OP_REQUEST, &other_mac, HOST_ADDR, HOST_ADDR);
	CHECK_EQ(host_counter(h, CNT_arp_conflict), 1);
	receive(RTE_ARP_OP_REQUEST, &host_mac, HOST_ADDR, HOST_ADDR); /* an echo of our own */
	CHECK_EQ(host_counter(h, CNT_arp_conflict), 1);
	HOST_EXPECT_NOTHING(h);
	end();
}

static void malformed_messages_are_counted(void)
{
	static const struct {
		uint32_t offset;
		uint8_t value;
		enum counter why;
	} wrong[] = {
		{0, 9, CNT_arp_format}, /* hardware */
		{2, 9, CNT_arp_format}, /* protocol */
		{4, 5, CNT_arp_format}, /* hardware length */
		{5, 6, CNT_arp_format}, /* protocol length */
		{7, 3, CNT_arp_format}, /* operation */
		{8, 1, CNT_arp_sender}, /* multicast hardware address */
		{14, 0xe0, CNT_arp_sender}, /* multicast protocol address */
	};

	begin();
	for (unsigned i = 0; i < RTE_DIM(wrong); i++) {
		uint64_t before = host_counter(h, wrong[i].why);

		receive(RTE_ARP_OP_REQUEST, &peer_mac, PEER_ADDR, HOST_ADDR + 1);
		b.data[RTE_ETHER_HDR_LEN + wrong[i].offset] = wrong[i].value;
		host_inject(h, &b);
		host_settle(h);
		CHECK_EQ(host_counter(h, wrong[i].why), before + 1);
	}
	receive(RTE_ARP_OP_REQUEST, &peer_mac, PEER_ADDR, HOST_ADDR + 1);
	for (uint32_t length = RTE_ETHER_HDR_LEN; length < RTE_ETHER_HDR_LEN + 28; length++) {
		build_truncate(&b, length);
		host_inject(h, &b);
		host_settle(h);
		b.length = RTE_ETHER_HDR_LEN + 28;
	}
	CHECK_EQ(host_counter(h, CNT_arp_short), 28);
	HOST_EXPECT_NOTHING(h);
	end();
}

static void a_full_table_gives_up_what_failed_but_nothing_in_use(void)
{
	struct neigh_table *whole;
	struct inet_addr peer = address(PEER_ADDR);
	struct inet_addr a, c;
	uint32_t generation;

	begin();
	whole = h->w->neighbours;
	h->w->neighbours = neigh_table_create(h->w, 8);
	a = address(HOST_ADDR + 10);
	for (uint32_t i = 0; i < 7; i++) {
		a = address(HOST_ADDR + 10 + i);
		neigh_update(h->w, h->w->netif[0], &a, &other_mac);
	}
	CHECK(neigh_get(h->w, h->w->netif[0], &peer) != NULL); /* nobody asked it: not in use */
	generation = h->w->route_generation;
	a = address(HOST_ADDR + 20);
	neigh_update(h->w, h->w->netif[0], &a, &other_mac);
	CHECK(h->w->route_generation != generation); /* pointers to the one that went are void */
	c = address(HOST_ADDR + 30);
	CHECK(neigh_get(h->w, h->w->netif[0], &c) == NULL);
	/* Not confirmed for long: they may go. */
	host_advance_ms(h, NEIGH_REACHABLE_MS);
	CHECK(neigh_get(h->w, h->w->netif[0], &c) != NULL);
	neigh_table_free(h->w, h->w->neighbours);
	h->w->neighbours = whole;
	end();
}

static void a_table_is_freed_with_what_waits_in_it(void)
{
	begin();
	send_to(PEER_ADDR, 1);
	neigh_table_free(h->w, h->w->neighbours);
	h->w->neighbours = neigh_table_create(h->w, 8);
	CHECK_EQ(h->w->wheel.armed, 0);
	host_drain(h);
	end();
}

TEST_SUITE(arp)
{
	TEST(announces_itself_at_start);
	TEST(answers_requests_for_its_address);
	TEST(answers_probes);
	TEST(packets_wait_for_the_answer_in_order);
	TEST(the_oldest_waiting_packet_makes_room);
	TEST(asks_again_and_then_gives_up);
	TEST(a_failed_neighbour_is_asked_again_later);
	TEST(the_protocol_learns_that_nobody_answered);
	TEST(a_doubted_neighbour_is_asked_while_packets_flow);
	TEST(an_old_answer_is_checked_while_packets_flow);
	TEST(a_neighbour_that_fell_silent_is_looked_for_and_lost);
	TEST(a_neighbour_that_moved_is_followed);
	TEST(only_who_speaks_to_us_enters_the_table);
	TEST(an_answer_is_passed_on_even_when_it_is_no_news);
	TEST(what_another_worker_learned_frees_waiting_packets);
	TEST(our_address_used_by_another_is_counted);
	TEST(malformed_messages_are_counted);
	TEST(a_full_table_gives_up_what_failed_but_nothing_in_use);
	TEST(a_table_is_freed_with_what_waits_in_it);
}
