/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A path with one bottleneck, in virtual time: what congestion control is
 * tried on.  Flows with always something to send share a queue; the path
 * keeps the order, so a gap is a loss, found with the next ACK (a drop at the
 * tail of everything, too: no timeouts happen here).  A lost segment is made
 * good by sending another one.
 */
#ifndef LEAT_SUPPORT_PATH_H
#define LEAT_SUPPORT_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include "tcp/congestion.h"
#include "tcp/pacing.h"
#include "tcp/prr.h"

#define PATH_FLOWS 4

struct path_flow {
	const struct congestion_ops *ops; /* NULL: none */
	struct congestion c;
	struct pacing pacing;
	struct prr prr;
	bool in_recovery;
	bool app_limited; /* by the test: the flow never fills its window */
	uint64_t held_bytes; /* app_limited: in flight at most */

	/* All counted from the beginning; sequence numbers are the low 32 bits. */
	uint64_t sent_bytes; /* snd_max */
	uint64_t settled_bytes; /* snd_una: arrived or found lost */
	uint64_t delivered_bytes;
	uint64_t lost_bytes;
	uint32_t unreported_bytes; /* of them, those the next ACK tells of */
	uint64_t recover_bytes; /* recovery ends when this is settled */

	/* Rate samples: of the segment delivered last. */
	uint64_t delivered_us;
	uint64_t first_sent_us;
	uint64_t app_limited_until; /* delivered_bytes */

	/* For the test. */
	uint64_t reductions;
	uint32_t rtt_us; /* of the last segment delivered */
	uint32_t rtt_min_us; /* since path_watch */
	uint32_t rtt_max_us;
	uint64_t watched_bytes; /* delivered since then */
};

struct path {
	/* Given by the test. */
	uint64_t rate; /* bytes per second */
	uint32_t rtt_us; /* without queue */
	uint32_t queue_segments; /* what the bottleneck holds */
	uint32_t mark_segments; /* CE above; 0: never */
	uint32_t loss_ppm; /* random loss */

	uint64_t now_us;
	struct path_flow flows[PATH_FLOWS];

	/* Inside. */
	uint64_t free_ns; /* when the bottleneck has sent what it holds */
	uint64_t random;
	struct path_segment *ring; /* underway, in the order of their ACKs */
	uint64_t head, tail;
	uint64_t watch_us;
	uint32_t queue_max; /* segments, since path_watch */
	uint64_t drops;
};

/* The path's parameters are set, all else zero. */
void path_begin(struct path *p);
void path_end(struct path *p);
/* A flow begins now. */
struct path_flow *path_flow_begin(struct path *p, const struct congestion_ops *ops,
				  uint32_t mss_bytes);
void path_run(struct path *p, uint64_t until_us);
/* Figures of flows and queue begin anew. */
void path_watch(struct path *p);
/* Segments in the bottleneck now, of this size. */
uint32_t path_queue(const struct path *p, uint32_t mss_bytes);
/* Percent of the bottleneck's rate that the flow got since path_watch. */
uint32_t path_share(const struct path *p, const struct path_flow *f);
/* Bytes underway in an unloaded path at its full rate. */
uint64_t path_bdp(const struct path *p);
uint32_t path_flow_in_flight(const struct path_flow *f);

#endif
