/* SPDX-License-Identifier: MIT */
/*
 * model.c - threads, choices and the search
 *
 * Threads are coroutines. An execution is a list of choices: which thread continues,
 * which store a load reads, whether a thread dies here. The search runs the test again
 * and again, each time with the last choice that has an untried alternative changed
 * (depth first, stateless).
 *
 * Reductions of the number of executions, which lose no distinct one:
 *
 * - A store to a word with one writer needs no choice: loads may still return
 *   older stores, so running it early hides nothing. The same is true of plain
 *   accesses, since a race between them is found in any order, and for loads of
 *   words that no other living thread ever writes.
 * - Sleep sets: a thread does not do here what it could have done in a branch tried
 *   before, unless something that this depends on has happened since. For a load: only
 *   stores that are new since then.
 * - A thread dies only before it stores (or blocks, or returns): a death between
 *   two of its loads looks the same to all others.
 *
 * Which words have one writer is learned while running, at first in some hundred
 * random executions. When the search finds something new, it restarts.
 */
#undef _FORTIFY_SOURCE		/* its longjmp rejects coroutines */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <ucontext.h>
#include "model_priv.h"

#define STACK_BYTES	(256 * 1024)
#define DEPTH		8192
#define RANDOM_RUNS	200
#define ALTERNATIVES	512

struct model_thread model_threads[MODEL_THREADS];
int model_n_threads;
struct model_thread *model_me;
int model_trace, model_deep, model_brute;

static struct { uint16_t n, at; } path[DEPTH];
static unsigned depth, path_len;
static enum { SEARCH, RANDOM } mode;
static uint64_t rnd;
static int deaths_left, steps;

static enum { GOING, FAILED, LEARNED } verdict;
static char why[512];
static int settled;		/* learning something new means a restart */
static unsigned n_learned;
static jmp_buf main_ctx, end_ctx;

/* Choices. */

static unsigned random_below(unsigned n)
{
	rnd ^= rnd << 13;
	rnd ^= rnd >> 7;
	rnd ^= rnd << 17;
	return (unsigned)(rnd >> 11) % n;
}

static int choose(int n, int weight)
{
	if (n <= 1)
		return 0;
	if (depth == DEPTH || n > ALTERNATIVES) {
		fprintf(stderr, "model: too many choices in one execution\n");
		abort();
	}
	if (depth == path_len) {
		path[depth].n = (uint16_t)n;
		path[depth].at = 0;
		if (mode == RANDOM && (weight <= 1 || !random_below((unsigned)weight)))
			path[depth].at = (uint16_t)random_below((unsigned)n);
		path_len++;
	}
	if (path[depth].n != n) {
		fprintf(stderr, "model: a replay differs (%d, then %d choices); "
			"begin() must reset all private state\n", path[depth].n, n);
		abort();
	}
	return path[depth++].at;
}

int model_choose(int n)
{
	return choose(n, 1);
}

/* The next path in depth-first order; false at the end. */
static int next_path(void)
{
	while (path_len && path[path_len - 1].at + 1 == path[path_len - 1].n)
		path_len--;
	if (!path_len)
		return 0;
	path[path_len - 1].at++;
	return 1;
}

/* Threads. */

static void to_main(void)
{
	_longjmp(main_ctx, 1);
}

static void end_execution(void)
{
	if (model_me && !model_me_is_main())
		to_main();
	_longjmp(end_ctx, 1);
}

int model_me_is_main(void)
{
	return model_me == &model_threads[0];
}

void model_learned(void)
{
	n_learned++;
	if (!settled || verdict == FAILED)
		return;
	verdict = LEARNED;
	end_execution();
}

void model_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (!model_me) {
		fprintf(stderr, "model: in setup: %s\n", why);
		exit(1);
	}
	verdict = FAILED;
	end_execution();
	abort();
}

