/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP's two faces: to applications (struct proto) and to the network layer (struct ip_protocol). */
#include <errno.h>
#include <netinet/in.h>
#include <rte_malloc.h>
#include <stdio.h>
#include <sys/socket.h>

#include "lib/pool.h"
#include "shm/ring.h"
#include "sock/port_table.h"
#include "sock/sock_table.h"
#include "tcp/segment.h"
#include "tcp/tcp.h"
#include "tcp/tcp_sock.h"

/* ---- from the network --------------------------------------------------------- */

static __rte_noinline enum counter rx_other(struct worker *w, struct packet *p)
{
	void *object = sock_entry_pointer(p->entry);

	if (p->to_broadcast)
		return CNT_tcp_broadcast;
	if (object == NULL)
		return tcp_rx_unknown(w, p);
	switch (sock_entry_kind(p->entry)) {
	case SOCK_ENTRY_REQUEST:
		return tcp_rx_request(w, object, p);
	case SOCK_ENTRY_TIME_WAIT:
		return tcp_rx_time_wait(w, object, p);
	default:
		return tcp_rx_segment(w, object, p);
	}
}

static void tcp_rx(struct worker *w, struct packet *p)
{
	bool of_sock = p->entry != 0 && sock_entry_kind(p->entry) == SOCK_ENTRY_SOCK;
	enum counter verdict;

	worker_count(w, CNT_tcp_rx_segments);
	if (likely(of_sock && !p->to_broadcast))
		verdict = tcp_rx_segment(w, sock_entry_pointer(p->entry), p);
	else
		verdict = rx_other(w, p);
	/* The text was copied to its receive ring: every packet ends here. */
	if (likely(verdict == TCP_ACCEPTED))
		worker_done(w, p->m);
	else
		worker_drop(w, p->m, verdict);
}

/* It may pass, so the connection stays (RFC 9293's MUST-56).  Who asked with IP_RECVERR hears of it
 * at once (MUST-47), others when the connection fails; as Linux. */
static void note_soft_error(struct worker *w, struct tcp_sock *tp, int error)
{
	tp->ics.inet.soft_error = (uint8_t)error;
	if (tp->ics.inet.recverr && !sock_is_detached(tcp_sock_sk(tp)))
		sock_raise_error(w, tcp_sock_sk(tp), error);
}

static void syn_failed(struct worker *w, struct tcp_sock *tp, int error)
{
	tcp_fastopen_syn_lost(w, tp);
	tcp_fail(w, tp, error);
}

/* RFC 1122 section 4.2.3.9, with RFC 5927's check: it must quote something in flight. */
static void tcp_error(struct worker *w, const struct flow *flow, uint32_t sequence, int error,
		      uint16_t mtu)
{
	sock_entry entry = sock_table_find(w->socks_by_flow, flow);
	struct tcp_sock *tp;

	if (entry == 0 || sock_entry_kind(entry) == SOCK_ENTRY_TIME_WAIT)
		return;
	if (sock_entry_kind(entry) == SOCK_ENTRY_REQUEST) {
		tcp_request_error(w, sock_entry_pointer(entry), sequence, error);
		return;
	}
	tp = sock_entry_pointer(entry);
	if (seq_lt(sequence, tp->snd_una) || seq_ge(sequence, tp->snd_nxt))
		return;
	if (error == EMSGSIZE)
		tcp_mtu_message(w, tp, mtu);
	else if (tcp_state(tp) == TCP_SYN_SENT)
		syn_failed(w, tp, error);
	else
		note_soft_error(w, tp, error);
}

const struct ip_protocol tcp_ip_protocol = {
	.parse = tcp_parse,
	.rx = tcp_rx,
	.error = tcp_error,
};

/* ---- from the application -------------------------------------------------------- */

static struct sock *tcp_create(struct worker *w, uint8_t family)
{
	struct tcp_sock *tp = tcp_sock_create(w, family);

