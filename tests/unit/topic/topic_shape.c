// SPDX-License-Identifier: MIT
/* topic_shape: the first end that publishes or states options decides the topic's shape */
#include "topic_ends.h"

#define LATER	shmipc_deadline_in(300000000)	/* short: for messages that must not arrive */

FIXTURE(topic_shape) {
	struct env env;
	struct shmipc_topic_opts t;	/* no field has its default */
	struct shmipc_pub *pub;
	struct shmipc_sub *sub, *sub2;
	struct other o[8];
};

FIXTURE_SETUP(topic_shape)
{
	env_set_up(&self->env);
	self->t = SHMIPC_TOPIC_OPTS(.publishers = 8, .subscribers = 32, .history = 40, .inline_bytes = 240,
				    .pool_bytes = 256 * 1024, .meta = SHMIPC_META_ALL, .mode = 0660);
}

FIXTURE_TEARDOWN(topic_shape)
{
	shmipc_sub_close(self->sub);
	shmipc_sub_close(self->sub2);
	shmipc_pub_close(self->pub);
	env_tear_down(&self->env);
}

static int says(const char *a, const char *b)
{
	return strstr(shmipc_error_text(), a) && strstr(shmipc_error_text(), b);
}

static struct shmipc_segment_info info_of(const struct shmipc_sub *sub)
{
	struct shmipc_segment_info i = SHMIPC_SEGMENT_INFO();

	(void)shmipc_sub_get_info(sub, &i);
	return i;
}

static struct shmipc_topic_stat look(void)
{
	struct shmipc_topic_stat st = SHMIPC_TOPIC_STAT();

	(void)shmipc_topic_look(TOPIC, &st);
	return st;
}

TEST_F(topic_shape, a_subscriber_without_options_decides_nothing)
{
	struct shmipc_topic_stat st;
	struct shmipc_msg m;

	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, NULL));
	ASSERT_EQ(0, shmipc_sub_open(&self->sub2, TOPIC, &SHMIPC_TOPIC_OPTS(.flags = SHMIPC_NO_CREATE), NULL));
	EXPECT_EQ(-EAGAIN, get(self->sub));
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL)) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, put_range(self->pub, 0, 3));
	EXPECT_EQ(0, get_range(self->sub, 0, 2));
	ASSERT_EQ(0, shmipc_sub_take(self->sub, &m, 0));
	EXPECT_EQ(2, m.seq);
	EXPECT_NE(0, m.wall_ns);
	shmipc_sub_release(self->sub, &m);
	EXPECT_EQ(0, get_range(self->sub2, 0, 3));
	EXPECT_EQ(0660, info_of(self->sub).mode);
	st = look();
	EXPECT_EQ(256 * 1024, st.opts.pool_bytes);
	EXPECT_EQ(40, st.opts.history);
	EXPECT_EQ(2, st.nsubs);
	EXPECT_EQ(0, sub_stat(self->sub).lost);
}

TEST_F(topic_shape, the_same_options_keep_the_segment)
{
	struct shmipc_segment_info before, after;

	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, NULL));
	before = info_of(self->sub);
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &SHMIPC_TOPIC_OPTS(.history = 896), NULL));
	ASSERT_EQ(0, put(self->pub, 0));
	EXPECT_EQ(0, get(self->sub));
	after = info_of(self->sub);
	EXPECT_EQ(0, memcmp(before.id, after.id, sizeof(before.id)));
	shmipc_pub_close(self->pub);
	/* From then on its shape is final. */
	EXPECT_EQ(-EINVAL, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	EXPECT_TRUE(says(TOPIC, "EINVAL"));
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, NULL, NULL));
}

TEST_F(topic_shape, a_publisher_without_options_takes_the_defaults)
{
	struct shmipc_pub *other;

	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, NULL));
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, NULL, NULL));
	EXPECT_EQ(-EINVAL, shmipc_pub_open(&other, TOPIC, &self->t, NULL));
	EXPECT_EQ(-EINVAL, shmipc_sub_open(&self->sub2, TOPIC, &self->t, NULL));
	ASSERT_EQ(0, put(self->pub, 0));
	EXPECT_EQ(0, get(self->sub));
}

