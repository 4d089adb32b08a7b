// SPDX-License-Identifier: MIT
/* sem: units that are posted and taken, deadlines, and the death of their owners; on each backend */
#define STATE		struct shmipc_sem
#include "ends.h"

#define SHORT_NS	UINT64_C(200000000)

FIXTURE(sem) {
	struct env env;
	struct site site;
	struct end e;
	struct shmipc_peer *p;
	struct shmipc_sem *s;
};

FIXTURE_VARIANT(sem) {
	enum where where;
	uint64_t spin_ns;
};

FIXTURE_VARIANT_ADD(sem, named) { NAMED, 0 };
FIXTURE_VARIANT_ADD(sem, named_no_spin) { NAMED, SHMIPC_SPIN_NEVER };
FIXTURE_VARIANT_ADD(sem, anon) { ANON, 0 };

FIXTURE_SETUP(sem)
{
	env_set_up(&self->env);
	ASSERT_EQ(0, make_and_join(&self->site, &self->e, variant->where, variant->spin_ns, 0));
	self->p = self->e.p;
	self->s = self->e.s;
}

FIXTURE_TEARDOWN(sem)
{
	part(&self->e);
	site_end(&self->site);
	env_tear_down(&self->env);
}

static struct shmipc_sem_info info_of(FIXTURE_DATA(sem) *self)
{
	struct shmipc_sem_info i = SHMIPC_SEM_INFO();

	(void)shmipc_sem_get_info(self->p, self->s, &i);
	return i;
}

enum { WAIT = 1, TRY, WAIT_SHORT, POST };

static int call(struct end *e, uint64_t order)
{
	switch (order) {
	case WAIT:
		return shmipc_sem_wait(e->p, e->s, SHMIPC_FOREVER);
	case TRY:
		return shmipc_sem_wait(e->p, e->s, 0);
	case WAIT_SHORT:
		return shmipc_sem_wait(e->p, e->s, shmipc_deadline_in(SHORT_NS));
	case POST:
		return shmipc_sem_post(e->p, e->s, 1);
	}
	return -EBADE;
}

static int start(FIXTURE_DATA(sem) *self, struct other *o)
{
	return end_start(&self->site, o);
}

TEST_F(sem, counts)
{
	EXPECT_EQ(-EAGAIN, shmipc_sem_wait(self->p, self->s, 0));
	EXPECT_EQ(0, shmipc_sem_post(self->p, self->s, 2));
	EXPECT_EQ(2, info_of(self).value);
	EXPECT_EQ(0, info_of(self).units);
	EXPECT_EQ(0, shmipc_sem_wait(self->p, self->s, 0));
	EXPECT_EQ(0, shmipc_sem_wait(self->p, self->s, SHMIPC_FOREVER));
	EXPECT_EQ(-EAGAIN, shmipc_sem_wait(self->p, self->s, 0));
	EXPECT_EQ(-EINVAL, shmipc_sem_post(self->p, self->s, 0));
	EXPECT_EQ(0, shmipc_sem_init(self->s, 3, 0));
	EXPECT_EQ(3, info_of(self).value);
}

TEST_F(sem, has_an_end)
{
	EXPECT_EQ(0, shmipc_sem_post(self->p, self->s, SHMIPC_SEM_MAX));
	EXPECT_EQ(-EOVERFLOW, shmipc_sem_post(self->p, self->s, 1));
	EXPECT_EQ(SHMIPC_SEM_MAX, info_of(self).value);
	EXPECT_EQ(0, shmipc_sem_wait(self->p, self->s, 0));
	EXPECT_EQ(-EOVERFLOW, shmipc_sem_post(self->p, self->s, UINT32_MAX));
	EXPECT_EQ(0, shmipc_sem_post(self->p, self->s, 1));
}

TEST_F(sem, initial_values)
{
	EXPECT_EQ(-EINVAL, shmipc_sem_init(self->s, SHMIPC_SEM_MAX + 1, 0));
	EXPECT_EQ(-EINVAL, shmipc_sem_init(self->s, SHMIPC_SEM_UNITS + 1, SHMIPC_SEM_ROBUST));
	EXPECT_EQ(-EINVAL, shmipc_sem_init(self->s, 0, SHMIPC_SEM_ROBUST));
	EXPECT_EQ(-EINVAL, shmipc_sem_init(self->s, 1, 2));
	EXPECT_EQ(-EINVAL, shmipc_sem_init((void *)((char *)self->s + 4), 1, 0));
	EXPECT_EQ(0, shmipc_sem_init(self->s, SHMIPC_SEM_UNITS, SHMIPC_SEM_ROBUST));
	EXPECT_EQ(SHMIPC_SEM_UNITS, info_of(self).value);
	EXPECT_EQ(SHMIPC_SEM_UNITS, info_of(self).units);
}

