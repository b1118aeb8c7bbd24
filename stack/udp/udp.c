/* SPDX-License-Identifier: BSD-3-Clause */
#include "udp/udp.h"

#include <errno.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <rte_udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "core/worker.h"
#include "lib/pool.h"
#include "net/checksum.h"
#include "net/eth.h"
#include "net/icmp.h"
#include "net/ipv4.h"
#include "shm/ring_rx.h"
#include "shm/session.h"
#include "sock/port_table.h"
#include "sock/sock_table.h"

struct udp_worker {
	struct pool *socks;
	uint32_t connected; /* of them, those in sock_table */
};

struct udp_worker *udp_worker_create(struct worker *w)
{
	struct udp_worker *u = calloc(1, sizeof(*u));
	char name[RTE_MEMPOOL_NAMESIZE];

	if (u == NULL)
		return NULL;
	snprintf(name, sizeof(name), "%s_udp_%u", w->config.name, w->id);
	u->socks = pool_create(name, w->config.max_socks, sizeof(struct udp_sock),
			       w->config.socket_id);
	if (u->socks == NULL) {
		free(u);
		return NULL;
	}
	return u;
}

void udp_worker_free(struct worker *w)
{
	if (w->udp == NULL)
		return;
	pool_free(w->udp->socks);
	free(w->udp);
	w->udp = NULL;
}

/* ---- up ---- */

static enum counter udp_parse(struct worker *w, struct packet *p)
{
	struct rte_mbuf *m = p->m;
	const struct rte_udp_hdr *udp = rte_pktmbuf_mtod(m, const struct rte_udp_hdr *);
	uint16_t length;

	if (unlikely(m->data_len < sizeof(*udp)))
		return CNT_udp_short;
	length = rte_be_to_cpu_16(udp->dgram_len);
	if (unlikely(length < sizeof(*udp) || length > p->length))
		return CNT_udp_length;
	if (unlikely(length < p->length))
		eth_trim(m, length);
	/* RFC 768: 0 says that the sender computed none. */
	if (udp->dgram_cksum != 0 && unlikely(!checksum_transport_good(m, length, p->pseudo_sum)))
		return CNT_udp_checksum;
	flow_set_ports_received(&p->flow, udp);
	p->length = length - (uint32_t)sizeof(*udp);
	p->lookup = w->udp->connected != 0;
	eth_skip(m, sizeof(*udp));
	return CNT_MAX;
}

/* May so many bytes more wait in sk's ring?  A datagram too big for the buffer gets in when it is
 * alone. */
static bool udp_rx_has_room(struct worker *w, struct sock *sk, uint32_t bytes)
{
	uint32_t look = RTE_MIN(sk->rcvbuf_bytes, sk->ring.arena->chunk_bytes);

	/* Looking costs a cache line of the application's; it also gives read chunks back. */
	if (rx_ring_used(&sk->ring) + bytes > look && rx_ring_sync(w, &sk->ring) != 0)
		return false;
	return rx_ring_used(&sk->ring) == 0 || rx_ring_used(&sk->ring) + bytes <= sk->rcvbuf_bytes;
}

static inline void udp_fill_record(struct leat_record *record, const struct packet *p)
{
	record->length_bytes = p->length;
	record->full_bytes = p->length;
	record->addr.family = AF_INET;
	record->addr.port = p->flow.remote_port;
	record->addr.scope = 0;
	memcpy(record->addr.addr, p->flow.remote.bytes, sizeof(record->addr.addr));
}

static bool udp_rx_deliver(struct worker *w, struct sock *sk, const struct packet *p)
{
	uint32_t bytes = sizeof(struct leat_record) + RTE_ALIGN(p->length, LEAT_RECORD_ALIGN);
	struct leat_record *place, record;

	if (!udp_rx_has_room(w, sk, bytes))
		return false;
	place = rx_ring_record_here(&sk->ring, p->m, p->length);
	if (likely(place != NULL)) {
		udp_fill_record(place, p);
	} else {
		udp_fill_record(&record, p);
		if (rx_ring_append_record(w, &sk->ring, &record, p->m) != 0)
			return false;
	}
	sock_raise(w, sk, LEAT_EV_IN);
	return true;
}

