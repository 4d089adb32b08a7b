/* SPDX-License-Identifier: MIT */
/* model_tlog_floor.c - the floor and clear: nothing torn, no loss unreported */
#include "model_tlog.h"

static struct shmipc_tlog_rx rx_made;	/* joined in setup() */

static void setup_full(void)
{
	log_make(2, 2, LOG_ENTRIES);
}

static void setup_full_single(void)
{
	log_make(1, 2, LOG_ENTRIES);
}

static void join_before(uint32_t policy)
{
	shmipc_tlog_rx_init(&rx_made, &logm);
	shmipc_tlog_rx_begin(&rx_made, 1, 1, 0);
	shmipc_tlog_rx_join(&rx_made, 0, policy, 0, 5);
}

static void setup_lossless(void)
{
	setup_full();
	join_before(SHMIPC_POLICY_LOSSLESS);
}

static void setup_evict(void)
{
	setup_full();
	join_before(SHMIPC_POLICY_EVICT);
}

/* Reads @arg messages from the oldest on, or gets losses reported. */
static void lossy(void *arg)
{
	struct shmipc_tlog_rx rx;
	uintptr_t n = (uintptr_t)arg;
	int ret;

	log_begin_rx(&rx, 0, 1);
	while (n--) {
		ret = log_read_one(&rx, 0, 0);
		model_check(!ret || ret == -ESTALE || (ret == -EAGAIN && rx.seq >= LOG_ENTRIES),
			    "message %llu: %d", (unsigned long long)rx.seq, ret);
	}
}

/* Looks at messages that it has read before, regardless of its position. */
static void looks_back(void *arg)
{
	struct shmipc_tlog_rx rx = rx_made;
	struct shmipc_tlog_ref ref;
	uint64_t buf[2];

	(void)arg;
	now.first[0] = 0;
	model_check(!log_read_one(&rx, 0, 1), "a message was lost");
	if (shmipc_tlog_look(&rx, 0, &ref))
		return;
	log_copy(&ref, buf, 0);
	if (shmipc_tlog_intact(&rx, 0))
		log_check_words(buf, &ref);
}

/* Nothing is lost: all messages are received, and none is written while we read it. */
static void lossless(void *arg)
{
	struct shmipc_tlog_rx rx = rx_made;
	uintptr_t n = (uintptr_t)arg;

	now.first[0] = 0;
	while (n--)
		model_check(!log_read_one(&rx, 0, 1), "a message was lost");
}

/* Joins while the floor moves. */
static void joiner(void *arg)
{
	struct shmipc_tlog_rx rx;
	uintptr_t n = (uintptr_t)arg;

	shmipc_tlog_rx_init(&rx, &logm);
	shmipc_tlog_rx_begin(&rx, 1, 1, 0);
	shmipc_tlog_rx_join(&rx, 0, SHMIPC_POLICY_LOSSLESS, 0, 5);
	now.first[0] = rx.seq;
	while (n--)
		model_check(!log_read_one(&rx, 0, 1), "a message was lost");
}

/* Moves the floor, and leaves the room to others. */
static void advancer(void *arg)
{
	struct shmipc_tlog_block b;
	struct shmipc_tlog_tx tx;

	log_begin_tx(&tx, (uint32_t)(uintptr_t)arg, 0);
	while (shmipc_tlog_make_room(&tx, 1, &b))
		log_await_room(&b);
}

/* Takes the room that there is; never moves the floor itself. */
static void taker(void *arg)
{
	struct shmipc_tlog_tx tx;
	uint64_t seq;

	log_begin_tx(&tx, (uint32_t)(uintptr_t)arg, 0);
	while (shmipc_tlog_claim(&tx, 1, &seq)) {
		shmipc_tlog_unclaim(&tx);
		(void)model_await(&logm.pub->clear);
	}
	(void)log_commit(&tx, seq, 1);
}

/* Does not wait: it cuts off the subscriber that is in the way. */
static void make_room_evicting(struct shmipc_tlog_tx *tx)
{
	struct shmipc_tlog_block b;

	while (shmipc_tlog_make_room(tx, 1, &b)) {
		if (b.who == SHMIPC_TLOG_SUB)
			shmipc_tlog_evict(&logm, &b, 0);
		else
			log_await_room(&b);
	}
}

static void evicter(void *arg)
{
	struct shmipc_tlog_tx tx;

	log_begin_tx(&tx, (uint32_t)(uintptr_t)arg, 0);
	make_room_evicting(&tx);
	(void)log_put(&tx, 1);
}

