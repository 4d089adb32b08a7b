// SPDX-License-Identifier: MIT
/*
 * lock.c - `shmipc bench lock`: what a lock costs that no other process wants
 *
 * Each lock is measured beside a mutex of pthreads that is shared by processes, in the same
 * run; see lock_hand.c for locks that others want.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lock.h"

#define PAIRS		64u			/* takes and gives in one sample */
#define PLACE_OFF	((size_t)64 << 10)	/* in env->mem, and so on */
#define GUARDED_OFF	(PLACE_OFF + 4096)

static char name_of_segment[64];	/* of the parent's process, for all members */

static int is_ours(enum bench_lock_kind kind)
{
	return kind < BENCH_LOCK_PTHREAD;
}

int bench_lock_failed(struct bench_env *env, const char *what, int ret)
{
	int kind = env->arg & ~BENCH_LOCK_LONG;

	if (is_ours((enum bench_lock_kind)kind))
		return bench_fail(env, "%s: %s", what, shmipc_error_name(ret));
	return bench_fail(env, "%s: %s", what, strerror(ret < 0 ? errno : ret));
}

/* Making locks */

static int make_mutex(pthread_mutex_t *m, int shared, int robust)
{
	pthread_mutexattr_t attr;
	int err = pthread_mutexattr_init(&attr);

	if (err)
		return err;
	if (shared)
		err = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	if (robust && !err)
		err = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	if (!err)
		err = pthread_mutex_init(m, &attr);
	pthread_mutexattr_destroy(&attr);
	return err;
}

static int make_rwlock(pthread_rwlock_t *l)
{
	pthread_rwlockattr_t attr;
	int err = pthread_rwlockattr_init(&attr);

	if (err)
		return err;
	err = pthread_rwlockattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	if (!err)
		err = pthread_rwlock_init(l, &attr);
	pthread_rwlockattr_destroy(&attr);
	return err;
}

static int make(enum bench_lock_kind kind, union bench_lock_place *at)
{
	memset(at, 0, sizeof(*at));
	switch (kind) {
	case BENCH_LOCK_SEM:
		return shmipc_sem_init(&at->sem, 1, 0);
	case BENCH_LOCK_SEM_ROBUST:
		return shmipc_sem_init(&at->sem, 1, SHMIPC_SEM_ROBUST);
	case BENCH_LOCK_PTHREAD:
	case BENCH_LOCK_PTHREAD_ROBUST:
	case BENCH_LOCK_PTHREAD_PRIVATE:
		return make_mutex(&at->pthread, kind != BENCH_LOCK_PTHREAD_PRIVATE,
				  kind == BENCH_LOCK_PTHREAD_ROBUST);
	case BENCH_LOCK_PTHREAD_READ:
	case BENCH_LOCK_PTHREAD_WRITE:
		return make_rwlock(&at->pthread_rw);
	case BENCH_LOCK_POSIX_SEM:
		return sem_init(&at->posix, 1, 1);
	case BENCH_LOCK_FUTEX:
		at->futex.value = 1;
		return 0;
	default:
		return 0;	/* zeroes are free */
	}
}

static void *idle_thread(void *arg)
{
	return arg;
}

/* glibc spares a process that never had a second thread the atomic instructions. */
static void have_had_threads(void)
{
	pthread_t thread;

	if (!pthread_create(&thread, NULL, idle_thread, NULL))
		pthread_join(thread, NULL);
}

int bench_lock_open(struct bench_env *env, struct bench_lock *ret, int first)
{
	const struct shmipc_segment_opts o = SHMIPC_SEGMENT_OPTS(
		.kind = SHMIPC_KIND_RAW, .bytes = sizeof(union bench_lock_place),
		.peers = 2 * BENCH_CREW_MAX, .flags = SHMIPC_CREATE);
	int err = 0;

	memset(ret, 0, sizeof(*ret));
	ret->kind = (enum bench_lock_kind)(env->arg & ~BENCH_LOCK_LONG);
	ret->at = (union bench_lock_place *)(void *)(env->mem + PLACE_OFF);
	if (ret->kind == BENCH_LOCK_PTHREAD_PRIVATE)
		have_had_threads();
	if (is_ours(ret->kind)) {
		err = shmipc_segment_open(&ret->seg, name_of_segment, &o);
		if (err)
			return bench_fail(env, "%s", shmipc_error_text());
		ret->at = shmipc_segment_data(ret->seg, NULL);
		err = shmipc_peer_join(&ret->p, ret->seg, NULL);
	}
	if (!err && first)
		err = make(ret->kind, ret->at);
	return err ? bench_lock_failed(env, "make a lock", err) : 0;
}

