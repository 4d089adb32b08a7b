// SPDX-License-Identifier: MIT
/*
 * occupancy.c - how many messages each peer is behind, from the counters of segments
 *
 * They are read through separate mappings, without eBPF: read permission is enough. For
 * segments on the device they come from the module's sampler, if that can be listened
 * to. bcast rings are left out; their readers do not publish their positions.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <shmipc/discover.h>
#include <shmipc/topic.h>
#include "events.h"
#include "module.h"
#include "names.h"
#include "plot.h"
#include "rights.h"
#include "session.h"
#include "trace.h"
#include "../util/json.h"
#include "../util/util.h"
#include "../view/view.h"

#define RATE_HZ		100.0	/* looks a second by default; the module's sampler has the same */
#define SHARE		10	/* looking takes at most this part of the time */

struct look {
	const struct trace_run *t;
	struct hists all, before, interval;
	struct plot_points points;
	uint64_t wall_ns;
	sigset_t open;
	int shown;		/* an interval was */
	struct module *module;
	int err;		/* of the module's samples */
	int rc;			/* of the output */
	/* room for the peers of a topic, kept between looks */
	struct shmipc_topic_pub_info *pub;
	struct shmipc_topic_sub_info *sub;
	uint32_t peers;
};

static int wanted_pid(const struct trace_opts *o, uint32_t pid)
{
	uint64_t v = 0;
	unsigned int i;

	for (i = 0; i < o->pids.n; i++)
		if (!parse_number(o->pids.text[i], INT32_MAX, &v) && v == pid)
			return 1;
	return !o->pids.n;
}

static json_t *sample_json(const struct hist_row *r, uint64_t wall_ns, uint64_t behind)
{
	char id[ID_TEXT];

	return json_pack("{s:s, s:I, s:s, s:s, s:i, s:i, s:s, s:I}", "event", "sample", "wall_ns",
			 json_u64(wall_ns), "name", r->name, "id", id_text(r->id, id), "slot",
			 (int)r->slot, "pid", (int)r->pid, "comm", r->comm, "behind",
			 json_u64(behind));
}

static int add_sample(struct look *l, struct hist_row *r, uint64_t behind)
{
	size_t row;

	if (!r)
		return -ENOMEM;
	hist_add(&r->h, behind);
	if (l->t->record)
		json_line(l->t->record, sample_json(r, l->wall_ns, behind));
	for (row = 0; l->all.row[row] != r;)
		row++;
	return l->t->o->plot ? plot_add(&l->points, l->wall_ns, (uint32_t)row, behind) : 0;
}

static int sample(struct look *l, const struct shmipc_segment_info *info,
		  const struct shmipc_peer_info *peer, uint64_t behind)
{
	char comm[sizeof(peer->comm) + 1];

	if (peer->state != SHMIPC_PEER_ATTACHED || !wanted_pid(l->t->o, peer->pid))
		return 0;
	return add_sample(l, hists_row(&l->all, names_id(info->id), peer->slot, (int32_t)peer->pid,
				       info->name,
				       clean_text(peer->comm, sizeof(peer->comm), comm, sizeof(comm))),
			  behind);
}

/* From the module's sampler. */
static void on_sample(const struct trace_event *e, void *arg)
{
	char comm[TRACE_COMM + 1], name[TRACE_NAME], clean[TRACE_NAME];
	struct look *l = arg;

	module_name(l->module, e->id, name);
	clean_text(name, sizeof(name), clean, sizeof(clean));
	if (l->err || !*name || !opts_matches(&l->t->o->patterns, clean) ||
	    !wanted_pid(l->t->o, (uint32_t)e->pid))
		return;
	l->wall_ns = event_wall_ns(e->mono_ns);
	l->all.to_ns = l->wall_ns;
	l->err = add_sample(l, hists_row(&l->all, e->id, e->slot, e->pid, clean,
					 clean_text(e->comm, sizeof(e->comm), comm, sizeof(comm))),
			    e->arg[1]);
}

static int have_room(struct look *l, uint32_t peers)
{
	if (peers <= l->peers)
		return 0;
	free(l->pub);
	free(l->sub);
	l->pub = calloc(peers, sizeof(*l->pub));
	l->sub = calloc(peers, sizeof(*l->sub));
	l->peers = l->pub && l->sub ? peers : 0;
	return l->peers ? 0 : -ENOMEM;
}

static int sample_topic(struct look *l, const char *name, uint32_t peers)
{
	int err = have_room(l, peers);
	struct shmipc_topic_stat st = { .struct_bytes = sizeof(st), .pub = l->pub, .sub = l->sub,
					.pub_cap = l->peers, .sub_cap = l->peers };
	uint32_t i;

	if (err || shmipc_topic_look(name, &st))
		return err;	/* 0: removed meanwhile */
	for (i = 0; i < st.nsubs && i < l->peers && !err; i++)
		err = sample(l, &st.info, &st.sub[i].peer, st.sub[i].lag);
	return err;
}

static int sample_ring(struct look *l, const struct shmipc_segment_stat *st)
{
	uint32_t i;
	int err = 0;

	for (i = 0; i < st->npeers && !err; i++)
		if (st->peer[i].role == SHMIPC_ROLE_CONSUMER)
			err = sample(l, &st->info, &st->peer[i], st->tail_seq - st->head_seq);
	return err;
}

static int look_at(const char *name, int err, const struct shmipc_segment_stat *st, void *arg)
{
	struct look *l = arg;

	if (err || !st || !opts_matches(&l->t->o->patterns, name))
		return 0;
	if (module_on(l->module) && st->info.backend && !strcmp(st->info.backend, "dev"))
		return 0;	/* reported by the sampler */
	if (st->info.kind == SHMIPC_KIND_TOPIC)
		return sample_topic(l, name, st->info.peers);
	return st->info.kind == SHMIPC_KIND_SPSC ? sample_ring(l, st) : 0;
}

