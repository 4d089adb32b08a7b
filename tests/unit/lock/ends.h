/* SPDX-License-Identifier: MIT */
/*
 * ends.h - a lock in a raw segment, and processes beside the test that use it as they are told
 *
 * The program defines STATE, what lies in the segment, before it includes this, and call().
 */
#ifndef TEST_LOCK_ENDS_H
#define TEST_LOCK_ENDS_H

#include "held_up.h"
#include "site.h"

#define LATE_NS		UINT64_C(20000000000)	/* a busy machine is not later than this */

/* A process that uses the lock. */
struct end {
	struct shmipc_segment *seg;
	struct shmipc_peer *p;
	STATE *s;
};

static uint64_t spin_ns;

static int join_site(struct site *s, struct end *e)
{
	const struct shmipc_peer_opts po = SHMIPC_PEER_OPTS(.spin_ns = spin_ns);

	CHECK(s->where == NAMED ? !shmipc_segment_open(&e->seg, s->name, &s->o) :
	      !shmipc_segment_from_fd(&e->seg, s->fd < 0 ? shmipc_segment_fd(s->seg) : s->fd, NULL));
	CHECK(!shmipc_peer_join(&e->p, e->seg, &po));
	e->s = shmipc_segment_data(e->seg, NULL);
	return 0;
}

static int part(struct end *e)
{
	shmipc_peer_leave(e->p);
	shmipc_segment_close(e->seg);
	return 0;
}

/* The segment, and the test as a peer of it. @peers: 0: the default */
static int make_and_join(struct site *s, struct end *e, enum where where, uint64_t spin, uint32_t peers)
{
	spin_ns = spin;
	*s = (struct site){ .where = where, .name = "state", .fd = -1 };
	s->o = (struct shmipc_segment_opts)SHMIPC_SEGMENT_OPTS(
		.kind = SHMIPC_KIND_RAW, .bytes = sizeof(STATE), .peers = peers, .flags = SHMIPC_CREATE);
	if (where == ANON)
		CHECK(!shmipc_segment_anon(&s->seg, &s->o));
	return join_site(s, e);
}

/* What each is told besides the calls of the program, which are numbers from 1. */
enum { LEAVE = 30, END };

/* What @order asks for. 0 or -errno, which is answered as a positive number */
static int call(struct end *e, uint64_t order);

static int obey(struct other *me, void *arg)
{
	struct site *s = arg;
	uint64_t order;
	struct end e;

	site_here(s, me);
	CHECK(!join_site(s, &e));
	tell(me, END);
	while ((order = hear(me)) != END && order != UINT64_MAX) {
		if (order == LEAVE) {
			tell(me, (uint64_t)part(&e));
			return 0;
		}
		tell(me, (uint64_t)-call(&e, order));
	}
	return part(&e);
}

/* It has joined: it sleeps for nothing else than what is asked. */
static int end_start(struct site *s, struct other *o)
{
	return site_start(s, o, obey, s) || hear(o) != END;
}

/* The error that it answers, positive. */
static inline int ask(struct other *o, uint64_t order)
{
	tell(o, order);
	return (int)hear(o);
}

/* It waits, asleep. */
static inline int ask_asleep(struct other *o, uint64_t order)
{
	tell(o, order);
	return until_asleep(o->tid);
}

static inline int end(struct other *o)
{
	tell(o, END);
	return other_end(o);
}

#endif /* TEST_LOCK_ENDS_H */
