// SPDX-License-Identifier: MIT
/* lock.c - shmipc lock: run a command while holding a lock, as flock(1) does */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <shmipc/error.h>
#include <shmipc/named_lock.h>
#include "commands.h"
#include "../stream/opts.h"
#include "../util/child.h"
#include "../util/json.h"
#include "../util/util.h"
#include "../view/lock.h"
#include "../view/view.h"

struct lock_opts {
	struct access_opts access;
	uint64_t timeout_ns;
	uint32_t code;		/* if another process holds it */
	int try;
	int shared;
	int exclusive;
	int strict;
	int survive;
	int show;
	int json;
};

static const struct opt options[] = {
	{ .name = "shared", .take = take_flag, .at = offsetof(struct lock_opts, shared),
	  .help = "have it together with others that share it, as readers; up to 64" },
	{ .name = "exclusive", .letter = 'x', .take = take_flag,
	  .at = offsetof(struct lock_opts, exclusive), .help = "have it alone; the default" },
	{ .name = "timeout", .letter = 't', .arg = "SECONDS", .preset = "never", .take = take_timeout,
	  .at = offsetof(struct lock_opts, timeout_ns),
	  .help = "give up if it is held by others for this time" },
	{ .name = "try", .letter = 'n', .take = take_flag, .at = offsetof(struct lock_opts, try),
	  .help = "do not wait" },
	{ .name = "conflict-exit-code", .letter = 'E', .arg = "N", .preset = "4", .max = 255,
	  .take = take_number32, .at = offsetof(struct lock_opts, code),
	  .help = "exit code if others hold it all that time" },
	{ .name = "strict", .take = take_flag, .at = offsetof(struct lock_opts, strict),
	  .help = "if the last one that held it died, do not run COMMAND, and give it up for all" },
	{ .name = "survive", .take = take_flag, .at = offsetof(struct lock_opts, survive),
	  .help = "COMMAND goes on, without the lock, if shmipc is killed; else it is killed, too" },
	{ .name = "show", .letter = 's', .take = take_flag, .at = offsetof(struct lock_opts, show),
	  .help = "run nothing, but say which process holds it" },
	{ .name = "json", .letter = 'j', .take = take_json, .at = offsetof(struct lock_opts, json),
	  .help = "write one object; with --show" },
	{ .name = NULL },
};

static const struct opt_group groups[] = {
	{ .opts = options },
	{ .title = CREATE_TITLE("lock"), .opts = access_options,
	  .at = offsetof(struct lock_opts, access) },
	{ .opts = NULL },
};

static int show(const struct lock_opts *o, const char *name)
{
	struct shmipc_lock_info info = SHMIPC_LOCK_INFO();
	int err = shmipc_lock_look(name, &info);
	json_t *obj;

	if (err)
		return view_error_look("show", name, err);
	if (o->json) {
		obj = json_pack("{s:s}", "name", name);
		lock_add(obj, &info);
		json_line(stdout, obj);
	} else {
		printf("%s: ", name);
		lock_print(&info);
	}
	return tool_flush();
}

static int conflict(const struct lock_opts *o, struct shmipc_lock *l, const char *name)
{
	struct shmipc_lock_info info = SHMIPC_LOCK_INFO();
	char comm[sizeof(info.comm) + 1];

	if (!shmipc_lock_get_info(l, &info) &&
	    (info.state == SHMIPC_LOCK_HELD || info.state == SHMIPC_LOCK_SHARED))
		tool_error("\"%s\" is %s by pid %" PRIu32 " %s%s (ETIMEDOUT)", name,
			   info.state == SHMIPC_LOCK_SHARED ? "shared" : "held", info.owner.pid,
			   clean_text(info.comm, sizeof(info.comm), comm, sizeof(comm)),
			   info.readers > 1 ? " and others" : "");
	else
		tool_error("\"%s\": waited %g s (ETIMEDOUT)", name, (double)o->timeout_ns / 1e9);
	return (int)o->code;
}

static int fails(const struct lock_opts *o, struct shmipc_lock *l, const char *name, int err)
{
	if (err == -EAGAIN || err == -ETIMEDOUT)
		return conflict(o, l, name);
	if (err != -ENOTRECOVERABLE) {
		tool_error_lib("lock", name, err);
		return RC_FAIL;
	}
	tool_error("\"%s\": a process died holding it, and it was given up (ENOTRECOVERABLE); repair what "
		   "it protects, then: shmipc rm %s", name, name);
	return RC_PEER;
}

