/* SPDX-License-Identifier: BSD-3-Clause */
#include "tcp/segment.h"

#include <netinet/tcp.h>
#include <rte_tcp.h>

#include "net/checksum.h"
#include "net/eth.h"
#include "tcp/fastopen.h"

#define OPTION_END            0
#define OPTION_NOP            1
#define OPTION_MSS            2
#define OPTION_WINDOW_SCALE   3
#define OPTION_SACK_PERMITTED 4
#define OPTION_SACK           5
#define OPTION_TIMESTAMP      8
#define OPTION_FASTOPEN       34

static uint16_t read_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t read_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* In a SYN, where nothing can have come out of order, blocks say nothing. */
static bool read_sack(const uint8_t *value, uint32_t bytes, struct tcp_segment *seg)
{
	if (bytes == 0 || bytes % 8 != 0 || bytes / 8 > 4)
		return false;
	if (seg->flags & TCP_FLAG_SYN)
		return true;
	seg->sack_count = (uint8_t)(bytes / 8);
	for (uint32_t i = 0; i < seg->sack_count; i++) {
		seg->sack[i].start = read_be32(value + 8 * i);
		seg->sack[i].end = read_be32(value + 8 * i + 4);
	}
	return true;
}

/* RFC 7413 section 4.1.1: without SYN, or with a length it cannot have, it is ignored. */
static void read_fastopen(const uint8_t *value, uint32_t bytes, struct tcp_segment *seg)
{
	if (!(seg->flags & TCP_FLAG_SYN) || bytes % 2 != 0 || bytes > FASTOPEN_COOKIE_MAX_BYTES ||
	    (bytes != 0 && bytes < FASTOPEN_COOKIE_MIN_BYTES))
		return;
	seg->has_fastopen = true;
	seg->cookie_bytes = (uint8_t)bytes;
	memcpy(seg->cookie, value, bytes);
}

/* One option with a length; false: a known kind with a length it cannot have. */
static bool read_option(uint8_t kind, const uint8_t *value, uint32_t bytes, struct tcp_segment *seg)
{
	switch (kind) {
	case OPTION_MSS:
		if (bytes != 2)
			return false;
		seg->mss = read_be16(value);
		return true;
	case OPTION_WINDOW_SCALE:
		if (bytes != 1)
			return false;
		seg->window_scale = value[0] > TCP_SCALE_MAX ? TCP_SCALE_MAX : (int8_t)value[0];
		return true;
	case OPTION_SACK_PERMITTED:
		seg->sack_permitted = true;
		return bytes == 0;
	case OPTION_SACK:
		return read_sack(value, bytes, seg);
	case OPTION_TIMESTAMP:
		if (bytes != 8)
			return false;
		seg->has_timestamp = true;
		seg->ts_value = read_be32(value);
		seg->ts_echo = read_be32(value + 4);
		return true;
	case OPTION_FASTOPEN:
		read_fastopen(value, bytes, seg);
		return true;
	default:
		return true; /* RFC 9293 section 3.1: unknown options are skipped (MUST-6) */
	}
}

static bool read_options(const uint8_t *at, uint32_t left, struct tcp_segment *seg)
{
	while (left > 0) {
		uint8_t kind = at[0];
		uint32_t bytes;

		if (kind == OPTION_END)
			return true;
		if (kind == OPTION_NOP) {
			at++;
			left--;
			continue;
		}
		if (left < 2)
			return false;
		bytes = at[1];
		if (bytes < 2 || bytes > left)
			return false;
		if (!read_option(kind, at + 2, bytes - 2, seg))
			return false;
		at += bytes;
		left -= bytes;
	}
	return true;
}

/* With no options. */
static inline void read_fixed(const uint8_t *data, struct tcp_segment *seg)
{
	seg->seq = read_be32(data + 4);
	seg->ack = read_be32(data + 8);
	seg->flags = data[13];
	seg->window = read_be16(data + 14);
	seg->urgent = read_be16(data + 18);
	seg->mss = 0;
	seg->window_scale = -1;
	seg->has_timestamp = false;
	seg->sack_permitted = false;
	seg->sack_count = 0;
	seg->has_fastopen = false;
	seg->cookie_bytes = 0;
}

