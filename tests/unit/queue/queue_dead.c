// SPDX-License-Identifier: MIT
/* queue_dead.c - items at the limit of deliveries, and the queue that they are moved to */
#include <signal.h>

#include "queue_ends.h"

#define DEAD	"plant/failed"
#define LIMIT	2u

FIXTURE(dead) {
	struct env env;
	struct shmipc_queue_opts opts;
	struct shmipc_push *tx;
	struct shmipc_pop *rx;
	struct shmipc_pop *letters;
};

FIXTURE_SETUP(dead)
{
	env_set_up(&self->env);
	self->opts = SHMIPC_QUEUE_OPTS(.depth = DEPTH, .levels = LEVELS, .item_bytes = 3000,
				       .deliveries = LIMIT, .dead = DEAD);
	ASSERT_EQ(0, shmipc_push_open(&self->tx, NAME, &self->opts, NULL)) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, shmipc_pop_open(&self->rx, NAME, NULL, NULL));
}

FIXTURE_TEARDOWN(dead)
{
	shmipc_pop_close(self->rx);
	shmipc_push_close(self->tx);
	shmipc_pop_close(self->letters);
	(void)shmipc_segment_unlink(DEAD);
	env_tear_down(&self->env);
}

/* Hand the next item out and take it back, up to the limit. */
static int fail(struct shmipc_pop *rx, uint64_t what)
{
	struct shmipc_queue_item it;
	uint32_t i;

	for (i = 1; i <= LIMIT; i++)
		if (pop_until(rx, &it, 0) != (int64_t)what || it.deliveries != i || shmipc_pop_nack(rx, &it, 1))
			return -EINVAL;
	return 0;
}

/* The next letter: its item, or an error; and what is said of it. */
static int64_t letter(struct shmipc_pop *rx, struct shmipc_dead_letter *d)
{
	struct shmipc_queue_item it;
	int64_t ret = pop_until(rx, &it, 0);
	int err;

	*d = SHMIPC_DEAD_LETTER();
	if (ret < 0)
		return ret;
	err = it.flags & SHMIPC_ITEM_DEAD ? shmipc_pop_dead_letter(rx, &it, d) : -ENOMSG;
	return err ? err : shmipc_pop_ack(rx, &it, 1) ? -EIO : ret;
}

TEST_F(dead, an_item_at_the_limit_is_moved_with_a_note)
{
	struct shmipc_segment_info info = SHMIPC_SEGMENT_INFO();
	struct shmipc_dead_letter d;
	struct shmipc_queue_stat st;

	ASSERT_EQ(0, push_until(self->tx, 7, 1, 0));
	ASSERT_EQ(0, push_until(self->tx, 8, 1, 0));
	ASSERT_EQ(0, fail(self->rx, 7));
	EXPECT_EQ(8, got(self->rx));
	ASSERT_EQ(0, shmipc_pop_open(&self->letters, DEAD, NULL, NULL)) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(7, letter(self->letters, &d));
	EXPECT_EQ(SHMIPC_DEAD_DELIVERIES, (int)d.reason);
	EXPECT_EQ(LIMIT, d.deliveries);
	EXPECT_EQ(1u, d.copies);
	EXPECT_EQ(1u, d.level);
	EXPECT_EQ(0u, d.number);
	EXPECT_STREQ(NAME, d.queue);
	ASSERT_EQ(0, shmipc_push_get_info(self->tx, &info));
	EXPECT_EQ(0, memcmp(info.id, d.id, sizeof(d.id)));
	EXPECT_LT(info.created_ns, d.at_ns);
	EXPECT_EQ(-EAGAIN, letter(self->letters, &d));
	st = look();
	EXPECT_EQ(1u, st.expired);
	EXPECT_EQ(1u, st.dead);
	EXPECT_EQ(0u, st.stuck);
	EXPECT_STREQ(DEAD, st.dead_queue);
	EXPECT_EQ(0u, push_stat(self->tx).used);
}

TEST_F(dead, one_that_was_pushed_is_no_dead_letter)
{
	struct shmipc_dead_letter d = SHMIPC_DEAD_LETTER();
	struct shmipc_queue_item it;

	ASSERT_EQ(0, push(self->tx, 1));
	ASSERT_EQ(1, pop_until(self->rx, &it, 0));
	EXPECT_EQ(0u, it.flags);
	EXPECT_EQ(-ENOENT, shmipc_pop_dead_letter(self->rx, &it, &d));
}