/* Users who share a topic all state its mode and its group. */
TEST_F(topic_shape, a_subscriber_with_only_a_mode_and_a_group_leaves_the_rest_to_the_publisher)
{
	struct shmipc_topic_opts t = SHMIPC_TOPIC_OPTS(.flags = SHMIPC_CHGRP, .mode = 0660, .gid = getegid());

	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, &t, NULL));
	EXPECT_EQ(0660, info_of(self->sub).mode);
	EXPECT_EQ(1, look().provisional);
	ASSERT_EQ(0, shmipc_sub_open(&self->sub2, TOPIC, &SHMIPC_TOPIC_OPTS(.mode = 0640), NULL));
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL)) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, put(self->pub, 0));
	EXPECT_EQ(0, get(self->sub));
	EXPECT_EQ(256 * 1024, look().opts.pool_bytes);
	/* What it did state is not ignored. */
	EXPECT_EQ(-EINVAL, get(self->sub2));
	EXPECT_TRUE(says(TOPIC, "mode 640, it was created with 660"));
}

TEST_F(topic_shape, a_subscriber_with_options_decides_too)
{
	struct shmipc_topic_opts t = self->t;

	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, NULL));
	ASSERT_EQ(0, shmipc_sub_open(&self->sub2, TOPIC, &self->t, NULL));
	t.pool_bytes *= 2;
	EXPECT_EQ(-EINVAL, shmipc_pub_open(&self->pub, TOPIC, &t, NULL));
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, NULL, NULL));
	ASSERT_EQ(0, put_range(self->pub, 0, 5));
	EXPECT_EQ(0, get_range(self->sub, 0, 5));
	EXPECT_EQ(0, get_range(self->sub2, 0, 5));
	EXPECT_EQ(2, look().nsubs);
}

TEST_F(topic_shape, a_subscriber_with_the_defaults_as_options_makes_it_final)
{
	struct shmipc_segment_info before, after;

	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, NULL));
	before = info_of(self->sub);
	ASSERT_EQ(0, shmipc_sub_open(&self->sub2, TOPIC, &SHMIPC_TOPIC_OPTS(.history = 896), NULL));
	after = info_of(self->sub2);
	EXPECT_EQ(0, memcmp(before.id, after.id, sizeof(before.id)));
	EXPECT_EQ(-EINVAL, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, NULL, NULL));
	ASSERT_EQ(0, put(self->pub, 0));
	EXPECT_EQ(0, get(self->sub));
}

/* Subscribers of each kind, asleep in each kind of call. */

enum { RECV, TAKE, WAIT, ANY };

struct kind {
	int call;
	uint64_t spin_ns;
	struct shmipc_sub_opts o;
};

static int receives(struct other *me, void *arg)
{
	const struct kind *k = arg;
	struct shmipc_sub *sub[2];
	uint64_t n = 0, next = k->o.stride_at, every = k->o.stride ? k->o.stride : 1;
	size_t first = 0;
	int64_t got;
	int ret = 0;

	CHECK(shmipc_sub_open(&sub[0], TOPIC, NULL, &k->o) == 0);
	CHECK(shmipc_sub_open(&sub[1], "never", NULL, NULL) == 0);
	tell(me, 1);
	while (n < 10) {
		if (k->call == WAIT)
			ret = shmipc_sub_wait(sub[0], SOON);
		else if (k->call == ANY)
			ret = shmipc_sub_wait_any(sub, 2, &first, SOON);
		CHECK(!ret && first == 0);
		got = k->call == TAKE ? take_until(sub[0], SOON) : get_until(sub[0], SOON);
		CHECK(got == (int64_t)next);
		next += every;
		n++;
	}
	CHECK(sub_stat(sub[0]).lost == 0);
	shmipc_sub_close(sub[0]);
	shmipc_sub_close(sub[1]);
	return 0;
}

