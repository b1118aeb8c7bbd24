/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/memport.h"

#include <netinet/in.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <stdlib.h>
#include <string.h>

#include "lib/pool.h"
#include "support/clock.h"
#include "support/sum.h"
#include "support/test.h"

#define RX_MBUFS 8192
#define TCP_FIN  0x01
#define TCP_PSH  0x08

static struct rte_mempool *rx_pool; /* of all ports there are */
static unsigned ports;

static void require_memory(const void *p)
{
	if (p == NULL) {
		perror("memport");
		abort();
	}
}

struct frame *frame_new(const void *data, uint32_t length)
{
	struct frame *f = malloc(sizeof(*f) + length);

	require_memory(f);
	f->at_us = clock_us;
	f->length = length;
	f->rx_flags = 0;
	memcpy(f->data, data, length);
	return f;
}

/* ---- receive ------------------------------------------------------------- */

/* One heap block: the bytes, exactly; the shared info lies apart from it. */
static void buffer_free(void *buffer, void *opaque)
{
	free(buffer);
	free(opaque);
}

static struct rte_mbuf *mbuf_of_bytes(const uint8_t *data, uint32_t length)
{
	struct rte_mbuf_ext_shared_info *info = malloc(sizeof(*info));
	uint8_t *buffer = malloc(length > 0 ? length : 1);
	struct rte_mbuf *m = rte_pktmbuf_alloc(rx_pool);

	require_memory(info);
	require_memory(buffer);
	require_memory(m);
	memcpy(buffer, data, length);
	info->free_cb = buffer_free;
	info->fcb_opaque = info;
	rte_mbuf_ext_refcnt_set(info, 1);
	rte_pktmbuf_attach_extbuf(m, buffer, RTE_BAD_IOVA, (uint16_t)length, info);
	m->data_off = 0;
	m->data_len = (uint16_t)length;
	m->pkt_len = length;
	return m;
}

static struct rte_mbuf *mbuf_of_frame(const struct memport *p, const struct frame *f)
{
	uint32_t segment = p->rx_segment_bytes != 0 ? p->rx_segment_bytes : UINT16_MAX;
	uint32_t first = RTE_MIN(f->length, segment);
	struct rte_mbuf *head = mbuf_of_bytes(f->data, first);
	struct rte_mbuf *last = head;

	for (uint32_t at = first; at < f->length; at += last->data_len) {
		last->next = mbuf_of_bytes(f->data + at, RTE_MIN(f->length - at, segment));
		last = last->next;
		head->nb_segs++;
		head->pkt_len += last->data_len;
	}
	return head;
}

/* What a NIC that verifies checksums writes; as little as it may, when it cannot tell. */
static uint64_t verify_checksums(const struct frame *f)
{
	const uint8_t *ip = f->data + RTE_ETHER_HDR_LEN;
	uint32_t header, total, sum;
	uint64_t flags;

	if (f->length < RTE_ETHER_HDR_LEN + 20 || f->data[12] != 8 || f->data[13] != 0)
		return 0;
	header = (ip[0] & 15) * 4u;
	total = (uint32_t)ip[2] << 8 | ip[3];
	if (header < 20 || total < header || RTE_ETHER_HDR_LEN + total > f->length)
		return 0;
	flags = sum_add(0, ip, header) == 0xffff ? RTE_MBUF_F_RX_IP_CKSUM_GOOD
						 : RTE_MBUF_F_RX_IP_CKSUM_BAD;
	if ((ip[9] != IPPROTO_TCP && ip[9] != IPPROTO_UDP) || total - header < 8 ||
	    ((ip[6] & 0x3f) | ip[7]) != 0)
		return flags;
	if (ip[9] == IPPROTO_UDP && ip[header + 6] == 0 && ip[header + 7] == 0)
		return flags | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	sum = sum_add(sum_pseudo(ip + 12, ip + 16, ip[9], total - header), ip + header,
		      total - header);
	return flags | (sum == 0xffff ? RTE_MBUF_F_RX_L4_CKSUM_GOOD : RTE_MBUF_F_RX_L4_CKSUM_BAD);
}

static uint16_t memport_rx(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct memport *p = port->link;
	uint16_t count = 0;
	struct frame *f;

	while (count < n && (f = TAILQ_FIRST(&p->rx[queue])) != NULL) {
		TAILQ_REMOVE(&p->rx[queue], f, link);
		pkts[count] = mbuf_of_frame(p, f);
		pkts[count]->ol_flags |= f->rx_flags;
		if (port->rx_checksum && f->rx_flags == 0)
			pkts[count]->ol_flags |= verify_checksums(f);
		count++;
		free(f);
	}
	return count;
}

