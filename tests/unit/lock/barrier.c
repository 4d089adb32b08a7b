// SPDX-License-Identifier: MIT
/* barrier: rounds, deadlines, and the death of those that wait; on each backend */
#define STATE		struct shmipc_barrier
#include "ends.h"

#define SHORT_NS	UINT64_C(200000000)

FIXTURE(barrier) {
	struct env env;
	struct site site;
	struct end e;
	struct shmipc_peer *p;
	struct shmipc_barrier *s;
};

FIXTURE_VARIANT(barrier) {
	enum where where;
	uint64_t spin_ns;
};

FIXTURE_VARIANT_ADD(barrier, named) { NAMED, 0 };
FIXTURE_VARIANT_ADD(barrier, named_no_spin) { NAMED, SHMIPC_SPIN_NEVER };
FIXTURE_VARIANT_ADD(barrier, anon) { ANON, 0 };

FIXTURE_SETUP(barrier)
{
	env_set_up(&self->env);
	ASSERT_EQ(0, make_and_join(&self->site, &self->e, variant->where, variant->spin_ns, 0));
	self->p = self->e.p;
	self->s = self->e.s;
}

FIXTURE_TEARDOWN(barrier)
{
	part(&self->e);
	site_end(&self->site);
	env_tear_down(&self->env);
}

static struct shmipc_barrier_info info_of(FIXTURE_DATA(barrier) *self)
{
	struct shmipc_barrier_info i = SHMIPC_BARRIER_INFO();

	(void)shmipc_barrier_get_info(self->p, self->s, &i);
	return i;
}

/* The answer is what the call returned, plus 1000. */
enum { COME = 1, TRY, COME_SHORT };
#define SAYS	1000

static int come(struct end *e, uint64_t order)
{
	switch (order) {
	case COME:
		return shmipc_barrier_wait(e->p, e->s, SHMIPC_FOREVER);
	case TRY:
		return shmipc_barrier_wait(e->p, e->s, 0);
	case COME_SHORT:
		return shmipc_barrier_wait(e->p, e->s, shmipc_deadline_in(SHORT_NS));
	}
	return -EBADE;
}

static int call(struct end *e, uint64_t order)
{
	return -(SAYS + come(e, order));
}

static int start(FIXTURE_DATA(barrier) *self, struct other *o)
{
	return end_start(&self->site, o);
}

/* What it says when it was asked before. */
static int answer(struct other *o)
{
	return (int)hear(o) - SAYS;
}

static int ask_for(struct other *o, uint64_t order)
{
	return ask(o, order) - SAYS;
}

TEST_F(barrier, all_wait_for_all_again_and_again)
{
	struct other o[3];
	int i, k, serial;

	ASSERT_EQ(0, shmipc_barrier_init(self->s, 4));
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, start(self, &o[i]));
	for (k = 0; k < 20; k++) {
		for (i = 0; i < 3; i++)
			ASSERT_EQ(0, ask_asleep(&o[i], COME));
		EXPECT_EQ(3, info_of(self).arrived);
		serial = shmipc_barrier_wait(self->p, self->s, SHMIPC_FOREVER);
		for (i = 0; i < 3; i++)
			serial += answer(&o[i]);
		EXPECT_EQ(1, serial);
		EXPECT_EQ((uint32_t)k + 1, info_of(self).round);
		EXPECT_EQ(0, info_of(self).arrived);
	}
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, end(&o[i]));
}

TEST_F(barrier, of_one)
{
	ASSERT_EQ(0, shmipc_barrier_init(self->s, 1));
	EXPECT_EQ(1, shmipc_barrier_wait(self->p, self->s, 0));
	EXPECT_EQ(1, shmipc_barrier_wait(self->p, self->s, SHMIPC_FOREVER));
}

TEST_F(barrier, only_the_last_one_need_not_wait)
{
	struct other o;

	ASSERT_EQ(0, shmipc_barrier_init(self->s, 2));
	ASSERT_EQ(0, start(self, &o));
	EXPECT_EQ(-EAGAIN, shmipc_barrier_wait(self->p, self->s, 0));
	EXPECT_EQ(0, info_of(self).arrived);
	ASSERT_EQ(0, ask_asleep(&o, COME));
	EXPECT_EQ(1, shmipc_barrier_wait(self->p, self->s, 0));
	EXPECT_EQ(0, answer(&o));
	EXPECT_EQ(0, end(&o));
}

