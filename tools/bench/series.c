// SPDX-License-Identifier: MIT
/*
 * series.c - many runs of one bench, without the noisy ones, as distributions
 *
 * The CPUs of a virtual machine are not always available. Around each measurement a raw
 * round trip is measured; if it is far from the usual one, or if a side that should spin
 * did not have its CPU, the run is not valid and is repeated.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

#define PROBE_OFF	1.5	/* a probe this many times the usual one is noise */
#define CPU_SHARE_MIN	0.9	/* of a side that spins */
#define TRIES		3	/* attempts at most, per run asked for */
#define MEM_HEAD	((size_t)2 << 20)

struct run_result {
	struct bench_out out;
	double limit;
	double probe_ns;	/* the worse of the two */
	double preempted;
	int quiet;
};

/* All probes of this invocation; they determine what is usual. */
static double probe[4 * TRIES * BENCH_RUNS_MAX];
static unsigned int probes;

static double usual_probe(void)
{
	static double sorted[sizeof(probe) / sizeof(probe[0])];

	memcpy(sorted, probe, probes * sizeof(probe[0]));
	return bench_dist_of(sorted, probes).median;
}

static void probe_add(double ns)
{
	if (probes < sizeof(probe) / sizeof(probe[0]))
		probe[probes++] = ns;
}

static int had_cpus(const struct bench_step *step, const struct bench_out out[2])
{
	return !step->spins ||
	       (out[0].cpu_share >= CPU_SHARE_MIN && out[1].cpu_share >= CPU_SHARE_MIN);
}

/* Are probes useful? Both sides must have a CPU, and noisy runs must be discarded. */
static int can_probe(const struct bench_case *c, const struct bench_opts *o)
{
	return !c->every_run && o->cpu[0] != o->cpu[1];
}

/* A few probes before the first run, to find the usual value. */
static int first_probes(struct bench_env *env)
{
	struct bench_step step[5];
	unsigned int i;

	for (i = 0; i < 5; i++)
		step[i] = bench_probe;
	if (bench_run(env, step, 5))
		return -1;
	for (i = 0; i < 5; i++)
		probe_add(env->shared->out[i][0].p50_ns);
	return 0;
}

/* The tighter of two limits. */
static double better(const struct bench_case *c, double limit, const struct bench_out *out)
{
	if (c->ratio == BENCH_BY_RATE)
		return limit > out->bytes_per_s ? limit : out->bytes_per_s;
	if (c->ratio == BENCH_BY_MSGS)
		return limit > out->msgs_per_s ? limit : out->msgs_per_s;
	return limit < out->p50_ns ? limit : out->p50_ns;
}

/* Probe, limit, measurement, probe; without a second CPU only the measurement. */
static int one_run(struct bench_env *env, const struct bench_case *c, struct run_result *ret)
{
	struct bench_step step[5];
	struct bench_out (*out)[2] = env->shared->out;
	unsigned int n = 0, limits = 0, at, i;

	if (can_probe(c, env->opts))
		step[n++] = bench_probe;
	for (i = 0; i < 2; i++)
		if (c->limit[i].side[0] && (can_probe(c, env->opts) || !c->limit[i].spins))
			step[n + limits++] = c->limit[i];
	n += limits;
	at = n;
	step[n] = c->step;
	step[n++].seconds = env->opts->seconds;
	if (can_probe(c, env->opts))
		step[n++] = bench_probe;

	if (bench_run(env, step, n))
		return -1;

	ret->out = out[at][c->step.result];
	ret->preempted = (double)(out[at][0].preempted + out[at][1].preempted);
	ret->limit = NAN;
	for (i = at - limits; i < at; i++)
		ret->limit = better(c, ret->limit, &out[i][step[i].result]);
	ret->probe_ns = NAN;
	ret->quiet = 1;
	for (i = 0; i < n; i++)
		ret->quiet &= had_cpus(&step[i], out[i]);
	if (can_probe(c, env->opts)) {
		ret->probe_ns = out[0][0].p50_ns > out[n - 1][0].p50_ns ?
			out[0][0].p50_ns : out[n - 1][0].p50_ns;
		probe_add(out[0][0].p50_ns);
		probe_add(out[n - 1][0].p50_ns);
		ret->quiet &= ret->probe_ns <= PROBE_OFF * usual_probe();
	}
	return 0;
}

static int prepared_run(struct bench_env *env, struct bench_case *c, struct run_result *ret)
{
	int i, err;

	for (i = 0; i < BENCH_FDS; i++)
		env->fd[i] = -1;
	if (!c->prepare)
		return one_run(env, c, ret);
	if (c->prepare(env))
		return -1;
	err = one_run(env, c, ret);
	c->finish(env);
	return err;
}

