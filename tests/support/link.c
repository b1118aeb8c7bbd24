/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/link.h"

#include <stdlib.h>

#define TRANSPORT_OFFSET 34u /* Ethernet and IPv4 headers */
#define IP_QUOTED_BYTES  28u

struct host_config link_peer_config(void)
{
	struct host_config c = host_config_default();

	c.address = PEER_ADDR;
	c.mac = peer_mac;
	c.peer_address = HOST_ADDR;
	c.peer_mac = host_mac;
	return c;
}

static void way_init(struct link_way *way, struct host *from, struct host *to, uint32_t delay_us)
{
	*way = (struct link_way){.from = from, .to = to, .delay_us = delay_us};
	TAILQ_INIT(&way->flying);
}

void link_init(struct link *l, struct host *first, struct host *second, uint32_t delay_us)
{
	way_init(&l->way[0], first, second, delay_us);
	way_init(&l->way[1], second, first, delay_us);
	l->random = 1;
	first->config.answer_arp = false;
	second->config.answer_arp = false;
}

void link_fini(struct link *l)
{
	struct frame *f;

	for (int i = 0; i < 2; i++) {
		while ((f = TAILQ_FIRST(&l->way[i].flying)) != NULL) {
			TAILQ_REMOVE(&l->way[i].flying, f, link);
			free(f);
		}
		l->way[i].from->config.answer_arp = true;
	}
}

/* The script's entry for a frame, made when there was none. */
static uint32_t script_entry(struct link_way *way, uint64_t index)
{
	for (uint32_t i = 0; i < way->script_count; i++)
		if (way->script[i].index == index)
			return i;
	REQUIRE(way->script_count < LINK_SCRIPT_MAX);
	way->script[way->script_count].index = index;
	return way->script_count++;
}

void link_lose(struct link *l, int way, uint64_t index)
{
	l->way[way].script[script_entry(&l->way[way], index)].lose = true;
}

void link_delay(struct link *l, int way, uint64_t index, uint32_t extra_us)
{
	l->way[way].script[script_entry(&l->way[way], index)].extra_us = extra_us;
}

void link_duplicate(struct link *l, int way, uint64_t index)
{
	l->way[way].script[script_entry(&l->way[way], index)].duplicate = true;
}

static bool chance(struct link *l, uint32_t per_mille)
{
	return per_mille > 0 && clock_random_next(&l->random) % 1000 < per_mille;
}

/* By arrival; equal ones in the order they were sent. */
static void way_fly(struct link_way *way, struct frame *f)
{
	struct frame *before = TAILQ_LAST(&way->flying, frame_queue);

	while (before != NULL && before->at_us > f->at_us)
		before = TAILQ_PREV(before, frame_queue, link);
	if (before == NULL)
		TAILQ_INSERT_HEAD(&way->flying, f, link);
	else
		TAILQ_INSERT_AFTER(&way->flying, before, f, link);
}

/* When the frame has passed the bottleneck; false: its queue is full. */
static bool way_pass_bottleneck(struct link_way *way, const struct frame *f, uint64_t *at_us)
{
	uint64_t now_ns = clock_us * 1000;
	uint64_t begin_ns = way->free_ns > now_ns ? way->free_ns : now_ns;

	*at_us = clock_us;
	if (way->rate_bps == 0)
		return true;
	if ((begin_ns - now_ns) * way->rate_bps / 8000000000ull > way->queue_bytes) {
		way->overflowed++;
		return false;
	}
	way->free_ns = begin_ns + f->length * 8000000000ull / way->rate_bps;
	*at_us = way->free_ns / 1000;
	return true;
}

/* RFC 1191 section 4: the router before the narrow link quotes what did not fit. */
static void way_tell(const struct link_way *way, const struct frame *f)
{
	struct build b;

	host_build_ipv4(way->from, &b, IPPROTO_ICMP);
	build_icmp(&b, 3, 4, way->mtu);
	build_bytes(&b, f->data + RTE_ETHER_HDR_LEN, IP_QUOTED_BYTES);
	build_finish(&b);
	host_inject(way->from, &b);
}

/* False: it is too large for this way. */
static bool way_fits(struct link_way *way, const struct frame *f)
{
	if (way->mtu == 0 || f->length <= (uint32_t)RTE_ETHER_HDR_LEN + way->mtu)
		return true;
	way->too_big++;
	if (way->tells)
		way_tell(way, f);
	return false;
}

static void way_send(struct link *l, struct link_way *way, struct frame *f)
{
	uint64_t index = way->count++;
	bool lose = chance(l, way->loss_per_mille);
	bool duplicate = chance(l, way->duplicate_per_mille);
	uint32_t extra_us = chance(l, way->reorder_per_mille) ? way->reorder_us : 0;
	uint64_t at_us;

	for (uint32_t i = 0; i < way->script_count; i++) {
		if (way->script[i].index != index)
			continue;
		lose = lose || way->script[i].lose;
		duplicate = duplicate || way->script[i].duplicate;
		extra_us += way->script[i].extra_us;
	}
	if (!way_fits(way, f)) {
		free(f);
		return;
	}
	if (lose) {
		way->lost++;
		free(f);
		return;
	}
	if (!way_pass_bottleneck(way, f, &at_us)) {
		free(f);
		return;
	}
	if (chance(l, way->corrupt_per_mille) && f->length > TRANSPORT_OFFSET)
		f->data[TRANSPORT_OFFSET +
			clock_random_next(&l->random) % (f->length - TRANSPORT_OFFSET)] ^=
			(uint8_t)(1u << clock_random_next(&l->random) % 8);
	f->at_us = at_us + way->delay_us + extra_us;
	if (duplicate) {
		struct frame *again = frame_new(f->data, f->length);

		again->at_us = f->at_us;
		way_fly(way, again);
	}
	way_fly(way, f);
}

