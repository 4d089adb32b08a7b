// SPDX-License-Identifier: MIT
/* queue: each item goes to one consumer, in order; backpressure; sleeping and waking */
#include "queue_ends.h"

TEST_F(queue, an_item_is_handed_out_once)
{
	struct shmipc_queue_item it, none = { .cell = 77 };
	struct shmipc_pop *other;

	ASSERT_EQ(0, POPPER(&other));
	EXPECT_EQ(-EAGAIN, shmipc_pop_item(self->rx, &none, 0));
	EXPECT_EQ(77u, none.cell) TH_LOG("untouched on failure");
	EXPECT_EQ(0, push(self->tx, 5));
	EXPECT_EQ(0, shmipc_push_item(self->tx, NULL, 0, 0, 0));
	ASSERT_EQ(5, pop_until(self->rx, &it, 0));
	EXPECT_EQ(sizeof(uint64_t), it.bytes);
	EXPECT_EQ(0u, (uintptr_t)it.data % 64);
	EXPECT_EQ(1u, it.deliveries);
	EXPECT_EQ(0u, it.level);
	EXPECT_EQ(0u, it.from);
	EXPECT_EQ(0u, it.number);
	EXPECT_EQ(0, shmipc_pop_item(other, &it, 0));
	EXPECT_EQ(0u, it.bytes);
	EXPECT_EQ(1u, it.number);
	EXPECT_EQ(-EAGAIN, got(self->rx));
	EXPECT_EQ(-EAGAIN, got(other));
	EXPECT_EQ(1u, pop_stat(other).taken);
	EXPECT_EQ(2u, push_stat(self->tx).pushed);
	shmipc_pop_close(other);
}

TEST_F(queue, items_come_in_the_order_in_which_they_were_pushed)
{
	uint64_t i, k, next = 0, what = 0;

	/* Many laps, with all numbers of items in it. */
	for (i = 0; i < 1000; i++) {
		while (!push(self->tx, what))
			what++;
		ASSERT_EQ(next + DEPTH, what);
		for (k = 0; k <= i % DEPTH; k++)
			ASSERT_EQ((int64_t)next++, got(self->rx));
	}
}

TEST_F(queue, higher_levels_come_first)
{
	static const uint32_t level[] = { 0, 2, 1, 0, 2 };
	static const int64_t order[] = { 1, 4, 2, 0, 3 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(level); i++)
		ASSERT_EQ(0, push_until(self->tx, i, level[i], 0));
	EXPECT_EQ(2u, look().ready[2]);
	EXPECT_EQ(1u, look().ready[1]);
	for (i = 0; i < ARRAY_SIZE(order); i++)
		EXPECT_EQ(order[i], got(self->rx)) TH_LOG("%zu", i);
	EXPECT_EQ(-EINVAL, push_until(self->tx, 0, LEVELS, 0));
}

TEST_F(queue, producers_take_turns)
{
	struct shmipc_push *tx[3];
	uint64_t i, n, seen;
	int64_t what;

	tx[0] = self->tx;
	ASSERT_EQ(0, PUSHER(&tx[1]));
	ASSERT_EQ(0, PUSHER(&tx[2]));
	for (i = 0; i < 3; i++)
		for (n = 0; n < 4; n++)
			ASSERT_EQ(0, push(tx[i], 10 * i + n));
	for (n = 0; n < 4; n++) {
		for (i = seen = 0; i < 3; i++) {
			what = got(self->rx);
			EXPECT_EQ((int64_t)n, what % 10);
			seen |= UINT64_C(1) << what / 10;
		}
		EXPECT_EQ(7u, seen);
	}
	shmipc_push_close(tx[1]);
	shmipc_push_close(tx[2]);
}

