/* SPDX-License-Identifier: MIT */
/*
 * model_tlog_abort.c - publishers that are stopped between claim and commit
 *
 * A thread that dies is also one that is stopped, if no other is told that it died: it is
 * taken for alive, and its line stays as it is.
 */
#include "model_tlog.h"

static struct shmipc_tlog_tx late_tx;	/* of publisher 0, which has claimed already */

static void make(uint32_t pubs)
{
	log_abort_ns = 1;
	log_make(pubs, 2, 0);
	log_abort_ns = 0;
	logm.pub->pubs_used = pubs;
}

static void setup_two(void)
{
	make(2);
}

static void setup_three(void)
{
	make(3);
}

static int asked;		/* the aborter: whether another publisher than 0 is alive */

static int alive_asked(void *arg, uint32_t slot)
{
	(void)arg;
	asked |= slot > 0;
	return 1;
}

/* What a peer does for which message 0 takes too long; @pubs: how many lines may name it. */
static void abort_message(uint32_t pubs)
{
	struct shmipc_tlog_settled n;
	uint32_t slot;

	(void)shmipc_tlog_abort(&logm, 0);
	for (slot = 0; slot < pubs; slot++)
		if (shmipc_priv_tlog_covers(&logm, shmipc_load_relaxed(&logm.pub_line[slot].claim), 0))
			shmipc_tlog_settle(&logm, slot, alive_asked, NULL, &n);
}

/* At any time. */
static void aborter(void *arg)
{
	abort_message((uint32_t)(uintptr_t)arg);
}

/*
 * When publisher 0 does not continue. Until it has done so: publisher 1 may have announced
 * the number, too, and goes on.
 */
static void aborter_stopped(void *arg)
{
	const __u64 *claim = &logm.pub_line[1].claim;

	if (model_join(th_tx[0]) != MODEL_DIED)
		return;
	for (;;) {
		asked = 0;
		abort_message((uint32_t)(uintptr_t)arg);
		if (!asked)
			break;
		if (shmipc_priv_tlog_covers(&logm, shmipc_load_relaxed(claim), 0))
			(void)model_await(claim);
	}
}

static void reader(void *arg)
{
	struct shmipc_tlog_rx rx;

	(void)arg;
	log_begin_rx(&rx, 0, 1);
	log_read_all(&rx, 0);
}

/* A message that was committed comes, one that was refused does not; a batch does or does not. */
static void finish(void)
{
	uint64_t tail = shmipc_tlog_tail(&logm), seq;

	log_all_ended();
	model_check(now.end[0] == tail, "the reader waits at %llu of %llu",
		    (unsigned long long)now.end[0], (unsigned long long)tail);
	for (seq = now.first[0]; seq < tail; seq++) {
		model_check(!now.tag[seq] || now.there[seq], "message %llu was committed, and did not come",
			    (unsigned long long)seq);
		model_check(!now.refused[seq] || !now.there[seq], "message %llu was refused, and came",
			    (unsigned long long)seq);
	}
	if (now.batch && now.batch + 1 <= tail)
		model_check(now.there[now.batch - 1] == now.there[now.batch],
			    "one message of a batch came, and the other did not");
}

static void begin_one(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", log_tx_thread, (void *)0, 0);
	th_tx[1] = model_spawn("aborter", aborter, (void *)1, 0);
	th_rx[0] = model_spawn("reader", reader, NULL, 0);
}

static void begin_batch(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", log_tx_batch, (void *)0, 0);
	th_tx[1] = model_spawn("aborter", aborter, (void *)1, model_deep);
	th_rx[0] = model_spawn("reader", log_patient_reader, NULL, 0);
}

/* It may also be stopped after it has decided: then its batch is completed. */
static void begin_stopped(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", log_tx_batch, (void *)0, 1);
	th_tx[1] = model_spawn("aborter", aborter_stopped, (void *)1, 0);
	th_rx[0] = model_spawn("reader", reader, NULL, 0);
}

/* The same, and nobody settles: the reader knows all the same. */
static void only_aborts(void *arg)
{
	(void)arg;
	if (model_join(th_tx[0]) == MODEL_DIED)
		(void)shmipc_tlog_abort(&logm, 0);
}

/* It looks when abort_ns has passed. */
static void later_reader(void *arg)
{
	(void)model_join(th_tx[1]);
	reader(arg);
}

static void begin_read_only(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", log_tx_batch, (void *)0, 1);
	th_tx[1] = model_spawn("aborter", only_aborts, NULL, 0);
	th_rx[0] = model_spawn("reader", later_reader, NULL, 0);
}

/* Its line may name a number that another one gets, which continues. */
static void begin_other(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", log_tx_thread, (void *)0, 1);
	th_tx[1] = model_spawn("pub 1", log_tx_thread, (void *)1, 0);
	th_tx[2] = model_spawn("aborter", aborter_stopped, (void *)2, 0);
}

/* It is known what became of message 0; and no word contradicts its publisher. */
static void finish_words(void)
{
	uint64_t tail = shmipc_load_relaxed(&logm.pub->tail), seq, word;

	log_all_ended();
	for (seq = 0; seq < tail; seq++) {
		word = shmipc_load_relaxed(&shmipc_tlog_entry(&logm, seq)->word);
		model_check(seq || shmipc_tlog_resolved(word, seq), "nothing became of message 0");
		model_check(!now.tag[seq] || (word & 3) == SHMIPC_ENTRY_CELL,
			    "message %llu was committed, and aborted", (unsigned long long)seq);
		model_check(!now.refused[seq] || (word & 3) == SHMIPC_ENTRY_ABORTED,
			    "message %llu was refused, and is there", (unsigned long long)seq);
	}
}

