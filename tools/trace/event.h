/* SPDX-License-Identifier: MIT */
/*
 * event.h - what the eBPF programs of `shmipc trace` report to the command
 *
 * Both sides include this. Times are CLOCK_MONOTONIC in nanoseconds; an id is the
 * first eight bytes of a segment's id; PIDs are those in the tracer's PID namespace,
 * 0 for a process that is not visible there.
 */
#ifndef TOOLS_TRACE_EVENT_H
#define TOOLS_TRACE_EVENT_H

#include <linux/types.h>

/* The probes, in the order of the words in events.c. */
enum trace_type {
	TRACE_PUBLISH, TRACE_PUBLISH_SOME, TRACE_TAKE, TRACE_TAKE_SOME,
	TRACE_FULL, TRACE_WAIT, TRACE_WAIT_END, TRACE_WAKE,
	TRACE_GAP, TRACE_EVICT, TRACE_ABORT, TRACE_DEATH,
	TRACE_HOLD, TRACE_RELEASE, TRACE_ATTACH, TRACE_DETACH,
	TRACE_FENCE,
	TRACE_PROBES,
	/* The tracepoints of the kernel module; some have the word of a probe. */
	TRACE_CREATE = TRACE_PROBES, TRACE_OPEN, TRACE_DESTROY,
	TRACE_MOD_ATTACH, TRACE_MOD_DETACH, TRACE_MOD_DEATH,
	TRACE_MOD_WAIT, TRACE_MOD_WAIT_END, TRACE_MOD_WAKE,
	TRACE_SAMPLE, TRACE_SAMPLE_PEER,
	TRACE_TYPES
};

#define TRACE_PROBE_TYPES	((1u << TRACE_PROBES) - 1)
#define TRACE_MODULE_TYPES	(((1u << TRACE_TYPES) - 1) & ~TRACE_PROBE_TYPES)

#define TRACE_ARGS	6u	/* arguments after id, name and slot */
#define TRACE_COMM	16u
#define TRACE_NOBODY	0xffffffffu	/* instead of a slot */
#define TRACE_PREFIXES	128	/* more patterns are matched by the command only */
#define TRACE_NAME	208u	/* bytes of a segment's name, with its final 0 */

struct trace_event {
	__u64 mono_ns;
	__u64 id;
	__u64 arg[TRACE_ARGS];
	__u64 took_ns;		/* take: since publish; wait_end: slept; release: held; 0: unknown */
	__u32 type;
	__u32 slot;
	__s32 pid;		/* the process */
	__s32 tid;		/* its thread */
	char comm[TRACE_COMM];	/* of the process */
};

/* A known segment; one that is skipped costs a look-up and no more. */
struct trace_name {
	__u32 skip;
	__u32 prefix_bits;	/* with the name, a key of the map of prefixes */
	char name[TRACE_NAME];
};

/*
 * Buckets: 16 for each power of two, so a bucket is at most a sixteenth of its values
 * wide. Below 32 each value has its own; the last one is for all from 2^41 up (half an
 * hour).
 */
#define TRACE_SUB_BITS	4u
#define TRACE_SUBS	(1u << TRACE_SUB_BITS)
#define TRACE_BITS	41u
#define TRACE_BUCKETS	((TRACE_BITS - TRACE_SUB_BITS + 1u) * TRACE_SUBS)

struct trace_hist_key {
	__u64 id;
	__u32 slot;
	__s32 pid;
};

struct trace_hist {
	__u64 count;
	__u64 sum;
	__u64 max;
	char comm[TRACE_COMM];
	__u64 bucket[TRACE_BUCKETS];
};

/* What a program does with its probe. */
enum trace_mode {
	TRACE_EVENTS,
	TRACE_PUBLISH_TO_RECEIVE,
	TRACE_SLEEP,			/* wait -> wait_end */
	TRACE_WAKE_UP,			/* wake -> wait_end of the sleeper */
	TRACE_HELD,			/* hold -> release */
	TRACE_BEHIND,			/* positions of receivers from the module's sampler, as events */
	TRACE_WAITS,			/* waiting publishers from the sampler: samples and hits */
};

#endif /* TOOLS_TRACE_EVENT_H */
