// SPDX-License-Identifier: MIT
/*
 * slow.c - shmipc trace --slow: which ends hold up others or lose messages
 *
 * Two looks at all segments, one report apart, give lags, losses and rates; many short
 * looks in between find waiting publishers, if no probe reports them.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <shmipc/error.h>
#include "blocked.h"
#include "events.h"
#include "rights.h"
#include "session.h"
#include "slow_show.h"
#include "stack.h"
#include "trace.h"
#include "../util/util.h"

#define FIRST_NS	(500 * NS_PER_MS)	/* the first report comes soon */
#define SAMPLE_NS	(20 * NS_PER_MS)
#define SAMPLE_PART	20			/* looking takes at most a twentieth of a CPU */
#define STACK_EVERY_NS	(10 * NS_PER_S)		/* of one process, which is stopped for it */
#define STACKS		4u			/* a report */
#define STACKS_KNOWN	32u
#define RING_FULL	0.75			/* the producer of a ring that is so full probably waits */

/* How often, of @looks, a publisher waited for an end; kept at look_seg.user. */
struct samples {
	uint32_t looks;
	uint32_t n;
	struct sample {
		uint32_t slot;
		uint32_t blocker;
		uint32_t hits;
	} cell[];
};

struct slow_run {
	const struct trace_opts *o;
	struct blocked *blocked;
	struct module *module;
	int had_module;		/* it listened, and a note said so */
	struct look often;	/* sampled */
	struct look now;	/* once a report */
	struct slow_report report;
	sigset_t open;
	uint64_t from_ns;	/* of this report */
	uint64_t shown;
	uint64_t lost;		/* sums, reported so far */
	struct {
		uint32_t pid;
		uint64_t at_ns;
	} stack[STACKS_KNOWN];	/* taken last; a ring */
	unsigned int nstacks;
};

static void hit(struct look_seg *s, uint32_t slot, uint32_t blocker)
{
	struct samples *old = s->user, *v = old;
	uint32_t i;

	for (i = 0; i < old->n; i++)
		if (old->cell[i].slot == slot && old->cell[i].blocker == blocker)
			break;
	if (i == old->n) {
		v = realloc(old, sizeof(*v) + (i + 1) * sizeof(v->cell[0]));
		if (!v)
			return;		/* out of memory: one sample less */
		s->user = v;
		v->cell[v->n++] = (struct sample){ slot, blocker, 0 };
	}
	v->cell[i].hits++;
}

/* The producer of a ring does not publish that it waits: the ring is full, and has a consumer. */
static void sample_ring(struct look_seg *s)
{
	uint32_t i, from = LOOK_NOBODY, to = LOOK_NOBODY;

	for (i = 0; i < s->nends; i++) {
		if (s->end[i].state != SHMIPC_PEER_ATTACHED)
			continue;
		if (s->end[i].role == SHMIPC_ROLE_PRODUCER)
			from = s->end[i].slot;
		else
			to = s->end[i].slot;
	}
	if (from != LOOK_NOBODY && to != LOOK_NOBODY && s->occupancy >= RING_FULL)
		hit(s, from, to);
}

static void sample_seg(struct look_seg *s)
{
	struct samples *v = s->user;
	uint32_t i;

	if (!v)
		v = s->user = calloc(1, sizeof(*v));
	if (!v || s->err)
		return;
	v->looks++;
	if (s->info.kind == SHMIPC_KIND_SPSC)
		sample_ring(s);
	for (i = 0; i < s->nends; i++)
		if (s->end[i].waits_for != LOOK_NOBODY)
			hit(s, s->end[i].slot, s->end[i].waits_for);
}

static int look(struct look *l)
{
	int err = look_again(l);

	if (err)
		tool_error_lib("look for segments in", shmipc_segment_dir(), err);
	return err ? RC_FAIL : RC_OK;
}

/* The sampler looks often enough. */
static int all_on_device(const struct slow_run *r)
{
	size_t i;

	for (i = 0; i < r->now.n; i++)
		if (!r->now.seg[i]->info.backend || strcmp(r->now.seg[i]->info.backend, "dev"))
			return 0;
	return module_on(r->module);
}

static int sample(struct slow_run *r)
{
	size_t i;

	if (!trace_source(r->o, SOURCE_COUNTERS) || all_on_device(r))
		return RC_OK;
	if (look(&r->often))
		return RC_FAIL;
	for (i = 0; i < r->often.n; i++)
		sample_seg(r->often.seg[i]);
	return RC_OK;
}

/* Is it already known from the probes, or from the module? */
static int is_known(const struct slow_report *r, uint64_t id, uint32_t slot)
{
	size_t i;

	for (i = 0; i < r->npairs; i++)
		if ((r->pair[i].traced || r->pair[i].sampled) &&
		    r->pair[i].id == id && r->pair[i].slot == slot)
			return 1;
	return 0;
}

