/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The path's MTU as a connection finds it: over links too narrow that say so
 * (RFC 1191) or not (RFC 4821), probes and their fate, and forged messages
 * (RFC 5927 section 7.2).
 */
#include <errno.h>
#include <sys/socket.h>

#include "support/link.h"
#include "support/recovery_fixture.h"
#include "tcp/info.h"
#include "tcp/segment.h"
#include "tcp/tcp.h"

#define MEGABYTE (1u << 20)
#define MINUTE   60000000ull /* in us */
#define NARROW   1300

/* ---- over a link -------------------------------------------------------------------- */

static struct host *first, *second;
static struct link l;
static struct app_sock client, server;

static struct link_way *forth(void)
{
	return &l.way[0];
}

static struct tcp_sock *sender(void)
{
	return tcp_sk(host_sock(&client));
}

static uint64_t counted(enum counter c)
{
	return host_counter(first, c);
}

/* first's packets are lost when they are larger than mtu, with a message or without. */
static void begin_link_with(const struct host_config *config, uint16_t mtu, bool tells)
{
	struct host_config peer_config = link_peer_config();

	first = host_new(config);
	second = host_new(&peer_config);
	link_init(&l, first, second, 5000);
	forth()->mtu = mtu;
	forth()->tells = tells;
	link_connect(&l, &client, &server);
}

static void begin_link(uint16_t mtu, bool tells)
{
	begin_link_with(NULL, mtu, tells);
}

static bool transfer(uint64_t bytes, uint64_t limit_us)
{
	return link_transfer(&l, &client, &server, bytes, limit_us);
}

/* Gives the search enough to send. */
static void search(void)
{
	for (int i = 0; i < 50 && sender()->plpmtud.state == PLPMTUD_SEARCH; i++)
		CHECK(transfer(MEGABYTE, MINUTE));
	CHECK_EQ(sender()->plpmtud.state, PLPMTUD_COMPLETE);
}

static void end_link(void)
{
	link_close(&l, &client, &server);
}

static uint32_t info_pmtu(uint32_t *snd_mss)
{
	struct tcp_info_answer info;

	REQUIRE_EQ(app_getsockopt(&client, IPPROTO_TCP, TCP_INFO, &info, sizeof(info)), 0);
	*snd_mss = info.snd_mss;
	return info.pmtu;
}

/* RFC 4821 section 7.7. */
static void a_black_hole_is_left_and_measured(void)
{
	uint32_t snd_mss;

	begin_link(NARROW, false);
	CHECK(transfer(MEGABYTE, MINUTE));
	search();
	CHECK_EQ(counted(CNT_tcp_mtu_black_hole), 1);
	CHECK_EQ(counted(CNT_tcp_rto), PLPMTUD_TIMEOUTS);
	CHECK_RANGE(info_pmtu(&snd_mss), NARROW - (int)PLPMTUD_STEP, NARROW);
	CHECK_EQ(snd_mss, sender()->plpmtud.mtu - TCP_IPV4_HEADERS - TCP_TIMESTAMP_BYTES);
	CHECK(counted(CNT_tcp_mtu_probe_acked) > 0);
	CHECK_EQ(counted(CNT_tcp_mtu_probe),
		 counted(CNT_tcp_mtu_probe_acked) + counted(CNT_tcp_mtu_probe_lost));
	end_link();
}

static void a_deep_black_hole_is_left(void)
{
	begin_link(300, false);
	CHECK(transfer(MEGABYTE, 4 * MINUTE)); /* nine timeouts */
	CHECK_RANGE(sender()->plpmtud.mtu, 300 - (int)PLPMTUD_STEP, 300);
	end_link();
}

/* Also: the test would notice if a narrow link let all pass. */
static void without_probing_a_black_hole_is_for_ever(void)
{
	struct host_config config = host_config_default();

	config.worker.mtu_probing = MTU_PROBING_OFF;
	begin_link_with(&config, NARROW, false);
	CHECK(!transfer(MEGABYTE, MINUTE));
	CHECK_EQ(server.rx_head, 0);
	CHECK_EQ(sender()->plpmtud.mtu, 1500);
	forth()->mtu = 0;
	CHECK(transfer(0, 2 * MINUTE));
	end_link();
}