static const struct kind kinds[] = {
	{ RECV, 0, { sizeof(struct shmipc_sub_opts), .policy = SHMIPC_POLICY_LOSSY } },
	{ TAKE, 0, { sizeof(struct shmipc_sub_opts), .policy = SHMIPC_POLICY_LOSSLESS } },
	{ WAIT, 0, { sizeof(struct shmipc_sub_opts), .policy = SHMIPC_POLICY_EVICT } },
	{ ANY, 0, { sizeof(struct shmipc_sub_opts), .start = SHMIPC_START_OLDEST } },
	{ RECV, 0, { sizeof(struct shmipc_sub_opts), .stride = 3, .stride_at = 2 } },
	{ RECV, 0, { sizeof(struct shmipc_sub_opts), .spin_ns = SHMIPC_SPIN_ALWAYS } },
	{ ANY, 0, { sizeof(struct shmipc_sub_opts), .spin_ns = SHMIPC_SPIN_ALWAYS } },
	{ RECV, 0, { sizeof(struct shmipc_sub_opts), .flags = SHMIPC_SUB_READ_ONLY } },
};

static int put_all(struct shmipc_pub *pub, uint64_t n)
{
	return put_range(pub, 0, n);
}

/* All of them wait; then a publisher opens @t. */
static int all_wait(struct __test_metadata *_metadata, FIXTURE_DATA(topic_shape) *self,
		    const struct shmipc_topic_opts *t, size_t first, size_t n)
{
	size_t i;

	for (i = first; i < first + n; i++) {
		CHECK(!other_start(&self->o[i], 0, receives, (void *)(uintptr_t)&kinds[i]));
		CHECK(hear(&self->o[i]) == 1);
	}
	for (i = first; i < first + n; i++)
		if (kinds[i].o.spin_ns != SHMIPC_SPIN_ALWAYS)
			CHECK(!until_asleep(self->o[i].tid));
	CHECK(!shmipc_pub_open(&self->pub, TOPIC, t, NULL));
	CHECK(!put_all(self->pub, 30));
	for (i = first; i < first + n; i++)
		CHECK(!other_end(&self->o[i]));
	return 0;
}

TEST_F(topic_shape, sleeping_subscribers_get_everything_from_the_first_message_on)
{
	EXPECT_EQ(0, all_wait(_metadata, self, &self->t, 0, 5));
}

TEST_F(topic_shape, spinning_and_read_only_subscribers_do_too)
{
	EXPECT_EQ(0, all_wait(_metadata, self, &self->t, 5, 3));
}

TEST_F(topic_shape, they_do_too_if_the_segment_is_kept)
{
	EXPECT_EQ(0, all_wait(_metadata, self, NULL, 0, 5));
}

/* They have moved when shmipc_pub_open() returns: at once more is published than is kept. */
TEST_F(topic_shape, a_publisher_waits_until_sleeping_subscribers_have_moved)
{
	size_t i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, other_start(&self->o[i], 0, receives, (void *)(uintptr_t)&kinds[1]));
		ASSERT_EQ(1, hear(&self->o[i]));
		ASSERT_EQ(0, until_asleep(self->o[i].tid));
	}
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	EXPECT_EQ(3, look().nsubs);
	for (i = 0; i < 10; i++)
		EXPECT_EQ(0, put_until(self->pub, i, SOON));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, other_end(&self->o[i]));
}

static int goes_on_later(struct other *me, void *arg)
{
	struct timespec t = { .tv_nsec = 300000000 };

	(void)me;
	(void)nanosleep(&t, NULL);
	return kill(*(pid_t *)arg, SIGCONT);
}

/* One in a call, on a machine that is too busy to run it, is waited for longer than others. */
TEST_F(topic_shape, a_publisher_waits_for_a_sleeping_subscriber_that_is_slow)
{
	struct other *o = self->o;

	ASSERT_EQ(0, other_start(&o[0], 0, receives, (void *)(uintptr_t)&kinds[1]));
	ASSERT_EQ(1, hear(&o[0]));
	ASSERT_EQ(0, until_asleep(o[0].tid));
	ASSERT_EQ(0, kill(o[0].pid, SIGSTOP));
	ASSERT_EQ(0, other_start(&o[1], 1, goes_on_later, &o[0].pid));
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	EXPECT_EQ(1, look().nsubs);
	EXPECT_EQ(0, put_all(self->pub, 10));
	EXPECT_EQ(0, other_end(&o[1]));
	EXPECT_EQ(0, other_end(&o[0]));
}

