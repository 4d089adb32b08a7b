// SPDX-License-Identifier: MIT
/* waiter: its calls of a noun's functions, with a noun that counts them; independent of time */
#include <errno.h>
#include <kselftest_harness.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "wait/waiter.h"

#define FAR	3600000000000u	/* an hour: nothing here takes that long */

/* A noun whose sleeps return at once, with a result set by the test. */
struct noun {
	uint32_t word;
	__u64 polled;
	bool ready;
	int settle_ret;		/* what settle returns ... */
	int settle_from;	/* ... from this call of it on */
	uint64_t want;
	enum shmipc_tick tick;
	uint64_t until_ns;	/* of look; 0: none */
	uint64_t busy_until_ns;	/* look takes until then */
	int ready_at_look;	/* the number of the look that finds it ready */
	int settles, sures, wants, looks, tells;
};

static struct {
	int sleeps;
	int ret[32];		/* of each sleep */
	uint64_t ns[32];	/* how long each would have been */
	uint64_t until[32];
	size_t words;
	struct noun *wakes[32];	/* becomes ready by this sleep */
} bed;

static bool noun_ready(void *arg)
{
	return ((struct noun *)arg)->ready;
}

static const __u64 *noun_poll(void *arg, uint64_t *ret_val)
{
	*ret_val = 0;
	return &((struct noun *)arg)->polled;
}

static int noun_settle(void *arg, bool sure)
{
	struct noun *n = arg;

	n->sures += sure;
	return ++n->settles >= n->settle_from ? n->settle_ret : 0;
}

static uint64_t noun_want(void *arg)
{
	struct noun *n = arg;

	n->wants++;
	return n->want;
}

static int noun_sleep(struct shmipc_wait_set *set, uint64_t until_ns)
{
	uint64_t now = shmipc_now_ns();
	int i = bed.sleeps < 31 ? bed.sleeps : 31;

	bed.sleeps++;
	bed.words = set->n;
	bed.until[i] = until_ns;
	bed.ns[i] = until_ns > now ? until_ns - now : 0;
	if (bed.wakes[i])
		bed.wakes[i]->ready = true;
	return bed.ret[i];
}

static int other_sleep(struct shmipc_wait_set *set, uint64_t until_ns)
{
	(void)set;
	(void)until_ns;
	return 0;
}

static bool noun_look(void *arg, struct shmipc_wait_set *set)
{
	struct noun *n = arg;

	shmipc_wait_set_by(set, noun_sleep);
	shmipc_wait_set_add(set, (struct shmipc_word){ .word = &n->word, .val = n->word });
	shmipc_wait_set_tick(set, n->tick);
	if (n->until_ns)
		set->until_ns = n->until_ns;
	while (shmipc_now_ns() < n->busy_until_ns)
		continue;
	return ++n->looks != n->ready_at_look;
}

static bool stranger_look(void *arg, struct shmipc_wait_set *set)
{
	(void)arg;
	shmipc_wait_set_by(set, other_sleep);
	return true;
}

static void noun_tell(void *arg, const uint32_t *word, int ret)
{
	struct noun *n = arg;

	(void)word;
	n->tells += ret > 0 ? 100 : 1;
}

static const struct shmipc_wait_ops ops = {
	.ready = noun_ready, .settle = noun_settle, .want = noun_want, .look = noun_look,
	.tell = noun_tell,
};

static const struct shmipc_wait_ops polled_ops = {
	.ready = noun_ready, .poll = noun_poll, .look = noun_look,
};

static const struct shmipc_wait_ops stranger_ops = {
	.ready = noun_ready, .look = stranger_look,
};

FIXTURE(waiter) {
	struct shmipc_waiter w;
	struct noun n;
	uint64_t deadline;
};

