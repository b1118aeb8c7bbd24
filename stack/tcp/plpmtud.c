/* SPDX-License-Identifier: BSD-3-Clause */
#include "tcp/plpmtud.h"

_Static_assert(sizeof(struct plpmtud) == 12, "every connection has one");

static uint16_t min_u16(uint16_t a, uint16_t b)
{
	return a < b ? a : b;
}

static uint16_t max_u16(uint16_t a, uint16_t b)
{
	return a > b ? a : b;
}

/* ---- beginning ------------------------------------------------------------- */

void plpmtud_init(struct plpmtud *p, uint16_t mtu)
{
	*p = (struct plpmtud){.mtu = mtu, .high = mtu};
}

void plpmtud_init_small(struct plpmtud *p, uint16_t mtu)
{
	plpmtud_init(p, mtu);
	p->mtu = min_u16(mtu, PLPMTUD_BASE_MTU);
	if (p->mtu < mtu)
		p->state = PLPMTUD_BASE;
}

void plpmtud_search(struct plpmtud *p)
{
	p->high = UINT16_MAX;
	p->lost = 0;
	p->top = true;
	p->state = PLPMTUD_SEARCH;
}

/* ---- searching --------------------------------------------------------------- */

static void complete(struct plpmtud *p, uint64_t minute)
{
	p->lost = 0;
	p->top = false;
	p->state = PLPMTUD_COMPLETE;
	/* A minute that has begun does not count whole. */
	p->raise_minute = (uint8_t)(minute + PLPMTUD_RAISE_MINUTES + 1);
}

/* The clock's low bits go round in four hours: after a silence of more than two it may take as long
 * again until the path is looked at. */
static bool is_time_to_raise(const struct plpmtud *p, uint64_t minute)
{
	return (int8_t)((uint8_t)minute - p->raise_minute) >= 0;
}

static void go_on(struct plpmtud *p, uint64_t minute)
{
	if (p->high < p->mtu + PLPMTUD_STEP)
		complete(p, minute);
}

uint16_t plpmtud_probe_size(struct plpmtud *p, uint16_t limit, uint64_t minute)
{
	uint16_t high;

	if (p->state == PLPMTUD_COMPLETE && p->mtu < limit && is_time_to_raise(p, minute))
		plpmtud_search(p);
	if (p->state != PLPMTUD_SEARCH || p->probe != 0)
		return 0;
	high = min_u16(p->high, limit);
	/* The last few bytes are worth a probe only if nothing spoke against them. */
	if (high <= p->mtu || (!p->top && high < p->mtu + PLPMTUD_STEP)) {
		complete(p, minute);
		return 0;
	}
	return p->top ? high : (uint16_t)((p->mtu + high + 1) / 2);
}

void plpmtud_probe_sent(struct plpmtud *p, uint16_t size)
{
	p->probe = size;
}

void plpmtud_probe_acked(struct plpmtud *p, uint64_t minute)
{
	p->mtu = max_u16(p->mtu, p->probe);
	p->acked = p->mtu;
	p->probe = 0;
	p->lost = 0;
	if (p->top) /* as large as can be */
		complete(p, minute);
	else
		go_on(p, minute);
}

void plpmtud_probe_lost(struct plpmtud *p, uint64_t minute)
{
	uint16_t size = p->probe;

	p->probe = 0;
	if (++p->lost < PLPMTUD_MAX_PROBES)
		return;
	p->lost = 0;
	p->top = false;
	p->high = min_u16(p->high, size - 1);
	go_on(p, minute);
}

void plpmtud_probe_inconclusive(struct plpmtud *p)
{
	p->probe = 0;
}

/* ---- ordinary packets ---------------------------------------------------------- */

void plpmtud_packet_acked(struct plpmtud *p, uint16_t size)
{
	p->acked = max_u16(p->acked, size);
	if (size > p->claimed) /* a path that takes this takes more than was claimed */
		p->claimed = 0;
	if (size >= p->mtu && (p->state == PLPMTUD_BASE || p->state == PLPMTUD_ERROR))
		plpmtud_search(p);
}

/* What packets a path may take that does not take full ones. */
static uint16_t smaller_than(uint16_t full)
{
	return full > PLPMTUD_BASE_MTU ? PLPMTUD_BASE_MTU : max_u16(full / 2, PLPMTUD_MIN_MTU);
}

bool plpmtud_timeout(struct plpmtud *p, uint16_t size, uint16_t full, unsigned timeouts)
{
	uint16_t smaller = smaller_than(full);
	bool in_vain = (p->state == PLPMTUD_BASE || p->state == PLPMTUD_ERROR) && p->acked == 0;

	if (timeouts < PLPMTUD_TIMEOUTS || size <= smaller)
		return false;
	/* Maybe nothing arrives, whatever its size: there shall be time for an outage to pass. */
	if (in_vain && timeouts % PLPMTUD_TIMEOUTS != 0)
		return false;
	p->mtu = smaller;
	p->acked = 0;
	p->lost = 0;
	p->probe = 0;
	p->state = smaller == PLPMTUD_BASE_MTU ? PLPMTUD_BASE : PLPMTUD_ERROR;
	return true;
}

/* ---- messages -------------------------------------------------------------------- */

static void believe(struct plpmtud *p, uint16_t claimed, uint64_t minute)
{
	p->mtu = p->high = claimed;
	p->acked = 0;
	p->claimed = 0;
	p->probe = 0;
	complete(p, minute);
}

enum plpmtud_verdict plpmtud_too_big(struct plpmtud *p, uint16_t claimed, bool timed_out,
				     uint64_t minute)
{
	if (claimed < PLPMTUD_CLAIM_LEGAL)
		return PLPMTUD_IGNORED;
	claimed = max_u16(claimed, PLPMTUD_CLAIM_MIN);
	if (claimed >= p->mtu) {
		if (claimed >= p->probe)
			return PLPMTUD_IGNORED;
		p->probe = 0;
		p->lost = 0;
		p->top = false;
		p->high = claimed;
		go_on(p, minute);
		return PLPMTUD_PROBE_FAILED;
	}
	if (claimed < p->acked && !timed_out) {
		p->claimed = claimed;
		return PLPMTUD_DELAYED;
	}
	believe(p, claimed, minute);
	return PLPMTUD_SMALLER;
}

bool plpmtud_confirm(struct plpmtud *p, uint64_t minute)
{
	uint16_t claimed = p->claimed;

	if (claimed == 0)
		return false;
	p->claimed = 0;
	if (claimed >= p->mtu)
		return false;
	believe(p, claimed, minute);
	return true;
}
