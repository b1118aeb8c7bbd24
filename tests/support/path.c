/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/path.h"

#include <stdlib.h>
#include <string.h>

#include "support/test.h"

#define RING_SEGMENTS (1u << 18)
#define NEVER         UINT64_MAX
#define NS_PER_US     1000u

/* A segment underway, with what is remembered of its sending (BBR draft, section 4.1.2.2). */
struct path_segment {
	struct path_flow *flow;
	uint64_t acked_us; /* when its ACK arrives */
	uint64_t sent_us;
	uint64_t delivered_bytes;
	uint64_t delivered_us;
	uint64_t first_sent_us;
	uint64_t lost_bytes;
	uint32_t in_flight_bytes;
	bool app_limited;
	bool dropped;
	bool marked;
};

void path_begin(struct path *p)
{
	p->random = 1;
	p->ring = calloc(RING_SEGMENTS, sizeof(*p->ring));
	REQUIRE(p->ring != NULL);
}

void path_end(struct path *p)
{
	for (unsigned i = 0; i < PATH_FLOWS; i++)
		if (p->flows[i].ops != NULL && p->flows[i].ops->pooled_bytes > 0)
			free(p->flows[i].c.private.pooled);
	free(p->ring);
	memset(p, 0, sizeof(*p));
}

struct path_flow *path_flow_begin(struct path *p, const struct congestion_ops *ops,
				  uint32_t mss_bytes)
{
	struct path_flow *f = p->flows;

	while (f->ops != NULL)
		f++;
	REQUIRE(f < p->flows + PATH_FLOWS);
	memset(f, 0, sizeof(*f));
	f->ops = ops;
	f->c.mss_bytes = mss_bytes;
	if (ops->pooled_bytes > 0)
		f->c.private.pooled = malloc(ops->pooled_bytes);
	f->delivered_us = p->now_us;
	ops->init(&f->c, p->now_us, false);
	return f;
}

/* ---- the bottleneck ------------------------------------------------------------ */

static uint64_t service_ns(const struct path *p, uint32_t bytes)
{
	return bytes * 1000000000ull / p->rate;
}

uint32_t path_queue(const struct path *p, uint32_t mss_bytes)
{
	uint64_t now_ns = p->now_us * NS_PER_US;

	return p->free_ns <= now_ns ? 0
				    : (uint32_t)((p->free_ns - now_ns) / service_ns(p, mss_bytes));
}

static bool is_lost_by_chance(struct path *p)
{
	p->random ^= p->random << 13;
	p->random ^= p->random >> 7;
	p->random ^= p->random << 17;
	return p->random % 1000000 < p->loss_ppm;
}

static void bottleneck_take(struct path *p, struct path_segment *s, uint32_t bytes)
{
	uint32_t queue = path_queue(p, bytes);
	uint64_t now_ns = p->now_us * NS_PER_US;

	if (queue > p->queue_max)
		p->queue_max = queue;
	if (queue >= p->queue_segments || is_lost_by_chance(p)) {
		s->dropped = true;
		p->drops++;
	} else {
		s->marked = p->mark_segments > 0 && queue >= p->mark_segments;
		p->free_ns = (p->free_ns > now_ns ? p->free_ns : now_ns) + service_ns(p, bytes);
	}
	s->acked_us = (p->free_ns > now_ns ? p->free_ns : now_ns) / NS_PER_US + p->rtt_us;
}

/* ---- sending --------------------------------------------------------------------- */

uint32_t path_flow_in_flight(const struct path_flow *f)
{
	return (uint32_t)(f->sent_bytes - f->delivered_bytes - f->lost_bytes);
}

static bool may_send(const struct path_flow *f)
{
	uint32_t in_flight = path_flow_in_flight(f);

	if (f->app_limited && in_flight + f->c.mss_bytes > f->held_bytes)
		return false;
	return in_flight + f->c.mss_bytes <= f->c.cwnd_bytes;
}

static uint64_t next_send_us(const struct path *p, const struct path_flow *f)
{
	if (f->ops == NULL || !may_send(f))
		return NEVER;
	return pacing_next_us(&f->pacing, f->c.pacing_rate, p->now_us);
}

static void send_segment(struct path *p, struct path_flow *f)
{
	struct path_segment *s = &p->ring[p->tail++ % RING_SEGMENTS];
	uint32_t bytes = f->c.mss_bytes;

	REQUIRE(p->tail - p->head < RING_SEGMENTS);
	if (path_flow_in_flight(f) == 0)
		f->first_sent_us = f->delivered_us = p->now_us;
	f->sent_bytes += bytes;
	*s = (struct path_segment){
		.flow = f,
		.sent_us = p->now_us,
		.delivered_bytes = f->delivered_bytes,
		.delivered_us = f->delivered_us,
		.first_sent_us = f->first_sent_us,
		.lost_bytes = f->lost_bytes,
		.in_flight_bytes = path_flow_in_flight(f),
		.app_limited = f->app_limited_until > f->delivered_bytes,
	};
	bottleneck_take(p, s, bytes);
	pacing_sent(&f->pacing, f->c.pacing_rate, bytes, bytes, p->now_us);
	if (f->in_recovery)
		prr_sent(&f->prr, bytes);
	if (f->app_limited && !may_send(f) && path_flow_in_flight(f) < f->c.cwnd_bytes)
		f->app_limited_until = f->delivered_bytes + path_flow_in_flight(f);
}

/* ---- acknowledgments ---------------------------------------------------------------- */

static void fill_sample(struct path *p, struct path_flow *f, const struct path_segment *s,
			struct congestion_ack *ack)
{
	uint64_t send_us = s->sent_us - s->first_sent_us;
	uint64_t ack_us = p->now_us - s->delivered_us;

