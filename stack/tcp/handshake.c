/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From CLOSED to ESTABLISHED: listeners with their half-open connections,
 * active and simultaneous open.
 *
 * When there are too many, as in Linux: a SYN is dropped when the listener's
 * accept queue has reached the backlog, and answered with a cookie (cookie.c),
 * or dropped if that is not wanted, when its half-open connections have; the
 * ACK that would complete a handshake is dropped when the accept queue is full,
 * so the SYN-ACK goes out again (but for a cookie's, which nobody remembers)
 * and the peer's next segment gets another chance.
 */
#include <errno.h>
#include <sys/socket.h>

#include "lib/pool.h"
#include "shm/ring.h"
#include "sock/port_table.h"
#include "sock/sock_table.h"
#include "tcp/segment.h"
#include "tcp/tcp_sock.h"

/* What the peer can take in one segment, from its SYN. */
static uint16_t peer_mss_bytes(const struct tcp_segment *syn)
{
	if (syn->mss == 0)
		return TCP_MSS_DEFAULT_BYTES;
	return RTE_MAX(syn->mss, TCP_MSS_MIN_BYTES);
}

/* RFC 3168 section 6.1.1: a SYN asks with both bits, a SYN-ACK agrees with ECE alone. */
bool tcp_ecn_agreed(const struct worker *w, const struct congestion_ops *ops, uint16_t flags)
{
	uint16_t both = flags & (TCP_FLAG_ECE | TCP_FLAG_CWR);

	if (flags & TCP_FLAG_ACK)
		return both == TCP_FLAG_ECE && (w->config.ecn == ECN_REQUEST || ops->wants_ecn);
	return both == (TCP_FLAG_ECE | TCP_FLAG_CWR) &&
	       (w->config.ecn != ECN_OFF || ops->wants_ecn);
}

/* The window of a SYN is not scaled. */
static uint32_t syn_window(const struct tcp_sock *tp)
{
	return RTE_MIN(tcp_window_bound(tp), TCP_WINDOW_MAX);
}

/* ---- listening ------------------------------------------------------------ */

int tcp_listen(struct worker *w, struct sock *sk, int backlog)
{
	struct tcp_sock *tp = tcp_sk(sk);
	struct inet_sock *inet = &tp->ics.inet;
	int result;

	if (sk->state == TCP_LISTEN)
		return listener_open(w, &tp->ics, backlog);
	if (sk->state != TCP_CLOSE || inet->flow.remote_port != 0)
		return -EINVAL;
	if (!(sk->flags & SOCK_BOUND)) {
		inet->flow.local_port = 0;
		result = port_bind(w, inet);
		if (result != 0)
			return result;
	}
	result = port_may_listen(w, inet);
	if (result == 0)
		result = listener_open(w, &tp->ics, backlog);
	if (result != 0)
		return result;
	LIST_INIT(&tp->requests);
	tcp_set_state(tp, TCP_LISTEN);
	return 0;
}

static void request_free(struct worker *w, struct request_sock *req)
{
	LIST_REMOVE(req, link);
	req->listener->ics.listener->request_count--;
	wheel_cancel(&w->wheel, &req->timer);
	pool_put(w->tcp->requests, req);
}

static void request_drop(struct worker *w, struct request_sock *req)
{
	sock_table_delete(w->socks_by_flow, &req->flow);
	request_free(w, req);
}

void tcp_listen_stop(struct worker *w, struct tcp_sock *tp)
{
	struct request_sock *req;

	while ((req = LIST_FIRST(&tp->requests)) != NULL)
		request_drop(w, req);
	listener_close(w, &tp->ics);
	tcp_fastopen_unlisten(w, tp);
}

/* ---- a SYN arrives -------------------------------------------------------- */

/* RFC 7413 section 4.2.2: sent again, it goes without a Fast Open cookie. */
static void request_tx_synack(struct worker *w, struct request_sock *req)
{
	struct tcp_segment seg = {
		.seq = req->iss,
		.ack = req->irs + 1,
		.flags = TCP_FLAG_SYN | TCP_FLAG_ACK | (req->ecn ? TCP_FLAG_ECE : 0),
		.window = (uint16_t)req->rcv_window,
		.mss = tcp_advertised_mss(req->listener, req->dst.mtu),
		.window_scale = req->snd_scale >= 0 ? (int8_t)req->rcv_scale : -1,
		.sack_permitted = req->sack,
		.has_timestamp = req->timestamps,
		.ts_value = w->now_ms + req->ts_offset,
		.ts_echo = req->ts_recent,
	};

	if (req->grants_cookie)
		tcp_fastopen_fill_cookie(w, &req->flow, &seg);
	req->grants_cookie = false;
	tcp_tx_bare(w, &req->flow, &req->dst, &seg);
}

/* RFC 5961 section 7: within its limit, as for a connection. */
static bool request_may_challenge(const struct worker *w, struct request_sock *req)
{
	if (w->now_ms - req->challenge_ms >= TCP_CHALLENGE_MS) {
		req->challenge_ms = w->now_ms;
		req->challenges = 0;
	}
	if (req->challenges == TCP_CHALLENGE_LIMIT)
		return false;
	req->challenges++;
	return true;
}

static void request_challenge_ack(struct worker *w, struct request_sock *req)
{
	struct tcp_segment seg = {
		.seq = req->iss + 1,
		.ack = req->irs + 1,
		.flags = TCP_FLAG_ACK,
		.window = (uint16_t)(req->rcv_window >> req->rcv_scale),
		.window_scale = -1,
		.has_timestamp = req->timestamps,
		.ts_value = w->now_ms + req->ts_offset,
		.ts_echo = req->ts_recent,
	};

	if (!request_may_challenge(w, req))
		return;
	worker_count(w, CNT_tcp_challenge_ack);
	tcp_tx_bare(w, &req->flow, &req->dst, &seg);
}

/* Does the peer's ACK wait for its data still? */
static bool request_is_deferred(const struct request_sock *req)
{
	return req->retries < req->listener->defer_retries;
}

static uint8_t request_retry_limit(const struct request_sock *req)
{
	if (req->acked_us == 0)
		return TCP_SYNACK_RETRIES;
	return RTE_MAX(req->listener->defer_retries, TCP_SYNACK_RETRIES);
}

static void request_fire(void *context, struct timer *timer)
{
	struct worker *w = context;
	struct request_sock *req = container_of(timer, struct request_sock, timer);

	if (req->retries >= request_retry_limit(req)) {
		worker_count(w, CNT_tcp_timeout);
		request_drop(w, req);
		return;
	}
	req->retries++;
	wheel_arm(&w->wheel, timer, w->now_ms + rtt_backed_off_ms(RTO_INITIAL_MS, req->retries),
		  request_fire);
	/* The last time the SYN-ACK asks for an ACK that then counts without data. */
	if (req->acked_us != 0 && request_is_deferred(req))
		return;
	req->resent |= req->acked_us == 0;
	worker_count(w, CNT_tcp_retransmit);
	request_tx_synack(w, req);
}

static void request_init(struct worker *w, struct request_sock *req, struct tcp_sock *listener,
			 const struct packet *p)
{
	const struct tcp_segment *syn = &p->tcp;
	bool scales = syn->window_scale >= 0;
	uint64_t secret = tcp_flow_secret(w, &p->flow);

	*req = (struct request_sock){
		.flow = p->flow,
		.listener = listener,
		.sent_us = w->now_us,
		.iss = tcp_initial_sequence(w, secret),
		.irs = syn->seq,
		.window = syn->window,
		.rcv_window = syn_window(listener),
		.ts_recent = syn->ts_value,
		.ts_offset = tcp_timestamp_offset(secret),
		.peer_mss_bytes = peer_mss_bytes(syn),
		.snd_scale = syn->window_scale,
		.rcv_scale = scales ? tcp_window_scale(w, tcp_sock_sk(listener)) : 0,
		.timestamps = syn->has_timestamp,
		.sack = syn->sack_permitted,
		.ecn = tcp_ecn_agreed(w, listener->congestion_ops, syn->flags),
	};
}

/* There is no room to remember the SYN in p: the answer lets the peer do it.  The SYN-ACK is sent
 * once, so it depends on the peer's SYN coming again. */
static enum counter tx_cookie(struct worker *w, struct tcp_sock *listener, const struct packet *p,
			      bool grants_cookie)
{
	struct request_sock req;

	if (!w->config.syn_cookies)
		return CNT_tcp_syn_table;
	request_init(w, &req, listener, p);
	if (dst_resolve(w, &req.dst, req.flow.family, &req.flow.remote) != 0)
		return CNT_ip_no_route;
	if (req.timestamps) {
		uint32_t now = w->now_ms + req.ts_offset;

		req.ts_offset -= now - tcp_cookie_timestamp(&req, now);
	} else { /* nowhere to keep them */
		req.snd_scale = -1;
		req.sack = req.ecn = false;
	}
	req.iss = tcp_cookie_make(w, &req);
	req.grants_cookie = grants_cookie;
	request_tx_synack(w, &req);
	w->tcp->cookie_us = w->now_us;
	worker_count(w, CNT_tcp_cookie_sent);
	return TCP_ACCEPTED;
}

/* ---- from a request to a connection ------------------------------------------ */

/* What a connection takes from its listener, as accept does under Linux. */
static void child_inherit(struct worker *w, struct tcp_sock *child, const struct tcp_sock *listener)
{
	const struct sock *from = &listener->ics.inet.sk;
	struct sock *sk = tcp_sock_sk(child);

	sk->rcvbuf_bytes = from->rcvbuf_bytes;
	sk->sndbuf_bytes = from->sndbuf_bytes;
	sk->flags |= from->flags &
		     (SOCK_KEEPALIVE | SOCK_REUSEADDR | SOCK_REUSEPORT | SOCK_RCVBUF_SET |
		      SOCK_SNDBUF_SET | SOCK_OOBINLINE | SOCK_TX_LIMIT);
	child->ics.inet.ttl = listener->ics.inet.ttl;
	child->ics.inet.traffic_class = listener->ics.inet.traffic_class;
	child->ics.inet.mtu_discover = listener->ics.inet.mtu_discover;
	child->ics.inet.recverr = listener->ics.inet.recverr;
	child->flags |= listener->flags & TCP_SOCK_OPTIONS;
	child->congestion_ops = listener->congestion_ops;
	shared_options_put(&w->tcp->options, child->options);
	child->options = shared_options_share(listener->options);
}

static void child_init(struct worker *w, struct tcp_sock *child, const struct request_sock *req)
{
	child_inherit(w, child, req->listener);
	child->ics.inet.flow = req->flow;
	child->ics.inet.dst = req->dst;
	child->snd_una = child->snd_nxt = req->iss + 1;
	child->snd_wl1 = req->irs;
	child->snd_wl2 = req->iss + 1;
	child->snd_wnd = child->snd_wnd_max = req->window;
	child->rcv_nxt = child->rcv_acked = req->irs + 1;
	child->rcv_edge = child->rcv_nxt + req->rcv_window;
	child->rcv_time_ms = w->now_ms;
	child->snd_scale = req->snd_scale >= 0 ? (uint8_t)req->snd_scale : 0;
	child->rcv_scale = req->rcv_scale;
	child->ts_recent = req->ts_recent;
	child->ts_offset = req->ts_offset;
	child->peer_mss_bytes = req->peer_mss_bytes;
	if (req->timestamps)
		child->flags |= TCP_SOCK_TIMESTAMPS;
	if (req->sack)
		child->flags |= TCP_SOCK_SACK;
	if (req->ecn)
		child->flags |= TCP_SOCK_ECN;
	/* The round trip ended with the first ACK, whenever the data came. */
	child->syn_us = (uint32_t)req->sent_us;
	if (req->acked_us != 0)
		child->syn_us += (uint32_t)(w->now_us - req->acked_us);
	if (req->resent)
		child->flags |= TCP_SOCK_SYN_RESENT;
	tcp_mtu_init(w, child);
}

static struct tcp_sock *child_create(struct worker *w, const struct request_sock *req)
{
	struct tcp_sock *child = tcp_sock_create(w, req->flow.family);

	if (child == NULL)
		return NULL;
	child_init(w, child, req);
	tcp_set_state(child, TCP_SYN_RECV);
	return child;
}

/* A connection of a request that is in no table; TCP_GO_ON, or why there is none. */
static enum counter child_enter(struct worker *w, struct request_sock *req, struct tcp_sock **child)
{
	if (dst_resolve(w, &req->dst, req->flow.family, &req->flow.remote) != 0)
		return CNT_ip_no_route;
	*child = child_create(w, req);
	if (*child == NULL)
		return CNT_tcp_sock_pool;
	if (sock_table_add_new(w->socks_by_flow, &req->flow,
			       sock_entry_make(*child, SOCK_ENTRY_SOCK)) != 0) {
		tcp_done(w, *child);
		return CNT_tcp_syn_table;
	}
	tcp_sock_sk(*child)->flags |= SOCK_HASHED;
	return TCP_GO_ON;
}

/* RFC 7413 section 4.2.2: the application gets the connection, and its data, before the SYN-ACK is
 * acknowledged. */
static enum counter fastopen_accept(struct worker *w, struct tcp_sock *listener, struct packet *p,
				    uint32_t iss)
{
	struct request_sock req;
	struct tcp_sock *child;
	enum counter why;

	request_init(w, &req, listener, p);
	if (iss != 0)
		req.iss = iss;
	why = child_enter(w, &req, &child);
	if (why != TCP_GO_ON)
		return why;
	tcp_open_stream(w, child);
	if (listener_add(w, &listener->ics, &child->ics) != 0) {
		tcp_done(w, child);
		return CNT_tcp_sock_pool;
	}
	tcp_fastopen_enter(listener, child);
	worker_count(w, CNT_tcp_fastopen_passive);
	child->syn_data = p->tcp.length > 0;
	child->flags |= TCP_SOCK_SEND_SYN;
	sock_want_output(w, tcp_sock_sk(child));
	p->tcp.seq++;
	p->tcp.flags &= (uint16_t)~TCP_FLAG_SYN;
	return tcp_rx_text_and_fin(w, child, p);
}

/*
 * RFC 9293 section 3.10.7.2, of a segment without RST and ACK.  We differ in
 * two things: a SYN with FIN comes from scanners alone and is none; and text
 * that a SYN brings is not queued but left to come again, unless it comes with
 * a Fast Open cookie.
 */
enum counter tcp_rx_listen(struct worker *w, struct tcp_sock *listener, struct packet *p,
			   uint32_t iss)
{
	struct listener *l = listener->ics.listener;
	enum tcp_fastopen_verdict fastopen;
	struct request_sock *req;
	enum counter why;

	if (!(p->tcp.flags & TCP_FLAG_SYN) || p->tcp.flags & TCP_FLAG_FIN)
		return CNT_tcp_state;
	if (!listener_has_room(w, &listener->ics))
		return CNT_tcp_backlog;
	fastopen = tcp_fastopen_listen(w, listener, p);
	if (fastopen == FASTOPEN_ACCEPT)
		return fastopen_accept(w, listener, p, iss);
	req = l->request_count <= l->backlog ? pool_get(w->tcp->requests) : NULL;
	if (req == NULL) /* a cookie's sequence number cannot be chosen */
		return iss == 0 ? tx_cookie(w, listener, p, fastopen == FASTOPEN_GRANT)
				: CNT_tcp_syn_table;
	request_init(w, req, listener, p);
	req->grants_cookie = fastopen == FASTOPEN_GRANT;
	if (iss != 0)
		req->iss = iss;
	why = CNT_ip_no_route;
	if (dst_resolve(w, &req->dst, req->flow.family, &req->flow.remote) != 0)
		goto drop;
	why = CNT_tcp_syn_table;
	if (sock_table_add_new(w->socks_by_flow, &req->flow,
			       sock_entry_make(req, SOCK_ENTRY_REQUEST)) != 0)
		goto drop;
	LIST_INSERT_HEAD(&listener->requests, req, link);
	l->request_count++;
	wheel_arm(&w->wheel, &req->timer, w->now_ms + RTO_INITIAL_MS, request_fire);
	request_tx_synack(w, req);
	return TCP_ACCEPTED;
drop:
	pool_put(w->tcp->requests, req);
	return why;
}

/* ---- the handshake's third segment ------------------------------------------ */

/* Is this segment, which was found acceptable, the ACK of our SYN and nothing more? */
static bool only_opens(const struct tcp_sock *child, const struct tcp_segment *seg)
{
	return seg->length == 0 && seg->flags == TCP_FLAG_ACK && /* no text, no control bit? */
	       seg->seq == child->rcv_nxt && /* in order? */
	       !(child->flags & TCP_SOCK_ECN) && /* no mark to look for? */
	       child->snd_wnd != 0; /* nothing held back? */
}

/* What tcp_rx_segment does with that. */
static enum counter take_opening_ack(struct worker *w, struct tcp_sock *child,
				     const struct tcp_segment *seg)
{
	child->segments_in++;
	if (child->flags & TCP_SOCK_TIMESTAMPS)
		child->ts_recent = seg->ts_value;
	tcp_update_window(w, child, seg);
	return TCP_ACCEPTED;
}

/* The child, found by its flow now, is a connection in the accept queue, and takes the segment. */
static enum counter child_start(struct worker *w, struct tcp_sock *listener, struct tcp_sock *child,
				struct packet *p)
{
	tcp_established(w, child);
	if (listener_add(w, &listener->ics, &child->ics) != 0) {
		tcp_abort(w, child);
		return CNT_tcp_sock_pool;
	}
	worker_count(w, CNT_tcp_passive_open);
	if (likely(only_opens(child, &p->tcp)))
		return take_opening_ack(w, child, &p->tcp);
	return tcp_rx_segment(w, child, p);
}

/* The request becomes a connection. */
static enum counter request_complete(struct worker *w, struct request_sock *req, struct packet *p)
{
	struct tcp_sock *listener = req->listener;
	struct tcp_sock *child;

	if (!listener_has_room(w, &listener->ics))
		return CNT_tcp_backlog;
	child = child_create(w, req);
	if (child == NULL)
		return CNT_tcp_sock_pool;
	sock_table_replace(w->socks_by_flow, &child->ics.inet.flow,
			   sock_entry_make(child, SOCK_ENTRY_SOCK));
	tcp_sock_sk(child)->flags |= SOCK_HASHED;
	request_free(w, req);
	tcp_measure_syn(w, child, &p->tcp);
	return child_start(w, listener, child, p);
}

/*
 * RFC 9293 section 3.10.7.4 in SYN-RECEIVED after a passive open.  A SYN in
 * the window does not take us back to LISTEN (fourth): it is challenged, as in
 * the states after this one, or a guess would end a handshake.
 */
enum counter tcp_rx_request(struct worker *w, struct request_sock *req, struct packet *p)
{
	const struct tcp_segment *seg = &p->tcp;

	if (seg->flags & TCP_FLAG_SYN && !(seg->flags & (TCP_FLAG_ACK | TCP_FLAG_RST)) &&
	    seg->seq == req->irs) { /* the same SYN again: our SYN-ACK was lost, or is late */
		request_tx_synack(w, req);
		return CNT_tcp_syn;
	}
	if (req->timestamps && !(seg->flags & TCP_FLAG_RST) &&
	    (!seg->has_timestamp || seq_lt(seg->ts_value, req->ts_recent)))
		return CNT_tcp_paws;
	/* First, the sequence number. */
	if (!tcp_segment_is_acceptable(seg, req->irs + 1, req->rcv_window)) {
		if (seg->flags & TCP_FLAG_RST)
			return CNT_tcp_rst;
		request_challenge_ack(w, req);
		return CNT_tcp_seq;
	}
	/* Second and fourth, RST and SYN (with RFC 5961's answers). */
	if (seg->flags & TCP_FLAG_RST && seg->seq == req->irs + 1) {
		worker_count(w, CNT_tcp_rx_rst);
		request_drop(w, req);
		return TCP_ACCEPTED;
	}
	if (seg->flags & (TCP_FLAG_RST | TCP_FLAG_SYN)) {
		request_challenge_ack(w, req);
		return seg->flags & TCP_FLAG_RST ? CNT_tcp_rst : CNT_tcp_syn;
	}
	/* Fifth, the ACK. */
	if (!(seg->flags & TCP_FLAG_ACK))
		return CNT_tcp_no_ack;
	if (seg->ack != req->iss + 1) {
		tcp_tx_reset_unknown(w, p);
		return CNT_tcp_ack;
	}
	if (request_is_deferred(req) && seg->length == 0 && !(seg->flags & TCP_FLAG_FIN)) {
		if (req->acked_us == 0)
			req->acked_us = w->now_us;
		return TCP_ACCEPTED;
	}
	return request_complete(w, req, p);
}

/* ---- the third segment, with a cookie ---------------------------------------- */

/* The SYN that p, which acknowledges a cookie, lets us infer. */
static void infer_syn(const struct packet *p, uint16_t mss_bytes, struct packet *syn)
{
	*syn = *p;
	syn->tcp.seq--;
	syn->tcp.flags = TCP_FLAG_SYN;
	syn->tcp.mss = mss_bytes;
	if (p->tcp.has_timestamp)
		tcp_cookie_read_timestamp(p->tcp.ts_echo, &syn->tcp);
}

/* The round trip of a cookie's SYN-ACK is not known: the first data tells. */
static enum counter cookie_complete(struct worker *w, struct tcp_sock *listener, struct packet *p,
				    uint16_t mss_bytes)
{
	struct request_sock req;
	struct packet syn;
	struct tcp_sock *child;
	enum counter why;

	infer_syn(p, mss_bytes, &syn);
	request_init(w, &req, listener, &syn);
	req.iss = p->tcp.ack - 1;
	why = child_enter(w, &req, &child);
	if (why != TCP_GO_ON)
		return why;
	worker_count(w, CNT_tcp_cookie_accepted);
	return child_start(w, listener, child, p);
}

/* Have cookies been sent that may still be good? */
static bool expects_cookies(const struct worker *w)
{
	return w->tcp->cookie_us != 0 && w->now_us - w->tcp->cookie_us < TCP_COOKIE_LIFE_US;
}

/* A segment with ACK for a listener. */
static enum counter rx_cookie(struct worker *w, struct tcp_sock *listener, struct packet *p)
{
	const struct tcp_segment *seg = &p->tcp;
	uint16_t mss_bytes;

	if (!expects_cookies(w) || seg->flags & TCP_FLAG_SYN) {
		tcp_tx_reset_unknown(w, p);
		return CNT_tcp_no_sock;
	}
	mss_bytes = tcp_cookie_check(w, &p->flow, seg->seq - 1, seg->ack - 1);
	if (mss_bytes == 0) {
		tcp_tx_reset_unknown(w, p);
		return CNT_tcp_cookie_failed;
	}
	if (!listener_has_room(w, &listener->ics))
		return CNT_tcp_backlog;
	return cookie_complete(w, listener, p, mss_bytes);
}

enum counter tcp_rx_unknown(struct worker *w, struct packet *p)
{
	struct inet_sock *listener;

	if (p->tcp.flags & TCP_FLAG_RST)
		return CNT_tcp_no_sock;
	listener = port_find(w, &p->flow, true);
	if (listener != NULL)
		return p->tcp.flags & TCP_FLAG_ACK ? rx_cookie(w, tcp_sk(&listener->sk), p)
						   : tcp_rx_listen(w, tcp_sk(&listener->sk), p, 0);
	tcp_tx_reset_unknown(w, p);
	return CNT_tcp_no_sock;
}

void tcp_request_error(struct worker *w, struct request_sock *req, uint32_t sequence, int error)
{
	if (sequence == req->iss && error != EMSGSIZE)
		request_drop(w, req);
}

/* ---- active open ----------------------------------------------------------- */

/* The route, and the local end unless bind chose it; 0 or -errno. */
static int connect_choose_local(struct worker *w, struct tcp_sock *tp)
{
	struct inet_sock *inet = &tp->ics.inet;
	int result;

	if (!(inet->sk.flags & SOCK_BOUND)) {
		memset(&inet->flow.local, 0, sizeof(inet->flow.local));
		return port_choose(w, inet);
	}
	result = dst_resolve(w, &inet->dst, inet->flow.family, &inet->flow.remote);
	if (result == 0 && inet_addr_is_any(&inet->flow.local))
		inet->flow.local = w->netif[inet->dst.netif]->address;
	return result;
}

static void connect_init(struct worker *w, struct tcp_sock *tp)
{
	struct sock *sk = tcp_sock_sk(tp);
	uint64_t secret = tcp_flow_secret(w, &tp->ics.inet.flow);

	if (sk->state_events != 0) { /* of a connect that failed */
		sk->state_events = 0;
		sock_raise(w, sk, 0);
	}
	tp->snd_una = tp->snd_nxt = tcp_initial_sequence(w, secret);
	tp->rcv_nxt = tp->rcv_acked = 0;
	tp->rcv_edge = syn_window(tp);
	tp->rcv_scale = tcp_window_scale(w, sk);
	tp->snd_wnd = tp->snd_wnd_max = 0;
	tp->ts_offset = tcp_timestamp_offset(secret);
	tp->ts_recent = 0;
	tp->rtt = (struct rtt){0};
	tp->min_rtt = (struct min_rtt){0};
	tp->backoff = tp->probes = 0;
	tp->ics.inet.soft_error = 0;
	tp->progress_ms = w->now_ms;
	tp->syn_bytes = 0;
	tp->fastopen_fail = 0;
	tp->syn_data = false;
	tp->flags = (tp->flags & TCP_SOCK_OPTIONS) | TCP_SOCK_SEND_SYN;
}

static bool is_connectable(const struct worker *w, uint8_t family, const struct inet_addr *to)
{
	if (inet_addr_is_multicast(family, to) || to->v4 == INADDR_BROADCAST)
		return false;
	for (uint16_t i = 0; i < w->netif_count; i++) {
		if (to->v4 == w->netif[i]->broadcast)
			return false;
	}
	return true;
}

int tcp_connect(struct worker *w, struct sock *sk, const struct leat_addr *addr)
{
	struct tcp_sock *tp = tcp_sk(sk);
	struct flow *flow = &tp->ics.inet.flow;
	struct inet_addr to = leat_addr_inet(addr);
	int result;

	if (sk->state == TCP_SYN_SENT || sk->state == TCP_SYN_RECV)
		return -EALREADY;
	if (sk->state != TCP_CLOSE || flow->remote_port != 0)
		return -EISCONN;
	if (addr->port == 0 || inet_addr_is_any(&to))
		return -EADDRNOTAVAIL;
	if (!is_connectable(w, sk->family, &to))
		return -ENETUNREACH;
	flow->remote = to;
	flow->remote_port = addr->port;
	tp->ics.inet.dst.generation = 0;
	result = connect_choose_local(w, tp);
	if (result == 0)
		result = sock_table_add(w->socks_by_flow, flow,
					sock_entry_make(tp, SOCK_ENTRY_SOCK));
	if (result != 0) {
		memset(&flow->remote, 0, sizeof(flow->remote));
		flow->remote_port = 0;
		return result == -EEXIST ? -EADDRNOTAVAIL : result == -ENOSPC ? -ENOBUFS : result;
	}
	sk->flags |= SOCK_HASHED;
	connect_init(w, tp);
	tcp_set_state(tp, TCP_SYN_SENT);
	if (!tcp_fastopen_defer(w, tp))
		sock_want_output(w, sk);
	return 0;
}

/* The peer's SYN says what it can do. */
static void take_syn(struct worker *w, struct tcp_sock *tp, const struct tcp_segment *syn)
{
	uint32_t window = tp->rcv_edge - tp->rcv_nxt;

	tp->rcv_nxt = tp->rcv_acked = syn->seq + 1;
	tp->rcv_edge = tp->rcv_nxt + window;
	tp->rcv_time_ms = w->now_ms;
	tp->peer_mss_bytes = peer_mss_bytes(syn);
	tp->snd_wnd = tp->snd_wnd_max = syn->window;
	tp->snd_wl1 = syn->seq;
	tp->snd_wl2 = syn->flags & TCP_FLAG_ACK ? syn->ack : tp->snd_una;
	if (syn->window_scale >= 0)
		tp->snd_scale = (uint8_t)syn->window_scale;
	else
		tp->snd_scale = tp->rcv_scale = 0;
	if (syn->has_timestamp) {
		tp->flags |= TCP_SOCK_TIMESTAMPS;
		tp->ts_recent = syn->ts_value;
	}
	if (syn->sack_permitted)
		tp->flags |= TCP_SOCK_SACK;
	if (tcp_ecn_agreed(w, tp->congestion_ops, syn->flags))
		tp->flags |= TCP_SOCK_ECN;
	tcp_mtu_init(w, tp);
}

void tcp_syn_acked(struct worker *w, struct tcp_sock *tp, uint32_t ack)
{
	struct sock *sk = tcp_sock_sk(tp);
	uint32_t bytes = ack - (tp->snd_una + 1);

	if (bytes > 0) {
		tx_ring_done(w, &sk->ring, sk->ring.tx_head + bytes);
		sock_raise(w, sk, 0);
	}
	/* What the SYN brought and the peer did not take was never sent. */
	tp->snd_una = tp->snd_nxt = ack;
}

/* RFC 9293 section 3.10.7.3 */
enum counter tcp_rx_syn_sent(struct worker *w, struct tcp_sock *tp, struct packet *p)
{
	struct tcp_segment *seg = &p->tcp;
	bool acks = (seg->flags & TCP_FLAG_ACK) != 0;

	/* First, the ACK bit. */
	if (acks &&
	    (seq_le(seg->ack, tp->snd_una) || seq_gt(seg->ack, tp->snd_nxt + tp->syn_bytes))) {
		tcp_tx_reset_unknown(w, p);
		return CNT_tcp_ack;
	}
	/* Second, the RST bit. */
	if (seg->flags & TCP_FLAG_RST) {
		if (!acks)
			return CNT_tcp_rst;
		worker_count(w, CNT_tcp_rx_rst);
		tcp_fail(w, tp, ECONNREFUSED);
		return TCP_ACCEPTED;
	}
	/* Fourth, the SYN bit. */
	if (!(seg->flags & TCP_FLAG_SYN))
		return CNT_tcp_state;
	take_syn(w, tp, seg);
	if (!acks) { /* both opened at once; text and FIN, not acknowledged, come again */
		tcp_set_state(tp, TCP_SYN_RECV);
		tp->flags |= TCP_SOCK_SEND_SYN;
		sock_want_output(w, tcp_sock_sk(tp));
		return TCP_ACCEPTED;
	}
	tcp_measure_syn(w, tp, seg);
	tcp_fastopen_answered(w, tp, seg);
	tcp_syn_acked(w, tp, seg->ack);
	worker_count(w, CNT_tcp_active_open);
	tcp_established(w, tp);
	if (tp->flags & TCP_SOCK_FIN_QUEUED) /* all was written with the SYN's data */
		tcp_set_state(tp, TCP_FIN_WAIT1);
	tcp_ack_now(w, tp);
	/* Fifth: other controls or text are for the steps after the ACK. */
	seg->seq++;
	seg->flags &= (uint16_t)~TCP_FLAG_SYN;
	return tcp_rx_text_and_fin(w, tp, p);
}
