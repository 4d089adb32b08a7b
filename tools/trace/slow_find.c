// SPDX-License-Identifier: MIT
/* slow_find.c - which ends are slow, and which others suffer */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "slow_find.h"

#define SOON_S		60.0	/* an end that will be full within this time is reported */
#define BEHIND_PART	8	/* and that is behind by an eighth of the room */
#define FULL_PART	0.9	/* from here on the log is the bottleneck, not the pool */

const char *slow_why_word(enum slow_why why)
{
	static const char *const words[] = { "blocks", "holds", "claims", "loses", "cut-off",
					     "stopped", "behind" };

	return words[why];
}

/* Make room for one more. */
static void *grow(void *list, size_t n, size_t *cap, size_t bytes, int *failed)
{
	size_t more = *cap ? 2 * *cap : 16;
	void *new;

	if (n < *cap)
		return list;
	new = realloc(list, more * bytes);
	if (new)
		*cap = more;
	else
		*failed = 1;
	return new;
}

void slow_add_pair(struct slow_report *r, const struct slow_pair *p)
{
	struct slow_pair *list = grow(r->pair, r->npairs, &r->pairs_cap, sizeof(*list), &r->failed);

	if (!list)
		return;
	r->pair = list;
	list[r->npairs++] = *p;
}

void slow_add_gap(struct slow_report *r, const struct slow_gap *g)
{
	struct slow_gap *list = grow(r->gap, r->ngaps, &r->gaps_cap, sizeof(*list), &r->failed);

	if (!list)
		return;
	r->gap = list;
	list[r->ngaps++] = *g;
}

void slow_add_far(struct slow_report *r, const struct slow_far *f)
{
	struct slow_far *list = grow(r->far, r->nfar, &r->far_cap, sizeof(*list), &r->failed);

	if (!list)
		return;
	r->far = list;
	list[r->nfar++] = *f;
}

static void add_finding(struct slow_report *r, const struct slow_finding *f)
{
	struct slow_finding *list = grow(r->found, r->nfound, &r->found_cap, sizeof(*list), &r->failed);

	if (!list)
		return;
	r->found = list;
	list[r->nfound++] = *f;
}

void slow_empty(struct slow_report *r)
{
	while (r->nfound)
		json_decref(r->found[--r->nfound].stack);
	r->npairs = r->ngaps = r->nfound = r->nfar = 0;
}

void slow_free(struct slow_report *r)
{
	slow_empty(r);
	free(r->pair);
	free(r->gap);
	free(r->found);
	free(r->far);
}

uint32_t slow_pid(const struct look_seg *s, const struct look_end *e)
{
	return e->pid ? e->pid : process_seen(process_of_end(s->name, e->slot, e->generation, 0));
}

/* The largest share of its time that a publisher waited for this end. */
static double waited_for(const struct slow_report *r, const struct look_seg *s, uint32_t slot)
{
	double most = 0;
	size_t i;

	for (i = 0; i < r->npairs; i++)
		if (r->pair[i].id == s->id && r->pair[i].blocker == slot && r->pair[i].share > most)
			most = r->pair[i].share;
	return most;
}

static uint64_t lost_of(const struct slow_report *r, const struct look_seg *s, const struct look_end *e)
{
	uint64_t lost = (uint64_t)(e->lost_s * r->seconds + 0.5);
	size_t i;

	for (i = 0; i < r->ngaps; i++)
		if (r->gap[i].id == s->id && r->gap[i].slot == e->slot && r->gap[i].lost > lost)
			lost = r->gap[i].lost;
	/* It comes from a rate and another clock reading: never more than there were. */
	return lost < e->lost ? lost : e->lost;
}

/* They wait for room in the pool, and this end keeps its messages. */
static int is_pool(const struct look_seg *s, const struct look_end *e)
{
	return e->holding && s->capacity && (double)e->lag < FULL_PART * (double)s->capacity;
}

/* In messages; rings count bytes. */
static uint64_t room_of(const struct look_seg *s)
{
	return s->info.kind == SHMIPC_KIND_TOPIC ? s->capacity : 0;
}

