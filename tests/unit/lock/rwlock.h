/* SPDX-License-Identifier: MIT */
/* rwlock.h - a read-write lock in a segment, and processes beside the test that use it */
#ifndef TEST_RWLOCK_H
#define TEST_RWLOCK_H

#include "held_up.h"
#include "site.h"

#define LATE_NS		UINT64_C(20000000000)	/* a busy machine is not later than this */
#define SHORT_NS	UINT64_C(200000000)
#define PEERS		80u			/* more than there are shares */

struct state {
	struct shmipc_rwlock lock;
	uint64_t counter;
};

/* A process that uses the lock. */
struct end {
	struct shmipc_segment *seg;
	struct shmipc_peer *p;
	struct shmipc_rwlock *l;
};

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

static uint64_t spin_ns;

static int join_site(struct site *s, struct end *e)
{
	const struct shmipc_peer_opts po = SHMIPC_PEER_OPTS(.spin_ns = spin_ns);

	CHECK(s->where == NAMED ? !shmipc_segment_open(&e->seg, s->name, &s->o) :
	      !shmipc_segment_from_fd(&e->seg, s->fd < 0 ? shmipc_segment_fd(s->seg) : s->fd, NULL));
	CHECK(!shmipc_peer_join(&e->p, e->seg, &po));
	e->l = &((struct state *)shmipc_segment_data(e->seg, NULL))->lock;
	return 0;
}

static int part(struct end *e)
{
	shmipc_peer_leave(e->p);
	shmipc_segment_close(e->seg);
	return 0;
}

FIXTURE_SETUP(rwlock)
{
	env_set_up(&self->env);
	spin_ns = variant->spin_ns;
	memset(&self->s, 0, sizeof(self->s));
	self->s.where = variant->where;
	self->s.name = "state";
	self->s.fd = -1;
	self->s.o = (struct shmipc_segment_opts)SHMIPC_SEGMENT_OPTS(
		.kind = SHMIPC_KIND_RAW, .bytes = sizeof(struct state), .peers = PEERS,
		.flags = SHMIPC_CREATE);
	if (variant->where == ANON)
		ASSERT_EQ(0, shmipc_segment_anon(&self->s.seg, &self->s.o));
	ASSERT_EQ(0, join_site(&self->s, &self->e));
	self->p = self->e.p;
	self->l = self->e.l;
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

/* Orders for a process beside the test; it answers each with what the call returned. */
enum {
	READ = 1, READ_TRY, READ_SHORT, WRITE, WRITE_TRY, WRITE_SHORT, UNLOCK, CONSISTENT, LEAVE, END,
	AND_BACK = 64,	/* or'ed: repair it if need be, and unlock it; the answer is that of the lock */
};

static int call(struct end *e, uint64_t order)
{
	switch (order) {
	case READ:
		return shmipc_rwlock_read_lock(e->p, e->l, SHMIPC_FOREVER);
	case READ_TRY:
		return shmipc_rwlock_read_lock(e->p, e->l, 0);
	case READ_SHORT:
		return shmipc_rwlock_read_lock(e->p, e->l, shmipc_deadline_in(SHORT_NS));
	case WRITE:
		return shmipc_rwlock_write_lock(e->p, e->l, SHMIPC_FOREVER);
	case WRITE_TRY:
		return shmipc_rwlock_write_lock(e->p, e->l, 0);
	case WRITE_SHORT:
		return shmipc_rwlock_write_lock(e->p, e->l, shmipc_deadline_in(SHORT_NS));
	case UNLOCK:
		return shmipc_rwlock_unlock(e->p, e->l);
	case CONSISTENT:
		return shmipc_rwlock_consistent(e->p, e->l);
	default:
		return part(e);
	}
}

static int obey(struct other *me, void *arg)
{
	struct site *s = arg;
	uint64_t order;
	struct end e;
	int ret;

	site_here(s, me);
	CHECK(!join_site(s, &e));
	tell(me, END);
	while ((order = hear(me)) != END && order != UINT64_MAX) {
		ret = call(&e, order & ~(uint64_t)AND_BACK);
		if (order & AND_BACK && ret == -EOWNERDEAD)
			CHECK(!call(&e, CONSISTENT));
		if (order & AND_BACK)
			CHECK(!call(&e, UNLOCK));
		tell(me, (uint64_t)-ret);
		if (order == LEAVE)
			return 0;
	}
	return part(&e);
}

static int start(FIXTURE_DATA(rwlock) *self, struct other *o)
{
	/* It has joined: it sleeps for nothing else than what is asked. */
	return site_start(&self->s, o, obey, &self->s) || hear(o) != END;
}

/* The error that it answers, positive. */
static int ask(struct other *o, uint64_t order)
{
	tell(o, order);
	return (int)hear(o);
}

/* It waits, asleep. */
static int ask_asleep(struct other *o, uint64_t order)
{
	tell(o, order);
	return until_asleep(o->tid);
}

static int end(struct other *o)
{
	tell(o, END);
	return other_end(o);
}

static bool is_free(FIXTURE_DATA(rwlock) *self)
{
	struct shmipc_rwlock_info i = info_of(self);

	return !i.writer.thread && !i.readers && !self->l->inside;
}

#endif /* TEST_RWLOCK_H */
