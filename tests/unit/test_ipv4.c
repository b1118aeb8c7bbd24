/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 791; RFC 1122, section 3.2.1. */
#include "net/ipv4.h"

#include <errno.h>

#include "net/ip_tx.h"
#include "support/packet_fixture.h"

/* The packet dies, for this reason. */
static void dies(enum counter why)
{
	uint64_t before = host_counter(h, why);

	receive();
	CHECK_EQ(host_counter(h, why), before + 1);
	HOST_EXPECT_NOTHING(h);
}

static void a_good_packet_passes(void)
{
	begin();
	build_echo(20);
	receive();
	HOST_EXPECT(h, IS_ICMP, IP_SOURCE_IS(HOST_ADDR), IP_DESTINATION_IS(PEER_ADDR),
		    IP_TTL_IS(IP_TTL_DEFAULT));
	end();
}

static void every_cut_of_the_header_is_counted(void)
{
	begin();
	build_echo(20);
	for (uint32_t length = 0; length < 20; length++) {
		build_echo(20);
		build_truncate(&b, RTE_ETHER_HDR_LEN + length);
		dies(CNT_ip_short);
	}
	end();
}

static void headers_that_lie_about_lengths(void)
{
	static const struct {
		uint8_t version_ihl;
		uint16_t total;
		enum counter why;
	} wrong[] = {
		{0x65, 48, CNT_ip_version},       {0x05, 48, CNT_ip_version},
		{0x44, 48, CNT_ip_header_length}, {0x40, 48, CNT_ip_header_length},
		{0x4f, 48, CNT_ip_header_length}, /* 60 bytes in a packet of 48 */
		{0x45, 19, CNT_ip_total_length},  {0x45, 0, CNT_ip_total_length},
		{0x45, 49, CNT_ip_total_length},  {0x45, 65535, CNT_ip_total_length},
		{0x46, 20, CNT_ip_total_length}, /* shorter than its own header */
	};

	begin();
	for (unsigned i = 0; i < RTE_DIM(wrong); i++) {
		build_echo(20);
		build_ipv4_header(&b)->version_ihl = wrong[i].version_ihl;
		build_ipv4_header(&b)->total_length = rte_cpu_to_be_16(wrong[i].total);
		dies(wrong[i].why);
	}
	end();
}

static void a_wrong_header_checksum_is_seen_in_every_byte(void)
{
	begin();
	for (uint32_t at = 8; at < 20; at++) { /* those before are checked for themselves */
		build_echo(20);
		b.data[b.network + at] ^= 0x40;
		dies(CNT_ip_checksum);
	}
	end();
}

static void impossible_sources_are_refused(void)
{
	static const uint32_t sources[] = {
		0x00000000, 0x7f000001,       0xe0000001, 0xffffffff,
		HOST_ADDR,  HOST_ADDR | 0xff, 0xf0000001, 0x00000001,
	};

	begin();
	for (unsigned i = 0; i < RTE_DIM(sources); i++) {
		build_echo(20);
		build_ipv4_header(&b)->src_addr = rte_cpu_to_be_32(sources[i]);
		build_checksums(&b);
		dies(CNT_ip_source);
	}
	end();
}

static void only_our_addresses_and_broadcasts_are_ours(void)
{
	begin();
	build_echo(20);
	build_ipv4_header(&b)->dst_addr = rte_cpu_to_be_32(HOST_ADDR + 7);
	build_checksums(&b);
	dies(CNT_ip_not_ours);
	build_ipv4_header(&b)->dst_addr = rte_cpu_to_be_32(0xe0000001);
	build_checksums(&b);
	dies(CNT_ip_not_ours);
	/* Taken, and refused by ICMP. */
	build_ipv4_header(&b)->dst_addr = rte_cpu_to_be_32(0xffffffff);
	build_checksums(&b);
	dies(CNT_icmp_broadcast);
	build_ipv4_header(&b)->dst_addr = rte_cpu_to_be_32(HOST_ADDR | 0xff);
	build_checksums(&b);
	dies(CNT_icmp_broadcast);
	end();
}

static void fragments_are_counted(void)
{
	static const uint16_t offsets[] = {RTE_IPV4_HDR_MF_FLAG, 1, RTE_IPV4_HDR_MF_FLAG | 100,
					   RTE_IPV4_HDR_OFFSET_MASK};

	begin();
	for (unsigned i = 0; i < RTE_DIM(offsets); i++) {
		build_echo(20);
		build_ipv4_header(&b)->fragment_offset = rte_cpu_to_be_16(offsets[i]);
		build_checksums(&b);
		dies(CNT_ip_fragment);
	}
	build_echo(20);
	build_ipv4_header(&b)->fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
	build_checksums(&b);
	receive();
	CHECK_EQ(host_drain(h), 1);
	end();
}

