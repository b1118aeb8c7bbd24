/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/icmp.h"

#include <errno.h>
#include <netinet/ip_icmp.h>
#include <rte_ip.h>

#include "core/worker.h"
#include "net/checksum.h"
#include "net/ip_tx.h"
#include "net/netif.h"

/* RFC 1812, section 4.3.2.3: as much of the packet as fits into 576 bytes. */
#define ICMP_ERROR_BYTES (576 - sizeof(struct rte_ipv4_hdr))
#define ICMP_TOKEN_US    (1000000 / ICMP_ERROR_RATE)

struct icmp_header {
	uint8_t type;
	uint8_t code;
	rte_be16_t checksum;
	rte_be16_t unused;
	rte_be16_t mtu; /* "fragmentation needed" (RFC 1191, section 4) */
} __rte_packed __rte_aligned(2);
_Static_assert(sizeof(struct icmp_header) == 8, "RFC 792");

static void icmp_tx(struct worker *w, const struct packet *about, struct rte_mbuf *m,
		    uint8_t traffic_class)
{
	struct icmp_header *icmp = rte_pktmbuf_mtod(m, struct icmp_header *);
	struct dst dst = {0};
	struct flow flow = {
		.local = about->flow.local,
		.remote = about->flow.remote,
		.family = AF_INET,
		.protocol = IPPROTO_ICMP,
	};
	struct ip_tx how = {
		.dst = &dst,
		.flow = &flow,
		.ttl = IP_TTL_DEFAULT,
		.traffic_class = traffic_class,
	};

	icmp->checksum = 0;
	icmp->checksum = ~checksum_mbuf(m, 0, m->pkt_len);
	ip_tx(w, &how, m);
}

/* RFC 1122, section 3.2.2.6: the data comes back unchanged. */
static void icmp_rx_echo(struct worker *w, struct packet *p)
{
	struct icmp_header *icmp = rte_pktmbuf_mtod(p->m, struct icmp_header *);

	if (p->to_broadcast) {
		worker_drop(w, p->m, CNT_icmp_broadcast);
		return;
	}
	icmp->type = ICMP_ECHOREPLY;
	worker_count(w, CNT_icmp_echo);
	icmp_tx(w, p, p->m, p->traffic_class);
}

/* The errno of an error message (RFC 1122, sections 3.2.2.1 and 4.2.3.9); 0: not one to report. */
static int icmp_errno(uint8_t type, uint8_t code)
{
	static const uint8_t unreachable[NR_ICMP_UNREACH + 1] = {
		[ICMP_NET_UNREACH] = ENETUNREACH,     [ICMP_HOST_UNREACH] = EHOSTUNREACH,
		[ICMP_PROT_UNREACH] = ENOPROTOOPT,    [ICMP_PORT_UNREACH] = ECONNREFUSED,
		[ICMP_FRAG_NEEDED] = EMSGSIZE,        [ICMP_SR_FAILED] = EOPNOTSUPP,
		[ICMP_NET_UNKNOWN] = ENETUNREACH,     [ICMP_HOST_UNKNOWN] = EHOSTDOWN,
		[ICMP_HOST_ISOLATED] = ENONET,        [ICMP_NET_ANO] = ENETUNREACH,
		[ICMP_HOST_ANO] = EHOSTUNREACH,       [ICMP_NET_UNR_TOS] = ENETUNREACH,
		[ICMP_HOST_UNR_TOS] = EHOSTUNREACH,   [ICMP_PKT_FILTERED] = EHOSTUNREACH,
		[ICMP_PREC_VIOLATION] = EHOSTUNREACH, [ICMP_PREC_CUTOFF] = EHOSTUNREACH,
	};

	switch (type) {
	case ICMP_DEST_UNREACH:
		return code <= NR_ICMP_UNREACH ? unreachable[code] : EHOSTUNREACH;
	case ICMP_TIME_EXCEEDED:
		return EHOSTUNREACH;
	case ICMP_PARAMETERPROB:
		return EPROTO;
	default: /* RFC 6633: a source quench is ignored; so are redirects */
		return 0;
	}
}

