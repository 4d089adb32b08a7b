// SPDX-License-Identifier: MIT
/* mutex: owning, waiting, giving up, and the death of owners and waiters; on each backend */
#include <shmipc/lock.h>

/* In the data of a raw segment, beside what it protects. */
#define STATE		struct state
struct state {
	struct shmipc_mutex mutex;
	uint64_t counter;
};

#include "ends.h"

#define FREE		0u
#define SHORT_NS	UINT64_C(300000000)

FIXTURE(mutex) {
	struct env env;
	struct site s;
	struct shmipc_segment *seg;
	struct shmipc_peer *p;
	struct shmipc_mutex *m;
	struct state *state;
};

FIXTURE_VARIANT(mutex) {
	enum where where;
	uint64_t spin_ns;
};

FIXTURE_VARIANT_ADD(mutex, named) { NAMED, 0 };
FIXTURE_VARIANT_ADD(mutex, named_no_spin) { NAMED, SHMIPC_SPIN_NEVER };
FIXTURE_VARIANT_ADD(mutex, anon) { ANON, 0 };

FIXTURE_SETUP(mutex)
{
	struct end e;

	env_set_up(&self->env);
	ASSERT_EQ(0, make_and_join(&self->s, &e, variant->where, variant->spin_ns, 0));
	self->seg = e.seg;
	self->p = e.p;
	self->m = &e.s->mutex;
	self->state = e.s;
}

FIXTURE_TEARDOWN(mutex)
{
	shmipc_peer_leave(self->p);
	shmipc_segment_close(self->seg);
	site_end(&self->s);
	env_tear_down(&self->env);
}

static struct shmipc_mutex_info info_of(FIXTURE_DATA(mutex) *self)
{
	struct shmipc_mutex_info i = SHMIPC_MUTEX_INFO();

	(void)shmipc_mutex_get_info(self->p, self->m, &i);
	return i;
}

enum { LOCK = 1, TRY, LOCK_SHORT, UNLOCK, CONSISTENT };

static int call(struct end *e, uint64_t order)
{
	switch (order) {
	case LOCK:
		return shmipc_mutex_lock(e->p, &e->s->mutex, SHMIPC_FOREVER);
	case TRY:
		return shmipc_mutex_lock(e->p, &e->s->mutex, 0);
	case LOCK_SHORT:
		return shmipc_mutex_lock(e->p, &e->s->mutex, shmipc_deadline_in(SHORT_NS));
	case UNLOCK:
		return shmipc_mutex_unlock(e->p, &e->s->mutex);
	case CONSISTENT:
		return shmipc_mutex_consistent(e->p, &e->s->mutex);
	}
	return -EBADE;
}

static int start(FIXTURE_DATA(mutex) *self, struct other *o)
{
	return end_start(&self->s, o);
}

TEST_F(mutex, is_free_owned_and_free)
{
	struct shmipc_peer_info me;
	struct shmipc_mutex_info i;

	ASSERT_EQ(0, shmipc_peer_get_info(self->p, &me));
	EXPECT_EQ(0, info_of(self).owner.thread);
	ASSERT_EQ(0, shmipc_mutex_lock(self->p, self->m, 0));
	i = info_of(self);
	EXPECT_EQ(me.slot, i.owner.slot);
	EXPECT_EQ(me.generation, i.owner.generation);
	EXPECT_EQ((uint32_t)getpid(), i.owner.pid);
	EXPECT_NE(0, i.owner.thread);
	EXPECT_EQ(0, i.flags);
	EXPECT_EQ(0, i.died.thread);
	EXPECT_EQ(0, shmipc_mutex_unlock(self->p, self->m));
	EXPECT_EQ(FREE, self->m->word);
	EXPECT_EQ(0, info_of(self).owner.thread);
}

TEST_F(mutex, recursion_is_detected)
{
	ASSERT_EQ(0, shmipc_mutex_lock(self->p, self->m, 0));
	EXPECT_EQ(-EDEADLK, shmipc_mutex_lock(self->p, self->m, 0));
	EXPECT_EQ(-EDEADLK, shmipc_mutex_lock(self->p, self->m, 1));
	EXPECT_EQ(-EDEADLK, shmipc_mutex_lock(self->p, self->m, SHMIPC_FOREVER));
	EXPECT_EQ(0, shmipc_mutex_unlock(self->p, self->m));
}

