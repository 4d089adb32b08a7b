// SPDX-License-Identifier: MIT
/* topic_wants: a word that says for what subscribers sleep costs publishers no system calls */
#include "topic_ends.h"

#define FAR		(UINT64_C(1) << 60)
#define SENDS		500
#define STRIDE		100

FIXTURE(topic_wants) {
	struct env env;
	struct shmipc_topic_opts t;
	struct shmipc_pub *pub, *pub2;
	struct shmipc_sub *sub, *sub2;
	struct other o[3];
};

FIXTURE_SETUP(topic_wants)
{
	env_set_up(&self->env);
	self->t = topic_small();
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
}

FIXTURE_TEARDOWN(topic_wants)
{
	shmipc_sub_close(self->sub);
	shmipc_sub_close(self->sub2);
	shmipc_pub_close(self->pub);
	shmipc_pub_close(self->pub2);
	env_tear_down(&self->env);
}

/* System calls of a publisher to wake others. */
static uint64_t wakes(const struct shmipc_pub *pub)
{
	struct shmipc_pub_stat st = SHMIPC_PUB_STAT();

	(void)shmipc_pub_get_stat(pub, &st);
	return st.wakes;
}

/* As a subscriber would: that it may write there. */
static struct shmipc_sub_ctl *sub_ctl(const struct shmipc_sub *sub)
{
	return sub_priv(sub)->t.seg->log.sub;
}

static int sleeps_for_each(struct other *me, void *arg)
{
	const struct shmipc_sub_opts *o = arg;
	uint64_t n, every = o->stride ? o->stride : 1;
	struct shmipc_sub *sub;
	int64_t got = 0;

	CHECK(!shmipc_sub_open(&sub, TOPIC, NULL, o));
	tell(me, 1);
	for (n = 0; got >= 0; n++) {
		got = get_until(sub, SOON);
		if (got >= 0 && (uint64_t)got % every != o->stride_at)
			return 1;
		tell(me, (uint64_t)got);
		if (got >= 1000)
			break;
	}
	CHECK(got >= 1000);
	/* Each of them was a wake, and none a tick. */
	CHECK(sub_stat(sub).ticks == 0);
	shmipc_sub_close(sub);
	return 0;
}

TEST_F(topic_wants, a_stride_costs_a_wake_per_message_that_is_wanted)
{
	static struct shmipc_sub_opts o = { sizeof(o), .stride = STRIDE, .stride_at = STRIDE - 1,
					    .spin_ns = SHMIPC_SPIN_NEVER };
	uint64_t n, before;
	int i;

	ASSERT_EQ(0, other_start(&self->o[0], 0, sleeps_for_each, &o));
	ASSERT_EQ(1, hear(&self->o[0]));
	before = wakes(self->pub);
	for (i = 0, n = 0; i < 10; i++) {
		ASSERT_EQ(0, until_asleep(self->o[0].tid));
		for (; n % STRIDE < STRIDE - 1; n++)
			ASSERT_EQ(0, put(self->pub, n));
		if (i == 9)
			n = 1099;
		ASSERT_EQ(0, put(self->pub, n));
		ASSERT_EQ(n++, hear(&self->o[0]));
	}
	EXPECT_EQ(0, other_end(&self->o[0]));
	EXPECT_GE(11, wakes(self->pub) - before);
}

TEST_F(topic_wants, a_wrong_word_costs_no_system_call)
{
	uint64_t before, i;

	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, NULL));
	for (i = 0; i < 3; i++) {
		before = wakes(self->pub);
		sub_ctl(self->sub)->want = i == 0 ? FAR : i == 1 ? UINT64_MAX : SENDS * 100;
		ASSERT_EQ(0, put_range(self->pub, 0, SENDS));
		EXPECT_GE(2, wakes(self->pub) - before) TH_LOG("%d", (int)i);
	}
}

/* Its line, too; it lives. */
TEST_F(topic_wants, a_wrong_line_costs_no_system_call)
{
	uint64_t before;

	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, NULL));
	self->sub->rx.line->wants = FAR;
	sub_ctl(self->sub)->want = FAR;
	sub_ctl(self->sub)->sleeps++;
	before = wakes(self->pub);
	ASSERT_EQ(0, put_range(self->pub, 0, SENDS));
	EXPECT_GE(2, wakes(self->pub) - before);
}

static int lies(struct other *me, void *arg)
{
	struct shmipc_sub *sub;

	CHECK(!shmipc_sub_open(&sub, TOPIC, NULL, NULL));
	sub->rx.line->wants = FAR;
	sub_ctl(sub)->want = FAR;
	tell(me, 1);
	return (int)hear(me);	/* killed here */
}

