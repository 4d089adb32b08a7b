// SPDX-License-Identifier: MIT
/* watch.c - shmipc watch: which segments and ends appear and disappear */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <shmipc/discover.h>
#include <shmipc/error.h>
#include "commands.h"
#include "../util/json.h"
#include "../opts/values.h"
#include "../util/util.h"
#include "../view/view.h"

struct watch_opts {
	uint64_t count;		/* 0: no limit */
	int ends;
	int only_new;
	int json;
};

static const struct opt options[] = {
	{ .name = "count", .letter = 'c', .arg = "N", .min = 1, .take = take_number,
	  .at = offsetof(struct watch_opts, count), .help = "end after N events" },
	{ .name = "ends", .letter = 'e', .take = take_flag,
	  .at = offsetof(struct watch_opts, ends),
	  .help = "tell of producers, consumers and readers, too" },
	{ .name = "new", .take = take_flag, .at = offsetof(struct watch_opts, only_new),
	  .help = "do not list what exists already" },
	{ .name = "json", .letter = 'j', .take = take_json, .at = offsetof(struct watch_opts, json),
	  .help = "write objects, one for each event" },
	{ .name = NULL },
};

static const struct opt_group groups[] = {
	{ .opts = options },
	{ .opts = NULL },
};

static const char *event_word(uint32_t type)
{
	static const char *const words[] = { "unknown", "appeared", "gone", "joined", "left",
					     "died", "lost" };

	return words[type < sizeof(words) / sizeof(words[0]) ? type : 0];
}

static int is_end(const struct shmipc_event *e)
{
	return e->type >= SHMIPC_EVENT_JOINED;
}

static void print_json(const struct shmipc_event *e, const char *name)
{
	char id[2 * sizeof(e->id) + 1], comm[sizeof(e->end.comm)];
	json_t *obj, *end;
	size_t i;

	for (i = 0; i < sizeof(e->id); i++)
		snprintf(id + 2 * i, 3, "%02x", e->id[i]);
	obj = json_pack("{s:s, s:s, s:s, s:s, s:s?, s:I}", "event", event_word(e->type), "name", name,
			"kind", kind_word(e->kind), "id", id,
			"error", e->error ? shmipc_error_name(e->error) : NULL,
			"noticed_ns", json_u64(e->noticed_ns));
	if (obj && is_end(e)) {
		end = json_pack("{s:i, s:s, s:i, s:I, s:I, s:s, s:I}", "slot", (int)e->end.slot,
				"role", role_word(e->end.role), "pid", (int)e->end.pid,
				"generation", json_u64(e->end.generation),
				"since_ns", json_u64(e->end.since_ns),
				"comm", clean_text(e->end.comm, sizeof(e->end.comm), comm,
						   sizeof(comm)),
				"missed", json_u64(e->missed));
		if (!end || json_object_update_new(obj, end)) {
			json_decref(obj);
			obj = NULL;
		}
	}
	json_line(stdout, obj);
}

static void print_text(const struct shmipc_event *e, const char *name)
{
	char comm[sizeof(e->end.comm)];

	printf("%-9s%-24s ", event_word(e->type), name);
	if (e->error)
		printf("%s", shmipc_error_name(e->error));
	else if (!is_end(e))
		printf("%s", kind_word(e->kind));
	else
		printf("%-8s pid %" PRIu32 " %s", end_word(e->kind, e->end.role), e->end.pid,
		       clean_text(e->end.comm, sizeof(e->end.comm), comm, sizeof(comm)));
	if (e->missed)
		printf("; %" PRIu64 " before it came and went without being seen", e->missed);
	putchar('\n');
}

/*
 * The next event; -EINTR when a signal asks us to end, -EPIPE if our reader has gone.
 * Signals are blocked except while we sleep, so that none is missed between looking at
 * the flag and sleeping.
 */
static int next_event(struct shmipc_watch *w, struct shmipc_event *e, const sigset_t *open)
{
	struct pollfd p[2] = {
		{ .fd = shmipc_watch_fd(w), .events = POLLIN },
		{ .fd = tool_reader_fd() },
	};
	int err;

	while ((err = shmipc_watch_next(w, e, 0)) == -EAGAIN) {
		(void)ppoll(p, 2, NULL, open);
		if (tool_stop)
			return -EINTR;
		if (p[1].revents)
			return -EPIPE;
	}
	return err;
}

static int print_events(struct shmipc_watch *w, const struct watch_opts *o,
			const struct opts_args *args, const sigset_t *open)
{
	struct shmipc_event e = { .struct_bytes = sizeof(e) };
	char name[sizeof(e.name)];
	uint64_t n = 0;
	int err, rc;

	while (!o->count || n < o->count) {
		err = next_event(w, &e, open);
		if (err == -EINTR)
			return RC_SIGNAL + tool_stop;
		if (err == -EPIPE)
			return tool_flush();
		if (err) {
			tool_error_lib("watch", "", err);
			return RC_FAIL;
		}
		if (!opts_matches(args, e.name))
			continue;
		clean_text(e.name, sizeof(e.name), name, sizeof(name));
		if (o->json)
			print_json(&e, name);
		else
			print_text(&e, name);
		n++;
		rc = tool_flush();	/* its reader waits for it */
		if (rc)
			return rc;
	}
	return RC_OK;
}

static int run_watch(int argc, char **argv)
{
	sigset_t stops, open;
	struct shmipc_watch *w;
	uint32_t flags = 0;
	struct watch_opts o = { .count = 0 };
	struct opts_args args;
	int err, rc;

	opts_parse(&cmd_watch, argc, argv, &o, &args);
	opts_patterns(&args);
	tool_catch_signals();
	sigemptyset(&stops);
	sigaddset(&stops, SIGINT);
	sigaddset(&stops, SIGTERM);
	sigaddset(&stops, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &stops, &open);
	if (o.ends)
		flags |= SHMIPC_WATCH_ENDS;
	if (o.only_new)
		flags |= SHMIPC_WATCH_NEW;
	/* One pattern is the library's to look for; of several, each name is tried. */
	err = shmipc_watch_open(&w, args.n == 1 ? args.text[0] : NULL, SHMIPC_KIND_ANY, flags);
	if (err) {
		tool_error_lib("watch", shmipc_segment_dir(), err);
		return RC_FAIL;
	}
	view_note_unmatched(args.text, args.n, SHMIPC_KIND_ANY);
	rc = print_events(w, &o, &args, &open);
	shmipc_watch_close(w);
	return rc;
}

const struct command cmd_watch = {
	.name = "watch", .brief = "tell of segments and ends as they appear and disappear",
	.args = "[PATTERN]...", .args_of = ARGS_SEGMENT, .max_args = INT_MAX,
	.about =
	"Lists the segments, and then writes a line for each that appears or is gone; with "
	"--ends also for each end that joins, leaves, dies, or is lost: it is gone, and nothing "
	"saw how.\n\n"
	PATTERNS_TEXT,
	.groups = groups, .run = run_watch,
};
