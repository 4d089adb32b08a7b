/* SPDX-License-Identifier: MIT */
/*
 * model_bcast.c - the overwriting log: complete messages, exact losses, deaths
 *
 * The producer reads nothing that readers write, except want_pos, so the exploration is
 * about what the readers see: of every header, mark and payload word, each of the stores
 * that C11 lets them see.
 */
#include <stdio.h>
#include "model_ring.h"

static uint64_t lens[RING_MESSAGES];
static uint64_t n_total, n_before;

static struct {
	uint64_t published, begun;
	uint64_t got[2], lost[2], end_seq[2];
	uint64_t stride, at;
	enum shmipc_start start;
	int full_fence;
	int reads;		/* of a reader that takes a few */
} now;
static int th_tx, th_next, th_rx[2];
static uint64_t buf[RING_WORDS];

static const uint64_t *header_at(uint64_t pos)
{
	return shmipc_rec_hdr(ring.data, pos, ring.size - 1);
}

static void make(uint32_t align, uint64_t n, const uint64_t *l, unsigned n_l)
{
	uint64_t i;

	ring_make(SHMIPC_KIND_BCAST, align);
	n_before = 0;
	n_total = n;
	for (i = 0; i < n; i++)
		lens[i] = l[i % n_l];
}

static void reset(void)
{
	memset(&now, 0, sizeof(now));
	now.published = n_before;
	now.stride = 1;
	now.start = SHMIPC_START_OLDEST;
}

/* Messages published before any thread runs: every thread sees at least these. */
static void publish_before(uint64_t n)
{
	struct shmipc_bcast_tx tx;

	n_before = n;
	if (shmipc_bcast_tx_init(&tx, &ring))
		model_fail("tx_init");
	while (tx.seq < n) {
		if (shmipc_bcast_write(&tx, ring_message[tx.seq], lens[tx.seq]))
			model_fail("write");
		shmipc_bcast_publish(&tx);
	}
}

static void begin_tx(struct shmipc_bcast_tx *tx)
{
	int ret = shmipc_bcast_tx_init(tx, &ring);

	model_check(!ret, "tx_init returned %d", ret);
	tx->full_fence = now.full_fence;
}

static void put(struct shmipc_bcast_tx *tx)
{
	int ret = shmipc_bcast_write(tx, ring_message[tx->seq], lens[tx->seq]);

	model_check(!ret, "write returned %d", ret);
}

static void producer(void *arg)
{
	struct shmipc_bcast_tx tx;

	(void)arg;
	begin_tx(&tx);
	while (tx.seq < n_total) {
		put(&tx);
		shmipc_bcast_publish(&tx);
		now.published = tx.pub_seq;
	}
}

static uint64_t share(uint64_t seq)
{
	return (seq + now.stride - 1 - now.at) / now.stride;
}

/*
 * Read one message. 0: there was none. A message is complete and is the one that the
 * reader says it is; received and lost messages add up to all.
 */
static int read_one(struct shmipc_bcast_rx *rx, int i)
{
	uint64_t lost = 0, seq;
	size_t len = 0;
	int ret;

	ret = shmipc_bcast_read(rx, buf, sizeof(buf), &len, &lost);
	seq = rx->seq - 1;
	if (ret == -EAGAIN)
		return 0;
	if (ret == -ESTALE) {
		model_check(lost, "lapped, but lost nothing");
		now.lost[i] += lost;
	} else {
		model_check(!ret, "read returned %d", ret);
		model_check(seq < n_total && len == lens[seq], "message %llu has %zu bytes",
			    (unsigned long long)seq, len);
		model_check(seq % now.stride == now.at, "message %llu is not ours",
			    (unsigned long long)seq);
		ring_check_words(buf, seq);
		now.got[i]++;
	}
	model_check(now.got[i] + now.lost[i] == share(rx->seq) - share(now.begun),
		    "at message %llu: got %llu and lost %llu", (unsigned long long)rx->seq,
		    (unsigned long long)now.got[i], (unsigned long long)now.lost[i]);
	model_check(rx->lost == now.lost[i], "the reader counts different losses");
	now.end_seq[i] = rx->seq;
	return 1;
}

static void begin_rx(struct shmipc_bcast_rx *rx)
{
	int ret = shmipc_bcast_rx_init(rx, &ring, now.start, now.stride, now.at);

	model_check(!ret, "rx_init returned %d", ret);
}

static void reader(void *arg)
{
	struct shmipc_bcast_rx rx;

	(void)arg;
	begin_rx(&rx);
	now.begun = rx.seq;
	while (share(rx.seq) < share(n_total))
		if (!read_one(&rx, 0))
			model_await(header_at(rx.pos));
}

