// SPDX-License-Identifier: MIT
/*
 * copier.c - throughput of a copier, into shared memory and out of it
 *
 * One side copies a batch of messages from its private memory into shared memory and
 * hands over; the other copies them into its private memory and hands back. So the bytes
 * move between the caches of two cores, as between a publisher and a subscriber. Only
 * the copies are timed. Between them, one side writes and the other reads (and checks)
 * its private memory, as programs do.
 */
#include <linux/futex.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <shmipc/shmipc.h>

#include "bench.h"
#include "source.h"

#define SAMPLES		((size_t)1 << 16)
#define WARM		2u			/* batches before the clock runs */
#define LEAST		5u			/* batches that count, however long they take */
#define BATCH_BYTES	((size_t)256 << 10)	/* a batch has this many, or one message */

static const struct shmipc_copier *copier;	/* the one that is measured */
static cpu_set_t all_cpus;			/* of the parent */
static unsigned char *shared;
static size_t shared_bytes;

/* State of the two sides, each in its own cache line. */
struct turn {
	uint32_t batch;
	unsigned char pad[BENCH_LINE - sizeof(uint32_t)];
};

struct side {
	struct bench_env *env;
	struct turn *mine;
	const struct turn *theirs;
	unsigned char *data;	/* shared */
	size_t batch;		/* messages */
	size_t slots;		/* private slots */
	struct bench_source src;
	unsigned char *priv;	/* side 1 */
	uint32_t sample[SAMPLES];
	size_t samples;
};