static void progress(const struct bench_case *c, size_t size, unsigned int done, unsigned int of)
{
	if (!isatty(2))
		return;
	if (done < of)
		fprintf(stderr, "\rbench: %s, %zu bytes: run %u of %u \033[K", c->name, size,
			done + 1, of);
	else
		fprintf(stderr, "\r\033[K");
}

static double ratio_of(const struct bench_case *c, const struct run_result *r)
{
	switch (c->ratio) {
	case BENCH_BY_RATE:
		return r->out.bytes_per_s / r->limit;
	case BENCH_BY_P50:
		return r->out.p50_ns / r->limit;
	case BENCH_BY_MSGS:
		return r->out.msgs_per_s / r->limit;
	default:
		return NAN;
	}
}

static double value_of(const struct bench_case *c, const struct run_result *r, int what)
{
	switch (what) {
	case 0:	return r->out.msgs_per_s;
	case 1:	return r->out.bytes_per_s;
	case 2:	return r->out.p50_ns;
	case 3:	return r->out.p99_ns;
	case 4:	return r->out.min_ns;
	case 5:	return c->table == BENCH_TABLE_LOSSY ? (double)r->out.lost : NAN;
	case 6:	return c->table == BENCH_TABLE_LOSSY ?
			(double)r->out.lost / (double)(r->out.lost + r->out.msgs) : NAN;
	case 7:	return r->probe_ns;
	case 8:	return r->limit;
	case 9:	return ratio_of(c, r);
	case 10: return r->preempted;
	case 11: return r->out.in_bytes_per_s;
	case 12: return r->out.out_bytes_per_s;
	case 13: return r->out.p90_ns;
	case 14: return r->out.max_ns;
	case 15: return r->out.least_share;
	default: return (double)r->out.msgs;
	}
}

/* Distributions over the quiet runs; over all if none was quiet. */
static void sum_up(const struct bench_case *c, const struct run_result *r, unsigned int n,
		   struct bench_report *ret)
{
	struct bench_dist *dist[] = {
		&ret->msgs_per_s, &ret->bytes_per_s, &ret->p50_ns, &ret->p99_ns, &ret->min_ns,
		&ret->lost, &ret->lost_share, &ret->probe_ns, &ret->limit, &ret->ratio,
		&ret->preempted, &ret->in_bytes_per_s, &ret->out_bytes_per_s, &ret->p90_ns,
		&ret->max_ns, &ret->least_share, &ret->received,
	};
	static double v[TRIES * BENCH_RUNS_MAX];
	unsigned int i, used;
	size_t what;

	for (what = 0; what < sizeof(dist) / sizeof(dist[0]); what++) {
		for (i = 0, used = 0; i < n; i++)
			if (r[i].quiet || ret->noisy)
				v[used++] = value_of(c, &r[i], (int)what);
		*dist[what] = bench_dist_of(v, used);
	}
}

/* One mapping for all runs: the sides first zero what they use. */
static int env_init(struct bench_env *env, const struct bench_opts *o, size_t size)
{
	static unsigned char *mem;
	static struct bench_shared *shared;
	size_t bytes = MEM_HEAD + o->ring_bytes + 4 * BENCH_BLOCK;

	if (!mem)
		mem = bench_mem_alloc(bytes, o->page);
	if (!shared)
		shared = bench_mem_alloc(sizeof(*shared), 0);
	if (!mem || !shared) {
		fprintf(stderr, "shmipc: bench: cannot allocate %zu bytes of shared memory for the "
			"limits (ENOMEM); use a smaller --ring\n", bytes);
		return -1;
	}
	memset(env, 0, sizeof(*env));
	env->opts = o;
	env->mem = mem;
	env->mem_bytes = bytes;
	env->shared = shared;
	env->size = size;
	return 0;
}

/**
 * bench_series - run a bench as often as asked, and sum up
 * @c:    the bench
 * @o:    options
 * @size: bytes of a message
 * @ret:  the figures
 *
 * Return: 0; -1 after a message.
 */
int bench_series(struct bench_case *c, const struct bench_opts *o, size_t size,
		 struct bench_report *ret)
{
	static struct run_result result[TRIES * BENCH_RUNS_MAX];
	struct bench_env env;
	unsigned int n, quiet = 0;

	memset(ret, 0, sizeof(*ret));
	ret->bench = c;
	ret->size = size;
	if (env_init(&env, o, size))
		return -1;
	if (!probes && can_probe(c, o) && first_probes(&env))
		return -1;
	for (n = 0; quiet < o->runs && n < TRIES * o->runs; n++) {
		progress(c, size, quiet, o->runs);
		if (prepared_run(&env, c, &result[n]))
			return -1;
		quiet += (unsigned int)result[n].quiet;
	}
	progress(c, size, 1, 1);
	ret->noisy = !quiet;
	ret->runs = quiet ? quiet : n;
	ret->discarded = n - ret->runs;
	sum_up(c, result, n, ret);
	return 0;
}
