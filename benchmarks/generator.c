/* SPDX-License-Identifier: BSD-3-Clause */
#include "generator.h"

#include <errno.h>
#include <rte_arp.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"

#define BURST          64
#define TX_QUEUE       16384 /* frames that may wait for room in the port: no ACK gets lost */
#define TX_BACKLOG     256 /* with so many waiting nothing new is asked */
#define HANDSHAKES     256 /* at the same time, while connections are opened */
#define ASK_MS         100 /* between ARP requests */
#define AGAIN_MS       1000 /* a segment nobody answered is sent once more */
#define TRIES          6
#define ACK_MS         50 /* an answer is acknowledged by the next request, if that comes so soon */
#define SCAN_MS        250 /* all connections are looked at for overdue segments in so long */
#define NOT_BEGUN      UINT32_MAX
#define CLOSE_PER_STEP 32 /* resets sent at the end, in one step */

#define FIN            RTE_TCP_FIN_FLAG
#define SYN            RTE_TCP_SYN_FLAG
#define RST            RTE_TCP_RST_FLAG
#define PSH            RTE_TCP_PSH_FLAG
#define ACK            RTE_TCP_ACK_FLAG

enum state { CLOSED, CONNECTING, IDLE, WAITING, CLOSING, LAST_ACK, FAILED };

struct connection {
	uint64_t started; /* when the request in hand was sent, or should have been */
	uint32_t snd_nxt;
	uint32_t rcv_nxt;
	uint32_t tuple; /* address and port */
	uint32_t left; /* of the answer */
	uint32_t sent_ms;
	uint8_t state;
	uint8_t tries;
};

struct generator {
	struct generator_config config;
	struct generator_result result;
	struct frame_template frame;
	struct rte_ether_addr mac;
	enum generator_phase phase; /* atomic */
	struct connection *connections;
	uint32_t tuples; /* a multiple of config.connections */
	uint32_t outstanding; /* requests, or handshakes, without an answer */
	uint32_t opened; /* connections begun, or at the end reset */
	uint64_t now;
	uint32_t now_ms;
	uint64_t cycles_per_ms;
	uint64_t phase_end; /* of warming and measuring */
	uint64_t measured_since;
	uint64_t idle_wait; /* cycles that the last idle connection waited for its turn */

	/* idle connections, the one that waited longest first */
	uint32_t *idle;
	uint32_t idle_head;
	uint32_t idle_count;

	/* open loop: request n is due at due_start + n * due_step / 2^16 */
	uint64_t due_start;
	uint64_t due_step;
	uint64_t due_count;

	uint32_t asked_ms;
	uint32_t scan_next;
	uint64_t scan_due;
	uint32_t tx_first; /* of tx, what waits: from here ... */
	uint32_t tx_count; /* ... so many */
	struct rte_mbuf *tx[TX_QUEUE];
	uint8_t request[GENERATOR_REQUEST_BYTES];
};

/* ---- frames out ---- */

static void flush(struct generator *g)
{
	uint32_t sent;

	if (g->tx_count == 0)
		return;
	sent = rte_eth_tx_burst(g->config.port, 0, g->tx + g->tx_first, (uint16_t)g->tx_count);
	g->tx_count -= sent;
	g->tx_first = g->tx_count == 0 ? 0 : g->tx_first + sent;
}

/* What waits begins at the beginning. */
static void make_room(struct generator *g)
{
	memmove(g->tx, g->tx + g->tx_first, g->tx_count * sizeof(g->tx[0]));
	g->tx_first = 0;
}

/* NULL: none left, or the port takes no more; what was to be sent counts as lost. */
static struct rte_mbuf *frame(struct generator *g)
{
	struct rte_mbuf *m;

	if (unlikely(g->tx_first + g->tx_count == TX_QUEUE))
		make_room(g);
	if (unlikely(g->tx_count == TX_QUEUE))
		return NULL;
	m = rte_pktmbuf_alloc(g->config.pool);
	if (likely(m != NULL))
		g->tx[g->tx_first + g->tx_count++] = m;
	return m;
}

static rte_be32_t address_of(const struct generator *g, uint32_t tuple)
{
	return rte_cpu_to_be_32(g->config.first_address + tuple / GENERATOR_PORTS);
}

