/* SPDX-License-Identifier: BSD-3-Clause */
/* TIME-WAIT: RFC 9293 section 3.6.1, RFC 1337, RFC 6191. */
#include <errno.h>
#include <sys/socket.h>

#include "support/host.h"

#define TWO_MSL_MS 60000

static struct host *h;

/* A passive connection of peer, which we closed first, in TIME-WAIT. */
static void time_wait(struct peer *p)
{
	struct app_sock s;

	host_established(h, p, &s);
	CHECK_EQ(app_close(&s), 0);
	PEER_EXPECT(p, TCP_FLAGS_ARE(TH_FIN | TH_ACK));
	peer_send(p, TH_FIN | TH_ACK, NULL, 0);
	PEER_EXPECT(p, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(p->seq));
	HOST_EXPECT_NOTHING(h);
}

static void begin(struct peer *p, bool timestamps)
{
	h = host_new(NULL);
	peer_init(p, h);
	p->timestamps = timestamps;
	time_wait(p);
}

/* Does the host still know the connection?  Asked with a FIN that is answered then. */
static bool is_known(struct peer *p)
{
	uint64_t unknown = host_counter(h, CNT_tcp_no_sock);

	peer_inject(p, TH_RST, p->seq, 0, NULL, 0);
	host_poll(h);
	return host_counter(h, CNT_tcp_no_sock) == unknown;
}

static void it_lasts_two_msl(void)
{
	struct peer p;

	begin(&p, false);
	host_advance_ms(h, TWO_MSL_MS - 10);
	CHECK(is_known(&p));
	host_advance_ms(h, 20);
	CHECK(!is_known(&p));
	host_end(h);
}

/* Section 3.10.7.4, eighth: our last ACK was lost; 2 MSL begin again. */
static void a_repeated_fin_is_acknowledged_and_starts_it_anew(void)
{
	struct peer p;

	begin(&p, false);
	host_advance_ms(h, TWO_MSL_MS - 1000);
	peer_inject(&p, TH_FIN | TH_ACK, p.seq - 1, p.ack, NULL, 0);
	host_poll(h);
	PEER_EXPECT(&p, TCP_FLAGS_ARE(TH_ACK), TCP_SEQ_IS(p.ack), TCP_ACK_IS(p.seq));
	host_advance_ms(h, TWO_MSL_MS - 1000);
	CHECK(is_known(&p));
	host_advance_ms(h, 2000);
	CHECK(!is_known(&p));
	host_end(h);
}

/* RFC 1337: a RST must not end it. */
static void rst_is_ignored(void)
{
	struct peer p;

	begin(&p, false);
	peer_inject(&p, TH_RST, p.seq, 0, NULL, 0);
	host_poll(h);
	HOST_EXPECT_NOTHING(h);
	CHECK_EQ(host_counter(h, CNT_tcp_rst), 1);
	peer_inject(&p, TH_FIN | TH_ACK, p.seq - 1, p.ack, NULL, 0);
	host_poll(h);
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_ACK));
	host_end(h);
}

static void old_text_is_answered_and_dropped(void)
{
	struct peer p;

	begin(&p, false);
	peer_inject(&p, TH_ACK, p.seq - 1, p.ack, "x", 1);
	host_poll(h);
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(p.seq));
	CHECK_EQ(host_counter(h, CNT_tcp_seq), 1);
	peer_inject(&p, TH_ACK, p.seq, p.ack, NULL, 0);
	host_poll(h);
	HOST_EXPECT_NOTHING(h); /* two confused ends must not bounce ACKs */
	host_end(h);
}

/* RFC 1122 section 4.2.2.13: a SYN beyond the old sequence numbers opens a new connection. */
static void a_newer_syn_reuses_it(void)
{
	struct app_sock s;
	struct peer p, again;

	begin(&p, false);
	again = p;
	again.isn = again.seq = p.seq + 100000;
	host_established(h, &again, &s);
	CHECK(again.host_isn - p.ack < 1u << 30); /* beyond all that was used */
	CHECK(again.host_isn != p.ack);
	CHECK_EQ(host_counter(h, CNT_tcp_time_wait_reused), 1);
	peer_send_pattern(&again, 10);
	CHECK_EQ(app_read_pattern(&s, 10), 10);
	host_end(h);
}