TEST_F(topic_wants, what_a_dead_one_left_is_corrected_by_the_next_that_sleeps)
{
	static struct shmipc_sub_opts o = { sizeof(o), .spin_ns = SHMIPC_SPIN_NEVER };
	uint64_t before, n;

	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, NULL));
	ASSERT_EQ(0, other_start(&self->o[0], 0, lies, NULL));
	ASSERT_EQ(1, hear(&self->o[0]));
	(void)other_kill(&self->o[0]);
	EXPECT_EQ(FAR, sub_ctl(self->sub)->want);
	ASSERT_EQ(0, other_start(&self->o[1], 0, sleeps_for_each, &o));
	ASSERT_EQ(1, hear(&self->o[1]));
	ASSERT_EQ(0, until_asleep(self->o[1].tid));
	EXPECT_EQ(1, sub_ctl(self->sub)->want);
	before = wakes(self->pub);
	for (n = 0; n < 20; n++) {
		ASSERT_EQ(0, put(self->pub, n));
		ASSERT_EQ(n, hear(&self->o[1]));
		ASSERT_EQ(0, until_asleep(self->o[1].tid));
	}
	EXPECT_EQ(20, wakes(self->pub) - before);
	ASSERT_EQ(0, put(self->pub, 1000));
	ASSERT_EQ(1000, hear(&self->o[1]));
	EXPECT_EQ(0, other_end(&self->o[1]));
}

/* One that lies and lives keeps nobody from being woken. */
TEST_F(topic_wants, sleepers_are_woken_beside_a_wrong_word)
{
	static struct shmipc_sub_opts o[2] = {
		{ sizeof(o[0]), .spin_ns = SHMIPC_SPIN_NEVER },
		{ sizeof(o[0]), .stride = 3, .stride_at = 1, .spin_ns = SHMIPC_SPIN_NEVER },
	};
	uint64_t n;
	int i;

	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, NULL));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, other_start(&self->o[i], 0, sleeps_for_each, &o[i]));
		ASSERT_EQ(1, hear(&self->o[i]));
	}
	for (n = 0; n < 60; n++) {
		for (i = 0; i < 2; i++)
			ASSERT_EQ(0, until_asleep(self->o[i].tid));
		self->sub->rx.line->wants = FAR - n;
		sub_ctl(self->sub)->want = n % 2 ? FAR : UINT64_MAX;
		ASSERT_EQ(0, put(self->pub, n));
		ASSERT_EQ(n, hear(&self->o[0]));
		if (n % 3 == 1)
			ASSERT_EQ(n, hear(&self->o[1]));
	}
	for (; n < 62; n++)	/* 61 is for both */
		ASSERT_EQ(0, put(self->pub, 1005 + n));
	EXPECT_EQ(1065, hear(&self->o[0]));
	EXPECT_EQ(1066, hear(&self->o[1]));
	EXPECT_EQ(0, other_end(&self->o[0]));
	EXPECT_EQ(0, other_end(&self->o[1]));
}

/* The publishers' word: for what they sleep. */

static int is_slow(struct other *me, void *arg)
{
	struct shmipc_sub_opts o = sub_opts(SHMIPC_START_NEW, SHMIPC_POLICY_LOSSLESS);
	struct shmipc_sub *sub;
	uint64_t n = 0, upto;

	CHECK(!shmipc_sub_open(&sub, TOPIC, NULL, &o));
	tell(me, 1);
	while ((upto = hear(me)) > n)
		for (; n < upto; n++)
			CHECK(get_until(sub, SOON) == (int64_t)n);
	shmipc_sub_close(sub);
	return 0;
}

static int waits_for_room(struct other *me, void *arg)
{
	struct shmipc_pub_opts o = { sizeof(o), .spin_ns = SHMIPC_SPIN_NEVER };
	struct shmipc_pub_stat st = SHMIPC_PUB_STAT();
	struct shmipc_pub *pub;
	uint64_t n = 0;

	CHECK(!shmipc_pub_open(&pub, TOPIC, NULL, &o));
	while (!put(pub, n))
		n++;
	tell(me, n);
	CHECK(!put_until(pub, n, SOON));
	CHECK(!shmipc_pub_get_stat(pub, &st));
	tell(me, st.ticks);
	shmipc_pub_close(pub);
	return 0;
}

TEST_F(topic_wants, a_publisher_corrects_what_publishers_are_said_to_want)
{
	uint64_t n;

	if (env_on_dev())
		SKIP(return, "on the device only publishers write that word");
	shmipc_pub_close(self->pub);
	self->pub = NULL;
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, &self->t, NULL));
	((struct shmipc_pub_ctl *)sub_priv(self->sub)->t.seg->log.pub)->room_want = FAR;
	ASSERT_EQ(0, other_start(&self->o[0], 0, is_slow, NULL));
	ASSERT_EQ(1, hear(&self->o[0]));
	ASSERT_EQ(0, other_start(&self->o[1], 0, waits_for_room, NULL));
	n = hear(&self->o[1]);
	ASSERT_EQ(0, until_asleep(self->o[1].tid));
	EXPECT_GE(n, sub_priv(self->sub)->t.seg->log.pub->room_want);
	tell(&self->o[0], n);
	EXPECT_GE(2, hear(&self->o[1]));
	EXPECT_EQ(0, other_end(&self->o[1]));
	tell(&self->o[0], n + 1);
	tell(&self->o[0], 0);
	EXPECT_EQ(0, other_end(&self->o[0]));
}

TEST_HARNESS_MAIN
