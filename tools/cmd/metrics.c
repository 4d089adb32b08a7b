// SPDX-License-Identifier: MIT
/* metrics.c - shmipc metrics: counters of all segments for Prometheus */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>
#include "commands.h"
#include "../metrics/metrics.h"
#include "../util/util.h"
#include "../view/view.h"

#define SAMPLE_NS	(100 * NS_PER_MS)

static const struct opt options[] = {
	{ .name = "textfile", .arg = "FILE", .take = take_text,
	  .at = offsetof(struct metrics_opts, textfile),
	  .help = "replace FILE by the metrics, as a whole" },
	{ .name = "listen", .arg = "[ADDR:]PORT", .take = take_text,
	  .at = offsetof(struct metrics_opts, listen),
	  .help = "answer HTTP requests at this address, 127.0.0.1 without ADDR; port 0 is any, "
		  "and is printed" },
	{ .name = "every", .arg = "SECONDS", .min = NS_PER_MS, .take = take_seconds,
	  .at = offsetof(struct metrics_opts, every_ns),
	  .help = "with --textfile, write it so often instead of once; with --listen, sample the "
		  "histograms so often instead of every 0.1 s" },
	{ .name = NULL },
};

static const struct opt_group groups[] = {
	{ .opts = options },
	{ .opts = NULL },
};

static int look(struct metrics *m)
{
	int err = look_again(&m->look);

	if (err)
		tool_error_lib("list", shmipc_segment_dir(), err);
	return err ? RC_FAIL : RC_OK;
}

static void pause_until(uint64_t until_ns)
{
	struct timespec t = { (time_t)(until_ns / NS_PER_S), (long)(until_ns % NS_PER_S) };

	while (!tool_stop && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

/* Once, or with --every until a signal. */
static int write_files(struct metrics *m)
{
	uint64_t next = tool_now_ns();
	int rc;

	for (;;) {
		rc = look(m);
		if (!rc)
			rc = metrics_write_file(m, m->o->textfile);
		if (rc || !m->o->every_ns)
			return rc;
		next += m->o->every_ns;
		pause_until(next);
		if (tool_stop)
			return RC_SIGNAL + tool_stop;
	}
}

static int tell(struct metrics *m)
{
	int rc;

	if (m->o->listen)
		return metrics_serve(m, m->o->listen, m->o->every_ns ? m->o->every_ns : SAMPLE_NS);
	if (m->o->textfile)
		return write_files(m);
	rc = look(m);
	if (!rc)
		metrics_print(m, stdout);
	return rc ? rc : tool_flush();
}

static int run_metrics(int argc, char **argv)
{
	struct metrics_opts o = { .every_ns = 0 };
	struct metrics m = { .o = &o };
	struct opts_args args;
	int rc;

	opts_parse(&cmd_metrics, argc, argv, &o, &args);
	opts_patterns(&args);
	if (o.textfile && o.listen)
		opts_refuse("--textfile and --listen cannot be combined");
	if (o.every_ns && !o.textfile && !o.listen)
		opts_refuse("--every needs --textfile or --listen");
	tool_catch_signals();
	look_init(&m.look, args.text, args.n);
	view_note_unmatched(args.text, args.n, SHMIPC_KIND_ANY);
	rc = tell(&m);
	look_done(&m.look);
	return rc;
}

const struct command cmd_metrics = {
	.name = "metrics", .brief = "counters of all segments for Prometheus",
	.args = "[PATTERN]...", .args_of = ARGS_SEGMENT, .max_args = INT_MAX,
	.about =
	"Writes counters of all segments in Prometheus' text format: to standard output once, "
	"to a file for node_exporter's textfile collector, or over HTTP at /metrics. It only "
	"reads: no process is relinked, restarted or slowed.\n\n"
	PATTERNS_TEXT,
	.groups = groups, .run = run_metrics,
};
