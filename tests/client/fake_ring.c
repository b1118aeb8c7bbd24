/* SPDX-License-Identifier: BSD-3-Clause */
/* The receive and the send ring of a sock, from the worker's side. */
#include <netinet/in.h>
#include <string.h>

#include "fake_parts.h"

void fake_set_offsets(struct fake_daemon *d, struct leat_handle h, uint64_t offset)
{
	struct fake_sock *sk = fake_sock(d, h);
	struct leat_slot *slot = fake_slot(d, h);

	pthread_mutex_lock(&d->lock);
	sk->rx_tail = sk->rx_end = sk->tx_head = sk->tx_tail = sk->tx_end = offset;
	slot->tx_tail = slot->rx_head = slot->tx_head = slot->rx_tail = slot->tx_end = offset;
	pthread_mutex_unlock(&d->lock);
}

/* ---- Receive ring ------------------------------------------------------- */

void fake_rx_sync(struct fake_daemon *d, struct leat_handle h)
{
	struct fake_sock *sk = fake_sock(d, h);
	uint64_t head = __atomic_load_n(&fake_slot(d, h)->rx_head, __ATOMIC_ACQUIRE);

	if (sk->rx_tail - head > (uint64_t)d->config.chunks << d->config.chunk_shift)
		fake_condemn(d, "rx_head outside the receive ring");
	while (sk->rx_first != sk->rx_last && head - sk->rx_first_base > fake_chunk_bytes(d)) {
		uint32_t next = fake_rx_link(d)[sk->rx_first];

		fake_chunk_free(d, sk->rx_first);
		sk->rx_first = next;
		sk->rx_first_base += fake_chunk_bytes(d);
	}
}

static void rx_write(struct fake_daemon *d, struct leat_handle h, const void *data, size_t length)
{
	struct fake_sock *sk = fake_sock(d, h);
	struct leat_slot *slot = fake_slot(d, h);
	const uint8_t *from = data;

	fake_rx_sync(d, h);
	while (length > 0) {
		uint32_t within = (uint32_t)sk->rx_tail & (fake_chunk_bytes(d) - 1);
		size_t n;

		if (sk->rx_last == LEAT_NO_CHUNK) {
			sk->rx_first = sk->rx_last = fake_chunk_alloc(d, sk->worker, FAKE_RX);
			sk->rx_first_base = sk->rx_tail - within;
			sk->rx_end = sk->rx_first_base + fake_chunk_bytes(d);
			slot->rx_restart_chunk = sk->rx_first;
			slot->rx_restart = sk->rx_tail;
		} else if (sk->rx_tail == sk->rx_end) {
			uint32_t chunk = fake_chunk_alloc(d, sk->worker, FAKE_RX);

			fake_rx_link(d)[sk->rx_last] = chunk;
			sk->rx_last = chunk;
			sk->rx_end += fake_chunk_bytes(d);
		}
		n = fake_chunk_bytes(d) - within < length ? fake_chunk_bytes(d) - within : length;
		memcpy(fake_chunk_memory(d, sk->rx_last) + within, from, n);
		from += n;
		length -= n;
		sk->rx_tail += n;
	}
}

void fake_deliver(struct fake_daemon *d, struct leat_handle h, const void *data, size_t length)
{
	pthread_mutex_lock(&d->lock);
	rx_write(d, h, data, length);
	fake_publish(d, h, LEAT_EV_IN);
	pthread_mutex_unlock(&d->lock);
}

void fake_deliver_datagram(struct fake_daemon *d, struct leat_handle h, const void *data,
			   size_t length, size_t full_length, uint16_t port)
{
	static const char padding[LEAT_RECORD_ALIGN];
	struct leat_record record = {
		.length_bytes = (uint32_t)length,
		.full_bytes = (uint32_t)full_length,
		.addr = {.family = AF_INET, .port = htons(port), .addr = {192, 0, 2, 1}}};

	pthread_mutex_lock(&d->lock);
	rx_write(d, h, &record, sizeof(record));
	rx_write(d, h, data, length);
	rx_write(d, h, padding, -length & (LEAT_RECORD_ALIGN - 1));
	fake_publish(d, h, LEAT_EV_IN);
	pthread_mutex_unlock(&d->lock);
}

