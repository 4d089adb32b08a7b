/* SPDX-License-Identifier: MIT */
/* edges.h - processes that send and receive with any noun, as the test tells them */
#ifndef TEST_EDGES_H
#define TEST_EDGES_H

#include "nouns.h"

#define NAME		"edge"
#define SOON		shmipc_deadline_in(UINT64_C(20000000000))	/* reached only by a failure */
#define LATE_NS		UINT64_C(20000000000)	/* a busy machine is not later than this */
#define SHORT_NS	UINT64_C(30000000)

#define for_each_noun(n)	for ((n) = noun_all; (n) < noun_all + ARRAY_SIZE(noun_all); (n)++)

/* What it is told; it answers each with the error, positive. */
enum { SEND = 1, RECV, RECV_SHORT, RECV_NOW, RECV_LATE, CLOSE, EXEC, END };

struct play {
	const struct noun *noun;
	bool sends;
	uint64_t late_ns;	/* deadline of RECV_LATE */
	const char *name;	/* NULL: NAME */
};

static inline int play_one(struct noun_end *e, const struct play *p, uint64_t order)
{
	switch (order) {
	case SEND:
		return e->noun->send(e, 8, SOON);
	case RECV:
		return e->noun->recv(e, SOON);
	case RECV_SHORT:
		return e->noun->recv(e, shmipc_deadline_in(SHORT_NS));
	case RECV_NOW:
		return e->noun->recv(e, 0);
	case RECV_LATE:
		return e->noun->recv(e, p->late_ns);
	case EXEC:
		(void)execl("/bin/sleep", "sleep", "1000", NULL);
		return -errno;
	}
	return -EBADE;
}

static inline int plays(struct other *me, void *arg)
{
	const struct play *p = arg;
	struct noun_end e;
	uint64_t order;

	CHECK(!noun_open(&e, p->noun, p->name ? p->name : NAME, p->sends));
	tell(me, END);
	while ((order = hear(me)) != END && order != UINT64_MAX)
		tell(me, (uint64_t)-play_one(&e, p, order));
	noun_close(&e);
	return 0;
}

/* It has opened its end. 0 or -1 */
static inline int play_start(struct other *o, struct play *p, int thread)
{
	if (other_start(o, thread, plays, p))
		return -1;
	return hear(o) == END ? 0 : -1;
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

static inline int play_end(struct other *o)
{
	tell(o, END);
	return other_end(o);
}

#endif /* TEST_EDGES_H */
