// SPDX-License-Identifier: MIT
/* topic_idle: a sleeper without a reason to wake sleeps until its deadline; others are woken */
#include <sys/wait.h>

#include "topic_ends.h"

#define NS	400000000u	/* eight ticks of 50 ms */
#define MANY	150

FIXTURE(topic_idle) {
	struct env env;
	struct shmipc_topic_opts t;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	struct shmipc_sub_opts o;
	pid_t tid;
};

FIXTURE_VARIANT(topic_idle) {
	uint32_t publishers;
	uint64_t spin_ns;
};

FIXTURE_VARIANT_ADD(topic_idle, many) { 8, 0 };
FIXTURE_VARIANT_ADD(topic_idle, many_no_spin) { 8, SHMIPC_SPIN_NEVER };
FIXTURE_VARIANT_ADD(topic_idle, single) { 1, 0 };

FIXTURE_SETUP(topic_idle)
{
	env_set_up(&self->env);
	self->t = topic_small();
	self->t.publishers = variant->publishers;
	self->o = sub_opts(SHMIPC_START_NEW, SHMIPC_POLICY_LOSSY);
	self->o.spin_ns = variant->spin_ns;
	self->tid = (pid_t)syscall(SYS_gettid);
}

FIXTURE_TEARDOWN(topic_idle)
{
	shmipc_sub_close(self->sub);
	shmipc_pub_close(self->pub);
	env_tear_down(&self->env);
}

static struct shmipc_pub_stat pub_count(struct shmipc_pub *pub)
{
	struct shmipc_pub_stat st = { .struct_bytes = sizeof(st) };

	(void)shmipc_pub_get_stat(pub, &st);
	return st;
}

static struct shmipc_sub_stat sub_count(struct shmipc_sub *sub)
{
	struct shmipc_sub_stat st = { .struct_bytes = sizeof(st) };

	(void)shmipc_sub_get_stat(sub, &st);
	return st;
}

TEST_F(topic_idle, subscriber_sleeps_until_its_deadline)
{
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, &self->t, &self->o));
	EXPECT_EQ(-ETIMEDOUT, get_until(self->sub, shmipc_deadline_in(NS)));
	EXPECT_EQ(1, sub_count(self->sub).sleeps);
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, NULL, NULL));
	EXPECT_EQ(-ETIMEDOUT, get_until(self->sub, shmipc_deadline_in(NS)));
	EXPECT_EQ(2, sub_count(self->sub).sleeps);
	EXPECT_EQ(0, sub_count(self->sub).ticks);
}

TEST_F(topic_idle, member_of_a_group_sleeps_until_its_deadline)
{
	self->o.group = 1;
	self->o.policy = SHMIPC_POLICY_LOSSLESS;
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, &self->t, &self->o));
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, NULL, NULL));
	ASSERT_EQ(0, put(self->pub, 1));
	ASSERT_EQ(1, get(self->sub));
	EXPECT_EQ(-ETIMEDOUT, get_until(self->sub, shmipc_deadline_in(NS)));
	EXPECT_EQ(1, sub_count(self->sub).sleeps);
	EXPECT_EQ(0, sub_count(self->sub).ticks);
}

/* If other users can write the memory, deaths are not trusted to wake: ticks, ever rarer. */
TEST_F(topic_idle, ticks_get_rare_in_memory_that_other_users_can_write)
{
	self->t.mode = 0666;
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, &self->t, &self->o));
	EXPECT_EQ(-ETIMEDOUT, get_until(self->sub, shmipc_deadline_in(NS)));
	EXPECT_GE(3, sub_count(self->sub).ticks);
}

/* Publishers cannot wake it: it polls, but not a thousand times a second. */
TEST_F(topic_idle, read_only_subscriber_polls_at_a_low_rate)
{
	self->o.flags = SHMIPC_SUB_READ_ONLY;
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, &self->o));
	EXPECT_EQ(-ETIMEDOUT, get_until(self->sub, shmipc_deadline_in(NS)));
	EXPECT_GE(NS / 16000000 + 6, sub_count(self->sub).ticks);
}