static void a_port_that_cuts_segments_sends_probes_whole(void)
{
	struct host_config config = host_config_default();

	config.tso = config.tx_checksum = true;
	begin_link_with(&config, NARROW, false);
	CHECK(transfer(MEGABYTE, MINUTE));
	search();
	CHECK(first->link.segmented > 0);
	CHECK_RANGE(sender()->plpmtud.mtu, NARROW - (int)PLPMTUD_STEP, NARROW);
	end_link();
}

/* A path that narrows in the middle of a transfer. */
static void a_black_hole_may_open_later(void)
{
	begin_link(0, false);
	CHECK(transfer(MEGABYTE, MINUTE));
	CHECK_EQ(sender()->plpmtud.state, PLPMTUD_DISABLED);
	forth()->mtu = NARROW;
	CHECK(transfer(MEGABYTE, MINUTE));
	search();
	CHECK_EQ(counted(CNT_tcp_mtu_black_hole), 1);
	CHECK_RANGE(sender()->plpmtud.mtu, NARROW - (int)PLPMTUD_STEP, NARROW);
	end_link();
}

static void a_peer_that_was_away_costs_no_mtu(void)
{
	begin_link(0, false);
	CHECK(transfer(MEGABYTE, MINUTE));
	forth()->loss_per_mille = 1000;
	CHECK(!transfer(2 * MEGABYTE, 20000000));
	CHECK(counted(CNT_tcp_mtu_black_hole) > 0);
	forth()->loss_per_mille = 0;
	CHECK(transfer(0, MINUTE));
	CHECK_EQ(sender()->plpmtud.mtu, 1500);
	CHECK_EQ(counted(CNT_tcp_mtu_probe), 1);
	end_link();
}

/* What is sent is never much: a probe goes all the same. */
static void an_outage_makes_small_answers_small_packets_for_a_while(void)
{
	begin_link(0, false);
	CHECK(transfer(1400, MINUTE));
	forth()->loss_per_mille = 1000;
	CHECK(!transfer(1400, 5000000));
	CHECK_EQ(sender()->plpmtud.mtu, PLPMTUD_BASE_MTU);
	forth()->loss_per_mille = 0;
	for (int i = 0; i < 10; i++)
		CHECK(transfer(1448, MINUTE));
	CHECK_EQ(sender()->plpmtud.mtu, 1500);
	end_link();
}

/* Nothing large vanished. */
static void lost_small_segments_are_no_black_hole(void)
{
	begin_link(0, false);
	CHECK(transfer(100, MINUTE));
	forth()->loss_per_mille = 1000;
	CHECK(!transfer(500, 20000000));
	CHECK(counted(CNT_tcp_rto) >= PLPMTUD_TIMEOUTS);
	CHECK_EQ(counted(CNT_tcp_mtu_black_hole), 0);
	forth()->loss_per_mille = 0;
	CHECK(transfer(0, MINUTE));
	end_link();
}

/* RFC 1191: with messages no timeout is needed. */
static void a_path_that_tells_is_believed_at_once(void)
{
	uint32_t snd_mss;

	begin_link(NARROW, true);
	CHECK(transfer(MEGABYTE, MINUTE));
	CHECK_EQ(info_pmtu(&snd_mss), NARROW);
	CHECK_EQ(counted(CNT_tcp_mtu_shrank), 1);
	CHECK_EQ(counted(CNT_tcp_rto), 0);
	CHECK_EQ(counted(CNT_tcp_mtu_black_hole), 0);
	end_link();
}

/* RFC 5927 section 7.2: packets of that size had arrived, so a timeout is to confirm it. */
static void a_path_that_narrows_is_believed_after_a_timeout(void)
{
	begin_link(0, false);
	CHECK(transfer(MEGABYTE, MINUTE));
	forth()->mtu = NARROW;
	forth()->tells = true;
	CHECK(transfer(MEGABYTE, MINUTE));
	CHECK_EQ(sender()->plpmtud.mtu, NARROW);
	CHECK(counted(CNT_tcp_mtu_doubted) > 0);
	CHECK_EQ(counted(CNT_tcp_mtu_shrank), 1);
	CHECK_EQ(counted(CNT_tcp_rto), 1);
	end_link();
}

