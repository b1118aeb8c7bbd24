/* SPDX-License-Identifier: BSD-3-Clause */
/* Regions, arenas and slots: layout, and what happens when a session ends. */
#include "shm/session.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "shm/ring.h"
#include "sock/holders.h"
#include "support/fakeproto.h"

static void parts_of_a_region_do_not_overlap(void)
{
	struct session_config config = SESSION_CONFIG_DEFAULT;
	uint64_t bytes;
	struct session *s;
	const struct leat_region *r;
	void *base;

	config.workers = 3;
	config.slots_per_worker = 100;
	config.chunks_per_worker = 50;
	bytes = session_region_bytes(&config);
	CHECK_EQ(bytes % 4096, 0);
	base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(base != MAP_FAILED);
	s = session_create(&config, base);
	REQUIRE(s != NULL);
	r = base;
	CHECK_EQ(r->magic, LEAT_ABI_MAGIC);
	CHECK_EQ(r->version, LEAT_ABI_VERSION);
	CHECK_EQ(r->size_bytes, bytes);
	CHECK_EQ(r->workers, 3);
	CHECK(r->context_offset >= sizeof(*r));
	CHECK(r->channel_offset >=
	      r->context_offset + config.contexts * sizeof(struct leat_context));
	CHECK(r->channel_stride >= leat_channel_size(r->queue_entries, r->grant_entries));
	CHECK(r->slot_offset >= r->channel_offset + r->channel_stride * 3 * config.contexts);
	CHECK(r->rx_link_offset >= r->slot_offset + sizeof(struct leat_slot) * 300);
	CHECK(r->tx_link_offset >= r->rx_link_offset + sizeof(uint32_t) * 150);
	CHECK(r->rx_urgent_offset >= r->tx_link_offset + sizeof(uint32_t) * 150);
	CHECK(r->tx_urgent_offset >= r->rx_urgent_offset + sizeof(struct leat_urgent) * 300);
	CHECK(r->lock_offset >= r->tx_urgent_offset + sizeof(uint64_t) * 300);
	CHECK(r->chunk_offset >= r->lock_offset + LEAT_LOCKS_BYTES);
	CHECK(r->size_bytes >= r->chunk_offset + ((uint64_t)150 << r->chunk_shift));
	CHECK_EQ(r->chunk_offset % (1u << r->chunk_shift), 0);
	CHECK_EQ(r->slot_offset % LEAT_CACHE_LINE, 0);
	CHECK_EQ(r->channel_stride % LEAT_CACHE_LINE, 0);
	/* The last byte of the last part can be written. */
	((uint8_t *)base)[bytes - 1] = 1;
	session_free(s);
	munmap(base, bytes);
}

static void what_the_application_writes_into_the_header_is_not_believed(void)
{
	struct host *h = host_new(NULL);
	struct leat_region saved = *h->app.region;
	struct app_sock s;

	fake_use(h);
	h->app.manual = true;
	memset(h->region, 0xff, sizeof(struct leat_region));
	host_poll(h);
	CHECK_EQ(h->condemned, 0);
	*(struct leat_region *)h->region = saved;
	h->app.manual = false;
	CHECK_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	host_end(h);
}

static void slots_run_out_and_come_back(void)
{
	struct host_config config = host_config_default();
	struct app_sock s[5];
	struct host *h;

	config.session.slots_per_worker = 4;
	h = host_new(&config);
	fake_use(h);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(app_socket(&h->app, SOCK_STREAM, &s[i]), 0);
	CHECK_EQ(app_socket(&h->app, SOCK_STREAM, &s[4]), -ENFILE);
	CHECK_EQ(fake_calls.aborted, 1); /* the one without a slot was not leaked */
	CHECK_EQ(app_close(&s[2]), 0);
	CHECK_EQ(app_socket(&h->app, SOCK_STREAM, &s[4]), 0);
	CHECK_EQ(s[4].handle.slot, s[2].handle.slot);
	host_end(h);
}

static void a_slot_used_again_shows_nothing_of_the_last_sock(void)
{
	struct host *h = host_new(NULL);
	struct app_sock s;

	fake_use(h);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	app_write_pattern(&s, 100);
	fake_receive(h->w, host_sock(&s), 100);
	sock_raise_error(h->w, host_sock(&s), ECONNRESET);
	host_poll(h);
	REQUIRE_EQ(app_close(&s), 0);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	CHECK_EQ(s.slot->tx_tail, 0);
	CHECK_EQ(s.slot->rx_tail, 0);
	CHECK_EQ(s.slot->error, 0);
	CHECK_EQ(s.slot->events, 0);
	CHECK_EQ(s.slot->tx_restart, LEAT_NO_OFFSET);
	CHECK_EQ(app_write_pattern(&s, 100), 100);
	host_poll(h);
	CHECK_EQ(h->condemned, 0);
	host_end(h);
}

static void close_with_unread_bytes_is_a_reset(void)
{
	struct host *h = host_new(NULL);
	struct app_sock s;

	fake_use(h);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	fake_receive(h->w, host_sock(&s), 10);
	host_poll(h);
	CHECK_EQ(app_read_pattern(&s, 9), 9);
	CHECK_EQ(app_close(&s), 0);
	CHECK(s.slot->events & LEAT_EV_HUP); /* whoever still looks sees that it is over */
	CHECK_EQ(fake_calls.aborted, 1);

	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	fake_receive(h->w, host_sock(&s), 10);
	host_poll(h);
	CHECK_EQ(app_read_pattern(&s, 10), 10);
	CHECK_EQ(app_close(&s), 0);
	CHECK_EQ(fake_calls.aborted, 1);
	CHECK_EQ(fake_calls.closed, 1);
	host_end(h);
}

