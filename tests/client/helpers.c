/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers.h"

#include <leat/leat.h>
#include <unistd.h>

#include "support/test.h"

/* The runner's; this program has nothing to do with DPDK. */
int test_eal_init(const char *program)
{
	(void)program;
	return 0;
}

void test_eal_cleanup(void)
{
}

struct fake_daemon *fake_start_default(void)
{
	struct fake_config config = FAKE_CONFIG_DEFAULT;

	return fake_start(&config);
}

struct sockaddr_in ipv4_address(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr.s_addr = htonl(0xc0000201)};
}

int bind_port(int fd, uint16_t port)
{
	struct sockaddr_in local = ipv4_address(port);

	return leat_bind(fd, (struct sockaddr *)&local, sizeof(local));
}

int connect_port(int fd, uint16_t port)
{
	struct sockaddr_in peer = ipv4_address(port);

	return leat_connect(fd, (struct sockaddr *)&peer, sizeof(peer));
}

static int connected(int type)
{
	int fd = leat_socket(AF_INET, type, 0);

	REQUIRE(fd >= 0);
	REQUIRE_EQ(connect_port(fd, 80), 0);
	return fd;
}

int connected_stream(void)
{
	return connected(SOCK_STREAM);
}

int connected_datagram(void)
{
	return connected(SOCK_DGRAM);
}

int listening_stream(void)
{
	int fd = leat_socket(AF_INET, SOCK_STREAM, 0);

	REQUIRE(fd >= 0);
	REQUIRE_EQ(bind_port(fd, 8080), 0);
	REQUIRE_EQ(leat_listen(fd, 16), 0);
	return fd;
}

int socket_error(int fd)
{
	int error = -1;
	socklen_t length = sizeof(error);

	CHECK_EQ(leat_getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length), 0);
	return error;
}

static uint8_t pattern(size_t at)
{
	return (uint8_t)(at * 167 + (at >> 8) * 13 + 5);
}

void fill_pattern(void *data, size_t length, size_t offset)
{
	for (size_t i = 0; i < length; i++)
		((uint8_t *)data)[i] = pattern(offset + i);
}

bool is_pattern(const void *data, size_t length, size_t offset)
{
	for (size_t i = 0; i < length; i++) {
		if (((const uint8_t *)data)[i] != pattern(offset + i))
			return false;
	}
	return true;
}

void sleep_ms(unsigned ms)
{
	usleep(ms * 1000);
}

bool wait_for(const unsigned *value, unsigned wanted)
{
	for (int i = 0; i < 1000; i++) {
		if (__atomic_load_n(value, __ATOMIC_ACQUIRE) >= wanted)
			return true;
		sleep_ms(1);
	}
	return false;
}