static void udp_rx(struct worker *w, struct packet *p)
{
	struct sock *sk = p->entry != 0 ? sock_entry_pointer(p->entry) : NULL;

	if (sk == NULL)
		sk = (struct sock *)port_find(w, &p->flow, false);
	if (sk == NULL) {
		icmp_tx_error(w, p, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH);
		worker_drop(w, p->m, CNT_udp_no_sock);
		return;
	}
	if (sock_is_detached(sk) || sk->flags & SOCK_RX_SHUT) {
		worker_drop(w, p->m, CNT_udp_no_sock);
		return;
	}
	if (!udp_rx_deliver(w, sk, p)) {
		worker_drop(w, p->m, CNT_udp_ring_full);
		return;
	}
	worker_count(w, CNT_udp_rx);
	worker_done(w, p->m);
}

/* Like Linux, a connected sock hears of what will not pass by itself; that a host or network is
 * unreachable just now may. */
static bool udp_error_is_hard(const struct udp_sock *udp, int error)
{
	switch (error) {
	case EHOSTUNREACH:
	case ENETUNREACH:
		return false;
	case EMSGSIZE:
		return udp->inet.mtu_discover != IP_PMTUDISC_DONT;
	default:
		return true;
	}
}

static void udp_error(struct worker *w, const struct flow *flow, uint32_t sequence, int error,
		      uint16_t mtu)
{
	sock_entry entry = sock_table_find(w->socks_by_flow, flow);
	struct udp_sock *udp;

	(void)sequence;
	if (entry == 0)
		return;
	udp = sock_entry_pointer(entry);
	if (!udp_error_is_hard(udp, error))
		return;
	if (error == EMSGSIZE && mtu >= IP_MTU_MIN && mtu < udp->inet.dst.mtu)
		udp->inet.dst.mtu = mtu;
	sock_raise_error(w, &udp->inet.sk, error);
}

/* ---- what the application asks for ---- */

static struct sock *udp_create(struct worker *w, uint8_t family)
{
	struct udp_sock *udp = pool_get(w->udp->socks);

	if (udp == NULL)
		return NULL;
	memset(udp, 0, sizeof(*udp));
	sock_init(w, &udp->inet.sk, &udp_proto, family);
	udp->inet.sk.state = TCP_CLOSE;
	udp->inet.flow.family = family;
	udp->inet.flow.protocol = IPPROTO_UDP;
	udp->inet.ttl = IP_TTL_DEFAULT;
	udp->inet.mtu_discover = IP_PMTUDISC_DONT;
	return &udp->inet.sk;
}

static int udp_bind(struct worker *w, struct sock *sk, const struct leat_addr *addr)
{
	struct udp_sock *udp = udp_sock(sk);
	struct inet_addr local = leat_addr_inet(addr);
	int err;

	if (udp->inet.flow.local_port != 0)
		return -EINVAL;
	if (!inet_addr_is_any(&local) && !netif_is_local(w, &local))
		return -EADDRNOTAVAIL;
	udp->inet.flow.local = local;
	udp->inet.flow.local_port = addr->port;
	err = port_bind(w, &udp->inet);
	if (err != 0) {
		udp->inet.flow.local = (struct inet_addr){0};
		udp->inet.flow.local_port = 0;
		return err;
	}
	udp->address_bound = !inet_addr_is_any(&local);
	if (addr->port != 0)
		sk->flags |= SOCK_BOUND_PORT;
	return 0;
}

static void udp_unhash(struct worker *w, struct udp_sock *udp)
{
	if (!(udp->inet.sk.flags & SOCK_HASHED))
		return;
	sock_table_delete(w->socks_by_flow, &udp->inet.flow);
	w->udp->connected--;
	udp->inet.sk.flags &= ~(uint32_t)SOCK_HASHED;
}

/* Back to what bind left. */
static void udp_disconnect(struct worker *w, struct udp_sock *udp)
{
	struct inet_sock *inet = &udp->inet;

	udp_unhash(w, udp);
	inet->flow.remote = (struct inet_addr){0};
	inet->flow.remote_port = 0;
	if (!udp->address_bound)
		inet->flow.local = (struct inet_addr){0};
	if (!(inet->sk.flags & SOCK_BOUND))
		inet->flow.local_port = 0;
	inet->dst.generation = 0;
	inet->sk.state = TCP_CLOSE;
	inet->sk.state_events &= ~LEAT_EV_CONNECTED;
}

