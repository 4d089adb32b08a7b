// SPDX-License-Identifier: MIT
/*
 * deaths.c - shmipc trace --deaths: which processes had an end and died, and how
 *
 * That a process died is learned from the peer tables, with read permission only; how,
 * from the kernel, by eBPF. The two are joined by PID namespace and PID. Of segments on
 * the device the kernel module keeps receipts, which need no eBPF. A process is reported
 * once, with all its ends, which are waited for for a moment.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <shmipc/discover.h>
#include "deaths_tell.h"
#include "exits.h"
#include "module.h"
#include "pidfd.h"
#include "process.h"
#include "session.h"
#include "trace.h"
#include "../util/util.h"

/* The kernel's report may come a little later than that of the tables, or earlier. */
#define GRACE_NS	(400 * NS_PER_MS)
#define ENDED_MAX	256u	/* that end at the same time */
#define FAR_ENDS	64u	/* of one process, in segments that cannot be looked at */
#define MODULE_NS	(250 * NS_PER_MS)	/* has the module been loaded? */
#define LOOK_NS		(20 * NS_PER_MS)	/* while a death is not settled */

struct deaths {
	const struct trace_opts *o;
	struct shmipc_watch *watch;
	struct exits *exits;
	struct module *module;
	struct receipts *receipts;	/* NULL: --source does not name them */
	int had_module;		/* it listened, and a note said so */
	struct held *held;
	size_t n, cap;
	uint64_t told;
	uint64_t end_ns;
	int begun;		/* the ends at the start are known */
	struct ended {
		struct death_key process;
		uint64_t due_ns;
	} ended[ENDED_MAX];
	unsigned int nended;
	uint64_t lost;		/* reported so far */
	sigset_t open;
	int err;
};

static struct held *find(struct deaths *d, uint64_t id, uint32_t slot)
{
	size_t i;

	for (i = 0; i < d->n; i++)
		if (d->held[i].id == id && d->held[i].end.slot == slot)
			return &d->held[i];
	return NULL;
}

static void forget(struct deaths *d, struct held *h)
{
	pidfd_let_go(h->pidfd);
	*h = d->held[--d->n];
}

static struct held *add(struct deaths *d)
{
	size_t cap = d->cap ? 2 * d->cap : 64;
	struct held *more;

	if (d->n == d->cap) {
		more = realloc(d->held, cap * sizeof(*more));
		if (!more) {
			tool_error("out of memory (ENOMEM)");
			d->err = -ENOMEM;
			return NULL;
		}
		d->held = more;
		d->cap = cap;
	}
	return &d->held[d->n++];
}

static uint64_t first_bytes(const uint8_t id[16])
{
	uint64_t v;

	memcpy(&v, id, sizeof(v));
	return v;
}

static void went(struct deaths *d, const struct shmipc_event *e)
{
	struct held *h = find(d, first_bytes(e->id), e->end.slot);

	if (!h || h->told || h->gone)
		return;
	if (e->type == SHMIPC_EVENT_LEFT) {
		forget(d, h);
		return;
	}
	/* With --source module the module reports it. */
	if (d->o->sources == SOURCE_MODULE && module_on(d->module))
		return;
	h->gone = e->type;
	h->noticed_ns = e->noticed_ns;
	h->due_ns = tool_now_ns() + GRACE_NS;
}

/* All ends of a process have gone, or it is too late to wait for that. */
static int all_gone(const struct deaths *d, const struct held *of)
{
	size_t i;

	for (i = 0; i < d->n; i++)
		if (d->held[i].process.pid == of->process.pid &&
		    d->held[i].process.pidns == of->process.pidns && !d->held[i].gone)
			return 0;
	return 1;
}

static int same_process(const struct held *a, const struct held *b)
{
	return a == b || (a->process.pid && a->process.pid == b->process.pid &&
			  a->process.pidns == b->process.pidns);
}

/* Report all ends of a process that ended. */
static void tell_all(struct deaths *d, struct held *first, const struct death_exit *how)
{
	const struct held *with[TELL_ENDS];
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < d->n; i++) {
		struct held *h = &d->held[i];

		if (!h->gone || h->told || !same_process(h, first))
			continue;
		h->told = 1;
		if (n < TELL_ENDS)
			with[n] = h;
		n++;
	}
	tell_death(d->o, with, n, how);
	d->told++;
}

