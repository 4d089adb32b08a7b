// SPDX-License-Identifier: MIT
/* queue: deaths of consumers and producers, leaving, hostile words */
#include "queue_ends.h"

/* Takes @arg items, and stays. */
static int takes_and_stays(struct other *me, void *arg)
{
	struct shmipc_queue_item it;
	struct shmipc_pop *rx;
	uintptr_t i;

	CHECK(!shmipc_pop_open(&rx, NAME, NULL, NULL));
	for (i = 0; i < (uintptr_t)arg; i++)
		CHECK(pop_soon(rx, &it) >= 0);
	tell(me, 1);
	if (hear(me) == 2)
		shmipc_pop_close(rx);
	return 0;
}

TEST_F(queue, what_a_killed_consumer_had_is_handed_out_again)
{
	struct shmipc_queue_item it;
	struct other o;
	uint32_t i;

	for (i = 0; i < 5; i++)
		ASSERT_EQ(0, push(self->tx, i));
	ASSERT_EQ(0, other_start(&o, 0, takes_and_stays, (void *)3));
	ASSERT_EQ(1u, hear(&o));
	EXPECT_EQ(3, got(self->rx));
	EXPECT_EQ(3u, look().taken);
	(void)other_kill(&o);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ((int64_t)i, pop_until(self->rx, &it, 0)) TH_LOG("with the next call");
		EXPECT_EQ(2u, it.deliveries);
		EXPECT_EQ(i, it.number);
		EXPECT_EQ(0, shmipc_pop_ack(self->rx, &it, 1));
	}
	EXPECT_EQ(4, got(self->rx));
	EXPECT_EQ(-EAGAIN, got(self->rx));
	EXPECT_EQ(0u, push_stat(self->tx).used);
}

/* Kill @pid when this thread sleeps. */
static pid_t kill_when_asleep(pid_t pid)
{
	pid_t sleeper = (pid_t)syscall(SYS_gettid), child = fork();

	if (child)
		return child;
	(void)until_asleep(sleeper);
	(void)kill(pid, SIGKILL);
	_exit(0);
}

#define HAD	3u

/* All that it had, exactly once, in order, and nothing else. */
TEST_F(queue, a_sleeper_without_a_deadline_receives_what_a_killed_consumer_had)
{
	struct shmipc_queue_item it;
	uint64_t began = now_ns();
	struct other o;
	uint32_t i;
	int64_t ret;
	pid_t pid;

	for (i = 0; i < HAD; i++)
		ASSERT_EQ(0, push(self->tx, i));
	ASSERT_EQ(0, other_start(&o, 0, takes_and_stays, (void *)(uintptr_t)HAD));
	ASSERT_EQ(1u, hear(&o));
	/* The kernel's word alone wakes it. */
	self->rx->tick = SHMIPC_TICK_NONE;
	pid = kill_when_asleep(o.pid);
	for (i = 0; i < HAD; i++) {
		do
			ret = pop_until(self->rx, &it, SHMIPC_FOREVER);
		while (ret == -EINTR);
		ASSERT_EQ((int64_t)i, ret);
		EXPECT_EQ(2u, it.deliveries);
		EXPECT_EQ(i, it.number);
		EXPECT_EQ(0, shmipc_pop_ack(self->rx, &it, 1));
	}
	EXPECT_GT(began + LATE_NS, now_ns());
	EXPECT_EQ(-EAGAIN, got(self->rx));
	EXPECT_EQ(0u, push_stat(self->tx).used);
	EXPECT_EQ(256 + SIGKILL, other_end(&o));
	EXPECT_EQ(pid, waitpid(pid, NULL, 0));
}

/* The slot of the dead one goes to another consumer, before any has looked. */
TEST_F(queue, a_slot_that_was_taken_again_hides_no_death)
{
	struct other o;
	struct shmipc_pop *rx;
	struct shmipc_queue_item it;

	ASSERT_EQ(0, push(self->tx, 6));
	ASSERT_EQ(0, other_start(&o, 0, takes_and_stays, (void *)1));
	ASSERT_EQ(1u, hear(&o));
	(void)other_kill(&o);
	ASSERT_EQ(0, POPPER(&rx));
	EXPECT_EQ(6, pop_until(self->rx, &it, 0));
	EXPECT_EQ(2u, it.deliveries);
	EXPECT_EQ(-EAGAIN, got(rx));
	EXPECT_EQ(0, shmipc_pop_nack(self->rx, &it, 1));
	EXPECT_EQ(6, pop_until(rx, &it, 0));
	EXPECT_EQ(3u, it.deliveries);
	shmipc_pop_close(rx);
	EXPECT_EQ(6, got(self->rx));
}

