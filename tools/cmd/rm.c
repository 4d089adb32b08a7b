// SPDX-License-Identifier: MIT
/* rm.c - shmipc rm: remove segments */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <shmipc/error.h>
#include "commands.h"
#include "../util/json.h"
#include "../opts/opts.h"
#include "../util/util.h"

static const struct opts_command command = {
	.name = "rm", .bit = FOR_RM, .args = "NAME...", .min_args = 1, .max_args = INT_MAX,
	.about =
	"Removes the names. Processes that have a segment open keep its memory and go on\n"
	"among themselves; the next one that asks for the name gets a new segment.\n",
};

static int remove_one(const struct opts *o, const char *name)
{
	int err = shmipc_segment_unlink(name);
	int rc = RC_OK;

	if (err && !(err == -ENOENT && o->force)) {
		tool_error_lib("rm", name, err);
		rc = RC_FAIL;
	}
	if (o->json)
		json_line(stdout, json_pack("{s:s, s:b, s:s?}", "name", name, "removed", !err,
					    "error", err ? shmipc_error_name(err) : NULL));
	return rc;
}

int cmd_rm(int argc, char **argv)
{
	struct opts o;
	int i, rc = RC_OK, rc1;

	opts_parse(&o, &command, argc, argv);
	/* A wrong name is refused before the right ones are removed. */
	for (i = 0; i < o.nargs; i++) {
		struct opts one = o;

		one.args += i;
		opts_name(&one);
	}
	for (i = 0; i < o.nargs; i++) {
		rc1 = remove_one(&o, o.args[i]);
		rc = rc1 ? rc1 : rc;
	}
	rc1 = tool_flush();
	return rc ? rc : rc1;
}
