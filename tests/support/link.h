/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Joins two hosts: what one sends, the other receives after a delay.  Loss,
 * extra delay and duplication are scripted per frame or drawn from a seeded
 * generator, so that each run is the same.
 */
#ifndef LEAT_SUPPORT_LINK_H
#define LEAT_SUPPORT_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "support/host.h"

#define LINK_SCRIPT_MAX 64

/* One direction. */
struct link_way {
	struct host *from, *to;
	struct frame_queue flying; /* ordered by arrival */
	uint64_t count; /* frames sent so far: the index of the next */
	uint64_t lost;
	/* what happens to which frame (by index) */
	struct {
		uint64_t index;
		bool lose;
		bool duplicate;
		uint32_t extra_us;
	} script[LINK_SCRIPT_MAX];
	uint32_t script_count;
	/* to all frames */
	uint32_t delay_us;
	uint32_t loss_per_mille;
	uint32_t reorder_per_mille; /* of the frames are delayed by reorder_us more */
	uint32_t reorder_us;
	uint32_t duplicate_per_mille;
	uint32_t corrupt_per_mille; /* one bit of the transport's bytes is flipped */
	uint16_t mtu; /* larger packets are lost; 0: none is too large */
	bool tells; /* ... and a router says so (ICMP) */
	uint64_t too_big; /* packets lost so */
	/* the bottleneck */
	uint64_t rate_bps; /* bits per second; 0: no bound */
	uint32_t queue_bytes; /* what may wait for it; more is lost */
	uint64_t free_ns; /* when it will have sent all that waits */
	uint64_t overflowed; /* frames lost there */
};

struct link {
	struct link_way way[2]; /* 0: first host to second, 1: back */
	uint64_t random;
};

/* A second host, neighbour of one made with the default addresses. */
struct host_config link_peer_config(void);

void link_init(struct link *l, struct host *first, struct host *second, uint32_t delay_us);
/* Frees what is still under way. */
void link_fini(struct link *l);

void link_lose(struct link *l, int way, uint64_t index);
void link_delay(struct link *l, int way, uint64_t index, uint32_t extra_us);
void link_duplicate(struct link *l, int way, uint64_t index);

/* Both ends close; nothing may be left but TIME-WAIT and the listener.  Ends link and hosts. */
void link_close(struct link *l, struct app_sock *client, struct app_sock *server);

/* Lets time pass; ends early when done (may be NULL) says so.  True: it did. */
bool link_run(struct link *l, uint64_t limit_us, bool (*done)(void *arg), void *arg);

/* A connection over the link: second listens on HOST_PORT, first connects. */
void link_connect(struct link *l, struct app_sock *client, struct app_sock *server);

/* Sends bytes of the pattern one way, reading and comparing at the other end.  True: all of it, and
 * what was written before, arrived within limit_us. */
bool link_transfer(struct link *l, struct app_sock *from, struct app_sock *to, uint64_t bytes,
		   uint64_t limit_us);

#endif
