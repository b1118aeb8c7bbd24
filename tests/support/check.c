/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/check.h"

#include <rte_arp.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>
#include <stdio.h>
#include <string.h>

#include "support/build.h"
#include "support/sum.h"
#include "support/test.h"

/* Where a wrong frame is reported. */
struct place {
	const char *file;
	int line;
};

static bool wrong(struct seen *s, const struct place *at, const char *what)
{
	s->good = false;
	test_fail(at->file, at->line, "sent frame of %u bytes: %s", s->length, what);
	return false;
}

static void see_arp(struct seen *s, const uint8_t *data, uint32_t length, const struct place *at)
{
	const struct rte_arp_hdr *h = (const void *)data;

	if (length < sizeof(*h)) {
		wrong(s, at, "short ARP message");
		return;
	}
	s->arp_operation = ntohs(h->arp_opcode);
	s->arp_sender_mac = h->arp_data.arp_sha;
	s->arp_target_mac = h->arp_data.arp_tha;
	s->arp_sender = ntohl(h->arp_data.arp_sip);
	s->arp_target = ntohl(h->arp_data.arp_tip);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void see_tcp_option(struct seen *s, const uint8_t *option, uint8_t length,
			   const struct place *at)
{
	struct tcp_segment *t = &s->tcp;

	if (option[0] == 2 && length == 4) {
		t->mss = (uint16_t)(option[2] << 8 | option[3]);
	} else if (option[0] == 3 && length == 3) {
		t->window_scale = (int8_t)option[2];
	} else if (option[0] == 4 && length == 2) {
		t->sack_permitted = true;
	} else if (option[0] == 8 && length == 10) {
		t->has_timestamp = true;
		t->ts_value = get32(option + 2);
		t->ts_echo = get32(option + 6);
	} else if (option[0] == 5 && length >= 10 && (length - 2) % 8 == 0 && length <= 34) {
		t->sack_count = (uint8_t)((length - 2) / 8);
		for (int i = 0; i < t->sack_count; i++) {
			t->sack[i].start = get32(option + 2 + 8 * i);
			t->sack[i].end = get32(option + 6 + 8 * i);
		}
	} else if (option[0] == 34 && length >= 2 && length <= 18) {
		t->has_fastopen = true;
		t->cookie_bytes = (uint8_t)(length - 2);
		memcpy(t->cookie, option + 2, t->cookie_bytes);
	} else {
		wrong(s, at, "TCP option unknown or of wrong length");
	}
}

static void see_tcp(struct seen *s, const uint8_t *data, uint32_t length, const struct place *at)
{
	const struct rte_tcp_hdr *h = (const void *)data;
	uint32_t header = length >= sizeof(*h) ? (h->data_off >> 4) * 4u : 0;

	if (header < sizeof(*h) || header > length) {
		wrong(s, at, "TCP data offset");
		return;
	}
	s->source_port = ntohs(h->src_port);
	s->destination_port = ntohs(h->dst_port);
	s->payload = data + header;
	s->payload_length = length - header;
	s->tcp = (struct tcp_segment){
		.seq = ntohl(h->sent_seq),
		.ack = ntohl(h->recv_ack),
		.length = s->payload_length,
		.window = ntohs(h->rx_win),
		.urgent = ntohs(h->tcp_urp),
		.flags = h->tcp_flags,
		.window_scale = -1,
	};
	for (uint32_t i = sizeof(*h); i < header && data[i] != 0;) {
		if (data[i] == 1) {
			i++;
			continue;
		}
		if (i + 1 >= header || data[i + 1] < 2 || i + data[i + 1] > header) {
			wrong(s, at, "TCP option past the end");
			return;
		}
		see_tcp_option(s, data + i, data[i + 1], at);
		i += data[i + 1];
	}
}

static void see_transport(struct seen *s, const struct rte_ipv4_hdr *ip, const uint8_t *data,
			  uint32_t length, const struct place *at)
{
	uint32_t pseudo = sum_pseudo(&ip->src_addr, &ip->dst_addr, s->ip_protocol, length);

	switch (s->ip_protocol) {
	case IPPROTO_TCP:
		see_tcp(s, data, length, at);
		break;
	case IPPROTO_UDP:
		if (length < 8 || get32(data + 4) >> 16 != length) {
			wrong(s, at, "UDP length");
			return;
		}
		s->source_port = (uint16_t)(get32(data) >> 16);
		s->destination_port = (uint16_t)get32(data);
		s->payload = data + 8;
		s->payload_length = length - 8;
		if ((uint16_t)get32(data + 4) == 0)
			return; /* no checksum */
		break;
	case IPPROTO_ICMP:
		if (length < 8) {
			wrong(s, at, "short ICMP message");
			return;
		}
		s->icmp_type = data[0];
		s->icmp_code = data[1];
		s->icmp_rest = get32(data + 4);
		s->payload = data + 8;
		s->payload_length = length - 8;
		pseudo = 0;
		break;
	default:
		return;
	}
	if (sum_add(pseudo, data, length) != 0xffff)
		wrong(s, at, "transport checksum");
}

static void see_ipv4(struct seen *s, const uint8_t *data, uint32_t length, const struct place *at)
{
	const struct rte_ipv4_hdr *h = (const void *)data;
	uint32_t header = length >= sizeof(*h) ? (h->version_ihl & 15) * 4u : 0;

	if (header < sizeof(*h) || h->version_ihl >> 4 != 4 || header > length ||
	    ntohs(h->total_length) > length || ntohs(h->total_length) < header) {
		wrong(s, at, "IPv4 lengths");
		return;
	}
	s->ip_length = ntohs(h->total_length);
	s->ip_protocol = h->next_proto_id;
	s->ip_ttl = h->time_to_live;
	s->ip_traffic_class = h->type_of_service;
	s->ip_id = ntohs(h->packet_id);
	s->ip_dont_fragment = (ntohs(h->fragment_offset) & RTE_IPV4_HDR_DF_FLAG) != 0;
	s->ip_source = ntohl(h->src_addr);
	s->ip_destination = ntohl(h->dst_addr);
	if (sum_add(0, data, header) != 0xffff)
		wrong(s, at, "IPv4 checksum");
	see_transport(s, h, data + header, s->ip_length - header, at);
}

struct seen frame_see(const struct frame *f, const char *file, int line)
{
	struct seen s = {.good = true, .length = f->length};
	struct place at = {file, line};

	s.tcp.window_scale = -1;
	if (f->length < RTE_ETHER_HDR_LEN) {
		wrong(&s, &at, "shorter than an Ethernet header");
		return s;
	}
	s.eth = (const void *)f->data;
	s.ether_type = ntohs(s.eth->ether_type);
	if (s.ether_type == RTE_ETHER_TYPE_ARP)
		see_arp(&s, f->data + RTE_ETHER_HDR_LEN, f->length - RTE_ETHER_HDR_LEN, &at);
	if (s.ether_type == RTE_ETHER_TYPE_IPV4)
		see_ipv4(&s, f->data + RTE_ETHER_HDR_LEN, f->length - RTE_ETHER_HDR_LEN, &at);
	return s;
}

/* The simple fields: name and value as seen. */
static uint64_t field_value(const struct seen *s, enum check_field field, const char **name)
{
#define FIELD(which, expression) \
	case CHECK_##which:      \
		*name = #which;  \
		return (uint64_t)(expression)
	switch (field) {
		FIELD(LENGTH, s->length);
		FIELD(ETHER_TYPE, s->ether_type);
		FIELD(ARP_OPERATION, s->arp_operation);
		FIELD(ARP_SENDER, s->arp_sender);
		FIELD(ARP_TARGET, s->arp_target);
		FIELD(IP_PROTOCOL, s->ip_protocol);
		FIELD(IP_TTL, s->ip_ttl);
		FIELD(IP_TRAFFIC_CLASS, s->ip_traffic_class);
		FIELD(IP_SOURCE, s->ip_source);
		FIELD(IP_DESTINATION, s->ip_destination);
		FIELD(IP_LENGTH, s->ip_length);
		FIELD(SOURCE_PORT, s->source_port);
		FIELD(DESTINATION_PORT, s->destination_port);
		FIELD(TCP_SEQ, s->tcp.seq);
		FIELD(TCP_ACK, s->tcp.ack);
		FIELD(TCP_FLAGS, s->tcp.flags & ~TH_PUSH);
		FIELD(TCP_WINDOW, s->tcp.window);
		FIELD(TCP_URGENT, s->tcp.flags & TH_URG ? s->tcp.urgent : 0);
		FIELD(TCP_MSS, s->tcp.mss);
		FIELD(TCP_WINDOW_SCALE, (int64_t)s->tcp.window_scale);
		FIELD(TCP_HAS_TIMESTAMP, s->tcp.has_timestamp);
		FIELD(TCP_TS_ECHO, s->tcp.ts_echo);
		FIELD(ICMP_TYPE, s->icmp_type);
		FIELD(ICMP_CODE, s->icmp_code);
		FIELD(PAYLOAD_LENGTH, s->payload_length);
	default:
		*name = NULL;
		return 0;
	}
#undef FIELD
}

static bool check_pattern(const struct seen *s, const struct check *c, const struct place *at)
{
	if (s->payload_length != c->more) {
		test_fail(at->file, at->line, "payload is %u bytes, expected %llu",
			  s->payload_length, (unsigned long long)c->more);
		return false;
	}
	for (uint32_t i = 0; i < s->payload_length; i++) {
		if (s->payload[i] != pattern_byte(c->value + i)) {
			test_fail(at->file, at->line, "payload differs from the pattern at byte %u",
				  i);
			return false;
		}
	}
	return true;
}

static bool check_one(const struct seen *s, const struct check *c, const struct place *at)
{
	const struct rte_ether_addr *mac = (const void *)(uintptr_t)c->value;
	const char *name;
	uint64_t value = field_value(s, c->field, &name);

	if (name != NULL)
		return test_check_eq((long long)value, (long long)c->value, name, at->file,
				     at->line);
	switch (c->field) {
	case CHECK_TCP_FLAGS_SET:
		return test_check_eq((long long)(s->tcp.flags & c->value), (long long)c->value,
				     "TCP_FLAGS", at->file, at->line);
	case CHECK_PAYLOAD_PATTERN:
		return check_pattern(s, c, at);
	case CHECK_ETH_TO:
		return test_check_mem(&s->eth->dst_addr, mac, sizeof(*mac), "ETH_TO", at->file,
				      at->line);
	case CHECK_ETH_FROM:
		return test_check_mem(&s->eth->src_addr, mac, sizeof(*mac), "ETH_FROM", at->file,
				      at->line);
	default:
		return false;
	}
}

bool frame_check(const struct frame *f, const struct check *checks, const char *file, int line)
{
	struct place at = {file, line};
	struct seen s;
	bool good;

	if (f == NULL)
		return test_check(false, "a frame was sent", file, line);
	s = frame_see(f, file, line);
	good = s.good;
	for (; checks->field != CHECK_END; checks++)
		good = check_one(&s, checks, &at) && good;
	return good;
}
