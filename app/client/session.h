/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The library's view of one attachment to leatd (session), and of one queue
 * pair per worker (context, the struct leat_cq of <leat/cq.h>).
 *
 * Locks, outermost first; nobody takes one further left while holding one
 * further right:
 *
 *     session.lock > ring lock > context.cq_lock > descriptor table > watch lock >
 *     epoll.lock > listener.lock > context.sq_lock, session.wait_lock
 *
 * All are free in a process with one thread, and in the ordinary case of
 * each thread using its own socks.  No lock is held while sleeping, but for a
 * context's answer_lock, which is outside all others.
 *
 * A thread that is inside its own context (own.c) needs no lock for what
 * belongs to it, and must not wait for any.
 */
#ifndef LEAT_CLIENT_SESSION_H
#define LEAT_CLIENT_SESSION_H

#include <leat/abi.h>
#include <leat/cq.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "atomics.h"
#include "inside.h"

struct sock;
struct socket;
struct waiter;

#define LIVENESS_CHECK_US 50000 /* who does not sleep looks this often whether leatd lives */
#define REQUEST_TIMEOUT_S 5 /* for an answer of leatd's control thread */
#define ATTACH_MAX_FDS    (LEAT_MAX_WORKERS + 2)

/*
 * How requests reach leatd: over its UNIX socket, over a connection to the
 * control thread in this process (inline mode), or by a call (tests).
 */
struct transport {
	/* A connection of this process; 0 or -errno. */
	int (*open)(struct transport *t);
	/* One request and its answer with up to ATTACH_MAX_FDS descriptors; 0 or -errno. */
	int (*request)(struct transport *t, const struct leat_attach_request *request,
		       struct leat_attach_reply *reply, int *fds, unsigned *fd_count);
	void (*close)(struct transport *t);
	int control_fd; /* hangs up when leatd ends; -1: it never does */
	void *region; /* NULL: to be mapped from the descriptor */
	const struct leat_inside *inside; /* who knows it once attached; NULL: nobody */
	char path[108];
};

void transport_unix(struct transport *t, const char *path);

struct session {
	/* the region */
	uint8_t *base;
	uint64_t size_bytes;
	struct leat_region layout; /* copy of its header */
	struct leat_slot *slots;
	uint32_t *rx_link;
	uint32_t *tx_link;
	struct leat_urgent *rx_urgent; /* by slot, as ... */
	uint64_t *tx_urgent;
	uint8_t *chunks;
	uint32_t chunk_mask;
	uint32_t slot_count;

	/* leatd */
	struct transport transport;
	int bell[LEAT_MAX_WORKERS];
	uint32_t process;
	bool dead; /* atomic */
	bool locks_ready; /* those in the region, which forked processes share */

	/* contexts and socks of this process */
	pthread_mutex_t lock; /* requests, contexts[] */
	struct leat_cq *contexts[LEAT_MAX_CONTEXTS];
	struct leat_cq
		*own[LEAT_MAX_CONTEXTS]; /* the socket API's of them; they go with the session */
	struct sock **socks; /* by slot; NULL: not a socket's */
	uint64_t next_call; /* atomic */
	uint32_t next_worker; /* atomic; home of the next socket */
	uint32_t refs; /* atomic: the process, each thread, each socket */

	/* sleepers (wait.c) */
	pthread_mutex_t wait_lock;
	LIST_HEAD(, waiter) waiters;
};

/* A submission somebody waits for; on its context's list, under cq_lock. */
struct call {
	LIST_ENTRY(call) link;
	uint64_t id;
	bool done; /* atomic */
	struct leat_cqe cqe;
};

/* A socket with a reserved descriptor that nobody has. */
struct spare {
	int fd;
	struct socket *socket;
};

#define SPARES_MAX  64
#define STARVED_MAX 32
#define IDLE_MAX    32

enum context_use {
	CONTEXT_OWN, /* of one thread, with all that belongs to it */
	CONTEXT_BECOMES_COMMON,
	CONTEXT_COMMON, /* other threads use it, too; it stays so */
};