TEST_F(topic_idle, any_of_many_sleeps_until_its_deadline)
{
	struct shmipc_sub *sub[MANY];
	char name[16];
	size_t first;
	int i;

	for (i = 0; i < MANY; i++) {
		(void)snprintf(name, sizeof(name), "t%d", i);
		ASSERT_EQ(0, shmipc_sub_open(&sub[i], name, &self->t, &self->o));
	}
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, "t77", NULL, NULL));
	EXPECT_EQ(-ETIMEDOUT, shmipc_sub_wait_any(sub, MANY, &first, shmipc_deadline_in(NS)));
	EXPECT_EQ(1, sub_count(sub[0]).sleeps);
	EXPECT_EQ(0, sub_count(sub[0]).ticks);
	for (i = 0; i < MANY; i++)
		shmipc_sub_close(sub[i]);
}

static int fill(struct shmipc_pub *pub)
{
	int n = 0;

	while (put(pub, (uint64_t)n) == 0)
		n++;
	return n;
}

/* One tick, as at first it waits for room for more than one message; then none. */
TEST_F(topic_idle, publisher_sleeps_until_its_deadline)
{
	struct shmipc_pub_opts o = { .struct_bytes = sizeof(o), .spin_ns = variant->spin_ns };

	self->o.policy = SHMIPC_POLICY_LOSSLESS;
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, &o));
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, &self->o));
	ASSERT_LT(10, fill(self->pub));
	EXPECT_EQ(-ETIMEDOUT, put_until(self->pub, 0, shmipc_deadline_in(NS)));
	EXPECT_EQ(2, pub_count(self->pub).sleeps);
	EXPECT_EQ(1, pub_count(self->pub).ticks);
	EXPECT_EQ(0, get(self->sub));
}

/* Later the subscriber releases just what the publisher needs. */
static int fills_and_waits(struct other *me, void *arg)
{
	FIXTURE_DATA(topic_idle) *self = arg;
	struct shmipc_pub_opts o = { .struct_bytes = sizeof(o), .spin_ns = SHMIPC_SPIN_NEVER };
	struct shmipc_pub *pub;
	uint64_t n;

	(void)self;
	CHECK(shmipc_pub_open(&pub, TOPIC, NULL, &o) == 0);
	n = (uint64_t)fill(pub);
	tell(me, n);
	CHECK(put_until(pub, n, SOON) == 0);
	CHECK(pub_count(pub).ticks <= 2);
	tell(me, 1);
	shmipc_pub_close(pub);
	return 0;
}

TEST_F(topic_idle, publisher_is_woken_by_the_first_message_that_makes_room)
{
	const struct timespec pause = { 0, 100000000 };
	struct other o;
	uint64_t i, lot;

	self->o.policy = SHMIPC_POLICY_LOSSLESS;
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, &self->t, &self->o));
	ASSERT_EQ(0, other_start(&o, 0, fills_and_waits, self));
	ASSERT_LT(10, hear(&o));
	if (until_asleep(o.tid)) {
		other_kill(&o);
		SKIP(return, "this machine does not show in which call a thread sleeps");
	}
	(void)nanosleep(&pause, NULL);	/* until it waits for less; no harm if it does not yet */
	ASSERT_EQ(0, until_asleep(o.tid));
	/* The log frees at most an eighth at a time. */
	lot = self->sub->rx.log->lot;
	for (i = 0; i < lot; i++) {
		ASSERT_EQ((int64_t)i, get(self->sub));
	}
	ASSERT_EQ(1, hear(&o));
	EXPECT_EQ(0, other_end(&o));
}

/* Publishers that open and die while the subscriber sleeps */

enum death { CLAIMED, COMMITTED };

struct deaths {
	pid_t tid;		/* the sleeper */
	enum death how;
	bool sleeps;
};

static void come_and_die(enum death how)
{
	struct shmipc_pub *pub;
	uint64_t seq;

	if (shmipc_pub_open(&pub, TOPIC, NULL, NULL) || shmipc_tlog_claim(&pub->tx, 1, &seq))
		_exit(1);
	if (how == COMMITTED) {
		shmipc_tlog_fill(&pub->tx, seq, NULL, 0, "\5\0\0\0\0\0\0\0", 8, 0);
		/* The commit returns that a wake is needed; it is left out. */
		(void)shmipc_tlog_commit(&pub->tx, seq, 1, SHMIPC_ENTRY_CELL, 8);
	}
	(void)raise(SIGKILL);
}

