// SPDX-License-Identifier: MIT
/*
 * crew.c - several processes on one side, for what is shared by more than two
 *
 * Members 0 and 1 run on the two CPUs of the bench, the others on the others that may be
 * used, and from the first one again if there are fewer CPUs than members.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static cpu_set_t allowed;

/* How many CPUs there are to use; called before a side is pinned. */
unsigned int bench_cpus(void)
{
	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		CPU_ZERO(&allowed);
	return (unsigned int)CPU_COUNT(&allowed);
}

static int cpu_of(const struct bench_opts *o, unsigned int me)
{
	unsigned int n = (unsigned int)CPU_COUNT(&allowed), left = n ? me % n : me % 2;
	size_t cpu;

	if (left < 2)
		return o->cpu[left];
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed) || (int)cpu == o->cpu[0] || (int)cpu == o->cpu[1])
			continue;
		if (left-- == 2)
			return (int)cpu;
	}
	return o->cpu[0];
}

static void member_main(struct bench_env *env, unsigned int me, bench_member_fn *fn, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	if (bench_pin(cpu_of(env->opts, me))) {
		bench_fail(env, "pin to CPU %d: %s", cpu_of(env->opts, me), strerror(errno));
		_exit(1);
	}
	_exit(fn(env, me) ? 1 : 0);
}

static void kill_all(const pid_t *pid, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (pid[i] > 0)
			kill(pid[i], SIGKILL);
}

/* One member has ended; of a failed one, the others are killed. 0; -1: it has failed. */
static int reap(pid_t *pid, unsigned int n)
{
	unsigned int i;
	int status;
	pid_t gone = waitpid(-1, &status, 0);

	for (i = 0; i < n; i++)
		if (pid[i] == gone)
			pid[i] = 0;
	if (gone > 0 && WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	kill_all(pid, n);
	return -1;
}

/**
 * bench_crew - run members in processes of their own, until all have ended
 * @env:   of the side, after bench_begin()
 * @first: number of the first member
 * @n:     how many; at most BENCH_CREW_MAX
 * @fn:    returns 0, or -1 after bench_fail()
 *
 * Return: 0; -1: one has failed.
 */
int bench_crew(struct bench_env *env, unsigned int first, unsigned int n, bench_member_fn *fn)
{
	pid_t pid[BENCH_CREW_MAX] = { 0 }, parent = getpid();
	unsigned int i, started;
	int bad = 0;

	for (started = 0; started < n; started++) {
		pid[started] = fork();
		if (!pid[started])
			member_main(env, first + started, fn, parent);
		if (pid[started] > 0)
			continue;
		bad = bench_fail(env, "fork: %s", strerror(errno));
		pid[started] = 0;
		kill_all(pid, started);
		break;
	}
	for (i = 0; i < started; i++)
		bad |= reap(pid, started);
	return bad;
}

/* Wait for all members of this step, on both sides. */
void bench_gather(struct bench_env *env, unsigned int members)
{
	uint32_t *gathered = &env->shared->gathered;

	__atomic_add_fetch(gathered, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(gathered, __ATOMIC_ACQUIRE) < members)
		sched_yield();
}