FIXTURE_SETUP(waiter)
{
	memset(&bed, 0, sizeof(bed));
	memset(&self->n, 0, sizeof(self->n));
	self->n.want = 1;
	self->n.settle_from = 1;
	self->deadline = shmipc_now_ns() + FAR;
	shmipc_waiter_init(&self->w, UINT64_MAX, NULL);		/* does not spin */
}

FIXTURE_TEARDOWN(waiter)
{
}

static int wait_one(FIXTURE_DATA(waiter) *self)
{
	return shmipc_wait_one(&self->w, &ops, &self->n, self->deadline);
}

TEST_F(waiter, deadline_0_looks_for_deaths_and_does_not_sleep)
{
	self->deadline = 0;
	EXPECT_EQ(-EAGAIN, wait_one(self));
	EXPECT_EQ(1, self->n.settles);
	self->n.settle_ret = -EPIPE;
	EXPECT_EQ(-EPIPE, wait_one(self));
	self->n.settle_ret = 1;
	EXPECT_EQ(0, wait_one(self));
	EXPECT_EQ(0, bed.sleeps);
	EXPECT_EQ(0, self->n.looks);
}

TEST_F(waiter, deadline_that_has_passed_does_not_sleep)
{
	self->deadline = 1;
	EXPECT_EQ(-ETIMEDOUT, wait_one(self));
	self->deadline = shmipc_now_ns();
	EXPECT_EQ(-ETIMEDOUT, wait_one(self));
	EXPECT_EQ(0, bed.sleeps);
}

TEST_F(waiter, deadline_that_passes_between_two_looks_does_not_sleep)
{
	self->deadline = self->n.busy_until_ns = shmipc_now_ns() + 20000000;
	EXPECT_EQ(-ETIMEDOUT, wait_one(self));
	EXPECT_EQ(1, self->n.looks);
	EXPECT_EQ(0, bed.sleeps);
	EXPECT_EQ(0, self->n.tells);
}

/* Without a reason to wake it sleeps once. */
TEST_F(waiter, sleeps_until_its_deadline)
{
	self->deadline = shmipc_now_ns() + 100000000000u;	/* before the longest tick */
	bed.wakes[0] = &self->n;
	EXPECT_EQ(0, wait_one(self));
	EXPECT_EQ(1, bed.sleeps);
	EXPECT_EQ(self->deadline, bed.until[0]);
	EXPECT_EQ(1, self->w.sleeps);
	EXPECT_EQ(0, self->w.ticks);
	EXPECT_EQ(101, self->n.tells);
	EXPECT_EQ(1, self->n.wants);
	EXPECT_EQ(0, self->n.sures);
}

TEST_F(waiter, without_an_end_it_looks_every_ten_minutes)
{
	self->deadline = UINT64_MAX;
	bed.wakes[0] = &self->n;
	EXPECT_EQ(0, wait_one(self));
	EXPECT_LT(599000000000u, bed.ns[0]);
	EXPECT_GT(601000000000u, bed.ns[0]);
}

static void ticks(struct __test_metadata *_metadata, FIXTURE_DATA(waiter) *self,
		  enum shmipc_tick tick, uint64_t first_ns, uint64_t most_ns)
{
	uint64_t want = first_ns;
	int i;

	self->n.tick = tick;
	for (i = 0; i < 16; i++)
		bed.ret[i] = -ETIMEDOUT;
	bed.wakes[16] = &self->n;
	EXPECT_EQ(0, wait_one(self));
	EXPECT_EQ(17, bed.sleeps);
	EXPECT_EQ(16, self->w.ticks);
	/* After each tick it looks for deaths. */
	EXPECT_EQ(16, self->n.sures);
	for (i = 0; i < 16; i++) {
		EXPECT_GE(want, bed.ns[i]);
		want = 2 * want < most_ns ? 2 * want : most_ns;
	}
	EXPECT_LT(most_ns / 2, bed.ns[15]);
}

TEST_F(waiter, ticks_get_rare)
{
	ticks(_metadata, self, SHMIPC_TICK_UNSURE, 2000000, 64000000);
}

