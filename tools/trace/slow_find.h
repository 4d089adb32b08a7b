/* SPDX-License-Identifier: MIT */
/*
 * slow_find.h - what a while of looking at segments says: who is slow, and whom it harms
 *
 * How long publishers waited comes from the probes where they can be had, and
 * otherwise from how often, of many looks, one was found waiting.
 */
#ifndef TOOLS_TRACE_SLOW_FIND_H
#define TOOLS_TRACE_SLOW_FIND_H

#include <jansson.h>
#include "module.h"
#include "process.h"
#include "slow.h"
#include "../look/look.h"

#define SLOW_SHARE_MIN	0.01	/* waits for less of the time are how lossless works */

/* A publisher, and for whom it waited. */
struct slow_pair {
	uint64_t id;
	uint32_t slot;
	uint32_t who;
	uint32_t pid;
	int traced;		/* by probes; otherwise by looking often */
	int sampled;		/* it is the kernel module that looked */
	double share;		/* of the time, 0 to 1 */
	char comm[TRACE_COMM];
};

/* Messages that a reader lost, by its probe. */
struct slow_gap {
	uint64_t id;
	uint32_t slot;
	uint32_t pid;
	uint64_t lost;
	char comm[TRACE_COMM];
};

/* Somebody waits in a segment that cannot be looked at: of another directory, or a container. */
struct slow_far {
	const struct slow_pair *pair;
	struct slow_end who;	/* in its way; pid 0 and no name: not known */
	char name[TRACE_NAME];
};

enum slow_why {
	SLOW_BLOCKS,		/* publishers wait, as it does not read */
	SLOW_HOLDS,		/* they wait, as it keeps messages of the pool */
	SLOW_CLAIMS,		/* they wait for a publisher that has not finished */
	SLOW_LOSES,		/* it is lossy, and loses */
	SLOW_CUT_OFF,		/* policy evict: publishers wait for it no longer */
	SLOW_STOPPED,		/* its process is stopped, and nobody suffers yet */
	SLOW_BEHIND,		/* it falls behind, and nobody suffers yet */
};

const char *slow_why_word(enum slow_why why);

struct slow_finding {
	enum slow_why why;
	const struct look_seg *seg;
	struct look_end end;	/* whose fault it is */
	uint32_t pid;		/* of it, as seen from here; 0: not known */
	struct process_doing doing;
	double share;		/* BLOCKS, HOLDS, CLAIMS: of the publisher that waited most */
	uint64_t lost;		/* LOSES: in this while */
	uint64_t gone;		/* of what it is behind, no longer there to be read */
	json_t *stack;		/* of its threads; NULL: not asked for, or just shown */
};

struct slow_report {
	double seconds;		/* that it is about */
	const struct module *module;	/* to be asked; NULL: none */
	struct slow_pair *pair;
	size_t npairs, pairs_cap;
	struct slow_gap *gap;
	size_t ngaps, gaps_cap;
	struct slow_finding *found;
	size_t nfound, found_cap;
	struct slow_far *far;
	size_t nfar, far_cap;
	int failed;		/* no memory */
};

/* What was gathered: add to it, then find, then show, then empty it. */
void slow_add_pair(struct slow_report *r, const struct slow_pair *p);
void slow_add_gap(struct slow_report *r, const struct slow_gap *g);
void slow_add_far(struct slow_report *r, const struct slow_far *f);
void slow_empty(struct slow_report *r);
void slow_free(struct slow_report *r);

/* Fill in r->found, the worst first. @l was looked at twice: at the beginning and now. */
void slow_find(struct slow_report *r, const struct look *l);

/* The process of an end, also of one in another PID namespace. */
uint32_t slow_pid(const struct look_seg *s, const struct look_end *e);

#endif /* TOOLS_TRACE_SLOW_FIND_H */
