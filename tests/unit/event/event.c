// SPDX-License-Identifier: MIT
/* event: what is notified is received, once by each listener; sleeping and waking */
#include "event_ends.h"

TEST_F(event, each_listener_receives_each_notification_once)
{
	struct shmipc_listener *other;

	ASSERT_EQ(0, LISTEN(&other));
	EXPECT_EQ(0, shmipc_notifier_notify(self->n, 7, 1));
	EXPECT_EQ(0, shmipc_notifier_notify(self->n, 7, 1));
	EXPECT_EQ(2, got(self->l, 7));
	EXPECT_EQ(-EAGAIN, got(self->l, 7));
	EXPECT_EQ(0, shmipc_notifier_notify(self->n, 7, 40));
	EXPECT_EQ(40, got(self->l, 7));
	EXPECT_EQ(42, got(other, 7));
	EXPECT_EQ(-EAGAIN, got(other, 7));
	EXPECT_EQ(-EAGAIN, got(self->l, 6));
	EXPECT_EQ(42u, stat_of(self->l).taken);
	shmipc_listener_close(other);
}

TEST_F(event, the_past_is_received_on_request)
{
	struct shmipc_listener *now, *past;

	EXPECT_EQ(0, shmipc_notifier_notify(self->n, 0, 3));
	ASSERT_EQ(0, LISTEN(&now));
	ASSERT_EQ(0, LISTEN(&past, .flags = SHMIPC_LISTEN_PAST));
	EXPECT_EQ(-EAGAIN, got(now, 0));
	EXPECT_EQ(3, got(past, 0));
	shmipc_listener_close(now);
	shmipc_listener_close(past);
}

TEST_F(event, nobody_is_woken_who_does_not_sleep)
{
	struct shmipc_listener_stat st;
	int i;

	for (i = 0; i < 1000; i++)
		EXPECT_EQ(0, shmipc_notifier_notify(self->n, 1, 1));
	EXPECT_EQ(1000, got_soon(self->l, 1));
	st = stat_of(self->l);
	EXPECT_EQ(0u, st.sleeps);
	EXPECT_EQ(0u, wakes_of(self->n));
	/* A sleep that ends by itself leaves a want; it is fulfilled once, not by each. */
	EXPECT_EQ(-ETIMEDOUT, got_until(self->l, 1, shmipc_deadline_in(30000000)));
	EXPECT_EQ(1u, stat_of(self->l).sleeps);
	for (i = 0; i < 1000; i++)
		EXPECT_EQ(0, shmipc_notifier_notify(self->n, 1, 1));
	EXPECT_EQ(1u, wakes_of(self->n));
	EXPECT_EQ(1000, got(self->l, 1));
}

static int notify_when_told(struct other *me, void *arg)
{
	const uint32_t *event = arg;
	struct shmipc_notifier *n;
	uint64_t tid;

	CHECK(!shmipc_notifier_open(&n, NAME, NULL));
	tell(me, 1);
	while ((tid = hear(me)) != UINT64_MAX && tid) {
		CHECK(!until_asleep((pid_t)tid));
		CHECK(!shmipc_notifier_notify(n, *event, 1));
	}
	shmipc_notifier_close(n);
	return 0;
}

TEST_F(event, one_that_sleeps_is_woken)
{
	uint32_t event = 9, set[2] = { 3, 9 };
	struct shmipc_event_got g[2];
	struct other o;
	size_t n = 0;

	ASSERT_EQ(0, other_start(&o, 0, notify_when_told, &event));
	ASSERT_EQ(1u, hear(&o));
	tell(&o, (uint64_t)syscall(SYS_gettid));
	EXPECT_EQ(1, got_soon(self->l, 9));
	tell(&o, (uint64_t)syscall(SYS_gettid));
	EXPECT_EQ(0, any_soon(self->l, set, 2, g, 2, &n));
	EXPECT_EQ(1u, n);
	EXPECT_EQ(9u, g[0].event);
	EXPECT_EQ(1u, g[0].count);
	tell(&o, (uint64_t)syscall(SYS_gettid));
	EXPECT_EQ(0, any_soon(self->l, NULL, 0, g, 2, &n));
	EXPECT_EQ(1u, n);
	EXPECT_EQ(9u, g[0].event);
	/* One is there; the other comes while it sleeps. */
	EXPECT_EQ(0, shmipc_notifier_notify(self->n, 3, 5));
	tell(&o, (uint64_t)syscall(SYS_gettid));
	EXPECT_EQ(0, all_soon(self->l, set, 2, g, 2, &n));
	EXPECT_EQ(2u, n);
	EXPECT_EQ(5u, g[0].count);
	EXPECT_EQ(1u, g[1].count);
	tell(&o, 0);
	EXPECT_EQ(0, other_end(&o));
}

