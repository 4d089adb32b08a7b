// SPDX-License-Identifier: MIT
/*
 * others.c - other libraries that move messages between processes, to compare with
 *
 * Each is used as its manual recommends for local, lossless messages, polled if possible,
 * and the payload is written and read as for topics. Libraries that were not installed
 * when the command was built are left out, with a message.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <shmipc/inline/atomic.h>

#include "bench.h"
#include "others.h"
#include "source.h"

#define SAMPLES		((size_t)1 << 20)
#define WARM		200u
#define WARM_RATE	2048u
#define CHUNK		64u	/* messages between two reads of the clock */

static int fail_lib(struct bench_env *env, const struct bench_other *o, const char *what)
{
	return bench_fail(env, "%s: %s fails", o->name, what);
}

static int source_for(struct bench_env *env, struct bench_source *src)
{
	if (!bench_source_init(src, env->size))
		return 0;
	return bench_fail(env, "memory for messages of %zu bytes (ENOMEM)", env->size);
}

/* Their threads must run beside ours: without real-time priority, even if we have it. */
static void *open_end(struct bench_env *env, const struct bench_other *o, unsigned int way,
		      int sends)
{
	static const struct sched_param zero;

	(void)sched_setscheduler(0, SCHED_OTHER, &zero);
	return o->open(env, way, sends);
}

static int take_one(struct bench_env *env, const struct bench_other *o, void *rx,
		    const struct bench_source *src, uint64_t seq)
{
	const void *ptr;
	size_t len;
	int bad;

	if (o->recv(rx, &ptr, &len))
		return fail_lib(env, o, "receiving");
	bad = len != src->size || bench_sum(ptr, len) != bench_source_want(src, seq);
	o->done(rx, ptr);
	if (!bad)
		return 0;
	return bench_fail(env, "%s: message %llu differs from the one sent (EPROTO)", o->name,
			  (unsigned long long)seq);
}

int bench_other_out(struct bench_env *env, const struct bench_other *o)
{
	void *tx = open_end(env, o, 0, 1);
	uint64_t seq = 0, i, end;
	struct bench_source src;
	int stop;

	if (!tx || source_for(env, &src))
		return tx ? -1 : fail_lib(env, o, "opening");
	bench_begin(env);
	end = bench_ticks() + bench_ns_ticks(env->seconds * 1e9);
	do {
		stop = seq >= 2 * WARM_RATE && bench_ticks() >= end;
		if (stop)
			shmipc_store_relaxed(&env->shared->last, seq + CHUNK);
		for (i = 0; i < CHUNK; i++, seq++) {
			if (o->send(tx, bench_source_at(&src, seq), src.size))
				return fail_lib(env, o, "sending");
			bench_source_restamp(&src, seq);
		}
	} while (!stop);
	bench_meet(env);	/* the other side has received all */
	o->close(tx);
	bench_source_free(&src);
	return 0;
}

int bench_other_in(struct bench_env *env, const struct bench_other *o)
{
	void *rx = open_end(env, o, 0, 0);
	uint64_t seq, t0 = 0;
	struct bench_source src;
	double seconds;

	if (!rx || source_for(env, &src))
		return rx ? -1 : fail_lib(env, o, "opening");
	bench_begin(env);
	for (seq = 0; seq != shmipc_load_relaxed(&env->shared->last); seq++) {
		if (seq == WARM_RATE)
			t0 = bench_ticks();
		if (take_one(env, o, rx, &src, seq))
			return -1;
	}
	seconds = bench_ticks_ns(bench_ticks() - t0) / 1e9;
	env->out->msgs = seq - WARM_RATE;
	env->out->msgs_per_s = (double)env->out->msgs / seconds;
	env->out->bytes_per_s = env->out->msgs_per_s * (double)env->size;
	bench_meet(env);
	o->close(rx);
	bench_source_free(&src);
	return 0;
}