TEST_F(queue, backpressure_is_exact)
{
	struct shmipc_queue_item it[DEPTH + 1], of_other;
	struct shmipc_push *other;
	uint32_t i;

	for (i = 0; i < DEPTH; i++)
		ASSERT_EQ(0, push_until(self->tx, i, i % LEVELS, 0));
	EXPECT_EQ(-EAGAIN, push(self->tx, 99));
	EXPECT_EQ(DEPTH, push_stat(self->tx).used);
	/* It is its own places that count. */
	ASSERT_EQ(0, PUSHER(&other));
	EXPECT_EQ(0, push_until(other, 99, LEVELS - 1, 0));
	shmipc_push_close(other);
	for (i = 0; i < DEPTH + 1; i++)
		ASSERT_EQ(0, shmipc_pop_item(self->rx, &it[i], 0));
	for (i = 0; i < DEPTH; i++)
		if (it[i].from) {
			of_other = it[i];
			it[i] = it[DEPTH];
			it[DEPTH] = of_other;
		}
	EXPECT_EQ(0, shmipc_pop_ack(self->rx, &it[DEPTH], 1));
	EXPECT_EQ(-EAGAIN, push(self->tx, 99)) TH_LOG("taken, and not done with");
	for (i = 0; i < DEPTH; i++) {
		EXPECT_EQ(0, shmipc_pop_ack(self->rx, &it[(i * 3) % DEPTH], 1));
		EXPECT_EQ(0, push_until(self->tx, 100 + i, 0, 0)) TH_LOG("%u", i);
		EXPECT_EQ(-EAGAIN, push(self->tx, 99));
	}
}

TEST_F(queue, an_item_is_acknowledged_once)
{
	struct shmipc_queue_item it, bad;
	struct shmipc_pop *other;

	ASSERT_EQ(0, POPPER(&other));
	EXPECT_EQ(0, push(self->tx, 1));
	ASSERT_EQ(1, pop_until(self->rx, &it, 0));
	bad = it;
	bad.from = 1000;
	EXPECT_EQ(-EINVAL, shmipc_pop_ack(self->rx, &bad, 1));
	bad = it;
	bad.cell = DEPTH;
	EXPECT_EQ(-EINVAL, shmipc_pop_nack(self->rx, &bad, 1));
	bad = it;
	bad.word = 0;
	EXPECT_EQ(-EINVAL, shmipc_pop_ack(self->rx, &bad, 1));
	EXPECT_NE(0, *shmipc_error_text());
	EXPECT_EQ(0, shmipc_pop_ack(self->rx, &it, 1));
	EXPECT_EQ(-EINVAL, shmipc_pop_ack(self->rx, &it, 1));
	EXPECT_EQ(-EINVAL, shmipc_pop_nack(self->rx, &it, 1));
	EXPECT_EQ(-EAGAIN, got(other));
	EXPECT_EQ(1u, pop_stat(self->rx).acked);
	shmipc_pop_close(other);
}

TEST_F(queue, what_is_given_back_comes_again_before_new_items)
{
	struct shmipc_queue_item it[4];
	uint32_t i;

	for (i = 0; i < 6; i++)
		ASSERT_EQ(0, push(self->tx, i));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, shmipc_pop_item(self->rx, &it[i], 0));
	EXPECT_EQ(0, shmipc_pop_nack(self->rx, &it[2], 1));
	EXPECT_EQ(0, shmipc_pop_nack(self->rx, &it[1], 1));
	EXPECT_EQ(-EINVAL, shmipc_pop_nack(self->rx, &it[1], 1));
	EXPECT_EQ(0, push_until(self->tx, 6, 1, 0));
	EXPECT_EQ(6, got(self->rx)) TH_LOG("the level comes first");
	for (i = 1; i <= 2; i++) {
		ASSERT_EQ((int64_t)i, pop_until(self->rx, &it[3], 0)) TH_LOG("the oldest first");
		EXPECT_EQ(2u, it[3].deliveries);
		EXPECT_EQ(i, it[3].number);
		EXPECT_EQ(0, shmipc_pop_ack(self->rx, &it[3], 1));
	}
	EXPECT_EQ(4, got(self->rx));
	EXPECT_EQ(5, got(self->rx));
	EXPECT_EQ(2u, pop_stat(self->rx).returned);
	EXPECT_EQ(2u, pop_stat(self->rx).again);
}