static int beside(struct other *me, void *arg)
{
	FIXTURE_DATA(mutex) *self = arg;

	CHECK(shmipc_mutex_unlock(self->p, self->m) == -EPERM);
	CHECK(shmipc_mutex_consistent(self->p, self->m) == -EPERM);
	CHECK(shmipc_mutex_lock(self->p, self->m, 0) == -EAGAIN);
	CHECK(shmipc_mutex_lock(self->p, self->m, 1) == -ETIMEDOUT);
	tell(me, 1);
	CHECK(!shmipc_mutex_lock(self->p, self->m, SHMIPC_FOREVER));
	tell(me, 2);
	CHECK(hear(me) == 3);
	return shmipc_mutex_unlock(self->p, self->m);
}

TEST_F(mutex, belongs_to_a_thread)
{
	struct other o;

	ASSERT_EQ(0, shmipc_mutex_lock(self->p, self->m, 0));
	ASSERT_EQ(0, other_start(&o, 1, beside, self));
	EXPECT_EQ(1, hear(&o));
	EXPECT_EQ(0, until_asleep(o.tid));
	EXPECT_EQ(0, shmipc_mutex_unlock(self->p, self->m));
	EXPECT_EQ(2, hear(&o));
	EXPECT_EQ(-EPERM, shmipc_mutex_unlock(self->p, self->m));
	EXPECT_EQ(-EAGAIN, shmipc_mutex_lock(self->p, self->m, 0));
	tell(&o, 3);
	EXPECT_EQ(0, other_end(&o));
	EXPECT_EQ(-EPERM, shmipc_mutex_unlock(self->p, self->m));
}

TEST_F(mutex, belongs_to_a_peer)
{
	struct other o;

	ASSERT_EQ(0, start(self, &o));
	ASSERT_EQ(0, ask(&o, LOCK));
	EXPECT_EQ((uint32_t)o.pid, info_of(self).owner.pid);
	EXPECT_EQ(-EPERM, shmipc_mutex_unlock(self->p, self->m));
	EXPECT_EQ(-EPERM, shmipc_mutex_consistent(self->p, self->m));
	EXPECT_EQ(-EAGAIN, shmipc_mutex_lock(self->p, self->m, 0));
	EXPECT_EQ(0, ask(&o, UNLOCK));
	EXPECT_EQ(EPERM, ask(&o, UNLOCK));
	EXPECT_EQ(0, end(&o));
}

TEST_F(mutex, deadlines)
{
	struct other o;
	uint64_t end_ns;

	ASSERT_EQ(0, start(self, &o));
	ASSERT_EQ(0, ask(&o, LOCK));
	EXPECT_EQ(-EAGAIN, shmipc_mutex_lock(self->p, self->m, 0));
	EXPECT_EQ(-ETIMEDOUT, shmipc_mutex_lock(self->p, self->m, 1));
	EXPECT_EQ(-ETIMEDOUT, shmipc_mutex_lock(self->p, self->m, now_ns()));
	end_ns = shmipc_deadline_in(30000000);
	EXPECT_EQ(-ETIMEDOUT, shmipc_mutex_lock(self->p, self->m, end_ns));
	EXPECT_LE(end_ns, now_ns());
	EXPECT_GT(end_ns + LATE_NS, now_ns());
	EXPECT_EQ(0, ask(&o, UNLOCK));
	EXPECT_EQ(0, shmipc_mutex_lock(self->p, self->m, 1));
	EXPECT_EQ(0, shmipc_mutex_unlock(self->p, self->m));
	EXPECT_EQ(0, end(&o));
}

/* Which of these has it? */
static int winner(FIXTURE_DATA(mutex) *self, const struct other *o, int n)
{
	uint32_t pid;
	int i;

	for (;;) {
		pid = info_of(self).owner.pid;
		for (i = 0; i < n; i++)
			if (pid == (uint32_t)o[i].pid)
				return i;
		sched_yield();
	}
}

TEST_F(mutex, sleepers_get_it_one_by_one)
{
	struct other o[3];
	int i, n;

	ASSERT_EQ(0, shmipc_mutex_lock(self->p, self->m, 0));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, start(self, &o[i]));
		ASSERT_EQ(0, ask_asleep(&o[i], LOCK));
	}
	EXPECT_NE(0, info_of(self).flags & SHMIPC_MUTEX_WAITERS);
	EXPECT_EQ(0, shmipc_mutex_unlock(self->p, self->m));
	for (n = 0; n < 3; n++) {
		i = winner(self, o, 3);
		EXPECT_EQ(0, hear(&o[i]));
		EXPECT_EQ(-EAGAIN, shmipc_mutex_lock(self->p, self->m, 0));
		EXPECT_EQ(0, ask(&o[i], UNLOCK));
		EXPECT_EQ(0, end(&o[i]));
		o[i].pid = -1;
	}
	EXPECT_EQ(0, shmipc_mutex_lock(self->p, self->m, 0));
	EXPECT_EQ(0, shmipc_mutex_unlock(self->p, self->m));
}

