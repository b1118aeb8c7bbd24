/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What does TCP itself take for a segment?  tcp_rx_segment alone, with data in
 * order and an acknowledgement that says nothing new: the packet is parsed, the
 * sock found; the bytes go to the receive ring.  A burst is for one connection,
 * or for as many as it has segments, each time for others.
 */
#include <leat/leat.h>
#include <netinet/in.h>
#include <rte_ip.h>
#include <string.h>
#include <sys/socket.h>

#include "bench.h"
#include "farend.h"
#include "lab.h"
#include "net/checksum.h"
#include "sock/sock_table.h"
#include "tcp/tcp_sock.h"

#define MEGABYTES 256
#define FLOWS     1024u
#define OPS       32u /* segments of a round: a burst */

static int fds[FLOWS];
static struct tcp_sock *socks[FLOWS];
static struct packet packets[OPS];
static uint32_t owners[OPS]; /* whose they are */
static enum counter verdicts[OPS];
static char buffer[OPS * FAREND_MSS];
static uint32_t flows;
static uint32_t next_flow;
static uint32_t bytes; /* of data in each */

/* What lies below TCP has been done with it. */
static void parse(struct packet *p, struct rte_mbuf *m)
{
	struct worker *w = lab_worker(0);
	const struct rte_ipv4_hdr *ip;

	ip = (const void *)rte_pktmbuf_adj(m, sizeof(struct rte_ether_hdr));
	*p = (struct packet){
		.m = m,
		.netif = w->netif[0],
		.network_header = (const uint8_t *)ip,
		.network_header_length = sizeof(*ip),
		.flow = {.local = inet_addr_v4(ip->dst_addr),
			 .remote = inet_addr_v4(ip->src_addr),
			 .family = AF_INET,
			 .protocol = IPPROTO_TCP},
		.pseudo_sum = checksum_sum_pseudo_v4(ip->dst_addr, ip->src_addr, IPPROTO_TCP),
		.ttl = ip->time_to_live,
		.length = m->pkt_len - (uint32_t)sizeof(*ip),
	};
	rte_pktmbuf_adj(m, sizeof(*ip));
	if (w->protocols[IPPROTO_TCP]->parse(w, p) != CNT_MAX)
		bench_fail("a segment is not good");
}

static void receive(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < OPS; i++)
		verdicts[i] = tcp_rx_segment(lab_worker(0), socks[owners[i]], &packets[i]);
}

/* The application reads what the last round brought, and what the worker owes is sent. */
static void settle(void)
{
	for (uint32_t i = 0; i < OPS && packets[i].m != NULL; i++) {
		if (verdicts[i] != TCP_ACCEPTED)
			bench_fail("a segment was not accepted");
		rte_pktmbuf_free(packets[i].m);
		packets[i].m = NULL;
	}
	while (lab_poll() != 0)
		;
	for (uint32_t i = 0; i < OPS; i++)
		(void)leat_recv(fds[owners[i]], buffer, sizeof(buffer), MSG_DONTWAIT);
	while (lab_poll() != 0)
		;
	(void)farends_take();
}

static void prepare(void *arg)
{
	(void)arg;
	settle();
	for (uint32_t i = 0; i < OPS; i++) {
		owners[i] = next_flow++ % flows;
		parse(&packets[i], farend_segment(farend(owners[i]), RTE_TCP_ACK_FLAG, bytes));
	}
}

static void measure(uint32_t flow_count, uint32_t data_bytes)
{
	const struct bench_work work = {prepare, receive, NULL, OPS};

	flows = flow_count;
	bytes = data_bytes;
	bench_report(&(struct bench_figure){
		.benchmark = "segment",
		.variant = "data in order",
		.cycles_per_op = bench_measure(&work),
		.burst = OPS,
		.connections = flows,
		.more = {{"bytes", bytes}},
	});
	settle();
}

static void connect_all(void)
{
	int listener = farends_listen();

	for (uint32_t n = 0; n < FLOWS; n++) {
		struct flow flow = {.local = inet_addr_v4(htonl(LAB_ADDRESS)),
				    .remote = inet_addr_v4(htonl(LAB_FAR)),
				    .local_port = htons(FAREND_PORT),
				    .remote_port = htons(farend(n)->port),
				    .family = AF_INET,
				    .protocol = IPPROTO_TCP};

		fds[n] = farend_connect(n, listener);
		socks[n] = sock_entry_pointer(sock_table_find(lab_worker(0)->socks_by_flow, &flow));
	}
}

int main(int argc, char **argv)
{
	bench_begin(argc, argv, MEGABYTES);
	lab_begin(1);
	connect_all();
	measure(1, 64);
	measure(1, FAREND_MSS);
	measure(FLOWS, 64);
	measure(FLOWS, FAREND_MSS);
	lab_end();
	return bench_end();
}
