// SPDX-License-Identifier: MIT
/* topic_group: subscribers that compete: each message goes to one of them */
#include <sys/mman.h>

#include "topic_ends.h"

FIXTURE(topic_group) {
	struct env env;
	struct shmipc_topic_opts t;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub[3];
	uint64_t n;
};

/* How often each message was received, by all processes. */
static uint32_t *seen;

FIXTURE_VARIANT(topic_group) {
	uint32_t policy;
};

FIXTURE_VARIANT_ADD(topic_group, lossy) { SHMIPC_POLICY_LOSSY };
FIXTURE_VARIANT_ADD(topic_group, lossless) { SHMIPC_POLICY_LOSSLESS };
FIXTURE_VARIANT_ADD(topic_group, evict) { SHMIPC_POLICY_EVICT };

static int join(struct shmipc_sub **ret, uint32_t policy, uint32_t group, uint32_t start)
{
	struct shmipc_sub_opts o = sub_opts(start, policy);

	o.group = group;
	return shmipc_sub_open(ret, TOPIC, NULL, &o);
}

FIXTURE_SETUP(topic_group)
{
	int i;

	env_set_up(&self->env);
	seen = (uint32_t *)mmap(NULL, 8192 * sizeof(*seen), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, seen);
	self->t = topic_small();
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL))
		TH_LOG("%s", shmipc_error_text());
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, join(&self->sub[i], variant->policy, 1, 0)) TH_LOG("%s", shmipc_error_text());
	}
}

FIXTURE_TEARDOWN(topic_group)
{
	int i;

	for (i = 0; i < 3; i++)
		shmipc_sub_close(self->sub[i]);
	shmipc_pub_close(self->pub);
	env_tear_down(&self->env);
}

TEST_F(topic_group, each_message_goes_to_one)
{
	struct rng r = { 8 };
	uint64_t i;

	for (i = 0; i < 1000; i++) {
		ASSERT_EQ(0, put(self->pub, 2 * i));
		ASSERT_EQ(0, put(self->pub, 2 * i + 1));
		ASSERT_EQ((int64_t)(2 * i), get(self->sub[rng_below(&r, 3)]));
		ASSERT_EQ((int64_t)(2 * i + 1), take_until(self->sub[rng_below(&r, 3)], 0));
		ASSERT_EQ(-EAGAIN, get(self->sub[rng_below(&r, 3)]));
	}
	EXPECT_EQ(2000, sub_stat(self->sub[0]).received + sub_stat(self->sub[1]).received +
			sub_stat(self->sub[2]).received);
}

TEST_F(topic_group, other_groups_and_single_subscribers_get_all)
{
	struct shmipc_sub *two, *lone;

	ASSERT_EQ(0, join(&two, variant->policy, 64, 0));
	ASSERT_EQ(0, join(&lone, variant->policy, 0, 0));
	ASSERT_EQ(0, put_range(self->pub, 0, 30));
	EXPECT_EQ(0, get_range(two, 0, 30));
	EXPECT_EQ(0, get_range(lone, 0, 30));
	EXPECT_EQ(0, get_range(self->sub[1], 0, 10));
	EXPECT_EQ(0, get_range(self->sub[2], 10, 30));
	shmipc_sub_close(two);
	shmipc_sub_close(lone);
}

/* It received once, got -EAGAIN, and does not call again. */
TEST_F(topic_group, an_idle_member_does_not_block_publishers)
{
	uint64_t i;

	EXPECT_EQ(-EAGAIN, get(self->sub[0]));
	EXPECT_EQ(-ETIMEDOUT, get_until(self->sub[1], shmipc_deadline_in(1000000)));
	for (i = 0; i < 500; i++) {
		ASSERT_EQ(0, put(self->pub, i)) TH_LOG("%d", (int)i);
		ASSERT_EQ((int64_t)i, get(self->sub[2])) TH_LOG("%d", (int)i);
	}
}

