/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections that wait for a context with credit. */
#include <netinet/in.h>
#include <string.h>

#include "fake_parts.h"

void fake_offer_queued(struct fake_daemon *d, struct leat_handle listener)
{
	struct fake_sock *l = fake_sock(d, listener);

	for (unsigned c = 0; c < FAKE_CONTEXTS && l->queue_count > 0; c++) {
		while (l->credits[c] > 0 && l->queue_count > 0 &&
		       fake_cq_room(d, c, l->worker) > 1) {
			struct leat_handle h = l->queue[0];
			struct fake_sock *sk = fake_sock(d, h);

			memmove(l->queue, l->queue + 1, --l->queue_count * sizeof(l->queue[0]));
			l->credits[c]--;
			sk->context = (int)c;
			sk->holders = 1u << d->context[c].process;
			sk->offer = ((sk->offer & ~3u) + 4) | LEAT_CLAIM_OFFERED;
			__atomic_store_n(&fake_slot(d, h)->claim, sk->offer, __ATOMIC_RELEASE);
			fake_complete(d, c, l->worker,
				      &(struct leat_cqe){.type = LEAT_CQE_ACCEPT,
							 .handle = h,
							 .listener = listener,
							 .claim = sk->offer,
							 .addr = {.family = AF_INET,
								  .port = htons(sk->port),
								  .addr = {192, 0, 2, 1}}});
		}
	}
}

struct leat_handle fake_connect(struct fake_daemon *d, struct leat_handle listener,
				uint16_t peer_port)
{
	struct fake_sock *l = fake_sock(d, listener);
	struct leat_handle h;

	pthread_mutex_lock(&d->lock);
	h = fake_sock_open(d, l->worker, SOCK_STREAM, -1, 0);
	fake_sock(d, h)->holders = 0;
	fake_sock(d, h)->port = peer_port;
	fake_set_state(d, h, LEAT_EV_CONNECTED);
	l->queue[l->queue_count++] = h;
	fake_offer_queued(d, listener);
	pthread_mutex_unlock(&d->lock);
	return h;
}

bool fake_take_back(struct fake_daemon *d, struct leat_handle h)
{
	struct fake_sock *sk = fake_sock(d, h);
	uint32_t expected = sk->offer;

	if (!__atomic_compare_exchange_n(&fake_slot(d, h)->claim, &expected,
					 (sk->offer & ~3u) | LEAT_CLAIM_REVOKED, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return false;
	sk->context = -1;
	sk->holders = 0;
	return true;
}

bool fake_revoke(struct fake_daemon *d, struct leat_handle h)
{
	bool revoked;

	pthread_mutex_lock(&d->lock);
	revoked = fake_take_back(d, h);
	pthread_mutex_unlock(&d->lock);
	return revoked;
}
