// SPDX-License-Identifier: MIT
/* topic_hold: subscribers that hold messages in the pool, and the effect on publishers */
#include "topic_ends.h"

FIXTURE(topic_hold) {
	struct env env;
	struct shmipc_topic_opts t;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	struct shmipc_msg m[4];
	struct shmipc_blocked b;
};

FIXTURE_VARIANT(topic_hold) {
	uint32_t policy;
};

FIXTURE_VARIANT_ADD(topic_hold, lossy) { SHMIPC_POLICY_LOSSY };
FIXTURE_VARIANT_ADD(topic_hold, lossless) { SHMIPC_POLICY_LOSSLESS };
FIXTURE_VARIANT_ADD(topic_hold, evict) { SHMIPC_POLICY_EVICT };

#define BIG	60000u		/* 15 chunks of 64: four fill the pool, but for 4 chunks */

FIXTURE_SETUP(topic_hold)
{
	env_set_up(&self->env);
	self->t = topic_small();
	self->t.evict_ns = 1000000;
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL))
		TH_LOG("%s", shmipc_error_text());
}

FIXTURE_TEARDOWN(topic_hold)
{
	shmipc_sub_close(self->sub);
	shmipc_pub_close(self->pub);
	env_tear_down(&self->env);
}

static int hold_four(struct shmipc_sub *sub, struct shmipc_msg m[4])
{
	int i, ret = 0;

	for (i = 0; i < 4 && !ret; i++)
		ret = shmipc_sub_take(sub, &m[i], SOON);
	return ret;
}

static int put_four(struct shmipc_pub *pub)
{
	uint64_t i;
	int ret = 0;

	for (i = 0; i < 4 && !ret; i++)
		ret = put_len(pub, i, BIG);
	return ret;
}

/* It holds nearly all, and has read all: nobody waits for it but for the memory. */
TEST_F(topic_hold, refused_with_the_holders_name)
{
	int i;

	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, variant->policy));
	ASSERT_EQ(0, put_four(self->pub));
	ASSERT_EQ(0, hold_four(self->sub, self->m));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(-EAGAIN, put_len(self->pub, 9, BIG));
	}
	EXPECT_EQ(-ETIMEDOUT, shmipc_pub_send(self->pub, self->m[0].ptr, BIG, shmipc_deadline_in(5000000)));
	ASSERT_EQ(0, shmipc_pub_blocked(self->pub, &self->b));
	EXPECT_EQ(SHMIPC_ROLE_READER, self->b.role);
	EXPECT_EQ(variant->policy, self->b.policy);
	EXPECT_EQ(getpid(), (int)self->b.pid);
	EXPECT_EQ(8, self->b.slot);
	/* To hold is not to be behind: no one is cut off for it. */
	EXPECT_EQ(0, pub_stat(self->pub).evicted);
	EXPECT_EQ(0, put_len(self->pub, 4, 16384)) TH_LOG("what is not held is there");
	EXPECT_EQ(0, put(self->pub, 5));
	for (i = 0; i < 4; i++) {
		EXPECT_TRUE(msg_is(&self->m[i], (uint64_t)i, BIG));
	}
	EXPECT_EQ(16384, get_len(self->sub, 4, 20000));
	EXPECT_EQ(5, get(self->sub));
	shmipc_sub_release(self->sub, &self->m[2]);
	EXPECT_EQ(0, put_len(self->pub, 6, BIG));
	EXPECT_EQ(BIG, get_len(self->sub, 6, BIG));
}

static int sends_big(struct other *me, void *arg)
{
	FIXTURE_DATA(topic_hold) *self = arg;
	unsigned char *buf = calloc(1, BIG);
	int ret = shmipc_pub_send(self->pub, buf, BIG, SOON);

	free(buf);
	CHECK(ret == 0);
	tell(me, 1);
	return 0;
}

