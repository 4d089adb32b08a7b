// SPDX-License-Identifier: MIT
/*
 * topic_start: where to begin and how to continue, on a topic that is empty or not
 *
 * For each pair of start and iter (AlephZero: INIT and ITER): a subscriber opens a
 * topic, three messages are published, and it reads all that it gets: polling,
 * waiting, in place, and by its thread. Then three more.
 *
 *   SHMIPC_START_OLDEST   A0_INIT_OLDEST       the oldest message that is kept, inclusive
 *   SHMIPC_START_NEWEST   A0_INIT_MOST_RECENT  the newest, inclusive
 *   SHMIPC_START_NEW      A0_INIT_AWAIT_NEW    what is published from now on
 *   SHMIPC_START_SEQ                           this number
 *   SHMIPC_ITER_NEXT      A0_ITER_NEXT
 *   SHMIPC_ITER_NEWEST    A0_ITER_NEWEST
 *
 * The first message is the one that was asked for, even if there are newer ones; iter
 * applies to those after it.
 */
#include "topic_ends.h"

FIXTURE(topic_start) {
	struct env env;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	struct shmipc_sub_opts o;
	uint64_t next;		/* to publish */
	int64_t got[16];
	int n;
};

FIXTURE_VARIANT(topic_start) {
	uint32_t start;
	uint32_t iter;
	int64_t empty[4];	/* received of an empty topic, then 0, 1, 2 */
	int64_t full[8];	/* received of one with 0..4, then 5, 6, 7 */
};

FIXTURE_VARIANT_ADD(topic_start, oldest_next) {
	SHMIPC_START_OLDEST, SHMIPC_ITER_NEXT, { 0, 1, 2, -1 }, { 0, 1, 2, 3, 4, 5, 6, 7 } };
FIXTURE_VARIANT_ADD(topic_start, oldest_newest) {
	SHMIPC_START_OLDEST, SHMIPC_ITER_NEWEST, { 2, -1 }, { 0, 7, -1 } };
FIXTURE_VARIANT_ADD(topic_start, newest_next) {
	SHMIPC_START_NEWEST, SHMIPC_ITER_NEXT, { 0, 1, 2, -1 }, { 4, 5, 6, 7, -1 } };
FIXTURE_VARIANT_ADD(topic_start, newest_newest) {
	SHMIPC_START_NEWEST, SHMIPC_ITER_NEWEST, { 2, -1 }, { 4, 7, -1 } };
FIXTURE_VARIANT_ADD(topic_start, new_next) {
	SHMIPC_START_NEW, SHMIPC_ITER_NEXT, { 0, 1, 2, -1 }, { 5, 6, 7, -1 } };
FIXTURE_VARIANT_ADD(topic_start, new_newest) {
	SHMIPC_START_NEW, SHMIPC_ITER_NEWEST, { 2, -1 }, { 7, -1 } };
FIXTURE_VARIANT_ADD(topic_start, seq_next) {
	SHMIPC_START_SEQ, SHMIPC_ITER_NEXT, { 0, 1, 2, -1 }, { 3, 4, 5, 6, 7, -1 } };
FIXTURE_VARIANT_ADD(topic_start, seq_newest) {
	SHMIPC_START_SEQ, SHMIPC_ITER_NEWEST, { 2, -1 }, { 3, 7, -1 } };

FIXTURE_SETUP(topic_start)
{
	struct shmipc_topic_opts t = topic_small();

	env_set_up(&self->env);
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &t, NULL)) TH_LOG("%s", shmipc_error_text());
	self->o = sub_opts(variant->start, 0);
	self->o.iter = variant->iter;
}

FIXTURE_TEARDOWN(topic_start)
{
	shmipc_sub_close(self->sub);
	shmipc_pub_close(self->pub);
	env_tear_down(&self->env);
}

static int publish(FIXTURE_DATA(topic_start) *self, int n)
{
	self->next += (uint64_t)n;
	return put_range(self->pub, self->next - (uint64_t)n, self->next);
}

/* Open a topic with @there messages. Return: 0; -errno. */
static int come(FIXTURE_DATA(topic_start) *self, int there)
{
	int ret = publish(self, there);

	self->o.start_seq = self->o.start == SHMIPC_START_SEQ && there ? 3 : 0;
	return ret ? ret : shmipc_sub_open(&self->sub, TOPIC, NULL, &self->o);
}

enum how { POLL, WAIT, PLACE };

