// SPDX-License-Identifier: MIT
/* event.c - shmipc event: counted notifications by name */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <shmipc/error.h>
#include <shmipc/event.h>
#include "commands.h"
#include "../stream/opts.h"
#include "../util/json.h"
#include "../util/util.h"
#include "../view/event.h"
#include "../view/view.h"

enum { NOTIFY, WAIT };

static const char *const verbs[] = { "notify", "wait", NULL };

struct event_opts {
	struct access_opts access;
	uint64_t count;
	uint64_t timeout_ns;
	uint64_t period_ns;
	uint32_t events;
	uint32_t notifiers;
	uint32_t listeners;
	int all;
	int past;
	int follow;
	int json;
};

static const struct opt notify_options[] = {
	{ .name = "count", .letter = 'c', .arg = "N", .preset = "1", .min = 1, .max = UINT32_MAX,
	  .take = take_number, .at = offsetof(struct event_opts, count),
	  .help = "notify each EVENT so often, at once" },
	{ .name = NULL },
};

static const struct opt wait_options[] = {
	{ .name = "all", .letter = 'a', .take = take_flag, .at = offsetof(struct event_opts, all),
	  .help = "until there is something of each EVENT; else of any" },
	{ .name = "timeout", .letter = 't', .arg = "SECONDS", .preset = "never", .take = take_timeout,
	  .at = offsetof(struct event_opts, timeout_ns),
	  .help = "give up if nothing comes for this time; 0: do not wait" },
	{ .name = "period", .arg = "SECONDS", .min = NS_PER_MS, .take = take_seconds,
	  .at = offsetof(struct event_opts, period_ns),
	  .help = "report each EVENT that is not notified within this time" },
	{ .name = "past", .take = take_flag, .at = offsetof(struct event_opts, past),
	  .help = "begin with what was notified before" },
	{ .name = "follow", .letter = 'f', .take = take_flag, .at = offsetof(struct event_opts, follow),
	  .help = "go on until a signal" },
	{ .name = "json", .letter = 'j', .take = take_json, .at = offsetof(struct event_opts, json),
	  .help = "write objects, one for each event that there is something of" },
	{ .name = NULL },
};

static const struct opt size_options[] = {
	{ .name = "events", .arg = "N", .min = 1, .max = 4096, .library = "64", .take = take_number32,
	  .at = offsetof(struct event_opts, events), .help = "how many there are: 0 to N - 1" },
	{ .name = "notifiers", .arg = "N", .min = 1, .max = 1024, .library = "64",
	  .take = take_number32, .at = offsetof(struct event_opts, notifiers),
	  .help = "room for N notifiers" },
	{ .name = "listeners", .arg = "N", .min = 1, .max = 3072, .library = "64",
	  .take = take_number32, .at = offsetof(struct event_opts, listeners),
	  .help = "room for N listeners" },
	{ .name = NULL },
};

static const struct opt_group groups[] = {
	{ .opts = notify_options, .verbs = 1 << NOTIFY },
	{ .title = "Options of wait:", .opts = wait_options, .verbs = 1 << WAIT },
	{ .title = CREATE_TITLE("events"), .opts = size_options },
	{ .opts = access_options, .at = offsetof(struct event_opts, access) },
	{ .opts = NULL },
};

static struct shmipc_event_opts create(const struct event_opts *o)
{
	return SHMIPC_EVENT_OPTS(ACCESS_OF(&o->access), .events = o->events,
				 .notifiers = o->notifiers, .listeners = o->listeners);
}

/* The numbers, or "died"; to be free()d. *@ret_n 0: there are none. */
static uint32_t *read_events(const struct opts_args *args, size_t *ret_n)
{
	uint32_t *event = calloc((size_t)args->n, sizeof(*event));
	uint64_t number = 0;
	int i;

	*ret_n = 0;
	for (i = 2; event && i < args->n; i++) {
		if (args->verb == WAIT && !strcmp(args->text[i], "died"))
			number = SHMIPC_LISTEN_DIED;
		else if (parse_number(args->text[i], SHMIPC_EVENTS_MAX - 1, &number))
			opts_refuse("found EVENT \"%s\", expected a number from 0 to %u%s", args->text[i],
				    SHMIPC_EVENTS_MAX - 1, args->verb == WAIT ? ", or died" : "");
		event[(*ret_n)++] = (uint32_t)number;
	}
	return event;
}