static rte_be16_t port_of(uint32_t tuple)
{
	return rte_cpu_to_be_16((uint16_t)(GENERATOR_FIRST_PORT + tuple % GENERATOR_PORTS));
}

static void send_segment(struct generator *g, struct connection *c, uint32_t seq, uint8_t flags)
{
	struct rte_mbuf *m = frame(g);

	c->sent_ms = g->now_ms;
	if (unlikely(m == NULL))
		return;
	frame_make_tcp(&g->frame, m, address_of(g, c->tuple), port_of(c->tuple), seq, c->rcv_nxt,
		       flags, flags & PSH);
}

static void send_datagram(struct generator *g, struct connection *c)
{
	struct rte_mbuf *m = frame(g);

	c->sent_ms = g->now_ms;
	if (likely(m != NULL))
		frame_make_udp(&g->frame, m, address_of(g, c->tuple), port_of(c->tuple));
}

/* ---- requests ---- */

static void send_request(struct generator *g, struct connection *c, uint64_t started)
{
	c->started = started;
	c->left = NOT_BEGUN;
	c->tries = 0;
	c->state = WAITING;
	if (g->config.mode == GENERATOR_UDP) {
		send_datagram(g, c);
		return;
	}
	send_segment(g, c, c->snd_nxt, PSH | ACK);
	c->snd_nxt += g->config.request_bytes;
}

static void connect_next(struct generator *g, struct connection *c)
{
	c->started = g->now;
	c->snd_nxt = (uint32_t)(g->now >> 8); /* grows, for who remembers the tuple's last use */
	c->rcv_nxt = 0;
	c->tries = 0;
	c->state = CONNECTING;
	send_segment(g, c, c->snd_nxt, SYN);
	c->snd_nxt++;
}

static void idle_push(struct generator *g, struct connection *c)
{
	uint32_t at = g->idle_head + g->idle_count++;

	if (at >= g->config.connections)
		at -= g->config.connections;
	g->idle[at] = (uint32_t)(c - g->connections);
	c->state = IDLE;
}

static struct connection *idle_pop(struct generator *g)
{
	struct connection *c = &g->connections[g->idle[g->idle_head]];

	if (++g->idle_head == g->config.connections)
		g->idle_head = 0;
	g->idle_count--;
	rte_prefetch0(&g->connections[g->idle[g->idle_head]]);
	return c;
}

/* Is a request to be sent now?  When it is, or was, due. */
static bool next_due(struct generator *g, uint64_t *due)
{
	if (g->idle_count == 0 || g->outstanding >= g->config.window || g->tx_count > TX_BACKLOG)
		return false;
	*due = g->now;
	if (g->config.rate == 0)
		return true;
	*due = g->due_start + (uint64_t)(((unsigned __int128)g->due_count * g->due_step) >> 16);
	if (*due > g->now)
		return false;
	g->due_count++;
	return true;
}

static void send_due(struct generator *g)
{
	uint64_t due;

	while (next_due(g, &due)) {
		struct connection *c = idle_pop(g);

		g->outstanding++;
		if (g->config.mode == GENERATOR_CLOSE) {
			connect_next(g, c);
			c->started = due;
			continue;
		}
		g->idle_wait = g->now - c->started;
		send_request(g, c, due);
	}
}

/* ---- answers ---- */

static void answered(struct generator *g, struct connection *c)
{
	if (g->phase == GENERATOR_MEASURING) {
		g->result.requests++;
		histogram_add(&g->result.latency, g->now - c->started);
	}
	g->outstanding--;
	c->started = g->now;
	idle_push(g, c);
}

static void failed(struct generator *g, struct connection *c)
{
	g->result.resets++;
	if (c->state == WAITING || c->state == CONNECTING || c->state == CLOSING ||
	    c->state == LAST_ACK)
		g->outstanding--;
	if (g->config.mode == GENERATOR_CLOSE) {
		c->tuple = (c->tuple + g->config.connections) % g->tuples;
		idle_push(g, c);
		return;
	}
	c->state = FAILED;
}