TEST_F(mutex, the_next_learns_of_a_death)
{
	struct shmipc_mutex_info i, was;
	struct other o;

	ASSERT_EQ(0, start(self, &o));
	ASSERT_EQ(0, ask(&o, LOCK));
	was = info_of(self);
	EXPECT_EQ(256 + SIGKILL, other_kill(&o));
	ASSERT_EQ(-EOWNERDEAD, shmipc_mutex_lock(self->p, self->m, shmipc_deadline_in(LATE_NS)));
	i = info_of(self);
	EXPECT_EQ((uint32_t)o.pid, i.died.pid);
	EXPECT_EQ(was.owner.slot, i.died.slot);
	EXPECT_EQ(was.owner.generation, i.died.generation);
	EXPECT_EQ(was.owner.thread, i.died.thread);
	EXPECT_EQ((uint32_t)getpid(), i.owner.pid);
	EXPECT_EQ(SHMIPC_MUTEX_ORPHAN, i.flags);
	EXPECT_EQ(1, i.deaths);
	EXPECT_EQ(-EDEADLK, shmipc_mutex_lock(self->p, self->m, 0));
	EXPECT_EQ(0, shmipc_mutex_consistent(self->p, self->m));
	EXPECT_EQ(-EINVAL, shmipc_mutex_consistent(self->p, self->m));
	EXPECT_EQ(0, shmipc_mutex_unlock(self->p, self->m));
	EXPECT_EQ(0, shmipc_mutex_lock(self->p, self->m, 0));
	EXPECT_EQ(0, shmipc_mutex_unlock(self->p, self->m));
}

/* Its slot is another's by then: it is named all the same. */
TEST_F(mutex, a_death_is_told_when_the_slot_has_a_new_peer)
{
	struct shmipc_mutex_info i;
	struct other o, next;

	ASSERT_EQ(0, start(self, &o));
	ASSERT_EQ(0, ask(&o, LOCK));
	EXPECT_EQ(256 + SIGKILL, other_kill(&o));
	ASSERT_EQ(0, start(self, &next));
	ASSERT_EQ(EOWNERDEAD, ask(&next, LOCK));
	i = info_of(self);
	EXPECT_EQ(i.died.slot, i.owner.slot);
	EXPECT_EQ(i.died.generation + 1, i.owner.generation);
	EXPECT_EQ((uint32_t)o.pid, i.died.pid);
	EXPECT_EQ((uint32_t)next.pid, i.owner.pid);
	EXPECT_EQ(0, ask(&next, CONSISTENT));
	EXPECT_EQ(0, ask(&next, UNLOCK));
	EXPECT_EQ(0, end(&next));
}

TEST_F(mutex, a_death_wakes_those_that_sleep)
{
	struct other o, waiter[2];
	int i, first;

	ASSERT_EQ(0, start(self, &o));
	ASSERT_EQ(0, ask(&o, LOCK));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, start(self, &waiter[i]));
		ASSERT_EQ(0, ask_asleep(&waiter[i], LOCK));
	}
	EXPECT_EQ(256 + SIGKILL, other_kill(&o));
	while (!info_of(self).deaths)
		sched_yield();
	first = winner(self, waiter, 2);
	EXPECT_EQ(EOWNERDEAD, hear(&waiter[first]));
	EXPECT_EQ(0, ask(&waiter[first], CONSISTENT));
	EXPECT_EQ(0, ask(&waiter[first], UNLOCK));
	EXPECT_EQ(0, hear(&waiter[!first]));
	EXPECT_EQ(0, ask(&waiter[!first], UNLOCK));
	EXPECT_EQ(1, info_of(self).deaths);
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, end(&waiter[i]));
}

TEST_F(mutex, deaths_in_a_row)
{
	struct other o[3];
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, start(self, &o[i]));
		EXPECT_EQ(i ? EOWNERDEAD : 0, ask(&o[i], LOCK));
		EXPECT_EQ(256 + SIGKILL, other_kill(&o[i]));
	}
	ASSERT_EQ(-EOWNERDEAD, shmipc_mutex_lock(self->p, self->m, SHMIPC_FOREVER));
	EXPECT_EQ((uint32_t)o[2].pid, info_of(self).died.pid);
	EXPECT_EQ(3, info_of(self).deaths);
	EXPECT_EQ(0, shmipc_mutex_consistent(self->p, self->m));
	EXPECT_EQ(0, shmipc_mutex_unlock(self->p, self->m));
}