TEST_F(queue, at_most_once_a_killed_consumer_loses_what_it_had)
{
	struct shmipc_queue_item it;
	struct other o;
	uint32_t i;

	ASSERT_EQ(0, at_most_once(self)) TH_LOG("%s", shmipc_error_text());
	for (i = 0; i < DEPTH; i++)
		ASSERT_EQ(0, push(self->tx, i));
	ASSERT_EQ(0, other_start(&o, 0, takes_and_stays, (void *)3));
	ASSERT_EQ(1u, hear(&o));
	EXPECT_EQ(-EAGAIN, push(self->tx, 9));
	(void)other_kill(&o);
	/* The producer has its places back by itself. */
	EXPECT_EQ(0, push_until(self->tx, DEPTH, 0, SOON));
	EXPECT_EQ(3u, look().lost);
	for (i = 3; i <= DEPTH; i++)
		EXPECT_EQ((int64_t)i, got(self->rx));
	EXPECT_EQ(-EAGAIN, got(self->rx));
	ASSERT_EQ(0, push(self->tx, 1));
	ASSERT_EQ(1, pop_until(self->rx, &it, 0));
	EXPECT_EQ(-EINVAL, shmipc_pop_nack(self->rx, &it, 1));
	EXPECT_EQ(0, shmipc_pop_ack(self->rx, &it, 1));
}

static int push_one_soon(struct other *me, void *arg)
{
	struct shmipc_push *tx;
	uint64_t i, end;

	(void)arg;
	CHECK(!shmipc_push_open(&tx, NAME, NULL, NULL));
	for (i = 0; i < DEPTH; i++)
		CHECK(!push(tx, i));
	tell(me, 1);
	end = SOON;
	CHECK(!push_until(tx, 99, 0, end));
	CHECK(now_ns() < end);
	shmipc_push_close(tx);
	return 0;
}

TEST_F(queue, at_most_once_the_death_of_a_consumer_wakes_a_producer)
{
	struct other o, pusher;

	ASSERT_EQ(0, at_most_once(self));
	ASSERT_EQ(0, other_start(&pusher, 0, push_one_soon, NULL));
	ASSERT_EQ(1u, hear(&pusher));
	ASSERT_EQ(0, other_start(&o, 0, takes_and_stays, (void *)1));
	ASSERT_EQ(1u, hear(&o));
	ASSERT_EQ(0, until_asleep(pusher.tid));
	(void)other_kill(&o);
	EXPECT_EQ(0, other_end(&pusher));
	EXPECT_EQ(1u, look().lost);
}

TEST_F(queue, one_that_leaves_gives_back_what_it_has)
{
	struct other o, asleep;

	ASSERT_EQ(0, push(self->tx, 5));
	ASSERT_EQ(0, other_start(&o, 0, takes_and_stays, (void *)1));
	ASSERT_EQ(1u, hear(&o));
	ASSERT_EQ(0, other_start(&asleep, 0, takes_and_stays, (void *)1));
	ASSERT_EQ(0, until_asleep(asleep.tid));
	tell(&o, 2);
	EXPECT_EQ(0, other_end(&o));
	EXPECT_EQ(1u, hear(&asleep));
	tell(&asleep, 2);
	EXPECT_EQ(0, other_end(&asleep));
	EXPECT_EQ(5, got(self->rx));
	/* At most once: it is lost, as at a death. */
	ASSERT_EQ(0, at_most_once(self));
	ASSERT_EQ(0, push(self->tx, 5));
	ASSERT_EQ(0, other_start(&o, 0, takes_and_stays, (void *)1));
	ASSERT_EQ(1u, hear(&o));
	tell(&o, 2);
	EXPECT_EQ(0, other_end(&o));
	EXPECT_EQ(-EAGAIN, got(self->rx));
	EXPECT_EQ(1u, look().lost);
	EXPECT_EQ(0u, push_stat(self->tx).used);
}

static void push_without_a_wake(struct shmipc_push *tx, uint64_t what)
{
	uint32_t cell = shmipc_cells_find(&tx->tx);

	memcpy(shmipc_cells_at(&tx->q, tx->tx.me, cell), &what, sizeof(what));
	shmipc_cells_fill(&tx->tx, cell, sizeof(what), 0);
	shmipc_cells_push(&tx->tx, 0);
}

