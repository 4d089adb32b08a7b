// SPDX-License-Identifier: MIT
/*
 * topic_fence: a publisher that is stopped between claim and commit is cut off, with fence_ns
 *
 * On mem the option is refused.
 */
#include <fcntl.h>
#include <sys/uio.h>
#include "topic_stop.h"

#define FENCE_NS	UINT64_C(200000000)

/* What the publisher is told to do. PINS: a pipe keeps one of its pages. */
enum { ONE, BATCH, LOAN, PINS, END };

static int loan(struct shmipc_pub *pub)
{
	struct shmipc_loan l;

	CHECK(!shmipc_pub_loan(pub, 3000, NULL, &l, 0));
	memset(l.ptr, 0, 3000);
	CHECK(!protect(pub));
	return shmipc_pub_publish(pub, &l, 3000, 0);
}

static int pins(struct shmipc_pub *pub)
{
	struct iovec v = { shmipc_tlog_entry(log_of(pub), 0), 8 };
	int to[2];

	CHECK(!pipe(to));
	CHECK(vmsplice(to[1], &v, 1, 0) == 8);
	CHECK(!protect(pub));
	return put(pub, 7000);
}

static int stops(struct other *me, void *arg)
{
	struct shmipc_pub *pub;
	uint64_t what;
	int ret;

	CHECK(!fault_stops());
	CHECK(!shmipc_pub_open(&pub, TOPIC, arg, NULL));
	tell(me, 1);
	while ((what = hear(me)) < END) {
		if (what < LOAN)
			CHECK(!protect(pub));
		ret = what == ONE ? put(pub, 7000) : what == BATCH ? batch(pub) :
		      what == LOAN ? loan(pub) : pins(pub);
		tell(me, (uint64_t)-ret);
	}
	shmipc_pub_close(pub);
	return 0;
}

FIXTURE(topic_fence) {
	struct env env;
	struct shmipc_topic_opts t;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub, *other_sub;
	struct other child;
};

FIXTURE_SETUP(topic_fence)
{
	env_set_up(&self->env);
	self->t = topic_small();
	self->t.fence_ns = FENCE_NS;
	self->t.mode = 0666;
}

FIXTURE_TEARDOWN(topic_fence)
{
	shmipc_sub_close(self->other_sub);
	shmipc_sub_close(self->sub);
	shmipc_pub_close(self->pub);
	env_tear_down(&self->env);
}

#define NEED_DEV()	if (!env_on_dev()) SKIP(return, "only the device can fence")

/* A publisher of ours, a subscriber, and the publisher that will be stopped. */
static int begin(FIXTURE_DATA(topic_fence) *self, uint32_t policy, uint32_t group)
{
	struct shmipc_sub_opts o = sub_opts(SHMIPC_START_NEW, policy);

	o.group = group;
	if (shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL) ||
	    shmipc_sub_open(&self->sub, TOPIC, &self->t, &o))
		return -1;
	return other_start(&self->child, 0, stops, &self->t) || hear(&self->child) != 1 ? -1 : 0;
}

/* It was cut off: it gets SIGBUS when it continues. */
static int ends_by_sigbus(struct other *child)
{
	int ret;

	(void)kill(child->pid, SIGCONT);
	ret = other_end(child);
	return ret == 256 + SIGBUS ? 0 : ret;
}

static int end(struct other *child)
{
	tell(child, END);
	return other_end(child);
}

FIXTURE(fence_kinds) {
	FIXTURE_DATA(topic_fence) d;
};

FIXTURE_VARIANT(fence_kinds) {
	uint32_t policy, group;
	uint64_t what, count;
};

FIXTURE_VARIANT_ADD(fence_kinds, lossy) { SHMIPC_POLICY_LOSSY, 0, ONE, 1 };
FIXTURE_VARIANT_ADD(fence_kinds, lossless) { SHMIPC_POLICY_LOSSLESS, 0, ONE, 1 };
FIXTURE_VARIANT_ADD(fence_kinds, group) { SHMIPC_POLICY_LOSSLESS, 1, ONE, 1 };
FIXTURE_VARIANT_ADD(fence_kinds, batch) { SHMIPC_POLICY_LOSSLESS, 0, BATCH, 2 };
FIXTURE_VARIANT_ADD(fence_kinds, loan) { SHMIPC_POLICY_LOSSY, 0, LOAN, 1 };

