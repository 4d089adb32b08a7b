/* SPDX-License-Identifier: MIT */
/* rwlock.h - a read-write lock in a segment, and processes beside the test that use it */
#ifndef TEST_RWLOCK_H
#define TEST_RWLOCK_H

#include <shmipc/lock.h>

#define STATE		struct state

struct state {
	struct shmipc_rwlock lock;
	uint64_t counter;
};

#include "ends.h"

#define SHORT_NS	UINT64_C(200000000)
#define PEERS		80u			/* more than there are shares */

FIXTURE(rwlock) {
	struct env env;
	struct site s;
	struct end e;
	struct shmipc_peer *p;
	struct shmipc_rwlock *l;
};

FIXTURE_VARIANT(rwlock) {
	enum where where;
	uint64_t spin_ns;
};

FIXTURE_VARIANT_ADD(rwlock, named) { NAMED, 0 };
FIXTURE_VARIANT_ADD(rwlock, named_no_spin) { NAMED, SHMIPC_SPIN_NEVER };
FIXTURE_VARIANT_ADD(rwlock, anon) { ANON, 0 };

FIXTURE_SETUP(rwlock)
{
	env_set_up(&self->env);
	ASSERT_EQ(0, make_and_join(&self->s, &self->e, variant->where, variant->spin_ns, PEERS));
	self->p = self->e.p;
	self->l = &self->e.s->lock;
}

FIXTURE_TEARDOWN(rwlock)
{
	part(&self->e);
	site_end(&self->s);
	env_tear_down(&self->env);
}

static struct shmipc_rwlock_info info_of(FIXTURE_DATA(rwlock) *self)
{
	struct shmipc_rwlock_info i = SHMIPC_RWLOCK_INFO();

	(void)shmipc_rwlock_get_info(self->p, self->l, &i);
	return i;
}

enum {
	READ = 1, READ_TRY, READ_SHORT, WRITE, WRITE_TRY, WRITE_SHORT, UNLOCK, CONSISTENT,
	AND_BACK = 64,	/* or'ed: repair it if need be, and unlock it; the answer is that of the lock */
};

static int call_one(struct end *e, uint64_t order)
{
	switch (order) {
	case READ:
		return shmipc_rwlock_read_lock(e->p, &e->s->lock, SHMIPC_FOREVER);
	case READ_TRY:
		return shmipc_rwlock_read_lock(e->p, &e->s->lock, 0);
	case READ_SHORT:
		return shmipc_rwlock_read_lock(e->p, &e->s->lock, shmipc_deadline_in(SHORT_NS));
	case WRITE:
		return shmipc_rwlock_write_lock(e->p, &e->s->lock, SHMIPC_FOREVER);
	case WRITE_TRY:
		return shmipc_rwlock_write_lock(e->p, &e->s->lock, 0);
	case WRITE_SHORT:
		return shmipc_rwlock_write_lock(e->p, &e->s->lock, shmipc_deadline_in(SHORT_NS));
	case UNLOCK:
		return shmipc_rwlock_unlock(e->p, &e->s->lock);
	case CONSISTENT:
		return shmipc_rwlock_consistent(e->p, &e->s->lock);
	}
	return -EBADE;
}

static int call(struct end *e, uint64_t order)
{
	int ret = call_one(e, order & ~(uint64_t)AND_BACK);

	if (!(order & AND_BACK))
		return ret;
	if (ret == -EOWNERDEAD && call_one(e, CONSISTENT))
		return -EBADE;
	return call_one(e, UNLOCK) ? -EBADE : ret;
}

static int start(FIXTURE_DATA(rwlock) *self, struct other *o)
{
	return end_start(&self->s, o);
}

static bool is_free(FIXTURE_DATA(rwlock) *self)
{
	struct shmipc_rwlock_info i = info_of(self);

	return !i.writer.thread && !i.readers && !self->l->inside;
}

#endif /* TEST_RWLOCK_H */
