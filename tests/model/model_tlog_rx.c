/* SPDX-License-Identifier: MIT */
/* model_tlog_rx.c - subscribers that hold, sleep and share */
#include <errno.h>
#include "model_tlog.h"

static struct shmipc_tlog_rx rx_made;

static void finish(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		model_check(!th_tx[i] || model_state(th_tx[i]) == MODEL_RETURNED,
			    "publisher %d waits forever", i);
		model_check(!th_rx[i] || model_state(th_rx[i]) == MODEL_RETURNED ||
			    model_state(th_rx[i]) == MODEL_DIED, "reader %d waits forever", i);
	}
}

/*
 * Holds. Message 0 is in the pool, in chunk 0, which is retired with it. A publisher
 * that needs a chunk may take it when message 0 is before clear and no subscriber holds
 * it (lib/topic/pool.c).
 */
void log_make_pool(uint32_t n)
{
	struct shmipc_tlog_tx tx;
	uint64_t seq, *chunk, i;

	log_make(2, 2, 0);
	logm.pub->pubs_used = 2;
	logm.sub->subs_used = 2;
	log_begin_tx(&tx, 0, 0);
	for (i = 0; i < n; i++) {
		if (shmipc_tlog_claim(&tx, 1, &seq))
			model_fail("claim");
		chunk = (uint64_t *)(void *)(logm.pool + i * logm.hdr.chunk_bytes);
		chunk[0] = chunk[1] = LOG_POOL_WORD;
		shmipc_tlog_fill_pool(&tx, seq, 0, 16, 0, i * logm.hdr.chunk_bytes, i << 32 | i);
		(void)shmipc_tlog_commit(&tx, seq, 1, SHMIPC_ENTRY_POOL, 16);
	}
	for (; i < LOG_ENTRIES; i++)
		(void)log_put(&tx, 1);
}

static void setup_pool(void)
{
	log_make_pool(1);
}

static void setup_pool_lossy(void)
{
	setup_pool();
	shmipc_tlog_rx_init(&rx_made, &logm);
	shmipc_tlog_rx_begin(&rx_made, 1, 1, 0);
	shmipc_tlog_rx_join(&rx_made, 0, SHMIPC_POLICY_LOSSY, 0, 5);
}

static void setup_pool_lossless(void)
{
	setup_pool();
	shmipc_tlog_rx_init(&rx_made, &logm);
	shmipc_tlog_rx_begin(&rx_made, 1, 1, 0);
	shmipc_tlog_rx_join(&rx_made, 0, SHMIPC_POLICY_LOSSLESS, 0, 5);
}

static int somebody_holds(uint32_t chunk)
{
	uint32_t slot, i, n = shmipc_priv_tlog_subs(&logm);
	struct shmipc_sub_line *line;
	uint64_t chunks;

	for (slot = 0; slot < n; slot++) {
		line = shmipc_tlog_sub(&logm, slot);
		if (shmipc_load_acquire(&logm.evicted[slot]) & SHMIPC_EVICTED_DEAD)
			continue;
		if (!shmipc_load_acquire(&line->state) || !shmipc_load_acquire(&line->holding))
			continue;
		for (i = 0; i < logm.hdr.holds; i++) {
			if (!shmipc_load_acquire(&shmipc_tlog_hold(line, i)->seq))
				continue;
			chunks = shmipc_load_relaxed(&shmipc_tlog_hold(line, i)->chunks);
			if (chunk >= (uint32_t)chunks && chunk <= chunks >> 32)
				return 1;
		}
	}
	return 0;
}

/* Take chunk 0 if it is free, and overwrite it at once. */
static void take_chunk(void)
{
	static const uint64_t other[2] = { 1, 1 };
	uint64_t clear = shmipc_load_acquire(&logm.pub->clear);

	shmipc_fence_seq_cst();
	if (clear < 1 || somebody_holds(0))
		return;
	shmipc_fence_release();
	shmipc_racy_write(logm.pool, other, sizeof(other));
}

