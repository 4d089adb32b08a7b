// SPDX-License-Identifier: MIT
/* cond: waiting for a change, signals, deadlines and deaths; on each backend */
#include <shmipc/lock.h>

#define STATE		struct state
struct state {
	struct shmipc_mutex mutex;
	struct shmipc_cond cond;
	uint64_t tokens;	/* what is waited for; under the mutex */
	uint64_t rounds;	/* how often a waiter has looked */
};

#include "ends.h"

#define SHORT_NS	UINT64_C(50000000)

FIXTURE(cond) {
	struct env env;
	struct site site;
	struct end e;
};

FIXTURE_VARIANT(cond) {
	enum where where;
};

FIXTURE_VARIANT_ADD(cond, named) { NAMED };
FIXTURE_VARIANT_ADD(cond, anon) { ANON };

FIXTURE_SETUP(cond)
{
	env_set_up(&self->env);
	ASSERT_EQ(0, make_and_join(&self->site, &self->e, variant->where, SHMIPC_SPIN_NEVER, 0));
}

FIXTURE_TEARDOWN(cond)
{
	part(&self->e);
	site_end(&self->site);
	env_tear_down(&self->env);
}

/* Take a token, waiting for it. */
static int take_token(struct end *e, uint64_t deadline_ns)
{
	int ret = shmipc_mutex_lock(e->p, &e->s->mutex, SHMIPC_FOREVER);

	while (!ret && !e->s->tokens) {
		e->s->rounds++;
		ret = shmipc_cond_wait(e->p, &e->s->cond, &e->s->mutex, deadline_ns);
	}
	if (ret == -EOWNERDEAD)
		(void)shmipc_mutex_consistent(e->p, &e->s->mutex);
	if (!ret)
		e->s->tokens--;
	if (ret != -ENOTRECOVERABLE)
		(void)shmipc_mutex_unlock(e->p, &e->s->mutex);
	return ret;
}

enum { TAKE = 1 };

static int call(struct end *e, uint64_t order)
{
	return order == TAKE ? take_token(e, SHMIPC_FOREVER) : -EBADE;
}

static int start_asleep(FIXTURE_DATA(cond) *self, struct other *o)
{
	if (end_start(&self->site, o))
		return -1;
	tell(o, TAKE);
	while (!shmipc_load_relaxed(&self->e.s->cond.waiting))
		sched_yield();
	return until_asleep(o->tid);
}

static void give(FIXTURE_DATA(cond) *self, uint64_t n)
{
	(void)shmipc_mutex_lock(self->e.p, &self->e.s->mutex, SHMIPC_FOREVER);
	self->e.s->tokens += n;
	(void)shmipc_mutex_unlock(self->e.p, &self->e.s->mutex);
}

TEST_F(cond, a_signal_ends_a_wait)
{
	struct other o;

	ASSERT_EQ(0, start_asleep(self, &o));
	give(self, 1);
	EXPECT_EQ(0, shmipc_cond_signal(self->e.p, &self->e.s->cond));
	EXPECT_EQ(0, hear(&o));
	EXPECT_EQ(0, end(&o));
	EXPECT_EQ(0, self->e.s->tokens);
	EXPECT_EQ(0, self->e.s->cond.waiting);
	EXPECT_EQ(1, self->e.s->rounds);
}

TEST_F(cond, without_waiters_a_signal_changes_nothing)
{
	EXPECT_EQ(0, shmipc_cond_signal(self->e.p, &self->e.s->cond));
	EXPECT_EQ(0, shmipc_cond_broadcast(self->e.p, &self->e.s->cond));
	EXPECT_EQ(0, self->e.s->cond.word);
}

TEST_F(cond, a_signal_is_for_one_a_broadcast_for_all)
{
	struct other o[3];
	uint64_t rounds;
	int i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, start_asleep(self, &o[i]));
	rounds = self->e.s->rounds;
	give(self, 1);
	EXPECT_EQ(0, shmipc_cond_signal(self->e.p, &self->e.s->cond));
	while (shmipc_load_relaxed(&self->e.s->tokens))
		sched_yield();
	give(self, 2);
	EXPECT_EQ(0, shmipc_cond_broadcast(self->e.p, &self->e.s->cond));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, hear(&o[i]));
		EXPECT_EQ(0, end(&o[i]));
	}
	EXPECT_EQ(0, self->e.s->tokens);
	/* One that was joined or left beside them may have looked once more for each. */
	EXPECT_LE(self->e.s->rounds, rounds + 6);
}

TEST_F(cond, deadlines)
{
	struct shmipc_mutex *m = &self->e.s->mutex;
	struct shmipc_cond *c = &self->e.s->cond;
	uint64_t end_ns;

	ASSERT_EQ(0, shmipc_mutex_lock(self->e.p, m, 0));
	EXPECT_EQ(-EAGAIN, shmipc_cond_wait(self->e.p, c, m, 0));
	EXPECT_EQ(-ETIMEDOUT, shmipc_cond_wait(self->e.p, c, m, 1));
	end_ns = shmipc_deadline_in(SHORT_NS);
	EXPECT_EQ(-ETIMEDOUT, shmipc_cond_wait(self->e.p, c, m, end_ns));
	EXPECT_LE(end_ns, now_ns());
	EXPECT_GT(end_ns + LATE_NS, now_ns());
	/* It owns the mutex each time. */
	EXPECT_EQ(0, shmipc_mutex_unlock(self->e.p, m));
	EXPECT_EQ(0, c->waiting);
}

