/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/tcp_model.h"

#include <errno.h>
#include <netinet/tcp.h>

#include "lib/seq.h"

/* SEG.LEN of RFC 9293 section 3.3.1: SYN and FIN count. */
static uint32_t segment_length(const struct model_segment *seg)
{
	return seg->length + (seg->flags & TH_SYN ? 1 : 0) + (seg->flags & TH_FIN ? 1 : 0);
}

/* ---- outcomes ---------------------------------------------------------------- */

/* Nothing happens. */
static struct model_outcome stays(const struct model_connection *c)
{
	return (struct model_outcome){.state = c->state, .drop = CNT_MAX};
}

static struct model_outcome dies(const struct model_connection *c, enum counter why)
{
	struct model_outcome o = stays(c);

	o.drop = why;
	return o;
}

/* <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK> */
static struct model_outcome answered(const struct model_connection *c, enum counter why)
{
	struct model_outcome o = dies(c, why);

	o.reply = REPLY_ACK;
	o.seq = c->snd_nxt;
	o.ack = c->rcv_nxt;
	return o;
}

static struct model_outcome challenged(const struct model_connection *c, enum counter why)
{
	struct model_outcome o = answered(c, why);

	o.challenge = true;
	return o;
}

/* Section 3.10.7.1: <SEQ=SEG.ACK><CTL=RST>, or <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>. */
static struct model_outcome refused(const struct model_connection *c,
				    const struct model_segment *seg, enum counter why)
{
	struct model_outcome o = dies(c, why);

	if (seg->flags & TH_RST)
		return o;
	if (seg->flags & TH_ACK) {
		o.reply = REPLY_RST;
		o.seq = seg->ack;
	} else {
		o.reply = REPLY_RST_ACK;
		o.ack = seg->seq + segment_length(seg);
	}
	return o;
}

/* The connection ends. */
static struct model_outcome ends(int error)
{
	return (struct model_outcome){
		.state = TCP_CLOSE, .eof = true, .error = error, .drop = CNT_MAX};
}

/* A SYN meets a listener: <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>.  Its text is not kept: not
 * acknowledged, it comes again. */
static struct model_outcome opens(const struct model_segment *seg)
{
	return (struct model_outcome){
		.state = TCP_SYN_RECV,
		.reply = REPLY_SYN_ACK,
		.seq_free = true,
		.ack = seg->seq + 1,
		.drop = CNT_MAX,
	};
}

/* ---- 3.10.7.1 to 3.10.7.3: CLOSED, LISTEN, SYN-SENT ---------------------------- */

static struct model_outcome closed(const struct model_connection *c,
				   const struct model_segment *seg)
{
	return refused(c, seg, CNT_tcp_no_sock);
}

static struct model_outcome listening(const struct model_segment *seg)
{
	struct model_connection none = {.state = TCP_CLOSE};

	if (seg->flags & (TH_RST | TH_ACK))
		return refused(&none, seg, CNT_tcp_no_sock);
	/* Deviation: SYN with FIN, which nobody sends who wants a connection, is not a SYN. */
	if (!(seg->flags & TH_SYN) || seg->flags & TH_FIN)
		return dies(&none, CNT_tcp_state);
	return opens(seg);
}

static struct model_outcome text_and_fin(const struct model_connection *c,
					 const struct model_segment *seg);

static struct model_outcome syn_sent(const struct model_connection *c,
				     const struct model_segment *seg)
{
	bool acks = (seg->flags & TH_ACK) != 0;
	struct model_connection open = *c;
	struct model_segment rest = *seg;
	struct model_outcome o;

	if (acks && (seq_le(seg->ack, c->snd_una) || seq_gt(seg->ack, c->snd_nxt)))
		return refused(c, seg, CNT_tcp_ack);
	if (seg->flags & TH_RST)
		return acks ? ends(ECONNREFUSED) : dies(c, CNT_tcp_rst);
	if (!(seg->flags & TH_SYN))
		return dies(c, CNT_tcp_state);
	open.rcv_nxt = seg->seq + 1;
	if (!acks) { /* both at once; text and FIN come again with the peer's retransmission */
		o = stays(&open);
		o.state = TCP_SYN_RECV;
		o.reply = REPLY_SYN_ACK;
		o.seq = c->snd_una;
		o.ack = open.rcv_nxt;
		return o;
	}
	open.state = TCP_ESTABLISHED;
	open.snd_una = seg->ack;
	rest.seq++;
	rest.flags &= (uint8_t)~TH_SYN;
	o = text_and_fin(&open, &rest);
	if (o.reply == REPLY_NONE || o.reply == REPLY_ACK_SOON) { /* its SYN is acknowledged now */
		o.reply = REPLY_ACK;
		o.seq = open.snd_nxt;
		o.ack = open.rcv_nxt + o.text;
	}
	return o;
}

