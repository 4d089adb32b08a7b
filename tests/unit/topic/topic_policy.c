// SPDX-License-Identifier: MIT
/* topic_policy: slow subscribers by policy, and what is reported to both sides */
#include "topic_ends.h"

FIXTURE(topic_policy) {
	struct env env;
	struct shmipc_topic_opts t;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	struct shmipc_blocked b;
};

FIXTURE_VARIANT(topic_policy) {
	uint32_t publishers;
};

FIXTURE_VARIANT_ADD(topic_policy, single) { 1 };
FIXTURE_VARIANT_ADD(topic_policy, many) { 8 };

FIXTURE_SETUP(topic_policy)
{
	env_set_up(&self->env);
	self->t = topic_small();
	self->t.publishers = variant->publishers;
	self->t.evict_ns = 2000000;
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL))
		TH_LOG("%s", shmipc_error_text());
}

FIXTURE_TEARDOWN(topic_policy)
{
	shmipc_sub_close(self->sub);
	shmipc_pub_close(self->pub);
	env_tear_down(&self->env);
}

/* Publish until there is no room. Return: how many. */
static uint64_t fill(struct shmipc_pub *pub, uint64_t from, int *ret_err)
{
	uint64_t n = from;

	while ((*ret_err = put(pub, n)) == 0)
		n++;
	return n - from;
}

/* que: lossy overwrite; received and lost messages add up */
TEST_F(topic_policy, lossy_overwrite_counts_exactly)
{
	uint64_t sent = 0, got = 0, lost = 0, want = 0, from, to, n;
	struct rng r = { 5 };
	int64_t is;
	int i;

	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSY));
	for (i = 0; i < 400; i++) {
		n = rng_below(&r, 150);
		ASSERT_EQ(0, put_range(self->pub, sent, sent + n));
		sent += n;
		for (n = rng_below(&r, 150); n; n--) {
			is = get(self->sub);
			if (is == -EAGAIN) {
				ASSERT_EQ(want, sent);
				break;
			}
			if (is == -ESTALE) {
				lost += shmipc_sub_lost(self->sub, &from, &to);
				ASSERT_EQ(want, from);
				ASSERT_GT(to, from);
				want = to;
				continue;
			}
			ASSERT_EQ((int64_t)want, is);
			want++;
			got++;
		}
	}
	EXPECT_GT(lost, 1000);
	EXPECT_GT(got, 1000);
	EXPECT_EQ(want, got + lost);
	EXPECT_EQ(got, sub_stat(self->sub).received);
	EXPECT_EQ(lost, sub_stat(self->sub).lost);
	EXPECT_EQ(0, pub_stat(self->pub).sleeps);
}

/* que: Full, and lossless after it */
TEST_F(topic_policy, lossless_full_and_nothing_lost)
{
	uint64_t sent = 0, n, round;
	int err;

	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSLESS));
	for (round = 0; round < 30; round++) {
		n = fill(self->pub, sent, &err);
		ASSERT_EQ(-EAGAIN, err);
		ASSERT_EQ(64, n) TH_LOG("round %d", (int)round);
		ASSERT_EQ(0, shmipc_pub_blocked(self->pub, &self->b));
		EXPECT_EQ(SHMIPC_ROLE_READER, self->b.role);
		EXPECT_EQ(self->t.publishers, self->b.slot);
		EXPECT_EQ(SHMIPC_POLICY_LOSSLESS, self->b.policy);
		EXPECT_EQ(getpid(), (int)self->b.pid);
		EXPECT_EQ(0, strcmp("topic_policy", self->b.comm)) TH_LOG("%s", self->b.comm);
		EXPECT_EQ(sent, self->b.pos);
		EXPECT_EQ(n, self->b.behind);
		ASSERT_EQ(0, get_range(self->sub, sent, sent + n));
		ASSERT_EQ(-EAGAIN, get(self->sub));
		sent += n;
	}
	EXPECT_EQ(0, sub_stat(self->sub).lost);
}

