// SPDX-License-Identifier: MIT
/* ls.c - shmipc ls: the segments that are there */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <shmipc/error.h>
#include "commands.h"
#include "../util/json.h"
#include "../opts/values.h"
#include "../view/more.h"
#include "../util/util.h"
#include "../view/view.h"

struct ls_opts {
	int json;
};

static const struct opt options[] = {
	{ .name = "json", .letter = 'j', .take = take_json, .at = offsetof(struct ls_opts, json),
	  .help = "write objects, one for each segment" },
	{ .name = NULL },
};

static const struct opt_group groups[] = {
	{ .opts = options },
	{ .opts = NULL },
};

#define ROW	"%-24s %-6s %9s %9s %7s %9s %-11s %-12s %s\n"

static void print_row(const struct shmipc_segment_stat *st, const struct view_more *more)
{
	char size[TEXT_BYTES], memory[TEXT_BYTES], page[TEXT_BYTES], peers[TEXT_BYTES], mode[8];
	char user[TEXT_BYTES];

	/* A topic that has grown has both. */
	if (st->info.huge_bytes && st->info.page_got < SHMIPC_PAGE_2M)
		snprintf(page, sizeof(page), "4K+2M");
	else
		format_bytes(st->info.page_got, page);
	view_more_peers(st, more, peers);
	snprintf(mode, sizeof(mode), "%04o", st->info.mode & 07777);
	printf(ROW, st->info.name, kind_word(st->info.kind),
	       format_bytes(st->info.data_bytes, size),
	       format_bytes(st->info.memory_bytes, memory), page,
	       peers, segment_state_word(st), user_name(st->info.uid, user), mode);
}

/* Whose it is, of a segment that is a file. Return: 0, or -1. */
static int stat_file(const char *name, struct stat *ret)
{
	char path[4096 + SHMIPC_NAME_MAX];
	int at = snprintf(path, sizeof(path), "%s/", shmipc_segment_dir());

	if (at < 0 || (size_t)at + strlen(name) >= sizeof(path))
		return -1;
	for (; *name; name++)	/* see shmipc(7) */
		path[at++] = *name == '/' ? '%' : *name;
	path[at] = 0;
	return lstat(path, ret);
}

/* One that cannot be looked at exists all the same. */
static void print_unseen(const struct ls_opts *o, const char *name, int err)
{
	char user[TEXT_BYTES] = "?", mode[TEXT_BYTES] = "";
	struct stat st;
	json_t *obj;
	int known = !stat_file(name, &st);

	if (known) {
		user_name(st.st_uid, user);
		snprintf(mode, sizeof(mode), "%04o ", (unsigned int)st.st_mode & 07777);
	}
	if (!o->json) {
		strcat(mode, shmipc_error_name(err));
		printf(ROW, name, "?", "?", "?", "?", "?", "unreadable", user, mode);
		return;
	}
	obj = json_pack("{s:s, s:s, s:s}", "name", name, "state", "unreadable", "error",
			shmipc_error_name(err));
	if (obj && known) {
		mode[4] = 0;
		json_object_set_new(obj, "mode", json_string(mode));
		json_object_set_new(obj, "uid", json_integer(st.st_uid));
		json_object_set_new(obj, "user", json_string(user));
	}
	json_line(stdout, obj);
}

/* A pattern that matches nothing; a name that is not there is an error. */
static int check_patterns(const struct opts_args *args, const struct view_names *names)
{
	const struct opts_args all = *args;
	struct opts_args one = { .n = 1 };
	int i, rc = RC_OK;
	size_t k;

	for (i = 0; i < all.n; i++) {
		one.text = &all.text[i];
		for (k = 0; k < names->n && !opts_matches(&one, names->name[k]);)
			k++;
		if (k < names->n)
			continue;
		if (opts_is_pattern(all.text[i]))
			tool_note("no segment matches \"%s\"", all.text[i]);
		else
			rc = view_error_look("ls", all.text[i], -ENOENT);
	}
	return rc;
}

static void print_one(const struct ls_opts *o, const char *name, const struct shmipc_segment_stat *st)
{
	struct view_more more;
	json_t *obj;

	/* It may have just been removed: then the segment is all that is known. */
	(void)view_more_look(name, st, &more);
	if (o->json) {
		obj = view_json(st);
		if (obj)
			view_more_add_row(obj, &more);
		json_line(stdout, obj);
	} else {
		print_row(st, &more);
	}
	view_more_done(&more);
}

static int run_ls(int argc, char **argv)
{
	struct shmipc_segment_stat st;
	struct view_names names;
	struct ls_opts o = { .json = 0 };
	struct opts_args args;
	size_t i, rows = 0;
	int err, rc, rc1;

	opts_parse(&cmd_ls, argc, argv, &o, &args);
	opts_patterns(&args);
	err = view_names(&names);
	if (err) {
		tool_error_lib("list", shmipc_segment_dir(), err);
		return RC_FAIL;
	}
	for (i = 0; i < names.n; i++) {
		if (!opts_matches(&args, names.name[i]))
			continue;
		err = view_look(names.name[i], &st);
		if (err == -ENOENT)
			continue;	/* removed meanwhile */
		if (!o.json && !rows++)
			printf(ROW, "NAME", "KIND", "SIZE", "MEMORY", "PAGE", "PEERS", "STATE", "OWNER",
			       "MODE");
		if (err) {
			print_unseen(&o, names.name[i], err);
			continue;
		}
		print_one(&o, names.name[i], &st);
		view_done(&st);
	}
	rc = check_patterns(&args, &names);
	view_names_done(&names);
	rc1 = tool_flush();
	return rc ? rc : rc1;
}

const struct command cmd_ls = {
	.name = "ls", .brief = "list the segments",
	.args = "[PATTERN]...", .args_of = ARGS_SEGMENT, .max_args = INT_MAX,
	.about =
	"Lists the segments. State: in use; persistent (no process is attached, and it stays); "
	"leftover (its processes were killed; shmipc gc removes it). Size: what its data can grow "
	"to; memory: what the whole segment takes now. Page: 4K+2M if a topic has grown into huge pages. Peers: how many are "
	"attached / the most there can be; of topics publishers > subscribers, of queues producers > "
	"consumers, of events notifiers > listeners; of a role or a lock the process that holds it.\n\n"
	PATTERNS_TEXT,
	.groups = groups, .run = run_ls,
};
