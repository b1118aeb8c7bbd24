/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the suites below TCP play with: one host, and a packet that the test
 * builds for it.  A suite includes this once, in place of support/host.h, and
 * has them as h and b.
 */
#ifndef LEAT_SUPPORT_PACKET_FIXTURE_H
#define LEAT_SUPPORT_PACKET_FIXTURE_H

#include <netinet/ip_icmp.h>

#include "support/host.h"

static struct host *h;
static struct build b;

static inline void begin(void)
{
	h = host_new(NULL);
}

static inline void end(void)
{
	host_end(h);
}

/* An echo request with so many bytes of the pattern. */
static inline void build_echo(uint32_t bytes)
{
	host_build_ipv4(h, &b, IPPROTO_ICMP);
	build_icmp(&b, ICMP_ECHO, 0, 0x12345678);
	build_pattern(&b, 0, bytes);
	build_finish(&b);
}

/* What was built arrives. */
static inline void receive(void)
{
	host_inject(h, &b);
	host_settle(h);
}

#endif