/* A sleep for others is not disturbed: neither that of one event, nor that of a set. */
static int sleep_for(struct other *me, void *arg)
{
	const uint32_t *set = arg;
	struct shmipc_event_got g[2];
	struct shmipc_listener *l;
	size_t n = set[1] != set[0] ? 2 : 1, many = n - 1;

	CHECK(!shmipc_listener_open(&l, NAME, NULL, &SHMIPC_LISTENER_OPTS(.spin_ns = SHMIPC_SPIN_NEVER)));
	tell(me, 1);
	CHECK(!any_soon(l, set, n, g, 2, &n));
	CHECK(n == 1 && g[0].event == set[0] && g[0].count == 1);
	CHECK(shmipc_load_relaxed(&l->counts.bell[l->at].rings) == many);
	/* A tick may have come; else it slept once. On the device peers that come and go end a sleep. */
	CHECK(env_on_dev() || stat_of(l).sleeps == 1 + stat_of(l).ticks);
	shmipc_listener_close(l);
	return 0;
}

TEST_F(event, a_sleeper_for_another_event_is_left_alone)
{
	uint32_t set[3][2] = { { 10, 10 }, { 11, 12 }, { 14, 15 } };
	struct other o[3];
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, other_start(&o[i], 0, sleep_for, set[i]));
		ASSERT_EQ(1u, hear(&o[i]));
		ASSERT_EQ(0, until_asleep(o[i].tid));
	}
	for (i = 0; i < 100; i++)
		EXPECT_EQ(0, shmipc_notifier_notify(self->n, 13, 1));
	EXPECT_EQ(0u, wakes_of(self->n));
	EXPECT_EQ(0, shmipc_notifier_notify(self->n, 10, 1));
	EXPECT_EQ(0, shmipc_notifier_notify(self->n, 14, 1));
	EXPECT_EQ(0, other_end(&o[2]));
	EXPECT_EQ(0, shmipc_notifier_notify(self->n, 11, 1));
	EXPECT_EQ(3u, wakes_of(self->n));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, other_end(&o[i]));
}

TEST_F(event, what_has_no_room_stays)
{
	struct shmipc_event_got g[64];
	uint32_t i, at, twice[3] = { 5, 5, 6 };
	uint64_t seen = 0;
	size_t n;

	for (i = 0; i < 64; i++)
		EXPECT_EQ(0, shmipc_notifier_notify(self->n, i, i + 1));
	for (i = 0; i < 64; i += 3) {
		ASSERT_EQ(0, shmipc_listener_wait_any(self->l, NULL, 0, g, 3, &n, 0));
		ASSERT_EQ(i < 63 ? 3u : 1u, n);
		for (at = 0; at < n; at++) {
			EXPECT_EQ(i + at, g[at].event);
			EXPECT_EQ(g[at].event + 1, g[at].count);
			seen |= UINT64_C(1) << g[at].event;
		}
	}
	EXPECT_EQ(UINT64_MAX, seen);
	EXPECT_EQ(-EAGAIN, shmipc_listener_wait_any(self->l, NULL, 0, g, 64, &n, 0));
	/* One that comes all the time does not keep the others from being received. */
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(0, shmipc_notifier_notify(self->n, 0, 1));
		EXPECT_EQ(0, shmipc_notifier_notify(self->n, i, 1));
	}
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, shmipc_listener_wait_any(self->l, NULL, 0, g, 1, &n, 0));
		EXPECT_EQ(i, g[0].event);
		EXPECT_EQ(0, shmipc_notifier_notify(self->n, 0, 1));
	}
	EXPECT_EQ(4, got(self->l, 0));
	EXPECT_EQ(0, shmipc_notifier_notify(self->n, 5, 1));
	EXPECT_EQ(0, shmipc_listener_wait_any(self->l, twice, 3, g, 64, &n, 0));
	EXPECT_EQ(1u, n);
	EXPECT_EQ(-EAGAIN, shmipc_listener_wait_all(self->l, twice, 3, g, 64, &n, 0));
	EXPECT_EQ(0, shmipc_notifier_notify(self->n, 5, 1));
	EXPECT_EQ(-EAGAIN, shmipc_listener_wait_all(self->l, twice, 3, g, 64, &n, 0));
	EXPECT_EQ(0, shmipc_notifier_notify(self->n, 6, 1));
	EXPECT_EQ(0, shmipc_listener_wait_all(self->l, twice, 3, g, 64, &n, 0));
	EXPECT_EQ(2u, n);
}