/* Completes the flow towards remote: local address, and a port where bind gave none. */
static int udp_choose_local(struct worker *w, struct udp_sock *udp)
{
	struct inet_sock *inet = &udp->inet;
	int err = udp_resolve(w, udp, &inet->flow.remote);

	if (err != 0)
		return err;
	if (inet->flow.local_port == 0)
		return port_choose(w, inet);
	if (inet_addr_is_any(&inet->flow.local))
		inet->flow.local = w->netif[inet->dst.netif]->address;
	return 0;
}

static int udp_connect(struct worker *w, struct sock *sk, const struct leat_addr *addr)
{
	struct udp_sock *udp = udp_sock(sk);
	struct inet_sock *inet = &udp->inet;
	int err;

	udp_disconnect(w, udp);
	sock_raise(w, sk, 0);
	if (addr->family == AF_UNSPEC)
		return 0;
	if (addr->port == 0)
		return -EINVAL;
	inet->flow.remote = leat_addr_inet(addr);
	inet->flow.remote_port = addr->port;
	err = udp_choose_local(w, udp);
	if (err == 0)
		err = sock_table_add(w->socks_by_flow, &inet->flow,
				     sock_entry_make(udp, SOCK_ENTRY_SOCK));
	if (err != 0) {
		udp_disconnect(w, udp);
		return err == -EEXIST ? -EADDRINUSE : err == -ENOSPC ? -ENOBUFS : err;
	}
	w->udp->connected++;
	sk->flags |= SOCK_HASHED;
	sk->state = TCP_ESTABLISHED;
	sock_raise(w, sk, LEAT_EV_OUT | LEAT_EV_CONNECTED);
	return 0;
}

static int udp_shutdown(struct worker *w, struct sock *sk, int how)
{
	struct udp_sock *udp = udp_sock(sk);

	if (sk->state != TCP_ESTABLISHED)
		return -ENOTCONN;
	if (how != SHUT_WR) {
		sk->flags |= SOCK_RX_SHUT;
		sock_raise(w, sk, LEAT_EV_IN | LEAT_EV_RDHUP);
	}
	if (how != SHUT_RD) {
		/* What was written before goes out first. */
		udp->tx_shut = true;
		udp->tx_shut_offset = sk->ring.tx_tail;
	}
	if (udp->tx_shut && sk->flags & SOCK_RX_SHUT)
		sock_raise(w, sk, LEAT_EV_HUP);
	udp_sync(w, sk);
	return 0;
}

void udp_free(struct worker *w, struct udp_sock *udp)
{
	udp_unhash(w, udp);
	port_unbind(w, &udp->inet);
	sock_fini(w, &udp->inet.sk);
	pool_put(w->udp->socks, udp);
}

/* What was written before close is sent; the port is free at once. */
static void udp_close(struct worker *w, struct sock *sk, bool abort)
{
	struct udp_sock *udp = udp_sock(sk);

	if (abort || tx_ring_used(&sk->ring) == 0) {
		udp_free(w, udp);
		return;
	}
	udp_unhash(w, udp);
	port_unbind(w, &udp->inet);
	sock_want_output(w, sk);
}

static void udp_describe(const struct sock *sk, struct sock_info *info)
{
	snprintf(info->state, sizeof(info->state), "%s",
		 sk->state == TCP_ESTABLISHED ? "CONNECTED" : "UNCONNECTED");
}

const struct proto udp_proto = {
	.name = "udp",
	.protocol = IPPROTO_UDP,
	.type = SOCK_DGRAM,
	.create = udp_create,
	.bind = udp_bind,
	.connect = udp_connect,
	.shutdown = udp_shutdown,
	.setsockopt = udp_setsockopt,
	.getsockopt = udp_getsockopt,
	.sync = udp_sync,
	.close = udp_close,
	.output = udp_output,
	.describe = udp_describe,
};

const struct ip_protocol udp_ip_protocol = {
	.parse = udp_parse,
	.rx = udp_rx,
	.error = udp_error,
};
