/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 792; RFC 1122, section 3.2.2. */
#include "net/icmp.h"

#include <errno.h>

#include "support/packet_fixture.h"

static struct build inner;

static void echo_comes_back_unchanged(void)
{
	struct frame *f;
	struct seen s;

	begin();
	for (uint32_t bytes = 0; bytes <= 1472; bytes += 91) {
		build_echo(bytes);
		receive();
		f = host_pop(h);
		CHECK_FRAME(f, IS_ICMP, ICMP_TYPE_IS(ICMP_ECHOREPLY), ICMP_CODE_IS(0),
			    PAYLOAD_IS_PATTERN(0, bytes), ETH_TO(&peer_mac));
		s = FRAME_SEE(f);
		CHECK_EQ(s.icmp_rest, 0x12345678);
		free(f);
	}
	end();
}

static void echo_in_several_mbufs_comes_back_whole(void)
{
	begin();
	h->link.rx_segment_bytes = 100;
	build_echo(1000);
	receive();
	HOST_EXPECT(h, IS_ICMP, ICMP_TYPE_IS(ICMP_ECHOREPLY), PAYLOAD_IS_PATTERN(0, 1000));
	end();
}

static void malformed_messages_are_counted(void)
{
	begin();
	for (uint32_t bytes = 0; bytes < 8; bytes++) {
		host_build_ipv4(h, &b, IPPROTO_ICMP);
		build_pattern(&b, 0, bytes);
		build_finish(&b);
		receive();
	}
	CHECK_EQ(host_counter(h, CNT_icmp_short), 8);
	build_echo(5);
	b.data[b.length - 1] ^= 1;
	receive();
	CHECK_EQ(host_counter(h, CNT_icmp_checksum), 1);
	HOST_EXPECT_NOTHING(h);
	end();
}

static void other_types_are_counted(void)
{
	static const uint8_t types[] = {ICMP_ECHOREPLY, ICMP_SOURCE_QUENCH, ICMP_REDIRECT,
					ICMP_TIMESTAMP, ICMP_ADDRESS,       200};

	begin();
	for (unsigned i = 0; i < RTE_DIM(types); i++) {
		host_build_ipv4(h, &b, IPPROTO_ICMP);
		build_icmp(&b, types[i], 0, 0);
		build_pattern(&b, 0, 28);
		build_finish(&b);
		receive();
	}
	CHECK_EQ(host_counter(h, CNT_icmp_type), RTE_DIM(types));
	HOST_EXPECT_NOTHING(h);
	end();
}

/* RFC 1122, section 3.2.2.6: silence is allowed, and safer. */
static void echo_to_a_broadcast_is_not_answered(void)
{
	begin();
	build_echo(4);
	memset(&build_eth_header(&b)->dst_addr, 0xff, 6);
	receive(); /* by the link's broadcast to our own address */
	CHECK_EQ(host_counter(h, CNT_icmp_broadcast), 1);
	HOST_EXPECT_NOTHING(h);
	end();
}

/* ---- errors in ---- */

/* What we could have sent: UDP from our port to the peer's. */
static void build_inner(uint16_t local_port, uint16_t remote_port)
{
	build_start(&inner);
	build_ipv4(&inner, IPPROTO_UDP, HOST_ADDR, PEER_ADDR);
	build_udp(&inner, local_port, remote_port);
	build_finish(&inner);
}

static void build_error(uint8_t type, uint8_t code, uint32_t rest, uint32_t quoted)
{
	host_build_ipv4(h, &b, IPPROTO_ICMP);
	build_icmp(&b, type, code, rest);
	build_bytes(&b, inner.data + inner.network, quoted);
	build_finish(&b);
}

/* A connected datagram sock and the error that type and code become; 0: none. */
static int error_of(uint8_t type, uint8_t code)
{
	struct app_sock s;
	struct leat_addr local;
	int error;

	REQUIRE_EQ(app_socket(&h->app, SOCK_DGRAM, &s), 0);
	REQUIRE_EQ(app_connect(&s, PEER_ADDR, 53), 0);
	REQUIRE_EQ(app_getname(&s, false, &local), 0);
	build_inner(rte_be_to_cpu_16(local.port), 53);
	build_error(type, code, 0, 28);
	receive();
	error = host_sock(&s)->error;
	CHECK_EQ(app_has(&s, LEAT_EV_ERR), error != 0);
	CHECK_EQ(app_close(&s), 0);
	return error;
}

static void unreachables_become_an_errno(void)
{
	begin();
	CHECK_EQ(error_of(ICMP_DEST_UNREACH, ICMP_PORT_UNREACH), ECONNREFUSED);
	CHECK_EQ(error_of(ICMP_DEST_UNREACH, ICMP_PROT_UNREACH), ENOPROTOOPT);
	CHECK_EQ(error_of(ICMP_PARAMETERPROB, 0), EPROTO);
	/* Those that may pass are no news for a datagram sock. */
	CHECK_EQ(error_of(ICMP_DEST_UNREACH, ICMP_HOST_UNREACH), 0);
	CHECK_EQ(error_of(ICMP_DEST_UNREACH, ICMP_NET_UNREACH), 0);
	CHECK_EQ(error_of(ICMP_DEST_UNREACH, 99), 0);
	CHECK_EQ(error_of(ICMP_TIME_EXCEEDED, 0), 0);
	CHECK_EQ(host_counter(h, CNT_icmp_error_rx), 7);
	end();
}