TEST_F(event, deadlines_are_kept)
{
	struct shmipc_event_got g[64];
	uint32_t set[2] = { 1, 2 };
	uint64_t end, now;
	size_t n = 99;
	int i, err;

	EXPECT_EQ(0, shmipc_notifier_notify(self->n, 1, 1));
	for (i = 0; i < 4; i++) {
		end = shmipc_deadline_in(20000000);
		err = i == 0 ? shmipc_listener_wait(self->l, 2, g, end) :
		      i == 1 ? shmipc_listener_wait_any(self->l, set + 1, 1, g, 1, &n, end) :
		      i == 2 ? shmipc_listener_wait_all(self->l, set, 2, g, 2, &n, end) :
			       shmipc_listener_wait(self->l, SHMIPC_LISTEN_DIED, g, end);
		now = now_ns();
		EXPECT_EQ(-ETIMEDOUT, err) TH_LOG("%d", i);
		EXPECT_LE(end, now);
		EXPECT_GT(end + LATE_NS, now);
		EXPECT_EQ(-ETIMEDOUT, shmipc_listener_wait(self->l, 2, g, 1)) TH_LOG("in the past");
	}
	EXPECT_EQ(99u, n);
	EXPECT_EQ(1, got(self->l, 1)) TH_LOG("nothing is taken before all can be");
}

#define MANY	4000

static int notify_many(struct other *me, void *arg)
{
	struct shmipc_notifier *n;
	uint32_t i, events = 64;

	(void)me;
	(void)arg;
	CHECK(!shmipc_notifier_open(&n, NAME, NULL));
	for (i = 0; i < MANY; i++)
		CHECK(!shmipc_notifier_notify(n, i % events, 1));
	shmipc_notifier_close(n);
	return 0;
}

TEST_F(event, nothing_is_lost_among_many)
{
	struct shmipc_event_got g[65];
	uint64_t total = 0;
	struct other o[4];
	size_t n, i;

	/* Processes first: a sanitizer does not live through a fork beside a thread that runs. */
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, other_start(&o[i], i >= 2, notify_many, NULL));
	while (total < 4 * MANY) {
		ASSERT_EQ(0, any_soon(self->l, NULL, 0, g, 65, &n));
		for (i = 0; i < n; i++) {
			ASSERT_NE(SHMIPC_LISTEN_DIED, g[i].event);
			total += g[i].count;
		}
	}
	EXPECT_EQ(4u * MANY, total);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, other_end(&o[i]));
	EXPECT_EQ(-EAGAIN, shmipc_listener_wait_any(self->l, NULL, 0, g, 65, &n, 0));
}

static struct shmipc_notifier *in_handler;

static void on_signal(int sig)
{
	(void)sig;
	(void)shmipc_notifier_notify(in_handler, 4, 1);
}

TEST_F(event, a_signal_handler_notifies)
{
	const struct sigaction sa = { .sa_handler = on_signal };
	struct other o;
	uint32_t set[2] = { 4, 4 };

	in_handler = self->n;
	(void)sigaction(SIGUSR1, &sa, NULL);
	ASSERT_EQ(0, other_start(&o, 0, sleep_for, set));
	ASSERT_EQ(1u, hear(&o));
	ASSERT_EQ(0, until_asleep(o.tid));
	(void)raise(SIGUSR1);
	EXPECT_EQ(0, other_end(&o));
	EXPECT_EQ(1, got(self->l, 4));
}

static int signal_when_asleep(struct other *me, void *arg)
{
	pid_t tid = *(const pid_t *)arg;

	(void)me;
	CHECK(!until_asleep(tid));
	CHECK(!kill(getppid(), SIGUSR2));
	return 0;
}

static void on_usr2(int sig)
{
	(void)sig;
}

TEST_F(event, a_signal_interrupts_and_nothing_is_lost)
{
	const struct sigaction sa = { .sa_handler = on_usr2 };
	pid_t tid = (pid_t)syscall(SYS_gettid);
	struct other o;

	(void)sigaction(SIGUSR2, &sa, NULL);
	ASSERT_EQ(0, other_start(&o, 0, signal_when_asleep, &tid));
	EXPECT_EQ(-EINTR, got_soon(self->l, 4));
	EXPECT_EQ(0, other_end(&o));
	EXPECT_EQ(0, shmipc_notifier_notify(self->n, 4, 2));
	EXPECT_EQ(2, got(self->l, 4));
}

TEST_HARNESS_MAIN