/* Nearly every segment of a connection carries just this: NOP NOP timestamp. */
static inline bool is_timestamp_only(const uint8_t *data, uint32_t available)
{
	return available >= TCP_HEADER_BYTES + TCP_TIMESTAMP_BYTES &&
	       data[12] >> 4 == (TCP_HEADER_BYTES + TCP_TIMESTAMP_BYTES) / 4 &&
	       read_be32(data + TCP_HEADER_BYTES) == TCP_TIMESTAMP_HEAD;
}

static inline void read_timestamp_only(const uint8_t *data, uint32_t length,
				       struct tcp_segment *seg)
{
	read_fixed(data, seg);
	seg->length = length - (TCP_HEADER_BYTES + TCP_TIMESTAMP_BYTES);
	seg->has_timestamp = true;
	seg->ts_value = read_be32(data + TCP_HEADER_BYTES + 4);
	seg->ts_echo = read_be32(data + TCP_HEADER_BYTES + 8);
}

static inline bool has_no_options(const uint8_t *data, uint32_t available)
{
	return available >= TCP_HEADER_BYTES && data[12] >> 4 == TCP_HEADER_BYTES / 4;
}

enum counter tcp_segment_read(const uint8_t *data, uint32_t available, uint32_t length,
			      struct tcp_segment *seg)
{
	uint32_t header_bytes;

	if (length < TCP_HEADER_BYTES || available < TCP_HEADER_BYTES)
		return CNT_tcp_short;
	header_bytes = (uint32_t)(data[12] >> 4) * 4;
	if (header_bytes < TCP_HEADER_BYTES || header_bytes > length || header_bytes > available)
		return CNT_tcp_offset;
	if (is_timestamp_only(data, header_bytes)) {
		read_timestamp_only(data, length, seg);
		return CNT_MAX;
	}
	read_fixed(data, seg);
	seg->length = length - header_bytes;
	if (!read_options(data + TCP_HEADER_BYTES, header_bytes - TCP_HEADER_BYTES, seg))
		return CNT_tcp_option;
	return CNT_MAX;
}

/* With its padding. */
static uint32_t fastopen_option_bytes(const struct tcp_segment *seg)
{
	return (2u + seg->cookie_bytes + 3) & ~3u;
}

uint32_t tcp_segment_header_bytes(const struct tcp_segment *seg)
{
	uint32_t bytes = TCP_HEADER_BYTES;

	if (seg->mss != 0)
		bytes += 4;
	if (seg->sack_permitted && !seg->has_timestamp)
		bytes += 4;
	if (seg->has_timestamp)
		bytes += TCP_TIMESTAMP_BYTES;
	if (seg->window_scale >= 0)
		bytes += 4;
	if (seg->has_fastopen)
		bytes += fastopen_option_bytes(seg);
	return bytes + tcp_sack_bytes(seg->sack_count);
}

/* Options are written in words, the padding of each before it, but for Fast Open's. */
static inline uint8_t *write_word(uint8_t *at, uint32_t word, uint64_t *sum)
{
	*sum += tcp_put_word(at, rte_cpu_to_be_32(word));
	return at + sizeof(word);
}

static uint8_t *write_fastopen(const struct tcp_segment *seg, uint8_t *at, uint64_t *sum)
{
	uint32_t words[1 + sizeof(seg->cookie) / sizeof(uint32_t)];
	uint8_t *option = (uint8_t *)words;
	uint32_t bytes = fastopen_option_bytes(seg);

	memset(words, OPTION_NOP, sizeof(words));
	option[0] = OPTION_FASTOPEN;
	option[1] = (uint8_t)(2 + seg->cookie_bytes);
	memcpy(option + 2, seg->cookie, seg->cookie_bytes);
	for (uint32_t i = 0; i < bytes / sizeof(words[0]); i++)
		*sum += tcp_put_word(at + i * sizeof(words[0]), words[i]);
	return at + bytes;
}

