/* SPDX-License-Identifier: MIT */
/* driver.h - the parts of the driver that steps and kills */
#ifndef CRASH_DRIVER_H
#define CRASH_DRIVER_H

#include <sys/types.h>

#include "crash.h"

struct player {
	pid_t pid;	/* 0: none */
	int fd;		/* to the other end: driver and checker */
};

extern struct player victim, checker;

/* step.c: one life and one death */
bool play(const struct scenario *s, uint64_t kill_no, void (*drive)(void *), void *arg);

/* trace.c */
bool set_break(pid_t pid, uint64_t addr);
/* @full: at each instruction, however many; given up after @enough failures */
bool run_scenario(const struct scenario *s, bool full, unsigned int enough);

/* dir.c: a directory of our own for the segments, and what is left in it */
bool dir_make(void);
void dir_before(const struct scenario *s);
void dir_after(const struct scenario *s);
void dir_remove(void);
extern unsigned int dirs_beside;	/* empty directories of killed makers so far */

#endif /* CRASH_DRIVER_H */
