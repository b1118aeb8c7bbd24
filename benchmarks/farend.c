/* SPDX-License-Identifier: BSD-3-Clause */
#include "farend.h"

#include <errno.h>
#include <leat/leat.h>
#include <netinet/in.h>
#include <rte_ip.h>
#include <rte_udp.h>
#include <string.h>

#include "bench.h"
#include "lab.h"

#define FIRST_PORT    10000
#define FIRST_SEQ     0x10000000u
#define WINDOW        65535
#define TTL           64
#define FILL          'x' /* all bytes */
#define BACKLOG       256
#define CONNECT_POLLS 20

/* Options as they lie on the wire, with room for the timestamps. */
#define OPTION_NOP        1
#define OPTION_TIMESTAMP  8
#define OPTION_TIMESTAMPS OPTION_TIMESTAMP, 10, 0, 0, 0, 0, 0, 0, 0, 0
static const uint8_t syn_options[] = {
	2, 4, 1460 >> 8, 1460 & 0xff, 4, 2, OPTION_TIMESTAMPS, OPTION_NOP, 3, 3, 7};
static const uint8_t options[] = {OPTION_NOP, OPTION_NOP, OPTION_TIMESTAMPS};
#define SYN_TIMESTAMPS_AT 8
#define TIMESTAMPS_AT     4

static struct farend farends[FAREND_MAX];

struct farend *farend(uint32_t n)
{
	struct farend *f = &farends[n % FAREND_MAX];

	if (f->port == 0)
		*f = (struct farend){.port = (uint16_t)(FIRST_PORT + n % FAREND_MAX),
				     .seq = FIRST_SEQ};
	return f;
}

/* ---- sending ------------------------------------------------------------------- */

/* An mbuf with all but the transport header filled in. */
static struct rte_mbuf *packet(uint8_t protocol, uint16_t transport_bytes, void **transport)
{
	struct rte_mbuf *m = lab_mbuf();
	uint16_t ip_bytes = (uint16_t)(sizeof(struct rte_ipv4_hdr) + transport_bytes);
	struct rte_ether_hdr *eth = (void *)rte_pktmbuf_append(m, sizeof(*eth) + ip_bytes);
	struct rte_ipv4_hdr *ip = (void *)(eth + 1);

	*eth = (struct rte_ether_hdr){lab_mac, lab_far_mac, RTE_BE16(RTE_ETHER_TYPE_IPV4)};
	*ip = (struct rte_ipv4_hdr){
		.version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = htons(ip_bytes),
		.fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG),
		.time_to_live = TTL,
		.next_proto_id = protocol,
		.src_addr = htonl(LAB_FAR),
		.dst_addr = htonl(LAB_ADDRESS),
	};
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	*transport = ip + 1;
	return m;
}

static void put_timestamps(uint8_t *at, uint32_t echo)
{
	uint32_t words[2] = {htonl((uint32_t)(lab_now_us() / 1000)), htonl(echo)};

	memcpy(at, words, sizeof(words));
}

static const struct rte_ipv4_hdr *ip_of(const void *transport)
{
	return (const struct rte_ipv4_hdr *)transport - 1;
}

struct rte_mbuf *farend_segment(struct farend *f, uint8_t flags, uint32_t length)
{
	bool syn = flags & RTE_TCP_SYN_FLAG;
	uint32_t options_bytes = syn ? sizeof(syn_options) : sizeof(options);
	uint32_t header_bytes = (uint32_t)sizeof(struct rte_tcp_hdr) + options_bytes;
	void *transport;
	struct rte_mbuf *m = packet(IPPROTO_TCP, (uint16_t)(header_bytes + length), &transport);
	struct rte_tcp_hdr *tcp = transport;
	uint8_t *at = (uint8_t *)(tcp + 1);

	*tcp = (struct rte_tcp_hdr){
		.src_port = htons(f->port),
		.dst_port = htons(FAREND_PORT),
		.sent_seq = htonl(f->seq),
		.recv_ack = htonl(flags & RTE_TCP_ACK_FLAG ? f->ack : 0),
		.data_off = (uint8_t)(header_bytes / 4 << 4),
		.tcp_flags = flags,
		.rx_win = htons(WINDOW),
	};
	memcpy(at, syn ? syn_options : options, options_bytes);
	put_timestamps(at + (syn ? SYN_TIMESTAMPS_AT : TIMESTAMPS_AT), f->ts_recent);
	memset(at + options_bytes, FILL, length);
	tcp->cksum = rte_ipv4_udptcp_cksum(ip_of(tcp), tcp);
	f->seq += length + (syn ? 1 : 0) + (flags & RTE_TCP_FIN_FLAG ? 1 : 0);
	return m;
}