static void pool_user(void *arg)
{
	struct shmipc_tlog_block b;
	struct shmipc_tlog_tx tx;

	log_begin_tx(&tx, (uint32_t)(uintptr_t)arg, 0);
	while (shmipc_tlog_advance(&tx, 1, 1, &b))
		log_await_room(&b);
	take_chunk();
}

/* Moves the floor; another publisher wants the chunk. */
static void pool_advancer(void *arg)
{
	struct shmipc_tlog_block b;
	struct shmipc_tlog_tx tx;

	log_begin_tx(&tx, (uint32_t)(uintptr_t)arg, 0);
	while (shmipc_tlog_advance(&tx, 1, 1, &b))
		log_await_room(&b);
}

static void pool_taker(void *arg)
{
	(void)arg;
	take_chunk();
	take_chunk();
}

static void check_pool_words(const uint64_t *buf)
{
	model_check(buf[0] == LOG_POOL_WORD && buf[1] == LOG_POOL_WORD, "the message was overwritten");
}

static void hold_and_read(struct shmipc_tlog_rx *rx, int lossless)
{
	struct shmipc_tlog_ref ref;
	uint64_t buf[2];
	int ret = shmipc_tlog_peek(rx, &ref), held;

	if (ret == -ESTALE || (!ret && ref.seq))
		return;
	model_check(!ret && ref.in_pool && ref.len == 16, "peek returned %d", ret);
	held = shmipc_tlog_hold_take(rx, 0, &ref);
	model_check(held || !lossless, "too late for a lossless subscriber");
	ret = shmipc_tlog_next(rx);
	model_check(!lossless || ret >= 0, "next returned %d", ret);
	if (!held)
		return;
	/* No other thread may write here now. */
	shmipc_payload_read(buf, ref.ptr, ref.len);
	check_pool_words(buf);
	if (now.leaves)
		shmipc_tlog_rx_leave(rx);
	else
		shmipc_tlog_unhold(rx, 0);
}

static void holder(void *arg)
{
	struct shmipc_tlog_rx rx = rx_made;

	hold_and_read(&rx, arg != NULL);
}

/* Copies without a hold: the copy is intact if the floor has not passed it. */
static void pool_copier(void *arg)
{
	struct shmipc_tlog_rx rx = rx_made;
	struct shmipc_tlog_ref ref;
	uint64_t buf[2];
	int ret = shmipc_tlog_peek(&rx, &ref);

	(void)arg;
	if (ret || ref.seq)
		return;
	shmipc_racy_read(buf, ref.ptr, ref.len);
	if (shmipc_tlog_next(&rx) >= 0)
		check_pool_words(buf);
}

static void pool_joiner(void *arg)
{
	struct shmipc_tlog_rx rx;
	struct shmipc_tlog_ref ref;
	uint64_t buf[2];

	shmipc_tlog_rx_init(&rx, &logm);
	shmipc_tlog_rx_begin(&rx, 1, 1, 0);
	shmipc_tlog_rx_join(&rx, 0, SHMIPC_POLICY_LOSSLESS, 0, 5);
	if (rx.seq)
		return;
	if (arg) {
		hold_and_read(&rx, 1);
		return;
	}
	model_check(!shmipc_tlog_peek(&rx, &ref), "peek");
	shmipc_payload_read(buf, ref.ptr, ref.len);
	model_check(shmipc_tlog_next(&rx) >= 0, "next");
	check_pool_words(buf);
}

static void begin_pool(void (*reader)(void *), void *arg)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", pool_user, (void *)0, 0);
	th_rx[0] = model_spawn("reader", reader, arg, 0);
}

static void begin_hold(void)
{
	begin_pool(holder, NULL);
}

static void begin_hold_lossless(void)
{
	begin_pool(holder, "");
}

static void begin_copy(void)
{
	begin_pool(pool_copier, NULL);
}

static void begin_pool_join(void)
{
	begin_pool(pool_joiner, NULL);
}

static void begin_pool_join_hold(void)
{
	begin_pool(pool_joiner, "");
}