void fake_urgent(struct fake_daemon *d, struct leat_handle h, uint64_t mark, uint64_t skip_to)
{
	struct leat_urgent *urgent = (void *)(d->base + d->region->rx_urgent_offset);

	pthread_mutex_lock(&d->lock);
	urgent[h.slot].skip_to = skip_to;
	__atomic_store_n(&urgent[h.slot].mark, mark, __ATOMIC_RELEASE);
	fake_set_state(d, h, LEAT_EV_PRI);
	fake_publish(d, h, LEAT_EV_PRI);
	pthread_mutex_unlock(&d->lock);
}

uint64_t fake_sent_urgent(struct fake_daemon *d, struct leat_handle h)
{
	const uint64_t *urgent = (const void *)(d->base + d->region->tx_urgent_offset);

	return fake_sock(d, h)->urgent ? urgent[h.slot] : 0;
}

/* ---- Send ring ---------------------------------------------------------- */

static bool tx_claim(struct fake_daemon *d, struct fake_sock *sk, uint32_t chunk)
{
	if (chunk / d->config.chunks != sk->worker || d->chunk_state[chunk] != FAKE_GRANTED) {
		fake_condemn(d, "send chunk was not granted");
		return false;
	}
	d->chunk_state[chunk] = FAKE_TX;
	return true;
}

void fake_tx_sync(struct fake_daemon *d, struct leat_handle h)
{
	struct fake_sock *sk = fake_sock(d, h);
	struct leat_slot *slot = fake_slot(d, h);
	uint64_t tail = __atomic_load_n(&slot->tx_tail, __ATOMIC_ACQUIRE);

	if (tail == sk->tx_tail)
		return;
	if (tail - sk->tx_head > d->config.tx_limit_bytes) {
		fake_condemn(d, "tx_tail beyond the limit");
		return;
	}
	if (slot->tx_restart == sk->tx_tail) {
		if (sk->tx_head != sk->tx_tail)
			fake_condemn(d, "send ring restarted with bytes in it");
		if (!tx_claim(d, sk, slot->tx_restart_chunk))
			return;
		fake_chunks_free(d, fake_tx_link(d), &sk->tx_first, &sk->tx_last);
		sk->tx_first = sk->tx_last = slot->tx_restart_chunk;
		sk->tx_first_base = sk->tx_tail & ~(uint64_t)(fake_chunk_bytes(d) - 1);
		sk->tx_end = sk->tx_first_base + fake_chunk_bytes(d);
	}
	if (sk->tx_last == LEAT_NO_CHUNK) {
		fake_condemn(d, "send ring written without a chunk");
		return;
	}
	while ((int64_t)(tail - sk->tx_end) > 0) {
		uint32_t chunk = fake_tx_link(d)[sk->tx_last];

		if (!tx_claim(d, sk, chunk))
			return;
		sk->tx_last = chunk;
		sk->tx_end += fake_chunk_bytes(d);
	}
	sk->tx_tail = tail;
}

size_t fake_sent(struct fake_daemon *d, struct leat_handle h, void *out, size_t size)
{
	struct fake_sock *sk = fake_sock(d, h);
	uint32_t chunk;
	uint64_t base, at;
	size_t copied = 0;

	fake_settle(d);
	pthread_mutex_lock(&d->lock);
	chunk = sk->tx_first;
	base = sk->tx_first_base;
	at = sk->tx_head;
	while (at != sk->tx_tail && copied < size) {
		if (at - base >= fake_chunk_bytes(d)) {
			chunk = fake_tx_link(d)[chunk];
			base += fake_chunk_bytes(d);
			continue;
		}
		((uint8_t *)out)[copied++] = fake_chunk_memory(d, chunk)[at - base];
		at++;
	}
	pthread_mutex_unlock(&d->lock);
	return copied;
}

void fake_acknowledge(struct fake_daemon *d, struct leat_handle h, size_t bytes)
{
	struct fake_sock *sk = fake_sock(d, h);

	fake_settle(d);
	pthread_mutex_lock(&d->lock);
	sk->tx_head += bytes;
	while (sk->tx_first != sk->tx_last &&
	       sk->tx_head - sk->tx_first_base > fake_chunk_bytes(d)) {
		uint32_t next = fake_tx_link(d)[sk->tx_first];

		fake_chunk_free(d, sk->tx_first);
		sk->tx_first = next;
		sk->tx_first_base += fake_chunk_bytes(d);
	}
	fake_publish(d, h, 0);
	pthread_mutex_unlock(&d->lock);
}
