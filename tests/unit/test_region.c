/* SPDX-License-Identifier: BSD-3-Clause */
#include "region.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/test.h"

#define REGION_BYTES (4u << 20)
#define COUNT        3

static struct regions regions;

static void open_all(void)
{
	REQUIRE_EQ(regions_open(&regions, REGION_BYTES, COUNT, false, NULL, 0), 0);
}

static void regions_are_apart_and_zeroed_each_time(void)
{
	struct region r[COUNT];

	open_all();
	for (uint32_t i = 0; i < COUNT; i++) {
		REQUIRE_EQ(region_open(&regions, i, &r[i]), 0);
		CHECK_EQ(r[i].bytes, REGION_BYTES);
		CHECK(r[i].base >= regions.base &&
		      r[i].base + r[i].bytes <= regions.base + regions.bytes);
		CHECK(i == 0 || r[i].base >= r[i - 1].base + REGION_BYTES);
		memset(r[i].base, 0x11 * (int)(i + 1), r[i].bytes);
	}
	CHECK_EQ(r[0].base[REGION_BYTES - 1], 0x11);
	region_close(&regions, &r[1]);
	REQUIRE_EQ(region_open(&regions, 1, &r[1]), 0);
	CHECK_EQ(r[1].base[0], 0);
	CHECK_EQ(r[1].base[REGION_BYTES - 1], 0);
	for (uint32_t i = 0; i < COUNT; i++)
		region_close(&regions, &r[i]);
	regions_close(&regions);
}

static void a_region_cannot_change_its_size(void)
{
	struct region r;

	open_all();
	REQUIRE_EQ(region_open(&regions, 0, &r), 0);
	CHECK_EQ(fcntl(r.memfd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	CHECK(ftruncate(r.memfd, 0) != 0);
	CHECK(ftruncate(r.memfd, REGION_BYTES * 2) != 0);
	region_close(&regions, &r);
	regions_close(&regions);
}

/* What a hole in a region of huge pages does, when none is free: SIGBUS on the next touch. */
static void a_fault_gives_zero_memory_and_is_reported_once(void)
{
	struct pollfd fault = {.events = POLLIN};
	struct region r[2];
	int file = memfd_create("short", MFD_CLOEXEC);

	open_all();
	fault.fd = regions.fault_fd;
	REQUIRE_EQ(region_open(&regions, 0, &r[0]), 0);
	REQUIRE_EQ(region_open(&regions, 1, &r[1]), 0);
	r[0].base[0] = 1;
	REQUIRE(mmap(r[1].base, r[1].bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file,
		     0) == r[1].base);
	CHECK_EQ(poll(&fault, 1, 0), 0);
	CHECK_EQ(regions_next_fault(&regions), UINT32_MAX);
	CHECK_EQ(*(volatile uint8_t *)(r[1].base + REGION_BYTES - 1), 0);
	((volatile uint8_t *)r[1].base)[5] = 5;
	CHECK_EQ(poll(&fault, 1, 0), 1);
	CHECK_EQ(regions_next_fault(&regions), 1);
	CHECK_EQ(regions_next_fault(&regions), UINT32_MAX);
	CHECK_EQ(poll(&fault, 1, 0), 0);
	CHECK_EQ(r[0].base[0], 1); /* nobody else noticed */
	close(file);
	region_close(&regions, &r[0]);
	region_close(&regions, &r[1]);
	regions_close(&regions);
}

static void without_huge_pages_ordinary_ones_do(void)
{
	struct region r;

	REQUIRE_EQ(regions_open(&regions, REGION_BYTES - 4096, 1, true, NULL, 0), 0);
	REQUIRE_EQ(region_open(&regions, 0, &r), 0);
	CHECK_EQ(r.bytes, REGION_BYTES);
	memset(r.base, 1, r.bytes);
	region_close(&regions, &r);
	regions_close(&regions);
}

static void more_than_can_be_addressed_is_refused(void)
{
	CHECK_EQ(regions_open(&regions, 1ull << 40, 1024, false, NULL, 0), -E2BIG);
}

TEST_SUITE(region)
{
	TEST(regions_are_apart_and_zeroed_each_time);
	TEST(a_region_cannot_change_its_size);
	TEST(a_fault_gives_zero_memory_and_is_reported_once);
	TEST(without_huge_pages_ordinary_ones_do);
	TEST(more_than_can_be_addressed_is_refused);
}
