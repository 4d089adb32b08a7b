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

#define BIG	60000u		/* 15 of 64 chunks: four messages leave 4 chunks */

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

/* It has read all messages and holds nearly all of the pool. */
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
	/* A subscriber is cut off for being behind, not for holding. */
	EXPECT_EQ(0, pub_stat(self->pub).evicted);
	EXPECT_EQ(0, put_len(self->pub, 4, 16384)) TH_LOG("chunks that are not held are available");
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

TEST_F(topic_hold, release_wakes_a_sleeping_publisher)
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

TEST_F(topic_hold, close_wakes_a_sleeping_publisher)
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
		/* The death is known at once if the kernel reports it, else at the next tick. */
		EXPECT_EQ(0, put_len(self->pub, 1, 0) ? 1 : 0);
		EXPECT_EQ(0, shmipc_pub_send(self->pub, buf, sizeof(buf), SOON));
		EXPECT_EQ(0, shmipc_pool_count_held(log_of(self->pub)));
	}
}

TEST_F(topic_hold, death_wakes_a_sleeping_publisher)
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

TEST_F(topic_hold, held_by_two_is_free_when_both_have_released_it)
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

TEST_F(topic_hold, a_message_read_by_number_is_held_too)
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

/* The pool is full of messages that the subscriber has not read yet. */
TEST_F(topic_hold, publishers_wait_for_unread_messages_in_the_pool)
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

/* The floor has passed the messages, but their chunks have not been overwritten. */
TEST_F(topic_hold, messages_before_the_floor_are_lost_even_if_not_overwritten)
{
	struct shmipc_sub *sub[3];
	unsigned char buf[16];
	uint64_t from, to;
	size_t len;
	int i;

	if (variant->policy != SHMIPC_POLICY_LOSSY)
		SKIP(return, "messages are kept for other policies");
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
	ASSERT_EQ(0, put_range(self->pub, 8, 65));	/* overwrites number 0, but not 3 */
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
