/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/build.h"

#include <stdlib.h>
#include <string.h>

#include "support/sum.h"

static void *grow(struct build *b, uint32_t length)
{
	void *at = b->data + b->length;

	if (b->length + length > BUILD_BYTES_MAX)
		abort();
	memset(at, 0, length);
	b->length += length;
	return at;
}

void build_start(struct build *b)
{
	b->length = b->network = b->transport = b->payload = 0;
	b->protocol = 0;
}

void build_eth(struct build *b, const struct rte_ether_addr *to, const struct rte_ether_addr *from,
	       uint16_t type)
{
	struct rte_ether_hdr *h = grow(b, sizeof(*h));

	h->dst_addr = *to;
	h->src_addr = *from;
	h->ether_type = htons(type);
	b->network = b->length;
}

void build_arp(struct build *b, uint16_t operation, const struct rte_ether_addr *sender_mac,
	       uint32_t sender, const struct rte_ether_addr *target_mac, uint32_t target)
{
	struct rte_arp_hdr *h = grow(b, sizeof(*h));

	h->arp_hardware = htons(RTE_ARP_HRD_ETHER);
	h->arp_protocol = htons(RTE_ETHER_TYPE_IPV4);
	h->arp_hlen = RTE_ETHER_ADDR_LEN;
	h->arp_plen = 4;
	h->arp_opcode = htons(operation);
	h->arp_data.arp_sha = *sender_mac;
	h->arp_data.arp_sip = htonl(sender);
	h->arp_data.arp_tha = *target_mac;
	h->arp_data.arp_tip = htonl(target);
}

void build_ipv4(struct build *b, uint8_t protocol, uint32_t source, uint32_t destination)
{
	struct rte_ipv4_hdr *h = grow(b, sizeof(*h));

	h->version_ihl = 0x45;
	h->fragment_offset = htons(RTE_IPV4_HDR_DF_FLAG);
	h->time_to_live = 64;
	h->next_proto_id = protocol;
	h->src_addr = htonl(source);
	h->dst_addr = htonl(destination);
	b->protocol = protocol;
}

void build_ip_option(struct build *b, const void *option, uint32_t length)
{
	memcpy(grow(b, length), option, length);
}

static void pad_to_words(struct build *b, uint32_t from)
{
	while ((b->length - from) % 4 != 0)
		grow(b, 1);
}

static void begin_transport(struct build *b)
{
	if (b->network != 0)
		pad_to_words(b, b->network);
	b->transport = b->length;
}

void build_udp(struct build *b, uint16_t source, uint16_t destination)
{
	struct rte_udp_hdr *h;

	begin_transport(b);
	h = grow(b, sizeof(*h));
	h->src_port = htons(source);
	h->dst_port = htons(destination);
	b->payload = b->length;
}

void build_icmp(struct build *b, uint8_t type, uint8_t code, uint32_t rest_of_header)
{
	struct rte_icmp_hdr *h;

	begin_transport(b);
	h = grow(b, sizeof(*h));
	h->icmp_type = type;
	h->icmp_code = code;
	h->icmp_ident = htons((uint16_t)(rest_of_header >> 16));
	h->icmp_seq_nb = htons((uint16_t)rest_of_header);
	b->payload = b->length;
}

void build_tcp(struct build *b, uint16_t source, uint16_t destination, uint32_t seq, uint32_t ack,
	       uint8_t flags, uint16_t window)
{
	struct rte_tcp_hdr *h;

	begin_transport(b);
	h = grow(b, sizeof(*h));
	h->src_port = htons(source);
	h->dst_port = htons(destination);
	h->sent_seq = htonl(seq);
	h->recv_ack = htonl(ack);
	h->data_off = 0x50;
	h->tcp_flags = flags;
	h->rx_win = htons(window);
}

void build_tcp_option(struct build *b, const void *option, uint32_t length)
{
	memcpy(grow(b, length), option, length);
}

void build_tcp_mss(struct build *b, uint16_t mss)
{
	uint8_t option[4] = {2, 4, (uint8_t)(mss >> 8), (uint8_t)mss};

	build_tcp_option(b, option, sizeof(option));
}

void build_tcp_window_scale(struct build *b, uint8_t shift)
{
	uint8_t option[4] = {1, 3, 3, shift};

	build_tcp_option(b, option, sizeof(option));
}

void build_tcp_timestamp(struct build *b, uint32_t value, uint32_t echo)
{
	uint8_t option[12] = {1, 1, 8, 10};

	value = htonl(value);
	echo = htonl(echo);
	memcpy(option + 4, &value, 4);
	memcpy(option + 8, &echo, 4);
	build_tcp_option(b, option, sizeof(option));
}

void build_tcp_sack_permitted(struct build *b)
{
	uint8_t option[4] = {1, 1, 4, 2};

	build_tcp_option(b, option, sizeof(option));
}

