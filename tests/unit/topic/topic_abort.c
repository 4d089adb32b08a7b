// SPDX-License-Identifier: MIT
/*
 * topic_abort: a publisher that is stopped between claim and commit, with abort_ns and without
 */
#include "topic_stop.h"

#define ABORT_NS	UINT64_C(20000000)

enum { ONE, BATCH, LOAN, END };		/* what the publisher is told to do */

/* A loan that could not be published is still one. */
static int loan(struct shmipc_pub *pub)
{
	struct shmipc_loan l;
	int ret = shmipc_pub_loan(pub, 3000, NULL, &l, 0);

	CHECK(!ret);
	memset(l.ptr, 0, 3000);
	CHECK(!protect(pub));
	ret = shmipc_pub_publish(pub, &l, 3000, 0);
	if (ret == -ECANCELED) {
		CHECK(l.ptr && chunks_of(log_of(pub)).owned == 1);
		CHECK(!shmipc_pub_publish(pub, &l, 3000, 0));
		CHECK(!l.ptr);
	}
	CHECK(!chunks_of(log_of(pub)).owned);
	return ret;
}

/* Publishes what it is told to, once in the middle of which it is stopped, and reports the result. */
static int stops(struct other *me, void *arg)
{
	struct shmipc_pub *pub;
	uint64_t what;
	int ret = 0;

	CHECK(!fault_stops());
	CHECK(!shmipc_pub_open(&pub, TOPIC, arg, NULL));
	tell(me, 1);
	while ((what = hear(me)) < END) {
		if (what != LOAN)
			CHECK(!protect(pub));
		ret = what == ONE ? put(pub, 7000) : what == BATCH ? batch(pub) : loan(pub);
		if (ret == -ECANCELED)
			CHECK(strstr(shmipc_error_text(), "longer than 0.02 s"));
		if (ret == -ECANCELED && what != LOAN)	/* and then it works */
			CHECK(!put(pub, 7000));
		tell(me, (uint64_t)-ret);
	}
	shmipc_pub_close(pub);
	return 0;
}

FIXTURE(topic_abort) {
	struct env env;
	struct shmipc_topic_opts t;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub, *other_sub;
	struct other child;
	uint64_t sent, got;
};

FIXTURE_SETUP(topic_abort)
{
	env_set_up(&self->env);
	self->t = topic_small();
	self->t.abort_ns = ABORT_NS;
}

FIXTURE_TEARDOWN(topic_abort)
{
	shmipc_sub_close(self->other_sub);
	shmipc_sub_close(self->sub);
	shmipc_pub_close(self->pub);
	env_tear_down(&self->env);
}

/* A publisher of ours, the other one, and a subscriber. */
static int begin(FIXTURE_DATA(topic_abort) *self, uint32_t policy, uint32_t group)
{
	struct shmipc_sub_opts o = sub_opts(SHMIPC_START_NEW, policy);

	o.group = group;
	if (shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL) ||
	    shmipc_sub_open(&self->sub, TOPIC, &self->t, &o))
		return -1;
	return other_start(&self->child, 0, stops, &self->t) || hear(&self->child) != 1 ? -1 : 0;
}

static int end(FIXTURE_DATA(topic_abort) *self)
{
	tell(&self->child, END);
	return other_end(&self->child);
}

FIXTURE(abort_kinds) {
	FIXTURE_DATA(topic_abort) d;
};

FIXTURE_VARIANT(abort_kinds) {
	uint32_t policy, group;
	uint64_t what, count;
};

FIXTURE_VARIANT_ADD(abort_kinds, lossy) { SHMIPC_POLICY_LOSSY, 0, ONE, 1 };
FIXTURE_VARIANT_ADD(abort_kinds, lossless) { SHMIPC_POLICY_LOSSLESS, 0, ONE, 1 };
FIXTURE_VARIANT_ADD(abort_kinds, group) { SHMIPC_POLICY_LOSSLESS, 1, ONE, 1 };
FIXTURE_VARIANT_ADD(abort_kinds, batch) { SHMIPC_POLICY_LOSSLESS, 0, BATCH, 2 };
FIXTURE_VARIANT_ADD(abort_kinds, loan) { SHMIPC_POLICY_LOSSY, 0, LOAN, 1 };

FIXTURE_SETUP(abort_kinds)
{
	topic_abort_setup(_metadata, &self->d, NULL);
	ASSERT_EQ(0, begin(&self->d, variant->policy, variant->group)) TH_LOG("%s", shmipc_error_text());
}

FIXTURE_TEARDOWN(abort_kinds)
{
	topic_abort_teardown(_metadata, &self->d, NULL);
}