void model_note(const char *fmt, ...)
{
	va_list ap;

	if (!model_trace || !model_me)
		return;
	printf("    %-10s ", model_me->name);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

unsigned model_others_alive(void)
{
	unsigned mask = 0;
	int i;

	for (i = 1; i < model_n_threads; i++)
		if (model_threads[i].state == MODEL_RUNNING ||
		    model_threads[i].state == MODEL_ASLEEP)
			mask |= 1u << i;
	return mask & ~(1u << (model_me - model_threads));
}

static void die_perhaps(struct model_at at)
{
	if (!model_me->mortal || !deaths_left || !choose(2, 4))
		return;
	deaths_left--;
	at.kind = MODEL_DEATH;
	model_trace_at(at, NULL, -1, 0, "");
	model_me->state = MODEL_DIED;
	to_main();
}

/* A thread stands before an access. @effect: others could notice it. */
void model_arrive(struct model_at at, int effect)
{
	model_me->kind = at.kind;
	if (at.file)
		model_site_seen(at);
	if (++steps > MODEL_STEPS)
		model_fail("not finished after %d accesses", steps);
	if (effect || model_brute)
		die_perhaps(at);
}

/* Let the search decide which thread continues. */
void model_stop_here(enum model_op op, struct model_loc *l, int lo)
{
	struct model_thread *t = model_me;

	t->op = op;
	t->loc = l;
	t->lo = lo;
	t->slept = 0;
	t->asleep = 0;
	if (!_setjmp(t->ctx))
		to_main();
}

static void thread_main(void)
{
	struct model_at at = { NULL, 0, MODEL_DEATH, "" };
	struct model_thread *t = model_me;

	if (!_setjmp(t->boot))
		to_main();
	/* Each execution returns here; the stack above is discarded. */
	t = model_me;
	t->fn(t->arg);
	die_perhaps(at);
	t->state = MODEL_RETURNED;
	to_main();
}

static void boot(struct model_thread *t)
{
	static ucontext_t there, here;

	t->stack = malloc(STACK_BYTES);
	if (!t->stack || getcontext(&there))
		abort();
	there.uc_stack.ss_sp = t->stack;
	there.uc_stack.ss_size = STACK_BYTES;
	there.uc_link = NULL;
	makecontext(&there, thread_main, 0);
	model_me = t;
	if (!_setjmp(main_ctx))
		swapcontext(&here, &there);
	model_me = &model_threads[0];
	t->booted = 1;
}

int model_spawn(const char *name, void (*fn)(void *), void *arg, int mortal)
{
	struct model_thread *t;

	if (model_n_threads == MODEL_THREADS)
		abort();
	t = &model_threads[model_n_threads++];
	if (!t->booted)
		boot(t);
	t->name = name;
	t->fn = fn;
	t->arg = arg;
	t->mortal = mortal;
	t->state = MODEL_RUNNING;
	t->op = OP_START;
	t->loc = NULL;
	memset(&t->cur, 0, sizeof(t->cur));
	memset(&t->acq, 0, sizeof(t->acq));
	memset(&t->rel, 0, sizeof(t->rel));
	memset(t->last_read, 0, sizeof(t->last_read));
	return (int)(t - model_threads);
}

static void run_thread(struct model_thread *t, int start)
{
	model_me = t;
	if (!_setjmp(main_ctx))
		_longjmp(start ? t->boot : t->ctx, 1);
	model_me = &model_threads[0];
}

int model_self(void)
{
	return (int)(model_me - model_threads);
}

enum model_state model_state(int t)
{
	return model_threads[t].state;
}

int model_deaths(unsigned mask)
{
	int i, n = 0;

	for (i = 1; i < model_n_threads; i++)
		n += mask >> i & 1 && model_threads[i].state == MODEL_DIED;
	return n;
}

static int ended(int t)
{
	return model_threads[t].state == MODEL_RETURNED || model_threads[t].state == MODEL_DIED;
}

enum model_state model_join(int t)
{
	struct model_at at = { NULL, 0, MODEL_JOIN, "" };

	model_arrive(at, 0);
	model_me->target = t;
	model_stop_here(OP_JOIN, NULL, 0);
	/* The kernel reports the end, after everything that the thread did. */
	model_view_join(&model_me->cur, &model_threads[t].cur);
	model_view_join(&model_me->cur, &model_threads[t].acq);
	model_trace_at(at, NULL, -1, 0, model_threads[t].name);
	return model_threads[t].state;
}

/* Scheduling. */

struct alternative {
	uint8_t t;
	uint8_t m;
};

/* What must have changed before a thread that was put to sleep may continue. */
static int key_of(const struct model_thread *t)
{
	switch ((int)t->op) {
	case OP_RMW:
	case OP_STORE:
	case OP_LOCK:
		return t->loc->n;
	case OP_FUTEX_WAIT:
		return t->loc->wakes;
	case OP_FUTEX_WAKE:
		return t->loc->waits + t->loc->wakes;
	case OP_FENCE:
		if (t->kind == MODEL_BARRIER_LIGHT)
			return model_heavy_n;
		if (t->kind == MODEL_BARRIER_HEAVY)
			return model_sc_n + model_light_n;
		return model_sc_n;
	}
	return 0;
}

/* Add what @t can do now to @list. @awake: omit what sleeps. */
static int add(struct alternative *list, int n, int i, int awake)
{
	struct model_thread *t = &model_threads[i];
	struct model_loc *l = t->loc;
	int m, lo = t->lo;

	switch (t->op) {
	case OP_LOAD:
	case OP_CAS:
	case OP_FUTEX_WAIT:
		if (t->op == OP_FUTEX_WAIT && lo < l->futex.ts[l - model_locs])
			lo = l->futex.ts[l - model_locs];
		if (awake && lo < t->slept && !(t->asleep && t->key != key_of(t)))
			lo = t->slept;
		for (m = l->n - 1; m >= lo; m--) {
			/* A strong CAS fails on another value only. */
			if (t->op == OP_CAS && m < l->n - 1 && l->hist[m].val == t->expected)
				continue;
			list[n].t = (uint8_t)i;
			list[n++].m = (uint8_t)m;
		}
		break;
	case OP_LOCK:
		if (l->hist[l->n - 1].val)
			break;
		/* fallthrough */
	case OP_RMW:
	case OP_STORE:
	case OP_FENCE:
	case OP_FUTEX_WAKE:
		if (awake && t->asleep && t->key == key_of(t))
			break;
		list[n].t = (uint8_t)i;
		list[n++].m = 0;
		break;
	default:
		break;
	}
	return n;
}

static void put_to_sleep(struct model_thread *t)
{
	t->asleep = 1;
	t->key = key_of(t);
	if (t->loc)
		t->slept = t->loc->n;
}

/* Run steps without a choice: starts, joins of ended threads, woken sleepers. */
static int run_free(void)
{
	struct model_thread *t;
	int i, any = 0;

	for (i = 1; i < model_n_threads && verdict == GOING; i++) {
		t = &model_threads[i];
		if ((t->state == MODEL_RUNNING &&
		     (t->op == OP_START || (t->op == OP_JOIN && ended(t->target)))) ||
		    (t->state == MODEL_ASLEEP &&
		     (t->woken || (t->target > 0 && ended(t->target)) ||
		      (t->target == MODEL_DEATHS && model_deaths(t->watched) > t->deaths)))) {
			run_thread(t, t->op == OP_START);
			any = 1;
		}
	}
	return any;
}

/* Run all threads to their end. False: this execution was seen before. */
static int schedule(void)
{
	static struct alternative list[ALTERNATIVES];
	int i, n, pick;

	for (;;) {
		if (verdict != GOING)
			return 0;
		if (run_free())
			continue;
		for (n = 0, i = 1; i < model_n_threads; i++)
			if (model_threads[i].state == MODEL_RUNNING)
				n = add(list, n, i, 1);
		if (!n)
			break;
		pick = choose(n, 1);
		for (i = 0; !model_brute && list[i].t != list[pick].t; i++)
			put_to_sleep(&model_threads[list[i].t]);
		model_threads[list[pick].t].grant = list[pick].m;
		run_thread(&model_threads[list[pick].t], 0);
	}
	for (i = 1; i < model_n_threads; i++) {
		if (model_threads[i].state != MODEL_RUNNING)
			continue;
		if (add(list, 0, i, 0))
			return 0;
		model_threads[i].state = MODEL_PARKED;
	}
	return 1;
}

/* One execution along the path. False: not complete. */
static int execute(const struct model_test *test)
{
	int complete;

	verdict = GOING;
	depth = 0;
	steps = 0;
	deaths_left = test->deaths;
	model_n_threads = 1;
	model_me = &model_threads[0];
	model_me->name = "end";
	model_mem_reset();
	if (_setjmp(end_ctx)) {
		model_me = NULL;
		return 0;
	}
	test->begin();
	complete = schedule();
	if (complete)
		test->finish();
	model_me = NULL;
	return complete;
}

/* CPU time: other work on the machine does not change what is explored. */
static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static void begin_search(struct model_result *ret)
{
	mode = SEARCH;
	path_len = 0;
	ret->executions = 0;
	ret->cut = 0;
}

/**
 * model_explore - all executions of one test
 * @test:        the test
 * @max_seconds: give up after this long
 * @ret:         what was found
 */
void model_explore(const struct model_test *test, double max_seconds, struct model_result *ret)
{
	double begun = now();
	unsigned known;

	memset(ret, 0, sizeof(*ret));
	model_mem_forget();
	model_me = NULL;
	test->setup();
	settled = 0;
	mode = RANDOM;
	rnd = 0x9e3779b97f4a7c15ULL;
	for (; ret->random < RANDOM_RUNS; ret->random++) {
		path_len = 0;
		known = n_learned;
		execute(test);
		/* An execution that has learned something cannot be replayed. */
		if (verdict == FAILED && known == n_learned)
			goto failed;
	}
	settled = 1;
	begin_search(ret);
	for (;;) {
		if (execute(test))
			ret->executions++;
		else
			ret->cut++;
		if (verdict == FAILED)
			goto failed;
		if (verdict == LEARNED) {
			ret->restarts++;
			begin_search(ret);
			continue;
		}
		if (path_len > ret->depth)
			ret->depth = path_len;
		if (!next_path())
			break;
		if (!((ret->executions + ret->cut) & 255) && now() - begun > max_seconds) {
			ret->incomplete = 1;
			break;
		}
	}
	ret->seconds = now() - begun;
	return;
failed:
	ret->seconds = now() - begun;
	ret->failed = 1;
	memcpy(ret->why, why, sizeof(why));
}

/* Repeat the execution that failed last, and print each access. */
void model_show_trace(const struct model_test *test)
{
	mode = SEARCH;
	model_trace = 1;
	execute(test);
	model_trace = 0;
}