/* RFC 1191 section 6.3, RFC 4821 section 7.7. */
static void a_path_that_widens_is_noticed_after_ten_minutes(void)
{
	begin_link(NARROW, true);
	CHECK(transfer(MEGABYTE, MINUTE));
	forth()->mtu = 0;
	CHECK(transfer(MEGABYTE, MINUTE));
	CHECK_EQ(sender()->plpmtud.mtu, NARROW);
	link_run(&l, 11 * MINUTE, NULL, NULL);
	CHECK(transfer(MEGABYTE, MINUTE));
	CHECK_EQ(sender()->plpmtud.mtu, 1500);
	end_link();
}

/* Routes changed, so the path may be another one. */
static void after_a_change_of_routes_it_looks_again(void)
{
	begin_link(NARROW, true);
	CHECK(transfer(MEGABYTE, MINUTE));
	CHECK_EQ(sender()->plpmtud.mtu, NARROW);
	forth()->mtu = 0;
	route_changed(first->w);
	CHECK(transfer(MEGABYTE, MINUTE));
	CHECK_EQ(sender()->plpmtud.mtu, 1500);
	end_link();
}

static void a_path_that_does_not_widen_is_asked_with_probes_alone(void)
{
	uint64_t timeouts;

	begin_link(NARROW, false);
	CHECK(transfer(MEGABYTE, MINUTE));
	search();
	timeouts = counted(CNT_tcp_rto);
	link_run(&l, 11 * MINUTE, NULL, NULL);
	CHECK(transfer(MEGABYTE, MINUTE));
	search();
	CHECK_EQ(counted(CNT_tcp_rto), timeouts);
	CHECK_RANGE(sender()->plpmtud.mtu, NARROW - (int)PLPMTUD_STEP, NARROW);
	end_link();
}

static void a_connection_may_begin_small_and_grow(void)
{
	struct host_config config = host_config_default();

	config.worker.mtu_probing = MTU_PROBING_ALWAYS;
	begin_link_with(&config, NARROW, false);
	CHECK_EQ(sender()->plpmtud.mtu, PLPMTUD_BASE_MTU);
	CHECK(transfer(MEGABYTE, MINUTE));
	search();
	CHECK_EQ(counted(CNT_tcp_rto), 0);
	CHECK_EQ(counted(CNT_tcp_fast_retransmit), 0);
	CHECK_RANGE(sender()->plpmtud.mtu, NARROW - (int)PLPMTUD_STEP, NARROW);
	end_link();
}

/* Whatever else happens to the packets, each byte arrives. */
static void a_bad_narrow_path_is_survived(void)
{
	static const uint32_t losses_per_mille[] = {10, 50, 100};

	for (unsigned i = 0; i < RTE_DIM(losses_per_mille); i++) {
		begin_link(NARROW, i == 1);
		forth()->loss_per_mille = losses_per_mille[i];
		l.way[1].loss_per_mille = losses_per_mille[i];
		forth()->reorder_per_mille = 50;
		forth()->reorder_us = 3000;
		CHECK(transfer(MEGABYTE, 30 * MINUTE));
		CHECK(sender()->plpmtud.mtu <= NARROW);
		forth()->loss_per_mille = l.way[1].loss_per_mille = 0;
		end_link();
	}
}

/* ---- one probe --------------------------------------------------------------------------- */

#define BASE_MSS (PLPMTUD_BASE_MTU - TCP_IPV4_HEADERS)

/* Of ten segments these are acknowledged, and a probe of full size and more are in flight behind. */
static void begin_probing_with(bool sack, uint32_t acked)
{
	struct host_config config = host_config_default();

	config.worker.mtu_probing = MTU_PROBING_ALWAYS;
	begin_with(&config, sack, false);
	CHECK_EQ(mss, BASE_MSS);
	app_write_pattern(&s, 60 * mss);
	host_settle(h);
	host_drain(h);
	host_advance_ms(h, RTT_MS);
	ack(acked);
	PEER_EXPECT(&peer, PAYLOAD_IS_PATTERN(10 * (uint64_t)mss, 1460), TCP_SEQ_IS(seq_of(10)));
	CHECK_EQ(count_of(CNT_tcp_mtu_probe), 1);
	host_drain(h);
	host_advance_ms(h, RTT_MS);
}

