/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A listener with TCP_FASTOPEN, and a peer that opens fast.  A suite includes
 * this in place of support/tcp_fixture.h.
 */
#ifndef LEAT_SUPPORT_FASTOPEN_FIXTURE_H
#define LEAT_SUPPORT_FASTOPEN_FIXTURE_H

#include "support/tcp_fixture.h"

#define MINUTE_MS  60000u
#define LIMIT      4 /* of begin_serving's listener */
#define TEXT_BYTES 100u

static inline void serve(int backlog, int limit)
{
	host_listen(h, backlog);
	CHECK_EQ(app_setsockopt(&h->listener, IPPROTO_TCP, TCP_FASTOPEN, &limit, sizeof(limit)), 0);
}

static inline struct host_config serving_config(void)
{
	struct host_config config = host_config_default();

	config.worker.fast_open = FAST_OPEN_BOTH;
	return config;
}

static inline void begin_serving(void)
{
	struct host_config config = serving_config();

	begin_unconnected(&config);
	serve(16, LIMIT);
}

/* p's SYN, with length bytes of the pattern after it. */
static inline void send_syn(struct peer *p, uint32_t length)
{
	uint8_t text[1460];

	pattern_fill(text, 0, length);
	p->seq = p->isn;
	peer_send(p, TH_SYN, text, length);
	host_settle(h); /* it may be another worker's */
}

/* The answer to it acknowledges this much; t: all of it. */
static inline struct tcp_segment take_synack(struct peer *p, uint32_t text_bytes)
{
	struct tcp_segment t = PEER_TAKE(p);

	CHECK_EQ(t.flags & ~TH_PUSH, TH_SYN | TH_ACK);
	CHECK_EQ(t.ack, p->isn + 1 + text_bytes);
	CHECK_EQ(t.length, 0);
	p->seq = t.ack;
	return t;
}

static inline void keep_cookie(struct peer *p, const struct tcp_segment *synack)
{
	CHECK(synack->has_fastopen);
	CHECK_EQ(synack->cookie_bytes, FASTOPEN_COOKIE_BYTES);
	memcpy(p->cookie, synack->cookie, FASTOPEN_COOKIE_BYTES);
	p->cookie_bytes = FASTOPEN_COOKIE_BYTES;
}

/* A connection of the peer's that fetches a cookie, and ends. */
static inline void fetch_cookie(struct peer *p)
{
	struct tcp_segment t;

	p->fastopen = true;
	send_syn(p, 0);
	t = take_synack(p, 0);
	keep_cookie(p, &t);
	peer_send(p, TH_RST, NULL, 0);
	HOST_EXPECT_NOTHING(h);
}

/* The same peer connects once more. */
static inline void connect_anew(struct peer *p)
{
	p->port = h->next_peer_port++;
	p->isn += 100000;
}

/* p, with a cookie, has opened with text. */
static inline void open_fast(struct peer *p)
{
	connect_anew(p);
	send_syn(p, TEXT_BYTES);
	take_synack(p, TEXT_BYTES);
}

/* begin_serving, and s is the connection that peer has opened. */
static inline void begin_opened(void)
{
	begin_serving();
	fetch_cookie(&peer);
	open_fast(&peer);
	REQUIRE_EQ(app_accept(&h->listener, &s), 0);
	CHECK_EQ(host_state(&s), TCP_SYN_RECV);
}

static inline uint64_t connections(void)
{
	return host_counter(h, CNT_tcp_fastopen_passive);
}

#endif