void build_tcp_fastopen(struct build *b, const uint8_t *cookie, uint8_t cookie_bytes)
{
	uint8_t option[18] = {34, (uint8_t)(2 + cookie_bytes)};

	memcpy(option + 2, cookie, cookie_bytes);
	build_tcp_option(b, option, option[1]);
}

void build_tcp_sack(struct build *b, const uint32_t (*blocks)[2], unsigned count)
{
	uint8_t option[4] = {1, 1, 5, (uint8_t)(2 + 8 * count)};

	build_tcp_option(b, option, sizeof(option));
	for (unsigned i = 0; i < count; i++) {
		uint32_t block[2] = {htonl(blocks[i][0]), htonl(blocks[i][1])};

		build_tcp_option(b, block, sizeof(block));
	}
}

static void begin_payload(struct build *b)
{
	if (b->payload != 0 || b->transport == 0)
		return;
	pad_to_words(b, b->transport);
	b->payload = b->length;
}

void build_bytes(struct build *b, const void *data, uint32_t length)
{
	begin_payload(b);
	memcpy(grow(b, length), data, length);
}

void pattern_fill(void *out, uint64_t offset, size_t length)
{
	uint8_t *to = out;

	for (size_t i = 0; i < length; i++)
		to[i] = pattern_byte(offset + i);
}

void build_pattern(struct build *b, uint64_t offset, uint32_t length)
{
	begin_payload(b);
	pattern_fill(grow(b, length), offset, length);
}

void build_lengths(struct build *b)
{
	begin_payload(b);
	if (b->network == 0 || b->protocol == 0)
		return;
	build_ipv4_header(b)->total_length = htons((uint16_t)(b->length - b->network));
	if (b->transport == 0)
		return;
	build_ipv4_header(b)->version_ihl = (uint8_t)(0x40 | (b->transport - b->network) / 4);
	if (b->protocol == IPPROTO_TCP)
		build_tcp_header(b)->data_off = (uint8_t)((b->payload - b->transport) / 4 << 4);
	if (b->protocol == IPPROTO_UDP)
		build_udp_header(b)->dgram_len = htons((uint16_t)(b->length - b->transport));
}

/* Where the checksum lies in the transport header; 0: it has none. */
static uint32_t checksum_offset(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return offsetof(struct rte_tcp_hdr, cksum);
	case IPPROTO_UDP:
		return offsetof(struct rte_udp_hdr, dgram_cksum);
	case IPPROTO_ICMP:
		return offsetof(struct rte_icmp_hdr, icmp_cksum);
	default:
		return 0;
	}
}

static void transport_checksum(struct build *b)
{
	const struct rte_ipv4_hdr *ip = build_ipv4_header(b);
	uint32_t length = b->length - b->transport;
	uint32_t at = checksum_offset(b->protocol);
	uint8_t *field = b->data + b->transport + at;
	uint32_t sum = 0;

	if (at == 0 || at + 2 > length)
		return;
	field[0] = field[1] = 0;
	if (b->protocol != IPPROTO_ICMP)
		sum = sum_pseudo(&ip->src_addr, &ip->dst_addr, b->protocol, length);
	sum = ~sum_add(sum, b->data + b->transport, length) & 0xffff;
	if (b->protocol == IPPROTO_UDP && sum == 0)
		sum = 0xffff;
	field[0] = (uint8_t)(sum >> 8);
	field[1] = (uint8_t)sum;
}

void build_checksums(struct build *b)
{
	struct rte_ipv4_hdr *ip = build_ipv4_header(b);
	uint32_t header;

	if (b->network == 0 || b->protocol == 0)
		return;
	header = b->transport != 0 ? b->transport - b->network : (uint32_t)sizeof(*ip);
	ip->hdr_checksum = 0;
	ip->hdr_checksum = htons((uint16_t)~sum_add(0, ip, header));
	if (b->transport != 0)
		transport_checksum(b);
}

void build_finish(struct build *b)
{
	build_lengths(b);
	build_checksums(b);
}

void build_truncate(struct build *b, uint32_t length)
{
	if (length < b->length)
		b->length = length;
}

struct rte_ether_hdr *build_eth_header(struct build *b)
{
	return (void *)b->data;
}

struct rte_arp_hdr *build_arp_header(struct build *b)
{
	return (void *)(b->data + b->network);
}

struct rte_ipv4_hdr *build_ipv4_header(struct build *b)
{
	return (void *)(b->data + b->network);
}

struct rte_udp_hdr *build_udp_header(struct build *b)
{
	return (void *)(b->data + b->transport);
}

struct rte_tcp_hdr *build_tcp_header(struct build *b)
{
	return (void *)(b->data + b->transport);
}

struct rte_icmp_hdr *build_icmp_header(struct build *b)
{
	return (void *)(b->data + b->transport);
}