/* After one message is read there is room for one more, not only after a lot. */
TEST_F(topic_policy, each_message_read_makes_room_for_one)
{
	uint64_t sent, i;
	int err;

	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSLESS));
	sent = fill(self->pub, 0, &err);
	for (i = 0; i < 200; i++) {
		ASSERT_EQ((int64_t)i, get(self->sub));
		ASSERT_EQ(0, put(self->pub, sent + i));
		ASSERT_EQ(-EAGAIN, put(self->pub, 0));
	}
}

TEST_F(topic_policy, lossless_deadline_and_the_blocking_peer)
{
	uint64_t before, sent;
	int err;

	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSLESS));
	sent = fill(self->pub, 0, &err);
	before = now_ns();
	EXPECT_EQ(-ETIMEDOUT, put_until(self->pub, sent, shmipc_deadline_in(100000000)));
	EXPECT_LE(before + 100000000, now_ns());
	ASSERT_EQ(0, shmipc_pub_blocked(self->pub, &self->b));
	EXPECT_EQ(SHMIPC_ROLE_READER, self->b.role);
	EXPECT_EQ(getpid(), (int)self->b.pid);
	EXPECT_GE(pub_stat(self->pub).sleeps, 1);
	/* It was not published, and does not block the next one. */
	EXPECT_EQ(0, get_range(self->sub, 0, sent));
	EXPECT_EQ(-EAGAIN, get(self->sub));
	EXPECT_EQ(0, put(self->pub, sent));
	EXPECT_EQ((int64_t)sent, get(self->sub));
}

static int sends_one(struct other *me, void *arg)
{
	FIXTURE_DATA(topic_policy) *self = arg;
	int ret = put_until(self->pub, 1000, SOON);

	CHECK(ret == 0);
	tell(me, 1);
	return 0;
}

TEST_F(topic_policy, sleeping_publisher_is_woken_by_the_reader)
{
	struct other o;
	uint64_t sent;
	int err;

	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSLESS));
	sent = fill(self->pub, 0, &err);
	ASSERT_EQ(0, other_start(&o, 1, sends_one, self));
	ASSERT_EQ(0, until_asleep(o.tid));
	EXPECT_EQ(0, get_range(self->sub, 0, sent));
	EXPECT_EQ(1, hear(&o));
	EXPECT_EQ(0, other_end(&o));
	EXPECT_EQ(1000, get(self->sub));
}

TEST_F(topic_policy, sleeping_publisher_is_woken_by_a_leaving_reader)
{
	struct other o;
	int err;

	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSLESS));
	(void)fill(self->pub, 0, &err);
	ASSERT_EQ(0, other_start(&o, 1, sends_one, self));
	ASSERT_EQ(0, until_asleep(o.tid));
	shmipc_sub_close(self->sub);
	self->sub = NULL;
	EXPECT_EQ(1, hear(&o));
	EXPECT_EQ(0, other_end(&o));
}

static int subscribes(struct other *me, void *arg)
{
	struct shmipc_sub *sub;

	CHECK(sub_open(&sub, NULL, SHMIPC_START_NEW, (uint32_t)(uintptr_t)arg) == 0);
	return stay(me);
}

/* The publisher waits with SHMIPC_FOREVER for a subscriber that is killed. */
TEST_F(topic_policy, dead_lossless_subscriber_releases_the_publisher)
{
	struct other o, s;
	uint64_t before;
	int err;

	ASSERT_EQ(0, other_start(&s, 0, subscribes, (void *)(uintptr_t)SHMIPC_POLICY_LOSSLESS));
	ASSERT_EQ(1, hear(&s));
	(void)fill(self->pub, 0, &err);
	EXPECT_EQ(-EAGAIN, err);
	ASSERT_EQ(0, shmipc_pub_blocked(self->pub, &self->b));
	EXPECT_EQ(s.pid, (int)self->b.pid);
	ASSERT_EQ(0, other_start(&o, 1, sends_one, self));
	ASSERT_EQ(0, until_asleep(o.tid));
	before = now_ns();
	EXPECT_EQ(256 + SIGKILL, other_kill(&s));
	EXPECT_EQ(1, hear(&o));
	TH_LOG("continued after %.1f ms", (double)(now_ns() - before) / 1e6);
	EXPECT_EQ(0, other_end(&o));
	EXPECT_EQ(0, put(self->pub, 3));
	EXPECT_EQ(0, pub_stat(self->pub).evicted);
}

