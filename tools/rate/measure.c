// SPDX-License-Identifier: MIT
/*
 * measure.c - shmipc hz, shmipc bw: how often, and how much, is published
 *
 * Each topic is read by a read-only subscriber: no publisher waits for it or has
 * to wake it, and it takes no slot. It does not copy payloads, so
 * that looking at a topic of large messages costs no memory bandwidth.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <shmipc/discover.h>
#include <shmipc/error.h>
#include "../util/json.h"
#include "rate.h"
#include "../util/util.h"
#include "../view/view.h"

#define SCAN_NS		(100 * NS_PER_MS)	/* how often topics are looked for */
/*
 * While a publisher puts its topic in the place of a provisional one there is none for a
 * moment. One that leaves the old one then does not see the first messages in the new one.
 */
#define UNSEEN_GONE	5			/* looks in turn that did not find it */
#define TURN		1024u			/* messages of one topic at a time */

static const struct opt rate_options[] = {
	{ .name = "window", .arg = "N", .min = 2, .max = WINDOW_MAX, .preset = "1000",
	  .take = take_number, .at = offsetof(struct rate_opts, window),
	  .help = "look back on the last N messages" },
	{ .name = "every", .arg = "SECONDS", .min = NS_PER_MS, .preset = "1",
	  .take = take_seconds, .at = offsetof(struct rate_opts, every_ns),
	  .help = "time between reports" },
	{ .name = "count", .letter = 'c', .arg = "N", .min = 1, .take = take_number,
	  .at = offsetof(struct rate_opts, count), .help = "end after N reports" },
	{ .name = "timeout", .letter = 't', .arg = "SECONDS", .take = take_seconds,
	  .at = offsetof(struct rate_opts, timeout_ns),
	  .help = "give up if no message comes for this time" },
	{ .name = "json", .letter = 'j', .take = take_json, .at = offsetof(struct rate_opts, json),
	  .help = "write objects, one a line" },
	{ .name = NULL },
};

const struct opt_group rate_groups[] = {
	{ .opts = rate_options },
	{ .opts = NULL },
};

struct rates {
	struct rate_opts o;
	struct opts_args args;
	int hz;				/* intervals, not bytes */
	struct rate *rate;
	size_t n;
	struct shmipc_sub **sub;	/* of those that are open */
	size_t nsubs;
	uint64_t scan_ns;		/* when to look for topics again */
	uint64_t report_ns;
	uint64_t reports;
	uint64_t moved_ns;		/* when the last message came */
	int rc;
};

static struct rate *find(struct rates *r, const char *name)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		if (!strcmp(r->rate[i].name, name))
			return &r->rate[i];
	return NULL;
}

static int no_memory(const char *name)
{
	tool_error("topic \"%s\": out of memory for another topic (ENOMEM)", name);
	return RC_FAIL;
}

static int add(struct rates *r, const char *name)
{
	struct rate *more = realloc(r->rate, (r->n + 1) * sizeof(*more));
	struct shmipc_sub **subs;

	if (!more)
		return no_memory(name);
	r->rate = more;
	subs = realloc(r->sub, (r->n + 1) * sizeof(struct shmipc_sub *));
	if (!subs)
		return no_memory(name);
	r->sub = subs;
	if (rate_init(&more[r->n], name, (size_t)r->o.window))
		return no_memory(name);
	r->n++;
	return RC_OK;
}

static void list_subs(struct rates *r)
{
	size_t i;

	r->nsubs = 0;
	for (i = 0; i < r->n; i++)
		if (r->rate[i].sub)
			r->sub[r->nsubs++] = r->rate[i].sub;
}

/* A topic exists. If it cannot be opened, that is reported once. */
static int see(const char *name, int err, const struct shmipc_segment_stat *st, void *arg)
{
	struct rates *r = arg;
	struct rate *rate;

	if (!opts_matches(&r->args, name) || err)
		return 0;
	rate = find(r, name);
	if (!rate) {
		r->rc = add(r, name);
		if (r->rc)
			return 1;
		rate = &r->rate[r->n - 1];
	}
	rate->seen = 1;
	if (rate->sub && !rate_follows(rate, st->info.id))
		rate_close(rate);	/* removed, and created anew */
	if (!rate->sub && !rate->refused && rate_open(rate, r->hz)) {
		rate->refused = 1;
		tool_note("topic \"%s\": cannot be read: %s", name, shmipc_error_text());
	}
	return 0;
}