/* Leaves the room to another publisher, which does not know why there is some. */
static void evicting_advancer(void *arg)
{
	struct shmipc_tlog_tx tx;

	log_begin_tx(&tx, (uint32_t)(uintptr_t)arg, 0);
	make_room_evicting(&tx);
}

/* May be cut off at any time, and reads nothing torn until it knows. */
static void cut_off(void *arg)
{
	struct shmipc_tlog_rx rx = rx_made;
	uintptr_t n = (uintptr_t)arg;
	int ret;

	now.first[0] = 0;
	while (n--) {
		ret = log_read_one(&rx, 0, 0);
		model_check(!ret || ret == -ECONNRESET, "peek or next returned %d", ret);
		if (ret)
			return;
	}
}

static void begin_lossy(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", log_tx_thread, (void *)0, 0);
	th_rx[0] = model_spawn("reader", lossy, (void *)2, 0);
}

static void begin_lossy_other(void)
{
	log_reset();
	th_tx[0] = model_spawn("advancer", advancer, (void *)0, 0);
	th_tx[1] = model_spawn("taker", taker, (void *)1, 0);
	th_rx[0] = model_spawn("reader", lossy, (void *)1, 0);
}

static void begin_lossless(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", log_tx_thread, (void *)0, 0);
	th_rx[0] = model_spawn("reader", lossless, (void *)3, 0);
}

static void begin_lossless_other(void)
{
	log_reset();
	th_tx[0] = model_spawn("advancer", advancer, (void *)0, 0);
	th_tx[1] = model_spawn("taker", taker, (void *)1, 0);
	th_rx[0] = model_spawn("reader", lossless, (void *)2, 0);
}

static void begin_looks_back(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", log_tx_thread, (void *)0, 0);
	th_rx[0] = model_spawn("reader", looks_back, NULL, 0);
}

static void begin_join(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", log_tx_thread, (void *)0, 0);
	th_rx[0] = model_spawn("joiner", joiner, (void *)2, 0);
}

static void begin_evict(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", evicter, (void *)0, 0);
	th_rx[0] = model_spawn("reader", cut_off, (void *)2, 0);
}

static void begin_evict_two(void)
{
	log_reset();
	th_tx[0] = model_spawn("advancer", evicting_advancer, (void *)0, 0);
	th_tx[1] = model_spawn("taker", taker, (void *)1, 0);
	th_rx[0] = model_spawn("reader", cut_off, (void *)1, 0);
}

/* Wait until the subscriber that is in the way has left. */
static void after_leave(void *arg)
{
	struct shmipc_sub_line *line = shmipc_tlog_sub(&logm, 0);
	struct shmipc_tlog_tx tx;

	log_begin_tx(&tx, (uint32_t)(uintptr_t)arg, 0);
	while (shmipc_load_relaxed(&line->state))
		(void)model_await(&line->state);
	(void)log_put(&tx, 1);
}

/* Reads a message and leaves before its position has advanced. */
static void early_leaver(void *arg)
{
	struct shmipc_tlog_rx rx = rx_made;
	struct shmipc_tlog_ref ref;
	uint64_t buf[2];

	(void)arg;
	model_check(!shmipc_tlog_peek(&rx, &ref), "peek");
	log_copy(&ref, buf, 1);
	shmipc_tlog_rx_leave(&rx);
	log_check_words(buf, &ref);
}

/* Discards a message at once. All messages before the floor have been committed. */
static void gives_up(void *arg)
{
	uint32_t slot = (uint32_t)(uintptr_t)arg;
	struct shmipc_tlog_block b;
	struct shmipc_tlog_tx tx;

	log_begin_tx(&tx, slot, 0);
	if (!slot)
		(void)log_put(&tx, 1);
	(void)shmipc_tlog_advance(&tx, 1, 1, &b);
	if (shmipc_load_relaxed(&logm.pub->floor) > 0)
		model_check(!shmipc_tlog_pending(shmipc_load_relaxed(&shmipc_tlog_entry(&logm, 0)->word),
						0), "the floor has passed a message that is still being written");
}

static void setup_empty(void)
{
	log_make(2, 2, 0);
	logm.pub->pubs_used = 2;
}

