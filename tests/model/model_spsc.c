/* SPDX-License-Identifier: MIT */
/*
 * model_spsc.c - the lossless ring: order, room, batches, deaths
 *
 * Message i has number i and the length length_of(i); the lengths are chosen so
 * that a few of them go around a ring of 4096 bytes, with pads.
 */
#include <stdio.h>
#include <stdlib.h>
#include "model_ring.h"

static uint64_t lens[RING_MESSAGES];
static uint64_t n_total;

/* What the ends did, for the checks; the threads' own notes, not shared memory. */
static uint64_t published, released, taken;
static int peeked;
static int full_fence;
static int th_tx, th_rx, th_next;
static uint64_t buf[RING_WORDS];

static void use_lengths(uint64_t n, const uint64_t *l, unsigned n_l)
{
	uint64_t i;

	n_total = n;
	for (i = 0; i < n; i++)
		lens[i] = l[i % n_l];
}

static void reset(void)
{
	published = 0;
	released = 0;
	taken = 0;
	peeked = 0;
	full_fence = 0;
}

static const uint64_t *header_at(uint64_t pos)
{
	return shmipc_rec_hdr(ring.data, pos, ring.size - 1);
}

/* Where the record after message @seq ends if it is put at @pos. */
static uint64_t end_of(uint64_t pos, uint64_t len)
{
	pos += shmipc_rec_pad(pos, len, ring.size, ring.align);
	return pos + shmipc_rec_advance(len, ring.align);
}

/*
 * Put message tx->seq into the batch, waiting for room. "Full" must be true: not
 * with a position that we had already seen.
 */
static void put(struct shmipc_spsc_tx *tx)
{
	uint64_t len = lens[tx->seq], end = end_of(tx->pos, len), head = 0;
	int ret;

	for (;;) {
		ret = shmipc_spsc_write(tx, ring_message[tx->seq], len);
		if (!ret)
			return;
		model_check(ret == -EAGAIN, "write returned %d", ret);
		model_check(!head || end > head + ring.size - SHMIPC_REC_HDR,
			    "full at head %llu, but there is room up to %llu",
			    (unsigned long long)head, (unsigned long long)end);
		model_check(tx->pos == tx->pub_pos, "full inside a batch");
		head = shmipc_cursor_pos(model_await(&ring.cons->head.word));
	}
}

static void publish(struct shmipc_spsc_tx *tx)
{
	shmipc_spsc_publish(tx);
	published = tx->pub_seq;
}

static void begin_tx(struct shmipc_spsc_tx *tx)
{
	int ret = shmipc_spsc_tx_init(tx, &ring);

	model_check(!ret, "tx_init returned %d", ret);
	tx->full_fence = full_fence;
}

static void begin_rx(struct shmipc_spsc_rx *rx)
{
	int ret = shmipc_spsc_rx_init(rx, &ring);

	model_check(!ret, "rx_init returned %d", ret);
	rx->full_fence = full_fence;
}

static void send_rest(struct shmipc_spsc_tx *tx)
{
	while (tx->seq < n_total) {
		put(tx);
		publish(tx);
	}
}

static void producer(void *arg)
{
	struct shmipc_spsc_tx tx;

	(void)arg;
	begin_tx(&tx);
	send_rest(&tx);
}

/* Take the next message if it is there. */
static int take(struct shmipc_spsc_rx *rx)
{
	uint64_t seq = rx->seq;
	size_t len = 0;
	int ret, wake;

	ret = shmipc_spsc_read(rx, buf, sizeof(buf), &len, &wake);
	if (ret == -EAGAIN)
		return 0;
	model_check(!ret, "read returned %d", ret);
	model_check(seq == taken, "message %llu came when it was %llu's turn",
		    (unsigned long long)seq, (unsigned long long)taken);
	model_check(seq < n_total && len == lens[seq], "message %llu has %zu bytes",
		    (unsigned long long)seq, len);
	ring_check_words(buf, seq);
	taken++;
	return 1;
}

static void take_or_wait(struct shmipc_spsc_rx *rx)
{
	while (!take(rx))
		model_await(header_at(rx->pos));
}

static void consumer(void *arg)
{
	struct shmipc_spsc_rx rx;

	(void)arg;
	begin_rx(&rx);
	while (taken < n_total)
		take_or_wait(&rx);
}

/* A new consumer takes what is left; then all that was published has come. */
static void drain(void)
{
	struct shmipc_spsc_rx rx;

	begin_rx(&rx);
	model_check(rx.seq == taken, "the head says %llu, %llu were taken",
		    (unsigned long long)rx.seq, (unsigned long long)taken);
	while (take(&rx))
		;
}

/* 1: order. */
static void setup_fifo(void)
{
	static const uint64_t l[] = { 1280, 1272, 8, 1280, 1920, 104 };

	ring_make(SHMIPC_KIND_SPSC, 8);
	use_lengths(getenv("N") ? (uint64_t)atoi(getenv("N")) : 7, l, 6);
}

static void begin_fifo(void)
{
	reset();
	th_tx = model_spawn("producer", producer, NULL, 0);
	th_rx = model_spawn("consumer", consumer, NULL, 0);
}

static void finish_all(void)
{
	model_check(model_state(th_tx) == MODEL_RETURNED, "the producer waits for ever");
	model_check(model_state(th_rx) == MODEL_RETURNED, "the consumer waits for ever");
	model_check(taken == n_total, "%llu of %llu messages came",
		    (unsigned long long)taken, (unsigned long long)n_total);
}

int main(int argc, char **argv)
{
	static const struct model_test tests[] = {
		{ "messages come once, whole and in order; full is full", setup_fifo, begin_fifo,
		  finish_all, 0 },
		{ 0 },
	};
	(void)drain; (void)th_next; (void)peeked; (void)released;
	return model_main(argc, argv, tests, "shmipc/spsc.h");
}