/* Did a process with this PID end while it held this? The PID may be in use again. */
static int how_it_ended(struct deaths *d, const struct held *h, struct death_exit *ret)
{
	struct death_key key = { h->process.pidns, (int32_t)h->process.pid };

	if (d->exits)
		return exits_find(d->exits, key, ret) &&
		       event_wall_ns(ret->mono_ns) >= h->end.since_ns;
	if (h->receipt.seq)	/* it says more */
		return 0;
	memset(ret, 0, sizeof(*ret));
	ret->by_oom = DEATH_NOT_KNOWN;
	memcpy(ret->comm, h->end.comm, sizeof(ret->comm));
	ret->mono_ns = h->due_ns - GRACE_NS;
	return pidfd_ended(h->pidfd, &ret->code);
}

/* @now: do not wait any longer. Return: 1 if it is as settled as it will be. */
static int settle(struct deaths *d, struct held *h, int now)
{
	struct death_exit how;
	int late = now || tool_now_ns() >= h->due_ns, seen = how_it_ended(d, h, &how);
	int known = seen || (h->receipt.seq && !d->exits);

	if (!late && (!known || !all_gone(d, h)))
		return 0;
	/* Nothing saw it leave or die: it died if it was killed. */
	if (h->gone == SHMIPC_EVENT_LOST && (!seen || !(how.code & 0x7f)))
		h->told = 1;
	else
		tell_all(d, h, seen ? &how : NULL);
	return 1;
}

/* Another end has the slot: the old one is reported now, if not before. */
static void make_way(struct deaths *d, struct held *h)
{
	if (h->gone && !h->told)
		(void)settle(d, h, 1);
	pidfd_let_go(h->pidfd);
}

/* A place for another end, that of @h if it is not NULL. NULL: out of memory. */
static struct held *place(struct deaths *d, struct held *h)
{
	if (h)
		make_way(d, h);
	else
		h = add(d);
	if (h)
		memset(h, 0, sizeof(*h));
	return h;
}

static void joined(struct deaths *d, const struct shmipc_event *e)
{
	struct held *h = find(d, first_bytes(e->id), e->end.slot);

	if (h && h->by_module && h->end.generation == e->end.generation)
		return;		/* it came before the table changed */
	h = place(d, h);
	if (!h)
		return;
	h->id = first_bytes(e->id);
	h->kind = e->kind;
	h->end = e->end;
	memcpy(h->name, e->name, sizeof(h->name));
	h->process = process_of_end(e->name, e->end.slot, e->end.generation, e->end.pid);
	h->pidfd = d->exits ? -1 : pidfd_hold(process_seen(h->process));
	if (d->exits && d->begun)
		exits_look(d->exits, (pid_t)process_seen(h->process));
}

/* From the kernel module, at once: perhaps before the table shows it. */
static void died(const struct trace_event *e, void *arg)
{
	struct deaths *d = arg;
	struct held *h = find(d, e->id, e->slot);
	char name[TRACE_NAME];

	module_name(d->module, e->id, name);
	if (!*name || !opts_matches(&d->o->patterns, name))
		return;
	if (h && h->end.generation == e->arg[1] && h->told)
		return;
	if (!h || h->end.generation != e->arg[1]) {
		h = place(d, h);
		if (!h)
			return;
		h->id = e->id;
		h->kind = (uint32_t)e->arg[4];
		h->end.slot = e->slot;
		h->end.role = (uint32_t)e->arg[0];
		h->end.generation = e->arg[1];
		h->end.pid = (uint32_t)e->pid;
		h->pidfd = -1;
		memcpy(h->end.comm, e->comm, sizeof(e->comm));
		snprintf(h->name, sizeof(h->name), "%s", name);
	}
	h->by_module = 1;
	h->gone = SHMIPC_EVENT_DIED;
	h->process = (struct process_id){ (uint32_t)(e->arg[5] >> 32), (uint32_t)e->arg[5] };
	h->noticed_ns = event_wall_ns(e->mono_ns);
	h->due_ns = tool_now_ns() + GRACE_NS;
}

/* A receipt, and the segment that it is of. */
struct found {
	struct deaths *d;
	const struct shmipc_event *e;
};

/*
 * With eBPF it completes what is known. Without, it may also be all that is known of a
 * peer that came and went between two looks; then it is reported at once.
 */
static void on_receipt(const struct shmipc_death_info *r, void *arg)
{
	struct found *f = arg;
	struct deaths *d = f->d;
	struct held *h = find(d, first_bytes(f->e->id), r->slot), missed = { .kind = f->e->kind };
	const struct held *one = &missed;

	if (h && h->end.generation == r->generation) {
		if (h->told)
			return;
		h->receipt = *r;
		h->gone = SHMIPC_EVENT_DIED;
		h->noticed_ns = r->at_ns;
		h->due_ns = tool_now_ns() + GRACE_NS;
		return;
	}
	if (d->exits)
		return;
	missed.id = first_bytes(f->e->id);
	memcpy(missed.name, f->e->name, sizeof(missed.name));
	held_of_receipt(&missed, r);
	tell_death(d->o, &one, 1, NULL);
	d->told++;
}