/* A context's queues to and from one worker. */
struct channel {
	struct leat_channel *shared;
	struct leat_sqe *sq;
	struct leat_cqe *cq;
	uint32_t *grants;
	uint32_t sq_tail;
	uint32_t sq_head; /* as last seen */
	uint32_t cq_head; /* atomic: who does not hold cq_lock may look */
	uint32_t grant_head;
	uint32_t spare; /* first of the chunks taken but not used, linked by tx_link */
	uint32_t spare_count;
	bool asked; /* atomic; LEAT_OP_WANT_CHUNKS is under way */
	/* Socks to tell about LEAT_CQE_CHUNKS; more than STARVED_MAX: all of the context's. */
	uint32_t starved_count;
	struct leat_handle starved[STARVED_MAX];
};

struct leat_cq {
	struct session *session;
	struct leat_context *shared;
	uint32_t index; /* in the session */
	uint32_t workers;
	int wake_fd;
	uint32_t turn; /* worker whose completions are looked at first */
	uint32_t peeked; /* worker whose completion was shown last */
	int64_t alive_us; /* leatd was seen alive */
	uint32_t spin_us; /* how long to spin before sleeping; adapts */
	bool napping; /* atomic: a hint found its submission queue full; sleep only for a moment */
	bool raw; /* opened by leat_cq_open: not for the socket API, and one thread's */
	bool inside; /* atomic; its thread is, see own.c */
	uint8_t use; /* atomic, enum context_use */
	uint8_t fruitless; /* calls the quick way that found nothing */
	uint32_t spare_count; /* of what the quick way closed and will use again */
	struct spare spare[SPARES_MAX];

	/* for the socket API, where threads may share a context */
	pthread_mutex_t sq_lock; /* submissions and chunks */
	pthread_mutex_t cq_lock; /* completions, calls, idle */
	pthread_mutex_t answer_lock; /* leat_channel.answer, from the question to its end */
	LIST_HEAD(, call) calls;
	uint32_t
		idle_count; /* socks with LEAT_CQE_IDLE to handle; who finds no room is told again */
	struct leat_handle idle[IDLE_MAX];
	uint32_t threads; /* threads whose own it is; under session.lock */
	struct waiter *leader; /* sleeps on wake_fd; under session.wait_lock */
	uint32_t followers; /* atomic: sleepers who want to be told by who drains it */

	struct channel channel[];
};

static inline uint64_t context_bit(const struct leat_cq *cq)
{
	return UINT64_C(1) << cq->index;
}

/* ---- attach.c ---- */

/* A new session over t; 0 or -errno.  The caller owns one reference. */
int session_attach(const struct transport *t, struct session **out);
/* The process's session, attached to path if there is none that lives; 0 or -errno. */
int session_init(const char *path, struct session **out);
/* The process's session, maybe dead; NULL: never attached. */
struct session *session_current(void);
/* Makes s (whose reference it takes) the process's session. */
void session_install(struct session *s);
void session_get(struct session *s);
void session_put(struct session *s);
/* One more context of this process; 0 or -errno.  Under s->lock. */
int session_add_context(struct session *s, struct leat_cq **out);
/* leatd is gone: wakes everybody up. */
void session_mark_dead(struct session *s);
/* Looks at the control socket; false and marked dead if leatd is gone. */
bool session_is_alive(struct session *s);
/* The same for frequent callers: looks only every LIVENESS_CHECK_US. */
bool context_is_alive(struct leat_cq *cq);
/* In a forked child: attaches as the child of token with one new context; 0 or -errno. */
int session_attach_child(struct session *s, uint64_t token, struct leat_cq **out);
int session_request(struct session *s, uint32_t op, uint32_t value, uint64_t *token);

static inline unsigned session_worker(const struct session *s, struct leat_handle h)
{
	/* Mostly there is one worker, and no need for a division. */
	return h.slot < s->layout.slots_per_worker ? 0 : h.slot / s->layout.slots_per_worker;
}

/* ---- inside.c ---- */

