/* SPDX-License-Identifier: BSD-3-Clause */
/* What the options of TCP do, with Linux's meaning. */
#include <errno.h>
#include <sys/socket.h>

#include "support/tcp_fixture.h"

#define MSS 1460u

__attribute__((unused)) static int set(struct app_sock *sock, int level, int name, int value)
{
	return app_setsockopt(sock, level, name, &value, sizeof(value));
}

__attribute__((unused)) static int get(struct app_sock *sock, int level, int name)
{
	int value = -1;

	CHECK_EQ(app_getsockopt(sock, level, name, &value, sizeof(value)), 0);
	return value;
}

static void open_socket(void)
{
	begin_unconnected(NULL);
	REQUIRE_EQ(app_socket(&h->app, SOCK_STREAM, &s), 0);
}

/* ---- TCP_CONGESTION ------------------------------------------------------------ */

static int set_congestion(struct app_sock *sock, const char *name)
{
	return app_setsockopt(sock, IPPROTO_TCP, TCP_CONGESTION, name, (uint32_t)strlen(name));
}

static void congestion_is(struct app_sock *sock, const char *name)
{
	char answer[CONGESTION_NAME_MAX];

	memset(answer, 'x', sizeof(answer));
	CHECK_EQ(app_getsockopt(sock, IPPROTO_TCP, TCP_CONGESTION, answer, sizeof(answer)), 0);
	CHECK_EQ(sock->last.option.length_bytes, sizeof(answer));
	CHECK(strcmp(answer, name) == 0);
}

static void congestion_control_is_chosen_by_name(void)
{
	open_socket();
	congestion_is(&s, "cubic");
	CHECK_EQ(set_congestion(&s, "bbr"), 0);
	congestion_is(&s, "bbr");
	CHECK_EQ(set_congestion(&s, "reno"), 0);
	congestion_is(&s, congestion_newreno.name);
	end();
}

static void an_unknown_congestion_control_is_not_found(void)
{
	open_socket();
	CHECK_EQ(set_congestion(&s, "vegas"), -ENOENT);
	CHECK_EQ(set_congestion(&s, "cubicc"), -ENOENT);
	CHECK_EQ(set_congestion(&s, ""), -EINVAL);
	congestion_is(&s, "cubic");
	end();
}

static void congestion_control_changes_on_an_open_connection(void)
{
	uint32_t cwnd_bytes;

	begin_connected(NULL);
	cwnd_bytes = tcp()->congestion.cwnd_bytes;
	CHECK_EQ(set_congestion(&s, "bbr"), 0);
	congestion_is(&s, "bbr");
	CHECK_EQ(tcp()->congestion.cwnd_bytes, cwnd_bytes);
	CHECK_EQ(set_congestion(&s, "cubic"), 0);
	CHECK_EQ(tcp()->congestion.cwnd_bytes, cwnd_bytes);
	end();
}

static void a_listener_passes_its_congestion_control_on(void)
{
	begin_unconnected(NULL);
	host_listen(h, 4);
	CHECK_EQ(set_congestion(&h->listener, "bbr"), 0);
	host_established(h, &peer, &s);
	congestion_is(&s, "bbr");
	end();
}

static void the_default_congestion_control_is_configured(void)
{
	struct host_config config = host_config_default();

	config.worker.congestion = &congestion_newreno;
	begin_connected(&config);
	congestion_is(&s, congestion_newreno.name);
	end();
}

TEST_SUITE(tcp_options)
{
	TEST(congestion_control_is_chosen_by_name);
	TEST(an_unknown_congestion_control_is_not_found);
	TEST(congestion_control_changes_on_an_open_connection);
	TEST(the_default_congestion_control_is_configured);
	TEST(a_listener_passes_its_congestion_control_on);
}