static void look_at_receipts(struct deaths *d, const struct shmipc_event *e)
{
	struct found f = { d, e };
	uint64_t lost = receipts_read(d->receipts, first_bytes(e->id), e->name, on_receipt, &f);

	if (lost)
		tool_note("%s: %" PRIu64 " deaths lost: they came faster than they could be reported",
			  e->name, lost);
}

/* Return: 1 if something is left to settle. */
static int settle_all(struct deaths *d)
{
	int left = 0;
	size_t i;

	for (i = 0; i < d->n; i++)
		if (d->held[i].gone && !d->held[i].told)
			left |= !settle(d, &d->held[i], 0);
	return left;
}

struct far {
	struct deaths *d;
	struct held held[FAR_ENDS];
	unsigned int n;
};

static int knows(const struct deaths *d, uint64_t id)
{
	size_t i;

	for (i = 0; i < d->n; i++)
		if (d->held[i].id == id)
			return 1;
	return 0;
}

/* The watch handles those that it knows. */
static void add_far(const struct death_end_key *key, const struct death_end *end, const char *name,
		    void *arg)
{
	struct far *f = arg;
	const struct held *known = find(f->d, key->id, (uint32_t)key->slot);
	struct held *h;

	if ((known && known->end.generation == end->generation) || f->n == FAR_ENDS ||
	    !opts_matches(&f->d->o->patterns, name))
		return;
	h = &f->held[f->n++];
	memset(h, 0, sizeof(*h));
	h->id = key->id;
	h->far = !knows(f->d, key->id);
	h->end.slot = (uint32_t)key->slot;
	h->end.role = end->role;
	h->end.generation = end->generation;
	h->process = (struct process_id){ end->process.pidns, (uint32_t)end->process.pid };
	snprintf(h->name, sizeof(h->name), "%s", name);
}

static void tell_far(struct deaths *d, struct death_key process)
{
	const struct held *end[FAR_ENDS];
	struct death_exit how;
	struct far f = { .d = d };
	unsigned int i;

	exits_ends(d->exits, process, add_far, &f);
	if (!f.n || !exits_find(d->exits, process, &how))
		return;
	for (i = 0; i < f.n; i++) {
		f.held[i].noticed_ns = event_wall_ns(how.mono_ns);
		end[i] = &f.held[i];
	}
	tell_death(d->o, end, f.n, &how);
	d->told++;
}

/* A process that attached while we listened has ended: the tables may not show it. */
static void ended(struct deaths *d, struct death_key process)
{
	struct ended *e;

	if (d->nended == ENDED_MAX) {	/* too many to wait for the tables */
		tell_far(d, d->ended[0].process);
		d->ended[0] = d->ended[--d->nended];
	}
	e = &d->ended[d->nended++];
	e->process = process;
	e->due_ns = tool_now_ns() + GRACE_NS;
}

static void on_note(const struct death_note *n, void *arg)
{
	struct deaths *d = arg;
	struct held *h = n->type == DEATH_ABORTED ? find(d, n->id, n->dead) : NULL;

	if (n->type == DEATH_ENDED)
		ended(d, n->ended);
	else if (h)
		tell_abort(d->o, h, n);
}

/* Return: 1 if something is left to report. */
static int tell_ended(struct deaths *d)
{
	unsigned int i, n = 0;

	for (i = 0; i < d->nended; i++) {
		if (tool_now_ns() < d->ended[i].due_ns)
			d->ended[n++] = d->ended[i];
		else
			tell_far(d, d->ended[i].process);
	}
	d->nended = n;
	return n > 0;
}

static void tell_module(struct deaths *d)
{
	if (!module_on(d->module) || d->had_module)
		return;
	d->had_module = 1;
	tool_note("listens to the kernel module");
}

/* It may be loaded while we run. */
static void look_at_module(struct deaths *d)
{
	if (!d->module || d->had_module)
		return;
	if (module_look(d->module)) {	/* it is loaded and does not work; a message said so */
		module_free(d->module);
		d->module = NULL;
	}
	tell_module(d);
}

