// SPDX-License-Identifier: MIT
/* trace.c - shmipc trace: what the ends of topics and rings do, by eBPF */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "commands.h"
#include "../util/util.h"
#include "../trace/events.h"
#include "../trace/stack.h"
#include "../trace/trace.h"
#include "../view/view.h"

/* The words are in the order of the bits. */
static void take_source(const struct opt *opt, const char *text, void *to)
{
	const uint32_t all = 1u << 3;
	uint32_t bits;

	take_list(opt, text, &bits);
	*(uint32_t *)to = bits & all ? 0 : bits;
}

static const char *const whats[] = { "publish-to-receive", "wait", "wake", "occupancy", "hold", NULL };
static const char *const events[] = {
	"publish", "publish_some", "take", "take_some", "full", "wait", "wait_end", "wake", "gap",
	"evict", "abort", "death", "hold", "release", "attach", "detach", "fence", "create",
	"open", "destroy", "sample", "sample_peer", "all", NULL
};
static const char *const sources[] = { "probes", "module", "counters", "all", NULL };

static void take_histogram(const struct opt *opt, const char *text, void *to)
{
	*(const char **)to = whats[opt_word(opt, text, NULL)];
}

static const struct opt options[] = {
	{ .name = "events", .arg = "LIST", .words = events, .take = take_text,
	  .at = offsetof(struct trace_opts, events),
	  .help = "these events, separated by commas, or all; see below; without this all but "
		  "publish, take, their _some, hold, release, open, sample and sample_peer" },
	{ .name = "histogram", .arg = "WHAT", .words = whats, .take = take_histogram,
	  .at = offsetof(struct trace_opts, histogram),
	  .help = "publish-to-receive, wait, wake, occupancy or hold: how long, or how many, of "
		  "each topic and each peer" },
	{ .name = "slow", .take = take_flag, .at = offsetof(struct trace_opts, slow),
	  .help = "report which ends hold up others or lose messages, and why" },
	{ .name = "deaths", .take = take_flag, .at = offsetof(struct trace_opts, deaths),
	  .help = "report processes that had an end and died, and how" },
	{ .name = "stack", .take = take_flag, .at = offsetof(struct trace_opts, stack),
	  .help = "with --slow: what the threads of a slow process are doing; stops each of them "
		  "for a moment" },
	{ .name = "source", .arg = "LIST", .words = sources, .preset = "all",
	  .take = take_source, .at = offsetof(struct trace_opts, sources),
	  .help = "use these only, separated by commas: probes, module, counters, or all" },
	{ .name = "sample", .take = take_flag, .at = offsetof(struct trace_opts, sample),
	  .help = "publish-to-receive of each 64th message only" },
	{ .name = "pid", .letter = 'p', .arg = "PID", .min = 1, .take = take_pid,
	  .at = offsetof(struct trace_opts, pids),
	  .help = "only this process; may be given several times" },
	{ .name = "cgroup", .arg = "DIR", .take = take_text,
	  .at = offsetof(struct trace_opts, cgroup),
	  .help = "only processes of this cgroup and those below it" },
	{ .name = "duration", .letter = 'd', .arg = "SECONDS", .min = 1, .take = take_seconds,
	  .at = offsetof(struct trace_opts, duration_ns),
	  .help = "end after so long; without this when it is interrupted" },
	{ .name = "count", .letter = 'c', .arg = "N", .min = 1, .take = take_number,
	  .at = offsetof(struct trace_opts, count),
	  .help = "end after N events, deaths, or reports of --slow" },
	{ .name = "every", .arg = "SECONDS", .min = NS_PER_MS, .take = take_seconds,
	  .at = offsetof(struct trace_opts, every_ns),
	  .help = "time between two states of a histogram, 5 without this, or between two "
		  "reports of --slow, 1 without this" },
	{ .name = "rate", .arg = "R", .library = "100", .take = take_rate,
	  .at = offsetof(struct trace_opts, rate), .help = "occupancy: looks a second" },
	{ .name = "buffer", .arg = "BYTES", .max = UINT64_C(1) << 30, .library = "4M",
	  .take = take_size, .at = offsetof(struct trace_opts, buffer),
	  .help = "room for events that are not shown yet" },
	{ .name = "record", .arg = "FILE", .take = take_text,
	  .at = offsetof(struct trace_opts, record), .help = "write what is found to FILE, too" },
	{ .name = "read", .arg = "FILE", .take = take_text, .at = offsetof(struct trace_opts, read),
	  .help = "show a recording, or make a --histogram or --plot of it" },
	{ .name = "plot", .arg = "FILE", .take = take_text, .at = offsetof(struct trace_opts, plot),
	  .help = "a picture (SVG) of the histogram, or of occupancy over time; needs gnuplot" },
	{ .name = "json", .letter = 'j', .take = take_json, .at = offsetof(struct trace_opts, json),
	  .help = "write objects, one a line" },
	{ .name = NULL },
};

