/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/test.h"
#include "tcp/congestion.h"

#define PORT0 "[port0]\ndevice=net_tap0\naddress=198.18.0.2/24\n"

static struct config config;
static char error[1024];
static char path[64]; /* config.path points here */

/* Loads text as if it were a file. */
static int load(const char *text)
{
	int fd = memfd_create("leat.conf", MFD_CLOEXEC);
	int ret;

	REQUIRE(fd >= 0);
	REQUIRE(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	error[0] = '\0';
	ret = config_load(path, &config, error, sizeof(error));
	close(fd);
	return ret;
}

static void v4_is(const struct inet_addr *a, const char *expected)
{
	char text[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &a->v4, text, sizeof(text));
	if (strcmp(text, expected) != 0)
		test_fail(__FILE__, __LINE__, "address is %s, expected %s", text, expected);
	CHECK(inet_addr_eq(a, &(struct inet_addr){.v4 = a->v4})); /* the rest is zero */
}

static void the_least_is_one_port(void)
{
	CHECK_EQ(load(PORT0), 0);
	CHECK(strcmp(config.socket, LEAT_DEFAULT_SOCKET) == 0);
	REQUIRE_EQ(config.port_count, 1);
	CHECK(strcmp(config.ports[0].device, "net_tap0") == 0);
	v4_is(&config.ports[0].address, "198.18.0.2");
	CHECK_EQ(config.ports[0].prefix_length, 24);
	CHECK(inet_addr_is_any(&config.ports[0].gateway));
	CHECK_EQ(config.ports[0].mtu, 0);
	CHECK_EQ(config.ports[0].impair.limit, 0);
	CHECK_EQ(config.ports[0].device_line, 2);
}

static void a_program_with_the_stack_inside_needs_no_socket(void)
{
	CHECK_EQ(load(PORT0), 0);
	CHECK(config_serves(&config));
	CHECK_EQ(load("[leatd]\nsocket=none\n" PORT0), 0);
	CHECK(!config_serves(&config));
	CHECK_EQ(load("[leatd]\nsocket=nobody\n" PORT0), -EINVAL);
}

static void every_option_is_taken(void)
{
	CHECK_EQ(load("[leatd]\nsocket = /tmp/x.sock # ours\nidle_us=0\nmax_applications=3\n"
		      "max_socks=100\nmax_listeners=10\nmax_requests=20\nmax_time_wait=30\n"
		      "syn_cookies=no\n"
		      "mbufs=2048\nmbuf_bytes=9216\ncopybreak=1K\nrcvbuf=64K\nrcvbuf_max="
		      "1M\nsndbuf=128K\n"
		      "sndbuf_max=2M\ncongestion=bbr\necn=request\nmtu_probing=always\nfast_open="
		      "both\ncontexts="
		      "5\nqueue_entries="
		      "128\nslots_per_worker=99\n"
		      "chunks_per_worker=1000\nchunk_size=32K\nhuge_pages=no\n"
		      "[access]\nuid=1, 2,3\ngid = 7\nlow_ports_uid=4\n" PORT0
		      "gateway=198.18.0.1\nmtu=9000\nsoftware_checksum=yes\n"
		      "impair = loss=1.5%,delay=20ms,limit=512\n"
		      "[route3]\nprefix=192.0.2.0/25\ngateway=198.18.0.9\nport=0\n"),
		 0);
	CHECK(strcmp(config.socket, "/tmp/x.sock") == 0);
	CHECK_EQ(config.worker.idle_us, 0);
	CHECK_EQ(config.max_applications, 3);
	CHECK_EQ(config.worker.max_socks, 100);
	CHECK_EQ(config.worker.max_listeners, 10);
	CHECK_EQ(config.worker.max_requests, 20);
	CHECK_EQ(config.worker.max_time_wait, 30);
	CHECK(!config.worker.syn_cookies);
	CHECK_EQ(config.worker.mbufs, 2048);
	CHECK_EQ(config.worker.mbuf_bytes, 9216);
	CHECK_EQ(config.worker.copybreak_bytes, 1024);
	CHECK_EQ(config.worker.rcvbuf_bytes, 65536);
	CHECK_EQ(config.worker.rcvbuf_max_bytes, 1 << 20);
	CHECK_EQ(config.worker.sndbuf_bytes, 131072);
	CHECK_EQ(config.session.sndbuf_bytes, 131072);
	CHECK_EQ(config.worker.sndbuf_max_bytes, 2 << 20);
	CHECK(config.worker.congestion == &congestion_bbr);
	CHECK_EQ(config.worker.ecn, ECN_REQUEST);
	CHECK_EQ(config.worker.mtu_probing, MTU_PROBING_ALWAYS);
	CHECK_EQ(config.worker.fast_open, FAST_OPEN_BOTH);
	CHECK_EQ(config.session.contexts, 5);
	CHECK_EQ(config.session.queue_entries, 128);
	CHECK_EQ(config.session.slots_per_worker, 99);
	CHECK_EQ(config.session.chunks_per_worker, 1000);
	CHECK_EQ(config.session.chunk_shift, 15);
	CHECK(!config.huge_pages);
	CHECK_EQ(config.access.uids.count, 3);
	CHECK(config_ids_contain(&config.access.uids, 2));
	CHECK(!config_ids_contain(&config.access.uids, 0));
	CHECK(config_ids_contain(&config.access.gids, 7));
	CHECK(config_ids_contain(&config.access.low_ports_uids, 4));
	v4_is(&config.ports[0].gateway, "198.18.0.1");
	CHECK_EQ(config.ports[0].mtu, 9000);
	CHECK(config.ports[0].software_checksum);
	CHECK_EQ(config.ports[0].impair.loss_ppm, 15000);
	CHECK_EQ(config.ports[0].impair.delay_us, 20000);
	CHECK_EQ(config.ports[0].impair.limit, 512);
	REQUIRE_EQ(config.route_count, 1);
	v4_is(&config.routes[0].prefix, "192.0.2.0");
	CHECK_EQ(config.routes[0].prefix_length, 25);
	v4_is(&config.routes[0].gateway, "198.18.0.9");
	CHECK_EQ(config.routes[0].port_index, 0);
}

static void root_and_our_own_user_attach_by_default(void)
{
	CHECK_EQ(load(PORT0), 0);
	CHECK(config_ids_contain(&config.access.uids, 0));
	CHECK(config_ids_contain(&config.access.uids, geteuid()));
	CHECK(config_ids_contain(&config.access.low_ports_uids, 0));
	CHECK_EQ(config.access.low_ports_uids.count, 1);
}

static void a_group_alone_replaces_the_default_users(void)
{
	CHECK_EQ(load("[access]\ngid=7\n" PORT0), 0);
	CHECK_EQ(config.access.uids.count, 0);
}

static void users_are_named_too(void)
{
	CHECK_EQ(load("[access]\nuid=root\ngid=root\n" PORT0), 0);
	CHECK_EQ(config.access.uids.count, 1);
	CHECK_EQ(config.access.uids.id[0], 0);
}

static void a_route_finds_its_port_by_the_gateway(void)
{
	CHECK_EQ(load(PORT0 "[port4]\ndevice=net_tap1\naddress=198.18.1.2/24\n"
			    "[route0]\nprefix=0.0.0.0/0\ngateway=198.18.1.1\n"),
		 0);
	CHECK_EQ(config.routes[0].port_index, 1);
}

/* Comments alone switched on must not change anything: the file documents the defaults. */
static void the_documented_defaults_are_the_defaults(void)
{
	static struct config defaults;
	static char text[32768];
	char line[512];
	FILE *file = fopen(LEAT_CONF, "re");

	REQUIRE_EQ(load(PORT0), 0);
	defaults = config;
	REQUIRE(file != NULL);
	while (fgets(line, sizeof(line), file) != NULL) {
		/* "#key = value" is an option; "# text" is not. */
		const char *from = line[0] == '#' && line[1] != ' ' ? line + 1 : line;

		if (strncmp(from, "gid", 3) != 0 && strncmp(from, "uid", 3) != 0)
			strcat(text, from);
	}
	fclose(file);
	CHECK_EQ(load(text), 0);
	if (error[0] != '\0')
		test_fail(__FILE__, __LINE__, "%s", error);
	CHECK(strcmp(config.socket, defaults.socket) == 0);
	CHECK_MEM(&config.worker, &defaults.worker, sizeof(config.worker));
	CHECK_MEM(&config.session, &defaults.session, sizeof(config.session));
	CHECK_MEM(&config.access, &defaults.access, sizeof(config.access));
	CHECK_EQ(config.max_applications, defaults.max_applications);
	CHECK_EQ(config.huge_pages, defaults.huge_pages);
	CHECK_EQ(config.route_count, 1);
}

/* What is wrong, where, and a word of what the message must say about it. */
static const struct mistake {
	const char *text;
	unsigned line; /* 0: none is named */
	const char *section;
	const char *key;
	const char *says;
} mistakes[] = {
	{"[leatd]\nsokcet=/x\n" PORT0, 2, "[leatd]", "sokcet", "knows socket, idle_us"},
	{"[leatd]\nidle_us=1\n\nidle_us=2\n" PORT0, 4, "[leatd]", "idle_us", "first on line 2"},
	{PORT0 "[prot1]\nmtu=1500\n", 4, "[prot1]", "", "[port0] to [port15]"},
	{PORT0 "[port16]\nmtu=1500\n", 4, "[port16]", "", "no such section"},
	{PORT0 "[port01]\nmtu=1500\n", 4, "[port01]", "", "no such section"},
	{PORT0 "[port0]\nmtu=1500\n", 4, "[port0]", "", "first on line 1"},
	{"[leatd]\nidle_us=\n" PORT0, 2, "[leatd]", "idle_us", "no value"},
	{"[leatd]\nidle_us\n" PORT0, 2, "[leatd]", "", "key = value"},
	{"[leatd\n" PORT0, 1, "", "", "heading"},
	{"[leatd] x=1\n" PORT0, 1, "", "", "heading"},
	{"idle_us=1\n" PORT0, 1, "", "", "before the first option"},
	{"[leatd]\nidle_us=soon\n" PORT0, 2, "[leatd]", "idle_us", "0 to 1000000"},
	{"[leatd]\nidle_us=-1\n" PORT0, 2, "[leatd]", "idle_us", "0 to 1000000"},
	{"[leatd]\nidle_us=1x\n" PORT0, 2, "[leatd]", "idle_us", "\"1x\""},
	{"[leatd]\nmax_socks=99999999999999999999\n" PORT0, 2, "[leatd]", "max_socks", "16 to"},
	{"[leatd]\nchunk_size=5000\n" PORT0, 2, "[leatd]", "chunk_size", "power of two"},
	{"[leatd]\nrcvbuf=99999999999G\n" PORT0, 2, "[leatd]", "rcvbuf", "K, M or G"},
	{"[leatd]\nrcvbuf=64M\n" PORT0, 2, "[leatd]", "rcvbuf", "above rcvbuf_max"},
	{"[leatd]\nsndbuf_max=64K\n" PORT0, 0, "[leatd]", "sndbuf", "above sndbuf_max"},
	{"[leatd]\ncongestion=vegas\n" PORT0, 2, "[leatd]", "congestion",
	 "cubic, newreno (or reno), dctcp, bbr"},
	{"[leatd]\necn=on\n" PORT0, 2, "[leatd]", "ecn", "accept, request or off"},
	{"[leatd]\nmtu_probing=on\n" PORT0, 2, "[leatd]", "mtu_probing",
	 "blackhole, always or off"},
	{"[leatd]\nfast_open=yes\n" PORT0, 2, "[leatd]", "fast_open",
	 "off, client, server or both"},
	{"[leatd]\nsocket=leatd.sock\n" PORT0, 2, "[leatd]", "socket", "absolute"},
	{"[leatd]\nhuge_pages=maybe\n" PORT0, 2, "[leatd]", "huge_pages", "yes or no"},
	{"[access]\nuid=1,,2\n" PORT0, 2, "[access]", "uid", "commas"},
	{"[access]\ngid=no-such-group\n" PORT0, 2, "[access]", "gid", "group"},
	{"[port0]\naddress=198.18.0.2/24\n", 1, "[port0]", "device", "missing"},
	{"[port0]\ndevice=net_tap0\n", 1, "[port0]", "address", "missing"},
	{"[port0]\ndevice=net_tap0\naddress=198.18.0.256/24\n", 3, "[port0]", "address",
	 "198.18.0.2/24"},
	{"[port0]\ndevice=net_tap0\naddress=198.18.0.2\n", 3, "[port0]", "address", "prefix"},
	{"[port0]\ndevice=net_tap0\naddress=198.18.0.2/33\n", 3, "[port0]", "address", "prefix"},
	{"[port0]\ndevice=net_tap0\naddress=198.18.0.0/24\n", 3, "[port0]", "address", "host"},
	{"[port0]\ndevice=net_tap0\naddress=198.18.0.255/24\n", 3, "[port0]", "address", "host"},
	{"[port0]\ndevice=net_tap0\naddress=224.0.0.2/24\n", 3, "[port0]", "address", "host"},
	{PORT0 "gateway=192.0.2.1\n", 4, "[port0]", "gateway", "network"},
	{PORT0 "gateway=198.18.0.2\n", 4, "[port0]", "gateway", "another"},
	{PORT0 "gateway=nowhere\n", 4, "[port0]", "gateway", "IPv4 address"},
	{PORT0 "mtu=70000\n", 4, "[port0]", "mtu", "576 to 65535"},
	{PORT0 "impair=loss=1\n", 4, "[port0]", "impair", "0% to 100%"},
	{PORT0 "impair=lost=1%\n", 4, "[port0]", "impair", "there are loss, reorder"},
	{PORT0 "impair=loss=1%,loss=2%\n", 4, "[port0]", "impair", "twice"},
	{PORT0 "impair=yes\n", 4, "[port0]", "impair", "name=value"},
	{PORT0 "impair=limit=5000\n", 4, "[port0]", "impair", "at least 20000"},
	{PORT0 "impair=limit=2048\n[port1]\ndevice=net_tap1\naddress=198.18.1.2/24\n"
	       "impair=limit=2049\n",
	 8, "[port1]", "impair", "at least 16388"},
	{PORT0 "[port1]\ndevice=net_tap0\naddress=198.18.1.2/24\n", 5, "[port1]", "device",
	 "[port0]"},
	{PORT0 "[port1]\ndevice=net_tap1\naddress=198.18.0.2/24\n", 6, "[port1]", "address",
	 "[port0]"},
	{PORT0 "[route0]\ngateway=198.18.0.1\n", 4, "[route0]", "prefix", "missing"},
	{PORT0 "[route0]\nprefix=192.0.2.0/24\n", 4, "[route0]", "gateway", "missing"},
	{PORT0 "[route0]\nprefix=192.0.2.1/24\ngateway=198.18.0.1\n", 5, "[route0]", "prefix",
	 "behind its length"},
	{PORT0 "[route0]\nprefix=192.0.2.0/24\ngateway=203.0.113.1\n", 6, "[route0]", "gateway",
	 "any port"},
	{PORT0 "[route0]\nprefix=192.0.2.0/24\ngateway=198.18.0.1\nport=3\n", 7, "[route0]", "port",
	 "no [port3]"},
	{PORT0 "[route0]\nprefix=192.0.2.0/24\ngateway=198.18.0.1\n"
	       "[route1]\nprefix=192.0.2.0/24\ngateway=198.18.0.3\n",
	 8, "[route1]", "prefix", "[route0]"},
	{"[leatd]\nidle_us=1\n", 0, "", "", "add a section [port0]"},
	{"", 0, "", "", "add a section [port0]"},
};

static void mistakes_are_refused_with_place_and_remedy(void)
{
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		const struct mistake *m = &mistakes[i];
		char place[96] = "";

		CHECK_EQ(load(m->text), -EINVAL);
		if (m->line != 0)
			snprintf(place, sizeof(place), "%s:%u: ", path, m->line);
		if (strncmp(error, path, strlen(path)) != 0 ||
		    strncmp(error, place, strlen(place)) != 0 ||
		    strstr(error, m->section) == NULL || strstr(error, m->key) == NULL ||
		    strstr(error, m->says) == NULL)
			test_fail(__FILE__, __LINE__, "mistake %zu (%s): \"%s\"", i, m->says,
				  error);
	}
}