/* The subscriber that waits for it does something about it; the late commit fails. */
TEST_F(abort_kinds, a_subscriber_goes_on)
{
	FIXTURE_DATA(topic_abort) *d = &self->d;
	uint64_t began;

	ASSERT_EQ(0, stop(&d->child, variant->what));
	/* Nothing waits for what was claimed last. */
	EXPECT_EQ(-ETIMEDOUT, get_until(d->sub, shmipc_deadline_in(3 * ABORT_NS)));
	EXPECT_EQ(0, aborted(d->pub));
	ASSERT_EQ(0, put(d->pub, 5));
	ASSERT_EQ(5, get_until(d->sub, SOON));
	EXPECT_EQ(variant->count, sub_stat(d->sub).aborted);
	EXPECT_EQ(variant->count, aborted(d->pub));
	ASSERT_EQ(0, put(d->pub, 6));
	ASSERT_EQ(6, get_until(d->sub, SOON));
	EXPECT_EQ(-ECANCELED, go_on(&d->child));
	ASSERT_EQ(variant->what == LOAN ? 0 : 7000, take_until(d->sub, SOON));
	/* Again, and this time the other messages are there before it looks. */
	ASSERT_EQ(0, stop(&d->child, variant->what));
	ASSERT_EQ(0, put_range(d->pub, 0, 8));
	began = now_ns();
	ASSERT_EQ(0, get_until(d->sub, SOON));
	EXPECT_LE(ABORT_NS, now_ns() - began);
	ASSERT_EQ(0, get_range(d->sub, 1, 8));
	EXPECT_EQ(-ECANCELED, go_on(&d->child));
	EXPECT_EQ(2 * variant->count, aborted(d->pub));
	ASSERT_EQ(0, end(d));
}

/* Continued in time, nothing is lost; a batch of it is whole. */
TEST_F(abort_kinds, in_time_it_is_published)
{
	FIXTURE_DATA(topic_abort) *d = &self->d;

	ASSERT_EQ(0, stop(&d->child, variant->what));
	ASSERT_EQ(0, put(d->pub, 5));
	ASSERT_EQ(0, go_on(&d->child));
	ASSERT_LE(0, take_until(d->sub, SOON));
	if (variant->count == 2)
		ASSERT_EQ(7002, get(d->sub));
	ASSERT_EQ(5, get(d->sub));
	EXPECT_EQ(0, aborted(d->pub));
	ASSERT_EQ(0, end(d));
}

/* Publishers go around the log again and again; each lap has a hole for each message. */
TEST_F(abort_kinds, publishers_go_on)
{
	FIXTURE_DATA(topic_abort) *d = &self->d;
	uint64_t i, oldest, next;
	struct shmipc_pub *second;
	struct shmipc_msg m;

	ASSERT_EQ(0, shmipc_pub_open(&second, TOPIC, &d->t, NULL));
	ASSERT_EQ(0, stop(&d->child, variant->what));
	for (i = 0; i < LAPS * ENTRIES; i++) {
		ASSERT_EQ(0, put_until(i % 2 ? d->pub : second, i, SOON)) TH_LOG("message %lu", (unsigned long)i);
		/* So that the subscriber is not in the way. */
		if (i >= 32 && variant->policy == SHMIPC_POLICY_LOSSLESS)
			ASSERT_EQ((int64_t)i - 32, get_until(d->sub, SOON));
	}
	EXPECT_LE(variant->count * LAPS, aborted(d->pub));
	EXPECT_GE(variant->count * (LAPS + 1), aborted(d->pub));
	/* What it stores now goes into none of the messages that are there. */
	EXPECT_EQ(-ECANCELED, go_on(&d->child));
	ASSERT_EQ(0, shmipc_sub_range(d->sub, &oldest, &next));
	ASSERT_LE(oldest + 40, next);
	for (i = 0; oldest < next; oldest++) {
		int ret = shmipc_sub_read_at(d->sub, oldest, &m);

		if (ret == -ECANCELED)
			continue;
		ASSERT_EQ(0, ret);
		if (m.len == 8 && memcmp(m.ptr, &(uint64_t){ 7000 }, 8)) {
			ASSERT_TRUE(!i || !memcmp(m.ptr, &i, 8)) TH_LOG("message %lu", (unsigned long)oldest);
			memcpy(&i, m.ptr, 8);
			i++;
		}
		shmipc_sub_release(d->sub, &m);
	}
	EXPECT_EQ(LAPS * ENTRIES, i);
	/* No holes any more. */
	oldest = aborted(d->pub);
	for (i = 0; i < 2 * ENTRIES && variant->policy == SHMIPC_POLICY_LOSSY; i++)
		ASSERT_EQ(0, put(d->pub, i));
	EXPECT_EQ(oldest, aborted(d->pub));
	shmipc_pub_close(second);
	ASSERT_EQ(0, end(d));
}