void bench_lock_close(struct bench_lock *l)
{
	shmipc_peer_leave(l->p);
	shmipc_segment_close(l->seg);
}

/* Without others */

static inline __attribute__((always_inline)) int pairs(struct bench_env *env,
						       enum bench_lock_kind kind)
{
	struct bench_guarded *g = (struct bench_guarded *)(void *)(env->mem + GUARDED_OFF);
	uint32_t *sample = bench_samples_new(env);
	struct bench_lock l;
	uint64_t t, prev, end;
	int ret = 0;
	size_t n = 0;
	unsigned int i;

	if (!sample || bench_lock_open(env, &l, 1))
		return -1;
	memset(g, 0, sizeof(*g));
	bench_begin(env);
	prev = bench_ticks();
	end = prev + bench_ns_ticks(env->seconds * 1e9);
	do {
		for (i = 0; i < PAIRS && !ret; i++) {
			ret = bench_lock_take(kind, &l);
			shmipc_store_relaxed(&g->word[0], shmipc_load_relaxed(&g->word[0]) + 1);
			ret |= bench_lock_give(kind, &l);
		}
		t = bench_ticks();
		sample[n++] = (uint32_t)(t - prev);
		prev = t;
	} while (t < end && n < BENCH_SAMPLES && !ret);
	if (ret)
		return bench_lock_failed(env, "take or give", ret);
	if (g->word[0] != n * PAIRS)
		return bench_fail(env, "counted %llu times, not %llu (EPROTO)",
				  (unsigned long long)g->word[0], (unsigned long long)n * PAIRS);
	bench_samples_into(env->out, sample, n);
	env->out->min_ns /= PAIRS;
	env->out->p50_ns /= PAIRS;
	env->out->p90_ns /= PAIRS;
	env->out->p99_ns /= PAIRS;
	bench_lock_close(&l);
	free(sample);
	return 0;
}

/* With a loop for each kind, so that the time is not that of finding the function. */
static int pairs_of_kind(struct bench_env *env)
{
	switch (env->arg) {
	case BENCH_LOCK_MUTEX:			return pairs(env, BENCH_LOCK_MUTEX);
	case BENCH_LOCK_READ:			return pairs(env, BENCH_LOCK_READ);
	case BENCH_LOCK_WRITE:			return pairs(env, BENCH_LOCK_WRITE);
	case BENCH_LOCK_SEM:			return pairs(env, BENCH_LOCK_SEM);
	case BENCH_LOCK_SEM_ROBUST:		return pairs(env, BENCH_LOCK_SEM_ROBUST);
	case BENCH_LOCK_PTHREAD:		return pairs(env, BENCH_LOCK_PTHREAD);
	case BENCH_LOCK_PTHREAD_ROBUST:		return pairs(env, BENCH_LOCK_PTHREAD_ROBUST);
	case BENCH_LOCK_PTHREAD_PRIVATE:	return pairs(env, BENCH_LOCK_PTHREAD_PRIVATE);
	case BENCH_LOCK_PTHREAD_READ:		return pairs(env, BENCH_LOCK_PTHREAD_READ);
	case BENCH_LOCK_PTHREAD_WRITE:		return pairs(env, BENCH_LOCK_PTHREAD_WRITE);
	case BENCH_LOCK_POSIX_SEM:		return pairs(env, BENCH_LOCK_POSIX_SEM);
	default:				return pairs(env, BENCH_LOCK_FUTEX);
	}
}

static int idle(struct bench_env *env)
{
	bench_begin(env);
	return 0;
}

/* What is measured */

/* The backend of the segment that the members will create again; NULL after a message. */
static const char *find_backend(void)
{
	const struct shmipc_segment_opts o = SHMIPC_SEGMENT_OPTS(
		.kind = SHMIPC_KIND_RAW, .bytes = 4096, .flags = SHMIPC_CREATE);
	struct shmipc_segment_info info = { .struct_bytes = sizeof(info) };
	struct shmipc_segment *seg;
	int err;

	(void)snprintf(name_of_segment, sizeof(name_of_segment), "bench-lock-%ld", (long)getpid());
	err = shmipc_segment_open(&seg, name_of_segment, &o);
	if (!err) {
		err = shmipc_segment_get_info(seg, &info);
		shmipc_segment_close(seg);
	}
	if (!err)
		return info.backend;
	fprintf(stderr, "shmipc: bench: create a segment: %s (%s)\n", shmipc_error_text(),
		shmipc_error_name(err));
	return NULL;
}

