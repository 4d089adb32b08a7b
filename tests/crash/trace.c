// SPDX-License-Identifier: MIT
/* trace.c - record the instructions of a victim, and run others to each of them */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "driver.h"

#define STEPS_MAX	4000000u
#define STEPS_PER_ALARM	1000u	/* so many are soon done, also on a busy machine */
#define TRIES		8	/* at another place than intended */
#define WAYS_MAX	16u	/* different paths of victims, see record_rest() */
#define BLOCKED_KILLS	60u
#define SAMPLED_KILLS	400u	/* of a long scenario, besides first executions and system calls */
#define LONG_PATH	40000	/* instructions */
#define FAILURES_SHOWN	3u
#define MISSES_EXCUSED	3u	/* of one scenario */
#define MISSES_OF_ONE	(2 * MISSES_PERCENT)	/* its path may depend on the second that it runs in */

/* The cost of a hit of an int3, in single steps: it is written, hit, and stepped over. */
#define HIT_COST	3u
#define STEP_COST	1u

struct trace {
	uint64_t *pc;		/* address of instruction i; pc[n] is the end mark */
	uint32_t *hits;		/* how often pc[i] has been reached by then; 0: not reached again */
	bool *first;		/* the first execution of this address */
	bool *call;		/* a system call */
	size_t n, room;
	size_t distinct, calls;
};

static struct trace trace;

/* Record the instructions from the victim's present pc, which is pc[@from], to the end mark. */
static void record_from(struct trace *t, size_t from)
{
	pid_t pid = victim.pid;

	for (t->n = from;; t->n++) {
		if (t->n + 1 >= t->room) {
			t->room = t->room ? 2 * t->room : 16384;
			t->pc = realloc(t->pc, t->room * sizeof(*t->pc));
			if (!t->pc)
				abort();
		}
		t->pc[t->n] = stop_pc(pid);
		if (stop_is_mark(pid, t->pc[t->n]) || t->n >= STEPS_MAX)
			return;
		if (t->n % STEPS_PER_ALARM == 0)
			play_goes_on();
		if (!stop_step(pid))
			return;
	}
}

static void record(void *arg)
{
	record_from(arg, 0);
}

