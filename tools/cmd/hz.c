// SPDX-License-Identifier: MIT
/* hz.c - shmipc hz: how often, and how regularly, messages are published on topics */
#include <limits.h>
#include "commands.h"
#include "../rate/rate.h"

static int run_hz(int argc, char **argv)
{
	return rate_measure(&cmd_hz, 1, argc, argv);
}

const struct command cmd_hz = {
	.name = "hz", .brief = "how often, and how regularly, messages are published on topics",
	.args = "[TOPIC]...", .args_of = ARGS_TOPIC, .max_args = INT_MAX,
	.about =
	"Says how many messages a second are published on each TOPIC, or on all topics, and how "
	"regularly: the time from one message to the next. Only reads.\n",
	.groups = rate_groups, .run = run_hz,
};