TEST_F(queue, at_the_limit_of_deliveries_an_item_is_dropped)
{
	struct shmipc_queue_item it;
	uint32_t i;

	shmipc_pop_close(self->rx);
	shmipc_push_close(self->tx);
	self->rx = NULL;
	self->opts.deliveries = 3;
	ASSERT_EQ(0, shmipc_push_open(&self->tx, NAME, &self->opts, &self->how));
	ASSERT_EQ(0, POPPER(&self->rx));
	ASSERT_EQ(0, push(self->tx, 7));
	ASSERT_EQ(0, push(self->tx, 8));
	for (i = 1; i <= 3; i++) {
		ASSERT_EQ(7, pop_until(self->rx, &it, 0));
		EXPECT_EQ(i, it.deliveries);
		EXPECT_EQ(0, shmipc_pop_nack(self->rx, &it, 1));
	}
	EXPECT_EQ(8, got(self->rx));
	EXPECT_EQ(-EAGAIN, got(self->rx));
	EXPECT_EQ(1u, look().expired);
	EXPECT_EQ(0u, push_stat(self->tx).used);
}

TEST_F(queue, more_is_given_back_than_is_remembered)
{
	struct shmipc_queue_opts o = SHMIPC_QUEUE_OPTS(.depth = 1024, .levels = 2);
	static struct shmipc_queue_item it[1000];
	struct shmipc_push *tx;
	struct shmipc_pop *rx;
	uint32_t i, n;

	ASSERT_EQ(0, shmipc_push_open(&tx, "large", &o, NULL));
	ASSERT_EQ(0, shmipc_pop_open(&rx, "large", &o, NULL));
	for (i = 0; i < 1000; i++)
		ASSERT_EQ(0, push_until(tx, i, i < 500, 0));
	ASSERT_EQ(0, shmipc_pop_items(rx, it, 1000, &n, 0));
	ASSERT_EQ(1000u, n);
	for (i = 0; i < n; i++)
		ASSERT_EQ(i, what_of(&it[i]));
	EXPECT_EQ(0, shmipc_pop_nack(rx, it, n));
	for (i = 0; i < 1000; i++)
		ASSERT_EQ((int64_t)i, got(rx));
	EXPECT_EQ(-EAGAIN, got(rx));
	shmipc_pop_close(rx);
	shmipc_push_close(tx);
}

TEST_F(queue, a_batch_is_as_many_single_ones)
{
	uint64_t what[20], next = 0;
	struct shmipc_queue_item it[20];
	struct shmipc_buf v[20];
	uint32_t i, n, done;

	for (i = 0; i < 20; i++)
		v[i] = (struct shmipc_buf){ &what[i], sizeof(what[i]) };
	for (i = 0; i < 20; i++)
		what[i] = i;
	EXPECT_EQ(0, shmipc_push_items(self->tx, v, 5, 0, &done, 0));
	EXPECT_EQ(5u, done);
	EXPECT_EQ(-EAGAIN, shmipc_push_items(self->tx, v + 5, 15, 0, &done, 0));
	EXPECT_EQ(3u, done) TH_LOG("those that there is room for");
	EXPECT_EQ(0, shmipc_pop_items(self->rx, it, 3, &n, 0));
	EXPECT_EQ(3u, n);
	EXPECT_EQ(0, shmipc_pop_items(self->rx, it + 3, 17, &n, 0));
	EXPECT_EQ(5u, n);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(next++, what_of(&it[i]));
	EXPECT_EQ(0, shmipc_pop_ack(self->rx, it, 8));
	EXPECT_EQ(-EAGAIN, shmipc_pop_items(self->rx, it, 20, &n, 0));
	EXPECT_EQ(-EINVAL, shmipc_pop_items(self->rx, it, 0, &n, 0));
	v[7].len = 3001;
	EXPECT_EQ(-EMSGSIZE, shmipc_push_items(self->tx, v, 20, 0, &done, 0));
	EXPECT_EQ(0u, done);
	EXPECT_EQ(-EAGAIN, got(self->rx));
}

