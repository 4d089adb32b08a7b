// SPDX-License-Identifier: MIT
/* wait: deadlines, signals, wakes; on each backend, between processes or threads */
#include "site.h"

FIXTURE(wait) {
	struct env env;
	struct site s;
	struct shmipc_channel *ch;
};

FIXTURE_VARIANT(wait) {
	enum where where;
	uint64_t spin_ns;
};

FIXTURE_VARIANT_ADD(wait, named) { NAMED, 0 };
FIXTURE_VARIANT_ADD(wait, named_no_spin) { NAMED, SHMIPC_SPIN_NEVER };
FIXTURE_VARIANT_ADD(wait, anon) { ANON, 0 };
FIXTURE_VARIANT_ADD(wait, private) { PRIVATE, 0 };

FIXTURE_SETUP(wait)
{
	env_set_up(&self->env);
	ASSERT_EQ(0, site_make(&self->s, variant->where, SHMIPC_KIND_SPSC, 4096));
}

FIXTURE_TEARDOWN(wait)
{
	shmipc_channel_close(self->ch);
	site_end(&self->s);
	env_tear_down(&self->env);
}

static struct shmipc_channel_opts spin_opts(uint64_t spin_ns)
{
	struct shmipc_channel_opts o = { .struct_bytes = sizeof(o), .spin_ns = spin_ns };

	return o;
}

/* Open an end in this process. */
static int mine(FIXTURE_DATA(wait) *self, enum shmipc_role role, uint64_t spin_ns)
{
	struct shmipc_channel_opts o = spin_opts(spin_ns);

	return site_open(&self->s, &self->ch, role, &o);
}

static struct shmipc_channel_stat stat_of(struct shmipc_channel *ch)
{
	struct shmipc_channel_stat st = { .struct_bytes = sizeof(st) };

	(void)shmipc_channel_get_stat(ch, &st);
	return st;
}

/* Fill the ring. Return: number of messages. */
static int fill(struct shmipc_channel *ch)
{
	static const char buf[100];
	int n = 0;

	while (shmipc_channel_send(ch, buf, sizeof(buf), 0) == 0)
		n++;
	return n;
}

TEST_F(wait, deadlines_of_an_empty_ring)
{
	uint64_t end, v;
	size_t len;

	ASSERT_EQ(0, mine(self, SHMIPC_ROLE_CONSUMER, variant->spin_ns));
	EXPECT_EQ(-EAGAIN, shmipc_channel_recv(self->ch, &v, 8, &len, 0));
	EXPECT_EQ(-ETIMEDOUT, shmipc_channel_recv(self->ch, &v, 8, &len, 1));
	EXPECT_EQ(-ETIMEDOUT, shmipc_channel_recv(self->ch, &v, 8, &len, now_ns()));
	end = shmipc_deadline_in(30000000);
	EXPECT_EQ(-ETIMEDOUT, shmipc_channel_recv(self->ch, &v, 8, &len, end));
	EXPECT_LE(end, now_ns());
	EXPECT_EQ(-ETIMEDOUT, shmipc_channel_wait_peer(self->ch, shmipc_deadline_in(1000000)));
	EXPECT_EQ(-EAGAIN, shmipc_channel_wait_peer(self->ch, 0));
}

TEST_F(wait, deadlines_of_a_full_ring)
{
	uint64_t end;

	ASSERT_EQ(0, mine(self, SHMIPC_ROLE_PRODUCER, variant->spin_ns));
	EXPECT_LT(10, fill(self->ch));
	EXPECT_EQ(-EAGAIN, shmipc_channel_send(self->ch, &end, 200, 0));
	EXPECT_EQ(-ETIMEDOUT, shmipc_channel_send(self->ch, &end, 200, 1));
	end = shmipc_deadline_in(30000000);
	EXPECT_EQ(-ETIMEDOUT, shmipc_channel_send(self->ch, &end, 200, end));
	EXPECT_LE(end, now_ns());
	EXPECT_EQ(-EAGAIN, shmipc_channel_drain(self->ch, 0));
	EXPECT_EQ(-ETIMEDOUT, shmipc_channel_drain(self->ch, 1));
	end = shmipc_deadline_in(30000000);
	EXPECT_EQ(-ETIMEDOUT, shmipc_channel_drain(self->ch, end));
	EXPECT_LE(end, now_ns());
}

TEST_F(wait, drain_of_an_empty_ring_succeeds)
{
	ASSERT_EQ(0, mine(self, SHMIPC_ROLE_PRODUCER, variant->spin_ns));
	EXPECT_EQ(0, shmipc_channel_drain(self->ch, 0));
	EXPECT_EQ(0, shmipc_channel_drain(self->ch, SHMIPC_FOREVER));
}

