/* SPDX-License-Identifier: MIT */
/* model_tlog_tx.c - claims, commits, deaths, aborts, and the floor */
#include "model_tlog.h"

/* Check that threads which must not wait have ended. */
void log_all_ended(void)
{
	int i;

	for (i = 0; i < 3; i++)
		model_check(!th_tx[i] || model_state(th_tx[i]) == MODEL_RETURNED ||
			    model_state(th_tx[i]) == MODEL_DIED, "publisher %d does not end", i);
	model_check(!th_heir || model_state(th_heir) == MODEL_RETURNED, "the heir does not end");
}

/* The reader has reached the tail, and has received all that was committed. */
void log_finish_at_tail(void)
{
	uint64_t tail = shmipc_tlog_tail(&logm), seq, word, committed = 0;

	log_all_ended();
	model_check(now.end[0] == tail, "the reader waits at %llu of %llu",
		    (unsigned long long)now.end[0], (unsigned long long)tail);
	for (seq = now.first[0]; seq < tail; seq++) {
		word = shmipc_load_relaxed(&shmipc_tlog_entry(&logm, seq)->word);
		/* Nobody may have completed the batch: then the reader knew that it is whole. */
		committed += word == (seq << 2 | SHMIPC_ENTRY_CELL) ||
			     (now.whole[seq] && shmipc_tlog_pending(word, seq));
	}
	if (now.batch && now.batch + 1 <= tail && now.batch > now.first[0])
		model_check(now.there[now.batch - 1] == now.there[now.batch],
			    "one message of a batch came, and the other did not");
	model_check(now.got[0] == committed, "%llu committed, %llu received",
		    (unsigned long long)committed, (unsigned long long)now.got[0]);
}

/* Unless it has changed since we checked. */
static void await_word(uint64_t seq)
{
	__u64 *word = &shmipc_tlog_entry(&logm, seq)->word;

	if (shmipc_tlog_pending(shmipc_load_acquire(word), seq))
		(void)model_await(word);
}

/*
 * An endless reader: it parks in the end. It checks whether a missing message is an
 * orphan; @dead has a bit for each slot whose owner it knows to be dead.
 */
void log_read_all(struct shmipc_tlog_rx *rx, uintptr_t dead)
{
	uint64_t tail, word;
	int ret;

	for (;;) {
		ret = log_read_one(rx, 0, 0);
		if (ret != -EAGAIN)
			continue;
		tail = shmipc_load_relaxed(&logm.pub->tail);
		now.covers = -1;
		ret = shmipc_tlog_fate(&logm, rx->seq, log_alive, (void *)dead, &word);
		if (ret == SHMIPC_FATE_WHOLE) {
			now.whole[rx->seq] = 1;
			shmipc_tlog_rx_whole(rx, word);
		} else if (ret == SHMIPC_FATE_ABORTED) {
			model_check(!now.tag[rx->seq], "message %llu was skipped, but is there",
				    (unsigned long long)rx->seq);
			shmipc_tlog_step(rx);
			now.aborted[0] = rx->aborted;
			now.end[0] = rx->seq;
		} else if (now.covers >= 0) {
			(void)model_await(&logm.pub_line[now.covers].claim);
		} else if (shmipc_load_relaxed(&logm.pub->tail) != tail) {
			continue;
		} else if (tail & SHMIPC_TAIL_RECALLED) {
			(void)model_await(&logm.pub->tail);
		} else {
			await_word(rx->seq);
		}
	}
}

static void reader(void *arg)
{
	struct shmipc_tlog_rx rx;

	(void)arg;
	log_begin_rx(&rx, 0, 1);
	log_read_all(&rx, 0);
}

/* Knows when publisher 0 is dead. */
void log_knowing_reader(void *arg)
{
	struct shmipc_tlog_rx rx;
	uintptr_t dead = model_join(th_tx[0]) == MODEL_DIED;

	(void)arg;
	log_begin_rx(&rx, 0, 1);
	log_read_all(&rx, dead);
}

/* Waits for the words alone. */
void log_patient_reader(void *arg)
{
	struct shmipc_tlog_rx rx;

	(void)arg;
	log_begin_rx(&rx, 0, 1);
	for (;;)
		if (log_read_one(&rx, 0, 0) == -EAGAIN)
			(void)model_await(&shmipc_tlog_entry(&logm, rx.seq)->word);
}

static void whole_reader(void *arg)
{
	struct shmipc_tlog_rx rx;
	int ret;

	(void)arg;
	log_begin_rx(&rx, 0, 1);
	while (rx.seq < 2) {
		ret = log_read_one(&rx, 0, 0);
		model_check(!ret || !rx.seq, "a batch became visible in parts");
		if (ret)
			await_word(rx.seq);
	}
}

static void begin_whole(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", log_tx_batch, (void *)0, 0);
	th_rx[0] = model_spawn("reader", whole_reader, NULL, 0);
}

static void setup_empty(void)
{
	log_make(3, 2, 0);
}

