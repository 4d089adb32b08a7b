// SPDX-License-Identifier: MIT
/* trim.c - shmipc trim: give memory of topics back to the system */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <shmipc/error.h>
#include <shmipc/topic.h>
#include "commands.h"
#include "../util/json.h"
#include "../opts/values.h"
#include "../util/util.h"
#include "../view/view.h"

struct trim_opts {
	uint64_t keep;
	uint64_t timeout_ns;
	int json;
};

static void take_keep(const struct opt *opt, const char *text, void *to)
{
	if (!strcmp(text, "all"))
		*(uint64_t *)to = SHMIPC_KEEP_ALL;
	else
		take_number(opt, text, to);
}

static const struct opt options[] = {
	{ .name = "keep", .letter = 'k', .arg = "N", .preset = "all", .take = take_keep,
	  .at = offsetof(struct trim_opts, keep),
	  .help = "discard all messages but the newest N first, if no subscriber is waited for "
		  "that needs them" },
	{ .name = "timeout", .letter = 't', .arg = "SECONDS", .preset = "1", .take = take_seconds,
	  .at = offsetof(struct trim_opts, timeout_ns),
	  .help = "for a subscriber that is still copying a discarded message" },
	{ .name = "json", .letter = 'j', .take = take_json, .at = offsetof(struct trim_opts, json),
	  .help = "write objects, one for each topic" },
	{ .name = NULL },
};

static const struct opt_group groups[] = {
	{ .opts = options },
	{ .opts = NULL },
};

static int trim_one(const struct trim_opts *o, const char *name)
{
	char text[TEXT_BYTES];
	uint64_t bytes = 0;
	int err = shmipc_topic_trim(name, o->keep, &bytes, shmipc_deadline_in(o->timeout_ns));

	if (err)
		(void)view_error_look("trim", name, err);
	if (o->json)
		json_line(stdout, json_pack("{s:s, s:I, s:s?}", "name", name, "bytes", (json_int_t)bytes,
					    "error", err ? shmipc_error_name(err) : NULL));
	else if (!err)
		printf("%s: %s given back\n", name, format_bytes(bytes, text));
	return !err ? RC_OK : err == -ETIMEDOUT ? RC_TIMEOUT : RC_FAIL;
}

static int run_trim(int argc, char **argv)
{
	struct trim_opts o = { .json = 0 };
	struct opts_args args;
	int i, rc = RC_OK, rc1;

	opts_parse(&cmd_trim, argc, argv, &o, &args);
	/* An invalid name is refused before the others are trimmed. */
	for (i = 0; i < args.n; i++)
		opts_name(&args, i);
	for (i = 0; i < args.n; i++) {
		rc1 = trim_one(&o, args.text[i]);
		rc = rc1 ? rc1 : rc;
	}
	rc1 = tool_flush();
	return rc ? rc : rc1;
}

const struct command cmd_trim = {
	.name = "trim", .brief = "give memory of topics back to the system",
	.args = "TOPIC...", .args_of = ARGS_TOPIC, .min_args = 1, .max_args = INT_MAX,
	.about =
	"Gives back what the topics' pools have taken for large messages and do not need any more. "
	"Messages that are kept for late subscribers, or that a subscriber holds, stay; --keep says "
	"how many of them. Publishers and subscribers go on meanwhile, and the memory is taken again "
	"when it is needed.\n",
	.notes =
	"The command needs the right and a free place to publish on the topic. On the device no other "
	"publisher may be attached; a publisher can do it itself, by shmipc_pub_trim().\n",
	.groups = groups, .run = run_trim,
};
