// SPDX-License-Identifier: MIT
/* again.c - show a recording, or make a histogram or a picture of it */
#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <shmipc/error.h>
#include "events.h"
#include "plot.h"
#include "trace.h"
#include "../util/json.h"
#include "../util/util.h"

/* When something began, by segment and slot or thread, as in trace.bpf.c. */
struct begun {
	uint64_t id;
	uint64_t at;
	uint32_t type;
	uint32_t reserved0;
	uint64_t ns;
};

struct again {
	struct trace_run t;
	struct hists hs;
	struct plot_points points;
	void *begun;		/* of tsearch(3) */
	uint64_t shown, unpaired;
	uint64_t line;
};

static int by_key(const void *a, const void *b)
{
	const struct begun *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->type < y->type ? -1 : x->type > y->type;
}

static int begin(struct again *g, const struct trace_event *e, uint32_t type, uint64_t at)
{
	struct begun *b = calloc(1, sizeof(*b)), **found;

	if (!b)
		return -ENOMEM;
	b->id = e->id;
	b->at = at;
	b->type = type;
	found = tsearch(b, &g->begun, by_key);
	if (!found || *found != b)
		free(b);
	if (found)
		(*found)->ns = e->mono_ns;
	return found ? 0 : -ENOMEM;
}

static uint64_t began(const struct again *g, const struct trace_event *e, uint32_t type, uint64_t at)
{
	const struct begun key = { .id = e->id, .at = at, .type = type };
	struct begun **found = tfind(&key, &g->begun, by_key);

	return found ? (*found)->ns : 0;
}

static int count_in(struct again *g, const struct trace_event *e, const char *name, uint64_t wall,
		    uint64_t ns)
{
	struct hist_row *r;

	if (!ns) {
		g->unpaired++;
		return 0;
	}
	r = hists_row(&g->hs, e->id, e->slot, e->pid, name, e->comm);
	if (!r)
		return -ENOMEM;
	hist_add(&r->h, ns);
	if (!g->hs.from_ns)
		g->hs.from_ns = wall;
	g->hs.to_ns = wall;
	return 0;
}

static int pair_message(struct again *g, const struct trace_event *e, const char *name, uint64_t wall)
{
	int some = e->type == TRACE_PUBLISH_SOME || e->type == TRACE_TAKE_SOME, err = 0;
	uint64_t i, then;

	if (some != g->t.o->sample)
		return 0;	/* messages with these numbers have both probes */
	switch (e->type) {
	case TRACE_PUBLISH:
		for (i = 0; i < e->arg[2] && !err; i++)
			err = begin(g, e, TRACE_PUBLISH, e->arg[0] + i);
		return err;
	case TRACE_PUBLISH_SOME:
		return begin(g, e, TRACE_PUBLISH, e->arg[0]);
	case TRACE_TAKE:
	case TRACE_TAKE_SOME:
		then = began(g, e, TRACE_PUBLISH, e->arg[0]);
		return count_in(g, e, name, wall, e->took_ns ? e->took_ns :
				then ? e->mono_ns - then : 0);
	}
	return 0;
}

static int is_wake(const struct trace_event *e)
{
	return e->type == TRACE_WAKE || (e->type == TRACE_MOD_WAKE && e->arg[1]);
}

static int is_wait_end(const struct trace_event *e)
{
	return e->type == TRACE_WAIT_END || e->type == TRACE_MOD_WAIT_END;
}

/* As the eBPF programs do it in the kernel. */
static int pair(struct again *g, const struct trace_event *e, const char *name, uint64_t wall)
{
	uint64_t woken;

	switch (g->hs.what) {
	case HIST_PUBLISH_TO_RECEIVE:
		return pair_message(g, e, name, wall);
	case HIST_WAIT:
		return is_wait_end(e) ? count_in(g, e, name, wall, e->took_ns) : 0;
	case HIST_HOLD:
		return e->type == TRACE_RELEASE ? count_in(g, e, name, wall, e->took_ns) : 0;
	case HIST_WAKE:
		if (is_wake(e))
			return begin(g, e, TRACE_WAKE, e->arg[0]);
		if (!is_wait_end(e) || !e->took_ns)
			return 0;
		woken = began(g, e, TRACE_WAKE, e->arg[0]);
		return woken >= e->mono_ns - e->took_ns && woken < e->mono_ns ?
			count_in(g, e, name, wall, e->mono_ns - woken) : 0;
	default:
		return 0;
	}
}

