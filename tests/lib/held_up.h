/* SPDX-License-Identifier: MIT */
/*
 * held_up.h - a process that is woken, and does not run
 *
 * A stopped process does not sleep any more. So it shares a CPU with the test, at a priority
 * that does not count as long as the test runs.
 */
#ifndef TEST_HELD_UP_H
#define TEST_HELD_UP_H

#include <sched.h>
#include <time.h>

struct held_up {
	cpu_set_t before;	/* CPUs of the test */
};

/* From here on @pid, which sleeps, runs only while the test does not. 0 or -1 */
static inline int hold_up(struct held_up *h, pid_t pid)
{
	const struct sched_param none = { 0 };
	cpu_set_t one;

	if (sched_getaffinity(0, sizeof(h->before), &h->before))
		return -1;
	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	if (sched_setaffinity(0, sizeof(one), &one) || sched_setaffinity(pid, sizeof(one), &one))
		return -1;
	return sched_setscheduler(pid, SCHED_IDLE, &none);
}

static inline void hold_up_no_more(const struct held_up *h, pid_t pid)
{
	const struct sched_param none = { 0 };

	(void)sched_setscheduler(pid, SCHED_OTHER, &none);
	(void)sched_setaffinity(pid, sizeof(h->before), &h->before);
	(void)sched_setaffinity(0, sizeof(h->before), &h->before);
}

/*
 * The first sleeps of a wait are short, and end by themselves. Nothing fails if this is not long
 * enough, but less is tried.
 */
static inline void until_for_long(void)
{
	const struct timespec t = { 0, 30000000 };

	(void)nanosleep(&t, NULL);
}

#endif /* TEST_HELD_UP_H */