TEST_F(mutex, given_up_it_is_lost_for_all)
{
	struct other o, waiter[2];
	int i;

	ASSERT_EQ(0, start(self, &o));
	ASSERT_EQ(0, ask(&o, LOCK));
	EXPECT_EQ(256 + SIGKILL, other_kill(&o));
	ASSERT_EQ(-EOWNERDEAD, shmipc_mutex_lock(self->p, self->m, SHMIPC_FOREVER));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, start(self, &waiter[i]));
		ASSERT_EQ(0, ask_asleep(&waiter[i], LOCK));
	}
	EXPECT_EQ(0, shmipc_mutex_unlock(self->p, self->m));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(ENOTRECOVERABLE, hear(&waiter[i]));
	EXPECT_EQ(-ENOTRECOVERABLE, shmipc_mutex_lock(self->p, self->m, 0));
	EXPECT_EQ(-ENOTRECOVERABLE, shmipc_mutex_lock(self->p, self->m, SHMIPC_FOREVER));
	EXPECT_EQ(-EPERM, shmipc_mutex_unlock(self->p, self->m));
	EXPECT_EQ(-EPERM, shmipc_mutex_consistent(self->p, self->m));
	EXPECT_EQ(SHMIPC_MUTEX_LOST, info_of(self).flags);
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, end(&waiter[i]));
	EXPECT_EQ(0, shmipc_mutex_init(self->m));
	EXPECT_EQ(0, shmipc_mutex_lock(self->p, self->m, 0));
	EXPECT_EQ(0, shmipc_mutex_unlock(self->p, self->m));
}

/* The first sleeper is woken, and dies before it can do anything. */
TEST_F(mutex, a_wake_does_not_die_with_its_sleeper)
{
	struct other first, second;
	struct held_up h;

	ASSERT_EQ(0, shmipc_mutex_lock(self->p, self->m, 0));
	ASSERT_EQ(0, start(self, &second));
	ASSERT_EQ(0, start(self, &first));
	ASSERT_EQ(0, ask_asleep(&first, LOCK));
	ASSERT_EQ(0, ask_asleep(&second, LOCK));
	until_for_long();
	ASSERT_EQ(0, hold_up(&h, first.pid));
	EXPECT_EQ(0, shmipc_mutex_unlock(self->p, self->m));
	EXPECT_EQ(256 + SIGKILL, other_kill(&first));
	hold_up_no_more(&h, second.pid);
	/* On a busy machine it may have run after all, and has died with the mutex. */
	if (hear(&second))
		EXPECT_EQ(0, ask(&second, CONSISTENT));
	EXPECT_EQ(0, ask(&second, UNLOCK));
	EXPECT_EQ(0, end(&second));
}

/* The first sleeper is woken, and runs only after its deadline: others still get it. */
TEST_F(mutex, one_that_gives_up_passes_the_wake_on)
{
	struct other first, second;
	struct held_up h;
	uint64_t end_ns;

	ASSERT_EQ(0, shmipc_mutex_lock(self->p, self->m, 0));
	ASSERT_EQ(0, start(self, &second));
	ASSERT_EQ(0, start(self, &first));
	end_ns = shmipc_deadline_in(SHORT_NS);
	ASSERT_EQ(0, ask_asleep(&first, LOCK_SHORT));
	ASSERT_EQ(0, ask_asleep(&second, LOCK));
	until_for_long();
	ASSERT_EQ(0, hold_up(&h, first.pid));
	while (now_ns() < end_ns - 2000000)
		sched_yield();
	EXPECT_EQ(0, shmipc_mutex_unlock(self->p, self->m));
	/* If the second was woken after all, it has it, and this is for nothing. */
	if (!shmipc_mutex_lock(self->p, self->m, 0)) {
		while (now_ns() < end_ns + 2000000)
			continue;
		hold_up_no_more(&h, first.pid);
		EXPECT_EQ(ETIMEDOUT, hear(&first));
		EXPECT_EQ(0, shmipc_mutex_unlock(self->p, self->m));
	} else {
		hold_up_no_more(&h, first.pid);
		/* On a busy machine it may have run after all. */
		if (!hear(&first))
			EXPECT_EQ(0, ask(&first, UNLOCK));
	}
	EXPECT_EQ(0, hear(&second));
	EXPECT_EQ(0, ask(&second, UNLOCK));
	EXPECT_EQ(0, end(&first));
	EXPECT_EQ(0, end(&second));
}