/* It may not be there yet, or be gone; otherwise it is intact. */
static void hasty(void *arg)
{
	struct shmipc_tlog_rx rx;
	int ret;

	(void)arg;
	log_begin_rx(&rx, 0, 1);
	ret = log_read_one(&rx, 0, 0);
	model_check(!ret || ret == -EAGAIN || ret == -ESTALE, "peek or next returned %d", ret);
}

static void begin_gives_up(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", gives_up, (void *)0, 0);
	th_rx[0] = model_spawn("reader", hasty, NULL, 0);
}

static void begin_passes(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", log_tx_thread, (void *)0, 0);
	th_tx[1] = model_spawn("pub 1", gives_up, (void *)1, 0);
}

/* An abort a lap later: seeing it makes the floor that allowed it visible. */
static void marker(void *arg)
{
	struct shmipc_tlog_tx tx;

	(void)arg;
	if (model_join(th_tx[0]) != MODEL_DIED)
		return;
	if (logm.hdr.pubs > 1)
		(void)log_settle(0, 1);
	else
		log_begin_tx(&tx, 0, 1);
}

static void begin_marks(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", log_tx_batch, (void *)0, 1);
	th_tx[1] = model_spawn("marker", marker, NULL, 0);
	th_rx[0] = model_spawn("reader", lossy, (void *)2, 0);
}

static void begin_leaves(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", after_leave, (void *)0, 0);
	th_rx[0] = model_spawn("leaver", early_leaver, NULL, 0);
}

static void begin_join_other(void)
{
	log_reset();
	th_tx[0] = model_spawn("advancer", advancer, (void *)0, 0);
	th_tx[1] = model_spawn("taker", taker, (void *)1, 0);
	th_rx[0] = model_spawn("joiner", joiner, (void *)2, 0);
}

static void finish(void)
{
	int i;

	for (i = 0; i < 2; i++)
		model_check(!th_tx[i] || model_state(th_tx[i]) == MODEL_RETURNED ||
			    model_state(th_tx[i]) == MODEL_DIED, "publisher %d waits forever", i);
	model_check(!th_rx[0] || model_state(th_rx[0]) == MODEL_RETURNED,
		    "the reader waits forever");
}

/*
 * Messages that are still being written when the floor is about to pass them: they are
 * not overwritten, neither by the next lap of the same entry nor by the one after.
 */
static void setup_slow(void)
{
	log_make(2, 2, LOG_ENTRIES - 1);
	logm.pub->pubs_used = 2;
}

static void slow_two(void *arg)
{
	struct shmipc_tlog_tx tx;

	log_begin_tx(&tx, (uint32_t)(uintptr_t)arg, 0);
	(void)log_put(&tx, 1);
	(void)log_put(&tx, 1);
}

static void begin_slow(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", slow_two, (void *)0, 0);
	th_tx[1] = model_spawn("pub 1", log_tx_thread, (void *)1, 0);
}

static void finish_slow(void)
{
	model_check(shmipc_load_relaxed(&logm.pub->tail) == LOG_ENTRIES + 2, "not all published");
}

const struct model_test log_floor_tests[] = {
	{ "a lossy reader while the floor moves", setup_full, begin_lossy, finish, 0 },
	{ "a lossy reader, a single publisher", setup_full_single, begin_lossy, finish, 0 },
	{ "room that another publisher made", setup_full, begin_lossy_other, finish, 0 },
	{ "a lossless reader loses nothing", setup_lossless, begin_lossless, finish, 0 },
	{ "a lossless reader, room made by another publisher", setup_lossless, begin_lossless_other,
	  finish, 0 },
	{ "a lossless reader looks back", setup_lossless, begin_looks_back, finish, 0 },
	{ "a lossless reader joins while the floor moves", setup_full, begin_join, finish, 0 },
	{ "a lossless reader joins, room made by another publisher", setup_full, begin_join_other, finish, 0 },
	{ "a lossless reader leaves", setup_lossless, begin_leaves, finish, 0 },
	{ "a message is discarded at once", setup_empty, begin_gives_up, finish, 0 },
	{ "the floor does not pass a message that is being written", setup_empty, begin_passes, finish, 0 },
	{ "an abort a lap later", setup_full, begin_marks, finish, 1 },
	{ "an abort a lap later, by an heir", setup_full_single, begin_marks, finish, 1 },
	{ "a reader is cut off", setup_evict, begin_evict, finish, 0 },
	{ "a reader is cut off, room made by another publisher", setup_evict, begin_evict_two, finish, 0 },
	{ "two publishers go around the log", setup_slow, begin_slow, finish_slow, 0 },
	{ 0 },
};
