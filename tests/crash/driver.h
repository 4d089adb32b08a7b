/* SPDX-License-Identifier: MIT */
/* driver.h - the parts of the driver that steps and kills */
#ifndef CRASH_DRIVER_H
#define CRASH_DRIVER_H

#include <sys/types.h>

#include "crash.h"

struct player {
	pid_t pid;	/* 0: none */
	int fd;		/* to the other end: driver and checker */
	bool asleep;	/* when it was killed */
};

extern struct player victim, checker;

/* step.c: one life and one death */
bool play(const struct scenario *s, uint64_t kill_no, void (*drive)(void *), void *arg);
/* Wait until thread @tid of process @pid sleeps in futex_waitv or futex. False: it has ended. */
bool await_sleep(pid_t pid, pid_t tid);

/* stop.c: where a traced process stops */
void stop_begin(pid_t pid);		/* a new victim, standing at its first mark */
bool stop_step(pid_t pid);		/* one instruction on */
/* Before the instruction at @addr, for the @times-th time from now on. False: never. */
bool stop_at(pid_t pid, uint64_t addr, uint32_t times);
uint64_t stop_pc(pid_t pid);
bool stop_is_mark(pid_t pid, uint64_t pc);

/* trace.c */
struct limits {
	bool full;		/* at each instruction, however many */
	unsigned int enough;	/* failures after which a scenario is given up */
	unsigned int sample;	/* about so many kills of each scenario; 0: all */
	uint64_t seed;		/* which ones */
};

#define MISSES_PERCENT	5u	/* more of all kills than that are a failure */
struct kills {
	unsigned int made, missed;	/* a miss: not where it was meant to be */
};

bool run_scenario(const struct scenario *s, const struct limits *limits, struct kills *kills);

/* dir.c: a directory of our own for the segments, and what is left in it */
bool dir_make(void);
void dir_before(const struct scenario *s);
void dir_after(const struct scenario *s);
void dir_remove(void);
extern unsigned int dirs_beside;	/* empty directories of killed makers so far */

#endif /* CRASH_DRIVER_H */
