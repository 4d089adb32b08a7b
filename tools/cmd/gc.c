// SPDX-License-Identifier: MIT
/* gc.c - shmipc gc: remove what killed processes left behind */
#include <errno.h>
#include <stdio.h>
#include <shmipc/error.h>
#include "commands.h"
#include "../util/json.h"
#include "../opts/values.h"
#include "../util/util.h"
#include "../view/view.h"

struct gc_opts {
	int dry_run;
	int json;
};

static const struct opt options[] = {
	{ .name = "dry-run", .letter = 'n', .take = take_flag,
	  .at = offsetof(struct gc_opts, dry_run), .help = "only say what would be removed" },
	{ .name = "json", .letter = 'j', .take = take_json, .at = offsetof(struct gc_opts, json),
	  .help = "write objects, one for each segment" },
	{ .name = NULL },
};

static const struct opt_group groups[] = {
	{ .opts = options },
	{ .opts = NULL },
};

struct gc {
	const struct gc_opts *o;
	int failed;
};

/* @done: "removed", or "leftover" when nothing is touched. */
static void tell(const struct gc *gc, const char *name, const char *done, int err)
{
	if (gc->o->json)
		json_line(stdout, json_pack("{s:s, s:b, s:s?}", "name", name, done, !err,
					    "error", err ? shmipc_error_name(err) : NULL));
	else if (!err)
		printf("%s: %s\n", name, done);
	else
		tool_error("segment \"%s\": cannot be removed (%s); its owner or root can", name,
			   shmipc_error_name(err));
}

static void removed(const char *name, int err, void *arg)
{
	struct gc *gc = arg;

	gc->failed += !!err;
	tell(gc, name, "removed", err);
}

static int dry_run(struct gc *gc)
{
	struct shmipc_segment_stat st;
	struct view_names names;
	size_t i;
	int err = view_names(&names);

	if (err)
		return err;
	for (i = 0; i < names.n; i++) {
		if (view_look(names.name[i], &st))
			continue;
		if (!st.in_use && !(st.info.flags & SHMIPC_SEG_PERSISTENT))
			tell(gc, names.name[i], "leftover", 0);
		view_done(&st);
	}
	view_names_done(&names);
	return 0;
}

static int run_gc(int argc, char **argv)
{
	struct gc_opts o = { .json = 0 };
	struct opts_args args;
	struct gc gc = { .o = &o };
	int ret, rc;

	opts_parse(&cmd_gc, argc, argv, &o, &args);
	ret = o.dry_run ? dry_run(&gc) : shmipc_segment_gc(removed, &gc);
	if (ret < 0)
		tool_error_lib("gc", shmipc_segment_dir(), ret);
	rc = tool_flush();
	return ret < 0 || gc.failed ? RC_FAIL : rc;
}

const struct command cmd_gc = {
	.name = "gc", .brief = "remove what killed processes left behind",
	.args = "", .max_args = 0,
	.about =
	"Removes segments whose processes were all killed, and says which. Persistent ones "
	"stay, and so does everything that is open in a process, that may not be read, or that "
	"a newer shmipc has created.\n",
	.groups = groups, .run = run_gc,
};