/* A subscriber that was not in a call begins with message 0, and is told what it lost. */
static int counts(struct shmipc_sub *sub, uint64_t sent, uint64_t *ret_lost)
{
	uint64_t next = 0, from, to, lost = 0;
	int64_t got;

	while (next < sent) {
		got = get(sub);
		if (got == -ESTALE) {
			lost += shmipc_sub_lost(sub, &from, &to);
			CHECK(from == next && to > from);
			next = to;
			continue;
		}
		CHECK(got == (int64_t)next);
		next++;
	}
	CHECK(sub_stat(sub).lost == lost);
	*ret_lost = lost;
	return get(sub) == -EAGAIN ? 0 : 1;
}

TEST_F(topic_shape, a_subscriber_that_moves_late_is_told_what_it_lost)
{
	static const uint32_t policies[] = { SHMIPC_POLICY_LOSSY, SHMIPC_POLICY_LOSSLESS, SHMIPC_POLICY_EVICT };
	uint64_t lost = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(policies); i++) {
		ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, policies[i]));
		ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
		ASSERT_EQ(0, put_range(self->pub, 0, 500));
		EXPECT_EQ(0, counts(self->sub, 500, &lost)) TH_LOG("policy %u", policies[i]);
		EXPECT_LT(400, lost);
		EXPECT_GE(460, lost);
		shmipc_sub_close(self->sub);
		shmipc_pub_close(self->pub);
		self->sub = NULL;
		self->pub = NULL;
	}
}

TEST_F(topic_shape, a_loss_is_reported_before_the_next_message)
{
	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSLESS));
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &SHMIPC_TOPIC_OPTS(.history = 40), NULL));
	ASSERT_EQ(0, put_range(self->pub, 0, 500));
	EXPECT_EQ(0, shmipc_sub_wait(self->sub, SOON));
	EXPECT_EQ(-ESTALE, get(self->sub));
	EXPECT_EQ((int64_t)self->sub->rx.lost_to, get(self->sub));
}

/* As tools do. */
TEST_F(topic_shape, looking_creates_nothing)
{
	struct shmipc_topic_stat st = SHMIPC_TOPIC_STAT();

	EXPECT_EQ(-ENOENT, shmipc_topic_look(TOPIC, &st));
	EXPECT_EQ(-ENOENT, shmipc_sub_open(&self->sub, TOPIC, NULL,
					   &SHMIPC_SUB_OPTS(.flags = SHMIPC_SUB_READ_ONLY)));
	EXPECT_EQ(0, env_files(&self->env));
	EXPECT_EQ(NULL, self->sub);
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, NULL));
	st = look();
	EXPECT_EQ(1, st.provisional);
	EXPECT_EQ(1, st.nsubs);
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	EXPECT_EQ(0, look().provisional);
}

/* Callbacks and groups */

static uint64_t called;		/* calls so far, with the numbers from 0 on */

static void on_message(struct shmipc_sub *sub, const struct shmipc_msg *msg, int err, void *arg)
{
	uint64_t n = 0;

	if (!err)
		memcpy(&n, msg->ptr, sizeof(n));
	if (err || n != called)
		*(int *)arg = err ? err : -EBADMSG;
	shmipc_add_relaxed(&called, 1);
}

TEST_F(topic_shape, a_callback_moves_too)
{
	uint64_t until = SOON;
	int err = 0;

	called = 0;
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, NULL));
	ASSERT_EQ(0, shmipc_sub_start(self->sub, on_message, &err));
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	ASSERT_EQ(0, put_range(self->pub, 0, 20));
	while (shmipc_load_relaxed(&called) < 20 && now_ns() < until)
		(void)sched_yield();
	shmipc_sub_stop(self->sub);
	EXPECT_EQ(20, called);
	EXPECT_EQ(0, err);
}

TEST_F(topic_shape, a_callback_that_waits_can_be_stopped)
{
	int err = 0, i;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, NULL));
		ASSERT_EQ(0, shmipc_sub_start(self->sub, on_message, &err));
		if (i % 2)
			(void)sched_yield();
		shmipc_sub_close(self->sub);
		self->sub = NULL;
	}
	EXPECT_EQ(0, err);
}