static void tell(struct side *s, uint32_t batch)
{
	shmipc_store_release(&s->mine->batch, batch);
	if (!bench_copier.step.spins)
		(void)syscall(SYS_futex, &s->mine->batch, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* A copier with threads needs this CPU meanwhile, so sleep. */
static void await(struct side *s, uint32_t batch)
{
	uint32_t now;

	while ((now = shmipc_load_acquire(&s->theirs->batch)) != batch) {
		if (bench_copier.step.spins)
			shmipc_cpu_relax();
		else
			(void)syscall(SYS_futex, &s->theirs->batch, FUTEX_WAIT, now, NULL, NULL, 0);
	}
}

static int prepare(struct bench_env *env)
{
	size_t need = env->size + BENCH_LINE + BATCH_BYTES + 2 * sizeof(struct turn);
	uint64_t page = env->opts->page;

	if (sched_getaffinity(0, sizeof(all_cpus), &all_cpus))
		CPU_ZERO(&all_cpus);
	if (need <= shared_bytes)
		return 0;
	if (!page && need >= SHMIPC_PAGE_2M)
		page = SHMIPC_PAGE_2M;
	if (shared)
		munmap(shared, shared_bytes);
	shared = bench_mem_alloc(need, page);
	shared_bytes = shared ? need : 0;
	if (shared)
		return 0;
	fprintf(stderr, "shmipc: bench: cannot allocate %zu bytes of shared memory (ENOMEM); use a smaller --size\n",
		need);
	return -1;
}

static void finish(struct bench_env *env)
{
	(void)env;
}

static struct side *side_make(struct bench_env *env)
{
	struct side *s = calloc(1, sizeof(*s));
	struct turn *turn = (struct turn *)(void *)shared;
	size_t bytes;

	if (!s || bench_source_init(&s->src, env->size)) {
		bench_fail(env, "memory for messages of %zu bytes (ENOMEM)", env->size);
		return NULL;
	}
	s->env = env;
	s->mine = &turn[env->side];
	s->theirs = &turn[!env->side];
	s->mine->batch = 0;
	s->data = shared + 2 * sizeof(*turn);
	s->batch = BATCH_BYTES / s->src.stride;
	if (!s->batch)
		s->batch = 1;
	s->slots = s->src.mask + 1 < s->batch ? s->src.mask + 1 : s->batch;
	bytes = s->slots * s->src.stride;
	s->priv = env->side ? copier->alloc(bytes, copier->arg) : NULL;
	if (env->side && !s->priv) {
		bench_fail(env, "memory of the copier (ENOMEM)");
		return NULL;
	}
	if (s->priv)	/* page by page, once, before the clock runs */
		memset(s->priv, 0, bytes);
	if (!bench_copier.step.spins)
		(void)sched_setaffinity(0, sizeof(all_cpus), &all_cpus);
	return s;
}

static int side_end(struct side *s, double *ret_bytes_per_s)
{
	struct bench_out out = { .p50_ns = NAN };

	bench_samples_into(&out, s->sample, s->samples);
	*ret_bytes_per_s = (double)(s->batch * s->env->size) / out.p50_ns * 1e9;
	s->env->out->msgs = s->samples * s->batch;
	shmipc_copier_mt_close();
	return 0;
}

static void side_free(struct side *s)
{
	if (s->priv)
		copier->free(s->priv, copier->arg);
	bench_source_free(&s->src);
	free(s);
}

static int copy_in(struct side *s)
{
	const size_t size = s->src.size, stride = s->src.stride;
	unsigned char *at = s->data;
	uint64_t t0 = bench_ticks();
	size_t i;
	int ret = 0;

	for (i = 0; i < s->batch && !ret; i++, at += stride)
		ret = copier->to_shm(at, bench_source_at(&s->src, i), size, copier->arg);
	s->sample[s->samples] = (uint32_t)(bench_ticks() - t0);
	return ret;
}

static int copy_out(struct side *s)
{
	const size_t size = s->src.size, stride = s->src.stride;
	const unsigned char *at = s->data;
	uint64_t t0 = bench_ticks();
	size_t i;
	int ret = 0;

	for (i = 0; i < s->batch && !ret; i++, at += stride)
		ret = copier->from_shm(s->priv + (i & s->src.mask) * stride, at, size, copier->arg);
	s->sample[s->samples] = (uint32_t)(bench_ticks() - t0);
	return ret;
}

static int copy_fails(struct side *s, uint32_t batch, int ret)
{
	return bench_fail(s->env, "copier \"%s\", batch %u: %s", copier->name, batch,
			  shmipc_error_name(ret));
}

/* Check that the last message of each private slot has the bytes that were sent. */
static int check(struct side *s, uint32_t batch)
{
	uint64_t seq;
	size_t i;

	for (i = 0; i < s->slots; i++) {
		seq = (uint64_t)batch * (s->src.mask + 1) + i;
		if (bench_sum(s->priv + i * s->src.stride, s->src.size) !=
		    bench_source_want(&s->src, seq))
			return bench_fail(s->env, "copier \"%s\", batch %u: bytes differ from those sent (EPROTO)",
					  copier->name, batch);
	}
	return 0;
}

static int side_in(struct bench_env *env)
{
	struct side *s = side_make(env);
	uint32_t batch;
	uint64_t end;
	size_t i;
	int ret, stop = 0;

	if (!s)
		return -1;
	bench_begin(env);
	end = bench_ticks() + bench_ns_ticks(env->seconds * 1e9);
	for (batch = 1; !stop; batch++) {
		for (i = 0; i < s->slots; i++)
			bench_source_put(&s->src, (uint64_t)batch * (s->src.mask + 1) + i);
		stop = s->samples + 1 == SAMPLES || (s->samples + 1 >= LEAST && bench_ticks() >= end);
		if (stop)
			shmipc_store_relaxed(&env->shared->last, (uint64_t)batch);
		ret = copy_in(s);
		if (ret)
			return copy_fails(s, batch, ret);
		s->samples += batch > WARM;
		tell(s, batch);
		await(s, batch);
	}
	side_end(s, &env->shared->in_bytes_per_s);
	side_free(s);
	bench_meet(env);
	return 0;
}

static int side_out(struct bench_env *env)
{
	struct side *s = side_make(env);
	uint32_t batch = 0;
	int ret;

	if (!s)
		return -1;
	bench_begin(env);
	do {
		await(s, ++batch);
		ret = copy_out(s);
		if (ret)
			return copy_fails(s, batch, ret);
		s->samples += batch > WARM;
		if (check(s, batch))
			return -1;
		tell(s, batch);
	} while (shmipc_load_relaxed(&env->shared->last) != batch);
	side_end(s, &env->out->out_bytes_per_s);
	side_free(s);
	bench_meet(env);
	env->out->in_bytes_per_s = env->shared->in_bytes_per_s;
	return 0;
}

struct bench_case bench_copier = {
	.table = BENCH_TABLE_COPIER,
	.step = { .side = { side_in, side_out }, .result = 1, .spins = 1 },
	.prepare = prepare,
	.finish = finish,
};

struct each {
	const char *name;
	int (*fn)(struct bench_case *c, void *arg);
	void *arg;
};

static int one_copier(const struct shmipc_copier *c, int err, void *arg)
{
	const struct each *each = (const struct each *)arg;
	static char name[32];

	if (each->name && strcmp(each->name, c->name))
		return 0;
	if (err) {
		fprintf(stderr, "shmipc: bench: copier \"%s\": this processor lacks the instructions that it needs; left out\n",
			c->name);
		return 0;
	}
	copier = c;
	(void)snprintf(name, sizeof(name), "copier-%s", c->name);
	bench_copier.name = name;
	bench_copier.step.spins = strcmp(c->name, "mt") != 0;
	bench_copier.wait = bench_copier.step.spins ? BENCH_SPIN : BENCH_SLEEP;
	return each->fn(&bench_copier, each->arg);
}

/* Call @fn for the copier called @name, or for each that this processor can run. */
int bench_copiers(const char *name, int (*fn)(struct bench_case *c, void *arg), void *arg)
{
	struct each each = { name, fn, arg };

	return shmipc_copier_each(one_copier, &each);
}