/* SACK permitted lies in the timestamp's padding, if there is one. */
static uint32_t sack_and_timestamp_head(const struct tcp_segment *seg)
{
	const uint32_t permitted = OPTION_SACK_PERMITTED << 8 | 2;

	if (!seg->has_timestamp)
		return (uint32_t)(OPTION_NOP << 24 | OPTION_NOP << 16) | permitted;
	return seg->sack_permitted ? permitted << 16 | (TCP_TIMESTAMP_HEAD & UINT16_MAX)
				   : TCP_TIMESTAMP_HEAD;
}

/* In Linux's order: MSS, SACK permitted, timestamp, window scale, Fast Open. */
static uint8_t *write_options(const struct tcp_segment *seg, uint8_t *at, uint64_t *sum)
{
	if (seg->mss != 0)
		at = write_word(at, OPTION_MSS << 24 | 4 << 16 | (uint32_t)seg->mss, sum);
	if (seg->sack_permitted || seg->has_timestamp)
		at = write_word(at, sack_and_timestamp_head(seg), sum);
	if (seg->has_timestamp) {
		at = write_word(at, seg->ts_value, sum);
		at = write_word(at, seg->ts_echo, sum);
	}
	if (seg->window_scale >= 0)
		at = write_word(at,
				OPTION_NOP << 24 | OPTION_WINDOW_SCALE << 16 | 3 << 8 |
					(uint32_t)seg->window_scale,
				sum);
	if (seg->has_fastopen)
		at = write_fastopen(seg, at, sum);
	return at;
}

static void write_sack(const struct tcp_segment *seg, uint8_t *at, uint64_t *sum)
{
	at = write_word(at,
			OPTION_NOP << 24 | OPTION_NOP << 16 | OPTION_SACK << 8 |
				(2 + 8 * (uint32_t)seg->sack_count),
			sum);
	for (unsigned i = 0; i < seg->sack_count; i++) {
		at = write_word(at, seg->sack[i].start, sum);
		at = write_word(at, seg->sack[i].end, sum);
	}
}

uint64_t tcp_segment_write(const struct tcp_segment *seg, const struct flow *flow, uint8_t *out)
{
	uint64_t sum = tcp_write_fixed(out, flow, tcp_segment_header_bytes(seg), seg->seq, seg->ack,
				       (uint8_t)seg->flags, seg->window);
	uint8_t *at;

	if (unlikely(seg->urgent != 0))
		sum += tcp_put_word(out + 16, rte_cpu_to_be_32(seg->urgent));
	at = write_options(seg, out + TCP_HEADER_BYTES, &sum);
	if (seg->sack_count > 0)
		write_sack(seg, at, &sum);
	return sum;
}

/* p's header is read: what follows it is its data. */
static inline void parsed(struct packet *p, struct rte_mbuf *m, const uint8_t *data,
			  uint32_t header_bytes)
{
	flow_set_ports_received(&p->flow, data);
	p->lookup = true;
	p->length -= header_bytes;
	eth_skip(m, header_bytes);
}

static __rte_noinline enum counter parse_any(struct packet *p, const uint8_t *data)
{
	enum counter why = tcp_segment_read(data, p->m->data_len, p->length, &p->tcp);

	if (why == CNT_tcp_short || why == CNT_tcp_offset)
		return why;
	if (!checksum_transport_good(p->m, p->length, p->pseudo_sum))
		return CNT_tcp_checksum;
	if (why == CNT_MAX)
		parsed(p, p->m, data, p->length - p->tcp.length);
	return why;
}

enum counter tcp_parse(struct worker *w, struct packet *p)
{
	struct rte_mbuf *m = p->m;
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t length = p->length;

	(void)w;
	if (unlikely(length > m->data_len))
		return parse_any(p, data);
	if (likely(is_timestamp_only(data, length))) {
		read_timestamp_only(data, length, &p->tcp);
		parsed(p, m, data, TCP_HEADER_BYTES + TCP_TIMESTAMP_BYTES);
	} else if (has_no_options(data, length)) {
		read_fixed(data, &p->tcp);
		p->tcp.length = length - TCP_HEADER_BYTES;
		parsed(p, m, data, TCP_HEADER_BYTES);
	} else {
		return parse_any(p, data);
	}
	/* Last, so that nothing has to be kept meanwhile. */
	return checksum_piece_good(m->ol_flags, data, length, p->pseudo_sum) ? CNT_MAX
									     : CNT_tcp_checksum;
}