static int works(struct other *me, void *arg)
{
	struct shmipc_sub *sub;
	uint64_t n = 0;
	int64_t got;

	CHECK(!shmipc_sub_open(&sub, TOPIC, NULL, &SHMIPC_SUB_OPTS(.group = 3,
							       .policy = SHMIPC_POLICY_LOSSLESS)));
	tell(me, 1);
	while ((got = get_until(sub, SOON)) >= 0 && got < 1000)
		n++;
	CHECK(got >= 1000);
	tell(me, n);
	shmipc_sub_close(sub);
	return 0;
}

TEST_F(topic_shape, a_group_shares_the_messages_from_the_first_on)
{
	uint64_t n = 0;
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, other_start(&self->o[i], 0, works, NULL));
		ASSERT_EQ(1, hear(&self->o[i]));
		ASSERT_EQ(0, until_asleep(self->o[i].tid));
	}
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	for (i = 0; i < 200; i++)
		ASSERT_EQ(0, put_until(self->pub, (uint64_t)i, SOON));
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, put_until(self->pub, 1000, SOON));
	for (i = 0; i < 3; i++) {
		n += hear(&self->o[i]);
		EXPECT_EQ(0, other_end(&self->o[i]));
	}
	EXPECT_EQ(200, n);
}

/* Publishers */

static int races(struct other *me, void *arg)
{
	uint64_t pool = *(const uint64_t *)arg;
	struct shmipc_pub *pub;
	int ret;

	CHECK(hear(me) == 1);
	ret = shmipc_pub_open(&pub, TOPIC, &SHMIPC_TOPIC_OPTS(.pool_bytes = pool, .publishers = 4), NULL);
	tell(me, (uint64_t)-ret);
	CHECK(!ret || (ret == -EINVAL && says("pool", "EINVAL")));
	if (!ret)
		CHECK(!put(pub, pool));
	CHECK(hear(me) == 2);	/* it stays open until all have tried */
	if (!ret)
		shmipc_pub_close(pub);
	return 0;
}

TEST_F(topic_shape, of_publishers_with_different_options_one_wins)
{
	static const uint64_t pools[] = { 256 * 1024, 512 * 1024, 1024 * 1024 };
	uint64_t err, won, pool;
	size_t i, k;

	for (k = 0; k < 30; k++) {
		ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, NULL));
		won = pool = 0;
		for (i = 0; i < 3; i++)
			ASSERT_EQ(0, other_start(&self->o[i], 0, races, (void *)(uintptr_t)&pools[i]));
		for (i = 0; i < 3; i++)
			tell(&self->o[i], 1);
		for (i = 0; i < 3; i++) {
			err = hear(&self->o[i]);
			if (!err)
				pool = pools[i];
			won += !err;
		}
		ASSERT_EQ(1, won) TH_LOG("round %zu", k);
		EXPECT_EQ((int64_t)pool, get_until(self->sub, SOON));
		EXPECT_EQ(pool, look().opts.pool_bytes);
		for (i = 0; i < 3; i++)
			tell(&self->o[i], 2);
		for (i = 0; i < 3; i++)
			ASSERT_EQ(0, other_end(&self->o[i]));
		shmipc_sub_close(self->sub);
		self->sub = NULL;
	}
}

TEST_F(topic_shape, exclusive_and_persistent_topics_take_its_name)
{
	struct shmipc_topic_opts t = self->t;

	t.flags = SHMIPC_EXCL | SHMIPC_PERSIST;
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, NULL));
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &t, NULL)) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, put(self->pub, 0));
	EXPECT_EQ(0, get(self->sub));
	shmipc_pub_close(self->pub);
	shmipc_sub_close(self->sub);
	self->sub = NULL;
	EXPECT_EQ(1, env_files(&self->env));
	EXPECT_EQ(-EEXIST, shmipc_pub_open(&self->pub, TOPIC, &t, NULL));
	self->pub = NULL;
	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_OLDEST, 0));
	EXPECT_EQ(0, get(self->sub));
	EXPECT_EQ(0, shmipc_segment_unlink(TOPIC));
}

