// SPDX-License-Identifier: MIT
/* event: deaths of notifiers and of listeners, periods without a notification, hostile words */
#include "event_ends.h"

static int stay(struct other *me)
{
	tell(me, 1);
	return hear(me) == UINT64_MAX;
}

static int notifier_stays(struct other *me, void *arg)
{
	struct shmipc_notifier *n;

	(void)arg;
	CHECK(!shmipc_notifier_open(&n, NAME, NULL));
	CHECK(!stay(me));
	shmipc_notifier_close(n);
	return 0;
}

/* Killed between its notification and the waking: there is no wake of its own. */
static int notifier_stops_before_the_wake(struct other *me, void *arg)
{
	struct shmipc_notifier *n;
	uint64_t old;
	uint64_t tid;

	(void)arg;
	CHECK(!shmipc_notifier_open(&n, NAME, NULL));
	tell(me, 1);
	tid = hear(me);
	CHECK(!until_asleep((pid_t)tid));
	CHECK(shmipc_counts_add(&n->counts, 5, 1, &old));
	CHECK(!kill(getpid(), SIGKILL));
	return 1;
}

TEST_F(event, a_killed_notifier_is_reported)
{
	struct shmipc_event_got g[65];
	struct other o;
	size_t n;
	int i;

	EXPECT_EQ(-EAGAIN, got(self->l, SHMIPC_LISTEN_DIED));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, other_start(&o, 0, notifier_stays, NULL));
		ASSERT_EQ(1u, hear(&o));
		EXPECT_EQ(-EAGAIN, got(self->l, SHMIPC_LISTEN_DIED));
		(void)other_kill(&o);
		if (i) {
			EXPECT_EQ(1, got_soon(self->l, SHMIPC_LISTEN_DIED));
		} else {
			EXPECT_EQ(0, any_soon(self->l, NULL, 0, g, 65, &n));
		}
	}
	EXPECT_EQ(1u, n);
	EXPECT_EQ(SHMIPC_LISTEN_DIED, g[0].event);
	EXPECT_EQ(1u, g[0].count);
	EXPECT_EQ(-EAGAIN, got(self->l, SHMIPC_LISTEN_DIED));
	EXPECT_EQ(2u, stat_of(self->l).died);
}

TEST_F(event, closing_is_no_death)
{
	struct shmipc_notifier *n;
	struct other o;
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, shmipc_notifier_open(&n, NAME, NULL));
		shmipc_notifier_close(n);
	}
	ASSERT_EQ(0, other_start(&o, 0, notifier_stays, NULL));
	ASSERT_EQ(1u, hear(&o));
	tell(&o, 0);
	EXPECT_EQ(0, other_end(&o));
	EXPECT_EQ(-EAGAIN, got(self->l, SHMIPC_LISTEN_DIED));
}

/* The slot was taken again, and again, and nobody looked: each is counted all the same. */
TEST_F(event, deaths_are_counted_although_nobody_looks)
{
	struct shmipc_listener *late;
	struct other o;
	int i;

	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, other_start(&o, 0, notifier_stays, NULL));
		ASSERT_EQ(1u, hear(&o));
		if (i == 3) {
			tell(&o, 0);
			EXPECT_EQ(0, other_end(&o));
		} else {
			(void)other_kill(&o);
		}
	}
	EXPECT_EQ(4, got_soon(self->l, SHMIPC_LISTEN_DIED));
	ASSERT_EQ(0, LISTEN(&late));
	EXPECT_EQ(-EAGAIN, got(late, SHMIPC_LISTEN_DIED)) TH_LOG("it counts from its opening on");
	shmipc_listener_close(late);
}

