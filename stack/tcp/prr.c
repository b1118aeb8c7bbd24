/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 9937 section 6.2, with its names beside ours. */
#include "tcp/prr.h"

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* A recovery that lasts for 4 GiB has long reached ssthresh: the sums may stop there. */
static uint32_t add_saturated(uint32_t a, uint32_t b)
{
	return b > UINT32_MAX - a ? UINT32_MAX : a + b;
}

static uint64_t sub_or_zero(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

void prr_begin(struct prr *p, uint32_t outstanding_bytes, uint32_t ssthresh_bytes)
{
	*p = (struct prr){
		.recover_bytes = max_u32(outstanding_bytes, 1), /* it divides */
		.ssthresh_bytes = ssthresh_bytes,
	};
}

/* More is in flight than shall be: send in proportion to what arrives. */
static uint32_t send_proportionally(const struct prr *p)
{
	uint64_t target = (uint64_t)p->delivered_bytes * p->ssthresh_bytes;
	uint64_t share = target / p->recover_bytes + (target % p->recover_bytes != 0);

	share = sub_or_zero(share, p->sent_bytes);
	return share > UINT32_MAX ? UINT32_MAX : (uint32_t)share;
}

/* Less is in flight than may be.  PRR-CRB: no more than arrived.  PRR-SSRB: a segment beyond,
 * when the ACK shows that the repair goes well (SafeACK). */
static uint32_t send_to_catch_up(const struct prr *p, uint32_t delivered_bytes,
				 uint32_t in_flight_bytes, bool safe, uint32_t mss_bytes)
{
	uint32_t owed = (uint32_t)sub_or_zero(p->delivered_bytes, p->sent_bytes);
	uint32_t bytes = max_u32(owed, delivered_bytes);

	if (safe)
		bytes = add_saturated(bytes, mss_bytes);
	return min_u32(bytes, p->ssthresh_bytes - in_flight_bytes);
}

uint32_t prr_ack(struct prr *p, uint32_t delivered_bytes, uint32_t in_flight_bytes,
		 bool lost_detected, uint32_t mss_bytes, bool una_advanced)
{
	uint32_t send_bytes; /* sndcnt */

	p->delivered_bytes = add_saturated(p->delivered_bytes, delivered_bytes);
	if (in_flight_bytes > p->ssthresh_bytes)
		send_bytes = send_proportionally(p);
	else
		send_bytes = send_to_catch_up(p, delivered_bytes, in_flight_bytes,
					      una_advanced && !lost_detected, mss_bytes);
	if (p->sent_bytes == 0 && send_bytes == 0) /* the fast retransmission itself goes always */
		send_bytes = mss_bytes;
	return add_saturated(in_flight_bytes, send_bytes);
}

void prr_sent(struct prr *p, uint32_t bytes)
{
	p->sent_bytes = add_saturated(p->sent_bytes, bytes);
}