static void a_condemned_session_harms_no_other(void)
{
	struct session_config config;
	struct host *h = host_new(NULL);
	struct session *other;
	struct app app = {.base = NULL};
	struct app_sock s;
	void *base;

	fake_use(h);
	config = h->config.session;
	base = mmap(NULL, session_region_bytes(&config), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(base != MAP_FAILED);
	other = session_create(&config, base);
	REQUIRE(other != NULL);
	arena_attach(h->w, &other->arenas[0]);
	channel_open(h->w, &other->arenas[0], 0, 0, -1);
	app_init(&app, h, base);
	app_open_context(&app, 0);

	app.channel[0][0].shared->sq_tail += 1000;
	host_poll(h);
	CHECK_EQ(h->condemned, 1);
	CHECK_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	arena_close(h->w, &other->arenas[0], true);
	CHECK_EQ(h->drained, 1);
	CHECK_EQ(app_close(&s), 0);
	session_free(other);
	munmap(base, session_region_bytes(&config));
	host_end(h);
}

static void an_arena_drains_only_when_its_last_mbuf_is_gone(void)
{
	struct host *h = host_new(NULL);
	struct rte_mbuf *m;
	struct app_sock s;

	fake_use(h);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	app_write_pattern(&s, 4000);
	host_poll(h);
	m = worker_mbuf(h->w);
	REQUIRE_EQ(tx_ring_append(h->w, &host_sock(&s)->ring, m, 0, 1448, false), 0);
	arena_close(h->w, &h->session->arenas[0], true);
	host_settle(h);
	CHECK_EQ(fake_calls.aborted, 1);
	CHECK_EQ(h->drained, 0); /* in quarantine */
	CHECK_EQ(h->session->arenas[0].retired_count, 1);
	rte_pktmbuf_free(m);
	host_poll(h);
	CHECK_EQ(h->drained, 1);
	session_free(h->session);
	h->session = NULL;
	h->app.manual = true;
	host_end(h);
}

static void fork_adds_a_holder_and_the_last_one_closes(void)
{
	struct host *h = host_new(NULL);
	struct arena *a = &h->session->arenas[0];
	struct app_sock s;

	fake_use(h);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	arena_fork(h->w, a, 0, 1);
	channel_open(h->w, a, 1, 1, -1); /* the child's context */
	app_open_context(&h->app, 1);
	CHECK_EQ(app_close(&s), 0); /* the parent's hold */
	CHECK_EQ(fake_calls.closed, 0);
	CHECK(host_sock(&s) != NULL);
	s.context = 1;
	CHECK_EQ(app_close(&s), 0);
	CHECK_EQ(fake_calls.closed, 1);
	CHECK(host_sock(&s) == NULL);
	host_end(h);
}

static void a_socks_events_move_to_another_context_of_a_holder(void)
{
	struct host *h = host_new(NULL);
	struct arena *a = &h->session->arenas[0];
	struct app_sock s;

	fake_use(h);
	channel_open(h->w, a, 1, 0, -1);
	app_open_context(&h->app, 1);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
	CHECK(host_sock(&s)->channel == &a->channels[0]);
	channel_close(h->w, a, 0);
	CHECK(host_sock(&s)->channel == &a->channels[1]);
	fake_receive(h->w, host_sock(&s), 5);
	host_poll(h);
	CHECK(app_take_events(&s) & LEAT_EV_IN);
	host_end(h);
}

static void a_dead_process_lets_go_of_everything(void)
{
	struct host *h = host_new(NULL);
	struct arena *a = &h->session->arenas[0];
	struct app_sock mine, shared;

	fake_use(h);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &shared), 0);
	arena_fork(h->w, a, 0, 1);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &mine), 0);
	app_write_pattern(&mine, 100); /* written, and not yet synced: is to be sent */
	arena_process_exit(h->w, a, 0);
	CHECK_EQ(fake_calls.closed, 1);
	CHECK(host_sock(&mine) == NULL);
	CHECK(host_sock(&shared) != NULL);
	CHECK(!a->channels[0].open);
	arena_process_exit(h->w, a, 1);
	CHECK(host_sock(&shared) == NULL);
	CHECK_EQ(fake_calls.closed, 2);
	host_end(h);
}

static void a_context_index_can_be_used_again(void)
{
	struct host *h = host_new(NULL);
	struct arena *a = &h->session->arenas[0];
	struct app_sock s;

	fake_use(h);
	for (int i = 0; i < 20; i++) {
		channel_open(h->w, a, 1, 0, -1);
		app_open_context(&h->app, 1);
		REQUIRE_EQ(app_socket_on(&h->app, 1, 0, SOCK_STREAM, &s), 0);
		CHECK(app_write_pattern(&s, 5000) == 5000);
		host_poll(h);
		CHECK_EQ(app_close(&s), 0);
		channel_close(h->w, a, 1);
		h->app.channel[1][0].open = false;
	}
	CHECK_EQ(h->condemned, 0);
	host_end(h);
}

TEST_SUITE(session)
{
	TEST(parts_of_a_region_do_not_overlap);
	TEST(what_the_application_writes_into_the_header_is_not_believed);
	TEST(slots_run_out_and_come_back);
	TEST(a_slot_used_again_shows_nothing_of_the_last_sock);
	TEST(close_with_unread_bytes_is_a_reset);
	TEST(a_condemned_session_harms_no_other);
	TEST(an_arena_drains_only_when_its_last_mbuf_is_gone);
	TEST(fork_adds_a_holder_and_the_last_one_closes);
	TEST(a_socks_events_move_to_another_context_of_a_holder);
	TEST(a_dead_process_lets_go_of_everything);
	TEST(a_context_index_can_be_used_again);
}
