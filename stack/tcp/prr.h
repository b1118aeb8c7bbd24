/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Proportional Rate Reduction (RFC 9937, which replaces RFC 6937): while a
 * loss is repaired, what may be in flight goes to ssthresh in step with what
 * arrives, neither in a burst nor with a pause of half a round trip.
 */
#ifndef LEAT_TCP_PRR_H
#define LEAT_TCP_PRR_H

#include <stdbool.h>
#include <stdint.h>

struct prr {
	uint32_t recover_bytes; /* RecoverFS: what was outstanding when recovery began */
	uint32_t ssthresh_bytes;
	uint32_t delivered_bytes; /* since then */
	uint32_t sent_bytes; /* prr_out: since then, retransmissions included */
};

/*
 * Recovery begins, before the ACK that began it goes to prr_ack.
 * outstanding_bytes: all that is sent and was not known to have arrived before that ACK, lost or
 * not (RecoverFS in RFC 9937 section 6.1; with prr_ack's delivered_bytes of that ACK in it).
 */
void prr_begin(struct prr *p, uint32_t outstanding_bytes, uint32_t ssthresh_bytes);

/*
 * An ACK of the recovery; returns the cwnd to send with now.
 * in_flight_bytes: after it, the lost ones taken off.  lost_detected: it showed a further loss.
 * una_advanced: it moved snd_una.
 */
uint32_t prr_ack(struct prr *p, uint32_t delivered_bytes, uint32_t in_flight_bytes,
		 bool lost_detected, uint32_t mss_bytes, bool una_advanced);

/* So much was sent during recovery, new or again. */
void prr_sent(struct prr *p, uint32_t bytes);

#endif