/* How long a response is, by its Content-Length; 0: it is not a good one. */
static uint32_t response_length(const char *text, uint32_t bytes)
{
	static const char name[] = "\r\nContent-Length: ";
	const char *end = memmem(text, bytes, "\r\n\r\n", 4);
	const char *field = memmem(text, bytes, name, sizeof(name) - 1);

	if (end == NULL || field == NULL || field > end)
		return 0;
	return (uint32_t)(end + 4 - text) + (uint32_t)strtoul(field + sizeof(name) - 1, NULL, 10);
}

/* The first bytes of an answer: is it one? */
static bool answer_begins(struct generator *g, struct connection *c, const uint8_t *data,
			  uint32_t bytes)
{
	static const char ok[] = "HTTP/1.1 200 ";
	uint32_t length = g->config.request_bytes;

	if (!g->config.http) {
		if (memcmp(data, g->request, RTE_MIN(bytes, length)) != 0)
			return false;
		c->left = length;
		return true;
	}
	if (bytes < sizeof(ok) - 1 || memcmp(data, ok, sizeof(ok) - 1) != 0)
		return false;
	if (unlikely(g->result.response_bytes == 0))
		g->result.response_bytes = response_length((const char *)data, bytes);
	c->left = g->result.response_bytes;
	return c->left != 0;
}

/* True: it is complete. */
static bool take_answer(struct generator *g, struct connection *c, const uint8_t *data,
			uint32_t bytes)
{
	if ((c->left == NOT_BEGUN && !answer_begins(g, c, data, bytes)) || bytes > c->left) {
		g->result.wrong++;
		c->left = bytes;
	}
	c->left -= bytes;
	return c->left == 0;
}

/* ---- TCP in ---- */

struct segment {
	uint32_t seq;
	uint32_t ack;
	uint8_t flags;
	const uint8_t *data;
	uint32_t bytes;
};

static void connection_ended(struct generator *g, struct connection *c)
{
	c->tuple += g->config.connections;
	if (c->tuple >= g->tuples)
		c->tuple -= g->tuples;
	answered(g, c);
}

static void opened(struct generator *g, struct connection *c)
{
	if (g->config.mode == GENERATOR_CLOSE) {
		send_request(g, c, c->started);
		return;
	}
	send_segment(g, c, c->snd_nxt, ACK);
	g->outstanding--;
	g->result.established++;
	c->started = g->now;
	idle_push(g, c);
}

static void rx_syn_ack(struct generator *g, struct connection *c, const struct segment *s)
{
	if ((s->flags & (SYN | ACK)) != (SYN | ACK) || s->ack != c->snd_nxt)
		return;
	c->rcv_nxt = s->seq + 1;
	opened(g, c);
}

/* The answer is there: what the connection does next. */
static void answer_complete(struct generator *g, struct connection *c)
{
	if (g->config.mode == GENERATOR_KEEP_ALIVE) {
		answered(g, c);
		/* How soon the first time is nobody knows: memory is touched first. */
		if (g->phase != GENERATOR_MEASURING || g->idle_wait > ACK_MS * g->cycles_per_ms)
			send_segment(g, c, c->snd_nxt, ACK);
		return;
	}
	if (g->config.server_closes)
		return;
	send_segment(g, c, c->snd_nxt, FIN | ACK);
	c->snd_nxt++;
	c->state = CLOSING;
}

static void rx_fin(struct generator *g, struct connection *c)
{
	c->rcv_nxt++;
	if (g->config.mode == GENERATOR_KEEP_ALIVE) {
		send_segment(g, c, c->snd_nxt, RST | ACK);
		failed(g, c);
	} else if (c->state == CLOSING) {
		send_segment(g, c, c->snd_nxt, ACK);
		connection_ended(g, c);
	} else {
		send_segment(g, c, c->snd_nxt, FIN | ACK);
		c->snd_nxt++;
		c->state = LAST_ACK;
	}
}

