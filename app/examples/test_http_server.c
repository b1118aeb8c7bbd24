/* SPDX-License-Identifier: BSD-3-Clause */
/* The server on a queue that is played here: what to do when it is full, when room or chunks are
 * missing, and when events come late. */
#include <CUnit/Basic.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common.h"
#include "http_server.h"
#include "placement.h"

#define FILE_BYTES 5000
#define REQUEST    "GET /file HTTP/1.1\r\nHost: a\r\n\r\n"

/* ---- The queue that is played ------------------------------------------- */

static struct {
	struct leat_cqe completions[16];
	unsigned head, tail;
	bool is_full; /* of submissions */
	bool is_leatd; /* not inline */
	int64_t waited_us; /* for completions; 0: did not */
	bool has_chunks;
	bool wants_chunks; /* LEAT_CQE_CHUNKS is asked for */
	size_t room; /* in the send ring */
	size_t late_room; /* comes when leat_cq_send_wake looks */
	size_t piece_bytes; /* of the send ring; 0: all of it */
	char sent[65536];
	size_t sent_bytes, reserved;
	char input[16384];
	size_t input_bytes, consumed;
	size_t first_piece; /* of the input; 0: all of it */
	bool at_end;
	unsigned told, shutdowns, closes, listeners;
	int credits;
} fake;

static void complete(struct leat_cqe cqe)
{
	fake.completions[fake.tail++ % 16] = cqe;
}

volatile sig_atomic_t stopped;

bool is_inline(void)
{
	return !fake.is_leatd;
}

void die_errno(const char *format, ...)
{
	perror(format);
	abort();
}

int leat_cq_open(struct leat_cq **out)
{
	*out = NULL;
	return 0;
}

void leat_cq_close(struct leat_cq *cq)
{
	(void)cq;
}

unsigned leat_cq_workers(const struct leat_cq *cq)
{
	(void)cq;
	return 1;
}

unsigned leat_cq_worker(const struct leat_cq *cq, struct leat_handle handle)
{
	(void)cq;
	(void)handle;
	return 0;
}

int leat_cq_submit(struct leat_cq *cq, unsigned worker, const struct leat_sqe *sqe)
{
	(void)cq;
	(void)worker;
	if (fake.is_full)
		return -EAGAIN;
	switch (sqe->op) {
	case LEAT_OP_CREDIT:
		fake.credits += sqe->value;
		break;
	case LEAT_OP_SHUTDOWN:
		fake.shutdowns++;
		break;
	case LEAT_OP_CLOSE:
		CU_ASSERT_EQUAL(fake.reserved, 0);
		fake.closes++;
		break;
	default:
		complete((struct leat_cqe){.type = LEAT_CQE_RESULT, .handle = {1000, 1}});
	}
	return 0;
}

int leat_cq_peek(struct leat_cq *cq, struct leat_cqe **cqe)
{
	(void)cq;
	*cqe = &fake.completions[fake.head % 16];
	return fake.head == fake.tail ? -EAGAIN : 0;
}

int leat_cq_wait(struct leat_cq *cq, struct leat_cqe **cqe, int64_t timeout_us)
{
	fake.waited_us = timeout_us;
	return leat_cq_peek(cq, cqe);
}

void leat_cq_seen(struct leat_cq *cq)
{
	(void)cq;
	fake.head++;
}

int leat_cq_claim(struct leat_cq *cq, const struct leat_cqe *accept)
{
	(void)cq;
	(void)accept;
	return 0;
}

ssize_t leat_cq_recv_peek(struct leat_cq *cq, struct leat_handle handle, struct iovec *iov,
			  int *iov_count)
{
	size_t bytes = fake.input_bytes - fake.consumed;

	(void)cq;
	(void)handle;
	*iov_count = bytes > 0;
	if (bytes == 0)
		return fake.at_end ? 0 : -EAGAIN;
	iov[0] = (struct iovec){fake.input + fake.consumed, bytes};
	if (fake.first_piece == 0 || fake.first_piece >= bytes)
		return (ssize_t)bytes;
	iov[0].iov_len = fake.first_piece;
	iov[1] = (struct iovec){fake.input + fake.consumed + fake.first_piece,
				bytes - fake.first_piece};
	*iov_count = 2;
	return (ssize_t)bytes;
}