static bool icmp_is_error(uint8_t type)
{
	return type == ICMP_DEST_UNREACH || type == ICMP_SOURCE_QUENCH || type == ICMP_REDIRECT ||
	       type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETERPROB;
}

/* An error about a packet of ours, to the worker that sent it. */
static void icmp_rx_error(struct worker *w, struct packet *p, const struct icmp_header *icmp,
			  int error)
{
	uint16_t mtu = error == EMSGSIZE ? rte_be_to_cpu_16(icmp->mtu) : 0;
	struct ip_quote quote;
	uint16_t owner;

	if (!ip_quote_parse(icmp + 1, p->m->data_len - sizeof(*icmp), &quote) ||
	    !netif_is_local(w, &quote.flow.local)) {
		worker_drop(w, p->m, CNT_icmp_quote);
		return;
	}
	owner = w->workers > 1 ? port_flow_worker(p->netif->port, &quote.flow) : w->id;
	if (owner != w->id) {
		ip_hand_over(w, p, owner);
		worker_wake(w->peers[owner]);
		return;
	}
	worker_count(w, CNT_icmp_error_rx);
	ip_quote_tell(w, &quote, error, mtu);
	rte_pktmbuf_free(p->m);
}

void icmp_rx(struct worker *w, struct packet *p)
{
	const struct icmp_header *icmp = rte_pktmbuf_mtod(p->m, const struct icmp_header *);
	int error;

	if (p->m->data_len < sizeof(*icmp)) {
		worker_drop(w, p->m, CNT_icmp_short);
		return;
	}
	if (checksum_mbuf(p->m, 0, p->length) != 0xffff) {
		worker_drop(w, p->m, CNT_icmp_checksum);
		return;
	}
	if (icmp->type == ICMP_ECHO) {
		icmp_rx_echo(w, p);
		return;
	}
	error = icmp_errno(icmp->type, icmp->code);
	if (error == 0)
		worker_drop(w, p->m, CNT_icmp_type);
	else
		icmp_rx_error(w, p, icmp, error);
}

/* A token bucket told as the time until which tokens are spent. */
static bool icmp_error_allowed(struct worker *w)
{
	uint64_t spent_us = RTE_MAX(w->icmp_tokens_us, w->now_us);

	if (spent_us - w->now_us > (ICMP_ERROR_BURST - 1) * ICMP_TOKEN_US) {
		worker_count(w, CNT_icmp_error_limited);
		return false;
	}
	w->icmp_tokens_us = spent_us + ICMP_TOKEN_US;
	return true;
}

/* RFC 1122, section 3.2.2: what no error is sent about.  Fragments and bad sources died before. */
static bool icmp_error_wanted(const struct packet *p)
{
	if (p->to_broadcast)
		return false;
	return p->flow.protocol != IPPROTO_ICMP || p->length == 0 ||
	       !icmp_is_error(p->network_header[p->network_header_length]);
}

void icmp_tx_error(struct worker *w, const struct packet *p, uint8_t type, uint8_t code)
{
	const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)p->network_header;
	const uint8_t *end = rte_pktmbuf_mtod(p->m, const uint8_t *) + p->m->data_len;
	struct icmp_header *icmp;
	struct rte_mbuf *m;
	uint32_t quoted = end - p->network_header;

	if (!icmp_error_wanted(p) || !icmp_error_allowed(w))
		return;
	m = worker_mbuf(w);
	if (m == NULL)
		return;
	quoted = RTE_MIN(quoted, rte_be_to_cpu_16(ip->total_length));
	quoted = RTE_MIN(quoted, ICMP_ERROR_BYTES - sizeof(*icmp));
	icmp = (struct icmp_header *)(void *)rte_pktmbuf_append(m, sizeof(*icmp) + quoted);
	*icmp = (struct icmp_header){.type = type, .code = code};
	memcpy(icmp + 1, ip, quoted);
	worker_count(w, CNT_icmp_error_tx);
	icmp_tx(w, p, m, 0); /* RFC 1122, section 3.2.2: normal service */
}