static const struct opt_group groups[] = {
	{ .opts = options },
	{ .opts = NULL },
};

static uint32_t parse_events(const struct trace_opts *o)
{
	const char *p = o->events;
	uint32_t types = 0, type;
	char words[320];
	size_t n;

	if (!p)
		return EVENTS_DEFAULT;
	if (!strcmp(p, "all"))
		return (1u << TRACE_TYPES) - 1;
	for (;; p += n + 1) {
		n = strcspn(p, ",");
		type = event_types(p, n);
		if (!type)
			opts_refuse("--events: found \"%.*s\", expected some of %s",
				    (int)n, p, event_words(words, sizeof(words)));
		types |= type;
		if (!p[n])
			return types;
	}
}

/* Those that name processes take few other options. */
static void parse_who(const struct trace_opts *o)
{
	const char *what = o->slow ? "slow" : "deaths";

	if (o->stack && !o->slow)
		opts_refuse("--stack needs --slow");
	if (!o->slow && !o->deaths)
		return;
	if (o->slow && o->deaths)
		opts_refuse("--slow and --deaths cannot be combined; run two commands");
	if (o->events || o->histogram || o->record || o->read || o->plot || o->sample || o->buffer)
		opts_refuse("--%s cannot be combined with --events, --histogram, --sample, --buffer, "
			    "--record, --read or --plot; redirect --json to a file", what);
	if (o->pids.n || o->cgroup)
		opts_refuse("--%s looks at all ends of a segment, as one depends on another: "
			    "choose by PATTERN, not by --pid or --cgroup", what);
}

/* Do the sources that were asked for know what was asked for? */
static void parse_source(const struct trace_run *t, const struct trace_opts *o)
{
	int bpf = trace_source(o, SOURCE_PROBES) || trace_source(o, SOURCE_MODULE);

	if (o->slow || o->deaths || o->read || !o->sources)
		return;
	if (t->what == HIST_OCCUPANCY && !(o->sources & (SOURCE_MODULE | SOURCE_COUNTERS)))
		opts_refuse("--source: probes do not know the occupancy: expected module or "
			    "counters");
	if ((t->what == HIST_PUBLISH_TO_RECEIVE || t->what == HIST_HOLD) &&
	    !trace_source(o, SOURCE_PROBES))
		opts_refuse("--source: --histogram %s needs probes, which alone see messages",
			    o->histogram);
	if (t->what != HIST_OCCUPANCY && !bpf)
		opts_refuse("--source: counters have no events: expected probes or module; counters "
			    "are for --slow, --deaths and --histogram occupancy");
	if (t->what == HIST_NONE && o->events && o->sources == SOURCE_MODULE &&
	    !(t->types & TRACE_MODULE_TYPES))
		opts_refuse("--events: \"%s\" come from probes only, found --source module",
			    o->events);
}