TEST_F(topic_shape, a_subscriber_that_the_new_topic_refuses_gets_the_error)
{
	struct shmipc_topic_opts t = self->t;

	t.policies = 1u << SHMIPC_POLICY_LOSSY;
	ASSERT_EQ(0, sub_open(&self->sub, NULL, 0, SHMIPC_POLICY_LOSSLESS));
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &t, NULL));
	EXPECT_EQ(-EOPNOTSUPP, get(self->sub));
	EXPECT_EQ(-EOPNOTSUPP, get_until(self->sub, SOON));
	EXPECT_EQ(0, shmipc_sub_wait(self->sub, SOON)) TH_LOG("there is something to be told");
	EXPECT_EQ(-EOPNOTSUPP, get(self->sub));
}

/* What a publisher leaves that is killed after it has superseded the topic. */

static int supersede(struct __test_metadata *_metadata)
{
	struct shmipc_segment *seg;

	CHECK(!shmipc_segment_find(&seg, TOPIC, NULL));
	CHECK(shmipc_topic_shape(seg) == SHMIPC_SHAPE_PROVISIONAL);
	CHECK(!shmipc_topic_shape_decide(seg, SHMIPC_SHAPE_SUPERSEDED));
	CHECK(shmipc_topic_shape_decide(seg, SHMIPC_SHAPE_FINAL) == -EAGAIN);
	shmipc_segment_close(seg);
	return 0;
}

TEST_F(topic_shape, a_publisher_killed_before_the_new_name_blocks_no_process)
{
	size_t i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, other_start(&self->o[i], 0, receives, (void *)(uintptr_t)&kinds[i]));
		ASSERT_EQ(1, hear(&self->o[i]));
		ASSERT_EQ(0, until_asleep(self->o[i].tid));
	}
	ASSERT_EQ(0, supersede(_metadata));
	/* The next publisher completes the move; waiting subscribers create the topic. */
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL)) TH_LOG("%s", shmipc_error_text());
	for (i = 0; i < 30; i++)
		ASSERT_EQ(0, put_until(self->pub, i, SOON));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, other_end(&self->o[i]));
}

TEST_F(topic_shape, subscribers_create_the_new_topic_themselves)
{
	struct shmipc_segment_info before, after;
	int how;

	for (how = 0; how < 2; how++) {
		ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, NULL));
		before = info_of(self->sub);
		ASSERT_EQ(0, supersede(_metadata));
		if (how)	/* and it has removed the name already */
			ASSERT_EQ(0, shmipc_segment_unlink(TOPIC));
		EXPECT_EQ(-EAGAIN, get(self->sub)) TH_LOG("a call with deadline 0 does not wait");
		EXPECT_EQ(-ETIMEDOUT, get_until(self->sub, LATER));
		after = info_of(self->sub);
		EXPECT_NE(0, memcmp(before.id, after.id, sizeof(before.id)));
		EXPECT_EQ(1, look().nsubs);
		ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
		ASSERT_EQ(0, put(self->pub, 0));
		EXPECT_EQ(0, get(self->sub));
		shmipc_pub_close(self->pub);
		shmipc_sub_close(self->sub);
		self->pub = NULL;
		self->sub = NULL;
	}
}

TEST_F(topic_shape, a_new_subscriber_completes_the_move_too)
{
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, NULL));
	ASSERT_EQ(0, supersede(_metadata));
	EXPECT_EQ(-ENOENT, shmipc_sub_open(&self->sub2, TOPIC,
					   &SHMIPC_TOPIC_OPTS(.flags = SHMIPC_NO_CREATE), NULL));
	EXPECT_EQ(-ENOENT, shmipc_sub_open(&self->sub2, TOPIC, NULL,
					   &SHMIPC_SUB_OPTS(.flags = SHMIPC_SUB_READ_ONLY)));
	ASSERT_EQ(0, shmipc_sub_open(&self->sub2, TOPIC, NULL, NULL));
	EXPECT_EQ(-ETIMEDOUT, get_until(self->sub, LATER));
	EXPECT_EQ(2, look().nsubs);
	EXPECT_EQ(1, env_files(&self->env));
}

/* Hostile words */

