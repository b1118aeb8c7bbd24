/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A fake application: the other side of the shared memory, written from
 * leat/abi.h alone and apart from the client library.  It keeps to the rules
 * unless a test writes into the region itself.
 *
 * Functions that submit and wait poll the host; they return 0 or -errno as the
 * completion said, -ETIMEDOUT when there was none.
 */
#ifndef LEAT_SUPPORT_APP_H
#define LEAT_SUPPORT_APP_H

#include <leat/abi.h>
#include <stdbool.h>
#include <stdint.h>

struct host;

#define APP_CONTEXTS 4
#define APP_WORKERS  2
#define APP_KEPT     256 /* completions put aside until somebody asks */

struct app_channel {
	struct leat_channel *shared;
	struct leat_sqe *sq;
	struct leat_cqe *cq;
	uint32_t *grants;
	uint32_t sq_tail;
	uint32_t cq_head;
	uint32_t grant_head;
	bool open;
};

struct app {
	struct host *host;
	uint8_t *base;
	const struct leat_region *region;
	struct leat_context *contexts;
	struct leat_slot *slots;
	uint32_t *rx_link;
	uint32_t *tx_link;
	struct leat_urgent *rx_urgent; /* by slot, as ... */
	uint64_t *tx_urgent;
	uint8_t *chunks;
	struct app_channel channel[APP_CONTEXTS][APP_WORKERS];
	uint64_t next_user_data;
	bool manual; /* app_pump is called by the test, not by host_poll */

	/* completions taken and not yet asked for */
	struct leat_cqe kept[APP_KEPT];
	uint16_t kept_context[APP_KEPT];
	uint32_t kept_count;
	uint32_t idle_count; /* LEAT_CQE_IDLE seen */
	uint32_t chunks_count; /* LEAT_CQE_CHUNKS seen */
};

/* A sock as the application sees it. */
struct app_sock {
	struct app *app;
	struct leat_handle handle;
	struct leat_slot *slot;
	uint16_t context;
	uint16_t worker;
	struct leat_addr peer; /* of an accepted one */
	uint64_t tx_tail;
	uint64_t rx_head;
	uint32_t tx_chunk; /* that holds byte tx_tail - 1 */
	uint32_t rx_chunk;
	bool tx_fresh; /* the next write restarts */
	uint32_t events; /* of LEAT_CQE_EVENT, since app_take_events */
	uint32_t event_count;
	struct leat_cqe last; /* answer to the last request */
};

void app_init(struct app *a, struct host *h, void *base);
/* Context's channel to every worker is open. */
void app_open_context(struct app *a, uint16_t context);

/* ---- queues ---- */

/* False: the SQ is full. */
bool app_submit(struct app *a, uint16_t context, uint16_t worker, const struct leat_sqe *sqe);
/* The next completion as it lies in the CQ; false: none. */
bool app_reap(struct app *a, uint16_t context, uint16_t worker, struct leat_cqe *cqe);
/* Reaps all CQs into kept. */
void app_pump(struct app *a);
/* Submits, polls, returns the result; cqe may be NULL. */
int app_call(struct app *a, uint16_t context, uint16_t worker, struct leat_sqe *sqe,
	     struct leat_cqe *cqe);
/* The result of a submission made earlier; -ETIMEDOUT: not there (yet). */
int app_result(struct app *a, uint64_t user_data, struct leat_cqe *cqe);
/* The oldest kept accept completion of listener (any context); false: none. */
bool app_take_accept(struct app *a, const struct app_sock *listener, struct leat_cqe *cqe,
		     uint16_t *context);
/* Events that came for s, ORed; forgets them. */
uint32_t app_take_events(struct app_sock *s);

/* ---- socks ---- */

int app_socket(struct app *a, int type, struct app_sock *s);
int app_socket_on(struct app *a, uint16_t context, uint16_t worker, int type, struct app_sock *s);
struct leat_addr app_addr(uint32_t address, uint16_t port); /* host order */
int app_bind(struct app_sock *s, uint32_t address, uint16_t port);
int app_listen(struct app_sock *s, int backlog);
int app_connect(struct app_sock *s, uint32_t address, uint16_t port);
int app_shutdown(struct app_sock *s, int how);
int app_close(struct app_sock *s);
int app_setsockopt(struct app_sock *s, int level, int name, const void *value, uint32_t length);
int app_getsockopt(struct app_sock *s, int level, int name, void *value, uint32_t length);
int app_getname(struct app_sock *s, bool peer, struct leat_addr *out);
void app_credit(struct app_sock *listener, uint16_t context, int credits);
void app_uncredit(struct app_sock *listener, uint16_t context);
/* Takes a connection: an offer already there, else after one credit.  -EAGAIN: none. */
int app_accept(struct app_sock *listener, struct app_sock *s);
/* Makes s the sock of an accept completion, unless the offer was revoked: false. */
bool app_claim(struct app *a, const struct leat_cqe *cqe, uint16_t context, struct app_sock *s);

/* ---- bytes ---- */

/* How many bytes were taken: less than length when limit or chunks are used up.  The worker is
 * told; poll it. */
uint32_t app_write(struct app_sock *s, const void *data, uint32_t length);
/* The same, the last byte urgent (MSG_OOB). */
uint32_t app_write_urgent(struct app_sock *s, const void *data, uint32_t length);
/* Continues the pattern at the stream's offset. */
uint32_t app_write_pattern(struct app_sock *s, uint32_t length);
/* How far before the last urgent byte the application is; -1: there is none, or it was passed. */
int64_t app_mark(const struct app_sock *s);
/* How many bytes the worker says are no data any more. */
uint64_t app_hole(const struct app_sock *s);
/* How many bytes there are to read. */
uint64_t app_readable(const struct app_sock *s);
/* How many bytes it got. */
uint32_t app_read(struct app_sock *s, void *out, uint32_t length);
/* Reads up to length bytes and compares them with the pattern; how many. */
uint32_t app_read_pattern(struct app_sock *s, uint32_t length);
/* LEAT_OP_SYNC, unless one is pending. */
void app_kick(struct app_sock *s);
/* LEAT_OP_RELEASE: the next write restarts. */
void app_release(struct app_sock *s);

/* A record; false: no room. */
bool app_send_to(struct app_sock *s, const struct leat_addr *to, const void *data, uint32_t length);
/* The next record: its stored length, or -EAGAIN. */
int app_receive_from(struct app_sock *s, struct leat_addr *from, void *out, uint32_t room,
		     uint32_t *full_bytes);

static inline bool app_has(const struct app_sock *s, uint32_t state)
{
	return (__atomic_load_n(&s->slot->events, __ATOMIC_ACQUIRE) & state) == state;
}

#endif