static void build_with_option(const void *option, uint32_t length)
{
	host_build_ipv4(h, &b, IPPROTO_ICMP);
	build_ip_option(&b, option, length);
	build_icmp(&b, ICMP_ECHO, 0, 0);
	build_finish(&b);
}

static void options_are_passed_over(void)
{
	static const uint8_t router_alert[] = {148, 4, 0, 0};
	static const uint8_t record_route[] = {7, 7, 4, 0, 0, 0, 0, 0};
	static const uint8_t nops[] = {1,   1, 1, 0,
				       131, 9, 9, 9}; /* what follows the end is not read */

	begin();
	build_with_option(router_alert, sizeof(router_alert));
	receive();
	HOST_EXPECT(h, IS_ICMP, IP_LENGTH_IS(28));
	build_with_option(record_route, sizeof(record_route));
	receive();
	HOST_EXPECT(h, IS_ICMP, IP_LENGTH_IS(28));
	build_with_option(nops, sizeof(nops));
	receive();
	HOST_EXPECT(h, IS_ICMP, IP_LENGTH_IS(28));
	end();
}

static void source_routes_are_refused(void)
{
	static const uint8_t loose[] = {131, 7, 4, 198, 18, 0, 9, 0};
	static const uint8_t strict[] = {1, 137, 7, 4, 198, 18, 0, 9};

	begin();
	build_with_option(loose, sizeof(loose));
	dies(CNT_ip_source_route);
	build_with_option(strict, sizeof(strict));
	dies(CNT_ip_source_route);
	end();
}

static void options_that_leave_the_header_are_refused(void)
{
	static const uint8_t zero[] = {148, 0, 0, 0};
	static const uint8_t one[] = {148, 1, 0, 0};
	static const uint8_t past[] = {148, 5, 0, 0};
	static const uint8_t cut[] = {1, 1, 1, 148};

	begin();
	build_with_option(zero, sizeof(zero));
	dies(CNT_ip_header_length);
	build_with_option(one, sizeof(one));
	dies(CNT_ip_header_length);
	build_with_option(past, sizeof(past));
	dies(CNT_ip_header_length);
	build_with_option(cut, sizeof(cut));
	dies(CNT_ip_header_length);
	end();
}

/* RFC 1122, section 3.2.2.1: protocol unreachable. */
static void unknown_protocols_are_told(void)
{
	begin();
	host_build_ipv4(h, &b, 200);
	build_pattern(&b, 0, 40);
	build_finish(&b);
	receive();
	CHECK_EQ(host_counter(h, CNT_ip_protocol), 1);
	HOST_EXPECT(h, IS_ICMP, ICMP_TYPE_IS(ICMP_DEST_UNREACH), ICMP_CODE_IS(ICMP_PROT_UNREACH));
	end();
}

static void the_ports_word_on_checksums_is_taken_only_where_it_checks(void)
{
	struct host_config c = host_config_default();

	begin();
	build_echo(20);
	memport_inject_flags(&h->link, 0, b.data, b.length, RTE_MBUF_F_RX_IP_CKSUM_BAD);
	host_settle(h);
	CHECK_EQ(host_drain(h), 1);
	end();
	c.rx_checksum = true;
	h = host_new(&c);
	build_echo(20);
	build_ipv4_header(&b)->hdr_checksum ^= 1;
	receive();
	CHECK_EQ(host_counter(h, CNT_ip_checksum), 1);
	end();
}

/* ---- down ---- */

static struct flow flow_to(uint32_t to, uint8_t protocol)
{
	return (struct flow){
		.local = inet_addr_v4(rte_cpu_to_be_32(HOST_ADDR)),
		.remote = inet_addr_v4(rte_cpu_to_be_32(to)),
		.local_port = RTE_BE16(1000),
		.remote_port = RTE_BE16(2000),
		.family = AF_INET,
		.protocol = protocol,
	};
}

static struct rte_mbuf *udp_packet(uint32_t payload)
{
	struct rte_mbuf *m = worker_mbuf(h->w);
	struct rte_udp_hdr *udp = (void *)rte_pktmbuf_append(m, sizeof(*udp) + payload);

	*udp = (struct rte_udp_hdr){.src_port = RTE_BE16(1000),
				    .dst_port = RTE_BE16(2000),
				    .dgram_len = rte_cpu_to_be_16(sizeof(*udp) + payload)};
	pattern_fill(udp + 1, 0, payload);
	return m;
}

