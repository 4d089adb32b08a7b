// SPDX-License-Identifier: MIT
/* shmipc.c - the command table; each command is in cmd/NAME.c */
#include <stdio.h>
#include <string.h>
#include <shmipc/shmipc.h>
#include "cmd/commands.h"
#include "opts/opts.h"
#include "util/util.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *brief;
} commands[] = {
	{ "send", cmd_send, "standard input into a lossless ring" },
	{ "recv", cmd_recv, "a lossless ring to standard output" },
	{ "pub", cmd_pub, "publish standard input on a topic, for any number of subscribers" },
	{ "sub", cmd_sub, "what is published on a topic to standard output, losses counted" },
	{ "hz", cmd_hz, "how often, and how regularly, is published on topics" },
	{ "bw", cmd_bw, "how many bytes a second are published on topics" },
	{ "top", cmd_top, "all segments, live: how fast, how full, who is slow" },
	{ "metrics", cmd_metrics, "counters of all segments for Prometheus" },
	{ "ls", cmd_ls, "the segments that are there" },
	{ "watch", cmd_watch, "segments and ends, as they appear and disappear" },
	{ "trace", cmd_trace, "what publishers and subscribers do, and how long it takes" },
	{ "stat", cmd_stat, "all about one segment" },
	{ "rm", cmd_rm, "remove segments" },
	{ "gc", cmd_gc, "remove what killed processes left behind" },
	{ "doctor", cmd_doctor, "what this machine gives, and what to do about each lack" },
	{ "bench", cmd_bench, "how fast it is here" },
};

static void usage(FILE *to)
{
	size_t i;

	fprintf(to, "usage: shmipc COMMAND [OPTION]... [NAME]\n\n");
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(to, "  %-9s%s\n", commands[i].name, commands[i].brief);
	fprintf(to, "\nshmipc COMMAND --help says more. Segments are files in %s;\n"
		"SHMIPC_DIR names another directory.\n\n%s", shmipc_segment_dir(), opts_exit_codes);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;
	size_t i;

	if (!name) {
		usage(stderr);
		return RC_USAGE;
	}
	if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
		usage(stdout);
		return tool_flush();
	}
	if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
		printf("shmipc %s\n", shmipc_version());
		return tool_flush();
	}
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(name, commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "shmipc: \"%s\" is not a command; see shmipc --help\n", name);
	return RC_USAGE;
}