FIXTURE_SETUP(fence_kinds)
{
	topic_fence_setup(_metadata, &self->d, NULL);
	if (env_on_dev())
		ASSERT_EQ(0, begin(&self->d, variant->policy, variant->group)) TH_LOG("%s", shmipc_error_text());
}

FIXTURE_TEARDOWN(fence_kinds)
{
	topic_fence_teardown(_metadata, &self->d, NULL);
}

/* The subscriber that waits for it does something about it. */
TEST_F(fence_kinds, a_subscriber_goes_on)
{
	FIXTURE_DATA(topic_fence) *d = &self->d;
	uint64_t began;

	NEED_DEV();
	ASSERT_EQ(0, stop(&d->child, variant->what));
	ASSERT_EQ(0, put(d->pub, 5));
	began = now_ns();
	ASSERT_EQ(5, get_until(d->sub, SOON));
	EXPECT_LE(FENCE_NS, now_ns() - began);
	EXPECT_EQ(variant->count, sub_stat(d->sub).aborted);
	EXPECT_EQ(1, sub_stat(d->sub).fenced);
	EXPECT_EQ(0, sub_stat(d->sub).fence_err);
	ASSERT_EQ(0, put(d->pub, 6));
	ASSERT_EQ(6, get_until(d->sub, SOON));
	EXPECT_EQ(0, ends_by_sigbus(&d->child));
	ASSERT_EQ(0, put(d->pub, 7));
	ASSERT_EQ(7, get_until(d->sub, SOON));
}

TEST_F(fence_kinds, in_time_it_is_published)
{
	FIXTURE_DATA(topic_fence) *d = &self->d;

	NEED_DEV();
	ASSERT_EQ(0, stop(&d->child, variant->what));
	ASSERT_EQ(0, put(d->pub, 5));
	EXPECT_EQ(-EAGAIN, get(d->sub));
	ASSERT_EQ(0, go_on(&d->child));
	ASSERT_LE(0, take_until(d->sub, SOON));
	if (variant->count == 2)
		ASSERT_EQ(7002, get(d->sub));
	ASSERT_EQ(5, get(d->sub));
	EXPECT_EQ(0, sub_stat(d->sub).fenced);
	ASSERT_EQ(0, end(&d->child));
}

/* Publishers go around the log again and again; the messages are aborted once. */
TEST_F(fence_kinds, publishers_go_on)
{
	FIXTURE_DATA(topic_fence) *d = &self->d;
	uint64_t i;

	NEED_DEV();
	ASSERT_EQ(0, stop(&d->child, variant->what));
	for (i = 0; i < LAPS * ENTRIES; i++) {
		ASSERT_EQ(0, put_until(d->pub, i, SOON)) TH_LOG("message %lu", (unsigned long)i);
		/* So that the subscriber is not in the way. */
		if (i >= 32 && variant->policy == SHMIPC_POLICY_LOSSLESS)
			ASSERT_EQ((int64_t)i - 32, get_until(d->sub, SOON));
	}
	EXPECT_EQ(variant->policy == SHMIPC_POLICY_LOSSY, pub_stat(d->pub).fenced);
	EXPECT_EQ(1, pub_stat(d->pub).fenced + sub_stat(d->sub).fenced);
	EXPECT_EQ(variant->count, aborted(d->pub));
	EXPECT_EQ(0, ends_by_sigbus(&d->child));
	ASSERT_EQ(0, put_until(d->pub, i, SOON));
}

/* Its slot is free: another publisher takes it while the process is still stopped. */
TEST_F(topic_fence, its_slot_is_free)
{
	struct shmipc_pub *second;

	NEED_DEV();
	self->t.publishers = 2;
	ASSERT_EQ(0, begin(self, SHMIPC_POLICY_LOSSY, 0));
	ASSERT_EQ(0, stop(&self->child, ONE));
	ASSERT_EQ(0, put(self->pub, 5));
	EXPECT_EQ(-EBUSY, shmipc_pub_open(&second, TOPIC, &self->t, NULL));
	ASSERT_EQ(5, get_until(self->sub, SOON));
	ASSERT_EQ(0, shmipc_pub_open(&second, TOPIC, &self->t, NULL)) TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(0, ends_by_sigbus(&self->child));
	ASSERT_EQ(0, put(second, 6));
	ASSERT_EQ(6, get_until(self->sub, SOON));
	shmipc_pub_close(second);
}

