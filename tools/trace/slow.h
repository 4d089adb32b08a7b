/* SPDX-License-Identifier: MIT */
/* slow.h - who waited for whom: between slow.bpf.c and blocked.c */
#ifndef TOOLS_TRACE_SLOW_H
#define TOOLS_TRACE_SLOW_H

#include "event.h"

struct slow_key {
	__u64 id;
	__u32 slot;		/* who waited, or lost */
	__u32 who;		/* for whom; SLOW_GAP: it lost messages */
	__s32 pid;		/* of losses: several may have no slot */
	__u32 reserved0;
};

#define SLOW_GAP	0xfffffffeu

struct slow_sum {
	__u64 ns;		/* without room */
	__u64 times;		/* looks that found no room; gaps */
	__u64 behind;		/* whom it waited for, last; messages lost */
	__s32 pid;
	char comm[TRACE_COMM];
};

/* Who takes, as the probes saw it: where the table of peers cannot be read. */
struct slow_end_key {
	__u64 id;
	__u64 slot;
};

struct slow_end {
	__s32 pid;
	char comm[TRACE_COMM];
};

#endif /* TOOLS_TRACE_SLOW_H */