/* Which topics exist now? */
static int scan(struct rates *r, uint64_t now)
{
	size_t i;
	int err;

	if (now < r->scan_ns)
		return RC_OK;
	for (i = 0; i < r->n; i++)
		r->rate[i].seen = 0;
	err = shmipc_discover_each(NULL, SHMIPC_KIND_TOPIC, see, r);
	if (err < 0) {
		tool_error_lib("list", shmipc_segment_dir(), err);
		return RC_FAIL;
	}
	for (i = 0; i < r->n; i++) {
		r->rate[i].unseen = r->rate[i].seen ? 0 : r->rate[i].unseen + 1;
		if (r->rate[i].unseen == UNSEEN_GONE) {
			rate_close(&r->rate[i]);
			r->rate[i].refused = 0;
		}
	}
	list_subs(r);
	r->scan_ns = tool_now_ns() + SCAN_NS;
	return r->rc;
}

static void report(struct rates *r, uint64_t now)
{
	size_t i;

	if (now < r->report_ns)
		return;
	if (!r->o.json && !r->reports)
		rate_print_head(r->hz);
	for (i = 0; i < r->n; i++) {
		if (r->o.json)
			rate_print_json(&r->rate[i], r->hz, now);
		else
			rate_print(&r->rate[i], r->hz, now);
		rate_period(&r->rate[i], now);
	}
	r->reports++;
	r->report_ns += r->o.every_ns;
	if (r->report_ns < now)		/* we were stopped for a while */
		r->report_ns = now + r->o.every_ns;
	r->rc = tool_flush();		/* its reader waits for it */
}

/* Sleep until a message comes, or other work is due. */
static int pause_for(struct rates *r)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	uint64_t until = shmipc_deadline_in(NS_PER_MS);	/* a mere reader is not woken */
	size_t first;
	int err;

	if (!r->nsubs) {
		nanosleep(&ms, NULL);
		return RC_OK;
	}
	err = shmipc_sub_wait_any(r->sub, r->nsubs, &first, until);
	if (!err || err == -ETIMEDOUT || err == -EAGAIN || err == -EINTR)
		return RC_OK;
	tool_error_lib("wait for", "messages", err);
	return RC_FAIL;
}

static int turn(struct rates *r)
{
	uint64_t now = tool_now_ns();
	unsigned int got = 0;
	size_t i;
	int rc;

	if (tool_stop)
		return RC_SIGNAL + tool_stop;
	rc = scan(r, now);
	if (rc)
		return rc;
	for (i = 0; i < r->n; i++)
		got += rate_read(&r->rate[i], TURN);
	now = tool_now_ns();
	report(r, now);
	if (r->rc)
		return r->rc;
	if (got)
		r->moved_ns = now;
	if (r->o.timeout_ns && now - r->moved_ns >= r->o.timeout_ns) {
		tool_error("waited %g s for a message (ETIMEDOUT)", (double)r->o.timeout_ns / 1e9);
		return RC_TIMEOUT;
	}
	return got ? RC_OK : pause_for(r);
}

/*
 * A name without a wildcard, if it exists, must be a topic that may be read. If nobody
 * publishes it, or no topic matches a pattern, that is said, as nothing may ever come.
 */
static int check_names(const struct opts_args *args)
{
	char *all = NULL;
	int i, err;

	if (!args->n)
		view_note_unmatched(&all, 1, SHMIPC_KIND_TOPIC);
	for (i = 0; i < args->n; i++) {
		if (opts_is_pattern(args->text[i])) {
			view_note_unmatched(&args->text[i], 1, SHMIPC_KIND_TOPIC);
			continue;
		}
		err = view_note_nobody(args->text[i]);
		if (err) {
			tool_error_lib(opts_command()->name, args->text[i], err);
			return RC_FAIL;
		}
	}
	return RC_OK;
}

int rate_measure(const struct command *command, int hz, int argc, char **argv)
{
	struct rates r = { .hz = hz };
	int rc;

	opts_parse(command, argc, argv, &r.o, &r.args);
	opts_patterns(&r.args);
	tool_catch_signals();
	rc = check_names(&r.args);
	r.moved_ns = tool_now_ns();
	r.report_ns = r.moved_ns + r.o.every_ns;
	while (!rc && !(r.o.count && r.reports == r.o.count))
		rc = turn(&r);
	while (r.n)
		rate_done(&r.rate[--r.n]);
	free(r.rate);
	free(r.sub);
	return rc;
}
