// SPDX-License-Identifier: MIT
/* rm.c - shmipc rm: remove segments */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <shmipc/error.h>
#include <shmipc/segment.h>
#include "commands.h"
#include "../util/json.h"
#include "../opts/values.h"
#include "../util/util.h"
#include "../view/view.h"

struct rm_opts {
	int force;
	int json;
};

static const struct opt options[] = {
	{ .name = "force", .letter = 'f', .take = take_flag, .at = offsetof(struct rm_opts, force),
	  .help = "a name that does not exist is no error" },
	{ .name = "json", .letter = 'j', .take = take_json, .at = offsetof(struct rm_opts, json),
	  .help = "write objects, one for each name" },
	{ .name = NULL },
};

static const struct opt_group groups[] = {
	{ .opts = options },
	{ .opts = NULL },
};

static int remove_one(const struct rm_opts *o, const char *name)
{
	int err = shmipc_segment_unlink(name);
	int rc = RC_OK;

	if (err && !(err == -ENOENT && o->force)) {
		rc = view_error_look("rm", name, err);
	}
	if (o->json)
		json_line(stdout, json_pack("{s:s, s:b, s:s?}", "name", name, "removed", !err,
					    "error", err ? shmipc_error_name(err) : NULL));
	return rc;
}

static int run_rm(int argc, char **argv)
{
	struct rm_opts o = { .force = 0 };
	struct opts_args args;
	int i, rc = RC_OK, rc1;

	opts_parse(&cmd_rm, argc, argv, &o, &args);
	/* An invalid name is refused before the others are removed. */
	for (i = 0; i < args.n; i++)
		opts_name(&args, i);
	for (i = 0; i < args.n; i++) {
		rc1 = remove_one(&o, args.text[i]);
		rc = rc1 ? rc1 : rc;
	}
	rc1 = tool_flush();
	return rc ? rc : rc1;
}

const struct command cmd_rm = {
	.name = "rm", .brief = "remove segments",
	.args = "NAME...", .args_of = ARGS_SEGMENT, .min_args = 1, .max_args = INT_MAX,
	.about =
	"Removes the names. Processes that have a segment open keep its memory and go on among "
	"themselves; the next process that opens the name gets a new segment.\n",
	.groups = groups, .run = run_rm,
};