static void long_lines_and_names_are_refused(void)
{
	char text[1024] = "[leatd]\nsocket=/";
	size_t length = strlen(text);

	memset(text + length, 'x', 120);
	strcpy(text + length + 120, "\n" PORT0);
	CHECK_EQ(load(text), -EINVAL);
	CHECK(strstr(error, "longer than") != NULL);
	memset(text + length, 'x', 500);
	strcpy(text + length + 500, "\n" PORT0);
	CHECK_EQ(load(text), -EINVAL);
	CHECK(strstr(error, "longer than") != NULL);
	text[0] = '[';
	memset(text + 1, 'y', 100);
	strcpy(text + 101, "]\n" PORT0);
	CHECK_EQ(load(text), -EINVAL);
}

static void a_short_error_buffer_is_not_overrun(void)
{
	char small[40];

	memset(small, 'z', sizeof(small));
	CHECK_EQ(config_load("/proc/self/does-not-exist", &config, small, 20), -ENOENT);
	CHECK_EQ(strlen(small), 19);
	CHECK_EQ(small[20], 'z');
}

static void a_missing_file_is_named(void)
{
	CHECK_EQ(config_load("/nonexistent/leat.conf", &config, error, sizeof(error)), -ENOENT);
	CHECK(strstr(error, "/nonexistent/leat.conf") != NULL);
}

TEST_SUITE(config)
{
	TEST(the_least_is_one_port);
	TEST(a_program_with_the_stack_inside_needs_no_socket);
	TEST(every_option_is_taken);
	TEST(root_and_our_own_user_attach_by_default);
	TEST(a_group_alone_replaces_the_default_users);
	TEST(users_are_named_too);
	TEST(a_route_finds_its_port_by_the_gateway);
	TEST(the_documented_defaults_are_the_defaults);
	TEST(mistakes_are_refused_with_place_and_remedy);
	TEST(long_lines_and_names_are_refused);
	TEST(a_short_error_buffer_is_not_overrun);
	TEST(a_missing_file_is_named);
}