/* ---- 3.10.7.4: all others -------------------------------------------------------- */

static bool in_window(const struct model_connection *c, uint32_t seq)
{
	return seq - c->rcv_nxt < c->rcv_wnd;
}

/* Table 6 of section 3.10.7.4, for an open window. */
static bool is_acceptable(const struct model_connection *c, const struct model_segment *seg)
{
	uint32_t length = segment_length(seg);

	if (length > 0)
		return in_window(c, seg->seq) || in_window(c, seg->seq + length - 1);
	/* Deviation: one who has filled the window sends its ACKs from the window's end; if some of
	 * that was lost they lie one beyond. */
	if (!(seg->flags & TH_RST) && seg->seq == c->rcv_nxt + c->rcv_wnd)
		return true;
	return in_window(c, seg->seq);
}

/* Seventh and eighth: text and FIN, of an acceptable segment. */
static struct model_outcome text_and_fin(const struct model_connection *c,
					 const struct model_segment *seg)
{
	struct model_outcome o = stays(c);
	uint32_t old = seq_lt(seg->seq, c->rcv_nxt) ? c->rcv_nxt - seg->seq : 0;
	uint32_t end = seg->seq + seg->length;
	bool receives = c->state == TCP_ESTABLISHED || c->state == TCP_FIN_WAIT1 ||
			c->state == TCP_FIN_WAIT2;

	if (!receives) /* the peer's FIN is in: "ignore the segment text" */
		return o;
	o.seq = c->snd_nxt;
	o.ack = c->rcv_nxt;
	if (seg->length > 0 && c->orphan && seq_gt(end, c->rcv_nxt)) {
		/* RFC 1122 section 4.2.2.13: text for an application that has closed. */
		o = dies(c, CNT_tcp_state);
		o.reply = REPLY_RST_ACK;
		o.seq = c->snd_nxt;
		o.ack = c->rcv_nxt;
		o.state = TCP_CLOSE;
		o.eof = true;
		return o;
	}
	if (seq_gt(seg->seq, c->rcv_nxt)) { /* beyond a gap: kept, and told at once (RFC 5681) */
		if (seg->length > 0 || seg->flags & TH_FIN)
			o.reply = REPLY_ACK;
		return o;
	}
	if (seg->length > old) {
		o.reply = REPLY_ACK_SOON;
		o.text = seg->length - old;
		o.ack += o.text;
	} else if (seg->length > 0) {
		o.reply = REPLY_ACK; /* all of it is old */
	}
	if (!(seg->flags & TH_FIN) || seq_lt(end, c->rcv_nxt))
		return o;
	o.reply = REPLY_ACK;
	o.ack++;
	o.eof = true;
	if (c->state == TCP_ESTABLISHED)
		o.state = TCP_CLOSE_WAIT;
	else
		o.state = c->state == TCP_FIN_WAIT1 ? TCP_CLOSING : TCP_TIME_WAIT;
	return o;
}

static bool acks_our_fin(const struct model_connection *c, const struct model_segment *seg)
{
	return c->fin_sent && seg->ack == c->snd_nxt;
}

/* Fifth, of a synchronized state; then the rest. */
static struct model_outcome acknowledgment(const struct model_connection *c,
					   const struct model_segment *seg)
{
	struct model_connection next = *c;

	/* RFC 5961 section 5.2 */
	if (seq_gt(seg->ack, c->snd_nxt) || seq_lt(seg->ack, c->snd_una - c->snd_wnd_max))
		return challenged(c, CNT_tcp_ack);
	if (acks_our_fin(c, seg)) {
		if (c->state == TCP_FIN_WAIT1)
			next.state = TCP_FIN_WAIT2;
		if (c->state == TCP_CLOSING) {
			struct model_outcome o = stays(c);

			o.state = TCP_TIME_WAIT;
			return o;
		}
		if (c->state == TCP_LAST_ACK)
			return ends(0);
	}
	return text_and_fin(&next, seg);
}