/*
 * A sleeper without a reason to wake sleeps until its deadline. A segment received as a
 * descriptor may be written by other users: a few ticks, and ever rarer.
 */
TEST_F(wait, idle_sleeps_until_its_deadline)
{
	uint64_t extra = variant->where == ANON ? 3 : 0;
	const uint64_t ns = 400000000;	/* eight ticks of 50 ms */
	uint64_t v, before;
	size_t len;

	ASSERT_EQ(0, mine(self, SHMIPC_ROLE_CONSUMER, variant->spin_ns));
	EXPECT_EQ(-ETIMEDOUT, shmipc_channel_recv(self->ch, &v, 8, &len, shmipc_deadline_in(ns)));
	EXPECT_GE(1 + extra, stat_of(self->ch).sleeps);
	EXPECT_GE(extra, stat_of(self->ch).ticks);
	before = stat_of(self->ch).sleeps;
	EXPECT_EQ(-ETIMEDOUT, shmipc_channel_wait_peer(self->ch, shmipc_deadline_in(ns)));
	EXPECT_GE(1 + extra, stat_of(self->ch).sleeps - before);
	shmipc_channel_close(self->ch);
	self->ch = NULL;
	ASSERT_EQ(0, mine(self, SHMIPC_ROLE_PRODUCER, variant->spin_ns));
	fill(self->ch);
	/* One tick, as at first it waits for room for more than one message; then none. */
	EXPECT_EQ(-ETIMEDOUT, shmipc_channel_send(self->ch, &v, 200, shmipc_deadline_in(ns)));
	EXPECT_GE(2 + extra, stat_of(self->ch).sleeps);
	EXPECT_GE(1 + extra, stat_of(self->ch).ticks);
	before = stat_of(self->ch).sleeps;
	EXPECT_EQ(-ETIMEDOUT, shmipc_channel_drain(self->ch, shmipc_deadline_in(ns)));
	EXPECT_GE(1 + extra, stat_of(self->ch).sleeps - before);
}

/* The other side receives @n messages of one word, and sleeps before each. */
static int receiver(struct other *me, void *arg)
{
	FIXTURE_DATA(wait) *self = arg;
	struct shmipc_channel_opts o = spin_opts(SHMIPC_SPIN_NEVER);
	struct shmipc_channel *ch;
	uint64_t v, want = 0;
	size_t len;

	site_here(&self->s, me);
	CHECK(site_open(&self->s, &ch, SHMIPC_ROLE_CONSUMER, &o) == 0);
	tell(me, 1);
	while (hear(me) == 1) {
		CHECK(shmipc_channel_recv(ch, &v, sizeof(v), &len, SHMIPC_FOREVER) == 0);
		CHECK(v == want++ && len == sizeof(v));
		tell(me, 2);
	}
	CHECK(stat_of(ch).sleeps > 0);
	shmipc_channel_close(ch);
	return 0;
}

TEST_F(wait, send_wakes_a_sleeping_receiver)
{
	uint64_t i, t, fastest = UINT64_MAX;
	struct other o;

	ASSERT_EQ(0, mine(self, SHMIPC_ROLE_PRODUCER, variant->spin_ns));
	ASSERT_EQ(0, site_start(&self->s, &o, receiver, self));
	ASSERT_EQ(1, hear(&o));
	for (i = 0; i < 20; i++) {
		tell(&o, 1);
		if (until_asleep(o.tid))
			SKIP(goto out, "this machine does not show in which call a thread sleeps");
		t = now_ns();
		ASSERT_EQ(0, shmipc_channel_send(self->ch, &i, sizeof(i), 0));
		ASSERT_EQ(2, hear(&o));
		t = now_ns() - t;
		fastest = t < fastest ? t : fastest;
	}
	EXPECT_LE(15, stat_of(self->ch).wakes);
	/*
	 * Woken, or only checking again after a tick of 50 ms? A receiver that has just
	 * fallen asleep when the message is sent cannot be early twenty times by chance.
	 */
	EXPECT_GT(25000000, fastest);
out:
	tell(&o, 0);
	EXPECT_EQ(0, other_end(&o));
}