/* The threads have left a valid log: new ends are positioned after the last message. */
static void check_end(void)
{
	struct shmipc_bcast_rx rx;
	struct shmipc_bcast_tx tx;
	uint64_t lost = 0;
	const void *ptr;
	size_t len;

	model_check(!shmipc_bcast_rx_init(&rx, &ring, SHMIPC_START_NEW, 1, 0) &&
		    rx.seq == n_total, "the tail is at message %llu", (unsigned long long)rx.seq);
	model_check(shmipc_bcast_peek(&rx, &ptr, &len, &lost) == -EAGAIN, "something follows");
	begin_tx(&tx);
	model_check(tx.seq == n_total && tx.pos == rx.pos, "the next number is %llu",
		    (unsigned long long)tx.seq);
}

static void begin_pair(void)
{
	reset();
	th_tx = model_spawn("producer", producer, NULL, 0);
	th_rx[0] = model_spawn("reader", reader, NULL, 0);
}

static void finish_pair(void)
{
	model_check(model_state(th_tx) == MODEL_RETURNED, "the producer does not end");
	model_check(model_state(th_rx[0]) == MODEL_RETURNED, "the reader waits forever");
	model_check(share(now.end_seq[0]) == share(n_total), "the reader ended at %llu",
		    (unsigned long long)now.end_seq[0]);
	check_end();
}

static void setup_few(void)
{
	static const uint64_t l[] = { 16, 896, 8 };

	make(8, 3, l, 3);
}

static void setup_lap(void)
{
	static const uint64_t l[] = { 896 };

	make(8, 6, l, 1);
	publish_before(3);
}

/*
 * Records that begin exactly where a lot does, so that their headers are in the lot
 * before, and a tail that comes as close as possible to the oldest of them.
 */
static void setup_lots(void)
{
	static const uint64_t l[] = { 496, 504, 504, 504, 504, 504, 504, 504, 504, 504 };

	make(8, 10, l, 10);
	publish_before(8);
}

/* A reader that starts at any time and reads a few messages, from any start. */
static void late_reader(void *arg)
{
	struct shmipc_bcast_rx rx;
	int reads;

	(void)arg;
	begin_rx(&rx);
	now.begun = rx.seq;
	now.end_seq[0] = rx.seq;
	for (reads = 0; reads < now.reads && rx.seq < n_total; reads++)
		if (!read_one(&rx, 0))
			return;
}

static void begin_late(void)
{
	reset();
	now.reads = model_deep ? 3 : 2;
	th_tx = model_spawn("producer", producer, NULL, 0);
	th_rx[0] = model_spawn("reader", late_reader, NULL, 0);
}

static void begin_late_new(void)
{
	begin_late();
	now.start = SHMIPC_START_NEW;
}

static void begin_late_newest(void)
{
	begin_late();
	now.start = SHMIPC_START_NEWEST;
}

static void finish_late(void)
{
	model_check(model_state(th_tx) == MODEL_RETURNED, "the producer does not end");
	model_check(model_state(th_rx[0]) == MODEL_RETURNED, "the reader waits forever");
	check_end();
}

static void begin_late_one(void)
{
	begin_late();
	now.reads = 1;
}

/* When the floor moves for the first time, nothing before has ordered its mark. */
static void setup_first_floor(void)
{
	static const uint64_t l[] = { 896 };

	make(8, 5, l, 1);
}

/* More than two laps: marks are reused. */
static void setup_marks(void)
{
	static const uint64_t l[] = { 896 };

	make(8, 14, l, 1);
	publish_before(3);
}

static void setup_late(void)
{
	static const uint64_t l[] = { 896, 8, 896, 640 };

	make(8, model_deep ? 10 : 8, l, 4);
	publish_before(3);
}

/* Payload and header in place: release reports whether what was read was intact. */
static void peek_reader(void *arg)
{
	struct shmipc_bcast_rx rx;
	uint64_t lost = 0, seq;
	const void *ptr = NULL;
	size_t len = 0;
	int ret;

	(void)arg;
	begin_rx(&rx);
	for (seq = 0; seq < n_total; seq = rx.seq) {
		ret = shmipc_bcast_peek(&rx, &ptr, &len, &lost);
		if (ret == -EAGAIN) {
			model_await(header_at(rx.pos));
			continue;
		}
		model_check(!ret || ret == -ESTALE, "peek returned %d", ret);
		if (ret)
			continue;
		seq = rx.seq;
		shmipc_racy_read(buf, ptr, len);
		ret = shmipc_bcast_release(&rx, &lost);
		model_check(!ret || ret == -ESTALE, "release returned %d", ret);
		if (ret)
			continue;
		model_check(len == lens[seq], "%zu bytes", len);
		ring_check_words(buf, seq);
	}
	now.end_seq[0] = rx.seq;
}