/* A group continues where it stopped; messages that are gone are reported as lost. */
TEST_F(topic_group, continues_where_it_stopped)
{
	uint64_t from, to, oldest, next;
	int i;

	ASSERT_EQ(0, put_range(self->pub, 0, 20));
	ASSERT_EQ(0, get_range(self->sub[0], 0, 5));
	for (i = 0; i < 3; i++) {
		shmipc_sub_close(self->sub[i]);
		self->sub[i] = NULL;
	}
	ASSERT_EQ(0, join(&self->sub[0], variant->policy, 1, SHMIPC_START_NEW));
	ASSERT_EQ(0, get_range(self->sub[0], 5, 15));
	shmipc_sub_close(self->sub[0]);
	self->sub[0] = NULL;
	ASSERT_EQ(0, put_range(self->pub, 20, 321)) TH_LOG("without members");
	ASSERT_EQ(0, join(&self->sub[0], variant->policy, 1, SHMIPC_START_NEW));
	ASSERT_EQ(0, join(&self->sub[1], variant->policy, 1, SHMIPC_START_NEW));
	EXPECT_EQ(0, put_range(self->pub, 321, 328)) TH_LOG("lost messages do not block");
	ASSERT_EQ(0, shmipc_sub_range(self->sub[0], &oldest, &next));
	ASSERT_EQ(-ESTALE, get(self->sub[0]));
	EXPECT_EQ(sub_stat(self->sub[0]).lost, shmipc_sub_lost(self->sub[0], &from, &to));
	EXPECT_EQ(15, from);
	EXPECT_EQ(oldest, to);
	EXPECT_EQ(0, get_range(self->sub[1], to, to + 5)) TH_LOG("reported once, to one of them");
	EXPECT_EQ(0, get_range(self->sub[0], to + 5, 328));
	for (i = 328; i < 600; i++) {
		ASSERT_EQ(0, put(self->pub, (uint64_t)i));
		ASSERT_EQ(i, get(self->sub[i % 2]));
	}
}

TEST_F(topic_group, behind)
{
	uint64_t n = 0, from, to;

	while (n < 300 && !put(self->pub, n))
		n++;
	if (variant->policy == SHMIPC_POLICY_LOSSY) {
		EXPECT_EQ(300, n);
		EXPECT_EQ(-ESTALE, get(self->sub[0]));
		(void)shmipc_sub_lost(self->sub[0], &from, &to);
		EXPECT_EQ(0, from);
		EXPECT_EQ(0, get_range(self->sub[1], to, 300));
		return;
	}
	EXPECT_EQ(64, n);
	EXPECT_EQ(0, get_range(self->sub[2], 0, 64));
	EXPECT_EQ(-EAGAIN, get(self->sub[1]));
	EXPECT_EQ(0, put(self->pub, 64));
	EXPECT_EQ(64, get(self->sub[1]));
}

TEST_F(topic_group, too_small_a_buffer_keeps_the_message)
{
	unsigned char buf[8];
	size_t len = 0;

	ASSERT_EQ(0, put_len(self->pub, 0, 100));
	ASSERT_EQ(0, put_len(self->pub, 1, 60));
	EXPECT_EQ(-EMSGSIZE, shmipc_sub_recv(self->sub[0], buf, 8, &len, 0));
	EXPECT_EQ(100, len);
	EXPECT_EQ(60, get_len(self->sub[1], 1, 100));
	EXPECT_EQ(100, get_len(self->sub[0], 0, 100));
	EXPECT_EQ(-EAGAIN, get(self->sub[0]));
}

TEST_F(topic_group, holds_are_each_members_own)
{
	struct shmipc_msg a, b;
	uint64_t i;

	ASSERT_EQ(0, put_len(self->pub, 0, 5000));
	ASSERT_EQ(0, put_len(self->pub, 1, 5000));
	ASSERT_EQ(0, shmipc_sub_take(self->sub[0], &a, 0));
	ASSERT_EQ(0, shmipc_sub_take(self->sub[1], &b, 0));
	for (i = 2; i < 500; i++) {
		ASSERT_EQ(0, put_len(self->pub, i, 5000));
		ASSERT_EQ(5000, get_len(self->sub[2], i, 5000));
	}
	EXPECT_TRUE(msg_is(&a, 0, 5000));
	EXPECT_TRUE(msg_is(&b, 1, 5000));
	shmipc_sub_release(self->sub[0], &a);
	shmipc_sub_release(self->sub[1], &b);
}

/* Members are processes; the messages that they received are counted. */
static int member(struct other *me, void *arg)
{
	struct shmipc_sub *sub;
	int64_t n;

	CHECK(join(&sub, (uint32_t)(uintptr_t)arg, 1, 0) == 0);
	tell(me, 1);
	for (;;) {
		n = get_until(sub, SOON);
		CHECK(n >= 0 || n == -ESTALE);
		if (n == 1 << 30)
			break;
		if (n >= 0)
			__atomic_fetch_add(&seen[n], 1, __ATOMIC_RELAXED);
	}
	shmipc_sub_close(sub);
	return 0;
}

