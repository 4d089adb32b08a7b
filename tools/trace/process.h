/* SPDX-License-Identifier: MIT */
/* process.h - the process behind an end: its PID here, and what it is doing */
#ifndef TOOLS_TRACE_PROCESS_H
#define TOOLS_TRACE_PROCESS_H

#include <stddef.h>
#include <stdint.h>

/* In the namespace of the process itself; zero: not known. */
struct process_id {
	uint32_t pidns;		/* inode number of its PID namespace */
	uint32_t pid;		/* in that namespace */
};

/* The PID namespace of this process. */
uint32_t process_own_ns(void);

/**
 * process_of_end - the process of an end, also in another PID namespace
 * @name:       of the segment
 * @slot:       of its peer table
 * @generation: of the end
 * @pid:        as the library has it; 0: of another namespace
 *
 * It is read from the peer table, which is a file on the backend mem. The process wrote
 * it itself: it is only for display.
 */
struct process_id process_of_end(const char *name, uint32_t slot, uint64_t generation,
				 uint32_t pid);

/* Its PID in our namespace; 0: it has ended, or is not visible. Looks through /proc. */
uint32_t process_seen(struct process_id id);

struct process_doing {
	char state;		/* as in /proc/PID/stat; 0: there is no such process */
	char text[128];		/* "sleeps in clock_nanosleep" */
};

void process_doing(uint32_t pid, struct process_doing *ret);

/* Is it stopped by a signal, or by a debugger? */
int process_stopped(const struct process_doing *d);

#endif /* TOOLS_TRACE_PROCESS_H */
