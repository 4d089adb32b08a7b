// SPDX-License-Identifier: MIT
/* shmipc.c - the command table; each command is in cmd/NAME.c */
#include <stdio.h>
#include <string.h>
#include <shmipc/shmipc.h>
#include "cmd/commands.h"
#include "opts/opts.h"
#include "util/util.h"

static const struct command *const commands[] = {
	&cmd_send, &cmd_recv, &cmd_pub, &cmd_sub, &cmd_queue, &cmd_event, &cmd_deadman, &cmd_lock,
	&cmd_hz, &cmd_bw, &cmd_top, &cmd_metrics, &cmd_ls, &cmd_watch, &cmd_trace, &cmd_stat, &cmd_trim,
	&cmd_fence, &cmd_rm, &cmd_gc, &cmd_doctor, &cmd_bench, &cmd_completion, NULL
};

static void usage(FILE *to)
{
	size_t i;

	fprintf(to, "usage: shmipc COMMAND [OPTION]... [NAME]\n\n");
	for (i = 0; commands[i]; i++)
		fprintf(to, "  %-12s%s\n", commands[i]->name, commands[i]->brief);
	fprintf(to, "\nshmipc COMMAND --help lists the options of a command. Segments are files in\n"
		"%s; SHMIPC_DIR names another directory.\n\n", shmipc_segment_dir());
	opts_print_text(to, opts_exit_codes);
}

static int unknown(const char *name)
{
	const char *names[sizeof(commands) / sizeof(commands[0])], *nearest;
	size_t i;

	for (i = 0; commands[i]; i++)
		names[i] = commands[i]->name;
	nearest = opts_nearest(name, names, i);
	fprintf(stderr, "shmipc: \"%s\" is not a command%s%s%s; see shmipc --help\n", name,
		nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
	return RC_USAGE;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;
	const struct command *command;
	int rc;

	if (!name) {
		usage(stderr);
		return RC_USAGE;
	}
	if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
		usage(stdout);
		return tool_flush() == RC_FAIL ? RC_FAIL : RC_OK;
	}
	if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
		printf("shmipc %s\n", shmipc_version());
		return tool_flush() == RC_FAIL ? RC_FAIL : RC_OK;
	}
	opts_commands = commands;
	command = opts_find_command(name);
	if (!command)
		return unknown(name);
	rc = command->run(argc - 1, argv + 1);
	return rc == RC_GONE ? RC_OK : rc;
}
