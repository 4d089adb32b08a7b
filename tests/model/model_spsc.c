/* SPDX-License-Identifier: MIT */
/*
 * model_spsc.c - the lossless ring: order, room, batches, deaths
 *
 * Message i has number i and the length length_of(i); the lengths are chosen so
 * that a few of them go around a ring of 4096 bytes, with pads.
 */
#include <stdio.h>
#include "model_ring.h"

static uint64_t lens[RING_MESSAGES];
static uint64_t n_total;

/* What the ends did, for the checks; private to the test, not shared memory. */
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

/* The position after the record of a message of @len bytes that is put at @pos. */
static uint64_t end_of(uint64_t pos, uint64_t len)
{
	pos += shmipc_rec_pad(pos, len, ring.size, ring.align);
	return pos + shmipc_rec_advance(len, ring.align);
}

/*
 * Put message tx->seq into the batch, waiting for room. "Full" must be true, not based
 * on a position that we had already seen.
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

/* Take the next message if there is one. */
static int take(struct shmipc_spsc_rx *rx)
{
	uint64_t seq = rx->seq;
	size_t len = 0;
	int ret, wake;

	ret = shmipc_spsc_read(rx, buf, sizeof(buf), &len, &wake);
	if (ret == -EAGAIN)
		return 0;
	model_check(!ret, "read returned %d", ret);
	model_check(seq == taken, "message %llu was received instead of %llu",
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

/*
 * The threads have left a valid ring: new ends find all that was published, with the
 * right numbers, and nothing after it.
 */
static void drain(void)
{
	struct shmipc_spsc_rx rx;
	struct shmipc_spsc_tx tx;

	begin_rx(&rx);
	model_check(rx.seq == taken, "the head is %llu, %llu were taken",
		    (unsigned long long)rx.seq, (unsigned long long)taken);
	while (take(&rx))
		;
	begin_tx(&tx);
	model_check(tx.seq == taken && tx.pos == rx.pos, "the next number is %llu, %llu were taken",
		    (unsigned long long)tx.seq, (unsigned long long)taken);
}

static void pair(void (*tx)(void *), void (*rx)(void *))
{
	reset();
	th_tx = model_spawn("producer", tx, NULL, 0);
	th_rx = model_spawn("consumer", rx, NULL, 0);
}

/* No thread died, so all have ended, and all messages were received. */
static void finish_all(void)
{
	model_check(model_state(th_tx) == MODEL_RETURNED, "the producer waits forever");
	model_check(model_state(th_rx) == MODEL_RETURNED, "the consumer waits forever");
	model_check(taken == n_total, "%llu of %llu messages were received",
		    (unsigned long long)taken, (unsigned long long)n_total);
	drain();
}

static const uint64_t big[] = { 1280, 1272, 8, 1280, 1920, 104 };

/* Order, wrap, full. */
static void setup_fifo(void)
{
	ring_make(SHMIPC_KIND_SPSC, 8);
	use_lengths(model_deep ? 6 : 5, big, 6);
}

static void setup_fifo_64(void)
{
	ring_make(SHMIPC_KIND_SPSC, 64);
	use_lengths(model_deep ? 6 : 5, big, 6);
}

static void begin_fifo(void)
{
	pair(producer, consumer);
}

/* Batches: an aborted reservation, three messages in one publish, one batch discarded. */
static void batch_producer(void *arg)
{
	struct shmipc_spsc_tx tx;
	void *ptr;

	(void)arg;
	begin_tx(&tx);
	while (tx.seq < n_total) {
		model_check(!shmipc_spsc_reserve(&tx, 64, &ptr), "no room for what is aborted");
		shmipc_spsc_abort(&tx);
		put(&tx);
		put(&tx);
		model_check(!shmipc_spsc_write(&tx, ring_message[RING_MESSAGES - 1], 16),
			    "no room for what is discarded");
		model_check(shmipc_spsc_discard(&tx) == 3, "three were in the batch");
		put(&tx);
		put(&tx);
		put(&tx);
		publish(&tx);
	}
}

static void batch_consumer(void *arg)
{
	struct shmipc_spsc_rx rx;

	(void)arg;
	begin_rx(&rx);
	while (taken < n_total) {
		if (taken % 3)
			model_check(take(&rx), "a batch became visible in parts");
		else
			take_or_wait(&rx);
	}
}

static void setup_batch(void)
{
	static const uint64_t l[] = { 80, 8, 1280, 16, 1280, 24 };

	ring_make(SHMIPC_KIND_SPSC, 8);
	use_lengths(9, l, 6);
}

static void begin_batch(void)
{
	pair(batch_producer, batch_consumer);
}

/* Peek twice, read in place, release. */
static void peek_consumer(void *arg)
{
	struct shmipc_spsc_rx rx;
	const void *a, *b;
	size_t n, m;

	(void)arg;
	begin_rx(&rx);
	while (taken < n_total) {
		if (shmipc_spsc_peek(&rx, &a, &n)) {
			model_await(header_at(rx.pos));
			continue;
		}
		model_check(!shmipc_spsc_peek(&rx, &b, &m) && a == b && n == m,
			    "the second peek saw another message");
		model_check(n == lens[taken], "%zu bytes", n);
		shmipc_payload_read(buf, a, n);
		ring_check_words(buf, taken);
		shmipc_spsc_release(&rx);
		taken++;
	}
}

static void begin_peek(void)
{
	pair(producer, peek_consumer);
}

/*
 * The producer dies anywhere. Its successor continues with the right number, and the
 * consumer, which does not notice, receives every message once.
 */
static void heir_producer(void *arg)
{
	struct shmipc_spsc_tx tx;
	uint64_t batch = arg ? 2 : 1;

	model_join(th_tx);
	begin_tx(&tx);
	model_check(tx.seq == published || tx.seq == published + batch,
		    "%llu were published, the next is %llu",
		    (unsigned long long)published, (unsigned long long)tx.seq);
	published = tx.seq;
	send_rest(&tx);
}

static void setup_tx_dies(void)
{
	ring_make(SHMIPC_KIND_SPSC, 8);
	use_lengths(5, big, 6);
}

static void begin_tx_dies(void)
{
	reset();
	th_tx = model_spawn("producer", producer, NULL, 1);
	th_next = model_spawn("heir", heir_producer, NULL, model_deep);
	th_rx = model_spawn("consumer", consumer, NULL, 0);
}

static void finish_tx_dies(void)
{
	if (model_state(th_next) == MODEL_DIED) {
		drain();
		model_check(taken == published || taken == published + 1, "lost");
		return;
	}
	model_check(model_state(th_next) == MODEL_RETURNED, "the heir waits forever");
	model_check(model_state(th_rx) == MODEL_RETURNED, "the consumer waits forever");
	model_check(taken == n_total, "%llu of %llu messages were received",
		    (unsigned long long)taken, (unsigned long long)n_total);
	drain();
}

/* The same with batches of two: a batch is published completely or not at all. */
static void two_producer(void *arg)
{
	struct shmipc_spsc_tx tx;

	(void)arg;
	begin_tx(&tx);
	while (tx.seq < n_total) {
		put(&tx);
		put(&tx);
		publish(&tx);
	}
}

static void two_consumer(void *arg)
{
	struct shmipc_spsc_rx rx;

	(void)arg;
	begin_rx(&rx);
	for (;;) {
		take_or_wait(&rx);
		if (taken <= published || taken < n_total)
			model_check(take(&rx), "half a batch was received");
		if (taken == n_total)
			return;
	}
}

static void heir_of_two(void *arg)
{
	struct shmipc_spsc_tx tx;

	(void)arg;
	model_join(th_tx);
	begin_tx(&tx);
	model_check(tx.seq == published || tx.seq == published + 2,
		    "%llu were published in twos, the next is %llu",
		    (unsigned long long)published, (unsigned long long)tx.seq);
	while (tx.seq < n_total) {
		put(&tx);
		put(&tx);
		publish(&tx);
	}
}

static void setup_batch_dies(void)
{
	static const uint64_t l[] = { 1280, 8, 1280, 1272, 24, 8 };

	ring_make(SHMIPC_KIND_SPSC, 8);
	use_lengths(6, l, 6);
}

static void begin_batch_dies(void)
{
	reset();
	th_tx = model_spawn("producer", two_producer, NULL, 1);
	th_next = model_spawn("heir", heir_of_two, NULL, 0);
	th_rx = model_spawn("consumer", two_consumer, NULL, 0);
}

/*
 * The consumer dies anywhere. A message that it has released is not received again; one
 * that it had only peeked is.
 */
static void mortal_consumer(void *arg)
{
	struct shmipc_spsc_rx rx;
	const void *ptr;
	size_t len;

	(void)arg;
	begin_rx(&rx);
	while (released < n_total) {
		if (shmipc_spsc_peek(&rx, &ptr, &len)) {
			model_await(header_at(rx.pos));
			continue;
		}
		shmipc_payload_read(buf, ptr, len);
		ring_check_words(buf, rx.seq);
		peeked = 1;
		shmipc_spsc_release(&rx);
		peeked = 0;
		released++;
	}
}

static void heir_consumer(void *arg)
{
	struct shmipc_spsc_rx rx;

	(void)arg;
	model_join(th_rx);
	begin_rx(&rx);
	model_check(rx.seq == released || (peeked && rx.seq == released + 1),
		    "%llu were released, it continues at %llu",
		    (unsigned long long)released, (unsigned long long)rx.seq);
	taken = rx.seq;
	while (taken < n_total)
		take_or_wait(&rx);
}

static void begin_rx_dies(void)
{
	reset();
	th_tx = model_spawn("producer", producer, NULL, 0);
	th_rx = model_spawn("consumer", mortal_consumer, NULL, 1);
	th_next = model_spawn("heir", heir_consumer, NULL, 0);
}

static void finish_rx_dies(void)
{
	model_check(model_state(th_tx) == MODEL_RETURNED, "the producer waits forever");
	model_check(model_state(th_next) == MODEL_RETURNED, "the heir waits forever");
	model_check(taken == n_total, "%llu of %llu messages were received",
		    (unsigned long long)taken, (unsigned long long)n_total);
	drain();
}

/*
 * Sleeping. An end that is about to sleep says so (want), executes the expensive fence,
 * and sleeps if the other side's position has not been reached. No end may be asleep at
 * the end of an execution in which none died.
 */
static void fence_to_sleep(void)
{
	if (full_fence)
		shmipc_fence_seq_cst();
	else
		model_barrier_heavy();
}

/* Sleep until the tail passes @pos. Return: as model_futex_wait(). */
static int sleep_for_message(uint64_t pos, int peer)
{
	uint64_t word;

	shmipc_store_relaxed(&ring.cons->want_pos, pos + 1);
	fence_to_sleep();
	word = shmipc_load_relaxed(&ring.prod->tail.word);
	if (shmipc_cursor_pos(word) > pos)
		return 0;
	return model_futex_wait(&ring.prod->tail.word, (uint32_t)word, peer);
}

static void sleep_for_room(uint64_t end)
{
	uint64_t want = end - (ring.size - SHMIPC_REC_HDR), word;

	shmipc_store_relaxed(&ring.prod->want_pos, want);
	fence_to_sleep();
	word = shmipc_load_relaxed(&ring.cons->head.word);
	if (shmipc_cursor_pos(word) < want)
		model_futex_wait(&ring.cons->head.word, (uint32_t)word, -1);
}

static void sleepy_producer(void *arg)
{
	struct shmipc_spsc_tx tx;

	(void)arg;
	begin_tx(&tx);
	while (tx.seq < n_total) {
		if (shmipc_spsc_write(&tx, ring_message[tx.seq], lens[tx.seq])) {
			sleep_for_room(end_of(tx.pos, lens[tx.seq]));
			continue;
		}
		if (shmipc_spsc_publish(&tx))
			model_futex_wake(&ring.prod->tail.word);
		published = tx.pub_seq;
	}
}

static int read_and_wake(struct shmipc_spsc_rx *rx)
{
	const void *ptr;
	size_t len;

	if (shmipc_spsc_peek(rx, &ptr, &len))
		return 0;
	shmipc_payload_read(buf, ptr, len);
	ring_check_words(buf, taken++);
	if (shmipc_spsc_release(rx))
		model_futex_wake(&ring.cons->head.word);
	return 1;
}

static void sleepy_consumer(void *arg)
{
	struct shmipc_spsc_rx rx;

	(void)arg;
	begin_rx(&rx);
	while (taken < n_total)
		if (!read_and_wake(&rx))
			sleep_for_message(rx.pos, -1);
}

/* Does not sleep while it waits: only the other side's sleep is tested. */
static void waking_consumer(void *arg)
{
	struct shmipc_spsc_rx rx;

	(void)arg;
	begin_rx(&rx);
	while (taken < n_total)
		if (!read_and_wake(&rx))
			model_await(header_at(rx.pos));
}

static void setup_short(void)
{
	static const uint64_t l[] = { 8 };

	ring_make(SHMIPC_KIND_SPSC, 8);
	use_lengths(model_deep ? 4 : 3, l, 1);
}

static void setup_tight(void)
{
	static const uint64_t l[] = { 1920 };

	ring_make(SHMIPC_KIND_SPSC, 8);
	use_lengths(model_deep ? 4 : 3, l, 1);
}

static void begin_sleep_rx(void)
{
	pair(sleepy_producer, sleepy_consumer);
}

static void begin_sleep_rx_fence(void)
{
	pair(sleepy_producer, sleepy_consumer);
	full_fence = 1;
}

static void begin_sleep_tx(void)
{
	pair(sleepy_producer, waking_consumer);
}

static void begin_sleep_tx_fence(void)
{
	pair(sleepy_producer, waking_consumer);
	full_fence = 1;
}

/* The death of the other side also wakes; then everything published is there. */
static void bereaved_consumer(void *arg)
{
	struct shmipc_spsc_rx rx;
	int gone = 0;

	(void)arg;
	begin_rx(&rx);
	for (;;) {
		if (read_and_wake(&rx))
			continue;
		if (gone)
			break;
		if (sleep_for_message(rx.pos, th_tx) == -EOWNERDEAD)
			gone = 1;
	}
	model_check(taken >= published, "%llu were published, %llu received",
		    (unsigned long long)published, (unsigned long long)taken);
}

static void begin_bereaved(void)
{
	reset();
	th_tx = model_spawn("producer", sleepy_producer, NULL, 1);
	th_rx = model_spawn("consumer", bereaved_consumer, NULL, 0);
}

static void finish_bereaved(void)
{
	model_check(model_state(th_rx) == MODEL_RETURNED, "the consumer waits forever");
	model_check(taken == published || taken == published + 1, "lost");
	drain();
}

int main(int argc, char **argv)
{
	static const struct model_test tests[] = {
		{ "messages are received once, complete and in order; full means full",
		  setup_fifo, begin_fifo, finish_all, 0 },
		{ "the same with payloads aligned to 64",
		  setup_fifo_64, begin_fifo, finish_all, 0 },
		{ "a batch is complete; abort and discard leave nothing",
		  setup_batch, begin_batch, finish_all, 0 },
		{ "peek twice, read in place, release",
		  setup_fifo, begin_peek, finish_all, 0 },
		{ "the producer dies at any step, another continues",
		  setup_tx_dies, begin_tx_dies, finish_tx_dies, 1 },
		{ "the producer dies at any step of a batch",
		  setup_batch_dies, begin_batch_dies, finish_tx_dies, 1 },
		{ "the consumer dies at any step, another continues",
		  setup_fifo, begin_rx_dies, finish_rx_dies, 1 },
		{ "no wake is lost while the consumer falls asleep",
		  setup_short, begin_sleep_rx, finish_all, 0 },
		{ "no wake is lost while the consumer falls asleep, with full fences",
		  setup_short, begin_sleep_rx_fence, finish_all, 0 },
		{ "no wake is lost while the producer falls asleep for room",
		  setup_tight, begin_sleep_tx, finish_all, 0 },
		{ "no wake is lost while the producer falls asleep for room, with full fences",
		  setup_tight, begin_sleep_tx_fence, finish_all, 0 },
		{ "both sleep, and both wake up",
		  setup_tight, begin_sleep_rx, finish_all, 0 },
		{ "a sleeper learns of a death, and receives what was published before",
		  setup_short, begin_bereaved, finish_bereaved, 1 },
		{ 0 },
	};

	return model_main(argc, argv, tests, "shmipc/spsc.h", NULL);
}