static int pid_wanted(const struct trace_opts *o, int32_t pid)
{
	uint64_t v = 0;
	unsigned int i;

	for (i = 0; i < o->pids.n; i++)
		if (!parse_number(o->pids.text[i], INT32_MAX, &v) && (int32_t)v == pid)
			return 1;
	return !o->pids.n;
}

static int take_event(struct again *g, json_t *obj)
{
	const struct trace_opts *o = g->t.o;
	struct trace_event e;
	const char *name;
	uint64_t wall;
	int err = event_from_json(obj, &e, &name, &wall);

	if (err)
		return err;
	if (!opts_matches(&o->patterns, name))
		return 0;
	/* Filters do not apply to the end that publishes or wakes, as in the kernel. */
	if (g->hs.what != HIST_NONE && (e.type == TRACE_PUBLISH || e.type == TRACE_PUBLISH_SOME ||
					is_wake(&e)))
		return pair(g, &e, name, wall);
	if (!pid_wanted(o, e.pid))
		return 0;
	if (g->hs.what != HIST_NONE)
		return pair(g, &e, name, wall);
	if (o->events && !(g->t.types & 1u << e.type))
		return 0;
	if (o->json)
		json_line(stdout, json_incref(obj));
	else
		event_print(stdout, &e, name, wall, NULL);
	g->shown++;
	return 0;
}

static int take_sample(struct again *g, json_t *obj)
{
	const char *event, *name, *id_word, *comm;
	json_int_t wall, behind;
	struct hist_row *r;
	int slot, pid;
	uint64_t id;
	size_t row;

	if (json_unpack(obj, "{s:s}", "event", &event) || strcmp(event, "sample"))
		return -ENOMSG;
	if (json_unpack(obj, "{s:I, s:s, s:s, s:i, s:i, s:s, s:I}", "wall_ns", &wall,
			"name", &name, "id", &id_word, "slot", &slot, "pid", &pid, "comm", &comm,
			"behind", &behind) || id_from_text(id_word, &id))
		return -EINVAL;
	if (g->hs.what == HIST_NONE)
		g->hs.what = HIST_OCCUPANCY;
	if (g->hs.what != HIST_OCCUPANCY || !opts_matches(&g->t.o->patterns, name) || !pid_wanted(g->t.o, pid))
		return 0;
	r = hists_row(&g->hs, id, (uint32_t)slot, pid, name, comm);
	if (!r)
		return -ENOMEM;
	hist_add(&r->h, (uint64_t)behind);
	if (!g->hs.from_ns)
		g->hs.from_ns = (uint64_t)wall;
	g->hs.to_ns = (uint64_t)wall;
	for (row = 0; g->hs.row[row] != r;)
		row++;
	return plot_add(&g->points, (uint64_t)wall, (uint32_t)row, (uint64_t)behind);
}

static int take_hist(struct again *g, json_t *obj)
{
	const char *name = json_string_value(json_object_get(obj, "name"));
	int32_t pid = (int32_t)json_integer_value(json_object_get(obj, "pid"));

	if (name && (!opts_matches(&g->t.o->patterns, name) || !pid_wanted(g->t.o, pid)))
		return json_object_get(obj, "histogram") ? 0 : -ENOMSG;
	return hists_from_json(&g->hs, obj);
}

