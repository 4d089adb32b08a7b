/* SPDX-License-Identifier: MIT */
/* opts.h - options of `shmipc trace` */
#ifndef TOOLS_TRACE_OPTS_H
#define TOOLS_TRACE_OPTS_H

#include "../opts/values.h"

/* Where it looks; in the order of the words of --source. */
enum { SOURCE_PROBES = 1u << 0, SOURCE_MODULE = 1u << 1, SOURCE_COUNTERS = 1u << 2 };

struct trace_opts {
	struct opts_args patterns;
	uint32_t sources;	/* SOURCE_*, or-ed; 0: all that there are */
	int slow;
	int deaths;
	int stack;
	const char *events;
	const char *histogram;
	int sample;
	struct opts_many pids;
	const char *cgroup;
	const char *record;
	const char *read;
	const char *plot;
	uint64_t duration_ns;	/* 0: until it is interrupted */
	uint64_t count;		/* 0: no limit */
	uint64_t every_ns;
	double rate;
	uint64_t buffer;	/* bytes */
	int json;
};

/* May this SOURCE_* be used? */
static inline int trace_source(const struct trace_opts *o, uint32_t source)
{
	return !o->sources || (o->sources & source);
}

#endif /* TOOLS_TRACE_OPTS_H */
