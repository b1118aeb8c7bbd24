/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/arp.h"

#include <errno.h>
#include <rte_arp.h>
#include <rte_hash.h>
#include <rte_ip.h>
#include <rte_jhash.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/worker.h"
#include "net/eth.h"
#include "net/ipv4.h"
#include "net/netif.h"

#define NEIGH_EVICT_SCAN 64u /* entries looked at for one to reuse */

struct neigh_key {
	struct inet_addr address;
	uint32_t netif;
	uint32_t zero; /* no padding: the key is hashed and compared as bytes */
};

struct neigh_table {
	struct rte_hash *by_address; /* position: index in neighbours */
	uint32_t capacity;
	uint32_t hand; /* where the search for an entry to reuse goes on */
	struct neigh neighbours[];
};

static const struct rte_ether_addr eth_broadcast = {.addr_bytes = {255, 255, 255, 255, 255, 255}};

static void neigh_timer(void *context, struct timer *timer);

/* ---- the table ---- */

struct neigh_table *neigh_table_create(struct worker *w, uint32_t capacity)
{
	static atomic_uint serial;
	char name[RTE_HASH_NAMESIZE];
	struct rte_hash_parameters params = {
		.name = name,
		.entries = capacity,
		.key_len = sizeof(struct neigh_key),
		.hash_func = rte_jhash,
		.hash_func_init_val = (uint32_t)w->secret_key.k[0],
		.socket_id = w->config.socket_id,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_EXT_TABLE,
	};
	struct neigh_table *t = calloc(1, sizeof(*t) + capacity * sizeof(t->neighbours[0]));

	if (t == NULL)
		return NULL;
	snprintf(name, sizeof(name), "leat_neigh_%u_%u", w->id, atomic_fetch_add(&serial, 1));
	t->capacity = capacity;
	t->by_address = rte_hash_create(&params);
	if (t->by_address == NULL) {
		free(t);
		return NULL;
	}
	return t;
}

static void neigh_drop_pending(struct worker *w, struct neigh *neigh, enum counter why)
{
	for (uint8_t i = 0; i < neigh->pending_count; i++)
		worker_drop(w, neigh->pending[i], why);
	neigh->pending_count = 0;
}

void neigh_table_free(struct worker *w, struct neigh_table *t)
{
	if (t == NULL)
		return;
	for (uint32_t i = 0; i < t->capacity; i++) {
		wheel_cancel(&w->wheel, &t->neighbours[i].timer);
		neigh_drop_pending(w, &t->neighbours[i], CNT_arp_unresolved);
	}
	rte_hash_free(t->by_address);
	free(t);
}

static struct neigh_key neigh_key(const struct netif *n, const struct inet_addr *a)
{
	return (struct neigh_key){.address = *a, .netif = n->index};
}

static struct neigh *neigh_find(const struct worker *w, const struct netif *n,
				const struct inet_addr *a)
{
	struct neigh_key key = neigh_key(n, a);
	int32_t at = rte_hash_lookup(w->neighbours->by_address, &key);

	return at < 0 ? NULL : &w->neighbours->neighbours[at];
}

/* Frees one entry that nothing waits for: one that failed, or that nobody confirmed lately.
 * False: there is none near. */
static bool neigh_evict(struct worker *w)
{
	struct neigh_table *t = w->neighbours;

	for (uint32_t i = 0; i < RTE_MIN(t->capacity, NEIGH_EVICT_SCAN); i++) {
		struct neigh *neigh = &t->neighbours[t->hand];
		struct neigh_key key;

		t->hand = (t->hand + 1) % t->capacity;
		if (neigh->state == NEIGH_FREE || neigh->state == NEIGH_INCOMPLETE ||
		    neigh_is_confirmed(w, neigh))
			continue;
		key = neigh_key(w->netif[neigh->netif], &neigh->address);
		wheel_cancel(&w->wheel, &neigh->timer);
		rte_hash_del_key(t->by_address, &key);
		neigh->state = NEIGH_FREE;
		/* Whoever keeps a pointer to it must ask again. */
		route_changed(w);
		return true;
	}
	return false;
}