static void begin_pool_join_other(void)
{
	log_reset();
	th_tx[0] = model_spawn("advancer", pool_advancer, (void *)0, 0);
	th_tx[1] = model_spawn("taker", pool_taker, NULL, 0);
	th_rx[0] = model_spawn("joiner", pool_joiner, NULL, 0);
}

static void begin_hold_leave(void)
{
	begin_hold();
	now.leaves = 1;
}

static void begin_hold_other(void)
{
	log_reset();
	th_tx[0] = model_spawn("advancer", pool_advancer, (void *)0, 0);
	th_tx[1] = model_spawn("taker", pool_taker, NULL, 0);
	th_rx[0] = model_spawn("reader", holder, NULL, 0);
}

/* The holds of a dead subscriber have ended, for all that know of its death. */
static void undertaker(void *arg)
{
	struct shmipc_tlog_block b = { .slot = 0, .state = 5ULL << 16 };

	(void)arg;
	if (model_join(th_rx[0]) == MODEL_DIED)
		shmipc_tlog_evict(&logm, &b, 1);
}

static void begin_hold_dies(void)
{
	log_reset();
	th_tx[0] = model_spawn("undertaker", undertaker, NULL, 0);
	th_tx[1] = model_spawn("pub", pool_user, (void *)0, 0);
	th_rx[0] = model_spawn("reader", holder, NULL, 1);
}

/*
 * Sleepers. A subscriber states up to which number it waits, executes the expensive
 * fence, checks again, and sleeps on the entry's word (lib/topic/sub_wait.c).
 */
static void barrier(void)
{
	if (now.full_fence)
		shmipc_fence_seq_cst();
	else
		model_barrier_heavy();
}

static void sleep_for(uint64_t seq)
{
	__u64 *word = &shmipc_tlog_entry(&logm, seq)->word, was;

	shmipc_priv_tlog_raise(&logm.sub->want, seq + 1);
	barrier();
	was = shmipc_load_acquire(word);
	if (shmipc_tlog_pending(was, seq))
		(void)model_futex_wait(word, (uint32_t)was, -1);
}

static void sleepy(void *arg)
{
	struct shmipc_tlog_rx rx;
	int i = arg != NULL;

	log_begin_rx(&rx, i, 1);
	for (;;)
		if (log_read_one(&rx, i, 0) == -EAGAIN)
			sleep_for(rx.seq);
}

static void sleepy_stride(void *arg)
{
	struct shmipc_tlog_rx rx;
	struct shmipc_tlog_ref ref;

	(void)arg;
	shmipc_tlog_rx_init(&rx, &logm);
	shmipc_tlog_rx_begin(&rx, 1, 2, 1);
	for (;;) {
		if (shmipc_tlog_peek(&rx, &ref) == -EAGAIN)
			sleep_for(rx.seq);
		else
			(void)shmipc_tlog_next(&rx);
		now.end[1] = rx.seq - 1;	/* all before it were received, or are not ours */
	}
}

static void waking(void *arg)
{
	uintptr_t n = (uintptr_t)arg & 15, slot = (uintptr_t)arg >> 4 & 15, i;
	struct shmipc_tlog_tx tx;
	uint64_t seq = 0;
	uint32_t wake;

	log_begin_tx(&tx, (uint32_t)slot, 0);
	model_check(!shmipc_tlog_claim(&tx, (uint32_t)n, &seq), "claim");
	wake = log_commit(&tx, seq, (uint32_t)n);
	for (i = 0; i < wake; i++)
		model_futex_wake(&shmipc_tlog_entry(&logm, seq + i)->word);
}

static void setup_empty(void)
{
	log_make(2, 2, 0);
	logm.pub->pubs_used = 2;
}

static void begin_sleep(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", waking, (void *)1, 0);
	th_rx[0] = model_spawn("reader", sleepy, NULL, 0);
}

static void begin_sleep_fence(void)
{
	begin_sleep();
	now.full_fence = 1;
}