TEST_F(topic_fence, nobody_waits_for_what_was_claimed_last)
{
	NEED_DEV();
	ASSERT_EQ(0, begin(self, SHMIPC_POLICY_LOSSY, 0));
	ASSERT_EQ(0, stop(&self->child, ONE));
	EXPECT_EQ(-ETIMEDOUT, get_until(self->sub, shmipc_deadline_in(3 * FENCE_NS)));
	EXPECT_EQ(0, sub_stat(self->sub).fenced);
	ASSERT_EQ(0, go_on(&self->child));
	ASSERT_EQ(7000, get(self->sub));
	ASSERT_EQ(0, end(&self->child));
}

TEST_F(topic_fence, a_read_only_subscriber_leaves_it_to_others)
{
	struct shmipc_sub_opts o = sub_opts(SHMIPC_START_NEW, SHMIPC_POLICY_LOSSY);

	NEED_DEV();
	o.flags = SHMIPC_SUB_READ_ONLY;
	ASSERT_EQ(0, begin(self, SHMIPC_POLICY_LOSSY, 0));
	ASSERT_EQ(0, shmipc_sub_open(&self->other_sub, TOPIC, NULL, &o)) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, stop(&self->child, ONE));
	ASSERT_EQ(0, put(self->pub, 5));
	EXPECT_EQ(-ETIMEDOUT, get_until(self->other_sub, shmipc_deadline_in(3 * FENCE_NS)));
	ASSERT_EQ(5, get_until(self->sub, SOON));
	ASSERT_EQ(5, get_until(self->other_sub, SOON));
	EXPECT_EQ(0, ends_by_sigbus(&self->child));
}

/* Another user may subscribe, but not cut off: it waits, says why, and goes on with the others. */
static int another_user(struct other *me, void *arg)
{
	struct shmipc_sub *sub;

	CHECK(!setresgid(1000, 1000, 1000) && !setresuid(1000, 1000, 1000));
	CHECK(!shmipc_sub_open(&sub, TOPIC, arg, NULL));
	tell(me, 1);
	CHECK(hear(me) == 1);
	CHECK(get_until(sub, shmipc_deadline_in(3 * FENCE_NS)) == -ETIMEDOUT);
	CHECK(sub_stat(sub).fence_err == -EACCES && !sub_stat(sub).fenced);
	tell(me, 2);
	CHECK(get_until(sub, SOON) == 5);
	CHECK(sub_stat(sub).aborted == 1);
	shmipc_sub_close(sub);
	return 0;
}

TEST_F(topic_fence, an_end_that_may_not_fence_waits_for_one_that_may)
{
	struct other user;

	NEED_DEV();
	if (geteuid())
		SKIP(return, "only root can become another user");
	ASSERT_EQ(0, begin(self, SHMIPC_POLICY_LOSSY, 0));
	ASSERT_EQ(0, other_start(&user, 0, another_user, &self->t));
	ASSERT_EQ(1, hear(&user));
	ASSERT_EQ(0, stop(&self->child, ONE));
	ASSERT_EQ(0, put(self->pub, 5));
	tell(&user, 1);
	ASSERT_EQ(2, hear(&user));
	ASSERT_EQ(5, get_until(self->sub, SOON));
	EXPECT_EQ(0, other_end(&user));
	EXPECT_EQ(0, ends_by_sigbus(&self->child));
}

/* What a pipe keeps is awaited for the same time once more. */
TEST_F(topic_fence, pages_in_use_delay_it)
{
	uint64_t began;

	NEED_DEV();
	ASSERT_EQ(0, begin(self, SHMIPC_POLICY_LOSSY, 0));
	ASSERT_EQ(0, stop(&self->child, PINS));
	ASSERT_EQ(0, put(self->pub, 5));
	began = now_ns();
	ASSERT_EQ(5, get_until(self->sub, SOON));
	EXPECT_LE(2 * FENCE_NS, now_ns() - began);
	EXPECT_EQ(1, sub_stat(self->sub).fenced);
	EXPECT_EQ(0, ends_by_sigbus(&self->child));
}