TEST_F(cond, only_with_the_mutex)
{
	struct shmipc_mutex *m = &self->e.s->mutex;
	struct shmipc_cond local = { 0 };

	EXPECT_EQ(-EPERM, shmipc_cond_wait(self->e.p, &self->e.s->cond, m, SHMIPC_FOREVER));
	EXPECT_EQ(0, self->e.s->cond.waiting);
	ASSERT_EQ(0, shmipc_mutex_lock(self->e.p, m, 0));
	EXPECT_EQ(-EINVAL, shmipc_cond_wait(self->e.p, &local, m, SHMIPC_FOREVER));
	EXPECT_EQ(-EINVAL, shmipc_cond_signal(self->e.p, &local));
	EXPECT_EQ(-EINVAL, shmipc_cond_init((void *)((char *)&local + 4)));
	EXPECT_EQ(0, shmipc_mutex_unlock(self->e.p, m));
}

/* The signal is for the first sleeper, and it dies before it can do anything. */
TEST_F(cond, a_signal_does_not_die_with_its_sleeper)
{
	struct other first, second;
	uint64_t spare = 0;
	struct held_up h;

	ASSERT_EQ(0, start_asleep(self, &first));
	ASSERT_EQ(0, start_asleep(self, &second));
	ASSERT_EQ(0, hold_up(&h, first.pid));
	give(self, 1);
	EXPECT_EQ(0, shmipc_cond_signal(self->e.p, &self->e.s->cond));
	(void)other_kill(&first);
	/* On a busy machine it may have run after all, and has the token; or the second has it. */
	if (!shmipc_load_relaxed(&self->e.s->tokens)) {
		spare = 1;
		give(self, 1);
		EXPECT_EQ(0, shmipc_cond_signal(self->e.p, &self->e.s->cond));
	}
	hold_up_no_more(&h, second.pid);
	EXPECT_EQ(0, hear(&second));
	EXPECT_EQ(0, end(&second));
	EXPECT_GE(spare, self->e.s->tokens);
}

static int dies_with_the_mutex(struct other *me, void *arg)
{
	struct site *s = arg;
	struct end e;

	site_here(s, me);
	CHECK(!join_site(s, &e));
	CHECK(!shmipc_mutex_lock(e.p, &e.s->mutex, SHMIPC_FOREVER));
	e.s->tokens = 1;
	CHECK(!shmipc_cond_signal(e.p, &e.s->cond));
	return raise(SIGKILL);
}

/* It signals, and dies before it releases the mutex: the waiter gets that. */
TEST_F(cond, a_waiter_learns_of_the_death_of_an_owner)
{
	struct other o, dies;

	ASSERT_EQ(0, start_asleep(self, &o));
	ASSERT_EQ(0, site_start(&self->site, &dies, dies_with_the_mutex, &self->site));
	EXPECT_EQ(256 + SIGKILL, other_end(&dies));
	EXPECT_EQ(EOWNERDEAD, hear(&o));
	EXPECT_EQ(0, end(&o));
	EXPECT_EQ(0, shmipc_mutex_lock(self->e.p, &self->e.s->mutex, SHMIPC_FOREVER));
	EXPECT_EQ(0, shmipc_mutex_unlock(self->e.p, &self->e.s->mutex));
}

/* Any word at any time: it ends by its deadline at the latest. */
TEST_F(cond, hostile_words)
{
	static const uint64_t word[] = { 0, 1, UINT64_MAX, UINT64_C(1) << 32, 1234567 };
	struct shmipc_mutex *m = &self->e.s->mutex;
	struct shmipc_cond *c = &self->e.s->cond;
	size_t i, k;
	int ret;

	for (i = 0; i < ARRAY_SIZE(word); i++) {
		for (k = 0; k < ARRAY_SIZE(word); k++) {
			c->word = word[i];
			c->waiting = word[k];
			ASSERT_EQ(0, shmipc_mutex_lock(self->e.p, m, 0));
			ret = shmipc_cond_wait(self->e.p, c, m, shmipc_deadline_in(1000000));
			EXPECT_EQ(-ETIMEDOUT, ret);
			EXPECT_EQ(0, shmipc_mutex_unlock(self->e.p, m));
			EXPECT_EQ(0, shmipc_cond_signal(self->e.p, c));
			EXPECT_EQ(0, shmipc_cond_broadcast(self->e.p, c));
		}
	}
	EXPECT_EQ(0, shmipc_cond_init(c));
	EXPECT_EQ(0, c->word | c->waiting);
}

TEST_HARNESS_MAIN
