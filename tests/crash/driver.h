/* SPDX-License-Identifier: MIT */
/* driver.h - the parts of the driver, which steps and kills the victims */
#ifndef CRASH_DRIVER_H
#define CRASH_DRIVER_H

#include <sys/types.h>

#include "crash.h"

struct player {
	pid_t pid;	/* 0: none */
	int fd;		/* to the other end: driver and checker */
	bool asleep;	/* when the victim was killed */
};

extern struct player victim, checker;

/* step.c: start a victim and a checker, kill the victim, check */
bool play(const struct scenario *s, uint64_t kill_no, void (*drive)(void *), void *arg);
void play_goes_on(void);		/* the watchdog begins anew */
/* Wait until thread @tid of process @pid sleeps in futex_waitv or futex. False: it has ended. */
bool await_sleep(pid_t pid, pid_t tid);

/* stop.c: where a traced process stops */
void stop_begin(pid_t pid);		/* a new victim, stopped at its first mark */
bool stop_step(pid_t pid);		/* run one instruction */
/* Run until @addr is reached for the @times-th time. False: it ended before that. */
bool stop_at(pid_t pid, uint64_t addr, uint32_t times);
uint64_t stop_pc(pid_t pid);
bool stop_is_mark(pid_t pid, uint64_t pc);

/* trace.c */
struct limits {
	bool full;		/* at each instruction of all scenarios */
	unsigned int enough;	/* failures after which a scenario is given up */
	unsigned int sample;	/* about this many kills of each scenario; 0: all */
	uint64_t seed;		/* for the choice of the sample */
};

#define MISSES_PERCENT	5u	/* more misses, in percent of all kills, are a failure */
struct kills {
	unsigned int made, missed;	/* a miss: killed at another place than intended */
};

bool run_scenario(const struct scenario *s, const struct limits *limits, struct kills *kills);

/* dir.c: a separate directory for the segments, and checks for leftovers */
bool on_device(void);
bool dir_make(void);
void dir_before(const struct scenario *s);
void dir_after(const struct scenario *s);
void dir_remove(void);
extern unsigned int dirs_beside;	/* empty directories left by killed victims so far */

#endif /* CRASH_DRIVER_H */