static void rx_segment(struct generator *g, struct connection *c, const struct segment *s)
{
	if (unlikely(s->flags & RST)) {
		if (c->state != CLOSED && c->state != FAILED)
			failed(g, c);
		return;
	}
	if (c->state == CONNECTING) {
		rx_syn_ack(g, c, s);
		return;
	}
	if (c->state == CLOSED || c->state == FAILED)
		return;
	if (unlikely(s->seq != c->rcv_nxt)) {
		if (s->bytes > 0 || s->flags & (SYN | FIN)) {
			g->result.got_again++;
			send_segment(g, c, c->snd_nxt, ACK);
		}
		return;
	}
	if (c->state == LAST_ACK && s->ack == c->snd_nxt) {
		connection_ended(g, c);
		return;
	}
	c->rcv_nxt += s->bytes;
	if (s->bytes > 0 && c->state == WAITING && take_answer(g, c, s->data, s->bytes))
		answer_complete(g, c);
	if (s->flags & FIN)
		rx_fin(g, c);
}

/* ---- frames in ---- */

static struct connection *find(struct generator *g, rte_be32_t address, rte_be16_t port)
{
	uint32_t from = rte_be_to_cpu_32(address) - g->config.first_address;
	uint32_t number = (uint32_t)rte_be_to_cpu_16(port) - GENERATOR_FIRST_PORT;
	uint32_t tuple = from * GENERATOR_PORTS + number;
	struct connection *c;

	if (from >= g->config.addresses || number >= GENERATOR_PORTS || tuple >= g->tuples)
		return NULL;
	c = &g->connections[tuple < g->config.connections ? tuple : tuple % g->config.connections];
	return c->tuple == tuple ? c : NULL;
}

static void rx_tcp(struct generator *g, const struct frame_tcp *f, uint32_t ip_bytes)
{
	struct connection *c = find(g, f->ip.dst_addr, f->tcp.dst_port);
	uint32_t header_bytes = (uint32_t)(f->tcp.data_off >> 4) * 4;
	struct segment s = {
		.seq = rte_be_to_cpu_32(f->tcp.sent_seq),
		.ack = rte_be_to_cpu_32(f->tcp.recv_ack),
		.flags = f->tcp.tcp_flags,
		.data = (const uint8_t *)&f->tcp + header_bytes,
		.bytes = ip_bytes - (uint32_t)sizeof(f->ip) - header_bytes,
	};

	if (c != NULL && ip_bytes >= sizeof(f->ip) + header_bytes)
		rx_segment(g, c, &s);
}

static void rx_udp(struct generator *g, const struct frame_udp *f)
{
	struct connection *c = find(g, f->ip.dst_addr, f->udp.dst_port);
	uint32_t bytes = (uint32_t)rte_be_to_cpu_16(f->udp.dgram_len) - (uint32_t)sizeof(f->udp);

	if (c == NULL || c->state != WAITING)
		return;
	(void)take_answer(g, c, (const uint8_t *)(f + 1), bytes);
	answered(g, c);
}

static void rx_ip(struct generator *g, const struct rte_mbuf *m)
{
	const struct frame_tcp *f = rte_pktmbuf_mtod(m, const struct frame_tcp *);
	uint32_t ip_bytes = rte_be_to_cpu_16(f->ip.total_length);

	if (m->data_len < sizeof(f->eth) + ip_bytes || f->ip.version_ihl != RTE_IPV4_VHL_DEF)
		return;
	if (f->ip.next_proto_id == IPPROTO_TCP && ip_bytes >= sizeof(*f) - sizeof(f->eth))
		rx_tcp(g, f, ip_bytes);
	else if (f->ip.next_proto_id == IPPROTO_UDP)
		rx_udp(g, (const struct frame_udp *)f);
}

static void ask(struct generator *g)
{
	struct rte_mbuf *m = frame(g);

	g->asked_ms = g->now_ms;
	if (m != NULL)
		frame_make_arp(m, RTE_ARP_OP_REQUEST, &g->mac, g->config.first_address, NULL,
			       g->config.server);
}