TEST_F(topic_hold, sleeping_publisher_goes_on_after_the_release)
{
	struct other o;

	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, variant->policy));
	ASSERT_EQ(0, put_four(self->pub));
	ASSERT_EQ(0, hold_four(self->sub, self->m));
	ASSERT_EQ(0, other_start(&o, 1, sends_big, self));
	ASSERT_EQ(0, until_asleep(o.tid));
	shmipc_sub_release(self->sub, &self->m[1]);
	EXPECT_EQ(1, hear(&o));
	EXPECT_EQ(0, other_end(&o));
	EXPECT_EQ(BIG, get_len(self->sub, 4, BIG) == -EBADMSG ? BIG : 0);
}

TEST_F(topic_hold, sleeping_publisher_goes_on_after_the_close)
{
	struct other o;

	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, variant->policy));
	ASSERT_EQ(0, put_four(self->pub));
	ASSERT_EQ(0, hold_four(self->sub, self->m));
	ASSERT_EQ(0, other_start(&o, 1, sends_big, self));
	ASSERT_EQ(0, until_asleep(o.tid));
	shmipc_sub_close(self->sub);
	self->sub = NULL;
	EXPECT_EQ(1, hear(&o));
	EXPECT_EQ(0, other_end(&o));
}

static int holds(struct other *me, void *arg)
{
	struct shmipc_sub *sub;
	struct shmipc_msg m[4];

	CHECK(sub_open(&sub, NULL, SHMIPC_START_NEW, (uint32_t)(uintptr_t)arg) == 0);
	tell(me, 1);
	CHECK(hold_four(sub, m) == 0);
	return stay(me);
}

TEST_F(topic_hold, holds_of_killed_subscribers_end)
{
	static unsigned char buf[262144];
	struct other o;
	int i;

	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, other_start(&o, 0, holds, (void *)(uintptr_t)variant->policy));
		ASSERT_EQ(1, hear(&o));
		ASSERT_EQ(0, put_four(self->pub));
		ASSERT_EQ(1, hear(&o));
		ASSERT_EQ(-EAGAIN, put_len(self->pub, 9, BIG));
		ASSERT_EQ(0, shmipc_pub_blocked(self->pub, &self->b));
		EXPECT_EQ(o.pid, (int)self->b.pid);
		EXPECT_EQ(61, shmipc_pool_count_held(log_of(self->pub)) + 1);
		EXPECT_EQ(256 + SIGKILL, other_kill(&o));
		/* Known at once where the kernel says so, else with the next tick. */
		EXPECT_EQ(0, put_len(self->pub, 1, 0) ? 1 : 0);
		EXPECT_EQ(0, shmipc_pub_send(self->pub, buf, sizeof(buf), SOON));
		EXPECT_EQ(0, shmipc_pool_count_held(log_of(self->pub)));
	}
}

TEST_F(topic_hold, killed_while_the_publisher_sleeps_for_it)
{
	struct other o, s;

	ASSERT_EQ(0, other_start(&o, 0, holds, (void *)(uintptr_t)variant->policy));
	ASSERT_EQ(1, hear(&o));
	ASSERT_EQ(0, put_four(self->pub));
	ASSERT_EQ(1, hear(&o));
	ASSERT_EQ(0, other_start(&s, 1, sends_big, self));
	ASSERT_EQ(0, until_asleep(s.tid));
	EXPECT_EQ(256 + SIGKILL, other_kill(&o));
	EXPECT_EQ(1, hear(&s));
	EXPECT_EQ(0, other_end(&s));
}