TEST_F(event, a_sleeper_hears_of_a_death)
{
	struct other o;
	int64_t n;
	pid_t pid;

	ASSERT_EQ(0, other_start(&o, 0, notifier_stays, NULL));
	ASSERT_EQ(1u, hear(&o));
	/* A child kills it when we sleep. */
	pid = getpid();
	if (!fork()) {
		(void)until_asleep(pid);
		(void)kill(o.pid, SIGKILL);
		_exit(0);
	}
	do
		n = got_soon(self->l, SHMIPC_LISTEN_DIED);
	while (n == -EINTR);
	EXPECT_EQ(1, n);
	(void)other_end(&o);
}

TEST_F(event, killed_before_the_wake_nobody_sleeps_on)
{
	struct other o;

	ASSERT_EQ(0, other_start(&o, 0, notifier_stops_before_the_wake, NULL));
	ASSERT_EQ(1u, hear(&o));
	tell(&o, (uint64_t)syscall(SYS_gettid));
	EXPECT_EQ(1, got_soon(self->l, 5));
	EXPECT_EQ(256 + SIGKILL, other_end(&o));
	EXPECT_EQ(1, got_soon(self->l, SHMIPC_LISTEN_DIED));
}

/* The sleep began before this notifier came. */
static int newcomer_stops_before_the_wake(struct other *me, void *arg)
{
	struct shmipc_notifier *n;
	uint64_t old;

	(void)me;
	CHECK(!until_asleep(*(const pid_t *)arg));
	CHECK(!shmipc_notifier_open(&n, NAME, NULL));
	CHECK(shmipc_counts_add(&n->counts, 5, 1, &old));
	CHECK(!kill(getpid(), SIGKILL));
	return 1;
}

TEST_F(event, a_notifier_that_comes_is_watched)
{
	pid_t tid = (pid_t)syscall(SYS_gettid);
	struct other o;

	ASSERT_EQ(0, other_start(&o, 0, newcomer_stops_before_the_wake, &tid));
	EXPECT_EQ(1, got_soon(self->l, 5));
	EXPECT_EQ(256 + SIGKILL, other_end(&o));
}

TEST_F(event, killed_before_the_bell_nobody_sleeps_on)
{
	uint32_t set[2] = { 4, 5 };
	struct shmipc_event_got g[2];
	struct other o;
	size_t n;

	ASSERT_EQ(0, other_start(&o, 0, notifier_stops_before_the_wake, NULL));
	ASSERT_EQ(1u, hear(&o));
	tell(&o, (uint64_t)syscall(SYS_gettid));
	EXPECT_EQ(0, any_soon(self->l, set, 2, g, 2, &n));
	EXPECT_EQ(5u, g[0].event);
	EXPECT_EQ(256 + SIGKILL, other_end(&o));
}

static int listener_sleeps(struct other *me, void *arg)
{
	struct shmipc_event_got g;
	struct shmipc_listener *l;
	size_t n;

	CHECK(!shmipc_listener_open(&l, NAME, NULL, &SHMIPC_LISTENER_OPTS(.spin_ns = SHMIPC_SPIN_NEVER)));
	tell(me, 1);
	if (arg)
		return any_soon(l, NULL, 0, &g, 1, &n);
	return shmipc_listener_wait(l, 6, &g, SOON);
}

/* What a listener wanted that was killed in its sleep costs one wake at most. */
TEST_F(event, a_killed_listener_costs_nothing)
{
	struct other o;
	int set, i;

	for (set = 0; set < 2; set++) {
		ASSERT_EQ(0, other_start(&o, 0, listener_sleeps, set ? self : NULL));
		ASSERT_EQ(1u, hear(&o));
		ASSERT_EQ(0, until_asleep(o.tid));
		(void)other_kill(&o);
		for (i = 0; i < 100; i++)
			EXPECT_EQ(0, shmipc_notifier_notify(self->n, 6, 1));
		EXPECT_EQ(1u + (unsigned)set, wakes_of(self->n));
		EXPECT_EQ(100, got(self->l, 6));
	}
}

/* Periods */

#define PERIOD	UINT64_C(20000000)