TEST_F(queue, a_place_is_written_where_it_is_read)
{
	struct shmipc_queue_item it;
	size_t bytes = shmipc_push_item_bytes(self->tx);
	unsigned char *p;
	void *at = NULL;
	int i;

	EXPECT_EQ(3000u, bytes);
	for (i = 0; i < 3 * (int)DEPTH; i++) {
		ASSERT_EQ(0, shmipc_push_reserve(self->tx, &at, 0));
		EXPECT_EQ(0u, (uintptr_t)at % 64);
		p = at;
		memset(p, i, bytes);
		EXPECT_EQ(-EAGAIN, shmipc_pop_item(self->rx, &it, 0));
		EXPECT_EQ(-EINVAL, shmipc_push_reserve(self->tx, &at, 0));
		EXPECT_EQ(-EINVAL, push(self->tx, 1)) TH_LOG("one place at a time");
		EXPECT_EQ(-EMSGSIZE, shmipc_push_commit(self->tx, bytes + 1, 0));
		EXPECT_EQ(-EINVAL, shmipc_push_commit(self->tx, bytes, LEVELS));
		if (i % 3 == 2) {
			EXPECT_EQ(0, shmipc_push_cancel(self->tx));
			EXPECT_EQ(-EINVAL, shmipc_push_cancel(self->tx));
			EXPECT_EQ(-EINVAL, shmipc_push_commit(self->tx, 1, 0));
			continue;
		}
		EXPECT_EQ(0, shmipc_push_commit(self->tx, bytes - (size_t)i, 1));
		ASSERT_EQ(0, shmipc_pop_item(self->rx, &it, 0));
		EXPECT_EQ(bytes - (size_t)i, it.bytes);
		p = (unsigned char *)(uintptr_t)it.data;
		EXPECT_EQ((unsigned char)i, p[0]);
		EXPECT_EQ((unsigned char)i, p[it.bytes - 1]);
		EXPECT_EQ(0, shmipc_pop_ack(self->rx, &it, 1));
	}
	EXPECT_EQ(-EMSGSIZE, shmipc_push_item(self->tx, &it, bytes + 1, 0, 0));
}

/* Sleeping and waking */

static int push_when_told(struct other *me, void *arg)
{
	struct shmipc_push *tx;
	uint64_t tid;

	(void)arg;
	CHECK(!shmipc_push_open(&tx, NAME, NULL, NULL));
	tell(me, 1);
	while ((tid = hear(me)) != UINT64_MAX && tid) {
		CHECK(!until_asleep((pid_t)tid));
		CHECK(!push(tx, 40));
		CHECK(push_stat(tx).wakes);
	}
	shmipc_push_close(tx);
	return 0;
}

TEST_F(queue, a_consumer_that_sleeps_is_woken)
{
	struct shmipc_queue_item it;
	struct other o;
	int i;

	ASSERT_EQ(0, other_start(&o, 0, push_when_told, NULL));
	ASSERT_EQ(1u, hear(&o));
	for (i = 0; i < 3; i++) {
		tell(&o, (uint64_t)syscall(SYS_gettid));
		ASSERT_EQ(40, pop_soon(self->rx, &it));
		EXPECT_EQ(0, shmipc_pop_ack(self->rx, &it, 1));
	}
	tell(&o, 0);
	EXPECT_EQ(0, other_end(&o));
	EXPECT_LE(3u, pop_stat(self->rx).sleeps);
}

static int ack_when_told(struct other *me, void *arg)
{
	struct shmipc_pop *rx;
	uint64_t tid;

	(void)arg;
	CHECK(!shmipc_pop_open(&rx, NAME, NULL, NULL));
	tell(me, 1);
	while ((tid = hear(me)) != UINT64_MAX && tid) {
		CHECK(!until_asleep((pid_t)tid));
		CHECK(got(rx) >= 0);
	}
	shmipc_pop_close(rx);
	return 0;
}

TEST_F(queue, a_producer_without_a_place_is_woken)
{
	uint64_t end, i;
	struct other o;

	ASSERT_EQ(0, other_start(&o, 0, ack_when_told, NULL));
	ASSERT_EQ(1u, hear(&o));
	for (i = 0; i < DEPTH; i++)
		ASSERT_EQ(0, push(self->tx, i));
	for (i = 0; i < 3; i++) {
		tell(&o, (uint64_t)syscall(SYS_gettid));
		end = SOON;
		ASSERT_EQ(0, push_until(self->tx, i, 0, end));
		ASSERT_GT(end, now_ns());
	}
	tell(&o, 0);
	EXPECT_EQ(0, other_end(&o));
	EXPECT_EQ(3u, push_stat(self->tx).waits);
	EXPECT_LE(3u, push_stat(self->tx).sleeps);
}

