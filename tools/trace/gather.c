// SPDX-License-Identifier: MIT
/* gather.c - a histogram, gathered in the kernel and read at intervals */
#include "trace.h"
#ifdef WITH_BPF
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "events.h"
#include "plot.h"
#include "rights.h"
#include "session.h"
#include "trace/trace.skel.h"
#include "../util/util.h"

struct gather {
	const struct trace_run *t;
	struct session s;
	struct hists all, before, interval;
	uint64_t next_ns;
};

static const struct {
	uint32_t mode;
	uint32_t types;
	uint32_t sample;	/* with --sample */
} modes[HIST_WHATS] = {
	[HIST_PUBLISH_TO_RECEIVE] = { TRACE_PUBLISH_TO_RECEIVE, 1u << TRACE_PUBLISH | 1u << TRACE_TAKE,
				      1u << TRACE_PUBLISH_SOME | 1u << TRACE_TAKE_SOME },
	[HIST_WAIT] = { TRACE_SLEEP, 1u << TRACE_WAIT | 1u << TRACE_WAIT_END |
			1u << TRACE_MOD_WAIT | 1u << TRACE_MOD_WAIT_END, 0 },
	[HIST_WAKE] = { TRACE_WAKE_UP, 1u << TRACE_WAIT | 1u << TRACE_WAIT_END |
			1u << TRACE_WAKE | 1u << TRACE_MOD_WAIT | 1u << TRACE_MOD_WAIT_END |
			1u << TRACE_MOD_WAKE, 0 },
	[HIST_HOLD] = { TRACE_HELD, 1u << TRACE_HOLD | 1u << TRACE_RELEASE, 0 },
};

/* Copy the histogram of one peer. Return: 0 or -ENOMEM. */
static int take_row(struct gather *g, const struct trace_hist_key *key, const struct trace_hist *v)
{
	const struct named *n = names_find(&g->s.names, key->id);
	struct hist_row *r;

	if (!n)
		return -ENOMEM;
	if (!n->wanted)
		return 0;
	r = hists_row(&g->all, key->id, key->slot, key->pid, n->name, v->comm);
	if (!r)
		return -ENOMEM;
	r->h.sum = v->sum;
	r->h.max = v->max;
	memcpy(r->h.bucket, v->bucket, sizeof(r->h.bucket));
	/* The kernel goes on counting while we copy: recompute the count. */
	r->h.count = 0;
	for (size_t i = 0; i < TRACE_BUCKETS; i++)
		r->h.count += r->h.bucket[i];
	return 0;
}

static int take_all(struct gather *g)
{
	int fd = bpf_map__fd(g->s.bpf->maps.hists), err = 0;
	struct trace_hist_key key, *last = NULL;
	struct trace_hist *v = malloc(sizeof(*v));

	if (!v)
		err = -ENOMEM;
	while (!err && !bpf_map_get_next_key(fd, last, &key)) {
		if (!bpf_map_lookup_elem(fd, &key, v))
			err = take_row(g, &key, v);
		last = &key;
	}
	free(v);
	g->all.to_ns = event_wall_ns(tool_now_ns());
	return err;
}

/* Show what came since the last time. */
static int take_interval(struct gather *g)
{
	struct hist_row *now, *before, *since;
	int err = take_all(g);
	size_t i;

	for (i = 0; !err && i < g->all.n; i++) {
		now = g->all.row[i];
		before = hists_row(&g->before, now->id, now->slot, now->pid, now->name, now->comm);
		since = hists_row(&g->interval, now->id, now->slot, now->pid, now->name, now->comm);
		if (!before || !since)
			return -ENOMEM;
		hist_since(&since->h, &now->h, &before->h);
		before->h = now->h;
	}
	g->interval.from_ns = g->interval.to_ns ? g->interval.to_ns : g->all.from_ns;
	g->interval.to_ns = g->all.to_ns;
	return err;
}

static int show_interval(struct gather *g, int quiet)
{
	const struct trace_run *t = g->t;

	if (take_interval(g)) {
		tool_error("out of memory for the histograms (ENOMEM)");
		return RC_FAIL;
	}
	if (t->record)
		hists_json(t->record, &g->interval, "interval");
	if (t->o->json)
		hists_json(stdout, &g->interval, "interval");
	else if (!quiet)
		hists_print(stdout, &g->interval);
	return trace_flush(t);
}

static void tell_doubts(const struct gather *g)
{
	const struct trace__bss *bss = g->s.bpf->bss;

	if (bss->unpaired)
		tool_note("%llu were not counted: they began before this did, or too many were "
			  "in flight", (unsigned long long)bss->unpaired);
	if (session_hists_lost(&g->s))
		tool_note("%llu were not counted: there are more than %u peers; use a PATTERN or "
			  "--pid", (unsigned long long)session_hists_lost(&g->s),
			  bpf_map__max_entries(g->s.bpf->maps.hists));
}

static int show_all(struct gather *g)
{
	const struct trace_opts *o = g->t->o;
	int rc;

	/* The last interval is recorded, too; the text shows the whole time. */
	rc = show_interval(g, 1);
	if (rc)
		return rc;
	if (o->json) {
		hists_json(stdout, &g->all, "all");
	} else {
		printf("%sin all, %.1f s:\n", g->next_ns ? "\n" : "",
		       (double)(g->all.to_ns - g->all.from_ns) / 1e9);
		hists_print(stdout, &g->all);
		if (!g->all.n)
			printf("nothing was counted\n");
	}
	tell_doubts(g);
	rc = trace_flush(g->t);
	if (!rc && o->plot)
		rc = plot_hists(o->plot, &g->all);
	return rc;
}

int trace_gather(const struct trace_run *t)
{
	struct gather g = { .t = t, .all.what = t->what, .before.what = t->what,
			    .interval.what = t->what };
	uint32_t types = t->o->sample ? modes[t->what].sample : modes[t->what].types;
	uint64_t next;
	int rc = session_begin(&g.s, t->o, modes[t->what].mode, types);

	g.all.from_ns = event_wall_ns(tool_now_ns());
	next = tool_now_ns() + t->o->every_ns;
	while (!rc && !session_over(&g.s)) {
		rc = session_sleep(&g.s, next, -1);
		if (rc || tool_now_ns() < next || session_over(&g.s))
			continue;
		rc = show_interval(&g, 0);
		next += t->o->every_ns;
	}
	if (!rc)
		rc = show_all(&g);
	hists_done(&g.all);
	hists_done(&g.before);
	hists_done(&g.interval);
	session_done(&g.s);
	return rc ? rc : session_code();
}
#else
#include "rights.h"

int trace_gather(const struct trace_run *t)
{
	(void)t;
	return rights_check();
}
#endif