static void an_older_syn_does_not(void)
{
	struct peer p;

	begin(&p, false);
	peer_inject(&p, TH_SYN, p.seq - 5000, 0, NULL, 0);
	host_poll(h);
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(p.seq));
	CHECK_EQ(host_counter(h, CNT_tcp_time_wait_reused), 0);
	host_end(h);
}

/* RFC 6191 section 2: with timestamps even a SYN with an older sequence number, if later. */
static void a_later_timestamp_reuses_it_whatever_the_sequence(void)
{
	struct app_sock s;
	struct peer p, again;

	begin(&p, true);
	host_advance_ms(h, 100);
	again = p;
	again.isn = again.seq = p.seq - 5000;
	again.ts_recent = 0;
	host_established(h, &again, &s);
	CHECK_EQ(host_counter(h, CNT_tcp_time_wait_reused), 1);
	host_end(h);
}

static void an_earlier_timestamp_does_not_reuse_it(void)
{
	struct peer p, again;

	begin(&p, true);
	again = p;
	again.isn = again.seq = p.seq + 100000;
	again.ts_offset -= 10000;
	peer_inject(&again, TH_SYN, again.seq, 0, NULL, 0);
	host_poll(h);
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_ACK));
	CHECK_EQ(host_counter(h, CNT_tcp_paws), 1);
	CHECK_EQ(host_counter(h, CNT_tcp_time_wait_reused), 0);
	host_end(h);
}

static void without_a_listener_there_is_no_reuse(void)
{
	struct peer p;

	begin(&p, false);
	CHECK_EQ(app_close(&h->listener), 0);
	peer_inject(&p, TH_SYN, p.seq + 100000, 0, NULL, 0);
	host_poll(h);
	HOST_EXPECT(h, TCP_FLAGS_ARE(TH_ACK), TCP_ACK_IS(p.seq));
	host_end(h);
}

static void the_oldest_goes_when_there_are_too_many(void)
{
	struct host_config config = host_config_default();
	struct peer p[4];

	config.worker.max_time_wait = 3;
	h = host_new(&config);
	for (int i = 0; i < 4; i++) {
		peer_init(&p[i], h);
		time_wait(&p[i]);
		host_advance_ms(h, 1000);
	}
	CHECK_EQ(host_counter(h, CNT_tcp_time_wait_evicted), 1);
	CHECK(!is_known(&p[0]));
	for (int i = 1; i < 4; i++)
		CHECK(is_known(&p[i]));
	host_end(h);
}

static void a_connect_does_not_take_a_port_in_time_wait(void)
{
	struct app_sock s;
	struct peer p, q;

	h = host_new(NULL);
	peer_init(&p, h);
	p.port = 8080;
	host_connected(h, &p, &s);
	CHECK_EQ(app_close(&s), 0);
	PEER_EXPECT(&p, TCP_FLAGS_ARE(TH_FIN | TH_ACK));
	peer_send(&p, TH_FIN | TH_ACK, NULL, 0);
	host_drain(h);
	for (int i = 0; i < 20; i++) {
		peer_init(&q, h);
		q.port = 8080;
		host_syn_sent(h, &q, &s);
		CHECK(q.host_port != p.host_port);
	}
	host_end(h);
}

TEST_SUITE(tcp_time_wait)
{
	TEST(it_lasts_two_msl);
	TEST(a_repeated_fin_is_acknowledged_and_starts_it_anew);
	TEST(rst_is_ignored);
	TEST(old_text_is_answered_and_dropped);
	TEST(a_newer_syn_reuses_it);
	TEST(an_older_syn_does_not);
	TEST(a_later_timestamp_reuses_it_whatever_the_sequence);
	TEST(an_earlier_timestamp_does_not_reuse_it);
	TEST(without_a_listener_there_is_no_reuse);
	TEST(the_oldest_goes_when_there_are_too_many);
	TEST(a_connect_does_not_take_a_port_in_time_wait);
}