static int64_t one(struct shmipc_sub *sub, enum how how)
{
	if (how == PLACE)
		return take_until(sub, 0);
	return how == WAIT ? get_until(sub, SOON) : get(sub);
}

/* Receive @want, ended by -1 or @max. Return: 0; else the first that differs, plus 1. */
static int check(FIXTURE_DATA(topic_start) *self, const int64_t *want, int max, enum how how)
{
	int i;

	for (i = 0; i < max && want[i] >= 0; i++)
		if (one(self->sub, how) != want[i])
			return i + 1;
	if (get(self->sub) != -EAGAIN)
		return i + 1;
	return 0;
}

/* The messages after the first ones, for either iter. */
static int check_more(FIXTURE_DATA(topic_start) *self, enum how how)
{
	int64_t all[4] = { 0, 1, 2, -1 };
	int i;

	for (i = 0; i < 3; i++)
		all[i] += (int64_t)self->next;
	if (publish(self, 3))
		return 99;
	return check(self, self->o.iter ? all + 2 : all, 3, how);
}

#define TEST_BOTH(how_name, how)						\
TEST_F(topic_start, empty_##how_name)						\
{										\
	ASSERT_EQ(0, come(self, 0)) TH_LOG("%s", shmipc_error_text());		\
	EXPECT_EQ(-EAGAIN, get(self->sub));					\
	ASSERT_EQ(0, publish(self, 3));						\
	EXPECT_EQ(0, check(self, variant->empty, 4, how));			\
	EXPECT_EQ(0, check_more(self, how));					\
}										\
TEST_F(topic_start, full_##how_name)						\
{										\
	ASSERT_EQ(0, come(self, 5)) TH_LOG("%s", shmipc_error_text());		\
	ASSERT_EQ(0, publish(self, 3));						\
	EXPECT_EQ(0, check(self, variant->full, 8, how));			\
	EXPECT_EQ(0, check_more(self, how));					\
}

TEST_BOTH(polled, POLL)
TEST_BOTH(waited_for, WAIT)
TEST_BOTH(in_place, PLACE)

/* A sleeping subscriber gets the first message, with either iter. */
static int sleeps(struct other *me, void *arg)
{
	FIXTURE_DATA(topic_start) *self = arg;

	tell(me, (uint64_t)get_until(self->sub, SOON));
	return 0;
}

TEST_F(topic_start, asleep_when_the_first_message_arrives)
{
	struct other o;

	ASSERT_EQ(0, come(self, 0));
	ASSERT_EQ(0, other_start(&o, 1, sleeps, self));
	ASSERT_EQ(0, until_asleep(o.tid));
	ASSERT_EQ(0, publish(self, 1));
	EXPECT_EQ(0, hear(&o));
	EXPECT_EQ(0, other_end(&o));
	EXPECT_EQ(0, check_more(self, POLL));
}

static void note(struct shmipc_sub *sub, const struct shmipc_msg *m, int err, void *arg)
{
	FIXTURE_DATA(topic_start) *self = arg;

	(void)sub;
	if (self->n < 16)
		self->got[self->n] = err ? err : (int64_t)*(const uint64_t *)m->ptr;
	__atomic_fetch_add(&self->n, 1, __ATOMIC_RELEASE);
}

/* With NEWEST the thread may get more than the minimum, if it is fast. */
TEST_F(topic_start, by_thread)
{
	int i, n;

	ASSERT_EQ(0, come(self, 5));
	ASSERT_EQ(0, publish(self, 3));
	ASSERT_EQ(0, shmipc_sub_start(self->sub, note, self));
	for (n = 0; n < 8 && variant->full[n] >= 0; n++)
		continue;
	while (__atomic_load_n(&self->n, __ATOMIC_ACQUIRE) < n)
		(void)sched_yield();
	shmipc_sub_stop(self->sub);
	EXPECT_EQ(n, self->n);
	for (i = 0; i < n; i++) {
		EXPECT_EQ(variant->full[i], self->got[i]);
	}
}

/* The first message was evicted before it was read: reported, then from the oldest on. */
TEST_F(topic_start, evicted_before_the_first_read)
{
	uint64_t from, to, oldest, next;

	ASSERT_EQ(0, come(self, 5));
	ASSERT_EQ(0, publish(self, 500));
	ASSERT_EQ(0, shmipc_sub_range(self->sub, &oldest, &next));
	if (self->o.iter && self->o.start == SHMIPC_START_NEW) {	/* it asked for no message */
		EXPECT_EQ(504, get(self->sub));
		EXPECT_EQ(499, sub_stat(self->sub).skipped);
		return;
	}
	EXPECT_EQ(-ESTALE, get(self->sub));
	(void)shmipc_sub_lost(self->sub, &from, &to);
	EXPECT_EQ(variant->full[0], (int64_t)from);
	EXPECT_EQ(oldest, to);
	EXPECT_EQ(self->o.iter ? 504 : (int64_t)oldest, get(self->sub));
	EXPECT_EQ(0, check_more(self, self->o.iter ? POLL : WAIT) ? self->o.iter : 0);
}

/* Every number is received, lost, or skipped. */
TEST_F(topic_start, received_lost_and_skipped_add_up)
{
	struct shmipc_sub_stat st;
	uint64_t begin;
	int i;

	ASSERT_EQ(0, come(self, 5));
	begin = sub_stat(self->sub).next;
	EXPECT_EQ(self->o.start ? variant->full[0] : 5, (int64_t)begin);
	for (i = 1; i < 40; i++) {
		ASSERT_EQ(0, publish(self, i * 7 % 90));
		(void)get(self->sub);
		st = sub_stat(self->sub);
		ASSERT_EQ(st.next - begin, st.received + st.lost + st.skipped);
		ASSERT_EQ(self->next - st.next, st.backlog);
	}
}

TEST_F(topic_start, after_the_publisher_has_gone)
{
	ASSERT_EQ(0, come(self, 5));
	shmipc_sub_close(self->sub);
	self->sub = NULL;
	/* A third end keeps the topic. */
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, NULL));
	shmipc_pub_close(self->pub);
	self->pub = NULL;
	{
		struct shmipc_sub *sub;

		ASSERT_EQ(0, shmipc_sub_open(&sub, TOPIC, NULL, &self->o));
		EXPECT_EQ(variant->full[0] < 5 ? variant->full[0] : -EAGAIN, get(sub));
		shmipc_sub_close(sub);
	}
}