/* Side 0 sends on 0 and receives on 1. */
int bench_other_ask(struct bench_env *env, const struct bench_other *o)
{
	void *tx = open_end(env, o, 0, 1), *rx = tx ? open_end(env, o, 1, 0) : NULL;
	uint32_t *sample = malloc(SAMPLES * sizeof(*sample));
	uint64_t i, t, prev, end = UINT64_MAX;
	struct bench_source src;
	int stop = 0;

	if (!rx || !sample || source_for(env, &src))
		return fail_lib(env, o, "opening");
	memset(sample, 0xff, SAMPLES * sizeof(*sample));
	bench_begin(env);
	prev = bench_ticks();
	for (i = 0; !stop; i++) {
		if (i == WARM)
			end = prev + bench_ns_ticks(env->seconds * 1e9);
		stop = i > WARM && (prev >= end || i - WARM == SAMPLES - 1);
		if (stop)
			shmipc_store_release(&env->shared->last, i + 1);
		if (o->send(tx, bench_source_at(&src, i), src.size))
			return fail_lib(env, o, "sending");
		if (take_one(env, o, rx, &src, i))
			return -1;
		bench_source_restamp(&src, i);
		t = bench_ticks();
		if (i >= WARM)
			sample[i - WARM] = (uint32_t)(t - prev);
		prev = t;
	}
	bench_samples_into(env->out, sample, i - WARM);
	bench_meet(env);
	o->close(tx);
	o->close(rx);
	bench_source_free(&src);
	free(sample);
	return 0;
}

int bench_other_answer(struct bench_env *env, const struct bench_other *o)
{
	void *rx = open_end(env, o, 0, 0), *tx = rx ? open_end(env, o, 1, 1) : NULL;
	const void *ptr;
	uint64_t seq;
	size_t len;

	if (!tx)
		return fail_lib(env, o, "opening");
	bench_begin(env);
	for (seq = 0; seq != shmipc_load_acquire(&env->shared->last); seq++) {
		if (o->recv(rx, &ptr, &len) || o->send(tx, ptr, len))
			return fail_lib(env, o, "answering");
		o->done(rx, ptr);
	}
	bench_meet(env);
	o->close(rx);
	o->close(tx);
	return 0;
}

int bench_other_prepare(struct bench_env *env)
{
	return bench_spsc.prepare(env);
}

void bench_other_finish(struct bench_env *env)
{
	bench_spsc.finish(env);
}

/* Both sides are children of the same process. */
void bench_other_name(char *buf, size_t cap, const char *scheme, unsigned int way)
{
	(void)snprintf(buf, cap, "%sshmipc-bench-%ld-%u", scheme, (long)getppid(), way);
}

/* Throughput of each library against the spsc ring in the same run, then round trips. */
int bench_others(const struct bench_opts *o, bench_sizes_fn *fn)
{
	static const size_t rate[] = { 64, 4096 }, rtt[] = { 64, 4096 };
	static struct {
		const char *name;
		struct bench_case *(*fn)(int rtt);
	} lib[] = {
		{ "ZeroMQ (libzmq3-dev)", bench_zmq },
		{ "nng (libnng-dev)", bench_nng },
		{ "iceoryx (libiceoryx-binding-c-dev)", bench_iceoryx },
	};
	struct bench_case *c;
	size_t i;

	for (i = 0; i < sizeof(lib) / sizeof(lib[0]); i++) {
		c = lib[i].fn(0);
		if (!c) {
			fprintf(stderr, "shmipc: bench: peers: %s was not installed when this command was built; left out\n",
				lib[i].name);
			continue;
		}
		c->limit[0] = bench_spsc.step;
		c->limit[0].seconds = o->seconds;
		if (fn(c, o, rate, 2))
			return -1;
		c = lib[i].fn(1);
		c->limit[0] = bench_limit_pingpong;
		if (fn(c, o, rtt, 2))
			return -1;
	}
	return 0;
}