TEST_F(mutex, leaving_with_it_is_as_dying)
{
	struct other o;

	ASSERT_EQ(0, start(self, &o));
	ASSERT_EQ(0, ask(&o, LOCK));
	EXPECT_EQ(0, ask(&o, LEAVE));
	EXPECT_EQ(0, other_end(&o));
	EXPECT_EQ(-EOWNERDEAD, shmipc_mutex_lock(self->p, self->m, SHMIPC_FOREVER));
	EXPECT_EQ(0, shmipc_mutex_consistent(self->p, self->m));
	EXPECT_EQ(0, shmipc_mutex_unlock(self->p, self->m));
}

TEST_F(mutex, only_in_the_segment)
{
	struct shmipc_mutex local = { 0 };
	struct shmipc_mutex *skewed = (void *)((char *)self->m + 4);

	EXPECT_EQ(-EINVAL, shmipc_mutex_lock(self->p, &local, 0));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "not in the data"));
	EXPECT_EQ(-EINVAL, shmipc_mutex_unlock(self->p, &local));
	EXPECT_EQ(-EINVAL, shmipc_mutex_lock(self->p, skewed, 0));
	EXPECT_EQ(-EINVAL, shmipc_mutex_init(skewed));
	EXPECT_EQ(0, local.word);
}

static int use_inherited(struct other *me, void *arg)
{
	FIXTURE_DATA(mutex) *self = arg;
	struct shmipc_mutex_info i = SHMIPC_MUTEX_INFO();

	CHECK(shmipc_mutex_lock(self->p, self->m, SHMIPC_FOREVER) == -EINVAL);
	CHECK(shmipc_mutex_unlock(self->p, self->m) == -EINVAL);
	CHECK(shmipc_mutex_consistent(self->p, self->m) == -EINVAL);
	CHECK(shmipc_mutex_get_info(self->p, self->m, &i) == -EINVAL);
	(void)hear(me);
	return 0;
}

TEST_F(mutex, a_child_does_not_own_its_parents)
{
	struct other o;

	ASSERT_EQ(0, shmipc_mutex_lock(self->p, self->m, 0));
	ASSERT_EQ(0, other_start(&o, 0, use_inherited, self));
	tell(&o, 1);
	EXPECT_EQ(0, other_end(&o));
	EXPECT_EQ(0, shmipc_mutex_unlock(self->p, self->m));
}

static void on_signal(int signo)
{
}

/* Handlers run, and the wait goes on. */
TEST_F(mutex, signals_do_not_end_a_wait)
{
	const struct sigaction sa = { .sa_handler = on_signal };
	struct other o;
	int i;

	ASSERT_EQ(0, sigaction(SIGUSR1, &sa, NULL));
	ASSERT_EQ(0, shmipc_mutex_lock(self->p, self->m, 0));
	ASSERT_EQ(0, start(self, &o));
	ASSERT_EQ(0, ask_asleep(&o, LOCK));
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, kill(o.pid, SIGUSR1));
		ASSERT_EQ(0, until_asleep(o.tid));
	}
	EXPECT_EQ(0, shmipc_mutex_unlock(self->p, self->m));
	EXPECT_EQ(0, hear(&o));
	EXPECT_EQ(0, ask(&o, UNLOCK));
	EXPECT_EQ(0, end(&o));
}

/* A word that no honest peer writes: each call returns, by its deadline at the latest. */
TEST_F(mutex, hostile_words)
{
	static const uint64_t flags[] = { 0, 1, 2, 3, 4, 7, 8, 15 };
	uint64_t own, word[12], end_ns;
	size_t i, f;
	int ret;

	ASSERT_EQ(0, shmipc_mutex_lock(self->p, self->m, 0));
	own = self->m->word;
	for (i = 0; i < ARRAY_SIZE(word); i++)
		word[i] = i < 4 ? UINT64_MAX << (i * 16) : i < 8 ? own + (UINT64_C(1) << (i * 6)) :
			  UINT64_C(1) << (i * 4);
	for (i = 0; i < ARRAY_SIZE(word); i++) {
		for (f = 0; f < ARRAY_SIZE(flags); f++) {
			shmipc_store_relaxed(&self->m->word, (word[i] & ~UINT64_C(15)) | flags[f]);
			end_ns = shmipc_deadline_in(1000000);
			ret = shmipc_mutex_lock(self->p, self->m, end_ns);
			EXPECT_GT(end_ns + LATE_NS, now_ns());
			EXPECT_TRUE(!ret || ret == -ETIMEDOUT || ret == -EOWNERDEAD ||
				    ret == -ENOTRECOVERABLE) TH_LOG("%d", ret);
			ret = shmipc_mutex_unlock(self->p, self->m);
			EXPECT_TRUE(!ret || ret == -EPERM);
		}
	}
	EXPECT_EQ(0, shmipc_mutex_init(self->m));
}

TEST_HARNESS_MAIN