/* Numbers that are not published yet, or not kept any more. */
FIXTURE(topic_seq) {
	struct env env;
	struct shmipc_pub *pub;
};

FIXTURE_SETUP(topic_seq)
{
	struct shmipc_topic_opts t = topic_small();

	env_set_up(&self->env);
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &t, NULL)) TH_LOG("%s", shmipc_error_text());
}

FIXTURE_TEARDOWN(topic_seq)
{
	shmipc_pub_close(self->pub);
	env_tear_down(&self->env);
}

TEST_F(topic_seq, a_future_number_is_refused)
{
	struct shmipc_sub_opts o = sub_opts(SHMIPC_START_SEQ, 0);
	struct shmipc_sub *sub;

	ASSERT_EQ(0, put_range(self->pub, 0, 10));
	o.start_seq = 11;
	EXPECT_EQ(-EINVAL, shmipc_sub_open(&sub, TOPIC, NULL, &o));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "11"));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "10"));
	o.start_seq = 10;
	ASSERT_EQ(0, shmipc_sub_open(&sub, TOPIC, NULL, &o));
	EXPECT_EQ(-EAGAIN, get(sub));
	ASSERT_EQ(0, put(self->pub, 10));
	EXPECT_EQ(10, get(sub));
	shmipc_sub_close(sub);
}

TEST_F(topic_seq, a_number_no_longer_kept_is_reported)
{
	struct shmipc_sub_opts o = sub_opts(SHMIPC_START_SEQ, 0);
	struct shmipc_sub *sub;
	uint64_t from, to;

	ASSERT_EQ(0, put_range(self->pub, 0, 300));
	o.start_seq = 17;
	ASSERT_EQ(0, shmipc_sub_open(&sub, TOPIC, NULL, &o));
	ASSERT_EQ(-ESTALE, get(sub));
	EXPECT_EQ(sub_stat(sub).lost, shmipc_sub_lost(sub, &from, &to));
	EXPECT_EQ(17, from);
	EXPECT_EQ((int64_t)to, get(sub));
	shmipc_sub_close(sub);
	/* A lossless subscriber gets the oldest after it, and can see that. */
	o.policy = SHMIPC_POLICY_LOSSLESS;
	ASSERT_EQ(0, shmipc_sub_open(&sub, TOPIC, NULL, &o));
	EXPECT_EQ((int64_t)to, get(sub));
	EXPECT_EQ(to, shmipc_sub_seq(sub));
	shmipc_sub_close(sub);
}

TEST_HARNESS_MAIN