static void begin_probing(void)
{
	begin_probing_with(true, 10);
}

static uint32_t probe_start(void)
{
	return seq_of(10);
}

/* Where the nth segment behind the probe begins. */
static uint32_t behind(uint32_t n)
{
	return probe_start() + 1460 + n * mss;
}

static void acknowledge(uint32_t upto, uint32_t start, uint32_t end)
{
	peer.sack[0][0] = start;
	peer.sack[0][1] = end;
	peer.sack_count = start != end;
	peer_inject(&peer, TH_ACK, peer.seq, upto, NULL, 0);
	peer.sack_count = 0;
	host_poll(h);
}

static void after_a_probe_that_arrived_segments_are_larger(void)
{
	begin_probing();
	acknowledge(behind(2), 0, 0);
	CHECK_EQ(count_of(CNT_tcp_mtu_probe_acked), 1);
	PEER_EXPECT(&peer, PAYLOAD_IS(1460));
	CHECK_EQ(tcp()->plpmtud.state, PLPMTUD_COMPLETE);
	host_drain(h);
	end();
}

static void a_probe_that_is_acknowledged_selectively_arrived(void)
{
	begin_probing_with(true, 5);
	acknowledge(seq_of(5), probe_start(), behind(0));
	CHECK_EQ(count_of(CNT_tcp_mtu_probe_acked), 1);
	host_drain(h);
	end();
}

/* RFC 4821 section 7.6.2. */
static void a_lost_probe_is_no_congestion(void)
{
	uint32_t before;

	begin_probing();
	before = cwnd();
	acknowledge(probe_start(), behind(0), behind(3));
	CHECK_EQ(count_of(CNT_tcp_mtu_probe_lost), 1);
	/* It goes again at once, in ordinary segments. */
	PEER_EXPECT(&peer, TCP_SEQ_IS(probe_start()), PAYLOAD_IS(mss));
	PEER_EXPECT(&peer, TCP_SEQ_IS(probe_start() + mss), PAYLOAD_IS(1460 - mss));
	CHECK(cwnd() >= before);
	CHECK_EQ(ssthresh(), SSTHRESH_INFINITE);
	CHECK_EQ(tcp()->recovery, RECOVERY_NONE);
	CHECK_EQ(count_of(CNT_tcp_fast_retransmit), 0);
	CHECK_EQ(tcp()->sending->flight.lost, 0);
	host_drain(h);
	end();
}

static void without_sack_a_lost_probe_is_no_congestion_either(void)
{
	uint32_t before;

	begin_probing_with(false, 10);
	before = cwnd();
	for (unsigned i = 0; i < TCP_DUPACK_LIMIT; i++) {
		host_drain(h); /* limited transmit */
		acknowledge(probe_start(), 0, 0);
	}
	CHECK_EQ(count_of(CNT_tcp_mtu_probe_lost), 1);
	PEER_EXPECT(&peer, TCP_SEQ_IS(probe_start()), PAYLOAD_IS(mss));
	CHECK(cwnd() >= before);
	CHECK_EQ(ssthresh(), SSTHRESH_INFINITE);
	CHECK_EQ(tcp()->recovery, RECOVERY_NONE);
	host_drain(h);
	end();
}

/* RFC 4821 section 7.6.4: when more is lost it is congestion, and says nothing of sizes. */
static void a_probe_lost_among_others_is_congestion(void)
{
	begin_probing();
	acknowledge(probe_start(), behind(1), behind(4));
	CHECK_EQ(count_of(CNT_tcp_mtu_probe_lost), 0);
	CHECK_EQ(tcp()->recovery, RECOVERY_FAST);
	CHECK_EQ(tcp()->plpmtud.probe, 0);
	CHECK_EQ(tcp()->plpmtud.lost, 0);
	CHECK(ssthresh() != SSTHRESH_INFINITE);
	host_drain(h);
	end();
}