static void setup_known(void)
{
	log_make(3, 2, 0);
	logm.pub->pubs_used = 3;
}

static void setup_single(void)
{
	log_make(1, 2, 0);
}

static void twice(void *arg)
{
	struct shmipc_tlog_tx tx;

	log_begin_tx(&tx, (uint32_t)(uintptr_t)arg, 0);
	(void)log_put(&tx, 1);
	(void)log_put(&tx, 1);
	shmipc_tlog_unclaim(&tx);
}

static void begin_two(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", model_deep ? twice : log_tx_thread, (void *)0, 0);
	th_tx[1] = model_spawn("pub 1", log_tx_thread, (void *)1, 0);
	th_rx[0] = model_spawn("reader", log_patient_reader, NULL, 0);
}

static void begin_batches(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", log_tx_batch, (void *)0, 0);
	th_tx[1] = model_spawn("pub 1", log_tx_thread, (void *)1, 0);
	th_rx[0] = model_spawn("reader", log_patient_reader, NULL, 0);
}

/* No thread dies; the reader checks for orphans all the time. */
static void begin_asks(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", twice, (void *)0, 0);
	th_rx[0] = model_spawn("reader", reader, NULL, 0);
	if (model_deep)
		th_tx[1] = model_spawn("pub 1", log_tx_thread, (void *)1, 0);
}

static void begin_dies(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", log_tx_batch, (void *)0, 1);
	th_tx[1] = model_spawn("pub 1", log_tx_thread, (void *)1, 0);
	th_rx[0] = model_spawn("reader", log_knowing_reader, NULL, 0);
}

/* Marks what the dead publisher had claimed, and publishes. */
static void aborter(void *arg)
{
	struct shmipc_tlog_tx tx;

	log_begin_tx(&tx, (uint32_t)(uintptr_t)arg, 0);
	if (model_join(th_tx[0]) == MODEL_DIED)
		(void)log_settle(0, 1);
	(void)log_put(&tx, 1);
}

static void heir(void *arg)
{
	struct shmipc_tlog_tx tx;
	uintptr_t dead = model_join(th_tx[0]) == MODEL_DIED;

	now.heir = 1;
	log_begin_tx(&tx, (uint32_t)(uintptr_t)arg, dead);
	(void)log_put(&tx, 1);
}

static void begin_aborted(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", log_tx_batch, (void *)0, 1);
	th_tx[1] = model_spawn("aborter", aborter, (void *)1, 0);
	th_rx[0] = model_spawn("reader", log_patient_reader, NULL, 0);
}

/* With a batch, and a reader that asks, too. */
static void begin_heir_batch(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", log_tx_batch, (void *)0, 1);
	th_heir = model_spawn("heir", heir, (void *)0, 0);
	th_rx[0] = model_spawn("reader", log_knowing_reader, NULL, 0);
}

static void single_dies_known(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", log_tx_batch, (void *)0, 1);
	th_rx[0] = model_spawn("reader", log_knowing_reader, NULL, 0);
}

static void finish_single_known(void)
{
	uint64_t word;

	log_all_ended();
	model_check(now.there[0] == now.there[1], "one message of a batch came, and the other did not");
	/* Any of its stores decides. */
	word = shmipc_load_relaxed(&shmipc_tlog_entry(&logm, 1)->word);
	model_check(now.there[0] || shmipc_tlog_pending(word, 1),
		    "a batch that was committed did not come");
}

static void begin_heir(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", log_tx_thread, (void *)0, 1);
	th_heir = model_spawn("heir", heir, (void *)0, 0);
	th_rx[0] = model_spawn("reader", log_patient_reader, NULL, 0);
}

/* It only marks: it knows of the death but is late, and the slot has a new owner. */
static void late_aborter(void *arg)
{
	(void)arg;
	if (model_join(th_tx[0]) == MODEL_DIED)
		(void)log_settle(0, 1);
}

/* The reader knows of no death: the owner of the slot is alive. */
static void begin_heir_asks(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", log_tx_thread, (void *)0, 1);
	th_heir = model_spawn("heir", heir, (void *)0, 0);
	th_rx[0] = model_spawn("reader", reader, NULL, 0);
}

static void begin_heir_and_aborter(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", log_tx_thread, (void *)0, 1);
	th_tx[1] = model_spawn("aborter", late_aborter, NULL, 0);
	th_heir = model_spawn("heir", heir, (void *)0, 0);
	th_rx[0] = model_spawn("reader", log_patient_reader, NULL, 0);
}

static void single_dies(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", log_tx_batch, (void *)0, 1);
	th_heir = model_spawn("heir", heir, (void *)0, 0);
	th_rx[0] = model_spawn("reader", log_patient_reader, NULL, 0);
}