static int serve(struct deaths *d)
{
	struct shmipc_event e = { .struct_bytes = sizeof(e) };
	int err = -EAGAIN;

	look_at_module(d);
	module_serve(d->module);
	while (!d->err && !(err = shmipc_watch_next(d->watch, &e, 0))) {
		if (!opts_matches(&d->o->patterns, e.name))
			continue;
		if (e.type == SHMIPC_EVENT_JOINED)
			joined(d, &e);
		else if (e.type > SHMIPC_EVENT_JOINED)
			went(d, &e);
		if (e.type == SHMIPC_EVENT_GONE)
			receipts_forget(d->receipts, first_bytes(e.id));
		else if (e.type >= SHMIPC_EVENT_JOINED)
			look_at_receipts(d, &e);
	}
	if (!d->err && err != -EAGAIN) {
		tool_error_lib("watch", shmipc_segment_dir(), err);
		d->err = err;
	}
	return d->err;
}

static void tell_lost(struct deaths *d)
{
	uint64_t lost = exits_lost(d->exits) + module_lost(d->module);

	if (lost > d->lost)
		tool_note("%" PRIu64 " events lost: they came faster than they could be reported", lost - d->lost);
	d->lost = lost;
}

static int over(const struct deaths *d)
{
	return tool_stop || (d->o->count && d->told >= d->o->count) || tool_now_ns() >= d->end_ns;
}

static void nap(const struct deaths *d, int soon)
{
	struct pollfd p[4] = {
		{ .fd = shmipc_watch_fd(d->watch), .events = POLLIN },
		{ .fd = exits_fd(d->exits), .events = POLLIN },
		{ .fd = module_fd(d->module), .events = POLLIN },
		{ .fd = tool_reader_fd() },
	};
	uint64_t now = tool_now_ns(), ns = d->end_ns > now ? d->end_ns - now : 0;
	struct timespec ts;

	if (soon && ns > LOOK_NS)
		ns = LOOK_NS;
	if (d->module && !d->had_module && ns > MODULE_NS)
		ns = MODULE_NS;
	ts = (struct timespec){ (time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S) };
	(void)ppoll(p, 4, ns == UINT64_MAX ? NULL : &ts, &d->open);
}

static int go_on(struct deaths *d)
{
	int soon, rc;

	for (;;) {
		if (serve(d))
			return RC_FAIL;
		exits_serve(d->exits);
		if (!d->begun) {
			d->begun = 1;
			tool_note("watching %zu ends%s%s", d->n, d->exits ? "" :
				  "; without eBPF it is not known which process sent a signal",
				  d->exits || receipts_kept(d->receipts) ? "" :
				  ", nor always how a process died");
		}
		soon = settle_all(d);
		soon |= tell_ended(d);
		tell_lost(d);
		rc = tool_flush();
		if (rc)
			return rc;
		if (over(d))
			break;
		nap(d, soon);
	}
	return d->o->count && d->told >= d->o->count ? RC_OK : session_code();
}

static int begin(struct deaths *d)
{
	const struct trace_opts *o = d->o;
	const struct module_want want = { .o = o, .mode = TRACE_EVENTS,
					  .types = 1u << TRACE_MOD_DEATH, .fn = died, .arg = d };
	int rc = RC_OK;

	if (trace_source(o, SOURCE_PROBES) || trace_source(o, SOURCE_MODULE))
		rc = exits_new(&d->exits, trace_source(o, SOURCE_PROBES), on_note, d);
	if (rc || !d->exits || !trace_source(o, SOURCE_MODULE))
		return rc;
	if (module_new(&d->module, &want) && o->sources == SOURCE_MODULE)
		return RC_FAIL;
	tell_module(d);
	if (d->module && !d->had_module && o->sources)
		tool_note("waits for the kernel module: %s", module_why_not());
	return RC_OK;
}

int trace_deaths(const struct trace_opts *o)
{
	struct deaths d = { .o = o, .end_ns = UINT64_MAX };
	int err, rc;

	session_signals(&d.open);
	if (trace_source(o, SOURCE_MODULE) || trace_source(o, SOURCE_COUNTERS)) {
		d.receipts = receipts_new();
		if (!d.receipts)
			return RC_FAIL;
	}
	rc = tell_before(o, d.receipts);
	if (!rc)
		rc = begin(&d);
	if (rc)
		goto done;
	/* With several patterns, each name is matched here. */
	err = shmipc_watch_open(&d.watch, o->patterns.n == 1 ? o->patterns.text[0] : NULL, SHMIPC_KIND_ANY,
				SHMIPC_WATCH_ENDS);
	if (err) {
		tool_error_lib("watch", shmipc_segment_dir(), err);
		rc = RC_FAIL;
	} else {
		if (o->duration_ns)
			d.end_ns = tool_now_ns() + o->duration_ns;
		rc = go_on(&d);
		shmipc_watch_close(d.watch);
	}
done:
	receipts_free(d.receipts);
	module_free(d.module);
	exits_free(d.exits);
	while (d.n)
		forget(&d, &d.held[d.n - 1]);
	free(d.held);
	return rc;
}
