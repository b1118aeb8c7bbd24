/* SPDX-License-Identifier: BSD-3-Clause */
/* Datagrams on their way down: records out of the send ring. */
#include <errno.h>
#include <rte_udp.h>
#include <sys/socket.h>

#include "core/worker.h"
#include "net/ip_tx.h"
#include "shm/ring_tx.h"
#include "shm/session.h"
#include "sock/port_table.h"
#include "udp/udp.h"

/* A record, as the application wrote it, and where it lies. */
struct udp_record {
	struct leat_record header;
	uint64_t data_offset;
	uint64_t end_offset;
};

/* Reads and checks the record at offset, before which all are done.  False: the session is
 * condemned. */
static inline bool udp_take_record(struct worker *w, struct sock *sk, uint64_t offset,
				   struct udp_record *r)
{
	uint64_t left = sk->ring.tx_tail - offset;
	const uint8_t *at;
	uint64_t bytes;

	if (unlikely(left < sizeof(r->header))) {
		arena_condemn(w, sk->ring.arena, "datagram header cut off");
		return false;
	}
	at = tx_ring_peek(&sk->ring, offset, sizeof(r->header));
	if (likely(at != NULL))
		memcpy(&r->header, at, sizeof(r->header));
	else
		tx_ring_read(&sk->ring, offset, &r->header, sizeof(r->header));
	/* The application may still write there: only the copy counts. */
	rte_compiler_barrier();
	if (unlikely(r->header.length_bytes > UDP_DATAGRAM_MAX)) {
		arena_condemn(w, sk->ring.arena, "datagram longer than IPv4 can carry");
		return false;
	}
	bytes = sizeof(r->header) + RTE_ALIGN(r->header.length_bytes, LEAT_RECORD_ALIGN);
	if (unlikely(bytes > left)) {
		arena_condemn(w, sk->ring.arena, "datagram cut off");
		return false;
	}
	r->data_offset = offset + sizeof(r->header);
	r->end_offset = offset + bytes;
	return true;
}

/* The flow this datagram belongs to: the sock's own, or towards the address it names. */
static inline int udp_record_flow(const struct udp_sock *udp, const struct leat_record *header,
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

static int udp_resolve_anew(struct worker *w, struct udp_sock *udp, const struct inet_addr *remote)
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

static inline int resolve(struct worker *w, struct udp_sock *udp, const struct inet_addr *remote)
{
	if (likely(udp->inet.dst.generation == w->route_generation &&
		   inet_addr_eq(&udp->dst_remote, remote)))
		return 0;
	return udp_resolve_anew(w, udp, remote);
}

int udp_resolve(struct worker *w, struct udp_sock *udp, const struct inet_addr *remote)
{
	return resolve(w, udp, remote);
}

/* Route, source address and port. */
static inline int udp_route(struct worker *w, struct udp_sock *udp, struct flow *flow)
{
	int err = resolve(w, udp, &flow->remote);

	if (err != 0)
		return err;
	if (inet_addr_is_any(&flow->local))
		flow->local = w->netif[udp->inet.dst.netif]->address;
	return flow->local_port == 0 ? udp_autobind(w, udp, flow) : 0;
}

static inline struct ip_tx how_to_send(struct inet_sock *inet, const struct flow *flow)
{
	return (struct ip_tx){
		.dst = &inet->dst,
		.flow = flow,
		.ttl = inet->ttl,
		.traffic_class = inet->traffic_class,
		.dont_fragment = inet->mtu_discover >= IP_PMTUDISC_DO,
	};
}

/* The datagram's data does not go the short way; m has its header. */
static int udp_tx_any(struct worker *w, struct inet_sock *inet, const struct flow *flow,
		      const struct udp_record *r, struct rte_mbuf *m)
{
	struct ip_tx how = how_to_send(inet, flow);

	m->data_len = UDP_HEADER_BYTES;
	m->pkt_len = UDP_HEADER_BYTES;
	if (tx_ring_append(w, &inet->sk.ring, m, r->data_offset, r->header.length_bytes,
			   !w->netif[inet->dst.netif]->port->external_buffers) != 0) {
		rte_pktmbuf_free(m);
		return -EAGAIN;
	}
	return ip_tx(w, &how, m);
}

/* Header and data into m, summed as they are written, and away with it.  False: it goes another way. */
static inline bool udp_tx_short(struct worker *w, struct inet_sock *inet, const struct flow *flow,
				const struct udp_record *r, struct rte_mbuf *m)
{
	struct ip_tx how = how_to_send(inet, flow);
	uint32_t length = r->header.length_bytes;
	uint32_t bytes = UDP_HEADER_BYTES + length;
	uint8_t *at = rte_pktmbuf_mtod(m, uint8_t *);
	rte_be32_t words[2] = {0, rte_cpu_to_be_32(bytes << 16)};
	uint64_t sum;

	memcpy(&words[0], &flow->local_port, sizeof(words[0])); /* and the remote one behind it */
	memcpy(at, words, sizeof(words));
	sum = (uint64_t)words[0] + words[1];
	if (unlikely(!ip_tx_is_ready(w, &how, m, bytes) ||
		     !tx_ring_copy_short(w, &inet->sk.ring, at + UDP_HEADER_BYTES, r->data_offset,
					 length, ip_tx_port_sums(w, how.dst), &sum)))
		return false;
	ip_tx_ready(w, &how, IPPROTO_UDP, m, bytes, bytes, sum);
	return true;
}

/* 0, -EAGAIN: no mbuf just now, or what is wrong with the datagram. */
static inline int udp_tx(struct worker *w, struct udp_sock *udp, const struct udp_record *r)
{
	struct inet_sock *inet = &udp->inet;
	struct rte_mbuf *m;
	struct flow flow;
	int err;

	err = udp_record_flow(udp, &r->header, &flow);
	if (err == 0)
		err = udp_route(w, udp, &flow);
	if (err != 0)
		return err;
	if (UDP_HEADER_BYTES + r->header.length_bytes + IP_HEADER_BYTES > inet->dst.mtu)
		return -EMSGSIZE;
	m = worker_mbuf(w);
	if (m == NULL)
		return -EAGAIN;
	if (unlikely(!udp_tx_short(w, inet, &flow, r, m)))
		err = udp_tx_any(w, inet, &flow, r, m);
	if (err == 0)
		worker_count(w, CNT_udp_tx);
	return err;
}

/* The record at *offset, sent or refused; *offset moves behind it.  False: stop for now. */
static inline bool udp_output_one(struct worker *w, struct udp_sock *udp, uint64_t *offset)
{
	struct udp_record r;
	int err;

	if (!udp_take_record(w, &udp->inet.sk, *offset, &r))
		return false;
	err = udp->tx_shut && r.end_offset > udp->tx_shut_offset ? -EPIPE : udp_tx(w, udp, &r);
	if (err == -EAGAIN)
		return false;
	/* A full table is a loss like any other on the way. */
	if (err != 0 && err != -ENOBUFS)
		sock_raise_error(w, &udp->inet.sk, -err);
	*offset = r.end_offset;
	return true;
}

void udp_output(struct worker *w, struct sock *sk)
{
	struct udp_sock *udp = udp_sock(sk);
	uint64_t offset = sk->ring.tx_head;
	unsigned count = 0;

	while (count < UDP_OUTPUT_MAX && offset != sk->ring.tx_tail &&
	       udp_output_one(w, udp, &offset))
		count++;
	if (count > 0)
		tx_ring_done(w, &sk->ring, offset);
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
