// SPDX-License-Identifier: MIT
/* top.c - shmipc top: all segments, live */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "commands.h"
#include "../top/top.h"

static const struct opts_command command = {
	.name = "top", .bit = FOR_TOP, .args = "[PATTERN]...", .min_args = 0, .max_args = INT_MAX,
	.about =
	"Shows all segments, live: how much is published on each, how full it is, who is\n"
	"behind by how much, what is lost, and who waits for whom. Only reads: nothing is\n"
	"linked with, restarted or slowed. In a terminal keys sort, filter and unfold (h\n"
	"tells them); elsewhere it writes a table after each interval.\n\n"
	PATTERNS_TEXT,
};

static int run(struct top *t)
{
	int wants_screen = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !t->o->plain &&
			   !t->o->json && !t->o->count;

	if (!wants_screen)
		return top_plain(t);
	if (!top_screen_lacks())
		return top_screen(t);
	tool_error("%s; with --plain there is text", top_screen_lacks());
	return RC_FAIL;
}

int cmd_top(int argc, char **argv)
{
	struct top t = { 0 };
	struct opts o;
	int rc;

	opts_parse(&o, &command, argc, argv);
	opts_patterns(&o);
	tool_catch_signals();
	t.o = &o;
	t.every_ns = o.every_ns;
	t.sort = (enum top_sort)o.sort;
	look_init(&t.look, o.args, o.nargs);
	rc = run(&t);
	top_done(&t);
	return rc;
}