/* Killed after the tail, before the wake: its death wakes. */
static int pushes_without_a_wake(struct other *me, void *arg)
{
	struct shmipc_push *tx;
	uint64_t tid;

	CHECK(!shmipc_push_open(&tx, NAME, NULL, NULL));
	(void)arg;
	CHECK(!push(tx, 1));
	tell(me, 1);
	tid = hear(me);
	CHECK(!until_asleep((pid_t)tid));
	push_without_a_wake(tx, tid);
	CHECK(!kill(getpid(), SIGKILL));
	return 1;
}

TEST_F(queue, killed_before_the_wake_nobody_sleeps_on)
{
	uint64_t tid = (uint64_t)syscall(SYS_gettid);
	struct shmipc_queue_item it;
	struct other o;

	ASSERT_EQ(0, other_start(&o, 0, pushes_without_a_wake, self->rx));
	ASSERT_EQ(1u, hear(&o));
	EXPECT_EQ(1, got(self->rx));
	tell(&o, tid);
	EXPECT_EQ((int64_t)tid, pop_soon(self->rx, &it));
	EXPECT_EQ(256 + SIGKILL, other_end(&o));
}

/* Stopped, not killed, after it has taken the duty to wake: no other one will do it. */
static int is_stopped_before_the_wake(struct other *me, void *arg)
{
	struct shmipc_push *tx;
	uint64_t tid;

	(void)arg;
	CHECK(!shmipc_push_open(&tx, NAME, NULL, NULL));
	CHECK(!push(tx, 1));
	tell(me, 1);
	tid = hear(me);
	CHECK(!until_asleep((pid_t)tid));
	push_without_a_wake(tx, tid);
	CHECK(shmipc_cells_clear(&tx->q, shmipc_cells_sleeper(&tx->q, 0)));
	CHECK(!kill(getpid(), SIGSTOP));
	return 1;
}

TEST_F(queue, stopped_before_the_wake_a_sleeper_looks_by_itself)
{
	uint64_t tid = (uint64_t)syscall(SYS_gettid), end;
	struct shmipc_queue_item it;
	struct other o;

	ASSERT_EQ(0, other_start(&o, 0, is_stopped_before_the_wake, NULL));
	ASSERT_EQ(1u, hear(&o));
	EXPECT_EQ(1, got(self->rx));
	tell(&o, tid);
	end = SOON;
	EXPECT_EQ((int64_t)tid, pop_until(self->rx, &it, end));
	EXPECT_GT(end, now_ns());
	EXPECT_LT(0u, pop_stat(self->rx).ticks);
	EXPECT_EQ(256 + SIGKILL, other_kill(&o));
}

/* The same of a consumer that has freed a place for which a producer waits. */
static int is_stopped_after_it_freed(struct other *me, void *arg)
{
	struct shmipc_queue_item it;
	struct shmipc_pop *rx;
	uint64_t tid;

	(void)arg;
	CHECK(!shmipc_pop_open(&rx, NAME, NULL, NULL));
	CHECK(!shmipc_pop_item(rx, &it, 0));
	tell(me, 1);
	tid = hear(me);
	CHECK(!until_asleep((pid_t)tid));
	CHECK(shmipc_cells_free(&rx->q, it.from, it.cell, it.word));
	CHECK(shmipc_exchange_acq_rel(&rx->q.state[it.from].want, UINT64_C(0)));
	CHECK(!kill(getpid(), SIGSTOP));
	return 1;
}

TEST_F(queue, stopped_before_the_wake_a_producer_looks_by_itself)
{
	uint64_t tid = (uint64_t)syscall(SYS_gettid), what = 9, end;
	struct other o;
	uint32_t i;

	for (i = 0; i < DEPTH; i++)
		ASSERT_EQ(0, shmipc_push_item(self->tx, &what, sizeof(what), 0, 0));
	ASSERT_EQ(0, other_start(&o, 0, is_stopped_after_it_freed, NULL));
	ASSERT_EQ(1u, hear(&o));
	tell(&o, tid);
	end = SOON;
	EXPECT_EQ(0, shmipc_push_item(self->tx, &what, sizeof(what), 0, end));
	EXPECT_GT(end, now_ns());
	EXPECT_LT(0u, push_stat(self->tx).ticks);
	EXPECT_EQ(256 + SIGKILL, other_kill(&o));
}