/* Wait until the thread has run for this long. Return: 0, or -1. */
static int until_ran(pid_t tid, unsigned long long ns)
{
	const struct timespec ms = { 0, 1000000 };
	unsigned long long ran = 0;
	char path[64];
	FILE *f;
	int i;

	snprintf(path, sizeof(path), "/proc/self/task/%d/schedstat", tid);
	for (i = 0; i < 20000 && ran < ns; i++) {
		f = fopen(path, "r");
		if (!f || fscanf(f, "%llu", &ran) != 1)
			i = 20000;
		if (f)
			fclose(f);
		(void)nanosleep(&ms, NULL);
	}
	return ran < ns ? -1 : 0;
}

/* A publisher that always spins never sleeps, but must look for deaths all the same. */
TEST_F(topic_policy, dead_lossless_subscriber_releases_a_publisher_that_spins)
{
	struct shmipc_pub_opts po = { .struct_bytes = sizeof(po), .spin_ns = SHMIPC_SPIN_ALWAYS };
	struct other o, s;
	int err;

	shmipc_pub_close(self->pub);
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, &po));
	ASSERT_EQ(0, other_start(&s, 0, subscribes, (void *)(uintptr_t)SHMIPC_POLICY_LOSSLESS));
	ASSERT_EQ(1, hear(&s));
	(void)fill(self->pub, 0, &err);
	EXPECT_EQ(-EAGAIN, err);
	ASSERT_EQ(0, other_start(&o, 1, sends_one, self));
	ASSERT_EQ(0, until_ran(o.tid, 10000000));
	EXPECT_EQ(256 + SIGKILL, other_kill(&s));
	EXPECT_EQ(1, hear(&o));
	EXPECT_EQ(0, other_end(&o));
}

/* It is dead before the publisher looks: publishing never fails. */
TEST_F(topic_policy, dead_lossless_subscriber_never_blocks)
{
	struct other s;

	ASSERT_EQ(0, other_start(&s, 0, subscribes, (void *)(uintptr_t)SHMIPC_POLICY_LOSSLESS));
	ASSERT_EQ(1, hear(&s));
	ASSERT_EQ(0, put_range(self->pub, 0, 10));
	EXPECT_EQ(256 + SIGKILL, other_kill(&s));
	EXPECT_EQ(0, put_range(self->pub, 10, 300));
}

TEST_F(topic_policy, slowest_of_several_counts)
{
	struct shmipc_sub *fast, *lossy;
	uint64_t n;
	int err;

	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSLESS));
	ASSERT_EQ(0, sub_open(&fast, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSLESS));
	ASSERT_EQ(0, sub_open(&lossy, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSY));
	ASSERT_EQ(0, put_range(self->pub, 0, 20));
	ASSERT_EQ(0, get_range(fast, 0, 20));
	ASSERT_EQ(0, get_range(self->sub, 0, 5));
	n = 20 + fill(self->pub, 20, &err);
	EXPECT_EQ(69, n);
	ASSERT_EQ(0, shmipc_pub_blocked(self->pub, &self->b));
	EXPECT_EQ(5, self->b.pos);
	EXPECT_EQ(64, self->b.behind);
	EXPECT_EQ(0, get_range(self->sub, 5, n));
	EXPECT_EQ(0, get_range(fast, 20, n));
	EXPECT_EQ(-ESTALE, get(lossy));
	shmipc_sub_close(fast);
	shmipc_sub_close(lossy);
}