/* Publisher 0 has claimed message 0, and all others of the lap are there; the floor is at @floor. */
static void setup_claimed(uint32_t pubs, uint64_t floor)
{
	uint64_t seq;

	make(pubs);
	log_begin_tx(&late_tx, 0, 0);
	model_check(!shmipc_tlog_claim(&late_tx, 1, &seq) && !seq, "not message 0");
	for (seq = 1; seq < LOG_ENTRIES; seq++)
		shmipc_tlog_entry(&logm, seq)->word = seq << 2 | SHMIPC_ENTRY_CELL;
	logm.pub->tail = LOG_ENTRIES;
	logm.pub->floor = logm.pub->clear = floor;
}

/* It has been aborted, the entry can be used again, and it continues only now. */
static void setup_late(void)
{
	setup_claimed(2, LOG_ENTRIES);
	logm.pub_line[0].claim |= SHMIPC_ENTRY_ABORTED << SHMIPC_CLAIM_STATE;
	shmipc_tlog_entry(&logm, 0)->word = SHMIPC_ENTRY_ABORTED;
}

static void setup_lap(void)
{
	setup_claimed(3, 0);
}

static void late(void *arg)
{
	struct shmipc_tlog_tx tx = late_tx;

	(void)arg;
	(void)log_commit(&tx, 0, 1);
}

/* Reads the next lap. */
static void reader_of_lap(void *arg)
{
	struct shmipc_tlog_rx rx;

	(void)arg;
	shmipc_tlog_rx_init(&rx, &logm);
	rx.seq = now.first[0] = now.end[0] = LOG_ENTRIES;
	rx.every = 1;
	log_read_all(&rx, 0);
}

static void reset_late(void)
{
	log_reset();
	memset(now.tag, 0, sizeof(now.tag));
	now.sent[0] = 0;
}

static void begin_late(void)
{
	reset_late();
	th_tx[0] = model_spawn("pub 0", late, NULL, 0);
	th_tx[1] = model_spawn("pub 1", log_tx_thread, (void *)1, 0);
	th_rx[0] = model_spawn("reader", reader_of_lap, NULL, 0);
}

/* Aborts message 0, and makes room for a lap; publisher 2 takes it, and knows nothing of that. */
static void aborts_and_advances(void *arg)
{
	struct shmipc_tlog_block b;
	struct shmipc_tlog_tx tx;

	log_begin_tx(&tx, (uint32_t)(uintptr_t)arg, 0);
	abort_message(1);
	(void)shmipc_tlog_advance(&tx, 1, 2, &b);
}

static void takes_room(void *arg)
{
	struct shmipc_tlog_finished f;
	struct shmipc_tlog_tx tx;
	uint64_t seq;

	log_begin_tx(&tx, (uint32_t)(uintptr_t)arg, 0);
	do {
		while (shmipc_tlog_claim(&tx, 1, &seq)) {
			shmipc_tlog_unclaim(&tx);
			(void)model_await(&logm.pub->clear);
		}
	} while (shmipc_tlog_start(&tx, seq, 1, log_all_live, NULL, &f));
	(void)log_commit(&tx, seq, 1);
}

static void begin_lap(void)
{
	reset_late();
	th_tx[0] = model_spawn("pub 0", late, NULL, 0);
	th_tx[1] = model_spawn("aborter", aborts_and_advances, (void *)1, 0);
	th_tx[2] = model_spawn("pub 2", takes_room, (void *)2, 0);
}

/* What was published in the entry of message 0, a lap later, is all of it from one publisher. */
static void finish_lap(void)
{
	uint64_t word = shmipc_load_relaxed(&shmipc_tlog_entry(&logm, 0)->word), buf[2];
	struct shmipc_entry *e = shmipc_tlog_entry(&logm, LOG_ENTRIES);
	struct shmipc_tlog_ref ref = { .seq = LOG_ENTRIES, .len = 16 };

	model_check(now.refused[0] || now.tag[0], "the late publisher does not continue");
	model_check(!now.tag[0] || word >> 2 || word == SHMIPC_ENTRY_CELL, "message 0 is not there");
	if (word != (LOG_ENTRIES << 2 | SHMIPC_ENTRY_CELL))
		return;
	ref.info = shmipc_load_relaxed(&e->info);
	ref.ptr = shmipc_tlog_cell(e);
	model_check(ref.info >> SHMIPC_INFO_PUB == 2, "the entry is of publisher %llu",
		    (unsigned long long)(ref.info >> SHMIPC_INFO_PUB));
	log_copy(&ref, buf, 1);
	log_check_words(buf, &ref);
}

const struct model_test log_abort_tests[] = {
	{ "abort: a message is committed, or refused", setup_two, begin_one, finish, 0 },
	{ "abort: a batch is committed, or refused", setup_two, begin_batch, finish, 1 },
	{ "abort: a publisher is stopped at any step", setup_two, begin_stopped, finish, 1 },
	{ "abort: a publisher is stopped, and only its claim is aborted", setup_two, begin_read_only,
	  finish, 1 },
	{ "abort: a publisher is stopped, and another one is not", setup_three, begin_other, finish_words, 1 },
	{ "abort: a publisher continues a lap later", setup_late, begin_late, finish, 0 },
	{ "abort: room after an abort", setup_lap, begin_lap, finish_lap, 0 },
	{ 0 },
};
