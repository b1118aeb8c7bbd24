/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A calendar of appointments in microseconds, for what the wheel's ticks are
 * too coarse for: paced sends.  A binary heap, so that only what is kept costs
 * anything.  An entry is embedded in what keeps it: cancel it before freeing
 * that.
 */
#ifndef LEAT_LIB_CALENDAR_H
#define LEAT_LIB_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

#define CALENDAR_NEVER UINT64_MAX

struct appointment;
/* context is what calendar_run was given: the worker. */
typedef void (*appointment_fn)(void *context, struct appointment *a);

struct appointment {
	appointment_fn fire;
	uint64_t due_us;
	uint32_t place; /* in the heap, counted from 1; 0: none is kept */
};

struct calendar {
	struct appointment **heap; /* heap[0] is not used */
	uint32_t count;
	uint32_t capacity;
};

/* 0 or -ENOMEM. */
int calendar_init(struct calendar *c, uint32_t capacity, int socket_id);
void calendar_free(struct calendar *c);

/* Makes the appointment, or moves it.  False: the calendar is full. */
bool calendar_set(struct calendar *c, struct appointment *a, uint64_t due_us, appointment_fn fire);
/* No effect when there is none. */
void calendar_cancel(struct calendar *c, struct appointment *a);
/* Takes off and fires what is due at now_us, in the order of time; returns how many.  What fires may
 * make, move and cancel appointments, later than now_us. */
unsigned calendar_run(struct calendar *c, uint64_t now_us, void *context);

/* When the next one is due. */
static inline uint64_t calendar_next_us(const struct calendar *c)
{
	return c->count > 0 ? c->heap[1]->due_us : CALENDAR_NEVER;
}

#endif
