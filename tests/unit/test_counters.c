/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/counters.h"

#include <ctype.h>
#include <string.h>

#include "support/test.h"

static void every_counter_has_a_name_and_a_text(void)
{
	for (int c = 0; c < CNT_MAX; c++) {
		const char *name = counter_name((enum counter)c);

		REQUIRE(name != NULL && counter_text((enum counter)c) != NULL);
		CHECK(strlen(name) > 0 && strlen(counter_text((enum counter)c)) > 0);
		for (const char *p = name; *p != '\0'; p++)
			CHECK(islower((unsigned char)*p) || isdigit((unsigned char)*p) ||
			      *p == '_');
	}
}

static void names_are_unique(void)
{
	for (int a = 0; a < CNT_MAX; a++)
		for (int b = a + 1; b < CNT_MAX; b++)
			CHECK(strcmp(counter_name((enum counter)a),
				     counter_name((enum counter)b)) != 0);
}

static void drops_are_told_from_events(void)
{
	CHECK(counter_is_drop(CNT_ip_checksum));
	CHECK(counter_is_drop(CNT_tcp_option));
	CHECK(!counter_is_drop(CNT_rx_packets));
	CHECK(!counter_is_drop(CNT_tcp_retransmit));
	CHECK(strcmp(counter_name(CNT_ip_checksum), "ip_checksum") == 0);
}

TEST_SUITE(counters)
{
	TEST(every_counter_has_a_name_and_a_text);
	TEST(names_are_unique);
	TEST(drops_are_told_from_events);
}
