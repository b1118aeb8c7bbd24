/* SPDX-License-Identifier: BSD-3-Clause */
/* The far end of a TCP connection, played by the test segment by segment. */
#ifndef LEAT_SUPPORT_PEER_H
#define LEAT_SUPPORT_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "support/check.h"

struct build;
struct host;

struct peer {
	struct host *host;
	uint32_t address;
	uint16_t port;
	uint16_t host_port;
	uint32_t isn;
	uint32_t seq; /* of the next byte it sends */
	uint32_t ack; /* the next byte it expects */
	uint32_t host_isn; /* once seen */
	uint16_t window; /* as written in the header, unscaled */
	/* what its SYN offers */
	uint16_t mss; /* 0: no option */
	int8_t window_scale; /* -1: no option */
	bool timestamps;
	bool sack_permitted;
	bool fastopen; /* with this cookie, as long as there is one */
	uint8_t cookie_bytes;
	uint8_t cookie[16];
	/* timestamps, once both sides offered them */
	bool send_timestamps;
	uint32_t ts_offset; /* of its clock, which counts milliseconds */
	uint32_t ts_recent; /* the last it saw */
	/* what its segments but the SYN say of what came out of order */
	uint32_t sack[4][2];
	unsigned sack_count;
};

/* A fresh port, MSS 1460, no scale, no timestamps, window 65535. */
void peer_init(struct peer *p, struct host *h);

/* Sends a segment at p->seq acknowledging p->ack (when flags hold ACK) and polls the host; p->seq
 * moves on.  data may be NULL when length is 0. */
void peer_send(struct peer *p, uint8_t flags, const void *data, uint32_t length);
/* Sends length bytes of the pattern: stream offset 0 is isn + 1. */
void peer_send_pattern(struct peer *p, uint32_t length);
/* Sends a segment as told; p is not changed.  Not polled. */
void peer_inject(const struct peer *p, uint8_t flags, uint32_t seq, uint32_t ack, const void *data,
		 uint32_t length);
void peer_inject_pattern(const struct peer *p, uint32_t seq, uint32_t length);
/* Frame up to and with the TCP header and usual options, to be made wrong and then injected. */
void peer_build(const struct peer *p, struct build *b, uint8_t flags, uint32_t seq, uint32_t ack);
/* The offset in its stream that seq has. */
static inline uint64_t peer_offset(const struct peer *p, uint32_t seq)
{
	return (uint32_t)(seq - p->isn - 1);
}

/* Takes the next frame, which must be a segment of this connection: acknowledges it in p->ack
 * when it is the one expected.  A failure and zeroes when there is none. */
struct tcp_segment peer_take(struct peer *p, const char *file, int line);
#define PEER_TAKE(p) peer_take(p, __FILE__, __LINE__)
/* Takes the next frame and compares it. */
void peer_expect(struct peer *p, const struct check *checks, const char *file, int line);
#define PEER_EXPECT(p, ...)                                                                 \
	peer_expect(p, (const struct check[]){__VA_ARGS__, {.field = CHECK_END}}, __FILE__, \
		    __LINE__)

#endif
