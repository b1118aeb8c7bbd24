/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP headers (RFC 9293 section 3.1) read and written: one struct tcp_segment
 * in host order for both ways.  Nothing here touches a sock.
 */
#ifndef LEAT_TCP_SEGMENT_H
#define LEAT_TCP_SEGMENT_H

#include <rte_byteorder.h>
#include <rte_tcp.h>
#include <stdint.h>
#include <string.h>

#include "lib/counters.h"
#include "net/packet.h"

#define TCP_FLAG_FIN         0x01u
#define TCP_FLAG_SYN         0x02u
#define TCP_FLAG_RST         0x04u
#define TCP_FLAG_PSH         0x08u
#define TCP_FLAG_ACK         0x10u
#define TCP_FLAG_URG         0x20u
#define TCP_FLAG_ECE         0x40u
#define TCP_FLAG_CWR         0x80u

#define TCP_HEADER_BYTES     20u
#define TCP_HEADER_MAX_BYTES 60u
#define TCP_TIMESTAMP_BYTES  12u /* the option with its padding */
#define TCP_TIMESTAMP_HEAD   0x0101080au /* NOP, NOP, kind and length */
#define TCP_SCALE_MAX        14 /* RFC 7323 section 2.3 */
#define TCP_SACK_BLOCKS      4u /* RFC 2018 section 3: what the option space holds; 3 with timestamps */

/*
 * Reads the header at data, of which available bytes lie in one piece, of a
 * segment of length bytes in all.  CNT_MAX, or why it cannot be one:
 * CNT_tcp_short, CNT_tcp_offset, CNT_tcp_option.  Ports are not in a
 * tcp_segment; the caller takes them from the header.
 */
enum counter tcp_segment_read(const uint8_t *data, uint32_t available, uint32_t length,
			      struct tcp_segment *seg);

/* Bytes the header of seg takes, options included. */
uint32_t tcp_segment_header_bytes(const struct tcp_segment *seg);

/* Writes that header, checksum 0, with the ports of flow; its sum (net/checksum.h). */
uint64_t tcp_segment_write(const struct tcp_segment *seg, const struct flow *flow, uint8_t *out);

/* Stores word at out and adds it to a sum of words. */
static inline uint64_t tcp_put_word(void *out, rte_be32_t word)
{
	memcpy(out, &word, sizeof(word));
	return word;
}

/* The 20 bytes before the options of a header of header_bytes, checksum and urgent pointer 0; their
 * sum (net/checksum.h). */
static inline uint64_t tcp_write_fixed(void *out, const struct flow *flow, uint32_t header_bytes,
				       uint32_t seq, uint32_t ack, uint8_t flags, uint16_t window)
{
	uint8_t *at = out;
	rte_be32_t ports;
	uint64_t sum;

	memcpy(&ports, &flow->local_port, sizeof(ports)); /* and the remote one behind it */
	sum = tcp_put_word(at, ports);
	sum += tcp_put_word(at + 4, rte_cpu_to_be_32(seq));
	sum += tcp_put_word(at + 8, rte_cpu_to_be_32(ack));
	sum += tcp_put_word(at + 12,
			    rte_cpu_to_be_32(header_bytes << 26 | (uint32_t)flags << 16 | window));
	return sum + tcp_put_word(at + 16, 0);
}

/* TCP_TIMESTAMP_BYTES: the option where it is the only one; its sum. */
static inline uint64_t tcp_write_timestamp(void *out, uint32_t value, uint32_t echo)
{
	uint8_t *at = out;
	uint64_t sum = tcp_put_word(at, RTE_BE32(TCP_TIMESTAMP_HEAD));

	sum += tcp_put_word(at + 4, rte_cpu_to_be_32(value));
	return sum + tcp_put_word(at + 8, rte_cpu_to_be_32(echo));
}

/* Bytes a SACK option of so many blocks takes, with its padding. */
static inline uint32_t tcp_sack_bytes(unsigned blocks)
{
	return blocks == 0 ? 0 : 4 + 8 * blocks;
}

/* The handler of ip_protocol.parse. */
enum counter tcp_parse(struct worker *w, struct packet *p);

/* The sequence number after the segment: SYN and FIN take one each. */
static inline uint32_t tcp_segment_end(const struct tcp_segment *seg)
{
	return seg->seq + seg->length + ((seg->flags & TCP_FLAG_SYN) != 0) +
	       ((seg->flags & TCP_FLAG_FIN) != 0);
}

#endif