/* Other objects in a recording. */
static int take_other(struct again *g, json_t *obj)
{
	const char *event, *word;
	json_int_t lost;
	int version;

	if (json_unpack(obj, "{s:s}", "event", &event))
		return -EINVAL;
	if (!strcmp(event, "lost")) {
		if (json_unpack(obj, "{s:I}", "lost", &lost))
			return -EINVAL;
		if (g->hs.what == HIST_NONE && !g->t.o->json)
			printf("-- %" JSON_INTEGER_FORMAT " events were lost here\n", lost);
		return 0;
	}
	if (strcmp(event, "recording") || json_unpack(obj, "{s:i}", "version", &version))
		return -EINVAL;
	word = json_string_value(json_object_get(obj, "histogram"));
	if (version != 1)
		return -EPROTONOSUPPORT;
	if (word && g->hs.what == HIST_NONE)
		g->hs.what = hist_from_word(word);
	return 0;
}

static int take_line(struct again *g, const char *line)
{
	static int (*const takers[])(struct again *, json_t *) = {
		take_event, take_hist, take_sample, take_other,
	};
	json_t *obj = json_loads(line, 0, NULL);
	int err = obj ? -ENOMSG : -EINVAL;
	size_t i;

	for (i = 0; i < sizeof(takers) / sizeof(takers[0]) && err == -ENOMSG; i++)
		err = takers[i](g, obj);
	json_decref(obj);
	return err;
}

static int read_all(struct again *g, FILE *f)
{
	const char *file = g->t.o->read;
	size_t cap = 0;
	char *line = NULL;
	ssize_t n;
	int err = 0;

	while (!err && !tool_stop && (!g->t.o->count || g->shown < g->t.o->count) &&
	       (n = getline(&line, &cap, f)) > 0) {
		g->line++;
		err = take_line(g, line);
		if (err == -EINVAL && g->line > 1 && line[n - 1] != '\n') {
			tool_note("%s ends in the middle of a line: its recorder was killed",
				  file);
			err = 0;
		}
	}
	free(line);
	if (err)
		tool_error("--read \"%s\": line %" PRIu64 ": found something else, expected what "
			   "--record of version 1 writes (%s)", file, g->line,
			   shmipc_error_name(err));
	else if (ferror(f))
		tool_error("--read \"%s\": %s", file, strerror(errno));
	return err || ferror(f) ? RC_FAIL : RC_OK;
}

static int show(struct again *g)
{
	const struct trace_opts *o = g->t.o;
	struct hists *hs = &g->hs;
	int rc = RC_OK;

	if (hs->what == HIST_NONE && o->plot) {
		tool_error("--plot: \"%s\" holds events; choose a --histogram (EINVAL)",
			   o->read);
		return RC_FAIL;
	}
	if (hs->what == HIST_NONE)
		return trace_flush(&g->t);
	/* The points refer to rows by index, which sorting changes. */
	if (o->plot && g->points.n)
		rc = plot_lag(o->plot, hs, &g->points);
	if (o->json)
		hists_json(stdout, hs, "all");
	else
		hists_print(stdout, hs);
	if (!hs->n)
		tool_note("\"%s\" holds nothing about %s", o->read,
			  hist_word(hs->what));
	if (g->unpaired)
		tool_note("%" PRIu64 " were not counted: their beginning is not in the recording",
			  g->unpaired);
	if (!rc && o->plot && !g->points.n)
		rc = plot_hists(o->plot, hs);
	return rc ? rc : trace_flush(&g->t);
}

int trace_again(const struct trace_run *t)
{
	struct again g = { .t = *t, .hs.what = t->what };
	FILE *f = fopen(t->o->read, "re");
	int rc;

	if (!f) {
		tool_error("--read \"%s\": %s", t->o->read, strerror(errno));
		return RC_FAIL;
	}
	tool_catch_signals();
	rc = read_all(&g, f);
	fclose(f);
	if (!rc)
		rc = show(&g);
	hists_done(&g.hs);
	free(g.points.point);
	tdestroy(g.begun, free);
	return rc ? rc : tool_stop ? RC_SIGNAL + tool_stop : RC_OK;
}
