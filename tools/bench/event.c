// SPDX-License-Identifier: MIT
/*
 * event.c - `shmipc bench event`: notifications without payload, beside those of the kernel
 *
 * Side 0 asks with event 0, side 1 answers with event 1. Each side is a notifier and a
 * listener, and each notification must arrive once.
 */
#include <errno.h>
#include <linux/futex.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <shmipc/shmipc.h>

#include "bench.h"

#define CALLS		64u	/* notifications in one sample */
#define WORDS_OFF	((size_t)64 << 10)	/* in env->mem */
#define LAST		2u	/* a notification of so many is the end */

/* The ends of one side. */
struct ends {
	struct shmipc_notifier *n;
	struct shmipc_listener *l;
};

static char name_of_events[64];	/* of the parent's process, for both sides */

static int failed(struct bench_env *env, const char *what, int ret)
{
	return bench_fail(env, "%s: %s", what, shmipc_error_name(ret));
}

/* @arg: enum bench_wait */
static int ends_open(struct bench_env *env, struct ends *e)
{
	const struct shmipc_listener_opts how = SHMIPC_LISTENER_OPTS(
		.spin_ns = env->arg == BENCH_SPIN ? SHMIPC_SPIN_ALWAYS : SHMIPC_SPIN_NEVER);
	int err = shmipc_notifier_open(&e->n, name_of_events, NULL);

	if (!err)
		err = shmipc_listener_open(&e->l, name_of_events, NULL, &how);
	return err ? bench_fail(env, "%s", shmipc_error_text()) : 0;
}

static void ends_close(struct ends *e)
{
	shmipc_listener_close(e->l);
	shmipc_notifier_close(e->n);
}

static int notify(struct bench_env *env, struct ends *e, uint64_t count)
{
	int err = shmipc_notifier_notify(e->n, (uint32_t)env->side, count);

	return err ? failed(env, "notify", err) : 0;
}

static int await(struct bench_env *env, struct ends *e, uint64_t *ret_count)
{
	struct shmipc_event_got got;
	int err = shmipc_listener_wait(e->l, (uint32_t)!env->side, &got, SHMIPC_FOREVER);

	if (err)
		return failed(env, "wait", err);
	*ret_count = got.count;
	return 0;
}

/* Round trips */

static int ask(struct bench_env *env)
{
	uint32_t *sample = bench_samples_new(env);
	uint64_t t, prev, end, count;
	struct ends e;
	size_t n = 0;

	if (!sample || ends_open(env, &e))
		return -1;
	bench_begin(env);
	prev = bench_ticks();
	end = prev + bench_ns_ticks(env->seconds * 1e9);
	do {
		if (notify(env, &e, 1) || await(env, &e, &count))
			return -1;
		if (count != 1)
			return bench_fail(env, "one answer arrived %llu times (EPROTO)",
					  (unsigned long long)count);
		t = bench_ticks();
		sample[n++] = (uint32_t)(t - prev);
		prev = t;
	} while (t < end && n < BENCH_SAMPLES);
	if (notify(env, &e, LAST))
		return -1;
	bench_meet(env);
	bench_samples_into(env->out, sample, n);
	ends_close(&e);
	free(sample);
	return 0;
}

static int answer(struct bench_env *env)
{
	uint64_t count;
	struct ends e;

	if (ends_open(env, &e))
		return -1;
	bench_begin(env);
	for (;;) {
		if (await(env, &e, &count))
			return -1;
		if (count == LAST)
			break;
		if (notify(env, &e, 1))
			return -1;
	}
	bench_meet(env);
	ends_close(&e);
	return 0;
}

static sem_t *sem_of(const struct bench_env *env, int side)
{
	return (sem_t *)(void *)(env->mem + WORDS_OFF + (size_t)side * 256);
}

static uint32_t *end_of(const struct bench_env *env)
{
	return (uint32_t *)(void *)(env->mem + WORDS_OFF + 512);
}

static int sem_ask(struct bench_env *env)
{
	uint32_t *sample = bench_samples_new(env);
	uint64_t t, prev, end;
	size_t n = 0;

	if (!sample || sem_init(sem_of(env, 0), 1, 0) || sem_init(sem_of(env, 1), 1, 0))
		return bench_fail(env, "sem_init: %s", strerror(errno));
	shmipc_store_relaxed(end_of(env), (uint32_t)0);
	bench_begin(env);
	prev = bench_ticks();
	end = prev + bench_ns_ticks(env->seconds * 1e9);
	do {
		if (sem_post(sem_of(env, 0)) || sem_wait(sem_of(env, 1)))
			return bench_fail(env, "a semaphore: %s", strerror(errno));
		t = bench_ticks();
		sample[n++] = (uint32_t)(t - prev);
		prev = t;
	} while (t < end && n < BENCH_SAMPLES);
	shmipc_store_relaxed(end_of(env), (uint32_t)1);
	if (sem_post(sem_of(env, 0)))
		return bench_fail(env, "a semaphore: %s", strerror(errno));
	bench_samples_into(env->out, sample, n);
	free(sample);
	return 0;
}