TEST_F(dead, letters_stay_when_all_have_gone)
{
	struct shmipc_dead_letter d;

	ASSERT_EQ(0, push(self->tx, 7));
	ASSERT_EQ(0, fail(self->rx, 7));
	EXPECT_EQ(-EAGAIN, got(self->rx));
	shmipc_pop_close(self->rx);
	shmipc_push_close(self->tx);
	self->rx = NULL;
	self->tx = NULL;
	ASSERT_EQ(0, shmipc_pop_open(&self->letters, DEAD, NULL, NULL));
	EXPECT_EQ(7, letter(self->letters, &d));
}

TEST_F(dead, what_cannot_work_is_refused_at_the_creation)
{
	struct shmipc_queue_opts o = self->opts;
	struct shmipc_push *tx;
	struct shmipc_pop *rx;

	o.dead = "plant/other";
	EXPECT_EQ(-EINVAL, shmipc_push_open(&tx, "plant/other", &o, NULL));	/* itself */
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "another queue"));
	o.deliveries = 0;
	EXPECT_EQ(-EINVAL, shmipc_push_open(&tx, "plant/new", &o, NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "1 to 253"));
	o.deliveries = 254;
	EXPECT_EQ(-EINVAL, shmipc_push_open(&tx, "plant/new", &o, NULL));
	o.deliveries = 253;
	o.dead = "..";
	EXPECT_EQ(-EINVAL, shmipc_push_open(&tx, "plant/new", &o, NULL));
	o.dead = "plant/other";
	EXPECT_EQ(-EINVAL, shmipc_push_open(&tx, NAME, &o, NULL));	/* it has another one */
	ASSERT_EQ(0, shmipc_pop_open(&self->letters, DEAD, &SHMIPC_QUEUE_OPTS(.item_bytes = 2999), NULL));
	o.dead = DEAD;
	EXPECT_EQ(-EINVAL, shmipc_pop_open(&rx, "plant/new", &o, NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "smaller"));
	EXPECT_EQ(-ENOENT, shmipc_queue_look("plant/new", &SHMIPC_QUEUE_STAT()));
}

/* It is not lost, not taken for a new one, holds up no other item, and goes when there is room. */
TEST_F(dead, a_letter_stays_while_there_is_no_room_for_it)
{
	const struct shmipc_queue_opts small = SHMIPC_QUEUE_OPTS(.item_bytes = 3000, .depth = 1);
	struct shmipc_dead_letter d;
	struct shmipc_queue_stat st;
	uint64_t end;
	int64_t ret;

	ASSERT_EQ(0, shmipc_pop_open(&self->letters, DEAD, &small, NULL));
	ASSERT_EQ(0, push(self->tx, 1));
	ASSERT_EQ(0, fail(self->rx, 1));
	ASSERT_EQ(0, push(self->tx, 2));
	ASSERT_EQ(0, fail(self->rx, 2));	/* moves the first one */
	ASSERT_EQ(0, push(self->tx, 3));
	EXPECT_EQ(3, got(self->rx));
	EXPECT_EQ(-EAGAIN, got(self->rx));
	st = look();
	EXPECT_EQ(1u, st.dead);
	EXPECT_EQ(1u, st.stuck);
	EXPECT_EQ(0u, st.ready[0]);
	EXPECT_EQ(1u, push_stat(self->tx).used);
	ASSERT_EQ(1, letter(self->letters, &d));
	/* A consumer that waits moves it by itself. */
	end = shmipc_deadline_in(UINT64_C(3000000000));
	EXPECT_EQ(-ETIMEDOUT, got_until(self->rx, end));
	for (end = SOON; (ret = letter(self->letters, &d)) == -EAGAIN && now_ns() < end;)
		(void)got(self->rx);
	EXPECT_EQ(2, ret);
	EXPECT_EQ(1u, d.copies);
	EXPECT_EQ(0u, look().stuck);
	EXPECT_EQ(0u, push_stat(self->tx).used);
}