static double seconds(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/*
 * Stepping takes long on a busy machine, and what is done once a second, such as reading
 * the memory limit again, then lies on the path: if it took so long, the shorter one of two.
 */
static bool record_path(const struct scenario *s, struct trace *t)
{
	struct trace again = { 0 };
	double began = seconds();
	bool good = play(s, 0, record, t);

	if (!good || seconds() - began < 1)
		return good && t->n < STEPS_MAX;
	good = play(s, 0, record, &again);
	if (good && again.n < t->n) {
		free(t->pc);
		t->pc = again.pc;
		t->room = again.room;
		t->n = again.n;
	} else {
		free(again.pc);
	}
	return good && t->n < STEPS_MAX;
}

/* Read the code in our own memory: the victim is a fork of this process. */
static bool is_syscall(uint64_t pc)
{
	const unsigned char *p = (const unsigned char *)(uintptr_t)pc;

	return p[0] == 0x0f && p[1] == 0x05;
}

struct seen {
	uint64_t pc;
	uint32_t hits;
};

/* Open addressing; the table is larger than the trace. */
static struct seen *seen_at(struct seen *table, size_t mask, uint64_t pc)
{
	size_t i = (size_t)(pc * 0x9e3779b97f4a7c15ull >> 20) & mask;

	while (table[i].pc && table[i].pc != pc)
		i = (i + 1) & mask;
	table[i].pc = pc;
	return &table[i];
}

static void count_hits(struct trace *t)
{
	size_t size = 1024, i;
	struct seen *table, *s;

	while (size < 2 * t->n)
		size *= 2;
	table = calloc(size, sizeof(*table));
	t->hits = realloc(t->hits, (t->n + 1) * sizeof(*t->hits));
	t->first = realloc(t->first, (t->n + 1) * sizeof(*t->first));
	t->call = realloc(t->call, (t->n + 1) * sizeof(*t->call));
	if (!table || !t->hits || !t->first || !t->call)
		abort();
	t->distinct = t->calls = 0;
	for (i = 0; i <= t->n; i++) {
		s = seen_at(table, size - 1, t->pc[i]);
		t->first[i] = !s->hits;
		t->distinct += t->first[i] && i < t->n;
		t->call[i] = i < t->n && is_syscall(t->pc[i]);
		t->calls += t->call[i];
		/* A repeated string instruction counts as one, and stops once. */
		t->hits[i] = i && t->pc[i] == t->pc[i - 1] ? 0 : ++s->hits;
	}
	free(table);
}

/* The instruction from which to step to @k: where hits and steps together cost least. */
static size_t anchor(const struct trace *t, size_t k)
{
	uint64_t cost, best = UINT64_MAX;
	size_t a = k, at = 0;

	for (;;) {
		if (STEP_COST * (uint64_t)(k - a) >= best)
			break;
		cost = STEP_COST * (uint64_t)(k - a) + (a ? HIT_COST * (uint64_t)t->hits[a] : 0);
		if ((!a || t->hits[a]) && cost < best) {
			best = cost;
			at = a;
		}
		if (!a--)
			break;
	}
	return at;
}

struct target {
	struct trace *t;
	size_t k;
	size_t reached;		/* the last @k that was reached */
	bool there;
};

static void drive(void *arg)
{
	struct target *to = arg;
	const struct trace *t = to->t;
	size_t a = anchor(t, to->k), i;
	pid_t pid = victim.pid;

	to->there = false;
	if (a && !stop_at(pid, t->pc[a], t->hits[a]))
		return;		/* at the end mark: it took another path */
	for (i = a; i < to->k; i++)
		if (stop_pc(pid) != t->pc[i] || !stop_step(pid))
			return;
	to->there = stop_pc(pid) == t->pc[to->k];
}

/*
 * Stepping is slow, and a slow victim may take another path at its end, as it asks for
 * its peer's lock now and then. This victim runs fast up to the last place that was
 * reached, and is stepped only from there.
 */
static void record_rest(void *arg)
{
	struct target *to = arg, near = *to;

	near.k = to->reached;
	drive(&near);
	to->there = near.there;
	if (near.there)
		record_from(to->t, near.k);
}

/* A long path takes seconds to each of its ends: a quarter of the kills, and more with another seed. */
static size_t stride_of(const struct trace *t, const struct limits *limits)
{
	size_t kills = limits->sample ? limits->sample : SAMPLED_KILLS;

	if (limits->sample && t->n > LONG_PATH)
		kills = (kills + 3) / 4;
	return t->n / kills + 1;
}

static bool is_chosen(const struct scenario *s, const struct trace *t, size_t k,
		      const struct limits *limits)
{
	size_t stride = stride_of(t, limits);

	if (limits->full || !k || k == t->n)
		return true;
	if (limits->sample)
		return k % stride == limits->seed % stride;
	return !(s->flags & SAMPLE) || k % stride == 0 || t->first[k] || t->call[k] ||
	       t->call[k - 1];
}

static const char *choice(const struct scenario *s, const struct limits *limits)
{
	if (!limits->full && limits->sample)
		return "every n-th";
	return limits->full || !(s->flags & SAMPLE) ? "at each" :
	       "sampled: first executions, system calls, every n-th";
}

static void show(const struct scenario *s, const char *what, uint64_t k, uint64_t pc)
{
	printf("  %s: killed at %s %llu", s->name, what, (unsigned long long)k);
	if (pc)
		printf(" (addr2line -fie step %#llx)", (unsigned long long)pc);
	printf(": %s\n", board->text);
}

/* A kill at the wrong place tests something else. A few are tolerated, because of clocks. */
static bool too_many_missed(const struct scenario *s, const struct kills *kills)
{
	if (kills->missed <= MISSES_EXCUSED || kills->missed * 100 <= kills->made * MISSES_OF_ONE)
		return false;
	printf("  %s: %u of %u kills missed their place, more than %u in 100\n",
	       s->name, kills->missed, kills->made, MISSES_OF_ONE);
	return true;
}

static bool run_blocking(const struct scenario *s, const struct limits *limits,
			 struct kills *kills)
{
	double began = seconds();
	unsigned int bad = 0;

	for (; kills->made < BLOCKED_KILLS && bad < limits->enough; kills->made++) {
		if (!play(s, kills->made, NULL, NULL) && bad++ < FAILURES_SHOWN)
			show(s, "sleep", kills->made, 0);
		kills->missed += !victim.asleep;
	}
	printf("%-22s killed asleep: %u kills, %u drifted, %u failed, %.1f s\n", s->name,
	       kills->made, kills->missed, bad, seconds() - began);
	return !bad;
}

/* Kill a victim at instruction to->k; repeat if it missed. False: a failure. */
static bool kill_at(const struct scenario *s, struct target *to)
{
	unsigned int tries;

	to->there = false;
	for (tries = 0; !to->there && tries < TRIES; tries++)
		if (!play(s, to->k, drive, to))
			return false;
	return true;
}

static bool run_stepped(const struct scenario *s, const struct limits *limits,
			struct kills *kills)
{
	struct target to = { .t = &trace };
	unsigned int bad = 0, ways = 1;
	double began = seconds();
	size_t was;

	dirs_beside = 0;
	if (!record_path(s, &trace)) {
		printf("%-22s fails already when killed at its end: %s\n", s->name, board->text);
		return false;
	}
	count_hits(&trace);
	was = trace.n;
	for (to.k = 0; to.k <= trace.n && bad < limits->enough; to.k++) {
		if (!is_chosen(s, &trace, to.k, limits))
			continue;
		if (!kill_at(s, &to) && bad++ < FAILURES_SHOWN)
			show(s, "instruction", to.k, trace.pc[to.k]);
		if (!to.there && bad < limits->enough && to.k && ways < WAYS_MAX &&
		    play(s, to.k, record_rest, &to) && to.there) {
			ways++;
			count_hits(&trace);
			/* Once more, on the new path; a sample of a much longer one is a thin one. */
			to.k = trace.n < was / 4 * 3 ? 0 : to.reached;
			was = trace.n;
			continue;
		}
		to.reached = to.there ? to.k : to.reached;
		kills->made++;
		kills->missed += !to.there;
	}
	printf("%-22s %zu instructions, %zu distinct, %zu system calls; %u kills (%s), %u drifted, %u failed, %.1f s\n",
	       s->name, trace.n, trace.distinct, trace.calls, kills->made, choice(s, limits),
	       kills->missed, bad, seconds() - began);
	if (dirs_beside)
		printf("  %s: %u kills left an empty directory beside the segments' directory\n", s->name,
		       dirs_beside);
	return !bad;
}

bool run_scenario(const struct scenario *s, const struct limits *limits, struct kills *kills)
{
	bool good;

	*kills = (struct kills){ 0 };
	if (s->flags & BLOCKS)
		good = run_blocking(s, limits, kills);
	else
		good = run_stepped(s, limits, kills);
	if (good && too_many_missed(s, kills))
		good = false;
	(void)fflush(stdout);
	return good;
}