TEST_F(topic_group, processes_get_each_message_once)
{
	struct other o[4];
	uint64_t i;
	int j;

	if (variant->policy == SHMIPC_POLICY_LOSSY)
		SKIP(return, "lossy subscribers may lose messages");
	for (j = 0; j < 3; j++) {
		shmipc_sub_close(self->sub[j]);
		self->sub[j] = NULL;
	}
	self->t.evict_ns = 0;
	for (j = 0; j < 4; j++) {
		ASSERT_EQ(0, other_start(&o[j], 0, member, (void *)(uintptr_t)SHMIPC_POLICY_LOSSLESS));
		ASSERT_EQ(1, hear(&o[j]));
	}
	for (i = 0; i < 3000; i++) {
		ASSERT_EQ(0, put_until(self->pub, i, SOON));
	}
	for (j = 0; j < 4; j++) {
		ASSERT_EQ(0, put_until(self->pub, 1 << 30, SOON));
	}
	for (j = 0; j < 4; j++) {
		EXPECT_EQ(0, other_end(&o[j]));
	}
	for (i = 0; i < 3000; i++) {
		ASSERT_EQ(1, seen[i]) TH_LOG("message %d", (int)i);
	}
}

/* A member killed at any moment loses at most the message that it is receiving. */
TEST_F(topic_group, killed_members_do_not_block_publishers)
{
	uint64_t i = 0, missing = 0;
	struct rng r = { 17 };
	struct other o;
	int64_t n;
	int k, dead = 0;

	for (k = 0; k < 12; k++) {
		ASSERT_EQ(0, other_start(&o, 0, member, (void *)(uintptr_t)variant->policy));
		ASSERT_EQ(1, hear(&o));
		for (n = (int64_t)rng_below(&r, 300) + 20; n; n--) {
			ASSERT_EQ(0, put_until(self->pub, i, SOON));
			i++;
			if (rng_chance(&r, 3)) {
				int64_t is = get(self->sub[0]);

				if (is >= 0)
					seen[is]++;
			}
		}
		EXPECT_EQ(0, kill(o.pid, SIGKILL));
		EXPECT_EQ(256 + SIGKILL, other_end(&o));
		dead++;
	}
	while ((n = get_until(self->sub[1], 0)) != -EAGAIN) {
		ASSERT_TRUE(n >= 0 || (n == -ESTALE && variant->policy == SHMIPC_POLICY_LOSSY)) TH_LOG("%d", (int)n);
		if (n >= 0)
			seen[n]++;
	}
	for (k = 0; k < (int)i; k++) {
		ASSERT_LE(seen[k], 1) TH_LOG("message %d", k);
		missing += !seen[k];
	}
	if (variant->policy != SHMIPC_POLICY_LOSSY) {
		EXPECT_LE(missing, (uint64_t)dead);
	}
}

/* All members sleep; each message wakes one, which receives it. */
static int takes_one(struct other *me, void *arg)
{
	tell(me, (uint64_t)get_until(arg, SOON));
	return 0;
}

TEST_F(topic_group, sleepers_are_woken)
{
	struct other o[3];
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, other_start(&o[i], 1, takes_one, self->sub[i]));
		ASSERT_EQ(0, until_asleep(o[i].tid));
	}
	ASSERT_EQ(0, put_range(self->pub, 0, 3));
	self->n = 0;
	for (i = 0; i < 3; i++) {
		self->n += 1u << hear(&o[i]);
		EXPECT_EQ(0, other_end(&o[i]));
	}
	EXPECT_EQ(7, self->n);
}

TEST_F(topic_group, options_that_exclude_a_group_are_refused)
{
	struct shmipc_sub_opts o = sub_opts(0, variant->policy);
	struct shmipc_sub *sub;

	o.group = 1;
	o.stride = 2;
	EXPECT_EQ(-EINVAL, shmipc_sub_open(&sub, TOPIC, NULL, &o));
	o.stride = 0;
	o.iter = SHMIPC_ITER_NEWEST;
	EXPECT_EQ(-EINVAL, shmipc_sub_open(&sub, TOPIC, NULL, &o));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "group"));
	o.iter = 0;
	o.flags = SHMIPC_SUB_READ_ONLY;
	EXPECT_EQ(-EINVAL, shmipc_sub_open(&sub, TOPIC, NULL, &o));
	o.flags = 0;
	o.group = 65;
	EXPECT_EQ(-EINVAL, shmipc_sub_open(&sub, TOPIC, NULL, &o));
}

TEST_HARNESS_MAIN