static void unusable_quotations_are_counted(void)
{
	begin();
	build_inner(1000, 53);
	for (uint32_t quoted = 0; quoted < 28; quoted++) {
		build_error(ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0, quoted);
		receive();
	}
	CHECK_EQ(host_counter(h, CNT_icmp_quote), 28);
	inner.data[inner.network] = 0x4f; /* a header of 60 bytes in a quotation of 28 */
	build_error(ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0, 28);
	receive();
	CHECK_EQ(host_counter(h, CNT_icmp_quote), 29);
	build_inner(1000, 53);
	build_ipv4_header(&inner)->src_addr = rte_cpu_to_be_32(HOST_ADDR + 9); /* not ours */
	build_error(ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0, 28);
	receive();
	CHECK_EQ(host_counter(h, CNT_icmp_quote), 30);
	CHECK_EQ(host_counter(h, CNT_icmp_error_rx), 0);
	HOST_EXPECT_NOTHING(h);
	end();
}

static void quotations_of_unknown_flows_and_protocols_change_nothing(void)
{
	begin();
	build_inner(1000, 53);
	build_error(ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0, 28);
	receive();
	build_ipv4_header(&inner)->next_proto_id = 200;
	build_error(ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0, 28);
	receive();
	CHECK_EQ(host_counter(h, CNT_icmp_error_rx), 2);
	HOST_EXPECT_NOTHING(h);
	end();
}

/* The worker that receives the error is not the one that sent the packet. */
static void errors_reach_the_worker_of_the_quoted_flow(void)
{
	struct host_config c = host_config_default();

	c.workers = 2;
	h = host_new(&c);
	for (uint16_t worker = 0; worker < 2; worker++) {
		struct app_sock s;
		struct leat_addr local;

		REQUIRE_EQ(app_socket_on(&h->app, 0, worker, SOCK_DGRAM, &s), 0);
		REQUIRE_EQ(app_connect(&s, PEER_ADDR, 53), 0);
		REQUIRE_EQ(app_getname(&s, false, &local), 0);
		build_inner(rte_be_to_cpu_16(local.port), 53);
		build_error(ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0, 28);
		receive();
		host_poll(h);
		CHECK_EQ(host_sock(&s)->error, ECONNREFUSED);
		CHECK_EQ(h->worker[worker]->counter[CNT_icmp_error_rx], 1);
		CHECK_EQ(app_close(&s), 0);
	}
	end();
}

/* ---- errors out ---- */

static void build_to_closed_port(uint32_t bytes)
{
	host_build_ipv4(h, &b, IPPROTO_UDP);
	build_udp(&b, 4000, 9);
	build_pattern(&b, 0, bytes);
	build_finish(&b);
}

static void an_error_quotes_the_packet(void)
{
	struct frame *f;
	struct seen s;

	begin();
	build_to_closed_port(30);
	receive();
	f = host_pop(h);
	CHECK_FRAME(f, IS_ICMP, ICMP_TYPE_IS(ICMP_DEST_UNREACH), ICMP_CODE_IS(ICMP_PORT_UNREACH),
		    PAYLOAD_IS(58), IP_TRAFFIC_CLASS_IS(0));
	s = FRAME_SEE(f);
	CHECK_MEM(s.payload, b.data + b.network, 58);
	free(f);
	end();
}

/* RFC 1812, section 4.3.2.3. */
static void a_long_packet_is_quoted_up_to_576_bytes(void)
{
	begin();
	build_to_closed_port(1000);
	receive();
	HOST_EXPECT(h, IS_ICMP, IP_LENGTH_IS(576));
	end();
}

static void no_error_about_a_broadcast_or_an_error(void)
{
	begin();
	build_to_closed_port(3);
	build_ipv4_header(&b)->dst_addr = rte_cpu_to_be_32(HOST_ADDR | 0xff);
	build_checksums(&b);
	receive();
	HOST_EXPECT_NOTHING(h);
	build_to_closed_port(3);
	memset(&build_eth_header(&b)->dst_addr, 0xff, 6);
	receive();
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(host_counter(h, CNT_udp_no_sock), 2);
	CHECK_EQ(host_counter(h, CNT_icmp_error_tx), 0);
	end();
}

static void errors_are_limited(void)
{
	begin();
	for (unsigned i = 0; i < ICMP_ERROR_BURST + 10; i++) {
		build_to_closed_port(0);
		host_inject(h, &b);
	}
	host_settle(h);
	CHECK_EQ(host_drain(h), ICMP_ERROR_BURST);
	CHECK_EQ(host_counter(h, CNT_icmp_error_limited), 10);
	/* One more every millisecond ... */
	host_advance_ms(h, 3);
	for (unsigned i = 0; i < 10; i++)
		host_inject(h, &b);
	host_settle(h);
	CHECK_EQ(host_drain(h), 3 * ICMP_ERROR_RATE / 1000);
	/* ... and never more than a burst. */
	host_advance_ms(h, 10000);
	for (unsigned i = 0; i < ICMP_ERROR_BURST + 10; i++)
		host_inject(h, &b);
	host_settle(h);
	CHECK_EQ(host_drain(h), ICMP_ERROR_BURST);
	end();
}

TEST_SUITE(icmp)
{
	TEST(echo_comes_back_unchanged);
	TEST(echo_in_several_mbufs_comes_back_whole);
	TEST(malformed_messages_are_counted);
	TEST(other_types_are_counted);
	TEST(echo_to_a_broadcast_is_not_answered);
	TEST(unreachables_become_an_errno);
	TEST(unusable_quotations_are_counted);
	TEST(quotations_of_unknown_flows_and_protocols_change_nothing);
	TEST(errors_reach_the_worker_of_the_quoted_flow);
	TEST(an_error_quotes_the_packet);
	TEST(a_long_packet_is_quoted_up_to_576_bytes);
	TEST(no_error_about_a_broadcast_or_an_error);
	TEST(errors_are_limited);
}
