/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SYN cookies (RFC 4987 section 3.6): what a request would remember, in the
 * numbers that the peer sends back with its ACK.
 *
 *     initial sequence number   29 bits of a keyed hash | 3 bits: which MSS
 *     our timestamp, low bits   its window scale | SACK | ECN
 *
 * The hash covers both ends, the peer's initial sequence number, the MSS and
 * the minute: each minute's cookies are as if under a key of their own, and
 * one is good until the end of the next minute.  Without timestamps the
 * connection goes without scale, SACK and ECN.  What the timestamp carries is
 * not authenticated: a peer that changes it harms itself.
 */
#include "lib/siphash.h"
#include "tcp/segment.h"
#include "tcp/tcp_sock.h"

#define COOKIE_MSS_BITS   3
#define COOKIE_MINUTE_US  60000000u

#define COOKIE_SCALE_MASK 0x0fu
#define COOKIE_NO_SCALE   0x0fu /* scales end at 14 */
#define COOKIE_SACK       0x10u
#define COOKIE_ECN        0x20u
#define COOKIE_OPTIONS    0x3fu

/* The largest that is not above the peer's is taken: the least there is, the default, and what is
 * left of 1280, 1420 (tunnels), 1480, 1492 (PPPoE), 1500 and 9000 bytes. */
static const uint16_t cookie_mss_bytes[1 << COOKIE_MSS_BITS] = {
	TCP_MSS_MIN_BYTES, TCP_MSS_DEFAULT_BYTES, 1220, 1380, 1440, 1452, 1460, 8960,
};

static uint64_t cookie_minute(const struct worker *w)
{
	return w->now_us / COOKIE_MINUTE_US;
}

static uint32_t cookie_value(const struct worker *w, const struct flow *flow, uint32_t irs,
			     uint32_t mss_index, uint64_t minute)
{
	struct {
		struct flow flow;
		uint64_t minute;
		uint32_t irs;
		uint32_t mss_index;
	} key = {.flow = *flow, .minute = minute, .irs = irs, .mss_index = mss_index};
	uint32_t hash = (uint32_t)siphash13(&w->secret_key, &key, sizeof(key));

	return hash << COOKIE_MSS_BITS | mss_index;
}

uint32_t tcp_cookie_make(const struct worker *w, const struct request_sock *req)
{
	uint32_t mss_index = RTE_DIM(cookie_mss_bytes) - 1;

	while (mss_index > 0 && cookie_mss_bytes[mss_index] > req->peer_mss_bytes)
		mss_index--;
	return cookie_value(w, &req->flow, req->irs, mss_index, cookie_minute(w));
}

uint16_t tcp_cookie_check(const struct worker *w, const struct flow *flow, uint32_t irs,
			  uint32_t cookie)
{
	uint32_t mss_index = cookie & (RTE_DIM(cookie_mss_bytes) - 1);
	uint64_t minute = cookie_minute(w);

	if (cookie == cookie_value(w, flow, irs, mss_index, minute) ||
	    cookie == cookie_value(w, flow, irs, mss_index, minute - 1))
		return cookie_mss_bytes[mss_index];
	return 0;
}

uint32_t tcp_cookie_timestamp(const struct request_sock *req, uint32_t now)
{
	uint32_t options = req->snd_scale >= 0 ? (uint32_t)req->snd_scale : COOKIE_NO_SCALE;
	uint32_t value;

	if (req->sack)
		options |= COOKIE_SACK;
	if (req->ecn)
		options |= COOKIE_ECN;
	value = (now & ~COOKIE_OPTIONS) | options;
	/* Not ahead of the clock: the next segment's may not be smaller (RFC 7323). */
	return seq_gt(value, now) ? value - (COOKIE_OPTIONS + 1) : value;
}

void tcp_cookie_read_timestamp(uint32_t echo, struct tcp_segment *syn)
{
	uint32_t scale = echo & COOKIE_SCALE_MASK;

	syn->window_scale = scale != COOKIE_NO_SCALE ? (int8_t)scale : -1;
	syn->sack_permitted = (echo & COOKIE_SACK) != 0;
	if (echo & COOKIE_ECN)
		syn->flags |= TCP_FLAG_ECE | TCP_FLAG_CWR;
}