int leat_cq_recv_consume(struct leat_cq *cq, struct leat_handle handle, size_t bytes)
{
	(void)cq;
	(void)handle;
	CU_ASSERT_TRUE(bytes <= fake.input_bytes - fake.consumed);
	fake.consumed += bytes;
	return 0;
}

/* How many bytes found a piece: fewer than are reserved, as with the real one. */
static size_t describe_room(size_t bytes, struct iovec *iov, int *iov_count)
{
	size_t at = 0;
	int used = 0;

	while (at < bytes && used < *iov_count) {
		size_t length = bytes - at;

		if (fake.piece_bytes != 0 && length > fake.piece_bytes)
			length = fake.piece_bytes;
		iov[used++] = (struct iovec){fake.sent + fake.sent_bytes + at, length};
		at += length;
	}
	*iov_count = used;
	return at;
}

ssize_t leat_cq_send_reserve(struct leat_cq *cq, struct leat_handle handle, size_t bytes,
			     struct iovec *iov, int *iov_count)
{
	(void)cq;
	(void)handle;
	if (fake.room == 0)
		return -EAGAIN;
	if (!fake.has_chunks) {
		fake.wants_chunks = true;
		return -EAGAIN;
	}
	fake.reserved = bytes < fake.room ? bytes : fake.room;
	return (ssize_t)describe_room(fake.reserved, iov, iov_count);
}

int leat_cq_send_commit(struct leat_cq *cq, struct leat_handle handle, size_t bytes)
{
	(void)cq;
	(void)handle;
	CU_ASSERT_TRUE(bytes <= fake.reserved);
	fake.sent_bytes += bytes;
	fake.room -= bytes;
	fake.reserved = 0;
	if (fake.is_full)
		return -EAGAIN;
	fake.told++;
	return 0;
}

int leat_cq_send_wake(struct leat_cq *cq, struct leat_handle handle, size_t bytes)
{
	(void)cq;
	(void)handle;
	fake.room += fake.late_room;
	fake.late_room = 0;
	return bytes <= fake.room;
}

int leat_cq_send_release(struct leat_cq *cq, struct leat_handle handle)
{
	(void)cq;
	(void)handle;
	return 0;
}

/* ---- Reaching a state --------------------------------------------------- */

static struct server *server;
static char root[] = "/tmp/leat-test-http-XXXXXX";
static const struct leat_handle client = {5000, 7};

static void tell(struct leat_handle handle, uint32_t events)
{
	complete((struct leat_cqe){.type = LEAT_CQE_EVENT, .handle = handle, .events = events});
}

/* A server with one connection. */
static void begin_connected(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};

	memset(&fake, 0, sizeof(fake));
	fake.has_chunks = true;
	fake.room = sizeof(fake.sent);
	server = server_open(&address, root, 30, 0);
	CU_ASSERT_TRUE(fake.credits > 0);
	complete((struct leat_cqe){.type = LEAT_CQE_ACCEPT, .handle = client});
	CU_ASSERT_EQUAL(server_turn(server), 1);
	CU_ASSERT_FALSE(TAILQ_EMPTY(&server->by_deadline));
}

static void receive(const char *text)
{
	memcpy(fake.input + fake.input_bytes, text, strlen(text));
	fake.input_bytes += strlen(text);
}

static void request(const char *text)
{
	receive(text);
	tell(client, LEAT_EV_IN);
	server_turn(server);
}