TEST_F(event, a_missed_period_is_reported)
{
	struct shmipc_event_got g[2];
	uint32_t set[2] = { 1, 2 };
	uint64_t end;
	size_t n;

	end = shmipc_deadline_in(PERIOD);
	ASSERT_EQ(0, shmipc_listener_expect(self->l, 1, PERIOD));
	EXPECT_EQ(-EAGAIN, got(self->l, 1));
	EXPECT_EQ(0, shmipc_listener_wait(self->l, 1, &g[0], SOON));
	EXPECT_LE(end, now_ns()) TH_LOG("too early");
	EXPECT_GT(end + LATE_NS, now_ns());
	EXPECT_EQ(0u, g[0].count);
	EXPECT_LE(1u, g[0].missed);
	/* Among others, asleep on the bell. */
	EXPECT_EQ(0, any_soon(self->l, set, 2, g, 2, &n));
	EXPECT_EQ(1u, n);
	EXPECT_EQ(1u, g[0].event);
	EXPECT_LE(1u, g[0].missed);
	/* All: the other has come, this one is missed. */
	EXPECT_EQ(0, shmipc_notifier_notify(self->n, 2, 1));
	EXPECT_EQ(0, all_soon(self->l, set, 2, g, 2, &n));
	EXPECT_EQ(2u, n);
	EXPECT_LE(1u, g[0].missed);
	EXPECT_EQ(1u, g[1].count);
	EXPECT_LE(3u, stat_of(self->l).missed);
	EXPECT_EQ(0, shmipc_listener_expect(self->l, 1, 0));
	EXPECT_EQ(-ETIMEDOUT, got_until(self->l, 1, shmipc_deadline_in(3 * PERIOD)));
}

TEST_F(event, periods_follow_each_other)
{
	struct shmipc_event_got g;
	uint64_t from = now_ns(), missed = 0;

	ASSERT_EQ(0, shmipc_listener_expect(self->l, 1, PERIOD));
	while (missed < 5) {
		ASSERT_EQ(0, shmipc_listener_wait(self->l, 1, &g, SOON));
		missed += g.missed;
	}
	EXPECT_LE(from + missed * PERIOD, now_ns()) TH_LOG("more than there were");
	/* One that comes begins a new period, however late it is found. */
	EXPECT_EQ(0, shmipc_listener_expect(self->l, 1, 10 * PERIOD));
	EXPECT_EQ(-ETIMEDOUT, got_until(self->l, 1, shmipc_deadline_in(5 * PERIOD)));
	from = now_ns();
	EXPECT_EQ(0, shmipc_notifier_notify(self->n, 1, 1));
	EXPECT_EQ(0, shmipc_listener_wait(self->l, 1, &g, SOON));
	EXPECT_EQ(1u, g.count);
	EXPECT_EQ(0u, g.missed);
	EXPECT_EQ(0, shmipc_listener_wait(self->l, 1, &g, SOON));
	EXPECT_LE(1u, g.missed);
	EXPECT_LE(from + 10 * PERIOD, now_ns()) TH_LOG("the old period went on");
}

TEST_F(event, a_period_that_is_kept_is_not_reported)
{
	struct shmipc_event_got g;
	int i;

	ASSERT_EQ(0, shmipc_listener_expect(self->l, 1, UINT64_C(3600000000000)));
	ASSERT_EQ(0, shmipc_listener_expect(self->l, 2, UINT64_MAX));
	for (i = 0; i < 100; i++) {
		EXPECT_EQ(0, shmipc_notifier_notify(self->n, 1, 1));
		EXPECT_EQ(0, shmipc_listener_wait(self->l, 1, &g, SOON));
		EXPECT_EQ(1u, g.count);
		EXPECT_EQ(0u, g.missed);
	}
	EXPECT_EQ(-EAGAIN, got(self->l, 2));
	EXPECT_EQ(0u, stat_of(self->l).missed);
}

