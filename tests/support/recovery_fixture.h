/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the suites of loss recovery play with: tcp_fixture.h's connection, to a
 * peer RTT_MS away that may have SACK.  Segments are named by their number in
 * what the host sends; mss is their size.
 */
#ifndef LEAT_SUPPORT_RECOVERY_FIXTURE_H
#define LEAT_SUPPORT_RECOVERY_FIXTURE_H

#include "support/tcp_fixture.h"

#define RTT_MS 40u

static uint32_t mss;

/* The peer answers after RTT_MS. */
static inline void begin_with(const struct host_config *config, bool sack, bool timestamps)
{
	begin_unconnected(config);
	peer.sack_permitted = sack;
	peer.timestamps = timestamps;
	host_syn_sent(h, &peer, &s);
	host_advance_ms(h, RTT_MS);
	peer_send(&peer, TH_SYN | TH_ACK, NULL, 0);
	PEER_EXPECT(&peer, TCP_FLAGS_ARE(TH_ACK));
	mss = tcp()->mss_bytes;
}

static inline void begin(void)
{
	begin_with(NULL, true, false);
}

static inline void write_segments(uint32_t count)
{
	CHECK_EQ(app_write_pattern(&s, count * mss), count * mss);
	host_settle(h);
}

static inline uint32_t seq_of(uint32_t segment)
{
	return peer.host_isn + 1 + segment * mss;
}

static inline void inject_ack(uint32_t upto, const uint32_t (*blocks)[2], unsigned count)
{
	peer.sack_count = count;
	for (unsigned i = 0; i < count; i++) {
		peer.sack[i][0] = seq_of(blocks[i][0]);
		peer.sack[i][1] = seq_of(blocks[i][1]);
	}
	peer_inject(&peer, TH_ACK, peer.seq, seq_of(upto), NULL, 0);
	peer.sack_count = 0;
	host_poll(h);
}

/* ACK of the first upto segments, and SACK blocks {from, to}. */
#define SACK(upto, ...)                                      \
	inject_ack(upto, (const uint32_t[][2]){__VA_ARGS__}, \
		   sizeof((const uint32_t[][2]){__VA_ARGS__}) / (2 * sizeof(uint32_t)))

static inline void ack(uint32_t upto)
{
	inject_ack(upto, NULL, 0);
}

/* Whole segments were sent, these, in this order, and nothing else. */
static inline void check_sent(const uint32_t *segments, unsigned count, int line)
{
	for (unsigned i = 0; i < count; i++)
		peer_expect(
			&peer,
			(const struct check[]){PAYLOAD_IS_PATTERN(segments[i] * (uint64_t)mss, mss),
					       TCP_SEQ_IS(seq_of(segments[i])),
					       {.field = CHECK_END}},
			__FILE__, line);
	test_check_eq(host_tx_count(h), 0, "more sent", __FILE__, line);
	host_drain(h);
}
#define SENT(...)                                   \
	check_sent((const uint32_t[]){__VA_ARGS__}, \
		   sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), __LINE__)

/* The first ten of count segments are in flight, and a round trip has passed. */
static inline void begin_ten_of(uint32_t count)
{
	write_segments(count);
	SENT(0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
	host_advance_ms(h, RTT_MS);
	HOST_EXPECT_NOTHING(h);
}

static inline uint64_t count_of(enum counter c)
{
	return host_counter(h, c);
}

static inline uint32_t cwnd(void)
{
	return tcp_cwnd_bytes(tcp());
}

static inline uint32_t ssthresh(void)
{
	return tcp_ssthresh_bytes(tcp());
}

#endif