/* The connection is over, nothing of it is left, and an idle turn does nothing. */
static void end_closed(void)
{
	CU_ASSERT_TRUE(TAILQ_EMPTY(&server->by_deadline));
	CU_ASSERT_TRUE(TAILQ_EMPTY(&server->ready));
	CU_ASSERT_TRUE(TAILQ_EMPTY(&server->starved));
	CU_ASSERT_EQUAL(fake.closes, 1);
	CU_ASSERT_EQUAL(server_turn(server), 0);
	server_close(server);
	CU_ASSERT_EQUAL(fake.closes, 2); /* the listener */
}

static void end_by_client(void)
{
	fake.at_end = true;
	tell(client, LEAT_EV_IN | LEAT_EV_RDHUP);
	server_turn(server);
	end_closed();
}

/* Whole responses: heads, each with FILE_BYTES of body. */
static void check_sent(unsigned responses)
{
	unsigned heads = 0;
	size_t body = 0;

	for (size_t i = 0; i < fake.sent_bytes; i++) {
		heads += fake.sent_bytes - i >= 15 &&
			 memcmp(fake.sent + i, "HTTP/1.1 200 OK", 15) == 0;
		body += fake.sent[i] == '~';
	}
	CU_ASSERT_EQUAL(heads, responses);
	CU_ASSERT_EQUAL(body, (size_t)responses * FILE_BYTES);
}

/* ---- Tests -------------------------------------------------------------- */

static void requests_are_answered_in_one_turn(void)
{
	begin_connected();
	request(REQUEST REQUEST);
	check_sent(2);
	CU_ASSERT_EQUAL(fake.consumed, fake.input_bytes);
	CU_ASSERT_EQUAL(server_turn(server), 0);
	end_by_client();
}

static void request_and_end_in_one_event_are_both_seen(void)
{
	begin_connected();
	memcpy(fake.input, REQUEST, strlen(REQUEST));
	fake.input_bytes = strlen(REQUEST);
	fake.at_end = true;
	tell(client, LEAT_EV_IN | LEAT_EV_RDHUP);
	server_turn(server);
	check_sent(1);
	end_closed();
}

static void incomplete_request_stays_where_it_is(void)
{
	begin_connected();
	request("GET /file HTTP/1.1\r\nHo");
	CU_ASSERT_EQUAL(fake.consumed, 0);
	CU_ASSERT_EQUAL(server_turn(server), 0);
	request("st: a\r\n\r\n");
	check_sent(1);
	end_by_client();
}

static void request_in_two_pieces_is_read_as_one(void)
{
	for (size_t first = 1; first < strlen(REQUEST) + 2; first++) {
		begin_connected();
		fake.first_piece = first;
		request(REQUEST REQUEST);
		check_sent(2);
		CU_ASSERT_EQUAL(fake.consumed, fake.input_bytes);
		end_by_client();
	}
}

static void body_of_a_request_is_passed_over(void)
{
	begin_connected();
	request("GET /file HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n123");
	request("45678" REQUEST);
	check_sent(2);
	CU_ASSERT_EQUAL(fake.consumed, fake.input_bytes);
	end_by_client();
}

static void response_goes_on_when_there_is_room(void)
{
	begin_connected();
	fake.room = 100;
	request(REQUEST);
	CU_ASSERT_EQUAL(fake.sent_bytes, 100);
	CU_ASSERT_EQUAL(server_turn(server), 0); /* an event will tell */
	fake.room = 4000;
	tell(client, LEAT_EV_OUT);
	server_turn(server);
	CU_ASSERT_EQUAL(fake.sent_bytes, 4100);
	fake.room = 10000;
	tell(client, LEAT_EV_OUT);
	server_turn(server);
	check_sent(1);
	end_by_client();
}

static void response_goes_on_when_there_are_chunks(void)
{
	begin_connected();
	fake.has_chunks = false;
	request(REQUEST);
	CU_ASSERT_EQUAL(server_turn(server), 0);
	CU_ASSERT_FALSE(TAILQ_EMPTY(&server->starved));
	CU_ASSERT_TRUE(fake.wants_chunks);
	fake.has_chunks = true;
	complete((struct leat_cqe){.type = LEAT_CQE_CHUNKS});
	server_turn(server);
	check_sent(1);
	end_by_client();
}

