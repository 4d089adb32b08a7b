/* SPDX-License-Identifier: MIT */
/*
 * deaths.h - how processes ended: between deaths.bpf.c and deaths.c
 *
 * A process is known by its PID namespace and its PID in there, as it wrote them
 * into the peer tables that it is in; so it is found whatever namespace it is of.
 */
#ifndef TOOLS_TRACE_DEATHS_H
#define TOOLS_TRACE_DEATHS_H

#include "event.h"

struct death_key {
	__u32 pidns;		/* inode number */
	__s32 pid;		/* in there */
};

#define DEATH_NOT_KNOWN	2u

struct death_exit {
	__u64 mono_ns;
	__u64 began_ns;		/* the process; a PID comes back, this does not */
	__u32 code;		/* as wait(2) has it */
	__s32 pid;		/* as the tracer sees it; 0: it does not */
	__u32 by_oom;		/* DEATH_NOT_KNOWN: nobody could tell */
	__s32 sender;		/* who sent the signal; 0: nobody, or not seen */
	char comm[TRACE_COMM];
	char sender_comm[TRACE_COMM];
};

/* An end that was taken while we listened, by the probe attach. */
struct death_end_key {
	__u64 id;
	__u64 slot;
};

struct death_end {
	struct death_key who;
	__u64 generation;
	__u32 role;
	__u32 reserved0;
};

enum death_note_type {
	DEATH_ABORTED,		/* by the probe: messages that will never come */
	DEATH_ENDED,		/* a process that had such an end has ended */
};

struct death_note {
	struct death_key ended;
	__u64 id;
	__u64 seq;
	__u64 n;		/* messages */
	__u32 type;		/* enum death_note_type */
	__u32 who;		/* slot; TRACE_NOBODY: one or another */
	__s32 pid;		/* who noticed it */
	char comm[TRACE_COMM];
};

#endif /* TOOLS_TRACE_DEATHS_H */
