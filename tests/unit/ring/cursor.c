// SPDX-License-Identifier: MIT
/* cursor: a position and its number move together, or not at all */
#include <kselftest_harness.h>
#include <pthread.h>
#include <shmipc/ring.h>
#include "rng.h"

TEST(read_gives_what_was_moved_to)
{
	struct shmipc_cursor c = { .word = 8 };
	uint64_t word = c.word, got_word, got_seq, i;

	for (i = 1; i < 100; i++) {
		word = shmipc_cursor_move(&c, word, i * 8, i);
		ASSERT_EQ(0, shmipc_cursor_read(&c, &got_word, &got_seq));
		ASSERT_EQ(word, got_word);
		ASSERT_EQ(i * 8, shmipc_cursor_pos(got_word));
		ASSERT_EQ(i, got_seq);
	}
}

/* Killed between the two stores of a move: the old pair is still intact. */
TEST(an_interrupted_move_has_no_effect)
{
	struct shmipc_cursor c = { .word = 8 }, before;
	uint64_t word, got_word, got_seq;

	word = shmipc_cursor_move(&c, c.word, 80, 5);
	before = c;
	shmipc_cursor_move(&c, word, 160, 9);
	c.word = before.word;
	ASSERT_EQ(0, shmipc_cursor_read(&c, &got_word, &got_seq));
	EXPECT_EQ(80, shmipc_cursor_pos(got_word));
	EXPECT_EQ(5, got_seq);
}

struct race {
	struct shmipc_cursor c;
	uint32_t stop;
};

static void *mover(void *arg)
{
	struct race *r = arg;
	uint64_t word = 0, n = 0;

	while (!shmipc_load_relaxed(&r->stop)) {
		n++;
		word = shmipc_cursor_move(&r->c, word, n * 8, n * 3);
	}
	return NULL;
}

TEST(read_never_mixes_two_moves)
{
	struct race r;
	uint64_t word, seq, i, mixed = 0, back = 0, last = 0, got = 0;
	pthread_t t;

	memset(&r, 0, sizeof(r));
	ASSERT_EQ(0, pthread_create(&t, NULL, mover, &r));
	for (i = 0; i < rng_few(2000000); i++) {
		if (shmipc_cursor_read(&r.c, &word, &seq))
			continue;
		got++;
		mixed += shmipc_cursor_pos(word) / 8 * 3 != seq;
		back += seq < last;
		last = seq;
	}
	shmipc_store_relaxed(&r.stop, 1u);
	EXPECT_EQ(0, pthread_join(t, NULL));
	EXPECT_LT(0, got);
	EXPECT_EQ(0, mixed);
	EXPECT_EQ(0, back);
}

TEST(crossed_is_true_for_one_move_only)
{
	uint64_t want, from, hits;

	for (want = 1; want < 200; want++) {
		hits = 0;
		for (from = 0; from < 210; from += 7)
			hits += (uint64_t)shmipc_priv_crossed(want, from, from + 7);
		ASSERT_EQ(1, hits);
	}
	EXPECT_FALSE(shmipc_priv_crossed(100, 100, 108));
	EXPECT_TRUE(shmipc_priv_crossed(108, 100, 108));
	EXPECT_FALSE(shmipc_priv_crossed(109, 100, 108));
	EXPECT_FALSE(shmipc_priv_crossed(0, 8, 16));
	/* Nothing moved: no sleeper is woken. */
	EXPECT_FALSE(shmipc_priv_crossed(100, 100, 100));
	/* Positions that pass 2^64. */
	EXPECT_TRUE(shmipc_priv_crossed(4, UINT64_MAX - 7, 8));
	EXPECT_FALSE(shmipc_priv_crossed(16, UINT64_MAX - 7, 8));
}

TEST_HARNESS_MAIN