	return tp != NULL ? tcp_sock_sk(tp) : NULL;
}

static int tcp_bind(struct worker *w, struct sock *sk, const struct leat_addr *addr)
{
	struct inet_sock *inet = &tcp_sk(sk)->ics.inet;
	struct inet_addr local = leat_addr_inet(addr);
	int result;

	if (addr->family != sk->family)
		return -EAFNOSUPPORT;
	if (sk->state != TCP_CLOSE || sk->flags & SOCK_BOUND)
		return -EINVAL;
	if (!inet_addr_is_any(&local) && !netif_is_local(w, &local))
		return -EADDRNOTAVAIL;
	inet->flow.local = local;
	inet->flow.local_port = addr->port;
	result = port_bind(w, inet);
	if (result == 0 && addr->port != 0)
		sk->flags |= SOCK_BOUND_PORT;
	return result;
}

/* tx_tail or rx_head moved. */
static void tcp_sync(struct worker *w, struct sock *sk)
{
	struct tcp_sock *tp = tcp_sk(sk);

	if (sk->state == TCP_SYN_SENT && tcp_fastopen_has_data(tp))
		tcp_fastopen_start(w, tp);
	if (tcp_state_in(tp, TCP_STATE(TCP_CLOSE) | TCP_STATE(TCP_LISTEN)) ||
	    tcp_syn_is_unacked(tp))
		return;
	if (unlikely(sk->flags & SOCK_TX_URGENT))
		tcp_urgent_look(w, tp);
	if (tcp_has_unsent(tp))
		sock_want_output(w, sk);
	if (tp->flags & TCP_SOCK_WINDOW_ASKED)
		tcp_window_reopen(w, tp);
}

static void tcp_describe(const struct sock *sk, struct sock_info *info)
{
	const struct tcp_sock *tp = container_of(sk, const struct tcp_sock, ics.inet.sk);
	const struct flow *flow = &tp->ics.inet.flow;

	snprintf(info->protocol, sizeof(info->protocol), "tcp");
	snprintf(info->state, sizeof(info->state), "%s", tcp_state_name(sk->state));
	info->local = leat_addr_make(sk->family, &flow->local, flow->local_port);
	info->remote = leat_addr_make(sk->family, &flow->remote, flow->remote_port);
	if (sk->state == TCP_LISTEN) {
		info->rx_queued = tp->ics.listener->queue_count;
		info->tx_queued = tp->ics.listener->backlog;
	} else {
		info->rx_queued = rx_ring_used(&sk->ring);
		info->tx_queued = tx_ring_used(&sk->ring);
	}
}

const struct proto tcp_proto = {
	.name = "tcp",
	.protocol = IPPROTO_TCP,
	.type = SOCK_STREAM,
	.create = tcp_create,
	.bind = tcp_bind,
	.listen = tcp_listen,
	.connect = tcp_connect,
	.shutdown = tcp_shutdown,
	.setsockopt = tcp_setsockopt,
	.getsockopt = tcp_getsockopt,
	.sync = tcp_sync,
	.close = tcp_close,
	.output = tcp_output,
	.rest = tcp_rest,
	.tx_limit = tcp_tx_limit,
	.describe = tcp_describe,
};

/* ---- a worker's share --------------------------------------------------------------- */

static struct pool *create_pool(const struct worker *w, const char *what, uint32_t count,
				uint32_t object_bytes)
{
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "%s_%s_%u", w->config.name, what, w->id);
	return pool_create(name, RTE_MAX(count, 1u), object_bytes, w->config.socket_id);
}

/* Workers that serve one listener together were told a key. */
static void fastopen_init(struct worker *w, struct tcp_worker *tcp)
{
	const struct siphash_key *key = &w->config.fast_open_key;

	tcp->fastopen_key = *key;
	if ((key->k[0] | key->k[1]) == 0)
		w->env.random(w->env.arg, &tcp->fastopen_key, sizeof(tcp->fastopen_key));
	w->env.random(w->env.arg, &tcp->fastopen_cache.key, sizeof(tcp->fastopen_cache.key));
}