/* It may also die instead of continuing. */
TEST_F(abort_kinds, it_dies_after_it_was_aborted)
{
	FIXTURE_DATA(topic_abort) *d = &self->d;
	uint64_t i;

	ASSERT_EQ(0, stop(&d->child, variant->what));
	ASSERT_EQ(0, put(d->pub, 5));
	ASSERT_EQ(5, get_until(d->sub, SOON));
	EXPECT_EQ(256 + SIGKILL, other_kill(&d->child));
	for (i = 0; i < 3 * ENTRIES; i++) {
		ASSERT_EQ(0, put_until(d->pub, i, SOON));
		ASSERT_EQ((int64_t)i, get_until(d->sub, SOON));
	}
	EXPECT_EQ(variant->count, aborted(d->pub));
}

TEST_F(topic_abort, wait_and_wait_any_return)
{
	struct shmipc_topic_opts t = topic_small();
	struct shmipc_sub *subs[2];
	size_t first = 9;

	ASSERT_EQ(0, begin(self, SHMIPC_POLICY_LOSSLESS, 0));
	ASSERT_EQ(0, shmipc_sub_open(&self->other_sub, "without", &t, NULL));
	subs[0] = self->other_sub;
	subs[1] = self->sub;
	ASSERT_EQ(0, stop(&self->child, ONE));
	ASSERT_EQ(0, put(self->pub, 5));
	ASSERT_EQ(0, shmipc_sub_wait(self->sub, SOON));
	ASSERT_EQ(5, get(self->sub));
	EXPECT_EQ(-ECANCELED, go_on(&self->child));
	ASSERT_EQ(7000, get_until(self->sub, SOON));
	ASSERT_EQ(0, stop(&self->child, ONE));
	ASSERT_EQ(0, put(self->pub, 6));
	ASSERT_EQ(0, shmipc_sub_wait_any(subs, 2, &first, SOON));
	EXPECT_EQ(1, first);
	ASSERT_EQ(6, get(self->sub));
	EXPECT_EQ(-ECANCELED, go_on(&self->child));
	ASSERT_EQ(0, end(self));
}

static int receives(struct other *me, void *arg)
{
	int64_t n = get_until(arg, SHMIPC_FOREVER);

	tell(me, (uint64_t)n);
	return 0;
}

/* It was asleep before the number was claimed: no one wakes it, it wakes by itself. */
TEST_F(topic_abort, a_sleeper_wakes_by_itself)
{
	struct other th;
	uint64_t sleeps;

	ASSERT_EQ(0, begin(self, SHMIPC_POLICY_LOSSY, 0));
	ASSERT_EQ(0, other_start(&th, 1, receives, self->sub));
	ASSERT_EQ(0, until_asleep(th.tid));
	ASSERT_EQ(0, stop(&self->child, ONE));
	ASSERT_EQ(0, put(self->pub, 5));
	EXPECT_EQ(5, hear(&th));
	ASSERT_EQ(0, other_end(&th));
	sleeps = sub_stat(self->sub).sleeps;
	EXPECT_GT(100000, sleeps) TH_LOG("it spins");
	EXPECT_EQ(-ECANCELED, go_on(&self->child));
	ASSERT_EQ(0, end(self));
}

/* One that never sleeps, and one that never waits. */
TEST_F(topic_abort, spinning_and_polling_subscribers_go_on)
{
	struct shmipc_sub_opts o = sub_opts(SHMIPC_START_NEW, SHMIPC_POLICY_LOSSY);
	uint64_t until = SOON, began;
	int64_t n;

	o.spin_ns = SHMIPC_SPIN_ALWAYS;
	ASSERT_EQ(0, begin(self, SHMIPC_POLICY_LOSSY, 0));
	ASSERT_EQ(0, shmipc_sub_open(&self->other_sub, TOPIC, &self->t, &o));
	ASSERT_EQ(0, stop(&self->child, ONE));
	ASSERT_EQ(0, put(self->pub, 5));
	began = now_ns();
	ASSERT_EQ(5, get_until(self->other_sub, SOON));
	EXPECT_LE(ABORT_NS, now_ns() - began);
	ASSERT_EQ(5, get(self->sub));
	EXPECT_EQ(-ECANCELED, go_on(&self->child));
	ASSERT_EQ(7000, get_until(self->sub, SOON));
	ASSERT_EQ(0, stop(&self->child, ONE));
	ASSERT_EQ(0, put(self->pub, 6));
	do
		n = get(self->sub);
	while (n == -EAGAIN && now_ns() < until);
	EXPECT_EQ(6, n);
	EXPECT_EQ(-ECANCELED, go_on(&self->child));
	ASSERT_EQ(0, end(self));
}