/* notify */

/* What is lost with us? Without --persist, events are there as long as somebody has them open. */
static void note_alone(const char *name, const struct shmipc_event_stat *st)
{
	if (view_event_ends(st, SHMIPC_ROLE_PRODUCER) + view_event_ends(st, SHMIPC_ROLE_READER) > 1 ||
	    st->info.flags & SHMIPC_SEG_PERSISTENT)
		return;
	tool_note("no other process has \"%s\" open, so the notification is lost; --persist keeps it for "
		  "listeners with --past", name);
}

static int notify_all(const struct event_opts *o, struct shmipc_notifier *n, const char *name,
		      const uint32_t *event, size_t nevents)
{
	struct shmipc_event_stat st;
	int err = view_event_look(name, &st);
	size_t i;

	if (err)
		return view_error_look("notify", name, err);
	for (i = 0; i < nevents && event[i] < st.events; i++)
		continue;
	if (i < nevents) {
		tool_error("\"%s\" has no event %" PRIu32 ", but 0 to %" PRIu32 " (EINVAL)", name, event[i],
			   st.events - 1);
		view_event_done(&st);
		return RC_FAIL;
	}
	for (i = 0; i < nevents && !err; i++)
		err = shmipc_notifier_notify(n, event[i], o->count);
	if (err)
		tool_error_lib("notify", name, err);
	else
		note_alone(name, &st);
	view_event_done(&st);
	return err ? RC_FAIL : RC_OK;
}

static int run_notify(const struct event_opts *o, const char *name, const uint32_t *event, size_t n)
{
	static const uint32_t first;
	const struct shmipc_event_opts opts = create(o);
	struct shmipc_notifier *notifier;
	int rc, err = shmipc_notifier_open(&notifier, name, &opts);

	if (err) {
		tool_error_lib("notify", name, err);
		return RC_FAIL;
	}
	rc = notify_all(o, notifier, name, n ? event : &first, n ? n : 1);
	shmipc_notifier_close(notifier);
	return rc;
}

/* wait */

static void print(const struct event_opts *o, const char *name, const struct shmipc_event_got *got)
{
	int died = got->event == SHMIPC_LISTEN_DIED;
	json_t *event;

	if (o->json) {
		event = died ? json_string("died") : json_integer((json_int_t)got->event);
		json_line(stdout, json_pack("{s:s, s:o, s:I, s:I}", "name", name, "event", event,
					    "count", json_u64(got->count),
					    "missed", json_u64(got->missed)));
		return;
	}
	if (died)
		printf("died");
	else
		printf("%" PRIu32, got->event);
	printf(" %" PRIu64, got->count);
	if (got->missed)
		printf(" missed %" PRIu64, got->missed);
	putchar('\n');
}

/* The exit code of one that waited once: what the most welcome of them was. */
static int code_of(const struct shmipc_event_got *got, size_t n)
{
	int missed = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (got[i].event != SHMIPC_LISTEN_DIED && got[i].count)
			return RC_OK;
		missed |= got[i].event != SHMIPC_LISTEN_DIED;
	}
	return missed ? RC_TIMEOUT : RC_PEER;
}

/* What is waited for. */
struct waited {
	struct shmipc_listener *l;
	const uint32_t *event;		/* NULL: all */
	size_t n;
	struct shmipc_event_got *got;
	size_t cap;
};