/* Few sets of options differ, whatever the number of socks; but whoever makes many of them must not
 * take away somebody else's, so there is one for each sock, and one to change over to. */
static void options_init(struct worker *w, struct tcp_worker *tcp)
{
	tcp->options.pool = create_pool(w, "opt", w->config.max_socks + w->config.max_listeners + 1,
					sizeof(struct shared_options));
	tcp->options.key = w->secret_key;
	tcp->default_options.values = (struct tcp_options){
		.rcvlowat_bytes = 1,
		.keep_idle_s = TCP_KEEP_IDLE_S,
		.keep_interval_s = TCP_KEEP_INTERVAL_S,
		.keep_count = TCP_KEEP_COUNT,
		.syn_retries = TCP_SYN_RETRIES,
		.linger_s = -1,
	};
	shared_options_keep(&tcp->options, &tcp->default_options);
}

struct tcp_worker *tcp_worker_create(struct worker *w)
{
	const struct worker_config *c = &w->config;
	struct tcp_worker *tcp = rte_zmalloc_socket("tcp_worker", sizeof(*tcp), RTE_CACHE_LINE_SIZE,
						    c->socket_id);

	if (tcp == NULL)
		return NULL;
	w->tcp = tcp;
	TAILQ_INIT(&tcp->time_wait_queue);
	tcp->socks = create_pool(w, "tcp", c->max_socks + c->max_listeners,
				 sizeof(struct tcp_sock));
	tcp->requests = create_pool(w, "req", c->max_requests, sizeof(struct request_sock));
	tcp->time_waits = create_pool(w, "tw", c->max_time_wait, sizeof(struct time_wait));
	/* One for each connection that has a gap in what it received; without one, what is out of
	 * order is dropped. */
	tcp->reassemblies = create_pool(w, "ras", RTE_MAX(c->max_socks / 4, 64u),
					sizeof(struct reassembly));
	tcp->many_ranges = create_pool(w, "many", RTE_MAX(c->max_socks / 512, 4u),
				       REASSEMBLY_MANY * sizeof(struct seq_range));
	/* Few connections use such an algorithm at a time; more get the default one. */
	tcp->congestions = create_pool(w, "cc", RTE_MAX(c->max_socks / 8, 64u),
				       congestion_bbr.pooled_bytes);
	tcp->sendings = create_pool(w, "snd",
				    c->max_sending != 0 ? RTE_MIN(c->max_sending, c->max_socks)
							: c->max_socks,
				    sizeof(struct tcp_sending));
	options_init(w, tcp);
	tcp->fastopen_queues = create_pool(w, "fo", c->max_listeners,
					   sizeof(struct fastopen_queue));
	fastopen_init(w, tcp);
	if (flight_pool_init(&tcp->flights, c->max_flight_records, c->socket_id) != 0 ||
	    tcp->socks == NULL || tcp->fastopen_queues == NULL || tcp->congestions == NULL ||
	    tcp->requests == NULL || tcp->time_waits == NULL || tcp->reassemblies == NULL ||
	    tcp->many_ranges == NULL || tcp->sendings == NULL || tcp->options.pool == NULL) {
		tcp_worker_free(w);
		return NULL;
	}
	return tcp;
}

void tcp_worker_free(struct worker *w)
{
	struct tcp_worker *tcp = w->tcp;

	tcp_time_wait_free_all(w);
	pool_free(tcp->socks);
	pool_free(tcp->requests);
	pool_free(tcp->time_waits);
	pool_free(tcp->reassemblies);
	pool_free(tcp->congestions);
	pool_free(tcp->sendings);
	pool_free(tcp->options.pool);
	pool_free(tcp->many_ranges);
	pool_free(tcp->fastopen_queues);
	flight_pool_free(&tcp->flights);
	rte_free(tcp);
	w->tcp = NULL;
}