static int take_one(struct other *me, void *arg)
{
	struct shmipc_queue_how how = SHMIPC_QUEUE_HOW(.spin_ns = SHMIPC_SPIN_NEVER);
	struct shmipc_queue_item it;
	struct shmipc_pop *rx;
	int64_t what;

	(void)arg;
	CHECK(!shmipc_pop_open(&rx, NAME, NULL, &how));
	tell(me, 1);
	what = pop_soon(rx, &it);
	CHECK(what >= 0);
	CHECK(!shmipc_pop_ack(rx, &it, 1));
	tell(me, (uint64_t)what);
	(void)hear(me);
	shmipc_pop_close(rx);
	return 0;
}

TEST_F(queue, one_consumer_is_woken_for_each_item)
{
	struct other o[4];
	uint64_t i, sum = 0;

	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, other_start(&o[i], 0, take_one, NULL));
		ASSERT_EQ(1u, hear(&o[i]));
	}
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, until_asleep(o[i].tid));
	for (i = 1; i <= 4; i++) {
		ASSERT_EQ(0, push(self->tx, i));
		EXPECT_EQ(i, push_stat(self->tx).wakes);
	}
	for (i = 0; i < 4; i++)
		sum += hear(&o[i]);
	EXPECT_EQ(10u, sum);
	/* They do not sleep any more. */
	ASSERT_EQ(0, push(self->tx, 9));
	EXPECT_EQ(4u, push_stat(self->tx).wakes);
	for (i = 0; i < 4; i++) {
		tell(&o[i], 0);
		EXPECT_EQ(0, other_end(&o[i]));
	}
}

TEST_F(queue, an_item_that_is_given_back_wakes)
{
	struct shmipc_queue_item it;
	struct other o;

	ASSERT_EQ(0, push(self->tx, 12));
	ASSERT_EQ(12, pop_until(self->rx, &it, 0));
	ASSERT_EQ(0, other_start(&o, 0, take_one, NULL));
	ASSERT_EQ(1u, hear(&o));
	ASSERT_EQ(0, until_asleep(o.tid));
	EXPECT_EQ(0, shmipc_pop_nack(self->rx, &it, 1));
	EXPECT_EQ(12u, hear(&o));
	tell(&o, 0);
	EXPECT_EQ(0, other_end(&o));
}

TEST_F(queue, only_sleepers_are_woken)
{
	int i;

	for (i = 0; i < 1000; i++) {
		ASSERT_EQ(0, push(self->tx, 1));
		ASSERT_EQ(1, got(self->rx));
	}
	EXPECT_EQ(0u, push_stat(self->tx).wakes);
	EXPECT_EQ(-ETIMEDOUT, got_until(self->rx, shmipc_deadline_in(30000000)));
	EXPECT_EQ(0, push(self->tx, 1));
	EXPECT_EQ(0u, push_stat(self->tx).wakes) TH_LOG("it does not sleep any more");
	EXPECT_EQ(1, got(self->rx));
	EXPECT_EQ(0u, push_stat(self->tx).sleeps);
}

TEST_F(queue, deadlines_are_kept)
{
	uint64_t end, now, i;
	int64_t ret;

	for (i = 0; i < DEPTH; i++)
		ASSERT_EQ(0, push(self->tx, i));
	end = shmipc_deadline_in(20000000);
	EXPECT_EQ(-ETIMEDOUT, push_until(self->tx, 1, 0, end));
	now = now_ns();
	EXPECT_LE(end, now);
	EXPECT_GT(end + LATE_NS, now);
	EXPECT_EQ(-ETIMEDOUT, push_until(self->tx, 1, 0, 1)) TH_LOG("in the past");
	for (i = 0; i < DEPTH; i++)
		ASSERT_EQ((int64_t)i, got(self->rx));
	end = shmipc_deadline_in(20000000);
	ret = got_until(self->rx, end);
	now = now_ns();
	EXPECT_EQ(-ETIMEDOUT, ret);
	EXPECT_LE(end, now);
	EXPECT_GT(end + LATE_NS, now);
	EXPECT_EQ(-ETIMEDOUT, got_until(self->rx, 1));
}

