/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How large a packet the path takes: packetization layer path MTU discovery
 * (RFC 4821; RFC 8899 has the names) and what an ICMP "fragmentation needed"
 * may change (RFC 1191, with RFC 5927 section 7.2 against forged ones).  What
 * a packet of each size met is told here; how large packets may be is asked.
 * Sizes are those of IPv4 packets, headers included.
 *
 * DISABLED: nothing has spoken against the interface's MTU.  BASE: larger
 * packets vanished without a word, so smaller ones go.  ERROR: those of BASE's
 * size vanished, too.  SEARCH: probes, packets of ordinary data but larger
 * than others, look for more.  COMPLETE: found, until it is time to look again.
 */
#ifndef LEAT_TCP_PLPMTUD_H
#define LEAT_TCP_PLPMTUD_H

#include <stdbool.h>
#include <stdint.h>

#define PLPMTUD_BASE_MTU    1064u /* an MSS of 1024, as RFC 4821 section 7.2 advises */
#define PLPMTUD_MIN_MTU     128u /* headers, and the least MSS (TCP_MSS_MIN_BYTES) */
#define PLPMTUD_CLAIM_LEGAL 68u /* RFC 791: every link takes so much; less is a lie */
#define PLPMTUD_CLAIM_MIN \
	552u /* a message that claims less counts as if it claimed this, as Linux */
#define PLPMTUD_TIMEOUTS      3 /* so many in a row are a black hole, as Linux (tcp_retries1) */
#define PLPMTUD_MAX_PROBES    3 /* RFC 8899 section 5.1.2: lost ones make a size too large */
#define PLPMTUD_STEP          8u /* a search ends when it would gain less, as Linux */
#define PLPMTUD_RAISE_MINUTES 10 /* RFC 4821 section 7.7, RFC 1191 section 6.3 */

enum plpmtud_state {
	PLPMTUD_DISABLED,
	PLPMTUD_BASE,
	PLPMTUD_SEARCH,
	PLPMTUD_COMPLETE,
	PLPMTUD_ERROR,
};

struct plpmtud {
	uint16_t mtu; /* no packet but a probe is larger */
	uint16_t high; /* larger ones do not pass */
	uint16_t probe; /* size of the probe in flight; 0: none */
	uint16_t acked; /* of packets acknowledged the largest */
	uint16_t claimed; /* by a message that waits for a timeout to confirm it; 0: none */
	uint8_t state : 3; /* enum plpmtud_state */
	uint8_t lost : 2; /* probes of one size, in a row */
	uint8_t top : 1; /* the next probe is as large as can be: all was a mistake, maybe */
	uint8_t raise_minute; /* COMPLETE: when to look again, low 8 bits */
};

/* What came of a message. */
enum plpmtud_verdict {
	PLPMTUD_IGNORED,
	PLPMTUD_DELAYED, /* until a timeout confirms it */
	PLPMTUD_PROBE_FAILED, /* it was about the probe, which will not arrive */
	PLPMTUD_SMALLER, /* mtu is what it claimed */
};

/* A path begins, on an interface with this MTU. */
void plpmtud_init(struct plpmtud *p, uint16_t mtu);
/* The same, beginning small: what takes more is to be found out. */
void plpmtud_init_small(struct plpmtud *p, uint16_t mtu);

/* The path may be another one: look again. */
void plpmtud_search(struct plpmtud *p);

/* How large a probe may go now, limit at most; 0: none.  minute: a clock. */
uint16_t plpmtud_probe_size(struct plpmtud *p, uint16_t limit, uint64_t minute);

/* One went.  Then one of: it arrived; it was lost, and nothing else; nobody can tell. */
void plpmtud_probe_sent(struct plpmtud *p, uint16_t size);
void plpmtud_probe_acked(struct plpmtud *p, uint64_t minute);
void plpmtud_probe_lost(struct plpmtud *p, uint64_t minute);
void plpmtud_probe_inconclusive(struct plpmtud *p);

/* A packet at least that large arrived. */
void plpmtud_packet_acked(struct plpmtud *p, uint16_t size);

/* The first of the packets in flight, of that size where a full one has full, timed out for the
 * timeouts'th time in a row.  True: mtu is smaller now; PLPMTUD_TIMEOUTS more of them are for the
 * next step. */
bool plpmtud_timeout(struct plpmtud *p, uint16_t size, uint16_t full, unsigned timeouts);

/* There was a message for a packet in flight.  timed_out: nothing was acknowledged since the last
 * timeout. */
enum plpmtud_verdict plpmtud_too_big(struct plpmtud *p, uint16_t claimed, bool timed_out,
				     uint64_t minute);
/* A timeout says that what a message claimed may be so.  True: mtu is smaller now. */
bool plpmtud_confirm(struct plpmtud *p, uint64_t minute);

#endif
