// SPDX-License-Identifier: MIT
/* metrics.c - shmipc metrics: counters of all segments for Prometheus */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>
#include "commands.h"
#include "../metrics/metrics.h"
#include "../util/util.h"

#define SAMPLE_NS	(100 * NS_PER_MS)

static const struct opts_command command = {
	.name = "metrics", .bit = FOR_METRICS, .args = "[PATTERN]...", .min_args = 0,
	.max_args = INT_MAX,
	.about =
	"Tells counters of all segments in Prometheus' text format: on standard output once,\n"
	"in a file for node_exporter's textfile collector, or over HTTP at /metrics. Only\n"
	"reads: nothing is linked with, restarted or slowed.\n\n"
	PATTERNS_TEXT,
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
		if (rc || !m->o->every_given)
			return rc;
		next += m->o->every_ns;
		pause_until(next);
		if (tool_stop)
			return RC_SIGNAL + tool_stop;
	}
}

static int run(struct metrics *m)
{
	int rc;

	if (m->o->listen)
		return metrics_serve(m, m->o->listen, m->o->every_given ? m->o->every_ns : SAMPLE_NS);
	if (m->o->textfile)
		return write_files(m);
	rc = look(m);
	if (!rc)
		metrics_print(m, stdout);
	return rc ? rc : tool_flush();
}

int cmd_metrics(int argc, char **argv)
{
	struct metrics m = { 0 };
	struct opts o;
	int rc;

	opts_parse(&o, &command, argc, argv);
	opts_patterns(&o);
	if (o.textfile && o.listen)
		opts_refuse(&command, "--textfile and --listen exclude each other");
	if (o.every_given && !o.textfile && !o.listen)
		opts_refuse(&command, "--every goes with --textfile or --listen");
	tool_catch_signals();
	m.o = &o;
	look_init(&m.look, o.args, o.nargs);
	rc = run(&m);
	look_done(&m.look);
	return rc;
}