static int sem_answer(struct bench_env *env)
{
	bench_begin(env);
	for (;;) {
		if (sem_wait(sem_of(env, 0)))
			return bench_fail(env, "a semaphore: %s", strerror(errno));
		if (shmipc_load_relaxed(end_of(env)))
			return 0;
		if (sem_post(sem_of(env, 1)))
			return bench_fail(env, "a semaphore: %s", strerror(errno));
	}
}

/* Notifications for which no thread sleeps */

enum call {
	CALL_NOTIFY,
	CALL_ADD,	/* one atomic instruction: the limit */
	CALL_WAKE,
	CALL_EVENTFD,
};

/* What one way needs. */
struct caller {
	struct ends e;
	uint32_t *word;
	uint64_t *added;
	int fd;
};

static inline __attribute__((always_inline)) int call_once(struct caller *c, enum call call)
{
	const uint64_t one = 1;

	switch (call) {
	case CALL_NOTIFY:
		return shmipc_notifier_notify(c->e.n, 0, 1);
	case CALL_ADD:
		return shmipc_fetch_add_acq_rel(c->added, one) == UINT64_MAX;
	case CALL_WAKE:
		return syscall(SYS_futex, c->word, FUTEX_WAKE, 1, NULL, NULL, 0) != 0;
	default:
		return write(c->fd, &one, sizeof(one)) != sizeof(one);
	}
}

static inline __attribute__((always_inline)) int calls(struct bench_env *env, struct caller *c,
						       enum call call)
{
	uint32_t *sample = bench_samples_new(env);
	uint64_t t, prev, end;
	unsigned int i;
	size_t n = 0;
	int bad = 0;

	if (!sample)
		return -1;
	bench_begin(env);
	prev = bench_ticks();
	end = prev + bench_ns_ticks(env->seconds * 1e9);
	do {
		for (i = 0; i < CALLS; i++)
			bad |= call_once(c, call);
		t = bench_ticks();
		sample[n++] = (uint32_t)(t - prev);
		prev = t;
	} while (t < end && n < BENCH_SAMPLES && !bad);
	if (bad)
		return bench_fail(env, "a notification failed");
	shmipc_store_release(&env->shared->last, (uint64_t)n * CALLS);
	bench_meet(env);
	bench_samples_into(env->out, sample, n);
	env->out->min_ns /= CALLS;
	env->out->p50_ns /= CALLS;
	env->out->p90_ns /= CALLS;
	env->out->p99_ns /= CALLS;
	free(sample);
	return 0;
}

static int call_out(struct bench_env *env)
{
	struct caller c = { .fd = -1 };
	int ret;

	c.word = (uint32_t *)(void *)(env->mem + WORDS_OFF);
	c.added = (uint64_t *)(void *)(env->mem + WORDS_OFF + 512);
	switch (env->arg) {
	case CALL_NOTIFY:
		if (shmipc_notifier_open(&c.e.n, name_of_events, NULL))
			return bench_fail(env, "%s", shmipc_error_text());
		ret = calls(env, &c, CALL_NOTIFY);
		break;
	case CALL_ADD:
		ret = calls(env, &c, CALL_ADD);
		break;
	case CALL_WAKE:
		ret = calls(env, &c, CALL_WAKE);
		break;
	default:
		c.fd = eventfd(0, EFD_CLOEXEC);
		if (c.fd < 0)
			return bench_fail(env, "eventfd: %s", strerror(errno));
		ret = calls(env, &c, CALL_EVENTFD);
		(void)close(c.fd);
	}
	shmipc_notifier_close(c.e.n);
	return ret;
}

/* A listener that does not sleep, and receives all of them in the end. */
static int call_in(struct bench_env *env)
{
	struct shmipc_event_got got = { .count = 0 };
	struct shmipc_listener *l = NULL;
	uint64_t sent;
	int err = 0;

	if (env->arg == CALL_NOTIFY && shmipc_listener_open(&l, name_of_events, NULL, NULL))
		return bench_fail(env, "%s", shmipc_error_text());
	bench_begin(env);
	bench_meet(env);
	sent = shmipc_load_acquire(&env->shared->last);
	if (l)
		err = shmipc_listener_wait(l, 0, &got, 0);
	if (err || (l && got.count != sent))
		return bench_fail(env, "%llu of %llu notifications arrived (EPROTO)",
				  (unsigned long long)got.count, (unsigned long long)sent);
	shmipc_listener_close(l);
	return 0;
}

