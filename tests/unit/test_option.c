/* SPDX-License-Identifier: BSD-3-Clause */
/* Socket options: values in and out, and those that are a number in a field. */
#include "sock/option.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "sock/sock.h"
#include "support/test.h"

struct example_sock {
	struct sock sk;
	uint8_t before, small, after;
	uint16_t middle;
	uint32_t large;
};

static const struct option_field fields[] = {
	OPTION_FIELD(1, struct example_sock, small, 0, UINT8_MAX),
	OPTION_FIELD(2, struct example_sock, middle, 10, 1000),
	OPTION_FIELD(3, struct example_sock, large, -1, INT_MAX),
	{.bytes = 0},
};

static struct sock_option named(int16_t name, uint32_t length_bytes)
{
	return (struct sock_option){.name = name, .length_bytes = length_bytes};
}

static void a_value_shorter_than_its_type_is_refused(void)
{
	struct sock_option option = named(1, sizeof(int) - 1);
	int value = 5;

	memset(option.value, 0xff, sizeof(option.value));
	CHECK_EQ(option_read_int(&option, &value), -EINVAL);
	CHECK_EQ(value, 5);
	option.length_bytes = sizeof(int);
	CHECK_EQ(option_read_int(&option, &value), 0);
	CHECK_EQ(value, -1);
}

static void a_short_buffer_gets_the_beginning(void)
{
	struct sock_option option = named(1, 2);

	CHECK_EQ(option_write_int(&option, 0x04030201), 0);
	CHECK_EQ(option.length_bytes, 2);
	CHECK_EQ(option.value[1], 2);
	CHECK_EQ(option.value[2], 0);
}

static void a_long_buffer_gets_the_length_of_the_value(void)
{
	struct sock_option option = named(1, sizeof(option.value));
	int value;

	CHECK_EQ(option_write_int(&option, -7), 0);
	CHECK_EQ(option.length_bytes, sizeof(int));
	CHECK_EQ(option_read_int(&option, &value), 0);
	CHECK_EQ(value, -7);
}

static int field(const struct example_sock *s, int16_t name)
{
	struct sock_option option = named(name, sizeof(int));
	int value;

	REQUIRE_EQ(option_get_field(fields, &s->sk, &option), 0);
	REQUIRE_EQ(option_read_int(&option, &value), 0);
	return value;
}

static void fields_of_every_width_are_kept(void)
{
	static struct example_sock s;

	CHECK_EQ(option_set_field(fields, &s.sk, 1, 255), 0);
	CHECK_EQ(option_set_field(fields, &s.sk, 2, 1000), 0);
	CHECK_EQ(option_set_field(fields, &s.sk, 3, INT_MAX), 0);
	CHECK_EQ(field(&s, 1), 255);
	CHECK_EQ(field(&s, 2), 1000);
	CHECK_EQ(field(&s, 3), INT_MAX);
	CHECK_EQ(option_set_field(fields, &s.sk, 3, -1), 0);
	CHECK_EQ(field(&s, 3), -1);
	CHECK_EQ(s.before, 0);
	CHECK_EQ(s.after, 0);
}

static void a_field_keeps_to_its_range(void)
{
	static struct example_sock s;

	CHECK_EQ(option_set_field(fields, &s.sk, 2, 10), 0);
	CHECK_EQ(option_set_field(fields, &s.sk, 2, 9), -EINVAL);
	CHECK_EQ(option_set_field(fields, &s.sk, 2, 1001), -EINVAL);
	CHECK_EQ(option_set_field(fields, &s.sk, 2, 65546), -EINVAL); /* 10 in 16 bits */
	CHECK_EQ(s.middle, 10);
}

static void what_is_not_in_the_table_is_no_option(void)
{
	static struct example_sock s;
	struct sock_option option = named(4, sizeof(int));

	CHECK_EQ(option_set_field(fields, &s.sk, 4, 1), -ENOPROTOOPT);
	CHECK_EQ(option_get_field(fields, &s.sk, &option), -ENOPROTOOPT);
	CHECK_EQ(option_set_field(fields, &s.sk, 0, 1), -ENOPROTOOPT); /* the end's name */
}

TEST_SUITE(option)
{
	TEST(a_value_shorter_than_its_type_is_refused);
	TEST(a_short_buffer_gets_the_beginning);
	TEST(a_long_buffer_gets_the_length_of_the_value);
	TEST(fields_of_every_width_are_kept);
	TEST(a_field_keeps_to_its_range);
	TEST(what_is_not_in_the_table_is_no_option);
}
