/* SPDX-License-Identifier: MIT */
/* trace.h - the modes of `shmipc trace`, a function each; all return an exit code */
#ifndef TOOLS_TRACE_TRACE_H
#define TOOLS_TRACE_TRACE_H

#include <stdint.h>
#include <stdio.h>
#include "hist.h"
#include "opts.h"

struct trace_run {
	const struct trace_opts *o;
	uint32_t types;		/* of events: 1 << enum trace_type, or-ed */
	enum hist_what what;	/* HIST_NONE: events */
	FILE *record;		/* NULL: none */
};

/* live.c: events, as they come */
int trace_live(const struct trace_run *t);

/* gather.c: a histogram, in the kernel */
int trace_gather(const struct trace_run *t);

/* occupancy.c: a histogram from the counters of the segments; needs no eBPF */
int trace_occupancy(const struct trace_run *t);

/* again.c: a recording */
int trace_again(const struct trace_run *t);

/* deaths.c: which processes had an end and died, and how */
int trace_deaths(const struct trace_opts *o);

/* slow.c: which ends hold up others or lose messages */
int trace_slow(const struct trace_opts *o);

/* record.c: write the first line of a recording, which says what is recorded. */
int trace_record_head(const struct trace_run *t);

/* Flush standard output and the recording: RC_OK, or RC_FAIL after a message. */
int trace_flush(const struct trace_run *t);

#endif /* TOOLS_TRACE_TRACE_H */