TEST_F(topic_policy, both_sides_are_told_of_an_eviction)
{
	struct shmipc_topic_stat st = { .struct_bytes = sizeof(st) };
	uint64_t from, to, before, n;
	struct shmipc_msg m, held;
	int err;

	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_EVICT));
	ASSERT_EQ(0, put_len(self->pub, 0, 5000));
	ASSERT_EQ(0, shmipc_sub_take(self->sub, &held, 0));
	before = now_ns();
	n = 1 + fill(self->pub, 1, &err);	/* its time runs from the first refusal on */
	EXPECT_EQ(-EAGAIN, err);
	ASSERT_EQ(0, shmipc_pub_blocked(self->pub, &self->b));
	EXPECT_EQ(SHMIPC_POLICY_EVICT, self->b.policy);
	EXPECT_EQ(0, pub_stat(self->pub).evicted);
	EXPECT_EQ(0, put_until(self->pub, n, SOON));
	EXPECT_LE(before + 1000000, now_ns());
	EXPECT_EQ(1, pub_stat(self->pub).evicted);
	EXPECT_EQ(0, put_range(self->pub, n + 1, n + 200));
	EXPECT_EQ(1, pub_stat(self->pub).evicted);
	ASSERT_EQ(0, shmipc_topic_look(TOPIC, &st));
	EXPECT_EQ(1, st.evictions);
	EXPECT_EQ(-ECONNRESET, get(self->sub));
	EXPECT_EQ(n + 199, shmipc_sub_lost(self->sub, &from, &to)) TH_LOG("all that it did not get");
	EXPECT_EQ(1, from);
	EXPECT_EQ(n + 200, to);
	EXPECT_EQ(-ECONNRESET, shmipc_sub_take(self->sub, &m, SHMIPC_FOREVER));
	/* A message that it holds stays whole until it is released. */
	EXPECT_TRUE(msg_is(&held, 0, 5000));
	shmipc_sub_release(self->sub, &held);
	/* It can open again and receive. */
	shmipc_sub_close(self->sub);
	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_EVICT));
	EXPECT_EQ(0, put(self->pub, 9));
	EXPECT_EQ(9, get(self->sub));
}

/* A sleeping subscriber has read everything, so it is never cut off. */
/* The end of such a time is beyond what 64 bits can say. */
TEST_F(topic_policy, a_time_without_end_evicts_no_subscriber)
{
	int err;

	shmipc_pub_close(self->pub);
	self->t.evict_ns = UINT64_MAX;
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_EVICT));
	EXPECT_LT(0, fill(self->pub, 0, &err));
	EXPECT_EQ(-EAGAIN, err);
	EXPECT_EQ(-ETIMEDOUT, put_until(self->pub, 99, shmipc_deadline_in(5000000)));
	EXPECT_EQ(0, pub_stat(self->pub).evicted);
	EXPECT_EQ(0, get(self->sub));
}

TEST_F(topic_policy, a_subscriber_that_keeps_up_is_never_evicted)
{
	uint64_t i;

	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_EVICT));
	for (i = 0; i < 2000; i++) {
		ASSERT_EQ(0, put_until(self->pub, i, SOON));
		ASSERT_EQ((int64_t)i, get(self->sub));
	}
	EXPECT_EQ(0, pub_stat(self->pub).evicted);
}

static int crawls(struct other *me, void *arg)
{
	FIXTURE_DATA(topic_policy) *self = arg;
	int64_t n;

	tell(me, 1);
	/* Where a publisher needs longer for a message there may be none. */
	do {
		(void)nanosleep(&(struct timespec){ 0, 5000000 }, NULL);
		n = get(self->sub);
	} while (n >= 0 || n == -EAGAIN);
	return n == -ECONNRESET ? 0 : 1;
}

/* A subscriber that reads now and then delays each message by evict_ns at most. */
TEST_F(topic_policy, a_slow_subscriber_is_evicted)
{
	struct other o;
	int i;

	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_EVICT));
	ASSERT_EQ(0, other_start(&o, 1, crawls, self));
	ASSERT_EQ(1, hear(&o));
	for (i = 0; i < 300 || !pub_stat(self->pub).evicted; i++) {
		ASSERT_EQ(0, put_until(self->pub, 1, SOON));
	}
	EXPECT_EQ(0, other_end(&o));
	EXPECT_EQ(1, pub_stat(self->pub).evicted);
}