TEST_F(waiter, ticks_get_rare_with_untrusted_peers)
{
	ticks(_metadata, self, SHMIPC_TICK_GUARD, 50000000, 102400000000u);
}

TEST_F(waiter, ticks_stay_short_for_sleepers_that_cannot_be_woken)
{
	ticks(_metadata, self, SHMIPC_TICK_POLL, 1000000, 16000000);
}

/* From now on this process gets no membarrier. */
static int refuse_membarrier(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_membarrier, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(code[0]), code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

/* Without membarrier a wake may be missed at the start of a sleep, but not later. */
TEST_F(waiter, one_short_tick_where_the_fence_fails)
{
	int i;

	if (refuse_membarrier())
		SKIP(return, "no seccomp filters here");
	ASSERT_FALSE(shmipc_barrier_heavy());
	bed.ret[0] = -ETIMEDOUT;
	bed.wakes[2] = &self->n;
	EXPECT_EQ(0, wait_one(self));
	EXPECT_EQ(3, bed.sleeps);
	EXPECT_GE(1000000, bed.ns[0]);
	for (i = 1; i < 3; i++)
		EXPECT_LT(590000000000u, bed.ns[i]);
	EXPECT_EQ(1, self->w.ticks);
	/* Woken for something else: it sleeps again. */
	self->n.ready = false;
	bed.wakes[3] = &self->n;
	self->n.want = 2;
	EXPECT_EQ(0, wait_one(self));
	EXPECT_GE(1000000, bed.ns[3]);
}

TEST_F(waiter, a_time_set_by_the_noun_is_not_a_tick)
{
	self->n.until_ns = shmipc_now_ns() + 5000000;
	bed.ret[0] = bed.ret[1] = -ETIMEDOUT;
	bed.wakes[2] = &self->n;
	EXPECT_EQ(0, wait_one(self));
	EXPECT_EQ(self->n.until_ns, bed.until[0]);
	EXPECT_EQ(0, self->w.ticks);
	EXPECT_EQ(0, self->n.sures);
}

TEST_F(waiter, ready_behind_the_fence_does_not_sleep)
{
	self->n.ready_at_look = 1;
	EXPECT_EQ(0, wait_one(self));
	EXPECT_EQ(1, self->n.wants);
	EXPECT_EQ(0, bed.sleeps);
	self->n.want = SHMIPC_WANT_AGAIN;
	EXPECT_EQ(0, wait_one(self));
	EXPECT_EQ(1, self->n.looks);
	EXPECT_EQ(0, bed.sleeps);
}

/* A peer that died before the words were read is found afterwards. */
TEST_F(waiter, dead_are_settled_between_look_and_sleep)
{
	self->n.settle_from = 2;
	self->n.settle_ret = 1;
	EXPECT_EQ(0, wait_one(self));
	EXPECT_EQ(1, self->n.looks);
	EXPECT_EQ(0, bed.sleeps);
	self->n.settles = 0;
	self->n.settle_ret = -EPIPE;
	EXPECT_EQ(-EPIPE, wait_one(self));
	EXPECT_EQ(0, bed.sleeps);
}

TEST_F(waiter, signals_and_errors_end_it)
{
	bed.ret[0] = -EINTR;
	EXPECT_EQ(-EINTR, wait_one(self));
	bed.ret[1] = -ENOMEM;
	EXPECT_EQ(-ENOMEM, wait_one(self));
	EXPECT_EQ(2, bed.sleeps);
}

TEST_F(waiter, after_a_spurious_wake_it_sleeps_again)
{
	bed.wakes[9] = &self->n;
	EXPECT_EQ(0, wait_one(self));
	EXPECT_EQ(10, bed.sleeps);
	EXPECT_EQ(10, self->n.looks);
	EXPECT_EQ(0, self->w.ticks);
}

/* With SPIN_ALWAYS it never sleeps, but looks for deaths all the same. */
TEST_F(waiter, always_spinning_settles_the_dead)
{
	shmipc_waiter_init(&self->w, UINT64_MAX - 1, NULL);
	self->n.settle_from = 20;
	self->n.settle_ret = 1;
	EXPECT_EQ(0, wait_one(self));
	EXPECT_EQ(20, self->n.settles);
	self->n.settle_from = 1000000;
	self->deadline = shmipc_now_ns() + 200000000;
	EXPECT_EQ(-ETIMEDOUT, wait_one(self));
	EXPECT_LE(1, self->n.sures);
	EXPECT_EQ(0, bed.sleeps);
	EXPECT_EQ(0, self->n.looks);
	EXPECT_EQ(0, self->w.sleeps);
}

TEST_F(waiter, if_ready_at_once_it_costs_one_look)
{
	shmipc_waiter_init(&self->w, 0, NULL);
	if (!self->w.spin_ns)
		SKIP(return, "one CPU: there is no spinning");
	self->n.polled = 1;
	EXPECT_EQ(0, shmipc_wait_one(&self->w, &polled_ops, &self->n, self->deadline));
	EXPECT_EQ(0, self->n.looks);
	self->n.polled = 0;
	bed.wakes[0] = &self->n;
	EXPECT_EQ(0, shmipc_wait_one(&self->w, &polled_ops, &self->n, self->deadline));
	EXPECT_EQ(1, bed.sleeps);
}

#define MANY	300

TEST_F(waiter, any_of_many)
{
	static struct noun n[MANY];
	static struct shmipc_wait_item item[MANY];
	size_t first = 77;
	int i;

	memset(n, 0, sizeof(n));
	for (i = 0; i < MANY; i++) {
		n[i].want = 1;
		n[i].settle_from = 1;
		item[i] = (struct shmipc_wait_item){ &ops, &n[i] };
	}
	EXPECT_EQ(-EAGAIN, shmipc_wait_any(&self->w, item, MANY, 0, &first, 0));
	EXPECT_EQ(77, first);
	bed.wakes[1] = &n[123];
	EXPECT_EQ(0, shmipc_wait_any(&self->w, item, MANY, 200, &first, self->deadline));
	EXPECT_EQ(123, first);
	EXPECT_EQ(2, bed.sleeps);
	EXPECT_EQ(MANY, bed.words);
	/* The search begins at the index given by the caller. */
	n[40].ready = n[250].ready = true;
	EXPECT_EQ(0, shmipc_wait_any(&self->w, item, MANY, 124, &first, self->deadline));
	EXPECT_EQ(250, first);
	EXPECT_EQ(0, shmipc_wait_any(&self->w, item, MANY, 251, &first, self->deadline));
	EXPECT_EQ(40, first);
	/* After a death was settled for one of them it looks at all again. */
	n[40].ready = n[123].ready = n[250].ready = false;
	bed.wakes[2] = &n[1];
	for (i = 0; i < MANY; i++)
		n[i].settles = 0;
	n[5].settle_ret = 1;
	n[5].settle_from = 2;
	self->deadline = shmipc_now_ns() + FAR;
	EXPECT_EQ(-ETIMEDOUT, shmipc_wait_any(&self->w, item, MANY, 0, &first,
					      shmipc_now_ns() + 20000000));
	EXPECT_EQ(2, bed.sleeps);
	n[5].settle_ret = -EPROTO;
	EXPECT_EQ(-EPROTO, shmipc_wait_any(&self->w, item, MANY, 0, &first, self->deadline));
}

TEST_F(waiter, two_ways_to_sleep_are_refused)
{
	struct shmipc_wait_item item[2] = { { &ops, &self->n }, { &stranger_ops, &self->n } };
	size_t first;

	EXPECT_EQ(-EINVAL, shmipc_wait_any(&self->w, item, 2, 0, &first, self->deadline));
	EXPECT_EQ(0, bed.sleeps);
}

/* Waits of a round trip: a clock, and how long a period takes. */
struct trip {
	struct shmipc_cadence c;
	uint64_t now;
	uint32_t seed;
	uint32_t waits;
	uint32_t others;	/* waits with another number of pauses than the best */
};

static void trip_init(struct trip *t, uint32_t seed)
{
	memset(t, 0, sizeof(*t));
	t->seed = seed;
	shmipc_cadence_init(&t->c);
}

/* One wait: best with @best pauses, and worse by @per for each more or less; and noise. */
static void trip_once(struct trip *t, uint32_t best, uint32_t per)
{
	uint32_t pauses = shmipc_cadence_begin(&t->c);

	t->seed = t->seed * 1664525 + 1013904223;
	t->now += 400 + (uint64_t)per * (pauses > best ? pauses - best : best - pauses) + (t->seed >> 25);
	if (t->seed >> 22 == 7)
		t->now += 100000;	/* an interrupt */
	t->waits++;
	t->others += pauses != best;
	shmipc_cadence_end(&t->c, t->c.turn ? t->now : 0);
}

TEST(cadence_finds_the_best)
{
	static const uint32_t best[] = { 0, 1, 5, 18, 40, SHMIPC_CADENCE_MAX };
	struct trip t;
	size_t i;

	for (i = 0; i < sizeof(best) / sizeof(best[0]); i++) {
		trip_init(&t, (uint32_t)i + 1);
		EXPECT_EQ(0, t.c.pauses);
		while (t.waits < 400000)
			trip_once(&t, best[i], 60);
		/* It stays there, and tries others in less than one wait in a hundred. */
		t.waits = t.others = 0;
		while (t.waits < 1000000)
			trip_once(&t, best[i], 60);
		EXPECT_EQ(best[i], t.c.pauses);
		EXPECT_GT(10000, t.others);
		EXPECT_LT(0, t.others);
	}
}

/* What was right in a round trip is given up when it is wrong. */
TEST(cadence_gives_up_pauses_that_cost)
{
	struct trip t;

	trip_init(&t, 9);
	while (t.waits < 400000)
		trip_once(&t, 30, 60);
	EXPECT_EQ(30, t.c.pauses);
	for (t.waits = 0; t.waits < 1000000;)
		trip_once(&t, 0, 60);
	EXPECT_EQ(0, t.c.pauses);
}

/* If the pauses make no difference, the number stays within its bounds. */
TEST(cadence_of_noise)
{
	struct trip t;

	trip_init(&t, 5);
	while (t.waits < 1000000) {
		trip_once(&t, 0, 0);
		ASSERT_GE(SHMIPC_CADENCE_MAX, t.c.pauses);
		ASSERT_GE(SHMIPC_CADENCE_MAX, shmipc_cadence_begin(&t.c));
	}
	EXPECT_LT(0, t.others);
}

/* The first waits of a block still have something of the number before: they do not count. */
TEST(cadence_compares_blocks)
{
	struct shmipc_cadence c;
	uint64_t now = 0;
	uint32_t i;

	shmipc_cadence_init(&c);
	while (!c.turn)
		shmipc_cadence_end(&c, 0);
	for (i = 0; i < 2 * SHMIPC_CADENCE_BLOCK; i++) {
		EXPECT_EQ(i >= SHMIPC_CADENCE_BLOCK, shmipc_cadence_of_other(&c));
		/* The number on trial is faster but for its first waits. */
		now += shmipc_cadence_of_other(&c) ? (i < SHMIPC_CADENCE_BLOCK + 4 ? 1000 : 9) : 10;
		shmipc_cadence_end(&c, now);
	}
	EXPECT_EQ(1, c.better);
	EXPECT_EQ(0, c.worse);
}

TEST_HARNESS_MAIN
