// SPDX-License-Identifier: MIT
/* trace.c - the way of a victim, written down once, and back to any point of it */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>

#include "driver.h"

#define STEPS_MAX	4000000u
#define TRIES		3	/* where the victim went another way */
#define WAYS_MAX	4u	/* that a victim may go, see record_rest() */
#define BLOCKED_KILLS	60u
#define SAMPLED_KILLS	400u	/* of a long scenario, besides the first of each and system calls */
#define FAILURES_SHOWN	3u

/* What a stop costs, measured in stops: a breakpoint's is a little dearer. */
#define HIT_COST	3u
#define STEP_COST	2u

struct trace {
	uint64_t *pc;		/* before instruction i; pc[n] is where the end mark stands */
	uint32_t *hits;		/* how often pc[i] has been come to by then; 0: not come to anew */
	bool *first;		/* the first time that this address is seen */
	bool *call;		/* a system call */
	size_t n, room;
	size_t distinct, calls;
};

static struct trace trace;

static uint64_t pc_of(pid_t pid)
{
	struct user_regs_struct regs;

	return ptrace(PTRACE_GETREGS, pid, 0, &regs) ? 0 : regs.rip;
}

/* Only the main thread has it: threads are born without. */
bool set_break(pid_t pid, uint64_t addr)
{
	size_t at = offsetof(struct user, u_debugreg);

	if (addr && ptrace(PTRACE_POKEUSER, pid, at, addr))
		return false;
	return !ptrace(PTRACE_POKEUSER, pid, at + 7 * sizeof(long), addr ? 1ul : 0ul);
}

/* Go on by @request to the next stop. False: it has ended, or died of something. */
static bool go(pid_t pid, long request)
{
	int status;

	if (ptrace((enum __ptrace_request)request, pid, 0, 0) ||
	    waitpid(pid, &status, __WALL) != pid)
		return false;
	if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP)
		return true;
	if (!WIFSTOPPED(status)) {
		victim.pid = 0;
		if (!board->text[0])
			(void)snprintf(board->text, sizeof(board->text),
				       "the victim ended by itself, status %#x", (unsigned int)status);
	} else if (!board->text[0]) {
		(void)snprintf(board->text, sizeof(board->text), "the victim got signal %d at %#llx",
			       WSTOPSIG(status), (unsigned long long)pc_of(pid));
	}
	return false;
}

static bool is_int3(pid_t pid, uint64_t pc)
{
	return (ptrace(PTRACE_PEEKTEXT, pid, pc, 0) & 0xff) == 0xcc;
}

/* Write down the way from where the victim stands, which is pc[@from], to the end mark. */
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
		t->pc[t->n] = pc_of(pid);
		if (is_int3(pid, t->pc[t->n]) || t->n >= STEPS_MAX)
			return;
		if (!go(pid, PTRACE_SINGLESTEP))
			return;
	}
}

static void record(void *arg)
{
	record_from(arg, 0);
}

/* The system calls of the process image are in ours too: it is a fork of us. */
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
		/* A repeated string instruction is one, and breaks once. */
		t->hits[i] = i && t->pc[i] == t->pc[i - 1] ? 0 : ++s->hits;
	}
	free(table);
}

/* From where to step to @k: the cheapest of breakpoint hits and steps. */
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
	bool there;
};

static void drive(void *arg)
{
	struct target *to = arg;
	const struct trace *t = to->t;
	size_t a = anchor(t, to->k), i;
	pid_t pid = victim.pid;
	bool ok = true;
	uint32_t n;

	to->there = false;
	if (a) {
		ok = set_break(pid, t->pc[a]);
		for (n = 0; ok && n < t->hits[a]; n++)
			ok = go(pid, PTRACE_CONT) && pc_of(pid) == t->pc[a];
		if (!ok)
			return;		/* at the end mark: it went another way */
		(void)set_break(pid, 0);
	}
	for (i = a; i < to->k; i++)
		if (pc_of(pid) != t->pc[i] || !go(pid, PTRACE_SINGLESTEP))
			return;
	to->there = pc_of(pid) == t->pc[to->k];
}

/*
 * Stepping is slow, and a slow victim may go another way at its end: it asks for
 * its peer's lock now and then. This one came to @k - 1 fast, and is stepped only
 * from there.
 */
static void record_rest(void *arg)
{
	struct target *to = arg;

	to->k--;
	drive(to);
	if (to->there)
		record_from(to->t, to->k);
	to->k++;
}

static bool is_chosen(const struct trace *t, size_t k, bool every)
{
	size_t stride = t->n / SAMPLED_KILLS + 1;

	return every || !k || k == t->n || k % stride == 0 || t->first[k] || t->call[k] ||
	       t->call[k - 1];
}

static double seconds(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void show(const struct scenario *s, const char *what, uint64_t k, uint64_t pc)
{
	printf("  %s: killed at %s %llu", s->name, what, (unsigned long long)k);
	if (pc)
		printf(" (addr2line -fie step %#llx)", (unsigned long long)pc);
	printf(": %s\n", board->text);
}

static bool run_blocking(const struct scenario *s, unsigned int enough)
{
	double began = seconds();
	unsigned int i, bad = 0;

	for (i = 0; i < BLOCKED_KILLS && bad < enough; i++) {
		if (play(s, i, NULL, NULL))
			continue;
		if (bad++ < FAILURES_SHOWN)
			show(s, "sleep", i, 0);
	}
	printf("%-22s killed asleep: %u kills, %u failed, %.1f s\n", s->name, i, bad,
	       seconds() - began);
	return !bad;
}

bool run_scenario(const struct scenario *s, bool full, unsigned int enough)
{
	bool every = full || !(s->flags & SAMPLE);
	struct target to = { .t = &trace };
	unsigned int tries, kills = 0, drifted = 0, bad = 0, ways = 1;
	double began = seconds();

	if (s->flags & BLOCKS)
		return run_blocking(s, enough);
	dirs_beside = 0;
	if (!play(s, 0, record, &trace) || trace.n >= STEPS_MAX) {
		printf("%-22s fails already when killed at its end: %s\n", s->name, board->text);
		return false;
	}
	count_hits(&trace);
	for (to.k = 0; to.k <= trace.n && bad < enough; to.k++) {
		if (!is_chosen(&trace, to.k, every))
			continue;
		for (tries = 0, to.there = false; !to.there && tries < TRIES; tries++) {
			if (play(s, to.k, drive, &to))
				continue;
			if (bad++ < FAILURES_SHOWN)
				show(s, "instruction", to.k, trace.pc[to.k]);
			break;
		}
		if (!to.there && bad < enough && to.k && ways < WAYS_MAX &&
		    play(s, to.k, record_rest, &to) && to.there) {
			ways++;
			count_hits(&trace);
			to.k--;		/* once more, on the new way */
			continue;
		}
		kills++;
		drifted += !to.there;
	}
	printf("%-22s %zu instructions, %zu distinct, %zu system calls; %u kills (%s), %u drifted, %u failed, %.1f s\n",
	       s->name, trace.n, trace.distinct, trace.calls, kills,
	       every ? "at each" : "sampled: first of each, system calls, every n-th", drifted, bad,
	       seconds() - began);
	if (dirs_beside)
		printf("  %s: %u kills left an empty directory beside the right one\n", s->name,
		       dirs_beside);
	(void)fflush(stdout);
	return !bad;
}