/* Killed before the tail: nothing was pushed, and the cell is free for the next one. */
static int dies_before_the_tail(struct other *me, void *arg)
{
	struct shmipc_push *tx;
	uint32_t cell, i;

	(void)me;
	CHECK(!shmipc_push_open(&tx, NAME, NULL, NULL));
	CHECK(!push(tx, 1));
	for (i = 0; i < 3; i++) {
		cell = shmipc_cells_find(&tx->tx);
		shmipc_cells_fill(&tx->tx, cell, 8, (uint32_t)(uintptr_t)arg);
	}
	CHECK(!kill(getpid(), SIGKILL));
	return 1;
}

TEST_F(queue, what_was_not_pushed_completely_does_not_exist)
{
	struct shmipc_push *tx;
	struct other o;
	uint32_t i;

	ASSERT_EQ(0, other_start(&o, 0, dies_before_the_tail, (void *)(uintptr_t)1));
	EXPECT_EQ(256 + SIGKILL, other_end(&o));
	EXPECT_EQ(1u, look().ready[0] + look().ready[1]);
	ASSERT_EQ(0, PUSHER(&tx));
	EXPECT_EQ(1u, push_stat(tx).used);
	for (i = 0; i < DEPTH - 1; i++)
		ASSERT_EQ(0, push_until(tx, 2 + i, i % 2, 0));
	EXPECT_EQ(-EAGAIN, push(tx, 99));
	for (i = 0; i < DEPTH; i++)
		EXPECT_LE(1, got(self->rx));
	EXPECT_EQ(-EAGAIN, got(self->rx));
	shmipc_push_close(tx);
}

/* A consumer that was killed before it moved the head: the others do it. */
static int dies_before_the_head(struct other *me, void *arg)
{
	struct shmipc_pop *rx;
	uint64_t word, n;
	uint32_t cell;

	(void)me;
	(void)arg;
	CHECK(!shmipc_pop_open(&rx, NAME, NULL, NULL));
	CHECK(!shmipc_cells_head(&rx->rx, 0, 0, &n) && n == DEPTH);
	CHECK(!rx->rx.see(rx, 0, SHMIPC_CELLS_NONE));
	CHECK(shmipc_cells_take_at(&rx->rx, 0, 0, 0, &cell, &word));
	CHECK(!kill(getpid(), SIGKILL));
	return 1;
}

TEST_F(queue, killed_before_the_head_nobody_waits_for_it)
{
	struct other o;
	uint32_t i;

	for (i = 0; i < DEPTH; i++)
		ASSERT_EQ(0, push(self->tx, i));
	ASSERT_EQ(0, other_start(&o, 0, dies_before_the_head, NULL));
	EXPECT_EQ(256 + SIGKILL, other_end(&o));
	for (i = 0; i < DEPTH; i++)
		EXPECT_EQ((int64_t)i, got(self->rx));
	EXPECT_EQ(-EAGAIN, got(self->rx));
	EXPECT_EQ(1u, pop_stat(self->rx).again);
}

/* The entries are as many as the cells: one that was passed by nobody makes room. */
TEST_F(queue, a_head_that_nobody_moved_makes_room_for_the_next_entry)
{
	uint64_t pos, n, word;
	struct shmipc_queue_item it;
	uint32_t cell, i;

	ASSERT_EQ(0, push(self->tx, 100));
	ASSERT_EQ(100, got(self->rx));
	for (i = 0; i < DEPTH; i++)
		ASSERT_EQ(0, push(self->tx, i));
	pos = shmipc_cells_head(&self->rx->rx, 0, 0, &n);
	ASSERT_EQ((uint64_t)DEPTH, n);
	ASSERT_TRUE(shmipc_cells_take_at(&self->rx->rx, 0, 0, pos, &cell, &word));
	ASSERT_TRUE(shmipc_cells_free(&self->rx->q, 0, cell, word));
	EXPECT_EQ(0, push(self->tx, DEPTH));
	EXPECT_EQ(-EAGAIN, push(self->tx, 99));
	for (i = 1; i <= DEPTH; i++)
		EXPECT_EQ((int64_t)i, pop_until(self->rx, &it, 0));
	EXPECT_EQ(-EAGAIN, got(self->rx));
}

/* Hostile words */