/* The other side fills the ring, and sleeps for room. */
static int sender(struct other *me, void *arg)
{
	FIXTURE_DATA(wait) *self = arg;
	struct shmipc_channel_opts o = spin_opts(SHMIPC_SPIN_NEVER);
	static const char buf[100];
	struct shmipc_channel *ch;

	site_here(&self->s, me);
	CHECK(site_open(&self->s, &ch, SHMIPC_ROLE_PRODUCER, &o) == 0);
	tell(me, (uint64_t)fill(ch));
	CHECK(hear(me) == 1);
	CHECK(shmipc_channel_send(ch, buf, sizeof(buf), SHMIPC_FOREVER) == 0);
	tell(me, 2);
	CHECK(hear(me) == 3);
	CHECK(shmipc_channel_drain(ch, SHMIPC_FOREVER) == 0);
	tell(me, 4);
	CHECK(stat_of(ch).sleeps > 0);
	shmipc_channel_close(ch);
	return 0;
}

TEST_F(wait, receive_wakes_a_sleeping_sender)
{
	char buf[100];
	struct other o;
	uint64_t n, i;
	size_t len;

	ASSERT_EQ(0, mine(self, SHMIPC_ROLE_CONSUMER, variant->spin_ns));
	ASSERT_EQ(0, site_start(&self->s, &o, sender, self));
	n = hear(&o);
	ASSERT_LT(10, n);
	tell(&o, 1);
	if (until_asleep(o.tid)) {
		other_kill(&o);
		SKIP(return, "this machine does not show in which call a thread sleeps");
	}
	/* Room for one more and a pad at the ring's end: it must not wait for a whole lot. */
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, shmipc_channel_recv(self->ch, buf, sizeof(buf), &len, 0));
	}
	ASSERT_EQ(2, hear(&o));
	n--;
	tell(&o, 3);
	ASSERT_EQ(0, until_asleep(o.tid));
	for (; n; n--) {
		ASSERT_EQ(0, shmipc_channel_recv(self->ch, buf, sizeof(buf), &len, 0));
	}
	ASSERT_EQ(4, hear(&o));
	EXPECT_LE(1, stat_of(self->ch).wakes);
	EXPECT_EQ(0, other_end(&o));
}

#define PINGS 300

/* The other side sends what it received. */
static int echo(struct other *me, void *arg)
{
	FIXTURE_DATA(wait) *self = arg;
	struct shmipc_channel_opts o = spin_opts(SHMIPC_SPIN_ALWAYS);
	struct shmipc_channel *ch;
	uint64_t v, i;
	size_t len;

	site_here(&self->s, me);
	CHECK(site_open(&self->s, &ch, SHMIPC_ROLE_CONSUMER, &o) == 0);
	tell(me, 1);
	for (i = 0; i < PINGS; i++) {
		CHECK(shmipc_channel_recv(ch, &v, sizeof(v), &len, SHMIPC_FOREVER) == 0);
		CHECK(v == i);
		tell(me, i);
	}
	CHECK(stat_of(ch).wakes == 0);
	CHECK(stat_of(ch).sleeps == 0);
	shmipc_channel_close(ch);
	return 0;
}

/* There is no wake call without sleepers. */
TEST_F(wait, spinning_receiver_is_never_woken)
{
	struct other o;
	uint64_t i;

	ASSERT_EQ(0, mine(self, SHMIPC_ROLE_PRODUCER, variant->spin_ns));
	ASSERT_EQ(0, site_start(&self->s, &o, echo, self));
	ASSERT_EQ(1, hear(&o));
	for (i = 0; i < PINGS; i++) {
		ASSERT_EQ(0, shmipc_channel_send(self->ch, &i, sizeof(i), SHMIPC_FOREVER));
		ASSERT_EQ(i, hear(&o));
	}
	EXPECT_EQ(0, stat_of(self->ch).wakes);
	EXPECT_EQ(0, stat_of(self->ch).sleeps);
	EXPECT_EQ(0, other_end(&o));
}

/*
 * Sends signals to a sleeping thread until it is told to stop: a single one may come
 * between two sleeps, where it has no effect.
 */
struct shot {
	pid_t tid;
	int sig;
	int stop;
};

static int shooter(struct other *me, void *arg)
{
	const struct timespec ms = { 0, 1000000 };
	struct shot *s = arg;

	(void)me;
	while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) {
		if (asleep_in(s->tid) >= 0)
			CHECK(syscall(SYS_tgkill, getpid(), s->tid, s->sig) == 0);
		(void)nanosleep(&ms, NULL);
	}
	return 0;
}

static int shooter_end(struct other *o, struct shot *s)
{
	int ret;

	__atomic_store_n(&s->stop, 1, __ATOMIC_RELEASE);
	ret = other_end(o);
	s->stop = 0;
	return ret;
}

static volatile sig_atomic_t shots;