static void on_usr2(int sig)
{
	(void)sig;
}

static int signal_when_asleep(struct other *me, void *arg)
{
	pid_t tid = *(const pid_t *)arg;

	(void)me;
	CHECK(!until_asleep(tid));
	CHECK(!kill(getppid(), SIGUSR2));
	return 0;
}

TEST_F(queue, a_signal_interrupts_and_nothing_is_lost)
{
	const struct sigaction sa = { .sa_handler = on_usr2 };
	pid_t tid = (pid_t)syscall(SYS_gettid);
	struct other o;

	(void)sigaction(SIGUSR2, &sa, NULL);
	ASSERT_EQ(0, other_start(&o, 0, signal_when_asleep, &tid));
	EXPECT_EQ(-EINTR, got_until(self->rx, SOON));
	EXPECT_EQ(0, other_end(&o));
	EXPECT_EQ(0, push(self->tx, 2));
	EXPECT_EQ(2, got(self->rx));
}

#define MANY	3000u

static int push_many(struct other *me, void *arg)
{
	struct shmipc_push *tx;
	uint64_t i;

	(void)me;
	CHECK(!shmipc_push_open(&tx, NAME, NULL, NULL));
	for (i = 0; i < MANY; i++)
		CHECK(!push_until(tx, (uintptr_t)arg * MANY + i, (uint32_t)(i % LEVELS), SOON));
	shmipc_push_close(tx);
	return 0;
}

static int pop_many(struct other *me, void *arg)
{
	uint64_t last[4][LEVELS] = { { 0 } }, what, sum = 0, n = 0;
	struct shmipc_queue_item it[5];
	struct shmipc_pop *rx;
	uint32_t i, got_n;

	(void)arg;
	CHECK(!shmipc_pop_open(&rx, NAME, NULL, NULL));
	tell(me, 1);
	for (;;) {
		CHECK(!shmipc_pop_items(rx, it, 5, &got_n, SOON));
		for (i = 0; i < got_n; i++) {
			what = what_of(&it[i]);
			if (what == UINT64_MAX - 1)
				break;
			/* In order: as far as one consumer sees. */
			CHECK(last[what / MANY][it[i].level] < it[i].number + 1);
			last[what / MANY][it[i].level] = it[i].number + 1;
			sum += what;
			n++;
		}
		CHECK(!shmipc_pop_ack(rx, it, i));
		if (i == got_n)
			continue;
		if (got_n > i + 1)	/* the others' end */
			CHECK(!shmipc_pop_nack(rx, it + i + 1, got_n - i - 1));
		CHECK(!shmipc_pop_ack(rx, it + i, 1));
		break;
	}
	tell(me, sum);
	tell(me, n);
	shmipc_pop_close(rx);
	return 0;
}

TEST_F(queue, nothing_is_lost_among_many)
{
	struct other pusher[4], popper[4];
	uint64_t i, sum = 0, n = 0, all = 4 * MANY;

	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, other_start(&popper[i], 0, pop_many, NULL));
		ASSERT_EQ(1u, hear(&popper[i]));
	}
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, other_start(&pusher[i], 0, push_many, (void *)(uintptr_t)i));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, other_end(&pusher[i]));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, push_until(self->tx, UINT64_MAX - 1, 0, SOON));
	for (i = 0; i < 4; i++) {
		sum += hear(&popper[i]);
		n += hear(&popper[i]);
		EXPECT_EQ(0, other_end(&popper[i]));
	}
	EXPECT_EQ(all, n);
	EXPECT_EQ(all * (all - 1) / 2, sum);
	EXPECT_EQ(-EAGAIN, got(self->rx));
}

TEST_HARNESS_MAIN