void memport_inject_flags(struct memport *p, uint16_t queue, const void *data, uint32_t length,
			  uint32_t rx_flags)
{
	struct frame *f = frame_new(data, length);

	f->rx_flags = rx_flags;
	TAILQ_INSERT_TAIL(&p->rx[queue], f, link);
}

void memport_inject(struct memport *p, uint16_t queue, const void *data, uint32_t length)
{
	memport_inject_flags(p, queue, data, length, 0);
}

/* ---- transmit ------------------------------------------------------------ */

static void capture(struct memport *p, struct frame *f)
{
	if (f->length > (uint32_t)p->port.mtu + RTE_ETHER_HDR_LEN)
		test_fail(__FILE__, __LINE__, "frame of %u bytes sent on a port with MTU %u",
			  f->length, p->port.mtu);
	TAILQ_INSERT_TAIL(&p->tx, f, link);
	p->tx_count++;
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
	return get16(at) << 16 | get16(at + 2);
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

/* DPDK's contract: the IP checksum field is 0, the transport's holds the pseudo header's sum. */
static void complete_checksums(const struct memport *p, const struct rte_mbuf *m, struct frame *f)
{
	uint8_t *ip = f->data + m->l2_len;
	uint8_t *transport = ip + m->l3_len;
	uint32_t length = f->length - (uint32_t)(transport - f->data);
	uint64_t kind = m->ol_flags & RTE_MBUF_F_TX_L4_MASK;
	uint8_t *field = transport + (kind == RTE_MBUF_F_TX_TCP_CKSUM ? 16 : 6);

	if ((m->ol_flags & (RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_L4_MASK)) == 0)
		return;
	if (!p->port.tx_checksum)
		test_fail(__FILE__, __LINE__, "checksum offload asked of a port without it");
	if (m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM) {
		CHECK_EQ(get16(ip + 10), 0);
		put16(ip + 10, ~sum_add(0, ip, m->l3_len));
	}
	if (kind == 0)
		return;
	CHECK_EQ(get16(field), sum_pseudo(ip + 12, ip + 16, ip[9], length));
	put16(field, ~sum_add(0, transport, length));
	if (kind == RTE_MBUF_F_TX_UDP_CKSUM && get16(field) == 0)
		put16(field, 0xffff);
}

/* One piece of a large segment: payload [at, at + length). */
static void segment_cut(struct memport *p, const struct rte_mbuf *m, const struct frame *whole,
			uint32_t header, uint32_t at, uint32_t length, uint32_t index)
{
	struct frame *f = frame_new(whole->data, header + length);
	uint8_t *ip = f->data + m->l2_len;
	uint8_t *tcp = ip + m->l3_len;

	memcpy(f->data + header, whole->data + header + at, length);
	put16(ip + 2, header - m->l2_len + length);
	put16(ip + 4, get16(ip + 4) + index);
	put16(ip + 10, 0);
	put16(ip + 10, ~sum_add(0, ip, m->l3_len));
	put32(tcp + 4, get32(tcp + 4) + at);
	if (header + at + length < whole->length)
		tcp[13] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	put16(tcp + 16, 0);
	put16(tcp + 16, ~sum_add(sum_pseudo(ip + 12, ip + 16, IPPROTO_TCP, m->l4_len + length), tcp,
				 m->l4_len + length));
	capture(p, f);
	p->segmented++;
}

static void segment_all(struct memport *p, const struct rte_mbuf *m, struct frame *whole)
{
	uint32_t header = (uint32_t)m->l2_len + m->l3_len + m->l4_len;
	uint32_t payload = whole->length - header;
	const uint8_t *ip = whole->data + m->l2_len;
	uint32_t index = 0;

	if (!p->port.tso)
		test_fail(__FILE__, __LINE__, "segmentation offload asked of a port without it");
	/* The pseudo header's sum without the length, which differs from piece to piece. */
	CHECK_EQ(get16(ip + m->l3_len + 16), sum_pseudo(ip + 12, ip + 16, IPPROTO_TCP, 0));
	CHECK(m->tso_segsz > 0);
	for (uint32_t at = 0; at < payload && m->tso_segsz > 0; at += m->tso_segsz)
		segment_cut(p, m, whole, header, at, RTE_MIN(payload - at, (uint32_t)m->tso_segsz),
			    index++);
	free(whole);
}

static struct frame *flatten(const struct memport *p, const struct rte_mbuf *m)
{
	struct frame *f = malloc(sizeof(*f) + m->pkt_len);
	uint32_t at = 0, segments = 0;

	require_memory(f);
	for (const struct rte_mbuf *s = m; s != NULL; s = s->next) {
		if (at + s->data_len <= m->pkt_len)
			memcpy(f->data + at, rte_pktmbuf_mtod(s, const void *), s->data_len);
		if (RTE_MBUF_HAS_EXTBUF(s) && !p->port.external_buffers)
			test_fail(__FILE__, __LINE__, "external buffer on a port without them");
		at += s->data_len;
		segments++;
	}
	CHECK_EQ(at, m->pkt_len);
	CHECK_EQ(segments, m->nb_segs);
	if (segments > 1 && !p->port.tx_multi_segs)
		test_fail(__FILE__, __LINE__, "several segments on a port without them");
	f->at_us = clock_us;
	f->length = m->pkt_len;
	f->rx_flags = 0;
	return f;
}

static void hold(struct memport *p, struct rte_mbuf *m)
{
	if (p->held_count == p->held_capacity) {
		p->held_capacity = p->held_capacity * 2 + 64;
		p->held = realloc(p->held, p->held_capacity * sizeof(p->held[0]));
		require_memory(p->held);
	}
	p->held[p->held_count++] = m;
}

static uint16_t memport_tx(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct memport *p = port->link;
	uint16_t count = 0;

	CHECK(queue < port->queues || queue < port->workers);
	if (p->lazy)
		memport_release(p);
	while (count < n && p->tx_room > 0) {
		struct rte_mbuf *m = pkts[count++];
		struct frame *f = flatten(p, m);

		if (p->tx_room != MEMPORT_UNLIMITED)
			p->tx_room--;
		if (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) {
			segment_all(p, m, f);
		} else {
			complete_checksums(p, m, f);
			capture(p, f);
		}
		if (p->hold || p->lazy)
			hold(p, m);
		else
			rte_pktmbuf_free(m);
	}
	return count;
}

/* ---- the rest ------------------------------------------------------------ */

static const struct port_ops memport_ops = {
	.rx_burst = memport_rx,
	.tx_burst = memport_tx,
};

void memport_init(struct memport *p)
{
	*p = (struct memport){
		.port = {.ops = &memport_ops, .link = p, .queues = 1, .workers = 1, .mtu = 1500},
		.tx_room = MEMPORT_UNLIMITED,
	};
	TAILQ_INIT(&p->tx);
	for (int q = 0; q < MEMPORT_QUEUES_MAX; q++)
		TAILQ_INIT(&p->rx[q]);
	if (ports++ == 0)
		rx_pool = pool_create_mbufs("memport", RX_MBUFS, 0, SOCKET_ID_ANY);
	require_memory(rx_pool);
}

static uint32_t queue_free(struct frame_queue *q)
{
	struct frame *f;
	uint32_t count = 0;

	while ((f = TAILQ_FIRST(q)) != NULL) {
		TAILQ_REMOVE(q, f, link);
		free(f);
		count++;
	}
	return count;
}

void memport_fini(struct memport *p)
{
	queue_free(&p->tx);
	for (int q = 0; q < MEMPORT_QUEUES_MAX; q++)
		queue_free(&p->rx[q]);
	memport_release(p);
	free(p->held);
	p->held = NULL;
	p->held_capacity = 0;
	if (--ports > 0)
		return;
	rte_mempool_free(rx_pool);
	rx_pool = NULL;
}

struct frame *memport_pop(struct memport *p)
{
	struct frame *f = TAILQ_FIRST(&p->tx);

	if (f != NULL) {
		TAILQ_REMOVE(&p->tx, f, link);
		p->tx_count--;
	}
	return f;
}

uint32_t memport_drain(struct memport *p)
{
	p->tx_count = 0;
	return queue_free(&p->tx);
}

void memport_release(struct memport *p)
{
	for (uint32_t i = 0; i < p->held_count; i++)
		rte_pktmbuf_free(p->held[i]);
	p->held_count = 0;
}

uint32_t memport_mbufs_in_use(void)
{
	return rx_pool != NULL ? pool_mbufs_used(rx_pool) : 0;
}
