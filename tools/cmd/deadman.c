// SPDX-License-Identifier: MIT
/* deadman.c - shmipc deadman: a named role that one process holds */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <shmipc/deadman.h>
#include <shmipc/error.h>
#include "commands.h"
#include "../stream/opts.h"
#include "../util/child.h"
#include "../util/json.h"
#include "../util/util.h"
#include "../view/deadman.h"
#include "../view/view.h"

#define SLICE_NS	(100 * NS_PER_MS)	/* signals are looked for in between */

enum { HOLD, WAIT, SHOW };

static const char *const verbs[] = { "hold", "wait", "show", NULL };

struct deadman_opts {
	struct access_opts access;
	uint64_t timeout_ns;
	uint32_t code;		/* of hold, if another process holds it */
	int survive;
	int taken;
	int released;
	int json;
};

static const struct opt both_options[] = {
	{ .name = "timeout", .letter = 't', .arg = "SECONDS", .preset = "never", .take = take_timeout,
	  .at = offsetof(struct deadman_opts, timeout_ns),
	  .help = "give up after this time; 0: do not wait" },
	{ .name = NULL },
};

static const struct opt hold_options[] = {
	{ .name = "conflict-exit-code", .letter = 'E', .arg = "N", .preset = "4", .max = 255,
	  .take = take_number32, .at = offsetof(struct deadman_opts, code),
	  .help = "exit code if another process holds it all that time" },
	{ .name = "survive", .take = take_flag, .at = offsetof(struct deadman_opts, survive),
	  .help = "COMMAND goes on, without the role, if shmipc is killed; else it is killed, too" },
	{ .name = NULL },
};

static const struct opt wait_options[] = {
	{ .name = "taken", .take = take_flag, .at = offsetof(struct deadman_opts, taken),
	  .help = "until a process holds it" },
	{ .name = "released", .take = take_flag, .at = offsetof(struct deadman_opts, released),
	  .help = "until the process that holds it now does not any more; the default" },
	{ .name = NULL },
};

static const struct opt json_options[] = {
	{ .name = "json", .letter = 'j', .take = take_json, .at = offsetof(struct deadman_opts, json),
	  .help = "write one object" },
	{ .name = NULL },
};

static const struct opt_group groups[] = {
	{ .opts = both_options, .verbs = 1 << HOLD | 1 << WAIT },
	{ .opts = json_options, .verbs = 1 << WAIT | 1 << SHOW },
	{ .title = "Options of hold:", .opts = hold_options, .verbs = 1 << HOLD },
	{ .title = "Options of wait:", .opts = wait_options, .verbs = 1 << WAIT },
	{ .title = CREATE_TITLE("role"), .opts = access_options, .verbs = 1 << HOLD | 1 << WAIT,
	  .at = offsetof(struct deadman_opts, access) },
	{ .opts = NULL },
};

/* @now: as it is now; else how a term has ended. */
static int print(const struct deadman_opts *o, const char *name,
		 const struct shmipc_deadman_info *info, int now)
{
	json_t *obj;

	if (o->json) {
		obj = json_pack("{s:s}", "name", name);
		deadman_add(obj, info);
		json_line(stdout, obj);
	} else {
		printf("%s: ", name);
		(now ? deadman_print : deadman_print_end)(info);
	}
	return tool_flush();
}

static int fails(const struct deadman_opts *o, const char *name, int err)
{
	if (err != -ETIMEDOUT && err != -EAGAIN) {
		tool_error_lib("deadman", name, err);
		return RC_FAIL;
	}
	tool_error("\"%s\": waited %g s (ETIMEDOUT)", name, (double)o->timeout_ns / 1e9);
	return RC_TIMEOUT;
}

/* hold */

static int still_holds(void *arg)
{
	int ret = shmipc_deadman_holds(arg);

	if (ret != 1)
		tool_error_lib("deadman", "", ret ? ret : -EINVAL);
	return ret == 1;
}

/* Another process holds it: say which. */
static int conflict(const struct deadman_opts *o, struct shmipc_deadman *d, const char *name)
{
	struct shmipc_deadman_info info = SHMIPC_DEADMAN_INFO();
	char comm[sizeof(info.comm) + 1];

	if (!shmipc_deadman_get_info(d, &info) && info.held)
		tool_error("\"%s\" is held by pid %" PRIu32 " %s (ETIMEDOUT)", name, info.pid,
			   clean_text(info.comm, sizeof(info.comm), comm, sizeof(comm)));
	else
		tool_error("\"%s\": waited %g s (ETIMEDOUT)", name, (double)o->timeout_ns / 1e9);
	return (int)o->code;
}

/* 0; -errno; or > 0: a signal. */
static int take(const struct deadman_opts *o, struct shmipc_deadman *d, uint64_t *ret_term)
{
	uint64_t until_ns = shmipc_deadline_in(o->timeout_ns), slice_ns;
	int err, sig;

	do {
		slice_ns = shmipc_deadline_in(SLICE_NS);
		if (!o->timeout_ns)
			slice_ns = 0;
		else if (slice_ns > until_ns)
			slice_ns = until_ns;
		err = shmipc_deadman_take(d, ret_term, slice_ns);
		sig = child_signal();
		if (sig)
			return sig;
	} while (err == -EINTR || (err == -ETIMEDOUT && tool_now_ns() < until_ns));
	return err;
}

