// SPDX-License-Identifier: MIT
/* look.c - all segments, again and again, and what changed between two looks */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <shmipc/discover.h>
#include "read.h"
#include "../util/util.h"
#include "../view/view.h"

void look_init(struct look *l, char *const *patterns, int npatterns)
{
	*l = (struct look){ .patterns = patterns, .npatterns = npatterns };
}

static void seg_free(struct look_seg *s)
{
	free(s->end);
	free(s->old);
	free(s->user);
	free(s);
}

void look_done(struct look *l)
{
	while (l->n)
		seg_free(l->seg[--l->n]);
	free(l->seg);
	free(l->scratch);
	l->seg = NULL;
	l->scratch = NULL;
}

/* Counts of one end only grow; if they do not, it is another end. */
static double per_s(uint64_t now, uint64_t before, double s)
{
	return s > 0 && now > before ? (double)(now - before) / s : 0;
}

static void end_rates(struct look_end *e, const struct look_end *old, double s)
{
	uint64_t now = e->role == SHMIPC_ROLE_PRODUCER ? e->sent : e->received;

	e->messages_s = per_s(now, old->role == SHMIPC_ROLE_PRODUCER ? old->sent : old->received, s);
	e->bytes_s = per_s(e->bytes, old->bytes, s);
	e->lost_s = per_s(e->lost, old->lost, s);
	e->waits_s = per_s(e->waits, old->waits, s);
	e->lag_s = per_s(e->lag, old->lag, s) - per_s(old->lag, e->lag, s);
}

/* Both are sorted by slot. */
static void ends_rates(struct look_seg *s, double seconds)
{
	const struct look_end *old = s->old, *stop = s->old + s->old_nends;
	uint32_t i;

	for (i = 0; i < s->nends; i++) {
		while (old < stop && old->slot < s->end[i].slot)
			old++;
		if (old < stop && old->slot == s->end[i].slot &&
		    old->generation == s->end[i].generation) {
			end_rates(&s->end[i], old, seconds);
			s->lost_s += s->end[i].lost_s;
		}
	}
}

/* The ends of the last look become the old ones; those of @now are copied. */
static int take_ends(struct look_seg *s, const struct look_seg *now)
{
	struct look_end *end = s->old;
	uint32_t cap = s->old_cap;

	if (cap < now->nends) {
		end = realloc(s->old, now->nends * sizeof(*end));
		if (!end)
			return -ENOMEM;
		s->old = end;
		s->old_cap = cap = now->nends;
	}
	s->old = s->end;
	s->old_cap = s->end_cap;
	s->old_nends = s->nends;
	s->end = end;
	s->end_cap = cap;
	s->nends = now->nends;
	if (now->nends)
		memcpy(end, now->end, now->nends * sizeof(*end));
	return 0;
}

/* @s has the state of the last look, or is empty; @now has been read. */
static int update(struct look_seg *s, const struct look_seg *now, int is_new)
{
	double seconds = is_new ? 0 : (double)(now->at_ns - s->at_ns) / 1e9;
	int err = take_ends(s, now);
	struct look_seg was = *s;

	if (err)
		return err;
	*s = *now;
	s->end = was.end;
	s->end_cap = was.end_cap;
	s->old = was.old;
	s->old_cap = was.old_cap;
	s->old_nends = was.old_nends;
	s->user = was.user;
	s->seconds = seconds;
	s->is_new = is_new;
	if (is_new)
		return 0;
	s->messages_s = per_s(s->published, was.published, seconds);
	s->bytes_s = per_s(s->bytes, was.bytes, seconds);
	ends_rates(s, seconds);
	if (s->info.kind == SHMIPC_KIND_QUEUE)	/* no end counts it */
		s->lost_s = per_s(s->lost, was.lost, seconds);
	return 0;
}

/* Insert at @at. */
static struct look_seg *add(struct look *l, size_t at)
{
	struct look_seg **more = l->seg, *s;
	size_t cap = l->cap ? 2 * l->cap : 16;

	if (l->n == l->cap) {
		more = realloc(l->seg, cap * sizeof(*more));
		if (!more)
			return NULL;
		l->seg = more;
		l->cap = cap;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	memmove(&more[at + 1], &more[at], (l->n - at) * sizeof(*more));
	more[at] = s;
	l->n++;
	return s;
}

static void drop(struct look *l, size_t at)
{
	seg_free(l->seg[at]);
	l->n--;
	memmove(&l->seg[at], &l->seg[at + 1], (l->n - at) * sizeof(struct look_seg *));
}

/* The first segment with a name not before @name. */
static size_t find(const struct look *l, const char *name)
{
	size_t from = 0, to = l->n, mid;

	while (from < to) {
		mid = (from + to) / 2;
		if (strcmp(l->seg[mid]->name, name) < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

static int is_same(const struct look_seg *a, const struct look_seg *b)
{
	return a->err == b->err && (a->err || !memcmp(a->info.id, b->info.id, sizeof(a->info.id)));
}

static int look_one(struct look *l, const char *name)
{
	size_t at = find(l, name);
	struct look_seg *s = at < l->n && !strcmp(l->seg[at]->name, name) ? l->seg[at] : NULL;
	struct look_seg now;
	int is_new = 0;

	if (look_read(l->scratch, name, s ? s->info.kind : SHMIPC_KIND_ANY, &now))
		return 0;		/* removed meanwhile */
	if (s && !is_same(s, &now)) {
		drop(l, at);
		s = NULL;
	}
	if (!s) {
		is_new = 1;
		s = add(l, at);
		if (!s)
			return -ENOMEM;
	}
	now.round = l->round;
	return update(s, &now, is_new);
}

static int matches(const struct look *l, const char *name)
{
	int i;

	for (i = 0; i < l->npatterns; i++)
		if (shmipc_glob_match(l->patterns[i], name))
			return 1;
	return !l->npatterns;
}

int look_again(struct look *l)
{
	struct view_names names;
	size_t i;
	int err;

	if (!l->scratch)
		l->scratch = malloc(sizeof(struct look_scratch));
	if (!l->scratch)
		return -ENOMEM;
	l->at_ns = tool_now_ns();
	err = view_names(&names);
	if (err)
		return err;
	l->round++;
	for (i = 0; i < names.n && !err; i++)
		if (matches(l, names.name[i]))
			err = look_one(l, names.name[i]);
	view_names_done(&names);
	for (i = l->n; i > 0 && !err; i--)
		if (l->seg[i - 1]->round != l->round)
			drop(l, i - 1);
	l->took_ns = tool_now_ns() - l->at_ns;
	return err;
}

struct look_seg *look_by_id(const struct look *l, uint64_t id)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (!l->seg[i]->err && l->seg[i]->id == id)
			return l->seg[i];
	return NULL;
}

struct look_end *look_end_at(const struct look_seg *s, uint32_t slot)
{
	uint32_t i;

	for (i = 0; i < s->nends; i++)
		if (s->end[i].slot == slot)
			return &s->end[i];
	return NULL;
}