static struct model_outcome syn_received_ack(const struct model_connection *c,
					     const struct model_segment *seg)
{
	struct model_connection open = *c;

	if (seq_le(seg->ack, c->snd_una) || seq_gt(seg->ack, c->snd_nxt))
		return refused(c, seg, CNT_tcp_ack);
	open.state = TCP_ESTABLISHED;
	return text_and_fin(&open, seg);
}

/* Second, a RST with the sequence number expected. */
static struct model_outcome reset(const struct model_connection *c)
{
	switch (c->state) {
	case TCP_SYN_RECV:
		return ends(c->passive ? 0 : ECONNREFUSED);
	case TCP_CLOSING:
	case TCP_LAST_ACK:
		return ends(0);
	case TCP_CLOSE_WAIT: /* as Linux tells it: the peer had said all */
		return ends(EPIPE);
	default:
		return ends(ECONNRESET);
	}
}

static struct model_outcome synchronized(const struct model_connection *c,
					 const struct model_segment *seg)
{
	/* Deviation: the SYN that made this request came again, so the SYN-ACK goes again. */
	if (c->passive && seg->seq == c->irs &&
	    (seg->flags & (TH_SYN | TH_ACK | TH_RST)) == TH_SYN) {
		struct model_outcome o = opens(seg);

		o.drop = CNT_tcp_syn;
		return o;
	}
	if (!is_acceptable(c, seg)) /* first */
		return seg->flags & TH_RST ? dies(c, CNT_tcp_rst) : answered(c, CNT_tcp_seq);
	if (seg->flags & TH_RST) /* second, with RFC 5961 section 3.2 */
		return seg->seq == c->rcv_nxt ? reset(c) : challenged(c, CNT_tcp_rst);
	/* Fourth, with RFC 5961 section 4.2.  Deviation: in SYN-RECEIVED too, where RFC 9293 goes
	 * back to LISTEN and so lets a guess end a handshake. */
	if (seg->flags & TH_SYN)
		return challenged(c, CNT_tcp_syn);
	if (!(seg->flags & TH_ACK)) /* fifth */
		return dies(c, CNT_tcp_no_ack);
	return c->state == TCP_SYN_RECV ? syn_received_ack(c, seg) : acknowledgment(c, seg);
}

/*
 * TIME-WAIT deviates: a RST is ignored (RFC 1337), a later SYN may open a new
 * connection (RFC 9293 section 3.10.7.4 by way of RFC 1122 section 4.2.2.13),
 * and of the rest all but what takes no sequence numbers is answered: two ends
 * that disagree would bounce ACKs for ever.
 */
static struct model_outcome time_wait(const struct model_connection *c,
				      const struct model_segment *seg)
{
	bool opening = (seg->flags & (TH_SYN | TH_ACK)) == TH_SYN;
	struct model_outcome o;

	if (seg->flags & TH_RST)
		return dies(c, CNT_tcp_rst);
	if (c->listener && opening && seq_gt(seg->seq, c->rcv_nxt)) {
		o = listening(seg);
		if (o.drop == CNT_MAX)
			return o;
	}
	if (segment_length(seg) == 0)
		return seg->flags & TH_ACK ? stays(c) : dies(c, CNT_tcp_no_ack);
	/* The peer's FIN again: 2 MSL begin again. */
	if ((seg->flags & (TH_FIN | TH_ACK)) == (TH_FIN | TH_ACK) &&
	    seg->seq + segment_length(seg) == c->rcv_nxt)
		return answered(c, CNT_MAX);
	return answered(c, CNT_tcp_seq);
}

struct model_outcome model_segment_arrives(const struct model_connection *c,
					   const struct model_segment *seg)
{
	switch (c->state) {
	case TCP_CLOSE:
		return closed(c, seg);
	case TCP_LISTEN:
		return listening(seg);
	case TCP_SYN_SENT:
		return syn_sent(c, seg);
	case TCP_TIME_WAIT:
		return time_wait(c, seg);
	default:
		return synchronized(c, seg);
	}
}