static void a_probe_whose_data_is_lost_again_is_congestion(void)
{
	begin_probing();
	acknowledge(probe_start(), behind(0), behind(3));
	CHECK_EQ(tcp()->recovery, RECOVERY_NONE);
	host_drain(h);
	host_advance_ms(h, RTT_MS + 10);
	acknowledge(probe_start() + mss, behind(0), behind(3)); /* but not its second half */
	host_advance_ms(h, RTT_MS + 10);
	acknowledge(probe_start() + mss, behind(0), behind(12));
	CHECK_EQ(tcp()->recovery, RECOVERY_FAST);
	host_drain(h);
	end();
}

/* The loss probe (RFC 8985) sends the end of it again, for nothing came behind it. */
static void a_probe_that_went_twice_says_nothing(void)
{
	struct host_config config = host_config_default();

	config.worker.mtu_probing = MTU_PROBING_ALWAYS;
	begin_with(&config, true, false);
	app_write_pattern(&s, 60 * mss);
	host_settle(h);
	host_drain(h);
	host_advance_ms(h, RTT_MS);
	peer.window = (uint16_t)(9 * mss + 1460); /* the probe fills it */
	ack(1);
	PEER_EXPECT(&peer, TCP_SEQ_IS(probe_start()), PAYLOAD_IS(1460));
	HOST_EXPECT_NOTHING(h);
	peer.window = 1460;
	ack(10);
	CHECK_EQ(tcp()->plpmtud.probe, 1500);
	host_advance_ms(h, 3 * RTT_MS);
	CHECK_EQ(count_of(CNT_tcp_loss_probe), 1);
	CHECK_EQ(count_of(CNT_tcp_rto), 0);
	PEER_EXPECT(&peer, TCP_SEQ_IS(probe_start() + 1460 - mss), PAYLOAD_IS(mss));
	CHECK_EQ(tcp()->plpmtud.probe, 0);
	peer.window = 65535;
	acknowledge(behind(0), 0, 0);
	CHECK_EQ(count_of(CNT_tcp_mtu_probe_acked), 0);
	host_settle(h);
	CHECK_EQ(count_of(CNT_tcp_mtu_probe), 2); /* it is asked once more */
	host_drain(h);
	end();
}

/* RFC 8899 section 4.6: what a router says of the probe saves the wait for its loss. */
static void a_message_about_the_probe_ends_it(void)
{
	uint32_t before;

	begin_probing();
	before = cwnd();
	tcp_ip_protocol.error(h->w, &tcp()->ics.inet.flow, probe_start(), EMSGSIZE, NARROW);
	host_settle(h);
	PEER_EXPECT(&peer, TCP_SEQ_IS(probe_start()), PAYLOAD_IS(mss));
	CHECK_EQ(tcp()->plpmtud.high, NARROW);
	CHECK_EQ(tcp()->plpmtud.mtu, PLPMTUD_BASE_MTU);
	CHECK(cwnd() >= before);
	CHECK_EQ(ssthresh(), SSTHRESH_INFINITE);
	host_drain(h);
	end();
}

/* RFC 4821 section 7.4. */
static void a_probe_waits_until_there_is_enough_to_send(void)
{
	struct host_config config = host_config_default();

	config.worker.mtu_probing = MTU_PROBING_ALWAYS;
	begin_with(&config, true, false);
	write_segments(12);
	host_drain(h);
	host_advance_ms(h, RTT_MS);
	tcp()->plpmtud.acked = PLPMTUD_BASE_MTU;
	plpmtud_search(&tcp()->plpmtud);
	tcp()->plpmtud.top = false; /* the largest was tried, which needs nothing behind it */
	ack(10);
	SENT(10, 11);
	CHECK_EQ(tcp()->plpmtud.state, PLPMTUD_SEARCH);
	CHECK_EQ(count_of(CNT_tcp_mtu_probe), 0);
	app_write_pattern(&s, 10 * mss);
	host_settle(h);
	CHECK_EQ(count_of(CNT_tcp_mtu_probe), 1);
	PEER_EXPECT(&peer, PAYLOAD_IS(1242));
	host_drain(h);
	end();
}