struct neigh *neigh_get(struct worker *w, struct netif *n, const struct inet_addr *a)
{
	struct neigh *neigh = neigh_find(w, n, a);
	struct neigh_key key = neigh_key(n, a);
	int32_t at;

	if (neigh != NULL)
		return neigh;
	at = rte_hash_add_key(w->neighbours->by_address, &key);
	if (at < 0 && neigh_evict(w))
		at = rte_hash_add_key(w->neighbours->by_address, &key);
	if (at < 0)
		return NULL;
	neigh = &w->neighbours->neighbours[at];
	memset(neigh, 0, sizeof(*neigh));
	neigh->state = NEIGH_FAILED; /* and no timer: the first packet asks */
	neigh->netif = n->index;
	neigh->address = *a;
	neigh->header.src_addr = n->mac;
	neigh->header.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	return neigh;
}

/* ---- down ---- */

static void arp_fill(struct rte_arp_hdr *arp, uint16_t operation, const struct netif *n,
		     rte_be32_t target, const struct rte_ether_addr *target_mac)
{
	*arp = (struct rte_arp_hdr){
		.arp_hardware = RTE_BE16(RTE_ARP_HRD_ETHER),
		.arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4),
		.arp_hlen = RTE_ETHER_ADDR_LEN,
		.arp_plen = sizeof(rte_be32_t),
		.arp_opcode = rte_cpu_to_be_16(operation),
		.arp_data = {.arp_sha = n->mac,
			     .arp_sip = n->address.v4,
			     .arp_tha = *target_mac,
			     .arp_tip = target},
	};
}

static void arp_tx(struct worker *w, struct netif *n, const struct rte_ether_addr *to,
		   struct rte_mbuf *m)
{
	struct rte_ether_hdr header = {
		.dst_addr = *to, .src_addr = n->mac, .ether_type = RTE_BE16(RTE_ETHER_TYPE_ARP)};

	eth_tx(w, n, &header, m);
}

static void arp_tx_request(struct worker *w, struct netif *n, rte_be32_t target,
			   const struct rte_ether_addr *to)
{
	static const struct rte_ether_addr unknown;
	struct rte_mbuf *m = worker_mbuf(w);

	if (m == NULL)
		return;
	arp_fill((void *)rte_pktmbuf_append(m, sizeof(struct rte_arp_hdr)), RTE_ARP_OP_REQUEST, n,
		 target, &unknown);
	worker_count(w, CNT_arp_tx_request);
	arp_tx(w, n, to, m);
}

void arp_announce(struct worker *w, struct netif *n)
{
	arp_tx_request(w, n, n->address.v4, &eth_broadcast);
}

/* Asks, and comes back after ARP_RETRY_MS. */
static void neigh_ask(struct worker *w, struct neigh *neigh)
{
	const struct rte_ether_addr *to = neigh->state == NEIGH_STALE ? &neigh->header.dst_addr
								      : &eth_broadcast;

	neigh->tries++;
	wheel_arm(&w->wheel, &neigh->timer, w->now_ms + ARP_RETRY_MS, neigh_timer);
	arp_tx_request(w, w->netif[neigh->netif], neigh->address.v4, to);
}

static void neigh_ask_first(struct worker *w, struct neigh *neigh, enum neigh_state state)
{
	neigh->state = state;
	neigh->tries = 0;
	neigh_ask(w, neigh);
}

/* A packet of ours that will never leave: its sender learns why. */
static void neigh_tell_unreachable(struct worker *w, const struct rte_mbuf *m)
{
	struct ip_quote quote;

	if (ip_quote_parse(rte_pktmbuf_mtod(m, const void *), m->data_len, &quote))
		ip_quote_tell(w, &quote, EHOSTUNREACH, 0);
}

static void neigh_fail(struct worker *w, struct neigh *neigh)
{
	struct rte_mbuf *pending[NEIGH_PENDING_MAX];
	uint8_t count = neigh->pending_count;

	memcpy(pending, neigh->pending, count * sizeof(pending[0]));
	neigh->state = NEIGH_FAILED;
	neigh->pending_count = 0;
	wheel_arm(&w->wheel, &neigh->timer, w->now_ms + ARP_RETRY_MS, neigh_timer);
	for (uint8_t i = 0; i < count; i++) {
		neigh_tell_unreachable(w, pending[i]);
		worker_drop(w, pending[i], CNT_arp_unresolved);
	}
}