static void add_sampled(struct slow_report *r, const struct look_seg *s)
{
	const struct samples *v = s->user;
	const struct look_end *e;
	struct slow_pair p;
	uint32_t i;

	for (i = 0; v && i < v->n; i++) {
		e = look_end_at(s, v->cell[i].slot);
		if (!e || is_known(r, s->id, v->cell[i].slot))
			continue;
		p = (struct slow_pair){ .id = s->id, .slot = e->slot, .blocker = v->cell[i].blocker,
					.pid = e->pid };
		p.share = (double)v->cell[i].hits / (double)v->looks;
		memcpy(p.comm, e->comm, sizeof(p.comm));
		slow_add_pair(r, &p);
	}
}

/* From the module, for processes without probes. */
static void add_waited(const struct slow_key *key, const struct slow_sum *sum, double share, void *arg)
{
	struct slow_report *r = arg;
	struct slow_pair p = { .id = key->id, .slot = key->slot, .blocker = key->blocker, .sampled = 1,
			       .pid = (uint32_t)sum->pid, .share = share };
	size_t i;

	for (i = 0; i < r->npairs; i++)
		if (r->pair[i].traced && r->pair[i].id == key->id && r->pair[i].slot == key->slot)
			return;
	memcpy(p.comm, sum->comm, sizeof(p.comm));
	slow_add_pair(r, &p);
}

static void add_traced(const struct slow_key *key, const struct slow_sum *sum, void *arg)
{
	struct slow_report *r = arg;
	struct slow_gap gap = { .id = key->id, .slot = key->slot, .pid = (uint32_t)sum->pid,
				.lost = sum->behind };
	struct slow_pair p = { .id = key->id, .slot = key->slot, .blocker = key->blocker, .traced = 1,
			       .pid = (uint32_t)sum->pid };

	memcpy(p.comm, sum->comm, sizeof(p.comm));
	memcpy(gap.comm, sum->comm, sizeof(gap.comm));
	p.share = (double)sum->ns / 1e9 / r->seconds;
	/* A wait that began before this interval. */
	if (p.share > 1)
		p.share = 1;
	if (key->blocker == SLOW_GAP)
		slow_add_gap(r, &gap);
	else
		slow_add_pair(r, &p);
}

/* The module knows which end is furthest behind. */
static void ask_taker(const struct slow_run *r, struct slow_far *far)
{
	struct shmipc_bpf_state now;

	if (!module_ask(r->module, far->pair->id, &now) && now.slot == far->pair->blocker)
		far->blocker.pid = (int32_t)now.pid;
}

/* Segments that cannot be looked at: only the probes report about them. */
static void add_far(struct slow_run *r)
{
	struct slow_far far;
	size_t i;

	for (i = 0; i < r->report.npairs; i++) {
		far = (struct slow_far){ .pair = &r->report.pair[i] };
		if (look_by_id(&r->now, far.pair->id) || far.pair->share < SLOW_SHARE_MIN)
			continue;
		blocked_name(r->blocked, far.pair->id, far.name);
		if (!*far.name)
			module_name(r->module, far.pair->id, far.name);
		if (!*far.name || !opts_matches(&r->o->patterns, far.name))
			continue;
		if (!blocked_taker(r->blocked, far.pair->id, far.pair->blocker, &far.blocker))
			ask_taker(r, &far);
		slow_add_far(&r->report, &far);
	}
}

/* New processes may have the library in other files. */
static void look_at_new(struct slow_run *r)
{
	const struct look_seg *s;
	uint32_t j;
	size_t i;

	for (i = 0; r->blocked && i < r->now.n; i++) {
		s = r->now.seg[i];
		for (j = 0; j < s->nends; j++)
			if (s->is_new || s->end[j].since_ns + 3 * r->o->every_ns >
			    event_wall_ns(tool_now_ns()))
				blocked_look(r->blocked, (pid_t)slow_pid(s, &s->end[j]));
	}
}

static int stack_is_new(struct slow_run *r, uint32_t pid)
{
	uint64_t now = tool_now_ns();
	unsigned int i;

	for (i = 0; i < STACKS_KNOWN; i++)
		if (r->stack[i].pid == pid && now - r->stack[i].at_ns < STACK_EVERY_NS)
			return 0;
	i = r->nstacks++ % STACKS_KNOWN;
	r->stack[i].pid = pid;
	r->stack[i].at_ns = now;
	return 1;
}

/* Of the worst only, and not in every report. */
static void take_stacks(struct slow_run *r)
{
	unsigned int n = 0;
	size_t i;

	for (i = 0; r->o->stack && i < r->report.nfound && n < STACKS; i++) {
		struct slow_finding *f = &r->report.found[i];

		if (!f->pid || !f->doing.state || !stack_is_new(r, f->pid))
			continue;
		f->stack = stack_take(f->pid);
		n++;
	}
}

