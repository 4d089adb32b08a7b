/* SPDX-License-Identifier: MIT */
/*
 * model_tlog_trim.c - chunks whose memory is given back; see tlog_trim.h
 *
 * Messages 0 and 1 are in the pool, in chunks 0 and 1. A publisher discards message 0 and
 * gives the memory of chunk 0 back, which is a plain write: a race with a copy is a
 * failure, and so is any touch after it by an end that has not had it taken again.
 */
#include "model_tlog.h"

static struct shmipc_tlog_rx rx_made;
static int gone;			/* chunk 0 has no memory */
static struct shmipc_tlog taker_log;	/* with a record of memory */
static struct shmipc_tlog_memory taker_memory;
static uint64_t taker_chunks[1];

static void fence(void)
{
	if (now.full_fence)
		shmipc_fence_seq_cst();
	else
		model_barrier_heavy();
}

static void guard(uintptr_t at)
{
	uintptr_t from = (uintptr_t)logm.pool;

	model_check(!gone || at < from || at >= from + logm.hdr.chunk_bytes,
		    "memory that was given back was touched");
}

static void make(uint32_t policy)
{
	log_make_pool(2);
	logm.chunk[0] = SHMIPC_CHUNK_RETIRED;
	logm.chunk[1] = 1 << 2 | SHMIPC_CHUNK_RETIRED;
	shmipc_tlog_rx_init(&rx_made, &logm);
	shmipc_tlog_rx_begin(&rx_made, 1, 1, 0);
	shmipc_tlog_rx_join(&rx_made, 0, policy, 0, 5);
	model_guard = guard;
}

static void setup_lossy(void)
{
	make(SHMIPC_POLICY_LOSSY);
}

static void setup_evict(void)
{
	make(SHMIPC_POLICY_EVICT);
}

/* Give up message 0, and cut off the subscriber that is in the way. */
static void discard(struct shmipc_tlog_tx *tx)
{
	struct shmipc_tlog_block b;

	while (shmipc_tlog_advance(tx, 1, 1, &b))
		(void)shmipc_tlog_evict(&logm, &b, 0);
}

/* Of chunk 0, which is ours. */
static void give_back(struct shmipc_tlog_tx *tx)
{
	static const uint64_t zero[2];
	const struct shmipc_sub_line *line = shmipc_tlog_sub(&logm, 0);
	uint64_t state, upto;

	tx->fence = fence;
	upto = shmipc_tlog_trim_from(tx);
	if (upto < 1)
		return;
	while (shmipc_tlog_reads(&logm, 0, upto, &state))
		(void)model_await(&line->reading);
	shmipc_tlog_trimmed(&logm);
	shmipc_payload_write(logm.pool, zero, sizeof(zero));
	gone = 1;
}

static void trimmer(void *arg)
{
	struct shmipc_tlog_tx tx;

	log_begin_tx(&tx, (uint32_t)(uintptr_t)arg, 0);
	discard(&tx);
	give_back(&tx);
}

static void discarder(void *arg)
{
	struct shmipc_tlog_tx tx;

	log_begin_tx(&tx, (uint32_t)(uintptr_t)arg, 0);
	discard(&tx);
}

/* Message 0 has been discarded by another, or has not. */
static void late_trimmer(void *arg)
{
	struct shmipc_tlog_tx tx;

	log_begin_tx(&tx, (uint32_t)(uintptr_t)arg, 0);
	give_back(&tx);
}

/* Copies both messages, or what of them is still kept. */
static void reader(void *arg)
{
	struct shmipc_tlog_rx rx = rx_made;
	struct shmipc_tlog_ref ref;
	uint64_t buf[2], n;
	int ret = 0;

	(void)arg;
	rx.full_fence = now.full_fence;
	for (n = 0; n < 2 && ret >= 0; n++) {
		ret = shmipc_tlog_peek(&rx, &ref);
		if (!ret) {
			model_check(ref.in_pool && ref.len == 16, "not in the pool");
			shmipc_payload_read(buf, ref.ptr, ref.len);
			shmipc_tlog_unread(&rx);
			ret = shmipc_tlog_next(&rx);
		}
		model_check(ret >= 0 || ret == -ESTALE || ret == -ECONNRESET, "it returned %d", ret);
		model_check(ret < 0 || (buf[0] == LOG_POOL_WORD && buf[1] == LOG_POOL_WORD),
			    "the message is overwritten");
	}
	shmipc_tlog_unread(&rx);
}

static void begin(void)
{
	log_reset();
	gone = 0;
	th_tx[0] = model_spawn("pub 0", trimmer, (void *)0, 0);
	th_rx[0] = model_spawn("reader", reader, NULL, 0);
}

static void begin_fence(void)
{
	begin();
	now.full_fence = 1;
}

static void begin_late(void)
{
	log_reset();
	gone = 0;
	th_tx[0] = model_spawn("pub 0", discarder, (void *)0, 0);
	th_tx[1] = model_spawn("pub 1", late_trimmer, (void *)1, 0);
	th_rx[0] = model_spawn("reader", reader, NULL, 0);
}

static void finish(void)
{
	log_all_ended();
	model_check(gone, "it still waits for the reader");
}

static void finish_late(void)
{
	log_all_ended();
}

/* The chunk goes from one publisher to the next, which knew that it had memory. */

static int have(void *arg, uint64_t off, uint64_t bytes)
{
	(void)arg;
	if (off <= logm.hdr.pool_off && off + bytes > logm.hdr.pool_off)
		gone = 0;
	return 0;
}

static void trim_and_free(void *arg)
{
	trimmer(arg);
	shmipc_store_release(&logm.chunk[0], SHMIPC_CHUNK_FREE);
}

static void taker(void *arg)
{
	static const uint64_t other[2] = { 1, 1 };
	uint64_t word = shmipc_load_acquire(&logm.chunk[0]);

	(void)arg;
	if (word != SHMIPC_CHUNK_FREE)
		return;
	model_check(!shmipc_tlog_chunks(&taker_log, 0, 0), "no memory");
	shmipc_payload_write(logm.pool, other, sizeof(other));
}

static void begin_taken(void)
{
	log_reset();
	gone = 0;
	taker_log = logm;
	taker_chunks[0] = 3;
	taker_memory = (struct shmipc_tlog_memory){ .have = have, .see = have, .chunk = taker_chunks,
						    .chunks = 2, .entries = LOG_ENTRIES };
	taker_log.memory = &taker_memory;
	th_tx[0] = model_spawn("pub 0", trim_and_free, (void *)0, 0);
	th_tx[1] = model_spawn("pub 1", taker, NULL, 0);
}

const struct model_test log_trim_tests[] = {
	{ "trim: a lossy reader is awaited, or finds that it is too late", setup_lossy, begin, finish, 0 },
	{ "trim: the same without membarrier", setup_lossy, begin_fence, finish, 0 },
	{ "trim: a reader that is cut off meanwhile is awaited, too", setup_evict, begin, finish, 0 },
	{ "trim: what another publisher has discarded", setup_lossy, begin_late, finish_late, 0 },
	{ "trim: the next publisher has memory taken again", setup_lossy, begin_taken, finish_late, 0 },
	{ 0 },
};
