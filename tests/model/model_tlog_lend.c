/* SPDX-License-Identifier: MIT */
/* model_tlog_lend.c - lending and recalling the tail of a log */
#include "model_tlog.h"

static struct shmipc_tlog_tx owner_tx;	/* has the tail, or is about to get it */
static struct shmipc_tlog_tx other_tx[3];	/* these have not published yet */

static void fence(void)
{
	model_barrier_heavy();
}

static void begin_pub(struct shmipc_tlog_tx *tx, uint32_t slot, uintptr_t dead)
{
	log_begin_tx(tx, slot, dead);
	tx->fence = fence;
}

/* @n messages of publisher 0; the tail will be lent with the next one, or was with the last. */
static void make(int n)
{
	log_make(3, 2, 0);
	logm.pub->pubs_used = 3;
	log_begin_tx(&owner_tx, 0, 0);
	owner_tx.lend_after = 1;
	owner_tx.fence = fence;
	while (n--)
		(void)log_put(&owner_tx, 1);
	begin_pub(&other_tx[1], 1, 0);
	begin_pub(&other_tx[2], 2, 0);
}

static void setup_lent(void)
{
	make(2);
	model_check(owner_tx.lent, "the tail is not lent");
}

static void setup_borrows(void)
{
	make(1);
	model_check(!owner_tx.lent, "the tail is lent already");
}

/* One message, or @arg messages; a last claim is withdrawn. */
static void owner(void *arg)
{
	struct shmipc_tlog_tx tx = owner_tx;
	uintptr_t n;

	for (n = (uintptr_t)arg; n; n--)
		(void)log_put(&tx, 1);
	shmipc_tlog_unclaim(&tx);
}

static void owner_batch(void *arg)
{
	struct shmipc_tlog_tx tx = owner_tx;

	(void)arg;
	(void)log_put(&tx, 2);
}

static void other(void *arg)
{
	struct shmipc_tlog_tx tx = other_tx[(uintptr_t)arg];

	(void)log_put(&tx, 1);
}

static void heir(void *arg)
{
	struct shmipc_tlog_tx tx;
	uintptr_t dead = model_join(th_tx[0]) == MODEL_DIED;

	(void)arg;
	now.heir = 1;
	begin_pub(&tx, 0, dead);
	(void)log_put(&tx, 1);
}

/* No thread died: every number has a message, and the reader has received all. */
static void finish_full(void)
{
	uint64_t tail = shmipc_tlog_tail(&logm), seq;

	log_all_ended();
	for (seq = 0; seq < tail; seq++)
		model_check(shmipc_load_relaxed(&shmipc_tlog_entry(&logm, seq)->word) ==
			    (seq << 2 | SHMIPC_ENTRY_CELL), "number %llu has no message",
			    (unsigned long long)seq);
	model_check(now.got[0] == tail - now.first[0] && now.end[0] == tail, "%llu of %llu received",
		    (unsigned long long)now.got[0], (unsigned long long)tail);
}

static void begin_recalled(void)
{
	log_reset();
	th_tx[0] = model_spawn("owner", owner, (void *)(model_deep ? 2ul : 1ul), 0);
	th_tx[1] = model_spawn("pub 1", other, (void *)1, 0);
	th_rx[0] = model_spawn("reader", log_patient_reader, NULL, 0);
}

/* Checks for orphans all the time, beginning with the next message. */
static void asking_reader(void *arg)
{
	struct shmipc_tlog_rx rx;

	(void)arg;
	shmipc_tlog_rx_init(&rx, &logm);
	rx.seq = now.first[0] = now.end[0] = 2;
	log_read_all(&rx, 0);
}

static void begin_asks(void)
{
	log_reset();
	th_tx[0] = model_spawn("owner", owner, (void *)1, 0);
	th_tx[1] = model_spawn("pub 1", other, (void *)1, 0);
	th_rx[0] = model_spawn("reader", asking_reader, NULL, 0);
}

static void begin_asks_alone(void)
{
	log_reset();
	th_tx[0] = model_spawn("owner", owner, (void *)3, 0);
	th_rx[0] = model_spawn("reader", asking_reader, NULL, 0);
}

static void begin_batch(void)
{
	log_reset();
	th_tx[0] = model_spawn("owner", owner_batch, NULL, 0);
	th_tx[1] = model_spawn("pub 1", other, (void *)1, 0);
	th_rx[0] = model_spawn("reader", log_patient_reader, NULL, 0);
}

static void begin_two(void)
{
	log_reset();
	th_tx[0] = model_spawn("owner", owner, (void *)(model_deep ? 1ul : 0ul), 0);
	th_tx[1] = model_spawn("pub 1", other, (void *)1, 0);
	th_tx[2] = model_spawn("pub 2", other, (void *)2, 0);
	th_rx[0] = model_spawn("reader", log_patient_reader, NULL, 0);
}

static void begin_dies(void)
{
	log_reset();
	th_tx[0] = model_spawn("owner", owner, (void *)1, 1);
	th_tx[1] = model_spawn("pub 1", other, (void *)1, 0);
	th_rx[0] = model_spawn("reader", log_knowing_reader, NULL, 0);
}

static void begin_heir(void)
{
	log_reset();
	th_tx[0] = model_spawn("owner", owner, (void *)1, 1);
	th_heir = model_spawn("heir", heir, NULL, 0);
	th_rx[0] = model_spawn("reader", log_patient_reader, NULL, 0);
}

/* The next number belongs to a later message; all messages before it are there. */
static void newcomer(void *arg)
{
	struct shmipc_tlog_rx rx;
	uint64_t seq;

	(void)arg;
	shmipc_tlog_rx_init(&rx, &logm);
	shmipc_tlog_rx_begin(&rx, 0, 1, 0);
	seq = rx.seq;
	model_check(seq >= 2, "begins at %llu", (unsigned long long)seq);
	model_check(!shmipc_tlog_pending(shmipc_load_relaxed(&shmipc_tlog_entry(&logm, seq - 1)->word),
					seq - 1), "message %llu is not there",
		    (unsigned long long)seq - 1);
}

static void begin_newcomer(void)
{
	log_reset();
	th_tx[0] = model_spawn("owner", owner, (void *)2, 0);
	th_rx[0] = model_spawn("newcomer", newcomer, NULL, 0);
}

const struct model_test log_lend_tests[] = {
	{ "the tail is recalled while its owner publishes", setup_lent, begin_recalled, finish_full, 0 },
	{ "the tail is recalled while its owner publishes a batch", setup_lent, begin_batch,
	  finish_full, 0 },
	{ "nobody died, and no message of the owner is an orphan", setup_lent, begin_asks_alone,
	  finish_full, 0 },
	{ "nobody died, the tail is recalled, and nothing is an orphan", setup_lent, begin_asks,
	  finish_full, 0, 1 },
	{ "two publishers recall the tail", setup_lent, begin_two, finish_full, 0 },
	{ "the tail is lent while another publishes", setup_borrows, begin_recalled, finish_full, 0 },
	{ "the tail's owner dies at any step, the reader skips its message", setup_lent, begin_dies,
	  log_finish_at_tail, 1 },
	{ "the tail's owner dies at any step, its successor aborts", setup_lent, begin_heir,
	  log_finish_at_tail, 1 },
	{ "a newcomer begins after the existing messages", setup_lent, begin_newcomer, log_all_ended, 0 },
	{ 0 },
};