void farend_send(struct farend *f, uint8_t flags, uint32_t length)
{
	lab_receive(farend_segment(f, flags, length));
}

void farend_send_datagram(uint32_t n, uint32_t length)
{
	void *transport;
	struct rte_udp_hdr *udp;
	struct rte_mbuf *m = packet(IPPROTO_UDP, (uint16_t)(sizeof(*udp) + length), &transport);

	udp = transport;
	*udp = (struct rte_udp_hdr){.src_port = htons((uint16_t)(FIRST_PORT + n)),
				    .dst_port = htons(FAREND_PORT),
				    .dgram_len = htons((uint16_t)(sizeof(*udp) + length))};
	memset(udp + 1, FILL, length);
	udp->dgram_cksum = rte_ipv4_udptcp_cksum(ip_of(udp), udp);
	lab_receive(m);
}

/* ---- receiving ----------------------------------------------------------------- */

/* The worker's clock, from the option of every segment. */
static uint32_t timestamp_of(const struct rte_tcp_hdr *tcp)
{
	const uint8_t *end = (const uint8_t *)tcp + (tcp->data_off >> 4 << 2);
	const uint8_t *at = (const uint8_t *)(tcp + 1);
	uint32_t value;

	while (at < end && *at != OPTION_TIMESTAMP)
		at += *at == OPTION_NOP ? 1 : at[1];
	if (at >= end)
		bench_fail("a segment without a timestamp");
	memcpy(&value, at + 2, sizeof(value));
	return ntohl(value);
}

static void take_segment(const struct rte_ipv4_hdr *ip)
{
	const struct rte_tcp_hdr *tcp = (const void *)(ip + 1);
	uint32_t header_bytes = tcp->data_off >> 4 << 2;
	uint32_t length = ntohs(ip->total_length) - (uint32_t)sizeof(*ip) - header_bytes;
	struct farend *f = farend(ntohs(tcp->dst_port) - FIRST_PORT);
	bool syn = tcp->tcp_flags & RTE_TCP_SYN_FLAG;
	uint32_t counts = (syn || tcp->tcp_flags & RTE_TCP_FIN_FLAG ? 1 : 0);

	if (tcp->tcp_flags & RTE_TCP_RST_FLAG)
		bench_fail("farend %u was reset", f->port);
	if (syn)
		f->ack = ntohl(tcp->sent_seq);
	if (ntohl(tcp->sent_seq) != f->ack)
		bench_fail("farend %u got the wrong bytes", f->port);
	f->ack += length + counts;
	f->bytes += length;
	f->ts_recent = timestamp_of(tcp);
}

uint32_t farends_take(void)
{
	struct rte_mbuf *m;
	uint32_t count = 0;

	while ((m = lab_sent()) != NULL) {
		const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
		const struct rte_ipv4_hdr *ip = (const void *)(eth + 1);

		if (eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4)) {
			if (ip->next_proto_id == IPPROTO_TCP)
				take_segment(ip);
			count++;
		}
		rte_pktmbuf_free(m);
	}
	return count;
}

/* ---- connecting ---------------------------------------------------------------- */

int farends_listen(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(FAREND_PORT)};
	int fd = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0 || leat_bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    leat_listen(fd, BACKLOG) != 0)
		bench_fail("cannot listen: %s", strerror(errno));
	return fd;
}

int farend_connect(uint32_t n, int listener)
{
	struct farend *f = farend(n);
	int fd = -1;

	farend_send(f, RTE_TCP_SYN_FLAG, 0);
	for (int i = 0; i < CONNECT_POLLS && f->ack == 0; i++) {
		(void)lab_poll();
		farends_take();
	}
	farend_send(f, RTE_TCP_ACK_FLAG, 0);
	for (int i = 0; i < CONNECT_POLLS && fd < 0; i++) {
		(void)lab_poll();
		fd = leat_accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	}
	if (fd < 0)
		bench_fail("farend %u is not connected", n);
	return fd;
}