/* que: consumers share it by stride */
TEST_F(topic_policy, stride_shares)
{
	struct shmipc_sub_opts o = sub_opts(SHMIPC_START_NEW, 0);
	struct shmipc_sub *sub[3];
	uint32_t policy;
	uint64_t i, n;

	for (policy = SHMIPC_POLICY_LOSSY; policy <= SHMIPC_POLICY_EVICT; policy++) {
		o.policy = policy;
		o.stride = 3;
		for (i = 0; i < 3; i++) {
			o.stride_at = i;
			ASSERT_EQ(0, shmipc_sub_open(&sub[i], TOPIC, NULL, &o));
		}
		n = pub_stat(self->pub).next;
		ASSERT_EQ(0, put_range(self->pub, n, n + 50));
		for (i = 0; i < 50; i++) {
			ASSERT_EQ((int64_t)(n + i), get(sub[(n + i) % 3]));
		}
		for (i = 0; i < 3; i++) {
			EXPECT_EQ(-EAGAIN, get(sub[i]));
			EXPECT_EQ(0, sub_stat(sub[i]).lost);
		}
		/* Each is told only about its own part of the lost messages. */
		if (policy == SHMIPC_POLICY_LOSSY) {
			uint64_t all = 0, from, to;

			n = pub_stat(self->pub).next;
			ASSERT_EQ(0, put_range(self->pub, n, n + 300));
			for (i = 0; i < 3; i++) {
				ASSERT_EQ(-ESTALE, get(sub[i]));
				all += shmipc_sub_lost(sub[i], &from, &to);
				while (get(sub[i]) >= 0)
					all++;
			}
			EXPECT_EQ(300, all);
		}
		for (i = 0; i < 3; i++)
			shmipc_sub_close(sub[i]);
	}
}

/* A strided sleeper is woken by its message, not by those before. */
static int waits_for_its_own(struct other *me, void *arg)
{
	FIXTURE_DATA(topic_policy) *self = arg;

	tell(me, (uint64_t)get_until(self->sub, SOON));
	return 0;
}

TEST_F(topic_policy, strided_sleeper_is_woken_for_its_own_messages)
{
	struct shmipc_sub_opts o = sub_opts(SHMIPC_START_NEW, 0);
	struct shmipc_buf v[8];
	uint64_t n[8], i;
	struct other t;

	o.stride = 8;
	o.stride_at = 5;
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, &o));
	ASSERT_EQ(0, other_start(&t, 1, waits_for_its_own, self));
	ASSERT_EQ(0, until_asleep(t.tid));
	for (i = 0; i < 8; i++) {
		n[i] = i;
		v[i] = (struct shmipc_buf){ &n[i], 8 };
	}
	ASSERT_EQ(0, shmipc_pub_send_batch(self->pub, v, 8, 0));
	EXPECT_EQ(5, hear(&t));
	EXPECT_EQ(0, other_end(&t));
}

TEST_F(topic_policy, policies_that_the_creator_excluded_are_refused)
{
	struct shmipc_sub_opts o = sub_opts(0, SHMIPC_POLICY_LOSSLESS);
	struct shmipc_topic_opts t = self->t;
	struct shmipc_sub *sub;
	struct shmipc_pub *pub;

	t.policies = 1u << SHMIPC_POLICY_LOSSY;
	ASSERT_EQ(0, shmipc_pub_open(&pub, "lossy", &t, NULL));
	EXPECT_EQ(-EOPNOTSUPP, shmipc_sub_open(&sub, "lossy", NULL, &o));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "lossless"));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "EOPNOTSUPP"));
	o.policy = SHMIPC_POLICY_EVICT;
	EXPECT_EQ(-EOPNOTSUPP, shmipc_sub_open(&sub, "lossy", NULL, &o));
	o.policy = 0;
	ASSERT_EQ(0, shmipc_sub_open(&sub, "lossy", NULL, &o));
	shmipc_sub_close(sub);
	shmipc_pub_close(pub);
}

TEST_HARNESS_MAIN