static int hold_taken(const struct deadman_opts *o, struct shmipc_deadman *d, const char *name,
		      uint64_t term, char **command)
{
	const struct child c = { .argv = *command ? command : NULL, .survives = o->survive,
				 .holds = still_holds, .arg = d };
	char text[TEXT_BYTES];

	snprintf(text, sizeof(text), "%" PRIu64, term);
	if (setenv("SHMIPC_TERM", text, 1)) {
		tool_error("no memory for SHMIPC_TERM (ENOMEM)");
		return RC_FAIL;
	}
	if (!c.argv) {
		printf("%s: held, term %s\n", name, text);
		(void)fflush(stdout);
	}
	return child_hold(&c);
}

static int hold(const struct deadman_opts *o, const char *name, char **command)
{
	const struct shmipc_deadman_opts opts = SHMIPC_DEADMAN_OPTS(ACCESS_OF(&o->access));
	struct shmipc_deadman *d;
	uint64_t term;
	int rc, ret;

	child_begin();
	ret = shmipc_deadman_open(&d, name, &opts);
	if (ret)
		return fails(o, name, ret);
	ret = take(o, d, &term);
	if (!ret)
		rc = hold_taken(o, d, name, term, command);
	else if (ret > 0)
		rc = RC_SIGNAL + ret;
	else if (ret == -ETIMEDOUT || ret == -EAGAIN)
		rc = conflict(o, d, name);
	else
		rc = fails(o, name, ret);
	shmipc_deadman_close(d);
	return rc;
}

/* wait */

static int wait_for(const struct deadman_opts *o, struct shmipc_deadman *d, const char *name)
{
	struct shmipc_deadman_info info = SHMIPC_DEADMAN_INFO();
	uint64_t until_ns = o->timeout_ns ? shmipc_deadline_in(o->timeout_ns) : 0;
	int ret = shmipc_deadman_get_info(d, &info), rc, now = o->taken || !info.held;

	do {
		ret = o->taken ? shmipc_deadman_wait_taken(d, &info, until_ns) :
		      shmipc_deadman_wait_released(d, info.term, &info, until_ns);
		if (tool_stop)
			return RC_SIGNAL + tool_stop;
	} while (ret == -EINTR);
	if (ret)
		return fails(o, name, ret);
	rc = print(o, name, &info, now);
	return rc || o->taken || info.end != SHMIPC_DEADMAN_DIED ? rc : RC_PEER;
}

static int wait_open(const struct deadman_opts *o, const char *name)
{
	struct shmipc_deadman_opts opts = SHMIPC_DEADMAN_OPTS(ACCESS_OF(&o->access));
	const struct shmipc_deadman_info nobody = SHMIPC_DEADMAN_INFO();
	struct shmipc_deadman *d;
	int ret, rc;

	if (o->taken && o->released)
		opts_refuse("--taken and --released exclude each other");
	tool_catch_signals();
	(void)tool_attend(-1);
	/* A role that nobody has open is free: that creates nothing. */
	if (!o->taken)
		opts.flags |= SHMIPC_NO_CREATE;
	ret = shmipc_deadman_open(&d, name, &opts);
	if (ret == -ENOENT && !o->taken) {
		tool_note("no process has \"%s\" open", name);
		return print(o, name, &nobody, 1);
	}
	if (ret)
		return fails(o, name, ret);
	rc = wait_for(o, d, name);
	shmipc_deadman_close(d);
	return rc;
}

static int show(const struct deadman_opts *o, const char *name)
{
	struct shmipc_deadman_info info = SHMIPC_DEADMAN_INFO();
	int err = shmipc_deadman_look(name, &info);

	return err ? view_error_look("show", name, err) : print(o, name, &info, 1);
}

static int run_deadman(int argc, char **argv)
{
	struct deadman_opts o = { .json = 0 };
	struct opts_args args;
	const char *name;

	opts_parse(&cmd_deadman, argc, argv, &o, &args);
	name = opts_name(&args, 1);
	if (args.n > 2 && args.verb != HOLD)
		opts_refuse("\"%s\" is one argument too many", args.text[2]);
	if (args.verb == HOLD)
		return hold(&o, name, &args.text[2]);
	return args.verb == WAIT ? wait_open(&o, name) : show(&o, name);
}

const struct command cmd_deadman = {
	.name = "deadman", .brief = "hold a named role, or wait for the process that holds it",
	.args = "hold|wait|show NAME [-- COMMAND...]", .args_of = ARGS_DEADMAN, .verbs = verbs,
	.min_args = 2, .max_args = INT_MAX,
	.about =
	"A role is held by one process at a time, until that releases it or ends, however it does.\n\n"
	"hold takes the role NAME, waiting until it is free, and holds it while COMMAND runs, or "
	"without COMMAND until a signal. The exit code is that of COMMAND. SHMIPC_TERM in its "
	"environment is the number of the term, which grows with each holder.\n"
	"wait waits until a process holds it, or does not hold it any more; the exit code is then 3 if "
	"it died.\n"
	"show says which process holds it and since when, or how the last term ended.\n",
	.groups = groups, .run = run_deadman,
};