static void parse(struct trace_run *t, const struct trace_opts *o)
{
	parse_who(o);
	t->o = o;
	t->types = parse_events(o);
	if (o->histogram)
		t->what = hist_from_word(o->histogram);
	if (o->histogram && o->events)
		opts_refuse("--histogram and --events cannot be combined");
	if (o->histogram && o->count)
		opts_refuse("--count counts events; with --histogram use --duration");
	parse_source(t, o);
	if (o->sample && t->what != HIST_PUBLISH_TO_RECEIVE)
		opts_refuse("--sample needs --histogram publish-to-receive");
	if (o->plot && !o->histogram && !o->read)
		opts_refuse("--plot needs --histogram or --read");
	if (o->read && (o->record || o->duration_ns || o->cgroup))
		opts_refuse("--read cannot be combined with --record, --duration or --cgroup");
	if (o->cgroup && t->what == HIST_OCCUPANCY)
		opts_refuse("--cgroup cannot be combined with --histogram occupancy, which does not "
			    "know the cgroup of a process");
}

/* The kernel needs a power of two, and whole pages. */
static void round_buffer(struct trace_opts *o)
{
	uint64_t v = (uint64_t)sysconf(_SC_PAGESIZE);

	while (o->buffer && v < o->buffer)
		v *= 2;
	o->buffer = o->buffer ? v : 0;
}

static int go(struct trace_run *t)
{
	if (t->o->stack && !stack_check())
		return RC_FAIL;
	if (t->o->deaths)
		return trace_deaths(t->o);
	if (t->o->slow)
		return trace_slow(t->o);
	if (t->o->read)
		return trace_again(t);
	if (t->what == HIST_OCCUPANCY)
		return trace_occupancy(t);
	return t->what == HIST_NONE ? trace_live(t) : trace_gather(t);
}

static void every_default(struct trace_opts *o)
{
	if (!o->every_ns)
		o->every_ns = o->slow ? NS_PER_S : 5 * NS_PER_S;
}

static int run_trace(int argc, char **argv)
{
	struct trace_run t = { .what = HIST_NONE };
	struct trace_opts o = { .slow = 0 };
	int rc = RC_OK;

	opts_parse(&cmd_trace, argc, argv, &o, &o.patterns);
	opts_patterns(&o.patterns);
	parse(&t, &o);
	round_buffer(&o);
	every_default(&o);
	if (o.record) {
		t.record = fopen(o.record, "we");
		if (!t.record) {
			tool_error("--record \"%s\": %s", o.record, strerror(errno));
			return RC_FAIL;
		}
		rc = trace_record_head(&t);
	}
	if (!rc && !o.read)
		view_note_unmatched(o.patterns.text, o.patterns.n, SHMIPC_KIND_ANY);
	if (!rc)
		rc = go(&t);
	if (t.record && fclose(t.record) && !rc) {
		tool_error("--record \"%s\": cannot write: %s", o.record, strerror(errno));
		rc = RC_FAIL;
	}
	return rc;
}

const struct command cmd_trace = {
	.name = "trace", .brief = "what publishers and subscribers do, and how long it takes",
	.args = "[PATTERN]...", .args_of = ARGS_SEGMENT, .max_args = INT_MAX,
	.about =
	"Shows what the ends of topics and rings do, as it happens; with --histogram how long "
	"it takes; with --slow which ends hold up others or lose messages; with --deaths which "
	"processes died. The processes run on as they are: none is relinked or restarted.\n\n"
	PATTERNS_TEXT,
	.notes =
	"Events: publish, take: a message; publish_some, take_some: each 64th; full: no room "
	"for it; wait, wait_end, wake: sleeping for one; gap: lost; hold, release: kept in "
	"place; evict: cut off; abort: of a dead publisher; death; attach, detach: an end "
	"comes, goes. From the module only: create, open, destroy: a segment; sample, "
	"sample_peer: how far it is, and each of its ends.\n",
	.groups = groups, .run = run_trace,
};