TEST_F(queue, a_head_that_is_nonsense_is_put_right)
{
	static const uint64_t bad[] = { 0, 1, 5, DEPTH, UINT64_MAX, UINT64_MAX / 2, 1000000 };
	__u64 *head = &self->rx->q.state[0].head[0];
	uint64_t next = 0;
	size_t i, n;
	int64_t what;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		for (n = 0; n < 4; n++)
			ASSERT_EQ(0, push(self->tx, next + n));
		shmipc_store_relaxed(head, bad[i]);
		for (n = 0; n < 4; n++) {
			what = got(self->rx);
			EXPECT_EQ((int64_t)(next + n), what) TH_LOG("head %#llx", (unsigned long long)bad[i]);
		}
		EXPECT_EQ(-EAGAIN, got(self->rx));
		next += 4;
	}
}

TEST_F(queue, an_item_that_is_too_long_is_dropped)
{
	uint32_t i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, push(self->tx, i));
	for (i = 0; i < DEPTH; i++)
		if (shmipc_load_relaxed(shmipc_cells_bytes(&self->tx->q, 0, i)) == 8 && i == 1)
			shmipc_store_relaxed(shmipc_cells_bytes(&self->tx->q, 0, i), 3001u);
	EXPECT_EQ(0, got(self->rx));
	EXPECT_EQ(2, got(self->rx));
	EXPECT_EQ(-EAGAIN, got(self->rx));
	EXPECT_EQ(1u, look().invalid);
	EXPECT_EQ(0u, push_stat(self->tx).used);
}

TEST_F(queue, words_that_are_nonsense_cost_no_place_for_ever)
{
	static const uint64_t bad[] = { UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - 2, 1, 2, 3, 5, 6 };
	__u64 *words = shmipc_cells_words(&self->tx->q, 0);
	uint32_t i, n;

	ASSERT_EQ(ARRAY_SIZE(bad), DEPTH);
	for (n = 0; n < 3; n++) {
		for (i = 0; i < DEPTH; i++)
			ASSERT_EQ(0, push(self->tx, i));
		for (i = 0; i < DEPTH; i++)
			shmipc_store_relaxed(&words[i], bad[i]);
		for (i = 0; i < 2 * DEPTH; i++) {
			ASSERT_EQ(0, push_until(self->tx, 100 + i, 0, SOON)) TH_LOG("%u of lap %u", i, n);
			while (got(self->rx) >= 0)
				continue;
		}
		EXPECT_EQ(0u, push_stat(self->tx).used);
	}
}

/* One that writes anything anywhere costs others no more than items, and keeps nobody. */
static int scribble(struct other *me, void *arg)
{
	struct shmipc_queue_how how = SHMIPC_QUEUE_HOW(.spin_ns = 0);
	struct shmipc_pop *rx;
	uint64_t seed = 88172645463325252ull, *at;
	size_t bytes;

	(void)arg;
	CHECK(!shmipc_pop_open(&rx, NAME, NULL, &how));
	tell(me, 1);
	at = (uint64_t *)rx->q.ctl;
	bytes = (size_t)((unsigned char *)(rx->q.word + rx->q.producers * rx->q.depth) - (unsigned char *)at);
	for (;;) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		shmipc_store_relaxed(&at[seed % (bytes / 8)], seed % 3 ? seed >> 40 : seed);
	}
}

TEST_F(queue, deadlines_are_kept_against_one_that_scribbles)
{
	uint64_t end = shmipc_deadline_in(500000000), until;
	struct shmipc_queue_item it[4];
	struct other o;
	uint32_t n;
	int ret;

	ASSERT_EQ(0, other_start(&o, 0, scribble, NULL));
	ASSERT_EQ(1u, hear(&o));
	while (now_ns() < end) {
		until = shmipc_deadline_in(1000000);
		ret = push_until(self->tx, 1, 0, until);
		ASSERT_TRUE(!ret || ret == -ETIMEDOUT) TH_LOG("%d", ret);
		ASSERT_GT(until + LATE_NS, now_ns());
		until = shmipc_deadline_in(1000000);
		ret = shmipc_pop_items(self->rx, it, 4, &n, until);
		ASSERT_TRUE(!ret || ret == -ETIMEDOUT) TH_LOG("%d", ret);
		ASSERT_GT(until + LATE_NS, now_ns());
		if (!ret && n % 2)
			(void)shmipc_pop_ack(self->rx, it, n);
		else if (!ret)
			(void)shmipc_pop_nack(self->rx, it, n);
		(void)look();
	}
	(void)other_kill(&o);
}

TEST_HARNESS_MAIN