static void begin_sleep_two_tx(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", waking, (void *)1, 0);
	th_tx[1] = model_spawn("pub 1", waking, (void *)0x11, 0);
	th_rx[0] = model_spawn("reader", sleepy, NULL, 0);
}

static void begin_sleep_two_rx(void)
{
	begin_sleep();
	th_rx[1] = model_spawn("second", sleepy, "", 0);
}

static void begin_sleep_batch(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", waking, (void *)2, 0);
	th_rx[0] = model_spawn("reader", sleepy, NULL, 0);
	th_rx[1] = model_spawn("stride", sleepy_stride, NULL, 0);
}

static void finish_sleep(void)
{
	uint64_t tail = shmipc_load_relaxed(&logm.pub->tail);
	int i;

	for (i = 0; i < 2; i++) {
		model_check(!th_tx[i] || model_state(th_tx[i]) == MODEL_RETURNED,
			    "publisher %d does not end", i);
		model_check(!th_rx[i] || now.end[i] >= tail, "reader %d sleeps at %llu of %llu", i,
			    (unsigned long long)now.end[i], (unsigned long long)tail);
	}
}

/*
 * Publishers that sleep for room state how far the position must move, execute the
 * expensive fence, check again, and sleep on the position (lib/topic/pub_wait.c). With
 * several publishers the largest want counts.
 */
static void sleep_for_room(struct shmipc_tlog_tx *tx, const struct shmipc_tlog_block *b)
{
	__u64 *pos = &shmipc_tlog_sub(&logm, b->slot)->pos, was;
	uint64_t want = b->pos + 1;

	if (b->who == SHMIPC_TLOG_PUB) {
		log_await_room(b);
		return;
	}
	model_check(b->who == SHMIPC_TLOG_SUB, "no subscriber is in the way");
	shmipc_priv_tlog_raise(&tx->pub->room_want, want);
	barrier();
	was = shmipc_load_acquire(pos);
	if (was < want)
		(void)model_futex_wait(pos, (uint32_t)was, -1);
}

static void sleeping_tx(void *arg)
{
	struct shmipc_tlog_block b;
	struct shmipc_tlog_tx tx;
	uint64_t seq = 0;

	log_begin_tx(&tx, (uint32_t)(uintptr_t)arg, 0);
	while (shmipc_tlog_claim(&tx, 1, &seq))
		if (shmipc_tlog_make_room(&tx, 1, &b))
			sleep_for_room(&tx, &b);
	(void)log_commit(&tx, seq, 1);
}

/* Two that want different amounts: only the larger want is in the word. */
static void room_waiter(void *arg)
{
	__u64 *pos = &shmipc_tlog_sub(&logm, 0)->pos;
	uint64_t want = (uintptr_t)arg, was;

	while (shmipc_load_acquire(pos) < want) {
		shmipc_priv_tlog_raise(&logm.pub->room_want, want);
		barrier();
		was = shmipc_load_acquire(pos);
		if (was < want)
			(void)model_futex_wait(pos, (uint32_t)was, -1);
	}
}

/* Reads all earlier messages, and no more. */
static void room_maker(void *arg)
{
	struct shmipc_tlog_rx rx = rx_made;
	uintptr_t upto = (uintptr_t)arg;
	struct shmipc_tlog_ref ref;
	int ret;

	rx.full_fence = now.full_fence;
	while (rx.seq < upto) {
		ret = shmipc_tlog_peek(&rx, &ref);
		if (ret == -EAGAIN)
			ret = shmipc_tlog_moved(&rx);
		else
			ret = ret ? ret : shmipc_tlog_next(&rx);
		model_check(ret >= 0, "peek or next returned %d", ret);
		if (ret)
			model_futex_wake(&rx.line->pos);
	}
}

static void setup_room(void)
{
	log_make(2, 1, LOG_ENTRIES);
	shmipc_tlog_rx_init(&rx_made, &logm);
	shmipc_tlog_rx_begin(&rx_made, 1, 1, 0);
	shmipc_tlog_rx_join(&rx_made, 0, SHMIPC_POLICY_LOSSLESS, 0, 5);
}