TEST_F(sem, deadlines)
{
	uint64_t end_ns;
	uint32_t i;

	for (i = 0; i < 2; i++) {
		if (i) {
			ASSERT_EQ(0, shmipc_sem_init(self->s, 1, SHMIPC_SEM_ROBUST));
			EXPECT_EQ(0, shmipc_sem_wait(self->p, self->s, 1));
		}
		EXPECT_EQ(-EAGAIN, shmipc_sem_wait(self->p, self->s, 0));
		EXPECT_EQ(-ETIMEDOUT, shmipc_sem_wait(self->p, self->s, 1));
		end_ns = shmipc_deadline_in(30000000);
		EXPECT_EQ(-ETIMEDOUT, shmipc_sem_wait(self->p, self->s, end_ns));
		EXPECT_LE(end_ns, now_ns());
		EXPECT_GT(end_ns + LATE_NS, now_ns());
	}
}

/* Another process takes what this one has posted, and the other way. */
TEST_F(sem, any_thread_may_post)
{
	struct other o;

	ASSERT_EQ(0, start(self, &o));
	ASSERT_EQ(0, ask_asleep(&o, WAIT));
	EXPECT_EQ(0, shmipc_sem_post(self->p, self->s, 1));
	EXPECT_EQ(0, hear(&o));
	EXPECT_EQ(0, ask(&o, POST));
	EXPECT_EQ(0, ask(&o, POST));
	EXPECT_EQ(0, shmipc_sem_wait(self->p, self->s, 0));
	EXPECT_EQ(0, shmipc_sem_wait(self->p, self->s, 0));
	EXPECT_EQ(0, end(&o));
}

/* One post of three, and three posts of one, reach three sleepers. */
TEST_F(sem, as_many_are_woken_as_are_posted)
{
	struct other o[3];
	int i, k;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, start(self, &o[i]));
	for (k = 0; k < 2; k++) {
		for (i = 0; i < 3; i++)
			ASSERT_EQ(0, ask_asleep(&o[i], WAIT));
		EXPECT_NE(0, info_of(self).flags & SHMIPC_SEM_WAITED_FOR);
		for (i = 0; i < 3; i += k ? 1 : 3)
			EXPECT_EQ(0, shmipc_sem_post(self->p, self->s, k ? 1 : 3));
		for (i = 0; i < 3; i++)
			EXPECT_EQ(0, hear(&o[i]));
		EXPECT_EQ(0, info_of(self).value);
	}
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, end(&o[i]));
}

TEST_F(sem, units_of_a_robust_one_have_owners)
{
	struct other o;

	ASSERT_EQ(0, shmipc_sem_init(self->s, 2, SHMIPC_SEM_ROBUST));
	ASSERT_EQ(0, start(self, &o));
	EXPECT_EQ(-EPERM, shmipc_sem_post(self->p, self->s, 1));
	ASSERT_EQ(0, ask(&o, WAIT));
	EXPECT_EQ(0, info_of(self).held);
	EXPECT_EQ((uint32_t)o.pid, info_of(self).holder.pid);
	EXPECT_EQ(-EPERM, shmipc_sem_post(self->p, self->s, 1));
	ASSERT_EQ(0, shmipc_sem_wait(self->p, self->s, 0));
	EXPECT_EQ(1, info_of(self).held);
	EXPECT_EQ(0, info_of(self).value);
	EXPECT_EQ(EAGAIN, ask(&o, TRY));
	EXPECT_EQ(-EPERM, shmipc_sem_post(self->p, self->s, 2));
	EXPECT_EQ(1, info_of(self).held);
	ASSERT_EQ(0, ask_asleep(&o, WAIT));
	EXPECT_EQ(0, shmipc_sem_post(self->p, self->s, 1));
	EXPECT_EQ(0, hear(&o));
	EXPECT_EQ(0, ask(&o, POST));
	EXPECT_EQ(0, ask(&o, POST));
	EXPECT_EQ(EPERM, ask(&o, POST));
	EXPECT_EQ(2, info_of(self).value);
	EXPECT_EQ(0, end(&o));
}

static int beside(struct other *me, void *arg)
{
	FIXTURE_DATA(sem) *self = arg;

	(void)me;
	return shmipc_sem_post(self->p, self->s, 1);
}

TEST_F(sem, any_thread_of_the_owner_gives_a_unit_back)
{
	struct other o;

	ASSERT_EQ(0, shmipc_sem_init(self->s, 1, SHMIPC_SEM_ROBUST));
	ASSERT_EQ(0, shmipc_sem_wait(self->p, self->s, 0));
	ASSERT_EQ(0, other_start(&o, 1, beside, self));
	EXPECT_EQ(0, other_end(&o));
	EXPECT_EQ(1, info_of(self).value);
}

