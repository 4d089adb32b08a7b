// SPDX-License-Identifier: MIT
/* bw.c - shmipc bw: how many bytes a second are published on topics */
#include <limits.h>
#include "commands.h"
#include "../rate/rate.h"

static int run_bw(int argc, char **argv)
{
	return rate_measure(&cmd_bw, 0, argc, argv);
}

const struct command cmd_bw = {
	.name = "bw", .brief = "how many bytes a second are published on topics",
	.args = "[TOPIC]...", .args_of = ARGS_TOPIC, .max_args = INT_MAX,
	.about =
	"Says how many bytes a second are published on each TOPIC, or on all topics, and how "
	"large the messages are. Only reads.\n",
	.groups = rate_groups, .run = run_bw,
};