static void setup_room_aborted(void)
{
	setup_room();
	shmipc_tlog_entry(&logm, 0)->word |= SHMIPC_ENTRY_ABORTED;
}

static void begin_room(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", sleeping_tx, (void *)0, 0);
	th_rx[0] = model_spawn("reader", room_maker, (void *)2, 0);
}

static void begin_room_fence(void)
{
	begin_room();
	now.full_fence = 1;
}

static void begin_room_two(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub 0", room_waiter, (void *)1, 0);
	th_tx[1] = model_spawn("pub 1", room_waiter, (void *)2, 0);
	th_rx[0] = model_spawn("reader", room_maker, (void *)2, 0);
}

/*
 * Groups. The cursor is the number of the next message; a member writes that number into
 * its own line, and takes the message by moving the cursor (lib/topic/sub_group.c).
 */
static void group_begin(struct shmipc_tlog_rx *rx, uint32_t slot)
{
	__u64 was, to;

	shmipc_tlog_rx_init(rx, &logm);
	shmipc_tlog_rx_begin(rx, 1, 1, 0);
	shmipc_tlog_rx_join(rx, slot, SHMIPC_POLICY_LOSSLESS, 1, 5);
	was = shmipc_load_acquire(&rx->group->cursor);
	do {
		/* While the group had no member, publishers did not wait. */
		to = was ? was : rx->seq + 1;
		if (to <= shmipc_load_acquire(&rx->pub->floor))
			to = shmipc_load_acquire(&rx->pub->floor) + 1;
	} while (to != was && !shmipc_cas_acq_rel(&rx->group->cursor, &was, to));
	rx->seq = to - 1;
	shmipc_store_release(&rx->line->pos, SHMIPC_POS_NONE);
}

/* 0, or -EAGAIN. */
static int group_take(struct shmipc_tlog_rx *rx)
{
	struct shmipc_tlog_ref ref;
	uint64_t buf[2];
	__u64 cursor;
	int ret;

	for (;;) {
		cursor = shmipc_load_acquire(&rx->group->cursor);
		shmipc_store_release(&rx->line->pos, cursor - 1);
		rx->seq = cursor - 1;
		ret = shmipc_tlog_look(rx, cursor - 1, &ref);
		if (ret == -EAGAIN)
			break;
		/* A member that was slower than another may see anything. */
		if (!shmipc_cas_acq_rel(&rx->group->cursor, &cursor, cursor + 1))
			continue;
		model_check(!ret, "message %llu: look returned %d", (unsigned long long)rx->seq, ret);
		log_copy(&ref, buf, 1);
		log_check_words(buf, &ref);
		model_check(rx->seq < LOG_SEQS && !now.taken[rx->seq]++, "message %llu was taken twice",
			    (unsigned long long)rx->seq);
		break;
	}
	shmipc_store_release(&rx->line->pos, SHMIPC_POS_NONE);
	return ret;
}

static struct shmipc_tlog_rx rx_member[2];

static void member(void *arg)
{
	uintptr_t slot = (uintptr_t)arg & 1;
	struct shmipc_tlog_rx rx = rx_member[slot];

	(void)group_take(&rx);
	if (arg != (void *)slot)
		(void)group_take(&rx);
}

static void new_member(void *arg)
{
	struct shmipc_tlog_rx rx;

	group_begin(&rx, (uint32_t)(uintptr_t)arg);
	(void)group_take(&rx);
}

static void setup_group(void)
{
	log_make(1, 2, LOG_ENTRIES);
	group_begin(&rx_member[0], 0);
	group_begin(&rx_member[1], 1);
}

static void setup_group_new(void)
{
	log_make(1, 2, LOG_ENTRIES);
	logm.sub->subs_used = 1;
}

/* A group that had no member while the log went on. */
static void setup_group_old(void)
{
	setup_group_new();
	logm.group[0].cursor = 1;
}