static void a_peer_with_a_small_window_is_not_probed(void)
{
	struct host_config config = host_config_default();

	config.worker.mtu_probing = MTU_PROBING_ALWAYS;
	begin_with(&config, true, false);
	peer.window = (uint16_t)(2 * mss);
	ack(0);
	plpmtud_search(&tcp()->plpmtud);
	tcp()->plpmtud.top = false;
	write_segments(20);
	for (uint32_t i = 2; i <= 20; i += 2) {
		host_drain(h);
		ack(i);
	}
	CHECK_EQ(tcp()->plpmtud.state, PLPMTUD_SEARCH);
	CHECK_EQ(count_of(CNT_tcp_mtu_probe), 0);
	host_drain(h);
	end();
}

/* ---- forged messages (RFC 5927 section 7.2) ---------------------------------------------- */

static void forge(uint32_t sequence, uint16_t claimed)
{
	tcp_ip_protocol.error(h->w, &tcp()->ics.inet.flow, sequence, EMSGSIZE, claimed);
}

/* One who knows the ports, and guesses a sequence number in flight again and again. */
static void a_connection_that_makes_progress_heeds_no_forged_message(void)
{
	begin();
	write_segments(10);
	host_drain(h);
	for (uint32_t i = 1; i < 10; i++) {
		host_advance_ms(h, RTT_MS / 10);
		ack(i);
		forge(seq_of(i), 600);
	}
	CHECK_EQ(count_of(CNT_tcp_mtu_doubted), 9);
	CHECK_EQ(count_of(CNT_tcp_mtu_shrank), 0);
	CHECK_EQ(tcp()->mss_bytes, mss);
	CHECK_EQ(count_of(CNT_tcp_retransmit), 0);
	ack(10);
	CHECK_EQ(tcp()->plpmtud.claimed, 0);
	end();
}

/* What arrived is remembered when somebody's route or neighbour changes. */
static void a_change_of_routes_makes_nobody_credulous(void)
{
	begin();
	write_segments(3);
	host_drain(h);
	ack(1);
	route_changed(h->w);
	app_write_pattern(&s, mss); /* looks the route up */
	host_settle(h);
	forge(seq_of(1), 600);
	CHECK_EQ(count_of(CNT_tcp_mtu_doubted), 1);
	CHECK_EQ(tcp()->mss_bytes, mss);
	host_drain(h);
	ack(4);
	end();
}

static void a_message_that_quotes_nothing_in_flight_is_ignored(void)
{
	begin();
	write_segments(2);
	host_drain(h);
	forge(seq_of(0) - 1, 600);
	forge(seq_of(2), 600);
	CHECK_EQ(count_of(CNT_tcp_mtu_doubted) + count_of(CNT_tcp_mtu_shrank), 0);
	CHECK_EQ(tcp()->mss_bytes, mss);
	ack(2);
	end();
}

static void a_timeout_confirms_a_message(void)
{
	begin();
	write_segments(3);
	host_drain(h);
	host_advance_ms(h, RTT_MS);
	ack(1);
	forge(seq_of(1), 1000);
	CHECK_EQ(tcp()->mss_bytes, mss);
	host_advance_ms(h, 1000);
	CHECK(count_of(CNT_tcp_rto) > 0);
	CHECK_EQ(tcp()->mss_bytes, 960);
	CHECK_EQ(tcp()->plpmtud.mtu, 1000);
	host_drain(h);
	ack(3);
	end();
}

/* ---- what an application says of it: IP_MTU_DISCOVER, IP_MTU --------------------------------- */

static int set_discover(struct app_sock *sock, int how)
{
	return app_setsockopt(sock, IPPROTO_IP, IP_MTU_DISCOVER, &how, sizeof(how));
}

static int ip_option(struct app_sock *sock, int name)
{
	int value = -1;

	CHECK_EQ(app_getsockopt(sock, IPPROTO_IP, name, &value, sizeof(value)), 0);
	return value;
}

/* Of a segment with 100 bytes. */
static bool may_be_fragmented(void)
{
	struct frame *f;
	bool may;

	app_write_pattern(&s, 100);
	host_settle(h);
	f = host_pop(h);
	REQUIRE(f != NULL);
	may = !FRAME_SEE(f).ip_dont_fragment;
	free(f);
	host_drain(h);
	peer.ack += 100;
	peer_send(&peer, TH_ACK, NULL, 0);
	return may;
}