static void response_goes_on_when_room_came_while_it_looked(void)
{
	begin_connected();
	fake.room = 100;
	fake.late_room = 10000;
	request(REQUEST);
	check_sent(1);
	CU_ASSERT_FALSE(fake.wants_chunks);
	CU_ASSERT_EQUAL(server_turn(server), 0);
	end_by_client();
}

static void response_without_room_and_chunks_asks_for_them(void)
{
	begin_connected();
	fake.room = 0;
	fake.late_room = 10000;
	fake.has_chunks = false;
	request(REQUEST);
	CU_ASSERT_FALSE(TAILQ_EMPTY(&server->starved));
	CU_ASSERT_TRUE(fake.wants_chunks);
	fake.has_chunks = true;
	complete((struct leat_cqe){.type = LEAT_CQE_CHUNKS});
	server_turn(server);
	check_sent(1);
	end_by_client();
}

/* Turns until it would sleep: when a second is over, one turn does not. */
static void turn_until_asleep(void)
{
	fake.waited_us = 0;
	for (int i = 0; i < 4 && fake.waited_us == 0; i++)
		server_turn(server);
}

static void response_without_chunks_tries_again_each_second(void)
{
	begin_connected();
	fake.is_leatd = true;
	fake.has_chunks = false;
	request(REQUEST);
	turn_until_asleep();
	CU_ASSERT_FALSE(TAILQ_EMPTY(&server->starved));
	CU_ASSERT_EQUAL(fake.waited_us, 1000000);
	fake.has_chunks = true; /* and nobody tells */
	server->now_s--;
	turn_until_asleep();
	turn_until_asleep();
	check_sent(1);
	CU_ASSERT_TRUE(fake.waited_us > 1000000);
	end_by_client();
}

static void what_a_full_queue_refused_is_told_later(void)
{
	begin_connected();
	fake.is_full = true;
	request(REQUEST);
	check_sent(1);
	CU_ASSERT_EQUAL(fake.told, 0);
	CU_ASSERT_TRUE(server_turn(server) > 0); /* it must not sleep */
	fake.is_full = false;
	CU_ASSERT_TRUE(server_turn(server) > 0);
	CU_ASSERT_EQUAL(fake.told, 1);
	CU_ASSERT_EQUAL(server_turn(server), 0);
	end_by_client();
}