static void neigh_timer(void *context, struct timer *timer)
{
	struct worker *w = context;
	struct neigh *neigh = container_of(timer, struct neigh, timer);

	if (neigh->state != NEIGH_INCOMPLETE && neigh->state != NEIGH_STALE)
		return;
	if (neigh->tries < ARP_RETRIES)
		neigh_ask(w, neigh);
	else if (neigh->state == NEIGH_STALE)
		neigh_ask_first(w, neigh, NEIGH_INCOMPLETE); /* it may have moved: ask everybody */
	else
		neigh_fail(w, neigh);
}

/* Holds m until the neighbour answers; the oldest goes when there are too many (RFC 1122, section
 * 2.3.2.2: the latest should be kept). */
static void neigh_hold(struct worker *w, struct neigh *neigh, struct rte_mbuf *m)
{
	if (neigh->pending_count == NEIGH_PENDING_MAX) {
		worker_drop(w, neigh->pending[0], CNT_arp_pending_full);
		neigh->pending_count--;
		memmove(&neigh->pending[0], &neigh->pending[1],
			neigh->pending_count * sizeof(neigh->pending[0]));
	}
	neigh->pending[neigh->pending_count++] = m;
}

void neigh_tx_slow(struct worker *w, struct neigh *neigh, struct rte_mbuf *m)
{
	switch (neigh->state) {
	case NEIGH_REACHABLE: /* not confirmed for too long */
	case NEIGH_STALE:
		neigh->state = NEIGH_STALE;
		if (!neigh->timer.armed)
			neigh_ask_first(w, neigh, NEIGH_STALE);
		eth_tx(w, w->netif[neigh->netif], &neigh->header, m);
		break;
	case NEIGH_FAILED:
		if (neigh->timer.armed) {
			worker_drop(w, m, CNT_arp_unresolved);
			break;
		}
		neigh_hold(w, neigh, m);
		neigh_ask_first(w, neigh, NEIGH_INCOMPLETE);
		break;
	default:
		neigh_hold(w, neigh, m);
		break;
	}
}

void neigh_doubt(struct worker *w, struct neigh *neigh)
{
	/* RFC 1122 section 2.3.2.1: asked at most once a second, however many doubt it. */
	if (neigh->state == NEIGH_REACHABLE &&
	    w->now_us - neigh->confirmed_us >= ARP_RETRY_MS * UINT64_C(1000))
		neigh->state = NEIGH_STALE;
}

/* ---- up ---- */

/* The neighbour is at mac; answered: it says so because it was asked.  True: that is news. */
static bool neigh_learn(struct worker *w, struct neigh *neigh, const struct rte_ether_addr *mac,
			bool answered)
{
	bool known = neigh->state == NEIGH_REACHABLE || neigh->state == NEIGH_STALE;
	bool moved = !known || !rte_is_same_ether_addr(&neigh->header.dst_addr, mac);
	struct rte_mbuf *pending[NEIGH_PENDING_MAX];
	uint8_t count = neigh->pending_count;

	neigh->header.dst_addr = *mac;
	if (answered) {
		neigh->state = NEIGH_REACHABLE;
		neigh->confirmed_us = w->now_us;
		wheel_cancel(&w->wheel, &neigh->timer);
	} else if (moved) {
		neigh->state = NEIGH_STALE;
		wheel_cancel(&w->wheel, &neigh->timer);
	}
	memcpy(pending, neigh->pending, count * sizeof(pending[0]));
	neigh->pending_count = 0;
	for (uint8_t i = 0; i < count; i++)
		neigh_tx(w, neigh, pending[i]);
	return moved;
}

void neigh_update(struct worker *w, struct netif *n, const struct inet_addr *a,
		  const struct rte_ether_addr *mac)
{
	struct neigh *neigh = neigh_get(w, n, a);

	if (neigh != NULL)
		neigh_learn(w, neigh, mac, true);
}

