// SPDX-License-Identifier: MIT
/* gc.c - shmipc gc: remove what killed processes left behind */
#include <errno.h>
#include <stdio.h>
#include <shmipc/error.h>
#include "commands.h"
#include "../util/json.h"
#include "../opts/opts.h"
#include "../util/util.h"
#include "../view/view.h"

static const struct opts_command command = {
	.name = "gc", .bit = FOR_GC, .args = "", .min_args = 0, .max_args = 0,
	.about =
	"Removes segments whose processes were all killed, and says which. Persistent ones\n"
	"stay, and so does everything that is open somewhere, that may not be read, or that\n"
	"a newer shmipc has made.\n",
};

struct gc {
	const struct opts *o;
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
		tool_error("\"%s\": cannot be removed (%s); its owner or root can", name,
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

int cmd_gc(int argc, char **argv)
{
	struct opts o;
	struct gc gc = { .o = &o };
	int ret, rc;

	opts_parse(&o, &command, argc, argv);
	ret = o.dry_run ? dry_run(&gc) : shmipc_segment_gc(removed, &gc);
	if (ret < 0)
		tool_error_lib("gc", shmipc_segment_dir(), ret);
	rc = tool_flush();
	return ret < 0 || gc.failed ? RC_FAIL : rc;
}