static int report(struct slow_run *r)
{
	uint64_t now = tool_now_ns();
	size_t i;

	if (look(&r->now))
		return RC_FAIL;
	r->report.seconds = (double)(now - r->from_ns) / 1e9;
	r->from_ns = now;
	blocked_each(r->blocked, add_traced, &r->report);
	module_waits(r->module, add_waited, &r->report);
	r->report.module = r->module;
	for (i = 0; i < r->often.n; i++) {
		add_sampled(&r->report, r->often.seg[i]);
		free(r->often.seg[i]->user);
		r->often.seg[i]->user = NULL;
	}
	add_far(r);
	slow_find(&r->report, &r->now);
	if (r->report.failed) {
		tool_error("out of memory (ENOMEM)");
		return RC_FAIL;
	}
	take_stacks(r);
	slow_show(r->o, &r->report, &r->now);
	slow_empty(&r->report);
	if (blocked_lost(r->blocked) > r->lost)
		tool_note("more waits and losses than there was room for: some were not counted");
	r->lost = blocked_lost(r->blocked);
	look_at_new(r);
	r->shown++;
	return tool_flush();	/* its reader waits for it */
}

static void tell_module(struct slow_run *r)
{
	if (module_on(r->module) && !r->had_module) {
		r->had_module = 1;
		tool_note("listens to the sampler of the kernel module");
	}
}

/* It may be loaded while we run; other sources report the rest. */
static int look_at_module(struct slow_run *r)
{
	if (!r->module || r->had_module)
		return RC_OK;
	if (module_look(r->module)) {
		module_free(r->module);
		r->module = NULL;
		return r->o->sources == SOURCE_MODULE ? RC_FAIL : RC_OK;
	}
	tell_module(r);
	return RC_OK;
}

/* Open the available ones of the sources that were asked for. */
static int begin(struct slow_run *r)
{
	const struct module_want want = { .o = r->o, .mode = TRACE_WAITS };
	int bpf = trace_source(r->o, SOURCE_PROBES) || trace_source(r->o, SOURCE_MODULE);
	int rc = RC_OK;

	if (trace_source(r->o, SOURCE_PROBES)) {
		rc = blocked_new(&r->blocked);
		blocked_look(r->blocked, 0);
	} else if (bpf) {
		(void)rights_check();
	}
	if (!rc && trace_source(r->o, SOURCE_MODULE) && rights_there() &&
	    module_new(&r->module, &want) && r->o->sources == SOURCE_MODULE)
		rc = RC_FAIL;
	tell_module(r);
	if (r->module && !r->had_module && r->o->sources)
		tool_note("waits for the kernel module: %s", module_why_not());
	if (bpf && !r->blocked && !r->module)
		tool_note("going on without eBPF: how long publishers wait is estimated by sampling");
	return rc;
}

static void nap(const struct slow_run *r, uint64_t until_ns)
{
	uint64_t now = tool_now_ns(), ns = until_ns > now ? until_ns - now : 0;
	struct timespec ts = { (time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S) };

	(void)ppoll(NULL, 0, &ts, &r->open);
}

static uint64_t next_sample_ns(const struct slow_run *r)
{
	uint64_t rest = r->often.took_ns * SAMPLE_PART;

	return tool_now_ns() + (rest > SAMPLE_NS ? rest : SAMPLE_NS);
}

static int go_on(struct slow_run *r)
{
	uint64_t due, next, end = UINT64_MAX;
	int rc;

	r->from_ns = tool_now_ns();
	if (look(&r->now))
		return RC_FAIL;
	if (r->o->duration_ns)
		end = r->from_ns + r->o->duration_ns;
	due = r->from_ns + (r->o->every_ns < FIRST_NS ? r->o->every_ns : FIRST_NS);
	for (;;) {
		if (sample(r) || look_at_module(r))
			return RC_FAIL;
		next = next_sample_ns(r);
		nap(r, next < due ? next : due);
		if (tool_stop)
			return session_code();
		if (tool_now_ns() < due)
			continue;
		rc = report(r);
		if (rc)
			return rc;
		if ((r->o->count && r->shown >= r->o->count) || tool_now_ns() >= end)
			return RC_OK;
		due += r->o->every_ns;
	}
}

int trace_slow(const struct trace_opts *o)
{
	struct slow_run r = { .o = o };
	int rc;

	session_signals(&r.open);
	rc = begin(&r);
	if (rc)
		goto done;
	if (o->stack)
		tool_note("--stack stops each thread of a slow process for a moment, at most every %u s",
			  (unsigned int)(STACK_EVERY_NS / NS_PER_S));
	look_init(&r.often, o->patterns.text, o->patterns.n);
	look_init(&r.now, o->patterns.text, o->patterns.n);
	rc = go_on(&r);
	look_done(&r.often);
	look_done(&r.now);
	slow_free(&r.report);
done:
	module_free(r.module);
	blocked_free(r.blocked);
	return rc;
}
