/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What one segment must do to a connection: RFC 9293 section 3.10.7 with RFC
 * 5961, written from their text and apart from the stack.  Where leat differs
 * from it on purpose, the model says so with the reason, and so does the stack.
 *
 * Only what can be seen from outside is modelled: the answer, the state, what
 * the application hears, and the counter of a segment that dies.
 */
#ifndef LEAT_SUPPORT_TCP_MODEL_H
#define LEAT_SUPPORT_TCP_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/counters.h"

/* A connection before the segment, as both ends know it from the wire. */
struct model_connection {
	uint8_t state; /* TCP_ESTABLISHED and so on */
	bool listener; /* somebody listens on its local port */
	bool passive; /* SYN-RECEIVED: from LISTEN */
	bool orphan; /* its application has closed it */
	uint32_t snd_una;
	uint32_t snd_nxt;
	uint32_t snd_wnd_max; /* the largest window the peer offered */
	bool fin_sent; /* our FIN is at snd_nxt - 1 */
	uint32_t irs;
	uint32_t rcv_nxt;
	uint32_t rcv_wnd;
};

struct model_segment {
	uint8_t flags; /* TH_* */
	uint32_t seq;
	uint32_t ack;
	uint32_t length; /* of its text */
};

enum model_reply {
	REPLY_NONE,
	REPLY_ACK,
	REPLY_ACK_SOON, /* now or within the time an ACK may be delayed */
	REPLY_SYN_ACK,
	REPLY_RST,
	REPLY_RST_ACK,
};

struct model_outcome {
	enum model_reply reply;
	bool seq_free; /* the answer's sequence number is the stack's choice */
	uint32_t seq; /* of the answer */
	uint32_t ack; /* of the answer, if it has one */
	bool challenge; /* counted as challenge ACK */
	uint8_t state; /* afterwards; LISTEN and CLOSED are both TCP_CLOSE: no connection */
	uint32_t text; /* bytes the application can read now */
	bool eof; /* the application learns that the stream from the peer ended */
	int error; /* that it learns; 0: none */
	enum counter drop; /* CNT_MAX: the segment did not die */
};

struct model_outcome model_segment_arrives(const struct model_connection *c,
					   const struct model_segment *seg);

#endif