static enum counter arp_check(const struct rte_mbuf *m)
{
	const struct rte_arp_hdr *arp = rte_pktmbuf_mtod(m, const struct rte_arp_hdr *);
	struct inet_addr sender;

	if (m->data_len < sizeof(*arp))
		return CNT_arp_short;
	if (arp->arp_hardware != RTE_BE16(RTE_ARP_HRD_ETHER) ||
	    arp->arp_protocol != RTE_BE16(RTE_ETHER_TYPE_IPV4) ||
	    arp->arp_hlen != RTE_ETHER_ADDR_LEN || arp->arp_plen != sizeof(rte_be32_t) ||
	    (arp->arp_opcode != RTE_BE16(RTE_ARP_OP_REQUEST) &&
	     arp->arp_opcode != RTE_BE16(RTE_ARP_OP_REPLY)))
		return CNT_arp_format;
	sender = inet_addr_v4(arp->arp_data.arp_sip);
	if (rte_is_multicast_ether_addr(&arp->arp_data.arp_sha) ||
	    rte_is_zero_ether_addr(&arp->arp_data.arp_sha) ||
	    inet_addr_is_multicast(AF_INET, &sender) || sender.v4 == RTE_BE32(INADDR_BROADCAST))
		return CNT_arp_sender;
	return CNT_MAX;
}

/* RFC 826: whoever is in the table is brought up to date; whoever speaks to us enters it. */
static void arp_merge(struct worker *w, struct netif *n, const struct rte_arp_ipv4 *data,
		      bool to_us, bool reply)
{
	struct inet_addr sender = inet_addr_v4(data->arp_sip);
	struct neigh *neigh = neigh_find(w, n, &sender);
	bool answer = reply && to_us;
	bool news;

	if (inet_addr_is_any(&sender) || netif_is_broadcast(n, &sender))
		return;
	if (neigh == NULL && to_us && netif_is_on_link(n, &sender))
		neigh = neigh_get(w, n, &sender);
	if (neigh == NULL)
		return;
	news = neigh_learn(w, neigh, &data->arp_sha, answer);
	/* An answer is passed on even where it is no news: another worker may have asked. */
	if ((news || answer) && w->listener != NULL && w->listener->neigh_learned != NULL)
		w->listener->neigh_learned(w->listener->arg, w, n->index, &sender, &data->arp_sha);
}

/* Turns the request into its reply (RFC 826: "swap hardware and protocol fields"). */
static void arp_tx_reply(struct worker *w, struct netif *n, struct rte_mbuf *m)
{
	struct rte_arp_hdr *arp = rte_pktmbuf_mtod(m, struct rte_arp_hdr *);
	struct rte_ether_addr to = arp->arp_data.arp_sha;

	eth_trim(m, sizeof(*arp));
	arp_fill(arp, RTE_ARP_OP_REPLY, n, arp->arp_data.arp_sip, &to);
	worker_count(w, CNT_arp_tx_reply);
	arp_tx(w, n, &to, m);
}

void arp_rx(struct worker *w, struct netif *n, struct rte_mbuf *m)
{
	const struct rte_arp_hdr *arp = rte_pktmbuf_mtod(m, const struct rte_arp_hdr *);
	enum counter why = arp_check(m);
	bool to_us, reply;

	if (why != CNT_MAX) {
		worker_drop(w, m, why);
		return;
	}
	worker_count(w, CNT_arp_rx);
	if (arp->arp_data.arp_sip == n->address.v4) {
		if (!rte_is_same_ether_addr(&arp->arp_data.arp_sha, &n->mac))
			worker_count(w, CNT_arp_conflict);
		rte_pktmbuf_free(m);
		return;
	}
	to_us = arp->arp_data.arp_tip == n->address.v4;
	reply = arp->arp_opcode == RTE_BE16(RTE_ARP_OP_REPLY);
	arp_merge(w, n, &arp->arp_data, to_us, reply);
	if (to_us && !reply)
		arp_tx_reply(w, n, m);
	else
		rte_pktmbuf_free(m);
}
