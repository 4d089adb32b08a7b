// SPDX-License-Identifier: MIT
/* ls.c - shmipc ls: the segments that are there */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <shmipc/error.h>
#include "commands.h"
#include "../util/json.h"
#include "../opts/opts.h"
#include "../view/topic.h"
#include "../util/util.h"
#include "../view/view.h"

static const struct opts_command command = {
	.name = "ls", .bit = FOR_LS, .args = "[PATTERN]...", .min_args = 0,
	.max_args = INT_MAX,
	.about =
	"Lists the segments. State: in use; persistent (nobody is there, it stays);\n"
	"leftover (its processes were killed; shmipc gc removes it). Peers: those that are\n"
	"there and room for how many; of topics publishers > subscribers.\n" PATTERNS_TEXT,
};

#define ROW	"%-24s %-6s %9s %7s %9s %-11s %-12s %s\n"

/* @topic: NULL if it is none, or has just gone. */
static void print_row(const struct shmipc_segment_stat *st, const struct shmipc_topic_stat *topic)
{
	char size[TEXT_BYTES], page[TEXT_BYTES], peers[TEXT_BYTES], user[TEXT_BYTES], mode[8];

	if (topic)
		snprintf(peers, sizeof(peers), "%" PRIu32 ">%" PRIu32, topic_pubs(topic),
			 topic_subs(topic));
	else
		snprintf(peers, sizeof(peers), "%" PRIu32 "/%" PRIu32, view_attached(st),
			 st->info.peers);
	snprintf(mode, sizeof(mode), "%04o", st->info.mode & 07777);
	printf(ROW, st->info.name, kind_word(st->info.kind),
	       format_bytes(st->info.data_bytes, size), format_bytes(st->info.page_got, page),
	       peers, segment_state_word(st), user_name(st->info.uid, user), mode);
}

/* One that cannot be looked at is there all the same: say so. */
static void print_unseen(const struct opts *o, const char *name, int err)
{
	if (o->json)
		json_line(stdout, json_pack("{s:s, s:s, s:s}", "name", name, "state", "unreadable",
					    "error", shmipc_error_name(err)));
	else
		printf(ROW, name, "?", "?", "?", "?", "unreadable", "?", shmipc_error_name(err));
}

static void print_one(const struct opts *o, const char *name, const struct shmipc_segment_stat *st)
{
	int is_topic = st->info.kind == SHMIPC_KIND_TOPIC;
	struct shmipc_topic_stat topic;
	json_t *obj;

	if (is_topic && view_topic_look(name, &topic))
		is_topic = 0;
	if (o->json) {
		obj = view_json(st);
		if (obj && is_topic)
			topic_add_row(obj, &topic);
		json_line(stdout, obj);
	} else {
		print_row(st, is_topic ? &topic : NULL);
	}
	if (is_topic)
		view_topic_done(&topic);
}

int cmd_ls(int argc, char **argv)
{
	struct shmipc_segment_stat st;
	struct view_names names;
	struct opts o;
	size_t i, rows = 0;
	int err;

	opts_parse(&o, &command, argc, argv);
	opts_patterns(&o);
	err = view_names(&names);
	if (err) {
		tool_error_lib("list", shmipc_segment_dir(), err);
		return RC_FAIL;
	}
	for (i = 0; i < names.n; i++) {
		if (!opts_matches(&o, names.name[i]))
			continue;
		err = view_look(names.name[i], &st);
		if (err == -ENOENT)
			continue;	/* went meanwhile */
		if (!o.json && !rows++)
			printf(ROW, "NAME", "KIND", "SIZE", "PAGE", "PEERS", "STATE", "OWNER", "MODE");
		if (err) {
			print_unseen(&o, names.name[i], err);
			continue;
		}
		print_one(&o, names.name[i], &st);
		view_done(&st);
	}
	view_names_done(&names);
	return tool_flush();
}