static void rx_arp(struct generator *g, const struct rte_mbuf *m)
{
	const struct rte_arp_hdr *arp = rte_pktmbuf_mtod_offset(m, const struct rte_arp_hdr *,
								sizeof(struct rte_ether_hdr));
	uint32_t from = rte_be_to_cpu_32(arp->arp_data.arp_sip);
	uint32_t to = rte_be_to_cpu_32(arp->arp_data.arp_tip);
	struct rte_mbuf *reply;

	if (from != g->config.server || to - g->config.first_address >= g->config.addresses)
		return;
	if (g->phase == GENERATOR_RESOLVING) {
		frame_template_resolve(&g->frame, &arp->arp_data.arp_sha);
		__atomic_store_n(&g->phase, GENERATOR_OPENING, __ATOMIC_RELEASE);
	}
	if (arp->arp_opcode != RTE_BE16(RTE_ARP_OP_REQUEST))
		return;
	reply = frame(g);
	if (reply != NULL)
		frame_make_arp(reply, RTE_ARP_OP_REPLY, &g->mac, to, &arp->arp_data.arp_sha, from);
}

static void receive(struct generator *g)
{
	struct rte_mbuf *pkts[BURST];
	uint16_t count = rte_eth_rx_burst(g->config.port, 0, pkts, BURST);

	for (uint16_t i = 0; i < RTE_MIN(count, 4); i++)
		rte_prefetch0(rte_pktmbuf_mtod(pkts[i], void *));
	for (uint16_t i = 0; i < count; i++) {
		const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(pkts[i],
								   const struct rte_ether_hdr *);

		if (i + 4 < count)
			rte_prefetch0(rte_pktmbuf_mtod(pkts[i + 4], void *));
		if (eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4))
			rx_ip(g, pkts[i]);
		else if (eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_ARP))
			rx_arp(g, pkts[i]);
	}
	if (count > 0)
		rte_pktmbuf_free_bulk(pkts, count);
}

/* ---- what got lost ---- */

static void send_again(struct generator *g, struct connection *c)
{
	g->result.sent_again++;
	if (++c->tries == TRIES) {
		failed(g, c);
		return;
	}
	if (c->state == CONNECTING)
		send_segment(g, c, c->snd_nxt - 1, SYN);
	else if (g->config.mode == GENERATOR_UDP)
		send_datagram(g, c);
	else if (c->state == WAITING)
		send_segment(g, c, c->snd_nxt - g->config.request_bytes, PSH | ACK);
	else
		send_segment(g, c, c->snd_nxt - 1, FIN | ACK);
}

static bool waits(const struct connection *c)
{
	return c->state == CONNECTING || c->state == WAITING || c->state == CLOSING ||
	       c->state == LAST_ACK;
}

/* A few connections at a time. */
static void scan(struct generator *g)
{
	uint32_t count = g->config.connections / SCAN_MS + 1;

	if (g->now < g->scan_due)
		return;
	g->scan_due = g->now + g->cycles_per_ms;
	while (count-- > 0) {
		struct connection *c = &g->connections[g->scan_next];

		if (waits(c) && g->now_ms - c->sent_ms >= AGAIN_MS)
			send_again(g, c);
		if (++g->scan_next == g->config.connections)
			g->scan_next = 0;
	}
}

/* ---- the phases ---- */

static void begin_phase(struct generator *g, enum generator_phase phase, double seconds)
{
	g->phase_end = g->now + (uint64_t)(seconds * (double)rte_get_tsc_hz());
	__atomic_store_n(&g->phase, phase, __ATOMIC_RELEASE);
}

static void begin_warming(struct generator *g)
{
	g->due_start = g->now;
	begin_phase(g, GENERATOR_WARMING, g->config.warmup_s);
}

static void open_connections(struct generator *g)
{
	bool shakes_hands = g->config.mode == GENERATOR_KEEP_ALIVE;

	while (g->opened < g->config.connections && g->outstanding < HANDSHAKES &&
	       g->tx_count < TX_BACKLOG) {
		struct connection *c = &g->connections[g->opened];

		c->tuple = g->opened++;
		if (shakes_hands) {
			connect_next(g, c);
			g->outstanding++;
		} else {
			idle_push(g, c);
		}
	}
	if (g->opened == g->config.connections && g->outstanding == 0)
		begin_warming(g);
}

static void end_measuring(struct generator *g)
{
	g->result.seconds = (double)(g->now - g->measured_since) / (double)rte_get_tsc_hz();
	g->opened = 0;
	begin_phase(g, GENERATOR_CLOSING, 0);
}