TEST_F(barrier, one_that_gives_up_breaks_it)
{
	struct other o[2];

	ASSERT_EQ(0, shmipc_barrier_init(self->s, 3));
	ASSERT_EQ(0, start(self, &o[0]));
	ASSERT_EQ(0, start(self, &o[1]));
	ASSERT_EQ(0, ask_asleep(&o[0], COME));
	EXPECT_EQ(-ETIMEDOUT, ask_for(&o[1], COME_SHORT));
	EXPECT_EQ(-ECANCELED, answer(&o[0]));
	EXPECT_EQ(-ECANCELED, shmipc_barrier_wait(self->p, self->s, SHMIPC_FOREVER));
	EXPECT_EQ(-ECANCELED, info_of(self).broken);
	ASSERT_EQ(0, shmipc_barrier_init(self->s, 1));
	EXPECT_EQ(1, shmipc_barrier_wait(self->p, self->s, SHMIPC_FOREVER));
	EXPECT_EQ(0, end(&o[0]));
	EXPECT_EQ(0, end(&o[1]));
}

/* One that does not run learns late that its round has ended. By then the next one is broken. */
TEST_F(barrier, a_round_that_has_ended_is_not_broken_by_the_next_one)
{
	struct other o;

	ASSERT_EQ(0, shmipc_barrier_init(self->s, 2));
	ASSERT_EQ(0, start(self, &o));
	ASSERT_EQ(0, ask_asleep(&o, COME));
	ASSERT_EQ(0, kill(o.pid, SIGSTOP));
	ASSERT_EQ(1, shmipc_barrier_wait(self->p, self->s, 0));
	EXPECT_EQ(-ETIMEDOUT, shmipc_barrier_wait(self->p, self->s, shmipc_deadline_in(1000000)));
	ASSERT_EQ(0, kill(o.pid, SIGCONT));
	EXPECT_EQ(0, answer(&o));
	EXPECT_EQ(-ECANCELED, ask_for(&o, COME));
	EXPECT_EQ(0, end(&o));
}

TEST_F(barrier, a_death_breaks_it)
{
	struct other o[2];

	ASSERT_EQ(0, shmipc_barrier_init(self->s, 3));
	ASSERT_EQ(0, start(self, &o[0]));
	ASSERT_EQ(0, start(self, &o[1]));
	ASSERT_EQ(0, ask_asleep(&o[0], COME));
	ASSERT_EQ(0, ask_asleep(&o[1], COME));
	EXPECT_EQ(256 + SIGKILL, other_kill(&o[0]));
	EXPECT_EQ(-EOWNERDEAD, answer(&o[1]));
	EXPECT_EQ(-EOWNERDEAD, shmipc_barrier_wait(self->p, self->s, SHMIPC_FOREVER));
	EXPECT_EQ(-EOWNERDEAD, info_of(self).broken);
	EXPECT_EQ(0, end(&o[1]));
}

/* No one is asleep then: the next one finds it. */
TEST_F(barrier, a_death_of_all_that_wait)
{
	struct other o;

	ASSERT_EQ(0, shmipc_barrier_init(self->s, 3));
	ASSERT_EQ(0, start(self, &o));
	ASSERT_EQ(0, ask_asleep(&o, COME));
	EXPECT_EQ(256 + SIGKILL, other_kill(&o));
	EXPECT_EQ(-EOWNERDEAD, shmipc_barrier_wait(self->p, self->s, SHMIPC_FOREVER));
}

TEST_F(barrier, needs_a_number)
{
	struct shmipc_barrier local = { .count = 1 };

	EXPECT_EQ(-EINVAL, shmipc_barrier_wait(self->p, self->s, SHMIPC_FOREVER));
	EXPECT_EQ(-EINVAL, shmipc_barrier_init(self->s, 0));
	EXPECT_EQ(-EINVAL, shmipc_barrier_init(self->s, SHMIPC_BARRIER_PLACES + 1));
	EXPECT_EQ(-EINVAL, shmipc_barrier_init((void *)((char *)self->s + 4), 1));
	EXPECT_EQ(-EINVAL, shmipc_barrier_wait(self->p, &local, 0));
}

/* Words that no honest peer writes: each call returns, by its deadline at the latest. */
TEST_F(barrier, hostile_words)
{
	static const uint64_t word[] = { 0, 1, 2, 3, 4, UINT32_MAX, UINT64_MAX, UINT64_C(1) << 32,
					 UINT64_C(1) << 63, 0x12345678 };
	uint64_t end_ns;
	size_t i, k;
	int ret;

	for (i = 0; i < ARRAY_SIZE(word); i++) {
		for (k = 0; k < ARRAY_SIZE(word); k++) {
			self->s->word = word[i];
			self->s->count = (uint32_t)k * 9;
			memset(self->s->place, (int)word[k], sizeof(self->s->place));
			end_ns = shmipc_deadline_in(1000000);
			ret = shmipc_barrier_wait(self->p, self->s, end_ns);
			EXPECT_GT(end_ns + LATE_NS, now_ns());
			EXPECT_TRUE(ret == 0 || ret == 1 || ret == -ETIMEDOUT || ret == -EOWNERDEAD ||
				    ret == -ECANCELED || ret == -EINVAL || ret == -EBUSY) TH_LOG("%d", ret);
			(void)info_of(self);
		}
	}
}

TEST_HARNESS_MAIN
