/* SPDX-License-Identifier: MIT */
/*
 * slow_find.h - find slow ends in what was gathered for some time
 *
 * How long publishers waited comes from the probes if they are available, and otherwise
 * from the part of many looks that found one waiting.
 */
#ifndef TOOLS_TRACE_SLOW_FIND_H
#define TOOLS_TRACE_SLOW_FIND_H

#include <jansson.h>
#include "module.h"
#include "process.h"
#include "slow.h"
#include "../look/look.h"

#define SLOW_SHARE_MIN	0.01	/* shorter waits are normal for lossless subscribers */

/* A publisher, and the end that it waited for. */
struct slow_pair {
	uint64_t id;
	uint32_t slot;
	uint32_t blocker;
	uint32_t pid;
	int traced;		/* by probes; otherwise by sampling */
	int sampled;		/* sampled by the kernel module */
	double share;		/* of the time, 0 to 1 */
	char comm[TRACE_COMM];
};

/* Messages that a reader lost, from its probe. */
struct slow_gap {
	uint64_t id;
	uint32_t slot;
	uint32_t pid;
	uint64_t lost;
	char comm[TRACE_COMM];
};

/* A publisher waits in a segment that cannot be looked at: in another directory or container. */
struct slow_far {
	const struct slow_pair *pair;
	struct slow_end blocker;	/* in its way; pid 0 and no name: not known */
	char name[TRACE_NAME];
};

enum slow_why {
	SLOW_BLOCKS,		/* publishers wait, as it does not read */
	SLOW_HOLDS,		/* they wait, as it keeps messages of the pool */
	SLOW_CLAIMS,		/* they wait for a publisher that has not finished */
	SLOW_LOSES,		/* it is lossy, and loses */
	SLOW_CUT_OFF,		/* policy evict: publishers do not wait for it any longer */
	SLOW_STOPPED,		/* its process is stopped, and no other suffers yet */
	SLOW_BEHIND,		/* it falls behind, and no other suffers yet */
};

const char *slow_why_word(enum slow_why why);

struct slow_finding {
	enum slow_why why;
	const struct look_seg *seg;
	struct look_end end;	/* the slow end */
	uint32_t pid;		/* its PID in our namespace; 0: not known */
	struct process_doing doing;
	double share;		/* BLOCKS, HOLDS, CLAIMS: of the publisher that waited most */
	uint64_t lost;		/* LOSES: in this interval */
	uint64_t gone;		/* overwritten already, of what it is behind */
	json_t *stack;		/* of its threads; NULL: not asked for, or shown recently */
};

struct slow_report {
	double seconds;		/* that it is about */
	const struct module *module;	/* to ask; NULL: none */
	struct slow_pair *pair;
	size_t npairs, pairs_cap;
	struct slow_gap *gap;
	size_t ngaps, gaps_cap;
	struct slow_finding *found;
	size_t nfound, found_cap;
	struct slow_far *far;
	size_t nfar, far_cap;
	int failed;		/* out of memory */
};

/* What was gathered: add to it, find, show, and empty it. */
void slow_add_pair(struct slow_report *r, const struct slow_pair *p);
void slow_add_gap(struct slow_report *r, const struct slow_gap *g);
void slow_add_far(struct slow_report *r, const struct slow_far *f);
void slow_empty(struct slow_report *r);
void slow_free(struct slow_report *r);

/* Fill in r->found, the worst first. @l was looked at at the beginning and now. */
void slow_find(struct slow_report *r, const struct look *l);

/* The process of an end, also of one in another PID namespace. */
uint32_t slow_pid(const struct look_seg *s, const struct look_end *e);

#endif /* TOOLS_TRACE_SLOW_FIND_H */