static void an_application_may_let_routers_fragment(void)
{
	begin();
	peer.ack = seq_of(0);
	CHECK_EQ(ip_option(&s, IP_MTU_DISCOVER), IP_PMTUDISC_WANT);
	CHECK(!may_be_fragmented());
	CHECK_EQ(set_discover(&s, IP_PMTUDISC_DONT), 0);
	CHECK(may_be_fragmented());
	CHECK_EQ(set_discover(&s, IP_PMTUDISC_DO), 0);
	CHECK(!may_be_fragmented());
	CHECK_EQ(set_discover(&s, IP_PMTUDISC_DONT - 1), -EINVAL);
	CHECK_EQ(set_discover(&s, IP_PMTUDISC_PROBE + 1), -EINVAL);
	CHECK_EQ(ip_option(&s, IP_MTU_DISCOVER), IP_PMTUDISC_DO);
	end();
}

static void who_does_not_discover_heeds_no_message(void)
{
	static const int hows[] = {IP_PMTUDISC_DONT, IP_PMTUDISC_PROBE};

	for (unsigned i = 0; i < RTE_DIM(hows); i++) {
		begin();
		CHECK_EQ(set_discover(&s, hows[i]), 0);
		write_segments(2);
		forge(seq_of(0), 1000);
		CHECK_EQ(ip_option(&s, IP_MTU), 1500);
		host_drain(h);
		end();
	}
}

static void a_listener_passes_it_on_and_the_mtu_is_told(void)
{
	int value;

	begin_unconnected(NULL);
	host_listen(h, 4);
	CHECK_EQ(set_discover(&h->listener, IP_PMTUDISC_PROBE), 0);
	CHECK_EQ(app_getsockopt(&h->listener, IPPROTO_IP, IP_MTU, &value, sizeof(value)),
		 -ENOTCONN);
	host_established(h, &peer, &s);
	CHECK_EQ(ip_option(&s, IP_MTU_DISCOVER), IP_PMTUDISC_PROBE);
	CHECK_EQ(ip_option(&s, IP_MTU), 1500);
	end();
}

TEST_SUITE(tcp_pmtud)
{
	TEST(a_black_hole_is_left_and_measured);
	TEST(a_deep_black_hole_is_left);
	TEST(without_probing_a_black_hole_is_for_ever);
	TEST(a_port_that_cuts_segments_sends_probes_whole);
	TEST(a_black_hole_may_open_later);
	TEST(a_peer_that_was_away_costs_no_mtu);
	TEST(an_outage_makes_small_answers_small_packets_for_a_while);
	TEST(lost_small_segments_are_no_black_hole);
	TEST(a_path_that_tells_is_believed_at_once);
	TEST(a_path_that_narrows_is_believed_after_a_timeout);
	TEST(a_path_that_widens_is_noticed_after_ten_minutes);
	TEST(after_a_change_of_routes_it_looks_again);
	TEST(a_path_that_does_not_widen_is_asked_with_probes_alone);
	TEST(a_connection_may_begin_small_and_grow);
	TEST(a_bad_narrow_path_is_survived);
	TEST(after_a_probe_that_arrived_segments_are_larger);
	TEST(a_probe_that_is_acknowledged_selectively_arrived);
	TEST(a_lost_probe_is_no_congestion);
	TEST(without_sack_a_lost_probe_is_no_congestion_either);
	TEST(a_probe_lost_among_others_is_congestion);
	TEST(a_probe_whose_data_is_lost_again_is_congestion);
	TEST(a_probe_that_went_twice_says_nothing);
	TEST(a_message_about_the_probe_ends_it);
	TEST(a_probe_waits_until_there_is_enough_to_send);
	TEST(a_peer_with_a_small_window_is_not_probed);
	TEST(a_connection_that_makes_progress_heeds_no_forged_message);
	TEST(a_change_of_routes_makes_nobody_credulous);
	TEST(a_message_that_quotes_nothing_in_flight_is_ignored);
	TEST(a_timeout_confirms_a_message);
	TEST(an_application_may_let_routers_fragment);
	TEST(who_does_not_discover_heeds_no_message);
	TEST(a_listener_passes_it_on_and_the_mtu_is_told);
}