/* A reader with a stride of two sees the second message of a batch before the first. */
static void strided(void *arg)
{
	struct shmipc_tlog_rx rx;
	struct shmipc_tlog_ref ref;
	uint64_t buf[2];
	int ret;

	(void)arg;
	shmipc_tlog_rx_init(&rx, &logm);
	shmipc_tlog_rx_begin(&rx, 1, 2, 1);
	for (;;) {
		now.end[1] = rx.seq;
		ret = shmipc_tlog_peek(&rx, &ref);
		if (ret == -EAGAIN) {
			(void)model_await(&shmipc_tlog_entry(&logm, rx.seq)->word);
			continue;
		}
		model_check(!ret, "peek returned %d", ret);
		log_copy(&ref, buf, 0);
		model_check(!shmipc_tlog_next(&rx), "next");
		log_check_words(buf, &ref);
		model_check(!now.tag[ref.seq] || now.tag[ref.seq] == buf[0], "another message");
		now.tag[ref.seq] = buf[0];	/* it was there, so it must stay */
	}
}

static void begin_single_strided(void)
{
	single_dies();
	th_rx[0] = 0;
	th_rx[1] = model_spawn("strided", strided, NULL, 0);
}

/* A reader that begins at the newest message finds it, if it sees that there is one. */
static void newest(void *arg)
{
	struct shmipc_tlog_rx rx;
	uint64_t tail, seq;

	(void)arg;
	shmipc_tlog_rx_init(&rx, &logm);
	tail = shmipc_load_relaxed(&logm.pub->tail);
	seq = shmipc_tlog_newest(&rx, 0);
	model_check(!tail || seq != SHMIPC_POS_NONE, "there are %llu, but none is the newest",
		    (unsigned long long)tail);
}

static void begin_newest(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", log_tx_thread, (void *)0, 0);
	th_rx[0] = model_spawn("reader", newest, NULL, 0);
}

/* The successor publishes nothing; the tail that it repairs must not become visible before the words. */
static void mender(void *arg)
{
	struct shmipc_tlog_tx tx;
	uintptr_t dead = model_join(th_tx[0]) == MODEL_DIED;

	(void)arg;
	now.heir = 1;
	log_begin_tx(&tx, 0, dead);
}

static void begin_newest_heir(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", log_tx_thread, (void *)0, 1);
	th_heir = model_spawn("heir", mender, NULL, 0);
	th_rx[0] = model_spawn("reader", newest, NULL, 0);
}

/* Looks at a message while it is written. */
static void looks(void *arg)
{
	struct shmipc_tlog_ref ref;
	struct shmipc_tlog_rx rx;
	uint64_t buf[2];

	(void)arg;
	shmipc_tlog_rx_init(&rx, &logm);
	if (shmipc_tlog_look(&rx, 0, &ref))
		return;
	log_copy(&ref, buf, 0);
	if (shmipc_tlog_intact(&rx, 0))
		log_check_words(buf, &ref);
}

static void begin_looks(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", log_tx_thread, (void *)0, 0);
	th_rx[0] = model_spawn("reader", looks, NULL, 0);
}

static void finish_strided(void)
{
	uint64_t tail = shmipc_load_relaxed(&logm.pub->tail);

	log_all_ended();
	model_check(now.end[1] >= tail, "the strided reader waits at %llu of %llu",
		    (unsigned long long)now.end[1], (unsigned long long)tail);
}

const struct model_test log_tx_tests[] = {
	{ "two publishers, one order", setup_empty, begin_two, log_finish_at_tail, 0 },
	{ "a batch and another publisher", setup_empty, begin_batches, log_finish_at_tail, 0 },
	{ "a batch is complete", setup_single, begin_whole, log_finish_at_tail, 0 },
	{ "nobody died, and no message is an orphan", setup_empty, begin_asks, log_finish_at_tail, 0 },
	{ "a publisher dies at any step, the reader skips its message", setup_empty, begin_dies,
	  log_finish_at_tail, 1 },
	{ "a publisher dies at any step, another publisher aborts", setup_empty, begin_aborted,
	  log_finish_at_tail, 1 },
	{ "a publisher dies at any step, its successor aborts", setup_empty, begin_heir,
	  log_finish_at_tail, 1 },
	{ "a successor aborts, and no publisher is known to be dead", setup_known, begin_heir_asks,
	  log_finish_at_tail, 1 },
	{ "a reader looks for the newest", setup_single, begin_newest, log_all_ended, 0 },
	{ "a reader looks for the newest, a successor attaches", setup_single, begin_newest_heir, log_all_ended, 1 },
	{ "a reader looks at what is being written", setup_known, begin_looks, log_all_ended, 0 },
	{ "a successor and another publisher abort", setup_known, begin_heir_and_aborter, log_finish_at_tail, 1 },
	{ "a single publisher dies at any step", setup_single, single_dies, log_finish_at_tail, 1 },
	{ "a batch, its successor completes or aborts it", setup_known, begin_heir_batch,
	  log_finish_at_tail, 1 },
	{ "a single publisher dies, and has no successor", setup_single, single_dies_known,
	  finish_single_known, 1 },
	{ "a single publisher dies, a reader with a stride", setup_single, begin_single_strided,
	  finish_strided, 1 },
	{ 0 },
};