static void end_and_close_are_repeated_when_refused(void)
{
	begin_connected();
	fake.is_full = true;
	request("GET /file HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	check_sent(1);
	CU_ASSERT_EQUAL(fake.shutdowns, 0);
	fake.is_full = false;
	server_turn(server);
	CU_ASSERT_EQUAL(fake.shutdowns, 1);
	fake.is_full = true;
	fake.at_end = true;
	tell(client, LEAT_EV_IN | LEAT_EV_RDHUP);
	server_turn(server);
	CU_ASSERT_TRUE(server_turn(server) > 0);
	CU_ASSERT_EQUAL(fake.closes, 0);
	fake.is_full = false;
	server_turn(server);
	end_closed();
}

static void reset_ends_a_response_that_waits(void)
{
	begin_connected();
	fake.room = 100;
	request(REQUEST);
	tell(client, LEAT_EV_ERR | LEAT_EV_HUP);
	server_turn(server);
	end_closed();
}

static void response_in_many_pieces_keeps_no_reservation(void)
{
	begin_connected();
	fake.piece_bytes = 2048;
	receive(REQUEST REQUEST REQUEST REQUEST REQUEST REQUEST);
	/* It has so many steps that the last request is taken, but not yet answered. */
	connection_run(server, TAILQ_FIRST(&server->by_deadline));
	check_sent(5);
	CU_ASSERT_EQUAL(fake.consumed, fake.input_bytes);
	CU_ASSERT_EQUAL(fake.reserved, 0);
	server_turn(server);
	check_sent(6);
	end_by_client();
}

static void close_gives_a_reservation_back(void)
{
	begin_connected();
	fake.reserved = 100;
	tell(client, LEAT_EV_ERR | LEAT_EV_HUP);
	server_turn(server);
	end_closed();
}

static void events_of_another_connection_in_the_slot_do_nothing(void)
{
	begin_connected();
	tell((struct leat_handle){client.slot, client.generation - 1}, LEAT_EV_ERR | LEAT_EV_HUP);
	tell((struct leat_handle){client.slot + 1, client.generation}, LEAT_EV_ERR | LEAT_EV_HUP);
	tell((struct leat_handle){UINT32_MAX, 1}, LEAT_EV_IN);
	server_turn(server);
	CU_ASSERT_EQUAL(fake.closes, 0);
	/* Two events for one connection; the first closes it. */
	tell(client, LEAT_EV_HUP);
	tell(client, LEAT_EV_IN);
	server_turn(server);
	end_closed();
}

static void credits_are_renewed(void)
{
	int before;

	begin_connected();
	before = fake.credits;
	for (uint32_t i = 1; i <= (uint32_t)before; i++) {
		struct leat_handle other = {client.slot + i, 1};

		complete((struct leat_cqe){.type = LEAT_CQE_ACCEPT, .handle = other});
		tell(other, LEAT_EV_HUP);
		server_turn(server);
	}
	CU_ASSERT_EQUAL(fake.closes, (unsigned)before);
	CU_ASSERT_TRUE(fake.credits >= before + before / 2);
	fake.closes = 0;
	end_by_client();
}

static int make_root(void)
{
	char path[64], content[FILE_BYTES];
	FILE *file;

	if (mkdtemp(root) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/file", root);
	file = fopen(path, "w");
	memset(content, '~', sizeof(content));
	return file == NULL || fwrite(content, 1, FILE_BYTES, file) != FILE_BYTES ||
	       fclose(file) != 0;
}

static int remove_root(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/file", root);
	return unlink(path) != 0 || rmdir(root) != 0;
}

int main(void)
{
	CU_pSuite suite;
	unsigned failed;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	suite = CU_add_suite("http_server", make_root, remove_root);
	CU_ADD_TEST(suite, requests_are_answered_in_one_turn);
	CU_ADD_TEST(suite, request_and_end_in_one_event_are_both_seen);
	CU_ADD_TEST(suite, incomplete_request_stays_where_it_is);
	CU_ADD_TEST(suite, request_in_two_pieces_is_read_as_one);
	CU_ADD_TEST(suite, body_of_a_request_is_passed_over);
	CU_ADD_TEST(suite, response_goes_on_when_there_is_room);
	CU_ADD_TEST(suite, response_goes_on_when_there_are_chunks);
	CU_ADD_TEST(suite, response_goes_on_when_room_came_while_it_looked);
	CU_ADD_TEST(suite, response_without_room_and_chunks_asks_for_them);
	CU_ADD_TEST(suite, response_without_chunks_tries_again_each_second);
	CU_ADD_TEST(suite, what_a_full_queue_refused_is_told_later);
	CU_ADD_TEST(suite, end_and_close_are_repeated_when_refused);
	CU_ADD_TEST(suite, reset_ends_a_response_that_waits);
	CU_ADD_TEST(suite, response_in_many_pieces_keeps_no_reservation);
	CU_ADD_TEST(suite, close_gives_a_reservation_back);
	CU_ADD_TEST(suite, events_of_another_connection_in_the_slot_do_nothing);
	CU_ADD_TEST(suite, credits_are_renewed);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	failed = CU_get_number_of_tests_failed();
	printf("%u passed, %u failed\n", CU_get_number_of_tests_run() - failed, failed);
	CU_cleanup_registry();
	return failed > 0;
}