static void begin_peek(void)
{
	reset();
	th_tx = model_spawn("producer", producer, NULL, 0);
	th_rx[0] = model_spawn("reader", peek_reader, NULL, 0);
}

static void begin_stride(void)
{
	begin_pair();
	now.stride = 2;
	now.at = 1;
}

/* Batches of three, some discarded at first: a batch becomes visible at once. */
static void batch_producer(void *arg)
{
	struct shmipc_bcast_tx tx;
	void *ptr;
	int again;

	(void)arg;
	begin_tx(&tx);
	while (tx.seq < n_total) {
		model_check(!shmipc_bcast_reserve(&tx, 64, &ptr), "no room");
		shmipc_bcast_abort(&tx);
		for (again = 0; again < 2; again++) {
			put(&tx);
			put(&tx);
			put(&tx);
			if (!again)
				model_check(shmipc_bcast_discard(&tx) == 3, "three");
		}
		shmipc_bcast_publish(&tx);
		now.published = tx.pub_seq;
	}
}

static void batch_reader(void *arg)
{
	struct shmipc_bcast_rx rx;
	uint64_t lost;

	(void)arg;
	begin_rx(&rx);
	while (rx.seq < n_total) {
		lost = rx.lost;
		if (read_one(&rx, 0))
			continue;
		model_check(rx.seq % 3 == 0 || lost, "a batch became visible in parts");
		model_await(header_at(rx.pos));
	}
}

static void begin_batch(void)
{
	reset();
	th_tx = model_spawn("producer", batch_producer, NULL, 0);
	th_rx[0] = model_spawn("reader", batch_reader, NULL, 0);
}

static void setup_batch(void)
{
	static const uint64_t l[] = { 560, 8, 616 };

	make(8, 9, l, 3);
	publish_before(3);
}

/*
 * The producer dies anywhere, also in mid-lap; another one continues. The reader does
 * not notice.
 */
static void heir(void *arg)
{
	struct shmipc_bcast_tx tx;

	(void)arg;
	model_join(th_tx);
	begin_tx(&tx);
	model_check(tx.seq >= now.published && tx.seq <= now.published + (arg ? 3 : 1),
		    "%llu were published, the next is %llu",
		    (unsigned long long)now.published, (unsigned long long)tx.seq);
	model_check(!arg || tx.seq % 3 == 0, "half a batch is left");
	while (tx.seq < n_total) {
		put(&tx);
		shmipc_bcast_publish(&tx);
	}
}

static void begin_tx_dies(void)
{
	reset();
	th_tx = model_spawn("producer", producer, NULL, 1);
	th_next = model_spawn("heir", heir, NULL, 0);
	th_rx[0] = model_spawn("reader", reader, NULL, 0);
}

static void begin_batch_dies(void)
{
	static int yes;

	reset();
	th_tx = model_spawn("producer", batch_producer, NULL, 1);
	th_next = model_spawn("heir", heir, &yes, 0);
	th_rx[0] = model_spawn("reader", reader, NULL, 0);
}

static void finish_heir(void)
{
	model_check(model_state(th_next) == MODEL_RETURNED, "the heir does not end");
	model_check(model_state(th_rx[0]) == MODEL_RETURNED, "the reader waits forever");
	model_check(now.end_seq[0] == n_total, "the reader ended at %llu",
		    (unsigned long long)now.end_seq[0]);
	check_end();
}

static void setup_tx_dies(void)
{
	static const uint64_t l[] = { 896 };

	make(8, 6, l, 1);
	publish_before(4);
}

/*
 * Sleepers. They share one word for what they want: each raises it to its own position
 * plus one, executes the expensive fence, and sleeps while the tail has not moved.
 *
 * The word never drops below what another honest reader wants: a reader that wants more
 * than we has read our next message before it said so, and then we see that message; or
 * it began at the tail, and we see that. A value that shows neither is a lie.
 */
static int raise_want(struct shmipc_bcast_rx *rx)
{
	uint64_t want = rx->pos + 1, was = shmipc_load_acquire(&ring.waiters->want_pos);

	while (was != want) {
		if (was > want &&
		    (shmipc_load_acquire(header_at(rx->pos)) ||
		     shmipc_cursor_pos(shmipc_load_acquire(&ring.prod->tail.word)) >= want))
			return 0;
		if (shmipc_cas_acq_rel(&ring.waiters->want_pos, &was, want))
			break;
	}
	return 1;
}