static int look_once(struct look *l)
{
	if (trace_source(l->t->o, SOURCE_MODULE)) {
		if (l->module && module_look(l->module))
			return -EPIPE;		/* a message was printed */
		module_serve(l->module);
		if (l->err)
			return l->err;
	}
	l->wall_ns = event_wall_ns(tool_now_ns());
	l->all.to_ns = l->wall_ns;
	if (!trace_source(l->t->o, SOURCE_COUNTERS))
		return 0;
	return shmipc_discover_each(NULL, SHMIPC_KIND_ANY, look_at, l);
}

static int show_interval(struct look *l)
{
	struct hist_row *now, *before, *since;
	size_t i;

	for (i = 0; i < l->all.n; i++) {
		now = l->all.row[i];
		before = hists_row(&l->before, now->id, now->slot, now->pid, now->name, now->comm);
		since = hists_row(&l->interval, now->id, now->slot, now->pid, now->name, now->comm);
		if (!before || !since)
			return -ENOMEM;
		hist_since(&since->h, &now->h, &before->h);
		before->h = now->h;
	}
	l->interval.from_ns = l->interval.to_ns ? l->interval.to_ns : l->all.from_ns;
	l->interval.to_ns = l->all.to_ns;
	if (l->t->o->json)
		hists_json(stdout, &l->interval, "interval");
	else
		hists_print(stdout, &l->interval);
	l->shown = 1;
	l->rc = trace_flush(l->t);
	return l->rc ? -EPIPE : 0;
}

static void pause_until(const struct look *l, uint64_t until_ns)
{
	uint64_t now = tool_now_ns(), ns = until_ns > now ? until_ns - now : 0;
	struct timespec ts = { .tv_sec = (time_t)(ns / NS_PER_S),
			       .tv_nsec = (long)(ns % NS_PER_S) };

	(void)ppoll(NULL, 0, &ts, &l->open);
}

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static int go_on(struct look *l)
{
	const struct trace_opts *o = l->t->o;
	uint64_t period = (uint64_t)(1e9 / (o->rate > 0 ? o->rate : RATE_HZ));
	uint64_t from = tool_now_ns(), now = from, next = from + o->every_ns, ran;
	uint64_t end = o->duration_ns ? from + o->duration_ns : UINT64_MAX;
	int err = 0;

	while (!err && !tool_stop && now < end) {
		ran = cpu_ns();
		err = look_once(l);
		ran = cpu_ns() - ran;
		if (!err && tool_now_ns() >= next && tool_now_ns() < end) {
			err = show_interval(l);
			next += o->every_ns;
		}
		now += SHARE * ran > period ? SHARE * ran : period;
		pause_until(l, now < end ? now : end);
		now = tool_now_ns();
	}
	return err;
}

static int show_all(struct look *l)
{
	const struct trace_opts *o = l->t->o;
	struct hists *hs = &l->all;
	int rc;

	if (o->json) {
		hists_json(stdout, hs, "all");
	} else {
		printf("%sin all, %.1f s, messages that each is behind:\n", l->shown ? "\n" : "",
		       (double)(hs->to_ns - hs->from_ns) / 1e9);
		hists_print(stdout, hs);
		if (!hs->n)
			printf("no end reads from a topic or a lossless ring that was asked for\n");
	}
	rc = trace_flush(l->t);
	return rc;
}

/* Without the rights the counters are used. */
static int begin_module(struct look *l)
{
	const struct trace_opts *o = l->t->o;
	const struct module_want want = { .o = o, .mode = TRACE_BEHIND, .fn = on_sample, .arg = l };
	int alone = o->sources == SOURCE_MODULE, rc = RC_OK;

	if (!trace_source(o, SOURCE_MODULE))
		return RC_OK;
	if (alone)
		rc = rights_check();
	else if (module_there() != MODULE_THERE || !rights_there())
		return RC_OK;
	if (!rc)
		rc = module_new(&l->module, &want);
	if (rc)
		return alone ? rc : RC_OK;	/* a message was printed */
	if (o->rate > 0)
		module_rate(l->module, o->rate);
	if (module_on(l->module))
		tool_note("listens to the sampler of the kernel module");
	else
		tool_note("waits for the kernel module: %s", module_why_not());
	return RC_OK;
}

int trace_occupancy(const struct trace_run *t)
{
	struct look l = { .t = t, .all.what = t->what, .before.what = t->what,
			  .interval.what = t->what };
	int err, rc;

	session_signals(&l.open);
	rc = begin_module(&l);
	if (rc)
		return rc;
	l.all.from_ns = event_wall_ns(tool_now_ns());
	err = go_on(&l);
	if (module_lost(l.module))
		tool_note("%llu samples lost: they came faster than they could be counted",
			  (unsigned long long)module_lost(l.module));
	if (err && err != -EPIPE)
		tool_error_lib("look for segments in", shmipc_segment_dir(), err);
	/* The picture refers to rows by index, which sorting changes. */
	rc = l.rc ? l.rc : err ? RC_FAIL : t->o->plot ? plot_lag(t->o->plot, &l.all, &l.points) : RC_OK;
	if (!rc)
		rc = show_all(&l);
	hists_done(&l.all);
	hists_done(&l.before);
	hists_done(&l.interval);
	module_free(l.module);
	free(l.points.point);
	free(l.pub);
	free(l.sub);
	return rc ? rc : session_code();
}
