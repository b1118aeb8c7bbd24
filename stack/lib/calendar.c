/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/calendar.h"

#include <errno.h>
#include <rte_malloc.h>

#include "lib/assert.h"

int calendar_init(struct calendar *c, uint32_t capacity, int socket_id)
{
	*c = (struct calendar){.capacity = capacity};
	c->heap = rte_malloc_socket("calendar", (capacity + 1) * sizeof(c->heap[0]),
				    RTE_CACHE_LINE_SIZE, socket_id);
	return c->heap != NULL ? 0 : -ENOMEM;
}

void calendar_free(struct calendar *c)
{
	rte_free(c->heap);
	*c = (struct calendar){0};
}

static void put_at(struct calendar *c, uint32_t place, struct appointment *a)
{
	c->heap[place] = a;
	a->place = place;
}

/* To its place between the root and place, which is free. */
static void move_up(struct calendar *c, uint32_t place, struct appointment *a)
{
	while (place > 1 && c->heap[place / 2]->due_us > a->due_us) {
		put_at(c, place, c->heap[place / 2]);
		place /= 2;
	}
	put_at(c, place, a);
}

/* To its place below place, which is free. */
static void move_down(struct calendar *c, uint32_t place, struct appointment *a)
{
	for (;;) {
		uint32_t child = 2 * place;

		if (child > c->count)
			break;
		if (child < c->count && c->heap[child + 1]->due_us < c->heap[child]->due_us)
			child++;
		if (c->heap[child]->due_us >= a->due_us)
			break;
		put_at(c, place, c->heap[child]);
		place = child;
	}
	put_at(c, place, a);
}

bool calendar_set(struct calendar *c, struct appointment *a, uint64_t due_us, appointment_fn fire)
{
	calendar_cancel(c, a);
	if (c->count == c->capacity)
		return false;
	a->due_us = due_us;
	a->fire = fire;
	move_up(c, ++c->count, a);
	return true;
}

void calendar_cancel(struct calendar *c, struct appointment *a)
{
	uint32_t place = a->place;
	struct appointment *last;

	if (place == 0)
		return;
	leat_assert(place <= c->count && c->heap[place] == a);
	a->place = 0;
	last = c->heap[c->count--];
	if (last == a)
		return;
	if (place > 1 && c->heap[place / 2]->due_us > last->due_us)
		move_up(c, place, last);
	else
		move_down(c, place, last);
}

unsigned calendar_run(struct calendar *c, uint64_t now_us, void *context)
{
	unsigned fired = 0;

	while (c->count > 0 && c->heap[1]->due_us <= now_us) {
		struct appointment *a = c->heap[1];

		calendar_cancel(c, a);
		a->fire(context, a);
		fired++;
	}
	return fired;
}
