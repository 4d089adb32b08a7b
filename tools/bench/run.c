// SPDX-License-Identifier: MIT
/*
 * run.c - two processes, each on its CPU, which execute the same steps
 *
 * Everything that they use is anonymous (shared mappings, sealed memfds, eventfds), and
 * the kernel kills them with their parent: nothing stays behind, however it ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* A step that takes this much longer than it should hangs. */
#define GRACE_S 30.0

int bench_fail(struct bench_env *env, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(env->shared->error[env->side], sizeof(env->shared->error[0]), fmt, ap);
	va_end(ap);
	return -1;
}

/* Wait for the other side. Yields the CPU meanwhile: they may share one. */
void bench_meet(struct bench_env *env)
{
	struct bench_shared *s = env->shared;
	uint32_t round = __atomic_load_n(&s->round, __ATOMIC_ACQUIRE);

	if (__atomic_add_fetch(&s->arrived, 1, __ATOMIC_ACQ_REL) == 2) {
		__atomic_store_n(&s->arrived, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&s->round, round + 1, __ATOMIC_RELEASE);
		return;
	}
	while (__atomic_load_n(&s->round, __ATOMIC_ACQUIRE) == round)
		sched_yield();
}

/*
 * Shared, zeroed memory, allocated from the start. With a @page of 2 MiB the kernel is
 * asked for huge pages; if it has none, the figures are those of small pages.
 */
void *bench_mem_alloc(size_t bytes, uint64_t page)
{
	const size_t huge = (size_t)2 << 20;
	unsigned char *p;
	uintptr_t at;

	if (page < huge) {
		p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		return p == MAP_FAILED ? NULL : p;
	}
	bytes = (bytes + huge - 1) & ~(huge - 1);
	p = mmap(NULL, bytes + huge, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	at = ((uintptr_t)p + huge - 1) & ~(uintptr_t)(huge - 1);
	p += at - (uintptr_t)p;
	madvise(p, bytes, MADV_HUGEPAGE);
	memset(p, 0, bytes);
	madvise(p, bytes, MADV_COLLAPSE);
	return p;
}

/* The calling process runs on this CPU only. */
int bench_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

static double cpu_ns(const struct rusage *u)
{
	return ((double)u->ru_utime.tv_sec + (double)u->ru_stime.tv_sec) * 1e9 +
	       ((double)u->ru_utime.tv_usec + (double)u->ru_stime.tv_usec) * 1e3;
}

/* Both sides are ready: from here on the use of the CPU counts. */
void bench_begin(struct bench_env *env)
{
	bench_meet(env);
	getrusage(RUSAGE_SELF, &env->usage);
	env->began = bench_ticks();
}

/* One step on one side, with the kernel's figures on the use of the CPU. */
static int do_step(struct bench_env *env, const struct bench_step *step)
{
	struct bench_out *out = env->out;
	struct rusage after;
	uint64_t t1;

	out->msgs_per_s = out->bytes_per_s = NAN;
	out->p50_ns = out->p90_ns = out->p99_ns = out->min_ns = NAN;
	out->in_bytes_per_s = out->out_bytes_per_s = NAN;
	out->max_ns = out->least_share = NAN;
	env->seconds = step->seconds;
	env->arg = step->arg;
	if (env->side == 0) {
		__atomic_store_n(&env->shared->last, UINT64_MAX, __ATOMIC_RELAXED);
		__atomic_store_n(&env->shared->gathered, 0, __ATOMIC_RELAXED);
	}
	bench_meet(env);
	if (step->side[env->side](env))
		return -1;
	t1 = bench_ticks();
	getrusage(RUSAGE_SELF, &after);
	out->cpu_share = (cpu_ns(&after) - cpu_ns(&env->usage)) / bench_ticks_ns(t1 - env->began);
	out->preempted = (uint64_t)(after.ru_nivcsw - env->usage.ru_nivcsw);
	bench_meet(env);
	return 0;
}

static void side_main(struct bench_env *env, const struct bench_step *step, unsigned int steps,
		      pid_t parent)
{
	unsigned int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	if (bench_pin(env->opts->cpu[env->side])) {
		bench_fail(env, "pin to CPU %d: %s", env->opts->cpu[env->side], strerror(errno));
		_exit(1);
	}
	for (i = 0; i < steps; i++) {
		env->out = &env->shared->out[i][env->side];
		if (do_step(env, &step[i]))
			_exit(1);
	}
	_exit(0);
}

static void kill_both(const pid_t pid[2])
{
	int i;

	for (i = 0; i < 2; i++)
		if (pid[i] > 0)
			kill(pid[i], SIGKILL);
}

/* Reap children that have ended. Return: how many are left; *@bad: one failed. */
static int reap(pid_t pid[2], int *bad)
{
	int left = 0, i, status;

	for (i = 0; i < 2; i++) {
		if (pid[i] && waitpid(pid[i], &status, WNOHANG) == pid[i]) {
			pid[i] = 0;
			*bad |= !WIFEXITED(status) || WEXITSTATUS(status);
		}
		left += pid[i] != 0;
	}
	return left;
}

/*
 * 0 if both have succeeded; if one has failed, the other is killed. Sleeps in one call:
 * each wake-up here would take a CPU away from the processes that are measured.
 */
static int wait_both(pid_t pid[2], double limit_s)
{
	struct timespec left = { .tv_sec = (time_t)limit_s };
	int bad = 0, killed = 0;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	while (reap(pid, &bad)) {
		if (bad && !killed) {
			kill_both(pid);
			killed = 1;
		}
		if (sigtimedwait(&set, NULL, &left) < 0 && errno == EAGAIN) {
			fprintf(stderr, "shmipc: bench: a run that should take %g s has not ended "
				"after %g s (ETIMEDOUT); killed\n", limit_s - GRACE_S, limit_s);
			bad = 1;
		}
	}
	return bad ? -1 : 0;
}

/**
 * bench_run - run @steps in two processes
 * @env:   all but side, out and seconds; shared->out gets the results
 *
 * Return: 0; -1 after a message.
 */
int bench_run(struct bench_env *env, const struct bench_step *step, unsigned int steps)
{
	pid_t pid[2] = { 0, 0 }, parent = getpid();
	double limit_s = GRACE_S;
	unsigned int i;
	sigset_t set;
	int side;

	memset(env->shared, 0, sizeof(*env->shared));
	/* For wait_both(): pending when a child ends, whatever we inherited. */
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (i = 0; i < steps; i++)
		limit_s += step[i].seconds;
	fflush(NULL);
	for (side = 0; side < 2; side++) {
		env->side = side;
		pid[side] = fork();
		if (pid[side] == 0)
			side_main(env, step, steps, parent);
		if (pid[side] < 0) {
			fprintf(stderr, "shmipc: bench: fork: %s\n", strerror(errno));
			kill_both(pid);
			if (pid[0] > 0)
				waitpid(pid[0], NULL, 0);
			return -1;
		}
	}
	if (!wait_both(pid, limit_s))
		return 0;
	for (side = 0; side < 2; side++)
		if (env->shared->error[side][0])
			fprintf(stderr, "shmipc: bench: CPU %d: %s\n", env->opts->cpu[side],
				env->shared->error[side]);
	return -1;
}
