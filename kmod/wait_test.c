// SPDX-License-Identifier: GPL-2.0-only
/* wait_test.c - KUnit tests of deadlines, and of whom a wake is for; included by wait.c */
#include <kunit/test.h>

static void deadline_is_of_the_kernels_clock(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, deadline_shift(0, 0), 0);
	KUNIT_EXPECT_EQ(test, deadline_shift(5, 0), 5);
	KUNIT_EXPECT_EQ(test, deadline_shift(5, 3), 2);
	KUNIT_EXPECT_EQ(test, deadline_shift(5, -3), 8);
	KUNIT_EXPECT_EQ(test, deadline_shift(3, 3), 0);
}

static void deadline_before_the_start_is_over(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, deadline_shift(0, 1), 0);
	KUNIT_EXPECT_EQ(test, deadline_shift(2, KTIME_MAX), 0);
}

static void deadline_is_never_negative(struct kunit *test)
{
	static const s64 ahead[] = { 0, 1, -1, NSEC_PER_SEC, -NSEC_PER_SEC, KTIME_MAX, -KTIME_MAX };
	static const u64 ns[] = { 0, 1, KTIME_MAX - 1, KTIME_MAX, (u64)KTIME_MAX + 1, U64_MAX };
	int i, j;

	for (i = 0; i < ARRAY_SIZE(ns); i++) {
		for (j = 0; j < ARRAY_SIZE(ahead); j++)
			KUNIT_EXPECT_GE_MSG(test, deadline_shift(ns[i], ahead[j]), 0,
					    "%llu, ahead %lld", ns[i], ahead[j]);
	}
	KUNIT_EXPECT_EQ(test, deadline_shift(KTIME_MAX, -1), KTIME_MAX);
	KUNIT_EXPECT_EQ(test, deadline_shift((u64)KTIME_MAX + 1, 5), KTIME_MAX);
	KUNIT_EXPECT_EQ(test, deadline_shift(U64_MAX, -5), KTIME_MAX);
}

static void wake_is_for_one_word(struct kunit *test)
{
	struct shmipc_wake_key key = { .off = 4096, .slot = SHMIPC_DEV_NO_PEER };

	KUNIT_EXPECT_TRUE(test, shmipc_wake_meant(&key, 4096, SHMIPC_DEV_NO_PEER));
	KUNIT_EXPECT_TRUE(test, shmipc_wake_meant(&key, 4096, 3));
	KUNIT_EXPECT_FALSE(test, shmipc_wake_meant(&key, 4100, SHMIPC_DEV_NO_PEER));
	/* No peer's end: those that watch peers sleep on. */
	KUNIT_EXPECT_FALSE(test, shmipc_wake_meant(&key, 4100, 3));
	KUNIT_EXPECT_FALSE(test, shmipc_wake_meant(&key, 4100, SHMIPC_DEV_ANY_PEER));
	KUNIT_EXPECT_FALSE(test, shmipc_wake_meant(&key, PEER_SEQ_OFF, SHMIPC_DEV_NO_PEER));
}

static void wake_of_a_peer_is_for_its_watchers(struct kunit *test)
{
	struct shmipc_wake_key key = { .off = 4096, .slot = 3 };

	KUNIT_EXPECT_TRUE(test, shmipc_wake_meant(&key, 4096, SHMIPC_DEV_NO_PEER));
	KUNIT_EXPECT_TRUE(test, shmipc_wake_meant(&key, 8192, 3));
	KUNIT_EXPECT_TRUE(test, shmipc_wake_meant(&key, 8192, SHMIPC_DEV_ANY_PEER));
	KUNIT_EXPECT_TRUE(test, shmipc_wake_meant(&key, PEER_SEQ_OFF, SHMIPC_DEV_NO_PEER));
	KUNIT_EXPECT_FALSE(test, shmipc_wake_meant(&key, 8192, 4));
	KUNIT_EXPECT_FALSE(test, shmipc_wake_meant(&key, 8192, SHMIPC_DEV_NO_PEER));
}

static void wake_of_all_is_for_all(struct kunit *test)
{
	struct shmipc_wake_key key = { .all = true };

	KUNIT_EXPECT_TRUE(test, shmipc_wake_meant(&key, 8192, 4));
	KUNIT_EXPECT_TRUE(test, shmipc_wake_meant(&key, 8192, SHMIPC_DEV_NO_PEER));
}

static struct kunit_case wait_tests[] = {
	KUNIT_CASE(deadline_is_of_the_kernels_clock),
	KUNIT_CASE(deadline_before_the_start_is_over),
	KUNIT_CASE(deadline_is_never_negative),
	KUNIT_CASE(wake_is_for_one_word),
	KUNIT_CASE(wake_of_a_peer_is_for_its_watchers),
	KUNIT_CASE(wake_of_all_is_for_all),
	{}
};

static struct kunit_suite wait_suite = {
	.name		= "shmipc-wait",
	.test_cases	= wait_tests,
};

kunit_test_suite(wait_suite);