/* RST for all: the server is left with nothing. */
static void close_connections(struct generator *g)
{
	for (int i = 0; i < CLOSE_PER_STEP && g->opened < g->config.connections; i++) {
		struct connection *c = &g->connections[g->opened++];

		if (g->config.mode != GENERATOR_UDP && c->state != CLOSED && c->state != FAILED)
			send_segment(g, c, c->snd_nxt, RST | ACK);
		c->state = CLOSED;
	}
	if (g->opened == g->config.connections && g->tx_count == 0)
		begin_phase(g, GENERATOR_ENDED, 0);
}

static void run_phase(struct generator *g)
{
	switch (g->phase) {
	case GENERATOR_RESOLVING:
		if (g->now_ms - g->asked_ms >= ASK_MS)
			ask(g);
		break;
	case GENERATOR_OPENING:
		open_connections(g);
		break;
	case GENERATOR_WARMING:
		send_due(g);
		if (g->now >= g->phase_end) {
			g->measured_since = g->now;
			begin_phase(g, GENERATOR_MEASURING, g->config.seconds);
		}
		break;
	case GENERATOR_MEASURING:
		send_due(g);
		if (g->now >= g->phase_end)
			end_measuring(g);
		break;
	case GENERATOR_CLOSING:
		close_connections(g);
		break;
	case GENERATOR_ENDED:
		break;
	}
}

bool generator_step(struct generator *g)
{
	uint64_t before = g->now;

	g->now = rte_rdtsc();
	g->now_ms = (uint32_t)(g->now / g->cycles_per_ms);
	if (g->phase >= GENERATOR_OPENING)
		g->result.pause = RTE_MAX(g->result.pause, g->now - before);
	receive(g);
	run_phase(g);
	if (g->phase != GENERATOR_CLOSING)
		scan(g);
	flush(g);
	return g->phase != GENERATOR_ENDED;
}

enum generator_phase generator_phase(const struct generator *g)
{
	return __atomic_load_n(&g->phase, __ATOMIC_ACQUIRE);
}

const struct generator_result *generator_result(const struct generator *g)
{
	return &g->result;
}

/* ---- life ---- */

static bool config_is_good(const struct generator_config *c)
{
	return c->connections > 0 && c->addresses > 0 &&
	       (uint64_t)c->addresses * GENERATOR_PORTS >= c->connections && c->request_bytes > 0 &&
	       c->request_bytes <= GENERATOR_REQUEST_BYTES;
}

struct generator *generator_create(const struct generator_config *config)
{
	struct generator *g;
	uint8_t protocol = config->mode == GENERATOR_UDP ? IPPROTO_UDP : IPPROTO_TCP;

	if (!config_is_good(config)) {
		errno = EINVAL;
		return NULL;
	}
	g = rte_zmalloc("generator", sizeof(*g), 0);
	if (g == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	g->config = *config;
	if (config->window == 0)
		g->config.window = config->connections;
	g->connections = rte_zmalloc("connections", config->connections * sizeof(struct connection),
				     64);
	g->idle = rte_malloc("idle", config->connections * sizeof(uint32_t), 64);
	if (g->connections == NULL || g->idle == NULL) {
		generator_free(g);
		errno = ENOMEM;
		return NULL;
	}
	memcpy(g->request, config->request, config->request_bytes);
	g->tuples = config->addresses * GENERATOR_PORTS / config->connections * config->connections;
	g->cycles_per_ms = rte_get_tsc_hz() / 1000;
	if (config->rate != 0)
		g->due_step =
			(uint64_t)(((unsigned __int128)rte_get_tsc_hz() << 16) / config->rate);
	(void)rte_eth_macaddr_get(config->port, &g->mac);
	if (rte_is_zero_ether_addr(&g->mac)) /* net_ring has none */
		rte_eth_random_addr(g->mac.addr_bytes);
	frame_template_init(&g->frame, &g->mac, config->server, config->server_port, protocol,
			    g->request, config->request_bytes);
	return g;
}

size_t generator_connection_bytes(void)
{
	return sizeof(struct connection) + sizeof(uint32_t); /* one of connections and of idle */
}

void generator_free(struct generator *g)
{
	if (g == NULL)
		return;
	rte_pktmbuf_free_bulk(g->tx + g->tx_first, g->tx_count);
	rte_free(g->connections);
	rte_free(g->idle);
	rte_free(g);
}