static int another_dies(struct other *me, void *arg)
{
	struct deaths *d = arg;
	struct shmipc_pub *pub = NULL;
	pid_t child;
	int status;

	if (d->how == CLAIMED)
		CHECK(shmipc_pub_open(&pub, TOPIC, NULL, NULL) == 0);
	tell(me, 1);
	if (d->sleeps)
		CHECK(until_asleep(d->tid) == 0);
	child = fork();
	CHECK(child >= 0);
	if (!child)
		come_and_die(d->how);
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
	if (d->sleeps && d->how == CLAIMED)
		CHECK(until_asleep(d->tid) == 0);
	if (d->how == CLAIMED)
		CHECK(put(pub, 6) == 0);
	shmipc_pub_close(pub);
	return 0;
}

TEST_F(topic_idle, a_newcomer_that_dies_with_a_claim_is_skipped)
{
	struct deaths d = { self->tid, CLAIMED, true };
	struct other o;

	if (variant->publishers == 1)
		SKIP(return, "no two publishers");
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, &self->t, &self->o));
	ASSERT_EQ(0, other_start(&o, 0, another_dies, &d));
	ASSERT_EQ(1, hear(&o));
	EXPECT_EQ(6, get_until(self->sub, SOON));
	EXPECT_EQ(1, sub_count(self->sub).aborted);
	EXPECT_EQ(0, sub_count(self->sub).ticks);
	EXPECT_EQ(0, other_end(&o));
}

TEST_F(topic_idle, a_spinning_subscriber_skips_the_claim_of_a_dead_publisher)
{
	struct deaths d = { self->tid, CLAIMED, false };
	struct other o;

	if (variant->publishers == 1)
		SKIP(return, "no two publishers");
	self->o.spin_ns = SHMIPC_SPIN_ALWAYS;
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, &self->t, &self->o));
	ASSERT_EQ(0, other_start(&o, 0, another_dies, &d));
	ASSERT_EQ(1, hear(&o));
	EXPECT_EQ(6, get_until(self->sub, SOON));
	EXPECT_EQ(1, sub_count(self->sub).aborted);
	EXPECT_EQ(0, sub_count(self->sub).sleeps);
	EXPECT_EQ(0, other_end(&o));
}

TEST_F(topic_idle, newcomer_killed_between_commit_and_wake)
{
	struct deaths d = { self->tid, COMMITTED, true };
	struct other o;

	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, &self->t, &self->o));
	ASSERT_EQ(0, other_start(&o, 0, another_dies, &d));
	ASSERT_EQ(1, hear(&o));
	EXPECT_EQ(5, get_until(self->sub, SOON));
	EXPECT_EQ(0, sub_count(self->sub).ticks);
	EXPECT_EQ(0, other_end(&o));
}

TEST_F(topic_idle, any_of_many_notices_the_death_of_a_newcomer)
{
	struct deaths d = { self->tid, COMMITTED, true };
	struct shmipc_sub *sub[MANY];
	char name[16];
	struct other o;
	size_t first = 0;
	int i;

	for (i = 0; i < MANY; i++) {
		(void)snprintf(name, sizeof(name), "t%d", i);
		ASSERT_EQ(0, shmipc_sub_open(&sub[i], i == 77 ? TOPIC : name, &self->t, &self->o));
	}
	ASSERT_EQ(0, other_start(&o, 0, another_dies, &d));
	ASSERT_EQ(1, hear(&o));
	ASSERT_EQ(0, shmipc_sub_wait_any(sub, MANY, &first, SOON));
	EXPECT_EQ(77, first);
	EXPECT_EQ(5, get(sub[77]));
	EXPECT_EQ(0, sub_count(sub[0]).ticks);
	EXPECT_EQ(0, other_end(&o));
	for (i = 0; i < MANY; i++)
		shmipc_sub_close(sub[i]);
}

TEST_HARNESS_MAIN
