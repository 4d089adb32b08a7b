/* SPDX-License-Identifier: MIT */
/*
 * deaths.h - how processes ended: between deaths.bpf.c and deaths.c
 *
 * A process is identified by its PID namespace and its PID in that, which it wrote into
 * the peer tables; so it is found in any namespace.
 */
#ifndef TOOLS_TRACE_DEATHS_H
#define TOOLS_TRACE_DEATHS_H

#include "event.h"

struct death_key {
	__u32 pidns;		/* inode number */
	__s32 pid;		/* in that namespace */
};

#define DEATH_NOT_KNOWN	2u

struct death_exit {
	__u64 mono_ns;
	__u64 began_ns;		/* of the process; unlike a PID it is never used again */
	__u32 code;		/* as in wait(2) */
	__s32 pid;		/* in the tracer's namespace; 0: not visible */
	__u32 by_oom;		/* DEATH_NOT_KNOWN: not known */
	__s32 sender;		/* sender of the signal; 0: none, or not seen */
	char comm[TRACE_COMM];
	char sender_comm[TRACE_COMM];
};

/* An end that attached while we listened, from the probe attach. */
struct death_end_key {
	__u64 id;
	__u64 slot;
};

struct death_end {
	struct death_key process;
	__u64 generation;
	__u32 role;
	__u32 reserved0;
};

enum death_note_type {
	DEATH_ABORTED,		/* from the probe: messages that will never be completed */
	DEATH_ENDED,		/* a process that had such an end has ended */
};

struct death_note {
	struct death_key ended;
	__u64 id;
	__u64 seq;
	__u64 n;		/* messages */
	__u32 type;		/* enum death_note_type */
	__u32 dead;		/* slot of the dead end; TRACE_NOBODY: not known */
	__s32 pid;		/* the process that noticed it */
	char comm[TRACE_COMM];
};

#endif /* TOOLS_TRACE_DEATHS_H */