/* A publisher whose line had the number for a moment is another one. */
TEST_F(topic_fence, only_one_that_had_the_claim_all_the_time_is_cut_off)
{
	struct shmipc_pub_line *line;
	uint64_t tail;

	NEED_DEV();
	ASSERT_EQ(0, begin(self, SHMIPC_POLICY_LOSSY, 0));
	tail = shmipc_tlog_tail(log_of(self->pub));
	ASSERT_EQ(0, stop(&self->child, ONE));
	ASSERT_EQ(0, put(self->pub, 5));
	line = self->pub->tx.line;
	ASSERT_EQ(&log_of(self->pub)->pub_line[0], line);
	shmipc_store_relaxed(&line->claim, (__u64)(tail << SHMIPC_CLAIM_BITS | 1));
	EXPECT_EQ(-EAGAIN, get(self->sub));
	shmipc_store_relaxed(&line->claim, (__u64)SHMIPC_CLAIM_NONE);
	ASSERT_EQ(5, get_until(self->sub, SOON));
	ASSERT_EQ(0, put(self->pub, 6));
	EXPECT_EQ(1, sub_stat(self->sub).fenced);
	EXPECT_EQ(0, ends_by_sigbus(&self->child));
}

/*
 * As in a container that is frozen: the subscriber does not look for a long time, and the
 * publisher goes on at the same time as it.
 */
TEST_F(topic_fence, a_publisher_that_was_stopped_with_its_subscriber_can_go_on)
{
	NEED_DEV();
	ASSERT_EQ(0, begin(self, SHMIPC_POLICY_LOSSY, 0));
	ASSERT_EQ(0, stop(&self->child, ONE));
	ASSERT_EQ(0, put(self->pub, 5));
	EXPECT_EQ(-EAGAIN, get(self->sub));	/* the time begins */
	shmipc_sleep_ns(2 * FENCE_NS);
	EXPECT_EQ(-EAGAIN, get(self->sub));
	ASSERT_EQ(0, go_on(&self->child));
	EXPECT_EQ(7000, get(self->sub));
	EXPECT_EQ(5, get(self->sub));
	EXPECT_EQ(0, sub_stat(self->sub).fenced);
	ASSERT_EQ(0, end(&self->child));
}

TEST_F(topic_fence, options)
{
	NEED_DEV();
	self->t.fence_ns = 9999999;
	EXPECT_EQ(-EINVAL, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "the least is 0.01 s"));
	self->t.fence_ns = 10000000;
	self->t.publishers = 1;
	EXPECT_EQ(-EINVAL, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "nobody's way"));
	self->t.publishers = 2;
	self->t.abort_ns = 10000000;
	EXPECT_EQ(-EINVAL, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "not both"));
	self->t.abort_ns = 0;
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL)) TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(10000000, log_of(self->pub)->hdr.fence_ns);
	EXPECT_EQ(SHMIPC_TOPIC_FENCES, log_of(self->pub)->hdr.incompat);
	self->t.fence_ns = 20000000;
	EXPECT_EQ(-EINVAL, shmipc_sub_open(&self->sub, TOPIC, &self->t, NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "fence-after 0.02 s, it was created with 0.01 s"));
}

TEST_F(topic_fence, on_mem_it_is_refused_with_a_text)
{
	if (env_on_dev())
		SKIP(return, "this is the device");
	EXPECT_EQ(-EOPNOTSUPP, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "backend mem cannot cut off a process (EOPNOTSUPP); use abort-after"));
	EXPECT_EQ(-EOPNOTSUPP, shmipc_sub_open(&self->sub, TOPIC, &self->t, NULL));
	/* Also where the topic exists. */
	self->t.fence_ns = 0;
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	self->t.fence_ns = FENCE_NS;
	EXPECT_EQ(-EOPNOTSUPP, shmipc_sub_open(&self->sub, TOPIC, &self->t, NULL));
}

TEST_HARNESS_MAIN