/* One wait. RC_OK: *@ret_n of them have something; others: it is over. */
static int wait_once(const struct event_opts *o, const char *name, struct waited *w, size_t *ret_n)
{
	uint64_t until_ns = o->timeout_ns ? shmipc_deadline_in(o->timeout_ns) : 0;
	int err;

	do {
		err = (o->all ? shmipc_listener_wait_all : shmipc_listener_wait_any)
			(w->l, w->event, w->n, w->got, w->cap, ret_n, until_ns);
		if (tool_stop)
			return RC_SIGNAL + tool_stop;
		if (err == -EINTR && tool_reader_gone(STDOUT_FILENO))
			return RC_GONE;
		if (err == -EPROTO)
			tool_note("\"%s\": a notifier has set a count back (EPROTO)", name);
	} while (err == -EINTR || err == -EPROTO);
	if (!err)
		return RC_OK;
	if (err == -ETIMEDOUT || err == -EAGAIN) {
		tool_error("\"%s\": waited %g s for a notification (ETIMEDOUT)", name,
			   (double)o->timeout_ns / 1e9);
		return RC_TIMEOUT;
	}
	tool_error_lib("wait", name, err);
	return RC_FAIL;
}

static int wait_loop(const struct event_opts *o, const char *name, struct waited *w)
{
	size_t n, i;
	int rc;

	do {
		rc = wait_once(o, name, w, &n);
		if (rc)
			return rc;
		for (i = 0; i < n; i++)
			print(o, name, &w->got[i]);
		rc = tool_flush();	/* its reader waits for it */
	} while (!rc && o->follow);
	return rc ? rc : code_of(w->got, n);
}

static int expect(const struct event_opts *o, const struct waited *w)
{
	size_t i;
	int err = 0;

	for (i = 0; o->period_ns && i < w->n && !err; i++)
		if (w->event[i] != SHMIPC_LISTEN_DIED)
			err = shmipc_listener_expect(w->l, w->event[i], o->period_ns);
	return err;
}

static int run_wait(const struct event_opts *o, const char *name, const uint32_t *event, size_t n)
{
	const struct shmipc_listener_opts how =
		SHMIPC_LISTENER_OPTS(.flags = o->past ? SHMIPC_LISTEN_PAST : 0);
	const struct shmipc_event_opts opts = create(o);
	struct waited w = { .event = n ? event : NULL, .n = n };
	int rc = RC_FAIL, err;

	if (!n && (o->all || o->period_ns))
		opts_refuse("--%s needs one EVENT or more", o->all ? "all" : "period");
	tool_catch_signals();
	(void)tool_attend(STDOUT_FILENO);
	err = shmipc_listener_open(&w.l, name, &opts, &how);
	if (err) {
		tool_error_lib("wait", name, err);
		return RC_FAIL;
	}
	w.cap = n ? n : (size_t)shmipc_listener_events(w.l) + 1;
	w.got = calloc(w.cap, sizeof(*w.got));
	err = w.got ? expect(o, &w) : -ENOMEM;
	if (err)
		tool_error_lib("wait", name, err);
	else
		rc = wait_loop(o, name, &w);
	shmipc_listener_close(w.l);
	free(w.got);
	return rc;
}

static int run_event(int argc, char **argv)
{
	struct event_opts o = { .json = 0 };
	struct opts_args args;
	const char *name;
	uint32_t *event;
	size_t n;
	int rc = RC_FAIL;

	opts_parse(&cmd_event, argc, argv, &o, &args);
	name = opts_name(&args, 1);
	event = read_events(&args, &n);
	if (event)
		rc = args.verb == NOTIFY ? run_notify(&o, name, event, n) : run_wait(&o, name, event, n);
	else
		tool_error("no memory (ENOMEM)");
	free(event);
	return rc;
}

const struct command cmd_event = {
	.name = "event", .brief = "notify events by name, or wait for them",
	.args = "notify|wait NAME [EVENT]...", .args_of = ARGS_EVENT, .verbs = verbs,
	.min_args = 2, .max_args = INT_MAX,
	.about =
	"The events of a NAME are numbers, 0 to 63 unless its creator asks for more. Either side may "
	"start first.\n\n"
	"notify notifies each EVENT, by default 0.\n"
	"wait waits for one of the EVENTs, by default any, and writes a line for each that was "
	"notified: its number, how often, and \"missed\" with the number of periods without a "
	"notification. The EVENT died is the death of notifiers. Exit code 3: only deaths were "
	"reported; 4: only missed periods.\n",
	.groups = groups, .run = run_event,
};