/* Delivers what has arrived, polls, collects what was sent; true while something moved. */
static bool link_step(struct link *l)
{
	bool moved = false;

	for (int i = 0; i < 2; i++) {
		struct link_way *way = &l->way[i];
		struct frame *f;

		while ((f = TAILQ_FIRST(&way->flying)) != NULL && f->at_us <= clock_us) {
			TAILQ_REMOVE(&way->flying, f, link);
			memport_inject(&way->to->link, 0, f->data, f->length);
			free(f);
			moved = true;
		}
	}
	for (int i = 0; i < 2; i++) {
		struct link_way *way = &l->way[i];
		struct frame *f;

		host_settle(way->from);
		while ((f = host_pop(way->from)) != NULL) {
			way_send(l, way, f);
			moved = true;
		}
	}
	return moved;
}

static uint64_t link_next_us(const struct link *l, uint64_t end_us)
{
	uint64_t next_us = end_us;

	for (int i = 0; i < 2; i++) {
		const struct frame *f = TAILQ_FIRST(&l->way[i].flying);
		uint64_t timer_us = clock_us + host_next_ms(l->way[i].from, 10000) * 1000ull;

		timer_us = timer_us / 1000 * 1000;
		timer_us = RTE_MIN(timer_us, calendar_next_us(&l->way[i].from->w->calendar));
		next_us = timer_us < next_us ? timer_us : next_us;
		if (f != NULL && f->at_us < next_us)
			next_us = f->at_us;
	}
	return next_us > clock_us ? next_us : clock_us + 1;
}

bool link_run(struct link *l, uint64_t limit_us, bool (*done)(void *arg), void *arg)
{
	uint64_t end_us = clock_us + limit_us;

	for (;;) {
		while (link_step(l))
			if (done != NULL && done(arg))
				return true;
		if (done != NULL && done(arg))
			return true;
		if (clock_us >= end_us)
			return false;
		clock_us = link_next_us(l, end_us);
	}
}

struct connecting {
	struct app_sock *client, *server, *listener;
	bool accepted;
};

static bool is_connected(void *arg)
{
	struct connecting *c = arg;
	struct leat_cqe cqe;
	uint16_t context;

	if (!c->accepted && app_take_accept(c->listener->app, c->listener, &cqe, &context))
		c->accepted = app_claim(c->listener->app, &cqe, context, c->server);
	return c->accepted && app_has(c->client, LEAT_EV_CONNECTED);
}

void link_connect(struct link *l, struct app_sock *client, struct app_sock *server)
{
	struct host *first = l->way[0].from, *second = l->way[0].to;
	struct connecting c = {client, server, &second->listener, false};

	if (second->listener.slot == NULL)
		host_listen(second, 16);
	app_credit(&second->listener, 0, 1);
	REQUIRE_EQ(app_socket(&first->app, SOCK_STREAM, client), 0);
	REQUIRE_EQ(app_connect(client, second->config.address, HOST_PORT), 0);
	REQUIRE(link_run(l, 120000000, is_connected, &c));
}

struct transfer {
	struct app_sock *from, *to;
	uint64_t write_end, read_end;
};

static bool is_transferred(void *arg)
{
	struct transfer *t = arg;
	uint64_t left = t->write_end - t->from->tx_tail;

	if (left > 0)
		app_write_pattern(t->from, left < UINT32_MAX ? (uint32_t)left : UINT32_MAX);
	app_read_pattern(t->to, UINT32_MAX);
	return t->to->rx_head == t->read_end;
}

bool link_transfer(struct link *l, struct app_sock *from, struct app_sock *to, uint64_t bytes,
		   uint64_t limit_us)
{
	struct transfer t = {from, to, from->tx_tail + bytes, from->tx_tail + bytes};

	is_transferred(&t); /* begins to write */
	return link_run(l, limit_us, is_transferred, &t);
}

static bool both_are_gone(void *arg)
{
	struct link *l = arg;

	return l->way[0].from->w->sock_count == 0 &&
	       l->way[0].to->w->sock_count == 1; /* the listener */
}

void link_close(struct link *l, struct app_sock *client, struct app_sock *server)
{
	struct host *first = l->way[0].from, *second = l->way[0].to;

	CHECK_EQ(app_close(client), 0);
	CHECK_EQ(app_close(server), 0);
	CHECK(link_run(l, 600000000, both_are_gone, l));
	link_fini(l);
	host_end(first);
	host_end(second);
}