static int send_udp(uint32_t to, uint32_t payload, bool dont_fragment)
{
	struct flow flow = flow_to(to, IPPROTO_UDP);
	struct dst dst = {0};
	struct ip_tx how = {.dst = &dst,
			    .flow = &flow,
			    .ttl = 7,
			    .traffic_class = 0xb8,
			    .dont_fragment = dont_fragment};
	int err = ip_tx(h->w, &how, udp_packet(payload));

	host_settle(h);
	return err;
}

static void headers_say_what_was_asked(void)
{
	struct frame *f;
	struct seen s;

	begin();
	CHECK_EQ(send_udp(PEER_ADDR, 100, true), 0);
	f = host_pop(h);
	s = FRAME_SEE(f);
	CHECK(s.good);
	CHECK(s.ip_dont_fragment);
	CHECK_EQ(s.ip_ttl, 7);
	CHECK_EQ(s.ip_traffic_class, 0xb8);
	CHECK_EQ(s.ip_length, 128);
	free(f);
	CHECK_EQ(send_udp(PEER_ADDR, 100, false), 0);
	f = host_pop(h);
	s = FRAME_SEE(f);
	CHECK(!s.ip_dont_fragment);
	free(f);
	end();
}

static void the_port_computes_checksums_where_it_can(void)
{
	struct host_config c = host_config_default();

	c.tx_checksum = true;
	h = host_new(&c);
	for (uint32_t payload = 0; payload < 64; payload++) {
		CHECK_EQ(send_udp(PEER_ADDR, payload, true), 0);
		HOST_EXPECT(h, IS_UDP, PAYLOAD_IS_PATTERN(0, payload));
	}
	build_echo(20);
	receive();
	HOST_EXPECT(h, IS_ICMP, ICMP_TYPE_IS(ICMP_ECHOREPLY));
	end();
}

static void odd_lengths_have_right_checksums_in_software(void)
{
	begin();
	for (uint32_t payload = 0; payload < 64; payload++) {
		CHECK_EQ(send_udp(PEER_ADDR, payload, true), 0);
		HOST_EXPECT(h, IS_UDP, PAYLOAD_IS_PATTERN(0, payload));
	}
	end();
}

/* RFC 768: a sum of zero is sent as all ones. */
static void an_udp_checksum_is_never_zero(void)
{
	struct flow flow;
	struct dst dst = {0};
	struct ip_tx how = {.dst = &dst, .flow = &flow, .ttl = 64};
	struct rte_udp_hdr *udp;
	struct rte_mbuf *m;
	struct frame *f;
	uint16_t sum;

	begin();
	flow = flow_to(PEER_ADDR, IPPROTO_UDP);
	m = udp_packet(2);
	udp = rte_pktmbuf_mtod(m, struct rte_udp_hdr *);
	*(uint16_t *)(udp + 1) = 0;
	sum = ip_transport_sum(&flow, m, m->pkt_len);
	*(uint16_t *)(udp + 1) = ~sum;
	CHECK_EQ(ip_tx(h->w, &how, m), 0);
	host_settle(h);
	f = host_pop(h);
	REQUIRE(f != NULL);
	CHECK_EQ(f->data[40] << 8 | f->data[41], 0xffff);
	free(f);
	end();
}

static void a_packet_larger_than_the_mtu_is_refused(void)
{
	begin();
	CHECK_EQ(send_udp(PEER_ADDR, 1472, false), 0);
	CHECK_EQ(host_drain(h), 1);
	CHECK_EQ(send_udp(PEER_ADDR, 1473, false), -EMSGSIZE);
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(host_counter(h, CNT_ip_too_big), 1);
	end();
}

static void without_a_route_nothing_is_sent(void)
{
	begin();
	CHECK_EQ(send_udp(0x08080808, 1, false), -ENETUNREACH);
	CHECK_EQ(host_counter(h, CNT_ip_no_route), 1);
	end();
}

static void the_gateway_carries_what_is_not_on_link(void)
{
	struct host_config c = host_config_default();

	c.gateway = PEER_ADDR;
	h = host_new(&c);
	CHECK_EQ(send_udp(0x08080808, 1, false), 0);
	HOST_EXPECT(h, IS_UDP, IP_DESTINATION_IS(0x08080808), ETH_TO(&peer_mac));
	end();
}

