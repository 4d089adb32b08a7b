// SPDX-License-Identifier: MIT
/* fence.c - shmipc fence: cut off a process that does not leave by itself */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <shmipc/error.h>
#include <shmipc/segment.h>
#include "commands.h"
#include "../util/json.h"
#include "../opts/values.h"
#include "../util/util.h"
#include "../view/view.h"

struct fence_opts {
	uint64_t timeout_ns;
	int pinned;
	int json;
};

static const struct opt options[] = {
	{ .name = "timeout", .letter = 't', .arg = "SECONDS", .preset = "1", .take = take_seconds,
	  .at = offsetof(struct fence_opts, timeout_ns),
	  .help = "for pages that O_DIRECT, io_uring and the like still use" },
	{ .name = "pinned", .letter = 'p', .take = take_flag, .at = offsetof(struct fence_opts, pinned),
	  .help = "do not wait for such pages: what is under way may still be written" },
	{ .name = "json", .letter = 'j', .take = take_json, .at = offsetof(struct fence_opts, json),
	  .help = "write one object" },
	{ .name = NULL },
};

static const struct opt_group groups[] = {
	{ .opts = options },
	{ .opts = NULL },
};

/* What PEER says: "3" is a slot or a process, "slot:3" and "pid:3" say which. */
struct wanted {
	uint64_t number;
	int slot;
	int pid;
};

static void read_peer(const char *text, struct wanted *w)
{
	const char *number = text;

	w->slot = w->pid = 1;
	if (!strncmp(text, "slot:", 5)) {
		number += 5;
		w->pid = 0;
	} else if (!strncmp(text, "pid:", 4)) {
		number += 4;
		w->slot = 0;
	}
	if (parse_number(number, UINT32_MAX, &w->number))
		opts_refuse("found PEER \"%s\", expected the number of a slot or of a process, as shmipc stat shows them",
			    text);
}

static int is_wanted(const struct wanted *w, const struct shmipc_peer_info *p)
{
	return p->state == SHMIPC_PEER_ATTACHED &&
	       ((w->slot && w->number == p->slot) || (w->pid && p->pid && w->number == p->pid));
}

/* The one peer that is meant. NULL: a message says why not. */
static const struct shmipc_peer_info *find(const struct shmipc_segment_stat *st, const char *name,
					   const char *text, const struct wanted *w)
{
	const struct shmipc_peer_info *found = NULL;
	char list[256] = "";
	size_t at = 0;
	uint32_t i, n = 0;

	for (i = 0; i < st->npeers; i++) {
		if (!is_wanted(w, &st->peer[i]))
			continue;
		found = &st->peer[i];
		if (at < sizeof(list))
			at += (size_t)snprintf(list + at, sizeof(list) - at, "%sslot:%" PRIu32 " (%s, pid %" PRIu32 ")",
					       n ? ", " : "", found->slot, role_word(found->role), found->pid);
		n++;
	}
	if (n == 1)
		return found;
	if (n)
		tool_error("\"%s\": \"%s\" is not one peer, but %" PRIu32 ": %s; name the slot", name, text, n,
			   list);
	else
		tool_error("\"%s\": no peer \"%s\" is attached (ESRCH); see shmipc stat", name, text);
	return NULL;
}

static int fence(const struct fence_opts *o, const char *name, const struct shmipc_peer_info *p)
{
	char comm[sizeof(p->comm) + 1];
	int err;

	err = shmipc_segment_fence(name, p->slot, p->generation, o->pinned ? SHMIPC_FENCE_PINNED : 0,
				   shmipc_deadline_in(o->timeout_ns));
	if (err)
		(void)view_error_look("fence", name, err);
	clean_text(p->comm, sizeof(p->comm), comm, sizeof(comm));
	if (o->json)
		json_line(stdout, json_pack("{s:s, s:i, s:s, s:i, s:s, s:I, s:b, s:s?}", "name", name,
					    "slot", (int)p->slot, "role", role_word(p->role),
					    "pid", (int)p->pid, "comm", comm,
					    "generation", (json_int_t)p->generation, "fenced", !err,
					    "error", err ? shmipc_error_name(err) : NULL));
	else if (!err)
		printf("%s: slot %" PRIu32 ", %s, pid %" PRIu32 " %s: cut off\n", name, p->slot,
		       role_word(p->role), p->pid, comm);
	return !err ? RC_OK : err == -EBUSY ? RC_TIMEOUT : RC_FAIL;
}

static int run_fence(int argc, char **argv)
{
	struct fence_opts o = { .json = 0 };
	const struct shmipc_peer_info *peer;
	struct shmipc_segment_stat st;
	struct opts_args args;
	struct wanted w;
	const char *name;
	int rc = RC_FAIL, err;

	opts_parse(&cmd_fence, argc, argv, &o, &args);
	name = opts_name(&args, 0);
	read_peer(args.text[1], &w);
	err = view_look(name, &st);
	if (err)
		return view_error_look("fence", name, err);
	peer = find(&st, name, args.text[1], &w);
	if (peer)
		rc = fence(&o, name, peer);
	view_done(&st);
	err = tool_flush();
	return rc ? rc : err;
}

const struct command cmd_fence = {
	.name = "fence", .brief = "cut off a process that is stopped or broken",
	.args = "NAME PEER", .args_of = ARGS_SEGMENT, .min_args = 2, .max_args = 2,
	.about =
	"Cuts off the PEER of the segment NAME: a slot or a process, by its number in shmipc stat; "
	"slot:N or pid:N says which. Its process cannot write to the segment any more, and gets "
	"SIGBUS when it tries. All others see it die, and go on at once.\n",
	.notes =
	"Only on the device, and only for the owner of the segment or with CAP_SYS_RESOURCE.\n",
	.groups = groups, .run = run_fence,
};
