/* SPDX-License-Identifier: MIT */
/* take.h - what opts.c and take.c know of each other */
#ifndef TOOLS_OPTS_TAKE_H
#define TOOLS_OPTS_TAKE_H

#include "opts.h"

/* Keys of options without a letter. */
enum {
	KEY_NODE = 256, KEY_MODE, KEY_ALIGN, KEY_PERSIST, KEY_FROM, KEY_STRIDE, KEY_WAIT_SUBS,
	KEY_NO_DRAIN, KEY_FOLLOW, KEY_STRICT, KEY_REPEAT, KEY_ENDS, KEY_NEW, KEY_RATE, KEY_NEWEST,
	KEY_POLICY, KEY_GROUP, KEY_FILTER, KEY_MATCH, KEY_HEADERS, KEY_READ_ONLY, KEY_UNTIL_GONE,
	KEY_WINDOW, KEY_EVERY, KEY_PUBLISHERS, KEY_SUBSCRIBERS, KEY_HISTORY, KEY_INLINE, KEY_POOL,
	KEY_HOLDS, KEY_META, KEY_POLICIES, KEY_EVICT,
	KEY_EVENTS, KEY_HISTOGRAM, KEY_SAMPLE, KEY_CGROUP, KEY_BUFFER, KEY_RECORD, KEY_READ, KEY_PLOT,
	KEY_SLOW, KEY_DEATHS, KEY_STACK, KEY_SOURCE,
	/* top, metrics */
	KEY_SORT = 400, KEY_PLAIN, KEY_TEXTFILE, KEY_LISTEN,
};

/* What rounds, strides and so on may be set to. */
#define NUMBER_MAX	UINT64_C(1000000000000)
#define WINDOW_MAX	UINT64_C(10000000)

/* Take the value of an option; ends the process with RC_USAGE if it is none. */
void opts_take(struct opts *o, int key, const char *arg);

#endif /* TOOLS_OPTS_TAKE_H */
