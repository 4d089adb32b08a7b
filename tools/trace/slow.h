/* SPDX-License-Identifier: MIT */
/* slow.h - which publishers waited for which ends: between slow.bpf.c and blocked.c */
#ifndef TOOLS_TRACE_SLOW_H
#define TOOLS_TRACE_SLOW_H

#include "event.h"

struct slow_key {
	__u64 id;
	__u32 slot;		/* of the end that waited, or lost */
	__u32 blocker;		/* slot of the end in its way; SLOW_GAP: it lost messages */
	__s32 pid;		/* for losses: several may have no slot */
	__u32 reserved0;
};

#define SLOW_GAP	0xfffffffeu

struct slow_sum {
	__u64 ns;		/* without room */
	__u64 times;		/* tries that found no room; gaps */
	__u64 behind;		/* how far the end in its way was, at the last try; messages lost */
	__s32 pid;
	char comm[TRACE_COMM];
};

/* The process that takes, from the probes, if the table of peers cannot be read. */
struct slow_end_key {
	__u64 id;
	__u64 slot;
};

struct slow_end {
	__s32 pid;
	char comm[TRACE_COMM];
};

#endif /* TOOLS_TRACE_SLOW_H */
