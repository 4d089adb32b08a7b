// SPDX-License-Identifier: MIT
/* top.c - shmipc top: all segments, live */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "commands.h"
#include "../top/top.h"
#include "../view/view.h"

static const char *const sorts[] = { "rate", "bytes", "occupancy", "lag", "losses", "name", NULL };

static const struct opt options[] = {
	{ .name = "every", .arg = "SECONDS", .min = NS_PER_MS, .preset = "1",
	  .take = take_seconds, .at = offsetof(struct top_opts, every_ns),
	  .help = "time between looks" },
	{ .name = "sort", .arg = "WORD", .words = sorts, .preset = "rate", .take = take_word,
	  .at = offsetof(struct top_opts, sort),
	  .help = "order by rate, bytes, occupancy, lag, losses or name" },
	{ .name = "ends", .letter = 'e', .take = take_flag, .at = offsetof(struct top_opts, ends),
	  .help = "show the publishers and subscribers of each segment, too" },
	{ .name = "plain", .take = take_flag, .at = offsetof(struct top_opts, plain),
	  .help = "write text even on a terminal" },
	{ .name = "count", .letter = 'c', .arg = "N", .min = 1, .take = take_number,
	  .at = offsetof(struct top_opts, count), .help = "end after N tables; implies --plain" },
	{ .name = "json", .letter = 'j', .take = take_json, .at = offsetof(struct top_opts, json),
	  .help = "write an object for each segment after each interval; implies --plain" },
	{ .name = NULL },
};

static const struct opt_group groups[] = {
	{ .opts = options },
	{ .opts = NULL },
};

static int show(struct top *t, const struct opts_args *args)
{
	int wants_screen = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !t->o->plain &&
			   !t->o->json && !t->o->count;

	if (!wants_screen) {
		view_note_unmatched(args->text, args->n, SHMIPC_KIND_ANY);
		return top_plain(t);
	}
	if (!top_screen_lacks())
		return top_screen(t);
	tool_error("%s; or use --plain", top_screen_lacks());
	return RC_FAIL;
}

static int run_top(int argc, char **argv)
{
	struct top_opts o = { .count = 0 };
	struct top t = { .o = &o };
	struct opts_args args;
	int rc;

	opts_parse(&cmd_top, argc, argv, &o, &args);
	opts_patterns(&args);
	tool_catch_signals();
	t.every_ns = o.every_ns;
	t.sort = (enum top_sort)o.sort;
	look_init(&t.look, args.text, args.n);
	rc = show(&t, &args);
	top_done(&t);
	return rc;
}

const struct command cmd_top = {
	.name = "top", .brief = "all segments, live: how fast, how full, which end is slow",
	.args = "[PATTERN]...", .args_of = ARGS_SEGMENT, .max_args = INT_MAX,
	.about =
	"Shows all segments, live: how much is published on each, how full it is, which end is "
	"behind by how much, what is lost, and which publishers wait for which subscribers. It "
	"only reads: no process is relinked, restarted or slowed. In a terminal, keys sort, "
	"filter and unfold (h lists them); elsewhere it writes a table after each interval.\n\n"
	PATTERNS_TEXT,
	.groups = groups, .run = run_top,
};