/* The worker that the calling thread runs between calls, and in those that wait. */
struct own_worker {
	struct leat_own_worker worker;
	uint32_t first_slot; /* of its slots */
	uint32_t slot_count;
};
extern __thread struct own_worker own_worker __attribute__((tls_model("initial-exec")));

static inline bool own_worker_runs(void)
{
	return own_worker.worker.poll != NULL;
}

/* One iteration, see struct leat_own_worker. */
int own_worker_poll(int64_t limit_us);
/* Locks what may be held by somebody who waits for the calling thread's worker. */
void lock_polling(pthread_mutex_t *mutex);

static inline bool slot_is_own(uint32_t slot)
{
	return slot - own_worker.first_slot < own_worker.slot_count;
}

/* Between a store and a load of what the worker of slot writes: nothing to order on its own
 * thread. */
static inline void fence_worker(uint32_t slot)
{
	if (!slot_is_own(slot))
		fence_full();
}

/* ---- own.c: what a thread does with its own context, without locks ---- */

extern __thread struct leat_cq *thread_context __attribute__((tls_model("initial-exec")));

/* The thread that calls gets cq as its own, alone. */
void context_own(struct leat_cq *cq);
/* From now on other threads may use cq as well; once that is so, nobody is inside.  Any lock may be
 * held. */
void context_share(struct leat_cq *cq);
/* All of s. */
void contexts_share(struct session *s);

/* Before what belongs to cq (NULL: to nobody) is used: its owner does not expect others. */
static inline void context_touch(struct leat_cq *cq)
{
	if (cq != NULL && cq != thread_context && load_acquire(&cq->use) != CONTEXT_COMMON)
		context_share(cq);
}

/* Is the calling thread inside cq? */
static inline bool context_is_inside(const struct leat_cq *cq)
{
	return cq == thread_context && cq != NULL && load_relaxed(&cq->inside);
}

/*
 * The calling thread's context if it is its alone; the thread is then inside.
 * Until context_leave, which comes soon, it may use what belongs to the
 * context without a lock, and waits for nothing.  NULL: it takes locks.
 */
static inline struct leat_cq *context_enter(void)
{
	struct leat_cq *cq = thread_context;

	if (cq == NULL)
		return NULL;
	store_relaxed(&cq->inside, true);
	/* Ordered by context_share's barrier on all threads; here the compiler alone must know. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (load_acquire(&cq->use) == CONTEXT_OWN)
		return cq;
	store_release(&cq->inside, false);
	return NULL;
}

static inline void context_leave(struct leat_cq *cq)
{
	/* release: pairs with context_share's acquire */
	store_release(&cq->inside, false);
}

static inline void context_lock(struct leat_cq *cq, pthread_mutex_t *lock)
{
	if (context_is_inside(cq))
		return;
	context_touch(cq);
	pthread_mutex_lock(lock);
}

static inline void context_unlock(const struct leat_cq *cq, pthread_mutex_t *lock)
{
	if (!context_is_inside(cq))
		pthread_mutex_unlock(lock);
}

static inline void context_lock_sq(struct leat_cq *cq)
{
	context_lock(cq, &cq->sq_lock);
}

static inline void context_unlock_sq(struct leat_cq *cq)
{
	context_unlock(cq, &cq->sq_lock);
}

static inline void context_lock_cq(struct leat_cq *cq)
{
	context_lock(cq, &cq->cq_lock);
}

static inline void context_unlock_cq(struct leat_cq *cq)
{
	context_unlock(cq, &cq->cq_lock);
}

/* ---- context.c ---- */

