/* SPDX-License-Identifier: BSD-3-Clause */
/* Datagrams on their way down: records out of the send ring. */
#include <errno.h>
#include <rte_udp.h>
#include <sys/socket.h>

#include "core/worker.h"
#include "net/ip_tx.h"
#include "shm/ring.h"
#include "shm/session.h"
#include "sock/port_table.h"
#include "udp/udp.h"

/* A record, as the application wrote it, and where it lies. */
struct udp_record {
	struct leat_record header;
	uint64_t data_offset;
	uint64_t end_offset;
};

/* Reads and checks the next record.  False: the session is condemned. */
static bool udp_take_record(struct worker *w, struct sock *sk, struct udp_record *r)
{
	uint64_t used = tx_ring_used(&sk->ring);
	uint64_t bytes;

	if (used < sizeof(r->header)) {
		arena_condemn(w, sk->ring.arena, "datagram header cut off");
		return false;
	}
	tx_ring_read(&sk->ring, sk->ring.tx_head, &r->header, sizeof(r->header));
	if (r->header.length_bytes > UDP_DATAGRAM_MAX) {
		arena_condemn(w, sk->ring.arena, "datagram longer than IPv4 can carry");
		return false;
	}
	bytes = sizeof(r->header) + RTE_ALIGN(r->header.length_bytes, LEAT_RECORD_ALIGN);
	if (bytes > used) {
		arena_condemn(w, sk->ring.arena, "datagram cut off");
		return false;
	}
	r->data_offset = sk->ring.tx_head + sizeof(r->header);
	r->end_offset = sk->ring.tx_head + bytes;
	return true;
}

/* The flow this datagram belongs to: the sock's own, or towards the address it names. */
static int udp_record_flow(const struct udp_sock *udp, const struct leat_record *header,
			   struct flow *flow)
{
	const struct leat_addr *to = &header->addr;

	*flow = udp->inet.flow;
	if (to->family == AF_UNSPEC)
		return flow->remote_port == 0 ? -EDESTADDRREQ : 0;
	if (to->family != AF_INET)
		return -EAFNOSUPPORT;
	if (to->port == 0)
		return -EINVAL;
	memcpy(&flow->remote.v4, to->addr, sizeof(flow->remote.v4));
	flow->remote.words[1] = 0;
	flow->remote_port = to->port;
	return 0;
}

/* An unbound sock gets a port, one on which the first peer's answer arrives at this worker. */
static int udp_autobind(struct worker *w, struct udp_sock *udp, struct flow *flow)
{
	struct inet_sock *inet = &udp->inet;
	struct flow own = inet->flow;
	int err;

	inet->flow = *flow;
	err = port_choose(w, inet);
	own.local_port = inet->flow.local_port;
	inet->flow = own;
	if (err == 0)
		err = port_bind(w, inet);
	if (err != 0)
		inet->flow.local_port = 0;
	flow->local_port = inet->flow.local_port;
	return err;
}

int udp_resolve(struct worker *w, struct udp_sock *udp, const struct inet_addr *remote)
{
	struct dst *dst = &udp->inet.dst;
	int err;

	if (!inet_addr_eq(&udp->dst_remote, remote)) {
		udp->dst_remote = *remote;
		dst->generation = 0;
	}
	err = dst_resolve(w, dst, AF_INET, remote);
	if (err == -ENETUNREACH && !udp->broadcast && netif_is_any_broadcast(w, remote))
		return -EACCES;
	return err;
}

/* Route, source address and port. */
static int udp_route(struct worker *w, struct udp_sock *udp, struct flow *flow)
{
	int err = udp_resolve(w, udp, &flow->remote);

	if (err != 0)
		return err;
	if (inet_addr_is_any(&flow->local))
		flow->local = w->netif[udp->inet.dst.netif]->address;
	return flow->local_port == 0 ? udp_autobind(w, udp, flow) : 0;
}

/* 0, -EAGAIN: no mbuf just now, or what is wrong with the datagram. */
static int udp_tx(struct worker *w, struct udp_sock *udp, const struct udp_record *r)
{
	struct inet_sock *inet = &udp->inet;
	uint16_t length = UDP_HEADER_BYTES + r->header.length_bytes;
	struct flow flow;
	struct ip_tx how = {
		.dst = &inet->dst,
		.flow = &flow,
		.ttl = inet->ttl,
		.traffic_class = inet->traffic_class,
		.dont_fragment = udp->inet.mtu_discover >= IP_PMTUDISC_DO,
	};
	struct rte_udp_hdr *header;
	struct rte_mbuf *m;
	int err;

	err = udp_record_flow(udp, &r->header, &flow);
	if (err == 0)
		err = udp_route(w, udp, &flow);
	if (err != 0)
		return err;
	if (length + IP_HEADER_BYTES > inet->dst.mtu)
		return -EMSGSIZE;
	m = worker_mbuf(w);
	if (m == NULL)
		return -EAGAIN;
	header = (struct rte_udp_hdr *)(void *)rte_pktmbuf_append(m, sizeof(*header));
	*header = (struct rte_udp_hdr){.src_port = flow.local_port,
				       .dst_port = flow.remote_port,
				       .dgram_len = rte_cpu_to_be_16(length)};
	if (tx_ring_append(w, &inet->sk.ring, m, r->data_offset, r->header.length_bytes,
			   !w->netif[inet->dst.netif]->port->external_buffers) != 0) {
		rte_pktmbuf_free(m);
		return -EAGAIN;
	}
	err = ip_tx(w, &how, m);
	if (err == 0)
		worker_count(w, CNT_udp_tx);
	return err;
}

/* The next record, sent or refused.  False: stop for now. */
static bool udp_output_one(struct worker *w, struct udp_sock *udp)
{
	struct sock *sk = &udp->inet.sk;
	struct udp_record r;
	int err;

	if (!udp_take_record(w, sk, &r))
		return false;
	err = udp->tx_shut && r.end_offset > udp->tx_shut_offset ? -EPIPE : udp_tx(w, udp, &r);
	if (err == -EAGAIN)
		return false;
	/* A full table is a loss like any other on the way. */
	if (err != 0 && err != -ENOBUFS)
		sock_raise_error(w, sk, -err);
	tx_ring_done(w, &sk->ring, r.end_offset);
	return true;
}

void udp_output(struct worker *w, struct sock *sk)
{
	struct udp_sock *udp = udp_sock(sk);

	for (unsigned i = 0; i < UDP_OUTPUT_MAX && tx_ring_used(&sk->ring) > 0; i++)
		if (!udp_output_one(w, udp))
			break;
	sock_raise(w, sk, 0);
	if (sock_is_detached(sk) && (tx_ring_used(&sk->ring) == 0 || sk->ring.arena->condemned))
		udp_free(w, udp);
	else if (tx_ring_used(&sk->ring) > 0 && !sk->ring.arena->condemned)
		sock_want_output(w, sk);
}

void udp_sync(struct worker *w, struct sock *sk)
{
	if (tx_ring_used(&sk->ring) > 0)
		sock_want_output(w, sk);
}
