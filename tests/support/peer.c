/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/peer.h"

#include <stdlib.h>

#include "lib/seq.h"
#include "support/build.h"
#include "support/host.h"

#define PEER_ISN 0x10000000u

void peer_init(struct peer *p, struct host *h)
{
	*p = (struct peer){
		.host = h,
		.address = h->config.peer_address,
		.port = h->next_peer_port++,
		.host_port = HOST_PORT,
		.isn = PEER_ISN,
		.seq = PEER_ISN,
		.window = 65535,
		.mss = 1460,
		.window_scale = -1,
	};
}

static uint32_t peer_clock(const struct peer *p)
{
	return (uint32_t)(clock_us / 1000) + p->ts_offset;
}

void peer_build(const struct peer *p, struct build *b, uint8_t flags, uint32_t seq, uint32_t ack)
{
	build_start(b);
	build_eth(b, &p->host->config.mac, &p->host->config.peer_mac, RTE_ETHER_TYPE_IPV4);
	build_ipv4(b, IPPROTO_TCP, p->address, p->host->config.address);
	build_tcp(b, p->port, p->host_port, seq, flags & TH_ACK ? ack : 0, flags, p->window);
	if (flags & TH_SYN) {
		if (p->mss != 0)
			build_tcp_mss(b, p->mss);
		if (p->window_scale >= 0)
			build_tcp_window_scale(b, (uint8_t)p->window_scale);
		if (p->sack_permitted)
			build_tcp_sack_permitted(b);
		if (p->timestamps)
			build_tcp_timestamp(b, peer_clock(p), p->ts_recent);
		if (p->fastopen)
			build_tcp_fastopen(b, p->cookie, p->cookie_bytes);
	} else if (p->send_timestamps && !(flags & TH_RST)) {
		build_tcp_timestamp(b, peer_clock(p), p->ts_recent);
	}
	if (!(flags & TH_SYN) && p->sack_count > 0)
		build_tcp_sack(b, p->sack, p->sack_count);
}

void peer_inject(const struct peer *p, uint8_t flags, uint32_t seq, uint32_t ack, const void *data,
		 uint32_t length)
{
	struct build b;

	peer_build(p, &b, flags, seq, ack);
	build_bytes(&b, data != NULL ? data : "", length);
	build_finish(&b);
	host_inject(p->host, &b);
}

void peer_inject_pattern(const struct peer *p, uint32_t seq, uint32_t length)
{
	struct build b;

	peer_build(p, &b, TH_ACK, seq, p->ack);
	build_pattern(&b, peer_offset(p, seq), length);
	build_finish(&b);
	host_inject(p->host, &b);
}

static void peer_moved(struct peer *p, uint8_t flags, uint32_t length)
{
	p->seq += length + (flags & TH_SYN ? 1 : 0) + (flags & TH_FIN ? 1 : 0);
	host_poll(p->host);
}

void peer_send(struct peer *p, uint8_t flags, const void *data, uint32_t length)
{
	peer_inject(p, flags, p->seq, p->ack, data, length);
	peer_moved(p, flags, length);
}

void peer_send_pattern(struct peer *p, uint32_t length)
{
	peer_inject_pattern(p, p->seq, length);
	peer_moved(p, TH_ACK, length);
}

/* What the peer learns from a segment of the host. */
static void peer_learn(struct peer *p, const struct seen *s, const char *file, int line)
{
	const struct tcp_segment *t = &s->tcp;
	uint32_t length = t->length + (t->flags & TH_SYN ? 1 : 0) + (t->flags & TH_FIN ? 1 : 0);

	if (s->ip_protocol != IPPROTO_TCP || s->destination_port != p->port ||
	    s->ip_destination != p->address) {
		test_fail(file, line, "frame to %x:%u protocol %u is not of this connection",
			  s->ip_destination, s->destination_port, s->ip_protocol);
		return;
	}
	if (t->flags & TH_SYN) {
		p->host_isn = t->seq;
		p->ack = t->seq;
		p->send_timestamps = p->timestamps && t->has_timestamp;
	}
	if (t->has_timestamp)
		p->ts_recent = t->ts_value;
	if (t->seq == p->ack)
		p->ack = t->seq + length;
}

struct tcp_segment peer_take(struct peer *p, const char *file, int line)
{
	struct frame *f = host_pop(p->host);
	struct seen s;

	if (f == NULL) {
		test_fail(file, line, "a frame was sent");
		return (struct tcp_segment){.window_scale = -1};
	}
	s = frame_see(f, file, line);
	peer_learn(p, &s, file, line);
	free(f);
	return s.tcp;
}

void peer_expect(struct peer *p, const struct check *checks, const char *file, int line)
{
	struct frame *f = host_pop(p->host);
	struct seen s;

	if (!frame_check(f, checks, file, line) && f == NULL)
		return;
	s = frame_see(f, file, line);
	peer_learn(p, &s, file, line);
	free(f);
}