static void on_signal(int sig)
{
	(void)sig;
	shots++;
}

static void handle(int sig, int flags)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = flags };

	sigaction(sig, &sa, NULL);
}

TEST_F(wait, signal_without_restart_is_eintr)
{
	struct shot s = { (pid_t)syscall(SYS_gettid), SIGUSR1, 0 };
	struct other o;
	uint64_t v = 5;
	size_t len;

	handle(SIGUSR1, 0);
	ASSERT_EQ(0, mine(self, SHMIPC_ROLE_CONSUMER, variant->spin_ns));
	ASSERT_EQ(0, other_start(&o, 1, shooter, &s));
	EXPECT_EQ(-EINTR, shmipc_channel_recv(self->ch, &v, 8, &len, SHMIPC_FOREVER));
	ASSERT_EQ(0, shooter_end(&o, &s));
	EXPECT_LE(1, shots);
	ASSERT_EQ(0, other_start(&o, 1, shooter, &s));
	EXPECT_EQ(-EINTR, shmipc_channel_wait_peer(self->ch, SHMIPC_FOREVER));
	ASSERT_EQ(0, shooter_end(&o, &s));
	EXPECT_LE(2, shots);
	/* Nothing is lost: call again. */
	EXPECT_EQ(-EAGAIN, shmipc_channel_recv(self->ch, &v, 8, &len, 0));
	shmipc_channel_close(self->ch);
	self->ch = NULL;
	ASSERT_EQ(0, mine(self, SHMIPC_ROLE_PRODUCER, variant->spin_ns));
	fill(self->ch);
	ASSERT_EQ(0, other_start(&o, 1, shooter, &s));
	EXPECT_EQ(-EINTR, shmipc_channel_send(self->ch, &s, 200, SHMIPC_FOREVER));
	ASSERT_EQ(0, shooter_end(&o, &s));
	ASSERT_EQ(0, other_start(&o, 1, shooter, &s));
	EXPECT_EQ(-EINTR, shmipc_channel_drain(self->ch, SHMIPC_FOREVER));
	ASSERT_EQ(0, shooter_end(&o, &s));
	EXPECT_LE(4, shots);
}

TEST_F(wait, signal_with_restart_goes_on)
{
	struct shot s = { (pid_t)syscall(SYS_gettid), SIGUSR1, 0 };
	struct other o;
	uint64_t v, end;
	size_t len;

	handle(SIGUSR1, SA_RESTART);
	ASSERT_EQ(0, mine(self, SHMIPC_ROLE_CONSUMER, variant->spin_ns));
	ASSERT_EQ(0, other_start(&o, 1, shooter, &s));
	end = shmipc_deadline_in(300000000);
	EXPECT_EQ(-ETIMEDOUT, shmipc_channel_recv(self->ch, &v, 8, &len, end));
	EXPECT_LE(end, now_ns());
	ASSERT_EQ(0, shooter_end(&o, &s));
	ASSERT_EQ(0, other_start(&o, 1, shooter, &s));
	EXPECT_EQ(-ETIMEDOUT, shmipc_channel_wait_peer(self->ch, shmipc_deadline_in(300000000)));
	ASSERT_EQ(0, shooter_end(&o, &s));
	shmipc_channel_close(self->ch);
	self->ch = NULL;
	ASSERT_EQ(0, mine(self, SHMIPC_ROLE_PRODUCER, variant->spin_ns));
	fill(self->ch);
	ASSERT_EQ(0, other_start(&o, 1, shooter, &s));
	EXPECT_EQ(-ETIMEDOUT, shmipc_channel_send(self->ch, &s, 200, shmipc_deadline_in(300000000)));
	ASSERT_EQ(0, shooter_end(&o, &s));
	EXPECT_LE(3, shots);
}

static int come_and_go(struct other *me, void *arg)
{
	FIXTURE_DATA(wait) *self = arg;
	struct shmipc_channel *ch;

	site_here(&self->s, me);
	CHECK(hear(me) == 1);
	CHECK(site_open(&self->s, &ch, SHMIPC_ROLE_PRODUCER, NULL) == 0);
	CHECK(hear(me) == 2);
	CHECK(shmipc_channel_send(ch, "a", 1, 0) == 0);
	CHECK(shmipc_channel_send(ch, "bc", 2, 0) == 0);
	shmipc_channel_close(ch);
	return 0;
}

static int tell_when_asleep(struct other *me, void *arg)
{
	struct shot *s = arg;
	uint64_t what;

	while ((what = hear(me)) != UINT64_MAX) {
		CHECK(until_asleep(s->tid) == 0);
		tell((struct other *)(void *)(uintptr_t)what, (uint64_t)s->sig++);
		tell(me, 1);
	}
	return 0;
}