/* It cannot write anything: it waits until another one does something about it. */
TEST_F(topic_abort, a_read_only_subscriber_leaves_it_to_others)
{
	struct shmipc_sub_opts o = sub_opts(SHMIPC_START_NEW, SHMIPC_POLICY_LOSSY);

	o.flags = SHMIPC_SUB_READ_ONLY;
	ASSERT_EQ(0, begin(self, SHMIPC_POLICY_LOSSY, 0));
	ASSERT_EQ(0, shmipc_sub_open(&self->other_sub, TOPIC, NULL, &o)) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, stop(&self->child, ONE));
	ASSERT_EQ(0, put(self->pub, 5));
	EXPECT_EQ(-ETIMEDOUT, get_until(self->other_sub, shmipc_deadline_in(3 * ABORT_NS)));
	ASSERT_EQ(5, get_until(self->sub, SOON));
	ASSERT_EQ(5, get_until(self->other_sub, SOON));
	EXPECT_EQ(-ECANCELED, go_on(&self->child));
	ASSERT_EQ(0, end(self));
}

/* Where roles are enforced, a subscriber needs a publisher's slot for a moment. */
TEST_F(topic_abort, without_a_free_slot_it_takes_a_publisher)
{
	self->t.publishers = 2;
	ASSERT_EQ(0, begin(self, SHMIPC_POLICY_LOSSY, 0));
	ASSERT_EQ(0, stop(&self->child, ONE));
	ASSERT_EQ(0, put(self->pub, 5));
	if (env_on_dev()) {
		EXPECT_EQ(-ETIMEDOUT, get_until(self->sub, shmipc_deadline_in(3 * ABORT_NS)));
		shmipc_pub_close(self->pub);
		self->pub = NULL;
	}
	ASSERT_EQ(5, get_until(self->sub, SOON));
	EXPECT_EQ(-ECANCELED, go_on(&self->child));
	ASSERT_EQ(0, end(self));
}

/* What the option is for. The peer in the way is named. */
TEST_F(topic_abort, without_the_option_all_wait_for_it)
{
	struct shmipc_blocked b;
	uint64_t i = 0;

	self->t.abort_ns = 0;
	ASSERT_EQ(0, begin(self, SHMIPC_POLICY_LOSSY, 0));
	ASSERT_EQ(0, stop(&self->child, ONE));
	while (!put(self->pub, i))
		i++;
	EXPECT_GT(ENTRIES, i);
	EXPECT_EQ(-ETIMEDOUT, put_until(self->pub, i, shmipc_deadline_in(3 * ABORT_NS)));
	ASSERT_EQ(0, shmipc_pub_blocked(self->pub, &b));
	EXPECT_EQ(SHMIPC_ROLE_PRODUCER, b.role);
	EXPECT_EQ((uint32_t)self->child.pid, b.pid);
	EXPECT_EQ(-ETIMEDOUT, get_until(self->sub, shmipc_deadline_in(3 * ABORT_NS)));
	EXPECT_EQ(0, go_on(&self->child));
	EXPECT_EQ(7000, get_until(self->sub, SOON));
	EXPECT_EQ(0, get_range(self->sub, 0, i));
	ASSERT_EQ(0, end(self));
}

TEST_F(topic_abort, options)
{
	static const uint64_t n = 1;
	struct shmipc_buf v[1024];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(v); i++)
		v[i] = (struct shmipc_buf){ &n, 8 };
	self->t.abort_ns = 999999;
	EXPECT_EQ(-EINVAL, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "the least is 0.001 s"));
	self->t.abort_ns = 1000000;
	self->t.publishers = 1;
	EXPECT_EQ(-EINVAL, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "nobody's way"));
	self->t.publishers = 2;
	self->t.history = 16384;
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	EXPECT_EQ(1000000, log_of(self->pub)->hdr.abort_ns);
	/* As many as a claim has room for. */
	EXPECT_EQ(-E2BIG, shmipc_pub_send_batch(self->pub, v, 1024, 0));
	EXPECT_EQ(0, shmipc_pub_send_batch(self->pub, v, 1023, 0));
	EXPECT_EQ(1023, pub_stat(self->pub).sent);
	EXPECT_EQ(1023, shmipc_tlog_tail(log_of(self->pub)));
}

TEST_HARNESS_MAIN