static void segments_are_joined_for_a_port_that_wants_one(void)
{
	struct host_config c = host_config_default();
	struct flow flow = flow_to(PEER_ADDR, IPPROTO_UDP);
	struct dst dst = {0};
	struct ip_tx how = {.dst = &dst, .flow = &flow, .ttl = 64};
	struct rte_mbuf *m, *more;

	c.tx_multi_segs = false;
	c.external_buffers = false;
	h = host_new(&c);
	m = udp_packet(10);
	more = worker_mbuf(h->w);
	pattern_fill(rte_pktmbuf_append(more, 30), 10, 30);
	rte_pktmbuf_chain(m, more);
	rte_pktmbuf_mtod(m, struct rte_udp_hdr *)->dgram_len = RTE_BE16(48);
	CHECK_EQ(ip_tx(h->w, &how, m), 0);
	host_settle(h);
	HOST_EXPECT(h, IS_UDP, PAYLOAD_IS_PATTERN(0, 40));
	end();
}

/* ---- quotations ---- */

static void a_quotation_names_the_flow(void)
{
	struct ip_quote q;
	struct build *own = &b;

	begin();
	build_start(own);
	build_ipv4(own, IPPROTO_TCP, HOST_ADDR, PEER_ADDR);
	build_tcp(own, 1234, 80, 0x11223344, 0, TH_SYN, 100);
	build_finish(own);
	CHECK(ip_quote_parse(own->data + own->network, 28, &q));
	CHECK_EQ(q.flow.local.v4, rte_cpu_to_be_32(HOST_ADDR));
	CHECK_EQ(q.flow.remote.v4, rte_cpu_to_be_32(PEER_ADDR));
	CHECK_EQ(q.flow.local_port, RTE_BE16(1234));
	CHECK_EQ(q.flow.remote_port, RTE_BE16(80));
	CHECK_EQ(q.flow.protocol, IPPROTO_TCP);
	CHECK_EQ(q.sequence, 0x11223344);
	for (uint32_t length = 0; length < 28; length++)
		CHECK(!ip_quote_parse(own->data + own->network, length, &q));
	build_ipv4_header(own)->fragment_offset = RTE_BE16(5);
	CHECK(!ip_quote_parse(own->data + own->network, 28, &q));
	end();
}

/* ---- between workers ---- */

static void flows_go_to_the_worker_that_owns_them(void)
{
	struct host_config c = host_config_default();
	unsigned mine = 0, other = 0;

	c.workers = 2;
	h = host_new(&c);
	for (uint16_t port = 1000; port < 1064; port++) {
		struct flow flow = flow_to(PEER_ADDR, IPPROTO_UDP);

		flow.local_port = RTE_BE16(7);
		flow.remote_port = rte_cpu_to_be_16(port);
		host_build_ipv4(h, &b, IPPROTO_UDP);
		build_udp(&b, port, 7);
		build_pattern(&b, 0, 11);
		build_finish(&b);
		host_inject(h, &b);
		if (port_flow_worker(&h->link.port, &flow) == 0)
			mine++;
		else
			other++;
	}
	host_settle(h);
	host_poll(h);
	host_settle(h);
	CHECK(mine > 10 && other > 10);
	CHECK_EQ(h->worker[0]->counter[CNT_udp_no_sock], mine);
	CHECK_EQ(h->worker[0]->counter[CNT_steered_out], other);
	CHECK_EQ(h->worker[1]->counter[CNT_udp_no_sock], other);
	/* Each answered: the quotation shows that the packet arrived whole. */
	CHECK_RANGE(host_drain(h), 50, 64); /* the rate limit of each worker */
	end();
}

TEST_SUITE(ipv4)
{
	TEST(a_good_packet_passes);
	TEST(every_cut_of_the_header_is_counted);
	TEST(headers_that_lie_about_lengths);
	TEST(a_wrong_header_checksum_is_seen_in_every_byte);
	TEST(impossible_sources_are_refused);
	TEST(only_our_addresses_and_broadcasts_are_ours);
	TEST(fragments_are_counted);
	TEST(options_are_passed_over);
	TEST(source_routes_are_refused);
	TEST(options_that_leave_the_header_are_refused);
	TEST(unknown_protocols_are_told);
	TEST(the_ports_word_on_checksums_is_taken_only_where_it_checks);
	TEST(headers_say_what_was_asked);
	TEST(the_port_computes_checksums_where_it_can);
	TEST(odd_lengths_have_right_checksums_in_software);
	TEST(an_udp_checksum_is_never_zero);
	TEST(a_packet_larger_than_the_mtu_is_refused);
	TEST(without_a_route_nothing_is_sent);
	TEST(the_gateway_carries_what_is_not_on_link);
	TEST(segments_are_joined_for_a_port_that_wants_one);
	TEST(a_quotation_names_the_flow);
	TEST(flows_go_to_the_worker_that_owns_them);
}