/* Hostile words */

TEST_F(event, a_count_that_is_set_back_is_told_once)
{
	__u64 *count = shmipc_counts_count(&self->n->counts, 3);
	struct shmipc_event_got g[65];
	size_t n;

	EXPECT_EQ(0, shmipc_notifier_notify(self->n, 3, 10));
	EXPECT_EQ(10, got(self->l, 3));
	shmipc_store_relaxed(count, UINT64_C(4));
	EXPECT_EQ(-EPROTO, got(self->l, 3));
	EXPECT_EQ(-EAGAIN, got(self->l, 3));
	EXPECT_EQ(0, shmipc_notifier_notify(self->n, 3, 1));
	EXPECT_EQ(1, got_soon(self->l, 3));
	shmipc_store_relaxed(count, UINT64_C(0));
	EXPECT_EQ(-EPROTO, shmipc_listener_wait_any(self->l, NULL, 0, g, 65, &n, 0));
	EXPECT_EQ(-EAGAIN, shmipc_listener_wait_any(self->l, NULL, 0, g, 65, &n, 0));
}

TEST_F(event, a_want_that_is_nonsense_costs_no_wakes)
{
	struct shmipc_event_want *want;
	int i;

	if (env_on_dev())
		SKIP(return, "a notifier cannot write there, which is tested by roles_are_enforced");
	want = shmipc_counts_want_of(&self->n->counts, 3);
	shmipc_store_relaxed(&want->one, UINT64_MAX);
	shmipc_store_relaxed(&want->many, UINT64_MAX - 5);
	shmipc_store_relaxed(&self->n->counts.ctl->used, UINT64_MAX);
	for (i = 0; i < 100; i++)
		EXPECT_EQ(0, shmipc_notifier_notify(self->n, 3, 1));
	EXPECT_EQ(0u, wakes_of(self->n));
	/* One that sleeps puts it right, and is woken. */
	EXPECT_EQ(100, got(self->l, 3));
	EXPECT_EQ(-ETIMEDOUT, got_until(self->l, 3, shmipc_deadline_in(30000000)));
	EXPECT_EQ(101u, shmipc_load_relaxed(&want->one));
	EXPECT_EQ(0, shmipc_notifier_notify(self->n, 3, 1));
	EXPECT_EQ(1u, wakes_of(self->n));
}

/* One that writes counts and takes them back keeps nobody beyond the deadline. */
static int scribble(struct other *me, void *arg)
{
	struct shmipc_notifier *n;
	__u64 *count;

	(void)arg;
	CHECK(!shmipc_notifier_open(&n, NAME, NULL));
	tell(me, 1);
	count = shmipc_counts_count(&n->counts, 3);
	for (;;) {
		shmipc_store_relaxed(count, UINT64_C(1));
		shmipc_store_relaxed(count, UINT64_C(0));
	}
}

TEST_F(event, deadlines_are_kept_against_one_that_scribbles)
{
	uint64_t end = shmipc_deadline_in(200000000), now;
	struct shmipc_event_got g[65];
	struct other o;
	int64_t ret = 0;
	size_t n;
	int i;

	ASSERT_EQ(0, other_start(&o, 0, scribble, NULL));
	ASSERT_EQ(1u, hear(&o));
	for (i = 0; ret != -ETIMEDOUT; i++) {
		ret = i % 2 ? got_until(self->l, 3, end) :
		      shmipc_listener_wait_any(self->l, NULL, 0, g, 65, &n, end);
		now = now_ns();
		ASSERT_GT(end + LATE_NS, now);
		ASSERT_TRUE(ret >= 0 || ret == -EPROTO || ret == -ETIMEDOUT) TH_LOG("%lld", (long long)ret);
		if (now > end + 1000000000)	/* there was something each time */
			break;
	}
	(void)other_kill(&o);
}

TEST_HARNESS_MAIN