/* Two hold the same: it is free when both have let go. */
TEST_F(topic_hold, held_by_two)
{
	struct shmipc_msg m[4];
	struct shmipc_sub *sub;

	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, variant->policy));
	ASSERT_EQ(0, sub_open(&sub, NULL, SHMIPC_START_NEW, variant->policy));
	ASSERT_EQ(0, put_four(self->pub));
	ASSERT_EQ(0, hold_four(self->sub, self->m));
	ASSERT_EQ(0, hold_four(sub, m));
	EXPECT_EQ(m[1].ptr == self->m[1].ptr, 0);	/* mapped twice */
	shmipc_sub_release(self->sub, &self->m[1]);
	EXPECT_EQ(-EAGAIN, put_len(self->pub, 9, BIG));
	shmipc_sub_release(sub, &m[2]);
	EXPECT_EQ(-EAGAIN, put_len(self->pub, 9, BIG));
	EXPECT_TRUE(msg_is(&m[1], 1, BIG));
	EXPECT_TRUE(msg_is(&self->m[2], 2, BIG));
	shmipc_sub_release(sub, &m[1]);
	EXPECT_EQ(0, put_len(self->pub, 9, BIG));
	shmipc_sub_close(sub);
}

TEST_F(topic_hold, by_number_is_held_too)
{
	struct shmipc_msg m;
	uint64_t i;

	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSY));
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, put_len(self->pub, i, 10000));
	}
	ASSERT_EQ(0, shmipc_sub_read_at(self->sub, 3, &m));
	for (i = 5; i < 300; i++) {
		ASSERT_EQ(0, put_len(self->pub, i, 10000));
	}
	EXPECT_TRUE(msg_is(&m, 3, 10000));
	EXPECT_EQ(-ESTALE, shmipc_sub_read_at(self->sub, 3, &self->m[0]));
	shmipc_sub_release(self->sub, &m);
}

/* A lossless one that is behind in a pool that is full: nothing of what it has to read goes. */
TEST_F(topic_hold, unread_is_not_held_but_waited_for)
{
	uint64_t n = 0, i;

	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, variant->policy));
	while (n < 500 && put_len(self->pub, n, 10000) == 0)
		n++;
	if (variant->policy == SHMIPC_POLICY_LOSSY) {
		EXPECT_EQ(500, n);
		EXPECT_EQ(-ESTALE, get_len(self->sub, 0, 10000));
		return;
	}
	EXPECT_EQ(21, n);
	ASSERT_EQ(0, shmipc_pub_blocked(self->pub, &self->b));
	EXPECT_EQ(SHMIPC_ROLE_READER, self->b.role);
	EXPECT_EQ(0, self->b.pos);
	for (i = 0; i < n; i++) {
		ASSERT_EQ(10000, get_len(self->sub, i, 10000));
	}
	EXPECT_EQ(0, put_len(self->pub, n, 10000));
	EXPECT_EQ(10000, get_len(self->sub, n, 10000));
}

/* The floor has passed it, and nobody has written over it yet, or ever will. */
TEST_F(topic_hold, given_up_and_not_yet_overwritten)
{
	struct shmipc_sub *sub[3];
	unsigned char buf[16];
	uint64_t from, to;
	size_t len;
	int i;

	if (variant->policy != SHMIPC_POLICY_LOSSY)
		SKIP(return, "for others it is kept");
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, sub_open(&sub[i], NULL, SHMIPC_START_NEW, 0));
	}
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, put_len(self->pub, (uint64_t)i, 1000));
	}
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(1000, get_len(sub[0], (uint64_t)i, 1000));
		ASSERT_EQ(1000, get_len(sub[1], (uint64_t)i, 1000));
		ASSERT_EQ(1000, get_len(sub[2], (uint64_t)i, 1000));
	}
	ASSERT_EQ(0, put_range(self->pub, 8, 65));	/* over number 0, and not over 3 */
	EXPECT_EQ(-ESTALE, shmipc_sub_take(sub[0], &self->m[0], 0));
	EXPECT_EQ(-ESTALE, shmipc_sub_recv(sub[1], buf, sizeof(buf), &len, 0)) TH_LOG("too small, too");
	EXPECT_EQ(-ESTALE, get_len(sub[2], 3, 1000));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(5, shmipc_sub_lost(sub[i], &from, &to));
		EXPECT_EQ(3, from);
		EXPECT_EQ(8, to);
		EXPECT_EQ(8, get(sub[i]));
		shmipc_sub_close(sub[i]);
	}
}

TEST_HARNESS_MAIN