TEST_F(sem, the_units_of_a_dead_process_come_back_once)
{
	struct other o[2];
	int i;

	ASSERT_EQ(0, shmipc_sem_init(self->s, 3, SHMIPC_SEM_ROBUST));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, start(self, &o[i]));
	EXPECT_EQ(0, ask(&o[0], WAIT));
	EXPECT_EQ(0, ask(&o[0], WAIT));
	EXPECT_EQ(0, ask(&o[1], WAIT));
	EXPECT_EQ(256 + SIGKILL, other_kill(&o[0]));
	EXPECT_EQ(2, info_of(self).value);
	EXPECT_EQ(0, shmipc_sem_wait(self->p, self->s, 0));
	EXPECT_EQ(0, shmipc_sem_wait(self->p, self->s, 0));
	EXPECT_EQ(-EAGAIN, shmipc_sem_wait(self->p, self->s, 0));
	EXPECT_EQ(2, info_of(self).freed);
	EXPECT_EQ(0, shmipc_sem_post(self->p, self->s, 2));
	EXPECT_EQ(0, ask(&o[1], POST));
	EXPECT_EQ(3, info_of(self).value);
	EXPECT_EQ(0, end(&o[1]));
}

TEST_F(sem, a_death_wakes_those_that_sleep)
{
	struct other o, waiter[2];
	int i;

	ASSERT_EQ(0, shmipc_sem_init(self->s, 2, SHMIPC_SEM_ROBUST));
	ASSERT_EQ(0, start(self, &o));
	EXPECT_EQ(0, ask(&o, WAIT));
	EXPECT_EQ(0, ask(&o, WAIT));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, start(self, &waiter[i]));
		ASSERT_EQ(0, ask_asleep(&waiter[i], WAIT));
	}
	EXPECT_EQ(256 + SIGKILL, other_kill(&o));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, hear(&waiter[i]));
		EXPECT_EQ(0, end(&waiter[i]));	/* it leaves with it */
	}
	EXPECT_EQ(2, info_of(self).value);
}

/* The first sleeper is woken, and dies before it can do anything. */
TEST_F(sem, a_wake_does_not_die_with_its_sleeper)
{
	struct other first, second;
	struct held_up h;

	ASSERT_EQ(0, start(self, &first));
	ASSERT_EQ(0, start(self, &second));
	ASSERT_EQ(0, ask_asleep(&first, WAIT));
	ASSERT_EQ(0, ask_asleep(&second, WAIT));
	until_for_long();
	ASSERT_EQ(0, hold_up(&h, first.pid));
	EXPECT_EQ(0, shmipc_sem_post(self->p, self->s, 1));
	EXPECT_EQ(256 + SIGKILL, other_kill(&first));
	hold_up_no_more(&h, second.pid);
	/* On a busy machine it may have run after all, and has died with the unit. */
	if (!info_of(self).value)
		(void)shmipc_sem_post(self->p, self->s, 1);
	EXPECT_EQ(0, hear(&second));
	EXPECT_EQ(0, end(&second));
}

TEST_F(sem, only_in_the_segment)
{
	struct shmipc_sem local = { 0 };

	EXPECT_EQ(-EINVAL, shmipc_sem_wait(self->p, &local, 0));
	EXPECT_EQ(-EINVAL, shmipc_sem_post(self->p, &local, 1));
	EXPECT_EQ(-EINVAL, shmipc_sem_wait(self->p, (void *)((char *)self->s + 4), 0));
}

/* Words that no honest peer writes: each call returns, by its deadline at the latest. */
TEST_F(sem, hostile_words)
{
	static const uint64_t word[] = { 0, 1, 2, 3, UINT32_MAX, UINT64_MAX, UINT64_C(1) << 32,
					 UINT64_C(1) << 63, 0x12345678 };
	uint64_t end_ns;
	size_t i, k;
	int ret;

	for (i = 0; i < ARRAY_SIZE(word); i++) {
		for (k = 0; k < ARRAY_SIZE(word); k++) {
			self->s->word = word[i];
			self->s->flags = (uint32_t)k;
			self->s->units = (uint32_t)word[k];
			memset(self->s->unit, (int)word[k], sizeof(self->s->unit));
			end_ns = shmipc_deadline_in(1000000);
			ret = shmipc_sem_wait(self->p, self->s, end_ns);
			EXPECT_GT(end_ns + LATE_NS, now_ns());
			EXPECT_TRUE(!ret || ret == -ETIMEDOUT) TH_LOG("%d", ret);
			ret = shmipc_sem_post(self->p, self->s, 1 + (uint32_t)k);
			EXPECT_TRUE(!ret || ret == -EPERM || ret == -EOVERFLOW) TH_LOG("%d", ret);
			(void)info_of(self);
		}
	}
	EXPECT_EQ(0, shmipc_sem_init(self->s, 1, 0));
	EXPECT_EQ(0, shmipc_sem_wait(self->p, self->s, 0));
}

TEST_HARNESS_MAIN
