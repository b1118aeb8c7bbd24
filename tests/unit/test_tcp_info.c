/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP_INFO, in Linux's layout and units. */
#include "tcp/info.h"

#include <sys/socket.h>

#include "support/tcp_fixture.h"

#define MSS 1460u

static struct tcp_info_answer info_of(struct app_sock *sock)
{
	struct tcp_info_answer info;

	memset(&info, 0xee, sizeof(info));
	REQUIRE_EQ(app_getsockopt(sock, IPPROTO_TCP, TCP_INFO, &info, sizeof(info)), 0);
	CHECK_EQ(sock->last.option.length_bytes, sizeof(info));
	return info;
}

static void write_and_acknowledge(uint32_t length)
{
	CHECK_EQ(app_write_pattern(&s, length), length);
	host_settle(h);
	while (host_tx_count(h) > 0)
		(void)PEER_TAKE(&peer);
	peer_send(&peer, TH_ACK, NULL, 0);
	host_settle(h);
}

static void a_new_connection_has_its_first_values(void)
{
	struct tcp_info_answer info;

	begin_connected(NULL);
	info = info_of(&s);
	CHECK_EQ(info.state, TCP_ESTABLISHED);
	CHECK_EQ(info.ca_state, TCP_CA_Open);
	CHECK_EQ(info.options, 0);
	CHECK_EQ(info.snd_mss, MSS);
	CHECK_EQ(info.advmss, MSS);
	CHECK_EQ(info.pmtu, 1500);
	CHECK_EQ(info.snd_cwnd, 10);
	CHECK_EQ(info.snd_ssthresh, 0x7fffffff);
	CHECK_EQ(info.unacked, 0);
	CHECK_EQ(info.bytes_sent, 0);
	CHECK_EQ(info.max_pacing_rate, UINT64_MAX);
	CHECK_EQ(info.snd_wnd, 65535);
	end();
}

static void what_was_negotiated_is_shown(void)
{
	struct tcp_info_answer info;

	begin_unconnected(NULL);
	peer.timestamps = true;
	peer.sack_permitted = true;
	peer.window_scale = 3;
	host_connected(h, &peer, &s);
	info = info_of(&s);
	CHECK_EQ(info.options, TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE);
	CHECK_EQ(info.snd_wscale, 3);
	CHECK_EQ(info.rcv_wscale, tcp()->rcv_scale);
	end();
}

static void bytes_and_segments_are_counted_both_ways(void)
{
	struct tcp_info_answer before, after;

	begin_connected(NULL);
	before = info_of(&s);
	write_and_acknowledge(3 * MSS);
	peer_send_pattern(&peer, 100);
	host_settle(h);
	after = info_of(&s);
	CHECK_EQ(after.bytes_sent, 3 * MSS);
	CHECK_EQ(after.bytes_acked, 3 * MSS);
	CHECK_EQ(after.bytes_received, 100);
	CHECK_EQ(after.bytes_retrans, 0);
	CHECK_EQ(after.delivered, 3);
	CHECK_EQ(after.segs_in - before.segs_in, 2);
	CHECK(after.segs_out - before.segs_out >= 3);
	host_drain(h);
	end();
}

static void what_waits_is_told_apart_from_what_is_in_flight(void)
{
	struct tcp_info_answer info;

	begin_unconnected(NULL);
	peer.window = 2 * MSS;
	host_connected(h, &peer, &s);
	CHECK_EQ(app_write_pattern(&s, 5 * MSS), 5 * MSS);
	host_settle(h);
	info = info_of(&s);
	CHECK_EQ(info.unacked, 2);
	CHECK_EQ(info.notsent_bytes, 3 * MSS);
	CHECK_EQ(info.bytes_sent, 2 * MSS);
	CHECK_EQ(info.snd_wnd, 2 * MSS);
	host_drain(h);
	end();
}