/* 0; -errno, as shmipc_lock_take(); or > 0: a signal. */
static int take(const struct lock_opts *o, struct shmipc_lock *l)
{
	uint64_t until_ns = shmipc_deadline_in(o->timeout_ns);
	int err, sig;

	if (o->try || !o->timeout_ns)
		until_ns = 0;
	child_wait_begin();
	err = o->shared ? shmipc_lock_take_shared(l, until_ns) : shmipc_lock_take(l, until_ns);
	sig = child_wait_end();
	return sig ? sig : err;
}

/* It is ours, from one that died. RC_OK: go on. */
static int inherit(const struct lock_opts *o, struct shmipc_lock *l, const char *name)
{
	struct shmipc_lock_info info = SHMIPC_LOCK_INFO();
	char pid[TEXT_BYTES];
	int err;

	(void)shmipc_lock_get_info(l, &info);
	if (o->strict) {
		tool_error("\"%s\": pid %" PRIu32 " died holding it (EOWNERDEAD); it is given up for all: "
			   "repair what it protects, then: shmipc rm %s", name, info.died.pid, name);
		return RC_PEER;
	}
	tool_note("\"%s\": pid %" PRIu32 " died holding it (EOWNERDEAD)", name, info.died.pid);
	snprintf(pid, sizeof(pid), "%" PRIu32, info.died.pid);
	err = setenv("SHMIPC_DIED", pid, 1) ? -ENOMEM : shmipc_lock_consistent(l);
	if (!err)
		return RC_OK;
	tool_error_lib("lock", name, err);
	return RC_FAIL;
}

/* Or was it cut off? */
static int still_holds(void *arg)
{
	struct shmipc_lock_info info = SHMIPC_LOCK_INFO();
	int err = shmipc_lock_get_info(arg, &info);

	if (err)
		tool_error_lib("lock", "", err);
	return !err;
}

static int run_locked(const struct lock_opts *o, struct shmipc_lock *l, const char *name, char **command)
{
	const struct child c = { .argv = command, .survives = o->survive, .holds = still_holds, .arg = l };
	int rc = RC_OK, ret = take(o, l);

	if (ret > 0)
		return RC_SIGNAL + ret;
	if (ret && ret != -EOWNERDEAD)
		return fails(o, l, name, ret);
	(void)unsetenv("SHMIPC_DIED");
	if (ret)
		rc = inherit(o, l, name);
	return rc ? rc : child_hold(&c);
}

static int run_lock(int argc, char **argv)
{
	struct lock_opts o = { .json = 0 };
	struct shmipc_lock_opts opts;
	struct shmipc_lock *l;
	struct opts_args args;
	const char *name;
	int err, rc;

	opts_parse(&cmd_lock, argc, argv, &o, &args);
	name = opts_name(&args, 0);
	if (o.show && args.n > 1)
		opts_refuse("\"%s\" is one argument too many", args.text[1]);
	if (o.shared && o.exclusive)
		opts_refuse("--shared and --exclusive contradict each other");
	if (o.json && !o.show)
		opts_refuse("--json needs --show");
	if (o.show)
		return show(&o, name);
	if (args.n < 2)
		opts_refuse("-- COMMAND is missing");
	opts = SHMIPC_LOCK_OPTS(ACCESS_OF(&o.access));
	child_begin();
	err = shmipc_lock_open(&l, name, &opts);
	if (err) {
		tool_error_lib("lock", name, err);
		return RC_FAIL;
	}
	rc = run_locked(&o, l, name, &args.text[1]);
	shmipc_lock_close(l);
	return rc;
}

const struct command cmd_lock = {
	.name = "lock", .brief = "run a command while holding a lock, as flock(1)",
	.args = "NAME [-- COMMAND...]", .args_of = ARGS_LOCK, .min_args = 1, .max_args = INT_MAX,
	.about =
	"Takes the lock NAME, waiting until it is free, runs COMMAND, and gives the lock back. With "
	"--shared, it is had together with others that share it, but not while one has it alone. The "
	"exit code is that of COMMAND; 4, or N, if others held it all the time.\n\n"
	"If shmipc is killed, the lock is free, and COMMAND is killed, too. The next one to get the "
	"lock says which process died holding it; SHMIPC_DIED in the environment of its COMMAND is the "
	"number of that process. If no other process had the lock open then, that is known with --persist "
	"only.\n",
	.groups = groups, .run = run_lock,
};
