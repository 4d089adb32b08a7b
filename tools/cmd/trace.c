// SPDX-License-Identifier: MIT
/* trace.c - shmipc trace: what goes on in topics and rings, seen through eBPF */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "commands.h"
#include "../util/json.h"
#include "../opts/opts.h"
#include "../util/util.h"
#include "../trace/events.h"
#include "../trace/stack.h"
#include "../trace/trace.h"
#include "../trace/who.h"

#define RECORDING	1	/* version of what --record writes */

static const struct opts_command command = {
	.name = "trace", .bit = FOR_TRACE, .args = "[PATTERN]...", .min_args = 0,
	.max_args = INT_MAX,
	.about =
	"Shows what the ends of topics and rings do, as it happens; with --histogram how long\n"
	"it takes. They run on as they are: nothing is restarted or linked. " PATTERNS_TEXT "\n"
	"With --slow it says who holds whom up and who loses messages, with --deaths who died.\n\n"
	"Events: publish, take: a message; publish_some, take_some: each 64th; full: no room for\n"
	"it; wait, wait_end, wake: sleeping for one; gap: lost; hold, release: kept in place;\n"
	"evict: cut off; abort: a dead publisher's; death; attach, detach: an end comes, goes.\n"
	"Of the module alone: create, open, destroy: a segment; sample, sample_peer: how far it is.\n",
};

static uint32_t parse_events(const struct opts *o)
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
			opts_refuse(&command, "--events: found \"%.*s\", expected some of %s",
				    (int)n, p, event_words(words, sizeof(words)));
		types |= type;
		if (!p[n])
			return types;
	}
}

/* Those that name processes, and take little else. */
static void parse_who(const struct opts *o)
{
	const char *what = o->slow ? "slow" : "deaths";

	if (o->stack && !o->slow)
		opts_refuse(&command, "--stack goes with --slow");
	if (!o->slow && !o->deaths)
		return;
	if (o->slow && o->deaths)
		opts_refuse(&command, "--slow and --deaths exclude each other; run two");
	if (o->events || o->histogram || o->record || o->read || o->plot || o->sample || o->buffer)
		opts_refuse(&command, "--%s excludes --events, --histogram, --sample, --buffer, "
			    "--record, --read and --plot; --json can be kept in a file", what);
	if (o->pids.n || o->cgroup)
		opts_refuse(&command, "--%s is about all ends of a segment, as one depends on "
			    "another: choose by PATTERN, not by --pid or --cgroup", what);
}

/* What can be had from the sources that were asked for? */
static void parse_source(const struct trace_opts *t, const struct opts *o)
{
	int bpf = opts_source(o, SOURCE_PROBES) || opts_source(o, SOURCE_MODULE);

	if (o->slow || o->deaths || o->read || !o->sources)
		return;
	if (t->what == HIST_OCCUPANCY && !(o->sources & (SOURCE_MODULE | SOURCE_COUNTERS)))
		opts_refuse(&command, "--source: probes do not say how full it is: expected module "
			    "or counters");
	if ((t->what == HIST_PUBLISH_TO_RECEIVE || t->what == HIST_HOLD) &&
	    !opts_source(o, SOURCE_PROBES))
		opts_refuse(&command, "--source: only probes know of messages, for --histogram %s",
			    o->histogram);
	if (t->what != HIST_OCCUPANCY && !bpf)
		opts_refuse(&command, "--source: counters know of no events: expected probes or "
			    "module; --slow, --deaths and --histogram occupancy take counters");
	if (t->what == HIST_NONE && o->events && o->sources == SOURCE_MODULE &&
	    !(t->types & TRACE_MODULE_TYPES))
		opts_refuse(&command, "--events: \"%s\" come from probes alone", o->events);
}

static void parse(struct trace_opts *t, const struct opts *o)
{
	parse_who(o);
	t->o = o;
	t->types = parse_events(o);
	if (o->histogram)
		t->what = hist_from_word(o->histogram);
	if (o->histogram && t->what == HIST_NONE)
		opts_refuse(&command, "--histogram: found \"%s\", expected publish-to-receive, wait, "
			    "wake, occupancy or hold", o->histogram);
	if (o->histogram && o->events)
		opts_refuse(&command, "--histogram and --events exclude each other");
	if (o->histogram && o->count)
		opts_refuse(&command, "--count is of events; with --histogram use --duration");
	parse_source(t, o);
	if (o->sample && t->what != HIST_PUBLISH_TO_RECEIVE)
		opts_refuse(&command, "--sample goes with --histogram publish-to-receive");
	if (o->plot && !o->histogram && !o->read)
		opts_refuse(&command, "--plot: of what? --histogram or --read says it");
	if (o->read && (o->record || o->duration_ns || o->cgroup))
		opts_refuse(&command, "--read excludes --record, --duration and --cgroup");
	if (o->cgroup && t->what == HIST_OCCUPANCY)
		opts_refuse(&command, "--cgroup cannot be told from outside: not with --histogram occupancy");
	if (o->buffer > UINT64_C(1) << 30)
		opts_refuse(&command, "--buffer: found %" PRIu64 ", expected at most 1G", o->buffer);
}

/* The kernel wants a power of two, and whole pages. */
static void round_buffer(struct opts *o)
{
	uint64_t v = (uint64_t)sysconf(_SC_PAGESIZE);

	while (o->buffer && v < o->buffer)
		v *= 2;
	o->buffer = o->buffer ? v : 0;
}

int trace_record_head(const struct trace_opts *t)
{
	json_line(t->record, json_pack("{s:s, s:i, s:s?, s:I}", "event", "recording", "version",
				       RECORDING, "histogram", hist_word(t->what), "wall_ns",
				       json_u64(event_wall_ns(tool_now_ns()))));
	return trace_flush(t);
}

int trace_flush(const struct trace_opts *t)
{
	if (t->record && (fflush(t->record) || ferror(t->record))) {
		tool_error("--record \"%s\": cannot write: %s; what was recorded is not whole",
			   t->o->record, strerror(errno));
		return RC_FAIL;
	}
	return tool_flush();
}

static int go(struct trace_opts *t)
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

int cmd_trace(int argc, char **argv)
{
	struct trace_opts t = { .what = HIST_NONE };
	struct opts o;
	int rc = RC_OK;

	opts_parse(&o, &command, argc, argv);
	opts_patterns(&o);
	parse(&t, &o);
	round_buffer(&o);
	if (o.slow && !o.every_given)
		o.every_ns = NS_PER_S;
	if (o.record) {
		t.record = fopen(o.record, "we");
		if (!t.record) {
			tool_error("--record \"%s\": %s", o.record, strerror(errno));
			return RC_FAIL;
		}
		rc = trace_record_head(&t);
	}
	if (!rc)
		rc = go(&t);
	if (t.record && fclose(t.record) && !rc) {
		tool_error("--record \"%s\": cannot write: %s", o.record, strerror(errno));
		rc = RC_FAIL;
	}
	return rc;
}