/* More of them than a consumer remembers must not hide what was given back. */
TEST_F(dead, many_stuck_letters_hide_no_other_item)
{
	const struct shmipc_queue_opts tiny = SHMIPC_QUEUE_OPTS(.item_bytes = 8, .depth = 1);
	struct shmipc_queue_item it;
	struct shmipc_push *tx;
	struct shmipc_pop *rx;
	uint64_t i;

	ASSERT_EQ(0, shmipc_pop_open(&self->letters, DEAD, &tiny, NULL));
	self->opts.depth = 2 * SHMIPC_CELLS_AGAIN;
	self->opts.item_bytes = 8;
	ASSERT_EQ(0, shmipc_push_open(&tx, "plant/new", &self->opts, NULL)) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, shmipc_pop_open(&rx, "plant/new", NULL, NULL));
	for (i = 0; i <= SHMIPC_CELLS_AGAIN + 8; i++) {
		ASSERT_EQ(0, push(tx, i));
		ASSERT_EQ(0, fail(rx, i));
	}
	ASSERT_EQ(0, push(tx, 1000));
	ASSERT_EQ(1000, pop_until(rx, &it, 0));
	ASSERT_EQ(0, shmipc_pop_nack(rx, &it, 1));
	EXPECT_EQ(1000, pop_until(rx, &it, 0));
	shmipc_pop_close(rx);
	shmipc_push_close(tx);
}

TEST_F(dead, a_queue_for_letters_that_was_removed_is_made_anew)
{
	struct shmipc_dead_letter d;

	ASSERT_EQ(0, push(self->tx, 1));
	ASSERT_EQ(0, fail(self->rx, 1));
	EXPECT_EQ(-EAGAIN, got(self->rx));
	ASSERT_EQ(0, shmipc_segment_unlink(DEAD));
	ASSERT_EQ(0, push(self->tx, 2));
	ASSERT_EQ(0, fail(self->rx, 2));
	EXPECT_EQ(-EAGAIN, got(self->rx));
	ASSERT_EQ(0, shmipc_pop_open(&self->letters, DEAD, NULL, NULL));
	EXPECT_EQ(2, letter(self->letters, &d));
}

/* A consumer that is killed while it moves an item. */
static bool die_before(void *arg, uint32_t p, uint32_t cell, uint64_t word)
{
	(void)arg, (void)p, (void)cell, (void)word;
	return raise(SIGKILL) != 0;
}

static bool die_after(void *arg, uint32_t p, uint32_t cell, uint64_t word)
{
	(void)shmipc_dead_move(arg, p, cell, word);
	return raise(SIGKILL) != 0;
}

static void kill_mover(struct __test_metadata *_metadata,
		       bool (*move)(void *arg, uint32_t p, uint32_t cell, uint64_t word))
{
	struct shmipc_pop *rx;
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (shmipc_pop_open(&rx, NAME, NULL, NULL))
			_exit(1);
		rx->rx.move = move;
		(void)got(rx);
		_exit(2);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) TH_LOG("%d", status);
}

TEST_F(dead, killed_in_between_both_copies_are_there_and_the_second_says_so)
{
	struct shmipc_dead_letter d[2], more;

	ASSERT_EQ(0, push(self->tx, 7));
	ASSERT_EQ(0, fail(self->rx, 7));
	kill_mover(_metadata, die_after);
	EXPECT_EQ(1u, push_stat(self->tx).used);
	EXPECT_EQ(-EAGAIN, got_until(self->rx, 0));
	EXPECT_EQ(-ETIMEDOUT, got_until(self->rx, shmipc_deadline_in(20000000)));
	EXPECT_EQ(0u, push_stat(self->tx).used);
	ASSERT_EQ(0, shmipc_pop_open(&self->letters, DEAD, NULL, NULL));
	ASSERT_EQ(7, letter(self->letters, &d[0]));
	ASSERT_EQ(7, letter(self->letters, &d[1]));
	EXPECT_EQ(-EAGAIN, letter(self->letters, &more));
	EXPECT_EQ(3u, d[0].copies + d[1].copies);	/* of different producers: in any order */
	EXPECT_EQ(d[0].number, d[1].number);
	EXPECT_EQ(d[0].from, d[1].from);
	EXPECT_EQ(LIMIT, d[1].deliveries);
}

TEST_F(dead, killed_before_that_it_is_moved_by_another)
{
	struct shmipc_dead_letter d;

	ASSERT_EQ(0, push(self->tx, 7));
	ASSERT_EQ(0, fail(self->rx, 7));
	kill_mover(_metadata, die_before);
	kill_mover(_metadata, die_before);
	EXPECT_EQ(-ETIMEDOUT, got_until(self->rx, shmipc_deadline_in(20000000)));
	ASSERT_EQ(0, shmipc_pop_open(&self->letters, DEAD, NULL, NULL));
	ASSERT_EQ(7, letter(self->letters, &d));
	EXPECT_EQ(3u, d.copies);
	EXPECT_EQ(-EAGAIN, letter(self->letters, &d));
	EXPECT_EQ(0u, push_stat(self->tx).used);
}

TEST_HARNESS_MAIN