	f->first_sent_us = s->sent_us;
	ack->app_limited = s->app_limited;
	ack->interval_us = (uint32_t)(send_us > ack_us ? send_us : ack_us);
	ack->delivered_bytes = (uint32_t)(f->delivered_bytes - s->delivered_bytes);
	ack->delivered_total = f->delivered_bytes;
	ack->prior_delivered = s->delivered_bytes;
	ack->tx_in_flight_bytes = s->in_flight_bytes;
	ack->lost_since_sent_bytes = (uint32_t)(f->lost_bytes - s->lost_bytes);
}

static void recovery_begin(struct path *p, struct path_flow *f, enum congestion_event why,
			   uint32_t outstanding_bytes)
{
	f->ops->reduce(&f->c, why, outstanding_bytes, p->now_us);
	f->reductions++;
	f->in_recovery = true;
	f->recover_bytes = f->sent_bytes;
	prr_begin(&f->prr, outstanding_bytes, f->c.ssthresh_bytes);
}

static void recovery_step(struct path *p, struct path_flow *f, const struct congestion_ack *ack)
{
	if (f->settled_bytes > f->recover_bytes) {
		f->in_recovery = false;
		f->ops->recovered(&f->c, ack->in_flight_bytes, p->now_us);
	} else if (!f->ops->owns_window) {
		f->c.cwnd_bytes = prr_ack(&f->prr, ack->acked_bytes, ack->in_flight_bytes,
					  ack->lost_bytes > 0, f->c.mss_bytes, true);
	}
}

static void note_rtt(struct path_flow *f, uint32_t rtt_us)
{
	f->rtt_us = rtt_us;
	if (rtt_us < f->rtt_min_us || f->rtt_min_us == 0)
		f->rtt_min_us = rtt_us;
	if (rtt_us > f->rtt_max_us)
		f->rtt_max_us = rtt_us;
}

/* A segment arrived; lost_bytes before it did not. */
static void delivered(struct path *p, struct path_flow *f, const struct path_segment *s,
		      uint32_t lost_bytes)
{
	uint32_t bytes = f->c.mss_bytes;
	uint32_t prior = path_flow_in_flight(f) + lost_bytes;
	struct congestion_ack ack = {
		.now_us = p->now_us,
		.acked_bytes = bytes,
		.lost_bytes = lost_bytes,
		.prior_in_flight_bytes = prior,
		.rtt_us = (uint32_t)(p->now_us - s->sent_us),
		.srtt_us = (uint32_t)(p->now_us - s->sent_us),
		.ce_bytes = s->marked ? bytes : 0,
		.cwnd_limited = !f->app_limited && prior + bytes > f->c.cwnd_bytes,
	};

	f->settled_bytes += bytes;
	f->delivered_bytes += bytes;
	f->watched_bytes += bytes;
	f->delivered_us = p->now_us;
	note_rtt(f, ack.rtt_us);
	fill_sample(p, f, s, &ack);
	ack.snd_una = (uint32_t)f->settled_bytes;
	ack.snd_max = (uint32_t)f->sent_bytes;
	ack.in_flight_bytes = path_flow_in_flight(f);
	if (!f->in_recovery && lost_bytes > 0)
		recovery_begin(p, f, CONGESTION_LOSS, prior);
	else if (!f->in_recovery && s->marked)
		recovery_begin(p, f, CONGESTION_ECN, prior);
	ack.in_recovery = f->in_recovery;
	f->ops->acked(&f->c, &ack);
	if (f->in_recovery)
		recovery_step(p, f, &ack);
}

/* All that was lost before the next arrival counts with it. */
static void take_ack(struct path *p)
{
	struct path_segment s = p->ring[p->head++ % RING_SEGMENTS];
	struct path_flow *f = s.flow;

	if (s.dropped) {
		f->settled_bytes += f->c.mss_bytes;
		f->lost_bytes += f->c.mss_bytes;
		f->unreported_bytes += f->c.mss_bytes;
		return;
	}
	delivered(p, f, &s, f->unreported_bytes);
	f->unreported_bytes = 0;
}

/* ---- time ------------------------------------------------------------------------------ */

void path_run(struct path *p, uint64_t until_us)
{
	for (;;) {
		uint64_t next_us = p->head < p->tail ? p->ring[p->head % RING_SEGMENTS].acked_us
						     : NEVER;
		struct path_flow *sender = NULL;

		for (unsigned i = 0; i < PATH_FLOWS; i++) {
			uint64_t send_us = next_send_us(p, &p->flows[i]);

			if (send_us <= next_us && send_us != NEVER) {
				next_us = send_us;
				sender = &p->flows[i];
			}
		}
		if (next_us > until_us)
			break;
		p->now_us = next_us > p->now_us ? next_us : p->now_us;
		if (sender != NULL)
			send_segment(p, sender);
		else
			take_ack(p);
	}
	p->now_us = until_us;
}

void path_watch(struct path *p)
{
	p->watch_us = p->now_us;
	p->queue_max = 0;
	for (unsigned i = 0; i < PATH_FLOWS; i++) {
		p->flows[i].watched_bytes = 0;
		p->flows[i].rtt_min_us = 0;
		p->flows[i].rtt_max_us = 0;
	}
}

uint64_t path_bdp(const struct path *p)
{
	return p->rate / 1000 * p->rtt_us / 1000;
}

uint32_t path_share(const struct path *p, const struct path_flow *f)
{
	uint64_t us = p->now_us - p->watch_us;

	return us == 0 ? 0 : (uint32_t)(f->watched_bytes * 100 / (p->rate / 1000 * us / 1000));
}