struct leat_cq *context_create(struct session *s, uint32_t index, int wake_fd);
void context_free(struct leat_cq *cq);
/* The calling thread's context; 0 or -errno. */
int context_self(struct session *s, struct leat_cq **out);
/* The same without making one: NULL if it has none. */
struct leat_cq *context_self_or_null(struct session *s);
/* In a forked child: the calling thread's context in s was the parent's, ... */
void context_forget_thread(struct session *s);
/* ... and now it is cq. */
void context_adopt(struct leat_cq *cq);
/* Is there a completion? */
bool context_has_completions(const struct leat_cq *cq);
/* Takes and dispatches completions; true if there were any.  Takes ring locks. */
bool context_drain(struct leat_cq *cq);
/* The same the quick way, inside cq; false: there is one left that needs context_drain. */
bool context_drain_own(struct leat_cq *cq);
/* The same for each context of a mask. */
void contexts_drain(struct session *s, uint64_t contexts);
/* Submits, making room if need be; 0 or -ENETDOWN.  Any lock up to a ring lock may be held. */
int context_submit(struct leat_cq *cq, unsigned worker, const struct leat_sqe *sqe);
/* Submits if there is room; else the next sleep on cq is short, so that the caller's loop comes
 * by again.  True: submitted. */
bool context_try_submit(struct leat_cq *cq, unsigned worker, const struct leat_sqe *sqe);
/* The next free entry of a submission queue; NULL: it is full.  Under sq_lock. */
static inline struct leat_sqe *channel_entry(const struct leat_cq *cq, struct channel *ch)
{
	uint32_t entries = cq->session->layout.queue_entries;

	if (ch->sq_tail - ch->sq_head >= entries) {
		/* acquire: pairs with the worker's release after it copied the entry */
		ch->sq_head = load_acquire(&ch->shared->sq_head);
		if (ch->sq_tail - ch->sq_head >= entries)
			return NULL;
	}
	return &ch->sq[ch->sq_tail & (entries - 1)];
}

/* Whoever polls worker's submission queue left it to its doorbell. */
void context_ring_bell(struct leat_cq *cq, unsigned worker);

/* Submits what was written there. */
static inline void context_push(struct leat_cq *cq, unsigned worker)
{
	struct channel *ch = &cq->channel[worker];

	store_release(&ch->shared->sq_tail, ++ch->sq_tail);
	/* Pairs with the worker's fence between its doorbell and its last look at sq_tail.  On the
	 * worker's own thread it cannot be in between. */
	if (worker != own_worker.worker.number)
		fence_full();
	if (load_relaxed(&ch->shared->doorbell) != 0)
		context_ring_bell(cq, worker);
}

/* Makes room in a full submission queue: takes completions, rings the bell, yields. */
void context_relieve(struct leat_cq *cq, unsigned worker);
/* Submits and waits for the result: its value, and in *out the completion (may be NULL).  No
 * lock may be held. */
int context_call(struct leat_cq *cq, unsigned worker, struct leat_sqe *sqe, struct leat_cqe *out);

/* ---- ring.c ---- */

/* NULL: out of range or stale. */
struct leat_slot *session_slot(const struct session *s, struct leat_handle h);
/* The byte at offset of the receive ring, which is there. */
uint8_t ring_rx_byte(const struct session *s, const struct leat_slot *slot, uint64_t offset);
/* Are there chunks to write bytes more into?  No: asks for some, and the sock will be told.  h is
 * valid.  Under sq_lock. */
bool channel_has_chunks(struct leat_cq *cq, struct leat_handle h, size_t bytes);

/* ---- wait.c ---- */

struct wait {
	/* Takes in what happened, sets contexts, and says whether the wait is over. */
	bool (*check)(struct wait *w);
	uint64_t contexts; /* to sleep on */
	int64_t deadline_us; /* now_us() time; WAIT_FOREVER */
	int64_t nap_us; /* look again after at most so long; 0: no need */
	struct pollfd *kernel; /* kernel descriptors to wait for as well */
	nfds_t kernel_count;
};

#define WAIT_FOREVER INT64_MAX

int64_t now_us(void);
/* 0: check was true, or a kernel descriptor is ready (revents filled); -ETIMEDOUT; -EINTR;
 * -ENETDOWN.  s may be NULL: only kernel descriptors. */
int wait_run(struct session *s, struct wait *w);
/* Somebody drained cq and there were completions: tells its followers. */
void wait_tell_followers(struct leat_cq *cq);
/* Wakes every sleeper that waits for one of contexts. */
void wait_wake(struct session *s, uint64_t contexts);
/* The calling thread's waiter is that of another process. */
void wait_forget(void);

#endif