/* What is measured */

/* The backend of the events that the sides will create again; NULL after a message. */
static const char *find_backend(void)
{
	struct shmipc_event_stat st = SHMIPC_EVENT_STAT(.count = NULL);
	struct shmipc_notifier *n;
	int err;

	(void)snprintf(name_of_events, sizeof(name_of_events), "bench-event-%ld", (long)getpid());
	err = shmipc_notifier_open(&n, name_of_events, NULL);
	if (!err) {
		err = shmipc_event_look(name_of_events, &st);
		shmipc_notifier_close(n);
	}
	if (!err)
		return st.info.backend;
	fprintf(stderr, "shmipc: bench: create events: %s (%s)\n", shmipc_error_text(),
		shmipc_error_name(err));
	return NULL;
}

static int notifications(const struct bench_opts *o, bench_one_fn *fn, const char *backend)
{
	static const struct {
		const char *name;
		enum call call;
	} ways[] = {
		{ "event-notify", CALL_NOTIFY },
		{ "peer-futex", CALL_WAKE },
		{ "peer-eventfd", CALL_EVENTFD },
	};
	static struct bench_case c = {
		.table = BENCH_TABLE_TIME, .figure = "p50 ns, without sleeper",
		.ratio = BENCH_BY_P50, .yardstick = "of an atomic add",
		.step = { .side = { call_out, call_in } },
	};
	size_t i;

	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		c.name = ways[i].name;
		c.backend = ways[i].call == CALL_NOTIFY ? backend : NULL;
		c.step.arg = (int)ways[i].call;
		c.limit[0] = c.step;
		c.limit[0].arg = CALL_ADD;
		c.limit[0].seconds = o->seconds;
		if (fn(&c, o, 0))
			return -1;
	}
	return 0;
}

static int spinning(const struct bench_opts *o, bench_one_fn *fn, const char *backend)
{
	static struct bench_case c = {
		.name = "event", .table = BENCH_TABLE_RTT, .ratio = BENCH_BY_P50, .wait = BENCH_SPIN,
		.yardstick = "of limit-pingpong",
		.step = { .side = { ask, answer }, .spins = 1, .arg = BENCH_SPIN },
	};

	c.backend = backend;
	c.limit[0] = bench_limit_pingpong;
	return fn(&c, o, 0);
}

/* One of the limits, in the same table as events. */
static int limit_as_peer(const struct bench_opts *o, bench_one_fn *fn, const char *limit,
			 const char *name)
{
	static struct bench_case c;
	unsigned int i;

	for (i = 0; i < bench_limits_count; i++)
		if (!strcmp(bench_limits[i].name, limit))
			c = bench_limits[i];
	c.name = name;
	c.table = BENCH_TABLE_RTT;
	c.ratio = BENCH_BY_P50;
	c.yardstick = "of the raw futex";
	c.limit[0] = bench_limit_futex;
	return fn(&c, o, 0);
}

static int sleeping(const struct bench_opts *o, bench_one_fn *fn, const char *backend)
{
	static struct bench_case c = {
		.name = "event", .table = BENCH_TABLE_RTT, .ratio = BENCH_BY_P50, .wait = BENCH_SLEEP,
		.yardstick = "of the raw futex",
		.step = { .side = { ask, answer }, .arg = BENCH_SLEEP },
	};
	static struct bench_case sem = {
		.name = "peer-sem", .table = BENCH_TABLE_RTT, .ratio = BENCH_BY_P50,
		.wait = BENCH_SLEEP, .yardstick = "of the raw futex",
		.step = { .side = { sem_ask, sem_answer } },
	};
	static struct bench_case pipes;
	unsigned int i;

	c.backend = backend;
	c.limit[0] = sem.limit[0] = bench_limit_futex;
	if (fn(&c, o, 0) || limit_as_peer(o, fn, "limit-futex", "peer-futex") ||
	    limit_as_peer(o, fn, "limit-eventfd", "peer-eventfd") || fn(&sem, o, 0))
		return -1;
	for (i = 0; i < bench_peer_rtt_count; i++)
		if (!strcmp(bench_peer_rtt[i].name, "peer-pipe"))
			pipes = bench_peer_rtt[i];
	pipes.limit[0] = bench_limit_futex;
	pipes.yardstick = "of the raw futex";
	return fn(&pipes, o, 1);
}

int bench_events(const struct bench_opts *o, bench_one_fn *fn)
{
	const char *backend = find_backend();

	if (!backend || notifications(o, fn, backend))
		return -1;
	if (!(o->wait_given && o->wait == BENCH_SLEEP) && spinning(o, fn, backend))
		return -1;
	return o->wait_given && o->wait == BENCH_SPIN ? 0 : sleeping(o, fn, backend);
}