static const char *const names[BENCH_LOCKS] = {
	[BENCH_LOCK_MUTEX] = "lock-mutex",
	[BENCH_LOCK_READ] = "lock-read",
	[BENCH_LOCK_WRITE] = "lock-write",
	[BENCH_LOCK_SEM] = "lock-sem",
	[BENCH_LOCK_SEM_ROBUST] = "lock-sem-robust",
	[BENCH_LOCK_PTHREAD] = "peer-pthread",
	[BENCH_LOCK_PTHREAD_ROBUST] = "peer-robust",
	[BENCH_LOCK_PTHREAD_PRIVATE] = "peer-private",
	[BENCH_LOCK_PTHREAD_READ] = "peer-rdlock",
	[BENCH_LOCK_PTHREAD_WRITE] = "peer-wrlock",
	[BENCH_LOCK_POSIX_SEM] = "peer-sem",
	[BENCH_LOCK_FUTEX] = "peer-futex",
};

static void take_lock(const struct opt *opt, const char *text, void *to)
{
	int kind;

	for (kind = 0; kind < BENCH_LOCKS; kind++)
		if (!strcmp(text, names[kind]))
			break;
	if (kind == BENCH_LOCKS)
		opt_refuse(opt, text, "expected the name of a row, as lock-mutex or peer-pthread");
	*(int *)to = kind + 1;	/* 0: all */
}

const struct opt bench_lock_options[] = {
	{ .name = "processes", .arg = "N", .min = 2, .max = BENCH_CREW_MAX, .preset = "8",
	  .take = take_size32, .at = offsetof(struct bench_lock_opts, processes),
	  .help = "how many want the lock at the same time" },
	{ .name = "lock", .arg = "NAME", .take = take_lock, .at = offsetof(struct bench_lock_opts, only),
	  .help = "only this one; without this all" },
	{ .name = NULL },
};

/* A lock that others want: those of one process only, or of many at once, are left out. */
static int is_wanted_by_many(int kind)
{
	return kind != BENCH_LOCK_READ && kind != BENCH_LOCK_PTHREAD_READ &&
	       kind != BENCH_LOCK_PTHREAD_PRIVATE;
}

/* Each kind in turn, beside the mutex of pthreads, with @flags of arg for both. */
static int each_kind(struct bench_case *c, const struct bench_opts *o, bench_one_fn *fn, int flags,
		     int all)
{
	const char *backend = find_backend();
	int kind;

	if (!backend)
		return -1;
	c->yardstick = "of peer-pthread";
	c->limit[0] = c->step;
	c->limit[0].arg = BENCH_LOCK_PTHREAD | flags;
	c->limit[0].seconds = o->seconds;
	for (kind = 0; kind < BENCH_LOCKS; kind++) {
		if ((!all && !is_wanted_by_many(kind)) || (o->lock.only && o->lock.only != kind + 1))
			continue;
		c->name = names[kind];
		c->backend = is_ours((enum bench_lock_kind)kind) ? backend : NULL;
		c->step.arg = kind | flags;
		if (fn(c, o, 0))
			return -1;
	}
	return 0;
}

int bench_locks(const struct bench_opts *o, bench_one_fn *fn)
{
	static struct bench_case alone = {
		.table = BENCH_TABLE_TIME, .figure = "p50 ns, take and give",
		.ratio = BENCH_BY_P50,
		.step = { .side = { pairs_of_kind, idle } },
	};
	static struct bench_case hand = {
		.table = BENCH_TABLE_TIME, .figure = "p50 ns a hand-over",
		.ratio = BENCH_BY_P50, .wait = BENCH_SPIN,
		.step = { .side = { bench_lock_hand, bench_lock_hand } },
	};
	static struct bench_case hand_sleep = {
		.table = BENCH_TABLE_TIME, .figure = "p50 ns a hand-over",
		.ratio = BENCH_BY_P50, .wait = BENCH_SLEEP,
		.step = { .side = { bench_lock_hand, bench_lock_hand } },
	};
	static struct bench_case crowd = {
		.table = BENCH_TABLE_FAIR, .ratio = BENCH_BY_MSGS, .wait = BENCH_BOTH,
		.step = { .side = { bench_lock_crowd, bench_lock_crowd } },
	};
	int both = !o->wait_given;

	if (each_kind(&alone, o, fn, 0, 1))
		return -1;
	if ((both || o->wait == BENCH_SPIN) && each_kind(&hand, o, fn, 0, 0))
		return -1;
	if ((both || o->wait == BENCH_SLEEP) && each_kind(&hand_sleep, o, fn, BENCH_LOCK_LONG, 0))
		return -1;
	return each_kind(&crowd, o, fn, 0, 0);
}