static int is_behind(const struct look_seg *s, const struct look_end *e)
{
	double room = (double)room_of(s), left = room - (double)e->lag;

	if (s->info.kind == SHMIPC_KIND_SPSC)
		return e->lag && s->occupancy * BEHIND_PART > 1 && e->lag_s > 0;
	if (room <= 0 || (double)e->lag * BEHIND_PART < room)
		return 0;
	return left <= 0 || (e->lag_s > 0 && left / e->lag_s < SOON_S);
}

/* An end that does not read does not count its losses: add what is overwritten already. */
static uint64_t gone_for(const struct look_seg *s, const struct look_end *e)
{
	return e->policy == SHMIPC_POLICY_LOSSY && s->capacity && e->lag > s->capacity ?
		e->lag - s->capacity : 0;
}

/* Return: 1 if this end is to be reported. */
static int judge(struct slow_report *r, const struct look_seg *s, const struct look_end *e,
		 struct slow_finding *f)
{
	*f = (struct slow_finding){ .seg = s, .end = *e, .share = waited_for(r, s, e->slot) };
	f->lost = lost_of(r, s, e);
	f->gone = gone_for(s, e);
	if (f->gone && e->lag_s * r->seconds > (double)f->lost)
		f->lost = (uint64_t)(e->lag_s * r->seconds);
	if (e->lag || e->holding || f->lost || f->share > SLOW_SHARE_MIN) {
		f->pid = slow_pid(s, e);
		process_doing(f->pid, &f->doing);
	}
	if (f->share >= SLOW_SHARE_MIN)
		f->why = e->role == SHMIPC_ROLE_PRODUCER ? SLOW_CLAIMS :
			 is_pool(s, e) ? SLOW_HOLDS : SLOW_BLOCKS;
	else if (e->role == SHMIPC_ROLE_PRODUCER)
		return 0;
	else if (f->lost)
		f->why = SLOW_LOSES;
	else if (e->evicted)
		f->why = SLOW_CUT_OFF;
	else if (process_stopped(&f->doing))
		f->why = SLOW_STOPPED;
	else if (is_behind(s, e))
		f->why = SLOW_BEHIND;
	else
		return 0;
	return 1;
}

/* An end in a slot that is not, or not any longer, in the counters. */
static void judge_gap(struct slow_report *r, const struct look_seg *s, const struct slow_gap *g)
{
	struct slow_finding f = { .why = SLOW_LOSES, .seg = s, .pid = g->pid, .lost = g->lost };

	f.end.slot = g->slot;
	f.end.role = SHMIPC_ROLE_READER;
	f.end.policy = SHMIPC_POLICY_LOSSY;
	f.end.lost = g->lost;
	memcpy(f.end.comm, g->comm, sizeof(f.end.comm));
	process_doing(f.pid, &f.doing);
	add_finding(r, &f);
}

static int by_harm(const void *a, const void *b)
{
	const struct slow_finding *x = a, *y = b;

	if (x->share < y->share || x->share > y->share)
		return x->share < y->share ? 1 : -1;
	if (x->why != y->why)
		return x->why < y->why ? -1 : 1;
	return x->end.lag < y->end.lag ? 1 : x->end.lag > y->end.lag ? -1 : 0;
}

void slow_find(struct slow_report *r, const struct look *l)
{
	const struct look_seg *s;
	struct slow_finding f;
	uint32_t j;
	size_t i;

	for (i = 0; i < l->n; i++) {
		s = l->seg[i];
		for (j = 0; !s->err && j < s->nends; j++)
			if (s->end[j].state == SHMIPC_PEER_ATTACHED && judge(r, s, &s->end[j], &f))
				add_finding(r, &f);
	}
	for (i = 0; i < r->ngaps; i++) {
		s = look_by_id(l, r->gap[i].id);
		/* A read-only reader has no slot. */
		if (s && !look_end_at(s, r->gap[i].slot))
			judge_gap(r, s, &r->gap[i]);
	}
	if (r->nfound)
		qsort(r->found, r->nfound, sizeof(*r->found), by_harm);
}