static void round_trips_are_in_microseconds(void)
{
	struct tcp_info_answer info;

	begin_connected(NULL);
	CHECK_EQ(app_write_pattern(&s, 100), 100);
	host_settle(h);
	(void)PEER_TAKE(&peer);
	host_advance_ms(h, 50);
	peer_send(&peer, TH_ACK, NULL, 0);
	host_advance_ms(h, 30);
	info = info_of(&s);
	CHECK_RANGE(info.rtt, 1, 51000);
	CHECK(info.rttvar > 0);
	CHECK_EQ(info.min_rtt, tcp()->min_rtt.us);
	CHECK_EQ(info.rto, rtt_rto_ms(&tcp()->rtt) * 1000);
	CHECK_RANGE(info.last_data_sent, 80, 81);
	CHECK_RANGE(info.last_ack_recv, 30, 31);
	end();
}

static void a_retransmission_shows(void)
{
	struct tcp_info_answer info;

	begin_connected(NULL);
	CHECK_EQ(app_write_pattern(&s, 100), 100);
	host_settle(h);
	host_advance_ms(h, 1500); /* probes and timeouts */
	info = info_of(&s);
	CHECK_EQ(info.ca_state, TCP_CA_Loss);
	CHECK(info.total_retrans >= 1);
	CHECK_EQ(info.bytes_retrans, 100 * (uint64_t)info.total_retrans);
	CHECK_EQ(info.bytes_sent, 100 + info.bytes_retrans);
	CHECK(info.backoff >= 1);
	CHECK_EQ(info.unacked, 1);
	host_drain(h);
	end();
}

static void a_listener_tells_of_its_queue(void)
{
	struct tcp_info_answer info;

	begin_unconnected(NULL);
	host_listen(h, 7);
	host_established(h, &peer, &s);
	info = info_of(&h->listener);
	CHECK_EQ(info.state, TCP_LISTEN);
	CHECK_EQ(info.sacked, 7);
	CHECK_EQ(info.unacked, 0); /* the only one was accepted */
	end();
}

static void a_fresh_socket_is_closed(void)
{
	struct tcp_info_answer info;

	begin_unconnected(NULL);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	info = info_of(&s);
	CHECK_EQ(info.state, TCP_CLOSE);
	CHECK_EQ(info.snd_cwnd, 0);
	end();
}

static void a_short_buffer_gets_the_beginning(void)
{
	struct tcp_info_answer whole;
	uint8_t part[LEAT_OPTION_BYTES + 1];

	begin_connected(NULL);
	whole = info_of(&s);
	for (uint32_t length = LEAT_OPTION_BYTES - 1; length <= sizeof(part); length++) {
		memset(part, 0xee, sizeof(part));
		CHECK_EQ(app_getsockopt(&s, IPPROTO_TCP, TCP_INFO, part, length), 0);
		CHECK_EQ(s.last.option.length_bytes, length);
		CHECK_MEM(part, &whole, length);
	}
	end();
}

/* The length of a submission is an application's word. */
static void room_beyond_belief_is_cut(void)
{
	struct leat_sqe sqe = {.op = LEAT_OP_GETSOCKOPT};
	struct leat_cqe cqe;

	begin_connected(NULL);
	sqe.handle = s.handle;
	sqe.option = (struct leat_option){
		.level = IPPROTO_TCP, .name = TCP_INFO, .length_bytes = UINT32_MAX};
	CHECK_EQ(app_call(&h->app, 0, 0, &sqe, &cqe), 0);
	CHECK_EQ(cqe.option.length_bytes, sizeof(struct tcp_info_answer));
	CHECK_EQ(h->condemned, 0);
	end();
}

TEST_SUITE(tcp_info)
{
	TEST(a_new_connection_has_its_first_values);
	TEST(what_was_negotiated_is_shown);
	TEST(bytes_and_segments_are_counted_both_ways);
	TEST(what_waits_is_told_apart_from_what_is_in_flight);
	TEST(round_trips_are_in_microseconds);
	TEST(a_retransmission_shows);
	TEST(a_listener_tells_of_its_queue);
	TEST(a_fresh_socket_is_closed);
	TEST(a_short_buffer_gets_the_beginning);
	TEST(room_beyond_belief_is_cut);
}