static void sleep_for_message(struct shmipc_bcast_rx *rx)
{
	uint64_t word;

	if (!raise_want(rx))
		return;
	if (now.full_fence)
		shmipc_fence_seq_cst();
	else
		model_barrier_heavy();
	word = shmipc_load_acquire(&ring.prod->tail.word);
	if (shmipc_cursor_pos(word) < rx->pos + 1)
		model_futex_wait(&ring.prod->tail.word, (uint32_t)word, -1);
}

static void sleepy_reader(void *arg)
{
	struct shmipc_bcast_rx rx;
	int i = arg != NULL;

	begin_rx(&rx);
	for (;;)
		if (!read_one(&rx, i))
			sleep_for_message(&rx);
}

static void waking_producer(void *arg)
{
	struct shmipc_bcast_tx tx;

	(void)arg;
	begin_tx(&tx);
	while (tx.seq < n_total) {
		put(&tx);
		if (shmipc_bcast_publish(&tx))
			model_futex_wake(&ring.prod->tail.word);
	}
}

static void begin_sleep(void)
{
	reset();
	th_tx = model_spawn("producer", waking_producer, NULL, 0);
	th_rx[1] = 0;
	th_rx[0] = model_spawn("reader", sleepy_reader, NULL, 0);
}

static void begin_sleep_fence(void)
{
	begin_sleep();
	now.full_fence = 1;
}

static void begin_sleep_two(void)
{
	static int second;

	begin_sleep();
	th_rx[1] = model_spawn("second", sleepy_reader, &second, 0);
}

/* A reader that checks and sleeps only once, with an old position, must not hide the other's want. */
static void lagging_reader(void *arg)
{
	struct shmipc_bcast_rx rx;

	(void)arg;
	begin_rx(&rx);
	if (!read_one(&rx, 1))
		sleep_for_message(&rx);
}

static void begin_lagging(void)
{
	begin_sleep();
	model_spawn("lagging", lagging_reader, NULL, 0);
}

/* All sleep in the end, and none sleeps while there is something to read. */
static void finish_sleep(void)
{
	int i;

	model_check(model_state(th_tx) == MODEL_RETURNED, "the producer does not end");
	for (i = 0; i < 2 && th_rx[i]; i++)
		model_check(now.end_seq[i] == n_total, "reader %d sleeps at message %llu of %llu",
			    i, (unsigned long long)now.end_seq[i], (unsigned long long)n_total);
}

static void setup_short(void)
{
	static const uint64_t l[] = { 8 };

	make(8, model_deep ? 3 : 2, l, 1);
}

static void setup_one(void)
{
	static const uint64_t l[] = { 8 };

	make(8, model_deep ? 2 : 1, l, 1);
}

int main(int argc, char **argv)
{
	static const struct model_test tests[] = {
		{ "messages are complete and in order", setup_few, begin_pair, finish_pair, 0 },
		{ "a lapped reader knows what it lost", setup_lap, begin_pair, finish_pair, 0 },
		{ "a record that begins exactly where its lot does", setup_lots, begin_pair, finish_pair, 0 },
		{ "read in place, check afterwards", setup_lap, begin_peek, finish_late, 0 },
		{ "a stride of two", setup_lap, begin_stride, finish_pair, 0 },
		{ "a batch is received completely, or is lost", setup_batch, begin_batch, finish_late, 0 },
		{ "a reader that starts with the oldest message", setup_late, begin_late, finish_late, 0 },
		{ "a reader that starts with new messages", setup_late, begin_late_new, finish_late, 0 },
		{ "a reader that starts with the newest message",
		  setup_late, begin_late_newest, finish_late, 0 },
		{ "the first floor", setup_first_floor, begin_late, finish_late, 0 },
		{ "marks are reused", setup_marks, begin_late_one, finish_late, 0 },
		{ "the producer dies at any step, another continues",
		  setup_tx_dies, begin_tx_dies, finish_heir, 1 },
		{ "the producer dies at any step of a batch",
		  setup_batch, begin_batch_dies, finish_heir, 1 },
		{ "no wake is lost while a reader falls asleep",
		  setup_short, begin_sleep, finish_sleep, 0 },
		{ "no wake is lost while a reader falls asleep, with full fences",
		  setup_short, begin_sleep_fence, finish_sleep, 0 },
		{ "no wake is lost while another reader lags behind",
		  setup_short, begin_lagging, finish_sleep, 0 },
		{ "no wake is lost while two readers fall asleep",
		  setup_one, begin_sleep_two, finish_sleep, 0 },
		{ 0 },
	};

	return model_main(argc, argv, tests, "shmipc/bcast.h", NULL);
}