TEST_F(wait, a_peer_wakes_a_sleeper_by_attaching_sending_and_leaving)
{
	struct shot s = { (pid_t)syscall(SYS_gettid), 1, 0 };
	struct other o, t;
	char buf[8];
	size_t len;

	ASSERT_EQ(0, mine(self, SHMIPC_ROLE_CONSUMER, SHMIPC_SPIN_NEVER));
	ASSERT_EQ(0, site_start(&self->s, &o, come_and_go, self));
	ASSERT_EQ(0, other_start(&t, 1, tell_when_asleep, &s));
	tell(&t, (uintptr_t)&o);
	ASSERT_EQ(0, shmipc_channel_wait_peer(self->ch, SHMIPC_FOREVER));
	ASSERT_EQ(1, hear(&t));
	EXPECT_EQ(0, shmipc_channel_wait_peer(self->ch, 0));
	tell(&t, (uintptr_t)&o);
	ASSERT_EQ(0, shmipc_channel_recv(self->ch, buf, 8, &len, SHMIPC_FOREVER));
	EXPECT_EQ(1, len);
	ASSERT_EQ(1, hear(&t));
	/* EPIPE only after draining. */
	ASSERT_EQ(0, shmipc_channel_recv(self->ch, buf, 8, &len, SHMIPC_FOREVER));
	EXPECT_EQ(2, len);
	EXPECT_EQ(-EPIPE, shmipc_channel_recv(self->ch, buf, 8, &len, SHMIPC_FOREVER));
	EXPECT_EQ(-EPIPE, shmipc_channel_recv(self->ch, buf, 8, &len, 0));
	EXPECT_EQ(SHMIPC_PEER_LEFT, shmipc_channel_peer(self->ch));
	shutdown(t.sock, SHUT_WR);
	EXPECT_EQ(0, other_end(&t));
	EXPECT_EQ(0, other_end(&o));
}

#define SLEEPERS 3

static int reader(struct other *me, void *arg)
{
	FIXTURE_DATA(wait) *self = arg;
	struct shmipc_channel_opts o = spin_opts(SHMIPC_SPIN_NEVER);
	struct shmipc_channel *ch;
	uint64_t v, i;
	size_t len;

	site_here(&self->s, me);
	CHECK(site_open(&self->s, &ch, SHMIPC_ROLE_READER, &o) == 0);
	tell(me, 1);
	for (i = 0; i < 5; i++) {
		CHECK(shmipc_channel_recv(ch, &v, sizeof(v), &len, SHMIPC_FOREVER) == 0);
		CHECK(v == i);
		tell(me, 2);
	}
	CHECK(shmipc_channel_recv(ch, &v, sizeof(v), &len, SHMIPC_FOREVER) == -EPIPE);
	shmipc_channel_close(ch);
	return 0;
}

TEST_F(wait, one_publish_wakes_all_readers)
{
	struct other o[SLEEPERS];
	uint64_t i;
	int k;

	site_end(&self->s);
	ASSERT_EQ(0, site_make(&self->s, variant->where, SHMIPC_KIND_BCAST, 4096));
	ASSERT_EQ(0, mine(self, SHMIPC_ROLE_PRODUCER, variant->spin_ns));
	EXPECT_EQ(-EINVAL, shmipc_channel_wait_peer(self->ch, 0));
	EXPECT_EQ(-EINVAL, shmipc_channel_drain(self->ch, 0));
	for (k = 0; k < SLEEPERS; k++) {
		ASSERT_EQ(0, site_start(&self->s, &o[k], reader, self));
		ASSERT_EQ(1, hear(&o[k]));
	}
	for (i = 0; i < 5; i++) {
		for (k = 0; k < SLEEPERS; k++) {
			ASSERT_EQ(0, until_asleep(o[k].tid));
		}
		ASSERT_EQ(0, shmipc_channel_send(self->ch, &i, sizeof(i), 0));
		for (k = 0; k < SLEEPERS; k++) {
			ASSERT_EQ(2, hear(&o[k]));
		}
	}
	for (k = 0; k < SLEEPERS; k++) {
		ASSERT_EQ(0, until_asleep(o[k].tid));
	}
	shmipc_channel_close(self->ch);
	self->ch = NULL;
	for (k = 0; k < SLEEPERS; k++) {
		EXPECT_EQ(0, other_end(&o[k]));
	}
}

TEST_HARNESS_MAIN