static void group_tx(void *arg)
{
	struct shmipc_tlog_block b;
	struct shmipc_tlog_tx tx;
	uint64_t seq = 0;

	log_begin_tx(&tx, 0, 0);
	while (shmipc_tlog_claim(&tx, 1, &seq)) {
		if (!shmipc_tlog_make_room(&tx, 1, &b))
			continue;
		if (arg && model_state(th_rx[b.slot]) == MODEL_DIED) {
			(void)model_join(th_rx[b.slot]);
			shmipc_tlog_evict(&logm, &b, 1);
		} else if (b.pos == shmipc_load_acquire(&logm.group[0].cursor) - 1) {
			return;		/* no member is left */
		} else if (arg) {
			(void)model_join(th_rx[b.slot]);
		} else if (shmipc_load_acquire(&shmipc_tlog_sub(&logm, b.slot)->pos) == b.pos) {
			(void)model_await(&shmipc_tlog_sub(&logm, b.slot)->pos);
		}
	}
	(void)log_commit(&tx, seq, 1);
}

static void begin_group(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub", group_tx, NULL, 0);
	th_rx[0] = model_spawn("member 0", member, (void *)0, 0);
	th_rx[1] = model_spawn("member 1", member, (void *)1, 0);
}

static void begin_group_dies(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub", group_tx, "", 0);
	th_rx[0] = model_spawn("member 0", member, (void *)0, 1);
	th_rx[1] = model_spawn("member 1", member, (void *)3, 0);
}

static void begin_group_new(void)
{
	log_reset();
	th_tx[0] = model_spawn("pub", group_tx, NULL, 0);
	th_rx[0] = model_spawn("member 0", new_member, (void *)0, 0);
}

const struct model_test log_rx_tests[] = {
	{ "a hold of a lossy reader", setup_pool_lossy, begin_hold, finish, 0 },
	{ "a hold, clear moved by another publisher", setup_pool_lossy, begin_hold_other, finish, 0 },
	{ "a holder leaves", setup_pool_lossy, begin_hold_leave, finish, 0 },
	{ "a holder dies", setup_pool_lossy, begin_hold_dies, finish, 1 },
	{ "a hold of a lossless reader", setup_pool_lossless, begin_hold_lossless, finish, 0 },
	{ "a copy from the pool without a hold", setup_pool_lossy, begin_copy, finish, 0 },
	{ "a lossless reader joins, its message is in the pool", setup_pool, begin_pool_join,
	  finish, 0 },
	{ "a lossless reader joins, another publisher wants the chunk", setup_pool,
	  begin_pool_join_other, finish, 0 },
	{ "a lossless reader joins and holds", setup_pool, begin_pool_join_hold, finish, 0 },
	{ "no wake is lost while a reader falls asleep", setup_empty, begin_sleep, finish_sleep, 0 },
	{ "no wake is lost, with full fences", setup_empty, begin_sleep_fence, finish_sleep, 0 },
	{ "no wake is lost, two publishers", setup_empty, begin_sleep_two_tx, finish_sleep, 0 },
	{ "no wake is lost, two readers", setup_empty, begin_sleep_two_rx, finish_sleep, 0 },
	{ "no wake is lost, a batch and a stride", setup_empty, begin_sleep_batch, finish_sleep, 0 },
	{ "no wake is lost while a publisher falls asleep", setup_room, begin_room, finish, 0 },
	{ "no wake is lost by skipping an aborted message", setup_room_aborted, begin_room,
	  finish, 0 },
	{ "no wake is lost by a publisher, with full fences", setup_room, begin_room_fence, finish, 0 },
	{ "no wake is lost while two publishers fall asleep", setup_room, begin_room_two, finish, 0 },
	{ "a group shares, and loses nothing", setup_group, begin_group, finish, 0 },
	{ "a member of a group dies", setup_group, begin_group_dies, finish, 1, 1 },
	{ "a group begins while the floor moves", setup_group_new, begin_group_new, finish, 0 },
	{ "a group begins again after it had no member", setup_group_old, begin_group_new, finish, 0 },
	{ 0 },
};