TEST_F(topic_shape, a_wrong_word_does_not_end_a_topic_in_use)
{
	struct shmipc_segment_info before, after;
	struct shmipc_pub *pub;
	uint64_t w;

	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, NULL));
	ASSERT_EQ(0, put(self->pub, 0));
	EXPECT_EQ(0, get(self->sub));
	before = info_of(self->sub);
	for (w = 0; w < 5; w++) {
		log_of(self->pub)->pub->shape = w == 4 ? UINT64_MAX : w;
		ASSERT_EQ(0, shmipc_sub_open(&self->sub2, TOPIC, NULL, NULL)) TH_LOG("%d", (int)w);
		after = info_of(self->sub2);
		EXPECT_EQ(0, memcmp(before.id, after.id, sizeof(before.id)));
		ASSERT_EQ(0, shmipc_pub_open(&pub, TOPIC, NULL, NULL));
		ASSERT_EQ(0, put(pub, w + 1));
		EXPECT_EQ((int64_t)w + 1, get_until(self->sub, SOON));
		EXPECT_EQ((int64_t)w + 1, get_until(self->sub2, SOON));
		EXPECT_EQ(-ETIMEDOUT, get_until(self->sub2, shmipc_deadline_in(1000000)));
		shmipc_pub_close(pub);
		shmipc_sub_close(self->sub2);
		self->sub2 = NULL;
	}
	log_of(self->pub)->pub->shape = 0;
}

TEST_F(topic_shape, a_wrong_word_before_the_first_message_costs_at_most_a_move)
{
	uint64_t w;

	for (w = 0; w < 5; w++) {
		ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, NULL));
		ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &SHMIPC_TOPIC_OPTS(.history = 896), NULL));
		log_of(self->pub)->pub->shape = w == 4 ? UINT64_MAX : w;
		EXPECT_GT(0, get_until(self->sub, shmipc_deadline_in(2000000)));
		ASSERT_EQ(0, put(self->pub, 0));
		if (w != SHMIPC_SHAPE_SUPERSEDED)
			EXPECT_EQ(0, get_until(self->sub, SOON));
		shmipc_pub_close(self->pub);
		shmipc_sub_close(self->sub);
		self->pub = NULL;
		self->sub = NULL;
	}
}

/* A watch reports that the old topic has gone, then that the new one is there. */
TEST_F(topic_shape, a_watch_reports_the_old_and_the_new_topic)
{
	struct shmipc_event e = SHMIPC_EVENT();
	int n = 0, there = 0, err;
	uint8_t id[16] = { 0 };
	struct shmipc_watch *w;

	ASSERT_EQ(0, shmipc_watch_open(&w, TOPIC, SHMIPC_KIND_ANY, 0));
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, NULL));
	ASSERT_EQ(0, shmipc_watch_next(w, &e, SOON));
	EXPECT_EQ(SHMIPC_EVENT_APPEARED, e.type);
	memcpy(id, e.id, sizeof(id));
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	for (there = 1; n < 2; n++) {
		err = shmipc_watch_next(w, &e, SOON);
		ASSERT_EQ(0, err);
		EXPECT_EQ(there ? SHMIPC_EVENT_GONE : SHMIPC_EVENT_APPEARED, e.type);
		there = !there;
	}
	EXPECT_NE(0, memcmp(id, e.id, sizeof(id)));
	shmipc_watch_close(w);
}

static int in_child(struct other *me, void *arg)
{
	FIXTURE_DATA(topic_shape) *self = arg;
	size_t first;

	CHECK(get(self->sub) == -EINVAL);
	CHECK(shmipc_sub_wait(self->sub, SOON) == -EINVAL);
	CHECK(shmipc_sub_wait_any(&self->sub, 1, &first, SOON) == -EINVAL);
	shmipc_sub_close(self->sub);
	return 0;
}

TEST_F(topic_shape, a_forked_child_has_no_subscriber_before_or_after_the_move)
{
	int i;

	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, NULL));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, other_start(&self->o[0], 0, in_child, self));
		EXPECT_EQ(0, other_end(&self->o[0]));
		if (!i)
			ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
		ASSERT_EQ(0, put(self->pub, (uint64_t)i));
		EXPECT_EQ(i, get(self->sub));
	}
}

TEST_HARNESS_MAIN
